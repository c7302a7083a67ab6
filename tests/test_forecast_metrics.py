"""Forecast scores against numbers computed by hand."""

import numpy as np
import pytest

from pipelines.forecast import metrics

TRUTH = np.array([[1.0, 3.0], [2.0, -2.0]])
POINT = np.array([[2.0, 3.0], [0.0, 2.0]])  # errors -1, 0 / 2, -4


def test_mase_divides_each_window_by_its_own_scale() -> None:
    # Window 1: mean error 0.5 by 2; window 2: mean error 3 by 4.
    assert metrics.mase(TRUTH, POINT, np.array([2.0, 4.0])) == pytest.approx((0.25 + 0.75) / 2)


def test_mase_leaves_out_windows_without_a_scale() -> None:
    assert metrics.mase(TRUTH, POINT, np.array([2.0, np.nan])) == pytest.approx(0.25)


def test_pinball_charges_the_level_for_truth_above_and_the_rest_for_truth_below() -> None:
    # Errors -1, 0, 2, -4 at level .9: .1 * 1 + 0 + .9 * 2 + .1 * 4, over 4 values.
    assert metrics.pinball(TRUTH, POINT, 0.9) == pytest.approx((0.1 + 1.8 + 0.4) / 4)


def test_wql_of_the_median_alone_is_wape() -> None:
    assert metrics.wql(TRUTH, POINT[..., None], [0.5]) == pytest.approx(metrics.wape(TRUTH, POINT))


def test_wql_is_the_mean_over_levels() -> None:
    quantiles = np.stack([POINT, POINT], axis=-1)
    # Pinball at .1: .9 * 1 + .1 * 2 + .9 * 4 = 4.7; at .9: 2.3; over 4 values; mean |truth| is 2.
    assert metrics.wql(TRUTH, quantiles, [0.1, 0.9]) == pytest.approx(
        2 * ((4.7 / 4 + 2.3 / 4) / 2) / 2
    )


def test_coverage_counts_borders_as_inside() -> None:
    assert metrics.coverage(TRUTH, np.full((2, 2), -2.0), np.full((2, 2), 2.0)) == 0.75


def test_wape_is_the_sum_of_errors_by_the_sum_of_truths() -> None:
    assert metrics.wape(TRUTH, POINT) == pytest.approx(7 / 8)


def test_smape_runs_to_200_and_is_0_where_both_are_0() -> None:
    assert metrics.smape(np.array([[1.0, 0.0]]), np.array([[-1.0, 0.0]])) == pytest.approx(
        100.0
    )  # 200 and 0
    assert metrics.smape(TRUTH, POINT) == pytest.approx(200 * (1 / 3 + 0 + 2 / 2 + 4 / 4) / 4)
