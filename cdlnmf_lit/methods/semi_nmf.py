r"""Semi-NMF of the analysis coefficients: complex spectra, activations that are not negative.

Equation (9) of the paper with the alternating updates of reference [15]. For complex data and real
activations only real parts matter, so that a complex matrix is factorised as the real one that has
the real and imaginary parts of each row side by side.

Chapter: ``book/methods/semi_nmf.md``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cdlnmf_lit.methods import method
from cdlnmf_lit.methods.decomposition import Decomposition
from cdlnmf_lit.methods.factors import (
    coordinate_update,
    in_ball,
    multiplicative_update,
    normalised,
    norms,
)
from cdlnmf_lit.methods.families import OnFrames, Sparse, largest_norm, on, require_sound
from cdlnmf_lit.methods.method import USUAL_GAP
from cdlnmf_lit.methods.options import OneOf, option
from cdlnmf_lit.methods.starts import opened, own_activations
from cdlnmf_lit.theory.arguments import Array, array, integer
from cdlnmf_lit.theory.blocks import (
    ONE_THREAD,
    gram,
    in_threads,
    n_threads,
    pieces,
    placed,
    product,
    stretches,
    summed,
)
from cdlnmf_lit.theory.convolution import Convolution
from cdlnmf_lit.theory.equivalence import AtomsOfSpectra, half_spectrum_gains
from cdlnmf_lit.theory.gabor import BLOCK, GaborFrame, hann


@dataclass(frozen=True, eq=False)
class Problem(method.Problem):
    r"""A real matrix to factorise, ``A ≈ Zᵀ W``. Complex data are one of twice as many columns.

    .. math:: Z ← Z \sqrt{\frac{V^+ + G^- Z}{V^- + G^+ Z + λ}}, \quad W ← (Z Z^T)^{-1} Z A,
        \qquad V = W A^T, \; G = W W^T

    With ``λ > 0`` each spectrum in turn goes to its minimum within the unit ball instead.

    Parameters
    ----------
    A : array (N, R), or rows
        It is read once an iteration.
    update : callable
        The update of ``Z``: ``multiplicative_update``, or one with the same arguments.
    penalty : float
        ``λ``.
    gains : array (R / 2,), optional
        By what the channels of complex data have been multiplied; None for real data.

    Examples
    --------
    >>> problem = Problem(np.eye(3), coordinate_update)
    >>> start = problem.begin(2, "random", np.random.default_rng(0))
    >>> problem.after(start).objective <= start.objective
    True

    References
    ----------
    Equation (9) of the paper, reference [15].
    """

    A: Array | _Rows
    update: Update
    penalty: float = 0.0
    gains: Array | None = None

    def updated(self, W: Array, Z: Array, products: Pair) -> tuple[Array, Array, Pair]:
        """Activations ``(K, N)`` given the spectra, then spectra ``(K, R)`` given those.

        ``products`` are ``Z A`` and ``Z Zᵀ``. In one pass over ``A`` the activations of some rows
        are updated and added to them. Where the spectra are held they are ``V`` and ``G``, which
        stay; where the activations are held they stay too, and ``A`` is not read again.
        """
        if self.held == "patterns":
            return W, self._activations(Z, *products), products
        if self.held is None:
            G, correlations, moved = gram(W, W), self._correlator(W), np.empty_like(Z)

            def activations(rows: slice) -> Array:
                z = self.update(Z[:, rows], correlations(rows), G, self.penalty)
                moved[:, rows] = z
                return z

            Z, products = moved, self.products(activations, len(Z))
        fitted = _within_ball if self.penalty else _least_squares
        return fitted(W, *products), Z, products

    def _activations(self, Z: Array, V: Array, G: Array) -> Array:
        """All activations at once, from products that are at hand."""
        moved = np.empty_like(Z)

        def move(columns: slice) -> None:
            moved[:, columns] = self.update(Z[:, columns], V[:, columns], G, self.penalty)

        for _ in in_threads(move, stretches(*Z.shape)):
            pass
        return moved

    def misfit(self, state: State) -> float:
        """``‖A - Zᵀ W‖²`` from the products at hand: ``‖A‖² - 2⟨Z A, W⟩ + ⟨Z Zᵀ, W Wᵀ⟩``.

        Where the spectra are held it is ``‖A‖² - 2⟨V, Z⟩ + ⟨G, Z Zᵀ⟩``. Its error is about the
        rounding of ``‖A‖²``. Where components are so large that they nearly cancel, the data are
        read once more instead.
        """
        free = state.activations if self.held == "patterns" else state.real_spectra
        wide = free.astype(float, copy=False)
        linear, quadratic = state.products
        products = gram(wide, wide)
        if np.diag(quadratic) @ np.diag(products) > CANCELLING * self.energy:
            return self._distance(state.real_spectra, state.activations)
        found = self.energy - 2 * np.vdot(linear, wide) + np.vdot(quadratic, products)
        return max(float(found), 0.0)

    def _distance(self, W: Array, Z: Array) -> float:
        """``‖A - Zᵀ W‖²``, block by block."""
        blocks = pieces(len(self.A), max(1, BLOCK // self.A.shape[1]))
        wide, left = W.astype(float, copy=False), 0.0
        for rows in blocks:
            rest = self.A[rows] - Z[:, rows].T @ wide
            left += float(np.sum(np.square(rest, out=rest)))
        return left

    @cached_property
    def energy(self) -> float:
        """``‖A‖²``, in double precision."""
        N, R = self.A.shape
        blocks = pieces(N, max(1, BLOCK // R))
        return float(sum(np.sum(np.square(self.A[rows], dtype=float)) for rows in blocks))

    # ---- the products, in one pass over the data -----------------------------------------------

    def products(self, activations: Callable[[slice], Array], K: int) -> Pair:
        """``Z A`` and ``Z Zᵀ`` in double precision; ``activations`` of a block are asked once."""
        R = self.A.shape[1]

        def of_part(part: slice) -> Pair:
            ZA, ZZ = np.zeros((K, R)), np.zeros((K, K))
            for rows in self._blocks(part):
                z, here, data = activations(rows), np.zeros((K, R), self.A.dtype), self.A[rows]
                for strip, columns in _tiles(len(data), K, R):
                    here[:, columns] += product(z[:, strip], data[strip, columns])
                ZA += here
                wide = z.astype(float, copy=False)
                ZZ += wide @ wide.T
            return ZA, ZZ

        ZA, ZZ = summed(of_part, self.parts)
        return ZA, ZZ

    def _correlator(self, W: Array) -> Callable[[slice], Array]:
        """From some rows of ``A`` to their columns of ``V = W Aᵀ``."""
        across = np.ascontiguousarray(W.T)

        def correlations(rows: slice) -> Array:
            data = self.A[rows]
            V = np.zeros((len(data), len(W)), W.dtype)
            for strip, columns in _tiles(len(data), *W.shape):
                V[strip] += product(data[strip, columns], across[columns])
            return np.ascontiguousarray(V.T)

        return correlations

    def correlations(self, W: Array) -> Pair:
        """``V = W Aᵀ`` and ``G = W Wᵀ``, which stay the same while the spectra are held."""
        V, correlations = np.empty((len(W), len(self.A)), W.dtype), self._correlator(W)

        def fill(part: slice) -> None:
            for rows in self._blocks(part):
                V[:, rows] = correlations(rows)

        for _ in in_threads(fill, self.parts):
            pass
        return V, gram(W, W)

    @cached_property
    def parts(self) -> list[slice]:
        """Rows that one thread goes through; a small matrix is not worth a second one."""
        N, R = self.A.shape
        return pieces(N, max(1, PASS // R))

    def _blocks(self, part: slice) -> Iterator[slice]:
        size = ROWS if len(self.parts) > 1 else len(self.A)
        for begin in range(part.start, part.stop, size):
            yield slice(begin, min(begin + size, part.stop))

    # ---- starts, states, atoms -----------------------------------------------------------------

    def drawn(self, K: int, start: str, rng: np.random.Generator) -> tuple[Array, Array]:
        """Random activations, and the spectra that fit them best, as rows of ``A`` are."""
        N, R = self.A.shape
        Z = rng.random((K, N)).astype(self.A.dtype)
        products = self.products(lambda rows: Z[:, rows], K)
        return _least_squares(np.zeros((K, R), Z.dtype), *products), Z

    def activations_for(self, W: Array) -> Array:
        """What each spectrum alone would have, where that is positive; opened."""
        W = self.real_spectra(W)
        V, _ = self.correlations(W)
        V /= np.square(norms(W))[:, None]
        return opened(np.maximum(V, 0, out=V))

    def taken(self, found: Decomposition) -> tuple[Array, Array]:
        dtype, dual = self.x.dtype, self.theorem.frame
        d = found.patterns(dual.window.size).astype(dtype, copy=False)
        W = self.theorem.spectra_of(d)
        Z = own_activations(found, self.x.size, dual.hop, dual.first_sample, len(self.A))
        return W, self.activations_for(W) if Z is None else Z.astype(dtype, copy=False)

    def first(self, W: Array, Z: Array) -> State:
        """A start; under a penalty, what is free is scaled to spectra of norm at most 1."""
        real = self.real_spectra(W)
        if self.held == "patterns":
            patterns = W if np.iscomplexobj(W) else self.spectra(real)
            return State(0, patterns, Z, self, real, self.correlations(real))
        if self.penalty and self.held == "activations":
            real = in_ball(real)
        elif self.penalty:
            real, Z = normalised(real, Z)
        products = self.products(lambda rows: Z[:, rows], len(Z))
        return State(0, self.spectra(real), Z, self, real, products)

    def after(self, state: State) -> State:
        real, Z, products = self.updated(state.real_spectra, state.activations, state.products)
        W = state.patterns if self.held == "patterns" else self.spectra(real)
        return State(state.iteration + 1, W, Z, self, real, products)

    def real_spectra(self, W: Array) -> Array:
        """Spectra as rows of ``A`` are; real ones are that already."""
        return (self.gains * W).view(self.A.dtype) if np.iscomplexobj(W) else W

    def spectra(self, real: Array) -> Array:
        """The spectra that :meth:`real_spectra` come from."""
        if self.gains is None:
            return real
        return (real * np.repeat(1 / self.gains, 2)).view(np.result_type(real, np.complex64))

    def record(self, state: State) -> dict[str, float]:
        misfit, Z = self.misfit(state), state.activations
        return {
            "objective": misfit / 2 + self.penalty * float(Z.sum(dtype=float)),
            "relative_residual": float(np.sqrt(misfit / self.energy)),
        }

    @cached_property
    def theorem(self) -> AtomsOfSpectra:
        """The atoms of spectra, for the dual frame: so the coefficients give back the signal."""
        return AtomsOfSpectra(self.method.dual, self.x.dtype)

    def residual(self, W: Array, Z: Array) -> Array:
        """``x - Σ d_k ∗ z_k``."""
        atoms, dual = self.theorem.atoms_of(W), self.theorem.frame
        plan = Convolution(atoms.shape[1], Z.shape[1], dual.hop)
        whole = plan.synthesis(plan.atom_spectra(atoms), plan.activation_spectra(Z))
        return np.asarray(self.x - placed(whole, dual.first_sample, self.x.size))

    def result(self, state: State) -> dict[str, Any]:
        dual = self.theorem.frame
        return {
            "atoms": self.theorem.atoms_of(state.patterns),
            "residual": self.residual(state.patterns, state.activations),
            "hop": dual.hop,
            "first_sample": dual.first_sample,
        }


PASS, ROWS = 2**21, 256
"""Numbers that one thread goes through in a pass, and of a matrix of more than these the rows that
it reads at once: few enough to stay in the processor's cache between their two products."""
LEAST_ROWS = 16
"""Of data so wide that a strip of this many has to be cut."""
CANCELLING = 1e4
"""Energy of the components, as a multiple of that of the data, from which digits are lost."""
LARGEST = sys.maxsize // 2
"""Bytes of an array that is formed: half of those that have addresses, which are few in 32 bits."""

