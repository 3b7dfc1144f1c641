r"""Pursuit of what repeats: a stretch of the sound itself is tried as an atom, again and again.

Matching pursuit with a dictionary that the signal brings along. Of all stretches that begin with
an onset, the one is taken that explains most of the *rest* of the signal; it is averaged over the
places where it comes again, subtracted there, and what is left is searched in the same way. There
is nothing random in it.

Chapter: ``book/methods/pursuit.md``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike, NDArray

from cdlnmf_lit.theory.arguments import Array, integer, signal
from cdlnmf_lit.theory.blocks import in_threads, placed, segment_energies

CANDIDATES = 40
"""Onsets whose stretches are tried, at each step."""
LIKE, LOUD = 0.35, 0.25
"""An event is at least so much like the atom, and has at least this share of the largest gain."""
BEFORE = 0.002
"""Seconds from the beginning of a stretch to its onset."""
LEAST = 1e-5
"""Share of the energy that is not worth an atom: what is left where others were subtracted."""
AVERAGED = 2
"""How often an atom is averaged over its events."""
SHIFTS = 3
"""Samples to either side by which an atom may be shifted where it is subtracted."""
RIDGE = 1e-3
"""What keeps the weights of these shifts small, as a share of the atom's energy."""


@dataclass(frozen=True, eq=False)
class Repeated:
    """An atom that a signal repeats, and its events.

    Parameters
    ----------
    atom : array (L,)
    positions : array (E,) of int
        The samples at which it begins, in order.
    gains : array (E,)
        Of each event.
    explained : float
        Energy of the signal that the events explain, but for the one from which the atom was cut.

    Examples
    --------
    >>> Repeated(np.ones(2), np.array([0, 5]), np.array([1.0, 0.5]), 0.5).count
    2
    """

    atom: Array
    positions: NDArray[np.intp]
    gains: Array
    explained: float

    @property
    def count(self) -> int:
        """``E``."""
        return self.positions.size


def pursue(
    x: ArrayLike, sample_rate: int, length: float = 0.1, most: int = 8, longest: float = 0.75
) -> list[Repeated]:
    """The atoms that a signal repeats, the one that explains most of it first.

    It works best on a sound that is :func:`~cdlnmf_lit.methods.whitening.whitened`.

    Parameters
    ----------
    x : array (T,)
        The signal.
    sample_rate
        In Hz.
    length
        Of the stretches that are compared, in seconds: 0.1 for hits, 0.03 for clicks.
    most
        How many atoms to look for; there may be fewer that come twice.
    longest
        Seconds to which an atom is extended that has at least four events.

    Raises
    ------
    ValueError
        If an argument is out of its range, or the signal is shorter than two stretches.

    Examples
    --------
    >>> x, hit = np.zeros(4000), np.hanning(99) * np.sin(0.5 * np.arange(99.0))
    >>> for at, gain in ((500, 1.0), (1700, 0.5), (2900, 0.8)):
    ...     x[at : at + 99] += gain * hit
    >>> (found,) = pursue(x, 1000, most=1)
    >>> np.diff(found.positions), (found.gains / found.gains.max()).round(2)
    (array([1200, 1200]), array([1. , 0.5, 0.8]))
    """
    x, rate = signal(x), integer(sample_rate, "sample_rate")
    L = max(2, round(length * rate))
    if x.size < 2 * L:
        raise ValueError(f"x must have at least two stretches of {L} samples, got {x.size}")
    return list(islice(repeated(x, rate, L, round(longest * rate)), integer(most, "most")))


