"""Convolutional dictionary learning: the patterns that repeat in a signal, and where.

Chapter: ``book/methods/cdl.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike, NDArray

from cdlnmf_lit.methods import sparse_coding
from cdlnmf_lit.methods.decomposition import Decomposition, run
from cdlnmf_lit.methods.kernels import add_scaled, few, nonzeros
from cdlnmf_lit.methods.resources import Estimate, require_memory, seconds_of
from cdlnmf_lit.methods.sparse_coding import SOLVERS, Coding, lambda_max, segment_energies
from cdlnmf_lit.methods.starts import given, of_as_many
from cdlnmf_lit.theory.arguments import Array, choice, integer, signal
from cdlnmf_lit.theory.blocks import placed
from cdlnmf_lit.theory.convolution import Convolution, correlate_with_activations

SHARE = 0.05
"""Default penalty, as a share of the largest that any atom of norm 1 could need."""
CODING_STEPS = {"greedy": (1, 1), "fista": (10, 160), "admm": (10, 160)}
"""Iterations of a solver between two looks at the atoms, at first and at the most."""
SLOW = 1e-3
"""Twice as many once the objective falls by a smaller share of itself."""
ATOM_STEPS, ENOUGH = 30, 0.1
"""Steps on the atoms at the most, and the share of the gap that is small enough to stop before."""
MOMENTUM = 0.9
"""The longest step beyond the atoms, as a share of the last one."""
NEAR = 16
"""Atoms within this fraction of their length from the middle are left where they are."""
PAIRS, CHUNK = 2**22, 2**15
"""Pairs of activations up to which their products are summed one by one, and at a time."""


@dataclass(frozen=True, eq=False)
class State:
    """One iterate of dictionary learning.

    Parameters
    ----------
    iteration : int
        Outer iterations done.
    coding : sparse_coding.State
        The atoms, the activations, and what follows from them.
    parameters : dict
        What was asked.

    Examples
    --------
    >>> x = np.sin(0.3 * np.arange(200.0)) * np.hanning(200)
    >>> start = next(iterate(x, 1, atom_length=32, rng=0))
    >>> start.iteration, start.coding.coding.atoms.shape, start.coding.activations.shape
    (0, (1, 32), (1, 169))

    References
    ----------
    Equation (2) of the paper. Chapter: ``book/methods/cdl.md``.
    """

    iteration: int
    coding: sparse_coding.State
    parameters: dict[str, Any] = field(default_factory=dict)

    @property
    def atoms(self) -> Array:
        """``d_k``, ``(K, T_d)``."""
        return self.coding.coding.atoms

    @property
    def activations(self) -> Array:
        """``z_k``, ``(K, N)``."""
        return self.coding.activations

    @property
    def objective(self) -> float:
        """``½‖x - Σ_k d_k ∗ z_k‖² + λ Σ_k ‖z_k‖₁``."""
        return self.coding.objective

    @property
    def coding_gap(self) -> float:
        """By which share of itself other activations could lower the objective, at most."""
        return self.coding.gap

    @property
    def dictionary_gap(self) -> float:
        """By which share of itself other atoms could lower the objective, at most."""
        left = Fitting(self.coding.residual, self.activations, self.atoms.shape[1])
        return max(atoms_gap(self.atoms, -left.b), 0.0) / (self.objective or 1.0)

    @property
    def record(self) -> dict[str, float]:
        """What the history keeps."""
        return {
            "objective": self.objective,
            "relative_residual": self.coding.relative_residual,
            "coding_gap": self.coding_gap,
            "dictionary_gap": self.dictionary_gap,
        }

    def decomposition(self) -> Decomposition:
        """This iterate as a :class:`Decomposition`."""
        found = self.coding.decomposition()
        return replace(
            found,
            method="cdl",
            status=f"at iteration {self.iteration}",
            parameters=found.parameters | self.parameters,
        )


def iterate(
    x: ArrayLike,
    n_components: int,
    *,
    atom_length: int = 2048,
    penalty: float | None = None,
    activations: str = "nonnegative",
    start: str | Decomposition | ArrayLike | tuple[ArrayLike, ArrayLike] = "segments",
    solver: str = "greedy",
    recentre_every: int = 3,
    padding: int = 0,
    rng: Any = None,
) -> Iterator[State]:
    r"""Iterate dictionary learning: yield the start, then a state an iteration, without end.

    .. math::
        \min_{z, d} \; ½ \|x - Σ_k d_k ∗ z_k\|^2 + λ Σ_k \|z_k\|_1
        \quad\text{subject to } \|d_k\| ≤ 1

    Parameters
    ----------
    x : array (T,)
        The signal.
    n_components : int
        ``K``.
    atom_length : int
        ``T_d``, samples.
    penalty : float, optional
        ``λ``. Default: a twentieth of the largest that any atom of norm 1 could need, the norm of
        the loudest segment of the signal, ``lambda_max(x, atom_length)``.
    activations : {"nonnegative", "real"}
        What they may be.
    start : {"segments", "random"}, Decomposition, array (K, T_d), or pair of arrays
        Initial atoms: segments of the signal, drawn by energy; noise; those of any method's
        result, with its activations where it has atoms; given ones; or given
        ``(atoms, activations)``. They are scaled to norm 1, what they lose the activations gain.
    solver : {"greedy", "fista", "admm"}
        Locally greedy coordinate descent or accelerated proximal gradient for the activations,
        both with accelerated projected gradient for the atoms; or FastCSC, the alternating
        direction method of multipliers for both.
    recentre_every : int
        Iterations from one attempt to the next to shift each atom's energy to the middle of its
        support; 0 never does.
    padding : int
        Samples of silence to add at both ends, up to ``T_d - 1``, so that patterns which the ends
        cut off can be coded too. The paper has none. The objective counts what sounds there.
    rng : seed or numpy.random.Generator
        For the start.

    Yields
    ------
    State

    Raises
    ------
    ValueError
        For a signal that is constant or shorter than an atom, more components than positions, or
        a start of the wrong shape or sign.
    MemoryError
        If the arrays it needs exceed the memory there is: see :func:`estimate`.

    Examples
    --------
    >>> x = np.sin(0.3 * np.arange(200.0)) * np.hanning(200)
    >>> for state in iterate(x, 1, atom_length=32, rng=0):
    ...     if state.iteration == 5:
    ...         break
    >>> state.coding.relative_residual < 0.2
    True

    References
    ----------
    Equation (2) of the paper. Chapter: ``book/methods/cdl.md``.
    """
    x, T_d = signal(x), integer(atom_length, "atom_length")
    coding = Coding.posed(x, np.zeros((1, T_d), x.dtype), penalty or 0.0, activations, padding)
    K = integer(n_components, "n_components", at_most=coding.n_activations)
    if penalty is None:
        coding = replace(coding, penalty=SHARE * lambda_max(x, T_d))
    choice(solver, "solver", SOLVERS)
    recentre_every = integer(recentre_every, "recentre_every", at_least=0)
    require_memory(
        _bytes_needed(coding.x.size, K, T_d, x.dtype),
        f"learning {K} atoms of {T_d} samples from {coding.x.size} samples",
    )
    first = _start(coding, start, K, np.random.default_rng(rng))
    parameters = {
        "start": start if isinstance(start, str) else type(start).__name__,
        "solver": solver,
        "recentre_every": recentre_every,
    }
    return _iterations(State(0, first, parameters), solver, recentre_every)


def decompose(
    x: ArrayLike,
    n_components: int,
    *,
    atom_length: int = 2048,
    penalty: float | None = None,
    activations: str = "nonnegative",
    start: str | Decomposition | ArrayLike | tuple[ArrayLike, ArrayLike] = "segments",
    solver: str = "greedy",
    recentre_every: int = 3,
    padding: int = 0,
    iterations: int = 100,
    tolerance: float = 0.0,
    rng: Any = None,
) -> Decomposition:
    """Learn a dictionary: :func:`iterate`, run to its end.

    Parameters
    ----------
    x, n_components, atom_length, penalty, activations, start, solver, recentre_every, padding, rng
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
    >>> x = np.sin(0.3 * np.arange(200.0)) * np.hanning(200)
    >>> found = decompose(x, 1, atom_length=32, iterations=5, rng=0)
    >>> np.allclose(found.components().sum(axis=0) + found.residual, x)
    True

    References
    ----------
    Equation (2) of the paper. Chapter: ``book/methods/cdl.md``.
    """
    states = iterate(
        x,
        n_components,
        atom_length=atom_length,
        penalty=penalty,
        activations=activations,
        start=start,
        solver=solver,
        recentre_every=recentre_every,
        padding=padding,
        rng=rng,
    )
    return run(states, iterations, tolerance)


def _iterations(state: State, solver: str, recentre_every: int) -> Iterator[State]:
    """Alternate with momentum on the atoms, and with moves of them where these get lower."""
    before, t, (steps, most) = state.atoms, 1.0, CODING_STEPS[solver]
    wait = due = recentre_every
    while True:
        yield state
        now, iteration = state.coding, state.iteration + 1
        t, last = (1 + np.sqrt(1 + 4 * t**2)) / 2, t
        new = alternated(_ahead(now, before, min((last - 1) / t, MOMENTUM)), solver, steps)
        if last > 1 and new.objective > now.objective:
            t, new = 1.0, alternated(now, solver, steps)
        if new.objective > now.objective:
            new = now
        if new.objective > (1 - SLOW) * now.objective:
            steps = min(2 * steps, most)
        before = now.coding.atoms
        if recentre_every and iteration >= due:
            moved = recentred(now)
            wait = recentre_every if moved is None else 2 * wait
            if moved is not None:
                moved = alternated(moved, solver, steps)
                if moved.objective < new.objective:
                    new, before = moved, moved.coding.atoms
                    t, wait = 1.0, recentre_every
            due = iteration + wait
        state = replace(state, iteration=iteration, coding=new)


def alternated(state: sparse_coding.State, solver: str, steps: int) -> sparse_coding.State:
    r"""Fit the activations to the atoms, then the atoms to the activations.

    Atoms that lie within the ball are then scaled to its surface, and their activations down,
    which lowers the penalty and changes nothing else. Last, see :func:`replaced`.

    Examples
    --------
    >>> x = np.sin(0.3 * np.arange(200.0)) * np.hanning(200)
    >>> start = next(iterate(x, 1, atom_length=32, rng=0)).coding
    >>> alternated(start, "greedy", 1).objective < start.objective
    True

    References
    ----------
    Equation (2) of the paper. Chapter: ``book/methods/cdl.md``.
    """
    coding, before = state.coding, state.coding.atoms
    z = next(islice(SOLVERS[solver](state), steps - 1, None)).activations
    fitting = Fitting(coding.x, z, before.shape[1])
    d = _fitted(fitting, before, ATOM_SOLVERS[solver])
    d, z = _on_sphere(d, z)
    return replaced(sparse_coding.State(state.iteration + 1, replace(coding, atoms=d), z))


def _ahead(state: sparse_coding.State, before: Array, momentum: float) -> sparse_coding.State:
    """The state with atoms beyond its own, by a share of the way from those before.

    An atom that is another than before stays.
    """
    if momentum <= 0:
        return state
    d = state.coding.atoms
    same = np.sum(d * before, axis=1, keepdims=True) > 0.5
    d = _in_ball(np.where(same, d + d.dtype.type(momentum) * (d - before), d))
    return sparse_coding.State(state.iteration, replace(state.coding, atoms=d), state.activations)


def shifts_to_middle(atoms: Array, hop: int = 1) -> NDArray[np.intp]:
    r"""By how many hops to shift each atom so that its energy lies in the middle.

    .. math:: a m_k ≈ \frac{T_d - 1}{2} - \frac{Σ_s s \, d_k[s]^2}{Σ_s d_k[s]^2}

    Parameters
    ----------
    atoms : array (K, T_d)
    hop : int
        ``a``.

    Returns
    -------
    array (K,) of int
        0 for an atom that is silent, or in the middle but for a 16th of its length.

    Examples
    --------
    >>> shifts_to_middle(np.eye(3, 33, 1))
    array([15, 14, 13])
    >>> shifts_to_middle(np.eye(1, 33, 16)), shifts_to_middle(np.eye(1, 33), hop=5)
    (array([0]), array([3]))

    References
    ----------
    Chapter: ``book/methods/cdl.md``.
    """
    T_d = atoms.shape[1]
    energy = np.square(atoms, dtype=float)
    total = energy.sum(axis=1)
    centres = np.divide(energy @ np.arange(T_d), total, out=np.zeros_like(total), where=total > 0)
    shifts = np.where(total > 0, np.round(((T_d - 1) / 2 - centres) / hop), 0).astype(int)
    shifts[hop * np.abs(shifts) <= T_d // NEAR] = 0
    return shifts


def recentred(state: sparse_coding.State) -> sparse_coding.State | None:
    r"""Shift each atom's energy to the middle of its support, and its activations back.

    .. math:: d_k[s] ← d_k[s - m_k], \quad z_k[n] ← z_k[n + m_k]

    By :func:`shifts_to_middle`. What is shifted past an end is lost. ``None`` where no atom is to
    be shifted.

    Examples
    --------
    >>> x = np.array([0.0, 0.0, 0.0, 0.0, 7.0, 0.0, 0.0])
    >>> coding = Coding(x, np.eye(1, 3), 1.0, signed=False)
    >>> moved = recentred(sparse_coding.State(0, coding, 6 * np.eye(1, 5, 4)))
    >>> moved.coding.atoms, moved.activations
    (array([[0., 1., 0.]]), array([[0., 0., 0., 6., 0.]]))

    References
    ----------
    Chapter: ``book/methods/cdl.md``.
    """
    d, z = state.coding.atoms, state.activations
    T_d, shifts = d.shape[1], shifts_to_middle(d)
    if not shifts.any():
        return None
    d = np.stack([placed(atom, m, T_d) for atom, m in zip(d, shifts, strict=True)])
    z = np.stack([placed(row, -m, row.size) for row, m in zip(z, shifts, strict=True)])
    d, z = _on_sphere(d, z)
    return sparse_coding.State(state.iteration, replace(state.coding, atoms=d), z)


def replaced(state: sparse_coding.State) -> sparse_coding.State:
    r"""The weakest atom, if what it leaves out holds more than what it does.

    Without atom ``k`` there remains ``s = r + d_k ∗ z_k``. One activation of the loudest stretch
    of ``s``, scaled to norm 1, lowers the objective by ``½ max(‖stretch‖ - λ, 0)²``; dropping
    ``d_k`` raises it by ``½‖s‖² - ½‖r‖² - λ‖z_k‖₁``. The stretch becomes the atom where the first
    exceeds the second. So does it for an idle atom, if it can win an activation at all.

    Examples
    --------
    >>> x = np.array([0.0, 0.0, 3.0, 4.0, 0.0])
    >>> coding = Coding(x, np.eye(1, 2), 1.0, signed=False)
    >>> found = replaced(sparse_coding.State(0, coding, np.zeros((1, 4))))
    >>> found.coding.atoms, found.activations
    (array([[0.6, 0.8]]), array([[0., 0., 4., 0.]]))

    References
    ----------
    Equation (2) of the paper. Chapter: ``book/methods/cdl.md``.
    """
    coding, r, z = state.coding, state.residual, state.activations
    T_d = coding.atoms.shape[1]
    k = int(np.argmin(np.sum(z**2, axis=1)))
    sound = replace(coding, atoms=coding.atoms[k : k + 1]).synthesis(z[k : k + 1])
    energies = segment_energies(r + sound, T_d)
    begin = int(np.argmax(energies))
    size = float(np.sqrt(energies[begin]))
    won = 0.5 * max(size - coding.penalty, 0.0) ** 2
    lost = float(np.sum((r + 0.5 * sound) * sound, dtype=float))
    lost -= coding.penalty * float(np.sum(np.abs(z[k]), dtype=float))
    if won <= max(lost, 0.0):
        return state
    d, z = coding.atoms.copy(), z.copy()
    d[k] = (r + sound)[begin : begin + T_d] / r.dtype.type(size)
    z[k] = 0
    z[k, begin] = size - coding.penalty
    return sparse_coding.State(state.iteration, replace(coding, atoms=_in_ball(d)), z)


def _on_sphere(d: Array, z: Array) -> tuple[Array, Array]:
    """Atoms of norm 1; what they lose their activations gain. A silent atom stays silent."""
    sizes = np.linalg.norm(d, axis=1, keepdims=True)
    sizes[sizes == 0] = 1
    return d / sizes, z * sizes


def _in_ball(d: Array) -> Array:
    """The nearest atoms of norm at most 1."""
    return d / np.maximum(np.linalg.norm(d, axis=1, keepdims=True), 1)


# ---- the atoms, given the activations --------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Fitting:
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
    >>> fitting = Fitting(np.array([0.0, 3.0, 0.0]), np.array([[0.0, 2.0]]), 2)
    >>> fitting.gradient(np.array([[1.0, 0.0]]))
    array([[-2.,  0.]])

    References
    ----------
    Equation (2) of the paper. Chapter: ``book/methods/cdl.md``.
    """

    x: Array
    activations: Array
    atom_length: int

    @cached_property
    def b(self) -> Array:
        """``(K, T_d)``: one by one where few activations are not zero, else by transforms."""
        z, T_d = self.activations, self.atom_length
        if not few(z, T_d):
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
        """At least the largest eigenvalue of ``A``: that of a circulant matrix around it."""
        return float(np.abs(np.linalg.eigvalsh(np.moveaxis(self.spectra, 2, 0))).max())

    def gradient(self, d: Array) -> Array:
        """``A d - b``, ``(K, T_d)``."""
        D = np.einsum("jkf,kf->jf", self.spectra, scipy.fft.rfft(d, self.points))
        return np.asarray(scipy.fft.irfft(D, self.points)[:, : self.atom_length] - self.b)

    def objective(self, d: Array, gradient: Array) -> float:
        """``½⟨d, A d⟩ - ⟨b, d⟩``: what the atoms change of the objective."""
        return 0.5 * float(np.sum(d * (gradient - self.b), dtype=float))


