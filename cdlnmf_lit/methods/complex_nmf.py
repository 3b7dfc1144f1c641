r"""Complex NMF: spectra and activations without sign, and a phase for each of their products.

Equation (10) of the paper, ``X ≈ Σ_k W_k Z_k exp(iθ_k)``, by the auxiliary function of reference
[16]. Seen through it, complex NMF is Euclidean NMF in which each component has a target of its
own, ``Y_k = |Λ u_k + X - X̂|`` with ``Λ = Σ_k W_k Z_k`` and ``u_k = exp(iθ_k)``, instead of ``|X|``.

Chapter: ``book/methods/complex_nmf.md``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cdlnmf_lit.methods.decomposition import Decomposition, run
from cdlnmf_lit.methods.resources import Estimate, require_memory, seconds_of
from cdlnmf_lit.methods.starts import factors_of, given, of_as_many
from cdlnmf_lit.theory.arguments import Array, array, choice, integer, non_negative, signal
from cdlnmf_lit.theory.blocks import SINGLE, gram, in_threads, n_threads, pieces
from cdlnmf_lit.theory.gabor import GaborFrame

PHASES = ("mixture", "random")
STARTS = ("random",)

# ---- on a block of frames ------------------------------------------------------------------


def unit(X: Array) -> Array:
    """Phases ``X / |X|``; 1 where there is none.

    Parameters
    ----------
    X : complex array

    Returns
    -------
    complex array
        Of modulus 1.

    Examples
    --------
    >>> unit(np.array([3j, 0j]))
    array([0.+1.j, 1.+0.j])

    References
    ----------
    Equation (10) of the paper. Chapter: ``book/methods/complex_nmf.md``.
    """
    return _turned(X, np.abs(X), np.ones_like(X))


def model(W: Array, Z: Array, U: Array) -> Array:
    r"""Coefficients of the model, ``X̂[n, f] = Σ_k W[k, f] Z[k, n] U[k, n, f]``.

    Parameters
    ----------
    W : array (K, F)
    Z : array (K, n)
    U : complex array (K, n, F)
        Phases ``exp(iθ_k)``.

    Returns
    -------
    complex array (n, F)

    Examples
    --------
    >>> model(np.ones((2, 1)), np.full((2, 1), 3.0), np.array([[[1.0]], [[1j]]]))
    array([[3.+3.j]])

    References
    ----------
    Equation (10) of the paper. Chapter: ``book/methods/complex_nmf.md``.
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
    Equation (10) of the paper, reference [16]. Chapter: ``book/methods/complex_nmf.md``.
    """
    total, rest = Z.T @ W, X - model(W, Z, U)
    for u in U:
        T = total * u
        T += rest
        Y = np.abs(T)
        yield Y, _turned(T, Y, u)


def spectra_sums(X: Array, W: Array, Z: Array, U: Array | None) -> Array:
    """Sums ``Σ_n Z_k Y_k`` over a block, for :func:`updated_spectra`; the phases move.

    Parameters
    ----------
    X : complex array (n, F)
        Or its magnitudes, where all components have its phase: then they are the targets.
    W : array (K, F)
    Z : array (K, n)
    U : complex array (K, n, F), or None
        Moved in place. None: all components have the phase of ``X``, where it stays.

    Returns
    -------
    array (K, F)

    Examples
    --------
    >>> spectra_sums(np.full((2, 1), 5.0), np.ones((1, 1)), np.ones((1, 2)), None)
    array([[10.]])

    References
    ----------
    Reference [16]. Chapter: ``book/methods/complex_nmf.md``.
    """
    if U is None:
        return Z @ X
    sums = np.empty_like(W)
    for k, (Y, u) in enumerate(targets(X, W, Z, U)):
        sums[k] = Z[k] @ Y
        U[k] = u
    return sums


def updated_spectra(W: Array, sums: Array, gram_of_Z: Array, cost: Array) -> Array:
    r"""Spectra at the minimum of the auxiliary function; with ``‖W_k‖ = 1`` before, any after.

    .. math:: W_k ← W_k \frac{\sum_n Z_k Y_k}{(Z Z^T W)_k + c_k W_k}

    Parameters
    ----------
    W : array (K, F)
    sums : array (K, F)
        ``Σ_n Z_k Y_k``, over all blocks.
    gram_of_Z : array (K, K)
        ``Z Zᵀ``.
    cost : array (K,)
        ``c_k = λ p Σ_n Z_k**p``: louder spectra would let the activations pay less.

    Returns
    -------
    array (K, F)

    Examples
    --------
    >>> ones = np.ones((1, 1))
    >>> updated_spectra(ones, 10 * ones, 2 * ones, np.array([3.0]))
    array([[2.]])

    References
    ----------
    Reference [16]; the penalty counts ``‖W_k‖ Z_k`` here. Chapter: ``book/methods/complex_nmf.md``.
    """
    return W * _ratio(sums, gram_of_Z @ W + cost[:, None] * W)


def updated_activations(
    X: Array, W: Array, Z: Array, U: Array | None, penalty: float = 0.0, exponent: float = 1.0
) -> Array:
    r"""Activations of a block at the minimum of the auxiliary function; the phases move.

    .. math:: Z_k ← Z_k \frac{\sum_f W_k Y_k}{(W W^T Z)_k + λ p Z_k^{p-1}}

    Parameters
    ----------
    X, W, Z, U
        See :func:`spectra_sums`.
    penalty, exponent : float
        ``λ`` and ``0 < p ≤ 2``.

    Returns
    -------
    array (K, n)

    Examples
    --------
    >>> ones = np.ones((1, 1))
    >>> updated_activations(5 * ones, ones, ones, None)
    array([[5.]])
    >>> updated_activations(5 * ones, ones, ones, None, penalty=1.0)
    array([[2.5]])

    References
    ----------
    Reference [16]. Chapter: ``book/methods/complex_nmf.md``.
    """
    if U is None:
        wanted = W @ X.T
    else:
        wanted = np.empty_like(Z)
        for k, (Y, u) in enumerate(targets(X, W, Z, U)):
            wanted[k] = Y @ W[k]
            U[k] = u
    slope = np.zeros_like(Z)
    if penalty:
        np.power(Z, exponent - 1, out=slope, where=Z > 0)
        slope *= penalty * exponent
    return Z * _ratio(wanted, (W @ W.T) @ Z + slope)


def squared_error(X: Array, W: Array, Z: Array, U: Array | None) -> float:
    """``‖X - X̂‖²`` on a block; see :func:`spectra_sums` for its arguments.

    Examples
    --------
    >>> ones = np.ones((1, 1))
    >>> squared_error(5 * ones, ones, ones, None)
    16.0

    References
    ----------
    Equation (10) of the paper. Chapter: ``book/methods/complex_nmf.md``.
    """
    rest = X - (Z.T @ W if U is None else model(W, Z, U))
    return float(np.vdot(rest, rest).real)


def _turned(T: Array, size: Array, u: Array) -> Array:
    """``T / |T|``, or ``u`` where there is nothing to divide by."""
    smallest = np.finfo(size.dtype).tiny
    turned = T * (1 / np.maximum(size, smallest))
    np.copyto(turned, u, where=size < smallest)
    return turned


def _ratio(up: Array, down: Array) -> Array:
    """``up / down``, or 1 where the component is silent and nothing is asked of it."""
    ratio = np.ones_like(up)
    np.divide(up, down, out=ratio, where=down > np.finfo(up.dtype).tiny * (1 + up))
    return ratio


# ---- a matrix ------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Factors:
    r"""One iterate of complex NMF.

    Parameters
    ----------
    iteration : int
        Iterations done.
    spectra : array (K, F)
        ``W``, with ``‖W_k‖ = 1`` (or 0, for a component that is silent).
    activations : array (K, N)
        ``Z ≥ 0``.
    phases : complex array (K, N, F), or None
        ``exp(iθ_k)``; None where all components have the phase of ``X``. The array is one for all
        iterates, moved in place: take what you want of it before you ask for the next.
    objective : float
        ``½‖X - X̂‖² + λ Σ_k Σ_n Z_k[n]**p``.
    relative_residual : float
        ``‖X - X̂‖ / ‖X‖``.

    Examples
    --------
    >>> start = next(factorize(np.ones((3, 2)), 1, rng=0))
    >>> start.iteration, start.spectra.shape, start.activations.shape, start.phases
    (0, (1, 2), (1, 3), None)

    References
    ----------
    Equation (10) of the paper. Chapter: ``book/methods/complex_nmf.md``.
    """

    iteration: int
    spectra: Array
    activations: Array
    phases: Array | None
    objective: float
    relative_residual: float


def factorize(
    X: ArrayLike,
    n_components: int,
    *,
    penalty: float = 0.0,
    exponent: float = 1.0,
    phases: str | ArrayLike = "mixture",
    start: str | tuple[ArrayLike, ArrayLike] = "random",
    rng: Any = None,
) -> Iterator[Factors]:
    r"""Iterate complex NMF of a matrix: yield the start, then an iterate each time, without end.

    .. math::
        \min_{W, Z ≥ 0, θ} \; ½ \sum_{n,f} \Big| X[n,f] - \sum_k W[k,f] Z[k,n] e^{iθ_k[n,f]} \Big|^2
        + λ \sum_{k,n} Z[k,n]^p \quad\text{subject to } \|W_k\| = 1

    Parameters
    ----------
    X : array (N, F)
        Complex; or its magnitudes, if the phases are the mixture's.
    n_components : int
        ``K``.
    penalty, exponent : float
        ``λ`` and ``0 < p ≤ 2``.
    phases : {"mixture", "random"}, or array (K, N, F)
        Where the phases start: all at that of ``X``, where they stay, so that none are kept;
        at random; or at those of the given complex numbers.
    start : "random", or pair of arrays
        Spectra ``(K, F)`` and activations ``(K, N)``, not negative.
    rng : seed or numpy.random.Generator
        For the start.

    Yields
    ------
    Factors

    Raises
    ------
    ValueError
        For a matrix of zeros, more components than it has rows or columns, a penalty below 0, an
        exponent outside ``(0, 2]``, phases or a start of the wrong shape, a negative start.

    Examples
    --------
    >>> X = np.outer([1.0, 2.0, 0.0], [1.0, 1j])
    >>> for factors in factorize(X, 1, rng=0):
    ...     if factors.iteration == 2:
    ...         break
    >>> factors.relative_residual < 1e-12
    True

    References
    ----------
    Equation (10) of the paper, reference [16]. Chapter: ``book/methods/complex_nmf.md``.
    """
    X = array(X, "X", 2, allow_complex=True)
    if not np.any(X):
        raise ValueError("X must not be zero everywhere")
    K = integer(n_components, "n_components", at_most=min(X.shape))
    penalty, exponent = non_negative(penalty, "penalty"), _exponent(exponent)
    rng, (N, F) = np.random.default_rng(rng), X.shape
    if isinstance(start, tuple):
        begun = given(start, {"spectra": (K, F), "activations": (K, N)}, X.real.dtype)
    else:
        choice(start, "start", STARTS)
    U = _start_phases(phases, X, K, rng)
    if U is None:
        X = X if np.isrealobj(X) and X.min() >= 0 else np.abs(X)
    blocks = _blocks(K, *X.shape)
    W, Z = begun if isinstance(start, tuple) else _random_factors(X, K, blocks, rng)
    return _iterates(X, *_normalised(W, Z), U, penalty, exponent, blocks)


def _iterates(
    X: Array, W: Array, Z: Array, U: Array | None, penalty: float, exponent: float, blocks: Any
) -> Iterator[Factors]:
    size, iteration = sum(in_threads(lambda rows: float(np.vdot(X[rows], X[rows]).real), blocks)), 0

    def of_block(rows: slice) -> tuple[Array, Array, Array, Array | None]:
        return X[rows], W, Z[:, rows], None if U is None else U[:, rows]

    def sums(rows: slice) -> Array:
        return spectra_sums(*of_block(rows))

    def move(rows: slice) -> float:
        Z[:, rows] = updated_activations(*of_block(rows), penalty, exponent)
        return error(rows)

    def error(rows: slice) -> float:
        return squared_error(*of_block(rows))

    left = sum(in_threads(error, blocks))
    while True:
        paid = penalty * np.sum(Z**exponent, axis=1, dtype=float)
        objective = left / 2 + float(paid.sum())
        yield Factors(iteration, W, Z, U, objective, float(np.sqrt(left / size)))
        cost = (exponent * paid).astype(W.dtype)
        W = updated_spectra(W, np.asarray(sum(in_threads(sums, blocks))), gram(Z, Z), cost)
        W, Z = _normalised(W, Z)
        left = sum(in_threads(move, blocks))
        iteration += 1


def _normalised(W: Array, Z: Array) -> tuple[Array, Array]:
    """The same products with spectra of norm 1."""
    sizes = np.linalg.norm(W, axis=1, keepdims=True)
    sizes[sizes == 0] = 1
    return W / sizes, Z * sizes


def _blocks(K: int, N: int, F: int) -> list[slice]:
    """Frames that are worked on together, too few for BLAS to wake threads of its own."""
    return pieces(N, max(1, SINGLE // (K * F)))


def _exponent(value: Any) -> float:
    exponent = non_negative(value, "exponent")
    if not 0 < exponent <= 2:
        raise ValueError(f"exponent must be above 0 and at most 2, got {value!r}")
    return exponent


def _random_factors(
    X: Array, K: int, blocks: list[slice], rng: np.random.Generator
) -> tuple[Array, Array]:
    """Random spectra and activations, as loud as fits the magnitudes best."""
    W = rng.random((K, X.shape[1])).astype(X.real.dtype)
    Z = rng.random((K, X.shape[0])).astype(X.real.dtype)

    def products(rows: slice) -> Array:
        total = Z[:, rows].T @ W
        return np.array([np.vdot(total, np.abs(X[rows])), np.vdot(total, total)])

    fit, size = np.sum(list(in_threads(products, blocks)), axis=0)
    return W, Z * (fit / size)


def _start_phases(phases: Any, X: Array, K: int, rng: np.random.Generator) -> Array | None:
    dtype, shape = np.result_type(X.dtype, np.complex64), (K, *X.shape)
    if not isinstance(phases, str):
        given = np.asarray(phases)
        if given.shape != shape or not np.all(np.isfinite(given)):
            raise ValueError(f"phases must be finite, of shape {shape}, got shape {given.shape}")
        return unit(given.astype(dtype))
    if choice(phases, "phases", PHASES) == "mixture":
        return None
    U = np.empty(shape, dtype)
    for rows in _blocks(K, *X.shape):
        angles = 2j * np.pi * rng.random((K, rows.stop - rows.start, X.shape[1]))
        U[:, rows] = np.exp(angles)
    return U


# ---- a signal ------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class State:
    """One iterate of complex NMF of a signal's coefficients.

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
    ((1, 17), ['objective', 'relative_residual'])

    References
    ----------
    Equation (10) of the paper. Chapter: ``book/methods/complex_nmf.md``.
    """

    factors: Factors
    x: Array
    frame: GaborFrame
    parameters: dict[str, Any]

    @property
    def record(self) -> dict[str, float]:
        """What the history keeps."""
        names = ("objective", "relative_residual")
        return {name: getattr(self.factors, name) for name in names}

    def decomposition(self) -> Decomposition:
        """This iterate as a :class:`Decomposition`: each component is ``Φ(W_k Z_k exp(iθ_k))``."""
        factors, x, frame = self.factors, self.x, self.frame
        W, Z, U = factors.spectra, factors.activations, factors.phases
        rows_of, synthesis = frame.lazy_half_analysis(x), frame.dual().half_syntheses
        sounds = np.empty((len(W), x.size), x.dtype)
        for k in range(len(W)):

            def coefficients(rows: slice, k: int = k) -> Array:
                phases = unit(rows_of(rows)) if U is None else U[k, rows]
                return (Z[k, rows, None] * W[k] * phases)[None]

            sounds[k] = synthesis(coefficients, 1, x.size, x.dtype)[0]
        return Decomposition(
            method="complex-nmf",
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
    penalty: float = 0.0,
    exponent: float = 1.0,
    phases: str = "mixture",
    start: str | Decomposition | tuple[ArrayLike, ArrayLike] = "random",
    rng: Any = None,
) -> Iterator[State]:
    """Iterate complex NMF of a signal's analysis coefficients: yield states without end.

    What is minimised is that of :func:`factorize`, over the channels 0 to ``M // 2``.

    Parameters
    ----------
    x : array (T,)
        The signal.
    n_components : int
        ``K``.
    frame : GaborFrame, optional
        Default: :func:`default_frame`.
    penalty : float
        ``λ``, weight of the sum of activations; the spectra have norm 1.
    exponent : float
        ``0 < p ≤ 2``: the penalty is on ``Z**p``.
    phases : {"mixture", "random"}
        Where the phases start. At the mixture's they stay, and none are kept; from random ones they
        move, and ``K`` arrays as large as the coefficients are kept.
    start : {"random"}, Decomposition, or pair of arrays
        Initial values: random; any method's result; or spectra ``(K, M // 2 + 1)`` and
        activations ``(K, N)``, not negative.
    rng : seed or numpy.random.Generator
        For the start.

    Yields
    ------
    State

    Raises
    ------
    ValueError
        For a signal that is silent throughout, and as :func:`factorize`.
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
    Equation (10) of the paper, reference [16]. Chapter: ``book/methods/complex_nmf.md``.
    """
    x = signal(x)
    if not np.any(x):
        raise ValueError("x must not be zero everywhere")
    frame = default_frame() if frame is None else frame
    shape = frame.n_frames(x.size), frame.channels // 2 + 1
    K = integer(n_components, "n_components", at_most=min(shape))
    choice(phases, "phases", PHASES)
    if isinstance(start, Decomposition):
        of_as_many(start, K)
    elif not isinstance(start, tuple):
        choice(start, "start", STARTS)
    parameters = {
        "n_components": K,
        "hop": frame.hop,
        "channels": frame.channels,
        "window_length": frame.window.size,
        "power": 1,
        "penalty": non_negative(penalty, "penalty"),
        "exponent": _exponent(exponent),
        "phases": phases,
        "start": start if isinstance(start, str) else type(start).__name__,
    }
    require_memory(
        _bytes_needed(x.size, K, frame, phases, x.dtype),
        f"factorising {shape[0]} frames of {shape[1]} channels into {K} components",
    )
    if isinstance(start, Decomposition):
        start = factors_of(start, frame, x.size, 1.0, x.dtype)
    X = frame.spectrogram(x, 1.0) if phases == "mixture" else frame.half_analysis(x)
    iterates = factorize(
        X, K, penalty=penalty, exponent=exponent, phases=phases, start=start, rng=rng
    )
    return (State(factors, x, frame, parameters) for factors in iterates)


def decompose(
    x: ArrayLike,
    n_components: int,
    frame: GaborFrame | None = None,
    *,
    penalty: float = 0.0,
    exponent: float = 1.0,
    phases: str = "mixture",
    start: str | Decomposition | tuple[ArrayLike, ArrayLike] = "random",
    iterations: int = 100,
    tolerance: float = 0.0,
    rng: Any = None,
) -> Decomposition:
    """Decompose a signal by complex NMF: :func:`iterate`, run to its end.

    Parameters
    ----------
    x, n_components, frame, penalty, exponent, phases, start, rng
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
    Equation (10) of the paper, reference [16]. Chapter: ``book/methods/complex_nmf.md``.
    """
    states = iterate(
        x,
        n_components,
        frame,
        penalty=penalty,
        exponent=exponent,
        phases=phases,
        start=start,
        rng=rng,
    )
    return run(states, iterations, tolerance)


def default_frame() -> GaborFrame:
    """A Hann window of 2048 samples, hop 512; made tight.

    At a quarter of the window neighbouring frames still agree on the phase of a partial; the
    paper's hop of 8 would have 64 times as many phases.

    Examples
    --------
    >>> default_frame().hop
    512

    References
    ----------
    Chapter: ``book/methods/complex_nmf.md``.
    """
    return GaborFrame("hann", 512, 2048).tight()


# ---- before a run ---------------------------------------------------------------------------


def estimate(
    n_samples: int,
    n_components: int,
    frame: GaborFrame | None = None,
    *,
    phases: str = "mixture",
    dtype: Any = np.float64,
) -> Estimate:
    """Memory and time that :func:`iterate` will take, without running it.

    The memory is counted from the arrays; the time from one block of frames, timed on this
    machine, so it is rough.

    Examples
    --------
    >>> mixture, free = (estimate(345_500, 8, phases=phases) for phases in PHASES)
    >>> free.memory_bytes > 8 * 2 * 678 * 1025 * 8 > mixture.memory_bytes
    True

    References
    ----------
    Chapter: ``book/methods/complex_nmf.md``.
    """
    frame = default_frame() if frame is None else frame
    n_samples, K = integer(n_samples, "n_samples"), integer(n_components, "n_components")
    choice(phases, "phases", PHASES)
    dtype = np.dtype(dtype)
    N, F = frame.n_frames(n_samples), frame.channels // 2 + 1
    n = _blocks(K, N, F)[0].stop
    W, Z, U = np.ones((K, F), dtype), np.ones((K, n), dtype), None
    X: Array = np.ones((n, F), dtype)
    if phases != "mixture":
        X = X.astype(np.result_type(dtype, np.complex64))
        U = np.ones((K, n, F), X.dtype)
    block = X, W, Z, U
    steps = (spectra_sums, updated_activations, squared_error)
    seconds = sum(seconds_of(partial(step, *block)) for step in steps)
    return Estimate(
        _bytes_needed(n_samples, K, frame, phases, dtype), seconds * N / n / n_threads()
    )


def _bytes_needed(n_samples: int, K: int, frame: GaborFrame, phases: str, dtype: Any) -> int:
    N, F = frame.n_frames(n_samples), frame.channels // 2 + 1
    coefficients, drawn = N * F, 0
    if phases != "mixture":
        coefficients, drawn = 2 * (1 + K) * N * F, 40 * min(K * N * F, SINGLE)
    waiting = min(len(_blocks(K, N, F)), 2 * n_threads() + 1)
    factors = 8 * K * (N + F) + waiting * K * F
    sounds = (K + 4) * n_samples + 3 * frame.window.size
    block = min(N, n_threads() * frame.blocks(n_samples)[0].stop) * (5 * F + 2 * frame.channels)
    return int((coefficients + factors + sounds + block) * np.dtype(dtype).itemsize) + drawn
