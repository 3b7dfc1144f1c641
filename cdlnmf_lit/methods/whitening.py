r"""Whitening: a sound passed through the inverse of its own spectral envelope.

Where low frequencies hold most of the energy, a kick hides a hi-hat from every inner product. A
linear prediction ``x[n] ≈ -Σ_p a_p x[n - p]`` leaves an error ``e = a ∗ x`` whose spectrum is flat
but for its fine structure, so that all bands count alike. The filter has an inverse, and what is
found in ``e`` is found in ``x``: convolutions commute, ``a ∗ (d ∗ z) = (a ∗ d) ∗ z``.

Chapter: ``book/methods/pursuit.md``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from cdlnmf_lit.theory.arguments import Array, array, integer, signal

ORDER = 12
"""Coefficients of the prediction."""
FLOOR = 1e-9
"""White noise that is added to the autocorrelation, as a share of the energy: the filter of a few
pure tones would have no inverse."""


def prediction_filter(x: ArrayLike, order: int = ORDER) -> Array:
    r"""The filter ``(1, a_1, …, a_P)`` whose output is what cannot be predicted of a signal.

    It has the least output energy of all that begin with 1:

    .. math:: \min_a \Big\|x + Σ_{p=1}^P a_p\, x[\cdot - p]\Big\|^2, \qquad
        Σ_q c[p - q]\, a_q = -c[p], \quad c[l] = Σ_n x[n]\, x[n + l]

    The autocorrelation method, with the signal silent outside: all zeros of the filter lie within
    the unit circle, so that its inverse is stable.

    Parameters
    ----------
    x : array (T,)
    order : int
        ``P``.

    Returns
    -------
    array (P + 1,)

    Raises
    ------
    ValueError
        If the signal is silent.

    Examples
    --------
    >>> prediction_filter(0.5 ** np.arange(50.0), order=1).round(3)
    array([ 1. , -0.5])

    References
    ----------
    Linear prediction, as in J. Makhoul, Proceedings of the IEEE 63, 1975.
    """
    import scipy.linalg

    x, P = signal(x), integer(order, "order")
    size = float(np.abs(x).max())
    if size == 0:
        raise ValueError("x must not be silent, got only zeros")
    y = x.astype(float) / size
    c = np.array([y[: y.size - lag] @ y[lag:] if lag < y.size else 0.0 for lag in range(P + 1)])
    c[0] *= 1 + FLOOR
    return np.concatenate([[1.0], scipy.linalg.solve_toeplitz(c[:P], -c[1:])]).astype(x.dtype)


def whitened(x: ArrayLike, coefficients: ArrayLike) -> Array:
    """The signal passed through a filter: ``e[n] = Σ_p a_p x[n - p]``, of the same length.

    Parameters
    ----------
    x : array (…, T)
        Each row by itself.
    coefficients : array (P + 1,)
        Of :func:`prediction_filter`.

    Examples
    --------
    >>> x = 0.5 ** np.arange(4.0)
    >>> whitened(x, [1.0, -0.5])
    array([1., 0., 0., 0.])
    """
    import scipy.signal

    rows = np.asarray(x)
    a = array(coefficients, "coefficients", 1).astype(rows.dtype)
    return np.asarray(scipy.signal.lfilter(a, np.ones(1, a.dtype), rows))


def coloured(x: ArrayLike, coefficients: ArrayLike) -> Array:
    """The inverse of :func:`whitened`: ``x[n] = e[n] - Σ_{p ≥ 1} a_p x[n - p]``.

    Examples
    --------
    >>> coloured([1.0, 0.0, 0.0, 0.0], [1.0, -0.5])
    array([1.   , 0.5  , 0.25 , 0.125])
    """
    import scipy.signal

    rows = np.asarray(x)
    a = array(coefficients, "coefficients", 1).astype(rows.dtype)
    return np.asarray(scipy.signal.lfilter(np.ones(1, a.dtype), a, rows))
