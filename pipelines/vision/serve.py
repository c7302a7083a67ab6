"""A trained network for its user: images in any form in, labels with probabilities out."""

import base64
import io
import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import keras
import numpy as np
import pandas as pd
from annotated_types import Ge, Gt, Le
from PIL import Image

from pipelines.config.options import PredictOptions
from pipelines.errors import ApplineError, DataError
from pipelines.evaluation.classification import DIGITS, probability_columns
from pipelines.evaluation.drift import DRIFT, Seen, drift_note, drift_of
from pipelines.io.answers import ERROR, join_answers
from pipelines.io.progress import counted
from pipelines.networks.models import class_answers, graph_of
from pipelines.pipeline import RawInput, RawRequest, RequestForm, ServingFacts, ServingModel
from pipelines.together import answer_together, only_answer
from pipelines.vision import drift, explain, predict
from pipelines.vision.inputs import read_request
from pipelines.vision.options import Resize, VisionPredictOptions
from pipelines.vision.pictures import Fitted, PictureFormat, fit_picture
from pipelines.vision.request import Asked, Request
from pipelines.vision.units import resized_as_pillow, served_input, unit_of

if TYPE_CHECKING:
    from pipelines.vision.data import VisionSplits

BATCH_SIZE = 256
BATCH_VALUES = 2**24  # pixels of a batch at most: 64 MB
# Of images that a model may ask for: a file must not decide how much memory is taken.
LARGEST_SIDE = 4_096
MOST_CHANNELS = 4


@dataclass(frozen=True, kw_only=True)
class VisionFacts(ServingFacts):
    """What a served image model must know besides its network."""

    classes: list[str]
    height: Annotated[int, Ge(1), Le(LARGEST_SIDE)]
    width: Annotated[int, Ge(1), Le(LARGEST_SIDE)]
    channels: Annotated[int, Ge(1), Le(MOST_CHANNELS)]
    scale: Annotated[float, Gt(0)]  # the largest value that a pixel can have
    lowest: float  # the smallest one
    path_column: str
    # Models that were saved before these were kept stretched all images, and have seen none.
    resize: Resize = "stretch"
    seen: dict[str, Seen] = field(default_factory=dict)


def picture_format(facts: VisionFacts) -> PictureFormat:
    """Return the size and the units in which a model takes pictures."""
    return PictureFormat(
        size=(facts.height, facts.width),
        channels=facts.channels,
        lowest=facts.lowest,
        scale=facts.scale,
        resize=facts.resize,
        path_column=facts.path_column,
    )


def serving_model(
    network: keras.Model,
    splits: "VisionSplits",
    path_column: str = "",
    resize: Resize = "stretch",
) -> ServingModel:
    """Return the network behind resizing, and in front of class names.

    Its input is `(batch, any height, any width, channels)` in the training images' units, or in
    others that `units` knows: the answer is that of `predict` to the same picture, as a dict of
    `label` `(batch,)` strings, `probability` `(batch,)` and `probabilities` `(batch, classes)`.
    """
    height, width, channels = splits.shape
    image = keras.Input((None, None, channels), name="image")
    lowest = float(min(0, splits.train.x.min()))
    if lowest < 0:
        x = resized_as_pillow(image, (height, width), resize)
    else:
        x = served_input(image, (height, width), unit_of(splits.scale), resize)
    # Says in the file what the largest pixel value is; a network that takes this one as a backbone
    # reads it there.
    x = keras.layers.Rescaling(1 / splits.scale, name="unit")(x)
    x = keras.layers.Rescaling(splits.scale, name="scale")(x)
    answers = class_answers(predict.probabilities(network, x), splits.classes)
    return ServingModel(
        model=keras.Model(image, answers, name="served"),
        facts=VisionFacts(
            domain="vision",
            classes=list(splits.classes),
            height=height,
            width=width,
            channels=channels,
            scale=splits.scale,
            lowest=lowest,
            path_column=path_column,
            resize=resize,
            seen=drift.seen(splits),
        ),
    )


def portable_model(serving: ServingModel) -> keras.Model:
    """Return the probabilities of pictures that have the model's size and units already.

    Its input is `image` `(batch, height, width, channels)`, its answer a dict of `probabilities`.
    """
    facts: VisionFacts = serving.facts
    image = keras.Input((facts.height, facts.width, facts.channels), name="image")
    probabilities = predict.probabilities(serving.model.get_layer("network"), image)
    return keras.Model(image, {"probabilities": probabilities}, name="portable")


