"""Pictures and sounds of the pages: each takes its place before it is there, and no sooner.

A chapter's player carries its sound, so that a notebook that is passed on can be heard. In a page
every reader would wait for it: there it becomes a file, loaded when a reader asks for it. A picture
says its size, so that the text below it does not move when it comes.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from PIL import Image

if TYPE_CHECKING:
    from docutils import nodes
    from sphinx.application import Sphinx

FOLDER = "_static/media"
ENDINGS = {"mpeg": "mp3", "wav": "wav", "webp": "webp", "png": "png"}
PICTURE = re.compile(r'<img (?=[^>]*?src="(?P<source>[^":]+)")[^>]*>')
DRAWN = re.compile(r'<img ([^>]*?src=")data:image/(webp|png);base64,([^"]{1000,})"')
"""A picture that a page carries and that is worth a file."""
PLAYER = re.compile(
    r'(<audio [^>]*?)preload="metadata"([^>]*? src=")data:audio/(mpeg|wav);base64,([^"]+)"'
)


def apart(body: str, folder: Path, address: str) -> str:
    """A page's text whose sounds and pictures are in files of a folder, which has the address.

    A file is named by its content: what stands in many places is there once.
    """

    def filed(kind: str, data: str) -> str:
        content = base64.b64decode(data)
        file = folder / f"{hashlib.sha256(content).hexdigest()[:16]}.{ENDINGS[kind]}"
        file.write_bytes(content)
        return f"{address}/{file.name}"

    def player(found: re.Match[str]) -> str:
        before, between, kind, data = found.groups()
        return f'{before}preload="none"{between}{filed(kind, data)}"'

    def picture(found: re.Match[str]) -> str:
        before, kind, data = found.groups()
        return f'<img loading="lazy" {before}{filed(kind, data)}"'

    return DRAWN.sub(picture, PLAYER.sub(player, body))


def sized(body: str, sizes: Mapping[str, tuple[int, int]]) -> str:
    """A page's text whose pictures say their size in pixels, which is told by their addresses.

    As their places are kept, they are loaded when a reader comes near.

    Examples
    --------
    >>> sized('<img alt="a" src="a.png"/><img src="b.png">', {"a.png": (4, 3)})
    '<img loading="lazy" width="4" height="3" alt="a" src="a.png"/><img src="b.png">'
    """

    def picture(found: re.Match[str]) -> str:
        if "height=" in found[0] or found["source"] not in sizes:
            return found[0]
        width, height = sizes[found["source"]]
        return f'<img loading="lazy" width="{width}" height="{height}"{found[0][4:]}'

    return PICTURE.sub(picture, body)


def sizes_of(app: Sphinx, folder: str) -> dict[str, tuple[int, int]]:
    """The sizes of the pictures of the book, by their addresses."""
    found = {}
    for source, name in app.builder.images.items():
        if name.endswith((".png", ".webp", ".jpg")):
            with Image.open(Path(app.srcdir, source)) as picture:
                found[f"{folder}/{quote(name)}"] = picture.size
    return found


def settle(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    body = context.get("body", "")
    if "<audio" in body or "data:image" in body:
        folder = Path(app.outdir, FOLDER)
        folder.mkdir(parents=True, exist_ok=True)
        body = apart(body, folder, context["pathto"](FOLDER, 1))
    if "<img" in body:
        body = sized(body, sizes_of(app, context["pathto"]("_images", 1)))
    context["body"] = body


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("html-page-context", settle, priority=950)  # after the frames of the sliders
    return {"parallel_read_safe": True, "parallel_write_safe": True}
