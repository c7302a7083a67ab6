"""Ctrl-C, SIGTERM and a closed terminal: real processes end within seconds and leave none."""

import os
import pty
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from tests.command_line import command_of, environment_of

# A step of this network takes many seconds.
SLOW_STEP = ("--image-size", "64", "--limit", "300", "--set", "conv.kernel_size=31")
SOON = 12.0  # seconds: two on an idle machine, and what a busy one adds
PATIENCE = 60.0


def wait_for(path: Path, text: str) -> None:
    until = time.monotonic() + PATIENCE
    while text not in path.read_text():
        assert time.monotonic() < until, path.read_text()
        time.sleep(0.1)


def start(folder: Path, *arguments: str) -> "tuple[subprocess.Popen[str], Path]":
    shown = folder / "shown.txt"
    with shown.open("w") as file:
        process = subprocess.Popen(
            command_of(*arguments),
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=file,
            text=True,
            env=environment_of(),
        )
    return process, shown


def test_ctrl_c_inside_a_step_ends_a_training_within_seconds(tmp_path: Path) -> None:
    arguments = ("vision", "train", *SLOW_STEP, "--set", "conv.filters=96", "--no-tracking")
    process, shown = start(tmp_path, *arguments)
    wait_for(shown, "data  ")
    time.sleep(6)  # it computes its baselines, then begins a step
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) == 130
    assert time.monotonic() - began < SOON
    assert "Interrupted" in shown.read_text()


def alive_after(seconds: float, processes: list[psutil.Process]) -> list[psutil.Process]:
    """Return those that still run; a zombie has only not been waited for."""
    _, alive = psutil.wait_procs(processes, timeout=seconds)
    return [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGHUP])
def test_an_interrupt_ends_the_workers_of_a_sweep_too(tmp_path: Path, stop: signal.Signals) -> None:
    arguments = ("vision", "tune", *SLOW_STEP, "--set", "conv.filters=64", "--workers", "2")
    process, shown = start(tmp_path, *arguments)
    wait_for(shown, "sweep  ")
    time.sleep(6)
    children = psutil.Process(process.pid).children(recursive=True)
    began = time.monotonic()
    process.send_signal(stop)
    assert process.wait(PATIENCE) == 130
    assert time.monotonic() - began < SOON
    assert children
    assert not alive_after(2, children)
    assert "tune --resume" in shown.read_text()


@pytest.mark.slow
def test_a_closed_terminal_leaves_no_process(tmp_path: Path) -> None:
    arguments = ("vision", "tune", *SLOW_STEP, "--set", "conv.filters=64", "--workers", "2")
    process_id, terminal = pty.fork()
    if process_id == 0:
        os.chdir(tmp_path)
        command = command_of(*arguments)
        os.execve(command[0], command, environment_of())
    shown = b""
    while b"sweep  " not in shown:
        shown += os.read(terminal, 1000)
    time.sleep(4)
    processes = [psutil.Process(process_id), *psutil.Process(process_id).children(recursive=True)]
    os.close(terminal)
    assert len(processes) > 1
    assert not alive_after(SOON, processes)  # psutil has collected the child's exit status
