"""What is wrong is said, and nothing where all is well."""

import numpy as np
import pytest

from cdlnmf_lit.recordings.advice import Traits, advice, events, likeness, togetherness, traits_of

RATE = 8000
T = 6 * RATE


def sound(f, begins, decay=30.0):
    t, x = np.arange(T) / RATE, np.zeros(T)
    for begin in begins:
        x += np.where(t >= begin, np.exp(-decay * (t - begin)) * np.sin(2 * np.pi * f * t), 0)
    return x


LOW, HIGH = sound(300, (0.3, 1.4, 3.1, 4.0)), sound(2000, (0.8, 2.2, 3.7, 5.1))


def told(*components, rest=0.0):
    energy = float(np.sum((np.sum(components, axis=0) + rest) ** 2))
    return advice([traits_of(x, RATE) for x in components], energy)


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
    ],
    ids=["alike", "one lag", "together", "once", "silent", "mixture"],
)
def test_what_is_wrong_is_said(components, line):
    (found,) = told(*components)
    assert line in found


def test_a_lag_is_told_in_seconds():
    rises = np.zeros(300)
    rises[[20, 90, 170]] = 1.0
    one, late = (Traits(np.roll(rises, n), np.ones(1), 1.0) for n in (0, 10))
    assert togetherness(late, one) == (0.2, 1.0)
    assert togetherness(one, Traits(np.zeros(300), np.ones(1), 0.0)) == (0.0, 0.0)
    far = Traits(np.roll(rises, 60), np.ones(1), 1.0)
    assert togetherness(far, one)[1] < 0.9


def test_traits_are_those_of_the_sound():
    found = traits_of(LOW, RATE)
    assert events(found) == 4
    assert found.energy == pytest.approx(np.sum(LOW**2))
    assert likeness(found, found) == pytest.approx(1.0)
    assert likeness(found, traits_of(HIGH, RATE)) < 0.3
    assert events(traits_of(np.zeros(T), RATE)) == 0
