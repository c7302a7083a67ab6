"""Where trials run. The search's scheduler stays in one process; an executor takes its tasks and
brings back what became of them.

`InProcess` runs them here, `tuning.execution.local_workers` in processes of their own,
`tuning.execution.ray_cluster` on the machines of a cluster.
"""

import statistics
from collections.abc import Mapping
from typing import Protocol

from tuning.execution.trial import Outcome, Task, Work

RECYCLED = 40  # trials of a process: 8 MB each are left behind
# A trial whose epoch takes this much longer than the median one so far, and longer than SILENT
# seconds, hangs.
HANGS, SILENT = 20.0, 900.0


class TrialScheduler(Protocol):
    """Who hands out trials and learns from them."""

    def next_task(self) -> Task | None:
        """Return the next trial to start, or None: nothing now, and nothing more once no trial is
        running.
        """

    def reported(self, task: Task, epoch: int, values: Mapping[str, float]) -> str:
        """Hear of an epoch of a running trial; return the reason to stop it, or nothing."""

    def ended(self, task: Task, outcome: Outcome) -> None:
        """Hear what became of a trial."""


class Executor(Protocol):
    """What runs trials, several at a time perhaps."""

    @property
    def slots(self) -> int:
        """How many trials can run at a time."""

    def run(self, work: Work, scheduler: TrialScheduler) -> None:
        """Run trials until `scheduler` has no further ones and all have ended.

        Raises:
            KeyboardInterrupt: running trials were given up, and are heard of no more.
        """

    def close(self) -> None:
        """Give back what is held: processes, memory, connections."""


class HangDetector:
    """Tells which running trial hangs or takes too long, from the epochs that have ended so far."""

    def __init__(self, trial_seconds: float) -> None:
        self._trial_seconds = trial_seconds
        self._epochs: list[float] = []

    def epoch(self, seconds: float) -> None:
        """Hear how long an epoch took."""
        self._epochs.append(seconds)

    def silence(self) -> float:
        """Return the seconds without news after which a trial hangs."""
        return max(SILENT, HANGS * statistics.median(self._epochs)) if self._epochs else 4 * SILENT

    def over(self, began: float, since: float, now: float) -> str:
        """Return why a trial that began then (infinite: not yet), and was last heard of `since`
        then, is given up, or nothing.
        """
        if now - began > self._trial_seconds:
            return f"it took longer than {self._trial_seconds:.0f} s (--trial-time)"
        return (
            f"no epoch ended for {now - since:.0f} s: it hangs"
            if now - since > self.silence()
            else ""
        )

    def until(self, began: float, since: float) -> float:
        """Return the moment at which it would be given up."""
        return min(since + self.silence(), began + self._trial_seconds)
