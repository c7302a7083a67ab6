"""How far an epoch is, for whoever shows it."""

from contextlib import ExitStack
from typing import Any

import keras

from pipelines.io.progress import Work, working


class StepProgress(keras.callbacks.Callback):
    """Says how many steps of the running epoch are done, then that it is validated."""

    def __init__(self) -> None:
        super().__init__()
        self._open = ExitStack()
        self._work: Work | None = None
        self._epoch = 0  # from 1

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._open.close()
        self._epoch = epoch + 1
        steps = self.params.get("steps") or 0
        self._work = self._open.enter_context(working(f"steps of epoch {self._epoch}", steps))

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self._work:
            # Keras counts whole executions of several steps, also where the last one is shorter.
            self._work.done = min(batch + 1, self._work.total or batch + 1)

    def on_test_begin(self, logs: Any = None) -> None:
        self._open.close()
        self._work = None
        self._open.enter_context(working(f"validation after epoch {self._epoch}"))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._open.close()

    def on_train_end(self, logs: Any = None) -> None:
        self._open.close()
