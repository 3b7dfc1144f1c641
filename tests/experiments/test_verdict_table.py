"""The table of verdicts has a row a sentence, counts them, and shows what they hold as it is."""

from dataclasses import replace

from bs4 import BeautifulSoup

from cdlnmf_lit.experiments.verdict_table import HEADS, table
from cdlnmf_lit.experiments.verdicts import SYMBOLS, Verdict

PLAIN = Verdict(
    "one", "p. 5532", "It **rains** & pours.", "9 of 10; 3 dB <5", "typical", "[A](a.md#x)"
)
CORRECTED = Verdict("two", "p. 5533", "It snows.", "0 of 10", "not reached", "[B](b.md#y)", "*No*.")


def read(*found):
    return BeautifulSoup(table(found), "html.parser")


def test_each_sentence_has_a_row_with_its_number_verdict_and_page():
    rows = read(PLAIN, CORRECTED).select("tbody tr")
    assert [row["id"] for row in rows] == ["sentence-one", "sentence-two"]
    for row, each in zip(rows, (PLAIN, CORRECTED), strict=True):
        cells = {cell["data-head"]: cell for cell in row.find_all("td")}
        assert tuple(cells) == HEADS
        assert cells["sentence"].text == f"{each.says.replace('**', '')} {each.where}"
        assert cells["verdict"].text == f"{SYMBOLS[each.word]} {each.word}"
    assert rows[0].strong.text == "rains"
    assert [row.a["href"] for row in rows] == ["a.html#x", "b.html#y"]


def test_what_stands_behind_the_number_is_folded_and_shown_as_it_is():
    first, second = read(PLAIN, CORRECTED).select("tbody tr")
    assert first.details.contents[1] == "3 dB <5"
    assert second.details is None


def test_a_number_is_shown_up_to_the_first_count_above_zero():
    hits = replace(PLAIN, number="3 dB; 0 of 7 starts; 1 of 8 pianos; 6 of 146 runs")
    row = read(hits).select_one("tbody tr")
    assert row.details.extract().contents[1] == "6 of 146 runs"
    assert row.select_one("[data-head=number]").text == "3 dB; 0 of 7 starts; 1 of 8 pianos"


def test_the_caption_counts_the_verdicts():
    counts = "✔ typical 2 · ✘ not reached 1"
    assert read(PLAIN, PLAIN, CORRECTED).caption.text == f"3 statements in 2 sentences: {counts}"


def test_without_a_correction_there_is_no_column_for_one():
    page = read(PLAIN)
    assert [head.text for head in page.find_all("th")] == [HEADS[0], *HEADS[1:3], HEADS[4]]
    assert len(page.select("tbody td")) == 4
