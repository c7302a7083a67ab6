"""The headline is true: what answers is named, and a weight of nought is no success."""

import dataclasses
import math
from dataclasses import replace

import numpy as np
import pytest

from apps import rendering
from pipelines.blend import ALONE, Blend
from pipelines.config.options import Objective
from pipelines.errors import Diverged
from pipelines.timing import Spent
from tests.line_domain.options import LineOptions
from tests.line_domain.pipeline import LinePipeline
from tests.line_domain.spec import LineSpec
from tuning import verdicts
from tuning.reports import significance
from tuning.reports.run_card import run_card
from tuning.results.training import ScoredBaseline, TrainResult
from tuning.tracking.interface import NullTracker
from tuning.training.fit import FitResult
from tuning.training.record import summary_metrics
from tuning.training.train import still_improving, train

BETTER = verdicts.Lift(baseline="Markov", mean=0.02, low=0.01, high=0.03)
WORSE = verdicts.Lift(baseline="Markov", mean=-0.02, low=-0.03, high=-0.01)
SAME = verdicts.Lift(baseline="Markov", mean=0.0, low=0.0, high=0.0)
STRONGEST_BEATEN = verdicts.Lift(baseline="strongest", mean=0.1, low=0.05, high=0.15)
OTHER_BEATEN = verdicts.Lift(baseline="other", mean=0.2, low=0.1, high=0.3)
TIED = verdicts.Lift(baseline="tied", mean=0.01, low=-0.02, high=0.04)
NOT_BEATEN = verdicts.Lift(baseline="better", mean=-0.1, low=-0.2, high=-0.01)
BLEND = Blend(weights={"Markov": 1.5, "network": 1.0})
OF_BASELINES = Blend(weights={"Markov": 1.0, "EASE": 1.0, "network": 0.0})
BASELINE = Blend(weights={"Markov": 0.9, "network": 0.0}, beside="the intervals are its own")


def scored(name: str, score: float) -> ScoredBaseline:
    scores = {"ndcg": score}
    return ScoredBaseline(
        name=name, val=scores, test=scores, losses=np.ones(3), cost={"train_s": 1.0}, params={}
    )


def result_of(answers: Blend, lift: verdicts.Lift | None) -> TrainResult:
    """A result whose model scores .10 where the network alone scores .05 and Markov .08."""
    return TrainResult(
        domain="recommend",
        dataset="films",
        run_id="",
        url="",
        objective=Objective(name="val_ndcg", direction="max"),
        headline=Objective(name="ndcg", direction="max"),
        best_epoch_score=0.04,
        best_epoch=2,
        epochs=3,
        stopped="",
        val={"ndcg": 0.11},
        test={"ndcg": 0.10},
        baselines=[scored("EASE", 0.07), scored("Markov", 0.08)],
        lift=lift,
        cost={
            "params": 10,
            "train_s": 2.0,
            "train_cpu_s": 3.0,
            "latency_ms_p50": 1.0,
            "latency_ms_b64_p50": 4.0,
        },
        notes=["ten rows left out", "kept"],
        answers=answers,
        alone_val={"ndcg": 0.06},
        alone_test={"ndcg": 0.05},
    )


@pytest.mark.parametrize(
    ("answers", "lift", "sentence"),
    [
        (ALONE, BETTER, "The network beats Markov: test ndcg 0.1 against 0.08 (lift"),
        (ALONE, WORSE, "The network loses to Markov: "),
        (ALONE, None, "The network has test ndcg 0.1, with no baseline to compare"),
        (BLEND, BETTER, "The blend of 60 % Markov + 40 % network beats Markov: "),
        (
            OF_BASELINES,
            BETTER,
            "The answer is 50 % Markov + 50 % EASE: the network adds nothing (weight 0); "
            "it beats Markov: test ndcg 0.1 against 0.08 (lift",
        ),
        (
            BASELINE,
            SAME,
            "The answer is Markov: the network adds nothing (weight 0; the intervals are its own): "
            "test ndcg 0.1, and 0.08 of Markov by itself",
        ),
    ],
)
def test_the_headline_names_what_answers(
    answers: Blend, lift: verdicts.Lift | None, sentence: str
) -> None:
    assert result_of(answers, lift).verdict.startswith(sentence)


