"""Execute the chapters, several at a time, once for the tests and the book.

``make test`` runs this file, ``make book`` loads it as a Sphinx extension: what either executes,
the other finds. What a chapter prints and draws goes to the book's execution cache, beside the
fingerprint of what the chapter uses, and is found as long as its cells and that fingerprint stay.
A chapter that fails leaves nothing there; its cell and its traceback are printed.

The pages that are made have no kernel behind them: an environment variable tells the chapters.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import joblib
import nbformat
import stale
import yaml
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from jupyter_cache.executors.utils import single_nb_execution
from myst_nb.core.read import read_myst_markdown_notebook
from myst_parser.config.main import MdParserConfig
from sphinx.errors import ExtensionError
from traitlets.config import Config

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

SECONDS = {
    "piano": 30,
    "chirps": 30,
    "overlap": 50,
    "initialisation": 60,
    "your_own_sound": 85,
    "learn_once": 90,
    "evaluation": 40,
    "algorithm_1": 23,
    "gabor": 22,
    "cdl": 19,
    "claims": 12,
}
"""The chapters to begin with, and about how long each takes; what they sweep, others find."""
OTHERS = 10
"""Seconds of any other chapter."""
AT_ONCE = 4
"""Chapters at a time, at most: each has threads and memory of its own."""
ENCRYPTED = Config(KernelManager={"transport_encryption": "auto"})
"""Without it each kernel warns that what it prints could be overheard."""


CLEARED = "\r\x1b[2K"
"""Begins a terminal's line anew."""


@dataclass(frozen=True)
class Chapter:
    """A chapter that is to be executed, and what its outputs are kept by."""

    path: Path
    fingerprint: str
    notebook: nbformat.NotebookNode

    @property
    def name(self) -> str:
        """Its folder and its name, without the ending.

        Examples
        --------
        >>> Chapter(Path("book/theory/gabor.md"), "", nbformat.v4.new_notebook()).name
        'theory/gabor'
        """
        return f"{self.path.parent.name}/{self.path.stem}"


def in_order(paths: Iterable[Path]) -> list[Path]:
    """The chapters, the longest first.

    Examples
    --------
    >>> [path.stem for path in in_order(map(Path, ["intro.md", "overlap.md", "piano.md"]))]
    ['piano', 'overlap', 'intro']
    """
    rank = {stem: n for n, stem in enumerate(SECONDS)}
    return sorted(paths, key=lambda path: (rank.get(path.stem, len(rank)), path))


def left(begun: float, done: list[Path], todo: list[Chapter]) -> str:
    """What the other chapters take, at the pace of those that are done since a monotonic time.

    Examples
    --------
    >>> one, two, piano = (Chapter(Path(f"{name}.md"), "", {}) for name in ("1", "2", "piano"))
    >>> left(time.monotonic() - 20, [one.path], [one, two])
    'about 20 s left'
    >>> left(time.monotonic(), [], [piano])
    'no pace yet'
    """
    work = sum(SECONDS.get(path.stem, OTHERS) for path in done)
    if not work:
        return "no pace yet"
    total = sum(SECONDS.get(chapter.path.stem, OTHERS) for chapter in todo)
    seconds = (time.monotonic() - begun) * (total / work - 1)
    return f"about {seconds:.0f} s left" if seconds < 100 else f"about {seconds / 60:.0f} min left"


def to_execute(root: Path, cache: Any, config: dict[str, Any]) -> list[Chapter]:
    """The chapters under a folder whose outputs are not kept, or were made by another library."""
    extensions = config.get("parse", {}).get("myst_enable_extensions", [])
    markdown = MdParserConfig(enable_extensions=set(extensions))
    fingerprints = stale.chapters(root)
    found = []
    for path in in_order(fingerprints):
        notebook = read_myst_markdown_notebook(path.read_text(encoding="utf8"), markdown)
        try:
            record = cache.match_cache_notebook(notebook)
            if record.data.get("fingerprint") == fingerprints[path]:
                continue
            cache.remove_cache(record.pk)
        except KeyError:
            pass
        found.append(Chapter(path, fingerprints[path], notebook))
    return found


def run(chapter: Chapter, timeout: int) -> tuple[float, str]:
    """Execute a chapter in its folder: how long it took, and what failed, if anything did."""
    begun = time.monotonic()
    try:
        done = single_nb_execution(
            chapter.notebook,
            cwd=str(chapter.path.parent),
            timeout=timeout,
            allow_errors=False,
            config=ENCRYPTED,
        )
    except RuntimeError as error:  # the kernel died
        return time.monotonic() - begun, str(error)
    return done.time, "" if done.err is None else str(done.err)


