"""What a training would cost is told before it begins."""

from pathlib import Path

import numpy as np
import pytest

from pipelines.config.search_space import Scalar, replace
from pipelines.vision.options import VisionOptions
from pipelines.vision.pipeline import VisionPipeline
from pipelines.vision.spec import VisionSpec
from tuning.training.dry_run import LONG_EPOCH, long_epoch
from tuning.training.fit import _steps_at_once


@pytest.fixture
def pictures(tmp_path: Path) -> VisionPipeline:
    """400 pictures of 64 x 64 pixels."""
    random = np.random.default_rng(0)
    x = random.integers(0, 256, (400, 64, 64, 1)).astype("uint8")
    np.savez(tmp_path / "pictures.npz", x=x, y=random.integers(0, 2, 400))
    return VisionPipeline(VisionOptions(data=str(tmp_path / "pictures.npz")))


def test_an_epoch_that_takes_hours_comes_with_the_flag_that_makes_it_short(
    pictures: VisionPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuning.training.costs.num_cores", lambda: 2)
    monkeypatch.setattr("tensorflow.config.list_physical_devices", lambda kind: [])
    splits = pictures.load()
    large = replace(VisionSpec(), {"conv.kernel_size": 99})
    epoch = long_epoch(pictures, large, splits)
    assert epoch is not None
    assert epoch.seconds > 3600
    assert epoch.flag == "--set conv.kernel_size=24"
    assert 0 < epoch.shorter < LONG_EPOCH
    # The work grows with the area of a kernel: (99 / 24) squared is 17.
    assert epoch.shorter == pytest.approx(epoch.seconds / 17, rel=0.1)
    assert long_epoch(pictures, replace(large, {"conv.kernel_size": 24}), splits) is None


def test_a_usual_network_is_passed_over(pictures: VisionPipeline) -> None:
    assert long_epoch(pictures, VisionSpec(), pictures.load()) is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"architecture": "vgg", "conv.kernel_size": 15}, 1),
        ({"architecture": "vgg", "conv.filters": 1, "conv.blocks": 1, "train.batch_size": 8}, 50),
    ],
)
def test_a_slow_network_is_seen_after_each_step_and_a_quick_one_after_an_epoch(
    pictures: VisionPipeline,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Scalar],
    expected: int,
) -> None:
    """Between two calls of TensorFlow alone progress is shown and Ctrl-C is seen."""
    monkeypatch.setattr("tuning.training.costs.num_cores", lambda: 2)
    monkeypatch.setattr("tensorflow.config.list_physical_devices", lambda kind: [])
    splits = pictures.load()
    spec = replace(VisionSpec(), changes)
    network = pictures.build(spec, splits)
    assert _steps_at_once(pictures, spec, splits, network, network, 50) == expected
