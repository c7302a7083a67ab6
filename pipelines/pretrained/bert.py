"""BERT in plain Keras layers, with the weights of a Hugging Face folder of `model_type: bert`.

The encoder of J. Devlin et al., "BERT" (NAACL 2019), layer normalisation behind each residual sum.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from pipelines.errors import DataError
from pipelines.networks.custom_layers import BatchShape
from pipelines.networks.plan import Cost, KerasTensor
from pipelines.pretrained.wordpiece import PADDING, REQUIRED

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
VOCABULARY = "vocab.txt"
TOKENIZER_CONFIG = "tokenizer_config.json"
EMBEDDINGS = "embeddings"  # the layer's name
PREFIX = "bert."  # of all names in the files of some models
# Activations between the two dense layers, by the name in config.json: whether the approximation of
# GELU by tanh is meant. Keras' own "gelu" is the exact one.
ACTIVATIONS = {"gelu": "gelu", "relu": "relu", "silu": "silu"}


@dataclass(frozen=True, kw_only=True)
class BertConfig:
    """The sizes of an encoder, and how its texts are read."""

    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    max_position_embeddings: int
    type_vocab_size: int
    layer_norm_eps: float
    hidden_act: str
    hidden_dropout_prob: float
    attention_probs_dropout_prob: float
    lower: bool

    def layer_params(self) -> int:
        """Return the weights of one layer."""
        width, inner = self.hidden_size, self.intermediate_size
        return 4 * width * (width + 1) + 2 * width * inner + inner + width + 4 * width

    def embedding_params(self) -> int:
        """Return the weights of the embeddings and of their normalisation."""
        return self.hidden_size * (self.vocab_size + self.max_position_embeddings + 2)

    def cost(self, length: int) -> Cost:
        """Return what one text of `length` tokens costs, up to the vector of its features."""
        width = self.hidden_size
        dense = 4 * width * width + 2 * width * self.intermediate_size
        compared = 2 * length * length * width
        layers = self.num_hidden_layers
        return Cost(
            shape=(width,),
            params=self.embedding_params() + layers * self.layer_params(),
            macs=layers * (length * dense + compared),
        )


def read_config(folder: Path) -> BertConfig:
    """Return what `config.json` and `tokenizer_config.json` in a folder say.

    Raises:
        DataError: a file is missing or cannot be read, or the model is not a BERT encoder.
    """
    said = _read_json(folder / CONFIG)
    model_type = said.get("model_type")
    if model_type != "bert":
        raise DataError(
            f"{folder / CONFIG}: model_type is {model_type!r}. Expected: 'bert', whose weights "
            "appline can read"
        )
    tokenizer = {}
    if (folder / TOKENIZER_CONFIG).is_file():
        tokenizer = _read_json(folder / TOKENIZER_CONFIG)
    values: dict[str, Any] = {"lower": bool(tokenizer.get("do_lower_case", True))}
    for name, kind in BertConfig.__annotations__.items():
        if name == "lower":
            continue
        if not isinstance(said.get(name), int | float | str):
            raise DataError(f"{folder / CONFIG}: {name} is missing")
        values[name] = kind(said[name])
    config = BertConfig(**values)
    if config.hidden_act not in ACTIVATIONS:
        raise DataError(
            f"{folder / CONFIG}: hidden_act is {config.hidden_act!r}. "
            f"Expected one of: {', '.join(ACTIVATIONS)}"
        )
    return config


def read_vocabulary(folder: Path, config: BertConfig) -> list[str]:
    """Return the pieces of `vocab.txt`, in the order of their ids.

    Raises:
        DataError: there is no such file, or it belongs to another model.
    """
    path = folder / VOCABULARY
    if not path.is_file():
        raise DataError(
            f"{path}: no such file. Without its vocabulary an encoder cannot read a text. "
            f"Expected a file of {config.vocab_size:,} pieces, one on each line"
        )
    pieces = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    if len(pieces) != config.vocab_size:
        raise DataError(
            f"{path}: holds {len(pieces):,} pieces. Expected as many as {CONFIG} says: "
            f"{config.vocab_size:,}"
        )
    missing = [piece for piece in REQUIRED if piece not in pieces]
    if missing or pieces[PADDING] != REQUIRED[0]:
        raise DataError(
            f"{path}: is no vocabulary of BERT. Expected [PAD] on the first line, and "
            f"{', '.join(REQUIRED[1:])}"
        )
    return pieces


def build(config: BertConfig, name: str = "encoder") -> keras.Model:
    """Return an encoder with random weights: ids `(batch, steps)` to `(batch, steps, width)`.

    Ids of 0 are padding, and kept out of what other steps see.
    """
    ids = keras.Input((None,), dtype="int32", name="ids")
    x = BertEmbeddings(
        vocab_size=config.vocab_size,
        width=config.hidden_size,
        positions=config.max_position_embeddings,
        epsilon=config.layer_norm_eps,
        dropout=config.hidden_dropout_prob,
        name=EMBEDDINGS,
    )(ids)
    is_token = keras.ops.not_equal(ids, PADDING)[:, None, :]
    for number in range(config.num_hidden_layers):
        layer = BertLayer(
            heads=config.num_attention_heads,
            inner=config.intermediate_size,
            activation=config.hidden_act,
            epsilon=config.layer_norm_eps,
            dropout=config.hidden_dropout_prob,
            attention_dropout=config.attention_probs_dropout_prob,
            name=layer_name(number),
        )
        x = layer(x, is_token)
    return keras.Model(ids, x, name=name)


def layer_name(number: int) -> str:
    """Return the name of a layer of the encoder; the first is number 0."""
    return f"layer_{number}"


def load_weights(encoder: keras.Model, folder: Path, config: BertConfig) -> None:
    """Give `encoder`, as `build` returned it, the weights in a folder.

    Raises:
        DataError: the file is missing or truncated, or belongs to another architecture; the
            message names the first tensor that does not fit.
    """
    tensors = _Tensors(folder / WEIGHTS)
    width, heads = config.hidden_size, config.num_attention_heads
    words = tensors.take("embeddings.word_embeddings.weight", (config.vocab_size, width))
    positions = tensors.take(
        "embeddings.position_embeddings.weight", (config.max_position_embeddings, width)
    )
    types = tensors.take("embeddings.token_type_embeddings.weight", (config.type_vocab_size, width))
    # There is one text, never a pair: the first type is added everywhere.
    embeddings = [positions + types[0], words, *tensors.take_norm("embeddings.LayerNorm", width)]
    encoder.get_layer(EMBEDDINGS).set_weights(embeddings)
    for number in range(config.num_hidden_layers):
        start = f"encoder.layer.{number}."
        weights: list[np.ndarray] = []
        for part in ("query", "key", "value"):
            kernel, bias = tensors.take_dense(f"{start}attention.self.{part}", width, width)
            weights += [kernel.reshape(width, heads, -1), bias.reshape(heads, -1)]
        kernel, bias = tensors.take_dense(f"{start}attention.output.dense", width, width)
        weights += [kernel.reshape(heads, -1, width), bias]
        weights += tensors.take_norm(f"{start}attention.output.LayerNorm", width)
        inner = config.intermediate_size
        weights += tensors.take_dense(f"{start}intermediate.dense", width, inner)
        weights += tensors.take_dense(f"{start}output.dense", inner, width)
        weights += tensors.take_norm(f"{start}output.LayerNorm", width)
        encoder.get_layer(layer_name(number)).set_weights(weights)


@keras.saving.register_keras_serializable("appline")
class BertEmbeddings(keras.layers.Layer):
    """Ids `(batch, steps)` to the sum of their vectors and those of their positions, normalised."""

    def __init__(
        self,
        *,
        vocab_size: int,
        width: int,
        positions: int,
        epsilon: float,
        dropout: float,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.vocab_size = vocab_size
        self.width = width
        self.positions = positions
        self.epsilon = epsilon
        self.rate = dropout
        self.words = keras.layers.Embedding(vocab_size, width, name="words")
        self.normalize = keras.layers.LayerNormalization(epsilon=epsilon, name="normalize")
        self.dropout = keras.layers.Dropout(dropout)

    def build(self, shape: BatchShape) -> None:
        self.words.build(shape)
        self.table = self.add_weight(shape=(self.positions, self.width), name="positions")
        self.normalize.build((*shape, self.width))

    def call(self, ids: KerasTensor, training: bool = False) -> KerasTensor:
        x = self.words(ids)
        x = x + self.table[: keras.ops.shape(ids)[1]]
        return self.dropout(self.normalize(x), training=training)

    def compute_output_shape(self, shape: BatchShape) -> BatchShape:
        return (*shape, self.width)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "vocab_size": self.vocab_size,
            "width": self.width,
            "positions": self.positions,
            "epsilon": self.epsilon,
            "dropout": self.rate,
        }


@keras.saving.register_keras_serializable("appline")
class BertLayer(keras.layers.Layer):
    """Attention, then two dense layers, each added to its input and normalised.

    Takes `(batch, steps, width)` and which steps are tokens, `(batch, 1, steps)`.
    """

    def __init__(
        self,
        *,
        heads: int,
        inner: int,
        activation: str,
        epsilon: float,
        dropout: float,
        attention_dropout: float,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.heads = heads
        self.inner = inner
        self.activation = activation
        self.epsilon = epsilon
        self.rate = dropout
        self.attention_rate = attention_dropout

    def build(self, shape: BatchShape, *_: Any) -> None:
        width = shape[-1] or 0  # Keras knows it
        normalize = keras.layers.LayerNormalization
        self.attend = keras.layers.MultiHeadAttention(
            self.heads, width // self.heads, dropout=self.attention_rate, name="attend"
        )
        self.attend.build(shape, shape)
        self.normalize_attended = normalize(epsilon=self.epsilon, name="normalize_attended")
        self.normalize_attended.build(shape)
        self.widen = keras.layers.Dense(
            self.inner, activation=ACTIVATIONS[self.activation], name="widen"
        )
        self.widen.build(shape)
        self.narrow = keras.layers.Dense(width, name="narrow")
        self.narrow.build((*shape[:-1], self.inner))
        self.normalize = normalize(epsilon=self.epsilon, name="normalize")
        self.normalize.build(shape)
        self.dropout = keras.layers.Dropout(self.rate)

    def call(self, x: KerasTensor, is_token: KerasTensor, training: bool = False) -> KerasTensor:
        attended = self.attend(x, x, attention_mask=is_token, training=training)
        x = self.normalize_attended(x + self.dropout(attended, training=training))
        changed = self.narrow(self.widen(x))
        return self.normalize(x + self.dropout(changed, training=training))

    def compute_output_shape(self, shape: BatchShape, *_: Any) -> BatchShape:
        return shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "heads": self.heads,
            "inner": self.inner,
            "activation": self.activation,
            "epsilon": self.epsilon,
            "dropout": self.rate,
            "attention_dropout": self.attention_rate,
        }


class _Tensors:
    """The tensors of a safetensors file, taken by name and checked by shape."""

    def __init__(self, path: Path) -> None:
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        if not path.is_file():
            raise DataError(f"{path}: no such file. Expected the weights of the encoder")
        try:
            tensors = load_file(path)
        except (SafetensorError, OSError) as error:
            raise DataError(
                f"{path}: cannot be read, it may be truncated: {error}. Bring it again"
            ) from error
        self._path = path
        self._tensors: Mapping[str, np.ndarray] = {
            name.removeprefix(PREFIX): tensor for name, tensor in tensors.items()
        }

    def take(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """Return a tensor as 32-bit floats.

        Raises:
            DataError: there is none of this name, or it has another shape.
        """
        if name not in self._tensors:
            raise DataError(
                f"{self._path}: holds no tensor {name!r}: these are weights of another architecture"
            )
        tensor = self._tensors[name]
        if tensor.shape != shape:
            raise DataError(
                f"{self._path}: {name} has the shape {tensor.shape}. "
                f"Expected as {CONFIG} says: {shape}"
            )
        return tensor.astype(np.float32)

    def take_dense(self, name: str, size: int, units: int) -> tuple[np.ndarray, np.ndarray]:
        """Return kernel `(size, units)` and bias `(units,)` of a dense layer."""
        kernel = self.take(f"{name}.weight", (units, size)).T
        return kernel, self.take(f"{name}.bias", (units,))

    def take_norm(self, name: str, width: int) -> tuple[np.ndarray, np.ndarray]:
        """Return scale and shift, each `(width,)`."""
        return self.take(f"{name}.weight", (width,)), self.take(f"{name}.bias", (width,))


def _read_json(path: Path) -> dict[str, Any]:
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(
            f"{path}: no such file. Expected a folder with {CONFIG}, {WEIGHTS} and {VOCABULARY}"
        ) from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as JSON: {error}") from error
    if not isinstance(said, dict):
        raise DataError(f"{path}: expected a JSON object")
    return said
