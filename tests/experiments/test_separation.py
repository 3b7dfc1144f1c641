"""The one number of a sweep is that of a trial."""

import numpy as np
import pytest

from cdlnmf_lit.experiments.separation import mean_si_sdr, separation
from cdlnmf_lit.experiments.trials import trial
from tests.experiments.test_trials import METHOD, MIXTURE


def test_it_is_that_of_a_trial():
    found, outcome = separation(METHOD, MIXTURE, 3, seed=4), trial(METHOD, MIXTURE, 3, seed=4)
    assert found.mean_si_sdr == pytest.approx(outcome.scores.mean_si_sdr, abs=1e-9)
    assert found.iterations == outcome.iterations
    assert found.seconds > 0


def test_noise_is_no_source_and_what_is_not_found_counts_as_lost():
    low, high, noise = MIXTURE.stems
    assert mean_si_sdr(MIXTURE.stems, MIXTURE) == 100
    assert mean_si_sdr(np.stack([low, high + noise]), MIXTURE) < 100
    assert mean_si_sdr(np.stack([low, noise]), MIXTURE) == (100 - 30) / 2
