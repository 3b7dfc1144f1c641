r"""Convolutive NMF: patterns of several spectra, placed where their activations say.

The model ``V[n] ≈ Σ_k Σ_l z_k[n - l] W_k[l]`` of references [22] and [23]. Seen one way it is NMF
with ``K L`` components whose activations are ``K`` rows, each seen at ``L`` delays; seen the other
way it is a sum of convolutions along time, in each channel.

Chapter: ``book/methods/convolutive_nmf.md``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import isqrt
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cdlnmf_lit.methods import nmf
from cdlnmf_lit.methods.decomposition import Decomposition, run
from cdlnmf_lit.methods.resources import Estimate, require_memory, seconds_of
from cdlnmf_lit.methods.starts import given, of_as_many
from cdlnmf_lit.theory.arguments import Array, array, choice, integer, non_negative, signal
from cdlnmf_lit.theory.blocks import SINGLE, in_threads, n_threads, pieces
from cdlnmf_lit.theory.gabor import BLOCK, GaborFrame

ACTIVATION_UPDATES = ("joint", "averaged")
STARTS = ("random",)
ROWS, COLUMNS = 128, 128
"""Frames in one block, and channels in one stripe: one thread's work each."""
DEEPEST = 256
"""Terms in the sums of a product of matrices beyond which its tiles would be too small."""
OPENING = 1e-3
"""What a start from a sound has in place of zeros, which no update could leave."""


# ---- delays --------------------------------------------------------------------------------


def delayed(activations: Array, length: int, rows: slice) -> Array:
    r"""Rows of activations at ``L`` delays, ``S[k, l, n] = z_k[n - l]``.

    With them the model is a product of matrices, ``V̂[n] = Σ_{kl} S[k, l, n] W_k[l]``.

    Parameters
    ----------
    activations : array (K, N + L - 1)
        ``z_k``, from position ``-(L - 1)`` on.
    length : int
        ``L``.
    rows : slice
        The frames ``n``.

    Returns
    -------
    array (K, L, n)

    Examples
    --------
    >>> delayed(np.array([[1.0, 2.0, 3.0]]), 2, slice(0, 2))
    array([[[2., 3.],
            [1., 2.]]])

    References
    ----------
    References [22] and [23] of the paper. Chapter: ``book/methods/convolutive_nmf.md``.
    """
    seen = activations[:, rows.start : rows.stop + length - 1]
    windows = np.lib.stride_tricks.sliding_window_view(seen, rows.stop - rows.start, axis=1)
    return np.ascontiguousarray(windows[:, ::-1])


def undelayed(sums: Array) -> Array:
    """Adjoint of :func:`delayed`: what all delays say of each activation, ``Σ_l s[k, l, m + l]``.

    Parameters
    ----------
    sums : array (K, L, n)

    Returns
    -------
    array (K, n + L - 1)
        From position ``-(L - 1)`` on, counted from the block's first frame.

    Examples
    --------
    >>> undelayed(np.array([[[2.0, 3.0], [1.0, 2.0]]]))
    array([[1., 4., 3.]])

    References
    ----------
    References [22] and [23] of the paper. Chapter: ``book/methods/convolutive_nmf.md``.
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

    Parameters
    ----------
    patterns : array (K, L, F)
        ``W_k``.
    activations : array (K, N + L - 1)
        ``z_k``, from position ``-(L - 1)`` on.
    rows : slice, optional
        The frames wanted. Default: all ``N``.

    Returns
    -------
    array (n, F)

    Examples
    --------
    >>> model(np.array([[[1.0], [10.0]]]), np.array([[0.0, 2.0, 0.0, 1.0]])).ravel()
    array([ 2., 20.,  1.])

    References
    ----------
    References [22] and [23] of the paper. Chapter: ``book/methods/convolutive_nmf.md``.
    """
    K, L, F = patterns.shape
    rows = slice(0, activations.shape[1] - L + 1) if rows is None else rows
    S = delayed(activations, L, rows).reshape(K * L, -1)
    return _product(S.T, patterns.reshape(K * L, F))


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


