"""Recipes: what a chain of methods is asked, and that it is what one would write by hand."""

from dataclasses import replace
from unittest import mock

import numpy as np
import pytest

from cdlnmf_lit.experiments.evaluation import grouped, grouping, notes_found, si_sdr
from cdlnmf_lit.experiments.signals import PIANO_MEASURES, PIANO_NOTES, chirps, piano
from cdlnmf_lit.methods import METHODS, lrtfs, nmf
from cdlnmf_lit.methods.recipes import RECIPES, Recipe
from cdlnmf_lit.methods.resources import Estimate
from cdlnmf_lit.methods.sparse_coding import lambda_max
from cdlnmf_lit.theory.gabor import GaborFrame
from tests.strategies import normal

FRAME = GaborFrame("hann", 8, 32).tight()
X = normal(0, 300)


def test_a_chain_is_what_one_would_write_by_hand():
    first = {"frame": FRAME, "divergence": "itakura-saito", "iterations": 3}
    second = {"frame": FRAME, "iterations": 4}
    chained = Recipe("lrtfs", second, start=Recipe("nmf", first)).decompose(X, 2, rng=5)
    by_hand = lrtfs.decompose(X, 2, **second, start=nmf.decompose(X, 2, **first, rng=5), rng=5)
    np.testing.assert_array_equal(chained.components(), by_hand.components())


def test_of_several_starts_the_lowest_objective_is_kept():
    once = Recipe("nmf", {"frame": FRAME, "iterations": 2})
    best = Recipe("nmf", once.options, starts=5).decompose(X, 2, rng=3)
    seeds = np.random.default_rng(3).integers(2**32, size=5).tolist()
    ends = [once.decompose(X, 2, rng=seed).history["objective"][-1] for seed in seeds]
    assert len(set(ends)) == 5
    assert best.history["objective"][-1] == min(ends)


def test_the_command_line_runs_the_last_stage_once():
    assert all(recipe(22_050).starts == 1 for recipe in RECIPES.values())


@pytest.mark.parametrize("method", METHODS)
def test_every_method_makes_a_recipe(method):
    options = {"atom_length": 32} if method == "cdl" else {"frame": FRAME}
    options |= {"pattern_length": 4} if method == "convolutive-nmf" else {}
    found = Recipe(method, options | {"iterations": 2}, precision="float32").decompose(X, 2)
    assert found.residual.dtype == np.float32
    np.testing.assert_allclose(found.components().sum(axis=0) + found.residual, X, atol=1e-4)


@pytest.mark.parametrize("precision", [np.float32, np.float64])
def test_the_precision_is_the_signals_where_none_is_asked(precision):
    found = Recipe("nmf", {"frame": FRAME, "iterations": 1}).decompose(X.astype(precision), 1)
    assert found.residual.dtype == precision


def test_a_share_is_of_the_largest_penalty_that_an_atom_could_need():
    for method, options in {"algorithm-1": {"frame": FRAME}, "cdl": {"atom_length": 32}}.items():
        asked = Recipe(method, options, share=0.25).asked_of(X)
        assert asked == {**options, "penalty": 0.25 * lambda_max(X, 32)}
    assert "penalty" not in Recipe("cdl", {"atom_length": 32}).asked_of(X)
    long = normal(0, 3000)
    for method in ("cdl", "algorithm-1"):
        penalty = Recipe(method, share=0.25).asked_of(long)["penalty"]
        assert penalty == 0.25 * lambda_max(long, 2048)


