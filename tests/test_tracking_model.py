"""The model of a run: what is kept, what its page shows, and that it works anywhere."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest

from tests.tracking_samples import points
from tuning.tracking.log_model import REQUIREMENTS_CHECK
from tuning.tracking.mlflow_run import MlflowRun
from tuning.tracking.mlflow_tracker import MlflowTracker
from tuning.tracking.stored_runs import download

ROOT = Path(__file__).parent.parent


def test_a_model_lies_under_model_with_its_facts_and_the_code_that_answers(
    run: MlflowRun, store_root: Path, tmp_path: Path
) -> None:
    facts = {"domain": "vision", "classes": ["a", "b"]}
    (tmp_path / "network.keras").write_bytes(b"the network")
    run.model(tmp_path / "network.keras", facts)
    network = download(run.id, "model/model.keras", tmp_path / "file", root=store_root)
    assert network.read_bytes() == b"the network"
    folder = download(run.id, "model", tmp_path / "whole", root=store_root)
    assert json.loads((folder / "facts.json").read_text()) == facts
    assert (folder / "code" / "pipelines" / "pipeline.py").exists()
    assert "keras==" in (folder / "requirements.txt").read_text()


def test_installed_packages_are_not_read_again_to_check_what_was_read_from_them(
    run: MlflowRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It took half a second of each training."""
    from mlflow.utils import environment

    checked: list[object] = []
    monkeypatch.setattr(environment, REQUIREMENTS_CHECK, checked.append)
    (tmp_path / "network.keras").write_bytes(b"the network")
    run.model(tmp_path / "network.keras", {"domain": "vision"})
    assert checked == []
    environment.warn_dependency_requirement_mismatches("is MLflow's own again")
    assert checked == ["is MLflow's own again"]


def test_a_models_page_shows_the_runs_summaries_whenever_they_were_written(
    tracker: MlflowTracker, tmp_path: Path
) -> None:
    run = tracker.start("a run", role="train")
    run.history({"loss": [0.5]})
    run.metrics({"test/accuracy": 0.9})
    (tmp_path / "model.keras").write_bytes(b"the network")
    run.model(tmp_path / "model.keras", {"domain": "vision"})
    run.metrics({"cost/mb": 1.5})
    run.finish()
    (output,) = tracker.client.get_run(run.id).outputs.model_outputs
    model = tracker.client.get_logged_model(output.model_id)
    shown = {metric.key: metric.value for metric in model.metrics}
    assert shown == {"test/accuracy": 0.9, "cost/mb": 1.5}
    assert points(tracker, run.id, "test/accuracy") == [(0, 0.9)]


def test_a_model_that_cannot_be_kept_is_marked_as_failed(
    tracker: MlflowTracker, run: MlflowRun, tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError):
        run.model(tmp_path / "no-such.keras", {"domain": "vision"})
    models = tracker.client.search_logged_models([tracker.experiment_id])
    assert [model.status.value for model in models] == ["FAILED"]


# Everything a process needs that knows nothing of this project: MLflow, and a domain that the
# logged code can find.
PREDICT = """
import os, sys, types
from dataclasses import dataclass
import pandas as pd
import mlflow

mlflow.set_tracking_uri(sys.argv[1])
folder = mlflow.artifacts.download_artifacts(f"runs:/{sys.argv[2]}/model")
sys.path.insert(0, os.path.join(folder, "code"))
import pipelines
from pipelines.pipeline import ServingFacts

@dataclass(frozen=True, kw_only=True)
class DoublingFacts(ServingFacts):
    name: str

class DoublingPipeline:
    facts_type = DoublingFacts

    @classmethod
    def predict_raw(cls, serving, source, options=None, notes=None):
        doubled = serving.model.predict(source.to_numpy(), verbose=0)[:, 0]
        return pd.DataFrame({serving.facts.name: doubled})

sys.modules["doubling.pipeline"] = types.SimpleNamespace(DoublingPipeline=DoublingPipeline)
pipelines.DOMAINS["doubling"] = "doubling:Doubling"
model = mlflow.pyfunc.load_model(f"runs:/{sys.argv[2]}/model")
print(pipelines.__file__)
print(model.predict(pd.DataFrame({"x": [1.0, 2.5]})).to_json())
"""


@pytest.mark.slow
def test_a_logged_model_answers_in_a_process_where_appline_is_not_installed(
    run: MlflowRun, store_root: Path, tmp_path: Path
) -> None:
    inputs = keras.Input((1,))
    two = keras.initializers.Constant(2.0)
    outputs = keras.layers.Dense(1, use_bias=False, kernel_initializer=two)(inputs)
    keras.Model(inputs, outputs).save(tmp_path / "model.keras")
    run.model(tmp_path / "model.keras", {"domain": "doubling", "name": "twice"})
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [sys.executable, "-P", "-c", PREDICT, f"sqlite:///{store_root}/mlflow.db", run.id]
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr
    package, answers = done.stdout.strip().splitlines()[-2:]
    assert not package.startswith(str(ROOT))
    assert json.loads(answers) == {"twice": {"0": 2.0, "1": 5.0}}
