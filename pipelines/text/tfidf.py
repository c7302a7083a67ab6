"""TF-IDF features and one logistic regression for each class: the baseline.

A network may start from it. The log-count ratio of a feature, which is what it says about the class
by itself, may decide how little its weight is penalised (S. Wang and C. Manning, "Baselines and
Bigrams", ACL 2012).
"""

import itertools
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.evaluation.likelihood import log_loss
from pipelines.io.progress import counted
from pipelines.splits import Part
from pipelines.text.layers import TfidfLogits
from pipelines.text.tfidf_features import TfidfFeatures, features_of, fit_features
from pipelines.text.tokens import Tokenization
from pipelines.timing import Spent, Stopwatch

if TYPE_CHECKING:
    from scipy.sparse import csr_array

# Characters of train up to which n-grams of characters inside words are tried too.
MOST_CHARACTERS_TRIED = 5_000_000
C_VALUES = (2.0, 8.0, 32.0)  # scikit-learn's C: the inverse of the L2 penalty
# How much the log-count ratio decides, 1 being everything. In five-fold cross-validation a half
# lowered the log loss of reviews, sst2, trec and small parts of them by 2 to 8 per cent, .3 and .7
# by less; that of clinc150, 150 classes, it raised by 14.
RATIO_WEIGHTS = (0.0, 0.5)
FOLDS = 5
# Texts by classes above which fewer candidates are tried: a fit of 15,000 texts in all of 150
# classes takes 6 s.
MANY_DECISIONS = 300_000
# Of the dual problem, which is solved in a tenth of the time of the primal one on texts. A tenth of
# this tolerance took 1.4 times as long and changed the log loss of trec, sst2 and 77 classes of
# clinc150 in the fourth digit.
MOST_ITERATIONS = 100
TOLERANCE = 0.1
CERTAIN = 10.0  # the logit of a class that all texts of a fold have; none: its negative


@dataclass(frozen=True, kw_only=True)
class TfidfSetting:
    """What is chosen on val."""

    characters: bool
    c: float
    ratio_weight: float

    def describe(self, tokenization: Tokenization) -> str:
        if tokenization.unit == "char":
            features = "characters"
        elif self.characters:
            features = "words and parts of words"
        else:
            features = "words"
        by_ratio = ", log-count ratio" if self.ratio_weight else ""
        return f"{features}, C={self.c:g}{by_ratio}"


@dataclass(frozen=True, kw_only=True)
class TfidfModel:
    """A fitted model.

    `logits` `(n, classes)` of val come from a model of all training texts, those of test from one
    of train and val together, which is the one that is served. For those of train see
    `held_out_logits`.

    `keys` `(features,)`, `idf` `(features,)`, `kernel` `(features, classes)` and `bias`
    `(classes,)` are as in `TfidfLogits`; `spent` is what all of it took.
    """

    logits: Mapping[Part, np.ndarray]
    setting: TfidfSetting
    tokenization: Tokenization
    keys: np.ndarray
    idf: np.ndarray
    kernel: np.ndarray
    bias: np.ndarray
    spent: Spent

    def layer(self) -> TfidfLogits:
        """Return the layer that gives the same logits for raw texts."""
        layer = TfidfLogits(
            len(self.kernel),
            len(self.bias),
            self.tokenization.unit,
            self.tokenization.lower,
            self.setting.characters,
            name="tfidf",
        )
        layer.set_weights([self.keys, self.idf, self.kernel, self.bias])
        return layer


@dataclass(frozen=True, kw_only=True)
class _LinearModel:
    """A kernel `(features, classes)` and a bias `(classes,)`."""

    kernel: np.ndarray
    bias: np.ndarray

    def logits(self, rows: "csr_array") -> np.ndarray:
        return np.asarray(rows @ self.kernel + self.bias, dtype=np.float32)


@dataclass(frozen=True, kw_only=True)
class _Candidate:
    setting: TfidfSetting
    model: _LinearModel
    val_loss: float


def fit_tfidf(
    texts: Mapping[Part, np.ndarray],
    one_hot: Mapping[Part, np.ndarray],
    tokenization: Tokenization,
    *,
    exclusive: bool,
) -> TfidfModel:
    """Fit to train, choose features and penalty on val.

    Args:
        texts: `(n,)` strings for each part.
        one_hot: `(n, classes)`, 1 where a text has the class.
        tokenization: what a token is.
        exclusive: each text has one class; else any number.
    """
    from scipy.sparse import vstack

    watch = Stopwatch()
    settings = _settings(texts["train"], one_hot["train"])
    features: dict[bool, TfidfFeatures] = {}
    for characters in dict.fromkeys(setting.characters for setting in settings):
        features[characters] = fit_features(texts, tokenization, characters=characters)
    best = _choose(settings, features, one_hot, exclusive=exclusive)
    chosen = features[best.setting.characters]
    rows = chosen.rows
    # Once the settings are chosen, val may be learned from too.
    train_and_val = vstack([rows["train"], rows["val"]], format="csr")
    labels = np.concatenate([one_hot["train"], one_hot["val"]])
    final = _fit_linear(train_and_val, labels, best.setting)
    return TfidfModel(
        logits={
            "val": best.model.logits(rows["val"]),
            "test": final.logits(rows["test"]),
        },
        setting=best.setting,
        tokenization=tokenization,
        keys=chosen.keys,
        idf=chosen.idf,
        kernel=final.kernel,
        bias=final.bias,
        spent=watch.spent(),
    )


