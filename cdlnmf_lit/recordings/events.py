"""Events are written in the formats of those who look at them: tables, labels, selections, notes.

Chapter: ``book/experiments/learn_once.md``.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cdlnmf_lit.methods.decomposition import Decomposition, written_aside
from cdlnmf_lit.methods.events import Events, pitch
from cdlnmf_lit.theory import arguments

COLUMNS = ("onset_s", "end_s", "component", "level_db", "lowest_hz", "highest_hz", "confidence")
"""The columns of the CSV file, with their units; components count from 1, as their files do."""
DIGITS = (5, 5, 0, 2, 1, 1, 3)
TICKS = 1000
"""Of a MIDI file, a second."""
PERCUSSION, FIRST_DRUM, NOTES = 9, 35, 128
LOUDEST, RANGE = 112, 40.0
"""Velocity of the loudest event, and the dB below it at which there is none."""


def table(events: Events) -> str:
    """The events as comma-separated values, one row an event.

    Examples
    --------
    >>> print(table(Events([0.5], [1.25], [0], [-6], [400], [900], [0.97])))
    onset_s,end_s,component,level_db,lowest_hz,highest_hz,confidence
    0.50000,1.25000,1,-6.00,400.0,900.0,0.970
    <BLANKLINE>
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in _counted_from_1(events):
        writer.writerow([f"{value:.{n}f}" for value, n in zip(row, DIGITS, strict=True)])
    return text.getvalue()


def from_table(text: str) -> Events:
    """Read what :func:`table` wrote.

    Raises
    ------
    ValueError
        If it is no such table.

    Examples
    --------
    >>> len(from_table(table(Events([0.5], [1.25], [0], [-6], [400], [900], [0.97]))))
    1
    """
    head, *rows = csv.reader(io.StringIO(text)) or [[]]
    if tuple(head) != COLUMNS or any(len(row) != len(COLUMNS) for row in rows):
        raise ValueError(f"text must have the columns {', '.join(COLUMNS)}, got {', '.join(head)}")
    columns = np.array(rows, float).reshape(-1, len(COLUMNS)).T
    columns[2] -= 1
    return Events(*columns)


def audacity(events: Events, found: Decomposition | None = None) -> bytes:
    """Labels that Audacity imports: begin, end and the component's name, between tabs.

    Examples
    --------
    >>> audacity(Events([0.5], [1.25], [0], [-6], [400], [900], [0.97]))
    b'0.500000\\t1.250000\\tcomponent 1\\n'
    """
    rows = _counted_from_1(events)
    return "".join(f"{r[0]:.6f}\t{r[1]:.6f}\tcomponent {r[2]}\n" for r in rows).encode()


def raven(events: Events, found: Decomposition | None = None) -> bytes:
    """A selection table of Raven, with the band and the component of each event.

    Examples
    --------
    >>> table = raven(Events([0.5], [1.25], [0], [-6], [400], [900], [0.97])).decode()
    >>> dict(zip(*(line.split("\\t") for line in table.splitlines())))["Low Freq (Hz)"]
    '400.0'
    """
    head = (
        "Selection", "View", "Channel", "Begin Time (s)", "End Time (s)",
        "Low Freq (Hz)", "High Freq (Hz)", "Annotation", "Level (dB)", "Confidence",
    )  # fmt: skip
    lines = ["\t".join(head)]
    for n, (onset, end, k, level, low, high, share) in enumerate(_counted_from_1(events), 1):
        times = f"{onset:.6f}\t{end:.6f}\t{low:.1f}\t{high:.1f}"
        lines.append(f"{n}\tSpectrogram 1\t1\t{times}\tcomponent {k}\t{level:.2f}\t{share:.3f}")
    return ("\n".join(lines) + "\n").encode()


