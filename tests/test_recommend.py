"""Recommending networks: none looks ahead or is given what it may not know; and what is served."""

import dataclasses
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from pipelines.config.search_space import replace
from pipelines.errors import DataError, ImpossibleSpec
from pipelines.model_file import read_model, write_model
from pipelines.pipeline import ServingModel
from pipelines.recommend import baselines, batches, predict, stacking
from pipelines.recommend.data import RecommendSplits
from pipelines.recommend.next_item import NextItem
from pipelines.recommend.options import RecommendOptions
from pipelines.recommend.pipeline import RecommendPipeline
from pipelines.recommend.predict_options import RecommendPredictOptions
from pipelines.recommend.spec import ARCHITECTURES, RecommendSpec
from tests.samples import small_log
from tuning.training.fit import fit
from tuning.training.monitor import Watch

SMALL = {
    "embedding.width": 8,
    "conv.filters": 8,
    "history": 8,
    "recurrent.units": 8,
    "train.epochs": 2,
}
SEQUENTIAL = [name for name, entry in ARCHITECTURES.items() if entry.sees_history]


def pipeline_of(data: object, **options: Any) -> RecommendPipeline:
    return RecommendPipeline(RecommendOptions(data=str(data), **options))


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> RecommendPipeline:
    return pipeline_of(small_log(tmp_path_factory.mktemp("log") / "log.csv"))


@pytest.fixture(scope="module")
def splits(pipeline: RecommendPipeline) -> RecommendSplits:
    return pipeline.load()


@pytest.fixture(scope="module")
def served(
    pipeline: RecommendPipeline, splits: RecommendSplits, tmp_path_factory: pytest.TempPathFactory
) -> ServingModel:
    path = tmp_path_factory.mktemp("model") / "model.keras"
    network = fit(
        pipeline,
        replace(RecommendSpec(), SMALL),
        splits,
        seed=1,
        watch=Watch(objective=pipeline.options.objective()),
    ).model
    pipeline.calibrate(network, splits)
    write_model(pipeline.serve(network, splits), path)
    return read_model(path)


def shaken(model: Any) -> Any:
    """Give every weight a random value: a fresh network may hide what it sees behind zeros."""
    rng = np.random.default_rng(0)
    for weight in model.trainable_weights:
        weight.assign(rng.normal(scale=0.3, size=weight.shape))
    return model


@pytest.mark.parametrize("architecture", SEQUENTIAL)
@pytest.mark.parametrize("stride", [1, 3])
def test_no_state_changes_with_what_comes_later(
    pipeline: RecommendPipeline, splits: RecommendSplits, architecture: str, stride: int
) -> None:
    if stride > 1 and architecture != "conv":
        pytest.skip("only conv has a stride")
    spec = replace(RecommendSpec(), {**SMALL, "architecture": architecture, "conv.stride": stride})
    model = NextItem(shaken(pipeline.build(spec, splits)), spec, splits)
    history = np.asarray([[1, 2, 3, 4, 5, 6, 7, 8]], np.int32)
    later = history.copy()
    later[0, 5:] = [9, 10, 11]
    user = np.asarray([1], np.int32)
    states = []
    for items in (history, later):
        inputs = {"user": user, "history": items}
        used = {tensor.name: inputs[tensor.name] for tensor in model.network.inputs}
        states.append(np.asarray(model.encoder(used)))
    before, after = states
    assert np.allclose(before[:, :5], after[:, :5], atol=1e-5)
    assert not np.allclose(before[:, 5:], after[:, 5:], atol=1e-3)


# Of the two tasks each architecture has one in the default suite, and both in the slow one.
LEARNED = [
    pytest.param(
        task,
        architecture,
        marks=[pytest.mark.slow] if (task == "rate") == (architecture in SEQUENTIAL) else [],
    )
    for task in ("rank", "rate")
    for architecture in ARCHITECTURES
]


