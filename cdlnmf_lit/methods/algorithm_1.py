r"""Algorithm 1 of the paper, without ever forming its coefficients.

The paper's iteration is a gradient step on the synthesis coefficients and a semi-NMF of the
result: ``α ← α + μ Φ*(x - Φα)``, then ``α ← W Zᵀ``. With ``α = W Zᵀ`` of rank ``K`` before and
after, the semi-NMF needs only two products with what lies between, and both are correlations in
time. In the variable ``w_k = M · IDFT(W_k)``, real for real signals, the atoms are ``d_k = g w_k``.

Chapter: ``book/methods/algorithm_1.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np

from cdlnmf_lit.methods import method, sparse_coding
from cdlnmf_lit.methods.decomposition import Decomposition
from cdlnmf_lit.methods.factors import coordinate_update, normalised, norms, shifts_to_middle
from cdlnmf_lit.methods.families import OnFrames, Sparse, on, require_change, require_length
from cdlnmf_lit.methods.kernels import multiply, spectral_product
from cdlnmf_lit.methods.method import USUAL_GAP
from cdlnmf_lit.methods.options import OneOf, at_least, option
from cdlnmf_lit.methods.starts import loudness, own_activations, segments
from cdlnmf_lit.theory.arguments import Array
from cdlnmf_lit.theory.blocks import gram, in_threads, placed, stretches
from cdlnmf_lit.theory.convolution import Convolution
from cdlnmf_lit.theory.equivalence import AtomsOfSpectra
from cdlnmf_lit.theory.gabor import GaborFrame, hann

SLOWER, FASTER, PATIENT = 0.5, 1.3, 1.05
"""How a step shrinks where it is refused, and grows after: back-tracked, accelerated."""

Point = list[tuple[float, "State"]]
"""Coefficients as a combination of factored ones: ``Σ c_i W_i Z_iᵀ``."""


Update = tuple[Array, Array, Array, list[Array], Array]
"""Weights, activations, the spectra of atoms and of activations, ``Z Zᵀ``."""


@dataclass(frozen=True, eq=False)
class Problem(method.Problem):
    r"""A signal and a frame, and one outer iteration: a gradient step, then a semi-NMF.

    .. math::
        w &← (z z^T)^{-1} \big((z z_t^T)\, w_t + μ M g\,(r ⋆ z)\big), \qquad d = g w \\
        z &← z \sqrt{\frac{V^+ + G^- z}{V^- + G^+ z + μλ}}, \quad
        V = \tfrac1M (w w_t^T)\, z_t + μ\,(r ⋆ d), \quad G = \tfrac1M w w^T

    with ``r = x - Σ d_k ∗ z_k`` before the step. It reads its options from ``method``.

    Examples
    --------
    >>> x = np.sin(0.3 * np.arange(200.0))
    >>> problem = Problem(method=Algorithm1(frame=hann(32, 4), penalty=0.0), x=x)
    >>> start = problem.first(np.ones((1, 32)), np.ones((1, 57)))
    >>> w, z, *_ = problem.updated(start, 1.0, [(1.0, start)])
    >>> w.shape, z.shape
    ((1, 32), (1, 57))

    References
    ----------
    Algorithm 1 and equation (15) of the paper; the semi-NMF is that of reference [15].
    """

    def updated(self, state: State, step: float, point: Point) -> Update:
        """Weights ``(K, P)`` and activations ``(K, N)`` after a step of length ``step``.

        The gradient step begins at ``point``, the semi-NMF at the factors of ``state``. It needs
        ``A = Σ c_i W_i Z_iᵀ + μ Φ*(r)`` in two products, ``A Z`` and ``Re(Aᴴ W)``. The atoms' and
        the activations' spectra and ``Z Zᵀ`` come with them.
        """
        plan, theorem, options = self.plan, self.theorem, self.method
        r = self.signal_spectra(_combined([(c, other.residual) for c, other in point]))
        w, Z, spectra, ZZ = state.patterns, state.activations, state.spectra, state.gram
        atom_spectra = None
        for _ in range(options.inner_iterations):
            if self.held != "patterns":
                correlation = plan.correlation_with_activations(r, spectra)
                AZ = step * options.frame.channels * theorem.fold(theorem.window * correlation)
                for c, other in point:
                    ZY = ZZ if other.activations is Z else gram(Z, other.activations)
                    AZ += c * ZY @ other.patterns
                w = self.weights_step(w, AZ, ZZ)
            if atom_spectra is None or self.held != "patterns":
                atom_spectra = self.atom_spectra(w)
            if self.held != "activations":
                Z, spectra, ZZ = self.activations_step(Z, w, r, atom_spectra, step, point)
        return w, Z, np.asarray(atom_spectra), spectra, ZZ

    def activations_step(
        self, Z: Array, w: Array, r: list[Array], atom_spectra: Array, step: float, point: Point
    ) -> tuple[Array, list[Array], Array]:
        """The semi-NMF's update of ``Z``, a group of blocks at a time; its spectra and ``Z Zᵀ``.

        ``V`` is ``μ Re(Wᴴ Φ*(r))`` and what ``Σ c_i W_i Z_iᵀ`` adds to it.
        """
        M, plan, updated = self.method.frame.channels, self.plan, np.empty_like(Z, order="C")
        update, penalty = (
            ACTIVATION_UPDATES[self.method.activation_update],
            step * self.method.penalty,
        )
        mirrored, G = step * plan.mirrored(atom_spectra), gram(w, w) / M
        mixed, others = np.zeros_like(G), []
        for c, other in point:
            product = (c / M * gram(w, other.patterns)).astype(Z.dtype, copy=False)
            if other.activations is Z:
                mixed += product
            else:
                others.append((product, other.activations))

        def transform(group: tuple[slice, Array]) -> tuple[Array, Array]:
            blocks, spectra = group
            V = plan.backward(plan.product(spectra, mirrored))
            for b, rows in enumerate(V if others else (), blocks.start):
                columns = plan.columns(slice(b, b + 1))
                for product, activations in others:
                    _add_product(rows, product, activations[:, columns])
            update(V, updated, Z, mixed, G, penalty, plan.block * blocks.start, plan.block)
            z = updated[:, plan.columns(blocks)]
            return plan.forward(V), gram(z, z)

        spectra, grams = zip(*in_threads(transform, zip(plan.groups, r, strict=True)), strict=True)
        return updated, list(spectra), sum(grams)

    def weights_step(self, weights: Array, AZ: Array, ZZ: Array) -> Array:
        """Least squares ``(ZᵀZ)⁻¹ AZ``; with a penalty, atom by atom within the unit ball.

        The activations count as if of norm 1: quiet ones are not taken for rounding.
        """
        if not self.method.penalty:
            size, precision = np.sqrt(np.diag(ZZ)), len(ZZ) * np.finfo(ZZ.dtype).eps
            scale = np.divide(1, size, out=np.zeros_like(size), where=size > 0)[:, None]
            inverse = np.linalg.pinv(scale * ZZ * scale.T, rcond=precision, hermitian=True)
            return np.asarray(scale * (inverse @ (scale * AZ)))
        weights = weights.copy()
        for k, row in enumerate(ZZ):
            if row[k] > 0:
                others = AZ[k] - row @ weights + row[k] * weights[k]
                weights[k] = within_ball(others, float(row[k]), self.theorem.shares)
        return weights

    @cached_property
    def theorem(self) -> AtomsOfSpectra:
        """The atoms of weights, in the precision of the signal."""
        return AtomsOfSpectra(self.method.frame, self.x.dtype)

    @cached_property
    def plan(self) -> Convolution:
        """The convolutions of atoms and activations, beyond both ends of the signal."""
        return _plan(self.method.frame, self.x.size)

    def signal_spectra(self, values: Array) -> list[Array]:
        """Spectra of a signal ``(T,)`` among the windows, which reach beyond both its ends."""
        first_sample = self.method.frame.first_sample
        return self.plan.signal_spectra(placed(values, -first_sample, self.plan.length))

    def atom_spectra(self, weights: Array) -> Array:
        """Spectra of the atoms of weights."""
        return self.plan.atom_spectra(self.theorem.atoms(weights))

    def residual(self, atom_spectra: Array, spectra: list[Array]) -> Array:
        """``x - Φ(W Zᵀ)``, from the spectra of atoms and activations."""
        begin = -self.method.frame.first_sample
        whole = self.plan.synthesis(atom_spectra, spectra)
        return np.asarray(self.x - whole[begin : begin + self.x.size])

    # ---- starts and states ---------------------------------------------------------------------

    def drawn(self, K: int, start: str, rng: np.random.Generator) -> tuple[Array, Array]:
        """Random activations and the atoms that fit them best; or segments of the signal."""
        if start == "segments":
            windowed = self.theorem.window * segments(self.x, K, self.theorem.window.size, rng)
            W = self.theorem.fitted(windowed)
            Z = self._correlations(W)
        else:
            Z = rng.random((K, self.plan.n_activations)).astype(self.x.dtype)
            correlation = self.plan.correlation_with_activations(
                self.signal_spectra(self.x), self.plan.activation_spectra(Z)
            )
            AZ = self.method.frame.channels * self.theorem.fold(self.theorem.window * correlation)
            W = np.asarray(np.linalg.pinv(Z @ Z.T, hermitian=True) @ AZ)
        return W * self._loudness(W, Z), Z

    def activations_for(self, W: Array) -> Array:
        """The atoms' positive correlations with the signal, at the loudness that fits it best."""
        Z = self._correlations(W)
        return Z * abs(self._loudness(W, Z))

    def taken(self, found: Decomposition) -> tuple[Array, Array]:
        """Another result's atoms as weights, with its activations; or with those that fit them."""
        frame, dtype = self.method.frame, self.x.dtype
        W = self.theorem.fitted(found.patterns(frame.window.size).astype(dtype, copy=False))
        Z = own_activations(
            found, self.x.size, frame.hop, frame.first_sample, self.plan.n_activations
        )
        return W, self.activations_for(W) if Z is None else Z.astype(dtype, copy=False)

    def _correlations(self, weights: Array) -> Array:
        """Where the atoms correlate with the signal, and small positive numbers elsewhere."""
        spectra = self.signal_spectra(self.x), self.atom_spectra(weights)
        Z = self.plan.correlation_with_atoms(*spectra)
        return np.maximum(Z, 1e-3 * np.abs(Z).max())

    def _loudness(self, weights: Array, Z: Array) -> Any:
        """The factor by which a start fits the signal best."""
        residual = self.residual(self.atom_spectra(weights), self.plan.activation_spectra(Z))
        return loudness(self.x, self.x - residual)

    def first(self, W: Array, Z: Array) -> State:
        """The iterate of a start; with a penalty its atoms have norm 1, or are in the unit ball.

        What the atoms lose the activations gain, unless they are held; held atoms stay as they are.
        """
        if self.method.penalty and self.held != "patterns":
            sizes = norms(self.theorem.atoms(W))
            if self.held == "activations":
                W = W / np.maximum(sizes, 1)[:, None]
            else:
                W, Z = normalised(W, Z, sizes)
        spectra = self.plan.activation_spectra(Z)
        residual = self.residual(self.atom_spectra(W), spectra)
        return State(0, W, Z, self, residual, 1.0, spectra, gram(Z, Z))

    def after(self, state: State, step: float = 1.0, point: Point | None = None) -> State:
        """One outer iteration: from the state's own coefficients, or from those of ``point``."""
        W, Z, atom_spectra, spectra, ZZ = self.updated(state, step, point or [(1.0, state)])
        residual = self.residual(atom_spectra, spectra)
        return State(state.iteration + 1, W, Z, self, residual, step, spectra, ZZ)

    def states(self, state: Any) -> Iterator[State]:
        """All iterates, by the method's step rule; nothing is recentred where a factor is held."""
        steps, every = STEP_RULES[self.method.step_rule], self.method.recentre_every
        if every and self.held is None:
            return recentring_steps(steps, self, state, every)
        return steps(self, state)

    def recentred(self, state: State) -> State | None:
        r"""Each atom with its energy in the middle of the window, its activations moved back.

        .. math:: d_k[s] ← d_k[s - a m_k], \quad z_k[τ] ← z_k[τ + m_k]

        By :func:`~cdlnmf_lit.methods.factors.shifts_to_middle`. What is shifted past an end is
        lost, and so is what the window cannot hold there. ``None`` where no atom is to be shifted.
        """
        theorem, a, Z = self.theorem, self.method.frame.hop, state.activations
        atoms = theorem.atoms(state.patterns)
        shifts = shifts_to_middle(atoms, a)
        if not shifts.any():
            return None
        T_g = atoms.shape[1]
        atoms = np.stack([placed(atom, a * m, T_g) for atom, m in zip(atoms, shifts, strict=True)])
        Z = np.stack([placed(row, -m, row.size) for row, m in zip(Z, shifts, strict=True)])
        moved = self.first(theorem.fitted(atoms), Z)
        return replace(moved, iteration=state.iteration, step=state.step)

    def record(self, state: State) -> dict[str, float]:
        """``½‖x - Φ(W Zᵀ)‖² + λ‖Z‖₁``, ``‖x - Φ(W Zᵀ)‖ / ‖x‖`` and ``μ``."""
        size = float(np.sqrt(np.sum(np.square(state.residual), dtype=float)))
        cost = self.method.penalty * float(state.activations.sum(dtype=float))
        return {
            "objective": 0.5 * size**2 + cost,
            "relative_residual": size / float(np.linalg.norm(self.x)),
            "step": state.step,
        }

    def result(self, state: State) -> dict[str, Any]:
        frame = self.method.frame
        return {
            "atoms": self.theorem.atoms(state.patterns),
            "residual": state.residual,
            "hop": frame.hop,
            "first_sample": frame.first_sample,
        }


