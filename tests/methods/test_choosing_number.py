"""What is planted is counted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdlnmf_lit.methods.choosing_number import (
    MOST,
    Number,
    atoms_that_repeat,
    elbow,
    number_of,
    objectives,
)
from cdlnmf_lit.methods.pursuit import Repeated

RATE = 8000


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=13))
def test_an_elbow_lies_within_its_interval_and_its_curve(falls):
    curve = np.cumsum(falls[::-1])[::-1]
    found = elbow(curve)
    assert 1 <= found.low <= found.n_components <= found.high <= MOST
    assert len(found.evidence) <= len(curve)


@pytest.mark.parametrize(
    ("curve", "K"),
    [
        ([1.0, 0.6, 0.3, 0.28, 0.27], 3),
        ([1.0, 0.5, 0.495, 0.49], 2),
        ([1.0, 0.999, 0.998], 1),
        ([1.0], 1),
        ([0.0, 0.0, 0.0], 1),
        (np.linspace(1.0, 0.0, 13), 12),
    ],
)
def test_the_elbow_is_where_the_curve_stops_to_fall(curve, K):
    assert elbow(curve).n_components == K


def test_no_more_of_the_objective_is_computed_than_tells():
    asked = iter([1.0, 0.5, 0.2, 0.19, 0.18])
    elbow(asked)
    assert [*asked] == [0.18]


def atom(positions, explained):
    return Repeated(np.ones(2), np.array(positions), np.ones(len(positions)), explained)


def test_what_is_quiet_a_hum_or_a_rest_is_no_source():
    one, two = atom([0, 5000, 9000, 17_000], 0.6), atom([400, 6100, 13_900], 0.3)
    rest = atom([7, 5007, 9008], 0.2)
    hum = atom([*range(0, 20_000, 250)], 0.4)
    quiet = atom([333, 8000, 15_000], 0.001)
    assert atoms_that_repeat([one, rest, hum, two, quiet], RATE, 50).n_components == 2
    assert atoms_that_repeat([], RATE, 50).n_components == 1


@pytest.mark.parametrize(("kind", "seconds"), [("clicks", 0.03), ("hits", 0.2), ("calls", 0.6)])
def test_planted_sounds_are_counted(kind, seconds):
    random = np.random.default_rng(0)
    n = round(seconds * RATE)
    x = 1e-3 * random.standard_normal(8 * RATE)
    for k in range(2):
        sound = np.exp(-4 * np.arange(n) / n) * random.standard_normal(n)
        for begin in (np.arange(5) * 12_000 + 5000 * k + random.integers(300, 3000, 5)).tolist():
            x[begin : begin + n] += sound
    found = number_of(x, RATE, kind)
    assert found.n_components == 2
    assert found.low <= 2 <= found.high


def test_planted_tones_are_counted():
    t = np.arange(6 * RATE) / RATE
    gates = np.random.default_rng(0).random((3, 12)) < 0.5
    x = 1e-3 * np.random.default_rng(1).standard_normal(t.size)
    for f, gate in zip((440, 660, 930), gates, strict=True):
        x += np.repeat(gate, RATE // 2) * np.sin(2 * np.pi * f * t)
    assert abs(number_of(x, RATE, "notes").n_components - 3) <= 1


def test_objectives_never_rise():
    found = [*objectives(np.random.default_rng(0).standard_normal(8000), RATE)]
    assert found == sorted(found, reverse=True)
    assert len(found) == MOST + 1


def test_silence_has_one_and_a_short_sound_few():
    assert number_of(np.zeros(RATE), RATE, "hits").n_components == 1
    assert number_of(np.ones(3000), RATE, "hits").n_components <= 2
    with pytest.raises(ValueError, match="kind must be one of"):
        number_of(np.ones(RATE), RATE, "soup")


def test_a_number_says_what_it_is_told_by():
    assert (
        str(Number(1, 1, 2, (0.9, 0.1), "shares")) == "K = 1 (1 to 2), by the shares: 0.90 | 0.10"
    )
