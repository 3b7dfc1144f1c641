"""Convolutional sparse coding: where, and how strongly, known patterns sound.

Chapter: ``book/methods/sparse_coding.md``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count
from types import SimpleNamespace
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike

from cdlnmf_lit.methods import method
from cdlnmf_lit.methods.decomposition import Decomposition, run
from cdlnmf_lit.methods.families import require_change, require_length
from cdlnmf_lit.methods.kernels import BLOCK, add_scaled, descend, is_sparse, nonzeros
from cdlnmf_lit.methods.starts import checked_start
from cdlnmf_lit.theory.arguments import Array, array, choice, integer, non_negative, signal
from cdlnmf_lit.theory.blocks import in_threads, pieces, segment_energies
from cdlnmf_lit.theory.convolution import Convolution, operator_in_activations

SIGNS = {"nonnegative": False, "real": True}
"""What activations may be, and whether that includes negative ones."""
SEGMENT, SHARE = 4096, 0.1
"""Positions of the shortest segment, and how far a pass lowers the largest change asked for."""
BALANCE = 10
"""Iterations of the ADMM from one look at its step to the next."""


@dataclass(frozen=True, eq=False)
class Problem(method.Problem):
    r"""A signal to be coded with atoms.

    .. math:: \min_z \; ½ \|x - Σ_k d_k ∗ z_k\|^2 + λ Σ_k \|z_k\|_1

    Parameters
    ----------
    atom_length : int
        ``T_d``.
    penalty : float
        ``λ``.
    signed : bool
        Whether activations may be negative.
    padding : int
        Samples of silence that the signal ``x`` has at both ends.
    solver : str
        One of ``SOLVERS``.

    Examples
    --------
    >>> problem = Problem(2, 1.0, signed=False, x=np.array([0.0, 3.0, 0.0]))
    >>> problem.state(0, np.array([[1.0, 0.0]]), np.zeros((1, 2))).objective
    4.5

    References
    ----------
    Equation (2) of the paper.
    """

    atom_length: int
    penalty: float
    signed: bool
    padding: int = 0
    solver: str = "greedy"

    def greedy(self, state: State) -> Iterator[State]:
        r"""Locally greedy coordinate descent: the activation that would change most goes first.

        The positions are cut into segments longer than two atoms. Two threads never work on
        neighbours: every other segment is done, then the rest. So the result does not depend on
        their number. A pass lowers the largest change asked for to a tenth, which keeps early
        passes short. The correlations are computed anew from pass to pass, as updates let them
        drift.
        """
        while True:
            change = self.largest_change(
                state.activations, state.correlation, state.dictionary.gram
            )
            state = state.followed_by(self.passed_over(state, self.tolerance(change)))
            yield state

    def tolerance(self, change: float) -> float:
        """The largest change that a pass may leave, where it finds one of this size."""
        return max(SHARE * change, self.rounding)

    def passed_over(self, state: State, tolerance: float) -> Array:
        """The activations after one pass over all segments."""
        T_d, gram = self.atom_length, state.dictionary.gram
        segments = pieces(self.n_activations, max(2 * T_d, SEGMENT))
        width = max(BLOCK, T_d // 8)
        z, c = state.activations.copy(), state.correlation.copy()
        limits = np.array([self.penalty, tolerance], z.dtype)

        def descended(part: slice) -> int:
            begin, end = part.start, part.stop
            most = self.most_changes(len(z) * (end - begin))
            return int(descend(z, c, gram, limits, self.signed, begin, end, width, most))

        for colour in (segments[::2], segments[1::2]):
            for _ in in_threads(descended, colour):
                pass
        return z

    def fista(self, state: State) -> Iterator[State]:
        r"""Accelerated proximal gradient: where the objective would rise it stays, and starts anew.

        .. math:: z ← S\Big(y + \frac1L \, (x - Σ_j d_j ∗ y_j) ⋆ d_k, \; \frac{λ}{L}\Big),
            \qquad L = \max_ω Σ_k |\hat d_k(ω)|^2

        with ``y`` a step beyond ``z`` in the direction it came from.
        """
        t, ahead = state.memory or (1.0, state.remembering())
        state, dtype = state.remembering(), state.activations.dtype
        L = operator_in_activations(state.patterns, self.n_activations).norm ** 2 or 1.0
        while True:
            y = ahead.activations + ahead.correlation / dtype.type(L)
            new = state.followed_by(self.shrunk(y, self.penalty / L))
            if new.objective > state.objective:
                t, new = 1.0, state.followed_by(state.activations)
            t, before = (1 + np.sqrt(1 + 4 * t**2)) / 2, t
            beyond = dtype.type((before - 1) / t) * (new.activations - state.activations)
            ahead = new.followed_by(new.activations + beyond) if before > 1 else new
            state = new
            yield state.remembering(t, ahead)

    def admm(self, state: State) -> Iterator[State]:
        r"""FastCSC's alternating direction method of multipliers, in the Fourier domain.

        .. math::
            \hat z ← \hat v + \frac{\hat d^* (\hat x - Σ_j \hat d_j \hat v_j)}
            {ρ + Σ_j |\hat d_j|^2}, \quad v = t - u, \qquad
            t ← S(z + u, λ/ρ), \qquad u ← u + z - t

        Each frequency is a system of ``K`` equations of rank one, solved in closed form. The
        paper's convolutions are not circular: so the signal is followed by silence up to a length
        of quick transforms, and ``t`` is zero at positions whose atoms would reach beyond the
        signal. What is yielded is the best ``t`` so far. ``ρ`` starts at the geometric mean of the
        largest and the mean of ``Σ_j |d̂_j|²``, per atom; it is doubled or halved where one of
        ``‖z - t‖`` and the change of ``t`` is ten times the other.
        """
        best, x, d = state.remembering(), self.x, state.patterns
        N, dtype = self.n_activations, x.dtype
        points = scipy.fft.next_fast_len(x.size, real=True)
        D, X = scipy.fft.rfft(d, points), scipy.fft.rfft(x, points)
        power = np.sum(np.abs(D) ** 2, axis=0)
        rho = np.sqrt(power.max() * np.mean(np.sum(d**2, axis=1))) or dtype.type(1)
        t = np.zeros((len(d), points), dtype)
        t[:, :N] = state.activations
        u = scipy.fft.irfft(D.conj() * scipy.fft.rfft(state.residual, points), points)
        low = -self.penalty if self.signed else -np.inf
        u[:, :N] = np.clip(u[:, :N], low, self.penalty)
        u /= rho
        first = 1
        if state.memory:
            t, u, rho, first = state.memory
        for step in count(first):
            V = scipy.fft.rfft(t - u, points)
            V += D.conj() * ((X - np.sum(D * V, axis=0)) / (rho + power))
            z = scipy.fft.irfft(V, points)
            u += z
            before, t = t, np.zeros_like(t)
            t[:, :N] = self.shrunk(u[:, :N], self.penalty / float(rho))
            u -= t
            if step % BALANCE == 0:
                primal, dual = np.linalg.norm(z - t), np.linalg.norm(t - before)
                factor = 2.0 if primal > 10 * dual else 0.5 if dual > 10 * primal else 1.0
                rho, u = rho * dtype.type(factor), u / dtype.type(factor)
            found = replace(best, activations=t[:, :N].copy())
            if found.objective < best.objective:
                best = found
            iteration = state.iteration + step - first + 1
            yield replace(best, iteration=iteration, memory=(t, u, rho, step + 1))

    def most_changes(self, n: int) -> int:
        """Of ``n`` activations in one pass: a bound that ends what rounding would not."""
        return 10 * n

    def objective(self, z: Array, residual: Array) -> float:
        """``½‖r‖² + λ Σ_k ‖z_k‖₁``."""
        size = float(np.sum(np.abs(nonzeros(z)[2]), dtype=float))
        return 0.5 * _energy(residual) + self.penalty * size

    def shrunk(self, z: Array, threshold: float) -> Array:
        """The soft threshold, one-sided where activations must not be negative."""
        t = z.dtype.type(threshold)
        return z - np.clip(z, -t, t) if self.signed else np.maximum(z - t, 0)

    def largest_change(self, z: Array, c: Array, gram: Array) -> float:
        """The largest change of the signal, ``‖d_k‖ |Δ|``, that one activation asks for."""
        largest = 0.0
        for k, row in enumerate(z):
            energy = float(gram[k, k, gram.shape[2] // 2])
            if energy > 0:
                new = self.shrunk(row + c[k] / row.dtype.type(energy), self.penalty / energy)
                largest = max(largest, np.sqrt(energy) * float(np.abs(new - row).max()))
        return largest

    def largest_correlation(self, c: Array) -> float:
        """In absolute value where activations may be negative."""
        return max(float(c.max()), -float(c.min()) if self.signed else 0.0)

    @property
    def n_activations(self) -> int:
        """``N = T - T_d + 1``."""
        return int(self.x.size) - self.atom_length + 1

    @cached_property
    def rounding(self) -> float:
        """Changes that are but rounding errors of the correlations."""
        return 8 * float(np.finfo(self.x.dtype).eps) * lambda_max(self.x, self.atom_length)

    def state(self, iteration: int, d: Array, z: Array) -> State:
        """An iterate with other atoms."""
        return State(iteration, d, z, self, Dictionary(d, self.n_activations))

    def states(self, state: Any) -> Iterator[State]:
        """All iterates from one on, with the same atoms."""
        yield state
        yield from SOLVERS[self.solver](self, state)

    def record(self, state: State) -> dict[str, float]:
        return {name: getattr(state, name) for name in ("objective", "relative_residual", "gap")}

    def result(self, state: State) -> dict[str, Any]:
        return {
            "atoms": state.patterns,
            "hop": 1,
            "first_sample": -self.padding,
            "residual": state.residual[self.padding : self.x.size - self.padding],
        }


@dataclass(frozen=True, eq=False)
class Dictionary:
    r"""All shifts of all atoms, as the operator ``D``.

    .. math:: D z = Σ_k d_k ∗ z_k, \qquad (D^T r)_k[n] = Σ_s r[n + s] \, d_k[s]

    Parameters
    ----------
    atoms : array (K, T_d)
        ``d_k``.
    n_activations : int
        ``N``.

    Examples
    --------
    >>> D = Dictionary(np.array([[1.0, 0.0]]), 2)
    >>> D.synthesis(np.array([[5.0, 0.0]])), D.correlation(np.array([0.0, 3.0, 0.0]))
    (array([5., 0., 0.]), array([[0., 3.]]))

    References
    ----------
    Equation (1) of the paper.
    """

    atoms: Array
    n_activations: int

    def synthesis(self, z: Array) -> Array:
        """``D z``: one by one where few activations are not zero, else by transforms."""
        T_d = self.atoms.shape[1]
        if not is_sparse(z, T_d):
            return self.plan.synthesis(self.spectra, self.plan.activation_spectra(z))
        whole = np.zeros(self.plan.length, self.atoms.dtype)
        atoms, positions, values = nonzeros(z)
        add_scaled(whole, self.atoms.ravel(), positions, T_d * atoms, values, T_d)
        return whole

    def correlation(self, residual: Array) -> Array:
        """``Dᵀ r``, ``(K, N)``."""
        return self.plan.correlation_with_atoms(self.plan.signal_spectra(residual), self.spectra)

    @cached_property
    def gram(self) -> Array:
        """Correlations of the atoms, ``G_jk[l] = Σ_s d_j[s] d_k[s + l]``, ``|l| < T_d``."""
        T_d = self.atoms.shape[1]
        points = scipy.fft.next_fast_len(2 * T_d - 1, real=True)
        spectra = scipy.fft.rfft(self.atoms, points)
        rows = scipy.fft.irfft(spectra.conj()[:, None] * spectra, points)
        gram = np.concatenate([rows[..., points - T_d + 1 :], rows[..., :T_d]], axis=-1)
        silent = ~self.atoms.any(axis=1)
        gram[silent], gram[:, silent] = 0, 0
        return gram

    @cached_property
    def plan(self) -> Convolution:
        """Of the convolutions with the atoms."""
        return Convolution(self.atoms.shape[1], self.n_activations)

    @cached_property
    def spectra(self) -> Array:
        """Of the atoms, as the plan wants them."""
        return self.plan.atom_spectra(self.atoms)


@dataclass(frozen=True, eq=False)
class State(method.State):
    """One iterate; what it says of itself is computed when it is asked.

    Parameters
    ----------
    dictionary : Dictionary
        Of the atoms, which are the patterns.

    Examples
    --------
    >>> x, atoms = np.array([0.0, 3.0, 0.0]), np.array([[1.0, 0.0]])
    >>> start = next(iterate(x, atoms, penalty=1.0))
    >>> start.objective, round(start.gap, 3)
    (4.5, 0.444)
    """

    dictionary: Dictionary

    @cached_property
    def residual(self) -> Array:
        """``r = x - Σ_k d_k ∗ z_k``, ``(T,)``."""
        return np.asarray(self.problem.x - self.dictionary.synthesis(self.activations))

    @cached_property
    def correlation(self) -> Array:
        """Of the atoms with the residual, ``(K, N)``: minus the gradient of the data term."""
        return self.dictionary.correlation(self.residual)

    @cached_property
    def objective(self) -> float:
        """``½‖r‖² + λ Σ_k ‖z_k‖₁``."""
        return float(self.problem.objective(self.activations, self.residual))

    @property
    def relative_residual(self) -> float:
        """``‖r‖ / ‖x‖``."""
        return float(np.sqrt(_energy(self.residual) / _energy(self.problem.x)))

    @cached_property
    def gap(self) -> float:
        r"""The duality gap: how far the objective can still fall at most, as a share of itself.

        Let ``θ`` be a signal whose correlations with the atoms do not exceed ``λ``. Then no
        objective is below ``½‖x‖² - ½‖x - θ‖²``. Here ``θ`` is the residual, scaled for the best.
        """
        r, problem = self.residual.astype(float), self.problem
        along, energy = float(problem.x @ r), float(r @ r)
        if energy == 0:
            return 1.0 if self.objective > 0 else 0.0
        largest = problem.largest_correlation(self.correlation)
        most = problem.penalty / largest if largest > 0 else np.inf
        scale = min(max(along / energy, -most if problem.signed else 0.0), most)
        bound = scale * along - 0.5 * scale**2 * energy
        return float(max(self.objective - bound, 0.0) / self.objective)

    def followed_by(self, activations: Array) -> State:
        """The next iterate, with the same atoms."""
        return replace(self, iteration=self.iteration + 1, activations=activations)

    def numbered(self, iteration: int, *memory: Any) -> State:
        """The same iterate by another number, with a memory; what it has computed is kept."""
        _ = self.correlation  # so that it is computed once for both
        same = self.remembering(*memory)
        object.__setattr__(same, "iteration", iteration)
        return same


def _energy(values: Array) -> float:
    return float(np.sum(np.square(values, dtype=float)))


SOLVERS = {"greedy": Problem.greedy, "fista": Problem.fista, "admm": Problem.admm}


# ---- how it is run ---------------------------------------------------------------------------


def lambda_max(x: ArrayLike, atoms: ArrayLike | int, activations: str = "nonnegative") -> float:
    r"""The smallest penalty with which all activations are zero.

    .. math:: λ_{\max} = \max_{k, n} \sum_s x[n + s] \, d_k[s], \qquad
        \max_{\|d_k\| ≤ 1} λ_{\max} = \max_n \Big(\sum_{s < T_d} x[n + s]^2\Big)^{1/2}

    Parameters
    ----------
    x : array (T,)
        The signal.
    atoms : array (K, T_d), or int
        ``d_k``; or the length ``T_d`` alone, for the bound over all atoms of norm 1.
    activations : {"nonnegative", "real"}
        With real ones the largest absolute value counts.

    Raises
    ------
    ValueError
        If the atoms are longer than the signal.

    Examples
    --------
    >>> x = np.array([0.0, 3.0, -4.0, 0.0])
    >>> lambda_max(x, np.array([[1.0, 0.0]])), lambda_max(x, np.array([[1.0, 0.0]]), "real")
    (3.0, 4.0)
    >>> lambda_max(x, 2)
    5.0

    References
    ----------
    Equation (2) of the paper.
    """
    x = signal(x)
    signed = SIGNS[choice(activations, "activations", SIGNS)]
    if np.ndim(atoms) == 0:
        T_d = integer(atoms, "atoms")
        require_length(x.size, T_d)
        return float(np.sqrt(segment_energies(x, T_d).max()))
    d = array(atoms, "atoms", 2).astype(x.dtype)
    T_d = d.shape[1]
    require_length(x.size, T_d)
    problem = Problem(T_d, 0.0, signed, x=x)
    return problem.largest_correlation(Dictionary(d, problem.n_activations).correlation(x))


def iterate(
    x: ArrayLike,
    atoms: ArrayLike,
    *,
    penalty: float,
    activations: str = "nonnegative",
    start: ArrayLike | None = None,
    solver: str = "greedy",
    padding: int = 0,
) -> Iterator[State]:
    r"""Yield the start of sparse coding, then a :class:`State` an iteration, without end.

    .. math:: \min_z \; ½ \|x - Σ_k d_k ∗ z_k\|^2 + λ Σ_k \|z_k\|_1

    Parameters
    ----------
    x : array (T,)
        The signal.
    atoms : array (K, T_d)
        ``d_k``, of any norm.
    penalty : float
        ``λ``. From :func:`lambda_max` on, all activations are zero.
    start : array (K, N), optional
        ``z`` to start from, ``N = T + 2 padding - T_d + 1``. Default: zero.
    activations, solver, padding
        See :class:`~cdlnmf_lit.methods.cdl.CDL`.

    Raises
    ------
    ValueError
        For a signal that is constant or shorter than the atoms, or a start that does not fit.

    Examples
    --------
    >>> x = np.array([0.0, 3.0, 0.0, 0.0])
    >>> states = iterate(x, np.array([[1.0, 0.0]]), penalty=1.0)
    >>> [next(states).activations.tolist() for _ in range(2)]
    [[[0.0, 0.0, 0.0]], [[0.0, 2.0, 0.0]]]

    References
    ----------
    Equation (2) of the paper.
    """
    x, d = signal(x), array(atoms, "atoms", 2)
    require_change(x)
    K, T_d = d.shape
    require_length(x.size, T_d)
    parameters = {
        "n_components": K,
        "atom_length": T_d,
        "penalty": non_negative(penalty, "penalty"),
        "activations": choice(activations, "activations", SIGNS),
        "padding": integer(padding, "padding", at_least=0, at_most=T_d - 1),
    }
    problem = Problem(
        T_d,
        float(penalty),
        SIGNS[activations],
        padding,
        choice(solver, "solver", SOLVERS),
        method=SimpleNamespace(name="sparse-coding", parameters=parameters),
        x=np.pad(x, padding),
    )
    z = np.zeros((K, problem.n_activations), x.dtype)
    if start is not None:
        signed = ("activations",) if problem.signed else ()
        (z,) = checked_start((start,), {"activations": z.shape}, x.dtype, signed=signed)
    return problem.states(problem.state(0, d.astype(x.dtype), z))


def decompose(
    x: ArrayLike, atoms: ArrayLike, *, iterations: int = 100, tolerance: float = 0.0, **options: Any
) -> Decomposition:
    """Code a signal with given atoms: :func:`iterate`, by :func:`.decomposition.run`.

    Examples
    --------
    >>> x = np.array([0.0, 3.0, 0.0, 0.0])
    >>> found = decompose(x, np.array([[1.0, 0.0]]), penalty=1.0, iterations=1)
    >>> found.activations, found.residual
    (array([[0., 2., 0.]]), array([0., 1., 0., 0.]))
    """
    return run(iterate(x, atoms, **options), iterations, tolerance)
