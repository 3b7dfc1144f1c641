"""Events that are apart join at once; the rest is descent, to the same optimum."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdlnmf_lit.methods.grid import TOGETHER, Grid, OnGrid
from cdlnmf_lit.methods.joining import Joining
from tests.strategies import dtypes, normal, seeds


def tone(T_d: int) -> np.ndarray:
    """An atom whose shifts are much alike."""
    d = np.sin(0.4 * np.arange(T_d)) * np.hanning(T_d)
    return (d / np.linalg.norm(d))[None]


def coded(problem, d, gap):
    """The objectives on the way to a gap."""
    objectives = []
    for state in problem.states(
        problem.state(0, d, np.zeros((len(d), problem.positions), d.dtype))
    ):
        objectives.append(state.objective)
        if state.record["coding_gap"] < gap or state.iteration == 50:
            break
    return state, np.array(objectives)


@pytest.mark.parametrize("kind", [Joining, OnGrid])
@pytest.mark.parametrize(("places", "apart"), [((100, 1500, 2900), True), ((100, 300, 500), False)])
def test_events_that_are_apart_are_found_in_two_steps(places, apart, kind):
    """Whose shifts are much alike, so that descent takes more."""
    d, z = tone(600), np.zeros((1, 4000))
    z[0, places] = 1.0, 2.0, 1.5
    x = np.convolve(d[0], z[0]) + 1e-3 * normal(0, 4599)
    state, _ = coded(kind(600, 0.1, signed=False, x=x, positions=4000), d, 1e-9)
    assert state.record["coding_gap"] < 1e-9
    assert (state.iteration <= 2) == (apart and kind is Joining)


@given(
    seeds,
    st.tuples(st.integers(2, 12), st.integers(1, 3), st.integers(-3, 0)),
    st.booleans(),
    st.lists(st.integers(0, 150), min_size=1, max_size=9),
    st.sampled_from([1e-3, 1e-1]),
    dtypes,
)
def test_no_pass_raises_the_objective_and_the_last_is_the_best(
    seed, place, signed, places, part, dtype
):
    """Events that are apart, that overlap, that are many, and that the beginning cuts."""
    T_d, hop, first = place
    rounding, gap = (1e-5, 1e-3) if dtype == np.float32 else (1e-9, 1e-6)
    d, N = normal(seed, 2, T_d, dtype=dtype), 160 // hop
    z = np.zeros((2, N), dtype)
    z[np.arange(len(places)) % 2, np.minimum(places, N - 1)] = 1 + np.abs(normal(seed, len(places)))
    grid = Grid(d, N, hop, first, hop * N + T_d)
    x = grid.synthesis(z) + 1e-2 * normal(seed + 1, grid.length, dtype=dtype)
    penalty = part * float(np.abs(grid.correlation(x)).max())
    problem = Joining(T_d, penalty, signed, x=x, hop=hop, first_sample=first, positions=N)
    state, objectives = coded(problem, d, gap)
    assert np.all(np.diff(objectives) <= rounding * objectives[0])
    assert state.record["coding_gap"] < gap
    assert signed or state.activations.min() >= 0


@given(seeds, st.integers(1, 9), st.booleans())
def test_those_that_join_are_zero_steep_and_one_an_atom_length(seed, T_d, signed):
    d, z = normal(seed, 2, T_d), np.maximum(normal(seed + 1, 2, 40), 0)
    problem = Joining(T_d, 0.5, signed, x=normal(seed + 2, 39 + T_d), positions=40)
    state = problem.state(0, d, z)
    signs = problem.joining(state)
    assert not signs[z != 0].any()
    assert np.all((signs * state.correlation)[signs != 0] > 0.5)
    assert signed or signs.min() >= 0
    for first in range(0, 40, T_d):
        steep = np.where(z == 0, np.abs(state.correlation) if signed else state.correlation, 0)
        part = slice(first, first + T_d)
        assert np.abs(signs[:, part]).sum() == (steep[:, part].max() > 0.5 + problem.rounding)


@pytest.mark.parametrize("n", [TOGETHER, TOGETHER + 1])
def test_more_than_can_be_found_together_are_left_to_descent(n):
    """No trace of the last, which could not join, is left; it is not asked again and again."""
    d, z = np.array([[0.8, 0.6]]), np.zeros((1, 100))
    z[0, :n] = 1 + np.abs(normal(0, n))
    problem = Joining(2, 0.01, signed=False, x=np.convolve(d[0], z[0]), positions=100)
    states = problem.states(problem.state(0, d, np.where(np.arange(100) < n - 1, z, 0)))
    found = [next(states) for _ in range(50)]
    assert found[-1].record["coding_gap"] < 1e-9
    for state in found:
        assert not np.any((state.activations > 0) & (state.activations < 1e-100))


def test_two_atoms_that_are_the_same_are_left_to_descent():
    d = np.concatenate([tone(40)] * 2)
    x = np.convolve(d[0], np.eye(1, 200, 50)[0])
    problem = Joining(40, 0.1, signed=False, x=x, positions=200)
    start = np.zeros((2, 200))
    start[:, 50] = 0.1
    states = problem.states(problem.state(0, d, start))
    assert min(next(states).record["coding_gap"] for _ in range(20)) < 1e-9
