"""A search as a tree of runs: the sweep, its baselines, its trials, and the winner trained in full and tested once."""

import hashlib
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from pipelines import config
from pipelines.errors import ApplineError, ImpossibleSpec, UsageError
from pipelines.pipeline import Objective, Pipeline, Splits
from pipelines.space import Scalar, Space
from tuning import compare, plots
from tuning.card import sweep_card
from tuning.compare import Effect
from tuning.fit import Watch, fit, num_epochs
from tuning.runs import Record, Row, Run, Tracker
from tuning.search import Proposal, Searcher
from tuning.train import Report, ending, record_rivals, train
from tuning.views import SweepCharts

# A search looks at a schedule this much shorter than the training that follows: ranks of short fits agree with those
# of long ones (Spearman .92 at a third of the epochs on Fashion-MNIST).
TRIAL_SHARE = 3


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """How a search is run."""

    trials: int = 20
    tuner: str = "random"
    trial_epochs: int = 0  # 0: a third of the epochs of the training that follows
    max_seconds: float = math.inf
    objective: Objective
    name: str = ""
    resume: str = ""  # the id of the sweep's run

    def __post_init__(self) -> None:
        if self.trials < 1:
            raise UsageError(f"--trials: expected at least 1. Received: {self.trials}")


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A finished trial: its values, and its best score or the reason why it has none."""

    number: int
    values: Mapping[str, Scalar]
    score: float | None
    seconds: float
    epochs: int
    reason: str = ""
    run_id: str = ""
    replayed: bool = False


@dataclass(frozen=True, kw_only=True)
class Swept:
    """What a sweep found."""

    run_id: str
    url: str
    trials: Sequence[Trial]
    best: Trial
    effects: Sequence[Effect]
    final: Report
    seconds: float
    exhausted: bool = False

    def plain(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return {
            "sweep_id": self.run_id,
            "url": self.url,
            "trials": [
                {
                    "number": trial.number,
                    "values": dict(trial.values),
                    "score": trial.score,
                    "seconds": trial.seconds,
                    "reason": trial.reason,
                    "run_id": trial.run_id,
                }
                for trial in self.trials
            ],
            "best": {"number": self.best.number, "values": dict(self.best.values), "score": self.best.score},
            "effects": [
                {
                    "key": effect.key,
                    "levels": {k: list(v) for k, v in effect.levels.items()},
                    "best": effect.best,
                    "p_value": effect.p_value,
                }
                for effect in self.effects
            ],
            "final": self.final.plain(),
            "seconds": self.seconds,
            "exhausted": self.exhausted,
        }


OnTrial: TypeAlias = Callable[[Trial, Trial | None], None]  # the trial, and the best one so far


class SweepInterrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM during a search: finished trials are kept, and `--resume run_id` goes on."""

    def __init__(self, run_id: str) -> None:
        super().__init__(run_id)
        self.run_id = run_id


def run_sweep(
    pipeline: Pipeline[Any, Any],
    space: Space[Any],
    sweep: Sweep,
    tracker: Tracker,
    *,
    splits: Splits | None = None,
    on_start: Callable[[str], None] | None = None,
    on_trial: OnTrial | None = None,
) -> Swept:
    """Search `space` on train and val, then train the winner in full and test it once beside the baselines.

    Raises:
        UsageError: nothing to search, or a resumed sweep whose definition has changed (the difference is shown).
        ApplineError: every trial failed; the first one's reason is given.
        SweepInterrupted: the sweep's run is KILLED and can be resumed.
    """
    # --- what is searched, checked before anything is recorded
    began = time.monotonic()
    splits = splits if splits is not None else pipeline.load()
    search = _Search(pipeline, space, sweep, splits, tracker, deadline=began + sweep.max_seconds)
    searcher = search.searcher()

    run, recorded = search.open()
    if on_start:
        on_start(run.id)
    try:
        with ending(run):
            # --- simple rivals, once for all trials
            rivals = record_rivals(pipeline, splits, tracker, parent=run.id, tags={"sweep": run.id})

            # --- trials
            trials: list[Trial] = []
            proposal: Proposal | None = None
            while len(trials) < sweep.trials and time.monotonic() < search.deadline and (proposal := searcher.ask()):
                trial = search.replayed(proposal, recorded) or search.run(proposal, run.id)
                searcher.tell(proposal.number, trial.score)
                trials.append(trial)
                if on_trial:
                    on_trial(trial, best_of(trials, sweep.objective))
            best = best_of(trials, sweep.objective)
            if best is None:
                raise ApplineError(_no_winner(trials))

            # --- the winner in full, tested once
            final = train(
                pipeline,
                space.spec(best.values),
                tracker,
                objective=sweep.objective,
                splits=splits,
                rivals=rivals,
                role="final",
                parent=run.id,
                name=f"final, as trial {best.number}",
                tags={"sweep": run.id},
            )
            scored = [(trial.values, trial.score) for trial in trials if trial.score is not None]
            swept = Swept(
                run_id=run.id,
                url=tracker.url(run.id),
                trials=trials,
                best=best,
                effects=compare.effects(scored, space.domains, sweep.objective),
                final=final,
                seconds=time.monotonic() - began,
                exhausted=proposal is None,
            )
            search.record(swept, run)
    except KeyboardInterrupt:
        raise SweepInterrupted(run.id) from None
    return swept


