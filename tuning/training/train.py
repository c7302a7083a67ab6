"""One run from data to a tested, tracked, saved model: load, build, fit, evaluate, record, save."""

import json
import math
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipelines.config import files as config_files
from pipelines.config.search_space import flatten
from pipelines.pipeline import Objective, Pipeline, ServingModel, Splits
from tuning.reports import plots, run_card, significance
from tuning.reports.significance import Lift, ScoredBaseline
from tuning.tracking.interface import Record, Role, Run, Tracker
from tuning.tracking.saved_views import Leaderboard
from tuning.training.fit import EpochHook, Fitted, Watch, fit, num_epochs

MOST_ROWS = 200_000  # of a table of predictions
AGAIN = "tested and kept is the network trained again on train and val together, for {epochs} epochs (train.refit)"


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM while fitting: what was learned is saved in the run `run_id`; nothing before the first epoch ended."""

    def __init__(self, run_id: str, kept: bool) -> None:
        super().__init__(run_id)
        self.run_id, self.kept = run_id, kept


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a person wants to know at the end of a run; all of it plain data but `baselines`."""

    domain: str
    dataset: str
    run_id: str
    url: str
    objective: Objective
    headline: Objective
    best: float
    best_epoch: int
    epochs: int
    stopped: str
    val: Mapping[str, float]
    test: Mapping[str, float]
    baselines: Sequence[ScoredBaseline]
    lift: Lift | None
    cost: Mapping[str, float]
    notes: Sequence[str]
    changed: Mapping[str, Any] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return {
            "domain": self.domain,
            "dataset": self.dataset,
            "run_id": self.run_id,
            "url": self.url,
            "objective": self.objective.name,
            "best": self.best,
            "best_epoch": self.best_epoch,
            "epochs": self.epochs,
            "stopped": self.stopped,
            "val": dict(self.val),
            "test": dict(self.test),
            "baselines": {baseline.name: dict(baseline.test) for baseline in self.baselines},
            "lift": None
            if self.lift is None
            else {
                "metric": self.headline.name,
                "over": self.lift.baseline,
                "mean": self.lift.mean,
                "low": self.lift.low,
                "high": self.lift.high,
                "verdict": self.lift.verdict,
            },
            "cost": dict(self.cost),
            "notes": list(self.notes),
            "changed": dict(self.changed),
        }


