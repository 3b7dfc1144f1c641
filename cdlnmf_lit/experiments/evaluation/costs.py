"""What a run costs: time, and the memory of its arrays.

Chapter: ``book/experiments/evaluation.md``.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from time import perf_counter
from typing import Any, TypeVar

Result = TypeVar("Result")


def timed(function: Callable[[], Result]) -> tuple[Result, float]:
    """Call a function; its result, and the seconds that it took by the wall clock.

    Examples
    --------
    >>> result, seconds = timed(lambda: sum(range(10)))
    >>> result, seconds > 0
    (45, True)
    """
    start = perf_counter()
    result = function()
    return result, perf_counter() - start


def peak_bytes(function: Callable[[], Any]) -> int:
    """The most that a call holds at once, beyond what was held before, in any thread.

    What NumPy's arrays and Python's objects hold is counted; what compiled libraries hold by
    themselves, and other processes, is not seen. A loop of very small steps takes twice as long
    while it is watched, so that time is measured by another call.

    Raises
    ------
    RuntimeError
        If memory is being traced already: two measurements would disturb each other.

    Examples
    --------
    >>> import numpy as np
    >>> 800_000 <= peak_bytes(lambda: np.ones(100_000).sum()) < 900_000
    True
    """
    if tracemalloc.is_tracing():
        raise RuntimeError("memory is being traced already: measure one function at a time")
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
