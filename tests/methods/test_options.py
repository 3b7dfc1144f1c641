"""An option is said once: its rule refuses, its words are found in the documentation."""

from __future__ import annotations

from dataclasses import dataclass, fields

import pytest

from cdlnmf_lit.methods.options import (
    OneOf,
    anything,
    at_least,
    option,
    optional,
    positive,
    with_options,
)


def test_rules_keep_what_meets_them():
    assert OneOf("a", "b")("b", "name") == "b"
    assert at_least(2)(2, "name") == 2
    assert positive(1, "name") == 1.0
    assert optional(positive)(None, "name") is None
    assert optional(positive)(0.5, "name") == 0.5
    assert anything([1], "name") == [1]


@pytest.mark.parametrize(
    ("rule", "value", "message"),
    [
        (OneOf("a", "b"), "c", "name must be one of a, b, got 'c'"),
        (at_least(2), 1, "name must be a whole number of at least 2, got 1"),
        (positive, 0, "name must be positive, got 0"),
        (positive, -1.0, "name must be a finite number of at least 0, got -1.0"),
        (optional(positive), 0, "name must be positive, got 0"),
    ],
)
def test_rules_name_argument_value_and_rule(rule, value, message):
    with pytest.raises(ValueError, match=message):
        rule(value, "name")


@dataclass(frozen=True)
class Asked:
    """One line.

    More.

    Raises
    ------
    ValueError

    Examples
    --------
    """

    size: int = option(3, "How large.", at_least(1))
    kind: str = option("a", "Which.", OneOf("a", "b"))


def test_options_stand_in_the_documentation_before_what_it_raises():
    text = with_options(Asked)
    before, after = text.split("    Raises\n")
    assert before.startswith("One line.\n\n    More.\n\n    Parameters\n    ----------\n")
    assert "    size : int\n        How large. Default: ``3``.\n" in before
    assert "    kind : {'a', 'b'}\n        Which. Default: ``'a'``.\n" in before
    assert after.startswith("    ------\n    ValueError\n")
    assert [each.default for each in fields(Asked)] == [3, "a"]
