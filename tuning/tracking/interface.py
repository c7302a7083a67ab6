"""What the rest of the project sees of a run, and a tracker that records nothing.

`tuning.tracking.mlflow_tracker` writes runs to MLflow; `NullTracker` replaces it where nothing
should be kept (`--no-tracking`, tests).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, TypedDict, Unpack

from pipelines.splits import Splits

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from tuning.tracking.saved_views import FoldsTable, Leaderboard, SweepCharts

Role: TypeAlias = Literal[
    "train", "sweep", "trial", "baseline", "final", "seed", "folds", "fold", "evaluate"
]
Status: TypeAlias = Literal["FINISHED", "FAILED", "KILLED"]
PARENT = "mlflow.parentRunId"  # the tag by which MLflow nests a run
FOLDS = "folds"  # tag of the runs of a cross-validation: the run of all folds
FINAL_FIT = "final_fit"  # parameter of a run whose model has learned from test too
FIT_SEED = "fit_seed"  # parameter of a further seed or refit: the seed of its fit
WEIGHTS_OF = "weights_of"  # tag of a final run that kept the weights of its trial: which one
# Artifacts of a trained run, one row each: an example with its answer; the loss of an independent
# unit (see `Pipeline.losses`).
TEST_PREDICTIONS = "predictions/test.csv"
TEST_LOSSES = "predictions/test_losses.csv"
TEST_SCORES = "scores/test_{}.csv"  # by what divides the part, such as by_series
# The worst mistakes with their inputs, of what answers and of the strongest baseline.
TEST_MISTAKES = "predictions/test_mistakes.csv"
BASELINE_MISTAKES = "predictions/test_mistakes_of_strongest_baseline.csv"


class Wanted(TypedDict, total=False):
    """The conditions on runs that are looked for."""

    run_id: str
    name: str
    role: Role
    without_roles: Sequence[Role]
    sweep: str  # the beginning of a sweep's id, whose own run counts among its runs
    data_digest: str
    status: str


class Run(Protocol):
    """One row of MLflow that is being written."""

    id: str  # "" when nothing is recorded

    def params(self, values: Mapping[str, object]) -> None:
        """Write parameters; a value longer than 6,000 characters is truncated and marked so."""

    def tags(self, values: Mapping[str, str]) -> None:
        """Write tags, replacing those that were there."""

    def metrics(self, values: Mapping[str, float], *, step: int = 0) -> None:
        """Write metrics of one step; summaries belong to step 0.

        Metrics that are NaN or infinite are left out, and named in the tag `not_finite`.
        """

    def history(self, values: Mapping[str, Sequence[float]]) -> None:
        """Write curves, one value an epoch, from step 1."""

    def rename(self, name: str) -> None:
        """Call the run otherwise: what it came to is known now."""

    def dataset(self, splits: Splits) -> None:
        """Write which data the run saw: one input for each part, with its digest and count."""

    def text(self, text: str, path: str) -> None:
        """Keep `text` as the artifact `path`."""

    def table(self, frame: "pd.DataFrame", path: str) -> None:
        """Keep a table as the artifact `path`: CSV or Parquet, by its suffix."""

    def figure(self, figure: "Figure", path: str) -> None:
        """Keep a figure as the artifact `path`."""

    def file(self, path: Path, folder: str = "") -> None:
        """Keep a file that is on disk, in the artifact folder `folder`."""

    def model(self, path: Path, facts: Mapping[str, Any]) -> None:
        """Keep the Keras model in the file `path` as one that takes raw input.

        `facts` is what `pipelines.model_file.facts_as_json` gave for it.
        """

    def describe(self, markdown: str) -> None:
        """Show `markdown` on the run's page."""

    def finish(self, status: Status = "FINISHED", reason: str = "") -> None:
        """End the run; a second call does nothing."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """A run that is already over, to be written at once.

    Times are seconds since 1970; curves run from step 1, metrics are summaries. `tables` are
    artifacts by path.
    """

    name: str
    role: Role
    parent: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, object] = field(default_factory=dict)
    history: Mapping[str, Sequence[float]] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    card: str = ""  # Markdown that the run's page shows
    splits: Splits | None = None  # the data that the run saw
    tables: Mapping[str, "pd.DataFrame"] = field(default_factory=dict)
    status: Status = "FINISHED"
    start_time: float
    end_time: float


@dataclass(frozen=True, kw_only=True)
class Row:
    """A run that was read back.

    Times are seconds since 1970; a metric has its last value; `end_time` is None while it runs.
    """

    id: str
    name: str
    status: str
    experiment: str
    start_time: float
    end_time: float | None
    tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: Mapping[str, float]

    @property
    def role(self) -> str:
        """What kind of run it is, a `Role`; "" for a run that appline did not write."""
        return self.tags.get("role", "")

    @property
    def domain(self) -> str:
        """The domain; of a run without a tag for it, the beginning of its experiment's name."""
        return self.tags.get("domain") or self.experiment.partition("/")[0]


