"""Options of the line domain; nothing heavy is imported."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pipelines.config.options import DemoSweep, Objective, Options, option
from pipelines.config.search_space import Choice, Dimension
from tests.line_domain.spec import LineSpec


@dataclass(frozen=True, kw_only=True)
class LineOptions(Options):
    """Points on a noisy line."""

    data: str = option("line", "the only data there is")

    domain: ClassVar[str] = "line"
    spec_type: ClassVar[type[Any]] = LineSpec
    headline: ClassVar[Objective] = Objective(name="mse", direction="min")
    objectives: ClassVar[tuple[Objective, ...]] = (
        Objective(name="val_loss", direction="min"),
        Objective(name="val_mae", direction="min"),
    )
    search: ClassVar[Mapping[str, Dimension]] = {
        "units": Choice((2, 4, 8)),
        "train.learning_rate": Choice((0.01, 0.05)),
    }
    datasets: ClassVar[Mapping[str, str]] = {"line": "points on a noisy line"}
    demo: ClassVar[DemoSweep] = DemoSweep(
        trials=2, trial_epochs=2, fixed={}, searched={"units": Choice((2, 4))}
    )
