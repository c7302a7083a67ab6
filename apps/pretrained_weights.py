"""`appline text encoders`, `appline vision backbones` and `appline cache`: what others learned.

Which pretrained weights there are, which of them are on this machine, and what is kept of them.
"""

from datetime import datetime

import click

from apps import rendering
from apps.resolve import ResolvedCommand
from apps.screen import Screen
from pipelines.config.options import Options
from pipelines.errors import UsageError, suggest
from pipelines.networks.registry import AUTO
from pipelines.pretrained import feature_cache, weights
from pipelines.pretrained.catalogue import CATALOGUE, Kind, KnownWeights, names

COLUMNS = ("name", "on this machine", "size", "licence", "languages", "what it is")
BYTES_A_MEGABYTE = 1_000_000


def list_weights(kind: Kind, screen: Screen) -> None:
    """Print the known weights of a kind: size, licence, and whether they are on this machine."""
    lines, plain = [], []
    for name in names(kind):
        known = CATALOGUE[name]
        is_here = weights.is_here(name)
        size = f"{known.megabytes} MB"
        where = "yes" if is_here else "no"
        lines.append((name, where, size, known.licence, known.languages or "-", known.what))
        plain.append(_as_json(known, is_here))
    text = rendering.table(COLUMNS, lines)
    missing = [name for name in names(kind) if not weights.is_here(name)]
    if missing:
        text = f"{text}\nBring one: {weights.COMMANDS[kind]} --fetch {missing[0]}"
    screen.result(text, {f"{kind}s": plain})


def fetch_weights(name: str, kind: Kind, screen: Screen) -> None:
    """Bring the weights called `name` to this machine, unless they are there.

    Raises:
        UsageError: there are none of this name; the nearest one is given.
        ExternalFailure, DataError: see `pipelines.pretrained.fetch`.
    """
    from pipelines.pretrained.fetch import fetch

    if name not in names(kind):
        known_names = ", ".join(names(kind))
        raise UsageError(
            f"--fetch: there is no {kind} {name!r}.{suggest(name, names(kind))} "
            f"Known: {known_names}"
        )
    known = CATALOGUE[name]
    was_here = weights.is_here(name)
    if not was_here:
        with screen.progress():
            fetch(known)
    folder = weights.folder_of(known)
    done = "is on this machine already" if was_here else "is on this machine now"
    screen.result(f"{name} {done}: {folder}", _as_json(known, True))


def undecided_by_check(command: ResolvedCommand, options_type: type[Options]) -> str:
    """Return what `check` says of an architecture that `train` decides by minutes of work.

    It is empty where nothing is to be decided: no pretrained weights are on this machine, or a
    person has set the architecture or what only some of them read.
    """
    kind = options_type.pretrained
    here = [name for name in names(kind) if weights.is_here(name)] if kind else []
    conditions = options_type.conditions
    is_set = any("architecture" in conditions.get(key, {}) for key in command.given)
    if not here or is_set or command.spec.architecture != AUTO:
        return ""
    return (
        f"architecture=auto: train tries on validation whether {here[0]} helps, which may take "
        "minutes"
    )


def show_cache(clear: bool, screen: Screen) -> None:
    """Print the features that are kept, or remove them."""
    if clear:
        freed = feature_cache.clear_features()
        text = f"Removed: {_megabytes(freed)} of features. They are computed anew when needed"
        screen.result(text, {"freed_bytes": freed})
        return
    kept = feature_cache.kept_features()
    folder = feature_cache.features_folder()
    plain = [{"file": file.path.name, "bytes": file.size, "used": file.used} for file in kept]
    if not kept:
        screen.result(f"No features are kept in {folder}", {"folder": folder, "features": plain})
        return
    lines = []
    for file in kept:
        used = datetime.fromtimestamp(file.used).strftime("%Y-%m-%d %H:%M")
        lines.append((file.path.name, _megabytes(file.size), used))
    total = _megabytes(sum(file.size for file in kept))
    text = (
        f"{rendering.table(('features', 'size', 'last used'), lines)}\n"
        f"{total} in {folder}. Remove them: appline cache --clear"
    )
    screen.result(text, {"folder": folder, "features": plain})


def command_of(kind: Kind) -> click.Command:
    """Return the command that lists the weights of a kind, and brings them with `--fetch`."""

    def call(fetch: str, json: bool) -> None:
        screen = Screen(json=json)
        if fetch:
            fetch_weights(fetch, kind, screen)
        else:
            list_weights(kind, screen)

    return click.Command(
        f"{kind}s",
        callback=call,
        params=[
            click.Option(["--fetch"], default="", metavar="NAME", help="bring these weights"),
            click.Option(["--json"], is_flag=True, help="print one JSON object"),
        ],
        help=f"List the pretrained {kind}s that are known, and those on this machine.",
    )


def _megabytes(size: int) -> str:
    return f"{size / BYTES_A_MEGABYTE:,.1f} MB"


def _as_json(known: KnownWeights, is_here: bool) -> dict[str, object]:
    return {
        "name": known.name,
        "here": is_here,
        "folder": str(weights.folder_of(known)),
        "package": known.requirement,
        "megabytes": known.megabytes,
        "licence": known.licence,
        "languages": known.languages,
        "what": known.what,
    }
