"""Serve MathJax with the book, so that its equations need no network, and set them well.

The files are those of the package sphinx-mathjax-offline; only what the pages load is copied: the
script, its fonts, and the extensions that it fetches when an equation needs one.

A browser may break a line after a formula: then its full stop begins the next one. Here it stays.
"""

from __future__ import annotations

import re
import shutil
from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform

if TYPE_CHECKING:
    from sphinx.application import Sphinx

SCRIPT = "tex-mml-chtml.js"
FOLDERS = ("output/chtml/fonts/woff-v2", "input/tex/extensions")
MARKS = re.compile(r"[.,;:!?)]+")


class Punctuation(SphinxPostTransform):
    """Keep what closes a formula on the formula's line."""

    default_priority = 900
    formats = ("html",)

    def run(self, **kwargs: Any) -> None:
        for formula in list(self.document.findall(nodes.math)):
            after = formula.next_node(descend=False, siblings=True)
            if isinstance(after, nodes.Text) and (marks := MARKS.match(after)):
                together = nodes.inline(classes=["unbroken"])
                after.parent.replace(after, nodes.Text(after[marks.end() :]))
                formula.parent.replace(formula, together)
                together += [formula, nodes.Text(marks[0])]


def copy_files(app: Sphinx) -> None:
    package = distribution("sphinx-mathjax-offline")
    source = Path(str(package.locate_file("sphinx-mathjax-offline/static/mathjax")))
    target = Path(app.outdir, "_static", "mathjax")
    if app.builder.format == "html":
        for folder in FOLDERS:
            shutil.copytree(source / folder, target / folder, dirs_exist_ok=True)
        shutil.copy2(source / SCRIPT, target / SCRIPT)


def setup(app: Sphinx) -> dict[str, Any]:
    app.config.mathjax_path = f"mathjax/{SCRIPT}"
    app.connect("builder-inited", copy_files)
    app.add_post_transform(Punctuation)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
