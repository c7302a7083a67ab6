"""Logistic regression over the features of a frozen network: a baseline, fitted in seconds."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pipelines.evaluation.likelihood import log_loss, probabilities
from pipelines.splits import Part
from pipelines.timing import Spent, Stopwatch

C_VALUES = (1.0, 4.0, 16.0, 64.0)  # the inverse of the L2 penalty, for vectors of length 1
MOST_ITERATIONS = 200


@dataclass(frozen=True, kw_only=True)
class FeatureRegression:
    """A fitted model.

    `logits` `(n, classes)` of val come from a model of train, those of test from one of
    train and val together. `kernel` `(width, classes)` and `bias` `(classes,)` are of train
    alone; `spent` is what the fits took, and the vectors where they were not kept before.
    """

    logits: Mapping[Part, np.ndarray]
    c: float
    kernel: np.ndarray
    bias: np.ndarray
    spent: Spent


def fit_regression(
    vectors: Mapping[Part, np.ndarray],
    one_hot: Mapping[Part, np.ndarray],
    *,
    exclusive: bool,
    watch: Stopwatch,
) -> FeatureRegression:
    """Fit to train, choose the penalty on val.

    Args:
        vectors: `(n, width)` for each part, of the length root of `width`.
        one_hot: `(n, classes)`, 1 where an example has the class.
        exclusive: each example has one class; else any number.
        watch: has run since the vectors were asked for.
    """
    best: tuple[float, float, np.ndarray] | None = None
    weights = np.zeros((vectors["train"].shape[1] + 1, one_hot["train"].shape[1]))
    for c in C_VALUES:
        # From the last one: half of the iterations.
        weights = _fit(vectors["train"], one_hot["train"], c, weights, exclusive=exclusive)
        loss = log_loss(_logits(vectors["val"], weights), one_hot["val"], exclusive=exclusive)
        if best is not None and loss >= best[0]:
            break  # with a smaller penalty still it fits val worse and takes longest
        best = (loss, c, weights)
    assert best is not None
    _, c, weights = best
    both = np.concatenate([vectors["train"], vectors["val"]])
    labels = np.concatenate([one_hot["train"], one_hot["val"]])
    final = _fit(both, labels, c, weights, exclusive=exclusive)
    return FeatureRegression(
        logits={
            "val": _logits(vectors["val"], weights),
            "test": _logits(vectors["test"], final),
        },
        c=c,
        kernel=weights[:-1].astype(np.float32),
        bias=weights[-1].astype(np.float32),
        spent=watch.spent(),
    )


def _logits(vectors: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return np.asarray(vectors @ weights[:-1] + weights[-1], dtype=np.float32)


def _fit(
    vectors: np.ndarray, one_hot: np.ndarray, c: float, start: np.ndarray, *, exclusive: bool
) -> np.ndarray:
    """Return the weights `(width + 1, classes)` of least penalised loss; the last row is the bias.

    scikit-learn fits all classes together only where they exclude each other, and one after the
    other in all other cases: here both are the same few lines.
    """
    from scipy.optimize import minimize
    from threadpoolctl import threadpool_limits

    inputs = vectors.astype(np.float64)
    width = inputs.shape[1]
    # The penalty is meant for vectors of length 1; these have the length root of `width`.
    penalty = width / (c * len(inputs))

    def loss_and_gradient(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.reshape(start.shape)
        logits = inputs @ weights[:-1] + weights[-1]
        error = (probabilities(logits, exclusive=exclusive) - one_hot) / len(inputs)
        gradient = np.vstack([inputs.T @ error + penalty * weights[:-1], error.sum(axis=0)])
        loss = log_loss(logits, one_hot, exclusive=exclusive)
        loss += penalty * float((weights[:-1] ** 2).sum()) / 2
        return loss, gradient.ravel()

    # Beside other work, threads of small products wait for each other: ten times as long.
    with threadpool_limits(1, user_api="blas"):
        fitted = minimize(
            loss_and_gradient,
            start.ravel(),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": MOST_ITERATIONS},
        )
    return np.asarray(fitted.x).reshape(start.shape)
