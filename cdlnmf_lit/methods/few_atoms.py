r"""A penalty on atoms in place of events, and what it certifies.

With ``λ Σ_k ‖d_k‖ ‖z_k‖`` and activations of either sign, dictionary learning without a limit on
the number of atoms is a problem in the matrix of pieces with its nuclear norm. It has a
certificate: a signal whose matrix of segments has no singular value above ``λ``.

Chapter: ``book/methods/certificate.md``.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg
from numpy.typing import ArrayLike

from cdlnmf_lit.theory.arguments import Array, integer, non_negative, signal


def trajectory_norm(x: ArrayLike, length: int) -> float:
    r"""The largest singular value of the matrix of all segments of a signal.

    .. math:: σ_{\max}(H(x)) = \max_{\|d\| = \|z\| = 1} \langle x, d * z \rangle,
        \qquad H(x)[s, n] = x[n + s]

    It costs ``min(T_d, N)²`` numbers and as many cumulative sums as the shorter side has rows.

    Parameters
    ----------
    x : array (T,)
    length : int
        ``T_d``, of the segments.

    Raises
    ------
    ValueError
        If the signal is shorter than a segment.

    Examples
    --------
    A pattern that comes four times, far apart, is twice as large as once.

    >>> once = np.array([5.0, 0.0, 0.0, 0.0])
    >>> [round(trajectory_norm(each, 2), 6) for each in (once, np.tile(once, 4))]
    [5.0, 10.0]
    """
    x = signal(x).astype(float)
    T_d = integer(length, "length", at_most=x.size)
    rows, columns = sorted((T_d, x.size - T_d + 1))
    gram = np.zeros((rows, rows))
    for lag in range(rows):
        sums = np.concatenate([[0.0], np.cumsum(x[: x.size - lag] * x[lag:])])
        diagonal = sums[columns : columns + rows - lag] - sums[: rows - lag]
        np.fill_diagonal(gram[lag:], diagonal)  # the lower triangle
    values = scipy.linalg.eigvalsh(gram, lower=True, subset_by_index=[rows - 1, rows - 1])
    return float(np.sqrt(max(values[0], 0.0)))


def few_atoms_bound(
    x: ArrayLike, residual: ArrayLike, length: int, penalty: float
) -> tuple[float, Array]:
    r"""What no atoms of a length, and no activations of either sign, go below; and its proof.

    .. math::
        \tfrac12 \|r\|^2 + λ \sum_k \|d_k\| \|z_k\| ≥ \langle θ, x \rangle - \tfrac12 \|θ\|^2
        \quad\text{if } σ_{\max}(H(θ)) ≤ λ

    Parameters
    ----------
    x : array (T,)
    residual : array (T,)
        Of any result; the better the result, the better the bound.
    length : int
        ``T_d``.
    penalty : float
        ``λ``.

    Returns
    -------
    bound : float
    θ : array (T,)
        The residual, scaled: the best multiple of it that proves anything.

    Raises
    ------
    ValueError
        If the shapes disagree, the residual is silent or the penalty is negative.

    Examples
    --------
    From a large penalty on, silence is the best.

    >>> x = np.array([3.0, 4.0])
    >>> few_atoms_bound(x, x, 2, penalty=5.0)[0]
    12.5
    """
    x, r = signal(x), signal(residual, "residual")
    if r.shape != x.shape:
        raise ValueError(f"residual must have as many samples as x, {x.size}, got {r.size}")
    size = trajectory_norm(r, length)
    if size == 0:
        raise ValueError("residual must not be silent: it proves nothing")
    scale = max(0.0, min(non_negative(penalty, "penalty") / size, float(r @ x) / float(r @ r)))
    theta = scale * r
    return float(theta @ x - 0.5 * theta @ theta), theta