def atoms_gap(d: Array, gradient: Array) -> float:
    r"""How far other atoms in the ball can lower the objective at most.

    .. math:: \max_{\|d'_k\| ≤ 1} ⟨\nabla, d - d'⟩ = Σ_k ⟨\nabla_k, d_k⟩ + \|\nabla_k\|

    Examples
    --------
    >>> atoms_gap(np.array([[1.0, 0.0]]), np.array([[-2.0, 0.0]]))
    0.0

    References
    ----------
    Equation (2) of the paper. Chapter: ``book/methods/cdl.md``.
    """
    sizes = np.sqrt(np.sum(np.square(gradient, dtype=float), axis=1))
    return float(np.sum(gradient * d, dtype=float) + sizes.sum())


def projected_gradient(fitting: Fitting, d: Array) -> Iterator[tuple[Array, Array]]:
    """Accelerated projected gradient steps, restarted where they turn back.

    Yields the atoms and the gradient there.

    Examples
    --------
    >>> fitting = Fitting(np.array([0.0, 3.0, 0.0]), np.array([[0.0, 2.0]]), 2)
    >>> next(projected_gradient(fitting, np.array([[0.0, 1.0]])))[0]
    array([[1., 0.]])

    References
    ----------
    Equation (2) of the paper. Chapter: ``book/methods/cdl.md``.
    """
    step, t = d.dtype.type(1 / (fitting.curvature or 1.0)), 1.0
    gradient = fitting.gradient(d)
    ahead, slope = d, gradient
    while True:
        before, d = d, _in_ball(ahead - step * slope)
        before_gradient, gradient = gradient, fitting.gradient(d)
        yield d, gradient
        if np.sum((ahead - d) * (d - before), dtype=float) > 0:
            t = 1.0
        t, last = (1 + np.sqrt(1 + 4 * t**2)) / 2, t
        beyond = d.dtype.type((last - 1) / t)
        ahead = d + beyond * (d - before)
        slope = gradient + beyond * (gradient - before_gradient)


