r"""Low-rank time-frequency synthesis: Itakura-Saito NMF as a prior on synthesis coefficients.

The model of reference [18]: ``x = Φα + e``, with white noise ``e`` of variance ``λ`` and
independent Gaussian ``α[τ, ν]`` of variance ``v[τ, ν] = ε + Σ_k Z_k[τ] W_k[ν]``. Where IS-NMF
factorises the power of the *analysis* coefficients ``Φ* x``, here the coefficients are sought too.

Channels 0 to ``M // 2`` are kept; the sums over all channels count those between the first and the
last of them twice.

Chapter: ``book/methods/lrtfs.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self

import numpy as np

from cdlnmf_lit.methods import method
from cdlnmf_lit.methods.decomposition import Decomposition
from cdlnmf_lit.methods.factors import ratio
from cdlnmf_lit.methods.families import OnFrames, on, require_change, spectra_and_sounds
from cdlnmf_lit.methods.nmf import wiener_masks
from cdlnmf_lit.methods.options import OneOf, option, optional
from cdlnmf_lit.methods.starts import continued, own_factors
from cdlnmf_lit.theory.arguments import Array, non_negative
from cdlnmf_lit.theory.blocks import SINGLE, in_threads, n_threads, pieces, placed, summed
from cdlnmf_lit.theory.gabor import GaborFrame, hann

BACKGROUND = 1e-6
"""``ε`` over ``λ``: the variance that every coefficient has, 60 dB below the noise."""
COOLING = 0.9
"""What an iteration leaves of ``λ`` while it is annealed."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Problem(method.Problem):
    r"""A signal, and the coefficients that it is synthesised from.

    .. math::
        α ← \frac{v}{v + λ / L} \Big( α + \frac{Φ^*(x - Φα)}{L} \Big), \quad
        Z ← Z \sqrt{\frac{W (p / v^2)^T}{W (1 / v)^T}}, \quad
        W ← W \sqrt{\frac{Z (p / v^2)}{Z (1 / v)}}

    with ``v = ε + ZᵀW``, ``L = ‖Φ‖²`` and ``p = |α|²``, to which the marginal estimation adds the
    variance ``s`` of the coefficients.

    Parameters
    ----------
    latest : list of int
        The iteration that the coefficients belong to.

    Examples
    --------
    >>> x, method = np.sin(0.3 * np.arange(200.0)), LRTFS(frame=hann(32, 8))
    >>> next(method.iterate(x, 1)).problem.counts[:3]
    array([1., 2., 2.])
    """

    IS_SHARED = False

    latest: list[int] = field(default_factory=list)

    def updated(
        self, W: Array, Z: Array, gradient: Array, rows: slice, iteration: int
    ) -> tuple[Any, ...]:
        """``α`` and ``Z`` of a few frames, in place; their cost, and the sums that ``W`` needs.

        ``gradient`` is ``Φ*(x - Φα)`` in these frames, and is used up.
        """
        noise, energy = self.noise_at(iteration), self.energies[rows]
        alpha, v, omega = self.alpha[rows], self.variances(W, Z), self.method.relaxation
        gradient *= 1 / self.bound
        gradient += alpha
        moved = shrunk(gradient, v, noise / self.bound)
        if iteration and omega != 1:
            moved = alpha + omega * (moved - alpha)
        alpha[:] = moved
        p, s = alpha.real**2 + alpha.imag**2, None
        if self.method.estimation == "marginal":
            s = posterior_variance(v, energy, noise)
            p += s
        if iteration and self.held != "activations":
            inverse, weighted = 1 / v, (self.counts * W).T
            Z *= np.sqrt(ratio((p * inverse * inverse) @ weighted, inverse @ weighted)).T
            v = self.variances(W, Z)
        inverse = 1 / v
        explained = p * inverse
        cost = self.cost(explained, v, s, energy / noise)
        if self.held == "patterns":
            return (cost,)
        return cost, Z @ (explained * inverse), Z @ inverse

    def after(self, state: State) -> State:
        """One iteration: the spectra, then frame by frame the coefficients and the activations."""
        state.require_latest()
        W = state.patterns
        if self.held != "patterns":
            W = W * np.sqrt(ratio(*state.sums))
        return self.swept(state.iteration + 1, W, state.activations, state.residual)

    def swept(self, iteration: int, W: Array, Z: Array, residual: Array) -> State:
        """All frames updated, block by block, and the signal synthesised as they pass."""
        frame, T = self.method.frame, self.x.size
        gradient_at = frame.lazy_half_analysis(residual)
        moved = Z if self.held == "activations" else Z.copy()
        found: dict[int, list[Any]] = {}

        def block(rows: slice) -> Array:
            gradient = gradient_at(rows)

            def piece(here: slice) -> tuple[Any, ...]:
                there = slice(rows.start + here.start, rows.start + here.stop)
                return self.updated(W, moved[:, there], gradient[here], there, iteration)

            found[rows.start] = summed(piece, pieces(len(gradient), _piece_rows(*W.shape)))
            return self.alpha[None, rows]

        fitted = frame.half_syntheses(block, 1, T, self.alpha.dtype)[0]
        self.latest[:] = [iteration]
        in_order = [found[rows.start] for rows in frame.blocks(T)]
        cost, *sums = (sum(values) for values in zip(*in_order, strict=True))
        return State(iteration, W, moved, self, self.x - fitted, cost, tuple(sums))

    # ---- the model ---------------------------------------------------------------------------

    def variances(self, W: Array, Z: Array) -> Array:
        """``v = ε + Σ_k Z_k W_k`` of a few frames, ``(n, F)``."""
        v = Z.T @ W
        v += BACKGROUND * self.method.noise
        return np.asarray(v)

    def cost(self, explained: Array, v: Array, s: Array | None, energy: Array) -> float:
        """What a few frames add to the objective, over ``λ``, from ``p / v`` and the others.

        The sum over all channels of ``p/v + log(v/ε)``, or of ``p/v + log(v/s) - 1 + γs/λ``.
        """
        if s is None:
            cost = explained + np.log(v / (BACKGROUND * self.method.noise))
        else:
            cost = explained + np.log(v / s) - 1 + s * energy
        return float(np.sum(cost @ self.counts, dtype=float))

    def record(self, state: State) -> dict[str, float]:
        error, power = (np.sum(np.square(each, dtype=float)) for each in (state.residual, self.x))
        noise = self.noise_at(state.iteration)
        return {
            "objective": float(error + noise * state.cost),
            "relative_residual": float(np.sqrt(error / power)),
            "noise": noise,
        }

    def noise_at(self, iteration: int) -> float:
        """``λ`` of an iteration."""
        method = self.method
        return float(method.noise * max(1.0, method.annealing * COOLING**iteration))

    def kept(self) -> dict[str, Any]:
        return {"alpha": self.alpha, "latest": self.latest}

    def keeping(self, kept: Mapping[str, Any]) -> Problem:
        self.alpha[:], self.latest[:] = kept["alpha"], kept["latest"]
        return self

    @cached_property
    def alpha(self) -> Array:
        """``α``, ``(N, F)``, updated in place: the coefficients are what takes the memory."""
        return np.zeros(self.method.shape(self.x.size), np.result_type(self.x.dtype, np.complex64))

    @cached_property
    def bound(self) -> float:
        """``L = ‖Φ‖²``."""
        return float(self.method.frame.bounds(self.x.size)[1])

    @cached_property
    def counts(self) -> Array:
        """How many of all ``M`` channels each of the kept ones stands for, ``(F,)``."""
        counts = np.full(self.alpha.shape[1], 2, self.x.dtype)
        counts[0] = 1
        if self.method.frame.channels % 2 == 0:
            counts[-1] = 1
        return counts

    @cached_property
    def energies(self) -> Array:
        """``γ``, the energy of each frame's atoms within the signal, ``(N, 1)``."""
        frame, T = self.method.frame, self.x.size
        before = np.concatenate([[0.0], np.cumsum(frame.window.astype(float) ** 2)])
        first = frame.first_sample + frame.hop * np.arange(len(self.alpha))
        end, begin = (before[np.clip(edge - first, 0, frame.window.size)] for edge in (T, 0))
        return np.asarray((end - begin)[:, None]).astype(self.x.dtype)

    # ---- starts and results ------------------------------------------------------------------

    def first(self, W: Array, Z: Array) -> State:
        """Coefficients shrunk from the analysis coefficients; the factors as they are."""
        return self.swept(0, W, Z, self.x)

    def drawn(self, K: int, start: str, rng: np.random.Generator) -> tuple[Array, Array]:
        """The mean spectrum and the loudness of the frames, times random numbers."""
        spectrum, loudness = self._rank_one(self.x)
        W, Z = (
            (0.5 + rng.random((K, each.size)).astype(self.x.dtype)) for each in (spectrum, loudness)
        )
        return W * (spectrum / K), Z * loudness

    def activations_for(self, W: Array) -> Array:
        """The power of each frame, to equal parts."""
        spectrum, loudness = self._rank_one(self.x)
        sizes = len(W) * (W @ self.counts)
        parts = np.where(sizes > 0, spectrum @ self.counts, 0) / np.where(sizes > 0, sizes, 1)
        return np.asarray(parts[:, None] * loudness)

    def taken(self, found: Decomposition) -> tuple[Array, Array]:
        """Its own factors, of powers; where it has none, those of its components, nowhere 0."""
        frame, T, dtype = self.method.frame, self.x.size, self.x.dtype
        own = own_factors(found, frame, T, 2.0, dtype)
        if own is not None:
            return own
        sounds = (found.component(k)[:T].astype(dtype) for k in range(found.n_components))
        W, Z = zip(*(self._rank_one(placed(sound, 0, T)) for sound in sounds), strict=True)
        shares = continued(np.stack(Z), found.residual.size, frame)
        return _above_zero(np.stack(W)), _above_zero(shares)

    def _rank_one(self, x: Array) -> tuple[Array, Array]:
        """The mean power of ``Φ* x / L`` in each channel, and each frame's share; nowhere 0."""
        frame = self.method.frame
        rows_of = frame.lazy_half_analysis(x)

        def powers(rows: slice) -> tuple[Array, Array]:
            X = rows_of(rows) / self.bound
            V = X.real**2 + X.imag**2
            return V.sum(axis=0), V @ self.counts

        spectrum, by_frame = np.zeros_like(self.counts), []
        for of_channels, of_frames in in_threads(powers, frame.blocks(x.size)):
            spectrum += of_channels
            by_frame.append(of_frames)
        spectrum /= len(self.alpha)
        power = max(float(spectrum @ self.counts), float(np.finfo(x.dtype).tiny))
        loudness = np.concatenate(by_frame) / power
        return _above_zero(spectrum), _above_zero(loudness)

    def result(self, state: State) -> dict[str, Any]:
        """Each component is its share of ``Φα``."""
        W, Z, alpha = state.patterns, state.activations, state.coefficients

        def parts(rows: slice) -> Any:
            return (mask * alpha[rows] for mask in wiener_masks(W, Z[:, rows]))

        frame = self.method.frame
        sounds = frame.half_syntheses(parts, len(W), self.x.size, alpha.dtype)
        return spectra_and_sounds(frame, W, sounds, state.residual)


