"""Figures of an image classifier."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from pipelines.vision.data import VisionSplits
    from pipelines.vision.readers import Images


def mistakes(images: "Images", probabilities: np.ndarray, splits: "VisionSplits", most: int = 24) -> "Figure":
    """Return the images that were answered wrongly with the greatest confidence, with truth and answer."""
    from matplotlib.figure import Figure

    answers = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(answers != images.y)
    worst = wrong[np.argsort(-probabilities[wrong].max(axis=1))][:most]
    columns = min(6, max(3, len(worst)))
    rows = max(1, -(-len(worst) // columns))
    figure = Figure(figsize=(1.1 * columns, 1.5 * rows + 0.5), layout="constrained")
    figure.suptitle(f"{len(wrong)} of {len(answers)} answered wrongly; the surest first", fontsize=10)
    cells = figure.subplots(rows, columns, squeeze=False).ravel()
    for cell in cells:
        cell.axis("off")
    for cell, at in zip(cells, worst, strict=False):
        picture = images.x[at][..., :3] / splits.scale
        cell.imshow(picture.squeeze(-1) if picture.shape[-1] == 1 else picture, cmap="gray", vmin=0, vmax=1)
        sure = round(100 * probabilities[at].max())
        cell.set_title(f"{splits.classes[images.y[at]]}\nnot {splits.classes[answers[at]]} ({sure} %)", fontsize=7)
    return figure
