"""What a feature sees of an example: by arithmetic, and as gradients of built networks say."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipelines import create_pipeline
from pipelines.config.search_space import Choice, replace
from pipelines.errors import UsageError
from pipelines.networks.layers import Conv, Parallel, Pool, Residual
from pipelines.networks.plan import Plan, Sight, apply, sight
from pipelines.networks.sequence_layers import Attention
from pipelines.pipeline import AnyPipeline
from tests.samples import small_log, small_series
from tuning.search import constraints
from tuning.search.sweep_tags import FIELD
from tuning.training.dry_run import measure
from tuning.training.train import too_short_sighted

DRAWS = 40  # of inputs: a maximum has a gradient to one of its positions alone


def conv(kernel_size: int, stride: int = 1, dilation: int = 1, pool: int = 0) -> Conv:
    pooling = Pool(kind="max", size=pool) if pool else None
    return Conv(filters=3, kernel_size=kernel_size, stride=stride, dilation=dilation, pool=pooling)


def support(inputs: Any, output: Any) -> int:
    """Return over how many positions the middle of `output` has a gradient, in one extent."""
    import keras
    import tensorflow as tf

    part = keras.Model(inputs, output)
    rng = np.random.default_rng(0)
    shape = (DRAWS, *inputs.shape[1:])
    x = tf.constant(rng.uniform(0.1, 1, size=shape).astype("float32"))
    with tf.GradientTape() as tape:
        tape.watch(x)
        features = part(x, training=False)
        middle = [extent // 2 for extent in features.shape[1:-1]]
        total = tf.reduce_sum(features[(slice(None), *middle)])
    gradient = np.abs(np.asarray(tape.gradient(total, x))).sum(axis=(0, -1))
    while gradient.ndim > 1:
        gradient = gradient.sum(axis=-1)
    touched = np.flatnonzero(gradient)
    return int(touched.max() - touched.min()) + 1


@pytest.mark.parametrize(
    ("plan", "size"),
    [
        ((conv(3), conv(3)), 5),
        ((conv(5, stride=2), conv(3)), 9),
        ((conv(3, dilation=4), conv(3)), 11),
        ((conv(3, pool=2), conv(3, pool=2), conv(3)), 18),
        ((Residual(body=(conv(3), conv(3, dilation=2))), conv(1)), 7),
        ((Parallel(branches=((conv(1),), (conv(3), conv(3)))), conv(3)), 7),
    ],
)
def test_the_arithmetic_is_the_support_of_the_gradient(plan: Plan, size: int) -> None:
    import keras

    assert sight(plan).size == size
    inputs = keras.Input((61, 2))
    keras.utils.set_random_seed(1)
    output = apply(plan, inputs, "layer")
    assert support(inputs, output) == size


def test_attention_sees_everything() -> None:
    plan = (conv(3), Attention(heads=1, activation="relu"), conv(3))
    assert sight(plan) == Sight(size=float("inf"))


def last_map(network: Any, inputs: Any) -> Any:
    """Return what goes into the pooling over all positions, or into the flattening."""
    import keras

    kinds = (
        keras.layers.Flatten,
        keras.layers.GlobalMaxPooling1D,
        keras.layers.GlobalAveragePooling1D,
        keras.layers.GlobalMaxPooling2D,
        keras.layers.GlobalAveragePooling2D,
    )
    found = [layer for layer in network.layers if isinstance(layer, kinds)]
    return next(
        layer.input for layer in found if len(layer.input.shape) == len(network.inputs[0].shape)
    )


@pytest.fixture(scope="module")
def forecasting(tmp_path_factory: pytest.TempPathFactory) -> tuple[AnyPipeline, Any]:
    path = small_series(tmp_path_factory.mktemp("series") / "load.csv", rows=700)
    pipeline = create_pipeline("forecast", data=str(path), horizon=6, lookback=96)
    return pipeline, pipeline.load()


@pytest.mark.parametrize(
    "changes", [{}, {"conv.stride": 3, "conv.blocks": 1}, {"conv.dilation": 2}]
)
def test_a_built_forecaster_sees_what_the_arithmetic_says(
    forecasting: tuple[AnyPipeline, Any], changes: dict[str, int]
) -> None:
    pipeline, splits = forecasting
    small = {"architecture": "conv", "conv.kernel_size": 4, "conv.stride": 2, "conv.blocks": 2}
    spec = replace(pipeline.options.spec_type(), {**small, "start_from": "none", **changes})
    network = pipeline.build(spec, splits)
    # Before it each window is scaled by its own level, which all of it decides.
    history = network.get_layer("encoder_1_conv").input
    field = pipeline.receptive_field(spec, splits)
    assert field is not None
    assert field.needs == splits.season == 24
    assert field.sees < splits.lookback
    assert support(history, last_map(network, history)) == field.sees


def test_a_network_sees_no_more_than_small_pictures_have() -> None:
    pipeline = create_pipeline("vision", data="digits")
    splits = pipeline.load()
    spec = replace(
        pipeline.options.spec_type(),
        {"architecture": "vgg", "conv.blocks": 2, "conv.kernel_size": 3, "head.pooling": "average"},
    )
    field = pipeline.receptive_field(spec, splits)
    assert field is not None
    assert (field.sees, field.needs, field.is_enough) == (8, 4, True)
    assert too_short_sighted(field) == []


@pytest.fixture(scope="module")
def opinions(tmp_path_factory: pytest.TempPathFactory) -> tuple[AnyPipeline, Any]:
    path = tmp_path_factory.mktemp("texts") / "texts.csv"
    words = [f"word{number}" for number in range(11)]
    rows = []
    for number in range(60):
        text = f"{' '.join(words)}! This is so {number % 4}... And then?"
        rows.append({"text": text, "label": "ab"[number % 2]})
    pd.DataFrame(rows).to_csv(path, index=False)
    pipeline = create_pipeline("text", data=str(path))
    return pipeline, pipeline.load()


def test_sentences_are_counted_in_tokens_with_their_ends() -> None:
    from pipelines.text.tokens import FIRST_ID, PADDING, UNKNOWN, sentence_lengths

    word, stop, ask = FIRST_ID, FIRST_ID + 1, FIRST_ID + 2
    ids = np.asarray(
        [
            [word, UNKNOWN, stop, stop, stop, word, ask],
            [word, word, word, PADDING, PADDING, PADDING, PADDING],
            [PADDING] * 7,
            [stop, word, PADDING, PADDING, PADDING, PADDING, PADDING],
        ]
    )
    assert sentence_lengths(ids, ("word", ".", "?")).tolist() == [5, 2, 3, 1, 1]
    assert sentence_lengths(ids[2:3], ("word", ".", "?")).tolist() == []


def test_a_built_text_network_sees_what_the_arithmetic_says(
    opinions: tuple[AnyPipeline, Any],
) -> None:
    pipeline, splits = opinions
    changes = {"architecture": "textcnn", "conv.kernel_size": 4, "start_from": "none"}
    spec = replace(pipeline.options.spec_type(), changes)
    network = pipeline.build(spec, splits)
    field = pipeline.receptive_field(spec, splits)
    assert field is not None
    widest = max(
        support(layer.input, layer.output)
        for layer in network.layers
        if type(layer).__name__ == "Conv1D"
    )
    assert field.sees == widest == 6
    assert field.needs == splits.sentence_length == 12  # eleven words and their mark
    assert field.advice == ("conv.kernel_size=10",)
    assert field.describe() == (
        "a feature sees 6 tokens at once; a sentence at the 95th percentile has 12: "
        "conv.kernel_size=10"
    )
    assert too_short_sighted(field) == [], "a few words tell most classes"


@pytest.mark.parametrize("architecture", ["fasttext", "gru", "cnn_rnn", "transformer"])
def test_text_networks_that_see_all_tokens_need_no_advice(
    opinions: tuple[AnyPipeline, Any], architecture: str
) -> None:
    pipeline, splits = opinions
    spec = replace(pipeline.options.spec_type(), {"architecture": architecture})
    field = pipeline.receptive_field(spec, splits)
    assert field is not None
    assert field.sees == splits.length
    assert field.is_enough


@pytest.fixture(scope="module")
def shopping(tmp_path_factory: pytest.TempPathFactory) -> tuple[AnyPipeline, Any]:
    path = small_log(tmp_path_factory.mktemp("log") / "log.csv", users=30, items=60)
    pipeline = create_pipeline("recommend", data=str(path))
    return pipeline, pipeline.load()


@pytest.mark.parametrize(
    "changes",
    [
        {"architecture": "conv", "conv.kernel_size": 3, "conv.blocks": 2},
        {"architecture": "conv", "conv.kernel_size": 2, "conv.blocks": 1, "conv.dilation": 3},
        {"architecture": "conv", "conv.kernel_size": 3, "conv.blocks": 1, "conv.stride": 4},
        {"architecture": "caser", "conv.kernel_size": 3},
    ],
)
def test_a_built_recommender_sees_what_the_arithmetic_says(
    shopping: tuple[AnyPipeline, Any], changes: dict[str, Any]
) -> None:
    import keras

    from pipelines.recommend.architectures import EncoderInputs, architecture_of

    pipeline, splits = shopping
    spec = replace(pipeline.options.spec_type(), {"history": 45, **changes})
    keras.utils.set_random_seed(1)
    items = keras.Input((spec.history, spec.embedding.width))
    user = keras.layers.GlobalMaxPooling1D()(items) * 0  # has no gradient
    states = architecture_of(spec).encode(spec, EncoderInputs(items=items, user=user))
    field = pipeline.receptive_field(spec, splits)
    assert field is not None
    # The oldest item that the middle one's kernel sees, 20, is one that the coarser view ends at:
    # others see a little more.
    assert support(items, states) == field.sees


def test_a_recommender_is_compared_with_the_histories_there_are(
    shopping: tuple[AnyPipeline, Any],
) -> None:
    pipeline, splits = shopping
    default = pipeline.options.spec_type()
    trained_on = splits.person[splits.part == 0]
    counts = np.unique(trained_on, return_counts=True)[1]
    assert splits.long_history == int(np.quantile(counts, 0.95))
    near = replace(default, {"conv.kernel_size": 2, "conv.blocks": 1})
    field = pipeline.receptive_field(near, splits)
    assert field is not None
    assert (field.sees, field.needs) == (2, splits.long_history)
    for advised in field.advice:
        key, value = advised.split("=")
        wider = pipeline.receptive_field(replace(near, {key: int(value)}), splits)
        assert wider is not None
        assert wider.is_enough
    few = pipeline.receptive_field(replace(near, {"history": 2}), splits)
    assert few is not None
    assert few.is_enough
    attention = pipeline.receptive_field(replace(default, {"architecture": "sasrec"}), splits)
    assert attention is not None
    assert attention.sees == default.history
    assert pipeline.receptive_field(replace(default, {"architecture": "mf"}), splits) is None


@pytest.mark.slow
def test_the_advice_is_taken_and_suffices(forecasting: tuple[AnyPipeline, Any]) -> None:
    pipeline, splits = forecasting
    narrow = {"architecture": "conv", "conv.kernel_size": 3, "conv.stride": 1, "conv.blocks": 2}
    spec = replace(pipeline.options.spec_type(), narrow)
    field = pipeline.receptive_field(spec, splits)
    assert field is not None
    (note,) = too_short_sighted(field)
    assert note.startswith(
        f"a feature sees {field.sees} steps of the history at once; a season has 24: "
    )
    assert len(field.advice) == 2
    for advised in field.advice:
        key, value = advised.split("=")
        wider = pipeline.receptive_field(replace(spec, {key: int(value)}), splits)
        assert wider is not None
        assert wider.is_enough
        less = pipeline.receptive_field(replace(spec, {key: int(value) - 1}), splits)
        odd = key == "conv.kernel_size"
        assert odd or (less is not None and not less.is_enough)
    assert measure(pipeline, spec, splits).sees == note


def test_a_limit_refuses_points_that_see_less(forecasting: tuple[AnyPipeline, Any]) -> None:
    pipeline, splits = forecasting
    spec = replace(pipeline.options.spec_type(), {"architecture": "conv", "conv.stride": 1})
    limits = constraints.least_field("auto", pipeline, spec, splits)
    assert limits == {FIELD: 24.0}
    space = pipeline.options.space(
        spec, {"conv.blocks": Choice((1, 2, 3)), "conv.filters": Choice((8,))}
    )
    possible = constraints.feasible(pipeline, space, splits, limits)
    seen = {}
    for blocks in (1, 2, 3):
        values = {"conv.blocks": blocks, "conv.filters": 8}
        field = pipeline.receptive_field(space.spec(values), splits)
        assert field is not None
        seen[blocks] = field.sees
        assert possible(values) == (field.sees >= 24)
    assert min(seen.values()) < 24 <= max(seen.values())
    assert constraints.least_field("30", pipeline, spec, splits) == {FIELD: 30.0}
    assert constraints.least_field("", pipeline, spec, splits) == {}
    with pytest.raises(UsageError, match="expected auto, or a number above 0"):
        constraints.least_field("wide", pipeline, spec, splits)
