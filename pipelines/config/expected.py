"""What a value was expected to be, in plain words: pydantic's own are those of programmers."""

import re
from collections.abc import Mapping
from typing import Any

WHOLE_NUMBER = "a whole number"
NUMBER = "a number such as 0.01"
SWITCH = "true or false"
NAMES_OF_TYPES = {int: WHOLE_NUMBER, float: NUMBER, bool: SWITCH, str: "a text"}
KINDS = {
    "int_parsing": WHOLE_NUMBER,
    "int_type": WHOLE_NUMBER,
    "int_from_float": WHOLE_NUMBER,
    "int_parsing_size": "a smaller number",
    "float_parsing": NUMBER,
    "float_type": NUMBER,
    "finite_number": "a finite number",
    "bool_parsing": SWITCH,
    "bool_type": SWITCH,
    "string_type": "a text",
}
BOUNDS = {
    "greater_than_equal": "{} or more",
    "greater_than": "more than {}",
    "less_than_equal": "{} or less",
    "less_than": "less than {}",
}
DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+")


def expected_value(error: Mapping[str, Any]) -> str:
    """Return what one of pydantic's errors expected: "a whole number", "1 or more"."""
    kind = str(error["type"])
    if kind in KINDS:
        return KINDS[kind]
    if kind in BOUNDS:
        (bound,) = error["ctx"].values()
        return BOUNDS[kind].format(bound)
    return str(error["msg"]).removeprefix("Input should be ")


def with_point(value: object) -> str:
    """Return how a number with a decimal comma is to be written, as a sentence; "" for others."""
    text = str(value).strip()
    if not DECIMAL_COMMA.fullmatch(text):
        return ""
    return f" Write it with a point: {text.replace(',', '.')}"
