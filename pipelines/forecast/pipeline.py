"""Forecasting: the options a person may set, the hyperparameters, and the contract kept.

Nothing heavy is imported before a method needs it: the command line reads this module for `--help`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pipelines.config.options import Objective, option
from pipelines.config.search_space import Choice, Dimension, Range, Scalar
from pipelines.errors import UsageError
from pipelines.forecast.spec import ForecastSpec
from pipelines.pipeline import Baseline, Pipeline, ServingModel
from pipelines.splits import Part

if TYPE_CHECKING:
    import keras
    import numpy as np
    import pandas as pd
    import tensorflow as tf
    from matplotlib.figure import Figure

    from pipelines.forecast.splits import ForecastSplits
    from pipelines.networks.plan import Cost

CONVOLVED: tuple[Scalar, ...] = ("conv", "lstm", "gru", "patch_transformer")


@dataclass(frozen=True, kw_only=True)
class ForecastPipeline(Pipeline[ForecastSpec, "ForecastSplits"]):
    """Time series in tables, long or wide; every forecast with its quantiles."""

    data: str = option(
        "elecdemand", "a name (appline forecast datasets), or a CSV, TSV, JSONL or Parquet file"
    )
    target: str = option(
        "", "column to forecast; several with commas, '*' for all columns of numbers"
    )
    id_column: str = option("", "column that tells series apart")
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
    freq: str = option("", "distance of two steps, e.g. 30min, h, D, B, MS (default: inferred)")
    fill: Literal["none", "ffill", "interpolate", "zero"] = option(
        "none", "what stands for missing steps and empty cells; none: refuse them"
    )
    split: str = option(
        "",
        "steps of train/val/test, e.g. 8640/2880/2880, or shares, e.g. 0.7/0.1/0.2 (default: the sample's, else the latter)",
    )
    point: Literal["median", "mean"] = option(
        "median", "which forecast point scores (MASE, MAE, MSE ...) are computed from"
    )
    log1p: bool = option(False, "forecast log(1 + y): for skewed values of 0 and more")
    calendar: bool = option(True, "tell the model the time of day, day of week and time of year")

    domain: ClassVar[str] = "forecast"
    spec_type: ClassVar[type[Any]] = ForecastSpec
    headline: ClassVar[Objective] = Objective(name="mase", direction="min")
    objectives: ClassVar[tuple[Objective, ...]] = (
        Objective(name="val_pinball", direction="min"),
        Objective(name="val_mae", direction="min"),
        Objective(name="val_mse", direction="min"),
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
    }
    presets: ClassVar[tuple[Mapping[str, Scalar], ...]] = (
        {"architecture": "nhits"},
        {"architecture": "linear"},
    )
    conditions: ClassVar[Mapping[str, tuple[str, tuple[Scalar, ...]]]] = {
        "conv.filters": ("architecture", CONVOLVED),
        "conv.stride": ("architecture", CONVOLVED),
        "conv.blocks": ("architecture", ("conv", "nhits", "patch_transformer")),
        "conv.norm": ("architecture", CONVOLVED),
        "head.units": ("architecture", (*CONVOLVED, "nhits")),
        "recurrent": ("architecture", ("lstm", "gru")),
        "heads": ("architecture", ("patch_transformer",)),
    }
    datasets: ClassVar[Mapping[str, str]] = {
        "elecdemand": "half-hourly electricity demand of Victoria in 2014, with temperature and working days (17,520 rows)",
        "us_employment": "monthly employment in the United States, 145 series from 1990 to 2019",
        "taylor": "half-hourly electricity demand of England and Wales, 12 weeks without timestamps (4,032 rows)",
        "chicago": "daily ridership of a Chicago train station with weather and home games (5,698 rows)",
    }

    def __post_init__(self) -> None:
        for flag in ("horizon", "lookback", "season"):
            value = getattr(self, flag)
            if value is not None and value < 1:
                raise UsageError(
                    f"--{flag} is a number of steps, 1 or more. Received: {value}. Leave it out for the automatic choice"
                )

    def load(self) -> "ForecastSplits":
        from pipelines.forecast import data

        return data.load(self)

    def cost(self, spec: ForecastSpec, splits: "ForecastSplits") -> "Cost":
        from pipelines.forecast import plans

        return plans.cost(spec, splits)

    def build(self, spec: ForecastSpec, splits: "ForecastSplits") -> "keras.Model":
        from pipelines.forecast import model

        return model.build(spec, splits)

    def compile_arguments(self, spec: ForecastSpec, splits: "ForecastSplits") -> dict[str, Any]:
        import keras

        from pipelines.forecast import model

        functions = {
            "pinball": model.pinball,
            "mae": model.absolute_error,
            "mse": model.squared_error,
        }
        return {
            "loss": model.loss,
            "metrics": [
                keras.metrics.MeanMetricWrapper(function, name=name)
                for name, function in functions.items()
            ],
        }

    def batches(
        self, splits: "ForecastSplits", part: Part, spec: ForecastSpec, *, training: bool
    ) -> "tf.data.Dataset":
        from pipelines.forecast import windows

        return windows.batches(
            splits, part, spec.train.batch_size, seed=self.seed if training else None
        )

    def predict(self, model: "keras.Model", splits: "ForecastSplits", part: Part) -> "np.ndarray":
        """Return mean and quantiles in the target's own units: (windows, horizon, 1 + levels).

        Those of test are calibrated on what had come true by then; those of val are what the network said.
        """
        from pipelines.forecast import calibration, windows

        if part != "test":
            return splits.unscale(windows.predict(model, splits, part)[0], splits.starts[part])
        val, test, _ = calibration.trusted(model, splits)
        calibration.rolling(val, test, splits)
        return test

    def score(
        self, predictions: "np.ndarray", splits: "ForecastSplits", part: Part
    ) -> dict[str, float]:
        from pipelines.forecast import scoring

        return scoring.score(predictions, splits, part, self.point)

    def losses(
        self, predictions: "np.ndarray", splits: "ForecastSplits", part: Part
    ) -> "np.ndarray":
        """Return MASE of each independent unit (see `scoring.units`), weighted so that their plain mean is the headline."""
        from pipelines.forecast import scoring

        return scoring.losses(predictions, splits, part, self.point)

    def baselines(self, splits: "ForecastSplits") -> Iterator[Baseline]:
        from pipelines.forecast import baselines

        return baselines.baselines(splits)

    def table(
        self, predictions: "np.ndarray", splits: "ForecastSplits", part: Part
    ) -> "pd.DataFrame":
        from pipelines.forecast import plots

        return plots.table(predictions, splits, part)

    def plots(
        self, predictions: "np.ndarray", splits: "ForecastSplits", part: Part
    ) -> "Iterator[tuple[str, Figure]]":
        from pipelines.forecast import plots

        return plots.plots(predictions, splits, part, self.point)

    def serve(self, model: "keras.Model", splits: "ForecastSplits") -> ServingModel:
        from pipelines.forecast import serve

        return serve.serve(model, splits)

    def restore_network(self, served: ServingModel, splits: "ForecastSplits") -> "keras.Model":
        from pipelines.forecast import serve

        return serve.restore_network(served, splits)

    @classmethod
    def predict_raw(
        cls, served: ServingModel, source: "str | Path | pd.DataFrame | np.ndarray"
    ) -> "pd.DataFrame":
        from pipelines.forecast import answers

        return answers.predict_raw(served, source)
