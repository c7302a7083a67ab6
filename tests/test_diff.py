"""`appline diff`, on a real store, and the examples that it pairs in every domain's tables."""

import json
from pathlib import Path

import pandas as pd
import pytest

import apps.python as appline
from tests.stored_runs_samples import open_store, swept, trained
from tests.test_compare import printed, refused
from tuning.comparison.examples import changed_examples

OTHER_DATA = "fedcba9876543210"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a store of trainings, on the same data and on others."""
    folder = tmp_path_factory.mktemp("diff")
    tracker = open_store(folder)
    trained(tracker, "before", (0, 1, 2, 4, 6, 8, 10, 12), kernel=3)
    trained(tracker, "after", (1,), kernel=5)
    trained(tracker, "elsewhere", (1,), digest=OTHER_DATA)
    trained(tracker, "old", (1,), keeps_losses=False)
    swept(tracker, wrong=(0, 1))
    return folder


@pytest.fixture
def store(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(folder)
    return folder


def test_what_differs_is_named_with_both_values(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changes = json.loads(printed(capsys, "diff", "before", "after", "--json"))["changes"]
    assert changes == [{"kind": "hyperparameter", "key": "conv.kernel_size", "a": "3", "b": "5"}]


def test_mended_and_broken_examples_are_shown_with_both_answers(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = printed(capsys, "diff", "before", "after", "--examples", "1")
    assert "7 examples mended by B, 1 of them:" in text
    assert "0        cat    dog  cat" in text
    assert "0 examples broken by B" in text


def test_the_difference_has_an_interval_and_a_test(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = json.loads(printed(capsys, "diff", "before", "after", "--json"))
    assert found["outcome"] == "better"
    assert found["paired"]["mean"] == pytest.approx(7 / 20)
    assert found["paired"]["p_value"] == pytest.approx(2 / 2**7)
    assert 0 < found["paired"]["low"] < 7 / 20


def test_classes_are_compared_the_largest_difference_first(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = json.loads(printed(capsys, "diff", "before", "after", "--json"))["groups"]
    assert (first["group"], first["examples"], first["difference"]) == ("cat", 10, -0.7)
    assert (second["group"], second["difference"]) == ("dog", 0)


def test_runs_on_different_data_are_not_paired_and_the_digests_are_named(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = printed(capsys, "diff", "before", "elsewhere")
    assert "not paired: they were tested on different data, 01234567 and fedcba98" in text
    assert "mended" not in text


def test_a_run_without_losses_still_shows_its_examples(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = printed(capsys, "diff", "before", "old")
    assert "not paired: one of them has kept no losses" in text
    assert "7 examples mended by B" in text


def test_a_sweep_stands_for_its_final_run(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(printed(capsys, "diff", "after", "tpe sweep on pets", "--json"))
    assert found["scores"]["test/accuracy"] == {"a": 0.95, "b": 0.9}


def test_a_run_is_not_compared_with_itself(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "are the same run" in refused(capsys, "diff", "after", "after")


def test_all_changed_examples_are_written(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "changed.csv"
    printed(capsys, "diff", "before", "after", "--csv", str(path))
    written = pd.read_csv(path)
    assert list(written["change"].value_counts().items()) == [("mended", 7)]


def test_python_returns_the_difference_with_tables(store: Path) -> None:
    found = appline.diff("before", "after")
    assert found.paired is not None
    assert found.examples is not None
    assert len(found.examples.examples) == 7
    assert "better" in repr(found)


# --- what is paired in the tables of the domains


def test_ranked_targets_are_mended_when_they_come_among_the_first_ten() -> None:
    known = {"user": [1, 2, 3], "target": [7, 8, 9], "title": ["a", "b", "c"]}
    before = pd.DataFrame({**known, "rank": [11.0, 3.0, None], "top 1": ["x", "y", "z"]})
    after = pd.DataFrame({**known, "rank": [1.0, 50.0, None], "top 1": ["x", "y", "z"]})
    changed = changed_examples(before, after)
    assert changed is not None
    assert dict(zip(changed.examples["user"], changed.examples["change"], strict=True)) == {
        1: "mended",
        2: "broken",
    }


def test_forecasts_are_compared_by_series_where_there_are_several() -> None:
    known = {
        "unique_id": ["a", "a", "b", "b"],
        "ds": ["1", "2", "1", "2"],
        "y": [1.0, 1.0, 5.0, 5.0],
        "origin": ["0"] * 4,
        "step": [1, 2, 1, 2],
    }
    before = pd.DataFrame({**known, "mean": [2.0, 2.0, 5.0, 5.0]})
    after = pd.DataFrame({**known, "mean": [1.0, 1.0, 5.0, 5.5]})
    changed = changed_examples(before, after)
    assert changed is not None
    assert changed.grouped_by == "unique_id"
    assert dict(zip(changed.groups["group"], changed.groups["difference"], strict=True)) == {
        "a": -1.0,
        "b": 0.25,
    }
    assert not changed.is_right_or_wrong


def test_ratings_are_compared_by_their_errors() -> None:
    known = {"user": [1, 2], "target": [7, 8], "title": ["a", "b"], "rating": [5.0, 3.0]}
    before = pd.DataFrame({**known, "prediction": [4.0, 3.0], "error": [-1.0, 0.0]})
    after = pd.DataFrame({**known, "prediction": [5.0, 3.5], "error": [0.0, 0.5]})
    changed = changed_examples(before, after)
    assert changed is not None
    assert list(changed.examples["change"]) == ["mended", "broken"]


def test_tables_of_other_examples_are_not_compared() -> None:
    table = pd.DataFrame(
        {"example": [0, 1], "label": ["a", "b"], "answer": ["a", "a"], "right": [True, False]}
    )
    assert changed_examples(table, table.iloc[:1]) is None
    assert changed_examples(table, table.assign(label=["b", "b"])) is None
