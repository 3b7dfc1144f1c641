"""Convolutional dictionary learning: the patterns that repeat in a signal, and where.

Chapter: ``book/methods/cdl.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike

from cdlnmf_lit.methods.decomposition import Decomposition, run
from cdlnmf_lit.methods.resources import Estimate, require_memory, seconds_of
from cdlnmf_lit.methods.sparse_coding import (
    SIGNS,
    SOLVERS,
    Coding,
    lambda_max,
    segment_energies,
)
from cdlnmf_lit.methods import sparse_coding
from cdlnmf_lit.theory.arguments import Array, array, choice, integer, non_negative, signal
from cdlnmf_lit.theory.blocks import placed
from cdlnmf_lit.theory.convolution import correlate_with_activations

SHARE = 0.05
"""Default penalty, as a share of the largest that any atom of norm 1 could need."""


@dataclass(frozen=True, eq=False)
class Statistics:
    r"""All that the signal and the activations say about the atoms.

    .. math:: ½ \|x - Σ_k d_k ∗ z_k\|^2 = ½\|x\|^2 - ⟨B, d⟩ + ½ ⟨d, A d⟩
    """

    energy: float
    B: Array
    A: Array

    @cached_property
    def spectra(self) -> Array:
        T_d = self.B.shape[1]
        wrapped = np.zeros((*self.A.shape[:2], self.points), self.A.dtype)
        wrapped[..., :T_d] = self.A[..., T_d - 1 :]
        wrapped[..., self.points - T_d + 1 :] = self.A[..., : T_d - 1]
        return scipy.fft.rfft(wrapped)

    @property
    def points(self) -> int:
        return scipy.fft.next_fast_len(2 * self.B.shape[1] - 1, real=True)

    @cached_property
    def curvature(self) -> float:
        """Upper bound of the largest eigenvalue of ``A``."""
        return float(np.abs(np.linalg.eigvalsh(np.moveaxis(self.spectra, 2, 0))).max())

    def gradient(self, d: Array) -> Array:
        D = scipy.fft.rfft(d, self.points)
        return scipy.fft.irfft(np.einsum("kjf,jf->kf", self.spectra, D), self.points)[:, : d.shape[1]] - self.B

    def value(self, d: Array, gradient: Array) -> float:
        return self.energy + 0.5 * float(np.sum(d * (gradient - self.B), dtype=float))


def statistics(x: Array, z: Array, T_d: int) -> Statistics:
    K, N = z.shape
    atoms, positions = np.nonzero(z)
    values = z[atoms, positions]
    B = np.zeros((K, T_d), z.dtype)
    for k, n, value in zip(atoms, positions, values, strict=True):
        B[k] += value * x[n : n + T_d]
    order = np.argsort(positions, kind="stable")
    k, n, v = atoms[order], positions[order], values[order].astype(float)
    A = np.zeros(K * K * (2 * T_d - 1))
    step = 0
    while True:
        lags = n[step:] - n[: n.size - step]
        near = lags < T_d
        if not near.any():
            break
        left, right, lags = k[: n.size - step][near], k[step:][near], lags[near]
        products = v[: n.size - step][near] * v[step:][near]
        A += np.bincount((left * K + right) * (2 * T_d - 1) + lags + T_d - 1, products, A.size)
        if step:
            A += np.bincount((right * K + left) * (2 * T_d - 1) - lags + T_d - 1, products, A.size)
        step += 1
    return Statistics(0.5 * float(np.sum(np.square(x, dtype=float))), B, A.reshape(K, K, -1).astype(z.dtype))


def in_ball(d: Array) -> Array:
    return d / np.maximum(np.linalg.norm(d, axis=1, keepdims=True), 1)


def fit_atoms(stats: Statistics, d: Array, tolerance: float, most: int = 100) -> Array:
    """Accelerated projected gradient with restart."""
    step = 1 / stats.curvature if stats.curvature > 0 else 0
    y, t = d, 1.0
    g = stats.gradient(d)
    for i in range(most):
        new = in_ball(y - step * g)
        t_new = (1 + np.sqrt(1 + 4 * t * t)) / 2
        if np.sum((y - new) * (new - d)) > 0:
            t_new = 1.0
            y = new
        else:
            y = new + d.dtype.type((t - 1) / t_new) * (new - d)
        d, t = new, t_new
        g = stats.gradient(y)
    return d


@dataclass(frozen=True, eq=False)
class State:
    iteration: int
    coding: sparse_coding.State
    method: dict[str, Any]

    @property
    def objective(self) -> float:
        return self.coding.objective

    @property
    def record(self) -> dict[str, float]:
        return {"objective": self.objective, "relative_residual": self.coding.relative_residual, "gap": self.coding.gap}

    def decomposition(self) -> Decomposition:
        found = self.coding.decomposition()
        return replace(found, method="cdl", status=f"at iteration {self.iteration}", parameters=found.parameters | self.method)


def iterate(
    x: ArrayLike,
    n_components: int,
    *,
    atom_length: int = 2048,
    penalty: float | None = None,
    activations: str = "nonnegative",
    start: Any = "segments",
    solver: str = "greedy",
    recentre_every: int = 3,
    rng: Any = None,
) -> Iterator[State]:
    x = signal(x)
    K, T_d = integer(n_components, "n_components"), integer(atom_length, "atom_length")
    if penalty is None:
        penalty = SHARE * lambda_max(x, T_d)
    rng = np.random.default_rng(rng)
    if isinstance(start, str):
        d = _segments(x, K, T_d, rng)
    else:
        d = array(start, "start", 2).astype(x.dtype)
    d = d / np.linalg.norm(d, axis=1, keepdims=True)
    coding = Coding(x, d, penalty, SIGNS[activations])
    z = np.zeros((K, coding.n_activations), x.dtype)
    return _iterate(sparse_coding.State(0, coding, z), solver, recentre_every)


def _iterate(state, solver, recentre_every):
    i = 0
    while True:
        yield State(i, state, {})
        i += 1
        plain = _after(state, solver)
        if recentre_every and i % recentre_every == 0:
            moved = _after(_recentred(plain), solver)
            if moved.objective <= plain.objective:
                plain = moved
        state = plain

def _after(state, solver):
    z = next(SOLVERS[solver](state.coding, state.activations))
    stats = statistics(state.coding.x, z, state.coding.atoms.shape[1])
    d = fit_atoms(stats, state.coding.atoms, 0)
    sizes = np.linalg.norm(d, axis=1, keepdims=True)
    sizes[sizes == 0] = 1
    return sparse_coding.State(0, replace(state.coding, atoms=d / sizes), z * sizes)

def _recentred(state):
    d, z = state.coding.atoms, state.activations
    T_d = d.shape[1]
    e = d.astype(float)**2
    centres = (e @ np.arange(T_d)) / e.sum(1)
    shifts = np.round((T_d - 1) / 2 - centres).astype(int)
    d = np.stack([placed(a, s, T_d) for a, s in zip(d, shifts)])
    z = np.stack([placed(a, -s, z.shape[1]) for a, s in zip(z, shifts)])
    sizes = np.linalg.norm(d, axis=1, keepdims=True)
    return sparse_coding.State(0, replace(state.coding, atoms=d / sizes), z * sizes)


def _segments(x: Array, K: int, T_d: int, rng: np.random.Generator) -> Array:
    """Segments of the signal, drawn by energy, apart from each other."""
    chances = segment_energies(x, T_d)
    d = np.empty((K, T_d), x.dtype)
    for k in range(K):
        total = chances.sum()
        begin = int(rng.choice(chances.size, p=chances / total if total > 0 else None))
        d[k] = x[begin : begin + T_d]
        chances[max(0, begin - T_d // 2) : begin + T_d // 2 + 1] = 0
    return d


def decompose(x, n_components, *, iterations=100, tolerance=0.0, **options) -> Decomposition:
    return run(iterate(x, n_components, **options), iterations, tolerance)
