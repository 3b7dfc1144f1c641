"""Blocks: long signals are cut into pieces that fit the processor's cache, one thread each."""

from __future__ import annotations

import math
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from cdlnmf_lit.theory.arguments import Array

STRETCH = 2**15
"""Numbers in one stretch of a few long rows."""
SINGLE = 2**18
"""Multiplications up to which BLAS keeps a product to the thread that asks for it."""

ONE_THREAD = 2 * SINGLE - 1
"""Multiplications in a product that BLAS leaves to the thread that asks for it."""
SHORTEST, SHORT = 96, 128
"""The most of the shortest side of a product, and of the next, that one tile of it has."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def n_threads() -> int:
    """Threads to compute with: what ``CDLNMF_THREADS`` says, or the processors there are.

    They are those that the process may use, and no more than its container pays for; 1 in a
    browser, which has no threads. Results do not depend on it.

    Raises
    ------
    ValueError
        If the variable is no whole number of at least 1.

    Examples
    --------
    >>> n_threads() >= 1
    True
    """
    if sys.platform == "emscripten":
        return 1
    if asked := os.environ.get("CDLNMF_THREADS"):
        if not asked.isdecimal() or int(asked) < 1:
            raise ValueError(f"CDLNMF_THREADS must be a whole number of at least 1, got {asked!r}")
        return int(asked)
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else ()
    return max(1, math.ceil(min(len(allowed) or os.cpu_count() or 1, processor_quota())))


@lru_cache
def processor_quota(root: str = "/") -> float:
    """Processors that the container pays for; infinite where it does not tell.

    Examples
    --------
    >>> processor_quota() > 0
    True
    """
    groups, told = Path(root, "sys/fs/cgroup"), float("inf")
    for name in ("cpu.max", "cpu/cpu.cfs_quota_us"):
        try:
            values = (groups / name).read_text().split()
            if len(values) == 1:
                values.append((groups / "cpu/cpu.cfs_period_us").read_text())
            quota, period = map(int, values)
        except (OSError, ValueError):  # "max": there is no limit
            continue
        if quota > 0 and period > 0:
            told = min(told, quota / period)
    return told


def in_threads(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yield ``function(item)`` for each item in order, computed by all processors.

    The order of the results does not depend on the threads, nor does anything summed from them.
    At most two results a thread wait to be taken, so that memory stays bounded. Work that is
    itself done in such a thread runs there, item by item.

    Examples
    --------
    >>> list(in_threads(abs, [-1, 2, -3]))
    [1, 2, 3]
    """
    todo, threads = list(items), n_threads()
    if min(threads, len(todo)) < 2 or hasattr(_here, "is_worker"):
        yield from map(function, todo)
        return
    pool = _pool(threads)
    waiting: deque[Future[Result]] = deque()
    try:
        for item in todo:
            if len(waiting) == 2 * threads:
                yield waiting.popleft().result()
            waiting.append(pool.submit(function, item))
        while waiting:
            yield waiting.popleft().result()
    finally:
        wait([future for future in waiting if not future.cancel()])


_here = threading.local()


@lru_cache(maxsize=1)
def _pool(threads: int) -> ThreadPoolExecutor:
    """The threads, which are kept: to start them takes as long as a small product."""
    return ThreadPoolExecutor(threads, initializer=setattr, initargs=(_here, "is_worker", True))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # threads do not outlive a fork


def summed(function: Callable[[Item], tuple[Any, ...]], items: Iterable[Item]) -> list[Any]:
    """Sums of the values that ``function(item)`` returns, added in order as they come.

    The arrays of the first become the sums: the function has to return new ones.

    Examples
    --------
    >>> summed(lambda n: (n, np.full(2, n)), [1, 2])
    [3, array([3, 3])]
    """
    totals: list[Any] = []
    for found in in_threads(function, items):
        if not totals:
            totals = list(found)
            continue
        for n, value in enumerate(found):
            totals[n] += value
    return totals


