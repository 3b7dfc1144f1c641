"""What is wrong with a result, as far as it tells without the truth, and what to try.

Chapter: ``book/experiments/choosing.md``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np

from cdlnmf_lit.theory.arguments import Array

STEP = 0.02
"""s, in which a component's level is told."""
MOST = 1000
"""Frames of a component that are kept, twice as long, evenly spread over the whole."""
ALIKE = 0.95
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
OWN = 0.72
"""Share of the power where a component sounds, below which it is no sound of its own."""
PARTED = 0.14
"""Correlation of waveforms above which two components hold parts of each other."""
MOVES, SAME = 0.5, 0.96
"""Share of a component that one spectrum explains: less has no note, more has a click each time."""
CLICK = 0.04
"""s, the longest atom that is a click."""


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
    frames : array (M, L)
        Up to a thousand stretches of it, of 40 ms.

    Examples
    --------
    >>> traits_of(np.zeros(800), 8000).energy
    0.0
    """

    rises: Array
    spectrum: Array
    energy: float
    frames: Array

    @cached_property
    def power(self) -> Array:
        """Of the frames' spectra, ``(M, F)``."""
        return np.square(np.abs(np.fft.rfft(self.frames * np.hanning(self.frames.shape[1]))))


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
    some = frames[:: -(-len(frames) // MOST)].astype(np.float32)
    return Traits(rises, spectrum, float(np.sum(np.square(x, dtype=np.float64))), some)


def advice(
    components: Sequence[Traits], energy: float, atom_seconds: float | None = None
) -> list[str]:
    """A line for each thing that is wrong with the components of a result; none if all seems well.

    Two components are alike, hold parts of each other, or always begin at one lag from each other;
    one sounds but once, is silent, is the whole recording, or is nothing where others are not; as a
    note it moves, as a click it is another each time.

    Parameters
    ----------
    components
        See :func:`traits_of`.
    energy
        Of the recording.
    atom_seconds
        How long an atom is; None where the components are no atoms, but shares of a spectrogram.

    Examples
    --------
    >>> x = np.sin(np.arange(8000.0)) * (np.arange(8000) % 2500 < 500)
    >>> for line in advice([traits_of(0.5 * x, 8000)] * 2, x @ x):
    ...     print(line)
    components 1 and 2 are alike: look for fewer (-K 1), or add them
    """
    heard = {k: each for k, each in enumerate(components, 1) if each.energy > SILENT * energy}
    pairs = dict(_of_pairs(heard, f"look for fewer (-K {len(components) - 1})"))
    named = {k for pair in pairs for k in pair}
    silent = [k for k, _ in enumerate(components, 1) if k not in heard]
    return [
        *pairs.values(),
        *(f"component {k} is silent: look for fewer" for k in silent),
        *(line for k, line in _of_each(heard, energy, atom_seconds) if k not in named),
    ]


def _of_pairs(heard: Mapping[int, Traits], few: str) -> Iterator[tuple[tuple[int, int], str]]:
    for (k, one), (j, other) in combinations(heard.items(), 2):
        lag, together = togetherness(one, other)
        pair = f"components {k} and {j}"
        if likeness(one, other) >= ALIKE:
            yield (k, j), f"{pair} are alike: {few}, or add them"
        elif together >= TOGETHER:
            apart = "together" if abs(lag) < STEP else f"{abs(lag):.2g} s apart"
            yield (k, j), f"{pair} always begin {apart}: they may be one sound; add them"
        elif relation(one, other) > PARTED:
            yield (k, j), f"{pair} hold parts of each other: {few}, or try another recipe"


def _of_each(
    heard: Mapping[int, Traits], energy: float, atom_seconds: float | None
) -> Iterator[tuple[int, str]]:
    several, masked = len(heard) > 1, atom_seconds is None
    for (k, each), own in zip(heard.items(), owned([*heard.values()]), strict=True):
        if several and each.energy >= ALL * energy:
            yield k, f"component {k} is the whole recording: try another recipe"
        elif events(each) == 1:
            yield k, f"component {k} sounds once: it is no sound that comes again"
        elif own < OWN:
            yield k, f"component {k} sounds where others do: try another recipe, or another K"
        elif several and masked and steadiness(each) < MOVES:
            yield k, f"component {k} moves, as no note does: it may be torn from others"
        elif atom_seconds is not None and atom_seconds <= CLICK and steadiness(each) < SAME:
            yield k, f"component {k} is another click each time: try --recipe hits"


def likeness(one: Traits, other: Traits) -> float:
    """The cosine between two components' magnitude spectra.

    Examples
    --------
    >>> low, high = (traits_of(np.sin(f * np.arange(8000.0)), 8000) for f in (0.5, 2.0))
    >>> likeness(low, high) < 0.1 < likeness(low, low)
    True
    """
    return float(one.spectrum @ other.spectrum)


def relation(one: Traits, other: Traits) -> float:
    """The correlation of two components' waveforms; sounds of different origin have none.

    Examples
    --------
    >>> low, high = (traits_of(np.sin(f * np.arange(8000.0)), 8000) for f in (0.5, 2.0))
    >>> relation(low, high) < 0.01 < relation(low, low)
    True
    """
    norm = float(np.linalg.norm(one.frames) * np.linalg.norm(other.frames))
    return float(abs(np.vdot(one.frames, other.frames))) / norm if norm else 0.0


def owned(components: Sequence[Traits]) -> list[float]:
    r"""Which share of the power is each component's own, in the mean over where its power is.

    .. math:: \frac{Σ_{n,f} P_k[n, f]\, G_k[n, f]}{Σ_{n,f} P_k[n, f]}, \qquad
        G_k = \frac{P_k}{Σ_j P_j}

    Examples
    --------
    >>> low, high = (traits_of(np.sin(f * np.arange(8000.0)), 8000) for f in (0.5, 2.0))
    >>> [round(each, 2) for each in (*owned([low, high]), *owned([low, low]))]
    [1.0, 1.0, 0.5, 0.5]
    """
    whole = np.sum([each.power for each in components], axis=0) + np.finfo(float).tiny
    powers = [each.power for each in components]
    return [float(np.sum(P * (P / whole)) / (P.sum() or 1.0)) for P in powers]


def steadiness(each: Traits) -> float:
    """The share of a component's power that one spectrum explains, at the levels that suit it.

    That is the share of the largest singular value of its magnitudes, squared, in all of them.

    Examples
    --------
    >>> t = np.arange(8000.0)
    >>> tone, sweep = (traits_of(np.sin(f * t), 8000) for f in (0.5, 0.2 + 1e-4 * t))
    >>> steadiness(sweep) < 0.3 < 0.9 < steadiness(tone)
    True
    """
    Q = np.sqrt(each.power)
    gram = Q @ Q.T if len(Q) < Q.shape[1] else Q.T @ Q
    return float(np.linalg.eigvalsh(gram)[-1] / (np.trace(gram) or 1.0))


def togetherness(one: Traits, other: Traits) -> tuple[float, float]:
    """The lag, in s, at which two components' beginnings agree best, and their correlation there.

    Examples
    --------
    >>> rises = np.zeros(200)
    >>> rises[[10, 60, 130]] = 1.0, 0.5, 0.8
    >>> late = Traits(np.roll(rises, 5), np.ones(1), 0.5, np.ones((1, 2)))
    >>> togetherness(late, Traits(rises, np.ones(1), 0.5, np.ones((1, 2))))
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
    >>> rises = np.array([0.0, 1.0, 0.0, 0.1, 0.0, 0.6, 0.0])
    >>> events(Traits(rises, np.ones(1), 0.5, np.ones((1, 2))))
    2
    """
    from scipy.signal import find_peaks

    rises = np.pad(each.rises, 1)
    if not rises.any():
        return 0
    return len(find_peaks(rises, height=RISES * rises.max(), distance=2)[0])
