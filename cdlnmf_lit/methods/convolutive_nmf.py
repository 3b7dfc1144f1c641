r"""Convolutive NMF: patterns of several spectra, placed where their activations say.

The model ``V[n] ≈ Σ_k Σ_l z_k[n - l] W_k[l]`` of references [22] and [23]. Seen one way it is NMF
with ``K L`` components whose activations are ``K`` rows, each seen at ``L`` delays; seen the other
way it is a sum of convolutions along time, in each channel.

Chapter: ``book/methods/convolutive_nmf.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from cdlnmf_lit.methods import method, nmf
from cdlnmf_lit.methods.decomposition import Decomposition
from cdlnmf_lit.methods.factors import normalised, norms, ratio
from cdlnmf_lit.methods.options import OneOf, at_least, option
from cdlnmf_lit.methods.starts import LEAST, opened
from cdlnmf_lit.theory.arguments import Array, integer, non_negative
from cdlnmf_lit.theory.blocks import in_threads, n_threads, pieces, product_in_tiles
from cdlnmf_lit.theory.gabor import BLOCK

ROWS, COLUMNS = 128, 512
"""Frames in one block, and channels in the smallest stripe."""
WORTH = 2**22
"""Multiplications in a product of matrices from which on another thread pays."""


@dataclass(frozen=True, eq=False)
class Problem(method.Problem):
    r"""A matrix to factorise by patterns, and how.

    .. math:: D_β(V \,|\, M) + λ \sum_k \|W_k\| \sum_n z_k[n], \qquad
        M[n] = \sum_k \sum_l z_k[n - l]\, W_k[l]

    .. math:: z_k[m] ← z_k[m] \Big(\frac{\sum_l ⟨W_k[l], Q[m + l]⟩}{
        \sum_l ⟨W_k[l], P[m + l]⟩ + λ \|W_k\|}\Big)^γ, \quad
        W_k[l] ← W_k[l] \Big(\frac{\sum_n z_k[n - l]\, Q[n]}{
        \sum_n z_k[n - l]\, P[n] + λ \sum_n z_k[n]\, W_k[l] / \|W_k\|}\Big)^{γ'}

    with ``Q = V M**(β - 2)`` and ``P = M**(β - 1)``; ``γ'`` is ``1 / (3 - β)`` with a penalty,
    else ``γ``.

    ``V (N, F)`` is not negative, and positive if ``β = 0``; it is read, never copied. ``beta`` is
    2, 1 or 0, and ``penalty`` is ``λ``.

    Examples
    --------
    >>> problem = Problem(np.array([[2.0], [20.0], [1.0]]), beta=1.0)
    >>> W, Z = np.array([[[1.0], [10.0]]]), np.array([[0.0, 2.0, 0.0, 1.0]])
    >>> objective, updated = problem.updated_activations(W, Z)
    >>> np.allclose(updated, Z), abs(objective) < 1e-9
    (True, True)

    References
    ----------
    References [22] and [23] of the paper.
    """

    V: Array
    beta: float
    penalty: float = 0.0
    activation_update: str = "joint"

    def updated_activations(self, W: Array, Z: Array) -> tuple[float, Array]:
        """The objective at ``W, Z``, and the activations that lower it, in one pass over ``V``."""
        (K, L, F), prices = W.shape, self._prices(W)
        look = self._look(W.reshape(K * L, F))

        def share(frames: slice) -> tuple[float, Array]:
            value, sides = 0.0, np.zeros((2, K, frames.stop - frames.start + L - 1), Z.dtype)
            for rows, s in blocks_of(Z, L, frames, self._rows):
                more, *found = look(self.V[rows], s)
                if self.activation_update == "averaged":
                    found = [ratio(*found), np.ones_like(found[0])]
                for side, part in zip(sides, found, strict=True):
                    place = slice(rows.start - frames.start, rows.stop - frames.start + L - 1)
                    side[:, place] += undelayed(part.reshape(K, L, -1))
                value += more
            return value, sides

        objective, (up, down) = self._constant(W, Z), np.zeros((2, *Z.shape), Z.dtype)
        shares = self._shares(K * L)
        for frames, (value, sides) in zip(shares, in_threads(share, shares), strict=True):
            objective += value
            for whole, side in zip((up, down), sides, strict=True):
                whole[:, frames.start : frames.stop + L - 1] += side
        objective = max(objective, 0.0) + float(prices @ Z.sum(axis=1))
        if self.held == "activations":
            return objective, Z
        down += prices[:, None]
        return objective, _moved(Z, up, down, nmf.mm_exponent(self.beta))

    def updated_patterns(self, W: Array, Z: Array) -> Array:
        """Patterns ``(K, L, F)`` that lower the objective."""
        return self.patterns_from(W, *self.sums(W, Z))

    def sums(self, W: Array, Z: Array) -> tuple[Array, Array, Array]:
        """What the activations and the frames say of the patterns, a stripe of channels at a time.

        That is the sum over ``n`` of ``z_k[n - l] Q[n]``, ``(KL, F)``; that with ``P`` or what it
        takes to know it, the sums of ``z_k[n - l]`` for ``β = 1``, ``(KL, 1)``, and of its products
        for ``β = 2``, ``(KL, KL)``; and ``Σ z_k``. Those of several pieces add up.
        """
        frames, (K, L, F) = slice(0, len(self.V)), W.shape
        up, down = np.zeros((K * L, F), W.dtype), self._together(Z, L, F)

        def stripe(columns: slice) -> None:
            w = np.ascontiguousarray(W[:, :, columns]).reshape(K * L, -1)
            up_here, down_here = np.zeros_like(w), np.zeros_like(w)
            for rows, s in blocks_of(Z, L, frames, ROWS):
                q, p = self._weighed(self.V[rows, columns], s, w)
                up_here += product_in_tiles(s, q)
                if p is not None:
                    down_here += product_in_tiles(s, p)
            up[:, columns] = up_here
            if self.beta == 0:
                down[:, columns] = down_here

        for _ in in_threads(stripe, self._stripes(K * L)):
            pass
        return up, down, Z.sum(axis=1)

    def patterns_from(self, W: Array, up: Array, down: Array, heard: Array) -> Array:
        """Patterns that lower the objective, from the :meth:`sums`."""
        (K, L, _), updated = W.shape, np.empty_like(W)
        weights = self._prices(W) * heard / np.square(norms(W)) if self.penalty else 0.0
        exponent = 1 / (3 - self.beta) if self.penalty else nmf.mm_exponent(self.beta)

        def stripe(columns: slice) -> None:
            w = np.ascontiguousarray(W[:, :, columns]).reshape(K * L, -1)
            if self.beta == 2:
                price = product_in_tiles(down, w)
            else:
                price = np.array(np.broadcast_to(down, up.shape)[:, columns], w.dtype)
            if self.penalty:
                price += np.repeat(weights, L)[:, None] * w
            updated[:, :, columns] = _moved(w, up[:, columns], price, exponent).reshape(K, L, -1)

        for _ in in_threads(stripe, self._stripes(K * L)):
            pass
        return updated

    # ---- what patterns and frames say of each other, without a model where there is no need ------

    def _look(self, W: Array) -> Callable[[Array, Array], tuple[float, Array, Array]]:
        """From some frames and their delayed activations ``s`` to what the patterns see there.

        That is the share of these frames in the objective, but for :meth:`_constant`, and the
        products of ``W (KL, F)`` with ``Q`` and with ``P``, both ``(KL, n)``. For ``β = 2`` the
        latter is ``W Wᵀ s``, and no model is made.
        """
        across, sums = np.ascontiguousarray(W.T), W.sum(axis=1, keepdims=True)
        gram = product_in_tiles(W, across) if self.beta == 2 else None

        def look(v: Array, s: Array) -> tuple[float, Array, Array]:
            q, p = self._weighed(v, s, W)
            up = product_in_tiles(q, across).T
            if gram is not None:
                down = product_in_tiles(gram, s)
                return float(np.sum((down / 2 - up) * s, dtype=float)), up, down
            down = np.broadcast_to(sums, s.shape) if p is None else product_in_tiles(p, across).T
            return self._fit(v, q if p is None else v * p), up, down

        return look

    def _together(self, Z: Array, L: int, F: int) -> Array:
        """What the activations alone say of their products with ``P``; zeros if nothing."""
        if self.beta == 1:
            return _sums_of_delayed(Z, L).reshape(-1, 1)
        if self.beta == 0:
            return np.zeros((len(Z) * L, F), Z.dtype)
        blocks = blocks_of(Z, L, slice(0, len(self.V)), ROWS)
        return np.asarray(sum(product_in_tiles(s, s.T) for _, s in blocks))

    def _weighed(self, v: Array, s: Array, w: Array) -> tuple[Array, Array | None]:
        """``V M**(β - 2)`` and ``M**(β - 1)`` of a block; None where it needs no model."""
        if self.beta == 2:
            return v, None
        M = product_in_tiles(s.T, w)
        M += self.matrix.offset
        if self.beta == 1:
            return np.divide(v, M, out=M), None
        p = np.divide(v.dtype.type(1), M, out=M)
        return v * p * p, p

    def _fit(self, v: Array, quotient: Array) -> float:
        """What a block adds to the divergence, given ``V / M``, but for :meth:`_constant`."""
        logs = np.maximum(quotient, np.finfo(v.dtype).tiny)
        np.log(logs, out=logs)
        sums = np.einsum("nf,nf->n", v, logs) if self.beta == 1 else (quotient - logs).sum(axis=1)
        return float(sums.sum(dtype=float))

    def _constant(self, W: Array, Z: Array) -> float:
        """What the divergence has beside the sum over blocks."""
        if self.beta == 2:
            return self.energy / 2
        if self.beta == 0:
            return -float(self.V.size)
        return self.V.size * (self._mean_of(W, Z) + float(self.matrix.offset) - self.matrix.mean)

    def _prices(self, W: Array) -> Array:
        """``λ ‖W_k‖``, what a unit of each row of activations costs."""
        if not self.penalty:
            return np.zeros(len(W), W.dtype)
        return np.asarray(self.penalty * np.linalg.norm(W, axis=(1, 2)))

    @cached_property
    def energy(self) -> float:
        """``‖V‖²``, in double precision."""
        blocks = pieces(len(self.V), ROWS)
        return float(sum(np.sum(np.square(self.V[rows], dtype=float)) for rows in blocks))

    @property
    def _rows(self) -> int:
        """Frames in a block: a model of all channels is to stay in the processor's cache."""
        return ROWS if self.beta == 2 else ROWS // 2

    def _shares(self, n_rows: int) -> list[slice]:
        """Frames that are worth a thread, in whole blocks."""
        worth = WORTH // (ROWS * self.V.shape[1] * n_rows) + 1
        return pieces(len(self.V), ROWS * worth)

    def _stripes(self, n_rows: int) -> list[slice]:
        """Channels that are worth a thread."""
        N, F = self.V.shape
        n_stripes = max(1, F // max(COLUMNS, WORTH // (N * n_rows)))
        return pieces(F, -(-F // n_stripes))

    @cached_property
    def matrix(self) -> nmf.Problem:
        """The same matrix as a problem of NMF, which knows its mean and ``ε``."""
        return nmf.Problem(self.V, self.beta, nmf.mm_exponent(self.beta))

    # ---- starts, states, sounds ----------------------------------------------------------------

    def drawn(self, K: int, start: str, rng: np.random.Generator) -> tuple[Array, Array]:
        """Uniform numbers from 0.1 to 1.1, with the mean of ``V`` in their model."""
        (N, F), L = self.V.shape, self.method.pattern_length
        W, Z = 0.1 + rng.random((K, L, F)), 0.1 + rng.random((K, N + L - 1))
        return self._as_loud(W.astype(self.V.dtype), Z.astype(self.V.dtype))

    def activations_for(self, W: Array) -> Array:
        """The same number everywhere, with the mean of ``V`` in the model."""
        Z = np.ones((len(W), len(self.V) + W.shape[1] - 1), self.V.dtype)
        return Z * self.V.dtype.type(self.matrix.mean / (self._mean_of(W, Z) or 1.0))

    def taken(self, found: Decomposition) -> tuple[Array, Array]:
        """Another result's factors, if they are of this spectrogram; else what its sounds show.

        From a sound the pattern is the spectrogram of its loudest stretch, the activations the
        correlation of that with the whole.
        """
        method, frame, dtype = self.method, self.method.frame, self.V.dtype
        shapes = method.shapes_of(found.n_components, *self.V.shape)
        if (
            found.spectra is not None
            and (found.spectra.shape, found.activations.shape) == tuple(shapes.values())
            and (found.hop, found.first_sample) == (frame.hop, method.first_sample)
            and found.parameters.get("power") == method.power
        ):
            return found.spectra.astype(dtype), found.activations.astype(dtype)
        W = method.patterns_of_sounds(found.patterns(method.pattern_samples).astype(dtype))
        return self._as_loud(W, opened(self.alike(W), LEAST))

    def alike(self, W: Array) -> Array:
        """Correlations of the spectrogram with patterns, at each position."""
        (N, _), (K, L, F) = self.V.shape, W.shape
        Z = np.zeros((K, N + L - 1), W.dtype)
        for rows in pieces(N, ROWS):
            alike = product_in_tiles(W.reshape(K * L, F), self.V[rows].T)
            Z[:, rows.start : rows.stop + L - 1] += undelayed(alike.reshape(K, L, -1))
        return Z

    def _as_loud(self, W: Array, Z: Array) -> tuple[Array, Array]:
        """The same start as loud as the matrix, the factors alike in scale."""
        scale = W.dtype.type(np.sqrt(self.matrix.mean / self._mean_of(W, Z)))
        return scale * W, scale * Z

    def _mean_of(self, W: Array, Z: Array) -> float:
        return self.sum_of(W, self.heard(Z)) / self.V.size

    def heard(self, Z: Array) -> Array:
        """How much of each spectrum of the patterns the model has in all, ``(K, L)``."""
        L = Z.shape[1] - len(self.V) + 1
        return _sums_of_delayed(Z, L)

    def sum_of(self, W: Array, heard: Array) -> float:
        """The sum of the model in which so much of each spectrum is heard."""
        return float(np.sum(heard * W.sum(axis=2, dtype=float)))

    def told(self, W: Array, Z: Array) -> tuple[Array, tuple[Any, ...]]:
        """The activations, moved, and what a piece tells: the objective before, and the sums."""
        objective, new_Z = self.updated_activations(W, Z)
        return new_Z, (objective, *self.sums(W, new_Z))

    def first(self, W: Array, Z: Array) -> State:
        return self._state(0, W, Z)

    def after(self, state: State) -> State:
        W, Z = state.patterns, state.pass_over[1]
        if self.held != "patterns":
            W = self.updated_patterns(W, Z)
        return self._state(state.iteration + 1, W, Z)

    def _state(self, iteration: int, W: Array, Z: Array) -> State:
        if self.penalty and not self.held:
            W, Z = normalised(W, Z)
        return State(iteration, W, Z, self)

    def record(self, state: State) -> dict[str, float]:
        return {"objective": state.pass_over[0]}

    def result(self, state: State) -> dict[str, Any]:
        W, Z = state.patterns, state.activations
        found = nmf.masked(self.x, self.method.frame, W, lambda rows: masks(W, Z, rows))
        return found | {"first_sample": self.method.first_sample}


@dataclass(frozen=True, eq=False)
class State(method.State):
    """One iterate, and what one pass over ``V`` says of it.

    Examples
    --------
    >>> start = next(ConvolutiveNMF(pattern_length=2).factorize(np.ones((5, 3)), 1))
    >>> start.iteration, start.patterns.shape, start.activations.shape
    (0, (1, 2, 3), (1, 6))

    References
    ----------
    References [22] and [23] of the paper.
    """

    @cached_property
    def pass_over(self) -> tuple[float, Array]:
        """The objective, and the activations of the next iterate."""
        return self.problem.updated_activations(self.patterns, self.activations)


# ---- delays --------------------------------------------------------------------------------


def delayed(activations: Array, length: int) -> Array:
    r"""Rows of activations at ``L`` delays, ``S[k, l, n] = z_k[n - l]``: a view, nothing is copied.

    With them the model is a product of matrices, ``V̂[n] = Σ_{kl} S[k, l, n] W_k[l]``. The
    activations ``(K, N + L - 1)`` begin at position ``-(L - 1)``, and ``length`` is ``L``. As with
    ``theory.blocks.frames``, take it of some frames at a time: it lies as if it were not a view.

    Examples
    --------
    >>> delayed(np.array([[1.0, 2.0, 3.0]]), 2)
    array([[[2., 3.],
            [1., 2.]]])

    References
    ----------
    References [22] and [23] of the paper.
    """
    N = activations.shape[1] - length + 1
    return np.lib.stride_tricks.sliding_window_view(activations, N, axis=1)[:, ::-1]


def blocks_of(
    activations: Array, length: int, frames: slice, size: int
) -> Iterator[tuple[slice, Array]]:
    """Some frames, ``size`` at a time, and their delayed activations as a matrix ``(K L, n)``.

    Examples
    --------
    >>> blocks = blocks_of(np.array([[1.0, 2.0, 3.0]]), 2, slice(0, 2), 1)
    >>> [(rows.start, s.ravel().tolist()) for rows, s in blocks]
    [(0, [2.0, 1.0]), (1, [3.0, 2.0])]
    """
    for start in range(frames.start, frames.stop, size):
        rows = slice(start, min(start + size, frames.stop))
        S = delayed(activations[:, rows.start : rows.stop + length - 1], length)
        yield rows, S.reshape(-1, rows.stop - rows.start)


def _sums_of_delayed(activations: Array, length: int) -> Array:
    """``Σ_n S[k, l, n]`` of all frames, ``(K, L)``, in double precision."""
    first, last = length - 1, activations.shape[1]
    rows = (activations[:, first - n : last - n] for n in range(length))
    return np.stack([row.sum(axis=1, dtype=float) for row in rows], axis=1)


def undelayed(sums: Array) -> Array:
    """Adjoint of :func:`delayed`: what all delays say of each activation, ``Σ_l s[k, l, m + l]``.

    From ``(K, L, n)`` to ``(K, n + L - 1)``, which begins ``L - 1`` before the block's first frame.

    Examples
    --------
    >>> undelayed(np.array([[[2.0, 3.0], [1.0, 2.0]]]))
    array([[1., 4., 3.]])

    References
    ----------
    References [22] and [23] of the paper.
    """
    K, L, n = sums.shape
    rows = np.zeros((K, L, n + L), sums.dtype)
    rows[:, :, :n] = sums[:, ::-1]
    # read with rows that are one shorter, each lies one further to the right than the one above
    slanted = rows.reshape(K, -1)[:, : L * (n + L - 1)].reshape(K, L, n + L - 1)
    return np.asarray(slanted.sum(axis=1))


def _moved(factor: Array, up: Array, down: Array, exponent: float) -> Array:
    """``factor (up / down)**exponent``."""
    moved = ratio(up, down)
    if exponent != 1:
        moved **= exponent
    moved *= factor
    return moved


def model(patterns: Array, activations: Array, rows: slice | None = None) -> Array:
    r"""The spectrogram that the patterns make, ``V̂[n] = Σ_k Σ_l z_k[n - l] W_k[l]``.

    *Boundary rule.* A pattern may begin before the first frame and end after the last: positions
    run from ``-(L - 1)`` to ``N - 1``, and what lies outside the spectrogram is not seen.

    From ``W (K, L, F)`` and ``Z (K, N + L - 1)`` to the frames that ``rows`` asks for, else all
    ``N``: ``(n, F)``.

    Examples
    --------
    >>> model(np.array([[[1.0], [10.0]]]), np.array([[0.0, 2.0, 0.0, 1.0]])).ravel()
    array([ 2., 20.,  1.])

    References
    ----------
    References [22] and [23] of the paper.
    """
    K, L, F = patterns.shape
    rows = slice(0, activations.shape[1] - L + 1) if rows is None else rows
    flat = patterns.reshape(K * L, F)
    blocks = blocks_of(activations, L, rows, ROWS)
    return np.concatenate([product_in_tiles(s.T, flat) for _, s in blocks])


def masks(patterns: Array, activations: Array, rows: slice) -> Iterator[Array]:
    r"""The share that each component has in the model of some frames; they sum to 1.

    .. math:: G_k[n] = \frac{\sum_l z_k[n - l]\, W_k[l]}{\sum_j \sum_l z_j[n - l]\, W_j[l]}

    One ``G_k (n, F)`` after the other, of the frames ``rows``. Where the model is silent all have
    the same share.

    Examples
    --------
    >>> W, Z = np.array([[[1.0, 0.0]], [[3.0, 0.0]]]), np.ones((2, 1))
    >>> list(masks(W, Z, slice(0, 1)))
    [array([[0.25, 0.5 ]]), array([[0.75, 0.5 ]])]
    """
    whole = model(patterns, activations, rows)
    heard = whole > np.finfo(whole.dtype).tiny
    for w, z in zip(patterns, activations, strict=True):
        share = np.full_like(whole, 1 / len(patterns))
        np.divide(model(w[None], z[None], rows), whole, out=share, where=heard)
        yield share


# ---- options ---------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, repr=False)
class ConvolutiveNMF(nmf.OfSpectrogram, name="convolutive-nmf"):
    r"""Patterns of several spectra, and their activations, of the spectrogram.

    .. math::
        \min_{W, Z ≥ 0} \; D_β\Big( |X[n,f]|^p \,\Big|\, \sum_k \sum_{l<L} z_k[n-l] W_k[l,f] \Big)
        + λ \sum_k \|W_k\| \sum_n z_k[n]

    The frame has to be tight, so that the components sum to the signal. With ``λ > 0`` the patterns
    have norm 1, which costs the objective nothing. A factor that is held keeps its scale, and then
    neither is scaled: the norms of the patterns are what the objective says of them.

    Raises
    ------
    ValueError
        For an option that does not meet its rule: a floor of 0 where ``β = 0``, a penalty with
        averaged updates. For a signal of fewer frames than a pattern has.

    Examples
    --------
    >>> from cdlnmf_lit.theory.gabor import hann
    >>> x = np.sin(0.3 * np.arange(200.0))
    >>> method = ConvolutiveNMF(frame=hann(32, 16), pattern_length=3, iterations=5)
    >>> found = method.decompose(x, 2)
    >>> found.spectra.shape, np.allclose(found.components().sum(axis=0), x)
    ((2, 3, 17), True)

    References
    ----------
    References [22] and [23] of the paper.
    """

    divergence: str = option(
        "kullback-leibler", "Of the spectrogram from its model.", OneOf(*nmf.DIVERGENCES)
    )
    pattern_length: int = option(
        44,
        "``L``, the frames that a pattern lasts: the sound in question and little more; 1 is NMF. "
        "Time and memory grow with it. At 22,050 Hz 44 frames last 2 s in the usual frame.",
        at_least(1),
    )
    penalty: float = option(
        0.0,
        "``λ``, in the unit of the activations: larger values leave fewer of them.",
        non_negative,
    )
    activation_update: str = option(
        "joint",
        "All delays together, which never raises the objective; or averaged, the mean of the "
        "updates that each delay asks for, as in reference [23], which may.",
        OneOf("joint", "averaged"),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.penalty and self.activation_update == "averaged":
            raise ValueError(
                f"penalty must be 0 with averaged activation updates, got {self.penalty!r}"
            )

    @property
    def first_sample(self) -> int:
        """The sample at which the window of the first activation starts."""
        return self.frame.first_sample - self.frame.hop * (self.pattern_length - 1)

    @property
    def pattern_samples(self) -> int:
        """The samples that a pattern's windows meet."""
        return self.frame.hop * (self.pattern_length - 1) + self.frame.window.size

    def patterns_of_sounds(self, sounds: Array) -> Array:
        """The spectrogram of each of some sounds, as long as a pattern, without zeros."""
        inside = slice(-self.frame.first_frame, self.pattern_length - self.frame.first_frame)
        W = [self.frame.spectrogram(sound, self.power or 1.0)[inside] for sound in sounds]
        return opened(np.stack(W), LEAST)

    def check(self, x: Array) -> None:
        super().check(x)
        self.require_frames(self.frame.n_frames(x.size))

    def require_frames(self, n_frames: int) -> None:
        """Refuse fewer frames than a pattern has."""
        integer(self.pattern_length, "pattern_length", at_most=n_frames)

    def problem_of(self, V: Array, **asked: Any) -> Problem:
        self.require_frames(len(V))
        return Problem(V, self.beta, self.penalty, self.activation_update, **asked)

    def shapes_of(self, K: int, N: int, F: int) -> dict[str, tuple[int, ...]]:
        L = self.pattern_length
        return {"patterns": (K, L, F), "activations": (K, N + L - 1)}

    def applied(
        self, x: Array, W: Array, learnt: Decomposition, gap: float | None, **asked: Any
    ) -> Iterator[Any]:
        """See :mod:`.convolutive_gap`."""
        from cdlnmf_lit.methods.convolutive_gap import states

        return states(self.problem(x, len(W), **asked), W)

    def check_several(self, n: int) -> None:
        """It can learn from any number."""

    def problem_of_several(self, recordings: Any, about: dict[str, Any]) -> Any:
        from cdlnmf_lit.methods.common_spectra import Spectra

        return Spectra.of(self, recordings, about)

    def bytes_needed(self, n_samples: int, K: int, dtype: np.dtype) -> int:
        """The spectrogram, the iterates, the sounds twice, and each thread's blocks."""
        (N, F), L = self.shape(n_samples), self.pattern_length
        kept = N * F + 4 * K * L * F + 6 * K * (N + L) + 2 * (K + 1) * n_samples
        if self.beta == 2:
            kept += 2 * (K * L) ** 2
        block = min(N * max(self.frame.channels, self.frame.window.size), BLOCK)
        at_once = max(3 * (K * L + F) * min(N, ROWS), 6 * block)
        return int((kept + n_threads() * at_once) * dtype.itemsize)
