"""A small book that is published: what those who come from elsewhere find."""

import re
from xml.etree import ElementTree

import addresses
import pytest
from sphinx.application import Sphinx
from sphinx.errors import ConfigError

BASE = "https://example.org/a/book/"
PAGES = {
    "rooms/intro.md": "# The front page\n\nWhat it is, in a sentence.\n\n[Next](one.md)\n",
    "rooms/one.md": "---\norphan: true\n---\n# The lesson\n\nIt teaches.\n",
}


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.setenv("BOOK_ADDRESS", BASE.removesuffix("/"))
    for name, text in PAGES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    options = {
        "extensions": ["myst_nb", "sphinxext.opengraph", "notfound.extension", "addresses"],
        "root_doc": "rooms/intro",
        "project": "a book",
        "ogp_social_cards": {"enable": False},
    }
    app = Sphinx(tmp_path, None, tmp_path / "html", tmp_path / "trees", "html", options, None, None)
    app.build()
    return tmp_path / "html"


def test_a_published_book_is_found(site):
    page = (site / "rooms" / "one.html").read_text("utf8")
    assert f'<link rel="canonical" href="{BASE}rooms/one.html" />' in page
    assert re.search(r'name="description" content="It teaches\.', page)
    assert re.search(r'property="og:title" content="The lesson"', page)
    places = ElementTree.parse(site / "sitemap.xml").findall(".//{*}loc")
    assert [each.text for each in places] == [f"{BASE}{name[:-3]}.html" for name in PAGES]
    assert f"Sitemap: {BASE}sitemap.xml" in (site / "robots.txt").read_text("utf8")


def test_the_folder_itself_is_the_front_page(site):
    index = (site / "index.html").read_text("utf8")
    assert "What it is, in a sentence." in index
    assert 'href="rooms/one.html"' in index
    for source in re.findall(r'<(?:script|link)[^>]* (?:src|href)="([^":?]+)["?]', index):
        assert (site / source).exists(), source


def test_a_page_that_is_not_there_leads_to_those_that_are(site):
    page = (site / "404.html").read_text("utf8")
    assert "There is no such page" in page
    assert 'href="/a/book/index.html"' in page
    for source in re.findall(r'<script[^>]* src="([^"?]+)', page):
        assert (site / source.removeprefix("/a/book/")).exists(), source


def test_each_link_of_that_page_holds_at_any_depth(site):
    page = (site / "404.html").read_text("utf8")
    links = re.findall(r'(?:href|src|action)="([^"#]+)', page)
    assert links
    assert not [link for link in links if not link.startswith(("/a/book/", "https://"))]


@pytest.mark.parametrize("name", ["404", "search", "genindex"])
def test_a_page_without_a_text_says_what_it_is(name, site):
    page = (site / f"{name}.html").read_text("utf8")
    title, says = addresses.WITHOUT_SOURCE[name]
    assert f'<meta name="description" content="{says}" />' in page
    assert f'<meta property="og:title" content="{title}" />' in page
    assert f'<meta property="og:url" content="{BASE}{name}.html" />' in page
    assert f'<meta property="og:image" content="{BASE}_static/card.png" />' in page


@pytest.mark.parametrize(
    "given", ["example.org", "ftp://example.org", "https://", "https://a.org/?b"]
)
def test_an_address_that_is_none_is_refused(given):
    with pytest.raises(ConfigError, match=r"BOOK_ADDRESS must begin with https:// or http://, got"):
        addresses.address({"BOOK_ADDRESS": given})
