"""The baselines of the recommend domain, against numbers computed by hand or by slow code."""

import gc
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipelines.recommend import baselines, evaluate, item_models, ranking
from pipelines.recommend.data import RecommendSplits
from pipelines.splits import SCORED_PARTS
from tests.test_recommend_data import chain, load

# Users and what they took, in order; the last one is test, the one before val.
LOGS = {"a": "1 2 3 4 5", "b": "2 3 4 1 6", "c": "1 2 4 3 5", "d": "5 6 1 2 3", "e": "6 5 4 3 2"}


@pytest.fixture
def splits(tmp_path: Path) -> RecommendSplits:
    rows = [(user, item) for user, items in LOGS.items() for item in items.split()]
    return load(pd.DataFrame(rows, columns=["user", "item"]), tmp_path, split="leave-last")


def dense(fitted: item_models.ItemModel) -> np.ndarray:
    matrix = fitted.matrix
    return matrix if isinstance(matrix, np.ndarray) else matrix.toarray()


def train_of(splits: RecommendSplits) -> dict[str, list[int]]:
    """What each user took in train, read off the log row by row."""
    return {user: [int(item) for item in items.split()[:-2]] for user, items in LOGS.items()}


# ------------------------------------------------------------------------------------------ scorers


def test_popularity_counts_known_rows_only(splits: RecommendSplits) -> None:
    fitted = item_models.Popularity().fit(splits, splits.known_mask("val"))
    counts = Counter(item for items in train_of(splits).values() for item in items)
    expected = np.array([counts[item] for item in range(7)]) / max(counts.values())
    assert fitted.popularity == pytest.approx(expected)
    scores = fitted.scores(splits.histories("val", 1)[:1])
    assert (
        np.argsort(-scores[0], kind="stable").tolist()
        == np.argsort(-expected, kind="stable").tolist()
    )


def test_item_knn_holds_the_largest_cosines(splits: RecommendSplits) -> None:
    sets = {
        item: {user for user, items in train_of(splits).items() if item in items}
        for item in range(1, 7)
    }
    cosine = np.zeros((7, 7))
    for item in sets:
        for other in sets:
            if item != other:
                norms = math.sqrt(len(sets[item]) * len(sets[other]))
                cosine[item, other] = len(sets[item] & sets[other]) / norms
    assert dense(
        item_models.ItemKNN(neighbours=99).fit(splits, splits.known_mask("val"))
    ) == pytest.approx(cosine)
    nearest = dense(item_models.ItemKNN(neighbours=2).fit(splits, splits.known_mask("val")))
    for item in range(1, 7):
        assert sorted(nearest[:, item])[-2:] == pytest.approx(sorted(cosine[item])[-2:])
        assert (nearest[:, item] > 0).sum() <= 2


def test_shrinking_takes_from_pairs_that_few_users_have(splits: RecommendSplits) -> None:
    # Of val's train rows, a and c have item 1 and 2, d has item 1, b has item 2: 2 / (sqrt(3 * 3) +
    # 5).
    matrix = dense(
        item_models.ItemKNN(neighbours=99, shrink=5.0).fit(splits, splits.known_mask("val"))
    )
    assert matrix[1, 2] == pytest.approx(2 / 8)


def test_the_blocks_of_item_knn_change_nothing(splits: RecommendSplits) -> None:
    users = item_models.interaction_matrix(splits, splits.known_mask("val"))
    whole = item_models._nearest(users, 99).toarray()
    assert np.array_equal(item_models._nearest(users, 99, block=2).toarray(), whole)


def test_recency_weights_the_history_from_its_end(splits: RecommendSplits) -> None:
    fitted = item_models.ItemKNN(neighbours=99, recency=1.0).fit(splits, splits.known_mask("val"))
    matrix = dense(fitted)
    scores = fitted.scores(np.array([[0, 3, 2, 1]]))
    assert scores[0] == pytest.approx(matrix[1] + matrix[2] / 2 + matrix[3] / 3, abs=1e-4)


def test_transitions_are_counted_within_users_and_window(splits: RecommendSplits) -> None:
    weights = np.array([1.0, 0.5], dtype=np.float32)
    expected = np.zeros((7, 7))
    for items in train_of(splits).values():
        for at, item in enumerate(items):
            for distance in (1, 2):
                if at + distance < len(items):
                    expected[item, items[at + distance]] += weights[distance - 1]
    assert item_models.transitions(
        splits, splits.known_mask("val"), weights
    ).toarray() == pytest.approx(expected)


