"""Items ranked by their texts, as an encoder reads them: also those that nobody has had."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from scipy import sparse

from apps.cli import application
from pipelines.config.search_space import replace
from pipelines.errors import DataError, UsageError
from pipelines.model_file import read_model, write_model
from pipelines.pipeline import ServingModel
from pipelines.pretrained.weights import digest
from pipelines.recommend import predict
from pipelines.recommend.data import RecommendSplits
from pipelines.recommend.item_models import ItemTexts
from pipelines.recommend.options import RecommendOptions
from pipelines.recommend.pipeline import RecommendPipeline
from pipelines.recommend.spec import RecommendSpec
from tests.encoders import tiny_encoder
from tests.samples import small_log
from tuning.training import kept_baselines

NEW = "i99"  # in the table of items alone
TITLES = ("good", "bad", "film", "the film", "a film", "good film", "bad film", "the good", "!")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log, a table of its items with a new one, and an encoder."""
    folder = tmp_path_factory.mktemp("catalogue")
    log = small_log(folder / "log.csv")
    items = sorted(set(pd.read_csv(log)["item"]))
    titles = [TITLES[number % len(TITLES)] for number in range(len(items))]
    table = pd.DataFrame({"item": [*items, NEW], "title": [*titles, titles[0]]})
    table.to_csv(folder / "items.csv", index=False)
    tiny_encoder(folder / "encoder")
    return folder


def pipeline_of(folder: Path, **options: Any) -> RecommendPipeline:
    return RecommendPipeline(RecommendOptions(data=str(folder / "log.csv"), **options))


@pytest.fixture(scope="module")
def pipeline(folder: Path) -> RecommendPipeline:
    return pipeline_of(folder, items=str(folder / "items.csv"), item_texts=str(folder / "encoder"))


@pytest.fixture(scope="module")
def splits(pipeline: RecommendPipeline) -> RecommendSplits:
    return pipeline.load()


@pytest.fixture(scope="module")
def served(
    pipeline: RecommendPipeline, splits: RecommendSplits, tmp_path_factory: pytest.TempPathFactory
) -> ServingModel:
    """An untrained network, blended with item texts and with Markov."""
    network = pipeline.build(replace(RecommendSpec(), {"embedding.width": 8}), splits)
    settings = {"kind": "ItemTexts", "encoder": splits.encoder, "neighbours": 3, "recency": 1.0}
    predict.stacking_weights(network).assign(
        network=0.5,
        item_models={
            "item texts": {"weight": 1.0, "settings": settings},
            "Markov": {"weight": 0.3, "settings": {"kind": "Markov"}},
        },
    )
    path = tmp_path_factory.mktemp("model") / "model.keras"
    write_model(pipeline.serve(network, splits), path)
    return read_model(path)


def test_items_of_the_table_have_numbers_behind_those_of_train(
    folder: Path, splits: RecommendSplits
) -> None:
    without = pipeline_of(folder, items=str(folder / "items.csv")).load()
    assert NEW not in without.items
    assert splits.items == (*without.items, NEW)
    assert splits.texts[-1] == splits.texts[0] == TITLES[0]
    assert np.flatnonzero(~splits.known_items("test")).tolist() == [0, len(splits.items)]
    assert np.array_equal(splits.item, without.item)


def test_an_item_that_nobody_has_had_is_near_to_those_with_its_text(
    splits: RecommendSplits,
) -> None:
    model = ItemTexts(encoder=splits.encoder, neighbours=2).fit(splits, splits.known_mask("val"))
    same = 1 + np.flatnonzero(np.asarray(splits.texts[:-1]) == TITLES[0])
    history = np.array([[same[0]]])
    scores = model.scores(history)[0]
    new = len(splits.items)
    assert scores[new] == pytest.approx(1, abs=1e-3)
    assert scores[new] >= scores[1:].max() - 1e-3
    assert not sparse.csr_matrix(model.matrix)[[new]].nnz, "nobody's history holds it"


def test_an_item_without_a_text_is_near_to_none(folder: Path, tmp_path: Path) -> None:
    table = pd.read_csv(folder / "items.csv")
    table.loc[0, "title"] = None
    table.to_csv(tmp_path / "items.csv", index=False)
    splits = pipeline_of(
        folder, items=str(tmp_path / "items.csv"), item_texts=str(folder / "encoder")
    ).load()
    number = 1 + splits.items.index(table["item"][0])
    model = ItemTexts(encoder=splits.encoder, neighbours=2).fit(splits, splits.known_mask("val"))
    assert not sparse.csr_matrix(model.matrix)[:, [number]].nnz


