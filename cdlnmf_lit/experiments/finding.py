"""Three ways to find calls that were learnt, held to when they do sound.

Chapter: ``book/experiments/learn_once.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import scipy.signal
from numpy.typing import ArrayLike

from cdlnmf_lit.experiments import evaluation
from cdlnmf_lit.experiments.scenes import SAMPLE_RATE, Field, field
from cdlnmf_lit.experiments.signals import Event, Signal
from cdlnmf_lit.methods import recipes
from cdlnmf_lit.methods.cdl import CDL
from cdlnmf_lit.methods.decomposition import Decomposition
from cdlnmf_lit.methods.events import Events, events_of
from cdlnmf_lit.methods.nmf import NMF
from cdlnmf_lit.theory.arguments import choice
from cdlnmf_lit.theory.gabor import hann

STEP, MARGIN = 30, 3
"""Seconds that are taken apart at a time, and those on either side that are taken with them."""
LEAST = 0.35
"""Of the loudest in what was learnt from: what is weaker is passed over, in every way alike."""
SLACK = 0.05
"""Seconds before and after a call within which what is found is still a hit."""
REST = 1.0
"""Seconds from one find to the next of the same bird, at least."""


@dataclass(frozen=True)
class Findings:
    """How many calls there are of the two birds, how many were found, and how many rightly.

    Examples
    --------
    >>> Findings(calls=10, finds=8, hits=6).precision
    0.75
    """

    calls: int
    finds: int
    hits: int

    @property
    def precision(self) -> float:
        """Share of the finds that are calls."""
        return self.hits / self.finds if self.finds else 1.0

    @property
    def recall(self) -> float:
        """Share of the calls that are found."""
        return self.hits / self.calls

    @property
    def f(self) -> float:
        """Their harmonic mean."""
        return 2 * self.hits / (self.finds + self.calls)


@cache
def learnt() -> Decomposition:
    """Two calls, learnt on the 20 s of :func:`.field`; component ``k`` is the call of bird ``k``.

    Examples
    --------
    >>> learnt().n_components, learnt().sample_rate
    (2, 22050)
    """
    mixture = field(0)
    found = recipes.chirps(SAMPLE_RATE).decompose(mixture.signal, 2)
    return _in_order(replace(found, sample_rate=SAMPLE_RATE))


@cache
def learnt_spectra() -> Decomposition:
    """The same by NMF: one spectrum a bird.

    Examples
    --------
    >>> learnt_spectra().spectra.shape
    (2, 513)
    """
    method = NMF(frame=hann(1024, 512), iterations=100, precision="float32")
    return _in_order(replace(method.decompose(field(0).signal, 2), sample_rate=SAMPLE_RATE))


def _in_order(found: Decomposition) -> Decomposition:
    """The components in the order of the birds whose calls they are most alike."""
    likeness = evaluation.spectrogram_similarity(found.components(), field(0).sources)
    order = [0, 1] if np.trace(likeness) >= np.trace(likeness[::-1]) else [1, 0]
    names = ("atoms", "spectra", "sounds", "activations")
    arrays = {n: getattr(found, n)[order] for n in names if getattr(found, n) is not None}
    return replace(found, **arrays)


# ---- the three ways, each from a stretch to when and what ----------------------------------------


def by_atoms(x: Signal) -> tuple[Signal, Signal]:
    """When, and of which bird, by dictionary learning with the atoms held.

    Examples
    --------
    >>> when, which = by_atoms(field(1).signal)
    >>> np.bincount(which)
    array([5, 5])
    """
    found = coded(x)
    events = events_of(found, least=least_levels())
    return (events.onset + events.end) / 2, events.component


def coded(x: Signal) -> Decomposition:
    """The activations of the atoms in another signal, at the penalty of the one learnt from.

    Examples
    --------
    >>> coded(field(1).signal[:66_150]).activations.shape[0]
    2
    """
    atoms = np.asarray(learnt().atoms)
    found = _coder().decompose(x, 2, start=(atoms, None), held="patterns")
    return replace(found, sample_rate=SAMPLE_RATE)


@cache
def _coder() -> CDL:
    length = np.asarray(learnt().atoms).shape[1]
    asked = CDL(
        atom_length=length, padding=length // 2, share=0.1, iterations=10, precision="float32"
    )
    return asked.resolved(field(0).signal.astype(np.float32))


@cache
def least_levels() -> Signal:
    """Levels in dB below which an event of each bird is passed over, see ``LEAST``.

    Examples
    --------
    >>> least_levels().shape
    (2,)
    """
    events = coded(field(0).signal).events()
    loudest = [events.level[events.component == k].max() for k in range(2)]
    return np.array(loudest) + 20 * np.log10(LEAST)


def by_matched_filter(x: Signal) -> tuple[Signal, Signal]:
    """The same by the peaks of the correlation of the sound with each atom.

    Examples
    --------
    >>> when, which = by_matched_filter(field(1).signal)
    >>> np.bincount(which) >= 5
    array([ True,  True])
    """
    atoms = np.asarray(learnt().atoms, float)
    middle = [np.average(np.arange(d.size), weights=d**2) for d in atoms]
    found = [_peaks(row, _least_correlations()[k], 1) for k, row in enumerate(_correlations(x))]
    lead = atoms.shape[1] - 1
    return _table([(n - lead + middle[k]) / SAMPLE_RATE for k, n in enumerate(found)])


def _correlations(x: Signal) -> Signal:
    atoms = np.asarray(learnt().atoms, float)
    return np.stack([scipy.signal.oaconvolve(x, d[::-1]) for d in atoms])


@cache
def _least_correlations() -> Signal:
    return LEAST * np.abs(_correlations(field(0).signal)).max(axis=1)


def by_spectra(x: Signal) -> tuple[Signal, Signal]:
    """The same by the peaks of the activations of an NMF with the spectra held.

    Examples
    --------
    >>> when, which = by_spectra(field(1).signal)
    >>> np.bincount(which) >= 5
    array([ True,  True])
    """
    z, hop = _activations(x), learnt_spectra().hop
    found = [_peaks(row, _least_activations()[k], hop) for k, row in enumerate(z)]
    return _table([(hop * n + learnt_spectra().first_sample + 512) / SAMPLE_RATE for n in found])


def _activations(x: Signal) -> Signal:
    method = NMF(frame=hann(1024, 512), iterations=30, precision="float32")
    start = np.asarray(learnt_spectra().spectra), None
    return np.asarray(method.decompose(x, 2, start=start, held="patterns").activations)


@cache
def _least_activations() -> Signal:
    return LEAST * _activations(field(0).signal).max(axis=1)


def _peaks(row: Signal, least: float, hop: int) -> Signal:
    peaks, _ = scipy.signal.find_peaks(np.abs(row), height=least, distance=REST * SAMPLE_RATE / hop)
    return np.asarray(peaks)


def _table(found: Sequence[Signal]) -> tuple[Signal, Signal]:
    return np.concatenate(found), np.repeat(np.arange(len(found)), [len(each) for each in found])


WAYS: dict[str, Callable[[Signal], tuple[Signal, Signal]]] = {
    "atoms": by_atoms,
    "matched filter": by_matched_filter,
    "NMF": by_spectra,
}


# ---- held to the truth ---------------------------------------------------------------------------


def hits(when: ArrayLike, calls: Sequence[Event]) -> int:
    """How many calls have a find between their begin and their end, each find counted once.

    Examples
    --------
    >>> hits([0.5, 0.6, 7.0], [Event(0.0, 1.0, 0), Event(6.5, 1.0, 0)])
    2
    """
    free, count = sorted(np.asarray(when, float).tolist()), 0
    for each in calls:
        inside = [t for t in free if -SLACK <= t - each.onset <= each.duration + SLACK]
        if inside:
            free.remove(inside[0])
            count += 1
    return count


def found_in_field(way: str, seconds: float, noise: float, seed: int) -> Findings:
    """Look for the two calls in a field of any length, a stretch at a time.

    Parameters
    ----------
    way
        Of ``WAYS``.
    seconds, noise, seed
        Of the :class:`~cdlnmf_lit.experiments.scenes.Field`.

    Examples
    --------
    >>> found_in_field("atoms", seconds=20.0, noise=-10.0, seed=0).recall
    1.0
    """
    find, place = WAYS[choice(way, "way", WAYS)], Field(seed, seconds, noise)
    times: list[Signal] = []
    owners: list[Signal] = []
    for begin in np.arange(0, place.seconds, STEP):
        end = min(begin + STEP, place.seconds)
        start, stop = max(0.0, begin - MARGIN), min(place.seconds, end + MARGIN)
        x = place.stretch(round(start * SAMPLE_RATE), round(stop * SAMPLE_RATE))
        when, which = find(x)
        inside = (when + start >= begin) & (when + start < end)
        times.append(when[inside] + start)
        owners.append(which[inside])
    when, which = np.concatenate(times), np.concatenate(owners)
    right = sum(
        hits(when[which == k], [each for each in place.events if each.stem == k]) for k in range(2)
    )
    return Findings(sum(each.stem < 2 for each in place.events), len(when), right)


def onset_errors(
    events: Events, truth: Sequence[Event], window: float = 0.05
) -> tuple[Signal, float]:
    """Errors in ms of the onsets that have a true one within the window, and their F-measure.

    Notes
    -----
    Needs ``mir_eval``.

    Examples
    --------
    >>> table = Events([1.004, 3.0], [2, 4], [0, 0], [0, 0], [0, 0], [9, 9], [1, 1])
    >>> errors, f = onset_errors(table, [Event(1.0, 1.0, 0), Event(5.0, 1.0, 0)])
    >>> errors.round(), f
    (array([4.]), 0.5)
    """
    import mir_eval

    wanted = np.sort([each.onset for each in truth])
    pairs = mir_eval.util.match_events(wanted, events.onset, window)
    errors = np.array([1000 * (events.onset[j] - wanted[i]) for i, j in pairs])
    return errors, 2 * len(pairs) / max(1, len(wanted) + len(events))
