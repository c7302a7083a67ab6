"""TF-IDF with logistic regression: held-out logits, and a layer that gives the same ones.

It is fitted once for all trials.
"""

import pickle
from itertools import product
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from pipelines.evaluation.likelihood import log_loss
from pipelines.io.progress import shown_by
from pipelines.splits import PARTS
from pipelines.text import references, tfidf, tokens
from pipelines.text.data import TextSplits
from pipelines.text.layers import TokenIds
from pipelines.text.options import TextOptions
from pipelines.text.pipeline import TextPipeline
from pipelines.text.references import TfidfReference
from pipelines.text.spec import TextSpec
from pipelines.text.tfidf import TfidfModel
from tests.samples import SeenWork
from tests.texts import load, several, small, write


def _words_table() -> pd.DataFrame:
    return small(40)


def _word_parts_table() -> pd.DataFrame:
    """Words that never occur twice: the classes differ only in their endings."""
    rng = np.random.default_rng(0)
    stems = iter(["".join(rng.choice(list("bcdfglmnprstaeiou"), 6)) for _ in range(400)])
    rows = []
    for _ in range(80):
        for end in ("ing", "ous"):
            rows.append((f"{next(stems)}{end} {next(stems)}{end}", end))
    return pd.DataFrame(rows, columns=["text", "label"])


def _characters_table() -> pd.DataFrame:
    """DNA, half of it with a box TATAAA."""
    rng = np.random.default_rng(0)
    rows = []
    for _ in range(100):
        for label in ("box", "none"):
            text = "".join(rng.choice(list("ACGT"), 40))
            rows.append((text[:20] + "TATAAA" * (label == "box") + text[20:], label))
    return pd.DataFrame(rows, columns=["text", "label"])


TABLES = {
    "words": _words_table,
    "words and parts of words": _word_parts_table,
    "characters": _characters_table,
}


@pytest.fixture(scope="module", params=list(TABLES))
def features(request: pytest.FixtureRequest) -> str:
    """What the model of `splits` counts."""
    return str(request.param)


@pytest.fixture(scope="module")
def splits(features: str, tmp_path_factory: pytest.TempPathFactory) -> TextSplits:
    return load(TABLES[features](), tmp_path_factory.mktemp("splits"))


@pytest.fixture(scope="module")
def model(features: str, splits: TextSplits) -> TfidfModel:
    with pytest.MonkeyPatch.context() as patch:
        if features == "words":  # or parts of words would have a higher likelihood
            patch.setattr(tfidf, "MOST_CHARACTERS_TRIED", 0)
        fitted = TfidfReference().model(splits)
    assert fitted.setting.describe(splits.tokenization).startswith(f"{features}, C=")
    return fitted


def odd(splits: TextSplits) -> np.ndarray:
    """The texts of test, and some that no training text resembles."""
    more = ["", " \x85 ", "never seen 😀 很好", "TATAAA", "don't", "good " * 500, "singing famous"]
    return np.asarray([*splits.texts("test"), *more], dtype=object)


def outputs(layer: Any, texts: np.ndarray) -> np.ndarray:
    return np.concatenate(tokens.map_batches(lambda batch: np.asarray(layer(batch)), texts))


def test_the_layer_gives_the_logits_of_the_model(model: TfidfModel, splits: TextSplits) -> None:
    assert model.logits["test"].shape == (len(splits.test.x), 2)
    assert np.allclose(outputs(model.layer(), splits.test.x), model.logits["test"], atol=1e-4)


def test_logits_of_val_come_from_train_alone(model: TfidfModel, splits: TextSplits) -> None:
    """Settings are chosen on val; only then is it learned from."""
    served = outputs(model.layer(), splits.val.x)
    assert np.abs(served - model.logits["val"]).max() > 1e-3


def test_the_penalty_and_the_features_are_those_that_make_val_likeliest(
    model: TfidfModel, splits: TextSplits
) -> None:
    """Accuracy on a small val ties easily, and then says nothing."""
    one_hot = {part: splits.one_hot(part) for part in PARTS}
    texts = {part: splits.texts(part) for part in PARTS}
    best = log_loss(model.logits["val"], one_hot["val"], exclusive=True)
    with pytest.MonkeyPatch.context() as patch:
        if not model.setting.characters:
            patch.setattr(tfidf, "MOST_CHARACTERS_TRIED", 0)
        for c, ratio_weight in product(tfidf.C_VALUES, tfidf.RATIO_WEIGHTS):
            patch.setattr(tfidf, "C_VALUES", (c,))
            patch.setattr(tfidf, "RATIO_WEIGHTS", (ratio_weight,))
            other = tfidf.fit_tfidf(texts, one_hot, splits.tokenization, exclusive=True)
            assert best <= log_loss(other.logits["val"], one_hot["val"], exclusive=True) + 1e-6


