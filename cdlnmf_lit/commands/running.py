"""A run of the command line: seen, stopped gently, gone on with where it was."""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from cdlnmf_lit.commands.speaking import in_words
from cdlnmf_lit.methods.checkpoints import Kept
from cdlnmf_lit.methods.decomposition import Decomposition
from cdlnmf_lit.methods.method import Method, State, Watch
from cdlnmf_lit.methods.progress import iterations_before, iterations_of, where
from cdlnmf_lit.recordings.results import OWN_FILES

INTERRUPTED = 128 + signal.SIGINT
SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]
ASIDE = re.compile(r"\.(.+)\.(\d+)\.(partial|old)")
"""The names of what is being written, or replaced, by the process of a number."""


# ---- before ---------------------------------------------------------------------------------


def refuse_unwritable(out: Path) -> None:
    """Make sure, before any work, that the result will have its place."""
    if not out.name:
        raise ValueError(f"out must name a folder of its own, got {str(out)!r}")
    if out.exists() and not out.is_dir():
        raise NotADirectoryError(f"out must be a folder, got the file {str(out)!r}")
    found = [entry.relative_to(out).as_posix() for entry in out.rglob("*")] if out.exists() else []
    if foreign := [name for name in found if not OWN_FILES.fullmatch(name)]:
        raise FileExistsError(
            f"out must be a new or empty folder, or an earlier result, got {str(out)!r}, "
            f"which holds {foreign[0]}"
        )
    if out.is_mount():
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), str(out))
    there = next(parent for parent in out.absolute().parents if parent.exists())
    probe = there / f".{out.name}.{os.getpid()}.partial"
    try:
        probe.mkdir()
        probe.rmdir()
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(out)) from error


def refuse_taken(out: Path, force: bool) -> None:
    """Keep an earlier result, unless it is to be replaced."""
    if not force and out.exists() and any(out.iterdir()):
        raise FileExistsError(
            f"out must be a new or empty folder, got {str(out)!r}, which holds an earlier result: "
            "pass --force to replace it"
        )


def checkpoint_of(out: Path) -> Path:
    """Where a run into ``out`` keeps what it has reached."""
    return out.parent / f"{out.name}.checkpoint.npz"


def clear_stale(outs: Iterable[Path]) -> None:
    """Remove what processes that are no more have left half-written beside some folders.

    A folder that such a process had put aside, and not replaced yet, is put back.
    """
    names: dict[Path, set[str]] = {}
    for out in outs:
        names.setdefault(out.parent, set()).update((out.name, checkpoint_of(out).name))
    for parent, own in names.items():
        for entry in list(parent.iterdir()) if parent.is_dir() else ():
            match = ASIDE.fullmatch(entry.name)
            if not match or match[1] not in own or _is_running(int(match[2])):
                continue
            if match[3] == "old" and not (parent / match[1]).exists():
                entry.rename(parent / match[1])
            elif entry.is_dir():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    """Whether there is another process of this number."""
    if process == os.getpid():
        return False
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True


# ---- while it runs --------------------------------------------------------------------------


@contextmanager
def stopped_gently() -> Iterator[threading.Event]:
    """Turn the first Ctrl-C (or another signal to end) into a flag; a second one stops at once."""
    stop = threading.Event()

    def ask(number: int, frame: Any) -> None:
        stop.set()
        signal.signal(number, before[signal.Signals(number)])

    with _handled_by(ask) as before:
        yield stop


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let every signal to end do what Ctrl-C does, so that nothing is left half-done."""
    with _handled_by(signal.default_int_handler):
        yield


@contextmanager
def algebra_in_one_thread() -> Iterator[None]:
    """Keep linear algebra to one thread: the package has threads of its own."""
    import scipy.linalg.blas  # noqa: F401 -- loads the libraries that are kept to it
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, "blas"):
        yield


@contextmanager
def _handled_by(handler: Callable[[int, Any], Any]) -> Iterator[dict[signal.Signals, Any]]:
    """Give the signals to end another handler, but for those that are ignored, as under nohup.

    Ctrl-C is ignored in the background of a shell, too: there it is sent only by who means it.
    """
    had = {each: signal.getsignal(each) for each in SIGNALS}
    kept = (None, signal.SIG_IGN)
    before = {each: was for each, was in had.items() if each == signal.SIGINT or was not in kept}
    for each in before:
        signal.signal(each, handler)
    try:
        yield before
    finally:
        for each, was in before.items():
            signal.signal(each, was)


@contextmanager
def bar(method: Method, kept: Kept, quiet: bool) -> Iterator[Watch]:
    """A watcher that shows one bar for all of a run, and names the stage and the start it is at."""
    from tqdm import tqdm

    total = iterations_of(method)
    done = sum(
        0 if isinstance(each, Decomposition) else max(0, len(each.records) - 1)
        for each in kept.values()
    )
    done += sum(iterations_before(method, place) for place in kept)
    with tqdm(total=total, initial=min(done, total), disable=quiet, unit=" iterations") as shown:

        def watch(stage: Method, states: Iterator[State]) -> Iterator[State]:
            before = None
            for state in states:
                shown.set_description(where(method, kept), refresh=False)
                shown.set_postfix_str(in_words(state.record), refresh=False)
                step = 1 if before is None else state.iteration - before
                before = state.iteration
                shown.update(step if state.iteration else 0)
                yield state

        yield watch


# ---- what is printed ------------------------------------------------------------------------


class Unbroken:
    """A stream that takes what is written though nobody may read it any more.

    A pipe that is closed, or a disk that is full under a log, does not end a run.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def unbroken_streams() -> Iterator[None]:
    """Let no print and no bar end a run, nor Python complain at its end of a closed pipe."""
    before: Any = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = map(Unbroken, before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
        for stream in before:
            try:
                stream.flush()
            except OSError:
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
