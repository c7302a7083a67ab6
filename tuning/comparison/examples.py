"""Two runs' answers on the same test examples: which were mended, which broken, by group."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

# Columns of a table of predictions (see the `table` functions of the domains).
RIGHT, LABEL, ANSWER = "right", "label", "answer"  # of classifiers
RANK, TOP = "rank", 10  # of rankers: a target among the first ten is found
RATING, PREDICTION = "rating", "prediction"  # of ratings
STEP, POINTS = "step", ("mean", "q0.5")  # of forecasts
ORIGIN = "origin"
MENDED, BROKEN = "mended", "broken"


@dataclass(frozen=True, kw_only=True)
class _Answers:
    """What is compared in a table of predictions, one value a row.

    `loss` is 0 or 1 where an answer is right or wrong, else the absolute error. `known` are the
    columns that tell the example and its truth, and `group` the one that groups them, "" for none.
    """

    answer: "pd.Series"
    loss: np.ndarray
    known: Sequence[str]
    group: str


def _answers(table: "pd.DataFrame") -> _Answers | None:
    columns = list(table.columns)
    if RIGHT in columns:
        known = columns[: columns.index(ANSWER)]
        wrong = 1.0 - table[RIGHT].to_numpy(float)
        return _Answers(answer=table[ANSWER], loss=wrong, known=known, group=LABEL)
    if RANK in columns:
        # Not ranked, such as an item that is not in train: not found.
        missed = 1.0 - (table[RANK] <= TOP).to_numpy(float)
        known = columns[: columns.index(RANK)]
        return _Answers(answer=table[RANK], loss=missed, known=known, group="")
    if PREDICTION in columns and RATING in columns:
        error = (table[PREDICTION] - table[RATING]).abs().to_numpy(float)
        known = columns[: columns.index(PREDICTION)]
        return _Answers(answer=table[PREDICTION], loss=error, known=known, group=RATING)
    if STEP in columns and ORIGIN in columns:
        known = [*columns[: columns.index(ORIGIN)], ORIGIN, STEP]
        truth = columns[columns.index(ORIGIN) - 1]
        point = next(name for name in POINTS if name in columns)
        error = (table[point] - table[truth]).abs().to_numpy(float)
        several_series = table[columns[0]].nunique() > 1
        group = columns[0] if several_series else STEP
        return _Answers(answer=table[point], loss=error, known=known, group=group)
    return None


@dataclass(frozen=True, kw_only=True)
class ChangedExamples:
    """The test examples that two runs answer differently well.

    `examples` has one row for each: the columns that tell the example and its truth, `answer_a`,
    `answer_b`, `loss_a`, `loss_b`, and `change`, mended or broken by the second run; the largest
    changes come first. `groups` has the mean loss by class, series, step or rating: `group`,
    `examples`, `loss_a`, `loss_b`, `difference` (b - a); the largest differences come first.
    `is_right_or_wrong` says whether losses are wrong answers, or absolute errors.
    """

    examples: "pd.DataFrame"
    groups: "pd.DataFrame"
    grouped_by: str
    is_right_or_wrong: bool


def changed_examples(first: "pd.DataFrame", second: "pd.DataFrame") -> ChangedExamples | None:
    """Compare two tables of predictions; None where they are not of the same examples."""
    import pandas as pd

    a, b = _answers(first), _answers(second)
    if a is None or b is None or list(a.known) != list(b.known):
        return None
    known = first[list(a.known)]
    if not known.equals(second[list(b.known)]):
        return None
    examples = known.assign(answer_a=a.answer, answer_b=b.answer, loss_a=a.loss, loss_b=b.loss)
    change = b.loss - a.loss
    examples["change"] = np.where(change < 0, MENDED, BROKEN)
    order = np.argsort(-np.abs(change), kind="stable")
    changed = examples.iloc[order][change[order] != 0].reset_index(drop=True)
    groups = pd.DataFrame(columns=["group", "examples", "loss_a", "loss_b", "difference"])
    if a.group:
        by_group = examples.groupby(a.group, sort=True)
        groups = by_group[["loss_a", "loss_b"]].mean()
        groups.insert(0, "examples", by_group.size())
        groups["difference"] = groups["loss_b"] - groups["loss_a"]
        groups = groups.rename_axis("group").reset_index()
        largest = groups["difference"].abs().sort_values(ascending=False, kind="stable")
        groups = groups.loc[largest.index].reset_index(drop=True)
    return ChangedExamples(
        examples=changed,
        groups=groups,
        grouped_by=a.group,
        is_right_or_wrong=bool(np.isin(a.loss, (0, 1)).all() and np.isin(b.loss, (0, 1)).all()),
    )
