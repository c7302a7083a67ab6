"""What nobody has set about an image network: its architecture, and sizes for small images.

Decided on train and val alone.
"""

import math
import time
from collections.abc import Collection

import keras
import numpy as np

from pipelines.config.search_space import replace
from pipelines.config.smaller_defaults import shrink_until_possible
from pipelines.errors import count_of
from pipelines.evaluation.likelihood import is_clearly_lower
from pipelines.io.progress import working
from pipelines.pretrained import weights
from pipelines.runtime import idle_clock
from pipelines.vision import augmentation, model
from pipelines.vision.architectures import architecture_of
from pipelines.vision.baselines import is_affordable
from pipelines.vision.batches import batches
from pipelines.vision.data import VisionSplits
from pipelines.vision.references import BackboneReference
from pipelines.vision.spec import ARCHITECTURES, TRANSFER, VisionSpec

# What takes away from an image's extent, in the order in which it is made smaller.
SHRINKING = ("conv.blocks", "conv.pool_size", "conv.stride", "conv.dilation", "conv.kernel_size")
# Of a network over a backbone, where nobody has said otherwise: a head learns in few epochs.
TUNED = {"train.epochs": 8, "train.batch_size": 32, "train.learning_rate": 1e-3}
FROZEN = {"train.epochs": 30, "train.learning_rate": 1e-3}
# Training images: tuned by 276 photos, in 72 steps, a network named .678 of others rightly, the
# regression on frozen features .793.
FEWEST_TUNED = 1_000
LAYERS_KEY = "transfer.layers"
# Of the network of its own with which a backbone is compared, at most; the seconds are rough.
TRIAL_EPOCHS = 40
FEWEST_EPOCHS = 3
TRIAL_SECONDS = 60.0
OF_BACKBONES = "transfer."
OF_OTHERS = ("conv.", "head.units", "head.pooling", "head.activation")


def fit_defaults(
    spec: VisionSpec,
    splits: VisionSplits,
    given: Collection[str],
    regressions: BackboneReference,
    notes: list[str],
) -> VisionSpec:
    """Return `spec` with a named architecture, and with the settings that suit it.

    Hyperparameters in `given` were set by a person and stay as they are.
    """
    # A search through architectures has decided already.
    if not ARCHITECTURES.is_decided(spec.architecture) and "architecture" not in given:
        chosen = _choose_architecture(spec, splits, given, regressions, notes)
        spec = replace(spec, {"architecture": chosen})
    if architecture_of(spec).weights_key:
        count = splits.sizes()["train"]
        if count < FEWEST_TUNED and LAYERS_KEY not in given:
            spec = replace(spec, {LAYERS_KEY: 0})
            notes.append(
                f"{LAYERS_KEY}=0: the backbone stays as it is, {count_of(count, 'image')} are few "
                "to tune it by"
            )
        usual = TUNED if spec.transfer.layers else FROZEN
        return replace(spec, {key: value for key, value in usual.items() if key not in given})
    return _small_enough(spec, splits, given)


def _small_enough(spec: VisionSpec, splits: VisionSplits, given: Collection[str]) -> VisionSpec:
    def cost(candidate: VisionSpec) -> object:
        return architecture_of(candidate).cost(candidate, splits.shape, len(splits.classes))

    return shrink_until_possible(spec, SHRINKING, given, cost)


def _choose_architecture(
    spec: VisionSpec,
    splits: VisionSplits,
    given: Collection[str],
    regressions: BackboneReference,
    notes: list[str],
) -> str:
    usual = ARCHITECTURES.usual
    if any(key.startswith(OF_BACKBONES) for key in given):
        return TRANSFER
    if any(key.startswith(OF_OTHERS) for key in given) or not is_affordable(splits):
        return usual
    name = spec.transfer.backbone
    if weights.is_here(name):
        return _better_on_val(spec, splits, given, regressions, notes)
    notes.append(f"architecture={usual}: {weights.worth_fetching(name, 'photos')}")
    return usual


def _better_on_val(
    spec: VisionSpec,
    splits: VisionSplits,
    given: Collection[str],
    regressions: BackboneReference,
    notes: list[str],
) -> str:
    """Return what is better on val: a regression on a backbone's features, or the usual network.

    Both are compared by their errors: the losses of a network that was fitted to smoothed labels
    are those of no probabilities.
    """
    usual = ARCHITECTURES.usual
    began = time.perf_counter()
    of_backbone = _errors(regressions.model(splits, spec.transfer).logits["val"], splits)
    between = time.perf_counter()
    own = _small_enough(replace(spec, {"architecture": usual}), splits, given)
    with working(f"{usual}, fitted to compare it"):
        logits, epochs = _trial_fit(own, splits)
    of_own = _errors(logits, splits)
    told = (
        f"logistic regression on features of {spec.transfer.backbone} has an accuracy of "
        f"{1 - of_backbone.mean():.3f} on validation ({between - began:.0f} s), {usual} after "
        f"{epochs} epochs {1 - of_own.mean():.3f} ({time.perf_counter() - between:.0f} s)"
    )
    if is_clearly_lower(of_backbone, of_own):
        notes.append(f"architecture={TRANSFER}: {told}")
        return TRANSFER
    notes.append(f"architecture={usual}: {told}")
    return usual


def _errors(logits: np.ndarray, splits: VisionSplits) -> np.ndarray:
    """Return 1 for each image of val `(n,)` that `logits` `(n, classes)` name wrongly, else 0."""
    return np.asarray(logits.argmax(axis=1) != splits.val.y, dtype=np.float64)


def _trial_fit(spec: VisionSpec, splits: VisionSplits) -> tuple[np.ndarray, int]:
    """Return the logits `(n, classes)` of val by a network after some epochs, and how many.

    The second epoch, the first one without tracing, tells how many the time allows; the learning
    rate falls to 0 over them.
    """
    keras.utils.set_random_seed(splits.seed)
    network = model.build(spec, splits, tta=False)
    trained = augmentation.add_augmentation(network, spec.augment, splits, splits.seed)
    train = batches(splits, "train", spec.train.batch_size, shuffle_seed=splits.seed)
    trained.compile(optimizer="adamw", **model.compile_arguments(spec, len(splits.classes)))
    epochs = TRIAL_EPOCHS
    epoch = 0
    while epoch < epochs:
        share = (1 + math.cos(math.pi * epoch / epochs)) / 2
        trained.optimizer.learning_rate = spec.train.learning_rate * share
        began = idle_clock()
        trained.fit(train, epochs=1, verbose=0)
        if epoch == 1:
            affordable = int(TRIAL_SECONDS / (idle_clock() - began))
            epochs = min(TRIAL_EPOCHS, max(FEWEST_EPOCHS, affordable))
        epoch += 1
    val = batches(splits, "val", spec.train.batch_size, shuffle_seed=None)
    return np.asarray(network.predict(val, verbose=0)), epoch
