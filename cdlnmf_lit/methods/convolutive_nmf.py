r"""Convolutive NMF: patterns of several spectra, placed where their activations say.

The model ``V[n] ≈ Σ_k Σ_l z_k[n - l] W_k[l]`` of references [22] and [23]. Seen one way it is NMF
with ``K L`` components whose activations are ``K`` rows, each seen at ``L`` delays; seen the other
way it is a sum of convolutions along time, in each channel.

Chapter: ``book/methods/convolutive_nmf.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from math import isqrt
from typing import Any

import numpy as np

from cdlnmf_lit.methods import method, nmf
from cdlnmf_lit.methods.decomposition import Decomposition
from cdlnmf_lit.methods.factors import normalised, norms, ratio
from cdlnmf_lit.methods.options import OneOf, at_least, option
from cdlnmf_lit.methods.starts import opened
from cdlnmf_lit.theory.arguments import Array, integer, non_negative
from cdlnmf_lit.theory.blocks import SINGLE, in_threads, n_threads, pieces
from cdlnmf_lit.theory.gabor import BLOCK

ROWS, COLUMNS = 128, 128
"""Frames in one block, and channels in one stripe: one thread's work each."""
DEEPEST = 256
"""Terms in the sums of a product of matrices beyond which its tiles would be too small."""
LEAST = 1e-3
"""What a start from a sound has in place of zeros, relative to its largest number."""


