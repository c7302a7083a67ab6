"""Scores, tables and figures of an image classifier."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pipelines.evaluation import classification
from pipelines.evaluation.plots import classification_plots
from pipelines.splits import Part

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from pipelines.vision.data import VisionSplits
    from pipelines.vision.images import Images

MOST_MISTAKES = 24
SHOWN_CHARACTERS = 18  # of the names of files


def score(predictions: np.ndarray, splits: "VisionSplits", part: Part) -> dict[str, float]:
    """Return the metrics of class probabilities `(n, classes)`; see `classification.scores`."""
    return classification.scores(splits.images(part).y, predictions)


def losses(predictions: np.ndarray, splits: "VisionSplits", part: Part, metric: str) -> np.ndarray:
    """Return a loss for each image, whose mean is 1 minus `metric`; see `classification.losses`."""
    return classification.losses(splits.images(part).y, predictions, metric)


def table(predictions: np.ndarray, splits: "VisionSplits", part: Part) -> pd.DataFrame:
    """Return one row for each image: its label, the answer, and the probability of each class.

    `image` is its file, where it came from one.
    """
    images = splits.images(part)
    frame = classification.table(images.y, predictions, splits.classes)
    if images.names is not None:
        frame.insert(1, "image", images.names)
    return frame


def plots(
    predictions: np.ndarray, splits: "VisionSplits", part: Part
) -> Iterator[tuple[str, "Figure"]]:
    """Yield a confusion matrix, a reliability diagram and the worst mistakes."""
    yield from classification_plots(splits.images(part).y, predictions, splits.classes)
    yield "mistakes", mistakes(predictions, splits, part)


def _file_name(images: "Images", position: int) -> str:
    """Return the end of an image's file name as a line of its own, "" where it has none."""
    if images.names is None:
        return ""
    # What looks like a formula would be set as one.
    name = Path(str(images.names[position])).name[-SHOWN_CHARACTERS:].replace("$", r"\$")
    return f"\n{name}"


def mistakes(predictions: np.ndarray, splits: "VisionSplits", part: Part) -> "Figure":
    """Return a figure of the most confident wrong answers: each image with its label and answer."""
    from matplotlib.figure import Figure

    images = splits.images(part)
    predicted = predictions.argmax(axis=1)
    wrong = np.flatnonzero(predicted != images.y)
    confidence = predictions.max(axis=1)
    worst = wrong[np.argsort(-confidence[wrong])][:MOST_MISTAKES]
    columns = min(6, max(3, len(worst)))
    rows = max(1, -(-len(worst) // columns))
    figure = Figure(
        figsize=(1.1 * columns, (1.5 if images.names is None else 1.65) * rows + 0.5),
        layout="constrained",
    )
    figure.suptitle(
        f"{len(wrong)} of {len(predicted)} answered wrongly, most confident first", fontsize=10
    )
    cells = figure.subplots(rows, columns, squeeze=False).ravel()
    for cell in cells:
        cell.axis("off")
    for cell, position in zip(cells, worst, strict=False):
        picture = images.x[position][..., :3] / splits.scale
        if picture.shape[-1] == 1:
            picture = picture.squeeze(-1)
        cell.imshow(picture, cmap="gray", vmin=0, vmax=1)
        label = splits.classes[images.y[position]]
        answer = splits.classes[predicted[position]]
        cell.set_title(
            f"{label}\nnot {answer} ({confidence[position]:.0%}){_file_name(images, position)}",
            fontsize=7,
        )
    return figure