def repeated(x: Array, rate: int, length: int, longest: int) -> Iterator[Repeated]:
    """Atom after atom, each of what those before leave, until nothing that counts comes twice.

    Parameters
    ----------
    x : array (T,)
    rate : int
        In Hz.
    length, longest : int
        Samples that are compared, and to which an atom is extended.

    Examples
    --------
    >>> x = np.zeros(900)
    >>> x[[100, 101, 500, 501]] = 2.0, 1.0, 1.0, 0.5
    >>> [each.count for each in repeated(x, 1000, 100, 100)]
    [2]
    """
    r, least = x.copy(), LEAST * float(np.sum(np.square(x, dtype=float)))
    while True:
        here = Correlated(r, length)
        begins = onsets(r, rate, CANDIDATES)
        begins = begins[begins <= r.size - length]

        def tried(begin: int, here: Correlated = here) -> Repeated:
            return here.events_of(here.x[begin : begin + length], begin)

        found = max(in_threads(tried, begins), key=lambda each: each.explained, default=None)
        if found is None or found.explained <= least:
            return
        for _ in range(AVERAGED):
            mean = here.events_of(averaged(r, found, length))
            if mean.count < 2:
                break
            found = mean
        if found.count >= 4 and longest > length:
            whole = averaged(r, found, longest)
            found = Repeated(whole, found.positions, found.gains, found.explained)
        yield found
        r = without(r, found)


def distinct(found: Iterable[Repeated], apart: int, share: float = 0.6) -> Iterator[Repeated]:
    """Those that are not the rest of one before: its hits, most of them, at one lag.

    Examples
    --------
    >>> one, two = (Repeated(np.ones(2), np.array(at), np.ones(3), 1.0)
    ...             for at in ([0, 50, 90], [20, 65, 139]))
    >>> late = Repeated(np.ones(2), one.positions + 3, np.ones(3), 0.1)
    >>> [each is late for each in distinct([one, late, two], 1)]
    [False, False]
    """
    kept: list[Repeated] = []
    for each in found:
        if all(at_one_lag(each.positions, one.positions, apart) < share for one in kept):
            kept.append(each)
            yield each


def at_one_lag(one: NDArray[np.intp], other: NDArray[np.intp], apart: int) -> float:
    """The largest share of two sets of positions that stand at one lag, within so many samples.

    Examples
    --------
    >>> at_one_lag(np.array([10, 50, 90]), np.array([12, 53, 99]), 1)
    0.6666666666666666
    """
    lags = np.sort(np.subtract.outer(one, other), axis=None)
    together = np.searchsorted(lags, lags + apart, "right") - np.arange(lags.size)
    return float(together.max() / max(one.size, other.size))


def onsets(x: Array, rate: int, most: int) -> NDArray[np.intp]:
    r"""Samples just before which little sounds and after which much does, the strongest first.

    .. math:: o[n] = \sqrt{E[n, n + w)} - \sqrt{E[n - w, n)}, \qquad w = 10\,\text{ms}

    Examples
    --------
    >>> x = np.zeros(900)
    >>> x[200:260], x[600:660] = 0.9 ** np.arange(60), -2 * 0.9 ** np.arange(60)
    >>> onsets(x, 1000, 2)
    array([598, 198])
    """
    import scipy.signal

    w, before = max(1, round(0.01 * rate)), round(BEFORE * rate)
    energy = np.sqrt(segment_energies(np.pad(x, w), w))
    rise = energy[w : w + x.size] - energy[: x.size]
    rise = np.pad(rise, 1)
    peaks, _ = scipy.signal.find_peaks(rise, height=0.0, distance=3 * w)
    order = np.argsort(-rise[peaks], kind="stable")[:most]
    return np.asarray(np.maximum(peaks[order] - 1 - before, 0))


