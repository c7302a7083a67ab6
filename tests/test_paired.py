"""Paired tests of two models on the same units, against what is known of them."""

import numpy as np
import pytest
from scipy import stats

from tuning.reports.paired import MCNEMAR, PAIRED_T, compare_losses, holm


def test_right_and_wrong_answers_are_tested_by_mcnemar_on_those_that_differ() -> None:
    # 9 mended, 1 broken, 30 the same: the binomial probability of 1 or fewer of 10, twice.
    losses = np.array([0.0] * 9 + [1.0] + [0.0] * 30)
    others = np.array([1.0] * 9 + [0.0] + [0.0] * 30)
    paired = compare_losses(losses, others)
    assert (paired.test, paired.won, paired.lost, paired.units) == (MCNEMAR, 9, 1, 40)
    assert paired.p_value == pytest.approx(2 * 11 / 1024)
    assert paired.mean == pytest.approx(0.2)
    assert paired.outcome(paired.p_value) == "better"


@pytest.mark.parametrize("lost", range(16))
def test_the_interval_of_right_and_wrong_answers_agrees_with_its_test(lost: int) -> None:
    others = np.array([1.0] * 15 + [0.0] * 25)
    losses = np.array([0.0] * 15 + [1.0] * lost + [0.0] * (25 - lost))
    paired = compare_losses(losses, others)
    assert (paired.low > 0) == (paired.p_value < 0.05)
    assert paired.low <= paired.mean <= paired.high


def test_other_losses_are_tested_by_a_t_test_of_their_differences() -> None:
    rng = np.random.default_rng(0)
    losses, noise = rng.uniform(size=30), rng.normal(0.1, 0.2, size=30)
    paired = compare_losses(losses, losses + noise)
    expected = stats.ttest_rel(losses + noise, losses)
    assert paired.test == PAIRED_T
    assert paired.p_value == pytest.approx(expected.pvalue)
    assert paired.low < paired.mean < paired.high


def test_two_models_that_answer_alike_are_a_tie() -> None:
    losses = np.array([0.0, 1.0, 0.0])
    paired = compare_losses(losses, losses)
    assert (paired.mean, paired.low, paired.high, paired.p_value) == (0, 0, 0, 1)
    assert paired.outcome(paired.p_value) == "tie"


def test_the_other_way_round_is_worse_by_as_much() -> None:
    losses, others = np.zeros(20), np.ones(20)
    assert compare_losses(others, losses).outcome(0.01) == "worse"
    assert compare_losses(others, losses).mean == -compare_losses(losses, others).mean


def test_different_units_are_not_compared() -> None:
    with pytest.raises(ValueError, match="the units differ"):
        compare_losses(np.zeros(3), np.zeros(4))


def test_holm_corrects_for_the_number_of_tests_and_keeps_the_order() -> None:
    # By hand: .01 * 3; .02 * 2; .04 * 1, which may not be smaller than the one before it.
    assert holm([0.04, 0.01, 0.02]) == pytest.approx([0.04, 0.03, 0.04])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []
