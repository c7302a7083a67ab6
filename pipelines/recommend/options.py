"""Recommendation: what a person may set. Read by `--help`, so nothing heavy is imported."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Literal, TypeAlias

from pipelines.config.hyperparameters import CONDITIONS
from pipelines.config.options import Count, DemoSweep, Objective, Options, PredictOptions, option
from pipelines.config.search_space import Choice, Conditions, Dimension, Range, Scalar
from pipelines.errors import UsageError
from pipelines.recommend.spec import ARCHITECTURES, RecommendSpec

Task: TypeAlias = Literal["rank", "rate"]
SplitMethod: TypeAlias = Literal["leave-last", "time", "random", "column", "hold-out"]

# Fields of the shared specs that no network here reads: two trials never differ by them.
_NEVER: Mapping[str, tuple[Scalar, ...]] = {"architecture": ()}
_UNREAD: Conditions = {
    "conv.pooling": _NEVER,
    "conv.pool_size": _NEVER,
    "recurrent.bidirectional": _NEVER,
    "recurrent.dropout": _NEVER,
}


@dataclass(frozen=True, kw_only=True)
class RecommendPredictOptions(PredictOptions):
    """What may be set for recommendations."""

    top: int = option(10, "how many items each user gets")
    exclude: str = option("", "a file of items that nobody gets: a table, or an id on each line")
    repeat: bool = option(False, "items that a user has had may be recommended again")
    all_users: bool = option(False, "answer every user that the model knows; no input is needed")
    user_column: str = option("", "column of the users (default: as in the training data)")
    history_column: str = option("", "column of lists of items (default: history, items, sequence)")

    def __post_init__(self) -> None:
        if self.top < 1:
            raise UsageError(f"--top is a number of items, 1 or more. Received: {self.top}")

    @property
    def needs_input(self) -> bool:
        return not self.all_users


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
    drop_missing: bool = option(False, "leave out rows without a user or an item, and count them")

    domain: ClassVar[str] = "recommend"
    predict_type: ClassVar[type[PredictOptions]] = RecommendPredictOptions
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
