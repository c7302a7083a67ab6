"""Image networks: what training sees, what is served, what is carried over to another data set."""

import dataclasses
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras.src.applications import mobilenet
from PIL import Image
from sklearn.neighbors import KNeighborsClassifier

from pipelines.config.search_space import replace
from pipelines.errors import DataError, UsageError
from pipelines.model_file import read_model, write_model
from pipelines.pipeline import ServingModel
from pipelines.vision import predict
from pipelines.vision.augmentation import mix_up
from pipelines.vision.data import VisionSplits
from pipelines.vision.layers import Shift
from pipelines.vision.options import VisionOptions
from pipelines.vision.pipeline import VisionPipeline
from pipelines.vision.spec import VisionSpec
from tuning.training.fit import FitResult, fit
from tuning.training.monitor import Watch

PIPELINE = VisionPipeline(VisionOptions(limit=120))
SMALL = {"conv.filters": 8, "conv.blocks": 2, "train.epochs": 2}


def fitted(pipeline: VisionPipeline, spec: VisionSpec, splits: VisionSplits) -> FitResult:
    watch = Watch(objective=pipeline.options.objective())
    return fit(pipeline, spec, splits, seed=1, watch=watch)


@pytest.fixture(scope="module")
def splits() -> VisionSplits:
    return PIPELINE.load()


