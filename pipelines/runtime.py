"""Importing TensorFlow without its chatter.

The chatter is what it writes to stderr before its own log settings apply.
"""

import os
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from pipelines.interrupts import RAISED
from pipelines.requirements import require_versions

ENVIRONMENT = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "TFDS_LOG_LEVEL": "ERROR",
    # Off by default on processors without AVX-512, where it is worth as much: 2 times on 3x3, 4 to
    # 8 times on 5x5 convolutions (measured).
    "TF_ENABLE_ONEDNN_OPTS": "1",
}
THREAD_SETTINGS = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")
STDERR = 2  # the file descriptor
_is_deterministic = False  # TensorFlow says it only by names that are no part of its interface


def prepare_environment() -> None:
    """Set what TensorFlow and MLflow read when they are imported; what the user has set stays."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)


def use_threads(count: int) -> None:
    """Let TensorFlow and other numerical libraries use `count` threads.

    TensorFlow must not have been imported yet.
    """
    for name in THREAD_SETTINGS:
        os.environ[name] = str(count)


def import_tensorflow(*, deterministic: bool = False) -> None:
    """Import TensorFlow and Keras, silently unless that fails.

    Raises:
        ApplineError: one of them, KerasTuner or MLflow is missing or too old.
    """
    global _is_deterministic
    require_versions()
    prepare_environment()
    with _without_stderr():
        import keras
        import tensorflow as tf

        # Looks for GPUs, and reports them.
        tf.constant(0)
    # Each trial traces anew, and TensorFlow warns of it.
    tf.get_logger().setLevel("ERROR")
    warnings.filterwarnings(
        "ignore",
        category=DeprecationWarning,
        module="keras_tuner|keras|tensorflow|tensorflow_datasets",
    )
    # Keras says that data sets shuffle themselves, which ours do.
    warnings.filterwarnings("ignore", message=".*`shuffle=True` was passed.*")
    if deterministic:
        # Deterministic operations need a seed from the start; each fit sets its own.
        keras.utils.set_random_seed(0)
        tf.config.experimental.enable_op_determinism()
        _is_deterministic = True


def is_deterministic() -> bool:
    """Whether this process uses TensorFlow's deterministic operations."""
    return _is_deterministic


def idle_clock() -> float:
    """Return seconds, of which two readings tell what the work between takes on an idle machine.

    On a CPU it counts the processor seconds of this process by core, so that other programs do not
    change what is decided by it; where a GPU works it is a usual clock. TensorFlow is imported.
    """
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        return time.perf_counter()
    return time.process_time() / num_cores()


def num_cores() -> int:
    """Return the cores that this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def _without_stderr() -> Iterator[None]:
    """Hold back what C++ writes to standard error, and show it only when the block fails."""
    sys.stderr.flush()
    saved = os.dup(STDERR)
    with tempfile.TemporaryFile() as held_back:
        os.dup2(held_back.fileno(), STDERR)
        try:
            yield
        except Exception:
            os.dup2(saved, STDERR)
            # C code makes an error of its own of an interrupt, of which there is nothing to say.
            if not RAISED.is_set():
                held_back.seek(0)
                sys.stderr.write(held_back.read().decode(errors="replace"))
            raise
        finally:
            os.dup2(saved, STDERR)
            os.close(saved)
