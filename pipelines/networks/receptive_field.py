"""How much of an example one feature of a network sees, beside what the data needs.

Kernel sizes, strides, dilations and depth decide it (Luo et al. 2016; Araujo et al. 2019). What is
pooled over all positions at the end, and what a dense layer reads of them, is still made of
features that each saw so much and no more.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from pipelines.config.search_space import flatten, replace
from pipelines.errors import ImpossibleSpec

S = TypeVar("S")
# What widens it, with the most by which it is raised in an advice.
WIDENING = {"conv.kernel_size": 24, "conv.blocks": 4, "conv.dilation": 6}
MOST_ADVICE = 2


@dataclass(frozen=True, kw_only=True)
class ReceptiveField:
    """What one feature sees of an example, in positions along one extent.

    `needs` is how much `what` has of them; `advice` are single changes with which that is seen.
    `is_noted` is false where networks that see less are as good as a rule, and nobody is told.
    """

    sees: int
    needs: int
    what: str
    unit: str
    advice: tuple[str, ...] = ()
    is_noted: bool = True

    @property
    def is_enough(self) -> bool:
        """Whether a feature sees what the data needs."""
        return self.sees >= self.needs

    def describe(self) -> str:
        """Return what is seen and needed, and what would help, in one line."""
        text = f"a feature sees {self.sees} {self.unit} at once; {self.what} has {self.needs}"
        if self.advice:
            text += f": {' or '.join(self.advice)}"
        return text

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return asdict(self)


def measure_field(
    spec: S,
    sees: Callable[[S], float],
    needs: int,
    *,
    what: str,
    unit: str,
    is_noted: bool = True,
) -> ReceptiveField:
    """Return what a feature of the network `spec` sees, with advice where that is too little.

    `sees` returns what one of any spec does, and raises `ImpossibleSpec` where there is no such
    network.
    """
    seen = int(sees(spec))
    advice = _advice(spec, needs, sees) if seen < needs else ()
    return ReceptiveField(
        sees=seen, needs=needs, what=what, unit=unit, advice=advice, is_noted=is_noted
    )


def _advice(spec: S, needs: int, sees: Callable[[S], float]) -> tuple[str, ...]:
    """Return single changes of `spec` with which a feature sees as much as is needed.

    A kernel of odd size stays one of odd size: it has a middle.
    """
    values = flatten(spec)
    found: list[str] = []
    for key, most in WIDENING.items():
        value = values.get(key)
        if not isinstance(value, int):
            continue
        step = 2 if key == "conv.kernel_size" and value % 2 else 1
        for candidate in range(value + step, value + most + 1, step):
            if _suffices(replace(spec, {key: candidate}), needs, sees):
                found.append(f"{key}={candidate}")
                break
    return tuple(found[:MOST_ADVICE])


def _suffices(spec: S, needs: int, sees: Callable[[S], float]) -> bool:
    try:
        return sees(spec) >= needs
    except ImpossibleSpec:
        return False
