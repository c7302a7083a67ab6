"""One run from data to a tested, tracked, saved model: load, fit, evaluate, record, save."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import pandas as pd

from pipelines.config.files import run_params, write_config
from pipelines.config.options import Objective
from pipelines.config.search_space import flatten
from pipelines.errors import Diverged, ExternalFailure, TrainingInterrupted, UsageError, count_of
from pipelines.interrupts import NOTICED, WORTH_WAITING
from pipelines.io.progress import working
from pipelines.io.temporary import temporary_folder
from pipelines.model_file import facts_as_json, write_model
from pipelines.pipeline import AnyPipeline, ServingModel
from pipelines.splits import SCORED_PARTS, Part, Splits
from tuning.reports import plots, significance
from tuning.reports.audit_page import audit_metrics, audit_page
from tuning.reports.names import network_name, scored_name
from tuning.reports.report_page import REPORT, final_report
from tuning.reports.run_card import run_card
from tuning.results import ScoredBaseline, SeedScores, TrainResult
from tuning.tracking.interface import (
    TEST_LOSSES,
    TEST_PREDICTIONS,
    Role,
    Run,
    Tracker,
)
from tuning.tracking.saved_views import COLOR, LISTED, NETWORK_COLOR, Leaderboard
from tuning.tracking.ui_links import page_link
from tuning.tracking.vault import count_uses, often_used
from tuning.training import kept_baselines
from tuning.training.baselines import record_baselines
from tuning.training.costs import latency_ms, megabytes
from tuning.training.fit import FitResult, fit, num_epochs
from tuning.training.monitor import EpochHook, Watch
from tuning.training.prefixes import prefixed
from tuning.training.seeds import SeedTest, train_further
from tuning.verdicts import Lift, Spread

FinalFit: TypeAlias = Literal["tested", "all"]
FINAL_FIT = "final_fit"  # parameter of a run whose model has learned from test too
FIT_SEED = "fit_seed"  # parameter of a further seed or refit: the seed of its fit
WEIGHTS_OF = "weights_of"  # tag of a final run that kept the weights of its trial: which one
MOST_ROWS = 200_000  # of a table of predictions
LISTED_MODEL = {LISTED: "true", COLOR: NETWORK_COLOR}


@dataclass(frozen=True, kw_only=True)
class RunLabels:
    """What a run is called, where it belongs, and what was decided before it began.

    `notes` are sentences for its card.
    """

    role: Role = "train"
    parent: str = ""
    name: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class EarlierFit:
    """A shorter fit that the network has had, such as that of a sweep's trial."""

    name: str
    score: float  # in the objective
    spec: Any  # with its epochs
    seed: int


@dataclass(frozen=True, kw_only=True)
class Procedure:
    """How a network is trained, beside its hyperparameters.

    With several `seeds` it is fitted and tested with each of them, from the options' own on.
    `strategy` divides each batch among devices (see `tuning.training.distribute`). Where an
    `earlier` fit was better on validation than the whole training, it is repeated, and the better
    weights of both are kept. The model that is kept is the one that was tested, or with a
    `final_fit` to `all` one that is then fitted anew to all of the data.
    """

    seeds: int = 1
    strategy: Any = None
    earlier: EarlierFit | None = None
    final_fit: FinalFit = "tested"

    def __post_init__(self) -> None:
        if self.seeds < 1:
            raise UsageError(f"seeds={self.seeds}: expected at least one")
        if self.final_fit not in get_args(FinalFit):
            raise UsageError(
                f"final_fit={self.final_fit!r}: expected one of {', '.join(get_args(FinalFit))}"
            )

    def everything(self, pipeline: AnyPipeline, splits: Splits) -> Splits | None:
        """Return splits with all parts in train, None where no model is fitted to them."""
        if self.final_fit == "tested":
            return None
        merged: Splits = pipeline.merge_into_train(splits, SCORED_PARTS)
        return merged


