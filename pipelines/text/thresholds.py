"""From which probability on a text has a class, where it may have several.

At one half rare classes are hardly ever answered. A threshold for each class is chosen on val, for
its F1; one half stays where another would only fit the noise of val. Predictions that are scored
carry their thresholds: `(n, 2, classes)`, probabilities above thresholds.
"""

import numpy as np

HALF = 0.5
CANDIDATES = np.arange(0.05, 0.96, 0.05)
FOLDS = 5
FEWEST = 5  # texts of val with a class; those of fewer share a threshold


def choose_thresholds(probabilities: np.ndarray, one_hot: np.ndarray) -> np.ndarray:
    """Return a threshold for each class `(classes,)`, from probabilities and labels of val.

    Both are `(n, classes)`. A threshold other than one half is kept where those that were chosen on
    four fifths of val gave a better F1 on the last fifth, all fifths together. Classes too rare to
    tell share one, chosen on all of their decisions together.
    """
    thresholds = np.full(one_hot.shape[1], HALF)
    truth = one_hot > 0
    rare = truth.sum(axis=0) < FEWEST
    for number in np.flatnonzero(~rare):
        thresholds[number] = _choose(probabilities[:, number], truth[:, number])
    if truth[:, rare].sum() >= FEWEST:
        thresholds[rare] = _choose(probabilities[:, rare].ravel(), truth[:, rare].ravel())
    return thresholds


def _choose(probability: np.ndarray, truth: np.ndarray) -> float:
    # Stratified: each fold holds its share of the texts with the class.
    fold = np.empty(len(truth), dtype=int)
    for rows in (np.flatnonzero(truth), np.flatnonzero(~truth)):
        fold[rows] = np.arange(len(rows)) % FOLDS
    answers = np.zeros(len(truth), dtype=bool)
    for number in range(FOLDS):
        held_out = fold == number
        threshold = _best(probability[~held_out], truth[~held_out])
        answers[held_out] = probability[held_out] > threshold
    if _f1(answers, truth) <= _f1(probability > HALF, truth):
        return HALF
    return _best(probability, truth)


def _best(probability: np.ndarray, truth: np.ndarray) -> float:
    """Return the candidate of the best F1; of equals the one nearest to one half."""
    scores = [_f1(probability > candidate, truth) for candidate in CANDIDATES]
    best = np.flatnonzero(np.isclose(scores, max(scores)))
    nearest = best[np.argmin(np.abs(CANDIDATES[best] - HALF))]
    return float(CANDIDATES[nearest].round(2))


def _f1(answers: np.ndarray, truth: np.ndarray) -> float:
    total = answers.sum() + truth.sum()
    return float(2 * (answers & truth).sum() / total) if total else 0.0


def with_thresholds(probabilities: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Return predictions `(n, 2, classes)`: probabilities `(n, classes)` and their thresholds."""
    return np.stack([probabilities, np.broadcast_to(thresholds, probabilities.shape)], axis=1)


def probabilities_of(predictions: np.ndarray) -> np.ndarray:
    """Return the probabilities `(n, classes)` of predictions with thresholds or without."""
    if predictions.ndim < 3:
        return predictions
    return np.asarray(predictions[:, 0])


def rescaled(predictions: np.ndarray) -> np.ndarray:
    """Return `(n, classes)` above one half where a probability is above its threshold.

    Their order in each class stays. Without thresholds predictions stay as they are.
    """
    if predictions.ndim < 3:
        return predictions
    probabilities, thresholds = predictions[:, 0], predictions[:, 1]
    below = HALF * probabilities / thresholds
    above = HALF + HALF * (probabilities - thresholds) / (1 - thresholds)
    return np.asarray(np.where(probabilities > thresholds, above, below))
