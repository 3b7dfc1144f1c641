"""What comes again, and how, is measured where it is planted; the rule is what the chapter says."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdlnmf_lit.methods import choosing
from cdlnmf_lit.methods.choosing import (
    KIND_OF,
    RECIPE_OF,
    SHORTEST,
    Features,
    beginnings,
    choose,
    common_seconds,
    excerpt,
    features_of,
    flatness,
    kind_of,
    matches,
    ratios,
    runner_up,
    steadiness,
)
from cdlnmf_lit.methods.recipes import RECIPES

RATE = 8000


def planted(sound, begins, seconds=5.0, noise=1e-3, seed=0):
    """A sound again and again, over noise."""
    x = noise * np.random.default_rng(seed).standard_normal(round(seconds * RATE))
    for begin in begins:
        x[begin : begin + sound.size] += sound[: x.size - begin]
    return x


def burst(seconds, seed=1):
    n = round(seconds * RATE)
    return np.exp(-5 * np.arange(n) / n) * np.random.default_rng(seed).standard_normal(n)


JITTER = np.random.default_rng(4).integers(-400, 400, 17)
OFTEN = tuple((np.arange(2650, 39_000, 2150) + JITTER).tolist())
TONE = np.exp(-np.arange(1500) / 4000) * np.sin(
    np.outer(0.3 * np.arange(1, 9), np.arange(1500))
).sum(0)
T = np.arange(4000) / RATE
CALL = np.hanning(4000) * np.sin(2 * np.pi * (800 + 1200 * T) * T)
CALLS = (1000, 7300, 14_500, 20_700, 28_100, 34_800)
BEGINS = (1000, 9100, 14_500, 21_000, 30_300)


# ---- what is measured ------------------------------------------------------------------------


def test_matches_are_the_largest_normalised_correlations():
    w = np.random.default_rng(0).standard_normal(900)
    begins, length = np.array([10, 400, 800]), 60
    best, sharp, places = matches(w, begins, length, RATE)
    for n, begin in enumerate(begins.tolist()):
        segment = w[begin : begin + length]
        c = np.array(
            [
                segment
                @ w[i : i + length]
                / np.linalg.norm(segment)
                / np.linalg.norm(w[i : i + length])
                for i in range(w.size - length + 1)
            ]
        )
        c[max(0, begin - length) : begin + length] = -1
        assert places[n] == c.argmax()
        assert best[n] == pytest.approx(c.max(), abs=1e-5)
        around = [
            c[i] for i in range(c.size) if 16 <= places[n] - i <= 200 or 16 <= i - places[n] < 200
        ]
        assert sharp[n] == pytest.approx(c.max() - max(around), abs=1e-5)


def test_beginnings_are_found_where_sounds_begin():
    found = beginnings(planted(burst(0.05), BEGINS), RATE)
    assert all(np.diff(found) >= 0.05 * RATE)
    for begin in BEGINS:
        assert np.abs(found - begin).min() < 0.02 * RATE


@pytest.mark.parametrize("seconds", [0.03, 0.1, 0.3])
def test_it_is_told_how_long_the_pattern_is(seconds):
    n = round(seconds * RATE)
    sound = np.random.default_rng(1).standard_normal(n)
    x = planted(sound, BEGINS)
    told = common_seconds(x, np.array(BEGINS[:4]), np.array(BEGINS[1:]), RATE)
    assert told == pytest.approx(seconds, abs=0.011)


def test_a_gap_of_a_few_milliseconds_does_not_end_a_pattern():
    sound = np.random.default_rng(1).standard_normal(1600)
    sound[880:920] = 0
    x = planted(sound, BEGINS)
    told = common_seconds(x, np.array(BEGINS[:4]), np.array(BEGINS[1:]), RATE)
    assert told == pytest.approx(0.2, abs=0.011)


def test_tones_are_less_flat_than_noise():
    t = np.arange(5 * RATE) / RATE
    noise = np.random.default_rng(0).standard_normal(t.size)
    assert flatness(noise, RATE) == pytest.approx(0.56, abs=0.03)  # exp(-Euler's constant)
    assert flatness(np.sin(2 * np.pi * 440 * t) + 1e-3 * noise, RATE) < 0.01


@pytest.mark.parametrize("rate", [8000, 22_050])
def test_tones_stay_in_a_room_and_sweeps_move(rate):
    random, t = np.random.default_rng(2), np.arange(3 * rate) / rate
    room = np.exp(-7 * t[: rate // 2]) * random.standard_normal(rate // 2) / 50
    dies = np.exp(-4 * (t % 1))
    begins = np.array([0, rate, 2 * rate])
    tone = dies * np.sin(2 * np.pi * 500 * t)
    sweep = np.sin(2 * np.pi * (500 + 800 * (t % 1)) * (t % 1))
    for part in (0, 1):
        heard = [x + part * np.convolve(x, room)[: x.size] for x in (tone, sweep)]
        assert steadiness(heard[0], begins, rate) > 0.9
        assert steadiness(heard[1], begins, rate) < 0.6
    assert steadiness(np.zeros(3 * rate), begins, rate) == 0


def test_the_loudest_ten_seconds_are_looked_at():
    x = 0.01 * np.ones(40 * RATE)
    x[24 * RATE : 32 * RATE] = 1.0
    part, rate = excerpt(x, RATE)
    assert (part.size, rate, part.sum()) == (10 * RATE, RATE, pytest.approx(8 * RATE, rel=0.01))
    assert excerpt(x, 44_100)[1] == 22_050


@pytest.mark.parametrize("gain", [0.01, 100.0])
def test_features_do_not_depend_on_the_level(gain):
    x = planted(burst(0.05), BEGINS)
    one, other = features_of(x, RATE), features_of(gain * x, RATE)
    assert one.again == pytest.approx(other.again, abs=1e-3)
    assert one.sharp == pytest.approx(other.sharp, abs=1e-3)
    assert one.steady == pytest.approx(other.steady, rel=1e-3)
    assert one.flatness == pytest.approx(other.flatness, rel=1e-3)
    assert one.seconds == other.seconds


# ---- the rule --------------------------------------------------------------------------------

POSITIVE = st.floats(0.001, 1)
MEASURED = st.builds(Features, POSITIVE, POSITIVE, POSITIVE, POSITIVE, POSITIVE)


@given(MEASURED)
def test_the_rule_is_that_of_the_chapter(found):
    if found.again < (0.42 if found.flatness < 0.1 else 0.285):
        kind = "nothing"
    elif found.flatness < 0.1 and found.steady > 0.8:
        kind = "notes"
    elif found.sharp < 0.48:
        kind = "calls"
    else:
        kind = "clicks" if found.seconds < 0.0275 else "hits"
    assert kind_of(found) == kind


@given(MEASURED)
def test_the_next_recipe_is_another_one(found):
    assert RECIPE_OF[runner_up(found)] != RECIPE_OF[kind_of(found)]
    assert list(ratios(found)) == [*RECIPE_OF]


def test_every_recipe_has_its_kind():
    assert set(RECIPE_OF.values()) == set(RECIPES) == set(KIND_OF)
    assert all(RECIPE_OF[kind] == recipe for recipe, kind in KIND_OF.items())


@pytest.mark.parametrize(
    ("x", "kind"),
    [
        (planted(burst(0.02), OFTEN), "clicks"),
        (planted(burst(0.2), OFTEN), "hits"),
        (np.random.default_rng(0).standard_normal(5 * RATE), "nothing"),
        (planted(TONE, OFTEN), "notes"),
        (planted(CALL, CALLS), "calls"),
        (np.zeros(5 * RATE), "nothing"),
        (np.ones(RATE), "nothing"),
    ],
    ids=["clicks", "hits", "noise", "tone", "call", "silence", "short"],
)
def test_what_is_plain_is_told(x, kind):
    choice = choose(x, RATE)
    assert (choice.kind, choice.recipe) == (kind, RECIPE_OF[kind])
    first, second = str(choice).splitlines()
    assert first.startswith(f"recipe {choice.recipe}: ")
    assert second == f"next to try: --recipe {choice.other}"
    assert choice.other != choice.recipe


@pytest.mark.parametrize(
    ("x", "rate"),
    [
        (np.eye(1, 5 * RATE, 5 * RATE - 9)[0], RATE),
        (np.random.default_rng(0).standard_normal(400), 100),
    ],
    ids=["too late to come again", "a rate at which no moment is told"],
)
def test_where_nothing_begins_the_first_sample_is_looked_at(x, rate):
    assert beginnings(x, rate).tolist() == [0]
    assert choose(x, rate).recipe in RECIPES


def test_what_is_too_short_or_silent_has_no_features():
    with pytest.raises(ValueError, match=r"x must last 2.5 s or more, got 1 s"):
        features_of(np.ones(RATE), RATE)
    with pytest.raises(ValueError, match="x must not be silent"):
        features_of(np.zeros(5 * RATE), RATE)
    with pytest.raises(ValueError, match="sample_rate must be a whole number"):
        choose(np.ones(RATE), 0)


def test_the_same_sound_is_told_the_same_at_float32():
    x = planted(burst(0.2), OFTEN)
    assert kind_of(features_of(x.astype(np.float32), RATE)) == kind_of(features_of(x, RATE))
    assert choosing.SEGMENTS == 20


@pytest.mark.parametrize("rate", [4000, 8000, 11_025, 22_050, 44_100])
def test_what_can_be_chosen_for_can_be_taken_apart(rate):
    x = np.random.default_rng(0).standard_normal(math.ceil(SHORTEST * rate))
    for recipe in RECIPE_OF.values():
        RECIPES[recipe](rate).checked(x, 1)