class Tracker(Protocol):
    """Where runs are kept: one experiment of one store."""

    def start(
        self,
        name: str,
        *,
        role: Role,
        parent: str = "",
        tags: Mapping[str, str] | None = None,
        params: Mapping[str, object] | None = None,
    ) -> Run:
        """Begin a run, as a child of the run `parent` when that is given."""

    def resume(self, run_id: str) -> Run:
        """Continue a run that was ended, such as an interrupted sweep.

        It is RUNNING again and belongs to this process.
        """

    def record(self, record: Record) -> str:
        """Write a run that is over, in one batch; return its id."""

    def tag(self, run_id: str, values: Mapping[str, str]) -> None:
        """Write tags of a run that is over."""

    def confirm(self, run_id: str) -> None:
        """Read an ended run and its model back, before it is said that they were kept.

        Raises:
            ResultLost: they are not in the store.
        """

    def model_file(self, run_id: str) -> str:
        """Return the path of a run's model file; empty where it is on no disk of this machine."""

    def url(self, run_id: str) -> str:
        """Return the address of a run's page."""

    def rows(
        self, *, limit: int = 1000, everywhere: bool = False, **wanted: Unpack[Wanted]
    ) -> list[Row]:
        """Return the runs of this experiment, or of all with `everywhere`, that fit; newest first.

        They fit that fulfil every condition in `wanted`.
        """

    def table(self, run_id: str, path: str) -> "pd.DataFrame | None":
        """Return a CSV or Parquet artifact of a run; None where the run has none of this path."""

    def curve(self, run_id: str, metric: str) -> list[float]:
        """Return the values of a metric by epoch, from the first."""

    def sweep_view(self, charts: "SweepCharts") -> str:
        """Save what a sweep shows in MLflow's Views menu; return the path of its page in the UI."""

    def leaderboard_view(self, board: "Leaderboard") -> str:
        """Save the table that compares this experiment's models with their baselines.

        Return the path of its page in the UI.
        """

    def folds_view(self, table: "FoldsTable") -> str:
        """Save the table of a cross-validation; return the path of its page in the UI."""


class NullRun:
    """A run that is written nowhere."""

    id = ""

    def params(self, values: Mapping[str, object]) -> None: ...
    def tags(self, values: Mapping[str, str]) -> None: ...
    def metrics(self, values: Mapping[str, float], *, step: int = 0) -> None: ...
    def history(self, values: Mapping[str, Sequence[float]]) -> None: ...
    def rename(self, name: str) -> None: ...
    def dataset(self, splits: Splits) -> None: ...
    def text(self, text: str, path: str) -> None: ...
    def table(self, frame: "pd.DataFrame", path: str) -> None: ...
    def figure(self, figure: "Figure", path: str) -> None: ...
    def file(self, path: Path, folder: str = "") -> None: ...
    def model(self, path: Path, facts: Mapping[str, Any]) -> None: ...
    def describe(self, markdown: str) -> None: ...
    def finish(self, status: Status = "FINISHED", reason: str = "") -> None: ...


class NullTracker:
    """A tracker that keeps nothing."""

    def start(
        self,
        name: str,
        *,
        role: Role,
        parent: str = "",
        tags: Mapping[str, str] | None = None,
        params: Mapping[str, object] | None = None,
    ) -> NullRun:
        return NullRun()

    def resume(self, run_id: str) -> NullRun:
        return NullRun()

    def record(self, record: Record) -> str:
        return ""

    def tag(self, run_id: str, values: Mapping[str, str]) -> None: ...

    def confirm(self, run_id: str) -> None: ...

    def model_file(self, run_id: str) -> str:
        return ""

    def url(self, run_id: str) -> str:
        return ""

    def rows(
        self, *, limit: int = 1000, everywhere: bool = False, **wanted: Unpack[Wanted]
    ) -> list[Row]:
        return []

    def table(self, run_id: str, path: str) -> "pd.DataFrame | None":
        return None

    def curve(self, run_id: str, metric: str) -> list[float]:
        return []

    def sweep_view(self, charts: "SweepCharts") -> str:
        return ""

    def leaderboard_view(self, board: "Leaderboard") -> str:
        return ""

    def folds_view(self, table: "FoldsTable") -> str:
        return ""
