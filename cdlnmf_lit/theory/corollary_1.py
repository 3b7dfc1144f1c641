"""The objectives of Corollary 1: both sides of (15), as they hold and as they are printed.

Chapter: ``book/theory/corollary_1.md``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from cdlnmf_lit.theory.arguments import Array, array, integer, non_negative, signal
from cdlnmf_lit.theory.blocks import placed
from cdlnmf_lit.theory.convolution import synthesize
from cdlnmf_lit.theory.equivalence import factor_pair, model_pair, synthesize_factors
from cdlnmf_lit.theory.gabor import GaborFrame


def cdl_objective(
    x: ArrayLike,
    atoms: ArrayLike,
    activations: ArrayLike,
    penalty: float,
    *,
    hop: int = 1,
    start: int = 0,
) -> float:
    r"""The left side of (15), convolutional dictionary learning, at given atoms and activations.

    .. math:: \frac12 \Big\| x - \sum_k d_k * z_k \Big\|^2 + λ \sum_k \|z_k\|_1

    Parameters
    ----------
    x : array (T,)
    atoms : array (K, T_d)
    activations : array (K, N)
    penalty : float
        ``λ``, in the units of ``x`` times those of the atoms.
    hop : int
        Samples between two activations; 1 in the paper.
    start : int
        Sample at which the atom of the first activation begins; for the positions of a frame,
        ``frame.hop * frame.first_frame - frame.origin``. What falls outside ``[0, T)`` is cut;
        something has to be left.

    Raises
    ------
    ValueError
        If the shapes disagree, the penalty is negative, or the model lies beside the signal.

    Examples
    --------
    >>> cdl_objective([1.0, 0.0, 1.0], [[1.0, 0.0]], [[1.0, 0.0]], penalty=0.1)
    0.6

    References
    ----------
    Corollary 1 of the paper, equations (2) and (15).
    """
    x, penalty = signal(x), non_negative(penalty, "penalty")
    D, z = model_pair(atoms, activations)
    size = integer(hop, "hop") * (z.shape[1] - 1) + D.shape[1]
    start = integer(start, "start", at_least=1 - size, at_most=x.size - 1)
    model = placed(synthesize(D, z, hop), start, x.size)
    return _objective(x - model, z, penalty)


def factorized_objective(
    x: ArrayLike, W: ArrayLike, Z: ArrayLike, frame: GaborFrame, penalty: float
) -> float:
    r"""The right side of (15) as it holds: one spectrum a component, the same at every position.

    .. math:: \frac12 \| x - Φ(Z W^T) \|^2 + λ \|Z\|_1

    Under the constraint ``‖d_k‖ ≤ 1`` on the atoms of ``W`` its minimum is that of
    :func:`cdl_objective`; with ``W, Z = factors_of_model(…)`` the two values agree.

    Parameters
    ----------
    x : array (T,)
    W : array (M, K), real or complex
    Z : array (N, K)
    frame : GaborFrame
    penalty : float
        ``λ``.

    Raises
    ------
    ValueError
        If the shapes disagree or the penalty is negative.

    Examples
    --------
    >>> frame = GaborFrame(np.ones(2), hop=1)
    >>> from cdlnmf_lit.theory.equivalence import factors_of_model
    >>> W, Z = factors_of_model([[1.0, 0.0]], [[0.0, 1.0, 0.0, 0.0]], frame)
    >>> factorized_objective([1.0, 0.0, 1.0], W, Z, frame, penalty=0.1)
    0.6

    References
    ----------
    Corollary 1 of the paper, equations (15) and (17), corrected.
    """
    x, penalty = signal(x), non_negative(penalty, "penalty")
    W, Z = factor_pair(W, Z)
    return _objective(x - synthesize_factors(W, Z, frame, x.size), Z, penalty)


def free_phase_objective(
    x: ArrayLike,
    magnitudes: ArrayLike,
    Z: ArrayLike,
    phases: ArrayLike,
    frame: GaborFrame,
    penalty: float,
) -> float:
    r"""The right side of (15) as printed, where every coefficient has a phase of its own.

    .. math::
        \frac12 \| x - Φ(α) \|^2 + λ \|Z\|_1, \qquad
        α[τ, ν] = \sum_k W[ν, k] \, Z[τ, k] \, e^{iθ_k[τ, ν]}, \quad W, Z ≥ 0

    The phases are as large as ``K`` arrays of coefficients: this is for small examples.

    Parameters
    ----------
    x : array (T,)
    magnitudes : array (M, K)
        ``W``, at least 0.
    Z : array (N, K)
        At least 0.
    phases : array (K, N, M)
        ``θ_k[τ, ν]``, in radians.
    frame : GaborFrame
    penalty : float
        ``λ``.

    Raises
    ------
    ValueError
        If the shapes disagree, a factor or the penalty is negative.

    Examples
    --------
    Spectra ``(½, ½)`` and phases that turn in the second position make ``x = (1, 0, 1)``, which is
    no convolution of two real sequences of length 2:

    >>> frame = GaborFrame(np.ones(2), hop=1)
    >>> theta = np.zeros((1, 4, 2))
    >>> theta[0, 2, 1] = np.pi
    >>> Z = np.array([[0.0], [1.0], [1.0], [0.0]])
    >>> bool(free_phase_objective([1.0, 0.0, 1.0], [[0.5], [0.5]], Z, theta, frame, 0.0) < 1e-30)
    True

    References
    ----------
    Corollary 1 of the paper, equations (15) and (18), as printed.
    """
    x, penalty = signal(x), non_negative(penalty, "penalty")
    W, Z = factor_pair(magnitudes, Z, name="magnitudes")
    for factor, name in ((W, "magnitudes"), (Z, "Z")):
        if np.iscomplexobj(factor) or factor.min() < 0:
            raise ValueError(f"{name} must be real and at least 0, got {factor.min()}")
    theta = array(phases, "phases", 3)
    if theta.shape != (W.shape[1], len(Z), len(W)):
        wanted = (W.shape[1], len(Z), len(W))
        raise ValueError(f"phases must have shape {wanted}, got {theta.shape}")
    alpha = np.einsum("mk,nk,knm->nm", W, Z, np.exp(1j * theta))
    return _objective(x - frame.synthesis(alpha, x.size), Z, penalty)


def _objective(residual: Array, activations: Array, penalty: float) -> float:
    fit = np.vdot(residual, residual).real
    return float(fit / 2 + penalty * np.abs(activations).sum())
