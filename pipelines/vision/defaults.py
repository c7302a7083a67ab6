"""Hyperparameters that nobody set, made small enough for small images."""

from collections.abc import Collection

from pipelines.config.smaller_defaults import shrink_until_possible
from pipelines.vision.architectures import architecture_of
from pipelines.vision.data import VisionSplits
from pipelines.vision.spec import VisionSpec

# What takes away from an image's extent, in the order in which it is made smaller.
SHRINKING = ("conv.blocks", "conv.pool_size", "conv.stride", "conv.dilation", "conv.kernel_size")


def fit_defaults(spec: VisionSpec, splits: VisionSplits, given: Collection[str]) -> VisionSpec:
    """Return `spec` with the hyperparameters outside `given` made as small as the images need."""

    def cost(candidate: VisionSpec) -> object:
        return architecture_of(candidate).cost(candidate, splits.shape, len(splits.classes))

    return shrink_until_possible(spec, SHRINKING, given, cost)
