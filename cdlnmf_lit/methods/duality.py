r"""How far activations of held patterns are from the best there are: bounds by duality.

A feasible point of the dual problem bounds the best objective from below. Each bound here comes
from what the iterations have at hand, the residual or the quotient of a spectrogram and its
model, scaled until it is feasible; at the best activations it needs no scaling, and the gap is 0.

Chapter: ``book/methods/method.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np

from cdlnmf_lit.methods import method
from cdlnmf_lit.methods.decomposition import Decomposition
from cdlnmf_lit.methods.factors import coordinate_update
from cdlnmf_lit.theory.arguments import Array
from cdlnmf_lit.theory.blocks import in_threads, pieces, product_in_tiles

CHECK, MOST = 10, 10_000
"""Iterations before the first look at the gap (then twice as many, ...), and the most of them."""
FRAMES = 128
"""Frames that one thread works on at a time."""


def share_of(gap: float, value: float) -> float:
    """A gap as a share of the objective; 0 where both are.

    Examples
    --------
    >>> share_of(0.5, 2.0), share_of(0.0, 0.0)
    (0.25, 0.0)
    """
    return max(gap, 0.0) / value if value > 0 else 0.0


@dataclass(frozen=True, eq=False)
class State(method.State):
    """Activations of held patterns, and how far below their objective another one can be.

    Parameters
    ----------
    value, gap : float
        The objective, and what it is above the bound at most, as a share of it.

    Examples
    --------
    >>> State(0, np.ones((1, 2)), np.ones((1, 3)), None, 4.0, 0.5).record
    {'objective': 4.0, 'coding_gap': 0.5}
    """

    value: float
    gap: float

    @cached_property
    def record(self) -> Mapping[str, float]:
        return {"objective": self.value, "coding_gap": self.gap}

    def decomposition(self) -> Decomposition:
        """By the method's own problem."""
        state: method.State = self.problem.first(self.patterns, self.activations)
        return state.decomposition()


# ---- frames that do not know of each other -----------------------------------------------------

Solver = Callable[[Any, Array, int], tuple[Array, Array, Array]]
"""From frames, their activations and a number of iterations to new activations ``(K, n)``, and the
objective and the gap of each frame."""


def frame_by_frame(
    solver: Solver, Z: Array, gap: float, nothing: Array
) -> Iterator[tuple[int, Array, float, float]]:
    """Iterate on each frame until its gap is small: the iterations, ``Z``, objective and gap.

    Small is a share ``gap`` of the frame's objective, or what counts as ``nothing`` there.

    Looks are taken after ``CHECK`` iterations, then after twice as many more, and so on: what is
    done to a frame depends on that frame alone.

    Examples
    --------
    >>> solver = least_squares(np.eye(1), np.array([[2.0, 3.0]]), np.array([4.0, 9.0]), 0.0)
    >>> *_, (n, Z, value, gap) = frame_by_frame(solver, np.zeros((1, 2)), 1e-3, np.zeros(2))
    >>> Z, value, gap
    (array([[2., 3.]]), 0.0, 0.0)
    """
    Z, N = Z.copy(), Z.shape[1]
    values, gaps, todo, done = np.zeros(N), np.zeros(N), np.arange(N), 0
    more = 0
    while True:
        blocks = [todo[part] for part in pieces(todo.size, FRAMES)]
        found = in_threads(partial(_on_rows, solver, Z, more), blocks)
        for rows, (z, value, left) in zip(blocks, found, strict=True):
            Z[:, rows], values[rows], gaps[rows] = z, value, left
        done += more
        yield done, Z.copy(), float(values.sum()), float(gaps.sum())
        todo = todo[gaps[todo] > gap * values[todo] + nothing[todo]]
        more = min(CHECK if done == 0 else done, MOST - done)
        if not todo.size or more == 0:
            return


def _on_rows(solver: Solver, Z: Array, n: int, rows: Any) -> tuple[Array, Array, Array]:
    return solver(rows, Z[:, rows], n)


