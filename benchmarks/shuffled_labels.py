"""A control: where labels mean nothing, no network may beat its baselines.

    python -m benchmarks.shuffled_labels [--seeds 20] [--domains vision text ...]

In each part labels are permuted among images or texts, values among the steps of a series, and
items among interactions. Then a network is fitted for a few epochs and compared as in `train`. At
an interval of 95 %, one verdict in forty is "beats" by chance alone.
"""

import dataclasses
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.arguments import parser
from pipelines import create_pipeline, runtime
from pipelines.config.search_space import replace
from pipelines.forecast.data import ForecastSplits
from pipelines.recommend.data import RecommendSplits
from pipelines.splits import PARTS
from pipelines.text.data import TextSplits
from pipelines.vision.data import VisionSplits

FIRST_SEED = 42
# The data, and a network that is fitted in seconds.
CONTROLS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "vision": ({"data": "digits"}, {"conv.filters": 16, "train.epochs": 4}),
    "text": (
        {"data": "reviews", "limit": 2000},
        {"architecture": "fasttext", "embedding.width": 32, "train.epochs": 4},
    ),
    "forecast": (
        {"data": "taylor", "horizon": 24, "lookback": 96},
        {"conv.filters": 16, "train.epochs": 3},
    ),
    "recommend": ({"data": "movielens", "limit": 300}, {"train.epochs": 3}),
}


def main() -> None:
    wanted = parser(__doc__)
    wanted.add_argument("--seeds", type=int, default=20)
    wanted.add_argument("--domains", nargs="+", choices=CONTROLS, default=list(CONTROLS))
    asked = wanted.parse_args()
    runtime.import_tensorflow()
    for domain in asked.domains:
        verdicts: Counter[str] = Counter()
        lifts = []
        for seed in range(FIRST_SEED, FIRST_SEED + asked.seeds):
            verdict, lift = control(domain, seed)
            verdicts[verdict] += 1
            lifts.append(lift)
        counted = ", ".join(f"{verdict} {number}" for verdict, number in verdicts.most_common())
        mean = np.mean(lifts)
        print(f"{domain:10} {counted} of {asked.seeds}; mean lift {mean:+.4f}", flush=True)


def control(domain: str, seed: int) -> tuple[str, float]:
    """Return the verdict on a network that was fitted to permuted labels, and its lift."""
    from tuning.tracking.interface import NullTracker
    from tuning.training.train import train

    options, settings = CONTROLS[domain]
    pipeline = create_pipeline(domain, **options, seed=seed)
    splits = SHUFFLES[domain](pipeline.load(), np.random.default_rng(seed))
    spec = replace(pipeline.options.spec_type(), settings)
    spec = pipeline.fit_defaults(spec, splits, settings)
    result = train(pipeline, spec, NullTracker(), splits=splits)
    assert result.lift is not None
    return str(result.as_json()["verdict"]), result.lift.mean


def shuffle_images(splits: VisionSplits, rng: np.random.Generator) -> VisionSplits:
    parts = {}
    for part in PARTS:
        images = splits.images(part)
        parts[part] = dataclasses.replace(images, y=rng.permutation(images.y))
    return dataclasses.replace(splits, train=parts["train"], val=parts["val"], test=parts["test"])


def shuffle_texts(splits: TextSplits, rng: np.random.Generator) -> TextSplits:
    y = {part: rng.permutation(splits.y[part]) for part in PARTS}
    return dataclasses.replace(splits, y=y)


def shuffle_steps(splits: ForecastSplits, rng: np.random.Generator) -> ForecastSplits:
    """Permute the values of each part among its steps, so that time means nothing."""
    order = np.arange(len(splits.raw))
    for first, last in zip(splits.borders[:-1], splits.borders[1:], strict=True):
        rows = np.flatnonzero((splits.number >= first) & (splits.number < last))
        order[rows] = rng.permutation(rows)
    rows = splits.rows.copy()
    rows[:, 0] = rows[order, 0]
    return dataclasses.replace(splits, raw=splits.raw[order], rows=rows)


def shuffle_items(splits: RecommendSplits, rng: np.random.Generator) -> RecommendSplits:
    item = splits.item.copy()
    for number in range(len(PARTS)):
        rows = np.flatnonzero(splits.part == number)
        item[rows] = item[rng.permutation(rows)]
    return dataclasses.replace(splits, item=item)


SHUFFLES: dict[str, Callable[..., Any]] = {
    "vision": shuffle_images,
    "text": shuffle_texts,
    "forecast": shuffle_steps,
    "recommend": shuffle_items,
}

if __name__ == "__main__":
    main()
