"""Figures of trials and verdicts show what was measured, legibly in both themes."""

import re
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text
from matplotlib.tri import TriContourSet

from pipelines.config.options import Objective
from pipelines.config.search_space import Choice, Dimension, Range
from tests.test_report_page import FINAL, KERNEL
from tuning.reports import plots, significance, trial_plots, verdict_plots
from tuning.reports.contour_plot import contour
from tuning.reports.report_page import THEMED, final_report
from tuning.results.sweep import Candidate, Selection, Trial
from tuning.results.training import ScoredBaseline
from tuning.verdicts import Lift

ACCURACY = Objective(name="accuracy", direction="max")
VAL_ACCURACY = Objective(name="val_accuracy", direction="max")
LIFTS = [
    Lift(baseline="forest", mean=-0.1, low=-0.2, high=-0.05),
    Lift(baseline="most frequent", mean=0.5, low=0.4, high=0.6),
    Lift(baseline="neighbours", mean=0.01, low=-0.1, high=0.1),
]
BEGAN = 1_700_000_000.0  # seconds since 1970
NARROWEST_PIXELS = 9
PAGE_WIDTH = 992  # pixels that a figure has in the report
PIXELS_PER_INCH = 96


def trial(number: int, start: float, worker: str = "here 1", **changes: object) -> Trial:
    values: dict[str, object] = {
        "number": number,
        "values": {},
        "scores": (0.5,),
        "start_time": BEGAN + start,
        "seconds": 10.0,
        "worker": worker,
        "epochs": 2,
    }
    return Trial(**{**values, **changes})  # type: ignore[arg-type]


def baseline(name: str, val: float, losses: list[float]) -> ScoredBaseline:
    return ScoredBaseline(
        name=name,
        val={"accuracy": val},
        test={"accuracy": val},
        losses=np.array(losses),
        cost={"train_s": 0.1},
        params={},
    )


SELECTION = Selection(
    candidates=[
        Candidate(number=4, score=0.9, scores=(0.8, 0.9), weights=1000),
        Candidate(number=2, score=0.95, scores=(0.7, 0.8), weights=500),
    ],
    objective="val_accuracy",
    best=4,
    winner=4,
    standard_error=0.05,
    ties=[4],
)


def texts(figure: Figure) -> list[str]:
    drawn = [text for text in figure.findobj(Text) if isinstance(text, Text)]
    return [text.get_text() for text in drawn if text.get_visible() and text.get_text()]


def arrows(figure: Figure) -> int:
    notes = [text for text in figure.findobj(Annotation) if isinstance(text, Annotation)]
    return sum(note.arrow_patch is not None for note in notes)


def test_a_pause_before_a_sweep_was_resumed_is_cut_out_of_its_timeline() -> None:
    trials = [trial(1, 0), trial(2, 10), trial(3, 100_000), trial(4, 100_010)]
    axes = trial_plots.timeline(trials, winner=3).axes[0]
    bars = [(bar.get_x(), bar.get_width()) for bar in axes.patches]  # type: ignore[attr-defined]
    assert bars == [(0, 10), (10, 10), (20, 10), (30, 10)]
    assert axes.get_xlabel() == "seconds since the first trial began (dotted: 1 pauses are cut out)"


def test_each_worker_has_a_row_and_its_machine_is_named_where_there_are_several() -> None:
    trials = [trial(1, 0, "a 7"), trial(2, 1, "a 8"), trial(3, 10, "a 7"), trial(4, 3, "b 7")]
    rows = trial_plots.timeline(trials, winner=1).axes[0].get_yticklabels()
    assert [row.get_text() for row in rows] == ["worker 1 on a", "worker 2 on a", "worker 3 on b"]
    one = trial_plots.timeline([trials[0]], winner=1).axes[0].get_yticklabels()
    assert [row.get_text() for row in one] == ["worker 1"]


def test_statuses_of_trials_differ_by_more_than_colour() -> None:
    trials = [
        trial(1, 0),
        trial(2, 10, stopped_early=True),
        trial(3, 20, scores=(), reason="no memory"),
    ]
    figure = trial_plots.timeline(trials, winner=1)
    assert len({bar.get_hatch() for bar in figure.axes[0].patches}) == 3
    assert {"finished", "stopped early", "failed"} <= set(texts(figure.legends[0].figure))  # type: ignore[arg-type]


def test_a_long_sweep_is_measured_in_hours() -> None:
    axes = trial_plots.timeline([trial(1, 5.0, seconds=4 * 3600.0)], winner=1).axes[0]
    assert axes.get_xlabel() == "hours since the first trial began"
    assert axes.patches[0].get_width() == 4  # type: ignore[attr-defined]


