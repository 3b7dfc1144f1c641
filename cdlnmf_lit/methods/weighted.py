r"""Weights on samples and on entries: what is missing, or counts less, is filled by the model.

For any of the divergences here, and weights from 0 to 1, with the model ``m'`` of an iterate,

.. math:: w\, d(v | m) \;≤\; w\, d(v | m) + (1 - w)\, d(m' | m)
    = d\big(w v + (1 - w)\, m' \,\big|\, m\big) + \text{const.}

with equality at ``m = m'``. So the plain update, of data that are filled so, lowers the weighted
objective. At weights of 1 nothing is filled. What has weight 0 is never looked at: a hole, or a
tile that is held out.

Chapter: ``book/methods/cdl.md``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cdlnmf_lit.methods import cdl, nmf
from cdlnmf_lit.methods.bridging import bridged
from cdlnmf_lit.methods.checkpoints import Kept
from cdlnmf_lit.methods.decomposition import Decomposition
from cdlnmf_lit.methods.method import Method, Start, Watch
from cdlnmf_lit.methods.sparse_coding import State
from cdlnmf_lit.theory.arguments import Array, array
from cdlnmf_lit.theory.blocks import in_threads
from cdlnmf_lit.theory.gabor import GaborFrame

GUESSED = 0.1
"""The weight of a frame of which nothing is known but what bridges it, at the least."""


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
        From 0 to 1.

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
        now = self.plain(state)
        new = now.problem.updated(now, steps)
        return self.state(new.iteration, new.patterns, new.activations)

    def refitted(self, state: State) -> State:
        """The plain refit, of the signal filled by the model."""
        plain = self.plain(state)
        return self.state(
            state.iteration, state.patterns, plain.problem.refitted(plain).activations
        )

    def plain(self, state: State) -> State:
        """The same iterate, of the signal filled by its model."""
        model = state.dictionary.synthesis(state.activations)
        x = filled(self.x, model, self.weights)
        fixed = self.atom_length, self.penalty, self.signed, self.padding, self.solver
        problem = cdl.Problem(*fixed, method=self.method, x=x)
        return problem.state(state.iteration, state.patterns, state.activations)

    def objective(self, z: Array, residual: Array) -> float:
        """``½ Σ w r² + λ Σ_k ‖z_k‖₁``."""
        return super().objective(z, np.sqrt(self.weights) * residual)

    def record(self, state: State) -> dict[str, float]:
        """The objective, and what is left of what is known, as a share of its norm."""
        root = np.sqrt(self.weights)
        left = np.linalg.norm(root * state.residual) / (np.linalg.norm(root * self.x) or 1.0)
        return {"objective": state.objective, "relative_residual": float(left)}


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


def decompose(
    method: Method,
    x: ArrayLike,
    n_components: int,
    weights: ArrayLike,
    *,
    start: Start | None = None,
    rng: Any = 0,
    watch: Watch | None = None,
    kept: Kept | None = None,
) -> Decomposition:
    """Take a signal apart whose samples have weights; its holes are filled.

    Components and residual sum to the signal, and to what fills it where a weight is 0: there the
    components are what the model says, and the residual is bridged from both sides, by
    :func:`~cdlnmf_lit.methods.bridging.bridged`. A method that masks has no model of a waveform:
    there its components share out the bridged signal.

    Parameters
    ----------
    method : Method
        A CDL, an NMF, or a chain. Stages of other methods work on the bridged signal.
    x : array (T,)
        What it is where a weight is 0 does not matter; it may be NaN.
    n_components : int
    weights : array (T,), or (N, F)
        From 0 to 1: 0 for a hole. For an NMF alone, those of the entries of its spectrogram: 0 for
        a tile that is held out. A clipped sample is best given 0 by methods that mask, which bridge
        it; by CDL it is best left: no weight tells that the sound lay beyond the limit.
    start, rng, watch, kept
        See :meth:`~cdlnmf_lit.methods.method.Method.decompose`.

    Raises
    ------
    ValueError
        For weights of another shape, or not from 0 to 1, or other than 0 and 1 where the method
        cannot have them; see also :meth:`~cdlnmf_lit.methods.method.Method.iterate`.

    Examples
    --------
    >>> click = np.hanning(30) * np.sin(0.5 * np.arange(30))
    >>> x, w = np.zeros(600), np.ones(600)
    >>> for n in (50, 200, 280, 450):
    ...     x[n : n + 30] = click
    >>> w[210:220] = 0
    >>> found = decompose(cdl.CDL(atom_length=40, share=0.01), np.where(w, x, np.nan), 1, w)
    >>> whole = found.components().sum(axis=0) + found.residual
    >>> bool(np.allclose(whole[w > 0], x[w > 0])), bool(np.abs(whole - x).max() < 0.05)
    (True, True)
    """
    if np.ndim(weights) == 2:
        weighed = weighing(method, array(weights, "weights", 2))
        return weighed.decompose(x, n_components, start=start, rng=rng, watch=watch, kept=kept)
    y, w = without_holes(x, weights)
    if not isinstance(method, cdl.CDL | nmf.NMF) and not np.isin(w, (0, 1)).all():
        raise ValueError(f"weights must be 0 or 1 for {method.name}: cdl and nmf take others")
    weighed = weighing(method, w)
    found = weighed.decompose(y, n_components, start=start, rng=rng, watch=watch, kept=kept)
    return replace(found, residual=bridged(found.residual, w == 0))


def without_holes(x: ArrayLike, weights: ArrayLike) -> tuple[Array, Array]:
    """The signal, bridged where it has no weight, and the weights, if they fit.

    Examples
    --------
    >>> y, w = without_holes([1.0, 1.0, np.nan, 1.0, 1.0, 1.0], [1, 1, 0, 1, 1, 0.5])
    >>> bool(np.isfinite(y).all()), w.tolist()
    (True, [1.0, 1.0, 0.0, 1.0, 1.0, 0.5])
    """
    w = _checked(weights, (np.size(x),))
    return bridged(x, w == 0), w


def weighing(method: Method, weights: Array) -> Method:
    """The same method, whose stages that can weigh do: CDL the samples, NMF the entries.

    NMF weighs an entry as much as is known of its frame, but bridged ones a tenth at the least.

    Raises
    ------
    ValueError
        If an NMF is to be accelerated, or entries are to be weighed by another method.

    Examples
    --------
    >>> weighing(nmf.NMF(iterations=3) >> cdl.CDL(atom_length=9), np.ones(50)).stages[0].iterations
    3
    """
    if weights.ndim == 2 and (not isinstance(method, nmf.NMF) or isinstance(method.start, Method)):
        raise ValueError(f"weights must be (T,) for all but an NMF alone, got {weights.shape}")
    if isinstance(method.start, Method):
        method = replace(method, start=weighing(method.start, weights))
    options = {each.name: getattr(method, each.name) for each in fields(method)}
    if isinstance(method, cdl.CDL):

        class Weighted(cdl.CDL):
            def problem(self, x: Array, K: int, **asked: Any) -> Signal:
                plain = super().problem(x, K, **asked)
                fixed = {each.name: getattr(plain, each.name) for each in fields(plain)}
                w = np.pad(weights.astype(x.dtype), self.padding, constant_values=1)
                return Signal(**fixed, weights=w)

        return Weighted(**options)
    if isinstance(method, nmf.NMF):
        if method.acceleration != "none":
            raise ValueError(f"acceleration must be none with weights, got {method.acceleration!r}")

        class OfEntries(nmf.NMF):
            def problem_of(self, V: Array, **asked: Any) -> Spectrogram:
                w = _checked(_of_entries(weights, self.frame, V.shape), V.shape).astype(V.dtype)
                known = np.where(w > 0, V, V[w > 0].mean())
                return Spectrogram(known, self.beta, self.exponent, weights=w, **asked)

        return OfEntries(**options)
    return method


def _of_entries(weights: Array, frame: GaborFrame, shape: tuple[int, ...]) -> Array:
    """The weights of entries; from those of samples by what each window sees of them."""
    if weights.ndim == 2:
        return weights
    from scipy.signal import oaconvolve

    power = np.square(frame.window, dtype=float)
    lost = np.pad(1 - weights, (power.size - 1, frame.hop * shape[0] + power.size))
    begins = frame.first_sample + frame.hop * np.arange(shape[0]) + power.size - 1
    unseen = oaconvolve(lost, power[::-1] / power.sum(), "valid")[begins]
    return np.tile(np.clip(1 - unseen, GUESSED, 1)[:, None], shape[1])


def iterate(
    method: cdl.CDL, x: ArrayLike, n_components: int, weights: ArrayLike, *, rng: Any = 0
) -> Iterator[State]:
    """Dictionary learning where samples have weights: the start, then a state an iteration.

    Parameters
    ----------
    method, x, n_components, weights, rng
        See :func:`decompose`.

    Raises
    ------
    ValueError
        See :func:`decompose`.

    Examples
    --------
    See :class:`Signal`.

    >>> iterate(cdl.CDL(atom_length=2), np.arange(4.0), 1, 2 * np.ones(4))
    Traceback (most recent call last):
        ...
    ValueError: weights must be from 0 to 1, got 2.0
    """
    y, w = without_holes(x, weights)
    return weighing(method, w).iterate(y, n_components, rng=rng)


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
    given = array(V, "V", 2)
    w = _checked(weights, given.shape)
    known = np.where(w > 0, given, given[w > 0].mean())
    weighed: Any = weighing(method, w)
    states: Iterator[Any] = weighed.factorize(known, n_components, rng=rng)
    return states


def _checked(weights: ArrayLike, shape: tuple[int, ...]) -> Array:
    w = array(np.asarray(weights, float), "weights", len(shape))
    if w.shape != shape:
        raise ValueError(f"weights must have shape {shape}, got {w.shape}")
    for value in (w.min(), w.max()):
        if not 0 <= value <= 1:
            raise ValueError(f"weights must be from 0 to 1, got {value}")
    if not w.any():
        raise ValueError("weights must not be 0 everywhere")
    return w
