"""Mend what keeps readers from a page who listen to it.

The names of folded cells say nothing of what is shown on them, the bibliography's entries have
a role that no list may hold, and what opens a part of the list of pages has no name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bs4 import BeautifulSoup
    from docutils import nodes
    from sphinx.application import Sphinx

MENDED = {
    ' aria-label="Toggle hidden content"': "",
    'role="doc-biblioentry"': 'role="listitem"',
}


def named(listed: Callable[..., BeautifulSoup]) -> Callable[..., BeautifulSoup]:
    """The list of pages, in which a part is opened by what bears the name of its page."""

    def with_names(*arguments: Any, **options: Any) -> BeautifulSoup:
        pages = listed(*arguments, **options)
        parts, openers = (
            pages.select(f".has-children > {it}") for it in ("a", "details > summary")
        )
        for part, opener in zip(parts, openers, strict=True):
            opener["aria-label"] = f"Pages of {part.get_text()}"
        return pages

    return with_names


def mend(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    for printed, better in MENDED.items():
        context["body"] = context.get("body", "").replace(printed, better)
    context["generate_toctree_html"] = named(context["generate_toctree_html"])


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("html-page-context", mend, priority=900)  # when the theme has its list of pages
    return {"parallel_read_safe": True, "parallel_write_safe": True}
