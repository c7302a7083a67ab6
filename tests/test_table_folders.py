"""Folders of tables are one data set, in all domains; tables may hold the images themselves."""

import base64
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from PIL import Image

from pipelines import create_pipeline
from pipelines.errors import DataError, UsageError
from pipelines.forecast.series_folders import named_by_its_file, read_folder
from pipelines.io.parts import whole_part
from pipelines.io.table_folders import tables_by_part
from pipelines.io.tables import read_table
from pipelines.recommend.data import RecommendSplits
from pipelines.text.data import TextSplits
from pipelines.vision import clean
from pipelines.vision.data import VisionSplits
from pipelines.vision.inputs import read_request
from pipelines.vision.options import VisionPredictOptions
from pipelines.vision.pictures import PictureFormat

COLOURS = ("red", "green", "blue")


def texts(count: int, first: int = 0) -> pd.DataFrame:
    numbers = range(first, first + count)
    said = [f"{'lovely' if number % 2 else 'awful'} thing number {number}" for number in numbers]
    return pd.DataFrame({"id": numbers, "text": said, "label": [n % 2 for n in numbers]})


def as_hub(table: pd.DataFrame, features: Mapping[str, Any], path: Path) -> None:
    """Write a Parquet file as `datasets` does, with the features in the schema's metadata."""
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    pa.parquet.write_table(pa.Table.from_pandas(table).replace_schema_metadata(metadata), path)


def load_texts(folder: Path, **options: Any) -> TextSplits:
    splits = create_pipeline("text", data=str(folder), **options).load()
    assert isinstance(splits, TextSplits)
    return splits


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("train", "train"),
        ("dev", "val"),
        ("validation", "val"),
        ("eval", "val"),
        ("test_data", "test"),
        ("trainset", "train"),
        ("train_labels", None),
        ("test_images", None),
        ("sample_submission", None),
        ("ratings", None),
    ],
)
def test_the_whole_name_of_a_table_stands_for_a_part(name: str, part: str | None) -> None:
    assert whole_part(name) == part


def test_tables_named_as_parts_are_the_parts_of_one_data_set(tmp_path: Path) -> None:
    for name, table in (("train", texts(40)), ("valid", texts(10, 40)), ("test", texts(12, 50))):
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    splits = load_texts(tmp_path)
    assert splits.sizes() == {"train": 40, "val": 10, "test": 12}
    assert "val is valid.csv: 10 rows" in splits.notes


def test_numbered_files_of_a_part_in_the_hubs_folder_are_put_together(tmp_path: Path) -> None:
    features = {"label": {"_type": "ClassLabel", "names": ["bad", "good"]}}
    for number, table in enumerate((texts(20), texts(20, 20))):
        as_hub(table, features, tmp_path / "data" / f"train-0000{number}-of-00002.parquet")
    as_hub(texts(12, 40), features, tmp_path / "data" / "test-00000-of-00001.parquet")
    (tmp_path / "README.md").write_text("# a card")
    splits = load_texts(tmp_path)
    assert splits.sizes()["train"] + splits.sizes()["val"] == 40
    assert splits.sizes()["test"] == 12
    assert splits.classes == ("bad", "good"), "the numbers of classes have names"


def test_a_part_whose_labels_a_contest_keeps_is_left_out_and_said(tmp_path: Path) -> None:
    texts(40).to_csv(tmp_path / "train.csv", index=False)
    texts(10, 40).drop(columns="label").to_csv(tmp_path / "test.csv", index=False)
    texts(10, 40)[["id", "label"]].to_csv(tmp_path / "sample_submission.csv", index=False)
    splits = load_texts(tmp_path)
    assert sum(splits.sizes().values()) == 40
    assert "test.csv has no column label: left out" in splits.notes


def test_a_message_names_the_file_beside_the_line(tmp_path: Path) -> None:
    texts(40).to_csv(tmp_path / "train.csv", index=False)
    (tmp_path / "test.csv").write_text("id,text,label\n1,lovely,1\n2,awful,\n")
    with pytest.raises(DataError, match=r"line 3 of test\.csv: no label"):
        load_texts(tmp_path)


def test_folders_of_classes_come_before_tables(tmp_path: Path) -> None:
    for number, row in texts(40).iterrows():
        folder = tmp_path / "train" / str(row.label)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}.txt").write_text(row.text)
    texts(4).to_csv(tmp_path / "train.csv", index=False)
    assert sum(load_texts(tmp_path).sizes().values()) == 40


