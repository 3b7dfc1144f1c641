"""Convolutional sparse coding: where, and how strongly, known patterns sound.

Chapter: ``book/methods/sparse_coding.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike

from cdlnmf_lit.methods.decomposition import Decomposition, run
from cdlnmf_lit.methods.kernels import descend
from cdlnmf_lit.theory.arguments import Array, array, choice, integer, non_negative, signal
from cdlnmf_lit.theory.blocks import in_threads
from cdlnmf_lit.theory.convolution import Convolution, correlate_with_atoms

SIGNS = {"nonnegative": False, "real": True}
"""What activations may be, and whether that includes negative ones."""


def lambda_max(x: ArrayLike, atoms: ArrayLike | int, activations: str = "nonnegative") -> float:
    r"""The smallest penalty with which all activations are zero.

    .. math:: λ_{\max} = \max_{k, n} \sum_s x[n + s] \, d_k[s], \qquad
        \max_{\|d\| ≤ 1} λ_{\max} = \max_n \Big(\sum_{s < T_d} x[n + s]^2\Big)^{1/2}

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
    c = correlate_with_atoms(d, x)
    return float(max(c.max(), -c.min() if signed else 0.0))


def segment_energies(x: Array, length: int) -> Array:
    """Energies of all segments of a signal, ``(T - length + 1,)``, in double precision.

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


def _require_length(x: Array, atom_length: int) -> None:
    if x.size < atom_length:
        raise ValueError(
            f"x must be at least as long as an atom, {atom_length} samples, got {x.size}"
        )


@dataclass(frozen=True, eq=False)
class Coding:
    r"""A signal to be coded with given atoms.

    .. math:: \min_z \; ½ \|x - Σ_k d_k ∗ z_k\|^2 + λ Σ_k \|z_k\|_1

    Parameters
    ----------
    x : array (T,)
        The signal.
    atoms : array (K, T_d)
        ``d_k``.
    penalty : float
        ``λ``.
    signed : bool
        Whether activations may be negative.

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
        return self.plan.atom_spectra(self.atoms)

    @cached_property
    def gram(self) -> Array:
        """Correlations of the atoms, ``G_jk[l] = Σ_s d_j[s] d_k[s + l]``, ``|l| < T_d``."""
        T_d = self.atoms.shape[1]
        points = scipy.fft.next_fast_len(2 * T_d - 1, real=True)
        spectra = scipy.fft.rfft(self.atoms, points)
        rows = scipy.fft.irfft(spectra.conj()[:, None] * spectra, points)
        return np.concatenate([rows[..., points - T_d + 1 :], rows[..., :T_d]], axis=-1)

    def synthesis(self, z: Array) -> Array:
        """``Σ_k d_k ∗ z_k``: atom by atom where few activations are not zero."""
        K, T_d = self.atoms.shape
        atoms, positions = np.nonzero(z)
        if positions.size * T_d > 8 * self.x.size * K:
            return self.plan.synthesis(self.atom_spectra, self.plan.activation_spectra(z))
        whole = np.zeros_like(self.x)
        for k, n, value in zip(atoms, positions, z[atoms, positions], strict=True):
            whole[n : n + T_d] += value * self.atoms[k]
        return whole

    def correlation(self, residual: Array) -> Array:
        """``c_k[n] = Σ_s r[n + s] d_k[s]``, ``(K, N)``."""
        return self.plan.correlation_with_atoms(
            self.plan.signal_spectra(residual), self.atom_spectra
        )

    def shrunk(self, z: Array, threshold: float) -> Array:
        """The soft threshold, one-sided where activations must not be negative."""
        t = z.dtype.type(threshold)
        return z - np.clip(z, -t, t) if self.signed else np.maximum(z - t, 0)