def admm_atoms(fitting: Fitting, d: Array) -> Iterator[tuple[Array, Array]]:
    r"""FastCSC's alternating direction method of multipliers for the atoms, in the Fourier domain.

    .. math::
        \hat d ← \hat v + \frac{\hat z^* (\hat x - Σ_j \hat z_j \hat v_j)}{σ + Σ_j |\hat z_j|^2},
        \quad v = s - u, \qquad
        s ← P(d + u), \qquad u ← u + d - s

    ``P`` cuts to the atoms' support and projects onto the ball. The signal is followed by silence,
    so that nothing wraps. ``σ`` starts as ``ρ`` does for the activations, and stays. Yields ``s``
    and the gradient there.

    Examples
    --------
    >>> fitting = Fitting(np.array([0.0, 3.0, 0.0]), np.array([[0.0, 2.0]]), 2)
    >>> next(admm_atoms(fitting, np.array([[1.0, 0.0]])))[0].round(9) + 0.0
    array([[1., 0.]])

    References
    ----------
    Reference [21] of the paper. Chapter: ``book/methods/cdl.md``.
    """
    x, z, T_d = fitting.x, fitting.activations, fitting.atom_length
    points = scipy.fft.next_fast_len(x.size, real=True)
    Z, X = scipy.fft.rfft(z, points), scipy.fft.rfft(x, points)
    power = np.sum(np.abs(Z) ** 2, axis=0)
    sigma = np.sqrt(power.max() * np.mean(np.sum(z**2, axis=1))) or d.dtype.type(1)
    s, u = np.zeros((len(z), points), d.dtype), np.zeros((len(z), points), d.dtype)
    s[:, :T_d], u[:, :T_d] = d, -fitting.gradient(d) / sigma
    while True:
        V = scipy.fft.rfft(s - u, points)
        V += Z.conj() * ((X - np.sum(Z * V, axis=0)) / (sigma + power))
        u += scipy.fft.irfft(V, points)
        s = np.zeros_like(s)
        s[:, :T_d] = _in_ball(u[:, :T_d])
        u -= s
        found = s[:, :T_d].copy()
        yield found, fitting.gradient(found)


