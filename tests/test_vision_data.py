"""Images from anywhere: what is read, how it is split, and what is refused.

Refusals are checked by message and exit code.
"""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from pipelines.errors import DataError
from pipelines.splits import PARTS
from pipelines.vision import image_files, images, readers
from pipelines.vision.data import VisionSplits
from pipelines.vision.options import VisionOptions
from pipelines.vision.pipeline import VisionPipeline
from pipelines.vision.spec import VisionSpec

RNG = np.random.default_rng(0)


def picture(
    path: Path, size: tuple[int, int] = (12, 12), mode: str = "RGB", level: int = 128
) -> Path:
    """Write an image of noise, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (size[1], size[0], 3) if mode == "RGB" else (size[1], size[0])
    Image.fromarray(RNG.integers(0, level, shape, dtype="uint8")).convert(mode).save(path)
    return path


def folder(
    root: Path,
    per_class: int = 5,
    classes: tuple[str, ...] = ("cat", "dog"),
    size: tuple[int, int] = (12, 12),
) -> Path:
    """Write a folder of images for each class, and return the folder of all."""
    for name in classes:
        for number in range(per_class):
            picture(root / name / f"{number}.png", size)
    return root


def pipeline(data: Path | str = "digits", **options: Any) -> VisionPipeline:
    return VisionPipeline(VisionOptions(data=str(data), **options))


def load(data: Path | str = "digits", **options: Any) -> VisionSplits:
    return pipeline(data, **options).load()


def refused(data: Path | str, **options: Any) -> str:
    """Return the message with which the data is refused."""
    with pytest.raises(DataError) as caught:
        load(data, **options)
    assert caught.value.exit_code == 3
    return str(caught.value)


# --- what is read


def test_digits_are_split_64_16_20_each_class_in_its_share() -> None:
    splits = load()
    assert splits.sizes() == {"train": 1149, "val": 288, "test": 360}
    assert splits.shape == (8, 8, 1)
    assert splits.scale == 16
    shares = np.bincount(splits.test.y) / np.bincount(splits.train.y)
    assert shares.max() - shares.min() < 0.05


def test_the_same_seed_gives_the_same_digest_and_another_seed_another() -> None:
    assert load(seed=1).digest == load(seed=1).digest
    assert load(seed=1).digest != load(seed=2).digest


def test_a_folder_of_classes_is_read_and_hidden_files_are_passed_over(tmp_path: Path) -> None:
    folder(tmp_path / "pets")
    picture(tmp_path / "pets/cat/.hidden.png")
    picture(tmp_path / "pets/.cache/0.png")
    (tmp_path / "pets/cat/notes.txt").write_text("not an image")
    splits = load(tmp_path / "pets")
    assert splits.classes == ("cat", "dog")
    assert sum(splits.sizes().values()) == 10
    assert splits.shape == (12, 12, 3)


def test_given_parts_are_kept(tmp_path: Path) -> None:
    for part, count in (("train", 6), ("valid", 2), ("test", 3)):
        folder(tmp_path / "pets" / part, count)
    assert load(tmp_path / "pets").sizes() == {"train": 12, "val": 4, "test": 6}


def test_mixed_sizes_and_channels_are_brought_together_and_noted(tmp_path: Path) -> None:
    folder(tmp_path / "mixed")
    picture(tmp_path / "mixed/cat/wide.jpg", size=(40, 20))
    picture(tmp_path / "mixed/cat/grey.png", mode="L")
    picture(tmp_path / "mixed/dog/palette.gif", mode="P")
    splits = load(tmp_path / "mixed")
    assert splits.shape == (12, 12, 3)
    assert any("resized to 12x12" in note and "--image-size" in note for note in splits.notes)


def decoded(path: Path, size: tuple[int, int], channels: int) -> np.ndarray:
    pixels = image_files.decode(path, size, channels)
    assert pixels is not None
    return pixels


def test_a_transparent_image_is_laid_on_white(tmp_path: Path) -> None:
    Image.new("RGBA", (4, 4), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    assert decoded(tmp_path / "clear.png", (4, 4), 3).min() == 255


def test_an_image_of_16_bits_is_not_clipped(tmp_path: Path) -> None:
    Image.fromarray(np.full((4, 4), 32_768, dtype="uint16")).save(tmp_path / "deep.png")
    assert abs(int(decoded(tmp_path / "deep.png", (4, 4), 1)[0, 0, 0]) - 127) <= 1


def test_an_npz_with_named_parts_and_classes_is_read(tmp_path: Path) -> None:
    x = RNG.integers(0, 255, (30, 6, 6), dtype="uint8")
    y = np.arange(30) % 3
    np.savez(
        tmp_path / "a.npz",
        x_train=x,
        y_train=y,
        x_test=x[:9],
        y_test=y[:9],
        class_names=["a", "b", "c"],
    )
    splits = load(tmp_path / "a.npz")
    assert splits.classes == ("a", "b", "c")
    assert splits.sizes()["test"] == 9


def test_a_folder_of_idx_files_is_read(tmp_path: Path) -> None:
    for stem, count in (("train", 40), ("t10k", 10)):
        x = RNG.integers(0, 255, (count, 5, 5), dtype="uint8")
        y = (np.arange(count) % 2).astype("uint8")
        extents = b"".join(extent.to_bytes(4, "big") for extent in x.shape)
        packed = gzip.compress(b"\0\0\x08\x03" + extents + x.tobytes())
        (tmp_path / f"{stem}-images-idx3-ubyte.gz").write_bytes(packed)
        labels = b"\0\0\x08\x01" + count.to_bytes(4, "big") + y.tobytes()
        (tmp_path / f"{stem}-labels-idx1-ubyte").write_bytes(labels)
    assert load(tmp_path).sizes() == {"train": 32, "val": 8, "test": 10}


def test_a_set_of_tensorflow_datasets_is_read_by_the_real_code() -> None:
    with tfds.testing.mock_data(num_examples=60):
        splits = load("tfds:mnist")
    assert splits.shape == (28, 28, 1)
    assert splits.classes == tuple(map(str, range(10)))


def test_a_limit_keeps_every_class() -> None:
    splits = load(limit=20)
    assert splits.sizes() == {"train": 13, "val": 3, "test": 4}
    assert len(set(splits.train.y.tolist())) == 10


@pytest.mark.parametrize("options", [{}, {"min_class": 8}])
def test_a_limit_opens_no_other_files_and_keeps_images_in_their_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, int]
) -> None:
    root = folder(tmp_path / "pets", 20, ("ant", "bee", "cat"))
    folder(root, 6, ("rare",))
    whole = load(root, **options)
    opened: list[Path] = []

    def decode_all(paths: list[Path], *how: Any) -> image_files.Decoded:
        opened.extend(paths)
        return image_files.decode_all(paths, *how)

    monkeypatch.setattr(readers, "decode_all", decode_all)
    limited = load(root, limit=16, **options)
    assert len(opened) == sum(limited.sizes().values()) == 16
    assert limited.classes == whole.classes
    assert set(limited.train.y.tolist()) == set(range(len(whole.classes)))
    for part in PARTS:
        names, names_of_whole = limited.images(part).names, whole.images(part).names
        assert names is not None
        assert names_of_whole is not None
        assert set(names) <= set(names_of_whole)


def test_mirrored_digits_are_not_recognised_by_their_neighbours() -> None:
    assert not load().mirrored


def test_many_images_are_decoded_into_a_mapped_file_and_give_the_same_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pets = pipeline(folder(tmp_path / "pets"))
    spec = VisionSpec()
    before = next(iter(pets.batches(pets.load(), "train", spec, training=False)))
    for module in (images, image_files):
        monkeypatch.setattr(module, "IN_MEMORY", 10)
    splits = pets.load()
    assert splits.train.on_disk
    after = next(iter(pets.batches(splits, "train", spec, training=False)))
    assert np.array_equal(before[0], after[0])
    assert np.array_equal(before[1], after[1])


# --- what is refused


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    assert "Did you mean 'digits'?" in refused("digit")


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    assert "holds no images in folders of classes. Expected" in refused(tmp_path)


def test_one_class_is_refused(tmp_path: Path) -> None:
    message = refused(folder(tmp_path / "one", classes=("cat",)))
    assert "at least 2 classes. Found 1 (cat: 5)" in message


def test_a_class_with_one_image_is_refused(tmp_path: Path) -> None:
    folder(tmp_path / "pets")
    picture(tmp_path / "pets/fox/0.png")
    message = refused(tmp_path / "pets")
    assert "each class needs at least 3 examples" in message
    assert "'fox' has 1" in message


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(b"not an image"),
        lambda path: path.write_bytes(path.read_bytes()[:150]),
    ],
    ids=["not an image", "truncated"],
)
def test_an_unreadable_image_is_named_and_left_out_only_on_request(
    tmp_path: Path, spoil: Callable[[Path], int]
) -> None:
    folder(tmp_path / "pets", 5, size=(30, 30))
    spoil(tmp_path / "pets/cat/3.png")
    message = refused(tmp_path / "pets")
    assert "1 of 10 images cannot be read" in message
    assert "cat/3.png" in message
    assert "--skip-unreadable" in message
    splits = load(tmp_path / "pets", skip_unreadable=True)
    assert sum(splits.sizes().values()) == 9
    assert any("1 unreadable images left out" in note for note in splits.notes)


def npz(tmp_path: Path, **arrays: object) -> Path:
    np.savez(tmp_path / "a.npz", **arrays)  # type: ignore[arg-type]
    return tmp_path / "a.npz"


X = RNG.integers(0, 255, (20, 6, 6), dtype="uint8")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": X, "y": np.asarray([{"no": 1}] * 20, dtype=object)}, "holds pickled objects"),
        (
            {"x": X, "y": np.where(np.arange(20) == 7, np.nan, 1.0)},
            "label 7 is NaN (1 such labels)",
        ),
        (
            {"x": X, "y": np.full(20, 0.5)},
            "expected classes, as whole numbers or names. Received: 0.5",
        ),
        (
            {"x": X, "y": np.arange(19)},
            "expected one label per image, shape (20,), or a single 1 in each row of zeros. "
            "Received: (19,)",
        ),
        ({"x": X[:, 0], "y": np.arange(20)}, "expected (images, height, width)"),
        ({"x": np.zeros((20, 3, 6, 6)), "y": np.arange(20)}, "channels stand first?"),
        (
            {"x": np.full((20, 6, 6), np.nan), "y": np.arange(20) % 2},
            "image 0 holds NaN or infinity (20 such images)",
        ),
        ({"x": X}, "has x but no labels beside it"),
        (
            {"faces": X, "names": np.arange(20)},
            "expected the arrays x and y, or x_train and y_train. Found: faces, names",
        ),
        ({"x": X, "y": np.arange(20) % 3, "class_names": ["a", "b"]}, "class_names has 2 names"),
        (
            {"x_train": X, "y_train": np.arange(20) % 2, "x_test": X, "y_test": np.arange(20) % 3},
            "test holds classes that train lacks: 2",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_arrays_that_cannot_be_used_are_refused(
    tmp_path: Path, arrays: dict[str, object], message: str
) -> None:
    assert message in refused(npz(tmp_path, **arrays))


def test_a_truncated_idx_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train-images-idx3-ubyte").write_bytes(b"\0\0\x08\x01\0\0\0\x09abc")
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01\0\0\0\x03abc")
    assert "is truncated. Expected 9 values, found 3" in refused(tmp_path)


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.docx").write_text("x")
    message = refused(tmp_path / "a.docx")
    assert "expected a folder of images, a table of paths or an NPZ file" in message


def test_an_unknown_set_of_tensorflow_datasets_is_refused_with_the_nearest() -> None:
    assert "Did you mean 'mnist'?" in refused("tfds:mnits")


def arrays_of(count: int = 30) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.integers(0, 255, (count, 8, 8), dtype="uint8"), np.arange(count) % 3


def test_arrays_are_known_by_the_names_that_medmnist_and_others_have(tmp_path: Path) -> None:
    x, y = arrays_of()
    parts: dict[str, Any] = {}
    for part, rows in (("train", x), ("val", x[:6]), ("test", x[:9])):
        parts |= {f"{part}_images": rows, f"{part}_labels": y[: len(rows), None]}
    np.savez(tmp_path / "medmnist.npz", **parts)
    np.savez(tmp_path / "plain.npz", images=x, Labels=y)
    assert load(tmp_path / "medmnist.npz").sizes() == {"train": 30, "val": 6, "test": 9}
    assert sum(load(tmp_path / "plain.npz").sizes().values()) == 30


def test_one_hot_labels_are_the_places_of_their_ones(tmp_path: Path) -> None:
    x, y = arrays_of()
    np.savez(tmp_path / "plain.npz", x=x, y=y)
    np.savez(tmp_path / "hot.npz", x=x, y=np.eye(3)[y])
    assert (
        load(tmp_path / "hot.npz").test.y.tolist() == load(tmp_path / "plain.npz").test.y.tolist()
    )


def test_an_archive_and_a_single_array_are_refused_with_what_to_type(tmp_path: Path) -> None:
    (tmp_path / "pets.zip").write_bytes(b"PK")
    np.save(tmp_path / "x.npy", arrays_of()[0])
    assert "unzip FILE.zip" in refused(tmp_path / "pets.zip")
    assert "np.savez('data.npz', x=x, y=y)" in refused(tmp_path / "x.npy")


def test_the_table_of_labels_is_named_for_a_folder_of_parts_or_of_images(tmp_path: Path) -> None:
    for part in ("test", "train"):
        (tmp_path / part).mkdir()
        Image.new("RGB", (8, 8)).save(tmp_path / part / "1.png")
        (tmp_path / part / "metadata.csv").write_text("file_name,label\n1.png,a\n")
    assert f"--data {tmp_path}/train/metadata.csv" in refused(tmp_path)
    for part in ("test", "train"):
        (tmp_path / part / "metadata.csv").unlink()
    (tmp_path / "labels.csv").write_text("id,label\n1,a\n")
    message = refused(tmp_path / "train")
    assert f"--data {tmp_path}/labels.csv --image-root {tmp_path}/train" in message
