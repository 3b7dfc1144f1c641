"""Held patterns: their activations end within a certified gap of the best."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.signal

from cdlnmf_lit.methods.algorithm_1 import Algorithm1
from cdlnmf_lit.methods.cdl import CDL
from cdlnmf_lit.methods.convolutive_nmf import ConvolutiveNMF
from cdlnmf_lit.methods.nmf import NMF
from cdlnmf_lit.methods.semi_nmf import SemiNMF
from cdlnmf_lit.theory.gabor import hann
from tests.strategies import normal

FRAME = hann(16, 4)
CONVEX = [
    CDL(atom_length=16, share=0.1, padding=8, iterations=5),
    CDL(atom_length=16, share=0.1, activations="real", iterations=5),
    Algorithm1(frame=FRAME, share=0.1, iterations=10),
    SemiNMF(frame=FRAME, iterations=10),
    SemiNMF(frame=FRAME, share=0.1, iterations=10),
    NMF(frame=FRAME, iterations=10),
    NMF(frame=FRAME, divergence="euclidean", iterations=10),
    ConvolutiveNMF(frame=FRAME, pattern_length=3, iterations=10),
    ConvolutiveNMF(frame=FRAME, pattern_length=3, divergence="euclidean", penalty=0.1),
]
convex = pytest.mark.parametrize("method", CONVEX, ids=str)


def sound(seed, n_samples=300):
    t = np.arange(n_samples)
    tones = np.sin(0.9 * t) * (t % 90 < 40) + np.sin(2.1 * t) * (t % 70 < 30)
    return tones + 0.1 * normal(seed, n_samples)


@convex
def test_what_is_convex_ends_within_a_gap_that_its_status_tells(method):
    learnt = method.decompose(sound(0), 2)
    y = sound(1, 400)
    found = learnt.apply(y)
    gap = found.history["coding_gap"][-1]
    assert 0 <= gap <= method.usual_gap
    assert found.status.startswith("certified after ")
    assert f"at most {gap:.2g} above the best objective" in found.status
    assert not found.is_stopped
    nearer = learnt.apply(y, gap=gap / 10 + 1e-9)
    low, high = found.objective * (1 - gap), found.objective
    assert low * (1 - 1e-9) <= nearer.objective <= high * (1 + 1e-9)
    total = found.components().sum(axis=0) + found.residual
    np.testing.assert_allclose(total, y, atol=1e-12)


def test_the_status_counts_iterations_and_no_looks_at_the_gap():
    found = CONVEX[-1].decompose(sound(0), 2).apply(sound(1, 400), gap=1e-8)
    looks = len(found.history["coding_gap"]) - 1
    assert int(found.status.split()[2]) >= 10 * looks > 10


@convex
def test_the_method_itself_gets_no_lower_than_the_gap_allows(method):
    learnt = method.decompose(sound(0), 2)
    y, asked = sound(1, 400), replace(method, share=None) if hasattr(method, "share") else method
    if hasattr(method, "share"):
        asked = replace(asked, penalty=learnt.parameters["penalty"])
    W = asked.patterns_of(learnt)
    slow = replace(asked, iterations=200).decompose(y, 2, start=(W, None), held="patterns")
    found = learnt.apply(y)
    gap = found.history["coding_gap"][-1]
    assert slow.objective >= found.objective * (1 - gap) * (1 - 1e-6)


@convex
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_patterns_stay_to_the_bit(method, dtype):
    learnt = method.decompose(sound(0).astype(dtype), 2)
    found = learnt.apply(sound(1).astype(dtype))
    for name in ("atoms", "spectra"):
        before, after = getattr(learnt, name), getattr(found, name)
        assert (before is None) == (after is None)
        if before is not None:
            np.testing.assert_array_equal(after, before)
    assert found.residual.dtype == found.activations.dtype == dtype


def test_a_signal_of_another_rate_is_resampled_and_that_is_said():
    learnt = replace(CONVEX[0].decompose(sound(0), 2), sample_rate=8000)
    y = sound(1, 600)
    with pytest.warns(UserWarning, match="resampled from 12000 to 8000 Hz"):
        found = learnt.apply(y, sample_rate=12_000)
    same = learnt.apply(scipy.signal.resample_poly(y, 2, 3))
    np.testing.assert_array_equal(found.activations, same.activations)
    assert found.sample_rate == 8000
    with pytest.raises(ValueError, match="sample_rate must be that of the patterns, 8000 Hz, got"):
        learnt.apply(y, sample_rate=12_000, strict=True)
    with pytest.raises(ValueError, match="must be None where that of the patterns is not known"):
        replace(learnt, sample_rate=None).apply(y, sample_rate=12_000)


def test_the_penalty_carries_over_unless_a_share_is_asked_for():
    learnt = CONVEX[0].decompose(sound(0), 2)
    assert learnt.apply(10 * sound(1)).parameters["penalty"] == learnt.parameters["penalty"]
    asked = learnt.apply(10 * sound(1), share=0.2).parameters["penalty"]
    assert asked == pytest.approx(0.2 * CONVEX[0].lambda_max(10 * sound(1)))


def test_what_cannot_be_applied_is_refused():
    learnt = NMF(frame=FRAME, iterations=2).decompose(sound(0), 2)
    with pytest.raises(ValueError, match=r"share must be None for nmf, got 0\.1"):
        learnt.apply(sound(1), share=0.1)
    with pytest.raises(ValueError, match="gap must be positive"):
        learnt.apply(sound(1), gap=0.0)
    silent = replace(learnt, spectra=np.zeros_like(learnt.spectra))
    with pytest.raises(ValueError, match="found must have patterns that sound, got silence"):
        silent.apply(sound(1))
    other = NMF(frame=FRAME, divergence="itakura-saito", iterations=2).decompose(sound(0), 2)
    with pytest.raises(ValueError, match=r"gap must be None for nmf .*, which has no bound"):
        other.apply(sound(1), gap=0.1)
    with pytest.raises(ValueError, match="y must be finite"):
        learnt.apply(np.array([0.0, np.nan]))


def test_a_watcher_may_end_it():
    learnt = CONVEX[0].decompose(sound(0), 2)

    def first(method, states):
        yield next(states)

    found = learnt.apply(sound(1), watch=first)
    assert found.is_stopped
    assert "above the best objective" in found.status
