"""`predict` says when inputs leave what training has seen, and is quiet when they do not.

The networks here are not trained: drift is a matter of the inputs alone.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipelines import create_pipeline
from pipelines.config.search_space import replace
from pipelines.evaluation.drift import Measure, Seen, drift_note, drift_of, seen_in
from pipelines.model_file import facts_as_json, read_facts
from pipelines.pipeline import AnyPipeline, ServingModel
from tests.samples import small_log, small_series, small_texts

LEVEL = Measure(name="level", low="lower", high="higher")


def serve(domain: str, hyperparameters: dict[str, Any], **options: Any) -> tuple[Any, ServingModel]:
    """Return a pipeline and its model before any training."""
    pipeline: AnyPipeline = create_pipeline(domain, **options)
    splits = pipeline.load()
    spec = replace(pipeline.options.spec_type(), hyperparameters)
    spec = pipeline.fit_defaults(spec, splits, hyperparameters)
    return pipeline, pipeline.serve(pipeline.build(spec, splits), splits)


def answer(
    served: tuple[Any, ServingModel], source: Any, **options: Any
) -> tuple[pd.DataFrame, list[str]]:
    """Return the answers to `source`, and what was said of drift."""
    pipeline, serving = served
    notes: list[str] = []
    chosen = pipeline.options.predict_type(**options)
    answers = pipeline.predict_raw(serving, source, chosen, notes)
    words = ("unlike all in training", "vocabulary", "unknown to the model")
    return answers, [note for note in notes if any(word in note for word in words)]


# ------------------------------------------------------------------------------ ranges


def test_a_value_a_little_beyond_the_range_of_training_is_none() -> None:
    seen = seen_in(np.asarray([10.0, np.nan, 30.0]))
    assert seen == Seen(low=10, high=30)
    values = {"level": np.asarray([4.0, 6.0, 20.0, 34.0, 36.0, np.nan])}
    drift = drift_of(values, {"level": seen}, (LEVEL,)).tolist()
    assert drift[1:4] == ["", "", ""]
    assert drift[0] == "lower (level 4, in training 10 to 30)"
    assert drift[4] == "higher (level 36, in training 10 to 30)"
    assert drift[5] == ""


def test_one_line_counts_what_drifts_and_shows_the_first() -> None:
    assert drift_note(np.asarray(["", ""], dtype=object), "images") == []
    (note,) = drift_note(np.asarray(["", "a; b", "c"], dtype=object), "images")
    assert note.startswith("2 of 3 images are unlike all in training")
    assert note.endswith("the first: a")


# ------------------------------------------------------------------------------ vision


@pytest.fixture(scope="module")
def digits() -> tuple[Any, ServingModel]:
    return serve("vision", {"conv.filters": 4, "conv.blocks": 1}, data="digits", limit=300)


def test_test_images_do_not_drift(digits: tuple[Any, ServingModel]) -> None:
    pipeline, _ = digits
    _, said = answer(digits, pipeline.load().test.x)
    assert said == []


def test_dark_images_are_said_in_one_line_and_a_column_on_demand(
    digits: tuple[Any, ServingModel],
) -> None:
    x = digits[0].load().test.x[:10].copy()
    x[4:] = 0
    plain, said = answer(digits, x)
    assert "drift" not in plain
    assert len(said) == 1
    assert said[0].startswith("6 of 10 images are unlike all in training")
    assert "the first: darker (brightness 0, in training" in said[0]
    asked, _ = answer(digits, x, drift=True)
    assert (asked["drift"] == "").tolist() == [True] * 4 + [False] * 6


def test_a_model_that_knows_no_ranges_says_nothing(digits: tuple[Any, ServingModel]) -> None:
    """Models saved by earlier versions have no such facts."""
    pipeline, serving = digits
    content = json.loads(json.dumps(facts_as_json(serving)))
    del content["seen"]
    old = dataclasses.replace(serving, facts=read_facts(content, "model.keras"))
    answers, said = answer((pipeline, old), np.zeros((3, 8, 8, 1), "uint8"), drift=True)
    assert said == []
    assert answers["drift"].tolist() == ["", "", ""]


# ------------------------------------------------------------------------------ text


@pytest.fixture(scope="module")
def opinions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, ServingModel]:
    path = small_texts(tmp_path_factory.mktemp("texts") / "opinions.csv")
    small = {"architecture": "fasttext", "embedding.width": 8, "start_from": "none"}
    return serve("text", small, data=str(path))


def test_texts_of_the_same_kind_do_not_drift(opinions: tuple[Any, ServingModel]) -> None:
    _, said = answer(opinions, opinions[0].load().texts("test"))
    assert said == []


def test_texts_in_other_words_are_said_in_one_line(opinions: tuple[Any, ServingModel]) -> None:
    foreign = "zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich"
    answers, said = answer(opinions, np.asarray([foreign] * 3, dtype=object), drift=True)
    assert len(said) == 1
    assert said[0].startswith("100% of the tokens are not in the model's vocabulary")
    assert "in other words" in answers["drift"][0]


def test_a_text_far_longer_than_all_is_said(opinions: tuple[Any, ServingModel]) -> None:
    usual = opinions[0].load().texts("train")
    texts = np.asarray([*usual[:5], " ".join(usual)], dtype=object)
    _, said = answer(opinions, texts)
    assert said[0].startswith("1 of 6 texts is unlike all in training")
    assert "longer (characters" in said[0]


# ------------------------------------------------------------------------------ forecast


@pytest.fixture(scope="module")
def load_curve(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[Any, ServingModel]]:
    path = small_series(tmp_path_factory.mktemp("series") / "load.csv")
    return path, serve("forecast", {}, data=str(path), horizon=6, lookback=24)


def test_a_series_at_its_old_level_does_not_drift(
    load_curve: tuple[Path, tuple[Any, ServingModel]],
) -> None:
    path, served = load_curve
    _, said = answer(served, path)
    assert said == []


def test_a_series_that_has_left_its_level_is_said(
    load_curve: tuple[Path, tuple[Any, ServingModel]],
) -> None:
    path, served = load_curve
    table = pd.read_csv(path)
    value = table.columns[-1]
    recent = table.tail(60).reset_index(drop=True)
    recent[value] = recent[value] + 10 * table[value].abs().max()
    answers, said = answer(served, recent, drift=True)
    assert len(said) == 1
    assert "series is unlike all in training" in said[0]
    assert "higher (level" in said[0]
    assert answers["drift"].str.startswith("higher (level").all()


# ------------------------------------------------------------------------------ recommend


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, ServingModel]:
    path = small_log(tmp_path_factory.mktemp("log") / "log.csv")
    return serve("recommend", {}, data=str(path))


def test_unknown_users_are_counted_in_one_line(shop: tuple[Any, ServingModel]) -> None:
    served = shop
    known = served[1].facts.users[0]
    _, said = answer(served, np.asarray([known], dtype=object))
    assert said == []
    _, said = answer(served, np.asarray([known, "nobody", "no one"], dtype=object))
    assert said == [
        "2 of 3 users are unknown to the model and answered as an average one; the column note "
        "says which: nobody, no one"
    ]


def test_unknown_items_of_histories_are_counted_in_one_line(
    shop: tuple[Any, ServingModel],
) -> None:
    old, other = shop[1].facts.items[:2]
    _, said = answer(shop, pd.DataFrame({"history": [f"{old} {other}"]}))
    assert said == []
    histories = pd.DataFrame({"history": [f"{old} new", f"new {other}", old]})
    answers, said = answer(shop, histories)
    assert said == [
        "1 of 3 items in the histories is unknown to the model and ignored; the column note says "
        "where: new"
    ]
    assert set(answers["note"]) == {"1 unknown item ignored", ""}


def test_unknown_items_to_rate_are_counted_in_one_line(tmp_path: Path) -> None:
    rows = pd.DataFrame({"user": list("abcd") * 6, "item": list("uvwxyz") * 4})
    rows["rating"] = np.arange(len(rows)) % 5 + 1
    rows.to_csv(tmp_path / "log.csv", index=False)
    served = serve("recommend", {"architecture": "mf"}, data=str(tmp_path / "log.csv"), task="rate")
    known = served[1].facts.items[0]
    answers, said = answer(served, pd.DataFrame({"user": ["a", "a"], "item": [known, "new"]}))
    assert said == [
        "1 of 2 items is unknown to the model and rated like an average one; the column note says "
        "where: new"
    ]
    assert answers["note"].tolist() == ["", "unknown item"]