def train(
    pipeline: AnyPipeline,
    spec: Any,
    tracker: Tracker,
    *,
    objective: Objective | None = None,
    splits: Splits | None = None,
    baselines: Sequence[ScoredBaseline] | None = None,
    labels: RunLabels | None = None,
    on_epoch: EpochHook | None = None,
    procedure: Procedure | None = None,
) -> TrainResult:
    """Train the network of `spec`, test it beside its baselines, and keep it all in one run.

    Args:
        pipeline: whose network it is.
        spec: its hyperparameters.
        tracker: where the run is kept.
        objective: the metric that chooses the epoch; the pipeline's own by default.
        splits: the data, if it is loaded already.
        baselines: those of a sweep, which has computed them already; empty to do without.
        labels: what the run is called.
        on_epoch: is told of each epoch, and may stop the training.
        procedure: how often it is trained, and where; once on one device by default.

    Raises:
        DataError, ImpossibleSpec: before a run is begun.
        Diverged: the run is FAILED, with the reason.
        TrainingInterrupted: the run is KILLED, with the model of the best epoch so far.
    """
    if splits is None:
        splits = pipeline.load()
    _check(pipeline, spec, splits)
    objective = objective or pipeline.objective_for(splits)
    labels, procedure = labels or RunLabels(), procedure or Procedure()
    # Refused here where the domain cannot, before anything is recorded.
    merged = pipeline.merge_into_train(splits, ["val"]) if spec.train.refit else None
    everything = procedure.everything(pipeline, splits)
    run = _start_run(pipeline, spec, splits, tracker, labels)
    with finishing(run):
        record_data(splits, run)
        run.text(write_config(pipeline.options, spec), "config.yaml")
        if baselines is None:
            baselines = record_baselines(pipeline, splits, tracker, parent=run.id, tags=labels.tags)
        training = _Training(
            pipeline=pipeline,
            spec=spec,
            splits=splits,
            watch=Watch(objective=objective, on_epoch=on_epoch, gradients=True),
            strategy=procedure.strategy,
            run=run,
            seed=pipeline.options.seed,
        )
        training, fitted, fit_notes = _fit(training, procedure.earlier)
        val, alone_val, _ = _scores(pipeline, fitted.model, splits, "val")
        final = fitted
        notes = [*labels.notes, *kept_baselines.note_on(baselines), *fit_notes]
        if merged is not None:
            # Everything on val is chosen now: learn from it too.
            with working("retraining on train + validation"):
                final = training.refit(merged, fitted)
            epochs = count_of(fitted.best_epoch, "epoch")
            notes.append(
                f"final model: retrained on train + validation for {epochs} "
                "(turn off: train.refit=false)"
            )
        test_uses = 1 + count_uses(tracker, splits.digest)
        notes += often_used(test_uses)
        test, alone_test, predictions = _scores(pipeline, final.model, splits, "test")
        losses = pipeline.losses(predictions, splits, "test")
        seeds, seed_losses = _further_seeds(
            training, procedure.seeds, (fitted, final), test, losses, merged, tracker
        )
        serving, final_note = _serving(training, fitted, final, everything)
        notes += final_note
        result = TrainResult(
            domain=pipeline.domain,
            dataset=splits.dataset,
            run_id=run.id,
            url=tracker.url(run.id),
            objective=objective,
            headline=pipeline.headline_metric(splits),
            best_epoch_score=fitted.best_score,
            best_epoch=fitted.best_epoch,
            epochs=len(fitted.history["loss"]),
            stopped=fitted.stopped,
            val=val,
            test=test,
            answers=pipeline.blend(final.model),
            alone_val=alone_val,
            alone_test=alone_test,
            baselines=baselines,
            lift=_lift(pipeline, splits, seed_losses, baselines),
            seeds=seeds,
            cost=training.cost(fitted, final),
            notes=[*splits.notes, *splits.doubts, *serving.notes, *notes],
            changed=changed_hyperparameters(spec),
            test_examples=splits.sizes()["test"],
            network=network_name(pipeline.domain, run_params(pipeline.options, spec)),
            test_uses=test_uses,
        )
        with _rescuing_model(serving, run), working("keeping the run"):
            save_model(serving, run)
            # In the order of the data: runs on the same data are compared unit by unit.
            run.table(pd.DataFrame({"loss": losses}), TEST_LOSSES)
            figures = _record(result, fitted, predictions, pipeline, splits, run)
            _finish_page(result, labels, run, tracker, figures)
            run.finish()
            tracker.confirm(run.id)
    return replace(result, model_file=tracker.model_file(run.id))


def _check(pipeline: AnyPipeline, spec: Any, splits: Splits) -> None:
    """Refuse what cannot be trained, before a run is begun."""
    pipeline.check(spec, splits)
    if pipeline.cost(spec, splits) is None:
        # It must be built to know: the weights of a backbone may be out of reach.
        pipeline.build(spec, splits)


