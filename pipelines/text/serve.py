"""A trained network for its user: texts in, labels with probabilities out."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import keras
import numpy as np
import pandas as pd

from pipelines.errors import DataError
from pipelines.evaluation.classification import DIGITS, joined_names, probability_columns
from pipelines.io.paths import visible_files
from pipelines.io.tables import find_column, read_table
from pipelines.io.text_files import TEXT_SUFFIX, read_lines, read_text
from pipelines.networks.models import class_answers
from pipelines.pipeline import RawInput, ServingFacts, ServingModel
from pipelines.text import predict
from pipelines.text.baselines import TfidfReference
from pipelines.text.layers import TokenIds
from pipelines.text.model import START_LOGITS, TOKENS
from pipelines.text.tables import SHOWN_CHARACTERS, SHOWN_NAMES, TEXT_COLUMNS, text_cells

if TYPE_CHECKING:
    from pipelines.text.data import TextSplits


@dataclass(frozen=True, kw_only=True)
class TextFacts(ServingFacts):
    """What answering about texts needs to know."""

    classes: list[str]
    exclusive: bool  # whether each text has exactly one class
    text_column: str  # that the training texts were read from; empty where it was guessed


def serving_model(
    network: keras.Model, splits: "TextSplits", reference: TfidfReference, text_column: str = ""
) -> ServingModel:
    """Return the network behind tokens and TF-IDF, and in front of labels.

    Its input is `(batch,)` strings; it answers with a dict of `label` `(batch,)` strings,
    `probability` `(batch,)` and `probabilities` `(batch, classes)`.
    """
    text = keras.Input((), dtype="string", name="text")
    unit, lower = splits.tokenization.unit, splits.tokenization.lower
    to_ids = TokenIds(list(splits.vocabulary), splits.length, unit, lower, name="ids")
    inputs = {TOKENS: to_ids(text)}
    if predict.needs_start_logits(network):
        inputs[START_LOGITS] = reference.model(splits).layer()(text)
    if splits.exclusive:
        activation = keras.layers.Softmax(name="softmax")
    else:
        activation = keras.layers.Activation("sigmoid", name="sigmoid")
    answers = class_answers(activation(network(inputs)), splits.classes)
    return ServingModel(
        model=keras.Model(text, answers, name=predict.SERVED),
        facts=TextFacts(
            domain="text",
            classes=list(splits.classes),
            exclusive=splits.exclusive,
            text_column=text_column,
        ),
        notes=predict.describe_blend(network),
    )


def restore_network(serving: ServingModel, splits: "TextSplits") -> keras.Model:
    """Return the whole model, with its own tokens and its own TF-IDF: those of other splits know
    other texts.

    Raises:
        DataError: the data has other classes.
    """
    of_model, of_data = serving.facts.classes, list(splits.classes)
    if of_model != of_data:
        raise DataError(
            f"{splits.dataset}: the model was trained with classes {of_model}. "
            f"This data has {of_data}"
        )
    return serving.model


def predict_raw(serving: ServingModel, source: RawInput) -> pd.DataFrame:
    """Return one row a text: `text`, `label` (or `labels`, those above one half), `probability`,
    then each class' probability.

    `source` is a table with a column of texts, a .txt file with a text on each line, a folder of
    .txt files with a text each, or an array of strings.
    """
    facts: TextFacts = serving.facts
    texts = _texts(source, facts.text_column)
    if not len(texts):
        raise DataError("There is no text to answer. Expected at least one")
    probabilities = predict.predict_texts(serving.model, texts)
    frame = pd.DataFrame({"text": texts})
    if facts.exclusive:
        names = np.asarray(facts.classes, dtype=object)
        frame["label"] = names[probabilities.argmax(axis=1)]
    else:
        frame["labels"] = joined_names(probabilities > 0.5, facts.classes)
    frame["probability"] = probabilities.max(axis=1).round(DIGITS)
    return frame.join(probability_columns(probabilities, facts.classes))


def _texts(source: RawInput, text_column: str) -> np.ndarray:
    if isinstance(source, np.ndarray):
        return np.asarray([str(text) for text in source.ravel()], dtype=object)
    if isinstance(source, pd.DataFrame):
        return _column(source.rename(columns=str), text_column, "the table")
    path = Path(source)
    if path.is_dir():
        files = visible_files(path, (TEXT_SUFFIX,))
        return np.asarray([read_text(file) for file in files], dtype=object)
    if not path.is_file():
        raise DataError(
            f"{path}: no such file. Expected a table with a column of texts, a .txt file of lines, "
            "or a folder of .txt files"
        )
    if path.suffix.lower() == TEXT_SUFFIX:
        return np.asarray(read_lines(path), dtype=object)
    return _column(read_table(path, as_text=True).frame, text_column, str(path))


def _column(frame: pd.DataFrame, text_column: str, where: str) -> np.ndarray:
    if text_column in frame:
        return text_cells(frame, text_column)
    name = find_column(frame, "", TEXT_COLUMNS, role="text", flag="", where=where)
    if name is None and len(frame.columns) == 1:
        name = str(frame.columns[0])
        if " " in name.strip():
            raise DataError(
                f"{where}: its first line looks like a text, not like the name of a column. "
                f"Write `text` above it. Received: {name[:SHOWN_CHARACTERS]!r}"
            )
    if name is None:
        expected = ", ".join(TEXT_COLUMNS[:SHOWN_NAMES])
        raise DataError(
            f"{where}: has no column of texts. Expected one called {expected}. "
            f"Its columns: {', '.join(frame.columns)}"
        )
    return text_cells(frame, name)
