r"""Algorithm 1 of the paper, without ever forming its coefficients.

The paper's iteration is a gradient step on the synthesis coefficients and a semi-NMF of the
result: ``α ← α + μ Φ*(x - Φα)``, then ``α ← W Zᵀ``. With ``α = W Zᵀ`` of rank ``K`` before and
after, the semi-NMF needs only two products with what lies between, and both are correlations in
time. In the variable ``w_k = M · IDFT(W_k)``, real for real signals, the atoms are ``d_k = g w_k``.

Chapter: ``book/methods/algorithm_1.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike

from cdlnmf_lit.methods.cdl import shifts_to_middle
from cdlnmf_lit.methods.decomposition import Decomposition, run
from cdlnmf_lit.methods.resources import Estimate, require_memory, seconds_of
from cdlnmf_lit.methods.semi_nmf import ACTIVATION_UPDATES
from cdlnmf_lit.methods.starts import activations_of, given, of_as_many
from cdlnmf_lit.theory.arguments import Array, choice, integer, non_negative, signal
from cdlnmf_lit.theory.blocks import gram, in_threads, placed, stretches
from cdlnmf_lit.theory.convolution import GROUP, Convolution
from cdlnmf_lit.theory.gabor import GaborFrame

SLOWER, FASTER, PATIENT = 0.5, 1.3, 1.05
"""How a step shrinks where it is refused, and grows after: back-tracked, accelerated."""

Point = list[tuple[float, "State"]]
"""Coefficients as a combination of factored ones: ``Σ c_i W_i Z_iᵀ``."""


@dataclass(frozen=True, eq=False)
class State:
    r"""One iterate ``α = W Zᵀ`` of Algorithm 1, in the variable ``w_k = M · IDFT(W_k)``.

    Parameters
    ----------
    iteration : int
        Outer iterations done.
    weights : array (K, P)
        ``w_k``, so that ``d_k = g w_k``; ``P = T_g``, or ``M`` if that is less.
    activations : array (K, N)
        ``z_k ≥ 0``.
    residual : array (T,)
        ``x - Φ(W Zᵀ)``.
    objective : float
        ``½‖x - Φ(W Zᵀ)‖² + λ‖Z‖₁``.
    relative_residual : float
        ``‖x - Φ(W Zᵀ)‖ / ‖x‖``.
    step : float
        ``μ``, the length of the gradient step that led here.

    Examples
    --------
    >>> x, frame = np.sin(0.3 * np.arange(200.0)), GaborFrame("hann", 4, 32).tight()
    >>> start = next(iterate(x, 1, frame, rng=0))
    >>> start.iteration, start.weights.shape, start.activations.shape
    (0, (1, 32), (1, 57))

    References
    ----------
    Algorithm 1 of the paper. Chapter: ``book/methods/algorithm_1.md``.
    """

    iteration: int
    weights: Array
    activations: Array
    residual: Array
    objective: float
    relative_residual: float
    step: float
    model: Model
    spectra: list[Array]

    @property
    def record(self) -> dict[str, float]:
        """What the history keeps."""
        names = ("objective", "relative_residual", "step")
        return {name: getattr(self, name) for name in names}

    def decomposition(self) -> Decomposition:
        """This iterate as a :class:`Decomposition`."""
        model, frame = self.model, self.model.frame
        return Decomposition(
            method="algorithm-1",
            atoms=model.atoms(self.weights),
            activations=self.activations,
            hop=frame.hop,
            first_sample=-model.lead,
            residual=self.residual,
            history={},
            status=f"at iteration {self.iteration}",
            parameters=dict(model.parameters),
        )


def iterate(
    x: ArrayLike,
    n_components: int,
    frame: GaborFrame | None = None,
    *,
    penalty: float = 0.0,
    start: str | Decomposition | tuple[ArrayLike, ArrayLike] = "random",
    step_rule: str = "unit",
    activation_update: str = "multiplicative",
    inner_iterations: int = 1,
    recentre_every: int = 0,
    rng: Any = None,
) -> Iterator[State]:
    r"""Iterate Algorithm 1: yield the start, then a state an outer iteration, without end.

    .. math::
        \min_{W, Z ≥ 0} \; ½ \|x - Φ(W Z^T)\|^2 + λ \|Z\|_1
        \quad\text{subject to } \|d_k\| ≤ 1 \text{ if } λ > 0

    Parameters
    ----------
    x : array (T,)
        The signal.
    n_components : int
        ``K``.
    frame : GaborFrame, optional
        With ``‖Φ‖ ≤ 1``, so usually a tight one, any hop down to 1, ``T_g ≤ T``. Default: Hann
        window of 2048 samples, hop 8, as the paper has for its piano.
    penalty : float
        ``λ``. With ``λ > 0`` the atoms are held in the unit ball; without that constraint the
        penalty could be made as small as you like by scaling (see the chapter on Corollary 1).
    start : {"random", "segments"}, Decomposition, or pair of arrays
        Initial values: random activations and the atoms that fit them best; segments of the
        signal, drawn by energy, and their correlations with it; the atoms (or the loudest stretches
        of the components) and activations of any method's result; or ``(weights, activations)`` as
        in :class:`State`.
    step_rule : {"unit", "backtracking", "accelerated"}
        The paper's ``μ = 1``, which never increases the objective; steps as long as the objective
        allows; or such steps from an extrapolated point, with restarts.
    activation_update : {"multiplicative", "coordinate"}
        The semi-NMF's update of ``Z``: the paper's, or one that goes further in one pass.
    inner_iterations : int
        Semi-NMF updates in an outer iteration.
    recentre_every : int
        Iterations after which to see whether shifting each atom's energy to the middle of the
        window would have led lower; 0 never does, as in the paper.
    rng : seed or numpy.random.Generator
        For the start.

    Yields
    ------
    State

    Raises
    ------
    ValueError
        For a signal that is constant or shorter than the window, a frame with ``‖Φ‖ > 1``, more
        components than the data allow, or a start of the wrong shape.
    MemoryError
        If the arrays it needs exceed the memory there is: see :func:`estimate`.

    Examples
    --------
    >>> x, frame = np.sin(0.3 * np.arange(200.0)), GaborFrame("hann", 4, 32).tight()
    >>> for state in iterate(x, 1, frame, rng=0):
    ...     if state.iteration == 2:
    ...         break
    >>> state.relative_residual < 1
    True

    References
    ----------
    Algorithm 1 and equation (15) of the paper; the semi-NMF is that of reference [15].
    Chapter: ``book/methods/algorithm_1.md``.
    """
    x = signal(x)
    frame = default_frame() if frame is None else frame
    if np.ptp(x) == 0:
        raise ValueError(f"x must not be constant, got {x[0]} at every sample")
    if frame.window.size > x.size:
        raise ValueError(
            f"x must be at least as long as the window, {frame.window.size} samples, got {x.size}"
        )
    if frame.phase != "time-invariant":
        raise ValueError(f"frame must count its phase time-invariant, got {frame.phase!r}")
    upper = frame.bounds(x.size)[1]
    if upper > 1 + 1e-6:
        raise ValueError(f"frame must have ‖Φ‖² ≤ 1, got {upper:.4g}: use frame.tight()")
    most = min(frame.n_frames(x.size), frame.channels, frame.window.size)
    n_components = integer(n_components, "n_components", at_most=most)
    steps = STEP_RULES[choice(step_rule, "step_rule", STEP_RULES)]
    inner_iterations = integer(inner_iterations, "inner_iterations")
    recentre_every = integer(recentre_every, "recentre_every", at_least=0)
    model = Model(
        x=x,
        frame=frame,
        penalty=non_negative(penalty, "penalty"),
        inner_iterations=inner_iterations,
        activation_update=choice(activation_update, "activation_update", ACTIVATION_UPDATES),
        parameters={
            "n_components": n_components,
            "hop": frame.hop,
            "channels": frame.channels,
            "window_length": frame.window.size,
            "penalty": float(penalty),
            "start": start if isinstance(start, str) else type(start).__name__,
            "step_rule": step_rule,
            "activation_update": activation_update,
            "inner_iterations": inner_iterations,
            "recentre_every": recentre_every,
        },
    )
    require_memory(
        _bytes_needed(model.plan, x.size, n_components, x.dtype),
        f"decomposing {x.size} samples into {n_components} components at hop {frame.hop}",
    )
    weights, activations = _start(model, start, n_components, np.random.default_rng(rng))
    first = model.start(weights, activations)
    if recentre_every:
        return recentring_steps(steps, model, first, recentre_every)
    return steps(model, first)


def decompose(
    x: ArrayLike,
    n_components: int,
    frame: GaborFrame | None = None,
    *,
    penalty: float = 0.0,
    start: str | Decomposition | tuple[ArrayLike, ArrayLike] = "random",
    step_rule: str = "unit",
    activation_update: str = "multiplicative",
    inner_iterations: int = 1,
    recentre_every: int = 0,
    iterations: int = 100,
    tolerance: float = 0.0,
    rng: Any = None,
) -> Decomposition:
    """Decompose a signal by Algorithm 1: :func:`iterate`, run to its end.

    Parameters
    ----------
    x, n_components, frame, penalty, start, step_rule, activation_update
        See :func:`iterate`.
    inner_iterations, recentre_every, rng
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
    >>> x, frame = np.sin(0.3 * np.arange(200.0)), GaborFrame("hann", 4, 32).tight()
    >>> found = decompose(x, 1, frame, iterations=5, rng=0)
    >>> np.allclose(found.components().sum(axis=0) + found.residual, x)
    True

    References
    ----------
    Algorithm 1 of the paper. Chapter: ``book/methods/algorithm_1.md``.
    """
    states = iterate(
        x,
        n_components,
        frame,
        penalty=penalty,
        start=start,
        step_rule=step_rule,
        activation_update=activation_update,
        inner_iterations=inner_iterations,
        recentre_every=recentre_every,
        rng=rng,
    )
    return run(states, iterations, tolerance)


def default_frame() -> GaborFrame:
    """The paper's frame for its piano: a Hann window of 2048 samples, hop 8; made tight.

    Examples
    --------
    >>> default_frame().hop
    8

    References
    ----------
    Section 4 of the paper. Chapter: ``book/methods/algorithm_1.md``.
    """
    return GaborFrame("hann", 8, 2048).tight()


# ---- step rules ----------------------------------------------------------------------------


def unit_steps(model: Model, state: State) -> Iterator[State]:
    """The paper's steps, ``μ = 1``: with ``‖Φ‖ ≤ 1`` the objective never rises.

    Examples
    --------
    >>> x, frame = np.sin(0.3 * np.arange(200.0)), GaborFrame("hann", 4, 32).tight()
    >>> states = iterate(x, 1, frame, step_rule="unit", rng=0)
    >>> [round(next(states).step, 2) for _ in range(3)]
    [1.0, 1.0, 1.0]

    References
    ----------
    Algorithm 1 of the paper. Chapter: ``book/methods/algorithm_1.md``.
    """
    while True:
        yield state
        state = model.after([(1.0, state)], state, 1.0)


def backtracked_steps(model: Model, state: State) -> Iterator[State]:
    """Steps as long as the objective allows: halved until it does not rise, then grown again.

    They double from that of the state, 1 at the start, until one is refused, and grow by 1.3 from
    then on.

    Examples
    --------
    >>> x, frame = np.sin(0.3 * np.arange(200.0)), GaborFrame("hann", 4, 32).tight()
    >>> states = iterate(x, 1, frame, step_rule="backtracking", rng=0)
    >>> [next(states).step for _ in range(3)]
    [1.0, 1.0, 2.0]

    References
    ----------
    Departs from the paper's unit step. Chapter: ``book/methods/algorithm_1.md``.
    """
    step, growth = state.step, 1 / SLOWER
    while True:
        yield state
        trial = model.after([(1.0, state)], state, step)
        while not trial.objective <= state.objective and step > 1:
            step, growth = max(1.0, SLOWER * step), FASTER
            trial = model.after([(1.0, state)], state, step)
        state, step = trial, growth * step


def accelerated_steps(model: Model, state: State) -> Iterator[State]:
    """Back-tracked steps from an extrapolated point; a refusal also ends the extrapolation.

    The extrapolated coefficients ``(1 + β) α_t - β α_{t-1}`` have rank ``2K`` and stay factored.
    After the first refusal the steps grow by 1.05 only, for each refusal costs the momentum.

    Examples
    --------
    >>> x, frame = np.sin(0.3 * np.arange(200.0)), GaborFrame("hann", 4, 32).tight()
    >>> states = iterate(x, 1, frame, step_rule="accelerated", rng=0)
    >>> objectives = [next(states).objective for _ in range(20)]
    >>> objectives == sorted(objectives, reverse=True)
    True

    References
    ----------
    Departs from the paper's plain step. Chapter: ``book/methods/algorithm_1.md``.
    """
    previous, momentum, step, growth = state, 1.0, state.step, 1 / SLOWER
    while True:
        yield state
        following = float(1 + np.sqrt(1 + 4 * momentum**2)) / 2
        beta = (momentum - 1) / following
        point = [(1 + beta, state), (-beta, previous)] if beta else [(1.0, state)]
        trial = model.after(point, state, step)
        while not trial.objective <= state.objective and (beta or step > 1):
            beta, following, step, growth = 0.0, 1.0, max(1.0, SLOWER * step), PATIENT
            trial = model.after([(1.0, state)], state, step)
        previous, state, momentum, step = state, trial, following, growth * step


StepRule = Callable[["Model", State], Iterator[State]]
STEP_RULES: dict[str, StepRule] = {
    "unit": unit_steps,
    "backtracking": backtracked_steps,
    "accelerated": accelerated_steps,
}


def recentring_steps(steps: StepRule, model: Model, state: State, every: int) -> Iterator[State]:
    """Steps by any rule, in races: with and without recentred atoms, and the lower one goes on.

    A race lasts ``every`` iterations, and twice as long as the last if that was won without.

    Examples
    --------
    >>> x, frame = np.sin(0.3 * np.arange(200.0)), GaborFrame("hann", 4, 32).tight()
    >>> states = iterate(x, 1, frame, step_rule="backtracking", recentre_every=3, rng=0)
    >>> objectives = [next(states).objective for _ in range(20)]
    >>> objectives == sorted(objectives, reverse=True)
    True

    References
    ----------
    Departs from the paper, which has no such move. Chapter: ``book/methods/algorithm_1.md``.
    """
    states, laps = steps(model, state), every
    yield next(states)
    while True:
        moved = recentred(state)
        yield from islice(states, laps - 1)
        state = next(states)
        if moved is None:
            laps = every
        else:
            others = steps(model, moved)
            other = next(islice(others, laps, None))
            if other.objective < state.objective:
                states, state, laps = others, other, every
            else:
                laps *= 2
        yield state


def recentred(state: State) -> State | None:
    r"""Shift each atom's energy to the middle of the window, and its activations back.

    .. math:: d_k[s] ← d_k[s - a m_k], \quad z_k[τ] ← z_k[τ + m_k]

    By :func:`~cdlnmf_lit.methods.cdl.shifts_to_middle`. What is shifted past an end is lost, and so
    is what the window cannot hold there. ``None`` where no atom is to be shifted.

    Examples
    --------
    >>> x, frame = np.zeros(8), GaborFrame(np.ones(5), 1).tight()
    >>> x[4] = 1.0
    >>> start = np.eye(1, 5), np.eye(1, 12, 8)
    >>> moved = recentred(next(iterate(x, 1, frame, start=start)))
    >>> np.flatnonzero(moved.weights), np.flatnonzero(moved.activations)
    (array([2]), array([6]))

    References
    ----------
    Departs from the paper, which has no such move. Chapter: ``book/methods/algorithm_1.md``.
    """
    model, Z = state.model, state.activations
    T_g, a = model.window.size, model.frame.hop
    atoms = model.atoms(state.weights)
    shifts = shifts_to_middle(atoms, a)
    if not shifts.any():
        return None
    atoms = np.stack([placed(atom, a * m, T_g) for atom, m in zip(atoms, shifts, strict=True)])
    Z = np.stack([placed(row, -m, row.size) for row, m in zip(Z, shifts, strict=True)])
    weights, Z = _inside_ball(model, model.fitted(atoms), Z)
    spectra = model.plan.atom_spectra(model.atoms(weights))
    return model.state(state.iteration, weights, Z, state.step, spectra)


# ---- one outer iteration --------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Model:
    """The signal, the frame and what one outer iteration computes from them.

    Parameters
    ----------
    x : array (T,)
    frame : GaborFrame
    penalty : float
        ``λ``.
    inner_iterations : int
    activation_update : str
        A name of ``ACTIVATION_UPDATES``.
    parameters : dict
        For the record.

    Examples
    --------
    >>> x, frame = np.sin(0.3 * np.arange(200.0)), GaborFrame("hann", 4, 32).tight()
    >>> model = Model(x, frame, 0.0, 1, "multiplicative", parameters={})
    >>> np.allclose(model.fold(model.unfold(np.ones((1, 32)))), 1)
    True

    References
    ----------
    Algorithm 1 of the paper. Chapter: ``book/methods/algorithm_1.md``.
    """

    x: Array
    frame: GaborFrame
    penalty: float
    inner_iterations: int
    activation_update: str
    parameters: dict[str, Any]

    @cached_property
    def window(self) -> Array:
        """``g``, in the precision of the signal."""
        return self.frame.window.astype(self.x.dtype, copy=False)

    @cached_property
    def plan(self) -> Convolution:
        """The convolutions of atoms and activations, beyond both ends of the signal."""
        frame = self.frame
        return Convolution(self.window.size, frame.n_frames(self.x.size), frame.hop)

    def signal_spectra(self, values: Array) -> list[Array]:
        """Spectra of a signal ``(T,)`` among the windows, which reach beyond both its ends."""
        return self.plan.signal_spectra(placed(values, self.lead, self.plan.length))

    @cached_property
    def norm(self) -> float:
        """``‖x‖``."""
        return float(np.linalg.norm(self.x))

    @cached_property
    def shares(self) -> Array:
        """``Σ g²`` over the samples that share a weight, so that ``‖d_k‖² = Σ shares w_k²``."""
        folded: Array = self.fold(self.window[None] ** 2)[0]
        return folded

    def unfold(self, weights: Array) -> Array:
        """Weights ``(K, P)`` at each sample of the window; with ``M < T_g`` they repeat."""
        T_g, M = self.window.size, self.frame.channels
        if T_g <= M:
            return weights
        return weights[:, (np.arange(T_g) - self.frame.origin) % M]

    def fold(self, values: Array) -> Array:
        """Adjoint of :meth:`unfold`: the sums of the samples that share a weight."""
        T_g, M = self.window.size, self.frame.channels
        if T_g <= M:
            return values
        padded = np.zeros((len(values), -(-T_g // M) * M), values.dtype)
        padded[:, :T_g] = values
        return np.roll(padded.reshape(len(values), -1, M).sum(axis=1), -self.frame.origin, axis=1)

    def atoms(self, weights: Array) -> Array:
        """``d_k = g w_k``."""
        return self.window * self.unfold(weights)

    def fitted(self, atoms: Array) -> Array:
        """The weights whose atoms are nearest to the given ones; 0 where the window is."""
        shares = np.maximum(self.shares, np.finfo(atoms.dtype).tiny)
        return self.fold(self.window * atoms) / shares

    @property
    def lead(self) -> int:
        """Samples by which the first window begins before the signal."""
        return -self.frame.first_sample

    def start(self, weights: Array, activations: Array) -> State:
        """The iterate that the first outer iteration begins with."""
        return self.state(0, weights, activations, 1.0, self.plan.atom_spectra(self.atoms(weights)))

    def state(
        self, iteration: int, weights: Array, activations: Array, step: float, atom_spectra: Array
    ) -> State:
        """The iterate of these weights and activations, with its residual and objective."""
        spectra = self.plan.activation_spectra(activations)
        whole = self.plan.synthesis(atom_spectra, spectra)
        residual = self.x - placed(whole, -self.lead, self.x.size)
        size = float(np.sqrt(np.sum(np.square(residual), dtype=float)))
        return State(
            iteration=iteration,
            weights=weights,
            activations=activations,
            residual=residual,
            objective=0.5 * size**2 + self.penalty * float(activations.sum(dtype=float)),
            relative_residual=size / self.norm,
            step=step,
            model=self,
            spectra=spectra,
        )

    def after(self, point: Point, state: State, step: float) -> State:
        """One outer iteration: a gradient step of length ``step`` at ``point``, then a semi-NMF.

        The semi-NMF starts from the activations of ``state``. It factorises
        ``A = Σ c_i W_i Z_iᵀ + μ Φ*(r)`` by the two products ``A Z`` and ``Re(Aᴴ W)``.
        """
        plan, M = self.plan, self.frame.channels
        residual = sum(c * other.residual for c, other in point)
        signal_spectra = self.signal_spectra(np.asarray(residual))
        weights, Z, spectra = state.weights, state.activations, state.spectra
        for inner in range(self.inner_iterations):
            if inner:
                spectra = plan.activation_spectra(Z)
            correlation = plan.correlation_with_activations(signal_spectra, spectra)
            AZ = step * M * self.fold(self.window * correlation)
            ZZ = gram(Z, Z)
            for c, other in point:
                ZY = ZZ if other.activations is Z else gram(Z, other.activations)
                AZ += c * ZY @ other.weights
            weights = self._fitted_weights(weights, AZ, ZZ)
            atom_spectra = plan.atom_spectra(self.atoms(weights))
            V = step * plan.correlation_with_atoms(signal_spectra, atom_spectra)
            Z = self._updated_activations(Z, V, weights, point, step * self.penalty)
            del V  # as large as Z, and of no use to what follows
        return self.state(state.iteration + 1, weights, Z, step, atom_spectra)

    def _updated_activations(
        self, Z: Array, V: Array, weights: Array, point: Point, penalty: float
    ) -> Array:
        """The semi-NMF's update of ``Z``, a stretch of columns at a time.

        ``V`` is ``μ Re(Wᴴ Φ*(r))``; what ``Σ c_i W_i Z_iᵀ`` adds to it is added here.
        """
        M, update = self.frame.channels, ACTIVATION_UPDATES[self.activation_update]
        G = gram(weights, weights) / M
        products = [(c / M * gram(weights, other.weights), other.activations) for c, other in point]
        updated = np.empty_like(Z)

        def stretch(columns: slice) -> None:
            v = V[:, columns]
            for product, activations in products:
                v += product.astype(v.dtype, copy=False) @ activations[:, columns]
            updated[:, columns] = update(Z[:, columns], v, G, penalty)

        for _ in in_threads(stretch, stretches(*Z.shape)):
            pass
        return updated

    def _fitted_weights(self, weights: Array, AZ: Array, ZZ: Array) -> Array:
        """Least squares ``AZ (ZᵀZ)⁻¹``; with a penalty, atom by atom within the unit ball.

        The activations count as if of norm 1: quiet ones are not taken for rounding.
        """
        if not self.penalty:
            size, precision = np.sqrt(np.diag(ZZ)), len(ZZ) * np.finfo(ZZ.dtype).eps
            scale = np.divide(1, size, out=np.zeros_like(size), where=size > 0)[:, None]
            inverse = np.linalg.pinv(scale * ZZ * scale.T, rcond=precision, hermitian=True)
            return np.asarray(scale * (inverse @ (scale * AZ)))
        weights = weights.copy()
        for k, row in enumerate(ZZ):
            if row[k] > 0:
                others = AZ[k] - row @ weights + row[k] * weights[k]
                weights[k] = _within_ball(others, float(row[k]), self.shares)
        return weights


def _within_ball(b: Array, c: float, shares: Array) -> Array:
    """Minimise ``½ c‖w‖² - ⟨w, b⟩`` subject to ``Σ shares w² ≤ 1``.

    The minimiser is ``b / (c + θ shares)``, with ``θ = 0`` or the root of ``Σ shares w² = 1``;
    Newton's method on the reciprocal norm climbs to it from the left without overshooting.
    """
    theta = 0.0
    for _ in range(100):
        w = b / (c + theta * shares)
        size = float(np.sqrt(np.sum(shares * w**2, dtype=float)))
        if size <= 1 + 4 * np.finfo(w.dtype).eps:
            break
        slope = float(np.sum(shares**2 * w**2 / (c + theta * shares), dtype=float)) / size**3
        theta += (1 - 1 / size) / slope
    return np.asarray(w / max(size, 1.0))


# ---- starts -------------------------------------------------------------------------------


def _start(model: Model, start: Any, K: int, rng: np.random.Generator) -> tuple[Array, Array]:
    if isinstance(start, Decomposition):
        return _inside_ball(model, *_from_decomposition(model, of_as_many(start, K)))
    if isinstance(start, tuple):
        shapes: dict[str, tuple[int, ...]] = {
            "weights": (K, model.shares.size),
            "activations": (K, model.plan.n_activations),
        }
        weights, Z = given(start, shapes, model.x.dtype, signed="weights")
        return _inside_ball(model, weights, Z)
    name = choice(start, "start", STARTS)
    return _inside_ball(model, *_scaled(model, *STARTS[name](model, K, rng)))


def _random_start(model: Model, K: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Random activations, and the atoms that fit the analysis coefficients best."""
    plan = model.plan
    Z = rng.random((K, plan.n_activations)).astype(model.x.dtype)
    correlation = plan.correlation_with_activations(
        model.signal_spectra(model.x), plan.activation_spectra(Z)
    )
    AZ = model.frame.channels * model.fold(model.window * correlation)
    return np.asarray(np.linalg.pinv(Z @ Z.T, hermitian=True) @ AZ), Z