@dataclass(frozen=True, eq=False)
class Correlated:
    """A signal with its spectrum and its energies: what all correlations with it share.

    Parameters
    ----------
    x : array (T,)
    length : int
        ``L``, of the stretches with which it is compared.

    Examples
    --------
    >>> x = np.zeros(40)
    >>> x[[5, 6, 25, 26]] = 2.0, 1.0, 1.0, 0.5
    >>> found = Correlated(x, 10).events_of(x[5:15], own=5)
    >>> found.positions, found.gains.round(6), round(found.explained, 6)
    (array([ 5, 25]), array([1. , 0.5]), 1.25)
    """

    x: Array
    length: int

    @cached_property
    def points(self) -> int:
        """Of transforms so long that nothing wraps."""
        return int(scipy.fft.next_fast_len(self.x.size + self.length, real=True))

    @cached_property
    def spectrum(self) -> Array:
        """Of the signal."""
        return np.asarray(scipy.fft.rfft(self.x, self.points))

    @cached_property
    def sizes(self) -> Array:
        """Norms of its stretches, ``(T,)``; near silence they are a thousandth of the largest."""
        energies = segment_energies(np.pad(self.x, (0, self.length - 1)), self.length)
        return np.sqrt(np.maximum(energies, 1e-6 * energies.max()))

    def events_of(self, atom: Array, own: int | None = None) -> Repeated:
        """Where the signal is like an atom, and how loud; its ``own`` place explains nothing."""
        import scipy.signal

        size = float(np.linalg.norm(atom)) or 1.0
        other = scipy.fft.rfft(atom / size, self.points).conj()
        heard = scipy.fft.irfft(self.spectrum * other, self.points)[: self.x.size]
        like = heard >= LIKE * self.sizes
        least = LOUD * float(np.max(heard, where=like, initial=0.0))
        peaks, _ = scipy.signal.find_peaks(
            np.pad(np.where(like, heard, 0), 1),
            height=max(least, 1e-300),
            distance=self.length // 2,
        )
        positions = peaks - 1
        gains = heard[positions] / heard.dtype.type(size)
        others = positions if own is None else positions[np.abs(positions - own) > self.length // 2]
        return Repeated(
            atom, positions, gains, float(np.sum(np.square(heard[others], dtype=float)))
        )


def averaged(x: Array, found: Repeated, length: int) -> Array:
    r"""The atom as its events have it: their mean, weighted by gain, or from five on their median.

    .. math:: d[s] = \operatorname{median}_e \frac{x[n_e + s]}{g_e}
        \quad\text{or}\quad \frac{\sum_e g_e\, x[n_e + s]}{\sum_e g_e^2}

    The median passes over what sounds beside a few of them.

    Examples
    --------
    >>> found = Repeated(np.ones(1), np.array([0, 2]), np.array([1.0, 2.0]), 0.0)
    >>> averaged(np.array([1.0, 3.0, 2.0, 6.0]), found, 2)
    array([1., 3.])
    """
    pieces = np.stack([placed(x[n : n + length], 0, length) for n in found.positions])
    if len(pieces) >= 5:
        return np.asarray(np.median(pieces / found.gains[:, None], axis=0))
    return np.asarray(found.gains @ pieces / (found.gains @ found.gains))


def without(x: Array, found: Repeated, shifts: int = SHIFTS) -> Array:
    r"""What is left of a signal once each event is subtracted, one after the other.

    An event may stand between two samples, and then the atom at either of them leaves a residue
    which is heard as a source of its own. So the atom is fitted at several shifts together:

    .. math:: \min_h \; \Big\|x - Σ_{|s| ≤ S} h_s\, d[\cdot - n_e - s]\Big\|^2 + ρ \|d\|^2 \|h\|^2

    Examples
    --------
    >>> x = np.zeros(40)
    >>> x[10:14] = 2.0, -2.0, 1.0, -0.5
    >>> found = Repeated(np.array([1.0, -1.0, 0.5, -0.25]), np.array([10]), np.array([2.0]), 0.0)
    >>> bool(np.abs(without(x, found)).max() < 0.01)
    True
    """
    import scipy.linalg

    d, S = found.atom, shifts
    if not d.any():
        return x
    shifted = np.stack([placed(d, s, d.size + 2 * S) for s in range(2 * S + 1)])
    normal = shifted @ shifted.T + RIDGE * (d @ d) * np.eye(2 * S + 1, dtype=d.dtype)
    factor = scipy.linalg.cho_factor(normal)
    r = np.pad(x, (S, d.size + S))
    for n in found.positions:
        here = slice(n, n + d.size + 2 * S)
        r[here] -= scipy.linalg.cho_solve(factor, shifted @ r[here]) @ shifted
    return np.asarray(r[S : S + x.size], x.dtype)