@dataclass(frozen=True, eq=False)
class State(method.State):
    r"""One iterate, with what the next one is computed from.

    Parameters
    ----------
    residual : array (T,)
        ``x - Φα``.
    cost : float
        What the coefficients and their variances add to the objective, over ``λ``.
    sums : tuple of arrays (K, F)
        ``Z (p / v²)`` and ``Z (1 / v)``; none where the patterns are held.

    Examples
    --------
    >>> x = np.sin(0.3 * np.arange(200.0))
    >>> start = next(LRTFS(frame=hann(32, 8)).iterate(x, 1))
    >>> start.patterns.shape, start.activations.shape, start.coefficients.shape
    ((1, 17), (1, 28), (28, 17))
    """

    residual: Array
    cost: float
    sums: tuple[Array, ...]

    @property
    def coefficients(self) -> Array:
        """``α``, channels 0 to ``M // 2``, ``(N, F)``; refused once it is overwritten."""
        self.require_latest()
        coefficients: Array = self.problem.alpha
        return coefficients

    def require_latest(self) -> None:
        """Refuse an iterate whose coefficients a later one has overwritten."""
        (latest,) = self.problem.latest
        if latest != self.iteration:
            raise RuntimeError(
                f"the coefficients of iteration {self.iteration} were overwritten by iteration "
                f"{latest}: take what you need of a state before the next one"
            )