def best_of(trials: Sequence[Trial], objective: Objective) -> Trial | None:
    """Return the finished trial with the best score, the earlier of equals; None when none finished."""
    best: Trial | None = None
    for trial in trials:
        if trial.score is not None and (best is None or best.score is None or objective.better(trial.score, best.score)):
            best = trial
    return best


def _no_winner(trials: Sequence[Trial]) -> str:
    if not trials:
        return "No trial was run: the time was up, or no point of the space can be built. Widen it (--search) or give it more --max-time"
    return f"All {len(trials)} trials failed. The first one's reason: {trials[0].reason}"


@dataclass(frozen=True)
class _Search:
    """A sweep under way: what its trials have in common."""

    pipeline: Pipeline[Any, Any]
    space: Space[Any]
    sweep: Sweep
    splits: Splits
    tracker: Tracker
    deadline: float

    @property
    def epochs(self) -> int:
        """The epochs of a trial: as asked for, or a third of those of the training that follows."""
        full = num_epochs(self.space.base.train, self.splits.sizes()["train"])
        return self.sweep.trial_epochs or max(2, math.ceil(full / TRIAL_SHARE))

    @property
    def tags(self) -> dict[str, str]:
        return {"dataset": self.splits.dataset, "data_digest": self.splits.digest}

    def searcher(self) -> Searcher:
        return Searcher(
            self.space,
            tuner=self.sweep.tuner,
            objective=self.sweep.objective,
            seed=self.pipeline.seed,
            epochs=self.epochs,
            feasible=self._feasible,
        )

    def _feasible(self, values: Mapping[str, Scalar]) -> bool:
        try:
            self.pipeline.check(self.space.spec(values), self.splits)
        except ImpossibleSpec:
            return False
        return True

    def definition(self) -> dict[str, Any]:
        """Return everything that decides what a sweep's trials are, as plain data; `--trials` and `--max-time` may change."""
        return {
            "options": config.options_of(self.pipeline),
            "space": self.space.describe(),
            "data_digest": self.splits.digest,
            "objective": self.sweep.objective.name,
            "tuner": self.sweep.tuner,
            "trial_epochs": self.epochs,
        }

    def open(self) -> tuple[Run, Mapping[int, Row]]:
        """Start the sweep's run, or take up the one to resume with the trials that it has finished, by number."""
        definition = self.definition()
        if not self.sweep.resume:
            return self._start(definition), {}
        found = self.tracker.rows(f"attributes.run_id = '{self.sweep.resume}'")
        if not found or found[0].tags.get("role") != "sweep":
            raise UsageError(f"--resume {self.sweep.resume}: no sweep has this id. See: appline runs")
        _require_same(json.loads(found[0].tags["definition"]), definition, self.sweep.resume)
        trials = self.tracker.rows(f"tags.sweep = '{self.sweep.resume}' and tags.role = 'trial'")
        ended = {int(row.tags["trial"]): row for row in trials if row.status in ("FINISHED", "FAILED")}
        return self.tracker.resume(self.sweep.resume), ended

    def _start(self, definition: Mapping[str, Any]) -> Run:
        run = self.tracker.start(
            self.sweep.name or f"{self.sweep.tuner} sweep on {self.splits.dataset}",
            role="sweep",
            tags={**self.tags, "definition": json.dumps(definition)},
            params={
                **config.params(self.pipeline, self.space.base),
                **{key: str(domain) for key, domain in self.space.domains.items()},
                "tuner": self.sweep.tuner,
                "trials": self.sweep.trials,
                "trial_epochs": self.epochs,
            },
        )
        run.tags({"sweep": run.id})
        run.dataset(self.splits)
        run.text(config.write(self.pipeline, self.space.base, self.space.domains), "config.yaml")
        return run

    def replayed(self, proposal: Proposal, recorded: Mapping[int, Row]) -> Trial | None:
        """Return the trial as an earlier process recorded it, or None when it has yet to run."""
        row = recorded.get(proposal.number)
        if row is None:
            return None
        key = f"best/{self.sweep.objective.name}"
        return Trial(
            number=proposal.number,
            values=proposal.values,
            score=row.metrics.get(key) if row.status == "FINISHED" else None,
            seconds=row.metrics.get("cost/train_s", 0.0),
            epochs=int(row.metrics.get("epochs", 0)),
            reason=row.tags.get("reason", ""),
            run_id=row.id,
            replayed=True,
        )

    def run(self, proposal: Proposal, parent: str) -> Trial:
        """Fit one trial and record it in one batch. A trial that fails has no score and a reason; the sweep goes on.

        Raises:
            KeyboardInterrupt: nothing is recorded; a resumed sweep runs this trial again.
        """
        spec = self.space.spec(proposal.values)
        spec = replace(spec, train=replace(spec.train, epochs=proposal.epochs or self.epochs))
        began, clock = time.time(), time.perf_counter()
        history: Mapping[str, Sequence[float]] = {}
        metrics: dict[str, float] = {}
        score, reason = None, ""
        try:
            watch = Watch(objective=self.sweep.objective, deadline=self.deadline)
            fitted = fit(self.pipeline, spec, self.splits, seed=self._seed(proposal.number), watch=watch)
        except Exception as error:  # recorded with its reason: one bad point must not end a night's sweep
            reason = f"{type(error).__name__}: {error}"
        else:
            if fitted.interrupted:
                raise KeyboardInterrupt
            history, score = fitted.history, fitted.best_score
            metrics = {
                f"best/{self.sweep.objective.name}": score,
                "best/epoch": fitted.best_epoch,
                "epochs": len(history["loss"]),
                "cost/params": fitted.model.count_params(),
                "cost/train_s": fitted.seconds,
                "cost/train_cpu_s": fitted.cpu_seconds,
            }
        run_id = self.tracker.record(
            Record(
                name=f"trial {proposal.number}",
                role="trial",
                parent=parent,
                tags={**self.tags, "sweep": parent, "trial": str(proposal.number), **({"reason": reason} if reason else {})},
                params=config.params(self.pipeline, spec),
                history=history,
                metrics=metrics,
                status="FAILED" if score is None else "FINISHED",
                start_time=began,
                end_time=time.time(),
            )
        )
        return Trial(
            number=proposal.number,
            values=proposal.values,
            score=score,
            seconds=time.perf_counter() - clock,
            epochs=len(history.get("loss", ())),
            reason=reason,
            run_id=run_id,
        )

    def _seed(self, number: int) -> int:
        """Return a trial's own seed: a killed and resumed sweep then equals an undisturbed one."""
        return int.from_bytes(hashlib.sha256(f"{self.pipeline.seed}/{number}".encode()).digest()[:4], "big") % 2**31

    def record(self, swept: Swept, run: Run) -> None:
        """Write what the sweep found: the winner's scores, figures, a card and the views of its page."""
        objective, headline = self.sweep.objective, self.pipeline.judged_by(self.splits)
        final, lift = swept.final, swept.final.lift
        run.metrics(
            {
                f"best/{objective.name}": swept.best.score or math.nan,
                "best/trial": swept.best.number,
                **{f"test/{name}": value for name, value in final.test.items()},
                **({f"lift/{headline.name}": lift.mean, "lift/low": lift.low, "lift/high": lift.high} if lift else {}),
                "cost/sweep_s": swept.seconds,
                "cost/trials": len(swept.trials),
            }
        )
        scores = [trial.score for trial in swept.trials if trial.score is not None]
        run.figure(plots.progress(scores, objective), "plots/progress.png")
        run.figure(plots.effects(swept.effects, objective), "plots/effects.png")
        run.describe(sweep_card(swept))
        self.tracker.sweep_view(
            SweepCharts(
                sweep=run.id,
                name=f"Sweep {run.id[:8]}",
                objective=objective.name,
                direction=objective.direction,
                searched=list(self.space.domains),
                test=[f"test/{name}" for name in final.test],
            )
        )


def _require_same(before: Mapping[str, Any], now: Mapping[str, Any], sweep: str) -> None:
    """Refuse to resume a sweep that was defined otherwise: its finished trials would answer another question."""
    then, here = _flat(before), _flat(now)
    changed = [key for key in dict.fromkeys([*then, *here]) if then.get(key) != here.get(key)]
    if changed:
        listed = "; ".join(f"{key}: {then.get(key, 'absent')} then, {here.get(key, 'absent')} now" for key in changed[:8])
        raise UsageError(f"--resume {sweep}: this is another sweep. {listed}. Resume it with the options it was started with")


def _flat(node: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in node.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat
