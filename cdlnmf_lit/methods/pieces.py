r"""Several recordings as one: patterns in common, learnt from what each recording tells.

In an iteration each piece moves its activations, which stay where it is, and tells sums of a size
that does not depend on its length; the patterns come from the sums of all. That is the method
itself on the recordings one after the other, with silence between them:

- NMF: up to the next frame that no recording reaches, ``hop N - T`` samples after each;
- convolutive NMF: ``L - 1`` silent frames at both ends of each recording, which are a part of it.
  What lies outside a recording's frames is not seen, as with one signal;
- dictionary learning: twice the padding and ``T_d - 1`` samples more, or up to where passes over
  segments begin alike, an even multiple of ``max(2 T_d, 4096)`` samples. No atom reaches from one
  recording into another, nor beyond the padding of its own.

Activations of the silence alone, which no recording has, are zero. One recording gives what a
signal gives, to the bit.

Chapter: ``book/methods/method.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

import numpy as np

from cdlnmf_lit.methods import method
from cdlnmf_lit.methods.checkpoints import Kept
from cdlnmf_lit.methods.decomposition import Decomposition
from cdlnmf_lit.methods.method import Method, Watch
from cdlnmf_lit.theory.arguments import Array, choice, integer, require_range, signal

Map = Callable[..., Iterable[tuple[Any, Any]]]
"""``map(work, *columns)``: what each piece keeps, or what stands for it, and what it tells."""


@dataclass(frozen=True, eq=False)
class Recordings:
    """Recordings that are learnt from together.

    Parameters
    ----------
    signals : tuple of arrays (T_i,)
        Or what stands for them, if ``map`` knows what that is.
    sizes : tuple of int
        ``T_i``.
    dtype : dtype
    map : callable
        As the ``map`` of Python: ``map(work, *columns)`` calls ``work`` for each piece and yields
        pairs, in order. The first of a pair stays with the piece: something else may stand for it,
        which is then given in a later column. The second travels.
    names : tuple of str
        What errors call them.

    Examples
    --------
    >>> recordings = Recordings.of([np.ones(3), np.ones(4)])
    >>> recordings.size, recordings.told(lambda x: (None, x.sum().item()), recordings.signals)
    (7, [3.0, 4.0])
    """

    signals: tuple[Any, ...]
    sizes: tuple[int, ...]
    dtype: np.dtype
    map: Map = map
    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, given: Sequence[Any]) -> Recordings:
        """Signals, each checked for what every method asks.

        Raises
        ------
        ValueError
            If one of them is no signal.
        """
        names = tuple(f"recording {n} of {len(given)}" for n in range(1, len(given) + 1))
        found = tuple(signal(x, name) for x, name in zip(given, names, strict=True))
        return cls(found, tuple(x.size for x in found), np.result_type(*found), names=names)

    @property
    def size(self) -> int:
        """The samples of all."""
        return sum(self.sizes)

    def problem_of(self, asked: Method, K: int, about: dict[str, Any]) -> Any:
        """What a method iterates on."""
        return asked.problem_of_several(self, {**about, "n_recordings": len(self.sizes)})

    def spread(self, work: Callable[..., Any], *columns: Any) -> tuple[tuple[Any, ...], list[Any]]:
        """What all pieces keep, and what they tell."""
        kept, told = zip(*self.map(work, *columns), strict=True)
        return kept, list(told)

    def told(self, work: Callable[..., Any], *columns: Any) -> list[Any]:
        """What all pieces tell."""
        return self.spread(work, *columns)[1]


def is_several(x: Any) -> bool:
    """Whether this is no signal, but several.

    Examples
    --------
    >>> is_several([np.ones(3), np.ones(4)]), is_several([1.0, 2.0]), is_several(np.ones((2, 3)))
    (True, False, False)
    """
    if isinstance(x, list | tuple):
        return any(isinstance(each, np.ndarray) and each.ndim for each in x)
    return isinstance(x, Recordings)


@dataclass(frozen=True, eq=False)
class Learnt:
    """Patterns that several recordings have in common, and where their activations are.

    Parameters
    ----------
    patterns : array (K, …)
    activations : tuple
        One a recording, or what stands for it.
    problem
        What was iterated on.
    history : dict of arrays
    status : str
    parameters : dict

    Examples
    --------
    >>> from cdlnmf_lit import NMF, hann
    >>> sounds = [np.sin(0.3 * np.arange(T)) for T in (200.0, 300.0)]
    >>> found = learnt(NMF(frame=hann(32, 16), iterations=5), sounds, 1)
    >>> found.patterns.shape, [each.activations.shape for each in found.decompositions()]
    ((1, 17), [(1, 14), (1, 20)])
    >>> found.alone().apply(sounds[0]).activations.shape
    (1, 14)
    """

    patterns: Array
    activations: tuple[Any, ...]
    problem: Any
    history: dict[str, Array] = field(default_factory=dict)
    status: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)

    def each(self, recordings: slice = slice(None)) -> Iterator[Decomposition]:
        """The result of each recording; the patterns are the same arrays."""
        pieces, activations = self.problem.pieces[recordings], self.activations[recordings]
        told = self.problem.recordings.map(partial(_found_in, self.patterns), pieces, activations)
        for _, found in told:
            parts: dict[str, Any] = {"history": self.history, "parameters": self.parameters}
            parts["spectra" if found.atoms is None else "atoms"] = self.patterns
            yield replace(found, status=self.status, **parts)

    def decompositions(self) -> list[Decomposition]:
        """One result a recording."""
        return list(self.each())

    def alone(self) -> Decomposition:
        """The patterns without a recording: a result of no sample, to be applied or saved."""
        found = next(self.each(slice(1)))
        nothing: dict[str, Any] = {
            "activations": found.activations[:, :0],
            "residual": found.residual[:0],
        }
        if found.sounds is not None:
            nothing["sounds"] = found.sounds[:, :0]
        return replace(found, **nothing)

    def save(self, path: Any) -> None:
        """Write the patterns, :meth:`alone`."""
        self.alone().save(path)


def learnt(
    asked: Method,
    given: Any,
    n_components: int,
    start: Any = None,
    held: str | None = None,
    rng: Any = 0,
    watch: Watch | None = None,
    kept: Kept | None = None,
) -> Learnt:
    """Run all stages and starts of a method on several recordings at once.

    Parameters
    ----------
    asked : Method
        One that can learn from several, or a chain of such; see :meth:`.Method.check_several`.
    given : sequence of arrays, or Recordings
    n_components, start, held, rng, watch, kept
        See :meth:`~cdlnmf_lit.methods.method.Method.decompose`. Nothing is gone on from.

    Raises
    ------
    ValueError
        For a recording, a method, an option or a start that does not fit, before any work.

    Examples
    --------
    See :class:`Learnt`.

    >>> from cdlnmf_lit import NMF
    >>> learnt(NMF(), [np.ones(3), np.zeros(5)], 1)
    Traceback (most recent call last):
        ...
    ValueError: recording 2 of 2: x must not be silent, got 0.0 at every sample
    """
    recordings = given if isinstance(given, Recordings) else Recordings.of(given)
    for stage in asked.stages:
        stage.check_several(len(recordings.sizes))
    if held is not None:
        raise ValueError(f"held must be None for several recordings, got {held!r}: apply instead")
    if isinstance(start, tuple):
        if len(start) != 2 or start[1] is not None:
            raise ValueError("start must be (patterns, None) for several recordings")
        asked.arrays_of(start, recordings.size, n_components, recordings.dtype)
    elif start is not None:
        choice(start, "start", asked.STARTS)
    most = asked.most_components(recordings.size)
    K = integer(n_components, "n_components", at_most=most)
    recordings.told(partial(_checked, asked), recordings.signals, recordings.names)
    several: Any = recordings
    noting: Kept = {} if kept is None else kept
    found: Any = asked._run(several, K, start, None, rng, watch, noting, ()).decomposition()
    return found


def _checked(asked: Method, x: Array, name: str) -> tuple[None, None]:
    try:
        require_range(x, asked.precision or x.dtype)
        for stage in asked.stages:
            stage.check(stage.in_precision(x))
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    return None, None


@dataclass(frozen=True, eq=False)
class State(method.State):
    """One iterate, the same patterns for all recordings.

    Parameters
    ----------
    activations : tuple
        One a recording, or what stands for it.

    Examples
    --------
    >>> from cdlnmf_lit import NMF
    >>> x = np.sin(0.3 * np.arange(4000.0))
    >>> problem = Recordings.of([x, x]).problem_of(NMF(), 1, {})
    >>> len(problem.begin(1, "random", np.random.default_rng(0)).activations)
    2
    """

    activations: Any

    @cached_property
    def told(self) -> Any:
        """What all pieces tell of it."""
        return self.problem.tells(self)

    def decomposition(self) -> Any:
        problem = self.problem
        return Learnt(
            self.patterns,
            self.activations,
            problem,
            status=f"at iteration {self.iteration}",
            parameters=problem.method.parameters | problem.about,
        )

    def numbered(self, iteration: int, *memory: Any) -> State:
        """The same iterate by another number, and what the next one needs beside it."""
        same = self.remembering(*memory)
        object.__setattr__(same, "iteration", iteration)
        return same


def totals(told: Iterable[Sequence[Any]]) -> list[Any]:
    """Sums over all pieces, in their order.

    Examples
    --------
    >>> totals([(1, np.ones(2)), (2, np.ones(2))])
    [3, array([2., 2.])]
    """
    return [sum(parts[1:], start=parts[0]) for parts in zip(*told, strict=True)]


# ---- results -----------------------------------------------------------------------------------


def found_in(W: Array, problem: Any, Z: Any) -> Decomposition:
    """The result of one recording, from its problem.

    Examples
    --------
    >>> from cdlnmf_lit import NMF
    >>> x = np.sin(0.3 * np.arange(4000.0))
    >>> found = learnt(NMF(iterations=2), [x], 1)
    >>> found_in(found.patterns, found.problem.pieces[0], found.activations[0]).method
    'nmf'
    """
    Z = Z if isinstance(Z, np.ndarray) else Z.toarray()
    found: Decomposition = problem.state(0, W, Z).decomposition()
    return found


def _found_in(W: Array, problem: Any, Z: Any) -> tuple[None, Decomposition]:
    return None, found_in(W, problem, Z)


def loudest(found: Learnt, length: int) -> Array:
    """A waveform for each component, ``(K, length)``: its loudest stretch in all recordings.

    Examples
    --------
    >>> from cdlnmf_lit import NMF
    >>> x = np.sin(0.3 * np.arange(4000.0))
    >>> found = learnt(NMF(iterations=2), [0.1 * x, x], 1)
    >>> bool(np.abs(loudest(found, 100)).max() > 0.9)
    True
    """
    work = partial(_loudest, length, found.patterns)
    told = found.problem.recordings.told(work, found.problem.pieces, found.activations)
    energies = [np.sum(np.square(stretches, dtype=float), axis=1) for stretches in told]
    best = np.argmax(energies, axis=0)
    return np.stack([told[j][k] for k, j in enumerate(best)])


def _loudest(length: int, W: Array, problem: Any, Z: Any) -> tuple[None, Array]:
    return None, found_in(W, problem, Z).patterns(length)
