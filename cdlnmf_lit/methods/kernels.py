"""Loops over samples, compiled where numba is installed, and the same in NumPy where it is not.

Numba is imported, and a loop compiled, when it is first called.

Chapter: ``book/methods/sparse_coding.md``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from threading import Lock
from typing import Any

import numpy as np

from cdlnmf_lit.methods.factors import multiplicative_update
from cdlnmf_lit.theory.arguments import Array
from cdlnmf_lit.theory.blocks import stretches
from cdlnmf_lit.theory.convolution import product

BLOCK = 64
"""Positions whose largest change is sought in one go."""
PIECE = 256
"""Activations of an atom that are updated in one go: few enough for the nearest cache."""


def descend_in_loops(
    z: Array,
    c: Array,
    gram: Array,
    limits: Array,
    signed: bool,
    begin: int,
    end: int,
    width: int,
    most: int,
) -> int:
    r"""Change one activation after another in a segment until none would change by much.

    The segment's windows of ``width`` positions are visited in turn. In each, the activation that
    would change most goes to its minimum given all the others,

    .. math:: z_k[n] ← S\Big(z_k[n] + \frac{c_k[n]}{\|d_k\|^2}, \frac{λ}{\|d_k\|^2}\Big), \qquad
        c_j[m] ← c_j[m] - Δ \, G_{jk}[m - n],

    where ``Δ`` is the change, ``S`` the soft threshold, one-sided for activations ``≥ 0``. A
    segment is done once a round through its windows finds no change with ``Δ ‖d_k‖`` above the
    tolerance.

    Parameters
    ----------
    z : array (K, N)
        Activations; changed in place in ``begin ≤ n < end``.
    c : array (K, N)
        Correlations of the atoms with the residual; changed in place, ``T_d - 1`` beyond the
        segment.
    gram : array (K, K, 2 T_d - 1)
        ``G_jk[l] = Σ_s d_j[s] d_k[s + l]`` from ``l = -(T_d - 1)`` on.
    limits : array (2,)
        ``λ`` and the tolerance, in the precision of the rest.
    signed : bool
        Whether activations may be negative.
    begin, end : int
        The segment.
    width : int
        Positions in a window.
    most : int
        Changes after which to stop in any case.

    Returns
    -------
    int
        Changes made.

    Examples
    --------
    >>> z, c = np.zeros((1, 3)), np.array([[0.0, 5.0, 0.0]])
    >>> descend_in_loops(z, c, np.ones((1, 1, 1)), np.array([1.0, 0.1]), False, 0, 3, 3, 9)
    1
    >>> z
    array([[0., 4., 0.]])

    References
    ----------
    Reference [19] of the paper.
    """
    K, N = z.shape
    reach = gram.shape[2] // 2
    penalty, tolerance = limits[0], limits[1]
    zero = penalty * 0
    sizes = np.zeros(K, z.dtype)
    inverses = np.zeros(K, z.dtype)
    for k in range(K):
        if gram[k, k, reach] > 0:
            inverses[k] = 1 / gram[k, k, reach]
            sizes[k] = np.sqrt(gram[k, k, reach])
    windows = (end - begin + width - 1) // width
    window, quiet, done = 0, 0, 0
    while quiet < windows and done < most:
        low = begin + width * window
        high = min(low + width, end)
        window = (window + 1) % windows
        block, largest = -1, tolerance
        for first in range(low, high, BLOCK):
            found = zero
            for k in range(K):
                a, s = inverses[k], sizes[k]
                t = penalty * a
                if signed:
                    for n in range(first, min(first + BLOCK, high)):
                        v = c[k, n] * a + z[k, n]
                        found = max(found, s * abs(v - min(max(v, -t), t) - z[k, n]))
                else:
                    for n in range(first, min(first + BLOCK, high)):
                        found = max(found, s * abs(max(c[k, n] * a - t, -z[k, n])))
            if found > largest:
                block, largest = first, found
        if block < 0:
            quiet += 1
            continue
        quiet = 0
        j, m, new, largest = 0, block, zero, -penalty
        for k in range(K):
            a, s = inverses[k], sizes[k]
            t = penalty * a
            for n in range(block, min(block + BLOCK, high)):
                v = c[k, n] * a + z[k, n]
                u = v - min(max(v, -t), t) if signed else max(v - t, zero)
                if s * abs(u - z[k, n]) > largest:
                    j, m, new, largest = k, n, u, s * abs(u - z[k, n])
        change = new - z[j, m]
        z[j, m] = new
        done += 1
        first, last = max(0, m - reach), min(N, m + reach + 1)
        for k in range(K):
            effect = gram[k, j, first - m + reach : last - m + reach]
            row = c[k, first:last]
            for i in range(last - first):
                row[i] -= change * effect[i]
    return done


def descend_in_numpy(
    z: Array,
    c: Array,
    gram: Array,
    limits: Array,
    signed: bool,
    begin: int,
    end: int,
    width: int,
    most: int,
) -> int:
    """The changes of :func:`descend_in_loops` in the same order save for exact ties, by windows.

    Examples
    --------
    >>> z, c = np.zeros((1, 3)), np.array([[0.0, 5.0, 0.0]])
    >>> descend_in_numpy(z, c, np.ones((1, 1, 1)), np.array([1.0, 0.1]), False, 0, 3, 3, 9)
    1
    """
    reach = gram.shape[2] // 2
    penalty, tolerance = limits
    energies = gram[np.arange(len(z)), np.arange(len(z)), reach, None]
    inverses = np.divide(1, energies, out=np.zeros_like(energies), where=energies > 0)
    sizes, thresholds = np.sqrt(energies), penalty * inverses
    windows = [slice(n, min(n + width, end)) for n in range(begin, end, width)]
    window, quiet, done = 0, 0, 0
    while quiet < len(windows) and done < most:
        columns = windows[window]
        window = (window + 1) % len(windows)
        before = z[:, columns]
        v = c[:, columns] * inverses + before
        dropped = np.minimum(v, thresholds)
        if signed:
            dropped = np.maximum(dropped, -thresholds)
        new = v - dropped
        changes = new - before
        asked = sizes * np.abs(changes)
        j, i = divmod(int(asked.argmax()), asked.shape[1])
        if not asked[j, i] > tolerance:
            quiet += 1
            continue
        quiet, done, m = 0, done + 1, columns.start + i
        z[j, m] = new[j, i]
        first, last = max(0, m - reach), min(z.shape[1], m + reach + 1)
        c[:, first:last] -= changes[j, i] * gram[:, j, first - m + reach : last - m + reach]
    return done


def add_scaled_in_loops(
    out: Array, source: Array, places: Array, begins: Array, values: Array, length: int
) -> None:
    """Add ``v source[b : b + length]`` to ``out[p : p + length]`` for each place, begin and value.

    With the signal and the atoms, each as one row, it is a synthesis from few activations; with
    their roles exchanged its adjoint.

    Examples
    --------
    >>> out = np.zeros(3)
    >>> add_scaled_in_loops(out, np.arange(4.0), np.array([1]), np.array([2]), np.array([10.0]), 2)
    >>> out
    array([ 0., 20., 30.])

    References
    ----------
    Equation (1) of the paper.
    """
    for i in range(values.size):
        value = values[i]
        piece = source[begins[i] : begins[i] + length]
        target = out[places[i] : places[i] + length]
        for t in range(length):
            target[t] += value * piece[t]


def add_scaled_in_numpy(
    out: Array, source: Array, places: Array, begins: Array, values: Array, length: int
) -> None:
    """The same sums as :func:`add_scaled_in_loops`, a piece at a time.

    Examples
    --------
    >>> out = np.zeros(3)
    >>> add_scaled_in_numpy(out, np.arange(4.0), np.array([1]), np.array([2]), np.array([10.0]), 2)
    >>> out
    array([ 0., 20., 30.])
    """
    for place, begin, value in zip(places, begins, values, strict=True):
        out[place : place + length] += value * source[begin : begin + length]


def multiply_in_loops(
    V: Array,
    out: Array,
    z: Array,
    mixed: Array,
    G: Array,
    limits: Array,
    begin: int,
    width: int,
) -> None:
    r"""The semi-NMF's multiplicative update of some blocks of the activations.

    .. math:: Z ← Z \sqrt{\frac{U^+ + G^- Z}{U^- + G^+ Z + λ}}, \qquad U = V + C Z

    Where there is nothing to divide an activation stays as it is.

    Parameters
    ----------
    V : array (B, K, F)
        Becomes the new activations of the blocks, with zeros after the ``width`` columns of each.
    out : array (K, N)
        Is given them too, in the columns from ``begin`` on.
    z : array (K, N)
        The activations before.
    mixed, G : array (K, K)
        ``C`` and ``G``.
    limits : array (2,)
        ``λ``, and up to which share of its numerator (plus 1) a denominator counts as nothing, in
        the precision of the rest.
    begin, width : int

    Examples
    --------
    >>> V, out, one = np.ones((1, 1, 2)), np.zeros((1, 2)), np.ones((1, 1))
    >>> z, limits = np.array([[0.0, 4.0]]), np.array([0.0, 1e-300])
    >>> multiply_in_loops(V, out, z, 0 * one, one, limits, 1, 1)
    >>> out, V
    (array([[0., 2.]]), array([[[2., 0.]]]))

    References
    ----------
    Algorithm 1 of the paper, reference [15].
    """
    blocks, K, F = V.shape
    penalty, share = limits[0], limits[1]
    zero, one = penalty * 0, penalty * 0 + 1
    u = np.zeros(PIECE, z.dtype)
    up = np.zeros(PIECE, z.dtype)
    down = np.zeros(PIECE, z.dtype)
    for b in range(blocks):
        start = begin + width * b
        last = min(width, z.shape[1] - start)
        for first in range(0, last, PIECE):
            n = min(PIECE, last - first)
            at = start + first
            for k in range(K):
                v = V[b, k, first : first + n]
                for i in range(n):
                    u[i] = v[i]
                    up[i] = zero
                    down[i] = penalty
                for j in range(K):
                    c, g = mixed[k, j], G[k, j]
                    row = z[j, at : at + n]
                    if g > 0:
                        for i in range(n):
                            u[i] += c * row[i]
                            down[i] += g * row[i]
                    else:
                        for i in range(n):
                            u[i] += c * row[i]
                            up[i] -= g * row[i]
                before, after = z[k, at : at + n], out[k, at : at + n]
                for i in range(n):
                    p = up[i] + max(u[i], zero)
                    q = down[i] + max(-u[i], zero)
                    some = q > share * (one + p)
                    share_of = np.divide(p if some else one, q if some else one)
                    v[i] = before[i] * np.sqrt(share_of)
                for i in range(n):
                    after[i] = v[i]
        V[b, :, last:] = 0


def multiply_in_numpy(
    V: Array,
    out: Array,
    z: Array,
    mixed: Array,
    G: Array,
    limits: Array,
    begin: int,
    width: int,
) -> None:
    """The update of :func:`multiply_in_loops`, some columns of all atoms at a time.

    Examples
    --------
    >>> V, out, one = np.ones((1, 1, 2)), np.zeros((1, 2)), np.ones((1, 1))
    >>> z, limits = np.array([[0.0, 4.0]]), np.array([0.0, 1e-300])
    >>> multiply_in_numpy(V, out, z, 0 * one, one, limits, 1, 1)
    >>> out, V
    (array([[0., 2.]]), array([[[2., 0.]]]))
    """
    for start, block in zip(range(begin, z.shape[1], width), V, strict=False):
        last = min(width, z.shape[1] - start)
        for part in stretches(len(z), last):
            columns = slice(start + part.start, start + part.stop)
            before = z[:, columns]
            u = mixed @ before
            u += block[:, part]
            block[:, part] = out[:, columns] = multiplicative_update(before, u, G, limits[0])
        block[:, last:] = 0


def product_in_loops(left: Array, right: Array) -> Array:
    """The products of spectra of :func:`~cdlnmf_lit.theory.convolution.product`.

    Examples
    --------
    >>> product_in_loops(np.full((1, 2, 1), 1j), np.full((2, 1, 1), 3 + 0j))
    array([[[0.+6.j]]])
    """
    rows, J, F = left.shape
    columns = right.shape[1]
    out = np.empty((rows, columns, F), left.dtype)
    singles = J % 4
    for first in range(0, F, PIECE):
        n = min(PIECE, F - first)
        part = slice(first, first + n)
        for i in range(rows):
            for k in range(columns):
                total = out[i, k, part]
                if singles == 0:
                    total[:] = 0
                for j in range(singles):
                    a, b = left[i, j, part], right[j, k, part]
                    if j == 0:
                        for m in range(n):
                            total[m] = a[m] * b[m]
                    else:
                        for m in range(n):
                            total[m] += a[m] * b[m]
                for j in range(singles, J, 4):
                    a, b = left[i, j, part], right[j, k, part]
                    c, d = left[i, j + 1, part], right[j + 1, k, part]
                    e, f = left[i, j + 2, part], right[j + 2, k, part]
                    g, h = left[i, j + 3, part], right[j + 3, k, part]
                    for m in range(n):
                        total[m] += a[m] * b[m] + c[m] * d[m] + e[m] * f[m] + g[m] * h[m]
    return out


def nonzeros(z: Array) -> tuple[Array, Array, Array]:
    """Atoms, positions and values of the activations that are not zero.

    Examples
    --------
    >>> nonzeros(np.array([[0.0, 0.0], [0.0, 5.0]]))
    (array([1]), array([1]), array([5.]))
    """
    flat = z.ravel()
    places = np.flatnonzero(flat != 0)
    atoms, positions = np.divmod(places, z.shape[1])
    return atoms, positions, flat[places]


def is_sparse(z: Array, atom_length: int) -> bool:
    """Whether so few activations are not zero that sums over them beat Fourier transforms.

    Examples
    --------
    >>> is_sparse(np.eye(1, 1000), 100), is_sparse(np.ones((1, 1000)), 100)
    (True, False)
    """
    return int(np.count_nonzero(z)) * atom_length <= 32 * z.size


def sweep_in_loops(z: Array, c: Array, gram: Array, sweeps: int) -> None:
    r"""Rounds of coordinate descent on ``½ z · G z - c · z`` over ``z ≥ 0``, all columns alike.

    .. math:: z_k ← \max\Big(0, \; z_k + \frac{c_k - \sum_j G_{kj} z_j}{G_{kk}}\Big)

    Parameters
    ----------
    z : array (K, N)
        Changed in place.
    c : array (K, N)
    gram : array (K, K)
        ``G``; a row whose ``G_kk`` is 0 stays as it is.
    sweeps : int

    Examples
    --------
    >>> z = np.zeros((2, 1))
    >>> sweep_in_loops(z, np.array([[2.0], [-1.0]]), np.eye(2), 1)
    >>> z
    array([[2.],
           [0.]])

    References
    ----------
    Equation (8) of the paper. Chapter: ``book/methods/nmf.md``.
    """
    K, N = z.shape
    rest = np.ones(BLOCK, z.dtype)
    one = rest[0]
    zero = one - one
    for first in range(0, N, BLOCK):
        size = min(BLOCK, N - first)
        for _ in range(sweeps):
            for k in range(K):
                if not gram[k, k] > zero:
                    continue
                asked, now, inverse = c[k, first:], z[k, first:], one / gram[k, k]
                for n in range(size):
                    rest[n] = asked[n]
                for j in range(K):
                    weight, other = gram[k, j], z[j, first:]
                    for n in range(size):
                        rest[n] -= weight * other[n]
                for n in range(size):
                    now[n] = max(now[n] + inverse * rest[n], zero)


def sweep_in_numpy(z: Array, c: Array, gram: Array, sweeps: int) -> None:
    """The rounds of :func:`sweep_in_loops`, a row at a time.

    Examples
    --------
    >>> z = np.zeros((2, 1))
    >>> sweep_in_numpy(z, np.array([[2.0], [-1.0]]), np.eye(2), 1)
    >>> z
    array([[2.],
           [0.]])

    References
    ----------
    Equation (8) of the paper. Chapter: ``book/methods/nmf.md``.
    """
    for _ in range(sweeps):
        for k in np.flatnonzero(np.diagonal(gram) > 0):
            step = c[k] - gram[k] @ z
            step /= gram[k, k]
            step += z[k]
            np.maximum(step, 0, out=z[k])


def _compiled(loop: Callable[..., Any]) -> Callable[..., Any]:
    """Machine code that leaves other threads free, kept on disk where there is a folder for it."""
    import numba

    options: dict[str, Any] = {
        "nogil": True,
        "fastmath": {"nnan", "ninf", "nsz", "reassoc", "contract"},
    }
    try:
        return numba.njit(cache=True, **options)(loop)
    except RuntimeError:
        return numba.njit(**options)(loop)


class _Quickest:
    """A loop in machine code, or its twin in NumPy where there is no numba: first use decides."""

    def __init__(self, loop: Callable[..., Any], twin: Callable[..., Any]) -> None:
        self.loop, self.twin, self.lock = loop, twin, Lock()

    @cached_property
    def form(self) -> Callable[..., Any]:
        try:
            return _compiled(self.loop)
        except ImportError:
            return self.twin

    def __call__(self, *arguments: Any) -> Any:
        with self.lock:  # one thread compiles, the others wait
            form = self.form
        return form(*arguments)


descend = _Quickest(descend_in_loops, descend_in_numpy)
add_scaled = _Quickest(add_scaled_in_loops, add_scaled_in_numpy)
multiply = _Quickest(multiply_in_loops, multiply_in_numpy)
spectral_product = _Quickest(product_in_loops, product)
sweep = _Quickest(sweep_in_loops, sweep_in_numpy)
