"""One run from data to a tested, tracked, saved model: load, fit, evaluate, record, save."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from pipelines.config.files import run_params, write_config
from pipelines.config.options import Objective
from pipelines.config.search_space import flatten
from pipelines.errors import Diverged, count_of
from pipelines.io.progress import working
from pipelines.networks.receptive_field import ReceptiveField
from pipelines.pipeline import AnyPipeline, ServingModel
from pipelines.splits import Part, Splits
from tuning.reports import significance
from tuning.reports.names import network_name
from tuning.results.training import ScoredBaseline, SeedScores, TrainResult
from tuning.tracking.interface import (
    FINAL_FIT,
    FIT_SEED,
    TEST_LOSSES,
    WEIGHTS_OF,
    Run,
    Tracker,
)
from tuning.tracking.saved_views import COLOR, LISTED, NETWORK_COLOR
from tuning.tracking.vault import count_uses, often_used
from tuning.training import kept_baselines
from tuning.training.baselines import record_baselines
from tuning.training.fit import FitResult
from tuning.training.fits import Training, spent_on
from tuning.training.monitor import EpochHook, Watch
from tuning.training.prefixes import prefixed
from tuning.training.procedure import EarlierFit, Procedure, RunLabels
from tuning.training.record import (
    finish_page,
    finishing,
    record_data,
    record_result,
    rescuing_model,
    save_model,
)
from tuning.training.seeds import SeedTest, train_further
from tuning.verdicts import Lift, row_name


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
    field = pipeline.receptive_field(spec, splits)
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
            baselines = record_baselines(
                pipeline,
                splits,
                tracker,
                parent=run.id,
                tags=labels.tags,
                listed=labels.role != "fold",
            )
        training = Training(
            pipeline=pipeline,
            spec=spec,
            splits=splits,
            watch=Watch(objective=objective, on_epoch=on_epoch, gradients=True),
            strategy=procedure.strategy,
            run=run,
            seed=pipeline.options.seed,
        )
        training, fitted, fit_notes = _fit(training, procedure.earlier)
        notes = [
            *labels.notes,
            *too_short_sighted(field),
            *kept_baselines.note_on(baselines),
            *fit_notes,
        ]
        with training.keeping(fitted):
            val = _scores(pipeline, fitted.model, splits, "val")
            final, refit_notes = _refit(training, fitted, merged)
            notes += refit_notes
        with training.keeping(fitted, final):
            tested = _test(training, procedure.seeds, (fitted, final), merged, tracker)
            lifts = _lifts(pipeline, splits, tested.seed_losses, baselines)
            serving, final_note = _serving(training, fitted, final, everything)
            notes += [
                *often_used(tested.uses),
                *_not_all_beaten(pipeline, splits, baselines, lifts),
                *final_note,
            ]
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
                val=val.answers,
                test=tested.scores.answers,
                answers=pipeline.blend(final.model),
                alone_val=val.alone,
                alone_test=tested.scores.alone,
                baselines=baselines,
                lift=lifts[0] if lifts else None,
                lifts=lifts,
                mistakes=_mistakes(
                    pipeline, splits, final.model, tested.scores.predictions, baselines
                ),
                seeds=tested.seeds,
                cost=training.cost(fitted, final),
                notes=[*splits.notes, *splits.doubts, *serving.notes, *notes],
                changed=changed_hyperparameters(spec),
                test_examples=splits.sizes()["test"],
                network=network_name(pipeline.domain, run_params(pipeline.options, spec)),
                test_uses=tested.uses,
                tables=pipeline.score_tables(tested.scores.predictions, splits, "test"),
                receptive_field=field,
            )
        with rescuing_model(serving, run), working("keeping the run"):
            with training.keeping(fitted, final):
                save_model(serving, run)
            with training.model_is_kept():
                # In the order of the data: runs on the same data are compared unit by unit.
                run.table(pd.DataFrame({"loss": tested.losses}), TEST_LOSSES)
                figures = record_result(
                    result, fitted, tested.scores.predictions, pipeline, splits, run
                )
                finish_page(result, labels, run, tracker, figures)
                run.finish()
                tracker.confirm(run.id)
    return replace(result, model_file=tracker.model_file(run.id), figures=figures)


@dataclass(frozen=True, kw_only=True)
class _Scores:
    """Predictions for a part, and their scores: of what answers, and of the network alone."""

    answers: dict[str, float]
    alone: dict[str, float]
    predictions: np.ndarray


@dataclass(frozen=True, kw_only=True)
class _Tested:
    """What came of a network on test: of the first seed, and of all of them."""

    scores: _Scores
    losses: np.ndarray  # of each independent unit
    seeds: SeedScores | None
    seed_losses: np.ndarray
    uses: int  # how often the test part was used, this time counted


def _refit(
    training: Training, fitted: FitResult, merged: Splits | None
) -> tuple[FitResult, list[str]]:
    """Return the network that is tested, and notes on it.

    It has learned from train and val together where there are `merged` splits: everything that is
    chosen on val is chosen by then.
    """
    if merged is None:
        return fitted, []
    with working("retraining on train + validation"):
        final = training.refit(merged, fitted)
    epochs = count_of(fitted.best_epoch, "epoch")
    note = f"final model: retrained on train + validation for {epochs}"
    return final, [f"{note} (turn off: train.refit=false)"]


def _test(
    training: Training,
    num_seeds: int,
    fits: tuple[FitResult, FitResult],
    merged: Splits | None,
    tracker: Tracker,
) -> _Tested:
    """Test the network; `fits` are the fit to train, and the one that is tested."""
    pipeline, splits = training.pipeline, training.splits
    uses = 1 + count_uses(tracker, splits.digest)
    scores = _scores(pipeline, fits[1].model, splits, "test")
    losses = pipeline.losses(scores.predictions, splits, "test")
    seeds, seed_losses = _further_seeds(
        training, num_seeds, fits, scores.answers, losses, merged, tracker
    )
    return _Tested(scores=scores, losses=losses, seeds=seeds, seed_losses=seed_losses, uses=uses)


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
            COLOR: NETWORK_COLOR,
            # Those of further seeds and single folds are in the spread of another run.
            **({} if labels.role in ("seed", "fold") else {LISTED: "true"}),
            **labels.tags,
        },
        params=params,
    )


def _fit(training: Training, earlier: EarlierFit | None) -> tuple[Training, FitResult, list[str]]:
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
    worse = f"trained in full it is worse than {earlier.name} was: fitting that again"
    with training.keeping(fitted), working(worse):
        repeated = again.fit()
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
    training: Training, fitted: FitResult, tested: FitResult, everything: Splits | None
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
            f"{count_of(fitted.best_epoch, 'epoch')} ({served.spent.seconds:.0f} s): the scores "
            "are those of the one before it"
        )
    with working("preparing the model to be served"):
        return training.pipeline.serve(served.model, splits), notes


def _further_seeds(
    training: Training,
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
    scores, all_losses = train_further(
        range(own, own + count),
        first,
        lambda seed: _train_seed(training, seed, merged, tracker),
    )
    return (scores, all_losses) if len(all_losses) > 1 else (None, losses)


def _train_seed(training: Training, seed: int, merged: Splits | None, tracker: Tracker) -> SeedTest:
    """Train and test the network with another seed, in a run below that of the training."""
    pipeline, splits = training.pipeline, training.splits
    labels = RunLabels(role="seed", parent=training.run.id, name=f"seed {seed}")
    run = _start_run(pipeline, training.spec, splits, tracker, labels)
    with finishing(run):
        run.params({FIT_SEED: seed})
        again = training.with_seed(seed, run)
        fitted = again.fit()
        final = again.refit(merged, fitted) if merged else fitted
        val = _scores(pipeline, fitted.model, splits, "val")
        test = _scores(pipeline, final.model, splits, "test")
        losses = pipeline.losses(test.predictions, splits, "test")
        tested = _seed_test(pipeline, fitted, final, test.answers, losses)
        run.metrics(
            {
                f"best/{again.watch.objective.name}": fitted.best_score,
                "best/epoch": fitted.best_epoch,
                **prefixed("val/", val.answers),
                **prefixed("test/", test.answers),
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
        seconds=spent_on(fitted, final).seconds,
    )


def _scores(pipeline: AnyPipeline, model: Any, splits: Splits, part: Part) -> _Scores:
    """Return the predictions of a network for a part, and their scores.

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
        return _Scores(answers=scores, alone=scores, predictions=predictions)
    alone = pipeline.score(pipeline.predict_alone(model, splits, part), splits, part)
    return _Scores(answers=scores, alone=alone, predictions=predictions)


