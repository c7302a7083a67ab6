"""From which probability on a text has a class, where it may have several."""

from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest

from pipelines.config.search_space import replace
from pipelines.model_file import read_model, write_model
from pipelines.text.pipeline import TextPipeline
from pipelines.text.predict import thresholds_of
from pipelines.text.spec import TextSpec
from pipelines.text.thresholds import (
    HALF,
    choose_thresholds,
    probabilities_of,
    rescaled,
    with_thresholds,
)
from tests.samples import small_texts
from tests.texts import text_pipeline


def test_a_rare_class_is_answered_from_where_its_f1_is_best() -> None:
    """Texts with the class have .3 and more, the others less: at .5 none would be found."""
    truth = np.arange(200) % 10 == 0
    probability = np.where(truth, 0.34, 0.12)
    thresholds = choose_thresholds(probability[:, None], truth[:, None])
    assert 0.12 <= thresholds[0] < 0.34


def test_one_half_stays_where_another_threshold_only_fits_noise() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random((400, 3)) < 0.5
    good = np.where(truth, 0.9, 0.1)
    assert choose_thresholds(good, truth).tolist() == [HALF] * 3
    few = np.zeros((400, 1), bool)
    few[:4] = True  # too few to tell
    assert choose_thresholds(np.where(few, 0.3, 0.1), few).tolist() == [HALF]


def test_classes_too_rare_to_tell_share_a_threshold() -> None:
    truth = np.zeros((400, 3), bool)
    truth[:3, 0] = truth[3:6, 1] = truth[6:200, 2] = True
    probabilities = np.where(truth, [0.3, 0.3, 0.9], [0.1, 0.1, 0.1])
    thresholds = choose_thresholds(probabilities, truth)
    assert thresholds[0] == thresholds[1]
    assert 0.1 <= thresholds[0] < 0.3
    assert thresholds[2] == HALF


def test_predictions_with_thresholds_decide_as_their_probabilities_do() -> None:
    probabilities = np.random.default_rng(0).random((50, 3))
    thresholds = np.asarray([0.1, 0.5, 0.85])
    predictions = with_thresholds(probabilities, thresholds)
    assert predictions.shape == (50, 2, 3)
    assert np.array_equal(probabilities_of(predictions), probabilities)
    assert np.array_equal(rescaled(predictions) > HALF, probabilities > thresholds)
    order = np.argsort(rescaled(predictions), axis=0)
    assert np.array_equal(order, np.argsort(probabilities, axis=0))


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> TextPipeline:
    folder = tmp_path_factory.mktemp("several")
    table = pd.read_csv(small_texts(folder / "opinions.csv"))
    table["label"] += np.where(table["text"].str.contains("tea"), "|tea", "")
    table.to_csv(folder / "several.csv", index=False)
    return text_pipeline(folder / "several.csv", multi_label=True)


def test_every_way_to_a_model_decides_by_its_thresholds(
    pipeline: TextPipeline, tmp_path: Path
) -> None:
    splits = pipeline.load()
    spec = replace(TextSpec(), {"conv.filters": 8, "conv.blocks": 1, "embedding.width": 8})
    network = pipeline.build(spec, splits)
    cost = pipeline.cost(spec, splits)
    assert cost.params == network.count_params()
    pipeline.calibrate(network, splits)
    again = pipeline.build(spec, splits)
    network.get_layer("thresholds").thresholds.assign([0.2, 0.35, 0.9])
    pipeline.calibrate(again, splits, like=network)
    assert thresholds_of(again).tolist() == [0.2, 0.35, 0.9]

    write_model(pipeline.serve(network, splits), tmp_path / "model.keras")
    served = read_model(tmp_path / "model.keras")
    assert served.facts.thresholds == [0.2, 0.35, 0.9]
    texts = splits.texts("test")
    answers = TextPipeline.predict_raw(served, texts)
    probabilities = answers[["p(bad)", "p(good)", "p(tea)"]].to_numpy()
    chosen = probabilities > [0.2, 0.35, 0.9]
    names = np.asarray(["bad", "good", "tea"])
    assert answers["labels"].tolist() == ["|".join(names[row]) for row in chosen]
    encoded = keras.ops.convert_to_tensor([text.encode() for text in texts], dtype="string")
    assert np.array_equal(np.asarray(served.model(encoded)["chosen"]) > 0, chosen)

    predictions = pipeline.predict(network, splits, "test")
    assert np.allclose(probabilities_of(predictions), probabilities, atol=1e-4)
    table = pipeline.table(predictions, splits, "test")
    assert table["answer"].tolist() == answers["labels"].tolist()
    assert np.allclose(table["p(tea)"], answers["p(tea)"], atol=1e-4)
    again_served = pipeline.predict(pipeline.restore_network(served, splits), splits, "test")
    assert np.allclose(again_served, predictions, atol=1e-4)
    assert pipeline.score(again_served, splits, "test") == pytest.approx(
        pipeline.score(predictions, splits, "test")
    )


def test_tfidf_has_thresholds_of_its_own(pipeline: TextPipeline) -> None:
    splits = pipeline.load()
    predictions = {item.name: item.predictions["test"] for item in pipeline.baselines(splits)}
    assert predictions["TF-IDF and logistic regression"].shape == (len(splits.test.x), 2, 3)
    assert predictions["most frequent"].shape == (len(splits.test.x), 3)
