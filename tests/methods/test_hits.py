"""Hits: drums that were planted come apart, between samples too, and where the sound is cut."""

import numpy as np
import pytest

from cdlnmf_lit.experiments.evaluation import grouped, grouping, si_sdr
from cdlnmf_lit.experiments.kits import KIT, drums
from cdlnmf_lit.methods.hits import Hits
from cdlnmf_lit.methods.recipes import hits
from tests.methods.test_pursuit import planted


def apart(found, sources):
    components = found.components()
    return si_sdr(grouped(components, grouping(components, sources), len(sources)), sources)


def test_planted_bursts_come_apart_exactly():
    x, places, gains = planted(3)
    method = Hits(atom_length=1200, taps=1, iterations=10)
    found = method.decompose(x, 2)
    assert found.history["relative_residual"][-1] < 1e-3
    for row in found.activations:
        at = np.flatnonzero(row)
        assert any(np.ptp(at - each) == 0 for each in places)
        (k,) = (k for k, each in enumerate(places) if np.ptp(at - each) == 0)
        np.testing.assert_allclose(row[at] / gains[k], row[at[0]] / gains[k][0], rtol=1e-2)


def test_a_sound_that_is_cut_is_no_other():
    """The last burst is cut off by the end: nothing is lost for the others."""
    x, places, _ = planted(4)
    end = places.max() + 160
    found = Hits(atom_length=1200, taps=1, iterations=10).decompose(x[:end], 2)
    assert found.history["relative_residual"][-1] < 1e-2


def test_an_even_number_of_taps_is_refused():
    with pytest.raises(ValueError, match="taps must be odd, got 4"):
        Hits(taps=4)


def test_taps_are_found_again_from_arrays():
    x, *_ = planted(5)
    found = Hits(atom_length=1200, iterations=4).decompose(x, 2)
    runs = np.diff(np.flatnonzero(np.diff(np.pad(found.activations[0] != 0, 1))))[::2]
    assert set(runs) <= {7}


@pytest.mark.long
def test_a_seeded_kit_comes_apart_with_noise_and_hits_between_samples():
    mixture = drums(rng=0, kit=KIT[:3])
    found = hits(mixture.sample_rate).decompose(mixture.signal, 3)
    assert apart(found, mixture.sources).min() > 15
