"""What holds for every method; the tests of single methods keep what is theirs."""

import ast
import gc
import inspect
import json
import subprocess
import sys
import tracemalloc
import weakref
from dataclasses import dataclass, fields, replace
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cdlnmf_lit
from cdlnmf_lit import METHODS, Decomposition, GaborFrame, Method, run
from cdlnmf_lit.methods import method as base
from cdlnmf_lit.methods.families import Sparse
from cdlnmf_lit.methods.method import HELD
from cdlnmf_lit.theory import blocks
from cdlnmf_lit.theory.gabor import hann
from tests.strategies import normal, seeds

T = 1500
FRAME = hann(128, 32)
SMALL = {"frame": FRAME, "atom_length": 100, "pattern_length": 3, "iterations": 3}

every_method = pytest.mark.parametrize("name", METHODS)
every_precision = pytest.mark.parametrize("dtype", [np.float32, np.float64])
methods = st.sampled_from(list(METHODS))


def a_sound(dtype=float, seed=0, n_samples=T):
    """Two tones that come and go, a little noise, and digital silence at the end."""
    t = np.arange(n_samples)
    x = np.sin(0.3 * t) * (t % 500 < 250) + 0.5 * np.sin(0.8 * t) * (t % 700 < 300)
    return np.where(t < 0.8 * n_samples, x + 0.01 * normal(seed, n_samples), 0.0).astype(dtype)


def small(name, **options):
    """A method of small sizes, with those of the options that it has."""
    kind = METHODS[name]
    known = {each.name for each in fields(kind)}
    return kind(**{key: value for key, value in (SMALL | options).items() if key in known})


def factors(state):
    return {"patterns": state.patterns, "activations": state.activations}


def rises(objectives, dtype=float):
    """By which share of itself the objective rises at the most."""
    objectives = np.asarray(objectives, float)
    size = np.abs(objectives[:-1]) + 1e-3 * np.abs(objectives[0]) * (dtype == np.float32)
    return np.max(np.diff(objectives) / size)


# ---- as a value --------------------------------------------------------------------------------


@every_method
def test_a_method_is_named_as_its_module_and_has_an_example_in_its_words(name):
    kind = METHODS[name]
    assert kind.name == name == kind.__module__.rpartition(".")[2].replace("_", "-")
    assert getattr(cdlnmf_lit, kind.__name__) is kind
    text = inspect.getdoc(kind)
    for each in fields(kind):
        assert f"\n{each.name} : " in text, each.name
        assert each.metadata["words"].split()[0] in text
    assert text.count("\nParameters\n") == 1


@every_method
def test_it_can_be_pasted_and_kept_as_plain_values(name):
    method = replace(small(name), starts=2, tolerance=1e-3, precision="float32")
    names = {kind.__name__: kind for kind in METHODS.values()} | {"GaborFrame": GaborFrame}
    for each in (method, METHODS[name](), small("nmf") >> method):
        assert eval(repr(each), names) == each
        assert hash(eval(repr(each), names)) == hash(each)
        assert Method.from_parameters(json.loads(json.dumps(each.parameters))) == each
        assert str(each).startswith("nmf" if each.stages[0].name == "nmf" else name)
    assert str(METHODS[name]()) == name
    assert str(replace(METHODS[name](), starts=3)) == f"{name}, best of 3"
    assert type(METHODS[name](start=np.str_(METHODS[name].STARTS[-1])).start) is str


@every_method
def test_an_option_that_does_not_meet_its_rule_is_refused_when_the_value_is_made(name):
    kind = METHODS[name]
    with pytest.raises(TypeError, match="tape"):
        kind(tape=1)
    with pytest.raises(ValueError, match=r"an option of .* must be one of .*, got 'tape'"):
        Method.from_parameters(kind().parameters | {"tape": 1})
    for each in fields(kind):
        for bad in (object(), [1], float("nan"), True):
            with pytest.raises(ValueError, match=rf"^{each.name} must be"):
                kind(**{each.name: bad})
    for text in ({"start": "tape"}, {"precision": "float16"}, {"iterations": 2.5}, {"starts": 0}):
        with pytest.raises(ValueError, match=rf"^{next(iter(text))} must be"):
            kind(**text)


