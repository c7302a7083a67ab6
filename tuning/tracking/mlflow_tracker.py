"""Every MLflow call of the project: runs are written, found and downloaded here, and nowhere else.

    tracker = open_tracker("vision/digits")
    run = tracker.start("conv, kernel 5", role="train", params={"conv.kernel_size": 5})
    run.metrics({"test/accuracy": 0.98})
    run.finish()

MLflow's fluent functions are avoided: they keep a hidden current run for the process, and write one
value a call, which costs 5-10 times as much. MLflow is imported when a store is opened (3-5 s), not
with this module.
"""

import functools
import importlib.metadata
import json
import logging
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pipelines.errors import ApplineError, ExternalFailure
from pipelines.splits import Splits
from tuning.tracking.interface import NullRun, NullTracker, Record, Role, Row, Run, Status, Tracker
from tuning.tracking.local_store import Store, find_store, prepare
from tuning.tracking.metric_batches import (
    LONGEST_PARAM,
    LONGEST_TAG,
    Point,
    batches,
    curves,
    milliseconds,
    split_finite,
    summary,
    truncate,
)
from tuning.tracking.provenance import PROCESS, ended, origin_tags
from tuning.tracking.queries import all_experiments, run_filter, search, search_one
from tuning.tracking.saved_views import (
    Leaderboard,
    SweepCharts,
    View,
    leaderboard_view,
    page,
    run_page,
    sweep_views,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = [
    "MlflowRun",
    "MlflowTracker",
    "NullRun",
    "NullTracker",
    "Record",
    "Role",
    "Row",
    "Run",
    "Tracker",
    "download",
    "find_run",
    "open_tracker",
]

# Where `appline ui` shows a local store unless it is told another port.
LOCAL_UI = "http://127.0.0.1:5000"
WIDEST_FIGURE = 740  # pixels
# Unless the user set them otherwise. MLflow's own defaults try for minutes to reach a server that
# went away.
QUIET_AND_QUICK = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # results alone go to stdout
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}
# What a process needs that loads a logged model; `pipelines` travels with the model.
SERVING = (
    "mlflow",
    "tensorflow",
    "keras",
    "numpy",
    "pandas",
    "pillow",
    "pyarrow",
    "pydantic",
    "annotated-types",
    "scikit-learn",
    "scipy",
)


def open_tracker(experiment: str, *, uri: str = "", root: Path = Path("mlruns")) -> "MlflowTracker":
    """Open `experiment`, making it when it is new, in the store `uri` (else MLFLOW_TRACKING_URI,
    else a local one in `root`).

    Runs of processes that died on this machine without ending them become KILLED.

    Raises:
        ApplineError: the store cannot be reached or made, or the experiment was deleted.
    """
    store = find_store(uri, root)
    client = _open(store)
    tracker = MlflowTracker(
        client=client,
        store=store,
        experiment=_experiment_id(client, store, experiment),
        name=experiment,
    )
    tracker.end_orphans()
    return tracker


def find_run(run: str, uri: str = "", root: Path = Path("mlruns")) -> Row:
    """Return the run with this id, beginning of an id (4 digits or more) or name, in any
    experiment.

    Raises:
        UsageError: there is none, or there are several; the message lists those.
    """
    store = find_store(uri, root)
    return search_one(_open(store), run)


def download(
    run_id: str, artifact_path: str, dst: Path, *, uri: str = "", root: Path = Path("mlruns")
) -> Path:
    """Copy a run's artifact (a file or a folder, such as `model`) into the folder `dst`; return
    where it is now.

    Raises:
        ApplineError: the run has no such artifact.
    """
    store = find_store(uri, root)
    client = _open(store)
    dst.mkdir(parents=True, exist_ok=True)
    first, _, rest = artifact_path.partition("/")
    outputs = client.get_run(run_id).outputs
    for output in outputs.model_outputs if outputs else ():
        model = client.get_logged_model(output.model_id)
        if model.name == first:
            return _download_of_model(store, model.artifact_location, rest, dst / first)
    return Path(client.download_artifacts(run_id, artifact_path, str(dst)))


