"""Answers beside what was asked."""

import pandas as pd

from pipelines.io.answers import join_answers


def test_a_table_keeps_its_columns_its_order_and_its_own_labels() -> None:
    asked = pd.DataFrame({"id": ["007", "7"], "label": ["a", "b"]}, index=[5, 3])
    answers = pd.DataFrame({"label": ["b", "b"], "probability": [0.9, 0.8]})
    joined = join_answers(asked, answers)
    assert joined.columns.tolist() == ["id", "label", "predicted_label", "probability"]
    assert joined["id"].tolist() == ["007", "7"]
    assert joined["label"].tolist() == ["a", "b"]
    assert joined["predicted_label"].tolist() == ["b", "b"]


def test_a_table_that_was_answered_before_can_be_answered_again() -> None:
    asked = pd.DataFrame({"label": ["a"], "predicted_label": ["b"]})
    joined = join_answers(asked, pd.DataFrame({"label": ["c"]}))
    assert joined.iloc[0].tolist() == ["a", "b", "c"]
    assert len(set(joined.columns)) == 3