AtomSolver = Callable[[Fitting, Array], Iterator[tuple[Array, Array]]]
ATOM_SOLVERS: dict[str, AtomSolver] = {
    "greedy": projected_gradient,
    "fista": projected_gradient,
    "admm": admm_atoms,
}


def _fitted(fitting: Fitting, d: Array, solve: AtomSolver = projected_gradient) -> Array:
    """Atoms that fit no worse than ``d``: a few steps, fewer where a tenth of the gap is left."""
    gradient = fitting.gradient(d)
    best, least = d, fitting.objective(d, gradient)
    enough = ENOUGH * atoms_gap(d, gradient)
    for found, slope in islice(solve(fitting, d), ATOM_STEPS):
        if (reached := fitting.objective(found, slope)) < least:
            best, least = found, reached
        if atoms_gap(found, slope) <= enough:
            break
    return best


# ---- starts ----------------------------------------------------------------------------------


def _start(coding: Coding, start: Any, K: int, rng: np.random.Generator) -> sparse_coding.State:
    x, T_d = coding.x, coding.atoms.shape[1]
    coding = replace(coding, atoms=np.zeros((K, T_d), x.dtype))
    z, d = coding.activations(), start
    if isinstance(start, str):
        d = STARTS[choice(start, "start", STARTS)](x, K, T_d, rng)
    elif isinstance(start, Decomposition):
        d, z = of_as_many(start, K).patterns(T_d), _activations_of(coding, start)
    elif isinstance(start, tuple):
        if len(start) != 2:
            raise ValueError(f"start must be a pair (atoms, activations), got {len(start)} values")
        d, z = start[0], coding.activations(start[1])
    (d,) = given((d,), {"atoms": (K, T_d)}, x.dtype, signed="atoms")
    z[~d.any(axis=1)] = 0
    d, z = _on_sphere(d, z)
    return sparse_coding.State(0, replace(coding, atoms=d), z)


