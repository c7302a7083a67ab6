"""The sweep's own run in MLflow: what is written when it starts, and when it has ended well."""

from collections.abc import Mapping, Sequence

from pipelines.config.files import run_params, write_config
from pipelines.config.options import Objective
from pipelines.config.search_space import Scalar
from tuning.reports import plots
from tuning.reports.names import sweep_view_name
from tuning.reports.run_card import sweep_card
from tuning.results import SweepResult, Trial
from tuning.search.definition import SweepDefinition
from tuning.search.resume import definition_tags
from tuning.search.scheduler import RUNNING_TRIALS
from tuning.search.sweep_tags import EXHAUSTED, TRIALS
from tuning.search.trial_records import SAVED
from tuning.tracking.interface import Run, Tracker
from tuning.tracking.saved_views import SweepCharts
from tuning.training.costs import COST_METRICS
from tuning.training.train import lift_metrics, record_data

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
    _record_end(run, exhausted=result.exhausted)
    if len(result.objectives) > 1:
        _tag_front(result, tracker)
        run.figure(plots.pareto(result), "plots/pareto.png")
    _draw_progress(result.trials, objective, run)
    run.figure(plots.effects(result.effects, objective), "plots/effects.png")
    run.describe(sweep_card(result))
    tracker.sweep_view(
        SweepCharts(
            sweep=run.id,
            name=sweep_view_name(sweep_name(definition), len(result.trials), result.best.scores[0]),
            objective=objective.name,
            direction=objective.direction,
            searched=list(definition.space.dimensions),
            test=[f"test/{name}" for name in result.final.test],
        )
    )


def record_further_trials(
    trials: Sequence[Trial], definition: SweepDefinition, run: Run, exhausted: bool
) -> None:
    """Write what trials that were added to a sweep change where its winner is the same."""
    _record_end(run, exhausted=exhausted)
    run.metrics({TRIALS: len(trials)})
    _draw_progress(trials, definition.sweep.objective, run)


def _record_end(run: Run, *, exhausted: bool) -> None:
    run.tags({RUNNING_TRIALS: "{}", EXHAUSTED: str(exhausted).lower()})


def _draw_progress(trials: Sequence[Trial], objective: Objective, run: Run) -> None:
    scores = [trial.score for trial in trials if trial.score is not None]
    run.figure(plots.progress(scores, objective), "plots/progress.png")


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
    return metrics


def _tag_front(result: SweepResult, tracker: Tracker) -> None:
    """Tag all trials: one that was on the front may be beaten since the sweep was extended."""
    front = {trial.number for trial in result.front}
    for trial in result.trials:
        is_on_front = trial.number in front
        tracker.tag(trial.run_id, {PARETO: str(is_on_front).lower()})
