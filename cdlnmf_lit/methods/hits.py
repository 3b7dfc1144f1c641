r"""Hits: sounds that come again as they are, each hit with one activation.

Where they stand is found by pursuit on the whitened sound; then waveforms and gains are fitted to
the sound itself, in turn, by least squares.

Chapter: ``book/methods/pursuit.md``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np

from cdlnmf_lit.methods import sparse_coding
from cdlnmf_lit.methods.cdl import CDL
from cdlnmf_lit.methods.decomposition import Decomposition
from cdlnmf_lit.methods.factors import normalised
from cdlnmf_lit.methods.families import require_change, require_length
from cdlnmf_lit.methods.method import Method
from cdlnmf_lit.methods.options import anything, at_least, option
from cdlnmf_lit.methods.pursuit import (
    CANDIDATES,
    Correlated,
    Repeated,
    averaged,
    distinct,
    onsets,
    repeated,
    without,
)
from cdlnmf_lit.methods.refit import changed_atoms, changed_taps, nudged, pooled, support
from cdlnmf_lit.methods.sparse_coding import Dictionary
from cdlnmf_lit.methods.whitening import prediction_filter, whitened
from cdlnmf_lit.theory.arguments import Array
from cdlnmf_lit.theory.blocks import n_threads, segment_energies

SECONDS, COMPARED = 0.75, 0.1
"""An atom's, if a sample rate is to be told from its samples; what pursuit compares of it."""
TOGETHER, ONE_LAG = 0.003, 0.002
"""Seconds within which activations are one hit, and within which lags are the same."""
NUDGE = 8
"""Samples to either side by which a hit is moved, each time."""


