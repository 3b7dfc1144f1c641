r"""Sparse coding with atoms on a grid, whose gap is known: where patterns that are held sound.

Chapter: ``book/methods/method.md``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from cdlnmf_lit.methods import sparse_coding
from cdlnmf_lit.methods.duality import State, share_of
from cdlnmf_lit.methods.kernels import add_scaled, is_sparse, nonzeros
from cdlnmf_lit.theory.arguments import Array
from cdlnmf_lit.theory.blocks import placed
from cdlnmf_lit.theory.convolution import Convolution
from cdlnmf_lit.theory.gabor import GaborFrame

TOGETHER = 64
"""Activations that touch each other, of which the best are found together at the most."""
GREATER = 2.0
"""Without a penalty, the sum of activations up to which others are compared, in that found."""


@dataclass(frozen=True, eq=False)
class Grid(sparse_coding.Dictionary):
    r"""Shifts of atoms by multiples of a hop, cut to the signal.

    .. math:: (D z)[t] = Σ_k Σ_n z_k[n] \, d_k[t - b - a n], \qquad 0 ≤ t < T

    Parameters
    ----------
    hop : int
        ``a``.
    begin : int
        ``b``, at most 0: where the first atom begins.
    length : int
        ``T``.

    Examples
    --------
    >>> D = Grid(np.array([[1.0, 2.0]]), 2, hop=2, begin=-1, length=3)
    >>> D.synthesis(np.array([[1.0, 10.0]])), D.correlation(np.array([1.0, 1.0, 0.0]))
    (array([ 2., 10., 20.]), array([[2., 1.]]))
    """

    hop: int = 1
    begin: int = 0
    length: int = 0

    def synthesis(self, z: Array) -> Array:
        T_d = self.atoms.shape[1]
        if is_sparse(z, T_d):
            whole = np.zeros(self.plan.length, self.atoms.dtype)
            k, n, values = nonzeros(z)
            add_scaled(whole, self.atoms.ravel(), self.hop * n, T_d * k, values, T_d)
        else:
            whole = self.plan.synthesis(self.spectra, self.plan.activation_spectra(z))
        return placed(whole, self.begin, self.length)

    def correlation(self, residual: Array) -> Array:
        return super().correlation(placed(residual, -self.begin, self.plan.length))

    @cached_property
    def gram(self) -> Array:
        """On the grid: every ``a``-th lag. Cut atoms have less, which only shortens their steps."""
        whole = sparse_coding.Dictionary(self.atoms, 1).gram
        middle = whole.shape[2] // 2
        return np.ascontiguousarray(whole[..., middle % self.hop :: self.hop])

    @cached_property
    def plan(self) -> Convolution:
        """Of the convolutions with the atoms."""
        return Convolution(self.atoms.shape[1], self.n_activations, self.hop)


def within_signs(G: Array, b: Array, z: Array, penalty: float) -> Array:
    r"""The best activations of the signs of some, or 0: a way down by an active set.

    .. math:: \min_z \; ½⟨z, G z⟩ - ⟨b, z⟩ + λ \|z\|_1, \qquad z_i = 0 \text{ or of the sign it has}

    It goes to the minimum of those that are not zero, or as far as the first of them that becomes
    zero, and leaves that out. Each step lowers the objective.

    Parameters
    ----------
    G : array (n, n)
        Symmetric, positive definite.
    b : array (n,)
    z : array (n,)
        Not zero.
    penalty : float
        ``λ``.

    Examples
    --------
    >>> within_signs(np.eye(2), np.array([3.0, 0.5]), np.ones(2), 1.0)
    array([2., 0.])
    """
    z, signs = z.copy(), np.sign(z)
    free = np.flatnonzero(z)
    while free.size:
        try:
            best = np.linalg.solve(G[np.ix_(free, free)], b[free] - penalty * signs[free])
        except np.linalg.LinAlgError:  # two that are the same
            break
        crossing = best * signs[free] <= 0
        if not crossing.any():
            z[free] = best
            break
        now = z[free]
        steps = np.full(free.size, np.inf)
        steps[crossing] = now[crossing] / (now - best)[crossing]
        first = int(np.argmin(steps))
        z[free] = now + steps[first] * (best - now)
        z[free[first]] = 0
        free = np.flatnonzero(z)
    return np.asarray(z)


@dataclass(frozen=True, eq=False)
class OnGrid(sparse_coding.Problem):
    """Sparse coding with atoms on a grid, some of which the ends of the signal may cut.

    Parameters
    ----------
    hop : int
        See :class:`Grid`.
    first_sample : int
        Where the first atom begins.
    positions : int
        ``N``.

    Examples
    --------
    >>> x = np.array([2.0, 11.0, 20.0])
    >>> problem = OnGrid(2, 0.0, signed=False, x=x, hop=2, first_sample=-1, positions=2)
    >>> problem.state(0, np.array([[1.0, 2.0]]), np.array([[1.0, 10.0]])).objective
    0.5
    """

    hop: int = 1
    first_sample: int = 0
    positions: int = 0

    @property
    def n_activations(self) -> int:
        """``N``."""
        return self.positions

    def greedy(self, state: sparse_coding.State) -> Iterator[sparse_coding.State]:
        """Locally greedy coordinate descent; after each pass, neighbours go to their best together.

        Descent alone is slow where shifts of an atom are much alike.
        """
        while True:
            state = self.settled(next(super().greedy(state)))
            yield state

    def states(self, state: Any) -> Iterator[sparse_coding.State]:
        """All iterates from one on."""
        yield state
        yield from self.greedy(state)

    def settled(self, state: sparse_coding.State) -> sparse_coding.State:
        """The best activations that are zero where these are, of each few that touch each other."""
        k, n, values = nonzeros(state.activations)
        order = np.argsort(n, kind="stable")
        k, n, values = k[order], n[order], values[order].astype(float)
        gram = state.dictionary.gram
        reach, T_d = gram.shape[2] // 2, self.atom_length
        places = self.first_sample + self.hop * n
        whole = (places >= 0) & (places <= self.x.size - T_d)
        edges = [0, *(np.flatnonzero(np.diff(n) > reach) + 1).tolist(), n.size]
        z = state.activations.copy()
        for first, last in pairwise(edges):
            own = slice(first, last)
            if not 0 < last - first <= TOGETHER or not whole[own].all():
                continue
            lags = n[own, None] - n[own]
            G = gram[k[own, None], k[own], np.clip(lags, -reach, reach) + reach].astype(float)
            G[np.abs(lags) > reach] = 0
            heard = state.residual[places[own, None] + np.arange(T_d)] * state.patterns[k[own]]
            c = heard.sum(axis=1, dtype=float)
            z[k[own], n[own]] = within_signs(G, c + G @ values[own], values[own], self.penalty)
        return replace(state, activations=z)

    @cached_property
    def rounding(self) -> float:
        """Of the loudest stretch, or of a signal that is shorter than an atom."""
        length = min(self.x.size, self.atom_length)
        return 8 * float(np.finfo(self.x.dtype).eps) * sparse_coding.lambda_max(self.x, length)

    def state(self, iteration: int, d: Array, z: Array) -> sparse_coding.State:
        dictionary = Grid(d, self.positions, self.hop, self.first_sample, self.x.size)
        return sparse_coding.State(iteration, d, z, self, dictionary)

    def record(self, state: sparse_coding.State) -> dict[str, float]:
        return {"objective": state.objective, "coding_gap": gap_of(state)}


def states(problem: Any, W: Array, atoms: Array, frame: GaborFrame) -> Iterator[State]:
    """Greedy coordinate descent on a frame's positions, as states of a method's problem.

    Parameters
    ----------
    problem
        With a penalty among the options of its method.
    W : array (K, P)
        The method's patterns.
    atoms : array (K, T_d)
        That they stand for.
    frame : GaborFrame

    Examples
    --------
    >>> from cdlnmf_lit import Algorithm1, hann
    >>> x = np.sin(0.3 * np.arange(200.0))
    >>> learnt = Algorithm1(frame=hann(32, 4), share=0.1, iterations=5).decompose(x, 1)
    >>> learnt.apply(x).status.split(":")[0].startswith("certified after")
    True
    """
    x, N = problem.x, frame.n_frames(problem.x.size)
    grid = OnGrid(
        atoms.shape[1],
        float(problem.method.penalty or 0.0),
        signed=False,
        x=x,
        hop=frame.hop,
        first_sample=frame.first_sample,
        positions=N,
    )
    for each in grid.states(grid.state(0, atoms, np.zeros((len(atoms), N), x.dtype))):
        value, gap = each.record["objective"], each.record["coding_gap"]
        yield State(each.iteration, W, each.activations, problem, value, gap)


# ---- how far it is from the best --------------------------------------------------------------


def gap_of(state: sparse_coding.State) -> float:
    r"""The gap of sparse coding; without a penalty, from activations of at most twice the sum.

    With a penalty it is :attr:`.sparse_coding.State.gap`. Without one the dual problem has no inner
    points, so that no scaling leads to one. As the objective is convex, with ``c`` the correlations
    of the atoms with the residual, no activations ``z' ≥ 0`` have one below

    .. math:: F(z) + ⟨c, z⟩ - \Big(\sum z'\Big) \max(c)^+

    and those with ``Σ z' ≤ 2 Σ z`` are compared. Where ``z`` is zero, it is the best or nothing is
    known.

    Examples
    --------
    >>> x, atoms = np.array([0.0, 3.0, 0.0]), np.array([[1.0, 0.0]])
    >>> start = next(sparse_coding.iterate(x, atoms, penalty=1.0))
    >>> gap_of(start) == start.gap
    True
    """
    problem, z, r = state.problem, state.activations, state.residual.astype(float)
    if problem.penalty or not state.objective:
        return state.gap
    sums = {
        "along": float(problem.x @ r),
        "energy": float(r @ r),
        "size": float(np.sum(np.abs(z), dtype=float)),
        "largest": problem.largest_correlation(state.correlation),
    }
    bound = sparse_bound(sums, 0.0, problem.signed)
    return share_of(state.objective - bound, state.objective)


def sparse_bound(sums: Mapping[str, float], penalty: float, signed: bool) -> float:
    r"""What no objective of sparse coding is below, from a few sums of a residual.

    For a ``θ`` whose correlations with the atoms do not exceed ``λ`` it is
    ``½‖x‖² - ½‖x - θ‖²``; for ``θ = s r``, with the best ``s`` that is allowed,

    .. math:: s ⟨x, r⟩ - ½ s^2 \|r\|^2

    Without a penalty it bounds activations of at most twice the sum; see :func:`gap_of`.

    Parameters
    ----------
    sums : dict
        ``along`` is ``⟨x, r⟩``, ``energy`` ``‖r‖²``, ``size`` ``Σ |z|``, and ``largest`` the
        largest correlation of an atom with ``r``.
    penalty : float
        ``λ``.
    signed : bool
        Whether activations may be negative.

    Examples
    --------
    >>> sparse_bound({"along": 3.0, "energy": 1.0, "size": 2.0, "largest": 1.0}, 1.0, False)
    2.5
    """
    along, energy, largest = sums["along"], sums["energy"], sums["largest"]
    if energy == 0:
        return 0.0
    if not penalty:
        if sums["size"] == 0:
            return energy / 2 if largest <= 0 else 0.0
        return energy / 2 + along - energy - GREATER * sums["size"] * max(largest, 0.0)
    most = penalty / largest if largest > 0 else np.inf
    scale = min(max(along / energy, -most if signed else 0.0), most)
    return scale * along - scale**2 * energy / 2
