"""Figures show what is in the arrays, in seconds, kHz and dB, and leave no trace of themselves."""

import io
import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from PIL import Image

from cdlnmf_lit.methods.algorithm_1 import Algorithm1
from cdlnmf_lit.methods.decomposition import Decomposition
from cdlnmf_lit.presentation import plotting
from cdlnmf_lit.theory.gabor import hann

RATE = 8000


def tone(frequency, seconds=1.0, rate=RATE):
    return np.sin(2 * np.pi * frequency * np.arange(int(seconds * rate)) / rate)


def by_hand(n_components, n_activations=100, n_samples=1000, hop=8):
    rng = np.random.default_rng(0)
    return Decomposition(
        method="by hand",
        atoms=rng.standard_normal((n_components, 32)),
        activations=np.abs(rng.standard_normal((n_components, n_activations))),
        hop=hop,
        first_sample=-16,
        residual=np.zeros(n_samples),
        history={"objective": np.array([3.0, 2.0, 1.0])},
    )


@pytest.fixture(scope="module")
def found():
    method = Algorithm1(frame=hann(256, 16), iterations=3)
    return method.decompose(tone(440) + tone(1200), 2)


def picture(axes):
    (image,) = axes.images
    left, right, low, high = image.get_extent()
    levels = image.get_array()
    bins, columns = levels.shape
    times = left + (np.arange(columns) + 0.5) * (right - left) / columns
    frequencies = low + (np.arange(bins) + 0.5) * (high - low) / bins
    return levels, times, frequencies


# ---- spectrogram -----------------------------------------------------------------------------


