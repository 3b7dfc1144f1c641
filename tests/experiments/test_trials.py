"""Trials: what they report is what one finds by hand."""

import numpy as np
import pytest

from cdlnmf_lit.experiments import evaluation
from cdlnmf_lit.experiments.signals import Event, Mixture
from cdlnmf_lit.experiments.trials import (
    decomposition_of,
    peak_of_trial,
    sources_apart,
    trial,
)
from cdlnmf_lit.methods.nmf import NMF
from cdlnmf_lit.theory.gabor import hann

RATE = 8000
T = np.arange(2 * RATE) / RATE
STEMS = np.stack(
    [
        np.sin(2 * np.pi * 440 * T) * (T < 1),
        np.sin(2 * np.pi * 990 * T) * (T > 0.5),
        1e-4 * np.random.default_rng(0).standard_normal(T.size),
    ]
)
EVENTS = (Event(0.0, 1.0, 0), Event(0.5, 1.5, 1))
MIXTURE = Mixture(STEMS, RATE, ("low", "high", "noise"), EVENTS)
METHOD = NMF(frame=hann(512, 256), iterations=30)


def test_a_trial_is_the_method_and_the_yardsticks():
    outcome = trial(METHOD, MIXTURE, 3, seed=4)
    found = METHOD.decompose(MIXTURE.signal, 3, rng=4)
    assert outcome.scores == evaluation.judge(found, MIXTURE, filter_length=1)
    assert outcome.objective == found.history["objective"][-1]
    assert outcome.iterations == 30
    assert outcome.seconds > 0
    assert peak_of_trial(METHOD, MIXTURE, 3, seed=4) > found.components().nbytes


def test_the_same_seed_gives_the_same_scores_and_another_seed_others():
    first, again, other = (trial(METHOD, MIXTURE, 3, seed=seed).scores for seed in (0, 0, 1))
    assert first == again
    assert first != other


def test_the_sources_apart_are_those_that_are_scored():
    scores = trial(METHOD, MIXTURE, 3, seed=0).scores
    sounds = sources_apart(METHOD, MIXTURE, 3, seed=0)
    ratios = evaluation.si_sdr(sounds.astype(float), MIXTURE.sources)
    np.testing.assert_allclose(np.maximum(ratios, -30), scores.si_sdr, atol=1e-3)


def test_a_decomposition_is_the_methods_own():
    found = decomposition_of(METHOD, MIXTURE.signal, 3, seed=4)
    np.testing.assert_array_equal(
        found.components(), METHOD.decompose(MIXTURE.signal, 3, rng=4).components()
    )


def test_what_the_method_refuses_a_trial_refuses():
    with pytest.raises(ValueError, match="n_components"):
        trial(METHOD, MIXTURE, 0, seed=0)
