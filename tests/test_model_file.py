"""What a model file may hold: files come from other people."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import pytest

from pipelines import create_pipeline
from pipelines.config.search_space import replace
from pipelines.errors import DataError
from pipelines.model_file import FACTS_MEMBER, read_model, write_model


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model of digits, not trained."""
    pipeline = create_pipeline("vision", limit=60)
    splits = pipeline.load()
    spec = replace(pipeline.options.spec_type(), {"conv.filters": 4, "conv.blocks": 1})
    path = tmp_path_factory.mktemp("model") / "model.keras"
    write_model(pipeline.serve(pipeline.build(spec, splits), splits), path)
    return path


def changed(saved: Path, folder: Path, member: str, change: Callable[[bytes], bytes]) -> Path:
    """Return a copy of the file in which one member is another one."""
    path = folder / "changed.keras"
    with zipfile.ZipFile(saved) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, change(content) if name == member else content)
    return path


def with_facts(saved: Path, folder: Path, **values: Any) -> Path:
    def change(content: bytes) -> bytes:
        return json.dumps({**json.loads(content), **values}).encode()

    return changed(saved, folder, FACTS_MEMBER, change)


def test_a_file_that_appline_saved_is_read(saved: Path) -> None:
    assert read_model(saved).facts.domain == "vision"


@pytest.mark.parametrize("content", [b"[1, 2]", b"{", b"\xff\xfe", b"null", b'"vision"'])
def test_facts_that_are_no_object_of_facts_are_refused(
    saved: Path, tmp_path: Path, content: bytes
) -> None:
    with pytest.raises(DataError, match=r"changed\.keras"):
        read_model(changed(saved, tmp_path, FACTS_MEMBER, lambda _: content))


@pytest.mark.parametrize(
    "values",
    [
        {"height": 60_000, "width": 60_000},
        {"height": 0},
        {"height": "tall"},
        {"channels": 1_000_000},
        {"scale": -1},
        {"classes": "abc"},
        {"domain": "sound"},
        {"domain": ["vision"]},
    ],
    ids=str,
)
def test_facts_out_of_bounds_are_refused_by_their_name(
    saved: Path, tmp_path: Path, values: dict[str, Any]
) -> None:
    with pytest.raises(DataError, match=next(iter(values))):
        read_model(with_facts(saved, tmp_path, **values))


def test_a_member_that_grows_a_thousandfold_is_refused_before_it_is_unpacked(
    saved: Path, tmp_path: Path
) -> None:
    bomb = changed(saved, tmp_path, FACTS_MEMBER, lambda _: b" " * (65 * 2**20))
    with pytest.raises(DataError, match=r"appline\.json would grow from .* to 68,157,440 bytes"):
        read_model(bomb)


def test_a_class_that_nobody_knows_is_refused(saved: Path, tmp_path: Path) -> None:
    path = changed(
        saved, tmp_path, "config.json", lambda content: content.replace(b"Rescaling", b"Revising")
    )
    with pytest.raises(DataError, match="Keras cannot load the network"):
        read_model(path)


def test_a_lambda_is_refused(saved: Path, tmp_path: Path) -> None:
    inputs = keras.Input((2,))
    model = keras.Model(inputs, keras.layers.Lambda(lambda x: x * 2)(inputs))
    model.save(tmp_path / "lambda.keras")
    with zipfile.ZipFile(saved) as old, zipfile.ZipFile(tmp_path / "lambda.keras", "a") as new:
        new.writestr(FACTS_MEMBER, old.read(FACTS_MEMBER))
    with pytest.raises(DataError, match="Keras cannot load the network"):
        read_model(tmp_path / "lambda.keras")


def test_broken_weights_are_refused(saved: Path, tmp_path: Path) -> None:
    path = changed(
        saved, tmp_path, "model.weights.h5", lambda content: content[: len(content) // 2]
    )
    with pytest.raises(DataError, match="Keras cannot load the network"):
        read_model(path)