# ---- one iteration -------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Problem:
    r"""A matrix to factorise by patterns, and how.

    .. math::
        D_β(V \,|\, \hat V + ε) + λ \sum_k \|W_k\| \sum_n z_k[n]

    The ``ε`` keeps the model from being zero; for ``β = 2`` none is needed, nor added. See
    :class:`cdlnmf_lit.methods.nmf.Problem`.

    Parameters
    ----------
    V : array (N, F)
        ``V ≥ 0``; positive if ``β = 0``. It is read, never copied.
    beta : float
        2, 1 or 0.
    penalty : float
        ``λ``.
    activation_update : {"joint", "averaged"}

    Examples
    --------
    >>> V = np.array([[2.0], [20.0], [1.0]])
    >>> problem = Problem(V, beta=1.0, penalty=0.0, activation_update="joint")
    >>> W, Z = np.array([[[1.0], [10.0]]]), np.array([[0.0, 2.0, 0.0, 1.0]])
    >>> objective, updated = problem.updated_activations(W, Z)
    >>> np.allclose(updated, Z), abs(objective) < 1e-9
    (True, True)

    References
    ----------
    References [22] and [23] of the paper. Chapter: ``book/methods/convolutive_nmf.md``.
    """

    V: Array
    beta: float
    penalty: float
    activation_update: str

    @cached_property
    def matrix(self) -> nmf.Problem:
        """The same matrix as a problem of NMF, which knows its mean and ``ε``."""
        return nmf.Problem(self.V, self.beta, nmf.mm_exponent(self.beta))

    def updated_activations(self, W: Array, Z: Array) -> tuple[float, Array]:
        """The objective at ``W, Z``, and the activations that lower it, in one pass over ``V``.

        Returns
        -------
        float, array (K, N + L - 1)
        """
        K, L, F = W.shape
        flat = W.reshape(K * L, F)
        sums = flat.sum(axis=1, keepdims=True)

        def block(rows: slice) -> tuple[float, Array, Array]:
            v, M = self.V[rows], self._model(delayed(Z, L, rows).reshape(K * L, -1), flat)
            value = float(nmf.beta_divergence(v, M, self.beta).sum(dtype=float))
            q, p = self._weighed(v, M)
            up = _product(flat, q.T)
            down = np.repeat(sums, len(v), axis=1) if p is None else _product(flat, p.T)
            if self.activation_update == "averaged":
                up, down = _ratio(up, down, 1.0), np.ones_like(up)
            return value, undelayed(up.reshape(K, L, -1)), undelayed(down.reshape(K, L, -1))

        objective = self.penalty * float(np.linalg.norm(W, axis=(1, 2)) @ Z.sum(axis=1))
        up, down = np.zeros_like(Z), np.zeros_like(Z)
        blocks = pieces(len(self.V), ROWS)
        for rows, (value, more_up, more_down) in zip(
            blocks, in_threads(block, blocks), strict=True
        ):
            reached = slice(rows.start, rows.start + more_up.shape[1])
            objective += value
            up[:, reached] += more_up
            down[:, reached] += more_down
        down += self.penalty * np.linalg.norm(W, axis=(1, 2))[:, None]
        return objective, Z * _ratio(up, down, nmf.mm_exponent(self.beta))

    def updated_patterns(self, W: Array, Z: Array) -> Array:
        """Patterns that lower the objective, a stripe of channels at a time.

        Given the activations the channels do not know of each other, so that a stripe is updated in
        place once ``V`` has been seen there.

        Returns
        -------
        array (K, L, F)
        """
        K, L, F = W.shape
        weights = self.penalty * Z.sum(axis=1) / _sizes(W)
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
            updated[:, :, columns] = (w * _ratio(up, down, exponent)).reshape(K, L, -1)

        for _ in in_threads(stripe, pieces(F, COLUMNS)):
            pass
        return updated

    def _model(self, S: Array, W: Array) -> Array:
        M = _product(S.T, W)
        if self.beta != 2:
            M += self.matrix.offset
        return M

    def _weighed(self, v: Array, M: Array) -> tuple[Array, Array | None]:
        """``V V̂**(β - 2)`` and ``V̂**(β - 1)`` of a block; None where that is 1."""
        if self.beta == 2:
            return v, M
        if self.beta == 1:
            return np.divide(v, M, out=M), None
        p = 1 / M
        return np.multiply(v * p, p, out=M), p


def _ratio(up: Array, down: Array, exponent: float) -> Array:
    """``(up / down)**exponent``; 1 where silence leaves nothing to divide by."""
    ratio = np.ones_like(up)
    np.divide(up, down, out=ratio, where=down > np.finfo(up.dtype).tiny * (1 + up))
    return ratio if exponent == 1 else ratio ** up.dtype.type(exponent)