@dataclass(frozen=True, eq=False)
class Problem(sparse_coding.Problem):
    r"""Sounds and their hits, in turn one given the other.

    .. math:: \min_{d, z} \; ½ \Big\|x - Σ_k d_k ∗ z_k\Big\|^2 \quad\text{subject to }
        z_k[n] = 0 \text{ but at a few taps around each hit}

    What sounds beyond the ends of the signal is not counted.

    Examples
    --------
    >>> x = np.zeros(40)
    >>> x[[5, 6, 25, 26]] = 2.0, 1.0, 1.0, 0.5
    >>> start = next(Hits(atom_length=10, taps=1).iterate(x, 1))
    >>> start.problem.updated(start).objective < 1e-6
    True
    """

    def updated(self, state: State) -> State:
        r"""First the taps, then the atoms, each by what lowers the residual ``r``.

        .. math:: z ← z + \argmin_δ \big(\|r - D δ\|^2 + ρ \|δ\|^2\big), \qquad
            d ← d + \argmin_δ \Big\|r - Σ_k δ_k ∗ z_k\Big\|^2

        The residual is zero beyond the ends, as if what the model says were heard there: so the
        sum that is minimised is never below the objective, and equals it where nothing changes.
        """
        if self.held != "activations":
            tried = [state] if self.method.taps > 1 else [state, self.moved(state)]
            state = min(map(self.with_taps, tried), key=lambda each: each.objective)
        if self.held != "patterns":
            change = changed_atoms(state.residual, state.activations, self.atom_length)
            d, z = state.patterns + change, state.activations
            state = self.state(state.iteration, *((d, z) if self.held else normalised(d, z)))
        return state

    def with_taps(self, state: State) -> State:
        """The activations that fit the atoms, where there are hits."""
        z, gram = state.activations.copy(), state.dictionary.gram
        k, n = support(z, self.method.taps)
        z[k, n] += changed_taps(gram, state.correlation[k, n], k, n)
        return self.state(state.iteration, state.patterns, z)

    def moved(self, state: State) -> State:
        """Each hit at the sample, of a few beside its own, where its atom fits best."""
        z = nudged(state.correlation, state.dictionary.gram, state.activations, NUDGE)
        return self.state(state.iteration, state.patterns, z)

    # ---- starts, states --------------------------------------------------------------------------

    def after(self, state: State) -> State:
        new = self.updated(state)
        return self.state(state.iteration + 1, new.patterns, new.activations)

    def states(self, state: Any) -> Iterator[State]:
        """All iterates; one that does not lower the objective is not taken."""
        while True:
            yield state
            new = self.after(state)
            state = new if new.objective < state.objective else state.numbered(new.iteration)

    def state(self, iteration: int, d: Array, z: Array) -> State:
        return State(iteration, d, z, self, Dictionary(d, self.n_activations))

    def first(self, W: Array, Z: Array) -> State:
        """Atoms of norm 1; what they lose the activations gain."""
        return self.state(0, *((W, Z) if self.held else normalised(W, Z)))

    @cached_property
    def sound(self) -> Array:
        """The signal without the silence around it."""
        return np.asarray(self.x[self.padding : self.x.size - self.padding])

    @cached_property
    def filter(self) -> Array:
        """That whitens the signal."""
        return prediction_filter(self.sound)

    @property
    def rate(self) -> int:
        """Samples a second, if an atom lasts three quarters of one."""
        return max(1, round(self.atom_length / SECONDS))

    def samples(self, seconds: float) -> int:
        """At least two."""
        return max(2, round(seconds * self.atom_length / SECONDS))

    def drawn(self, K: int, start: str, rng: np.random.Generator) -> tuple[Array, Array]:
        """The events that pursuit finds on the whitened sound; or of onsets drawn at random."""
        white, length = whitened(self.sound, self.filter), self.samples(COMPARED)
        if start == "onsets":
            begins = onsets(white, self.rate, CANDIDATES)
            begins = rng.permutation(begins[begins <= white.size - length])[:K]
            events = [Correlated(white, length).events_of(white[n : n + length]) for n in begins]
            return self.of_events(events, K)
        found = islice(repeated(white, self.rate, length, self.atom_length), 2 * K + 2)
        return self.of_events(list(islice(distinct(found, self.samples(ONE_LAG)), K)), K)

    def of_events(self, found: list[Repeated], K: int) -> tuple[Array, Array]:
        """Their atoms, averaged in the sound itself; loud stretches of it for any that lack."""
        d = np.zeros((K, self.atom_length), self.x.dtype)
        z, left = self.activations_of(found, K), self.sound
        for k, each in enumerate(found):
            d[k] = averaged(left, each, self.atom_length)
            left = without(left, Repeated(d[k], each.positions, each.gains, 0.0))
        for k in range(len(found), K):
            energies = segment_energies(left, self.atom_length)
            n = int(np.argmax(energies))
            d[k], z[k, self.padding + n] = left[n : n + self.atom_length], 1
            left = left.copy()
            left[n : n + self.atom_length] = 0
        return d, z

    def activations_of(self, found: list[Repeated], K: int) -> Array:
        """One for each event."""
        z = np.zeros((K, self.n_activations), self.x.dtype)
        for row, each in zip(z, found, strict=False):
            row[self.padding + each.positions] = each.gains
        return z

    def activations_for(self, W: Array) -> Array:
        """Of the atoms given, in the order of how much they explain."""
        white, atoms = whitened(self.sound, self.filter), whitened(W, self.filter)
        z, left = np.zeros((len(W), self.n_activations), self.x.dtype), set(range(len(W)))
        while left:
            found = {k: Correlated(white, self.atom_length).events_of(atoms[k]) for k in left}
            k = max(found, key=lambda each: found[each].explained)
            z[k, self.padding + found[k].positions] = found[k].gains
            white = without(white, found[k])
            left.remove(k)
        return z

    def taken(self, found: Decomposition) -> tuple[Array, Array]:
        """Atoms and their activations, pooled; else the loudest stretches of the components."""
        d = found.patterns(self.atom_length).astype(self.x.dtype)
        if found.atoms is None:
            return d, self.activations_for(d)
        z = np.zeros((len(d), self.n_activations), self.x.dtype)
        steps = found.hop * np.arange(found.activations.shape[1])
        positions = found.first_sample + self.padding + steps
        inside = (positions >= 0) & (positions < self.n_activations)
        z[:, positions[inside]] = found.activations[:, inside]
        return d, z if found.method == Hits.name else pooled(z, self.samples(TOGETHER))

    def record(self, state: Any) -> dict[str, float]:
        return {name: getattr(state, name) for name in ("objective", "relative_residual")}