@dataclass(frozen=True, eq=False)
class Problem(method.Problem):
    r"""A matrix to factorise by patterns, and how.

    .. math:: D_β(V \,|\, M) + λ \sum_k \|W_k\| \sum_n z_k[n], \qquad
        M[n] = \sum_k \sum_l z_k[n - l]\, W_k[l]

    .. math:: z_k[m] ← z_k[m] \Big(\frac{\sum_l ⟨W_k[l], Q[m + l]⟩}{
        \sum_l ⟨W_k[l], P[m + l]⟩ + λ \|W_k\|}\Big)^γ, \quad
        W_k[l] ← W_k[l] \Big(\frac{\sum_n z_k[n - l]\, Q[n]}{
        \sum_n z_k[n - l]\, P[n] + λ \sum_n z_k[n]\, W_k[l] / \|W_k\|}\Big)^{γ'}

    with ``Q = V M**(β - 2)`` and ``P = M**(β - 1)``; ``γ'`` is ``1 / (3 - β)`` with a penalty,
    else ``γ``.

    ``V (N, F)`` is not negative, and positive if ``β = 0``; it is read, never copied. ``beta`` is
    2, 1 or 0, and ``penalty`` is ``λ``.

    Examples
    --------
    >>> problem = Problem(np.array([[2.0], [20.0], [1.0]]), beta=1.0)
    >>> W, Z = np.array([[[1.0], [10.0]]]), np.array([[0.0, 2.0, 0.0, 1.0]])
    >>> objective, updated = problem.updated_activations(W, Z)
    >>> np.allclose(updated, Z), abs(objective) < 1e-9
    (True, True)

    References
    ----------
    References [22] and [23] of the paper.
    """

    V: Array
    beta: float
    penalty: float = 0.0
    activation_update: str = "joint"

    def updated_activations(self, W: Array, Z: Array) -> tuple[float, Array]:
        """The objective at ``W, Z``, and the activations that lower it, in one pass over ``V``."""
        K, L, F = W.shape
        flat, sizes = W.reshape(K * L, F), np.linalg.norm(W, axis=(1, 2))
        sums = flat.sum(axis=1, keepdims=True)

        def block(rows: slice) -> tuple[Any, ...]:
            v, M = self.V[rows], self._model(delayed(Z, L, rows).reshape(K * L, -1), flat)
            value = float(nmf.beta_divergence(v, M, self.beta).sum(dtype=float))
            if self.held == "activations":
                return (value,)
            q, p = self._weighed(v, M)
            up = _product(flat, q.T)
            down = np.repeat(sums, len(v), axis=1) if p is None else _product(flat, p.T)
            if self.activation_update == "averaged":
                up, down = ratio(up, down), np.ones_like(up)
            return value, undelayed(up.reshape(K, L, -1)), undelayed(down.reshape(K, L, -1))

        objective = self.penalty * float(sizes @ Z.sum(axis=1))
        up, down = np.zeros_like(Z), np.zeros_like(Z)
        blocks = pieces(len(self.V), ROWS)
        for rows, (value, *sides) in zip(blocks, in_threads(block, blocks), strict=True):
            objective += value
            for whole, part in zip((up, down), sides, strict=False):
                whole[:, rows.start : rows.stop + L - 1] += part
        if self.held == "activations":
            return objective, Z
        down += self.penalty * sizes[:, None]
        return objective, Z * ratio(up, down) ** nmf.mm_exponent(self.beta)

    def updated_patterns(self, W: Array, Z: Array) -> Array:
        """Patterns ``(K, L, F)`` that lower the objective, a stripe of channels at a time.

        Given the activations the channels do not know of each other, so that a stripe is finished
        once ``V`` has been seen there.
        """
        K, L, F = W.shape
        weights = self.penalty * Z.sum(axis=1) / norms(W)
        exponent = 1 / (3 - self.beta) if self.penalty else nmf.mm_exponent(self.beta)
        updated = np.empty_like(W)

        def stripe(columns: slice) -> None:
            w = np.ascontiguousarray(W[:, :, columns]).reshape(K * L, -1)
            up, down = np.zeros_like(w), np.repeat(weights, L)[:, None] * w
            for rows in pieces(len(self.V), ROWS):
                S = delayed(Z, L, rows).reshape(K * L, -1)
                q, p = self._weighed(self.V[rows, columns], self._model(S, w))
                up += _product(S, q)
                down += S.sum(axis=1, keepdims=True) if p is None else _product(S, p)
            updated[:, :, columns] = (w * ratio(up, down) ** exponent).reshape(K, L, -1)

        for _ in in_threads(stripe, pieces(F, COLUMNS)):
            pass
        return updated

    def _model(self, S: Array, W: Array) -> Array:
        M = _product(S.T, W)
        if self.beta != 2:
            M += self.matrix.offset
        return M

    def _weighed(self, v: Array, M: Array) -> tuple[Array, Array | None]:
        """``V M**(β - 2)`` and ``M**(β - 1)`` of a block; None where that is 1."""
        if self.beta == 2:
            return v, M
        if self.beta == 1:
            return np.divide(v, M, out=M), None
        p = 1 / M
        return np.multiply(v * p, p, out=M), p

    @cached_property
    def matrix(self) -> nmf.Problem:
        """The same matrix as a problem of NMF, which knows its mean and ``ε``."""
        return nmf.Problem(self.V, self.beta, nmf.mm_exponent(self.beta))

    # ---- starts, states, sounds ----------------------------------------------------------------

    def drawn(self, K: int, start: str, rng: np.random.Generator) -> tuple[Array, Array]:
        """Uniform numbers from 0.1 to 1.1, with the mean of ``V`` in their model."""
        (N, F), L = self.V.shape, self.method.pattern_length
        W, Z = 0.1 + rng.random((K, L, F)), 0.1 + rng.random((K, N + L - 1))
        return self._as_loud(W.astype(self.V.dtype), Z.astype(self.V.dtype))

    def activations_for(self, W: Array) -> Array:
        """The same number everywhere, with the mean of ``V`` in the model."""
        Z = np.ones((len(W), len(self.V) + W.shape[1] - 1), self.V.dtype)
        return Z * self.V.dtype.type(self.matrix.mean / (self._mean_of(W, Z) or 1.0))

    def taken(self, found: Decomposition) -> tuple[Array, Array]:
        """Another result's factors, if they are of this spectrogram; else what its sounds show.

        From a sound the pattern is the spectrogram of its loudest stretch, the activations the
        correlation of that with the whole.
        """
        method, frame, dtype = self.method, self.method.frame, self.V.dtype
        shapes = method.shapes_of(found.n_components, *self.V.shape)
        if (
            found.spectra is not None
            and (found.spectra.shape, found.activations.shape) == tuple(shapes.values())
            and (found.hop, found.first_sample) == (frame.hop, method.first_sample)
            and found.parameters.get("power") == method.power
        ):
            return found.spectra.astype(dtype), found.activations.astype(dtype)
        K, L, F = shapes["patterns"]
        sounds = found.patterns(frame.hop * (L - 1) + frame.window.size).astype(dtype)
        inside = slice(-frame.first_frame, L - frame.first_frame)
        W = np.stack([frame.spectrogram(sound, method.power)[inside] for sound in sounds])
        W = opened(W, LEAST)
        Z = np.zeros(shapes["activations"], dtype)
        for rows in pieces(len(self.V), ROWS):
            alike = W.reshape(K * L, F) @ self.V[rows].T
            Z[:, rows.start : rows.stop + L - 1] += undelayed(alike.reshape(K, L, -1))
        return self._as_loud(W, opened(Z, LEAST))

    def _as_loud(self, W: Array, Z: Array) -> tuple[Array, Array]:
        """The same start as loud as the matrix, the factors alike in scale."""
        scale = W.dtype.type(np.sqrt(self.matrix.mean / self._mean_of(W, Z)))
        return scale * W, scale * Z

    def _mean_of(self, W: Array, Z: Array) -> float:
        windows = np.lib.stride_tricks.sliding_window_view(Z, len(self.V), axis=1)
        heard = windows[:, ::-1].sum(axis=2, dtype=float)
        return float(np.sum(heard * W.sum(axis=2, dtype=float))) / self.V.size

    def first(self, W: Array, Z: Array) -> State:
        return self._state(0, W, Z)

    def after(self, state: State) -> State:
        W, Z = state.patterns, state.pass_over[1]
        if self.held != "patterns":
            W = self.updated_patterns(W, Z)
        return self._state(state.iteration + 1, W, Z)

    def _state(self, iteration: int, W: Array, Z: Array) -> State:
        if self.penalty and not self.held:
            W, Z = normalised(W, Z)
        return State(iteration, W, Z, self)

    def record(self, state: State) -> dict[str, float]:
        return {"objective": state.pass_over[0]}

    def result(self, state: State) -> dict[str, Any]:
        W, Z = state.patterns, state.activations
        found = nmf.masked(self.x, self.method.frame, W, lambda rows: masks(W, Z, rows))
        return found | {"first_sample": self.method.first_sample}


