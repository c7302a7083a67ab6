"""What `predict` is asked about: pictures, and the table that their answers stand beside."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pandas as pd

from pipelines.errors import DataError
from pipelines.vision.pictures import Picture

# A picture, or the reason why it cannot be read.
Asked: TypeAlias = Picture | DataError


@dataclass(frozen=True, kw_only=True)
class Request:
    """Pictures `(n,)`, and the table `(n, columns)` that their answers stand beside.

    `names` are what messages call them.
    """

    frame: pd.DataFrame
    pictures: Sequence[Asked] | np.ndarray
    names: Sequence[str]
    notes: tuple[str, ...] = ()