def too_short_sighted(field: ReceptiveField | None) -> list[str]:
    """Return a note where a feature of the network sees less than the data needs."""
    if field is None or field.is_enough or not field.is_noted:
        return []
    return [field.describe()]


def still_improving(fitted: FitResult, objective: Objective, epochs: int) -> list[str]:
    """Return a note where the last epoch of a whole training was better than all before."""
    curve = fitted.history[objective.name]
    if fitted.stopped or len(curve) < 2:
        return []
    if not all(objective.better(curve[-1], earlier) for earlier in curve[:-1]):
        return []
    return [f"{objective.name} was still improving in the last epoch: try --epochs {2 * epochs}"]


def _lifts(
    pipeline: AnyPipeline,
    splits: Splits,
    losses: np.ndarray,
    baselines: Sequence[ScoredBaseline],
) -> list[Lift]:
    """Return the lift over each baseline, the decisive one first."""
    headline, strata = pipeline.headline_metric(splits), pipeline.strata(splits, "test")
    return significance.lifts(losses, baselines, headline, pipeline.options.seed, strata)


def _not_all_beaten(
    pipeline: AnyPipeline,
    splits: Splits,
    baselines: Sequence[ScoredBaseline],
    lifts: Sequence[Lift],
) -> list[str]:
    """Return a note where the baseline that is best on val is beaten, and another is not."""
    strongest = significance.strongest(baselines, pipeline.headline_metric(splits))
    if strongest is None or lifts[0].baseline == strongest.name:
        return []
    beaten = next(lift for lift in lifts if lift.baseline == strongest.name)
    return [
        f"{strongest.name}, the best baseline on validation, is beaten ({beaten.describe()}), "
        f"{lifts[0].baseline} is not"
    ]


def _mistakes(
    pipeline: AnyPipeline,
    splits: Splits,
    model: Any,
    predictions: np.ndarray,
    baselines: Sequence[ScoredBaseline],
) -> dict[str, pd.DataFrame]:
    """Return the worst mistakes of what answers, and of the strongest baseline, by their names."""
    tables = {row_name(pipeline.blend(model)): pipeline.mistakes(predictions, splits, "test")}
    strongest = significance.strongest(baselines, pipeline.headline_metric(splits))
    if strongest:
        tables[strongest.name] = strongest.mistakes
    return {name: table for name, table in tables.items() if table is not None}


def changed_hyperparameters(spec: Any) -> dict[str, Any]:
    """Return the hyperparameters that differ from their defaults."""
    defaults = flatten(type(spec)())
    return {key: value for key, value in flatten(spec).items() if value != defaults[key]}
