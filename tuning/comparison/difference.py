"""What differs between two runs: settings, data, code, packages, and how their scores differ."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines import DOMAINS, options_class
from pipelines.config.options import Objective
from tuning.comparison.examples import ChangedExamples
from tuning.comparison.headline import headline_of
from tuning.reports.paired import Paired
from tuning.tracking.interface import Row
from tuning.tracking.provenance import CODE, MACHINE

COMMIT, COMMAND = "mlflow.source.git.commit", "command"
TEST, COST = "test/", "cost/"


@dataclass(frozen=True, kw_only=True)
class Change:
    """A value that differs: what it is of, its name, and both values; "" where a run has none."""

    kind: str  # option, hyperparameter, data, code, machine or package
    key: str
    a: str
    b: str


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What is known of a run beside its row: the counts of its parts and its packages' versions."""

    sizes: Mapping[str, int]
    packages: Mapping[str, str]
    classes: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True, repr=False)
class Difference:
    """Two runs compared; `paired` and `examples` are None where they cannot be paired.

    `paired` is of the second run against the first: above 0, the second one is better.
    """

    a: Row
    b: Row
    metric: Objective | None
    changes: Sequence[Change]
    scores: Mapping[str, tuple[float, float]]
    paired: Paired | None
    unpaired: str  # why they are not paired; "" where they are
    examples: ChangedExamples | None

    def __repr__(self) -> str:
        outcome = f"not paired: {self.unpaired}"
        if self.paired:
            outcome = self.paired.outcome(self.paired.p_value)
        return f"Difference({self.a.id[:8]} to {self.b.id[:8]}: {outcome})"

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        paired = self.paired
        examples, groups = [], []
        if self.examples:
            examples = self.examples.examples.to_dict(orient="records")
            groups = self.examples.groups.to_dict(orient="records")
        return {
            "a": self.a.id,
            "b": self.b.id,
            "metric": self.metric.name if self.metric else None,
            "direction": self.metric.direction if self.metric else None,
            "changes": [vars(change) for change in self.changes],
            "scores": {key: {"a": a, "b": b} for key, (a, b) in self.scores.items()},
            "paired": vars(paired) if paired else None,
            "outcome": paired.outcome(paired.p_value) if paired else None,
            "unpaired": self.unpaired,
            "examples": examples,
            "groups": groups,
        }


def changes(a: Row, b: Row, of_a: Evidence, of_b: Evidence) -> list[Change]:
    """Return what differs between two runs, in the order of their parameters.

    Of different applications, only the settings that both have are compared.
    """
    known = {*a.params, *b.params}
    if a.domain != b.domain:
        known = {*a.params} & {*b.params}
    options: set[str] = set()
    for row in (a, b):
        if row.domain in DOMAINS:
            options.update(known.intersection(options_class(row.domain).option_names()))
    found = _changed("option", _chosen(a.params, options), _chosen(b.params, options))
    hyperparameters = known - options
    found += _changed(
        "hyperparameter", _chosen(a.params, hyperparameters), _chosen(b.params, hyperparameters)
    )
    found += _changed("data", _data(a, of_a), _data(b, of_b))
    found += _changed("code", _code(a), _code(b))
    found += _changed("machine", _machine(a), _machine(b))
    return found + _changed("package", of_a.packages, of_b.packages)


def _chosen(params: Mapping[str, str], keys: Collection[str]) -> dict[str, str]:
    return {key: value for key, value in params.items() if key in keys}


def _data(row: Row, evidence: Evidence) -> dict[str, str]:
    data = {"dataset": row.tags.get("dataset", ""), "digest": row.tags.get("data_digest", "")}
    data |= {f"{part} examples": f"{count:,}" for part, count in evidence.sizes.items()}
    if evidence.classes:
        data["classes in test"] = ", ".join(evidence.classes)
    return data


def _code(row: Row) -> dict[str, str]:
    return {
        "commit": row.tags.get(COMMIT, "")[:12],
        "digest": row.tags.get(CODE, ""),
        "command": row.tags.get(COMMAND, ""),
    }


def _machine(row: Row) -> dict[str, str]:
    return {"machine": row.tags.get(MACHINE, "")}


def _changed(kind: str, a: Mapping[str, str], b: Mapping[str, str]) -> list[Change]:
    found = []
    for key in dict.fromkeys([*a, *b]):
        before, after = a.get(key, ""), b.get(key, "")
        if before != after:
            found.append(Change(kind=kind, key=key, a=before, b=after))
    return found


def scores(a: Row, b: Row) -> dict[str, tuple[float, float]]:
    """Return the test scores and the costs that both runs have, the headline metric first."""
    headline = headline_of(b)
    first = f"{TEST}{headline.name}" if headline else ""
    shared = [key for key in b.metrics if key in a.metrics and key.startswith((TEST, COST))]
    shared.sort(key=lambda key: (key != first, not key.startswith(TEST)))
    return {key: (a.metrics[key], b.metrics[key]) for key in shared}


def why_unpaired(a: Row, b: Row) -> str:
    """Return why two runs cannot be compared example by example; "" where they can."""
    if a.domain != b.domain:
        return f"they are of different applications, {a.domain} and {b.domain}"
    digests = [row.tags.get("data_digest", "") for row in (a, b)]
    if not all(digests):
        return "it is not recorded which data they were tested on"
    if digests[0] != digests[1]:
        return f"they were tested on different data, {digests[0][:8]} and {digests[1][:8]}"
    metrics = [headline.name for headline in map(headline_of, (a, b)) if headline]
    if len(set(metrics)) > 1:  # a loss is that of its metric
        return f"they were compared in different metrics, {metrics[0]} and {metrics[1]}"
    return ""
