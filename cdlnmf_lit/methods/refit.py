r"""Refit: given which sounds stand where, their gains and waveforms by least squares.

A penalty that finds sparse activations also shrinks them, and leaves hundreds of small ones around
each. Once it is known where a sound begins, neither is needed: every hit has one activation, or a
few real taps where it stands between two samples, and what is left are two least-squares problems,
one in the taps and one in the atoms. Both are solved for the *change* that lowers the residual.

Chapter: ``book/methods/pursuit.md``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cdlnmf_lit.methods.cdl import Quadratic, conjugate_gradients
from cdlnmf_lit.theory.arguments import Array

ATOM_STEPS = 15
"""Steps of conjugate gradients on the atoms, each time."""
RIDGE = 1e-3
"""What a change of the taps costs, as a share of an atom's energy."""


def pooled(z: Array, reach: int, least: float = 0.1) -> Array:
    r"""One activation for all that stand together: their sum, at the strongest of them.

    .. math:: z_k[n] ← Σ_{|m - n| ≤ R} z_k[m] \quad\text{where } |z_k[n]| \text{ is the largest
        within } R; \text{ else } 0

    Parameters
    ----------
    z : array (K, N)
        Activations.
    reach : int
        ``R``, samples to either side.
    least : float
        What is weaker than this share of a component's strongest is dropped.

    Examples
    --------
    >>> pooled(np.array([[0.0, 1.0, 2.0, 0.0, 0.0, 0.0, 4.0, 0.0, 0.0, 0.01]]), 2)
    array([[0., 0., 3., 0., 0., 0., 4., 0., 0., 0.]])
    """
    found = np.zeros_like(z)
    for row, one in zip(z, found, strict=True):
        left = np.flatnonzero(row)
        for n in left[np.argsort(-np.abs(row[left]), kind="stable")]:
            first, last = np.searchsorted(left, (n - reach, n + reach + 1))
            near = left[first:last]
            if not one[max(0, n - reach) : n + reach + 1].any():
                one[n] = row[near].sum()
        one[np.abs(one) < least * np.abs(one).max(initial=0)] = 0
    return found


def support(z: Array, taps: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Where activations may be: so many taps around each hit, in the order of their positions.

    A hit is what is not zero within as many samples; its taps lie around the middle of that.

    Parameters
    ----------
    z : array (K, N)
    taps : int
        An odd number.

    Returns
    -------
    components, positions : arrays (U,) of int

    Examples
    --------
    >>> support(np.array([[0, 0, 5.0, 0, 0, 0, 0], [0, 0, 0, 0, 1.0, 2.0, 3.0]]), 3)
    (array([0, 0, 0, 1, 1, 1]), array([1, 2, 3, 4, 5, 6]))
    """
    allowed = np.zeros(z.shape, bool)
    for row, here in zip(z, allowed, strict=True):
        at = np.flatnonzero(row)
        while at.size:
            ends = np.searchsorted(at, at[0] + taps)
            middle = (at[0] + at[ends - 1]) // 2
            here[max(0, middle - taps // 2) : middle + taps // 2 + 1] = True
            at = at[ends:]
    positions, components = np.nonzero(allowed.T)
    return components, positions


def changed_taps(
    gram: Array, slope: Array, components: NDArray[np.intp], positions: NDArray[np.intp]
) -> Array:
    r"""How to change the taps of given atoms.

    .. math:: \min_δ \; ½\Big\|r - Σ_u δ_u\, d_{k_u}[\cdot - n_u]\Big\|^2 + \frac{ρ}{2} \|δ\|^2,
        \qquad (G + ρ I)\, δ = c, \quad G_{uv} = Σ_s d_{k_u}[s]\, d_{k_v}[s + n_u - n_v]

    Taps further apart than an atom is long do not know of each other: in the order of their
    positions ``G`` is a band, and Cholesky's factors are no wider.

    Parameters
    ----------
    gram : array (K, K, 2 T_d - 1)
        Correlations of the atoms: ``G_jk[l] = Σ_s d_j[s] d_k[s + l]``.
    slope : array (U,)
        ``c``: of each tap's atom with the residual.
    components, positions : arrays (U,)
        Of the taps, in order.

    Returns
    -------
    array (U,)

    Examples
    --------
    >>> gram = np.array([[[0.0, 1.0, 0.0]]])
    >>> changed_taps(gram, np.array([2.0, 3.0]), np.array([0, 0]), np.array([4, 9])).round(2)
    array([2., 3.])
    """
    import scipy.linalg

    T_d, U = gram.shape[2] // 2 + 1, positions.size
    energy = float(np.max(np.diagonal(gram[:, :, T_d - 1]), initial=0.0))
    if not U or energy == 0:
        return np.zeros_like(slope)
    width = int(np.max(np.searchsorted(positions, positions + T_d) - np.arange(U)))
    band = np.zeros((width, U))
    for b in range(width):
        lag = positions[: U - b] - positions[b:]
        near = np.flatnonzero(-lag < T_d)
        band[b, near] = gram[components[near], components[near + b], T_d - 1 + lag[near]]
    band[0] += RIDGE * energy
    return np.asarray(scipy.linalg.solveh_banded(band, slope, lower=True), slope.dtype)


def changed_atoms(residual: Array, z: Array, atom_length: int, steps: int = ATOM_STEPS) -> Array:
    r"""How to change the atoms of given activations: some steps of conjugate gradients.

    .. math:: \min_δ \; ½\Big\|r - Σ_k δ_k ∗ z_k\Big\|^2, \qquad A\, δ = b

    with the block-Toeplitz ``A`` and ``b`` of :class:`~cdlnmf_lit.methods.cdl.Quadratic`. Any
    number of steps lowers the residual; few of them leave alone what the signal hardly tells.

    Parameters
    ----------
    residual : array (T,)
    z : array (K, N)
    atom_length : int
        ``T_d``.

    Returns
    -------
    array (K, T_d)

    Examples
    --------
    >>> changed_atoms(np.array([0.0, 2.0, 4.0, 0.0]), np.array([[0.0, 2.0, 0.0]]), 2).round(6)
    array([[1., 2.]])
    """
    size = np.abs(z).max() or z.dtype.type(1)
    quadratic = Quadratic(residual / size, z / size, atom_length)
    return conjugate_gradients(
        lambda change: quadratic.gradient(change) + quadratic.b, quadratic.b, steps
    )


def nudged(correlation: Array, gram: Array, z: Array, reach: int) -> Array:
    """Single activations, each where its atom fits best within ``reach`` samples of its place.

    What the atom finds of a residual and of its own event is ``c[n] + z G[n - m]``.

    Parameters
    ----------
    correlation : array (K, N)
        Of the atoms with the residual.
    gram : array (K, K, 2 T_d - 1)
    z : array (K, N)
    reach : int

    Examples
    --------
    >>> c, gram = np.array([[0.0, -1.0, 2.0, 0.0]]), np.array([[[0.0, 1.0, 0.0]]])
    >>> nudged(c, gram, np.array([[0.0, 1.0, 0.0, 0.0]]), 1)
    array([[0., 0., 1., 0.]])
    """
    T_d, moved = gram.shape[2] // 2 + 1, np.zeros_like(z)
    reach = min(reach, T_d - 1)
    for k, n in zip(*np.nonzero(z), strict=True):
        places = np.arange(max(0, n - reach), min(z.shape[1], n + reach + 1))
        heard = correlation[k, places] + z[k, n] * gram[k, k, T_d - 1 + places - n]
        best = places[np.argmax(heard * np.sign(z[k, n]))]
        moved[k, best] += z[k, n]
    return moved
