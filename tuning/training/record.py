"""What is kept of a training in its run: data, metrics, tables, figures, card, report and model."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.errors import ExternalFailure
from pipelines.interrupts import NOTICED
from pipelines.io.temporary import temporary_folder
from pipelines.model_file import facts_as_json, write_model
from pipelines.pipeline import AnyPipeline, ServingModel
from pipelines.splits import Splits
from tuning.reports import plots, verdict_plots
from tuning.reports.audit_page import audit_metrics, audit_page
from tuning.reports.names import scored_name
from tuning.reports.report_page import REPORT, final_report
from tuning.reports.run_card import run_card
from tuning.results.training import TrainResult
from tuning.tracking.interface import (
    BASELINE_MISTAKES,
    TEST_MISTAKES,
    TEST_PREDICTIONS,
    TEST_SCORES,
    Run,
    Tracker,
)
from tuning.tracking.saved_views import TEST_EXAMPLES, Leaderboard
from tuning.tracking.ui_links import page_link
from tuning.training.fit import FitResult
from tuning.training.prefixes import prefixed
from tuning.training.procedure import RunLabels
from tuning.verdicts import Lift, Spread

PARENTS = {"final": "the sweep", "fold": "all folds"}  # by role: what a run belongs to
MOST_ROWS = 200_000  # of a table of predictions


@contextmanager
def finishing(run: Run) -> Iterator[None]:
    """Finish `run` according to how the block ends.

    The run is FINISHED, or KILLED after an interrupt, or FAILED after an error, with its reason.
    """
    try:
        yield
    except KeyboardInterrupt:
        NOTICED.set()
        run.finish("KILLED", "interrupted")
        raise
    except BaseException as error:
        # Where MLflow itself has failed, this fails too: the first error says more.
        with suppress(ExternalFailure):
            run.finish("FAILED", f"{type(error).__name__}: {error}")
        raise
    run.finish()


def record_data(splits: Splits, run: Run) -> None:
    """Write which data the run saw, and what makes scores on it doubtful."""
    run.dataset(splits)
    run.text(audit_page(splits), "audit.md")
    run.metrics(audit_metrics(splits.findings))


def save_model(serving: ServingModel, run: Run) -> None:
    """Save the model that takes raw input, with its facts, in the run."""
    with temporary_folder() as folder:
        path = folder / "model.keras"
        write_model(serving, path)
        run.model(path, facts_as_json(serving))


@contextmanager
def rescuing_model(serving: ServingModel, run: Run) -> Iterator[None]:
    """Save a model elsewhere where MLflow fails to keep it, or the disk is full.

    Elsewhere is the working directory, else a person's own folder, else that for temporary files.
    """
    try:
        yield
    except (ExternalFailure, OSError) as error:
        kind = type(error) if isinstance(error, ExternalFailure) else ExternalFailure
        raise kind(f"{error}\n{_save_elsewhere(serving, run)}") from error


def _save_elsewhere(serving: ServingModel, run: Run) -> str:
    """Save a model where there is room for it; return the sentence that says where."""
    name = f"model-{run.id[:8] or 'untracked'}.keras"
    tried = []
    for folder in (Path(), Path.home(), Path(tempfile.gettempdir())):
        path = folder / name
        try:
            write_model(serving, path)
        except Exception as error:  # the formats of Keras have errors of their own
            with suppress(OSError):
                path.unlink(missing_ok=True)
            tried.append(f"{folder.absolute()} ({error})")
            continue
        return (
            "The model was saved beside it: "
            f"appline {serving.facts.domain} predict INPUT --model {path}"
        )
    return f"The model is lost, because it could not be saved elsewhere: {', '.join(tried)}"


def record_result(
    result: TrainResult,
    fitted: FitResult,
    predictions: np.ndarray,
    pipeline: AnyPipeline,
    splits: Splits,
    run: Run,
) -> Mapping[str, Any]:
    """Write scores, predictions and figures into the run; return the figures by name."""
    run.metrics(summary_metrics(result))
    run.table(pipeline.table(predictions, splits, "test").head(MOST_ROWS), TEST_PREDICTIONS)
    for name, table in result.tables.items():
        run.table(table, TEST_SCORES.format(name))
    for mistakes, path in zip(
        result.mistakes.values(), (TEST_MISTAKES, BASELINE_MISTAKES), strict=False
    ):
        run.table(mistakes, path)
    # Where it errs comes before how it learned.
    figures = {
        **verdict_plots.lifts(result.lifts, result.headline),
        **dict(pipeline.plots(predictions, splits, "test")),
    }
    if result.epochs > 1:
        figures["curves"] = plots.curves(fitted.history, result.objective, fitted.best_epoch)
        figures["gradients"] = plots.gradients(fitted.history)
    for title, figure in figures.items():
        run.figure(figure, f"plots/{title}.png")
    if result.verdict_tag:
        run.tags({"verdict": result.verdict_tag})
    return figures


def summary_metrics(result: TrainResult) -> dict[str, float]:
    """Return the metrics that are logged once, at the end."""
    headline = result.headline.name
    metrics: dict[str, float] = {
        f"best/{result.objective.name}": result.best_epoch_score,
        "best/epoch": result.best_epoch,
        **prefixed("val/", result.val),
        **prefixed("test/", result.test),
    }
    if not result.answers.is_network_alone:
        metrics[f"network_alone/{headline}"] = result.alone_test[headline]
    for baseline in result.baselines:
        metrics[f"baseline/{baseline.name}/{headline}"] = baseline.test[headline]
    metrics["audit/test_uses"] = result.test_uses
    metrics[TEST_EXAMPLES] = result.test_examples
    if result.receptive_field:
        metrics["network/receptive_field"] = result.receptive_field.sees
        metrics["network/receptive_field_needed"] = result.receptive_field.needs
    if result.lift:
        metrics |= lift_metrics(result.lift, headline)
    if result.seeds:
        metrics["seeds/count"] = len(result.seeds.seeds)
        metrics["cost/seeds_s"] = result.seeds.seconds
        metrics |= _spread_metrics("seeds", result.seeds.spread(headline))
        if result.seeds_lift:
            metrics |= _spread_metrics("seeds/lift", result.seeds_lift)
    return {**metrics, **prefixed("cost/", result.cost)}


def lift_metrics(lift: Lift, headline: str) -> dict[str, float]:
    """Return the columns of a lift in the metric `headline`."""
    return {f"lift/{headline}": lift.mean, "lift/low": lift.low, "lift/high": lift.high}


def _spread_metrics(prefix: str, spread: Spread) -> dict[str, float]:
    return {
        f"{prefix}/mean": spread.mean,
        f"{prefix}/se": spread.standard_error,
        f"{prefix}/min": min(spread.values),
        f"{prefix}/max": max(spread.values),
    }


def finish_page(
    result: TrainResult,
    labels: RunLabels,
    run: Run,
    tracker: Tracker,
    figures: Mapping[str, Any],
) -> None:
    """Add the score to the run's name, the run to the leaderboard, and write card and report."""
    headline = result.headline
    # A name that a person chose stays: it is what they will look for.
    if not labels.name or labels.role == "final":
        score = result.test[headline.name]
        run.rename(scored_name(labels.name or result.network, headline.name, score))
    others = [f"test/{metric}" for metric in result.test if metric != headline.name]
    board = tracker.leaderboard_view(Leaderboard(headline=headline, metrics=others))
    links = {"compare with baselines": page_link(board)}
    if labels.parent:
        links[PARENTS[labels.role]] = page_link(tracker.url(labels.parent))
    links["model and files"] = page_link(result.url, "/artifacts")
    if labels.role == "final":
        run.text(final_report(result, figures), REPORT)
        links["report"] = page_link(result.url, f"/artifacts/{REPORT}")
    run.describe(run_card(result, list(figures), links))
