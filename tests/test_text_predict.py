"""What a text model answers: tables, folders, lines, arrays, and what cannot be answered."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipelines.config.search_space import replace
from pipelines.errors import DataError
from pipelines.model_file import read_model, write_model
from pipelines.pipeline import ServingModel
from pipelines.text.inputs import Reader
from pipelines.text.options import TextOptions, TextPredictOptions
from pipelines.text.pipeline import TextPipeline
from pipelines.text.spec import TextSpec
from tests.samples import small_texts
from tests.texts import text_pipeline
from tuning.training.fit import fit
from tuning.training.monitor import Watch

SMALL = {"conv.filters": 8, "conv.blocks": 1, "embedding.width": 8, "train.epochs": 2}
TEXTS = ["lovely tea, so fresh", "awful soup", "the box was broken"]
PROBABILITIES = ["p(bad)", "p(good)"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a model of texts in two classes."""
    folder = tmp_path_factory.mktemp("model")
    pipeline = text_pipeline(small_texts(folder / "opinions.csv"))
    splits = pipeline.load()
    watch = Watch(objective=pipeline.objective_for(splits))
    network = fit(pipeline, replace(TextSpec(), SMALL), splits, seed=1, watch=watch).model
    pipeline.calibrate(network, splits)
    write_model(pipeline.serve(network, splits), folder / "model.keras")
    return folder / "model.keras"


@pytest.fixture(scope="module")
def served(saved: Path) -> ServingModel:
    return read_model(saved)


def answer(
    served: ServingModel, source: object, notes: list[str] | None = None, **options: object
) -> pd.DataFrame:
    chosen = TextPredictOptions(**options)  # type: ignore[arg-type]
    return TextPipeline.predict_raw(served, source, chosen, notes)  # type: ignore[arg-type]


# ---- tables


def test_a_table_keeps_its_columns_and_its_order(served: ServingModel, tmp_path: Path) -> None:
    table = pd.DataFrame({"id": ["007", "07", "7"], "text": TEXTS, "label": ["x", "y", "z"]})
    table.to_csv(tmp_path / "new.csv", index=False)
    answers = answer(served, tmp_path / "new.csv")
    assert list(answers.columns) == [
        *("id", "text", "label", "predicted_label", "probability"),
        *PROBABILITIES,
    ]
    assert answers["id"].tolist() == ["007", "07", "7"]
    assert answers["text"].tolist() == TEXTS
    assert answers["predicted_label"].tolist()[:2] == ["good", "bad"]


def test_an_empty_text_has_no_label_but_a_reason(served: ServingModel, tmp_path: Path) -> None:
    table = pd.DataFrame({"id": range(4), "text": [TEXTS[0], "", " \t", TEXTS[1]]})
    table.to_csv(tmp_path / "new.csv", index=False)
    notes: list[str] = []
    answers = answer(served, tmp_path / "new.csv", notes)
    assert answers["label"].isna().tolist() == [False, True, True, False]
    empty = answers[answers["label"].isna()]
    assert empty["error"].tolist() == ["no text"] * len(empty)
    assert empty[["probability", *PROBABILITIES]].isna().all(axis=None)
    assert answers["error"].isna().tolist() == [True, False, False, True]
    assert "2 rows without a text: no label, see the column error" in notes


def test_the_column_is_that_of_the_training_or_the_one_that_is_named(
    served: ServingModel, tmp_path: Path
) -> None:
    table = pd.DataFrame({"title": TEXTS[::-1], "TEXT": TEXTS})
    notes: list[str] = []
    answers = answer(served, table, notes)
    assert answers["label"].tolist() == answer(served, np.asarray(TEXTS))["label"].tolist()
    table.to_csv(tmp_path / "new.csv", index=False)
    assert answer(served, tmp_path / "new.csv", notes)["label"].tolist()[0] == "good"
    assert "columns: text=TEXT; not used: title" in notes
    other = answer(served, tmp_path / "new.csv", text_column="Title")
    assert other["label"].tolist()[-1] == "good"
    joined = answer(served, tmp_path / "new.csv", notes, text_column="title,text")
    alone = answer(served, np.asarray([f"{TEXTS[2]} {TEXTS[0]}"]))
    assert joined["p(good)"][0] == pytest.approx(alone["p(good)"][0], abs=1e-5)
    with pytest.raises(DataError, match=r"has no column 'txt' for the text\. Did you mean 'TEXT'"):
        answer(served, table, text_column="txt")


def test_of_a_table_with_other_names_the_long_texts_are_answered(served: ServingModel) -> None:
    table = pd.DataFrame({"key": ["a1", "b2", "c3"], "said": TEXTS})
    assert answer(served, table)["label"].tolist()[0] == "good"