def test_markov_divides_by_powers_of_the_totals_and_adds_the_last_items(
    splits: RecommendSplits,
) -> None:
    setting = item_models.Markov(window=2, decay=1.0, row_power=1.0, column_power=0.5)
    assert setting.weights() == pytest.approx([1, 0.5])
    fitted = setting.fit(splits, splits.known_mask("val"))
    counts = item_models.transitions(splits, splits.known_mask("val"), setting.weights()).toarray()
    rows, columns = counts.sum(axis=1, keepdims=True), counts.sum(axis=0, keepdims=True)
    expected = np.divide(
        counts, rows * np.sqrt(columns), out=np.zeros_like(counts), where=counts > 0
    )
    assert dense(fitted) == pytest.approx(expected)
    scores = fitted.scores(np.array([[6, 2, 1]]))  # the window is 2: item 6 does not count
    assert scores[0] == pytest.approx(expected[1] + expected[2] / 2, abs=1e-4)


def test_ease_is_the_ridge_regression_with_a_diagonal_of_zeros(splits: RecommendSplits) -> None:
    users = (
        item_models.interaction_matrix(splits, splits.known_mask("val"))
        .toarray()
        .astype(np.float64)
    )
    matrix = dense(item_models.Ease(penalty=2.0).fit(splits, splits.known_mask("val")))
    assert np.diag(matrix) == pytest.approx(0)
    for item in range(1, 7):
        # Its column of EASE is the ridge regression of the item on all others.
        others = [other for other in range(7) if other != item]
        x = users[:, others]
        expected = np.linalg.solve(x.T @ x + 2.0 * np.eye(6), x.T @ users[:, item])
        assert matrix[others, item] == pytest.approx(expected, abs=1e-5)


def test_an_ease_to_be_saved_keeps_the_largest_weights_of_each_item(
    splits: RecommendSplits,
) -> None:
    whole = dense(item_models.Ease(penalty=2.0).fit(splits, splits.known_mask("val")))
    kept = dense(item_models.Ease(penalty=2.0, kept=5).fit(splits, splits.known_mask("val")))
    assert (np.count_nonzero(kept, axis=0)[1:] <= 5).all()
    assert np.array_equal(kept[kept != 0], whole[kept != 0])
    assert np.allclose(np.sort(np.abs(kept), axis=0)[-5:], np.sort(np.abs(whole), axis=0)[-5:])


def test_the_lower_triangle_is_mirrored_block_by_block() -> None:
    whole = np.random.default_rng(0).normal(size=(7, 7))
    whole = whole + whole.T
    lower = np.asfortranarray(np.tril(whole))
    item_models._mirror(lower, block=3)
    assert lower == pytest.approx(whole)


def test_those_without_a_history_are_given_what_is_popular(splits: RecommendSplits) -> None:
    for setting in (
        item_models.ItemKNN(neighbours=5),
        item_models.Markov(),
        item_models.Ease(penalty=1.0),
    ):
        fitted = setting.fit(splits, splits.known_mask("val"))
        scores = fitted.scores(np.zeros((1, 4), np.int32))
        assert scores[0] == pytest.approx(item_models.TIE * fitted.popularity)


def test_a_scorer_fitted_for_val_never_saw_a_later_row(splits: RecommendSplits) -> None:
    known = splits.known_mask("val")
    users = item_models.interaction_matrix(splits, known)
    assert users.sum() == sum(len(items) for items in train_of(splits).values())
    assert item_models.interaction_matrix(
        splits, splits.known_mask("test")
    ).sum() == users.sum() + len(LOGS)


def test_biases_solve_the_damped_regression(tmp_path: Path) -> None:
    splits = load(chain(users=10, each=10), tmp_path, task="rate")
    known = splits.known_mask("val")
    fitted = item_models.Biases(user_penalty=2.0, item_penalty=3.0).fit(splits, known)
    rows = np.flatnonzero(known)
    x = np.zeros((len(rows), splits.num_users + splits.num_items))
    x[np.arange(len(rows)), splits.user[rows] - 1] = 1
    x[np.arange(len(rows)), splits.num_users + splits.item[rows] - 1] = 1
    y = splits.rating[rows] - splits.rating[rows].mean()
    penalty = np.diag([2.0] * splits.num_users + [3.0] * splits.num_items)
    expected = np.linalg.solve(x.T @ x + penalty, x.T @ y)
    assert np.concatenate([fitted.users[1:], fitted.items[1:]]) == pytest.approx(expected, abs=1e-4)
    assert fitted.ratings(np.array([0]), np.array([0])) == pytest.approx(
        [splits.rating[rows].mean()]
    )


