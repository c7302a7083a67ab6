"""The closed form of text classification: TF-IDF features and one logistic regression for each class.

What a feature tells of the class by itself, its log-count ratio, may decide how little its weight is penalised (S. Wang and
C. Manning, "Baselines and Bigrams", ACL 2012).
"""

import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product, starmap
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.splits import PARTS, Part
from pipelines.text.tokens import TfidfLogits, Unit, features, in_batches

if TYPE_CHECKING:
    from scipy.sparse import csr_array

MOST_FEATURES = 100_000  # those in most training texts
MOST_SPELLED = 5_000_000  # characters of train up to which runs of characters are tried too
STRENGTHS = (2.0, 8.0, 32.0)  # C: the inverse of the penalty
# How much the log-count ratio says, 1 being everything. In five-fold cross-validation a half lowered the log loss of reviews, sst2,
# trec and small parts of them by 2 to 8 per cent, .3 and .7 by less; that of clinc150, 150 classes, it raised by 14.
TELLING = (0.0, 0.5)
FOLDS = 5
# Texts by classes above which fewer candidates are tried: a fit of 15,000 texts in 150 classes takes 15 s.
MANY_ANSWERS = 300_000


@dataclass(frozen=True, kw_only=True)
class Closed:
    """A fitted closed form.

    `logits` `(n, classes)` of val come from the model of all training texts, those of test from one of train and val
    together, which is the one that is served. Those of train are held out: each text's come from a model that has not
    seen it, so that a network may learn on them what is still missing (stacked generalisation, Wolpert 1992). `seconds` is
    what all of it took.
    """

    logits: Mapping[Part, np.ndarray]
    setting: str
    unit: Unit
    lower: bool
    spelling: bool
    keys: np.ndarray
    idf: np.ndarray
    kernel: np.ndarray
    bias: np.ndarray
    seconds: float

    def layer(self) -> TfidfLogits:
        """Return the layer that gives the same logits for raw texts."""
        layer = TfidfLogits(
            len(self.kernel), len(self.bias), self.unit, self.lower, self.spelling, name="tfidf"
        )
        layer.set_weights([self.keys, self.idf, self.kernel, self.bias])
        return layer


def fit(
    texts: Mapping[Part, np.ndarray],
    hot: Mapping[Part, np.ndarray],
    *,
    exclusive: bool,
    unit: Unit,
    lower: bool,
    seed: int,
) -> Closed:
    """Fit to train, choose features and penalty on val.

    Args:
        texts: `(n,)` strings for each part.
        hot: `(n, classes)`, 1 where a text has the class.
        exclusive: each text has one class; else any number.
        unit: what a token is.
        lower: whether case is ignored.
        seed: of the folds.
    """
    from scipy.sparse import vstack

    began = time.perf_counter()
    many = hot["train"].size > MANY_ANSWERS
    spellings = (
        (False, True) if sum(map(len, texts["train"])) <= MOST_SPELLED and not many else (False,)
    )
    found = {spelling: Features.fit(texts, unit, lower, spelling) for spelling in spellings}
    tried = []
    for setting in starmap(
        _Setting,
        product(spellings, STRENGTHS[1:] if many else STRENGTHS, TELLING[:1] if many else TELLING),
    ):
        rows = found[setting.spelling].rows
        linear = _Linear.fit(rows["train"], hot["train"], setting)
        tried.append(
            (log_loss(linear(rows["val"]), hot["val"], exclusive=exclusive), setting, linear)
        )
    # Not by accuracy, which tells less: on halves of val that had no say, the likeliest was right for .874 of trec, the one that
    # was right most often for .864; on reviews, sst2 and sms_spam the difference was below .003.
    _, setting, linear = min(tried, key=lambda one: one[0])
    chosen = found[setting.spelling]
    logits: dict[Part, np.ndarray] = {"val": linear(chosen.rows["val"])}
    logits["train"] = _held_out(chosen.rows["train"], hot["train"], setting, seed)
    # Settings once chosen, nothing keeps val from being learned from too.
    both = vstack([chosen.rows["train"], chosen.rows["val"]], format="csr")
    linear = _Linear.fit(both, np.concatenate([hot["train"], hot["val"]]), setting)
    logits["test"] = linear(chosen.rows["test"])
    return Closed(
        logits={part: logits[part] for part in PARTS},
        setting=setting.describe(unit),
        unit=unit,
        lower=lower,
        spelling=setting.spelling,
        keys=chosen.keys,
        idf=chosen.idf,
        kernel=linear.kernel,
        bias=linear.bias,
        seconds=time.perf_counter() - began,
    )


