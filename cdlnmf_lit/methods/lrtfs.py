r"""Low-rank time-frequency synthesis: Itakura-Saito NMF as a prior on synthesis coefficients.

The model of reference [18]: ``x = Φα + e``, with white noise ``e`` of variance ``λ`` and
independent Gaussian ``α[τ, ν]`` of variance ``v[τ, ν] = ε + Σ_k Z_k[τ] W_k[ν]``. Where IS-NMF
factorises the power of the *analysis* coefficients ``Φ* x``, here the coefficients are sought too.

Channels 0 to ``M // 2`` are kept; the sums over all channels count those between the first and the
last of them twice.

Chapter: ``book/methods/lrtfs.md``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cdlnmf_lit.methods.decomposition import Decomposition, run
from cdlnmf_lit.methods.nmf import wiener_masks
from cdlnmf_lit.methods.resources import Estimate, require_memory, seconds_of
from cdlnmf_lit.theory.arguments import Array, array, choice, integer, non_negative, signal
from cdlnmf_lit.theory.blocks import SINGLE, in_threads, n_threads, pieces, placed
from cdlnmf_lit.theory.gabor import GaborFrame

ESTIMATIONS = ("marginal", "joint")
STARTS = ("random",)
DEFAULT_NOISE = 1e-2
"""``λ`` over the mean power of the signal, where none is given: -20 dB."""
BACKGROUND = 1e-6
"""``ε`` over ``λ``: what every coefficient may have, 60 dB below the noise."""
COOLING = 0.9
"""What is left of ``λ`` after an iteration, while it is annealed."""
LEAST = 1e-6
"""What a start has at the least, over its mean."""


@dataclass(frozen=True, eq=False)
class State:
    r"""One iterate: coefficients, and the factors of their variances.

    Parameters
    ----------
    iteration : int
        Iterations done.
    spectra : array (K, F)
        ``W_k ≥ 0``, powers.
    activations : array (K, N)
        ``Z_k ≥ 0``.
    residual : array (T,)
        ``x - Φα``.
    objective : float
        ``λ`` times minus twice the log-likelihood, or its bound, up to a constant: see
        :func:`iterate`.
    relative_residual : float
        ``‖x - Φα‖ / ‖x‖``.
    noise : float
        ``λ`` of this iteration.

    Examples
    --------
    >>> x, frame = np.sin(0.3 * np.arange(200.0)), GaborFrame("hann", 8, 32).tight()
    >>> start = next(iterate(x, 1, frame, rng=0))
    >>> start.spectra.shape, start.activations.shape, start.coefficients.shape
    ((1, 17), (1, 28), (28, 17))

    References
    ----------
    Reference [18] of the paper. Chapter: ``book/methods/lrtfs.md``.
    """

    iteration: int
    spectra: Array
    activations: Array
    residual: Array
    objective: float
    relative_residual: float
    noise: float
    model: Model
    sums: tuple[Array, Array]

    @property
    def coefficients(self) -> Array:
        """``α``, channels 0 to ``M // 2``, ``(N, F)``: the next iteration overwrites it.

        Raises
        ------
        RuntimeError
            If there was one.
        """
        if self.model.latest != [self.iteration]:
            raise RuntimeError(
                f"the coefficients of iteration {self.iteration} were overwritten by iteration "
                f"{self.model.latest[0]}: take what you need of a state before the next one"
            )
        return self.model.alpha

    @property
    def record(self) -> dict[str, float]:
        """What the history keeps."""
        names = ("objective", "relative_residual", "noise")
        return {name: getattr(self, name) for name in names}

    def decomposition(self) -> Decomposition:
        """This iterate as a :class:`Decomposition`: each component is its share of ``Φα``."""
        model, frame, alpha = self.model, self.model.frame, self.coefficients

        def parts(rows: slice) -> Any:
            masks = wiener_masks(self.spectra, self.activations[:, rows])
            return (mask * alpha[rows] for mask in masks)

        return Decomposition(
            method="lrtfs",
            atoms=None,
            activations=self.activations,
            hop=frame.hop,
            first_sample=model.first_sample,
            residual=self.residual,
            history={},
            status=f"at iteration {self.iteration}",
            parameters=dict(model.parameters),
            spectra=self.spectra,
            sounds=frame.half_syntheses(parts, len(self.spectra), model.x.size, alpha.dtype),
        )


def iterate(
    x: ArrayLike,
    n_components: int,
    frame: GaborFrame | None = None,
    *,
    noise: float | None = None,
    estimation: str = "marginal",
    start: str | Decomposition | tuple[ArrayLike, ArrayLike] = "random",
    annealing: float = 1.0,
    relaxation: float = 1.0,
    rng: Any = None,
) -> Iterator[State]:
    r"""Iterate low-rank time-frequency synthesis: yield the start, then a state an iteration.

    The objective of the joint estimation, with ``v = ε + Σ_k Z_k W_k`` and the sums over all ``M``
    channels:

    .. math::
        \|x - Φα\|^2 + λ \sum_{τ,ν} \Big( \frac{|α|^2}{v} + \log\frac{v}{ε} \Big)

    That of the marginal one, which bounds minus twice the log-likelihood of ``W`` and ``Z``; here
    ``α`` is the mean of the coefficients, ``s`` their variance and ``γ_τ`` the energy of an atom:

    .. math::
        \|x - Φα\|^2 + \sum_{τ,ν} γ_τ s
        + λ \sum_{τ,ν} \Big( \frac{|α|^2 + s}{v} + \log\frac{v}{s} - 1 \Big)

    Neither rises in any iteration.

    Parameters
    ----------
    x : array (T,)
        The signal.
    n_components : int
        ``K``.
    frame : GaborFrame, optional
        Any; a tight one is best. Default: Hann window of 2048 samples, hop 512, tight.
    noise : float
        ``λ``, the variance of the noise, in squared units of the signal. By default a hundredth of
        the mean of ``x²``.
    estimation : {"marginal", "joint"}
        What is maximised: the likelihood of ``W`` and ``Z``, of which the coefficients are
        integrated out (a bound of it: variational EM); or that of ``W``, ``Z`` and ``α``.
    start : {"random"}, Decomposition, or pair of arrays
        The first factors: the mean spectrum and the loudness of the frames, times random numbers;
        those of any method's result; or ``(spectra, activations)`` as in :class:`State`.
    annealing : float
        How many times larger ``λ`` is at first; it falls by a tenth an iteration down to
        ``noise``. 1: it stays.
    relaxation : float
        How far the coefficients move towards the minimiser of their majoriser: 1, as in reference
        [18], or further, below 2, which is faster where the frame is redundant.
    rng : seed or numpy.random.Generator
        For the start.

    Yields
    ------
    State

    Raises
    ------
    ValueError
        For a signal that is constant, more components than frames or channels, a noise that is not
        positive, or a start of the wrong shape.
    MemoryError
        If the arrays it needs exceed the memory there is: see :func:`estimate`.

    Examples
    --------
    >>> x, frame = np.sin(0.3 * np.arange(200.0)), GaborFrame("hann", 8, 32).tight()
    >>> for state in iterate(x, 1, frame, noise=1e-3, rng=0):
    ...     if state.iteration == 5:
    ...         break
    >>> state.relative_residual < 0.1
    True

    References
    ----------
    Reference [18] of the paper. Chapter: ``book/methods/lrtfs.md``.
    """
    x = signal(x)
    frame = default_frame() if frame is None else frame
    if np.ptp(x) == 0:
        raise ValueError(f"x must not be constant, got {x[0]} at every sample")
    most = min(frame.n_frames(x.size), frame.channels // 2 + 1)
    K = integer(n_components, "n_components", at_most=most)
    power = float(np.mean(np.square(x, dtype=float)))
    noise = DEFAULT_NOISE * power if noise is None else non_negative(noise, "noise")
    least = _tiny(x.dtype) / BACKGROUND**2
    if noise < least:
        raise ValueError(f"noise must be at least {least:.2g} in {x.dtype}, got {noise}")
    annealing = non_negative(annealing, "annealing")
    relaxation = non_negative(relaxation, "relaxation")
    if annealing < 1:
        raise ValueError(f"annealing must be at least 1, got {annealing}")
    if not 0 < relaxation < 2:
        raise ValueError(f"relaxation must lie between 0 and 2, got {relaxation}")
    estimation = choice(estimation, "estimation", ESTIMATIONS)
    require_memory(
        _bytes_needed(frame, x.size, K, x.dtype),
        f"decomposing {x.size} samples into {K} components at hop {frame.hop}",
    )
    model = Model.of(
        x,
        frame,
        noise=noise,
        annealing=annealing,
        is_marginal=estimation == "marginal",
        relaxation=relaxation,
        parameters={
            "n_components": K,
            "power": 2,
            "hop": frame.hop,
            "channels": frame.channels,
            "window_length": frame.window.size,
            "noise": noise,
            "estimation": estimation,
            "start": start if isinstance(start, str) else type(start).__name__,
            "annealing": annealing,
            "relaxation": relaxation,
        },
    )
    return _states(model, *_start(model, start, K, np.random.default_rng(rng)))


def decompose(
    x: ArrayLike,
    n_components: int,
    frame: GaborFrame | None = None,
    *,
    noise: float | None = None,
    estimation: str = "marginal",
    start: str | Decomposition | tuple[ArrayLike, ArrayLike] = "random",
    annealing: float = 1.0,
    relaxation: float = 1.0,
    iterations: int = 100,
    tolerance: float = 0.0,
    rng: Any = None,
) -> Decomposition:
    """Decompose a signal by low-rank time-frequency synthesis: :func:`iterate`, run to its end.

    Parameters
    ----------
    x, n_components, frame, noise, estimation, start, annealing, relaxation, rng
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
    Reference [18] of the paper. Chapter: ``book/methods/lrtfs.md``.
    """
    states = iterate(
        x,
        n_components,
        frame,
        noise=noise,
        estimation=estimation,
        start=start,
        annealing=annealing,
        relaxation=relaxation,
        rng=rng,
    )
    return run(states, iterations, tolerance)


def default_frame() -> GaborFrame:
    """A Hann window of 2048 samples, the paper's length for its piano, at hop 512; made tight.

    Examples
    --------
    >>> default_frame().hop
    512

    References
    ----------
    Section 4 of the paper. Chapter: ``book/methods/lrtfs.md``.
    """
    return GaborFrame("hann", 512, 2048).tight()


# ---- on a few frames ------------------------------------------------------------------------


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

    Returns
    -------
    complex array

    Examples
    --------
    >>> shrunk(np.array([2j]), np.array([3.0]), 1.0)
    array([0.+1.5j])

    References
    ----------
    Reference [18] of the paper. Chapter: ``book/methods/lrtfs.md``.
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

    Returns
    -------
    array (N, F)

    Examples
    --------
    >>> posterior_variance(np.array([[3.0]]), np.array([[0.5]]), 1.0)
    array([[1.2]])

    References
    ----------
    Reference [18] of the paper has ``γ = 1``. Chapter: ``book/methods/lrtfs.md``.
    """
    return np.asarray(v / (1 + v * (energy / noise)))


