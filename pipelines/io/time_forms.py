"""How the times of a column are written, so that answers can be written in the same way."""

from itertools import product
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

DATES = (
    *("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%Y.%m.%d"),
    *("%d.%m.%y", "%d/%m/%y", "%m/%d/%y", "%d-%b-%Y", "%d-%b-%y", "%d %b %Y", "%d %B %Y"),
    *("%B %d, %Y", "%b %d, %Y", "%Y%m%d"),
)
CLOCKS = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p", "%H%M", "%H%M%S")
MONTHS = ("%Y-%m", "%Y%m", "%m/%Y", "%m.%Y", "%Y/%m", "%YM%m", "%b-%y", "%b %Y", "%B %Y", "%Y-%b")
FORMS = (*(date + clock for date, clock in product(DATES, CLOCKS)), *MONTHS, "%m-%y", "%Y")
LOOKED_AT = 200  # cells that a form has to write as they are


def written_form(cells: "pd.Series", times: "pd.Series") -> str:
    """Return the form, as strptime has it, that writes `times` as `cells` have them.

    It is empty where no form does, and for ISO 8601 with days, which all programs read.
    """
    some = cells.head(LOOKED_AT)
    texts = some.astype(str).str.strip().tolist()
    stamps = times.loc[some.index]
    for form in FORMS:
        # Of one time alone: a column takes a hundred times as long, and most forms fail at once.
        if stamps.iloc[0].strftime(form) == texts[0] and stamps.dt.strftime(form).tolist() == texts:
            return form
    return ""