def _start_run(
    pipeline: AnyPipeline, spec: Any, splits: Splits, tracker: Tracker, labels: RunLabels
) -> Run:
    params = run_params(pipeline.options, spec)
    return tracker.start(
        labels.name or network_name(pipeline.domain, params),
        role=labels.role,
        parent=labels.parent,
        tags={
            "domain": pipeline.domain,
            "dataset": splits.dataset,
            "data_digest": splits.digest,
            # The runs of further seeds are in the spread of their model, not beside it.
            **({} if labels.role == "seed" else LISTED_MODEL),
            **labels.tags,
        },
        params=params,
    )


def record_data(splits: Splits, run: Run) -> None:
    """Write which data the run saw, and what makes scores on it doubtful."""
    run.dataset(splits)
    run.text(audit_page(splits), "audit.md")
    run.metrics(audit_metrics(splits.findings))


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


@contextmanager
def _rescuing_model(serving: ServingModel, run: Run) -> Iterator[None]:
    """Save a model in the working directory where MLflow fails to keep it."""
    try:
        yield
    except ExternalFailure as error:
        path = Path(f"model-{run.id[:8]}.keras")
        write_model(serving, path)
        raise type(error)(
            f"{error}\nThe model was saved beside it: "
            f"appline {serving.facts.domain} predict INPUT --model {path}"
        ) from error


@dataclass(frozen=True, kw_only=True)
class _Training:
    """The fits of one run, and what is kept of them when they are interrupted."""

    pipeline: AnyPipeline
    spec: Any
    splits: Splits
    watch: Watch
    strategy: Any
    run: Run
    seed: int
    curves: str = ""  # begins the names of its curves
    keeps_interrupted: bool = True

    @property
    def epochs(self) -> int:
        """The epochs of the whole training, unless it is stopped."""
        return num_epochs(self.spec.train, self.splits.sizes()["train"])

    def fit(self) -> FitResult:
        """Return the network fitted to train; the epoch and everything else is chosen on val."""
        fitted = fit(
            self.pipeline,
            self.spec,
            self.splits,
            seed=self.seed,
            watch=replace(self.watch, on_epoch=self._has_weights),
            strategy=self.strategy,
        )
        self.run.history(prefixed(self.curves, fitted.history))
        if fitted.best_epoch:
            with working("choosing on validation what the network counts"):
                self.pipeline.calibrate(fitted.model, self.splits)
        if fitted.interrupted:
            self.keep_interrupted(fitted)
        return fitted

    def _has_weights(self, epoch: int, values: Mapping[str, float]) -> str | None:
        """Take the end of an epoch: from the first on there are weights to keep."""
        WORTH_WAITING.set()
        if self.watch.on_epoch:
            return self.watch.on_epoch(epoch, values)
        return None

    def refit(self, merged: Splits, fitted: FitResult) -> FitResult:
        """Return the network fitted anew to `merged`, which is train and val together.

        It follows the schedule of `fitted` up to its best epoch, and takes over what was chosen on
        val.
        """
        # The longer train would be given fewer epochs, and `best_epoch` belongs to these.
        spec = replace(self.spec, train=replace(self.spec.train, epochs=self.epochs))
        final = fit(
            self.pipeline,
            spec,
            merged,
            seed=self.seed,
            watch=replace(self.watch, gradients=False),
            until=fitted.best_epoch,
            strategy=self.strategy,
        )
        if final.interrupted:
            # Half of a second fit is worth less than the whole first one.
            self.keep_interrupted(fitted)
        self.pipeline.calibrate(final.model, self.splits, like=fitted.model)
        return final

    def cost(self, fitted: FitResult, final: FitResult) -> dict[str, float]:
        """Return the costs of the model: weights, megabytes, time to fit and time to answer.

        The time to fit is that of all fits; the time to answer is for one example.
        """
        params = final.model.count_params()
        seconds, cpu_seconds = fitted.seconds, fitted.cpu_seconds
        if final is not fitted:
            seconds += final.seconds
            cpu_seconds += final.cpu_seconds
        examples = self.splits.sizes()["train"] * len(fitted.history["loss"])
        return {
            "params": params,
            "mb": megabytes(params),
            "train_s": seconds,
            "train_cpu_s": cpu_seconds,
            "examples_per_s": examples / fitted.seconds,
            "latency_ms_p50": latency_ms(self.pipeline, self.spec, self.splits, final.model),
        }

    def with_seed(self, seed: int, run: Run) -> "_Training":
        """Return the same training with another seed, of which nothing is kept but its scores."""
        options = replace(self.pipeline.options, seed=seed)
        return replace(
            self,
            pipeline=replace(self.pipeline, options=options),
            watch=replace(self.watch, gradients=False),
            run=run,
            seed=seed,
            keeps_interrupted=False,
        )

    def keep_interrupted(self, fitted: FitResult) -> None:
        """Save what an interrupted fit has learned, then raise `TrainingInterrupted`."""
        if fitted.best_epoch and self.keeps_interrupted:
            save_model(self.pipeline.serve(fitted.model, self.splits), self.run)
            best = f"best/{self.watch.objective.name}"
            self.run.metrics({best: fitted.best_score, "best/epoch": fitted.best_epoch})
        raise TrainingInterrupted(self.run.id, kept=bool(fitted.best_epoch))


