"""What is wrong with paths, columns, ids and configs is refused before TensorFlow is imported."""

import inspect
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from pipelines import DOMAINS
from pipelines.vision.backbones import application_names
from tests.command_line import appline, environment_of
from tuning.tracking.interface import Role

# Runs command lines one after the other. Says of each how it ended, and which heavy packages have
# been imported by then.
PROGRAM = """
import contextlib, io, json, sys
from apps import cli
for arguments in json.loads(sys.argv[1]):
    with contextlib.redirect_stderr(io.StringIO()) as said:
        code = cli.run_command(arguments)
    heavy = [name for name in ("tensorflow", "keras", "mlflow") if name in sys.modules]
    print(json.dumps([" ".join([str(code), *heavy]), said.getvalue()]))
"""


def refused(*commands: Sequence[str]) -> list[tuple[str, str]]:
    """Return the exit code of each command with the heavy packages, and what was said."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(commands)],
        capture_output=True,
        text=True,
        env=environment_of(),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    outcomes = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(outcomes) == len(commands)
    return [(outcome, said) for outcome, said in outcomes]


@pytest.fixture
def table(tmp_path: Path) -> str:
    path = tmp_path / "table.csv"
    path.write_text("a,b\n" + "".join(f"x{number},y\n" for number in range(30)))
    return str(path)


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
    table: str, domain: str, column: str
) -> None:
    flags = ("--data", table, column, "nowhere")
    for outcome, said in refused(*((domain, verb, *flags) for verb in ("train", "tune", "check"))):
        assert outcome == "3", said
        assert "nowhere" in said


def test_a_missing_file_is_refused_before_tensorflow_is_imported() -> None:
    for outcome, said in refused(*((name, "train", "--data", "missing.csv") for name in DOMAINS)):
        assert outcome == "3", said
        assert "missing.csv" in said


def test_a_store_that_cannot_be_used_is_refused_before_data_is_read() -> None:
    flags = ("--data", "missing.csv", "--tracking-uri")
    server = ("http://127.0.0.1:9", "does not answer: nothing listens there")
    nowhere = ("/dev/null/runs", "/dev/null cannot be written to. Choose another place")
    for uri, message in (server, nowhere):
        for outcome, said in refused(
            *(("vision", verb, *flags, uri) for verb in ("train", "tune"))
        ):
            assert outcome == "1", said
            assert message in said


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
        [sys.executable, "-c", OFFLINE + PROGRAM, json.dumps([arguments])],
        capture_output=True,
        text=True,
        env=environment_of(KERAS_HOME=str(tmp_path / "keras")),
        check=False,
    )
    outcome, said = json.loads(done.stdout)
    assert outcome.startswith("3"), said
    assert "cannot be downloaded" in said
    listed = appline("runs", "--json", folder=Path())
    assert json.loads(listed.stdout) == {"runs": []}


def test_a_wrong_flag_is_refused_before_tensorflow_is_imported() -> None:
    unread = ("--search", "transfer.layers=1,2", "--architecture=vgg")
    for outcome, said in refused(
        ("vision", "train", "--config", "missing.yaml"),
        ("vision", "tune", "--workers", "many"),
        ("vision", "tune", "--only-search", *unread),
        ("vision", "tune", "--tuner", "magic"),
    ):
        assert outcome == "2", said


MODELS = [
    ("vision", "--path-column"),
    ("text", "--text-column"),
    ("forecast", "--time-column"),
    ("recommend", "--user-column"),
]


def kept_run(domain: str, tmp_path: Path, role: Role = "train") -> str:
    """Return the id of a run of `domain` in the store of the working directory."""
    from tuning.tracking.mlflow_tracker import open_tracker

    run = open_tracker(f"{domain}/some", root=tmp_path / "mlruns").start("one", role=role)
    run.finish()
    return str(run.id)


@pytest.mark.parametrize(("domain", "flag"), MODELS)
def test_a_wrong_column_of_new_data_is_refused_before_the_model_is_loaded(
    domain: str, flag: str, table: str, tmp_path: Path
) -> None:
    run = kept_run(domain, tmp_path)
    commands = ((domain, "evaluate", "--data", table), (domain, "predict", table))
    for outcome, said in refused(*((*words, "--run", run, flag, "nowhere") for words in commands)):
        assert (outcome, "has no column 'nowhere'" in said) == ("3", True), said
        assert f"Its columns: a, b. Choose one: {flag} NAME" in said


def test_a_column_is_found_whatever_the_case_and_the_marks_of_its_name(
    table: str, tmp_path: Path
) -> None:
    # It ends later: this run has no model.
    run = kept_run("text", tmp_path)
    flags = ("--run", run, "--text-column", "B.")
    done = appline("text", "predict", table, *flags, folder=tmp_path)
    assert "has no column" not in done.stderr


def test_missing_data_and_models_of_others_are_refused_before_tensorflow_is_imported(
    table: str, tmp_path: Path
) -> None:
    run = kept_run("text", tmp_path)
    expected = [
        ("3", "--data gone.csv: there is no such file"),
        ("2", f"Use: appline text predict {table} --run {run}"),
        ("3", "is not a model.keras that appline saved"),
    ]
    outcomes = refused(
        ("text", "evaluate", "--run", run, "--data", "gone.csv"),
        ("vision", "predict", table, "--run", run),
        ("vision", "predict", table, "--model", table),
    )
    for (outcome, said), (code, message) in zip(outcomes, expected, strict=True):
        assert (outcome, message in said) == (code, True), said


def test_what_cannot_be_reproduced_is_refused_before_tensorflow_is_imported(
    tmp_path: Path,
) -> None:
    """It was imported unprepared, and wrote what it thinks of CUDA between the lines."""
    run = kept_run("text", tmp_path, role="evaluate")
    ((outcome, said),) = refused(("reproduce", run))
    assert outcome == "2"
    assert "cannot be trained again" in said


@pytest.mark.parametrize(
    ("command", "near"),
    [
        ("vision train --set transfer.backbone=efficentnet-lite0", "'efficientnet-lite0'"),
        ("vision train --set transfer.backbone=resnet5", "'ResNet50'"),
        ("vision train --set architecture=transfer --set transfer.backbone=mobilenet", "MobileNet"),
        ("vision tune --search transfer.backbone=ResNet50,ResNet5O", "'ResNet50'"),
        ("text train --set encoder.name=miniLM", "'minilm'"),
        ("text tune --search encoder.name=minilm2", "'minilm'"),
        ("text train --set embedding.vectors=glove-6b-50", "'glove-6b-50d'"),
    ],
)
def test_what_others_have_learned_is_misspelt_before_tensorflow_is_imported(
    command: str, near: str
) -> None:
    """It took the import, the reading of the data and, in a sweep, the baselines."""
    ((outcome, said),) = refused(command.split())
    assert outcome in ("2", "3"), said
    assert f"Did you mean {near}" in said.replace("'MobileNet'", "MobileNet")


def test_a_backbone_of_keras_is_known_without_an_import_of_keras() -> None:
    from keras import applications

    classes = [name for name, value in vars(applications).items() if inspect.isfunction(value)]
    assert list(application_names()) == sorted(classes)


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
    typed = (f"predict a.csv --run {run}", f"evaluate --run={run[:8]}", f"tune --resume {run}")
    outcomes = refused(*(words.split() for words in typed))
    for words, (outcome, said) in zip(typed, outcomes, strict=True):
        assert outcome == "2"
        assert said.strip().endswith(f": appline forecast {words}"), said


def test_a_wrong_run_or_sweep_is_refused_before_mlflow_is_imported(tmp_path: Path) -> None:
    from tuning.tracking.mlflow_tracker import open_tracker

    run = open_tracker("vision/digits", root=tmp_path / "mlruns").start("one", role="train")
    run.finish()
    inputs = tmp_path / "x.npz"
    inputs.write_bytes(b"x")
    wrong = "0" * 8
    outcomes = refused(
        ("vision", "predict", str(inputs), "--run", wrong),
        ("vision", "evaluate", "--run", wrong),
        ("vision", "tune", "--resume", wrong),
        ("text", "tune", "--resume", run.id[:8]),
        ("vision", "evaluate", "--run", run.id[:2]),
    )
    assert [outcome for outcome, _ in outcomes] == ["2"] * 5
    assert "The beginning of an id has 4 digits or more" in outcomes[4][1]
    assert "No run has the id" in outcomes[2][1]
    assert "it is a run of train" in outcomes[3][1]


def test_a_text_in_place_of_a_file_is_answered_however_long_it_is() -> None:
    review = "a lovely cup of tea " * 30
    [(outcome, said)] = refused(("text", "predict", review, "--run", "none"))
    assert outcome in ("2", "3"), said
    assert "should not happen" not in said


def test_empty_data_is_refused_as_a_variable_that_is_not_set() -> None:
    """The current folder was read."""
    for outcome, said in refused(("vision", "train", "--data", ""), ("text", "check", "--data=")):
        assert outcome == "2", said
        assert "--data is empty, as of a variable that is not set" in said
