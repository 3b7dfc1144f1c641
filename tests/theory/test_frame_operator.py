"""The frame operator is the dense matrix of its definition, whatever the frame."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cdlnmf_lit.theory.frame_operator import FrameOperator
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
