"""What one sees while waiting: what goes on, how far it is, how long it will take."""

import os
import sys
import time
from pathlib import Path

import pytest

from apps import work_line
from apps.progress_display import SweepDisplay
from apps.screen import EpochLine, Screen
from apps.work_line import WorkLine
from pipelines import load_data, options_class, runtime
from pipelines.io.progress import counted, shown_by, working
from tests.samples import SeenWork, small_texts
from tuning.training.step_progress import StepProgress


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> WorkLine:
    """A line that is shown from the first moment."""
    monkeypatch.setattr(work_line, "SHORTEST", 0.0)
    return WorkLine()


def test_the_line_names_all_work_down_to_what_is_counted(line: WorkLine) -> None:
    with shown_by(line), working("baselines"), working("EASE"):
        assert line.text() == "working    baselines: EASE, 0s so far"
        for number in counted(range(4), "settings", 4):
            if number == 2:
                text = line.text(columns=120)
                with working("something within"):
                    assert line.text(columns=120) == text
    expected = "working    baselines: EASE: 2 of 4 settings  [##########..........]  50%"
    assert text == f"{expected}, about 0s left"
    assert line.text() == ""


def test_time_left_follows_from_what_is_done(line: WorkLine) -> None:
    with shown_by(line), working("images", 100) as work:
        work.began = time.monotonic() - 30
        assert line.text() == "working    0 of 100 images, 30s so far"
        work.done = 25
        assert line.text() == "working    25 of 100 images  25%, about 1m30s left"


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (100, "working    baselines: item-kNN: 6 of 12 settings  [##########..........]  50%, a"),
        (90, "working    baselines: item-kNN: 6 of 12 settings  [#####.....]  50%, about 10s left"),
        (80, "working    baselines: item-kNN: 6 of 12 settings  50%, about 10s left"),
        (70, "working    baselines: item-kNN: 6 of 12 settings  50%, about 10s left"),
        (60, "working    item-kNN: 6 of 12 settings  50%, about 10s left"),
        (50, "working    6 of 12 settings  50%, about 10s left"),
        (30, "working    6 of 12 settings …"),
    ],
)
def test_the_line_of_a_terminal_is_one_line_and_keeps_the_time_left(
    line: WorkLine, columns: int, expected: str
) -> None:
    """A line that is wrapped is not erased: at 80 columns each one stayed on the screen."""
    with shown_by(line), working("baselines"), working("item-kNN"), working("settings", 12) as work:
        work.began, work.done = time.monotonic() - 10, 6
        text = line.text(columns=columns)
    assert text.startswith(expected)
    assert len(text) < columns


def test_short_work_has_no_line() -> None:
    line = WorkLine()
    with shown_by(line), working("a moment"):
        assert line.text() == ""


def test_on_a_pipe_a_line_is_written_now_and_then_and_nothing_is_overwritten(
    line: WorkLine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(work_line, "INTERVAL", (0.05, 0.05))
    with line.running(), working("reading"):
        time.sleep(0.3)
    written = capsys.readouterr().err
    assert written.count("working    reading, 0s so far\n") >= 2
    assert "\x1b" not in written


def test_what_holds_back_standard_error_holds_back_no_progress(
    line: WorkLine, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """As while TensorFlow is imported: the line was lost, and the one before stayed for good."""
    monkeypatch.setattr(work_line, "INTERVAL", (0.05, 0.05))
    with os.fdopen(os.dup(2), "w") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        with line.running(), working("reading"), runtime._without_stderr():
            os.write(2, b"chatter")
            time.sleep(0.3)
    written = capfd.readouterr().err
    assert "working    reading, 0s so far\n" in written
    assert "chatter" not in written


def test_a_quiet_command_shows_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(work_line, "SHORTEST", 0.0)
    monkeypatch.setattr(work_line, "INTERVAL", (0.02, 0.02))
    with Screen(quiet=True).progress("reading"):
        time.sleep(0.1)
    assert capsys.readouterr().err == ""


def test_epochs_say_how_long_the_training_will_take_at_most(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = iter([100.0, 110.0, 120.0])
    epochs = EpochLine(Screen(), 4, "val_loss")
    monkeypatch.setattr("apps.screen.time.monotonic", lambda: next(now))
    for epoch in (1, 2, 3):
        epochs(epoch, {"loss": 1.0, "val_loss": 2.0})
    assert capsys.readouterr().err.splitlines() == [
        "epoch 1/4  loss 1  val_loss 2",
        "epoch 2/4  loss 1  val_loss 2  at most 20s left",
        "epoch 3/4  loss 1  val_loss 2  at most 10s left",
    ]


def test_an_epoch_has_no_more_steps_than_it_has() -> None:
    # 100 steps, 32 of them at once: Keras says of the last execution that it ends with step 127.
    progress = StepProgress()
    progress.set_params({"steps": 100})
    seen = SeenWork()
    with shown_by(seen):
        progress.on_epoch_begin(0)
        for batch, done in ((95, 96), (127, 100)):
            progress.on_train_batch_end(batch)
            assert [work.done for work in seen.works] == [done]
        progress.on_train_end()


def test_validation_after_the_steps_of_an_epoch_is_said() -> None:
    progress = StepProgress()
    progress.set_params({"steps": 4})
    seen = SeenWork()
    with shown_by(seen):
        progress.on_epoch_begin(1)
        progress.on_train_batch_end(3)
        progress.on_test_begin()
        progress.on_epoch_end(1)
    assert [work.what for work in seen.works] == ["steps of epoch 2", "validation after epoch 2"]


def test_what_compares_the_parts_of_the_data_is_said(tmp_path: Path) -> None:
    """Of 200,000 texts it took 14 s that were called reading."""
    options = options_class("text")(data=str(small_texts(tmp_path / "texts.csv")))
    seen = SeenWork()
    with shown_by(seen):
        load_data(options)
    named = [work.what for work in seen.works]
    assert "comparisons of texts" in named[named.index("the audit") :]


def test_the_epochs_of_a_sweeps_winner_say_how_many_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    display = SweepDisplay(Screen(), "val_loss", final_epochs=3)
    display.final_epoch(1, {"loss": 1.0, "val_loss": 2.0})
    assert capsys.readouterr().err == "epoch 1/3  loss 1  val_loss 2\n"
