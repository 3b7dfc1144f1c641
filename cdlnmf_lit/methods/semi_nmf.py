r"""Semi-NMF of the analysis coefficients: complex spectra, activations that are not negative.

Equation (9) of the paper with the alternating updates of reference [15]. For complex data and real
activations only real parts matter, so that a complex matrix is factorised as the real one that has
the real and imaginary parts of each row side by side.

Chapter: ``book/methods/semi_nmf.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike

from cdlnmf_lit.methods.decomposition import Decomposition, run
from cdlnmf_lit.methods.resources import Estimate, require_memory, seconds_of
from cdlnmf_lit.methods.starts import activations_of, given, of_as_many
from cdlnmf_lit.theory.arguments import Array, array, choice, integer, non_negative, signal
from cdlnmf_lit.theory.blocks import SINGLE, gram, in_threads, n_threads, pieces, placed, stretches
from cdlnmf_lit.theory.convolution import Convolution
from cdlnmf_lit.theory.gabor import BLOCK, GaborFrame

PASS, ROWS = 2**21, 256
"""Numbers that one thread goes through in a pass, and rows that it reads at once: few enough to
stay in the processor's cache between their two products."""
STARTS = ("random",)


# ---- the two updates of the activations ------------------------------------------------------


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

    Returns
    -------
    array (K, n)

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
    moves = down > np.finfo(z.dtype).tiny * (1 + up)
    np.divide(up, down, out=up, where=moves)
    up[~moves] = 1
    np.sqrt(up, out=up)
    up *= z
    return up


