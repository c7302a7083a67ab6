"""Progress of a sweep, for whoever follows it.

`Progress` itself shows nothing; `apps.progress_display` shows it to a person.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tuning.results.sweep import Trial
    from tuning.search.ask_tell import Proposal


class Progress:
    """Is called with everything as it happens."""

    def begun(self, run_id: str, trials: int) -> None:
        """The sweep's run was started or resumed; at most this many trials will be run."""

    def started(self, proposal: "Proposal", epochs: int) -> None:
        """A trial was handed out."""

    def epoch(self, number: int, epoch: int, score: float) -> None:
        """A running trial has ended an epoch."""

    def ended(self, trial: "Trial", best: "Trial | None") -> None:
        """A trial is over; `best` is the best one so far."""

    def noted(self, text: str) -> None:
        """Something happened that a person should know, such as a retried trial."""

    def searched(self) -> None:
        """The trials are over; the winner is trained in full next."""

    def final_epoch(self, epoch: int, values: Mapping[str, float]) -> None:
        """The winner's training has ended an epoch."""
