"""Recommendation: what a person may set. Read by `--help`, so nothing heavy is imported."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Literal, TypeAlias

from pipelines.config.hyperparameters import CONDITIONS
from pipelines.config.options import (
    Count,
    DemoSweep,
    Objective,
    Options,
    PredictOptions,
    Question,
    option,
)
from pipelines.config.search_space import Choice, Conditions, Dimension, Range, Scalar
from pipelines.pretrained import weights
from pipelines.recommend.predict_options import RecommendPredictOptions, SimilarOptions
from pipelines.recommend.spec import ARCHITECTURES, RecommendSpec

Task: TypeAlias = Literal["rank", "rate"]
SplitMethod: TypeAlias = Literal["leave-last", "time", "random", "column", "hold-out"]
ITEM_TEXTS = "--item-texts"

# Fields of the shared specs that no network here reads: two trials never differ by them.
_NEVER: Mapping[str, tuple[Scalar, ...]] = {"architecture": ()}
_UNREAD: Conditions = {
    "conv.pooling": _NEVER,
    "conv.pool_size": _NEVER,
    "recurrent.bidirectional": _NEVER,
    "recurrent.dropout": _NEVER,
}


@dataclass(frozen=True, kw_only=True)
class RecommendOptions(Options):
    """Who had what, when, and how it was liked: what comes next, or how something will be rated."""

    data: str = option(
        "movielens",
        "a name (appline recommend datasets), tfds:NAME, or a table with the columns "
        "user, item[, rating][, timestamp]",
    )
    limit: Count = option(0, "use at most this many users, for a quick look (0: all)")
    task: Literal["auto", "rank", "rate"] = option(
        "auto",
        "rank: which item comes next; rate: how it is rated; "
        "auto: rank where there are times or no ratings",
    )
    split: Literal["auto", "leave-last", "time", "random"] = option(
        "auto",
        "leave-last: each user's last items are test; time: the newest tenth is; random; "
        "auto: leave-last to rank, random to rate",
    )
    holdout: Count = option(1, "leave-last: how many items of each user are test, and as many val")
    min_count: Count = option(
        1, "leave items and users with fewer interactions in train out of train"
    )
    items: str = option("", "a table of items: id, title, and features such as genres")
    item_texts: str = option(
        "",
        "rank items by their titles and features too, as a pretrained encoder of texts reads them "
        "(minilm, or a folder): for items of --items that few or none have had",
    )
    user_column: str = option(
        "", "column of the users (default: one called user, user_id, userId, ...)"
    )
    item_column: str = option(
        "", "column of the items (default: one called item, item_id, movieId, ...)"
    )
    rating_column: str = option(
        "", "column of the ratings (default: one called rating, score, stars, ...)"
    )
    time_column: str = option(
        "", "column of the times (default: one called timestamp, time, date, ...)"
    )
    title_column: str = option(
        "", "column of the items' titles (default: one called title, name, ...)"
    )
    time_format: str = option(
        "", "how times are written, as strptime has it, e.g. %d.%m.%Y (default: found out)"
    )
    day_first: bool = option(False, "read 01/02/2008 as the first of February")
    drop_missing: bool = option(
        False,
        "leave out rows without a user or an item, or whose rating or time cannot be read, and "
        "count them",
    )
    keep_repeats: bool = option(
        False,
        "keep every time that a user had an item: what they had may come again, and is predicted "
        "too; without it the first time counts, and only new items are predicted",
    )
    weight_column: str = option(
        "",
        "column of quantities, by whose logarithm interactions count in training; rows of 0 or "
        "less, such as returns, are left out",
    )

    domain: ClassVar[str] = "recommend"
    predict_type: ClassVar[type[PredictOptions]] = RecommendPredictOptions
    questions: ClassVar[tuple[Question, ...]] = (
        Question(
            name="similar",
            help="Name the items that are most like others, by the vectors of a trained network.",
            metavar="ITEM...",
            options=SimilarOptions,
            takes_files=False,
        ),
    )
    spec_type: ClassVar[type[Any]] = RecommendSpec
    headline: ClassVar[Objective] = Objective(name="ndcg_10", direction="max")
    objectives: ClassVar[tuple[Objective, ...]] = (
        Objective(name="val_ndcg_10", direction="max"),
        Objective(name="val_hr_10", direction="max"),
        Objective(name="val_mse", direction="min"),
    )
    # Which of them a task has; the first is its default. Then the metric in which models compare.
    task_objectives: ClassVar[Mapping[Task, tuple[Objective, ...]]] = MappingProxyType(
        {"rank": objectives[:2], "rate": objectives[2:]}
    )
    task_headlines: ClassVar[Mapping[Task, Objective]] = MappingProxyType(
        {"rank": headline, "rate": Objective(name="mse", direction="min")}
    )
    search: ClassVar[Mapping[str, Dimension]] = {
        "architecture": Choice(("conv", "caser", "gru4rec", "sasrec")),
        "history": Choice((20, 50, 100)),
        "embedding.width": Choice((32, 64, 128)),
        "embedding.dropout": Choice((0.1, 0.3, 0.5)),
        "conv.kernel_size": Choice((2, 3, 5)),
        "conv.stride": Choice((1, 2, 4)),
        "conv.filters": Choice((32, 64, 128)),
        "conv.blocks": Choice((1, 2, 3, 4)),
        "conv.activation": Choice(("relu", "gelu")),
        "conv.norm": Choice(("none", "layer")),
        "attention.layers": Choice((1, 2, 3, 4)),
        "attention.activation": Choice(("relu", "gelu")),
        "attention.dropout": Choice((0.1, 0.3, 0.5)),
        "train.learning_rate": Range(5e-4, 8e-3, log=True),
        "train.batch_size": Choice((32, 64, 128)),
    }
    presets: ClassVar[tuple[Mapping[str, Scalar], ...]] = (
        {"architecture": "sasrec"},
        {"architecture": "gru4rec"},
    )
    conditions: ClassVar[Conditions] = ARCHITECTURES.conditions({**CONDITIONS, **_UNREAD})
    datasets: ClassVar[Mapping[str, str]] = {
        "movielens": "ratings of films by 671 users, of 100,004 those of films with 5 ratings or "
        "more (the extra `samples`)",
        "insteval": "73,421 ratings of lecturers by students, without times (the extra `samples`)",
        "tfds:movielens/100k-ratings": "MovieLens by its sizes in TensorFlow Datasets: 100k, 1m, "
        "20m ... (downloads)",
    }
    demo: ClassVar[DemoSweep] = DemoSweep(
        trials=4,
        trial_epochs=1,
        # Half of the default width: four trials are to end within a minute.
        fixed={"train.epochs": 2, "embedding.width": 32},
        searched={
            "conv.kernel_size": Choice((2, 3, 5)),
            "conv.stride": Choice((1, 2)),
            "conv.filters": Choice((16, 32)),
        },
    )

    def require_weights(self, spec: RecommendSpec) -> None:
        if self.item_texts:
            weights.find(self.item_texts, ITEM_TEXTS, "encoder")
