"""Chapters are tests: `pytest book/theory/gabor.md` runs that page cell by cell."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import jupytext
import nbformat
import pytest
from nbval.plugin import IPyNbCell, IPyNbFile

collect_ignore = ["_ext"]


class Chapter(IPyNbFile):
    """A MyST Markdown notebook; what its cells assert is what is tested."""

    def collect(self) -> Iterator[IPyNbCell]:
        notebook = jupytext.read(self.path, fmt="md:myst")
        with patch.object(nbformat, "read", return_value=notebook):
            yield from super().collect()


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> Chapter | None:
    if file_path.suffix == ".md" and "{code-cell}" in file_path.read_text(encoding="utf8"):
        return Chapter.from_parent(parent, path=file_path)
    return None
