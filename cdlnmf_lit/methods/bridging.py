r"""Holes in a signal are bridged by linear prediction: what goes on around them goes on in them.

Chapter: ``book/methods/cdl.md``.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

from cdlnmf_lit.methods.whitening import prediction_filter
from cdlnmf_lit.theory.arguments import Array, array

ORDER = 512
"""Of the prediction, at the most."""
REACH = 8
"""Samples beside a hole that the prediction is made on, as a multiple of its order."""
ROUNDS = 2
"""How often the prediction is made: the second time on what the first has filled."""


def bridged(x: ArrayLike, holes: ArrayLike, order: int = ORDER) -> Array:
    r"""A signal whose holes are filled with what its surroundings predict best.

    With the prediction filter ``a`` of the sound around a hole, from
    :func:`~cdlnmf_lit.methods.whitening.prediction_filter`,

    .. math:: \min_{x[t],\; t \in \text{hole}} \; \|a ∗ x\|^2, \qquad
        Σ_{u \in \text{hole}} c[t - u]\, x[u] = -Σ_{u \notin \text{hole}} c[t - u]\, x[u],
        \quad c[l] = Σ_p a_p\, a_{p + |l|}

    Holes that are nearer to each other than the order are filled together. The order is less for
    short holes.

    Parameters
    ----------
    x : array (T,)
        What it is in the holes does not matter.
    holes : array (T,) of bool
    order : int
        Of the prediction, at the most.

    Examples
    --------
    >>> x = np.sin(0.1 * np.arange(2000.0))
    >>> holes = np.zeros(2000, bool)
    >>> holes[900:1000] = True
    >>> print(round(float(np.abs(bridged(np.where(holes, np.nan, x), holes) - x).max()), 2))
    0.0

    References
    ----------
    A. Janssen, R. Veldhuis and L. Vries, IEEE Transactions on Acoustics, Speech and Signal
    Processing 34, 1986.
    """
    hidden = np.asarray(holes, bool)
    if hidden.shape != np.shape(x):
        raise ValueError(f"holes must have shape {np.shape(x)}, got {hidden.shape}")
    known = array(np.where(hidden, 0, x), "x", 1)
    y = known.astype(float)
    for unknown in _groups(hidden, order):
        P = min(order, 32 + 2 * unknown.size)
        around = slice(max(0, unknown[0] - REACH * P), unknown[-1] + 1 + REACH * P)
        for _ in range(ROUNDS if y[around].any() else 0):
            y[around] = _predicted(y[around], unknown - around.start, P)
    return np.where(hidden, y.astype(known.dtype), known)


def _groups(holes: Array, order: int) -> Iterator[Array]:
    """The positions of holes, those together that are no further apart than the order."""
    unknown = np.flatnonzero(holes)
    if unknown.size:
        yield from np.split(unknown, np.flatnonzero(np.diff(unknown) > order) + 1)


def _predicted(x: Array, unknown: Array, order: int) -> Array:
    """The samples at ``unknown`` by least squares, from all others."""
    from scipy.linalg import solveh_banded
    from scipy.signal import oaconvolve

    a = prediction_filter(x, min(order, max(1, x.size - unknown.size - 1)))
    c = np.correlate(a, a, "full")[a.size - 1 :]
    y = x.copy()
    y[unknown] = 0
    asked = -oaconvolve(y, np.concatenate([c[:0:-1], c]), "same")[unknown]
    rows = min(c.size, unknown.size)
    bands = np.zeros((rows, unknown.size))
    for n in range(rows):
        apart = unknown[n:] - unknown[: unknown.size - n]
        bands[n, : apart.size] = np.where(apart < c.size, c[np.minimum(apart, c.size - 1)], 0)
    y[unknown] = solveh_banded(bands, asked, lower=True)
    return y