def test_the_model_learns(model: TfidfModel, splits: TextSplits) -> None:
    right = model.logits["test"].argmax(axis=1) == splits.labels("test")
    assert right.mean() > 0.85


def test_a_feature_that_tells_the_classes_apart_is_penalised_less() -> None:
    """Four of a hundred texts hold `rare`, all of one class.

    As many hold `common`, without a difference between the classes.
    """
    from scipy.sparse import csr_array

    rare, common, rest = np.zeros(100), np.zeros(100), np.ones(100)
    rare[:4], common[[0, 1, 50, 51]] = 1, 1
    rows = csr_array(np.stack([rare, common, rest], axis=1).astype(np.float32))
    inside = np.arange(100) < 50
    scale = tfidf._scale(rows, inside, 0.5)
    assert scale[0] > 1 > scale[1] >= 0.5
    assert (tfidf._scale(rows, inside, 0.0) == 1).all()
    assert np.allclose(tfidf._scale(rows[:, [2]], inside, 0.5), 0.5), "nothing tells: all are alike"


def test_logits_of_train_are_held_out(model: TfidfModel, splits: TextSplits) -> None:
    held_out = TfidfReference().logits(splits, "train")
    seen = outputs(model.layer(), splits.train.x)
    truth = splits.labels("train")
    assert held_out.shape == seen.shape
    assert np.abs(held_out - seen).max() > 0.01
    # A model that has seen the label is surer of it.
    rows = np.arange(len(truth))
    assert held_out[rows, truth].mean() < seen[rows, truth].mean()


@pytest.fixture(scope="module")
def network(model: TfidfModel, splits: TextSplits) -> keras.Model:
    text = keras.Input((), dtype="string", name="text")
    unit, lower = splits.tokenization.unit, splits.tokenization.lower
    ids = TokenIds(list(splits.vocabulary), splits.length, unit, lower)(text)
    return keras.Model(text, {"ids": ids, "logits": model.layer()(text)})


def test_both_layers_give_the_same_in_a_graph(
    model: TfidfModel, splits: TextSplits, network: keras.Model
) -> None:
    traced = tf.function(network, input_signature=[tf.TensorSpec((None,), tf.string)])
    tested = len(splits.test.x)
    for graph in (network, traced):
        logits = outputs(lambda batch, graph=graph: graph(batch)["logits"], odd(splits))
        assert np.allclose(logits, outputs(model.layer(), odd(splits)), atol=1e-4)
        assert np.allclose(logits[:tested], model.logits["test"], atol=1e-4)
        ids = outputs(lambda batch, graph=graph: graph(batch)["ids"], splits.test.x)
        assert np.array_equal(ids, splits.ids["test"])


def test_both_layers_give_the_same_after_save_and_load(
    model: TfidfModel, splits: TextSplits, network: keras.Model, tmp_path: Path
) -> None:
    network.save(tmp_path / "network.keras")
    again = keras.saving.load_model(tmp_path / "network.keras")
    for name in ("ids", "logits"):
        before = outputs(lambda batch, name=name: network(batch)[name], odd(splits))
        after = outputs(lambda batch, name=name: again(batch)[name], odd(splits))
        assert np.array_equal(before, after)
    ids = outputs(lambda batch: again(batch)["ids"], splits.test.x)
    logits = outputs(lambda batch: again(batch)["logits"], splits.test.x)
    assert np.array_equal(ids, splits.ids["test"])
    assert np.allclose(logits, model.logits["test"], atol=1e-4)


def test_a_text_alone_has_the_logits_that_it_has_among_others(
    model: TfidfModel, splits: TextSplits
) -> None:
    layer = model.layer()
    alone = np.concatenate([np.asarray(layer(tf.constant([text]))) for text in odd(splits)[-8:]])
    assert np.allclose(alone, outputs(layer, odd(splits))[-8:], atol=1e-5)


def test_a_text_without_known_features_has_the_bias(model: TfidfModel) -> None:
    texts = np.asarray(["", "\x07"], dtype=object)
    assert np.allclose(outputs(model.layer(), texts), model.bias, atol=1e-6)


def test_several_labels_and_many_classes_have_a_model(tmp_path: Path) -> None:
    splits = load(several("a", "b", "a|b", "c|b", each=10), tmp_path, multi_label=True)
    model = TfidfReference().model(splits)
    assert model.logits["test"].shape == (len(splits.test.x), 3)
    assert np.allclose(outputs(model.layer(), splits.test.x), model.logits["test"], atol=1e-4)


def test_parts_of_words_of_large_data_are_not_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tfidf, "MOST_CHARACTERS_TRIED", 0)
    splits = load(_word_parts_table(), tmp_path)
    assert not TfidfReference().model(splits).setting.characters