def _sizes(W: Array) -> Array:
    """``‖W_k‖``; 1 for a pattern that is zero."""
    sizes = np.linalg.norm(W, axis=(1, 2))
    return np.where(sizes > 0, sizes, np.ones_like(sizes))


def normalised(patterns: Array, activations: Array) -> tuple[Array, Array]:
    r"""The same model with patterns of norm 1: ``W_k / ‖W_k‖`` and ``‖W_k‖ z_k``.

    Parameters
    ----------
    patterns : array (K, L, F)
    activations : array (K, N + L - 1)

    Examples
    --------
    >>> normalised(np.array([[[3.0, 4.0]]]), np.array([[1.0]]))
    (array([[[0.6, 0.8]]]), array([[5.]]))

    References
    ----------
    Reference [22] of the paper. Chapter: ``book/methods/convolutive_nmf.md``.
    """
    sizes = _sizes(patterns)
    return patterns / sizes[:, None, None], sizes[:, None] * activations


# ---- a matrix ------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Factors:
    r"""One iterate ``V[n] ≈ Σ_k Σ_l z_k[n - l] W_k[l]``.

    Parameters
    ----------
    iteration : int
        Iterations done.
    patterns : array (K, L, F)
        ``W_k ≥ 0``; of norm 1 with a penalty.
    activations : array (K, N + L - 1)
        ``z_k ≥ 0``, from position ``-(L - 1)`` on.
    objective : float
        ``D_β + λ Σ_k ‖W_k‖ Σ_n z_k[n]``.

    Examples
    --------
    >>> start = next(factorize(np.ones((5, 3)), 1, pattern_length=2, rng=0))
    >>> start.iteration, start.patterns.shape, start.activations.shape
    (0, (1, 2, 3), (1, 6))

    References
    ----------
    References [22] and [23] of the paper. Chapter: ``book/methods/convolutive_nmf.md``.
    """

    iteration: int
    patterns: Array
    activations: Array
    objective: float


def factorize(
    V: ArrayLike,
    n_components: int,
    *,
    pattern_length: int,
    divergence: str = "kullback-leibler",
    penalty: float = 0.0,
    activation_update: str = "joint",
    start: str | tuple[ArrayLike, ArrayLike] = "random",
    rng: Any = None,
) -> Iterator[Factors]:
    r"""Iterate convolutive NMF of a matrix: yield the start, then an iterate each time.

    .. math::
        \min_{W, Z ≥ 0} \; D_β\Big( V[n,f] \,\Big|\, \sum_k \sum_{l < L} z_k[n - l]\, W_k[l,f] \Big)
        + λ \sum_k \sum_n z_k[n] \quad\text{subject to } \|W_k\| = 1 \text{ if } λ > 0

    Parameters
    ----------
    V : array (N, F)
        Not negative; for the Itakura-Saito divergence positive. It is read, never copied.
    n_components : int
        ``K``.
    pattern_length : int
        ``L``, the spectra in a pattern; 1 is NMF.
    divergence : {"kullback-leibler", "itakura-saito", "euclidean"}
    penalty : float
        ``λ``, in the unit of the activations. With ``λ > 0`` the patterns have norm 1.
    activation_update : {"joint", "averaged"}
        All delays together, which never raises the objective; or the mean of the updates that
        each delay asks for, as in reference [23], which may.
    start : "random", or pair of arrays
        Patterns ``(K, L, F)`` and activations ``(K, N + L - 1)``, not negative. What is 0 stays 0.
    rng : seed or numpy.random.Generator
        For the start.

    Yields
    ------
    Factors

    Raises
    ------
    ValueError
        For a matrix with a negative entry, of zeros, or with a zero where ``β = 0``; more
        components than rows or columns; patterns longer than the matrix; a penalty with averaged
        updates; an unknown name; a start of the wrong shape or sign.

    Examples
    --------
    >>> V = model(np.array([[[1.0, 0.0], [0.0, 2.0]]]), np.array([[0.0, 1.0, 0.0, 3.0]]))
    >>> for factors in factorize(V, 1, pattern_length=2, rng=0):
    ...     if factors.iteration == 50:
    ...         break
    >>> np.allclose(model(factors.patterns, factors.activations), V, atol=1e-3)
    True

    References
    ----------
    References [22] and [23] of the paper. Chapter: ``book/methods/convolutive_nmf.md``.
    """
    V = array(V, "V", 2)
    least = V.min()
    if least < 0:
        raise ValueError(f"V must not be negative, got {least}")
    if not np.any(V):
        raise ValueError("V must not be zero everywhere")
    K, L, settings = _checked(
        V.shape, n_components, pattern_length, divergence, penalty, activation_update
    )
    if settings["beta"] == 0 and least == 0:
        raise ValueError(
            "V must be positive for the itakura-saito divergence, got 0, whose divergence is "
            "infinite: raise it to a floor, e.g. np.maximum(V, 1e-10 * V.mean())"
        )
    problem = Problem(V, **settings)
    if isinstance(start, tuple):
        W, Z = given(start, _shapes(K, L, *V.shape), V.dtype)
    else:
        choice(start, "start", STARTS)
        W, Z = _random(problem, K, L, np.random.default_rng(rng))
    return _iterates(problem, W, Z)