def test_a_field_that_is_no_option_is_named():
    @dataclass(frozen=True, kw_only=True, repr=False)
    class Coloured(METHODS["nmf"]):
        colour: str = "blue"

    with pytest.raises(TypeError, match=r"^Coloured\.colour must be made by options\.option"):
        Coloured()


@every_method
def test_a_share_is_taken_where_the_largest_penalty_is_known_and_refused_elsewhere(name):
    kind = METHODS[name]
    if not issubclass(kind, Sparse):
        with pytest.raises(TypeError, match="share"):
            kind(share=0.1)
        return
    method, x = small(name, share=0.25), a_sound()
    largest = method.lambda_max(x)
    assert method.resolved(x).penalty == 0.25 * largest
    assert method.resolved(2 * x).penalty == pytest.approx(0.5 * largest)
    assert method.decompose(x, 2).parameters["penalty"] == 0.25 * largest
    assert small(name, penalty=0.3).resolved(x).penalty == 0.3
    with pytest.raises(ValueError, match="share must be None where a penalty is given"):
        small(name, penalty=0.3, share=0.1)
    heard = replace(method, share=1.01, iterations=200).decompose(x, 2)
    assert heard.activations.max() < 1e-2 * np.abs(small(name).decompose(x, 2).activations).max()


@pytest.mark.parametrize("left", METHODS)
def test_methods_are_chained(left):
    a, b, c = small(left), small("nmf", starts=2), small("cdl", starts=3)
    assert (a >> b) >> c == a >> (b >> c)
    chain = a >> b >> c
    assert [each.name for each in chain.stages] == [left, "nmf", "cdl"]
    assert chain.runs == 3 * (1 + 2 * (1 + 1))
    assert chain.start.start == a
    for other in (3, "cdl", None, METHODS["cdl"]):
        with pytest.raises(TypeError, match=r"unsupported operand type\(s\) for >>"):
            a >> other


# ---- what a run gives --------------------------------------------------------------------------


@every_method
@every_precision
def test_components_and_residual_sum_to_the_signal_in_its_precision(name, dtype):
    x = a_sound(dtype)
    found = small(name).decompose(x, 2)
    assert isinstance(found, Decomposition)
    assert (found.method, found.status) == (name, "ran all 3 iterations")
    assert found.parameters["n_components"] == 2
    tolerance = (1e-5 if dtype == np.float32 else 1e-12) * np.abs(x).max()
    np.testing.assert_allclose(found.components().sum(axis=0) + found.residual, x, atol=tolerance)
    assert found.components().shape == (2, T)
    arrays = [getattr(found, each) for each in ("atoms", "activations", "residual", "spectra")]
    for values in [*arrays, found.components()]:
        assert values is None or (values.dtype == dtype and np.all(np.isfinite(values)))


@every_method
def test_the_precision_is_the_one_asked_for(name):
    found = small(name, precision="float32").decompose(a_sound(), 2)
    assert found.residual.dtype == found.activations.dtype == np.float32
    single = small(name).decompose(a_sound(np.float32), 2)
    np.testing.assert_array_equal(found.components(), single.components())


@pytest.mark.parametrize("name", [name for name in METHODS if hasattr(METHODS[name], "factorize")])
def test_a_matrix_is_factorised_in_the_precision_asked_for(name):
    V, asked = 0.1 + np.abs(normal(0, 30, 12)), small(name, precision="float32")
    found, single = asked.factorize(V, 2), small(name).factorize(V.astype(np.float32), 2)
    for one, two in islice(zip(found, single, strict=False), 3):
        assert one.activations.dtype == np.float32
        for key, values in factors(one).items():
            np.testing.assert_array_equal(values, factors(two)[key])


@every_method
def test_records_are_numbers_with_the_same_names(name):
    states = list(islice(small(name).iterate(a_sound(), 2), 4))
    assert [state.iteration for state in states] == [0, 1, 2, 3]
    found = small(name).decompose(a_sound(), 2)
    assert all(values.shape == (4,) for values in found.history.values())
    assert found.objective == found.history["objective"][-1]
    assert states[-1].record.keys() == found.history.keys()
    assert states[-1].objective == found.objective


