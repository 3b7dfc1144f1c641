"""Fingerprints of code: what a sweep's results and a page's outputs are kept by.

Chapter: ``book/experiments/sweeps.md``.
"""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Callable, Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


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
    """What a source computes, without comments and docstrings.

    Examples
    --------
    >>> b"Fingerprints of code" in code_alone(Path(__file__))
    False
    """
    return ast.dump(_WithoutProse().visit(ast.parse(path.read_bytes()))).encode()


class _WithoutProse(ast.NodeTransformer):
    """Drop what stands as a string by itself: docstrings."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        is_text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if is_text else node


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
