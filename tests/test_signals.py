"""An interrupt is seen wherever it comes: in a process that does what libraries do."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.command_line import ROOT, environment_of

# An interrupt in `__del__` is swallowed by Python; then the process ends as a command does.
LOST = """
import signal
import time

from apps.signals import INTERRUPTED, InterruptWatch, end_at_once


class Removed:
    def __del__(self):
        print("removing", flush=True)
        time.sleep(30)


InterruptWatch(print, lambda: "not seen").start()
try:
    thing = Removed()
    del thing
    time.sleep(30)
except KeyboardInterrupt:
    print("interrupted", end="")
    end_at_once(INTERRUPTED)
"""
# A library that takes long to end, as TensorFlow does.
SLOW_END = """
import atexit
import time

from apps import cli


def interrupt(arguments):
    print("said", end="")
    return cli.INTERRUPTED


atexit.register(time.sleep, 30)
cli.run_command = interrupt
cli.main([])
"""
# A library whose objects take long to be removed, and one that cleans up at the end.
SLOW_REMOVAL = """
import atexit
import time

from apps import cli


class Removed:
    def __del__(self):
        time.sleep(30)


cli.kept = Removed()
cli.run_command = lambda arguments: atexit.register(print, "cleaned up", end="") and 3
cli.main([])
"""
# TensorFlow writes code into the folder for temporary files, and removes it at its usual end.
GENERATED = """
import sys
import types
from pathlib import Path

from apps import cli
from apps.signals import GENERATED

module = types.ModuleType(f"{GENERATED}abc")
module.__file__ = f"{sys.argv[1]}/{GENERATED}abc.py"
Path(module.__file__).touch()
sys.modules[module.__name__] = module
cli.run_command = lambda arguments: cli.INTERRUPTED
cli.main([])
"""
# A library that makes an error of its own of an interrupt, as an import of C code does, and one
# whose error is taken for the answer to what was asked.
WRAPPED = """
import time

from apps import cli


def wrap(*arguments, **options):
    print("working", flush=True)
    try:
        time.sleep(30)
    except KeyboardInterrupt:
        raise {error} from None


cli.appline.main = wrap
cli.main([])
"""
# An object that an interrupt leaves half made, which cannot be removed then.
HALF_MADE = """
import time

from apps import cli


class Half:
    def __init__(self):
        print("making", flush=True)
        time.sleep(30)
        self.resource = 1

    def __del__(self):
        self.resource


cli.appline.main = lambda *arguments, **options: Half()
cli.main([])
"""
# A call of C code, which Python does not come back from, while a temporary folder is used.
LONG_CALL = """
import re

from apps import cli
from pipelines.io.temporary import temporary_folder


def call(*arguments, **options):
    with temporary_folder():
        print("calling", flush=True)
        re.match("(a+)+$", 50 * "a" + "b")


cli.appline.main = call
cli.main([])
"""
# Another module that takes long to import, before the command takes signals.
SLOW_IMPORT = """
import sys
import time


class Slow:
    def find_spec(self, name, *_):
        if name == "apps.cli":
            print("importing", flush=True)
            time.sleep(30)


sys.meta_path.insert(0, Slow())
from apps.start import main

main([])
"""
SOON = 10.0  # seconds, on a busy machine


def python(code: str, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment_of(),
    )


def interrupted(code: str, when: str) -> tuple[int, str, str]:
    """Run `code`, interrupt it when it has said a line; return its code and what it says then."""
    process = python(code)
    assert process.stdout is not None
    assert process.stdout.readline() == f"{when}\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=SOON)
    return process.returncode, out, err


def test_an_interrupt_while_an_object_is_removed_is_raised_once_more_without_a_traceback() -> None:
    assert interrupted(LOST, "removing") == (130, "interrupted", "")


def test_an_interrupted_command_does_not_wait_for_what_libraries_do_at_the_end() -> None:
    began = time.monotonic()
    process = python(SLOW_END)
    out, err = process.communicate(timeout=SOON)
    assert (process.returncode, out, err) == (130, "said", "")
    assert time.monotonic() - began < SOON


def test_a_command_does_not_wait_until_objects_are_removed_but_for_what_cleans_up() -> None:
    """After each training the prompt came back seconds after the last line."""
    process = python(SLOW_REMOVAL)
    out, err = process.communicate(timeout=SOON)
    assert (process.returncode, out, err) == (3, "cleaned up", "")


def test_an_interrupted_command_removes_the_code_that_tensorflow_has_written(
    tmp_path: Path,
) -> None:
    process = python(GENERATED, str(tmp_path))
    assert process.communicate(timeout=SOON) == ("", "")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "error", ["ImportError('initialization failed')", "cli.ApplineError('cannot be exported')"]
)
def test_an_error_that_a_library_makes_of_an_interrupt_is_an_interrupt(error: str) -> None:
    code = WRAPPED.format(error=error)
    assert interrupted(code, "working") == (130, "", "Interrupted\n")


def test_nothing_is_said_of_an_object_that_an_interrupt_has_left_half_made() -> None:
    assert interrupted(HALF_MADE, "making") == (130, "", "Interrupted\n")


def test_a_command_that_is_ended_inside_a_long_call_leaves_no_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert interrupted(LONG_CALL, "calling") == (130, "", "Interrupted\n")
    assert not list(tmp_path.iterdir())


def test_an_interrupt_while_modules_are_imported_ends_a_command_without_a_traceback() -> None:
    assert interrupted(SLOW_IMPORT, "importing") == (-signal.SIGINT, "", "")  # 130, says a shell
