"""TensorFlow Datasets: `--data tfds:NAME`."""

import contextlib
import logging
import sys
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from pipelines import runtime
from pipelines.errors import DataError, suggest
from pipelines.io.parts import PART_NAMES
from pipelines.splits import Part

PREFIX = "tfds:"
RETRIES = 3  # of a download; the pauses double, and ten of them take minutes
PREPARE = (
    "Without the internet, prepare the set on another computer, and copy its folder "
    "~/tensorflow_datasets here (or name that folder: TFDS_DATA_DIR=DIR)"
)


def tfds_builder(data: str) -> Any:
    """Return the prepared builder of `tfds:NAME`, downloaded where necessary.

    Raises:
        DataError: there is no such set (the message gives the nearest name), or it cannot be
            downloaded.
    """
    import requests

    runtime.import_tensorflow()  # before its data sets do so, with all that it has to say
    import tensorflow_datasets as tfds

    _give_up_early()
    name = data.removeprefix(PREFIX)
    try:
        # What is told of a download on standard output would stand among results.
        with contextlib.redirect_stdout(sys.stderr):
            builder = tfds.builder(name)
            builder.download_and_prepare()
    except (tfds.core.DatasetNotFoundError, tfds.core.registered.DatasetNotFoundError):
        hint = suggest(name, tfds.list_builders())
        raise DataError(f"TensorFlow Datasets has no set {name!r}.{hint}") from None
    except requests.exceptions.ConnectionError as error:
        host = urlsplit(str(getattr(error.request, "url", ""))).hostname or "its server"
        raise DataError(
            f"{data}: cannot be downloaded: {host} cannot be reached from here. {PREPARE}"
        ) from error
    except (OSError, AssertionError, tfds.download.DownloadError) as error:
        raise DataError(f"{data}: cannot be downloaded or read: {error}. {PREPARE}") from error
    return builder


def _give_up_early() -> None:
    """Have downloads tried again for seconds rather than for minutes, and without warnings."""
    from tensorflow_datasets.core.download import downloader

    downloader.MAX_RETRIES = RETRIES
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)


def tfds_parts(builder: Any, data: str) -> dict[Part, str]:
    """Return the name of the builder's split for each part.

    Raises:
        DataError: no split is for training.
    """
    # Some builders learn their splits only by reading.
    splits = list(builder.info.splits) or ["train", "test"]
    parts = {PART_NAMES[split]: str(split) for split in splits if split in PART_NAMES}
    if "train" not in parts:
        raise DataError(f"{data}: has no split train. Found: {', '.join(builder.info.splits)}")
    return parts


def labelled_parts(
    classes: Mapping[Part, Sequence[int]], data: str
) -> tuple[tuple[Part, ...], tuple[str, ...]]:
    """Return the parts whose class numbers are known, and a note for each part where all are -1.

    The test parts of GLUE and others hide their labels in this way.

    Raises:
        DataError: labels of train are hidden, or some but not all of another part.
    """
    labelled: list[Part] = []
    notes = []
    for part, numbers in classes.items():
        hidden = sum(number < 0 for number in numbers)
        if not hidden:
            labelled.append(part)
        elif part == "train" or hidden < len(numbers):
            raise DataError(
                f"{data}: {hidden:,} of {len(numbers):,} labels of {part} are hidden (-1)"
            )
        else:
            notes.append(
                f"{data}: the labels of {part} are hidden (-1); it is split off from train instead"
            )
    return tuple(labelled), tuple(notes)
