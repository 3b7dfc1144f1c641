"""Spectra, or patterns of several, that spectrograms have in common: NMF and convolutive NMF.

Chapter: ``book/methods/method.md``.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from cdlnmf_lit.methods import method
from cdlnmf_lit.methods.factors import norms
from cdlnmf_lit.methods.nmf import Problem as Matrix
from cdlnmf_lit.methods.pieces import Recordings, State, loudest, totals
from cdlnmf_lit.methods.starts import LEAST
from cdlnmf_lit.theory.arguments import Array


@dataclass(frozen=True, eq=False, kw_only=True)
class Spectra(method.Problem):
    """Spectrograms to be factorised with the same spectra, or patterns of several.

    Parameters
    ----------
    recordings : Recordings
    pieces : tuple
        The problem of each.
    lengths : list of int
        The frames of each.
    whole
        That of all frames, whose entries it does not know.
    mean : float
        Of all entries.
    drawn_in : dtype, optional
        In which a start that is drawn is scaled; None is that of the spectrograms.

    Examples
    --------
    >>> from cdlnmf_lit.methods import nmf
    >>> V = [np.outer(z, [3.0, 4.0]) for z in ([1.0, 2.0], [5.0])]
    >>> pieces = [nmf.Problem(v, beta=1.0, exponent=1.0) for v in V]
    >>> W, Z = np.ones((1, 2)), [np.ones((1, 2)), np.ones((1, 1))]
    >>> told = [piece.sums(W, z)[1] for piece, z in zip(pieces, Z)]
    >>> together = nmf.Problem(np.concatenate(V), beta=1.0, exponent=1.0)
    >>> W_of_all, _ = together.updated(W, np.concatenate(Z, axis=1))
    >>> np.allclose(pieces[0].patterns_from(W, *totals(told)), W_of_all)
    True

    References
    ----------
    Equation (8) of the paper.
    """

    recordings: Recordings
    pieces: tuple[Any, ...]
    lengths: list[int]
    whole: Any
    mean: float
    drawn_in: Any = None

    def after(self, state: Any) -> State:
        """One iteration: each piece has told its sums, from which the patterns are."""
        activations, (_, *sums) = state.told
        W = self.whole.patterns_from(state.patterns, *sums)
        return self.state(state.iteration + 1, W, activations)

    def tells(self, state: State) -> tuple[Any, list[Any]]:
        """The activations of the next iterate, the objective of this one, and all sums."""
        work = partial(_told, state.patterns)
        activations, told = self.recordings.spread(work, self.pieces, state.activations)
        return activations, totals(told)

    def record(self, state: Any) -> dict[str, float]:
        return {"objective": state.told[1][0]}

    @classmethod
    def of(
        cls, asked: Any, recordings: Recordings, about: dict[str, Any], drawn_in: Any = None
    ) -> Spectra:
        """Spectrograms raised to the same floor, a share of the mean of all."""
        asked = asked.resolved(None)
        sums, sizes = totals(recordings.told(partial(_summed, asked), recordings.signals))
        work = partial(_raised, asked, sums / sizes)
        pieces, told = recordings.spread(work, recordings.signals)
        lengths, dtype = [n for n, _ in told], np.dtype(asked.precision or recordings.dtype)
        F = asked.frame.channels // 2 + 1
        V = np.broadcast_to(np.zeros((), dtype), (sum(lengths), F))
        return cls(
            method=asked,
            recordings=recordings,
            pieces=pieces,
            lengths=lengths,
            whole=asked.problem_of(V, method=asked),
            mean=sum(total for _, total in told) / V.size,
            about=about,
            drawn_in=drawn_in,
        )

    def state(self, iteration: int, W: Array, activations: Any) -> State:
        """An iterate; with a penalty its patterns have norm 1."""
        if getattr(self.method, "penalty", 0.0):
            sizes = norms(W)
            W = W / sizes.reshape(-1, *[1] * (W.ndim - 1))
            activations, _ = self.recordings.spread(partial(_scaled, sizes), activations)
        return State(iteration, W, activations, self)

    def first(self, W: Array, Z: Any) -> Any:
        return self.state(0, W, Z)

    def drawn(self, K: int, start: str, rng: np.random.Generator) -> tuple[Array, Any]:
        """Uniform numbers from 0.1 to 1.1, with the mean of all in their product.

        Each piece draws its own columns, those that it would have of one whole.
        """
        shapes = self.method.shapes_of(K, *self.whole.V.shape)
        W, rng = 0.1 + rng.random(shapes["patterns"]), _that_skips(rng)
        widths = [self.method.shapes_of(K, n, 1)["activations"][1] for n in self.lengths]
        begins = np.cumsum([0, *widths]).tolist()
        dtype = np.dtype(self.drawn_in or self.whole.V.dtype)
        make = partial(_columns, rng, K, begins[-1], dtype)
        return self._as_loud(W.astype(dtype), make, begins[:-1], widths)

    def activations_for(self, W: Array) -> Any:
        """The same number everywhere, with the mean of all in the product."""
        shape_of = partial(self.method.shapes_of, len(W))
        columns = [shape_of(n, W.shape[-1])["activations"] for n in self.lengths]
        scale = W.dtype.type(self.mean / (self._mean_of(W, _level, columns) or 1.0))
        work = partial(_made, _level, scale)
        return self.recordings.spread(work, self.pieces, columns)[0]

    def taken(self, found: Any) -> tuple[Array, Any]:
        """The factors of the same spectrograms, else what the loudest stretch of a sound shows."""
        asked, dtype, told = self.method, self.whole.V.dtype, self.recordings.told
        options = ("frame", "pattern_length", "power")
        if [getattr(found.problem.method, each, None) for each in options] == [
            getattr(asked, each) for each in options
        ]:
            work = partial(_in_precision, dtype)
            return found.patterns.astype(dtype), self.recordings.spread(work, found.activations)[0]
        W = asked.patterns_of_sounds(loudest(found, asked.pattern_samples).astype(dtype))
        most = max(told(partial(_most_alike, W), self.pieces))
        return self._as_loud(W, partial(_alike, W, most))

    def _as_loud(self, W: Array, make: Callable[..., Array], *columns: Any) -> tuple[Array, Any]:
        """A start as loud as the spectrograms, whose activations each piece can make."""
        scale = W.dtype.type(np.sqrt(self.mean / self._mean_of(W, make, *columns)))
        work = partial(_made, make, scale)
        activations, _ = self.recordings.spread(work, self.pieces, *columns)
        return (scale * W).astype(self.whole.V.dtype), activations

    def _mean_of(self, W: Array, make: Callable[..., Array], *columns: Any) -> float:
        """The mean of the model, of activations that each piece can make."""
        heard = self.recordings.told(partial(_heard, make), self.pieces, *columns)
        return float(self.whole.sum_of(W, sum(heard[1:], start=heard[0]))) / self.whole.V.size


# ---- what a piece does, and tells --------------------------------------------------------------


def _summed(asked: Any, x: Array) -> tuple[None, tuple[float, int]]:
    V = asked.frame.spectrogram(asked.in_precision(x), asked.power)
    return None, (float(V.sum(dtype=float)), V.size)


def _raised(asked: Any, mean: float, x: Array) -> tuple[Any, tuple[int, float]]:
    x = asked.in_precision(x)
    V = asked.raised(asked.frame.spectrogram(x, asked.power), mean)
    total = Matrix(V, asked.beta, 1.0).total
    return asked.problem_of(V, method=asked, x=x), (len(V), total)


def _told(W: Array, problem: Any, Z: Array) -> tuple[Array, tuple[Any, ...]]:
    found: tuple[Array, tuple[Any, ...]] = problem.told(W, Z)
    return found


def _scaled(sizes: Array, Z: Array) -> tuple[Array, None]:
    return sizes[:, None] * Z, None


def _in_precision(dtype: np.dtype, Z: Array) -> tuple[Array, None]:
    return Z.astype(dtype), None


def _heard(make: Callable[..., Array], problem: Any, *columns: Any) -> tuple[None, Array]:
    return None, problem.heard(make(problem, *columns))


def _made(
    make: Callable[..., Array], scale: Any, problem: Any, *columns: Any
) -> tuple[Array, None]:
    return (scale * make(problem, *columns)).astype(problem.V.dtype), None


def _level(problem: Any, shape: tuple[int, int]) -> Array:
    return np.ones(shape, problem.V.dtype)


def _alike(W: Array, most: Any, problem: Any) -> Array:
    return np.asarray(np.maximum(problem.alike(W), LEAST * most))


def _most_alike(W: Array, problem: Any) -> tuple[None, Any]:
    return None, problem.alike(W).max()


def _columns(
    rng: np.random.Generator, K: int, N: int, dtype: np.dtype, problem: Any, begin: int, n: int
) -> Array:
    """Some columns of ``0.1 + rng.random((K, N))``, without drawing the others."""
    rows = []
    for k in range(K):
        here = deepcopy(rng)
        here.bit_generator.advance(k * N + begin)  # type: ignore[attr-defined]
        rows.append(here.random(n))
    return (0.1 + np.stack(rows)).astype(dtype)


def _that_skips(rng: np.random.Generator) -> np.random.Generator:
    """The same generator, or one of a kind that knows how to pass over numbers."""
    if isinstance(rng.bit_generator, np.random.PCG64 | np.random.PCG64DXSM):
        return rng
    return np.random.default_rng(int(rng.integers(2**63)))
