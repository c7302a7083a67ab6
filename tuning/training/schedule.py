"""How fast a network learns: the optimizer, and its learning rate step by step."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipelines.config.hyperparameters import TrainSpec

# The learning rate starts at this share of its peak.
INITIAL_SHARE = 0.04
MOMENTUM = 0.9


def optimizer(
    train: TrainSpec,
    steps: int,
    learning_rate: float,
    own_rates: Mapping[str, float] = MappingProxyType({}),
) -> keras.optimizers.Optimizer:
    """Return the optimizer of `train` for so many steps.

    Its learning rate follows `one_cycle`, with `learning_rate` as the peak. Variables whose path is
    in `own_rates` have another peak, and no weight decay.
    """
    rates = LearningRateTable(one_cycle(steps, learning_rate, train.warmup))
    settings: dict[str, Any] = {}
    if train.ema:
        settings = {"use_ema": True, "ema_momentum": train.ema}
    match train.optimizer:
        case "adamw":
            kind = keras.optimizers.AdamW
            settings |= {"weight_decay": train.weight_decay}
        case "adam":
            kind = keras.optimizers.Adam
        case "sgd":
            kind = keras.optimizers.SGD
            settings |= {"momentum": MOMENTUM, "nesterov": True}
        case "rmsprop":
            kind = keras.optimizers.RMSprop
    if own_rates:
        factors = {path: rate / learning_rate for path, rate in own_rates.items()}
        kind = _with_factors(kind, factors)
    return kind(rates, **settings)


def _with_factors(kind: Any, factors: Mapping[str, float]) -> Any:
    """Return a kind of optimizer whose steps of some variables, by path, have a factor.

    Keras has one learning rate for all variables.
    """

    class WithFactors(kind):
        def path_of(self, variable: Any) -> str:
            # TensorFlow's variable has no path; Keras' own has the same place in the list.
            return str(self._trainable_variables[self._get_variable_index(variable)].path)

        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            factor = factors.get(self.path_of(variable), 1.0)
            super().update_step(gradient, variable, learning_rate * factor)

        def _use_weight_decay(self, variable: Any) -> bool:
            if self.path_of(variable) in factors:
                return False
            return bool(super()._use_weight_decay(variable))

    return WithFactors


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
