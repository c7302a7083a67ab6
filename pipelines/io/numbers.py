"""Columns of numbers as people write them: 12.342,49 and "12,342.49", 5 %, $ 12, (300).

A column is read where all its cells agree on one way to write numbers; never does one cell decide
for itself. Where the whole column allows two readings, the caller has to ask.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    import pandas as pd

Decimal: TypeAlias = Literal["", ".", ","]
# Words that stand for a gap among numbers, in small letters.
GAPS = frozenset(
    [
        *("", "na", "n/a", "n.a.", "nan", "null", "none", "-", "--", "?", ".", "..", "missing"),
        *("#n/a", "#na", "#value!", "#div/0!", "<na>"),
    ]
)
MOSTLY = 0.9  # the least share of cells that are numbers in a column of numbers
CURRENCIES = "€$£¥₹₩₽"
# Codes and abbreviations of currencies that may stand before or behind a number.
CODES = re.compile(
    r"(?:(?:US|AU?|CA?|NZ|HK|R)\$|EUR|USD|GBP|CHF|JPY|CNY|INR|SEK|NOK|DKK|PLN|CZK|HUF|BRL|AUD|CAD"
    r"|NZD|MXN|ZAR|TRY|kr\.?|Kč|zł|Ft|Fr\.|Rs\.?)"
)
BLANKS = "\u00a0\u202f\u2009 "  # between groups of digits, as in French or Polish
# A number with a mark before its decimals and perhaps another between groups of three digits.
PATTERNS = {
    # 12,34,567 is how India groups digits.
    ".": re.compile(
        r"[+-]?([1-9]\d{0,2}(,\d{3})+|[1-9]\d?(,\d{2})+,\d{3}|\d*)(\.\d*)?([eE][+-]?\d+)?"
    ),
    ",": re.compile(r"[+-]?([1-9]\d{0,2}(\.\d{3})+|\d*)(,\d*)?([eE][+-]?\d+)?"),
}
# Groups alone, as 1.234 or 12,345: either thousands or three decimals.
GROUPS = re.compile(r"[+-]?[1-9]\d{0,2}([.,]\d{3})+")


@dataclass(frozen=True, kw_only=True)
class ParsedNumbers:
    """A column that was read as numbers: `values` float64, and `wrong` true where a cell is none.

    Gaps are NaN and not wrong. `note` says how numbers were read where that is not plain;
    `ambiguous` that the column allows two readings, of which `--decimal` chooses one.
    """

    values: "pd.Series"
    wrong: "pd.Series"
    note: str = ""
    ambiguous: bool = False


def is_numeric(cells: "pd.Series") -> bool:
    """Return whether a column holds numbers: nearly all of its cells that are no gaps."""
    import pandas as pd

    if pd.api.types.is_datetime64_any_dtype(cells) or cells.dtype == bool:
        return False
    if pd.api.types.is_numeric_dtype(cells):
        return True
    parsed = parse_numbers(cells)
    num_numbers = int(parsed.values.notna().sum())
    num_cells = num_numbers + int(parsed.wrong.sum())
    return num_numbers > 0 and num_numbers >= MOSTLY * num_cells


def parse_numbers(
    cells: "pd.Series", *, decimal: Decimal = "", delimiter: str = ","
) -> ParsedNumbers:
    """Return a column as numbers.

    `decimal` is the mark before decimals, found out where it is not given; `delimiter` that of the
    file, which tells what its writer is used to: where semicolons divide cells, commas are often
    decimal marks.
    """
    import pandas as pd

    if pd.api.types.is_numeric_dtype(cells):
        return ParsedNumbers(values=cells.astype("float64"), wrong=_nowhere(cells))
    plain = _plain_numbers(cells, decimal)
    if plain is not None:
        return ParsedNumbers(values=plain, wrong=_nowhere(cells))
    texts = cells.astype(object).where(cells.notna(), "").map(_plain)
    is_gap = texts.str.lower().isin(GAPS)
    plain = pd.to_numeric(texts.mask(is_gap), errors="coerce").astype("float64")
    wrong = plain.isna() & ~is_gap
    is_in_doubt = not decimal and _is_in_doubt(texts[~is_gap])
    if not wrong.any() and decimal != "," and not is_in_doubt:
        return ParsedNumbers(values=plain, wrong=wrong)
    return _read_by_mark(texts.map(_undecorated), is_gap, decimal, delimiter)


def _plain_numbers(cells: "pd.Series", decimal: Decimal) -> "pd.Series | None":
    """Return a column of texts as numbers where each is plainly one, None where that is in doubt.

    Most columns are: it is a tenth of the time of looking at each cell.
    """
    import pandas as pd

    if decimal == "," or not isinstance(cells.dtype, pd.StringDtype):
        return None
    numbers = pd.to_numeric(cells, errors="coerce").astype("float64")
    given = cells.dropna()
    if numbers.notna().sum() < len(given) or (not decimal and _is_in_doubt(given)):
        return None
    return numbers


def _nowhere(cells: "pd.Series") -> "pd.Series":
    import pandas as pd

    return pd.Series(False, index=cells.index)


def _plain(cell: object) -> str:
    return str(cell).strip().replace("\u2212", "-")


def _undecorated(text: str) -> str:
    """Return a number without its currency, per cent sign, blanks between digits, and brackets."""
    is_negative = text.startswith("(") and text.endswith(")")
    if is_negative:
        text = text[1:-1]
    text = re.sub(rf"^([+-]?)\s*{CODES.pattern}\s*(?=[\d.,+-])", r"\1", text)
    text = re.sub(rf"(?<=\d)\s*{CODES.pattern}$", "", text)
    text = text.strip(CURRENCIES + BLANKS).removesuffix("%").strip(CURRENCIES + BLANKS)
    text = re.sub(r"(?<=\d)['\u2019 \u00a0\u202f\u2009](?=\d{3}(\D|$))", "", text)
    if text.endswith("-"):  # as SAP writes what is below zero
        text = "-" + text[:-1]
    text = re.sub(rf"^([+-]?)[{re.escape(CURRENCIES)}]\s*", r"\1", text)
    return f"-{text}" if is_negative else text


def _is_in_doubt(texts: "pd.Series") -> bool:
    """Return whether every mark in a column may divide thousands as well as decimals."""
    is_marked = False
    for text in texts:
        if "." in text or "," in text:
            is_marked = True
            if not GROUPS.fullmatch(text.strip()):
                return False
    return is_marked


def _read_by_mark(
    texts: "pd.Series", is_gap: "pd.Series", decimal: Decimal, delimiter: str
) -> ParsedNumbers:
    """Read texts by the decimal mark that fits most of them."""
    given = texts[~is_gap]
    mark = decimal or _mark_that_fits(given, delimiter)
    is_ambiguous = not mark
    parse = _parser(mark or ".")
    values = texts.mask(is_gap).map(parse, na_action="ignore").astype("float64")
    wrong = values.isna() & ~is_gap
    note = ""
    if mark == ",":
        note = "a comma stands before decimals"
    elif given.str.contains(",", regex=False).any():
        note = "commas divide thousands"
    return ParsedNumbers(values=values, wrong=wrong, note=note, ambiguous=is_ambiguous)


def _mark_that_fits(texts: "pd.Series", delimiter: str) -> Decimal:
    """Return the mark before decimals; nothing where both marks fit and mean different numbers."""
    fits = {
        mark: int(texts.map(lambda text, p=pattern: p.fullmatch(text) is not None).sum())
        for mark, pattern in PATTERNS.items()
    }
    if fits["."] != fits[","]:
        return "." if fits["."] > fits[","] else ","
    marked = texts[texts.str.contains(r"[.,]", regex=True)]
    if not _is_in_doubt(texts):
        return "."
    if marked.str.count(r"[.,]").max() > 1:  # 1.234.567 has one reading
        return "," if marked.str.contains(".", regex=False).any() else "."
    has_commas = marked.str.contains(",", regex=False).any()
    if delimiter == ",":
        # Where commas divide cells, points are decimal marks, and a comma in quotes divides
        # thousands.
        return "."
    return "" if has_commas or delimiter == ";" else "."


def _parser(mark: str) -> Callable[[str], float]:
    pattern = PATTERNS[mark]
    other = {".": ",", ",": "."}[mark]

    def parse(text: str) -> float:
        if not pattern.fullmatch(text) or not any(character.isdigit() for character in text):
            return float("nan")
        return float(text.replace(other, "").replace(mark, "."))

    return parse
