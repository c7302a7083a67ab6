"""The command line as a person meets it: exit codes, messages, streams. Nothing is trained here."""

import errno
import json
import time
from pathlib import Path

import pytest

from apps import cli
from apps.resolve import ResolvedCommand, resolve
from apps.screen import Screen
from pipelines import options_class
from pipelines.config.search_space import flatten
from pipelines.errors import SweepInterrupted, TrainingInterrupted
from tests.command_line import QUICK, appline

# --- mistakes

MISTAKES = [
    ("vison train", "No such command 'vison'. Did you mean 'vision'?"),
    ("vision trian", "Did you mean 'train'?"),
    ("vision train --epoch 3", "Did you mean '--epochs'?"),
    ("vision export --run 1a2b --format onx", "Received: 'onx'. Did you mean 'onnx'?"),
    ("vision tune --search train.epochs=3,5", "Set those of the winner: --epochs"),
    ("vision tune --search train.learning_rate=1e-2..1e-4", "Expected: 0.0001..0.01"),
    ("help vision", "Help is a flag: appline vision --help"),
    ("clean --force", "Did you mean '--yes'?"),
    ("text train --set encoder.name=bert", "there is no encoder 'bert', and no such folder"),
    ("VISION train", "Did you mean 'vision'?"),
    ("text train --split 80/20", "Parts come from a column split (train, val, test)"),
    ("vision train --test-size 0.2", "Parts come from a column split (train, val, test)"),
    ("atlas --figure atlas.docx", "expected a name that ends in .png, .jpg"),
    ("visual train", "Expected one of: vision, text, forecast, recommend"),
    ("vision train --epochs three", "expected a whole number. Received: 'three'"),
    ("vision train --learning-rate 0,01", "Received: '0,01'. Write it with a point: 0.01"),
    ("vision train --set train.learning_rate=0,01", "Write it with a point: 0.01"),
    ("vision train --set train.refit=maybe", "expected true or false. Received: 'maybe'"),
    ("vision tune --trials 0", "expected a whole number, 1 or more. Received: 0"),
    ("ui --port 99999", "expected a whole number, 1 to 65535. Received: 99999"),
    ("vision tune --search conv.kernel_size=7-3", "=7,3, or a range: conv.kernel_size=3..7"),
    ("vision tune --search conv.kernel_size=[3;5]", "Expected conv.kernel_size=3,5, or a range"),
    ("vision tune --search conv.norm=batch|layer", "Expected conv.norm=batch,layer"),
    ("vision train --set conv.kernal_size=3", "Did you mean 'conv.kernel_size'?"),
    ("vision train --set conv.kernel_size", "expected KEY=VALUE"),
    ("vision train --objective val_acuracy", "Did you mean 'val_accuracy'?"),
    ("vision train --distribute multiworker", "cannot be trained across hosts today"),
    ("vision train --distribute mirror", "Did you mean 'mirrored'?"),
    ("vision train --tracking-uri localhost:5000", "Expected --tracking-uri http://localhost:5000"),
    ("vision tune --warm-from 1a2b3c", "--warm-from 1a2b3c: "),
    ("vision train --folds 400", "Expected at most --folds 1"),
    ("vision train --config gone.yaml", "no such file"),
    ("vision tune --max-time soon", "expected a duration such as 90s, 10m or 1h30m"),
    ("vision tune --tuner baysian", "Did you mean 'bayesian'?"),
    ("vision tune --early-stop ahsa", "Did you mean 'asha'?"),
    (
        "vision tune --workers two",
        "expected a number of processes, 0 for none beside this one, or auto",
    ),
    ("vision tune --limit cost/parms=3", "Did you mean 'cost/params'?"),
    ("vision tune --limit few", "expected a number of examples, or COST=MOST"),
    ("vision tune --objective cost/param", "Did you mean 'cost/params'?"),
    ("vision evaluate", "Name the model by --run RUN or by --model FILE. Received: neither"),
    (
        "vision evaluate --run 1234 --model model.keras",
        "Name the model by --run RUN or by --model FILE. Received: both",
    ),
    (
        "vision evaluate --model model.keras",
        "--model also needs --data: the model file does not say what to score it on",
    ),
    ("forecast train --horizon 0", "horizon"),
    ("vision evaluate --data digits --model models:/a@b", "Use: --run models:/a@b"),
    ("vision export --model model.keras", "--model also needs --data: examples that the export is"),
    ("vision register --alias champion", "Name the run whose model is registered: --run RUN"),
    ("vision register --run 1a2b --alias v1", "expected letters, digits, - and _, such as champ"),
]


