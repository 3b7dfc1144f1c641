"""Convolutional sparse coding: where, and how strongly, known patterns sound.

Chapter: ``book/methods/sparse_coding.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike

from cdlnmf_lit.methods.decomposition import Decomposition, run
from cdlnmf_lit.methods.kernels import BLOCK, add_scaled, descend, few, nonzeros
from cdlnmf_lit.methods.starts import given
from cdlnmf_lit.theory.arguments import Array, array, choice, integer, non_negative, signal
from cdlnmf_lit.theory.blocks import in_threads, pieces
from cdlnmf_lit.theory.convolution import Convolution, operator_in_activations

SIGNS = {"nonnegative": False, "real": True}
"""What activations may be, and whether that includes negative ones."""
SEGMENT, SHARE = 4096, 0.1
"""Positions of the shortest segment, and how far a pass lowers the largest change asked for."""
BALANCE = 10
"""Iterations of the ADMM from one look at its step to the next."""


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
    Equation (2) of the paper. Chapter: ``book/methods/sparse_coding.md``.
    """
    x = signal(x)
    signed = SIGNS[choice(activations, "activations", SIGNS)]
    if np.ndim(atoms) == 0:
        return float(np.sqrt(segment_energies(x, integer(atoms, "atoms")).max()))
    d = array(atoms, "atoms", 2)
    _require_length(x, d.shape[1])
    coding = Coding(x, d.astype(x.dtype), 0.0, signed)
    return coding.largest(coding.correlation(x))


def segment_energies(x: Array, length: int) -> Array:
    """Energies of all segments of a signal, ``(T - length + 1,)``, in double precision.

    Raises
    ------
    ValueError
        If the signal is shorter.

    Examples
    --------
    >>> segment_energies(np.array([1.0, 2.0, 0.0]), 2)
    array([5., 4.])

    References
    ----------
    Chapter: ``book/methods/sparse_coding.md``.
    """
    _require_length(x, length)
    energy = np.concatenate([[0.0], np.cumsum(np.square(x, dtype=float))])
    return np.maximum(energy[length:] - energy[:-length], 0)


