"""Files of text in whatever encoding they were saved."""

import codecs
import gzip
import re
import zlib
from pathlib import Path

from pipelines.errors import DataError
from pipelines.io.latin_encodings import WESTERN, is_western, latin_encoding
from pipelines.io.paths import require_regular_file

TEXT_SUFFIX = ".txt"
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
# Alphabets of one byte a letter. Words of them are runs of bytes above 127, as accents never are.
ALPHABETS = ("cp1251", "koi8_r", "cp866", "iso8859_5", "cp1253", "cp1255", "cp1256", "cp874")
JAPANESE = ("cp932", "euc_jp")
FEWEST_HIRAGANA = 0.2  # of the letters of a Japanese text; Chinese and Korean have none
LONG_RUN = 3  # letters of another alphabet in a word
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
    beginning = raw[:GUESSED_FROM]
    if is_western(beginning) and _is_valid(raw, WESTERN):
        return WESTERN
    found = (
        _of_several_bytes(raw, beginning)
        or _of_another_alphabet(raw, beginning)
        or latin_encoding(beginning)
    )
    if found:
        return found
    if _is_valid(raw, WESTERN):
        return WESTERN
    return "latin-1"  # cp1252 leaves five bytes undefined, Latin-1 none


def _of_several_bytes(raw: bytes, beginning: bytes) -> str:
    """Return the Chinese, Japanese or Korean encoding of a text, "" where it has none."""
    for encoding in JAPANESE:
        if _is_valid(raw, encoding) and _has_hiragana(beginning.decode(encoding, "ignore")):
            return encoding
    found = _guess(beginning, [*MULTI_BYTE, *MULTI_BYTE_JAPANESE])
    if not found or not _is_valid(raw, found):
        return ""
    text = beginning.decode(found, "ignore")
    return "" if _is_accented(beginning, text) or _is_half_width(text) else found


def _of_another_alphabet(raw: bytes, beginning: bytes) -> str:
    """Return the encoding of a text in Cyrillic, Greek and so on, "" where it is in none."""
    if not _has_words_of_others(beginning):
        return ""
    found = _guess(beginning, list(ALPHABETS))
    if found == "cp1251" and _is_mostly_capital(beginning.decode(found, "ignore")):
        found = "koi8_r"  # small letters of the one are capitals of the other
    return found if found and _is_valid(raw, found) else ""


def _guess(raw: bytes, encodings: list[str]) -> str:
    """Return the one of these encodings that reads `raw` best, "" where none does."""
    from charset_normalizer import from_bytes

    guess = from_bytes(raw, cp_isolation=encodings).best()
    return "" if guess is None else guess.encoding


def _is_mostly_capital(text: str) -> bool:
    letters = re.findall(r"[^\x00-\x7f]", text)
    capitals = [letter for letter in letters if letter.isupper()]
    return len(capitals) > len(letters) / 2


def _has_hiragana(text: str) -> bool:
    """Return whether a text is Japanese: many of its letters are those of no other language."""
    letters = re.findall(r"[^\x00-\x7f]", text)
    hiragana = [letter for letter in letters if "\u3041" <= letter <= "\u3096"]
    return len(hiragana) > FEWEST_HIRAGANA * len(letters)


def _is_half_width(text: str) -> bool:
    """Return whether a text is mostly of katakana of half width, as nothing is that people write.

    The small letters of KOI8-R are such bytes.
    """
    letters = re.findall(r"[^\x00-\x7f]", text)
    half_width = [letter for letter in letters if "\uff61" <= letter <= "\uff9f"]
    return len(half_width) > len(letters) / 2


def _has_words_of_others(raw: bytes) -> bool:
    """Return whether most bytes above 127 stand in runs, as in words of another alphabet.

    The quotes and dashes of Windows count for no letters.
    """
    runs = [len(run) for run in re.findall(rb"[\x80-\x90\x98-\xff]+", raw)]
    in_words = [length for length in runs if length >= LONG_RUN]
    return sum(in_words) > sum(runs) / 2


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