@given(methods, seeds, st.sampled_from([np.float32, np.float64]))
def test_the_objective_does_not_rise(name, seed, dtype):
    found = small(name, iterations=12).decompose(a_sound(dtype, seed), 2, rng=seed)
    assert len(found.history["objective"]) == 13
    assert rises(found.history["objective"], dtype) <= (1e-9 if dtype == np.float64 else 1e-4)
    assert found.objective < found.history["objective"][0]


@every_method
def test_the_same_seed_gives_the_same_bytes_whatever_the_threads(name, monkeypatch):
    found = []
    for threads in (1, 2, 3):
        monkeypatch.setattr(blocks, "n_threads", lambda threads=threads: threads)
        found.append(small(name).decompose(a_sound(n_samples=6000), 2, rng=3))
    for other in found[1:]:
        np.testing.assert_array_equal(other.components(), found[0].components())
        np.testing.assert_array_equal(other.activations, found[0].activations)
    drawn = small(name, start=METHODS[name].STARTS[-1])
    one, another = (drawn.decompose(a_sound(n_samples=6000), 2, rng=seed) for seed in (3, 4))
    assert not np.array_equal(another.components(), one.components())


@every_method
def test_digital_silence_does_no_harm(name):
    x = a_sound()
    x[:300] = 0
    found = small(name, iterations=20).decompose(x, 2)
    assert np.all(np.isfinite(found.components()))
    assert np.all(np.isfinite(found.history["objective"]))


@every_method
def test_the_caller_writes_the_loop(name):
    by_hand = run(small(name).iterate(a_sound(), 2), iterations=2)
    whole = small(name, iterations=2).decompose(a_sound(), 2)
    np.testing.assert_array_equal(by_hand.components(), whole.components())
    assert by_hand.parameters | {"iterations": 2} == whole.parameters


@every_method
@pytest.mark.parametrize("other", METHODS)
def test_the_result_of_any_method_starts_any_other(name, other):
    start = small(other).decompose(a_sound(), 2)
    found = small(name).decompose(a_sound(), 2, start=start)
    assert np.all(np.isfinite(found.components()))
    assert np.any(found.components())
    assert found.parameters["start"] == "Decomposition"
    chained = (small(other) >> small(name)).decompose(a_sound(), 2)
    np.testing.assert_array_equal(chained.components(), found.components())
    assert Method.from_parameters(chained.parameters).start == small(other)


@every_method
def test_a_run_goes_on_from_its_own_arrays(name):
    *_, state = islice(small(name).iterate(a_sound(), 2), 3)
    begun = next(small(name).iterate(a_sound(), 2, start=(state.patterns, state.activations)))
    for one, two in zip(factors(begun).values(), factors(state).values(), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-9, atol=1e-12 * np.abs(two).max())


# ---- one factor held -----------------------------------------------------------------------------


@given(methods, st.sampled_from(HELD), seeds, st.sampled_from([np.float32, np.float64]))
def test_a_held_factor_stays_to_the_bit_and_the_objective_does_not_rise(name, held, seed, dtype):
    method, x = small(name, iterations=8), a_sound(dtype, seed)
    scale = {"patterns": 0.7, "activations": 1.9}
    *_, state = islice(method.iterate(x, 2, rng=seed), 3)
    start = tuple((scale[key] * each).astype(each.dtype) for key, each in factors(state).items())
    objectives = []
    for state in islice(method.iterate(x, 2, start=start, held=held, rng=seed), 9):
        given_one, found = start[HELD.index(held)], factors(state)
        np.testing.assert_array_equal(found[held], given_one)
        assert found[held].dtype == given_one.dtype
        objectives.append(state.objective)
    other = "activations" if held == "patterns" else "patterns"
    assert not np.array_equal(factors(state)[other], start[HELD.index(other)])
    assert rises(objectives, dtype) <= (1e-9 if dtype == np.float64 else 1e-4)
    assert objectives[-1] < objectives[0]


