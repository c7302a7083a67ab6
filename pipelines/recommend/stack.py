"""How much each of several scorers counts: a conditional logit over what they say (McFadden 1974), fitted by likelihood.

A weight that is chosen by a ranking metric on a grid follows chance in the few cases that enter a list of ten; likelihood
hears all of them. On halves of val's users never fitted to, weights by likelihood gave NDCG@10 .1053 and .0624 where the best
single scorer had .0947 and .0587 (MovieLens, LastFM).
"""

import numpy as np

PRIOR = 1.0  # deviation of a weight before anything is seen: what keeps a handful of cases from saying too much
LEAST = 0.03  # of all weights: a scorer that counts less is left out
FLOOR = 0.01  # of a case's largest score: below, scores count as they are, above by their logarithm


def compressed(scores: np.ndarray) -> np.ndarray:
    """Return raw scores (cases, items + 1) of a closed form on the scale of logits: they fall off by orders of magnitude."""
    largest = np.abs(scores).max(axis=1, keepdims=True)
    return np.arcsinh(scores / (FLOOR * np.where(largest > 0, largest, 1)))


def standard(scores: np.ndarray) -> np.ndarray:
    """Return scores (cases, items + 1) with mean 0 and deviation 1 over the items of each case."""
    own = scores[:, 1:]
    spread = own.std(axis=1, keepdims=True)
    return np.asarray((scores - own.mean(axis=1, keepdims=True)) / np.where(spread > 0, spread, 1))


def weights(scores: np.ndarray, target: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return the weight (scorers,) of each scorer, none below 0, that makes the targets likeliest among the items not seen.

    Args:
        scores: standardised, (cases, items + 1, scorers).
        target: (cases,) numbers of items, all above 0.
        seen: (cases, items + 1), true for items that are not recommended, and for number 0.
    """
    from scipy.optimize import minimize

    kept = np.arange(scores.shape[2])
    while True:
        chosen = np.ascontiguousarray(scores[:, :, kept])
        start = np.full(len(kept), 1 / len(kept))
        found = minimize(
            _loss,
            start,
            args=(chosen, target, seen),
            jac=True,
            method="L-BFGS-B",
            bounds=[(0, None)] * len(kept),
        ).x
        enough = found >= LEAST * found.sum()
        if enough.all():
            return np.asarray(np.bincount(kept, found, minlength=scores.shape[2]))
        kept = kept[enough]


def _loss(
    weights: np.ndarray, scores: np.ndarray, target: np.ndarray, seen: np.ndarray
) -> tuple[float, np.ndarray]:
    """Return the mean negative logarithm of the posterior (up to a constant) and its gradient (scorers,)."""
    cases = np.arange(len(target))
    logits = scores @ weights.astype(np.float32)
    logits[seen] = -np.inf
    own, own_scores = logits[cases, target], scores[cases, target]
    largest = logits.max(axis=1, keepdims=True)
    likely = np.exp(logits - largest)
    total = likely.sum(axis=1, keepdims=True)
    likely /= total
    expected = np.matmul(likely[:, None, :], scores)[:, 0]
    prior = weights / (PRIOR**2 * len(target))
    value = (largest[:, 0] + np.log(total[:, 0]) - own).mean(dtype=np.float64) + prior @ weights / 2
    return float(value), (expected - own_scores).mean(axis=0, dtype=np.float64) + prior
