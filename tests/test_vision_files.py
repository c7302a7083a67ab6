"""Image files of every kind: depth and range, proportions, damaged and oversized ones."""

import io
import os
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from pipelines.errors import DataError
from pipelines.vision import image_files, sizes
from pipelines.vision.data import VisionSplits, load
from pipelines.vision.options import VisionOptions

RNG = np.random.default_rng(0)


def save(path: Path, x: np.ndarray, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(x).save(path, **options)
    return path


def detector(most: int, size: int = 8) -> np.ndarray:
    """Return a picture of whole numbers of 16 bits, the largest of which is `most`."""
    x = RNG.integers(0, most, (size, size), dtype="uint16", endpoint=True)
    x[0, 0] = most
    return x


def fill(root: Path, make: Callable[[], np.ndarray], ending: str, per_class: int = 5) -> Path:
    for name in ("cat", "dog"):
        for number in range(per_class):
            save(root / name / f"{number}{ending}", make())
    return root


def read(root: Path, **options: Any) -> VisionSplits:
    return load(VisionOptions(data=str(root), **options))


def noted(splits: VisionSplits) -> str:
    return "\n".join(splits.notes)


def refused(root: Path, **options: Any) -> str:
    with pytest.raises(DataError) as caught:
        read(root, **options)
    return str(caught.value)


# --- depth


@pytest.mark.parametrize("ending", [".png", ".tif"])
@pytest.mark.parametrize(
    ("most", "scale", "dtype"),
    [
        (4000, 4095, "uint16"),
        (60_000, 65_535, "uint16"),
        (1000, 1023, "uint16"),
        (200, 255, "uint8"),
    ],
)
def test_images_of_16_bits_keep_their_range(
    tmp_path: Path, ending: str, most: int, scale: int, dtype: str
) -> None:
    root = fill(tmp_path, lambda: detector(most), ending)
    splits = read(root)
    assert splits.scale == scale
    assert splits.train.x.dtype == dtype
    assert splits.train.x.max() == most
    assert splits.train.names is not None
    for row, name in enumerate(splits.train.names):
        raw = np.asarray(Image.open(name))
        assert np.array_equal(splits.train.x[row, ..., 0], raw)
        served = image_files.decode(Path(name), (8, 8), 1, splits.scale)
        assert served is not None
        assert np.array_equal(splits.train.x[row], served)


def test_bytes_among_deeper_images_are_brought_to_their_range(tmp_path: Path) -> None:
    root = fill(tmp_path, lambda: detector(4095), ".png")
    white = save(root / "cat" / "white.png", np.full((8, 8), 255, dtype="uint8"))
    splits = read(root)
    assert splits.scale == 4095
    served = image_files.decode(white, (8, 8), 1, 4095)
    assert served is not None
    assert served.dtype == "uint16"
    assert served.min() == served.max() == 4095
    assert "1 image of 8 bits brought to the same range" in noted(splits)


def test_colours_of_16_bits_in_png_keep_their_range(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        for number in range(5):
            x = RNG.integers(0, 4096, (8, 8, 3), dtype="uint16")
            x[0, 0, 0] = 4095
            path = tmp_path / name / f"{number}.png"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(tf.io.encode_png(x).numpy())
    splits = read(tmp_path)
    assert splits.scale == 4095
    assert splits.shape == (8, 8, 3)
    assert splits.train.x.max() == 4095
    assert len(np.unique(splits.train.x)) > 200


def test_floats_in_tiff_are_read_as_they_are(tmp_path: Path) -> None:
    splits = read(fill(tmp_path, lambda: RNG.random((8, 8), dtype="float32"), ".tiff"))
    assert splits.train.x.dtype == "float32"
    assert splits.scale == 1
    assert 0.9 < splits.train.x.max() <= 1


def test_a_float_that_is_no_number_is_unreadable(tmp_path: Path) -> None:
    root = fill(tmp_path, lambda: RNG.random((8, 8), dtype="float32"), ".tiff")
    save(root / "cat" / "0.tiff", np.full((8, 8), np.nan, dtype="float32"))
    assert "cat/0.tiff holds NaN or infinity" in refused(root)


def test_dark_files_are_in_the_units_in_which_they_are_served(tmp_path: Path) -> None:
    splits = read(fill(tmp_path, lambda: RNG.integers(0, 90, (8, 8), dtype="uint8"), ".png"))
    assert splits.scale == 255


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "LAB"])
def test_white_is_white_in_every_mode(tmp_path: Path, mode: str) -> None:
    colour = Image.new("RGB", (6, 6), "white")
    if mode == "LAB":
        from PIL import ImageCms

        profiles = (ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"))
        image = ImageCms.profileToProfile(colour, *profiles, outputMode="LAB")
    elif mode == "PA":
        image = colour.convert("LA").convert("PA")
    else:
        image = colour.convert(mode)
    assert image is not None
    endings = {"CMYK": ".jpg", "YCbCr": ".jpg", "LAB": ".tif", "PA": ".png", "LA": ".png"}
    path = tmp_path / f"white{endings.get(mode, '.png')}"
    if mode == "PA":
        image = image.convert("LA")
    image.save(path)
    pixels = image_files.decode(path, (6, 6), 3)
    assert pixels is not None
    assert pixels.min() >= 250


# --- one resize for all


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "int32"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_an_array_is_resized_as_a_file_is(tmp_path: Path, dtype: str, channels: int) -> None:
    x = RNG.integers(0, 256, (40, 30, channels)).astype(dtype)
    resized = sizes.resize(x, (9, 7))
    assert resized.shape == (9, 7, channels)
    assert resized.dtype == dtype
    for channel in range(channels):
        path = save(tmp_path / f"{channel}.png", x[..., channel].astype("uint8"))
        file = image_files.decode(path, (9, 7), 1)
        assert file is not None
        assert np.abs(resized[..., channel] - file[..., 0].astype("float64")).max() <= 0.5001


def test_bytes_of_a_file_are_decoded_as_the_file(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", RNG.integers(0, 256, (20, 30, 3), dtype="uint8"))
    from_file = image_files.decode(path, (8, 8), 3)
    from_bytes = image_files.decode(path.read_bytes(), (8, 8), 3)
    assert from_file is not None
    assert from_bytes is not None
    assert np.array_equal(from_file, from_bytes)


def test_an_array_in_an_npz_is_resized_by_the_same_function(tmp_path: Path) -> None:
    x = RNG.integers(0, 256, (20, 30, 30, 3), dtype="uint8")
    np.savez(
        tmp_path / "a.npz", x_train=x, y_train=np.arange(20) % 2, x_test=x, y_test=x[:, 0, 0, 0] * 0
    )
    splits = read(tmp_path / "a.npz", image_size=8)
    assert np.array_equal(splits.test.x[3], sizes.resize(x[3], (8, 8)))


# --- proportions


def test_photos_of_one_shape_keep_their_proportions(tmp_path: Path) -> None:
    root = fill(tmp_path, lambda: RNG.integers(0, 256, (240, 320, 3), dtype="uint8"), ".png")
    splits = read(root)
    assert splits.shape == (96, 128, 3)
    assert "images of 240x320 are resized to 96x128" in noted(splits)
    assert "squeezed" not in noted(splits)


def test_photos_of_several_shapes_are_squeezed_and_it_is_said(tmp_path: Path) -> None:
    root = fill(tmp_path, lambda: RNG.integers(0, 256, (100, 100, 3), dtype="uint8"), ".png", 3)
    for number in range(2):
        save(root / "cat" / f"w{number}.png", RNG.integers(0, 256, (50, 100), dtype="uint8"))
    splits = read(root)
    assert splits.shape == (100, 100, 3)
    assert "2 of 8 images have other proportions than 100x100" in noted(splits)
    assert "(width / height from 2.00 to 2.00) and are squeezed" in noted(splits)


def test_a_turned_photo_has_the_size_in_which_it_is_seen(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    root = tmp_path
    for name in ("cat", "dog"):
        for number in range(5):
            x = RNG.integers(0, 256, (20, 40, 3), dtype="uint8")
            save(root / name / f"{number}.jpg", x, exif=exif)
    assert read(root).shape == (40, 20, 3)


# --- pages, and what is unreadable


def test_the_first_page_of_several_is_read_and_it_is_said(tmp_path: Path) -> None:
    root = fill(tmp_path, lambda: RNG.integers(0, 256, (8, 8), dtype="uint8"), ".png")
    pages = [Image.new("L", (8, 8), level) for level in (10, 200)]
    pages[0].save(root / "cat" / "pages.tif", save_all=True, append_images=pages[1:])
    assert "1 file holds several pages or frames, of which the first is read: pages.tif" in noted(
        read(root)
    )
    first = image_files.decode(root / "cat" / "pages.tif", None, 1)
    assert first is not None
    assert first.max() == 10


def declares(side: int) -> bytes:
    """Return a PNG that declares to be so large, and holds next to nothing."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checked = kind + content
        return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"0"))
        + chunk(b"IEND", b"")
    )


def heic() -> bytes:
    return b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + b"\0" * 100


def truncated() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(RNG.integers(0, 256, (40, 40, 3), dtype="uint8")).save(buffer, "JPEG")
    return buffer.getvalue()[:400]


UNREADABLE = {
    "declares more than 178,956,970 pixels": declares(50_000),
    "holds HEIC, whatever its name says": heic(),
    "is a pointer of Git LFS": b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n",
    "holds a web page or XML": b"<!DOCTYPE html><html>404</html>",
    "is empty": b"",
    "is truncated or damaged": truncated(),
    "is not an image": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n",
}


@pytest.mark.parametrize("reason", UNREADABLE)
def test_an_unreadable_image_is_named_with_the_reason_and_left_out_on_request(
    tmp_path: Path, reason: str
) -> None:
    root = fill(tmp_path, lambda: RNG.integers(0, 256, (8, 8), dtype="uint8"), ".png")
    (root / "dog" / "0.png").write_bytes(UNREADABLE[reason])
    message = refused(root)
    assert f"dog/0.png {reason}" in message
    assert "1 of 10 images cannot be read" in message
    splits = read(root, skip_unreadable=True)
    assert sum(splits.sizes().values()) == 9
    assert f"dog/0.png {reason}" in noted(splits)
    assert image_files.why_unreadable(root / "dog" / "0.png").startswith(reason)


def test_a_damaged_image_of_any_kind_ends_in_a_reason(tmp_path: Path) -> None:
    x = RNG.integers(0, 256, (24, 24, 3), dtype="uint8")
    for ending in (".png", ".jpg", ".bmp", ".gif", ".webp", ".tif", ".ppm", ".tga", ".jp2"):
        whole = save(tmp_path / f"whole{ending}", x).read_bytes()
        for seed in range(30):
            rng = np.random.default_rng(seed)
            spoilt = bytearray(whole)
            for position in rng.integers(0, len(whole), 8):
                spoilt[position] = rng.integers(0, 256)
            path = tmp_path / f"spoilt{ending}"
            path.write_bytes(bytes(spoilt[: rng.integers(1, len(whole))]))
            pixels = image_files.decode(path, (8, 8), 3)
            assert pixels is None or pixels.shape == (8, 8, 3)


def test_no_warning_of_pillow_comes_through(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # warns from here, refuses from twice so
    root = fill(tmp_path, lambda: RNG.integers(0, 256, (40, 40), dtype="uint8"), ".png")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert read(root).shape == (40, 40, 1)
    assert not caught
    assert "Pil" not in "".join(capfd.readouterr())


def test_a_pipe_named_by_hand_is_unreadable_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    assert image_files.decode(tmp_path / "a.png", (8, 8), 1) is None
    assert image_files.why_unreadable(Path("/dev/zero")) == "is not a regular file"


# --- labels


def test_small_classes_are_left_out_on_request(tmp_path: Path) -> None:
    root = fill(tmp_path, lambda: RNG.integers(0, 256, (8, 8), dtype="uint8"), ".png")
    save(root / "fox" / "0.png", RNG.integers(0, 256, (8, 8), dtype="uint8"))
    splits = read(root, min_class=3)
    assert splits.classes == ("cat", "dog")
    assert "1 class with fewer than 3 training examples left out, 1 example in all: fox (1)" in (
        noted(splits)
    )