@dataclass(frozen=True, eq=False)
class State(method.State):
    """One iterate ``α = W Zᵀ`` of Algorithm 1; its patterns are the weights ``w_k``.

    ``residual`` is ``x - Φ(W Zᵀ)``, ``step`` the ``μ`` of the gradient step that led here, and
    ``spectra`` and ``gram`` (``Z Zᵀ``) are those of the activations, for the next iteration.

    Examples
    --------
    >>> x = np.sin(0.3 * np.arange(200.0))
    >>> start = next(Algorithm1(frame=hann(32, 4)).iterate(x, 1))
    >>> start.iteration, start.patterns.shape, start.activations.shape
    (0, (1, 32), (1, 57))

    References
    ----------
    Algorithm 1 of the paper.
    """

    residual: Array
    step: float
    spectra: list[Array]
    gram: Array


def _multiplied(
    V: Array, out: Array, Z: Array, mixed: Array, G: Array, penalty: float, begin: int, width: int
) -> None:
    """The multiplicative update of some blocks, written to ``out`` and in place of ``V``."""
    limits = np.array([penalty, np.finfo(Z.dtype).tiny], Z.dtype)
    multiply(V, out, Z, mixed, G, limits, begin, width)


def _descended(
    V: Array, out: Array, Z: Array, mixed: Array, G: Array, penalty: float, begin: int, width: int
) -> None:
    """Coordinate descent in some blocks, written to ``out`` and in place of ``V``."""
    for start, rows in zip(range(begin, Z.shape[1], width), V, strict=False):
        z = Z[:, start : start + width]
        n = z.shape[1]
        rows[:, :n] = coordinate_update(z, rows[:, :n] + mixed @ z, G, penalty)
        rows[:, n:] = 0
        out[:, start : start + n] = rows[:, :n]


