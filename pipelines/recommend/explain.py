"""Which items of a history are behind each recommendation: the history is ranked without each."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import keras
import numpy as np

from pipelines.io.picture_files import DPI, MOST_PICTURES, new_files, note_of
from pipelines.io.progress import counted

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BECAUSE = "because"
MOST_ITEMS = 50  # of a history, the newest ones
SHOWN = 3  # items for each recommendation
DIGITS = 4
AT_ONCE = 256  # histories

# --- of a picture
MOST_PANELS = 5  # recommendations, the best first
MOST_BARS = 6  # items for each
WIDTH, BAR_HEIGHT, PANEL_ROOM = 7.5, 0.24, 0.5  # inches
LONGEST_TITLE = 48  # characters
SMALL_FONT, TITLE_FONT = 8, 10  # points
# Okabe and Ito, for all kinds of colour vision.
RAISES, LOWERS = "#0072b2", "#d55e00"


def contributions(
    model: keras.Model, user: int, history: Sequence[int], best: np.ndarray
) -> tuple[list[int], np.ndarray]:
    """Return items of a history, and by how much each has raised the scores of the items `best`.

    That is the score less the score without this item, wherever it stands in the history: (items,
    best). A model of scores that are brought to the same units for each user compares them so.
    """
    items = list(dict.fromkeys(reversed(history)))[:MOST_ITEMS]
    histories = [list(history)]
    histories += [[number for number in history if number != item] for item in items]
    scores = []
    for begin in range(0, len(histories), AT_ONCE):
        some = histories[begin : begin + AT_ONCE]
        padded = np.zeros((len(some), max(1, len(history))), np.int32)
        for row, left in enumerate(some):
            padded[row, padded.shape[1] - len(left) :] = left
        inputs = {"user": np.full(len(some), user, np.int32), "history": padded}
        scores.append(np.asarray(model(inputs, training=False)["scores"])[:, best])
    with_all, without = np.split(np.concatenate(scores), [1])
    # Items that cannot be recommended have a score of -inf with and without.
    with np.errstate(invalid="ignore"):
        return items, np.nan_to_num(with_all - without)


@dataclass(frozen=True)
class Reasons:
    """The items of a history, and by how much each has raised the score of each of the best ones.

    `raised` is `(items, best)`; both are empty where there is no history.
    """

    items: Sequence[int]
    raised: np.ndarray

    def strongest(self, place: int, most: int) -> list[tuple[int, float]]:
        """Return the items that have moved the score of one of the best most, and by how much."""
        if not self.items:
            return []
        of_one = self.raised[:, place]
        order = np.argsort(-np.abs(of_one), kind="stable")[:most]
        return [(self.items[n], float(of_one[n])) for n in order]

    def tell(self, place: int, names: np.ndarray) -> str:
        """Return the strongest items of one place in a few words; "" without a history."""
        words = []
        for item, raised in self.strongest(place, SHOWN):
            shown = round(raised, DIGITS) + 0.0  # without a minus before 0
            words.append(f"{names[item - 1]} {shown:+.{DIGITS}f}")
        return ", ".join(words)


def reasons(
    model: keras.Model, users: Sequence[int], histories: Sequence[Sequence[int]], best: np.ndarray
) -> list[Reasons]:
    """Return for each row what is behind its recommendations `(rows, top)`."""
    found = []
    for row in counted(range(len(best)), "users explained", len(best)):
        if histories[row]:
            found.append(Reasons(*contributions(model, users[row], histories[row], best[row])))
        else:
            found.append(Reasons((), np.empty((0, 0))))
    return found


def draw_all(
    found: Sequence[Reasons],
    best: np.ndarray,
    titles: Sequence[str],
    folder: Path,
    notes: list[str],
) -> np.ndarray:
    """Draw the first rows that have a history; return the file of each row, None without one.

    `best` are the recommended items `(rows, top)`, 0 where none was left; `titles` are those of all
    items.
    """
    files = np.full(len(found), None, dtype=object)
    explained = [row for row, reasons in enumerate(found) if reasons.items]
    drawn = explained[:MOST_PICTURES]
    paths = new_files(folder, [f"row-{row + 1}" for row in drawn])
    for row, path in zip(drawn, paths, strict=True):
        places = np.flatnonzero(best[row])[:MOST_PANELS]
        figure(found[row], best[row][places], places, titles).savefig(path, dpi=DPI)
        files[row] = str(path)
    notes.append(note_of(folder, len(drawn), len(explained), "rows with a history"))
    return files


def figure(
    reasons: Reasons, best: np.ndarray, places: np.ndarray, titles: Sequence[str]
) -> "Figure":
    """Return bars of the items behind each of the recommendations `best`, at these places."""
    from matplotlib.figure import Figure

    bars = min(MOST_BARS, len(reasons.items))
    height = len(best) * (BAR_HEIGHT * bars + PANEL_ROOM) + PANEL_ROOM
    drawing = Figure(figsize=(WIDTH, height), layout="constrained")
    panels = drawing.subplots(len(best), 1, sharex=True, squeeze=False).ravel()
    for axes, item, place in zip(panels, best, places, strict=True):
        strongest = reasons.strongest(place, MOST_BARS)[::-1]
        raised = [value for _, value in strongest]
        names = [_short(titles[number - 1]) for number, _ in strongest]
        colors = [RAISES if value > 0 else LOWERS for value in raised]
        axes.barh(range(len(raised)), raised, color=colors)
        axes.set_yticks(range(len(raised)), names, fontsize=SMALL_FONT, parse_math=False)
        axes.axvline(0, color="black", linewidth=0.8)
        title = f"{place + 1}. {_short(titles[item - 1])}"
        axes.set_title(title, loc="left", fontsize=TITLE_FONT, fontweight="bold", parse_math=False)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(axis="y", length=0)
    panels[-1].set_xlabel("how much of the score goes without this item of the history")
    return drawing


def _short(title: str) -> str:
    return title if len(title) <= LONGEST_TITLE else f"{title[: LONGEST_TITLE - 1]}…"
