"""Text networks: where they start, what they build, what is served."""

import zipfile
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest

from pipelines.config.search_space import Choice, replace
from pipelines.errors import DataError, ImpossibleSpec
from pipelines.evaluation.likelihood import probabilities
from pipelines.model_file import read_model, write_model
from pipelines.text.data import TextSplits
from pipelines.text.layers import ResidualLogits
from pipelines.text.options import TextOptions
from pipelines.text.pipeline import TextPipeline
from pipelines.text.predict import residual_layer
from pipelines.text.spec import ARCHITECTURES, TextSpec
from tests.encoders import tiny_encoder
from tests.samples import small_texts
from tests.texts import text_pipeline
from tuning.search import constraints
from tuning.training.fit import fit
from tuning.training.monitor import Watch

SMALL = {
    "conv.filters": 8,
    "conv.blocks": 1,
    "embedding.width": 8,
    "recurrent.units": 4,
    "attention.layers": 1,
    "attention.heads": 2,
    "train.epochs": 2,
}


# Those that begin with an embedding of their own, whose texts may have no tokens.
LEARNED = [name for name, entry in ARCHITECTURES.items() if not entry.weights_key]


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> TextPipeline:
    return text_pipeline(small_texts(tmp_path_factory.mktemp("texts") / "opinions.csv"))


@pytest.fixture(scope="module")
def small_spec(tmp_path_factory: pytest.TempPathFactory) -> TextSpec:
    """Small networks of every architecture."""
    encoder = tiny_encoder(tmp_path_factory.mktemp("encoder"))
    of_encoder = {"encoder.name": str(encoder), "encoder.length": 16, "encoder.layers": 1}
    return replace(TextSpec(), {**SMALL, **of_encoder})


@pytest.fixture(scope="module")
def splits(pipeline: TextPipeline) -> TextSplits:
    return pipeline.load()


