"""`report.html` is one file that shows what was found, wherever it is opened."""

import re
from dataclasses import replace

import pandas as pd
import pytest
from matplotlib.figure import Figure

from pipelines.config.options import Objective
from tuning.reports import plots
from tuning.reports.report_page import final_report, sweep_report
from tuning.results.sweep import Effect, Level, SweepResult, Trial
from tuning.results.training import TrainResult

ACCURACY = Objective(name="accuracy", direction="max")
VAL_ACCURACY = Objective(name="val_accuracy", direction="max")
FINAL = TrainResult(
    domain="vision",
    dataset="<b>digits</b>",
    run_id="",
    url="",
    objective=VAL_ACCURACY,
    headline=ACCURACY,
    best_epoch_score=0.9,
    best_epoch=1,
    epochs=1,
    stopped="",
    val={"accuracy": 0.9},
    test={"accuracy": 0.8765},
    baselines=[],
    lift=None,
    cost={
        "params": 10,
        "train_s": 2.0,
        "train_cpu_s": 3.0,
        "latency_ms_p50": 1.0,
        "latency_ms_b64_p50": 4.0,
    },
    notes=[],
    alone_val={"accuracy": 0.9},
    alone_test={"accuracy": 0.8765},
    network="vgg k3 s1 f8",
    test_examples=360,
)
TRIALS = [
    Trial(number=1, values={"kernel": 3}, scores=(0.5,), seconds=1.0, epochs=1),
    Trial(number=2, values={"kernel": 5}, scores=(0.9,), seconds=2.0, epochs=1),
    Trial(number=3, values={"kernel": 7}, seconds=2.0, epochs=0, reason="no <memory>"),
]
KERNEL = Effect(
    key="kernel",
    levels={
        "3": Level(mean=0.5, standard_error=0.1, count=2),
        "5": Level(mean=0.9, standard_error=0.1, count=2),
    },
    best="5",
    p_value=0.02,
)
SWEEP = SweepResult(
    run_id="",
    url="",
    trials=TRIALS,
    best=TRIALS[1],
    front=[],
    objectives=[VAL_ACCURACY],
    effects=[KERNEL],
    final=FINAL,
    seconds=5.0,
)


def figures() -> dict[str, Figure]:
    return {
        "progress": plots.progress(TRIALS, VAL_ACCURACY),
        "effects": plots.effects([KERNEL], VAL_ACCURACY),
    }


@pytest.fixture(scope="module")
def page() -> str:
    return sweep_report(SWEEP, figures())


def test_a_report_asks_for_nothing_from_outside(page: str) -> None:
    addresses = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert addresses
    assert all(address.startswith(("#", "data:")) for address in addresses)
    assert "<script" not in page


def test_each_reference_inside_of_a_figure_finds_its_own_figure(page: str) -> None:
    ids = re.findall(r'\bid="([^"]*)"', page)
    assert len(set(ids)) == len(ids)
    assert set(re.findall(r'href="#([^"]*)"', page)) <= set(ids)


def test_a_sweeps_report_lists_trials_best_first_and_failed_ones_with_their_reason(
    page: str,
) -> None:
    rows = re.findall(r"<tr><td>(\d+)</td><td>([^<]*)</td>", page)
    assert rows == [("2", "0.9"), ("1", "0.5"), ("3", "no &lt;memory&gt;")]
    assert "5 is best, p=0.02" in page


def test_a_final_report_shows_verdict_scores_and_figures_and_escapes_names() -> None:
    page = final_report(FINAL, figures())
    assert "&lt;b&gt;digits&lt;/b&gt;: vgg k3 s1 f8" in page
    assert "<b>digits" not in page
    assert "<td>0.8765</td>" in page
    assert page.count("<svg") == 2


def test_mistakes_after_the_first_ten_are_folded_away() -> None:
    mistakes = pd.DataFrame({"text": [f"text {number}" for number in range(25)]})
    page = final_report(replace(FINAL, mistakes={"network": mistakes}), {})
    shown, _, folded = page.partition("<details>")
    assert shown.count("<td>text ") == 10
    assert folded.count("<td>text ") == 15
    assert "<summary>15 further ones</summary>" in folded
