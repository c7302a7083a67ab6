"""The fits of one run: to train, to more than train, with further seeds."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pipelines.errors import TrainingInterrupted
from pipelines.interrupts import WORTH_WAITING
from pipelines.io.progress import working
from pipelines.pipeline import AnyPipeline
from pipelines.splits import Splits
from pipelines.timing import Spent
from tuning.tracking.interface import Run
from tuning.training.costs import network_latencies, sizes
from tuning.training.fit import FitResult, fit, num_epochs
from tuning.training.monitor import Watch
from tuning.training.prefixes import prefixed
from tuning.training.record import save_model


def spent_on(fitted: FitResult, final: FitResult) -> Spent:
    """Return what the fit to train and the final one took, which may be the same."""
    return fitted.spent if final is fitted else fitted.spent + final.spent


@dataclass(frozen=True, kw_only=True)
class Training:
    """The fits of one run, and what is kept of them when they are interrupted."""

    pipeline: AnyPipeline
    spec: Any
    splits: Splits
    watch: Watch
    strategy: Any
    run: Run
    seed: int
    curves: str = ""  # begins the names of its curves
    keeps_interrupted: bool = True

    @property
    def epochs(self) -> int:
        """The epochs of the whole training, unless it is stopped."""
        return num_epochs(self.spec.train, self.splits.sizes()["train"])

    def fit(self) -> FitResult:
        """Return the network fitted to train; the epoch and everything else is chosen on val."""
        prepared = self.pipeline.prepare(self.spec, self.splits)
        fitted = fit(
            self.pipeline,
            self.spec,
            self.splits,
            seed=self.seed,
            watch=replace(self.watch, on_epoch=self._has_weights),
            strategy=self.strategy,
        )
        fitted = replace(fitted, prepared=prepared)
        self.run.history(prefixed(self.curves, fitted.history))
        if fitted.interrupted:
            # As it is: who has pressed Ctrl-C does not wait for what would be chosen on val.
            self.keep_interrupted(fitted)
        if fitted.best_epoch:
            with working("choosing on validation what the network counts"):
                self.pipeline.calibrate(fitted.model, self.splits)
        return fitted

    def _has_weights(self, epoch: int, values: Mapping[str, float]) -> str | None:
        """Take the end of an epoch: from the first on there are weights to keep."""
        WORTH_WAITING.set()
        if self.watch.on_epoch:
            return self.watch.on_epoch(epoch, values)
        return None

    def refit(self, merged: Splits, fitted: FitResult) -> FitResult:
        """Return the network fitted anew to `merged`, which is train and val together.

        It follows the schedule of `fitted` up to its best epoch, and takes over what was chosen on
        val.
        """
        # The longer train would be given fewer epochs, and `best_epoch` belongs to these.
        spec = replace(self.spec, train=replace(self.spec.train, epochs=self.epochs))
        final = fit(
            self.pipeline,
            spec,
            merged,
            seed=self.seed,
            watch=replace(self.watch, gradients=False),
            until=fitted.best_epoch,
            strategy=self.strategy,
        )
        if final.interrupted:
            # Half of a second fit is worth less than the whole first one.
            self.keep_interrupted(fitted)
        self.pipeline.calibrate(final.model, self.splits, like=fitted.model)
        return final

    def cost(self, fitted: FitResult, final: FitResult) -> dict[str, float]:
        """Return the costs of the model: sizes, time to fit and times to answer.

        The time to fit is that of all fits, and of what the network starts from: a network that
        corrects a baseline costs that too, also where the baseline was computed before.
        """
        spent = fitted.prepared + spent_on(fitted, final)
        examples = self.splits.sizes()["train"] * len(fitted.history["loss"])
        return {
            **sizes(self.pipeline, self.spec, self.splits, final.model),
            "train_s": spent.seconds,
            "train_cpu_s": spent.cpu_seconds,
            "examples_per_s": examples / fitted.spent.seconds,
            **network_latencies(self.pipeline, self.spec, self.splits, final.model),
        }

    def with_seed(self, seed: int, run: Run) -> "Training":
        """Return the same training with another seed, of which nothing is kept but its scores."""
        options = replace(self.pipeline.options, seed=seed)
        return replace(
            self,
            pipeline=replace(self.pipeline, options=options),
            watch=replace(self.watch, gradients=False),
            run=run,
            seed=seed,
            keeps_interrupted=False,
        )

    def keep_interrupted(self, fitted: FitResult) -> None:
        """Save what an interrupted fit has learned, then raise `TrainingInterrupted`."""
        if fitted.best_epoch and self.keeps_interrupted:
            save_model(self.pipeline.serve(fitted.model, self.splits), self.run)
            best = f"best/{self.watch.objective.name}"
            self.run.metrics({best: fitted.best_score, "best/epoch": fitted.best_epoch})
        raise TrainingInterrupted(self.run.id, kept=bool(fitted.best_epoch))
