"""The weights of several scorers, fitted by likelihood.

The model is a conditional logit over their scores (McFadden 1974). A weight that is chosen by a
ranking metric on a grid follows chance in the few cases that enter a list of ten; likelihood uses
all of them. On halves of val's users never fitted to, weights by likelihood gave NDCG@10 .1053 and
.0624 where the best single scorer had .0947 and .0587 (MovieLens, LastFM).
"""

import numpy as np

# Standard deviation of the prior of a weight: it limits what a handful of cases can decide.
PRIOR = 1.0
SMALLEST_SHARE = 0.03  # of all weights: a scorer that counts less is left out
# Of a case's largest score: below, scores count as they are, above by their logarithm.
LINEAR_BELOW = 0.01


def compress(scores: np.ndarray) -> np.ndarray:
    """Return raw scores (cases, items + 1) of an item model on the scale of logits.

    Raw scores fall off by orders of magnitude.
    """
    largest = np.abs(scores).max(axis=1, keepdims=True)
    return np.arcsinh(scores / (LINEAR_BELOW * np.where(largest > 0, largest, 1)))


def standardize(scores: np.ndarray, known: np.ndarray | None = None) -> np.ndarray:
    """Return scores (cases, items + 1) with mean 0 and deviation 1 over the items of each case.

    Over those in `known` (items + 1,) bool where it is given; the others count as average ones.
    """
    of_items = scores[:, 1:] if known is None else scores[:, known]
    spread = of_items.std(axis=1, keepdims=True)
    centred = scores - of_items.mean(axis=1, keepdims=True)
    standardized = np.asarray(centred / np.where(spread > 0, spread, 1))
    if known is not None:
        standardized[:, ~known] = 0
    return standardized


def weighted_sum(scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the sum of scores (cases, items + 1, scorers) by their weights (scorers,)."""
    # BLAS reads numbers behind the end of small arrays, which it does not use, and then says that
    # one was invalid: seen once in some dozen runs of the same arithmetic. NaN stays NaN.
    with np.errstate(invalid="ignore"):
        return np.asarray(scores @ weights.astype(np.float32))


def fit_weights(scores: np.ndarray, target: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return the weight (scorers,) of each scorer that makes the targets most likely.

    The targets compete with the items not seen; no weight is below 0.

    Args:
        scores: standardised, (cases, items + 1, scorers).
        target: (cases,) numbers of items, all above 0.
        seen: (cases, items + 1), true for items that are not recommended, and for number 0.
    """
    from scipy.optimize import minimize

    kept = np.arange(scores.shape[2])
    while True:
        result = minimize(
            _loss,
            np.full(len(kept), 1 / len(kept)),
            args=(np.ascontiguousarray(scores[:, :, kept]), target, seen),
            jac=True,
            method="L-BFGS-B",
            bounds=[(0, None)] * len(kept),
        )
        weights = result.x
        is_large_enough = weights >= SMALLEST_SHARE * weights.sum()
        if is_large_enough.all():
            return np.asarray(np.bincount(kept, weights, minlength=scores.shape[2]))
        kept = kept[is_large_enough]


def _loss(
    weights: np.ndarray, scores: np.ndarray, target: np.ndarray, seen: np.ndarray
) -> tuple[float, np.ndarray]:
    """Return the mean negative logarithm of the posterior, and its gradient (scorers,).

    The first is up to a constant.
    """
    cases = np.arange(len(target))
    logits = weighted_sum(scores, weights)
    logits[seen] = -np.inf
    target_logits, target_scores = logits[cases, target], scores[cases, target]
    largest = logits.max(axis=1, keepdims=True)
    probabilities = np.exp(logits - largest)
    total = probabilities.sum(axis=1, keepdims=True)
    probabilities /= total
    with np.errstate(invalid="ignore"):  # see `weighted_sum`
        expected_scores = np.matmul(probabilities[:, None, :], scores)[:, 0]
    prior = weights / (PRIOR**2 * len(target))
    losses = largest[:, 0] + np.log(total[:, 0]) - target_logits
    value = losses.mean(dtype=np.float64) + prior @ weights / 2
    gradient = (expected_scores - target_scores).mean(axis=0, dtype=np.float64) + prior
    return float(value), gradient
