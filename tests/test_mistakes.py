"""The worst mistakes of a model are a short table that people can read."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipelines.evaluation.mistakes import MOST_MISTAKES, SHOWN_CHARACTERS, shortened
from pipelines.recommend.data import RecommendSplits
from pipelines.recommend.options import RecommendOptions
from pipelines.recommend.pipeline import RecommendPipeline
from pipelines.recommend.ranking import NUM_BEST
from pipelines.splits import Part
from tests import texts
from tests.line_domain.options import LineOptions
from tests.line_domain.pipeline import LinePipeline, LineSplits
from tests.line_domain.spec import LineSpec
from tests.samples import small_log
from tuning.reports.report_page import final_report
from tuning.reports.run_card import SHOWN_MISTAKES, run_card
from tuning.tracking.interface import BASELINE_MISTAKES, TEST_MISTAKES
from tuning.tracking.mlflow_tracker import MlflowTracker
from tuning.training.train import train

TEXTS = ["a fine film", "a dull film", "a warm one", "a cold one", "x " * 400]


def test_a_text_is_cut_at_its_end_and_the_cut_is_marked() -> None:
    assert shortened("a\n  b") == "a b"
    assert shortened("x" * 20, 5) == "xxxx…"
    assert shortened("xxxxx", 5) == "xxxxx"


def test_wrong_answers_to_texts_are_listed_the_most_confident_first(tmp_path: Path) -> None:
    table = texts.parted(train=TEXTS[:4], val=["one", "two"], test=TEXTS)
    pipeline = texts.text_pipeline(texts.write(table, tmp_path))
    splits = pipeline.load()
    # The labels are a, b, a, b, a: the second and the last two answers are wrong.
    chances = np.array([[0.8, 0.2], [0.7, 0.3], [0.6, 0.4], [0.9, 0.1], [0.4, 0.6]])
    found = pipeline.mistakes(chances, splits, "test")
    assert list(found.columns) == ["row", "text", "label", "answer", "probability", "p(label)"]
    assert found["text"].tolist()[:2] == ["a cold one", "a dull film"]
    assert found["probability"].tolist() == [0.9, 0.7, 0.6]
    assert found["p(label)"].tolist() == [0.1, 0.3, 0.4]
    assert [len(text) for text in found["text"]][-1] <= SHOWN_CHARACTERS
    origins = splits.of_part("test").origin
    assert found["row"].tolist() == [origins[3], origins[1], origins[4]]


def test_texts_with_several_labels_are_judged_by_their_worst_one(tmp_path: Path) -> None:
    table = texts.parted(train=TEXTS[:4], val=["one", "two"], test=["three", "four"])
    table["label"] = ["a|b", "a", "b", "a|b", "a", "b", "a|b", "a"]
    pipeline = texts.text_pipeline(texts.write(table, tmp_path), multi_label=True)
    found = pipeline.mistakes(np.array([[0.9, 0.4], [0.8, 0.95]]), pipeline.load(), "test")
    assert found[["text", "label", "answer"]].values.tolist() == [
        ["four", "a", "a|b"],
        ["three", "a|b", "a"],
    ]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_log(tmp_path_factory.mktemp("log") / "log.csv", users=MOST_MISTAKES + 20)


def recommender(log: Path, **options: str) -> tuple[RecommendPipeline, RecommendSplits]:
    pipeline = RecommendPipeline(RecommendOptions(data=str(log), **options))  # type: ignore[arg-type]
    return pipeline, pipeline.load()


def test_what_was_ranked_furthest_down_is_listed_with_the_history_before_it(log: Path) -> None:
    pipeline, splits = recommender(log)
    cases = splits.cases("test")
    predictions = np.zeros((len(cases), 1 + NUM_BEST), np.float32)
    predictions[:, 0] = 1 + np.arange(len(cases))
    predictions[:, 1:4] = [3, 2, 1]
    found = pipeline.mistakes(predictions, splits, "test")
    assert len(found) == MOST_MISTAKES
    assert found["rank"].tolist() == sorted(found["rank"], reverse=True)
    assert set(found["ranked first"]) == {" · ".join(splits.titles[n] for n in (2, 1, 0))}
    table = pd.read_csv(log)
    of_user = table[table["user"] == found["user"][0]].sort_values("timestamp")["item"].tolist()
    assert found["came"][0] == of_user[-1]
    assert found["history"][0] == " · ".join(of_user[-6:-1])
    predictions[:, 0] = 1
    assert pipeline.mistakes(predictions, splits, "test").empty


def test_the_largest_errors_of_ratings_are_listed(log: Path) -> None:
    pipeline, splits = recommender(log, task="rate")
    truth = splits.cases("test").rating
    predictions = truth[:, None].copy()
    predictions[4] += 2
    predictions[7] -= 3
    found = pipeline.mistakes(predictions, splits, "test")
    assert found["error"].tolist() == [-3, 2]
    assert found["rating"].tolist() == [truth[7], truth[4]]


class LinesWithMistakes(LinePipeline):
    """Lines whose mistakes are a table."""

    def mistakes(self, predictions: np.ndarray, splits: LineSplits, part: Part) -> pd.DataFrame:
        first = float(predictions[0, 0])
        names = [f"point <{number}>" for number in range(SHOWN_MISTAKES + 1)]
        return pd.DataFrame({"text": names, "answer": "NA", "error": round(first, 3)})


def test_a_run_keeps_mistakes_of_the_network_and_of_the_strongest_baseline(
    tracker: MlflowTracker,
) -> None:
    pipeline = LinesWithMistakes(LineOptions())
    first = train(pipeline, LineSpec(), tracker)
    assert list(first.mistakes) == ["network", "mean"]
    for path, kept in zip((TEST_MISTAKES, BASELINE_MISTAKES), first.mistakes.values(), strict=True):
        read = tracker.table(first.run_id, path)
        assert read is not None
        pd.testing.assert_frame_equal(read, kept)
    # The baselines of the second run are those of the first, with their mistakes.
    second = train(pipeline, LineSpec(), tracker)
    assert second.baselines[0].read_from == first.run_id
    pd.testing.assert_frame_equal(second.mistakes["mean"], first.mistakes["mean"])
    card = run_card(first, [])
    assert r"point \<0\>" in card
    assert f"point \\<{SHOWN_MISTAKES}\\>" not in card
    page = final_report(first, {})
    assert page.count("<h2>Worst mistakes") == 2
    assert f"point &lt;{SHOWN_MISTAKES}&gt;" in page


def test_a_domain_whose_figures_show_mistakes_has_no_table(tracker: MlflowTracker) -> None:
    result = train(LinePipeline(LineOptions()), LineSpec(), tracker)
    assert result.mistakes == {}
    assert tracker.table(result.run_id, TEST_MISTAKES) is None
