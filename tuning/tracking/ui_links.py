"""Addresses inside MLflow's UI, as paths behind the server's own address. Imports no MLflow."""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

# An experiment's tag with this prefix is one entry of the Views menu; the view's id follows.
VIEW_TAG = "mlflow.sharedViewState."
# Without the workflow type a fresh browser lands on MLflow's side for language models.
WORKFLOW = {"workflowType": "machine_learning"}


def view_page(experiment_id: str, view_id: str, mode: str) -> str:
    """Return the path of a saved view; `mode` is CHART or TABLE."""
    query = urlencode({"viewStateShareKey": view_id, "compareRunsMode": mode, **WORKFLOW})
    return f"/#/experiments/{experiment_id}/runs?{query}"


def run_page(experiment_id: str, run_id: str) -> str:
    """Return the path of a run's page."""
    return f"/#/experiments/{experiment_id}/runs/{run_id}?{urlencode(WORKFLOW)}"


def experiments_page() -> str:
    """Return the path of the list of experiments."""
    return f"/#/experiments?{urlencode(WORKFLOW)}"


def view_pages(experiments: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the path of the view that was saved last in each experiment, by its name.

    The experiment whose view is the newest comes first; one without views is left out.
    `experiments` is what MLflow's REST API returns.
    """
    newest: dict[str, tuple[int, str]] = {}
    for experiment in experiments:
        for tag in experiment.get("tags", ()):
            if not tag["key"].startswith(VIEW_TAG):
                continue
            saved = json.loads(tag["value"])
            view_id = tag["key"].removeprefix(VIEW_TAG)
            path = view_page(experiment["experiment_id"], view_id, saved.get("mode", "CHART"))
            name = experiment["name"]
            newest[name] = max(newest.get(name, (0, "")), (saved["createdAt"], path))
    ordered = sorted(newest.items(), key=lambda entry: entry[1], reverse=True)
    return {name: path for name, (_, path) in ordered}
