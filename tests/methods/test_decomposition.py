"""The common result: its components, its files, and the runner that makes it."""

import json
from dataclasses import MISSING, FrozenInstanceError, dataclass, fields, replace
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdlnmf_lit.methods import METHODS
from cdlnmf_lit.methods.cdl import CDL
from cdlnmf_lit.methods.convolutive_nmf import ConvolutiveNMF
from cdlnmf_lit.methods.decomposition import Decomposition, run, written_aside
from cdlnmf_lit.methods.nmf import NMF
from cdlnmf_lit.theory.gabor import hann
from tests import reference
from tests.strategies import dtypes, lengths, normal, seeds

FRAME = hann(8, 2)
SMALL = NMF(frame=FRAME, iterations=4)
X = normal(0, 40)


def a_decomposition(seed=0, K=2, T_d=5, N=9, hop=2, first_sample=-3, T=17, dtype=float):
    return Decomposition(
        method="by hand",
        atoms=normal(seed, K, T_d, dtype=dtype),
        activations=normal(seed + 1, K, N, dtype=dtype),
        hop=hop,
        first_sample=first_sample,
        residual=normal(seed + 2, T, dtype=dtype),
        history={"objective": np.arange(3.0)},
        status="made by hand",
        parameters={"penalty": 0.5, "start": "random"},
        sample_rate=8000,
    )


@given(lengths, lengths, st.integers(1, 5), st.integers(-40, 40), lengths, dtypes, seeds)
def test_components_are_the_convolutions_cut_to_the_signal(T_d, N, hop, first, T, dtype, seed):
    found = a_decomposition(seed, 2, T_d, N, hop, first, T, dtype)
    assert found.components().dtype == dtype
    for k, component in enumerate(found.components()):
        whole = reference.convolve(found.atoms[k : k + 1], found.activations[k : k + 1], hop)
        expected = [whole[t - first] if 0 <= t - first < whole.size else 0.0 for t in range(T)]
        np.testing.assert_allclose(component, expected, atol=1e-3 if dtype == np.float32 else 1e-9)


def of_spectra(seed=0, T=17, dtype=float):
    return Decomposition(
        method="by hand",
        atoms=None,
        activations=normal(seed, 2, 9, dtype=dtype) ** 2,
        hop=2,
        first_sample=-3,
        residual=normal(seed + 1, T, dtype=dtype),
        spectra=normal(seed + 2, 2, 5, dtype=dtype) ** 2,
        sounds=normal(seed + 3, 2, T, dtype=dtype),
        parameters={"power": 2},
    )


def test_sounds_are_the_components_of_spectra(tmp_path):
    found = of_spectra(dtype=np.float32)
    np.testing.assert_array_equal(found.components(), found.sounds)
    assert found.n_components == 2
    found.save(tmp_path / "found.npz")
    again = Decomposition.load(tmp_path / "found.npz")
    assert again.atoms is None
    np.testing.assert_array_equal(again.spectra, found.spectra)
    np.testing.assert_array_equal(again.component(1), found.sounds[1])


@pytest.mark.parametrize("wrong", [{"atoms": np.eye(2)}, {"sounds": None}, {"spectra": None}])
def test_atoms_or_else_spectra_and_sounds(wrong):
    with pytest.raises(ValueError, match="atoms, or spectra and sounds, must be given, got"):
        replace(of_spectra(), **wrong)


@given(lengths, lengths, seeds)
def test_patterns_are_the_atoms_or_the_loudest_stretches(T, length, seed):
    d = a_decomposition(seed).patterns(length)
    for pattern, atom in zip(d, a_decomposition(seed).atoms, strict=True):
        kept = min(length, 5)
        np.testing.assert_array_equal(pattern[:kept], atom[:kept])
        assert not np.any(pattern[kept:])
    found = of_spectra(seed, T)
    for pattern, sound in zip(found.patterns(length), found.sounds, strict=True):
        padded = np.pad(sound, (0, max(0, length - T)))
        stretches = np.lib.stride_tricks.sliding_window_view(padded, length)
        energies = np.sum(stretches**2, axis=1)
        assert np.any(np.all(stretches == pattern, axis=1))
        assert np.sum(pattern**2) == pytest.approx(energies.max(), rel=1e-9)


@given(dtypes, seeds)
def test_files_keep_everything(tmp_path_factory, dtype, seed):
    path, found = tmp_path_factory.mktemp("npz") / "found.npz", a_decomposition(seed, dtype=dtype)
    found.save(path)
    again = Decomposition.load(path)
    for name in ("atoms", "activations", "residual"):
        np.testing.assert_array_equal(getattr(again, name), getattr(found, name))
        assert getattr(again, name).dtype == dtype
    for name in ("method", "hop", "first_sample", "status", "parameters", "sample_rate"):
        assert getattr(again, name) == getattr(found, name)
    np.testing.assert_array_equal(again.history["objective"], found.history["objective"])


