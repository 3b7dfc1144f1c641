"""What is wrong with a result, as far as it tells without the truth, and what to try.

Chapter: ``book/experiments/choosing.md``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from cdlnmf_lit.theory.arguments import Array

STEP = 0.02
"""s, in which a component's level is told."""
ALIKE = 0.9
"""Cosine from which two magnitude spectra are one."""
TOGETHER = 0.9
"""Correlation from which the beginnings of two components stand at one lag."""
APART = 1.0
"""s, the longest such lag."""
RISES = 0.25
"""Share of a component's steepest rise from which another one is an event."""
ALL = 0.95
"""Share of the energy from which a component is the whole recording."""
SILENT = 1e-6
"""Share of the energy up to which it is nothing."""


@dataclass(frozen=True, eq=False)
class Traits:
    """What is looked at of a component.

    Parameters
    ----------
    rises : array (N,)
        By how much its level rises, each 20 ms.
    spectrum : array (F,)
        Its mean magnitude spectrum, of norm 1; zeros if it is silent.
    energy : float

    Examples
    --------
    >>> traits_of(np.zeros(800), 8000).energy
    0.0
    """

    rises: Array
    spectrum: Array
    energy: float


def traits_of(x: Array, sample_rate: int) -> Traits:
    """Look at a component.

    Examples
    --------
    >>> traits_of(np.ones(1600), 8000).energy
    1600.0
    """
    step = max(1, round(STEP * sample_rate))
    blocks = np.asarray(x[: x.size // step * step], np.float64).reshape(-1, step)
    level = np.sqrt(np.square(blocks).sum(axis=1))
    rises = np.maximum(np.diff(level, prepend=0.0), 0)
    width = min(2 * step, x.size)
    frames = np.asarray(x[: x.size // width * width], np.float64).reshape(-1, width)
    spectrum = np.abs(np.fft.rfft(frames * np.hanning(width), axis=1)).sum(axis=0)
    spectrum /= np.linalg.norm(spectrum) or 1.0
    return Traits(rises, spectrum, float(np.sum(np.square(x, dtype=np.float64))))


def advice(components: Sequence[Traits], energy: float) -> list[str]:
    """A line for each thing that is wrong with the components of a result; none if all seems well.

    Two components are alike, or always begin at one lag from each other; one sounds but once, is
    silent, or is the whole recording.

    Parameters
    ----------
    components
        See :func:`traits_of`.
    energy
        Of the recording.

    Examples
    --------
    >>> x = np.sin(np.arange(8000.0)) * (np.arange(8000) % 2500 < 500)
    >>> for line in advice([traits_of(0.5 * x, 8000)] * 2, x @ x):
    ...     print(line)
    components 1 and 2 are alike: look for fewer (-K 1), or add them
    """
    return [*_of_pairs(components, energy), *_of_each(components, energy)]


def _of_pairs(components: Sequence[Traits], energy: float) -> Iterator[str]:
    heard = [
        (k, each) for k, each in enumerate(components, start=1) if each.energy > SILENT * energy
    ]
    for (k, one), (j, other) in combinations(heard, 2):
        lag, together = togetherness(one, other)
        if likeness(one, other) >= ALIKE:
            fewer = len(components) - 1
            yield f"components {k} and {j} are alike: look for fewer (-K {fewer}), or add them"
        elif together >= TOGETHER:
            apart = "together" if abs(lag) < STEP else f"{abs(lag):.2g} s apart"
            yield f"components {k} and {j} always begin {apart}: they may be one sound; add them"


def _of_each(components: Sequence[Traits], energy: float) -> Iterator[str]:
    for k, each in enumerate(components, start=1):
        if each.energy <= SILENT * energy:
            yield f"component {k} is silent: look for fewer"
        elif each.energy >= ALL * energy and len(components) > 1:
            yield f"component {k} is the whole recording: try another recipe"
        elif events(each) == 1:
            yield f"component {k} sounds once: it is no sound that comes again"


def likeness(one: Traits, other: Traits) -> float:
    """The cosine between two components' magnitude spectra.

    Examples
    --------
    >>> low, high = (traits_of(np.sin(f * np.arange(8000.0)), 8000) for f in (0.5, 2.0))
    >>> likeness(low, high) < 0.1 < likeness(low, low)
    True
    """
    return float(one.spectrum @ other.spectrum)


def togetherness(one: Traits, other: Traits) -> tuple[float, float]:
    """The lag, in s, at which two components' beginnings agree best, and their correlation there.

    Examples
    --------
    >>> rises = np.zeros(200)
    >>> rises[[10, 60, 130]] = 1.0, 0.5, 0.8
    >>> late = Traits(np.roll(rises, 5), np.ones(1), 0.5)
    >>> togetherness(late, Traits(rises, np.ones(1), 0.5))
    (0.1, 1.0)
    """
    from scipy.signal import correlate, correlation_lags

    norm = float(np.linalg.norm(one.rises) * np.linalg.norm(other.rises))
    if norm == 0:
        return 0.0, 0.0
    both = correlate(one.rises, other.rises, method="fft") / norm
    lags = correlation_lags(one.rises.size, other.rises.size) * STEP
    both[np.abs(lags) > APART] = 0
    best = int(both.argmax())
    return round(float(lags[best]), 6), round(float(both[best]), 6)


def events(each: Traits) -> int:
    """How often a component begins.

    Examples
    --------
    >>> events(Traits(np.array([0.0, 1.0, 0.0, 0.1, 0.0, 0.6, 0.0]), np.ones(1), 0.5))
    2
    """
    from scipy.signal import find_peaks

    rises = np.pad(each.rises, 1)
    if not rises.any():
        return 0
    return len(find_peaks(rises, height=RISES * rises.max(), distance=2)[0])
