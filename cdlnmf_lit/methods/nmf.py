r"""NMF of a spectrogram by a β-divergence: Euclidean, Kullback-Leibler, Itakura-Saito.

Equations (7) and (8) of the paper, ``V = |X|**p ≈ W Zᵀ``. The multiplicative updates read ``V``
once an iteration, a block of frames at a time, and keep no second array of its size. Wiener masks
take the components back to sounds that sum to the signal.

Chapter: ``book/methods/nmf.md``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cdlnmf_lit.methods.decomposition import Decomposition, run
from cdlnmf_lit.methods.resources import Estimate, require_memory, seconds_of
from cdlnmf_lit.methods.starts import factors_of, given, of_as_many
from cdlnmf_lit.theory.arguments import Array, array, choice, integer, non_negative, signal
from cdlnmf_lit.theory.blocks import SINGLE, in_threads, n_threads, pieces
from cdlnmf_lit.theory.gabor import BLOCK, GaborFrame

DIVERGENCES = {"euclidean": 2.0, "kullback-leibler": 1.0, "itakura-saito": 0.0}
"""The β of each divergence that has a name."""
UPDATES = ("minimise", "full")
STARTS = ("random",)
ALONE = 2 * SINGLE - 1
"""Multiplications up to which BLAS has no work for a second thread, which would cost it more."""
FEW, SHARE, MOST_SHARES = 2**14, 2**18, 16
"""Numbers in the smallest block and the smallest share of the work, and the most shares."""


# ---- the divergence and its updates ---------------------------------------------------------


def beta_divergence(V: ArrayLike, model: ArrayLike, beta: float) -> Array:
    r"""β-divergence of each entry from its model.

    .. math:: d_β(v|m) = \frac{v^β + (β-1)\, m^β - β\, v\, m^{β-1}}{β(β-1)}

    and its limits ``v log(v/m) - v + m`` for ``β = 1`` and ``v/m - log(v/m) - 1`` for ``β = 0``,
    which stand for a ``β`` within 1e-8 of them too, where the formula would be rounding noise.

    Parameters
    ----------
    V : array
        ``v ≥ 0``; positive for ``β ≤ 0``, where the divergence of 0 is infinite.
    model : array
        ``m > 0``.
    beta : float

    Returns
    -------
    array
        Not negative, to rounding; 0 where ``v = m``.

    Examples
    --------
    >>> beta_divergence(np.array([0.0, 1.0, 4.0]), np.ones(3), 2.0)
    array([0.5, 0. , 4.5])
    >>> beta_divergence(np.zeros(1), np.ones(1), 1.0)
    array([1.])

    References
    ----------
    References [11] and [12] of the paper. Chapter: ``book/methods/nmf.md``.
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
    Reference [12] of the paper has exponent 1 throughout. Chapter: ``book/methods/nmf.md``.
    """
    return 1 / (max(beta, 1.0) - min(beta, 2.0) + 1)


@dataclass(frozen=True, eq=False)
class Problem:
    r"""A matrix to factorise, and how.

    Parameters
    ----------
    V : array (N, F)
        ``V ≥ 0``; positive if ``β ≤ 0``. It is read, never copied.
    beta : float
    exponent : float
        Of the updates.

    Examples
    --------
    >>> problem = Problem(np.outer([1.0, 2.0], [3.0, 4.0]), beta=1.0, exponent=1.0)
    >>> W, Z = problem.updated(np.ones((1, 2)), np.ones((1, 2)))
    >>> np.allclose(Z.T @ W, problem.V)
    True

    References
    ----------
    Equation (8) of the paper. Chapter: ``book/methods/nmf.md``.
    """

    V: Array
    beta: float
    exponent: float

    @cached_property
    def mean(self) -> float:
        """The mean of ``V``."""
        total = sum(in_threads(lambda rows: self.V[rows].sum(dtype=float), self._whole))
        return float(total) / self.V.size

    @cached_property
    def offset(self) -> Any:
        """``ε``, so small that no entry shows it, so large that ``V / ε²`` is a number.

        It stands for a further component that never moves, so that no model is zero; for
        ``β = 2`` none is needed, nor added.
        """
        info = np.finfo(self.V.dtype)
        return self.V.dtype.type(max(np.cbrt(float(info.tiny)) * self.mean, float(info.tiny)))

    @cached_property
    def _whole(self) -> list[slice]:
        return pieces(len(self.V), max(1, SHARE // self.V.shape[1]))

    def shares(self, n_components: int) -> list[list[slice]]:
        """The blocks of frames, one list a thread's work; the same whatever the threads."""
        N, F = self.V.shape
        blocks = pieces(N, max(1, ALONE // ((n_components + 1) * F), FEW // F))
        n_shares = 2 ** int(np.log2(max(1, min(MOST_SHARES, N * F / SHARE))))
        edges = np.linspace(0, len(blocks), min(n_shares, len(blocks)) + 1).astype(int).tolist()
        return [blocks[i:j] for i, j in pairwise(edges)]

    def updated(self, W: Array, Z: Array) -> tuple[Array, Array]:
        """One iteration: the activations of all frames, then the spectra, in one pass over ``V``.

        Returns
        -------
        W : array (K, F)
        Z : array (K, N)
        """
        K, F = W.shape
        lifted = np.vstack([W, np.full((1, F), self.offset, W.dtype)])
        sums, gram = W.sum(axis=1, keepdims=True), W @ W.T
        updated = np.empty_like(Z)

        def share(blocks: list[slice]) -> tuple[Array, Array]:
            longest = max(rows.stop - rows.start for rows in blocks)
            buffers = np.empty((2, longest, F), W.dtype)
            ones = np.ones((K + 1, longest), W.dtype)
            up, down = np.zeros_like(W), np.zeros((K, K if self.beta == 2 else F), W.dtype)
            for rows in blocks:
                v = self.V[rows]
                lifted_z = ones[:, : len(v)]
                z = lifted_z[:K]
                z[:] = Z[:, rows]
                q, p = self._weighed(v, lifted_z, lifted, buffers)
                if p is None:
                    cost = sums if self.beta == 1 else gram @ z
                else:
                    cost = W @ p.T
                updated[:, rows] = self._moved(z, W @ q.T, cost)
                q, p = self._weighed(v, lifted_z, lifted, buffers)
                up += z @ q
                if p is not None:
                    down += z @ p
                elif self.beta == 2:
                    down += z @ z.T
            return up, down

        up, down = np.zeros_like(W), np.asarray(0.0, W.dtype)
        for up_of_share, down_of_share in in_threads(share, self.shares(K)):
            up, down = up + up_of_share, down + down_of_share
        if self.beta == 1:
            down = updated.sum(axis=1, keepdims=True)
        elif self.beta == 2:
            down = down @ W
        return self._moved(W.copy(), up, down), updated

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


# ---- a matrix -------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Factors:
    r"""One iterate ``V ≈ Zᵀ W``.

    Parameters
    ----------
    iteration : int
        Iterations done.
    spectra : array (K, F)
        ``W ≥ 0``.
    activations : array (K, N)
        ``Z ≥ 0``.
    problem : Problem

    Examples
    --------
    >>> start = next(factorize(np.ones((3, 2)), 1, rng=0))
    >>> start.iteration, start.spectra.shape, start.activations.shape
    (0, (1, 2), (1, 3))

    References
    ----------
    Equation (8) of the paper. Chapter: ``book/methods/nmf.md``.
    """

    iteration: int
    spectra: Array
    activations: Array
    problem: Problem

    @cached_property
    def objective(self) -> float:
        """``D_β(V | ZᵀW)``, computed when it is first asked for."""
        return self.problem.objective(self.spectra, self.activations)


def factorize(
    V: ArrayLike,
    n_components: int,
    *,
    divergence: str | float = "kullback-leibler",
    update: str = "minimise",
    start: str | tuple[ArrayLike, ArrayLike] = "random",
    rng: Any = None,
) -> Iterator[Factors]:
    r"""Iterate NMF of a matrix: yield the start, then an iterate each time, without end.

    .. math:: \min_{W, Z ≥ 0} \; \sum_{n,f} d_β\Big( V[n,f] \,\Big|\, \sum_k Z[k,n]\, W[k,f] \Big)

    Parameters
    ----------
    V : array (N, F)
        Not negative; for the Itakura-Saito divergence positive. It is read, never copied.
    n_components : int
        ``K``.
    divergence : {"kullback-leibler", "itakura-saito", "euclidean"}, or float
        By name or by its β.
    update : {"minimise", "full"}
        Each factor to the minimum of its majoriser; or further, with exponent 1 where
        ``0 ≤ β < 1``. Neither raises the objective.
    start : "random", or pair of arrays
        Spectra ``(K, F)`` and activations ``(K, N)``, not negative. What is 0 stays 0.
    rng : seed or numpy.random.Generator
        For the start.

    Yields
    ------
    Factors

    Raises
    ------
    ValueError
        For a matrix with a negative entry, of zeros, or with a zero where ``β ≤ 0``; more
        components than rows or columns; an unknown name; a start of the wrong shape or sign.

    Examples
    --------
    >>> V = np.outer([1.0, 2.0, 3.0], [1.0, 4.0])
    >>> for factors in factorize(V, 1, rng=0):
    ...     if factors.iteration == 1:
    ...         break
    >>> np.allclose(factors.activations.T @ factors.spectra, V)
    True

    References
    ----------
    Equation (8) of the paper, references [11] and [12]. Chapter: ``book/methods/nmf.md``.
    """
    V = array(V, "V", 2)
    least, beta = V.min(), _beta(divergence)
    if least < 0:
        raise ValueError(f"V must not be negative, got {least}")
    if not np.any(V):
        raise ValueError("V must not be zero everywhere")
    if beta <= 0 and least == 0:
        raise ValueError(
            f"V must be positive for β = {beta:g}, got 0, whose divergence is infinite: raise it "
            "to a floor, e.g. np.maximum(V, 1e-10 * V.mean())"
        )
    N, F = V.shape
    K = integer(n_components, "n_components", at_most=min(N, F))
    problem = Problem(V, beta, _exponent(update, beta))
    if isinstance(start, tuple):
        W, Z = given(start, {"spectra": (K, F), "activations": (K, N)}, V.dtype)
    else:
        choice(start, "start", STARTS)
        W, Z = _random(problem, K, np.random.default_rng(rng))
    return _iterates(problem, W, Z)


def _iterates(problem: Problem, W: Array, Z: Array) -> Iterator[Factors]:
    iteration = 0
    while True:
        yield Factors(iteration, W, Z, problem)
        W, Z = problem.updated(W, Z)
        iteration += 1


def _beta(divergence: Any) -> float:
    if isinstance(divergence, Real) and np.isfinite(float(divergence)):
        return float(divergence)
    return DIVERGENCES[choice(divergence, "divergence", DIVERGENCES)]


def _exponent(update: Any, beta: float) -> float:
    if choice(update, "update", UPDATES) == "minimise":
        return mm_exponent(beta)
    if not 0 <= beta <= 2:
        raise ValueError(f"update must be minimise for β outside [0, 2], got {update!r}")
    return 1.0


def _random(problem: Problem, K: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Uniform numbers from 0.1 to 1.1, with the mean of ``V`` in their product."""
    N, F = problem.V.shape
    W, Z = 0.1 + rng.random((K, F)), 0.1 + rng.random((K, N))
    mean = float(W.sum(axis=1) @ Z.sum(axis=1)) / (N * F)
    scale = np.sqrt(problem.mean / mean)
    return (scale * W).astype(problem.V.dtype), (scale * Z).astype(problem.V.dtype)


# ---- a signal -------------------------------------------------------------------------------


def wiener_masks(W: Array, Z: Array) -> Iterator[Array]:
    r"""The share that each component has in the model of some frames; they sum to 1.

    .. math:: G_k[n, f] = \frac{Z[k, n]\, W[k, f]}{\sum_j Z[j, n]\, W[j, f]}

    Where the model is silent, all have the same share.

    Parameters
    ----------
    W : array (K, F)
    Z : array (K, n)

    Yields
    ------
    array (n, F)
        ``G_k``, one after the other.

    Examples
    --------
    >>> list(wiener_masks(np.array([[1.0, 0.0], [3.0, 0.0]]), np.ones((2, 1))))
    [array([[0.25, 0.5 ]]), array([[0.75, 0.5 ]])]

    References
    ----------
    Reference [12] of the paper. Chapter: ``book/methods/nmf.md``.
    """
    model = Z.T @ W
    heard = model > np.finfo(W.dtype).tiny
    np.divide(1, model, out=model, where=heard)
    for w, z in zip(W, Z, strict=True):
        mask = z[:, None] * w
        mask *= model
        np.copyto(mask, 1 / len(W), where=~heard)
        yield mask


@dataclass(frozen=True, eq=False)
class State:
    r"""One iterate of :func:`iterate`.

    Parameters
    ----------
    factors : Factors
        Spectra, activations and objective.
    x : array (T,)
    frame : GaborFrame
    parameters : dict
        For the record.

    Examples
    --------
    >>> x, frame = np.sin(0.3 * np.arange(200.0)), GaborFrame("hann", 16, 32).tight()
    >>> start = next(iterate(x, 2, frame, rng=0))
    >>> start.factors.spectra.shape, list(start.record)
    ((2, 17), ['objective'])

    References
    ----------
    Equations (7) and (8) of the paper. Chapter: ``book/methods/nmf.md``.
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
        W, Z = self.factors.spectra, self.factors.activations
        X_of = self.frame.lazy_half_analysis(self.x)

        def masked(rows: slice) -> Any:
            X = X_of(rows)
            return (mask * X for mask in wiener_masks(W, Z[:, rows]))

        return self.frame.half_syntheses(masked, len(W), self.x.size, self.x.dtype)

    def decomposition(self) -> Decomposition:
        """This iterate as a :class:`Decomposition`."""
        frame, sounds = self.frame, self.sounds()
        return Decomposition(
            method="nmf",
            atoms=None,
            activations=self.factors.activations,
            hop=frame.hop,
            first_sample=frame.first_sample,
            residual=self.x - sounds.sum(axis=0),
            status=f"at iteration {self.factors.iteration}",
            parameters=dict(self.parameters),
            spectra=self.factors.spectra,
            sounds=sounds,
        )


def iterate(
    x: ArrayLike,
    n_components: int,
    frame: GaborFrame | None = None,
    *,
    divergence: str | float = "kullback-leibler",
    power: float | None = None,
    floor: float = 1e-10,
    update: str = "minimise",
    start: str | Decomposition | tuple[ArrayLike, ArrayLike] = "random",
    rng: Any = None,
) -> Iterator[State]:
    r"""Iterate NMF of a signal's spectrogram: yield the start, then a state each time, without end.

    .. math::
        \min_{W, Z ≥ 0} \; \sum_{n,f} d_β\Big( |X[n,f]|^p \,\Big|\, \sum_k Z[k,n]\, W[k,f] \Big)

    Parameters
    ----------
    x : array (T,)
        The signal.
    n_components : int
        ``K``.
    frame : GaborFrame, optional
        Tight, so that the components sum to the signal. Default: Hann window of 2048 samples,
        hop 1024, the paper's overlap of 50 %.
    divergence : {"kullback-leibler", "itakura-saito", "euclidean"}, or float
        By name or by its β.
    power : float, optional
        ``p`` of (7): 1 for magnitudes, 2 for powers. Default: 2 for the Itakura-Saito
        divergence, 1 for the others.
    floor : float
        The spectrogram is raised to this share of its mean, so that silence has a finite
        Itakura-Saito divergence.
    update : {"minimise", "full"}
        Each factor to the minimum of its majoriser; or further, with exponent 1 where
        ``0 ≤ β < 1``. Neither raises the objective.
    start : "random", Decomposition, or pair of arrays
        Initial values: random and as loud as the signal; the result of any method; or
        ``(spectra, activations)`` as in :class:`Factors`.
    rng : seed or numpy.random.Generator
        For the start.

    Yields
    ------
    State

    Raises
    ------
    ValueError
        For a silent signal, a frame that is not tight, more components than frames or channels,
        no floor where ``β ≤ 0``, an unknown name, or a start of the wrong shape or sign.
    MemoryError
        If the arrays it needs exceed the memory there is: see :func:`estimate`.

    Examples
    --------
    >>> x, frame = np.sin(0.3 * np.arange(200.0)), GaborFrame("hann", 16, 32).tight()
    >>> for state in iterate(x, 2, frame, rng=0):
    ...     if state.factors.iteration == 2:
    ...         break
    >>> state.record["objective"] < next(iterate(x, 2, frame, rng=0)).record["objective"]
    True

    References
    ----------
    Equations (7) and (8) of the paper. Chapter: ``book/methods/nmf.md``.
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
    K = integer(n_components, "n_components", at_most=min(N, F))
    beta, floor = _beta(divergence), non_negative(floor, "floor")
    exponent = _exponent(update, beta)
    if power is None:
        power = 2.0 if beta == 0 else 1.0
    if non_negative(power, "power") == 0:
        raise ValueError(f"power must be positive, got {power!r}")
    if beta <= 0 and floor == 0:
        raise ValueError(f"floor must be positive for β = {beta:g}, got {floor!r}")
    if isinstance(start, tuple):
        begin = given(start, {"spectra": (K, F), "activations": (K, N)}, x.dtype)
    elif isinstance(start, Decomposition):
        of_as_many(start, K)
    else:
        choice(start, "start", STARTS)
    require_memory(
        _bytes_needed(x.size, K, frame, x.dtype),
        f"factorising the spectrogram of {x.size} samples into {K} components at hop {frame.hop}",
    )
    V = frame.spectrogram(x, power)
    np.maximum(V, V.dtype.type(floor * V.mean(dtype=float)), out=V)
    problem = Problem(V, beta, exponent)
    if isinstance(start, Decomposition):
        W, Z = factors_of(start, frame, x.size, float(power), x.dtype)
    elif isinstance(start, tuple):
        W, Z = begin
    else:
        W, Z = _random(problem, K, np.random.default_rng(rng))
    parameters = {
        "n_components": K,
        "hop": frame.hop,
        "channels": frame.channels,
        "window_length": frame.window.size,
        "divergence": divergence if isinstance(divergence, str) else beta,
        "power": float(power),
        "floor": floor,
        "update": update,
        "start": start if isinstance(start, str) else type(start).__name__,
    }
    return (State(factors, x, frame, parameters) for factors in _iterates(problem, W, Z))


def decompose(
    x: ArrayLike,
    n_components: int,
    frame: GaborFrame | None = None,
    *,
    divergence: str | float = "kullback-leibler",
    power: float | None = None,
    floor: float = 1e-10,
    update: str = "minimise",
    start: str | Decomposition | tuple[ArrayLike, ArrayLike] = "random",
    iterations: int = 200,
    tolerance: float = 0.0,
    rng: Any = None,
) -> Decomposition:
    """Decompose a signal by NMF of its spectrogram: :func:`iterate`, run to its end.

    Parameters
    ----------
    x, n_components, frame, divergence, power, floor, update, start, rng
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
    >>> found = decompose(x, 2, frame, iterations=5, rng=0)
    >>> np.allclose(found.components().sum(axis=0), x)
    True

    References
    ----------
    Equations (7) and (8) of the paper. Chapter: ``book/methods/nmf.md``.
    """
    states = iterate(
        x,
        n_components,
        frame,
        divergence=divergence,
        power=power,
        floor=floor,
        update=update,
        start=start,
        rng=rng,
    )
    return run(states, iterations, tolerance)


def default_frame() -> GaborFrame:
    """The paper's frame for NMF: a Hann window of 2048 samples, overlap 50 %; made tight.

    Examples
    --------
    >>> default_frame().hop
    1024

    References
    ----------
    Section 4 of the paper. Chapter: ``book/methods/nmf.md``.
    """
    return GaborFrame("hann", 1024, 2048).tight()


# ---- before a run ---------------------------------------------------------------------------


def estimate(
    n_samples: int,
    n_components: int,
    frame: GaborFrame | None = None,
    *,
    divergence: str | float = "kullback-leibler",
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
    Chapter: ``book/methods/nmf.md``.
    """
    frame = default_frame() if frame is None else frame
    n_samples = integer(n_samples, "n_samples")
    K = integer(n_components, "n_components")
    dtype = np.dtype(dtype)
    N, F = frame.n_frames(n_samples), frame.channels // 2 + 1
    few = min(N, max(1, 2 * SHARE // F))
    problem = Problem(np.ones((few, F), dtype), _beta(divergence), 1.0)
    W, Z = np.ones((K, F), dtype), np.ones((K, few), dtype)
    seconds = seconds_of(lambda: problem.objective(*problem.updated(W, Z))) * N / few
    return Estimate(_bytes_needed(n_samples, K, frame, dtype), seconds)


def _bytes_needed(n_samples: int, K: int, frame: GaborFrame, dtype: np.dtype) -> int:
    """The spectrogram, three iterates, the sounds twice, and each thread's blocks."""
    N, F = frame.n_frames(n_samples), frame.channels // 2 + 1
    block = min(N * max(frame.channels, frame.window.size), BLOCK)
    numbers = N * F + 3 * K * (N + F) + 2 * (K + 2) * n_samples + 8 * n_threads() * block
    return int(numbers * dtype.itemsize)
