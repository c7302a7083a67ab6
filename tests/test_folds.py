"""Cross-validation: what each fold tests, what is said of all, and the model that is kept."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from apps import cli, rendering, saved_runs
from pipelines import create_pipeline
from pipelines.config.search_space import replace
from pipelines.errors import DataError, UsageError
from pipelines.evaluation.folds import parse_fold, require_folds
from pipelines.evaluation.splitting import split_parts
from pipelines.pipeline import AnyPipeline
from pipelines.splits import Splits
from tests.command_line import appline
from tests.samples import small_log, small_series, small_texts, written
from tuning.reports.intervals import folds_interval
from tuning.results.folds import FoldsResult
from tuning.tracking.mlflow_tracker import MlflowTracker, open_tracker
from tuning.tracking.saved_views import LISTED
from tuning.tracking.ui_links import saved_views_of
from tuning.training.folds import Chosen, Folds, cross_validate, in_fold

FOLDS = 3


def test_every_example_is_tested_by_one_fold_and_classes_keep_their_shares() -> None:
    labels = np.repeat([0, 1, 2], [60, 30, 10])
    tested = []
    for number in range(1, 6):
        parts = split_parts({"train": labels}, 42, fold=parse_fold(f"{number}/5"))
        rows = {part: positions for part, (_, positions) in parts.items()}
        together = np.concatenate(list(rows.values()))
        assert sorted(together) == list(range(100)), "parts of a fold share nothing"
        assert np.bincount(labels[rows["test"]]).tolist() == [12, 6, 2]
        tested += rows["test"].tolist()
    assert sorted(tested) == list(range(100))


def test_what_belongs_together_is_tested_by_one_fold() -> None:
    labels = np.tile([0, 1], 30)
    groups = np.repeat([f"patient {number}" for number in range(12)], 5)
    seen: set[str] = set()
    for number in range(1, 4):
        parts = split_parts({"train": labels}, 42, groups, parse_fold(f"{number}/3"))
        in_test = set(groups[parts["test"][1]])
        assert not in_test & set(groups[parts["train"][1]])
        assert not in_test & seen
        seen |= in_test
    assert len(seen) == 12


def test_folds_of_more_groups_than_there_are_is_refused() -> None:
    groups = np.repeat(["a", "b"], 10)
    with pytest.raises(DataError, match=r"there are 2 groups to divide.* Expected 3 or more"):
        split_parts({"train": np.tile([0, 1], 10)}, 42, groups, parse_fold("1/3"))


@pytest.mark.parametrize("text", ["5", "0/5", "6/5", "1/1", "a/b", "1/5/2"])
def test_what_is_no_fold_is_refused_with_one_that_is(text: str) -> None:
    with pytest.raises(UsageError, match=r"expected NUMBER/COUNT, such as 2/5"):
        parse_fold(text)


def test_data_with_a_test_part_of_its_own_has_no_folds(tmp_path: Path) -> None:
    rows = pd.DataFrame({"text": [f"text {row}" for row in range(40)], "label": ["a", "b"] * 20})
    rows["split"] = ["train"] * 30 + ["test"] * 10
    data = written(rows, tmp_path / "divided.csv")
    with pytest.raises(UsageError, match="the data has a test part of its own"):
        create_pipeline("text", data=str(data), fold="1/5").load()


def test_a_class_too_small_for_each_fold_is_refused(tmp_path: Path) -> None:
    rows = pd.DataFrame({"text": [f"text {row}" for row in range(22)]})
    rows["label"] = ["a", "b"] * 10 + ["rare", "rare"]
    data = written(rows, tmp_path / "rare.csv")
    with pytest.raises(DataError, match="'rare' has 2"):
        create_pipeline("text", data=str(data), fold="1/5").load()


def test_folds_of_series_are_rolling_origins(tmp_path: Path) -> None:
    data = str(small_series(tmp_path / "hourly.csv"))
    options = {"data": data, "horizon": 6, "lookback": 24}
    whole = create_pipeline("forecast", **options).load()
    borders = []
    for number in range(1, 4):
        borders.append(create_pipeline("forecast", **options, fold=f"{number}/3").load().borders)
    ends = [border[3] for border in borders]
    assert ends[-1] == whole.borders[3]
    assert [border[2] for border in borders[1:]] == ends[:-1], "test parts follow each other"
    assert {border[2] - border[1] for border in borders} == {whole.borders[2] - whole.borders[1]}
    assert {border[0] for border in borders} == {whole.borders[0]}, "train grows"
    with pytest.raises(DataError, match=r"50 folds of a test part of \d+ steps .* At most \d+"):
        create_pipeline("forecast", **options, fold="1/50").load()


def test_ratings_have_no_folds(tmp_path: Path) -> None:
    pipeline = create_pipeline("recommend", data=str(small_log(tmp_path / "log.csv")))
    with pytest.raises(UsageError, match="recommend data is not divided into folds"):
        require_folds(pipeline.options, 5)


def test_the_interval_over_folds_is_that_of_nadeau_and_bengio() -> None:
    differences = np.array([0.02, 0.05, 0.01, 0.04, 0.03])
    low, high = folds_interval(differences, test_per_train=0.25)
    # t of 4 degrees of freedom is 2.776; the sample's variance is .00025.
    half = 2.7764451 * (0.00025 * (1 / 5 + 0.25)) ** 0.5
    assert (low, high) == pytest.approx((0.03 - half, 0.03 + half))
    assert folds_interval(np.full(5, 0.1), 0.25) == pytest.approx((0.0, 0.1)), "says nothing"


# ------------------------------------------------------------------------- a real cross-validation


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("folds") / "mlruns"


@pytest.fixture(scope="module")
def tracker(root: Path) -> MlflowTracker:
    return open_tracker("text/folds", root=root)


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> AnyPipeline:
    data = small_texts(tmp_path_factory.mktemp("opinions") / "opinions.csv")
    return create_pipeline("text", data=str(data))


@pytest.fixture(scope="module")
def result(pipeline: AnyPipeline, tracker: MlflowTracker) -> FoldsResult:
    first = in_fold(pipeline, 1, FOLDS).load()
    return cross_validate(pipeline, Folds(count=FOLDS), first, choose_small, tracker)


def choose_small(fold: AnyPipeline, splits: Splits) -> Chosen:
    small = {"architecture": "textcnn", "conv.filters": 4, "embedding.width": 4, "train.epochs": 1}
    return Chosen(spec=replace(fold.options.spec_type(), small))


def test_an_interrupt_names_the_runs_of_the_folds_that_came_to_their_end(
    pipeline: AnyPipeline, tmp_path: Path
) -> None:
    """It said that nothing was kept."""
    tracker = open_tracker("text/folds", root=tmp_path / "mlruns")

    def choose(fold: AnyPipeline, splits: Splits) -> Chosen:
        if fold.options.fold == f"2/{FOLDS}":
            raise KeyboardInterrupt
        return choose_small(fold, splits)

    first = in_fold(pipeline, 1, FOLDS).load()
    with pytest.raises(KeyboardInterrupt) as stopped:
        cross_validate(pipeline, Folds(count=FOLDS, baselines=False), first, choose, tracker)
    (kept,) = tracker.rows(role="fold")
    said = f"Kept with model and scores: 1 of 3 folds ({kept.id[:8]})"
    assert cli._last_words(stopped.value, ["text", "train"]) == f"Interrupted\n{said}"


def test_the_run_of_all_folds_has_their_means_and_the_folds_below_it(
    result: FoldsResult, tracker: MlflowTracker, pipeline: AnyPipeline
) -> None:
    (row,) = tracker.rows(run_id=result.run_id)
    assert row.role == "folds"
    assert row.status == "FINISHED"
    assert LISTED in row.tags, "the leaderboard shows it"
    below = tracker.rows(role="fold")
    assert {fold.params["fold"] for fold in below} == {"1/3", "2/3", "3/3"}
    assert {fold.tags["mlflow.parentRunId"] for fold in below} == {result.run_id}
    mean = np.mean([fold.metrics["test/accuracy"] for fold in below])
    assert row.metrics["test/accuracy"] == pytest.approx(mean, abs=1e-5)
    assert row.metrics["folds/mean"] == pytest.approx(mean, abs=1e-5)
    assert row.tags["verdict"].endswith("over 3 folds")
    assert {run.tags["mlflow.runColor"] for run in (row, *below)} == {"#0072b2"}
    tested = sum(fold.test_examples for fold in result.folds)
    splits = in_fold(pipeline, 1, FOLDS).load()
    assert tested == sum(splits.sizes().values()), "each text is tested once"
    assert row.metrics["audit/test_examples"] == tested


def test_the_cards_of_folds_lead_to_their_table_and_back(
    result: FoldsResult, tracker: MlflowTracker
) -> None:
    (row,) = tracker.rows(run_id=result.run_id)
    experiment = tracker.client.get_experiment(tracker.experiment_id)
    views = {view.name: view for view in saved_views_of(tracker.experiment_id, experiment.tags)}
    (name,) = set(views) - {"Leaderboard"}
    assert name.startswith("3 folds of textcnn k3 s1 f4, mean accuracy ")
    _, _, link = views[name].path.partition("#")
    assert f"[the folds in a table](#{link})" in row.tags["mlflow.note.content"]
    assert f"[{name}](#{link})" in experiment.tags["mlflow.note.content"]
    condition = f"tags.folds = '{row.id}' AND tags.role != 'baseline'"
    shown = tracker.client.search_runs([tracker.experiment_id], condition)
    assert len(shown) == 1 + FOLDS
    columns = {"baseline/most frequent/accuracy", "audit/test_examples", "cost/train_s"}
    assert all(columns <= set(run.data.metrics) for run in shown)
    back = f"[all folds](#/experiments/{tracker.experiment_id}/runs/{row.id}"
    assert all(back in fold.tags["mlflow.note.content"] for fold in tracker.rows(role="fold"))


def test_what_is_said_is_the_mean_over_the_folds_against_the_best_baseline_on_validation(
    result: FoldsResult,
) -> None:
    assert result.lift is not None
    means = {}
    for baseline in result.folds[0].baselines:
        scores = []
        for fold in result.folds:
            scores += [own.val["accuracy"] for own in fold.baselines if own.name == baseline.name]
        means[baseline.name] = np.mean(scores)
    assert means[result.lift.baseline] == max(means.values())
    names = dict(result.rows())
    lift = result.means("test")["accuracy"] - names[result.lift.baseline]["accuracy"]
    assert result.lift.mean == pytest.approx(lift)
    text = rendering.folds_result(result)
    assert text.startswith(result.verdict)
    assert "over 3 folds" in result.verdict
    assert "fold 3" in text
    assert json.loads(json.dumps(result.as_json()))["score"]["values"] == [
        fold.test["accuracy"] for fold in result.folds
    ]


def test_the_model_of_the_folds_has_learned_from_all_of_the_data(
    result: FoldsResult, root: Path
) -> None:
    uri = f"sqlite:///{root / 'mlflow.db'}"
    row = saved_runs.winner_of(saved_runs.find(result.run_id, uri), uri)
    assert row.params["fold"] == "3/3"
    assert row.params["final_fit"] == "all"
    assert "learned from test" in saved_runs.learned_from(row, "test")
    serving = saved_runs.read_run_model(row, uri)
    assert serving.facts.classes


@pytest.mark.slow
def test_folds_run_from_the_command_line_and_their_run_answers(tmp_path: Path) -> None:
    data = small_texts(tmp_path / "opinions.csv")
    told = appline(
        *("text", "train", "--data", data.name, "--folds", "3", "--epochs", "1"),
        *("--architecture", "textcnn", "--json"),
        folder=tmp_path,
    )
    assert told.returncode == 0, told.stderr
    run = json.loads(told.stdout)["run_id"]
    answered = appline("text", "predict", data.name, "--run", run, folder=tmp_path)
    assert answered.returncode == 0, answered.stderr
    assert len(answered.stdout.splitlines()) == 1 + len(pd.read_csv(data))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--seeds", "2"], "--folds and --seeds"),
        (["--fold", "1/3"], "--folds goes through all folds"),
        (["--dry-run"], "--fold 1/3, without --folds"),
    ],
)
def test_flags_that_ask_for_another_training_are_refused_before_data_is_read(
    flags: list[str], message: str, tmp_path: Path
) -> None:
    told = appline("text", "train", "--data", "x.csv", "--folds", "3", *flags, folder=tmp_path)
    assert told.returncode == 2
    assert message in told.stderr
    assert not list(tmp_path.iterdir())