@dataclass(frozen=True, eq=False)
class Coding:
    r"""A signal to be coded with given atoms.

    .. math:: \min_z \; ½ \|x - Σ_k d_k ∗ z_k\|^2 + λ Σ_k \|z_k\|_1

    Parameters
    ----------
    x : array (T,)
        The signal, with its padding.
    atoms : array (K, T_d)
        ``d_k``.
    penalty : float
        ``λ``.
    signed : bool
        Whether activations may be negative.
    padding : int
        Samples of silence that were added at both ends.

    Examples
    --------
    >>> coding = Coding(np.array([0.0, 3.0, 0.0]), np.array([[1.0, 0.0]]), 1.0, signed=False)
    >>> coding.correlation(coding.x)
    array([[0., 3.]])

    References
    ----------
    Equation (2) of the paper. Chapter: ``book/methods/sparse_coding.md``.
    """

    x: Array
    atoms: Array
    penalty: float
    signed: bool
    padding: int = 0

    @classmethod
    def posed(
        cls, x: Array, atoms: Array, penalty: float, activations: str, padding: int
    ) -> Coding:
        """The problem of :func:`iterate`, once its arguments are found to be good."""
        if np.ptp(x) == 0:
            raise ValueError(f"x must not be constant, got {x[0]} at every sample")
        T_d = atoms.shape[1]
        _require_length(x, T_d)
        padding = integer(padding, "padding", at_least=0, at_most=T_d - 1)
        signed = SIGNS[choice(activations, "activations", SIGNS)]
        penalty = non_negative(penalty, "penalty")
        return cls(np.pad(x, padding), atoms, penalty, signed, padding)

    def activations(self, start: ArrayLike | None = None) -> Array:
        """Those to start from: as given, of the right shape and sign, or zero."""
        shape = len(self.atoms), self.n_activations
        if start is None:
            return np.zeros(shape, self.x.dtype)
        named = "activations" if self.signed else ""
        return given((start,), {"activations": shape}, self.x.dtype, signed=named)[0]

    @property
    def n_activations(self) -> int:
        """``N = T - T_d + 1``."""
        return self.x.size - self.atoms.shape[1] + 1

    @cached_property
    def plan(self) -> Convolution:
        """Of the convolutions with the atoms."""
        return Convolution(self.atoms.shape[1], self.n_activations)

    @cached_property
    def atom_spectra(self) -> Array:
        """Spectra of the atoms, as the plan wants them."""
        return self.plan.atom_spectra(self.atoms)

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

    def synthesis(self, z: Array) -> Array:
        """``Σ_k d_k ∗ z_k``: one by one where few activations are not zero, else by transforms."""
        T_d = self.atoms.shape[1]
        if not few(z, T_d):
            return self.plan.synthesis(self.atom_spectra, self.plan.activation_spectra(z))
        whole = np.zeros_like(self.x)
        atoms, positions, values = nonzeros(z)
        add_scaled(whole, self.atoms.ravel(), positions, T_d * atoms, values, T_d)
        return whole

    def correlation(self, residual: Array) -> Array:
        """``c_k[n] = Σ_s r[n + s] d_k[s]``, ``(K, N)``."""
        spectra = self.plan.signal_spectra(residual)
        return self.plan.correlation_with_atoms(spectra, self.atom_spectra)

    def largest(self, c: Array) -> float:
        """The largest correlation of those that count: no penalty above it is paid."""
        return max(float(c.max()), -float(c.min()) if self.signed else 0.0)

    def shrunk(self, z: Array, threshold: float) -> Array:
        """The soft threshold, one-sided where activations must not be negative."""
        t = z.dtype.type(threshold)
        return z - np.clip(z, -t, t) if self.signed else np.maximum(z - t, 0)

    def change(self, z: Array, c: Array) -> float:
        """The largest change of the signal, ``‖d_k‖ |Δ|``, that one activation asks for."""
        largest = 0.0
        for k, row in enumerate(z):
            energy = float(self.gram[k, k, self.atoms.shape[1] - 1])
            if energy > 0:
                new = self.shrunk(row + c[k] / row.dtype.type(energy), self.penalty / energy)
                largest = max(largest, np.sqrt(energy) * float(np.abs(new - row).max()))
        return largest

    @cached_property
    def rounding(self) -> float:
        """Changes that are but rounding errors of the correlations."""
        loudest = float(np.sqrt(segment_energies(self.x, self.atoms.shape[1]).max()))
        return 8 * float(np.finfo(self.x.dtype).eps) * loudest