# ---- coefficients and their variances ----------------------------------------------------------


def shrunk(z: Array, v: Array, threshold: float) -> Array:
    r"""Coefficients of variance ``v`` from what is seen of them under noise: a Wiener filter.

    .. math:: \arg\min_α \; \frac{|α - z|^2}{θ} + \frac{|α|^2}{v} = \frac{v}{v + θ} z

    Parameters
    ----------
    z : complex array
        Coefficients after a gradient step.
    v : array
        Their variances.
    threshold : float
        ``θ = λ / ‖Φ‖²``.

    Examples
    --------
    >>> shrunk(np.array([2j]), np.array([3.0]), 1.0)
    array([0.+1.5j])
    """
    return np.asarray(z * (v / (v + threshold)))


def posterior_variance(v: Array, energy: Array, noise: float) -> Array:
    r"""Variance of each coefficient, given the signal and the other coefficients.

    .. math:: s = \Big( \frac1v + \frac{γ}{λ} \Big)^{-1} = \frac{λ v}{λ + γ v}

    Parameters
    ----------
    v : array (N, F)
        Variances before.
    energy : array (N, 1)
        ``γ``, energies of the atoms.
    noise : float
        ``λ``.

    Examples
    --------
    >>> posterior_variance(np.array([[3.0]]), np.array([[0.5]]), 1.0)
    array([[1.2]])

    References
    ----------
    Reference [18] of the paper has ``γ = 1``.
    """
    return np.asarray(v / (1 + v * (energy / noise)))


def _above_zero(factor: Array) -> Array:
    """At least a millionth of its mean: a multiplicative update would keep a zero."""
    return np.asarray(np.maximum(factor, 1e-6 * factor.mean()))


