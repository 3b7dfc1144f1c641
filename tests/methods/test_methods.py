"""What holds for every method that is registered, whoever wrote it."""

import inspect
import subprocess
import sys

import numpy as np
import pytest

from cdlnmf_lit.methods import METHODS
from cdlnmf_lit.methods.decomposition import Decomposition, run
from cdlnmf_lit.methods.resources import Estimate
from cdlnmf_lit.theory.gabor import GaborFrame
from tests.strategies import normal

T = 1500
FRAME = GaborFrame("hann", 32, 128).tight()
SMALL = {"atom_length": 100, "pattern_length": 3}

every_method = pytest.mark.parametrize("name", METHODS)
every_precision = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def a_sound(dtype=float, seed=0):
    """Two tones that come and go, a little noise, and digital silence at the end."""
    t = np.arange(T)
    x = np.sin(0.3 * t) * (t % 500 < 250) + 0.5 * np.sin(0.8 * t) * (t % 700 < 300)
    return (np.where(t < 1200, x + 0.01 * normal(seed, T), 0.0)).astype(dtype)


def options_of(function, **wanted):
    """Those of the wanted options that a method has, with small sizes."""
    names = inspect.signature(function).parameters
    return {name: value for name, value in {**SMALL, **wanted}.items() if name in names}


def decomposed(name, x, K=2, **wanted):
    decompose = METHODS[name].decompose
    settings = {"frame": FRAME, "iterations": 3, "rng": 0, **wanted}
    return decompose(x, K, **options_of(decompose, **settings))


def test_a_method_is_named_as_its_module_says():
    for name, module in METHODS.items():
        assert name == module.__name__.rpartition(".")[2].replace("_", "-")


@every_method
def test_its_functions_take_the_same_options(name):
    module = METHODS[name]
    iterated, decomposed_by, estimated = (
        inspect.signature(function).parameters
        for function in (module.iterate, module.decompose, module.estimate)
    )
    assert list(iterated)[:2] == ["x", "n_components"]
    assert set(decomposed_by) - set(iterated) == {"iterations", "tolerance"}
    assert set(iterated) <= set(decomposed_by)
    assert set(estimated) - {"n_samples", "dtype"} <= set(decomposed_by)
    for each in set(iterated) & set(decomposed_by):
        assert iterated[each].default == decomposed_by[each].default, each
    if "frame" in iterated:
        assert isinstance(module.default_frame(), GaborFrame)
        np.testing.assert_allclose(module.default_frame().bounds(10**4), (1, 1))


@every_method
@every_precision
def test_components_and_residual_sum_to_the_signal(name, dtype):
    x = a_sound(dtype)
    found = decomposed(name, x)
    assert isinstance(found, Decomposition)
    assert found.method == name
    tolerance = (1e-5 if dtype == np.float32 else 1e-12) * np.abs(x).max()
    np.testing.assert_allclose(found.components().sum(axis=0) + found.residual, x, atol=tolerance)
    assert found.components().shape == (2, T)
    arrays = [getattr(found, each) for each in ("atoms", "activations", "residual", "spectra")]
    for values in [*arrays, found.components()]:
        assert values is None or (values.dtype == dtype and np.all(np.isfinite(values)))


@every_method
def test_the_objective_does_not_rise(name):
    objective = decomposed(name, a_sound(), iterations=20).history["objective"]
    assert len(objective) == 21
    assert np.all(np.diff(objective) <= 1e-9 * np.abs(objective[:-1]))
    assert objective[-1] < objective[0]


@every_method
def test_records_are_numbers_with_the_same_names(name):
    found = decomposed(name, a_sound())
    assert all(values.shape == (4,) for values in found.history.values())
    assert "objective" in found.history