@pytest.mark.parametrize(
    ("answers", "lift", "word", "tag"),
    [
        (ALONE, BETTER, "beats", "the network beats Markov"),
        (BLEND, SAME, "ties", "the blend ties Markov (60 % Markov + 40 % network)"),
        (BASELINE, SAME, "adds nothing", "the network adds nothing: Markov answers"),
        (
            OF_BASELINES,
            BETTER,
            "adds nothing",
            "the network adds nothing: 50 % Markov + 50 % EASE answers",
        ),
    ],
)
def test_tag_and_json_say_what_the_headline_says(
    answers: Blend, lift: verdicts.Lift, word: str, tag: str
) -> None:
    result = result_of(answers, lift)
    assert result.verdict_tag == tag
    plain = result.as_json()
    assert plain["verdict"] == word
    assert plain["headline"] == result.verdict
    assert plain["answers"]["description"] == answers.describe()


def test_json_gives_each_score_to_the_model_that_has_it() -> None:
    plain = result_of(BLEND, BETTER).as_json()
    assert plain["answers"]["shares"] == {"Markov": 0.6, "network": 0.4}
    assert plain["val"] == {"ndcg": 0.11}
    assert plain["test"] == {"ndcg": 0.10}
    assert plain["network_alone"] == {"val": {"ndcg": 0.06}, "test": {"ndcg": 0.05}}
    assert plain["best_epoch_score"] == 0.04
    assert "best" not in plain


def test_the_network_alone_has_a_row_beside_what_answers() -> None:
    result = result_of(OF_BASELINES, BETTER)
    names = ["answer: blend", "network alone", "EASE", "Markov"]
    assert result.scores().index.tolist() == names
    assert result.scores()["ndcg"].tolist() == [0.10, 0.05, 0.07, 0.08]
    _, _, below = rendering.leaderboard(result).rpartition("─")
    rows = [line.split("  ")[0].strip() for line in below.strip().splitlines()]
    assert rows == ["answer: blend", "network alone", "Markov", "EASE"]
    card = run_card(result, [])
    assert card.startswith("## The answer is 50 % Markov + 50 % EASE: the network adds nothing")
    assert "| network alone | 0.05 |" in card
    assert summary_metrics(result)["network_alone/ndcg"] == 0.05


def test_a_card_begins_with_the_verdict_then_links_then_at_most_five_columns() -> None:
    many = {"ndcg": 0.1, "recall": 0.2, "hits": 0.3, "mrr": 0.4, "coverage": 0.5}
    result = replace(result_of(ALONE, BETTER), test=many, test_examples=360)
    verdict, _, links, _, heading, *_ = run_card(result, [], {"the sweep": "#/s"}).splitlines()
    assert verdict.startswith("## The network beats")
    assert links == "[the sweep](#/s)"
    assert heading == "| test, 360 examples | ndcg ↑ | recall | hits | mrr |"


def test_figures_of_errors_stand_above_how_the_network_learned() -> None:
    result = replace(result_of(ALONE, BETTER), run_id="r1")
    card = run_card(result, ["confusion", "curves"])
    assert card.index("![confusion]") < card.index("![curves]") < card.index("Best epoch 2 of 3")


def test_a_network_that_answers_alone_has_one_row() -> None:
    result = result_of(ALONE, BETTER)
    assert result.scores().index.tolist() == ["network", "EASE", "Markov"]
    assert "network_alone/ndcg" not in summary_metrics(result)


@pytest.mark.parametrize(
    ("answers", "lift", "failure"),
    [
        (ALONE, WORSE, "the network is worse than Markov"),
        (BLEND, WORSE, "the blend of 60 % Markov + 40 % network is worse than Markov"),
        (
            BASELINE,
            WORSE,
            "the answer (Markov, to which the network adds nothing) is worse than Markov",
        ),
        (BASELINE, SAME, ""),
        (BLEND, BETTER, ""),
        (ALONE, None, ""),
    ],
)
def test_the_gate_asks_whether_what_answers_is_worse_than_the_strongest_baseline(
    answers: Blend, lift: verdicts.Lift | None, failure: str
) -> None:
    assert result_of(answers, lift).gate_failure == failure


def test_a_note_that_was_printed_with_the_data_is_not_printed_again() -> None:
    printed = rendering.train_result(result_of(ALONE, BETTER), said=["ten rows left out"])
    assert "ten rows left out" not in printed
    assert "note       kept" in printed


