"""Pretrained encoders: tokens and vectors as the reference has them, saved and served, refused."""

import json
import math
import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from safetensors.numpy import save_file
from tokenizers import BertWordPieceTokenizer

from pipelines.config.search_space import replace
from pipelines.errors import DataError, UsageError
from pipelines.exports import Format, Target, export
from pipelines.model_file import read_model, write_model
from pipelines.pretrained import weights
from pipelines.pretrained.sentences import (
    Encoder,
    find_encoder,
    pooled_network,
    sentence_vectors,
    tokenize,
)
from pipelines.splits import PARTS, Part
from pipelines.text.data import TextSplits
from pipelines.text.encoded import EncodedTexts, encoder_settings
from pipelines.text.pipeline import TextPipeline
from pipelines.text.predict import predict_texts
from pipelines.text.spec import AFFORDABLE, TextSpec
from tests.encoders import DEPTH, HEADS, POSITIONS, WIDTH, tiny_encoder, tiny_tensors
from tests.samples import small_texts
from tests.texts import text_pipeline
from tuning.search.constraints import num_params
from tuning.training.costs import network_latencies, sizes
from tuning.training.fit import fit
from tuning.training.monitor import Watch

KEY = "encoder.name"
TEXTS = (
    "Good films!",
    "",
    "the bad FILM...",
    "Gööd\u0300  films\t\n\u200b and 好film\U0001f600",
    "a" * 200,
    "\x00the\ufffd g",
)


@pytest.fixture
def encoder(tmp_path: Path) -> Encoder:
    return find_encoder(str(tiny_encoder(tmp_path / "encoder")), KEY)


# ------------------------------------------------------------------------------------- the encoder


@pytest.mark.parametrize("length", [3, 6, 32])
def test_tokens_equal_those_of_the_reference(encoder: Encoder, length: int) -> None:
    rows = tokenize(encoder, np.asarray(TEXTS, object), length)
    reference = BertWordPieceTokenizer(str(encoder.folder / "vocab.txt"), lowercase=True)
    reference.enable_truncation(length)
    expected = [reference.encode(text).ids for text in TEXTS]
    begins = rows.ends - rows.lengths
    assert [rows.ids[a:b].tolist() for a, b in zip(begins, rows.ends, strict=True)] == expected


@pytest.mark.slow
def test_tokens_of_the_embedded_reviews_equal_those_of_the_reference(minilm: Path) -> None:
    encoder = find_encoder("minilm", KEY)
    texts = text_pipeline("reviews").load().texts("train")
    rows = tokenize(encoder, texts, 64)
    reference = BertWordPieceTokenizer(str(minilm / "vocab.txt"), lowercase=True)
    reference.enable_truncation(64)
    expected = [encoding.ids for encoding in reference.encode_batch(texts.tolist())]
    assert rows.lengths.tolist() == [len(ids) for ids in expected]
    assert rows.ids.tolist() == np.concatenate(expected).tolist()


@pytest.mark.slow
def test_similar_sentences_have_similar_vectors(minilm: Path) -> None:
    texts = ["A cat sits outside.", "A kitten is in the garden.", "Shares fell by 3 per cent."]
    vectors = sentence_vectors(
        find_encoder("minilm", KEY), np.asarray(texts, object), length=32, pooling="mean"
    )
    cosines = vectors @ vectors.T / vectors.shape[1]
    assert cosines[0, 1] > 0.4 > 0.2 > cosines[0, 2]


def test_vectors_equal_those_of_the_same_arithmetic_in_double_precision(encoder: Encoder) -> None:
    ids = np.asarray([[2, 4, 6, 7, 3], [2, 5, 3, 0, 0]], np.int32)
    network = pooled_network(encoder.network(), "mean")
    for row in ids:
        alone = row[row != 0]
        states = reference_states(alone).mean(axis=0)
        expected = states * math.sqrt(WIDTH / (states**2).sum())
        # Padding has no effect, and neither has what stands beside it in the batch.
        together = np.asarray(network(ids))[(ids == row).all(axis=1).argmax()]
        assert np.allclose(together, expected, atol=1e-5)
        assert np.allclose(np.asarray(network(alone[None]))[0], expected, atol=1e-5)


