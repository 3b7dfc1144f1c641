"""Atoms that signals have in common: dictionary learning of several recordings.

Chapter: ``book/methods/method.md``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from cdlnmf_lit.methods import cdl, sparse_coding
from cdlnmf_lit.methods.cdl import CDL, Quadratic
from cdlnmf_lit.methods.factors import in_ball, norms, shifts_to_middle
from cdlnmf_lit.methods.pieces import Recordings, State, found_in, loudest, totals
from cdlnmf_lit.theory.arguments import Array
from cdlnmf_lit.theory.blocks import placed, segment_energies


@dataclass(frozen=True, eq=False)
class Summed(Quadratic):
    """The fit of atoms to several signals, from the sums of their correlations.

    Examples
    --------
    >>> one = Quadratic(np.array([0.0, 3.0, 0.0]), np.array([[0.0, 2.0]]), 2)
    >>> other = Quadratic(np.ones(2), np.ones((1, 1)), 2)
    >>> Summed.of([(each.A, each.b) for each in (one, other)]).gradient(np.array([[1.0, 0.0]]))
    array([[-2., -1.]])

    References
    ----------
    Equation (2) of the paper.
    """

    sums: tuple[Array, Array]

    @classmethod
    def of(cls, told: Iterable[tuple[Array, Array]]) -> Summed:
        """From what each signal tells: its ``A`` and ``b``."""
        A, b = totals(told)
        return cls(np.empty(0), np.empty((len(b), 0), b.dtype), b.shape[1], (A, b))

    @property
    def A(self) -> Array:
        """``(K, K, 2 T_d - 1)``."""
        return self.sums[0]

    @property
    def b(self) -> Array:
        """``(K, T_d)``."""
        return self.sums[1]


@dataclass(frozen=True, eq=False, kw_only=True)
class Atoms(cdl.Problem):
    """Signals whose atoms are to be found, the same for all, with their activations.

    The alternation is that of one signal, :meth:`.cdl.Problem.alternating`. Activations are kept
    as sparse arrays.

    Parameters
    ----------
    recordings : Recordings
    pieces : tuple
        The problem of each.
    energy : float
        Of all signals.
    least : float
        Changes that are but rounding errors.

    Examples
    --------
    >>> x = np.sin(0.3 * np.arange(200.0)) * np.hanning(200)
    >>> problem = Atoms.of(CDL(atom_length=32, share=0.05), Recordings.of([x, x]), {})
    >>> start = problem.begin(1, "segments", np.random.default_rng(0))
    >>> problem.updated(start, 1).objective < start.objective
    True

    References
    ----------
    Equation (2) of the paper.
    """

    recordings: Recordings
    pieces: tuple[Any, ...]
    energy: float
    least: float

    def updated(self, state: Any, steps: int) -> Any:
        """One pass of coding at the tolerance that all together ask for, then the atoms."""
        spread, told, pieces = self.recordings.spread, self.recordings.told, self.pieces
        d, z = state.patterns, state.activations
        change = max(told(partial(_change, d), pieces, z))
        z, sums = spread(partial(_coded, d, self.tolerance(change)), pieces, z)
        d = Summed.of([each[:2] for each in sums]).fitted(d, self.solver)
        sizes = norms(d)
        weakest = int(np.argmin(sum(squares for *_, squares in sums) * sizes**2))
        d = d / sizes[:, None]
        z, seen = spread(partial(_looked_at, d, sizes, weakest), pieces, z)
        new = self.state(state.iteration + 1, d, z)
        vars(new)["told"] = totals(each[:2] for each in seen)
        return self._replaced(new, weakest, [each[2:] for each in seen])

    def _replaced(self, state: State, k: int, seen: list[tuple[Any, ...]]) -> State:
        """See :meth:`.cdl.Problem.replaced`; the loudest stretch is that of all recordings."""
        energies = [energy for energy, *_ in seen]
        loudest = int(np.argmax(energies))
        size, begin = float(np.sqrt(energies[loudest])), seen[loudest][1]
        _, _, held, penalised = totals(seen)
        won = 0.5 * max(size - self.penalty, 0.0) ** 2
        if won <= max(held - self.penalty * penalised, 0.0):
            return state
        d, n = state.patterns.copy(), len(self.pieces)
        z: Any = state.activations
        here = slice(loudest, loudest + 1)
        find = partial(_stretch, d, k, slice(begin, begin + self.atom_length))
        (stretch,) = self.recordings.told(find, self.pieces[here], z[here])
        d[k] = stretch / d.dtype.type(size)
        places = [(begin, size - self.penalty) if j == loudest else None for j in range(n)]
        z, _ = self.recordings.spread(partial(_reset, k), z, places)
        return self.state(state.iteration, in_ball(d), z)

    def recentred(self, state: Any) -> Any:
        """Each atom with its energy in the middle of its support, its activations moved back."""
        d, shifts = state.patterns, shifts_to_middle(state.patterns)
        if not shifts.any():
            return None
        d = np.stack([placed(atom, m, atom.size) for atom, m in zip(d, shifts, strict=True)])
        z, _ = self.recordings.spread(partial(_shifted, shifts, norms(d)), state.activations)
        return self.state(state.iteration, d / norms(d)[:, None], z)

    def tolerance(self, change: float) -> float:
        return max(sparse_coding.SHARE * change, self.least)

    def tells(self, state: State) -> list[Any]:
        """Energy of what is left of all signals, and the sum of all activations."""
        work = partial(_left, state.patterns)
        return totals(self.recordings.told(work, self.pieces, state.activations))

    def record(self, state: Any) -> dict[str, float]:
        left, size = state.told
        return {
            "objective": 0.5 * left + self.penalty * size,
            "relative_residual": float(np.sqrt(left / self.energy)),
        }

    @classmethod
    def of(cls, asked: CDL, recordings: Recordings, about: dict[str, Any]) -> Atoms:
        """The penalty is one for all: that of the whole."""
        if asked.penalty is None:
            share = asked.USUAL_SHARE if asked.share is None else asked.share
            most = max(recordings.told(partial(_lambda_max, asked), recordings.signals))
            asked = replace(asked, penalty=share * most if share else 0.0, share=None)
        pieces, told = recordings.spread(partial(_padded, asked), recordings.signals)
        one = asked.problem(np.zeros(0, asked.precision or recordings.dtype), 1)
        return cls(
            one.atom_length,
            one.penalty,
            one.signed,
            one.padding,
            one.solver,
            method=asked,
            x=one.x,
            about=about,
            recordings=recordings,
            pieces=pieces,
            energy=sum(energy for energy, _ in told),
            least=max(rounding for _, rounding in told),
        )

    def states(self, state: Any) -> Iterator[Any]:
        return self.alternating(state)

    def state(self, iteration: int, d: Array, z: Any) -> Any:
        return State(iteration, d, z, self)

    def first(self, W: Array, Z: Any) -> Any:
        """Atoms of norm 1; what they lose the activations gain. A silent one has none."""
        sizes = norms(W)
        gains = np.where(W.any(axis=1), sizes, 0).astype(W.dtype)
        Z, _ = self.recordings.spread(partial(_gained, gains), Z)
        return self.state(0, W / sizes[:, None], Z)

    def drawn(self, K: int, start: str, rng: np.random.Generator) -> tuple[Array, Any]:
        """Segments of the signals, drawn by energy, or noise; no activations."""
        T_d, dtype = self.atom_length, self.x.dtype
        if start == "random":
            d = rng.standard_normal((K, T_d)).astype(dtype)
            return d, self.activations_for(d)
        d, taken = np.empty((K, T_d), dtype), list[tuple[int, int]]()
        for k in range(K):
            work, places = partial(_chances, T_d, tuple(taken)), range(len(self.pieces))
            chances = np.array(self.recordings.told(work, self.pieces, places))
            edges = np.cumsum(chances / (chances.sum() or 1.0))
            u = rng.random() * edges[-1]
            j = min(int(np.searchsorted(edges, u, side="right")), len(edges) - 1)
            before = edges[j - 1] if j else 0.0
            u = (u - before) / ((edges[j] - before) or 1.0)
            find = partial(_segment, T_d, tuple(taken), u)
            ((begin, d[k]),) = self.recordings.told(find, self.pieces[j : j + 1], [j])
            taken.append((j, begin))
        return d, self.activations_for(d)

    def activations_for(self, W: Array) -> Any:
        """All zero."""
        return self.recordings.spread(partial(_silent, len(W)), self.pieces)[0]

    def taken(self, found: Any) -> tuple[Array, Any]:
        """Waveforms of the components; their activations at their samples where they are atoms."""
        if not isinstance(found.problem, Atoms):
            d = loudest(found, self.atom_length).astype(self.x.dtype)
            return d, self.activations_for(d)
        work = partial(_taken, found.patterns)
        before = found.problem.pieces, found.activations
        z, told = self.recordings.spread(work, self.pieces, *before)
        return told[0], z


# ---- what a piece does, and tells --------------------------------------------------------------


def _state_of(d: Array, problem: Any, z: Any) -> Any:
    return problem.state(0, d, z.toarray())


def _lambda_max(asked: CDL, x: Array) -> tuple[None, float]:
    return None, asked.lambda_max(asked.in_precision(x))


def _padded(asked: CDL, x: Array) -> tuple[cdl.Problem, tuple[float, float]]:
    problem = asked.problem(asked.in_precision(x), 1)
    return problem, (float(np.sum(np.square(problem.x, dtype=float))), problem.rounding)


def _change(d: Array, problem: Any, z: Any) -> tuple[None, float]:
    state = _state_of(d, problem, z)
    gram = state.dictionary.gram
    return None, problem.largest_change(state.activations, state.correlation, gram)


def _coded(d: Array, tolerance: float, problem: Any, z: Any) -> tuple[Any, tuple[Array, ...]]:
    found = problem.passed_over(_state_of(d, problem, z), tolerance)
    quadratic = Quadratic(problem.x, found, d.shape[1])
    return csr_array(found), (quadratic.A, quadratic.b, np.sum(found**2, axis=1))


def _looked_at(d: Array, sizes: Array, k: int, problem: Any, z: Any) -> tuple[Any, tuple[Any, ...]]:
    """Scale the activations; see :meth:`.cdl.Problem.replaced` for what is told."""
    z, _ = _gained(sizes, z)
    state = _state_of(d, problem, z)
    r, sound = state.residual, _sound(state, k)
    energies = segment_energies(r + sound, d.shape[1])
    begin = int(np.argmax(energies))
    held = float(np.sum((r + 0.5 * sound) * sound, dtype=float))
    penalised = float(np.sum(np.abs(state.activations[k]), dtype=float))
    return z, (*_left(d, problem, z)[1], float(energies[begin]), begin, held, penalised)


def _sound(state: Any, k: int) -> Array:
    d, z = state.patterns[k : k + 1], state.activations[k : k + 1]
    return sparse_coding.Dictionary(d, z.shape[1]).synthesis(z)


def _left(d: Array, problem: Any, z: Any) -> tuple[None, tuple[float, float]]:
    left = float(np.sum(np.square(_state_of(d, problem, z).residual, dtype=float)))
    return None, (left, float(np.sum(np.abs(z.data), dtype=float)))


def _stretch(d: Array, k: int, samples: slice, problem: Any, z: Any) -> tuple[None, Array]:
    state = _state_of(d, problem, z)
    return None, (state.residual + _sound(state, k))[samples]


def _reset(k: int, z: Any, place: tuple[int, float] | None) -> tuple[Any, None]:
    z = z.toarray()
    z[k] = 0
    if place is not None:
        z[k, place[0]] = place[1]
    return csr_array(z), None


def _shifted(shifts: Array, sizes: Array, z: Any) -> tuple[Any, None]:
    rows = zip(z.toarray(), shifts, strict=True)
    z = csr_array(np.stack([placed(row, -m, row.size) for row, m in rows]))
    return _gained(sizes, z)


def _gained(gains: Array, z: Any) -> tuple[Any, None]:
    return csr_array(gains[:, None] * z.toarray()), None


def _silent(K: int, problem: Any) -> tuple[Any, None]:
    return csr_array((K, problem.n_activations), dtype=problem.x.dtype), None


def _taken(W: Array, problem: Any, before: Any, z: Any) -> tuple[Any, Array]:
    d, z = problem.taken(found_in(W, before, z))
    return csr_array(z), d


def _energies(T_d: int, taken: tuple[tuple[int, int], ...], problem: Any, place: int) -> Array:
    """Of all segments; of those near to one that is taken, 0."""
    energies = segment_energies(problem.x, T_d)
    for j, begin in taken:
        if j == place:
            energies[max(0, begin - T_d // 2) : begin + T_d // 2 + 1] = 0
    return energies


def _chances(
    T_d: int, taken: tuple[tuple[int, int], ...], problem: Any, place: int
) -> tuple[None, float]:
    return None, float(_energies(T_d, taken, problem, place).sum())


def _segment(
    T_d: int, taken: tuple[tuple[int, int], ...], u: float, problem: Any, place: int
) -> tuple[None, tuple[int, Array]]:
    energies = _energies(T_d, taken, problem, place)
    edges = np.cumsum(energies / (energies.sum() or 1.0))
    edges /= edges[-1] or 1.0
    begin = min(int(np.searchsorted(edges, u, side="right")), energies.size - 1)
    return None, (begin, problem.x[begin : begin + T_d])
