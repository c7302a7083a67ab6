"""Models under a name: registered from a run, found again by the name wherever a run is taken."""

from pathlib import Path

import pandas as pd
import pytest

from pipelines.errors import UsageError
from tuning.tracking.mlflow_run import MlflowRun
from tuning.tracking.mlflow_tracker import MlflowTracker
from tuning.tracking.registry import Registered, register_model
from tuning.tracking.stored_runs import download, find_run

EXAMPLE = pd.DataFrame({"text": ["good", "bad"]})
TAGS = {"data_digest": "0123456789abcdef"}


@pytest.fixture
def registered(run: MlflowRun, tmp_path: Path, store_root: Path) -> Registered:
    """The model of `run`, as version 1 of a name of the test's own."""
    (tmp_path / "model.keras").write_bytes(b"the network")
    run.model(tmp_path / "model.keras", {"domain": "text"})
    run.finish()
    target = Registered(name=f"name of {run.id[:8]}", version="", alias="champion")
    row = find_run(run.id, root=store_root)
    return register_model(row, target, EXAMPLE, "beats all", TAGS, root=store_root)


def test_a_registered_model_names_its_run_by_alias_and_by_version(
    registered: Registered, run: MlflowRun, store_root: Path
) -> None:
    assert registered.version == "1"
    assert registered.address.endswith("@champion")
    assert find_run(registered.address, root=store_root).id == run.id
    assert find_run(f"models:/{registered.name}/1", root=store_root).id == run.id


def test_a_version_says_what_it_is_and_has_an_input_example(
    registered: Registered, run: MlflowRun, tracker: MlflowTracker, store_root: Path, tmp_path: Path
) -> None:
    version = tracker.client.get_model_version_by_alias(registered.name, "champion")
    assert (version.description, version.tags) == ("beats all", TAGS)
    from mlflow.models import Model

    folder = download(run.id, "model", tmp_path / "whole", root=store_root)
    model = Model.load(str(folder))
    assert model.signature is not None
    assert model.load_input_example(str(folder)).equals(EXAMPLE)
    assert (folder / "model.keras").read_bytes() == b"the network"


def test_an_alias_moves_to_the_newest_version(
    registered: Registered, run: MlflowRun, tracker: MlflowTracker, store_root: Path, tmp_path: Path
) -> None:
    other = tracker.start("another", role="train")
    other.model(tmp_path / "model.keras", {"domain": "text"})
    other.finish()
    row = find_run(other.id, root=store_root)
    again = register_model(row, registered, EXAMPLE, "", {}, root=store_root)
    assert again.version == "2"
    assert find_run(registered.address, root=store_root).id == other.id
    assert find_run(f"models:/{registered.name}/1", root=store_root).id == run.id


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda name: f"models:/{name[:-1]}x@champion", "Did you mean"),
        (lambda name: f"models:/{name}@champio", "Did you mean 'champion'?"),
        (lambda name: f"models:/{name}/7", "has no version 7. It has: 1"),
        (lambda name: f"models:/{name}", "expected models:/NAME@ALIAS or models:/NAME/VERSION"),
    ],
    ids=["name", "alias", "version", "form"],
)
def test_what_is_not_registered_is_refused_with_what_is(
    registered: Registered, store_root: Path, change: object, said: str
) -> None:
    assert callable(change)
    with pytest.raises(UsageError) as refused:
        find_run(change(registered.name), root=store_root)
    assert said in str(refused.value)


def test_a_run_without_a_model_is_not_registered(run: MlflowRun, store_root: Path) -> None:
    run.finish()
    row = find_run(run.id, root=store_root)
    target = Registered(name="nothing", version="")
    with pytest.raises(UsageError, match="has kept no model"):
        register_model(row, target, EXAMPLE, "", {}, root=store_root)
    with pytest.raises(UsageError, match="no model is registered as 'nothing'"):
        find_run("models:/nothing/1", root=store_root)
