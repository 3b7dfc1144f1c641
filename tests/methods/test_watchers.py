"""Watchers see every stage and its states, in order, and may end the run."""

import threading

import numpy as np
import pytest

from cdlnmf_lit import CDL, NMF
from cdlnmf_lit.methods.watchers import all_of, reporting, until, until_certified
from cdlnmf_lit.theory.gabor import hann

X = np.sin(0.3 * np.arange(2000.0)) * (np.arange(2000) % 500 < 250)
ONE = NMF(frame=hann(128, 32), iterations=4)


def test_each_state_of_each_stage_is_reported_once():
    seen = []
    watch = reporting(lambda method, state: seen.append((method.divergence, state.iteration)))
    (ONE >> NMF(frame=ONE.frame, divergence="euclidean", iterations=2)).decompose(X, 2, watch=watch)
    assert seen == [("kullback-leibler", n) for n in range(5)] + [
        ("euclidean", n) for n in range(3)
    ]


def test_a_run_ends_after_the_iteration_in_which_it_is_asked_to():
    stop = threading.Event()

    def report(method, state):
        if state.iteration == 2:
            stop.set()

    found = ONE.decompose(X, 2, watch=all_of(reporting(report), until(stop)))
    assert found.is_stopped
    assert len(found.history["objective"]) == 3


def test_the_first_watcher_is_nearest_to_the_method():
    order = []
    watch = all_of(
        reporting(lambda *_: order.append("first")), reporting(lambda *_: order.append("second"))
    )
    NMF(frame=ONE.frame, iterations=0).decompose(X, 2, watch=watch)
    assert order == ["first", "second"]


def test_a_run_ends_once_no_dictionary_can_be_better_by_more_than_a_share():
    learning = CDL(atom_length=200, share=0.3, iterations=20)
    whole = learning.decompose(X, 2)
    bound = whole.certificate().bound
    share = 1.05 * whole.objective / bound - 1
    found = (ONE >> learning).decompose(X, 2, watch=until_certified(share))
    *before, last = found.history["objective"]
    assert last <= (1 + share) * bound * (1 + 1e-9) < min(before)
    assert found.is_stopped
    assert found.certificate().ratio <= 1 + share


def test_a_run_that_cannot_be_certified_runs_to_its_end():
    for method in (ONE, CDL(atom_length=200, share=0.3, iterations=4)):
        found = method.decompose(X, 2, watch=until_certified(0))
        np.testing.assert_array_equal(found.components(), method.decompose(X, 2).components())
        assert not found.is_stopped
    with pytest.raises(ValueError, match="share must be a finite number of at least 0, got -1"):
        until_certified(-1)