def _fit(training: _Training, earlier: EarlierFit | None) -> tuple[_Training, FitResult, list[str]]:
    """Return the fitted network, the training that it came from, and notes on it."""
    objective = training.watch.objective
    fitted = training.fit()
    notes = still_improving(fitted, objective, training.epochs)
    if earlier is None or not objective.better(earlier.score, fitted.best_score):
        return training, fitted, notes
    again = replace(
        training,
        spec=earlier.spec,
        seed=earlier.seed,
        curves=f"{earlier.name}/",
        keeps_interrupted=False,
    )
    try:
        with working(f"trained in full it is worse than {earlier.name} was: fitting that again"):
            repeated = again.fit()
    except TrainingInterrupted:
        training.keep_interrupted(fitted)
        raise
    if not objective.better(repeated.best_score, fitted.best_score):
        return training, fitted, notes
    training.run.tags({WEIGHTS_OF: earlier.name})
    note = (
        f"the weights are those of {earlier.name}: {objective.name} {repeated.best_score:.4g} "
        f"after {count_of(again.epochs, 'epoch')}, and {fitted.best_score:.4g} trained in full "
        f"({training.epochs})"
    )
    return replace(again, keeps_interrupted=True), repeated, [note]


def _serving(
    training: _Training, fitted: FitResult, tested: FitResult, everything: Splits | None
) -> tuple[ServingModel, list[str]]:
    """Return the model to be kept, and notes on it.

    It is the tested one or, where there are splits with `everything` in train, one that is fitted
    to them for the epochs that val has chosen.
    """
    served, splits, notes = tested, training.splits, []
    if everything is not None:
        with working("fitting the final model to all of the data"):
            served, splits = training.refit(everything, fitted), everything
        training.run.params({FINAL_FIT: "all"})
        notes.append(
            "the model that is kept was then fitted to all of the data, test too, for "
            f"{count_of(fitted.best_epoch, 'epoch')} ({served.seconds:.0f} s): the scores are "
            "those of the one before it"
        )
    WORTH_WAITING.clear()
    with working("preparing the model to be served"):
        return training.pipeline.serve(served.model, splits), notes


def _further_seeds(
    training: _Training,
    count: int,
    fits: tuple[FitResult, FitResult],
    test: Mapping[str, float],
    losses: np.ndarray,
    merged: Splits | None,
    tracker: Tracker,
) -> tuple[SeedScores | None, np.ndarray]:
    """Return the scores with `count` seeds, and their losses `(seeds, n)`.

    `fits`, `test` and `losses` are of the first seed: the fit to train, and the one that was
    tested. Where there is no further one, or the training diverges with all of them, there is
    nothing to say of seeds, and the losses are the given ones `(n,)`.
    """
    if count == 1:
        return None, losses
    fitted, final = fits
    own = training.pipeline.options.seed
    first = _seed_test(training.pipeline, fitted, final, test, losses)
    try:
        scores, all_losses = train_further(
            range(own, own + count),
            first,
            lambda seed: _train_seed(training, seed, merged, tracker),
        )
    except TrainingInterrupted:
        training.keep_interrupted(fitted)
        raise
    return (scores, all_losses) if len(all_losses) > 1 else (None, losses)


