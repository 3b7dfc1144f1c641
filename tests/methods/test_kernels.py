"""Compiled loops, the same loops in Python, and NumPy do the same; so does all without numba."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdlnmf_lit.methods import kernels
from cdlnmf_lit.methods.sparse_coding import Problem
from tests import reference
from tests.strategies import dtypes, normal, seeds

FORMS = ["descend_in_loops", "descend_in_numpy", "descend"]


@st.composite
def codings(draw):
    K, T_d = draw(st.integers(1, 3)), draw(st.sampled_from([1, 2, 3, 7, 16]))
    T = T_d + draw(st.sampled_from([0, 1, 2, 5, 30, 100, 150]))
    seed = draw(seeds)
    d = normal(seed, K, T_d)
    if draw(st.booleans()):
        d[-1] = 0
    penalty, signed = draw(st.sampled_from([0.0, 0.3, 1.0])), draw(st.booleans())
    return at_zero(normal(seed + 1, T), d, penalty, signed)


def at_zero(x, d, penalty, signed):
    z = np.zeros((len(d), x.size - d.shape[1] + 1))
    return Problem(d.shape[1], penalty, signed, x=x).state(0, d, z)


def descended(form, state, begin, end, width, tolerance=0.05, most=10**4):
    problem, gram = state.problem, state.dictionary.gram
    z, c = state.activations.copy(), state.correlation.copy()
    limits = np.array([problem.penalty, tolerance])
    done = getattr(kernels, form)(z, c, gram, limits, problem.signed, begin, end, width, most)
    return done, z, c


@given(codings(), st.sampled_from([1, 5, 64, 100]), st.data())
def test_all_forms_make_the_same_changes(coding, width, data):
    N = coding.problem.n_activations
    begin = data.draw(st.integers(0, N - 1))
    end = data.draw(st.integers(begin + 1, N))
    # Enough for agreement; where rounding decides between equals, forms may part later.
    found = [descended(form, coding, begin, end, width, most=20) for form in FORMS]
    for done, z, c in found[1:]:
        assert done == found[0][0]
        np.testing.assert_allclose(z, found[0][1], atol=1e-9)
        np.testing.assert_allclose(c, found[0][2], atol=1e-8)


@pytest.mark.parametrize("form", FORMS[1:])
@given(coding=codings(), width=st.sampled_from([3, 64]))
def test_a_segment_is_done_when_nothing_in_it_asks_for_more(form, coding, width):
    problem, N, d = coding.problem, coding.problem.n_activations, coding.patterns
    begin, end = N // 3, N
    done, z, c = descended(form, coding, begin, end, width)
    assert done < 10**4
    assert not z[:, :begin].any()
    assert problem.signed or z.min() >= 0
    residual = problem.x - reference.convolve(d, z)
    np.testing.assert_allclose(c, reference.correlate_with_atoms(d, residual), atol=1e-8)
    gram = coding.dictionary.gram
    assert problem.largest_change(z[:, begin:], c[:, begin:], gram) <= 0.05 * (1 + 1e-6)


def test_changes_are_counted_and_bounded():
    coding = at_zero(normal(0, 300), normal(1, 2, 9), 0.1, signed=True)
    for form in FORMS:
        assert descended(form, coding, 0, 292, 64, most=7)[0] == 7


@given(seeds, st.integers(0, 9), st.integers(1, 5))
def test_all_forms_add_the_same(seed, n, length):
    rng = np.random.default_rng(seed)
    places, begins, values = rng.integers(0, 9, n), rng.integers(0, 4, n), rng.random(n)
    source, start = rng.random(4 + length), rng.random(9 + length)
    expected = start.copy()
    for p, b, v in zip(places, begins, values, strict=True):
        for t in range(length):
            expected[p + t] += v * source[b + t]
    for form in ("add_scaled_in_loops", "add_scaled_in_numpy", "add_scaled"):
        out = start.copy()
        getattr(kernels, form)(out, source, places, begins, values, length)
        np.testing.assert_allclose(out, expected, rtol=1e-12)


@given(seeds, st.integers(1, 4), st.sampled_from([1, 63, 64, 65, 200]), dtypes, st.booleans())
def test_all_forms_sweep_alike_and_lower_the_quadratic(seed, K, N, dtype, silent):
    rng = np.random.default_rng(seed)
    W, start = rng.random((K, 9)), rng.random((K, N)).astype(dtype)
    if silent:
        W[-1] = 0
    gram, c = (W @ W.T).astype(dtype), rng.normal(1, 1, (K, N)).astype(dtype)

    def quadratic(z):
        z = z.astype(float)
        return np.sum(z * (gram @ z) / 2 - c * z)

    found = []
    for form in ("sweep_in_loops", "sweep_in_numpy", "sweep"):
        z = start.copy()
        getattr(kernels, form)(z, c, gram, 3)
        assert z.dtype == dtype
        assert z.min() >= 0
        assert quadratic(z) <= quadratic(start) + 1e-4 * np.abs(quadratic(start))
        if silent:
            np.testing.assert_array_equal(z[-1], start[-1])
        found.append(z)
    tolerance = 1e-9 if dtype == np.float64 else 2e-3
    for z in found[1:]:
        np.testing.assert_allclose(z, found[0], atol=tolerance * (1 + found[0].max()))


@given(seeds, st.integers(1, 3), st.integers(1, 20))
def test_nonzeros_rebuild_the_activations(seed, K, N):
    rng = np.random.default_rng(seed)
    z = rng.random((K, N)) * (rng.random((K, N)) < 0.3)
    atoms, positions, values = kernels.nonzeros(z)
    again = np.zeros_like(z)
    again[atoms, positions] = values
    np.testing.assert_array_equal(again, z)


def test_loops_that_no_folder_can_keep_are_compiled_all_the_same():
    pytest.importorskip("numba")
    names = {}
    exec("def doubled(n):\n    return 2 * n\n", names)
    assert kernels._compiled(names["doubled"])(4) == 8


def test_threads_that_call_a_loop_first_wait_for_one_to_compile_it(monkeypatch):
    made = []

    def slowly(loop):
        made.append(loop)
        time.sleep(0.01)
        return loop

    monkeypatch.setattr(kernels, "_compiled", slowly)
    once = kernels._Quickest(abs, None)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(once, range(-4, 0))) == [4, 3, 2, 1]
    assert made == [abs]


CODE = """
import sys
{absent}
import numpy as np
import cdlnmf_lit
from cdlnmf_lit.methods.cdl import CDL
from cdlnmf_lit.methods.kernels import descend, descend_in_numpy
assert sys.modules.get("numba") is None
x = np.sin(0.3 * np.arange(600.0)) * (np.arange(600) % 200 < 90)
x += 0.01 * np.random.default_rng(0).standard_normal(600)
found = CDL(atom_length=40, iterations=4).decompose(x, 2)
np.save(sys.argv[1], found.components())
assert (descend.form is descend_in_numpy) == (sys.modules["numba"] is None) == bool({absent!r})
"""


@pytest.mark.long
def test_numba_is_loaded_at_first_use_and_the_package_does_the_same_without(tmp_path):
    pytest.importorskip("numba")
    found = []
    for name, absent in (("with", ""), ("without", "sys.modules['numba'] = None")):
        path = tmp_path / f"{name}.npy"
        code = CODE.format(absent=absent)
        subprocess.run([sys.executable, "-W", "error", "-c", code, str(path)], check=True)
        found.append(np.load(path))
    assert np.any(found[0])
    np.testing.assert_allclose(found[1], found[0], atol=1e-8)