def example(facts: VisionFacts) -> pd.DataFrame:
    """Return one picture in a column `image`: light from the left to the right.

    It is a PNG in base64, or numbers where the model's units are none of a file.
    """
    shape = (facts.height, facts.width, facts.channels)
    ramp = np.linspace(0, 255, facts.width, dtype="uint8")
    pixels = np.broadcast_to(ramp[None, :, None], shape)
    if facts.lowest < 0 or facts.channels == 2:
        span = facts.scale - facts.lowest
        return pd.DataFrame({"image": [(facts.lowest + span * pixels / 255).round(3).tolist()]})
    content = io.BytesIO()
    picture = np.ascontiguousarray(pixels if facts.channels > 1 else pixels[:, :, 0])
    Image.fromarray(picture).save(content, format="PNG")
    return pd.DataFrame({"image": [base64.b64encode(content.getvalue()).decode()]})


def request_form(facts: VisionFacts) -> RequestForm:
    """Return the column that a picture is dropped into."""
    return RequestForm(kind="image", field="image", label="A picture")


def restore_network(serving: ServingModel, splits: "VisionSplits") -> keras.Model:
    """Return the network inside a served model.

    Raises:
        DataError: the data has other classes, another size or other units.
    """
    facts: VisionFacts = serving.facts
    model_size = [facts.height, facts.width, facts.channels]
    _require_same(splits.dataset, "classes", facts.classes, list(splits.classes))
    _require_same(splits.dataset, "image size", model_size, list(splits.shape))
    _require_same(splits.dataset, "largest pixel value", facts.scale, splits.scale)
    return serving.model.get_layer("network")


def _require_same(dataset: str, what: str, of_model: Any, of_data: Any) -> None:
    if of_model != of_data:
        raise DataError(
            f"{dataset}: the model was trained with {what} {of_model}. This data has {of_data}"
        )


def predict_raw(
    serving: ServingModel, source: RawInput, options: PredictOptions | None, notes: list[str]
) -> pd.DataFrame:
    """Return one row for each image: what was asked, `label`, `probability`, `p(<class>)` ...

    `source` is an image file, a folder of them, a .txt file of paths, another table with a column
    of paths or of pixels, an NPZ file with `x`, an array of one image or many, or a table in memory
    whose images are paths, bytes, base64 or arrays. A table keeps its columns; otherwise `image` is
    the file or the number of the image. With `skip_unreadable` there is a column `error`.

    Raises:
        DataError: an image cannot be read, or has values that the model cannot know.
    """
    asked = RawRequest(source=source, options=options, notes=notes)
    return only_answer(predict_many(serving, [asked]))


def predict_many(
    serving: ServingModel, requests: Sequence[RawRequest]
) -> list[pd.DataFrame | ApplineError]:
    """Return what `predict_raw` returns or raises for each request; all pictures go together."""
    wanted = picture_format(serving.facts)

    def read(asked: RawRequest) -> Request:
        request = read_request(asked.source, wanted, _own_options(asked), is_remote=asked.is_remote)
        asked.notes.extend(request.notes)
        return request

    def answer(read: Sequence[tuple[RawRequest, Request]]) -> list[pd.DataFrame | ApplineError]:
        together = [request for _, request in read]
        # A picture that nobody can read must not keep the others' requests from their answers.
        skip = len(read) > 1 or _own_options(read[0][0]).skip_unreadable
        answered = answer_pictures(serving, together, skip=skip)
        tables: list[pd.DataFrame | ApplineError] = []
        for (asked, request), of_request in zip(read, answered, strict=True):
            table = _table(serving.facts, asked, request, of_request)
            folder = _own_options(asked).explain
            if folder and isinstance(table, pd.DataFrame):
                files = _heatmaps(serving, request, of_request, Path(folder))
                table = join_answers(table, pd.DataFrame({explain.HEATMAP: files}))
            tables.append(table)
        return tables

    return answer_together(requests, read, answer)


def _heatmaps(
    serving: ServingModel, request: Request, answered: "Answered", folder: Path
) -> np.ndarray:
    """Return the file of each picture's heatmap `(n,)`, None where there is no answer."""
    facts: VisionFacts = serving.facts
    wanted = picture_format(facts)
    files = np.full(len(request.pictures), None, dtype=object)
    rows = np.flatnonzero(answered.has_answer)
    labels = np.nan_to_num(answered.probabilities).argmax(axis=1)
    network = serving.model.get_layer("network")
    for begin in range(0, len(rows), explain.AT_ONCE):
        some = rows[begin : begin + explain.AT_ONCE]
        pixels = np.stack([_fit(request.pictures[row], wanted).x for row in some])
        names = [facts.classes[labels[row]] for row in some]
        units = (facts.lowest, facts.scale)
        files[some] = explain.write(network, pixels, labels[some], names, units, folder)
    return files


def _own_options(asked: RawRequest) -> VisionPredictOptions:
    options = asked.options
    return options if isinstance(options, VisionPredictOptions) else VisionPredictOptions()


