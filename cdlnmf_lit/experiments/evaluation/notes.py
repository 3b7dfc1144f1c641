"""Notes: which of them a component carries, by its pitch and by when it sounds.

Chapter: ``book/experiments/evaluation.md``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike, NDArray

from cdlnmf_lit.experiments.evaluation.events import PACE
from cdlnmf_lit.experiments.evaluation.ratios import unit_peak
from cdlnmf_lit.experiments.signals import Measure, Note, Signal
from cdlnmf_lit.theory import arguments

LOUDEST_PARTIALS = 3000.0  # Hz
HAMMER_TIME = 0.1  # s after the onset in which a measure's level is not taken
LEVEL_TIME = 1.0  # s over which it is taken, at the most
PITCH, PATTERN = 0.7, 0.8


def carried(
    components: ArrayLike, sample_rate: int, notes: Sequence[Note], measures: Sequence[Measure]
) -> NDArray[np.bool_]:
    """Whether each component carries each note, by its pitch and by the score.

    *Pitch*: more than 70 % of the energy below 3 kHz lies nearer to a partial of this note than
    to any of another. *Pattern*: the levels in the measures, from 0.1 s after the onset for 1 s or
    as long as the keys are held, correlate by more than 0.8 with the row of ones and zeros that
    says in which of them the note sounds.

    Parameters
    ----------
    components
        (K, T).
    sample_rate
        In Hz.
    notes
        S notes.
    measures
        When they are played. Each note must sound in some and not in others.

    Returns
    -------
    array (K, S) of bool

    Raises
    ------
    ValueError
        If a note sounds in no measure or in all: then it has no pattern; or if a measure begins
        when the components have ended.

    Examples
    --------
    >>> from cdlnmf_lit.experiments.signals import PIANO_MEASURES, PIANO_NOTES, piano
    >>> played = piano(rng=0)
    >>> carried(played.stems[1:3], played.sample_rate, PIANO_NOTES, PIANO_MEASURES)
    array([[False,  True, False, False],
           [False, False,  True, False]])
    """
    components = arguments.array(components, "components", 2)
    sample_rate = arguments.integer(sample_rate, "sample_rate")
    score = np.array([[s in m.notes for m in measures] for s in range(len(notes))], dtype=float)
    if not notes or np.any(score.all(axis=1) | ~score.any(axis=1)):
        raise ValueError("measures must hold each note in some of them and not in others")
    for m in measures:
        if round((m.onset + HAMMER_TIME) * sample_rate) >= components.shape[1]:
            raise ValueError(f"measures must begin before the components end, got {m}")
    return (_pitch(components, sample_rate, notes) > PITCH) & (
        _pattern(components, sample_rate, score, measures) > PATTERN
    )


def _pitch(components: Signal, sample_rate: int, notes: Sequence[Note]) -> Signal:
    """The share of a component's energy that lies nearest to each note's partials, (K, S)."""
    n = scipy.fft.next_fast_len(components.shape[1], real=True)
    f = scipy.fft.rfftfreq(n, 1 / sample_rate)
    f = f[f < LOUDEST_PARTIALS]
    distance = [
        np.abs(np.subtract.outer(f, note.partials(below=LOUDEST_PARTIALS))).min(axis=1)
        for note in notes
    ]
    nearest = np.argmin(distance, axis=0) == np.arange(len(notes))[:, None]
    power = np.stack([np.abs(scipy.fft.rfft(c, n)[: f.size]) ** 2 for c in unit_peak(components)])
    total = power.sum(axis=1, keepdims=True)
    return np.asarray(power @ nearest.T / np.where(total > 0, total, 1))


def _pattern(
    components: Signal, sample_rate: int, score: Signal, measures: Sequence[Measure]
) -> Signal:
    """Correlation of a component's levels in the measures with each note's row, (K, S)."""
    components, levels = unit_peak(components), []
    for m in measures:
        begin = round((m.onset + HAMMER_TIME) * sample_rate)
        length = round(min(LEVEL_TIME, max(m.duration - HAMMER_TIME, PACE)) * sample_rate)
        sounding = components[:, begin : begin + max(length, 1)]
        levels.append(np.sqrt(np.mean(sounding**2, axis=1)))
    heard, wanted = (
        rows - rows.mean(axis=1, keepdims=True) for rows in (np.stack(levels, 1), score)
    )
    sizes = np.linalg.norm(heard, axis=1)[:, None] * np.linalg.norm(wanted, axis=1)
    return np.asarray(heard @ wanted.T / np.where(sizes > 0, sizes, 1))


def notes_found(
    components: ArrayLike, sample_rate: int, notes: Sequence[Note], measures: Sequence[Measure]
) -> tuple[str, ...]:
    """The names of the notes that some component carries, see :func:`carried`.

    Examples
    --------
    >>> from cdlnmf_lit.experiments.signals import PIANO_MEASURES, PIANO_NOTES, piano
    >>> played = piano(rng=0)
    >>> notes_found(played.stems[1:], played.sample_rate, PIANO_NOTES, PIANO_MEASURES)
    ('F4', 'A♭4', 'C5')
    """
    heard = carried(components, sample_rate, notes, measures).any(axis=0)
    return tuple(notes[s].name for s in np.flatnonzero(heard).tolist())
