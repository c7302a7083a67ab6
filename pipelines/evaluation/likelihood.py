"""Logits as probabilities, and how likely they make the classes."""

import numpy as np

# Of a class: a certain but wrong prediction would have an infinite loss.
SMALLEST_PROBABILITY = 1e-12
# Standard deviation of the prior of a blend weight, around 1: without it, a few texts that are all
# predicted rightly make it infinite.
PRIOR_SPREAD = 1.0
FEWEST_COMPARED = 2  # examples, whose losses have a standard error


def probabilities(logits: np.ndarray, *, exclusive: bool) -> np.ndarray:
    """Return probabilities `(n, classes)`: they sum to 1 where classes exclude each other."""
    from scipy.special import expit, softmax

    wide = logits.astype(np.float64)
    if exclusive:
        return np.asarray(softmax(wide, axis=1))
    return np.asarray(expit(wide))


def log_loss(logits: np.ndarray, one_hot: np.ndarray, *, exclusive: bool) -> float:
    """Return the mean of `example_losses`."""
    return float(example_losses(logits, one_hot, exclusive=exclusive).mean())


def example_losses(logits: np.ndarray, one_hot: np.ndarray, *, exclusive: bool) -> np.ndarray:
    """Return the negative logarithm of the probability of the classes of each example, `(n,)`.

    Args:
        logits: `(n, classes)`.
        one_hot: `(n, classes)`, 1 where an example has the class.
        exclusive: each example has one class; else its loss is the sum over all classes.
    """
    smallest, largest = SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY
    clipped = np.clip(probabilities(logits, exclusive=exclusive), smallest, largest)
    likelihood = one_hot * np.log(clipped)
    if not exclusive:
        likelihood = likelihood + (1 - one_hot) * np.log(1 - clipped)
    return np.asarray(-likelihood.sum(axis=1))


def is_clearly_lower(losses: np.ndarray, than: np.ndarray) -> bool:
    """Whether `losses` `(n,)` of some examples are lower by more than a standard error.

    `than` `(n,)` are other losses of the same examples.
    """
    gain = than - losses
    if len(gain) < FEWEST_COMPARED:
        return False
    error = float(gain.std(ddof=1) / np.sqrt(len(gain)))
    return bool(gain.mean() > error)


def blend_logits(logits: np.ndarray, one_hot: np.ndarray, *, exclusive: bool) -> np.ndarray:
    """Return the weights `(models,)`, none below 0, with which blended logits are likeliest.

    Args:
        logits: `(n, classes, models)` of each model.
        one_hot: `(n, classes)`, 1 where an example has the class.
        exclusive: each example has one class; else any number.
    """
    from scipy.optimize import minimize

    wide = logits.astype(np.float64)
    count, num_models = len(one_hot), logits.shape[-1]

    def loss_and_gradient(weights: np.ndarray) -> tuple[float, np.ndarray]:
        """The negative logarithm of the posterior over texts, up to a constant."""
        blended = wide @ weights
        error = probabilities(blended, exclusive=exclusive) - one_hot
        prior_gradient = (weights - 1) / (PRIOR_SPREAD**2 * count)
        prior = prior_gradient @ (weights - 1) / 2
        loss = log_loss(blended, one_hot, exclusive=exclusive) + prior
        return loss, np.einsum("nc,ncs->s", error, wide) / count + prior_gradient

    fitted = minimize(
        loss_and_gradient,
        np.ones(num_models),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0, None)] * num_models,
    )
    return np.asarray(fitted.x)
