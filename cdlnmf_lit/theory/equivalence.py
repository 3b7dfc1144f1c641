"""Atoms and factorised time-frequency coefficients: Theorem 1 of the paper.

Chapter: ``book/theory/theorem_1.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.fft
import scipy.linalg
from numpy.typing import ArrayLike

from cdlnmf_lit.theory.arguments import Array, array, integer, signal
from cdlnmf_lit.theory.blocks import placed
from cdlnmf_lit.theory.convolution import synthesize
from cdlnmf_lit.theory.gabor import GaborFrame

# ---- Theorem 1: d <-> ŵ --------------------------------------------------------------------


def spectrum_of_atom(atom: ArrayLike, frame: GaborFrame) -> Array:
    r"""The spectrum ``ŵ`` that a real atom ``d`` has in Theorem 1.

    .. math:: ŵ[ν] = \frac1M \sum_{s=0}^{T_g-1} \frac{d[s]}{g[s]} \, e^{-2iπνs/M}

    The factor ``1/M`` is missing in the printed proof. Where the window is zero the atom has to
    be zero too, and the quotient ``0/0`` counts as 0.

    Parameters
    ----------
    atom : array (T_d,)
        ``d``, at most as long as the window.
    frame : GaborFrame

    Returns
    -------
    complex array (M,)

    Raises
    ------
    ValueError
        If a hypothesis of Theorem 1 fails: the atom is not real, is longer than the window or
        sounds where the window is zero, ``M < T_g``, or the phase is not counted from the start
        of each window.

    Examples
    --------
    >>> frame = GaborFrame(np.array([1.0, 2.0]), hop=1)
    >>> spectrum_of_atom([3.0, 2.0], frame).real
    array([2., 1.])

    References
    ----------
    Theorem 1 of the paper, equations (11)-(12). Chapter: ``book/theory/theorem_1.md``.
    """
    d = signal(atom, "atom")
    _require_phase(frame)
    g, M = frame.window.astype(d.dtype, copy=False), frame.channels
    if g.size > M:
        raise ValueError(
            f"frame must have at least as many channels as its window has samples (M >= T_g in "
            f"Theorem 1), got M = {M} and T_g = {g.size}"
        )
    if d.size > g.size:
        raise ValueError(
            f"atom must be no longer than the window (supp(d) in supp(g) in Theorem 1), "
            f"got {d.size} samples and T_g = {g.size}"
        )
    inside = window_support(frame)[: d.size]
    lost = np.flatnonzero((d != 0) & ~inside)
    if lost.size:
        raise ValueError(
            f"atom must be zero where the window is zero to rounding "
            f"(supp(d) in supp(g) in Theorem 1), "
            f"got {d[lost[0]]} at sample {lost[0]}"
        )
    w = np.zeros(M, d.dtype)
    w[: d.size][inside] = d[inside] / g[: d.size][inside]
    return np.asarray(scipy.fft.fft(np.roll(w, -frame.origin), norm="forward"))


def atom_of_spectrum(spectrum: ArrayLike, frame: GaborFrame) -> Array:
    r"""The atom ``d`` that a spectrum ``ŵ`` stands for; it always lies inside the window.

    .. math:: d[s] = g[s] \sum_{ν=0}^{M-1} ŵ[ν] \, e^{2iπνs/M}, \qquad 0 ≤ s < T_g

    This direction needs no ``M ≥ T_g``: with fewer channels ``d/g`` has the period ``M``.

    Parameters
    ----------
    spectrum : array (M,), real or complex
    frame : GaborFrame

    Returns
    -------
    complex array (T_g,)
        Its imaginary part is zero to rounding for the spectrum of a real atom.

    Raises
    ------
    ValueError
        If the spectrum has not one value a channel, or the phase is not counted from the start
        of each window.

    Examples
    --------
    >>> frame = GaborFrame(np.array([1.0, 2.0]), hop=1)
    >>> atom_of_spectrum([2.0, 1.0], frame).real
    array([3., 2.])

    References
    ----------
    Theorem 1 of the paper, equations (11)-(14). Chapter: ``book/theory/theorem_1.md``.
    """
    w_hat = array(spectrum, "spectrum", 1, allow_complex=True)
    _require_phase(frame)
    if w_hat.size != frame.channels:
        raise ValueError(
            f"spectrum must have one value a channel, {frame.channels}, got {w_hat.size}"
        )
    g = frame.window.astype(w_hat.real.dtype, copy=False)
    w = scipy.fft.ifft(w_hat, norm="forward")
    place = (np.arange(g.size) - frame.origin) % frame.channels
    return np.asarray(np.where(window_support(frame), g * w[place], 0))


def window_support(frame: GaborFrame) -> Array:
    """Where the window is not zero: above the rounding of its own peak.

    Examples
    --------
    >>> window_support(GaborFrame("hann", hop=1, channels=4))
    array([False,  True,  True,  True])

    References
    ----------
    The hypothesis ``supp(d) ⊂ supp(g)`` of Theorem 1. Chapter: ``book/theory/theorem_1.md``.
    """
    g = np.abs(frame.window)
    return np.asarray(g > np.finfo(g.dtype).eps * g.max())


def conditioning(frame: GaborFrame, atom: ArrayLike | None = None) -> float:
    r"""How much a relative error of the atom may grow in ``w = d/g``, and back: at least 1.

    .. math:: κ = \max_{s ∈ S} |g[s]| \; / \; \min_{s ∈ S} |g[s]|

    Parameters
    ----------
    frame : GaborFrame
    atom : array (T_d,), optional
        ``S`` is where this atom is not zero; by default where the window is not.

    Raises
    ------
    ValueError
        If the atom is silent, longer than the window, or sounds where the window is zero.

    Examples
    --------
    >>> conditioning(GaborFrame(np.array([0.1, 1.0, 0.5]), hop=1))
    10.0
    >>> conditioning(GaborFrame(np.array([0.1, 1.0, 0.5]), hop=1), atom=[0.0, 1.0, 1.0])
    2.0

    References
    ----------
    The quotient ``d/g`` of Theorem 1. Chapter: ``book/theory/theorem_1.md``.
    """
    g, inside = np.abs(frame.window), window_support(frame)
    if atom is not None:
        d = signal(atom, "atom")
        sounding = np.flatnonzero(d)
        if not sounding.size or sounding[-1] >= g.size or not inside[sounding].all():
            raise ValueError(
                f"atom must sound somewhere, and only where the window is not zero, got "
                f"{sounding.size} sounding samples"
            )
        inside = sounding
    return float(g[inside].max() / g[inside].min())


# ---- Theorem 1: (d, z) <-> α = W Zᵀ --------------------------------------------------------


def factors_of_model(
    atoms: ArrayLike, activations: ArrayLike, frame: GaborFrame
) -> tuple[Array, Array]:
    r"""Synthesis coefficients of ``Σ d_k ∗ z_k``, as two factors that are never multiplied out.

    .. math:: α[τ, ν] = \sum_{k=1}^K W[ν, k] \, Z[τ, k], \quad W[ν, k] = ŵ_k[ν], \; Z[τ, k] = z_k[τ]

    Parameters
    ----------
    atoms : array (K, T_d)
    activations : array (K, N)
        One value a position of the frame; :func:`activations_on_frames` makes them from ``z`` as
        the paper has it.
    frame : GaborFrame

    Returns
    -------
    W : complex array (M, K)
    Z : array (N, K)

    Raises
    ------
    ValueError
        If a hypothesis of Theorem 1 fails (see :func:`spectrum_of_atom`) or the shapes disagree.

    Examples
    --------
    >>> frame = GaborFrame(np.array([1.0, 2.0]), hop=1)
    >>> W, Z = factors_of_model([[3.0, 2.0]], [[0.0, 1.0, 0.5]], frame)
    >>> W.shape, Z.shape
    ((2, 1), (3, 1))

    References
    ----------
    Theorem 1 of the paper, equations (13)-(14), and (16)-(17) for several components.
    Chapter: ``book/theory/theorem_1.md``.
    """
    D, z = model_pair(atoms, activations)
    return np.stack([spectrum_of_atom(d, frame) for d in D], axis=1), z.T


def model_of_factors(W: ArrayLike, Z: ArrayLike, frame: GaborFrame) -> tuple[Array, Array]:
    """Atoms and activations of factored synthesis coefficients, the way back.

    Parameters
    ----------
    W : array (M, K), real or complex
    Z : array (N, K)
    frame : GaborFrame

    Returns
    -------
    atoms : array (K, T_g)
    activations : array (K, N)

    Raises
    ------
    ValueError
        If an atom is not real to rounding, or the shapes disagree.

    Examples
    --------
    >>> frame = GaborFrame(np.array([1.0, 2.0]), hop=1)
    >>> model_of_factors([[2.0], [1.0]], [[0.0], [1.0], [0.5]], frame)
    (array([[3., 2.]]), array([[0. , 1. , 0.5]]))

    References
    ----------
    Theorem 1 of the paper, read from (14) up to (11). Chapter: ``book/theory/theorem_1.md``.
    """
    W, Z = factor_pair(W, Z)
    atoms = np.stack([atom_of_spectrum(w_hat, frame) for w_hat in W.T])
    scale = np.abs(frame.window).max() * np.abs(W).sum(axis=0)
    excess = np.abs(atoms.imag).max(axis=1) > np.sqrt(np.finfo(scale.dtype).eps) * scale
    if excess.any():
        k = int(np.flatnonzero(excess)[0])
        raise ValueError(
            f"W must hold spectra of real atoms, got an imaginary part of "
            f"{np.abs(atoms[k].imag).max():.3g} in atom {k}"
        )
    return atoms.real, Z.T


def activations_on_frames(
    activations: ArrayLike, frame: GaborFrame, n_samples: int | None = None
) -> Array:
    r"""Activations at ``τ = 0 … T_z - 1``, as the paper has them, put on the frame's positions.

    The positions that begin before the signal, ``τ < 0``, and those past ``T_z`` get zeros. With
    ``origin = 0`` and ``n_samples ≥ a (T_z - 1) + T_g`` then ``Σ d_k ∗ z_k`` lies inside the
    signal, and nothing of it is cut off.

    Parameters
    ----------
    activations : array (K, T_z)
    frame : GaborFrame
    n_samples : int, optional
        ``T``, length of the signal. Default: ``a (T_z - 1) + T_g``, that of the convolution.

    Returns
    -------
    array (K, N)

    Raises
    ------
    ValueError
        If the signal is too short for ``T_z`` positions.

    Examples
    --------
    >>> frame = GaborFrame(np.array([1.0, 2.0, 1.0]), hop=1)
    >>> activations_on_frames([[5.0, 6.0]], frame)
    array([[0., 0., 5., 6., 0., 0.]])

    References
    ----------
    Equation (11) of the paper. Chapter: ``book/theory/theorem_1.md``.
    """
    z = array(activations, "activations", 2)
    if n_samples is None:
        n_samples = frame.hop * (z.shape[1] - 1) + frame.window.size
    on_frames = np.zeros((z.shape[0], frame.n_frames(n_samples)), z.dtype)
    room = on_frames.shape[1] + frame.first_frame
    if z.shape[1] > room:
        raise ValueError(
            f"activations must have at most {room} positions for {n_samples} samples, "
            f"got {z.shape[1]}"
        )
    on_frames[:, -frame.first_frame : -frame.first_frame + z.shape[1]] = z
    return on_frames


def synthesize_factors(W: ArrayLike, Z: ArrayLike, frame: GaborFrame, n_samples: int) -> Array:
    r"""The signal ``Φ(α)`` of factored coefficients ``α = Z Wᵀ``, through the atoms.

    .. math:: Φ(α)[t] = \sum_{k=1}^K \sum_τ z_k[τ] \, d_k[t - aτ], \qquad 0 ≤ t < T

    Its memory is that of atoms, activations and signal; ``α`` has ``M N`` entries and is not
    made.

    Parameters
    ----------
    W : array (M, K), real or complex
    Z : array (N, K)
        ``N`` must be ``frame.n_frames(n_samples)``.
    frame : GaborFrame
    n_samples : int
        ``T``.

    Returns
    -------
    complex array (T,)

    Raises
    ------
    ValueError
        If the shapes disagree, or the phase is not counted from the start of each window.

    Examples
    --------
    >>> frame = GaborFrame(np.array([1.0, 2.0]), hop=1)
    >>> synthesize_factors([[2.0], [1.0]], [[0.0], [1.0], [0.5]], frame, 2).real
    array([3. , 3.5])

    References
    ----------
    Equations (5) and (11)-(14) of the paper. Chapter: ``book/theory/theorem_1.md``.
    """
    W, Z = factor_pair(W, Z)
    n_samples = integer(n_samples, "n_samples")
    if len(Z) != frame.n_frames(n_samples):
        raise ValueError(
            f"Z must have {frame.n_frames(n_samples)} rows for {n_samples} samples, got {len(Z)}"
        )
    atoms = np.stack([atom_of_spectrum(w_hat, frame) for w_hat in W.T])
    real, imaginary = (synthesize(part, Z.T, frame.hop) for part in (atoms.real, atoms.imag))
    return placed(real + 1j * imaginary, frame.first_sample, n_samples)


@dataclass(frozen=True)
class RankOne:
    """The nearest rank-1 coefficients with real activations: what :func:`rank_one_factors` finds.

    Parameters
    ----------
    spectrum : complex array (M,)
        ``ŵ``.
    activations : array (N,)
        ``z``, scaled so that its largest value is 1.
    distance : float
        ``‖α - z ŵᵀ‖ / ‖α‖``: 0 for coefficients of this form, below 1 always.

    Examples
    --------
    >>> round(rank_one_factors(np.eye(2)).distance, 6)
    0.707107

    References
    ----------
    Theorem 1 of the paper. Chapter: ``book/theory/theorem_1.md``.
    """

    spectrum: Array
    activations: Array
    distance: float


def rank_one_factors(coefficients: ArrayLike) -> RankOne:
    r"""Factors of an array of coefficients, and how far it is from having them.

    .. math:: \min_{ŵ ∈ ℂ^M, \; z ∈ ℝ^N} \Big( \sum_{τ,ν} |α[τ, ν] - ŵ[ν] z[τ]|^2 \Big)^{1/2}

    Theorem 1 asks for *real* activations. A complex spectrum is a pair of real ones, so this is
    the best rank-1 approximation of the real array ``[Re α, Im α]``: its first singular vectors.

    Parameters
    ----------
    coefficients : array (N, M), real or complex
        ``α``, one row a position.

    Returns
    -------
    RankOne

    Raises
    ------
    ValueError
        If the coefficients are all zero, or not a finite two-dimensional array.

    Examples
    --------
    >>> found = rank_one_factors(np.outer([2.0, 4.0], [1j, 1.0]))
    >>> found.activations, found.distance < 1e-15
    (array([0.5, 1. ]), True)
    >>> np.round(found.spectrum, 12) + 0
    array([0.+4.j, 4.+0.j])

    References
    ----------
    Theorem 1 of the paper. Chapter: ``book/theory/theorem_1.md``.
    """
    alpha = array(coefficients, "coefficients", 2, allow_complex=True)
    if not alpha.any():
        raise ValueError(f"coefficients must not all be zero, got zeros of shape {alpha.shape}")
    M = alpha.shape[1]
    left, values, right = scipy.linalg.svd(
        np.hstack([alpha.real, alpha.imag]), full_matrices=False, check_finite=False
    )
    peak = left[np.argmax(np.abs(left[:, 0])), 0]
    parts = values[0] * peak * right[0]
    spectrum, z = parts[:M] + 1j * parts[M:], left[:, 0] / peak
    distance = np.linalg.norm(alpha - np.outer(z, spectrum)) / np.linalg.norm(alpha)
    return RankOne(spectrum, z, float(distance))


# ---- Theorem 1 for real signals, at any hop and number of channels -------------------------


def half_spectrum_gains(channels: int) -> Array:
    """Factors that give half of a real signal's channels the norm of all: 1 at the ends, else √2.

    Parameters
    ----------
    channels : int
        ``M``.

    Returns
    -------
    array (M // 2 + 1,)

    Examples
    --------
    >>> half_spectrum_gains(5)
    array([1.        , 1.41421356, 1.41421356])

    References
    ----------
    Equation (9) of the paper. Chapter: ``book/methods/semi_nmf.md``.
    """
    nu = np.arange(channels // 2 + 1)
    return np.where((nu > 0) & (2 * nu != channels), np.sqrt(2.0), 1.0)


@dataclass(frozen=True, eq=False)
class AtomsOfSpectra:
    r"""Theorem 1 for real atoms, which half of their spectra and real weights describe as well.

    .. math:: d_k[s] = g[s] \, w_k[s], \qquad w_k = M · \mathrm{IDFT}(ŵ_k)

    With ``M < T_g`` the weights repeat: samples of the window that are ``M`` apart share one.

    Parameters
    ----------
    frame : GaborFrame
        That synthesises, with its phase counted from the start of each window.
    dtype : dtype
        Of the atoms.

    Examples
    --------
    >>> theorem = AtomsOfSpectra(GaborFrame("hann", 4, 8).tight(), float)
    >>> d = theorem.atoms(np.ones((1, 8)))
    >>> np.allclose(theorem.atoms_of(theorem.spectra_of(d)), d)
    True

    References
    ----------
    Theorem 1 of the paper. Chapter: ``book/theory/theorem_1.md``.
    """

    frame: GaborFrame
    dtype: Any

    @cached_property
    def window(self) -> Array:
        """``g``, in the precision of the atoms."""
        return self.frame.window.astype(self.dtype, copy=False)

    @cached_property
    def place(self) -> Array:
        """The point of the Fourier transform that each sample of the window reads."""
        return (np.arange(self.window.size) - self.frame.origin) % self.frame.channels

    @cached_property
    def shares(self) -> Array:
        """``Σ g²`` over the samples that share a weight, so that ``‖d_k‖² = Σ shares w_k²``."""
        folded: Array = self.fold(self.window[None] ** 2)[0]
        return folded

    def unfold(self, weights: Array) -> Array:
        """Weights ``(K, P)``, ``P = min(T_g, M)``, at each sample of the window."""
        if self.window.size <= self.frame.channels:
            return weights
        return weights[:, self.place]

    def fold(self, values: Array) -> Array:
        """Adjoint of :meth:`unfold`: the sums of the samples that share a weight."""
        T_g, M = self.window.size, self.frame.channels
        if T_g <= M:
            return values
        padded = np.zeros((len(values), -(-T_g // M) * M), values.dtype)
        padded[:, :T_g] = values
        return np.roll(padded.reshape(len(values), -1, M).sum(axis=1), -self.frame.origin, axis=1)

    def atoms(self, weights: Array) -> Array:
        """``d_k = g w_k``, ``(K, T_g)``."""
        return self.window * self.unfold(weights)

    def fitted(self, atoms: Array) -> Array:
        """The weights whose atoms are nearest to the given ones; 0 where the window is."""
        shares = np.maximum(self.shares, np.finfo(atoms.dtype).tiny)
        return self.fold(self.window * atoms) / shares

    def atoms_of(self, spectra: Array) -> Array:
        """The atoms of half-spectra ``ŵ_k``, ``(K, M // 2 + 1)``."""
        weights = scipy.fft.irfft(spectra, self.frame.channels, norm="forward")
        return np.asarray(self.window * weights[:, self.place])

    def spectra_of(self, atoms: Array) -> Array:
        """The half-spectra of the weights whose atoms are nearest to the given ones."""
        weights = self.fitted(atoms)
        if self.window.size <= self.frame.channels:
            points = np.zeros((len(atoms), self.frame.channels), weights.dtype)
            points[:, self.place] = weights
            weights = points
        return np.asarray(scipy.fft.rfft(weights, norm="forward"))


# ---- what the functions above share --------------------------------------------------------


def _require_phase(frame: GaborFrame) -> None:
    if frame.phase != "time-invariant":
        raise ValueError(
            f"frame must count its phase from the start of each window (phase='time-invariant', "
            f"the convention of Theorem 1), got phase={frame.phase!r}"
        )


def model_pair(atoms: ArrayLike, activations: ArrayLike) -> tuple[Array, Array]:
    """Atoms and activations, one row of these for each of those.

    Examples
    --------
    >>> d, z = model_pair([[1.0, 2.0]], [[0.0, 1.0, 0.0]])
    """
    D, z = array(atoms, "atoms", 2), array(activations, "activations", 2)
    if len(D) != len(z):
        raise ValueError(f"activations must have one row an atom, {len(D)}, got {len(z)}")
    return D, z


def factor_pair(W: ArrayLike, Z: ArrayLike, name: str = "W") -> tuple[Array, Array]:
    """Two factors of as many columns.

    Examples
    --------
    >>> W, Z = factor_pair([[1j], [2.0]], [[1.0], [0.0], [1.0]])
    """
    W, Z = array(W, name, 2, allow_complex=True), array(Z, "Z", 2)
    if W.shape[1] != Z.shape[1]:
        raise ValueError(f"Z must have one column a component, {W.shape[1]}, got {Z.shape[1]}")
    return W, Z
