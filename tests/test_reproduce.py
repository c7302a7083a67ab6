"""`appline reproduce`: a run trained again in another process, and what is said of it."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from pipelines import runtime
from tests.command_line import QUICK, appline_process
from tests.samples import small_log, small_series, small_texts
from tests.stored_runs_samples import open_store, trained
from tests.test_compare import refused
from tuning.comparison.difference import Change
from tuning.comparison.reproduction import (
    Reproduction,
    same_weights,
    shared_scores,
    without_command,
)
from tuning.reports.paired import compare_losses
from tuning.tracking.interface import WEIGHTS_OF, Row
from tuning.tracking.mlflow_tracker import open_tracker
from tuning.tracking.provenance import CODE, DETERMINISTIC, MACHINE, code_digest, origin_tags

Sample = Callable[[Path], Path]
SMALL: dict[str, tuple[Sample | None, tuple[str, ...]]] = {
    "vision": (None, QUICK),
    "text": (small_texts, ("--set", "conv.filters=8", "--epochs", "2")),
    "forecast": (small_series, ("--horizon", "6", "--lookback", "24", "--epochs", "2")),
    "recommend": (small_log, ("--epochs", "2")),
}


@pytest.mark.slow
@pytest.mark.parametrize("domain", SMALL)
def test_a_run_is_bit_identical_when_it_is_trained_again_in_another_process(
    domain: str, tmp_path: Path
) -> None:
    write, flags = SMALL[domain]
    data = ("--data", str(write(tmp_path / "data.csv"))) if write else ()
    first = appline_process(domain, "train", *data, *flags, "--run-name", "first", folder=tmp_path)
    assert first.returncode == 0, first.stderr
    again = appline_process("reproduce", "first", "--json", folder=tmp_path)
    assert again.returncode == 0, again.stderr
    assert "oneDNN" not in again.stderr, "TensorFlow is imported without its chatter"
    found = json.loads(again.stdout)
    assert found["outcome"] == "bit-identical"
    assert found["changes"] == []
    assert len(found["scores"]) > 4


@pytest.mark.slow
def test_folds_are_reproduced_by_the_last_one_whose_model_is_kept(tmp_path: Path) -> None:
    folds = ("--folds", "2", "--run-name", "folds")
    first = appline_process("vision", "train", *QUICK, *folds, folder=tmp_path)
    assert first.returncode == 0, first.stderr
    again = appline_process("reproduce", "folds", "--json", folder=tmp_path)
    assert again.returncode == 0, again.stderr
    found = json.loads(again.stdout)
    assert found["outcome"] == "bit-identical"
    rows = {row.id: row for row in open_tracker("vision/digits", root=tmp_path / "mlruns").rows()}
    assert rows[found["run"]].role == "fold"
    assert rows[found["run"]].params["fold"] == "2/2"


@pytest.mark.slow
def test_a_run_made_deterministic_by_the_environment_is_reproduced_so(tmp_path: Path) -> None:
    set_there = {"APPLINE_DETERMINISTIC": "true"}
    command = ("vision", "train", *QUICK, "--run-name", "first")
    first = appline_process(*command, folder=tmp_path, **set_there)
    assert first.returncode == 0, first.stderr
    again = appline_process("reproduce", "first", "--json", folder=tmp_path)
    assert again.returncode == 0, again.stderr
    store = open_tracker("vision/digits", root=tmp_path / "mlruns")
    rows = [row for row in store.rows() if row.role in ("train", "seed")]
    assert [row.tags.get(DETERMINISTIC) for row in rows] == ["true", "true"]


def test_only_a_run_with_deterministic_operations_is_tagged_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert DETERMINISTIC not in origin_tags()
    monkeypatch.setattr(runtime, "_is_deterministic", True)
    assert origin_tags()[DETERMINISTIC] == "true"


@pytest.mark.parametrize("last", [0.5, np.nextafter(np.float32(0.5), np.float32(1))])
def test_weights_are_the_same_when_every_bit_is(tmp_path: Path, last: float) -> None:
    paths = [tmp_path / "a.keras", tmp_path / "b.keras"]
    for path, value in zip(paths, (0.5, last), strict=True):
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        model.set_weights([np.array([[value]], "float32"), np.zeros(1, "float32")])
        model.save(path)
    assert same_weights(*paths) == (last == 0.5)


def _row(accuracy: float) -> Row:
    return Row(
        id="0123456789",
        name="",
        status="FINISHED",
        experiment="vision/pets",
        start_time=0,
        end_time=1,
        tags={},
        params={},
        metrics={"cost/train_s": 1.0, "val/accuracy": accuracy, "test/accuracy": accuracy},
    )


def _reproduction(wrong_again: int) -> Reproduction:
    """Return a repetition that errs in `wrong_again` of 100 examples; the run erred in none."""
    losses = np.zeros(100)
    losses_again = (np.arange(100) < wrong_again).astype(float)
    rows = _row(1.0), _row(1 - wrong_again / 100)
    return Reproduction(
        run=rows[0],
        again=rows[1],
        same_weights=not wrong_again,
        same_answers=not wrong_again,
        scores=shared_scores(*rows),
        changes=[],
        paired=compare_losses(losses_again, losses),
        unpaired="",
    )


def test_the_outcome_is_what_weights_answers_and_a_paired_test_say() -> None:
    outcomes = [_reproduction(wrong).outcome for wrong in (0, 2, 40)]
    assert outcomes == ["bit-identical", "within noise", "different"]
    assert replace(_reproduction(0), same_weights=False).outcome == "within noise"
    assert replace(_reproduction(2), paired=None).outcome == "different"


def test_scores_that_moved_are_named_without_costs() -> None:
    assert list(_reproduction(0).scores) == ["test/accuracy", "val/accuracy"]
    assert _reproduction(0).moved == {}
    assert _reproduction(2).moved["test/accuracy"] == (1.0, 0.98)


def test_another_command_line_is_no_change_of_a_repetition() -> None:
    command = Change(kind="code", key="command", a="appline vision train", b="appline reproduce")
    digest = Change(kind="code", key="digest", a="1", b="2")
    assert without_command([command, digest]) == [digest]


def test_a_run_says_by_which_code_and_on_which_machine_it_was_made() -> None:
    tags = origin_tags()
    assert tags[CODE] == code_digest()
    assert "Python 3" in tags[MACHINE]


def test_a_run_without_a_network_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained(open_store(tmp_path), "scored", (), role="evaluate")
    message = refused(capsys, "reproduce", "scored")
    assert "cannot be trained again (evaluate, FINISHED)" in message
    assert "appline runs" in message


def test_a_run_whose_weights_came_from_another_fit_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = open_store(tmp_path)
    kept = store.start("kept", role="final", tags={WEIGHTS_OF: "trial 3"})
    kept.finish()
    assert "it kept the weights of trial 3" in refused(capsys, "reproduce", "kept")
    trained(store, "further", (), role="seed")
    assert "cannot be trained again (seed, FINISHED)" in refused(capsys, "reproduce", "further")