@pytest.mark.parametrize("name", METHODS)
def test_options_that_are_numpy_numbers_are_kept_as_plain_ones(name):
    kind = METHODS[name]
    required = {each.name: 30 for each in fields(kind) if each.default is MISSING}
    usual = kind(**required)
    for each in fields(kind):
        match getattr(usual, each.name):
            case bool():
                continue
            case int(number):
                asked = np.int64(number)
            case float(number):
                asked = np.float32(number)
            case None if each.name in ("power", "penalty", "share"):
                asked = np.float32(0.5)
            case _:
                continue
        parameters = kind(**required | {each.name: asked}).parameters
        assert type(parameters[each.name]) in (int, float)
        json.dumps(parameters)


def test_the_same_result_makes_the_same_file(tmp_path):
    for name in ("one", "two"):
        SMALL.decompose(X, 2).save(tmp_path / f"{name}.npz")
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()


# ---- applied to another signal ---------------------------------------------------------------


def signals():
    t = np.arange(300)
    return np.sin(0.9 * t) * (t % 90 < 40), np.sin(0.9 * t) * (t % 70 < 30) + np.sin(2.1 * t)


@pytest.mark.parametrize(
    "method",
    [
        SMALL,
        NMF(frame=FRAME, divergence="itakura-saito", power=1.5, iterations=4, starts=2),
        ConvolutiveNMF(frame=FRAME, pattern_length=3, penalty=0.3, iterations=4),
        NMF(frame=hann(16, 4), iterations=2) >> SMALL,
    ],
)
def test_a_result_is_applied_with_its_patterns_held(method, tmp_path):
    x, y = signals()
    learnt = replace(method.decompose(x, 2), sample_rate=8000)
    learnt.save(tmp_path / "learnt.npz")
    seen = []

    def watch(stage, states):
        seen.append(stage)
        return states

    for each in (learnt, Decomposition.load(tmp_path / "learnt.npz")):
        found = each.apply(y, watch=watch)
        np.testing.assert_array_equal(found.spectra, learnt.spectra)
        assert (found.method, found.sample_rate) == (learnt.method, 8000)
        assert found.parameters["held"] == "patterns"
        np.testing.assert_allclose(found.components().sum(axis=0), y, atol=1e-12)
        assert np.all(np.diff(found.history["objective"]) <= 1e-9)
    assert len(seen) == 2
    again = found.apply(x)
    np.testing.assert_array_equal(again.spectra, learnt.spectra)


@pytest.mark.parametrize(
    ("parameters", "missing"),
    [
        ({"hop": 2, "channels": 8, "window_length": 8, "divergence": "euclidean"}, "window"),
        ({"frame": {"hop": 2}}, "window"),
        ({"frame": FRAME.parameters, "colour": "blue"}, "colour"),
    ],
)
def test_what_is_missing_to_apply_a_result_is_named(parameters, missing):
    found = replace(of_spectra(), method="nmf", parameters=parameters)
    with pytest.raises(ValueError, match=missing):
        found.apply(X)
    with pytest.raises(ValueError, match=r"method must be one of .*, got 'by hand'"):
        of_spectra().apply(X)


def test_a_file_of_before_the_methods_were_values_is_read_and_says_what_it_lacks(tmp_path):
    about = {
        "method": "nmf",
        "status": "ran all 1 iterations",
        "parameters": {
            "n_components": 1,
            "hop": 2,
            "channels": 8,
            "window_length": 8,
            "divergence": "kullback-leibler",
            "update": "minimise",
            "power": 1.0,
            "floor": 1e-10,
            "start": "random",
        },
        "hop": 2,
        "first_sample": -6,
    }
    arrays = {
        "about": np.array(json.dumps(about)),
        "history/objective": np.array([2.0, 1.0]),
        "activations": np.ones((1, 23)),
        "residual": np.zeros(40),
        "spectra": np.ones((1, 5)),
        "sounds": np.ones((1, 40)),
    }
    np.savez(tmp_path / "old.npz", **arrays)
    old = Decomposition.load(tmp_path / "old.npz")
    np.testing.assert_array_equal(old.components(), arrays["sounds"])
    assert (old.objective, old.sample_rate, old.parameters) == (1.0, None, about["parameters"])
    with pytest.raises(ValueError, match="parameters must tell the frame's window, which is not"):
        old.apply(X)
    whole = replace(old, parameters=old.parameters | {"frame": FRAME.parameters})
    np.testing.assert_array_equal(whole.apply(X).spectra, old.spectra)


