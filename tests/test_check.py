"""`check` does what `train` does before it trains, and prints the command that goes on."""

import json
import shlex
from pathlib import Path

import pytest

from apps.cli import appline as command_line
from pipelines.pretrained import weights
from tests.command_line import appline
from tests.encoders import tiny_encoder
from tests.samples import small_texts


def next_command(output: str) -> list[str]:
    return shlex.split(json.loads(output)["next"])


def test_check_prints_the_command_with_the_flags_that_it_was_given(tmp_path: Path) -> None:
    (tmp_path / "my config.yaml").write_text("conv:\n  filters: 8\n")
    flags = ["--data", "digits", "--limit", "90", "--config", "my config.yaml"]
    flags += ["--set", "conv.blocks=2", "--seed", "7", "--no-tracking"]
    done = appline("vision", "check", *flags, "--json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    command = next_command(done.stdout)
    assert command[:3] == ["appline", "vision", "train"]
    for word in flags:
        assert word in command
    again = appline(*command[1:], "--dry-run", "--json", folder=tmp_path)
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["digest"] == json.loads(done.stdout)["digest"]


def test_check_names_the_sample_that_it_has_read(tmp_path: Path) -> None:
    done = appline("vision", "check", "--limit", "60", "--json", folder=tmp_path)
    assert next_command(done.stdout)[3:] == ["--data", "digits", "--limit", "60"]


def test_check_refuses_a_network_that_train_refuses(tmp_path: Path) -> None:
    flags = ("--limit", "60", "--set", "conv.kernel_size=99", "--set", "conv.padding=valid")
    checked = appline("vision", "check", *flags, folder=tmp_path)
    trained = appline("vision", "train", *flags, "--dry-run", folder=tmp_path)
    assert checked.returncode == trained.returncode == 2
    assert checked.stderr.splitlines()[-1] == trained.stderr.splitlines()[-1]


@pytest.mark.parametrize("domain", ["vision", "text", "forecast", "recommend"])
def test_check_takes_the_flags_of_train(domain: str) -> None:
    group = command_line.get_command(None, domain)  # type: ignore[arg-type]
    flags = {
        name: {param.name for param in group.commands[name].params}  # type: ignore[union-attr]
        for name in ("check", "train")
    }
    assert flags["check"] == flags["train"] | {"fix"}


def test_what_train_decides_by_minutes_of_work_is_said_and_not_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(weights.CACHE_VARIABLE, str(tmp_path / "cache"))
    tiny_encoder(tmp_path / "cache" / "weights" / "minilm")
    data = small_texts(tmp_path / "opinions.csv")
    done = appline("text", "check", "--data", str(data), folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "choice     architecture=auto: train tries on validation whether minilm" in done.stderr
    done = appline("text", "check", "--data", str(data), "--set", "conv.filters=8", folder=tmp_path)
    assert "choice" not in done.stderr
