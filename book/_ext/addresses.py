"""Tell those who come from elsewhere what each page is and where it is.

Search engines ask for one address a page, a map of all pages and a file ``robots.txt``; a server
asks for a page that says that there is no such page; readers who name no page get the first one.
All need the address at which the book is published. ``BOOK_ADDRESS`` tells it. Else it is the one
that GitHub gives to the repository which ``BOOK_REPOSITORY`` tells; else that of ``make serve``.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from xml.etree import ElementTree

from markupsafe import escape
from sphinx.errors import ConfigError
from sphinx.util import logging

if TYPE_CHECKING:
    from docutils import nodes
    from sphinx.application import Sphinx
    from sphinx.config import Config

SERVED = "http://localhost:8000/"
GITHUB = re.compile(r"https://github\.com/([\w-]+)/([\w.-]+?)(?:\.git)?/?")
LINK = re.compile(r'\b(href|src|action|data-content_root)="([^"]*)"')
NOT_FOUND = """<h1>There is no such page</h1>
<p>The book has moved it, or the address is mistyped. <a href="{front}">The first page</a> leads to
all others, and the search in the sidebar finds what stands in them.</p>"""

WITHOUT_SOURCE = {
    "404": ("There is no such page", "The book has moved this page, or the address is mistyped."),
    "search": ("Search", "Find words in the chapters, and names in the reference of the package."),
    "genindex": ("Index", "All functions, classes and terms of the book, by name."),
    "py-modindex": ("Modules", "All modules of the package, each with a link to its reference."),
    "prf-prf": ("Theorems", "All theorems, corollaries and algorithms of the book."),
}
"""What the pages are called that are made of no text of their own, and what stands on each."""
CARD = "_static/card.png"

log = logging.getLogger(__name__)


def address(environment: Mapping[str, str]) -> str:
    """Where the book will be, with a slash at its end.

    Raises
    ------
    ConfigError
        If ``BOOK_ADDRESS`` is not the address of a folder on the web.

    Examples
    --------
    >>> address({"BOOK_ADDRESS": "https://example.org/book"})
    'https://example.org/book/'
    >>> address({"BOOK_REPOSITORY": "https://github.com/You/it"})
    'https://you.github.io/it/'
    >>> address({"BOOK_REPOSITORY": "https://github.com/you/you.github.io"})
    'https://you.github.io/'
    >>> address({})
    'http://localhost:8000/'
    """
    if given := environment.get("BOOK_ADDRESS"):
        parts = urlsplit(given)
        if parts.scheme not in ("http", "https") or not parts.netloc or parts.query:
            raise ConfigError(f"BOOK_ADDRESS must begin with https:// or http://, got {given!r}")
        return given.rstrip("/") + "/"
    if found := GITHUB.fullmatch(environment.get("BOOK_REPOSITORY", "")):
        owner, name = found[1].lower(), found[2]
        return f"https://{owner}.github.io/" + (f"{name}/" if name != f"{owner}.github.io" else "")
    return SERVED


def moved(page: str, folder: str) -> str:
    """A page of a folder as it reads in the folder above.

    Examples
    --------
    >>> moved('<a href="a.html#b"><img src="../c.png"><a href="#d"><a href="https://e.org">', "f")
    '<a href="f/a.html#b"><img src="c.png"><a href="#d"><a href="https://e.org">'
    """

    def link(found: re.Match[str]) -> str:
        name, target = found.groups()
        if target.startswith(("#", "/")) or urlsplit(target).scheme:
            return found[0]
        path = posixpath.normpath(posixpath.join(folder, target))
        return f'{name}="{path}{"/" * target.endswith("/")}"'

    return LINK.sub(link, page)


def sitemap(base: str, pages: list[str]) -> bytes:
    """The list of all pages that search engines read.

    Examples
    --------
    >>> sitemap("https://example.org/", ["book/intro"]).decode().splitlines()[-1]
    '<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"><url><loc>https://example.org/book/intro.html</loc></url></urlset>'
    """
    root = ElementTree.Element("urlset", xmlns="http://www.sitemaps.org/schemas/sitemap/0.9")
    for page in sorted(pages):
        place = ElementTree.SubElement(ElementTree.SubElement(root, "url"), "loc")
        place.text = f"{base}{page}.html"
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)


def settle(app: Sphinx, config: Config) -> None:
    """Give Sphinx and its extensions the address."""
    base = address(os.environ)
    if base == SERVED:
        log.info("the pages name %s as their address; BOOK_ADDRESS names another", base)
    config.html_baseurl = config.ogp_site_url = base
    config.notfound_urls_prefix = urlsplit(base).path
    config.notfound_context = {
        "title": WITHOUT_SOURCE["404"][0],
        "body": NOT_FOUND.format(front=f"{urlsplit(base).path}index.html"),
    }


def described(page: str, base: str, site: str) -> str:
    """The elements that say to others what a page is which has no text of its own.

    Examples
    --------
    >>> described("search", "https://example.org/", "A book").splitlines()[1]
    '<meta property="og:title" content="Search" />'
    """
    title, says = WITHOUT_SOURCE[page]
    shared = {
        "title": title,
        "type": "website",
        "url": f"{base}{page}.html",
        "site_name": site,
        "description": says,
        "image": base + CARD,
    }
    lines = [f'<meta name="description" content="{escape(says)}" />']
    lines += [f'<meta property="og:{key}" content="{escape(v)}" />' for key, v in shared.items()]
    return "\n".join(lines)


def describe(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Describe the pages that no text is there for."""
    if page in WITHOUT_SOURCE:
        site = app.config.ogp_site_name or app.config.project
        context["metatags"] = described(page, app.config.html_baseurl, site)


def write(app: Sphinx, error: Exception | None) -> None:
    """Write what a site has beside its pages."""
    if error or app.builder.format != "html":
        return
    base, out = app.config.html_baseurl, Path(app.outdir)
    front = Path(f"{app.config.root_doc}.html")
    page = (out / front).read_text(encoding="utf8")
    (out / "index.html").write_text(moved(page, front.parent.as_posix()), encoding="utf8")
    (out / "sitemap.xml").write_bytes(sitemap(base, list(app.env.found_docs)))
    robots = f"User-agent: *\nAllow: /\nSitemap: {base}sitemap.xml\n"
    (out / "robots.txt").write_text(robots, encoding="utf8")


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("config-inited", settle, priority=400)
    app.connect("html-page-context", describe)
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
