"""Trials of the line domain and a scheduler of them: what the tests of executors share."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipelines.config.search_space import replace
from tests.line_domain.options import LineOptions
from tests.line_domain.pipeline import LinePipeline
from tests.line_domain.spec import LineSpec
from tuning.execution.trial import Outcome, Task, Work

PIPELINE = LinePipeline(LineOptions())
WORK = Work(pipeline=PIPELINE, splits=PIPELINE.load(), objective=PIPELINE.options.objective())


def line_task(number: int, mode: str = "fine", epochs: int = 2) -> Task:
    spec = replace(LineSpec(), {"mode": mode, "train.epochs": epochs})
    return Task(number=number, spec=spec, seed=number)


@dataclass
class TaskList:
    """A scheduler that hands out the tasks it was given and keeps what is reported.

    It stops every trial at the epoch `stop_at`.
    """

    tasks: list[Task]
    stop_at: int = 0
    epochs: list[tuple[int, int]] = field(default_factory=list)
    outcomes: dict[int, Outcome] = field(default_factory=dict)

    def next_task(self) -> Task | None:
        return self.tasks.pop(0) if self.tasks else None

    def reported(self, task: Task, epoch: int, values: Mapping[str, float]) -> str:
        self.epochs.append((task.number, epoch))
        return "enough" if epoch == self.stop_at else ""

    def ended(self, task: Task, outcome: Outcome) -> None:
        self.outcomes[task.number] = outcome
