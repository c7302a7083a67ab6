"""Which items of a history are behind each recommendation: the history is ranked without each."""

from collections.abc import Sequence

import keras
import numpy as np

from pipelines.io.progress import counted

BECAUSE = "because"
MOST_ITEMS = 50  # of a history, the newest ones
SHOWN = 3  # items for each recommendation
DIGITS = 4
AT_ONCE = 256  # histories


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


def because(
    model: keras.Model,
    users: Sequence[int],
    histories: Sequence[Sequence[int]],
    best: np.ndarray,
    names: np.ndarray,
) -> np.ndarray:
    """Return for each recommendation `(rows, top)` which items have raised or lowered it most.

    `names` are those of all items; where there is no history, the text is empty.
    """
    told = np.full(best.shape, "", dtype=object)
    for row in counted(range(len(best)), "users explained", len(best)):
        if not histories[row]:
            continue
        items, raised = contributions(model, users[row], histories[row], best[row])
        shown = raised.round(DIGITS) + 0.0  # without a minus before 0
        for place in range(best.shape[1]):
            order = np.argsort(-np.abs(raised[:, place]), kind="stable")[:SHOWN]
            words = [f"{names[items[n] - 1]} {shown[n, place]:+.{DIGITS}f}" for n in order]
            told[row, place] = ", ".join(words)
    return told
