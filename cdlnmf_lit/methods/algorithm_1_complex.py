r"""Algorithm 1 with complex NMF in the place of semi-NMF: equation (15) as it is printed.

A gradient step on the synthesis coefficients, ``A = α + Φ*(x - Φα)``, then an iteration of complex
NMF on ``A`` from where it stood: ``α = Σ_k W_k Z_k exp(iθ_k)`` with phases free at each position.
Phases that start equal stay equal, though they move: then one array of coefficients is kept.

Chapter: ``book/methods/algorithm_1_complex.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cdlnmf_lit.methods import complex_nmf
from cdlnmf_lit.methods.complex_nmf import default_frame, unit
from cdlnmf_lit.methods.decomposition import Decomposition, run
from cdlnmf_lit.methods.resources import Estimate, require_memory, seconds_of
from cdlnmf_lit.methods.semi_nmf import half_spectrum_gains
from cdlnmf_lit.methods.starts import factors_of, given, of_as_many
from cdlnmf_lit.theory.arguments import Array, choice, integer, non_negative, signal
from cdlnmf_lit.theory.blocks import SINGLE, gram, in_threads, n_threads, pieces
from cdlnmf_lit.theory.gabor import GaborFrame

PHASES = ("common", "free")
STARTS = ("random",)


@dataclass
class Coefficients:
    """What is kept of the size of the coefficients: one for all states, moved in place.

    Parameters
    ----------
    A : complex array (N, M // 2 + 1)
        ``α + Φ*(x - Φα)`` of the last gradient step, times ``Model.gains``. Common phases are its.
    U : complex array (K, N, M // 2 + 1), or None
        ``exp(iθ_k)`` where they are free.
    iteration : int
        Of the state that they belong to.

    Examples
    --------
    >>> Coefficients(np.full((1, 1), 2j), None, 0).phases(slice(0, 1))
    array([[0.+1.j]])

    References
    ----------
    Equation (15) of the paper. Chapter: ``book/methods/algorithm_1_complex.md``.
    """

    A: Array
    U: Array | None
    iteration: int

    def phases(self, rows: slice, k: int = 0) -> Array:
        """``exp(iθ_k)`` at some positions."""
        return unit(self.A[rows]) if self.U is None else self.U[k, rows]

    def modelled(self, rows: slice, W: Array, Z: Array) -> Array:
        """``Σ_k W_k Z_k exp(iθ_k)`` at some positions."""
        if self.U is None:
            alpha, z = self.phases(rows), Z[:, rows]
            for few in pieces(len(alpha), max(1, SINGLE // W.size)):
                alpha[few] *= z[:, few].T @ W
            return alpha
        return complex_nmf.model(W, Z[:, rows], self.U[:, rows])

    def targets(self, rows: slice) -> tuple[Array, Array | None]:
        """What complex NMF factorises there, and the phases it moves: none if they are common."""
        A = self.A[rows]
        return (np.abs(A), None) if self.U is None else (A, self.U[:, rows])


@dataclass(frozen=True, eq=False)
class State:
    r"""One iterate ``α = Σ_k W_k Z_k exp(iθ_k)``.

    Parameters
    ----------
    iteration : int
        Outer iterations done.
    spectra : array (K, M // 2 + 1)
        ``W ≥ 0``; over all ``M`` channels each has norm 1, or 0.
    activations : array (K, N)
        ``Z ≥ 0``.
    residual : array (T,)
        ``x - Φα``.
    objective : float
        ``½‖x - Φα‖² + λ‖Z‖₁``.
    relative_residual : float
        ``‖x - Φα‖ / ‖x‖``.
    coefficients : Coefficients
        With the phases. They are overwritten by the next state.

    Examples
    --------
    >>> x, frame = np.sin(0.3 * np.arange(200.0)), GaborFrame("hann", 8, 32).tight()
    >>> start = next(iterate(x, 1, frame, rng=0))
    >>> start.iteration, start.spectra.shape, start.activations.shape
    (0, (1, 17), (1, 28))

    References
    ----------
    Equation (15) of the paper. Chapter: ``book/methods/algorithm_1_complex.md``.
    """

    iteration: int
    spectra: Array
    activations: Array
    residual: Array
    objective: float
    relative_residual: float
    coefficients: Coefficients
    model: Model

    @property
    def record(self) -> dict[str, float]:
        """What the history keeps."""
        return {"objective": self.objective, "relative_residual": self.relative_residual}

    def decomposition(self) -> Decomposition:
        """This iterate as a :class:`Decomposition`: each component is ``Φ(W_k Z_k exp(iθ_k))``.

        Raises
        ------
        RuntimeError
            If its coefficients have been overwritten by a later state.
        """
        held, model, frame = self.coefficients, self.model, self.model.frame
        if held.iteration != self.iteration:
            raise RuntimeError(
                f"state {self.iteration} must be made a decomposition before the next one is asked "
                f"for: its phases are now those of state {held.iteration}"
            )
        sounds = np.empty((len(self.spectra), model.x.size), model.x.dtype)
        for k, (w, z) in enumerate(zip(self.spectra, self.activations, strict=True)):

            def coefficients(rows: slice, k: int = k, w: Array = w, z: Array = z) -> Array:
                return np.asarray(z[rows, None] * w * held.phases(rows, k))

            sounds[k] = model.synthesis(coefficients)
        return Decomposition(
            method="algorithm-1-complex",
            atoms=None,
            activations=self.activations,
            hop=frame.hop,
            first_sample=frame.first_sample,
            residual=model.x - sounds.sum(axis=0),
            status=f"at iteration {self.iteration}",
            parameters=dict(model.parameters),
            spectra=self.spectra,
            sounds=sounds,
        )


def iterate(
    x: ArrayLike,
    n_components: int,
    frame: GaborFrame | None = None,
    *,
    penalty: float = 0.0,
    phases: str = "common",
    inner_iterations: int = 1,
    start: str | Decomposition | tuple[ArrayLike, ArrayLike] = "random",
    rng: Any = None,
) -> Iterator[State]:
    r"""Iterate Algorithm 1 with complex NMF: yield the start, then a state an outer iteration.

    .. math::
        \min_{W, Z ≥ 0, θ} \; ½ \Big\|x - Φ\Big(\sum_k W_k Z_k e^{iθ_k}\Big)\Big\|^2 + λ \|Z\|_1
        \quad\text{subject to } \|W_k\| = 1

    Parameters
    ----------
    x : array (T,)
        The signal.
    n_components : int
        ``K``.
    frame : GaborFrame, optional
        With ``‖Φ‖ ≤ 1``, so usually a tight one. Default: Hann window of 2048 samples, hop 512.
    penalty : float
        ``λ``. The spectra have norm 1.
    phases : {"common", "free"}
        Where they start: all components at the phase of ``Φ*x``, and they stay equal; or each at
        random. Free phases are ``K`` more arrays of the size of the coefficients.
    inner_iterations : int
        Updates of complex NMF in an outer iteration.
    start : {"random"}, Decomposition, or pair of arrays
        Initial values: random; any method's result, of which the magnitudes are taken; or spectra
        ``(K, M // 2 + 1)`` and activations ``(K, N)``, not negative.
    rng : seed or numpy.random.Generator
        For the start.

    Yields
    ------
    State

    Raises
    ------
    ValueError
        For a signal that is silent, a frame with ``‖Φ‖ > 1``, more components than the data allow,
        or a start of the wrong shape or sign.
    MemoryError
        If the arrays it needs exceed the memory there is: see :func:`estimate`.

    Examples
    --------
    >>> x, frame = np.sin(0.3 * np.arange(200.0)), GaborFrame("hann", 8, 32).tight()
    >>> states = iterate(x, 1, frame, rng=0)
    >>> next(states).objective > next(states).objective
    True

    References
    ----------
    Algorithm 1 and equation (15) of the paper, reference [16].
    Chapter: ``book/methods/algorithm_1_complex.md``.
    """
    x = signal(x)
    frame = default_frame() if frame is None else frame
    if not x.any():
        raise ValueError("x must not be silent, got 0.0 at every sample")
    upper = frame.bounds(x.size)[1]
    if upper > 1 + 1e-6:
        raise ValueError(f"frame must have ‖Φ‖² ≤ 1, got {upper:.4g}: use frame.tight()")
    shape = frame.n_frames(x.size), frame.channels // 2 + 1
    K = integer(n_components, "n_components", at_most=min(shape))
    if not isinstance(start, Decomposition | tuple):
        choice(start, "start", STARTS)
    parameters = {
        "n_components": K,
        "hop": frame.hop,
        "channels": frame.channels,
        "window_length": frame.window.size,
        "power": 1,
        "penalty": non_negative(penalty, "penalty"),
        "phases": choice(phases, "phases", PHASES),
        "inner_iterations": integer(inner_iterations, "inner_iterations"),
        "start": start if isinstance(start, str) else type(start).__name__,
    }
    require_memory(
        _bytes_needed(x.size, K, frame, phases, x.dtype),
        f"the coefficients of {shape[0]} frames of {shape[1]} channels, with {phases} phases,",
    )
    model = Model(x, frame, parameters)
    return model.states(model.start(start, np.random.default_rng(rng)))


def decompose(
    x: ArrayLike,
    n_components: int,
    frame: GaborFrame | None = None,
    *,
    penalty: float = 0.0,
    phases: str = "common",
    inner_iterations: int = 1,
    start: str | Decomposition | tuple[ArrayLike, ArrayLike] = "random",
    iterations: int = 100,
    tolerance: float = 0.0,
    rng: Any = None,
) -> Decomposition:
    """Decompose a signal by Algorithm 1 with complex NMF: :func:`iterate`, run to its end.

    Parameters
    ----------
    x, n_components, frame, penalty, phases, inner_iterations, start, rng
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
    Equation (15) of the paper. Chapter: ``book/methods/algorithm_1_complex.md``.
    """
    states = iterate(
        x,
        n_components,
        frame,
        penalty=penalty,
        phases=phases,
        inner_iterations=inner_iterations,
        start=start,
        rng=rng,
    )
    return run(states, iterations, tolerance)


# ---- one outer iteration -----------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Model:
    """The signal, the frame and what one outer iteration computes from them.

    Parameters
    ----------
    x : array (T,)
    frame : GaborFrame
    parameters : dict
        As :func:`iterate` checked them; for the record too.

    Examples
    --------
    >>> Model(np.ones(9), GaborFrame("hann", 2, 8).tight(), {}).gains.round(2)
    array([1.  , 1.41, 1.41, 1.41, 1.  ])

    References
    ----------
    Equation (15) of the paper. Chapter: ``book/methods/algorithm_1_complex.md``.
    """

    x: Array
    frame: GaborFrame
    parameters: dict[str, Any]

    @cached_property
    def gains(self) -> Array:
        """Factors that give half of the channels the norm of all."""
        return half_spectrum_gains(self.frame.channels).astype(self.x.dtype)

    @cached_property
    def rows(self) -> list[slice]:
        """Positions that are factorised together, too few for BLAS to wake threads of its own."""
        K, N = self.parameters["n_components"], self.frame.n_frames(self.x.size)
        return pieces(N, max(1, SINGLE // (K * self.gains.size)))

    def start(self, start: Any, rng: np.random.Generator) -> State:
        """The state to begin with: ``A = Φ*x`` gives the common phases."""
        K, N, dtype = (
            self.parameters["n_components"],
            self.frame.n_frames(self.x.size),
            self.x.dtype,
        )
        if isinstance(start, Decomposition):
            start = factors_of(of_as_many(start, K), self.frame, self.x.size, 1.0, dtype)
        if isinstance(start, tuple):
            shapes: dict[str, tuple[int, ...]] = {
                "spectra": (K, self.gains.size),
                "activations": (K, N),
            }
            W, Z = given(start, shapes, dtype)
            start = W * self.gains, Z
        if self.parameters["phases"] == "common":
            magnitudes = self.gains * self.frame.spectrogram(self.x, 1.0)
            first = next(complex_nmf.factorize(magnitudes, K, start=start, rng=rng))
            del magnitudes
            held = Coefficients(self.coefficients(), None, 0)
        else:
            A = self.coefficients()
            first = next(complex_nmf.factorize(A, K, phases="random", start=start, rng=rng))
            U, edges = np.asarray(first.phases), self.gains == 1
            U[..., edges] = unit(U[..., edges].real.astype(U.dtype))
            held = Coefficients(A, U, 0)
        return self.state(first.spectra, first.activations, held)

    def coefficients(self) -> Array:
        """``Φ*x``, times the gains."""
        rows_of = self.frame.lazy_half_analysis(self.x)
        shape = self.frame.n_frames(self.x.size), self.gains.size
        A = np.empty(shape, np.result_type(self.x.dtype, np.complex64))
        self._fill(A, lambda rows: self.gains * rows_of(rows))
        return A

    def states(self, state: State) -> Iterator[State]:
        """All states from one on."""
        while True:
            yield state
            state = self.after(state)

    def after(self, state: State) -> State:
        """One outer iteration: a gradient step, then complex NMF from where it stood."""
        held, rows_of = state.coefficients, self.frame.lazy_half_analysis(state.residual)
        W, Z = state.spectra * self.gains, state.activations

        def step(rows: slice) -> Array:
            return held.modelled(rows, W, Z) + self.gains * rows_of(rows)

        self._fill(held.A, step)
        for _ in range(self.parameters["inner_iterations"]):
            W, Z = self.factorized(held, W, Z)
        held.iteration += 1
        return self.state(W, Z, held)

    def factorized(self, held: Coefficients, W: Array, Z: Array) -> tuple[Array, Array]:
        """One iteration of complex NMF: spectra of norm 1, then activations; the phases move."""
        penalty, moved = self.parameters["penalty"], np.empty_like(Z)

        def sums(rows: slice) -> Array:
            X, U = held.targets(rows)
            return complex_nmf.spectra_sums(X, W, Z[:, rows], U)

        def move(rows: slice) -> None:
            X, U = held.targets(rows)
            moved[:, rows] = complex_nmf.updated_activations(X, W, Z[:, rows], U, penalty)

        cost = (penalty * Z.sum(axis=1, dtype=float)).astype(W.dtype)
        total = np.asarray(sum(in_threads(sums, self.rows)))
        W = complex_nmf.updated_spectra(W, total, gram(Z, Z), cost)
        sizes = np.linalg.norm(W, axis=1, keepdims=True)
        sizes[sizes == 0] = 1
        W, Z = W / sizes, Z * sizes
        for _ in in_threads(move, self.rows):
            pass
        return W, moved

    def state(self, W: Array, Z: Array, held: Coefficients) -> State:
        """The state of these factors (``W`` times the gains), with its residual and objective."""
        W = W / self.gains
        residual = self.x - self.synthesis(lambda rows: held.modelled(rows, W, Z))
        size = float(np.sqrt(np.sum(np.square(residual), dtype=float)))
        return State(
            iteration=held.iteration,
            spectra=W,
            activations=Z,
            residual=residual,
            objective=size**2 / 2 + self.parameters["penalty"] * float(Z.sum(dtype=float)),
            relative_residual=size / float(np.linalg.norm(self.x)),
            coefficients=held,
            model=self,
        )

    def synthesis(self, coefficients: Callable[[slice], Array]) -> Array:
        """``Φ`` of coefficients that are computed block by block."""
        return self.frame.half_syntheses(
            lambda rows: coefficients(rows)[None], 1, self.x.size, self.x.dtype
        )[0]

    def _fill(self, A: Array, values: Callable[[slice], Array]) -> None:
        def fill(rows: slice) -> None:
            A[rows] = values(rows)

        for _ in in_threads(fill, self.frame.blocks(self.x.size)):
            pass


# ---- before a run ------------------------------------------------------------------------------


def estimate(
    n_samples: int,
    n_components: int,
    frame: GaborFrame | None = None,
    *,
    phases: str = "common",
    dtype: Any = np.float64,
) -> Estimate:
    """Memory and time that :func:`iterate` will take, without running it.

    The memory is mostly that of the coefficients, once, and of ``K`` free phases; the time is
    that of a block, timed on this machine, so it is rough.

    Examples
    --------
    >>> common, free = (estimate(345_500, 8, phases=phases) for phases in PHASES)
    >>> free.memory_bytes - common.memory_bytes > 8 * 16 * 678 * 1025
    True

    References
    ----------
    Chapter: ``book/methods/algorithm_1_complex.md``.
    """
    frame = default_frame() if frame is None else frame
    n_samples, K = integer(n_samples, "n_samples"), integer(n_components, "n_components")
    phases, dtype = choice(phases, "phases", PHASES), np.dtype(dtype)
    needed = _bytes_needed(n_samples, K, frame, phases, dtype)
    piece = min(n_samples, frame.hop * (frame.blocks(n_samples)[0].stop - 1) + 1)
    parameters = {
        "n_components": K,
        "penalty": 0.0,
        "phases": phases,
        "inner_iterations": 1,
    }
    x = np.random.default_rng(0).standard_normal(piece).astype(dtype)
    model = Model(x, frame, parameters)
    n, F = frame.n_frames(piece), frame.channels // 2 + 1
    first = model.start((np.ones((K, F), dtype), np.ones((K, n), dtype)), np.random.default_rng(0))
    seconds = seconds_of(lambda: model.after(first)) * frame.n_frames(n_samples) / n
    return Estimate(needed, seconds)


def _bytes_needed(n_samples: int, K: int, frame: GaborFrame, phases: str, dtype: Any) -> int:
    N, F = frame.n_frames(n_samples), frame.channels // 2 + 1
    arrays, drawn = 1, 0
    if phases == "free":
        arrays, drawn = 1 + K, 40 * min(K * N * F, SINGLE)
    blocks = frame.blocks(n_samples)
    at_once = blocks[0].stop * min(n_threads(), len(blocks))
    block = at_once * (6 * F + 2 * max(frame.channels, frame.window.size))
    others = 6 * K * (N + F) + (K + 4) * n_samples + 3 * frame.window.size
    return int((2 * arrays * N * F + others + block) * np.dtype(dtype).itemsize) + drawn
