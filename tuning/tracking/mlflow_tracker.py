"""One experiment of an MLflow store, in which runs are written and found.

    tracker = open_tracker("vision/digits")
    run = tracker.start("conv, kernel 5", role="train", params={"conv.kernel_size": 5})
    run.metrics({"test/accuracy": 0.98})
    run.finish()

MLflow's fluent functions are avoided: they keep a hidden current run for the process, and write one
value a call, which costs 5-10 times as much.
"""

import sqlite3
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Unpack, cast

from pipelines.config.options import Objective
from pipelines.errors import ApplineError
from pipelines.io.temporary import temporary_folder
from tuning.tracking.confirmation import confirm_run, model_folders
from tuning.tracking.experiment_note import NOTE, experiment_note, is_written_by_hand
from tuning.tracking.interface import PARENT, NullTracker, Record, Role, Row, Tracker, Wanted
from tuning.tracking.local_rows import local_condition, local_search
from tuning.tracking.local_store import LOCAL_ROOT, Store, find_store, readable
from tuning.tracking.metric_batches import (
    LONGEST_TAG,
    curve_points,
    milliseconds,
    summary_points,
    truncate,
)
from tuning.tracking.mlflow_client import Client, open_client, open_to_read
from tuning.tracking.mlflow_run import MlflowRun, write_tags, write_values
from tuning.tracking.provenance import PROCESS, ended, origin_tags
from tuning.tracking.queries import all_experiments, run_filter, search
from tuning.tracking.saved_views import (
    FoldsTable,
    Leaderboard,
    SweepCharts,
    folds_view,
    leaderboard_view,
    sweep_views,
)
from tuning.tracking.secrets import without_credentials
from tuning.tracking.ui_links import run_page, saved_views_of, view_page
from tuning.tracking.view_format import View

if TYPE_CHECKING:
    import pandas as pd

# Where `appline ui` shows a local store unless another port is given.
LOCAL_UI = "http://127.0.0.1:5000"
# Without this tag MLflow may open the experiment on its page for language models.
EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}
NOT_MODELS: tuple[Role, ...] = (
    "trial",
    "baseline",
    "seed",
    "sweep",
    "fold",
    "folds",
    "evaluate",
)
MOST_MODELS = 1000  # among which the best is looked for


def open_tracker(experiment: str, *, uri: str = "", root: Path = LOCAL_ROOT) -> "MlflowTracker":
    """Open `experiment` in the store `uri`; it is created when it is new.

    Without `uri` it is the store in MLFLOW_TRACKING_URI, else a local one in `root`. Runs of
    processes that died on this machine without ending them become KILLED.

    Raises:
        ApplineError: the store cannot be reached or created, or the experiment was deleted.
    """
    store = find_store(uri, root)
    client = open_client(store)
    tracker = MlflowTracker(
        client=client,
        store=store,
        experiment_id=_find_or_create_experiment(client, store, experiment),
        name=experiment,
    )
    tracker.end_orphans()
    return tracker


def open_to_look(*, uri: str = "", root: Path = LOCAL_ROOT) -> Tracker:
    """Open a store whose runs are looked at and which is not changed, nor created.

    Raises:
        ApplineError: its server does not answer.
    """
    store = find_store(uri, root)
    if store.is_new:
        return NullTracker()
    return MlflowTracker(
        client=open_to_read(store), store=readable(store), experiment_id="", name=""
    )


def _find_or_create_experiment(client: Client, store: Store, name: str) -> str:
    """Return the id of the experiment called `name`."""
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        location = store.artifacts(name)
        try:
            created = client.create_experiment(
                name, artifact_location=location, tags=EXPERIMENT_TAGS
            )
            return cast(str, created)
        except ApplineError:
            # Another process may have been faster.
            experiment = client.get_experiment_by_name(name)
            if experiment is None:
                raise
    experiment_id = cast(str, experiment.experiment_id)
    if experiment.lifecycle_stage == "deleted":
        raise ApplineError(
            f"The experiment {name!r} was deleted in {store.shown}. Restore it, or choose another "
            "name with --experiment:\n"
            f"  MLFLOW_TRACKING_URI={store.shown} mlflow experiments restore "
            f"--experiment-id {experiment_id}"
        )
    return experiment_id


