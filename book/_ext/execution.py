"""Execute several chapters at a time, before Sphinx reads them one after the other.

The pages that are made have no kernel behind them: an environment variable tells the chapters.
What they print and draw goes to the execution cache, where their turn finds it. A chapter that
fails leaves nothing there: it runs again in its turn, and is reported as ever.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import joblib
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from jupyter_cache.executors.utils import single_nb_execution
from myst_nb.core.read import create_nb_reader
from sphinx.util import logging

if TYPE_CHECKING:
    from nbformat import NotebookNode
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

LONGEST = (
    "piano",
    "chirps",
    "overlap",
    "initialisation",
    "claims",
    "your_own_sound",
    "evaluation",
    "gabor",
)
"""The chapters to begin with; what they sweep, others find."""
AT_ONCE = 4
"""Chapters at a time, at most: each has threads and memory of its own."""

logger = logging.getLogger(__name__)


def in_order(names: Iterable[str]) -> list[str]:
    """The pages, the longest first.

    Examples
    --------
    >>> in_order(["book/intro", "book/overlap", "book/piano"])
    ['book/piano', 'book/overlap', 'book/intro']
    """
    rank = {name: n for n, name in enumerate(LONGEST)}
    return sorted(names, key=lambda name: rank.get(name.rpartition("/")[2], len(rank)))


def execute(app: Sphinx, env: BuildEnvironment, names: list[str]) -> None:
    """Fill the execution cache with the pages that Sphinx is about to read."""
    config: Any = env.mystnb_config  # type: ignore[attr-defined]
    if config.execution_mode != "cache":
        return
    cache = get_cache(config.execution_cache_path)

    def missing(name: str) -> tuple[Path, NotebookNode] | None:
        path = Path(env.doc2path(name))
        text = path.read_text(encoding="utf8")
        reader = create_nb_reader(str(path), env.myst_config, config, text)  # type: ignore[attr-defined]
        if reader is None:
            return None
        notebook = reader.read(text)
        with suppress(KeyError):
            cache.match_cache_notebook(notebook)
            return None
        return path, notebook

    def run(path: Path, notebook: NotebookNode) -> Any:
        return single_nb_execution(
            notebook, cwd=str(path.parent), timeout=config.execution_timeout, allow_errors=False
        )

    todo = [found for name in in_order(names) if (found := missing(name))]
    with ThreadPoolExecutor(min(joblib.cpu_count(), AT_ONCE)) as pool:
        running = {pool.submit(run, *each): each for each in todo}
        for future in as_completed(running):
            path, notebook = running[future]
            if (result := future.result()).err is None:
                seconds = {"execution_seconds": result.time}
                bundle = CacheBundleIn(notebook, str(path), data=seconds)
                cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
                logger.info("%s: Executed notebook in %.0f seconds", path, result.time)


def setup(app: Sphinx) -> dict[str, Any]:
    os.environ["CDLNMF_STATIC"] = "1"
    app.connect("env-before-read-docs", execute)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
