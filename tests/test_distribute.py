"""One model on several devices: two logical CPUs stand in for two GPUs, in a process of their
own.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from pipelines.errors import UsageError
from tuning.training.distribute import drop_uneven_batch, strategy

PROGRAM = """
import json, sys
from tuning import quiet
quiet.prepare_environment()
import tensorflow as tf
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2)
from pipelines.config.search_space import replace
from tests.line_domain.options import LineOptions
from tests.line_domain.pipeline import LinePipeline
from tests.line_domain.spec import LineSpec
from tuning.training.distribute import strategy
from tuning.tracking.interface import NullTracker
from tuning.training.train import train
class InOrder(LinePipeline):
    # Under a strategy Keras draws a training batch to see its shape, so shuffled ones come one epoch's order later.
    def batches(self, splits, part, spec, *, training):
        return super().batches(splits, part, spec, training=False)
def test_mse(name, batch_size):
    return train(InOrder(), replace(LineSpec(), {"train.batch_size": batch_size}), NullTracker(), strategy=strategy(name)).test["mse"]
print(json.dumps([test_mse("none", 32), test_mse("mirrored", 32), test_mse("mirrored", 14)]))
"""


@pytest.mark.slow
def test_two_devices_come_to_the_same_scores_as_one() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent.parent,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    alone, divided, with_a_shorter_last_batch = json.loads(done.stdout.splitlines()[-1])
    assert divided == pytest.approx(alone, rel=1e-5)
    assert with_a_shorter_last_batch < 10 * alone


def test_a_batch_that_devices_cannot_share_evenly_is_refused_and_a_shorter_last_one_left_out() -> (
    None
):
    class Two:
        num_replicas_in_sync = 2

    def batches(count: int, size: int) -> tf.data.Dataset:
        return tf.data.Dataset.from_tensor_slices(
            (np.zeros((count, 1)), np.zeros((count, 1)))
        ).batch(size)

    with pytest.raises(
        UsageError, match=r"cannot share a batch of 15 examples evenly.*to a multiple of 2$"
    ):
        drop_uneven_batch(batches(64, 15), batches(64, 15), Two())
    with pytest.raises(
        UsageError, match=r"a batch of 97 examples evenly.*to a multiple of 2 below 97"
    ):
        drop_uneven_batch(batches(97, 128), batches(97, 128), Two())
    assert [len(x) for x, _ in drop_uneven_batch(batches(97, 32), batches(97, 32), Two())] == [
        32,
        32,
        32,
    ]


def test_one_device_is_refused() -> None:
    with pytest.raises(UsageError, match="needs two devices"):
        strategy("mirrored")


def test_training_across_hosts_is_refused_with_an_explanation() -> None:
    with pytest.raises(UsageError, match=r"cannot be trained across hosts today.*--cluster"):
        strategy("multiworker")


def test_none_is_no_strategy() -> None:
    assert strategy("none") is None