# ---- one iteration --------------------------------------------------------------------------


def _states(model: Model, W: Array, Z: Array) -> Iterator[State]:
    state = model.start(W, Z)
    while True:
        yield state
        state = model.after(state)


@dataclass(frozen=True, eq=False)
class Model:
    """The signal, the frame and what an iteration computes from them.

    Parameters
    ----------
    x : array (T,)
    frame : GaborFrame
    noise : float
        ``λ``, once it is annealed.
    annealing : float
    is_marginal : bool
    relaxation : float
    alpha : complex array (N, F)
        The coefficients, updated in place: they are what takes the memory.
    latest : list of one int
        The iteration that they are of.
    parameters : dict
        For the record.

    Examples
    --------
    >>> x, frame = np.sin(0.3 * np.arange(200.0)), GaborFrame("hann", 8, 32).tight()
    >>> next(iterate(x, 1, frame, rng=0)).model.counts[:3]
    array([1., 2., 2.])

    References
    ----------
    Reference [18] of the paper. Chapter: ``book/methods/lrtfs.md``.
    """

    x: Array
    frame: GaborFrame
    noise: float
    annealing: float
    is_marginal: bool
    relaxation: float
    alpha: Array
    latest: list[int]
    parameters: dict[str, Any]

    @classmethod
    def of(
        cls,
        x: Array,
        frame: GaborFrame,
        *,
        noise: float,
        is_marginal: bool,
        annealing: float = 1.0,
        relaxation: float = 1.0,
        parameters: dict[str, Any] | None = None,
    ) -> Model:
        """A model whose coefficients are 0."""
        shape = frame.n_frames(x.size), frame.channels // 2 + 1
        alpha = np.zeros(shape, np.result_type(x.dtype, np.complex64))
        return cls(
            x, frame, noise, annealing, is_marginal, relaxation, alpha, [0], parameters or {}
        )

    @cached_property
    def counts(self) -> Array:
        """How many of all ``M`` channels each of the kept ones stands for, ``(F,)``."""
        counts = np.full(self.alpha.shape[1], 2, self.x.dtype)
        counts[0] = 1
        if self.frame.channels % 2 == 0:
            counts[-1] = 1
        return counts

    @property
    def first_sample(self) -> int:
        """Where the window of the first frame begins."""
        return self.frame.first_sample

    @cached_property
    def bound(self) -> float:
        """``‖Φ‖²``."""
        return self.frame.bounds(self.x.size)[1]

    @cached_property
    def energies(self) -> Array:
        """``γ``, the energy of each frame's atoms within the signal, ``(N, 1)``."""
        frame, T = self.frame, self.x.size
        so_far = np.concatenate([[0.0], np.cumsum(frame.window.astype(float) ** 2)])
        positions = frame.first_frame + np.arange(len(self.alpha))
        first = frame.hop * positions - frame.origin
        ends = (np.clip(edge - first, 0, frame.window.size) for edge in (T, 0))
        last, begin = (so_far[end] for end in ends)
        return np.asarray((last - begin)[:, None]).astype(self.x.dtype)

    @property
    def background(self) -> float:
        """``ε``."""
        return BACKGROUND * self.noise

    def noise_at(self, iteration: int) -> float:
        """``λ`` of an iteration."""
        return self.noise * max(1.0, self.annealing * COOLING**iteration)

    def start(self, W: Array, Z: Array) -> State:
        """Coefficients shrunk from the analysis coefficients; the factors as they are given."""
        return self._swept(0, W, Z, self.x)

    def after(self, state: State) -> State:
        """One iteration: the spectra, then frame by frame the coefficients and the activations."""
        up, down = state.sums
        W = state.spectra * _root_of_ratio(up, down)
        return self._swept(state.iteration + 1, W, state.activations, state.residual)

    def _swept(self, iteration: int, W: Array, Z: Array, residual: Array) -> State:
        """Update all frames, block by block, and synthesise the signal as they pass."""
        frame, T, K = self.frame, self.x.size, len(W)
        gradient_at = frame.lazy_half_analysis(residual)
        updated = Z.copy()
        sums: dict[int, list[Any]] = {}

        def update(rows: slice) -> Array:
            gradient = gradient_at(rows)
            totals: list[Any] = [np.zeros_like(W), np.zeros_like(W), 0.0]
            for piece in pieces(len(gradient), _piece_rows(K, W.shape[1])):
                here = slice(rows.start + piece.start, rows.start + piece.stop)
                found = self._frames(iteration, here, gradient[piece], W, updated[:, here])
                for n, value in enumerate(found):
                    totals[n] += value
            sums[rows.start] = totals
            return self.alpha[None, rows]

        fitted = frame.half_syntheses(update, 1, T, self.alpha.dtype)[0]
        self.latest[0] = iteration
        in_order = [sums[rows.start] for rows in frame.blocks(T)]
        up, down, cost = (sum(values) for values in zip(*in_order, strict=True))
        residual = self.x - fitted
        error = float(np.sum(np.square(residual, dtype=float)))
        noise = self.noise_at(iteration)
        return State(
            iteration=iteration,
            spectra=W,
            activations=updated,
            residual=residual,
            objective=error + noise * cost,
            relative_residual=float(np.sqrt(error / np.sum(np.square(self.x, dtype=float)))),
            noise=noise,
            model=self,
            sums=(up, down),
        )

    def _frames(
        self, iteration: int, rows: slice, gradient: Array, W: Array, Z: Array
    ) -> tuple[Array, Array, float]:
        """Update a few frames' ``α`` and ``Z`` in place; what the spectra and the objective need.

        ``gradient`` is ``Φ*(x - Φα)`` in these frames, and is used up.
        """
        noise, counts = self.noise_at(iteration), self.counts
        alpha = self.alpha[rows]
        v = self.variances(W, Z)
        gradient *= 1 / self.bound
        gradient += alpha
        moved = shrunk(gradient, v, noise / self.bound)
        if iteration and self.relaxation != 1:
            moved = alpha + self.relaxation * (moved - alpha)
        alpha[:] = moved
        P = alpha.real**2 + alpha.imag**2
        s = posterior_variance(v, self.energies[rows], noise) if self.is_marginal else None
        if s is not None:
            P += s
        if iteration:
            weighted = (counts * W).T
            inverse = 1 / v
            Z *= _root_of_ratio((P * inverse * inverse) @ weighted, inverse @ weighted).T
            v = self.variances(W, Z)
        inverse = 1 / v
        ratio = P * inverse
        if s is None:
            cost = ratio + np.log(v / self.background)
        else:
            cost = ratio + np.log(v / s) - 1 + s * (self.energies[rows] / noise)
        total = float(np.sum(cost @ counts, dtype=float))
        return Z @ (ratio * inverse), Z @ inverse, total

    def variances(self, W: Array, Z: Array) -> Array:
        """``v = ε + Σ_k Z_k W_k`` of a few frames, ``(n, F)``."""
        v = Z.T @ W
        v += self.background
        return np.asarray(v)