@pytest.fixture(scope="module")
def saved(
    pipeline: TextPipeline, splits: TextSplits, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A trained network in the file that a run keeps."""
    path = tmp_path_factory.mktemp("model") / "model.keras"
    network = fitted(pipeline, replace(TextSpec(), SMALL), splits)
    write_model(pipeline.serve(network, splits), path)
    return path


def fitted(pipeline: TextPipeline, spec: TextSpec, splits: TextSplits) -> keras.Model:
    watch = Watch(objective=pipeline.objective_for(splits))
    return fit(pipeline, spec, splits, seed=1, watch=watch).model


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_network_begins_with_the_answers_of_tfidf(
    pipeline: TextPipeline, splits: TextSplits, small_spec: TextSpec, architecture: str
) -> None:
    network = pipeline.build(replace(small_spec, {"architecture": architecture}), splits)
    start = probabilities(pipeline.references.tfidf.logits(splits, "test"), exclusive=True)
    assert np.allclose(pipeline.predict(network, splits, "test"), start, atol=1e-5)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_network_can_answer_by_itself(
    pipeline: TextPipeline, splits: TextSplits, small_spec: TextSpec, architecture: str
) -> None:
    changes = {"architecture": architecture, "start_from": "none"}
    network = pipeline.build(replace(small_spec, changes), splits)
    assert len(network.inputs) == 1
    assert pipeline.predict(network, splits, "val").shape == (splits.sizes()["val"], 2)


@pytest.mark.parametrize("pooling", ["max", "average"])
@pytest.mark.parametrize("architecture", LEARNED)
def test_a_text_without_tokens_has_an_answer(
    pipeline: TextPipeline, splits: TextSplits, architecture: str, pooling: str
) -> None:
    changes = {**SMALL, "architecture": architecture, "head.pooling": pooling}
    network = pipeline.build(replace(TextSpec(), changes), splits)
    tokens = np.zeros((2, splits.length), np.int32)
    start = np.asarray([[1.0, -1.0], [0.0, 2.0]])
    assert np.allclose(network({"tokens": tokens, "start_logits": start}), start)


@pytest.mark.parametrize("architecture", ["textcnn", "transformer"])
@pytest.mark.parametrize("first", ["2 10\n", ""])
def test_arithmetic_counts_the_vectors_of_a_file(
    pipeline: TextPipeline, splits: TextSplits, architecture: str, first: str, tmp_path: Path
) -> None:
    """Ten numbers a word do not divide evenly by four heads.

    word2vec's format begins with the number of words and the width.
    """
    words = "".join(f"{word} {' '.join(['0.5'] * 10)}\n" for word in splits.vocabulary[:2])
    (tmp_path / "vectors.txt").write_text(first + words)
    changes = {
        **SMALL,
        "architecture": architecture,
        "embedding.vectors": str(tmp_path / "vectors.txt"),
        "attention.heads": 4,
    }
    spec = replace(TextSpec(), changes)
    cost = pipeline.cost(spec, splits)
    assert cost
    assert pipeline.build(spec, splits).count_params() == cost.params


def test_a_search_over_files_of_vectors_leaves_it_to_the_trial_to_say_that_one_is_missing(
    pipeline: TextPipeline, splits: TextSplits
) -> None:
    dimensions = {"embedding.vectors": Choice(("", "missing.txt"))}
    space = pipeline.options.space(TextSpec(), dimensions)
    assert constraints.feasible(pipeline, space, splits, {})({"embedding.vectors": "missing.txt"})
    assert not constraints.feasible(pipeline, space, splits, {"cost/params": 1e9})(
        {"embedding.vectors": "missing.txt"}
    )
    with pytest.raises(DataError, match=r"missing\.txt: no such file"):
        pipeline.check(replace(TextSpec(), {"embedding.vectors": "missing.txt"}), splits)


def test_what_no_text_network_can_have_is_refused_by_arithmetic(
    pipeline: TextPipeline, splits: TextSplits
) -> None:
    changes = {"architecture": "transformer", "embedding.width": 10, "attention.heads": 4}
    with pytest.raises(ImpossibleSpec, match=r"embedding\.width must be a multiple of attention"):
        pipeline.check(replace(TextSpec(), changes), splits)
    changes = {"conv.kernel_size": 200, "conv.padding": "valid"}
    with pytest.raises(ImpossibleSpec, match="does not fit"):
        pipeline.check(replace(TextSpec(), changes), splits)


def test_transformers_that_differ_in_their_convolution_are_one_point_of_a_search() -> None:
    """A transformer has none: a sweep must not train the same network twice."""
    options = TextOptions()
    space = options.space(TextSpec(), options.search)
    transformer = {**space.defaults(), "architecture": "transformer"}
    for key in ("conv.kernel_size", "conv.stride", "conv.filters", "conv.norm", "conv.l2"):
        for value in options.search[key].values:  # type: ignore[union-attr]
            assert space.identity({**transformer, key: value}) == space.identity(transformer)
    other = {**transformer, "attention.activation": "gelu"}
    assert space.identity(other) != space.identity(transformer)
    convolutional = {**space.defaults(), "conv.kernel_size": 5}
    assert space.identity(convolutional) != space.identity(space.defaults())


def test_the_default_transformer_is_as_deep_and_as_regular_as_its_embedding() -> None:
    spec = TextSpec()
    assert (spec.attention.layers, spec.attention.heads) == (2, 4)
    assert spec.attention.dropout == spec.embedding.dropout
    assert spec.attention.activation == spec.head.activation == "relu"


def test_training_hides_the_start_of_some_texts_and_answers_never_do() -> None:
    layer = ResidualLogits(dropout=0.5)
    start, nothing = np.ones((1000, 3), np.float32), np.zeros((1000, 3), np.float32)
    seen = np.asarray(layer(start, nothing, training=True))
    assert set(seen.sum(axis=1).tolist()) == {0, 3}, "a text's start is hidden whole"
    assert seen[:, 0].mean() == pytest.approx(0.5, abs=0.1)
    assert (np.asarray(layer(start, nothing)) == 1).all()
    assert (np.asarray(ResidualLogits(dropout=0)(start, nothing, training=True)) == 1).all()


def test_network_and_tfidf_count_by_weights_that_make_val_likeliest(
    pipeline: TextPipeline, splits: TextSplits
) -> None:
    def log_loss() -> float:
        return pipeline.score(pipeline.predict(network, splits, "val"), splits, "val")["log_loss"]

    keras.utils.set_random_seed(0)
    network = pipeline.build(replace(TextSpec(), SMALL), splits)
    noise = network.layers[-2]
    noise.kernel.assign(np.random.default_rng(0).normal(size=noise.kernel.shape, scale=3))
    layer = residual_layer(network)
    assert layer
    losses = {}
    for weights in ([1, 1], [1, 0], [0, 1]):
        layer.blend_weights.assign(weights)
        losses[tuple(weights)] = log_loss()
    pipeline.calibrate(network, splits)
    of_tfidf, of_network = np.asarray(layer.blend_weights)
    assert log_loss() < min(losses.values())
    assert of_tfidf > 1, "of a few easy texts, an answer may be surer than logistic regression is"
    assert of_network < 0.2, "what knows nothing counts for little"

    again = pipeline.build(replace(TextSpec(), SMALL), splits)
    pipeline.calibrate(again, splits, like=network)
    other = residual_layer(again)
    assert other
    assert np.array_equal(other.blend_weights, layer.blend_weights)
    assert pipeline.serve(again, splits).notes == (
        f"prediction = {of_tfidf:.2f} x TF-IDF + {of_network:.2f} x network "
        "(logits; weights fitted on validation)",
    )


def test_a_network_that_starts_from_nothing_answers_alone(
    pipeline: TextPipeline, splits: TextSplits
) -> None:
    network = pipeline.build(replace(TextSpec(), {**SMALL, "start_from": "none"}), splits)
    before = pipeline.predict(network, splits, "val")
    pipeline.calibrate(network, splits)
    assert np.array_equal(pipeline.predict(network, splits, "val"), before)
    assert pipeline.serve(network, splits).notes == ()


def test_padding_does_not_change_what_fasttext_says(
    pipeline: TextPipeline, splits: TextSplits
) -> None:
    network = pipeline.build(
        replace(TextSpec(), {**SMALL, "architecture": "fasttext", "start_from": "none"}), splits
    )
    for weight in network.trainable_weights:
        weight.assign(np.random.default_rng(0).normal(size=weight.shape))
    vectors = network.get_layer("embedding").get_weights()[0]
    moved = vectors.copy()
    moved[0] += 100
    before = np.asarray(network({"tokens": splits.ids["test"]}))
    network.get_layer("embedding").set_weights([moved])
    assert np.allclose(before, network({"tokens": splits.ids["test"]}), atol=1e-5)


def test_a_text_network_learns_what_words_tell(pipeline: TextPipeline, splits: TextSplits) -> None:
    spec = replace(
        TextSpec(),
        {
            **SMALL,
            "start_from": "none",
            "train.epochs": 15,
            "train.batch_size": 8,
            "train.learning_rate": 0.01,
        },
    )
    predictions = pipeline.predict(fitted(pipeline, spec, splits), splits, "test")
    assert pipeline.score(predictions, splits, "test")["accuracy"] > 0.8


def test_the_saved_file_takes_strings_and_answers_labels(saved: Path) -> None:
    served = read_model(saved)
    import tensorflow as tf

    output = served.model(
        tf.constant(["The tea was lovely and fresh!", "burnt, stale and awful", ""])
    )
    assert [label.decode() for label in output["label"].numpy()[:2]] == ["good", "bad"]
    assert np.allclose(np.asarray(output["probabilities"]).sum(axis=1), 1, atol=1e-5)


def test_answers_are_the_same_for_a_file_a_table_and_an_array(saved: Path, tmp_path: Path) -> None:
    served = read_model(saved)
    texts = ["lovely tea", "awful soup 🍜", 'a "quoted", text']
    pd.DataFrame({"review": texts, "other": 1}).to_csv(tmp_path / "new.csv", index=False)
    (tmp_path / "new.txt").write_text("\n".join(texts) + "\n")
    sources = (tmp_path / "new.csv", tmp_path / "new.txt", np.asarray(texts))
    answers = [TextPipeline.predict_raw(served, source) for source in sources]
    columns = ["label", "probability", "p(bad)", "p(good)"]
    assert [list(answer.columns) for answer in answers] == [
        ["review", "other", *columns],
        ["line", "text", *columns],
        ["text", *columns],
    ]
    for other in answers[1:]:
        pd.testing.assert_frame_equal(answers[0][columns], other[columns])


def test_texts_are_read_from_any_table_and_any_encoding(saved: Path, tmp_path: Path) -> None:
    served = read_model(saved)
    (tmp_path / "marked.txt").write_bytes(b"\xef\xbb\xbflovely tea\n")
    (tmp_path / "latin.txt").write_bytes("un café\n".encode("latin-1"))
    assert TextPipeline.predict_raw(served, tmp_path / "marked.txt")["text"].tolist() == [
        "lovely tea"
    ]
    assert TextPipeline.predict_raw(served, tmp_path / "latin.txt")["text"].tolist() == ["un café"]
    answers = TextPipeline.predict_raw(served, pd.DataFrame(["lovely tea"]))
    assert answers[["0", "label"]].to_numpy().tolist() == [["lovely tea", "good"]]


def test_every_line_has_an_answer_blank_ones_too(saved: Path, tmp_path: Path) -> None:
    served = read_model(saved)
    (tmp_path / "new.TXT").write_text("lovely tea\n\nawful soup\n\n")
    assert TextPipeline.predict_raw(served, tmp_path / "new.TXT")["text"].tolist() == [
        "lovely tea",
        "",
        "awful soup",
    ]


def test_a_first_text_is_not_taken_for_the_name_of_a_column(saved: Path, tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text("lovely tea\nawful soup\n")
    with pytest.raises(DataError, match="its first line looks like a text"):
        TextPipeline.predict_raw(read_model(saved), tmp_path / "new.csv")


def test_word_vectors_are_not_written_number_by_number_into_the_description_of_a_saved_model(
    pipeline: TextPipeline, splits: TextSplits, tmp_path: Path
) -> None:
    width = 300
    words = "".join(f"{word} {' '.join(['0.12345'] * width)}\n" for word in splits.vocabulary)
    (tmp_path / "vectors.txt").write_text(words)
    network = pipeline.build(
        replace(TextSpec(), {**SMALL, "embedding.vectors": str(tmp_path / "vectors.txt")}), splits
    )
    write_model(pipeline.serve(network, splits), tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        assert archive.getinfo("config.json").file_size < len(words) / 2
    first = (
        read_model(tmp_path / "model.keras")
        .model.get_layer("network")
        .get_layer("embedding")
        .get_weights()[0][2]
    )
    assert np.allclose(first, 0.12345)


def test_a_saved_model_is_scored_by_its_own_tokens_and_its_own_tfidf(
    pipeline: TextPipeline, splits: TextSplits, saved: Path, tmp_path: Path
) -> None:
    """Those of the data that it is scored on do not matter.

    With all labels exchanged, what was right is wrong.
    """
    table = pd.read_csv(pipeline.options.data)
    table["label"] = table["label"].map({"good": "bad", "bad": "good"})
    table["text"] = "and now " + table["text"]
    table.to_csv(tmp_path / "exchanged.csv", index=False)
    exchanged = text_pipeline(tmp_path / "exchanged.csv")
    there = exchanged.load()
    assert there.vocabulary != splits.vocabulary
    served = read_model(saved)
    predictions = exchanged.predict(exchanged.restore_network(served, there), there, "test")
    answers = TextPipeline.predict_raw(served, there.texts("test"))
    assert np.allclose(predictions, answers[["p(bad)", "p(good)"]], atol=1e-5)
    assert exchanged.score(predictions, there, "test")["accuracy"] < 0.3
    predictions = pipeline.predict(pipeline.restore_network(served, splits), splits, "test")
    assert pipeline.score(predictions, splits, "test")["accuracy"] > 0.7


def test_what_cannot_be_answered_is_refused(saved: Path, tmp_path: Path) -> None:
    served = read_model(saved)
    pd.DataFrame({"a": ["x"], "b": ["y"]}).to_csv(tmp_path / "new.csv", index=False)
    with pytest.raises(DataError, match="has no column of texts"):
        TextPipeline.predict_raw(served, tmp_path / "new.csv")
    with pytest.raises(DataError, match="no such file"):
        TextPipeline.predict_raw(served, tmp_path / "missing.csv")


def test_a_model_refuses_data_of_other_classes(saved: Path, tmp_path: Path) -> None:
    path = small_texts(tmp_path / "others.csv")
    path.write_text(path.read_text().replace(",bad", ",poor"))
    other = text_pipeline(path)
    with pytest.raises(DataError, match="the model was trained with the classes bad, good"):
        other.restore_network(read_model(saved), other.load())


def test_several_labels_are_learned_scored_and_answered(tmp_path: Path) -> None:
    table = pd.read_csv(small_texts(tmp_path / "opinions.csv"))
    table["label"] += np.where(table["text"].str.contains("tea"), "|tea", "")
    table.to_csv(tmp_path / "several.csv", index=False)
    pipeline = text_pipeline(tmp_path / "several.csv", multi_label=True)
    splits = pipeline.load()
    assert splits.classes == ("bad", "good", "tea")
    network = fitted(pipeline, replace(TextSpec(), SMALL), splits)
    pipeline.calibrate(network, splits)
    predictions = pipeline.predict(network, splits, "test")
    assert pipeline.losses(predictions, splits, "test").mean() == pytest.approx(
        1 - pipeline.score(predictions, splits, "test")["accuracy"]
    )
    assert {name for name, _ in pipeline.plots(predictions, splits, "test")} == {
        "f1_by_class",
        "accuracy_by_length",
    }
    write_model(pipeline.serve(network, splits), tmp_path / "model.keras")
    answers = TextPipeline.predict_raw(
        read_model(tmp_path / "model.keras"), np.asarray(["the tea was lovely and perfect"])
    )
    assert list(answers.columns) == ["text", "labels", "probability", "p(bad)", "p(good)", "p(tea)"]
