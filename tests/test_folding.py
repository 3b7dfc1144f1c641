"""Folds say what is behind them, and the paper's numbers are told apart from the book's."""

import doctest

import folding
import paper_numbers
import pytest
import summary
from docutils import nodes
from docutils.utils import new_document
from myst_parser.parsers.docutils_ import Parser


@pytest.mark.parametrize("module", [folding, paper_numbers])
def test_examples(module):
    result = doctest.testmod(module)
    assert result.attempted
    assert not result.failed


@pytest.mark.parametrize(
    ("code", "alone"),
    [
        ("show(GaborFrame.analysis)", True),
        ("show(\n    one,\n    two,\n)\nshow(three)", True),
        ("show(one)\nprint(2)", False),
        ("x = show(one)", False),
        ("show(made())", False),
    ],
)
def test_a_call_that_shows_source_alone_is_left_out(code, alone):
    assert bool(folding.SHOWN.fullmatch(code)) == alone


def test_a_solution_is_one_only_where_exercises_are():
    document = new_document("page")
    for name in ("exercises", "the-mathematics"):
        section = nodes.section(ids=[name])
        section += nodes.container()
        document += section
    found = [folding.is_among_exercises(each) for each in document.findall(nodes.container)]
    assert found == [True, False]
    assert folding.name_of("x = 1\ny = 2", "", whole=True) == "Code, 2 lines"


def test_only_tags_of_the_paper_are_marked():
    text = r"a \tag{8} b \tag{$*$}"
    assert paper_numbers.tagged(text, "map.html").count(r"\class{of-paper}") == 1
    assert paper_numbers.tagged("a = b", "map.html") == "a = b"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("its equations (2) and (15).", "its equations :paper:`2` and :paper:`15`."),
        ("equations (11)-(14), see (1)", "equations :paper:`11`-:paper:`14`, see (1)"),
        (
            "References\n----------\nEquation (15), which lacks (2).\n\n>>> f(3)",
            "References\n----------\nEquation :paper:`15`, which lacks :paper:`2`.\n\n>>> f(3)",
        ),
        ("both sides of (15), as in eq. (1)", "both sides of :paper:`15`, as in eq. :paper:`1`"),
        ("Theorem (1) holds for f(2).", "Theorem (1) holds for f(2)."),
    ],
)
def test_a_docstring_names_the_papers_numbers_as_the_papers(text, expected):
    assert paper_numbers.paper_roles(text) == expected


def test_one_line_is_no_lines():
    assert folding.name_of("x = 1", "") == "Code, 1 line"
    assert folding.name_of("import numpy", "") == "Imports and settings, 1 line"


def test_minutes_grow_with_words_and_equations():
    def minutes(text):
        document = new_document("page")
        document.settings = __import__("docutils.frontend").frontend.get_default_settings(Parser)
        Parser().parse(text, document)
        return summary.count(document)

    assert minutes("word") == 1
    assert minutes("word " * 1000) == 5
    assert minutes("word " * 1000 + "\n\n$$\nx\n$$\n\n$$\ny\n$$") in (5, 6)