@pytest.fixture(scope="module")
def saved(splits: VisionSplits, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained network in the file that a run keeps."""
    path = tmp_path_factory.mktemp("model") / "model.keras"
    network = fitted(PIPELINE, replace(VisionSpec(), SMALL), splits).model
    write_model(PIPELINE.serve(network, splits), path)
    return path


# --- what training sees


def layer_names(model: keras.Model) -> set[str]:
    return {type(layer).__name__ for layer in model.layers}


def test_augmentation_acts_in_training_only(splits: VisionSplits) -> None:
    augmented = {
        "augment.flip": "both",
        "augment.rotation": 0.1,
        "augment.zoom": 0.1,
        "augment.cutout": 0.2,
    }
    spec = replace(VisionSpec(), {**SMALL, **augmented})
    network = PIPELINE.build(spec, splits)
    outer = PIPELINE.training_model(network, spec, splits)
    x = splits.val.x[:8].astype("float32")
    assert np.array_equal(outer(x, training=False), network(x, training=False))
    random = {"RandomFlip", "Shift", "RandomRotation", "RandomZoom", "RandomErasing"}
    assert random <= layer_names(outer)
    assert not random & layer_names(PIPELINE.serve(network, splits).model)


def test_a_shift_moves_whole_pixels_by_at_most_its_share() -> None:
    image = np.zeros((64, 20, 20, 1), "float32")
    image[:, 10, 10] = 1
    moved = np.asarray(Shift(0.1, seed=3)(image, training=True))
    rows, columns = np.argwhere(moved[..., 0])[:, 1], np.argwhere(moved[..., 0])[:, 2]
    assert np.array_equal(moved.sum(axis=(1, 2, 3)), np.ones(64))
    assert set(rows) == set(columns) == {8, 9, 10, 11, 12}


def test_a_shift_that_rounds_to_no_pixel_moves_nothing() -> None:
    image = np.random.default_rng(0).random((4, 8, 8, 1)).astype("float32")
    assert np.array_equal(Shift(0.04, seed=3)(image, training=True), image)


def test_mixup_keeps_every_target_a_distribution(splits: VisionSplits) -> None:
    spec = replace(VisionSpec(), {"augment.mixup": 0.3})
    _, targets = next(iter(PIPELINE.batches(splits, "train", spec, training=True)))
    assert np.allclose(np.sum(targets, axis=1), 1)
    assert np.max(targets, axis=1).min() < 0.99


def test_mixup_is_the_same_for_the_same_seed(splits: VisionSplits) -> None:
    def mixed(seed: int) -> Any:
        plain = PIPELINE.batches(splits, "val", VisionSpec(), training=False)
        images, _ = next(iter(mix_up(plain, 0.4, seed)))
        return images

    assert np.array_equal(mixed(1), mixed(1))
    assert not np.array_equal(mixed(1), mixed(2))


# --- what is served


def test_the_saved_file_answers_images_of_any_size_and_type_with_labels(saved: Path) -> None:
    model = keras.saving.load_model(saved)
    answers = model.predict(np.zeros((3, 17, 23, 1), dtype="uint8"), verbose=0)
    assert answers["label"].shape == (3,)
    assert answers["probabilities"].shape == (3, 10)
    assert np.allclose(answers["probabilities"].sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32", "float64"])
def test_an_answer_does_not_depend_on_the_type_of_the_array(
    saved: Path, splits: VisionSplits, dtype: str
) -> None:
    serving = read_model(saved)
    x = splits.test.x[:5]
    answers = VisionPipeline.predict_raw(serving, x.astype(dtype))
    assert answers.equals(VisionPipeline.predict_raw(serving, x))


def test_a_served_network_scores_what_the_network_scored(saved: Path, splits: VisionSplits) -> None:
    serving = read_model(saved)
    network = PIPELINE.restore_network(serving, splits)
    probabilities = PIPELINE.predict(network, splits, "test")
    answers = VisionPipeline.predict_raw(serving, splits.test.x)
    assert np.allclose(answers["probability"], probabilities.max(axis=1), atol=1e-4)
    labels = [splits.classes[number] for number in probabilities.argmax(axis=1)]
    assert answers["label"].tolist() == labels


@pytest.fixture
def digit_files(splits: VisionSplits, tmp_path: Path) -> Path:
    """A folder with three images of digits."""
    for number in range(3):
        pixels = (splits.test.x[number, ..., 0] * 15.9).astype("uint8")
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    return tmp_path


def test_a_folder_of_images_is_answered_without_hidden_files(
    saved: Path, digit_files: Path
) -> None:
    (digit_files / ".thumbs").mkdir()
    (digit_files / ".thumbs" / "0.png").write_bytes(b"hidden: passed over")
    assert len(VisionPipeline.predict_raw(read_model(saved), digit_files)) == 3


@pytest.mark.parametrize(
    ("name", "content"),
    [("table.csv", "number,image\n1,2.png\n2,0.png\n"), ("list.txt", "2.png\n0.png\n")],
)
def test_listed_images_are_answered_in_the_order_of_the_list(
    saved: Path, digit_files: Path, name: str, content: str
) -> None:
    (digit_files / name).write_text(content)
    answers = VisionPipeline.predict_raw(read_model(saved), digit_files / name)
    assert answers["image"].tolist() == ["2.png", "0.png"]
    alone = VisionPipeline.predict_raw(read_model(saved), digit_files / "2.png")
    assert answers["probability"][0] == alone["probability"][0]


def test_an_image_of_a_list_that_is_not_there_is_named_with_its_line(
    saved: Path, digit_files: Path
) -> None:
    (digit_files / "list.txt").write_text("2.png\n\n9.png\n")
    with pytest.raises(DataError, match=r"1 of 2 images do not exist\. line 3: "):
        VisionPipeline.predict_raw(read_model(saved), digit_files / "list.txt")


def test_an_npz_file_is_answered(saved: Path, splits: VisionSplits, tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=splits.test.x[:2])
    assert len(VisionPipeline.predict_raw(read_model(saved), tmp_path / "x.npz")) == 2


def test_an_npz_file_that_is_no_archive_is_refused(saved: Path, tmp_path: Path) -> None:
    (tmp_path / "x.NPZ").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(DataError, match=r"x\.NPZ: cannot be read"):
        VisionPipeline.predict_raw(read_model(saved), tmp_path / "x.NPZ")


def test_an_image_file_is_refused_by_a_model_of_four_channels(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (40, 8, 8, 4), dtype="uint8")
    np.savez(tmp_path / "four.npz", x=x, y=np.arange(40) % 2)
    pipeline = VisionPipeline(VisionOptions(data=str(tmp_path / "four.npz")))
    splits = pipeline.load()
    serving = pipeline.serve(pipeline.build(replace(VisionSpec(), SMALL), splits), splits)
    Image.fromarray(x[0, ..., :3]).save(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a\.png: the model takes images with 4 channels"):
        pipeline.predict_raw(serving, tmp_path / "a.png")


def test_a_network_that_learned_from_mirrored_images_answers_over_both_sides(
    splits: VisionSplits, tmp_path: Path
) -> None:
    images = splits.test.x[:20].astype("float32")
    mirror_images = images[:, :, ::-1]
    small = {"conv.filters": 4, "conv.blocks": 1, "augment.flip": "horizontal"}
    spec = replace(VisionSpec(), small)

    def network(*, tta: bool) -> keras.Model:
        keras.utils.set_random_seed(0)
        return VisionPipeline(VisionOptions(tta=tta)).build(spec, splits)

    both = predict.predict(network(tta=True), images)
    assert np.allclose(both, predict.predict(network(tta=True), mirror_images), atol=1e-5)
    one_side = predict.predict(network(tta=False), images)
    other_side = predict.predict(network(tta=False), mirror_images)
    assert not np.allclose(one_side, other_side, atol=1e-3)
    assert np.allclose((one_side + other_side) / 2, both, atol=1e-5)

    write_model(PIPELINE.serve(network(tta=True), splits), tmp_path / "model.keras")
    answers = VisionPipeline.predict_raw(read_model(tmp_path / "model.keras"), images)
    assert np.allclose(answers["probability"], both.max(axis=1), atol=1e-4)


def test_input_that_is_not_an_image_is_refused_by_name(saved: Path, tmp_path: Path) -> None:
    serving = read_model(saved)
    (tmp_path / "a.png").write_bytes(b"not an image")
    with pytest.raises(DataError, match=r"a\.png: is not an image"):
        VisionPipeline.predict_raw(serving, tmp_path / "a.png")
    with pytest.raises(DataError, match="Expected images of shape"):
        VisionPipeline.predict_raw(serving, np.zeros((2, 8, 8, 5)))


def test_a_model_is_not_scored_on_other_classes(saved: Path, splits: VisionSplits) -> None:
    serving = read_model(saved)
    facts = dataclasses.replace(serving.facts, classes=["a", "b"])
    wrong = ServingModel(model=serving.model, facts=facts)
    with pytest.raises(DataError, match="the model was trained with classes"):
        PIPELINE.restore_network(wrong, splits)


# --- baselines


def test_nearest_neighbours_vote_as_those_of_scikit_learn(splits: VisionSplits) -> None:
    baselines = {baseline.name: baseline for baseline in PIPELINE.baselines(splits)}
    baseline = baselines["k-nearest neighbours"]
    neighbours = int(str(baseline.params["setting"]).removeprefix("k="))
    train = splits.train.x.reshape(len(splits.train.x), -1)
    test = splits.test.x.reshape(len(splits.test.x), -1)
    theirs = KNeighborsClassifier(neighbours).fit(train, splits.train.y)
    assert np.allclose(baseline.predictions["test"], theirs.predict_proba(test))


# --- what is carried over to another data set


def transfer(**settings: object) -> VisionSpec:
    values: dict[str, object] = {"architecture": "transfer"}
    for key, value in settings.items():
        values[f"transfer.{key}"] = value
    return replace(VisionSpec(), values)


@pytest.fixture
def colour_images(tmp_path: Path) -> VisionPipeline:
    """Another data set: two classes of 10x10 colour images in bytes, dark and light ones."""
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    x = rng.random((60, 10, 10, 3)) * 100 + 120 * y[:, None, None, None]
    np.savez(tmp_path / "other.npz", x=x.astype("uint8"), y=y)
    return VisionPipeline(VisionOptions(data=str(tmp_path / "other.npz")))


def first_kernel(model: keras.Model) -> np.ndarray:
    kernel: np.ndarray = model.get_layer("block1_1_conv").kernel.numpy()
    return kernel


def test_a_network_that_appline_saved_is_a_backbone_for_another_data_set(
    saved: Path, colour_images: VisionPipeline, tmp_path: Path
) -> None:
    """Pretrained on 8x8 grey digits in units of 16, fine-tuned on 10x10 colour images in bytes.

    The features are carried over.
    """
    splits = colour_images.load()
    spec = replace(transfer(backbone=str(saved), layers=3), {"train.epochs": 4})
    phases = colour_images.phases(spec, spec.train)
    assert [phase.name for phase in phases] == ["features", "fine-tune"]

    pretrained = first_kernel(keras.saving.load_model(saved).get_layer("network"))
    backbone = colour_images.build(spec, splits).get_layer("backbone")
    assert not backbone.trainable_weights, "features first: the backbone is frozen"
    assert np.array_equal(first_kernel(backbone), pretrained)

    tuned = fitted(colour_images, spec, splits)
    assert len(tuned.history["loss"]) == 4
    kernel = first_kernel(tuned.model.get_layer("backbone"))
    assert np.array_equal(kernel, pretrained), "low layers stay"
    write_model(colour_images.serve(tuned.model, splits), tmp_path / "tuned.keras")
    serving = read_model(tmp_path / "tuned.keras")
    assert len(colour_images.predict_raw(serving, splits.test.x[:3])) == 3


def test_an_unknown_backbone_is_refused_with_the_nearest(splits: VisionSplits) -> None:
    with pytest.raises(UsageError, match="Did you mean 'MobileNet'"):
        PIPELINE.build(transfer(backbone="MobilNet"), splits)


def test_a_backbone_file_that_is_not_there_is_refused(splits: VisionSplits) -> None:
    with pytest.raises(DataError, match=r"no such file: gone\.keras"):
        PIPELINE.build(transfer(backbone="gone.keras"), splits)


def test_offline_weights_are_refused_with_the_file_to_bring_and_never_replaced(
    splits: VisionSplits, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_network(*_: object, **__: object) -> None:
        file = "keras-applications/mobilenet/mobilenet_no_top.h5"
        raise Exception(f"URL fetch failure on https://host/{file}: None -- offline")

    monkeypatch.setattr(mobilenet.file_utils, "get_file", no_network)
    message = r"cannot be downloaded.*--set transfer\.weights=PATH"
    with pytest.raises(DataError, match=message) as caught:
        PIPELINE.build(transfer(backbone="MobileNet"), splits)
    assert "mobilenet_no_top.h5" in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["MobileNetV2", "VGG16", "EfficientNetB0"])
def test_a_backbone_of_keras_applications_is_built_from_a_local_weights_file(
    splits: VisionSplits, tmp_path: Path, backbone: str
) -> None:
    weights = tmp_path / "local.weights.h5"
    constructor = getattr(keras.applications, backbone)
    shape = (32, 32, 3)
    network = constructor(include_top=False, weights=None, input_shape=shape, pooling="avg")
    network.save_weights(weights)
    spec = transfer(backbone=backbone, weights=str(weights))
    network = PIPELINE.build(spec, splits)
    assert network(splits.val.x[:2].astype("float32")).shape == (2, 10)