def midi(events: Events, found: Decomposition) -> bytes:
    """A standard MIDI file with a track for each component.

    The note is the pitch of the pattern; one without a pitch plays a drum of its own. The velocity
    follows the level.

    Parameters
    ----------
    events
        Of ``found``.
    found
        Whose patterns have the pitches, and which knows its rate.

    Raises
    ------
    ValueError
        If the rate is not known.

    Notes
    -----
    Needs ``mido``.

    Examples
    --------
    >>> atom = np.sin(2 * np.pi * 440 * np.arange(800) / 8000)
    >>> found = Decomposition(
    ...     "hand", atom[None], np.ones((1, 1)), 1, 0, np.zeros(800), sample_rate=8000
    ... )
    >>> midi(found.events(), found)[:4]
    b'MThd'
    """
    import mido

    rate = arguments.integer(found.sample_rate, "sample_rate")
    patterns: Any = found.atoms if found.spectra is None else found.spectra
    file = mido.MidiFile(ticks_per_beat=TICKS)
    file.add_track("tempo").append(mido.MetaMessage("set_tempo", tempo=1_000_000))
    loudest = events.level.max(initial=-np.inf)
    for k, pattern in enumerate(patterns):
        note = _note(pattern, rate)
        channel = PERCUSSION if note is None else k % PERCUSSION
        number = FIRST_DRUM + k % 47 if note is None else note
        track = file.add_track(f"component {k + 1}")
        own = events[events.component == k]
        told = []
        ends = np.minimum(
            own.end, np.append(own.onset[1:], np.inf)
        )  # a key is struck when it is up
        for onset, end, level in zip(own.onset, ends, own.level, strict=True):
            velocity = int(np.clip(LOUDEST * (1 + (level - loudest) / RANGE), 1, 127))
            begin, stop = round(onset * TICKS), max(round(end * TICKS), round(onset * TICKS) + 1)
            told += [(begin, "note_on", velocity), (stop, "note_off", 0)]
        now = 0
        for tick, kind, velocity in sorted(told):
            message = mido.Message(
                kind, channel=channel, note=number, velocity=velocity, time=tick - now
            )
            track.append(message)
            now = tick
    buffer = io.BytesIO()
    file.save(file=buffer)
    return buffer.getvalue()


def _note(pattern: ArrayLike, sample_rate: int) -> int | None:
    """The number of the MIDI key nearest to a pattern's pitch."""
    frequency = pitch(pattern, sample_rate)
    if frequency is None:
        return None
    return int(np.clip(round(69 + 12 * np.log2(frequency / 440)), 0, NOTES - 1))


LABELS: dict[str, tuple[str, Callable[[Events, Any], bytes]]] = {
    "audacity": ("labels.txt", audacity),
    "raven": ("selections.txt", raven),
    "midi": ("events.mid", midi),
}
"""The formats by name: the file, and what it holds."""


def write(
    found: Decomposition, folder: str | os.PathLike[str], labels: Sequence[str] = ()
) -> Events:
    """Write the events of a result, which knows its rate, into its folder.

    ``events.csv`` is always written; ``labels.txt``, ``selections.txt`` and ``events.mid`` where
    the labels ask for them.

    Parameters
    ----------
    found
        Of any method.
    folder
        One that is there.
    labels
        Of ``"audacity"``, ``"raven"`` and ``"midi"``.

    Raises
    ------
    ValueError
        If a label is none of these, or no rate is known.
    OSError
        If the folder cannot be written to.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> found = Decomposition(
    ...     "hand", np.ones((1, 80)), np.ones((1, 1)), 1, 0, np.zeros(80), sample_rate=8000
    ... )
    >>> with TemporaryDirectory() as folder:
    ...     events = write(found, folder, ["audacity"])
    ...     print(*sorted(path.name for path in Path(folder).iterdir()))
    events.csv labels.txt
    """
    events = found.events()
    contents = {"events.csv": table(events).encode()} | labelled(events, found, labels)
    for name, content in contents.items():
        with written_aside(Path(folder) / name) as aside:
            aside.write_bytes(content)
    return events


def labelled(events: Events, found: Decomposition, labels: Sequence[str]) -> dict[str, bytes]:
    """What the files of labels hold, by their names; see :func:`write`.

    Examples
    --------
    >>> found = Decomposition("hand", np.ones((1, 80)), np.ones((1, 1)), 1, 0, np.zeros(80))
    >>> labelled(Events([0.5], [1.25], [0], [-6], [400], [900], [0.97]), found, ["audacity"])
    {'labels.txt': b'0.500000\\t1.250000\\tcomponent 1\\n'}
    """
    chosen = [LABELS[arguments.choice(label, "labels", LABELS)] for label in labels]
    return {name: make(events, found) for name, make in chosen}


def _counted_from_1(events: Events) -> list[tuple[Any, ...]]:
    return [(*row[:2], row[2] + 1, *row[3:]) for row in events.rows]
