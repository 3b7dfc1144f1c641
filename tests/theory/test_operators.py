"""The dot-test must be able to fail."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given

from cdlnmf_lit.theory.operators import Operator
from tests.strategies import dot_test, normal, seeds


def dense(A):
    return Operator(
        forward=lambda u: A @ u,
        adjoint=lambda v: A.conj().T @ v,
        shape_in=(A.shape[1],),
        shape_out=(A.shape[0],),
        dtype=A.dtype,
        norm=float(np.linalg.norm(A, 2)),
    )


@given(seeds)
def test_matrices_pass(seed):
    A = normal(seed, 5, 3)
    dot_test(dense(A), seed)
    dot_test(dense(A + 1j * normal(seed + 1, 5, 3)), seed)


@pytest.mark.parametrize(
    "broken",
    [
        lambda good: replace(good, adjoint=lambda v: -good.adjoint(v)),
        lambda good: replace(good, adjoint=lambda v: good.adjoint(v) * (1 + 1e-6)),
        lambda good: replace(good, adjoint=lambda v: good.adjoint(v.conj())),
        lambda good: replace(good, forward=lambda u: good(u) + 1),
        lambda good: replace(good, norm=0.1 * good.norm),
    ],
)
def test_wrong_adjoints_scales_and_norms_fail(broken):
    good = dense(normal(0, 5, 3) + 1j * normal(1, 5, 3))
    with pytest.raises(AssertionError):
        dot_test(broken(good), 0)
