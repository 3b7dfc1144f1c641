"""A method is a value: what it is asked, how it is run, and what that takes.

Chapter: ``book/methods/method.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass, field, fields, replace
from functools import cache, cached_property, partial
from itertools import starmap
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from cdlnmf_lit.methods.checkpoints import Kept, Saved, noted, settle
from cdlnmf_lit.methods.decomposition import Decomposition, Run
from cdlnmf_lit.methods.options import (
    OneOf,
    Options,
    anything,
    at_least,
    option,
    optional,
    with_options,
)
from cdlnmf_lit.methods.resources import Estimate, rehearsed, require_memory
from cdlnmf_lit.methods.starts import best_of, checked_start, require_components, rounds
from cdlnmf_lit.theory.arguments import Array, choice, integer, non_negative, require_range, signal
from cdlnmf_lit.theory.gabor import GaborFrame

METHODS: dict[str, type[Method]] = {}
"""The methods by name; a class that has one enters itself."""
HELD = ("patterns", "activations")
USUAL_GAP = 1e-3
"""Relative, of what is quadratic."""
PRECISIONS = ("float32", "float64")
FACTS: tuple[str, ...] = ("n_components", "n_recordings", "held", "power", "sample_rate", "seed")
FACTS += ("recipe", "hop", "channels", "window_length")
"""What the parameters of a result tell of its run beside the method's own options."""

Watch = Callable[["Method", Iterator["State"]], Iterator["State"]]
"""What is given each stage of a run and its states, and hands them on."""
Start = str | Decomposition | tuple[ArrayLike, ArrayLike | None]


# ---- one iterate, and what it is an iterate of ---------------------------------------------


