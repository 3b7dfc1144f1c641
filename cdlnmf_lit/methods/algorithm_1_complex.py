r"""Algorithm 1 with complex NMF in the place of semi-NMF: equation (15) as it is printed.

A gradient step on the synthesis coefficients, ``A = α + Φ*(x - Φα)``, then an iteration of complex
NMF on ``A`` from where it stood: ``α = Σ_k W_k Z_k exp(iθ_k)`` with phases free at each position.
Phases that start equal stay equal, though they move: then one array of coefficients is kept.

Chapter: ``book/methods/algorithm_1_complex.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from cdlnmf_lit.methods import complex_nmf, method
from cdlnmf_lit.methods.complex_nmf import model, synthesised, unit
from cdlnmf_lit.methods.decomposition import Decomposition
from cdlnmf_lit.methods.factors import normalised
from cdlnmf_lit.methods.families import OnFrames, Sparse, largest_norm, on, require_sound
from cdlnmf_lit.methods.options import OneOf, at_least, option
from cdlnmf_lit.methods.starts import factors_of
from cdlnmf_lit.theory.arguments import Array
from cdlnmf_lit.theory.blocks import SINGLE, in_threads, n_threads, pieces
from cdlnmf_lit.theory.equivalence import half_spectrum_gains
from cdlnmf_lit.theory.gabor import GaborFrame, hann

PHASES = ("common", "free")


@dataclass(frozen=True, eq=False)
class Problem(method.Problem):
    r"""Coefficients whose synthesis is to be the signal, and how they get there.

    .. math:: A = α + Φ^*(x - Φ α), \qquad (W, Z, u) ← \text{complex NMF of } A, \qquad
        α = \sum_k W_k Z_k u_k

    ``factorisation`` is that of ``A``, of which half the channels are kept, times ``gains``. ``A``
    and the phases are one array each for all states, moved in place. Common phases are those of
    ``A``.

    Examples
    --------
    >>> Algorithm1Complex(frame=hann(8, 2)).problem(np.ones(9), 1).gains.round(2)
    array([1.  , 1.41, 1.41, 1.41, 1.  ])

    References
    ----------
    Algorithm 1 and equation (15) of the paper.
    """

    IS_SHARED = False

    factorisation: complex_nmf.Problem

    def updated(self, W: Array, Z: Array, residual: Array) -> tuple[Array, Array]:
        """A gradient step to ``A``, then complex NMF from where it stood."""
        scaled, correlations = W * self.gains, self.method.frame.lazy_half_analysis(residual)
        self.fill(lambda rows: self.coefficients(rows, scaled, Z) + self.gains * correlations(rows))
        for _ in range(self.method.inner_iterations):
            scaled, Z, _ = self.factorisation.updated(scaled, Z, measured=False)
        return W if self.held == "patterns" else scaled / self.gains, Z

    def coefficients(self, rows: slice, W: Array, Z: Array) -> Array:
        """``α`` at some positions."""
        U, z = self.factorisation.phases.values, Z[:, rows]
        if U is not None:
            return model(W, z, U[:, rows])
        alpha = unit(self.A[rows])
        for part in pieces(len(alpha), max(1, SINGLE // W.size)):
            alpha[part] *= z[:, part].T @ W
        return alpha

    def residual(self, W: Array, Z: Array) -> Array:
        """``x - Φα``."""
        x, syntheses = self.x, self.method.frame.half_syntheses
        sounds = syntheses(lambda rows: self.coefficients(rows, W, Z)[None], 1, x.size, x.dtype)
        return np.asarray(x - sounds[0])

    def objective(self, Z: Array, residual: Array) -> float:
        """``½‖x - Φα‖² + λ‖Z‖₁``."""
        cost = self.factorisation.penalty * float(Z.sum(dtype=float))
        return _norm(residual) ** 2 / 2 + cost

    def phases(self, k: int, rows: slice) -> Array:
        """``exp(iθ_k)`` at some positions."""
        U = self.factorisation.phases.values
        return unit(self.A[rows]) if U is None else U[k, rows]

    def fill(self, values: Callable[[slice], Array]) -> None:
        """Overwrite ``A``, block by block."""

        def of_block(rows: slice) -> None:
            self.A[rows] = values(rows)

        for _ in in_threads(of_block, self.method.frame.blocks(self.x.size)):
            pass

    @property
    def A(self) -> Array:
        """Of the last gradient step, ``(N, M // 2 + 1)``, times the gains; ``Φ*x`` at the start."""
        return self.factorisation.X

    @cached_property
    def gains(self) -> Array:
        """Factors that give half of the channels the norm of all."""
        return half_spectrum_gains(self.method.frame.channels).astype(self.x.dtype)

    # ---- starts, states, sounds ----------------------------------------------------------------

    def begin(self, K: int, start: Any, rng: np.random.Generator) -> method.State:
        """The phases are drawn before the factors; at the ends of the spectrum they are real."""
        correlations = self.method.frame.lazy_half_analysis(self.x)
        self.fill(lambda rows: self.gains * correlations(rows))
        if self.method.phases == "free":
            U, ends = self.factorisation.drawn_phases(rng), self.gains == 1
            U[..., ends] = unit(U[..., ends].real.astype(U.dtype))
            self.factorisation.phases.values = U
        return super().begin(K, start, rng)

    def kept(self) -> dict[str, Any]:
        return {"A": self.A} | self.factorisation.kept()

    def keeping(self, kept: Mapping[str, Any]) -> Problem:
        self.A[:] = kept["A"]
        self.factorisation.keeping({name: kept[name] for name in ("values", "iteration")})
        return self

    def drawn(self, K: int, start: str, rng: np.random.Generator) -> tuple[Array, Array]:
        """Uniform numbers, as loud as fits ``|Φ*x|`` best."""
        W, Z = self.factorisation.drawn(K, start, rng)
        return W / self.gains, Z

    def activations_for(self, W: Array) -> Array:
        """The same number everywhere, as loud as fits ``|Φ*x|`` best."""
        return self.factorisation.activations_for(W * self.gains)

    def taken(self, found: Decomposition) -> tuple[Array, Array]:
        return factors_of(found, self.method.frame, self.x.size, 1.0, self.x.dtype)

    def first(self, W: Array, Z: Array) -> State:
        if self.held is None:
            W, Z = normalised(W * self.gains, Z)
            W = W / self.gains
        return State(0, W, Z, self, self.residual(W, Z))

    def after(self, state: State) -> State:
        W, Z = self.updated(state.patterns, state.activations, state.residual)
        self.factorisation.phases.iteration = state.iteration + 1
        return State(state.iteration + 1, W, Z, self, self.residual(W, Z))

    def record(self, state: State) -> dict[str, float]:
        return {
            "objective": self.objective(state.activations, state.residual),
            "relative_residual": _norm(state.residual) / float(np.linalg.norm(self.x)),
        }

    def result(self, state: State) -> dict[str, Any]:
        self.factorisation.phases.at(state.iteration)
        frame = self.method.frame
        return synthesised(self.x, frame, frame, state.patterns, state.activations, self.phases)


@dataclass(frozen=True, eq=False)
class State(method.State):
    r"""One iterate ``α = Σ_k W_k Z_k exp(iθ_k)``; over all ``M`` channels ``W_k`` has norm 1, or 0.

    ``residual`` is ``x - Φα``. ``A`` and the phases are overwritten by the next state; then this
    one is no decomposition any more, and a ``RuntimeError`` says so.

    Examples
    --------
    >>> x = np.sin(0.3 * np.arange(200.0))
    >>> start = next(Algorithm1Complex(frame=hann(32, 8)).iterate(x, 1))
    >>> start.iteration, start.patterns.shape, start.activations.shape
    (0, (1, 17), (1, 28))

    References
    ----------
    Equation (15) of the paper.
    """

    residual: Array


def _norm(values: Array) -> float:
    return float(np.sqrt(np.sum(np.square(values), dtype=float)))


# ---- options -----------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, repr=False)
class Algorithm1Complex(Sparse, OnFrames, name="algorithm-1-complex"):
    r"""Spectra, activations and phases of synthesis coefficients of the signal.

    .. math::
        \min_{W, Z ≥ 0, θ} \; ½ \Big\|x - Φ\Big(\sum_k W_k Z_k e^{iθ_k}\Big)\Big\|^2 + λ \|Z\|_1
        \quad\text{subject to } \|W_k\| = 1

    The norm is over all ``M`` channels. The signal must not be silent, and the frame has to have
    ``‖Φ‖ ≤ 1``: usually it is tight. Of another result that it starts from, the magnitudes are
    taken.

    Patterns that are held are not scaled to norm 1, and the penalty is on the activations as they
    are. Where activations are held, the spectra move without scaling, for any norm, and the
    penalty, which is then the same number throughout, does not pull at them. In both cases the
    phases start and move as they do without, common ones with the gradient step alone.

    Raises
    ------
    ValueError
        For an option that does not meet its rule.

    Examples
    --------
    >>> x = np.sin(0.3 * np.arange(200.0))
    >>> found = Algorithm1Complex(frame=hann(32, 8), iterations=5).decompose(x, 1)
    >>> np.allclose(found.components().sum(axis=0) + found.residual, x)
    True

    References
    ----------
    Algorithm 1 and equation (15) of the paper, reference [16].
    """

    frame: GaborFrame = on(hann(2048, 512))
    phases: str = option(
        "common",
        "Where the phases start: all components at that of ``Φ*x``, and they stay equal; or each "
        "at random. Free phases are ``K`` more arrays of the size of the coefficients.",
        OneOf(*PHASES),
    )
    inner_iterations: int = option(1, "Updates of complex NMF in an outer iteration.", at_least(1))

    def lambda_max(self, x: Array) -> float:
        r"""The largest norm ``max_n ‖(Φ*x)[n]‖`` of a position, over all ``M`` channels.

        With ``α = Σ_k W_k Z_k u_k`` and ``‖W_k‖ = 1``, by Cauchy and Schwarz at each position,

        .. math:: ½ \|x - Φα\|^2 + λ \|Z\|_1 ≥ ½ \|x\|^2 - \mathrm{Re} ⟨Φ^*x, α⟩ + λ \|Z\|_1 ≥
            ½ \|x\|^2 + \sum_n (λ - \|(Φ^*x)[n]\|) \sum_k Z_k[n]

        so that from the largest of these norms on nothing is better than silence. Below it, a
        little of the spectrum ``|(Φ*x)[n]|`` with the phases of ``Φ*x`` is better.
        """
        gains = half_spectrum_gains(self.frame.channels).astype(x.dtype)
        rows_of = self.frame.lazy_half_analysis(x)
        return largest_norm(lambda rows: gains * rows_of(rows), self.frame.blocks(x.size))

    def check(self, x: Array) -> None:
        require_sound(x)
        self.require_contraction(x.size)

    def problem(self, x: Array, K: int, **asked: Any) -> Problem:
        A = np.empty(self.shape(x.size), np.result_type(x.dtype, np.complex64))
        held, penalty = asked.get("held"), self.penalty or 0.0
        factorisation = complex_nmf.Problem(A, K, penalty=penalty, held=held)
        return Problem(factorisation, method=self, x=x, **asked)

    # ---- what it needs ---------------------------------------------------------------------------

    def bytes_needed(self, n_samples: int, K: int, dtype: np.dtype) -> int:
        """The coefficients, once, and ``K`` arrays of free phases; the factors, some blocks."""
        N, F = self.shape(n_samples)
        arrays, drawn = 1, 0
        if self.phases == "free":
            arrays, drawn = 1 + K, 40 * min(K * N * F, SINGLE)
        blocks = self.frame.blocks(n_samples)
        at_once = blocks[0].stop * min(n_threads(), len(blocks))
        T_g = self.frame.window.size
        block = at_once * (6 * F + 2 * max(self.frame.channels, T_g))
        others = 6 * K * (N + F) + (K + 4) * n_samples + 3 * T_g
        return int((2 * arrays * N * F + others + block) * dtype.itemsize) + drawn
