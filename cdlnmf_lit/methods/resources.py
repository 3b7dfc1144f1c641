"""What a run takes, told before it starts, and a refusal where that is not there.

Chapter: ``book/methods/method.md``.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Estimate:
    """What a run would take.

    Examples
    --------
    >>> print(Estimate(memory_bytes=3 * 10**8, seconds_per_iteration=0.25, seconds=25.0))
    0.3 GB of memory, about 0.25 s an iteration, 25 s in all
    """

    memory_bytes: int
    seconds_per_iteration: float
    seconds: float

    def __str__(self) -> str:
        return (
            f"{self.memory_bytes / 1e9:.2g} GB of memory, "
            f"about {self.seconds_per_iteration:.2g} s an iteration, {self.seconds:.2g} s in all"
        )


def available_memory() -> float:
    """Bytes of memory that are free, as far as the system tells; infinite where it does not.

    Examples
    --------
    >>> available_memory() > 0
    True
    """
    try:
        free = float(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
        cached = [
            1024.0 * int(line.split()[1])
            for line in Path("/proc/meminfo").read_text().splitlines()
            if line.startswith("MemAvailable:")
        ]
        return max([free, *cached])
    except (AttributeError, OSError, ValueError):
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
        If the system has less.

    Examples
    --------
    >>> require_memory(1e18, "a year of sound")
    Traceback (most recent call last):
        ...
    MemoryError: a year of sound needs about 1e+09 GB of memory, and ... GB are free: use ...
    """
    there = available_memory()
    if needed > there:
        raise MemoryError(
            f"{task} needs about {needed / 1e9:.2g} GB of memory, and {there / 1e9:.2g} GB are "
            "free: use float32, a shorter piece or, with frames, a larger hop"
        )


def seconds_of(work: Callable[[], Any], repeats: int = 3) -> float:
    """Seconds that a small piece of work takes on this machine, the best of a few calls.

    Examples
    --------
    >>> seconds_of(lambda: sum(range(1000))) > 0
    True
    """
    taken = []
    for _ in range(repeats):
        begin = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begin)
    return min(taken)
