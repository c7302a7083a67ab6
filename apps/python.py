"""The Python interface: what the command line does, in a script or a notebook.

    import apps.python as appline

    pets = appline.pipeline("vision", data="pets/")
    result = appline.train(pets, {"conv.kernel_size": 5})
    result.scores()

Everything takes and returns plain objects: results with a short repr, tables as pandas DataFrames,
matplotlib figures. See docs/python.md.
"""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from apps import progress_display, saved_runs
from apps.quiet_plots import quiet_plots
from apps.resolve import search_dimensions
from apps.screen import Screen
from pipelines import create_pipeline, options_class, pipeline_class, runtime
from pipelines.config.search_space import replace
from pipelines.errors import UsageError, suggest
from pipelines.evaluation.folds import require_folds
from pipelines.pipeline import AnyPipeline, RawInput, ServingModel
from pipelines.splits import Part, Splits
from tuning.results.folds import FoldsResult
from tuning.results.sweep import SweepResult
from tuning.results.training import TrainResult

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from matplotlib.figure import Figure

    from tuning.comparison.difference import Difference
    from tuning.comparison.reproduction import Reproduction
    from tuning.training.procedure import FinalFit

__all__ = [
    "Evaluation",
    "FoldsResult",
    "Model",
    "SweepResult",
    "TrainResult",
    "atlas",
    "compare",
    "cross_validate",
    "diff",
    "load_model",
    "pipeline",
    "runs",
    "train",
    "tune",
]


def pipeline(domain: str, **options: Any) -> AnyPipeline:
    """Return the pipeline of `domain` (vision, text, forecast or recommend) with these options.

    Options are the flags of `appline <domain> train --help`: `data`, `seed`, `limit` and those of
    the domain.

    Raises:
        UsageError: there is no such domain or option; the message gives the nearest name.
    """
    quiet_plots()
    runtime.import_tensorflow()
    return create_pipeline(domain, **options)


def train(
    pipeline: AnyPipeline,
    hyperparameters: Mapping[str, object] | None = None,
    *,
    seeds: int = 1,
    final_fit: "FinalFit" = "tested",
    splits: Splits | None = None,
    tracking_uri: str = "",
    track: bool = True,
    progress: bool = True,
) -> TrainResult:
    """Train one network, test it beside its baselines, and keep everything in MLflow.

    Args:
        pipeline: what `pipeline` has returned.
        hyperparameters: values by dotted key, such as `{"conv.kernel_size": 5}`; the others have
            their defaults.
        seeds: with how many seeds the network is fitted and tested: the verdict is over all of
            them, the model that of the first.
        final_fit: `all` keeps a model that is fitted to all of the data once the scores are known.
        splits: the data, if `pipeline.load()` has been called already.
        tracking_uri: MLflow's server or store; MLFLOW_TRACKING_URI or ./mlruns by default.
        track: whether anything is kept. `load_model` needs a run that was kept.
        progress: whether it is printed how far the work is.

    Raises:
        UsageError: there is no such hyperparameter, or a value does not fit.
        DataError: the data cannot be used.
    """
    from tuning.training.fit import num_epochs
    from tuning.training.procedure import Procedure, RunLabels
    from tuning.training.train import train as run_training

    given = hyperparameters or {}
    spec = replace(pipeline.options.spec_type(), given)
    screen = Screen(quiet=not progress)
    if splits is None:
        splits = _load(pipeline, screen)
    decisions: list[str] = []
    spec = pipeline.fit_defaults(spec, splits, given, decisions)
    objective = pipeline.objective_for(splits)
    epochs = num_epochs(spec.train, splits.sizes()["train"])
    with screen.progress():
        return run_training(
            pipeline,
            spec,
            saved_runs.open_tracker(pipeline, splits, tracking_uri, track=track),
            splits=splits,
            labels=RunLabels(notes=decisions),
            on_epoch=screen.on_epoch(epochs, objective.name),
            procedure=Procedure(seeds=seeds, final_fit=final_fit),
        )