Pair = tuple[Array, Array]
Update = Callable[[Array, Array, Array, float], Array]


@dataclass(frozen=True, eq=False)
class _Rows:
    """The real matrix of a sound's coefficients, whose rows are computed as they are read.

    Examples
    --------
    >>> rows_of = hann(8, 2).lazy_half_analysis(np.ones(9))
    >>> _Rows(rows_of, np.ones(5), (8, 10))[2:4].shape
    (2, 10)
    """

    rows_of: Callable[[slice], Array]
    gains: Array
    shape: tuple[int, int]

    @property
    def dtype(self) -> np.dtype:
        return self.gains.dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> Array:
        return (self.rows_of(rows) * self.gains).view(self.dtype)


@dataclass(frozen=True, eq=False)
class State(method.State):
    """One iterate; of a signal, its spectra ``w_k`` are those in channels 0 to ``M // 2``.

    Parameters
    ----------
    real_spectra : array (K, R)
        The spectra as rows of the real matrix.
    products : pair of arrays
        See :meth:`Problem.updated`.

    Examples
    --------
    >>> start = next(SemiNMF().factorize(np.eye(3), 2))
    >>> start.iteration, start.patterns.shape, start.activations.shape
    (0, (2, 3), (2, 3))

    References
    ----------
    Equation (9) of the paper.
    """

    real_spectra: Array
    products: Pair


