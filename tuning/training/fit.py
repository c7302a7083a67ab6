"""One fit: from a pipeline and a spec to a trained network and its curves."""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import keras
import tensorflow as tf

from pipelines.config.hyperparameters import TrainSpec
from pipelines.interrupts import NOTICED
from pipelines.pipeline import AnyPipeline, Phase
from pipelines.splits import Part, Splits
from pipelines.timing import Spent, Stopwatch
from tuning.training import distribute
from tuning.training.costs import most_epoch_seconds
from tuning.training.monitor import Monitor, Watch
from tuning.training.schedule import optimizer

# Steps that TensorFlow runs per call from Python: a short epoch whole, a long one in pieces.
# Measured with 16 to 32: 1.09 times the images a second, 1.1 to 2 times the texts.
STEPS_PER_EXECUTION = 32
# Seconds of such a call: only between two of them is progress shown, and Ctrl-C seen.
LONGEST_EXECUTION = 0.1
INTERRUPTED = "interrupted"


@dataclass(frozen=True, kw_only=True)
class FitResult:
    """A trained network with its best weights, its curves by epoch, and what it cost."""

    model: keras.Model
    history: dict[str, list[float]]
    best_epoch: int  # 0: no epoch has ended
    best_score: float
    spent: Spent
    stopped: str = ""  # why it ended before its last epoch; empty when it did not
    interrupted: bool = False
    prepared: Spent = Spent()  # on what the network starts from or reads, before


def num_epochs(train: TrainSpec, num_examples: int) -> int:
    """Return the epochs of a full training: as asked for, or by the number of examples."""
    return train.epochs or train.epoch_budget.epochs_for(num_examples)


def fit(
    pipeline: AnyPipeline,
    spec: Any,
    splits: Splits,
    *,
    seed: int,
    watch: Watch,
    until: int = 0,
    strategy: Any = None,
) -> FitResult:
    """Build the network of `spec` and fit it on train, up to the weights that are best on val.

    Args:
        pipeline: whose network it is.
        spec: its hyperparameters.
        splits: what `pipeline.load` has returned.
        seed: decides everything random: initial weights, dropout and augmentation; the order of
            examples has the options' own seed. The same call in another process gives the same
            weights on a CPU.
        watch: the objective, and who else watches the fit.
        until: end after so many epochs of the schedule, without a look at val; 0: choose the epoch
            on val.
        strategy: divides each batch among devices (see `tuning.training.distribute`).

    Raises:
        Diverged: the loss became NaN or infinite before any epoch ended well.
    """
    stopwatch = Stopwatch()
    # No clear_session: it frees nothing that a fit leaves behind, wipes dtype policy and seed, and
    # costs a trial .3 s.
    keras.utils.set_random_seed(seed)
    scope: Any = nullcontext
    if strategy:  # variables must be made inside its scope
        scope = strategy.scope
    with scope():
        network = pipeline.build(spec, splits)
        model = pipeline.training_model(network, spec, splits)
    epochs = num_epochs(spec.train, splits.sizes()["train"])
    train: TrainSpec = replace(spec.train, epochs=epochs)
    data = _read_batches(pipeline, splits, spec, watch, until, strategy)
    at_once = 1  # more than one fails with a strategy
    if not strategy:
        at_once = _steps_at_once(pipeline, spec, splits, network, model, data.steps)
    monitor = Monitor(network, watch, train, until=until, probe=data.probe)
    interrupted = False
    try:
        for phase in pipeline.phases(spec, train):
            # Before it is compiled: Keras looks then which weights can be trained.
            pipeline.on_phase_start(phase, network, spec)
            with scope():
                arguments = pipeline.compile_arguments(spec, splits)
                rates = pipeline.learning_rates(network, spec)
                _compile(model, train, phase, data.steps, arguments, rates, at_once)
            _fit_phase(model, phase, data, monitor)
            if monitor.over:
                break
    except KeyboardInterrupt:
        NOTICED.set()
        interrupted = True
    stopped = monitor.stopped
    if interrupted:
        stopped = INTERRUPTED
    monitor.best.restore()
    # Nothing fits this network any more, and its optimizer must not be written into a saved model:
    # Keras writes whatever hangs on it, and it is twice as large as the weights.
    network.compiled = False
    network.optimizer = None
    return FitResult(
        model=network,
        history=monitor.curves.history,
        best_epoch=monitor.best.epoch,
        best_score=monitor.best.score,
        spent=stopwatch.spent(),
        stopped=stopped,
        interrupted=interrupted,
    )


@dataclass(frozen=True, kw_only=True)
class _Batches:
    train: tf.data.Dataset
    val: tf.data.Dataset | None  # None where val is not looked at
    steps: int  # of an epoch
    probe: Any  # a batch on which gradients are measured, or None


def _read_batches(
    pipeline: AnyPipeline, splits: Splits, spec: Any, watch: Watch, until: int, strategy: Any
) -> _Batches:
    train = _batches(pipeline, splits, "train", spec, strategy)
    val = None
    if not until:
        val = _batches(pipeline, splits, "val", spec, strategy)
    probe = None
    if watch.gradients:
        # Not a training batch: to draw one would move the order of all that follow.
        probe = next(iter(pipeline.batches(splits, "train", spec, training=False)))
    # Not examples by batch size: several examples may be one row.
    return _Batches(train=train, val=val, steps=int(train.cardinality()), probe=probe)


def _batches(
    pipeline: AnyPipeline, splits: Splits, part: Part, spec: Any, strategy: Any
) -> tf.data.Dataset:
    batches = pipeline.training_batches(splits, part, spec)
    if not strategy:
        return batches
    again = pipeline.training_batches(splits, part, spec)
    return distribute.drop_uneven_batch(batches, again, strategy)


def _steps_at_once(
    pipeline: AnyPipeline,
    spec: Any,
    splits: Splits,
    network: keras.Model,
    model: keras.Model,
    steps: int,
) -> int:
    """Return how many of the `steps` of an epoch TensorFlow runs per call from Python.

    As many as arithmetic says that take no longer than `LONGEST_EXECUTION`: a slow network loses
    nothing by more calls. `model` is what is fitted, perhaps a head on features of `network`, whose
    steps are short.
    """
    most = steps if steps <= 2 * STEPS_PER_EXECUTION else STEPS_PER_EXECUTION
    cost = pipeline.cost(spec, splits)
    params = cost.params if cost else network.count_params()
    if model.count_params() < params or tf.config.list_physical_devices("GPU"):
        return most
    if cost is None:  # a backbone, all of which works in each step
        return 1
    step_seconds = most_epoch_seconds(pipeline, spec, splits) / steps
    return max(1, min(most, int(LONGEST_EXECUTION / max(step_seconds, 1e-9))))


def _compile(
    model: keras.Model,
    train: TrainSpec,
    phase: Phase,
    steps: int,
    arguments: dict[str, Any],
    own_rates: Mapping[str, float],
    steps_at_once: int,
) -> None:
    model.compile(
        optimizer=optimizer(train, steps * phase.epochs, phase.learning_rate, own_rates),
        steps_per_execution=steps_at_once,
        **arguments,
    )
    # Eagerly: made while the training step is traced, an optimizer's variables cost a short trial
    # a second.
    model.optimizer.build(model.trainable_variables)


def _fit_phase(model: keras.Model, phase: Phase, data: _Batches, monitor: Monitor) -> None:
    monitor.begin_phase()
    model.fit(
        data.train,
        validation_data=data.val,
        epochs=phase.epochs,
        callbacks=monitor.callbacks(),
        shuffle=False,  # the data set shuffles itself
        verbose=0,
    )