def cross_validate(
    pipeline: AnyPipeline,
    folds: int = 5,
    hyperparameters: Mapping[str, object] | None = None,
    *,
    tracking_uri: str = "",
    track: bool = True,
    progress: bool = True,
) -> FoldsResult:
    """Train and test one network in each of several folds, and keep a model of all the data.

    Args:
        pipeline: what `pipeline` has returned; vision, text or forecast.
        folds: how many.
        hyperparameters, tracking_uri, track, progress: as for `train`.

    Raises:
        UsageError: this domain has no folds, or there is no such hyperparameter.
        DataError: the data cannot be used, or has a test part of its own.
    """
    from tuning.training.fit import num_epochs
    from tuning.training.folds import Chosen, Folds, in_fold
    from tuning.training.folds import cross_validate as run_folds

    require_folds(pipeline.options, folds)
    given = hyperparameters or {}
    spec = replace(pipeline.options.spec_type(), given)
    screen = Screen(quiet=not progress)
    first = _load(in_fold(pipeline, 1, folds), screen)

    def choose(fold: AnyPipeline, splits: Splits) -> Chosen:
        decisions: list[str] = []
        fitted = fold.fit_defaults(spec, splits, given, decisions)
        return Chosen(spec=fitted, notes=decisions)

    objective = pipeline.objective_for(first)
    epochs = num_epochs(spec.train, first.sizes()["train"])
    with screen.progress():
        return run_folds(
            pipeline,
            Folds(count=folds),
            first,
            choose,
            saved_runs.open_tracker(pipeline, first, tracking_uri, track=track),
            objective=objective,
            on_epoch=screen.on_epoch(epochs, objective.name),
        )


def _load(pipeline: AnyPipeline, screen: Screen) -> Splits:
    with screen.progress(f"reading {pipeline.options.data}"):
        splits: Splits = pipeline.load()
        return splits


def tune(
    pipeline: AnyPipeline,
    search: Mapping[str, str] | None = None,
    hyperparameters: Mapping[str, object] | None = None,
    *,
    trials: int = 20,
    tuner: str = "tpe",
    splits: Splits | None = None,
    tracking_uri: str = "",
    track: bool = True,
    progress: bool = True,
) -> SweepResult:
    """Search hyperparameters in this process, train the winner in full, and test it once.

    Args:
        pipeline: what `pipeline` has returned.
        search: what to search, as `--search` takes it: `{"conv.kernel_size": "3,5,7"}`, or a range
            such as `"1e-4..1e-2:log"`. The domain's own space by default.
        hyperparameters: values of what is not searched, by dotted key.
        trials: how many networks are tried.
        tuner: how trials are chosen, a name in `tuning.search.tuners.TUNERS`.
        splits, tracking_uri, track, progress: as for `train`.

    Raises:
        UsageError: there is no such hyperparameter, or a value does not fit.
        DataError: the data cannot be used.
        ApplineError: every trial failed; the first one's reason is given.
    """
    from tuning.search.definition import Sweep
    from tuning.search.sweep import run_sweep

    options, screen = pipeline.options, Screen(quiet=not progress)
    if splits is None:
        splits = _load(pipeline, screen)
    objective = pipeline.objective_for(splits)
    given = hyperparameters or {}
    asked = search_dimensions(type(options), given, search or {}, only=search is not None)
    # Whatever architecture would be chosen, a search goes through its own.
    decided = {*given, *(asked.keys() & {"architecture"})}
    base = pipeline.fit_defaults(replace(options.spec_type(), given), splits, decided)
    space = options.space(base, pipeline.fit_search(asked, splits))
    display = progress_display.SweepDisplay(screen, objective.name)
    with contextlib.closing(display), screen.progress():
        return run_sweep(
            pipeline,
            space.without(space.without_effect()),
            Sweep(objectives=(objective,), trials=trials, tuner=tuner),
            saved_runs.open_tracker(pipeline, splits, tracking_uri, track=track),
            splits=splits,
            progress=display,
        )


