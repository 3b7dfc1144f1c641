r"""NMF of a spectrogram by a β-divergence: Euclidean, Kullback-Leibler, Itakura-Saito.

Equations (7) and (8) of the paper, ``V = |X|**p ≈ W Zᵀ``. The multiplicative updates read ``V``
once an iteration, a block of frames at a time, and keep no second array of its size. Wiener masks
take the components back to sounds that sum to the signal.

Chapter: ``book/methods/nmf.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from numbers import Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from cdlnmf_lit.methods import method
from cdlnmf_lit.methods.decomposition import Decomposition
from cdlnmf_lit.methods.families import OnFrames, on, require_sound, spectra_and_sounds
from cdlnmf_lit.methods.method import USUAL_GAP, State
from cdlnmf_lit.methods.options import OneOf, at_least, option, optional, positive
from cdlnmf_lit.methods.starts import factors_of, opened
from cdlnmf_lit.theory.arguments import Array, array, choice, integer, non_negative
from cdlnmf_lit.theory.blocks import ONE_THREAD, in_threads, n_threads, pieces, summed
from cdlnmf_lit.theory.gabor import BLOCK, GaborFrame, hann

LEAST_BLOCK, LEAST_SHARE, MOST_SHARES = 2**14, 2**20, 16
"""Numbers in the smallest block and the smallest share of the work, and the most shares."""


@dataclass(frozen=True, eq=False)
class Problem(method.Problem):
    r"""A matrix to factorise, and how: ``V ≈ Zᵀ W``.

    .. math:: Z ← Z \Big(\frac{W (V M^{β-2})^T}{W (M^{β-1})^T}\Big)^γ, \quad
        W ← W \Big(\frac{Z (V M^{β-2})}{Z M^{β-1}}\Big)^γ, \qquad M = Z^T W

    ``V (N, F)`` is not negative, and positive if ``β ≤ 0``; it is read, never copied. ``beta`` and
    ``exponent`` are ``β`` and ``γ``.

    Examples
    --------
    >>> problem = Problem(np.outer([1.0, 2.0], [3.0, 4.0]), beta=1.0, exponent=1.0)
    >>> W, Z = problem.updated(np.ones((1, 2)), np.ones((1, 2)))
    >>> np.allclose(Z.T @ W, problem.V)
    True

    References
    ----------
    Equation (8) of the paper.
    """

    V: Array
    beta: float
    exponent: float

    def updated(self, W: Array, Z: Array) -> tuple[Array, Array]:
        """The activations ``(K, N)`` of all frames, then the spectra ``(K, F)``, in one pass."""
        new_Z, sums = self.sums(W, Z)
        return (W if self.held == "patterns" else self.patterns_from(W, *sums)), new_Z

    def sums(self, W: Array, Z: Array) -> tuple[Array, tuple[Array, Array]]:
        """The activations, moved, and what they and the frames say of the spectra.

        That is ``Z (V M**(β - 2))``, and ``Z M**(β - 1)`` or what it takes to know it: ``Σ_n Z``
        for ``β = 1``, ``Z Zᵀ`` for ``β = 2``. The sums of pieces add up to those of the whole.
        """
        gram = W @ W.T
        offset_W = np.vstack([W, np.full((1, W.shape[1]), self.offset, W.dtype)])
        new_Z = Z if self.held == "activations" else np.empty_like(Z)

        def share(blocks: list[slice]) -> tuple[Array, Array]:
            return self._share(blocks, W, gram, Z, offset_W, new_Z)

        up, down = summed(share, self.shares(len(W)))
        if self.held != "activations":
            without_traces(new_Z)
        return new_Z, (up, new_Z.sum(axis=1, keepdims=True) if self.beta == 1 else down)

    def patterns_from(self, W: Array, up: Array, down: Array) -> Array:
        """The spectra that lower the objective, from the :meth:`sums`."""
        return without_traces(self._moved(W.copy(), up, down @ W if self.beta == 2 else down))

    def _share(
        self, blocks: list[slice], W: Array, gram: Array, Z: Array, offset_W: Array, new_Z: Array
    ) -> tuple[Array, Array]:
        """Move the activations of some frames; what these say of the spectra."""
        K, F = W.shape
        longest = max(rows.stop - rows.start for rows in blocks)
        buffers = np.empty((2, longest, F), W.dtype)
        activations = np.ones((K + 1, longest), W.dtype)  # the last row is that of the offset
        up, down = np.zeros_like(W), np.zeros((K, K if self.beta == 2 else F), W.dtype)
        sums = W.sum(axis=1, keepdims=True)
        for rows in blocks:
            v = self.V[rows]
            offset_z = activations[:, : len(v)]
            z = offset_z[:K]
            z[:] = Z[:, rows]
            if self.held != "activations":
                q, p = self._weighed(v, offset_z, offset_W, buffers)
                if p is None:
                    cost = sums if self.beta == 1 else gram @ z
                else:
                    cost = W @ p.T
                new_Z[:, rows] = self._moved(z, W @ q.T, cost)
            if self.held != "patterns":
                q, p = self._weighed(v, offset_z, offset_W, buffers)
                up += z @ q
                if p is not None:
                    down += z @ p
                elif self.beta == 2:
                    down += z @ z.T
        return up, down

    def _weighed(self, v: Array, z: Array, W: Array, buffers: Array) -> tuple[Array, Array | None]:
        """``V M**(β - 2)`` and ``M**(β - 1)`` of a block; None where it needs no model of it."""
        if self.beta == 2:
            return v, None
        M, Q = buffers[:, : len(v)]
        np.matmul(z.T, W, out=M)
        if self.beta == 1:
            return np.divide(v, M, out=M), None
        if self.beta == 0:
            np.divide(v.dtype.type(1), M, out=M)
            np.multiply(v, M, out=Q)
            return np.multiply(Q, M, out=Q), M
        np.power(M, v.dtype.type(self.beta - 1), out=Q)
        np.divide(Q, M, out=M)
        return np.multiply(v, M, out=M), Q

    def _moved(self, factor: Array, up: Array, down: Array) -> Array:
        """``factor (up / down)**exponent``, in the memory of ``factor``; 0 where all three are."""
        down = down + np.finfo(down.dtype).tiny
        if self.exponent == 1:
            factor *= up
            factor /= down
            return factor
        up /= down
        up **= self.exponent
        factor *= up
        return factor

    def objective(self, W: Array, Z: Array) -> float:
        """``D_β(V | ZᵀW + ε)``, in a pass of its own; without ``ε`` for ``β = 2``."""

        def share(blocks: list[slice]) -> float:
            total = 0.0
            for rows in blocks:
                M = Z[:, rows].T @ W
                if self.beta != 2:
                    M += self.offset
                total += float(beta_divergence(self.V[rows], M, self.beta).sum(dtype=float))
            return total

        return float(sum(in_threads(share, self.shares(len(W)))))

    @cached_property
    def offset(self) -> Any:
        """``ε``, so small that no entry shows it, so large that ``V / ε²`` is a number.

        It stands for a further component that never moves, so that no model is zero; for
        ``β = 2`` none is needed, nor added.
        """
        info = np.finfo(self.V.dtype)
        return self.V.dtype.type(max(np.cbrt(float(info.tiny)) * self.mean, float(info.tiny)))

    @cached_property
    def total(self) -> float:
        """The sum of ``V``."""
        rows_of = pieces(len(self.V), max(1, LEAST_SHARE // self.V.shape[1]))
        return float(sum(in_threads(lambda rows: self.V[rows].sum(dtype=float), rows_of)))

    @property
    def mean(self) -> float:
        """The mean of ``V``."""
        return self.total / self.V.size

    def shares(self, n_components: int) -> list[list[slice]]:
        """The blocks of frames, one list a thread's work; the same whatever the threads."""
        N, F = self.V.shape
        blocks = pieces(N, max(1, ONE_THREAD // ((n_components + 1) * F), LEAST_BLOCK // F))
        n_shares = 2 ** int(np.log2(max(1, min(MOST_SHARES, N * F / LEAST_SHARE))))
        edges = np.linspace(0, len(blocks), min(n_shares, len(blocks)) + 1).astype(int).tolist()
        return [blocks[i:j] for i, j in pairwise(edges)]

    # ---- starts, states, sounds ----------------------------------------------------------------

    def drawn(self, K: int, start: str, rng: np.random.Generator) -> tuple[Array, Array]:
        """Uniform numbers from 0.1 to 1.1, with the mean of ``V`` in their product."""
        N, F = self.V.shape
        W, Z = 0.1 + rng.random((K, F)), 0.1 + rng.random((K, N))
        scale = np.sqrt(self.mean / self._mean_of(W, Z))
        return (scale * W).astype(self.V.dtype), (scale * Z).astype(self.V.dtype)

    def activations_for(self, W: Array) -> Array:
        """The same number everywhere, with the mean of ``V`` in the product."""
        Z = np.ones((len(W), len(self.V)), self.V.dtype)
        return Z * self.V.dtype.type(self.mean / (self._mean_of(W, Z) or 1.0))

    def _mean_of(self, W: Array, Z: Array) -> float:
        return self.sum_of(W, self.heard(Z)) / self.V.size

    def heard(self, Z: Array) -> Array:
        """How much of each spectrum the model has in all."""
        return np.asarray(Z.sum(axis=1))

    def sum_of(self, W: Array, heard: Array) -> float:
        """The sum of the model in which so much of each spectrum is heard."""
        return float(W.sum(axis=1) @ heard)

    def told(self, W: Array, Z: Array) -> tuple[Array, tuple[Any, ...]]:
        """The activations, moved, and what a piece tells: the objective before, and the sums."""
        new_Z, sums = self.sums(W, Z)
        return new_Z, (self.objective(W, Z), *sums)

    def taken(self, found: Decomposition) -> tuple[Array, Array]:
        frame, power = self.method.frame, self.method.power
        W, Z = factors_of(found, frame, self.x.size, power, self.V.dtype)
        return (W, Z) if self.beta >= 0 else (opened(W), opened(Z))

    def begin(self, K: int, start: Any, rng: np.random.Generator) -> State:
        require_positive(start, self.beta)
        return super().begin(K, start, rng)

    def after(self, state: State) -> State:
        W, Z = self.updated(state.patterns, state.activations)
        return State(state.iteration + 1, W, Z, self)

    def record(self, state: State) -> dict[str, float]:
        return {"objective": self.objective(state.patterns, state.activations)}

    def result(self, state: State) -> dict[str, Any]:
        W, Z = state.patterns, state.activations
        return masked(self.x, self.method.frame, W, lambda rows: wiener_masks(W, Z[:, rows]))


# ---- the divergence, and back to sound ----------------------------------------------------------


def beta_divergence(V: ArrayLike, model: ArrayLike, beta: float) -> Array:
    r"""β-divergence of each entry from its model.

    .. math:: d_β(v|m) = \frac{v^β + (β-1)\, m^β - β\, v\, m^{β-1}}{β(β-1)}

    and its limits ``v log(v/m) - v + m`` for ``β = 1`` and ``v/m - log(v/m) - 1`` for ``β = 0``,
    which stand for a ``β`` within 1e-8 of them too, where the formula would be rounding noise. It
    is 0 where ``v = m`` and else positive, to rounding. ``v ≥ 0``, and positive for ``β ≤ 0``,
    where the divergence of 0 is infinite; ``m > 0``.

    Examples
    --------
    >>> beta_divergence(np.array([0.0, 1.0, 4.0]), np.ones(3), 2.0)
    array([0.5, 0. , 4.5])
    >>> beta_divergence(np.zeros(1), np.ones(1), 1.0)
    array([1.])

    References
    ----------
    References [11] and [12] of the paper.
    """
    V, m = np.asarray(V), np.asarray(model)
    if beta == 2:
        return np.asarray((V - m) ** 2 / 2)
    near_0, near_1 = abs(beta) < 1e-8, abs(beta - 1) < 1e-8
    if near_0 or near_1:
        ratio = V / m
        logarithm = np.log(np.maximum(ratio, np.finfo(ratio.dtype).tiny))
        return np.asarray(V * logarithm - V + m if near_1 else ratio - logarithm - 1)
    slope = m ** (beta - 1)
    return np.asarray((V**beta + (beta - 1) * slope * m - beta * V * slope) / (beta * (beta - 1)))


def mm_exponent(beta: float) -> float:
    """The exponent ``γ`` with which a multiplicative update minimises its majoriser.

    ``1 / (2 - β)`` for ``β < 1``, 1 up to ``β = 2``, ``1 / (β - 1)`` beyond.

    Examples
    --------
    >>> [mm_exponent(beta) for beta in (0, 1, 2, 3)]
    [0.5, 1.0, 1.0, 0.5]

    References
    ----------
    Reference [12] of the paper has exponent 1 throughout.
    """
    return 1 / (max(beta, 1.0) - min(beta, 2.0) + 1)


def without_traces(factor: Array) -> Array:
    """A factor, in place, with no positive entry below the root of the least number of its peak.

    Multiplicative updates take entries down for ever. Their products end among numbers so small
    that a processor takes a hundred times longer for them. They do not end at 0, from where no
    such update, of another divergence either, could bring them back.

    Examples
    --------
    >>> without_traces(np.array([1.0, 1e-100, 1e-200]))
    array([1.00000000e+000, 1.00000000e-100, 1.49166815e-154])

    References
    ----------
    Equation (8) of the paper, whose factors this leaves as they are to the precision of any model.
    """
    least = np.sqrt(np.finfo(factor.dtype).tiny) * factor.max()
    return np.maximum(factor, least, out=factor, where=factor > 0)


def wiener_masks(W: Array, Z: Array) -> Iterator[Array]:
    r"""The share that each component has in the model of some frames; they sum to 1.

    .. math:: G_k[n, f] = \frac{Z[k, n]\, W[k, f]}{\sum_j Z[j, n]\, W[j, f]}

    One ``G_k (n, F)`` after the other, for ``W (K, F)`` and ``Z (K, n)``. Where the model is silent
    all have the same share.

    Examples
    --------
    >>> list(wiener_masks(np.array([[1.0, 0.0], [3.0, 0.0]]), np.ones((2, 1))))
    [array([[0.25, 0.5 ]]), array([[0.75, 0.5 ]])]

    References
    ----------
    Reference [12] of the paper.
    """
    model = Z.T @ W
    heard = model > np.finfo(W.dtype).tiny
    np.divide(1, model, out=model, where=heard)
    for w, z in zip(W, Z, strict=True):
        mask = z[:, None] * w
        mask *= model
        np.copyto(mask, 1 / len(W), where=~heard)
        yield mask


def masked(
    x: Array, frame: GaborFrame, spectra: Array, masks: Callable[[slice], Iterator[Array]]
) -> dict[str, Any]:
    """What masks make of a signal: the parts of a :class:`Decomposition`.

    ``masks`` gives, for the rows of a block, ``K`` masks ``(n, F)`` that sum to 1. The frame is
    tight, so that the sounds sum to the signal.

    Examples
    --------
    >>> x, frame = np.sin(0.3 * np.arange(200.0)), hann(32, 16)
    >>> parts = masked(x, frame, np.ones((1, 17)), lambda rows: iter([1.0]))
    >>> np.allclose(parts["sounds"], x), np.allclose(parts["residual"], 0)
    (True, True)

    References
    ----------
    Reference [12] of the paper.
    """
    rows_of = frame.lazy_half_analysis(x)

    def parts(rows: slice) -> Any:
        X = rows_of(rows)
        return (mask * X for mask in masks(rows))

    sounds = frame.half_syntheses(parts, len(spectra), x.size, x.dtype)
    return spectra_and_sounds(frame, spectra, sounds, x - sounds.sum(axis=0))


# ---- options ---------------------------------------------------------------------------------

DIVERGENCES = {"euclidean": 2.0, "kullback-leibler": 1.0, "itakura-saito": 0.0}
"""The β of each divergence that has a name."""


def _divergence(value: Any, name: str) -> str | float:
    if isinstance(value, Real) and not isinstance(value, bool) and np.isfinite(float(value)):
        return float(value)
    return choice(value, name, DIVERGENCES)


@dataclass(frozen=True, kw_only=True, repr=False)
class OfSpectrogram(OnFrames):
    """A method on the spectrogram of a signal, by a β-divergence; see :class:`NMF`.

    Examples
    --------
    >>> NMF(divergence="itakura-saito").beta
    0.0

    References
    ----------
    Equation (7) of the paper.
    """

    frame: GaborFrame = on(hann(2048, 1024))
    divergence: str | float = option(
        "kullback-leibler",
        f"Of the spectrogram from its model: {', '.join(DIVERGENCES)}, or its β.",
        _divergence,
    )
    power: float | None = option(
        None,
        "``p`` of (7): 1 for magnitudes, 2 for powers; None takes 2 for the Itakura-Saito "
        "divergence, 1 for the others.",
        optional(positive),
    )
    floor: float = option(
        1e-10,
        "The spectrogram is raised to this share of its mean, so that silence has a finite "
        "Itakura-Saito divergence.",
        non_negative,
    )
    iterations: int = option(200, "How many to run at the most.", at_least(0))

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.beta <= 0 and self.floor == 0:
            raise ValueError(f"floor must be positive for β = {self.beta:g}, got {self.floor!r}")

    @property
    def beta(self) -> float:
        """``β``."""
        named = isinstance(self.divergence, str)
        return DIVERGENCES[self.divergence] if named else self.divergence  # type: ignore

    @property
    def usual_gap(self) -> float | None:
        """That of its divergence; the Itakura-Saito divergence is not convex."""
        return {1.0: 10 * USUAL_GAP, 2.0: USUAL_GAP}.get(self.beta)

    def check(self, x: Array) -> None:
        require_sound(x)
        self.require_tight(x.size)

    def resolved(self, x: Array) -> Self:
        usual = 2.0 if self.beta == 0 else 1.0
        return self if self.power is not None else replace(self, power=usual)

    def spectrogram(self, x: Array) -> Array:
        """``V``, raised to its floor."""
        V = self.frame.spectrogram(x, self.resolved(x).power or 1.0)
        return self.raised(V, float(V.mean(dtype=float)))

    def raised(self, V: Array, mean: float) -> Array:
        """A spectrogram, in place, raised to the floor of one that has this mean."""
        return np.maximum(V, V.dtype.type(self.floor * mean), out=V)

    def arrays_of(
        self, start: Any, n_samples: int, K: int, dtype: Any
    ) -> tuple[Array, Array | None]:
        pair = super().arrays_of(start, n_samples, K, dtype)
        require_positive(pair, self.beta)
        return pair

    def problem(self, x: Array, K: int, **asked: Any) -> Any:
        return self.problem_of(self.spectrogram(x), method=self, x=x, **asked)

    def problem_of(self, V: Array, **asked: Any) -> Any:
        """What is iterated on, of a matrix ``(N, F)``."""
        raise NotImplementedError

    def factorize(
        self,
        V: ArrayLike,
        n_components: int,
        *,
        start: Any = None,
        held: str | None = None,
        rng: Any = 0,
    ) -> Iterator[Any]:
        r"""Iterate on a matrix: yield the start, then a state each time, without end.

        Parameters
        ----------
        V : array (N, F)
            Not negative; for ``β ≤ 0`` positive. In the precision wanted it is never copied.
        n_components, start, held, rng
            See :meth:`~cdlnmf_lit.methods.method.Method.iterate`.

        Raises
        ------
        ValueError
            For a matrix with a negative entry, of zeros, or with a zero where ``β ≤ 0``.

        Examples
        --------
        >>> states = NMF().factorize(np.outer([1.0, 2.0, 3.0], [1.0, 4.0]), 1)
        >>> abs([next(states).objective for _ in range(2)][1]) < 1e-12
        True
        """
        V = array(V, "V", 2)
        V = self.in_precision(V)
        _require_factorizable(V, self.beta)
        K = integer(n_components, "n_components", at_most=min(V.shape))
        problem = self.problem_of(V, method=self, held=held)
        return self.states_of(problem, self.shapes_of(K, *V.shape), V.dtype, start, rng)


@dataclass(frozen=True, kw_only=True, repr=False)
class NMF(OfSpectrogram, name="nmf"):
    r"""Spectra and activations of the spectrogram.

    .. math::
        \min_{W, Z ≥ 0} \; \sum_{n,f} d_β\Big( |X[n,f]|^p \,\Big|\, \sum_k Z[k,n]\, W[k,f] \Big)

    The frame has to be tight, so that the components sum to the signal. Neither update raises the
    objective. A factor that is held keeps its scale; the other one takes all of it.

    Raises
    ------
    ValueError
        For an option that does not meet its rule: a floor of 0 where ``β ≤ 0``, full steps for
        ``β`` outside [0, 2].

    Examples
    --------
    >>> x = np.sin(0.3 * np.arange(200.0))
    >>> found = NMF(frame=hann(32, 16), iterations=5).decompose(x, 2)
    >>> np.allclose(found.components().sum(axis=0), x)
    True

    References
    ----------
    Equations (7) and (8) of the paper, references [11] and [12].
    """

    update: str = option(
        "minimise",
        "Each factor to the minimum of its majoriser; or full, further, with exponent 1 where "
        "``0 ≤ β < 1``.",
        OneOf("minimise", "full"),
    )
    acceleration: str = option(
        "none",
        "The updates as they are; or extrapolation, each iteration begun ahead of the last two, "
        "and for the Euclidean divergence by coordinate descent.",
        OneOf("none", "extrapolation"),
    )

    IS_FRAMEWISE = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.update == "full" and not 0 <= self.beta <= 2:
            raise ValueError(f"update must be minimise for β outside [0, 2], got {self.update!r}")

    @property
    def exponent(self) -> float:
        """``γ``."""
        return 1.0 if self.update == "full" else mm_exponent(self.beta)

    def problem_of(self, V: Array, **asked: Any) -> Problem:
        from cdlnmf_lit.methods.extrapolation import CoordinateDescent, Extrapolated

        kind: type[Problem] = Problem
        if self.acceleration == "extrapolation":
            kind = CoordinateDescent if self.beta == 2 else Extrapolated
        return kind(V, self.beta, self.exponent, **asked)

    def applied(
        self, x: Array, W: Array, learnt: Decomposition, gap: float | None, **asked: Any
    ) -> Iterator[Any]:
        """From frames each as loud as its own, above the floor of what the spectra are from."""
        from cdlnmf_lit.methods.duality import states

        plain, V = replace(self, acceleration="none"), self.frame.spectrogram(x, self.power or 1.0)
        heard = learnt.activations.sum(axis=1, dtype=float)
        level = float(np.asarray(learnt.spectra).sum(axis=1, dtype=float) @ heard)
        level /= max(learnt.activations.shape[1], 1) * V.shape[1]
        plain.raised(V, level or float(V.mean(dtype=float)))
        problem = plain.problem_of(V, method=plain, x=x, **asked)
        Z = np.tile(V.sum(axis=1) / (W.sum(dtype=float) or 1.0), (len(W), 1)).astype(V.dtype)
        if self.usual_gap is None:
            return problem.states(problem.first(W, Z))
        return states(problem, W, Z, gap)

    def check_several(self, n: int) -> None:
        if self.acceleration != "none":
            got = self.acceleration
            raise ValueError(f"acceleration must be none for several recordings, got {got!r}")
        if isinstance(self.start, method.Method):
            raise ValueError(
                "start of nmf must be random for several recordings, got another method"
            )

    def problem_of_several(self, recordings: Any, about: dict[str, Any]) -> Any:
        from cdlnmf_lit.methods.common_spectra import Spectra

        return Spectra.of(self, recordings, about, drawn_in=float)

    def bytes_needed(self, n_samples: int, K: int, dtype: np.dtype) -> int:
        """The spectrogram, a few iterates, the sounds twice, and each thread's blocks."""
        N, F = self.shape(n_samples)
        of_signal = min(N * max(self.frame.channels, self.frame.window.size), BLOCK)
        of_matrix = min(N * F, max(ONE_THREAD // (K + 1), LEAST_BLOCK))
        at_once = max(8 * of_signal, 7 * of_matrix)
        iterates = 3 if self.acceleration == "none" else 6
        numbers = N * F + iterates * K * (N + F) + 2 * (K + 2) * n_samples + n_threads() * at_once
        return int(numbers * dtype.itemsize)


def require_positive(start: Any, beta: float) -> None:
    """Refuse zeros in the arrays of a start where ``β < 0``: a model of 0 would cost too much.

    Examples
    --------
    >>> require_positive((np.eye(2), None), -1.0)
    Traceback (most recent call last):
        ...
    ValueError: start's patterns must be positive for β = -1, got 0: its divergence overflows
    """
    if beta >= 0 or not isinstance(start, tuple):
        return
    for values, name in zip(start, ("patterns", "activations"), strict=True):
        if values is not None and np.min(values) == 0:
            raise ValueError(
                f"start's {name} must be positive for β = {beta:g}, got 0: its divergence overflows"
            )


def _require_factorizable(V: Array, beta: float) -> None:
    """Refuse a matrix of which there is no divergence."""
    least = V.min()
    if least < 0:
        raise ValueError(f"V must not be negative, got {least}")
    if not np.any(V):
        raise ValueError("V must not be zero everywhere")
    if beta <= 0 and least == 0:
        raise ValueError(
            f"V must be positive for β = {beta:g}, got 0, whose divergence is infinite: raise it "
            "to a floor, e.g. np.maximum(V, 1e-10 * V.mean())"
        )
