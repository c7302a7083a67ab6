"""One model, one answer: the same input has the same answer on every way to a model."""

import base64
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from fastapi.testclient import TestClient

from apps.serving.application import Limits, Service, make_application
from pipelines import DOMAINS, create_pipeline, exports
from pipelines.config.search_space import replace
from pipelines.errors import ApplineError, UsageError
from pipelines.model_file import read_model, write_model
from pipelines.networks.models import graph_of
from pipelines.pipeline import AnyPipeline, RawRequest, ServingModel
from tests.samples import small_log, small_series, small_texts
from tests.serving import ask, load_pyfunc, write_pyfunc
from tuning.training.fit import fit
from tuning.training.monitor import Watch

SHORT: dict[str, dict[str, object]] = {
    "vision": {"conv.filters": 8, "conv.blocks": 2, "train.epochs": 2},
    "text": {"conv.filters": 8, "embedding.width": 8, "train.epochs": 2},
    "forecast": {"conv.filters": 8, "train.epochs": 2},
    "recommend": {"conv.filters": 8, "embedding.width": 8, "history": 8, "train.epochs": 2},
}


class Trained:
    """A trained model of a domain in every form, and what a person would ask it."""

    def __init__(self, domain: str, folder: Path) -> None:
        data, self.asked = ASKED[domain](folder)
        options: dict[str, Any] = {"data": str(data)}
        if domain == "forecast":
            options |= {"horizon": 6, "lookback": 24}
        if domain == "vision":
            options |= {"limit": 200}
        self.pipeline: AnyPipeline = create_pipeline(domain, **options)
        self.splits = self.pipeline.load()
        spec = replace(self.pipeline.options.spec_type(), SHORT[domain])
        watch = Watch(objective=self.pipeline.objective_for(self.splits))
        self.network = fit(self.pipeline, spec, self.splits, seed=1, watch=watch).model
        self.pipeline.calibrate(self.network, self.splits)
        self.folder = folder
        self.path = folder / "model.keras"
        served = self.pipeline.serve(self.network, self.splits)
        write_model(served, self.path)
        self.served: ServingModel = read_model(self.path)
        self.pyfunc_folder = write_pyfunc(served, folder / "model")
        self.pyfunc = load_pyfunc(self.pyfunc_folder)

    def expected(self) -> pd.DataFrame:
        return self.pipeline.predict_raw(self.served, self.asked)


def _digits(folder: Path) -> tuple[str, pd.DataFrame]:
    from sklearn.datasets import load_digits

    pixels = load_digits().data[:5].astype(int)
    return "digits", pd.DataFrame(pixels, columns=[f"pixel{n}" for n in range(64)])


def _opinions(folder: Path) -> tuple[Path, pd.DataFrame]:
    data = small_texts(folder / "opinions.csv")
    return data, pd.read_csv(data)[["text"]].head(7)


def _hours(folder: Path) -> tuple[Path, pd.DataFrame]:
    data = small_series(folder / "hourly.csv")
    return data, pd.read_csv(data).tail(60).reset_index(drop=True)


def _users(folder: Path) -> tuple[Path, pd.DataFrame]:
    return small_log(folder / "log.csv"), pd.DataFrame({"user": ["u1", "u7", "u30"]})


ASKED: dict[str, Callable[[Path], tuple[Any, pd.DataFrame]]] = {
    "vision": _digits,
    "text": _opinions,
    "forecast": _hours,
    "recommend": _users,
}


@pytest.fixture(scope="module", params=list(DOMAINS))
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return Trained(request.param, tmp_path_factory.mktemp(request.param))


def require_same(answers: pd.DataFrame, expected: pd.DataFrame) -> None:
    """Numbers agree to 1e-4, everything else as text."""
    assert answers.columns.tolist() == expected.columns.tolist()
    assert len(answers) == len(expected)
    for name in expected.columns:
        if pd.api.types.is_float_dtype(expected[name]):
            ours = answers[name].to_numpy(dtype=float)
            assert np.allclose(ours, expected[name], rtol=1e-4, atol=1e-4, equal_nan=True), name
        elif pd.api.types.is_datetime64_any_dtype(expected[name]):
            assert pd.to_datetime(answers[name]).tolist() == expected[name].tolist()
        else:
            filled = expected[name].fillna("").astype(str).tolist()
            assert answers[name].fillna("").astype(str).tolist() == filled, name


