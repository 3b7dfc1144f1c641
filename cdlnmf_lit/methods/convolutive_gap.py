"""How far activations of held patterns of several spectra are from the best there are.

Chapter: ``book/methods/method.md``.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from cdlnmf_lit.methods import convolutive_nmf
from cdlnmf_lit.methods.duality import CHECK, FRAMES, State, share_of
from cdlnmf_lit.theory.arguments import Array
from cdlnmf_lit.theory.blocks import pieces, product_in_tiles, sliding_maximum


def convolutive_gap(problem: convolutive_nmf.Problem, W: Array, Z: Array) -> tuple[float, float]:
    r"""The objective of convolutive NMF at some activations, and how far it is from the best.

    An activation sees ``L`` frames, so the dual points of :func:`.kullback_leibler` and of
    :func:`.least_squares` are scaled frame by frame: with the largest factor ``ρ_k[m]`` by which
    the constraint of an activation is exceeded,

    .. math:: q[n] = \frac{v[n]}{m[n]} \Big/ \max_{k,\; n - L < m ≤ n} ρ_k[m]

    meets them all. For the Euclidean divergence ``θ[n] = v[n] - (1 + t[n]) m[n]``, where ``t[n]``
    is the largest in reach of ``(⟨W_k, v - m⟩ - λ‖W_k‖)⁺ / ⟨W_k, m⟩``; its bound is
    ``½‖v‖² - ½ Σ_n (1 + t[n])² ‖m[n]‖²``.

    Parameters
    ----------
    problem : convolutive_nmf.Problem
        With ``β`` 1 or 2.
    W : array (K, L, F)
    Z : array (K, N + L - 1)

    Returns
    -------
    objective, gap : float

    Examples
    --------
    >>> problem = convolutive_nmf.Problem(np.array([[2.0], [20.0], [1.0]]), beta=2.0)
    >>> convolutive_gap(problem, np.array([[[1.0], [10.0]]]), np.array([[0.0, 2.0, 0.0, 1.0]]))
    (0.0, 0.0)
    """
    (K, L, F), V = W.shape, problem.V
    N, flat = len(V), W.reshape(K * L, F)
    ones = flat.sum(axis=1, dtype=float)
    euclidean, offset = problem.beta == 2, float(problem.matrix.offset)
    up, down = np.zeros((K, N + L - 1)), np.zeros((K, N + L - 1))
    about = np.zeros((4, N))
    for rows in pieces(N, FRAMES):
        v = V[rows]
        m = convolutive_nmf.model(W, Z, rows)
        place = slice(rows.start, rows.stop + L - 1)
        if euclidean:
            seen, other = product_in_tiles(flat, (v - m).T), product_in_tiles(flat, m.T)
            sizes = v, m, v - m
            about[:3, rows] = [np.sum(np.square(each, dtype=float), axis=1) for each in sizes]
        else:
            m += m.dtype.type(offset)
            q = v / m
            seen, other = product_in_tiles(flat, q.T), np.repeat(ones[:, None], len(v), axis=1)
            logs = np.log(np.maximum(q, np.finfo(q.dtype).tiny))
            sums = v, m, v * logs, q
            about[:, rows] = [np.sum(each, axis=1, dtype=float) for each in sums]
        up[:, place] += convolutive_nmf.undelayed(seen.reshape(K, L, -1).astype(float))
        down[:, place] += convolutive_nmf.undelayed(other.reshape(K, L, -1).astype(float))
    prices = problem.penalty * np.linalg.norm(W, axis=(1, 2)).astype(float)[:, None]
    cost = float(np.sum(prices * Z))
    if euclidean:
        asked = np.maximum(up - prices, 0)
        over = np.divide(asked, down, out=np.where(asked > 0, np.inf, 0.0), where=down > 0)
        t = sliding_maximum(over.max(axis=0), L)
        energy, modelled, size = about[:3]
        value = size.sum() / 2 + cost
        reached = np.where(modelled > 0, (1 + t) ** 2 * modelled, 0)
        bound = float(energy.sum() - reached.sum()) / 2 if np.isfinite(reached.sum()) else 0.0
        return float(value), max(float(value) - max(bound, 0.0), 0.0)
    v, m, divergence, q = about
    growth = np.divide(up, down + prices, out=np.zeros_like(up), where=down + prices > 0)
    rho = sliding_maximum(growth.max(axis=0), L)
    rho = np.where(rho > 0, rho, 1)
    value = float(np.sum(divergence - v + m)) + cost
    left = np.sum(m - v + v * np.log(rho) + offset * (q / rho - F)) + cost
    return value, max(float(left), 0.0)


def states(problem: convolutive_nmf.Problem, W: Array) -> Iterator[State]:
    """Multiplicative updates, with a look at the gap after ``CHECK`` and every fourth more.

    Examples
    --------
    >>> problem = convolutive_nmf.Problem(np.array([[2.0], [20.0], [1.0]]), beta=2.0)
    >>> few = states(problem, np.array([[[1.0], [10.0]]]))
    >>> [next(few).iteration for _ in range(3)]
    [0, 10, 20]
    """
    Z, done = problem.activations_for(W), 0
    while True:
        value, left = convolutive_gap(problem, W, Z)
        yield State(done, W, Z, problem, value, share_of(left, value))
        more = max(CHECK, done // 4)
        for _ in range(more):
            _, Z = problem.updated_activations(W, Z)
        done += more
