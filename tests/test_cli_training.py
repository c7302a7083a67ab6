"""Commands that train: files that are written, runs that are found again, interrupts."""

import json
import shlex
import signal
import subprocess
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import pytest
from PIL import Image

from tests.command_line import (
    QUICK,
    appline,
    appline_process,
    command_of,
    environment_of,
)
from tests.samples import small_series


class Training(NamedTuple):
    """The folder in which `appline vision train` has run, and what it printed."""

    folder: Path
    report: dict[str, Any]

    @property
    def run_id(self) -> str:
        return str(self.report["run_id"])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Training:
    folder = tmp_path_factory.mktemp("trained")
    done = appline_process("vision", "train", *QUICK, "--json", folder=folder)
    assert done.returncode == 0, done.stderr
    np.savez(folder / "x.npz", x=np.zeros((2, 8, 8)))
    return Training(folder, json.loads(done.stdout))


# --- a finished training


def test_no_secret_of_an_address_is_kept_or_shown(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path}/kept/mlflow.db?password=hunter2"
    done = appline("vision", "train", *QUICK, "--tracking-uri", address, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "hunter2" not in done.stdout + done.stderr
    kept = [path for path in (tmp_path / "kept").rglob("*") if path.is_file()]
    assert kept
    assert not [path for path in kept if b"hunter2" in path.read_bytes()]


def test_a_training_prints_one_json_object_and_progress_elsewhere(trained: Training) -> None:
    assert trained.report["domain"] == "vision"
    assert set(trained.report["test"]) >= {"accuracy", "log_loss"}


def test_the_model_lies_where_the_result_says(trained: Training) -> None:
    path = trained.report["model_file"]
    assert Path(path).is_file()
    answers = appline("vision", "predict", "x.npz", "--model", path, folder=trained.folder)
    assert answers.returncode == 0, answers.stderr


def test_the_verdict_in_the_list_of_runs_is_that_of_the_run(trained: Training) -> None:
    listed = appline("runs", "--json", folder=trained.folder)
    (row,) = json.loads(listed.stdout)["runs"]
    assert trained.report["verdict"] in ("beats", "ties", "loses to")
    assert row["verdict"].startswith(f"the network {trained.report['verdict']} ")


def test_a_run_predicts_and_is_evaluated_by_the_beginning_of_its_id(trained: Training) -> None:
    run = trained.run_id[:8]
    arguments = ("vision", "predict", "x.npz", "--run", run, "--json")
    answers = appline(*arguments, folder=trained.folder)
    assert len(json.loads(answers.stdout)["answers"]) == 2
    scores = appline("vision", "evaluate", "--run", run, "--json", folder=trained.folder)
    accuracy = trained.report["test"]["accuracy"]
    assert json.loads(scores.stdout)["accuracy"] == pytest.approx(accuracy)


def test_what_bounded_the_training_does_not_bound_the_data_that_a_model_is_scored_on(
    trained: Training,
) -> None:
    command = ("vision", "evaluate", "--run", trained.run_id, "--data", "digits", "--json")
    done = appline(*command, folder=trained.folder)
    assert json.loads(done.stdout)["examples"] == 1797
    bounded = appline(*command, "--limit", "50", folder=trained.folder)
    assert json.loads(bounded.stdout)["examples"] == 50


@pytest.mark.slow
def test_a_run_is_registered_and_exported_and_answers_by_its_new_name(trained: Training) -> None:
    registering = ("vision", "register", "--run", trained.run_id, "--alias", "champion", "--json")
    done = appline(*registering, folder=trained.folder)
    assert done.returncode == 0, done.stderr
    name = json.loads(done.stdout)["run"]
    assert name == "models:/vision-digits@champion"
    answers = appline("vision", "predict", "x.npz", "--run", name, "--json", folder=trained.folder)
    assert len(json.loads(answers.stdout)["answers"]) == 2
    command = ("vision", "export", "--run", name, "--format", "tflite", "-o", "m.tflite", "--json")
    done = appline(*command, folder=trained.folder)
    assert done.returncode == 0, done.stderr
    proof = json.loads(done.stdout)
    assert proof["examples"] == 64
    assert (trained.folder / "m.tflite").stat().st_size == proof["num_bytes"]
    again = appline(*command, folder=trained.folder)
    assert again.returncode == 2
    assert "exists already and is not overwritten" in again.stderr


def test_answers_are_not_written_over_a_file_that_exists(trained: Training) -> None:
    (trained.folder / "kept.csv").write_text("precious")
    arguments = ("vision", "predict", "x.npz", "--run", trained.run_id, "-o", "kept.csv")
    done = appline(*arguments, folder=trained.folder)
    assert done.returncode == 2
    assert "exists already" in done.stderr
    assert (trained.folder / "kept.csv").read_text() == "precious"


def test_a_model_of_another_application_is_refused(trained: Training) -> None:
    series = small_series(trained.folder / "series.csv")
    arguments = ("forecast", "predict", str(series), "--run", trained.run_id)
    done = appline(*arguments, folder=trained.folder)
    assert done.returncode == 2
    command = f"appline vision predict {series} --run {trained.run_id}"
    assert f"This is a vision model. Use: {command}" in done.stderr


def test_a_gate_that_fails_exits_with_4(tmp_path: Path) -> None:
    untrained = ("--limit", "80", "--epochs", "1", "--learning-rate", "1e-6")
    arguments = ("vision", "train", *untrained, "--gate", "--no-tracking")
    done = appline(*arguments, folder=tmp_path)
    assert done.returncode == 4
    assert "worse than" in done.stderr


@pytest.mark.slow
def test_the_next_command_that_a_run_prints_works_as_it_stands(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "digit.png")
    done = appline("vision", "train", *QUICK, "--tracking-uri", "my runs", folder=tmp_path)
    line = next(line for line in done.stdout.splitlines() if line.startswith("next "))
    command = shlex.split(line.removeprefix("next").replace("INPUT", "digit.png"))
    assert command[0] == "appline"
    answered = appline(*command[1:], folder=tmp_path)
    assert answered.returncode == 0, answered.stderr
    assert "digit.png" in answered.stdout


@pytest.mark.slow
def test_two_processes_give_the_same_bits_with_deterministic(tmp_path: Path) -> None:
    weights = []
    for name in ("a", "b"):
        folder = tmp_path / name
        folder.mkdir()
        done = appline_process("vision", "train", *QUICK, "--deterministic", folder=folder)
        assert done.returncode == 0, done.stderr
        weights.append(saved_weights(folder))
    assert weights[0].keys() == weights[1].keys()
    assert all(np.array_equal(weights[0][key], weights[1][key]) for key in weights[0])


def saved_weights(folder: Path) -> dict[str, np.ndarray]:
    """Return the arrays in the model file of the one run below `folder`, by their names."""
    path = folder / "model.weights.h5"
    model = next((folder / "mlruns").rglob("model.keras"))
    with zipfile.ZipFile(model) as archive:
        path.write_bytes(archive.read(path.name))
    arrays: dict[str, np.ndarray] = {}

    def keep(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            arrays[name] = item[()]

    with h5py.File(path) as file:
        file.visititems(keep)
    return arrays


# --- sweeps

KERNELS_AND_FILTERS = (
    "--only-search",
    "--search",
    "conv.kernel_size=1,2,3",
    "--search",
    "conv.filters=4,8",
)


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_sweep_exits_with_130_and_says_how_to_continue(
    tmp_path: Path, stop: signal.Signals
) -> None:
    kernels = ("--only-search", "--search", "conv.kernel_size=1,2,3,5")
    arguments = ("vision", "tune", *QUICK, *kernels, "--trials", "4")
    with subprocess.Popen(
        command_of(*arguments),
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment_of(),
    ) as process:
        assert process.stderr is not None
        line = ""
        while "trial 1/4" not in line and process.poll() is None:
            line = process.stderr.readline()
        process.send_signal(stop)
        rest = process.stderr.read()
        assert process.wait(60) == 130
    assert "Continue: appline vision tune" in rest
    sweep_id = rest.rpartition("--resume ")[2].split()[0]
    done = appline(*arguments, "--resume", sweep_id, "--json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "(recorded before)" in done.stderr
    assert len(json.loads(done.stdout)["trials"]) == 4


@pytest.mark.slow
def test_a_sweep_with_two_workers_and_two_objectives_ends_with_its_front(tmp_path: Path) -> None:
    objectives = ("--objective", "val_accuracy", "--objective", "cost/params")
    limits = ("--limit", "cost/params=5000", "--trials", "4", "--workers", "2")
    arguments = ("vision", "tune", *QUICK, *KERNELS_AND_FILTERS, *objectives, *limits)
    done = appline(*arguments, "--json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["objectives"] == ["val_accuracy", "cost/params"]
    assert result["front"]
    assert all(trial["scores"][1] <= 5000 for trial in result["trials"])
    trial_lines = [line for line in done.stderr.splitlines() if line.startswith("trial ")]
    assert trial_lines, "on a pipe one line a trial"


@pytest.mark.slow
def test_a_dry_run_says_what_a_sweep_would_cost_and_keeps_nothing(tmp_path: Path) -> None:
    arguments = ("vision", "tune", *QUICK, *KERNELS_AND_FILTERS, "--dry-run", "--json")
    done = appline(*arguments, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    cost = json.loads(done.stdout)
    assert cost["space"]["total"] == 6
    # Further networks are measured as long as that takes a fraction of the sweep.
    assert cost["measured"][0]["name"] == "defaults"
    assert cost["seconds"] > 0
    assert not (tmp_path / "mlruns").exists()


@pytest.mark.slow
def test_a_sweep_is_resumed_by_its_id_alone(tmp_path: Path) -> None:
    kernels = ("--only-search", "--search", "conv.kernel_size=1,2,3,5")
    arguments = (*QUICK, *kernels, "--tuner", "grid", "--trials", "2", "--workers", "0")
    begun = appline("vision", "tune", *arguments, "--json", folder=tmp_path)
    assert begun.returncode == 0, begun.stderr
    sweep = json.loads(begun.stdout)["sweep_id"][:8]
    again = appline("vision", "tune", "--resume", sweep, "--json", folder=tmp_path)
    assert again.returncode == 0, again.stderr
    final = json.loads(begun.stdout)["final"]["run_id"]
    assert json.loads(again.stdout)["final"]["run_id"] == final
    wrong = ("--seed", "3", "--tuner", "tpe", "--set", "conv.filters=9", "--trials", "4")
    refused = appline("vision", "tune", "--resume", sweep, *wrong, folder=tmp_path)
    assert refused.returncode == 2
    for said in ("--seed was 42, not 3", "--tuner was grid, not tpe", "conv.filters was 8, not 9"):
        assert said in refused.stderr
    other = appline("text", "tune", "--resume", sweep, folder=tmp_path)
    assert f"Use: appline vision tune --resume {sweep}" in other.stderr
    more = appline("vision", "tune", "--resume", sweep, "--trials", "4", folder=tmp_path)
    assert more.returncode == 0, more.stderr
    assert "trial 4/4" in more.stderr
    listed = appline("runs", "--json", folder=tmp_path)
    roles = [run["role"] for run in json.loads(listed.stdout)["runs"]]
    assert roles.count("sweep") == 1
    assert roles.count("final") <= 2


@pytest.mark.slow
def test_a_dry_run_of_train_says_what_it_costs_and_keeps_nothing(tmp_path: Path) -> None:
    done = appline("vision", "train", *QUICK, "--dry-run", "--json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    cost = json.loads(done.stdout)["cost"]
    assert cost["params"] == 3858
    assert sum(layer["params"] for layer in cost["layers"]) == 3858
    assert cost["macs"] > 0
    assert cost["epoch_s"] > 0
    assert not (tmp_path / "mlruns").exists()


def test_a_key_of_another_command_in_a_config_file_is_left_out_and_said(tmp_path: Path) -> None:
    text = "trials: 3\nsearch:\n  conv.kernel_size: 3,5\ndata: missing.csv\n"
    (tmp_path / "sweep.yaml").write_text(text)
    done = appline("vision", "train", "--config", "sweep.yaml", folder=tmp_path)
    assert done.returncode == 3
    assert "another command takes it: trials, conv.kernel_size" in done.stderr
