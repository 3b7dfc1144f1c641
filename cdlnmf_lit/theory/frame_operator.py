"""The operator of a Gabor frame: its bounds, and the windows that its powers make.

Chapter: ``book/theory/gabor.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.linalg
import scipy.special

from cdlnmf_lit.theory.arguments import Array
from cdlnmf_lit.theory.blocks import placed

LONGEST_CHAIN = 4096
"""Coupled samples, to each side, up to which a dual window is sought where ``M < T_g``."""


@dataclass(frozen=True, eq=False)
class FrameOperator:
    r"""``S = ΦΦ*``, which couples only samples that are a multiple of ``M`` apart.

    .. math:: (S x)[t] = M \sum_n x[t + nM] \sum_τ g[t - aτ] \, g[t - aτ + nM]

    With ``M ≥ T_g`` it is diagonal; below, it falls apart into ``M`` banded matrices.

    Parameters
    ----------
    window : array (T_g,)
    hop, channels, origin : int
        See :class:`~cdlnmf_lit.theory.gabor.GaborFrame`.

    Examples
    --------
    >>> FrameOperator(np.ones(4), 2, 4, 0).bounds(100)
    (8.0, 8.0)

    References
    ----------
    Section 2.2.1 of the paper (where the dictionary is assumed to be a frame).
    """

    window: Array
    hop: int
    channels: int
    origin: int

    def bounds(self, n_samples: int) -> tuple[float, float]:
        """The smallest and the largest eigenvalue for signals of ``n_samples``."""
        if len(self.diagonals) == 1:
            values = [self.diagonals[0, :n_samples]]
        else:
            matrices = self.coupled(0, n_samples).values()
            values = [
                scipy.linalg.eigvals_banded(self.bands(rows[0]), lower=True) for rows in matrices
            ]
        lowest, highest = min(map(np.min, values)), max(map(np.max, values))
        return max(float(lowest), 0.0), float(highest)

    def window_to(self, power: float) -> tuple[Array, int]:
        """Window and origin of ``S**power g``, for ``power`` -1 or -1/2.

        Raises
        ------
        ValueError
            If this is no frame, or one so near to none that the window does not decay.
        """
        T_g, M = self.window.size, self.channels
        precision = np.finfo(self.window.dtype).eps
        no_frame = (
            "window, hop and channels must make a well-conditioned frame: "
            f"{T_g} samples, hop {self.hop} and {M} channels do not"
        )
        A, B = self.bounds(max(self.hop, T_g))
        if self.hop > M or A <= np.finfo(float).eps * B:
            raise ValueError(no_frame)
        if len(self.diagonals) == 1:
            S = self.diagonals[0, (np.arange(T_g) - self.origin) % self.hop]
            return (S**power * self.window).astype(self.window.dtype), self.origin
        longest = max(LONGEST_CHAIN * M, 4 * T_g)
        steps = int(np.log(longest / (4 * T_g)) / np.log(4))
        for margin in (longest // 4 ** np.arange(steps, -1, -1)).tolist():
            try:
                solved = self.applied(power, margin)
            except scipy.linalg.LinAlgError:
                break
            kept = np.flatnonzero(np.abs(solved) > 10 * precision * np.abs(solved).max())
            first, last = int(kept[0]), int(kept[-1]) + 1
            if first > margin // 2 and last < solved.size - margin // 2:
                first, last = min(first, margin), max(last, margin + T_g)
                window = solved[first:last].astype(self.window.dtype)
                return window, self.origin + margin - first
        raise ValueError(no_frame)

    @cached_property
    def diagonals(self) -> Array:
        """``M Σ_τ g[t - aτ] g[t - aτ + nM]`` for ``n = 0, 1, …`` (rows) and ``t`` modulo ``a``."""
        g, a, M = self.window.astype(float), self.hop, self.channels
        rows = []
        for n in range(-(-g.size // M)):
            product = np.zeros(-(-g.size // a) * a)
            product[: g.size - n * M] = g[: g.size - n * M] * g[n * M :]
            rows.append(np.roll(M * product.reshape(-1, a).sum(axis=0), -self.origin))
        return np.array(rows)

    def coupled(self, start: int, stop: int) -> dict[tuple[int, int], list[Array]]:
        """Samples of ``[start, stop)`` that ``S`` couples, grouped where its matrices are equal."""
        groups: dict[tuple[int, int], list[Array]] = {}
        for r in range(start, min(start + self.channels, stop)):
            samples = np.arange(r, stop, self.channels)
            groups.setdefault((r % self.hop, samples.size), []).append(samples)
        return groups

    def bands(self, samples: Array) -> Array:
        """Lower bands of ``S`` on samples ``M`` apart, as SciPy's banded solvers take them."""
        bands = self.diagonals[: samples.size, samples % self.hop]
        for n, band in enumerate(bands):
            band[samples.size - n :] = 0.0
        return bands

    def applied(self, power: float, margin: int) -> Array:
        """``S**power g``, from ``margin`` samples before the window to as many after it."""
        g = placed(self.window.astype(float), margin, self.window.size + 2 * margin)
        start = -margin - self.origin
        solved = np.zeros_like(g)
        for rows in self.coupled(start, start + g.size).values():
            index = np.stack(rows, axis=1) - start
            solved[index] = _apply_power(self.bands(rows[0]), g[index], power)
        return solved


def _apply_power(bands: Array, rhs: Array, power: float) -> Array:
    """``S**power rhs`` by banded solves, whose rounding stays where the result is large."""
    if power == -1:
        return np.asarray(scipy.linalg.solveh_banded(bands, rhs, lower=True))
    solved, shifted = np.zeros_like(rhs), bands.copy()
    for shift, weight in _inverse_root(*_extremes(bands)):
        shifted[0] = bands[0] + shift
        solved += weight * scipy.linalg.solveh_banded(shifted, rhs, lower=True)
    return solved


def _extremes(bands: Array) -> tuple[float, float]:
    """Numbers below and above all eigenvalues of a banded matrix.

    Inverse iteration comes near the least one from above; a quarter of that is taken. The largest
    is below the row sums.
    """
    vector: Array = np.random.default_rng(0).standard_normal((bands.shape[1], 1))
    for _ in range(12):
        vector = vector / np.linalg.norm(vector)
        vector = scipy.linalg.solveh_banded(bands, vector, lower=True)
    sums = np.abs(bands).sum(axis=0)
    for n, band in enumerate(np.abs(bands[1:]), 1):
        sums[n:] += band[: band.size - n]
    return 0.25 / float(np.linalg.norm(vector)), float(sums.max())


def _inverse_root(lowest: float, highest: float) -> list[tuple[float, float]]:
    """Shifts ``s_j`` and weights ``w_j`` of ``1/√x = Σ w_j / (x + s_j)`` from lowest to highest.

    The trapezoidal rule for ``(2/π) ∫ dt / (x + t²)`` after an elliptic change of variable.
    """
    rest = 1 - lowest / highest
    K = float(scipy.special.ellipkm1(lowest / highest))
    n = int(np.ceil(2 + np.log(1e17) * (np.log(highest / lowest) + 3) / (2 * np.pi**2)))
    sn, cn, dn, _ = scipy.special.ellipj((np.arange(n) + 0.5) * K / n, rest)
    weights = 2 * K * np.sqrt(lowest) / (np.pi * n) * dn / cn**2
    return list(zip((lowest * (sn / cn) ** 2).tolist(), weights.tolist(), strict=True))