def side_by_side(
    todo: list[Chapter], at_once: int, timeout: int
) -> Iterator[tuple[dict[str, float], list[tuple[Chapter, float, str]]]]:
    """Execute chapters: each second, or sooner, what runs (since when) and what has ended."""
    since: dict[str, float] = {}

    def noted(chapter: Chapter) -> tuple[Chapter, float, str]:
        since[chapter.name] = time.monotonic()
        result = run(chapter, timeout)
        del since[chapter.name]
        return chapter, *result

    pool = ThreadPoolExecutor(at_once)
    try:
        ahead = {pool.submit(noted, chapter) for chapter in todo}
        while ahead:
            ended, ahead = wait(ahead, timeout=1, return_when=FIRST_COMPLETED)
            yield since.copy(), [future.result() for future in ended]
    finally:
        pool.shutdown(cancel_futures=True)


def keep(cache: Any, chapter: Chapter, seconds: float) -> None:
    """Put a chapter's outputs into the execution cache."""
    data = {"execution_seconds": seconds, "fingerprint": chapter.fingerprint}
    bundle = CacheBundleIn(chapter.notebook, str(chapter.path), data=data)
    cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)


def execute(root: Path, out: TextIO) -> list[str]:
    """Execute what is not kept, and tell how far it is.

    Parameters
    ----------
    root
        The folder of the book, with its ``_config.yml``.
    out
        Where to tell it: on a terminal in one line that moves, elsewhere a line for each chapter.

    Returns
    -------
    list[str]
        The names of the chapters that failed.
    """
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf8"))
    cache = get_cache(root / "_build" / ".jupyter_cache")
    todo = to_execute(root, cache, config)
    if not todo:
        print("No chapter changed since it was executed.", file=out, flush=True)
        return []
    at_once = min(joblib.cpu_count(), AT_ONCE)
    moving = out.isatty()
    print(f"Chapters to execute: {len(todo)}, {at_once} at a time", file=out, flush=True)
    begun = time.monotonic()
    done: list[Path] = []
    failed: list[str] = []
    for running, ended in side_by_side(todo, at_once, config["execute"]["timeout"]):
        for chapter, seconds, error in ended:
            done.append(chapter.path)
            line = f"chapter {len(done)} of {len(todo)}: {chapter.name}, {seconds:.0f} s"
            if error:
                failed.append(chapter.name)
                print(f"{CLEARED * moving}{line}, failed\n{error}", file=out, flush=True)
                continue
            keep(cache, chapter, seconds)
            if not moving:
                print(f"{line}; {left(begun, done, todo)}", file=out, flush=True)
        if moving:
            now = ", ".join(f"{name} {time.monotonic() - t:.0f} s" for name, t in running.items())
            line = f"{len(done)} of {len(todo)} chapters; {left(begun, done, todo)}; now {now}"
            width = shutil.get_terminal_size().columns - 1
            print(f"{CLEARED}{line[:width]}", end="", file=out, flush=True)
    told = f"; failed: {', '.join(failed)}" if failed else ""
    took = f"Executed {len(todo)} chapters in {time.monotonic() - begun:.0f} s"
    print(f"{CLEARED * moving}{took}{told}", file=out, flush=True)
    return failed


def executed(app: Sphinx, page: str) -> nbformat.NotebookNode | None:
    """A page as the build executed it; None if it is no chapter."""
    source = Path(app.env.doc2path(page))
    if not source.exists():
        return None
    cache = get_cache(Path(app.srcdir) / "_build" / ".jupyter_cache")
    markdown = MdParserConfig(enable_extensions=set(app.config.myst_enable_extensions))
    notebook = read_myst_markdown_notebook(source.read_text("utf8"), markdown)
    try:
        _, merged = cache.merge_match_into_notebook(notebook)
        return merged
    except KeyError:
        return None


def before_reading(app: Sphinx, env: BuildEnvironment, names: list[str]) -> None:
    """Fill the execution cache before Sphinx reads the pages, or end the build."""
    if failed := execute(Path(app.srcdir), sys.stdout):
        raise ExtensionError(f"these chapters fail: {', '.join(failed)}")


def setup(app: Sphinx) -> dict[str, Any]:
    os.environ["CDLNMF_STATIC"] = "1"
    app.connect("env-before-read-docs", before_reading)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


if __name__ == "__main__":
    os.environ["CDLNMF_STATIC"] = "1"
    sys.exit(bool(execute(Path.cwd(), sys.stdout)))
