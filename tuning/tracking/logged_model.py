"""The code of a logged model ("models from code"): MLflow runs a copy of it to load the model.

The copy lies beside `model.keras` (the network) and `facts.json` (what predicting needs to know);
`code/` holds `pipelines`. Nothing of the project imports this file; `log_model.py` copies it.
"""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import BAD_REQUEST

from pipelines import pipeline_class
from pipelines.errors import ApplineError
from pipelines.model_file import read_facts, read_network
from pipelines.pipeline import ServingModel

MODEL_FOLDER = Path(__file__).parent
logger = logging.getLogger(__name__)


class RefusedInput(MlflowException):
    """An input that cannot be answered: status 400 over HTTP, and the reason alone.

    MLflow's server would put the whole input in front of the reason.
    """

    def __init__(self, reason: str) -> None:
        self._reason = reason
        super().__init__(reason, error_code=BAD_REQUEST)

    @property
    def message(self) -> str:
        """The reason."""
        return self._reason

    @message.setter
    def message(self, text: str) -> None:
        """Leave the reason as it is."""


class LoggedModel(mlflow.pyfunc.PythonModel):
    """A model for its user: raw input in, a table of answers out."""

    def load_context(self, context: Any) -> None:
        """Load the network and its facts."""
        path = MODEL_FOLDER / "facts.json"
        facts = read_facts(json.loads(path.read_text()), str(path))
        self.pipeline_type = pipeline_class(facts.domain)
        network = read_network(MODEL_FOLDER / "model.keras")
        self.serving = ServingModel(model=network, facts=facts)

    # Any other annotation of the input, or none, makes MLflow warn whoever loads the model: it
    # wants to read a schema from it.
    def predict(
        self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> Any:
        """Return the predictions for `model_input`.

        It may be whatever the domain's `predict_raw` reads, a table, an array or a path, and what
        a request in JSON holds: lists of texts, of numbers or of records, and columns by name.

        Raises:
            RefusedInput: it cannot be answered; the message says why.
        """
        notes: list[str] = []
        try:
            answers = self.pipeline_type.predict_raw(
                self.serving, _raw_input(model_input), notes=notes
            )
        except ApplineError as error:
            raise RefusedInput(str(error)) from None
        except Exception:
            logger.exception("An input could not be answered")
            raise RefusedInput(
                f"This input cannot be answered by a model of the domain "
                f"{self.serving.facts.domain!r}; the server's log has the reason. "
                f"Received: {_describe(model_input)}"
            ) from None
        for note in notes:
            logger.info(note)
        return answers


def _raw_input(given: Any) -> Any:
    """Return a request in one of the forms that `predict_raw` reads."""
    if isinstance(given, pd.Series):
        return given.to_frame(str(given.name)) if given.name is not None else given.to_numpy()
    if isinstance(given, Mapping):
        return _from_columns(given)
    if isinstance(given, bytes):
        return _as_objects([given])
    if not isinstance(given, list | tuple):
        return given
    if given and all(isinstance(item, Mapping) for item in given):
        return pd.DataFrame(list(given))
    if any(isinstance(item, bytes | Path) for item in given):
        return _as_objects(given)
    try:
        return np.asarray(given)
    except ValueError:  # lists of different lengths
        return _as_objects(given)


def _from_columns(given: Mapping[str, Any]) -> pd.DataFrame:
    columns = {}
    for name, values in given.items():
        if isinstance(values, np.ndarray) and values.ndim == 0:
            values = values.item()
        several = isinstance(values, list | tuple | np.ndarray)
        columns[str(name)] = list(values) if several else [values]
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise RefusedInput(f"The columns have different lengths: {lengths}")
    return pd.DataFrame({name: _as_objects(values) for name, values in columns.items()})


def _as_objects(values: Any) -> np.ndarray:
    """Return values `(n,)` as they are, also those that are lists or arrays themselves."""
    objects = np.empty(len(values), dtype=object)
    for row, value in enumerate(values):
        objects[row] = value
    return objects


def _describe(given: Any) -> str:
    if isinstance(given, pd.DataFrame):
        return f"a table with the columns {', '.join(map(str, given.columns[:20]))}"
    if isinstance(given, np.ndarray):
        return f"an array of shape {given.shape}, dtype {given.dtype}"
    return f"a {type(given).__name__}"


mlflow.models.set_model(LoggedModel())
