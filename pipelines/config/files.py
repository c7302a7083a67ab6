"""A pipeline's options, a spec and a search as one YAML file: what `--config` reads and what every run keeps.

data: digits
seed: 42
conv:
  kernel_size: 5
search:
  conv.filters: 16,32,64
"""

import dataclasses
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.config.search_space import Dimension, Scalar, flatten, hyperparameters
from pipelines.errors import UsageError, suggest
from pipelines.pipeline import Pipeline


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One value from a file, with the place it came from."""

    key: str
    value: object
    where: str


@dataclass(frozen=True, kw_only=True)
class Config:
    """What a file says: options of the pipeline or the command, hyperparameters by dotted key, and what to search."""

    options: Mapping[str, Setting]
    hyperparameters: Mapping[str, Setting]
    search: Mapping[str, Setting]


def read(path: Path, pipeline: type[Pipeline[Any, Any]], options: set[str]) -> Config:
    """Read a YAML file; 1.2, so that `1e-4` is a number and `no` is a text.

    Raises:
        UsageError: no such file, no YAML, or a key that nobody knows; the message names the line and the nearest key.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError

    if not path.is_file():
        raise UsageError(f"--config {path}: no such file")
    try:
        loaded = YAML(typ="rt").load(path.read_text("utf-8"))
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise UsageError(f"{path}: line {line}: {error.problem or error.context}") from None
    if loaded is None:
        return Config(options={}, hyperparameters={}, search={})
    if not isinstance(loaded, Mapping):
        raise UsageError(f"{path}: expected keys with values. Received: a {type(loaded).__name__}")
    known = hyperparameters(pipeline.spec_type)
    search = {setting.key: setting for setting in (_leaves(loaded["search"], path) if loaded.get("search") else ())}
    rest = [setting for setting in _leaves(loaded, path) if not setting.key.startswith("search.")]
    for setting in rest:
        if setting.key not in known and setting.key not in options:
            hint = suggest(setting.key, [*options, *known, "search"])
            raise UsageError(f"{setting.where}: unknown key {setting.key!r}.{hint}")
    for setting in search.values():
        if setting.key not in known:
            raise UsageError(f"{setting.where}: no hyperparameter is called {setting.key!r}.{suggest(setting.key, known)}")
    return Config(
        options={setting.key: setting for setting in rest if setting.key in options},
        hyperparameters={setting.key: setting for setting in rest if setting.key in known},
        search=search,
    )


def _leaves(node: Any, path: Path, prefix: str = "") -> Iterator[Setting]:
    """Yield every value of a mapping that ruamel.yaml read, under its dotted key, with its line."""
    for key, value in node.items():
        dotted = f"{prefix}{key}"
        line = node.lc.key(key)[0] + 1
        if isinstance(value, Mapping):
            yield from _leaves(value, path, prefix=f"{dotted}.")
        else:
            plain = ",".join(map(str, value)) if isinstance(value, list) else value
            yield Setting(key=dotted, value=plain, where=f"{path}: line {line}")


def options_of(pipeline: Pipeline[Any, Any]) -> dict[str, Scalar]:
    """Return a pipeline's options by name: parameters of every run."""
    return {field.name: getattr(pipeline, field.name) for field in dataclasses.fields(pipeline)}


def params(pipeline: Pipeline[Any, Any], spec: object) -> dict[str, Scalar]:
    """Return what MLflow shows as parameters: every option and every hyperparameter."""
    return {**options_of(pipeline), **flatten(spec)}


def write(pipeline: Pipeline[Any, Any], spec: object, search: Mapping[str, Dimension] | None = None) -> str:
    """Return the YAML text that `read` takes back: the same pipeline, spec and search."""
    from ruamel.yaml import YAML

    nested: dict[str, Any] = dict(options_of(pipeline))
    for key, value in flatten(spec).items():
        place = nested
        *groups, name = key.split(".")
        for group in groups:
            place = place.setdefault(group, {})
        place[name] = value
    if search:
        nested["search"] = {key: str(domain) for key, domain in search.items()}
    stream = io.StringIO()
    YAML().dump(nested, stream)
    return f"# appline {pipeline.domain} train --config THIS\n{stream.getvalue()}"
