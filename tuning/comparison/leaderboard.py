"""Runs compared with the best of them: scores, paired tests, lift over the baseline, cost."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from pipelines.config.options import Objective
from tuning.comparison.headline import headline_of, short_verdict
from tuning.reports.names import network_name
from tuning.reports.paired import TIE, Paired, compare_losses, holm
from tuning.tracking.interface import Row

# Reads the loss of each independent unit of test of a run; None where the run has kept none.
ReadLosses: TypeAlias = Callable[[Row], "np.ndarray | None"]
COSTS = {
    "seconds": "cost/train_s",
    "cpu_seconds": "cost/train_cpu_s",
    "weights": "cost/params",
    "macs": "cost/macs",
    "peak_mb": "cost/peak_mb",
    "ms": "cost/latency_ms_p50",
    "ms_p95": "cost/latency_ms_p95",
    "ms_batch_64": "cost/latency_ms_b64_p50",
    "ms_batch_64_p95": "cost/latency_ms_b64_p95",
}
BEST = "best"
NOT_PAIRED = "not paired"


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A run on a board: its test score, and how it compares with the best run of the board.

    `against_best` is None for the best run itself, and where one of the two has kept no losses.
    `p_value` is corrected for the number of runs on the board; NaN without a test.
    """

    run: Row
    score: float
    against_best: Paired | None
    p_value: float
    is_best: bool

    @property
    def network(self) -> str:
        """The architecture with its kernel size, stride and filters, such as `vgg k3 s1 f32`.

        A network without convolutions has its name alone.
        """
        return network_name(self.run.domain, self.run.params)

    @property
    def outcome(self) -> str:
        """Whether the run is the best one, better, a tie or worse; or that it is not paired."""
        if self.is_best:
            return BEST
        if self.against_best is None:
            return NOT_PAIRED
        return self.against_best.outcome(self.p_value)

    def as_json(self, metric: Objective) -> dict[str, Any]:
        """Return its row of `--json` and `--csv`: plain values, None where there is none."""
        metrics = self.run.metrics
        paired = self.against_best
        return {
            "run": self.run.id,
            "experiment": self.run.experiment,
            "name": self.run.name,
            "network": self.network,
            "data_digest": self.run.tags.get("data_digest", ""),
            "metric": metric.name,
            "direction": metric.direction,
            "score": self.score,
            "lift": metrics.get(f"lift/{metric.name}"),
            "lift_low": metrics.get("lift/low"),
            "lift_high": metrics.get("lift/high"),
            "verdict": short_verdict(self.run),
            "against_best": self.outcome,
            "difference": paired.mean if paired else None,
            "difference_low": paired.low if paired else None,
            "difference_high": paired.high if paired else None,
            "p_value": self.p_value if paired else None,
            "test": paired.test if paired else "",
            "units": paired.units if paired else None,
            **{name: metrics.get(key) for name, key in COSTS.items()},
        }


@dataclass(frozen=True, kw_only=True)
class Board:
    """Runs on the same data, compared in the same metric, the best one first."""

    title: str  # the experiment, or the experiments
    dataset: str
    digest: str
    metric: Objective
    standings: Sequence[Standing]

    @property
    def cheapest(self) -> Standing | None:
        """The run with the fewest weights among the best and those that tie with it.

        None where it is not known: no other run ties, or one of them has kept no weights.
        """
        near = [standing for standing in self.standings if standing.outcome in (BEST, TIE)]
        has_weights = all(COSTS["weights"] in standing.run.metrics for standing in near)
        if len(near) < 2 or not has_weights:
            return None
        return min(near, key=lambda standing: standing.run.metrics[COSTS["weights"]])


def boards(runs: Sequence[Row], read_losses: ReadLosses, *, best: int = 0) -> list[Board]:
    """Return one board for each data and metric among `runs`, in the order of `runs`.

    Runs without a test score are left out. `best` keeps that many runs of a board, 0 all of them:
    losses are read of those alone, and the p-values are corrected for their number.
    """
    groups: dict[tuple[str, str, str], list[Row]] = {}
    metrics: dict[str, Objective] = {}
    for run in runs:
        metric = headline_of(run)
        if metric is None or not math.isfinite(run.metrics[f"test/{metric.name}"]):
            continue
        metrics[metric.name] = metric
        key = (run.domain, run.tags.get("data_digest", ""), metric.name)
        groups.setdefault(key, []).append(run)
    return [
        _board(group, metrics[name], read_losses, best) for (_, _, name), group in groups.items()
    ]


def _board(runs: Sequence[Row], metric: Objective, read_losses: ReadLosses, best: int) -> Board:
    key = f"test/{metric.name}"
    ranked = sorted(runs, key=lambda run: run.metrics[key], reverse=metric.direction == "max")
    if best:
        ranked = ranked[:best]
    first, *others = ranked
    pairs = [_pair(run, first, read_losses) for run in others]
    tested = [pair.p_value for pair in pairs if pair]
    corrected = iter(holm(tested))
    standings = [
        Standing(
            run=first, score=first.metrics[key], against_best=None, p_value=math.nan, is_best=True
        )
    ]
    for run, pair in zip(others, pairs, strict=True):
        standings.append(
            Standing(
                run=run,
                score=run.metrics[key],
                against_best=pair,
                p_value=next(corrected) if pair else math.nan,
                is_best=False,
            )
        )
    return Board(
        title=", ".join(dict.fromkeys(run.experiment for run in ranked)),
        dataset=first.tags.get("dataset", ""),
        digest=first.tags.get("data_digest", ""),
        metric=metric,
        standings=standings,
    )


def _pair(run: Row, best: Row, read_losses: ReadLosses) -> Paired | None:
    """Compare two runs on the same data; None where one of them has kept no losses."""
    if not run.tags.get("data_digest"):
        return None
    losses, of_best = read_losses(run), read_losses(best)
    if losses is None or of_best is None or len(losses) != len(of_best):
        return None
    return compare_losses(losses, of_best)
