"""Sums of convolutions: synthesis and its two adjoints, at any hop.

Equation (1) of the paper. Chapter: ``book/theory/convolution.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike

from cdlnmf_lit.theory.arguments import Array, array, integer, signal
from cdlnmf_lit.theory.blocks import frames, in_threads, n_threads, pieces, placed
from cdlnmf_lit.theory.operators import Operator

GROUP, ROWS = 2**18, 8
"""Samples in one group of blocks, what one thread transforms at a time, and rows a block has."""
CACHED = 2**14
"""Points up to which a Fourier transform stays in the processor's cache."""
EVEN = 16
"""What the length of a block's transform is a multiple of: powers of two are quickest."""


def synthesize(atoms: ArrayLike, activations: ArrayLike, hop: int = 1) -> Array:
    r"""Sum of convolutions of atoms with activations (eq. 1 without its noise).

    .. math:: x[t] = \sum_k \sum_n z_k[n] \, d_k[t - a n]

    Parameters
    ----------
    atoms : array (K, T_d)
        ``d_k``.
    activations : array (K, N)
        ``z_k``, one value every ``hop`` samples.
    hop : int
        ``a``; 1 is the plain convolution ``Σ d_k ∗ z_k``.

    Returns
    -------
    array (a (N - 1) + T_d,)
        float32 if both are, else float64.

    Raises
    ------
    ValueError
        If the arrays are not two-dimensional, real, finite and of as many rows.

    Examples
    --------
    >>> synthesize([[1.0, 2.0]], [[1.0, 0.0, 10.0]])
    array([ 1.,  2., 10., 20.])

    References
    ----------
    Equation (1) of the paper.
    """
    d, z = _pair(atoms, activations)
    plan = Convolution(d.shape[1], z.shape[1], hop)
    return plan.synthesis(plan.atom_spectra(d), plan.activation_spectra(z))


def correlate_with_atoms(atoms: ArrayLike, x: ArrayLike, hop: int = 1) -> Array:
    r"""Adjoint of :func:`synthesize` in the activations: how much of each atom is where.

    .. math:: c_k[n] = \sum_t x[t] \, d_k[t - a n]

    Parameters
    ----------
    atoms : array (K, T_d)
    x : array (T,)
        ``T = a (N - 1) + T_d`` for some ``N``.
    hop : int
        ``a``.

    Returns
    -------
    array (K, N)

    Raises
    ------
    ValueError
        If ``x`` is of no such length.

    Examples
    --------
    >>> correlate_with_atoms([[1.0, 2.0]], [1.0, 2.0, 10.0, 20.0])
    array([[ 5., 22., 50.]])

    References
    ----------
    Adjoint of equation (1) of the paper.
    """
    d, r = array(atoms, "atoms", 2), signal(x)
    d, r = _common(d, r)
    T_d, a = d.shape[1], integer(hop, "hop")
    N = _length_left(r.size - T_d, a, "atoms' length")
    plan = Convolution(T_d, N, a)
    return plan.correlation_with_atoms(plan.signal_spectra(r), plan.atom_spectra(d))


def correlate_with_activations(activations: ArrayLike, x: ArrayLike, hop: int = 1) -> Array:
    r"""Adjoint of :func:`synthesize` in the atoms: the average signal after each activation.

    .. math:: c_k[s] = \sum_n z_k[n] \, x[a n + s], \qquad 0 ≤ s < T_d

    Parameters
    ----------
    activations : array (K, N)
    x : array (T,)
        ``T = a (N - 1) + T_d`` for some ``T_d``.
    hop : int
        ``a``.

    Returns
    -------
    array (K, T_d)

    Raises
    ------
    ValueError
        If ``x`` is shorter than the activations reach.

    Examples
    --------
    >>> correlate_with_activations([[1.0, 0.0, 10.0]], [1.0, 2.0, 10.0, 20.0])
    array([[101., 202.]])

    References
    ----------
    Adjoint of equation (1) of the paper.
    """
    z, r = array(activations, "activations", 2), signal(x)
    z, r = _common(z, r)
    N, a = z.shape[1], integer(hop, "hop")
    T_d = r.size - a * (N - 1)
    if T_d < 1:
        raise ValueError(f"x must have more than hop (N - 1) = {a * (N - 1)} samples, got {r.size}")
    plan = Convolution(T_d, N, a)
    return plan.correlation_with_activations(plan.signal_spectra(r), plan.activation_spectra(z))


