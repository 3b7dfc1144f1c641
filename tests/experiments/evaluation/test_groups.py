"""Groups: cosines beside their definition, owners in known cases, and truths dealt out anew."""

import itertools

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cdlnmf_lit.experiments.evaluation.groups import (
    FRAME,
    LEAST_AGREEMENT,
    bands,
    grouped,
    grouping,
    matching,
    shuffled,
    sources_in,
    spectrogram_similarity,
)
from cdlnmf_lit.experiments.evaluation.ratios import si_sdr
from cdlnmf_lit.experiments.signals import Mixture, chirps
from tests.experiments.evaluation.sounds import RATE, TWO, factors, small_piano, strikes_of, tones
from tests.strategies import normal, seeds

# ---- spectrograms ------------------------------------------------------------------------------


@given(seeds, st.integers(1, 4), st.integers(1, 3), st.integers(1, 5000), factors)
def test_similarities_are_cosines(seed, n_estimates, n_sources, n_samples, factor):
    e, s = normal(seed, n_estimates, n_samples), normal(seed + 1, n_sources, n_samples)
    found = spectrogram_similarity(e, s)
    assert found.shape == (n_estimates, n_sources)
    assert np.all((0 <= found) & (found <= 1))
    np.testing.assert_allclose(found, spectrogram_similarity(factor * e, s), atol=1e-5)
    np.testing.assert_allclose(found, spectrogram_similarity(s, e).T, atol=1e-5)
    np.testing.assert_allclose(np.diagonal(spectrogram_similarity(e, e)), 1, atol=1e-5)


@given(seeds, st.integers(1, 3000))
def test_similarity_is_its_definition(seed, n_samples):
    e, s = normal(seed, 2, n_samples)
    E, S = (FRAME.spectrogram(each, power=1) for each in (e, s))
    expected = np.sum(E * S) / np.sqrt(np.sum(E**2) * np.sum(S**2))
    np.testing.assert_allclose(spectrogram_similarity([e], [s]), expected, atol=1e-5)


def test_similarity_of_known_cases():
    low, high = tones(0.02, 0.2)
    silence = np.zeros_like(low)
    found = spectrogram_similarity([low, -low, low + high, silence], [low, high, silence])
    np.testing.assert_allclose(
        found, [[1, 0, 0], [1, 0, 0], [0.5**0.5, 0.5**0.5, 0], [0, 0, 0]], atol=0.01
    )
    # It hears no phase: a quarter of a period later is as like, though SI-SDR is at its worst.
    later = np.cos(2 * np.pi * 0.02 * np.arange(low.size))
    assert spectrogram_similarity([later], [low]) > 0.99
    assert si_sdr(later, low) < -40


# ---- grouping ----------------------------------------------------------------------------------


def test_split_notes_are_given_to_their_source_partial_by_partial():
    first, second = tones(0.02, 0.04, 0.06), tones(0.03, 0.09)
    sources = np.stack([first.sum(axis=0), second.sum(axis=0)])
    components = np.concatenate([second, first, 0 * first[:1]])
    owners = grouping(components, sources)
    np.testing.assert_array_equal(owners, [1, 1, 0, 0, 0, -1])
    np.testing.assert_allclose(grouped(components, owners, 2), sources, atol=1e-12)


def test_spectrum_and_activation_both_count():
    """Two sources of the same spectrum at other times, two of the same times and other spectra."""
    low, high = tones(0.02, 0.2, n_samples=20_000)
    early, late = np.arange(20_000) < 8000, np.arange(20_000) >= 12_000
    sources = np.stack([low * early, low * late, high * early])
    np.testing.assert_array_equal(grouping(2 * sources[[2, 1, 0]], sources), [2, 1, 0])


def test_what_is_shaped_by_no_source_belongs_to_none():
    low, high = tones(0.02, 0.2)
    third = tones(0.4)[0]
    np.testing.assert_array_equal(grouping([third, 0 * low], [low, high]), [-1, -1])
    agreement = spectrogram_similarity([third + 0.01 * low], [low, high]).max()
    assert 0 < agreement < LEAST_AGREEMENT


def test_grouping_is_deaf_to_si_sdr():
    """A quarter of a period late, a component spoils its source; still it is its source's."""
    low, high = tones(0.02, 0.2)
    late = np.cos(2 * np.pi * 0.02 * np.arange(low.size))
    components = np.stack([low, 3 * late, high])
    owners = grouping(components, [low, high])
    np.testing.assert_array_equal(owners, [0, 0, 1])
    assert si_sdr(grouped(components, owners, 2)[0], low) < 0 < si_sdr(components[0], low)


@given(seeds, st.permutations(range(5)), st.permutations(range(3)))
def test_grouping_follows_the_order_of_components_and_sources(seed, components, sources):
    rng = np.random.default_rng(seed)
    truth = tones(*rng.uniform(0.01, 0.45, 3)) * rng.uniform(0.1, 1, (3, 1))
    heard = rng.uniform(0, 1, (5, 3)) @ truth
    owners = grouping(heard, truth)
    agreement = np.sort(spectrogram_similarity(heard, truth), axis=1)
    assume(np.all(agreement[:, -1] - agreement[:, -2] > 1e-4))
    again = grouping(heard[components], truth[sources])
    np.testing.assert_array_equal(np.array(sources)[again], owners[components])


