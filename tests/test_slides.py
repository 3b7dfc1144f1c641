"""The slides: each chapter's question and pictures, in one file that asks for nothing."""

import base64
import doctest
import re

import pdf
import slides
from bs4 import BeautifulSoup

FRONT = """<html><head><link rel="next" href="theory/gabor.html"></head><body>
<article class="bd-article"><h1>A book<a class="headerlink" href="#x">#</a></h1></article>"""
CHAPTER = r"""<html><body><article class="bd-article"><h1>Gabor &amp; frames</h1>
<div class="summary"><p><strong>Question.</strong> Is it <a href="x">one</a>?</p>
<p><strong>Answer.</strong> <span class="math">\(\frac12\)</span>.</p><p class="minutes">3</p></div>
<figure id="fig-a"><img alt="a line" src="../../_images/a%20b.png"><figcaption><p>
<span>Fig. 1</span> It &lt; <code>x</code>.<a class="headerlink" href="#fig-a">#</a>
<span class="figure-links"><a href="#fig-a">Link</a></span></p></figcaption></figure>
<figure><img alt="of no number" src="x.png"></figure>
<figure id="explorer-a"><div class="stand-in"><img alt="It opens" src="data:image/webp;base64,AA">
<img class="on-dark" hidden src="data:image/webp;base64,BB"><div class="scope"><img src="x"></div>
</div><figcaption>Move it.</figcaption></figure></article>"""


def test_examples():
    result = doctest.testmod(slides)
    assert result.attempted
    assert not result.failed


def deck(folder):
    for address, text in {pdf.ROOT: FRONT, "book/theory/gabor.html": CHAPTER}.items():
        (folder / address).parent.mkdir(parents=True, exist_ok=True)
        (folder / address).write_text(text)
    (folder / "_images").mkdir()
    (folder / "_images" / "a b.png").write_bytes(b"a picture")
    return slides.deck(pdf.read(folder), folder)


def test_a_chapter_is_its_question_and_its_pictures(tmp_path):
    made = BeautifulSoup(deck(tmp_path), "html.parser")
    title, question, figure, explorer = made.find_all("section")
    assert title.h1.get_text() == "A book"
    assert question.h2.get_text() == "Gabor & frames"
    assert question.p.get_text() == "Question. Is it one?"
    assert question.math
    assert "minutes" not in str(question)
    assert figure.img["src"].endswith(base64.b64encode(b"a picture").decode())
    assert figure.img["alt"] == "a line"
    assert figure.figcaption.get_text().split() == ["Fig.", "1", "It", "<", "x."]
    assert explorer.img["src"] == "data:image/webp;base64,AA"
    assert explorer.img["alt"] == "It opens"
    assert explorer.figcaption.get_text() == "Move it."


def test_the_slides_ask_for_nothing(tmp_path):
    made = deck(tmp_path)
    assert "<script" not in made
    assert all(each.startswith("data:") for each in re.findall(r'(?:src|href)="([^"]*)"', made))
    assert "url(" not in made


def test_an_equation_that_is_not_known_stands_as_it_is_written():
    assert "<mfrac>" in slides.mathml(r"\(\frac12\)")
    assert slides.mathml(r"\(\nosuch < 1\)") == r"<code>\nosuch &lt; 1</code>"
