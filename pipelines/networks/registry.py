"""The architectures of a domain by name; each entry says what it is called, reads and builds.

Everything that has to know about an architecture asks here: the choices of `--architecture`, the
conditions of a search, the arithmetic of sizes, the network that is built. A new architecture is a
new entry and nothing else.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from pipelines.config.search_space import Conditions
from pipelines.errors import UsageError, suggest


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """What every entry has; a domain's subclass adds how its networks are measured and built.

    `reads` are the hyperparameters, by dotted key, that have an effect on the entry's network. Keys
    that no entry of the domain claims, such as `train.*`, matter for every architecture and are not
    listed. `weights_key` is the one that names the pretrained weights without which the network
    cannot be built; most need none.
    """

    name: str
    reads: frozenset[str]
    weights_key: str = ""


A = TypeVar("A", bound=Architecture)
AUTO = "auto"


class ArchitectureRegistry(Mapping[str, A], Generic[A]):
    """Entries by name, in the order in which they were added.

    With `usual`, `AUTO` may stand in place of a name: the pipeline decides by the data what it
    means (see `Pipeline.fit_defaults`), and where nothing has decided it means the entry `usual`.
    """

    def __init__(self, usual: str = "") -> None:
        self._entries: dict[str, A] = {}
        self.usual = usual

    def add(self, entry: A) -> A:
        """Add an entry.

        Raises:
            ValueError: its name is taken.
        """
        if entry.name in self._entries:
            raise ValueError(f"There is an architecture {entry.name!r} already")
        self._entries[entry.name] = entry
        return entry

    def __getitem__(self, name: str) -> A:
        if name == AUTO and self.usual:
            name = self.usual
        if name not in self._entries:
            known = ", ".join(self._entries)
            raise UsageError(
                f"There is no architecture {name!r}.{suggest(name, self._entries)} Known: {known}"
            )
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def is_decided(self, name: str) -> bool:
        """Whether `name` is that of an entry, and not `AUTO`."""
        return name in self

    def conditions(self, further: Conditions = MappingProxyType({})) -> Conditions:
        """Return, for each hyperparameter that only some architectures read, which ones do.

        `further` are conditions that must hold too.
        """
        readers: dict[str, list[str]] = {}
        for name, entry in self._entries.items():
            for key in entry.reads:
                readers.setdefault(key, []).append(name)
        conditions = {key: dict(other) for key, other in further.items()}
        for key, names in sorted(readers.items()):
            if len(names) < len(self._entries):
                # Whatever auto will mean may read it.
                auto = (AUTO,) if self.usual else ()
                by_architecture = {"architecture": (*auto, *names)}
                conditions[key] = {**by_architecture, **conditions.get(key, {})}
        return conditions


class WithAuto(Mapping[str, object]):
    """The names that a registry knows now, and `AUTO` before them."""

    def __init__(self, registry: ArchitectureRegistry[Any]) -> None:
        self._registry = registry

    def __getitem__(self, name: str) -> object:
        return self._registry[name]

    def __iter__(self) -> Iterator[str]:
        return iter((AUTO, *self._registry))

    def __len__(self) -> int:
        return 1 + len(self._registry)