def probabilities(logits: np.ndarray, *, exclusive: bool) -> np.ndarray:
    """Return probabilities `(n, classes)`: they sum to 1 where classes exclude each other."""
    from scipy.special import expit, softmax

    return np.asarray(
        softmax(logits.astype(np.float64), axis=1)
        if exclusive
        else expit(logits.astype(np.float64))
    )


def log_loss(logits: np.ndarray, hot: np.ndarray, *, exclusive: bool) -> float:
    """Return the mean negative logarithm of the probability of each text's classes, `(n, classes)` both; of several labels the sum."""
    chances = np.clip(probabilities(logits, exclusive=exclusive), 1e-12, 1 - 1e-12)
    likelihood = hot * np.log(chances) + (0 if exclusive else (1 - hot) * np.log(1 - chances))
    return float(-likelihood.sum(axis=1).mean())


@dataclass(frozen=True)
class _Setting:
    spelling: bool
    strength: float
    telling: float

    def describe(self, unit: Unit) -> str:
        features = (
            "characters" if unit == "char" else "words and spelling" if self.spelling else "words"
        )
        return f"{features}, C={self.strength:g}{', by log-count ratio' if self.telling else ''}"


@dataclass(frozen=True, kw_only=True)
class Features:
    """The weighted features of each part, `rows` `(n, features)`, by the sorted fingerprints `keys` and the `idf` of train."""

    keys: np.ndarray
    idf: np.ndarray
    rows: Mapping[Part, "csr_array"]

    @classmethod
    def fit(
        cls, texts: Mapping[Part, np.ndarray], unit: Unit, lower: bool, spelling: bool
    ) -> "Features":
        """Count features; those of one training text alone are left out where there are many texts."""
        from scipy.sparse import csr_array

        counted = {part: _Counted.of(texts[part], unit, lower, spelling) for part in PARTS}
        train = counted["train"]
        keys, place = np.unique(train.key, return_inverse=True)
        # A text's repeated feature counts once here.
        frequency = np.bincount(
            np.unique(train.row * len(keys) + place) % max(1, len(keys)), minlength=len(keys)
        )
        least = 2 if len(texts["train"]) >= 1000 else 1
        kept = np.flatnonzero(frequency >= least)
        if len(kept) > MOST_FEATURES:
            kept = np.sort(kept[np.argsort(-frequency[kept], kind="stable")[:MOST_FEATURES]])
        if not len(kept):
            kept = np.arange(len(keys))
        keys, frequency = keys[kept], frequency[kept]
        idf = (
            np.log((1 + len(texts["train"])) / (1 + frequency)).astype(np.float32) + 1
        )  # smooth, as scikit-learn's

        def matrix(part: Part) -> "csr_array":
            one = counted[part]
            place = np.minimum(np.searchsorted(keys, one.key), len(keys) - 1)
            known = keys[place] == one.key
            shape = (len(texts[part]), len(keys))
            at = (
                one.row[known].astype(np.int32),
                place[known].astype(np.int32),
            )  # liblinear takes no wider ones
            rows = csr_array((np.ones(known.sum(), np.float32), at), shape=shape)
            rows.sum_duplicates()
            rows.data = (1 + np.log(rows.data)) * idf[rows.indices]
            length = np.sqrt(np.maximum(rows.multiply(rows).sum(axis=1), 1e-12))
            rows.data = (rows.data / np.repeat(length, np.diff(rows.indptr))).astype(np.float32)
            return rows

        return cls(keys=keys, idf=idf, rows={part: matrix(part) for part in PARTS})


