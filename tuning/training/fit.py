"""One fit: a pipeline and a spec become a trained network, its curves, and the reason why it stopped."""

import math
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipelines.config.hyperparameters import TrainSpec
from pipelines.errors import Diverged
from pipelines.pipeline import Objective, Part, Phase, Pipeline, Splits
from tuning.training import distribute

# Steps that TensorFlow runs before Python hears of them: a short epoch whole, a long one in pieces.
STEPS_PER_EXECUTION = 32
# The learning rate starts at this share of its peak.
START = 0.04

# TrialResult of each epoch; a text that it returns is the reason to stop there.
EpochHook = Callable[[int, Mapping[str, float]], str | None]


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A trained network with its best weights, its curves by epoch, and what it cost."""

    model: keras.Model
    history: dict[str, list[float]]
    best_epoch: int
    best_score: float
    seconds: float
    cpu_seconds: float
    stopped: str = ""  # why it ended before its last epoch; empty when it did not
    interrupted: bool = False


@dataclass(frozen=True, kw_only=True)
class Watch:
    """What a fit is watched by: the objective, a clock to stop at, someone to tell about each epoch."""

    objective: Objective
    deadline: float = math.inf  # time.monotonic()
    on_epoch: EpochHook | None = None
    gradients: bool = False


def num_epochs(train: TrainSpec, num_examples: int) -> int:
    """Return the epochs of a full training: as asked for, or by the number of examples."""
    return train.epochs or train.epoch_budget.of(num_examples)


def fit(
    pipeline: Pipeline[Any, Any], spec: Any, splits: Splits, *, seed: int, watch: Watch, until: int = 0, strategy: Any = None
) -> Fitted:
    """Build the network of `spec`, fit it on train, and return it with the weights that were best on val.

    With `until` it ends after so many epochs of its schedule, without a look at val: how good it is was found before.
    `strategy` divides each batch among devices (see `tuning.training.distribute`).

    `seed` decides everything random: initial weights, dropout and augmentation; the order of examples is the
    pipeline's own seed. The same call in another process gives the same weights on a CPU.

    Raises:
        Diverged: the loss became NaN or infinite before any epoch ended well.
    """
    began, cpu_began = time.perf_counter(), time.process_time()
    # No clear_session: it frees nothing that a fit leaves behind, wipes dtype policy and seed, and costs a trial .3 s.
    keras.utils.set_random_seed(seed)
    train: TrainSpec = replace(spec.train, epochs=num_epochs(spec.train, splits.sizes()["train"]))

    scope = strategy.scope() if strategy else nullcontext()
    with scope:
        network = pipeline.build(spec, splits)
        trainable = pipeline.training_model(network, spec, splits)
    batches = _batches(pipeline, splits, "train", spec, strategy)
    validation = None if until else _batches(pipeline, splits, "val", spec, strategy)
    steps = int(batches.cardinality())  # not examples by batch size: several examples may be one row

    # Not a training batch: to draw one would move the order of all that follow.
    probe = next(iter(pipeline.batches(splits, "train", spec, training=False))) if watch.gradients else None
    monitor = _Monitor(network, watch, train, probe, until)
    interrupted = False
    try:
        for phase in pipeline.phases(spec, train):
            pipeline.on_phase_start(phase, network, spec)
            with strategy.scope() if strategy else nullcontext():
                trainable.compile(
                    optimizer=_optimizer(train, phase, steps),
                    steps_per_execution=1 if strategy else _steps_per_execution(steps),  # several fail under a strategy
                    **pipeline.compile_arguments(spec, splits),
                )
                # Eagerly: made while the training step is traced, an optimizer's variables cost a short trial a second.
                trainable.optimizer.build(trainable.trainable_variables)
            monitor.begin(phase)
            callbacks = [monitor, *([keras.callbacks.SwapEMAWeights()] if train.ema else [])]
            trainable.fit(batches, validation_data=validation, epochs=phase.epochs, callbacks=callbacks, shuffle=False, verbose=0)
            if monitor.over:
                break
    except KeyboardInterrupt:
        interrupted = True
        monitor.stopped = "interrupted"
    monitor.restore()
    return Fitted(
        model=network,
        history=monitor.history,
        best_epoch=monitor.best_epoch,
        best_score=monitor.best_score,
        seconds=time.perf_counter() - began,
        cpu_seconds=time.process_time() - cpu_began,
        stopped=monitor.stopped,
        interrupted=interrupted,
    )


def _batches(pipeline: Pipeline[Any, Any], splits: Splits, part: Part, spec: Any, strategy: Any) -> tf.data.Dataset:
    def made() -> tf.data.Dataset:
        return pipeline.batches(splits, part, spec, training=part == "train")

    return distribute.drop_uneven_batch(made(), made(), strategy) if strategy else made()


def _steps_per_execution(steps: int) -> int:
    return steps if steps <= 2 * STEPS_PER_EXECUTION else STEPS_PER_EXECUTION


def _optimizer(train: TrainSpec, phase: Phase, steps: int) -> keras.optimizers.Optimizer:
    """Return the optimizer with a learning rate that rises to its peak and falls to zero along a cosine."""
    schedule = Tabulated(one_cycle(steps * phase.epochs, phase.learning_rate, train.warmup))
    average: dict[str, Any] = {"use_ema": True, "ema_momentum": train.ema} if train.ema else {}
    match train.optimizer:
        case "adamw":
            return keras.optimizers.AdamW(schedule, weight_decay=train.weight_decay, **average)
        case "adam":
            return keras.optimizers.Adam(schedule, **average)
        case "sgd":
            return keras.optimizers.SGD(schedule, momentum=0.9, nesterov=True, **average)
        case "rmsprop":
            return keras.optimizers.RMSprop(schedule, **average)


def one_cycle(total: int, peak: float, warmup: float) -> np.ndarray:
    """Return the learning rate of each of `total` steps: a line up to `peak` for a share `warmup`, then half a cosine to zero."""
    rising = round(total * warmup)
    up = peak * np.linspace(START, 1, rising, endpoint=False)
    down = peak * (1 + np.cos(np.pi * np.arange(total - rising) / max(1, total - rising))) / 2
    return np.concatenate([up, down])


@keras.saving.register_keras_serializable("appline")
class Tabulated(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate looked up by step, the last one staying.

    AdamW asks for the rate once for every variable, and each time Keras' own `CosineDecay` traces twenty operations: 1.4 s
    of a short trial's 4.9 s. A look-up is two.
    """

    def __init__(self, rates: Any) -> None:
        self.rates = np.asarray(rates, dtype="float32")
        self._table = tf.constant(self.rates)

    def __call__(self, step: Any) -> Any:
        return tf.gather(self._table, tf.minimum(tf.cast(step, "int32"), len(self.rates) - 1))

    def get_config(self) -> dict[str, Any]:
        return {"rates": self.rates.tolist()}


