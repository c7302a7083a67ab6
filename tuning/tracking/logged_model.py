"""The code of a logged model ("models from code"): MLflow runs a copy of it to load the model.

The copy lies beside `model.keras` (the network) and `facts.json` (what predicting needs to know);
`code/` holds `pipelines`. Nothing of the project imports this file; `log_model.py` copies it.
"""

import json
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd

from pipelines import pipeline_class
from pipelines.model_file import read_facts, read_network
from pipelines.pipeline import ServingModel

MODEL_FOLDER = Path(__file__).parent


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

        It may be whatever the domain's `predict_raw` reads: a table, an array or a path.
        """
        return self.pipeline_type.predict_raw(self.serving, model_input)


mlflow.models.set_model(LoggedModel())
