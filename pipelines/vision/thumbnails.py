"""Images that look alike: compared as small, brightness-free thumbnails, in less than n² time."""

import hashlib

import numpy as np

from pipelines.evaluation.audit import Copies
from pipelines.splits import Part

# Pixels of a thumbnail: half of a small image's, so that what compression changes is averaged away.
LEAST_SIDE, SIDE = 8, 16
# The correlation of two thumbnails from which they count as one image. Measured, distinct images
# above it: none of 8x8 digits, .5 % of clothes (28x28; .9 % above .995), none of chest X-rays.
# Found of clothes that were saved again as JPEG: 97 to 99 %.
ALIKE = 0.996
LOW_FREQUENCIES = 4  # of the cosine transform in each direction, among which neighbours are sought
CANDIDATES = 8  # nearest neighbours of an image that are compared in full
FLATTEST = 0.01  # standard deviation, as a share of the scale, of an image that shows anything
AT_ONCE = 4096


def image_keys(x: np.ndarray) -> np.ndarray:
    """Return a digest of the pixels of each image of `x` `(n, height, width, channels)`: `(n,)`."""
    keys = np.empty(len(x), dtype=object)
    for row, image in enumerate(x):
        keys[row] = hashlib.blake2b(image.tobytes(), digest_size=16).digest()
    return keys


def thumbnails(x: np.ndarray, scale: float) -> np.ndarray:
    """Return each image as a grey thumbnail of mean 0 and norm 1: `(n, side, side)` float16.

    Two of them multiply to their correlation. Images that show next to nothing are all zeros, and
    correlate with nothing. `scale` is the largest value that a pixel of `x` can have.
    """
    height, width = x.shape[1:3]
    shorter = min(height, width)
    side = min(shorter, max(LEAST_SIDE, min(SIDE, shorter // 2)))
    rows, columns = _averages(height, side), _averages(width, side)
    # Half the memory of float32, and a correlation is still right to four digits.
    thumbnails = np.empty((len(x), side, side), np.float16)
    for begin in range(0, len(x), AT_ONCE):
        grey = np.asarray(x[begin : begin + AT_ONCE]).mean(axis=-1, dtype=np.float32)
        small = rows @ grey @ columns.T
        small -= small.mean(axis=(1, 2), keepdims=True)
        norm = np.linalg.norm(small, axis=(1, 2), keepdims=True)
        shows_something = norm > FLATTEST * scale * side
        thumbnails[begin : begin + AT_ONCE] = np.where(
            shows_something, small / np.maximum(norm, 1e-12), 0
        )
    return thumbnails


def _averages(extent: int, side: int) -> np.ndarray:
    """Return the weights `(side, extent)` with which pixels count in equal intervals of a line."""
    edges = np.linspace(0, extent, side + 1)
    pixels = np.arange(extent)
    begin = np.maximum(edges[:-1, None], pixels)
    end = np.minimum(edges[1:, None], pixels + 1)
    return np.asarray(np.maximum(end - begin, 0) * side / extent, np.float32)


def near_copies(first: np.ndarray, second: np.ndarray, parts: tuple[Part, Part]) -> Copies:
    """Return which thumbnails of `second` are nearly the same as one of `first`.

    Neighbours are sought among the lowest frequencies in a k-d tree. That misses none within reach:
    thumbnails are at least as far from each other as their lowest frequencies are.
    """
    partner = _nearest(first, second)
    later = np.flatnonzero(partner >= 0)
    earlier = np.zeros(0, dtype=int)
    if len(later):
        earlier = np.flatnonzero(_nearest(second[later], first) >= 0)
    return Copies(parts=parts, later=later, partner=partner[later], earlier=earlier)


def _nearest(among: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Return for each image the most similar one of `among` if it is alike, else -1: `(n,)`."""
    from scipy.spatial import cKDTree

    reach = np.sqrt(2 - 2 * ALIKE)
    shown = np.flatnonzero(images.any(axis=(1, 2)))
    partner = np.full(len(images), -1)
    if not len(among) or not len(shown):
        return partner
    tree = cKDTree(_low_frequencies(among))
    count = min(CANDIDATES, len(among))
    _, found = tree.query(
        _low_frequencies(images[shown]), k=list(range(1, 1 + count)), distance_upper_bound=reach
    )
    best = np.full(len(shown), ALIKE)
    for candidates in np.asarray(found).T:
        # Where there is none within reach, the tree answers with one behind the last.
        rows = np.flatnonzero(candidates < len(among))
        correlation = _correlations(among, candidates[rows], images, shown[rows])
        is_better = correlation >= best[rows]
        best[rows[is_better]] = correlation[is_better]
        partner[shown[rows[is_better]]] = candidates[rows[is_better]]
    return partner


def _low_frequencies(images: np.ndarray) -> np.ndarray:
    from scipy.fft import dctn

    low = []
    for begin in range(0, len(images), AT_ONCE):
        some = images[begin : begin + AT_ONCE].astype(np.float32)
        waves = dctn(some, axes=(1, 2), norm="ortho")[:, :LOW_FREQUENCIES, :LOW_FREQUENCIES]
        low.append(waves.reshape(len(some), -1))
    return np.concatenate(low)


def _correlations(
    first: np.ndarray, first_rows: np.ndarray, second: np.ndarray, second_rows: np.ndarray
) -> np.ndarray:
    """Return the correlation of pairs of thumbnails at these positions: `(pairs,)`."""
    correlations = np.empty(len(first_rows), np.float32)
    for begin in range(0, len(first_rows), AT_ONCE):
        chosen = slice(begin, begin + AT_ONCE)
        left = first[first_rows[chosen]].astype(np.float32)
        right = second[second_rows[chosen]].astype(np.float32)
        correlations[chosen] = np.einsum("nij,nij->n", left, right)
    return correlations