def operator_in_activations(atoms: ArrayLike, n_activations: int, hop: int = 1) -> Operator:
    """``z ↦ Σ d_k ∗ z_k`` for given atoms; the norm is an upper bound, near for long activations.

    Examples
    --------
    >>> A = operator_in_activations([[3.0, 4.0]], 5)
    >>> A.shape_in, A.shape_out, A.norm <= 7.0
    ((1, 5), (6,), True)

    References
    ----------
    Equation (1) of the paper.
    """
    d = array(atoms, "atoms", 2)
    plan = Convolution(d.shape[1], n_activations, hop)
    return Operator(
        forward=lambda z: synthesize(d, z, plan.hop),
        adjoint=lambda x: correlate_with_atoms(d, x, plan.hop),
        shape_in=(len(d), plan.n_activations),
        shape_out=(plan.length,),
        dtype=d.dtype,
        norm=_norm_bound(_rows(d, plan.hop), plan.n_activations),
    )


def operator_in_atoms(activations: ArrayLike, atom_length: int, hop: int = 1) -> Operator:
    """``d ↦ Σ d_k ∗ z_k`` for given activations; the norm is an upper bound.

    Examples
    --------
    >>> A = operator_in_atoms([[1.0, 0.0, 1.0]], 2)
    >>> A(np.array([[1.0, 2.0]]))
    array([1., 2., 1., 2.])

    References
    ----------
    Equation (1) of the paper.
    """
    z = array(activations, "activations", 2)
    plan = Convolution(atom_length, z.shape[1], hop)
    return Operator(
        forward=lambda d: synthesize(d, z, plan.hop),
        adjoint=lambda x: correlate_with_activations(z, x, plan.hop),
        shape_in=(len(z), plan.atom_length),
        shape_out=(plan.length,),
        dtype=z.dtype,
        norm=_norm_bound(z[:, None, :], plan.taps),
    )


def product(left: Array, right: Array) -> Array:
    """``Σ_j left[i, j, f] right[j, l, f]``: by BLAS where the matrices are worth its calls.

    Examples
    --------
    >>> product(np.full((1, 2, 1), 1j), np.full((2, 1, 1), 3 + 0j))
    array([[[0.+6.j]]])
    """
    if left.shape[0] * left.shape[1] * right.shape[1] <= 256:
        total = left[:, 0, None] * right[0]
        for j in range(1, len(right)):
            total += left[:, j, None] * right[j]
        return np.asarray(total)
    by_frequency = (
        np.ascontiguousarray(np.moveaxis(left, 2, 0)),
        np.ascontiguousarray(np.moveaxis(right, 2, 0)),
    )
    return np.ascontiguousarray(np.moveaxis(np.matmul(*by_frequency), 0, 2))