@every_method
@pytest.mark.parametrize("held", HELD)
def test_a_factor_is_held_under_a_penalty_too(name, held):
    method, x = small(name, penalty=0.05), a_sound()
    *_, state = islice(method.iterate(x, 2), 3)
    start, objectives = (0.6 * state.patterns, 1.3 * state.activations), []
    for state in islice(method.iterate(x, 2, start=start, held=held), 9):
        np.testing.assert_array_equal(factors(state)[held], start[HELD.index(held)])
        objectives.append(state.objective)
    assert rises(objectives) <= 1e-9


@every_method
@pytest.mark.parametrize("held", HELD)
def test_a_result_says_what_was_held(name, held):
    first = small(name).decompose(a_sound(), 2)
    found = small(name).decompose(a_sound(), 2, start=first, held=held)
    assert found.parameters["held"] == held
    assert "held" not in first.parameters
    with pytest.raises(ValueError, match="held must be one of patterns, activations, got 'both'"):
        small(name).iterate(a_sound(), 2, held="both")


@every_method
@every_precision
def test_a_result_is_kept_read_back_and_applied(name, dtype, tmp_path):
    x, y = a_sound(dtype), a_sound(dtype, seed=1, n_samples=900)
    found = small(name, penalty=1e-3, iterations=10).decompose(x, 2)
    found.save(tmp_path / "found.npz")
    again = Decomposition.load(tmp_path / "found.npz")
    np.testing.assert_array_equal(again.components(), found.components())
    assert again.parameters == found.parameters
    applied = again.apply(y)
    np.testing.assert_array_equal(applied.components(), found.apply(y).components())
    for key in ("atoms", "spectra"):
        before, after = getattr(found, key), getattr(applied, key)
        assert (before is None) == (after is None)
        if before is not None:
            tolerance = 10 * np.finfo(dtype).eps * np.abs(before).max()
            np.testing.assert_allclose(after, before, atol=tolerance)
    assert applied.residual.size == y.size
    assert applied.parameters["held"] == "patterns"
    if "penalty" in found.parameters:
        assert applied.parameters["penalty"] == found.parameters["penalty"]
    assert applied.objective < applied.history["objective"][0]


# ---- stages, starts, watchers --------------------------------------------------------------------


def test_a_chain_is_what_one_would_write_by_hand():
    first, second = small("nmf", divergence="itakura-saito"), small("lrtfs", iterations=4)
    chained = (first >> second).decompose(a_sound(), 2, rng=5)
    by_hand = second.decompose(a_sound(), 2, start=first.decompose(a_sound(), 2, rng=5), rng=5)
    np.testing.assert_array_equal(chained.components(), by_hand.components())
    *_, state = islice((first >> second).iterate(a_sound(), 2, rng=5), 5)
    np.testing.assert_array_equal(state.decomposition().components(), by_hand.components())


def test_of_several_starts_the_lowest_objective_is_kept():
    once = small("nmf", iterations=2)
    best = replace(once, starts=5).decompose(a_sound(), 2, rng=3)
    drawn = np.random.default_rng(3).integers(2**32, size=5).tolist()
    ends = [once.decompose(a_sound(), 2, rng=seed).objective for seed in drawn]
    assert len(set(ends)) == 5
    assert best.objective == min(ends)
    assert best.parameters["starts"] == 5


@pytest.mark.parametrize("halve_every", [0, 1])
def test_of_several_starts_one_becomes_a_result(halve_every, monkeypatch):
    made, decomposition = [], base.State.decomposition
    monkeypatch.setattr(base.State, "decomposition", lambda s: made.append(s) or decomposition(s))
    replace(small("nmf"), starts=6, halve_every=halve_every).decompose(a_sound(), 2)
    assert len(made) == 1


@pytest.mark.parametrize(("halve_every", "most"), [(0, 2), (1, 4)])
def test_starts_that_are_given_up_are_not_kept(halve_every, most):
    runs, alive = [], []

    def watch(stage, states):
        gc.collect()
        alive.append(sum(each() is not None for each in runs))
        for state in states:
            if state.iteration == 0:
                runs.append(weakref.ref(state.patterns))
            yield state

    method = small("nmf", iterations=4)
    replace(method, starts=6, halve_every=halve_every).decompose(a_sound(), 2, watch=watch)
    assert len(runs) == 6
    assert max(alive) <= most


