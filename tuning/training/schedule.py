"""How fast a network learns: the optimizer, and its learning rate step by step."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipelines.config.hyperparameters import TrainSpec

# The learning rate starts at this share of its peak.
INITIAL_SHARE = 0.04
MOMENTUM = 0.9


def optimizer(train: TrainSpec, steps: int, learning_rate: float) -> keras.optimizers.Optimizer:
    """Return the optimizer of `train` for so many steps.

    Its learning rate follows `one_cycle`, with `learning_rate` as the peak.
    """
    rates = LearningRateTable(one_cycle(steps, learning_rate, train.warmup))
    average: dict[str, Any] = {}
    if train.ema:
        average = {"use_ema": True, "ema_momentum": train.ema}
    match train.optimizer:
        case "adamw":
            return keras.optimizers.AdamW(rates, weight_decay=train.weight_decay, **average)
        case "adam":
            return keras.optimizers.Adam(rates, **average)
        case "sgd":
            return keras.optimizers.SGD(rates, momentum=MOMENTUM, nesterov=True, **average)
        case "rmsprop":
            return keras.optimizers.RMSprop(rates, **average)


def one_cycle(steps: int, peak: float, warmup: float) -> np.ndarray:
    """Return the learning rate of each step `(steps,)`.

    It rises in a line to `peak` for a share `warmup` of the steps, then falls along half a cosine
    to zero.
    """
    rising = round(steps * warmup)
    falling = steps - rising
    up = peak * np.linspace(INITIAL_SHARE, 1, rising, endpoint=False)
    down = peak * (1 + np.cos(np.pi * np.arange(falling) / max(1, falling))) / 2
    return np.concatenate([up, down])


@keras.saving.register_keras_serializable("appline")
class LearningRateTable(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate looked up by step; beyond the last step, the last one.

    AdamW asks for the rate once for every variable, and each time Keras' own `CosineDecay` traces
    twenty operations: 1.4 s of a short trial's 4.9 s. A look-up is two operations.
    """

    def __init__(self, rates: Any) -> None:
        self.rates = np.asarray(rates, dtype="float32")
        self._table = tf.constant(self.rates)

    def __call__(self, step: Any) -> Any:
        return tf.gather(self._table, tf.minimum(tf.cast(step, "int32"), len(self.rates) - 1))

    def get_config(self) -> dict[str, Any]:
        return {"rates": self.rates.tolist()}
