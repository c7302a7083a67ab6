"""Pretrained backbones: tensors read without torch, networks over frozen and tuned features."""

import os
import pickle
import struct
import time
from collections import OrderedDict
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np
import pytest

from pipelines.config.search_space import replace
from pipelines.errors import DataError, ImpossibleSpec, UsageError
from pipelines.model_file import read_model, write_model
from pipelines.pretrained import efficientnet_lite, fetch, torch_file, weights
from pipelines.pretrained.catalogue import EFFICIENTNET_LITE0
from pipelines.vision import explain, frozen, references
from pipelines.vision.options import VisionOptions
from pipelines.vision.pipeline import VisionPipeline
from pipelines.vision.spec import VisionSpec
from tests.conftest import PERSONS_CACHE
from tuning.training.fit import fit
from tuning.training.monitor import Watch

SIDE = 32


# --------------------------------------------------------------------------- files that torch wrote


class Storage:
    """Pickled as torch pickles the storage of a tensor: by an identity of five parts."""

    def __init__(self, key: str, count: int) -> None:
        self.identity = ("storage", FloatStorage, key, "cpu", count, None)


class FloatStorage:
    """Pickled as the class that torch calls so."""


class Tensor:
    def __init__(self, storage: Storage, shape: tuple[int, ...], offset: int = 0) -> None:
        strides = [int(np.prod(shape[axis + 1 :])) for axis in range(len(shape))]
        self.arguments: tuple[Any, ...] = (
            storage,
            offset,
            shape,
            tuple(strides),
            False,
            OrderedDict(),
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild_tensor_v2, self.arguments


def _rebuild_tensor_v2(*_: object) -> None:
    """Stands for torch's function of this name."""


FloatStorage.__module__, FloatStorage.__qualname__ = "torch", "FloatStorage"
_rebuild_tensor_v2.__module__ = "torch._utils"


PythonPickler: Any = pickle._Pickler  # what it writes can be changed


class TorchPickler(PythonPickler):
    """Writes names of torch, which is not installed, without looking them up."""

    def persistent_id(self, obj: object) -> object:
        return obj.identity if isinstance(obj, Storage) else None

    def save_global(self, obj: Any, name: str | None = None) -> None:
        if obj.__module__.startswith("torch"):
            self.write(pickle.GLOBAL + f"{obj.__module__}\n{obj.__qualname__}\n".encode())
            self.memoize(obj)
        else:
            super().save_global(obj, name)

    dispatch: ClassVar[dict[type, Any]] = {
        **PythonPickler.dispatch,
        type(_rebuild_tensor_v2): save_global,
        type: save_global,
    }


def write_torch_file(path: Path, tensors: dict[str, np.ndarray], **others: object) -> Path:
    """Write tensors as `torch.save` did before 1.6, with anything else among them."""
    state: dict[str, object] = {}
    for key, array in tensors.items():
        state[key] = Tensor(Storage(key, array.size), array.shape)
    state.update(others)
    with path.open("wb") as file:
        for part in (torch_file.MAGIC_NUMBER, 1001, {"little_endian": True}, state, list(tensors)):
            TorchPickler(file, 2).dump(part)
        for array in tensors.values():
            file.write(struct.pack("<q", array.size) + array.astype(np.float32).tobytes())
    return path


def test_tensors_are_read_by_name_and_shape(tmp_path: Path) -> None:
    tensors = {"a.weight": np.arange(6.0).reshape(2, 3), "b": np.asarray([7.0])}
    read = torch_file.read_tensors(write_torch_file(tmp_path / "x.pth", tensors))
    assert sorted(read) == ["a.weight", "b"]
    for name, expected in tensors.items():
        assert np.array_equal(read[name], expected)


class Harmful:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch harmed",)


def test_a_pickle_that_names_a_function_is_refused_and_runs_nothing(tmp_path: Path) -> None:
    path = write_torch_file(tmp_path / "x.pth", {"a": np.zeros(2)}, b=Harmful())
    with pytest.raises(DataError, match=r"x\.pth: holds posix\.system\. Expected tensors"):
        torch_file.read_tensors(path)
    assert not Path("harmed").exists()


def test_what_is_no_tensor_is_refused_by_its_name(tmp_path: Path) -> None:
    path = write_torch_file(tmp_path / "x.pth", {"a": np.zeros(2)}, epoch=3)
    with pytest.raises(DataError, match="holds epoch, a int"):
        torch_file.read_tensors(path)


@pytest.mark.parametrize("kept", [0, 3, 60, -4])
def test_a_file_that_is_cut_off_is_refused_by_name(tmp_path: Path, kept: int) -> None:
    path = write_torch_file(tmp_path / "x.pth", {"a": np.zeros(50)})
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(DataError, match=r"x\.pth: cannot be read, it may be truncated"):
        torch_file.read_tensors(path)


def test_a_tensor_that_reaches_beyond_its_storage_is_refused(tmp_path: Path) -> None:
    path = write_torch_file(tmp_path / "x.pth", {"a": np.zeros(4)}, b=Tensor(Storage("a", 4), (9,)))
    with pytest.raises(DataError, match="reaches beyond its storage"):
        torch_file.read_tensors(path)


def test_the_newer_format_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.pth").write_bytes(b"PK\x03\x04")
    with pytest.raises(DataError, match=r"a zip archive, which torch writes since 1\.6"):
        torch_file.read_tensors(tmp_path / "x.pth")


# ------------------------------------------------------------------------------------ the backbone


def random_tensors(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return tensors of EfficientNet-Lite0 as its file names them, with random numbers."""
    tensors = {}
    for layer in efficientnet_lite.build(SIDE).layers:
        names = efficientnet_lite._tensor_names(layer)
        for name, weight in zip(names, layer.get_weights(), strict=True):
            array = rng.uniform(0.1, 0.3, weight.shape)
            if array.ndim == 4:
                is_depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
                array = array.transpose(2, 3, 0, 1) if is_depthwise else array.transpose(3, 2, 0, 1)
                array = (array - 0.2) / np.sqrt(np.prod(array.shape[1:]))
            tensors[name] = array
    return tensors


@pytest.fixture(scope="module")
def random_backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache in which a backbone of random weights stands for EfficientNet-Lite0."""
    cache = tmp_path_factory.mktemp("cache")
    folder = cache / "weights" / EFFICIENTNET_LITE0.name
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    write_torch_file(folder / efficientnet_lite.WEIGHTS, random_tensors(rng))
    return cache


@pytest.fixture
def cache(random_backbone: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(weights.CACHE_VARIABLE, str(random_backbone))
    return random_backbone


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> VisionPipeline:
    """Two classes of 24x24 colour images in bytes, dark and light ones."""
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    x = rng.random((60, 24, 24, 3)) * 100 + 120 * y[:, None, None, None]
    path = tmp_path_factory.mktemp("photos") / "photos.npz"
    np.savez(path, x=x.astype("uint8"), y=y)
    return VisionPipeline(VisionOptions(data=str(path)))


def spec_of(layers: int, epochs: int = 2) -> VisionSpec:
    changes = {"transfer.side": SIDE, "transfer.layers": layers, "train.epochs": epochs}
    return replace(VisionSpec(), {"architecture": "transfer", **changes})


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda tensors: tensors.pop("_bn0.bias"), "holds no tensor '_bn0.bias'"),
        (lambda tensors: tensors.update(other=np.zeros(2)), "holds 'other', which"),
        (lambda tensors: tensors.update({"_bn0.bias": np.zeros(2)}), r"_bn0\.bias has the shape"),
    ],
    ids=["missing", "further", "other shape"],
)
def test_weights_of_another_network_are_refused_by_what_differs(
    tmp_path: Path, change: Any, told: str
) -> None:
    tensors = random_tensors(np.random.default_rng(0))
    change(tensors)
    write_torch_file(tmp_path / efficientnet_lite.WEIGHTS, tensors)
    with pytest.raises(DataError, match=told):
        efficientnet_lite.load_weights(efficientnet_lite.build(SIDE), tmp_path)


