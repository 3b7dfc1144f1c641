r"""Complex ISNMF: sources with a variance that factorises and a phase that is expected.

The model of reference [17]: the coefficients of component ``k`` have a magnitude whose square is
``v_k = W_k Z_k`` in the mean and a phase near ``ψ_k``, as near as the concentration ``κ`` says.
With ``κ = 0`` it is NMF with the Itakura-Saito divergence and Wiener filters.

Chapter: ``book/methods/complex_isnmf.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice, pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cdlnmf_lit.methods import method
from cdlnmf_lit.methods.complex_nmf import unit
from cdlnmf_lit.methods.decomposition import Decomposition
from cdlnmf_lit.methods.factors import normalised
from cdlnmf_lit.methods.families import OnFrames, on, require_sound, spectra_and_sounds
from cdlnmf_lit.methods.nmf import NMF
from cdlnmf_lit.methods.options import anything, option, positive
from cdlnmf_lit.methods.starts import factors_of, opened
from cdlnmf_lit.theory.arguments import Array, array, integer, non_negative
from cdlnmf_lit.theory.blocks import SINGLE, n_threads, pieces, summed
from cdlnmf_lit.theory.gabor import GaborFrame, hann

MOST_CONCENTRATED = {"float32": 1e6, "float64": 1e8}
"""The largest ``κ``: beyond it the variance across a phase is lost to rounding."""
WARM_UP = 50
"""Updates of NMF that the start "nmf" takes from random factors."""


@dataclass(frozen=True, eq=False)
class Problem(method.Problem):
    r"""A mixture of components: its coefficients, and the model that is fitted to them.

    .. math::
        Z_k ← Z_k / r^2, \quad r = \frac{q + \sqrt{q^2 + 16 F p}}{4 p}, \qquad
        W_k ← W_k / r^2, \quad r = \frac{q + \sqrt{q^2 + 16 N p}}{4 p}

    with the moments ``p`` and ``q`` that the E step expects, summed over the channels of a frame
    for ``Z``, over the frames for ``W``.

    Parameters
    ----------
    X : complex array (N, F)
    prior : Anisotropy
        Of a coefficient of power 1, before the mixture is seen.
    noise : float
        ``ε``, the variance of what belongs to no component.
    hop_ratio : float
        ``a / M``, the hop over the channels.
    phases : callable, or None
        From some frames to ``exp(iψ_k)``; None if ``κ = 0``, or until the start tells them.

    Examples
    --------
    >>> X, one = np.full((2, 1), 3j), np.ones((1, 1))
    >>> problem = Problem(X, Anisotropy.of(0.0), noise=1e-9)
    >>> objective, W, Z = problem.updated(one, np.ones((1, 2)))
    >>> np.round(Z, 6)
    array([[9., 9.]])
    """

    X: Array
    prior: Anisotropy
    noise: float
    hop_ratio: float = 0.25
    phases: Callable[[slice], Array] | None = None

    def updated(self, W: Array, Z: Array) -> tuple[float, Array, Array]:
        """The objective at ``W, Z``, and the factors after one EM iteration, in one pass."""
        (K, F), N = W.shape, len(self.X)
        moved = Z if self.held == "activations" else np.empty_like(Z)

        def visit(rows: slice) -> tuple[float, Array, Array]:
            found = self.posterior(W, Z, rows)
            P, Q = np.zeros_like(W), np.zeros_like(W)
            for k in range(K):
                p, q = found.moments(k)
                r = np.ones(len(p), p.dtype)
                if self.held != "activations":
                    r = root_of_change(p.sum(axis=1), q.sum(axis=1), F)
                    moved[k, rows] = Z[k, rows] / r**2
                if self.held != "patterns":
                    P[k], Q[k] = r**2 @ p, r @ q
            return found.surprise, P, Q

        surprise, P, Q = summed(visit, pieces(N, max(1, SINGLE // (K * F))))
        if self.held == "patterns":
            return surprise, W, moved
        W = W / root_of_change(P, Q, N) ** 2
        return surprise, *self.scaled(W, moved)

    def scaled(self, W: Array, Z: Array) -> tuple[Array, Array]:
        """The same products with spectra of sum 1, unless a factor is held."""
        if self.held:
            return W, Z
        sizes = W.sum(axis=1)
        return normalised(W, Z, np.where(sizes > 0, sizes, np.ones_like(sizes)))

    def posterior(self, W: Array, Z: Array, rows: slice) -> Posterior:
        """The E step: what some frames say of the components."""
        U = None if self.phases is None else self.phases(rows)
        return Posterior.of(self.X[rows], W, Z[:, rows], U, self.prior, self.noise)

    # ---- starts, states, sounds ----------------------------------------------------------------

    def first(self, W: Array, Z: Array) -> State:
        """The factors scaled; and the phases that they tell to expect, where none are known."""
        problem = self
        if self.prior.mean and self.phases is None:
            advance = (2 * np.pi * self.hop_ratio * peak_frequencies(W)).astype(W.dtype)
            problem = replace(self, phases=ExpectedPhases(self.X, advance, onsets(Z)))
        return State(0, *self.scaled(W, Z), problem)

    def kept(self) -> dict[str, Any]:
        phases: Any = self.phases
        return {"advance": phases.advance, "onsets": phases.onsets} if phases else {}

    def keeping(self, kept: Mapping[str, Any]) -> Problem:
        return replace(self, phases=ExpectedPhases(self.X, **kept)) if kept else self

    def drawn(self, K: int, start: str, rng: np.random.Generator) -> tuple[Array, Array]:
        """The powers of the factors that NMF starts with, or reaches in some updates."""
        states = NMF().factorize(np.abs(self.X), K, rng=rng)
        found = next(islice(states, WARM_UP if start == "nmf" else 0, None))
        return opened(np.square(found.patterns)), opened(np.square(found.activations))

    def activations_for(self, W: Array) -> Array:
        """The powers of those that NMF finds for the same spectra in some updates."""
        start = np.sqrt(W), None
        states = NMF().factorize(np.abs(self.X), len(W), start=start, held="patterns")
        return opened(np.square(next(islice(states, WARM_UP, None)).activations))

    def taken(self, found: Decomposition) -> tuple[Array, Array]:
        return factors_of(found, self.method.frame, self.x.size, 2.0, self.x.dtype)

    def after(self, state: State) -> State:
        _, W, Z = state.step
        return State(state.iteration + 1, W, Z, state.problem)

    def record(self, state: State) -> dict[str, float]:
        return {"objective": state.step[0]}

    def result(self, state: State) -> dict[str, Any]:
        """What is expected of each component."""
        W, Z, x, frame = state.patterns, state.activations, self.x, self.method.frame

        def coefficients(rows: slice) -> Array:
            found = self.posterior(W, Z, rows)
            return np.stack([found.mean(k) for k in range(len(W))])

        sounds = frame.dual().half_syntheses(coefficients, len(W), x.size, x.dtype)
        return spectra_and_sounds(frame, W, sounds, x - sounds.sum(axis=0))


@dataclass(frozen=True, eq=False)
class State(method.State):
    """One iterate. The E step that gives its objective gives the next factors too.

    Examples
    --------
    >>> start = next(ComplexISNMF().factorize(np.ones((3, 2)) + 0j, 1))
    >>> objective, W, Z = start.step
    >>> objective == start.objective, W.shape, Z.shape
    (True, (1, 2), (1, 3))
    """

    @cached_property
    def step(self) -> tuple[float, Array, Array]:
        """The objective here, and the factors of the next iterate."""
        found: tuple[float, Array, Array] = self.problem.updated(self.patterns, self.activations)
        return found


# ---- the M step and the E step -----------------------------------------------------------------


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
    """
    return (q + np.sqrt(q**2 + 16 * count * p)) / (4 * p)


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
        ``exp(iψ_k)``.
    prior : Anisotropy
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
    """

    W: Array
    Z: Array
    phases: Array | None
    prior: Anisotropy
    whitened: Array
    relation: Array
    precision: Array
    surprise: float

    @classmethod
    def of(
        cls, X: Array, W: Array, Z: Array, phases: Array | None, prior: Anisotropy, noise: float
    ) -> Posterior:
        """The posterior of the components of ``X`` (n, F), and noise of variance ``ε``."""
        isotropic = prior.along + prior.across
        gamma = isotropic * (Z.T @ W) + W.dtype.type(noise)
        delta, eta = X, np.zeros_like(X)
        if phases is not None:
            delta = X.copy()
            for w, z, u in zip(W, Z, phases, strict=True):
                v = z[:, None] * w
                delta -= prior.mean * np.sqrt(v) * u
                eta += v * u**2
            eta *= (prior.along - prior.across) / gamma
        slack = 1 - (eta.real**2 + eta.imag**2)
        precision = 1 / (gamma * slack)
        y = (delta - eta * delta.conj()) * precision
        surprise = np.log(gamma) + np.log(slack) / 2 + (delta.conj() * y).real
        return cls(W, Z, phases, prior, y, eta, precision, float(surprise.sum(dtype=float)))

    def _seen_from_phase(self, k: int) -> tuple[Array, Array, Array, Any]:
        """``v_k``; the mean of ``s_k / (√v_k u_k)`` along the phase and across it; ``u_k``."""
        v = self.Z[k][:, None] * self.W[k]
        u = v.dtype.type(1) if self.phases is None else self.phases[k]
        y, prior = np.sqrt(v) * (self.whitened * np.conj(u)), self.prior
        return v, prior.mean + 2 * prior.along * y.real, 2 * prior.across * y.imag, u

    def mean(self, k: int) -> Array:
        """The expected component: an anisotropic Wiener filter, ``(n, F)``."""
        v, along, across, u = self._seen_from_phase(k)
        return np.asarray(np.sqrt(v) * (along + 1j * across) * u)

    def moments(self, k: int) -> tuple[Array, Array]:
        r"""The numbers of the M step, ``p`` and ``q``, ``(n, F)`` each.

        In ``r = √(v_k / v)`` the expected negative log-likelihood of the component is
        ``-2 log r + p r² - q r`` but for a constant.
        """
        v, along, across, u = self._seen_from_phase(k)
        prior, relation = self.prior, (self.relation * np.conj(u) ** 2).real
        known = prior.along + prior.across - (prior.along - prior.across) * relation
        p = np.maximum(1 - v * self.precision * known, np.finfo(v.dtype).eps)
        p += (along**2 / prior.along + across**2 / prior.across) / 2
        return p, prior.mean / prior.along * along


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
    """

    mean: float
    along: float
    across: float

    @classmethod
    def of(cls, concentration: float) -> Anisotropy:
        """The moments for ``κ``, with phases as von Mises has them."""
        from scipy.special import ive  # at first use: it takes long to import

        zeroth, first, second = (float(ive(n, concentration)) for n in range(3))
        first, second = first / zeroth, second / zeroth
        mean = np.sqrt(np.pi) / 2 * first
        return cls(float(mean), float((1 + second) / 2 - mean**2), (1 - second) / 2)