def _download_of_model(store: Store, location: str, path: str, dst: Path) -> Path:
    # A logged model lies beside its run. MLflow's `runs:/<id>/model` looks for it in the process's
    # default store, whatever it is told.
    from mlflow.exceptions import MlflowException
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    dst.mkdir(parents=True, exist_ok=True)
    try:
        return Path(
            get_artifact_repository(location, tracking_uri=store.uri).download_artifacts(
                path, str(dst)
            )
        )
    except (MlflowException, OSError) as error:
        raise ApplineError(
            f"MLflow at {store.uri}: the model in {location} cannot be downloaded: {error}"
        ) from error


@dataclass(frozen=True, kw_only=True)
class MlflowTracker:
    """One experiment of an MLflow store. What its methods promise stands at `Tracker`."""

    client: Any
    store: Store
    experiment: str  # its id: names are slow to look up, and race
    name: str

    def start(
        self,
        name: str,
        *,
        role: Role,
        parent: str = "",
        tags: Mapping[str, str] | None = None,
        params: Mapping[str, object] | None = None,
    ) -> "MlflowRun":
        run = MlflowRun(self, self._create(name, role, parent, tags or {}, time.time()))
        run.params(params or {})
        return run

    def resume(self, run_id: str) -> "MlflowRun":
        self.client.update_run(run_id, status="RUNNING")
        run = MlflowRun(self, run_id)
        run.tags(origin_tags())
        return run

    def record(self, record: Record) -> str:
        run_id = self._create(
            record.name, record.role, record.parent, record.tags, record.start_time
        )
        points = curves(record.history, record.start_time, record.end_time) + summary(
            record.metrics, 0, record.end_time
        )
        self.write(run_id, points, record.params)
        self.client.set_terminated(run_id, record.status, end_time=milliseconds(record.end_time))
        return run_id

    def tag(self, run_id: str, values: Mapping[str, str]) -> None:
        MlflowRun(self, run_id).tags(values)

    def url(self, run_id: str) -> str:
        return (self.store.uri if self.store.served else LOCAL_UI) + run_page(
            self.experiment, run_id
        )

    def rows(
        self,
        *,
        run_id: str = "",
        name: str = "",
        role: Role | None = None,
        without_roles: Sequence[Role] = (),
        sweep: str = "",
        status: str = "",
        limit: int = 1000,
        everywhere: bool = False,
    ) -> list[Row]:
        experiments = {self.experiment: self.name}
        if everywhere:
            experiments = all_experiments(self.client)
        condition = run_filter(
            run_id=run_id,
            name=name,
            role=role,
            without_roles=without_roles,
            sweep=sweep,
            status=status,
        )
        return search(self.client, experiments, condition, limit)

    def curve(self, run_id: str, metric: str) -> list[float]:
        points = self.client.get_metric_history(run_id, metric)
        return [
            point.value for point in sorted(points, key=lambda point: point.step) if point.step > 0
        ]

    def sweep_view(self, charts: SweepCharts) -> str:
        charted, listed = sweep_views(charts)
        self._save(listed)
        return self._save(charted)

    def leaderboard_view(self, board: Leaderboard) -> str:
        return self._save(leaderboard_view(board))

    def write(
        self,
        run_id: str,
        points: Sequence[Point] = (),
        params: Mapping[str, object] | None = None,
        model_id: str = "",
    ) -> None:
        """Write points and parameters of a run, and name in a tag the points that are no
        numbers.
        """
        from mlflow.entities import Metric, Param, RunTag

        kept, lost = split_finite(points)
        metrics = [Metric(*point, model_id=model_id or None, run_id=run_id) for point in kept]
        texts = [
            Param(key, truncate(str(value), LONGEST_PARAM)) for key, value in (params or {}).items()
        ]
        for some_metrics, some_params, some_tags in batches(
            metrics, texts, [RunTag(key, value) for key, value in lost.items()]
        ):
            self.client.log_batch(run_id, metrics=some_metrics, params=some_params, tags=some_tags)

    def end_orphans(self) -> None:
        """Mark the runs as KILLED whose process died on this machine without ending them."""
        from mlflow.entities import RunTag

        for row in self.rows(status="RUNNING"):
            if ended(row.tags):
                reason = f"its process ended without closing it ({row.tags[PROCESS]})"
                # As a batch, which MLflow writes again when another process has noticed the same
                # run and was first: set_tag fails then.
                self.client.log_batch(row.id, tags=[RunTag("reason", reason)])
                self.client.set_terminated(row.id, "KILLED", end_time=self._last_sign(row))

    def _last_sign(self, row: Row) -> int:
        """Return when a run wrote its last metric: a better end than the day on which somebody
        noticed.
        """
        times = [
            point.timestamp
            for key in row.metrics
            for point in self.client.get_metric_history(row.id, key)
        ]
        return int(max([*times, milliseconds(row.start_time)]))

    def _create(
        self, name: str, role: Role, parent: str, tags: Mapping[str, str], start: float
    ) -> str:
        all_tags = {**origin_tags(), **tags, "role": role}
        if parent:
            all_tags["mlflow.parentRunId"] = parent
        all_tags = {key: truncate(value, LONGEST_TAG) for key, value in all_tags.items()}
        run = self.client.create_run(
            self.experiment, start_time=milliseconds(start), tags=all_tags, run_name=name
        )
        return cast(str, run.info.run_id)

    def _save(self, view: View) -> str:
        self.client.set_experiment_tag(self.experiment, view.tag, view.value())
        return page(self.experiment, view.id, view.mode)