@dataclass(frozen=True)
class Convolution:
    r"""The plan behind :func:`synthesize` and its adjoints: for loops that reuse spectra.

    A convolution at hop ``a`` is ``a`` convolutions at hop 1, of one signal each (its *polyphase*
    components): ``x[a m + p] = Σ_j d[a j + p] z[m - j]``. So the activations are transformed as
    they are, ``a`` times shorter than the signal. They are cut into blocks, transformed with
    ``fft_length`` points, multiplied by the atoms' spectra, and the results overlapped and
    added; the adjoints run the same way back. One block, that is one long transform, is used
    where that costs less: see ``fft_length``.

    Parameters
    ----------
    atom_length : int
        ``T_d``.
    n_activations : int
        ``N``.
    hop : int
        ``a``.
    product : callable
        Of spectra: :func:`product`, or what computes the same more quickly.

    Raises
    ------
    ValueError
        If one of them is no whole number of at least 1.

    Examples
    --------
    >>> plan = Convolution(atom_length=2048, n_activations=44_000, hop=8)
    >>> plan.length, plan.taps, plan.fft_length < plan.n_activations
    (354040, 256, True)
    >>> Convolution(atom_length=55_125, n_activations=385_874).n_blocks
    3

    References
    ----------
    Equation (1) of the paper.
    """

    atom_length: int
    n_activations: int
    hop: int = 1
    product: Callable[[Array, Array], Array] = field(default=product, compare=False, repr=False)

    def __post_init__(self) -> None:
        for name in ("atom_length", "n_activations", "hop"):
            object.__setattr__(self, name, integer(getattr(self, name), name))

    @property
    def length(self) -> int:
        """Samples of the synthesised signal, ``a (N - 1) + T_d``."""
        return self.hop * (self.n_activations - 1) + self.atom_length

    @property
    def taps(self) -> int:
        """Samples of each polyphase component of an atom."""
        return -(-self.atom_length // self.hop)

    @cached_property
    def fft_length(self) -> int:
        """Points of the transforms that cost least: the signal's in each block, the atoms' once.

        A transform costs ``F log F``, and more and more beyond what the cache holds.
        """
        whole, overlap = self.n_activations + self.taps - 1, self.taps - 1
        sizes, size = [scipy.fft.next_fast_len(whole, real=True)], max(2 * self.taps, 64)
        while size < whole:
            n_blocks = -(-self.n_activations // (size - overlap))
            fitting = max(-(-self.n_activations // n_blocks) + overlap, 2 * self.taps)
            sizes.append(EVEN * scipy.fft.next_fast_len(-(-fitting // EVEN), real=True))
            size = size * 9 // 8 + 1

        def cost(F: int) -> float:
            n_blocks = -(-self.n_activations // (F - overlap))
            transforms = n_blocks * (self.hop + 1) + self.hop
            return transforms * F * (4 + np.log2(F)) * (4 + np.log2(max(F / CACHED, 1)))

        return min(sizes, key=cost)

    @property
    def block(self) -> int:
        """Activations in one block."""
        return min(self.fft_length - self.taps + 1, self.n_activations)

    @property
    def n_blocks(self) -> int:
        """Blocks that the activations are cut into."""
        return -(-self.n_activations // self.block)

    @cached_property
    def groups(self) -> list[slice]:
        """Blocks that are worked on together, by one thread."""
        size = max(1, GROUP // (self.fft_length * max(self.hop, ROWS)))
        return pieces(self.n_blocks, size)

    # Spectra: of atoms (K, a, F'), and a list, one entry a group of B blocks, of activations
    # (B, K, F') and of signals (B, a, F').

    def atom_spectra(self, atoms: Array) -> Array:
        """Spectra of the polyphase components of atoms ``(K, T_d)``."""
        return self.forward(_rows(atoms, self.hop))

    def activation_spectra(self, activations: Array) -> list[Array]:
        """Spectra of the blocks of activations ``(K, N)``."""

        def transform(blocks: slice) -> Array:
            return self.forward(self.padded(activations[:, self.columns(blocks)]))

        return list(in_threads(transform, self.groups))

    def signal_spectra(self, x: Array) -> list[Array]:
        """Spectra of the overlapping blocks of a signal ``(length,)``."""
        a, B, F = self.hop, self.block, self.fft_length

        def transform(blocks: slice) -> Array:
            start, stop = a * B * blocks.start, a * (B * (blocks.stop - 1) + F)
            piece = x[start:stop] if stop <= x.size else placed(x[start:], 0, stop - start)
            return self.forward(frames(piece, a * F, a * B).reshape(-1, F, a).swapaxes(1, 2))

        return list(in_threads(transform, self.groups))

    def synthesis(self, atom_spectra: Array, activation_spectra: list[Array]) -> Array:
        """Synthesised signal ``(length,)``: see :func:`synthesize`."""

        def transform(spectra: Array) -> Array:
            return self.backward(self.product(spectra, atom_spectra))

        parts = in_threads(transform, activation_spectra)
        return self.joined(parts, atom_spectra.real.dtype)

    def correlation_with_atoms(self, signal_spectra: list[Array], atom_spectra: Array) -> Array:
        """Correlations ``(K, N)``: see :func:`correlate_with_atoms`."""
        mirrored = self.mirrored(atom_spectra)
        found = np.empty((len(atom_spectra), self.n_activations), atom_spectra.real.dtype)

        def transform(pair: tuple[slice, Array]) -> None:
            blocks, spectra = pair
            for b, rows in enumerate(self.backward(self.product(spectra, mirrored)), blocks.start):
                columns = self.columns(slice(b, b + 1))
                found[:, columns] = rows[:, : columns.stop - columns.start]

        for _ in in_threads(transform, zip(self.groups, signal_spectra, strict=True)):
            pass
        return found

    def correlation_with_activations(
        self, signal_spectra: list[Array], activation_spectra: list[Array]
    ) -> Array:
        """Correlations ``(K, T_d)``: see :func:`correlate_with_activations`."""

        def multiply(pair: tuple[Array, Array]) -> Array:
            z, x = pair
            return self.product(np.ascontiguousarray(z.swapaxes(0, 1)), x.conj())

        pairs = zip(activation_spectra, signal_spectra, strict=True)
        total = sum(in_threads(multiply, pairs))
        rows = self.backward(np.conj(total))[:, :, : self.taps]
        return rows.swapaxes(1, 2).reshape(len(rows), -1)[:, : self.atom_length]

    # The same for one group of blocks, where several things are done to it in one go.

    def columns(self, blocks: slice) -> slice:
        """The activations of a group of blocks."""
        return slice(self.block * blocks.start, min(self.block * blocks.stop, self.n_activations))

    def padded(self, activations: Array) -> Array:
        """Activations of whole blocks, each a row ``(K, F)`` with zeros after it."""
        (K, n), B = activations.shape, self.block
        rows = np.zeros((-(-n // B), K, self.fft_length), activations.dtype)
        for b, row in enumerate(rows):
            piece = activations[:, B * b : B * (b + 1)]
            row[:, : piece.shape[1]] = piece
        return rows

    def forward(self, rows: Array) -> Array:
        """Spectra of rows as long as a transform."""
        return np.asarray(scipy.fft.rfft(rows, self.fft_length, workers=self._workers))

    def backward(self, spectra: Array) -> Array:
        """The rows of spectra."""
        return np.asarray(scipy.fft.irfft(spectra, self.fft_length, workers=self._workers))

    def mirrored(self, atom_spectra: Array) -> Array:
        """Spectra ``(a, K, F')`` of atoms that run backwards, to correlate with."""
        return np.conjugate(atom_spectra.swapaxes(0, 1), order="C")

    def joined(self, parts: Iterable[Array], dtype: np.dtype) -> Array:
        """The signal ``(length,)`` of rows ``(B, a, F)`` from all groups, overlapped and added."""
        a, B, F = self.hop, self.block, self.fft_length
        x = np.zeros((B * (self.n_blocks - 1) + F, a), dtype)
        for b, rows in enumerate(rows for part in parts for rows in part):
            x[B * b : B * b + F] += rows.T
        return x.reshape(-1)[: self.length]

    @property
    def _workers(self) -> int:
        return n_threads() if len(self.groups) == 1 else 1


def _padded(rows: Array, width: int) -> Array:
    """Rows ``(K, n)`` with silence after them, as many columns as asked."""
    if rows.shape[1] == width:
        return rows
    padded = np.zeros((len(rows), width), rows.dtype)
    padded[:, : rows.shape[1]] = rows
    return padded


def _rows(atoms: Array, hop: int) -> Array:
    """Polyphase components ``(K, a, taps)`` of atoms: ``rows[k, p, j] = d_k[a j + p]``."""
    K, T_d = atoms.shape
    return _padded(atoms, -(-T_d // hop) * hop).reshape(K, -1, hop).swapaxes(1, 2)


def _norm_bound(rows: Array, n_others: int) -> float:
    """Square root of the largest energy, over frequencies, of the spectra of all rows."""
    points = scipy.fft.next_fast_len(rows.shape[-1] + n_others - 1, real=True)
    return float(np.sqrt(np.max(np.sum(np.abs(scipy.fft.rfft(rows, points)) ** 2, axis=(0, 1)))))


def _pair(atoms: ArrayLike, activations: ArrayLike) -> tuple[Array, Array]:
    d, z = array(atoms, "atoms", 2), array(activations, "activations", 2)
    if len(d) != len(z):
        raise ValueError(f"activations must have a row for each of {len(d)} atoms, got {len(z)}")
    return _common(d, z)


def _common(first: Array, second: Array) -> tuple[Array, Array]:
    dtype = np.result_type(first, second)
    return first.astype(dtype, copy=False), second.astype(dtype, copy=False)


def _length_left(samples: int, hop: int, name: str) -> int:
    if samples < 0 or samples % hop:
        raise ValueError(
            f"x must be longer than the {name} by a multiple of the hop {hop} (or by nothing), "
            f"got {samples} samples more"
        )
    return samples // hop + 1
