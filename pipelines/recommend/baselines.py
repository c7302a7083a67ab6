"""The baselines: to rank, popularity, nearest items, transitions and EASE; to rate, means.

What is fitted here is kept for as long as its splits are: the baselines, the blend with a network
and a served model ask for the same models.
"""

import dataclasses
import typing
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.io.progress import counted, working
from pipelines.pipeline import Baseline
from pipelines.recommend import evaluate, ranking
from pipelines.recommend.item_models import (
    MOST_EASE_ITEMS,
    Biases,
    Ease,
    FittedBiases,
    ItemKNN,
    ItemModel,
    ItemTexts,
    Markov,
    Mean,
    PersonalPopularity,
    Popularity,
    Ranker,
    Rater,
    scores_of,
)
from pipelines.splits import SCORED_PARTS, Part
from pipelines.timing import Spent, Stopwatch, first_rows

if TYPE_CHECKING:
    from pipelines.recommend.data import RecommendSplits

MANY_ITEMS = 5_000  # one EASE takes seconds up to here, and two minutes of one core at 12,000

KNN = tuple(
    ItemKNN(neighbours=neighbours, shrink=shrink)
    for neighbours, shrink in product((20, 100, 300), (0.0, 5.0, 20.0))
)
RECENT_KNN = tuple(
    ItemKNN(neighbours=neighbours, shrink=shrink, recency=recency)
    for neighbours, shrink, recency in product((50, 200), (0.0, 5.0), (0.5, 1.0, 1.5))
)
PERSONAL = tuple(PersonalPopularity(recency=recency) for recency in (0.0, 0.25, 0.5, 1.0, 2.0))
MARKOV = tuple(
    Markov(window=window, decay=decay, row_power=row, column_power=column)
    for window, decay, (row, column) in product(
        (8, 16), (0.25, 0.5, 0.75, 1.0), ((0.5, 0.0), (0.5, 0.25), (0.75, 0.25))
    )
)
TEXT_NEIGHBOURS = (5, 20, 50)
TEXT_RECENCIES = (0.0, 0.5, 1.0)
EASE = tuple(Ease(penalty=penalty) for penalty in (20.0, 50.0, 100.0, 200.0, 500.0, 1000.0))
EASE_OF_MANY_ITEMS = (Ease(penalty=50.0), Ease(penalty=300.0))
# Weights of each item in an EASE that is saved: all 3,500 of MovieLens made a file of 105 MB.
KEPT_WEIGHTS = 250
BIASES = tuple(
    Biases(user_penalty=user, item_penalty=item)
    for user, item in product((1.0, 3.0, 5.0, 10.0, 20.0), repeat=2)
)
# What a rating network starts from and corrects.
STARTING_BIASES = Biases(user_penalty=5.0, item_penalty=3.0)


@dataclass(frozen=True, kw_only=True)
class TunedBaseline:
    """The settings of one baseline that are best on val, their loss and what the search took."""

    settings: Ranker | Rater
    loss: float
    spent: Spent


@dataclass
class _FittedModels:
    """What has been fitted to some splits so far."""

    tuned: dict[str, TunedBaseline] = field(default_factory=dict)
    item_models: dict[tuple[Ranker, Part], ItemModel] = field(default_factory=dict)
    biases: FittedBiases | None = None


# By the identity of the splits, and only while they are in use: splits with other cases have the
# same digest. A sweep's worker fits nothing but the biases, once: its trials are judged without the
# item models.
_FITTED: dict[int, _FittedModels] = {}


def _fitted_models(splits: "RecommendSplits") -> _FittedModels:
    key = id(splits)
    if key not in _FITTED:
        _FITTED[key] = _FittedModels()
        weakref.finalize(splits, _FITTED.pop, key, None)
    return _FITTED[key]


def baselines(splits: "RecommendSplits") -> Iterator[Baseline]:
    """Yield the baselines, fitted to what may be known of each part.

    Their settings are chosen on val.
    """
    for name, tuned in tune(splits).items():
        watch = Stopwatch()
        predictions = {}
        with working(name):
            for part in SCORED_PARTS:
                fitted = tuned.settings.fit(splits, splits.known_mask(part))
                predictions[part] = predict(fitted, splits, part)
        yield Baseline(
            name=name,
            predictions=predictions,
            spent=tuned.spent + watch.spent(),
            answer=partial(_answer, fitted, splits),
            params=dataclasses.asdict(tuned.settings),
        )


def tune(splits: "RecommendSplits") -> Mapping[str, TunedBaseline]:
    """Return the baselines of this task by name, each with its settings that are best on val."""
    models = _fitted_models(splits)
    if not models.tuned:
        sample = splits.validation_sample()
        for name, candidates in _candidates(splits).items():
            with working(name):
                models.tuned[name] = _best_on_val(candidates, sample)
    return models.tuned


