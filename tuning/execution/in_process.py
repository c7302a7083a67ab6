"""Trials one after the other in this very process: no start-up, no protection."""

from functools import partial

from tuning.execution.interface import TrialScheduler
from tuning.execution.trial import Work, run_trial


class InProcess:
    """An executor without processes of its own."""

    slots = 1

    def run(self, work: Work, scheduler: TrialScheduler) -> None:
        """Run trials until `scheduler` has no further ones."""
        while task := scheduler.next_task():
            outcome = run_trial(work, task, partial(scheduler.reported, task))
            scheduler.ended(task, outcome)

    def close(self) -> None:
        """Do nothing: nothing is held."""
