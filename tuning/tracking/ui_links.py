"""Addresses inside MLflow's UI, as paths behind the server's own address. Imports no MLflow."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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


def page_link(address: str, below: str = "") -> str:
    """Return a link from one of MLflow's pages to the page at `address`, or to one below it.

    It holds on any server and port. It is "" where nothing is recorded.
    """
    path = address.partition("#")[2]
    return f"#{path.replace('?', f'{below}?', 1)}" if path else ""


def experiments_page() -> str:
    """Return the path of the list of experiments."""
    return f"/#/experiments?{urlencode(WORKFLOW)}"


@dataclass(frozen=True, kw_only=True)
class SavedView:
    """An entry of an experiment's Views menu: its name, and the path of its page."""

    name: str
    path: str
    created: int  # milliseconds since 1970


def saved_views_of(experiment_id: str, tags: Mapping[str, str]) -> list[SavedView]:
    """Return the views in the tags of an experiment, the newest first."""
    views = []
    for key, value in tags.items():
        if not key.startswith(VIEW_TAG):
            continue
        saved = json.loads(value)
        path = view_page(experiment_id, key.removeprefix(VIEW_TAG), saved.get("mode", "CHART"))
        views.append(SavedView(name=saved.get("name", ""), path=path, created=saved["createdAt"]))
    return sorted(views, key=lambda view: view.created, reverse=True)


def view_pages(experiments: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the path of the view that was saved last in each experiment, by its name.

    The experiment whose view is the newest comes first; one without views is left out.
    `experiments` is what MLflow's REST API returns.
    """
    newest: dict[str, SavedView] = {}
    for experiment in experiments:
        tags = {tag["key"]: tag["value"] for tag in experiment.get("tags", ())}
        views = saved_views_of(experiment["experiment_id"], tags)
        if views:
            newest[experiment["name"]] = views[0]
    ordered = sorted(newest.items(), key=lambda entry: entry[1].created, reverse=True)
    return {name: view.path for name, view in ordered}
