"""What the two factors of a decomposition have in common, whichever method finds them.

Chapter: ``book/methods/method.md``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cdlnmf_lit.theory.arguments import Array

NEAR = 16
"""Atoms within this fraction of their length from the middle are left where they are."""


def ratio(up: Array, down: Array) -> Array:
    """``up / down``, by which an update multiplies; 1 where there is nothing to divide.

    A component that is silent, and of which nothing is asked, so stays as it is.

    Examples
    --------
    >>> ratio(np.array([1.0, 0.0, 0.0]), np.array([2.0, 2.0, 0.0]))
    array([0.5, 0. , 1. ])
    """
    tiny = np.finfo(up.dtype).tiny
    if down.min() > tiny * (1 + up.max()):
        return np.asarray(up / down)
    found = np.ones_like(up)
    np.divide(up, down, out=found, where=down > tiny * (1 + up))
    return found


def norms(patterns: Array) -> Array:
    """``‖W_k‖``, ``(K,)``; 1 for a pattern that is zero, by which one may divide.

    Examples
    --------
    >>> norms(np.array([[3.0, 4.0], [0.0, 0.0]]))
    array([5., 1.])
    """
    sizes: Array = np.linalg.norm(patterns.reshape(len(patterns), -1), axis=1)
    return np.where(sizes > 0, sizes, np.ones_like(sizes))


def normalised(
    patterns: Array, activations: Array, sizes: Array | None = None
) -> tuple[Array, Array]:
    """The same products with patterns of norm 1: what they lose the activations gain.

    Parameters
    ----------
    patterns : array (K, …)
    activations : array (K, N)
    sizes : array (K,), optional
        What to divide by. Default: :func:`norms` of the patterns.

    Examples
    --------
    >>> normalised(np.array([[3.0, 4.0]]), np.array([[1.0]]))
    (array([[0.6, 0.8]]), array([[5.]]))
    """
    sizes = norms(patterns) if sizes is None else sizes
    return patterns / sizes.reshape(-1, *[1] * (patterns.ndim - 1)), sizes[:, None] * activations


def in_ball(patterns: Array) -> Array:
    """The nearest patterns of norm at most 1.

    Examples
    --------
    >>> in_ball(np.array([[3.0, 4.0], [0.5, 0.0]]))
    array([[0.6, 0.8],
           [0.5, 0. ]])
    """
    return np.asarray(patterns / np.maximum(np.linalg.norm(patterns, axis=1, keepdims=True), 1))


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


# ---- activations, given patterns, by least squares -----------------------------------------------


def multiplicative_update(z: Array, V: Array, G: Array, penalty: float) -> Array:
    r"""The semi-NMF update of reference [15], for complex data and with a penalty.

    .. math:: Z ← Z \sqrt{\frac{V^+ + G^- Z}{V^- + G^+ Z + λ}}

    It never increases ``½⟨Z, G Z⟩ - ⟨V, Z⟩ + λ Σ Z``. A zero stays zero.

    Parameters
    ----------
    z : array (K, n)
        Activations ``Z ≥ 0`` at some positions.
    V : array (K, n)
        ``Re(Wᴴ A)``, what is to be factorised seen through the atoms.
    G : array (K, K)
        ``Re(Wᴴ W)``.
    penalty : float
        ``λ``.

    Examples
    --------
    >>> multiplicative_update(np.array([[4.0]]), np.array([[1.0]]), np.array([[1.0]]), 0.0)
    array([[2.]])

    References
    ----------
    Algorithm 1 of the paper, reference [15]. Chapter: ``book/methods/semi_nmf.md``.
    """
    up, down = np.maximum(-G, 0) @ z, np.maximum(G, 0) @ z
    up += np.maximum(V, 0)
    down -= np.minimum(V, 0)
    down += penalty
    factor = ratio(up, down)
    np.sqrt(factor, out=factor)
    factor *= z
    return factor


def coordinate_update(z: Array, V: Array, G: Array, penalty: float) -> Array:
    r"""Each component's activations in turn, to the minimum given the others.

    .. math:: z_k ← \max\Big(0, \; z_k + \frac{V_k - (G Z)_k - λ}{G_{kk}}\Big)

    It lowers the same quadratic as :func:`multiplicative_update`, further in one pass, and its
    zeros are free to move again. It takes the same arguments.

    Examples
    --------
    >>> coordinate_update(np.array([[4.0]]), np.array([[1.0]]), np.array([[1.0]]), 0.0)
    array([[1.]])

    References
    ----------
    Departs from the paper's multiplicative update. Chapter: ``book/methods/semi_nmf.md``.
    """
    z = z.copy()
    for k, row in enumerate(G):
        if row[k] > 0:
            z[k] += (V[k] - row @ z - penalty) / row[k]
            np.maximum(z[k], 0, out=z[k])
    return z
