"""The buttons above a page: each is there only where it works.

The executed notebook can always be downloaded. Links to the source repository and to Binder
appear when the book is built for a repository, which its address in the environment variable
BOOK_REPOSITORY tells.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from execution import executed
from figures import passed_on

if TYPE_CHECKING:
    from docutils import nodes
    from sphinx.application import Sphinx
    from sphinx.config import Config


def link_repository(app: Sphinx, config: Config) -> None:
    if address := os.environ.get("BOOK_REPOSITORY"):
        config.html_theme_options |= {
            "repository_url": address,
            "repository_branch": "main",
            "use_repository_button": True,
            "use_source_button": True,
            "use_issues_button": True,
            "launch_buttons": {
                "binderhub_url": "https://mybinder.org",
                "notebook_interface": "jupyterlab",
            },
        }


def offer_notebook(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    notebook = executed(app, page)
    if notebook and "kernelspec" in app.env.metadata.get(page, {}):
        target = Path(app.outdir) / "_sources" / f"{page}.ipynb"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(passed_on(notebook), indent=1, ensure_ascii=False), "utf8")
        context["ipynb_source"] = f"{page}.ipynb"


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("config-inited", link_repository, priority=400)
    app.connect("html-page-context", offer_notebook)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
