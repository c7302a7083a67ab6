"""Image classification: the options a person may set, the hyperparameters, and the contract kept.

Nothing heavy is imported before a method needs it: the command line reads this module for `--help`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeAlias

from annotated_types import Ge, Le, Lt

from pipelines.config.hyperparameters import ConvSpec, HeadSpec, Rate, TrainSpec
from pipelines.config.search_space import Choice, Dimension, Range, Scalar, hyper
from pipelines.pipeline import Baseline, Objective, Part, Phase, Pipeline, ServingModel, option

if TYPE_CHECKING:
    import keras
    import numpy as np
    import pandas as pd
    import tensorflow as tf
    from matplotlib.figure import Figure

    from pipelines.networks.plan import Cost
    from pipelines.vision.data import VisionSplits

Architecture: TypeAlias = Literal["lenet", "alexnet", "vgg", "resnet", "inception", "transfer"]
Share: TypeAlias = Annotated[float, Ge(0), Lt(0.5)]


@dataclass(frozen=True, kw_only=True)
class AugmentSpec:
    """What training images go through; others do not, apart from being flipped for the mean over both sides (`--tta`)."""

    flip: Literal["auto", "none", "horizontal", "vertical", "both"] = hyper(
        "auto", "mirror images; auto: horizontally where a nearest-neighbour vote on training images still names mirrored ones"
    )
    shift: Share = hyper(0.04, "shift by up to this share of the extent")
    rotation: Share = hyper(0.0, "rotate by up to this share of a full turn")
    zoom: Share = hyper(0.0, "zoom by up to this share")
    cutout: Rate = hyper(0.0, "erase a rectangle of up to this share of the area")
    mixup: Annotated[float, Ge(0), Le(1)] = hyper(0.0, "alpha of mixup (Zhang et al. 2018); 0: none")


@dataclass(frozen=True, kw_only=True)
class TransferSpec:
    """A backbone trained elsewhere: first only a new head learns on its features, then its top layers too."""

    backbone: str = hyper("EfficientNetV2B0", "a class of keras.applications, or the path of a model.keras that appline saved")
    weights: str = hyper("imagenet", "imagenet (from the internet, kept in ~/.keras/models), or the path of a local weights file")
    layers: Annotated[int, Ge(0)] = hyper(20, "top layers of the backbone that are fine-tuned; 0: features only")
    frozen: Rate = hyper(0.5, "share of the epochs in which only the head learns")
    slower: Annotated[float, Ge(0), Le(1)] = hyper(0.1, "learning rate of fine-tuning as a share of the head's")


@dataclass(frozen=True, kw_only=True)
class VisionSpec:
    """Everything about a vision network that a search may change."""

    architecture: Architecture = hyper("vgg", "family of the network")
    conv: ConvSpec = ConvSpec()
    head: HeadSpec = HeadSpec()
    augment: AugmentSpec = AugmentSpec()
    transfer: TransferSpec = TransferSpec()
    label_smoothing: Rate = hyper(0.1, "share of each target spread over all classes")
    train: TrainSpec = TrainSpec()


OWN: tuple[Scalar, ...] = ("lenet", "alexnet", "vgg", "resnet", "inception")


@dataclass(frozen=True, kw_only=True)
class VisionPipeline(Pipeline[VisionSpec, "VisionSplits"]):
    """Images in folders, tables of paths, arrays or TFDS; one label each."""

    data: str = option("digits", "a name (appline vision datasets), tfds:NAME, a folder, a CSV of paths, or an NPZ file")
    image_size: int = option(0, "height and width that images are resized to (0: their own if all agree and are small, else up to 128)")
    path_column: str = option("", "column of a table that holds the images' paths (default: one called path, file, image, ...)")
    label_column: str = option("", "column of a table that holds their labels (default: one called label, class, target, ...)")
    tta: bool = option(
        True, "test-time augmentation: answer with the mean over an image and its mirror image, where training flips from left to right"
    )
    skip_unreadable: bool = option(False, "leave unreadable images out instead of refusing the data")

    domain: ClassVar[str] = "vision"
    spec_type: ClassVar[type[Any]] = VisionSpec
    headline: ClassVar[Objective] = Objective(name="accuracy", direction="max")
    objectives: ClassVar[tuple[Objective, ...]] = (
        Objective(name="val_accuracy", direction="max"),
        Objective(name="val_loss", direction="min"),
    )
    search: ClassVar[Mapping[str, Dimension]] = {
        "architecture": Choice(("vgg", "resnet", "inception", "lenet", "alexnet")),
        "conv.kernel_size": Choice((3, 5, 7)),
        "conv.stride": Choice((1, 2)),
        "conv.filters": Choice((16, 32, 64)),
        "conv.blocks": Choice((2, 3)),
        "conv.padding": Choice(("same", "valid")),
        "conv.activation": Choice(("relu", "gelu", "silu")),
        "conv.pooling": Choice(("max", "average", "sum")),
        "conv.norm": Choice(("batch", "layer", "none")),
        "conv.spatial_dropout": Choice((0.0, 0.1)),
        "conv.l1": Choice((0.0, 1e-5)),
        "conv.l2": Choice((0.0, 1e-4)),
        "head.pooling": Choice(("max", "average", "flatten")),
        "head.dropout": Choice((0.0, 0.1, 0.3, 0.5)),
        "train.learning_rate": Range(1e-3, 1e-2, log=True),
        "train.batch_size": Choice((64, 128)),
    }
    presets: ClassVar[tuple[Mapping[str, Scalar], ...]] = ({"architecture": "resnet"}, {"architecture": "inception"})
    conditions: ClassVar[Mapping[str, tuple[str, tuple[Scalar, ...]]]] = {
        "conv": ("architecture", OWN),
        "head.pooling": ("architecture", ("vgg", "resnet", "inception")),
        "transfer": ("architecture", ("transfer",)),
    }
    datasets: ClassVar[Mapping[str, str]] = {
        "digits": "1,797 handwritten digits, 8x8 grey, 10 classes (embedded in scikit-learn)",
        "fashion-mnist": "70,000 pieces of clothing, 28x28 grey, 10 classes (Debian package dataset-fashion-mnist)",
        "tfds:mnist": "any image classification set of TensorFlow Datasets by its name (downloads)",
    }

    def load(self) -> "VisionSplits":
        from pipelines.vision import data

        return data.load(self)

    def cost(self, spec: VisionSpec, splits: "VisionSplits") -> "Cost | None":
        from pipelines.networks.plan import measure
        from pipelines.vision import plans

        if spec.architecture == "transfer":
            return None
        return measure(plans.whole(spec, splits.shape, len(splits.classes)), splits.shape)

    def build(self, spec: VisionSpec, splits: "VisionSplits") -> "keras.Model":
        from pipelines.vision import model

        return model.build(spec, splits, tta=self.tta)

    def training_model(self, model: "keras.Model", spec: VisionSpec, splits: "VisionSplits") -> "keras.Model":
        from pipelines.vision import augment

        return augment.add_augmentation(model, spec.augment, splits, self.seed)

    def phases(self, spec: VisionSpec, train: TrainSpec) -> Sequence[Phase]:
        if spec.architecture != "transfer" or not spec.transfer.layers or train.epochs < 2:
            return super().phases(spec, train)
        frozen = max(1, round(train.epochs * spec.transfer.frozen))
        return (
            Phase(name="features", epochs=frozen, learning_rate=train.learning_rate),
            Phase(name="fine-tune", epochs=max(1, train.epochs - frozen), learning_rate=train.learning_rate * spec.transfer.slower),
        )

    def on_phase_start(self, phase: Phase, model: "keras.Model", spec: VisionSpec) -> None:
        from pipelines.vision import transfer

        if phase.name == "fine-tune":
            transfer.unfreeze(model, spec.transfer.layers)

    def compile_arguments(self, spec: VisionSpec, splits: "VisionSplits") -> dict[str, Any]:
        import keras

        loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=spec.label_smoothing)
        return {"loss": loss, "metrics": [keras.metrics.CategoricalAccuracy(name="accuracy")]}

    def batches(self, splits: "VisionSplits", part: Part, spec: VisionSpec, *, training: bool) -> "tf.data.Dataset":
        from pipelines.vision import augment, data

        batches = data.batches(splits, part, spec.train.batch_size, self.seed if training else None)
        return augment.mixed_up(batches, spec.augment.mixup, self.seed) if training and spec.augment.mixup else batches

    def serving_call(self, model: "keras.Model", inputs: Any) -> Any:
        from pipelines.vision import model as network

        return network.probabilities(model, inputs)

    def predict(self, model: "keras.Model", splits: "VisionSplits", part: Part) -> "np.ndarray":
        from pipelines.vision import model as network

        return network.predict(model, splits.images(part).x)

    def score(self, predictions: "np.ndarray", splits: "VisionSplits", part: Part) -> dict[str, float]:
        from pipelines.evaluation import classification

        return classification.scores(splits.images(part).y, predictions)

    def losses(self, predictions: "np.ndarray", splits: "VisionSplits", part: Part) -> "np.ndarray":
        from pipelines.evaluation import classification

        return classification.losses(splits.images(part).y, predictions)

    def baselines(self, splits: "VisionSplits") -> Iterator[Baseline]:
        from pipelines.vision import baselines

        return baselines.baselines(splits, self.seed)

    def table(self, predictions: "np.ndarray", splits: "VisionSplits", part: Part) -> "pd.DataFrame":
        from pipelines.evaluation import classification

        return classification.table(splits.images(part).y, predictions, splits.classes)

    def plots(self, predictions: "np.ndarray", splits: "VisionSplits", part: Part) -> Iterator[tuple[str, "Figure"]]:
        from pipelines.evaluation import classification
        from pipelines.vision import plots

        yield from classification.plots(splits.images(part).y, predictions, splits.classes)
        yield "mistakes", plots.mistakes(splits.images(part), predictions, splits)

    def serve(self, model: "keras.Model", splits: "VisionSplits") -> ServingModel:
        from pipelines.vision import serve

        return serve.served(model, splits, self.path_column)

    def restore_network(self, served: ServingModel, splits: "VisionSplits") -> "keras.Model":
        from pipelines.vision import serve

        return serve.restore_network(served, splits)

    @classmethod
    def predict_raw(cls, served: ServingModel, source: "str | Path | pd.DataFrame | np.ndarray") -> "pd.DataFrame":
        from pipelines.vision import serve

        return serve.predict_raw(served, source)