@given(
    bin_number=st.integers(4, 120),
    amplitude=st.floats(0.001, 100),
    rate=st.integers(1000, 96000),
)
def test_a_sine_stands_at_its_frequency_and_level(bin_number, amplitude, rate):
    frequency = bin_number * rate / 256
    x = amplitude * np.sin(2 * np.pi * frequency * np.arange(4096) / rate)
    figure = plotting.spectrogram(x, rate, window_length=256)
    levels, _, frequencies = picture(figure.axes[0])
    middle = levels[:, levels.shape[1] // 2]
    assert_allclose(1000 * frequencies[np.argmax(middle)], frequency)
    assert_allclose(middle.max(), 20 * np.log10(amplitude), atol=1e-6)


@pytest.mark.parametrize("n_samples", [1000, 80_000, 2_000_000])
def test_a_click_stands_at_its_time_however_long_the_signal(n_samples):
    x = np.zeros(n_samples)
    x[n_samples // 3] = 1
    levels, times, _ = picture(plotting.spectrogram(x, RATE, window_length=64).axes[0])
    spacing = times[1] - times[0]
    assert levels.shape[1] <= 1001
    brightest = times[np.argmax(levels.max(axis=0))]
    assert abs(brightest - n_samples / 3 / RATE) <= spacing / 2 + 32 / RATE


@pytest.mark.parametrize("n_samples", [1, 2, 63, 64, 65])
def test_a_signal_shorter_than_the_window_is_drawn(n_samples):
    levels, _, _ = picture(plotting.spectrogram(np.ones(n_samples), RATE).axes[0])
    assert levels.shape[0] == 1025
    assert np.all(np.isfinite(levels))


def test_a_spectrogram_says_its_units_and_keeps_its_bounds():
    figure = plotting.spectrogram(
        tone(440), RATE, title="A", highest_frequency=2000, highest_level=-10, depth=50
    )
    axes, bar = figure.axes
    assert (axes.get_title(), axes.get_xlabel(), axes.get_ylabel()) == (
        "A",
        "time (s)",
        "frequency (kHz)",
    )
    assert bar.get_ylabel() == "level (dB re full-scale sine)"
    assert axes.images[0].get_clim() == (-60, -10)
    assert axes.get_ylim() == (0, 2)
    assert axes.get_xlim() == (0, 1)


def test_a_spectrogram_is_drawn_where_it_is_told():
    figure = plotting.Card()
    left, right = figure.subplots(1, 2)
    assert plotting.spectrogram(tone(440), RATE, right) is figure
    assert (len(left.images), len(right.images), len(figure.axes)) == (0, 1, 2)


def test_silence_is_drawn_dark():
    levels, _, _ = picture(plotting.spectrogram(np.zeros(3000), RATE).axes[0])
    assert np.all(levels == -200)


@pytest.mark.parametrize(
    ("x", "rate", "options", "rule"),
    [
        ([], RATE, {}, "x must not be empty"),
        ([1, 2], RATE, {}, "x must hold floating-point numbers"),
        ([1j], RATE, {}, "x must be real"),
        (np.zeros((2, 5)), RATE, {}, "x must be one-dimensional"),
        ([np.inf], RATE, {}, "x must be finite"),
        ([0.0], 0, {}, "sample_rate must be a whole number of at least 1, got 0"),
        ([0.0], RATE, {"window_length": 1}, "window_length must be a whole number of at least 2"),
        ([0.0], RATE, {"highest_frequency": -5.0}, "highest_frequency must be a finite number"),
        ([0.0], RATE, {"highest_frequency": 0.0}, "highest_frequency must be positive, got 0"),
        ([0.0], RATE, {"depth": 0}, "depth must be positive, got 0"),
    ],
)
def test_what_has_no_spectrogram_is_refused(x, rate, options, rule):
    with pytest.raises(ValueError, match=rule):
        plotting.spectrogram(x, rate, **options)


# ---- components ------------------------------------------------------------------------------


def test_a_board_has_a_row_for_each_component(found):
    figure = plotting.components(found, RATE, highest_frequency=3000)
    *board, bar = figure.axes
    assert len(board) == 6
    assert [axes.get_ylabel() for axes in board[::3]] == ["component 1", "component 2"]
    assert [axes.get_title() for axes in board[:3]] == [
        "atom (dB)",
        "activations",
        "spectrogram (kHz)",
    ]
    assert [axes.get_xlabel() for axes in board[3:]] == ["frequency (kHz)", "time (s)", "time (s)"]
    assert bar.get_ylabel() == "level (dB re full-scale sine)"
    assert {axes.images[0].get_clim() for axes in board[2::3]} == {board[2].images[0].get_clim()}


def test_a_board_shows_the_spectrum_and_the_sound_of_each_atom():
    frequencies = (500, 1500)
    tones = np.stack([tone(frequency, seconds=0.5) for frequency in frequencies])
    two = Decomposition("by hand", tones, np.ones((2, 1)), 1, 2000, np.zeros(RATE))
    *board, _ = plotting.components(two, RATE).axes
    for k, frequency in enumerate(frequencies):
        spectrum, _, sound = board[3 * k : 3 * k + 3]
        outline = spectrum.collections[0].get_paths()[0].vertices
        assert abs(outline[np.argmax(outline[:, 1]), 0] - frequency / 1000) < 0.02
        levels, times, heights = picture(sound)
        bin_number, column = np.unravel_index(np.argmax(levels), levels.shape)
        assert abs(heights[bin_number] - frequency / 1000) < 0.004
        assert 2000 / RATE <= times[column] <= 6000 / RATE


@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize("frames", [1, 3])
def test_a_board_shows_spectra_where_there_are_no_atoms(power, frames):
    magnitudes = np.full((2, frames, 129), 0.1)
    magnitudes[0, :, 16], magnitudes[1, :, 48] = 1.0, 1.0
    found = Decomposition(
        "by hand",
        None,
        np.ones((2, 50)),
        128,
        0,
        np.zeros(RATE),
        parameters={"power": power},
        spectra=magnitudes.squeeze() ** power,
        sounds=np.stack([tone(500), tone(1500)]),
    )
    *board, _ = plotting.components(found, RATE, highest_frequency=3000).axes
    assert board[0].get_title() == "spectrum (dB)"
    for left, frequency in zip(board[::3], (0.5, 1.5), strict=True):
        (curve,) = left.lines
        x, levels = curve.get_xydata().T
        assert x[np.argmax(levels)] == pytest.approx(frequency)
        assert_allclose(np.sort(levels)[[0, -1]], [-20, 0], atol=1e-9)


def test_a_board_ends_above_what_can_be_heard():
    x = np.hanning(RATE) * (tone(500) + 1e-2 * tone(1500) + 1e-5 * tone(3000))
    one = Decomposition("by hand", x[None], np.ones((1, 1)), 1, 0, np.zeros(RATE))
    left, _, right, _ = plotting.components(one, RATE).axes
    assert left.get_xlim() == right.get_ylim()
    assert 1.5 <= left.get_xlim()[1] < 1.6


def test_activations_are_drawn_at_their_times_and_at_the_loudness_of_their_atom():
    one = by_hand(1)
    curve = plotting.components(one, RATE).axes[1].lines[0].get_xydata()
    assert_allclose(curve[:, 0], (-16 + 8 * np.arange(100)) / RATE)
    assert_allclose(curve[:, 1], np.linalg.norm(one.atoms) * one.activations[0])


@pytest.mark.parametrize("sign", [1, -1])
def test_activations_before_the_signal_do_not_flatten_the_others(sign):
    two = by_hand(2)
    two.activations[0, 0] = 1000
    two.activations[1] *= sign
    middle = plotting.components(two, RATE).axes[1]
    seen = np.linalg.norm(two.atoms, axis=1, keepdims=True) * two.activations[:, 2:]
    low, high = middle.get_ylim()
    assert low < min(0, seen.min())
    assert np.abs(seen).max() < high < 1.1 * np.abs(seen).max()


@given(n_points=st.integers(601, 5000), place=st.floats(0, 1))
def test_a_lone_activation_is_never_lost(n_points, place):
    z = np.zeros(n_points)
    n = min(int(place * n_points), n_points - 1)
    z[n] = 1
    axes = plotting.Card().add_subplot()
    plotting._draw_envelope(axes, z, 2.0, 0.5)
    vertices = axes.collections[0].get_paths()[0].vertices
    stretch = np.ceil(n_points / 600) * 0.5
    times = vertices[vertices[:, 1] == 1, 0]
    assert len(times) > 0
    assert np.all(np.abs(times - (2 + 0.5 * n)) <= stretch)


def test_of_many_components_the_loudest_are_drawn():
    many = by_hand(30)
    many.activations[:6] = 0
    *board, _ = plotting.components(many, RATE).axes
    assert [axes.get_ylabel() for axes in board[::3]] == [f"component {k}" for k in range(7, 31)]


def test_a_silent_component_is_drawn():
    silent = by_hand(2)
    silent.atoms[1] = 0
    *board, _ = plotting.components(silent, RATE).axes
    assert len(board) == 6


@pytest.mark.parametrize(
    ("rate", "options", "rule"),
    [
        (0, {}, "sample_rate must be a whole number"),
        (RATE, {"highest_frequency": np.nan}, "highest_frequency must be a finite number"),
        (RATE, {"depth": -80}, "depth must be a finite number"),
    ],
)
def test_what_makes_no_board_is_refused(found, rate, options, rule):
    with pytest.raises(ValueError, match=rule):
        plotting.components(found, rate, **options)


# ---- convergence -----------------------------------------------------------------------------


def test_curves_are_drawn_with_their_names():
    figure = plotting.history({"unit": [2.0, 1.0], "long": [2.0, 1.0, 0.5]}, "objective", title="A")
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["unit", "long"]
    assert_allclose(axes.lines[1].get_xydata(), [[0, 2.0], [1, 1.0], [2, 0.5]])
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_title()) == (
        "iteration",
        "objective",
        "A",
    )
    styles = {(line.get_color(), line.get_linestyle()) for line in axes.lines}
    assert len({style for _, style in styles}) == 2


@pytest.mark.parametrize(
    ("curve", "scale"),
    [([1.0, 0.2], "linear"), ([1.0, 0.05], "log"), ([1.0, 0.0], "linear"), ([1.0, -9.0], "linear")],
)
def test_the_scale_is_logarithmic_over_more_than_a_decade(curve, scale):
    assert plotting.history({"a": curve}, "objective").axes[0].get_yscale() == scale


@pytest.mark.parametrize(
    ("curves", "rule"),
    [
        ({}, "curves must hold at least one curve"),
        ({"unit": []}, "unit must not be empty"),
        ({"unit": [np.nan]}, "unit must be finite"),
    ],
)
def test_what_is_no_history_is_refused(curves, rule):
    with pytest.raises(ValueError, match=rule):
        plotting.history(curves, "objective")


def test_convergence_has_a_panel_for_each_record(found):
    panels = plotting.convergence(found).axes
    assert [axes.get_ylabel() for axes in panels] == ["objective", "relative residual", "step"]
    for axes, record in zip(panels, found.history.values(), strict=True):
        assert_allclose(axes.lines[0].get_ydata(), record)


def test_convergence_needs_a_record():
    nothing = Decomposition("by hand", np.eye(1, 2), np.ones((1, 3)), 1, 0, np.zeros(3))
    with pytest.raises(ValueError, match="history must hold at least one record"):
        plotting.convergence(nothing)


# ---- the house style -------------------------------------------------------------------------


def luminance(colour):
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3]]
    return np.dot([0.2126, 0.7152, 0.0722], linear)