@pytest.mark.parametrize(("arguments", "message"), MISTAKES, ids=[words for words, _ in MISTAKES])
def test_a_mistake_is_answered_with_the_nearest_name(
    arguments: str, message: str, tmp_path: Path
) -> None:
    done = appline(*arguments.split(), folder=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_path_that_is_not_there_is_answered_with_the_similar_one_or_where_it_ends(
    tmp_path: Path,
) -> None:
    (tmp_path / "photos" / "train").mkdir(parents=True)
    (tmp_path / "reviews.csv").write_text("text,label\n")
    for domain, data, message in (
        ("vision", "photos/trian", "Did you mean 'photos/train'?"),
        ("vision", "photos/photos/train", f"The folder {tmp_path / 'photos'} holds no photos."),
        ("text", "review.csv", "Did you mean 'reviews.csv'?"),  # not the data set `reviews`
    ):
        done = appline(domain, "train", "--data", data, folder=tmp_path)
        assert done.returncode == 3
        assert message in done.stderr


def test_input_that_is_not_there_is_refused_as_data(tmp_path: Path) -> None:
    done = appline("vision", "predict", "gone.png", "--model", "m.keras", folder=tmp_path)
    assert done.returncode == 3
    assert "gone.png: no such file or folder" in done.stderr
    assert "Traceback" not in done.stderr


def test_with_verbose_a_mistake_has_the_same_code_and_its_traceback(tmp_path: Path) -> None:
    done = appline("vision", "train", "--data", "digit", "-v", folder=tmp_path)
    assert done.returncode == 3
    assert "Traceback" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("Error: ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--workers", "0", "--trial-time", "5m"),
            "--trial-time needs trials in processes of their own",
        ),
        (("--trials", "0"), "expected a whole number, 1 or more. Received: 0"),
        (("--seed", "-1"), "expected a whole number, 0 to 4294967295. Received: -1"),
    ],
)
def test_flags_of_a_sweep_that_do_not_fit_are_refused_before_anything_is_loaded(
    arguments: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    done = appline("vision", "tune", *arguments, folder=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert "data " not in done.stderr


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (".", "is a folder"),
        ("answers.json", ".csv or .parquet"),
        ("gone/a.csv", "--output gone/a.csv: there is no folder gone"),
    ],
)
def test_a_file_that_answers_cannot_be_written_to_is_refused_before_they_are_computed(
    output: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "x.npz").touch()
    arguments = ("vision", "predict", "x.npz", "--run", "1a2b3c4d", "-o", output, "--force")
    done = appline(*arguments, folder=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr


def test_data_that_is_refused_exits_with_3_and_records_nothing(tmp_path: Path) -> None:
    done = appline("vision", "train", "--data", "digit", folder=tmp_path)
    assert done.returncode == 3
    assert "Did you mean 'digits'?" in done.stderr
    assert not (tmp_path / "mlruns").exists()


def test_a_spec_that_cannot_be_built_exits_with_2_before_anything_is_recorded(
    tmp_path: Path,
) -> None:
    settings = ("--set", "conv.padding=valid", "--set", "conv.kernel_size=9")
    done = appline("vision", "train", *settings, folder=tmp_path)
    assert done.returncode == 2
    assert "does not fit into an extent of 8" in done.stderr
    assert not (tmp_path / "mlruns").exists()


def test_a_tracking_server_that_is_down_fails_within_seconds_and_says_so(tmp_path: Path) -> None:
    began = time.monotonic()
    arguments = ("vision", "train", *QUICK, "--tracking-uri", "http://127.0.0.1:9")
    done = appline(*arguments, folder=tmp_path)
    assert done.returncode == 1
    assert "http://127.0.0.1:9" in done.stderr
    assert "Traceback" not in done.stderr
    assert time.monotonic() - began < 60


# --- where values come from


def test_a_config_file_with_an_unknown_key_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("data: digits\nconv:\n  kernel_size: 5\n  filtres: 3\n")
    done = appline("vision", "train", "--config", "c.yaml", folder=tmp_path)
    assert done.returncode == 2
    message = "c.yaml: line 4: unknown key 'conv.filtres'. Did you mean 'conv.filters'?"
    assert message in done.stderr


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("seed: no", "line 1: seed: expected a whole number, 0 to 4294967295. Received: 'no'"),
        ("conv: [1", "line 1: is not YAML: 'conv: [1'. Expected keys"),
        ("epochs: 3\nepochs: 4", "line 2: 'epochs: 4': this key stands above already. Leave one"),
        ("input_features: 1", "unknown key 'input_features'. List what there is: appline vision"),
        ("data: digits\nepochs: -3", "line 2: train.epochs: expected 0 or more. Received: -3"),
        ("train:\n  epochs: many", "line 2: train.epochs: expected a whole number"),
        ("search:\n  conv.blocks: [3, a]", "line 2: conv.blocks: expected a whole number"),
        ("train:\n\tepochs: 3", "line 2: begins with a tab. Expected blanks"),
        ("[train]\nepochs = 3", "looks like TOML. Expected YAML"),
        ("- train", "expected keys with values, such as train: {epochs: 3}. Received: a list"),
    ],
)
def test_a_config_value_that_does_not_fit_is_refused_with_its_line(
    tmp_path: Path, line: str, message: str
) -> None:
    (tmp_path / "c.yaml").write_text(line + "\n")
    done = appline("vision", "train", "--config", "c.yaml", folder=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr


def resolved(domain: str, verb: str, *arguments: str) -> ResolvedCommand:
    """Return what a command line comes to."""
    command = cli.application(domain).commands[verb]
    return resolve(command.make_context(verb, list(arguments)), options_class(domain))


def test_what_a_training_reads_is_not_judged_by_what_a_sweep_would_search() -> None:
    named = resolved("text", "train", "--set", "encoder.name=minilm")
    assert named.without_effect == []
    fixed = resolved("text", "train", "--architecture", "gru", "--set", "encoder.name=minilm")
    assert fixed.without_effect == ["encoder.name"]


@pytest.mark.parametrize(
    ("arguments", "examples", "costs"),
    [
        ((), 90, ("cost/params=200",)),
        (("--limit", "cost/mb=2"), 90, ("cost/mb=2",)),
        (("--limit", "60"), 60, ()),
    ],
)
def test_a_file_holds_several_objectives_and_both_kinds_of_limits(
    arguments: tuple[str, ...], examples: int, costs: tuple[str, ...], tmp_path: Path
) -> None:
    """One flag takes numbers of examples and bounds on costs.

    Either may come from a file, and the other from the command line.
    """
    path = tmp_path / "c.yaml"
    path.write_text("objective: [val_accuracy, cost/params]\nlimit: [90, cost/params=200]\n")
    command = resolved("vision", "tune", "--config", str(path), *arguments)
    assert command.flags["objective"] == ("val_accuracy", "cost/params")
    assert command.options.limit == examples
    assert command.flags["limit_costs"] == costs


@pytest.mark.parametrize(
    ("domain", "in_file", "arguments", "expected"),
    [
        (
            "vision",
            "architecture: lenet\ntrain:\n  batch_size: 32\n",
            ("--architecture", "resnet", "--batch-size", "64", "--epochs", "3"),
            {"architecture": "resnet", "train.batch_size": 64, "train.epochs": 3},
        ),
        (
            "text",
            "architecture: lstm\nstart_from: baseline\n",
            ("--architecture", "gru", "--start-from", "none", "--epochs", "3"),
            {"architecture": "gru", "start_from": "none", "train.epochs": 3},
        ),
    ],
    ids=["vision", "text"],
)
def test_a_hyperparameter_with_a_flag_of_its_own_is_fixed_by_it(
    domain: str,
    in_file: str,
    arguments: tuple[str, ...],
    expected: dict[str, object],
    tmp_path: Path,
) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(in_file)
    command = resolved(domain, "tune", "--config", str(path), *arguments)
    values = flatten(command.spec)
    assert {key: values[key] for key in expected} == expected
    assert not expected.keys() & command.dimensions.keys()


def test_flags_come_before_environment_before_config_before_defaults(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("limit: 90\nseed: 5\nimage_size: 0\n")
    arguments = ("vision", "check", "--limit", "60", "--json")
    done = appline(*arguments, folder=tmp_path, APPLINE_LIMIT="70")
    assert sum(json.loads(done.stdout)["sizes"].values()) == 60
    done = appline("vision", "check", "--json", folder=tmp_path, APPLINE_LIMIT="70")
    assert sum(json.loads(done.stdout)["sizes"].values()) == 70
    done = appline("vision", "train", "--config", "c.yaml", "--dry-run", "--json", folder=tmp_path)
    assert sum(json.loads(done.stdout)["sizes"].values()) == 90
    assert "seed=5  (c.yaml: line 2)" in done.stderr


# --- what is printed


def test_json_holds_null_where_there_is_no_number(capsys: pytest.CaptureFixture[str]) -> None:
    plain = {"effects": [{"p_value": float("nan")}], "seconds": float("inf"), "trials": 2}
    Screen(json=True).result("", plain)
    printed = json.loads(capsys.readouterr().out)
    assert printed == {"effects": [{"p_value": None}], "seconds": None, "trials": 2}


ARGUMENTS = ["text", "train", "--tracking-uri", "my store", "--data", "a.csv"]


def test_an_interrupted_training_says_what_is_kept_and_where() -> None:
    words = cli._last_words(TrainingInterrupted("0123456789", kept=True), ARGUMENTS)
    assert words.endswith("appline text evaluate --run 01234567 --tracking-uri 'my store'")


def test_a_training_interrupted_before_its_first_epoch_says_that_nothing_is_kept() -> None:
    words = cli._last_words(TrainingInterrupted("0123456789", kept=False), ARGUMENTS)
    assert words == "Interrupted before the first epoch had ended: nothing of this training is kept"


def test_an_interrupted_training_without_a_run_names_none() -> None:
    words = cli._last_words(TrainingInterrupted("", kept=True), ["vision", "train"])
    assert words == "Interrupted; nothing is kept, for there is no run (--no-tracking)"


def test_a_full_disk_is_said_with_what_helps(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/full/answers.csv")

    monkeypatch.setattr(cli.appline, "main", fail)
    assert cli.run_command(["vision", "predict"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("Error: /full/answers.csv: No space left on device. Free some space")


def test_an_interrupted_sweep_says_how_to_continue() -> None:
    arguments = ["vision", "tune", "--trials", "9", "--tracking-uri", "kept here"]
    words = cli._last_words(SweepInterrupted("0123456789"), arguments)
    assert words.endswith("appline vision tune --resume 01234567 --tracking-uri 'kept here'")
