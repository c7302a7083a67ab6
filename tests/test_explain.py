"""`predict --explain`: what is said to have moved an answer has moved it by so much."""

import re
from pathlib import Path
from typing import Any, cast

import keras
import numpy as np
import pandas as pd
import pytest
from matplotlib.patches import Rectangle
from PIL import Image

from apps.cli import main
from pipelines import options_class
from pipelines.forecast import explain as forecast_explain
from pipelines.recommend import explain as recommend_explain
from pipelines.text import explain as text_explain
from pipelines.vision import explain as vision_explain
from tests.test_one_answer import Trained, served_over_http


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return Trained("text", tmp_path_factory.mktemp("text"))


@pytest.fixture(scope="module")
def forecast(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return Trained("forecast", tmp_path_factory.mktemp("forecast"))


@pytest.fixture(scope="module")
def recommend(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return Trained("recommend", tmp_path_factory.mktemp("recommend"))


@pytest.fixture(scope="module")
def vision(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return Trained("vision", tmp_path_factory.mktemp("vision"))


def explained(trained: Trained, asked: Any, **options: Any) -> pd.DataFrame:
    chosen = options_class(trained.pipeline.domain).predict_type(**{"explain": True, **options})
    return trained.pipeline.predict_raw(trained.served, asked, chosen)


def first_reason(told: str) -> tuple[str, float]:
    match = re.match(r"(\S+) ([+-][\d.]+)", told)
    assert match, told
    return match[1], float(match[2])


# ----------------------------------------------------------------------------------------- text


def test_without_the_word_that_counts_most_the_probability_falls_by_what_was_said(
    text: Trained,
) -> None:
    asked = text.asked
    answers = explained(text, asked)
    column = f"p({answers['label'][0]})"
    word, raised = first_reason(answers["because"][0])
    left = " ".join(other for other in asked["text"][0].split() if other != word)
    without = text.pipeline.predict_raw(text.served, pd.DataFrame({"text": [left]}))
    assert raised > 0
    assert answers[column][0] - without[column][0] == pytest.approx(raised, abs=1e-3)


def test_an_explained_answer_is_the_answer(text: Trained) -> None:
    pd.testing.assert_frame_equal(
        explained(text, text.asked).drop(columns="because"), text.expected()
    )


def test_of_a_long_text_neighbours_are_taken_out_together(text: Trained) -> None:
    words = [f"word{number}" for number in range(950)]
    pieces, raised = text_explain.contributions(text.served.model, " ".join(words), 0)
    assert len(pieces) == len(raised) == 95
    assert pieces[0] == " ".join(words[:10])
    assert " ".join(pieces).split() == words


def test_a_text_is_drawn_with_what_raises_and_what_lowers_in_two_colours(
    text: Trained, tmp_path: Path
) -> None:
    answers = explained(text, text.asked, explain=str(tmp_path / "why"))
    files = [Path(name) for name in answers["picture"]]
    assert sorted((tmp_path / "why").iterdir()) == files
    assert [file.stem.partition("-")[2] for file in files] == list(answers["label"])
    by_word = [("good", 0.5), ("plain", 0.0), ("bad", -0.5)]
    text_explain.draw(by_word, "great", tmp_path / "drawn.png")
    text_explain.draw([("plain", 0.0)], "great", tmp_path / "plain.png")
    drawn, plain = pixels(tmp_path / "drawn.png"), pixels(tmp_path / "plain.png")
    for colour in ((64, 149, 197), (224, 134, 64)):
        in_legend = (plain == colour).all(axis=-1).sum()
        assert 0 < in_legend < (drawn == colour).all(axis=-1).sum(), "the legend and a word"


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as drawn:
        return np.asarray(drawn)


def test_each_word_of_a_text_has_what_its_piece_has_raised() -> None:
    repeated = text_explain.Reasons(["so", "good"], np.array([0.1, 0.4]))
    assert repeated.by_word("so so good") == [("so", 0.1), ("so", 0.1), ("good", 0.4)]
    together = text_explain.Reasons(["so so", "good tea"], np.array([0.1, 0.4]))
    assert [raised for _, raised in together.by_word("so so good tea")] == [0.1, 0.1, 0.4, 0.4]


def test_of_many_inputs_the_first_are_drawn_and_a_note_says_so(
    text: Trained, tmp_path: Path
) -> None:
    options = options_class("text").predict_type(explain=str(tmp_path / "why"))  # type: ignore[call-arg]
    notes: list[str] = []
    many = pd.DataFrame({"text": ["tea"] * 26})
    answers = text.pipeline.predict_raw(text.served, many, options, notes)
    assert len(list((tmp_path / "why").iterdir())) == 24
    assert answers["picture"].isna().tolist() == [False] * 24 + [True] * 2
    assert (answers["because"] != "").all()
    assert f"{tmp_path / 'why'}: pictures of the first 24 of 26 texts" in notes


# -------------------------------------------------------------------------------------- forecast


def test_the_parts_of_a_forecast_add_up_to_it(forecast: Trained) -> None:
    answers = explained(forecast, forecast.asked)
    parts = [name for name in answers.columns if name.startswith("by_")]
    assert parts == ["by_level", "by_calendar", "by_shape"]
    total = answers[parts].sum(axis=1)
    assert np.allclose(total, answers["mean"], rtol=1e-4)
    assert answers["by_level"].nunique() == 1


def test_a_series_is_drawn_with_its_parts_stacked_from_the_level_on(
    forecast: Trained, tmp_path: Path
) -> None:
    answers = explained(forecast, forecast.asked, explain=str(tmp_path))
    (file,) = set(answers["picture"])
    assert Path(file).stat().st_size > 10_000
    parts = {"by_level": np.full(3, 5.0), "by_shape": np.array([1.0, -2.0, 0.5])}
    parts |= {f"by_{name}": np.full(3, 0.1 * name) for name in range(9)}
    axis = forecast_explain.figure("a", np.arange(3), parts).axes[0]
    bars = [cast(Rectangle, bar) for bar in axis.patches]
    heights = np.array([bar.get_height() for bar in bars]).reshape(-1, 3)
    assert np.allclose(heights.sum(axis=0) + 5.0, sum(parts.values()))
    labels = axis.get_legend_handles_labels()[1]
    assert labels[-1] == "4 others"
    assert {"by_level", "by_shape", "mean: their sum"} <= set(labels)


def test_a_flat_history_has_no_shape(forecast: Trained) -> None:
    flat = forecast.asked.assign(y=10.0)
    answers = explained(forecast, flat)
    assert np.allclose(answers["by_shape"], 0, atol=1e-4)


class LinearFacts:
    """Facts of a model of two covariates, the second of which is known in advance."""

    covariates = ("past", "known")
    known_future = ("known",)
    horizon = 3


def test_the_parts_of_a_linear_forecast_are_its_terms() -> None:
    rng = np.random.default_rng(0)
    inputs = {"history": rng.normal(size=(2, 5, 3)), "future": rng.normal(size=(2, 3, 1))}
    of_target, of_past = rng.normal(size=(2, 5))

    def linear(given: dict[str, np.ndarray]) -> np.ndarray:
        base = given["history"][:, :, 0] @ of_target + given["history"][:, :, 1] @ of_past
        return np.asarray((base[:, None] + 2 * given["future"][:, :, 0])[..., None])

    parts = forecast_explain.contributions(linear, inputs, LinearFacts())  # type: ignore[arg-type]
    target, past, known = np.moveaxis(inputs["history"], -1, 0)
    shape = (target - target.mean(axis=1, keepdims=True)) @ of_target
    from_past = (past - past.mean(axis=1, keepdims=True)) @ of_past
    from_known = 2 * (inputs["future"][..., 0] - known.mean(axis=1, keepdims=True))
    assert np.allclose(parts["by_shape"], shape[:, None])
    assert np.allclose(parts["by_past"], from_past[:, None])
    assert np.allclose(parts["by_known"], from_known)
    assert np.allclose(parts["by_calendar"], 0)
    assert np.allclose(sum(parts.values()), linear(inputs)[..., 0])


# ------------------------------------------------------------------------------------- recommend


def test_without_an_item_of_the_history_a_score_falls_by_what_was_said(recommend: Trained) -> None:
    history = ["i3", "i5", "i6", "i8"]
    answers = explained(recommend, pd.DataFrame({"history": [history]}), top=3)
    best = answers.iloc[0]
    item, raised = first_reason(best["because"])
    assert item in history
    left = [other for other in history if other != item]
    options = options_class("recommend").predict_type(top=30)  # type: ignore[call-arg]
    without = recommend.pipeline.predict_raw(
        recommend.served, pd.DataFrame({"history": [left]}), options
    )
    (score,) = without.loc[without["item"] == best["item"], "score"]
    assert best["score"] - score == pytest.approx(raised, abs=2e-4)


def test_what_is_popular_has_no_history_behind_it(recommend: Trained) -> None:
    answers = explained(recommend, pd.DataFrame({"user": ["nobody", "u1"]}), top=2)
    assert (answers.loc[answers["row"] == 1, "because"] == "").all()
    assert (answers.loc[answers["row"] == 2, "because"] != "").all()


def test_each_of_all_items_that_are_left_is_explained(recommend: Trained) -> None:
    answers = explained(recommend, pd.DataFrame({"history": [["i3", "i5"]]}), top=1_000)
    assert len(answers) == 28  # of 30
    assert (answers["because"] != "").all()


def test_a_row_is_drawn_with_the_titles_behind_each_recommendation(
    recommend: Trained, tmp_path: Path
) -> None:
    asked = pd.DataFrame({"user": ["nobody", "u1"]})
    answers = explained(recommend, asked, explain=str(tmp_path), top=2)
    assert answers.loc[answers["row"] == 1, "picture"].isna().all()
    (file,) = set(answers.loc[answers["row"] == 2, "picture"])
    assert [Path(file)] == list(tmp_path.iterdir())
    reasons = recommend_explain.Reasons([1, 2], np.array([[0.5, 0.0], [-0.7, 0.1]]))
    best, places = np.array([3, 4]), np.array([0, 1])
    drawn = recommend_explain.figure(reasons, best, places, ["A", "B", "C", "D" * 60])
    titles = [axes.get_title(loc="left") for axes in drawn.axes]
    assert titles[0] == "1. C"
    assert titles[1].startswith("2. DDDD")
    assert titles[1].endswith("…")
    assert [tick.get_text() for tick in drawn.axes[0].get_yticklabels()] == ["A", "B"]


def test_a_request_to_a_server_may_ask_why(text: Trained) -> None:
    rows = [{"text": "the soup was stale"}]
    with served_over_http(text) as client:
        reply = client.post("/invocations", json={"instances": rows, "params": {"explain": True}})
        named = {"instances": rows, "params": {"explain": "/tmp/why"}}
        refused = client.post("/invocations", json=named)
    assert refused.status_code == 400, "no folder of the server"
    (answer,) = reply.json()["predictions"]
    expected = explained(text, pd.DataFrame(rows))
    assert "picture" not in answer
    assert answer["because"] == expected["because"][0]


# ---------------------------------------------------------------------------------------- vision


def small_network(*, nested: bool) -> keras.Model:
    """A network whose one feature map is the picture itself, and speaks for class 0."""
    image = keras.Input((4, 4, 1))
    convolution = keras.layers.Conv2D(1, 1, use_bias=False, name="maps")
    maps = convolution(image)
    pooled = keras.layers.GlobalAveragePooling2D()(maps)
    features = pooled
    if nested:
        features = keras.Model(image, pooled, name="backbone")(image)
    head = keras.layers.Dense(2, use_bias=False)
    network = keras.Model(image, head(features), name="network")
    convolution.set_weights([np.ones((1, 1, 1, 1))])
    head.set_weights([np.array([[1.0, -1.0]])])
    return network


@pytest.mark.parametrize("nested", [False, True], ids=["own", "backbone"])
def test_the_heat_of_a_linear_network_is_its_feature_map(nested: bool) -> None:
    network = small_network(nested=nested)
    x = np.random.default_rng(0).uniform(size=(2, 4, 4, 1)).astype("float32")
    before = np.asarray(network(x))
    heat = vision_explain.heatmaps(network, x, np.array([0, 0]))
    assert np.allclose(heat, x[..., 0] / x.max(axis=(1, 2, 3), keepdims=True)[..., 0], atol=1e-5)
    assert not vision_explain.heatmaps(network, x, np.array([1, 1])).any()
    assert np.array_equal(np.asarray(network(x)), before)


def test_a_network_without_feature_maps_is_explained_by_its_slopes() -> None:
    image = keras.Input((2, 2, 1))
    dense = keras.layers.Dense(1, use_bias=False)
    network = keras.Model(image, dense(keras.layers.Flatten()(image)))
    dense.set_weights([np.array([[1.0], [0.0], [-1.0], [4.0]])])
    heat = vision_explain.heatmaps(network, np.ones((1, 2, 2, 1), "float32"), np.array([0]))
    assert np.allclose(heat, np.array([[[0.25, 0], [0, 1]]]))


def test_each_picture_has_a_drawing_beside_its_answer(vision: Trained, tmp_path: Path) -> None:
    folder = tmp_path / "heat"
    answers = explained(vision, vision.asked, explain=str(folder))
    files = [Path(name) for name in answers["heatmap"]]
    assert sorted(folder.iterdir()) == files
    assert [path.stem.partition("-")[2] for path in files] == list(answers["label"])
    with Image.open(files[0]) as drawn:
        assert drawn.size == (448, 224), "the picture, and the heat beside it"


@pytest.mark.parametrize("domain", ["vision", "text", "forecast", "recommend"])
def test_a_folder_that_holds_something_is_not_written_into(
    domain: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "kept.png").touch()
    (tmp_path / "asked.csv").touch()
    asked, folder = str(tmp_path / "asked.csv"), str(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main([domain, "predict", asked, "--model", "model.keras", "--explain", folder])
    assert ended.value.code == 2
    assert "exists already" in capsys.readouterr().err