@dataclass(frozen=True, repr=False)
class Evaluation:
    """The predictions of a model for a part of the data: scores, a table and figures."""

    pipeline: AnyPipeline
    splits: Splits
    part: Part
    predictions: "np.ndarray"

    def scores(self) -> "pd.Series":
        """Return the metrics by name."""
        import pandas as pd

        values = self.pipeline.score(self.predictions, self.splits, self.part)
        return pd.Series(values, name=f"{self.splits.dataset}: {self.part}")

    def table(self) -> "pd.DataFrame":
        """Return predictions beside the truth, one row per example."""
        return self.pipeline.table(self.predictions, self.splits, self.part)

    def figures(self) -> "dict[str, Figure]":
        """Return figures by name, which show what the model does and where it errs."""
        return dict(self.pipeline.plots(self.predictions, self.splits, self.part))

    def __repr__(self) -> str:
        headline = self.pipeline.headline_metric(self.splits).name
        score = self.scores()[headline]
        return f"Evaluation({self.splits.dataset}: {self.part} {headline} {score:.4g})"


@dataclass(frozen=True, repr=False)
class Model:
    """A trained model: raw input in, a table of answers out.

    `trained_on` is the data of its run, by the name or path that was given; "" for a model file,
    which does not say.
    """

    serving: ServingModel
    trained_on: str = ""

    @property
    def domain(self) -> str:
        """The domain of the model: vision, text, forecast or recommend."""
        return str(self.serving.facts.domain)

    def predict(self, source: RawInput, **options: Any) -> "pd.DataFrame":
        """Return answers for a file, a folder, an array or a table.

        The input is what `appline <domain> predict` takes, and so are the options:
        `skip_unreadable=True` for `--skip-unreadable`.

        Raises:
            DataError: the input cannot be read; the message names the file and the row.
        """
        predict_type = options_class(self.domain).predict_type
        with Screen().progress():
            return pipeline_class(self.domain).predict_raw(
                self.serving, source, predict_type(**options)
            )

    def ask(self, question: str, source: RawInput = "", **options: Any) -> "pd.DataFrame":
        """Return what `appline <domain> <question>` answers, such as `ask("similar", "260")`.

        Raises:
            UsageError: the domain has no such command.
            DataError: the model cannot answer this.
        """
        questions = {known.name: known for known in options_class(self.domain).questions}
        if question not in questions:
            raise UsageError(
                f"{self.domain} has no question {question!r}.{suggest(question, questions)} "
                f"It has: {', '.join(questions) or 'none'}"
            )
        answer = getattr(pipeline_class(self.domain), question)
        frame: pd.DataFrame = answer(self.serving, source, questions[question].options(**options))
        return frame

    def evaluate(
        self,
        pipeline: AnyPipeline,
        part: Part | Literal["all"] | None = None,
        *,
        splits: Splits | None = None,
    ) -> Evaluation:
        """Return the predictions of the model for the pipeline's data.

        Args:
            pipeline: names the data, which may have other classes, users or series than the model.
            part: what is scored: `all` for data that is not the model's own, as `Evaluation`'s part
                `test`; else `test`. Nothing is fitted to data that is scored whole.
            splits: the data, if it has been read already: what `pipeline.load()` or
                `pipeline.load_hold_out(model.serving)` has returned.

        Raises:
            DataError: the data does not fit the model: other classes, another size.
        """
        if splits is None:
            is_own = bool(self.trained_on) and Path(self.trained_on) == Path(pipeline.options.data)
            part = part or ("test" if is_own else "all")
            if part == "all":
                with Screen().progress(f"reading {pipeline.options.data}"):
                    splits = pipeline.load_hold_out(self.serving)
            else:
                splits = _load(pipeline, Screen())
        # A hold-out is the test part of its splits.
        scored: Part = "test" if part is None or part == "all" else part
        network = pipeline.restore_network(self.serving, splits)
        with Screen().progress("predicting"):
            predictions = pipeline.predict(network, splits, scored)
        return Evaluation(pipeline, splits, scored, predictions)

    def save(self, path: str | Path) -> None:
        """Write the model as one file, whose name ends in .keras."""
        from pipelines.model_file import write_model

        write_model(self.serving, Path(path))

    def __repr__(self) -> str:
        return f"Model({self.domain}, {self.serving.model.count_params():,} weights)"


