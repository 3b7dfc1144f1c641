r"""How far from the best of all dictionaries? A bound that no atoms and no activations go below.

With ``λ‖Z‖₁`` and atoms in the unit ball, dictionary learning without a limit on the number of
atoms is a group lasso, one free piece of ``T_d`` samples a position. Its dual has one unknown a
sample, and any feasible one proves a bound.

Chapter: ``book/methods/certificate.md``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import scipy.linalg
from numpy.typing import ArrayLike

from cdlnmf_lit.methods.decomposition import Decomposition
from cdlnmf_lit.methods.options import positive
from cdlnmf_lit.theory.arguments import Array, choice, integer, signal
from cdlnmf_lit.theory.blocks import placed, sliding_maximum

POSITIONS = ("all", "grid")
"""Where atoms may stand: at every sample, or where those of a result may."""
CELLS = 8
"""Cells of positions that a segment spans at first; each offers its loudest segment."""
ROUNDS, STEPS = 40, 60
"""Exchanges of positions, and Newton steps in each, at the most."""
CENTRING, BOUNDARY = 0.1, 0.95
"""How much a Newton step lowers the products of weight and slack, and how near it goes to zero."""
ROUNDING = 1e-10
"""By which share a segment is kept below ``λ``, so that rounding does not take it above."""


@dataclass(frozen=True, eq=False)
class Certificate:
    r"""A proof that no dictionary does better: a signal ``θ`` of which no segment exceeds ``λ``.

    .. math:: F(d, z) ≥ ⟨θ, x⟩ - ½ \|θ\|^2 \quad\text{for all } K, \; \|d_k\| ≤ 1, \; z,
        \qquad\text{if } \sum_{s < T_d} θ[n + s]^2 ≤ λ^2 \text{ at all positions } n

    Parameters
    ----------
    bound : float
        ``⟨θ, x⟩ - ½‖θ‖²``.
    gap : float
        The accuracy of the bound: no ``θ`` proves one that is higher by a larger share of it.
    theta : array (T,)
        ``θ``.
    weights : array (N,)
        ``μ ≥ 0`` of each position, by which the gap is proved: with ``m[t]`` the sum of those of
        the segments around ``t`` and ``y = x / (1 + m)``, the pieces ``μ_n y[n + s]`` solve the
        group lasso to within it.
    penalty : float
        ``λ``.
    atom_length : int
        ``T_d``.
    hop : int
        Samples from one position to the next.
    objective : float, or None
        ``F`` of what was certified, if anything was.

    Examples
    --------
    >>> found = certify(np.array([0.0, 3.0, 4.0, 0.0]), 2, 1.0)
    >>> round(found.bound, 6), found.theta.round(6)
    (4.5, array([0. , 0.6, 0.8, 0. ]))

    References
    ----------
    Not in the paper; of its equation (2), and by Corollary 1 of equation (15).
    """

    bound: float
    gap: float
    theta: Array
    weights: Array
    penalty: float
    atom_length: int
    hop: int = 1
    objective: float | None = None

    @property
    def ratio(self) -> float:
        """The objective over the bound, at least 1: what more atoms could gain, at the most."""
        if self.objective is None:
            raise ValueError("objective must be known, got None: certify a decomposition")
        return self.objective / self.bound

    def __str__(self) -> str:
        percent = np.format_float_positional(100 * (self.ratio - 1), 2, fractional=False, trim="-")
        return f"within {percent} % of any dictionary"


def certify(
    x: ArrayLike,
    atom_length: int,
    penalty: float,
    *,
    hop: int = 1,
    first_sample: int = 0,
    n_positions: int | None = None,
    accuracy: float = 1e-3,
) -> Certificate:
    r"""The highest bound on the objectives of all dictionaries, of any size.

    .. math:: \max_θ \; ⟨θ, x⟩ - ½ \|θ\|^2 \quad\text{subject to } \|S_n^T θ\| ≤ λ
        \qquad = \qquad \min_u \; ½ \|x - \sum_n S_n u_n\|^2 + λ \sum_n \|u_n\|

    where ``S_nᵀ`` cuts the ``T_d`` samples at position ``n`` out. It needs neither atoms nor
    activations. Atoms that the ends of the signal cut off are bounded too, where all positions are.

    Parameters
    ----------
    x : array (T,)
        The signal.
    atom_length : int
        ``T_d``.
    penalty : float
        ``λ``, above 0.
    hop, first_sample, n_positions : int
        Positions ``n = first_sample + hop · i`` that atoms may take; all in the signal if not told.
    accuracy : float
        The gap to stop at. If rounding does not let it be reached, the gap that is is told.

    Raises
    ------
    ValueError
        If an argument does not meet its rule.

    Examples
    --------
    >>> certify(np.array([0.0, 3.0, 4.0, 0.0]), 2, 9.0).bound  # of silence: ½‖x‖²
    12.5

    References
    ----------
    Not in the paper; of its equation (2).
    """
    x = signal(x).astype(float)
    T_d, hop = integer(atom_length, "atom_length"), integer(hop, "hop")
    penalty, accuracy = positive(penalty, "penalty"), positive(accuracy, "accuracy")
    most = max(x.size - T_d, 0) // hop + 1
    N = most if n_positions is None else integer(n_positions, "n_positions")
    before = max(-first_sample, 0)
    begin = before + first_sample + hop * np.arange(N)
    segments = Segments(begin, begin + T_d, max(before + x.size, int(begin[-1]) + T_d))
    y = placed(x, before, segments.size)

    least, bound, best, kept = np.inf, -np.inf, y, np.zeros(N)
    for theta, weights, objective in islice(exchanges(y, segments, penalty, accuracy), ROUNDS):
        if objective < least:
            least, kept = objective, weights
        theta = lowered(theta, segments, penalty)
        if (reached := float(theta @ y - 0.5 * theta @ theta)) > bound:
            bound, best = reached, theta
        if least - bound <= accuracy * bound:
            break
    gap = max(least - bound, 0.0) / bound if bound else 0.0
    return Certificate(bound, gap, placed(best, -before, x.size), kept, penalty, T_d, hop)


def certificate_of(
    found: Decomposition, *, positions: str = "all", accuracy: float = 1e-3
) -> Certificate:
    r"""Certify what a method found: :meth:`.Decomposition.certificate`.

    Its objective is that of its components, with their atoms scaled to norm 1,

    .. math:: F = ½ \|x - Σ_k d_k ∗ z_k\|^2 + λ Σ_k \|d_k\| \, \|z_k\|_1

    over the samples of the signal. No method's own objective is below it.

    Examples
    --------
    >>> from cdlnmf_lit import CDL
    >>> x = np.sin(0.3 * np.arange(200.0)) * np.hanning(200)
    >>> found = CDL(atom_length=32, iterations=20).decompose(x, 1)
    >>> 1 <= certificate_of(found).ratio < 1.5
    True

    References
    ----------
    Not in the paper; of its equations (2) and (15).
    """
    choice(positions, "positions", POSITIONS)
    if found.atoms is None:
        raise ValueError(f"atoms must be there to be certified, got spectra, by {found.method}")
    penalty = positive(found.parameters.get("penalty") or 0.0, "penalty")
    x = found.residual.astype(float)
    misfit = 0.5 * float(x @ x)
    for k in range(found.n_components):
        x += found.component(k)
    z = np.sum(np.abs(found.activations), axis=1, dtype=float)
    size = float(z @ np.linalg.norm(found.atoms.astype(float), axis=1))
    grid = {
        "hop": found.hop,
        "first_sample": found.first_sample,
        "n_positions": found.activations.shape[1],
    }
    proof = certify(
        x,
        found.atoms.shape[1],
        penalty,
        accuracy=accuracy,
        **(grid if positions == "grid" else {}),
    )
    return replace(proof, objective=misfit + penalty * size)


def exchanges(
    x: Array, segments: Segments, penalty: float, accuracy: float
) -> Iterator[tuple[Array, Array, float]]:
    r"""Solve the group lasso on a few positions, and exchange idle ones for those it violates.

    Yields ``θ``, which may be too loud elsewhere, the weights, and the value of the pieces,
    ``½‖θ‖² + λ Σ μ_n ‖S_nᵀ θ‖``, which no bound exceeds. Of each cell of positions the loudest
    segment above ``λ`` enters; cells are halved from round to round.

    Examples
    --------
    >>> x, segments = np.array([0.0, 3.0, 4.0, 0.0]), Segments(np.arange(3), np.arange(3) + 2, 4)
    >>> theta, weights, objective = next(exchanges(x, segments, 1.0, 1e-9))
    >>> theta.round(2), round(objective, 2)
    (array([0. , 0.6, 0.8, 0. ]), 4.5)
    """
    total, weights, theta = _cumulative(x**2), np.zeros(segments.begin.size), x
    energies = segments.sums(x**2)
    cell = max(1, int(np.searchsorted(segments.begin, segments.end[0])) // CELLS)
    tolerance = 1e-2
    while True:
        loud = _loudest_of_cells(energies, cell)
        loud = loud[energies[loud] > penalty**2]
        entering = loud[weights[loud] == 0]
        weights[entering] = (np.sqrt(energies[entering]) / penalty - 1) / CELLS + 1e-4
        chosen = np.flatnonzero(weights)
        if chosen.size:
            edges, few = segments.among(chosen)
            found = newton(np.diff(total[edges]), few, penalty, weights[chosen], tolerance)
            weights[chosen] = found
            theta = x / np.repeat(1 + few.spread(found), np.diff(edges))
        energies = segments.sums(theta**2)
        cost = penalty * float(weights @ np.sqrt(energies))
        yield theta, weights.copy(), 0.5 * float(theta @ theta) + cost
        cell, tolerance = max(1, cell // 2), max(accuracy / 10, tolerance / 10)


def newton(
    energy: Array, segments: Segments, penalty: float, weights: Array, tolerance: float
) -> Array:
    r"""Weights of segments, by an interior-point Newton method; idle ones are set to zero.

    .. math:: \min_{μ ≥ 0} \; ½ \sum_t \frac{e[t]}{1 + m[t]} + ½ λ^2 \sum_n μ_n,
        \qquad m = \sum_n μ_n 1_n

    with ``e`` the energy of each stretch and ``1_n`` the stretches of segment ``n``. The slope in
    ``μ_n`` is ``½ (λ² - E_n)``, ``E_n = Σ e / (1 + m)²`` over the segment, and the second slope in
    ``μ_n, μ_k`` is ``Σ e / (1 + m)³`` over what both share: a banded matrix. At the minimum a
    slack ``s_n ≥ 0`` is that slope, and ``μ_n s_n = 0``; on the way there the products shrink.

    Examples
    --------
    >>> one = Segments(np.array([0]), np.array([1]), 1)
    >>> newton(np.array([25.0]), one, 1.0, np.array([1.0]), 1e-9).round(6)
    array([4.])
    """
    slack = np.full(weights.size, 0.1 * penalty**2)
    for _ in range(STEPS):
        m = 1 + segments.spread(weights)
        energies = segments.sums(energy / m**2)
        slope = 0.5 * (penalty**2 - energies)
        value = 0.5 * float(np.sum(energy / m)) + 0.5 * penalty**2 * float(weights.sum())
        left = float(weights @ slack)
        if left <= tolerance * value and energies.max() <= (1 + tolerance) * penalty**2:
            break
        bands = segments.bands(energy / m**3)
        bands[0] += slack / weights
        wanted = CENTRING * left / weights.size / weights
        step = scipy.linalg.solveh_banded(bands, wanted - slope, lower=True)
        slack_step = wanted - slack - slack / weights * step
        weights = weights + step * _share_of_step(step, weights)
        slack = slack + slack_step * _share_of_step(slack_step, slack)
    return np.where(weights * penalty**2 > slack, weights, 0.0)


def _share_of_step(step: Array, values: Array) -> float:
    """How much of a step positive values can go and stay positive."""
    return BOUNDARY / max(BOUNDARY, float(np.max(-step / values)))


def lowered(theta: Array, segments: Segments, penalty: float) -> Array:
    """Make ``θ`` feasible: lower each sample as the loudest segment around it asks for.

    The segments must be of one length. Then each has norm ``λ`` at the most.

    Examples
    --------
    >>> two = Segments(np.arange(2), np.arange(2) + 2, 3)
    >>> lowered(np.array([0.0, 0.5, 2.0]), two, 1.0).round(3)
    array([0.   , 0.243, 0.97 ])
    """
    length = int(segments.end[0] - segments.begin[0])
    norms = np.zeros(length - 1 + segments.size)
    norms[length - 1 + segments.begin] = np.sqrt(segments.sums(theta**2))
    loudest = sliding_maximum(norms, length)
    most = penalty * (1 - ROUNDING)
    return np.asarray(theta * np.minimum(1, most / np.maximum(loudest, most)))


def _loudest_of_cells(energies: Array, cell: int) -> Array:
    """The index of the largest in each cell of so many."""
    n_cells = -(-energies.size // cell)
    rows = placed(energies, 0, n_cells * cell).reshape(n_cells, cell)
    return np.asarray(rows.argmax(axis=1) + cell * np.arange(n_cells))


def _cumulative(values: Array) -> Array:
    """Sums of the values before each one, and of all."""
    return np.concatenate([[0.0], np.cumsum(values)])


@dataclass(frozen=True, eq=False)
class Segments:
    """Segments of a line, in order: neither their beginnings nor their ends go back.

    Parameters
    ----------
    begin, end : array (N,) of int
        The first of each, and the one after its last.
    size : int
        Of the line.

    Examples
    --------
    >>> two = Segments(np.array([0, 1]), np.array([2, 3]), 3)
    >>> two.sums(np.array([1.0, 2.0, 4.0])), two.spread(np.array([1.0, 10.0]))
    (array([3., 6.]), array([ 1., 11., 10.]))
    >>> two.bands(np.array([1.0, 2.0, 4.0]))
    array([[3., 6.],
           [2., 0.]])
    """

    begin: Array
    end: Array
    size: int

    def sums(self, values: Array) -> Array:
        """Of the values ``(size,)`` over each segment."""
        total = _cumulative(values)
        return np.asarray(total[self.end] - total[self.begin])

    def spread(self, weights: Array) -> Array:
        """The sum of the weights of the segments around each point: the adjoint of :meth:`sums`."""
        points = self.size + 1
        edges = np.bincount(self.begin, weights, points) - np.bincount(self.end, weights, points)
        return np.maximum(np.cumsum(edges)[:-1], 0)

    def bands(self, values: Array) -> Array:
        """Of the values over what each segment shares with itself, the next, the one after …

        In the form of :func:`scipy.linalg.solveh_banded`, ``lower=True``.
        """
        total, N = _cumulative(values), self.begin.size
        reach = int(np.max(np.searchsorted(self.begin, self.end) - np.arange(N)))
        bands = np.zeros((reach, N))
        for k, row in enumerate(bands):
            row[: N - k] = np.maximum(total[self.end[: N - k]] - total[self.begin[k:]], 0)
        return bands

    def among(self, chosen: Array) -> tuple[Array, Segments]:
        """The edges of some segments, and these segments on the line of stretches between them."""
        begin, end = self.begin[chosen], self.end[chosen]
        edges, places = np.unique(np.concatenate([[0, self.size], begin, end]), return_inverse=True)
        few = Segments(places[2 : 2 + chosen.size], places[2 + chosen.size :], edges.size - 1)
        return edges, few
