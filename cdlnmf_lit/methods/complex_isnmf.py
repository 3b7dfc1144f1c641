r"""Complex ISNMF: sources with a variance that factorises and a phase that is expected.

The model of reference [17]: the coefficients of component ``k`` have a magnitude whose square is
``v_k = W_k Z_k`` in the mean and a phase near ``ψ_k``, as near as the concentration ``κ`` says.
With ``κ = 0`` it is NMF with the Itakura-Saito divergence and Wiener filters.

Chapter: ``book/methods/complex_isnmf.md``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any

import numpy as np
import scipy.special
from numpy.typing import ArrayLike

from cdlnmf_lit.methods import nmf
from cdlnmf_lit.methods.complex_nmf import unit
from cdlnmf_lit.methods.decomposition import Decomposition, run
from cdlnmf_lit.methods.resources import Estimate, require_memory, seconds_of
from cdlnmf_lit.methods.starts import OPENING, factors_of, given, of_as_many
from cdlnmf_lit.theory.arguments import Array, array, choice, integer, non_negative, signal
from cdlnmf_lit.theory.blocks import SINGLE, in_threads, n_threads, pieces
from cdlnmf_lit.theory.gabor import GaborFrame

STARTS = ("nmf", "random")
MOST_CONCENTRATED = {"float32": 1e6, "float64": 1e8}
"""The largest ``κ``: beyond it the variance across a phase is lost to rounding."""
WARM_UP = 50
"""Updates of NMF that the start "nmf" takes from random factors."""
RISE, AUDIBLE = 1.1, 1e-3
"""A stroke: power that grows so many times in a frame, to such a share of its largest."""

# ---- the model -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Anisotropy:
    r"""Moments of a coefficient of power 1 and phase around 0, whose magnitude is Rayleigh's.

    .. math:: \bar ξ = \frac{\sqrt π}{2} \frac{I_1(κ)}{I_0(κ)}, \qquad
              ρ = \frac{I_2(κ)}{I_0(κ)} - \bar ξ^2

    Parameters
    ----------
    mean : float
        ``ξ̄``; the ``λ`` of [17].
    along, across : float
        ``σ_ξ = (1 - ξ̄² + ρ) / 2``, ``σ_ζ = (1 - ξ̄² - ρ) / 2``, the variances in the direction of
        the phase and at right angles to it.

    Examples
    --------
    >>> Anisotropy.of(0.0)
    Anisotropy(mean=0.0, along=0.5, across=0.5)

    References
    ----------
    Reference [17]. Chapter: ``book/methods/complex_isnmf.md``.
    """

    mean: float
    along: float
    across: float

    @classmethod
    def of(cls, concentration: float) -> Anisotropy:
        """The moments for ``κ``, with phases as von Mises has them."""
        first, second = (
            float(scipy.special.ive(n, concentration) / scipy.special.ive(0, concentration))
            for n in (1, 2)
        )
        mean = np.sqrt(np.pi) / 2 * first
        return cls(float(mean), float((1 + second) / 2 - mean**2), (1 - second) / 2)


def peak_frequencies(W: Array) -> Array:
    """For each channel the frequency of the partial that it belongs to, in channels.

    A partial is a peak, placed by a parabola through the logarithms of three channels; it reaches
    as far as the lowest channel on the way to the next. Without a peak: the channel's own.

    Parameters
    ----------
    W : array (K, F)
        Spectra, ``≥ 0``.

    Returns
    -------
    array (K, F)

    Examples
    --------
    >>> peak_frequencies(np.array([[1.0, 4.0, 1.0, 0.5, 1.0, 2.0, 2.0, 0.1]]))
    array([[1. , 1. , 1. , 5.5, 5.5, 5.5, 5.5, 5.5]])

    References
    ----------
    Reference [17]. Chapter: ``book/methods/complex_isnmf.md``.
    """
    found = np.tile(np.arange(W.shape[1], dtype=W.dtype), (len(W), 1))
    for w, row in zip(np.log(np.maximum(W, np.finfo(W.dtype).tiny)), found, strict=True):
        left, middle, right = w[:-2], w[1:-1], w[2:]
        peaks = 1 + np.flatnonzero((middle > left) & (middle >= right))
        if peaks.size:
            left, middle, right = w[peaks - 1], w[peaks], w[peaks + 1]
            places = peaks + (left - right) / (2 * (left - 2 * middle + right))
            valleys = [p + int(np.argmin(w[p:q])) for p, q in pairwise(peaks)]
            row[:] = places[np.searchsorted(valleys, np.arange(w.size), side="right")]
    return found


def onsets(Z: Array) -> Array:
    """For each frame the last one in which the component was struck, or the first of all.

    A stroke lasts as long as the power grows by more than a tenth from one frame to the next: until
    the window is full of the note. What is too faint does not count.

    Parameters
    ----------
    Z : array (K, N)
        Activations of powers.

    Returns
    -------
    int array (K, N)

    Examples
    --------
    >>> onsets(np.array([[0.0, 1.0, 8.0, 6.0, 4.0, 9.0, 7.0]]))
    array([[0, 1, 2, 2, 2, 5, 5]])

    References
    ----------
    Reference [17]. Chapter: ``book/methods/complex_isnmf.md``.
    """
    struck = np.zeros(Z.shape, bool)
    struck[:, 1:] = Z[:, 1:] > RISE * Z[:, :-1]
    struck &= Z > AUDIBLE * Z.max(axis=1, keepdims=True)
    return np.maximum.accumulate(np.where(struck, np.arange(Z.shape[1]), 0), axis=1)


@dataclass(frozen=True, eq=False)
class ExpectedPhases:
    r"""Phases of components that ring on from their onsets, computed block by block.

    .. math:: ψ_k[n, f] = \arg X[n_0, f] + 2π \frac{a}{M} ν_k(f) (n - n_0),
              \qquad n_0 = \text{onsets}_k[n]

    Parameters
    ----------
    X : complex array (N, F)
        The mixture, whose phase each partial starts with.
    advance : array (K, F)
        ``2π a ν_k(f) / M``, radians from a frame to the next.
    onsets : int array (K, N)

    Examples
    --------
    >>> X = np.array([[1.0 + 0j], [1j]])
    >>> phases = ExpectedPhases(X, np.array([[np.pi]]), np.array([[0, 0]]))
    >>> np.round(phases(slice(0, 2))[0, :, 0].real)
    array([ 1., -1.])

    References
    ----------
    Reference [17]. Chapter: ``book/methods/complex_isnmf.md``.
    """

    X: Array
    advance: Array
    onsets: Array

    def __call__(self, rows: slice) -> Array:
        """``exp(iψ_k)`` of some frames, ``(K, n, F)``."""
        U = np.empty((len(self.advance), rows.stop - rows.start, self.X.shape[1]), self.X.dtype)
        step = np.exp(1j * self.advance).astype(U.dtype)
        for u, turn, angle, begun in zip(U, step, self.advance, self.onsets, strict=True):
            for i, n in enumerate(range(rows.start, rows.stop)):
                if begun[n] == n:
                    u[i] = unit(self.X[n])
                elif i:
                    np.multiply(u[i - 1], turn, out=u[i])
                else:
                    u[i] = unit(self.X[begun[n]]) * np.exp(1j * (n - begun[n]) * angle)
        return U


# ---- one iteration on a block --------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Posterior:
    r"""What a block of the mixture says of its components: all that the E step needs.

    The mixture has the mean ``Σ m_k``, the variance ``γ = Σ γ_k + ε`` and the relation
    ``c = Σ c_k``; ``η = c / γ``, and ``y`` is the deviation from the mean, whitened by the two.

    Parameters
    ----------
    W : array (K, F)
    Z : array (K, n)
    phases : complex array (K, n, F), or None
        ``exp(iψ_k)``; None where none are expected.
    shape : Anisotropy
    whitened, relation : complex array (n, F)
        ``y`` and ``η``.
    precision : array (n, F)
        ``1 / (γ (1 - |η|²))``.
    surprise : float
        Negative log-likelihood of the block, but for ``log π`` a coefficient.

    Examples
    --------
    >>> one = np.ones((1, 1))
    >>> found = Posterior.of(2j * one, one, one, None, Anisotropy.of(0.0), noise=1.0)
    >>> found.mean(0)
    array([[0.+1.j]])

    References
    ----------
    Reference [17]. Chapter: ``book/methods/complex_isnmf.md``.
    """

    W: Array
    Z: Array
    phases: Array | None
    shape: Anisotropy
    whitened: Array
    relation: Array
    precision: Array
    surprise: float

    @classmethod
    def of(
        cls, X: Array, W: Array, Z: Array, phases: Array | None, shape: Anisotropy, noise: float
    ) -> Posterior:
        """The posterior of the components of ``X`` (n, F), and noise of variance ``ε``."""
        isotropic = shape.along + shape.across
        gamma = isotropic * (Z.T @ W) + W.dtype.type(noise)
        delta, eta = X, np.zeros_like(X)
        if phases is not None:
            delta = X.copy()
            for w, z, u in zip(W, Z, phases, strict=True):
                v = z[:, None] * w
                delta -= shape.mean * np.sqrt(v) * u
                eta += v * u**2
            eta *= (shape.along - shape.across) / gamma
        slack = 1 - (eta.real**2 + eta.imag**2)
        precision = 1 / (gamma * slack)
        y = (delta - eta * delta.conj()) * precision
        surprise = np.log(gamma) + np.log(slack) / 2 + (delta.conj() * y).real
        return cls(W, Z, phases, shape, y, eta, precision, float(surprise.sum(dtype=float)))

    def _seen(self, k: int) -> tuple[Array, Array, Array, Any]:
        """Power ``v_k``, and the mean of ``s_k / (√v_k u_k)`` along the phase and across it."""
        v = self.Z[k][:, None] * self.W[k]
        u = v.dtype.type(1) if self.phases is None else self.phases[k]
        y = np.sqrt(v) * (self.whitened * np.conj(u))
        return v, self.shape.mean + 2 * self.shape.along * y.real, 2 * self.shape.across * y.imag, u

    def mean(self, k: int) -> Array:
        """The expected component: an anisotropic Wiener filter, ``(n, F)``."""
        v, along, across, u = self._seen(k)
        return np.asarray(np.sqrt(v) * (along + 1j * across) * u)

    def moments(self, k: int) -> tuple[Array, Array]:
        r"""The numbers of the M step, ``p`` and ``q``, ``(n, F)`` each.

        In ``r = √(v_k / v)`` the expected negative log-likelihood of the component is
        ``-2 log r + p r² - q r`` but for a constant.
        """
        v, along, across, u = self._seen(k)
        shape, least = self.shape, np.finfo(v.dtype).eps
        turned = (self.relation * np.conj(u) ** 2).real
        told = shape.along + shape.across - (shape.along - shape.across) * turned
        p = np.maximum(1 - v * self.precision * told, least)
        p += (along**2 / shape.along + across**2 / shape.across) / 2
        return p, shape.mean / shape.along * along


def root_of_change(p: Array, q: Array, count: int) -> Array:
    r"""Where ``-2 n log r + p r² - q r`` is least over ``r > 0``.

    .. math:: r = \frac{q + \sqrt{q^2 + 16 n p}}{4 p}

    Parameters
    ----------
    p, q : arrays
        Sums of the moments over what shares the factor; ``p > 0``.
    count : int
        ``n``, how many they are the sum of.

    Returns
    -------
    array
        The factor is to be divided by its square.

    Examples
    --------
    >>> root_of_change(np.array([4.0]), np.array([0.0]), 1)
    array([0.5])

    References
    ----------
    Reference [17]. Chapter: ``book/methods/complex_isnmf.md``.
    """
    return (q + np.sqrt(q**2 + 16 * count * p)) / (4 * p)


# ---- a matrix ------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Factors:
    r"""One iterate of complex ISNMF.

    Parameters
    ----------
    iteration : int
        Iterations done.
    spectra : array (K, F)
        ``W``, of sum 1 (or 0, for a component that is silent): powers.
    activations : array (K, N)
        ``Z ≥ 0``: powers.
    objective : float
        Negative log-likelihood of the mixture, but for ``N F log π``. May be negative.
    problem : Problem

    Examples
    --------
    >>> start = next(factorize(np.ones((3, 2)) + 0j, 1, rng=0))
    >>> start.iteration, start.spectra.shape, start.activations.shape
    (0, (1, 2), (1, 3))

    References
    ----------
    Reference [17]. Chapter: ``book/methods/complex_isnmf.md``.
    """

    iteration: int
    spectra: Array
    activations: Array
    objective: float
    problem: Problem


@dataclass(frozen=True, eq=False)
class Problem:
    """The mixture, and what does not change while the model is fitted to it.

    Parameters
    ----------
    X : complex array (N, F)
    shape : Anisotropy
    phases : ExpectedPhases, or array (K, N, F), or None
        Where phases are expected; None if ``κ = 0``.
    noise : float
        ``ε``, the variance of what belongs to no component.

    Examples
    --------
    >>> X, one = np.full((2, 1), 3j), np.ones((1, 1))
    >>> problem = Problem(X, Anisotropy.of(0.0), None, noise=1e-9)
    >>> objective, W, Z = problem.updated(one, np.ones((1, 2)))
    >>> np.round(Z, 6)
    array([[9., 9.]])

    References
    ----------
    Reference [17]. Chapter: ``book/methods/complex_isnmf.md``.
    """

    X: Array
    shape: Anisotropy
    phases: ExpectedPhases | Array | None
    noise: float

    def posterior(self, W: Array, Z: Array, rows: slice) -> Posterior:
        """What some frames say of the components."""
        if isinstance(self.phases, ExpectedPhases):
            U: Array | None = self.phases(rows)
        else:
            U = None if self.phases is None else self.phases[:, rows]
        return Posterior.of(self.X[rows], W, Z[:, rows], U, self.shape, self.noise)

    def updated(self, W: Array, Z: Array) -> tuple[float, Array, Array]:
        """The objective at ``W, Z``, and the factors after one EM iteration."""
        (K, F), N = W.shape, len(self.X)
        blocks = pieces(N, max(1, SINGLE // (K * F)))
        followed = np.empty_like(Z)

        def visit(rows: slice) -> tuple[float, Array, Array]:
            found = self.posterior(W, Z, rows)
            P, Q = np.empty_like(W), np.empty_like(W)
            for k in range(K):
                p, q = found.moments(k)
                r = root_of_change(p.sum(axis=1), q.sum(axis=1), F)
                followed[k, rows] = Z[k, rows] / r**2
                P[k], Q[k] = r**2 @ p, r @ q
            return found.surprise, P, Q

        surprise, P, Q = 0.0, np.zeros_like(W), np.zeros_like(W)
        for surprise_of_block, P_of_block, Q_of_block in in_threads(visit, blocks):
            surprise += surprise_of_block
            P += P_of_block
            Q += Q_of_block
        moved = W / root_of_change(P, Q, N) ** 2
        return surprise, *_normalised(moved, followed)


def _normalised(W: Array, Z: Array) -> tuple[Array, Array]:
    """The same products with spectra of sum 1."""
    sizes = W.sum(axis=1, keepdims=True)
    sizes[sizes == 0] = 1
    return W / sizes, Z * sizes


def factorize(
    X: ArrayLike,
    n_components: int,
    *,
    concentration: float = 1.0,
    noise_floor: float = 1e-8,
    hop_ratio: float = 0.25,
    phases: ArrayLike | None = None,
    start: str | tuple[ArrayLike, ArrayLike] = "nmf",
    rng: Any = None,
) -> Iterator[Factors]:
    r"""Iterate complex ISNMF of a matrix: yield the start, then an iterate each time, without end.

    .. math::
        \max_{W, Z ≥ 0} \; \log p(X), \quad X = \sum_k s_k + \text{noise}, \quad v_k = W_k Z_k,
        s_k \sim \mathcal N(\bar ξ\sqrt{v_k} e^{iψ_k}, (1 - \bar ξ^2) v_k, ρ v_k e^{2iψ_k})

    Parameters
    ----------
    X : complex array (N, F)
    n_components : int
        ``K``.
    concentration : float
        ``κ`` of the phases; 0 for phases that nothing is known of.
    noise_floor : float
        Variance of the noise, relative to the mean of ``|X|²``; above 0, or silence would have an
        infinite likelihood.
    hop_ratio : float
        ``a / M``, the hop over the channels: what a channel is turned by from frame to frame.
    phases : complex array (K, N, F), optional
        ``exp(iψ_k)``, where they are known. By default :class:`ExpectedPhases`, from the start's
        factors; they stay the same through the iterations.
    start : {"nmf", "random"}, or pair of arrays
        Random factors after 50 updates of NMF (Kullback-Leibler, of the magnitudes), or as they
        are; or spectra ``(K, F)`` and activations ``(K, N)``, of powers.
    rng : seed or numpy.random.Generator
        For the start.

    Yields
    ------
    Factors

    Raises
    ------
    ValueError
        For a matrix of zeros, more components than rows or columns, a concentration below 0 or
        above 1e8 (1e6 in single precision), a noise floor or hop ratio that is not positive, phases
        or a start of the wrong shape or sign.

    Examples
    --------
    >>> X = np.outer([1.0, 2.0, 0.5], [1.0, 1j, 3.0])
    >>> iterates = factorize(X, 1, concentration=0.0, rng=0)
    >>> next(iterates).objective > next(iterates).objective
    True

    References
    ----------
    Reference [17]. Chapter: ``book/methods/complex_isnmf.md``.
    """
    X = array(X, "X", 2, allow_complex=True)
    if not np.any(X):
        raise ValueError("X must not be zero everywhere")
    X = X.astype(np.result_type(X.dtype, np.complex64), copy=False)
    real, (N, F) = X.real.dtype, X.shape
    K = integer(n_components, "n_components", at_most=min(N, F))
    kappa, floor, ratio = (
        _concentration(concentration, real),
        _positive(noise_floor, "noise_floor"),
        _positive(hop_ratio, "hop_ratio"),
    )
    known: Array | None = None
    if phases is not None:
        known = np.asarray(phases)
        if known.shape != (K, N, F) or not np.all(np.isfinite(known)):
            raise ValueError(f"phases must be finite, of shape {K, N, F}, got {known.shape}")
        known = unit(known.astype(X.dtype))
    if isinstance(start, tuple):
        W, Z = given(start, {"spectra": (K, F), "activations": (K, N)}, real)
    else:
        W, Z = _drawn(X, K, choice(start, "start", STARTS), np.random.default_rng(rng))
    expected: ExpectedPhases | Array | None = known
    if kappa == 0:
        expected = None
    elif known is None:
        advance = (2 * np.pi * ratio * peak_frequencies(W)).astype(real)
        expected = ExpectedPhases(X, advance, onsets(Z))
    noise = floor * float(np.vdot(X, X).real) / X.size
    return _iterates(Problem(X, Anisotropy.of(kappa), expected, noise), *_normalised(W, Z))


def _iterates(problem: Problem, W: Array, Z: Array) -> Iterator[Factors]:
    iteration = 0
    while True:
        objective, *following = problem.updated(W, Z)
        yield Factors(iteration, W, Z, objective, problem)
        W, Z = following
        iteration += 1


def _concentration(value: Any, dtype: np.dtype) -> float:
    kappa, most = non_negative(value, "concentration"), MOST_CONCENTRATED[dtype.name]
    if kappa > most:
        raise ValueError(f"concentration must be at most {most:g} in {dtype}, got {value!r}")
    return kappa


def _positive(value: Any, name: str) -> float:
    if non_negative(value, name) == 0:
        raise ValueError(f"{name} must be positive, got {value!r}")
    return float(value)


def _drawn(X: Array, K: int, start: str, rng: np.random.Generator) -> tuple[Array, Array]:
    """Factors of powers: those that NMF starts with, or reaches in some updates, squared."""
    iterates = nmf.factorize(np.abs(X), K, rng=rng)
    found = next(islice(iterates, WARM_UP if start == "nmf" else 0, None))
    W, Z = np.square(found.spectra), np.square(found.activations)
    return np.maximum(W, OPENING * W.max()), np.maximum(Z, OPENING * Z.max())


# ---- a signal ------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class State:
    """One iterate of complex ISNMF of a signal's coefficients.

    Parameters
    ----------
    factors : Factors
        The iterate itself.
    x : array (T,)
        The signal.
    frame : GaborFrame
    parameters : dict
        For the record.

    Examples
    --------
    >>> x, frame = np.sin(0.3 * np.arange(200.0)), GaborFrame("hann", 8, 32).tight()
    >>> start = next(iterate(x, 1, frame, rng=0))
    >>> start.factors.spectra.shape, sorted(start.record)
    ((1, 17), ['objective'])

    References
    ----------
    Reference [17]. Chapter: ``book/methods/complex_isnmf.md``.
    """

    factors: Factors
    x: Array
    frame: GaborFrame
    parameters: dict[str, Any]

    @property
    def record(self) -> dict[str, float]:
        """What the history keeps."""
        return {"objective": self.factors.objective}

    def decomposition(self) -> Decomposition:
        """This iterate as a :class:`Decomposition`: what is expected of each component."""
        factors, x, frame = self.factors, self.x, self.frame
        W, Z = factors.spectra, factors.activations

        def coefficients(rows: slice) -> Array:
            found = factors.problem.posterior(W, Z, rows)
            return np.stack([found.mean(k) for k in range(len(W))])

        sounds = frame.dual().half_syntheses(coefficients, len(W), x.size, x.dtype)
        return Decomposition(
            method="complex-isnmf",
            atoms=None,
            activations=Z,
            hop=frame.hop,
            first_sample=frame.first_sample,
            residual=x - sounds.sum(axis=0),
            history={},
            status=f"at iteration {factors.iteration}",
            parameters=dict(self.parameters),
            spectra=W,
            sounds=sounds,
        )


def iterate(
    x: ArrayLike,
    n_components: int,
    frame: GaborFrame | None = None,
    *,
    concentration: float = 1.0,
    noise_floor: float = 1e-8,
    start: str | Decomposition | tuple[ArrayLike, ArrayLike] = "nmf",
    rng: Any = None,
) -> Iterator[State]:
    """Iterate complex ISNMF of a signal's analysis coefficients: yield states without end.

    What is maximised is that of :func:`factorize`, over the channels 0 to ``M // 2``.

    Parameters
    ----------
    x : array (T,)
        The signal.
    n_components : int
        ``K``.
    frame : GaborFrame, optional
        With time-invariant phases. Default: :func:`default_frame`.
    concentration : float
        ``κ`` of the phases around those of ringing partials; 0: NMF with Wiener filters.
    noise_floor : float
        Variance of what belongs to no component, relative to the mean power; above 0.
    start : {"nmf", "random"}, Decomposition, or pair of arrays
        Initial values: random ones after 50 updates of NMF; random ones; any method's result; or
        spectra ``(K, M // 2 + 1)`` and activations ``(K, N)`` of powers. The expected phases are
        computed from them.
    rng : seed or numpy.random.Generator
        For the start.

    Yields
    ------
    State

    Raises
    ------
    ValueError
        For a signal that is silent throughout, a frame whose phases are frequency-invariant, and as
        :func:`factorize`.
    MemoryError
        If the arrays it needs exceed the memory there is: see :func:`estimate`.

    Examples
    --------
    >>> x, frame = np.sin(0.3 * np.arange(200.0)), GaborFrame("hann", 8, 32).tight()
    >>> states = iterate(x, 1, frame, rng=0)
    >>> next(states).record["objective"] > next(states).record["objective"]
    True

    References
    ----------
    Reference [17]. Chapter: ``book/methods/complex_isnmf.md``.
    """
    x = signal(x)
    if not np.any(x):
        raise ValueError("x must not be zero everywhere")
    frame = default_frame() if frame is None else frame
    if frame.phase != "time-invariant":
        raise ValueError(f"frame must count its phase time-invariant, got {frame.phase!r}")
    N, F = frame.n_frames(x.size), frame.channels // 2 + 1
    K = integer(n_components, "n_components", at_most=min(N, F))
    if isinstance(start, Decomposition):
        of_as_many(start, K)
    elif not isinstance(start, tuple):
        choice(start, "start", STARTS)
    parameters = {
        "n_components": K,
        "hop": frame.hop,
        "channels": frame.channels,
        "window_length": frame.window.size,
        "power": 2,
        "concentration": _concentration(concentration, x.dtype),
        "noise_floor": _positive(noise_floor, "noise_floor"),
        "start": start if isinstance(start, str) else type(start).__name__,
    }
    require_memory(
        _bytes_needed(x.size, K, frame, x.dtype),
        f"factorising {N} frames of {F} channels into {K} components",
    )
    if isinstance(start, Decomposition):
        start = factors_of(start, frame, x.size, 2.0, x.dtype)
    iterates = factorize(
        frame.half_analysis(x),
        K,
        concentration=concentration,
        noise_floor=noise_floor,
        hop_ratio=frame.hop / frame.channels,
        start=start,
        rng=rng,
    )
    return (State(factors, x, frame, parameters) for factors in iterates)


def decompose(
    x: ArrayLike,
    n_components: int,
    frame: GaborFrame | None = None,
    *,
    concentration: float = 1.0,
    noise_floor: float = 1e-8,
    start: str | Decomposition | tuple[ArrayLike, ArrayLike] = "nmf",
    iterations: int = 100,
    tolerance: float = 0.0,
    rng: Any = None,
) -> Decomposition:
    """Decompose a signal by complex ISNMF: :func:`iterate`, run to its end.

    Parameters
    ----------
    x, n_components, frame, concentration, noise_floor, start, rng
        See :func:`iterate`.
    iterations, tolerance
        See :func:`cdlnmf_lit.methods.decomposition.run`.

    Returns
    -------
    Decomposition

    Raises
    ------
    ValueError, MemoryError
        See :func:`iterate`.

    Examples
    --------
    >>> x, frame = np.sin(0.3 * np.arange(200.0)), GaborFrame("hann", 8, 32).tight()
    >>> found = decompose(x, 1, frame, iterations=5, rng=0)
    >>> np.allclose(found.components().sum(axis=0) + found.residual, x)
    True

    References
    ----------
    Reference [17]. Chapter: ``book/methods/complex_isnmf.md``.
    """
    states = iterate(
        x,
        n_components,
        frame,
        concentration=concentration,
        noise_floor=noise_floor,
        start=start,
        rng=rng,
    )
    return run(states, iterations, tolerance)


def default_frame() -> GaborFrame:
    """A Hann window of 2048 samples, hop 512; made tight.

    From frame to frame a phase is followed by the frequency of its partial. What that frequency is
    wrong by counts once a hop, so the hop is to be short; and the window is to part the partials.

    Examples
    --------
    >>> default_frame().hop
    512

    References
    ----------
    Chapter: ``book/methods/complex_isnmf.md``.
    """
    return GaborFrame("hann", 512, 2048).tight()


# ---- before a run ---------------------------------------------------------------------------


def estimate(
    n_samples: int,
    n_components: int,
    frame: GaborFrame | None = None,
    *,
    dtype: Any = np.float64,
) -> Estimate:
    """Memory and time that :func:`iterate` will take, without running it.

    The memory is counted from the arrays; the time from one block of frames, timed on this
    machine, so it is rough.

    Examples
    --------
    >>> estimate(345_500, 4, dtype=np.float32).memory_bytes < 2 * 10**8
    True

    References
    ----------
    Chapter: ``book/methods/complex_isnmf.md``.
    """
    frame = default_frame() if frame is None else frame
    n_samples, K = integer(n_samples, "n_samples"), integer(n_components, "n_components")
    dtype = np.dtype(dtype)
    N, F = frame.n_frames(n_samples), frame.channels // 2 + 1
    n = min(N, max(1, SINGLE // (K * F)))
    X = np.ones((n, F), np.result_type(dtype, np.complex64))
    expected = ExpectedPhases(X, np.ones((K, F), dtype), np.zeros((K, n), int))
    problem = Problem(X, Anisotropy.of(1.0), expected, 1.0)
    W, Z = np.ones((K, F), dtype), np.ones((K, n), dtype)
    seconds = seconds_of(lambda: problem.updated(W, Z)) * N / n / n_threads()
    return Estimate(_bytes_needed(n_samples, K, frame, dtype), seconds)


def _bytes_needed(n_samples: int, K: int, frame: GaborFrame, dtype: Any) -> int:
    N, F = frame.n_frames(n_samples), frame.channels // 2 + 1
    waiting = min(len(pieces(N, max(1, SINGLE // (K * F)))), 2 * n_threads() + 1)
    factors = 10 * K * (N + F) + 2 * waiting * K * F
    sounds = (2 * K + 4) * n_samples
    block = min(N, n_threads() * frame.blocks(n_samples)[0].stop)
    block *= (5 * K + 12) * F + 2 * K * frame.hop + 2 * frame.channels
    return int((3 * N * F + factors + sounds + block) * np.dtype(dtype).itemsize)
