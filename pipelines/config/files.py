"""Options, a spec and a search as one YAML file: what `--config` reads and what every run keeps.

data: digits
seed: 42
conv:
  kernel_size: 5
search:
  conv.filters: 16,32,64
"""

import io
import re
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.config.options import Options
from pipelines.config.search_space import (
    Dimension,
    Hyperparameter,
    Scalar,
    flatten,
    hyperparameters,
    parse_dimension,
)
from pipelines.errors import UsageError, suggest

if TYPE_CHECKING:
    from ruamel.yaml.error import MarkedYAMLError

SEARCH = "search"
LARGEST_FILE = 64 * 2**10  # bytes: read in about a second
EXAMPLE = "train: {epochs: 3}"
OF_TOML = re.compile(r"^\s*(\[[\w.]+\]|[\w.]+ *= *\S)", re.MULTILINE)
SHOWN = 60  # characters of a line that is refused
DEEPEST = 10  # levels; a hyperparameter lies on the second or third


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One value from a file, with the place it came from."""

    key: str
    value: object
    where: str


@dataclass(frozen=True, kw_only=True)
class ConfigFile:
    """What a file says: options, hyperparameters by dotted key, and what to search.

    Options are those of the domain and those of the command.
    """

    options: Mapping[str, Setting]
    hyperparameters: Mapping[str, Setting]
    search: Mapping[str, Setting]
    ignored: Sequence[Setting] = ()  # options of other commands


def read_config(
    path: Path,
    options_type: type[Options],
    option_names: Set[str],
    options_of_others: Set[str] = frozenset(),
) -> ConfigFile:
    """Read a YAML file, by YAML 1.2: `1e-4` is a number and `no` is a text.

    Args:
        path: the file.
        options_type: the options class of the domain.
        option_names: every option that the command takes, the domain's own included.
        options_of_others: options that only other commands take: a file may serve several.

    Raises:
        UsageError: there is no such file, it is no YAML, or a key is unknown; the message names the
            line and the nearest key.
    """
    known = hyperparameters(options_type.spec_type)
    options: dict[str, Setting] = {}
    values: dict[str, Setting] = {}
    search: dict[str, Setting] = {}
    ignored: list[Setting] = []
    for setting in _settings(path):
        if setting.key.startswith(f"{SEARCH}."):
            key = setting.key.removeprefix(f"{SEARCH}.")
            if key not in known:
                hint = suggest(key, known)
                raise UsageError(f"{setting.where}: there is no hyperparameter {key!r}.{hint}")
            search[key] = Setting(key=key, value=setting.value, where=setting.where)
            _require_dimension(known[key], search[key])
        elif setting.key in option_names:
            options[setting.key] = setting
        elif setting.key in known:
            require_fitting(known[setting.key], setting)
            values[setting.key] = setting
        elif setting.key in options_of_others:
            ignored.append(setting)
        else:
            hint = suggest(setting.key, [*option_names, *known, SEARCH])
            verb = f"appline {options_type.domain} train"
            listed = hint or f" List what there is: {verb} --help-set, and {verb} --help"
            raise UsageError(f"{setting.where}: unknown key {setting.key!r}.{listed}")
    return ConfigFile(options=options, hyperparameters=values, search=search, ignored=ignored)


def require_fitting(hyperparameter: Hyperparameter, setting: Setting) -> None:
    """Refuse a value that is none of this hyperparameter's, by the line where it stands.

    Raises:
        UsageError: it says what was expected.
    """
    try:
        hyperparameter.parse(setting.value)
    except UsageError as error:
        raise UsageError(f"{setting.where}: {error}") from None


def _require_dimension(hyperparameter: Hyperparameter, setting: Setting) -> None:
    try:
        parse_dimension(hyperparameter, str(setting.value))
    except UsageError as error:
        raise UsageError(f"{setting.where}: {error}") from None


def _settings(path: Path) -> list[Setting]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    text = _read(path)
    try:
        _require_plain(text, path)
        # The round-trip loader alone remembers the line of each key.
        loaded = YAML(typ="rt").load(text)
    except MarkedYAMLError as error:
        raise UsageError(_not_yaml(path, text, error)) from None
    except YAMLError as error:  # a character that no YAML holds
        reason = str(error).splitlines()[0]
        raise UsageError(f"{path}: is not a YAML file: {reason}") from None
    except UsageError:
        raise
    except ValueError:  # Python's own limit: a number of thousands of digits
        raise UsageError(f"{path}: holds a number that is too long to be one") from None
    if loaded is None:
        return []
    if not isinstance(loaded, Mapping):
        raise UsageError(
            f"{path}: expected keys with values, such as {EXAMPLE}. Received: {_kind(loaded)}"
        )
    return list(_leaves(loaded, path))


def _not_yaml(path: Path, text: str, error: "MarkedYAMLError") -> str:
    """Return what is wrong with a file that is no YAML, and with which line."""
    from ruamel.yaml.constructor import DuplicateKeyError

    lines = text.splitlines() or [""]
    number = min(error.problem_mark.line + 1 if error.problem_mark else 1, len(lines))
    line = lines[number - 1].rstrip()
    if path.suffix.lower() == ".toml" or OF_TOML.search(text):
        return (
            f"{path}: looks like TOML. Expected YAML, in which a group and its keys are written "
            f"as {EXAMPLE}"
        )
    if line.lstrip(" ").startswith("\t"):
        return f"{path}: line {number}: begins with a tab. Expected blanks, two for each level"
    if isinstance(error, DuplicateKeyError):
        return (
            f"{path}: line {number}: {line.strip()[:SHOWN]!r}: this key stands above already. "
            "Leave one of them out"
        )
    return (
        f"{path}: line {number}: is not YAML: {line.strip()[:SHOWN]!r}. "
        f"Expected keys with values, such as {EXAMPLE}"
    )


def _kind(loaded: object) -> str:
    return "a list" if isinstance(loaded, list) else f"the text {str(loaded)[:40]!r}"


def _read(path: Path) -> str:
    if path.exists() and not path.is_file():
        raise UsageError(f"--config {path}: is not a regular file")
    if not path.is_file():
        raise UsageError(f"--config {path}: no such file")
    size = path.stat().st_size
    if size > LARGEST_FILE:
        raise UsageError(
            f"--config {path}: has {size:,} bytes. Expected at most {LARGEST_FILE:,}: "
            "a config file holds options and hyperparameters, not data"
        )
    raw = path.read_bytes()
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise UsageError(f"{path}: line {line}: is not UTF-8. Save the file as UTF-8") from None


def _require_plain(text: str, path: Path) -> None:
    """Refuse deep nesting, a second document, and anchors and aliases.

    The last can unfold to more than fits in memory.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml import tokens as yaml_tokens

    opening = (
        yaml_tokens.BlockMappingStartToken,
        yaml_tokens.BlockSequenceStartToken,
        yaml_tokens.FlowMappingStartToken,
        yaml_tokens.FlowSequenceStartToken,
    )
    closing = (
        yaml_tokens.BlockEndToken,
        yaml_tokens.FlowMappingEndToken,
        yaml_tokens.FlowSequenceEndToken,
    )
    before = (yaml_tokens.StreamStartToken, yaml_tokens.DirectiveToken)
    depth = 0
    has_begun = False
    # Scanned before it is loaded: loading would unfold the aliases.
    for token in YAML(typ="rt").scan(text):
        line = token.start_mark.line + 1
        if isinstance(token, yaml_tokens.AliasToken | yaml_tokens.AnchorToken):
            raise UsageError(
                f"{path}: line {line}: anchors (&) and aliases (*) are not read. "
                "Write the value where it belongs"
            )
        if isinstance(token, yaml_tokens.DocumentStartToken) and has_begun:
            raise UsageError(
                f"{path}: line {line}: a second document begins (---). A config file holds one. "
                "Save each as a file of its own: --config FILE --config FILE"
            )
        has_begun = has_begun or not isinstance(token, before)
        depth += isinstance(token, opening) - isinstance(token, closing)
        if depth > DEEPEST:
            raise UsageError(f"{path}: line {line}: is nested more than {DEEPEST} levels deep")


