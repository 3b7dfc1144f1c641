"""What a run takes, told before it starts, and a refusal where that is not there.

Chapter: ``book/methods/method.md``.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from cdlnmf_lit.theory.arguments import Array

CONTROL_GROUPS = (
    ("", "sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"),
    (
        "memory",
        "sys/fs/cgroup/memory",
        "memory.limit_in_bytes",
        "memory.usage_in_bytes",
        "total_inactive_file",
    ),
)
"""Of both versions: the controller, where its groups are, and the files that tell of memory."""
ADDRESSED = float(sys.maxsize) if sys.maxsize < 2**32 else float("inf")
"""Bytes that Python can address: 2 GB where it has 32 bits, as in a browser."""
SHORTEST, TRIED = 512, 2
"""Of the pieces that a time is told from: samples, and iterations."""
TIMED, ENOUGH = 0.02, 1.0
"""Seconds of an iteration from which it can be timed, and from which one is all that is timed."""
SLOWEST = 0.4
"""The power of the length that a time grows with at least."""
LIKE = 2**20
"""Samples of noise that they are taken from, where there is no sound."""


@dataclass(frozen=True)
class Estimate:
    """What a run would take. The memory is counted; the time is measured when it is asked for.

    Parameters
    ----------
    memory_bytes : int
        At the most.
    rehearsal : callable
        Gives the processor seconds of the last stage's iteration, and of the whole run.

    Examples
    --------
    >>> print(Estimate(3 * 10**8, lambda: (0.25, 7700.0)))
    300 MB of memory, about 0.25 s of the processor an iteration, 2 h 8 min in all
    """

    memory_bytes: int
    rehearsal: Callable[[], tuple[float, float]]

    @cached_property
    def _told(self) -> tuple[float, float]:
        return self.rehearsal()

    @property
    def seconds_per_iteration(self) -> float:
        """Of the processor, in the last stage."""
        return self._told[0]

    @property
    def seconds(self) -> float:
        """Of the processor, for the whole run."""
        return self._told[1]

    def __str__(self) -> str:
        return (
            f"{bytes_in_words(self.memory_bytes)} of memory, "
            f"about {seconds_in_words(self.seconds_per_iteration)} of the processor an iteration, "
            f"{seconds_in_words(self.seconds)} in all"
        )


def rehearsed(
    method: Any, n_samples: int, K: int, dtype: Any = float, like: Array | None = None
) -> tuple[float, float]:
    """Processor seconds of an iteration of the last stage, and of the whole chain with its starts.

    A short piece is run for a few iterations, then one of twice its length, until they take long
    enough to be timed. What the last two take gives a line, which is followed to the whole length;
    but with no less than its power 0.4, as short pieces may all take the same Fourier transforms.
    Where an iteration of the first piece takes a second, it is all that is run.

    Parameters
    ----------
    method : Method
        The chain.
    n_samples, K : int
        ``T`` and the number of components.
    dtype : dtype
        Of the signal.
    like : array, optional
        The signal, or some of it; noise if None.

    Raises
    ------
    ValueError
        If the method cannot take the sound.

    Examples
    --------
    >>> from cdlnmf_lit import NMF
    >>> an_iteration, seconds = rehearsed(NMF(), n_samples=10**6, K=2)
    >>> 0 < an_iteration < seconds
    True
    """
    if like is None:
        like = np.random.default_rng(0).standard_normal(min(n_samples, LIKE)).astype(dtype)
    told = _followed(method, n_samples, K, like)
    seconds, times = 0.0, 1
    for stage, (around, an_iteration) in zip(method.stages[::-1], told[::-1], strict=True):
        running, until = np.transpose(stage.rounds)
        iterations = running @ np.diff(until, prepend=0)
        seconds += times * (stage.starts * around + iterations * an_iteration)
        times *= stage.starts
    return float(told[-1, 1]), float(seconds)


def _followed(method: Any, n_samples: int, K: int, like: Array) -> Array:
    """Seconds around the iterations of each stage, and of one iteration, for the whole length."""
    whole = min(n_samples, like.size)
    halved = [whole >> n for n in range(whole.bit_length()) if whole >> n >= SHORTEST]
    told: list[tuple[int, Array]] = []
    for n in reversed(halved or [whole]):
        try:
            told.append((n, _tried(method, like[:n], K)))
        except ValueError:  # too short, or silent
            if n == whole:
                raise
            continue
        an_iteration = told[-1][1][:, 1].sum()
        if an_iteration > (TIMED if len(told) > 1 else ENOUGH):
            break
    n, seconds = told[-1]
    growth = seconds / n
    if len(told) > 1:
        before, less = told[-2]
        growth = np.clip((seconds - less) / (n - before), 0, growth)
    line = seconds + growth * (n_samples - n)
    return np.maximum(line, seconds * (n_samples / n) ** SLOWEST)


def _tried(method: Any, piece: Array, K: int) -> Array:
    """The same of a piece; each stage begins from what the one before has found."""
    found, told = None, []
    for stage in method.stages:
        begun = processor_time()
        states = replace(stage, starts=1, halve_every=0).iterate(piece, K, start=found)
        next(states)
        started, tried, running = processor_time(), 0, 0.0
        while tried < TRIED and running < ENOUGH:
            state, tried = next(states), tried + 1
            running = processor_time() - started
        found = state.decomposition()
        told.append((processor_time() - begun - running, running / tried))
    return np.array(told)


def processor_time() -> float:
    """Seconds of the processor that this process has taken; by the wall's clock in a browser.

    A browser tells no time of the processor: ``time.process_time`` stands still there.

    Examples
    --------
    >>> began = processor_time()
    >>> processor_time() >= began
    True
    """
    return time.perf_counter() if sys.platform == "emscripten" else time.process_time()


def bytes_in_words(n_bytes: float) -> str:
    """A number of bytes as people write it.

    Examples
    --------
    >>> [bytes_in_words(each) for each in (1.7e11, 2.34e9, 9.96e8, 4e5, 0)]
    ['170 GB', '2.3 GB', '1 GB', '0.4 MB', '0 MB']
    """
    sizes = {"TB": 1e12, "GB": 1e9, "MB": 1e6}
    unit = next((unit for unit, size in sizes.items() if n_bytes >= 0.995 * size), "MB")
    number = float(f"{n_bytes / sizes[unit]:.2g}")
    return f"{number:.0f} {unit}" if number >= 10 else f"{number:g} {unit}"


def seconds_in_words(seconds: float) -> str:
    """A time as people write it.

    Examples
    --------
    >>> [seconds_in_words(each) for each in (0.0123, 2.34, 59.7, 125, 7700, 200_000)]
    ['0.012 s', '2.3 s', '1 min', '2 min 5 s', '2 h 8 min', '2 d 7 h 33 min']
    """
    if seconds < 10:
        return f"{float(f'{seconds:.2g}'):g} s"
    whole = round(seconds) if seconds < 3600 else 60 * round(seconds / 60)
    words = []
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        number, whole = divmod(whole, size)
        if number:
            words.append(f"{number} {unit}")
    return " ".join(words)


def available_memory(root: str = "/") -> float:
    """Bytes of memory that this process can still have, as far as the system tells.

    That is the least of what is free, what its container leaves it, what the limit of its
    addresses (``ulimit -v``) does, and what Python can address; infinite where none is told.
    ``root`` is where the system tells.

    Examples
    --------
    >>> available_memory() > 0
    True
    """
    return _tightest(root)[0]


def _tightest(root: str = "/") -> tuple[float, str]:
    """The least of what limits the memory that can still be had, and what it is."""
    left, what = min(_bounds(Path(root)))
    return max(0.0, left), what


def _bounds(root: Path) -> Iterator[tuple[float, str]]:
    """All of them."""
    yield ADDRESSED, "are all that Python can address here"
    yield _free(root), "are free"
    for left in _left_in_groups(root):
        yield left, "are left in this container"
    yield _left_of_addresses(root), "are left to this process (ulimit -v)"


def _free(root: Path) -> float:
    """What is free, or only borrowed."""
    try:
        free = float(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
        lines = (root / "proc/meminfo").read_text().splitlines()
        cached = [
            1024.0 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")
        ]
        return max([free, *cached])
    except (AttributeError, OSError, ValueError):
        return float("inf")


def _left_in_groups(root: Path) -> Iterator[float]:
    """What each control group around this process leaves it; files that it read are given back."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    groups = {names: path for _, names, path in (line.split(":", 2) for line in lines)}
    for controller, mount, most, used, cache in CONTROL_GROUPS:
        own = [path for names, path in groups.items() if controller in names.split(",")]
        for path in own:
            group = Path(path.lstrip("/"))
            for each in (group, *group.parents):  # the path is that of the host where none is there
                folder = root / mount / each
                try:
                    limit, now = (int((folder / name).read_text()) for name in (most, used))
                    told = dict(
                        line.split() for line in (folder / "memory.stat").read_text().splitlines()
                    )
                    yield float(limit - now + int(told.get(cache, 0)))
                except (OSError, ValueError):  # "max": there is no limit
                    continue


def _left_of_addresses(root: Path) -> float:
    """What the process may still ask for."""
    try:
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit == resource.RLIM_INFINITY:
            return float("inf")
        pages = int((root / "proc/self/statm").read_text().split()[0])
        return float(limit - pages * resource.getpagesize())
    except (ImportError, OSError, ValueError):
        return float("inf")


def require_memory(needed: float, task: str) -> None:
    """Refuse a task that needs more memory than there is.

    Parameters
    ----------
    needed : float
        Bytes.
    task : str
        What is to be done, for the message.

    Raises
    ------
    MemoryError
        If there is less: see :func:`available_memory`.

    Examples
    --------
    >>> require_memory(1e18, "a year of sound")
    Traceback (most recent call last):
        ...
    MemoryError: a year of sound needs about 1000000 TB of memory, and ... are free: use ...
    """
    left, what = _tightest()
    if needed > left:
        raise MemoryError(
            f"{task} needs about {bytes_in_words(needed)} of memory, and {bytes_in_words(left)} "
            f"{what}: use float32, a shorter piece or, with frames, a larger hop"
        )