class MlflowRun:
    """One run that is being written. What its methods promise stands at `Run`."""

    def __init__(self, tracker: MlflowTracker, run_id: str) -> None:
        self.id = run_id
        self._tracker = tracker
        self._client = tracker.client
        self._summaries: list[Point] = []
        self._model_id = ""
        self._finished = False

    def params(self, values: Mapping[str, object]) -> None:
        self._tracker.write(self.id, params=values)

    def tags(self, values: Mapping[str, str]) -> None:
        from mlflow.entities import RunTag

        self._client.log_batch(
            self.id,
            tags=[RunTag(key, truncate(value, LONGEST_TAG)) for key, value in values.items()],
        )

    def metrics(self, values: Mapping[str, float], *, step: int = 0) -> None:
        points = summary(values, step, time.time())
        self._summaries += [point for point in points if step == 0]
        self._tracker.write(self.id, points)

    def history(self, values: Mapping[str, Sequence[float]]) -> None:
        now = time.time()
        self._tracker.write(self.id, curves(values, now, now))

    def dataset(self, splits: Splits) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        inputs = [
            DatasetInput(
                dataset=Dataset(
                    name=splits.dataset,
                    # MLflow drops a second input of equal name and digest, whatever its context.
                    digest=f"{splits.digest[:30]}-{part}",
                    source_type="local",
                    source=json.dumps({"uri": splits.dataset}),
                    profile=json.dumps({"num_rows": count}),
                ),
                tags=[InputTag("mlflow.data.context", part)],
            )
            for part, count in splits.sizes().items()
        ]
        self._client.log_inputs(self.id, inputs)

    def text(self, text: str, path: str) -> None:
        self._client.log_text(self.id, text, path)

    def table(self, frame: "pd.DataFrame", path: str) -> None:
        with self._artifact(path) as local:
            if local.suffix == ".parquet":
                frame.to_parquet(local, index=False)
            else:
                frame.to_csv(local, index=False)

    def figure(self, figure: "Figure", path: str) -> None:
        with self._artifact(path) as local:
            # A wider picture in a description pushes the rest of MLflow's page off the screen.
            figure.savefig(local, dpi=min(110.0, WIDEST_FIGURE / figure.get_figwidth()))

    def file(self, path: Path, folder: str = "") -> None:
        self._client.log_artifact(self.id, str(path), folder or None)

    def model(self, path: Path, facts: Mapping[str, Any]) -> None:
        from mlflow.entities import LoggedModelOutput

        info = self._client.get_run(self.id)
        made = self._client.create_logged_model(
            self._tracker.experiment,
            name="model",
            source_run_id=self.id,
            params=info.data.params,
            model_type="keras",
        )
        try:
            with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
                warnings.simplefilter(
                    "ignore", UserWarning
                )  # mlflow.pyfunc warns of its own type hints when it is imported
                _save_answering(Path(folder) / "model", path, facts, made)
                self._client.log_model_artifacts(made.model_id, str(Path(folder) / "model"))
        except BaseException:
            self._client.finalize_logged_model(made.model_id, "FAILED")
            raise
        self._client.finalize_logged_model(made.model_id, "READY")
        self._client.log_outputs(self.id, [LoggedModelOutput(made.model_id, step=0)])
        self._model_id = made.model_id

    def describe(self, markdown: str) -> None:
        self._client.set_tag(self.id, "mlflow.note.content", truncate(markdown, LONGEST_TAG))

    def finish(self, status: Status = "FINISHED", reason: str = "") -> None:
        if self._finished:
            return
        self._finished = True
        if self._model_id:  # what the page "Models" shows beside the model
            self._tracker.write(self.id, self._summaries, model_id=self._model_id)
        if reason:
            self.tags({"reason": reason})
        self._client.set_terminated(self.id, status)

    @contextmanager
    def _artifact(self, path: str) -> Iterator[Path]:
        """Yield a file to write; then keep it as the artifact `path`."""
        folder, _, name = path.rpartition("/")
        with tempfile.TemporaryDirectory() as temporary:
            yield Path(temporary) / name
            self.file(Path(temporary) / name, folder)