def _leaves(node: Any, path: Path, prefix: str = "") -> Iterator[Setting]:
    """Yield every value of a mapping that ruamel.yaml read, under its dotted key, with its line."""
    for key, value in node.items():
        dotted = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _leaves(value, path, prefix=f"{dotted}.")
            continue
        line = node.lc.key(key)[0] + 1
        plain = value
        if isinstance(value, list):
            plain = ",".join(map(str, value))
        elif not isinstance(value, bool | int | float | str | None):
            plain = str(value)  # a date, which no option takes as such
        yield Setting(key=dotted, value=plain, where=f"{path}: line {line}")


def run_params(options: Options, spec: object) -> dict[str, Scalar]:
    """Return the parameters that MLflow shows: every option and every hyperparameter."""
    return {**options.as_params(), **flatten(spec)}


def write_config(
    options: Options, spec: object, search: Mapping[str, Dimension] | None = None
) -> str:
    """Return the YAML text that `read_config` reads back: the same options, spec and search."""
    from ruamel.yaml import YAML

    nested: dict[str, Any] = dict(options.as_params())
    for key, value in flatten(spec).items():
        *groups, name = key.split(".")
        level = nested
        for group in groups:
            level = level.setdefault(group, {})
        level[name] = value
    if search:
        nested[SEARCH] = {key: str(dimension) for key, dimension in search.items()}
    stream = io.StringIO()
    YAML().dump(nested, stream)
    return f"# appline {options.domain} train --config THIS\n{stream.getvalue()}"
