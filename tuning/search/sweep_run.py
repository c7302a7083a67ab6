"""The sweep's own run in MLflow: what is written when it starts, and when it has ended well."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.config.files import run_params, write_config
from pipelines.config.search_space import Choice, Scalar
from tuning.reports import plots, trial_plots, verdict_plots
from tuning.reports.contour_plot import contour
from tuning.reports.names import sweep_view_name
from tuning.reports.report_page import REPORT, sweep_report
from tuning.reports.run_card import sweep_card
from tuning.results.sweep import SweepResult, Trial
from tuning.search.definition import SweepDefinition
from tuning.search.resume import definition_tags
from tuning.search.scheduler import RUNNING_TRIALS
from tuning.search.sweep_tags import CHOSEN_BY, EXHAUSTED, TRIALS
from tuning.search.trial_records import SAVED
from tuning.tracking.interface import Run, Tracker
from tuning.tracking.saved_views import COLOR, SweepCharts
from tuning.tracking.ui_links import page_link
from tuning.training.costs import COST_METRICS
from tuning.training.record import lift_metrics, record_data

# Colours of trials by rank: red, green, blue.
DARKEST, LIGHTEST = (0, 76, 127), (190, 220, 240)
PARETO = "pareto"  # tag of a trial's run: whether it is on the Pareto front


def start_run(
    definition: SweepDefinition, first: Sequence[Mapping[str, Scalar]], tracker: Tracker
) -> Run:
    """Start the run of a new sweep, which tries the points of `first` early."""
    sweep, options = definition.sweep, definition.pipeline.options
    base, dimensions = definition.space.base, definition.space.dimensions
    searched = {key: str(dimension) for key, dimension in dimensions.items()}
    run = tracker.start(
        sweep_name(definition),
        role="sweep",
        tags={
            "domain": definition.pipeline.domain,
            **definition.data_tags,
            **definition_tags(definition, first),
        },
        params={
            **run_params(options, base),
            **searched,
            "tuner": sweep.tuner,
            "early_stop": sweep.stopping_rule,
            "trials": sweep.trials,
            "trial_epochs": definition.trial_epochs,
        },
    )
    run.tags({"sweep": run.id})
    record_data(definition.splits, run)
    run.text(write_config(options, base, dimensions), "config.yaml")
    return run


def sweep_name(definition: SweepDefinition) -> str:
    """Return what a sweep is called."""
    sweep = definition.sweep
    return sweep.name or f"{sweep.tuner} sweep on {definition.splits.dataset}"


def record_result(
    result: SweepResult, definition: SweepDefinition, run: Run, tracker: Tracker
) -> None:
    """Write what the sweep found: the winner's scores, figures, a card and the saved views."""
    objective = definition.sweep.objective
    run.metrics(_metrics(result))
    run.tags({CHOSEN_BY: result.rule})
    _record_end(run, exhausted=result.exhausted)
    _tag_trials(result, tracker)
    figures = _figures(result, definition, tracker)
    for name, figure in figures.items():
        run.figure(figure, f"plots/{name}.png")
    run.text(sweep_report(result, figures), REPORT)
    view = tracker.sweep_view(
        SweepCharts(
            sweep=run.id,
            name=sweep_view_name(sweep_name(definition), len(result.trials), result.best.scores[0]),
            objective=objective,
            headline=result.final.headline,
            searched=_by_effect(result, definition),
            contour=_strongest_numbers(result, definition),
            has_curves=any(trial.epochs > 1 for trial in result.trials),
        )
    )
    links = {
        "its trials in charts": page_link(view),
        "the final run": page_link(result.final.url),
        "report": page_link(result.url, f"/artifacts/{REPORT}"),
    }
    run.describe(sweep_card(result, links))


def _figures(result: SweepResult, definition: SweepDefinition, tracker: Tracker) -> dict[str, Any]:
    """Return the sweep's figures by name: what was found, then how it was."""
    objective, winner = result.objectives[0], result.best.number
    final = result.final
    figures = {
        "progress": plots.progress(result.trials, objective),
        "effects": plots.effects(result.effects, objective),
        **trial_plots.importance(result.effects, objective),
    }
    strongest = _strongest_numbers(result, definition)
    if strongest:
        searched = {key: definition.space.dimensions[key] for key in strongest}
        figures |= contour(result.trials, searched, objective, result.best)
    if len(result.objectives) > 1:
        figures["pareto"] = plots.pareto(result)
    if result.selection:
        figures |= verdict_plots.refits(result.selection, final.baselines, final.headline)
    curves = _curves(result, tracker)
    if curves:
        figures["learning_curves"] = trial_plots.curves(curves, objective, winner)
    figures["timeline"] = trial_plots.timeline(result.trials, winner)
    return figures


