"""The fits of one run: to train, to more than train, with further seeds."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from pipelines.errors import TrainingInterrupted
from pipelines.interrupts import NOTICED, WORTH_WAITING
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
        with self.keeping(fitted):
            self.run.history(prefixed(self.curves, fitted.history))
            if fitted.interrupted:
                # As it is: who has pressed Ctrl-C does not wait for what would be chosen on val.
                raise KeyboardInterrupt
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
            # Half of a second fit is worth less than the whole first one: see `keeping`.
            raise KeyboardInterrupt
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

    @contextmanager
    def keeping(self, fitted: FitResult, final: FitResult | None = None) -> Iterator[None]:
        """Save the model where the block is interrupted: `final` if there is one, else `fitted`.

        Raises:
            TrainingInterrupted: in place of a `KeyboardInterrupt`.
        """
        try:
            yield
        except TrainingInterrupted:
            raise
        except KeyboardInterrupt as stop:
            NOTICED.set()
            interrupt = self._save_interrupted(fitted, final)
            for note in getattr(stop, "__notes__", ()):
                interrupt.add_note(note)
            raise interrupt from stop

    @contextmanager
    def model_is_kept(self) -> Iterator[None]:
        """Say so where the block is interrupted, which comes after the model was saved."""
        WORTH_WAITING.clear()
        try:
            yield
        except KeyboardInterrupt as stop:
            raise TrainingInterrupted(self.run.id, kept=True) from stop

    def _save_interrupted(
        self, fitted: FitResult, final: FitResult | None = None
    ) -> KeyboardInterrupt:
        """Save what an interrupted fit has learned; return the interrupt that says so."""
        if not self.keeps_interrupted:
            return KeyboardInterrupt()
        if fitted.best_epoch:
            model = (final or fitted).model
            save_model(self.pipeline.serve(model, self.splits), self.run)
            best = f"best/{self.watch.objective.name}"
            self.run.metrics({best: fitted.best_score, "best/epoch": fitted.best_epoch})
        return TrainingInterrupted(self.run.id, kept=bool(fitted.best_epoch))
