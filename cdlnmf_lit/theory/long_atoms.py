r"""Atoms longer than the window: a convolution is a convolutive product, of one row of activations.

An atom of ``L`` windows' length has ``L`` spectra, one a piece, and the coefficients are a
convolution of these with the activations: to an atom longer than the window what rank 1 is to one
that fits.

Chapter: ``book/theory/theorem_1.md``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from cdlnmf_lit.theory.arguments import Array, array, signal
from cdlnmf_lit.theory.equivalence import atom_of_spectrum, spectrum_of_atom
from cdlnmf_lit.theory.gabor import GaborFrame


def spectra_of_long_atom(atom: ArrayLike, frame: GaborFrame) -> Array:
    r"""The spectra of the pieces of a real atom, each as long as the window.

    .. math:: ŵ_l[ν] = \frac1M \sum_{s=0}^{T_g-1} \frac{d[l T_g + s]}{g[s]} \, e^{-2iπνs/M}

    Parameters
    ----------
    atom : array (T_d,)
        ``d``, of any length. The last piece is filled up with silence.
    frame : GaborFrame

    Returns
    -------
    complex array (L, M)
        ``L = ⌈T_d / T_g⌉``.

    Raises
    ------
    ValueError
        If a hypothesis of Theorem 1 fails for a piece, or the hop does not divide the window's
        length.

    Examples
    --------
    >>> frame = GaborFrame(np.array([1.0, 2.0]), hop=1)
    >>> spectra_of_long_atom([3.0, 2.0, 1.0], frame).real
    array([[2. , 1. ],
           [0.5, 0.5]])

    References
    ----------
    Theorem 1 of the paper, for atoms that fit into the window.
    """
    d, T_g = signal(atom, "atom"), frame.window.size
    _positions_of_a_piece(frame)
    return np.stack([spectrum_of_atom(d[n : n + T_g], frame) for n in range(0, d.size, T_g)])


def long_atom_of_spectra(spectra: ArrayLike, frame: GaborFrame) -> Array:
    r"""The atom of several spectra, piece after piece.

    .. math:: d[l T_g + s] = g[s] \sum_{ν=0}^{M-1} ŵ_l[ν] \, e^{2iπνs/M}

    Parameters
    ----------
    spectra : array (L, M), real or complex
    frame : GaborFrame

    Returns
    -------
    complex array (L T_g,)

    Raises
    ------
    ValueError
        See :func:`~cdlnmf_lit.theory.equivalence.atom_of_spectrum`; or if the hop does not divide
        the window's length.

    Examples
    --------
    >>> frame = GaborFrame(np.array([1.0, 2.0]), hop=1)
    >>> long_atom_of_spectra([[2.0, 1.0], [0.5, 0.5]], frame).real
    array([3., 2., 1., 0.])
    """
    _positions_of_a_piece(frame)
    w_hat = array(spectra, "spectra", 2, allow_complex=True)
    return np.concatenate([atom_of_spectrum(each, frame) for each in w_hat])


def convolved_spectra(spectra: ArrayLike, activations: ArrayLike, frame: GaborFrame) -> Array:
    r"""Coefficients that synthesise an atom longer than the window, at its activations.

    .. math:: α[τ, ν] = \sum_{l=0}^{L-1} ŵ_l[ν] \, z[τ - l T_g / a],
        \qquad Φ(α) = d *_a z

    Parameters
    ----------
    spectra : array (L, M), real or complex
    activations : array (N + (L - 1) T_g / a,)
        ``z``, from ``L - 1`` windows before the frame's first position on: an atom may begin so
        early and still sound in the signal.
    frame : GaborFrame

    Returns
    -------
    array (N, M)

    Raises
    ------
    ValueError
        If the hop does not divide the window's length, or there are too few activations.

    Examples
    --------
    >>> frame = GaborFrame(np.array([1.0, 2.0]), hop=2)
    >>> spectra = spectra_of_long_atom([3.0, 2.0, 1.0], frame)
    >>> frame.synthesis(convolved_spectra(spectra, [0.0, 1.0, 0.0, 10.0], frame), 6).real
    array([ 3.,  2.,  1.,  0., 30., 20.])
    """
    w_hat = array(spectra, "spectra", 2, allow_complex=True)
    z, step = array(activations, "activations", 1), _positions_of_a_piece(frame)
    before = (len(w_hat) - 1) * step
    if z.size <= before:
        raise ValueError(f"activations must be more than (L - 1) T_g / a = {before}, got {z.size}")
    delayed = [z[n : z.size - before + n] for n in range(before, -1, -step)]
    return np.stack(delayed, axis=1) @ w_hat


def _positions_of_a_piece(frame: GaborFrame) -> int:
    """``T_g / a``, a whole number."""
    positions, rest = divmod(frame.window.size, frame.hop)
    if rest:
        raise ValueError(
            f"frame must have a hop that divides its window's length, {frame.window.size}, "
            f"got {frame.hop}"
        )
    return positions
