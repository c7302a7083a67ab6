"""What a training came to, in words: what answers, and whether it beats the strongest baseline.

What answers is named, for it may be a blend of the network with simple models. "The network beats"
is said of a network alone.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from pipelines.blend import NETWORK, Blend

Verdict: TypeAlias = Literal["beats", "ties", "loses to"]
CONFIDENCE = 0.95
ADDS_NOTHING = "adds nothing"  # the verdict where the network's weight is nought


@dataclass(frozen=True, kw_only=True)
class Lift:
    """How much less a model loses than a baseline on the same units of test; above 0 is better.

    `low` and `high` are the ends of a 95 % interval.
    """

    baseline: str
    mean: float
    low: float
    high: float

    @property
    def verdict(self) -> Verdict:
        """Whether the difference is certain, and in which direction."""
        if self.low > 0:
            return "beats"
        if self.high < 0:
            return "loses to"
        return "ties"

    def describe(self) -> str:
        """Return the mean and its interval in a few words."""
        return f"lift {self.mean:+.2g}, 95 % interval {self.low:+.2g} to {self.high:+.2g}"

    def as_json(self, metric: str) -> dict[str, Any]:
        """Return what `--json` prints; `metric` is the one that was compared."""
        return {
            "metric": metric,
            "over": self.baseline,
            "mean": self.mean,
            "low": self.low,
            "high": self.high,
            "verdict": self.verdict,
        }


def decisive_first(lifts: Sequence[Lift]) -> list[Lift]:
    """Return lifts, given that over the strongest baseline first, with the decisive one first.

    Where the strongest baseline is beaten and others are not, it is the least of theirs: "beats"
    says that no baseline is as good. Which one is best on validation may be luck, so that to beat
    that one alone would say too little.
    """
    not_beaten = [lift for lift in lifts if lift.verdict != "beats"]
    if not not_beaten or lifts[0] in not_beaten:
        return list(lifts)
    decisive = min(not_beaten, key=lambda lift: lift.mean)
    return [decisive, *(lift for lift in lifts if lift is not decisive)]


@dataclass(frozen=True)
class Spread:
    """A number that was measured with several seeds, or in several folds."""

    values: Sequence[float]

    @property
    def mean(self) -> float:
        """The mean over the seeds or folds."""
        return statistics.fmean(self.values)

    @property
    def standard_error(self) -> float:
        """How far the mean may be from that of all seeds there are."""
        return float(statistics.stdev(self.values) / len(self.values) ** 0.5)

    def describe(self, sign: str = "") -> str:
        """Return mean, standard error and range in a few words; `sign` is a format's."""
        low, high = min(self.values), max(self.values)
        error = f"{self.standard_error:.2g}"
        return f"{self.mean:{sign}.4g} ± {error} ({low:{sign}.4g} to {high:{sign}.4g})"

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return {
            "mean": self.mean,
            "standard_error": self.standard_error,
            "min": min(self.values),
            "max": max(self.values),
            "values": list(self.values),
        }


def sentence(
    answers: Blend,
    lift: Lift | None,
    metric: str,
    scores: Mapping[str, float],
    spread: Spread | None = None,
) -> str:
    """Return one sentence on what answers and how it compares with the strongest baseline.

    `scores` are those of `metric` on test by model: under `row_name(answers)` what answers. Where
    it was fitted with several seeds, `spread` are its scores with each of them.
    """
    score = f"test {metric} {scores[row_name(answers)]:.4g}"
    if spread:
        mean = f"{spread.mean:.4g} ± {spread.standard_error:.2g}"
        score = f"mean test {metric} {mean} over {len(spread.values)} seeds"
    if lift is None:
        return f"{_subject(answers)} has {score}, with no baseline to compare"
    theirs = f"{scores[lift.baseline]:.4g}"
    if list(answers.shares) == [lift.baseline]:
        return f"{_nothing(answers)}: {score}, and {theirs} of {lift.baseline} by itself"
    if answers.adds_nothing:
        comparison = f"it {lift.verdict} {lift.baseline}"
        return f"{_nothing(answers)}; {comparison}: {score} against {theirs} ({lift.describe()})"
    comparison = f"{_subject(answers)} {lift.verdict} {lift.baseline}"
    return f"{comparison}: {score} against {theirs} ({lift.describe()})"


def folds_sentence(
    answers: str,
    lift: Lift | None,
    metric: str,
    scores: Mapping[str, float],
    spread: Spread,
    num_adding_nothing: int,
) -> str:
    """Return one sentence on the mean over the folds of cross-validation.

    `scores` are the means of `metric` on test by model, under `answers` that of what answers, and
    `spread` has its values in all folds.
    """
    subject = "The network" if answers == NETWORK else "The blend with the network"
    folds = len(spread.values)
    score = f"mean test {metric} {spread.mean:.4g} ± {spread.standard_error:.2g} over {folds} folds"
    if lift is None:
        return f"{subject} has {score}, with no baseline to compare"
    theirs = f"{scores[lift.baseline]:.4g}"
    comparison = (
        f"{subject} {lift.verdict} {lift.baseline}: {score} against {theirs} ({lift.describe()})"
    )
    if not num_adding_nothing:
        return comparison
    return f"{comparison}; in {num_adding_nothing} of them the network {ADDS_NOTHING}"


def _subject(answers: Blend) -> str:
    if answers.is_network_alone:
        return "The network"
    if answers.adds_nothing:
        return f"{_nothing(answers)}; it"
    return f"The blend of {answers.describe()}"


def _nothing(answers: Blend) -> str:
    beside = f"; {answers.beside}" if answers.beside else ""
    return f"The answer is {answers.describe()}: the network {ADDS_NOTHING} (weight 0{beside})"


def in_a_word(answers: Blend, lift: Lift | None) -> str | None:
    """Return "beats", "ties", "loses to" or "adds nothing"; None without a baseline."""
    if answers.adds_nothing:
        return ADDS_NOTHING
    return lift.verdict if lift else None


def tag(answers: Blend, lift: Lift | None, num_seeds: int = 1) -> str:
    """Return the verdict in a few words, for a column: what answers, and what it beats."""
    parts = answers.describe()
    seeds = f" over {num_seeds} seeds" if num_seeds > 1 else ""
    if answers.adds_nothing:
        return f"the network {ADDS_NOTHING}: {parts} answers"
    if lift is None:
        return ""
    if answers.is_network_alone:
        return f"the network {lift.verdict} {lift.baseline}{seeds}"
    return f"the blend {lift.verdict} {lift.baseline}{seeds} ({parts})"


def row_name(answers: Blend) -> str:
    """Return the name of what answers in a table of scores."""
    if answers.is_network_alone:
        return NETWORK
    if len(answers.shares) == 1:
        return f"answer: {answers.describe()}"
    return "answer: blend"


def gate_failure(answers: Blend, lift: Lift | None) -> str:
    """Return why `--gate` fails: what answers is worse than the strongest baseline; else ""."""
    if lift is None or lift.mean >= 0:
        return ""
    what = f"the blend of {answers.describe()}"
    if answers.is_network_alone:
        what = "the network"
    elif answers.adds_nothing:
        what = f"the answer ({answers.describe()}, to which the network {ADDS_NOTHING})"
    return f"{what} is worse than {lift.baseline}"
