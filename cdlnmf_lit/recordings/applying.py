r"""Patterns are found in recordings of any length, block by block, in constant memory.

A block is taken apart with the samples around it that its method needs, and what it keeps does not
depend on how the recording is cut. Frames of a spectrogram need the samples under their windows.
Atoms reach into what follows: a block's activations are found together with those of the next few
atom lengths, kept up to the block's end, and what they add beyond it is taken from the next block.
So the pieces are those of one decomposition of the whole, and its gap is certified as a whole.

Chapter: ``book/experiments/learn_once.md``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cdlnmf_lit.methods import sparse_coding
from cdlnmf_lit.methods.algorithm_1 import Algorithm1
from cdlnmf_lit.methods.cdl import CDL
from cdlnmf_lit.methods.duality import MOST, share_of
from cdlnmf_lit.methods.events import Events, events_in
from cdlnmf_lit.methods.families import OnFrames, Sparse
from cdlnmf_lit.methods.grid import Grid, sparse_bound
from cdlnmf_lit.methods.held import Application
from cdlnmf_lit.methods.hits import Hits
from cdlnmf_lit.methods.joining import Joining
from cdlnmf_lit.methods.method import Method
from cdlnmf_lit.methods.sparse_coding import SIGNS
from cdlnmf_lit.recordings.stretches import Stretch, stretches
from cdlnmf_lit.theory.arguments import Array, integer, signal
from cdlnmf_lit.theory.blocks import placed

MEMORY = 2**27
"""Bytes that a block may take."""
REACH = 8
"""Atom lengths, or windows, beyond a block that are taken apart with it."""
MOST_HEARD = 0.5
"""Share of a block in which something sounds, up to which the rest is passed over."""
JOINED_GAP = {"float64": 1e-7, "float32": 1e-3}
"""Relative gap to which the activations of a block are found, so that blocks join."""


@dataclass(frozen=True, eq=False)
class Piece:
    """What was found in a block of a recording.

    Parameters
    ----------
    begin : int
        Its first sample.
    components : array (K, n)
    residual : array (n,)
        What the components leave.
    activations : array (K, N)
        Of the stretch: the block and what is around it.
    first_sample : int
        Of the first activation, counted from the stretch's first sample.
    samples : array (n,)
        Of the stretch.
    start : int
        The sample of the recording at which the stretch begins.
    gap : float or None
        How far above the best objective all blocks so far are, as a share of it.
    is_last : bool
        Whether the recording ends with it.

    Examples
    --------
    >>> piece = Piece(
    ...     5, np.ones((1, 3)), np.zeros(3), np.zeros((1, 9)), -3, np.ones(7), 3, None, False
    ... )
    >>> piece.end
    8
    """

    begin: int
    components: Array
    residual: Array
    activations: Array
    first_sample: int
    samples: Array
    start: int
    gap: float | None
    is_last: bool

    @property
    def end(self) -> int:
        """The sample after its last."""
        return self.begin + self.residual.size

    def events(self, application: Application, least: ArrayLike | None = None) -> Events:
        """The events whose strongest activation stands in the block.

        Parameters
        ----------
        application : Application
            That found them.
        least : array (K,), optional
            See :func:`~cdlnmf_lit.methods.events.events_in`.
        """
        found, method = application.found, application.method
        about: dict[str, Any] = {}
        if found.atoms is None and isinstance(method, OnFrames):
            power = float(found.parameters.get("power") or 1.0)
            about = {"frame": method.frame, "power": power}
        beyond = np.iinfo(np.int64).max
        return events_in(
            found.atoms if found.spectra is None else found.spectra,  # type: ignore[arg-type]
            self.activations,
            sample_rate=found.sample_rate or 1,
            hop=found.hop,
            first_sample=self.first_sample,
            recording=self.samples,
            least=least,
            start=self.start,
            within=(self.begin if self.begin else -beyond, beyond if self.is_last else self.end),
            **about,
        )


def pieces_of(
    application: Application,
    blocks: Iterable[Array],
    *,
    size: int | None = None,
    state: State | None = None,
    start: int = 0,
) -> Iterator[tuple[Piece, State]]:
    """Find patterns in a signal that comes in blocks of any length.

    Parameters
    ----------
    application : Application
        Of :func:`cdlnmf_lit.methods.held.application`; its penalty has to be a number.
    blocks : iterable of arrays
        Consecutive samples at the rate of the patterns.
    size : int, optional
        Samples that are worked on at a time. Default: what fits in ``MEMORY``.
    state : State, optional
        Where to go on, as an earlier run left it.
    start : int
        The first sample that comes; at most ``state.begin - before(method)``, or 0.

    Yields
    ------
    Piece, State
        What was found, and where to go on after it.

    Raises
    ------
    ValueError
        If a block is shorter than an atom or a window, or not of finite real numbers.

    Examples
    --------
    >>> from cdlnmf_lit.methods.held import application
    >>> x = np.sin(0.3 * np.arange(200.0)) * np.hanning(200)
    >>> found = application(CDL(atom_length=8, share=0.1, iterations=3).decompose(x, 1))
    >>> pieces = [piece for piece, _ in pieces_of(found, [x[:90], x[90:]], size=64)]
    >>> [piece.begin for piece in pieces]
    [0, 64, 128, 192]
    >>> whole = np.concatenate([p.components.sum(axis=0) + p.residual for p in pieces])
    >>> np.allclose(whole, x)
    True
    """
    method = application.method
    size = block_size(method, len(application.patterns), size)
    state = State() if state is None else state
    checked = (signal(block, "block") for block in blocks if np.size(block))
    around = before(method), after(method)
    cut = stretches(checked, size, *around, state.begin, start)
    if is_of_atoms(method):
        coder = _Coder.of(application)
        for stretch in cut:
            piece, state = coder(stretch, state)
            yield piece, state
        return
    for stretch in cut:
        piece = _alone(application, stretch, state.gap)
        state = replace(state, begin=piece.end, gap=piece.gap)
        yield piece, state


def with_penalty(application: Application, blocks: Iterable[Array]) -> Application:
    """The same with the penalty as a number: a share is one of a recording's own ``lambda_max``.

    Parameters
    ----------
    application : Application
    blocks : iterable of arrays
        The recording, which is gone through once if a share is asked for.

    Examples
    --------
    >>> from cdlnmf_lit.methods.held import application
    >>> x = np.array([0.0, 3.0, 4.0, 0.0, 0.0])
    >>> found = CDL(atom_length=2, share=0.5, iterations=1).decompose(x, 1)
    >>> with_penalty(application(found, share=0.1), [10 * x]).method.penalty
    5.0
    """
    method = application.method
    if not isinstance(method, Sparse) or method.penalty is not None:
        return application
    share = method.USUAL_SHARE if method.share is None else method.share
    around = -(-pattern_samples(method) // hop_of(method)) * hop_of(method)
    cut = stretches(blocks, block_size(method, len(application.patterns)), around, around)
    heard = (each.samples for each in cut if each.samples.size >= pattern_samples(method))
    largest = max((method.lambda_max(samples) for samples in heard), default=0.0)
    return replace(application, method=replace(method, penalty=share * largest, share=None))


# ---- how a recording is cut --------------------------------------------------------------------


def is_of_atoms(method: Method) -> bool:
    """Whether activations of neighbouring blocks are found given each other.

    Examples
    --------
    >>> is_of_atoms(CDL())
    True
    """
    return isinstance(method, CDL | Algorithm1)


def pattern_samples(method: Method) -> int:
    """Samples that a pattern lasts.

    Examples
    --------
    >>> pattern_samples(CDL(atom_length=300))
    300
    """
    if isinstance(method, OnFrames):
        frames = getattr(method, "pattern_length", 1) - 1
        return int(method.frame.window.size + frames * method.frame.hop)
    return int(method.atom_length)  # type: ignore[attr-defined]


def before(method: Method) -> int:
    """Samples before a block that are needed with it, a multiple of the hop.

    Examples
    --------
    >>> before(CDL(atom_length=300))
    0
    """
    if is_of_atoms(method):
        return 0
    return after(method)


def after(method: Method) -> int:
    """Samples after a block that are needed with it, a multiple of the hop.

    Examples
    --------
    >>> after(CDL(atom_length=300))
    2400
    """
    reach = 2 if method.IS_FRAMEWISE else REACH
    return -(-reach * pattern_samples(method) // hop_of(method)) * hop_of(method)


def hop_of(method: Method) -> int:
    """Samples of which blocks are a multiple.

    Raises
    ------
    ValueError
        For a method that does not work in blocks.

    Examples
    --------
    >>> hop_of(CDL())
    1
    """
    if isinstance(method, OnFrames):
        return int(method.frame.hop)
    if isinstance(method, Hits):
        raise ValueError(
            "patterns must be of a method that finds them block by block, got those of hits, "
            "which compares all events of a sound: apply them to the whole of one"
        )
    return 1 if isinstance(method, CDL) else int(method.hop)  # type: ignore[attr-defined]


def block_size(method: Method, K: int, size: int | None = None) -> int:
    """Samples of a block, a multiple of the hop: as asked, or what ``MEMORY`` holds.

    Raises
    ------
    ValueError
        If it is shorter than a pattern.

    Examples
    --------
    >>> block_size(CDL(atom_length=300), 1, 1000), block_size(CDL(atom_length=300), 2) > 10**5
    (1000, True)
    """
    hop, least = hop_of(method), pattern_samples(method)
    if size is not None:
        size = integer(size, "size")
        if size < least:
            raise ValueError(f"size must be at least a pattern's {least} samples, got {size}")
        return -(-size // hop) * hop
    size, around = max(least, 2**14), before(method) + after(method)
    dtype = np.dtype(method.precision or float)
    while method.bytes_needed(2 * size + around, K, dtype) <= MEMORY:
        size *= 2
    return -(-max(size, 2 * around) // hop) * hop


def _alone(application: Application, stretch: Stretch, gap: float | None) -> Piece:
    """The piece of a stretch that is taken apart by itself."""
    x = application.method.in_precision(stretch.samples)
    inside = slice(stretch.begin - stretch.start, stretch.end - stretch.start)
    K = len(application.patterns)
    if not x.any():
        parts = np.zeros((K, stretch.end - stretch.begin), x.dtype)
        z, first, rest = np.zeros((K, 1), x.dtype), 0, x[inside].copy()
    else:
        found = application(x)
        if "coding_gap" in found.history:
            gap = max(gap or 0.0, float(found.history["coding_gap"][-1]))
        parts = np.stack([found.component(k)[inside] for k in range(K)])
        z, first, rest = found.activations, found.first_sample, found.residual[inside]
    start, is_last = stretch.start, stretch.is_last
    return Piece(stretch.begin, parts, rest, z, first, x, start, gap, is_last)


# ---- atoms, whose activations are found block after block ---------------------------------------


@dataclass(frozen=True, eq=False)
class State:
    r"""Where a run through a recording is: what its next block has to know.

    Parameters
    ----------
    begin : int
        The next block's first sample.
    gap : float or None
        See :class:`Piece`.
    arrays : dict
        ``tails (K, n)``, what the atoms so far add from there on; ``activations``, ``samples`` and
        ``residual`` shortly before.
    sums : dict
        ``along = ⟨x, r⟩``, ``energy = ‖r‖²``, ``size = Σ |z|``, ``largest`` of the correlations of
        the atoms with ``r``; ``position`` of the next activation, ``seen`` of the next
        correlation.

    Examples
    --------
    >>> State().begin
    0
    """

    begin: int = 0
    gap: float | None = None
    arrays: dict[str, Array] = field(default_factory=dict)
    sums: dict[str, float] = field(default_factory=dict)


def _dilated(places: Array, length: int, reach: int) -> Array:
    """Which of some samples are at most ``reach`` before or after a place."""
    edges = np.zeros(length + 1, np.int32)
    found = np.flatnonzero(places)
    np.add.at(edges, np.maximum(found - reach, 0), 1)
    np.add.at(edges, np.minimum(found + reach, length), -1)
    return np.asarray(np.cumsum(edges[:-1]) > 0)


@dataclass(frozen=True, eq=False)
class _Coder:
    """Atoms on a grid, to be found in one stretch after the other."""

    application: Application
    atoms: Array
    penalty: float
    signed: bool
    padding: int
    hop: int
    first: int
    gap: float

    @classmethod
    def of(cls, application: Application) -> _Coder:
        method: Any = application.method
        atoms = np.asarray(application.found.atoms)
        atoms = atoms.astype(method.precision or atoms.dtype, copy=False)
        penalty = method.penalty
        if penalty is None:
            if method.share or (method.share is None and method.USUAL_SHARE):
                raise ValueError("the penalty must be a number, found by a first pass")
            penalty = 0.0
        padding = method.padding if isinstance(method, CDL) else 0
        first = -padding if isinstance(method, CDL) else method.frame.first_sample
        signed = isinstance(method, CDL) and SIGNS[method.activations]
        asked = application.gap or 0.0
        gap = min(JOINED_GAP[atoms.dtype.name], asked) if penalty else asked
        return cls(application, atoms, penalty, signed, padding, hop_of(method), first, gap)

    @property
    def length(self) -> int:
        """``T_d``."""
        return int(self.atoms.shape[1])

    def grid(self, positions: int, begin: int, length: int, k: int | None = None) -> Grid:
        """The atoms, or one of them, at positions of a stretch."""
        atoms = self.atoms if k is None else self.atoms[k : k + 1]
        return Grid(atoms, positions, self.hop, begin, length)

    def positions(self, first: int, stop: int, is_end: bool) -> int:
        """How many activations there are from one position on, in samples that end at ``stop``."""
        if self.padding or isinstance(self.application.method, CDL):
            last = stop - self.length + (self.padding if is_end else 0)
        elif is_end:
            frame = self.application.method.frame  # type: ignore[attr-defined]
            last = self.first + self.hop * (frame.n_frames(stop) - 1)
        else:
            last = stop - 1
        return max(0, (last - first) // self.hop + 1)

    def __call__(self, stretch: Stretch, state: State) -> tuple[Piece, State]:
        K, T_d, begin, end = len(self.atoms), self.length, stretch.begin, stretch.end
        position = int(state.sums.get("position", self.first))
        lead = self.padding if begin == 0 else 0
        trail = self.padding if stretch.is_end else 0
        x = np.pad(stretch.samples.astype(self.atoms.dtype), (lead, trail))
        zero = begin - lead
        tails = np.stack([placed(tail, lead, x.size) for tail in self._carried(state, "tails")])
        N = self.positions(position, begin + stretch.samples.size, stretch.is_end)
        z = self._coded(x - tails.sum(axis=0), N, position - zero)
        kept = N if stretch.is_last else max(0, -(-(end - position) // self.hop))
        n = x.size if stretch.is_last else end - zero

        parts = np.zeros((K, max(n, x.size, n + T_d)), x.dtype)
        parts[:, : x.size] = tails
        if kept:
            for k, part in enumerate(parts):
                part += self.grid(kept, position - zero, part.size, k).synthesis(
                    z[k : k + 1, :kept]
                )
        residual = x[:n] - parts[:, :n].sum(axis=0)

        sums = self._counted(state, x[:n], residual, z[:, :kept], zero, stretch)
        gap = self._gap(sums)
        carried = {
            "tails": parts[:, n : n + T_d].copy(),
            "activations": self._recent(state, "activations", z[:, :kept], REACH * T_d // self.hop),
            "samples": self._recent(state, "samples", x[None, :n], REACH * T_d),
            "residual": self._recent(state, "residual", residual[None], T_d),
        }
        sums["position"] = position + self.hop * kept
        inside = slice(lead, lead + end - begin)
        old, recent = (self._carried(state, name) for name in ("activations", "samples"))
        start = zero - recent.shape[1]
        piece = Piece(
            begin,
            parts[:, inside].copy(),
            residual[inside],
            np.concatenate([old, z], axis=1),
            position - self.hop * old.shape[1] - start,
            np.concatenate([recent[0], x]),
            start,
            gap,
            stretch.is_last,
        )
        return piece, State(end, gap, carried, sums)

    def _coded(self, x: Array, N: int, begin: int) -> Array:
        """The activations of a stretch, from which the atoms so far have been taken."""
        z = np.zeros((len(self.atoms), N), x.dtype)
        if N == 0 or not x.any():
            return z
        problem = self._problem(x, N, begin)
        start = problem.state(0, self.atoms, z)
        if self.penalty and self.hop == 1:
            start = self._where_it_sounds(problem, start)
        return self._solved(problem, start).activations

    def _problem(self, x: Array, N: int, begin: int) -> Joining:
        fixed = self.length, self.penalty, self.signed
        return Joining(*fixed, x=x, hop=self.hop, first_sample=begin, positions=N)

    def _solved(self, problem: Joining, start: sparse_coding.State) -> sparse_coding.State:
        for state in problem.states(start):
            if state.record["coding_gap"] <= self.gap or state.iteration == MOST:
                break
        return state

    def _where_it_sounds(self, problem: Joining, start: sparse_coding.State) -> sparse_coding.State:
        """The activations near correlations above ``λ``, found apart from all that is quiet.

        What sounds is put together, with two atom lengths of what is around, and coded. If that is
        not the best for the whole too, its gap says so.
        """
        c, T_d = start.correlation, self.length
        heard = np.max(np.abs(c) if self.signed else c, axis=0) > self.penalty
        kept = _dilated(heard, problem.x.size, 2 * T_d)
        samples = np.flatnonzero(kept)
        if not T_d <= samples.size <= MOST_HEARD * kept.size:
            return start
        part = self._problem(problem.x[samples], samples.size - T_d + 1, 0)
        zero = np.zeros((len(c), part.positions), c.dtype)
        found = self._solved(part, part.state(0, self.atoms, zero)).activations
        whole = samples[T_d - 1 :] - samples[: found.shape[1]] == T_d - 1
        z = start.activations.copy()
        z[:, samples[: found.shape[1]][whole]] = found[:, whole]
        return problem.state(0, self.atoms, z)

    def _carried(self, state: State, name: str) -> Array:
        """What an earlier block has left: of each component, or of the signal."""
        rows = 1 if name in ("samples", "residual") else len(self.atoms)
        empty = np.zeros((rows, 0), self.atoms.dtype)
        return np.asarray(state.arrays.get(name, empty))

    def _recent(self, state: State, name: str, new: Array, most: int) -> Array:
        whole = np.concatenate([self._carried(state, name), new], axis=1)
        return whole[:, max(0, whole.shape[1] - most) :].copy()

    def _counted(
        self, state: State, x: Array, r: Array, z: Array, zero: int, stretch: Stretch
    ) -> dict[str, float]:
        """The sums that the certificate of the whole needs, with those of a block added."""
        sums = {"along": 0.0, "energy": 0.0, "size": 0.0, "largest": -np.inf} | state.sums
        sums["along"] += float(np.dot(x.astype(float), r.astype(float)))
        sums["energy"] += float(np.sum(np.square(r, dtype=float)))
        sums["size"] += float(np.sum(np.abs(z), dtype=float))
        seen = int(sums.get("seen", self.first))
        recent = self._carried(state, "residual")[0]
        whole = np.concatenate([recent, r])
        stop = zero + r.size
        cut = stretch.is_last and not isinstance(self.application.method, CDL)
        if cut:
            frame = self.application.method.frame  # type: ignore[attr-defined]
            last = self.first + self.hop * (frame.n_frames(stop) - 1)
        else:
            last = stop - self.length
        N = max(0, (last - seen) // self.hop + 1)
        if N:
            c = self.grid(N, seen - (zero - recent.size), whole.size).correlation(whole)
            largest = max(float(c.max()), -float(c.min()) if self.signed else 0.0)
            sums["largest"] = max(sums["largest"], largest)
        sums["seen"] = seen + self.hop * N
        return sums

    def _gap(self, sums: dict[str, float]) -> float:
        value = sums["energy"] / 2 + self.penalty * sums["size"]
        bound = sparse_bound(sums, self.penalty, self.signed)
        return share_of(value - bound, value)