def held_out_logits(
    model: TfidfModel, texts: np.ndarray, one_hot: np.ndarray, *, seed: int
) -> np.ndarray:
    """Return logits `(n, classes)` of the training texts, each by a model that has not seen it.

    A network that starts from them learns what is still missing where a text is new (stacked
    generalisation, Wolpert 1992). The model needs them for nothing else, and of many classes they
    take as long as all of its own fits.

    Args:
        model: was fitted to these texts; its features and its setting are taken.
        texts: `(n,)`.
        one_hot: `(n, classes)`.
        seed: of the folds.
    """
    from sklearn.model_selection import KFold

    rows = features_of(
        texts,
        model.tokenization,
        characters=model.setting.characters,
        keys=model.keys,
        idf=model.idf,
    )
    logits = np.empty(one_hot.shape, np.float32)
    count = min(FOLDS, len(one_hot))
    folds = KFold(count, shuffle=True, random_state=seed).split(one_hot)
    for others, fold in counted(folds, "folds", count):
        fitted = _fit_linear(rows[others], one_hot[others], model.setting)
        logits[fold] = fitted.logits(rows[fold])
    return logits


def _settings(train_texts: np.ndarray, train_one_hot: np.ndarray) -> list[TfidfSetting]:
    """Return the settings to try: fewer where a fit takes long."""
    is_large = train_one_hot.size > MANY_DECISIONS
    num_characters = sum(map(len, train_texts))
    tries_characters = num_characters <= MOST_CHARACTERS_TRIED and not is_large
    settings = []
    for characters, c, ratio_weight in itertools.product(
        (False, True) if tries_characters else (False,),
        C_VALUES[1:] if is_large else C_VALUES,
        RATIO_WEIGHTS[:1] if is_large else RATIO_WEIGHTS,
    ):
        settings.append(TfidfSetting(characters=characters, c=c, ratio_weight=ratio_weight))
    return settings


def _choose(
    settings: Sequence[TfidfSetting],
    features: Mapping[bool, TfidfFeatures],
    one_hot: Mapping[Part, np.ndarray],
    *,
    exclusive: bool,
) -> _Candidate:
    """Return the model of train with the highest likelihood on val.

    Accuracy would be a poorer criterion: on halves of val that were not used to choose, the model
    with the highest likelihood was right for .874 of trec, the one with the highest accuracy for
    .864; on reviews, sst2 and sms_spam the difference was below .003.
    """
    candidates = []
    for setting in counted(settings, "settings", len(settings)):
        rows = features[setting.characters].rows
        model = _fit_linear(rows["train"], one_hot["train"], setting)
        loss = log_loss(model.logits(rows["val"]), one_hot["val"], exclusive=exclusive)
        candidates.append(_Candidate(setting=setting, model=model, val_loss=loss))
    return min(candidates, key=lambda candidate: candidate.val_loss)


def _fit_linear(rows: "csr_array", one_hot: np.ndarray, setting: TfidfSetting) -> _LinearModel:
    """Fit one class after another.

    Of two exclusive classes only the second is fitted: the weights of the first are its negatives.
    """
    is_pair = one_hot.shape[1] == 2 and bool((one_hot.sum(axis=1) == 1).all())
    kernels = []
    biases = []
    doubles = rows.astype(np.float64)  # as liblinear takes them
    numbers = range(1 if is_pair else 0, one_hot.shape[1])
    for number in counted(numbers, "classes", len(numbers)):
        weights, bias = _fit_class(doubles, one_hot[:, number], setting)
        kernels.append(weights)
        biases.append(bias)
    kernel = np.stack(kernels, axis=1)
    bias_of_class = np.asarray(biases)
    if is_pair:
        # Half for each class: their difference decides.
        kernel = np.concatenate([-kernel, kernel], axis=1) / 2
        bias_of_class = np.concatenate([-bias_of_class, bias_of_class]) / 2
    return _LinearModel(kernel=kernel.astype(np.float32), bias=bias_of_class.astype(np.float32))


def _fit_class(rows: "csr_array", y: np.ndarray, setting: TfidfSetting) -> tuple[np.ndarray, float]:
    """Return the weights `(features,)` and the bias of one class; `y` `(n,)` is 1 for its texts."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    if len(np.unique(y)) < 2:  # a fold may lack a rare class
        return np.zeros(rows.shape[1], np.float32), CERTAIN if y.all() else -CERTAIN
    scale = np.ones(rows.shape[1], np.float32)
    if setting.ratio_weight:
        scale = _scale(rows, y > 0, setting.ratio_weight)
        rows = rows.copy()
        rows.data *= scale[rows.indices]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        # lbfgs takes a hundred times as long for all of 150 classes together.
        model: Any = LogisticRegression(
            C=setting.c,
            solver="liblinear",
            dual=True,
            tol=TOLERANCE,
            max_iter=MOST_ITERATIONS,
            random_state=0,  # the order of the texts, which the solution does not depend on
        )
        model.fit(rows, y > 0)
    return model.coef_[0] * scale, float(model.intercept_[0])


def _scale(rows: "csr_array", in_class: np.ndarray, ratio_weight: float) -> np.ndarray:
    """Return the scale of each feature: `(features,)`.

    It is above 1 where the texts `in_class` `(n,)` have the feature much more or less often than
    others.
    """
    entry_in_class = np.repeat(in_class, np.diff(rows.indptr))
    log_shares = []
    for entries in (entry_in_class, ~entry_in_class):
        counts = 1.0 + np.bincount(rows.indices[entries], minlength=rows.shape[1])
        log_shares.append(np.log(counts / counts.sum()))
    ratio = np.abs(log_shares[0] - log_shares[1])
    typical = np.sqrt(np.mean(ratio**2)) or 1.0
    return np.asarray(1 - ratio_weight + ratio_weight * ratio / typical, dtype=np.float32)
