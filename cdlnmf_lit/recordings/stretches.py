"""A recording is cut into stretches that overlap, and resampled, as its blocks come.

Chapter: ``book/experiments/learn_once.md``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np

from cdlnmf_lit.theory.arguments import Array

TAPS = 10
"""Half the length of the filter of ``scipy.signal.resample_poly``, in samples of the lower rate."""
RESAMPLED = 2**18
"""Samples that are resampled at a time."""


@dataclass(frozen=True, eq=False)
class Stretch:
    """Samples of a recording around a block of it.

    Parameters
    ----------
    begin, end : int
        Of the block, in samples of the recording.
    start : int
        Of the samples.
    samples : array (n,)
    is_last : bool
        Whether the recording ends with the block.
    is_end : bool
        Whether it ends with the samples.

    Examples
    --------
    >>> [(each.begin, each.end, each.samples) for each in stretches([np.arange(3.0)], 2, 1, 1)]
    [(0, 2, array([0., 1., 2.])), (2, 3, array([1., 2.]))]
    """

    begin: int
    end: int
    start: int
    samples: Array
    is_last: bool
    is_end: bool


def stretches(
    blocks: Iterable[Array], size: int, before: int, after: int, begin: int = 0, start: int = 0
) -> Iterator[Stretch]:
    """Cut a signal that comes in blocks of any length into blocks of ``size``, with what is around.

    Parameters
    ----------
    blocks : iterable of arrays
        Consecutive samples, from sample ``start`` on.
    size : int
    before, after : int
        Samples wanted before a block and after it, where there are any.
    begin, start : int
        Where the first block begins, and the first sample that comes.

    Examples
    --------
    >>> [each.end for each in stretches([np.ones(2), np.ones(3)], 2, 0, 0)]
    [2, 4, 5]
    """
    kept = np.zeros(0)
    for block in chain(blocks, [None]):
        if block is not None:
            kept = np.concatenate([kept, block]) if kept.size else np.asarray(block)
        total = start + kept.size
        while total > begin + size + after or (block is None and total > begin):
            end = min(begin + size, total)
            stop, first = min(end + after, total), max(start, begin - before)
            ended = block is None and stop == total
            samples = kept[first - start : stop - start]
            yield Stretch(begin, end, first, samples, ended and end == total, ended)
            begin = end
            dropped = max(0, begin - before - start)
            kept, start = kept[dropped:], start + dropped


def resampled(blocks: Iterable[Array], up: int, down: int) -> Iterator[Array]:
    """Resample a signal that comes in blocks: what ``scipy.signal.resample_poly`` makes of it all.

    Parameters
    ----------
    blocks : iterable of arrays
    up, down : int
        Without a common divisor; the rate is multiplied by ``up / down``.

    Examples
    --------
    >>> sum(block.size for block in resampled([np.ones(100), np.ones(20)], 1, 3))
    40
    """
    if up == down:
        yield from blocks
        return
    from scipy.signal import resample_poly

    size = -(-RESAMPLED // down) * down
    around = (-(-TAPS * max(up, down) // (up * down)) + 1) * down
    for each in stretches(blocks, size, around, around):
        y = resample_poly(each.samples, up, down).astype(each.samples.dtype, copy=False)
        first = (each.begin - each.start) // down * up
        last = None if each.is_last else first + size // down * up
        yield y[first:last]


def from_sample(blocks: Iterable[Array], first: int) -> Iterator[Array]:
    """The blocks of a signal from a sample on.

    Examples
    --------
    >>> list(from_sample([np.arange(2), np.arange(2, 5)], 3))
    [array([3, 4])]
    """
    for block in blocks:
        if first < block.size:
            yield block[first:]
        first = max(0, first - block.size)