def test_missing_weights_name_the_command_that_brings_them(photos: VisionPipeline) -> None:
    with pytest.raises(DataError, match="appline vision backbones --fetch efficientnet-lite0"):
        photos.options.require_weights(spec_of(0))


def test_an_unknown_backbone_is_refused_with_the_nearest_name(photos: VisionPipeline) -> None:
    spec = replace(spec_of(0), {"transfer.backbone": "efficientnet-lite1"})
    with pytest.raises(UsageError, match="Did you mean 'efficientnet-lite0'"):
        photos.build(spec, photos.load())


def test_a_side_that_the_backbone_does_not_take_is_refused(
    photos: VisionPipeline, cache: Path
) -> None:
    spec = replace(spec_of(0), {"transfer.side": 16})
    with pytest.raises(ImpossibleSpec, match=r"transfer\.side=16: .* takes images of 32 pixels"):
        photos.build(spec, photos.load())


@pytest.mark.slow
def test_a_head_on_frozen_features_is_the_whole_network_that_is_served(
    photos: VisionPipeline, cache: Path, tmp_path: Path
) -> None:
    splits = photos.load()
    spec = spec_of(0, epochs=5)
    network = fit(photos, spec, splits, seed=1, watch=watch(photos, splits)).model
    logits = frozen.head_of(network)(frozen.features(splits, "test", spec.transfer))
    assert np.allclose(network(splits.test.x.astype("float32")), logits, atol=1e-4)
    write_model(photos.serve(network, splits), tmp_path / "model.keras")
    answers = photos.predict_raw(read_model(tmp_path / "model.keras"), splits.test.x)
    expected = photos.predict(network, splits, "test").max(axis=1)
    assert np.allclose(answers["probability"], expected, atol=1e-3)


