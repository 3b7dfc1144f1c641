"""Convolutional dictionary learning: the patterns that repeat in a signal, and where.

Chapter: ``book/methods/cdl.md``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count, islice
from typing import Any

import numpy as np
import scipy.fft

from cdlnmf_lit.methods import sparse_coding
from cdlnmf_lit.methods.decomposition import Decomposition
from cdlnmf_lit.methods.factors import in_ball, normalised, shifts_to_middle
from cdlnmf_lit.methods.families import Sparse, require_change, require_length
from cdlnmf_lit.methods.kernels import add_scaled, is_sparse, nonzeros
from cdlnmf_lit.methods.method import USUAL_GAP, Method
from cdlnmf_lit.methods.options import OneOf, anything, at_least, option
from cdlnmf_lit.methods.sparse_coding import SIGNS, SOLVERS, Dictionary, State
from cdlnmf_lit.methods.starts import checked_start, segments
from cdlnmf_lit.theory.arguments import Array, integer
from cdlnmf_lit.theory.blocks import placed, segment_energies
from cdlnmf_lit.theory.convolution import Convolution, correlate_with_activations

CODING_STEPS = {"greedy": (1, 1), "fista": (10, 160), "admm": (10, 160)}
"""Iterations of a solver between two looks at the atoms, at first and at the most."""
CHANGES = 200
"""Of activations in one pass at the most, an atom, for each of its lengths in what is passed."""
SLOW = 1e-3
"""Twice as many once the objective falls by a smaller share of itself."""
ATOM_STEPS, ENOUGH = 30, 0.1
"""Steps on the atoms at the most, and the share of the gap that is small enough to stop before."""
MOMENTUM = 0.9
"""The longest step beyond the atoms, as a share of the last one."""
PAIRS, CHUNK = 2**22, 2**15
"""Pairs of activations up to which their products are summed one by one, and at a time."""


@dataclass(frozen=True, eq=False)
class Problem(sparse_coding.Problem):
    r"""A signal whose atoms are to be found with their activations: in turn, one given the other.

    .. math:: z ← \argmin_z F(d, z), \quad d ← \argmin_{\|d_k\| ≤ 1} F(d, z), \qquad
        F(d, z) = ½ \|x - Σ_k d_k ∗ z_k\|^2 + λ Σ_k \|z_k\|_1

    Neither half is done to its end.

    Examples
    --------
    >>> x = np.sin(0.3 * np.arange(200.0)) * np.hanning(200)
    >>> start = next(CDL(atom_length=32).iterate(x, 1))
    >>> start.problem.updated(start, 1).objective < start.objective
    True

    References
    ----------
    Equation (2) of the paper.
    """

    def updated(self, state: State, steps: int) -> State:
        """Fit the activations to the atoms, by some steps, then the atoms to the activations.

        Atoms that lie within the ball are then scaled to its surface, and their activations down,
        which lowers the penalty and changes nothing else. Last, see :meth:`replaced`.
        """
        coded = SOLVERS[self.solver](self, state.remembering())
        z = next(islice(coded, steps - 1, None)).activations
        d = Quadratic(self.x, z, self.atom_length).fitted(state.patterns, self.solver)
        d, z = normalised(d, z)
        return self.replaced(self.state(state.iteration + 1, d, z))

    def most_changes(self, n: int) -> int:
        """Of ``n`` activations in one pass.

        Where two atoms are nearly the same, as may be with more of them than there are sounds, an
        activation hands over to the other in tens of thousands of small changes. Both atoms will
        move before it is done.
        """
        most = super().most_changes(n)
        if self.held == "patterns":
            return most
        return min(most, math.ceil(CHANGES * n / self.atom_length))

    def replaced(self, state: State) -> State:
        r"""The weakest atom, if what it leaves out holds more than what it does.

        Without atom ``k`` there remains ``s = r + d_k ∗ z_k``. One activation of the loudest
        stretch of ``s``, scaled to norm 1, lowers the objective by ``½ max(‖stretch‖ - λ, 0)²``;
        dropping ``d_k`` raises it by ``½‖s‖² - ½‖r‖² - λ‖z_k‖₁``. The stretch becomes the atom
        where the first exceeds the second. So does it for an idle atom, if it can win an
        activation at all.
        """
        r, d, z, T_d = state.residual, state.patterns, state.activations, self.atom_length
        k = int(np.argmin(np.sum(z**2, axis=1)))
        sound = Dictionary(d[k : k + 1], self.n_activations).synthesis(z[k : k + 1])
        energies = segment_energies(r + sound, T_d)
        begin = int(np.argmax(energies))
        size = float(np.sqrt(energies[begin]))
        won = 0.5 * max(size - self.penalty, 0.0) ** 2
        lost = float(np.sum((r + 0.5 * sound) * sound, dtype=float))
        lost -= self.penalty * float(np.sum(np.abs(z[k]), dtype=float))
        if won <= max(lost, 0.0):
            return state
        d, z = d.copy(), z.copy()
        d[k] = (r + sound)[begin : begin + T_d] / r.dtype.type(size)
        z[k] = 0
        z[k, begin] = size - self.penalty
        return self.state(state.iteration, in_ball(d), z)

    def recentred(self, state: State) -> State | None:
        r"""Each atom with its energy in the middle of its support, its activations moved back.

        .. math:: d_k[s] ← d_k[s - m_k], \quad z_k[n] ← z_k[n + m_k]

        By :func:`~cdlnmf_lit.methods.factors.shifts_to_middle`. What is shifted past an end is
        lost. ``None`` where no atom is to be shifted.
        """
        d, z, shifts = state.patterns, state.activations, shifts_to_middle(state.patterns)
        if not shifts.any():
            return None
        d = np.stack([placed(atom, m, atom.size) for atom, m in zip(d, shifts, strict=True)])
        z = np.stack([placed(row, -m, row.size) for row, m in zip(z, shifts, strict=True)])
        return self.state(state.iteration, *normalised(d, z))

    def extrapolated(self, state: State, before: Array, momentum: float) -> State:
        """The iterate with atoms beyond its own, by a share of the way from those before.

        An atom that is another than before stays.
        """
        if momentum <= 0:
            return state
        d = state.patterns
        same = np.sum(d * before, axis=1, keepdims=True) > 0.5
        d = in_ball(np.where(same, d + d.dtype.type(momentum) * (d - before), d))
        return self.state(state.iteration, d, state.activations)

    def alternating(self, state: State) -> Iterator[State]:
        """Alternate with momentum on the atoms, and with moves of them where these get lower."""
        steps, most = CODING_STEPS[self.solver]
        every = self.method.recentre_every
        before, t, steps, wait, due = state.memory or (state.patterns, 1.0, steps, every, every)
        now = state.remembering()
        for iteration in count(state.iteration + 1):
            yield now.numbered(iteration - 1, before, t, steps, wait, due)
            t, last = (1 + np.sqrt(1 + 4 * t**2)) / 2, t
            ahead = self.extrapolated(now, before, min((last - 1) / t, MOMENTUM))
            new = self.updated(ahead, steps)
            if last > 1 and new.objective >= now.objective:
                t, new = 1.0, self.updated(now, steps)
            if new.objective >= now.objective:
                new = now
            is_stuck = new is now and steps == most
            if new.objective > (1 - SLOW) * now.objective:
                steps = min(2 * steps, most)
            before = now.patterns
            del ahead  # and what it has computed
            if every and (iteration >= due or is_stuck):
                moved = self.recentred(now)
                wait = every if moved is None else 2 * wait
                if moved is not None:
                    moved = self.updated(moved, steps)
                    if moved.objective < new.objective:
                        new, before, t, wait = moved, moved.patterns, 1.0, every
                    moved = None
                due = iteration + wait
            while is_stuck and new is now:  # any further try would be the same
                yield now.numbered(iteration, before, 1.0, steps, wait, due)
                iteration += 1
            now = new

    def fitting_atoms(self, state: State) -> Iterator[State]:
        """With the activations held."""
        quadratic = Quadratic(self.x, state.activations, self.atom_length)
        while True:
            yield state
            d = quadratic.fitted(state.patterns, self.solver)
            state = self.state(state.iteration + 1, d, state.activations)

    def refitted(self, state: State) -> State:
        r"""Activations that the penalty does not shrink: least squares where they are not zero.

        .. math:: z ← z + \argmin_δ \Big\|r - Σ_k d_k ∗ δ_k\Big\|^2
            \quad\text{subject to } δ_k[n] = 0 \text{ where } z_k[n] = 0

        By some steps of conjugate gradients. What would change its sign becomes zero.
        """
        z, D = state.activations, state.dictionary

        def among(values: Array) -> Array:
            return np.where(z != 0, values, 0)

        change = conjugate_gradients(
            lambda ahead: among(D.correlation(D.synthesis(ahead))),
            among(state.correlation),
            self.method.refit,
        )
        new = np.where(np.sign(z + change) == np.sign(z), z + change, 0)
        fitted = self.state(state.iteration, state.patterns, new)
        return min(state, fitted, key=lambda each: each.relative_residual)

    # ---- starts, states --------------------------------------------------------------------------

    def states(self, state: Any) -> Iterator[State]:
        """All iterates; with the atoms held they are those of sparse coding."""
        if self.held == "patterns":
            return super().states(state)
        return self.fitting_atoms(state) if self.held else self.alternating(state)

    def first(self, W: Array, Z: Array) -> State:
        """Atoms of norm 1; what they lose the activations gain. A silent one has none."""
        if self.held == "activations":
            return self.state(0, in_ball(W), Z)
        Z[~W.any(axis=1)] = 0
        return self.state(0, *((W, Z) if self.held else normalised(W, Z)))

    def drawn(self, K: int, start: str, rng: np.random.Generator) -> tuple[Array, Array]:
        """Segments of the signal, drawn by energy, or noise; no activations."""
        x, T_d = self.x, self.atom_length
        noise = start == "random"
        d = rng.standard_normal((K, T_d)).astype(x.dtype) if noise else segments(x, K, T_d, rng)
        return d, self.activations_for(d)

    def activations_for(self, W: Array) -> Array:
        """All zero."""
        return np.zeros((len(W), self.n_activations), self.x.dtype)

    def taken(self, found: Decomposition) -> tuple[Array, Array]:
        """Waveforms of the components; their activations at their samples where they are atoms."""
        d = found.patterns(self.atom_length).astype(self.x.dtype)
        z = self.activations_for(d)
        if found.atoms is not None:
            steps = found.hop * np.arange(found.activations.shape[1])
            positions = found.first_sample + self.padding + steps
            inside = (positions >= 0) & (positions < self.n_activations)
            values = found.activations[:, inside]
            z[:, positions[inside]] = values if self.signed else np.maximum(values, 0)
        return d, z

    def record(self, state: State) -> dict[str, float]:
        """The objective, and what either factor could still gain, where it may move."""
        found = {"objective": state.objective, "relative_residual": state.relative_residual}
        if self.held != "activations":
            found["coding_gap"] = state.gap
        if self.held != "patterns":
            found["dictionary_gap"] = self.dictionary_gap(state)
        return found

    def result(self, state: State) -> dict[str, Any]:
        if self.method.refit and self.held != "activations":
            state = self.refitted(state)
        return super().result(state) | {"activations": state.activations}

    def dictionary_gap(self, state: State) -> float:
        """By which share of itself other atoms could lower the objective, at most."""
        left = Quadratic(state.residual, state.activations, self.atom_length)
        return max(left.gap(state.patterns, -left.b), 0.0) / (state.objective or 1.0)


# ---- the atoms, given the activations --------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Quadratic:
    r"""A signal and its activations, to which atoms are to be fitted.

    .. math:: \min_{\|d_k\| ≤ 1} \; ½ \|x - Σ_k d_k ∗ z_k\|^2
        = \min_{\|d_k\| ≤ 1} \; ½\|x\|^2 - ⟨b, d⟩ + ½ ⟨d, A d⟩

    Signal and activations enter by their correlations alone: ``b_k[s] = Σ_n z_k[n] x[n + s]``, as
    long as an atom, and ``A_jk[l] = Σ_n z_j[n] z_k[n + l]`` with ``|l| < T_d``, as long as two;
    ``(A d)_j[s] = Σ_k Σ_u A_jk[s - u] d_k[u]``.

    Parameters
    ----------
    x : array (T,)
    activations : array (K, N)
    atom_length : int
        ``T_d``.

    Examples
    --------
    >>> quadratic = Quadratic(np.array([0.0, 3.0, 0.0]), np.array([[0.0, 2.0]]), 2)
    >>> quadratic.gradient(np.array([[1.0, 0.0]]))
    array([[-2.,  0.]])

    References
    ----------
    Equation (2) of the paper.
    """

    x: Array
    activations: Array
    atom_length: int

    @cached_property
    def b(self) -> Array:
        """``(K, T_d)``: one by one where few activations are not zero, else by transforms."""
        z, T_d = self.activations, self.atom_length
        if not is_sparse(z, T_d):
            return correlate_with_activations(z, self.x)
        found = np.zeros(len(z) * T_d, z.dtype)
        atoms, positions, values = nonzeros(z)
        add_scaled(found, self.x, T_d * atoms, positions, values, T_d)
        return found.reshape(len(z), T_d)

    @cached_property
    def A(self) -> Array:
        """``(K, K, 2 T_d - 1)``: pair by pair where activations are few, else by transforms."""
        z, T_d = self.activations, self.atom_length
        K, width = len(z), 2 * T_d - 1
        atoms, positions, values = nonzeros(z)
        order = np.argsort(positions, kind="stable")
        k, n, v = atoms[order], positions[order], values[order].astype(float)
        reach = np.searchsorted(n, n + T_d) - np.arange(n.size)
        if reach.sum() > PAIRS:
            rows = np.pad(z, ((0, 0), (0, T_d - 1)))
            half = np.stack([correlate_with_activations(z, row) for row in rows], axis=1)
            return np.concatenate([half.swapaxes(0, 1)[..., :0:-1], half], axis=-1)
        half, keys, products = np.zeros(K * K * width), [], []
        for step in range(int(reach.max(initial=0))):
            first = np.flatnonzero(reach > step)
            second = first + step
            keys.append((k[first] * K + k[second]) * width + n[second] - n[first] + T_d - 1)
            products.append(v[first] * v[second] * (1.0 if step else 0.5))
            if sum(map(len, keys)) > CHUNK or step == reach.max() - 1:
                half += np.bincount(np.concatenate(keys), np.concatenate(products), half.size)
                keys, products = [], []
        half = half.reshape(K, K, width)
        return np.asarray(half + half.swapaxes(0, 1)[..., ::-1], z.dtype)

    @property
    def points(self) -> int:
        """Of transforms so long that products of spectra do not wrap onto an atom."""
        return int(scipy.fft.next_fast_len(2 * self.atom_length - 1, real=True))

    @cached_property
    def spectra(self) -> Array:
        """Of ``A``, ``(K, K, F')``."""
        A, T_d = self.A, self.atom_length
        wrapped = np.zeros((*A.shape[:2], self.points), A.dtype)
        wrapped[..., :T_d] = A[..., T_d - 1 :]
        wrapped[..., self.points - T_d + 1 :] = A[..., : T_d - 1]
        return np.asarray(scipy.fft.rfft(wrapped))

    @cached_property
    def curvature(self) -> float:
        """At least the largest eigenvalue of ``A``: that of a circulant matrix around it.

        Only frequencies count whose row sums reach the eigenvalue where they are largest.
        """
        A = np.moveaxis(self.spectra, 2, 0)
        at_most = np.linalg.norm(A, np.inf, axis=(1, 2))
        largest = float(np.abs(np.linalg.eigvalsh(A[at_most.argmax()])).max())
        others = np.linalg.eigvalsh(A[at_most > largest])
        return float(np.max(np.abs(others), initial=largest))

    def gradient(self, d: Array) -> Array:
        """``A d - b``, ``(K, T_d)``."""
        D = np.einsum("jkf,kf->jf", self.spectra, scipy.fft.rfft(d, self.points))
        return np.asarray(scipy.fft.irfft(D, self.points)[:, : self.atom_length] - self.b)

    def objective(self, d: Array, gradient: Array) -> float:
        """``½⟨d, A d⟩ - ⟨b, d⟩``: what the atoms change of the objective."""
        return 0.5 * float(np.sum(d * (gradient - self.b), dtype=float))

    def gap(self, d: Array, gradient: Array) -> float:
        r"""How far other atoms in the ball can lower the objective at most.

        .. math:: \max_{\|d'_k\| ≤ 1} ⟨\nabla, d - d'⟩ = Σ_k ⟨\nabla_k, d_k⟩ + \|\nabla_k\|
        """
        sizes = np.sqrt(np.sum(np.square(gradient, dtype=float), axis=1))
        return float(np.sum(gradient * d, dtype=float) + sizes.sum())

    def fitted(self, d: Array, solver: str = "greedy") -> Array:
        """Atoms that fit no worse: a few steps, fewer where a tenth of the gap is left."""
        gradient = self.gradient(d)
        best, least = d, self.objective(d, gradient)
        enough = ENOUGH * self.gap(d, gradient)
        for found, slope in islice(ATOM_SOLVERS[solver](self, d), ATOM_STEPS):
            if (reached := self.objective(found, slope)) < least:
                best, least = found, reached
            if self.gap(found, slope) <= enough:
                break
        return best

    def projected_gradient(self, d: Array) -> Iterator[tuple[Array, Array]]:
        """Accelerated projected gradient steps, restarted where they turn back.

        Yields the atoms and the gradient there.
        """
        step, t = d.dtype.type(1 / (self.curvature or 1.0)), 1.0
        gradient = self.gradient(d)
        ahead, slope = d, gradient
        while True:
            before, d = d, in_ball(ahead - step * slope)
            before_gradient, gradient = gradient, self.gradient(d)
            yield d, gradient
            if np.sum((ahead - d) * (d - before), dtype=float) > 0:
                t = 1.0
            t, last = (1 + np.sqrt(1 + 4 * t**2)) / 2, t
            beyond = d.dtype.type((last - 1) / t)
            ahead = d + beyond * (d - before)
            slope = gradient + beyond * (gradient - before_gradient)

    def admm(self, d: Array) -> Iterator[tuple[Array, Array]]:
        r"""FastCSC's alternating direction method of multipliers, in the Fourier domain.

        .. math::
            \hat d ← \hat v + \frac{\hat z^* (\hat x - Σ_j \hat z_j \hat v_j)}
            {σ + Σ_j |\hat z_j|^2}, \quad v = s - u, \qquad
            s ← P(d + u), \qquad u ← u + d - s

        ``P`` cuts to the atoms' support and projects onto the ball. The signal is followed by
        silence, so that nothing wraps. ``σ`` starts as ``ρ`` does for the activations, and stays.
        Yields ``s`` and the gradient there.
        """
        x, z, T_d = self.x, self.activations, self.atom_length
        points = scipy.fft.next_fast_len(x.size, real=True)
        Z, X = scipy.fft.rfft(z, points), scipy.fft.rfft(x, points)
        power = np.sum(np.abs(Z) ** 2, axis=0)
        largest, mean = float(power.max()), float(np.mean(np.sum(z**2, axis=1)))
        sigma = d.dtype.type(np.sqrt(largest * mean) or 1)
        s, u = np.zeros((len(z), points), d.dtype), np.zeros((len(z), points), d.dtype)
        s[:, :T_d], u[:, :T_d] = d, -self.gradient(d) / sigma
        while True:
            V = scipy.fft.rfft(s - u, points)
            V += Z.conj() * ((X - np.sum(Z * V, axis=0)) / (sigma + power))
            u += scipy.fft.irfft(V, points)
            s = np.zeros_like(s)
            s[:, :T_d] = in_ball(u[:, :T_d])
            u -= s
            found = s[:, :T_d].copy()
            yield found, self.gradient(found)


def conjugate_gradients(curved: Callable[[Array], Array], b: Array, steps: int) -> Array:
    r"""Some steps towards the solution of ``A u = b``, from zero.

    .. math:: \min_u \; ½⟨u, A u⟩ - ⟨b, u⟩

    Each step lowers it.

    Parameters
    ----------
    curved : callable
        ``A``, symmetric, without negative eigenvalues.
    b : array
        Of any shape.
    steps : int

    Examples
    --------
    >>> conjugate_gradients(lambda u: np.array([1.0, 2.0]) * u, np.array([1.0, 1.0]), 2).round(6)
    array([1. , 0.5])
    """
    u, left = np.zeros_like(b), b
    ahead, energy = left, float(np.sum(np.square(left, dtype=float)))
    least = np.finfo(b.dtype).eps ** 2 * energy
    for _ in range(steps):
        bent = curved(ahead)
        bend = float(np.sum(ahead * bent, dtype=float))
        if energy <= least or bend <= 0:
            break
        step = b.dtype.type(energy / bend)
        u, left = u + step * ahead, left - step * bent
        energy, before = float(np.sum(np.square(left, dtype=float))), energy
        ahead = left + b.dtype.type(energy / before) * ahead
    return u


ATOM_SOLVERS = {
    "greedy": Quadratic.projected_gradient,
    "fista": Quadratic.projected_gradient,
    "admm": Quadratic.admm,
}


# ---- options ---------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, repr=False)
class CDL(Sparse, name="cdl"):
    r"""Atoms that repeat in a signal, and sparse activations.

    .. math::
        \min_{z, d} \; ½ \|x - Σ_k d_k ∗ z_k\|^2 + λ Σ_k \|z_k\|_1
        \quad\text{subject to } \|d_k\| ≤ 1

    By default ``λ`` is a twentieth of :meth:`lambda_max`. The signal must not be constant, nor
    shorter than an atom. The patterns are the atoms ``d``, ``(K, T_d)``; a start's are scaled to
    norm 1, and what they lose its activations gain. If only atoms are given, the activations start
    at zero. A result of another method gives its atoms with their activations, or else the loudest
    stretch of each component alone.

    A refit changes the result alone: the history tells of the iterates, which minimise the
    objective. What :meth:`.Decomposition.apply` finds is not refitted, as its gap is certified.

    With patterns held this is sparse coding: an iteration is one of its solver, and the atoms keep
    their norm and their place; none is replaced. With activations held only the atoms move,
    within the ball, into which those of the start are projected; the moves that would need both,
    to the sphere, to the middle and to what is left out, are not made.

    Raises
    ------
    ValueError
        For an option that does not meet its rule.

    Examples
    --------
    >>> x = np.sin(0.3 * np.arange(200.0)) * np.hanning(200)
    >>> found = CDL(atom_length=32, iterations=5).decompose(x, 1)
    >>> np.allclose(found.components().sum(axis=0) + found.residual, x)
    True

    References
    ----------
    Equation (2) of the paper.
    """

    start: str | Method = option(
        "segments",
        "What to begin from: segments of the signal, drawn by energy, or random noise.",
        anything,
    )
    atom_length: int = option(2048, "``T_d``, samples.", at_least(1))
    activations: str = option("nonnegative", "What they may be.", OneOf(*SIGNS))
    solver: str = option(
        "greedy",
        "Locally greedy coordinate descent or accelerated proximal gradient for the activations, "
        "both with accelerated projected gradient for the atoms; or FastCSC, the alternating "
        "direction method of multipliers for both.",
        OneOf(*SOLVERS),
    )
    recentre_every: int = option(
        3,
        "Iterations from one attempt to the next to shift each atom's energy to the middle of its "
        "support; 0 never does.",
        at_least(0),
    )
    padding: int = option(
        0,
        "Samples of silence to add at both ends, up to ``T_d - 1``, so that patterns which the "
        "ends cut off can be coded too. The paper has none. The objective counts what sounds "
        "there.",
        at_least(0),
    )
    refit: int = option(
        0,
        "Steps of conjugate gradients on the activations of the result, where they are not zero, "
        "that undo how the penalty shrinks them; 0 takes them as they are.",
        at_least(0),
    )

    STARTS = ("segments", "random")
    USUAL_SHARE = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        integer(self.padding, "padding", at_least=0, at_most=self.atom_length - 1)

    def lambda_max(self, x: Array) -> float:
        r"""The smallest penalty with which no atoms of norm 1 are used at all.

        Activations ``z = 0`` are best if no atom's correlation with the signal exceeds ``λ``; the
        largest is, by Cauchy and Schwarz, that of the loudest segment, scaled to norm 1:

        .. math:: λ_{\max} = \max_n \Big(\sum_{s < T_d} x[n + s]^2\Big)^{1/2}
        """
        return sparse_coding.lambda_max(x, self.atom_length)

    def check(self, x: Array) -> None:
        require_change(x)
        require_length(x.size, self.atom_length)

    def most_components(self, n_samples: int) -> int:
        return n_samples + 2 * self.padding - self.atom_length + 1

    def problem(self, x: Array, K: int, **asked: Any) -> Problem:
        signed, padding = SIGNS[self.activations], self.padding
        fixed = self.atom_length, self.penalty or 0.0, signed, padding, self.solver
        return Problem(*fixed, method=self, x=np.pad(x, padding), **asked)

    def check_several(self, n: int) -> None:
        if self.solver != "greedy":
            raise ValueError(f"solver must be greedy for several recordings, got {self.solver!r}")

    def problem_of_several(self, recordings: Any, about: dict[str, Any]) -> Any:
        from cdlnmf_lit.methods.common_atoms import Atoms

        return Atoms.of(self, recordings, about)

    def applied(
        self, x: Array, W: Array, learnt: Decomposition, gap: float | None, **asked: Any
    ) -> Iterator[Any]:
        """Without a refit, after which the gap would be another."""
        return Method.applied(replace(self, refit=0), x, W, learnt, gap, **asked)

    @property
    def usual_gap(self) -> float:
        return USUAL_GAP

    def shapes(self, n_samples: int, K: int) -> dict[str, tuple[int, ...]]:
        N = self.most_components(n_samples)
        return {"patterns": (K, self.atom_length), "activations": (K, N)}

    def arrays_of(
        self, start: Any, n_samples: int, K: int, dtype: Any
    ) -> tuple[Array, Array | None]:
        signed = ("patterns", "activations") if SIGNS[self.activations] else ("patterns",)
        d, z = checked_start(start, self.shapes(n_samples, K), dtype, signed=signed)
        return d, z

    def bytes_needed(self, n_samples: int, K: int, dtype: np.dtype) -> int:
        """Counted from the arrays that the greedy solver holds."""
        T_d, plan = self.atom_length, self.plan(n_samples)
        activations = 14 * K * plan.n_activations
        signals = 6 * plan.length + 3 * plan.n_blocks * plan.fft_length
        atoms = 8 * K * (K + 2) * 2 * T_d
        energies = 4 * plan.length * np.dtype(float).itemsize
        return int((activations + signals + atoms) * dtype.itemsize + energies)

    def plan(self, n_samples: int) -> Convolution:
        """Of the convolutions with the atoms."""
        require_length(n_samples, self.atom_length)
        return Convolution(self.atom_length, self.most_components(n_samples))
