"""The book as one page for paper: in order, linked inside, without what only a screen shows."""

import pdf
import pytest
from bs4 import BeautifulSoup

HEAD = """<link rel="canonical" href="https://example.org/{address}">
    <link rel="stylesheet" href="{up}_static/book.css?v=1">
    <script src="{up}_static/theme.js"></script>"""
PAGES = {
    "book/intro.html": """<head>{head}<title>A book</title>
        <link rel="next" href="theory/gabor.html"></head><body><nav>the sidebar</nav>
        <article class="bd-article"><h1 id="start">A book<a
        class="headerlink" href="#start">#</a></h1>
        <p><a href="theory/gabor.html#frames">frames</a> <a href="theory/gabor.html">chapter</a>
        <a href="#start">here</a> <a href="../genindex.html">index</a>
        <a href="https://example.org/x">away</a></p></article></body>""",
    "book/theory/gabor.html": """<head>{head}
        <script>window.MathJax = {{}}</script>
        <script defer src="{up}_static/mathjax/tex.js"></script>
        </head><body><article class="bd-article"><h1 id="start">Gabor</h1>
        <h2 id="frames">Frames</h2>
        <img src="../../_images/one.png"><img src="data:image/webp;base64,AA">
        <audio controls src="data:audio/mpeg;base64,AA"></audio>
        <audio controls src="../../_static/media/a.mp3"></audio>
        <div class="math"><span class="eqno">(1)</span>
        \\[x \\tag{{\\href{{../intro.html#start}}{{P1}}}}\\]</div>
        <script>play()</script>
        <details class="hide"><summary>Show</summary><pre>x = 1</pre></details>
        <script type="application/vnd.jupyter.widget-view+json">{{"model_id": "m"}}</script>
        <div class="stand-in"><img src="../../_static/media/two.webp"></div>
        </article></body>""",
}


@pytest.fixture
def pages(tmp_path):
    for address, text in PAGES.items():
        path = tmp_path / address
        path.parent.mkdir(parents=True, exist_ok=True)
        up = "../" * address.count("/")
        path.write_text(text.format(head=HEAD.format(up=up, address=address), up=up))
    return pdf.read(tmp_path)


@pytest.fixture
def paper(pages):
    return BeautifulSoup(pdf.one_page(pages), "html.parser")


def test_the_pages_follow_each_other_as_in_the_book(pages, paper):
    assert list(pages) == list(PAGES)
    assert [heading.text for heading in paper.find_all("h1")] == ["A book", "Contents", "Gabor"]
    assert "the sidebar" not in paper.text


def test_every_link_into_the_book_leads_to_one_element(paper):
    places = [element["id"] for element in paper.find_all(id=True)]
    inside = [a["href"][1:] for a in paper.find_all("a", href=True) if a["href"][0] == "#"]
    assert len(set(places)) == len(places)
    assert len(inside) == 5
    assert set(inside) <= set(places)


def test_other_links_lead_away_or_are_text(paper):
    away = [a["href"] for a in paper.select("a:not(.sound)") if a["href"][0] != "#"]
    assert away == ["https://example.org/x"]
    assert "index" in paper.text


def test_sounds_become_words_and_folded_code_is_open(paper):
    assert not paper.find_all("audio")
    assert "a sound, in the book’s page" in paper.text
    assert paper.find("details").has_attr("open")


def test_pictures_styles_and_what_draws_equations_stay_and_sliders_as_they_open(paper):
    sources = [element["src"] for element in paper.find_all(["img", "script"], src=True)]
    assert sources == [
        "_static/mathjax/tex.js",
        "_images/one.png",
        "data:image/webp;base64,AA",
        "_static/media/two.webp",
    ]
    assert [link["href"] for link in paper.find_all("link")] == ["_static/book.css?v=1"]
    assert not paper.find("script", type="application/vnd.jupyter.widget-view+json")
    assert "play()" not in str(paper)


def test_a_missing_browser_is_named_with_the_package_that_has_it(monkeypatch):
    monkeypatch.setenv("CHROMIUM", "no-such-browser")
    with pytest.raises(SystemExit, match=r"no-such-browser.*apt install chromium"):
        pdf.browser()


def test_a_link_in_an_equation_leads_to_its_place_on_paper(paper):
    (equation,) = paper.select(".math")
    assert r"\href{#book-intro--start}{P1}" in equation.text
    assert equation.find(class_="eqno").text == "(1)"


def test_a_sound_is_a_link_to_its_file_where_the_book_is_published(paper):
    (sound,) = paper.select("a.sound")
    assert sound["href"] == "https://example.org/_static/media/a.mp3"