def _table(
    facts: VisionFacts, asked: RawRequest, request: Request, answered: "Answered"
) -> pd.DataFrame | ApplineError:
    """Return the answers to one request beside what was asked, or why there are none."""
    options = _own_options(asked)
    if not options.skip_unreadable:
        for row, reason in enumerate(answered.errors):
            if reason is not None:
                return _unreadable(request, row, reason)
    asked.notes.extend(answered.notes)
    probabilities = answered.probabilities
    names = np.asarray([*facts.classes, None], dtype=object)
    # A picture without an answer has no probabilities.
    best = np.where(answered.has_answer, np.nan_to_num(probabilities).argmax(axis=1), -1)
    answers = pd.DataFrame(
        {"label": names[best], "probability": probabilities.max(axis=1).round(DIGITS)}
    )
    answers = answers.join(probability_columns(probabilities, facts.classes))
    if options.drift:
        answers[DRIFT] = answered.drift
    if options.skip_unreadable:
        answers[ERROR] = answered.errors
    return join_answers(request.frame, answers)


@dataclass(frozen=True, kw_only=True)
class Answered:
    """Probabilities `(n, classes)` of pictures, NaN where there is no answer, and reasons why.

    `drift` `(n,)` says how a picture leaves what training has seen, "" where it does not.
    """

    probabilities: np.ndarray
    drift: np.ndarray
    errors: list[str | None]
    notes: list[str]

    @property
    def has_answer(self) -> np.ndarray:
        """Whether there is an answer to each picture `(n,)`."""
        return np.asarray([error is None for error in self.errors])


def answer_pictures(
    serving: ServingModel, requests: Sequence[Request], *, skip: bool
) -> list[Answered]:
    """Return the answers of a model to each request, a batch of all pictures at a time.

    Raises:
        DataError: a picture cannot be read, unless such are to be skipped.
    """
    facts: VisionFacts = serving.facts
    wanted = picture_format(facts)
    network = serving.model.get_layer("network")
    answer = graph_of(network, predict.probabilities)
    # Where each picture is: its request, and its row there.
    places = [(request, row) for request in requests for row in range(len(request.pictures))]
    count = len(places)
    probabilities = np.full((count, len(facts.classes)), np.nan, dtype="float32")
    errors: list[str | None] = [None] * count
    values = {measure.name: np.full(count, np.nan) for measure in drift.MEASURES}
    remarks: list[Counter[str]] = [Counter() for _ in places]
    rows = iter(counted(range(count), "images", count))
    while batch := list(itertools.islice(rows, _batch_size(wanted))):
        pixels, sides, kept = [], [], []
        for row in batch:
            try:
                request, place = places[row]
                fitted = _fit(request.pictures[place], wanted)
            except DataError as reason:
                if not skip:
                    raise _unreadable(request, place, str(reason)) from None
                errors[row] = str(reason)
                continue
            pixels.append(fitted.x)
            sides.append(fitted.side)
            kept.append(row)
            remarks[row].update(fitted.remarks)
        if kept:
            x = np.stack(pixels)
            probabilities[kept] = predict.predict(network, x, answer)
            for name, numbers in drift.measured(x, facts.scale).items():
                values[name][kept] = numbers
            values[drift.SIZE][kept] = drift.sides_to_tell(np.asarray(sides), facts.seen)
    drifted = drift_of(values, facts.seen, drift.MEASURES)
    answered, begin = [], 0
    for request in requests:
        rows_of = slice(begin, begin + len(request.pictures))
        said = sum(remarks[rows_of], start=Counter[str]())
        notes = _sentences(said, errors[rows_of], len(request.pictures))
        answered.append(
            Answered(
                probabilities=probabilities[rows_of],
                drift=drifted[rows_of],
                errors=errors[rows_of],
                notes=[*notes, *drift_note(drifted[rows_of], "images")],
            )
        )
        begin = rows_of.stop
    return answered


def _fit(picture: Asked, wanted: PictureFormat) -> Fitted:
    if isinstance(picture, DataError):
        raise picture
    return fit_picture(picture, wanted)


def _batch_size(wanted: PictureFormat) -> int:
    """Return how many pictures of a model's size are in memory at once."""
    values = wanted.size[0] * wanted.size[1] * wanted.channels
    return max(1, min(BATCH_SIZE, BATCH_VALUES // values))


def _unreadable(request: Request, row: int, reason: str) -> DataError:
    remedy = ""
    if len(request.pictures) > 1:
        remedy = ". Answer the others: --skip-unreadable"
    return DataError(f"{request.names[row]}: {reason}{remedy}")


def _sentences(remarks: Mapping[str, int], errors: Sequence[str | None], count: int) -> list[str]:
    sentences = []
    for remark, number in remarks.items():
        sentences.append(f"{number:,} {'image' if number == 1 else 'images'} {remark}")
    unreadable = sum(error is not None for error in errors)
    if unreadable:
        sentences.append(
            f"{unreadable:,} of {count:,} images cannot be read and have no answer; "
            f"the column {ERROR!r} says why"
        )
    return sentences