def _save_answering(folder: Path, model: Path, facts: Mapping[str, Any], logged: Any) -> None:
    """Write an MLflow model into `folder`: the code in `logged_model.py`, the package that it
    imports, the network and its facts.
    """
    from mlflow.models import Model
    from mlflow.models.signature import ModelSignature
    from mlflow.pyfunc import save_model
    from mlflow.types.schema import AnyType, ColSpec, Schema

    code = Path(__file__).parent / "logged_model.py"
    save_model(
        path=str(folder),
        python_model=str(code),
        code_paths=[str(code.parents[2] / "pipelines")],
        # Both given, because MLflow would find them out by loading the model, which takes 40 s.
        # Only the output has a schema: one of the input would refuse or convert what `answer` reads
        # (paths, arrays, tables with fewer columns).
        signature=ModelSignature(outputs=Schema([ColSpec(AnyType())])),
        pip_requirements=[
            f"{package}=={importlib.metadata.version(package)}" for package in SERVING
        ],
        mlflow_model=Model(
            artifact_path=logged.artifact_location,
            model_uuid=logged.model_id,
            run_id=logged.source_run_id,
            model_id=logged.model_id,
        ),
    )
    shutil.copyfile(model, folder / "model.keras")
    (folder / "facts.json").write_text(json.dumps(facts))


class _Client:
    """MLflow's client whose errors are told in one line, with the store's name."""

    def __init__(self, client: Any, uri: str) -> None:
        self._client, self._uri = client, uri

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        @functools.wraps(method)
        def told(*arguments: Any, **named: Any) -> Any:
            from mlflow.exceptions import MlflowException

            try:
                return method(*arguments, **named)
            except (MlflowException, OSError) as error:
                raise ExternalFailure(
                    f"MLflow at {self._uri}: {name} failed: {str(error).splitlines()[0]}"
                ) from error

        return told


def _open(store: Store) -> Any:
    """Return a client for `store`, which is made when it is local and new."""
    # Before MLflow is imported: it reads some of them only then.
    for key, value in QUIET_AND_QUICK.items():
        os.environ.setdefault(key, value)
    prepare(store, _create_database)
    from mlflow.tracking import MlflowClient

    _hush()
    return _Client(MlflowClient(tracking_uri=store.uri), store.uri)


def _hush() -> None:
    for chatty in ("alembic", "mlflow"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    logging.getLogger("mlflow.store.db").setLevel(
        logging.CRITICAL
    )  # its traceback of a full disk: the ExternalFailure tells it in a line


def _create_database(uri: str, artifacts: str) -> None:
    from mlflow.exceptions import MlflowException
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
    from sqlalchemy.exc import SQLAlchemyError

    _hush()
    try:
        SqlAlchemyStore(uri, artifacts).engine.dispose()
    except (MlflowException, SQLAlchemyError) as error:  # a full disk
        raise OSError(str(error).splitlines()[0]) from error


def _experiment_id(client: Any, store: Store, name: str) -> str:
    """Return the id of the experiment called `name`, made now if there is none."""
    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            # Without the tag MLflow may open the experiment on its page for language models.
            tags = {"mlflow.experimentKind": "custom_model_development"}
            return cast(
                str,
                client.create_experiment(name, artifact_location=store.artifacts(name), tags=tags),
            )
        except ApplineError:
            found = client.get_experiment_by_name(name)  # another process was faster
            if found is None:
                raise
    if found.lifecycle_stage == "deleted":
        raise ApplineError(
            f"The experiment {name!r} was deleted in {store.uri}. Bring it back, or choose another name with --experiment:\n"
            f"  MLFLOW_TRACKING_URI={store.uri} mlflow experiments restore --experiment-id {found.experiment_id}"
        )
    return cast(str, found.experiment_id)
