r"""NMF in fewer iterations: each begins ahead of the last two, where they point.

Multiplicative updates crawl, always the same way. Here an iteration begins from where the last two
would lead. The objective comes from the update's own pass over ``V``; if it has risen, the
iteration is done again from where the last one ended. For the Euclidean divergence, exact
coordinate descent takes the place of the multiplicative update.

Chapter: ``book/methods/nmf.md``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from cdlnmf_lit.methods import nmf
from cdlnmf_lit.methods.kernels import sweep
from cdlnmf_lit.methods.method import State
from cdlnmf_lit.theory.arguments import Array
from cdlnmf_lit.theory.blocks import in_threads, summed

MOST = 10.0
"""By how much an entry may change at the most to be extrapolated as it changed."""
SMALL = 1e-4
"""Entries below this share of the largest one are not taken down ahead: they may be needed yet."""
SWEEPS = 4
"""Rounds of coordinate descent an iteration: for them the products with ``V`` are there."""


def ahead(now: Array, before: Array, b: float) -> Array:
    r"""Factors ahead of the last two, in the logarithm; what is 0 stays 0, what is small no less.

    .. math:: Y = X \Big(\frac{X}{X_{\text{before}}}\Big)^b

    Examples
    --------
    >>> ahead(np.array([4.0, 1.0, 0.0]), np.array([2.0, 2.0, 0.0]), 1.0)
    array([8. , 0.5, 0. ])

    References
    ----------
    Equation (8) of the paper has the problem; this start of an iteration is not in it.
    """
    ratio = np.ones_like(now)
    np.divide(now, before, out=ratio, where=before > 0)
    np.clip(ratio, 1 / MOST, MOST, out=ratio)
    ratio **= now.dtype.type(b)
    ratio *= now
    small = now.dtype.type(SMALL) * now.max()
    return np.maximum(ratio, np.minimum(now, small), out=ratio)


def ahead_plainly(now: Array, before: Array, b: float) -> Array:
    """``now + b (now - before)``, and 0 where that is negative.

    Examples
    --------
    >>> ahead_plainly(np.array([4.0, 1.0]), np.array([2.0, 3.0]), 1.0)
    array([6., 0.])
    """
    step = now - before
    step *= now.dtype.type(b)
    step += now
    return np.maximum(step, 0, out=step)


@dataclass(frozen=True, eq=False)
class Ahead(State):
    """An iterate of :class:`Extrapolated`, and what the next one begins from.

    Parameters
    ----------
    following : pair of arrays (K, F)
        The spectra that this iterate and the one before ask for.
    before : array (K, N)
        The activations of the iterate before.
    streak : int
        Iterations since the objective last rose.
    value : float, or None
        The objective, up to a constant; None where nothing was computed yet.
    sums : pair of arrays
        What the spectra that follow were computed from.

    Examples
    --------
    >>> states = nmf.NMF(acceleration="extrapolation").factorize(np.eye(4) + 1, 2)
    >>> [next(states).streak for _ in range(3)]
    [0, 1, 2]
    """

    following: tuple[Array, Array]
    before: Array
    streak: int = 0
    value: float | None = None
    sums: tuple[Array, ...] = ()


@dataclass(frozen=True, eq=False)
class Extrapolated(nmf.Problem):
    r"""The multiplicative updates, each iteration begun ahead of the last two.

    .. math:: W ← \hat W \Big(\frac{\hat W}{\hat W_{\text{before}}}\Big)^b, \quad
        Z ← \text{update of } Z \Big(\frac{Z}{Z_{\text{before}}}\Big)^b, \quad
        \hat W ← \text{update of } W, \qquad b = \frac{t}{t + 3}

    An iterate is the pair ``W, Z``; ``Ŵ`` is where the next one begins. The second half of the
    pass has the model at hand, so the objective costs a logarithm an entry at the most. If it has
    risen, the iteration is done again with ``b = 0``, which never raises it, and ``t`` counts anew.

    Examples
    --------
    >>> V = np.random.default_rng(0).random((30, 20)) + 0.1
    >>> objectives = []
    >>> for acceleration in ("none", "extrapolation"):
    ...     states = nmf.NMF(acceleration=acceleration).factorize(V, 3)
    ...     objectives.append([next(states).objective for _ in range(50)][-1])
    >>> objectives[1] < objectives[0]
    True

    References
    ----------
    Equation (8) of the paper, which has no such step.
    """

    def first(self, W: Array, Z: Array) -> Ahead:
        start = Ahead(0, W, Z, self, following=(W, W), before=Z)
        if self.held != "activations":
            return start
        return replace(self.tried(start, 0.0), iteration=0, streak=0)

    def after(self, state: Any) -> Ahead:
        found = self.tried(state, state.streak / (state.streak + 3))
        if state.streak and not found.value <= state.value:
            found = self.tried(replace(state, streak=0), 0.0)
        return found

    def tried(self, state: Ahead, b: float) -> Ahead:
        """The next iterate, begun ahead by ``b``."""
        W, Z = self.begun(ahead, state, b)
        new_Z = Z if self.held == "activations" else np.empty_like(Z)
        offset_W = np.vstack([W, np.full((1, W.shape[1]), self.offset, W.dtype)])

        def share(blocks: list[slice]) -> tuple[Any, ...]:
            return self._told_share(blocks, offset_W, Z, new_Z)

        up, down, logarithms = summed(share, self.shares(len(W)))
        if self.held != "activations":
            nmf.without_traces(new_Z)
        if self.beta == 1:
            down = np.append(new_Z.sum(axis=1), new_Z.shape[1])[:, None].astype(W.dtype)
        value = self._value(offset_W.astype(float), up, down, logarithms)
        following = W
        if self.held != "patterns":
            following = nmf.without_traces(self._moved(W.copy(), up[:-1], down[:-1]))
        return self.reached(state, W, new_Z, following, value)

    def begun(self, rule: Any, state: Ahead, b: float) -> tuple[Array, Array]:
        """The factors that an iteration begins from."""
        W, Z = state.following[0], state.activations
        if b and self.held != "patterns":
            W = rule(*state.following, b)
        if b and self.held != "activations":
            Z = rule(Z, state.before, b)
        return W, Z

    def reached(
        self, state: Ahead, W: Array, Z: Array, following: Array, value: float, sums: Any = ()
    ) -> Ahead:
        """The iterate after ``state``."""
        return Ahead(
            state.iteration + 1,
            W,
            Z,
            self,
            following=(following, state.following[0]),
            before=state.activations,
            streak=state.streak + 1,
            value=value,
            sums=sums,
        )

    def _told_share(
        self, blocks: list[slice], offset_W: Array, Z: Array, new_Z: Array
    ) -> tuple[Any, ...]:
        """Move the activations of some frames; what these say of the spectra and the objective."""
        W, F = offset_W[:-1], offset_W.shape[1]
        longest = max(rows.stop - rows.start for rows in blocks)
        buffers = np.empty((2, longest, F), W.dtype)
        activations = np.ones((len(W) + 1, longest), W.dtype)  # the last row is that of the offset
        up, down = np.zeros_like(offset_W), np.zeros_like(offset_W)
        sums, logarithms = W.sum(axis=1, keepdims=True), 0.0
        for rows in blocks:
            v = self.V[rows]
            offset_z = activations[:, : len(v)]
            z = offset_z[:-1]
            z[:] = Z[:, rows]
            if self.held != "activations":
                q, p = self._weighed(v, offset_z, offset_W, buffers)
                new_Z[:, rows] = self._moved(z, W @ q.T, sums if p is None else W @ p.T)
            q, p = self._weighed(v, offset_z, offset_W, buffers)
            up += offset_z @ q
            if p is not None:
                down += offset_z @ p
            logarithms += self._logarithms(v, q, p)
        return up, down, logarithms

    def _near(self, beta: float) -> bool:
        """Whether the divergence is that of a limit, as in :func:`~..nmf.beta_divergence`."""
        return abs(self.beta - beta) < 1e-8

    def _logarithms(self, v: Array, q: Array, p: Array | None) -> float:
        """Of a block ``Σ v log(v/M)`` for ``β = 1``, ``Σ log M`` for 0; spoils ``q`` and ``p``."""
        if self._near(1):
            if not self.is_positive:
                np.maximum(q, np.finfo(q.dtype).tiny, out=q)
            return float(np.vecdot(v, np.log(q, out=q)).sum(dtype=float))
        if self._near(0) and p is not None:
            return -float(np.log(p, out=p).sum(dtype=float))
        return 0.0

    @cached_property
    def is_positive(self) -> bool:
        """Whether no quotient of an entry and its model is zero, to rounding either."""
        return bool(self.V.min() > np.sqrt(np.finfo(self.V.dtype).tiny) * self.mean)

    def _value(self, W: Array, up: Array, down: Array, logarithms: float) -> float:
        """The objective: ``W · up`` is ``Σ V M**(β - 1)``, and ``W · down`` is ``Σ M**β``."""
        told, beta = self.constant + logarithms, self.beta
        if self._near(1):
            return told + float(np.sum(W * down))
        if self._near(0):
            return told + float(np.vdot(W, up))
        powers = (beta - 1) * np.vdot(W, down) - beta * np.vdot(W, up)
        return told + float(powers) / (beta * (beta - 1))

    @cached_property
    def constant(self) -> float:
        """What of the objective depends on ``V`` alone."""
        if self._near(1):
            return -self.mean * self.V.size

        def share(blocks: list[slice]) -> float:
            values = map(self.V.__getitem__, blocks)
            terms = (np.log(v) if self._near(0) else v**self.beta for v in values)
            return sum(float(each.sum(dtype=float)) for each in terms)

        total = float(sum(in_threads(share, self.shares(16))))
        if self._near(0):
            return -total - self.V.size
        return total / (self.beta * (self.beta - 1))

    def record(self, state: Any) -> dict[str, float]:
        return super().record(state) if state.value is None else {"objective": state.value}


class CoordinateDescent(Extrapolated):
    r"""Euclidean NMF, one row of a factor after the other to its minimum given the rest.

    .. math:: z_k ← \max\Big(0, \; z_k + \frac{c_k - \sum_j G_{kj} z_j}{G_{kk}}\Big), \qquad
        C = W V^T, \quad G = W W^T

    and the same for ``W``, with ``Z V`` and ``Z Zᵀ``. The large product is there for all rounds.
    A quadratic changes from ``z`` to ``z + d`` by ``(G (z + d/2) - C) · d``: so the sum of such
    changes tells whether the objective rises, and no large numbers cancel.

    Examples
    --------
    >>> states = nmf.NMF(divergence="euclidean", acceleration="extrapolation").factorize(
    ...     np.outer([1.0, 2.0, 3.0], [1.0, 4.0]), 1
    ... )
    >>> [next(states) for _ in range(9)][-1].objective < 1e-9
    True

    References
    ----------
    Equation (8) of the paper; hierarchical alternating least squares.
    """

    def tried(self, state: Ahead, b: float) -> Ahead:
        W, Z = self.begun(ahead_plainly, state, b)
        new_Z = Z if self.held == "activations" else np.empty_like(Z)
        gram = W @ W.T

        def share(blocks: list[slice]) -> tuple[Any, ...]:
            return self._descended(blocks, W, gram, Z, state.activations, new_Z)

        products, own_gram, change = summed(share, self.shares(len(W)))
        if state.sums:
            change += _change(state.patterns, W, *state.sums)
        following = W
        if self.held != "patterns":
            following = W.copy()
            sweep(following, products, own_gram, SWEEPS)
        value = (state.value or 0.0) + change
        return self.reached(state, W, new_Z, following, value, (products, own_gram))

    def _descended(
        self, blocks: list[slice], W: Array, gram: Array, Z: Array, old_Z: Array, new_Z: Array
    ) -> tuple[Any, ...]:
        """Move the activations of some frames; what these say of the spectra; the change."""
        K = len(W)
        products, own_gram, change = np.zeros_like(W), np.zeros((K, K), W.dtype), 0.0
        for rows in blocks:
            v, z = self.V[rows], np.ascontiguousarray(Z[:, rows])
            if self.held != "activations":
                c = W @ v.T
                z = z.copy()
                sweep(z, c, gram, SWEEPS)
                new_Z[:, rows] = z
                change += _change(old_Z[:, rows], z, c, gram)
            products += z @ v
            own_gram += z @ z.T
        return products, own_gram, change

    def record(self, state: State) -> dict[str, float]:
        return nmf.Problem.record(self, state)


def _change(old: Array, new: Array, c: Array, gram: Array) -> float:
    """By how much ``½ z · G z - c · z`` changes."""
    step = new - old
    slope = gram @ (old + step / 2)
    slope -= c
    slope *= step
    return float(slope.sum(dtype=float))
