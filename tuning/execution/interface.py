"""Where trials run: an executor takes tasks from the scheduler and returns their outcomes.

The search's scheduler stays in one process. `InProcess` runs the trials there,
`tuning.execution.local_workers` in processes of their own, `tuning.execution.ray_cluster` on the
machines of a cluster.
"""

import statistics
from collections.abc import Mapping
from typing import Protocol

from tuning.execution.trial import Outcome, Task, Work

TRIALS_PER_PROCESS = 40  # then it is replaced: each trial leaves 8 MB behind
# A trial hangs when no epoch has ended for this many times the median epoch so far, and for at
# least so many seconds.
HANG_FACTOR = 20.0
FEWEST_SILENT_SECONDS = 900.0
# The same before any epoch of any trial has ended.
FIRST_SILENT_SECONDS = 4 * FEWEST_SILENT_SECONDS


class TrialScheduler(Protocol):
    """What hands out trials and learns from them."""

    def next_task(self) -> Task | None:
        """Return the next trial to start, or None if there is none now.

        None while no trial is running means that none will follow.
        """

    def reported(self, task: Task, epoch: int, values: Mapping[str, float]) -> str:
        """Take the metrics of an epoch of a running trial; return the reason to stop it, or ""."""

    def ended(self, task: Task, outcome: Outcome) -> None:
        """Take the outcome of a trial."""


class Executor(Protocol):
    """What runs trials, several at a time perhaps."""

    @property
    def slots(self) -> int:
        """How many trials can run at a time."""

    def run(self, work: Work, scheduler: TrialScheduler) -> None:
        """Run trials until `scheduler` has no further ones and all have ended.

        Raises:
            KeyboardInterrupt: running trials were given up, and nothing more is reported of them.
        """

    def close(self) -> None:
        """Give back what is held: processes, memory, connections."""


class HangDetector:
    """Detects which running trial hangs or takes too long, by the epochs that have ended so far.

    All moments are those of `time.monotonic()`.
    """

    def __init__(self, trial_seconds: float) -> None:
        self._trial_seconds = trial_seconds
        self._epoch_seconds: list[float] = []

    def add_epoch(self, seconds: float) -> None:
        """Take the duration of an epoch that has ended."""
        self._epoch_seconds.append(seconds)

    def longest_silence(self) -> float:
        """Return the seconds without a message after which a trial counts as hanging."""
        if not self._epoch_seconds:
            return FIRST_SILENT_SECONDS
        return max(FEWEST_SILENT_SECONDS, HANG_FACTOR * statistics.median(self._epoch_seconds))

    def reason_to_end(self, began: float, last_news: float, now: float) -> str:
        """Return why a trial is given up now, or "". `began` is infinite until it has begun."""
        if now - began > self._trial_seconds:
            return f"it took longer than {self._trial_seconds:.0f} s (--trial-time)"
        silence = now - last_news
        if silence > self.longest_silence():
            return f"no epoch ended for {silence:.0f} s: it hangs"
        return ""

    def deadline(self, began: float, last_news: float) -> float:
        """Return the moment at which a trial is given up if it has sent nothing until then."""
        return min(last_news + self.longest_silence(), began + self._trial_seconds)