def _activations_of(coding: Coding, found: Decomposition) -> Array:
    """A result's activations at their samples; none where it has no atoms."""
    z = coding.activations()
    if found.atoms is not None:
        steps = found.hop * np.arange(found.activations.shape[1])
        positions = found.first_sample + coding.padding + steps
        inside = (positions >= 0) & (positions < coding.n_activations)
        values = found.activations[:, inside]
        z[:, positions[inside]] = values if coding.signed else np.maximum(values, 0)
    return z


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


def _noise(x: Array, K: int, T_d: int, rng: np.random.Generator) -> Array:
    return rng.standard_normal((K, T_d)).astype(x.dtype)


STARTS: dict[str, Callable[[Array, int, int, np.random.Generator], Array]] = {
    "segments": _segments,
    "random": _noise,
}


# ---- before a run ----------------------------------------------------------------------------


def estimate(
    n_samples: int,
    n_components: int,
    *,
    atom_length: int = 2048,
    padding: int = 0,
    dtype: Any = np.float64,
) -> Estimate:
    """Memory and time that :func:`iterate` will take, without running it.

    The memory is counted from the arrays that the greedy solver holds; the time from Fourier
    transforms of the length that will be used, timed on this machine, so it is rough.

    Examples
    --------
    >>> estimate(330_750, 2, atom_length=55_125).memory_bytes < 5 * 10**8
    True

    References
    ----------
    Chapter: ``book/methods/cdl.md``.
    """
    T_d = integer(atom_length, "atom_length")
    T = integer(n_samples, "n_samples", at_least=T_d) + 2 * integer(padding, "padding", at_least=0)
    K = integer(n_components, "n_components")
    plan = Convolution(T_d, T - T_d + 1)
    sample = np.zeros((min(plan.n_blocks, 8), plan.fft_length), dtype)
    a_row = seconds_of(lambda: scipy.fft.rfft(sample)) / len(sample)
    rows = (K + 1) * plan.n_blocks + 4 * ATOM_STEPS * K * T_d / plan.fft_length
    return Estimate(_bytes_needed(T, K, T_d, np.dtype(dtype)), 4 * rows * a_row)


def _bytes_needed(T: int, K: int, T_d: int, dtype: np.dtype) -> int:
    plan = Convolution(T_d, T - T_d + 1)
    activations = 10 * K * plan.n_activations
    signals = 6 * T + 3 * plan.n_blocks * plan.fft_length
    atoms = 8 * K * (K + 2) * 2 * T_d
    energies = 4 * T * np.dtype(float).itemsize
    return int((activations + signals + atoms) * dtype.itemsize + energies)
