"""How an ended sweep is resumed: from its runs in MLflow, by replay.

A trial's run says how many results the searcher had when it proposed the trial, and that its own
result was the n-th; the sweep's run lists the trials that had not ended. With the same questions
and results in the same order, the same searcher proposes the same trials.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.config.search_space import Scalar, flatten
from pipelines.errors import UsageError
from tuning.search.ask_tell import Proposal
from tuning.search.definition import SweepDefinition
from tuning.search.scheduler import RUNNING_TRIALS, SweepScheduler
from tuning.search.sweep_tags import DEFINITION, EXHAUSTED, FIRST_POINTS, FLAGS
from tuning.search.trial_records import (
    EPOCHS,
    RESULT_NUMBER,
    RESULTS_KNOWN,
    TRIAL,
    trial_from_row,
)
from tuning.tracking.interface import Row, Tracker
from tuning.tracking.provenance import PROCESS, alive

MOST_TRIALS = 100_000  # of one sweep
MOST_DIFFERENCES = 8  # that a message lists
# Another value than the proposed one is no other trial: Hyperband sets the epochs, and the batch
# is halved where memory ran out.
MAY_DIFFER = ("train.epochs", "train.batch_size")


def definition_tags(
    definition: SweepDefinition, first: Sequence[Mapping[str, Scalar]]
) -> dict[str, str]:
    """Return the tags from which a sweep can be resumed."""
    return {
        DEFINITION: json.dumps(definition.as_json()),
        FIRST_POINTS: json.dumps([dict(values) for values in first]),
        FLAGS: json.dumps(dict(definition.sweep.flags)),
    }


def find_sweep(definition: SweepDefinition, tracker: Tracker) -> Row | None:
    """Return the run of the sweep to resume, None for a new one.

    Raises:
        UsageError: there is no such sweep, it still runs, it was defined otherwise, or it is
            finished and has as many trials as asked for.
    """
    sweep_id = definition.sweep.resume
    if not sweep_id:
        return None
    rows = tracker.rows(run_id=sweep_id)
    if not rows or rows[0].tags.get("role") != "sweep":
        raise UsageError(f"--resume {sweep_id}: no sweep has this id. List them: appline runs")
    row = rows[0]
    if row.status == "RUNNING" and alive(row.tags):
        raise UsageError(
            f"--resume {sweep_id}: this sweep is still running, in process {row.tags[PROCESS]}"
        )
    before = json.loads(row.tags[DEFINITION])
    # An option that the version which started it did not have yet was then as it is by default now.
    defaults = type(definition.pipeline.options)().as_params()
    before["options"] = {**defaults, **before.get("options", {})}
    _require_same(before, definition.as_json(), sweep_id)
    if row.status == "FINISHED":
        num_trials = len(tracker.rows(role="trial", sweep=sweep_id, limit=MOST_TRIALS))
        is_exhausted = row.tags.get(EXHAUSTED) == "true"
        if num_trials >= definition.sweep.trials or is_exhausted:
            raise SweepFinished(sweep_id, num_trials)
    return row


class SweepFinished(UsageError):
    """Nothing is left to do in the sweep: it has a tested winner, and no trial can be added."""

    def __init__(self, sweep_id: str, trials: int) -> None:
        super().__init__(
            f"--resume {sweep_id[:8]}: this sweep is finished, with {trials} trials, and what was "
            "asked for allows no more. Its result: appline runs. "
            f"To extend it: --trials {trials + 10}, or more of --max-time or --max-epochs-total"
        )


class SameWinner(SweepFinished):
    """Trials were added, and the winner is the one that was trained and tested before."""

    def __init__(self, sweep_id: str, trials: int, winner: int) -> None:
        super().__init__(sweep_id, trials)
        self.args = (
            f"--resume {sweep_id[:8]}: of {trials} trials the winner is still trial {winner}, "
            "which was trained and tested before. Its result: appline runs",
        )


def first_points(sweep: Row) -> list[dict[str, Scalar]]:
    """Return the points that this sweep tries right after the defaults."""
    points: list[dict[str, Scalar]] = json.loads(sweep.tags.get(FIRST_POINTS, "[]"))
    return points


def _require_same(before: Mapping[str, Any], now: Mapping[str, Any], sweep_id: str) -> None:
    """Refuse to resume a sweep whose definition has changed.

    Its finished trials would answer another question.
    """
    old, new = _flat(before), _flat(now)
    differences = []
    for key in dict.fromkeys([*old, *new]):
        if old.get(key) != new.get(key):
            then = old.get(key, "absent")
            differences.append(f"{key}: {then} then, {new.get(key, 'absent')} now")
    if differences:
        listed = "; ".join(differences[:MOST_DIFFERENCES])
        raise UsageError(
            f"--resume {sweep_id}: this is another sweep. {listed}. "
            "Resume it with the options it was started with"
        )


def _flat(node: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in node.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


@dataclass(frozen=True, kw_only=True)
class RecordedTrials:
    """The trials of a sweep as MLflow has them, by number."""

    ended: Mapping[int, Row]
    results_known: Mapping[int, int]  # when each was proposed, also of those that had not ended

    @property
    def result_order(self) -> list[int]:
        """The numbers of the ended trials in the order in which their results came."""
        return sorted(self.ended, key=lambda number: int(self.ended[number].tags[RESULT_NUMBER]))


def recorded_trials(sweep: Row, tracker: Tracker) -> RecordedTrials:
    """Return the trials of a sweep whose process is gone.

    A trial whose own process died after its last number was written, but before its run was ended,
    has ended; its run is ended now.
    """
    ended: dict[int, Row] = {}
    for row in tracker.rows(role="trial", sweep=sweep.id, limit=MOST_TRIALS):
        row = _mend(row, tracker)
        if row.status in ("FINISHED", "FAILED"):
            ended[int(row.tags[TRIAL])] = row
    results_known: dict[int, int] = {}
    for number, count in json.loads(sweep.tags.get(RUNNING_TRIALS, "{}")).items():
        results_known[int(number)] = count
    for number, row in ended.items():
        results_known[number] = int(row.tags[RESULTS_KNOWN])
    return RecordedTrials(ended=ended, results_known=results_known)


def _mend(row: Row, tracker: Tracker) -> Row:
    """Return `row` with its run ended, if no process writes it any more."""
    # RUNNING: of another host, which may not be there any more.
    if row.status not in ("KILLED", "RUNNING"):
        return row
    is_complete = EPOCHS in row.metrics
    tracker.resume(row.id).finish("FINISHED" if is_complete else "KILLED")
    return tracker.rows(run_id=row.id)[0]


@dataclass
class Replay:
    """Replays proposals and results of the ended scheduler in a new one."""

    scheduler: SweepScheduler
    recorded: RecordedTrials
    tracker: Tracker
    sweep_id: str

    def run(self) -> None:
        """Bring the scheduler to the state of the ended one; unfinished trials are run again.

        Raises:
            UsageError: the searcher proposes other trials now, as another version of a library may,
                or the runs of some trials are gone.
        """
        proposals: dict[int, Proposal] = {}
        for number in range(1, max(self.recorded.results_known, default=0) + 1):
            self._replay_results(proposals, until=self.recorded.results_known.get(number, 0))
            row = self.recorded.ended.get(number)
            proposal = self.scheduler.propose()
            if proposal is None or not self._is_same(proposal, row):
                raise UsageError(
                    f"--resume {self.sweep_id[:8]}: trial {number} cannot be reproduced, probably "
                    "because a library was updated. Begin a new sweep with what this one found: "
                    f"--warm-from {self.sweep_id[:8]}"
                )
            proposals[number] = proposal
            if row is None:
                self.scheduler.add_waiting(proposal)
        self._replay_results(proposals, until=len(self.recorded.ended))

    def _replay_results(self, proposals: Mapping[int, Proposal], *, until: int) -> None:
        """Report further results in their order, until this many are reported."""
        order = self.recorded.result_order
        if until > len(order):
            raise UsageError(
                f"--resume {self.sweep_id[:8]}: runs of its trials were deleted in MLflow. "
                "Restore them, or begin a new sweep"
            )
        for number in order[len(self.scheduler.trials) : until]:
            self._replay_result(proposals[number], self.recorded.ended[number])

    def _replay_result(self, proposal: Proposal, row: Row) -> None:
        objectives = self.scheduler.objectives
        curve = self.tracker.curve(row.id, objectives[0].name)
        for epoch, score in enumerate(curve, start=1):
            self.scheduler.stopper.reported(proposal.number, epoch, score)
        self.scheduler.add_result(trial_from_row(row, proposal, objectives))

    def _is_same(self, proposal: Proposal, row: Row | None) -> bool:
        """Whether a run has the values that are proposed now; a missing run counts as the same."""
        if row is None:
            return True
        spec = flatten(self.scheduler.space.spec(proposal.values))
        for key in proposal.values:
            if key in MAY_DIFFER or key not in row.params:
                continue
            if row.params[key] != str(spec[key]):
                return False
        return True