def test_the_forest_shows_each_lift_with_its_interval_the_lowest_at_the_bottom() -> None:
    figure = verdict_plots.lifts(LIFTS, ACCURACY)["lifts"]
    rows = [row.get_text() for row in figure.axes[0].get_yticklabels()]
    assert rows == ["forest (decides)", "neighbours", "most frequent"]
    assert "-0.1 (-0.2 to -0.05)" in texts(figure)
    assert {"beats", "ties", "loses to"} <= set(texts(figure))
    assert verdict_plots.lifts([], ACCURACY) == {}


def test_a_lift_far_beyond_the_others_is_an_arrow_with_its_number() -> None:
    lifts = [
        Lift(baseline="neighbours", mean=-0.003, low=-0.01, high=0.005),
        Lift(baseline="regression", mean=0.03, low=0.01, high=0.05),
        Lift(baseline="most frequent", mean=0.9, low=0.85, high=0.95),
    ]
    figure = verdict_plots.lifts(lifts, ACCURACY)["lifts"]
    lowest, highest = figure.axes[0].get_xlim()
    assert -0.02 < lowest < -0.01
    assert 0.05 < highest < 0.06
    assert arrows(figure) == 1
    assert "+0.9 (+0.85 to +0.95)" in texts(figure)
    assert "arrow: beyond the axis" in figure.axes[0].get_xlabel()


def test_lifts_of_one_size_are_all_on_the_axis() -> None:
    figure = verdict_plots.lifts(LIFTS[:1], ACCURACY)["lifts"]
    assert figure.axes[0].get_xlim() == pytest.approx((-0.21, 0.01))
    nothing = [Lift(baseline="same", mean=0.0, low=0.0, high=0.0), LIFTS[1]]
    assert arrows(verdict_plots.lifts(nothing, ACCURACY)["lifts"]) == 0


def pairs(*tried: tuple[float, float, float]) -> list[Trial]:
    """Trials by number of their `kernel`, `rate` and score."""
    trials = []
    for number, (kernel, rate, score) in enumerate(tried, start=1):
        values = {"kernel": kernel, "rate": rate}
        trials.append(trial(number, 0, values=values, scores=(score,)))
    return trials


KERNEL_SIZES = Choice((5, 3))
WITH_RANGE: dict[str, Dimension] = {"kernel": KERNEL_SIZES, "rate": Range(1e-4, 1e-2, log=True)}
TABLE = pairs((3, 1, 0.2), (3, 1, 0.4), (5, 2, 0.9))
MAP = pairs((3, 1e-4, 0.2), (3, 1e-2, 0.4), (5, 1e-3, 0.9))


def test_of_two_choices_the_map_shows_each_pair_that_was_tried_and_its_trials() -> None:
    searched: dict[str, Dimension] = {"kernel": KERNEL_SIZES, "rate": Choice((1, 2))}
    figure = contour(TABLE, searched, VAL_ACCURACY, winner=TABLE[2])["contour"]
    assert {"0.3\n2 trials", "0.9\n1 trial\nwith the winner"} <= set(texts(figure))
    axes = figure.axes[0]
    assert len(axes.patches) == 2
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["3", "5"]
    assert figure.axes[1].get_ylabel() == "mean val_accuracy (higher is better)"


def test_a_map_of_a_range_has_colours_between_trials_that_span_an_area() -> None:
    axes = contour(MAP, WITH_RANGE, VAL_ACCURACY, winner=MAP[2])["contour"].axes[0]
    assert any(isinstance(drawn, TriContourSet) for drawn in axes.collections)
    assert np.asarray(axes.collections[-1].get_offsets()).tolist() == [[1, -3]]  # the winner
    on_a_line = pairs((3, 1e-4, 0.2), (3, 1e-3, 0.4), (3, 1e-2, 0.9))
    axes = contour(on_a_line, WITH_RANGE, VAL_ACCURACY, winner=on_a_line[0])["contour"].axes[0]
    assert not any(isinstance(drawn, TriContourSet) for drawn in axes.collections)
    assert contour(on_a_line[:1], WITH_RANGE, VAL_ACCURACY, winner=on_a_line[0]) == {}


def test_the_title_of_an_effect_that_was_confounded_with_many_stays_short() -> None:
    confounded = replace(KERNEL, together=("stride", "filters", "blocks"))
    figure = plots.effects([confounded, replace(KERNEL, together=("stride",))], VAL_ACCURACY)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[0] == "kernel\nchanged together with 3 others"
    assert titles[1] == "kernel\nchanged together with stride"


