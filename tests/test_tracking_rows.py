"""Runs that are over: written at once, and found again."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipelines.errors import UsageError
from tests.tracking_samples import RECORD, only_row, points
from tuning.tracking.mlflow_tracker import MlflowTracker, open_tracker
from tuning.tracking.stored_runs import final_run, find_run


class CountingClient:
    """A client that keeps the names of the methods that were called."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        self.calls.append(name)
        return getattr(self.client, name)


def test_a_record_is_written_in_one_batch(tracker: MlflowTracker) -> None:
    client = CountingClient(tracker.client)
    replace(tracker, client=client).record(RECORD)
    assert client.calls == ["create_run", "log_batch", "set_terminated"]


def test_a_record_keeps_its_times_its_status_and_its_curves(tracker: MlflowTracker) -> None:
    run_id = tracker.record(replace(RECORD, status="FAILED", parent="ab" * 16))
    row = only_row(tracker)
    assert (row.start_time, row.end_time) == (1_700_000_000.0, 1_700_000_030.0)
    assert row.status == "FAILED"
    assert row.tags["mlflow.parentRunId"] == "ab" * 16
    assert points(tracker, run_id, "val_accuracy") == [(1, 0.5), (2, 0.7), (3, 0.6)]
    times = [point.timestamp for point in tracker.client.get_metric_history(run_id, "loss")]
    assert times == [1_700_000_010_000, 1_700_000_020_000, 1_700_000_030_000]


def test_rows_are_filtered_and_limited_and_the_newest_comes_first(tracker: MlflowTracker) -> None:
    for number in range(3):
        start = RECORD.start_time + number
        tracker.record(replace(RECORD, name=f"trial-{number}", start_time=start))
    tracker.record(replace(RECORD, name="baseline", role="baseline"))
    newest = tracker.rows(role="trial", limit=2)
    assert [row.name for row in newest] == ["trial-2", "trial-1"]


def test_rows_are_found_by_the_beginning_of_their_sweeps_id_and_without_roles(
    tracker: MlflowTracker,
) -> None:
    tracker.record(replace(RECORD, name="first", tags={"sweep": "8b647e54"}))
    tracker.record(replace(RECORD, name="second", tags={"sweep": "9c000000"}))
    tracker.record(replace(RECORD, name="final", role="final", tags={"sweep": "8b647e54"}))
    assert {row.name for row in tracker.rows(sweep="8b64")} == {"first", "final"}
    names = {row.name for row in tracker.rows(sweep="8b64", without_roles=("trial", "baseline"))}
    assert names == {"final"}


def test_rows_of_other_experiments_are_seen_only_when_asked_for(
    tracker: MlflowTracker, store_root: Path
) -> None:
    other = open_tracker(f"{tracker.name}/other", root=store_root)
    other.record(replace(RECORD, name="abroad"))
    assert tracker.rows() == []
    rows = tracker.rows(name="abroad", everywhere=True)
    assert [row.experiment for row in rows] == [f"{tracker.name}/other"]


def test_a_run_is_found_by_id_by_the_beginning_of_its_id_and_by_name(
    tracker: MlflowTracker, store_root: Path
) -> None:
    run_id = tracker.record(replace(RECORD, name="it's found"))
    for text in (run_id, run_id[:8], "it's found"):
        assert find_run(text, root=store_root).id == run_id


def test_a_name_that_several_runs_have_lists_them(tracker: MlflowTracker, store_root: Path) -> None:
    ids = [tracker.record(replace(RECORD, name="twice")) for _ in range(2)]
    with pytest.raises(UsageError) as caught:
        find_run("twice", root=store_root)
    assert all(run_id in str(caught.value) for run_id in ids)


def test_a_run_that_is_not_there_suggests_the_nearest_name(
    tracker: MlflowTracker, store_root: Path
) -> None:
    tracker.record(replace(RECORD, name="residual, kernel 5"))
    with pytest.raises(UsageError, match="Did you mean 'residual, kernel 5'"):
        find_run("residual, kernel 6", root=store_root)


def test_a_sweep_stands_for_its_newest_final_run(tracker: MlflowTracker, store_root: Path) -> None:
    sweep = tracker.record(replace(RECORD, name="sweep", role="sweep"))
    for number in range(2):
        tracker.record(
            replace(
                RECORD,
                name=f"final {number}",
                role="final",
                tags={"sweep": sweep},
                start_time=RECORD.start_time + number,
            )
        )
    row = find_run(sweep, root=store_root)
    assert final_run(row, root=store_root).name == "final 1"


def test_a_sweep_without_a_final_run_says_how_to_come_to_one(
    tracker: MlflowTracker, store_root: Path
) -> None:
    sweep = tracker.record(replace(RECORD, name="sweep", role="sweep", status="KILLED"))
    message = rf"no final run yet \(KILLED\)\. Continue it: appline \w+ tune --resume {sweep[:8]}"
    with pytest.raises(UsageError, match=message):
        final_run(find_run(sweep, root=store_root), root=store_root)


@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"limit": 2},
        {"role": "trial"},
        {"without_roles": ("trial", "baseline")},
        {"sweep": "8b64"},
        {"data_digest": "d1"},
        {"status": "FAILED"},
        {"name": "the second's", "role": "trial"},
        {"name": "first", "everywhere": True},
    ],
    ids=str,
)
def test_a_local_store_finds_the_runs_that_mlflow_finds(
    tracker: MlflowTracker, wanted: dict[str, Any]
) -> None:
    for number, name in enumerate(("first", "the second's", "third", "final")):
        changes: dict[str, Any] = {
            "name": name,
            "role": "final" if name == "final" else "trial",
            "status": "FAILED" if name == "the second's" else "FINISHED",
            "tags": {"sweep": f"8b64{number}", "data_digest": f"d{number % 2}"},
            # Two begin at the same time.
            "start_time": RECORD.start_time + number // 2,
        }
        tracker.record(replace(RECORD, **changes))
    through_mlflow = replace(tracker, store=replace(tracker.store, database=None))
    found = tracker.rows(**wanted)
    assert found == through_mlflow.rows(**wanted) != []
    newest = tracker.rows(limit=1)
    assert through_mlflow.rows(run_id=newest[0].id) == tracker.rows(run_id=newest[0].id) == newest


def test_a_local_search_misses_what_was_deleted(tracker: MlflowTracker) -> None:
    kept, deleted = tracker.record(RECORD), tracker.record(RECORD)
    tracker.client.delete_run(deleted)
    assert [row.id for row in tracker.rows()] == [kept]