# ---- phases that are expected ------------------------------------------------------------------


def peak_frequencies(W: Array) -> Array:
    """For each channel the frequency of the partial that it belongs to, in channels, ``(K, F)``.

    A partial is a peak, placed by a parabola through the logarithms of three channels; it reaches
    as far as the lowest channel on the way to the next. Without a peak: the channel's own.

    Parameters
    ----------
    W : array (K, F)
        Spectra, ``≥ 0``.

    Examples
    --------
    >>> peak_frequencies(np.array([[1.0, 4.0, 1.0, 0.5, 1.0, 2.0, 2.0, 0.1]]))
    array([[1. , 1. , 1. , 5.5, 5.5, 5.5, 5.5, 5.5]])
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
    """For each frame the last one in which the component was struck, or the first, ``(K, N)``.

    A stroke lasts as long as the power grows by more than a tenth from one frame to the next: until
    the window is full of the note. What is below a thousandth of the largest does not count.

    Parameters
    ----------
    Z : array (K, N)
        Activations of powers.

    Examples
    --------
    >>> onsets(np.array([[0.0, 1.0, 8.0, 6.0, 4.0, 9.0, 7.0]]))
    array([[0, 1, 2, 2, 2, 5, 5]])
    """
    struck = np.zeros(Z.shape, bool)
    struck[:, 1:] = Z[:, 1:] > 1.1 * Z[:, :-1]
    struck &= Z > 1e-3 * Z.max(axis=1, keepdims=True)
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


# ---- options -----------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, repr=False)
class ComplexISNMF(OnFrames, name="complex-isnmf"):
    r"""Powers of components whose phases are expected, by EM.

    .. math::
        \max_{W, Z ≥ 0} \; \log p(X), \quad X = \sum_k s_k + \text{noise}, \quad v_k = W_k Z_k,
        s_k \sim \mathcal N(\bar ξ\sqrt{v_k} e^{iψ_k}, (1 - \bar ξ^2) v_k, ρ v_k e^{2iψ_k})

    over the channels 0 to ``M // 2``. The signal must not be silent; the frame has to count its
    phases time-invariant. The objective is the negative log-likelihood, but for ``N F log π``: it
    never rises, and may be negative. Spectra and activations are of powers.

    The expected phases are computed from the start and stay. The spectra are scaled to sum 1,
    unless a factor is held: then neither is scaled, and the other one moves alone. Without
    activations, held or not, those are begun with that NMF finds for the spectra.

    Raises
    ------
    ValueError
        For an option that does not meet its rule; where it is run, for a concentration above 1e8
        (1e6 in single precision).

    Examples
    --------
    >>> x = np.sin(0.3 * np.arange(200.0))
    >>> found = ComplexISNMF(frame=hann(32, 8), iterations=5).decompose(x, 1)
    >>> np.allclose(found.components().sum(axis=0) + found.residual, x)
    True

    References
    ----------
    Reference [17].
    """

    frame: GaborFrame = on(hann(2048, 512))
    start: str | method.Method = option(
        "nmf",
        "What to begin from: ``nmf``, random factors after 50 updates of NMF (Kullback-Leibler, of "
        "the magnitudes); or ``random``, as they are.",
        anything,
    )
    concentration: float = option(
        1.0,
        "``κ`` of the phases around those of ringing partials; 0 for phases that nothing is known "
        "of: NMF with Wiener filters.",
        non_negative,
    )
    noise_floor: float = option(
        1e-8,
        "Variance of what belongs to no component, relative to the mean power; above 0, or silence "
        "would have an infinite likelihood.",
        positive,
    )

    STARTS = ("nmf", "random")

    def check(self, x: Array) -> None:
        require_sound(x)
        self.require_time_invariance()
        self._require_precision(x.dtype)

    def _require_precision(self, dtype: np.dtype) -> None:
        most = MOST_CONCENTRATED[dtype.name]
        if self.concentration > most:
            raise ValueError(
                f"concentration must be at most {most:g} in {dtype}, got {self.concentration!r}"
            )

    def problem(self, x: Array, K: int, **asked: Any) -> Problem:
        asked["about"] = {**asked.get("about", {}), "power": 2}
        ratio = self.frame.hop / self.frame.channels
        return self._problem(self.frame.half_analysis(x), hop_ratio=ratio, x=x, **asked)

    def _problem(self, X: Array, **asked: Any) -> Problem:
        noise = self.noise_floor * float(np.vdot(X, X).real) / X.size
        return Problem(X, Anisotropy.of(self.concentration), noise, method=self, **asked)

    def factorize(
        self,
        X: ArrayLike,
        n_components: int,
        *,
        hop_ratio: float = 0.25,
        phases: ArrayLike | None = None,
        start: Any = None,
        held: str | None = None,
        rng: Any = 0,
    ) -> Iterator[State]:
        r"""Iterate complex ISNMF of a matrix: yield the start, then a state each time, without end.

        Parameters
        ----------
        X : complex array (N, F)
        n_components, start, held, rng
            See :meth:`~cdlnmf_lit.methods.method.Method.iterate`.
        hop_ratio : float
            ``a / M``, the hop over the channels: what a channel is turned by from frame to frame.
        phases : complex array (K, N, F), optional
            ``exp(iψ_k)``, where they are known. By default :class:`ExpectedPhases`, from the
            start's factors; they stay the same through the iterations.

        Raises
        ------
        ValueError
            For a matrix of zeros, more components than rows or columns, a hop ratio that is not
            positive, phases or a start of the wrong shape or sign.

        Examples
        --------
        >>> X = np.outer([1.0, 2.0, 0.5], [1.0, 1j, 3.0])
        >>> states = ComplexISNMF(concentration=0.0).factorize(X, 1)
        >>> next(states).objective > next(states).objective
        True
        """
        X = self.in_precision(array(X, "X", 2, allow_complex=True))
        if not np.any(X):
            raise ValueError("X must not be zero everywhere")
        X = X.astype(np.result_type(X.dtype, np.complex64), copy=False)
        real, (N, F) = X.real.dtype, X.shape
        K = integer(n_components, "n_components", at_most=min(N, F))
        self._require_precision(real)
        problem = self._problem(X, hop_ratio=positive(hop_ratio, "hop_ratio"), held=held)
        if phases is not None:
            known = np.asarray(phases)
            if known.shape != (K, N, F) or not np.all(np.isfinite(known)):
                raise ValueError(f"phases must be finite, of shape {K, N, F}, got {known.shape}")
            if self.concentration:
                known = unit(known.astype(X.dtype))
                problem = replace(problem, phases=lambda rows: known[:, rows])
        shapes = {"patterns": (K, F), "activations": (K, N)}
        return self.states_of(problem, shapes, real, start, rng)

    def bytes_needed(self, n_samples: int, K: int, dtype: np.dtype) -> int:
        """The coefficients, the factors, the sounds, and each thread's blocks."""
        frame, (N, F) = self.frame, self.shape(n_samples)
        waiting = min(len(pieces(N, max(1, SINGLE // (K * F)))), 2 * n_threads() + 1)
        factors = 10 * K * (N + F) + 2 * waiting * K * F
        sounds = (2 * K + 4) * n_samples
        block = min(N, n_threads() * frame.blocks(n_samples)[0].stop)
        block *= (5 * K + 12) * F + 2 * K * frame.hop + 2 * frame.channels
        return int((3 * N * F + factors + sounds + block) * dtype.itemsize)