def test_where_a_network_over_a_backbone_looks_is_in_the_backbones_last_maps(
    photos: VisionPipeline, cache: Path
) -> None:
    splits = photos.load()
    keras.utils.set_random_seed(1)  # not every random head finds something that speaks for a class
    network = photos.build(spec_of(0), splits)
    pictures = splits.test.x[:3].astype("float32")
    before = np.asarray(network(pictures))
    heat = explain.heatmaps(network, pictures, np.array([0, 1, 0]))
    assert explain._last_maps(network) in network.get_layer("backbone").layers
    assert heat.shape == pictures.shape[:3]
    assert heat.min() >= 0
    assert set(heat.max(axis=(1, 2)).round(4)) <= {0.0, 1.0}
    assert heat.any()
    assert np.array_equal(np.asarray(network(pictures)), before)


def watch(photos: VisionPipeline, splits: Any) -> Watch:
    return Watch(objective=photos.objective_for(splits))


@pytest.mark.slow
def test_frozen_weights_stay_and_the_top_layers_are_tuned(
    photos: VisionPipeline, cache: Path
) -> None:
    splits = photos.load()
    before = photos.build(spec_of(0), splits).get_layer("backbone")
    for layers, is_changed in ((0, False), (12, True)):
        tuned = fit(photos, spec_of(layers), splits, seed=1, watch=watch(photos, splits)).model
        after = tuned.get_layer("backbone")
        same = {}
        for name in ("conv_head", "conv_stem", "bn1"):
            old, new = before.get_layer(name).get_weights(), after.get_layer(name).get_weights()
            same[name] = all(np.array_equal(a, b) for a, b in zip(old, new, strict=True))
        assert same == {"conv_head": not is_changed, "conv_stem": True, "bn1": True}


