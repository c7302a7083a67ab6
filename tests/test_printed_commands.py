"""Every command that a message prints can be typed as it is printed."""

import shlex
from contextlib import suppress
from pathlib import Path

import click
import numpy as np
import pytest
from PIL import Image

import apps.python
from apps.cli import appline
from tests.printed_commands import parse_command, printed_commands

COMMANDS = printed_commands()


def test_the_sources_are_found_to_print_commands() -> None:
    commands = [command for _, command in COMMANDS]
    assert "appline vision predict INPUT --run 1a2b3c4d" in commands
    assert "appline runs" in commands
    assert "appline ui --port 5001" in commands
    assert len(commands) > 12


@pytest.mark.parametrize(("where", "command"), COMMANDS)
def test_a_printed_command_parses(where: str, command: str) -> None:
    parse_command(command)


# What serves until it is interrupted, or takes minutes, runs in tests of its own.
RUN_ELSEWHERE = {"appline ui": "test_ui.py", "appline demo": "test_demo.py"}
BOUNDED = {"vision train": "--limit 80 --epochs 1 --set conv.filters=8 --set conv.blocks=2"}


class Workplace:
    """A folder with a store of two runs and a sweep, and all that a printed command may name."""

    def __init__(self, folder: Path) -> None:
        for name in ("first", "second"):
            type_command(f"appline vision train {BOUNDED['vision train']} --run-name {name} -q")
        type_command(
            f"appline vision tune {BOUNDED['vision train']} --trials 1 --workers 0 --quiet "
            "--search conv.kernel_size=3,5 --only-search"
        )
        rows = {row["name"]: row for row in apps.python.runs().to_dict(orient="records")}
        pixels = np.arange(64, dtype=np.uint8).reshape(8, 8)
        Image.fromarray(pixels).save(folder / "digit.png")
        (folder / "settings.yaml").write_text("epochs: 1\n")
        (model,) = list(folder.rglob("model.keras"))[:1]
        log = "".join(f"u{user},i{(user + step) % 9}\n" for user in range(20) for step in range(5))
        (folder / "log.csv").write_text("user,item\n" + log)
        self.names = {
            "RUN_A": rows["first"]["id"],
            "RUN_B": rows["second"]["id"],
            "INPUT": "digit.png",
            "THIS": "settings.yaml",
            "--model photos": f"--model {model}",
            "--run 1a2b3c4d": f"--run {rows['first']['id']}",
            "--run photos": f"--run {rows['first']['id']}",  # in its place: models:/NAME@ALIAS
        }
        sweeps = [row for row in rows.values() if row["role"] == "sweep"]
        self.names["--resume 1a2b3c4d"] = f"--resume {sweeps[0]['id']}"

    def filled_in(self, command: str) -> str:
        for name, value in self.names.items():
            command = command.replace(name, str(value))
        if command.startswith("appline recommend train"):
            command += " --data log.csv --split leave-last --epochs 1"
        for verb, flags in BOUNDED.items():
            if command.startswith(f"appline {verb}"):
                command += f" {flags}"
        return command


def type_command(line: str) -> None:
    words = shlex.split(line)[1:]
    with suppress(click.exceptions.Exit):
        appline.main(words, prog_name="appline", standalone_mode=False)


@pytest.mark.slow
def test_every_printed_command_runs(tmp_path: Path) -> None:
    workplace = Workplace(tmp_path)
    for command in sorted({command for _, command in COMMANDS}):
        if any(command.startswith(prefix) for prefix in RUN_ELSEWHERE):
            continue
        type_command(workplace.filled_in(command))