@dataclass(frozen=True, eq=False)
class State(method.State):
    """One iterate, and what one pass over ``V`` says of it.

    Examples
    --------
    >>> start = next(ConvolutiveNMF(pattern_length=2).factorize(np.ones((5, 3)), 1))
    >>> start.iteration, start.patterns.shape, start.activations.shape
    (0, (1, 2, 3), (1, 6))

    References
    ----------
    References [22] and [23] of the paper.
    """

    @cached_property
    def pass_over(self) -> tuple[float, Array]:
        """The objective, and the activations of the next iterate."""
        return self.problem.updated_activations(self.patterns, self.activations)


# ---- delays --------------------------------------------------------------------------------


def delayed(activations: Array, length: int, rows: slice) -> Array:
    r"""Rows of activations at ``L`` delays, ``S[k, l, n] = z_k[n - l]``.

    With them the model is a product of matrices, ``V̂[n] = Σ_{kl} S[k, l, n] W_k[l]``. The
    activations ``(K, N + L - 1)`` begin at position ``-(L - 1)``, ``length`` is ``L`` and
    ``rows`` are the frames ``n``.

    Examples
    --------
    >>> delayed(np.array([[1.0, 2.0, 3.0]]), 2, slice(0, 2))
    array([[[2., 3.],
            [1., 2.]]])

    References
    ----------
    References [22] and [23] of the paper.
    """
    seen = activations[:, rows.start : rows.stop + length - 1]
    windows = np.lib.stride_tricks.sliding_window_view(seen, rows.stop - rows.start, axis=1)
    return np.ascontiguousarray(windows[:, ::-1])


