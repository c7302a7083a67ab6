"""Simple baselines in closed form: to rank, popularity, nearest items, transitions and EASE; to rate, means."""

import dataclasses
import time
import typing
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any, TypeAlias

import numpy as np

from pipelines.pipeline import Baseline
from pipelines.recommend import scoring
from pipelines.recommend.closed import (
    MOST_EASE_ITEMS,
    Biases,
    Ease,
    Fitted,
    FittedBiases,
    ItemKNN,
    Linear,
    Markov,
    Mean,
    Popularity,
    scores_of,
)
from pipelines.recommend.splits import RecommendSplits
from pipelines.splits import Part

Ranker: TypeAlias = Popularity | ItemKNN | Markov | Ease
Rater: TypeAlias = Mean | Biases

SCORED: tuple[Part, Part] = ("val", "test")
MANY_ITEMS = 5_000  # one EASE takes seconds up to here, and two minutes of one core at 12,000

KNN = tuple(
    ItemKNN(neighbours=neighbours, shrink=shrink)
    for neighbours, shrink in product((20, 100, 300), (0.0, 5.0, 20.0))
)
RECENT_KNN = tuple(
    ItemKNN(neighbours=neighbours, shrink=shrink, recency=recency)
    for neighbours, shrink, recency in product((50, 200), (0.0, 5.0), (0.5, 1.0, 1.5))
)
MARKOV = tuple(
    Markov(window=window, decay=decay, row_power=row, column_power=column)
    for window, decay, (row, column) in product(
        (8, 16), (0.25, 0.5, 0.75, 1.0), ((0.5, 0.0), (0.5, 0.25), (0.75, 0.25))
    )
)
EASE = tuple(Ease(penalty=penalty) for penalty in (20.0, 50.0, 100.0, 200.0, 500.0, 1000.0))
KEPT = 250  # of each item's weights in an EASE that is saved: all 3,500 of MovieLens made a file of 105 MB
FEW_EASE = (Ease(penalty=50.0), Ease(penalty=300.0))
BIASES = tuple(
    Biases(user_penalty=user, item_penalty=item)
    for user, item in product((1.0, 3.0, 5.0, 10.0, 20.0), repeat=2)
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Chosen:
    """The settings of one baseline that are best on val, their loss there, and the seconds that the choice took."""

    settings: Ranker | Rater
    loss: float
    seconds: float


def baselines(splits: RecommendSplits) -> Iterator[Baseline]:
    """Yield the baselines, fitted to what may be known of each part, their settings chosen on val."""
    for name, chosen in splits.baselines.items():
        begin = time.perf_counter()
        predictions = {
            part: predict(chosen.settings.fit(splits, splits.known(part)), splits, part)
            for part in SCORED
        }
        seconds = chosen.seconds + time.perf_counter() - begin
        yield Baseline(
            name=name,
            predictions=predictions,
            seconds=seconds,
            params=dataclasses.asdict(chosen.settings),
        )


def chosen(splits: RecommendSplits) -> dict[str, Chosen]:
    """Return the baselines of this task by name, each with its best settings on val. `splits.baselines` keeps them."""
    if splits.task == "rate":
        return {"global mean": _choose((Mean(),), splits), "biases": _choose(BIASES, splits)}
    baselines: dict[str, Sequence[Ranker]] = {
        "popularity": (Popularity(),),
        "item-kNN": KNN,
        "recency item-kNN": RECENT_KNN,
        "Markov": MARKOV,
    }
    if splits.num_items <= MOST_EASE_ITEMS:
        baselines["EASE"] = EASE if splits.num_items <= MANY_ITEMS else FEW_EASE
    return {name: _choose(candidates, splits) for name, candidates in baselines.items()}


def closed_forms(splits: RecommendSplits) -> dict[str, Ranker]:
    """Return what a network may be added to: the baselines that are quickly fitted again, small enough to be saved beside it."""
    found: dict[str, Ranker] = {}
    for name, chosen in splits.baselines.items():
        match chosen.settings:
            case Ease() as ease if splits.num_items <= MANY_ITEMS:
                found[name] = dataclasses.replace(ease, kept=KEPT)
            case Popularity() | ItemKNN() | Markov() as settings:
                found[name] = settings
    return found


def fitted(settings: Ranker, splits: RecommendSplits, part: Part) -> Linear:
    """Return a closed form fitted to what may be known when `part` is answered; the same one for whoever asks again."""
    key = settings, part
    if key not in splits.fitted:
        splits.fitted[key] = settings.fit(splits, splits.known(part))
    return splits.fitted[key]


def plain(settings: Ranker) -> dict[str, Any]:
    """Return settings as plain data, for `ranker` to read."""
    return {"kind": type(settings).__name__, **dataclasses.asdict(settings)}


def ranker(plain: Mapping[str, Any]) -> Ranker:
    """Return the settings that `plain` wrote."""
    kinds: dict[str, type[Ranker]] = {kind.__name__: kind for kind in typing.get_args(Ranker)}
    return kinds[plain["kind"]](**{name: value for name, value in plain.items() if name != "kind"})


def _choose(candidates: Sequence[Ranker | Rater], splits: RecommendSplits) -> Chosen:
    """Return the candidate that is best on val, by NDCG@10 or by the squared error of ratings, fitted to train."""
    begin = time.perf_counter()
    some, known = splits.judged, splits.known("val")
    losses = [
        float(scoring.losses(predict(one.fit(some, known), some, "val"), some, "val").mean())
        for one in candidates
    ]
    best = int(np.argmin(losses))
    return Chosen(settings=candidates[best], loss=losses[best], seconds=time.perf_counter() - begin)


def predict(fitted: Fitted | FittedBiases, splits: RecommendSplits, part: Part) -> np.ndarray:
    """Return the predictions of a fitted scorer for `part`, in the form that `scoring` describes."""
    if isinstance(fitted, FittedBiases):
        cases = splits.cases(part)
        return fitted.ratings(cases.user, cases.target)[:, None].astype(np.float32)
    return scoring.ranked(lambda rows: scores_of(fitted, splits, part, rows), splits, part)
