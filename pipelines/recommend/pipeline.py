"""Recommendation: the options a person may set and the contract kept.

Nothing heavy is imported before a method needs it: the command line reads this module for `--help`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pipelines.config.options import Objective, option
from pipelines.config.search_space import Choice, Dimension, Range, Scalar
from pipelines.errors import UsageError
from pipelines.pipeline import Baseline, Pipeline, ServingModel
from pipelines.recommend.spec import RecommendSpec
from pipelines.splits import Part

if TYPE_CHECKING:
    import keras
    import numpy as np
    import pandas as pd
    import tensorflow as tf
    from matplotlib.figure import Figure

    from pipelines.networks.plan import Cost
    from pipelines.recommend.splits import RecommendSplits

RANK = Objective(name="val_ndcg_10", direction="max")
RATE = Objective(name="val_mse", direction="min")


@dataclass(frozen=True, kw_only=True)
class RecommendPipeline(Pipeline[RecommendSpec, "RecommendSplits"]):
    """Who had what, when, and how it was liked: what comes next, or how something will be rated."""

    data: str = option(
        "movielens",
        "a name (appline recommend datasets), tfds:NAME, or a table of user, item[, rating][, timestamp]",
    )
    limit: int = option(0, "use so many users at most: a quick look (0: all)")
    task: Literal["auto", "rank", "rate"] = option(
        "auto",
        "rank: which item comes next; rate: how it is rated; auto: rank where there are times or no ratings",
    )
    split: Literal["auto", "leave-last", "time", "random"] = option(
        "auto",
        "leave-last: each user's last items are test; time: the newest tenth is; random; auto: leave-last to rank, random to rate",
    )
    holdout: int = option(1, "leave-last: how many items of each user are test, and as many val")
    min_count: int = option(
        1, "leave items and users with fewer interactions in train out of train"
    )
    items: str = option("", "a table of items: id, title and features such as genres")
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

    domain: ClassVar[str] = "recommend"
    spec_type: ClassVar[type[Any]] = RecommendSpec
    headline: ClassVar[Objective] = Objective(name="ndcg_10", direction="max")
    objectives: ClassVar[tuple[Objective, ...]] = (
        RANK,
        Objective(name="val_hr_10", direction="max"),
        RATE,
    )
    search: ClassVar[Mapping[str, Dimension]] = {
        "architecture": Choice(("conv", "caser", "gru4rec", "sasrec")),
        "history": Choice((20, 50, 100)),
        "conv.kernel_size": Choice((2, 3, 5)),
        "conv.stride": Choice((1, 2, 4)),
        "conv.filters": Choice((32, 64, 128)),
        "conv.blocks": Choice((1, 2, 3, 4)),
        "conv.activation": Choice(("relu", "gelu")),
        "conv.norm": Choice(("none", "layer")),
        "dropout": Choice((0.1, 0.3, 0.5)),
        "train.learning_rate": Range(5e-4, 8e-3, log=True),
        "train.batch_size": Choice((32, 64, 128)),
    }
    presets: ClassVar[tuple[Mapping[str, Scalar], ...]] = (
        {"architecture": "sasrec"},
        {"architecture": "gru4rec"},
    )
    conditions: ClassVar[Mapping[str, tuple[str, tuple[Scalar, ...]]]] = {
        "conv.kernel_size": ("architecture", ("conv", "caser")),
        "conv.stride": ("architecture", ("conv",)),
        "conv.blocks": ("architecture", ("conv", "sasrec")),
        "conv.activation": ("architecture", ("conv", "caser", "sasrec", "two_tower")),
        "conv.norm": ("architecture", ("conv", "caser")),
        "recurrent": ("architecture", ("gru4rec",)),
        "heads": ("architecture", ("sasrec",)),
        "history": ("architecture", ("two_tower", "conv", "caser", "gru4rec", "sasrec")),
    }
    datasets: ClassVar[Mapping[str, str]] = {
        "movielens": "ratings of films by 671 users, of 100,004 those of films with 5 ratings or more (the extra `samples`)",
        "insteval": "73,421 ratings of lecturers by students, without times (the extra `samples`)",
        "tfds:movielens/100k-ratings": "MovieLens by its sizes in TensorFlow Datasets: 100k, 1m, 20m ... (downloads)",
    }

    def headline_metric(self, splits: "RecommendSplits") -> Objective:
        return self.headline if splits.task == "rank" else Objective(name="mse", direction="min")

    def objective_for(self, splits: "RecommendSplits", name: str = "") -> Objective:
        of_task = {
            one.name: one for one in self.objectives if (one == RATE) == (splits.task == "rate")
        }
        if name and name not in of_task:
            known = ", ".join(of_task)
            raise UsageError(
                f"--objective {name}: this data is to {splits.task}, whose objectives are {known}. Another: --task"
            )
        return of_task[name] if name else next(iter(of_task.values()))

    def load(self) -> "RecommendSplits":
        from pipelines.recommend import data

        return data.load(self)

    def cost(self, spec: RecommendSpec, splits: "RecommendSplits") -> "Cost":
        from pipelines.recommend import plans

        return plans.cost(spec, splits)

    def build(self, spec: RecommendSpec, splits: "RecommendSplits") -> "keras.Model":
        from pipelines.recommend import model

        return model.build(spec, splits)

    def training_model(
        self, model: "keras.Model", spec: RecommendSpec, splits: "RecommendSplits"
    ) -> "keras.Model":
        from pipelines.recommend import training

        return training.NextItem(model, spec, splits) if splits.task == "rank" else model

    def compile_arguments(self, spec: RecommendSpec, splits: "RecommendSplits") -> dict[str, Any]:
        from pipelines.recommend import training

        return training.compile_arguments(splits)

    def batches(
        self, splits: "RecommendSplits", part: Part, spec: RecommendSpec, *, training: bool
    ) -> "tf.data.Dataset":
        from pipelines.recommend import training as fitted

        return fitted.batches(splits, part, spec, self.seed if training else None)

    def calibrate(
        self, model: "keras.Model", splits: "RecommendSplits", like: "keras.Model | None" = None
    ) -> None:
        from pipelines.recommend import blend

        blend.calibrate(model, splits, like)

    def merge_train_val(self, splits: "RecommendSplits") -> "RecommendSplits":
        return splits.merge_train_val()

    def predict(self, model: "keras.Model", splits: "RecommendSplits", part: Part) -> "np.ndarray":
        from pipelines.recommend import blend

        return blend.predict(model, splits, part)

    def score(
        self, predictions: "np.ndarray", splits: "RecommendSplits", part: Part
    ) -> dict[str, float]:
        from pipelines.recommend import scoring

        return scoring.score(predictions, splits, part)

    def losses(
        self, predictions: "np.ndarray", splits: "RecommendSplits", part: Part
    ) -> "np.ndarray":
        from pipelines.recommend import scoring

        return scoring.losses(predictions, splits, part)

    def baselines(self, splits: "RecommendSplits") -> Iterator[Baseline]:
        from pipelines.recommend import baselines

        return baselines.baselines(splits)

    def table(
        self, predictions: "np.ndarray", splits: "RecommendSplits", part: Part
    ) -> "pd.DataFrame":
        from pipelines.recommend import scoring

        return scoring.table(predictions, splits, part)

    def plots(
        self, predictions: "np.ndarray", splits: "RecommendSplits", part: Part
    ) -> Iterator[tuple[str, "Figure"]]:
        from pipelines.recommend import plots

        return plots.plots(predictions, splits, part)

    def serve(self, model: "keras.Model", splits: "RecommendSplits") -> ServingModel:
        from pipelines.recommend import serve

        return serve.served(model, splits, self.user_column, self.item_column)

    def restore_network(self, served: ServingModel, splits: "RecommendSplits") -> "keras.Model":
        from pipelines.recommend import serve

        return serve.restore_network(served, splits)

    @classmethod
    def predict_raw(
        cls, served: ServingModel, source: "str | Path | pd.DataFrame | np.ndarray"
    ) -> "pd.DataFrame":
        from pipelines.recommend import serve

        return serve.predict_raw(served, source)