@pytest.mark.parametrize(("task", "architecture"), LEARNED)
def test_every_architecture_learns_both_tasks(
    pipeline: RecommendPipeline, architecture: str, task: str
) -> None:
    chosen = pipeline_of(pipeline.options.data, task=task)
    splits = chosen.load()
    values = {
        **SMALL,
        "architecture": architecture,
        "train.epochs": 3,
        "train.batch_size": 16,
        "train.patience": 3,
        "train.learning_rate": 0.01,
        "embedding.dropout": 0.0,
        "attention.dropout": 0.0,
    }
    fitted = fit(
        chosen,
        replace(RecommendSpec(), values),
        splits,
        seed=1,
        watch=Watch(objective=chosen.objective_for(splits)),
    )
    assert fitted.history["loss"][-1] < fitted.history["loss"][0]
    assert np.isfinite(chosen.predict(fitted.model, splits, "test")).all()


@pytest.mark.parametrize("architecture", list(ARCHITECTURES))
@pytest.mark.parametrize("task", ["rank", "rate"])
def test_arithmetic_counts_the_weights_of_both_tasks_with_features(
    pipeline: RecommendPipeline, architecture: str, task: str
) -> None:
    splits = pipeline_of(pipeline.options.data, task=task).load()
    splits = dataclasses.replace(
        splits, features=sparse.identity(splits.num_items + 1, format="csr")[:, :3]
    )
    spec = replace(RecommendSpec(), {**SMALL, "architecture": architecture})
    cost = pipeline.cost(spec, splits)
    assert cost
    assert pipeline.build(spec, splits).count_params() == cost.params


def test_windows_hold_every_target_of_train_once_with_what_came_before(
    splits: RecommendSplits,
) -> None:
    inputs, targets, _ = batches._windows({"history", "user"}, splits, 4)
    train = splits.part == 0
    counted = sum(
        max(0, int((train & (splits.person == person)).sum()) - 1)
        for person in range(1, len(splits.people) + 1)
    )
    assert (targets > 0).sum() == counted
    for history, target, user in zip(inputs["history"], targets, inputs["user"], strict=True):
        items = splits.item[train & (splits.user == user)].tolist()
        for before, after in zip(history, target, strict=True):
            if after:
                assert items[items.index(after) - 1] == before


def test_the_metric_of_a_fit_is_that_of_the_full_ranking(
    pipeline: RecommendPipeline, splits: RecommendSplits
) -> None:
    spec = replace(RecommendSpec(), {**SMALL, "start_from": "none"})
    fitted = fit(
        pipeline, spec, splits, seed=1, watch=Watch(objective=pipeline.options.objective())
    )
    scores = pipeline.score(pipeline.predict(fitted.model, splits, "val"), splits, "val")
    assert fitted.best_score == pytest.approx(scores["ndcg_10"], abs=1e-4)


def test_cases_are_batched_no_wider_than_their_own_histories(tmp_path: Path) -> None:
    """A table of all cases would be as wide as the longest history of any user.

    That is 1 GB for MovieLens with 100,000 ratings.
    """
    sizes = {f"u{number:02}": 5 for number in range(40)} | {"u99": 500}
    rows = [(user, f"i{step % 600}", step) for user, size in sizes.items() for step in range(size)]
    pd.DataFrame(rows, columns=["user", "item", "timestamp"]).to_csv(
        tmp_path / "log.csv", index=False
    )
    pipeline = pipeline_of(tmp_path / "log.csv")
    splits, spec = pipeline.load(), replace(RecommendSpec(), {"train.batch_size": 16})
    widths = [int(y.shape[1]) for _, y in pipeline.batches(splits, "val", spec, training=False)]
    assert widths == [1 + 3, 1 + 3, 1 + 498]
    assert int(pipeline.batches(splits, "val", spec, training=False).cardinality()) == 3


