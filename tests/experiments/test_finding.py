"""Finding: what is counted as found, on tables whose answer is plain."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdlnmf_lit.experiments.finding import Findings, found_in_field, hits, onset_errors
from cdlnmf_lit.experiments.signals import Event
from cdlnmf_lit.methods.events import Events

CALLS = [Event(float(t), 1.0, 0) for t in range(0, 20, 2)]


@given(st.lists(st.floats(-5, 25), max_size=30))
def test_no_find_and_no_call_is_counted_twice(when):
    assert hits(when, CALLS) <= min(len(when), len(CALLS))
    assert hits(when[::-1], CALLS) == hits(when, CALLS)


def test_finds_inside_calls_are_hits_and_others_are_not():
    assert hits([0.5, 2.9, 5.5], CALLS) == 2
    found = Findings(calls=10, finds=3, hits=2)
    assert (found.precision, found.recall) == (2 / 3, 0.2)
    assert found.f == pytest.approx(2 / (1 / found.precision + 1 / found.recall))


def test_errors_of_onsets_are_those_planted():
    onsets = np.array([each.onset for each in CALLS]) + 0.003
    columns = [onsets, onsets + 1, *np.zeros((5, len(CALLS)))]
    errors, f = onset_errors(Events(*columns), CALLS)
    np.testing.assert_allclose(errors, 3, atol=1e-6)
    assert f == 1


def test_a_way_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="way must be one of"):
        found_in_field("by ear", 20.0, 0.0, 0)
