"""Answers beside what was asked: a table keeps its columns, and answers never overwrite them."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

PREDICTED = "predicted_"
ERROR = "error"  # the column that says why a row has no answer


def join_answers(asked: "pd.DataFrame", answers: "pd.DataFrame") -> "pd.DataFrame":
    """Return the columns of `asked`, as they are and in order, and those of `answers` behind them.

    Both have a row for each input, in the same order. An answer whose name the table has already,
    such as a `label` that a person knows, is called `predicted_label`.
    """
    taken = set(map(str, asked.columns))
    names = {}
    for name in answers.columns:
        new = str(name)
        while new in taken:
            new = f"{PREDICTED}{new}"
        names[name] = new
        taken.add(new)
    renamed = answers.rename(columns=names)
    return asked.reset_index(drop=True).join(renamed.reset_index(drop=True))
