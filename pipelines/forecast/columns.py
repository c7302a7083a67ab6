"""Which columns of a table mean what. Read by `--help`, so nothing heavy is imported."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from pipelines.io.numbers import Decimal

Fill: TypeAlias = Literal["none", "ffill", "interpolate", "zero"]
FILL_LIMIT = 0.05
SERIES_MARK = "/"  # between the cells of several columns that name a series together


@dataclass(frozen=True, kw_only=True)
class Columns:
    """What the user said about a table's columns; an empty text leaves a column to its usual names.

    `decimal` is the mark before decimals, found out where it is empty. `drop_missing` leaves out
    rows without a series or a time that can be read, and takes what is no number for missing.
    `fill_limit` is the largest share of rows that `fill` may make up.

    `id` may be several names with commas, which tell series apart together.

    `target` may be several names with commas, or "*" for all columns of numbers. `known` are the
    covariates that are known in advance. `covariates` are all those that a saved model needs; None
    takes every further column of numbers.
    """

    target: str = ""
    id: str = ""
    time: str = ""
    known: tuple[str, ...] = ()
    freq: str = ""
    fill: Fill = "none"
    fill_limit: float = FILL_LIMIT
    time_format: str = ""
    day_first: bool = False
    decimal: Decimal = ""
    drop_missing: bool = False
    covariates: tuple[str, ...] | None = None


def several_ids(given: str) -> list[str]:
    """Return the names of several columns that tell series apart together, [] where it is one."""
    names = [name.strip() for name in given.split(",")]
    return names if len(names) > 1 else []