# -------------------------------------------------------------------------------------------- ranks


def scored(splits: RecommendSplits, rows: dict[int, list[float]]) -> np.ndarray:
    """Predictions for test from the scores of items 1 to 6 for some cases; 0 for the others."""
    scores = np.zeros((len(splits.cases("test")), 7), np.float32)
    for case, values in rows.items():
        scores[case, 1:] = values
    return ranking.rank_items(lambda chosen: scores[chosen], splits, "test")


def test_a_rank_counts_better_unseen_items_only(splits: RecommendSplits) -> None:
    # User a has seen 1 2 3 4, the target is 5, unseen are 5 and 6.
    assert scored(splits, {0: [9, 9, 9, 9, 1, 2]})[0, :4].tolist() == [2, 6, 5, 0]
    assert scored(splits, {0: [9, 9, 9, 9, 2, 1]})[0, :4].tolist() == [1, 5, 6, 0]


def test_ties_get_the_mean_rank(splits: RecommendSplits) -> None:
    assert scored(splits, {0: [9, 9, 9, 9, 1, 1]})[0, 0] == 1.5


def test_what_is_no_number_is_worst(splits: RecommendSplits) -> None:
    assert scored(splits, {0: [0, 0, 0, 0, math.nan, -5]})[0, :3].tolist() == [2, 6, 5]
    assert scored(splits, {0: [0, 0, 0, 0, -math.inf, math.nan]})[0, 0] == 1.5


def test_padding_and_seen_items_are_never_recommended(splits: RecommendSplits) -> None:
    predictions = scored(splits, {})
    assert predictions.shape == (5, 1 + ranking.NUM_BEST)
    for case, history in enumerate(splits.histories("test")):
        best = predictions[case, 1:][predictions[case, 1:] > 0]
        assert len(best) == 2
        assert not set(best.astype(int)) & set(history.tolist())


def test_chunks_change_nothing(splits: RecommendSplits) -> None:
    fitted = item_models.Markov(window=3).fit(splits, splits.known_mask("test"))
    whole, parts = (
        ranking.rank_items(
            lambda rows: item_models.scores_of(fitted, splits, "test", rows), splits, "test", chunk
        )
        for chunk in (0, 2)
    )
    assert np.array_equal(whole, parts)


def test_ranks_leave_the_scores_as_they_were(splits: RecommendSplits) -> None:
    scores = np.ones((5, 7), np.float32)
    scores.setflags(write=False)
    ranking.rank_items(lambda rows: scores[rows], splits, "test")
    assert (scores == 1).all()


def test_a_cold_target_ranks_behind_all_items(tmp_path: Path) -> None:
    table = chain()
    table.loc[7, "item"] = "never before"
    splits = load(table, tmp_path)
    predictions = ranking.rank_items(
        lambda rows: np.zeros((rows.stop - rows.start, splits.num_items + 1)), splits, "test"
    )
    assert predictions[0, 0] == splits.num_items + 1
    first_case = splits.only("test", np.arange(6) == 0)
    scores = evaluate.score(predictions[:1], first_case, "test")
    assert (scores["ndcg_20"], scores["hr_20"], scores["mrr"]) == (0, 0, 0)
    assert evaluate.table(predictions, splits, "test")["target"][0] == "(not in train)"


# ------------------------------------------------------------------------------------------- scores


def test_scores_are_those_computed_by_hand(splits: RecommendSplits) -> None:
    predictions = np.zeros((5, 1 + ranking.NUM_BEST), np.float32)
    predictions[:, 0] = [1, 2, 3, 10.5, 11]
    predictions[:, 1] = [1, 1, 1, 1, 3]
    scores = evaluate.score(predictions, splits, "test")
    assert scores["ndcg_10"] == pytest.approx((1 + 1 / math.log2(3) + 1 / 2) / 5)
    assert scores["ndcg_20"] == pytest.approx(
        (1 + 1 / math.log2(3) + 1 / 2 + 1 / math.log2(11.5) + 1 / math.log2(12)) / 5
    )
    assert [scores[f"hr_{k}"] for k in (1, 5, 10, 20)] == pytest.approx([0.2, 0.6, 0.6, 1])
    assert scores["mrr"] == pytest.approx((1 + 1 / 2 + 1 / 3 + 1 / 10.5 + 1 / 11) / 5)
    assert scores["coverage_10"] == pytest.approx(2 / 6)
    # Of the five users in train, a, c and d have item 1, and a and b have item 3.
    assert scores["novelty_10"] == pytest.approx(-(4 * math.log2(3 / 5) + math.log2(2 / 5)) / 5)


