"""Predictions of a network together with item models: a weighted sum of their scores.

The scores are brought to the same units first. The weights are fitted once on val (`calibrate`) and
travel in the network's layer `StackingWeights`: val, test and a saved model use the same ones.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import keras
import numpy as np

from pipelines.blend import NETWORK, Blend
from pipelines.evaluation.splitting import sample_indices
from pipelines.networks.models import predict_in_batches
from pipelines.recommend import baselines, ranking, stacking
from pipelines.recommend.batches import network_inputs
from pipelines.recommend.data import RecommendSplits
from pipelines.recommend.item_models import ItemModel, Ranker, scores_of
from pipelines.recommend.layers import StackingWeights
from pipelines.recommend.ranking import FLOAT_BYTES, Scorer
from pipelines.splits import Part

SCORED_AT_ONCE = 512  # cases, each with the scores of all items
RATED_AT_ONCE = 4096


def stacking_weights(network: keras.Model) -> StackingWeights:
    """Return the weights of a network; one that starts from nothing counts alone."""
    for layer in network.layers:
        if isinstance(layer, StackingWeights):
            return layer
    return StackingWeights()


def names_and_length(network: keras.Model) -> tuple[set[str], int]:
    """Return which inputs a network has, and how many items of history it sees."""
    names = set()
    length = 1
    for tensor in network.inputs:
        names.add(tensor.name)
        if tensor.name == "history":
            length = tensor.shape[1]
    return names, length


def network_scores(network: keras.Model, splits: RecommendSplits, part: Part) -> Scorer:
    """Return what gives the network's scores (cases, items + 1) of some cases of `part`."""
    names, length = names_and_length(network)
    inputs = network_inputs(names, splits, part, length)

    def scores(rows: slice) -> np.ndarray:
        chosen = {name: values[rows] for name, values in inputs.items()}
        return predict_in_batches(network, chosen, SCORED_AT_ONCE)

    return scores


# ----------------------------------------------------------------------------------------- predict


def predict(network: keras.Model, splits: RecommendSplits, part: Part) -> np.ndarray:
    """Return the predictions of network and item models for `part`.

    They have the form that `ranking` describes.
    """
    if splits.task == "rate":
        return _ratings(network, splits, part)
    return ranking.rank_items(blended_scores(network, splits, part), splits, part)


def blended_scores(network: keras.Model, splits: RecommendSplits, part: Part) -> Scorer:
    """Return what gives the scores (cases, items + 1) of network and item models together."""
    scores, weights = network_scores(network, splits, part), stacking_weights(network)
    item_models = item_models_of(weights, splits, part)
    if not item_models:
        return scores
    known = _known_items(item_models.values(), splits, part)

    def blended(rows: slice) -> np.ndarray:
        total = weights.network * stacking.standardize(scores(rows), known)
        for name, item_model in item_models.items():
            of_model = _standardized(item_model, splits, part, rows, known)
            total += weights.item_models[name]["weight"] * of_model
        return np.asarray(total)

    return blended


def _known_items(
    item_models: Iterable[ItemModel], splits: RecommendSplits, part: Part
) -> np.ndarray | None:
    """Return which items somebody has had, (items + 1,) bool, where a model ranks others too."""
    if not any(item_model.by_content for item_model in item_models):
        return None
    return splits.known_items(part)


def _standardized(
    item_model: ItemModel,
    splits: RecommendSplits,
    part: Part,
    rows: slice,
    known: np.ndarray | None,
) -> np.ndarray:
    """Return the scores (cases, items + 1) of an item model as they are summed with others."""
    compressed = stacking.compress(scores_of(item_model, splits, part, rows))
    return stacking.standardize(compressed, None if item_model.by_content else known)


def predict_alone(network: keras.Model, splits: RecommendSplits, part: Part) -> np.ndarray:
    """Return what `predict` does, by the network's own scores."""
    if splits.task == "rate":
        return _ratings(network, splits, part)
    return ranking.rank_items(network_scores(network, splits, part), splits, part)


def _ratings(network: keras.Model, splits: RecommendSplits, part: Part) -> np.ndarray:
    """Return ratings (cases, 1), within the range of those that may be known."""
    names, length = names_and_length(network)
    inputs = network_inputs(names, splits, part, length)
    known_ratings = splits.rating[splits.known_mask("val")]
    ratings = predict_in_batches(network, inputs, RATED_AT_ONCE)
    return np.asarray(np.clip(ratings, known_ratings.min(), known_ratings.max()))