@dataclass(frozen=True, eq=False)
class State(sparse_coding.State):
    """One iterate of :class:`Hits`: what it leaves beyond the signal's ends is not counted.

    Examples
    --------
    >>> state = next(Hits(atom_length=10).iterate(np.sin(np.arange(40.0)), 1))
    >>> state.residual.size, bool(state.residual[:9].any())
    (58, False)
    """

    @cached_property
    def residual(self) -> Array:
        """``r = x - Σ_k d_k ∗ z_k`` within the signal, zero in the silence around it."""
        left, p = (
            np.asarray(self.problem.x - self.dictionary.synthesis(self.activations)),
            self.problem.padding,
        )
        left[:p] = left[left.size - p :] = 0
        return left


# ---- options -------------------------------------------------------------------------------------


def _odd(value: Any, name: str) -> int:
    if at_least(1)(value, name) % 2 == 0:
        raise ValueError(f"{name} must be odd, got {value!r}")
    return int(value)


@dataclass(frozen=True, kw_only=True, repr=False)
class Hits(Method, name="hits"):
    r"""Sounds that come again as they are, and their hits: drums, samples, strokes of a machine.

    .. math:: \min_{d, z} \; ½ \Big\|x - Σ_k d_k ∗ z_k\Big\|^2 \quad\text{subject to }
        z_k[n] = 0 \text{ but at a few taps around each hit}

    Nothing is penalised, so nothing shrinks. Where the hits are is found first: see
    :mod:`~cdlnmf_lit.methods.pursuit`. The result of another method that has atoms gives its
    activations, pooled; of one that has spectra the loudest stretch of each component.

    Raises
    ------
    ValueError
        For an option that does not meet its rule.

    Examples
    --------
    >>> x, hit = np.zeros(4000), np.hanning(99) * np.sin(0.5 * np.arange(99.0))
    >>> for at, gain in ((500, 1.0), (1700, 0.5), (2900, 0.8)):
    ...     x[at : at + 99] += gain * hit
    >>> found = Hits(atom_length=200, iterations=5).decompose(x, 1)
    >>> bool(found.history["relative_residual"][-1] < 1e-3)
    True
    """

    start: str | Method = option(
        "pursuit",
        "What to begin from: what repeats the most of the sound, or onsets drawn at random.",
        anything,
    )
    iterations: int = option(20, "How many to run at the most.", at_least(0))
    atom_length: int = option(16_538, "``T_d``, samples; all else is in proportion.", at_least(1))
    taps: int = option(
        7,
        "Activations a hit: 1, or a few, an odd number, for hits that stand between two samples.",
        _odd,
    )

    STARTS = ("pursuit", "onsets")
    SIGNED = ("patterns", "activations")

    def check(self, x: Array) -> None:
        require_change(x)
        require_length(x.size, self.atom_length)

    def most_components(self, n_samples: int) -> int:
        return n_samples - self.atom_length + 1

    def problem(self, x: Array, K: int, **asked: Any) -> Problem:
        p = self.atom_length - 1
        return Problem(self.atom_length, 0.0, True, p, method=self, x=np.pad(x, p), **asked)

    def shapes(self, n_samples: int, K: int) -> dict[str, tuple[int, ...]]:
        return {
            "patterns": (K, self.atom_length),
            "activations": (K, n_samples + self.atom_length - 1),
        }

    def bytes_needed(self, n_samples: int, K: int, dtype: np.dtype) -> int:
        """Of the iterates three; of pursuit what all threads hold, each a signal's transform."""
        learnt = self._learning.bytes_needed(n_samples, K, dtype)
        tried = (12 + 8 * n_threads()) * n_samples * np.dtype(float).itemsize
        return 2 * learnt + tried

    @property
    def _learning(self) -> CDL:
        """What learns as many numbers, and takes about as much."""
        return CDL(atom_length=self.atom_length, padding=self.atom_length - 1)