@every_method
def test_the_same_seed_gives_the_same_result(name):
    one, two, other = (decomposed(name, a_sound(), rng=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.components(), two.components())
    assert not np.array_equal(one.components(), other.components())


@every_method
def test_results_are_kept_by_a_file(name, tmp_path):
    found = decomposed(name, a_sound())
    found.save(tmp_path / "found.npz")
    again = Decomposition.load(tmp_path / "found.npz")
    np.testing.assert_array_equal(again.components(), found.components())
    assert again.parameters == found.parameters


@every_method
@pytest.mark.parametrize("other", METHODS)
def test_the_result_of_any_method_starts_any_other(name, other):
    start = decomposed(other, a_sound())
    found = decomposed(name, a_sound(), start=start)
    assert np.all(np.isfinite(found.components()))
    assert np.any(found.components())


@every_method
def test_a_start_of_other_components_is_refused(name):
    start = decomposed(name, a_sound())
    with pytest.raises(ValueError, match=r"start must have 3"):
        decomposed(name, a_sound(), 3, start=start)


@every_method
def test_the_caller_writes_the_loop(name):
    iterate = METHODS[name].iterate
    states = iterate(a_sound(), 2, **options_of(iterate, frame=FRAME, rng=0))
    found = run(states, iterations=2)
    np.testing.assert_array_equal(
        found.components(), decomposed(name, a_sound(), iterations=2).components()
    )


BAD_INPUT = [
    ({"x": np.zeros((2, 1500))}, "x must be one-dimensional"),
    ({"x": np.zeros(0)}, "x must not be empty"),
    ({"x": np.arange(1500)}, "x must hold floating-point numbers, got int64"),
    ({"x": a_sound() + 0j}, "x must be real"),
    ({"x": np.where(np.arange(T) == 7, np.nan, a_sound())}, "x must be finite, got nan at index 7"),
    ({"x": np.where(np.arange(T) == 7, np.inf, a_sound())}, "x must be finite, got inf at index 7"),
    ({"x": np.zeros(T)}, "x must not be "),
    ({"K": 0}, "n_components must be a whole number"),
    ({"K": 2.0}, "n_components must be a whole number"),
    ({"K": 10**7}, "n_components must be a whole number"),
    ({"start": "anywhere"}, "start must be one of .*, got 'anywhere'"),
    ({"penalty": -1.0}, "penalty must be a finite number of at least 0, got -1.0"),
    ({"penalty": np.nan}, "penalty must be a finite number of at least 0, got nan"),
]


@every_method
@pytest.mark.parametrize(("changed", "rule"), BAD_INPUT)
def test_bad_input_is_refused_before_any_work(name, changed, rule):
    iterate = METHODS[name].iterate
    given = {"x": a_sound(), "K": 2, **changed}
    x, K = given.pop("x"), given.pop("K")
    if unknown := set(given) - set(inspect.signature(iterate).parameters):
        assert unknown == {"penalty"}
        return
    with pytest.raises(ValueError, match=rule):
        iterate(x, K, **options_of(iterate, frame=FRAME, **given))


@every_method
def test_what_cannot_fit_says_so_before_it_starts(name, monkeypatch):
    from cdlnmf_lit.methods import resources

    monkeypatch.setattr(resources, "available_memory", lambda: 1000.0)
    with pytest.raises(MemoryError, match=r"needs about .* GB of memory"):
        decomposed(name, a_sound())


@every_method
def test_it_says_what_it_will_take(name):
    estimate = METHODS[name].estimate
    settings = options_of(estimate, frame=FRAME)
    double, single = (estimate(T, 2, dtype=dtype, **settings) for dtype in (float, np.float32))
    assert isinstance(double, Estimate)
    assert double.memory_bytes > single.memory_bytes > 8 * T
    assert estimate(100 * T, 2, **settings).memory_bytes > 20 * double.memory_bytes
    assert double.seconds_per_iteration > 0


def test_they_need_numpy_and_scipy_alone():
    code = (
        "import sys\n"
        "for name in ('matplotlib', 'soundfile', 'tqdm', 'ipywidgets', 'numba'):\n"
        "    sys.modules[name] = None\n"
        "from cdlnmf_lit.methods import METHODS\n"
        "assert METHODS\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", [name for name in METHODS if name != "cdl"])
@pytest.mark.parametrize("start", [[np.ones((1, 2)), np.ones((1, 2))], np.ones((1, 2))])
def test_a_start_of_another_type_is_refused(name, start):
    with pytest.raises(ValueError, match=f"start must be one of .*, got {type(start).__name__}$"):
        METHODS[name].iterate(a_sound(), 1, FRAME, start=start)