def pieces(length: int, size: int) -> list[slice]:
    """Slices of ``size`` that follow each other up to ``length``; the last may be shorter.

    Examples
    --------
    >>> pieces(5, 2)
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    return [slice(n, min(n + size, length)) for n in range(0, length, size)]


def stretches(n_rows: int, n_columns: int) -> list[slice]:
    """Stretches of the columns of a few long rows, one thread's work each.

    They are short enough for BLAS not to wake threads of its own, which would stand in the way of
    ours.

    Examples
    --------
    >>> stretches(8, 10_000)
    [slice(0, 4096, None), slice(4096, 8192, None), slice(8192, 10000, None)]
    """
    return pieces(n_columns, max(1, min(STRETCH // n_rows, SINGLE // n_rows**2)))


def gram(left: Array, right: Array) -> Array:
    """Products ``left @ right.T`` of a few long rows, stretch by stretch.

    Parameters
    ----------
    left : array (K, n)
    right : array (L, n)

    Returns
    -------
    array (K, L)

    Examples
    --------
    >>> gram(np.ones((1, 3)), np.eye(2, 3))
    array([[1., 1.]])
    """

    def share(columns: slice) -> Array:
        other = right[:, columns]
        if right is left:
            other = other.copy()  # what BLAS does for one array with itself takes longer
        return np.asarray(left[:, columns] @ other.T)

    columns = stretches(max(len(left), len(right)), left.shape[1])
    return np.asarray(sum(in_threads(share, columns)))


def product(left: Array, right: Array) -> Array:
    """``left @ right``: by SciPy in a browser, where NumPy has no BLAS and takes twice as long.

    Examples
    --------
    >>> product(np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]]))
    array([[11.]])
    """
    if sys.platform != "emscripten":
        return np.asarray(left @ right)
    from scipy.linalg.blas import get_blas_funcs

    gemm = get_blas_funcs("gemm", (left, right))
    return np.asarray(gemm(1.0, right.T, left.T)).T  # BLAS has columns one after the other


def product_in_tiles(left: Array, right: Array) -> Array:
    """``left @ right``, in tiles that BLAS leaves to the thread that asks for them.

    So it is the same to the bit, however many threads BLAS has.

    Examples
    --------
    >>> product_in_tiles(np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]]))
    array([[11.]])
    """
    if sys.platform == "emscripten":
        return product(left, right)
    whole = np.empty((len(left), right.shape[1]), left.dtype)
    for rows, columns, first, others in _tiles(*left.shape, right.shape[1]):
        part = np.matmul(left[rows, first], right[first, columns], out=whole[rows, columns])
        for inner in others:
            part += left[rows, inner] @ right[inner, columns]
    return whole


@lru_cache(maxsize=64)
def _tiles(*sides: int) -> list[tuple[slice, slice, slice, list[slice]]]:
    """Rows, columns and inner parts of a product's tiles.

    The shortest of its sides is cut least; the longest into as many parts as it takes.
    """
    sizes, room = list(sides), ONE_THREAD
    for rank, axis in enumerate(np.argsort(sides, kind="stable").tolist()):
        most = (SHORTEST, max(SHORT, math.isqrt(room)), room)[rank]
        sizes[axis] = -(-sides[axis] // -(-sides[axis] // most))
        room //= sizes[axis]
    rows, inner, columns = map(pieces, sides, sizes)
    return [(i, j, inner[0], inner[1:]) for i in rows for j in columns]


def frames(x: Array, length: int, hop: int) -> Array:
    """Overlapping stretches ``x[…, hop n : hop n + length]``, read where they are.

    They lie as if each were a row of its own: such an array must not be larger than the machine
    can address, though it takes no memory. So take those of a stretch of the signal at a time.

    Parameters
    ----------
    x : array (…, T)
    length : int
    hop : int
        Samples from one stretch to the next.

    Returns
    -------
    array (…, (T - length) // hop + 1, length)
        Not to be written to.

    Examples
    --------
    >>> frames(np.arange(7), 3, 2)
    array([[0, 1, 2],
           [2, 3, 4],
           [4, 5, 6]])
    """
    step = x.strides[-1]
    shape = *x.shape[:-1], (x.shape[-1] - length) // hop + 1, length
    strides = *x.strides[:-1], hop * step, step
    return np.lib.stride_tricks.as_strided(x, shape, strides, writeable=False)


def overlap_add(frames: Array, hop: int) -> Array:
    """Sum ``x[hop n + s] = Σ_n frames[n, s]``, frame by frame or tap by tap, whichever is fewer.

    Parameters
    ----------
    frames : array (N, L)
    hop : int
        Samples from one frame to the next.

    Returns
    -------
    array (hop (N - 1) + L,)

    Examples
    --------
    >>> overlap_add(np.ones((3, 2)), 1)
    array([1., 2., 2., 1.])
    """
    n_frames, width = frames.shape
    length = hop * (n_frames - 1) + width
    taps = -(-width // hop)
    if n_frames <= taps:
        x = np.zeros(length, frames.dtype)
        for n, frame in enumerate(frames):
            x[hop * n : hop * n + width] += frame
        return x
    rows = np.zeros((n_frames + taps - 1, hop), frames.dtype)
    for j in range(taps):
        piece = frames[:, hop * j : hop * (j + 1)]
        rows[j : j + n_frames, : piece.shape[1]] += piece
    return rows.reshape(-1)[:length]


def segment_energies(x: Array, length: int) -> Array:
    """Energies of all segments of a signal, ``(T - length + 1,)``, in double precision.

    Examples
    --------
    >>> segment_energies(np.array([1.0, 2.0, 0.0]), 2)
    array([5., 4.])
    """
    energy = np.zeros(x.size + 1)
    np.cumsum(np.square(x, dtype=float), out=energy[1:])
    found = energy[length:] - energy[:-length]
    return np.maximum(found, 0, out=found)


def sliding_maximum(values: Array, width: int) -> Array:
    """The largest of every ``width`` values in a row, by maxima over twice as many each time.

    Parameters
    ----------
    values : array (L,)
    width : int

    Returns
    -------
    array (L - width + 1,)

    Examples
    --------
    >>> sliding_maximum(np.array([1.0, 3.0, 2.0, 0.0]), 2)
    array([3., 3., 2.])
    """
    reach = 1
    while reach < width:
        step = min(reach, width - reach)
        values = np.maximum(values[step:], values[:-step])
        reach += step
    return values


def placed(piece: Array, start: int, length: int) -> Array:
    """``length`` samples of silence with ``piece`` in them from sample ``start`` on.

    What of the piece lies before sample 0 or past the end is cut.

    Parameters
    ----------
    piece : array (L,)
    start : int
        May be negative.
    length : int

    Returns
    -------
    array (length,)

    Examples
    --------
    >>> placed(np.array([1.0, 2.0, 3.0]), -1, 4)
    array([2., 3., 0., 0.])
    """
    whole = np.zeros(length, piece.dtype)
    first = max(start, 0)
    last = max(first, min(start + piece.size, length))
    whole[first:last] = piece[first - start : last - start]
    return whole