def item_models_of(
    weights: StackingWeights, splits: RecommendSplits, part: Part
) -> dict[str, ItemModel]:
    """Return the item models of a blend, fitted to what may be known when `part` is predicted."""
    item_models = {}
    for name, entry in weights.item_models.items():
        settings = baselines.settings_from_dict(entry["settings"])
        item_models[name] = baselines.item_model(settings, splits, part)
    return item_models


# --------------------------------------------------------------------------------------- calibrate


def calibrate(
    network: keras.Model, splits: RecommendSplits, like: keras.Model | None = None
) -> None:
    """Fit on val how much the network and each item model count, or take the weights of `like`."""
    weights = stacking_weights(network)
    if weights not in network.layers:
        return
    if like is not None:
        weights.assign(**stacking_weights(like).chosen())
        return
    candidates = baselines.stacking_candidates(splits)
    rows = _calibration_rows(splits, num_scorers=1 + len(candidates))
    if len(rows):
        weights.assign(**_fit_weights(network, candidates, splits, rows))
    else:
        weights.assign(**StackingWeights().chosen())


def _calibration_rows(splits: RecommendSplits, num_scorers: int) -> np.ndarray:
    """Return the cases of the validation sample on which weights are fitted.

    There are as many as fit in memory with the scores of all scorers. Cases whose target train does
    not hold are left out, as they say nothing about weights.
    """
    known_targets = np.flatnonzero(splits.validation_sample().cases("val").target > 0)
    bytes_per_case = FLOAT_BYTES * num_scorers * (splits.num_items + 1)
    most = max(1, ranking.MAX_SCORE_BYTES // bytes_per_case)
    chosen = sample_indices(len(known_targets), most, splits.seed)
    return np.asarray(known_targets[chosen])


def _fit_weights(
    network: keras.Model,
    candidates: Mapping[str, Ranker],
    splits: RecommendSplits,
    rows: np.ndarray,
) -> dict[str, Any]:
    """Return the weights as `StackingWeights` keeps them: the most likely ones on val.

    They come with what the item models are worth without the network.
    """
    sample = splits.validation_sample()
    is_chosen = np.isin(np.arange(len(sample.cases("val"))), rows)
    sample = sample.only("val", is_chosen)
    target, everything = sample.cases("val").target, slice(0, len(rows))
    # Fitted to `splits`, which keep what is fitted; the sample is not used again.
    fitted = [baselines.item_model(settings, splits, "val") for settings in candidates.values()]
    known = _known_items(fitted, splits, "val")
    of_network = network_scores(network, sample, "val")(everything)
    scores = [stacking.standardize(of_network, known)]
    for item_model in fitted:
        scores.append(_standardized(item_model, sample, "val", everything, known))
    stacked = np.stack(scores, axis=-1)
    seen = sample.seen("val").toarray() > 0
    seen[:, 0] = True
    seen[np.arange(len(rows)), target] = False

    def ndcg_10(weights: np.ndarray) -> float:
        blended = stacking.weighted_sum(stacked, weights)
        ranks = ranking.target_ranks(blended, sample, "val", everything)
        return float(ranking.discounted_gain(ranks, 10).mean())

    weights = stacking.fit_weights(stacked, target, seen)
    without = np.concatenate([[0], stacking.fit_weights(stacked[:, :, 1:], target, seen)])
    item_models = {}
    for (name, settings), weight in zip(candidates.items(), weights[1:], strict=True):
        if weight:
            entry = {"settings": baselines.settings_as_dict(settings), "weight": float(weight)}
            item_models[name] = entry
    return {
        "network": float(weights[0]),
        "item_models": item_models,
        "evidence": f"validation ndcg_10 {ndcg_10(weights):.4f}, "
        f"without the network {ndcg_10(without):.4f}",
    }


def parts(weights: StackingWeights) -> Blend:
    """Return by what weights the scores of item models and network are summed."""
    by_name = {name: float(entry["weight"]) for name, entry in weights.item_models.items()}
    return Blend(weights={**by_name, NETWORK: weights.network if by_name else 1.0})


def describe_blend(weights: StackingWeights) -> str:
    """Return in a sentence what scores are made of."""
    blended = parts(weights)
    if blended.is_network_alone and not weights.evidence:
        return "scores are the network's alone"
    sentence = f"score = {blended.describe()} (weights fitted on validation): {weights.evidence}"
    if blended.adds_nothing:
        sentence += ". The network's weight is 0: it did not improve the blend on validation"
    return sentence
