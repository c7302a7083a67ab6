"""The command line as a person types it: in this process, or in one of its own."""

import io
import os
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from apps.cli import run_command

ROOT = Path(__file__).parent.parent
# A training of a second: few images, a small network.
QUICK = ("--set", "conv.filters=8", "--set", "conv.blocks=2", "--limit", "80", "--epochs", "2")


@dataclass(frozen=True)
class Ended:
    """What came of a command."""

    returncode: int
    stdout: str
    stderr: str


def appline(*arguments: str, folder: Path, **environment: str) -> Ended:
    """Run `appline` with these arguments in `folder`, and return what came of it.

    It runs in this process: another one would import TensorFlow again, which takes seconds.
    """
    out, err = io.StringIO(), io.StringIO()
    with (
        chdir(folder),
        mock.patch.dict(os.environ, environment),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        code = run_command(list(arguments))
    return Ended(code, out.getvalue(), err.getvalue())


def command_of(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "apps.cli", *arguments]


def environment_of(**changes: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), **changes}


def appline_process(*arguments: str, folder: Path, **environment: str) -> Ended:
    """Run `appline` as `appline()` does, in a process of its own."""
    done = subprocess.run(
        command_of(*arguments),
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment_of(**environment),
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)
