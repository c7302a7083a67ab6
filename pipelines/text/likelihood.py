"""Logits as probabilities, and how likely they make the classes."""

import numpy as np

# Of a class: a certain but wrong prediction would have an infinite loss.
SMALLEST_PROBABILITY = 1e-12


def probabilities(logits: np.ndarray, *, exclusive: bool) -> np.ndarray:
    """Return probabilities `(n, classes)`: they sum to 1 where classes exclude each other."""
    from scipy.special import expit, softmax

    wide = logits.astype(np.float64)
    if exclusive:
        return np.asarray(softmax(wide, axis=1))
    return np.asarray(expit(wide))


def log_loss(logits: np.ndarray, one_hot: np.ndarray, *, exclusive: bool) -> float:
    """Return the mean negative logarithm of the probability of each text's classes.

    Args:
        logits: `(n, classes)`.
        one_hot: `(n, classes)`, 1 where a text has the class.
        exclusive: each text has one class; else the loss of a text is the sum over all classes.
    """
    smallest, largest = SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY
    clipped = np.clip(probabilities(logits, exclusive=exclusive), smallest, largest)
    likelihood = one_hot * np.log(clipped)
    if not exclusive:
        likelihood = likelihood + (1 - one_hot) * np.log(1 - clipped)
    return float(-likelihood.sum(axis=1).mean())
