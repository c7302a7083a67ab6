"""Temporary folders go with their process, or with the next command."""

import os
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest

from pipelines.io.temporary import LOCK, TemporaryFolder, clear_abandoned, temporary_folder
from tests.command_line import appline_process, environment_of

KILLED = """
import os, signal
from pipelines.io.temporary import temporary_folder

with temporary_folder() as folder:
    (folder / "model.keras").write_text("large")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The temporary directory of this test and of the commands that it runs."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    monkeypatch.setenv("TMPDIR", str(place))
    return place


def leave_a_folder(place: Path) -> Path:
    killed = subprocess.run([sys.executable, "-c", KILLED], env=environment_of(), check=False)
    assert killed.returncode == -signal.SIGKILL
    (left,) = place.iterdir()
    return left


def test_what_a_killed_command_leaves_is_removed_by_the_next_one(
    place: Path, tmp_path: Path
) -> None:
    left = leave_a_folder(place)
    assert (left / "model.keras").is_file()
    done = appline_process("vision", "--help", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert not left.exists()


def test_what_a_living_process_holds_stays(place: Path) -> None:
    held = TemporaryFolder()
    clear_abandoned()
    assert held.path.is_dir()
    held.remove()
    assert not list(place.iterdir())


def test_a_folder_is_removed_also_where_its_block_fails(place: Path) -> None:
    with suppress(RuntimeError), temporary_folder() as folder:
        assert folder.parent == place
        raise RuntimeError
    assert not list(place.iterdir())


def test_nothing_behind_a_link_is_removed(place: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / LOCK).write_text("kept")
    (place / "appline-linked").symlink_to(precious)
    other = place / "appline-other"
    other.mkdir()
    (other / LOCK).symlink_to(precious / LOCK)
    clear_abandoned()
    assert (precious / LOCK).read_text() == "kept"
    assert other.is_dir()


def test_folders_of_others_stay(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = leave_a_folder(place)
    monkeypatch.setattr(os, "getuid", lambda: left.stat().st_uid + 1)
    clear_abandoned()
    assert left.is_dir()