@pytest.mark.parametrize("colour", plotting.COLOURS)
def test_each_colour_stands_out_from_the_card(colour):
    contrast = 1.05 / (luminance(mpl.colors.to_rgb(colour)) + 0.05)
    assert contrast > 2.2


def test_a_figure_shows_itself_as_an_opaque_picture(found):
    png = plotting.convergence(found)._repr_png_()
    image = np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"))
    assert image.shape[1] == pytest.approx(7.2 * 144, abs=1)
    assert np.all(image[..., 3] == 255)
    assert tuple(image[0, 0, :3]) == (255, 255, 255)


def test_no_style_leaks_out(found):
    before = dict(mpl.rcParams)
    plotting.components(found, RATE)
    plotting.spectrogram(tone(440), RATE)
    plotting.convergence(found)
    assert dict(mpl.rcParams) == before


def test_no_figure_needs_pyplot():
    code = (
        "import sys, numpy as np; from cdlnmf_lit.presentation import plotting; "
        "plotting.spectrogram(np.ones(100), 8000)._repr_png_(); "
        "sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# ---- boards, tiles, dots and trends ------------------------------------------------------------


def test_a_board_has_a_row_a_method_and_a_column_a_source():
    truth = np.stack([tone(437.5), tone(1187.5)])
    figure = plotting.board({"truth": truth, "found": 0.1 * truth}, ["low", "high"], RATE)
    panels = np.reshape(figure.axes[:4], (2, 2))
    assert [ax.get_ylabel() for ax in panels[:, 0]] == ["truth", "found"]
    assert [ax.get_title() for ax in panels[0]] == ["low", "high"]
    assert len({ax.images[0].get_clim() for ax in panels.ravel()}) == 1
    for row, level in zip(panels, (0, -20), strict=True):
        for ax, frequency in zip(row, (437.5, 1187.5), strict=True):
            levels, _, frequencies = picture(ax)
            middle = levels[:, levels.shape[1] // 2]
            assert_allclose(middle.max(), level, atol=0.5)
            assert_allclose(1000 * frequencies[np.argmax(middle)], frequency, atol=4)


def test_tiles_show_their_numbers_in_ink_that_stands_out():
    figure = plotting.shares({"NMF": [1, 0], "CDL": [0.5, 0.9]}, ["F4", "C5"], "found")
    (axes,) = figure.axes
    assert_allclose(axes.images[0].get_array(), [[1, 0], [0.5, 0.9]])
    assert [text.get_text() for text in axes.texts] == ["1.00", "0.00", "0.50", "0.90"]
    assert [text.get_color() for text in axes.texts] == ["black", "white", "white", "black"]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["NMF", "CDL"]


def test_dots_stand_at_every_value_and_arrows_where_it_lies_below():
    values = [[10.0, -40.0], [12.0, 8.0]]
    (axes,) = plotting.spread({"NMF": values}, ["F4", "C5"], "SI-SDR (dB)", lowest=-20).axes
    drawn = {(line.get_marker(), *line.get_xdata()) for line in axes.lines}
    assert drawn == {("o", 10.0, 12.0), ("s", 8.0), ("<", -20.0)}
    assert axes.get_xlabel() == "SI-SDR (dB)"


def test_a_trend_is_the_mean_within_the_range_of_the_seeds():
    values = [[1.0, 3.0], [np.nan, np.nan], [5.0, 5.0]]
    (axes,) = plotting.trend([1, 8, 64], {"NMF": values}, "hop (samples)", "dB").axes
    assert_allclose(axes.lines[0].get_xydata(), [[1, 2], [64, 5]])
    (band,) = axes.collections
    assert_allclose(band.get_datalim(axes.transData).bounds, [1, 1, 63, 4])
    assert axes.get_xscale() == "log"


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: plotting.board({}, ["a"], RATE), "rows must hold at least one row"),
        (lambda: plotting.board({"x": tone(440)[None]}, ["a", "b"], RATE), "x must have 2 entries"),
        (lambda: plotting.shares({"x": [1.0]}, ["a", "b"], ""), "x must have 2 entries"),
        (lambda: plotting.shares({"x": [np.nan]}, ["a"], ""), "x must be finite"),
        (lambda: plotting.spread({"x": [1.0]}, ["a", "b"], ""), "x must have 2 entries"),
        (lambda: plotting.trend([0, 1], {"x": [[1], [2]]}, "", ""), "x must be positive"),
        (lambda: plotting.trend([1, 2], {"x": [[1]]}, "", ""), "x must have 2 entries"),
    ],
)
def test_tables_that_do_not_fit_are_refused(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()