@dataclass(frozen=True, eq=False)
class State:
    """One iterate of any method; some add what they keep from one iteration to the next.

    Parameters
    ----------
    iteration : int
        Iterations done.
    patterns : array (K, …)
        Atoms, spectra, or patterns of several spectra: what each component is made of.
    activations : array (K, N)
        Where, and how strongly.
    problem : Problem
    memory : object
        What the next one needs beside the iterate: a momentum, a step, the iterate before.

    Examples
    --------
    >>> from cdlnmf_lit import NMF
    >>> start = next(NMF().iterate(np.sin(0.3 * np.arange(4000.0)), 2))
    >>> start.iteration, start.patterns.shape, start.activations.shape, list(start.record)
    (0, (2, 1025), (2, 5), ['objective'])
    """

    iteration: int
    patterns: Array
    activations: Array
    problem: Any
    memory: Any = field(default=None, kw_only=True)

    def remembering(self, *memory: Any) -> Self:
        """The same iterate with what the next one needs; what it has computed is kept."""
        same = copy(self)
        object.__setattr__(same, "memory", memory or None)
        return same

    @cached_property
    def record(self) -> Mapping[str, float]:
        """What the history keeps: at least ``objective``, always the same names."""
        told: Mapping[str, float] = self.problem.record(self)
        return told

    @property
    def objective(self) -> float:
        """What the method lowers."""
        return self.record["objective"]

    @property
    def relative_residual(self) -> float:
        """What the components leave of what is decomposed, as a share of its norm."""
        return self.record["relative_residual"]

    def decomposition(self) -> Decomposition:
        """This iterate as a :class:`~cdlnmf_lit.methods.decomposition.Decomposition`."""
        problem = self.problem
        told = {"activations": self.activations} | problem.result(self)
        return Decomposition(
            method=problem.method.name,
            status=f"at iteration {self.iteration}",
            parameters=problem.method.parameters | problem.about,
            **told,
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class Problem:
    """What stays fixed while a method iterates. Each method has its own, with its equations.

    Parameters
    ----------
    method : Method
        What is asked, with every option that depends on the signal told as a number.
    x : array (T,), or None
        The signal, where one is decomposed.
    held : {"patterns", "activations"}, or None
        The factor that stays as the start gives it.
    about : dict
        What a result tells of its run: numbers and strings.

    Examples
    --------
    >>> from cdlnmf_lit import NMF
    >>> next(NMF().iterate(np.sin(0.3 * np.arange(4000.0)), 2, held="patterns")).problem.held
    'patterns'
    """

    method: Any = None
    x: Any = None
    held: str | None = None
    about: Mapping[str, Any] = field(default_factory=dict)

    IS_SHARED: ClassVar[bool] = True
    """Whether runs may take turns on it: not where one keeps phases or the like in it."""

    def begin(self, K: int, start: Any, rng: np.random.Generator) -> State:
        """The iterate to begin with."""
        match start:
            case str():
                return self.first(*self.drawn(K, start, rng))
            case (W, None):
                return self.first(W, self.activations_for(W))
            case (W, Z):
                return self.first(W, Z)
        return self.first(*self.taken(start))

    def states(self, state: State) -> Iterator[State]:
        """All iterates from one on, without end; from one of them on, the same to the bit."""
        while True:
            yield state
            state = self.after(state)

    def kept(self) -> dict[str, Any]:
        """What changes in it from one iterate to the next, or was told by the first: phases, say.

        An iterate goes on, to the bit, on the same problem :meth:`keeping` the same.
        """
        return {}

    def keeping(self, kept: Mapping[str, Any]) -> Self:
        """The same problem where that was :meth:`kept`; it is changed in place where it can be."""
        return self

    def first(self, W: Array, Z: Array) -> State:
        """The iterate of a start's factors."""
        return self.state(0, W, Z)

    def state(self, iteration: int, W: Array, Z: Array) -> State:
        """An iterate, from its factors alone."""
        return State(iteration, W, Z, self)

    def drawn(self, K: int, start: str, rng: np.random.Generator) -> tuple[Array, Array]:
        """The factors of a start by its name."""
        raise NotImplementedError

    def taken(self, found: Decomposition) -> tuple[Array, Array]:
        """The factors of another result, of any method, in this one's terms."""
        raise NotImplementedError

    def activations_for(self, W: Array) -> Array:
        """Activations to begin with where only the patterns are given."""
        raise NotImplementedError

    def after(self, state: Any) -> Any:
        """One iteration."""
        raise NotImplementedError

    def record(self, state: Any) -> Mapping[str, float]:
        """What the history keeps of an iterate: at least its ``objective``."""
        raise NotImplementedError

    def result(self, state: Any) -> dict[str, Any]:
        """What a :class:`Decomposition` holds of an iterate beside its activations, or in place."""
        raise NotImplementedError


# ---- the method ----------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, repr=False)
class Method(Options):
    """What every method is: a frozen value whose fields are its options.

    Each method adds options of its own, and says what its documentation lists under *Said by each*.

    Raises
    ------
    ValueError
        When the value is made, if an option does not meet its rule.

    Examples
    --------
    >>> from cdlnmf_lit import CDL, NMF
    >>> method = NMF(iterations=20) >> CDL(atom_length=300, starts=2)
    >>> print(method)
    nmf (iterations 20) → cdl (atom length 300), best of 2
    >>> method
    CDL(start=NMF(iterations=20), starts=2, atom_length=300)
    >>> Method.from_parameters(method.parameters) == method
    True
    """

    start: str | Method = option("random", "What to begin from, by its name.", anything)
    starts: int = option(
        1, "How many starts to try; the result of the lowest objective is kept.", at_least(1)
    )
    halve_every: int = option(
        0,
        "Of several starts, iterations after which the worse half is given up, again and again "
        "until one is left; 0 runs all of them to the end.",
        at_least(0),
    )
    precision: str | None = option(
        None, "Of the computation; that of the signal if None.", optional(OneOf(*PRECISIONS))
    )
    iterations: int = option(100, "How many to run at the most.", at_least(0))
    tolerance: float = option(
        0.0,
        "Stop once the objective has fallen, over the last ten iterations, by less than this share "
        "of itself; 0 runs them all.",
        non_negative,
    )

    name: ClassVar[str]
    STARTS: ClassVar[tuple[str, ...]] = ("random",)
    SIGNED: ClassVar[tuple[str, ...]] = ()
    IS_FRAMEWISE: ClassVar[bool] = False
    """Whether what held patterns do in a frame depends on that frame alone."""

    def __init_subclass__(cls, name: str = "", **others: Any) -> None:
        super().__init_subclass__(**others)
        if name:
            cls.name = name
            METHODS[name] = cls
            cls.__doc__ = with_options(cls)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.start, Method):
            object.__setattr__(self, "start", choice(self.start, "start", self.STARTS))

    # ---- run -------------------------------------------------------------------------------

    def iterate(
        self,
        x: ArrayLike,
        n_components: int,
        *,
        start: Start | None = None,
        held: str | None = None,
        rng: Any = 0,
    ) -> Iterator[Any]:
        """Yield the start, then a state an iteration, without end.

        Parameters
        ----------
        x : array (T,)
            The signal.
        n_components : int
            ``K``.
        start : str, Decomposition or pair of arrays, optional
            What to begin from in place of the method's own start: another of its names, the result
            of any method, or patterns and activations as in :class:`State`; ``(patterns, None)``
            where the activations are to be found.
        held : {"patterns", "activations"}, optional
            The factor that stays as the start gives it, to the bit.
        rng : seed or numpy.random.Generator
            Of the start.

        Raises
        ------
        ValueError
            For a signal, a number of components or a start that does not fit, before any work.
        MemoryError
            If it needs more memory than there is.
        """
        x, K = self.checked(x, n_components, start, held)
        return self._begun(x, K, start, held, rng, None, {}, ()).states

    def decompose(
        self,
        x: ArrayLike,
        n_components: int,
        *,
        start: Start | None = None,
        held: str | None = None,
        rng: Any = 0,
        watch: Watch | None = None,
        kept: Kept | None = None,
    ) -> Decomposition:
        """Run all stages and starts to a result; the same seed gives the same bytes.

        A list or tuple of signals gives a list with a result for each: their patterns are the same
        arrays, learnt from all (:mod:`.pieces`; by the methods that have a
        :meth:`problem_of_several`, and their chains).

        Parameters
        ----------
        x, n_components, start, held, rng
            See :meth:`iterate`. With a ``start`` that is given the method's own ``start`` and
            ``starts`` do not count.
        watch : callable, optional
            ``watch(method, states)`` is given every stage of the run and its states, and hands
            them on. If it ends before they do, what was reached is the result.
        kept : dict, optional
            What the run has reached: entered while it runs, and gone on from if it is there. See
            :mod:`~cdlnmf_lit.methods.checkpoints`.

        Raises
        ------
        ValueError, MemoryError
            See :meth:`iterate`.
        """
        from cdlnmf_lit.methods import pieces

        if pieces.is_several(x):
            several: Any = pieces.learnt(self, x, n_components, start, held, rng, watch, kept)
            return several.decompositions()
        x, K = self.checked(x, n_components, start, held)
        kept = {} if kept is None else kept
        return self._run(x, K, start, held, rng, watch, kept, ()).decomposition()

    def _run(
        self,
        x: Array,
        K: int,
        start: Start | None,
        held: str | None,
        rng: Any,
        watch: Watch | None,
        kept: Kept,
        place: tuple[int, ...],
    ) -> Run:
        """The run to its end, of several starts the best."""
        follow = partial(self._followed, watch=watch, kept=kept)
        if start is not None or self.starts == 1:
            run = self._begun(x, K, start, held, rng, watch, kept, (*place, 0))
            return follow(run, self.iterations)
        shared = cache(partial(self._to_solve, x, K, held))

        def begun(number: int, seed: int) -> Run:
            return self._begun(x, K, None, held, seed, watch, kept, (*place, number), shared)

        def give_up(run: Run) -> None:
            settle(kept, run.place, replace(run, states=iter(()), state=None))

        seeds = np.random.default_rng(rng).integers(2**32, size=self.starts).tolist()
        return best_of(starmap(begun, enumerate(seeds)), self.rounds, follow, give_up)

    def _followed(self, run: Run, iterations: int, watch: Watch | None, kept: Kept) -> Run:
        """A run at a later iteration, which is watched up to there as a method of its own."""
        stage = replace(self, starts=1, halve_every=0, iterations=iterations)

        def watched(states: Any) -> Any:
            states = noted(kept, run, states)
            return states if watch is None else watch(stage, states)

        return run.to(iterations, self.tolerance, watched)

    def _begun(
        self,
        x: Array,
        K: int,
        start: Start | None,
        held: str | None,
        rng: Any,
        watch: Watch | None,
        kept: Kept,
        place: tuple[int, ...],
        shared: Callable[[], Any] | None = None,
    ) -> Run:
        """A run with its first state to come; or as it is kept."""
        if isinstance(left := kept.get(place), Run):
            return left
        begin: Any = left or (self.start if start is None else start)
        if left is None and isinstance(begin, Method):
            given = begin.in_precision(x) if isinstance(x, np.ndarray) else x
            begin = begin._run(given, K, None, None, rng, watch, kept, place).decomposition()
            settle(kept, place, begin)
        elif isinstance(begin, tuple):
            begin = self.arrays_of(begin, x.size, K, x.dtype)
        problem = shared() if shared else self._to_solve(x, K, held, start)
        if shared and not problem.IS_SHARED:
            problem = self._to_solve(x, K, held)
        if isinstance(left, Saved):
            kept[place] = run = left.run(problem)
            return run
        first = problem.begin(K, begin, np.random.default_rng(rng))
        return Run(problem.states(first), place=place)

    def _to_solve(self, x: Array, K: int, held: str | None, start: Start | None = None) -> Any:
        about: dict[str, Any] = {"n_components": K} | ({"held": held} if held else {})
        if start is not None:
            about["start"] = start if isinstance(start, str) else type(start).__name__
        if not isinstance(x, np.ndarray):
            return x.problem_of(self, K, about)
        return self.resolved(x).problem(x, K, held=held, about=about)

    def checked(
        self, x: ArrayLike, n_components: int, start: Any = None, held: str | None = None
    ) -> tuple[Array, int]:
        """The signal in the precision asked for, and ``K``, if all stages can take them.

        Raises
        ------
        ValueError, MemoryError
            See :meth:`iterate`.
        """
        x = signal(x)
        require_range(x, self.precision or x.dtype)
        x = self.in_precision(x)
        self.check(x)
        K = integer(n_components, "n_components", at_most=self.most_components(x.size))
        if held is not None:
            choice(held, "held", HELD)
        match start:
            case None:
                if isinstance(self.start, Method):
                    self.start.checked(x, K)
            case Decomposition():
                require_components(start, K)
            case tuple():
                self.arrays_of(start, x.size, K, x.dtype)
            case _:
                choice(start, "start", self.STARTS)
        task = f"{self.name} of {x.size} samples into {K} components"
        require_memory(self.bytes_needed(x.size, K, x.dtype), task)
        return x, K

    def in_precision(self, values: Array) -> Array:
        """The values in the precision asked for; complex ones stay complex."""
        wanted = self.precision or values.real.dtype
        if np.iscomplexobj(values):
            wanted = np.result_type(wanted, np.complex64)
        return values.astype(wanted, copy=False)

    # ---- chains ----------------------------------------------------------------------------

    def __rshift__(self, following: Method) -> Method:
        """``a >> b``: what ``a`` finds is what ``b`` begins from."""
        if not isinstance(following, Method):
            return NotImplemented
        if isinstance(following.start, Method):
            return replace(following, start=self >> following.start)
        return replace(following, start=self)

    @property
    def stages(self) -> tuple[Method, ...]:
        """The methods of a chain, the first to run first."""
        return (*self.start.stages, self) if isinstance(self.start, Method) else (self,)

    @property
    def runs(self) -> int:
        """How often a stage is watched: every start, and again after each halving of them."""
        before = self.start.runs if isinstance(self.start, Method) else 0
        return self.starts * before + sum(n for n, _ in self.rounds)

    @property
    def rounds(self) -> list[tuple[int, int]]:
        """How many of the starts run, and up to which iteration; each round has the better ones."""
        return rounds(self.starts, self.iterations, self.halve_every)

    # ---- what it takes -----------------------------------------------------------------------

    def estimate(
        self,
        n_samples: int,
        n_components: int,
        dtype: Any = np.float64,
        like: Array | None = None,
    ) -> Estimate:
        """Memory and time that all stages will take, without running them.

        The memory is counted from the arrays. The time is that of a few iterations on short pieces,
        run on this machine when it is asked for: see :func:`.rehearsed`. A tolerance may end a
        stage sooner.

        Parameters
        ----------
        n_samples : int
            ``T``.
        n_components : int
            ``K``.
        dtype : dtype
            Of the signal.
        like : array, optional
            The signal, or some of it: how sparse it is can change the time several times over. In
            its place noise is taken.
        """
        T, K = integer(n_samples, "n_samples"), integer(n_components, "n_components")
        dtype = np.dtype(dtype)
        return Estimate(self._memory(T, K, dtype), partial(rehearsed, self, T, K, dtype, like))

    def _memory(self, T: int, K: int, given: np.dtype) -> int:
        """Of all stages, at the most."""
        dtype = np.dtype(self.precision or given)
        needed = self.bytes_needed(T, K, dtype)
        if isinstance(self.start, Method):
            needed = max(needed, self.start._memory(T, K, dtype))
        waiting = self.bytes_waiting(T, K, dtype) if self.starts > 1 else 0
        return needed + waiting + (T * dtype.itemsize if dtype != given else 0)

    def bytes_waiting(self, n_samples: int, K: int, dtype: np.dtype) -> int:
        """Memory of what waits, at the most, while one of several starts is run."""
        starts = self.rounds[1][0] if len(self.rounds) > 1 else 1
        factors = sum(int(np.prod(shape)) for shape in self.shapes(n_samples, K).values())
        return starts * (2 * factors + n_samples) * dtype.itemsize

    # ---- as plain values -----------------------------------------------------------------------

    @property
    def parameters(self) -> dict[str, Any]:
        """The name of the method and all options, in numbers, strings, lists and dictionaries."""
        return {"method": self.name} | super().parameters

    @staticmethod
    def from_parameters(parameters: Mapping[str, Any]) -> Method:
        """The method that has these :attr:`parameters`, or that made a result which has them.

        An option that they do not tell is at its default.

        Raises
        ------
        ValueError
            If there is no such method, it has no such option, or a frame is not told.
        """
        asked = dict(parameters)
        kind = METHODS[choice(asked.pop("method", None), "method", METHODS)]
        known = {each.name for each in fields(kind)}
        for name in asked:
            choice(name, f"an option of {kind.name}", (*known, *FACTS))
        options = {name: value for name, value in asked.items() if name in known}
        start = options.get("start")
        if isinstance(start, Mapping):
            options["start"] = Method.from_parameters(start)
        elif start not in kind.STARTS:  # it was given, and only its type is told
            options.pop("start", None)
        if "frame" in known:
            if not isinstance(asked.get("frame"), Mapping):
                raise ValueError("parameters must tell the frame's window, which is not there")
            options["frame"] = GaborFrame.from_parameters(asked["frame"])
        return kind(**options)

    def __str__(self) -> str:
        words = self.changed
        for unsaid in ("start", "starts", "halve_every", "precision"):
            words.pop(unsaid, None)
        if frame := words.pop("frame", None):
            words = {"hop": frame.hop, "window": frame.window.size} | words
        if "share" in words:
            words["λ/λmax"] = words.pop("share")
        told = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in words.items())
        before = f"{self.start} → " if isinstance(self.start, Method) else ""
        after = f", best of {self.starts}" if self.starts > 1 else ""
        return f"{before}{self.name}" + (f" ({told})" if told else "") + after

    # ---- said by each ------------------------------------------------------------------------

    def check(self, x: Array) -> None:
        """Refuse a signal that the method, as it is asked, cannot take."""
        raise NotImplementedError

    def most_components(self, n_samples: int) -> int:
        """The largest ``K`` for a signal of so many samples."""
        raise NotImplementedError

    def resolved(self, x: Array) -> Self:
        """The same method with the options that depend on the signal told as numbers."""
        return self

    def problem(self, x: Array, K: int, **asked: Any) -> Any:
        """What is iterated on: the method's own :class:`Problem`."""
        raise NotImplementedError

    def shapes(self, n_samples: int, K: int) -> dict[str, tuple[int, ...]]:
        """Of ``patterns`` and ``activations``."""
        raise NotImplementedError

    def check_several(self, n: int) -> None:
        """Refuse ``n`` recordings, where the method, as it is asked, cannot learn from several."""
        refusing = Method.check_several
        able = sorted(each for each, kind in METHODS.items() if kind.check_several is not refusing)
        told = f"several recordings can be taken by {', '.join(able)}"
        raise ValueError(f"{told}, got {n} for {self.name}")

    def problem_of_several(self, recordings: Any, about: dict[str, Any]) -> Any:
        """What is iterated on, of :class:`.pieces.Recordings`."""
        raise NotImplementedError

    @property
    def usual_gap(self) -> float | None:
        """The gap that held patterns end within; None where holding them is not convex."""
        return None

    def applied(
        self, x: Array, W: Array, learnt: Decomposition, gap: float | None, **asked: Any
    ) -> Iterator[Any]:
        """The states of patterns that were learnt elsewhere; ``asked`` is as :meth:`problem` is."""
        return self.iterate(x, len(W), start=(W, None), held="patterns")

    def arrays_of(
        self, start: Any, n_samples: int, K: int, dtype: Any
    ) -> tuple[Array, Array | None]:
        """The arrays of a start, checked and copied."""
        pair: tuple[Array, Array | None] = checked_start(
            start, self.shapes(n_samples, K), dtype, signed=self.SIGNED
        )
        return pair

    def patterns_of(self, found: Decomposition) -> Array:
        """The patterns of one of its own results, to be found in another signal."""
        return np.asarray(found.atoms if found.spectra is None else found.spectra)

    def bytes_needed(self, n_samples: int, K: int, dtype: np.dtype) -> int:
        """Memory that a run takes, at the most."""
        raise NotImplementedError
