"""One run in MLflow while it is being written: values, files, its model, its end."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.io.temporary import temporary_folder
from pipelines.splits import Splits
from tuning.tracking.interface import Status
from tuning.tracking.log_model import log_model
from tuning.tracking.metric_batches import (
    LONGEST_PARAM,
    LONGEST_TAG,
    Point,
    curve_points,
    split_finite,
    split_into_batches,
    summary_points,
    truncate,
)
from tuning.tracking.mlflow_client import Client

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

# A wider picture in a description pushes the rest of MLflow's page off the screen.
WIDEST_FIGURE = 740  # pixels
FIGURE_DPI = 110.0
DIGEST_LENGTH = 30  # MLflow takes 36 characters, which must hold the name of the part too


class MlflowRun:
    """One run that is being written. See `Run` for what its methods do."""

    def __init__(self, client: Client, experiment_id: str, run_id: str) -> None:
        self.id = run_id
        self._client = client
        self._experiment_id = experiment_id
        self._summaries: list[Point] = []
        self._model_id = ""
        self._finished = False

    def params(self, values: Mapping[str, object]) -> None:
        write_values(self._client, self.id, params=values)

    def tags(self, values: Mapping[str, str]) -> None:
        write_tags(self._client, self.id, values)

    def metrics(self, values: Mapping[str, float], *, step: int = 0) -> None:
        points = summary_points(values, step, time.time())
        if step == 0:
            self._summaries += points
        write_values(self._client, self.id, points)

    def history(self, values: Mapping[str, Sequence[float]]) -> None:
        now = time.time()
        write_values(self._client, self.id, curve_points(values, now, now))

    def rename(self, name: str) -> None:
        self._client.update_run(self.id, name=name)

    def dataset(self, splits: Splits) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        inputs = []
        for part, count in splits.sizes().items():
            dataset = Dataset(
                name=splits.dataset,
                # MLflow drops a second input of equal name and digest, whatever its context.
                digest=f"{splits.digest[:DIGEST_LENGTH]}-{part}",
                source_type="local",
                source=json.dumps({"uri": splits.dataset}),
                profile=json.dumps({"num_rows": count}),
            )
            context = InputTag("mlflow.data.context", part)
            inputs.append(DatasetInput(dataset=dataset, tags=[context]))
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
            dpi = min(FIGURE_DPI, WIDEST_FIGURE / figure.get_figwidth())
            _lay_out(figure)
            figure.savefig(local, dpi=dpi)

    def file(self, path: Path, folder: str = "") -> None:
        self._client.log_artifact(self.id, str(path), folder or None)

    def model(self, path: Path, facts: Mapping[str, Any]) -> None:
        self._model_id = log_model(self._client, self._experiment_id, self.id, path, facts)

    def describe(self, markdown: str) -> None:
        self._client.set_tag(self.id, "mlflow.note.content", truncate(markdown, LONGEST_TAG))

    def finish(self, status: Status = "FINISHED", reason: str = "") -> None:
        if self._finished:
            return
        self._finished = True
        if self._model_id:
            # MLflow's page "Models" shows them beside the model.
            write_values(self._client, self.id, self._summaries, model_id=self._model_id)
        if reason:
            self.tags({"reason": reason})
        self._client.set_terminated(self.id, status)

    @contextmanager
    def _artifact(self, path: str) -> Iterator[Path]:
        """Yield a file to write; then keep it as the artifact `path`."""
        folder, _, name = path.rpartition("/")
        with temporary_folder() as temporary:
            local = temporary / name
            yield local
            self.file(local, folder)


def _lay_out(figure: "Figure") -> None:
    """Place the parts of a figure now.

    Matplotlib does so whenever it saves one, and draws it twice for that; each is saved twice, as
    an artifact and in a report.
    """
    engine = figure.get_layout_engine()
    if engine:
        engine.execute(figure)
        figure.set_layout_engine(None)  # "none" would keep a place holder, which draws twice too


def write_values(
    client: Client,
    run_id: str,
    points: Sequence[Point] = (),
    params: Mapping[str, object] | None = None,
    model_id: str = "",
) -> None:
    """Write points and parameters of a run in as few calls as MLflow's limits allow.

    Metrics that are not numbers (NaN, infinity) are left out, and named in the tag `not_finite`.
    """
    from mlflow.entities import Metric, Param, RunTag

    finite, not_finite = split_finite(points)
    metrics = [Metric(*point, model_id=model_id or None, run_id=run_id) for point in finite]
    texts = []
    for key, value in (params or {}).items():
        texts.append(Param(key, truncate(str(value), LONGEST_PARAM)))
    tags = [RunTag("not_finite", ", ".join(not_finite))] if not_finite else []
    for batch in split_into_batches(metrics, texts, tags):
        client.log_batch(run_id, metrics=batch.metrics, params=batch.params, tags=batch.tags)


def write_tags(client: Client, run_id: str, values: Mapping[str, str]) -> None:
    """Write tags of a run, in one call.

    MLflow tries such a batch again when another process writes the same tag first; `set_tag` fails
    then.
    """
    from mlflow.entities import RunTag

    tags = [RunTag(key, truncate(value, LONGEST_TAG)) for key, value in values.items()]
    client.log_batch(run_id, tags=tags)