def test_two_kinds_of_files_for_one_part_are_no_data_set(tmp_path: Path) -> None:
    texts(4).to_csv(tmp_path / "train.csv", index=False)
    texts(4).to_parquet(tmp_path / "train.parquet")
    assert tables_by_part(tmp_path) == {}


def test_labels_in_lists_have_their_names_too(tmp_path: Path) -> None:
    table = texts(40)
    table["label"] = [[n % 3] if n % 2 else [0, n % 3] for n in range(40)]
    feature = {"feature": {"_type": "ClassLabel", "names": ["a", "b", "c"]}, "_type": "Sequence"}
    as_hub(table, {"label": feature}, tmp_path / "train.parquet")
    assert load_texts(tmp_path / "train.parquet", multi_label=True).classes == ("a", "b", "c")


# ------------------------------------------------------------------------------ images in tables


def png(number: int) -> bytes:
    rng = np.random.default_rng(number)
    pixels = rng.integers(0, 80, (12, 10, 3)).astype("uint8")
    pixels[..., number % 3] += 120
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def images(numbers: Sequence[int]) -> pd.DataFrame:
    cells = [{"bytes": png(number), "path": f"{number}.png"} for number in numbers]
    return pd.DataFrame({"image": cells, "label": [number % 3 for number in numbers]})


IMAGE_FEATURES = {
    "image": {"_type": "Image"},
    "label": {"_type": "ClassLabel", "names": list(COLOURS)},
}


def load_images(data: Path, **options: Any) -> VisionSplits:
    splits = create_pipeline("vision", data=str(data), **options).load()
    assert isinstance(splits, VisionSplits)
    return splits


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    """A folder of images as the hub has it."""
    folder = tmp_path / "hub"
    as_hub(images(range(48)), IMAGE_FEATURES, folder / "data" / "train-00000-of-00001.parquet")
    as_hub(images(range(48, 60)), IMAGE_FEATURES, folder / "data" / "test-00000-of-00001.parquet")
    return folder


def test_images_inside_a_table_are_those_of_the_same_files(hub: Path, tmp_path: Path) -> None:
    for number in range(60):
        part = "train" if number < 48 else "test"
        folder = tmp_path / "files" / part / COLOURS[number % 3]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}.png").write_bytes(png(number))
    held, files = load_images(hub), load_images(tmp_path / "files")
    assert held.classes == files.classes == ("blue", "green", "red")
    of_held = {Path(held.test.name(row)).name: held.test.x[row] for row in range(12)}
    for row in range(12):
        assert np.array_equal(of_held[Path(files.test.name(row)).name], files.test.x[row])


def test_images_written_as_base64_are_read_too(tmp_path: Path) -> None:
    table = images(range(30))
    table["image"] = [base64.b64encode(cell["bytes"]).decode() for cell in table["image"]]
    table.to_csv(tmp_path / "images.csv", index=False)
    splits = load_images(tmp_path / "images.csv")
    assert splits.shape == (12, 10, 3)
    assert splits.train.name(0).startswith("line ")


@pytest.mark.parametrize("is_folder", [True, False])
def test_images_inside_tables_are_predicted_beside_their_names(
    hub: Path, *, is_folder: bool
) -> None:
    source = hub if is_folder else hub / "data" / "test-00000-of-00001.parquet"
    wanted = PictureFormat(size=(12, 10), channels=3, scale=255.0, lowest=0.0)
    request = read_request(source, wanted, VisionPredictOptions())
    assert request.pictures[-1] == png(59)
    assert request.frame["image"].iloc[-1] == "59.png"


def test_a_row_without_its_image_is_refused_by_line(tmp_path: Path) -> None:
    table = images(range(30))
    table.at[6, "image"] = None
    table.to_parquet(tmp_path / "images.parquet")
    with pytest.raises(DataError, match="line 7: the column 'image' holds no image"):
        load_images(tmp_path / "images.parquet")