# ---------------------------------------------------------------------------- fitted once


def _refuse_to_fit(*_: object, **__: object) -> TfidfModel:
    raise AssertionError("TF-IDF was fitted again")


@pytest.fixture
def pipeline(tmp_path: Path) -> TextPipeline:
    return TextPipeline(TextOptions(data=str(write(small(), tmp_path))))


def test_a_worker_process_uses_what_was_fitted_for_the_baselines(
    pipeline: TextPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    splits = pipeline.load()
    list(pipeline.baselines(splits))
    pipeline.prepare(TextSpec(), splits)
    sent = pickle.dumps((pipeline, splits))
    monkeypatch.setattr(references, "fit_tfidf", _refuse_to_fit)
    monkeypatch.setattr(references, "held_out_logits", _refuse_to_fit)
    received, its_splits = pickle.loads(sent)
    for part in ("train", "val"):
        inputs, _ = next(iter(received.batches(its_splits, part, TextSpec(), training=False)))
        expected = pipeline.references.tfidf.logits(splits, part)
        assert np.array_equal(inputs["start_logits"], expected[: len(inputs["start_logits"])])


def test_the_baseline_does_not_compute_what_only_a_network_needs(
    pipeline: TextPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 77 classes the held-out logits took more than all else of the baseline."""
    monkeypatch.setattr(references, "held_out_logits", _refuse_to_fit)
    splits = pipeline.load()
    list(pipeline.baselines(splits))
    pipeline.prepare(TextSpec(start_from="none"), splits)
    with pytest.raises(AssertionError, match="fitted again"):
        pipeline.prepare(TextSpec(), splits)


@pytest.mark.parametrize("baselines_first", [True, False])
def test_what_a_network_starts_from_costs_the_same_whenever_it_was_computed(
    pipeline: TextPipeline, *, baselines_first: bool
) -> None:
    splits = pipeline.load()
    if baselines_first:
        list(pipeline.baselines(splits))
    prepared = pipeline.prepare(TextSpec(), splits)
    model = pipeline.references.tfidf.model(splits)
    assert prepared.cpu_seconds > model.spent.cpu_seconds > 0
    again = pipeline.prepare(TextSpec(), splits)
    assert again.cpu_seconds == pytest.approx(prepared.cpu_seconds, abs=0.05)
    assert pipeline.prepare(TextSpec(start_from="none"), splits).cpu_seconds < 0.05


def test_loading_and_a_network_by_itself_fit_nothing(
    pipeline: TextPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(references, "fit_tfidf", _refuse_to_fit)
    splits = pipeline.load()
    spec = TextSpec(start_from="none")
    network = pipeline.build(spec, splits)
    pipeline.calibrate(network, splits)
    pipeline.predict(network, splits, "val")
    assert pipeline.serve(network, pipeline.merge_into_train(splits, ["val"])).notes == ()


def test_train_with_val_starts_from_logits_of_models_that_have_not_seen_the_text(
    pipeline: TextPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    splits = pipeline.load()
    merged = pipeline.merge_into_train(splits, ["val"])
    assert merged.sizes() == {"train": 16, "val": 4, "test": 4}
    reference = pipeline.references.tfidf
    logits = {part: reference.logits(splits, part) for part in PARTS}
    # Also where the logits of the splits were not computed before.
    fresh = TfidfReference()
    for reference in (pipeline.references.tfidf, fresh):
        train = reference.logits(merged, "train")
        assert np.array_equal(train, np.concatenate([logits["train"], logits["val"]]))
        assert np.array_equal(reference.logits(merged, "test"), logits["test"])
    monkeypatch.setattr(references, "fit_tfidf", _refuse_to_fit)
    assert np.array_equal(fresh.logits(splits, "train"), logits["train"])


def test_other_data_have_a_model_of_their_own(pipeline: TextPipeline, tmp_path: Path) -> None:
    first = pipeline.references.tfidf.model(pipeline.load())
    other = load(small().assign(label=["a", "b"] * 10), tmp_path, "other.csv")
    seeded = load(small(), tmp_path, seed=1)
    assert pipeline.references.tfidf.model(other) is not first
    assert pipeline.references.tfidf.model(seeded) is not first
    assert pipeline.references.tfidf.model(pipeline.load()) is first


def test_how_far_the_fit_is_can_be_seen(tmp_path: Path) -> None:
    """Of 5,000 texts it takes half a minute: a line without a count would not say how long yet."""
    seen = SeenWork()
    with shown_by(seen):
        TfidfReference().logits(load(small(40), tmp_path), "train")
    totals = {work.what: (work.done, work.total) for work in seen.works}
    assert totals["settings"][0] == totals["settings"][1] > 1
    assert totals["folds"][0] == totals["folds"][1] > 1
