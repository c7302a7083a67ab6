"""What a newcomer types first: the demo, whole, in a folder of its own."""

from pathlib import Path

import pytest

from pipelines import DOMAINS, options_class
from tests.command_line import appline_process
from tuning.tracking.mlflow_tracker import open_tracker


@pytest.mark.slow
def test_the_demo_tunes_every_domain_and_ends_with_leaderboards_findings_and_the_next_command(
    tmp_path: Path, minilm: Path
) -> None:
    assert minilm.is_dir()
    done = appline_process("demo", folder=tmp_path)
    assert done.returncode == 0, done.stderr

    for key in ("conv.kernel_size", "conv.stride", "conv.filters"):
        searching = [name for name in DOMAINS if key in options_class(name).demo_here().searched]
        assert searching
        assert done.stdout.count(f"found      {key} ") == len(searching)
    assert done.stdout.splitlines()[-1] == "Compare the runs in MLflow: make ui   (or: appline ui)"

    for domain in DOMAINS:
        demo = options_class(domain).demo_here()
        dataset = demo.data or options_class(domain)().data
        assert f"{domain} / {dataset}: test scores" in done.stdout
        rows = open_tracker(f"{domain}/{dataset}", root=tmp_path / "mlruns").rows()
        assert {row.status for row in rows} == {"FINISHED"}
        roles = [row.tags["role"] for row in rows]
        assert roles.count("trial") == demo.trials
        assert roles.count("final") == 1
        assert roles.count("sweep") == 1
        assert roles.count("baseline") >= 2
