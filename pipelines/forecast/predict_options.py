"""What may be set for `predict`. Read by `--help`, so nothing heavy is imported."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from pipelines.config.options import PredictOptions, option
from pipelines.errors import UsageError

FillOfHistory: TypeAlias = Literal["as-trained", "none", "ffill", "interpolate", "zero"]
PICTURE_SUFFIXES = (".png", ".svg", ".pdf")


@dataclass(frozen=True, kw_only=True)
class ForecastPredictOptions(PredictOptions):
    """How a history is read, and what is drawn of its forecasts."""

    target: str = option("", "column to forecast, where it is called otherwise than in training")
    id_column: str = option("", "column that tells series apart (default: as in training)")
    time_column: str = option("", "column of times (default: as in training)")
    fill: FillOfHistory = option(
        "as-trained", "what to put in place of missing steps and empty cells; none: refuse them"
    )
    plot: str = option(
        "", "draw history, forecasts and intervals into this file: .png, .svg or .pdf"
    )

    def __post_init__(self) -> None:
        suffix = Path(self.plot).suffix
        if self.plot and suffix.lower() not in PICTURE_SUFFIXES:
            raise UsageError(
                f"--plot {self.plot}: pictures are drawn as {', '.join(PICTURE_SUFFIXES)}. "
                f"Received: {suffix or 'no suffix'}. For example: --plot forecast.png"
            )

    @property
    def picture(self) -> str:
        return self.plot
