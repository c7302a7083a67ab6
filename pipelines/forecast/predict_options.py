"""What may be set for `predict`. Read by `--help`, so nothing heavy is imported."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, TypeAlias

from pipelines.config.options import DRIFT_HELP, Explain, PredictOptions, option
from pipelines.errors import UsageError
from pipelines.forecast.columns import FILL_LIMIT
from pipelines.io.numbers import Decimal
from pipelines.io.picture_files import require_explain

FillOfHistory: TypeAlias = Literal["as-trained", "none", "ffill", "interpolate", "zero"]
PICTURE_SUFFIXES = (".png", ".svg", ".pdf")


def require_share(fill_limit: float) -> None:
    """Raise `UsageError` where `--fill-limit` is no share."""
    if not 0 <= fill_limit <= 1:
        raise UsageError(
            f"--fill-limit is a share from 0 to 1, 0.05 for 5 %. Received: {fill_limit}"
        )


@dataclass(frozen=True, kw_only=True)
class ForecastPredictOptions(PredictOptions):
    """How a history is read, and what is drawn of its forecasts."""

    target: str = option("", "column to forecast, where it is called otherwise than in training")
    id_column: str = option(
        "", "column that tells series apart; several with commas (default: as in training)"
    )
    time_column: str = option("", "column of times (default: as in training)")
    time_format: str = option(
        "", "how times are written, as strptime has it, e.g. %d.%m.%Y (default: as in training)"
    )
    day_first: bool = option(False, "read 01/02/2008 as the first of February")
    decimal: Decimal = option("", "the mark before decimals, . or , (default: as in training)")
    drop_missing: bool = option(
        False,
        "leave out rows without a series or a time that can be read, and take values that are no "
        "numbers for missing",
    )
    fill: FillOfHistory = option(
        "as-trained", "what to put in place of missing steps and empty cells; none: refuse them"
    )
    fill_limit: float = option(
        FILL_LIMIT, "largest share of values that --fill may make up, 0.05 is 5 %"
    )
    drift: bool = option(False, DRIFT_HELP)
    explain: Explain = option(
        "",
        "say in columns what the mean is the sum of (by_level, by_calendar, by_shape: season and "
        "trend of the history, by_<covariate>), and draw it for each series into this folder",
    )
    plot: str = option(
        "", "draw history, forecasts and intervals into this file: .png, .svg or .pdf"
    )

    of_requests: ClassVar[tuple[str, ...]] = (
        "skip_unreadable",
        "target",
        "id_column",
        "time_column",
        "time_format",
        "day_first",
        "decimal",
        "drop_missing",
        "fill",
        "fill_limit",
        "drift",
        "explain",
    )

    def __post_init__(self) -> None:
        suffix = Path(self.plot).suffix
        if self.plot and suffix.lower() not in PICTURE_SUFFIXES:
            raise UsageError(
                f"--plot {self.plot}: pictures are drawn as {', '.join(PICTURE_SUFFIXES)}. "
                f"Received: {suffix or 'no suffix'}. For example: --plot forecast.png"
            )

        require_share(self.fill_limit)

    def check(self, inputs: tuple[str, ...], force: bool) -> None:
        require_explain(self.explain, force)

    @property
    def picture(self) -> str:
        return self.plot
