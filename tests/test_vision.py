"""Image networks: what training sees, what is served, what is carried over to another data set."""

from pathlib import Path

import keras
import numpy as np
import pytest
from pipelines.vision.augment import Shift, mixed_up

from pipelines.config.search_space import replace
from pipelines.errors import DataError, UsageError
from pipelines.model_file import read_model, write_model
from pipelines.pipeline import ServingModel
from pipelines.vision import model
from pipelines.vision.data import VisionSplits
from pipelines.vision.pipeline import VisionPipeline, VisionSpec
from tuning.training.fit import Watch, fit

PIPELINE = VisionPipeline(limit=120)
SMALL = {"conv.filters": 8, "conv.blocks": 2, "train.epochs": 2}


@pytest.fixture(scope="module")
def splits() -> VisionSplits:
    return PIPELINE.load()


@pytest.fixture(scope="module")
def saved(splits: VisionSplits, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained network in the file that a run keeps."""
    path = tmp_path_factory.mktemp("model") / "model.keras"
    network = fit(
        PIPELINE,
        replace(VisionSpec(), SMALL),
        splits,
        seed=1,
        watch=Watch(objective=PIPELINE.objective()),
    ).model
    write_model(PIPELINE.serve(network, splits), path)
    return path


def test_augmentation_acts_in_training_only(splits: VisionSplits) -> None:
    spec = replace(
        VisionSpec(),
        {
            **SMALL,
            "augment.flip": "both",
            "augment.rotation": 0.1,
            "augment.zoom": 0.1,
            "augment.cutout": 0.2,
        },
    )
    network = PIPELINE.build(spec, splits)
    outer = PIPELINE.training_model(network, spec, splits)
    x = splits.val.x[:8].astype("float32")
    assert np.array_equal(outer(x, training=False), network(x, training=False))
    random = {"RandomFlip", "Shift", "RandomRotation", "RandomZoom", "RandomErasing"}
    assert random <= {type(layer).__name__ for layer in outer.layers}
    assert not random & {
        type(layer).__name__ for layer in PIPELINE.serve(network, splits).model.layers
    }


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
    batches = PIPELINE.batches(
        splits, "train", replace(VisionSpec(), {"augment.mixup": 0.3}), training=True
    )
    _, targets = next(iter(batches))
    assert np.allclose(np.sum(targets, axis=1), 1)
    assert np.max(targets, axis=1).min() < 0.99


def test_mixup_is_the_same_for_the_same_seed(splits: VisionSplits) -> None:
    plain = PIPELINE.batches(splits, "val", VisionSpec(), training=False)
    first, again, other = (next(iter(mixed_up(plain, 0.4, seed)))[0] for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


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
    served = read_model(saved)
    x = splits.test.x[:5]
    assert VisionPipeline.predict_raw(served, x.astype(dtype)).equals(
        VisionPipeline.predict_raw(served, x)
    )


def test_a_served_network_scores_what_the_network_scored(saved: Path, splits: VisionSplits) -> None:
    served = read_model(saved)
    network = PIPELINE.restore_network(served, splits)
    probabilities = PIPELINE.predict(network, splits, "test")
    answers = VisionPipeline.predict_raw(served, splits.test.x)
    assert np.allclose(answers["probability"], probabilities.max(axis=1), atol=1e-4)
    assert answers["label"].tolist() == [
        splits.classes[number] for number in probabilities.argmax(axis=1)
    ]


def test_images_are_answered_from_files_and_folders(
    saved: Path, splits: VisionSplits, tmp_path: Path
) -> None:
    from PIL import Image

    served = read_model(saved)
    for number in range(3):
        Image.fromarray((splits.test.x[number, ..., 0] * 15.9).astype("uint8")).save(
            tmp_path / f"{number}.png"
        )
    assert len(VisionPipeline.predict_raw(served, tmp_path)) == 3
    (tmp_path / "table.csv").write_text("number,image\n1,2.png\n2,0.png\n")
    assert VisionPipeline.predict_raw(served, tmp_path / "table.csv")["image"].tolist() == [
        str(tmp_path / "2.png"),
        str(tmp_path / "0.png"),
    ]
    (tmp_path / "list.txt").write_text("2.png\n0.png\n")
    assert VisionPipeline.predict_raw(served, tmp_path / "list.txt")["image"].tolist() == [
        str(tmp_path / "2.png"),
        str(tmp_path / "0.png"),
    ]
    (tmp_path / ".thumbs").mkdir()
    (tmp_path / ".thumbs" / "0.png").write_bytes(b"hidden: passed over")
    assert len(VisionPipeline.predict_raw(served, tmp_path)) == 3
    np.savez(tmp_path / "x.npz", x=splits.test.x[:2])
    assert len(VisionPipeline.predict_raw(served, tmp_path / "x.npz")) == 2


def test_a_network_that_learned_from_mirrored_images_answers_over_both_sides(
    splits: VisionSplits, tmp_path: Path
) -> None:
    images = splits.test.x[:20].astype("float32")
    spec = replace(
        VisionSpec(), {"conv.filters": 4, "conv.blocks": 1, "augment.flip": "horizontal"}
    )

    def network(*, tta: bool) -> keras.Model:
        keras.utils.set_random_seed(0)
        return VisionPipeline(tta=tta).build(spec, splits)

    both = model.predict(network(tta=True), images)
    assert np.allclose(both, model.predict(network(tta=True), images[:, :, ::-1]), atol=1e-5)
    sides = [model.predict(network(tta=False), x) for x in (images, images[:, :, ::-1])]
    assert not np.allclose(*sides, atol=1e-3)
    assert np.allclose(np.mean(sides, axis=0), both, atol=1e-5)

    write_model(PIPELINE.serve(network(tta=True), splits), tmp_path / "model.keras")
    answers = VisionPipeline.predict_raw(read_model(tmp_path / "model.keras"), images)
    assert np.allclose(answers["probability"], both.max(axis=1), atol=1e-4)


def test_nearest_neighbours_vote_as_those_of_scikit_learn(splits: VisionSplits) -> None:
    from sklearn.neighbors import KNeighborsClassifier

    baseline = next(one for one in PIPELINE.baselines(splits) if one.name == "k-nearest neighbours")
    flat = {
        part: splits.images(part).x.reshape(splits.sizes()[part], -1) for part in ("train", "test")
    }
    theirs = KNeighborsClassifier(int(str(baseline.params["setting"]).removeprefix("k="))).fit(
        flat["train"], splits.train.y
    )
    assert np.allclose(baseline.predictions["test"], theirs.predict_proba(flat["test"]))


def test_input_that_is_no_image_is_refused_by_name(saved: Path, tmp_path: Path) -> None:
    served = read_model(saved)
    (tmp_path / "a.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"a\.png: is no image"):
        VisionPipeline.predict_raw(served, tmp_path / "a.png")
    with pytest.raises(DataError, match="Expected images of shape"):
        VisionPipeline.predict_raw(served, np.zeros((2, 8, 8, 3)))


def test_a_model_is_not_scored_on_other_classes(saved: Path) -> None:
    served = read_model(saved)
    wrong = ServingModel(model=served.model, facts={**served.facts, "classes": ["a", "b"]})
    with pytest.raises(DataError, match="the model knows classes"):
        PIPELINE.restore_network(wrong, PIPELINE.load())


def test_a_network_that_appline_saved_is_a_backbone_for_another_data_set(
    saved: Path, tmp_path: Path
) -> None:
    """Pretrained on 8x8 grey digits in units of 16, fine-tuned on 10x10 colour images in bytes: the
    features are carried over.
    """
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    x = (rng.random((60, 10, 10, 3)) * 100 + 120 * y[:, None, None, None]).astype("uint8")
    np.savez(tmp_path / "other.npz", x=x, y=y)
    pipeline = VisionPipeline(data=str(tmp_path / "other.npz"))
    other = pipeline.load()
    spec = replace(
        VisionSpec(),
        {
            "architecture": "transfer",
            "transfer.backbone": str(saved),
            "transfer.layers": 3,
            "train.epochs": 4,
        },
    )
    before = keras.saving.load_model(saved).get_layer("network")
    assert [phase.name for phase in pipeline.phases(spec, spec.train)] == ["features", "fine-tune"]

    network = pipeline.build(spec, other)
    assert not network.get_layer("backbone").trainable_weights, (
        "features first: the backbone is frozen"
    )
    kernel = before.get_layer("block1_1_conv").kernel.numpy()
    assert np.array_equal(
        network.get_layer("backbone").get_layer("block1_1_conv").kernel.numpy(), kernel
    )

    tuned = fit(pipeline, spec, other, seed=1, watch=Watch(objective=pipeline.objective()))
    inner = tuned.model.get_layer("backbone")
    assert len(tuned.history["loss"]) == 4
    assert np.array_equal(inner.get_layer("block1_1_conv").kernel.numpy(), kernel), (
        "low layers stay"
    )
    write_model(pipeline.serve(tuned.model, other), tmp_path / "tuned.keras")
    assert len(pipeline.predict_raw(read_model(tmp_path / "tuned.keras"), x[:3])) == 3


def transfer(**settings: object) -> VisionSpec:
    return replace(
        VisionSpec(),
        {
            "architecture": "transfer",
            **{f"transfer.{key}": value for key, value in settings.items()},
        },
    )


def test_an_unknown_backbone_is_refused_with_the_nearest(splits: VisionSplits) -> None:
    with pytest.raises(UsageError, match="Did you mean 'MobileNet'"):
        PIPELINE.build(transfer(backbone="MobilNet"), splits)


def test_a_backbone_file_that_is_not_there_is_refused(splits: VisionSplits) -> None:
    with pytest.raises(DataError, match=r"no such file: gone\.keras"):
        PIPELINE.build(transfer(backbone="gone.keras"), splits)


def test_offline_weights_are_refused_with_the_file_to_bring_and_never_replaced(
    splits: VisionSplits, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def no_network(*_: object, **__: object) -> None:
        raise Exception(
            "URL fetch failure on https://host/keras-applications/mobilenet/mobilenet_no_top.h5: None -- offline"
        )

    import keras.src.applications.mobilenet as mobilenet

    monkeypatch.setattr(mobilenet.file_utils, "get_file", no_network)
    with pytest.raises(
        DataError, match=r"cannot be downloaded.*--set transfer\.weights=PATH"
    ) as caught:
        PIPELINE.build(transfer(backbone="MobileNet"), splits)
    assert "mobilenet_no_top.h5" in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["MobileNetV2", "VGG16", "EfficientNetB0"])
def test_a_backbone_of_keras_applications_is_built_from_a_local_weights_file(
    splits: VisionSplits, tmp_path: Path, backbone: str
) -> None:
    maker = getattr(keras.applications, backbone)
    maker(include_top=False, weights=None, input_shape=(32, 32, 3), pooling="avg").save_weights(
        tmp_path / "own.weights.h5"
    )
    network = PIPELINE.build(
        transfer(backbone=backbone, weights=str(tmp_path / "own.weights.h5")), splits
    )
    assert network(splits.val.x[:2].astype("float32")).shape == (2, 10)
