"""A run's card holds names that somebody else chose."""

import pytest

from tuning.reports.run_card import escape


@pytest.mark.parametrize(
    ("name", "escaped"),
    [
        ("<img src=x>", r"\<img src=x\>"),
        ("[a](javascript:b)", r"\[a\](javascript:b)"),
        ("a|b\n# c", r"a\|b \# c"),
        ("plain text, 1.5 (of 2)", "plain text, 1.5 (of 2)"),
    ],
)
def test_a_name_is_shown_as_it_is(name: str, escaped: str) -> None:
    assert escape(name) == escaped