def undelayed(sums: Array) -> Array:
    """Adjoint of :func:`delayed`: what all delays say of each activation, ``Σ_l s[k, l, m + l]``.

    From ``(K, L, n)`` to ``(K, n + L - 1)``, which begins ``L - 1`` before the block's first frame.

    Examples
    --------
    >>> undelayed(np.array([[[2.0, 3.0], [1.0, 2.0]]]))
    array([[1., 4., 3.]])

    References
    ----------
    References [22] and [23] of the paper.
    """
    K, L, n = sums.shape
    total = np.zeros((K, n + L - 1), sums.dtype)
    for delay in range(L):
        total[:, L - 1 - delay : L - 1 - delay + n] += sums[:, delay]
    return total


def model(patterns: Array, activations: Array, rows: slice | None = None) -> Array:
    r"""The spectrogram that the patterns make, ``V̂[n] = Σ_k Σ_l z_k[n - l] W_k[l]``.

    *Boundary rule.* A pattern may begin before the first frame and end after the last: positions
    run from ``-(L - 1)`` to ``N - 1``, and what lies outside the spectrogram is not seen.

    From ``W (K, L, F)`` and ``Z (K, N + L - 1)`` to the frames that ``rows`` asks for, else all
    ``N``: ``(n, F)``.

    Examples
    --------
    >>> model(np.array([[[1.0], [10.0]]]), np.array([[0.0, 2.0, 0.0, 1.0]])).ravel()
    array([ 2., 20.,  1.])

    References
    ----------
    References [22] and [23] of the paper.
    """
    K, L, F = patterns.shape
    rows = slice(0, activations.shape[1] - L + 1) if rows is None else rows
    seen, flat = activations[:, rows.start : rows.stop + L - 1], patterns.reshape(K * L, F)
    found = np.empty((rows.stop - rows.start, F), patterns.dtype)
    for block in pieces(len(found), ROWS):
        found[block] = _product(delayed(seen, L, block).reshape(K * L, -1).T, flat)
    return found