def _piece_rows(K: int, F: int) -> int:
    """Frames in one piece: few enough for the cache, and for BLAS to stay in its thread."""
    return max(1, SINGLE // (K * F))


# ---- options ---------------------------------------------------------------------------------


def _annealing(value: Any, name: str) -> float:
    if non_negative(value, name) < 1:
        raise ValueError(f"{name} must be at least 1, got {value}")
    return float(value)


def _relaxation(value: Any, name: str) -> float:
    if not 0 < non_negative(value, name) < 2:
        raise ValueError(f"{name} must lie between 0 and 2, got {value}")
    return float(value)


@dataclass(frozen=True, kw_only=True, repr=False)
class LRTFS(OnFrames, name="lrtfs"):
    r"""Low-rank time-frequency synthesis: coefficients of a signal, and factors of their variances.

    The objective of the joint estimation, with ``v = ε + Σ_k Z_k W_k`` and the sums over all ``M``
    channels:

    .. math::
        \|x - Φα\|^2 + λ \sum_{τ,ν} \Big( \frac{|α|^2}{v} + \log\frac{v}{ε} \Big)

    That of the marginal one, which bounds minus twice the log-likelihood of ``W`` and ``Z``; here
    ``α`` is the mean of the coefficients, ``s`` their variance and ``γ_τ`` the energy of an atom:

    .. math::
        \|x - Φα\|^2 + \sum_{τ,ν} γ_τ s
        + λ \sum_{τ,ν} \Big( \frac{|α|^2 + s}{v} + \log\frac{v}{s} - 1 \Big)

    The signal must not be constant. The frame may be any; a tight one is best. Spectra and
    activations are of powers. The start is the mean spectrum and the loudness of the frames, times
    random numbers. No iteration raises the objective. Where a factor is held the coefficients and
    the other factor move; nothing is normalised, held or not.

    Raises
    ------
    ValueError
        For an option that does not meet its rule.

    Examples
    --------
    >>> x = np.sin(0.3 * np.arange(200.0))
    >>> found = LRTFS(frame=hann(32, 8), noise=1e-3, iterations=5).decompose(x, 1)
    >>> np.allclose(found.components().sum(axis=0) + found.residual, x)
    True
    >>> bool(found.history["relative_residual"][-1] < 0.1)
    True

    References
    ----------
    Reference [18] of the paper.
    """

    frame: GaborFrame = on(hann(2048, 512))
    noise: float | None = option(
        None,
        "``λ``, the variance of the noise, in squared units of the signal; None takes a hundredth "
        "of the mean of ``x²``.",
        optional(non_negative),
    )
    estimation: str = option(
        "marginal",
        "What is maximised: the likelihood of ``W`` and ``Z``, of which the coefficients are "
        "integrated out (a bound of it: variational EM); or that of ``W``, ``Z`` and ``α``.",
        OneOf("marginal", "joint"),
    )
    annealing: float = option(
        1.0,
        "How many times larger ``λ`` is at first; it falls by a tenth an iteration down to the "
        "``noise``. 1: it stays.",
        _annealing,
    )
    relaxation: float = option(
        1.0,
        "How far the coefficients move towards the minimiser of their majoriser: 1, as in "
        "reference [18], or further, below 2, which is faster where the frame is redundant.",
        _relaxation,
    )

    def check(self, x: Array) -> None:
        require_change(x)
        noise, least = self.resolved(x).noise, float(np.finfo(x.dtype).tiny) / BACKGROUND**2
        if noise is not None and noise < least:
            raise ValueError(f"noise must be at least {least:.2g} in {x.dtype}, got {noise}")

    def resolved(self, x: Array) -> Self:
        if self.noise is not None:
            return self
        return replace(self, noise=0.01 * float(np.mean(np.square(x, dtype=float))))

    def problem(self, x: Array, K: int, **asked: Any) -> Problem:
        asked["about"] = {**asked.get("about", {}), "power": 2}
        return Problem(method=self, x=x, **asked)

    def bytes_needed(self, n_samples: int, K: int, dtype: np.dtype) -> int:
        """Most of it is for the coefficients."""
        frame, (N, F) = self.frame, self.shape(n_samples)
        blocks = frame.blocks(n_samples)
        coefficients = 2 * N * F
        signals = (2 * K + 8) * n_samples
        factors = 4 * K * (N + F) + 2 * K * F * len(blocks)
        block = blocks[0].stop * max(frame.channels, frame.window.size)
        piece = min(blocks[0].stop, _piece_rows(K, F)) * F
        temporaries = min(n_threads(), len(blocks)) * 6 * block + n_threads() * 12 * piece
        return int((coefficients + signals + factors + temporaries) * dtype.itemsize)
