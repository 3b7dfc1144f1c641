r"""Activations of held patterns of several spectra, and how far they are from the best there are.

An activation sees ``L`` frames, so that frames do not stand alone. By the Kullback-Leibler
divergence the activations take multiplicative updates; by the Euclidean one all that patterns say
of each other is known beforehand, and accelerated steps take the spectrogram's place.

Chapter: ``book/methods/method.md``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.fft

from cdlnmf_lit.methods import convolutive_nmf
from cdlnmf_lit.methods.convolutive_nmf import ROWS, blocks_of, delayed, undelayed
from cdlnmf_lit.methods.duality import CHECK, FRAMES, MOST, State, share_of
from cdlnmf_lit.methods.factors import norms, ratio
from cdlnmf_lit.theory.arguments import Array
from cdlnmf_lit.theory.blocks import pieces, product_in_tiles, sliding_maximum


def states(problem: convolutive_nmf.Problem, W: Array) -> Iterator[State]:
    """Iterates of the activations, with a look at the gap after ``CHECK`` and every fourth more.

    They end with the first look after ``MOST``.

    Examples
    --------
    >>> problem = convolutive_nmf.Problem(np.array([[2.0], [20.0], [1.0]]), beta=2.0)
    >>> few = states(problem, np.array([[[1.0], [10.0]]]))
    >>> [next(few).iteration for _ in range(3)]
    [0, 10, 20]
    """
    coding: Multiplicative | LeastSquares
    coding, look = (LeastSquares if problem.beta == 2 else Multiplicative)(problem, W), 0
    for done, found in enumerate(coding.iterates(problem.activations_for(W))):
        if done == look:
            Z = found.astype(problem.V.dtype, copy=False)
            value, left = coding.gap(Z)
            yield State(done, W, Z, problem, value, share_of(left, value))
            look += max(CHECK, done // 4)
            if done >= MOST:
                return


@dataclass(frozen=True, eq=False)
class Multiplicative:
    r"""By the Kullback-Leibler divergence.

    The dual points of :func:`.kullback_leibler` are scaled frame by frame: with the largest factor
    ``ρ_k[m]`` by which the constraint of an activation is exceeded,

    .. math:: q[n] = \frac{v[n]}{m[n]} \Big/ \max_{k,\; n - L < m ≤ n} ρ_k[m]

    meets them all.

    Parameters
    ----------
    problem : convolutive_nmf.Problem
        With ``β = 1``.
    patterns : array (K, L, F)

    Examples
    --------
    >>> problem = convolutive_nmf.Problem(np.array([[2.0], [20.0], [1.0]]), beta=1.0)
    >>> coding = Multiplicative(problem, np.array([[[1.0], [10.0]]]))
    >>> value, gap = coding.gap(np.array([[0.0, 2.0, 0.0, 1.0]]))
    >>> abs(value) < 1e-9 and gap < 1e-9
    True
    """

    problem: convolutive_nmf.Problem
    patterns: Array

    def iterates(self, Z: Array) -> Iterator[Array]:
        """Multiplicative updates, from some activations on."""
        while True:
            yield Z
            _, Z = self.problem.updated_activations(self.patterns, Z)

    def gap(self, Z: Array) -> tuple[float, float]:
        """The objective at activations ``(K, N + L - 1)``, and what it can still fall."""
        problem, W, V = self.problem, self.patterns, self.problem.V
        (K, L, F), N = W.shape, len(V)
        flat, offset = W.reshape(K * L, F), float(problem.matrix.offset)
        ones = np.repeat(flat.sum(axis=1, dtype=float)[:, None], FRAMES, axis=1)
        up, down, sums = np.zeros((K, N + L - 1)), np.zeros((K, N + L - 1)), np.zeros((4, N))
        for rows in pieces(N, FRAMES):
            v, m = V[rows], convolutive_nmf.model(W, Z, rows)
            m += m.dtype.type(offset)
            q = v / m
            logs = np.log(np.maximum(q, np.finfo(q.dtype).tiny))
            sums[:, rows] = [np.sum(each, axis=1, dtype=float) for each in (v, m, v * logs, q)]
            place = slice(rows.start, rows.stop + L - 1)
            up[:, place] += undelayed(product_in_tiles(flat, q.T).reshape(K, L, -1).astype(float))
            down[:, place] += undelayed(ones[:, : len(v)].reshape(K, L, -1))
        prices = problem.penalty * np.linalg.norm(W, axis=(1, 2)).astype(float)[:, None]
        growth = ratio(up, down + prices)
        rho = sliding_maximum(growth.max(axis=0), L)
        rho = np.where(rho > 0, rho, 1)
        (v, m, divergence, q), cost = sums, float(np.sum(prices * Z))
        value = float(np.sum(divergence - v + m)) + cost
        left = np.sum(m - v + v * np.log(rho) + offset * (q / rho - F)) + cost
        return value, max(float(left), 0.0)


@dataclass(frozen=True, eq=False)
class LeastSquares:
    r"""By the Euclidean divergence, in double precision.

    .. math:: \min_{Z ≥ 0} \; ½\|V\|^2 - ⟨B, Z⟩ + ½ ⟨Z, G Z⟩, \qquad
        B_k[m] = \sum_l ⟨W_k[l], V[m + l]⟩ - λ \|W_k\|

    .. math:: (G Z)_k[m] = \sum_j \sum_n z_j[n] \, g_{kj}[m - n], \qquad
        g_{kj}[d] = \sum_l ⟨W_k[l], W_j[l + d]⟩,

    less what the model has outside of the spectrogram, where patterns begin before its first frame
    or end after its last. So a step looks at ``K`` rows, at no frame. For the gap, with ``m`` the
    model, ``θ[n] = V[n] - (1 + t[n]) m[n]`` meets all constraints if ``t[n]`` is the largest of
    ``(B - G Z)⁺ / G Z`` among the activations that see the frame; its bound is
    ``½‖V‖² - ½ Σ_n (1 + t[n])² ‖m[n]‖²``.

    Parameters
    ----------
    problem : convolutive_nmf.Problem
        With ``β = 2``.
    patterns : array (K, L, F)

    Examples
    --------
    >>> problem = convolutive_nmf.Problem(np.array([[2.0], [20.0], [1.0]]), beta=2.0)
    >>> coding = LeastSquares(problem, np.array([[[1.0], [10.0]]]))
    >>> coding.gap(np.array([[0.0, 2.0, 0.0, 1.0]]))
    (0.0, 0.0)
    """

    problem: convolutive_nmf.Problem
    patterns: Array

    def iterates(self, Z: Array) -> Iterator[Array]:
        r"""Accelerated projected gradient, begun anew where the objective would rise.

        .. math:: Z ← \Big(Y + \frac{B - G Y}{\|G\|}\Big)^+

        with ``Y`` a step beyond ``Z`` in the direction it came from, and the patterns scaled to
        norm 1. As nothing in ``G`` is negative, no frequency has a larger norm than 0.
        """
        size = norms(self.patterns).astype(float)[:, None]
        step = 1 / (np.linalg.eigvalsh(self._lags.sum(axis=2) / (size * size.T))[-1] or 1.0)
        step = step / size**2
        Z = Z.astype(float)
        heard = self.together(Z)
        value, t, ahead, heard_ahead = self._value(Z, heard), 1.0, Z, heard
        while True:
            yield Z
            new = np.maximum(ahead + step * (self._seen - heard_ahead), 0)
            heard_new = self.together(new)
            value_new = self._value(new, heard_new)
            if value_new > value and t > 1:
                t, ahead, heard_ahead = 1.0, Z, heard
                continue
            t, before = (1 + np.sqrt(1 + 4 * t**2)) / 2, t
            beyond = (before - 1) / t
            ahead = new + beyond * (new - Z)
            heard_ahead = heard_new + beyond * (heard_new - heard)
            Z, heard, value = new, heard_new, value_new

    def gap(self, Z: Array) -> tuple[float, float]:
        """The objective at activations ``(K, N + L - 1)``, and what it can still fall."""
        (K, L, _), N, energy = self.patterns.shape, len(self.problem.V), self.problem.energy
        Z, heard, modelled = Z.astype(float), np.zeros(Z.shape), np.zeros(N)
        for rows, s in blocks_of(Z, L, slice(0, N), ROWS):
            shown = product_in_tiles(self._gram, s)
            modelled[rows] = np.sum(s * shown, axis=0)
            heard[:, rows.start : rows.stop + L - 1] += undelayed(shown.reshape(K, L, -1))
        asked = np.maximum(self._seen - heard, 0)
        over = np.divide(asked, heard, out=np.where(asked > 0, np.inf, 0.0), where=heard > 0)
        value, bound = energy / 2 - float(np.sum(self._seen * Z)) + float(modelled.sum()) / 2, 0.0
        if np.isfinite(over).all():
            t = sliding_maximum(over.max(axis=0), L)
            bound = max(energy - float(np.sum((1 + t) ** 2 * modelled)), 0.0) / 2
        return max(value, 0.0), max(value - bound, 0.0)

    def together(self, Z: Array) -> Array:
        """``G Z``, ``(K, N + L - 1)``."""
        n, reach = Z.shape[1], self.patterns.shape[1] - 1
        heard = np.einsum("kjp,jp->kp", self._spectra, scipy.fft.rfft(Z, self._points))
        whole = scipy.fft.irfft(heard, self._points)[:, reach : reach + n]
        if reach:
            nothing = np.zeros((len(Z), reach))
            first = self._outside(np.concatenate([nothing, Z[:, :reach]], axis=1))
            last = self._outside(np.concatenate([Z[:, -reach:], nothing], axis=1))
            whole[:, :reach] -= first[:, reach:]
            whole[:, -reach:] -= last[:, :reach]
        return whole

    def _outside(self, Z: Array) -> Array:
        """What activations at an end of the spectrogram, and silence, say of each other beyond."""
        K, L, _ = self.patterns.shape
        s = delayed(Z, L).reshape(K * L, -1)
        return undelayed(product_in_tiles(self._gram, s).reshape(K, L, -1))

    def _value(self, Z: Array, heard: Array) -> float:
        return float(np.sum(Z * (heard / 2 - self._seen)))

    @cached_property
    def _seen(self) -> Array:
        """``B``."""
        W = self.patterns.astype(float)
        prices = self.problem.penalty * np.linalg.norm(W, axis=(1, 2))
        return self.problem.alike(W) - prices[:, None]

    @cached_property
    def _gram(self) -> Array:
        """Of all spectra of the patterns, ``(KL, KL)``."""
        K, L, F = self.patterns.shape
        flat = self.patterns.reshape(K * L, F).astype(float)
        return product_in_tiles(flat, flat.T)

    @cached_property
    def _lags(self) -> Array:
        """``g``, ``(K, K, 2L - 1)``."""
        K, L, _ = self.patterns.shape
        spectra = self._gram.reshape(K, L, K, L).transpose(0, 2, 1, 3).reshape(K * K, L, L)
        return undelayed(spectra).reshape(K, K, -1)

    @cached_property
    def _points(self) -> int:
        return scipy.fft.next_fast_len(
            len(self.problem.V) + 2 * self.patterns.shape[1] - 2, real=True
        )

    @cached_property
    def _spectra(self) -> Array:
        return scipy.fft.rfft(self._lags, self._points)