def solved(
    problem: Any, W: Array, Z: Array, solver: Solver, gap: float | None, sizes: Array
) -> Iterator[State]:
    """The states of :func:`frame_by_frame`; what counts as nothing goes by the frames' ``sizes``.

    Examples
    --------
    >>> solver = least_squares(np.eye(1), np.array([[2.0]]), np.array([4.0]), 0.0)
    >>> *_, last = solved(None, np.eye(1), np.zeros((1, 1)), solver, 1e-3, np.array([4.0]))
    >>> last.activations
    array([[2.]])
    """
    nothing = np.sqrt(np.finfo(Z.dtype).eps) * sizes
    for n, found, value, left in frame_by_frame(solver, Z, float(gap or 0.0), nothing):
        yield State(n, W, found, problem, value, share_of(left, value))


def kullback_leibler(V: Array, W: Array) -> Solver:
    r"""Multiplicative updates of frames by the Kullback-Leibler divergence, with their gaps.

    .. math:: \min_{z ≥ 0} \; \sum_f v_f \log\frac{v_f}{m_f} - v_f + m_f, \qquad m = W^T z + ε

    For any ``q ≥ 0`` with ``W q ≤ W 1``, and any ``z ≥ 0``, as ``v log q ≤ v log(v / m) + m q - v``
    and so ``Σ m q ≤ Σ m + Σ (q - 1) ε``,

    .. math:: \sum_f v_f \log q_f + (1 - q_f)\, ε \;≤\; \sum_f v_f \log\frac{v_f}{m_f} - v_f + m_f

    Here ``q = s v / m`` with the largest ``s`` that is allowed, which is 1 at the best ``z``:
    ``1 / s`` is the largest factor by which an update would multiply. The frames are scaled to sum
    1, ``ε`` is so small that no entry shows it.

    Parameters
    ----------
    V : array (N, F)
    W : array (K, F)

    Examples
    --------
    >>> solver = kullback_leibler(np.array([[1.0, 3.0]]), np.array([[1.0, 1.0]]))
    >>> z, value, gap = solver(np.array([0]), np.ones((1, 1)), 1)
    >>> z, bool(abs(gap[0]) < 1e-12)
    (array([[2.]]), True)
    """
    info = np.finfo(V.dtype)
    sums, least = W.sum(axis=1)[:, None], V.dtype.type(np.cbrt(float(info.tiny)) / V.shape[1])
    inverse = np.divide(1, sums, out=np.zeros_like(sums), where=sums > 0)

    def solver(rows: Any, z: Array, n: int) -> tuple[Array, Array, Array]:
        v = V[rows]
        size = v.sum(axis=1)
        heard = size > 0
        inverse_size = np.divide(1, size, out=np.zeros_like(size), where=heard)
        v, z = v * inverse_size[:, None], z * inverse_size
        for _ in range(n):
            q = product_in_tiles(z.T, W)
            q += least
            np.divide(v, q, out=q)
            z = z * product_in_tiles(W, q.T) * inverse
        m = product_in_tiles(z.T, W) + least
        q = v / m
        logs = np.log(np.maximum(q, info.tiny))
        value = np.sum(v * logs, axis=1, dtype=float) + np.sum(m - v, axis=1, dtype=float)
        growth = np.max(product_in_tiles(W, q.T) * inverse, axis=0).astype(float)
        growth = np.where(growth > 0, growth, 1)
        left = np.log(growth) * heard + np.sum(m - v, axis=1, dtype=float)
        left += float(least) * (np.sum(q, axis=1, dtype=float) / growth - v.shape[1])
        return z * size, value * size, np.maximum(left, 0) * size

    return solver