@dataclass(frozen=True, kw_only=True)
class _Counted:
    """One entry for each feature in each text: the text's number and the feature's fingerprint, repeats included."""

    row: np.ndarray
    key: np.ndarray

    @classmethod
    def of(cls, texts: np.ndarray, unit: Unit, lower: bool, spelling: bool) -> "_Counted":
        rows, keys, begin = [], [], 0
        for found in in_batches(lambda batch: features(batch, unit, lower, spelling), texts):
            rows.append(found.value_rowids().numpy() + begin)
            keys.append(found.flat_values.numpy())
            begin += int(found.nrows())
        return cls(row=np.concatenate(rows), key=np.concatenate(keys))


@dataclass(frozen=True, kw_only=True)
class _Linear:
    kernel: np.ndarray
    bias: np.ndarray

    def __call__(self, rows: "csr_array") -> np.ndarray:
        return np.asarray(rows @ self.kernel + self.bias, dtype=np.float32)

    @classmethod
    def fit(cls, rows: "csr_array", hot: np.ndarray, setting: _Setting) -> "_Linear":
        """Fit one class after another: for two exclusive ones once, the other's weights being their negatives."""
        exclusive_pair = hot.shape[1] == 2 and bool((hot.sum(axis=1) == 1).all())
        fitted = [
            _logistic(rows, hot[:, number], setting)
            for number in ((1,) if exclusive_pair else range(hot.shape[1]))
        ]
        kernel = np.stack([weights for weights, _ in fitted], axis=1)
        bias = np.asarray([constant for _, constant in fitted])
        if exclusive_pair:
            kernel, bias = (
                np.concatenate([-kernel, kernel], axis=1) / 2,
                np.concatenate([-bias, bias]) / 2,
            )
        return cls(kernel=kernel.astype(np.float32), bias=bias.astype(np.float32))


def _logistic(rows: "csr_array", y: np.ndarray, setting: _Setting) -> tuple[np.ndarray, float]:
    from scipy.sparse import csr_matrix
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    if len(np.unique(y)) < 2:  # a fold may lack a rare class
        return np.zeros(rows.shape[1], np.float32), 10.0 if y.all() else -10.0
    scale = _scale(rows, y > 0, setting.telling)
    scaled = csr_matrix(
        (rows.data * scale[rows.indices], rows.indices, rows.indptr), shape=rows.shape
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        # liblinear: one class of 15,000 texts in .1 s; lbfgs takes ten times as long for all of 150 classes together.
        model: Any = LogisticRegression(C=setting.strength, solver="liblinear", max_iter=50)
        model.fit(scaled, y > 0)
    return model.coef_[0] * scale, float(model.intercept_[0])


def _scale(rows: "csr_array", inside: np.ndarray, telling: float) -> np.ndarray:
    """Return the scale of each feature `(features,)`: above 1 where texts `inside` `(n,)` a class hold it much more or less often."""
    own = np.repeat(inside, np.diff(rows.indptr))
    counts = [
        1.0 + np.bincount(rows.indices[mask], minlength=rows.shape[1]) for mask in (own, ~own)
    ]
    shares = [np.log(count / count.sum()) for count in counts]
    ratio = np.abs(shares[0] - shares[1])
    usual = np.sqrt(np.mean(ratio**2))
    return np.asarray(1 - telling + telling * ratio / (usual or 1), dtype=np.float32)


def _held_out(rows: "csr_array", hot: np.ndarray, setting: _Setting, seed: int) -> np.ndarray:
    """Return logits `(n, classes)` of each row by a model fitted to the other folds."""
    from sklearn.model_selection import KFold

    logits = np.empty(hot.shape, np.float32)
    for others, fold in KFold(min(FOLDS, len(hot)), shuffle=True, random_state=seed).split(hot):
        logits[fold] = _Linear.fit(rows[others], hot[others], setting)(rows[fold])
    return logits
