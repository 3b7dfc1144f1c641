"""The built book, served from localhost below a path of its own, as a published site is."""

from __future__ import annotations

import contextlib
import functools
import os
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import official

ROOT = Path(__file__).parents[2]
HTML = Path(os.environ.get("BOOK_HTML", ROOT / "_build" / "html"))
REPORTS = ROOT / "_build" / "browser"
CHAPTERS = REPORTS / "chapters"
PREFIX = "/published/at/book/"
PYODIDE = "/pyodide/"
"""Where the files are that a published book takes from Pyodide's server."""
FRONT = "book/intro.html"
ELSEWHERE = ("index.html", "404.html")
"""The front page again, and a page whose links hold at the book's own address alone."""
CORE = f"{PREFIX}lite/static/pyodide/"
"""Where a book has what its notebooks load."""
APART = ("lite", "_static", "_sources", "_downloads", "_images", "downloads")


class _Handler(SimpleHTTPRequestHandler):
    def __init__(
        self, *arguments: Any, files: Path | None = None, core: Path | None = None, **options: Any
    ) -> None:
        self.files, self.core = files, core
        super().__init__(*arguments, directory=str(HTML), **options)

    def do_GET(self) -> None:
        if self.files and self.path.endswith(f"/{official.LOCK}"):
            lock = Path(self.translate_path(self.path)).read_bytes()
            body = lock.replace(official.server(ROOT).encode(), PYODIDE.encode())
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        else:
            super().do_GET()

    def translate_path(self, path: str) -> str:
        if self.files and path.startswith(PYODIDE):
            return str(self.files / path.removeprefix(PYODIDE))
        if self.core and path.startswith(CORE):
            return str(self.core / path.removeprefix(CORE))
        if not path.startswith(PREFIX):
            return str(HTML / "nothing is served above the book")
        return super().translate_path("/" + path.removeprefix(PREFIX))

    def log_message(self, format: str, *arguments: object) -> None:
        pass


def pages() -> list[str]:
    """Every page of the book, relative to its root."""
    found = (path.relative_to(HTML) for path in HTML.rglob("*.html"))
    book = sorted(page.as_posix() for page in found if page.parts[0] not in APART)
    return [page for page in book if page not in ELSEWHERE]


@contextlib.contextmanager
def serving(files: Path | None = None, core: Path | None = None) -> Iterator[str]:
    """Serve the book, and the files of Pyodide as its public server does; yield its address.

    ``core`` is a folder in place of what the book's notebooks load.
    """
    handler = functools.partial(_Handler, files=files, core=core)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}{PREFIX}"
    finally:
        server.shutdown()
        server.server_close()