@pytest.mark.parametrize(
    ("weights", "words", "alone", "nothing"),
    [
        ({"ridge": 0.0, "network": 1.0}, "network", True, False),
        ({"ridge": 0.7, "network": 0.3}, "70 % ridge + 30 % network", False, False),
        ({"ridge": 1.0, "network": 0.001}, "ridge", False, True),
    ],
)
def test_a_share_that_is_written_as_nought_counts_as_nought(
    weights: dict[str, float], words: str, alone: bool, nothing: bool
) -> None:
    blend = Blend(weights=weights)
    assert blend.describe() == words
    assert blend.is_network_alone is alone
    assert blend.adds_nothing is nothing


def test_a_score_that_is_no_number_fails_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def score(*_: object) -> dict[str, float]:
        return {"mse": math.nan}

    pipeline = LinePipeline(LineOptions())
    splits = pipeline.load()
    baselines = [scored("mean", 1.0)]
    monkeypatch.setattr(LinePipeline, "score", score)
    with pytest.raises(Diverged, match="val mse is nan: the network answers with numbers"):
        train(pipeline, LineSpec(), NullTracker(), splits=splits, baselines=baselines)


def test_a_baseline_without_a_score_is_not_the_strongest() -> None:
    headline = Objective(name="ndcg", direction="max")
    nan = scored("broken", math.nan)
    strongest = significance.strongest([nan, scored("Markov", 0.08)], headline)
    assert strongest is not None
    assert strongest.name == "Markov"
    assert significance.strongest([nan], headline) is None


@pytest.mark.parametrize(
    ("lifts", "decisive"),
    [
        ([STRONGEST_BEATEN, OTHER_BEATEN], STRONGEST_BEATEN),
        ([TIED, STRONGEST_BEATEN, NOT_BEATEN], TIED),
        ([STRONGEST_BEATEN, TIED, OTHER_BEATEN], TIED),
        ([STRONGEST_BEATEN, OTHER_BEATEN, TIED, NOT_BEATEN], NOT_BEATEN),
    ],
)
def test_to_beat_the_baseline_that_is_best_on_validation_alone_is_not_to_beat(
    lifts: list[verdicts.Lift], decisive: verdicts.Lift
) -> None:
    ordered = verdicts.decisive_first(lifts)
    assert ordered[0] is decisive
    assert {lift.baseline for lift in ordered} == {lift.baseline for lift in lifts}
    assert verdicts.decisive_first([]) == []


def test_a_baseline_that_is_not_beaten_is_compared_with_and_the_other_is_named() -> None:
    pipeline = LinePipeline(LineOptions())
    splits = pipeline.load()
    beaten = replace(scored("mean", 0.0), val={"mse": 0.0}, losses=np.array(1e6))
    better = replace(scored("drift", 0.0), val={"mse": 1.0}, losses=np.array(-1e6))
    baselines = [replace(baseline, test={"mse": 1.0}) for baseline in (beaten, better)]
    result = train(pipeline, LineSpec(), NullTracker(), splits=splits, baselines=baselines)
    assert "loses to drift" in result.verdict
    told = "mean, the best baseline on validation, is beaten (lift +1e+06"
    assert any(note.startswith(told) and note.endswith("drift is not") for note in result.notes)


def fitted_with(curve: list[float], stopped: str = "") -> FitResult:
    return FitResult(
        model=None,
        history={"val_mae": curve},
        best_epoch=len(curve),
        best_score=curve[-1],
        spent=Spent(seconds=1.0, cpu_seconds=1.0),
        stopped=stopped,
    )


def test_a_training_that_still_improves_in_its_last_epoch_is_told_to_go_on() -> None:
    objective = Objective(name="val_mae", direction="min")
    advice = "val_mae was still improving in the last epoch: try --epochs 6"
    improving = fitted_with([3.0, 2.0, 1.0])
    assert still_improving(improving, objective, 3) == [advice]
    assert still_improving(fitted_with([3.0, 1.0, 1.0]), objective, 3) == []
    assert still_improving(fitted_with([1.0]), objective, 1) == []
    stopped = dataclasses.replace(improving, stopped="the time is up")
    assert still_improving(stopped, objective, 3) == []