@every_method
def test_the_worse_half_of_the_starts_is_given_up(name):
    once = small(name, iterations=6)
    method = replace(once, starts=5, halve_every=2)
    found = method.decompose(a_sound(), 2, rng=3)
    drawn = np.random.default_rng(3).integers(2**32, size=5).tolist()
    left = {seed: once.decompose(a_sound(), 2, rng=seed) for seed in drawn}
    for iteration, n in ((2, 3), (4, 2), (6, 1)):
        left = dict(sorted(left.items(), key=lambda e: e[1].history["objective"][iteration])[:n])
    (wanted,) = left.values()
    np.testing.assert_array_equal(found.components(), wanted.components())
    for key, values in wanted.history.items():
        np.testing.assert_array_equal(found.history[key], values)
    assert (found.status, found.parameters["starts"]) == ("ran all 6 iterations", 5)


def test_starts_that_converge_go_no_further():
    method = small("nmf", iterations=60, tolerance=0.5)
    found = replace(method, starts=4, halve_every=25).decompose(a_sound(), 2)
    assert found.status.startswith("converged after")
    assert len(found.history["objective"]) < 26


def test_every_round_of_the_starts_is_watched():
    method = small("cdl", iterations=3) >> small("nmf", iterations=4, starts=4, halve_every=1)
    seen = []

    def watch(stage, states):
        seen.append((stage.name, stage.starts, stage.iterations, []))
        for state in states:
            seen[-1][-1].append(state.iteration)
            yield state

    watched = method.decompose(a_sound(), 2, watch=watch)
    of_nmf = [each[1:] for each in seen if each[0] == "nmf"]
    assert of_nmf == 4 * [(1, 1, [0, 1])] + 2 * [(1, 2, [2])] + [(1, 4, [3, 4])]
    assert len(seen) == method.runs
    np.testing.assert_array_equal(watched.components(), method.decompose(a_sound(), 2).components())


@pytest.mark.parametrize("stop_at", range(1, 8))
def test_a_stop_in_any_round_keeps_the_best_start_so_far(stop_at):
    method, runs = small("nmf", iterations=8, starts=4, halve_every=2), []

    def watch(stage, states):
        runs.append(stage)
        for state in states:
            yield state
            if len(runs) >= stop_at:
                return

    found = method.decompose(a_sound(), 2, watch=watch)
    assert found.is_stopped
    assert len(runs) == stop_at
    assert found.components().shape == (2, T)


def test_every_stage_and_start_is_watched():
    method, seen = small("nmf", starts=2) >> small("cdl", starts=2), []

    def watch(stage, states):
        seen.append((stage.name, 0))
        for state in states:
            seen[-1] = (stage.name, state.iteration)
            yield state

    watched = method.decompose(a_sound(), 2, watch=watch)
    assert seen == [("nmf", 3), ("nmf", 3), ("cdl", 3)] * 2
    assert len(seen) == method.runs
    plain = method.decompose(a_sound(), 2)
    np.testing.assert_array_equal(watched.components(), plain.components())


@pytest.mark.parametrize("stop_at", range(1, 7))
def test_what_a_watcher_ends_is_kept_and_the_rest_is_passed_over(stop_at):
    method, runs = small("nmf", starts=2) >> small("nmf", starts=2), []

    def watch(stage, states):
        runs.append(stage)
        for state in states:
            yield state
            if len(runs) >= stop_at and state.iteration >= 1:
                return
            if len(runs) > stop_at:
                return

    found = method.decompose(a_sound(), 2, watch=watch)
    assert found.components().shape == (2, T)
    assert found.is_stopped
    assert len(runs) <= stop_at + 1


@every_method
def test_what_was_opened_is_closed_when_a_run_ends(name):
    closed = []

    def watch(stage, states):
        try:
            yield from states
        finally:
            closed.append(stage.name)

    small(name).decompose(a_sound(), 2, watch=watch)
    assert closed == [name]


# ---- bad input -----------------------------------------------------------------------------------

