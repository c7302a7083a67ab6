"""The command line as a person meets it: exit codes, messages, streams, files. Each test runs the
real command.
"""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import numpy as np
import pytest

from apps import cli, click_options, rendering
from pipelines import pipeline_class
from pipelines.text.pipeline import TextPipeline
from pipelines.text.spec import TextSpec
from tests.samples import small_series

ROOT = Path(__file__).parent.parent
QUICK = ("--set", "conv.filters=8", "--set", "conv.blocks=2", "--limit", "80", "--epochs", "2")


def appline(*arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "apps.cli", *arguments]
    everything = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(
        command, capture_output=True, text=True, cwd=folder, env=everything, check=False
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, object]]:
    """A folder in which `appline vision train` has run, and what it printed."""
    folder = tmp_path_factory.mktemp("trained")
    done = appline("vision", "train", *QUICK, "--json", folder=folder)
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("vison", "train"), 2, "No such command 'vison'. Did you mean 'vision'?"),
        (("vision", "trian"), 2, "Did you mean 'train'?"),
        (("vision", "train", "--epoch", "3"), 2, "Did you mean '--epochs'?"),
        (("vision", "train", "--epochs", "three"), 2, "'three' is not a valid integer"),
        (("vision", "train", "--set", "conv.kernal_size=3"), 2, "Did you mean 'conv.kernel_size'?"),
        (("vision", "train", "--set", "conv.kernel_size"), 2, "expected KEY=VALUE"),
        (("vision", "train", "--objective", "val_acuracy"), 2, "Did you mean 'val_accuracy'?"),
        (
            ("vision", "tune", "--max-time", "soon"),
            2,
            "expected a duration such as 90s, 10m or 1h30m",
        ),
        (("vision", "tune", "--tuner", "baysian"), 2, "Did you mean 'bayesian'?"),
        (("vision", "tune", "--early-stop", "ahsa"), 2, "Did you mean 'asha'?"),
        (
            ("vision", "tune", "--workers", "two"),
            2,
            "expected a number of processes, 0 for none beside this one, or auto",
        ),
        (("vision", "tune", "--limit", "cost/parms=3"), 2, "Did you mean 'cost/params'?"),
        (("vision", "tune", "--limit", "few"), 2, "expected a number of examples, or COST=MOST"),
        (("vision", "tune", "--objective", "cost/param"), 2, "Did you mean 'cost/params'?"),
        (
            ("vision", "train", "--distribute", "multiworker"),
            2,
            "cannot be trained across hosts today",
        ),
        (("vision", "train", "--config", "gone.yaml"), 2, "no such file"),
        (
            ("vision", "predict", "gone.png", "--model", "m.keras"),
            3,
            "gone.png: no such file or folder",
        ),
        (("vision", "evaluate"), 2, "Give the model by --run RUN or by --model FILE"),
        (("forecast", "train", "--horizon", "0"), 2, "horizon"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_mistake_is_answered_with_the_nearest_name_and_the_right_code(
    arguments: tuple[str, ...], code: int, message: str, tmp_path: Path
) -> None:
    done = appline(*arguments, folder=tmp_path)
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_config_file_with_an_unknown_key_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("data: digits\nconv:\n  kernel_size: 5\n  filtres: 3\n")
    done = appline("vision", "train", "--config", "c.yaml", folder=tmp_path)
    assert done.returncode == 2
    assert "c.yaml: line 4: unknown key 'conv.filtres'. Did you mean 'conv.filters'?" in done.stderr


@pytest.mark.parametrize(
    ("line", "message"),
    [("seed: no", "line 1: seed: 'no' is not a valid integer"), ("conv: [1", "line")],
)
def test_a_config_value_that_does_not_fit_is_refused_with_its_line(
    tmp_path: Path, line: str, message: str
) -> None:
    (tmp_path / "c.yaml").write_text(line + "\n")
    done = appline("vision", "train", "--config", "c.yaml", folder=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr


def test_a_file_holds_several_objectives_and_both_kinds_of_limits(tmp_path: Path) -> None:
    """A quantity of examples and a bound of a cost have one flag; either may come from a file, the
    other from the command line.
    """
    (tmp_path / "c.yaml").write_text(
        "objective: [val_accuracy, cost/params]\nlimit: [90, cost/params=200]\n"
    )
    application = cli.application("vision")
    for words, examples, costs in (
        ((), 90, ("cost/params=200",)),
        (("--limit", "cost/mb=2"), 90, ("cost/mb=2",)),
        (("--limit", "60"), 60, ()),
    ):
        context = application.commands["tune"].make_context(
            "tune", ["--config", str(tmp_path / "c.yaml"), *words]
        )
        found = click_options.resolve(context, pipeline_class("vision"))
        assert found.options["objective"] == ("val_accuracy", "cost/params")
        assert (found.pipeline.limit, found.options["limit_costs"]) == (examples, costs)


def test_with_verbose_a_mistake_has_the_same_code_and_its_traceback(tmp_path: Path) -> None:
    done = appline("vision", "train", "--data", "digit", "-v", folder=tmp_path)
    assert done.returncode == 3
    assert "Traceback" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("Error: ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("--workers", "0", "--trial-time", "5m"),
            "--trial-time needs trials in processes of their own",
        ),
        (("--trials", "0"), "0 is not in the range x>=1"),
        (("--seed", "-1"), "-1 is not in the range 0<=x<=4294967295"),
    ],
)
def test_flags_of_a_sweep_that_do_not_fit_are_refused_before_anything_is_loaded(
    words: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    done = appline("vision", "tune", *words, folder=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert "data " not in done.stderr


def test_answers_are_not_computed_for_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "x.npz").touch()
    done = appline(
        "vision", "predict", "x.npz", "--run", "1234", "-o", "gone/a.csv", folder=tmp_path
    )
    assert done.returncode == 2
    assert "--output gone/a.csv: there is no folder gone" in done.stderr


def test_a_file_of_a_model_does_not_say_what_it_is_scored_on(tmp_path: Path) -> None:
    done = appline("vision", "evaluate", "--model", "model.keras", folder=tmp_path)
    assert done.returncode == 2
    assert "Expected: --data too" in done.stderr


def test_json_holds_null_where_there_is_no_number(capsys: pytest.CaptureFixture[str]) -> None:
    rendering.Screen(json=True).result(
        "", {"effects": [{"p_value": float("nan")}], "seconds": float("inf"), "trials": 2}
    )
    assert json.loads(capsys.readouterr().out) == {
        "effects": [{"p_value": None}],
        "seconds": None,
        "trials": 2,
    }


def test_data_that_is_refused_exits_with_3_and_records_nothing(tmp_path: Path) -> None:
    done = appline("vision", "train", "--data", "digit", folder=tmp_path)
    assert done.returncode == 3
    assert "Did you mean 'digits'?" in done.stderr
    assert not (tmp_path / "mlruns").exists()


def test_a_spec_that_cannot_be_built_exits_with_2_before_anything_is_recorded(
    tmp_path: Path,
) -> None:
    done = appline(
        "vision",
        "train",
        "--set",
        "conv.padding=valid",
        "--set",
        "conv.kernel_size=9",
        folder=tmp_path,
    )
    assert done.returncode == 2
    assert "does not fit into an extent of 8" in done.stderr
    assert not (tmp_path / "mlruns").exists()


def test_a_training_prints_one_json_object_and_progress_elsewhere(
    trained: tuple[Path, dict[str, object]],
) -> None:
    _, report = trained
    assert report["domain"] == "vision"
    assert set(report["test"]) >= {"accuracy", "log_loss"}  # type: ignore[call-overload]


def test_a_run_predicts_and_is_evaluated_by_the_beginning_of_its_id(
    trained: tuple[Path, dict[str, object]],
) -> None:
    folder, report = trained
    run = str(report["run_id"])[:8]
    np.savez(folder / "x.npz", x=np.zeros((2, 8, 8)))
    answers = appline("vision", "predict", "x.npz", "--run", run, "--json", folder=folder)
    assert len(json.loads(answers.stdout)["answers"]) == 2
    scores = appline("vision", "evaluate", "--run", run, "--json", folder=folder)
    assert json.loads(scores.stdout)["accuracy"] == pytest.approx(report["test"]["accuracy"])  # type: ignore[index]


def test_answers_are_not_written_over_a_file_that_exists(
    trained: tuple[Path, dict[str, object]],
) -> None:
    folder, report = trained
    np.savez(folder / "x.npz", x=np.zeros((2, 8, 8)))
    (folder / "kept.csv").write_text("precious")
    done = appline(
        "vision",
        "predict",
        "x.npz",
        "--run",
        str(report["run_id"]),
        "-o",
        "kept.csv",
        folder=folder,
    )
    assert done.returncode == 2
    assert "exists already" in done.stderr
    assert (folder / "kept.csv").read_text() == "precious"


def test_a_model_of_another_application_is_refused(trained: tuple[Path, dict[str, object]]) -> None:
    folder, report = trained
    series = small_series(folder / "series.csv")
    done = appline(
        "forecast", "predict", str(series), "--run", str(report["run_id"]), folder=folder
    )
    assert done.returncode == 2
    assert "This is a vision model" in done.stderr


def test_flags_come_before_environment_before_config_before_defaults(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("limit: 90\nseed: 5\nimage_size: 0\n")
    done = appline(
        "vision", "check", "--limit", "60", "--json", folder=tmp_path, APPLINE_LIMIT="70"
    )
    assert json.loads(done.stdout)["sizes"]["train"] == 60
    done = appline("vision", "check", "--json", folder=tmp_path, APPLINE_LIMIT="70")
    assert json.loads(done.stdout)["sizes"]["train"] == 70
    done = appline("vision", "train", "--config", "c.yaml", "--dry-run", folder=tmp_path)
    assert "train 90" in done.stderr
    assert "seed=5  (c.yaml: line 2)" in done.stderr


def test_a_hyperparameter_with_a_flag_of_its_own_is_fixed_by_it(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("architecture: lstm\nstart_from: baseline\n")
    command = click.Command(
        "tune",
        params=[
            *click_options.of_fields(TextPipeline),
            *click_options.of_spec(TextSpec, search=True),
        ],
    )
    given = [
        "--config",
        str(tmp_path / "c.yaml"),
        "--architecture",
        "gru",
        "--start-from",
        "none",
        "--epochs",
        "3",
    ]
    found = click_options.resolve(command.make_context("tune", given), TextPipeline)
    assert (found.spec.architecture, found.spec.start_from, found.spec.train.epochs) == (
        "gru",
        "none",
        3,
    )
    assert not {"architecture", "start_from", "train.epochs"} & found.dimensions.keys()


def test_an_interrupted_training_says_what_is_kept_and_where(tmp_path: Path) -> None:
    from tuning.training.train import Interrupted

    arguments = ["text", "train", "--tracking-uri", "my store", "--data", "a.csv"]
    kept, nothing = (
        cli._last_words(Interrupted("0123456789", kept=kept), arguments) for kept in (True, False)
    )
    assert kept.endswith("appline text evaluate --run 01234567 --tracking-uri 'my store'")
    assert nothing == "Interrupted before the first epoch had ended: nothing is kept"


@pytest.mark.parametrize(
    ("output", "expected"),
    [(".", "is a folder"), ("answers.json", ".csv or .parquet"), ("none/a.csv", "no folder none")],
)
def test_a_file_that_answers_cannot_be_written_to_is_refused_before_they_are_computed(
    output: str, expected: str, tmp_path: Path
) -> None:
    (tmp_path / "new.txt").write_text("a text\n")
    done = appline(
        "text", "predict", "new.txt", "--run", "1a2b3c4d", "-o", output, "--force", folder=tmp_path
    )
    assert done.returncode == 2
    assert expected in done.stderr


def test_a_gate_that_fails_exits_with_4(tmp_path: Path) -> None:
    done = appline(
        "vision",
        "train",
        "--limit",
        "80",
        "--epochs",
        "1",
        "--learning-rate",
        "1e-6",
        "--gate",
        "--no-tracking",
        folder=tmp_path,
    )
    assert done.returncode == 4
    assert "worse than" in done.stderr


def test_a_tracking_server_that_is_down_fails_within_seconds_and_says_so(tmp_path: Path) -> None:
    began = time.monotonic()
    done = appline(
        "vision", "train", *QUICK, "--tracking-uri", "http://127.0.0.1:9", folder=tmp_path
    )
    assert done.returncode == 1
    assert "http://127.0.0.1:9" in done.stderr
    assert "Traceback" not in done.stderr
    assert time.monotonic() - began < 60


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_sweep_exits_with_130_and_says_how_to_go_on(
    tmp_path: Path, stop: signal.Signals
) -> None:
    arguments = [
        "vision",
        "tune",
        *QUICK,
        "--only-search",
        "--search",
        "conv.kernel_size=1,2,3,5",
        "--trials",
        "4",
    ]
    command = [sys.executable, "-m", "apps.cli", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        assert process.stderr is not None
        seen = ""
        while "trial 1/4" not in seen and process.poll() is None:
            seen = process.stderr.readline()
        process.send_signal(stop)
        rest = process.stderr.read()
        assert process.wait(60) == 130
    assert "Go on: appline vision tune" in rest
    resume = rest.rpartition("--resume ")[2].split()[0]
    done = appline(*arguments, "--resume", resume, "--json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "(recorded before)" in done.stderr
    assert len(json.loads(done.stdout)["trials"]) == 4


@pytest.mark.slow
def test_the_next_command_that_a_run_prints_works_as_it_stands(tmp_path: Path) -> None:
    from PIL import Image

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
    import zipfile

    weights = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        done = appline("vision", "train", *QUICK, "--deterministic", folder=tmp_path / name)
        assert done.returncode == 0, done.stderr
        model = next((tmp_path / name / "mlruns").rglob("model.keras"))
        with zipfile.ZipFile(model) as archive:
            (tmp_path / f"{name}.h5").write_bytes(archive.read("model.weights.h5"))
        weights.append(_arrays(tmp_path / f"{name}.h5"))
    assert weights[0].keys() == weights[1].keys()
    assert all(np.array_equal(weights[0][key], weights[1][key]) for key in weights[0])


def _arrays(path: Path) -> dict[str, np.ndarray]:
    import h5py

    found = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: (
                found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None
            )
        )
    return found


@pytest.mark.slow
def test_a_sweep_with_two_workers_and_two_objectives_ends_with_its_front(tmp_path: Path) -> None:
    space = ("--only-search", "--search", "conv.kernel_size=1,2,3", "--search", "conv.filters=4,8")
    both = (
        "--objective",
        "val_accuracy",
        "--objective",
        "cost/params",
        "--limit",
        "cost/params=5000",
    )
    arguments = (
        "vision",
        "tune",
        *QUICK,
        *space,
        *both,
        "--trials",
        "4",
        "--workers",
        "2",
        "--json",
    )
    done = appline(*arguments, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["objectives"] == ["val_accuracy", "cost/params"]
    assert found["front"]
    assert all(trial["scores"][1] <= 5000 for trial in found["trials"])
    assert [line for line in done.stderr.splitlines() if line.startswith("trial ")], (
        "on a pipe one line a trial"
    )


@pytest.mark.slow
def test_a_dry_run_tells_what_a_sweep_would_cost_and_keeps_nothing(tmp_path: Path) -> None:
    space = ("--only-search", "--search", "conv.kernel_size=1,2,3", "--search", "conv.filters=4,8")
    done = appline("vision", "tune", *QUICK, *space, "--dry-run", "--json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["points"]["total"] == 6
    assert {one["name"] for one in found["measured"]} >= {"defaults", "smallest", "largest"}
    assert found["seconds"] > 0
    assert not (tmp_path / "mlruns").exists()
