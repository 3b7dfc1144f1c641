"""Recipes: the chains of methods that have proved best for four kinds of sounds."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from cdlnmf_lit.experiments.evaluation import grouped, grouping, notes_found, si_sdr
from cdlnmf_lit.experiments.signals import PIANO_MEASURES, PIANO_NOTES, chirps, piano
from cdlnmf_lit.methods.recipes import RECIPES
from cdlnmf_lit.theory.gabor import hann

every_recipe = pytest.mark.parametrize("name", RECIPES)


def lengths(recipe):
    """The samples that each stage counts by: of its window and hop, or its atoms and padding."""
    for stage in recipe.stages:
        if stage.name == "cdl":
            yield stage.atom_length, stage.padding
        elif stage.name == "hits":
            yield stage.atom_length, 1
        else:
            yield stage.frame.window.size, stage.frame.hop


def test_what_lasts_how_long_at_the_papers_rate():
    told = {name: list(lengths(recipe(22_050))) for name, recipe in RECIPES.items()}
    assert told["notes"] == [(2048, 1024), (2048, 1024), (4096, 1024)]
    assert told["chirps"] == [(round(2.5 * 22_050), 27_562)] * 3
    assert told["clicks"] == [(round(0.030 * 22_050), 331)] * 2
    assert told["hits"] == [(round(0.75 * 22_050), 1)] * 2


@every_recipe
def test_a_recipe_keeps_its_seconds_at_any_rate(name):
    usual, twice = (np.array(list(lengths(RECIPES[name](rate)))) for rate in (22_050, 44_100))
    assert np.abs(twice - 2 * usual).max() <= 1
    assert RECIPES[name]() == RECIPES[name](22_050)


@every_recipe
def test_at_the_lowest_rates_there_is_still_a_window_and_an_atom(name):
    assert next(lengths(RECIPES[name](1))) == (2, 1)
    for rate in (1, 2, 30):
        for length, step in lengths(RECIPES[name](rate)):
            assert length >= 2
            assert 1 <= step < length
    with pytest.raises(ValueError, match="sample_rate must be a whole number of at least 1, got 0"):
        RECIPES[name](0)


def test_the_command_line_runs_the_last_stage_once():
    assert all(recipe(22_050).starts == 1 for recipe in RECIPES.values())


def test_several_starts_are_tried_where_one_may_fail():
    starts = {name: [stage.starts for stage in recipe().stages] for name, recipe in RECIPES.items()}
    assert starts == {"notes": [1, 8, 1], "chirps": [1, 1, 1], "clicks": [4, 1], "hits": [1, 1]}
    assert RECIPES["notes"]().stages[1].rounds == [(8, 5), (4, 10), (2, 15), (1, 30)]
    assert RECIPES["clicks"]().stages[0].rounds == [(4, 2), (2, 4), (1, 10)]


@every_recipe
def test_a_recipe_computes_in_single_precision(name):
    assert {stage.precision for stage in RECIPES[name]().stages} == {"float32"}


@pytest.mark.parametrize("n_components", [2, 4])
@every_recipe
def test_the_estimate_of_a_recipe_is_an_upper_bound_of_memory(name, n_components):
    recipe, x = RECIPES[name](8000), piano(rng=0, sample_rate=8000).signal
    recipe.decompose(x[:40_000], n_components)  # compiles, starts threads
    tracemalloc.start()
    recipe.decompose(x, n_components)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < recipe.estimate(x.size, n_components).memory_bytes


def test_the_worse_starts_of_a_piano_may_be_given_up_early():
    mixture = piano(rng=13)
    patterns = RECIPES["notes"]().stages[1]
    early, late = (
        replace(patterns, halve_every=every).decompose(mixture.signal, 4, rng=13)
        for every in (patterns.halve_every, 0)
    )
    assert early.objective < 1.01 * late.objective


def test_the_penalty_falls_from_stage_to_stage():
    shares = {
        name: [s.share for s in RECIPES[name]().stages if s.name == "cdl"] for name in RECIPES
    }
    assert shares == {"notes": [], "chirps": [0.05, 0.01], "clicks": [0.2, 0.1], "hits": []}
    assert [stage.refit for stage in RECIPES["clicks"]().stages] == [0, 3]
    assert RECIPES["chirps"](8000).stages[0].frame == hann(20_000, 10_000)


@pytest.mark.long
def test_the_notes_of_a_seeded_piano_come_apart():
    mixture = piano(rng=0)
    found = RECIPES["notes"](mixture.sample_rate).decompose(mixture.signal, 4)
    notes = notes_found(found.components(), 22_050, PIANO_NOTES, PIANO_MEASURES)
    assert notes == ("D♭4", "F4", "A♭4", "C5")


@pytest.mark.long
def test_chirps_come_apart():
    mixture = chirps(rng=0)
    components = RECIPES["chirps"](mixture.sample_rate).decompose(mixture.signal, 2).components()
    owners = grouping(components, mixture.sources)
    assert si_sdr(grouped(components, owners, 2), mixture.sources).min() > 25


@pytest.mark.long
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


@every_recipe
def test_every_recipe_can_be_estimated(name):
    told = RECIPES[name](8000).estimate(40_000, 2)
    assert told.memory_bytes > 4 * 40_000
    assert 0 < told.seconds < 600
