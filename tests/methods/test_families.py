"""What methods on frames and methods with a penalty share; the rest is in test_method.py."""

import numpy as np
import pytest
from hypothesis import given

from cdlnmf_lit import CDL, LRTFS, NMF
from cdlnmf_lit.methods.families import (
    largest_norm,
    require_change,
    require_length,
    require_sound,
    spectra_and_sounds,
)
from cdlnmf_lit.theory.blocks import pieces
from cdlnmf_lit.theory.gabor import GaborFrame, hann
from tests.strategies import normal, seeds

X = normal(0, 500)


def test_shapes_are_those_of_the_frame():
    method = LRTFS(frame=hann(64, 16))
    N, F = method.shape(X.size)
    assert (N, F) == method.frame.half_analysis(X).shape
    assert method.shapes(X.size, 3) == {"patterns": (3, F), "activations": (3, N)}
    assert method.most_components(X.size) == min(N, F)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (GaborFrame("hann", 16, 64), "frame must be tight with bounds 1, got .*: use frame.tight"),
        (GaborFrame(0.5 * hann(64, 16).window, 16), "frame must be tight with bounds 1, got 0.25"),
    ],
)
def test_a_frame_that_is_not_tight_is_refused(frame, message):
    with pytest.raises(ValueError, match=message):
        NMF(frame=frame).iterate(X, 1)


def test_what_is_no_frame_is_refused_when_the_value_is_made():
    with pytest.raises(ValueError, match="frame must be a GaborFrame, got 'hann'"):
        NMF(frame="hann")


@pytest.mark.parametrize(("asked", "share"), [({}, 0.05), ({"share": 0.3}, 0.3)])
def test_a_penalty_is_a_share_of_the_largest_unless_it_is_given(asked, share):
    method = CDL(atom_length=20, **asked)
    assert method.resolved(X).penalty == share * method.lambda_max(X)
    assert method.resolved(X).share is None
    given_one = CDL(atom_length=20, penalty=0.0)
    assert given_one.resolved(X) == given_one


@given(seeds)
def test_the_largest_norm_is_that_of_a_row(seed):
    V = normal(seed, 17, 5)
    found = largest_norm(V.__getitem__, pieces(17, 4))
    assert found == pytest.approx(np.linalg.norm(V, axis=1).max())


def test_silence_constants_and_short_signals_are_refused():
    for rule, x, message in (
        (require_sound, np.zeros(4), "x must not be silent"),
        (require_change, np.ones(4), "x must not be constant, got 1.0"),
    ):
        rule(np.array([0.0, 1.0]))
        with pytest.raises(ValueError, match=message):
            rule(x)
    require_length(8, 8)
    with pytest.raises(ValueError, match="x must be at least as long as an atom, 8 samples, got 7"):
        require_length(7, 8)


def test_the_parts_of_a_result_say_where_the_first_window_begins():
    frame = hann(64, 16)
    parts = spectra_and_sounds(frame, np.ones((1, 33)), X[None], 0 * X)
    assert (parts["atoms"], parts["hop"]) == (None, 16)
    assert parts["first_sample"] == frame.first_sample