def _curves(result: SweepResult, tracker: Tracker) -> Mapping[int, Sequence[float]]:
    """Return the objective by epoch of the best trials, by number, where there are several epochs.

    The tracker has them, also those of a sweep that was resumed.
    """
    objective = result.objectives[0]
    scored = [trial for trial in result.trials if trial.scores and trial.epochs > 1]
    scored.sort(key=lambda trial: trial.scores[0], reverse=objective.direction == "max")
    curves: dict[int, Sequence[float]] = {}
    for trial in scored[: trial_plots.MOST_CURVES]:
        curve = tracker.curve(trial.run_id, objective.name)
        if len(curve) > 1:
            curves[trial.number] = curve
    return curves


def record_further_trials(
    trials: Sequence[Trial], definition: SweepDefinition, run: Run, exhausted: bool
) -> None:
    """Write what trials that were added to a sweep change where its winner is the same."""
    _record_end(run, exhausted=exhausted)
    run.metrics({TRIALS: len(trials)})
    run.figure(plots.progress(trials, definition.sweep.objective), "plots/progress.png")


def _record_end(run: Run, *, exhausted: bool) -> None:
    run.tags({RUNNING_TRIALS: "{}", EXHAUSTED: str(exhausted).lower()})


def _metrics(result: SweepResult) -> dict[str, float]:
    metrics: dict[str, float] = {}
    for objective, score in zip(result.objectives, result.best.scores, strict=True):
        if objective.name not in COST_METRICS:
            metrics[f"best/{objective.name}"] = score
    metrics["best/trial"] = result.best.number
    for name, value in result.final.test.items():
        metrics[f"test/{name}"] = value
    if result.final.lift:
        metrics |= lift_metrics(result.final.lift, result.final.headline.name)
    metrics["cost/sweep_s"] = result.seconds
    metrics[TRIALS] = len(result.trials)
    metrics[SAVED] = result.saved
    if result.selection:
        metrics["cost/refits_s"] = result.selection.seconds
    return metrics


def _by_effect(result: SweepResult, definition: SweepDefinition) -> list[str]:
    """Return the searched hyperparameters, first those that differ among trials, clearest first."""
    keys = [effect.key for effect in result.effects]
    return list(dict.fromkeys([*keys, *definition.space.dimensions]))


def _strongest_numbers(result: SweepResult, definition: SweepDefinition) -> tuple[str, str] | None:
    """Return the two hyperparameters of numbers with the clearest effects; none without two.

    They are two that did not change in the very same trials: those lie on one line.
    """
    numbers = []
    for effect in result.effects:
        dimension = definition.space.dimensions[effect.key]
        values = dimension.values if isinstance(dimension, Choice) else (dimension.low,)
        if all(isinstance(value, int | float) for value in values):
            numbers.append(effect)
    for first, second in itertools.combinations(numbers, 2):
        if second.key not in first.together:
            return first.key, second.key
    return None


def _tag_trials(result: SweepResult, tracker: Tracker) -> None:
    """Colour the trials by rank, the best darkest, and say which are on the Pareto front.

    All are tagged: one that was on the front may be beaten since the sweep was extended.
    """
    objective = result.objectives[0]
    scored = [trial for trial in result.trials if trial.score is not None]
    scored.sort(key=lambda trial: trial.scores[0], reverse=objective.direction == "max")
    ranks = {trial.number: rank for rank, trial in enumerate(scored)}
    front = {trial.number for trial in result.front}
    for trial in result.trials:
        rank = ranks.get(trial.number, len(scored))
        tags = {COLOR: _shade(rank / max(1, len(scored) - 1))}
        if len(result.objectives) > 1:
            tags[PARETO] = str(trial.number in front).lower()
        tracker.tag(trial.run_id, tags)


def _shade(share: float) -> str:
    """Return a colour between the network's blue (0) and a light one (1)."""
    mixed = []
    for dark, light in zip(DARKEST, LIGHTEST, strict=True):
        mixed.append(round(dark + (light - dark) * min(1.0, share)))
    return "#" + "".join(f"{value:02x}" for value in mixed)
