"""Options of image classification; `--help` reads them, so nothing heavy is imported."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeAlias

from pipelines.config.hyperparameters import CONDITIONS
from pipelines.config.options import (
    DRIFT_HELP,
    ClassifierOptions,
    Count,
    DemoSweep,
    PredictOptions,
    option,
)
from pipelines.config.search_space import (
    Choice,
    Conditions,
    Dimension,
    Except,
    Range,
    Scalar,
)
from pipelines.io.label_patterns import read_pattern
from pipelines.io.picture_files import require_explain
from pipelines.vision.backbones import require_backbone
from pipelines.vision.spec import ARCHITECTURES, BACKBONE_KEY, TransferSpec, VisionSpec

Resize: TypeAlias = Literal["stretch", "crop", "pad"]


@dataclass(frozen=True, kw_only=True)
class VisionPredictOptions(PredictOptions):
    """What may be set for the prediction of images."""

    path_column: str = option(
        "",
        "column of a table that holds the images' paths (default: that of the training, else one "
        "called path, file, image, ...)",
    )
    image_root: str = option(
        "", "folder that the paths of a table are read from (default: the table's own folder)"
    )
    drift: bool = option(False, DRIFT_HELP)
    explain: str = option(
        "",
        "draw where the network has looked (Grad-CAM) over each image, into this folder; the "
        "column `heatmap` names the files",
    )

    of_requests: ClassVar[tuple[str, ...]] = ("skip_unreadable", "drift")

    def check(self, inputs: tuple[str, ...], force: bool) -> None:
        require_explain(self.explain, force)


@dataclass(frozen=True, kw_only=True)
class VisionOptions(ClassifierOptions):
    """Images in folders, tables of paths, arrays or TFDS; one label each."""

    data: str = option(
        "digits",
        "a name (appline vision datasets), tfds:NAME, a folder, a table of paths, or an NPZ file",
    )
    image_size: Count = option(
        0,
        "height and width that images are resized to (0: their own if all agree and are small, "
        "else up to 128)",
    )
    resize: Resize = option(
        "stretch",
        "what happens to images of other proportions: stretch changes these, crop takes the middle "
        "alone, pad puts black beside the whole image; the model does the same to what it answers",
    )
    path_column: str = option(
        "",
        "column of a table that holds the images' paths "
        "(default: one called path, file, image, ...)",
    )
    label_column: str = option(
        "",
        "column of a table that holds their labels (default: one called label, class, target, ...)",
    )
    image_root: str = option(
        "", "folder that the paths of a table are read from (default: the table's own folder)"
    )
    label_pattern: str = option(
        "",
        "regular expression whose first group is the label in the name of a file, as '^(.+?)_' is "
        "in cat_1.jpg; with a slash in it, in the path below the data folder",
    )
    group_column: str = option(
        "",
        "column of a table that says what belongs together, such as a patient or an author: it is "
        "split as a whole",
    )
    tta: bool = option(
        True,
        "test-time augmentation: answer with the mean over an image and its mirror image, where "
        "training flips from left to right",
    )
    skip_unreadable: bool = option(
        False, "leave unreadable images out instead of refusing the data"
    )
    drop_missing: bool = option(
        False,
        "leave out rows of a table that lack a label, or have more values than the header, and "
        "files whose names --label-pattern does not fit",
    )
    min_class: Count = option(
        0, "leave out classes with fewer training examples than this (0: refuse small classes)"
    )

    domain: ClassVar[str] = "vision"
    predict_type: ClassVar[type[PredictOptions]] = VisionPredictOptions
    spec_type: ClassVar[type[Any]] = VisionSpec
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
    presets: ClassVar[tuple[Mapping[str, Scalar], ...]] = (
        {"architecture": "resnet"},
        {"architecture": "inception"},
    )
    pretrained: ClassVar[Literal["", "encoder", "backbone"]] = "backbone"
    weights_keys: ClassVar[tuple[str, ...]] = (BACKBONE_KEY,)
    conditions: ClassVar[Conditions] = ARCHITECTURES.conditions(
        {
            **CONDITIONS,
            "head.activation": {"head.units": Except((0,))},
            "transfer.frozen": {"transfer.layers": Except((0,))},
            "transfer.slower": {"transfer.layers": Except((0,))},
        }
    )
    datasets: ClassVar[Mapping[str, str]] = {
        "digits": "1,797 handwritten digits, 8x8 grey, 10 classes (embedded in scikit-learn)",
        "fashion-mnist": "70,000 pieces of clothing, 28x28 grey, 10 classes "
        "(Debian package dataset-fashion-mnist)",
        "tfds:mnist": "any image classification set of TensorFlow Datasets by its name (downloads)",
    }
    demo: ClassVar[DemoSweep] = DemoSweep(
        trials=8,
        trial_epochs=4,
        # A third block would leave a stride of 2 no room on 8x8 pixels.
        fixed={"train.epochs": 16, "conv.blocks": 2},
        searched={
            "conv.kernel_size": Choice((2, 3, 5)),
            "conv.stride": Choice((1, 2)),
            "conv.filters": Choice((16, 32)),
            "architecture": Choice(("vgg", "resnet")),
        },
    )

    def __post_init__(self) -> None:
        read_pattern(self.label_pattern)

    def require_weights(self, spec: VisionSpec) -> None:
        is_named = spec.transfer.backbone != TransferSpec().backbone
        is_open = not ARCHITECTURES.is_decided(spec.architecture)
        if ARCHITECTURES[spec.architecture].weights_key or (is_named and is_open):
            require_backbone(spec.transfer.backbone, spec.transfer.weights)
