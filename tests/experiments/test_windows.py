"""Windows: lengths, hops and patterns are in proportion, to the sample; masks sum to the sound."""

from itertools import islice

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cdlnmf_lit.experiments.evaluation import si_sdr
from cdlnmf_lit.experiments.signals import CHIRP_SECONDS, Mixture
from cdlnmf_lit.experiments.windows import (
    RATIOS,
    REFERENCES,
    by_true_masks,
    label_of,
    methods_at,
    pattern_length,
    points,
    window_at,
)
from cdlnmf_lit.methods.convolutive_nmf import ConvolutiveNMF
from cdlnmf_lit.methods.families import OnFrames
from cdlnmf_lit.theory.gabor import hann

ATOMS = st.integers(1, 700).map(lambda n: 64 * n)
ALL = [(name, window) for name, each in REFERENCES.items() for window in each.windows]


def stages(name, window):
    reference = REFERENCES[name]
    for method in methods_at(reference.sound, window, reference.atom).values():
        yield from method.stages


@given(ATOMS, st.sampled_from(RATIOS))
def test_windows_and_hops_are_exact(atom, ratio):
    window = window_at(atom, ratio)
    assert window / atom == ratio
    assert window % 8 == 0


@given(ATOMS, st.sampled_from(RATIOS))
def test_a_pattern_spans_the_atom_where_the_window_does_not(atom, ratio):
    window = window_at(atom, ratio)
    L, hop = pattern_length(atom, window), window // 2
    assert (L - 1) * hop + window == max(atom, window)


@pytest.mark.parametrize(("name", "window"), ALL)
def test_every_stage_has_the_window_and_its_hop(name, window):
    shares = {"nmf": 2, "lrtfs": 2, "convolutive-nmf": 2, "semi-nmf": 8}
    for stage in stages(name, window):
        if isinstance(stage, OnFrames):
            assert stage.frame.window.size == stage.frame.channels == window
            fixed = 1 if name == "chirps" else 8
            wanted = window // shares[stage.name] if stage.name in shares else fixed
            assert stage.frame.hop == wanted
        else:
            assert stage.name == "cdl"
            assert stage.atom_length in {window, REFERENCES[name].atom}


def test_an_atom_holds_its_sound():
    held = {name: reference.atom for name, reference in REFERENCES.items()}
    assert 0 <= held["chirps"] - CHIRP_SECONDS * 22_050 < 64
    assert [held[name] / 22_050 for name in ("piano, 93 ms", "piano, 1.5 s")] == pytest.approx(
        [0.093, 1.5], abs=0.02
    )


def test_references_to_one_sound_share_what_they_have_in_common():
    one, other = points(REFERENCES["piano, 93 ms"]), points(REFERENCES["piano, 1.5 s"])
    shared = one.keys() & other.keys()
    assert {window for _, window in shared} == {4096, 8192}
    for label in shared:
        for point, same in zip(one[label], other[label], strict=True):
            assert (point["method"], point["seed"]) == (same["method"], same["seed"])
            np.testing.assert_array_equal(point["mixture"].stems, same["mixture"].stems)


@pytest.mark.parametrize("name", REFERENCES)
def test_all_is_run_but_where_there_are_fewer_frames_than_components(name):
    reference = REFERENCES[name]
    there = points(reference)
    T = next(iter(there.values()))[0]["mixture"].signal.size
    left_out = {
        (method, window)
        for window in reference.windows
        for method in methods_at(reference.sound, window, reference.atom)
        if label_of(method, window, reference.atom) not in there
    }
    assert all(hann(T_g, T_g // 2).n_frames(T) < reference.n_components for _, T_g in left_out)
    seen = {"IS-NMF", "KL-NMF", "LRTFS", "convolutive NMF"}
    assert left_out == ({(each, 131_072) for each in seen} if name == "piano, 1.5 s" else set())
    assert len({tuple(point["seed"] for point in each) for each in there.values()}) == 1


def test_a_pattern_of_one_frame_is_a_spectrum():
    """So that from ``T_g = T_d`` on the curve of convolutive NMF is that of KL-NMF."""
    x = np.random.default_rng(0).standard_normal(3000)
    nmf = methods_at("piano", 256, 256)["KL-NMF"]
    patterns = methods_at("piano", 256, 256)["convolutive NMF"]
    assert isinstance(patterns, ConvolutiveNMF)
    assert patterns.pattern_length == 1
    for state in islice(nmf.iterate(x, 2), 30):
        start = state.patterns[:, None], state.activations
        same = next(patterns.iterate(x, 2, start=start))
        assert same.objective == pytest.approx(state.objective, rel=1e-4)


@given(
    T=st.integers(40, 400),
    half=st.integers(2, 80),
    rank=st.one_of(st.none(), st.integers(1, 3)),
    seed=st.integers(0, 2**32 - 1),
)
@example(T=282, half=33, rank=3, seed=2067181059)  # all models are 0 at some place
def test_masks_that_know_the_truth_sum_to_the_sound(T, half, rank, seed):
    stems = np.random.default_rng(seed).standard_normal((3, T))
    mixture = Mixture(stems, 8000, ("a", "b", "c"))
    sounds = by_true_masks(mixture, 2 * half, rank)
    np.testing.assert_allclose(sounds.sum(axis=0), mixture.signal, atol=1e-9)


@given(T=st.integers(40, 200), half=st.integers(2, 40), seed=st.integers(0, 2**32 - 1))
def test_a_rank_as_large_as_the_spectrogram_changes_nothing(T, half, seed):
    stems = np.random.default_rng(seed).standard_normal((2, T))
    mixture = Mixture(stems, 8000, ("a", "b"))
    full = min(hann(2 * half, half).n_frames(T), half + 1)
    np.testing.assert_allclose(
        by_true_masks(mixture, 2 * half, full), by_true_masks(mixture, 2 * half), atol=1e-6
    )


@pytest.mark.parametrize("rank", [0, -1, 1.5])
def test_what_is_no_rank_is_refused(rank):
    mixture = Mixture(np.random.default_rng(0).standard_normal((2, 100)), 8000, ("a", "b"))
    with pytest.raises(ValueError, match="rank must be"):
        by_true_masks(mixture, 16, rank)


def test_a_note_that_comes_again_alike_needs_one_spectrum():
    t = np.arange(8000) / 8000
    stems = np.stack([np.sin(2 * np.pi * 440 * t), np.sin(2 * np.pi * 1700 * t) * (t > 0.5)])
    mixture = Mixture(stems, 8000, ("a", "b"))
    one, all_of_it = by_true_masks(mixture, 512, rank=1), by_true_masks(mixture, 512)
    assert min(si_sdr(one, stems)) > 20
    assert min(si_sdr(all_of_it, stems)) > 20


@pytest.mark.parametrize(
    ("asked", "named"), [((100, 1.0), "atom"), ((128, 3.0), "ratio"), ((64.0, 1.0), "atom")]
)
def test_what_is_no_window_is_refused(asked, named):
    with pytest.raises(ValueError, match=f"{named} must be"):
        window_at(*asked)


def test_a_sound_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="sound must be one of chirps, piano"):
        methods_at("violin", 256, 256)