def test_a_target_that_train_does_not_hold_costs_no_loss(
    pipeline: RecommendPipeline, splits: RecommendSplits
) -> None:
    spec = replace(RecommendSpec(), SMALL)
    learner = pipeline.training_model(pipeline.build(spec, splits), spec, splits)
    scores = np.random.default_rng(0).normal(size=(2, splits.num_items + 1)).astype(np.float32)
    warm, cold = np.asarray([[3, 1], [5, 2]], np.int32), np.asarray([[3, 1], [0, 2]], np.int32)
    losses = [
        float(learner.compute_loss(y=y, y_pred=scores[: len(y)], training=False))
        for y in (warm[:1], warm, cold)
    ]
    assert losses[2] == pytest.approx(losses[0])
    assert losses[1] != pytest.approx(losses[0])


@pytest.mark.slow
def test_sampled_negatives_learn_what_the_full_softmax_learns(
    pipeline: RecommendPipeline, splits: RecommendSplits
) -> None:
    scores = {}
    for negatives in (0, 12):
        spec = replace(
            RecommendSpec(),
            {
                **SMALL,
                "start_from": "none",
                "negatives": negatives,
                "train.epochs": 25,
                "train.learning_rate": 0.01,
            },
        )
        fitted = fit(
            pipeline, spec, splits, seed=1, watch=Watch(objective=pipeline.options.objective())
        )
        scores[negatives] = fitted.best_score
    assert scores[12] > 0.8 * scores[0]


def test_a_start_from_nothing_is_not_blended(
    pipeline: RecommendPipeline, splits: RecommendSplits
) -> None:
    alone = shaken(
        pipeline.build(replace(RecommendSpec(), {**SMALL, "start_from": "none"}), splits)
    )
    predict.calibrate(alone, splits)
    assert not predict.stacking_weights(alone).item_models


def test_a_network_that_knows_nothing_has_little_say(
    pipeline: RecommendPipeline, splits: RecommendSplits
) -> None:
    noise = shaken(pipeline.build(replace(RecommendSpec(), SMALL), splits))
    predict.calibrate(noise, splits)
    weights = predict.stacking_weights(noise)
    assert weights.network < 0.1 * sum(entry["weight"] for entry in weights.item_models.values())
    best = max(1 - tuned.loss for tuned in baselines.tune(splits).values())
    scores = pipeline.score(pipeline.predict(noise, splits, "val"), splits, "val")
    assert scores["ndcg_10"] >= 0.95 * best


def test_the_weights_of_a_blend_are_chosen_without_test(
    pipeline: RecommendPipeline, splits: RecommendSplits
) -> None:
    network = shaken(pipeline.build(replace(RecommendSpec(), SMALL), splits))
    blind = splits.only("test", np.arange(len(splits.cases("test"))) < 1)
    chosen = []
    for each in (splits, blind):
        predict.calibrate(network, each)
        chosen.append(predict.stacking_weights(network).chosen())
    assert chosen[0] == chosen[1]


def test_likelihood_finds_the_weights_that_made_the_targets() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(4000, 31, 3)).astype(np.float32)
    true = np.array([1.5, 0.0, 0.5], np.float32)
    logits = scores @ true + rng.gumbel(size=(4000, 31))
    seen = rng.random((4000, 31)) < 0.2
    seen[:, 0] = True
    target = np.where(seen, -np.inf, logits).argmax(axis=1)
    assert np.allclose(stacking.fit_weights(scores, target, seen), true, atol=0.05)


def test_what_blas_says_of_numbers_is_no_warning_and_nan_stays() -> None:
    """A warning is an error here, and one came of the arithmetic of numbers that are all finite."""
    scores = np.ones((2, 3, 2), np.float32)
    scores[0, 0, 0] = np.inf
    summed = stacking.weighted_sum(scores, np.array([0.0, 1.0]))
    assert np.isnan(summed[0, 0])
    assert (summed[1] == 1).all()


