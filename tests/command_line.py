"""The real command, run in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
# A training of a second: few images, a small network.
QUICK = ("--set", "conv.filters=8", "--set", "conv.blocks=2", "--limit", "80", "--epochs", "2")


def command_of(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "apps.cli", *arguments]


def environment_of(**changes: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), **changes}


def appline(*arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `appline` with these arguments in `folder`, and return what came of it."""
    return subprocess.run(
        command_of(*arguments),
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment_of(**environment),
        check=False,
    )
