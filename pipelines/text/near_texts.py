"""Texts that say nearly the same: found by MinHash in linear time, then compared in full.

Broder, "On the resemblance and containment of documents" (1997).
"""

import unicodedata
from collections.abc import Iterator, Sequence

import numpy as np

from pipelines.evaluation.audit import Copies
from pipelines.io.progress import counted
from pipelines.splits import Part

SHINGLE = 5  # characters in a row
# The share of shingles that two texts have in common from which they count as one.
ALIKE = 0.75
# Two texts that share .75 of their shingles agree in each of the smallest with a chance of .75, so
# that one pair in a thousand agrees in no band of two.
NUM_HASHES, BAND = 16, 2
FEWEST_EQUAL = 8  # of 16 smallest, before two texts are compared in full
CANDIDATES = 8  # texts of a band that are looked at
AT_ONCE = 4_000_000  # characters that are hashed at a time
MIX = (np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53))  # of MurmurHash3
SHIFT = np.uint64(33)
BASE = np.uint64(1_000_003)


def normalised(text: str) -> str:
    """Return a text without what people do not read: case, kinds of blanks, marks at its ends."""
    plain = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    inner = plain
    while inner and not inner[0].isalnum():
        inner = inner[1:]
    while inner and not inner[-1].isalnum():
        inner = inner[:-1]
    return inner or plain


def near_copies(
    first: Sequence[str], second: Sequence[str], parts: tuple[Part, Part], skip: np.ndarray
) -> Copies:
    """Return which normalised texts of `second` are nearly the same as one of `first`.

    `skip` are the positions in `second` that are not asked about.
    """
    left, right = signatures(first), signatures(second)
    partner = _nearest((first, left), (second, right))
    partner[skip] = -1
    later = np.flatnonzero(partner >= 0)
    earlier = np.zeros(0, dtype=int)
    if len(later):
        chosen = [second[row] for row in later.tolist()]
        earlier = np.flatnonzero(_nearest((chosen, right[later]), (first, left)) >= 0)
    return Copies(parts=parts, later=later, partner=partner[later], earlier=earlier)


def signatures(texts: Sequence[str]) -> np.ndarray:
    """Return for each text the smallest of its shingles under 16 hash functions: `(n, 16)` uint64.

    A text shorter than a shingle has zeros.
    """
    multipliers = np.random.default_rng(0).integers(1, 2**63, NUM_HASHES, dtype=np.uint64)
    multipliers = 2 * multipliers + np.uint64(1)
    smallest = np.zeros((len(texts), NUM_HASHES), np.uint64)
    for rows in _chunks(texts):
        hashes, begins = _shingles([texts[row] for row in rows])
        if not len(hashes):
            continue
        counts = np.diff(np.append(begins, len(hashes)))
        filled = np.flatnonzero(counts)
        for number, multiplier in enumerate(multipliers):
            least = np.minimum.reduceat(hashes * multiplier, begins[filled])
            smallest[np.asarray(rows)[filled], number] = least
    return smallest


def _chunks(texts: Sequence[str]) -> Iterator[list[int]]:
    """Yield the positions of texts that are hashed together."""
    rows: list[int] = []
    length = 0
    for row, text in enumerate(texts):
        rows.append(row)
        length += len(text)
        if length >= AT_ONCE:
            yield rows
            rows, length = [], 0
    if rows:
        yield rows


def _shingles(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the hashes of all shingles, text by text, and where those of each text begin."""
    lengths = np.asarray([len(text) for text in texts])
    joined = "".join(texts).encode("utf-32-le", "surrogatepass")
    codes = np.frombuffer(joined, np.uint32).astype(np.uint64)
    counts = np.maximum(lengths - SHINGLE + 1, 0)
    begins = np.concatenate([[0], np.cumsum(counts)[:-1]])
    if not counts.sum():
        return np.zeros(0, np.uint64), begins
    num_windows = len(codes) - SHINGLE + 1
    hashes = np.zeros(num_windows, np.uint64)
    for offset in range(SHINGLE):
        hashes = hashes * BASE + codes[offset : offset + num_windows]
    # The windows over the end of a text belong to none.
    first = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    inside = np.repeat(first - begins, counts) + np.arange(counts.sum())
    return _mix(hashes[inside]), begins


def _mix(hashes: np.ndarray) -> np.ndarray:
    for multiplier in MIX:
        hashes = (hashes ^ (hashes >> SHIFT)) * multiplier
    return np.asarray(hashes ^ (hashes >> SHIFT))


def _nearest(
    among: tuple[Sequence[str], np.ndarray], asked: tuple[Sequence[str], np.ndarray]
) -> np.ndarray:
    """Return for each text that is asked about one of `among` that is alike, else -1: `(n,)`.

    Both are texts with their signatures.
    """
    partner = np.full(len(asked[0]), -1)
    if not len(among[0]):
        return partner
    seen: dict[str, np.ndarray] = {}
    for other, row in _candidates(among[1], asked[1]):
        if partner[row] >= 0:
            continue
        if _overlap(among[0][other], asked[0][row], seen) >= ALIKE:
            partner[row] = other
    return partner


def _candidates(among: np.ndarray, asked: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield pairs of positions of texts whose signatures agree in half of all numbers."""
    rows = np.flatnonzero(asked.any(axis=1))
    begins = range(0, NUM_HASHES, BAND)
    for begin in counted(begins, "comparisons of texts", len(begins)):
        bands = [_band_keys(signature, begin) for signature in (among, asked[rows])]
        order = np.argsort(bands[0], kind="stable")
        keys = bands[0][order]
        low = np.searchsorted(keys, bands[1], side="left")
        high = np.searchsorted(keys, bands[1], side="right")
        for step in range(CANDIDATES):
            inside = np.flatnonzero(low + step < high)
            others, asking = order[low[inside] + step], rows[inside]
            is_near = (among[others] == asked[asking]).sum(axis=1) >= FEWEST_EQUAL
            yield from zip(others[is_near].tolist(), asking[is_near].tolist(), strict=True)


def _band_keys(signature: np.ndarray, begin: int) -> np.ndarray:
    return np.asarray(signature[:, begin] * BASE ^ signature[:, begin + 1])


def _overlap(text: str, other: str, seen: dict[str, np.ndarray]) -> float:
    """Return the Jaccard index of the shingles of two texts: 0 to 1."""
    for each in (text, other):
        if each not in seen:
            seen[each] = np.unique(_shingles([each])[0])
    common = len(np.intersect1d(seen[text], seen[other], assume_unique=True))
    return common / (len(seen[text]) + len(seen[other]) - common)
