"""The foot of the pages: it says what CITATION.cff says, and what it offers can be had."""

import tarfile
import zipfile
from pathlib import Path

import colophon
import pytest
import yaml

ROOT = Path(__file__).parents[1]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf8"))


def test_both_works_are_cited():
    (paper,) = CITATION["references"]
    text = colophon.bibtex(paper, "malagnoux2024")
    assert text.startswith("@inproceedings{malagnoux2024,")
    assert "author = {Malagnoux, Jean-Baptiste and Kowalski, Matthieu}" in text
    assert f"doi = {{{paper['doi']}}}" in text
    assert "pages = {5530--5534}" in text
    own = colophon.bibtex(CITATION, "cdlnmf_lit", "https://example.org/")
    assert "url = {https://example.org/}" in own
    assert f"version = {{{CITATION['version']}}}" in own


def test_without_a_repository_there_are_no_links_to_it():
    assert colophon.links("", "book/a", "book/a.md", "A") == {}
    found = colophon.links("https://github.com/you/it", "book/a", "book/a.md", "A: why?")
    assert found["edit"] == "https://github.com/you/it/edit/main/book/a.md"
    assert found["mistake"].endswith("title=A%3A%20why%3F%3A%20")


def test_a_page_without_a_source_has_none_to_edit():
    found = colophon.links("https://github.com/you/it", "404", "", "404")
    assert found["repository"] == "https://github.com/you/it"
    assert found["mistake"].endswith("title=404%3A%20")
    assert "edit" not in found


def test_the_book_on_paper_can_be_had_once_it_is_printed(tmp_path):
    assert colophon.printed(tmp_path, tmp_path) == []
    printed = tmp_path / "_build" / "pdf" / "cdlnmf_lit.pdf"
    printed.parent.mkdir(parents=True)
    printed.write_bytes(b"%PDF")
    assert colophon.printed(tmp_path, tmp_path) == ["cdlnmf_lit.pdf"]
    assert (tmp_path / "cdlnmf_lit.pdf").read_bytes() == b"%PDF"


@pytest.mark.long
def test_wheel_and_source_hold_the_package(tmp_path):
    source, wheel = (
        tmp_path / name
        for name in sorted(colophon.distribute(ROOT, tmp_path), key=len, reverse=False)
    )
    if source.suffix == ".whl":
        source, wheel = wheel, source
    module = "cdlnmf_lit/theory/equivalence.py"
    assert module in zipfile.ZipFile(wheel).namelist()
    with tarfile.open(source) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {module, "book/intro.md", "tests/test_colophon.py", "Makefile", "LICENSE"} <= names
    assert not [name for name in names if name.startswith(("_build", "node_modules", ".venv"))]
