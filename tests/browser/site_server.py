"""The built book, served from localhost below a path of its own, as a published site is."""

from __future__ import annotations

import contextlib
import functools
import os
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).parents[2]
HTML = Path(os.environ.get("BOOK_HTML", ROOT / "_build" / "html"))
REPORTS = ROOT / "_build" / "browser"
PREFIX = "/published/at/book/"
FRONT = "book/intro.html"
APART = ("lite", "_static", "_sources", "_downloads", "_images")


class _Handler(SimpleHTTPRequestHandler):
    def translate_path(self, path: str) -> str:
        if not path.startswith(PREFIX):
            return str(HTML / "nothing is served above the book")
        return super().translate_path("/" + path.removeprefix(PREFIX))

    def log_message(self, format: str, *arguments: object) -> None:
        pass


def pages() -> list[str]:
    """Every page of the book, relative to its root."""
    found = (path.relative_to(HTML) for path in HTML.rglob("*.html"))
    book = sorted(page.as_posix() for page in found if page.parts[0] not in APART)
    return [page for page in book if page != "index.html"]  # which leads to the front page


@contextlib.contextmanager
def serving() -> Iterator[str]:
    """Serve the book; yield its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Handler, directory=HTML))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}{PREFIX}"
    finally:
        server.shutdown()
        server.server_close()
