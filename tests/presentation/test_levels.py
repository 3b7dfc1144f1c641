"""Levels are those of the frames, and stand where these do."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from cdlnmf_lit.presentation.levels import MOST_COLUMNS, SILENCE, draw_levels, levels_of
from tests.strategies import normal


@pytest.mark.parametrize("amplitude", [1.0, 0.1])
def test_a_sine_has_the_level_of_its_amplitude(amplitude):
    tone = amplitude * np.sin(2 * np.pi * np.arange(8192) / 4)
    levels = levels_of(tone, 64)
    assert levels[16, 100] == pytest.approx(20 * np.log10(amplitude), abs=0.05)


def test_levels_are_of_frames_centred_on_samples():
    x, g = normal(0, 1000), 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(64) / 64)
    levels = levels_of(x, 64)
    for n in (0, 7, levels.shape[1] - 1):
        frame = np.pad(x, (32, 64))[16 * n : 16 * n + 64]
        power = 4 / g.sum() ** 2 * np.abs(np.fft.rfft(g * frame)) ** 2
        np.testing.assert_allclose(levels[:, n], 10 * np.log10(np.maximum(power, SILENCE)))


def test_long_sounds_are_pooled_and_silence_has_a_floor():
    assert levels_of(normal(0, 200_000), 64).shape[1] <= MOST_COLUMNS
    assert np.all(levels_of(np.zeros(500), 64) == 10 * np.log10(SILENCE))


def test_a_cell_stands_around_its_second_and_frequency():
    x, rate = normal(0, 2000), 1000
    levels = levels_of(x, 64)
    ax = Figure().subplots()
    left, right, low, high = draw_levels(ax, levels, x.size, rate, 0.0, 60.0).get_extent()
    width, height = (right - left) / levels.shape[1], (high - low) / levels.shape[0]
    assert left + width / 2 == pytest.approx(0)
    assert width == pytest.approx(16 / rate)
    assert low + height / 2 == pytest.approx(0)
    assert high - height / 2 == pytest.approx(rate / 2000)
    assert ax.get_xlim() == (0, 2.0)
