"""Baselines that the store has already: computed once for the same data, settings and code."""

import hashlib
import importlib.metadata
import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipelines.io.digest import HEX_DIGITS
from pipelines.pipeline import AnyPipeline
from pipelines.pretrained import weights
from pipelines.pretrained.catalogue import CATALOGUE
from pipelines.splits import Splits
from tuning.results.training import ScoredBaseline
from tuning.tracking.hidden_tags import HIDDEN
from tuning.tracking.interface import PARENT, TEST_MISTAKES, TEST_SCORES, Row, Tracker
from tuning.tracking.provenance import code_digest
from tuning.training.prefixes import without_prefix

if TYPE_CHECKING:
    import pandas as pd

# Tags of a baseline's run: what its set was computed from, and which of the set it is ("1 of 3").
SET, POSITION = f"{HIDDEN}baseline_set", f"{HIDDEN}baseline_position"
READ_FROM = "read_from"  # the tag of one that was not computed: the run that had computed it
LOSSES = "losses.parquet"  # exact to the last bit, as lifts are; MLflow's scores have 6 digits
# Packages that decide what a baseline answers.
PACKAGES = ("numpy", "scipy", "pandas", "scikit-learn", "keras", "tensorflow")


def set_of(pipeline: AnyPipeline, splits: Splits) -> str:
    """Return 16 hex digits that identify all that the baselines depend on.

    A change of the data, its division, an option, a file that an option names, the code, a package
    or of the pretrained weights that are here gives other digits.
    """
    kind = type(pipeline)
    parts = {
        "pipeline": f"{kind.__module__}.{kind.__qualname__}",
        "data": splits.digest,
        "sizes": splits.sizes(),
        "options": pipeline.options.as_params(),
        "code": code_digest(),
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
        "read": dict(pipeline.baselines_read()),
        "weights": [name for name in sorted(CATALOGUE) if weights.is_here(name)],
    }
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:HEX_DIGITS]


def tags_of(baselines: Sequence[ScoredBaseline], number: int, computed_from: str) -> dict[str, str]:
    """Return the tags of a baseline's run, from which later runs know what it is.

    `number` is its place in the set, from 1; `computed_from` is what `set_of` has returned.
    """
    baseline = baselines[number - 1]
    if baseline.read_from:
        return {READ_FROM: baseline.read_from}
    for other in baselines:
        # MLflow keeps no score that is no number: such a set could not be read back whole.
        if not all(map(math.isfinite, [*other.val.values(), *other.test.values()])):
            return {}
    return {SET: computed_from, POSITION: f"{number} of {len(baselines)}"}


def tables(scored: ScoredBaseline) -> "dict[str, pd.DataFrame]":
    """Return what the run of a baseline keeps: its losses, for later runs, and its score tables."""
    import pandas as pd

    scores = {TEST_SCORES.format(name): table for name, table in scored.tables.items()}
    kept = {LOSSES: pd.DataFrame({"loss": scored.losses}), **scores}
    if scored.mistakes is not None:
        kept[TEST_MISTAKES] = scored.mistakes
    return kept


def read(wanted: str, splits: Splits, tracker: Tracker) -> list[ScoredBaseline]:
    """Return the baselines that a run of the store has computed; empty where none has all of them.

    `wanted` is what `set_of` has returned. Those of the newest run are taken.
    """
    rows = tracker.rows(
        role="baseline", data_digest=splits.digest, status="FINISHED", everywhere=True
    )
    sets: dict[str, list[Row]] = {}
    for row in rows:
        if row.tags.get(SET) == wanted:
            sets.setdefault(row.tags.get(PARENT, ""), []).append(row)
    for kept in sets.values():
        baselines = _restored(kept, tracker)
        if baselines:
            return baselines
    return []


def _restored(rows: Sequence[Row], tracker: Tracker) -> list[ScoredBaseline]:
    """Return the baselines in `rows` in their order; empty where something of them is missing."""
    by_position = {row.tags[POSITION]: row for row in rows}
    positions = [f"{number} of {len(rows)}" for number in range(1, len(rows) + 1)]
    if sorted(by_position) != sorted(positions):
        return []
    baselines = []
    for position in positions:
        row = by_position[position]
        losses = tracker.table(row.id, LOSSES)
        if losses is None:
            return []
        baselines.append(
            ScoredBaseline(
                name=row.params["architecture"],
                val=without_prefix("val/", row.metrics),
                test=without_prefix("test/", row.metrics),
                losses=losses["loss"].to_numpy(),
                cost=without_prefix("cost/", row.metrics),
                params=without_prefix("baseline.", row.params),
                mistakes=tracker.table(row.id, TEST_MISTAKES),
                read_from=row.tags.get(PARENT, row.id),
            )
        )
    return baselines


def note_on(baselines: Sequence[ScoredBaseline]) -> list[str]:
    """Return a sentence where baselines were read, or left out."""
    if not baselines:
        return ["without baselines nothing says what the score is worth"]
    if not baselines[0].read_from:
        return []
    run = baselines[0].read_from[:8]
    return [f"baselines read from run {run}: same data, options, code and packages"]