BAD_INPUT = [
    ({"x": np.zeros((2, 1500))}, "x must be one-dimensional"),
    ({"x": np.zeros(0)}, "x must not be empty"),
    ({"x": np.arange(1500)}, "x must hold floating-point numbers, got int64"),
    ({"x": a_sound() + 0j}, "x must be real"),
    ({"x": np.where(np.arange(T) == 7, np.nan, a_sound())}, "x must be finite, got nan at index 7"),
    ({"x": np.where(np.arange(T) == 7, np.inf, a_sound())}, "x must be finite, got inf at index 7"),
    ({"x": np.zeros(T)}, "x must not be "),
    (
        {"x": 1e-80 * a_sound()},
        r"x must be at its largest from .* to .* in float64, got 1\.\d+e-80",
    ),
    ({"x": 1e80 * a_sound()}, "x must be at its largest from .* to .* in float64, got"),
    ({"x": np.float32(1e-12) * a_sound(np.float32)}, "x must be at its largest .* in float32, got"),
    ({"n_components": 0}, "n_components must be a whole number"),
    ({"n_components": 2.0}, "n_components must be a whole number"),
    ({"n_components": 10**7}, "n_components must be a whole number"),
    ({"start": "anywhere"}, "start must be one of .*, got 'anywhere'"),
    ({"start": [np.ones((2, 2))] * 2}, "start must be one of .*, got list$"),
    ({"start": np.ones((2, 2))}, "start must be one of .*, got ndarray$"),
    ({"start": (np.ones((2, 2)),)}, "start must hold patterns, activations, got 1 values"),
    ({"start": (np.ones((2, 1)), np.ones((2, 1)))}, "start's patterns must"),
    ({"start": (None, np.ones((2, 1)))}, "start's patterns must"),
    ({"held": "nothing"}, "held must be one of patterns, activations, got 'nothing'"),
]


@every_method
@pytest.mark.parametrize(("changed", "rule"), BAD_INPUT)
@pytest.mark.parametrize("run_by", ["iterate", "decompose"])
def test_bad_input_is_refused_before_any_work(name, changed, rule, run_by, monkeypatch):
    def no_work(*_, **__):
        raise AssertionError

    monkeypatch.setattr(METHODS[name], "problem", no_work)
    asked = {"x": a_sound(), "n_components": 2, **changed}
    with pytest.raises(ValueError, match=rule):
        getattr(small(name), run_by)(**asked)
    if "start" not in changed:
        monkeypatch.setattr(METHODS["nmf"], "problem", no_work)
        with pytest.raises(ValueError, match=rule):
            getattr(small("nmf") >> small(name), run_by)(**asked)


@every_method
def test_a_signal_too_large_or_small_for_the_precision_asked_for_is_refused(name):
    for scale in (1e-60, 1e60, 1e-11, 1e11):
        with pytest.raises(ValueError, match=r"x must be at its largest .* in float32, got"):
            small(name, precision="float32").iterate(scale * a_sound(), 2)


@every_method
@every_precision
def test_a_signal_at_the_ends_of_its_range_is_decomposed(name, dtype):
    for end in (np.finfo(dtype).tiny, np.finfo(dtype).max):
        x = float(end) ** 0.25 * a_sound() / np.abs(a_sound()).max()
        x *= 1.01 if end < 1 else 0.1  # room for sums of fourth powers
        noise = {"noise": 1e-3 * float(np.sum(x**2))} if name == "lrtfs" else {}
        found = small(name, **noise).decompose(x.astype(dtype), 2)
        assert np.all(np.isfinite(found.components()))
        assert np.all(np.isfinite(found.history["objective"]))


@every_method
def test_a_start_of_the_wrong_values_is_refused(name):
    *_, state = islice(small(name).iterate(a_sound(), 2), 2)
    W, Z = state.patterns, state.activations
    for bad, rule in (
        ((np.full_like(W, np.nan), Z), "start's patterns must be finite"),
        ((W, np.full_like(Z, np.inf)), "start's activations must be finite"),
        ((W, Z[:, 1:]), "start's activations must have shape"),
        ((W[:1], Z[:1]), "start's patterns must have shape"),
    ):
        with pytest.raises(ValueError, match=rule):
            small(name).iterate(a_sound(), 2, start=bad)
    if "activations" not in METHODS[name].SIGNED:
        with pytest.raises(ValueError, match="start's activations must not be negative"):
            small(name).iterate(a_sound(), 2, start=(W, -1 - Z))
    start = small(name).decompose(a_sound(), 2)
    with pytest.raises(ValueError, match="start must have 3 components, got 2"):
        small(name).decompose(a_sound(), 3, start=start)


