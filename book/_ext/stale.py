"""Read a chapter again when the library behind it changed.

The execution cache of the book looks at a chapter's own cells and at nothing else. This module
follows the imports of those cells through the package. The files and the installed versions that
a chapter reaches make its fingerprint, with those environment variables that they read. Where it
differs from that of the cached outputs, the chapter is executed again (``execution.py``); where
it differs from that of the last build, this Sphinx extension has the page read anew.

Nor does Sphinx look at style sheets and extensions: when one changed, all pages are read anew.
"""

from __future__ import annotations

import ast
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

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.config import Config
    from sphinx.environment import BuildEnvironment

PACKAGE = "cdlnmf_lit"
VARIABLES = ("CDLNMF_FULL", "CDLNMF_PIANO")
MAGIC = re.compile(r"^\s*[%!].*$", re.MULTILINE)

Import = tuple[
    str, str | None
]  # a module, and the one name taken from it (None: the module itself)


def code(chapter: str) -> str:
    """The Python of a chapter's code cells, without IPython's own commands."""
    cells = jupytext.reads(chapter, fmt="md:myst").cells
    return MAGIC.sub("", "\n".join(cell.source for cell in cells if cell.cell_type == "code"))


def imports(source: str, package: str = "") -> Iterator[Import]:
    """Every import of a source, at any depth; relative ones are resolved against `package`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*above * (node.level > 0), *filter(None, [node.module])])
            yield from ((base, None if alias.name == "*" else alias.name) for alias in node.names)


def reached(source: str, root: Path) -> tuple[set[Path], set[str]]:
    """Files of the package under `root`, and top-level names outside it, that a source uses.

    A name that a package re-exports leads to the module that defines it, and not to everything
    that the package's ``__init__`` imports.
    """
    files: set[Path] = set()
    outside: set[str] = set()
    seen: set[Import] = set()

    def file_of(module: str) -> Path | None:
        path = root.joinpath(*module.split("."))
        return next(
            (f for f in (path / "__init__.py", path.with_suffix(".py")) if f.is_file()), None
        )

    def package_of(module: str, file: Path) -> str:
        return module if file.name == "__init__.py" else module.rpartition(".")[0]

    def follow(module: str, name: str | None) -> None:
        if (module, name) in seen:
            return
        seen.add((module, name))
        file = file_of(module)
        if file is None:
            outside.add(module.partition(".")[0])
            return
        parts = module.split(".")
        parents = (file_of(".".join(parts[:n])) for n in range(1, len(parts) + 1))
        files.update(filter(None, parents))
        if name is not None and file_of(f"{module}.{name}"):
            return follow(f"{module}.{name}", None)
        found = list(imports(file.read_text(encoding="utf8"), package_of(module, file)))
        origin = [i for i in found if i[1] == name] if file.name == "__init__.py" and name else []
        for imported in origin or found:
            follow(*imported)

    for imported in imports(source):
        follow(*imported)
    return files, outside


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


def fingerprint(source: str, root: Path) -> str:
    """A digest of all that a chapter's code uses, beside the code itself."""
    files, outside = reached(source, root)
    used = {each for name in outside for each in distributions(name)}
    digest = hashlib.sha256(fingerprints.fingerprint(files, root, used).encode())
    for part in environment([source, *(file.read_text(encoding="utf8") for file in files)]):
        digest.update(part)
    return digest.hexdigest()


@cache
def chapters(root: Path) -> dict[Path, str]:
    """The chapters of the book under a folder, each with its fingerprint."""
    texts = {path: path.read_text(encoding="utf8") for path in sorted(root.glob("book/**/*.md"))}
    return {
        path: fingerprint(code(text), root) for path, text in texts.items() if "{code-cell}" in text
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
