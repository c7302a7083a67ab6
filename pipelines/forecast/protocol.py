"""How series are cut into windows.

The user's options come first, then what the sample is scored by, then what is usual at this step.
"""

from dataclasses import dataclass, replace

from pipelines.errors import UsageError
from pipelines.evaluation.folds import Fold, parse_fold
from pipelines.forecast.frequency import DAY, Frequency
from pipelines.forecast.options import ForecastOptions
from pipelines.forecast.samples import Sample

SHARES = (0.7, 0.1, 0.2)  # of the steps, for train, val and test
TOLERANCE = 1e-6  # of the sum of the shares
LONGEST_DAY = 96  # steps that are forecast at most, of a day
LONGEST_WEEK = 336  # steps of history, a week of half hours

Counts = tuple[int, int, int]
Shares = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class WindowProtocol:
    """How windows are cut: lengths in steps, and how many steps each part gets.

    `counts` are the steps of train, val and test; None means that `shares` decides. With a `fold`
    the test part is a stretch of that, and val the steps right before it (a rolling origin).
    """

    horizon: int
    lookback: int
    season: int
    counts: Counts | None = None
    shares: Shares = SHARES
    log1p: bool = False
    calendar: bool = True
    limit: int = 0
    fold: Fold | None = None


@dataclass(frozen=True, kw_only=True)
class DefaultWindows:
    """What is usually forecast at steps of this size, and from how much history."""

    horizon: int
    lookback: int


def default_windows(frequency: Frequency) -> DefaultWindows:
    """Return the default horizon and lookback.

    The horizon is a day within days, two weeks of days, or a year of months.
    """
    size = frequency.size
    if frequency.kind == "months":
        return DefaultWindows(horizon=max(12 // size, 2), lookback=max(36 // size, 6))
    if frequency.kind == "integer":
        return DefaultWindows(horizon=12, lookback=48)
    if frequency.kind == "business":
        return DefaultWindows(horizon=10, lookback=60)
    if size < DAY:
        steps = max(DAY // size, 1)
        horizon = min(steps, LONGEST_DAY)
        lookback = min(7 * steps, LONGEST_WEEK) if steps <= 48 else 4 * horizon
        return DefaultWindows(horizon=horizon, lookback=lookback)
    if size == DAY:
        return DefaultWindows(horizon=14, lookback=56)
    return DefaultWindows(horizon=8, lookback=52)


def window_protocol(
    options: ForecastOptions, sample: Sample | None, frequency: Frequency
) -> WindowProtocol:
    """Return how windows are cut.

    Raises:
        UsageError: `--split` is no division.
    """
    default = default_windows(frequency)
    counts, shares = parse_split(options.split)
    if sample:
        season = options.season or sample.season
        horizon = options.horizon or sample.horizon
        lookback = options.lookback or sample.lookback
        if not options.split:
            counts = sample.split
    else:
        season = options.season or frequency.season
        horizon = options.horizon or default.horizon
        # A season that is longer than the history cannot be seen in it.
        lookback = options.lookback or max(default.lookback, 2 * season, horizon)
    return WindowProtocol(
        horizon=horizon,
        lookback=lookback,
        season=season,
        counts=counts,
        shares=shares,
        log1p=options.log1p,
        calendar=options.calendar,
        limit=options.limit,
        fold=parse_fold(options.fold),
    )


def fitted_to_length(
    protocol: WindowProtocol, options: ForecastOptions, longest: int, notes: list[str]
) -> WindowProtocol:
    """Return lengths that series of at most `longest` steps allow, where nobody has set them.

    The horizon fits into the validation part, the lookback into two thirds of what train has
    besides, and a season into train. A note says what was made shorter.
    """
    if protocol.counts is None:
        train, val = (int(share * longest) for share in protocol.shares[:2])
    else:
        train, val = protocol.counts[:2]
    horizon, lookback = protocol.horizon, protocol.lookback
    if options.horizon is None:
        horizon = max(1, min(horizon, val))
    if options.lookback is None:
        lookback = max(1, min(lookback, (train - horizon) * 2 // 3))
    if (horizon, lookback) != (protocol.horizon, protocol.lookback):
        notes.append(
            f"the longest series has {longest:,} steps: --horizon {horizon} and "
            f"--lookback {lookback} in place of {protocol.horizon} and {protocol.lookback}"
        )
    season = protocol.season
    if options.season is None and season >= train:
        notes.append(
            f"train has {train:,} steps, less than a season of {season:,}: --season 1 in its place"
        )
        season = 1
    return replace(protocol, horizon=horizon, lookback=lookback, season=season)


def parse_split(text: str) -> tuple[Counts | None, Shares]:
    """Read `--split`: three counts of steps, or three shares that sum to 1.

    Raises:
        UsageError: it is neither.
    """
    if not text:
        return None, SHARES
    try:
        train, val, test = (float(part) for part in text.split("/"))
    except ValueError:
        raise UsageError(
            f"--split is train/val/test, e.g. 8640/2880/2880 or 0.7/0.1/0.2. Received: {text!r}"
        ) from None
    if min(train, val, test) <= 0:
        raise UsageError(f"--split: every part needs steps. Received: {text!r}")
    if abs(train + val + test - 1) < TOLERANCE:
        return None, (train, val, test)
    if any(part != int(part) for part in (train, val, test)):
        raise UsageError(
            f"--split: shares must sum to 1; counts must be whole numbers. Received: {text!r}"
        )
    return (int(train), int(val), int(test)), SHARES
