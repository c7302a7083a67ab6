"""A trial as its run in MLflow: written when it ends, read back when its sweep is resumed."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.config.files import run_params
from pipelines.config.options import Objective
from pipelines.errors import count_of
from tuning.execution.trial import Outcome, Task, Work
from tuning.reports.names import trial_name
from tuning.reports.run_card import line_card
from tuning.results.sweep import Trial
from tuning.search.ask_tell import Proposal
from tuning.tracking.hidden_tags import HIDDEN
from tuning.tracking.interface import Record, Row
from tuning.tracking.metric_batches import rounded
from tuning.training.costs import COST_METRICS

# Tags of a trial's run.
TRIAL = "trial"  # its number in the sweep, from 1
RESULTS_KNOWN = (
    f"{HIDDEN}results_known"  # how many results the searcher had when it proposed the trial
)
RESULT_NUMBER = f"{HIDDEN}result_number"  # that the trial's own result was the n-th, from 1
ATTEMPT = f"{HIDDEN}attempt"  # 2 when it was run once more
WORKER = f"{HIDDEN}worker"  # machine and process that ran it
REASON = "reason"  # why it has no score
STOPPED = "stopped"  # why it ended before its last epoch
STOPPED_EARLY = "stopped_early"  # "true" when that was the rule of early stopping
# Metrics of a trial's run.
EPOCHS = "epochs"
SAVED = "cost/saved_s"


@dataclass(frozen=True, kw_only=True)
class EndedTrial:
    """All that is known of a trial when it ends."""

    proposal: Proposal
    task: Task
    outcome: Outcome
    trial: Trial


def score_metric(objective: Objective) -> str:
    """Return the name of the metric that holds a trial's score."""
    return objective.name if objective.name in COST_METRICS else f"best/{objective.name}"


def trial_scores(outcome: Outcome, objectives: Sequence[Objective]) -> tuple[float, ...]:
    """Return the score for each objective, of the epoch whose weights were kept.

    It is empty when one of them is missing.
    """
    if outcome.score is None:
        return ()
    scores = [outcome.score]
    for objective in objectives[1:]:
        if objective.name in outcome.history:
            scores.append(outcome.history[objective.name][outcome.best_epoch - 1])
        elif objective.name in outcome.costs:
            scores.append(outcome.costs[objective.name])
        else:
            return ()
    # As they are kept: a resumed sweep goes on from these numbers.
    return tuple(rounded(float(score)) for score in scores)


def trial_record(
    ended: EndedTrial,
    work: Work,
    objectives: Sequence[Objective],
    *,
    sweep_id: str,
    result_number: int,
) -> Record:
    """Return the run of a trial that has ended."""
    outcome, trial = ended.outcome, ended.trial
    params = run_params(work.pipeline.options, ended.task.spec)
    tags = {
        "dataset": work.splits.dataset,
        "data_digest": work.splits.digest,
        "sweep": sweep_id,
        TRIAL: str(trial.number),
        RESULTS_KNOWN: str(ended.proposal.results_known),
        RESULT_NUMBER: str(result_number),
        ATTEMPT: str(ended.task.attempt),
    }
    if outcome.worker:
        tags[WORKER] = outcome.worker
    if outcome.reason:
        tags[REASON] = outcome.reason
    if outcome.stopped:
        tags[STOPPED] = outcome.stopped
    if trial.stopped_early:
        tags[STOPPED_EARLY] = "true"
    return Record(
        name=trial_name(trial.number, work.pipeline.domain, params, list(trial.values)),
        role="trial",
        parent=sweep_id,
        tags=tags,
        params=params,
        card=line_card(_score_text(trial, objectives), trial.seconds, f"Trial {trial.number}"),
        splits=work.splits,
        history=outcome.history,
        metrics=_metrics(outcome, trial, objectives),
        status="FINISHED" if trial.scores else "FAILED",
        start_time=outcome.start_time,
        end_time=outcome.end_time,
    )


def _score_text(trial: Trial, objectives: Sequence[Objective]) -> str:
    if not trial.scores:
        return f"failed: {trial.reason}"
    scores = []
    for objective, score in zip(objectives, trial.scores, strict=True):
        scores.append(f"{objective.name} {score:.4g}")
    return f"{', '.join(scores)} after {count_of(trial.epochs, 'epoch')}"


def _metrics(outcome: Outcome, trial: Trial, objectives: Sequence[Objective]) -> dict[str, float]:
    if not trial.scores:
        return {}
    metrics: dict[str, float] = {}
    for objective, score in zip(objectives, trial.scores, strict=True):
        metrics[score_metric(objective)] = score
    metrics["best/epoch"] = outcome.best_epoch
    metrics[EPOCHS] = outcome.epochs
    metrics |= outcome.costs
    if trial.saved:
        metrics[SAVED] = trial.saved
    return metrics


def trial_from_row(row: Row, proposal: Proposal, objectives: Sequence[Objective]) -> Trial:
    """Return the trial that a run records; `proposal` is what the searcher proposed."""
    names = [score_metric(objective) for objective in objectives]
    has_scores = row.status == "FINISHED" and all(name in row.metrics for name in names)
    scores: tuple[float, ...] = ()
    if has_scores:
        scores = tuple(row.metrics[name] for name in names)
    end_time = row.end_time or row.start_time
    return Trial(
        number=proposal.number,
        values=proposal.values,
        scores=scores,
        batch_size=int(row.params["train.batch_size"]),
        start_time=row.start_time,
        seconds=end_time - row.start_time,
        worker=row.tags.get(WORKER, ""),
        epochs=int(row.metrics.get(EPOCHS, 0)),
        costs={name: row.metrics[name] for name in COST_METRICS if name in row.metrics},
        stopped=row.tags.get(STOPPED, ""),
        stopped_early=row.tags.get(STOPPED_EARLY) == "true",
        saved=float(row.metrics.get(SAVED, 0.0)),
        reason="" if has_scores else row.tags.get(REASON, ""),
        run_id=row.id,
        replayed=True,
    )
