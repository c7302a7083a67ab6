"""What a training has found: scores, baselines, seeds, costs, the verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.blend import ALONE, Blend
from pipelines.config.options import Objective
from pipelines.config.search_space import Scalar
from pipelines.networks.receptive_field import ReceptiveField
from tuning import verdicts
from tuning.verdicts import Lift, Spread

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

NETWORK_ALONE = "network alone"  # the row of a network that does not answer alone
GRADIENT_NORM = "grad_norm/"  # begins the name of a curve of gradient norms


@dataclass(frozen=True, kw_only=True)
class ScoredBaseline:
    """A baseline in a comparison: its scores on val and test, and its loss for each test unit.

    `cost` has the names of a network's: seconds and CPU seconds of fitting and predicting, and the
    times of an answer where they could be taken. `tables` are `Pipeline.score_tables` of test.
    `mistakes` are `Pipeline.mistakes` of test. `read_from` is the run that has computed it, and has
    its tables, where that was an earlier one.
    """

    name: str
    val: Mapping[str, float]
    test: Mapping[str, float]
    losses: np.ndarray
    cost: Mapping[str, float]
    params: Mapping[str, Scalar]
    tables: "Mapping[str, pd.DataFrame]" = field(default_factory=dict)
    mistakes: "pd.DataFrame | None" = None
    read_from: str = ""

    @property
    def seconds(self) -> float:
        """Wall-clock seconds of fitting and predicting."""
        return self.cost["train_s"]


@dataclass(frozen=True, kw_only=True)
class SeedScores:
    """The test scores of one network that was fitted with several seeds; the first is served."""

    seeds: Sequence[int]
    test: Sequence[Mapping[str, float]]  # by seed, the scores of what answers
    diverged: Sequence[int] = ()  # further seeds, with which the training had no end
    num_adding_nothing: int = 0  # seeds with which the network has no part in the answers
    seconds: float  # of the fits with all seeds

    def spread(self, metric: str) -> Spread:
        """Return the values of a metric of `test` with all seeds."""
        return Spread([scores[metric] for scores in self.test])

    def means(self) -> dict[str, float]:
        """Return the mean of each metric that all seeds have."""
        return means_of(self.test)

    def describe(self, metric: str, baseline: float | None, direction: str) -> str:
        """Return the scores over the seeds and, against that of a baseline, the lift."""
        parts = [f"{len(self.seeds)}: test {metric} {self.spread(metric).describe()}"]
        lift = self.lift(metric, baseline, direction)
        if lift:
            parts.append(f"lift {lift.describe('+')}")
        if self.num_adding_nothing:
            parts.append(f"the network adds nothing with {self.num_adding_nothing} of them")
        if self.diverged:
            parts.append(f"training diverged with {', '.join(map(str, self.diverged))}")
        parts.append(f"the model is that of seed {self.seeds[0]}")
        return "; ".join(parts)

    def lift(self, metric: str, baseline: float | None, direction: str) -> Spread | None:
        """Return the lift over the score of a baseline with all seeds; None without one."""
        if baseline is None:
            return None
        sign = 1 if direction == "max" else -1
        return Spread([sign * (scores[metric] - baseline) for scores in self.test])


@dataclass(frozen=True, kw_only=True, repr=False)
class TrainResult:
    """The result of a training: what a person wants to know at the end of a run.

    `answers` is what the model that is served is made of: `val` and `test` are its scores.
    `alone_val` and `alone_test` are those of the network without what it is blended with.
    `best_epoch_score` is the objective in the epoch whose weights were kept, while the network was
    fitted: before the weights of a blend were. `model_file` is where the model lies, empty where
    that is no path of this machine.
    `network` is the architecture with its kernel size, stride and filters.
    `changed` are the hyperparameters that differ from their defaults. `test_uses` is how many
    models of the store were scored on this test part, this one among them. `seeds` are the scores
    with several seeds, None where there was one: `lift` is then that over all of them, and all else
    is of the first, whose model is kept. `lift` is the decisive one (see `decisive_first`), `lifts`
    are over each baseline, that one first. `tables` are `Pipeline.score_tables` of test. `figures`
    are those of its run, by name; `mistakes` are tables of the worst ones, of what answers and of
    the strongest baseline, by the names of `rows`.
    """

    domain: str
    dataset: str
    run_id: str
    url: str
    objective: Objective
    headline: Objective
    best_epoch_score: float
    best_epoch: int
    epochs: int
    stopped: str  # why it ended before its last epoch; empty when it did not
    val: Mapping[str, float]
    test: Mapping[str, float]
    baselines: Sequence[ScoredBaseline]
    lift: Lift | None
    cost: Mapping[str, float]
    notes: Sequence[str]
    answers: Blend = ALONE
    alone_val: Mapping[str, float]
    alone_test: Mapping[str, float]
    model_file: str = ""
    changed: Mapping[str, Any] = field(default_factory=dict)
    test_uses: int = 1
    seeds: SeedScores | None = None
    network: str = ""
    test_examples: int = 0
    tables: "Mapping[str, pd.DataFrame]" = field(default_factory=dict)
    receptive_field: ReceptiveField | None = None
    lifts: Sequence[Lift] = ()
    figures: "Mapping[str, Figure]" = field(default_factory=dict)
    mistakes: "Mapping[str, pd.DataFrame]" = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """One sentence: does what answers beat the baselines, and how sure is that?

        It names the strongest baseline, the one that is best on val, or another that is not beaten.
        """
        metric = self.headline.name
        scores = {name: test[metric] for name, test in self.rows()}
        spread = self.seeds.spread(metric) if self.seeds else None
        return verdicts.sentence(self.answers, self.lift, metric, scores, spread)

    @property
    def verdict_tag(self) -> str:
        """The verdict in a few words, for a column."""
        return verdicts.tag(self.answers, self.lift, len(self.seeds.seeds) if self.seeds else 1)

    @property
    def cost_line(self) -> str:
        """What the model costs beside its weights, in one line."""
        cost = self.cost
        parts = [
            f"{cost['train_s']:.1f} s to train ({cost['train_cpu_s']:.1f} s of CPU)",
            f"{cost['latency_ms_p50']:.2f} ms an example",
            f"64 in {cost['latency_ms_b64_p50']:.3g} ms",
        ]
        if "macs" in cost:
            parts.append(f"{cost['macs'] / 1e6:,.3g} million MACs")
        if "peak_mb" in cost:
            parts.append(f"{cost['peak_mb']:,.0f} MB at most")
        return ", ".join(parts)

    @property
    def seeds_line(self) -> str:
        """What the seeds differ in, in one line; "" where there was one."""
        if self.seeds is None:
            return ""
        headline = self.headline
        return self.seeds.describe(headline.name, self._strongest_score(), headline.direction)

    @property
    def seeds_lift(self) -> Spread | None:
        """The lift with each seed; None where there was one seed, or no baseline."""
        if self.seeds is None:
            return None
        headline = self.headline
        return self.seeds.lift(headline.name, self._strongest_score(), headline.direction)

    def _strongest_score(self) -> float | None:
        """The headline metric of the baseline that the lift is over."""
        for baseline in self.baselines:
            if self.lift and baseline.name == self.lift.baseline:
                return baseline.test[self.headline.name]
        return None

    @property
    def gate_failure(self) -> str:
        """Why what answers fails `--gate`: it is worse than the strongest baseline; else ""."""
        return verdicts.gate_failure(self.answers, self.lift)

    def rows(self) -> list[tuple[str, Mapping[str, float]]]:
        """Return the test scores by model: what answers, the network alone, then the baselines.

        With several seeds, their mean comes second.
        """
        rows = [(verdicts.row_name(self.answers), self.test)]
        if self.seeds:
            rows.append((f"mean of {len(self.seeds.seeds)} seeds", self.seeds.means()))
        if not self.answers.is_network_alone:
            rows.append((NETWORK_ALONE, self.alone_test))
        rows += [(baseline.name, baseline.test) for baseline in self.baselines]
        return rows

    def scores(self) -> "pd.DataFrame":
        """Return the test scores of `rows`, with seconds of training.

        One row is one model.
        """
        import pandas as pd

        seconds = {baseline.name: baseline.seconds for baseline in self.baselines}
        rows = {}
        for name, scores in self.rows():
            rows[name] = {**scores, "train_s": seconds.get(name, self.cost["train_s"])}
        return pd.DataFrame.from_dict(rows, orient="index")

    def __repr__(self) -> str:
        return f"TrainResult({self.domain} / {self.dataset}: {self.verdict})"

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return {
            "domain": self.domain,
            "dataset": self.dataset,
            "run_id": self.run_id,
            "url": self.url,
            "model_file": self.model_file,
            "verdict": verdicts.in_a_word(self.answers, self.lift),
            "headline": self.verdict,
            "answers": {"description": self.answers.describe(), "shares": self.answers.shares},
            "objective": self.objective.name,
            "best_epoch_score": self.best_epoch_score,
            "best_epoch": self.best_epoch,
            "epochs": self.epochs,
            "stopped": self.stopped,
            "val": dict(self.val),
            "test": dict(self.test),
            "network_alone": {"val": dict(self.alone_val), "test": dict(self.alone_test)},
            "baselines": {baseline.name: dict(baseline.test) for baseline in self.baselines},
            **tables_as_json(self.tables),
            "receptive_field": self.receptive_field.as_json() if self.receptive_field else None,
            "lift": self.lift.as_json(self.headline.name) if self.lift else None,
            "lifts": [lift.as_json(self.headline.name) for lift in self.lifts],
            "cost": dict(self.cost),
            "baseline_costs": {baseline.name: dict(baseline.cost) for baseline in self.baselines},
            "notes": list(self.notes),
            "changed": dict(self.changed),
            "test_uses": self.test_uses,
            "seeds": self._seeds_as_json(),
        }

    def _seeds_as_json(self) -> dict[str, Any] | None:
        if self.seeds is None:
            return None
        lift = self.seeds_lift
        return {
            "seeds": list(self.seeds.seeds),
            "diverged": list(self.seeds.diverged),
            "metric": self.headline.name,
            "score": self.seeds.spread(self.headline.name).as_json(),
            "lift": lift.as_json() if lift else None,
            "test": [dict(scores) for scores in self.seeds.test],
            "network_adds_nothing": self.seeds.num_adding_nothing,
            "seconds": self.seeds.seconds,
        }


def means_of(scores: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean of each metric that all of `scores` have."""
    shared = [name for name in scores[0] if all(name in some for some in scores)]
    return {name: float(np.mean([some[name] for some in scores])) for name in shared}


def tables_as_json(tables: "Mapping[str, pd.DataFrame]") -> dict[str, list[dict[str, Any]]]:
    """Return tables of scores as plain rows, None where there is no number."""
    plain = {}
    for name, table in tables.items():
        known = table.astype(object).where(table.notna(), None)
        rows = known.itertuples(index=False, name=None)
        plain[name] = [dict(zip(map(str, table.columns), row, strict=True)) for row in rows]
    return plain