@dataclass(frozen=True, eq=False)
class State:
    """One iterate of sparse coding; what it costs to look at is computed when it is looked at.

    Examples
    --------
    >>> start = next(iterate(np.array([0.0, 3.0, 0.0]), np.array([[1.0, 0.0]]), penalty=1.0))
    >>> start.objective, start.gap
    (4.5, 0.4444444444444444)

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
        size = float(np.sum(np.abs(self.activations), dtype=float))
        return 0.5 * _energy(self.residual) + self.coding.penalty * size

    @property
    def relative_residual(self) -> float:
        """``‖r‖ / ‖x‖``."""
        return float(np.sqrt(_energy(self.residual) / _energy(self.coding.x)))

    @cached_property
    def gap(self) -> float:
        r"""How far the objective can still fall, at most, as a share of itself: the duality gap.

        For each ``θ`` that correlates with no atom by more than ``λ`` the minimum is at least
        ``½‖x‖² - ½‖x - θ‖²``. Here ``θ`` is the residual, scaled as is best.
        """
        r, c, penalty = self.residual, self.correlation, self.coding.penalty
        largest = max(float(c.max()), -float(c.min()) if self.coding.signed else 0.0)
        along, energy = float(np.dot(self.coding.x, r)), _energy(r)
        most = penalty / largest if largest > 0 else np.inf
        scale = min(max(along / energy, -most if self.coding.signed else 0.0), most)
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
        return Decomposition(
            method="sparse-coding",
            atoms=coding.atoms,
            activations=self.activations,
            hop=1,
            first_sample=0,
            residual=self.residual,
            status=f"at iteration {self.iteration}",
            parameters={
                "penalty": coding.penalty,
                "activations": "real" if coding.signed else "nonnegative",
            },
        )


def _energy(values: Array) -> float:
    return float(np.sum(np.square(values, dtype=float)))


# ---- solvers -------------------------------------------------------------------------------


def greedy(coding: Coding, z: Array) -> Iterator[Array]:
    """Locally greedy coordinate descent.
    """
    K, T_d = coding.atoms.shape
    N, dtype = coding.n_activations, z.dtype
    length = max(2 * T_d, SEGMENT)
    segments = [(n, min(n + length, N)) for n in range(0, N, length)]
    width = max(64, T_d // 8)
    while True:
        state = State(0, coding, z)
        c, z = state.correlation.copy(), z.copy()
        tolerance = SHARE * largest_change(coding, z, c)
        limits = np.array([coding.penalty, tolerance], dtype)

        def descended(segment: tuple[int, int]) -> int:
            return descend(
                z, c, coding.gram, limits, coding.signed, *segment, width, 10**7
            )

        for colour in (0, 1):
            for _ in in_threads(descended, segments[colour::2]):
                pass
        yield z


SEGMENT = 4096
SHARE = 0.25


def largest_change(coding: Coding, z: Array, c: Array) -> float:
    """The largest ``‖d_k‖ |Δ|`` that one activation asks for."""
    T_d = coding.atoms.shape[1]
    found = 0.0
    for k, row in enumerate(z):
        energy = float(coding.gram[k, k, T_d - 1])
        if energy > 0:
            new = coding.shrunk(row + c[k] / z.dtype.type(energy), coding.penalty / energy)
            found = max(found, np.sqrt(energy) * float(np.abs(new - row).max()))
    return found


SOLVERS: dict[str, Callable[[Coding, Array], Iterator[Array]]] = {"greedy": greedy}


def iterate(
    x: ArrayLike,
    atoms: ArrayLike,
    *,
    penalty: float,
    activations: str = "nonnegative",
    solver: str = "greedy",
) -> Iterator[State]:
    x, d = signal(x), array(atoms, "atoms", 2)
    coding = Coding(x, d.astype(x.dtype), non_negative(penalty, "penalty"), SIGNS[choice(activations, "activations", SIGNS)])
    z = np.zeros((len(d), coding.n_activations), x.dtype)
    def states():
        yield State(0, coding, z)
        for i, zz in enumerate(SOLVERS[solver](coding, z)):
            yield State(i+1, coding, zz)
    return states()
