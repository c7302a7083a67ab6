"""Scores of class probabilities, by the definitions of scikit-learn."""

import numpy as np
import pytest
from sklearn import metrics

from pipelines.evaluation.classification import absent_classes_note, scores


def test_macro_f1_is_the_mean_over_classes_of_labels_and_answers() -> None:
    labels = np.array([0, 0, 1, 1])
    answers = np.array([0, 0, 1, 3])
    probabilities = np.full((4, 5), 0.1)
    probabilities[np.arange(4), answers] = 0.6
    found = scores(labels, probabilities)
    # Classes 0, 1 and 3 with F1 of 1, 2/3 and 0: the absent classes 2 and 4 are no zeros.
    assert found["f1_macro"] == pytest.approx((1 + 2 / 3 + 0) / 3)
    assert found["f1_macro"] == pytest.approx(metrics.f1_score(labels, answers, average="macro"))


def test_macro_f1_of_several_labels_leaves_out_classes_that_nobody_names() -> None:
    labels = np.array([[1, 0, 0], [1, 1, 0]])
    probabilities = np.array([[0.9, 0.1, 0.2], [0.8, 0.3, 0.1]])
    # F1 of 1 for the first class and 0 for the second; the third is in neither.
    assert scores(labels, probabilities)["f1_macro"] == pytest.approx(0.5)


def test_macro_f1_of_no_labels_at_all_is_nought() -> None:
    assert scores(np.zeros((2, 3), int), np.full((2, 3), 0.1))["f1_macro"] == 0


def test_the_classes_that_a_hold_out_lacks_are_named() -> None:
    assert absent_classes_note({"a", "b"}, ["a", "b"]) == []
    (note,) = absent_classes_note({"a"}, ["a", "b", "c"])
    assert note.startswith("2 of the model's 3 classes are not in this data: b, c.")
