"""The closed form of the text domain: held-out logits, and a layer that gives the same ones."""

from itertools import product
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from pipelines.splits import PARTS
from pipelines.text import closed, tokens
from pipelines.text.data import TextSplits
from tests.texts import load, several, small


def _words_table() -> pd.DataFrame:
    return small(40)


def _spelling_table() -> pd.DataFrame:
    """Words that never stand twice: only their ends tell the classes apart."""
    rng = np.random.default_rng(0)
    stems = iter(["".join(rng.choice(list("bcdfglmnprstaeiou"), 6)) for _ in range(400)])
    return pd.DataFrame(
        [
            (f"{next(stems)}{end} {next(stems)}{end}", end)
            for _ in range(80)
            for end in ("ing", "ous")
        ],
        columns=["text", "label"],
    )


def _characters_table() -> pd.DataFrame:
    """DNA, half of it with a box TATAAA."""
    rng = np.random.default_rng(0)
    rows = [
        ("".join(rng.choice(list("ACGT"), 40)), label)
        for _ in range(100)
        for label in ("box", "none")
    ]
    return pd.DataFrame(
        [(text[:20] + "TATAAA" * (label == "box") + text[20:], label) for text, label in rows],
        columns=["text", "label"],
    )


@pytest.fixture(scope="module", params=["words", "words and spelling", "characters"])
def fitted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TextSplits:
    table = {
        "words": _words_table,
        "words and spelling": _spelling_table,
        "characters": _characters_table,
    }[request.param]()
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "words":  # or it would be likelier with spelling
            patch.setattr(closed, "MOST_SPELLED", 0)
        splits = load(table, tmp_path_factory.mktemp("fitted"))
        assert splits.closed
    assert splits.closed.setting.startswith(f"{request.param}, C=")
    return splits


def odd(splits: TextSplits) -> np.ndarray:
    """The texts of test and such as nobody foresees."""
    more = ["", " \x85 ", "never seen 😀 很好", "TATAAA", "don't", "good " * 500, "singing famous"]
    return np.asarray([*splits.texts("test"), *more], dtype=object)


def by(layer: Any, texts: np.ndarray) -> np.ndarray:
    return np.concatenate(tokens.in_batches(lambda batch: np.asarray(layer(batch)), texts))


def test_the_layer_gives_the_logits_that_the_closed_form_has(fitted: TextSplits) -> None:
    assert fitted.closed.logits["test"].shape == (len(fitted.test.x), 2)
    assert np.allclose(
        by(fitted.closed.layer(), fitted.test.x), fitted.closed.logits["test"], atol=1e-4
    )


def test_logits_of_val_come_from_train_alone(fitted: TextSplits) -> None:
    """Settings are chosen on val; only then is it learned from."""
    assert (
        np.abs(by(fitted.closed.layer(), fitted.val.x) - fitted.closed.logits["val"]).max() > 1e-3
    )


def test_the_penalty_and_the_features_are_those_that_make_val_likeliest(fitted: TextSplits) -> None:
    """Accuracy on a small val ties easily, and then says nothing."""
    hot = {part: fitted.hot(part) for part in PARTS}
    texts = {part: fitted.texts(part) for part in PARTS}
    again = {"exclusive": True, "unit": fitted.unit, "lower": True, "seed": 0}
    with pytest.MonkeyPatch.context() as patch:
        if not fitted.closed.spelling:
            patch.setattr(closed, "MOST_SPELLED", 0)
        for strength, telling in product(closed.STRENGTHS, closed.TELLING):
            patch.setattr(closed, "STRENGTHS", (strength,))
            patch.setattr(closed, "TELLING", (telling,))
            other = closed.fit(texts, hot, **again)
            assert (
                closed.log_loss(fitted.closed.logits["val"], hot["val"], exclusive=True)
                <= closed.log_loss(other.logits["val"], hot["val"], exclusive=True) + 1e-6
            )


def test_the_closed_form_learns(fitted: TextSplits) -> None:
    right = fitted.closed.logits["test"].argmax(axis=1) == fitted.labels("test")
    assert right.mean() > 0.85


