"""A served model as one file: a `model.keras` that Keras loads, with the model's facts inside."""

import dataclasses
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from pipelines import DOMAINS, pipeline_class
from pipelines.errors import DataError
from pipelines.pipeline import ServingFacts, ServingModel

# Keras passes over a member of its file that it does not know.
FACTS_MEMBER = "appline.json"


def write_model(serving: ServingModel, path: Path) -> None:
    """Write `serving` to the file `path`, whose name ends in .keras."""
    serving.model.save(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(FACTS_MEMBER, json.dumps(facts_as_json(serving)))


def read_model(path: Path) -> ServingModel:
    """Read a file that `write_model` wrote.

    Raises:
        DataError: there is no such file, or appline did not write it.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such model file. Expected a model.keras that appline saved")
    try:
        with zipfile.ZipFile(path) as archive:
            content = json.loads(archive.read(FACTS_MEMBER))
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise DataError(f"{path}: is not a model.keras that appline saved ({error})") from error
    facts = read_facts(content, str(path))
    # The import above has registered the layers that the file holds: Keras loads it only then.
    return ServingModel(model=keras.saving.load_model(path, compile=False), facts=facts)


def facts_as_json(serving: ServingModel) -> dict[str, Any]:
    """Return the facts of a served model as plain data."""
    return dataclasses.asdict(serving.facts)


def read_facts(content: Any, where: str) -> ServingFacts:
    """Return the facts that `facts_as_json` gave, as the type of their domain.

    As a side effect, the layers of the domain are registered with Keras.

    Raises:
        DataError: these are not facts of a domain that this version knows; `where` names the file.
    """
    from pydantic import TypeAdapter, ValidationError

    domain = content.get("domain") if isinstance(content, Mapping) else None
    if domain not in DOMAINS:
        known = ", ".join(DOMAINS)
        raise DataError(f"{where}: is a model of the domain {domain!r}. Known: {known}")
    facts_type = pipeline_class(domain).facts_type
    try:
        facts: ServingFacts = TypeAdapter(facts_type).validate_python(content)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise DataError(
            f"{where}: its facts do not fit this version of appline: {key}: {first['msg']}"
        ) from None
    return facts
