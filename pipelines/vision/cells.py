"""Pictures as the cells of tables and the texts of requests hold them."""

import base64
import binascii
import re
from pathlib import Path

import numpy as np

from pipelines.errors import DataError
from pipelines.vision.listed_paths import content_of
from pipelines.vision.pictures import Picture

# How files of images begin.
MAGIC = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"RIFF", b"II*\0", b"MM\0*", b"P5", b"P6")
FIRST_OF_BASE64 = 64  # characters
LONGEST_PATH = 4_096

SHOWN_CHARACTERS = 60  # of a text that is no image


def from_cell(cell: object, root: Path | None) -> Picture:
    """Return the picture in a cell: a path, base64, bytes, an array, nested lists.

    Paths are read from `root`; without one, what is a path is no picture.

    Raises:
        DataError: there is none.
    """
    cell = content_of(cell)
    if isinstance(cell, str):
        return _found(cell, root)
    if isinstance(cell, bytes | bytearray | memoryview):
        return bytes(cell)
    if isinstance(cell, Path) and root is not None:
        return root / cell
    if isinstance(cell, np.ndarray):
        return cell
    if isinstance(cell, list | tuple):
        try:
            return np.asarray(cell)
        except ValueError:
            raise DataError("the rows of the image have different lengths") from None
    if cell is None or cell != cell:  # NaN
        raise DataError("the image is missing")
    raise DataError(f"an image is a path, bytes, base64 or numbers. Received: {cell!r}")


def _found(text: str, root: Path | None) -> Path | bytes:
    if not text.strip():
        raise DataError("the path is empty")
    found = from_text(text)
    if isinstance(found, Path):
        if root is None:
            shown = text[:SHOWN_CHARACTERS]
            raise DataError(f"{shown!r} is no image in base64, and no path is read here")
        if not (root / found).exists():
            shown = text[:SHOWN_CHARACTERS]
            raise DataError(f"{shown!r} is neither a file nor an image in base64")
        return root / found
    return found


def from_text(text: str) -> Path | bytes:
    """Return the image that a text holds as base64 (perhaps a `data:` URI), or the path it is."""
    content = text.strip()
    if content.startswith("data:"):
        content = content.partition(",")[2]
    if _may_be_base64(content):
        decoded = _decode_base64(content)
        if decoded.startswith(MAGIC) or _is_avif(decoded):
            return decoded
    if len(text) > LONGEST_PATH or text.startswith("data:") or "\0" in text:
        raise DataError(
            f"the text {text[:20]!r}... is neither a path nor an image in base64 (PNG, JPEG, GIF, "
            "BMP, WEBP, TIFF, PPM)"
        )
    return Path(text.strip())


def _may_be_base64(text: str) -> bool:
    return re.fullmatch(r"[A-Za-z0-9+/=_\-\s]{8,}", text[:FIRST_OF_BASE64]) is not None


def _decode_base64(text: str) -> bytes:
    packed = re.sub(r"\s+", "", text).rstrip("=").translate(str.maketrans("-_", "+/"))
    try:
        return base64.b64decode(packed + "=" * (-len(packed) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _is_avif(content: bytes) -> bool:
    return content[4:8] == b"ftyp"
