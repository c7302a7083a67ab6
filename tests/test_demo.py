"""What a newcomer types first: the demo, whole, in a folder of its own."""

from pathlib import Path

import pytest

from apps.demo import DEMOS
from pipelines import DOMAINS
from tests.test_cli import appline
from tuning.tracking.mlflow_tracker import open_tracker


@pytest.mark.slow
def test_the_demo_tunes_every_domain_and_ends_with_leaderboards_findings_and_the_next_command(
    tmp_path: Path,
) -> None:
    done = appline("demo", folder=tmp_path)
    assert done.returncode == 0, done.stderr

    assert [short.domain for short in DEMOS] == ["vision", "text", "recommend", "forecast"]
    assert {short.domain for short in DEMOS} == set(DOMAINS)
    for data in (
        "vision / digits",
        "text / reviews",
        "recommend / movielens",
        "forecast / elecdemand",
    ):
        assert f"{data}: test scores" in done.stdout
    for key in ("conv.kernel_size", "conv.stride", "conv.filters"):
        assert done.stdout.count(f"found      {key} ") == len(DEMOS)
    assert done.stdout.splitlines()[-1] == "Compare the runs in MLflow: make ui   (or: appline ui)"

    for short, dataset in zip(DEMOS, ("digits", "reviews", "movielens", "elecdemand"), strict=True):
        rows = open_tracker(f"{short.domain}/{dataset}", root=tmp_path / "mlruns").rows()
        assert {row.status for row in rows} == {"FINISHED"}
        roles = [row.tags["role"] for row in rows]
        assert roles.count("trial") == short.trials
        assert roles.count("final") == roles.count("sweep") == 1
        assert roles.count("baseline") >= 2
