"""Hyperparameters that domains share, under one name everywhere, so that their runs compare.

A domain composes these into its own spec, beside its choice of architecture. No Keras here: the
command line reads these classes for `--help`.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, TypeAlias

from annotated_types import Ge, Gt, Le, Lt

from pipelines.config.search_space import Conditions, Except, hyper

Padding: TypeAlias = Literal["same", "valid", "causal"]
Activation: TypeAlias = Literal["relu", "gelu", "silu", "elu", "leaky_relu", "tanh"]
Pooling: TypeAlias = Literal["max", "average", "sum", "none"]
GlobalPooling: TypeAlias = Literal["max", "average", "sum", "flatten"]
Norm: TypeAlias = Literal["batch", "layer", "none"]
Optimizer: TypeAlias = Literal["adamw", "adam", "sgd", "rmsprop"]

Count: TypeAlias = Annotated[int, Ge(1)]
# 0 means chosen automatically, or none; the help of each hyperparameter says which.
CountOrAuto: TypeAlias = Annotated[int, Ge(0)]
Rate: TypeAlias = Annotated[float, Ge(0), Lt(1)]
Penalty: TypeAlias = Annotated[float, Ge(0)]


@dataclass(frozen=True, kw_only=True)
class ConvSpec:
    """Convolutional blocks, in one dimension or two."""

    filters: Count = hyper(32, "filters of the first block; later blocks have more")
    kernel_size: Count = hyper(3, "extent of each convolution's kernel")
    stride: Count = hyper(1, "stride of the first convolution of each block")
    blocks: Count = hyper(3, "number of blocks: the depth")
    padding: Padding = hyper(
        "same", "same, valid (shrinks), or causal (sees only what came before)"
    )
    dilation: Count = hyper(1, "distance between the kernel's taps")
    activation: Activation = hyper("relu", "activation after each convolution")
    pooling: Pooling = hyper("max", "pooling between blocks")
    pool_size: Count = hyper(2, "extent of that pooling")
    norm: Norm = hyper("batch", "normalisation after each convolution")
    spatial_dropout: Rate = hyper(0.0, "share of whole feature maps dropped after each convolution")
    l1: Penalty = hyper(0.0, "L1 penalty on the kernels")
    l2: Penalty = hyper(0.0, "L2 penalty on the kernels")


@dataclass(frozen=True, kw_only=True)
class RecurrentSpec:
    """Recurrent layers."""

    units: Count = hyper(64, "units of each recurrent layer")
    layers: Count = hyper(1, "number of recurrent layers")
    bidirectional: bool = hyper(False, "read the sequence in both directions")
    dropout: Rate = hyper(0.0, "dropout between recurrent layers")


@dataclass(frozen=True, kw_only=True)
class AttentionSpec:
    """Layers of attention, each with two dense layers behind it."""

    layers: Count = hyper(2, "number of attention layers: the depth")
    heads: Count = hyper(4, "attention heads, which share the channels")
    activation: Activation = hyper("relu", "activation between the two dense layers")
    dropout: Rate = hyper(0.0, "dropout of the attention weights")


@dataclass(frozen=True, kw_only=True)
class HeadSpec:
    """What turns features into an answer."""

    pooling: GlobalPooling = hyper("max", "how the last feature maps become one vector")
    units: CountOrAuto = hyper(0, "units of a hidden dense layer; 0 leaves it out")
    activation: Activation = hyper("relu", "activation of that layer")
    dropout: Rate = hyper(0.1, "dropout before the output layer")


@dataclass(frozen=True, kw_only=True)
class EpochBudget:
    """The default number of epochs: enough to see `examples`, but from `fewest` to `most`."""

    examples: int
    fewest: int
    most: int

    def epochs_for(self, num_examples: int) -> int:
        """Return the number of epochs for `num_examples` training examples."""
        epochs = round(self.examples / max(1, num_examples))
        return min(max(epochs, self.fewest), self.most)


@dataclass(frozen=True, kw_only=True)
class TrainSpec:
    """How a network is fitted: warm-up, then cosine decay to zero, the best weights kept."""

    # Ten epochs of 55,000 images: what eight minutes on two cores hold, with a margin.
    epoch_budget: ClassVar[EpochBudget] = EpochBudget(examples=550_000, fewest=7, most=40)
    # The automatic patience, as a share of the epochs.
    patience_share: ClassVar[float] = 0.5

    epochs: CountOrAuto = hyper(
        0, "epochs of the training (0: 7 to 40, fewer the more examples there are)"
    )
    # From here to the warm-up: with these a vgg reached 93.06 % on Fashion-MNIST in 7 epochs and
    # 425 CPU seconds.
    batch_size: Count = hyper(128, "examples per step")
    learning_rate: Annotated[float, Gt(0), Le(10)] = hyper(4e-3, "peak learning rate")
    optimizer: Optimizer = hyper("adamw", "optimizer")
    weight_decay: Penalty = hyper(0.02, "decoupled weight decay (adamw)")
    warmup: Rate = hyper(0.25, "share of the steps in which the learning rate rises")
    patience: CountOrAuto = hyper(
        0, "epochs without a better validation score after which to stop (0: half of the epochs)"
    )
    refit: bool = hyper(
        False,
        "retrain on train + validation, for the epochs chosen on validation, and test and serve "
        "that network",
    )
    # Pays in fits of ten epochs or more only.
    ema: Rate = hyper(
        0.0, "momentum of the weights' moving average that is validated and kept; 0: none"
    )


@dataclass(frozen=True, kw_only=True)
class ClassifierTrainSpec(TrainSpec):
    """How a network whose answers are classes is fitted."""

    class_weight: Literal["none", "auto"] = hyper(
        "none",
        "what an example counts in the loss (none: all the same; auto: more the rarer its class, "
        "so that all classes count the same)",
    )


# When fields of these specs matter, whatever the domain: see `Space.conditions`.
CONDITIONS: Conditions = {
    "conv.pool_size": {"conv.pooling": Except(("none",))},
    "train.weight_decay": {"train.optimizer": ("adamw",)},
}
RECURRENT_CONDITIONS: Conditions = {"recurrent.dropout": {"recurrent.layers": Except((1,))}}