def _train_seed(
    training: _Training, seed: int, merged: Splits | None, tracker: Tracker
) -> SeedTest:
    """Train and test the network with another seed, in a run below that of the training."""
    pipeline, splits = training.pipeline, training.splits
    labels = RunLabels(role="seed", parent=training.run.id, name=f"seed {seed}")
    run = _start_run(pipeline, training.spec, splits, tracker, labels)
    with finishing(run):
        run.params({FIT_SEED: seed})
        again = training.with_seed(seed, run)
        fitted = again.fit()
        final = again.refit(merged, fitted) if merged else fitted
        val, _, _ = _scores(pipeline, fitted.model, splits, "val")
        test, _, predictions = _scores(pipeline, final.model, splits, "test")
        losses = pipeline.losses(predictions, splits, "test")
        tested = _seed_test(pipeline, fitted, final, test, losses)
        run.metrics(
            {
                f"best/{again.watch.objective.name}": fitted.best_score,
                "best/epoch": fitted.best_epoch,
                **prefixed("val/", val),
                **prefixed("test/", test),
                "cost/train_s": tested.seconds,
            }
        )
        return tested


def _seed_test(
    pipeline: AnyPipeline,
    fitted: FitResult,
    final: FitResult,
    test: Mapping[str, float],
    losses: np.ndarray,
) -> SeedTest:
    return SeedTest(
        test=test,
        losses=losses,
        adds_nothing=pipeline.blend(final.model).adds_nothing,
        seconds=fitted.seconds if final is fitted else fitted.seconds + final.seconds,
    )


def _scores(
    pipeline: AnyPipeline, model: Any, splits: Splits, part: Part
) -> tuple[dict[str, float], dict[str, float], np.ndarray]:
    """Return the scores of what answers, those of the network alone, and the predictions.

    Raises:
        Diverged: the headline is no number: it can be compared with nothing.
    """
    with working(f"predicting {part}"):
        predictions = pipeline.predict(model, splits, part)
    scores = pipeline.score(predictions, splits, part)
    headline = pipeline.headline_metric(splits).name
    if not math.isfinite(scores[headline]):
        raise Diverged(
            f"{part} {headline} is {scores[headline]}: the network answers with numbers that are "
            "not finite. Lower train.learning_rate, or look for extreme values in the data"
        )
    if pipeline.blend(model).is_network_alone:
        return scores, scores, predictions
    alone = pipeline.predict_alone(model, splits, part)
    return scores, pipeline.score(alone, splits, part), predictions


def still_improving(fitted: FitResult, objective: Objective, epochs: int) -> list[str]:
    """Return a note where the last epoch of a whole training was better than all before."""
    curve = fitted.history[objective.name]
    if fitted.stopped or len(curve) < 2:
        return []
    if not all(objective.better(curve[-1], earlier) for earlier in curve[:-1]):
        return []
    return [f"{objective.name} was still improving in the last epoch: try --epochs {2 * epochs}"]


def _lift(
    pipeline: AnyPipeline,
    splits: Splits,
    losses: np.ndarray,
    baselines: Sequence[ScoredBaseline],
) -> Lift | None:
    strongest = significance.strongest(baselines, pipeline.headline_metric(splits))
    if strongest is None:
        return None
    strata = pipeline.strata(splits, "test")
    return significance.lift(losses, strongest, pipeline.options.seed, strata)


def changed_hyperparameters(spec: Any) -> dict[str, Any]:
    """Return the hyperparameters that differ from their defaults."""
    defaults = flatten(type(spec)())
    return {key: value for key, value in flatten(spec).items() if value != defaults[key]}


def save_model(serving: ServingModel, run: Run) -> None:
    """Save the model that takes raw input, with its facts, in the run."""
    with temporary_folder() as folder:
        path = folder / "model.keras"
        write_model(serving, path)
        run.model(path, facts_as_json(serving))


def _record(
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
    # Where it errs comes before how it learned.
    figures = {
        **dict(pipeline.plots(predictions, splits, "test")),
        "curves": plots.curves(fitted.history, result.objective, fitted.best_epoch),
        "gradients": plots.gradients(fitted.history),
    }
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


def _finish_page(
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
        links["the sweep"] = page_link(tracker.url(labels.parent))
    links["model and files"] = page_link(result.url, "/artifacts")
    if labels.role == "final":
        run.text(final_report(result, figures), REPORT)
        links["report"] = page_link(result.url, f"/artifacts/{REPORT}")
    run.describe(run_card(result, list(figures), links))
