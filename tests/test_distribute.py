"""One model on several devices: two logical CPUs, in a process of their own, replace two GPUs."""

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
import json
from pipelines import runtime
runtime.prepare_environment()
import tensorflow as tf
(cpu,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from pipelines.config.search_space import replace
from tests.line_domain.options import LineOptions
from tests.line_domain.pipeline import LinePipeline
from tests.line_domain.spec import LineSpec
from tuning.tracking.interface import NullTracker
from tuning.training.distribute import strategy
from tuning.training.procedure import Procedure
from tuning.training.train import train

class InOrder(LinePipeline):
    # Under a strategy Keras draws a training batch to see its shape, so shuffled ones come one
    # epoch's order later.
    def batches(self, splits, part, spec, *, training):
        return super().batches(splits, part, spec, training=False)

def mse(name, batch_size):
    spec = replace(LineSpec(), {"train.batch_size": batch_size})
    pipeline = InOrder(LineOptions())
    procedure = Procedure(strategy=strategy(name))
    return train(pipeline, spec, NullTracker(), procedure=procedure).test["mse"]

print(json.dumps([mse("none", 32), mse("mirrored", 32), mse("mirrored", 14)]))
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


class TwoDevices:
    """What `drop_uneven_batch` asks of a strategy."""

    num_replicas_in_sync = 2


def even_batches(count: int, size: int) -> tf.data.Dataset:
    """Return batches of `count` examples for two devices."""

    def batches() -> tf.data.Dataset:
        x = np.zeros((count, 1))
        return tf.data.Dataset.from_tensor_slices((x, x)).batch(size)

    return drop_uneven_batch(batches(), batches(), TwoDevices())


@pytest.mark.parametrize(
    ("count", "size", "message"),
    [
        (64, 15, r"cannot share a batch of 15 examples evenly.*to a multiple of 2$"),
        (97, 128, r"a batch of 97 examples evenly.*to a multiple of 2 below 97"),
    ],
)
def test_a_batch_that_devices_cannot_share_evenly_is_refused(
    count: int, size: int, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        even_batches(count, size)


def test_a_last_batch_that_devices_cannot_share_evenly_is_left_out() -> None:
    assert [len(x) for x, _ in even_batches(97, 32)] == [32, 32, 32]


def test_one_device_is_refused() -> None:
    with pytest.raises(UsageError, match="needs two devices"):
        strategy("mirrored")


def test_training_across_hosts_is_refused_with_an_explanation() -> None:
    with pytest.raises(UsageError, match=r"cannot be trained across hosts today.*--cluster"):
        strategy("multiworker")


def test_none_is_no_strategy() -> None:
    assert strategy("none") is None