def load_model(run_or_path: str | Path, *, tracking_uri: str = "") -> Model:
    """Return the model of a run (its id or the beginning of it), or of a `model.keras` file.

    A registered model is named by `models:/NAME@ALIAS` or `models:/NAME/VERSION`.

    Raises:
        UsageError: there is no such run, or there are several.
        DataError: the file is no model that appline saved.
    """
    runtime.import_tensorflow()
    from pipelines.model_file import read_model

    if str(run_or_path).endswith(".keras"):
        return Model(read_model(Path(run_or_path)))
    row = saved_runs.winner_of(saved_runs.find(str(run_or_path), tracking_uri), tracking_uri)
    return Model(saved_runs.read_run_model(row, tracking_uri), row.params.get("data", ""))


def runs(*, tracking_uri: str = "", limit: int = 100) -> "pd.DataFrame":
    """Return the latest trainings, sweeps and final runs of all experiments, the newest first.

    There is one row for each. The columns are id, name, experiment, role, status, and every metric
    and parameter under MLflow's name.
    """
    import pandas as pd

    table = []
    for row in saved_runs.latest(tracking_uri, limit):
        facts = {
            "id": row.id,
            "name": row.name,
            "experiment": row.experiment,
            "role": row.tags.get("role", ""),
            "status": row.status,
        }
        table.append({**facts, **row.metrics, **row.params})
    return pd.DataFrame(table)


def compare(*names: str, tracking_uri: str = "", best: int = 5) -> "pd.DataFrame":
    """Return a leaderboard: one row a run, with its score, lift, paired test and cost.

    `names` are ids of runs or sweeps, beginnings of ids, or names. Without any, they are the `best`
    runs on each data set of each experiment. `p_value` is of the paired test against the best run
    on the same data, corrected by Holm; `against_best` says what it comes to.

    Raises:
        UsageError: there is no such run, or it has no test score.
    """
    from apps.compare_runs import as_table, find_boards

    return as_table(find_boards(names, tracking_uri, best))


def diff(first: str, second: str, *, tracking_uri: str = "") -> "Difference":
    """Return what differs between two runs, and which test examples the second one has mended.

    The result has `changes` (settings, data, code, packages), `scores`, `paired` (a test with an
    interval) and `examples`, whose `examples` and `groups` are tables.

    Raises:
        UsageError: there is no such run, or both are the same.
    """
    from apps.diff_runs import difference

    return difference(first, second, tracking_uri)


def reproduce(run: str, *, tracking_uri: str = "", progress: bool = True) -> "Reproduction":
    """Train a run again as it was, and return what came of it.

    The result has `outcome` ("bit-identical", "within noise" or "different"), the scores that have
    `moved`, and `changes` of data, code, packages and machine.

    Raises:
        UsageError: there is no such run, or none that can be trained again.
    """
    from apps.reproduce_run import reproduction

    return reproduction(run, tracking_uri, Screen(quiet=not progress))


def atlas(*, tracking_uri: str = "") -> "pd.DataFrame":
    """Return what kernel size, stride and filters did in every sweep of a store.

    One row is one value that a sweep has tried, with the mean score and the mean rank of its
    trials. `tuning.comparison.atlas.draw` draws the table.
    """
    from apps.draw_atlas import find_atlas

    return find_atlas(tracking_uri)