def test_pyfunc_answers_as_predict_does(trained: Trained) -> None:
    require_same(trained.pyfunc.predict(trained.asked), trained.expected())


def test_requests_that_are_answered_together_have_the_answers_that_each_has_alone(
    trained: Trained,
) -> None:
    asked = trained.asked
    broken = pd.DataFrame({"nonsense": [1.5], "other": [None]})
    sources = [asked, broken, trained.pipeline.example(trained.served.facts), asked.tail(40)]
    requests = [RawRequest(source=source) for source in sources]
    first, refused, *others = trained.pipeline.predict_many(trained.served, requests)
    assert isinstance(refused, ApplineError)
    for source, answered in zip([asked, *sources[2:]], [first, *others], strict=True):
        assert isinstance(answered, pd.DataFrame)
        require_same(answered, trained.pipeline.predict_raw(trained.served, source))


def test_a_file_is_answered_as_the_table_in_it(trained: Trained) -> None:
    path = trained.folder / "asked.csv"
    trained.asked.to_csv(path, index=False)
    require_same(trained.pipeline.predict_raw(trained.served, path), trained.expected())


@pytest.mark.parametrize("form", ["dataframe_split", "dataframe_records", "instances", "inputs"])
def test_each_form_of_json_is_answered_as_predict_does(trained: Trained, form: str) -> None:
    asked = trained.asked
    contents: dict[str, Any] = {
        "dataframe_split": asked.to_dict(orient="split"),
        "dataframe_records": asked.to_dict(orient="records"),
        "instances": asked.to_dict(orient="records"),
        "inputs": asked.to_dict(orient="list"),
    }
    require_same(ask(trained.pyfunc, {form: contents[form]}).answers, trained.expected())


def test_the_example_of_a_model_is_answered_over_http_as_by_predict(trained: Trained) -> None:
    example = trained.pipeline.example(trained.served.facts)
    expected = trained.pipeline.predict_raw(trained.served, example)
    assert len(expected)
    reply = ask(trained.pyfunc, {"dataframe_split": example.to_dict(orient="split")})
    if trained.pipeline.domain == "forecast":  # NaN is no JSON
        reply = ask(trained.pyfunc, example.to_csv(index=False), "text/csv")
    require_same(reply.answers, expected)


def test_a_csv_over_http_is_answered_as_predict_does(trained: Trained) -> None:
    reply = ask(trained.pyfunc, trained.asked.to_csv(index=False), "text/csv")
    require_same(reply.answers, trained.expected())


def served_over_http(trained: Trained) -> TestClient:
    limits = Limits(body_bytes=2**20, seconds=60)
    return TestClient(make_application(Service(trained.served, "model.keras", limits)))


def test_serve_answers_json_as_predict_does(trained: Trained) -> None:
    rows = json.loads(trained.asked.to_json(orient="records"))
    with served_over_http(trained) as client:
        reply = client.post("/invocations", json={"instances": rows})
    assert reply.status_code == 200, reply.text
    answers = pd.DataFrame(reply.json()["predictions"])
    require_same(answers, trained.expected())


def test_serve_answers_a_table_or_a_picture_as_predict_does(trained: Trained) -> None:
    if trained.pipeline.domain == "vision":
        example = trained.pipeline.example(trained.served.facts)
        body, kind = base64.b64decode(example["image"][0]), "image/png"
        example["image"] = [body]
        expected = trained.pipeline.predict_raw(trained.served, example)
    else:
        body, kind = trained.asked.to_csv(index=False).encode(), "text/csv"
        expected = trained.expected()
    with served_over_http(trained) as client:
        reply = client.post("/invocations", content=body, headers={"Content-Type": kind})
    assert reply.status_code == 200, reply.text
    require_same(pd.DataFrame(reply.json()["predictions"]), expected)


def test_serve_answers_its_own_example_and_says_which_columns_it_takes(trained: Trained) -> None:
    with served_over_http(trained) as client:
        described = client.get("/openapi.json").json()
        contents = described["paths"]["/invocations"]["post"]["requestBody"]["content"]
        schema = contents["application/json"]["schema"]
        (example,) = schema["examples"]
        reply = client.post("/invocations", json=example)
    assert reply.status_code == 200, reply.text
    assert len(reply.json()["predictions"])
    columns = trained.pipeline.example(trained.served.facts).columns
    assert list(schema["properties"]["instances"]["items"]["properties"]) == list(columns)