@dataclass
class _Best:
    score: float = math.nan
    epoch: int = 0
    weights: list[np.ndarray] = field(default_factory=list)


class _Monitor(keras.callbacks.Callback):
    """Keep curves and the best weights (in memory: a checkpoint a trial would cost more than the trial), and stop.

    The best weights are taken at the end of validation, while the moving average, if any, is swapped in.
    """

    def __init__(self, network: keras.Model, watch: Watch, train: TrainSpec, probe: Any, until: int) -> None:
        super().__init__()
        self.history: dict[str, list[float]] = {}
        self.stopped = ""
        self.over = False  # no further phase either
        self._network = network
        self._watch = watch
        self._patience = train.patience or max(1, math.ceil(train.epochs * train.patience_share))
        self._probe = probe
        self._until = until
        self._norms: Callable[..., Any] | None = None
        self._best = _Best()
        self._validated: list[np.ndarray] = []
        self._epoch = 0
        self._improved = 0

    @property
    def best_epoch(self) -> int:
        return self._best.epoch

    @property
    def best_score(self) -> float:
        return self._best.score

    def begin(self, phase: Phase) -> None:
        """Start a phase: compiled anew, so gradients are traced anew; its patience is its own."""
        self._norms = None
        self._improved = self._epoch
        self.stopped = ""

    def on_test_end(self, logs: Mapping[str, float] | None = None) -> None:
        self._validated = [weight.numpy() for weight in self._network.weights]

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        values = {name: float(value) for name, value in (logs or {}).items()}
        if self._probe is not None:
            values |= self._gradient_norms()
        self._epoch += 1
        for name, value in values.items():
            self.history.setdefault(name, []).append(value)
        if self._until:
            self._go_on(values)
        else:
            self._judge(values)
        if self._watch.on_epoch and (reason := self._watch.on_epoch(self._epoch, values)):
            self._stop(reason, over=True)

    def _go_on(self, values: Mapping[str, float]) -> None:
        if not math.isfinite(values["loss"]):
            raise Diverged(f"Training diverged: loss is {values['loss']} in epoch {self._epoch}: lower train.learning_rate")
        if self._epoch == self._until:
            self.over = True
            self.model.stop_training = True

    def _judge(self, values: Mapping[str, float]) -> None:
        objective = self._watch.objective
        score = values[objective.name]
        if not (math.isfinite(values["loss"]) and math.isfinite(score)):
            self._stop(
                f"loss is {values['loss']} and {objective.name} {score} in epoch {self._epoch}: lower train.learning_rate", over=True
            )
            if not self._best.weights:
                raise Diverged(f"Training diverged: {self.stopped}")
        elif not self._best.weights or objective.better(score, self._best.score):
            self._best = _Best(score, self._epoch, self._validated)
            self._improved = self._epoch
        elif score == self._best.score:  # the later of equals has learned at a lower rate
            self._best = _Best(score, self._epoch, self._validated)
        if self._epoch - self._improved >= self._patience:
            self._stop(f"no better {objective.name} for {self._patience} epochs")
        if time.monotonic() > self._watch.deadline:
            self._stop("the time is up", over=True)

    def _stop(self, reason: str, *, over: bool = False) -> None:
        self.stopped = self.stopped or reason
        self.over = self.over or over
        self.model.stop_training = True

    def restore(self) -> None:
        """Give the network its best weights."""
        if self._best.weights:
            for variable, weight in zip(self._network.weights, self._best.weights, strict=True):
                variable.assign(weight)

    def _gradient_norms(self) -> dict[str, float]:
        """Return the gradient's norm for each group of layers on one fixed batch: a vanishing gradient shows here.

        In inference mode: a look must not move batch statistics or the seeds of dropout.
        """
        if self._norms is None:
            self._norms = tf.function(self._norms_by_group)
        inputs, targets = self._probe
        return {f"grad_norm/{group}": float(norm) for group, norm in self._norms(inputs, targets).items()}

    def _norms_by_group(self, inputs: Any, targets: Any) -> dict[str, Any]:
        variables = self._network.trainable_variables
        with tf.GradientTape() as tape:
            loss = self.model.compute_loss(x=inputs, y=targets, y_pred=self._network(inputs, training=False), training=False)
        groups: dict[str, list[Any]] = {}
        for variable, gradient in zip(variables, tape.gradient(loss, [variable.value for variable in variables]), strict=True):
            if gradient is not None:
                groups.setdefault(layer_group(variable.path), []).append(gradient)
        return {group: tf.linalg.global_norm(gradients) for group, gradients in groups.items()}


def layer_group(path: str) -> str:
    """Return the group of a weight: `block1` for `network/block1_2_conv/kernel`."""
    parts = path.split("/")
    layer = parts[-2] if len(parts) > 1 else parts[0]
    return layer.split("_")[0]
