"""What a narrow terminal shows: whole numbers, nothing beyond its edge, nothing left out."""

import os
import shutil
import sys

import pytest

from apps import rendering

COLUMNS = ["model", "accuracy", "balanced_accuracy", "f1_macro", "log_loss", "weights", "train s"]
ROWS = [
    ["answer: blend", "1.0000", "0.9000", "0.8000", "0.0003", "83,845", "104.8"],
    ["efficientnet-lite0 and logistic regression", "0.7000", "-", "0.6", "0.01", "", "0.3"],
]
TITLE = "text / texts: test scores (accuracy: higher is better)"


@pytest.fixture(params=[80, 100, 120])
def columns(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """A terminal with so many columns."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    size = os.terminal_size((request.param, 40))
    monkeypatch.setattr(shutil, "get_terminal_size", lambda *_: size)
    number: int = request.param
    return number


def test_a_table_of_scores_fits_and_holds_every_name_and_number(columns: int) -> None:
    """It was 100 columns wide at least, and every line of it wrapped."""
    text = rendering.table(COLUMNS, ROWS, title=TITLE)
    assert max(map(len, text.splitlines())) <= columns
    words = text.split()
    for row in ROWS:
        for cell in row[1:]:
            assert set(cell.split()) <= set(words), cell
        assert set(row[0].split()) <= set(words)
    assert {"balanced_accuracy", "balanced_"} & set(words)


def test_a_wide_terminal_has_one_line_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr(shutil, "get_terminal_size", lambda *_: os.terminal_size((130, 40)))
    assert len(rendering.table(COLUMNS, ROWS, title=TITLE).splitlines()) == 3 + len(ROWS)


def test_columns_of_text_begin_at_the_left() -> None:
    text = rendering.table(
        ["layer", "kind", "weights"], [["a", "Dense", "7"], ["b", "Conv2D", "1"]]
    )
    lines = text.splitlines()
    assert lines[2].index("Dense") == lines[3].index("Conv2D") == lines[0].index("kind")
    assert lines[2].endswith("      7")