def test_the_saved_file_scores_new_items_as_the_evaluation_does(
    served: ServingModel, pipeline: RecommendPipeline, splits: RecommendSplits
) -> None:
    network = pipeline.restore_network(served, splits)
    cases = splits.cases("test")
    expected = predict.blended_scores(network, splits, "test")(slice(0, len(cases)))
    inputs = {"user": cases.user, "history": splits.histories("test")}
    scores = np.asarray(served.model(inputs)["scores"])
    assert np.allclose(scores[:, 1:], expected[:, 1:], rtol=1e-3, atol=1e-3)


def test_a_new_item_is_recommended_to_who_had_its_like(
    served: ServingModel, splits: RecommendSplits
) -> None:
    like = splits.items[splits.texts.index(TITLES[0])]
    answers = RecommendPipeline.predict_raw(served, pd.DataFrame({"history": [like]}))
    assert NEW in set(answers["item"])


def test_items_that_nobody_has_had_have_no_vector(
    served: ServingModel, splits: RecommendSplits
) -> None:
    with pytest.raises(DataError, match="nobody has had this item"):
        RecommendPipeline.similar(served, NEW)
    nearest = RecommendPipeline.similar(served, splits.items[0])
    assert NEW not in set(nearest["similar_item"])


def test_targets_that_texts_would_rank_are_pointed_out(folder: Path, tmp_path: Path) -> None:
    log = pd.read_csv(folder / "log.csv")
    last = log.groupby("user")["timestamp"].idxmax()
    log.loc[last.iloc[:3], "item"] = NEW
    log.to_csv(tmp_path / "log.csv", index=False)
    (tmp_path / "items.csv").write_bytes((folder / "items.csv").read_bytes())
    notes = " ".join(pipeline_of(tmp_path, items=str(tmp_path / "items.csv")).load().notes)
    assert "3 of" in notes
    assert "To rank what --items describes: --item-texts minilm" in notes
    by_texts = pipeline_of(
        tmp_path, items=str(tmp_path / "items.csv"), item_texts=str(folder / "encoder")
    ).load()
    assert "3 of" in " ".join(by_texts.notes)
    assert "their texts alone rank them" in " ".join(by_texts.notes)


def test_texts_that_cannot_be_used_are_refused(folder: Path, tmp_path: Path) -> None:
    encoder = str(folder / "encoder")
    with pytest.raises(DataError, match="needs titles or features of items"):
        pipeline_of(folder, item_texts=encoder).load()
    rated = pd.DataFrame({"user": list("aabb"), "item": list("xyxy"), "rating": [1, 2, 3, 4]})
    rated.to_csv(tmp_path / "log.csv", index=False)
    with pytest.raises(UsageError, match="this task is to rate"):
        pipeline_of(tmp_path, item_texts=encoder).load()


def test_a_missing_encoder_is_told_before_any_data_is_read() -> None:
    flags = ["check", "--data", "no.csv", "--item-texts", "nosuch"]
    done = CliRunner().invoke(application("recommend"), flags)
    assert isinstance(done.exception, UsageError)
    assert "--item-texts: there is no encoder 'nosuch'" in str(done.exception)


def test_kept_baselines_depend_on_the_files_of_the_encoder(
    pipeline: RecommendPipeline, folder: Path, splits: RecommendSplits, tmp_path: Path
) -> None:
    moved = tmp_path / "encoder"
    shutil.copytree(folder / "encoder", moved)
    options = {"items": str(folder / "items.csv"), "item_texts": str(moved)}
    before = kept_baselines.set_of(pipeline_of(folder, **options), splits)
    assert kept_baselines.set_of(pipeline_of(folder, **options), splits) == before
    words = (moved / "vocab.txt").read_text().replace("good", "fine")
    (moved / "vocab.txt").write_text(words)
    assert kept_baselines.set_of(pipeline_of(folder, **options), splits) != before
    # Not by where they lie.
    assert pipeline.baselines_read() == {"item_texts": digest(folder / "encoder")}
    shutil.copytree(folder / "encoder", tmp_path / "copy")
    assert digest(tmp_path / "copy") == digest(folder / "encoder")