@dataclass(frozen=True, eq=False)
class State:
    """One iterate of sparse coding; what it says of itself is computed when it is asked.

    Parameters
    ----------
    iteration : int
        Iterations done.
    coding : Coding
        What is solved.
    activations : array (K, N)
        ``z_k``.

    Examples
    --------
    >>> x, atoms = np.array([0.0, 3.0, 0.0]), np.array([[1.0, 0.0]])
    >>> start = next(iterate(x, atoms, penalty=1.0))
    >>> start.objective, round(start.gap, 3)
    (4.5, 0.444)

    References
    ----------
    Equation (2) of the paper. Chapter: ``book/methods/sparse_coding.md``.
    """

    iteration: int
    coding: Coding
    activations: Array

    @cached_property
    def residual(self) -> Array:
        """``r = x - Σ_k d_k ∗ z_k``, ``(T,)``."""
        return self.coding.x - self.coding.synthesis(self.activations)

    @cached_property
    def correlation(self) -> Array:
        """Of the atoms with the residual, ``(K, N)``: minus the gradient of the data term."""
        return self.coding.correlation(self.residual)

    @cached_property
    def objective(self) -> float:
        """``½‖r‖² + λ Σ_k ‖z_k‖₁``."""
        size = float(np.sum(np.abs(nonzeros(self.activations)[2]), dtype=float))
        return 0.5 * _energy(self.residual) + self.coding.penalty * size

    @property
    def relative_residual(self) -> float:
        """``‖r‖ / ‖x‖``."""
        return float(np.sqrt(_energy(self.residual) / _energy(self.coding.x)))

    @cached_property
    def gap(self) -> float:
        r"""The duality gap: how far the objective can still fall at most, as a share of itself.

        Let ``θ`` be a signal whose correlations with the atoms do not exceed ``λ``. Then no
        objective is below ``½‖x‖² - ½‖x - θ‖²``. Here ``θ`` is the residual, scaled for the best.
        """
        r, coding = self.residual.astype(float), self.coding
        along, energy = float(coding.x @ r), float(r @ r)
        if energy == 0:
            return 1.0 if self.objective > 0 else 0.0
        largest = coding.largest(self.correlation)
        most = coding.penalty / largest if largest > 0 else np.inf
        scale = min(max(along / energy, -most if coding.signed else 0.0), most)
        bound = scale * along - 0.5 * scale**2 * energy
        return max(self.objective - bound, 0.0) / self.objective

    @property
    def record(self) -> dict[str, float]:
        """What the history keeps."""
        names = ("objective", "relative_residual", "gap")
        return {name: getattr(self, name) for name in names}

    def decomposition(self) -> Decomposition:
        """This iterate as a :class:`Decomposition`."""
        coding = self.coding
        begin = coding.padding
        return Decomposition(
            method="sparse-coding",
            atoms=coding.atoms,
            activations=self.activations,
            hop=1,
            first_sample=-begin,
            residual=self.residual[begin : coding.x.size - begin],
            status=f"at iteration {self.iteration}",
            parameters={
                "n_components": len(coding.atoms),
                "atom_length": coding.atoms.shape[1],
                "penalty": coding.penalty,
                "activations": "real" if coding.signed else "nonnegative",
                "padding": begin,
            },
        )

    def followed_by(self, activations: Array) -> State:
        """The next iterate."""
        return State(self.iteration + 1, self.coding, activations)


def _energy(values: Array) -> float:
    return float(np.sum(np.square(values, dtype=float)))


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
    r"""Iterate sparse coding: yield the start, then a state an iteration, without end.

    .. math:: \min_z \; ½ \|x - Σ_k d_k ∗ z_k\|^2 + λ Σ_k \|z_k\|_1

    Parameters
    ----------
    x : array (T,)
        The signal.
    atoms : array (K, T_d)
        ``d_k``, of any norm.
    penalty : float
        ``λ``. From :func:`lambda_max` on, all activations are zero.
    activations : {"nonnegative", "real"}
        What they may be.
    start : array (K, N), optional
        ``z`` to start from, ``N = T + 2 padding - T_d + 1``. Default: zero.
    solver : {"greedy", "fista", "admm"}
        See :func:`greedy`, :func:`fista`, :func:`admm`.
    padding : int
        Samples of silence to add at both ends, up to ``T_d - 1``, so that patterns which the ends
        cut off can be coded too. The paper has none. The objective counts what sounds there.

    Yields
    ------
    State

    Raises
    ------
    ValueError
        For a signal that is constant or shorter than the atoms, or a start of the wrong shape or
        sign.

    Examples
    --------
    >>> x = np.array([0.0, 3.0, 0.0, 0.0])
    >>> states = iterate(x, np.array([[1.0, 0.0]]), penalty=1.0)
    >>> [next(states).activations.tolist() for _ in range(2)]
    [[[0.0, 0.0, 0.0]], [[0.0, 2.0, 0.0]]]

    References
    ----------
    Equation (2) of the paper. Chapter: ``book/methods/sparse_coding.md``.
    """
    x, d = signal(x), array(atoms, "atoms", 2)
    coding = Coding.posed(x, d.astype(x.dtype), penalty, activations, padding)
    solve = SOLVERS[choice(solver, "solver", SOLVERS)]
    return _states(solve, State(0, coding, coding.activations(start)))


def _states(solve: Callable[[State], Iterator[State]], state: State) -> Iterator[State]:
    yield state
    yield from solve(state)