def test_curves_that_end_together_share_the_place_of_their_numbers() -> None:
    ends = {1: [0.1, 0.9], 2: [0.1, 0.895], 3: [0.1, 0.5], 4: [0.9]}
    figure = trial_plots.curves(ends, VAL_ACCURACY, winner=1)
    assert {"1, 2", "3", "4"} <= set(texts(figure))


def test_refits_stand_beside_the_baselines_on_the_same_metric_alone() -> None:
    baselines = [baseline("neighbours", 0.7, [0.0]), baseline("forest", 0.8, [0.0])]
    figure = verdict_plots.refits(SELECTION, baselines, ACCURACY)["refits"]
    rows = [row.get_text() for row in figure.axes[0].get_yticklabels()]
    assert rows == ["trial 2", "trial 4 (winner)"]
    assert {"neighbours", "forest"} <= set(texts(figure))
    other = Objective(name="balanced_accuracy", direction="max")
    assert "forest" not in texts(verdict_plots.refits(SELECTION, baselines, other)["refits"])


def test_there_is_a_lift_over_each_baseline_the_strongest_first() -> None:
    losses = np.array([0.0, 0.0, 1.0, 0.0])
    baselines = [
        baseline("weak", 0.2, [1.0, 1.0, 1.0, 0.0]),
        baseline("strong", 0.9, [0.0, 0.0, 0.0, 1.0]),
        baseline("broken", float("nan"), [1.0, 1.0, 1.0, 1.0]),
    ]
    lifts = significance.lifts(losses, baselines, ACCURACY, seed=1)
    assert [lift.baseline for lift in lifts] == ["strong", "weak"]
    assert lifts[0] == significance.lift(losses, baselines[1], seed=1)
    assert significance.lifts(losses, [], ACCURACY, seed=1) == []


@pytest.mark.parametrize(
    ("groups", "share"),
    [
        ([(0.1, 0.1), (0.9, 0.9)], 1.0),
        ([(0.1, 0.9), (0.1, 0.9)], 0.0),
        ([(0.0, 0.2), (0.4, 0.6)], (0.2 - 0.04 - 0.02) / 0.2),
        ([(0.1,), (0.9,)], None),
        ([(0.5, 0.5), (0.5, 0.5)], None),
    ],
)
def test_importance_is_the_share_of_variance_between_values_less_chance(
    groups: list[tuple[float, ...]], share: float | None
) -> None:
    found = trial_plots.explained_share(groups)
    assert found == (share if share is None else pytest.approx(share))


def all_figures() -> Iterator[tuple[str, Figure]]:
    trials = [trial(1, 0), trial(2, 1, "there 2")]
    yield "timeline", trial_plots.timeline(trials, winner=1)
    yield "curves", trial_plots.curves({1: [0.1, 0.2], 2: [0.3, 0.1]}, VAL_ACCURACY, winner=1)
    yield from verdict_plots.lifts(LIFTS, ACCURACY).items()
    yield from verdict_plots.refits(SELECTION, [], ACCURACY).items()
    yield "progress", plots.progress(trials, VAL_ACCURACY)
    yield from contour(MAP, WITH_RANGE, VAL_ACCURACY, MAP[0]).items()
    yield "effects", plots.effects([KERNEL] * 9, VAL_ACCURACY)
    yield "gradients", plots.gradients({f"grad_norm/{group}": [1.0, 2.0] for group in "abcdefg"})


@pytest.mark.parametrize(("name", "figure"), list(all_figures()), ids=lambda value: str(value)[:12])
def test_letters_have_nine_pixels_and_axes_have_labels(name: str, figure: Figure) -> None:
    scale = min(1, PAGE_WIDTH / (figure.get_figwidth() * PIXELS_PER_INCH))
    drawn = [text for text in figure.findobj(Text) if isinstance(text, Text) and text.get_text()]
    sizes = [float(text.get_fontsize()) * PIXELS_PER_INCH / 72 * scale for text in drawn]
    assert min(sizes) >= NARROWEST_PIXELS
    if name != "effects":  # the title of each is the name of its axis
        assert all(axes.get_xlabel() or axes.get_ylabel() for axes in figure.axes)


def test_lines_of_gradients_differ_for_all_kinds_of_colour_vision() -> None:
    figure = plots.gradients({f"grad_norm/{group}": [1.0, 2.0] for group in "abcdefgh"})
    looks = {(line.get_color(), line.get_linestyle()) for line in figure.axes[0].lines}
    assert len(looks) == 8


def test_ink_follows_the_theme_of_the_browser_and_nothing_is_drawn_on_white() -> None:
    page = final_report(FINAL, dict(all_figures()))
    _, _, drawn = page.partition("<svg")
    assert not re.search("|".join(THEMED), drawn)
    assert "currentColor" in drawn
    assert "#ffffff" not in drawn