def test_a_recipe_is_told_in_a_line():
    start = Recipe("nmf", {"frame": FRAME})
    told = str(Recipe("cdl", {"atom_length": 32}, share=0.25, start=start))
    assert told == "nmf (hop 8, window 32) → cdl (atom length 32, λ/λmax 0.25)"
    assert str(Recipe("nmf")) == "nmf"
    assert str(Recipe("nmf", starts=3)) == "nmf, best of 3"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "magic"}, "method"),
        ({"method": "nmf", "precision": "float16"}, "precision"),
        ({"method": "nmf", "starts": 0}, "starts"),
        ({"method": "nmf", "share": 0.1}, "share must be None for nmf, .* no penalty, got 0.1"),
        ({"method": "nmf", "options": {"hop": 8}}, "an option of nmf must be one of .*, got 'hop'"),
        ({"method": "cdl", "options": {"rng": 0}}, "an option of cdl must be one of .*, got 'rng'"),
    ],
)
def test_bad_recipes_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Recipe(**arguments)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_keeps_its_seconds_at_any_rate(name):
    usual, twice = RECIPES[name](22_050), RECIPES[name](44_100)
    for one, other in zip(lengths(usual), lengths(twice), strict=True):
        assert abs(other - 2 * one) <= 1
    assert min(lengths(RECIPES[name](1))) >= 1


def lengths(recipe):
    frame = recipe.options.get("frame")
    samples = [recipe.options[name] for name in ("atom_length", "padding") if not frame]
    return samples + ([frame.hop, frame.window.size] if frame else [])


def test_the_notes_of_a_seeded_piano_come_apart():
    mixture = piano(rng=0)
    found = RECIPES["notes"](mixture.sample_rate).decompose(mixture.signal, 4, rng=0)
    assert notes_found(found.components(), 22_050, PIANO_NOTES, PIANO_MEASURES) == (
        "D♭4",
        "F4",
        "A♭4",
        "C5",
    )


def test_chirps_come_apart():
    mixture = chirps(rng=0)
    found = RECIPES["chirps"](mixture.sample_rate).decompose(mixture.signal, 2, rng=0)
    owners = grouping(found.components(), mixture.sources)
    assert si_sdr(grouped(found.components(), owners, 2), mixture.sources).min() > 25


def test_an_estimate_adds_up_what_all_stages_take():
    frame = GaborFrame("hann", 64, 128).tight()
    first = Recipe("nmf", {"frame": frame, "iterations": 7}, precision="float32")
    again = replace(first, starts=3)
    both = Recipe("lrtfs", {"frame": frame, "iterations": 5}, start=again)
    asked = []

    def estimate(name, memory, seconds):
        def told(n_samples, n_components, frame=None, *, dtype=float):
            asked.append((name, n_samples, n_components, frame, np.dtype(dtype)))
            return Estimate(memory, seconds)

        return told

    with (
        mock.patch.object(METHODS["nmf"], "estimate", estimate("nmf", 50, 0.5)),
        mock.patch.object(METHODS["lrtfs"], "estimate", estimate("lrtfs", 40, 2.0)),
    ):
        assert first.estimate(1000, 2) == (50, 3.5)
        assert again.estimate(1000, 2) == (50, 10.5)
        assert both.estimate(1000, 2) == (50, 20.5)
    assert asked[-2:] == [
        ("lrtfs", 1000, 2, frame, np.dtype("float64")),
        ("nmf", 1000, 2, frame, np.dtype("float32")),
    ]


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_can_be_estimated(recipe):
    memory, seconds = RECIPES[recipe](8000).estimate(40_000, 2)
    assert memory > 4 * 40_000
    assert 0 < seconds < 600


def test_clicks_of_two_kinds_come_apart_over_a_hum():
    rate, random = 22_050, np.random.default_rng(3)
    t, u = np.arange(5 * rate) / rate, np.arange(440) / rate
    clicks = [np.exp(-u * 300) * np.sin(2 * np.pi * f * u) for f in (1500, 3300)]
    sources = np.zeros((2, t.size))
    for source, click in zip(sources, clicks, strict=True):
        for at in np.sort(random.choice(t.size // 1000 - 1, 12, replace=False)) * 1000:
            source[at : at + u.size] += random.uniform(0.6, 1) * click
    level = np.sqrt(np.mean(sources.sum(axis=0) ** 2))
    rest = level * (np.sin(2 * np.pi * 50 * t) + 0.5 * random.standard_normal(t.size))
    components = RECIPES["clicks"](rate).decompose(sources.sum(axis=0) + rest, 2).components()
    owners = grouping(components, sources)
    assert sorted(owners) == [0, 1]
    assert si_sdr(grouped(components, owners, 2), sources).min() > 10
