"""A table of results says each value once, under its unit, and marks the best."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdlnmf_lit.presentation.tables import table


def cells(shown):
    """The texts of a table, line by line."""
    tree = ElementTree.fromstring(shown.data)
    return [["".join(cell.itertext()) for cell in line] for line in tree.iter("tr")]


def bold(shown):
    return re.findall("<strong>(.*?)</strong>", shown.data)


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=6))
def test_the_best_of_a_column_are_bold_and_nothing_else_is(values):
    rows = [{"start": f"seed {n}", "dB": value} for n, value in enumerate(values)]
    shown = table(rows, form=".17g", best={"dB": max})
    assert len(bold(shown)) == values.count(max(values))
    assert {float(text.replace("−", "-")) for text in bold(shown)} == {max(values)}


@given(st.lists(st.text(st.characters(codec="utf-8", categories=["L", "P", "S"])), min_size=1))
def test_words_come_back_as_they_are(words):
    assert cells(table([{"said": word} for word in words])) == [["said"], *([w] for w in words)]


def test_numbers_are_written_as_asked_and_stand_to_the_right():
    rows = [
        {"what": "a", "size (MB)": 12345, "time (s)": np.float32(0.12345), "found": True},
        {"what": "b", "size (MB)": np.int64(7), "time (s)": -1.5, "found": np.bool_(False)},
        {"what": "c", "time (s)": None},
    ]
    assert cells(table(rows, caption="Two runs")) == [
        ["what", "size (MB)", "time (s)", "found"],
        ["a", "12,345", "0.123", "yes"],
        ["b", "7", "−1.5", "no"],
        ["c", "–", "–", "–"],
    ]
    assert cells(table(rows, form={"time (s)": ".1f"}))[1][2] == "0.1"
    assert table(rows).data.count('class="number"') == 2 + 4
    assert "<caption>Two runs</caption>" in table(rows, caption="Two runs").data


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("-1.5 (-2.3 to -0.7)", "−1.5 (−2.3 to −0.7)"),
        ("1e-4, 2019-20, look for fewer (-K 4)", "1e-4, 2019-20, look for fewer (-K 4)"),
    ],
)
def test_numbers_in_words_have_the_minus_of_numbers(said, expected):
    assert cells(table([{"range": said}]))[1] == [expected]


def test_the_least_may_be_the_best_and_what_is_missing_never_is():
    rows = [{"time (s)": None}, {"time (s)": 3}, {"time (s)": 2}]
    assert bold(table(rows, best={"time (s)": min})) == ["2"]


@pytest.mark.parametrize(
    ("rows", "best", "message"),
    [
        ([], {}, "rows must hold at least one row"),
        ([{"a": 1}, {"b": 2}], {}, r"rows must have the heads \['a'\], got \['b'\]"),
        ([{"a": 1}], {"b": max}, r"best must name heads of \['a'\], got \['b'\]"),
    ],
)
def test_what_is_no_table_is_refused(rows, best, message):
    with pytest.raises(ValueError, match=message):
        table(rows, best=best)