def reference_states(ids: np.ndarray) -> np.ndarray:
    """Return `(steps, width)` of the tiny encoder, as BERT's paper writes it."""
    t = {name: tensor.astype(np.float64) for name, tensor in tiny_tensors().items()}

    def dense(x: np.ndarray, name: str) -> np.ndarray:
        return x @ t[f"{name}.weight"].T + t[f"{name}.bias"]

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        x = (x - x.mean(axis=-1, keepdims=True)) / np.sqrt(x.var(axis=-1, keepdims=True) + 1e-12)
        return x * t[f"{name}.weight"] + t[f"{name}.bias"]

    def heads(x: np.ndarray) -> np.ndarray:
        return x.reshape(len(x), HEADS, -1).transpose(1, 0, 2)

    words = t["embeddings.word_embeddings.weight"][ids]
    positions = t["embeddings.position_embeddings.weight"][: len(ids)]
    types = t["embeddings.token_type_embeddings.weight"][0]
    x = norm(words + positions + types, "embeddings.LayerNorm")
    gelu = np.vectorize(lambda value: 0.5 * value * (1 + math.erf(value / math.sqrt(2))))
    for number in range(DEPTH):
        start = f"encoder.layer.{number}."
        query, key, value = (
            heads(dense(x, f"{start}attention.self.{part}")) for part in ("query", "key", "value")
        )
        scores = query @ key.transpose(0, 2, 1) / math.sqrt(WIDTH / HEADS)
        share = np.exp(scores) / np.exp(scores).sum(axis=-1, keepdims=True)
        attended = (share @ value).transpose(1, 0, 2).reshape(len(x), WIDTH)
        attended = dense(attended, f"{start}attention.output.dense")
        x = norm(x + attended, f"{start}attention.output.LayerNorm")
        inner = dense(gelu(dense(x, f"{start}intermediate.dense")), f"{start}output.dense")
        x = norm(x + inner, f"{start}output.LayerNorm")
    return x


# ------------------------------------------------------------------------------- folders that fail


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"model_type": "roberta"}, "model_type is 'roberta'. Expected: 'bert'"),
        ({"hidden_act": "gelu_new"}, "hidden_act is 'gelu_new'. Expected one of: gelu"),
        ({"hidden_size": None}, "hidden_size is missing"),
        ({"vocab_size": 13}, "holds 12 pieces. Expected as many as config.json says: 13"),
        ({"intermediate_size": 32}, r"intermediate.dense.weight has the shape \(16, 8\)"),
        ({"num_hidden_layers": 3}, "holds no tensor 'encoder.layer.2"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_folder_that_holds_another_model_is_refused_by_what_differs(
    tmp_path: Path, changes: dict[str, object], told: str
) -> None:
    with pytest.raises(DataError, match=told):
        find_encoder(str(tiny_encoder(tmp_path / "encoder", **changes)), KEY).network()


def test_weights_that_are_cut_off_are_refused_by_name(encoder: Encoder) -> None:
    path = encoder.folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"model\.safetensors: cannot be read, it may be truncated"):
        encoder.network()