@dataclass(frozen=True, kw_only=True)
class MlflowTracker:
    """One experiment of an MLflow store. See `Tracker` for what its methods do."""

    client: Client
    store: Store
    experiment_id: str  # names are slow to look up, and another process may delete one meanwhile
    name: str  # of the experiment

    def start(
        self,
        name: str,
        *,
        role: Role,
        parent: str = "",
        tags: Mapping[str, str] | None = None,
        params: Mapping[str, object] | None = None,
    ) -> MlflowRun:
        run = self._run(self._create_run(name, role, parent, tags or {}, time.time()))
        run.params(params or {})
        return run

    def resume(self, run_id: str) -> MlflowRun:
        self.client.update_run(run_id, status="RUNNING")
        run = self._run(run_id)
        run.tags(origin_tags())
        return run

    def record(self, record: Record) -> str:
        tags = {**record.tags, NOTE: record.card} if record.card else record.tags
        run_id = self._create_run(record.name, record.role, record.parent, tags, record.start_time)
        if record.splits:
            self._run(run_id).dataset(record.splits)
        points = [
            *curve_points(record.history, record.start_time, record.end_time),
            *summary_points(record.metrics, 0, record.end_time),
        ]
        write_values(self.client, run_id, points, record.params)
        for path, frame in record.tables.items():
            self._run(run_id).table(frame, path)
        self.client.set_terminated(run_id, record.status, end_time=milliseconds(record.end_time))
        return run_id

    def tag(self, run_id: str, values: Mapping[str, str]) -> None:
        write_tags(self.client, run_id, values)

    def confirm(self, run_id: str) -> None:
        confirm_run(self.store, self.client, run_id)

    def model_file(self, run_id: str) -> str:
        for folder in model_folders(self.client, run_id):
            path = folder / "model.keras"
            if path.is_file():
                return str(path)
        return ""

    def url(self, run_id: str) -> str:
        base = LOCAL_UI
        if self.store.is_server:
            base = without_credentials(self.store.uri)
        return base + run_page(self.experiment_id, run_id)

    def rows(
        self, *, limit: int = 1000, everywhere: bool = False, **wanted: Unpack[Wanted]
    ) -> list[Row]:
        if self.store.database:
            experiment_id = "" if everywhere else self.experiment_id
            # What cannot be read so, MLflow will tell in words.
            with suppress(sqlite3.Error):
                condition = local_condition(**wanted)
                return local_search(self.store.database, condition, limit, experiment_id)
        experiments = {self.experiment_id: self.name}
        if everywhere:
            experiments = all_experiments(self.client)
        return search(self.client, experiments, run_filter(**wanted), limit)

    def table(self, run_id: str, path: str) -> "pd.DataFrame | None":
        import pandas as pd

        # That it is missing is an answer here.
        with temporary_folder() as folder, suppress(ApplineError):
            file = self.client.download_artifacts(run_id, path, str(folder))
            if path.endswith(".parquet"):
                return pd.read_parquet(file)
            # A text "NA" is a text.
            return pd.read_csv(file, keep_default_na=False)
        return None

    def curve(self, run_id: str, metric: str) -> list[float]:
        points = self.client.get_metric_history(run_id, metric)
        points = sorted(points, key=lambda point: point.step)
        # Step 0 is a summary's.
        return [point.value for point in points if point.step > 0]

    def sweep_view(self, charts: SweepCharts) -> str:
        charts_view, table_view = sweep_views(charts)
        self._save_view(table_view)
        path = self._save_view(charts_view)
        self._describe(charts.headline)
        return path

    def leaderboard_view(self, board: Leaderboard) -> str:
        path = self._save_view(leaderboard_view(board))
        self._describe(board.headline)
        return path

    def folds_view(self, table: FoldsTable) -> str:
        path = self._save_view(folds_view(table))
        self._describe(table.headline)
        return path

    def _describe(self, headline: Objective) -> None:
        """Write on the experiment's page what is best so far, and links to its views.

        What a person has written there stays.
        """
        experiment = self.client.get_experiment(self.experiment_id)
        if is_written_by_hand(experiment.tags.get(NOTE, "")):
            return
        note = experiment_note(
            self.experiment_id,
            self.rows(without_roles=NOT_MODELS, limit=MOST_MODELS),
            headline,
            saved_views_of(self.experiment_id, experiment.tags),
        )
        self.client.set_experiment_tag(self.experiment_id, NOTE, note)

    def end_orphans(self) -> None:
        """Mark the runs as KILLED whose process died on this machine without ending them."""
        for row in self.rows(status="RUNNING"):
            if ended(row.tags):
                reason = f"its process ended without closing it ({row.tags[PROCESS]})"
                write_tags(self.client, row.id, {"reason": reason})
                self.client.set_terminated(row.id, "KILLED", end_time=self._last_written(row))

    def _last_written(self, row: Row) -> int:
        """Return when a run wrote its last metric, in milliseconds.

        That is a better end than the day on which somebody noticed.
        """
        last = milliseconds(row.start_time)
        for key in row.metrics:
            for point in self.client.get_metric_history(row.id, key):
                last = max(last, int(point.timestamp))
        return last

    def _run(self, run_id: str) -> MlflowRun:
        return MlflowRun(self.client, self.experiment_id, run_id)

    def _create_run(
        self, name: str, role: Role, parent: str, tags: Mapping[str, str], start: float
    ) -> str:
        all_tags = {**origin_tags(), **tags, "role": role}
        if parent:
            all_tags[PARENT] = parent
        all_tags = {key: truncate(value, LONGEST_TAG) for key, value in all_tags.items()}
        run = self.client.create_run(
            self.experiment_id, start_time=milliseconds(start), tags=all_tags, run_name=name
        )
        return cast(str, run.info.run_id)

    def _save_view(self, view: View) -> str:
        """Save `view` as a tag of the experiment; return the path of its page."""
        self.client.set_experiment_tag(self.experiment_id, view.tag, view.value())
        return view_page(self.experiment_id, view.id, view.mode)
