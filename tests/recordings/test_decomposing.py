"""Three names take a recording apart, and say at once what they are."""

import inspect
import pydoc
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.testing import assert_array_equal

import cdlnmf_lit as lit
from cdlnmf_lit.methods.lrtfs import LRTFS
from cdlnmf_lit.methods.method import Method
from cdlnmf_lit.methods.recipes import RECIPES
from cdlnmf_lit.recordings import writing
from cdlnmf_lit.recordings.decomposing import chosen, method_named, recipe_of

RATE = 8000
T = np.arange(3 * RATE) / RATE
SOUND = 0.4 * np.sin(2 * np.pi * 440 * T) * (T % 1 < 0.3) + 0.2 * np.sin(1320 * np.pi * T) * (T > 1)
SMALL = lit.NMF(frame=lit.hann(256, 64), iterations=5)


def test_three_names_take_a_recording_apart(tmp_path):
    writing.write(tmp_path / "in.wav", SOUND, RATE)
    x, sample_rate = lit.read(tmp_path / "in.wav")
    found = lit.decompose(x, 2, sample_rate=sample_rate, method="nmf", rng=3)
    lit.write(found, tmp_path / "out")
    parts = [soundfile.read(path)[0] for path in (tmp_path / "out").glob("*.wav")]
    np.testing.assert_allclose(sum(parts), x, atol=1e-6)
    back = lit.Decomposition.load(tmp_path / "out" / "decomposition.npz")
    assert back.sample_rate == RATE
    told = {name: back.parameters[name] for name in ("seed", "recipe", "sample_rate")}
    assert told == {"seed": 3, "recipe": "nmf", "sample_rate": RATE}
    assert Method.from_parameters(back.parameters) == lit.NMF(power=1.0)


@pytest.mark.long
@pytest.mark.parametrize("recipe", [None, "notes", "clicks"])
def test_a_recipe_is_that_of_the_library(recipe):
    found = lit.decompose(SOUND, 2, sample_rate=RATE, recipe=recipe, rng=1)
    wanted = RECIPES[recipe or "notes"](RATE).decompose(SOUND, 2, rng=1)
    assert_array_equal(found.components(), wanted.components())
    assert recipe_of(found)[0] == (recipe or "notes")


def test_any_method_is_taken_with_its_options_and_is_watched():
    seen = []

    def watch(method, states):
        for state in states:
            seen.append(state.iteration)
            yield state

    rng = np.random.default_rng(5)
    found = lit.decompose(SOUND, 2, sample_rate=RATE, method=SMALL, rng=rng, watch=watch)
    wanted = SMALL.decompose(SOUND, 2, rng=np.random.default_rng(5))
    assert_array_equal(found.components(), wanted.components())
    assert seen == [*range(6)]
    assert "seed" not in found.parameters


@pytest.mark.parametrize(
    ("asked", "rule"),
    [
        ({"recipe": "soup"}, "recipe must be one of auto, notes, chirps, clicks, hits, got 'soup'"),
        ({"method": "soup"}, "method must be one of .*nmf.*, got 'soup'"),
        ({"method": 3}, "method must be one of .*, got 3"),
        ({"method": ""}, "method must be one of .*, got ''"),
        ({"recipe": ""}, "recipe must be one of .*, got ''"),
        ({"recipe": "notes", "method": "nmf"}, "recipe and method must not both be given"),
        ({"sample_rate": 0}, "sample_rate must be a whole number of at least 1, got 0"),
        ({"n_components": 0, "method": SMALL}, "n_components must be a whole number from 1"),
        ({"x": np.zeros(0)}, "x must not be empty"),
        ({"x": "x.wav"}, r"got 'x.wav': read it first: x, sample_rate = lit.read\('x.wav'\)"),
        ({"x": Path("x.wav")}, r"got .*Path\('x.wav'\): read it first: .* = lit.read\('x.wav'\)"),
        ({"x": (SOUND, RATE)}, "x must be samples, got two values, as lit.read gives them"),
        ({"x": SOUND[:99], "recipe": "notes"}, "recipe notes, 0.0124 s of sound: pattern_length"),
        ({"rng": -1, "method": "nmf"}, "rng must be a whole number of at least 0, got -1"),
    ],
)
def test_what_cannot_be_asked_is_refused(asked, rule):
    usual = {"x": SOUND, "n_components": 2, "sample_rate": RATE}
    with pytest.raises(ValueError, match=rule):
        lit.decompose(**usual | asked)


def test_what_is_not_given_is_chosen_and_kept():
    found = lit.decompose(SOUND, sample_rate=RATE, method="nmf")
    assert set(recipe_of(found)[1]) == {"n_components"}
    name, K, because = chosen(SOUND, RATE)
    assert recipe_of(found)[1]["n_components"].startswith(f"K = {found.n_components} ")
    assert because["recipe"].startswith(f"recipe {name}: ")
    assert name in RECIPES
    assert K >= 1
    assert chosen(SOUND, RATE, "clicks", 3) == ("clicks", 3, {})
    assert found.apply(SOUND).n_components == found.n_components


def test_what_is_given_is_not_looked_at():
    found = lit.decompose(SOUND, 2, sample_rate=RATE, method="nmf")
    assert recipe_of(found)[1] == {}


def test_what_has_no_weight_may_be_missing_and_is_filled():
    known = np.ones(T.size)
    known[9000:9100] = 0
    cut = np.where(known, SOUND, np.nan)
    found = lit.decompose(cut, sample_rate=RATE, method=SMALL, weights=known)
    assert set(recipe_of(found)[1]) == {"n_components"}
    whole = found.components().sum(axis=0) + found.residual
    np.testing.assert_allclose(whole, SOUND, atol=0.02)


def test_names_are_those_of_recipes_and_methods():
    assert method_named("clicks", RATE) == RECIPES["clicks"](RATE)
    assert method_named("lrtfs", RATE) == LRTFS()
    with pytest.raises(ValueError, match="name must be one of notes, chirps"):
        method_named("soup", RATE)


# ---- what is said of them ------------------------------------------------------------------


def test_help_begins_with_them_and_fits_a_screen():
    text = pydoc.plain(pydoc.render_doc(lit))
    before, *_ = text.split("PACKAGE CONTENTS")
    lines = before.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 84
    places = [before.index(f"lit.{name}(") for name in ("read", "decompose", "write")]
    assert places == sorted(places)
    for name in ("read", "decompose", "write"):
        assert inspect.getdoc(getattr(lit, name))


@pytest.mark.parametrize("method", [SMALL, lit.CDL(atom_length=99, iterations=2)])
def test_a_result_is_shown_in_a_line_or_two(method):
    found = method.decompose(SOUND[:4000], 2)
    for each in (found, replace(found, sample_rate=RATE)):
        assert len(repr(each)) < 160
        assert f"{method.name}: 2 components of 4000 samples" in repr(each)


def test_the_package_imports_nothing_slow():
    slow = ("soundfile", "matplotlib", "numba", "tqdm", "joblib", "distributed", "ipywidgets")
    slow += ("IPython", "av", "miniaudio", "scipy.optimize", "scipy.signal")
    asked = f"import sys, cdlnmf_lit; print(sorted({{*{slow}}} & {{*sys.modules}}))"
    ended = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True)
    assert (ended.stdout, ended.stderr) == ("[]\n", "")
