"""What is wrong is said, and nothing where all is well."""

import numpy as np
import pytest

from cdlnmf_lit.recordings.advice import (
    Traits,
    advice,
    events,
    likeness,
    owned,
    relation,
    steadiness,
    togetherness,
    traits_of,
)

RATE = 8000
T = 6 * RATE
NONE = np.zeros((1, 320))


def sound(f, begins, decay=30.0):
    t, x = np.arange(T) / RATE, np.zeros(T)
    for begin in begins:
        x += (t >= begin) * np.exp(-decay * np.maximum(t - begin, 0)) * np.sin(2 * np.pi * f * t)
    return x


LOW, HIGH = sound(300, (0.3, 1.4, 3.1, 4.0)), sound(2000, (0.8, 2.2, 3.7, 5.1))

LONG = sound(2000, (0.8, 2.2, 3.7, 5.1), decay=3.0)
LOUD = sound(2003, (0.5, 1.9, 3.1, 4.6), decay=3.0) + sound(3000, (0.5, 1.9, 3.1, 4.6), decay=1.0)


def told(*components, rest=0.0, atom_seconds=1.0):
    energy = float(np.sum((np.sum(components, axis=0) + rest) ** 2))
    return advice([traits_of(x, RATE) for x in components], energy, atom_seconds)


def test_nothing_is_said_where_all_is_well():
    assert told(LOW, HIGH) == []
    assert told(LOW) == []


@pytest.mark.parametrize(
    ("components", "line"),
    [
        ((LOW, 0.5 * HIGH, 0.5 * HIGH), "components 2 and 3 are alike: look for fewer (-K 2)"),
        ((LOW, sound(2000, (0.35, 1.45, 3.15, 4.05))), "always begin 0.04 s apart"),
        ((LOW, sound(2000, (0.3, 1.4, 3.1, 4.0))), "always begin together"),
        ((LOW, HIGH, sound(900, (2.7,))), "component 3 sounds once"),
        ((LOW, HIGH, np.zeros(T)), "component 3 is silent: look for fewer"),
        ((LOW + HIGH, 0.05 * sound(900, (0.4, 2.7))), "component 1 is the whole recording"),
        ((LOW + 0.2 * HIGH, HIGH), "components 1 and 2 hold parts of each other: look for fewer"),
        ((LOW, 0.3 * LONG, LOUD), "component 2 sounds where others do"),
    ],
    ids=["alike", "one lag", "together", "once", "silent", "mixture", "parts", "shared"],
)
def test_what_is_wrong_is_said(components, line):
    assert line in told(*components)[0]


def test_a_lag_is_told_in_seconds():
    rises = np.zeros(300)
    rises[[20, 90, 170]] = 1.0
    one, late = (Traits(np.roll(rises, n), np.ones(1), 1.0, NONE) for n in (0, 10))
    assert togetherness(late, one) == (0.2, 1.0)
    assert togetherness(one, Traits(np.zeros(300), np.ones(1), 0.0, NONE)) == (0.0, 0.0)
    far = Traits(np.roll(rises, 60), np.ones(1), 1.0, NONE)
    assert togetherness(far, one)[1] < 0.9


def test_traits_are_those_of_the_sound():
    found = traits_of(LOW, RATE)
    assert events(found) == 4
    assert found.energy == pytest.approx(np.sum(LOW**2))
    assert likeness(found, found) == pytest.approx(1.0)
    assert likeness(found, traits_of(HIGH, RATE)) < 0.3
    assert events(traits_of(np.zeros(T), RATE)) == 0


SWEEP = np.sin(2 * np.pi * (300 + 400 * np.arange(T) / T) * np.arange(T) / RATE)


def test_what_moves_is_no_note_where_a_spectrogram_is_shared_out():
    calls = 0.1 * SWEEP * (np.arange(T) % 16_000 < 9000)
    (line,) = told(calls, HIGH, atom_seconds=None)
    assert line.startswith("component 1 moves, as no note does")
    assert told(calls, HIGH) == [] == told(calls, atom_seconds=None)


def test_a_click_is_the_same_each_time():
    one, other = (sound(1500, (0.3, 1.4, 3.1), decay=400.0), sound(2600, (0.9, 4.0), decay=400.0))
    clicks = told(one, atom_seconds=0.03)
    assert clicks == []
    (line,) = told(one + 0.7 * other, atom_seconds=0.03)
    assert line == "component 1 is another click each time: try --recipe hits"
    assert told(one + 0.7 * other) == []


def test_figures_of_components_are_those_of_their_definitions():
    one, other = (traits_of(x, RATE) for x in (LOW, 0.5 * LOW + HIGH))
    assert relation(one, other) == pytest.approx(
        LOW @ (0.5 * LOW + HIGH) / np.linalg.norm(LOW) / np.linalg.norm(0.5 * LOW + HIGH)
    )
    own = owned([one, other, traits_of(np.zeros(T), RATE)])
    whole = one.power + other.power + np.finfo(float).tiny
    assert own[0] == pytest.approx(np.sum(one.power**2 / whole) / one.power.sum())
    assert own[2] == 0
    values = np.linalg.svd(np.sqrt(other.power), compute_uv=False)
    assert steadiness(other) == pytest.approx(values[0] ** 2 / np.sum(values**2))


def test_of_a_long_sound_some_frames_are_kept():
    assert len(traits_of(np.tile(LOW, 6), RATE).frames) == 900
    assert len(traits_of(np.tile(LOW, 12), RATE).frames) == 900
