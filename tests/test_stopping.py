"""Which running trials are stopped: rules of early stopping by hand-made curves."""

import pytest

from pipelines.config.options import Objective
from pipelines.errors import UsageError
from tuning.search.early_stopping import Stopper, create_stopper
from tuning.search.tuners import STOPPERS

ACCURACY = Objective(name="val_accuracy", direction="max")
LOSS = Objective(name="val_loss", direction="min")


def curve(rule: Stopper, number: int, scores: list[float]) -> int:
    """Return the epoch at which a trial with these scores is stopped, 0 when it is not."""
    for epoch, score in enumerate(scores, start=1):
        if rule.reported(number, epoch, score):
            return epoch
    return 0


def test_asha_judges_at_epochs_two_six_and_eighteen_and_keeps_the_best_third() -> None:
    rule = create_stopper("asha", ACCURACY)
    assert [curve(rule, number, [0.5 + number / 100] * 20) for number in (1, 2)] == [0, 0], (
        "the first ones have no baselines"
    )
    assert curve(rule, 3, [0.9] * 20) == 0
    assert curve(rule, 4, [0.1] * 20) == 2
    assert curve(rule, 5, [0.2, 0.95, 0.95, 0.95, 0.95, 0.2] * 3) == 0, (
        "the best score so far counts, not the last"
    )
    assert curve(rule, 6, [0.91, 0.91, 0.91, 0.91, 0.91, 0.91]) in (0, 6)


def test_asha_stops_only_at_its_rungs() -> None:
    rule = create_stopper("asha", ACCURACY)
    for number in range(1, 10):
        curve(rule, number, [0.9] * 18)
    ends = set()
    for number, start in enumerate((1, 2, 3, 6, 18), start=20):
        ends.add(curve(rule, number, [0.95] * (start - 1) + [0.1] * 20))
    assert ends <= {0, 2, 6, 18}


def test_where_less_is_better_the_largest_losses_are_stopped() -> None:
    for name in ("asha", "median"):
        rule = create_stopper(name, LOSS)
        assert [curve(rule, number, [0.2] * 6) for number in range(1, 6)] == [0] * 5
        assert curve(rule, 6, [3.0] * 6) == 2
        assert curve(rule, 7, [0.1] * 6) == 0


def test_the_median_rule_waits_for_four_trials() -> None:
    rule = create_stopper("median", ACCURACY)
    assert [curve(rule, number, [0.9 - number / 10] * 5) for number in range(1, 5)] == [0] * 4
    assert curve(rule, 5, [0.1] * 5) == 2


def test_without_a_rule_nothing_is_stopped() -> None:
    rule = create_stopper("none", ACCURACY)
    assert [curve(rule, number, [1.0 / number] * 20) for number in range(1, 20)] == [0] * 19


@pytest.mark.parametrize(
    ("epochs", "share"), [(1, 1.0), (2, 1.0), (6, (2 + 4 / 2) / 6), (18, (2 + 4 / 2 + 12 / 4) / 18)]
)
def test_the_expected_share_of_asha_is_that_of_halves_as_measured(
    epochs: int, share: float
) -> None:
    assert create_stopper("asha", ACCURACY).expected_share(epochs) == pytest.approx(share)


def test_an_unknown_rule_names_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"--early-stop ahsa: unknown\. Did you mean 'asha'"):
        create_stopper("ahsa", ACCURACY)
    assert set(STOPPERS) == {"none", "asha", "median"}


def test_a_trial_that_begins_again_is_judged_once() -> None:
    """A trial whose process died reports from epoch 1 again: its first reports are forgotten."""
    rule = create_stopper("asha", ACCURACY)
    for number in (1, 2):
        curve(rule, number, [0.5, 0.5])
    curve(rule, 3, [0.9, 0.9])
    rule.forget(3)
    assert curve(rule, 3, [0.4, 0.4]) == 2, "the better scores of its first attempt do not count"
    rule = create_stopper("median", ACCURACY)
    for number in range(1, 6):
        curve(rule, number, [0.5, 0.5])
        rule.forget(number)
    assert curve(rule, 6, [0.1, 0.1]) == 0, "nobody is left to compare with"
