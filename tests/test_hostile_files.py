"""Files that are made to hang a program or fill its memory are refused at once, by their names."""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines import create_pipeline
from pipelines.config.files import read_config
from pipelines.errors import ApplineError, DataError, UsageError
from pipelines.vision.image_files import decode
from pipelines.vision.options import VisionOptions

LONGEST = 20.0  # seconds: a program that waits for a file would wait without end


def within_time(function: Callable[[], Any]) -> None:
    """Call `function`, which raises; fail when it has not come back in time."""
    raised: list[BaseException] = []

    def call() -> None:
        try:
            function()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(LONGEST)
    assert not thread.is_alive(), "it hangs"
    if raised:
        raise raised[0]


@pytest.mark.parametrize("domain", ["vision", "text", "forecast", "recommend"])
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_a_table_that_is_no_regular_file_is_refused(domain: str, kind: str, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    pipeline = create_pipeline(domain, data=str(path))
    with pytest.raises(DataError, match=r"table\.csv: is a pipe or a device"):
        within_time(pipeline.load)


@pytest.mark.parametrize(
    ("kind", "reason"), [("pipe", "1 pipe or device"), ("device", "Links are not followed: a.png")]
)
def test_an_image_that_is_no_regular_file_is_left_out(
    kind: str, reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "data" / "cat" / "a.png"
    path.parent.mkdir(parents=True)
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    assert decode(path, None, 3) is None
    pipeline = create_pipeline("vision", data=str(tmp_path / "data"))
    with pytest.raises(DataError, match=reason):
        within_time(pipeline.load)


def config(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "config.yaml"
    path.write_bytes(content)
    return path


LAUGHS = "\n".join(
    ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (LAUGHS.encode(), r"line 1: anchors .* are not read"),
        (b"base: &base {a: 1}\nother:\n  <<: *base\n", r"line 1: anchors"),
        (b"a: &a\n  b: *a\n", r"line 1: anchors"),
        (b"x: " + b"[" * 5_000 + b"]" * 5_000, r"nested more than 10 levels"),
        (b"x: " + b"{a: " * 5_000 + b"}" * 5_000, r"nested more than 10 levels"),
        (b"seed: 1\nname: \xff\xfe\n", r"line 2: is not UTF-8"),
        (b"seed: 1\0\n", r"is not a YAML file"),
        (b"seed: 1\n---\nseed: 2\n", r"line 2: a second document begins .* --config FILE"),
        (b"".join(b"k%d: 1\n" % n for n in range(70_000)), r"Expected at most 65,536"),
        (b"seed: " + b"9" * 5_000, r"a number that is too long"),
    ],
    ids=[
        *("laughs", "merge", "self", "lists", "mappings"),
        *("bytes", "nul", "documents", "keys", "digits"),
    ],
)
def test_a_config_file_that_is_made_to_hang_is_refused(
    content: bytes, message: str, tmp_path: Path
) -> None:
    path = config(tmp_path, content)
    with pytest.raises(UsageError, match=message):
        within_time(lambda: read_config(path, VisionOptions, {"seed"}))


def test_a_config_may_begin_with_the_mark_of_a_document(tmp_path: Path) -> None:
    path = config(tmp_path, b"# ours\n---\nseed: 7\n")
    assert read_config(path, VisionOptions, {"seed"}).options["seed"].value == 7


def test_a_config_that_is_a_pipe_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    os.mkfifo(path)
    with pytest.raises(ApplineError, match="is not a regular file"):
        within_time(lambda: read_config(path, VisionOptions, {"seed"}))
