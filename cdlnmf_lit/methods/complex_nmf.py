r"""Complex NMF: spectra and activations without sign, and a phase for each of their products.

Equation (10) of the paper, ``X ≈ Σ_k W_k Z_k exp(iθ_k)``, by the auxiliary function of reference
[16]. Seen through it, complex NMF is Euclidean NMF in which each component has a target of its
own, ``Y_k = |Λ u_k + X - X̂|`` with ``Λ = Σ_k W_k Z_k`` and ``u_k = exp(iθ_k)``, instead of ``|X|``.

Chapter: ``book/methods/complex_nmf.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cdlnmf_lit.methods import method
from cdlnmf_lit.methods.decomposition import Decomposition
from cdlnmf_lit.methods.factors import normalised, ratio
from cdlnmf_lit.methods.families import (
    OnFrames,
    Sparse,
    largest_norm,
    on,
    require_sound,
    spectra_and_sounds,
)
from cdlnmf_lit.methods.options import OneOf, option
from cdlnmf_lit.methods.starts import factors_of
from cdlnmf_lit.theory.arguments import Array, array, integer, non_negative
from cdlnmf_lit.theory.blocks import SINGLE, gram, in_threads, n_threads, pieces, summed
from cdlnmf_lit.theory.gabor import GaborFrame, hann

PHASES = ("mixture", "random")


@dataclass(frozen=True, eq=False)
class Problem(method.Problem):
    r"""Coefficients to factorise, and how: ``X ≈ X̂ = Σ_k W_k Z_k u_k``.

    .. math::
        Y_k = |Λ u_k + X - \hat X|, \quad u_k ← \frac{Λ u_k + X - \hat X}{Y_k}, \quad
        W_k ← W_k \frac{\sum_n Z_k Y_k}{(Z Z^T W)_k + c_k W_k}, \quad
        Z_k ← Z_k \frac{\sum_f W_k Y_k}{(W W^T Z)_k + λ p Z_k^{p-1}}

    with ``c_k = λ p Σ_n Z_k**p``: louder spectra would let the activations pay less.

    Parameters
    ----------
    X : complex array (N, F)
        Or its magnitudes, where all components have its phase.
    n_components : int
        ``K``.
    phases : Phases
        ``u_k``.
    penalty, exponent : float
        ``λ`` and ``0 < p ≤ 2``.

    Examples
    --------
    >>> problem = Problem(np.full((2, 1), 5.0), 1)
    >>> W, Z, squared_error = problem.updated(np.ones((1, 1)), np.ones((1, 2)))
    >>> Z, squared_error
    (array([[5., 5.]]), 0.0)

    References
    ----------
    Equation (10) of the paper, reference [16].
    """

    IS_SHARED = False

    X: Array
    n_components: int
    phases: Phases = field(default_factory=lambda: Phases())
    penalty: float = 0.0
    exponent: float = 1.0

    def updated(self, W: Array, Z: Array, *, measured: bool = True) -> tuple[Array, Array, float]:
        """Spectra, activations and, if measured, ``‖X - X̂‖²``; the phases move with each factor."""
        if self.held != "patterns":
            W = self.updated_spectra(W, Z)
            if self.held is None:
                W, Z = normalised(W, Z)
        if self.held == "activations":
            return W, Z, self.squared_error(W, Z) if measured else 0.0
        moved = np.empty_like(Z)

        def move(rows: slice) -> float:
            moved[:, rows] = self.updated_activations(rows, W, Z)
            return self.squared_error_of(rows, W, moved) if measured else 0.0

        return W, moved, sum(in_threads(move, self.blocks))

    def updated_spectra(self, W: Array, Z: Array) -> Array:
        """Spectra ``(K, F)`` at the minimum of the auxiliary function, where ``‖W_k‖`` was 1."""
        (sums,) = summed(lambda rows: (self.spectra_sums(rows, W, Z),), self.blocks)
        down = gram(Z, Z) @ W
        if self.held is None:
            down += (self.exponent * self.penalties(Z)).astype(W.dtype)[:, None] * W
        return W * ratio(sums, down)

    def spectra_sums(self, rows: slice, W: Array, Z: Array) -> Array:
        """``Σ_n Z_k Y_k`` over some frames, ``(K, F)``."""
        X, Z, U = self.block(rows, Z)
        if U is None:
            return Z @ X
        sums = np.empty_like(W)
        for k, (Y, u) in enumerate(targets(X, W, Z, U)):
            sums[k] = Z[k] @ Y
            U[k] = u
        return sums

    def updated_activations(self, rows: slice, W: Array, Z: Array) -> Array:
        """Activations of some frames at the minimum of the auxiliary function."""
        X, Z, U = self.block(rows, Z)
        if U is None:
            sums = W @ X.T
        else:
            sums = np.empty_like(Z)
            for k, (Y, u) in enumerate(targets(X, W, Z, U)):
                sums[k] = Y @ W[k]
                U[k] = u
        slope = np.zeros_like(Z)
        if self.penalty:
            np.power(Z, self.exponent - 1, out=slope, where=Z > 0)
            slope *= self.penalty * self.exponent
        return Z * ratio(sums, (W @ W.T) @ Z + slope)

    def objective(self, Z: Array, squared_error: float) -> float:
        """``½‖X - X̂‖² + λ Σ_k Σ_n Z_k[n]**p``."""
        return squared_error / 2 + float(self.penalties(Z).sum())

    def penalties(self, Z: Array) -> Array:
        """``λ Σ_n Z_k**p``, ``(K,)``."""
        return np.asarray(self.penalty * np.sum(Z**self.exponent, axis=1, dtype=float))

    def squared_error(self, W: Array, Z: Array) -> float:
        """``‖X - X̂‖²``."""
        return sum(in_threads(lambda rows: self.squared_error_of(rows, W, Z), self.blocks))

    def squared_error_of(self, rows: slice, W: Array, Z: Array) -> float:
        """The same for some frames."""
        X, Z, U = self.block(rows, Z)
        rest = X - (Z.T @ W if U is None else model(W, Z, U))
        return float(np.vdot(rest, rest).real)

    def block(self, rows: slice, Z: Array) -> tuple[Array, Array, Array | None]:
        """``X``, ``Z`` and ``u`` of some frames; magnitudes and None where the phase is ``X``'s."""
        X, U = self.X[rows], self.phases.values
        if U is None:
            return X if np.isrealobj(X) else np.abs(X), Z[:, rows], None
        return X, Z[:, rows], U[:, rows]

    @cached_property
    def blocks(self) -> list[slice]:
        """Frames that are worked on together, too few for BLAS to wake threads of its own."""
        N, F = self.X.shape
        return pieces(N, max(1, SINGLE // (self.n_components * F)))

    @cached_property
    def energy(self) -> float:
        """``‖X‖²``."""
        blocks = (self.X[rows] for rows in self.blocks)
        return sum(float(np.vdot(X, X).real) for X in blocks)

    # ---- starts, states, sounds ----------------------------------------------------------------

    def begin(self, K: int, start: Any, rng: np.random.Generator) -> method.State:
        """The phases are drawn before the factors."""
        if self.phases.values is None and self.method.phases == "random":
            self.phases.values = self.drawn_phases(rng)
        return super().begin(K, start, rng)

    def kept(self) -> dict[str, Any]:
        return vars(self.phases)

    def keeping(self, kept: Mapping[str, Any]) -> Problem:
        vars(self.phases).update(kept)
        return self

    def drawn_phases(self, rng: np.random.Generator) -> Array:
        """Phases at random, ``(K, N, F)``."""
        K, (N, F) = self.n_components, self.X.shape
        U = np.empty((K, N, F), np.result_type(self.X.dtype, np.complex64))
        for rows in self.blocks:
            U[:, rows] = np.exp(2j * np.pi * rng.random((K, rows.stop - rows.start, F)))
        return U

    def drawn(self, K: int, start: str, rng: np.random.Generator) -> tuple[Array, Array]:
        """Uniform numbers, as loud as fits the magnitudes best."""
        (N, F), dtype = self.X.shape, self.X.real.dtype
        W = rng.random((K, F)).astype(dtype)
        return W, self._scaled_to_fit(W, rng.random((K, N)).astype(dtype))

    def activations_for(self, W: Array) -> Array:
        """The same number everywhere, as loud as fits the magnitudes best."""
        return self._scaled_to_fit(W, np.ones((len(W), len(self.X)), W.dtype))

    def _scaled_to_fit(self, W: Array, Z: Array) -> Array:
        def products(rows: slice) -> tuple[Any, Any]:
            total = Z[:, rows].T @ W
            return np.vdot(total, np.abs(self.X[rows])), np.vdot(total, total)

        fit, size = summed(products, self.blocks)
        return Z * (fit / max(size, np.finfo(W.dtype).tiny))

    def taken(self, found: Decomposition) -> tuple[Array, Array]:
        return factors_of(found, self.method.frame, self.x.size, 1.0, self.X.real.dtype)

    def first(self, W: Array, Z: Array) -> State:
        if self.held is None:
            W, Z = normalised(W, Z)
        return State(0, W, Z, self, self.squared_error(W, Z))

    def after(self, state: State) -> State:
        W, Z, error = self.updated(state.patterns, state.activations)
        self.phases.iteration = state.iteration + 1
        return State(state.iteration + 1, W, Z, self, error)

    def record(self, state: State) -> dict[str, float]:
        return {
            "objective": self.objective(state.activations, state.squared_error),
            "relative_residual": float(np.sqrt(state.squared_error / self.energy)),
        }

    def result(self, state: State) -> dict[str, Any]:
        frame, U = self.method.frame, state.phases
        rows_of = frame.lazy_half_analysis(self.x)

        def phases(k: int, rows: slice) -> Array:
            return unit(rows_of(rows)) if U is None else U[k, rows]

        return synthesised(self.x, frame, frame.dual(), state.patterns, state.activations, phases)


@dataclass(frozen=True, eq=False)
class State(method.State):
    """One iterate, and its ``‖X - X̂‖²``.

    Examples
    --------
    >>> start = next(ComplexNMF().factorize(np.ones((3, 2)), 1))
    >>> start.iteration, start.patterns.shape, start.activations.shape, start.phases
    (0, (1, 2), (1, 3), None)

    References
    ----------
    Equation (10) of the paper.
    """

    squared_error: float

    @property
    def phases(self) -> Array | None:
        """``exp(iθ_k)``, ``(K, N, F)``; None where all components have the phase of ``X``.

        The array is one for all states, moved in place: copy what is wanted of it.

        Raises
        ------
        RuntimeError
            If a later state has overwritten it.
        """
        phases: Phases = self.problem.phases
        return None if phases.values is None else phases.at(self.iteration).values


@dataclass
class Phases:
    """The phases ``exp(iθ_k)``: one array for all states, moved in place.

    Parameters
    ----------
    values : complex array (K, N, F), or None
        None where all components have the phase of what is factorised.
    iteration : int
        Of the state that they belong to.

    Examples
    --------
    >>> Phases(np.ones((1, 1, 1)), iteration=3).at(3).values
    array([[[1.]]])

    References
    ----------
    Equation (10) of the paper.
    """

    values: Array | None = None
    iteration: int = 0

    def at(self, iteration: int) -> Phases:
        """The same phases, refused if they belong to another state by now."""
        if self.iteration != iteration:
            raise RuntimeError(
                f"state {iteration} must be made a decomposition before the next one is asked "
                f"for: its phases are now those of state {self.iteration}"
            )
        return self


# ---- the model, its targets, its sounds ---------------------------------------------------------


def unit(X: Array) -> Array:
    """Phases ``X / |X|`` of a complex array; 1 where there is none.

    Examples
    --------
    >>> unit(np.array([3j, 0j]))
    array([0.+1.j, 1.+0.j])

    References
    ----------
    Equation (10) of the paper.
    """
    return _direction(X, np.abs(X), np.ones_like(X))


def model(W: Array, Z: Array, U: Array) -> Array:
    r"""Coefficients of the model, ``X̂[n, f] = Σ_k W[k, f] Z[k, n] U[k, n, f]``.

    Parameters
    ----------
    W : array (K, F)
    Z : array (K, n)
    U : complex array (K, n, F)
        Phases ``exp(iθ_k)``.

    Examples
    --------
    >>> model(np.ones((2, 1)), np.full((2, 1), 3.0), np.array([[[1.0]], [[1j]]]))
    array([[3.+3.j]])

    References
    ----------
    Equation (10) of the paper.
    """
    X = np.zeros(U.shape[1:], U.dtype)
    for w, z, u in zip(W, Z, U, strict=True):
        X += (z[:, None] * w) * u
    return X


def targets(X: Array, W: Array, Z: Array, U: Array) -> Iterator[tuple[Array, Array]]:
    r"""What the auxiliary function asks of each component: a magnitude, and where its phase goes.

    .. math:: Y_k = |Λ u_k + X - \hat X|, \qquad u_k ← \frac{Λ u_k + X - \hat X}{Y_k}

    Parameters
    ----------
    X : complex array (n, F)
        What is to be factorised.
    W, Z, U
        See :func:`model`.

    Yields
    ------
    Y_k : array (n, F)
    u_k : complex array (n, F)
        Unchanged where ``Y_k = 0``.

    Examples
    --------
    The mixture's phase has come to rest, and the target is the magnitude.

    >>> ones, phase = np.ones((1, 1)), np.array([[[1j]]])
    >>> next(targets(np.array([[5j]]), ones, ones, phase))
    (array([[5.]]), array([[0.+1.j]]))

    References
    ----------
    Equation (10) of the paper, reference [16].
    """
    total, rest = Z.T @ W, X - model(W, Z, U)
    for u in U:
        T = total * u
        T += rest
        Y = np.abs(T)
        yield Y, _direction(T, Y, u)


def _direction(T: Array, size: Array, otherwise: Array) -> Array:
    """``T / |T|``, or something else where there is nothing to divide by."""
    smallest = np.finfo(size.dtype).tiny
    found = T * (1 / np.maximum(size, smallest))
    np.copyto(found, otherwise, where=size < smallest)
    return found


def synthesised(
    x: Array,
    frame: GaborFrame,
    synthesis: GaborFrame,
    W: Array,
    Z: Array,
    phases: Callable[[int, slice], Array],
) -> dict[str, Any]:
    """What the terms of (10) sound like, ``Φ(W_k Z_k exp(iθ_k))``: parts of a decomposition.

    Parameters
    ----------
    x : array (T,)
        The signal; what the sounds leave of it is the residual.
    frame, synthesis : GaborFrame
        Where the coefficients are, and what makes them sound.
    W, Z : array (K, M // 2 + 1), array (K, N)
    phases : callable
        From ``k`` and the rows of a block to ``exp(iθ_k)`` there.

    Examples
    --------
    >>> x, frame = np.sin(0.3 * np.arange(200.0)), hann(32, 16)
    >>> W, Z = np.eye(1, 17, 2), np.eye(1, 14, 6)
    >>> sounds = synthesised(x, frame, frame, W, Z, lambda k, rows: np.ones(17))["sounds"]
    >>> sounds.shape, np.flatnonzero(sounds)[[0, -1]]
    ((1, 200), array([ 81, 111]))

    References
    ----------
    Equation (10) of the paper.
    """
    sounds = np.empty((len(W), x.size), x.dtype)
    for k, (w, z) in enumerate(zip(W, Z, strict=True)):

        def term(rows: slice, k: int = k, w: Array = w, z: Array = z) -> Array:
            return np.asarray(z[rows, None] * w * phases(k, rows))[None]

        sounds[k] = synthesis.half_syntheses(term, 1, x.size, x.dtype)[0]
    return spectra_and_sounds(frame, W, sounds, x - sounds.sum(axis=0))


# ---- options -----------------------------------------------------------------------------------


def _exponent(value: Any, name: str) -> float:
    exponent = non_negative(value, name)
    if not 0 < exponent <= 2:
        raise ValueError(f"{name} must be above 0 and at most 2, got {value!r}")
    return exponent


@dataclass(frozen=True, kw_only=True, repr=False)
class ComplexNMF(Sparse, OnFrames, name="complex-nmf"):
    r"""Spectra, activations and phases of the coefficients of a signal, channels 0 to ``M // 2``.

    .. math::
        \min_{W, Z ≥ 0, θ} \; ½ \sum_{n,f} \Big| X[n,f] - \sum_k W[k,f] Z[k,n] e^{iθ_k[n,f]} \Big|^2
        + λ \sum_{k,n} Z[k,n]^p \quad\text{subject to } \|W_k\| = 1

    The signal must not be silent; any frame will do. Each component is ``Φ(W_k Z_k exp(iθ_k))``,
    where ``Φ`` is the synthesis of the dual frame, and the residual is what they leave.

    Patterns that are held are not scaled to norm 1, and the penalty is on the activations as they
    are. Where activations are held, the spectra move without scaling, for any norm, and the
    penalty, which is then the same number throughout, does not pull at them. In both cases the
    phases start and move as they do without: those of the mixture stay, others move with the
    factor that moves.

    Raises
    ------
    ValueError
        For an option that does not meet its rule: an exponent outside ``(0, 2]``, or a share of
        ``lambda_max`` with an exponent other than 1, for which there is none.

    Examples
    --------
    >>> x = np.sin(0.3 * np.arange(200.0))
    >>> found = ComplexNMF(frame=hann(32, 8), iterations=5).decompose(x, 1)
    >>> np.allclose(found.components().sum(axis=0) + found.residual, x)
    True

    References
    ----------
    Equation (10) of the paper, reference [16].
    """

    frame: GaborFrame = on(hann(2048, 512))
    exponent: float = option(1.0, "``0 < p ≤ 2``: the penalty is on ``Z**p``.", _exponent)
    phases: str = option(
        "mixture",
        "Where the phases start: at the mixture's they stay, and none are kept; from random ones "
        "they move, and ``K`` arrays as large as the coefficients are kept.",
        OneOf(*PHASES),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.share is not None and self.exponent != 1:
            raise ValueError(
                f"share must be None where the exponent is not 1 but {self.exponent:g}, for there "
                f"is no lambda_max, got {self.share}"
            )

    def lambda_max(self, x: Array) -> float:
        r"""The largest norm ``max_n ‖X[n]‖`` of a frame, over the channels 0 to ``M // 2``.

        With ``p = 1`` and ``‖W_k‖ = 1``, by Cauchy and Schwarz,

        .. math:: ½ \|X[n] - \hat X[n]\|^2 + λ \sum_k Z_k[n] ≥
            ½ \|X[n]\|^2 + (λ - \|X[n]\|) \sum_k Z_k[n]

        whatever the phases: from ``λ = ‖X[n]‖`` on nothing is better than silence in frame ``n``.
        Below that, the spectrum ``|X[n]| / ‖X[n]‖`` with the phases of ``X`` is better. A matrix
        in place of the signal stands for ``X``.
        """
        if x.ndim == 2:
            return largest_norm(x.__getitem__, pieces(len(x), max(1, SINGLE // x.shape[1])))
        return largest_norm(self.frame.lazy_half_analysis(x), self.frame.blocks(x.size))

    def check(self, x: Array) -> None:
        require_sound(x)

    def problem(self, x: Array, K: int, **asked: Any) -> Problem:
        still = self.phases == "mixture"
        X = self.frame.spectrogram(x, 1.0) if still else self.frame.half_analysis(x)
        return self._problem_of(X, K, x=x, **asked)

    def _problem_of(self, X: Array, K: int, **asked: Any) -> Problem:
        penalty = self.penalty or 0.0
        return Problem(X, K, penalty=penalty, exponent=self.exponent, method=self, **asked)

    def factorize(
        self,
        X: ArrayLike,
        n_components: int,
        *,
        phases: str | ArrayLike | None = None,
        start: Any = None,
        held: str | None = None,
        rng: Any = 0,
    ) -> Iterator[State]:
        """Iterate complex NMF of a matrix: yield the start, then a state each time, without end.

        Parameters
        ----------
        X : array (N, F)
            Complex; or its magnitudes, if the phases are the mixture's.
        phases : str or array (K, N, F), optional
            Where they start in place of the method's own: another name, or complex numbers that
            have them.
        n_components, start, held, rng
            See :meth:`~cdlnmf_lit.methods.method.Method.iterate`.

        Raises
        ------
        ValueError
            For a matrix of zeros, or phases of another shape.

        Examples
        --------
        >>> states = ComplexNMF().factorize(np.outer([1.0, 2.0, 0.0], [1.0, 1j]), 1)
        >>> [next(states).relative_residual < 1e-12 for _ in range(3)][2]
        True
        """
        X = self.in_precision(array(X, "X", 2, allow_complex=True))
        if not np.any(X):
            raise ValueError("X must not be zero everywhere")
        N, F = X.shape
        K = integer(n_components, "n_components", at_most=min(N, F))
        asked = replace(self, phases=phases) if isinstance(phases, str) else self
        kept = Phases()
        if phases is not None and not isinstance(phases, str):
            kept.values = _given_phases(phases, (K, N, F), np.result_type(X.dtype, np.complex64))
        elif asked.phases == "mixture":
            X = X if np.isrealobj(X) and X.min() >= 0 else np.abs(X)
        problem = asked.resolved(X)._problem_of(X, K, phases=kept, held=held)
        shapes = {"patterns": (K, F), "activations": (K, N)}
        return self.states_of(problem, shapes, X.dtype, start, rng)

    # ---- what it needs ---------------------------------------------------------------------------

    def bytes_needed(self, n_samples: int, K: int, dtype: np.dtype) -> int:
        """Coefficients and phases, or magnitudes only; the factors, the sounds, some blocks."""
        N, F = self.shape(n_samples)
        coefficients, drawn = N * F, 0
        if self.phases != "mixture":
            coefficients, drawn = 2 * (1 + K) * N * F, 40 * min(K * N * F, SINGLE)
        n_blocks = -(-N // max(1, SINGLE // (K * F)))
        factors = 8 * K * (N + F) + min(n_blocks, 2 * n_threads() + 1) * K * F
        sounds = (K + 4) * n_samples + 3 * self.frame.window.size
        at_once = min(N, n_threads() * self.frame.blocks(n_samples)[0].stop)
        block = at_once * (5 * F + 2 * self.frame.channels)
        return int((coefficients + factors + sounds + block) * dtype.itemsize) + drawn


def _given_phases(phases: ArrayLike, shape: tuple[int, ...], dtype: Any) -> Array:
    values = np.asarray(phases)
    if values.shape != shape or not np.all(np.isfinite(values)):
        raise ValueError(f"phases must be finite, of shape {shape}, got shape {values.shape}")
    return unit(values.astype(dtype))