def _candidates(splits: "RecommendSplits") -> dict[str, Sequence[Ranker | Rater]]:
    if splits.task == "rate":
        return {"global mean": (Mean(),), "biases": BIASES}
    candidates: dict[str, Sequence[Ranker | Rater]] = {"popularity": (Popularity(),)}
    if splits.repeats:
        candidates["personal popularity"] = PERSONAL
    candidates |= {
        "item-kNN": KNN,
        "recency item-kNN": RECENT_KNN,
        "Markov": MARKOV,
    }
    if splits.texts:
        candidates["item texts"] = _item_texts(splits.encoder)
    if splits.num_items <= MOST_EASE_ITEMS:
        has_many_items = splits.num_items > MANY_ITEMS
        candidates["EASE"] = EASE_OF_MANY_ITEMS if has_many_items else EASE
    return candidates


def _item_texts(encoder: str) -> tuple[ItemTexts, ...]:
    settings = product(TEXT_NEIGHBOURS, TEXT_RECENCIES)
    return tuple(
        ItemTexts(encoder=encoder, neighbours=neighbours, recency=recency)
        for neighbours, recency in settings
    )


def _best_on_val(candidates: Sequence[Ranker | Rater], sample: "RecommendSplits") -> TunedBaseline:
    """Return the candidate that is best on val, fitted to train.

    It is judged by NDCG@10, or by the squared error of ratings.
    """
    watch = Stopwatch()
    mask = sample.known_mask("val")
    losses = []
    for candidate in counted(candidates, "settings", len(candidates)):
        predictions = predict(candidate.fit(sample, mask), sample, "val")
        losses.append(float(evaluate.losses(predictions, sample, "val").mean()))
    best = int(np.argmin(losses))
    return TunedBaseline(settings=candidates[best], loss=losses[best], spent=watch.spent())


def _answer(fitted: ItemModel | FittedBiases, splits: "RecommendSplits", count: int) -> np.ndarray:
    """Return the scores of all items, or the ratings, of so many cases of val."""
    cases = splits.cases("val")
    rows = first_rows(count, len(cases.user))
    if isinstance(fitted, FittedBiases):
        return fitted.ratings(cases.user[rows], cases.target[rows])
    return scores_of(fitted, splits, "val", rows)


def predict(fitted: ItemModel | FittedBiases, splits: "RecommendSplits", part: Part) -> np.ndarray:
    """Return the predictions of a fitted model for `part`, in the form that `ranking` describes."""
    if isinstance(fitted, FittedBiases):
        cases = splits.cases(part)
        return fitted.ratings(cases.user, cases.target)[:, None].astype(np.float32)
    return ranking.rank_items(lambda rows: scores_of(fitted, splits, part, rows), splits, part)


# ----------------------------------------------------------------- what networks are combined with


def stacking_candidates(splits: "RecommendSplits") -> dict[str, Ranker]:
    """Return the rankers that a network may be added to.

    These are the tuned ones that can be fitted again quickly and are small enough to be saved with
    it.
    """
    candidates: dict[str, Ranker] = {}
    for name, tuned in tune(splits).items():
        match tuned.settings:
            case Ease() as ease if splits.num_items <= MANY_ITEMS:
                candidates[name] = dataclasses.replace(ease, kept=KEPT_WEIGHTS)
            case (
                Popularity() | PersonalPopularity() | ItemKNN() | ItemTexts() | Markov()
            ) as settings:
                candidates[name] = settings
    return candidates


def item_model(settings: Ranker, splits: "RecommendSplits", part: Part) -> ItemModel:
    """Return the item model with these settings, fitted to what may be known for `part`."""
    models = _fitted_models(splits).item_models
    key = settings, part
    if key not in models:
        models[key] = settings.fit(splits, splits.known_mask(part))
    return models[key]


def starting_biases(splits: "RecommendSplits") -> FittedBiases:
    """Return the biases of users and items in train that a rating network starts from."""
    models = _fitted_models(splits)
    if models.biases is None:
        models.biases = STARTING_BIASES.fit(splits, splits.known_mask("val"))
    return models.biases


def settings_as_dict(settings: Ranker) -> dict[str, Any]:
    """Return settings as plain data, for `settings_from_dict` to read."""
    return {"kind": type(settings).__name__, **dataclasses.asdict(settings)}


def settings_from_dict(content: Mapping[str, Any]) -> Ranker:
    """Return the settings that `settings_as_dict` wrote."""
    kinds: dict[str, type[Ranker]] = {kind.__name__: kind for kind in typing.get_args(Ranker)}
    fields = {name: value for name, value in content.items() if name != "kind"}
    return kinds[content["kind"]](**fields)
