"""What was learnt is applied to a sound of any length, from its source to a folder of files.

Chapter: ``book/experiments/learn_once.md``.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from cdlnmf_lit.methods.decomposition import Decomposition, require_rate, written_aside
from cdlnmf_lit.methods.events import FALL, events_of
from cdlnmf_lit.methods.held import Application, application
from cdlnmf_lit.methods.resources import bytes_in_words
from cdlnmf_lit.recordings.applying import (
    State,
    before,
    block_size,
    pattern_samples,
    pieces_of,
    with_penalty,
)
from cdlnmf_lit.recordings.events import COLUMNS, LABELS, from_table, labelled
from cdlnmf_lit.recordings.events import table as table_of
from cdlnmf_lit.recordings.stretches import from_sample, resampled
from cdlnmf_lit.recordings.writing import continued
from cdlnmf_lit.theory.arguments import Array, choice

WRITES = ("sounds", "events")
"""What may be written: a sound for each component, what they leave, and the events; or these."""
CHECKPOINT = "checkpoint.npz"
SUMMARY = "applied.json"
ROOM = 2**20
"""Bytes that are to be free beside those of the sounds."""
READ = 2**18
"""Samples that are read at a time."""


class Source(Protocol):
    """A sound that can be gone through; see :func:`cdlnmf_lit.recordings.reading.opened`."""

    @property
    def sample_rate(self) -> int: ...
    @property
    def n_samples(self) -> int | None: ...
    def blocks(self, size: int) -> Iterator[Array]: ...


@dataclass(frozen=True)
class Applied:
    """How far an application came, and how near to the best it is.

    Parameters
    ----------
    n_samples : int
        At the rate of the patterns.
    sample_rate : int
        In Hz.
    n_events : int
    gap : float or None
        How far above the best objective it is at most, as a share of it; None where no bound is
        known.
    is_whole : bool
        Whether the sound was gone through to its end.

    Examples
    --------
    >>> print(Applied(80_000, 8000, 12, 2e-5, True))
    12 events in 10 s; at most 2e-05 above the best objective
    """

    n_samples: int
    sample_rate: int
    n_events: int
    gap: float | None
    is_whole: bool

    def __str__(self) -> str:
        seconds = self.n_samples / self.sample_rate
        bound = "" if self.gap is None else f"; at most {self.gap:.2g} above the best objective"
        stopped = "" if self.is_whole else "stopped: "
        events = "event" if self.n_events == 1 else "events"
        return f"{stopped}{self.n_events} {events} in {seconds:.6g} s{bound}"


def apply(
    found: Decomposition,
    source: Source,
    folder: str | os.PathLike[str],
    *,
    write: str = "sounds",
    labels: Sequence[str] = (),
    share: float | None = None,
    gap: float | None = None,
    strict: bool = False,
    size: int | None = None,
    checkpoint_every: float = 30.0,
    report: Callable[[int, int | None], Any] = lambda done, whole: None,
    is_stopped: Callable[[], bool] = lambda: False,
) -> Applied:
    """Find the patterns of a result in a sound, and write what is found as it is found.

    Until all is done it is in ``FOLDER.partial``; a run that ends before goes on from there when it
    is asked the same again.

    Parameters
    ----------
    found : Decomposition
        Whose patterns are to be found; it has to know its sample rate.
    source : Source
        The sound. From another rate it is resampled, with a warning.
    folder : path
        For ``events.csv`` and, if wanted, ``component_01.wav``, ... and ``residual.wav``, which sum
        to the sound.
    write : {"sounds", "events"}
    labels
        In which formats the events are written too: of ``"audacity"``, ``"raven"``, ``"midi"``.
    share, gap, strict
        See :meth:`Decomposition.apply <cdlnmf_lit.methods.decomposition.Decomposition.apply>`. A
        share is that of the whole sound, which is then gone through once more.
    size : int, optional
        Samples that are worked on at a time.
    checkpoint_every : float
        Seconds.
    report : callable
        Is told how many samples are done, and of how many.
    is_stopped : callable
        Asked after each block whether to end there.

    Raises
    ------
    ValueError
        If the result cannot be applied, or its rate is not known, or is another and ``strict``; if
        the sound is shorter than a pattern.
    OSError
        If the disk has not the room, or a file cannot be written; what was found so far stays.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from cdlnmf_lit import CDL
    >>> from cdlnmf_lit.recordings.reading import opened
    >>> from cdlnmf_lit.recordings.writing import write
    >>> x = np.sin(np.pi / 10 * np.arange(8000.0)) * (np.arange(8000) % 4000 < 60)
    >>> learnt = replace(CDL(atom_length=60, iterations=5).decompose(x, 1), sample_rate=8000)
    >>> with TemporaryDirectory() as place:
    ...     write(f"{place}/x.wav", x, 8000)
    ...     with opened(f"{place}/x.wav") as sound:
    ...         done = apply(learnt, sound, f"{place}/out")
    ...     print(done.n_events, *sorted(path.name for path in Path(place, "out").iterdir()))
    2 applied.json component_01.wav events.csv residual.wav
    """
    folder = Path(folder)
    choice(write, "write", WRITES)
    for label in labels:
        choice(label, "labels", LABELS)
    if found.sample_rate is None:
        raise ValueError("found must know its sample_rate, got None")
    up, down = require_rate(source.sample_rate, found.sample_rate, strict=strict)
    wanted = application(found, share=share, gap=gap)
    method, K = wanted.method, len(wanted.patterns)
    n_samples = source.n_samples and -(-source.n_samples * up // down)
    if n_samples is not None:
        least = pattern_samples(method)
        if n_samples < least:
            raise ValueError(f"the sound must have at least {least} samples, got {n_samples}")
    size = block_size(method, K, size)
    partial = folder.with_name(f"{folder.name}.partial")
    about = _about(wanted, source, write, size, share)
    state, left = _left(partial, about)
    if write == "sounds" and n_samples is not None:
        require_room(folder, 4 * (K + 1) * (n_samples - state.begin))

    def blocks(start: int = 0) -> Iterator[Array]:
        sound = (method.in_precision(block) for block in source.blocks(READ))
        return from_sample(resampled(sound, up, down), start)

    if left:
        wanted = replace(wanted, method=replace(method, **left["penalty"]))
    else:
        wanted = with_penalty(wanted, blocks())
        partial.mkdir(parents=True)
    penalty = {
        name: getattr(wanted.method, name)
        for name in ("penalty", "share")
        if hasattr(wanted.method, name)
    }
    n_events, begin, is_whole = int(left.get("n_events", 0)), state.begin, False
    start = max(0, begin - before(method))
    levels, saved = _levels(found), time.monotonic()
    pieces = pieces_of(wanted, blocks(start), size=size, state=state, start=start)
    try:
        with ExitStack() as files:
            appends = []
            if write == "sounds":
                names = [*(f"component_{k:02d}.wav" for k in range(1, K + 1)), "residual.wav"]
                sounds = (continued(partial / name, found.sample_rate, begin) for name in names)
                appends = [files.enter_context(each) for each in sounds]
            table = files.enter_context(_table(partial / "events.csv", int(left.get("events", 0))))
            for piece, state in pieces:
                found_here = (*piece.components, piece.residual)
                for append, sound in zip(appends, found_here, strict=False):
                    append(sound)
                events = piece.events(wanted, levels)
                n_events += len(events)
                table.write(table_of(events).partition("\n")[2])
                table.flush()
                report(piece.end, n_samples)
                is_whole = piece.is_last
                stopped = not is_whole and is_stopped()
                if stopped or (not is_whole and time.monotonic() - saved >= checkpoint_every):
                    reached = {"events": table.tell(), "n_events": n_events, "penalty": penalty}
                    _save(partial / CHECKPOINT, state, reached | {"asked": about})
                    saved = time.monotonic()
                if stopped:
                    break
    except OSError as error:
        if error.errno is None or error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, str(folder)) from error
    done = Applied(state.begin, found.sample_rate, n_events, state.gap, is_whole)
    if is_whole:
        events = from_table((partial / "events.csv").read_text("utf8"))
        for name, content in labelled(events, found, labels).items():
            (partial / name).write_bytes(content)
        _finish(partial, folder, done, wanted)
    return done


def require_room(folder: Path, needed: int) -> None:
    """Refuse to write more than there is room for.

    Raises
    ------
    OSError
        If the disk has less.

    Examples
    --------
    >>> require_room(Path("there"), 10**18)
    Traceback (most recent call last):
        ...
    OSError: there: 1000000 TB of sounds need more than the ... that are free: make room, or ...
    """
    there = next(parent for parent in folder.absolute().parents if parent.exists())
    free = shutil.disk_usage(there).free
    if needed + ROOM > free:
        raise OSError(
            f"{folder}: {bytes_in_words(needed)} of sounds need more than the "
            f"{bytes_in_words(free)} that are free: make room, or write events only"
        )


def _levels(found: Decomposition) -> Array | None:
    """The lowest level of an event of each component: 20 dB below its loudest where learnt.

    None where none is known: of patterns without a recording.
    """
    if not found.activations.size:
        return None
    levels = np.full(found.n_components, np.nan)
    learnt = events_of(found)
    for k in range(levels.size):
        own = learnt.level[learnt.component == k]
        levels[k] = own.max() - FALL if own.size else np.nan
    if np.isnan(levels).all():
        return None
    return np.where(np.isnan(levels), np.nanmin(levels), levels)


# ---- the table ----------------------------------------------------------------------------------


def _table(path: Path, kept: int) -> Any:
    """The file of events, with what was kept of it, or its heading."""
    file = path.open("r+", encoding="utf8", newline="") if kept else path.open("w", newline="")
    if kept:
        file.truncate(kept)
        file.seek(kept)
    else:
        file.write(",".join(COLUMNS) + "\n")
    return file


# ---- what a run leaves ---------------------------------------------------------------------------


def _about(
    wanted: Application, source: Source, write: str, size: int, share: float | None
) -> dict[str, Any]:
    """What has to be the same for a run to go on."""
    patterns = hashlib.sha256(np.ascontiguousarray(wanted.patterns).tobytes()).hexdigest()
    asked = {"write": write, "size": size, "share": share, "gap": wanted.gap, "patterns": patterns}
    sound = {"n_samples": source.n_samples, "sample_rate": source.sample_rate}
    return {"parameters": wanted.found.parameters} | asked | sound


def _save(path: Path, state: State, reached: dict[str, Any]) -> None:
    text = json.dumps(reached | {"begin": state.begin, "gap": state.gap, "sums": state.sums})
    with written_aside(path) as aside, aside.open("wb") as file:
        np.savez(file, about=np.array(text), **state.arrays)  # type: ignore[arg-type]


def _left(partial: Path, about: dict[str, Any]) -> tuple[State, dict[str, Any]]:
    """Where an earlier run that was asked the same has come to; nothing where there is none."""
    if not partial.exists():
        return State(), {}
    path = partial / CHECKPOINT
    if not path.exists():
        shutil.rmtree(partial)
        return State(), {}
    with np.load(path, allow_pickle=False) as stored:
        left = json.loads(str(stored["about"]))
        arrays = {name: stored[name] for name in stored.files if name != "about"}
    if left["asked"] != json.loads(json.dumps(about)):
        raise FileExistsError(
            f"{partial} is left of a run of something else that did not end: remove it first"
        )
    return State(left["begin"], left["gap"], arrays, left["sums"]), left


def _finish(partial: Path, folder: Path, done: Applied, wanted: Application) -> None:
    """What was written takes its place."""
    told = {"status": str(done), "events": done.n_events, "gap": done.gap}
    rate = {"sample_rate": done.sample_rate, "n_samples": done.n_samples}
    text = json.dumps(told | rate | {"parameters": wanted.method.parameters}, indent=1)
    (partial / SUMMARY).write_text(text + "\n", encoding="utf8")
    (partial / CHECKPOINT).unlink(missing_ok=True)
    old = folder.with_name(f".{folder.name}.{os.getpid()}.old")
    if folder.exists():
        folder.rename(old)
    partial.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
