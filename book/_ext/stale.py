"""Read a chapter again when the library behind it changed.

The execution cache of the book looks at a chapter's own cells and at nothing else. This module
follows the imports of those cells through the package. The files and the installed versions that
a chapter reaches make its fingerprint, with those environment variables that they read. Where it
differs from that of the cached outputs, the chapter is executed again (``execution.py``); where
it differs from that of the last build, this Sphinx extension has the page read anew.

Nor does Sphinx look at style sheets and extensions: when one changed, all pages are read anew.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jupytext

from cdlnmf_lit.experiments import fingerprints
from cdlnmf_lit.experiments.fingerprints import reached

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.config import Config
    from sphinx.environment import BuildEnvironment

PACKAGE = "cdlnmf_lit"
VARIABLES = ("CDLNMF_KEPT", "CDLNMF_PIANO")
KEPT = re.compile(r'"(kept/\w+\.jsonl?)"')
MAGIC = re.compile(r"^\s*[%!].*$", re.MULTILINE)


def code(chapter: str) -> str:
    """The Python of a chapter's code cells, without IPython's own commands."""
    cells = jupytext.reads(chapter, fmt="md:myst").cells
    return MAGIC.sub("", "\n".join(cell.source for cell in cells if cell.cell_type == "code"))


@cache
def _distributions() -> Mapping[str, list[str]]:
    return packages_distributions()


def distributions(name: str) -> set[str]:
    """The distributions behind a top-level name; none for the standard library."""
    return set(_distributions().get(name, []))


def environment(sources: Iterable[str]) -> Iterator[bytes]:
    """The variables that the sources name and that are set, with the file that one points to."""
    text = "".join(sources)
    for name in VARIABLES:
        if name in text and (value := os.environ.get(name)):
            yield f"{name}={value}".encode()
            if Path(value).is_file():
                yield hashlib.sha256(Path(value).read_bytes()).digest()


def fingerprint(source: str, root: Path, folder: Path | None = None) -> str:
    """A digest of all that a chapter's code uses, beside the code itself.

    The numbers of its sweeps, which it names, are kept beside the chapter, in the folder.
    """
    files, outside = reached(source, root)
    used = {each for name in outside for each in distributions(name)}
    digest = hashlib.sha256(fingerprints.fingerprint(files, root, used).encode())
    for path in [(folder or root) / name for name in KEPT.findall(source)]:
        digest.update(path.read_bytes() if path.exists() else b"")
    for part in environment([source, *(file.read_text(encoding="utf8") for file in files)]):
        digest.update(part)
    return digest.hexdigest()


@cache
def chapters(root: Path) -> dict[Path, str]:
    """The chapters of the book under a folder, each with its fingerprint."""
    texts = {path: path.read_text(encoding="utf8") for path in sorted(root.glob("book/**/*.md"))}
    return {
        path: fingerprint(code(text), root, path.parent)
        for path, text in texts.items()
        if "{code-cell}" in text
    }


def outdated(
    app: Sphinx, env: BuildEnvironment, added: set[str], changed: set[str], removed: set[str]
) -> list[str]:
    """The pages that Sphinx has to read again because the library changed."""
    old = getattr(env, "chapters", {})
    new = {env.path2doc(path): digest for path, digest in chapters(Path(app.srcdir)).items()}
    env.chapters = new  # type: ignore[attr-defined]
    return [
        name for name, digest in new.items() if name in env.found_docs and old.get(name) != digest
    ]


def digest_of_theme(app: Sphinx, config: Config) -> None:
    """Make the style sheets and the extensions part of the configuration."""
    book = Path(__file__).parents[1]
    files = sorted([*book.glob("_static/**/*.*"), *book.glob("_ext/*.py")])
    digest = hashlib.sha256(b"\0".join(file.read_bytes() for file in files))
    config.theme_digest = digest.hexdigest()


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_config_value("theme_digest", "", "env")
    app.connect("config-inited", digest_of_theme)
    app.connect("env-get-outdated", outdated)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