ACTIVATION_UPDATES: dict[str, Update] = {
    "multiplicative": multiplicative_update,
    "coordinate": coordinate_update,
}


# ---- the update of the spectra, and the products ---------------------------------------------


def _least_squares(W: Array, ZA: Array, ZZ: Array) -> Array:
    """``(Z Zᵀ)⁻¹ Z A``; in directions that the activations do not have, ``W`` stays as it is."""
    info, size = np.finfo(W.dtype), np.sqrt(np.diag(ZZ))
    alive = size > info.tiny**0.25 * size.max()  # else ‖W‖² could overflow
    scale = np.divide(1.0, size, out=np.zeros_like(size), where=alive)
    values, vectors = np.linalg.eigh(scale[:, None] * ZZ * scale)
    kept = values > len(ZZ) * info.eps * values[-1]
    directions = scale[:, None] * vectors[:, kept]
    inverse = directions / values[kept] @ directions.T
    left = None if kept.all() and alive.all() else np.eye(len(ZZ)) - inverse @ ZZ
    fitted = np.empty_like(W)
    for columns in stretches(*ZA.shape):
        found = inverse @ ZA[:, columns]
        if left is not None:
            found += left @ W[:, columns]
        fitted[:, columns] = found
    return fitted


def _within_ball(W: Array, ZA: Array, ZZ: Array) -> Array:
    """Least squares for each spectrum in turn, within the unit ball."""
    moved = W.astype(float)
    for k, row in enumerate(ZZ):
        if row[k] > 0:
            w = moved[k] + (ZA[k] - row @ moved) / row[k]
            moved[k] = w / max(1.0, float(np.linalg.norm(w)))
    return moved.astype(W.dtype, copy=False)