def least_squares(G: Array, b: Array, energies: Array, penalty: float) -> Solver:
    r"""Coordinate descent on frames by least squares, with their gaps.

    .. math:: \min_{z ≥ 0} \; ½ \|a - W^T z\|^2 + λ Σ z
        = \min_{z ≥ 0} \; ½\|a\|^2 - ⟨b, z⟩ + ½⟨z, G z⟩ + λ Σ z

    with ``b = W a`` and ``G = W Wᵀ``. For any ``θ`` with ``W θ ≤ λ`` no objective is below
    ``½‖a‖² - ½‖a - θ‖²``. Two such are tried, and the higher bound counts: ``θ = a - Wᵀ y`` with
    ``y = z + G⁻¹ (b - G z - λ)⁺``, whose bound is ``½‖a‖² - ½⟨y, G y⟩``; and, with a penalty, the
    residual ``r = a - Wᵀ z`` scaled by the best ``s`` that is allowed, whose bound is
    ``s⟨a, r⟩ - ½ s²‖r‖²``.

    Parameters
    ----------
    G : array (K, K)
    b : array (K, N)
    energies : array (N,)
        ``‖a‖²`` of each frame.
    penalty : float
        ``λ``.

    Examples
    --------
    >>> solver = least_squares(np.eye(1), np.array([[2.0]]), np.array([5.0]), 1.0)
    >>> solver(slice(0, 1), np.zeros((1, 1)), 1)
    (array([[1.]]), array([2.]), array([0.]))
    """
    inverse = np.linalg.pinv(G.astype(float), hermitian=True)
    wide, rounding = G.astype(float), 64 * np.finfo(float).eps

    def solver(rows: Any, z: Array, n: int) -> tuple[Array, Array, Array]:
        b_n, energy = b[:, rows], energies[rows].astype(float)
        for _ in range(n):
            z = coordinate_update(z, b_n, G, penalty)
        asked, found = b_n.astype(float), z.astype(float)
        seen = wide @ found
        linear, quadratic = np.sum(asked * found, axis=0), np.sum(seen * found, axis=0)
        size = np.maximum(energy - 2 * linear + quadratic, 0)
        value = size / 2 + penalty * found.sum(axis=0)
        y = found + inverse @ np.maximum(asked - seen - penalty, 0)
        over = np.max(asked - wide @ y, axis=0) - penalty
        allowed = over <= rounding * (np.abs(asked).max(axis=0) + penalty)
        bound = np.where(allowed, energy / 2 - np.sum(y * (wide @ y), axis=0) / 2, 0.0)
        if penalty:
            along, most = energy - linear, np.max(asked - seen, axis=0)
            limit = np.divide(penalty, most, out=np.full_like(most, np.inf), where=most > 0)
            best = np.divide(along, size, out=np.zeros_like(size), where=size > 0)
            s = np.clip(best, 0, limit)
            bound = np.maximum(bound, s * along - s**2 * size / 2)
        return z, value, np.maximum(value - bound, 0)

    return solver


def states(problem: Any, W: Array, Z: Array, gap: float | None) -> Iterator[State]:
    """The frames of a spectrogram with held spectra, each to a gap of its own.

    Parameters
    ----------
    problem : .nmf.Problem
        Whose ``β`` is 1 or 2.
    W : array (K, F)
    Z : array (K, N)
        To begin with.
    gap : float or None

    Examples
    --------
    >>> from cdlnmf_lit import nmf
    >>> problem = nmf.Problem(np.array([[1.0, 3.0]]), beta=1.0, exponent=1.0)
    >>> [state.iteration for state in states(problem, np.ones((1, 2)), np.ones((1, 1)), 1e-2)]
    [0, 10]
    """
    V = problem.V
    if problem.beta == 1:
        return solved(problem, W, Z, kullback_leibler(V, W), gap, V.sum(axis=1, dtype=float))
    b = [product_in_tiles(W, V[rows].T) for rows in pieces(len(V), FRAMES)]
    energies = np.sum(np.square(V, dtype=float), axis=1)
    solver = least_squares(W @ W.T, np.concatenate(b, axis=1), energies, 0.0)
    return solved(problem, W, Z, solver, gap, energies)