def _root_of_ratio(up: Array, down: Array) -> Array:
    """``√(up / down)``, by which the factors change; 0 / 0 is 0."""
    return np.asarray(np.sqrt(up / np.maximum(down, _tiny(down.dtype))))


def _piece_rows(K: int, F: int) -> int:
    """Frames in one piece: few enough for the cache, and for BLAS to stay in its thread."""
    return max(1, SINGLE // (K * F))


# ---- starts ---------------------------------------------------------------------------------


def _start(model: Model, start: Any, K: int, rng: np.random.Generator) -> tuple[Array, Array]:
    N, F = model.alpha.shape
    if isinstance(start, Decomposition):
        return _from_decomposition(model, start, K)
    if isinstance(start, tuple):
        return _given(start, (K, F), (K, N), model.x.dtype)
    choice(start, "start", STARTS)
    spectrum, loudness = _rank_one(model, model.x)
    spread = [0.5 + rng.random((K, size)).astype(model.x.dtype) for size in (F, N)]
    return spread[0] * (spectrum / K), spread[1] * loudness


def _rank_one(model: Model, x: Array) -> tuple[Array, Array]:
    """The mean power of the coefficients ``Φ* x / ‖Φ‖²`` in each channel, and each frame's part.

    Where ``x`` is heard neither is quite 0, for a 0 would stay.
    """
    rows_of = model.frame.lazy_half_analysis(x)

    def powers(rows: slice) -> tuple[Array, Array]:
        X = rows_of(rows) / model.bound
        V = X.real**2 + X.imag**2
        return V.sum(axis=0), V @ model.counts

    spectrum, by_frame = np.zeros(len(model.counts), model.counts.dtype), []
    for of_channels, of_frames in in_threads(powers, model.frame.blocks(x.size)):
        spectrum += of_channels
        by_frame.append(of_frames)
    spectrum /= len(model.alpha)
    loudness = np.concatenate(by_frame) / max(float(spectrum @ model.counts), _tiny(x.dtype))
    return tuple(np.maximum(each, LEAST * each.mean()) for each in (spectrum, loudness))


def _from_decomposition(model: Model, found: Decomposition, K: int) -> tuple[Array, Array]:
    """Another result's powers, if they are of this frame; else those of each component.

    The latter are not quite 0 for a silent component either.
    """
    if found.n_components != K:
        raise ValueError(f"start must have {K} components, got {found.n_components}")
    dtype, (N, F) = model.x.dtype, model.alpha.shape
    same_places = (found.hop, found.first_sample) == (model.frame.hop, model.first_sample)
    same_places = same_places and found.activations.shape == (K, N)
    if found.spectra is not None and found.spectra.shape == (K, F) and same_places:
        exponent = 2 / found.parameters.get("power", 1)
        W, Z = (np.abs(each).astype(dtype) for each in (found.spectra, found.activations))
        return W**exponent, Z**exponent
    sounds = (found.component(k)[: model.x.size].astype(dtype) for k in range(K))
    ones = [_rank_one(model, placed(sound, 0, model.x.size)) for sound in sounds]
    W, Z = (np.stack(each) for each in zip(*ones, strict=True))
    return np.maximum(W, LEAST * W.mean()), np.maximum(Z, LEAST * Z.mean())


def _given(
    start: tuple[Any, ...], of_spectra: tuple[int, int], of_activations: tuple[int, int], dtype: Any
) -> tuple[Array, Array]:
    if len(start) != 2:
        raise ValueError(f"start must be a pair (spectra, activations), got {len(start)} values")
    given = []
    shapes = {"spectra": of_spectra, "activations": of_activations}
    for value, (name, shape) in zip(start, shapes.items(), strict=True):
        found = array(value, f"start's {name}", 2)
        if found.shape != shape:
            raise ValueError(f"start's {name} must have shape {shape}, got {found.shape}")
        if found.min() < 0:
            raise ValueError(f"start's {name} must not be negative, got {found.min()}")
        given.append(found.astype(dtype))
    return given[0], given[1]


def _tiny(dtype: Any) -> float:
    return float(np.finfo(dtype).smallest_normal)


# ---- before a run ---------------------------------------------------------------------------


def estimate(
    n_samples: int,
    n_components: int,
    frame: GaborFrame | None = None,
    *,
    estimation: str = "marginal",
    dtype: Any = np.float64,
) -> Estimate:
    """Memory and time that :func:`iterate` will take, without running it.

    Most of the memory are the coefficients. The time is that of a few frames, timed on this
    machine, times their number, so it is rough.

    Examples
    --------
    >>> coefficients = 16 * default_frame().n_frames(345_500) * 1025
    >>> estimate(345_500, 8).memory_bytes > coefficients
    True

    References
    ----------
    Chapter: ``book/methods/lrtfs.md``.
    """
    frame = default_frame() if frame is None else frame
    n_samples, K = integer(n_samples, "n_samples"), integer(n_components, "n_components")
    choice(estimation, "estimation", ESTIMATIONS)
    rows = min(frame.n_frames(n_samples), _piece_rows(K, frame.channels // 2 + 1))
    x = np.ones(frame.hop * rows, dtype)
    x[0] = 0
    few = Model.of(x, frame, noise=1.0, is_marginal=estimation == "marginal")
    W, Z = np.ones((K, few.alpha.shape[1]), dtype), np.ones((K, len(few.alpha)), dtype)
    state = few.start(W, Z)
    a_frame = seconds_of(lambda: few.after(state)) / len(few.alpha)
    seconds = a_frame * frame.n_frames(n_samples) / n_threads()
    return Estimate(_bytes_needed(frame, n_samples, K, np.dtype(dtype)), seconds)


def _bytes_needed(frame: GaborFrame, n_samples: int, K: int, dtype: np.dtype) -> int:
    N, F = frame.n_frames(n_samples), frame.channels // 2 + 1
    blocks = frame.blocks(n_samples)
    coefficients = 2 * N * F
    signals = (2 * K + 8) * n_samples
    factors = 4 * K * (N + F) + 2 * K * F * len(blocks)
    block = blocks[0].stop * max(frame.channels, frame.window.size)
    piece = min(blocks[0].stop, _piece_rows(K, F)) * F
    temporaries = min(n_threads(), len(blocks)) * (6 * block + 12 * piece)
    return int((coefficients + signals + factors + temporaries) * dtype.itemsize)