def train(
    pipeline: Pipeline[Any, Any],
    spec: Any,
    tracker: Tracker,
    *,
    objective: Objective | None = None,
    splits: Splits | None = None,
    baselines: Sequence[ScoredBaseline] | None = None,
    role: Role = "train",
    parent: str = "",
    name: str = "",
    tags: Mapping[str, str] | None = None,
    on_epoch: EpochHook | None = None,
    strategy: Any = None,
) -> Report:
    """Train the network of `spec`, test it beside its baselines, and keep everything in one run of `tracker`.

    `splits` and `baselines` are given by a sweep, which has loaded and computed them already; `strategy` by
    `tuning.training.distribute`.

    Raises:
        DataError, ImpossibleSpec: before a run is begun.
        Diverged: the run is FAILED, its reason in the run.
        Interrupted: the run is KILLED, with the model of the best epoch so far.
    """
    # --- data and spec, checked before anything is recorded
    splits = splits if splits is not None else pipeline.load()
    pipeline.check(spec, splits)
    joined = pipeline.merge_train_val(splits) if spec.train.refit else None
    objective = objective or pipeline.objective_for(splits)

    run = tracker.start(
        name or f"{getattr(spec, 'architecture', pipeline.domain)} on {splits.dataset}",
        role=role,
        parent=parent,
        tags={"dataset": splits.dataset, "data_digest": splits.digest, **(tags or {})},
        params=config_files.params(pipeline, spec),
    )
    with ending(run):
        run.dataset(splits)
        run.text(config_files.write(pipeline, spec), "config.yaml")

        # --- simple baselines, each a run of its own
        if baselines is None:
            baselines = record_baselines(pipeline, splits, tracker, parent=run.id, tags=tags or {})

        # --- fit
        watch = Watch(objective=objective, on_epoch=on_epoch, gradients=True)
        fitted = fit(pipeline, spec, splits, seed=pipeline.seed, watch=watch, strategy=strategy)
        run.history(fitted.history)
        if fitted.best_epoch:
            pipeline.calibrate(fitted.model, splits)
        if fitted.interrupted:
            _keep_interrupted(pipeline, splits, fitted, objective, run)
        val = pipeline.score(pipeline.predict(fitted.model, splits, "val"), splits, "val")

        # --- everything on val is chosen: learn from it too
        final = _refitted(pipeline, spec, splits, joined, fitted, watch, strategy) if joined else fitted
        if final.interrupted:
            _keep_interrupted(pipeline, splits, fitted, objective, run)

        # --- test beside the baselines, once
        predictions = pipeline.predict(final.model, splits, "test")
        test = pipeline.score(predictions, splits, "test")
        lift = _lift(pipeline, splits, predictions, baselines)
        served = pipeline.serve(final.model, splits)
        report = Report(
            domain=pipeline.domain,
            dataset=splits.dataset,
            run_id=run.id,
            url=tracker.url(run.id),
            objective=objective,
            headline=pipeline.headline_metric(splits),
            best=fitted.best_score,
            best_epoch=fitted.best_epoch,
            epochs=len(fitted.history["loss"]),
            stopped=fitted.stopped,
            val=val,
            test=test,
            baselines=baselines,
            lift=lift,
            cost=_cost(pipeline, spec, splits, fitted, final),
            notes=(*splits.notes, *served.notes, *([AGAIN.format(epochs=fitted.best_epoch)] if joined else [])),
            changed=changed(spec),
        )

        # --- what MLflow shows
        run.metrics(summary(report))
        run.table(pipeline.table(predictions, splits, "test").head(MOST_ROWS), "predictions/test.csv")
        figures = ["curves", "gradients"]
        run.figure(plots.curves(fitted.history, objective, fitted.best_epoch), "plots/curves.png")
        run.figure(plots.gradients(fitted.history), "plots/gradients.png")
        for title, figure in pipeline.plots(predictions, splits, "test"):
            run.figure(figure, f"plots/{title}.png")
            figures.append(title)
        save(served, run)
        run.tags({"verdict": f"{lift.verdict} {lift.baseline}"} if lift else {})
        run.describe(run_card.card(report, figures))
        headline = report.headline
        others = [f"test/{metric}" for metric in test if metric != headline.name]
        tracker.leaderboard_view(Leaderboard(headline=headline.name, direction=headline.direction, metrics=others))
    return report


@contextmanager
def ending(run: Run) -> Iterator[None]:
    """End `run` by how its work ends: FINISHED, KILLED when interrupted, FAILED with the reason otherwise."""
    try:
        yield
    except KeyboardInterrupt:
        run.finish("KILLED", "interrupted")
        raise
    except BaseException as error:
        run.finish("FAILED", f"{type(error).__name__}: {error}")
        raise
    run.finish()


def record_baselines(
    pipeline: Pipeline[Any, Any], splits: Splits, tracker: Tracker, *, parent: str, tags: Mapping[str, str]
) -> list[ScoredBaseline]:
    """Compute the baselines and write each as a run with role `baseline`, in the columns that networks have."""
    scored = []
    for made in pipeline.baselines(splits):
        baseline = significance.score_baseline(pipeline, splits, made)
        scored.append(baseline)
        now = time.time()
        tracker.record(
            Record(
                name=baseline.name,
                role="baseline",
                parent=parent,
                tags={"dataset": splits.dataset, "data_digest": splits.digest, **tags},
                params={
                    **config_files.options_of(pipeline),
                    "architecture": baseline.name,
                    **{f"baseline.{k}": v for k, v in baseline.params.items()},
                },
                metrics={
                    **{f"val/{metric}": value for metric, value in baseline.val.items()},
                    **{f"test/{metric}": value for metric, value in baseline.test.items()},
                    "cost/train_s": baseline.seconds,
                },
                start_time=now - baseline.seconds,
                end_time=now,
            )
        )
    return scored


def summary(report: Report) -> dict[str, float]:
    """Return the metrics that are logged once, at the end."""
    baselines = {f"baseline/{baseline.name}/{report.headline.name}": baseline.test[report.headline.name] for baseline in report.baselines}
    lifts = (
        {f"lift/{report.headline.name}": report.lift.mean, "lift/low": report.lift.low, "lift/high": report.lift.high}
        if report.lift
        else {}
    )
    return {
        f"best/{report.objective.name}": report.best,
        "best/epoch": report.best_epoch,
        **{f"val/{name}": value for name, value in report.val.items()},
        **{f"test/{name}": value for name, value in report.test.items()},
        **baselines,
        **lifts,
        **{f"cost/{name}": value for name, value in report.cost.items()},
    }


