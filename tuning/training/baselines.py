"""The baselines of a data set: computed or read from the store, and a run for each."""

import time
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from pipelines.io.progress import working
from pipelines.pipeline import AnyPipeline
from pipelines.splits import Splits
from tuning.reports import significance
from tuning.reports.run_card import line_card
from tuning.results.training import ScoredBaseline
from tuning.tracking.interface import Record, Tracker
from tuning.tracking.metric_batches import rounded
from tuning.tracking.saved_views import BASELINE_COLOR, COLOR, LISTED
from tuning.training import kept_baselines
from tuning.training.prefixes import prefixed


def record_baselines(
    pipeline: AnyPipeline,
    splits: Splits,
    tracker: Tracker,
    *,
    parent: str,
    tags: Mapping[str, str],
    recorded: Collection[str] = (),
    listed: bool = True,
) -> list[ScoredBaseline]:
    """Compute the baselines, or read them where the store has them; record each as a run.

    Its role is `baseline`. Their scores are in the same columns as those of networks. Those whose
    names are in `recorded` have a run already. The leaderboard shows them unless `listed` is false.
    """
    computed_from = kept_baselines.set_of(pipeline, splits)
    baselines = kept_baselines.read(computed_from, splits, tracker)
    if not baselines:
        with working("baselines"):
            for baseline in pipeline.baselines(splits):
                baselines.append(significance.score_baseline(pipeline, splits, baseline))
    on_leaderboard = _listed_baselines(tracker, splits)
    for number, scored in enumerate(baselines, start=1):
        if scored.name in recorded:
            continue
        origin = kept_baselines.tags_of(baselines, number, computed_from)
        record = _baseline_record(pipeline, splits, scored, parent, {**tags, **origin})
        # The leaderboard shows it once, however many runs were compared with it.
        if listed and (scored.name, *_test_scores(record.metrics)) not in on_leaderboard:
            record = replace(record, tags={**record.tags, LISTED: "true"})
        tracker.record(record)
    return baselines


def _listed_baselines(tracker: Tracker, splits: Splits) -> set[tuple[Any, ...]]:
    """Return names and test scores of the baselines of this data that the leaderboard shows."""
    rows = tracker.rows(role="baseline", data_digest=splits.digest)
    return {(row.name, *_test_scores(row.metrics)) for row in rows if LISTED in row.tags}


def _test_scores(metrics: Mapping[str, float]) -> list[tuple[str, float]]:
    """Return the test scores among metrics as they are kept, in one order."""
    scores = {name: rounded(float(value)) for name, value in metrics.items()}
    return sorted((name, score) for name, score in scores.items() if name.startswith("test/"))


def _headline_text(pipeline: AnyPipeline, splits: Splits, scored: ScoredBaseline) -> str:
    name = pipeline.headline_metric(splits).name
    return f"test {name} {scored.test[name]:.4g} (validation {scored.val[name]:.4g})"


def _baseline_record(
    pipeline: AnyPipeline,
    splits: Splits,
    scored: ScoredBaseline,
    parent: str,
    tags: Mapping[str, str],
) -> Record:
    now = time.time()
    return Record(
        name=scored.name,
        role="baseline",
        parent=parent,
        tags={
            "dataset": splits.dataset,
            "data_digest": splits.digest,
            COLOR: BASELINE_COLOR,
            **tags,
        },
        card=line_card(_headline_text(pipeline, splits, scored), scored.seconds, "Baseline"),
        splits=splits,
        params={
            **pipeline.options.as_params(),
            "architecture": scored.name,
            **prefixed("baseline.", scored.params),
        },
        metrics={
            **prefixed("val/", scored.val),
            **prefixed("test/", scored.test),
            **prefixed("cost/", scored.cost),
        },
        # By these a later run compares itself, without computing the baseline again.
        tables={} if scored.read_from else kept_baselines.tables(scored),
        start_time=now - scored.seconds,
        end_time=now,
    )