@pytest.mark.parametrize("name", ["config.json", "vocab.txt", "model.safetensors"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    folder = tiny_encoder(tmp_path / "encoder")
    (folder / name).unlink()
    with pytest.raises(DataError, match=rf"{name}: no such file"):
        find_encoder(str(folder), KEY).network()


def test_names_that_begin_with_bert_are_the_same_weights(tmp_path: Path) -> None:
    plain = find_encoder(str(tiny_encoder(tmp_path / "plain")), KEY).network()
    folder = tiny_encoder(tmp_path / "prefixed")
    prefixed = {f"bert.{name}": tensor for name, tensor in tiny_tensors().items()}
    save_file(prefixed, folder / "model.safetensors")
    network = find_encoder(str(folder), KEY).network()
    for expected, weight in zip(plain.get_weights(), network.get_weights(), strict=True):
        assert np.array_equal(expected, weight)


# ----------------------------------------------------------------------------------- text networks


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture
def pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TextPipeline:
    monkeypatch.setenv(weights.CACHE_VARIABLE, str(tmp_path / "cache"))
    return text_pipeline(small_texts(tmp_path / "opinions.csv"))


@pytest.fixture
def splits(pipeline: TextPipeline) -> TextSplits:
    return pipeline.load()


def spec_of(folder: Path, layers: int, **changes: object) -> TextSpec:
    plain = {
        "architecture": "pretrained",
        "encoder.name": str(folder),
        "encoder.length": 16,
        "encoder.layers": layers,
        "train.epochs": 1,
        "train.batch_size": 16,
    }
    return replace(TextSpec(), {**plain, **changes})


def fitted(pipeline: TextPipeline, spec: TextSpec, splits: TextSplits) -> keras.Model:
    watch = Watch(objective=pipeline.objective_for(splits))
    network = fit(pipeline, spec, splits, seed=1, watch=watch).model
    pipeline.calibrate(network, splits)
    return network


LOADED_ELSEWHERE = """
import sys
import keras
import numpy as np
import tensorflow as tf
import pipelines.text.layers
model = keras.saving.load_model(sys.argv[1])
texts = tf.constant(["good film", "", "bad " * 50])
np.save(sys.argv[2], model(texts)["probabilities"])
"""


@pytest.mark.parametrize(
    "layers",
    [
        pytest.param(0, id="frozen"),
        pytest.param(DEPTH + 1, id="tuned", marks=pytest.mark.slow),
    ],
)
def test_a_saved_model_takes_strings_and_answers_in_a_fresh_process_without_the_encoders_folder(
    pipeline: TextPipeline, splits: TextSplits, tmp_path: Path, layers: int
) -> None:
    own = tiny_encoder(tmp_path / "own")
    network = fitted(pipeline, spec_of(own, layers), splits)
    served = pipeline.serve(network, splits)
    expected = pipeline.predict(network, splits, "test")
    assert np.allclose(pipeline.predict(served.model, splits, "test"), expected, atol=1e-5)
    write_model(served, tmp_path / "model.keras")
    (own / "model.safetensors").unlink()
    answers = tmp_path / "answers.npy"
    command = [sys.executable, "-c", LOADED_ELSEWHERE, str(tmp_path / "model.keras"), str(answers)]
    subprocess.run(command, check=True, capture_output=True, cwd=Path(__file__).parent.parent)
    texts = np.asarray(["good film", "", "bad " * 50], object)
    here = predict_texts(read_model(tmp_path / "model.keras").model, texts)
    assert np.allclose(np.load(answers), here, atol=1e-5)


def test_new_texts_with_labels_are_scored_by_a_model_with_an_encoder(
    pipeline: TextPipeline, splits: TextSplits, folder: Path
) -> None:
    served = pipeline.serve(fitted(pipeline, spec_of(folder, 0), splits), splits)
    new = pipeline.load_hold_out(served)
    everything = sum(len(splits.texts(part)) for part in PARTS)
    assert new.sizes() == {"train": 0, "val": 0, "test": everything}
    predictions = pipeline.predict(pipeline.restore_network(served, new), new, "test")
    assert pipeline.score(predictions, new, "test")["accuracy"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("chosen", ["keras", "savedmodel"])
def test_an_export_of_a_frozen_encoder_and_its_head_answers_as_the_model(
    pipeline: TextPipeline, splits: TextSplits, folder: Path, tmp_path: Path, chosen: Format
) -> None:
    served = pipeline.serve(fitted(pipeline, spec_of(folder, 0), splits), splits)
    inputs = pipeline.served_inputs(served, 8)
    proof = export(served, served.model, Target(format=chosen), inputs, tmp_path / "exported")
    assert proof.holds
    assert proof.agreement == 1


def test_the_cost_of_a_head_on_a_frozen_encoder_is_that_of_both(
    pipeline: TextPipeline, splits: TextSplits, folder: Path
) -> None:
    frozen, tuned = spec_of(folder, 0), spec_of(folder, DEPTH + 1)
    head = pipeline.build(frozen, splits)
    whole = pipeline.build(tuned, splits)
    of_frozen = sizes(pipeline, frozen, splits, head)
    of_tuned = sizes(pipeline, tuned, splits, whole)
    assert of_frozen["params"] == of_tuned["params"] == whole.count_params()
    assert of_frozen["macs"] == of_tuned["macs"]
    assert num_params(pipeline, frozen, splits) == whole.count_params()
    settings = encoder_settings(frozen)
    assert settings is not None
    of_encoder = pipeline.references.encoded.latencies(splits, settings)
    times = network_latencies(pipeline, frozen, splits, head)
    for name, milliseconds in times.items():
        assert milliseconds > of_encoder[name] > 0


@pytest.mark.parametrize(
    ("layers", "expected"),
    [(1, {"layer_1"}), (DEPTH + 1, {"layer_0", "layer_1", "embeddings"})],
)
def test_only_the_top_layers_of_an_encoder_are_trained(
    pipeline: TextPipeline, splits: TextSplits, folder: Path, layers: int, expected: set[str]
) -> None:
    spec = spec_of(folder, layers)
    before = find_encoder(str(folder), KEY).network()
    after = fitted(pipeline, spec, splits).get_layer("encoder")
    changed = set()
    for layer in before.layers:
        pairs = zip(layer.get_weights(), after.get_layer(layer.name).get_weights(), strict=True)
        if not all(np.array_equal(old, new) for old, new in pairs):
            changed.add(layer.name)
    assert changed == expected


def test_each_layer_learns_at_a_share_of_the_rate_of_the_one_above(
    pipeline: TextPipeline, splits: TextSplits, folder: Path
) -> None:
    spec = spec_of(folder, DEPTH + 1, **{"encoder.learning_rate": 0.01, "encoder.decay": 0.5})
    network = pipeline.build(spec, splits)
    rates = pipeline.learning_rates(network, spec)
    encoder = network.get_layer("encoder")
    by_layer = {}
    for layer in encoder.layers:
        own = {rates[weight.path] for weight in layer.trainable_weights}
        if own:
            by_layer[layer.name] = own
    assert by_layer == {"layer_1": {0.01}, "layer_0": {0.005}, "embeddings": {0.0025}}
    head = {weight.path for weight in network.trainable_weights} - set(rates)
    assert head
    assert not any(path.startswith("encoder") for path in head)


def test_vectors_are_computed_once_and_then_read_by_later_runs(
    pipeline: TextPipeline, splits: TextSplits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tiny_encoder(tmp_path / "own")
    spec = spec_of(own, 0)
    first = pipeline.predict(pipeline.build(spec, splits), splits, "test")
    later = text_pipeline(tmp_path / "opinions.csv")
    monkeypatch.setattr(Encoder, "network", refuse_to_build)
    again = later.predict(later.build(spec, later.load()), later.load(), "test")
    assert np.array_equal(first, again)


def refuse_to_build(*_: object) -> keras.Model:
    raise AssertionError("the encoder was built although its vectors are kept")


def test_more_tokens_than_the_encoder_has_positions_for_are_refused(
    pipeline: TextPipeline, splits: TextSplits, folder: Path
) -> None:
    spec = spec_of(folder, 0, **{"encoder.length": POSITIONS + 1})
    with pytest.raises(UsageError, match=r"encoder\.length=33: .* reads 3 to 32 tokens"):
        pipeline.check(spec, splits)


# -------------------------------------------------------------------------- what nobody has decided


@pytest.mark.parametrize(("layers", "epochs"), [(AFFORDABLE, 4), (1, 4), (0, 0)])
def test_trials_of_a_search_through_layers_have_the_few_epochs_of_tuning(
    folder: Path, pipeline: TextPipeline, splits: TextSplits, layers: int, epochs: int
) -> None:
    """With 20 epochs, those of a network of its own, a sweep took five times as long."""
    spec = spec_of(folder, layers, **{"train.epochs": 0})
    spec = pipeline.fit_defaults(spec, splits, {"architecture", "encoder.layers"}, [])
    assert spec.train.epochs == epochs


def test_without_weights_auto_is_a_network_of_its_own_and_one_line_says_what_would_help(
    pipeline: TextPipeline, splits: TextSplits
) -> None:
    notes: list[str] = []
    spec = pipeline.fit_defaults(TextSpec(), splits, (), notes)
    assert spec.architecture == "textcnn"
    [note] = notes
    assert "appline text encoders --fetch minilm" in note


@pytest.mark.parametrize(
    ("given", "expected"),
    [({"conv.filters"}, "textcnn"), ({"encoder.length", "encoder.layers"}, "pretrained")],
)
def test_auto_is_the_network_that_reads_what_a_person_has_set(
    pipeline: TextPipeline, splits: TextSplits, given: set[str], expected: str
) -> None:
    tiny_encoder(weights.cache_folder() / "weights" / "minilm")
    assert weights.is_here("minilm")
    spec = replace(TextSpec(), {"encoder.length": 16, "encoder.layers": 1})
    chosen = pipeline.fit_defaults(spec, splits, given, [])
    assert chosen.architecture == expected


@pytest.mark.parametrize(("vectors", "expected"), [("random", "textcnn"), ("told", "pretrained")])
def test_auto_takes_an_encoder_where_validation_says_that_it_helps(
    pipeline: TextPipeline,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    vectors: str,
    expected: str,
) -> None:
    """Labels that words do not tell: in the case that helps, the vectors hold them."""
    rng = np.random.default_rng(0)
    labels = rng.choice(["a", "b"], 400)
    rows = [f"{text_of(rng)},{label}" for label in labels]
    (tmp_path / "texts.csv").write_text("\n".join(["text,label", *dict.fromkeys(rows)]))
    tiny_encoder(weights.cache_folder() / "weights" / "minilm")
    pipeline = text_pipeline(tmp_path / "texts.csv")
    splits = pipeline.load()

    def told(self: object, splits: TextSplits, part: Part, settings: object) -> np.ndarray:
        noise = rng.normal(size=(splits.sizes()[part], WIDTH))
        if vectors == "told":
            noise[:, 0] += 4 * splits.labels(part)
        return noise

    monkeypatch.setattr(EncodedTexts, "vectors", told)
    notes: list[str] = []
    spec = replace(TextSpec(), {"encoder.layers": 0, "encoder.length": 16})
    spec = pipeline.fit_defaults(spec, splits, {}, notes)
    assert spec.architecture == expected
    assert re.search(r"log loss of [\d.]+ on validation, alone [\d.]+", notes[0])


def text_of(rng: np.random.Generator) -> str:
    return " ".join(rng.choice(["good", "bad", "film", "the", "a", "dull", "fine", "warm"], 9))


def test_missing_weights_are_told_before_tensorflow_is_imported(
    tmp_path: Path,
) -> None:
    (tmp_path / "texts.csv").write_text("text,label\n" + "good,a\nbad,b\n" * 20)
    program = """
import sys
from apps.cli import main
try:
    main(["text", "train", "--data", "texts.csv", "--architecture", "pretrained"])
except SystemExit as stop:
    print(stop.code, "tensorflow" in sys.modules)
"""
    environment = {"APPLINE_CACHE": str(tmp_path / "empty"), "PYTHONPATH": str(root())}
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
        check=False,
    )
    assert "appline text encoders --fetch minilm" in done.stderr
    assert done.stdout.split() == ["3", "False"]
    assert done.returncode == 3


def root() -> Path:
    return Path(__file__).parent.parent


def test_a_case_sensitive_vocabulary_is_read_as_its_folder_says(tmp_path: Path) -> None:
    folder = tiny_encoder(tmp_path / "encoder")
    (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": False}))
    rows = tokenize(find_encoder(str(folder), KEY), np.asarray(["Good good"], object), 16)
    assert rows.ids.tolist() == [2, 1, 4, 3]
