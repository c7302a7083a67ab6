"""The progress of a sweep: a live display on a terminal, one line for each trial on a pipe."""

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from apps import rendering, running_sweep
from apps.screen import Screen
from apps.work_line import WORK_LINE, terminal_columns
from tuning.search.progress import Progress

if TYPE_CHECKING:
    from rich.console import Group
    from rich.live import Live

    from pipelines.config.search_space import Scalar, Space
    from tuning.results.sweep import Trial
    from tuning.search.ask_tell import Proposal


@dataclass
class _RunningTrial:
    proposal: "Proposal"
    epochs: int
    epoch: int = 0
    score: float | None = None
    began: float = field(default_factory=time.monotonic)


class SweepDisplay(Progress):
    """Shows running trials with their epochs, the best so far, what is left, and what failed."""

    def __init__(
        self,
        screen: Screen,
        objective: str,
        *,
        slots: int = 1,
        max_seconds: float = float("inf"),
        final_epochs: int = 0,
        space: "Space[Any] | None" = None,
    ) -> None:
        self._screen = screen
        self._objective = objective
        self._slots = slots
        self._space = space
        self._max_seconds = max_seconds
        self._is_terminal = sys.stderr.isatty() and not screen.quiet
        self._live: Live | None = None
        self._running: dict[int, _RunningTrial] = {}
        self._done: list[Trial] = []
        self._best: Trial | None = None
        self._total = 0
        self._began = time.monotonic()
        self._final = screen.on_epoch(final_epochs, objective)

    def begun(self, run_id: str, trials: int) -> None:
        self._total = trials
        running_sweep.run_id = run_id
        self._screen.say(f"sweep      {run_id[:8] or '(not tracked)'}")
        if self._is_terminal:
            from rich.console import Console
            from rich.live import Live

            self._live = Live(
                console=Console(stderr=True, highlight=False),
                refresh_per_second=4,
                transient=True,
                get_renderable=self._render,
            )
            self._live.start()
            WORK_LINE.paused = True

    def started(self, proposal: "Proposal", epochs: int) -> None:
        self._running[proposal.number] = _RunningTrial(proposal, epochs)

    def epoch(self, number: int, epoch: int, score: float) -> None:
        if number in self._running:
            self._running[number].epoch = epoch
            self._running[number].score = score

    def ended(self, trial: "Trial", best: "Trial | None") -> None:
        self._running.pop(trial.number, None)
        self._done.append(trial)
        self._best = best
        shown = replace(trial, values=self._in_play(trial.values))
        self._print(rendering.trial_line(shown, best, self._total, self._objective))

    def _in_play(self, values: "Mapping[str, Scalar]") -> "Mapping[str, Scalar]":
        """Return the searched values that play a part in this network."""
        if self._space is None:
            return values
        return dict(self._space.identity(values))

    def noted(self, text: str) -> None:
        self._print(f"note       {text}")

    def searched(self) -> None:
        self.close()
        self._screen.say("training   the winner in full")

    def final_epoch(self, epoch: int, values: Mapping[str, float]) -> None:
        self._final(epoch, values)

    def close(self) -> None:
        """Restore the terminal, also after an error."""
        if self._live:
            self._live.stop()
            self._live = None
            WORK_LINE.paused = False

    def _print(self, text: str) -> None:
        if self._live:
            self._live.console.print(text, markup=False, soft_wrap=True)
        else:
            self._screen.say(text)

    def _render(self) -> "Group":
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, show_header=False)
        for number, trial in sorted(self._running.items()):
            score = "starting"
            if trial.score is not None:
                score = f"{self._objective} {trial.score:.4f}"
            table.add_row(
                f"  trial {number}",
                f"epoch {trial.epoch}/{trial.epochs}",
                score,
                rendering.watched(self._in_play(trial.proposal.values)),
                style="cyan",
            )
        return Group(
            Text(self._headline(), style="bold"),
            table,
            Text(WORK_LINE.text(columns=terminal_columns(sys.stderr))),
        )

    def _headline(self) -> str:
        parts = [f"{len(self._done)} of {self._total} trials"]
        if self._best and self._best.score is not None:
            best = (
                f"trial {self._best.number}: {rendering.watched(self._in_play(self._best.values))}"
            )
            parts.append(f"best {self._best.score:.4f} ({best})")
        num_stopped = sum(trial.stopped_early for trial in self._done)
        if num_stopped:
            parts.append(f"{num_stopped} stopped early")
        num_failed = sum(trial.score is None for trial in self._done)
        if num_failed:
            parts.append(f"{num_failed} failed")
        left = self._seconds_left()
        if left is not None:
            parts.append(f"about {rendering.clock(left)} left")
        return "  ".join(parts)

    def _seconds_left(self) -> float | None:
        """Return the seconds left, by the mean of the trials so far; None before the first."""
        seconds = [trial.seconds for trial in self._done if not trial.replayed]
        if not seconds:
            return None
        now = time.monotonic()
        mean = sum(seconds) / len(seconds)
        running = sum(max(0.0, mean - (now - trial.began)) for trial in self._running.values())
        num_waiting = max(0, self._total - len(self._done) - len(self._running))
        by_trials = (running + num_waiting * mean) / self._slots
        return min(by_trials, self._began + self._max_seconds - now)
