"""The settings of Section 4: what the paper says of them, and that each can be run."""

import inspect
from dataclasses import replace
from functools import reduce
from operator import rshift

import numpy as np
import pytest

from cdlnmf_lit.experiments import paper
from cdlnmf_lit.experiments.signals import chirps, piano
from cdlnmf_lit.experiments.trials import trial
from cdlnmf_lit.methods.method import Method
from cdlnmf_lit.presentation import plotting

SETTINGS = [
    (f"{signal} {name}", setting)
    for signal, settings in (("piano", paper.PIANO), ("chirps", paper.CHIRPS))
    for name, setting in settings.items()
]


@pytest.mark.parametrize(("name", "setting"), SETTINGS, ids=[name for name, _ in SETTINGS])
def test_a_settings_method_is_told_in_plain_values_and_takes_its_signal(name, setting):
    assert Method.from_parameters(setting.method.parameters) == setting.method
    x = (chirps if name.startswith("chirps") else piano)(rng=0).signal
    sound, K = setting.method.checked(x, setting.n_components)
    assert (sound.shape, K) == (x.shape, setting.n_components)


@pytest.mark.long
@pytest.mark.parametrize(("name", "setting"), SETTINGS, ids=[name for name, _ in SETTINGS])
def test_no_view_is_beyond_a_browsers_python(name, setting, virtual_bytes):
    """Its addresses have 32 bits. One iteration of each stage, on the paper's own signal."""
    x = (chirps if name.startswith("chirps") else piano)(rng=0).signal
    stages = [replace(stage, iterations=1, starts=1) for stage in setting.method.stages]
    reduce(rshift, stages).decompose(x, setting.n_components, rng=0)
    assert 0 < max(virtual_bytes) < 2**31


@pytest.mark.parametrize("window_length", [2048, 55_125])
def test_nor_is_one_of_a_picture(window_length, virtual_bytes):
    plotting.spectrogram(chirps(rng=0).signal, 22_050, window_length=window_length)
    assert 0 < max(virtual_bytes) < 2**31


def frame(setting):
    return setting.method.frame


def test_the_piano_is_taken_apart_as_the_paper_says():
    for name in ("Algorithm 1", "Algorithm 1, sparse"):
        assert (frame(paper.PIANO[name]).window.size, frame(paper.PIANO[name]).hop) == (2048, 8)
    assert paper.PIANO["CDL"].method.atom_length == 2048
    is_nmf = paper.PIANO["IS-NMF"]
    assert is_nmf.method.divergence == "itakura-saito"
    assert frame(is_nmf).hop == frame(is_nmf).window.size / 2
    assert all(setting.n_components in (4, 8) for setting in paper.PIANO.values())


def test_the_chirps_are_taken_apart_as_the_paper_says():
    long = 2.5 * 22_050
    assert paper.CHIRPS["CDL"].method.atom_length == long
    eighty = frame(paper.CHIRPS["Algorithm 1, 80 %"])
    assert (eighty.window.size, eighty.hop) == (long, 0.2 * long)
    every = frame(paper.CHIRPS["Algorithm 1, a = 1"])
    assert (every.window.size, every.hop) == (long, 1)
    assert frame(paper.CHIRPS["IS-NMF"]).window.size == long
    assert frame(paper.CHIRPS["IS-NMF"]).hop == long // 2
    small = frame(paper.CHIRPS["IS-NMF, 93 ms"])
    assert (small.window.size, small.hop) == (2048, 1024)
    assert all(setting.n_components == 2 for setting in paper.CHIRPS.values())


def test_a_setting_is_told_in_a_line():
    assert str(paper.PIANO["KL-NMF"]) == "K = 4, nmf"
    assert str(paper.PIANO["IS-NMF"]) == "K = 4, nmf (divergence itakura-saito)"


def test_trials_take_a_signal_and_a_start_of_each_seed():
    points = paper.piano_trials("CDL", [0, 4])
    assert [point["seed"] for point in points] == [0, 4]
    for point, seed in zip(points, (0, 4), strict=True):
        np.testing.assert_array_equal(point["mixture"].stems, piano(rng=seed).stems)
        assert set(point) <= set(inspect.signature(trial).parameters)
    (plain,) = paper.chirps_trials("CDL", [2])
    (crossing,) = paper.chirps_trials("CDL", [2], overlapping=True)
    np.testing.assert_array_equal(plain["mixture"].stems, chirps(rng=2).stems)
    np.testing.assert_array_equal(crossing["mixture"].stems, chirps(rng=2, overlapping=True).stems)


@pytest.mark.parametrize(
    ("trials", "settings"),
    [(paper.piano_trials, ("CDL", "KL-NMF")), (paper.chirps_trials, ("CDL", "LRTFS"))],
)
def test_all_settings_share_a_sound(trials, settings):
    (one,), (other,) = (trials(name, [1]) for name in settings)
    assert one["mixture"] is other["mixture"]


def test_trials_of_no_setting_are_refused():
    with pytest.raises(ValueError, match="name must be one of CDL, "):
        paper.piano_trials("magic", [0])
