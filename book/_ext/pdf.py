"""Print the built book as one PDF.

Run by `make pdf`, in the repository's root. The articles of all pages become one page, whose
links stay inside it; Chromium prints that page, equations and first frames of the sliders included.
"""

from __future__ import annotations

import os
import posixpath
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urldefrag, urljoin

import chromium
from bs4 import BeautifulSoup, Tag

HTML = Path("_build/html")
PDF = Path("_build/pdf/cdlnmf_lit.pdf")
ROOT = "book/intro.html"
SECONDS = 1800
# Scripts that draw something; the theme's own work on what paper does not have.
DRAWING = ("mathjax", "window.MathJax")
ELSEWHERE = ("https:", "http:", "mailto:", "data:")
STYLE = Path(__file__).with_suffix(".css")
HREF = re.compile(r"\\href\{([^}]+)\}")
"""A link inside an equation, which is no element yet."""

Pages = dict[str, BeautifulSoup]


def read(folder: Path) -> Pages:
    """The pages in the order of the book: each names the next one."""
    pages: Pages = {}
    address: str | None = ROOT
    while address:
        page = BeautifulSoup((folder / address).read_text("utf8"), "html.parser")
        pages[address] = page
        link = page.find("link", rel="next")
        address = resolve(address, str(link["href"])) if isinstance(link, Tag) else None
    return pages


def resolve(page: str, reference: str) -> str:
    """A reference made on a page, as one from the root of the book."""
    if reference.startswith(ELSEWHERE):
        return reference
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), reference))


def name(page: str, fragment: str = "") -> str:
    """What a page, or an element of it, is called in the one page of all."""
    return f"{page.removesuffix('.html').replace('/', '-')}--{fragment}".removesuffix("--")


def relink(page: str, reference: str, pages: Pages) -> str | None:
    """The reference as it is written on the one page; None if it leads to no part of the book."""
    address, fragment = urldefrag(reference)
    if address.startswith(ELSEWHERE):
        return reference
    target = resolve(page, address) if address else page
    return f"#{name(target, fragment)}" if target in pages else None


def heard(audio: Tag, soup: BeautifulSoup) -> Tag:
    """What stands for a sound: a link to its file where the book is published."""
    home, source = soup.find("link", rel="canonical"), audio.get("src")
    if isinstance(home, Tag) and source and not str(source).startswith("data:"):
        address = urljoin(str(home["href"]), str(source))
        link = soup.new_tag("a", attrs={"class": "sound", "href": address})
        link.string = "a sound, in the book’s page"
        return link
    note = soup.new_tag("span", attrs={"class": "sound"})
    note.string = "(a sound, in the book’s page)"
    return note


def on_paper(page: str, pages: Pages) -> Tag:
    """The article of a page, without what only a screen can show."""
    article = pages[page].find("article", class_="bd-article")
    assert isinstance(article, Tag)
    for element in article.select("a.headerlink, script"):
        element.decompose()
    for audio in article.find_all("audio"):
        audio.replace_with(heard(audio, pages[page]))
    for details in article.find_all("details"):
        details["open"] = ""
    for element in article.find_all(id=True):
        element["id"] = name(page, str(element["id"]))
    for equation in article.find_all(string=HREF):
        equation.replace_with(
            HREF.sub(lambda found: rf"\href{{{relink(page, found[1], pages)}}}", equation)
        )
    for link in article.find_all("a", href=True):
        target = relink(page, str(link["href"]), pages)
        if target:
            link["href"] = target
        else:
            link.unwrap()
    for picture in article.find_all("img", src=True):
        picture["src"] = resolve(page, str(picture["src"]))
        del picture["loading"]  # all of them are printed
    article["id"] = name(page)
    return article


def heads(pages: Pages) -> Iterator[Tag]:
    """Style sheets and scripts that any page loads for its text, each once."""
    seen = set()
    for page, soup in pages.items():
        for element in soup.select("head link[rel=stylesheet], head script"):
            where = next((key for key in ("href", "src") if element.get(key)), None)
            if where:
                element[where] = resolve(page, str(element[where]))
            if element.name == "script" and not any(word in str(element) for word in DRAWING):
                continue
            if str(element) not in seen:
                seen.add(str(element))
                yield element


def contents(articles: list[Tag]) -> str:
    """The list of the chapters, each a link."""
    titles = [(article["id"], article.find("h1")) for article in articles]
    items = [f'<li><a href="#{to}">{title.get_text()}</a></li>' for to, title in titles if title]
    return f"<nav><h1>Contents</h1><ol>{''.join(items)}</ol></nav>"


def one_page(pages: Pages) -> str:
    title = pages[ROOT].find("title")
    head = "\n".join(map(str, heads(pages)))
    first, *others = articles = [on_paper(page, pages) for page in pages]
    body = "\n".join(map(str, [first, contents(articles), *others]))
    return (
        '<!DOCTYPE html>\n<html lang="en" data-theme="light" data-mode="light"><head>'
        f'<meta charset="utf-8">{title}\n{head}\n<style>{STYLE.read_text("utf8")}</style></head>\n'
        f"<body>\n{body}\n</body></html>\n"
    )


def browser() -> str:
    named = chromium.program()
    if found := named and shutil.which(named):
        return found
    sys.exit(
        f"no {named or ' or '.join(chromium.NAMES)} found to print with: install Chromium"
        " (Debian: apt install chromium), or name a browser of its kind:"
        " make pdf CHROMIUM=/path/to/it"
    )


def print_page(program: str, page: Path, pdf: Path) -> None:
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    options = [
        "--headless",
        "--disable-gpu",
        "--no-pdf-header-footer",
        "--generate-pdf-document-outline",
        f"--timeout={SECONDS * 1000}",
        "--virtual-time-budget=60000",
        f"--print-to-pdf={pdf.resolve()}",
    ]
    command = [program, *sandbox, *options, page.resolve().as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    if done.returncode or not pdf.exists():
        sys.exit(f"{program} printed nothing:\n{done.stderr}")


def main() -> None:
    program = browser()
    page = HTML / "_print.html"
    PDF.parent.mkdir(parents=True, exist_ok=True)
    PDF.unlink(missing_ok=True)
    try:
        page.write_text(one_page(read(HTML)), encoding="utf8")
        print_page(program, page, PDF)
    finally:
        page.unlink(missing_ok=True)
    print(f"The book is printed: file://{PDF.resolve()}")


if __name__ == "__main__":
    main()