@lru_cache(maxsize=16)
def _tiles(n: int, K: int, R: int) -> list[tuple[slice, slice]]:
    """Tiles of ``n`` rows of data that BLAS multiplies by ``K`` rows without threads of its own.

    These would stand in the way of ours. A tile is as wide as the data where it can be.
    """
    width = min(R, max(1, ONE_THREAD // (K * LEAST_ROWS)))
    height = max(1, ONE_THREAD // (K * width))
    return [(rows, columns) for rows in pieces(n, height) for columns in pieces(R, width)]


# ---- options ---------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, repr=False)
class SemiNMF(Sparse, OnFrames, name="semi-nmf"):
    r"""Complex spectra and activations that are not negative, of the analysis coefficients.

    .. math::
        \min_{W, Z ≥ 0} \; ½ \|Φ^* x - Z^T W\|^2 + λ \|Z\|_1
        \quad\text{subject to } \|w_k\| ≤ 1 \text{ if } λ > 0

    The norms run over all ``M`` channels, of which half are kept; without the bound a penalty could
    be made as small as you like by scaling. The frame is any that counts its phase time-invariant.
    A short hop matters: see the chapter. The atoms are ``d_k = g̃ · M · IDFT(w_k)``, with the dual
    window ``g̃``: synthesis from ``Zᵀ W`` is a convolution.

    Held spectra keep their phases and their norms, beyond 1 too; the activations alone move, and
    the data are read once for all iterations. To held activations the spectra are fitted by least
    squares; with a penalty within the unit ball, into which a start is moved without a change of
    the activations.

    Raises
    ------
    ValueError
        For an option that does not meet its rule, or both a penalty and its share.

    Examples
    --------
    >>> x = np.sin(0.3 * np.arange(200.0))
    >>> found = SemiNMF(frame=hann(32, 4), iterations=5).decompose(x, 2)
    >>> np.allclose(found.components().sum(axis=0) + found.residual, x)
    True

    References
    ----------
    Equation (9) of the paper, reference [15].
    """

    frame: GaborFrame = on(hann(2048, 8))
    activation_update: str = option(
        "multiplicative",
        "The update of ``Z``: that of reference [15], or one that goes further in one pass.",
        OneOf(*ACTIVATION_UPDATES),
    )

    SIGNED = ("patterns",)
    IS_FRAMEWISE = True

    @cached_property
    def dual(self) -> GaborFrame:
        """The frame that synthesises."""
        return self.frame.dual()

    def coefficients(self, x: Array) -> Array:
        """Half-spectra of the signal, times the gains: of the norm of the whole spectra."""
        rows_of, gains = self.frame.lazy_half_analysis(x), self._gains(x)
        X = np.empty(self.shape(x.size), np.result_type(x.dtype, np.complex64))

        def fill(rows: slice) -> None:
            np.multiply(rows_of(rows), gains, out=X[rows])

        for _ in in_threads(fill, self.frame.blocks(x.size)):
            pass
        return X

    def _gains(self, x: Array) -> Array:
        return half_spectrum_gains(self.frame.channels).astype(x.dtype)

    def lambda_max(self, x: Array) -> float:
        r"""The smallest penalty from which on no spectra of norm 1 have activations.

        .. math:: λ_{\max} = \max_n \|X_n\|, \qquad X = Φ^* x

        The objective is convex in ``Z``. At ``Z = 0`` its slope along ``z_k[n]`` is
        ``λ - Re⟨X_n, w_k⟩``, and ``Re⟨X_n, w_k⟩ ≤ ‖X_n‖ ‖w_k‖ ≤ λ_max``. So from ``λ_max`` on no
        slope is negative, and 0 is the minimum whatever the spectra. Below it the slope for
        ``w_k = X_n / ‖X_n‖`` is negative at the largest row, and that spectrum is used. A matrix
        in place of the signal stands for ``X``.
        """
        if x.ndim == 2:
            return largest_norm(x.__getitem__, pieces(len(x), max(1, BLOCK // x.shape[1])))
        rows_of, gains = self.frame.lazy_half_analysis(x), self._gains(x)
        return largest_norm(lambda rows: gains * rows_of(rows), self.frame.blocks(x.size))

    def check(self, x: Array) -> None:
        require_sound(x)
        self.require_time_invariance()

    def most_components(self, n_samples: int) -> int:
        frame = self.frame
        return min(frame.n_frames(n_samples), frame.channels, frame.window.size)

    def arrays_of(
        self, start: Any, n_samples: int, K: int, dtype: Any
    ) -> tuple[Array, Array | None]:
        return super().arrays_of(start, n_samples, K, np.result_type(dtype, np.complex64))

    def patterns_of(self, found: Decomposition) -> Array:
        atoms = np.asarray(found.atoms)
        return AtomsOfSpectra(self.dual, atoms.dtype).spectra_of(atoms)

    def problem(self, x: Array, K: int, **asked: Any) -> Problem:
        return self._problem_of(self._matrix(x), self._gains(x), x=x, **asked)

    def _matrix(self, x: Array) -> Array | _Rows:
        """The data, as an array unless it is too large for one."""
        if self._formed(x.size, x.dtype):
            return self.coefficients(x).view(x.dtype)
        N, F = self.shape(x.size)
        return _Rows(self.frame.lazy_half_analysis(x), self._gains(x), (N, 2 * F))

    def _formed(self, n_samples: int, dtype: np.dtype) -> int:
        """The bytes of the array, or 0 for one that is too large."""
        N, F = self.shape(n_samples)
        size = 2 * N * F * dtype.itemsize
        return size if size <= LARGEST else 0

    def _problem_of(self, A: Array | _Rows, gains: Array | None, **asked: Any) -> Problem:
        update = ACTIVATION_UPDATES[self.activation_update]
        return Problem(A, update, self.penalty or 0.0, gains, method=self, **asked)

    def factorize(
        self,
        X: ArrayLike,
        n_components: int,
        *,
        start: Any = None,
        held: str | None = None,
        rng: Any = 0,
    ) -> Iterator[State]:
        r"""Iterate semi-NMF of a matrix: yield the start, then a state each time, without end.

        Parameters
        ----------
        X : array (N, F), real or complex
            Read once an iteration; a row is one position.
        n_components : int
            ``K``, at most the rank that ``X`` can have.
        start, held, rng
            See :meth:`~cdlnmf_lit.methods.method.Method.iterate`.

        Raises
        ------
        ValueError
            For a matrix that is zero everywhere or no matrix of finite numbers, more components
            than it has rows or columns (for complex data, than twice its columns), or a start of
            the wrong shape or sign.

        Examples
        --------
        >>> X = np.outer([1.0, 0.0, 2.0], [1.0, 1j])
        >>> for state in SemiNMF().factorize(X, 1):
        ...     if state.iteration == 30:
        ...         break
        >>> np.allclose(state.activations.T @ state.patterns, X)
        True
        """
        X = self.in_precision(array(X, "X", 2, allow_complex=True))
        if not X.any():
            raise ValueError("X must not be zero everywhere")
        N, F = X.shape
        A = np.ascontiguousarray(X).view(X.real.dtype)
        K = integer(n_components, "n_components", at_most=min(A.shape))
        gains = np.ones(F, A.dtype) if np.iscomplexobj(X) else None
        problem = self.resolved(X)._problem_of(A, gains, held=held)
        shapes = {"patterns": (K, F), "activations": (K, N)}
        return self.states_of(problem, shapes, X.dtype, start, rng)

    # ---- what it needs -------------------------------------------------------------------------

    @property
    def usual_gap(self) -> float:
        return USUAL_GAP

    def applied(
        self, x: Array, W: Array, learnt: Decomposition, gap: float | None, **asked: Any
    ) -> Iterator[Any]:
        """From no activations, each frame to a gap of its own."""
        from cdlnmf_lit.methods.duality import FRAMES, least_squares, solved

        problem = self.problem(x, len(W), **asked)
        b, G = problem.correlations(problem.real_spectra(W))
        rows_of = pieces(len(problem.A), FRAMES)
        energies = np.concatenate(
            [np.sum(np.square(problem.A[rows], dtype=float), axis=1) for rows in rows_of]
        )
        solver = least_squares(G, b, energies, self.penalty or 0.0)
        return solved(problem, W, np.zeros_like(b), solver, gap, energies)

    def bytes_needed(self, n_samples: int, K: int, dtype: np.dtype) -> int:
        """Coefficients, some blocks, and what the convolutions of the result take."""
        dual = self.dual
        N, M = dual.n_frames(n_samples), dual.channels
        plan = Convolution(dual.window.size, N, dual.hop)
        at_once = min(n_threads(), len(dual.blocks(n_samples)))
        filling = 2 * n_samples + 3.5 * at_once * min(BLOCK, N * M)
        passing = 8 / dtype.itemsize * (min(BLOCK, N * M) + 8 * K * M) + 5 * K * N
        blocks = plan.n_blocks * plan.fft_length
        result = 5 * plan.length + 4 * K * N + 2 * K * blocks + 2 * blocks * plan.hop
        return self._formed(n_samples, dtype) + int(max(filling, passing, result) * dtype.itemsize)