@given(seeds, st.integers(1, 4), st.integers(1, 4))
def test_the_matching_is_the_best_there_is(seed, n_components, n_sources):
    rng = np.random.default_rng(seed)
    truth = tones(*rng.uniform(0.01, 0.45, n_sources))
    heard = rng.uniform(0.4, 1, (n_components, n_sources)) @ truth
    owners = matching(heard, truth)
    given_away = owners[owners >= 0]
    assert len(set(given_away)) == len(given_away)
    agreement = spectrogram_similarity(heard, truth)
    few, many = sorted((agreement, agreement.T), key=len)[0], max(n_components, n_sources)
    best = max(
        few[range(len(few)), list(order)].sum()
        for order in itertools.permutations(range(many), len(few))
    )
    k = np.flatnonzero(owners >= 0)
    assert agreement[k, owners[k]].sum() == pytest.approx(best)


def test_a_matching_gives_the_second_best_where_the_best_is_taken():
    low, high = tones(0.02, 0.2)
    both = [low, low + 0.2 * high]
    np.testing.assert_array_equal(grouping(both, [low, high]), [0, 0])
    np.testing.assert_array_equal(matching(both, [low, high]), [0, 1])
    np.testing.assert_array_equal(matching([low, low, 0 * low], [low, high]), [0, -1, -1])


def test_sources_are_found_in_components_and_noise_in_none():
    """Of a mixture whose first stem is noise, given in another order and one of them in two."""
    noise, (low, high) = 0.1 * normal(0, 8192), tones(0.02, 0.2)
    mixture = Mixture(np.stack([noise, low, high]), RATE, ("noise", "low", "high"))
    found = sources_in([0.4 * high, noise, low, 0.6 * high], mixture)
    np.testing.assert_allclose(found, [low, high], atol=1e-12)


@given(seeds, st.integers(1, 6), st.integers(1, 4))
def test_groups_are_sums(seed, n_components, n_sources):
    components = normal(seed, n_components, 7)
    owners = np.random.default_rng(seed).integers(-1, n_sources, n_components)
    found = grouped(components, owners, n_sources)
    expected = np.zeros((n_sources, 7))
    for component, owner in zip(components, owners, strict=True):
        if owner >= 0:
            expected[owner] += component
    np.testing.assert_allclose(found, expected, atol=1e-12)


# ---- controls ----------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [small_piano, chirps])
@pytest.mark.parametrize("seed", range(3))
def test_a_shuffled_truth_sums_to_the_same_sound_and_means_nothing(make, seed):
    mixture = make(seed)
    sources, dealt = mixture.sources, shuffled(mixture, rng=seed)
    np.testing.assert_allclose(dealt.sum(axis=0), sources.sum(axis=0), atol=1e-12)
    assert np.all(si_sdr(dealt, sources) < 10)
    # Each strike is in one new source, whole; each new source has strikes of several old ones.
    pieces, owners = strikes_of(mixture)
    heirs = [int(np.argmax(np.abs(dealt @ piece))) for piece in pieces]
    np.testing.assert_allclose(grouped(pieces, heirs, len(dealt)), dealt, atol=1e-12)
    for s in range(len(sources)):
        assert len({heir for heir, owner in zip(heirs, owners, strict=True) if owner == s}) > 1
    np.testing.assert_array_equal(dealt, shuffled(mixture, rng=seed))
    assert np.any(dealt != shuffled(mixture, rng=seed + 1))


@given(seeds, st.integers(2, 4), st.integers(40, 200))
def test_sources_without_events_are_cut_by_energy(seed, n_sources, n_samples):
    sources = normal(seed, n_sources, n_samples)
    mixture = Mixture(sources, RATE, tuple(map(str, range(n_sources))))
    dealt = shuffled(mixture, rng=seed)
    np.testing.assert_allclose(dealt.sum(axis=0), mixture.signal, atol=1e-12)
    # Each new source has about two of the 2 S pieces of each old one.
    shares = np.array(
        [[np.sum((d == s) * s**2) / np.sum(s**2) for s in sources] for d in dealt]
    )  # fmt: skip
    assert np.all(shares < 1)


@given(seeds, st.integers(1, 8), st.integers(16, 300))
def test_bands_sum_to_the_sound(seed, n_bands, n_samples):
    x = normal(seed, n_samples)
    found = bands(x, n_bands)
    assert found.shape == (n_bands, n_samples)
    np.testing.assert_allclose(found.sum(axis=0), x, atol=1e-12)
    np.testing.assert_allclose(bands(1e3 * x, n_bands), 1e3 * found, atol=1e-9)


def test_bands_have_equal_energies_and_rising_frequencies():
    found = bands(normal(0, 50_000), 5)
    energy = np.sum(found**2, axis=1)
    np.testing.assert_allclose(energy, energy.mean(), rtol=0.01)
    power = np.abs(np.fft.rfft(found)) ** 2
    centres = power @ np.arange(power.shape[1]) / power.sum(axis=1)
    assert np.all(np.diff(centres) > 0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: spectrogram_similarity(TWO, TWO[:, 1:]), "estimates must have 39 samples"),
        (lambda: grouping(TWO[0], TWO), "must be two-dimensional"),
        (lambda: matching(TWO, TWO.astype(int)), "must hold floating-point numbers"),
        (lambda: grouped(TWO, [0], 2), r"owners must have shape \(2,\), one a component"),
        (lambda: grouped(TWO, [0, 2], 2), "owners must be a whole number from -1 to 1, got"),
        (lambda: grouped(TWO, [0, 0.5], 2), "owners must be a whole number"),
        (lambda: shuffled(Mixture(TWO[:1], RATE, ("a",))), "at least two sources, got 1"),
        (lambda: shuffled(Mixture(0 * TWO, RATE, ("a", "b"))), "must not be silent"),
        (lambda: bands(TWO[0], 21), "n_bands must be a whole number from 1 to 20, got 21"),
        (lambda: bands(0 * TWO[0], 2), "x must not be silent"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
