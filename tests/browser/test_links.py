"""All links of the built book lead somewhere, and nothing is taken from elsewhere."""

from __future__ import annotations

import json
import re
import zipfile
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from bs4 import BeautifulSoup

from tests.browser.site_server import FRONT, HTML, ROOT, pages

TAKEN = {"img": "src", "script": "src", "link": "href", "audio": "src", "iframe": "src"}
TEXT = {".html", ".ipynb", ".js", ".json", ".md", ".txt"}
NO_FILE = {"canonical", "search", "index", "next", "prev", "alternate"}


@cache
def soup(path: Path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text("utf8"), "html.parser")


@cache
def anchors(path: Path) -> frozenset[str]:
    elements = soup(path).find_all(True)
    return frozenset(str(e[key]) for e in elements for key in ("id", "name") if e.get(key))


def target(page: Path, link: str) -> tuple[Path, str]:
    parts = urlsplit(link)
    path = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    return (path / "index.html" if path.is_dir() else path), unquote(parts.fragment)


@pytest.mark.parametrize("address", pages())
def test_links_lead_somewhere(address: str) -> None:
    page, dead = HTML / address, []
    for link in {str(a["href"]) for a in soup(page).find_all("a", href=True)}:
        if urlsplit(link).scheme or link.startswith("//"):
            continue
        path, fragment = target(page.resolve(), link)
        has_anchors = path.suffix == ".html" and "lite" not in path.parts
        if not path.exists() or (fragment and has_anchors and fragment not in anchors(path)):
            dead.append(link)
    assert not dead


@pytest.mark.parametrize("address", pages())
def test_what_a_page_takes_is_the_sites_own(address: str) -> None:
    page, elsewhere, missing = HTML / address, [], []
    for tag, key in TAKEN.items():
        for element in soup(page).find_all(tag):
            source = str(element.get(key) or "")
            if not source or source.startswith("data:") or set(element.get("rel") or ()) & NO_FILE:
                continue
            if urlsplit(source).scheme or source.startswith("//"):
                elsewhere.append(source)
            elif not target(page.resolve(), source)[0].exists():
                missing.append(source)
    assert not elsewhere
    assert not missing


@pytest.mark.parametrize("address", pages())
def test_pictures_have_words(address: str) -> None:
    silent = [image for image in soup(HTML / address).find_all("img") if image.get("alt") is None]
    assert not silent


@pytest.mark.parametrize("name", ["404", "genindex", "prf-prf", "py-modindex", "search"])
def test_a_page_without_a_text_says_what_it_is(name: str) -> None:
    page = soup(HTML / f"{name}.html")
    for key in ("description", "og:title", "og:description", "og:image", "og:url"):
        kind = "property" if key.startswith("og:") else "name"
        elements = page.find_all("meta", attrs={kind: key})
        assert [each["content"] for each in elements if each["content"]], key
    assert page.find(class_="colophon")


def test_the_sidebar_calls_a_page_as_its_head_does() -> None:
    front, named = HTML / FRONT, {}
    for link in soup(front).select("nav.bd-links a.internal"):
        path, _ = target(front.resolve(), str(link["href"]).rstrip("#"))
        head = soup(path).select_one("article h1")
        assert head
        named[link.get_text().strip()] = head.get_text().removesuffix("#").strip()
    assert len(named) > 30
    assert not {name: head for name, head in named.items() if name != head}


def test_the_papers_numbers_lead_to_the_equation_map() -> None:
    number, link, astray = re.compile(r"\(P\d+\)"), re.compile(r"#map-eq-\d+$"), []
    rooms = set()
    for address in pages():
        for each in soup(HTML / address).select("article a.of-paper"):
            rooms.add("api" if "reference/api" in address else "chapters")
            if not (number.search(each.get_text()) and link.search(str(each["href"]))):
                astray.append((address, each))
    assert rooms == {"api", "chapters"}
    assert not astray


@pytest.mark.parametrize("address", [each for each in pages() if "reference/api" in each])
def test_no_number_of_the_paper_looks_like_the_books(address: str) -> None:
    text = soup(HTML / address).select_one("article")
    assert text
    assert not re.findall(r"[Ee]quations?\s+\(\d+\)", text.get_text())


def test_nothing_says_where_it_was_built() -> None:
    texts = [path for path in HTML.rglob("*") if path.suffix in TEXT]
    assert not [path for path in texts if str(ROOT) in path.read_text("utf8", errors="replace")]


def test_the_notebooks_to_download_hold_text_and_outputs() -> None:
    with zipfile.ZipFile(HTML / "downloads" / "notebooks.zip") as archive:
        found = {name: json.loads(archive.read(name))["cells"] for name in archive.namelist()}
    assert len(found) > 30
    for name, cells in found.items():
        assert {cell["cell_type"] for cell in cells} == {"markdown", "code"}, name
        assert any(cell.get("outputs") for cell in cells), f"{name} was not executed"
