"""The hyperparameters of an image network."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

from annotated_types import Ge, Le, Lt

from pipelines.config.hyperparameters import (
    ClassifierTrainSpec,
    ConvSpec,
    CountOrAuto,
    HeadSpec,
    Rate,
)
from pipelines.config.search_space import OneOf, hyper
from pipelines.networks.registry import AUTO, ArchitectureRegistry, WithAuto

# Filled by `pipelines.vision.architectures`.
ARCHITECTURES: ArchitectureRegistry[Any] = ArchitectureRegistry(usual="vgg")
BACKBONE_KEY = "transfer.backbone"
TRANSFER = "transfer"  # the architecture that begins with a pretrained backbone

Share: TypeAlias = Annotated[float, Ge(0), Lt(0.5)]


@dataclass(frozen=True, kw_only=True)
class AugmentSpec:
    """What training images go through.

    Other images do not, except that an answer may be the mean over an image and its mirror image
    (`--tta`).
    """

    flip: Literal["auto", "none", "horizontal", "vertical", "both"] = hyper(
        "auto",
        "mirror images (auto: horizontally where a nearest-neighbour vote on training images still "
        "recognises mirrored ones)",
    )
    shift: Share = hyper(0.04, "shift by up to this share of the extent")
    # Off: they pay in fits of about 20 epochs and more only.
    rotation: Share = hyper(0.0, "rotate by up to this share of a full turn")
    zoom: Share = hyper(0.0, "zoom by up to this share")
    cutout: Rate = hyper(0.0, "erase a rectangle of up to this share of the area")
    mixup: Annotated[float, Ge(0), Le(1)] = hyper(
        0.0, "alpha of mixup (Zhang et al. 2018); 0: none"
    )


@dataclass(frozen=True, kw_only=True)
class TransferSpec:
    """A pretrained backbone: at first only a new head learns, then the top layers learn as well."""

    backbone: str = hyper(
        "efficientnet-lite0",
        "a name (appline vision backbones), a class of keras.applications, or the path of a "
        "model.keras that appline saved",
    )
    weights: str = hyper(
        "imagenet",
        "of a class of keras.applications: imagenet (from the internet, kept in ~/.keras/models), "
        "or the path of a weights file",
    )
    side: CountOrAuto = hyper(
        0,
        "height and width in which a backbone sees images, but for one that appline saved (0: 128, "
        "or 224 where the images are as large; keras.applications: as small as it takes)",
    )
    layers: CountOrAuto = hyper(
        60, "top layers of the backbone that are fine-tuned; 0: features only, computed once"
    )
    frozen: Rate = hyper(0.5, "share of the epochs in which only the head learns")
    slower: Annotated[float, Ge(0), Le(1)] = hyper(
        0.1, "learning rate of fine-tuning as a share of the head's"
    )


@dataclass(frozen=True, kw_only=True)
class VisionSpec:
    """Everything about an image network that a search may change."""

    architecture: Annotated[str, OneOf(WithAuto(ARCHITECTURES))] = hyper(
        AUTO,
        "family of the network (auto: transfer where its backbone is on this machine and helps on "
        "validation, else vgg)",
    )
    conv: ConvSpec = ConvSpec()
    head: HeadSpec = HeadSpec()
    augment: AugmentSpec = AugmentSpec()
    transfer: TransferSpec = TransferSpec()
    label_smoothing: Rate = hyper(0.1, "share of each target spread over all classes")
    train: ClassifierTrainSpec = ClassifierTrainSpec()
