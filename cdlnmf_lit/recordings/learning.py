"""Patterns are learnt from many recordings, on one machine or several, of more than memory holds.

Recordings are cut into pieces. What a piece keeps from one iteration to the next lies in a folder
that all workers reach, under a new name each time; what travels are the patterns and the sums. So a
piece whose worker dies is done again by another one, from the same files, to the same bytes.

Chapter: ``book/experiments/learn_once.md``.
"""

from __future__ import annotations

import shutil
import tempfile
import warnings
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from cdlnmf_lit.methods.checkpoints import Kept
from cdlnmf_lit.methods.decomposition import Decomposition, written_aside
from cdlnmf_lit.methods.families import OnFrames
from cdlnmf_lit.methods.method import Method, Watch
from cdlnmf_lit.methods.pieces import Recordings, learnt
from cdlnmf_lit.methods.resources import bytes_in_words
from cdlnmf_lit.recordings.reading import opened
from cdlnmf_lit.theory.arguments import Array

PIECE = 300.0
"""Seconds of the longest piece."""
EXCERPT = 10.0
"""Seconds of the stretches that excerpts are made of."""
BLOCK = 2**20
"""Samples that are read at a time."""
LOADED = 16
"""Files that a worker keeps open."""
DEATHS = ("TerminatedWorkerError", "KilledWorker", "FutureCancelledError")
"""What joblib and Dask raise where there is nobody left to work."""


def learn(
    method: Method | Callable[[int], Method],
    sounds: Sequence[str],
    n_components: int,
    *,
    channel: int | str | None = None,
    excerpts: float | None = None,
    longest: float = PIECE,
    rng: Any = 0,
    watch: Watch | None = None,
    kept: Kept | None = None,
    folder: Path | None = None,
) -> Decomposition:
    """Learn patterns that recordings have in common.

    The pieces are worked on one after the other, unless ``joblib.parallel_config`` says otherwise:
    ``n_jobs=2`` takes two processes, ``backend="dask"`` a cluster. The same seed gives the same
    bytes in any case.

    Parameters
    ----------
    method : Method, or a function of the sample rate that gives one
        NMF, convolutive NMF, dictionary learning, or a chain of them.
    sounds : sequence of paths
        Of one sample rate.
    n_components : int
        ``K``.
    channel
        See :func:`~cdlnmf_lit.recordings.reading.read`.
    excerpts : float, optional
        Learn from so many seconds, drawn by energy, in place of all.
    longest : float
        Recordings that are longer, in seconds, are cut; a pattern does not reach over a cut.
        Pieces of them that are silent are left out.
    rng, watch, kept
        See :meth:`~cdlnmf_lit.methods.method.Method.decompose`. Nothing is gone on from.
    folder : path, optional
        Where the pieces lie while they are worked on: every worker has to reach it. By default a
        temporary one. It is empty in the end.

    Returns
    -------
    Decomposition
        The patterns without a recording, to be applied or saved.

    Raises
    ------
    ValueError
        If there is no recording, one is silent or too short, or their rates differ.
    OSError
        If one cannot be read, the folder has no room, or workers die again and again.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from cdlnmf_lit.methods.nmf import NMF
    >>> from cdlnmf_lit.recordings.writing import write
    >>> with TemporaryDirectory() as home:
    ...     for n in range(2):
    ...         write(f"{home}/{n}.wav", np.sin(0.3 * np.arange(4000.0 + n)), 8000)
    ...     found = learn(NMF(iterations=2), [f"{home}/0.wav", f"{home}/1.wav"], 1)
    >>> found.spectra.shape, found.sample_rate, found.parameters["n_recordings"]
    ((1, 1025), 8000, 2)
    """
    with tempfile.TemporaryDirectory(prefix="pieces.", dir=folder) as place:
        spread = InFolder(Path(place))
        with _deaths_told():
            stretches, rate = gathered(spread, sounds, channel, EXCERPT if excerpts else longest)
            if excerpts:
                stretches = drawn(stretches, excerpts * rate, np.random.default_rng(rng))
            asked = method if isinstance(method, Method) else method(rate)
            sizes = tuple(each.size for each in stretches)
            _require_room(Path(place), asked, sizes, n_components)
            recordings = Recordings(
                tuple(stretches),
                sizes,
                np.dtype(float),
                spread,
                tuple(each.name for each in stretches),
            )
            found = learnt(asked, recordings, n_components, rng=rng, watch=watch, kept=kept).alone()
    return replace(found, sample_rate=rate)


