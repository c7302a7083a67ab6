"""Forecasting: what a person may set. Read by `--help`, so nothing heavy is imported."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pipelines.config.hyperparameters import CONDITIONS, RECURRENT_CONDITIONS
from pipelines.config.options import DemoSweep, Objective, Options, PredictOptions, option
from pipelines.config.search_space import Choice, Conditions, Dimension, Range, Scalar
from pipelines.errors import UsageError
from pipelines.forecast.columns import FILL_LIMIT, Fill
from pipelines.forecast.predict_options import ForecastPredictOptions, require_share
from pipelines.forecast.quantiles import Point
from pipelines.forecast.samples import SAMPLES
from pipelines.forecast.spec import ARCHITECTURES, ForecastSpec
from pipelines.io.numbers import Decimal

LENGTHS = ("horizon", "lookback", "season")


@dataclass(frozen=True, kw_only=True)
class ForecastOptions(Options):
    """Time series in tables, long or wide; every forecast with its quantiles."""

    data: str = option(
        "elecdemand", "a name (appline forecast datasets), or a CSV, TSV, JSONL or Parquet file"
    )
    target: str = option(
        "", "column to forecast; several with commas, '*' for all columns of numbers"
    )
    id_column: str = option("", "column that tells series apart; several with commas")
    time_column: str = option("", "column of timestamps or step numbers")
    known_future: str = option(
        "",
        "covariates that are known in advance, with commas; all others are known only afterwards",
    )
    horizon: int | None = option(
        None, "steps to forecast (default: the sample's, else by the frequency)"
    )
    lookback: int | None = option(
        None, "steps of history that the model sees (default: the sample's, else by the frequency)"
    )
    season: int | None = option(
        None, "steps of a season (default: the sample's, else by the frequency)"
    )
    freq: str = option(
        "", "time between two steps, e.g. 30min, h, D, B, MS (default: inferred from the data)"
    )
    time_format: str = option(
        "", "how times are written, as strptime has it, e.g. %d.%m.%Y (default: found out)"
    )
    day_first: bool = option(False, "read 01/02/2008 as the first of February")
    decimal: Decimal = option("", "the mark before decimals, . or , (default: found out)")
    drop_missing: bool = option(
        False,
        "leave out rows without a series or a time that can be read, and take values that are no "
        "numbers for missing",
    )
    fill: Fill = option(
        "none", "what to put in place of missing steps and empty cells; none: refuse them"
    )
    fill_limit: float = option(
        FILL_LIMIT, "largest share of values that --fill may make up, 0.05 is 5 %"
    )
    split: str = option(
        "",
        "steps of train/val/test, e.g. 8640/2880/2880, or shares, e.g. 0.7/0.1/0.2 "
        "(default: the sample's, else the latter)",
    )
    fold: str = option(
        "",
        "2/5: test is the second of five stretches of the test part, and what lies before it is "
        "train and val (train --folds goes through all of them)",
    )
    point: Point = option(
        "median", "which forecast point scores (MASE, MAE, MSE ...) are computed from"
    )
    log1p: bool = option(False, "forecast log(1 + y): for skewed values of 0 and more")
    calendar: bool = option(True, "tell the model the time of day, day of week and time of year")

    domain: ClassVar[str] = "forecast"
    predict_type: ClassVar[type[PredictOptions]] = ForecastPredictOptions
    standard_input: ClassVar[str] = ".csv"
    spec_type: ClassVar[type[Any]] = ForecastSpec
    headline: ClassVar[Objective] = Objective(name="mase", direction="min")
    objectives: ClassVar[tuple[Objective, ...]] = (
        Objective(name="val_pinball", direction="min"),
        Objective(name="val_scaled_mae", direction="min"),
        Objective(name="val_scaled_mse", direction="min"),
        Objective(name="val_loss", direction="min"),
    )
    search: ClassVar[Mapping[str, Dimension]] = {
        "architecture": Choice(("conv", "linear", "nhits", "patch_transformer", "gru", "lstm")),
        "conv.filters": Choice((16, 32, 64)),
        "conv.kernel_size": Choice((8, 16, 24, 48)),
        "conv.stride": Choice((4, 8, 12, 24)),
        "conv.blocks": Choice((1, 2, 3)),
        "conv.norm": Choice(("none", "layer", "batch")),
        "window_norm": Choice((True, False)),
        "head.units": Choice((32, 64, 128)),
        "head.dropout": Choice((0.0, 0.1, 0.3)),
        "recurrent.units": Choice((32, 64)),
        "train.learning_rate": Range(3e-4, 3e-3, log=True),
        "train.batch_size": Choice((128, 256)),
        "attention.layers": Choice((1, 2, 3)),
        "nhits.blocks": Choice((2, 3, 4)),
        "nhits.pool_size": Choice((8, 16, 24, 48)),
        "linear.trend_window": Choice((8, 16, 24, 48)),
    }
    presets: ClassVar[tuple[Mapping[str, Scalar], ...]] = (
        {"architecture": "nhits"},
        {"architecture": "linear"},
    )
    conditions: ClassVar[Conditions] = ARCHITECTURES.conditions(
        {**CONDITIONS, **RECURRENT_CONDITIONS}
    )
    datasets: ClassVar[Mapping[str, str]] = {name: sample.help for name, sample in SAMPLES.items()}
    demo: ClassVar[DemoSweep] = DemoSweep(
        trials=4,
        trial_epochs=1,
        fixed={"train.epochs": 3},
        searched={
            "conv.kernel_size": Choice((8, 16, 24)),
            "conv.stride": Choice((8, 12)),
            "conv.filters": Choice((16, 32)),
        },
    )

    def __post_init__(self) -> None:
        for name in LENGTHS:
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(
                    f"--{name} is a number of steps, 1 or more. Received: {value}. "
                    "Leave it out for the automatic choice"
                )
        require_share(self.fill_limit)