def coordinate_update(z: Array, V: Array, G: Array, penalty: float) -> Array:
    r"""Each component's activations in turn, to the minimum given the others.

    .. math:: z_k ← \max\Big(0, \; z_k + \frac{V_k - (G Z)_k - λ}{G_{kk}}\Big)

    It lowers the same quadratic as :func:`multiplicative_update`, further in one pass, and its
    zeros are free to move again.

    Parameters
    ----------
    z, V, G, penalty
        See :func:`multiplicative_update`.

    Returns
    -------
    array (K, n)

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


ACTIVATION_UPDATES: dict[str, Callable[[Array, Array, Array, float], Array]] = {
    "multiplicative": multiplicative_update,
    "coordinate": coordinate_update,
}


# ---- a matrix ----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Factors:
    r"""One iterate ``X ≈ Zᵀ W`` of a semi-NMF.

    Parameters
    ----------
    iteration : int
        Iterations done.
    spectra : array (K, F)
        ``W``, complex if the data are.
    activations : array (K, N)
        ``Z ≥ 0``.
    objective : float
        ``½‖X - Zᵀ W‖² + λ‖Z‖₁``. It comes from products already at hand; its error is about the
        rounding of ``‖X‖²``, so that a perfect fit shows as ``relative_residual`` of 1e-8, or
        1e-3 in single precision.
    relative_residual : float
        ``‖X - Zᵀ W‖ / ‖X‖``.

    Examples
    --------
    >>> start = next(factorize(np.eye(3), 2, rng=0))
    >>> start.iteration, start.spectra.shape, start.activations.shape
    (0, (2, 3), (2, 3))

    References
    ----------
    Equation (9) of the paper. Chapter: ``book/methods/semi_nmf.md``.
    """

    iteration: int
    spectra: Array
    activations: Array
    objective: float
    relative_residual: float


def factorize(
    X: ArrayLike,
    n_components: int,
    *,
    penalty: float = 0.0,
    activation_update: str = "multiplicative",
    start: str | tuple[ArrayLike, ArrayLike] = "random",
    rng: Any = None,
) -> Iterator[Factors]:
    r"""Iterate a semi-NMF of a matrix: yield the start, then factors an iteration, without end.

    .. math::
        \min_{W, Z ≥ 0} \; ½ \|X - Z^T W\|^2 + λ \|Z\|_1
        \quad\text{subject to } \|w_k\| ≤ 1 \text{ if } λ > 0

    Parameters
    ----------
    X : array (N, F), real or complex
        Read once an iteration; a row is one position.
    n_components : int
        ``K``, at most the rank that ``X`` can have.
    penalty : float
        ``λ``. With ``λ > 0`` the spectra are held in the unit ball; else the penalty could be
        made as small as you like by scaling.
    activation_update : {"multiplicative", "coordinate"}
        The update of ``Z``: that of reference [15], or one that goes further in one pass.
    start : {"random"}, or pair of arrays
        Random activations and the spectra that fit them best, or ``(spectra, activations)`` as in
        :class:`Factors`.
    rng : seed or numpy.random.Generator
        For the start.

    Yields
    ------
    Factors

    Raises
    ------
    ValueError
        For a matrix that is zero everywhere or no matrix of finite numbers, more components than
        it has rows or columns (for complex data, than twice its columns), or a start of the wrong
        shape or sign.

    Examples
    --------
    >>> X = np.outer([1.0, 0.0, 2.0], [1.0, 1j])
    >>> for factors in factorize(X, 1, rng=0):
    ...     if factors.iteration == 30:
    ...         break
    >>> np.allclose(factors.activations.T @ factors.spectra, X)
    True

    References
    ----------
    Equation (9) of the paper, reference [15]. Chapter: ``book/methods/semi_nmf.md``.
    """
    X = array(X, "X", 2, allow_complex=True)
    if not X.any():
        raise ValueError("X must not be zero everywhere")
    data = Data(
        _side_by_side(np.ascontiguousarray(X)),
        non_negative(penalty, "penalty"),
        choice(activation_update, "activation_update", ACTIVATION_UPDATES),
    )
    K = integer(n_components, "n_components", at_most=min(data.A.shape))
    if isinstance(start, tuple):
        W, Z = _given(start, K, X.shape, X.dtype)
        first = data.start(_side_by_side(W), Z)
    else:
        choice(start, "start", STARTS)
        first = data.random_start(K, np.random.default_rng(rng))
    complex_ = np.iscomplexobj(X)
    return (
        replace(f, spectra=f.spectra.view(X.dtype)) if complex_ else f for f in data.factors(first)
    )


def _side_by_side(X: Array) -> Array:
    """A complex matrix (n, F) as the real one (n, 2F) in the same memory."""
    return X.view(X.real.dtype)


def _given(start: Any, K: int, shape: tuple[int, ...], dtype: Any) -> tuple[Array, Array]:
    """Spectra and activations for data of a shape ``(N, F)``."""
    shapes: dict[str, tuple[int, ...]] = {"spectra": (K, shape[1]), "activations": (K, shape[0])}
    W, Z = given(start, shapes, dtype, signed="spectra")
    return W, Z


@dataclass(frozen=True, eq=False)
class Data:
    """A real matrix and what one iteration computes from it, in one pass over its rows.

    Parameters
    ----------
    A : array (N, R)
    penalty : float
        ``λ``.
    activation_update : str
        A name of ``ACTIVATION_UPDATES``.

    Examples
    --------
    >>> data = Data(np.eye(3), 0.0, "multiplicative")
    >>> first = data.random_start(2, np.random.default_rng(0))
    >>> data.after(first).objective <= first.objective
    True

    References
    ----------
    Equation (9) of the paper. Chapter: ``book/methods/semi_nmf.md``.
    """

    A: Array
    penalty: float
    activation_update: str

    @cached_property
    def parts(self) -> list[slice]:
        """Rows that one thread goes through; a small matrix is not worth a second one."""
        N, R = self.A.shape
        return pieces(N, max(1, PASS // R))

    @cached_property
    def energy(self) -> float:
        """``‖A‖²``, in double precision."""
        N, R = self.A.shape
        few = pieces(N, max(1, BLOCK // R))
        return float(sum(np.sum(np.square(self.A[rows], dtype=float)) for rows in few))

    def random_start(self, K: int, rng: np.random.Generator) -> Factors:
        """Random activations, and the spectra that fit them best."""
        N, R = self.A.shape
        Z = rng.random((K, N)).astype(self.A.dtype)
        ZA, ZZ = self.products(Z)
        W = _least_squares(np.zeros((K, R)), ZA, ZZ, self.A.dtype)
        return self.start(W.astype(self.A.dtype), Z)

    def start(self, W: Array, Z: Array) -> Factors:
        """The iterate to begin with; under a penalty its spectra are scaled to norm 1."""
        if self.penalty:
            sizes = np.linalg.norm(W, axis=1, keepdims=True)
            sizes[sizes == 0] = 1
            W, Z = W / sizes, Z * sizes
        return self.iterate(0, W, Z, *self.products(Z))

    def factors(self, found: Factors) -> Iterator[Factors]:
        """All iterates from one on."""
        while True:
            yield found
            found = self.after(found)

    def after(self, found: Factors) -> Factors:
        """One iteration: activations given the spectra, then spectra given the activations."""
        Z, ZA, ZZ = self.updated(found.activations, found.spectra)
        W = found.spectra.astype(float, copy=False)
        if self.penalty:
            W = _within_ball(W, ZA, ZZ)
        else:
            W = _least_squares(W, ZA, ZZ, self.A.dtype)
        W = W.astype(self.A.dtype, copy=False)
        return self.iterate(found.iteration + 1, W, Z, ZA, ZZ)

    def iterate(self, iteration: int, W: Array, Z: Array, ZA: Array, ZZ: Array) -> Factors:
        """Factors with their objective, ``½‖A‖² - ⟨Z A, W⟩ + ½⟨Z Zᵀ, W Wᵀ⟩ + λ Σ Z``."""
        wide = W.astype(float, copy=False)
        fit = self.energy - 2 * np.vdot(ZA, wide) + np.vdot(ZZ, gram(wide, wide))
        fit = max(float(fit), 0.0)
        return Factors(
            iteration=iteration,
            spectra=W,
            activations=Z,
            objective=fit / 2 + self.penalty * float(Z.sum(dtype=float)),
            relative_residual=float(np.sqrt(fit / self.energy)),
        )

    def updated(self, Z: Array, W: Array) -> tuple[Array, Array, Array]:
        """One pass: some rows' activations are updated, then the rows are added to ``Z A``."""
        update, G = ACTIVATION_UPDATES[self.activation_update], gram(W, W)
        across, rest = _tiles(W, len(W))
        down = np.ascontiguousarray(across.swapaxes(1, 2))
        new = np.empty_like(Z)

        def activations(rows: slice, tiles: Array, others: Array) -> Array:
            V = (tiles @ down).sum(axis=0)
            V += others @ rest.T
            z = update(Z[:, rows], np.ascontiguousarray(V.T), G, self.penalty)
            new[:, rows] = z
            return z

        return new, *self._accumulated(activations, len(Z))

    def products(self, Z: Array) -> tuple[Array, Array]:
        """``Z A`` and ``Z Zᵀ``, in double precision."""
        return self._accumulated(lambda rows, *_: Z[:, rows], len(Z))

    def _accumulated(
        self, activations: Callable[[slice, Array, Array], Array], K: int
    ) -> tuple[Array, Array]:
        R = self.A.shape[1]
        width = _tile_width(K)

        def of_part(part: slice) -> tuple[Array, Array]:
            in_tiles, in_others = np.zeros((R // width, K, width)), np.zeros((K, R % width))
            ZZ = np.zeros((K, K))
            for begin in range(part.start, part.stop, ROWS):
                rows = slice(begin, min(begin + ROWS, part.stop))
                tiles, others = _tiles(self.A[rows], K)
                z = activations(rows, tiles, others)
                in_tiles += z @ tiles
                in_others += z @ others
                wide = z.astype(float, copy=False)
                ZZ += wide @ wide.T
            return np.hstack([*in_tiles, in_others]), ZZ

        ZA, ZZ = np.zeros((K, R)), np.zeros((K, K))
        for of_spectra, of_activations in in_threads(of_part, self.parts):
            ZA += of_spectra
            ZZ += of_activations
        return ZA, ZZ


def _tiles(rows: Array, K: int) -> tuple[Array, Array]:
    """Rows (n, R) as a stack of tiles (q, n, c), and the columns left over.

    They are so small that BLAS multiplies them by K rows without threads of its own, which would
    stand in the way of ours; all tiles are one product to NumPy.
    """
    n, R = rows.shape
    width = _tile_width(K)
    q = R // width
    return rows[:, : q * width].reshape(n, q, width).swapaxes(0, 1), rows[:, q * width :]


def _tile_width(K: int) -> int:
    return max(1, SINGLE // (K * ROWS))


def _least_squares(W: Array, ZA: Array, ZZ: Array, dtype: Any) -> Array:
    """``(Z Zᵀ)⁻¹ Z A``; in directions that the activations do not have, ``W`` stays as it is."""
    size = np.sqrt(np.diag(ZZ))
    alive = size > np.finfo(dtype).tiny ** 0.25 * size.max()
    scale = np.divide(1.0, size, out=np.zeros_like(size), where=alive)
    values, vectors = np.linalg.eigh(scale[:, None] * ZZ * scale)
    kept = values > len(ZZ) * np.finfo(dtype).eps * values[-1]
    directions = scale[:, None] * vectors[:, kept]
    inverse = directions / values[kept] @ directions.T
    left = None if kept.all() and alive.all() else np.eye(len(ZZ)) - inverse @ ZZ
    fitted = np.empty_like(ZA)
    for columns in stretches(*ZA.shape):
        fitted[:, columns] = inverse @ ZA[:, columns]
        if left is not None:
            fitted[:, columns] += left @ W[:, columns]
    return fitted


def _within_ball(W: Array, ZA: Array, ZZ: Array) -> Array:
    """Least squares for each spectrum in turn, within the unit ball."""
    W = W.copy()
    for k, row in enumerate(ZZ):
        if row[k] > 0:
            w = W[k] + (ZA[k] - row @ W) / row[k]
            W[k] = w / max(1.0, float(np.linalg.norm(w)))
    return W


# ---- a signal ----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class State:
    r"""One iterate of the semi-NMF of a signal's analysis coefficients.

    Parameters
    ----------
    iteration : int
        Iterations done.
    spectra : complex array (K, M // 2 + 1)
        ``w_k``; the other channels are their conjugates.
    activations : array (K, N)
        ``z_k ≥ 0``.
    objective : float
        ``½‖Φ*x - Zᵀ W‖² + λ‖Z‖₁``, over all ``M`` channels.
    relative_residual : float
        ``‖Φ*x - Zᵀ W‖ / ‖Φ*x‖``.

    Examples
    --------
    >>> x, frame = np.sin(0.3 * np.arange(200.0)), GaborFrame("hann", 4, 32).tight()
    >>> start = next(iterate(x, 1, frame, rng=0))
    >>> start.iteration, start.spectra.shape, start.activations.shape
    (0, (1, 17), (1, 57))

    References
    ----------
    Equation (9) of the paper. Chapter: ``book/methods/semi_nmf.md``.
    """

    iteration: int
    spectra: Array
    activations: Array
    objective: float
    relative_residual: float
    model: Model

    @property
    def record(self) -> dict[str, float]:
        """What the history keeps."""
        return {"objective": self.objective, "relative_residual": self.relative_residual}

    def decomposition(self) -> Decomposition:
        """This iterate as a :class:`Decomposition`, with the residual in time."""
        model = self.model
        return Decomposition(
            method="semi-nmf",
            atoms=model.atoms(self.spectra),
            activations=self.activations,
            hop=model.frame.hop,
            first_sample=model.dual.first_sample,
            residual=model.residual(self.spectra, self.activations),
            status=f"at iteration {self.iteration}",
            parameters=dict(model.parameters),
        )


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
class Model:
    """The signal, the frame, and how spectra and atoms are related.

    Parameters
    ----------
    x : array (T,)
    frame : GaborFrame
    parameters : dict
        For the record.

    Examples
    --------
    >>> x, frame = np.sin(0.3 * np.arange(200.0)), GaborFrame("hann", 4, 32).tight()
    >>> model = Model(x, frame, {})
    >>> W = np.fft.rfft(frame.window * np.ones((1, 32)))
    >>> np.allclose(model.spectra(model.atoms(W)), W)
    True

    References
    ----------
    Equation (9) of the paper. Chapter: ``book/methods/semi_nmf.md``.
    """

    x: Array
    frame: GaborFrame
    parameters: dict[str, Any]

    @cached_property
    def dual(self) -> GaborFrame:
        """The frame that synthesises: with it, the analysis coefficients give back the signal."""
        return self.frame.dual()

    @cached_property
    def window(self) -> Array:
        """The dual window, in the precision of the signal."""
        return self.dual.window.astype(self.x.dtype, copy=False)

    @cached_property
    def place(self) -> Array:
        """The point of the Fourier transform that each sample of the dual window reads."""
        return (np.arange(self.dual.window.size) - self.dual.origin) % self.frame.channels

    @cached_property
    def gains(self) -> Array:
        """See :func:`half_spectrum_gains`."""
        return half_spectrum_gains(self.frame.channels).astype(self.x.dtype)

    def coefficients(self) -> Array:
        """Half-spectra of the signal, times ``gains``: of the norm of the whole spectra."""
        rows_of, M = self.frame.lazy_half_analysis(self.x), self.frame.channels
        shape = self.frame.n_frames(self.x.size), M // 2 + 1
        X = np.empty(shape, np.result_type(self.x.dtype, np.complex64))

        def fill(rows: slice) -> None:
            np.multiply(rows_of(rows), self.gains, out=X[rows])

        for _ in in_threads(fill, self.frame.blocks(self.x.size)):
            pass
        return X

    def atoms(self, spectra: Array) -> Array:
        """``d_k = g̃ · M · IDFT(w_k)``, with the dual window ``g̃``."""
        folded = scipy.fft.irfft(spectra, self.frame.channels, norm="forward")
        return np.asarray(self.window * folded[:, self.place])

    def residual(self, spectra: Array, activations: Array) -> Array:
        """``x - Σ d_k ∗ z_k``."""
        atoms = self.atoms(spectra)
        plan = Convolution(atoms.shape[1], activations.shape[1], self.frame.hop)
        whole = plan.synthesis(plan.atom_spectra(atoms), plan.activation_spectra(activations))
        return np.asarray(self.x - placed(whole, self.dual.first_sample, self.x.size))

    def spectra(self, atoms: Array) -> Array:
        """The spectra whose atoms are nearest to the given ones; 0 where the window is."""

        def folded(values: Array) -> Array:
            return np.bincount(self.place, values, minlength=self.frame.channels)

        shares = np.maximum(folded(self.window**2), np.finfo(atoms.dtype).tiny)
        weights = np.stack([folded(self.window * atom) / shares for atom in atoms])
        return np.asarray(scipy.fft.rfft(weights.astype(atoms.dtype), norm="forward"))


def iterate(
    x: ArrayLike,
    n_components: int,
    frame: GaborFrame | None = None,
    *,
    penalty: float = 0.0,
    start: str | Decomposition | tuple[ArrayLike, ArrayLike] = "random",
    activation_update: str = "multiplicative",
    rng: Any = None,
) -> Iterator[State]:
    r"""Iterate a semi-NMF of ``Φ*x``: yield the start, then a state an iteration, without end.

    .. math::
        \min_{W, Z ≥ 0} \; ½ \|Φ^* x - Z^T W\|^2 + λ \|Z\|_1
        \quad\text{subject to } \|w_k\| ≤ 1 \text{ if } λ > 0

    The norms run over all ``M`` channels, of which half are kept.

    Parameters
    ----------
    x : array (T,)
        The signal.
    n_components : int
        ``K``.
    frame : GaborFrame, optional
        Any frame that counts its phase time-invariant. Default: Hann window of 2048 samples, hop
        8, as the paper has for its piano. A short hop matters: see the chapter.
    penalty : float
        ``λ``. With ``λ > 0`` the spectra are held in the unit ball.
    start : {"random"}, Decomposition, or pair of arrays
        Random activations and the spectra that fit them best; the atoms and activations of any
        method's result; or ``(spectra, activations)`` as in :class:`State`.
    activation_update : {"multiplicative", "coordinate"}
        The update of ``Z``: that of reference [15], or one that goes further in one pass.
    rng : seed or numpy.random.Generator
        For the start.

    Yields
    ------
    State

    Raises
    ------
    ValueError
        For a signal that is silent, a dictionary that is no frame, more components than the data
        allow, or a start of the wrong shape or sign.
    MemoryError
        If the coefficients exceed the memory there is: see :func:`estimate`.

    Examples
    --------
    >>> x, frame = np.sin(0.3 * np.arange(200.0)), GaborFrame("hann", 4, 32).tight()
    >>> for state in iterate(x, 2, frame, rng=0):
    ...     if state.iteration == 20:
    ...         break
    >>> state.relative_residual < 1
    True

    References
    ----------
    Equation (9) of the paper, reference [15]. Chapter: ``book/methods/semi_nmf.md``.
    """
    x = signal(x)
    frame = default_frame() if frame is None else frame
    if not x.any():
        raise ValueError("x must not be silent, got 0.0 at every sample")
    if frame.phase != "time-invariant":
        raise ValueError(f"frame must count its phase time-invariant, got {frame.phase!r}")
    most = min(frame.n_frames(x.size), frame.channels, frame.window.size)
    K = integer(n_components, "n_components", at_most=most)
    penalty = non_negative(penalty, "penalty")
    update = choice(activation_update, "activation_update", ACTIVATION_UPDATES)
    parameters = {
        "n_components": K,
        "hop": frame.hop,
        "channels": frame.channels,
        "window_length": frame.window.size,
        "penalty": penalty,
        "start": start if isinstance(start, str) else type(start).__name__,
        "activation_update": update,
    }
    model = Model(x, frame, parameters)
    begin = _start(model, start, K)
    require_memory(
        _bytes_needed(model.dual, x.size, K, x.dtype),
        f"the coefficients of {x.size} samples at hop {frame.hop}",
    )
    data = Data(_side_by_side(model.coefficients()), penalty, update)
    if begin is None:
        first = data.random_start(K, np.random.default_rng(rng))
    else:
        first = data.start(_side_by_side(model.gains * begin[0]), begin[1])
    return (_state(factors, model) for factors in data.factors(first))


def _state(factors: Factors, model: Model) -> State:
    W = factors.spectra.view(np.result_type(model.x.dtype, np.complex64)) / model.gains
    return State(
        factors.iteration,
        W,
        factors.activations,
        factors.objective,
        factors.relative_residual,
        model,
    )


def decompose(
    x: ArrayLike,
    n_components: int,
    frame: GaborFrame | None = None,
    *,
    penalty: float = 0.0,
    start: str | Decomposition | tuple[ArrayLike, ArrayLike] = "random",
    activation_update: str = "multiplicative",
    iterations: int = 100,
    tolerance: float = 0.0,
    rng: Any = None,
) -> Decomposition:
    """Decompose a signal by semi-NMF: :func:`iterate`, run to its end.

    Parameters
    ----------
    x, n_components, frame, penalty, start, activation_update, rng
        See :func:`iterate`.
    iterations, tolerance
        See :func:`cdlnmf_lit.methods.decomposition.run`.

    Returns
    -------
    Decomposition
        Its atoms are ``d_k = g̃ · M · IDFT(w_k)``, with the dual window ``g̃``: synthesis from
        ``Zᵀ W`` is a convolution.

    Raises
    ------
    ValueError, MemoryError
        See :func:`iterate`.

    Examples
    --------
    >>> x, frame = np.sin(0.3 * np.arange(200.0)), GaborFrame("hann", 4, 32).tight()
    >>> found = decompose(x, 2, frame, iterations=5, rng=0)
    >>> np.allclose(found.components().sum(axis=0) + found.residual, x)
    True

    References
    ----------
    Equation (9) of the paper, reference [15]. Chapter: ``book/methods/semi_nmf.md``.
    """
    states = iterate(
        x,
        n_components,
        frame,
        penalty=penalty,
        start=start,
        activation_update=activation_update,
        rng=rng,
    )
    return run(states, iterations, tolerance)


def default_frame() -> GaborFrame:
    """The paper's frame for its piano: a Hann window of 2048 samples, hop 8; made tight.

    Examples
    --------
    >>> default_frame().hop
    8

    References
    ----------
    Section 4 of the paper. Chapter: ``book/methods/semi_nmf.md``.
    """
    return GaborFrame("hann", 8, 2048).tight()


# ---- starts ------------------------------------------------------------------------------------


def _start(model: Model, start: Any, K: int) -> tuple[Array, Array] | None:
    """Spectra and activations of a start that is given."""
    N, dtype = model.frame.n_frames(model.x.size), model.x.dtype
    if isinstance(start, Decomposition):
        patterns = of_as_many(start, K).patterns(model.window.size).astype(dtype, copy=False)
        Z = activations_of(start, model.frame.hop, model.dual.first_sample, N).astype(
            dtype, copy=False
        )
        W = model.spectra(patterns)
        return (W, Z) if start.spectra is None else _scaled(model, W, Z)
    if isinstance(start, tuple):
        return _given(start, K, (N, model.gains.size), np.result_type(dtype, np.complex64))
    choice(start, "start", STARTS)
    return None


def _scaled(model: Model, W: Array, Z: Array) -> tuple[Array, Array]:
    """The same start at the loudness that fits the signal best."""
    fit = model.x - model.residual(W, Z)
    loudness = float(fit @ model.x) / max(float(fit @ fit), np.finfo(fit.dtype).tiny)
    return W * fit.dtype.type(loudness), Z


# ---- before a run ------------------------------------------------------------------------------


def estimate(
    n_samples: int,
    n_components: int,
    frame: GaborFrame | None = None,
    *,
    dtype: Any = np.float64,
) -> Estimate:
    """Memory and time that :func:`iterate` will take, without running it.

    Most of the memory is that of the coefficients; the time is that of a block, timed on this
    machine.

    Examples
    --------
    >>> estimate(345_500, 8, dtype=np.float32).memory_bytes < 5 * 10**8
    True

    References
    ----------
    Chapter: ``book/methods/semi_nmf.md``.
    """
    frame = default_frame() if frame is None else frame
    n_samples = integer(n_samples, "n_samples")
    K = integer(n_components, "n_components")
    N, R = frame.n_frames(n_samples), 2 * (frame.channels // 2 + 1)
    rows = min(N, max(1, PASS // R))
    data = Data(np.zeros((rows, R), dtype), 0.0, "multiplicative")
    W, Z = np.ones((K, R), dtype), np.ones((K, rows), dtype)
    seconds = seconds_of(lambda: data.updated(Z, W)) * N / rows
    return Estimate(_bytes_needed(frame.dual(), n_samples, K, np.dtype(dtype)), seconds)


def _bytes_needed(dual: GaborFrame, n_samples: int, K: int, dtype: np.dtype) -> int:
    """Coefficients, some blocks, and what the convolutions of the result take."""
    N, M = dual.n_frames(n_samples), dual.channels
    plan = Convolution(dual.window.size, N, dual.hop)
    at_once = min(n_threads(), len(dual.blocks(n_samples)))
    filling = 2 * n_samples + 3.5 * at_once * min(BLOCK, N * M)
    passing = 8 / dtype.itemsize * (min(BLOCK, N * M) + 8 * K * M) + 5 * K * N
    blocks = plan.n_blocks * plan.fft_length
    result = 5 * plan.length + 4 * K * N + 2 * K * blocks + 2 * blocks * plan.hop
    return int((2 * N * (M // 2 + 1) + max(filling, passing, result)) * dtype.itemsize)