def _iterates(problem: Problem, W: Array, Z: Array) -> Iterator[Factors]:
    """The iterates; the pass that finds an objective has also found the next activations."""
    iteration = 0
    if problem.penalty:
        W, Z = normalised(W, Z)
    while True:
        objective, following = problem.updated_activations(W, Z)
        yield Factors(iteration, W, Z, objective)
        W, Z = problem.updated_patterns(W, following), following
        if problem.penalty:
            W, Z = normalised(W, Z)
        iteration += 1


def _checked(
    shape: tuple[int, ...],
    n_components: Any,
    pattern_length: Any,
    divergence: Any,
    penalty: Any,
    activation_update: Any,
) -> tuple[int, int, dict[str, Any]]:
    """``K``, ``L`` and what else a :class:`Problem` asks for, if they fit a matrix of a shape."""
    settings = {
        "beta": nmf.DIVERGENCES[choice(divergence, "divergence", nmf.DIVERGENCES)],
        "penalty": non_negative(penalty, "penalty"),
        "activation_update": choice(activation_update, "activation_update", ACTIVATION_UPDATES),
    }
    if settings["penalty"] and activation_update == "averaged":
        raise ValueError(f"penalty must be 0 with averaged activation updates, got {penalty!r}")
    K = integer(n_components, "n_components", at_most=min(shape))
    return K, integer(pattern_length, "pattern_length", at_most=shape[0]), settings