def test_images_without_files_are_written_as_arrays_only(hub: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no files of their own.*\.npz"):
        clean.write_clean(load_images(hub), {}, tmp_path / "clean")


def test_a_text_that_is_too_long_for_a_path_is_no_path(tmp_path: Path) -> None:
    table = pd.DataFrame({"image": ["word " * 2000] * 4, "label": list("abab")})
    table.to_csv(tmp_path / "texts.csv", index=False)
    with pytest.raises(DataError, match=r"line 2: 'word word .*\.\.\.' is no path"):
        load_images(tmp_path / "texts.csv")


# ------------------------------------------------------------------------------ series in files


def prices(seed: int, days: int = 200) -> pd.DataFrame:
    values = 100 + np.random.default_rng(seed).normal(size=days).cumsum()
    times = pd.date_range("2023-01-01", periods=days).strftime("%Y-%m-%d")
    return pd.DataFrame({"Date": times, "Close": values})


def test_each_file_of_a_folder_is_a_series(tmp_path: Path) -> None:
    for seed, name in enumerate(("AAPL", "GOOG", "MSFT")):
        prices(seed).to_csv(tmp_path / f"{name}.csv", index=False)
    splits = create_pipeline("forecast", data=str(tmp_path), horizon=7).load()
    assert splits.describe()["series"] == "3 (AAPL, GOOG, MSFT)"
    assert "each of 3 files is a series: AAPL.csv, GOOG.csv, MSFT.csv" in splits.notes


def test_one_of_the_files_alone_is_the_series_of_its_name(tmp_path: Path) -> None:
    prices(0).to_csv(tmp_path / "AAPL.csv", index=False)
    table = read_table(tmp_path / "AAPL.csv")
    assert set(named_by_its_file(table, ["AAPL", "GOOG"]).frame["series"]) == {"AAPL"}
    assert named_by_its_file(table, ["GOOG"]) is table
    with_series = read_folder(tmp_path)
    assert named_by_its_file(with_series, ["AAPL"]).columns == with_series.columns


def test_numbered_files_of_one_table_are_put_together(tmp_path: Path) -> None:
    table = prices(0)
    table[:100].to_csv(tmp_path / "part-0000.csv", index=False)
    table[100:].to_csv(tmp_path / "part-0001.csv", index=False)
    splits = create_pipeline("forecast", data=str(tmp_path), horizon=7).load()
    assert splits.describe()["rows"].startswith("200, ")


def test_files_with_other_columns_are_refused_by_name(tmp_path: Path) -> None:
    prices(0).to_csv(tmp_path / "a.csv", index=False)
    pd.DataFrame({"name": ["x"], "city": ["y"]}).to_csv(tmp_path / "b.csv", index=False)
    with pytest.raises(DataError, match=r"a\.csv has the columns Date, Close, and b\.csv name"):
        create_pipeline("forecast", data=str(tmp_path)).load()


def test_a_folder_without_tables_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(0))
    with pytest.raises(DataError, match="a folder without tables"):
        create_pipeline("forecast", data=str(tmp_path)).load()


# ------------------------------------------------------------------------------ logs


@pytest.fixture
def log() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "user": rng.integers(0, 20, 600),
            "item": rng.integers(0, 30, 600),
            "timestamp": np.arange(600) + 10**9,
        }
    )


def test_logs_named_as_parts_are_one_log(log: pd.DataFrame, tmp_path: Path) -> None:
    for name, rows in (("train", log[:400]), ("valid", log[400:500]), ("test", log[500:])):
        rows.to_csv(tmp_path / f"{name}.csv", index=False)
    splits = create_pipeline("recommend", data=str(tmp_path)).load()
    assert "train is train.csv: 400 rows" in splits.notes


@pytest.mark.parametrize("task", ["rank", "rate"])
def test_a_log_of_train_and_test_has_val_out_of_train(
    task: str, log: pd.DataFrame, tmp_path: Path
) -> None:
    if task == "rate":
        log["rating"] = 1 + log["item"] % 5
    log[:400].to_csv(tmp_path / "train.csv", index=False)
    log[400:].to_csv(tmp_path / "test.csv", index=False)
    splits = create_pipeline("recommend", data=str(tmp_path), task=task).load()
    assert isinstance(splits, RecommendSplits)
    of_val = splits.part == 1
    assert splits.time[splits.part == 2].min() >= 10**9 + 400, "test stays as it is"
    if task == "rate":
        assert of_val.sum() == pytest.approx((splits.part < 2).sum() / 9, abs=1)
        return
    assert of_val.sum() == 20
    for user in range(1, 21):
        own = splits.person == user
        assert splits.time[own & (splits.part == 0)].max() < splits.time[own & of_val].min()
