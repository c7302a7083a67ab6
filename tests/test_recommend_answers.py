"""What a trained recommender answers: the same for every form of a question, and its vectors."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from apps.cli import application
from apps.python import Model
from pipelines.config.search_space import replace
from pipelines.errors import DataError, UsageError
from pipelines.model_file import read_model, write_model
from pipelines.pipeline import ServingModel
from pipelines.recommend import item_vectors
from pipelines.recommend.options import RecommendOptions
from pipelines.recommend.pipeline import RecommendPipeline
from pipelines.recommend.predict_options import RecommendPredictOptions, SimilarOptions
from pipelines.recommend.requests import read_requests, split_history
from pipelines.recommend.spec import RecommendSpec

SMALL = {"embedding.width": 8, "conv.filters": 8, "history": 5, "start_from": "none"}
TITLES = {"007": "Dr. No", "7": "Seven", "00456": "Alien", "456": "Aliens", "12.0": "Twelve"}


def log_with_titles(path: Path) -> Path:
    """Write ids as people have them: with zeros in front, as numbers with a point, as words."""
    items = [*TITLES, *(f"i{number}" for number in range(12))]
    rows = []
    for user in range(20):
        for step in range(8):
            item = items[(3 * user + step * (1 + user % 3)) % len(items)]
            time = 1_600_000_000 + 1000 * user + step
            rows.append((f"0{user:02d}", item, TITLES.get(item, f"Film {item}"), time))
    table = pd.DataFrame(rows, columns=["user", "item", "title", "timestamp"])
    table.to_csv(path, index=False)
    return path


def served_network(pipeline: RecommendPipeline, path: Path, **values: Any) -> ServingModel:
    """Return a network with random weights as it is saved: nothing here depends on a fit."""
    splits = pipeline.load()
    network = pipeline.build(replace(RecommendSpec(), {**SMALL, **values}), splits)
    rng = np.random.default_rng(0)
    for weight in network.trainable_weights:
        weight.assign(rng.normal(scale=0.3, size=weight.shape))
    pipeline.calibrate(network, splits)
    write_model(pipeline.serve(network, splits), path)
    return read_model(path)


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> RecommendPipeline:
    path = log_with_titles(tmp_path_factory.mktemp("log") / "log.csv")
    return RecommendPipeline(RecommendOptions(data=str(path)))


@pytest.fixture(scope="module")
def served(pipeline: RecommendPipeline, tmp_path_factory: pytest.TempPathFactory) -> ServingModel:
    return served_network(pipeline, tmp_path_factory.mktemp("model") / "model.keras")


def ask(served: ServingModel, source: Any, **options: Any) -> pd.DataFrame:
    return RecommendPipeline.predict_raw(served, source, RecommendPredictOptions(**options))


# ---------------------------------------------------------------------- one history, one answer

HISTORY = ["007", "00456", "i3"]


@pytest.mark.parametrize(
    "write",
    [
        lambda path: pd.DataFrame({"history": [HISTORY]}),
        lambda path: pd.DataFrame({"basket": [str(HISTORY)]}),
        lambda path: pd.DataFrame({"what": [json.dumps(HISTORY)]}),
        lambda path: np.array([HISTORY]),
        lambda path: _written(path / "a.txt", "007 00456 i3\n"),
        lambda path: _written(path / "a.txt", "007;00456;i3\n"),
        lambda path: _written(path / "a.csv", 'items\n"007, 00456, i3"\n'),
        lambda path: _written(path / "a.csv", "no;history\n1;007|00456|i3\n"),
        lambda path: _written(path / "a.csv", "history\n\"['007', '00456', 'i3']\"\n"),
        lambda path: _written(path / "a.jsonl", '{"history": ["007", "00456", "i3"]}\n'),
        lambda path: _written(path / "a.json", '[{"history": "007,00456,i3"}]'),
        lambda path: _parquet(path / "a.parquet"),
    ],
)
def test_a_history_has_one_answer_in_every_form(
    write: Any, served: ServingModel, tmp_path: Path
) -> None:
    answers = ask(served, write(tmp_path))
    numbers = [served.facts.item_numbers[item] for item in HISTORY]
    inputs = {"user": np.zeros(1, np.int32), "history": np.array([numbers], np.int32)}
    scores = np.array(served.model(inputs)["scores"])[0]
    given = [scores[served.facts.item_numbers[item]] for item in answers["item"]]
    assert np.allclose(answers["score"], given, atol=1e-4)
    scores[[0, *numbers]] = -np.inf
    assert served.facts.item_numbers[answers["item"].iloc[0]] == scores.argmax()
    assert len(answers) == 10


def _written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def _parquet(path: Path) -> Path:
    pd.DataFrame({"history": [HISTORY]}).to_parquet(path)
    return path


def test_a_users_answer_is_that_of_what_the_model_knows_of_it(served: ServingModel) -> None:
    known = [served.facts.items[number - 1] for number in served.facts.histories[0]]
    of_user = ask(served, np.array(["000"]))
    of_history = ask(served, pd.DataFrame({"history": [known]}))
    assert of_user["item"].tolist() == of_history["item"].tolist()
    assert np.allclose(of_user["score"], of_history["score"], atol=1e-4)


def test_ids_stay_texts(served: ServingModel, tmp_path: Path) -> None:
    path = _written(tmp_path / "users.csv", "user,ticket\n000,00456\n0,1.10\n")
    answers = ask(served, path, top=1)
    assert answers["ticket"].tolist() == ["00456", "1.10"]
    assert answers["user"].tolist() == ["000", "0"]
    assert answers["note"].tolist() == ["", "unknown user; no history: popular items"]
    assert {"007", "7", "00456", "456", "12.0"} <= set(served.facts.items)


def test_a_log_goes_on_behind_what_the_model_knows(served: ServingModel, tmp_path: Path) -> None:
    """As `evaluate` scores it: in the order of time, known users with their own history."""
    new = [item for item in served.facts.items if item not in _items_of(served, 0)][:2]
    rows = [("000", new[1], 20), ("stranger", "i1", 5), ("000", new[0], 10)]
    path = tmp_path / "new.csv"
    pd.DataFrame(rows, columns=["user", "item", "timestamp"]).to_csv(path, index=False)
    notes: list[str] = []
    answers = RecommendPipeline.predict_raw(served, path, RecommendPredictOptions(top=3), notes)
    assert answers["user"].tolist() == ["000"] * 3 + ["stranger"] * 3
    assert any("3 rows of 2 users are read as what each of them had after" in n for n in notes)
    whole = ask(served, pd.DataFrame({"history": [[*_items_of(served, 0), *new]]}), top=3)
    assert answers["item"].tolist()[:3] == whole["item"].tolist()


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("log.dat", "{user}::{item}::4::{time}"),
        ("log.data", "{user}\t{item}\t4\t{time}"),
        ("log.txt", "{user}\t{item}\t4\t{time}"),
        ("log.csv", "{user},{item},4,{time}"),
        ("log.inter", "{user} {item} {time}"),
        ("netflix.txt", "{item}:\n{user},4,2030-01-0{day}"),
    ],
)
def test_a_log_is_read_as_training_reads_it(
    name: str, form: str, served: ServingModel, tmp_path: Path
) -> None:
    lines = []
    for day, item in enumerate(["456", "i3"], start=1):
        time = 1_900_000_000 + day
        lines.append(form.format(user="000", item=item, time=time, day=day))
    if name.endswith(".inter"):
        lines.insert(0, "user_id:token item_id:token timestamp:float")
    path = _written(tmp_path / name, "\n".join(lines))
    frame = pd.DataFrame({"user": ["000"] * 2, "item": ["456", "i3"], "timestamp": [1, 2]})
    expected = ask(served, frame.assign(timestamp=frame["timestamp"] + 1_900_000_000))
    assert ask(served, str(path))["item"].tolist() == expected["item"].tolist()


def _items_of(served: ServingModel, user: int) -> list[str]:
    return [served.facts.items[number - 1] for number in served.facts.histories[user]]


def test_of_several_marks_that_counts_which_makes_known_items(served: ServingModel) -> None:
    numbers = {"a b": 1, "c": 2, "d,e": 3}
    assert split_history("a b;c", numbers) == ["a b", "c"]
    assert split_history("d,e", numbers) == ["d,e"]
    assert split_history("d,e|c", numbers) == ["d,e", "c"]
    assert split_history("'c', 'x'", numbers) == ["c", "x"]
    assert split_history(None, numbers) == []


def test_which_column_was_taken_is_said(served: ServingModel) -> None:
    notes: list[str] = []
    table = pd.DataFrame({"User": ["000"], "city": ["Rome"]})
    read_requests(table, served.facts, RecommendPredictOptions(), notes)
    assert notes == ["the input: columns: user=User; not used: city"]
    only = pd.DataFrame({"customer number": ["000", "001"]})
    assert read_requests(only, served.facts, RecommendPredictOptions(), notes).users is not None


# ---------------------------------------------------------------------------- what is left out


def test_items_may_be_excluded_for_each_user(served: ServingModel, tmp_path: Path) -> None:
    users = np.array(["000", "001"])
    best = ask(served, users, top=1)["item"].tolist()
    path = _written(tmp_path / "had.csv", f"user,item\n000,{best[0]}\n")
    left = ask(served, users, top=1, exclude=str(path))["item"].tolist()
    assert left[0] != best[0]
    assert left[1] == best[1]


def test_one_unreadable_input_is_answered_with_its_reason(served: ServingModel) -> None:
    answers = ask(served, "missing.csv", skip_unreadable=True)
    assert "no such file" in answers["error"].iloc[0]
    with pytest.raises(DataError, match="no such file"):
        ask(served, "missing.csv")


@pytest.mark.parametrize(
    ("options", "inputs", "message"),
    [
        ({"all_users": True}, ("users.txt",), "--all-users answers all users"),
        ({"repeat": True, "new_only": True}, ("users.txt",), "exclude each other"),
        ({"exclude": "missing.txt"}, ("users.txt",), "--exclude missing.txt"),
        ({"vectors": "items.xlsx"}, (), r"\.csv or \.parquet"),
        ({"vectors": "missing/items.csv"}, (), "there is no folder missing"),
        ({"query_vectors": "q.csv"}, ("a.txt", "b.txt"), "one file at a time"),
    ],
)
def test_what_cannot_be_asked_is_refused_before_the_model_is_read(
    options: dict[str, Any], inputs: tuple[str, ...], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        RecommendPredictOptions(**options).check(inputs, False)


# ---------------------------------------------------------------------------- vectors, similar


@pytest.mark.parametrize("architecture", ["conv", "two_tower", "mf"])
def test_scores_are_the_dot_products_of_the_written_vectors(
    architecture: str, pipeline: RecommendPipeline, tmp_path: Path
) -> None:
    served = served_network(pipeline, tmp_path / "model.keras", architecture=architecture)
    items, queries = tmp_path / "items.parquet", tmp_path / "queries.csv"
    users = pd.DataFrame({"user": ["000", "004"], "city": ["Rome", "Oslo"]})
    everything = len(served.facts.items)
    answers = ask(
        served, users, top=everything, repeat=True, vectors=str(items), query_vectors=str(queries)
    )
    vectors = pd.read_parquet(items)
    asked = pd.read_csv(queries, dtype={"user": str})
    assert asked["city"].tolist() == ["Rome", "Oslo"]
    columns = [f"v{number}" for number in range(1, 9)]
    products = asked[columns].to_numpy() @ vectors[columns].to_numpy().T
    scores = products + vectors["bias"].to_numpy()
    for row in (0, 1):
        own = answers[answers["row"] == row + 1].set_index("item")["score"]
        assert np.allclose(own[vectors["item"]], scores[row], atol=1e-3)


def test_vectors_alone_need_no_input(served: ServingModel, tmp_path: Path) -> None:
    options = RecommendPredictOptions(vectors=str(tmp_path / "items.csv"))
    assert not options.needs_input
    assert RecommendPipeline.predict_raw(served, "", options).empty
    written = pd.read_csv(tmp_path / "items.csv", dtype={"item": str})
    assert written["item"].tolist() == served.facts.items
    assert written.loc[written["item"] == "00456", "title"].item() == "Alien"


def test_similar_items_are_those_with_the_largest_cosine(served: ServingModel) -> None:
    frame = item_vectors.item_vectors(served).set_index("item")
    vectors = frame.filter(regex=r"^v\d+$")
    directions = vectors.div(np.linalg.norm(vectors, axis=1), axis=0)
    cosines = pd.Series(directions @ directions.loc["007"]).drop("007").nlargest(3)
    answers = RecommendPipeline.similar(served, "007", SimilarOptions(top=3))
    assert answers["similar_item"].tolist() == cosines.index[:3].tolist()
    assert np.allclose(answers["cosine"], cosines.iloc[:3], atol=1e-4)
    assert set(answers["title"]) == {"Dr. No"}


def test_an_item_may_be_named_by_its_title(served: ServingModel) -> None:
    by_id = RecommendPipeline.similar(served, "7", SimilarOptions(top=2))
    assert by_id.equals(RecommendPipeline.similar(served, "seven", SimilarOptions(top=2)))
    assert RecommendPipeline.similar(served, "Alien")["item"].iloc[0] == "00456"
    with pytest.raises(DataError, match=r"have this in their title: .*i0 \(Film i0\)"):
        RecommendPipeline.similar(served, "film")


def test_an_unknown_item_is_refused_with_the_nearest(served: ServingModel) -> None:
    with pytest.raises(DataError, match="Did you mean '00456'"):
        RecommendPipeline.similar(served, "0456")
    with pytest.raises(DataError, match="Did you mean 'Twelve'"):
        RecommendPipeline.similar(served, "Twelfe")


def test_a_model_that_rates_has_vectors_too_and_ranks_nothing(tmp_path: Path) -> None:
    log = tmp_path / "ratings.csv"
    table = pd.read_csv(log_with_titles(log), dtype=str)
    table.drop(columns="timestamp").assign(rating=[1 + row % 5 for row in range(160)]).to_csv(
        log, index=False
    )
    pipeline = RecommendPipeline(RecommendOptions(data=str(log)))
    served = served_network(pipeline, tmp_path / "model.keras", architecture="mf")
    pairs = pd.DataFrame({"user": ["000"] * 3, "item": ["i1", "i2", "007"], "rating": [1, 2, 3]})
    answers = ask(served, pairs, query_vectors=str(tmp_path / "q.parquet"))
    assert answers["rating"].tolist() == [1, 2, 3]
    vectors = item_vectors.item_vectors(served).set_index("item")
    query = pd.read_parquet(tmp_path / "q.parquet").filter(regex=r"^v\d+$").to_numpy()[0]
    own = vectors.loc[["i1", "i2", "007"]]
    sums = own.filter(regex=r"^v\d+$").to_numpy() @ query + own["bias"].to_numpy()
    within = answers["predicted_rating"].between(1.001, 4.999)
    offsets = (answers["predicted_rating"] - sums)[within]
    assert np.allclose(offsets, offsets.mean(), atol=2e-3)
    with pytest.raises(UsageError, match="--task rank"):
        ask(served, pairs, all_users=True)


# ------------------------------------------------------------------------------- the command line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("similar", "--run", "1a2b"), "Expected: similar ITEM... --run RUN"),
        (("similar", "260", "--run", "1a2b", "--vectors", "items.txt"), ".csv or .parquet"),
        (("predict", "--run", "1a2b"), "There is nothing to answer"),
        (("predict", "--all-users", "a.csv", "--run", "1a2b"), "--all-users answers all users"),
        (("predict", "--top", "0", "a.csv", "--run", "1a2b"), "a whole number, 1 or more"),
    ],
)
def test_commands_that_cannot_be_answered_are_refused(
    arguments: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.csv").write_text("user\n000\n")
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(application("recommend"), list(arguments))
    told = f"{result.output}{result.exception}"
    assert message in told


def test_a_model_answers_from_python_what_its_application_has_besides(
    served: ServingModel,
) -> None:
    model = Model(served)
    assert model.ask("similar", "007", top=2)["place"].tolist() == [1, 2]
    with pytest.raises(UsageError, match="Did you mean 'similar'"):
        model.ask("similars", "007")