def test_a_model_of_two_columns_joins_them_again(tmp_path: Path) -> None:
    table = pd.read_csv(small_texts(tmp_path / "opinions.csv"))
    table["head"] = table["text"].str.split().str[:2].str.join(" ")
    table.to_csv(tmp_path / "two.csv", index=False)
    pipeline = text_pipeline(tmp_path / "two.csv", text_column="head,text")
    splits = pipeline.load()
    served = pipeline.serve(pipeline.build(replace(TextSpec(), SMALL), splits), splits)
    notes: list[str] = []
    together = answer(served, table, notes)
    texts = (table["head"] + " " + table["text"]).to_numpy()
    assert np.allclose(together["p(good)"], answer(served, texts)["p(good)"], atol=1e-5)
    answer(served, table.drop(columns="head"), notes)
    assert "the table: the model was trained on head + text; only text is here" in notes


# ---- folders and lines


def test_texts_of_a_folder_keep_the_names_of_their_files(
    served: ServingModel, tmp_path: Path
) -> None:
    for number, name in enumerate(("b.txt", "a.txt", "deep/c.TXT")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(TEXTS[number])
    (tmp_path / "picture.png").write_bytes(b"x")
    notes: list[str] = []
    answers = answer(served, tmp_path, notes)
    assert answers["file"].tolist() == ["a.txt", "b.txt", "deep/c.TXT"]
    assert answers["text"].tolist() == [TEXTS[1], TEXTS[0], TEXTS[2]]
    assert answers["label"].tolist()[:2] == ["bad", "good"]
    assert any("left out: 1 .png" in note for note in notes)


def test_a_row_with_too_many_values_does_not_refuse_the_others(
    served: ServingModel, tmp_path: Path
) -> None:
    path = tmp_path / "new.csv"
    path.write_text("id,text\n1,lovely tea\n2,awful soup, too salty\n3,broken box\n")
    with pytest.raises(DataError, match="line 3: has 3 values"):
        answer(served, path)
    notes: list[str] = []
    answers = answer(served, path, notes, skip_unreadable=True)
    assert answers["id"].tolist() == ["1", "3"]
    assert any("1 row with more values than the header left out (line 3)" in note for note in notes)


def test_one_unreadable_file_does_not_refuse_the_others(
    served: ServingModel, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_text(TEXTS[0])
    (tmp_path / "b.txt").write_bytes(b"a\0b")
    (tmp_path / "c.txt").write_text(" ")
    with pytest.raises(DataError, match=r"b\.txt.*NUL byte.*Leave it out: --skip-unreadable"):
        answer(served, tmp_path)
    notes: list[str] = []
    answers = answer(served, tmp_path, notes, skip_unreadable=True)
    assert answers["file"].tolist() == ["a.txt", "b.txt", "c.txt"]
    assert answers["label"].isna().tolist() == [False, True, True]
    assert "NUL byte" in answers["error"][1]
    assert answers["error"][2] == "no text"
    alone = answer(served, tmp_path / "b.txt", notes, skip_unreadable=True)
    assert alone["label"].isna().all()
    assert "NUL byte" in alone["error"][0]


def test_lines_keep_their_numbers(served: ServingModel, tmp_path: Path) -> None:
    (tmp_path / "new.txt").write_text(f"{TEXTS[0]}\n\n{TEXTS[1]}\n\n")
    answers = answer(served, tmp_path / "new.txt")
    assert answers["line"].tolist() == [1, 2, 3]
    assert answers["label"].isna().tolist() == [False, True, False]


def test_a_text_file_with_a_named_column_is_a_table(served: ServingModel, tmp_path: Path) -> None:
    (tmp_path / "new.txt").write_text("id\tsaid\n" + "".join(f"7\t{text}\n" for text in TEXTS))
    answers = answer(served, tmp_path / "new.txt", text_column="said")
    assert answers["said"].tolist() == TEXTS


def test_gaps_of_an_array_have_no_label(served: ServingModel) -> None:
    given = np.asarray([TEXTS[0], None, float("nan"), b"awful soup"], dtype=object)
    answers = answer(served, given)
    assert answers["label"].isna().tolist() == [False, True, True, False]
    assert answers["label"][3] == "bad"


def test_a_text_in_the_place_of_a_file_is_told_where_texts_go(served: ServingModel) -> None:
    with pytest.raises(DataError, match="or - for texts on standard input"):
        answer(served, "lovely tea")


# ---- one model, one answer


def test_every_form_has_the_same_answer(served: ServingModel, tmp_path: Path) -> None:
    frame = pd.DataFrame({"text": TEXTS})
    (tmp_path / "new.txt").write_text("\n".join(TEXTS))
    frame.to_json(tmp_path / "new.json", orient="records")
    frame.to_json(tmp_path / "new.jsonl", orient="records", lines=True)
    frame.to_parquet(tmp_path / "new.parquet")
    frame.to_csv(tmp_path / "new.csv", index=False)
    import tensorflow as tf

    raw = served.model(tf.constant(TEXTS))
    first = answer(served, np.asarray(TEXTS))
    assert [label.decode() for label in raw["label"].numpy()] == first["label"].tolist()
    assert np.allclose(raw["probabilities"], first[PROBABILITIES], atol=1e-4)
    for name in ("new.txt", "new.json", "new.jsonl", "new.parquet", "new.csv"):
        other = answer(served, tmp_path / name)
        assert np.allclose(other[PROBABILITIES], first[PROBABILITIES], atol=1e-4)


@pytest.mark.slow
def test_a_saved_model_answers_in_a_bare_process(saved: Path, served: ServingModel) -> None:
    program = (
        "from pathlib import Path\n"
        "import tensorflow as tf\n"
        "from pipelines.model_file import read_model\n"
        f"model = read_model(Path({str(saved)!r})).model\n"
        f"print(model(tf.constant({TEXTS!r}))['probabilities'].numpy().tolist())\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    said = np.asarray(eval(run.stdout.splitlines()[-1]))
    assert np.allclose(said, answer(served, np.asarray(TEXTS))[PROBABILITIES], atol=1e-4)


# ---- hold-outs


def held_out(served: ServingModel, table: pd.DataFrame, folder: Path, **options: object):  # type: ignore[no-untyped-def]
    path = folder / "held.csv"
    table.to_csv(path, index=False)
    pipeline = TextPipeline(TextOptions(data=str(path), **options))  # type: ignore[arg-type]
    splits = pipeline.load_hold_out(served)
    model = pipeline.restore_network(served, splits)
    predictions = pipeline.predict(model, splits, "test")
    return pipeline, splits, predictions


@pytest.mark.parametrize("labels", [["good"], ["good", "bad"], ["bad"] * 5 + ["good"]])
def test_all_of_a_hold_out_is_scored_whatever_classes_it_has(
    served: ServingModel, labels: list[str], tmp_path: Path
) -> None:
    table = pd.DataFrame({"text": [f"{TEXTS[0]} {n}" for n in range(len(labels))], "label": labels})
    pipeline, splits, predictions = held_out(served, table, tmp_path)
    assert splits.sizes() == {"train": 0, "val": 0, "test": len(labels)}
    scores = pipeline.score(predictions, splits, "test")
    assert scores["accuracy"] == pytest.approx(labels.count("good") / len(labels))
    shown = pipeline.table(predictions, splits, "test")
    assert shown["row"].tolist() == list(range(2, 2 + len(labels)))
    assert shown["label"].tolist() == labels
    assert dict(pipeline.plots(predictions, splits, "test"))


def test_unknown_classes_of_a_hold_out_are_left_out_and_counted(
    served: ServingModel, tmp_path: Path
) -> None:
    table = pd.DataFrame(
        {
            "text": [*TEXTS, "so so", "", "no label"],
            "label": ["good", "bad", "fair", "fair", "good", None],
            "split": ["test"] * 6,
        }
    )
    pipeline, splits, predictions = held_out(served, table, tmp_path, min_class=3)
    assert splits.sizes()["test"] == 2
    assert "2 texts of classes that the model does not know left out: fair (2)" in splits.notes
    assert "1 row without a label left out (line 7)" in splits.notes
    assert pipeline.score(predictions, splits, "test")["accuracy"] == 1


def test_a_hold_out_without_a_known_class_is_refused(served: ServingModel, tmp_path: Path) -> None:
    table = pd.DataFrame({"text": TEXTS, "label": ["x", "y", "x"]})
    with pytest.raises(DataError, match=r"no text has a class that the model knows\. It knows bad"):
        held_out(served, table, tmp_path)


@pytest.mark.parametrize("layout", ["{label}", "test/{label}", "{label}/test", "deep/{label}"])
def test_a_folder_is_a_hold_out_whatever_lies_around_its_classes(
    served: ServingModel, layout: str, tmp_path: Path
) -> None:
    for number, label in enumerate(("good", "bad", "fair")):
        folder = tmp_path / "held" / layout.format(label=label)
        folder.mkdir(parents=True)
        (folder / f"{number}.txt").write_text(TEXTS[number])
    pipeline = TextPipeline(TextOptions(data=str(tmp_path / "held")))
    splits = pipeline.load_hold_out(served)
    model = pipeline.restore_network(served, splits)
    shown = pipeline.table(pipeline.predict(model, splits, "test"), splits, "test")
    assert shown["file"].tolist() == sorted(
        f"{layout.format(label=label)}/{n}.txt" for n, label in ((0, "good"), (1, "bad"))
    )
    assert shown["right"].all()
    assert len(splits.test.x) == 2


def test_a_limit_of_a_hold_out_is_said(served: ServingModel, tmp_path: Path) -> None:
    table = pd.DataFrame({"text": TEXTS, "label": ["good", "bad", "bad"]})
    _, splits, predictions = held_out(served, table, tmp_path, limit=2)
    assert len(predictions) == 2
    assert "2 of 3 texts are scored (limit=2; all: --limit 0)" in splits.notes


def test_lines_with_the_columns_of_the_training_are_rows_of_a_table(tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    path.write_text("good\tlovely tea\nbad\tstale tea, cold\n")
    asked = Reader(trained_on=["column 2"]).read(path)
    assert asked.texts.tolist() == ["lovely tea", "stale tea, cold"]
    path.write_text("a tab\tonce\nnone here\n")
    assert Reader(trained_on=["column 2"]).read(path).texts.tolist() == ["a tab\tonce", "none here"]
    path.write_text("one\ttwo\nthree\tfour\n")
    assert Reader(trained_on=["text"]).read(path).texts.tolist() == ["one\ttwo", "three\tfour"]
