"""What watches a fit: its curves, its best weights, and the reasons to stop it.

There are three callbacks with one duty each, called in the order in which they stand here. Epochs
are counted from 1 over all phases of a training.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import keras
import numpy as np
import tensorflow as tf

from pipelines.config.hyperparameters import TrainSpec
from pipelines.config.options import Objective
from pipelines.errors import Diverged, count_of
from pipelines.io.progress import is_shown
from tuning.results.training import GRADIENT_NORM
from tuning.training.step_progress import StepProgress

# Called after each epoch with its number and metrics; a text that it returns is the reason to stop
# there.
EpochHook: TypeAlias = Callable[[int, Mapping[str, float]], str | None]


@dataclass(frozen=True, kw_only=True)
class Watch:
    """How a fit is watched: the objective, a deadline, and who is told of each epoch."""

    objective: Objective
    deadline: float = math.inf  # time.monotonic()
    on_epoch: EpochHook | None = None
    gradients: bool = False  # whether gradient norms are recorded


class Curves(keras.callbacks.Callback):
    """Keeps every metric by epoch; with a probe batch, gradient norms by group of layers too."""

    def __init__(self, network: keras.Model, probe: Any = None) -> None:
        super().__init__()
        self.history: dict[str, list[float]] = {}
        self.epoch = 0
        self.values: dict[str, float] = {}  # of the epoch that ended last
        self._network = network
        self._probe = probe
        self._traced_norms: Callable[..., Any] | None = None

    def begin_phase(self) -> None:
        """Start a phase: the model is compiled anew, so gradients must be traced anew."""
        self._traced_norms = None

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self.values = {name: float(value) for name, value in (logs or {}).items()}
        if self._probe is not None:
            self.values |= self._gradient_norms()
        self.epoch += 1
        for name, value in self.values.items():
            self.history.setdefault(name, []).append(value)

    def _gradient_norms(self) -> dict[str, float]:
        """Return the norm of the gradient for each group of layers, on one fixed batch.

        A vanishing gradient shows here. The network runs in inference mode: a look must not move
        batch statistics or the seeds of dropout.
        """
        if self._traced_norms is None:
            self._traced_norms = tf.function(self._norms_by_group)
        inputs, targets = self._probe
        norms = self._traced_norms(inputs, targets)
        return {f"{GRADIENT_NORM}{group}": float(norm) for group, norm in norms.items()}

    def _norms_by_group(self, inputs: Any, targets: Any) -> dict[str, Any]:
        variables = self._network.trainable_variables
        with tf.GradientTape() as tape:
            outputs = self._network(inputs, training=False)
            loss = self.model.compute_loss(x=inputs, y=targets, y_pred=outputs, training=False)
        gradients = tape.gradient(loss, [variable.value for variable in variables])
        by_group: dict[str, list[Any]] = {}
        for variable, gradient in zip(variables, gradients, strict=True):
            if gradient is not None:
                by_group.setdefault(layer_group(variable.path), []).append(gradient)
        return {group: tf.linalg.global_norm(grouped) for group, grouped in by_group.items()}


class BestWeights(keras.callbacks.Callback):
    """Keeps the weights of the epoch that was best on val.

    In memory: checkpoints would cost more than a short trial. The weights are taken at the end of
    validation, while the moving average, if there is one, is swapped in.
    """

    def __init__(self, network: keras.Model, objective: Objective, curves: Curves) -> None:
        super().__init__()
        self.epoch = 0  # of the best weights; 0: there are none yet
        self.score = math.nan
        self.last_improvement = 0  # the last epoch that was better than all before
        self._network = network
        self._objective = objective
        self._curves = curves
        self._weights: list[np.ndarray] = []
        self._validated: list[np.ndarray] = []

    def begin_phase(self) -> None:
        """Start a phase: patience counts from here."""
        self.last_improvement = self._curves.epoch

    def on_test_end(self, logs: Mapping[str, float] | None = None) -> None:
        self._validated = [weight.numpy() for weight in self._network.weights]

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        score = self._curves.values[self._objective.name]
        if not (math.isfinite(self._curves.values["loss"]) and math.isfinite(score)):
            return
        is_better = not self.epoch or self._objective.better(score, self.score)
        if is_better:
            self.last_improvement = self._curves.epoch
        # Of equals the later one is kept: it has learned at a lower rate.
        if is_better or score == self.score:
            self.epoch, self.score = self._curves.epoch, score
            self._weights = self._validated

    def restore(self) -> None:
        """Give the network its best weights."""
        if self.epoch:
            for variable, weight in zip(self._network.weights, self._weights, strict=True):
                variable.assign(weight)


class Stopping(keras.callbacks.Callback):
    """Stops a fit that diverges, no longer improves, runs out of time, or is told to stop."""

    def __init__(self, watch: Watch, train: TrainSpec, curves: Curves, best: BestWeights) -> None:
        super().__init__()
        self.reason = ""  # empty: it was not stopped
        self.over = False  # no further phase either
        self._watch = watch
        self._curves = curves
        self._best = best
        automatic_patience = max(1, math.ceil(train.epochs * train.patience_share))
        self._patience = train.patience or automatic_patience

    def begin_phase(self) -> None:
        """Start a phase."""
        self.reason = ""

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self._stop_if_diverged()
        objective = self._watch.objective.name
        if self._curves.epoch - self._best.last_improvement >= self._patience:
            self._stop(f"no better {objective} for {count_of(self._patience, 'epoch')}")
        if time.monotonic() > self._watch.deadline:
            self._stop("the time is up", over=True)
        if self._watch.on_epoch:
            reason = self._watch.on_epoch(self._curves.epoch, self._curves.values)
            if reason:
                self._stop(reason, over=True)

    def _stop_if_diverged(self) -> None:
        objective = self._watch.objective.name
        loss, score = self._curves.values["loss"], self._curves.values[objective]
        if math.isfinite(loss) and math.isfinite(score):
            return
        where = f"loss is {loss} and {objective} {score} in epoch {self._curves.epoch}"
        self._stop(f"{where}: lower train.learning_rate", over=True)
        if not self._best.epoch:
            raise Diverged(f"Training diverged: {self.reason}")

    def _stop(self, reason: str, *, over: bool = False) -> None:
        self.reason = self.reason or reason
        self.over = self.over or over
        self.model.stop_training = True


class FixedEpochs(keras.callbacks.Callback):
    """Stops after a given number of epochs, without a look at val."""

    def __init__(self, epochs: int, watch: Watch, curves: Curves) -> None:
        super().__init__()
        self.over = False
        self._epochs = epochs
        self._watch = watch
        self._curves = curves

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        loss = self._curves.values["loss"]
        if not math.isfinite(loss):
            raise Diverged(
                f"Training diverged: loss is {loss} in epoch {self._curves.epoch}: "
                "lower train.learning_rate"
            )
        if self._curves.epoch == self._epochs:
            self.over = True
            self.model.stop_training = True
        if self._watch.on_epoch:
            self._watch.on_epoch(self._curves.epoch, self._curves.values)


class Monitor:
    """The callbacks of one training, over all its phases.

    With `until` the training ends after so many epochs, and val is not looked at.
    """

    def __init__(
        self, network: keras.Model, watch: Watch, train: TrainSpec, *, until: int, probe: Any
    ) -> None:
        self.curves = Curves(network, probe)
        self.best = BestWeights(network, watch.objective, self.curves)
        self._stopping = Stopping(watch, train, self.curves, self.best)
        self._fixed = FixedEpochs(until, watch, self.curves)
        self._until = until
        self._averages_weights = bool(train.ema)

    @property
    def stopped(self) -> str:
        """Why the training ended before its last epoch; empty when it did not."""
        return self._stopping.reason

    @property
    def over(self) -> bool:
        """Whether no further phase begins."""
        return self._stopping.over or self._fixed.over

    def begin_phase(self) -> None:
        """Start a phase of the training."""
        self.curves.begin_phase()
        self.best.begin_phase()
        self._stopping.begin_phase()

    def callbacks(self) -> list[keras.callbacks.Callback]:
        """Return what `keras.Model.fit` takes."""
        # In this order: the curves of an epoch decide what is best, and that decides when to stop.
        callbacks: list[keras.callbacks.Callback] = [self.curves, self.best, self._stopping]
        if self._until:
            callbacks = [self.curves, self._fixed]
        if is_shown():
            callbacks.append(StepProgress())
        if self._averages_weights:
            # Last: at the end of validation it swaps the average out, which `best` must have read.
            callbacks.append(keras.callbacks.SwapEMAWeights())
        return callbacks


def layer_group(path: str) -> str:
    """Return the group of a weight by its path: `block1` for `network/block1_2_conv/kernel`."""
    parts = path.split("/")
    layer = parts[0]
    if len(parts) > 1:
        layer = parts[-2]
    return layer.split("_")[0]
