"""Replay of an ended sweep on hand-made records: no network is trained."""

import pytest

from pipelines.config.search_space import Choice, Scalar
from pipelines.errors import UsageError
from tests.line_domain.options import LineOptions
from tests.line_domain.pipeline import LinePipeline
from tests.line_domain.spec import LineSpec
from tuning.search.ask_tell import Proposal
from tuning.search.definition import Sweep, SweepDefinition
from tuning.search.early_stopping import create_stopper
from tuning.search.progress import Progress
from tuning.search.resume import RecordedTrials, Replay
from tuning.search.scheduler import Budget, SweepScheduler
from tuning.search.trial_records import RESULT_NUMBER, RESULTS_KNOWN, TRIAL
from tuning.tracking.interface import NullRun, NullTracker, Row

OPTIONS = LineOptions()
PIPELINE = LinePipeline(OPTIONS)
SWEEP_ID = "8b647e54aaaa"


def create_scheduler() -> SweepScheduler:
    """Return a scheduler of a random sweep over hidden units that has done nothing yet."""
    objective = OPTIONS.objective()
    definition = SweepDefinition(
        pipeline=PIPELINE,
        space=OPTIONS.space(LineSpec(), {"units": Choice((2, 3, 4, 5, 6, 7, 8))}),
        sweep=Sweep(objectives=(objective,), trial_epochs=2, tuner="random", early_stop="none"),
        splits=PIPELINE.load(),
    )
    return SweepScheduler(
        work=definition.work(),
        space=definition.space,
        objectives=(objective,),
        searcher=definition.searcher(),
        stopper=create_stopper("none", objective),
        budget=Budget(trials=5),
        epochs=2,
        tracker=NullTracker(),
        run=NullRun(),
        progress=Progress(),
    )


def first_proposals(count: int) -> list[Proposal]:
    """Return what such a sweep proposes when no result comes in between."""
    scheduler = create_scheduler()
    return [proposal for _ in range(count) if (proposal := scheduler.propose())]


def trial_row(number: int, units: Scalar, result_number: int) -> Row:
    """Return the run of a trial that was proposed before any result was known."""
    return Row(
        id=f"run-{number}",
        name=f"trial {number}",
        status="FINISHED",
        experiment="line/line",
        start_time=100.0,
        end_time=103.0,
        tags={
            TRIAL: str(number),
            RESULTS_KNOWN: "0",
            RESULT_NUMBER: str(result_number),
            "stopped_early": "true",
        },
        params={"units": str(units), "train.batch_size": "16"},
        metrics={"best/val_loss": number / 10, "epochs": 2, "cost/params": 13, "cost/saved_s": 1.5},
    )


def replay(scheduler: SweepScheduler, recorded: RecordedTrials) -> None:
    Replay(scheduler, recorded, NullTracker(), SWEEP_ID).run()


def test_results_come_back_in_their_order_and_what_was_running_is_run_again() -> None:
    proposals = first_proposals(3)
    units = [proposal.values["units"] for proposal in proposals]
    recorded = RecordedTrials(
        ended={1: trial_row(1, units[0], 2), 3: trial_row(3, units[2], 1)},
        results_known={1: 0, 2: 0, 3: 0},
    )
    scheduler = create_scheduler()
    replay(scheduler, recorded)
    assert [trial.number for trial in scheduler.trials] == [3, 1]
    trial = scheduler.trials[0]
    assert (trial.scores, trial.batch_size, trial.seconds, trial.epochs) == ((0.3,), 16, 3.0, 2)
    assert (trial.stopped_early, trial.saved, trial.replayed) == (True, 1.5, True)
    assert trial.costs == {"cost/params": 13}
    task = scheduler.next_task()
    assert task
    assert task.number == 2
    assert task.spec.units == units[1]


def test_a_trial_that_is_proposed_no_more_names_the_way_out() -> None:
    [proposal] = first_proposals(1)
    other = 2 if proposal.values["units"] != 2 else 3
    recorded = RecordedTrials(ended={1: trial_row(1, other, 1)}, results_known={1: 0})
    with pytest.raises(
        UsageError,
        match=r"trial 1 cannot be reproduced, probably because a library was updated\. "
        r"Begin a new sweep .*--warm-from 8b647e54",
    ):
        replay(create_scheduler(), recorded)


def test_deleted_runs_of_trials_are_refused() -> None:
    recorded = RecordedTrials(ended={}, results_known={1: 1})
    with pytest.raises(UsageError, match="runs of its trials were deleted in MLflow"):
        replay(create_scheduler(), recorded)