def test_results_whose_parameters_do_not_suffice_say_what_is_missing():
    found = small("nmf").decompose(a_sound(), 2)
    old = {key: value for key, value in found.parameters.items() if key != "frame"}
    with pytest.raises(ValueError, match="parameters must tell the frame's window"):
        replace(found, parameters=old).apply(a_sound())
    with pytest.raises(ValueError, match=r"method must be one of .*, got 'by hand'"):
        replace(found, method="by hand").apply(a_sound())


# ---- what it takes -------------------------------------------------------------------------------


@every_method
def test_what_cannot_fit_says_so_before_it_starts(name, monkeypatch):
    from cdlnmf_lit.methods import resources

    monkeypatch.setattr(resources, "_free", lambda root: 1000.0)
    with pytest.raises(MemoryError, match=rf"{name} of 1500 samples into 2 .* needs about .* MB"):
        small(name).iterate(a_sound(), 2)


@every_method
@every_precision
def test_the_estimate_is_an_upper_bound_of_memory(name, dtype):
    frame = hann(1024, 256)
    method = small(name, frame=frame, atom_length=1024, iterations=2)
    x = a_sound(dtype, n_samples=40_000)
    small(name).decompose(a_sound(dtype), 2)  # compiles, starts threads
    tracemalloc.start()
    method.decompose(x, 3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < method.estimate(x.size, 3, dtype).memory_bytes


@every_method
def test_the_estimate_grows_with_the_sound_and_sums_stages_and_starts(name):
    method = small(name)
    double, single = (method.estimate(T, 2, dtype) for dtype in (float, np.float32))
    assert double.memory_bytes > single.memory_bytes > 8 * T
    assert method.estimate(100 * T, 2).memory_bytes > 20 * double.memory_bytes
    assert double.seconds > 3 * double.seconds_per_iteration > 0
    chain = replace(method, starts=1000) >> replace(small("nmf"), iterations=0)
    told = chain.estimate(T, 2)
    assert told.memory_bytes >= double.memory_bytes
    assert told.seconds > 100 * double.seconds


# ---- how the code is written ---------------------------------------------------------------------


@every_method
def test_the_update_stands_on_the_first_screen_beside_its_equation(name):
    """The first function of the file's problem: at most 40 lines, begun before line 90."""
    module = inspect.getmodule(METHODS[name])
    tree = ast.parse(inspect.getsource(module))
    problem = next(n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == "Problem")
    update = next(n for n in problem.body if isinstance(n, ast.FunctionDef))
    assert "math::" in ast.get_docstring(problem) or "math::" in (ast.get_docstring(update) or "")
    assert update.name.startswith("updated")
    assert update.lineno < 90
    assert update.end_lineno - update.lineno < 40


def test_importing_the_package_loads_nothing_slow():
    heavy = "scipy.signal scipy.optimize numba matplotlib joblib soundfile tqdm ipywidgets"
    code = (
        "import sys, cdlnmf_lit, cdlnmf_lit.methods.recipes\n"
        f"print([name for name in {heavy.split()} if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"


def test_methods_need_numpy_and_scipy_alone():
    code = (
        "import sys\n"
        "for name in ('matplotlib', 'soundfile', 'tqdm', 'ipywidgets', 'numba', 'joblib'):\n"
        "    sys.modules[name] = None\n"
        "import numpy as np\n"
        "from cdlnmf_lit import METHODS\n"
        "from cdlnmf_lit.theory.gabor import hann\n"
        "x = np.sin(0.3 * np.arange(50000.0)) * (np.arange(50000) % 7000 < 3000)\n"
        "for kind in METHODS.values():\n"
        "    kind(iterations=1).decompose(x, 1)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