# ---- what recordings are cut into ----------------------------------------------------------------


@dataclass(frozen=True)
class Stretch:
    """Samples of a recording, read where they are worked on.

    Parameters
    ----------
    path : str
    channel : int, str or None
    begin, end : int
        Samples.
    length : int
        Samples of the recording.
    energy : float
    rate : int
        Of the recording, in Hz.

    Examples
    --------
    >>> stretch = Stretch("a.wav", None, 8000, 16000, 16000, 1.0, 8000)
    >>> stretch.size, stretch.name
    (8000, 'a.wav from 1 to 2 s')
    """

    path: str
    channel: int | str | None
    begin: int
    end: int
    length: int
    energy: float
    rate: int

    @property
    def size(self) -> int:
        """Samples."""
        return self.end - self.begin

    @property
    def name(self) -> str:
        """What errors call it."""
        if self.size == self.length:
            return self.path
        return f"{self.path} from {self.begin / self.rate:.6g} to {self.end / self.rate:.6g} s"

    def load(self) -> Array:
        """The samples."""
        found, place = [], 0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it was told when the recording was first read
            with opened(self.path, self.channel) as source:
                for block in source.blocks(BLOCK):
                    found.append(block[max(0, self.begin - place) : max(0, self.end - place)])
                    place += block.size
        return np.concatenate(found)


def gathered(
    spread: Any, sounds: Sequence[str], channel: int | str | None, longest: float
) -> tuple[list[Stretch], int]:
    """All stretches of all recordings that are not silent, in their order, and the sample rate.

    Raises
    ------
    ValueError
        If there is no recording, one is silent throughout, or their rates differ.
    """
    if not sounds:
        raise ValueError("sounds must hold at least one recording, got none")
    if not longest > 0:
        raise ValueError(f"longest must be a positive number of seconds, got {longest!r}")
    work = partial(_cut, channel, longest)
    found = [told for _, told in spread(work, [*map(str, sounds)])]
    rates = {each[0].rate: each[0].path for each in found}
    if len(rates) > 1:
        told = ", ".join(f"{rate} Hz in {path}" for rate, path in sorted(rates.items()))
        raise ValueError(f"sounds must have one sample rate, got {told}: resample them first")
    return [each for stretches in found for each in stretches], next(iter(rates))


