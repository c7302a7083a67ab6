"""What is wrong with paths, columns, ids and configs is refused before TensorFlow is imported."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.command_line import appline, environment_of

# Runs the command line, then says which heavy packages were imported.
PROGRAM = """
import sys
from apps import cli
code = cli._run(sys.argv[1:])
print(code, *(name for name in ("tensorflow", "keras", "mlflow") if name in sys.modules))
"""


def refused(*arguments: str) -> tuple[str, str]:
    """Return the exit code with the heavy packages that were imported, and what was said."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        capture_output=True,
        text=True,
        env=environment_of(),
        check=False,
    )
    return done.stdout.strip(), done.stderr


@pytest.fixture
def table(tmp_path: Path) -> str:
    path = tmp_path / "table.csv"
    path.write_text("a,b\n" + "".join(f"x{number},y\n" for number in range(30)))
    return str(path)


@pytest.mark.parametrize("verb", ["train", "tune", "check"])
@pytest.mark.parametrize(
    ("domain", "column"),
    [
        ("vision", "--path-column"),
        ("text", "--text-column"),
        ("forecast", "--time-column"),
        ("recommend", "--user-column"),
    ],
)
def test_a_wrong_column_is_refused_before_tensorflow_is_imported(
    table: str, verb: str, domain: str, column: str
) -> None:
    outcome, said = refused(domain, verb, "--data", table, column, "nowhere")
    assert outcome == "3", said
    assert "nowhere" in said


@pytest.mark.parametrize("domain", ["vision", "text", "forecast", "recommend"])
def test_a_missing_file_is_refused_before_tensorflow_is_imported(domain: str) -> None:
    outcome, said = refused(domain, "train", "--data", "missing.csv")
    assert outcome == "3", said
    assert "missing.csv" in said


OFFLINE = """
import socket

def refuse(*arguments, **options):
    raise OSError("there is no network")

socket.socket.connect = socket.getaddrinfo = socket.create_connection = refuse
"""


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["train", "tune"])
def test_weights_that_cannot_be_downloaded_leave_no_run_behind(tmp_path: Path, verb: str) -> None:
    backbone = "--set=transfer.backbone=EfficientNetV2B0"
    arguments = ("vision", verb, "--architecture", "transfer", backbone, "--limit", "60")
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE + PROGRAM, *arguments],
        capture_output=True,
        text=True,
        env=environment_of(KERAS_HOME=str(tmp_path / "keras")),
        check=False,
    )
    assert "\n3 " in f"\n{done.stdout}", done.stderr
    assert "cannot be downloaded" in done.stderr
    listed, _ = refused("runs", "--json")
    assert '{"runs": []}' in listed


@pytest.mark.parametrize(
    "arguments",
    [
        ("vision", "train", "--config", "missing.yaml"),
        ("vision", "tune", "--workers", "many"),
        (
            "vision",
            "tune",
            "--only-search",
            "--search",
            "transfer.layers=1,2",
            "--architecture=vgg",
        ),
        ("vision", "tune", "--tuner", "magic"),
    ],
)
def test_a_wrong_flag_is_refused_before_tensorflow_is_imported(arguments: tuple[str, ...]) -> None:
    outcome, said = refused(*arguments)
    assert outcome == "2", said


MODELS = [
    ("vision", "--path-column"),
    ("text", "--text-column"),
    ("forecast", "--time-column"),
    ("recommend", "--user-column"),
]


def kept_run(domain: str, tmp_path: Path) -> str:
    """Return the id of a run of `domain` in the store of the working directory."""
    from tuning.tracking.mlflow_tracker import open_tracker

    run = open_tracker(f"{domain}/some", root=tmp_path / "mlruns").start("one", role="train")
    run.finish()
    return str(run.id)


@pytest.mark.parametrize(("domain", "flag"), MODELS)
def test_a_wrong_column_of_new_data_is_refused_before_the_model_is_loaded(
    domain: str, flag: str, table: str, tmp_path: Path
) -> None:
    run = kept_run(domain, tmp_path)
    for words in (("evaluate", "--data", table), ("predict", table)):
        outcome, said = refused(domain, *words, "--run", run, flag, "nowhere")
        assert (outcome, "has no column 'nowhere'" in said) == ("3", True), said
        assert f"Its columns: a, b. Choose one: {flag} NAME" in said


def test_a_column_is_found_whatever_the_case_and_the_marks_of_its_name(
    table: str, tmp_path: Path
) -> None:
    # It ends later: this run has no model.
    run = kept_run("text", tmp_path)
    _, said = refused("text", "predict", table, "--run", run, "--text-column", "B.")
    assert "has no column" not in said


def test_missing_data_and_models_of_others_are_refused_before_tensorflow_is_imported(
    table: str, tmp_path: Path
) -> None:
    run = kept_run("text", tmp_path)
    outcome, said = refused("text", "evaluate", "--run", run, "--data", "gone.csv")
    assert (outcome, "--data gone.csv: there is no such file" in said) == ("3", True), said
    outcome, said = refused("vision", "predict", table, "--run", run)
    assert (outcome, f"Use: appline text predict {table} --run {run}" in said) == ("2", True)
    outcome, said = refused("vision", "predict", table, "--model", table)
    assert (outcome, "is not a model.keras that appline saved" in said) == ("3", True)


def test_words_in_place_of_a_file_are_answered_with_the_command_that_takes_them(
    tmp_path: Path,
) -> None:
    for domain in ("text", "recommend"):
        result = appline(domain, "predict", "a lovely cup", "--run", "1a2b", folder=tmp_path)
        assert result.returncode == 3
        command = f"printf '%s\\n' 'a lovely cup' | appline {domain} predict - --run 1a2b"
        assert command in result.stderr
    (tmp_path / "pets").mkdir()
    result = appline("vision", "predict", "petz", "--run", "1a2b", folder=tmp_path)
    assert "petz: no such file or folder. Did you mean 'pets'?" in result.stderr


def test_a_command_without_its_application_is_told_that_of_the_run(tmp_path: Path) -> None:
    run = kept_run("forecast", tmp_path)
    for words in (
        f"predict a.csv --run {run}",
        f"evaluate --run={run[:8]}",
        f"tune --resume {run}",
    ):
        outcome, said = refused(*words.split())
        assert outcome == "2"
        assert said.strip().endswith(f": appline forecast {words}"), said


def test_a_wrong_run_or_sweep_is_refused_before_mlflow_is_imported(tmp_path: Path) -> None:
    from tuning.tracking.mlflow_tracker import open_tracker

    run = open_tracker("vision/digits", root=tmp_path / "mlruns").start("one", role="train")
    run.finish()
    inputs = tmp_path / "x.npz"
    inputs.write_bytes(b"x")
    wrong = "0" * 8
    assert refused("vision", "predict", str(inputs), "--run", wrong)[0] == "2"
    assert refused("vision", "evaluate", "--run", wrong)[0] == "2"
    outcome, said = refused("vision", "tune", "--resume", wrong)
    assert (outcome, "No run has the id" in said) == ("2", True)
    outcome, said = refused("text", "tune", "--resume", run.id[:8])
    assert (outcome, "it is a run of train" in said) == ("2", True)


def test_a_text_in_place_of_a_file_is_answered_however_long_it_is() -> None:
    review = "a lovely cup of tea " * 30
    outcome, said = refused("text", "predict", review, "--run", "none")
    assert outcome in ("2", "3"), said
    assert "should not happen" not in said
