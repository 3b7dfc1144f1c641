"""Slides of the pictures of all chapters, in one file that needs no network and no script.

Run by ``make slides``, once the book is built. A chapter has a slide with its question, its answer
and its number, as its summary says them, and one for each figure and for each explorer as it opens.
The file scrolls from slide to slide, and prints one a page.
"""

from __future__ import annotations

import base64
import html
import mimetypes
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pdf
from bs4 import BeautifulSoup, Tag
from bs4.element import NavigableString
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml

TARGET = Path("_build/slides/cdlnmf_lit.html")
STYLE = Path(__file__).with_suffix(".css")
PICTURES = ":is(figure[id], .stand-in) img:not(.on-dark, .scope img)"
BARE = re.compile(r"\\frac(\w)(\w)")
"""A fraction without braces."""


def mathml(tex: str) -> str:
    """An equation as browsers draw it by themselves; as it is written where that is not known.

    Examples
    --------
    >>> mathml(r"\\(1/M\\)").startswith("<math"), mathml(r"\\nosuch")
    (True, '<code>\\\\nosuch</code>')
    """
    inner = tex.removeprefix("\\(").removesuffix("\\)")
    try:
        return str(tex2mathml(BARE.sub(r"\\frac{\1}{\2}", inner)))
    except (MathError, SyntaxError, ValueError):
        return f"<code>{html.escape(inner)}</code>"


def words(element: Tag) -> str:
    """What an element says, as HTML with emphasis and equations and nothing else."""
    said = []
    for child in element.children:
        if isinstance(child, NavigableString):
            said.append(html.escape(str(child)))
        elif isinstance(child, Tag) and "math" in child.get_attribute_list("class"):
            said.append(mathml(child.get_text()))
        elif isinstance(child, Tag) and not {"headerlink", "figure-links"} & {
            *child.get_attribute_list("class")
        }:
            inner = words(child)
            emphasised = child.name in ("strong", "em", "code")
            said.append(f"<{child.name}>{inner}</{child.name}>" if emphasised else inner)
    return "".join(said)


def embedded(file: Path) -> str:
    """A picture as an address that holds it."""
    kind = mimetypes.guess_type(file.name)[0] or "image/webp"
    return f"data:{kind};base64,{base64.b64encode(file.read_bytes()).decode()}"


def pictures(article: Tag, page: str, folder: Path) -> Iterator[str]:
    """A slide for each figure, and for what each explorer opens at."""
    for image in article.select(PICTURES):
        source, alt = str(image["src"]), html.escape(str(image.get("alt", "")), quote=True)
        figure = image.find_parent("figure")
        caption = figure.find("figcaption") if figure else None
        says = words(caption) if isinstance(caption, Tag) else alt
        if not source.startswith("data:"):
            source = embedded(folder / unquote(pdf.resolve(page, source)))
        yield f'<figure><img src="{source}" alt="{alt}"><figcaption>{says}</figcaption></figure>'


def of_page(page: str, soup: BeautifulSoup, folder: Path) -> list[str]:
    """The slides of a chapter; none where it has no picture."""
    article = soup.find("article", class_="bd-article")
    assert isinstance(article, Tag)
    title = article.find("h1")
    shown = list(pictures(article, page, folder))
    if not shown or not isinstance(title, Tag):
        return []
    lines = article.select("div.summary p:not(.minutes)")[:3]
    summary = "".join(f"<p>{words(line)}</p>" for line in lines)
    head = [f"<h2>{words(title)}</h2>{summary}"] if page != pdf.ROOT else []
    return [*head, *shown]


def deck(pages: pdf.Pages, folder: Path) -> str:
    """All slides, in the order of the book, as one page."""
    chapters = {page: of_page(page, soup, folder) for page, soup in pages.items()}
    title = pages[pdf.ROOT].find("h1")
    assert isinstance(title, Tag)
    name = words(title)
    sections = [
        f'<section id="{pdf.name(page)}-{n}"><div>{slide}</div></section>'
        for page, slides in chapters.items()
        for n, slide in enumerate(slides)
    ]
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{name}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>{STYLE.read_text('utf8')}</style></head>\n<body><main>\n"
        f"<section><div><h1>{name}</h1><p>Slides of its pictures: Space and Page Down go on."
        f"</p></div></section>\n{chr(10).join(sections)}\n</main></body></html>\n"
    )


def main() -> None:
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    text = deck(pdf.read(pdf.HTML), pdf.HTML)
    TARGET.write_text(text, encoding="utf8")
    print(f"{text.count('<section')} slides: file://{TARGET.resolve()}")


if __name__ == "__main__":
    main()