def _cut(channel: int | str | None, longest: float, path: str) -> tuple[None, list[Stretch]]:
    with opened(path, channel) as source:
        rate, size = source.sample_rate, int(source.n_samples or 0)
        n = -(-size // max(1, int(longest * rate)))
        edges = np.linspace(0, size, n + 1).astype(int)
        energies, place = np.zeros(n), 0
        for block in source.blocks(BLOCK):
            owners = np.searchsorted(edges, np.arange(place, place + block.size), side="right") - 1
            energies += np.bincount(owners, np.square(block), n)
            place += block.size
    if not energies.any():
        raise ValueError(f"{path}: x must not be silent, got 0.0 at every sample")
    return None, [
        Stretch(path, channel, i, j, size, energy, rate)
        for (i, j), energy in zip(pairwise(edges.tolist()), energies.tolist(), strict=True)
        if energy
    ]


def drawn(stretches: list[Stretch], n_samples: float, rng: np.random.Generator) -> list[Stretch]:
    """Some of the stretches, as many samples in all, drawn by their energy, in their order.

    Those that follow each other become one.

    Examples
    --------
    >>> stretches = [Stretch("a.wav", None, n, n + 1, 4, 1.0, 1) for n in range(4)]
    >>> [(each.begin, each.end) for each in drawn(stretches, 3, np.random.default_rng(1))]
    [(0, 1), (2, 4)]
    """
    energies = np.array([each.energy for each in stretches])
    order = rng.choice(len(stretches), len(stretches), replace=False, p=energies / energies.sum())
    ends = np.cumsum([stretches[n].size for n in order])
    chosen = sorted(order[: int(np.searchsorted(ends, n_samples)) + 1].tolist())
    found: list[Stretch] = []
    for each in map(stretches.__getitem__, chosen):
        if found and (found[-1].path, found[-1].end) == (each.path, each.begin):
            energy = found[-1].energy + each.energy
            found[-1] = replace(found[-1], end=each.end, energy=energy)
        else:
            found.append(each)
    return found


# ---- where the pieces lie, and who works on them -------------------------------------------------


class Stored:
    """What a piece keeps: a file, which is there as long as this stands for it.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "1")
    ...     _store(path, np.ones(3))
    ...     kept = Stored(path)
    ...     there = kept.load().sum().item(), path.exists()
    ...     del kept
    ...     there, path.exists()
    ((3.0, True), False)
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        weakref.finalize(self, path.unlink, missing_ok=True)

    def __reduce__(self) -> tuple[Any, ...]:
        return _Elsewhere, (self.path,)

    def load(self) -> Any:
        """What is in the file; arrays are read where they are."""
        return _loaded(self.path)


@dataclass(frozen=True)
class _Elsewhere:
    """The same in another process, where nobody removes the file."""

    path: Path

    def load(self) -> Any:
        return _loaded(self.path)


@lru_cache(maxsize=LOADED)
def _loaded(path: Path) -> Any:
    import joblib

    return joblib.load(path, mmap_mode="r")


def _store(path: Path, value: Any) -> None:
    import joblib

    with written_aside(path) as aside:
        joblib.dump(value, aside)


class InFolder:
    """``map`` for :class:`~cdlnmf_lit.methods.pieces.Recordings`: what is kept goes to files.

    The work is done by joblib, as ``joblib.parallel_config`` says. A piece of work reads files
    whose names are never used again, and writes one whole: so it can be done twice.

    Parameters
    ----------
    folder : path

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     spread = InFolder(Path(folder))
    ...     kept, told = zip(*spread(lambda x: (2 * x, x.sum().item()), [np.ones(2), np.ones(3)]))
    ...     told, [each.load().tolist() for each in kept]
    ((2.0, 3.0), [[2.0, 2.0], [2.0, 2.0, 2.0]])
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._numbers = count()

    def __call__(self, work: Callable[..., Any], *columns: Any) -> Iterator[tuple[Any, Any]]:
        import joblib

        rows = list(zip(*columns, strict=True))
        paths = [self.folder / str(next(self._numbers)) for _ in rows]
        backend, _ = joblib.parallel.get_active_backend()
        if hasattr(backend, "client"):  # joblib waits for ever for what Dask gives up
            tasks = [work] * len(rows), rows, paths
            done = backend.client.gather(backend.client.map(_done, *tasks, pure=False))
        else:
            task = joblib.delayed(_done)
            done = joblib.Parallel(batch_size=1)(map(task, [work] * len(rows), rows, paths))
        for path, (is_kept, told) in zip(paths, done, strict=True):
            yield Stored(path) if is_kept else None, told


def _done(work: Callable[..., Any], row: tuple[Any, ...], path: Path) -> tuple[bool, Any]:
    """Do a piece of work, and store what is kept."""
    values = [each.load() if hasattr(each, "load") else each for each in row]
    kept, told = work(*values)
    if kept is not None:
        _store(path, kept)
    return kept is not None, told


@contextmanager
def workers(jobs: int = 1, scheduler: str | None = None) -> Iterator[None]:
    """Who does the work: so many processes here, or those of a Dask scheduler at an address.

    Raises
    ------
    OSError
        If no scheduler answers there.

    Examples
    --------
    >>> with workers(jobs=1):
    ...     pass
    """
    import joblib

    if scheduler is None:
        with joblib.parallel_config(n_jobs=jobs) if jobs > 1 else nullcontext():
            yield
        return
    import distributed

    try:
        client = distributed.Client(scheduler, timeout=10)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise OSError(f"scheduler must be the address of one that runs, got {scheduler}") from error
    with client, joblib.parallel_config(backend="dask"):
        yield


@contextmanager
def _deaths_told() -> Iterator[None]:
    """Say in one line that workers died."""
    try:
        yield
    except Exception as error:
        if type(error).__name__ not in DEATHS:
            raise
        raise OSError(
            "workers died at their work, perhaps for want of memory: take fewer jobs, or shorter "
            "pieces"
        ) from error


def _require_room(folder: Path, method: Method, sizes: tuple[int, ...], K: int) -> None:
    """Refuse to begin without room for the pieces on the disk."""
    item = np.dtype(method.precision or float).itemsize
    needed = max(sum(_bytes_kept(stage, T, K) for T in sizes) for stage in method.stages) * item
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise OSError(
            f"the pieces need about {bytes_in_words(needed)} in {folder}, which has "
            f"{bytes_in_words(free)}: make room, or learn from excerpts"
        )


def _bytes_kept(stage: Method, T: int, K: int) -> int:
    """Numbers that a piece of ``T`` samples keeps."""
    if not isinstance(stage, OnFrames):
        return 2 * T
    N, F = stage.shape(T)
    return T + N * F + 4 * K * N * stage.starts
