"""The frame operator is the dense matrix of its definition, whatever the frame."""

import numpy as np
import pytest
import scipy.signal
from hypothesis import assume, given
from hypothesis import strategies as st

from cdlnmf_lit.theory.frame_operator import FrameOperator, _inverse_root
from cdlnmf_lit.theory.gabor import GaborFrame
from tests.strategies import frames


def dense(frame, n_samples):
    """``Φ Φ*`` column by column."""
    columns = [frame.synthesis(frame.analysis(e), n_samples).real for e in np.eye(n_samples)]
    return np.stack(columns, axis=1)


def operator_of(frame):
    return FrameOperator(frame.window, frame.hop, frame.channels, frame.origin)


@given(frames(), st.integers(1, 30))
def test_the_bounds_are_the_extreme_eigenvalues(frame, n_samples):
    values = np.linalg.eigvalsh(dense(frame, n_samples))
    lower, upper = operator_of(frame).bounds(n_samples)
    assert upper == pytest.approx(values[-1], rel=1e-9)
    assert lower == pytest.approx(max(values[0], 0), rel=1e-9, abs=1e-9 * upper)


@given(frames(phases=["time-invariant"]))
def test_diagonals_are_those_of_the_matrix(frame):
    operator, n_samples = operator_of(frame), 4 * frame.window.size
    matrix, M = dense(frame, n_samples), frame.channels
    for n, diagonal in enumerate(operator.diagonals):
        for t in range(n_samples - n * M):
            assert matrix[t, t + n * M] == pytest.approx(
                diagonal[t % frame.hop], abs=1e-9 * np.abs(matrix).max()
            )


@given(frames(painless=True))
def test_painless_windows_are_divided_by_the_diagonal(frame):
    operator = operator_of(frame)
    assume(operator.bounds(100)[0] > 1e-6)
    for power in (-1.0, -0.5):
        window, origin = operator.window_to(power)
        S = operator.diagonals[0, (np.arange(window.size) - origin) % frame.hop]
        np.testing.assert_allclose(window, S**power * frame.window, rtol=1e-12)


# ---- fewer channels than the window has samples ------------------------------------------------


def assert_dual_and_tight(frame):
    """Both windows exist and reconstruct, on the way there and on the way back."""
    x = np.random.default_rng(0).standard_normal(200)
    dual, tight = frame.dual(), frame.tight()
    for analysed, made in ((frame, dual), (dual, frame), (tight, tight)):
        back = made.synthesis(analysed.analysis(x), x.size).real
        np.testing.assert_allclose(back, x, rtol=0, atol=1e-11)


@pytest.mark.parametrize(
    ("window", "hop", "channels"),
    [
        (np.random.default_rng(0).random(37), 7, 18),
        (np.hanning(13)[1:-1], 5, 5),
        (np.random.default_rng(0).random(11), 5, 5),
        (np.random.default_rng(0).random(38), 2, 7),
        (scipy.signal.get_window("hann", 20), 5, 6),
        (np.hanning(22)[1:-1], 5, 6),
    ],
)
def test_windows_with_long_tails_are_found(window, hop, channels):
    assert_dual_and_tight(GaborFrame(window, hop, channels))


def well_conditioned(n_frames):
    """Random frames with fewer channels than samples, and B / A < 1000."""
    rng = np.random.default_rng(0)
    while n_frames:
        T_g = int(rng.integers(2, 41))
        hop = int(rng.integers(1, T_g))
        bump = np.hanning(T_g + 2)[1:-1] * (1 + 0.3 * rng.random(T_g))
        window = bump if n_frames % 2 else np.abs(rng.standard_normal(T_g))
        frame = GaborFrame(window, hop, int(rng.integers(hop, T_g)))
        A, B = frame.bounds(40 * T_g)
        if B < 1000 * A:
            n_frames -= 1
            yield frame


@pytest.mark.long
def test_no_well_conditioned_frame_is_refused():
    for frame in well_conditioned(300):
        assert_dual_and_tight(frame)


@pytest.mark.parametrize(
    ("length", "hop", "channels"), [(8, 4, 4), (8, 2, 2), (13, 2, 3), (13, 6, 6)]
)
@pytest.mark.parametrize("window", ["hann", "blackman", "boxcar"])
def test_a_frame_that_hardly_is_one_has_its_windows_or_is_refused(window, length, hop, channels):
    """``A / B`` may lie near rounding, where no matrix of a stretch is positive."""
    frame = GaborFrame(window, hop, channels, length=length)
    x = np.random.default_rng(0).standard_normal(100)
    A, B = frame.bounds(500)
    try:
        dual, tight = frame.dual(), frame.tight()
    except ValueError as error:
        assert "must make a well-conditioned frame" in str(error)  # noqa: PT017
        assert B > 1000 * A
    else:
        for analysed, made in ((frame, dual), (tight, tight)):
            back = made.synthesis(analysed.analysis(x), x.size).real
            np.testing.assert_allclose(back, x, rtol=0, atol=1e-12 * max(B / A, 10))


@pytest.mark.parametrize("condition", [1 + 1e-9, 2.0, 1e3, 1e6])
def test_the_inverse_root_is_a_sum_of_resolvents(condition):
    x = np.geomspace(1, condition, 50)
    value = sum(weight / (x + shift) for shift, weight in _inverse_root(1.0, condition))
    np.testing.assert_allclose(value * np.sqrt(x), 1, atol=1e-16 * condition + 1e-14)