def test_losses_average_to_one_minus_ndcg_also_when_users_have_several_cases(
    tmp_path: Path,
) -> None:
    splits = load(chain(), tmp_path, holdout=2)
    splits = splits.only("test", np.arange(12) != 3)
    fitted = item_models.Popularity().fit(splits, splits.known_mask("test"))
    predictions = baselines.predict(fitted, splits, "test")
    losses = evaluate.losses(predictions, splits, "test")
    assert losses.shape == (6,)
    assert losses.mean() == pytest.approx(
        1 - evaluate.score(predictions, splits, "test")["ndcg_10"]
    )


def test_ratings_are_scored_by_their_errors(tmp_path: Path) -> None:
    splits = load(chain(), tmp_path, task="rate")
    cases = splits.cases("test")
    predictions = cases.rating[:, None] + np.where(np.arange(len(cases)) == 0, 2, 1)[:, None]
    scores = evaluate.score(predictions, splits, "test")
    count = len(cases)
    assert scores["mse"] == pytest.approx((4 + count - 1) / count)
    assert scores["rmse"] == pytest.approx(scores["mse"] ** 0.5)
    assert scores["mae"] == pytest.approx((2 + count - 1) / count)
    assert evaluate.losses(predictions, splits, "test").mean() == pytest.approx(scores["mse"])
    assert evaluate.table(predictions, splits, "test").columns.tolist() == [
        "user",
        "target",
        "title",
        "rating",
        "prediction",
        "error",
    ]


def test_the_table_names_users_targets_and_the_best(splits: RecommendSplits) -> None:
    table = evaluate.table(scored(splits, {0: [9, 9, 9, 9, 1, 2]}), splits, "test")
    columns = ["user", "target", "title", "rank", "top 1", "top 2", "top 3"]
    assert table[columns].iloc[0].tolist() == ["a", "5", "5", 2, "6", "5", ""]
    assert len(table) == 5


# ---------------------------------------------------------------------------------------- baselines


def test_baselines_come_in_order_with_predictions_and_settings(tmp_path: Path) -> None:
    splits = load(chain(users=12), tmp_path)
    computed = list(baselines.baselines(splits))
    assert [baseline.name for baseline in computed] == [
        "popularity",
        "item-kNN",
        "recency item-kNN",
        "Markov",
        "EASE",
    ]
    for baseline in computed:
        for part in SCORED_PARTS:
            shape = (len(splits.cases(part)), 1 + ranking.NUM_BEST)
            assert baseline.predictions[part].shape == shape
    assert set(computed[3].params) == {"window", "decay", "row_power", "column_power"}
    chain_follows = evaluate.score(computed[3].predictions["test"], splits, "test")["ndcg_10"]
    popular = evaluate.score(computed[0].predictions["test"], splits, "test")["ndcg_10"]
    assert chain_follows > popular


def test_ease_is_left_out_where_it_would_take_too_much_memory(
    splits: RecommendSplits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(baselines, "MOST_EASE_ITEMS", 5)
    assert "EASE" not in {baseline.name for baseline in baselines.baselines(splits)}


def test_baselines_of_ratings_are_means(tmp_path: Path) -> None:
    splits = load(chain(users=10, each=10), tmp_path, task="rate")
    computed = {baseline.name: baseline for baseline in baselines.baselines(splits)}
    assert list(computed) == ["global mean", "biases"]
    known = splits.rating[splits.known_mask("test")].mean()
    assert computed["global mean"].predictions["test"] == pytest.approx(known)


def test_settings_are_chosen_without_test(tmp_path: Path) -> None:
    splits = load(chain(users=12), tmp_path)
    blind = splits.only("test", np.zeros(12, bool))
    settings = {name: tuned.settings for name, tuned in baselines.tune(splits).items()}
    assert settings == {name: tuned.settings for name, tuned in baselines.tune(blind).items()}


def test_what_is_fitted_is_kept_as_long_as_its_splits_and_not_with_them(tmp_path: Path) -> None:
    splits = load(chain(users=12), tmp_path)
    markov = item_models.Markov()
    assert baselines.item_model(markov, splits, "val") is baselines.item_model(
        markov, splits, "val"
    )
    assert baselines.tune(splits) is baselines.tune(splits)
    # A sweep's workers receive data and nothing fitted.
    assert not any("fitted" in name or "tuned" in name for name in vars(splits))
    key = id(splits)
    assert key in baselines._FITTED
    del splits
    gc.collect()
    assert key not in baselines._FITTED