def decompose(
    x: ArrayLike,
    atoms: ArrayLike,
    *,
    penalty: float,
    activations: str = "nonnegative",
    start: ArrayLike | None = None,
    solver: str = "greedy",
    padding: int = 0,
    iterations: int = 100,
    tolerance: float = 0.0,
) -> Decomposition:
    """Code a signal with given atoms: :func:`iterate`, run to its end.

    Parameters
    ----------
    x, atoms, penalty, activations, start, solver, padding
        See :func:`iterate`.
    iterations, tolerance
        See :func:`cdlnmf_lit.methods.decomposition.run`.

    Returns
    -------
    Decomposition

    Raises
    ------
    ValueError
        See :func:`iterate`.

    Examples
    --------
    >>> x = np.array([0.0, 3.0, 0.0, 0.0])
    >>> found = decompose(x, np.array([[1.0, 0.0]]), penalty=1.0, iterations=1)
    >>> found.activations, found.residual
    (array([[0., 2., 0.]]), array([0., 1., 0., 0.]))

    References
    ----------
    Equation (2) of the paper. Chapter: ``book/methods/sparse_coding.md``.
    """
    states = iterate(
        x,
        atoms,
        penalty=penalty,
        activations=activations,
        start=start,
        solver=solver,
        padding=padding,
    )
    return run(states, iterations, tolerance)


def _require_length(x: Array, atom_length: int) -> None:
    if x.size < atom_length:
        raise ValueError(
            f"x must be at least as long as an atom, {atom_length} samples, got {x.size}"
        )


# ---- solvers -------------------------------------------------------------------------------