def _random(problem: Problem, K: int, L: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Uniform numbers from 0.1 to 1.1, with the mean of ``V`` in their model."""
    N, F = problem.V.shape
    W, Z = 0.1 + rng.random((K, L, F)), 0.1 + rng.random((K, N + L - 1))
    return _scaled(problem, W.astype(problem.V.dtype), Z.astype(problem.V.dtype))


def _scaled(problem: Problem, W: Array, Z: Array) -> tuple[Array, Array]:
    """The same start as loud as the matrix, the factors alike in scale."""
    N, F = problem.V.shape
    heard = delayed(Z, W.shape[1], slice(0, N)).sum(axis=2, dtype=float)
    mean = float(np.sum(heard * W.sum(axis=2, dtype=float))) / (N * F)
    scale = W.dtype.type(np.sqrt(problem.matrix.mean / mean))
    return scale * W, scale * Z


def _shapes(K: int, L: int, N: int, F: int) -> dict[str, tuple[int, ...]]:
    return {"patterns": (K, L, F), "activations": (K, N + L - 1)}


# ---- a signal ------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class State:
    r"""One iterate of :func:`iterate`.

    Parameters
    ----------
    factors : Factors
        Patterns, activations and objective.
    x : array (T,)
    frame : GaborFrame
    parameters : dict
        For the record.

    Examples
    --------
    >>> x, frame = np.sin(0.3 * np.arange(200.0)), GaborFrame("hann", 16, 32).tight()
    >>> start = next(iterate(x, 2, frame, pattern_length=3, rng=0))
    >>> start.factors.patterns.shape, list(start.record)
    ((2, 3, 17), ['objective'])

    References
    ----------
    References [22] and [23] of the paper. Chapter: ``book/methods/convolutive_nmf.md``.
    """

    factors: Factors
    x: Array
    frame: GaborFrame
    parameters: dict[str, Any]

    @property
    def record(self) -> dict[str, float]:
        """What the history keeps."""
        return {"objective": self.factors.objective}

    def sounds(self) -> Array:
        """The components in time, ``(K, T)``: the signal through each Wiener mask."""
        W, Z = self.factors.patterns, self.factors.activations
        X_of = self.frame.lazy_half_analysis(self.x)

        def masked(rows: slice) -> Any:
            X = X_of(rows)
            return (mask * X for mask in masks(W, Z, rows))

        return self.frame.half_syntheses(masked, len(W), self.x.size, self.x.dtype)

    def decomposition(self) -> Decomposition:
        """This iterate as a :class:`Decomposition`."""
        sounds = self.sounds()
        return Decomposition(
            method="convolutive-nmf",
            atoms=None,
            activations=self.factors.activations,
            hop=self.frame.hop,
            first_sample=_first_sample(self.frame, self.factors.patterns.shape[1]),
            residual=self.x - sounds.sum(axis=0),
            status=f"at iteration {self.factors.iteration}",
            parameters=dict(self.parameters),
            spectra=self.factors.patterns,
            sounds=sounds,
        )


def _first_sample(frame: GaborFrame, L: int) -> int:
    """The sample at which the window of the first position starts."""
    return frame.first_sample - frame.hop * (L - 1)


def masks(patterns: Array, activations: Array, rows: slice) -> Iterator[Array]:
    r"""The share that each component has in the model of some frames; they sum to 1.

    .. math:: G_k[n] = \frac{\sum_l z_k[n - l]\, W_k[l]}{\sum_j \sum_l z_j[n - l]\, W_j[l]}

    Where the model is silent, all have the same share.

    Parameters
    ----------
    patterns : array (K, L, F)
    activations : array (K, N + L - 1)
    rows : slice
        The frames ``n``.

    Yields
    ------
    array (n, F)
        ``G_k``, one after the other.

    Examples
    --------
    >>> W, Z = np.array([[[1.0, 0.0]], [[3.0, 0.0]]]), np.ones((2, 1))
    >>> list(masks(W, Z, slice(0, 1)))
    [array([[0.25, 0.5 ]]), array([[0.75, 0.5 ]])]

    References
    ----------
    Chapter: ``book/methods/convolutive_nmf.md``.
    """
    whole = model(patterns, activations, rows)
    heard = whole > np.finfo(whole.dtype).tiny
    for w, z in zip(patterns, activations, strict=True):
        share = np.full_like(whole, 1 / len(patterns))
        np.divide(model(w[None], z[None], rows), whole, out=share, where=heard)
        yield share


def iterate(
    x: ArrayLike,
    n_components: int,
    frame: GaborFrame | None = None,
    *,
    pattern_length: int = 44,
    divergence: str = "kullback-leibler",
    penalty: float = 0.0,
    power: float | None = None,
    floor: float = 1e-10,
    activation_update: str = "joint",
    start: str | Decomposition | tuple[ArrayLike, ArrayLike] = "random",
    rng: Any = None,
) -> Iterator[State]:
    r"""Iterate convolutive NMF of a signal's spectrogram: yield the start, then a state each time.

    .. math::
        \min_{W, Z ≥ 0} \; D_β\Big( |X[n,f]|^p \,\Big|\, \sum_k \sum_{l<L} z_k[n-l] W_k[l,f] \Big)
        + λ \sum_k \sum_n z_k[n] \quad\text{subject to } \|W_k\| = 1 \text{ if } λ > 0

    Parameters
    ----------
    x : array (T,)
        The signal.
    n_components : int
        ``K``.
    frame : GaborFrame, optional
        Tight, so that the components sum to the signal. Default: Hann window of 2048 samples,
        hop 1024, the paper's small window.
    pattern_length : int
        ``L``, the frames that a pattern lasts: the sound in question and little more. Time and
        memory grow with it. At 22,050 Hz the default lasts 2 s in the default frame.
    divergence : {"kullback-leibler", "itakura-saito", "euclidean"}
        Of the spectrogram from its model.
    penalty : float
        ``λ``, in the unit of the activations: larger values leave fewer of them. With ``λ > 0``
        the patterns have norm 1.
    power : float, optional
        ``p`` of (7): 1 for magnitudes, 2 for powers. Default: 2 for the Itakura-Saito
        divergence, 1 for the others.
    floor : float
        The spectrogram is raised to this share of its mean, so that silence has a finite
        Itakura-Saito divergence.
    activation_update : {"joint", "averaged"}
        All delays together, which never raises the objective; or the mean of the updates that
        each delay asks for, as in reference [23], which may.
    start : {"random"}, Decomposition, or pair of arrays
        Initial values: random and as loud as the signal; the result of any method; or
        ``(patterns, activations)`` as in :class:`Factors`.
    rng : seed or numpy.random.Generator
        For the start.

    Yields
    ------
    State

    Raises
    ------
    ValueError
        For a silent signal, a frame that is not tight, more components than frames or channels,
        patterns longer than the signal, a penalty with averaged updates, no floor where ``β = 0``,
        an unknown name, or a start of the wrong shape or sign.
    MemoryError
        If the arrays it needs exceed the memory there is: see :func:`estimate`.

    Examples
    --------
    >>> x, frame = np.sin(0.3 * np.arange(200.0)), GaborFrame("hann", 16, 32).tight()
    >>> for state in iterate(x, 2, frame, pattern_length=3, rng=0):
    ...     if state.factors.iteration == 2:
    ...         break
    >>> state.decomposition().spectra.shape
    (2, 3, 17)

    References
    ----------
    References [22] and [23] of the paper. Chapter: ``book/methods/convolutive_nmf.md``.
    """
    x = signal(x)
    if not np.any(x):
        raise ValueError("x must not be zero everywhere")
    frame = default_frame() if frame is None else frame
    lower, upper = frame.bounds(x.size)
    if abs(lower - 1) > 1e-6 or abs(upper - 1) > 1e-6:
        raise ValueError(
            f"frame must be tight with bounds 1, got {lower:.4g} and {upper:.4g}: use frame.tight()"
        )
    N, F = frame.n_frames(x.size), frame.channels // 2 + 1
    K, L, settings = _checked(
        (N, F), n_components, pattern_length, divergence, penalty, activation_update
    )
    if power is None:
        power = 2.0 if settings["beta"] == 0 else 1.0
    if non_negative(power, "power") == 0:
        raise ValueError(f"power must be positive, got {power!r}")
    if non_negative(floor, "floor") == 0 and settings["beta"] == 0:
        raise ValueError(f"floor must be positive for the itakura-saito divergence, got {floor!r}")
    if isinstance(start, Decomposition):
        of_as_many(start, K)
    elif isinstance(start, tuple):
        W, Z = given(start, _shapes(K, L, N, F), x.dtype)
    else:
        choice(start, "start", STARTS)
    require_memory(
        _bytes_needed(x.size, K, L, frame, x.dtype),
        f"factorising the spectrogram of {x.size} samples into {K} patterns of {L} frames",
    )
    V = frame.spectrogram(x, power)
    np.maximum(V, V.dtype.type(floor * V.mean(dtype=float)), out=V)
    problem = Problem(V, **settings)
    if isinstance(start, Decomposition):
        W, Z = _from_decomposition(problem, start, L, frame, float(power))
    elif isinstance(start, str):
        W, Z = _random(problem, K, L, np.random.default_rng(rng))
    parameters = {
        "n_components": K,
        "hop": frame.hop,
        "channels": frame.channels,
        "window_length": frame.window.size,
        "pattern_length": L,
        "divergence": divergence,
        "penalty": float(penalty),
        "power": float(power),
        "floor": float(floor),
        "activation_update": activation_update,
        "start": start if isinstance(start, str) else type(start).__name__,
    }
    return (State(factors, x, frame, parameters) for factors in _iterates(problem, W, Z))


def decompose(
    x: ArrayLike,
    n_components: int,
    frame: GaborFrame | None = None,
    *,
    pattern_length: int = 44,
    divergence: str = "kullback-leibler",
    penalty: float = 0.0,
    power: float | None = None,
    floor: float = 1e-10,
    activation_update: str = "joint",
    start: str | Decomposition | tuple[ArrayLike, ArrayLike] = "random",
    iterations: int = 200,
    tolerance: float = 0.0,
    rng: Any = None,
) -> Decomposition:
    """Decompose a signal by convolutive NMF of its spectrogram: :func:`iterate`, run to its end.

    Parameters
    ----------
    x, n_components, frame, pattern_length, divergence, penalty, power, floor
        See :func:`iterate`.
    activation_update, start, rng
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
    >>> x, frame = np.sin(0.3 * np.arange(200.0)), GaborFrame("hann", 16, 32).tight()
    >>> found = decompose(x, 2, frame, pattern_length=3, iterations=5, rng=0)
    >>> np.allclose(found.components().sum(axis=0), x)
    True

    References
    ----------
    References [22] and [23] of the paper. Chapter: ``book/methods/convolutive_nmf.md``.
    """
    states = iterate(
        x,
        n_components,
        frame,
        pattern_length=pattern_length,
        divergence=divergence,
        penalty=penalty,
        power=power,
        floor=floor,
        activation_update=activation_update,
        start=start,
        rng=rng,
    )
    return run(states, iterations, tolerance)


def default_frame() -> GaborFrame:
    """The paper's small window: Hann, 2048 samples, overlap 50 %; made tight.

    Examples
    --------
    >>> default_frame().window.size, default_frame().hop
    (2048, 1024)

    References
    ----------
    Figure 5 of the paper. Chapter: ``book/methods/convolutive_nmf.md``.
    """
    return GaborFrame("hann", 1024, 2048).tight()


def _from_decomposition(
    problem: Problem, found: Decomposition, L: int, frame: GaborFrame, power: float
) -> tuple[Array, Array]:
    """Another result's factors, if they are of this spectrogram; else what its components show.

    From a sound the pattern is the spectrogram of its loudest stretch, the activations the
    correlation of that with the whole.
    """
    N, F = problem.V.shape
    K, dtype = found.n_components, problem.V.dtype
    if (
        found.spectra is not None
        and found.spectra.shape == (K, L, F)
        and found.activations.shape == (K, N + L - 1)
        and (found.hop, found.first_sample) == (frame.hop, _first_sample(frame, L))
        and found.parameters.get("power") == power
    ):
        return found.spectra.astype(dtype), found.activations.astype(dtype)
    stretches = found.patterns(frame.hop * (L - 1) + frame.window.size).astype(dtype, copy=False)
    inside = slice(-frame.first_frame, L - frame.first_frame)
    W = np.stack([frame.spectrogram(stretch, power)[inside] for stretch in stretches])
    W = np.maximum(W, OPENING * W.max())
    flat = W.reshape(K * L, F)
    Z = undelayed((flat @ problem.V.T).reshape(K, L, N))
    return _scaled(problem, W, np.maximum(Z, OPENING * Z.max()))


# ---- before a run --------------------------------------------------------------------------


def estimate(
    n_samples: int,
    n_components: int,
    frame: GaborFrame | None = None,
    *,
    pattern_length: int = 44,
    divergence: str = "kullback-leibler",
    dtype: Any = np.float64,
) -> Estimate:
    """Memory and time that :func:`iterate` will take, without running it.

    The time is that of a few frames on this machine, so it is rough.

    Examples
    --------
    >>> estimate(345_500, 8).memory_bytes < 2 * 10**8
    True

    References
    ----------
    Chapter: ``book/methods/convolutive_nmf.md``.
    """
    frame = default_frame() if frame is None else frame
    n_samples = integer(n_samples, "n_samples")
    K, L = integer(n_components, "n_components"), integer(pattern_length, "pattern_length")
    dtype = np.dtype(dtype)
    N, F = frame.n_frames(n_samples), frame.channels // 2 + 1
    few = min(N, ROWS)
    beta = nmf.DIVERGENCES[choice(divergence, "divergence", nmf.DIVERGENCES)]
    problem = Problem(np.ones((few, F), dtype), beta, 0.0, "joint")
    W, Z = np.ones((K, L, F), dtype), np.ones((K, few + L - 1), dtype)
    seconds = seconds_of(
        lambda: problem.updated_patterns(W, problem.updated_activations(W, Z)[1]), repeats=2
    )
    return Estimate(_bytes_needed(n_samples, K, L, frame, dtype), seconds * N / few)


def _bytes_needed(n_samples: int, K: int, L: int, frame: GaborFrame, dtype: np.dtype) -> int:
    """The spectrogram, the iterates, the sounds twice, and each thread's blocks."""
    N, F = frame.n_frames(n_samples), frame.channels // 2 + 1
    kept = N * F + 3 * K * L * F + 6 * K * (N + L) + 2 * (K + 1) * n_samples
    block = min(N * max(frame.channels, frame.window.size), BLOCK)
    at_once = max(3 * (K * L + F) * min(N, ROWS), 6 * block)
    return int((kept + n_threads() * at_once) * dtype.itemsize)
