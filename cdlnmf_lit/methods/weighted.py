r"""Weights on samples and on entries: what is missing, or counts less, is filled by the model.

For any of the divergences here, and weights from 0 to 1, with the model ``m'`` of an iterate,

.. math:: w\, d(v | m) \;≤\; w\, d(v | m) + (1 - w)\, d(m' | m)
    = d\big(w v + (1 - w)\, m' \,\big|\, m\big) + \text{const.}

with equality at ``m = m'``. So the plain update, of data that are filled so, lowers the weighted
objective. At weights of 1 nothing is filled; what has weight 0 is never looked at.

Chapter: ``book/methods/cdl.md``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cdlnmf_lit.methods import cdl, nmf
from cdlnmf_lit.methods.sparse_coding import State
from cdlnmf_lit.theory.arguments import Array, array
from cdlnmf_lit.theory.blocks import in_threads


def filled(data: Array, model: Array, weights: Array) -> Array:
    """``w v + (1 - w) m``.

    Examples
    --------
    >>> filled(np.array([1.0, 1.0]), np.array([3.0, 3.0]), np.array([1.0, 0.0]))
    array([1., 3.])
    """
    return np.asarray(weights * data + (1 - weights) * model)


@dataclass(frozen=True, eq=False, kw_only=True)
class Signal(cdl.Problem):
    r"""A signal of which some samples count less, or not at all, and whose atoms are to be found.

    .. math:: \min_{z, d} \; ½ Σ_t w[t]\, \Big(x - Σ_k d_k ∗ z_k\Big)[t]^2 + λ Σ_k \|z_k\|_1

    Parameters
    ----------
    weights : array (T,)
        From 0 to 1; where they are 0 the signal is 0.

    Examples
    --------
    >>> x = np.sin(0.3 * np.arange(200.0)) * np.hanning(200)
    >>> states = iterate(cdl.CDL(atom_length=32), x, 1, np.ones(200))
    >>> first, second = next(states), next(states)
    >>> second.objective < first.objective
    True

    References
    ----------
    Departs from equation (2) of the paper by the weights.
    """

    weights: Array

    def updated(self, state: State, steps: int) -> State:
        """The plain update, of the signal filled by the model."""
        model = state.dictionary.synthesis(state.activations)
        x = filled(self.x, model, self.weights)
        fixed = self.atom_length, self.penalty, self.signed, self.padding, self.solver
        plain = cdl.Problem(*fixed, method=self.method, x=x)
        now = plain.state(state.iteration, state.patterns, state.activations)
        new = plain.updated(now, steps)
        return self.state(new.iteration, new.patterns, new.activations)

    def objective(self, z: Array, residual: Array) -> float:
        """``½ Σ w r² + λ Σ_k ‖z_k‖₁``."""
        return super().objective(z, np.sqrt(self.weights) * residual)

    def record(self, state: State) -> dict[str, float]:
        return {"objective": state.objective}


@dataclass(frozen=True, eq=False, kw_only=True)
class Spectrogram(nmf.Problem):
    r"""A matrix of which some entries count less, or not at all.

    .. math:: \min_{W, Z ≥ 0} \; Σ_{n,f} w[n, f]\; d_β\big(V[n, f] \,\big|\, (Z^T W)[n, f]\big)

    Parameters
    ----------
    weights : array (N, F)
        From 0 to 1.

    Examples
    --------
    >>> V = np.outer([1.0, 2.0, 3.0], [1.0, 4.0])
    >>> problem = Spectrogram(V, 1.0, 1.0, weights=np.ones_like(V))
    >>> W, Z = problem.updated(np.ones((1, 2)), np.ones((1, 3)))
    >>> problem.objective(W, Z) < 1e-12
    True

    References
    ----------
    Departs from equation (8) of the paper by the weights.
    """

    weights: Array

    def updated(self, W: Array, Z: Array) -> tuple[Array, Array]:
        """The plain update, of the matrix filled by the model."""
        model = Z.T @ W + (0 if self.beta == 2 else self.offset)
        V = filled(self.V, model, self.weights)
        return nmf.Problem(V, self.beta, self.exponent, held=self.held).updated(W, Z)

    def objective(self, W: Array, Z: Array) -> float:
        def share(blocks: list[slice]) -> float:
            total = 0.0
            for rows in blocks:
                model = Z[:, rows].T @ W
                if self.beta != 2:
                    model += self.offset
                each = self.weights[rows] * nmf.beta_divergence(self.V[rows], model, self.beta)
                total += float(each.sum(dtype=float))
            return total

        return float(sum(in_threads(share, self.shares(len(W)))))


def iterate(
    method: cdl.CDL, x: ArrayLike, n_components: int, weights: ArrayLike, *, rng: Any = 0
) -> Iterator[State]:
    """Dictionary learning where samples have weights: the start, then a state an iteration.

    Parameters
    ----------
    method : CDL
    x : array (T,)
        Finite; what it is where a weight is 0 does not matter.
    n_components : int
    weights : array (T,)
        From 0 to 1: 0 for a hole, a clipped sample.
    rng
        See :meth:`~cdlnmf_lit.methods.method.Method.iterate`.

    Raises
    ------
    ValueError
        For weights of another shape, or not from 0 to 1; see also
        :meth:`~cdlnmf_lit.methods.method.Method.iterate`.

    Examples
    --------
    See :class:`Signal`.

    >>> iterate(cdl.CDL(atom_length=2), np.arange(4.0), 1, 2 * np.ones(4))
    Traceback (most recent call last):
        ...
    ValueError: weights must be from 0 to 1, got 2.0
    """
    given = array(x, "x", 1)
    w = _checked(weights, given)
    x, K = method.checked(np.where(w > 0, given, 0), n_components)
    w = np.pad(w.astype(x.dtype), method.padding, constant_values=1)
    plain = method.resolved(x).problem(x, K, about={"n_components": K})
    fixed = plain.atom_length, plain.penalty, plain.signed, plain.padding, plain.solver
    problem = Signal(*fixed, method=plain.method, x=plain.x, about=plain.about, weights=w)
    return problem.states(problem.begin(K, method.start, np.random.default_rng(rng)))


def factorize(
    method: nmf.NMF, V: ArrayLike, n_components: int, weights: ArrayLike, *, rng: Any = 0
) -> Iterator[Any]:
    """NMF of a matrix whose entries have weights: the start, then a state an iteration.

    Parameters
    ----------
    method : NMF
        Without acceleration.
    V : array (N, F)
        What it is where a weight is 0 does not matter.
    n_components : int
    weights : array (N, F)
    rng
        See :func:`iterate`.

    Raises
    ------
    ValueError
        For weights of another shape, not from 0 to 1, or all 0.

    Examples
    --------
    >>> V, w = np.outer([1.0, 2.0, 3.0], [1.0, 4.0]), np.ones((3, 2))
    >>> V[1, 1], w[1, 1] = 0.0, 0.0
    >>> for state, _ in zip(factorize(nmf.NMF(), V, 1, w), range(100), strict=False):
    ...     pass
    >>> print((state.activations.T @ state.patterns).round(3)[1, 1])
    8.0
    """
    given = method.in_precision(array(V, "V", 2))
    w = _checked(weights, given)
    V = np.where(w > 0, given, given[w > 0].mean())
    # the method's own checks of a matrix and of K
    plain = next(method.factorize(V, n_components, rng=rng))
    problem = Spectrogram(V, method.beta, method.exponent, method=method, weights=w.astype(V.dtype))
    return problem.states(problem.first(plain.patterns, plain.activations))


def _checked(weights: ArrayLike, data: Array) -> Array:
    w = array(weights, "weights", data.ndim)
    if w.shape != data.shape:
        raise ValueError(f"weights must have shape {data.shape}, got {w.shape}")
    for value in (w.min(), w.max()):
        if not 0 <= value <= 1:
            raise ValueError(f"weights must be from 0 to 1, got {value}")
    if not w.any():
        raise ValueError("weights must not be 0 everywhere")
    return w
