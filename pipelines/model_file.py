"""A served model as one file: a `model.keras` that Keras loads, with the model's facts inside."""

import dataclasses
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from pipelines import DOMAINS, pipeline_class
from pipelines.errors import DataError
from pipelines.pipeline import ServingFacts, ServingModel

if TYPE_CHECKING:
    import keras

# Keras passes over a member of its file that it does not know.
FACTS_MEMBER = "appline.json"
# A member may grow this much when it is unpacked, or to this many bytes, whichever is more. Keras
# stores members as they are, and JSON shrinks to a tenth: what grows a thousandfold is a bomb.
MOST_GROWTH = 50
SMALL_MEMBER = 64 * 2**20
SHOWN_REASON = 200  # characters of what Keras says


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
    facts = read_facts(_read_content(path), str(path))
    return ServingModel(model=read_network(path), facts=facts)


def domain_of(path: Path) -> str:
    """Return the domain of a file that `write_model` wrote; neither Keras nor weights are loaded.

    Raises:
        DataError: there is no such file, or appline did not write it.
    """
    return _domain_in(_read_content(path), str(path))


def _read_content(path: Path) -> Any:
    if not path.is_file():
        raise DataError(f"{path}: no such model file. Expected a model.keras that appline saved")
    try:
        with zipfile.ZipFile(path) as archive:
            _require_sane_sizes(archive, path)
            return json.loads(archive.read(FACTS_MEMBER))
    except (zipfile.BadZipFile, KeyError, ValueError, RecursionError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: is not a model.keras that appline saved ({error})") from error


def _domain_in(content: Any, where: str) -> str:
    domain = content.get("domain") if isinstance(content, Mapping) else None
    if not isinstance(domain, str) or domain not in DOMAINS:
        known = ", ".join(DOMAINS)
        raise DataError(f"{where}: is a model of the domain {domain!r}. Known: {known}")
    return domain


def read_network(path: Path) -> "keras.Model":
    """Return the Keras model in a file whose layers are registered (see `read_facts`).

    Raises:
        DataError: it holds a class that this version does not know, a Lambda, or broken weights.
    """
    import keras

    try:
        return keras.saving.load_model(path, compile=False)
    except Exception as error:  # Keras raises ValueError, TypeError, KeyError, OSError and more
        first_line = f"{type(error).__name__}: {error}".splitlines()[0]
        raise DataError(
            f"{path}: Keras cannot load the network in it ({first_line[:SHOWN_REASON]}). "
            "Expected a model.keras that this version of appline saved"
        ) from error


def _require_sane_sizes(archive: zipfile.ZipFile, path: Path) -> None:
    """Refuse members that would fill the memory when they are unpacked."""
    for member in archive.infolist():
        most = max(SMALL_MEMBER, MOST_GROWTH * member.compress_size)
        if member.file_size > most:
            raise DataError(
                f"{path}: its member {member.filename} would grow from {member.compress_size:,} to "
                f"{member.file_size:,} bytes; no model that appline saved does that"
            )


def facts_as_json(serving: ServingModel) -> dict[str, Any]:
    """Return the facts of a served model as plain data."""
    return dataclasses.asdict(serving.facts)


def read_facts(content: Any, where: str) -> ServingFacts:
    """Return the facts that `facts_as_json` gave, as the type of their domain.

    As a side effect, the layers of the domain are registered with Keras.

    Raises:
        DataError: these are not facts of a domain that this version knows; `where` names the file.
    """
    facts_type = pipeline_class(_domain_in(content, where)).facts_type
    try:
        facts: ServingFacts = TypeAdapter(facts_type).validate_python(content)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise DataError(
            f"{where}: its facts do not fit this version of appline: {key}: {first['msg']}"
        ) from None
    return facts