ACTIVATION_UPDATES = {"multiplicative": _multiplied, "coordinate": _descended}


def _add_product(rows: Array, product: Array, activations: Array) -> None:
    """Add ``product @ activations`` to the first columns of some rows.

    Examples
    --------
    >>> rows = np.zeros((1, 3))
    >>> _add_product(rows, np.full((1, 1), 2.0), np.ones((1, 2)))
    >>> rows
    array([[2., 2., 0.]])
    """
    for part in stretches(*activations.shape):
        rows[:, part] += product @ activations[:, part]


def _combined(terms: list[tuple[float, Array]]) -> Array:
    """``Σ c_i x_i``; one signal alone is taken as it is.

    Examples
    --------
    >>> _combined([(2.0, np.ones(2)), (-1.0, np.ones(2))])
    array([1., 1.])
    """
    if len(terms) == 1 and terms[0][0] == 1:
        return terms[0][1]
    return np.asarray(sum(c * x for c, x in terms))


def within_ball(b: Array, c: float, shares: Array) -> Array:
    """Minimise ``½ c‖w‖² - ⟨w, b⟩`` subject to ``Σ shares w² ≤ 1``; ``c > 0``, ``shares ≥ 0``.

    The minimiser is ``b / (c + θ shares)``, ``(P,)``, with ``θ = 0`` or the root of
    ``Σ shares w² = 1``; Newton's method on the reciprocal norm climbs to it from the left without
    overshooting.

    Examples
    --------
    >>> within_ball(np.array([3.0, 4.0]), 1.0, np.ones(2))
    array([0.6, 0.8])

    References
    ----------
    Departs from equation (15), which lacks the constraint of (2).
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


# ---- step rules ----------------------------------------------------------------------------


def unit_steps(problem: Problem, state: State) -> Iterator[State]:
    """The paper's steps, ``μ = 1``: with ``‖Φ‖ ≤ 1`` the objective never rises.

    Examples
    --------
    >>> x = np.sin(0.3 * np.arange(200.0))
    >>> states = Algorithm1(frame=hann(32, 4), step_rule="unit").iterate(x, 1)
    >>> [round(next(states).step, 2) for _ in range(3)]
    [1.0, 1.0, 1.0]

    References
    ----------
    Algorithm 1 of the paper.
    """
    while True:
        yield state
        state = problem.after(state)


def backtracked_steps(problem: Problem, state: State) -> Iterator[State]:
    """Steps as long as the objective allows: halved until it does not rise, then grown again.

    They double from that of the state, 1 at the start, until one is refused, and grow by 1.3 from
    then on.

    Examples
    --------
    >>> x = np.sin(0.3 * np.arange(200.0))
    >>> states = Algorithm1(frame=hann(32, 4), step_rule="backtracking").iterate(x, 1)
    >>> [next(states).step for _ in range(3)]
    [1.0, 1.0, 2.0]

    References
    ----------
    Departs from the paper's unit step.
    """
    step, growth = state.memory or (state.step, 1 / SLOWER)
    while True:
        yield state.remembering(step, growth)
        trial = problem.after(state, step)
        while not trial.objective <= state.objective and step > 1:
            step, growth = max(1.0, SLOWER * step), FASTER
            trial = problem.after(state, step)
        state, step = trial, growth * step


def accelerated_steps(problem: Problem, state: State) -> Iterator[State]:
    """Back-tracked steps from an extrapolated point; a refusal also ends the extrapolation.

    The extrapolated coefficients ``(1 + β) α_t - β α_{t-1}`` have rank ``2K`` and stay factored.
    After the first refusal the steps grow by 1.05 only, for each refusal costs the momentum.

    Examples
    --------
    >>> x = np.sin(0.3 * np.arange(200.0))
    >>> states = Algorithm1(frame=hann(32, 4), step_rule="accelerated").iterate(x, 1)
    >>> objectives = [next(states).objective for _ in range(20)]
    >>> objectives == sorted(objectives, reverse=True)
    True

    References
    ----------
    Departs from the paper's plain step.
    """
    previous, momentum, step, growth = state.memory or (state, 1.0, state.step, 1 / SLOWER)
    state = state.remembering()
    while True:
        yield state.remembering(previous, momentum, step, growth)
        following = float(1 + np.sqrt(1 + 4 * momentum**2)) / 2
        beta = (momentum - 1) / following
        point = [(1 + beta, state), (-beta, previous)] if beta else None
        trial = problem.after(state, step, point)
        while not trial.objective <= state.objective and (beta or step > 1):
            beta, following, step, growth = 0.0, 1.0, max(1.0, SLOWER * step), PATIENT
            trial = problem.after(state, step)
        previous, state, momentum, step = state, trial, following, growth * step


StepRule = Callable[[Problem, State], Iterator[State]]
STEP_RULES: dict[str, StepRule] = {
    "unit": unit_steps,
    "backtracking": backtracked_steps,
    "accelerated": accelerated_steps,
}


def recentring_steps(
    steps: StepRule, problem: Problem, state: State, every: int
) -> Iterator[State]:
    """Steps by any rule, in races: with and without recentred atoms, and the lower one goes on.

    A race lasts ``every`` iterations, and twice as long as the last if that was won without.

    Examples
    --------
    >>> x = np.sin(0.3 * np.arange(200.0))
    >>> asked = Algorithm1(frame=hann(32, 4), step_rule="backtracking", recentre_every=3)
    >>> states = asked.iterate(x, 1)
    >>> objectives = [next(states).objective for _ in range(20)]
    >>> objectives == sorted(objectives, reverse=True)
    True

    References
    ----------
    Departs from the paper, which has no such move.
    """
    moved: Any
    moved, left, laps, own = state.memory or (None, 0, every, None)
    states = steps(problem, state.remembering(*(own or ())))
    state = next(states)
    while True:
        yield state.remembering(moved, left, laps, state.memory)
        if left == 0:
            moved, left = problem.recentred(state), laps
        state, left = next(states), left - 1
        if left == 0 and moved is None:
            laps = every
        elif left == 0:
            others = steps(problem, moved)
            other = next(islice(others, laps, None))
            if other.objective < state.objective:
                states, state, laps = others, other, every
            else:
                laps *= 2
            moved = None


# ---- options ---------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, repr=False)
class Algorithm1(Sparse, OnFrames, name="algorithm-1"):
    r"""Atoms and activations of a signal, by steps on the coefficients that both make together.

    .. math::
        \min_{W, Z ≥ 0} \; ½ \|x - Φ(W Z^T)\|^2 + λ \|Z\|_1
        \quad\text{subject to } \|d_k\| ≤ 1 \text{ if } λ > 0

    The signal has to be as long as the window at least, and the frame needs ``‖Φ‖ ≤ 1``, so it is
    usually a tight one. Its patterns are weights ``w_k`` of the window, ``d_k = g w_k``: ``T_g``
    of them, or ``M`` if that is less. Without the constraint the penalty could be made as small as
    you like by scaling.

    Patterns that are held keep their norms, even above 1 with a penalty. Where the activations are
    held, a penalty takes the atoms of the start to the nearest ones in the unit ball. With a factor
    held nothing is recentred.

    Raises
    ------
    ValueError
        For an option that does not meet its rule.

    Examples
    --------
    >>> x = np.sin(0.3 * np.arange(200.0))
    >>> found = Algorithm1(frame=hann(32, 4), iterations=5).decompose(x, 1)
    >>> np.allclose(found.components().sum(axis=0) + found.residual, x)
    True

    References
    ----------
    Algorithm 1 and equation (15) of the paper; the semi-NMF is that of reference [15].
    """

    frame: GaborFrame = on(hann(2048, 8))
    step_rule: str = option(
        "unit",
        "The paper's ``μ = 1``, which never raises the objective; steps as long as the objective "
        "allows; or such steps from an extrapolated point, with restarts.",
        OneOf(*STEP_RULES),
    )
    activation_update: str = option(
        "multiplicative",
        "The semi-NMF's update of ``Z``: the paper's, or one that goes further in one pass.",
        OneOf(*ACTIVATION_UPDATES),
    )
    inner_iterations: int = option(
        1, "How many updates of the semi-NMF an outer iteration makes.", at_least(1)
    )
    recentre_every: int = option(
        0,
        "Iterations after which to see whether shifting each atom's energy to the middle of the "
        "window would have led lower; 0 never does, as in the paper.",
        at_least(0),
    )

    STARTS = ("random", "segments")
    SIGNED = ("patterns",)

    def lambda_max(self, x: Array) -> float:
        r"""A penalty from which on no atoms in the unit ball are used at all.

        At ``Z = 0`` the objective has the slope ``λ - ⟨x, d_k[· - t]⟩`` in an activation whose
        window begins at sample ``t``. By Cauchy and Schwarz no slope is negative from

        .. math:: λ_{\max} = \max_t \Big(\sum_{s < T_g} x[t + s]^2\Big)^{1/2}

        on, and the objective is convex in ``Z``. At hop 1 no smaller penalty does, if the window
        is nowhere zero and ``M ≥ T_g``: the atom may be the loudest segment itself.
        """
        return sparse_coding.lambda_max(x, self.frame.window.size)

    def check(self, x: Array) -> None:
        require_change(x)
        require_length(x.size, self.frame.window.size)
        self.require_time_invariance()
        self.require_contraction(x.size)

    def most_components(self, n_samples: int) -> int:
        return min(self.frame.n_frames(n_samples), self.frame.channels, self.frame.window.size)

    def shapes(self, n_samples: int, K: int) -> dict[str, tuple[int, ...]]:
        P = min(self.frame.window.size, self.frame.channels)
        return {"patterns": (K, P), "activations": (K, self.frame.n_frames(n_samples))}

    def patterns_of(self, found: Decomposition) -> Array:
        atoms = np.asarray(found.atoms)
        return AtomsOfSpectra(self.frame, atoms.dtype).fitted(atoms)

    @property
    def usual_gap(self) -> float:
        return USUAL_GAP

    def applied(
        self, x: Array, W: Array, learnt: Decomposition, gap: float | None, **asked: Any
    ) -> Iterator[Any]:
        """By greedy coordinate descent on the frame's positions."""
        from cdlnmf_lit.methods.grid import states

        problem = self.problem(x, len(W), **asked)
        return states(problem, W, problem.theorem.atoms(W), self.frame)

    def problem(self, x: Array, K: int, **asked: Any) -> Problem:
        return Problem(method=self, x=x, **asked)

    def bytes_needed(self, n_samples: int, K: int, dtype: np.dtype) -> int:
        """The arrays of the step rule that needs most."""
        plan = _plan(self.frame, n_samples)
        blocks = plan.n_blocks * plan.fft_length
        signals = 3 * plan.length + 3 * n_samples + 2 * blocks * plan.hop
        activations = 6 * K * plan.n_activations + 3 * K * blocks
        atoms = 5 * K * plan.hop * plan.fft_length
        return int((signals + activations + atoms) * dtype.itemsize)


def _plan(frame: GaborFrame, n_samples: int) -> Convolution:
    N = frame.n_frames(n_samples)
    return Convolution(frame.window.size, N, frame.hop, spectral_product)