def changed(spec: Any) -> dict[str, Any]:
    """Return the hyperparameters that differ from their defaults."""
    defaults = flatten(type(spec)())
    return {key: value for key, value in flatten(spec).items() if value != defaults[key]}


def save(served: ServingModel, run: Run) -> None:
    """Keep the model that takes raw input, with the facts it answers by."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        write_model(served, path)
        run.model(path, served.facts)


def write_model(served: ServingModel, path: Path) -> None:
    """Write one file that Keras loads, with the facts inside it (Keras passes over a member it does not know)."""
    import zipfile

    served.model.save(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("appline.json", json.dumps(dict(served.facts)))


def read_model(path: Path) -> ServingModel:
    """Read a file that `write_model` wrote.

    Raises:
        DataError: there is no such file, or appline did not write it.
    """
    import zipfile

    from pipelines import DOMAINS, register_layers
    from pipelines.errors import DataError

    if not path.is_file():
        raise DataError(f"{path}: no such model file. Expected a model.keras that appline saved")
    try:
        with zipfile.ZipFile(path) as archive:
            facts = json.loads(archive.read("appline.json"))
        if facts["domain"] in DOMAINS:
            register_layers(facts["domain"])
        return ServingModel(model=keras.saving.load_model(path, compile=False), facts=facts)
    except (zipfile.BadZipFile, KeyError) as error:
        raise DataError(f"{path}: is no model.keras that appline saved ({error})") from error


def _lift(pipeline: Pipeline[Any, Any], splits: Splits, predictions: np.ndarray, baselines: Sequence[ScoredBaseline]) -> Lift | None:
    if not baselines:
        return None
    losses = pipeline.losses(predictions, splits, "test")
    return significance.lift(losses, significance.strongest(baselines, pipeline.headline_metric(splits)), pipeline.seed)


def _keep_interrupted(pipeline: Pipeline[Any, Any], splits: Splits, fitted: Fitted, objective: Objective, run: Run) -> None:
    """Save what an interrupted fit has learned, then go on being interrupted."""
    if fitted.best_epoch:
        save(pipeline.serve(fitted.model, splits), run)
        run.metrics({f"best/{objective.name}": fitted.best_score, "best/epoch": fitted.best_epoch})
    raise Interrupted(run.id, kept=bool(fitted.best_epoch))


def _refitted(
    pipeline: Pipeline[Any, Any], spec: Any, splits: Splits, joined: Splits, fitted: Fitted, watch: Watch, strategy: Any
) -> Fitted:
    """Return the network fitted anew to `joined`: the schedule of `fitted` up to its best epoch, and what it chose on val."""
    epochs = num_epochs(spec.train, splits.sizes()["train"])  # not those of the longer train
    spec = replace(spec, train=replace(spec.train, epochs=epochs))
    again = fit(
        pipeline, spec, joined, seed=pipeline.seed, watch=replace(watch, gradients=False), until=fitted.best_epoch, strategy=strategy
    )
    if not again.interrupted:
        pipeline.calibrate(again.model, splits, like=fitted.model)
    return again


def _cost(pipeline: Pipeline[Any, Any], spec: Any, splits: Splits, fitted: Fitted, final: Fitted) -> dict[str, float]:
    """Return what the model costs: weights, megabytes, seconds of training (both of a network trained again) and of one answer."""
    params = final.model.count_params()
    trained = (fitted,) if final is fitted else (fitted, final)
    examples = splits.sizes()["train"] * len(fitted.history["loss"])
    return {
        "params": params,
        "mb": params * 4 / 2**20,
        "train_s": sum(one.seconds for one in trained),
        "train_cpu_s": sum(one.cpu_seconds for one in trained),
        "examples_per_s": examples / fitted.seconds,
        "latency_ms_p50": latency(pipeline, spec, splits, final.model),
    }


def latency(pipeline: Pipeline[Any, Any], spec: Any, splits: Splits, model: keras.Model, calls: int = 30) -> float:
    """Return the median time of one example's answer, in milliseconds."""
    inputs, _ = next(iter(pipeline.batches(splits, "val", spec, training=False)))
    one = tf.nest.map_structure(lambda values: values[:1], inputs)
    call = tf.function(lambda values: pipeline.serving_call(model, values))
    call(one)
    times = []
    for _ in range(calls):
        began = time.perf_counter()
        call(one)
        times.append(time.perf_counter() - began)
    return 1000 * float(np.median(times)) if times else math.nan