def test_options_that_an_older_file_does_not_tell_are_at_their_defaults():
    x, y = signals()
    asked = CDL(atom_length=8, share=0.1, padding=3, recentre_every=0, iterations=2)
    found = asked.decompose(x, 2)
    told = ("n_components", "atom_length", "penalty", "activations", "padding", "start", "solver")
    kept = {name: found.parameters[name] for name in (*told, "recentre_every")}
    applied = replace(found, parameters=kept).apply(y)
    wanted = replace(asked, share=None, penalty=kept["penalty"], iterations=CDL().iterations)
    same = wanted.decompose(y, 2, start=(found.atoms, None), held="patterns")
    assert applied.parameters == same.parameters


# ---- files -----------------------------------------------------------------------------------


def test_a_decomposition_is_frozen():
    with pytest.raises(FrozenInstanceError):
        a_decomposition().hop = 3


def test_what_is_no_decomposition_is_named(tmp_path):
    (tmp_path / "text.npz").write_text("no archive")
    np.savez(tmp_path / "other.npz", a=np.ones(3))
    whole = tmp_path / "whole.npz"
    a_decomposition().save(whole)
    (tmp_path / "half.npz").write_bytes(whole.read_bytes()[:300])
    for name in ("text.npz", "other.npz", "half.npz"):
        with pytest.raises(ValueError, match=f"path must be a saved decomposition.*{name}"):
            Decomposition.load(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        Decomposition.load(tmp_path / "absent.npz")


def test_nothing_half_written_is_left(tmp_path):
    found = a_decomposition()
    with pytest.raises(FileNotFoundError):
        found.save(tmp_path / "no folder" / "found.npz")
    target = tmp_path / "found.npz"
    target.write_text("before")

    def write_half():
        with written_aside(target) as aside:
            aside.write_text("hal")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert target.read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["found.npz"]


# ---- the runner ------------------------------------------------------------------------------


def test_the_runner_keeps_the_history_and_says_why_it_stopped():
    found = run(SMALL.iterate(X, 2), iterations=4)
    assert found.status == "ran all 4 iterations"
    assert not found.is_stopped
    states = islice(SMALL.iterate(X, 2), 5)
    np.testing.assert_array_equal(found.history["objective"], [state.objective for state in states])
    assert found.objective == found.history["objective"][-1]
    assert type(found.objective) is float


def test_the_runner_stops_when_the_objective_does():
    found = run(SMALL.iterate(normal(0, 400), 1), iterations=10_000, tolerance=0.01)
    assert not found.is_stopped
    done = found.history["objective"].size - 1
    assert 10 <= done < 10_000
    assert found.status.startswith(f"converged after {done} iterations")
    objective = found.history["objective"]
    assert objective[-11] - objective[-1] <= 0.01 * objective[-11]
    assert objective[-12] - objective[-2] > 0.01 * objective[-12]


@dataclass
class Recorded:
    """A state that says only how good it is."""

    objective: float

    @property
    def record(self):
        return {"objective": self.objective, "twice": 2 * self.objective}

    def decomposition(self):
        return of_spectra()


@pytest.mark.parametrize(
    ("objectives", "tolerance", "done"),
    [
        ([5.0] * 30, 0.0, 29),
        ([5.0] * 30, 1e-3, 10),
        ([0.0] * 30, 1e-3, 10),
        (-np.arange(30.0), 1e-3, 29),
        (100 - np.arange(30.0), 0.11, 10),
        (-100 - np.arange(30.0), 0.099, 12),
        ([*(100 - 10 * np.arange(5.0)), *[60.0] * 25], 1e-3, 14),
    ],
)
def test_the_runner_stops_where_the_objective_hardly_falls(objectives, tolerance, done):
    found = run(map(Recorded, objectives), iterations=100, tolerance=tolerance)
    assert len(found.history["objective"]) == done + 1
    np.testing.assert_array_equal(found.history["twice"], 2 * found.history["objective"])
    assert found.status.startswith("converged" if done < 29 else "stopped")


def test_the_caller_may_end_the_states():
    found = run(islice(SMALL.iterate(X, 2), 3), iterations=10)
    assert found.status.startswith("stopped after 2 iterations")
    assert found.is_stopped
    with pytest.raises(ValueError, match="states must hold at least one state"):
        run([], iterations=3)
    with pytest.raises(ValueError, match="iterations must be a whole number of at least 0"):
        run(SMALL.iterate(X, 2), iterations=-1)


def test_no_iterations_return_the_start():
    found = replace(SMALL, iterations=0).decompose(X, 2)
    start = next(SMALL.iterate(X, 2))
    np.testing.assert_array_equal(found.activations, start.activations)
