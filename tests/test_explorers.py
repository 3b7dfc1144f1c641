"""Each explorer of the book is a figure: it has a name of its own and says what it shows."""

import doctest
from pathlib import Path

import explorers
import jupytext
from docutils import nodes
from docutils.frontend import get_default_settings
from docutils.utils import new_document

ROOT = Path(__file__).parents[1]


def cells_with_sliders():
    for page in sorted((ROOT / "book").rglob("*.md")):
        for cell in jupytext.reads(page.read_text("utf8"), fmt="md:myst").cells:
            lines = cell.source.splitlines() if cell.cell_type == "code" else []
            if any(line.startswith("explorer(") for line in lines):
                yield page, cell


def test_examples():
    result = doctest.testmod(explorers)
    assert result.attempted
    assert not result.failed


def test_every_explorer_has_a_name_of_its_own_and_a_caption():
    told = [(page, cell.metadata.get("explorer", {})) for page, cell in cells_with_sliders()]
    assert len(told) > 25
    assert [page for page, each in told if not each.get("caption")] == []
    names = [each["name"] for _, each in told]
    assert len({*names}) == len(names)
    assert all(name.startswith("explorer-") for name in names)


def document_of(metadata):
    document = new_document("page", get_default_settings())
    outputs = nodes.container("", nodes.paragraph("", "sliders"), nb_element="cell_code_output")
    source = nodes.container("", nb_element="cell_code_source")
    document += nodes.container("", source, outputs, nb_element="cell_code", cell_metadata=metadata)
    return document


def test_what_a_cell_gave_becomes_a_figure_that_can_be_referred_to():
    document = document_of({"explorer": {"name": "explorer-a", "caption": "Move\n  it."}})
    explorers.Captions(document).apply()
    (figure,) = document.findall(nodes.figure)
    assert next(child.astext() for child in figure.children) == "sliders"
    assert figure.children[-1].children[0].astext() == "Move it."
    assert document.nameids["explorer-a"] == "explorer-a"


def test_other_cells_stay_as_they_are():
    document = document_of({"tags": ["hide-input"]})
    explorers.Captions(document).apply()
    assert not list(document.findall(nodes.figure))
