"""Cross-validation: which part of the data one fold holds out as its test part."""

import re
import warnings
from dataclasses import dataclass

import numpy as np

from pipelines.config.options import Options
from pipelines.errors import UsageError, count_of

FOLD = re.compile(r"(\d+)/(\d+)")
FEWEST_FOLDS = 2


@dataclass(frozen=True, kw_only=True)
class Fold:
    """The fold `number` of `count`, from 1 on."""

    number: int
    count: int

    def split(
        self, labels: np.ndarray, groups: np.ndarray | None, seed: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the positions `(n,)` of examples that stay, and of those that this fold tests.

        Classes have about the same share in each fold, and every example is tested by one of them.
        `groups` are numbers `(n,)` of what stays together. Of a class or group the folds are the
        same in every process.

        Raises:
            UsageError: no class has an example for each fold.
        """
        from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

        largest = int(np.unique(labels, return_counts=True)[1].max(initial=0))
        if largest < self.count:
            raise UsageError(
                f"{self.count} folds: the largest class has {count_of(largest, 'example')} to "
                f"divide. Expected at most --folds {largest}"
            )
        kind = StratifiedKFold if groups is None else StratifiedGroupKFold
        divide = kind(n_splits=self.count, shuffle=True, random_state=seed)
        with warnings.catch_warnings():
            # A class of fewer examples than there are folds cannot be in each of them.
            warnings.filterwarnings("ignore", message="The least populated class")
            folds = list(divide.split(labels, labels, groups))
        kept, taken = folds[self.number - 1]
        return np.asarray(kept), np.asarray(taken)

    @property
    def smallest_class(self) -> int:
        """How many examples a class needs, to be in train and val of each fold: the largest one."""
        return 3 if self.count > FEWEST_FOLDS else 4


def require_folds(options: Options, count: int) -> None:
    """Refuse folds that these options or this number do not allow.

    Raises:
        UsageError: the message says what helps.
    """
    if "fold" not in options.option_names():
        raise UsageError(
            f"--folds: {options.domain} data is not divided into folds, for all users share one "
            "history. Several seeds say how much of a score is luck: --seeds 5"
        )
    if count < FEWEST_FOLDS:
        raise UsageError(f"--folds {count}: expected at least {FEWEST_FOLDS}")
    if options.as_params()["fold"]:
        raise UsageError("--folds goes through all folds, and --fold names one: leave one out")


def parse_fold(text: str) -> Fold | None:
    """Read `--fold`: "2/5" is the second of five; "" is None.

    Raises:
        UsageError: it is no fold.
    """
    if not text:
        return None
    match = FOLD.fullmatch(text.strip())
    number, count = (int(match[1]), int(match[2])) if match else (0, 0)
    if count < FEWEST_FOLDS or not 1 <= number <= count:
        raise UsageError(
            f"--fold {text}: expected NUMBER/COUNT, such as 2/5 for the second of five folds; "
            f"train --folds {max(count, 5)} goes through all of them"
        )
    return Fold(number=number, count=count)
