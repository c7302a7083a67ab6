"""What cross-validation has found: the trainings in all folds, and their mean."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipelines.blend import NETWORK
from pipelines.config.options import Objective
from pipelines.splits import Part
from tuning import verdicts
from tuning.results.training import TrainResult, means_of
from tuning.verdicts import Lift, Spread

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True, repr=False)
class FoldsResult:
    """What cross-validation found.

    `folds` are the trainings, of which the last one has kept a model of all the data. `lift` is
    that over the baseline that is best on validation in the mean over the folds.
    """

    folds: Sequence[TrainResult]
    run_id: str
    url: str
    lift: Lift | None

    @property
    def headline(self) -> Objective:
        """The metric by which the network and its baselines are compared."""
        return self.folds[0].headline

    @property
    def model_file(self) -> str:
        """Where the model of all the data lies; empty where that is no path of this machine."""
        return self.folds[-1].model_file

    @property
    def seconds(self) -> float:
        """How long all trainings took."""
        return sum(fold.cost["train_s"] for fold in self.folds)

    @property
    def num_adding_nothing(self) -> int:
        """In how many folds the network has no part in the answers."""
        return sum(fold.answers.adds_nothing for fold in self.folds)

    def spread(self, metric: str) -> Spread:
        """Return the values of a test metric in all folds."""
        return Spread([fold.test[metric] for fold in self.folds])

    def means(self, part: Part) -> dict[str, float]:
        """Return the mean of each metric of `part`, val or test, that all folds have."""
        scores = [fold.val if part == "val" else fold.test for fold in self.folds]
        return means_of(scores)

    def rows(self) -> list[tuple[str, Mapping[str, float]]]:
        """Return the mean test scores by model: what answers, then the baselines."""
        rows: list[tuple[str, Mapping[str, float]]] = [(self._answers, self.means("test"))]
        for baseline in self.folds[0].baselines:
            scores = []
            for fold in self.folds:
                scores += [other.test for other in fold.baselines if other.name == baseline.name]
            if len(scores) == len(self.folds):
                rows.append((baseline.name, means_of(scores)))
        return rows

    @property
    def _answers(self) -> str:
        alone = all(fold.answers.is_network_alone for fold in self.folds)
        return NETWORK if alone else "answer: blend"

    @property
    def verdict(self) -> str:
        """One sentence: does what answers beat the strongest baseline, in the mean over folds?"""
        metric = self.headline.name
        scores = {name: test[metric] for name, test in self.rows()}
        return verdicts.folds_sentence(
            self._answers, self.lift, metric, scores, self.spread(metric), self.num_adding_nothing
        )

    @property
    def verdict_tag(self) -> str:
        """The verdict in a few words, for a column."""
        if self.lift is None:
            return ""
        subject = "network" if self._answers == NETWORK else "blend"
        over = f"over {len(self.folds)} folds"
        return f"the {subject} {self.lift.verdict} {self.lift.baseline} {over}"

    @property
    def gate_failure(self) -> str:
        """Why what answers fails `--gate`: it is worse than the strongest baseline; else ""."""
        if self.lift is None or self.lift.mean >= 0:
            return ""
        return f"in the mean over the folds {self._answers} is worse than {self.lift.baseline}"

    def table(self) -> "pd.DataFrame":
        """Return a row for each fold: its test scores, and those of its baselines in the headline.

        Beside them stand the seconds of its training and the examples of its test part.
        """
        import pandas as pd

        rows = []
        for number, fold in enumerate(self.folds, start=1):
            of_baselines = {
                baseline.name: baseline.test[self.headline.name] for baseline in fold.baselines
            }
            rows.append(
                {
                    "fold": number,
                    "test_examples": fold.test_examples,
                    **fold.test,
                    **of_baselines,
                    "best_epoch": fold.best_epoch,
                    "train_s": fold.cost["train_s"],
                }
            )
        return pd.DataFrame(rows)

    def __repr__(self) -> str:
        return f"FoldsResult({self.folds[0].domain} / {self.folds[0].dataset}: {self.verdict})"

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        metric = self.headline.name
        return {
            "run_id": self.run_id,
            "url": self.url,
            "model_file": self.model_file,
            "verdict": self.lift.verdict if self.lift else None,
            "headline": self.verdict,
            "metric": metric,
            "score": self.spread(metric).as_json(),
            "val": self.means("val"),
            "test": self.means("test"),
            "baselines": dict(self.rows()[1:]),
            "lift": self.lift.as_json(metric) if self.lift else None,
            "network_adds_nothing": self.num_adding_nothing,
            "folds": [fold.as_json() for fold in self.folds],
            "seconds": self.seconds,
        }
