r"""Stationary partials from one atom and activations that are not negative, at a hop above 1.

``H`` partials that go on for ever need ``2H + 1`` positions of the components under a window, and
with so many there is an atom that reproduces them, as long as the ``2H`` turns of their phases from
one position to the next, ``exp(±2iπ f_h a)``, differ.

Chapter: ``book/experiments/overlap.md``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from cdlnmf_lit.theory.arguments import Array, array, integer


def positions_needed(n_partials: int, hop: int) -> int:
    r"""How many positions all components together need under a window: ``min(a, 2H) + 1``.

    No fewer reproduce ``H`` partials, at any hop. With ``a ≥ 2H``, and at ``a = 1``, so many do.

    Raises
    ------
    ValueError
        If ``n_partials`` or ``hop`` is not positive.

    Examples
    --------
    >>> positions_needed(4, hop=32)
    9
    """
    return min(integer(hop, "hop"), 2 * integer(n_partials, "n_partials")) + 1


def resonance(frequencies: ArrayLike, hop: int, positions: int) -> float:
    r"""How near the hop is to a resonance: the condition number of :func:`pulse_train`'s system.

    It is 1 where the turns ``1`` and ``exp(±2iπ f_h a)`` are spread evenly over the circle, and
    infinite where two of them coincide. With the atom of :func:`pulse_train`, what is missed of the
    signal by rounding grows with it.

    Parameters
    ----------
    frequencies : array (H,)
        ``f_h``, in cycles a sample.
    hop : int
        ``a``.
    positions : int
        ``R``, of the atom's ``R a`` samples.

    Examples
    --------
    >>> round(resonance([1 / 12], hop=4, positions=3), 6)
    1.0
    >>> resonance([0.125], hop=4, positions=3) > 1e9
    True
    """
    return float(np.linalg.cond(_system(array(frequencies, "frequencies", 1), hop, positions)))


def pulse_train(
    frequencies: ArrayLike, amplitudes: ArrayLike, hop: int, positions: int, n_activations: int
) -> tuple[Array, Array]:
    r"""An atom and activations that are not negative, which make stationary partials.

    .. math::
        x[t] = \operatorname{Re} \sum_h A_h \, e^{2iπ f_h t} = \sum_n z[n] \, d[t - a n],
        \qquad z[n] = 1 + \frac1H \sum_h \cos(2π f_h a n)

    from where ``R`` activations reach, ``a (R - 1) ≤ t < a N``.

    Parameters
    ----------
    frequencies : array (H,)
        ``f_h``, in cycles a sample.
    amplitudes : array (H,)
        ``A_h``, complex.
    hop : int
        ``a``.
    positions : int
        ``R``, at least ``2H + 1``.
    n_activations : int
        ``N``.

    Returns
    -------
    d : array (R a,)
        Of all such atoms the one of least norm. Near a resonance it is loud.
    z : array (N,)

    Raises
    ------
    ValueError
        If there are fewer positions than ``2H + 1``, or two turns of phase coincide.

    Examples
    --------
    >>> d, z = pulse_train([0.11], [1.0], hop=20, positions=3, n_activations=8)
    >>> x = sum(np.pad(z_n * d, (20 * n, 20 * (7 - n))) for n, z_n in enumerate(z))
    >>> bool(np.allclose(x[40:160], np.cos(2 * np.pi * 0.11 * np.arange(40, 160))))
    True
    """
    f = array(frequencies, "frequencies", 1)
    A = array(amplitudes, "amplitudes", 1, allow_complex=True)
    a, R, N, H = integer(hop, "hop"), integer(positions, "positions"), n_activations, f.size
    if A.size != H:
        raise ValueError(f"amplitudes must be as many as frequencies, {H}, got {A.size}")
    if R < 2 * H + 1:
        raise ValueError(f"positions must be at least {2 * H + 1} for {H} partials, got {R}")
    system = _system(f, a, R)
    if np.linalg.matrix_rank(system) < len(system):
        raise ValueError(f"hop must turn each partial differently, and none by half circles: {a}")
    turns = 2 * np.pi * f[:, None]
    block = 2**0.5 * H * A[:, None] * np.exp(1j * turns * np.arange(a))
    wanted = np.concatenate([np.zeros((1, a)), block.real, block.imag])
    d = np.linalg.lstsq(system, wanted)[0].ravel()
    z = 1 + np.cos(a * turns * np.arange(integer(N, "n_activations"))).mean(axis=0)
    return d, z


def _system(f: Array, hop: int, positions: int) -> Array:
    """Sums of the pieces over the positions, plain and turned, ``(2H + 1, R)``: a real form of
    the Vandermonde matrix of the turns, with its singular values.
    """
    angles = 2 * np.pi * hop * f[:, None] * np.arange(positions)
    rows = [np.full((1, positions), 0.5**0.5), np.cos(angles), -np.sin(angles)]
    return 2**0.5 * np.concatenate(rows)
