"""A trained network for its user: texts in, labels with probabilities out."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import keras
import numpy as np
import pandas as pd

from pipelines.config.options import PredictOptions
from pipelines.errors import ApplineError, DataError, shorten
from pipelines.evaluation.classification import DIGITS, joined_names, probability_columns
from pipelines.evaluation.drift import DRIFT, Seen, drift_of
from pipelines.io.answers import join_answers
from pipelines.io.picture_files import PICTURE
from pipelines.networks.models import class_answers
from pipelines.networks.plan import KerasTensor
from pipelines.pipeline import RawInput, RawRequest, RequestForm, ServingFacts, ServingModel
from pipelines.pretrained.sentences import pool
from pipelines.text import drift, explain, predict
from pipelines.text.input_names import ENCODER, PIECES, START_LOGITS, THRESHOLDS, TOKENS, VECTORS
from pipelines.text.inputs import Asked, Reader, add_errors
from pipelines.text.layers import AboveThresholds, TokenIds
from pipelines.text.options import TextPredictOptions
from pipelines.text.references import References
from pipelines.together import answer_together, only_answer

if TYPE_CHECKING:
    from pipelines.text.data import TextSplits

IDS = "ids"  # the layer of tokens in a served model
SHOWN_CLASSES = 10


@dataclass(frozen=True, kw_only=True)
class TextFacts(ServingFacts):
    """What answering about texts needs to know."""

    classes: list[str]
    exclusive: bool  # whether each text has exactly one class
    text_columns: list[str]  # that the training texts were read from; none if from no table
    # From which probability on a text has a class; empty where it has exactly one.
    thresholds: list[float]
    # Models that were saved before these were kept have none.
    seen: dict[str, Seen] = field(default_factory=dict)
    unknown_share: float = 0.0  # of the tokens of validation, the mean over its texts


def serving_model(
    network: keras.Model, splits: "TextSplits", references: References
) -> ServingModel:
    """Return the network behind tokens and TF-IDF, and in front of labels.

    Its input is `(batch,)` strings; its output is a dict of `label` `(batch,)` strings,
    `probability` `(batch,)` and `probabilities` `(batch, classes)`. Where a text may have several
    classes, `chosen` `(batch, classes)` is 1 for those above their thresholds, else 0.
    """
    text = keras.Input((), dtype="string", name="text")
    inputs = _read(text, network, splits)
    if predict.reads(network, START_LOGITS):
        inputs[START_LOGITS] = references.tfidf.model(splits).layer()(text)
    if splits.exclusive:
        activation = keras.layers.Softmax(name="softmax")
    else:
        activation = keras.layers.Activation("sigmoid", name="sigmoid")
    probabilities = activation(network(inputs))
    answers = class_answers(probabilities, splits.classes)
    thresholds: list[float] = []
    if not splits.exclusive:
        thresholds = predict.thresholds_of(network).tolist()
        above = AboveThresholds(name=THRESHOLDS)
        answers["chosen"] = above(probabilities)
        above.set_weights([np.asarray(thresholds)])
    return ServingModel(
        model=keras.Model(text, answers, name=predict.SERVED),
        facts=TextFacts(
            domain="text",
            classes=list(splits.classes),
            exclusive=splits.exclusive,
            text_columns=list(splits.text_columns),
            thresholds=thresholds,
            seen=drift.seen(splits),
            unknown_share=drift.mean_share(drift.unknown_shares(splits.ids["val"])),
        ),
        notes=predict.describe_blend(network),
    )


def _read(text: KerasTensor, network: keras.Model, splits: "TextSplits") -> dict[str, KerasTensor]:
    """Return what the network reads of texts `(batch,)`, by the name of its input."""
    settings = predict.encoded_by(network)
    if settings is None:
        unit, lower = splits.tokenization.unit, splits.tokenization.lower
        to_ids = TokenIds(list(splits.vocabulary), splits.length, unit, lower, name=IDS)
        return {TOKENS: to_ids(text)}
    encoder = settings.encoder()
    pieces = encoder.word_pieces(settings.length, PIECES)(text)
    if predict.reads(network, PIECES):
        return {PIECES: pieces}
    return {VECTORS: pool(encoder.network(ENCODER)(pieces), pieces, settings.pooling)}


def example(facts: TextFacts) -> pd.DataFrame:
    """Return two texts in the columns that the training texts were read from."""
    columns = facts.text_columns or ["text"]
    return pd.DataFrame({name: ["This is a text.", "And this is another."] for name in columns})


def request_form(facts: TextFacts) -> RequestForm:
    """Return the column that a text is typed into."""
    (field, *_) = facts.text_columns or ["text"]
    return RequestForm(kind="text", field=field, label="A text")


def restore_network(serving: ServingModel, splits: "TextSplits") -> keras.Model:
    """Return the whole model, with its own tokens and its own TF-IDF.

    Those of the splits were made from other texts.

    Raises:
        DataError: the data has other classes.
    """
    of_model, of_data = serving.facts.classes, list(splits.classes)
    if of_model != of_data:
        raise DataError(
            f"{splits.dataset}: the model was trained with the classes "
            f"{shorten(of_model, SHOWN_CLASSES)}. This data has {shorten(of_data, SHOWN_CLASSES)}"
        )
    return serving.model


def predict_raw(
    serving: ServingModel, source: RawInput, options: PredictOptions | None, notes: list[str]
) -> pd.DataFrame:
    """Return one row a text: what was given, `label`, `probability`, then each class's probability.

    With several labels a text, `labels` are those above their thresholds. `source` is a table with
    a column of texts, which keeps all its columns, a .txt file with a text on each line, a folder
    of .txt files with a text each, or an array of strings. A row without a text has no label, and
    the reason in the column `error`.
    """
    request = RawRequest(source=source, options=options, notes=notes)
    return only_answer(predict_many(serving, [request]))


def predict_many(
    serving: ServingModel, requests: Sequence[RawRequest]
) -> list[pd.DataFrame | ApplineError]:
    """Return what `predict_raw` returns or raises for each request; all texts go together."""

    def answer(read: Sequence[tuple[RawRequest, Asked]]) -> list[pd.DataFrame]:
        texts = np.concatenate([asked.texts for _, asked in read])
        probabilities = predict.predict_texts(serving.model, texts).astype(np.float64)
        tables, begin = [], 0
        for request, asked in read:
            end = begin + len(asked.texts)
            tables.append(_table(serving, request, asked, probabilities[begin:end]))
            begin = end
        return tables

    return answer_together(requests, lambda request: _read_request(serving.facts, request), answer)


def _read_request(facts: TextFacts, request: RawRequest) -> Asked:
    options = _own_options(request)
    reader = Reader(
        columns=options.text_column,
        trained_on=facts.text_columns,
        skip_unreadable=options.skip_unreadable,
        notes=request.notes,
    )
    asked = reader.read(request.source)
    if not len(asked.texts):
        raise DataError("There is no text to answer. Expected at least one")
    return asked


def _own_options(request: RawRequest) -> TextPredictOptions:
    options = request.options
    if isinstance(options, TextPredictOptions):
        return options
    return TextPredictOptions(skip_unreadable=options is not None and options.skip_unreadable)


def _table(
    serving: ServingModel, request: RawRequest, asked: Asked, probabilities: np.ndarray
) -> pd.DataFrame:
    """Return the answers to one request, beside what was asked."""
    options, notes = _own_options(request), request.notes
    answers = _answers(serving.facts, probabilities)
    drifted = _drift(serving, asked.texts, notes)
    if options.drift:
        answers[DRIFT] = drifted
    if options.explain:
        labels = probabilities.argmax(axis=1)
        found = explain.reasons(serving.model, asked.texts, labels)
        answers[explain.BECAUSE] = [reasons.tell() for reasons in found]
        if isinstance(options.explain, str):
            names = [serving.facts.classes[label] for label in labels]
            folder = Path(options.explain)
            answers[PICTURE] = explain.draw_all(asked.texts, found, names, folder, notes)
    answers = add_errors(answers, asked.errors, notes, always=options.skip_unreadable)
    return join_answers(asked.beside, answers)


def token_layer(served: keras.Model) -> TokenIds | None:
    """Return the layer of a served model that numbers tokens; an encoder's model has none."""
    return next((layer for layer in served.layers if layer.name == IDS), None)


def _drift(serving: ServingModel, texts: np.ndarray, notes: list[str]) -> np.ndarray:
    """Return how each text leaves what training has seen, "" where it does not: `(n,)`."""
    facts: TextFacts = serving.facts
    if not facts.seen:
        return np.full(len(texts), "", dtype=object)
    values = drift.measured(texts, token_layer(serving.model))
    drifted = drift_of(values, facts.seen, drift.MEASURES)
    notes += drift.notes(drifted, values[drift.UNKNOWN_SHARE], facts.unknown_share)
    return drifted


def _answers(facts: TextFacts, probabilities: np.ndarray) -> pd.DataFrame:
    """Return the answers to texts of these `probabilities` `(n, classes)`."""
    frame = pd.DataFrame(index=range(len(probabilities)))
    if facts.exclusive:
        names = np.asarray(facts.classes, dtype=object)
        frame["label"] = names[probabilities.argmax(axis=1)]
    else:
        above = probabilities > np.asarray(facts.thresholds)
        frame["labels"] = joined_names(above, facts.classes)
    frame["probability"] = probabilities.max(axis=1).round(DIGITS)
    return frame.join(probability_columns(probabilities, facts.classes))