def test_serve_refuses_in_a_sentence_what_predict_refuses(trained: Trained) -> None:
    with served_over_http(trained) as client:
        reply = client.post("/invocations", json={"instances": [{"nonsense": 1.5, "other": None}]})
    assert reply.status_code == 400, reply.text
    error = reply.json()["error"]
    assert error["field"].startswith("instances")
    assert len(error["message"]) < 1000
    for word in ("Traceback", "site-packages", "/tmp"):
        assert word not in error["message"]


# Text needs strings, and the item models of a recommender lists of any length.
HOLDS_NUMBERS_ALONE = ("text", "recommend")


@pytest.mark.slow
@pytest.mark.parametrize("form", exports.FORMATS)
def test_an_export_answers_as_the_model_or_is_not_written(
    trained: Trained, form: exports.Format, tmp_path: Path
) -> None:
    pipeline, served = trained.pipeline, trained.served
    inputs = pipeline.served_inputs(served, exports.EXAMPLES)
    path = tmp_path / f"exported{exports.ENDINGS[form]}"

    def write() -> exports.Proof:
        exports.require_format(exports.input_types(served.model), form)
        return exports.export(
            served, pipeline.portable_model(served), exports.Target(format=form), inputs, path
        )

    if form in exports.NUMBERS_ALONE and pipeline.domain in HOLDS_NUMBERS_ALONE:
        with pytest.raises(ApplineError, match="Expected: --format keras or --format savedmodel"):
            write()
        assert list(tmp_path.iterdir()) == []
        return
    proof = write()
    assert path.exists()
    assert proof.examples == min(exports.EXAMPLES, len(next(iter(inputs.values()))))
    assert proof.largest_difference <= 1e-4 * max(1.0, proof.largest_answer)
    assert proof.agreement in (None, 1.0)
    assert exports.facts_file(path).exists() == (form in exports.NUMBERS_ALONE)


