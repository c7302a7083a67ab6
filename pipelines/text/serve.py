"""A trained network for its user: texts in, labels with probabilities out."""

from pathlib import Path
from typing import TYPE_CHECKING

import keras
import numpy as np
import pandas as pd

from pipelines.errors import DataError
from pipelines.io.paths import is_hidden
from pipelines.io.tables import find_column, read_table
from pipelines.io.text_files import read_lines, read_text
from pipelines.networks.models import class_answers
from pipelines.pipeline import ServingModel
from pipelines.text import blend, model
from pipelines.text.readers import TEXTS
from pipelines.text.tokens import TokenIds

if TYPE_CHECKING:
    from pipelines.text.data import TextSplits


def served(network: keras.Model, splits: "TextSplits", column: str = "") -> ServingModel:
    """Return the network behind tokens and the closed form, and in front of labels.

    Its input is `(batch,)` strings; it answers with a dict of `label` `(batch,)` strings, `probability` `(batch,)` and
    `probabilities` `(batch, classes)`. `column` is the one that the training texts were read from, empty where it was guessed.
    """
    text = keras.Input((), dtype="string", name="text")
    inputs = {
        "tokens": TokenIds(
            list(splits.vocabulary), splits.length, splits.unit, splits.lower, name="ids"
        )(text)
    }
    if "start" in {tensor.name for tensor in network.inputs}:
        inputs["start"] = splits.closed.layer()(text)
    activation = (
        keras.layers.Softmax(name="softmax")
        if splits.exclusive
        else keras.layers.Activation("sigmoid", name="sigmoid")
    )
    probabilities = activation(network(inputs))
    return ServingModel(
        model=keras.Model(text, class_answers(probabilities, splits.classes), name=model.SERVED),
        facts={
            "domain": "text",
            "classes": list(splits.classes),
            "column": column,
            "exclusive": splits.exclusive,
        },
        notes=blend.describe(network),
    )


def predict_raw(
    served: ServingModel, source: "str | Path | pd.DataFrame | np.ndarray"
) -> pd.DataFrame:
    """Return one row a text: `text`, `label` (or `labels`, those above one half), `probability`, then each class' probability.

    `source` is a table with a column of texts, a .txt file with a text on each line, a folder of .txt files with a text
    each, or an array of strings.
    """
    texts = _texts(source, served.facts["column"])
    if not len(texts):
        raise DataError("No text to answer for")
    classes = served.facts["classes"]
    chances = model.answers(served.model, texts)
    table = pd.DataFrame({"text": texts})
    if served.facts["exclusive"]:
        table["label"] = np.asarray(classes, dtype=object)[chances.argmax(axis=1)]
    else:
        table["labels"] = [
            "|".join(name for name, chance in zip(classes, row, strict=True) if chance > 0.5)
            for row in chances
        ]
    table["probability"] = chances.max(axis=1).round(5)
    return table.join(pd.DataFrame(chances.round(5), columns=[f"p({name})" for name in classes]))


def _texts(source: "str | Path | pd.DataFrame | np.ndarray", own: str) -> np.ndarray:
    if isinstance(source, np.ndarray):
        return np.asarray([str(text) for text in source.ravel()], dtype=object)
    if isinstance(source, pd.DataFrame):
        return _column(source.rename(columns=str), own, "the table")
    path = Path(source)
    if path.is_dir():
        files = sorted(file for file in path.rglob("*.txt") if not is_hidden(file, path))
        return np.asarray([read_text(file) for file in files], dtype=object)
    if not path.is_file():
        raise DataError(
            f"{path}: no such file. Expected a table with a column of texts, a .txt file of lines, or a folder of .txt files"
        )
    if path.suffix.lower() == ".txt":
        return np.asarray(read_lines(path), dtype=object)
    return _column(read_table(path, as_texts=True), own, str(path))


def _column(table: pd.DataFrame, own: str, where: str) -> np.ndarray:
    name = own if own in table else find_column(table, "", TEXTS, role="text", flag="", where=where)
    if name is None and len(table.columns) == 1:
        name = table.columns[0]
        if " " in name.strip():
            raise DataError(
                f"{where}: its first line looks like a text, not like a column's name. Write `text` above it. Received: {name[:60]!r}"
            )
    if name is None:
        raise DataError(
            f"{where}: has no column of texts. Expected one called {', '.join(TEXTS[:6])}. Its columns: {', '.join(table.columns)}"
        )
    return np.asarray(table[name].fillna("").astype(str), dtype=object)


def restore_network(served: ServingModel, splits: "TextSplits") -> keras.Model:
    """Return the whole model, with its own tokens and its own closed form: those of other splits know other texts.

    Raises:
        DataError: other classes.
    """
    its, here = served.facts["classes"], list(splits.classes)
    if its != here:
        raise DataError(f"{splits.dataset}: the model knows classes {its}. This data has {here}")
    return served.model
