"""Fingerprints of code: what a sweep's results and a page's outputs are kept by.

Chapter: ``book/experiments/sweeps.md``.
"""

from __future__ import annotations

import ast
import hashlib
import io
import sys
import tokenize
from collections.abc import Callable, Iterable, Iterator
from functools import cache, lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
Import = tuple[str, str | None]
"""A module, and the one name taken from it; None is the module itself."""


def fingerprint(
    files: Iterable[Path],
    root: Path,
    distributions: Iterable[str],
    read: Callable[[Path], bytes] = Path.read_bytes,
) -> str:
    """Digest files, the version of Python and those of the distributions that the files use.

    Parameters
    ----------
    files
        Each counts by its place below the root and by what ``read`` returns of it.
    root
        A folder.
    distributions
        Names of installed distributions; one that is not there counts as such.
    read
        From a path to bytes: all of a file, or :func:`code_alone`.

    Returns
    -------
    str
        64 hexadecimal digits.

    Examples
    --------
    >>> here = Path(__file__)
    >>> once = fingerprint([here], here.parent, ["numpy"])
    >>> once == fingerprint([here], here.parent, ["numpy"]) != fingerprint([], here.parent, [])
    True
    """
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(read(path)).digest())
    versions = [(name, installed(name)) for name in sorted(distributions)]
    digest.update(repr((sys.version_info[:2], versions)).encode())
    return digest.hexdigest()


def code_alone(path: Path) -> bytes:
    """The lines of a source, without comments, docstrings and empty lines.

    The same in every version of Python, as its syntax trees are not.

    Examples
    --------
    >>> b"Fingerprints of code" in code_alone(Path(__file__))
    False
    """
    return _code_alone(path.read_text("utf8"))


@lru_cache(maxsize=256)
def _code_alone(text: str) -> bytes:
    lines = text.split("\n")
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    code = [line.encode() for line in lines]
    for node in _docstrings(text):
        first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
        after = code[last][node.end_col_offset :]
        code[first : last + 1] = [code[first][: node.col_offset], *[b""] * (last - first)]
        code[last] += after
    return b"\n".join(line.rstrip() for line in code if line.strip())


def _docstrings(text: str) -> list[ast.Constant]:
    """What stands as a string by itself."""
    alone = [node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Expr)]
    return [
        each for each in alone if isinstance(each, ast.Constant) and isinstance(each.value, str)
    ]


def imports(source: str, package: str = "") -> Iterator[Import]:
    """Every import of a source, at any depth; relative ones are resolved against `package`.

    Examples
    --------
    >>> list(imports("import numpy as np\\nfrom .two import two", "lib.room"))
    [('numpy', None), ('lib.room.two', 'two')]
    """
    yield from _imports(source, package)


@lru_cache(maxsize=256)
def _imports(source: str, package: str) -> list[Import]:
    found: list[Import] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*above * (node.level > 0), *filter(None, [node.module])])
            found += ((base, None if alias.name == "*" else alias.name) for alias in node.names)
    return found


def reached(source: str, root: Path) -> tuple[set[Path], set[str]]:
    """Files of the package under `root`, and top-level names outside it, that a source uses.

    A name that a package re-exports leads to the module that defines it, and not to everything
    that the package's ``__init__`` imports.

    Examples
    --------
    >>> files, outside = reached("from cdlnmf_lit import CDL", PACKAGE.parent)
    >>> PACKAGE / "methods" / "cdl.py" in files, "numpy" in outside
    (True, True)
    """
    files: set[Path] = set()
    outside: set[str] = set()
    seen: set[Import] = set()

    @cache
    def imports_of(file: Path, package: str) -> list[Import]:
        return list(imports(file.read_text(encoding="utf8"), package))

    @cache
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
        found = imports_of(file, package_of(module, file))
        origin = [i for i in found if i[1] == name] if file.name == "__init__.py" and name else []
        for imported in origin or found:
            follow(*imported)

    for imported in imports(source):
        follow(*imported)
    return files, outside


def source_digest(modules: Iterable[str], root: Path = PACKAGE.parent) -> str:
    """Digest the code that modules of the package reach by their imports, in 16 digits.

    Neither prose nor versions are part of it, nor what a package's ``__init__`` exports.

    Parameters
    ----------
    modules
        Dotted names.
    root
        The folder of the package's folder.

    Examples
    --------
    >>> one, other = (source_digest([f"cdlnmf_lit.theory.{n}"]) for n in ("gabor", "convolution"))
    >>> one != other
    True
    """
    files, _ = reached("".join(f"import {module}\n" for module in modules), root)
    digest = hashlib.sha256()
    for path in sorted(files):
        if path.name != "__init__.py":
            digest.update(path.relative_to(root).as_posix().encode() + b"\0")
            digest.update(hashlib.sha256(code_alone(path)).digest())
    return digest.hexdigest()[:16]


def installed(name: str) -> str | None:
    """The version of a distribution, or None.

    Examples
    --------
    >>> installed("no-such-distribution")
    """
    try:
        return version(name)
    except PackageNotFoundError:
        return None
