"""What models cost is measured and kept: of networks, of baselines, of trials."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipelines import create_pipeline, timing
from pipelines.config.search_space import Choice, replace
from pipelines.timing import Spent, Stopwatch, latencies, latency
from tests.command_line import environment_of
from tests.line_domain.options import LineOptions
from tests.line_domain.pipeline import LinePipeline, LineSplits
from tests.line_domain.spec import LineSpec
from tests.samples import small_log, small_series, small_texts
from tuning.reports.significance import score_baseline
from tuning.search.definition import Sweep, sweep_objectives
from tuning.search.sweep import run_sweep
from tuning.tracking.mlflow_tracker import MlflowTracker
from tuning.training.costs import COST_METRICS, sizes
from tuning.training.train import train

TIMES = ("latency_ms_p50", "latency_ms_p95", "latency_ms_b64_p50", "latency_ms_b64_p95")
SPEC = replace(LineSpec(), {"train.epochs": 1})
LINES = LinePipeline(LineOptions())


def test_a_latency_is_the_time_of_the_call() -> None:
    measured = latency(lambda: time.sleep(0.004))
    assert 4 <= measured.p50 < 40
    assert measured.p95 is not None
    assert measured.p95 >= measured.p50


def test_slow_answers_are_timed_once_or_twice_and_have_no_95th_percentile() -> None:
    calls: list[int] = []

    def answer(count: int) -> None:
        calls.append(count)
        time.sleep(0.2 if count == 64 else 0)

    began = time.perf_counter()
    metrics = latencies(answer)
    assert time.perf_counter() - began < 1
    assert set(metrics) == set(TIMES) - {"latency_ms_b64_p95"}
    assert metrics["latency_ms_b64_p50"] >= 200
    assert calls.count(64) == 2
    assert calls.count(1) == 1 + timing.MOST_CALLS


def test_a_stopwatch_tells_work_from_waiting() -> None:
    watch = Stopwatch()
    time.sleep(0.1)
    spent = watch.spent()
    assert spent.seconds >= 0.1
    assert spent.cpu_seconds < 0.08
    both = spent + spent
    assert (both.seconds, both.cpu_seconds) == (2 * spent.seconds, 2 * spent.cpu_seconds)


def test_the_peak_is_that_of_the_process_so_far() -> None:
    code = """
from tuning.training.costs import peak_memory
before = peak_memory()["peak_mb"]
held = b"x" * (200 * 2**20)
during = peak_memory()["peak_mb"]
del held
print(before, during, peak_memory()["peak_mb"])
"""
    command = [sys.executable, "-c", code]
    ended = subprocess.run(
        command, env=environment_of(), capture_output=True, text=True, check=True, timeout=60
    )
    before, during, after = map(float, ended.stdout.split())
    assert before < 200  # what the process that has started it holds does not count
    assert before + 150 < during < before + 400
    assert after == pytest.approx(during, abs=1)


def test_a_run_its_baselines_and_its_card_have_the_costs(tracker: MlflowTracker) -> None:
    result = train(LINES, SPEC, tracker)
    assert set(result.cost) >= {"params", "macs", "mb", "peak_mb", "train_s", "train_cpu_s", *TIMES}
    # 1 x 4 and 4 x 1 weights, each used once.
    units = SPEC.units
    assert result.cost["macs"] == 2 * units
    assert result.cost["latency_ms_p95"] >= result.cost["latency_ms_p50"] > 0
    rows = {row.id: row for row in tracker.rows()}
    assert rows[result.run_id].metrics["cost/latency_ms_b64_p50"] > 0
    (baseline,) = [row for row in rows.values() if row.tags["role"] == "baseline"]
    assert {f"cost/{name}" for name in ("train_s", "train_cpu_s", *TIMES)} <= set(baseline.metrics)
    assert result.as_json()["baseline_costs"]["mean"].keys() >= set(TIMES)
    again = train(LINES, SPEC, tracker)
    assert again.baselines[0].read_from
    assert again.baselines[0].cost == pytest.approx(result.baselines[0].cost, rel=1e-5)
    card = rows[result.run_id].tags["mlflow.note.content"]
    assert f"**Cost** {result.cost['params']} weights, {result.cost_line}" in card
    assert " ms an example, 64 in " in result.cost_line


class StartedLines(LinePipeline):
    """Its networks start from something that took long."""

    def prepare(self, spec: LineSpec, splits: LineSplits) -> Spent:
        return Spent(seconds=1e4, cpu_seconds=2e4)


def test_a_run_costs_what_its_network_starts_from_and_a_trial_does_not(
    tracker: MlflowTracker,
) -> None:
    """All trials start from the same; a run that is looked at alone had to pay for it."""
    lines = StartedLines(LineOptions())
    objectives = sweep_objectives(lines, lines.load(), [])
    result = run_sweep(
        lines,
        LineOptions().space(SPEC, {"units": Choice((2, 4))}),
        Sweep(objectives=objectives, trials=2, refit_top="0", trial_epochs=1, tuner="random"),
        tracker,
    )
    assert all(trial.costs["cost/train_s"] < 100 for trial in result.trials)
    assert 1e4 < result.final.cost["train_s"] < 1e4 + 100
    assert 2e4 < result.final.cost["train_cpu_s"] < 2e4 + 100
    assert result.final.cost["examples_per_s"] > 1


def test_trials_know_sizes_and_times_of_their_fits_and_refits_times_of_answers_too(
    tracker: MlflowTracker,
) -> None:
    options = LineOptions()
    objectives = sweep_objectives(LINES, LINES.load(), [])
    result = run_sweep(
        LINES,
        options.space(SPEC, {"units": Choice((2, 4))}),
        Sweep(objectives=objectives, trials=2, refit_top="2", trial_epochs=1, tuner="random"),
        tracker,
    )
    for trial in result.trials:
        assert trial.costs.keys() >= {"cost/params", "cost/macs", "cost/mb", "cost/train_cpu_s"}
        assert "cost/latency_ms_p50" not in trial.costs
    refits = tracker.rows(role="seed")
    assert refits
    assert all(row.metrics["cost/latency_ms_b64_p50"] > 0 for row in refits)


def test_every_cost_of_a_trial_can_be_an_objective() -> None:
    splits = LINES.load()
    for name in COST_METRICS:
        objectives = sweep_objectives(LINES, splits, ["val_mae", name])
        assert objectives[1].direction == "min"


@pytest.mark.parametrize("domain", ["vision", "text", "forecast", "recommend"])
def test_baselines_say_what_they_cost_as_networks_do(domain: str, tmp_path: Path) -> None:
    data = "digits"
    if domain != "vision":
        make = {"text": small_texts, "forecast": small_series, "recommend": small_log}[domain]
        data = str(make(tmp_path / "data.csv"))
    pipeline = create_pipeline(domain, data=data)
    splits = pipeline.load()
    for baseline in pipeline.baselines(splits):
        cost = score_baseline(pipeline, splits, baseline).cost
        assert cost["train_s"] >= 0
        assert cost["train_cpu_s"] >= 0
        assert cost["latency_ms_p50"] > 0, baseline.name
        assert cost["latency_ms_b64_p50"] > 0, baseline.name


def test_sizes_take_no_time_worth_a_column() -> None:
    splits = LINES.load()
    network = LINES.build(SPEC, splits)
    watch = Stopwatch()
    found = sizes(LINES, SPEC, splits, network)
    assert watch.spent().cpu_seconds < 0.05
    assert found["params"] == network.count_params()
