"""Files of text in whatever encoding they were saved."""

import codecs
import gzip
import re
import zlib
from pathlib import Path

from pipelines.errors import DataError
from pipelines.io.paths import require_regular_file

TEXT_SUFFIX = ".txt"
# Encodings of one byte a character fit nearly everything, so that a guess among them is worth
# little: the one that Windows writes in western Europe and America is taken. It reads what Latin-1
# prints in the same way.
SINGLE_BYTE = "cp1252"
# What charset-normalizer can tell for sure: these encodings allow few sequences of bytes.
MULTI_BYTE = (
    "gb18030",
    "gb2312",
    "gbk",
    "hz",
    "big5",
    "big5hkscs",
    "cp949",
    "cp950",
    "euc_kr",
    "johab",
)
MULTI_BYTE_JAPANESE = (
    "cp932",
    "shift_jis",
    "shift_jis_2004",
    "shift_jisx0213",
    "euc_jp",
    "iso2022_jp",
)
GUESSED_FROM = 200_000  # bytes: enough to tell, and quick
PACKED = ".gz"
LARGEST_UNPACKED = 4 * 2**30  # bytes: a small archive may unpack to more than any memory holds
UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")  # as Excel's "Unicode text" begins


def read_text(path: Path) -> str:
    """Return a file's text, without a byte order mark.

    Raises:
        DataError: it holds a NUL byte, as no text does, or is a broken archive.
    """
    return decode(read_raw(path))


def read_raw(path: Path) -> bytes:
    """Return the bytes of a text file; one whose name ends in .gz is unpacked.

    Raises:
        DataError: it holds a NUL byte, as no text does, or is a broken archive.
    """
    require_regular_file(path)
    if path.suffix.lower() == PACKED:
        raw = _unpack(path)
    else:
        raw = path.read_bytes()
    require_text(raw, path)
    return raw


def _unpack(path: Path) -> bytes:
    try:
        with gzip.open(path) as file:
            raw = file.read(LARGEST_UNPACKED + 1)
    except (OSError, EOFError, zlib.error):
        raise DataError(f"{path}: is a broken archive. Expected what gzip writes") from None
    if len(raw) > LARGEST_UNPACKED:
        raise DataError(f"{path}: unpacks to more than {LARGEST_UNPACKED:,} bytes. Divide it first")
    return raw


def plain_suffix(path: Path) -> str:
    """Return the suffix that says what a file holds, in small letters: .csv of table.csv.gz."""
    if path.suffix.lower() == PACKED:
        path = path.with_suffix("")
    return path.suffix.lower()


def read_lines(path: Path) -> list[str]:
    """Return the lines of a text file without their line ends.

    Blank lines are kept, except those after the last text.
    """
    return split_lines(read_text(path).rstrip("\r\n"))


def split_lines(text: str) -> list[str]:
    """Return the lines of a text, without the line ends of Unix or Windows."""
    # Not splitlines: it also ends a line at the NEL of Latin-1, which may stand inside a text.
    return [line.rstrip("\r") for line in text.split("\n")]


def decode(raw: bytes) -> str:
    """Return bytes as text, by the encoding that `encoding_of` finds."""
    return raw.decode(encoding_of(raw), "replace")


def encoding_of(raw: bytes) -> str:
    """Return the name of the encoding of these bytes.

    It is UTF-16 where they begin with its mark, UTF-8 where they are valid, else a guess.
    """
    if raw.startswith(UTF_16_MARKS):
        return "utf-16"
    try:
        raw.decode("utf-8")
        return "utf-8-sig"
    except UnicodeDecodeError:
        pass
    from charset_normalizer import from_bytes

    beginning = raw[:GUESSED_FROM]
    guess = from_bytes(beginning, cp_isolation=[*MULTI_BYTE, *MULTI_BYTE_JAPANESE]).best()
    if guess is not None and _is_valid(raw, guess.encoding):
        text = beginning.decode(guess.encoding, "ignore")
        if not _is_accented(beginning, text):
            return guess.encoding
    if _is_valid(raw, SINGLE_BYTE):
        return SINGLE_BYTE
    return "latin-1"  # cp1252 leaves five bytes undefined, Latin-1 none


def _is_accented(raw: bytes, text: str) -> bool:
    """Return whether `raw` is plain words with a few accents, not multi-byte characters.

    `text` is how a multi-byte encoding reads it. The two bytes of "öl" in cp1252 are one character
    of Big5. But such a character stands alone between plain letters, as most in Chinese, Japanese
    and Korean do not, and ends in a small one.
    """
    runs = re.findall(r"[^\x00-\x7f]+", text)
    total = len("".join(runs))
    alone = sum(len(run) == 1 for run in runs)
    before_small_letters = len(re.findall(rb"(?<![\x80-\xff])[\x80-\xff][a-z]", raw))
    return max(alone, before_small_letters) >= total / 2


def _is_valid(raw: bytes, encoding: str) -> bool:
    try:
        codecs.decode(raw, encoding)
    except (UnicodeDecodeError, LookupError):
        return False
    return True


def require_text(raw: bytes, path: Path) -> None:
    """Refuse bytes with a NUL among them, and say what the file may be instead.

    Raises:
        DataError: there is a NUL byte, as in an archive or a workbook, but not in UTF-16.
    """
    if b"\0" not in raw or raw.startswith(UTF_16_MARKS):
        return
    if raw.startswith((b"\x1f\x8b", b"PK")):
        raise DataError(
            f"{path}: is compressed, or a workbook. Expected plain text: "
            "unpack it, or export it as CSV"
        )
    line = raw[: raw.index(0)].count(b"\n") + 1
    raise DataError(f"{path}: line {line} holds a NUL byte, so this is not a text file")
