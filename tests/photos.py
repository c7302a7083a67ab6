"""Small photos that tests write for themselves, and a model of them."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pipelines.config.search_space import replace
from pipelines.model_file import read_model, write_model
from pipelines.vision.options import VisionOptions
from pipelines.vision.pipeline import VisionPipeline
from pipelines.vision.spec import VisionSpec
from tuning.training.fit import fit
from tuning.training.monitor import Watch

SIDE = 24


class Photos:
    """Colour photos of many sizes in two classes, and a model of 24x24 that was trained on them."""

    def __init__(self, folder: Path) -> None:
        rng = np.random.default_rng(0)
        self.folder = folder / "photos"
        for number in range(40):
            name = ("dark", "light")[number % 2]
            (self.folder / name).mkdir(parents=True, exist_ok=True)
            height, width = rng.integers(60, 140, 2)
            noise = rng.integers(0, 180, (height, width, 3)) + 70 * (number % 2)
            Image.fromarray(noise.astype("uint8")).save(self.folder / name / f"{number}.png")
        self.pipeline = VisionPipeline(VisionOptions(data=str(self.folder), image_size=SIDE))
        self.splits = self.pipeline.load()
        small = {"conv.filters": 8, "conv.blocks": 2, "train.epochs": 3}
        watch = Watch(objective=self.pipeline.options.objective())
        spec = replace(VisionSpec(), small)
        network = fit(self.pipeline, spec, self.splits, seed=1, watch=watch).model
        self.path = folder / "model.keras"
        write_model(self.pipeline.serve(network, self.splits), self.path)
        self.serving = read_model(self.path)
        self.in_training = self.pipeline.predict(network, self.splits, "test")
        names = self.splits.test.names
        assert names is not None
        self.files = [Path(str(name)) for name in names]

    def predict(self, source: Any) -> np.ndarray:
        answers = self.pipeline.predict_raw(self.serving, source)
        return answers[["p(dark)", "p(light)"]].to_numpy(dtype=float)


def pixels_of(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))