def _product(left: Array, right: Array) -> Array:
    """``left @ right``, in tiles so small that BLAS leaves each to the thread that asks for it."""
    depth = left.shape[1]
    if depth > DEEPEST:
        half = depth // 2
        return _product(left[:, :half], right[:half]) + _product(left[:, half:], right[half:])
    product = np.empty((len(left), right.shape[1]), np.result_type(left, right))
    side = isqrt(SINGLE // depth)
    for rows in pieces(product.shape[0], side):
        for columns in pieces(product.shape[1], side):
            np.matmul(left[rows], right[:, columns], out=product[rows, columns])
    return product


def masks(patterns: Array, activations: Array, rows: slice) -> Iterator[Array]:
    r"""The share that each component has in the model of some frames; they sum to 1.

    .. math:: G_k[n] = \frac{\sum_l z_k[n - l]\, W_k[l]}{\sum_j \sum_l z_j[n - l]\, W_j[l]}

    One ``G_k (n, F)`` after the other, of the frames ``rows``. Where the model is silent all have
    the same share.

    Examples
    --------
    >>> W, Z = np.array([[[1.0, 0.0]], [[3.0, 0.0]]]), np.ones((2, 1))
    >>> list(masks(W, Z, slice(0, 1)))
    [array([[0.25, 0.5 ]]), array([[0.75, 0.5 ]])]
    """
    whole = model(patterns, activations, rows)
    heard = whole > np.finfo(whole.dtype).tiny
    for w, z in zip(patterns, activations, strict=True):
        share = np.full_like(whole, 1 / len(patterns))
        np.divide(model(w[None], z[None], rows), whole, out=share, where=heard)
        yield share


# ---- options ---------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, repr=False)
class ConvolutiveNMF(nmf.OfSpectrogram, name="convolutive-nmf"):
    r"""Patterns of several spectra, and their activations, of the spectrogram.

    .. math::
        \min_{W, Z ≥ 0} \; D_β\Big( |X[n,f]|^p \,\Big|\, \sum_k \sum_{l<L} z_k[n-l] W_k[l,f] \Big)
        + λ \sum_k \|W_k\| \sum_n z_k[n]

    The frame has to be tight, so that the components sum to the signal. With ``λ > 0`` the patterns
    have norm 1, which costs the objective nothing. A factor that is held keeps its scale, and then
    neither is scaled: the norms of the patterns are what the objective says of them.

    Raises
    ------
    ValueError
        For an option that does not meet its rule: a floor of 0 where ``β = 0``, a penalty with
        averaged updates. For a signal of fewer frames than a pattern has.

    Examples
    --------
    >>> from cdlnmf_lit.theory.gabor import hann
    >>> x = np.sin(0.3 * np.arange(200.0))
    >>> method = ConvolutiveNMF(frame=hann(32, 16), pattern_length=3, iterations=5)
    >>> found = method.decompose(x, 2)
    >>> found.spectra.shape, np.allclose(found.components().sum(axis=0), x)
    ((2, 3, 17), True)

    References
    ----------
    References [22] and [23] of the paper.
    """

    divergence: str = option(
        "kullback-leibler", "Of the spectrogram from its model.", OneOf(*nmf.DIVERGENCES)
    )
    pattern_length: int = option(
        44,
        "``L``, the frames that a pattern lasts: the sound in question and little more; 1 is NMF. "
        "Time and memory grow with it. At 22,050 Hz 44 frames last 2 s in the usual frame.",
        at_least(1),
    )
    penalty: float = option(
        0.0,
        "``λ``, in the unit of the activations: larger values leave fewer of them.",
        non_negative,
    )
    activation_update: str = option(
        "joint",
        "All delays together, which never raises the objective; or averaged, the mean of the "
        "updates that each delay asks for, as in reference [23], which may.",
        OneOf("joint", "averaged"),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.penalty and self.activation_update == "averaged":
            raise ValueError(
                f"penalty must be 0 with averaged activation updates, got {self.penalty!r}"
            )

    @property
    def first_sample(self) -> int:
        """The sample at which the window of the first activation starts."""
        return self.frame.first_sample - self.frame.hop * (self.pattern_length - 1)

    def check(self, x: Array) -> None:
        super().check(x)
        self.require_frames(self.frame.n_frames(x.size))

    def require_frames(self, n_frames: int) -> None:
        """Refuse fewer frames than a pattern has."""
        integer(self.pattern_length, "pattern_length", at_most=n_frames)

    def problem_of(self, V: Array, **asked: Any) -> Problem:
        self.require_frames(len(V))
        return Problem(V, self.beta, self.penalty, self.activation_update, **asked)

    def shapes_of(self, K: int, N: int, F: int) -> dict[str, tuple[int, ...]]:
        L = self.pattern_length
        return {"patterns": (K, L, F), "activations": (K, N + L - 1)}

    def bytes_needed(self, n_samples: int, K: int, dtype: np.dtype) -> int:
        """The spectrogram, the iterates, the sounds twice, and each thread's blocks."""
        (N, F), L = self.shape(n_samples), self.pattern_length
        kept = N * F + 3 * K * L * F + 6 * K * (N + L) + 2 * (K + 1) * n_samples
        block = min(N * max(self.frame.channels, self.frame.window.size), BLOCK)
        at_once = max(3 * (K * L + F) * min(N, ROWS), 6 * block)
        return int((kept + n_threads() * at_once) * dtype.itemsize)

    def rehearsal(self, n_samples: int, K: int, dtype: np.dtype) -> tuple[Callable[[], Any], float]:
        """An iteration of the first block of frames."""
        (N, F), L = self.shape(n_samples), self.pattern_length
        rows = min(N, ROWS)
        problem = Problem(np.ones((rows, F), dtype), self.beta)
        W, Z = np.ones((K, L, F), dtype), np.ones((K, rows + L - 1), dtype)
        return lambda: problem.updated_patterns(W, problem.updated_activations(W, Z)[1]), N / rows