def greedy(state: State) -> Iterator[State]:
    r"""Locally greedy coordinate descent: the activation that would change most goes first.

    The positions are cut into segments longer than two atoms. Two threads never work on
    neighbours: every other segment is done, then the rest. So the result does not depend on their
    number. A pass lowers the largest change asked for to a tenth, which keeps early passes
    short. The correlations are computed anew from pass to pass, as updates let them drift.

    Examples
    --------
    >>> x, atoms = np.array([0.0, 3.0, 0.0, 0.0]), np.array([[1.0, 0.5]])
    >>> state = State(0, Coding(x, atoms, 1.0, signed=False), np.zeros((1, 3)))
    >>> next(greedy(state)).activations
    array([[0. , 1.6, 0. ]])

    References
    ----------
    Reference [19] of the paper. Chapter: ``book/methods/sparse_coding.md``.
    """
    coding = state.coding
    gram, T_d = coding.gram, coding.atoms.shape[1]
    segments = pieces(coding.n_activations, max(2 * T_d, SEGMENT))
    width = max(BLOCK, T_d // 8)
    while True:
        z, c = state.activations.copy(), state.correlation.copy()
        tolerance = max(SHARE * coding.change(z, c), coding.rounding)
        limits = np.array([coding.penalty, tolerance], z.dtype)

        def descended(segment: slice, z: Array = z, c: Array = c, limits: Array = limits) -> int:
            begin, end = segment.start, segment.stop
            most = 10 * z.shape[0] * (end - begin)
            return int(descend(z, c, gram, limits, coding.signed, begin, end, width, most))

        for colour in (segments[::2], segments[1::2]):
            for _ in in_threads(descended, colour):
                pass
        state = state.followed_by(z)
        yield state


def fista(state: State) -> Iterator[State]:
    r"""Accelerated proximal gradient: where the objective would rise it stays, and starts anew.

    .. math:: z ← S\Big(y + \frac1L \, (x - Σ_j d_j ∗ y_j) ⋆ d_k, \; \frac{λ}{L}\Big),
        \qquad L = \max_ω Σ_k |\hat d_k(ω)|^2

    with ``y`` a step beyond ``z`` in the direction it came from.

    Examples
    --------
    >>> x, atoms = np.array([0.0, 3.0, 0.0, 0.0]), np.array([[1.0, 0.5]])
    >>> state = State(0, Coding(x, atoms, 1.0, signed=False), np.zeros((1, 3)))
    >>> states = fista(state)
    >>> objectives = [next(states).objective for _ in range(5)]
    >>> bool(np.all(np.diff(objectives) <= 0))
    True

    References
    ----------
    Chapter: ``book/methods/sparse_coding.md``.
    """
    coding, t, dtype = state.coding, 1.0, state.activations.dtype
    L = operator_in_activations(coding.atoms, coding.n_activations).norm ** 2 or 1.0
    ahead = state
    while True:
        y = ahead.activations + ahead.correlation / dtype.type(L)
        new = state.followed_by(coding.shrunk(y, coding.penalty / L))
        if new.objective > state.objective:
            t, new = 1.0, state.followed_by(state.activations)
        t, before = (1 + np.sqrt(1 + 4 * t**2)) / 2, t
        beyond = dtype.type((before - 1) / t) * (new.activations - state.activations)
        ahead = new.followed_by(new.activations + beyond) if before > 1 else new
        state = new
        yield state


def admm(state: State) -> Iterator[State]:
    r"""FastCSC's alternating direction method of multipliers, in the Fourier domain.

    .. math::
        \hat z ← \hat v + \frac{\hat d^* (\hat x - Σ_j \hat d_j \hat v_j)}{ρ + Σ_j |\hat d_j|^2},
        \quad v = t - u, \qquad
        t ← S(z + u, λ/ρ), \qquad u ← u + z - t

    Each frequency is a system of ``K`` equations of rank one, solved in closed form. The paper's
    convolutions are not circular: so the signal is followed by silence up to a length of quick
    transforms, and ``t`` is zero at positions whose atoms would reach beyond the signal. What is
    yielded is the best ``t`` so far. ``ρ`` starts at the geometric mean of the largest and the mean
    of ``Σ_j |d̂_j|²``, per atom; it is doubled or halved where one of ``‖z - t‖`` and the change
    of ``t`` is ten times the other.

    Examples
    --------
    >>> x, atoms = np.array([0.0, 3.0, 0.0, 0.0]), np.array([[1.0, 0.5]])
    >>> state = State(0, Coding(x, atoms, 1.0, signed=False), np.zeros((1, 3)))
    >>> states = admm(state)
    >>> [next(states) for _ in range(50)][-1].activations.round(3)
    array([[0. , 1.6, 0. ]])

    References
    ----------
    Reference [21] of the paper. Chapter: ``book/methods/sparse_coding.md``.
    """
    coding, best = state.coding, state
    x, d, N, dtype = coding.x, coding.atoms, coding.n_activations, coding.x.dtype
    points = scipy.fft.next_fast_len(x.size, real=True)
    D, X = scipy.fft.rfft(d, points), scipy.fft.rfft(x, points)
    power = np.sum(np.abs(D) ** 2, axis=0)
    rho = np.sqrt(power.max() * np.mean(np.sum(d**2, axis=1))) or dtype.type(1)
    t = np.zeros((len(d), points), dtype)
    t[:, :N] = state.activations
    u = scipy.fft.irfft(D.conj() * scipy.fft.rfft(state.residual, points), points)
    low = -coding.penalty if coding.signed else -np.inf
    u[:, :N] = np.clip(u[:, :N], low, coding.penalty)
    u /= rho
    iteration = state.iteration
    while True:
        V = scipy.fft.rfft(t - u, points)
        V += D.conj() * ((X - np.sum(D * V, axis=0)) / (rho + power))
        z = scipy.fft.irfft(V, points)
        u += z
        before, t = t, np.zeros_like(t)
        t[:, :N] = coding.shrunk(u[:, :N], coding.penalty / float(rho))
        u -= t
        iteration += 1
        found = State(iteration, coding, t[:, :N].copy())
        best = replace(found if found.objective < best.objective else best, iteration=iteration)
        yield best
        if iteration % BALANCE == 0:
            primal, dual = np.linalg.norm(z - t), np.linalg.norm(t - before)
            factor = dtype.type(2.0 if primal > 10 * dual else 0.5 if dual > 10 * primal else 1.0)
            rho, u = rho * factor, u / factor


SOLVERS: dict[str, Callable[[State], Iterator[State]]] = {
    "greedy": greedy,
    "fista": fista,
    "admm": admm,
}