def test_where_memory_is_short_the_weights_are_chosen_on_users_at_random(
    pipeline: RecommendPipeline, splits: RecommendSplits, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not on those with the lowest ids, who may be the oldest accounts."""
    fitted_to: list[np.ndarray] = []
    fit_weights = stacking.fit_weights

    def spied(scores: np.ndarray, target: np.ndarray, seen: np.ndarray) -> np.ndarray:
        fitted_to.append(target)
        return fit_weights(scores, target, seen)

    monkeypatch.setattr(stacking, "fit_weights", spied)
    # Bytes of ten cases with the scores of the network and five item models.
    few = 4 * 6 * (splits.num_items + 1) * 10
    monkeypatch.setattr("pipelines.recommend.ranking.MAX_SCORE_BYTES", few)
    predict.calibrate(shaken(pipeline.build(replace(RecommendSpec(), SMALL), splits)), splits)
    all_targets = splits.validation_sample().cases("val").target
    assert len(fitted_to[0]) == 10
    assert not np.array_equal(fitted_to[0], all_targets[all_targets > 0][:10])


def test_a_network_that_has_learned_from_val_takes_over_what_was_chosen_before(
    pipeline: RecommendPipeline, splits: RecommendSplits
) -> None:
    spec = replace(RecommendSpec(), SMALL)
    first = shaken(pipeline.build(spec, splits))
    again = shaken(pipeline.build(spec, splits.merge_into_train(["val"])))
    predict.stacking_weights(first).assign(
        0.3, {"Markov": {"settings": {"kind": "Markov", "window": 3}, "weight": 0.7}}
    )
    predict.calibrate(again, splits, like=first)
    assert predict.stacking_weights(again).chosen() == predict.stacking_weights(first).chosen()


def test_merged_splits_hold_val_in_train_and_have_the_same_test(splits: RecommendSplits) -> None:
    merged = splits.merge_into_train(["val"])
    assert merged.sizes()["train"] == splits.sizes()["train"] + int((splits.part == 1).sum())
    assert np.array_equal(merged.known_mask("val"), splits.known_mask("test"))
    assert np.array_equal(merged.histories("test"), splits.histories("test"))
    assert merged.items == splits.items


def test_the_saved_file_scores_as_the_evaluation_does(
    served: ServingModel, pipeline: RecommendPipeline, splits: RecommendSplits
) -> None:
    network = pipeline.restore_network(served, splits)
    cases = splits.cases("test")
    weights = predict.stacking_weights(network)
    assert weights.item_models, "fitted on val when it was trained, and kept in the file"
    rows = slice(0, len(cases))
    history = splits.histories("test")
    expected = predict.blended_scores(network, splits, "test")(rows)
    scores = np.asarray(served.model({"user": cases.user, "history": history})["scores"])
    assert np.allclose(scores[:, 1:], expected[:, 1:], rtol=1e-3, atol=1e-3)


def test_a_user_gets_ten_new_items_with_titles_and_scores(
    served: ServingModel, splits: RecommendSplits
) -> None:
    answers = RecommendPipeline.predict_raw(served, np.asarray(["u3"]))
    assert list(answers.columns) == ["row", "user", "place", "item", "title", "score", "note"]
    had = {
        splits.items[item - 1] for item in splits.item[splits.user == splits.users.index("u3") + 1]
    }
    assert not had & set(answers["item"])
    assert answers["place"].tolist() == list(range(1, 11))
    assert answers["score"].is_monotonic_decreasing


def test_a_history_is_answered_without_a_user(served: ServingModel) -> None:
    answers = RecommendPipeline.predict_raw(
        served, pd.DataFrame({"history": ["i1|i2|i3", "i1|nothing"]})
    )
    assert not {"i1", "i2", "i3"} & set(answers["item"][:10])
    assert set(answers["note"][10:]) == {"1 unknown item ignored"}


@pytest.mark.parametrize("cell", ["i1;i2", "i1, i2", "i1 i2"])
def test_items_of_a_history_may_stand_between_other_marks(served: ServingModel, cell: str) -> None:
    answers = RecommendPipeline.predict_raw(served, pd.DataFrame({"history": [cell]}))
    expected = RecommendPipeline.predict_raw(served, pd.DataFrame({"history": ["i1|i2"]}))
    assert answers[["item", "score"]].equals(expected[["item", "score"]])


def test_a_stranger_gets_what_is_popular_and_a_note(served: ServingModel) -> None:
    answers = RecommendPipeline.predict_raw(served, np.asarray(["nobody"]))
    assert set(answers["note"]) == {"unknown user; no history: popular items"}
    users = pd.Series(chain.from_iterable(served.facts.histories)).value_counts()
    assert answers["score"].tolist() == pytest.approx(
        (users.head(10) / len(served.facts.users)).tolist(), abs=1e-4
    )


def test_a_file_of_users_may_have_a_byte_order_mark_or_be_latin_1(
    served: ServingModel, tmp_path: Path
) -> None:
    (tmp_path / "marked.txt").write_bytes(b"\xef\xbb\xbfu3\r\n")
    (tmp_path / "latin.txt").write_bytes("é\nu3\n".encode("latin-1"))
    assert set(RecommendPipeline.predict_raw(served, tmp_path / "marked.txt")["note"]) == {""}
    assert RecommendPipeline.predict_raw(served, tmp_path / "latin.txt")[
        "user"
    ].unique().tolist() == ["é", "u3"]


@pytest.mark.parametrize("cell", [["i1", "i2"], "['i1', 'i2']", '["i1", "i2"]', "[i1 i2]"])
def test_a_history_may_be_a_list(served: ServingModel, cell: object) -> None:
    answers = RecommendPipeline.predict_raw(served, pd.DataFrame({"history": [cell]}))
    expected = RecommendPipeline.predict_raw(served, pd.DataFrame({"history": ["i1|i2"]}))
    assert answers[["item", "score"]].equals(expected[["item", "score"]])


def test_a_table_keeps_its_columns_and_rows_can_be_joined_back(served: ServingModel) -> None:
    asked = pd.DataFrame({"ticket": ["007", "7"], "user": ["u3", "u1"], "score": [1, 2]})
    answers = RecommendPipeline.predict_raw(served, asked, RecommendPredictOptions(top=2))
    assert answers["ticket"].tolist() == ["007", "007", "7", "7"]
    assert answers["score"].tolist() == [1, 1, 2, 2]
    assert answers["row"].tolist() == [1, 1, 2, 2]
    assert "predicted_score" in answers


def test_items_may_be_excluded_and_repeated(served: ServingModel, tmp_path: Path) -> None:
    best = RecommendPipeline.predict_raw(served, np.asarray(["u3"]))["item"].tolist()
    (tmp_path / "sold_out.txt").write_text("\n".join([*best[:2], "unheard"]))
    notes: list[str] = []
    options = RecommendPredictOptions(top=3, exclude=str(tmp_path / "sold_out.txt"))
    left = RecommendPipeline.predict_raw(served, np.asarray(["u3"]), options, notes)
    assert left["item"].tolist() == best[2:5]
    assert "2 of 3 items are known" in notes[0]
    again = RecommendPredictOptions(top=len(served.facts.items), repeat=True)
    everything = RecommendPipeline.predict_raw(served, np.asarray(["u3"]), again)
    assert sorted(everything["item"]) == sorted(served.facts.items)


def test_all_users_that_the_model_knows_can_be_answered(served: ServingModel) -> None:
    options = RecommendPredictOptions(all_users=True, top=1)
    answers = RecommendPipeline.predict_raw(served, "", options)
    assert answers["user"].tolist() == served.facts.users
    assert not options.needs_input


def test_a_later_log_is_scored_for_what_the_model_knows(
    served: ServingModel, pipeline: RecommendPipeline, tmp_path: Path
) -> None:
    facts = served.facts
    new = [item for item in facts.items if item not in known_items(facts, "u3")][:2]
    rows = [("u3", new[0]), ("u3", new[1]), ("u3", known_items(facts, "u3")[0])]
    rows += [("u1", "unheard"), ("stranger", "i1"), ("stranger", "i2")]
    log = pd.DataFrame(rows, columns=["user", "item"]).assign(timestamp=range(10, 16))
    log.to_csv(tmp_path / "later.csv", index=False)
    later = pipeline_of(str(tmp_path / "later.csv"))
    splits = later.load_hold_out(served)
    assert splits.sizes()["test"] == 3
    notes = " ".join(splits.notes)
    assert "1 row of items that the model does not know left out, of 6" in notes
    assert "1 row with an item that the user has had already left out" in notes
    assert "the first row of each is its history" in notes
    network = later.restore_network(served, splits)
    predictions = later.predict(network, splits, "test")
    assert set(later.score(predictions, splits, "test")) >= {"ndcg_10", "hr_10"}
    table = later.table(predictions, splits, "test")
    assert table["user"].tolist() == ["u3", "u3", "stranger"]
    everything = RecommendPredictOptions(top=len(facts.items))
    answers = RecommendPipeline.predict_raw(served, np.asarray(["u3"]), everything)
    place = answers.loc[answers["item"] == new[0], "place"].iloc[0]
    assert table["rank"].iloc[0] == pytest.approx(place, abs=1), "as predict answers"


def known_items(facts: Any, user: str) -> list[str]:
    numbers = facts.histories[facts.users.index(user)]
    return [facts.items[number - 1] for number in numbers]


def test_a_later_log_of_strangers_alone_is_refused(served: ServingModel, tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("user,item,timestamp\na,x,1\na,y,2\nb,x,3\n")
    with pytest.raises(DataError, match="holds nothing that the model can be asked about"):
        pipeline_of(str(tmp_path / "other.csv")).load_hold_out(served)


def test_ratings_are_answered_for_pairs_within_their_range(
    pipeline: RecommendPipeline, tmp_path: Path
) -> None:
    rated = pipeline_of(pipeline.options.data, task="rate")
    splits = rated.load()
    network = fit(
        rated,
        replace(RecommendSpec(), SMALL),
        splits,
        seed=1,
        watch=Watch(objective=rated.objective_for(splits)),
    ).model
    write_model(rated.serve(network, splits), tmp_path / "model.keras")
    pairs = pd.DataFrame({"user": ["u1", "nobody"], "item": ["i1", "i99"]})
    answers = RecommendPipeline.predict_raw(read_model(tmp_path / "model.keras"), pairs)
    assert answers["rating"].between(1, 5).all()
    assert answers["note"].tolist() == ["", "unknown user; unknown item"]
    with pytest.raises(DataError, match="columns user and item"):
        RecommendPipeline.predict_raw(read_model(tmp_path / "model.keras"), pairs[["user"]])


def test_to_rate_every_rating_of_train_is_learned_from(pipeline: RecommendPipeline) -> None:
    """To rank, a user's first item has nothing before it that could be asked."""
    splits = pipeline_of(pipeline.options.data, task="rate").load()
    assert len(splits.cases("train")) == splits.sizes()["train"]


def test_a_rating_network_begins_as_the_fitted_biases(pipeline: RecommendPipeline) -> None:
    rated = pipeline_of(pipeline.options.data, task="rate")
    splits = rated.load()
    network = rated.build(replace(RecommendSpec(), {**SMALL, "architecture": "mf"}), splits)
    cases = splits.cases("val")
    start = baselines.starting_biases(splits).ratings(cases.user, cases.target)
    assert np.allclose(rated.predict(network, splits, "val")[:, 0], start, atol=0.1)


def test_what_no_recommender_can_have_is_refused(
    pipeline: RecommendPipeline, splits: RecommendSplits
) -> None:
    with pytest.raises(ImpossibleSpec, match="must not look ahead"):
        pipeline.check(replace(RecommendSpec(), {"conv.padding": "same"}), splits)
    with pytest.raises(ImpossibleSpec, match=r"multiple of attention\.heads"):
        pipeline.check(
            replace(RecommendSpec(), {"architecture": "sasrec", "embedding.width": 9}), splits
        )