def test_what_holds_numbers_alone_answers_validation_as_the_network_does(trained: Trained) -> None:
    pipeline, splits = trained.pipeline, trained.splits
    if pipeline.domain in HOLDS_NUMBERS_ALONE:
        with pytest.raises(UsageError, match="not quantized"):
            pipeline.portable_inputs(trained.served, splits, "val")
        return
    inputs = pipeline.portable_inputs(trained.served, splits, "val")
    runner = exports.keras_runner(pipeline.portable_model(trained.served))
    answers = pipeline.portable_predictions(exports.in_batches(runner, inputs))
    expected = pipeline.predict(trained.network, splits, "val")
    if pipeline.domain == "forecast":  # intervals on validation follow what has come true
        answers, expected = answers[..., 0], expected[..., 0]
    assert np.allclose(answers, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("quantize", ["float16", "int8"])
@pytest.mark.parametrize("form", exports.NUMBERS_ALONE)
def test_a_quantized_export_is_as_near_as_it_says_and_tells_what_it_costs(
    trained: Trained, form: exports.Format, quantize: exports.Quantization, tmp_path: Path
) -> None:
    pipeline, served, splits = trained.pipeline, trained.served, trained.splits
    if pipeline.domain in HOLDS_NUMBERS_ALONE:
        pytest.skip("these formats hold no model of this domain")
    val = pipeline.portable_inputs(served, splits, "val")

    def score(runner: exports.Runner) -> dict[str, float]:
        answers = exports.in_batches(runner, val)
        return pipeline.score(pipeline.portable_predictions(answers), splits, "val")

    target = exports.Target(format=form, quantize=quantize, score=score)
    inputs = pipeline.served_inputs(served, exports.EXAMPLES)
    path = tmp_path / f"small{exports.ENDINGS[form]}"
    proof = exports.export(served, pipeline.portable_model(served), target, inputs, path)
    assert 0 < proof.largest_difference <= proof.tolerance
    headline = pipeline.headline_metric(splits).name
    expected = pipeline.score(pipeline.predict(trained.network, splits, "val"), splits, "val")
    assert proof.full_scores[headline] == pytest.approx(expected[headline], rel=1e-3)
    assert proof.scores[headline] == pytest.approx(expected[headline], rel=0.1)


@pytest.mark.slow
def test_an_export_of_another_network_is_not_written(trained: Trained, tmp_path: Path) -> None:
    pipeline = trained.pipeline
    if pipeline.domain in HOLDS_NUMBERS_ALONE:
        pytest.skip("an export of this domain is the served model itself")
    other = read_model(trained.path)
    for weights in other.model.get_layer("network").trainable_variables:
        weights.assign(weights * 1.5 + 0.1)
    inputs = pipeline.served_inputs(trained.served, 8)
    path = tmp_path / "other.onnx"
    with pytest.raises(ApplineError, match="is not written, because it answers otherwise"):
        exports.export(
            trained.served,
            pipeline.portable_model(other),
            exports.Target(format="onnx"),
            inputs,
            path,
        )
    assert not path.exists()


@pytest.mark.slow
def test_the_example_of_the_docs_reads_a_photo_as_predict_does(
    trained: Trained,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if trained.pipeline.domain != "vision":
        pytest.skip("the example is of an image model")
    from PIL import Image
    from sklearn.datasets import load_digits

    # Larger than the model's pictures: the example resizes it.
    pixels = np.kron(load_digits().images[3] * 255 / 16, np.ones((4, 4))).astype("uint8")
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    served = trained.served
    inputs = trained.pipeline.served_inputs(served, 8)
    portable = trained.pipeline.portable_model(served)
    exports.export(served, portable, exports.Target(format="onnx"), inputs, tmp_path / "pets.onnx")
    docs = Path(__file__).parents[1] / "docs" / "export.md"
    (example,) = re.findall(r"```python\n(.*?)```", docs.read_text(encoding="utf-8"), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(example, {})
    label, probability = capsys.readouterr().out.split()[-2:]
    (expected,) = trained.pipeline.predict_raw(served, tmp_path / "photo.png").to_dict("records")
    assert label == str(expected["label"])
    assert float(probability) == pytest.approx(expected["probability"], abs=1e-4)


def test_a_request_that_cannot_be_answered_says_why_in_a_sentence(trained: Trained) -> None:
    reply = ask(trained.pyfunc, {"dataframe_records": [{"nonsense": 1.5, "other": None}]})
    assert reply.status == 400, reply.body
    for word in ("Traceback", "stack_trace", "site-packages", "Failed to predict data"):
        assert word not in reply.body
    assert len(reply.body) < 1000


# Keras and what lies in the folder `code` of a logged model: no tuning, no apps, no checkout.
BARE = """
import sys
sys.path.insert(0, sys.argv[1])
import pipelines
from pipelines.model_file import read_model
from pathlib import Path
print(read_model(Path(sys.argv[2])).facts.domain)
import keras
keras.saving.load_model(sys.argv[2])
import mlflow, pandas
model = mlflow.pyfunc.load_model(sys.argv[3])
print(len(model.predict(pandas.read_json(sys.argv[4], orient="split", convert_dates=False))))
assert not any(name.split(".")[0] in ("tuning", "apps", "tests") for name in sys.modules)
assert pipelines.__file__.startswith(sys.argv[1])
"""


@pytest.mark.slow
def test_a_model_answers_in_a_process_that_has_nothing_else_of_the_project(
    trained: Trained, tmp_path: Path
) -> None:
    trained.asked.to_json(tmp_path / "asked.json", orient="split")
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    arguments = [trained.pyfunc_folder / "code", trained.path, trained.pyfunc_folder]
    done = subprocess.run(
        [sys.executable, "-P", "-c", BARE, *map(str, arguments), str(tmp_path / "asked.json")],
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    domain, rows = done.stdout.strip().splitlines()[-2:]
    assert domain == trained.pipeline.domain
    assert int(rows) == len(trained.expected())


def test_a_model_that_is_asked_again_is_traced_at_most_once_more() -> None:
    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Dense(2)(inputs))
    for count in (1, 2, 3, 4, 5):
        batch = np.ones((count, 3), dtype="float32")
        answers = np.asarray(graph_of(model)(tf.constant(batch)))
        np.testing.assert_allclose(answers, np.asarray(model(batch)), atol=1e-6)
    graph: Any = graph_of(model)
    assert graph.experimental_get_tracing_count() == 2, "for one row, then for any number of rows"
