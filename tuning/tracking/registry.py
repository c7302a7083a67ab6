"""Models of runs in MLflow's registry: registered under a name, and found again by it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.errors import UsageError, suggest
from pipelines.io.temporary import temporary_folder
from tuning.tracking.interface import Row
from tuning.tracking.local_store import LOCAL_ROOT, Store, find_store
from tuning.tracking.mlflow_client import Client, open_client, open_to_read

if TYPE_CHECKING:
    import pandas as pd

REGISTERED = "models:/"  # how MLflow names what is registered, and `--run` too
FORMS = "models:/NAME@ALIAS or models:/NAME/VERSION"
LISTED_MODELS = 100  # among whose names the nearest is looked for


@dataclass(frozen=True, kw_only=True)
class Registered:
    """A version of a registered model. `alias` is "" where it was given none."""

    name: str
    version: str
    alias: str = ""

    @property
    def address(self) -> str:
        """What names it, for `--run` and for MLflow."""
        if self.alias:
            return f"{REGISTERED}{self.name}@{self.alias}"
        return f"{REGISTERED}{self.name}/{self.version}"


def registered_run(address: str, uri: str = "", root: Path = LOCAL_ROOT) -> str:
    """Return the id of the run whose model is registered as `address`.

    Raises:
        UsageError: the address is none, or nothing is registered there.
    """
    name, alias, number = _parse(address)
    store = find_store(uri, root)
    client = open_to_read(store)
    model = _named(client, name)
    if model is None:
        others = client.search_registered_models(max_results=LISTED_MODELS)
        known = sorted(other.name for other in others)
        raise UsageError(
            f"{address}: no model is registered as {name!r} in {store.shown}."
            f"{suggest(name, known)} Registered: {', '.join(known) or 'none'}"
        )
    if alias:
        aliases = model.aliases
        if alias not in aliases:
            listed = ", ".join(sorted(aliases)) or "none"
            raise UsageError(
                f"{address}: {name} has no alias {alias!r}.{suggest(alias, aliases)} "
                f"It has: {listed}"
            )
        number = str(aliases[alias])
    found = client.search_model_versions(f"name = '{name}'")
    versions = {str(version.version): version for version in found}
    if number not in versions:
        raise UsageError(
            f"{address}: {name} has no version {number}. It has: {', '.join(sorted(versions))}"
        )
    run_id: str | None = versions[number].run_id
    if not run_id:
        raise UsageError(
            f"{address}: was not registered from a run, so appline cannot answer by it"
        )
    return run_id


def _parse(address: str) -> tuple[str, str, str]:
    """Return the name, the alias and the version in an address; one of the latter is ""."""
    match = re.fullmatch(r"models:/([^/@:]+)(?:@([^/@]+)|/(\d+))", address)
    if not match:
        raise UsageError(f"{address}: expected {FORMS}")
    return match[1], match[2] or "", match[3] or ""


def register_model(
    run: Row,
    target: Registered,
    example: "pd.DataFrame",
    description: str,
    tags: Mapping[str, str],
    uri: str = "",
    root: Path = LOCAL_ROOT,
) -> Registered:
    """Register the model of a run as a new version of `target.name`; its `version` is passed over.

    The version has the model's signature, and `example` as its input example.

    Raises:
        UsageError: the run has kept no model.
        ExternalFailure: the store refuses it.
    """
    client = open_client(find_store(uri, root))
    model = _model_of(client, run)
    _keep_example(client, model, example, find_store(uri, root))
    if _named(client, target.name) is None:
        client.create_registered_model(target.name, tags={"domain": run.domain})
    version = client.create_model_version(
        target.name,
        # Not `models:/<id>`: MLflow would look that up in the default store of the process.
        model.artifact_location,
        run_id=run.id,
        tags=dict(tags),
        description=description,
        model_id=model.model_id,
    )
    if target.alias:
        client.set_registered_model_alias(target.name, target.alias, version.version)
    return Registered(name=target.name, version=str(version.version), alias=target.alias)


def _named(client: Client, name: str) -> Any:
    """Return the registered model of this name, None where there is none."""
    models = client.search_registered_models(f"name = '{name}'")
    return models[0] if models else None


def _model_of(client: Client, run: Row) -> Any:
    outputs = client.get_run(run.id).outputs
    for output in outputs.model_outputs if outputs else []:
        model = client.get_logged_model(output.model_id)
        if model.name == "model":
            return model
    raise UsageError(
        f"The run {run.id[:8]} ({run.name}) has kept no model. List others: appline runs"
    )


def _keep_example(client: Client, model: Any, example: "pd.DataFrame", store: Store) -> None:
    """Write an input example beside a logged model, as MLflow would have when it was logged."""
    from mlflow.models import Model
    from mlflow.models.utils import _save_example
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    with temporary_folder() as folder:
        repository = get_artifact_repository(model.artifact_location, tracking_uri=store.uri)
        described = Model.load(repository.download_artifacts("MLmodel", str(folder)))
        _save_example(described, example, str(folder))
        described.save(str(folder / "MLmodel"))
        client.log_model_artifacts(model.model_id, str(folder))
