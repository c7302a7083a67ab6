"""Answers stand beside what was asked, and hold-outs are scored whole."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipelines.errors import DataError
from pipelines.vision.options import VisionOptions, VisionPredictOptions
from pipelines.vision.pipeline import VisionPipeline
from tests.photos import SIDE, Photos, pixels_of

TOLERANCE = 1e-4
SKIP = VisionPredictOptions(skip_unreadable=True)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Photos:
    return Photos(tmp_path_factory.mktemp("photos"))


# ------------------------------------------------------------------------------ joined back


def test_a_table_keeps_columns_paths_and_order_and_answers_stand_behind(photos: Photos) -> None:
    names = [str(path.relative_to(photos.folder)) for path in photos.files]
    table = pd.DataFrame(
        {"code": [f"00{n}" for n in range(len(names))], "file": names, "label": "?"}
    )
    table.to_csv(photos.folder / "new.csv", index=False)
    answers = photos.pipeline.predict_raw(photos.serving, photos.folder / "new.csv")
    assert answers.columns.tolist() == [
        *("code", "file", "label", "predicted_label", "probability", "p(dark)", "p(light)")
    ]
    assert answers["file"].tolist() == names
    assert answers["code"][0] == "000"
    probabilities = answers[["p(dark)", "p(light)"]].to_numpy()
    assert np.allclose(probabilities, photos.in_training, atol=TOLERANCE)


def test_paths_of_a_table_are_read_from_the_image_root(photos: Photos, tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text("picture of it,n\ndark/0.png,1\n")
    options = VisionPredictOptions(path_column="picture of it", image_root=str(photos.folder))
    answers = photos.pipeline.predict_raw(photos.serving, tmp_path / "new.csv", options)
    assert answers["picture of it"].tolist() == ["dark/0.png"]
    with pytest.raises(DataError, match="--image-root"):
        photos.pipeline.predict_raw(photos.serving, tmp_path / "new.csv")


def test_one_unreadable_image_does_not_refuse_the_others(photos: Photos, tmp_path: Path) -> None:
    good = photos.files[0].read_bytes()
    (tmp_path / "a.png").write_bytes(good)
    (tmp_path / "b.png").write_bytes(b"no image at all")
    (tmp_path / "c.png").write_bytes(good[: len(good) // 2])
    (tmp_path / "list.csv").write_text("image\na.png\nb.png\ngone.png\n../x.png\nc.png\na.png\n")
    with pytest.raises(DataError, match=r"images do not exist|leads out"):
        photos.pipeline.predict_raw(photos.serving, tmp_path / "list.csv")
    with pytest.raises(DataError, match=r"b\.png: is not an image.*--skip-unreadable"):
        photos.pipeline.predict_raw(photos.serving, tmp_path)
    notes: list[str] = []
    answers = photos.pipeline.predict_raw(photos.serving, tmp_path / "list.csv", SKIP, notes)
    assert answers["error"].isna().tolist() == [True, False, False, False, False, True]
    assert "is not an image" in answers["error"][1]
    assert "does not exist: line 4" in answers["error"][2]
    assert "leads out" in answers["error"][3]
    assert "truncated" in answers["error"][4]
    assert answers["label"].isna().tolist() == [False, True, True, True, True, False]
    first = answers.loc[0, ["p(dark)", "p(light)"]].astype(float)
    assert np.allclose(first, photos.in_training[0], atol=TOLERANCE)
    assert any("4 of 6 images cannot be read" in note for note in notes)


def test_a_folder_is_answered_at_any_depth_and_what_is_left_out_is_counted(
    photos: Photos, tmp_path: Path
) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    for name in ("in/a.png", "in/deep/b.PNG", "c.png"):
        (tmp_path / name).write_bytes(photos.files[0].read_bytes())
    (tmp_path / "in" / "notes.txt").write_text("no image")
    (tmp_path / "d.heic").write_bytes(b"....ftypheic")
    notes: list[str] = []
    answers = photos.pipeline.predict_raw(photos.serving, tmp_path, notes=notes)
    expected = [str(tmp_path / name) for name in ("c.png", "in/a.png", "in/deep/b.PNG")]
    assert answers["image"].tolist() == expected
    assert "2 files that are no images left out: 1 .heic, 1 .txt" in notes[0]
    assert "heif-convert" in notes[0]


def test_answers_do_not_depend_on_the_size_of_a_batch(
    photos: Photos, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.vision.serve.BATCH_VALUES", 3 * SIDE * SIDE * 3)
    answers = photos.pipeline.predict_raw(photos.serving, photos.folder)
    assert len(answers) == 40
    chosen = answers.set_index("image").loc[list(map(str, photos.files))]
    assert np.allclose(chosen[["p(dark)", "p(light)"]], photos.in_training, atol=TOLERANCE)


def test_an_image_of_another_size_is_said_to_be_so(photos: Photos, tmp_path: Path) -> None:
    for name, side in (("same", 100), ("nearly", 150), ("larger", 400), ("smaller", 24)):
        with Image.open(photos.files[0]) as image:
            image.resize((side, side)).save(tmp_path / f"{name}.png")
    options = VisionPredictOptions(drift=True)
    answers = photos.pipeline.predict_raw(photos.serving, tmp_path, options).set_index("image")
    drift = answers["drift"].rename(lambda path: Path(path).stem)
    assert "larger (size 400, in training" in drift["larger"]
    assert "smaller (size 24, in training" in drift["smaller"]
    assert "size" not in drift["same"] + drift["nearly"]


# ------------------------------------------------------------------------------ hold-outs


def hold_out(photos: Photos, data: Path, **options: Any) -> tuple[Any, dict[str, float]]:
    pipeline = VisionPipeline(VisionOptions(data=str(data), **options))
    splits = pipeline.load_hold_out(photos.serving)
    network = pipeline.restore_network(photos.serving, splits)
    predictions = pipeline.predict(network, splits, "test")
    table = pipeline.table(predictions, splits, "test")
    assert len(list(pipeline.plots(predictions, splits, "test"))) >= 2
    assert len(table) == splits.sizes()["test"]
    return table, pipeline.score(predictions, splits, "test")


def new_folder(photos: Photos, root: Path, counts: dict[str, int]) -> Path:
    for name, count in counts.items():
        (root / name).mkdir(parents=True)
        for number, path in enumerate(photos.files[:count]):
            (root / name / f"{number}.png").write_bytes(path.read_bytes())
    return root


def test_all_of_a_hold_out_is_scored_with_the_answers_of_predict(photos: Photos) -> None:
    table, scores = hold_out(photos, photos.folder)
    assert len(table) == 40
    answers = photos.pipeline.predict_raw(photos.serving, photos.folder)
    assert table["image"].tolist() == answers["image"].tolist()
    assert np.allclose(table["p(dark)"], answers["p(dark)"], atol=TOLERANCE)
    assert scores["accuracy"] == pytest.approx(table["right"].mean())


@pytest.mark.parametrize(
    "counts",
    [
        {"dark": 3},
        {"dark": 1, "light": 1},
        {"test/dark": 2, "test/light": 1},
        {"dark/test": 2, "light/test": 2},
        {"dark/2024/may": 2, "light/2025": 1},
    ],
)
def test_a_hold_out_may_have_one_class_one_image_or_parts_of_its_own(
    photos: Photos, tmp_path: Path, counts: dict[str, int]
) -> None:
    table, scores = hold_out(photos, new_folder(photos, tmp_path / "new", counts))
    assert len(table) == sum(counts.values())
    assert set(table["label"]) <= {"dark", "light"}
    assert 0 <= scores["accuracy"] <= 1


def test_classes_that_the_model_does_not_know_are_left_out_and_counted(
    photos: Photos, tmp_path: Path
) -> None:
    root = new_folder(photos, tmp_path / "new", {"dark": 2, "dusk": 3, "dawn": 1})
    splits = VisionPipeline(VisionOptions(data=str(root))).load_hold_out(photos.serving)
    assert splits.sizes() == {"train": 0, "val": 0, "test": 2}
    assert any(
        "4 images of 2 classes that the model does not know" in note
        and "dusk (3), dawn (1)" in note
        for note in splits.notes
    )
    root = new_folder(photos, tmp_path / "other", {"dusk": 2})
    with pytest.raises(DataError, match=r"knows none of its classes: dusk \(2\).*dark, light"):
        VisionPipeline(VisionOptions(data=str(root))).load_hold_out(photos.serving)


def test_a_hold_out_in_a_table_or_an_npz_file_is_brought_to_the_models_size(
    photos: Photos, tmp_path: Path
) -> None:
    rows = ["path,label,split"]
    for path in photos.files:
        rows.append(f"{path.relative_to(photos.folder)},{path.parent.name},test")
    (photos.folder / "labels.csv").write_text("\n".join(rows))
    table, _ = hold_out(photos, photos.folder / "labels.csv")
    assert np.allclose(table[["p(dark)", "p(light)"]], photos.in_training, atol=TOLERANCE)
    x = np.stack([pixels_of(path)[:50, :50] for path in photos.files])
    labels = np.asarray([path.parent.name for path in photos.files])
    np.savez(tmp_path / "new.npz", x=x / 255, y=labels)
    table, _ = hold_out(photos, tmp_path / "new.npz")
    expected = photos.predict(x)
    assert np.allclose(table[["p(dark)", "p(light)"]], expected, atol=TOLERANCE)


def test_an_unreadable_image_of_a_hold_out_is_refused_or_skipped(
    photos: Photos, tmp_path: Path
) -> None:
    root = new_folder(photos, tmp_path / "new", {"dark": 2})
    (root / "dark" / "x.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"1 of 3 images cannot be read.*x\.png: is not an image"):
        hold_out(photos, root)
    table, _ = hold_out(photos, root, skip_unreadable=True)
    assert len(table) == 2


@pytest.mark.parametrize(
    ("name", "form"), [("list.txt", "{path} {label}"), ("list.csv", "{path},{label}")]
)
def test_a_list_of_training_is_answered_whole(
    name: str, form: str, photos: Photos, tmp_path: Path
) -> None:
    paths = ["dark/0.png", "light/1.png"]
    lines = [form.format(path=path, label=path.partition("/")[0]) for path in paths]
    (photos.folder / name).write_text("\n".join(lines))
    answers = photos.pipeline.predict_raw(photos.serving, photos.folder / name)
    (photos.folder / name).unlink()
    assert answers.iloc[:, 0].tolist() == paths


def test_images_in_a_parquet_file_are_answered_without_their_bytes(
    photos: Photos, tmp_path: Path
) -> None:
    cells = [{"bytes": path.read_bytes(), "path": path.name} for path in photos.files]
    path = tmp_path / "images.parquet"
    labels = [path.parent.name for path in photos.files]
    pd.DataFrame({"image": cells, "label": labels}).to_parquet(path)
    answers = photos.pipeline.predict_raw(photos.serving, path)
    assert answers["image"][0] == photos.files[0].name
    probabilities = answers[["p(dark)", "p(light)"]].to_numpy()
    assert np.allclose(probabilities, photos.in_training, atol=TOLERANCE)
    _, scores = hold_out(photos, path)
    assert scores["accuracy"] == (answers["predicted_label"] == labels).mean()
