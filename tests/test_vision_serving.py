"""A picture has one answer in whatever form it comes, and answers stand beside what was asked."""

import base64
import io
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipelines.config.search_space import replace
from pipelines.errors import DataError
from pipelines.model_file import read_model, write_model
from pipelines.pipeline import ServingModel
from pipelines.vision.cells import from_text
from pipelines.vision.options import Resize, VisionOptions
from pipelines.vision.pipeline import VisionPipeline
from pipelines.vision.sizes import resize
from pipelines.vision.spec import VisionSpec
from pipelines.vision.units import factor_of, resized_as_pillow, served_input, unit_of
from tests.photos import SIDE, Photos, pixels_of
from tests.serving import ask, load_pyfunc, write_pyfunc
from tuning.training.fit import fit
from tuning.training.monitor import Watch

TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Photos:
    return Photos(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="module")
def loaded(photos: Photos) -> keras.Model:
    """The model file as Keras alone loads it."""
    return keras.saving.load_model(photos.path)


@pytest.fixture(scope="module")
def pyfunc(photos: Photos, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The model as MLflow loads it."""
    folder = tmp_path_factory.mktemp("pyfunc") / "model"
    return load_pyfunc(write_pyfunc(photos.serving, folder))


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> ServingModel:
    """A model of 8x8 digits from 0 to 16."""
    pipeline = VisionPipeline(VisionOptions(limit=300))
    splits = pipeline.load()
    spec = replace(VisionSpec(), {"conv.filters": 8, "conv.blocks": 2, "train.epochs": 3})
    watch = Watch(objective=pipeline.options.objective())
    path = tmp_path_factory.mktemp("digits") / "model.keras"
    write_model(
        pipeline.serve(fit(pipeline, spec, splits, seed=1, watch=watch).model, splits), path
    )
    return read_model(path)


def digit(number: int) -> np.ndarray:
    from sklearn.datasets import load_digits

    image: np.ndarray = load_digits().images[number].astype("uint8")
    return image


# ------------------------------------------------------------------------------ one answer


FORMS: dict[str, Any] = {
    "uint8": lambda x: x,
    "int64": lambda x: x.astype("int64"),
    "floats from 0 to 255": lambda x: x.astype("float32"),
    "floats from 0 to 1": lambda x: (x / 255).astype("float32"),
    "doubles from 0 to 1": lambda x: x / 255,
    "bytes of another order": lambda x: x.astype(">i2"),
    "uint16": lambda x: x.astype("uint16") * 257,
}


@pytest.mark.parametrize("form", FORMS)
def test_a_photo_has_the_answer_of_training_as_an_array_of_any_type(
    photos: Photos, loaded: keras.Model, form: str
) -> None:
    for expected, path in zip(photos.in_training, photos.files, strict=True):
        x = FORMS[form](pixels_of(path))
        assert np.allclose(photos.predict(x)[0], expected, atol=TOLERANCE)
        served = loaded(x[None].astype("float32"))["probabilities"][0]
        assert np.allclose(served, expected, atol=TOLERANCE)


def test_a_resizing_without_antialiasing_would_be_another_answer(photos: Photos) -> None:
    """So the tests above would see it."""
    plain = keras.layers.Resizing(SIDE, SIDE)
    others = []
    for path in photos.files:
        others.append(photos.predict(np.asarray(plain(pixels_of(path)[None].astype("float32"))))[0])
    assert np.abs(np.asarray(others) - photos.in_training).max() > 100 * TOLERANCE


def test_a_photo_has_the_answer_of_training_as_a_file_bytes_and_base64(photos: Photos) -> None:
    contents = [path.read_bytes() for path in photos.files]
    texts = [base64.b64encode(content).decode() for content in contents]
    lines = [base64.encodebytes(content).decode() for content in contents]
    columns: dict[str, list[Any]] = {
        "paths": list(map(str, photos.files)),
        "bytes": contents,
        "base64": texts,
        "base64 in lines": lines,
        "data URIs": [f"data:image/png;base64,{text}" for text in texts],
        "arrays": [pixels_of(path) for path in photos.files],
        "lists": [pixels_of(path).tolist() for path in photos.files],
    }
    for form, cells in columns.items():
        answers = photos.predict(pd.DataFrame({"image": cells}))
        assert np.allclose(answers, photos.in_training, atol=TOLERANCE), form
    assert np.allclose(photos.predict(np.asarray(texts)), photos.in_training, atol=TOLERANCE)


def test_a_photo_has_the_answer_of_training_over_http(photos: Photos, pyfunc: Any) -> None:
    texts = [base64.b64encode(path.read_bytes()).decode() for path in photos.files]
    requests: dict[str, Any] = {
        "records": {"dataframe_records": [{"image": text} for text in texts]},
        "instances": {"instances": [{"b64": text} for text in texts]},
        "texts": {"instances": texts},
        "as TensorFlow Serving": {"inputs": {"image": [{"b64": text} for text in texts]}},
        "pixels": {
            "dataframe_split": {
                "columns": ["image"],
                "data": [[pixels_of(path).tolist()] for path in photos.files],
            }
        },
    }
    for form, content in requests.items():
        answers = ask(pyfunc, content).answers[["p(dark)", "p(light)"]].to_numpy()
        assert np.allclose(answers, photos.in_training, atol=TOLERANCE), form
    assert np.allclose(
        pyfunc.predict(photos.files[0].read_bytes())["p(dark)"],
        photos.in_training[:1, 0],
        atol=TOLERANCE,
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"instances": ["no image"]}, "row 1: 'no image' is neither a file nor an image in base64"),
        ({"inputs": {"image": [None]}}, "row 1: the image is missing"),
        ({"inputs": [[[[1, 2, 3, 4, 5]] * 4] * 4]}, "Expected images of shape"),
        ({"instances": [[[[1e9, 0, 0]]]]}, "its values go from 0 to 1e"),
        ({"dataframe_records": [{"colour": "red", "size": 3}]}, "has no column of images"),
    ],
)
def test_a_request_without_a_picture_is_refused_with_the_reason_alone(
    pyfunc: Any, content: Any, reason: str
) -> None:
    reply = ask(pyfunc, content)
    assert reply.status == 400
    assert reason in reply.body
    assert "Traceback" not in reply.body
    assert "Failed to predict" not in reply.body


@pytest.mark.parametrize("how", ["stretch", "crop", "pad"])
def test_the_resizing_in_the_model_is_that_of_pillow(how: Resize) -> None:
    rng = np.random.default_rng(1)
    for _ in range(12):
        height, width, *size = map(int, rng.integers(1, 90, 4))
        x = rng.integers(0, 256, (height, width, 3)).astype("uint8")
        image = keras.Input((None, None, 3))
        model = keras.Model(image, resized_as_pillow(image, (size[0], size[1]), how))
        resized = np.asarray(model(x[None].astype("float32")))[0]
        # Sums of another order may differ where Pillow rounds halves: once in a million pixels.
        expected = resize(x, (size[0], size[1]), how)
        differs = np.rint(resized) != expected
        assert np.allclose(resized[differs] % 1, 0.5, atol=1e-4)
        assert differs.mean() < 1e-3


@pytest.mark.parametrize("how", ["crop", "pad"])
def test_a_model_crops_or_pads_what_it_answers_as_in_training(
    photos: Photos, tmp_path: Path, how: Resize
) -> None:
    options = VisionOptions(data=str(photos.folder), image_size=SIDE, resize=how)
    pipeline = VisionPipeline(options)
    splits = pipeline.load()
    # Random weights tell any difference between images.
    network = pipeline.build(replace(VisionSpec(), {"conv.blocks": 2}), splits)
    write_model(pipeline.serve(network, splits), tmp_path / "model.keras")
    serving = read_model(tmp_path / "model.keras")
    in_training = pipeline.predict(network, splits, "test")
    assert splits.test.names is not None
    alone = keras.saving.load_model(tmp_path / "model.keras")
    for name, expected in zip(splits.test.names, in_training, strict=True):
        pixels = pixels_of(name)
        for picture in (name, pixels, pixels / 255):
            answer = pipeline.predict_raw(serving, picture)
            given = answer[["p(dark)", "p(light)"]].to_numpy(dtype=float)
            assert np.allclose(given, expected, atol=TOLERANCE)
        served = np.asarray(alone(pixels[None].astype("float32"))["probabilities"])
        assert np.allclose(served, expected, atol=TOLERANCE)

    # Other data is brought to the model's size as the model says, not as the command does.
    others = VisionPipeline(VisionOptions(data=str(photos.folder))).load_hold_out(serving).test
    assert others.names is not None
    rows = [list(others.names).index(name) for name in splits.test.names]
    assert np.array_equal(others.x[rows], splits.test.x)


def test_grey_and_transparent_arrays_are_answered_as_files_of_the_same_pixels(
    photos: Photos, tmp_path: Path
) -> None:
    rng = np.random.default_rng(2)
    for channels in (1, 2, 4):
        x = rng.integers(0, 256, (40, 30, channels)).astype("uint8")
        Image.fromarray(x[..., 0] if channels == 1 else x).save(tmp_path / "a.png")
        expected = photos.predict(tmp_path / "a.png")
        assert np.allclose(photos.predict(x), expected, atol=TOLERANCE), channels
        assert np.allclose(photos.predict(x / 255), expected, atol=TOLERANCE), channels


def test_half_precision_is_resized_as_the_bytes_that_it_came_from() -> None:
    x = np.random.default_rng(3).integers(0, 256, (40, 30, 3)).astype("uint8")
    half = resize((x / 255).astype("float16"), (7, 9)).astype("float64") * 255
    assert np.abs(half - resize(x, (7, 9))).max() < 0.15


def test_two_columns_of_one_name_are_refused(photos: Photos) -> None:
    table = pd.DataFrame([["a.png", "b.png"]], columns=["image", "image"])
    with pytest.raises(DataError, match="several columns of the name 'image'"):
        photos.predict(table)


def test_channels_that_stand_first_are_not_taken_for_three_grey_images(photos: Photos) -> None:
    with pytest.raises(DataError, match=r"np\.moveaxis\(x, 0, -1\)"):
        photos.predict(np.zeros((3, 50, 60)))
    with pytest.raises(DataError, match=r"np\.moveaxis\(x, 1, -1\)"):
        photos.predict(np.zeros((2, 3, 50, 60)))


# ------------------------------------------------------------------------------ units


@pytest.mark.parametrize(
    ("scale", "unit"),
    [(0.97, 1), (1, 1), (16, 16), (100, 100), (200, 255), (255, 255), (4000, 4095), (9e4, 9e4)],
)
def test_the_unit_of_pixels_follows_from_the_largest_one(scale: float, unit: float) -> None:
    assert unit_of(scale) == unit


@pytest.mark.parametrize(
    ("values", "unit", "factor"),
    [
        ([0, 16], 16, 1),
        ([0, 17], 16, 1),
        ([0, 255], 16, 16 / 255),
        ([0, 60000], 16, 16 / 65535),
        ([0.0, 0.5], 16, 16),
        ([0, 255], 255, 1),
        ([0.0, 0.5], 255, 255),
        ([0, 1], 255, 1),
        ([0, 16000], 255, 255 / 65535),
        ([0, 200], 1, 1 / 255),
        ([0, 1], 1, 1),
        ([0.0, 1.05], 1, 1),
        ([0, 4000], 4095, 1),
        ([0, 60000], 4095, 4095 / 65535),
    ],
)
def test_values_come_into_the_models_units_in_memory_and_in_the_model(
    values: list[float], unit: float, factor: float
) -> None:
    x = np.asarray(values, "float32").reshape(1, 2, 1)
    assert factor_of(x, unit) == pytest.approx(factor)
    image = keras.Input((None, None, 1))
    served = np.asarray(keras.Model(image, served_input(image, (1, 2), unit))(x[None]))
    expected = x.astype("float64") * factor
    assert np.allclose(served[0], expected, atol=0.5 if unit >= 255 else 1e-5)


@pytest.mark.parametrize("largest", [300, 1000, 4095])
@pytest.mark.parametrize("unit", [255, 16])
def test_values_of_12_bits_or_nearly_black_ones_of_16_are_asked_about(
    largest: int, unit: float
) -> None:
    x = np.asarray([0, largest], "uint16").reshape(1, 2, 1)
    with pytest.raises(DataError, match=rf"multiply its values by {unit} / (1023|4095), or by "):
        factor_of(x, unit)


def test_a_file_of_12_bits_is_refused_by_a_model_of_bytes_as_an_array_is(
    photos: Photos, tmp_path: Path
) -> None:
    x = np.full((50, 60), 4000, "uint16")
    Image.fromarray(x).save(tmp_path / "deep.png")
    for source in (tmp_path / "deep.png", x):
        with pytest.raises(DataError, match=r"go up to 4,000, and the training images' to 255"):
            VisionPipeline.predict_raw(photos.serving, source)


def test_digits_in_bytes_and_in_fractions_are_brought_to_the_range_of_training(
    digits: ServingModel,
) -> None:
    x = np.stack([digit(number) for number in range(20)])
    expected = VisionPipeline.predict_raw(digits, x)
    for form in (x / 16, x * 15.9375, np.rint(x * 15.9375).astype("uint8")):
        notes: list[str] = []
        answers = VisionPipeline.predict_raw(digits, form, notes=notes)
        assert answers["label"].tolist() == expected["label"].tolist()
        assert np.allclose(answers["probability"], expected["probability"], atol=0.01)
        assert len(notes) == 1
        assert "20 images brought from 0 to" in notes[0]


def test_a_picture_of_28x28_bytes_is_answered_as_its_file_by_a_model_of_8x8_digits(
    digits: ServingModel, tmp_path: Path
) -> None:
    large = Image.fromarray(np.rint(digit(3) * 15.9375).astype("uint8")).resize((28, 28))
    large.save(tmp_path / "three.png")
    x = np.asarray(large)
    of_file = VisionPipeline.predict_raw(digits, tmp_path / "three.png")
    expected = of_file.filter(like="p(").to_numpy(dtype=float)
    for form in (x, x.astype("float32"), x / 255):
        answers = VisionPipeline.predict_raw(digits, form)
        assert np.allclose(answers.filter(like="p(").to_numpy(dtype=float), expected, atol=1e-4)
    served = np.asarray(digits.model(x[None, ..., None].astype("float32"))["probabilities"])
    assert np.allclose(served, expected, atol=1e-4)


def test_values_that_no_image_has_are_refused(digits: ServingModel) -> None:
    for values in (-3.0, 1e6):
        with pytest.raises(DataError, match=r"its values go from .*Expected 0 to 16"):
            VisionPipeline.predict_raw(digits, np.full((8, 8), values))


def test_bytes_are_refused_by_a_model_of_standardised_images(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 8, 8, 1)).astype("float32"), np.arange(40) % 2
    np.savez(tmp_path / "x.npz", x=x, y=y)
    pipeline = VisionPipeline(VisionOptions(data=str(tmp_path / "x.npz")))
    splits = pipeline.load()
    serving = pipeline.serve(pipeline.build(VisionSpec(), splits), splits)
    assert len(pipeline.predict_raw(serving, x)) == 40
    with pytest.raises(DataError, match="standardised as they were"):
        pipeline.predict_raw(serving, rng.integers(0, 256, (8, 8)))
    Image.fromarray(rng.integers(0, 256, (8, 8)).astype("uint8")).save(tmp_path / "a.png")
    with pytest.raises(DataError, match="it holds bytes"):
        pipeline.predict_raw(serving, tmp_path / "a.png")


def test_a_table_of_pixels_is_answered_and_keeps_its_other_columns(
    digits: ServingModel, tmp_path: Path
) -> None:
    """As MNIST is passed on: a label and a column for each pixel."""
    rows = np.stack([digit(number).ravel() for number in range(4)])
    table = pd.DataFrame(rows, columns=[f"pixel{number}" for number in range(64)])
    table.insert(0, "label", [0, 1, 2, 3])
    table.to_csv(tmp_path / "test.csv", index=False)
    answers = VisionPipeline.predict_raw(digits, tmp_path / "test.csv")
    expected = VisionPipeline.predict_raw(digits, rows.reshape(4, 8, 8))
    assert answers.columns[:3].tolist() == ["label", "predicted_label", "probability"]
    assert answers["predicted_label"].tolist() == expected["label"].tolist()
    over_flat_rows = VisionPipeline.predict_raw(digits, rows)
    assert over_flat_rows.equals(expected)


@pytest.mark.parametrize("text", ["photos/abcd.png", "abcdefgh", "AAAA/BBBB/CCCC"])
def test_a_path_is_no_base64(text: str) -> None:
    assert from_text(text) == Path(text)


def test_base64_without_padding_and_for_addresses_is_read() -> None:
    file = io.BytesIO()
    Image.fromarray(np.arange(256, dtype="uint8").reshape(16, 16)).save(file, "BMP")
    content = file.getvalue()
    assert from_text(base64.urlsafe_b64encode(content).decode().rstrip("=")) == content


# ------------------------------------------------------------------------------ small images


@pytest.mark.parametrize("architecture", ["vgg", "resnet", "inception", "lenet", "alexnet"])
@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 40), (4, 4), (8, 8)])
def test_a_default_network_fits_images_of_any_size(
    tmp_path: Path, size: tuple[int, int], architecture: str
) -> None:
    x = np.random.default_rng(0).integers(0, 256, (30, *size), dtype="uint8")
    np.savez(tmp_path / "x.npz", x=x, y=np.arange(30) % 2)
    pipeline = VisionPipeline(VisionOptions(data=str(tmp_path / "x.npz")))
    splits = pipeline.load()
    spec = replace(VisionSpec(), {"architecture": architecture})
    pipeline.check(pipeline.fit_defaults(spec, splits, {"architecture"}), splits)
    asked = replace(VisionSpec(), {"conv.blocks": 3})
    assert pipeline.fit_defaults(asked, splits, {"conv.blocks"}).conv.blocks == 3
