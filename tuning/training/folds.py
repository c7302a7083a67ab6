"""Cross-validation: the network trained and tested in each fold, and one model of all the data.

Every fold is a run of its own with the role `fold`, below a run with the role `folds` that says
what came of all of them. In each the whole procedure is repeated, choices that the data makes too:
nothing that is tested has been chosen by a look at it.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pipelines.config.files import run_params, write_config
from pipelines.config.options import Objective
from pipelines.evaluation.folds import require_folds
from pipelines.io.digest import data_digest
from pipelines.io.progress import working
from pipelines.pipeline import AnyPipeline
from pipelines.splits import Splits
from tuning.reports import intervals
from tuning.reports.names import network_name, scored_name
from tuning.reports.run_card import folds_card
from tuning.results.folds import FoldsResult
from tuning.results.training import TrainResult
from tuning.tracking.interface import FOLDS, Run, Tracker
from tuning.tracking.saved_views import COLOR, LISTED, NETWORK_COLOR, TEST_EXAMPLES, FoldsTable
from tuning.tracking.ui_links import page_link
from tuning.training.monitor import EpochHook
from tuning.training.prefixes import prefixed
from tuning.training.procedure import Procedure, RunLabels
from tuning.training.record import finishing, lift_metrics
from tuning.training.train import train
from tuning.verdicts import Lift, decisive_first


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """What is trained in a fold, and notes on what its data has decided of it."""

    spec: Any
    notes: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Folds:
    """How many folds there are, and what all of them share.

    `name` is what the run of all folds is called. `baselines` says whether each fold has the simple
    models beside the network, and `strategy` divides each batch among devices.
    """

    count: int
    name: str = ""
    baselines: bool = True
    strategy: Any = None


def in_fold(pipeline: AnyPipeline, number: int, count: int) -> AnyPipeline:
    """Return the pipeline whose test part is the fold `number` of `count`."""
    return replace(pipeline, options=replace(pipeline.options, fold=f"{number}/{count}"))


def cross_validate(
    pipeline: AnyPipeline,
    folds: Folds,
    first: Splits,
    choose: Callable[[AnyPipeline, Splits], Chosen],
    tracker: Tracker,
    *,
    objective: Objective | None = None,
    on_epoch: EpochHook | None = None,
) -> FoldsResult:
    """Train and test in each fold, then fit a model to all of the data.

    The model that is kept is that of the last fold, fitted anew to all parts. It answers wherever
    the run of the folds is named.

    Args:
        pipeline: whose network it is; its options name no fold.
        folds: how many there are.
        first: the data of the first fold.
        choose: is given the pipeline of a fold with its data, and returns what is trained on it.
        tracker: where runs are kept.
        objective: the metric that chooses the epoch; the pipeline's own by default.
        on_epoch: is told of each epoch.

    Raises:
        UsageError: this domain has no folds.
        Diverged, TrainingInterrupted: in one of the folds; the run is FAILED or KILLED.
    """
    require_folds(pipeline.options, folds.count)
    chosen = choose(in_fold(pipeline, 1, folds.count), first)
    splits = first
    run = _start_run(pipeline, chosen.spec, first.dataset, folds, tracker)
    results: list[TrainResult] = []
    test_per_train: list[float] = []
    digests: list[str] = []
    with finishing(run):
        run.text(write_config(pipeline.options, chosen.spec), "config.yaml")
        with _saying_what_is_kept(results, folds.count):
            for number in range(1, folds.count + 1):
                fold = in_fold(pipeline, number, folds.count)
                is_last = number == folds.count
                with working(f"fold {number} of {folds.count}"):
                    if number > 1:
                        with working("reading"):
                            splits = fold.load()
                        chosen = choose(fold, splits)
                    result = train(
                        fold,
                        chosen.spec,
                        tracker,
                        objective=objective,
                        splits=splits,
                        baselines=None if folds.baselines else [],
                        labels=RunLabels(
                            role="fold",
                            parent=run.id,
                            name=f"fold {number} of {folds.count}",
                            tags={FOLDS: run.id},
                            notes=chosen.notes,
                        ),
                        procedure=Procedure(
                            strategy=folds.strategy, final_fit="all" if is_last else "tested"
                        ),
                        on_epoch=on_epoch,
                    )
                results.append(result)
                sizes = splits.sizes()
                test_per_train.append(sizes["test"] / sizes["train"])
                digests.append(splits.digest)
        found = FoldsResult(
            folds=results,
            run_id=run.id,
            url=tracker.url(run.id),
            lift=_lift(results, float(np.mean(test_per_train))),
        )
        run.tags({FOLDS: run.id, "data_digest": data_digest(np.asarray(digests))})
        _record(found, folds.name, run, tracker)
    return found


@contextmanager
def _saying_what_is_kept(results: Sequence[TrainResult], count: int) -> Iterator[None]:
    """Note of an interrupt that the runs of the folds so far are there."""
    try:
        yield
    except KeyboardInterrupt as stop:
        runs = [result.run_id[:8] for result in results if result.run_id]
        if runs:
            stop.add_note(
                f"Kept with model and scores: {len(runs)} of {count} folds ({', '.join(runs)})"
            )
        raise


def _start_run(
    pipeline: AnyPipeline, spec: Any, dataset: str, folds: Folds, tracker: Tracker
) -> Run:
    params = run_params(pipeline.options, spec)
    return tracker.start(
        folds.name or f"{folds.count} folds of {network_name(pipeline.domain, params)}",
        role="folds",
        tags={
            "domain": pipeline.domain,
            "dataset": dataset,
            LISTED: "true",
            COLOR: NETWORK_COLOR,
        },
        params={**params, "folds": folds.count},
    )


def _lift(results: Sequence[TrainResult], test_per_train: float) -> Lift | None:
    """Return the decisive lift in the mean over the folds: see `decisive_first`.

    The strongest baseline is the one that is best on validation in the mean. Intervals are those of
    `intervals.folds_interval`.
    """
    headline = results[0].headline
    scores: dict[str, list[tuple[float, float]]] = {}
    for result in results:
        for baseline in result.baselines:
            of_fold = baseline.val[headline.name], baseline.test[headline.name]
            if all(map(math.isfinite, of_fold)):
                scores.setdefault(baseline.name, []).append(of_fold)
    everywhere = [name for name, of_folds in scores.items() if len(of_folds) == len(results)]
    if not everywhere:
        return None
    strongest = headline.best(
        everywhere, lambda name: float(np.mean([val for val, _ in scores[name]]))
    )
    sign = 1 if headline.direction == "max" else -1
    lifts = []
    for name in sorted(everywhere, key=lambda name: name != strongest):
        differences = []
        for result, (_, theirs) in zip(results, scores[name], strict=True):
            differences.append(sign * (result.test[headline.name] - theirs))
        low, high = intervals.folds_interval(np.asarray(differences), test_per_train)
        lifts.append(Lift(baseline=name, mean=float(np.mean(differences)), low=low, high=high))
    return decisive_first(lifts)[0]


def _record(found: FoldsResult, name: str, run: Run, tracker: Tracker) -> None:
    """Write the means over the folds, the verdict and the card into the run of all folds."""
    headline = found.headline.name
    baselines = {name: scores[headline] for name, scores in found.rows()[1:]}
    metrics: dict[str, float] = {
        **prefixed("val/", found.means("val")),
        **prefixed("test/", found.means("test")),
        "cost/train_s": found.seconds,
        TEST_EXAMPLES: sum(fold.test_examples for fold in found.folds),
    }
    for baseline, score in baselines.items():
        metrics[f"baseline/{baseline}/{headline}"] = score
    spread = found.spread(headline)
    metrics |= {
        "folds/mean": spread.mean,
        "folds/se": spread.standard_error,
        "folds/min": min(spread.values),
        "folds/max": max(spread.values),
    }
    if found.lift:
        metrics |= lift_metrics(found.lift, headline)
        run.tags({"verdict": found.verdict_tag})
    run.metrics(metrics)
    run.table(found.table(), "folds.csv")
    title = name or f"{len(found.folds)} folds of {found.folds[-1].network}"
    if not name:
        run.rename(scored_name(title, headline, spread.mean))
    view = tracker.folds_view(
        FoldsTable(
            folds=run.id,
            name=f"{title}, mean {headline} {spread.mean:.3g}",
            headline=found.headline,
            baselines=list(baselines),
        )
    )
    links = {
        "the folds in a table": page_link(view),
        "the model of all the data": page_link(found.folds[-1].url, "/artifacts"),
    }
    run.describe(folds_card(found, links))