def _segment_start(model: Model, K: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Windowed segments of the signal, drawn by energy, and their positive correlations with it."""
    x, T_g, plan = model.x, model.window.size, model.plan
    energy = np.concatenate([[0.0], np.cumsum(x.astype(float) ** 2)])
    chances = np.maximum(energy[T_g:] - energy[:-T_g], 0)
    weights = np.empty((K, model.shares.size), x.dtype)
    for k in range(K):
        total = chances.sum()
        likely = chances / total if total > 0 else None
        begin = int(rng.choice(chances.size, p=likely))
        segment = x[begin : begin + T_g]
        weights[k] = model.fitted(model.window * segment[None])[0]
        chances[max(0, begin - T_g // 2) : begin + T_g // 2 + 1] = 0
    atom_spectra = plan.atom_spectra(model.atoms(weights))
    Z = plan.correlation_with_atoms(model.signal_spectra(x), atom_spectra)
    return weights, np.maximum(Z, 1e-3 * np.abs(Z).max())


def _from_decomposition(model: Model, found: Decomposition) -> tuple[Array, Array]:
    """Another result's atoms as weights, and its activations on this frame's positions.

    Activations of spectra have units of their own, so that such a start is scaled to the signal.
    """
    plan, dtype = model.plan, model.x.dtype
    weights = model.fitted(found.patterns(model.window.size).astype(dtype, copy=False))
    Z = activations_of(found, plan.hop, -model.lead, plan.n_activations).astype(dtype, copy=False)
    return (weights, Z) if found.spectra is None else _scaled(model, weights, Z)


def _scaled(model: Model, weights: Array, Z: Array) -> tuple[Array, Array]:
    """The same start at the loudness that fits the signal best."""
    fit = model.x - model.start(weights, Z).residual
    loudness = float(fit @ model.x) / max(float(fit @ fit), np.finfo(fit.dtype).tiny)
    return weights * fit.dtype.type(loudness), Z


def _inside_ball(model: Model, weights: Array, Z: Array) -> tuple[Array, Array]:
    """With a penalty, atoms of norm 1; what they lose the activations gain."""
    if not model.penalty:
        return weights, Z
    sizes = np.linalg.norm(model.atoms(weights), axis=1, keepdims=True)
    sizes[sizes == 0] = 1
    return weights / sizes, Z * sizes


STARTS = {"random": _random_start, "segments": _segment_start}


# ---- before a run ---------------------------------------------------------------------------


def estimate(
    n_samples: int,
    n_components: int,
    frame: GaborFrame | None = None,
    *,
    dtype: Any = np.float64,
) -> Estimate:
    """Memory and time that :func:`iterate` will take, without running it.

    The memory is counted from the arrays of the step rule that needs most; the time from Fourier
    transforms of the length that will be used, timed on this machine, so it is rough.

    Examples
    --------
    >>> frame = GaborFrame("hann", 1, 55_125).tight()
    >>> estimate(330_750, 2, frame).memory_bytes < 5 * 10**8
    True

    References
    ----------
    Chapter: ``book/methods/algorithm_1.md``.
    """
    frame = default_frame() if frame is None else frame
    n_samples = integer(n_samples, "n_samples")
    K = integer(n_components, "n_components")
    plan = Convolution(frame.window.size, frame.n_frames(n_samples), frame.hop)
    rows = 2 * plan.n_blocks * (K + frame.hop) + 2 * K * frame.hop
    sample = np.zeros((min(rows, max(1, GROUP // plan.fft_length)), plan.fft_length), dtype)
    a_row = seconds_of(lambda: scipy.fft.rfft(sample)) / len(sample)
    return Estimate(_bytes_needed(plan, n_samples, K, np.dtype(dtype)), 2 * rows * a_row)


def _bytes_needed(plan: Convolution, n_samples: int, K: int, dtype: np.dtype) -> int:
    blocks = plan.n_blocks * plan.fft_length
    signals = 5 * plan.length + 3 * n_samples + 2 * blocks * plan.hop
    activations = 6 * K * plan.n_activations + 3 * K * blocks
    atoms = 8 * K * plan.hop * plan.fft_length
    return int((signals + activations + atoms) * dtype.itemsize)
