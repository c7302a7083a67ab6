"""Where a run comes from: the user, the program, the commit, and the process that writes it."""

import getpass
import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import psutil

PROCESS = "process"  # the tag that says which process writes a run


def origin_tags() -> dict[str, str]:
    """Return the tags that every run carries; what cannot be found out is left out."""
    tags = {
        "mlflow.user": _user(),
        "mlflow.source.name": Path(sys.argv[0]).name,
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": _commit(str(Path.cwd())),
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        PROCESS: _process(),
    }
    return {key: value for key, value in tags.items() if value}


def ended(tags: Mapping[str, str]) -> bool:
    """Say whether the process that wrote `tags` is certainly over: it ran on this host, and its id
    is free or another's by now.
    """
    return _lives(tags) is False


def alive(tags: Mapping[str, str]) -> bool:
    """Say whether another process, which wrote `tags`, is certainly there still."""
    return _lives(tags) is True and not tags[PROCESS].startswith(f"{os.getpid()} on ")


def _lives(tags: Mapping[str, str]) -> bool | None:
    """Say whether the process that wrote `tags` is there; None where that cannot be known from
    here.
    """
    found = re.fullmatch(r"(\d+) on (.+) since ([\d.]+)", tags.get(PROCESS, ""))
    if not found or found[2] != socket.gethostname():
        return None
    try:
        born = psutil.Process(int(found[1])).create_time()
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:  # somebody else's process: it may be the one
        return None
    # Times of birth are counted from the clock, which may have been set since: only a clear
    # difference tells two processes apart.
    return abs(born - float(found[3])) <= 10


def _process() -> str:
    # A process id is used again sooner or later; together with the time of birth it names one
    # process.
    return f"{os.getpid()} on {socket.gethostname()} since {psutil.Process().create_time():.2f}"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container whose user id has no name
        return ""


@cache
def _commit(folder: str) -> str:
    try:
        # 5 ms; it knows worktrees, packed refs and submodules, as reading .git by hand would not.
        found = subprocess.run(
            ["git", "-C", folder, "rev-parse", "HEAD"],
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return found.stdout.strip() if found.returncode == 0 else ""