def test_features_are_computed_once_for_all_trials_and_runs(
    photos: VisionPipeline, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    splits = photos.load()
    first = frozen.features(splits, "train", spec_of(0).transfer)

    def never(*_: object) -> np.ndarray:
        raise AssertionError("computed although they are kept")

    monkeypatch.setattr(frozen, "_compute", never)
    assert np.array_equal(frozen.features(photos.load(), "train", spec_of(0).transfer), first)


def test_without_weights_auto_is_a_network_of_its_own_and_one_line_says_what_would_help(
    photos: VisionPipeline,
) -> None:
    notes: list[str] = []
    assert photos.fit_defaults(VisionSpec(), photos.load(), (), notes).architecture == "vgg"
    assert "appline vision backbones --fetch efficientnet-lite0" in notes[0]


def test_digits_of_a_few_pixels_are_not_asked_about_a_backbone() -> None:
    notes: list[str] = []
    digits = VisionPipeline(VisionOptions(limit=200))
    assert digits.fit_defaults(VisionSpec(), digits.load(), (), notes).architecture == "vgg"
    assert notes == []


def test_few_images_do_not_tune_a_backbone_unless_they_are_told_to(
    photos: VisionPipeline, cache: Path
) -> None:
    splits = photos.load()
    spec = replace(VisionSpec(), {"architecture": "transfer"})
    notes: list[str] = []
    assert photos.fit_defaults(spec, splits, {"architecture"}, notes).transfer.layers == 0
    assert "38 images are few to tune it by" in notes[0]
    given = {"architecture", "transfer.layers"}
    assert photos.fit_defaults(spec, splits, given, []).transfer.layers == 60


@pytest.mark.parametrize(
    ("given", "expected"), [("conv.filters", "vgg"), ("transfer.layers", "transfer")]
)
def test_auto_is_the_network_that_reads_what_a_person_has_set(
    photos: VisionPipeline, cache: Path, given: str, expected: str
) -> None:
    spec = photos.fit_defaults(VisionSpec(), photos.load(), {given}, [])
    assert spec.architecture == expected


@pytest.mark.slow
def test_real_weights_tell_a_bee_on_a_flower_from_a_temple(monkeypatch: pytest.MonkeyPatch) -> None:
    """The two photos that scikit-learn ships; 309 is a bee, 442 a bell tower."""
    from PIL import Image
    from sklearn.datasets import load_sample_images

    monkeypatch.setenv(weights.CACHE_VARIABLE, str(PERSONS_CACHE))
    if not weights.is_here(EFFICIENTNET_LITE0.name):
        fetch.fetch(EFFICIENTNET_LITE0)
    folder = weights.folder_of(EFFICIENTNET_LITE0)
    network = efficientnet_lite.build(224)
    efficientnet_lite.load_weights(network, folder)
    tensors = torch_file.read_tensors(folder / efficientnet_lite.WEIGHTS)
    best = []
    for photo in load_sample_images().images:
        image = np.asarray(Image.fromarray(photo).resize((224, 224)), dtype="float32")
        logits = np.asarray(network(image[None])) @ tensors["_fc.weight"].T + tensors["_fc.bias"]
        best.append(logits[0].argsort()[-4:])
    assert 442 in best[0]
    assert 309 in best[1]


def test_features_of_a_rare_class_count_more_where_classes_are_weighted(
    photos: VisionPipeline, cache: Path
) -> None:
    splits = photos.load()
    spec = replace(spec_of(0), {"train.class_weight": "auto"})
    assert len(next(iter(photos.training_batches(splits, "train", spec)))) == 3
    assert len(next(iter(photos.training_batches(splits, "val", spec)))) == 2


def test_the_regression_on_features_is_fitted_once_for_the_choice_and_the_baseline(
    photos: VisionPipeline, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    splits, spec = photos.load(), spec_of(0).transfer
    first = photos.regressions.model(splits, spec)
    assert first.spent.seconds > 0

    def never(*_: object, **__: object) -> None:
        raise AssertionError("fitted although it is kept")

    monkeypatch.setattr(references, "fit_regression", never)
    assert photos.regressions.model(photos.load(), spec) is first


def test_the_regression_costs_its_features_where_they_were_not_kept(
    photos: VisionPipeline, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They take ten times as long as the regression."""

    def slow(*arguments: Any) -> np.ndarray:
        time.sleep(0.2)
        return frozen.features(*arguments)

    monkeypatch.setattr(references, "features", slow)
    spent = photos.regressions.model(photos.load(), spec_of(0).transfer).spent
    assert spent.seconds > 0.6  # of three parts