def test_a_feature_that_tells_the_classes_apart_is_penalised_less() -> None:
    """Four of a hundred texts hold `rare`, all of one class; as many `common` without a
    difference.
    """
    from scipy.sparse import csr_array

    rare, common, rest = np.zeros(100), np.zeros(100), np.ones(100)
    rare[:4], common[[0, 1, 50, 51]] = 1, 1
    rows = csr_array(np.stack([rare, common, rest], axis=1).astype(np.float32))
    inside = np.arange(100) < 50
    scale = closed._scale(rows, inside, 0.5)
    assert scale[0] > 1 > scale[1] >= 0.5
    assert (closed._scale(rows, inside, 0.0) == 1).all()
    assert np.allclose(closed._scale(rows[:, [2]], inside, 0.5), 0.5), (
        "nothing tells: all are alike"
    )


def test_logits_of_train_are_held_out(fitted: TextSplits) -> None:
    held_out, seen = fitted.closed.logits["train"], by(fitted.closed.layer(), fitted.train.x)
    truth = fitted.labels("train")
    assert held_out.shape == seen.shape
    assert np.abs(held_out - seen).max() > 0.01
    # Who has seen the answer is surer of it.
    rows = np.arange(len(truth))
    assert held_out[rows, truth].mean() < seen[rows, truth].mean()


@pytest.fixture(scope="module")
def network(fitted: TextSplits) -> keras.Model:
    text = keras.Input((), dtype="string", name="text")
    ids = tokens.TokenIds(list(fitted.vocabulary), fitted.length, fitted.unit, fitted.lower)(text)
    return keras.Model(text, {"ids": ids, "logits": fitted.closed.layer()(text)})


def test_both_layers_give_the_same_in_a_graph(fitted: TextSplits, network: keras.Model) -> None:
    traced = tf.function(network, input_signature=[tf.TensorSpec((None,), tf.string)])
    tested = len(fitted.test.x)
    for graph in (network, traced):
        logits = by(lambda batch, graph=graph: graph(batch)["logits"], odd(fitted))
        assert np.allclose(logits, by(fitted.closed.layer(), odd(fitted)), atol=1e-4)
        assert np.allclose(logits[:tested], fitted.closed.logits["test"], atol=1e-4)
        assert np.array_equal(
            by(lambda batch, graph=graph: graph(batch)["ids"], fitted.test.x), fitted.ids["test"]
        )


def test_both_layers_give_the_same_after_save_and_load(
    fitted: TextSplits, network: keras.Model, tmp_path: Path
) -> None:
    network.save(tmp_path / "network.keras")
    again = keras.saving.load_model(tmp_path / "network.keras")
    for name in ("ids", "logits"):
        before, after = (
            by(lambda batch, model=model, name=name: model(batch)[name], odd(fitted))
            for model in (network, again)
        )
        assert np.array_equal(before, after)
    assert np.array_equal(by(lambda batch: again(batch)["ids"], fitted.test.x), fitted.ids["test"])
    assert np.allclose(
        by(lambda batch: again(batch)["logits"], fitted.test.x),
        fitted.closed.logits["test"],
        atol=1e-4,
    )


def test_a_text_alone_has_the_logits_that_it_has_among_others(fitted: TextSplits) -> None:
    layer = fitted.closed.layer()
    alone = np.concatenate([np.asarray(layer(tf.constant([text]))) for text in odd(fitted)[-8:]])
    assert np.allclose(alone, by(layer, odd(fitted))[-8:], atol=1e-5)


def test_a_text_without_known_features_has_the_bias(fitted: TextSplits) -> None:
    assert np.allclose(
        by(fitted.closed.layer(), np.asarray(["", "\x07"], dtype=object)),
        fitted.closed.bias,
        atol=1e-6,
    )


def test_several_labels_and_many_classes_have_a_closed_form(tmp_path: Path) -> None:
    splits = load(several("a", "b", "a|b", "c|b", each=10), tmp_path, multi_label=True)
    assert splits.closed.logits["test"].shape == (len(splits.test.x), 3)
    assert np.allclose(
        by(splits.closed.layer(), splits.test.x), splits.closed.logits["test"], atol=1e-4
    )


def test_large_data_are_not_tried_with_spelling(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closed, "MOST_SPELLED", 0)
    assert not load(_spelling_table(), tmp_path).closed.spelling
