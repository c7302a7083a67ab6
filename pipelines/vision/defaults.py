"""Hyperparameters that nobody set, made small enough for small images."""

from collections.abc import Collection

from pipelines.config.search_space import flatten, replace
from pipelines.errors import ImpossibleSpec
from pipelines.vision.architectures import architecture_of
from pipelines.vision.data import VisionSplits
from pipelines.vision.spec import VisionSpec

# What takes away from an image's extent, in the order in which it is made smaller.
SHRINKING = ("conv.blocks", "conv.pool_size", "conv.stride", "conv.dilation", "conv.kernel_size")


def fit_defaults(spec: VisionSpec, splits: VisionSplits, given: Collection[str]) -> VisionSpec:
    """Return `spec` with the hyperparameters outside `given` made as small as the images need."""
    fitting = spec
    for key in SHRINKING:
        while not _is_possible(fitting, splits):
            value = int(flatten(fitting)[key])
            if key in given or value == 1:
                break
            fitting = replace(fitting, {key: value - 1})
    if _is_possible(fitting, splits):
        return fitting
    return spec  # what a person has set is impossible: nothing else is changed


def _is_possible(spec: VisionSpec, splits: VisionSplits) -> bool:
    try:
        architecture_of(spec).cost(spec, splits.shape, len(splits.classes))
    except ImpossibleSpec:
        return False
    return True
