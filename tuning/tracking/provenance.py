"""Where a run comes from: the user, the program, the commit, and the process that writes it."""

import getpass
import hashlib
import os
import platform
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import psutil

from pipelines import runtime
from pipelines.io.digest import HEX_DIGITS
from tuning.tracking.hidden_tags import HIDDEN
from tuning.tracking.secrets import hide_secrets

PROCESS = f"{HIDDEN}process"  # the tag that says which process writes a run
# Tags of what a result depends on beside settings and data.
CODE, MACHINE = f"{HIDDEN}code", f"{HIDDEN}machine"
DETERMINISTIC = "deterministic"  # the tag of a run that TensorFlow's deterministic operations made
ROOMS = ("pipelines", "tuning")  # whose code decides what a training comes to
# Start times are counted from the clock, which may have been set since: only a clear difference
# distinguishes two processes.
CLOCK_TOLERANCE = 10.0  # seconds
GIT_TIMEOUT = 5  # seconds; it takes 5 ms


def origin_tags() -> dict[str, str]:
    """Return the tags that every run carries; what cannot be found out is left out."""
    program = Path(sys.argv[0]).name
    tags = {
        "mlflow.user": _user(),
        "mlflow.source.name": program,
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": _commit(str(Path.cwd())),
        "command": hide_secrets(shlex.join([program, *sys.argv[1:]])),
        PROCESS: _process(),
        CODE: code_digest(),
        MACHINE: _machine(),
        DETERMINISTIC: "true" if runtime.is_deterministic() else "",
    }
    return {key: value for key, value in tags.items() if value}


@cache
def code_digest() -> str:
    """Return 16 hex digits that identify the code which trains, committed or not."""
    root = Path(__file__).parents[2]
    state = hashlib.sha256()
    for room in ROOMS:
        for path in sorted((root / room).rglob("*.py")):
            state.update(f"{path.relative_to(root).as_posix()}\0".encode())
            state.update(path.read_bytes())
    return state.hexdigest()[:HEX_DIGITS]


def _machine() -> str:
    """Return what rounding depends on: the system, the kind of processor and how many there are."""
    system = f"{platform.system()} {platform.machine()}"
    return f"{system}, {os.cpu_count()} CPUs, Python {platform.python_version()}"


def ended(tags: Mapping[str, str]) -> bool:
    """Return whether the process that wrote `tags` is certainly over.

    It is if it ran on this host, and its id is free or belongs to another process by now.
    """
    return _is_running(tags) is False


def alive(tags: Mapping[str, str]) -> bool:
    """Return whether another process, which wrote `tags`, is certainly still there."""
    is_this_one = tags.get(PROCESS, "").startswith(f"{os.getpid()} on ")
    return _is_running(tags) is True and not is_this_one


def _is_running(tags: Mapping[str, str]) -> bool | None:
    """Return whether the process that wrote `tags` is running; None if it cannot be known here."""
    match = re.fullmatch(r"(\d+) on (.+) since ([\d.]+)", tags.get(PROCESS, ""))
    if match is None:
        return None
    process_id, host, start = match.groups()
    if host != socket.gethostname():
        return None
    try:
        current_start = psutil.Process(int(process_id)).create_time()
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:  # another user's process: it may be the one
        return None
    return abs(current_start - float(start)) <= CLOCK_TOLERANCE


def _process() -> str:
    # A process id is used again sooner or later; together with the start time it names one process.
    start = psutil.Process().create_time()
    return f"{os.getpid()} on {socket.gethostname()} since {start:.2f}"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container whose user id has no name
        return ""


@cache
def _commit(folder: str) -> str:
    """Return the commit that is checked out in `folder`, or "" outside of git."""
    # git knows worktrees, packed refs and submodules, as reading .git by hand would not.
    command = ["git", "-C", folder, "rev-parse", "HEAD"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=GIT_TIMEOUT, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
