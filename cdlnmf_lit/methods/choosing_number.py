"""How many sounds there are: the elbow of an objective, or the atoms that come again.

Chapter: ``book/experiments/choosing.md``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from cdlnmf_lit.methods.choosing import excerpt
from cdlnmf_lit.methods.nmf import NMF
from cdlnmf_lit.methods.pursuit import Repeated, pursue
from cdlnmf_lit.methods.whitening import prediction_filter, whitened
from cdlnmf_lit.theory.arguments import Array, choice, signal
from cdlnmf_lit.theory.gabor import hann

MOST = 12
"""Components, at the most."""
FALLS, LITTLE = 0.4, 0.01
"""Shares of the second fall of an objective, and of all of it, below which a fall is little."""
STARTS = 2
"""Random starts of each NMF; the lower objective counts."""
COMPARED = {"clicks": (0.03, 0.06), "hits": (0.1, 0.5), "calls": (0.3, 1.5)}
"""s, of the stretches that are compared and of the atoms, for each kind that is pursued."""
TRIED = 8
"""Atoms that a pursuit looks for."""
COUNTS = 0.03
"""Share of the energy that all atoms explain from which one counts as a source."""
BACKGROUND = 0.5
"""Share of the sound from which what an atom's events cover is no event, but a hum."""
RESTS = 0.8
"""Share of an atom's events at one lag from another's from which it is the rest of that one."""


@dataclass(frozen=True)
class Number:
    """How many components to look for, and what tells so.

    Parameters
    ----------
    n_components : int
    low, high : int
        Where it lies in nine of ten of the mixtures that it was made on.
    evidence : tuple of float
        For K = 1, 2, ...: the objective with K components, as a share of that with one; or the
        share of what is explained that atom K explains.
    words : str
        What the evidence is.

    Examples
    --------
    >>> print(Number(2, 2, 3, (0.7, 0.29, 0.01), "share of each atom that comes again"))
    K = 2 (2 to 3), by the share of each atom that comes again: 0.70, 0.29 | 0.01
    """

    n_components: int
    low: int
    high: int
    evidence: tuple[float, ...]
    words: str

    def __str__(self) -> str:
        told = [f"{each:.2f}" for each in self.evidence]
        K = self.n_components
        rest = f" | {', '.join(told[K:])}" if told[K:] else ""
        return (
            f"K = {K} ({self.low} to {self.high}), by the {self.words}: {', '.join(told[:K])}{rest}"
        )


def number_of(x: ArrayLike, sample_rate: int, kind: str) -> Number:
    """How many components a sound of this kind has, from 1 to 12, told from its loudest 10 s.

    Notes, and what never repeats, are counted by :func:`elbow`; what comes again as it is by
    :func:`atoms_that_repeat`.

    Parameters
    ----------
    x : array (T,)
    sample_rate
        In Hz.
    kind : {"nothing", "calls", "notes", "clicks", "hits"}
        See :func:`~cdlnmf_lit.methods.choosing.choose`.

    Raises
    ------
    ValueError
        If there is no such kind.

    Examples
    --------
    >>> t = np.arange(24_000) / 8000
    >>> x = np.sin(2765 * t) * (t % 1 < 0.5) + np.sin(4147 * t) * (t % 0.7 < 0.3)
    >>> found = number_of(x, 8000, "notes")
    >>> found.low, found.n_components, found.high
    (2, 3, 4)
    """
    x = signal(x)
    choice(kind, "kind", ("nothing", "notes", *COMPARED))
    if not x.any():
        return Number(1, 1, 1, (1.0,), "sound, which is silent")
    x, rate = excerpt(x, sample_rate)
    if kind not in COMPARED:
        return elbow(objectives(x, rate))
    length, longest = COMPARED[kind]
    if x.size < 4 * length * rate:
        return elbow(objectives(x, rate))
    w = whitened(x, prediction_filter(x)).astype(np.float32)
    found = pursue(w, round(rate), length, most=TRIED, longest=longest)
    return atoms_that_repeat(found, rate, round(BACKGROUND * x.size / rate / length))


def objectives(x: Array, rate: float) -> Iterator[float]:
    """The objective of Kullback-Leibler NMF of a sound with 1, 2, ... components, never rising.

    Examples
    --------
    >>> found = [*objectives(np.sin(np.arange(8000.0)) * np.sin(1e-3 * np.arange(8000.0)), 8000)]
    >>> len(found), found == sorted(found, reverse=True)
    (13, True)
    """
    hop = max(1, round(0.0465 * rate))
    method = NMF(frame=hann(2 * hop, hop), iterations=20, precision="float32")
    least = np.inf
    for K in range(1, min(MOST + 1, method.most_components(x.size)) + 1):
        for seed in range(STARTS):
            found = method.decompose(x, K, rng=seed)
            least = min(least, float(found.history["objective"][-1]))
        yield least


def elbow(objectives: Iterable[float]) -> Number:
    """The first number of components after which an objective falls little.

    A fall is little that is less than 0.4 of the one from two components to three, or than a
    hundredth of the objective with one. No more of the objective is computed than that tells.

    Examples
    --------
    >>> elbow([1.0, 0.6, 0.3, 0.28, 0.27]).n_components
    3
    """
    curve: list[float] = []
    for objective in objectives:
        curve.append(objective)
        falls = -np.diff(curve)
        if falls.size > 1 and falls[-1] < max(FALLS * falls[1], LITTLE * curve[0]):
            break
    told = tuple((np.array(curve) / (curve[0] or 1.0)).tolist())
    K = min(max(1, len(curve) - 1), MOST)
    if K == 2 and told[0] - told[1] < LITTLE:
        K = 1
    words = "objective of NMF with 1, 2, ... components"
    return Number(K, max(1, K - 1), min(MOST, K + 1), told, words)


def atoms_that_repeat(found: Sequence[Repeated], rate: float, most: int) -> Number:
    """How many of the atoms of a pursuit are sources: loud, no hum, and no rest of one before.

    Parameters
    ----------
    found
        See :func:`~cdlnmf_lit.methods.pursuit.pursue`.
    rate
        In Hz.
    most
        Events that one atom can have; with more it is a hum.

    Examples
    --------
    >>> one, two = (Repeated(np.ones(2), np.array(at), np.ones(3), 1.0)
    ...             for at in ([0, 500, 900], [200, 610, 1390]))
    >>> late = Repeated(np.ones(2), one.positions + 3, np.ones(3), 0.1)
    >>> atoms_that_repeat([one, late, two], 8000, 10).n_components
    2
    """
    kept: list[Repeated] = []
    for each in found:
        if each.count <= most and all(
            _share_at_one_lag(each, one, round(0.002 * rate)) < RESTS for one in kept
        ):
            kept.append(each)
    energies = np.array([each.explained for each in kept] or [1.0])
    shares = np.sort(energies / energies.sum())[::-1]
    K = max(1, int(np.sum(shares >= COUNTS)))
    likely, possible = (max(1, int(np.sum(shares >= each * COUNTS))) for each in (2, 0.5))
    words = "share of what comes again that each atom explains"
    return Number(K, likely, min(MOST, possible), tuple(shares.tolist()), words)


def _share_at_one_lag(one: Repeated, other: Repeated, apart: int) -> float:
    """The largest share of the rarer atom's events that stand at one lag from the other's."""
    lags = np.sort(np.subtract.outer(one.positions, other.positions), axis=None)
    together = np.searchsorted(lags, lags + apart, "right") - np.arange(lags.size)
    return float(together.max() / min(one.count, other.count))
