"""The equation map: all of the paper is in it, and what is missing is said."""

import doctest
from pathlib import Path

import equation_map
import pytest

ROOT = Path(__file__).parents[1]
PAPER = {"eq-8": "NMF"}
FILES = {
    "book/methods/nmf.md": "# NMF: a few spectra\n\n(eq-8)=\nHere it is.\n",
    "cdlnmf_lit/methods/nmf.py": '''
def factorize():
    """Factorise.

    References
    ----------
    Equation (8) of the paper. Chapter: ``book/methods/nmf.md``.
    """
''',
    "tests/methods/test_nmf.py": "def test_it():\n    assert nmf.factorize()\n",
}


@pytest.fixture
def house(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_nothing_of_the_paper_is_missing():
    assert equation_map.problems(ROOT) == []


def test_the_paper_has_18_equations_3_statements_and_5_figures():
    titles = [equation_map.title(label) for label in equation_map.PAPER]
    assert [t for t in titles if t[0] == "("] == [f"({n})" for n in range(1, 19)]
    assert [t for t in titles if t[0] == "F"] == [f"Figure {n}" for n in range(1, 6)]
    assert {"Theorem 1", "Corollary 1", "Algorithm 1"} <= {*titles}
    assert len(titles) == 26


def test_examples():
    assert doctest.testmod(equation_map).failed == 0


@pytest.mark.parametrize(
    ("references", "labels"),
    [
        ("Equations (7) and (8) of the paper, reference [12].", {"eq-7", "eq-8"}),
        ("Equations (5) and (11)-(13).", {"eq-5", "eq-11", "eq-12", "eq-13"}),
        ("Corollary 1 and Algorithm 1", {"corollary-1", "algorithm-1"}),
        ("Fig. 1", {"figure-1"}),
        ("Figs. 2, 4 and 5", {"figure-2", "figure-4", "figure-5"}),
        ("Figures 3 and 4", {"figure-3", "figure-4"}),
        ("Section 4 of the paper; J. Acoust. Soc. Am. 62, 1977.", set()),
    ],
)
def test_docstrings_are_read(references, labels):
    assert equation_map.mentions(references) == labels


def test_a_line_names_place_chapter_code_and_test(house):
    (entry,) = equation_map.entries(house, PAPER)
    assert entry.places == entry.chapters == ("methods/nmf",)
    assert entry.code == ("cdlnmf_lit.methods.nmf.factorize",)
    assert entry.tests == ("tests/methods/test_nmf.py",)
    assert equation_map.problems(house, PAPER) == []
    line = equation_map.row(entry, {"methods/nmf": "NMF"})
    assert line == (
        '| <span id="map-eq-8"></span>**(P8)** NMF | {ref}`NMF <eq-8>` | nmf: {py:obj}`factorize '
        "<cdlnmf_lit.methods.nmf.factorize>` | "
        "{download}`methods/test_nmf.py </tests/methods/test_nmf.py>` |"
    )


@pytest.mark.parametrize(
    ("name", "before", "after", "said"),
    [
        ("book/methods/nmf.md", "(eq-8)=\n", "", "(8) must stand at one label"),
        ("book/methods/nmf.md", "Here", "(eq-8)=\nHere", "(8) must stand at one label"),
        ("cdlnmf_lit/methods/nmf.py", "(8)", "[8]", "(8) must be named by the References"),
        ("cdlnmf_lit/methods/nmf.py", "(8)", "(8) and (19)", "names (19), which the paper lacks"),
        ("cdlnmf_lit/methods/nmf.py", "nmf.md", "mnf.md", "a docstring names book/methods/mnf.md"),
        ("cdlnmf_lit/methods/nmf.py", "Chapter", "Page", "must be shown in a chapter"),
        ("tests/methods/test_nmf.py", "nmf.factorize", "nmf.other", "(8) must be tested"),
    ],
)
def test_what_is_missing_is_said(house, name, before, after, said):
    text = (house / name).read_text()
    assert before in text
    (house / name).write_text(text.replace(before, after, 1))
    assert any(said in problem for problem in equation_map.problems(house, PAPER))
