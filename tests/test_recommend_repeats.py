"""What is had again: candidates, the baseline of one's own items, weights, and what is served."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipelines.config.search_space import replace
from pipelines.model_file import read_model, write_model
from pipelines.recommend import baselines, batches, item_models
from pipelines.recommend.item_models import Markov, PersonalPopularity
from pipelines.recommend.options import RecommendOptions
from pipelines.recommend.pipeline import RecommendPipeline
from pipelines.recommend.predict_options import RecommendPredictOptions
from pipelines.recommend.spec import RecommendSpec
from tuning.training.fit import fit
from tuning.training.monitor import Watch

SMALL = {"embedding.width": 8, "conv.filters": 8, "history": 8, "train.epochs": 2}


def shop(path: Path, **columns: Any) -> Path:
    """Write orders of 30 customers who buy their three favourites of 20 goods by turns."""
    rng = np.random.default_rng(0)
    rows = []
    for user in range(30):
        favourites = rng.choice(20, 3, replace=False)
        for step in range(12):
            item = rng.integers(20) if step % 5 == 4 else favourites[step % 3]
            rows.append((f"c{user}", f"g{item}", 1_600_000_000 + 100 * user + step))
    table = pd.DataFrame(rows, columns=["user", "item", "timestamp"])
    table.assign(**columns).to_csv(path, index=False)
    return path


def pipeline_of(path: Path, **options: Any) -> RecommendPipeline:
    return RecommendPipeline(RecommendOptions(data=str(path), keep_repeats=True, **options))


def test_ones_own_items_are_a_baseline_and_the_best_one_here(tmp_path: Path) -> None:
    splits = pipeline_of(shop(tmp_path / "shop.csv")).load()
    losses = {name: tuned.loss for name, tuned in baselines.tune(splits).items()}
    assert min(losses, key=lambda name: losses[name]) == "personal popularity"
    assert "personal popularity" in baselines.stacking_candidates(splits)
    new_only = RecommendPipeline(RecommendOptions(data=splits_path(tmp_path))).load()
    assert "personal popularity" not in baselines.tune(new_only)


def splits_path(folder: Path) -> str:
    return str(folder / "shop.csv")


def test_personal_popularity_counts_what_a_user_had_and_how_long_ago(tmp_path: Path) -> None:
    splits = pipeline_of(shop(tmp_path / "shop.csv")).load()
    everything = np.ones(len(splits.item), bool)
    history = np.array([[0, 1, 2, 1, 3]])
    counts = PersonalPopularity().fit(splits, everything).scores(history)[0]
    assert counts[[1, 2, 3]].round().tolist() == [2, 1, 1]
    assert counts[4] < 1e-3
    recent = PersonalPopularity(recency=1.0).fit(splits, everything).scores(history)[0]
    assert recent[[1, 2, 3]] == pytest.approx([1 / 4 + 1 / 2, 1 / 3, 1], abs=1e-4)


def test_a_trained_model_answers_with_what_was_had_before(tmp_path: Path) -> None:
    pipeline = pipeline_of(shop(tmp_path / "shop.csv"))
    splits = pipeline.load()
    network = fit(
        pipeline,
        replace(RecommendSpec(), SMALL),
        splits,
        seed=1,
        watch=Watch(objective=pipeline.options.objective()),
    ).model
    pipeline.calibrate(network, splits)
    write_model(pipeline.serve(network, splits), tmp_path / "model.keras")
    served = read_model(tmp_path / "model.keras")
    had = {served.facts.items[number - 1] for number in served.facts.histories[0]}
    user = np.array([served.facts.users[0]])
    answers = RecommendPipeline.predict_raw(served, user, RecommendPredictOptions(top=2))
    assert set(answers["item"]) <= had
    new = RecommendPipeline.predict_raw(served, user, RecommendPredictOptions(new_only=True))
    assert not set(new["item"]) & had
    later = pd.DataFrame({"user": user, "item": sorted(had)[:1], "timestamp": [1_700_000_000]})
    later.to_csv(tmp_path / "later.csv", index=False)
    hold_out = pipeline_of(tmp_path / "later.csv").load_hold_out(served)
    assert hold_out.sizes()["test"] == 1
    assert hold_out.seen("test").nnz == 0


def test_the_target_of_validation_may_have_been_had(tmp_path: Path) -> None:
    pipeline = pipeline_of(shop(tmp_path / "shop.csv"))
    splits = pipeline.load()
    spec = replace(RecommendSpec(), SMALL)
    _, targets = next(iter(batches.batches(splits, "val", spec, None)))
    assert targets.shape[1] == 1, "nothing is masked"


def test_quantities_count_in_item_models_and_in_the_loss(tmp_path: Path) -> None:
    quantity = [1023 if row % 12 == 3 else 1 for row in range(360)]
    path = shop(tmp_path / "shop.csv", quantity=quantity)
    plain = pipeline_of(path).load()
    splits = pipeline_of(path, weight_column="quantity").load()
    assert splits.weight is not None
    everything = np.ones(len(splits.item), bool)
    matrix = item_models.interaction_matrix(splits, everything)
    assert matrix.max() == 10, "log2 of 1,024"
    row = int(np.flatnonzero(splits.weight == 10)[0])
    assert matrix[splits.person[row], splits.item[row]] == 10
    weights = Markov().weights()
    added = item_models.transitions(splits, everything, weights) - item_models.transitions(
        plain, everything, weights
    )
    assert added[splits.item[row - 1], splits.item[row]] > 0
    _, targets, of_targets = next(
        iter(batches.batches(splits, "train", replace(RecommendSpec(), SMALL), 1))
    )
    assert targets.shape == of_targets.shape
    assert set(np.unique(of_targets)) == {0, 1, 10}
    assert np.array_equal(np.asarray(of_targets) > 0, np.asarray(targets) > 0)


def test_a_network_learns_what_weighs_more(tmp_path: Path) -> None:
    """After each item, one of two comes as often as the other; one is bought by the thousand."""
    rows = []
    for user in range(60):
        for step in range(10):
            item = "hub" if step % 2 == 0 else ("much" if (user + step // 2) % 2 else "little")
            rows.append((user, item, step, 4095 if item == "much" else 1))
    path = tmp_path / "log.csv"
    pd.DataFrame(rows, columns=["user", "item", "timestamp", "pieces"]).to_csv(path, index=False)
    shares = []
    for options in ({}, {"weight_column": "pieces"}):
        pipeline = pipeline_of(path, **options)
        splits = pipeline.load()
        values = {**SMALL, "train.epochs": 12, "train.learning_rate": 0.02, "start_from": "none"}
        fitted = fit(
            pipeline,
            replace(RecommendSpec(), values),
            splits,
            seed=1,
            watch=Watch(objective=pipeline.options.objective()),
        )
        hub = splits.items.index("hub") + 1
        history = np.array([[0] * 7 + [hub]], np.int32)
        scores = np.asarray(fitted.model({"history": history}))[0]
        much, little = (splits.items.index(name) + 1 for name in ("much", "little"))
        shares.append(float(scores[much] - scores[little]))
    assert shares[1] > shares[0] + 0.3


def test_a_later_log_needs_no_quantities(tmp_path: Path) -> None:
    quantity = [1 + row % 4 for row in range(360)]
    pipeline = pipeline_of(shop(tmp_path / "shop.csv", quantity=quantity), weight_column="quantity")
    splits = pipeline.load()
    spec = replace(RecommendSpec(), {**SMALL, "start_from": "none"})
    served = pipeline.serve(pipeline.build(spec, splits), splits)
    later = shop(tmp_path / "later.csv")
    hold_out = pipeline_of(later, weight_column="quantity").load_hold_out(served)
    assert hold_out.sizes()["test"] == 360
