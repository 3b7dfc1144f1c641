"""Notes beside the lines of the piano's page, and where pitch or score alone would err."""

import numpy as np
import pytest

from cdlnmf_lit.experiments.evaluation.notes import carried, notes_found
from cdlnmf_lit.experiments.signals import PIANO_MEASURES, PIANO_NOTES, Measure, Note, piano
from tests.experiments.evaluation.sounds import RATE, TWO, small_piano
from tests.strategies import normal

KEYS = range(4)
SCORE = {"sample_rate": RATE, "notes": PIANO_NOTES, "measures": PIANO_MEASURES}


def literal_carried(components, sample_rate):
    """The lines of the piano's page."""
    score = np.array([[s in m.notes for m in PIANO_MEASURES] for s in KEYS])
    power = np.abs(np.fft.rfft(components)) ** 2
    f = np.fft.rfftfreq(components.shape[1], 1 / sample_rate)
    power, f = power[:, f < 3000], f[f < 3000]
    distance = [
        np.abs(np.subtract.outer(f, note.partials(below=3000.0))).min(axis=1)
        for note in PIANO_NOTES
    ]
    nearest = np.argmin(distance, axis=0)
    pitch = np.stack([power[:, nearest == s].sum(axis=1) for s in KEYS], axis=1)
    pitch /= np.maximum(power.sum(axis=1, keepdims=True), 1e-300)
    begins = [round((m.onset + 0.1) * sample_rate) for m in PIANO_MEASURES]
    seconds = [components[:, begin : begin + sample_rate] for begin in begins]
    levels = np.stack([np.linalg.norm(second, axis=1) for second in seconds], axis=1)
    agreement = np.corrcoef(np.concatenate([levels, score]))[: len(levels), -4:]
    return (pitch > 0.7) & (agreement > 0.8)


@pytest.mark.parametrize("seed", range(3))
def test_carried_is_what_the_piano_page_says(seed):
    played = small_piano(seed)
    rng = np.random.default_rng(seed)
    heard = np.concatenate([played.sources, rng.dirichlet(0.3 * np.ones(5), 12) @ played.stems])
    found = carried(heard, RATE, PIANO_NOTES, PIANO_MEASURES)
    np.testing.assert_array_equal(found, literal_carried(heard, RATE))
    assert found[4:].any()
    np.testing.assert_array_equal(found[:4], np.eye(4, dtype=bool))
    order = rng.permutation(16)
    scaled = 1e-5 * heard[order]
    np.testing.assert_array_equal(carried(scaled, RATE, PIANO_NOTES, PIANO_MEASURES), found[order])


def test_pitch_and_pattern_must_both_agree():
    played = small_piano(0)
    notes, x = played.sources, played.signal
    names = [note.name for note in PIANO_NOTES]
    assert notes_found(notes, RATE, PIANO_NOTES, PIANO_MEASURES) == tuple(names)
    assert notes_found(notes[[2]], RATE, PIANO_NOTES, PIANO_MEASURES) == (names[2],)
    assert notes_found(x[None], RATE, PIANO_NOTES, PIANO_MEASURES) == ()
    assert notes_found(0 * notes, RATE, PIANO_NOTES, PIANO_MEASURES) == ()
    assert notes_found(notes[:, ::-1], RATE, PIANO_NOTES, PIANO_MEASURES) == ()  # pitch alone
    # The pattern alone: noise where A flat sounds.
    shape = np.repeat(np.abs(notes[2, : len(x) // 50 * 50]).reshape(-1, 50).max(axis=1), 50)
    noise = np.pad(shape, (0, len(x) - shape.size)) * normal(0, len(x))
    assert notes_found(noise[None], RATE, PIANO_NOTES, PIANO_MEASURES) == ()
    # One partial of a note is enough; half of its measures are not.
    assert notes_found(0.1 * notes[[1]], RATE, PIANO_NOTES, PIANO_MEASURES) == (names[1],)
    half = notes[1] * (np.arange(len(x)) < 8 * RATE)
    assert notes_found(half[None], RATE, PIANO_NOTES, PIANO_MEASURES) == ()


def test_other_notes_and_measures():
    notes = (Note("deep", 110.0, 0.0, -10, 10, 5), Note("high", 300.0, 0.0, -10, 10, 5))
    measures = (Measure(0.1, 0.3, (0,)), Measure(0.6, 0.3, (1,)), Measure(1.1, 0.3, (0, 1)))
    played = piano(0, sample_rate=RATE, notes=notes, measures=measures, duration=1.6, knock=0.0)
    np.testing.assert_array_equal(
        carried(played.sources[::-1], RATE, notes, measures), [[False, True], [True, False]]
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: carried(TWO, **(SCORE | {"notes": ()})), "measures must hold each note"),
        (lambda: carried(TWO, **(SCORE | {"measures": ()})), "measures must hold each note"),
        (
            lambda: carried(TWO, **(SCORE | {"measures": (Measure(0.0, 1.0, (0, 1, 2, 3)),)})),
            "measures must hold each note in some of them and not in others",
        ),
        (lambda: carried(TWO, **SCORE), "measures must begin before the components end"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
