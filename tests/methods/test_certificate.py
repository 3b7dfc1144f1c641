"""The certificate: no dictionary goes below it, it is the group lasso's value, and θ proves it."""

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdlnmf_lit.methods import certificate, sparse_coding
from cdlnmf_lit.methods.algorithm_1 import Algorithm1
from cdlnmf_lit.methods.cdl import CDL
from cdlnmf_lit.methods.certificate import Certificate, Segments, certify, lowered, newton
from cdlnmf_lit.methods.decomposition import Decomposition
from cdlnmf_lit.methods.nmf import NMF
from cdlnmf_lit.methods.semi_nmf import SemiNMF
from cdlnmf_lit.theory.corollary_1 import cdl_objective
from cdlnmf_lit.theory.gabor import hann
from tests import reference
from tests.strategies import dtypes, lengths, normal, seeds

shares = st.sampled_from([0.02, 0.1, 0.3, 0.8])


@st.composite
def sounds(draw, *, longest=60, wildest=3):
    """A noisy signal whose loudness changes, with a silence, and a length of atoms."""
    T_d = draw(st.sampled_from([1, 2, 3, 5, 8, 13, 21]))
    T = T_d + draw(st.integers(0, longest))
    seed = draw(seeds)
    x = normal(seed, T) * np.exp(draw(st.integers(0, wildest)) * normal(seed + 1, T))
    x[T // 3 : draw(st.sampled_from([0, T // 2, T - 1]))] = 0
    return x, T_d


def largest(x, T_d):
    return sparse_coding.lambda_max(x, T_d)


def norms(theta, begins, T_d):
    """Of the segments, one by one, without what is outside."""
    return np.array([np.linalg.norm(theta[max(n, 0) : max(n + T_d, 0)]) for n in begins])


# ---- the bound ---------------------------------------------------------------------------------


@given(sounds(), shares, st.integers(1, 4), seeds, st.sampled_from([1.0, 0.1]))
def test_no_random_dictionary_is_below_it(sound, share, K, seed, density):
    (x, T_d), rng = sound, np.random.default_rng(seed)
    penalty = share * largest(x, T_d)
    d = rng.standard_normal((K, T_d))
    d /= np.linalg.norm(d, axis=1, keepdims=True)
    z = rng.standard_normal((K, x.size - T_d + 1))
    z *= rng.random(z.shape) < density
    scale = (x @ reference.convolve(d, z)) / np.sum(reference.convolve(d, z) ** 2 + 1e-300)
    bound = certify(x, T_d, penalty).bound
    for gain in (0.0, 0.5 * scale, scale, 1.0):
        assert cdl_objective(x, d, gain * z, penalty) >= bound


@given(sounds(), shares, seeds, st.sampled_from([1e-3, 0.1]))
def test_planted_dictionaries_are_not_below_it(sound, share, seed, noise):
    (x, T_d), rng = sound, np.random.default_rng(seed)
    d = rng.standard_normal((2, T_d))
    d /= np.linalg.norm(d, axis=1, keepdims=True)
    z = np.where(rng.random((2, x.size - T_d + 1)) < 0.1, 1 + rng.random(), 0.0)
    x = reference.convolve(d, z) + noise * rng.standard_normal(x.size)
    penalty = share * largest(x, T_d)
    assert cdl_objective(x, d, z, penalty) >= certify(x, T_d, penalty).bound


@given(sounds(), shares, seeds, st.booleans(), st.sampled_from(list(sparse_coding.SIGNS)))
def test_no_optimised_dictionary_is_below_it(sound, share, seed, padded, signs):
    x, T_d = sound
    K, padding = min(3, x.size - T_d + 1), T_d - 1 if padded else 0
    method = CDL(atom_length=T_d, share=share, iterations=15, activations=signs, padding=padding)
    if np.ptp(x) == 0:
        return
    found = method.decompose(x, K, rng=seed)
    proof = found.certificate()
    assert proof.ratio >= 1 - 1e-12
    assert found.objective >= proof.objective * (1 - 1e-9)


@given(sounds(longest=30), shares)
def test_as_many_atoms_as_positions_reach_it(sound, share):
    x, T_d = sound
    penalty = share * largest(x, T_d)
    proof = certify(x, T_d, penalty, accuracy=1e-7)
    N = x.size - T_d + 1
    y = x / (1 + Segments(np.arange(N), np.arange(N) + T_d, x.size).spread(proof.weights))
    pieces = proof.weights[:, None] * np.lib.stride_tricks.sliding_window_view(y, T_d)
    sizes = np.linalg.norm(pieces, axis=1)
    d = pieces / np.maximum(sizes, 1e-300)[:, None]
    found = cdl_objective(x, d, np.diag(sizes), penalty)
    assert proof.bound <= found <= proof.bound * (1 + 2e-7)


# ---- it is the best --------------------------------------------------------------------------


@given(sounds(longest=40, wildest=1), st.sampled_from([0.1, 0.3, 0.8]))
def test_it_is_the_group_lassos_value(sound, share):
    x, T_d = sound
    penalty = share * largest(x, T_d)
    value, bound = reference.group_lasso(x, range(x.size - T_d + 1), T_d, penalty)
    proof = certify(x, T_d, penalty, accuracy=1e-7)
    assert value - bound <= 2e-8 * value  # the literal one has come to its end
    assert proof.bound == pytest.approx(value, rel=1e-6)
    assert proof.gap <= 1e-7


@pytest.mark.parametrize("T_d", [8, 60, 200])
def test_it_is_the_group_lassos_value_of_200_samples(T_d):
    x = normal(T_d, 200)
    penalty = 0.2 * largest(x, T_d)
    value, _ = reference.group_lasso(x, range(201 - T_d), T_d, penalty)
    assert certify(x, T_d, penalty, accuracy=1e-7).bound == pytest.approx(value, rel=1e-6)


@given(sounds(longest=30, wildest=1), st.sampled_from([0.1, 0.5]), st.integers(1, 9), lengths)
def test_on_a_grid_it_is_the_group_lassos_value_there(sound, share, hop, before):
    x, T_d = sound
    penalty = share * largest(x, T_d)
    first = -min(before, T_d - 1)
    N = (x.size - 1 - first) // hop + 1
    begins = first + hop * np.arange(N)
    grid = {"hop": hop, "first_sample": first, "n_positions": N}
    proof = certify(x, T_d, penalty, **grid, accuracy=1e-7)
    value, _ = reference.group_lasso(x, begins, T_d, penalty)
    assert proof.bound == pytest.approx(value, rel=1e-6)
    assert norms(proof.theta, begins, T_d).max() <= penalty
    assert proof.bound * (1 + proof.gap) >= certify(x, T_d, penalty).bound


@given(sounds(), st.sampled_from([1e-3, 0.02, 0.3, 0.8, 1.0, 2.0]), st.sampled_from([1e-2, 1e-5]))
def test_theta_is_feasible_and_proves_it_to_the_accuracy_asked_for(sound, share, accuracy):
    x, T_d = sound
    penalty = share * largest(x, T_d)
    proof = certify(x, T_d, penalty, accuracy=accuracy)
    assert norms(proof.theta, range(x.size - T_d + 1), T_d).max() <= penalty
    assert proof.bound == pytest.approx(x @ proof.theta - 0.5 * proof.theta @ proof.theta)
    assert proof.gap <= accuracy
    finer = certify(x, T_d, penalty, accuracy=1e-7)
    assert proof.bound <= finer.bound * (1 + finer.gap)
    assert finer.bound <= proof.bound * (1 + proof.gap)


@given(sounds(), st.floats(0.01, 1.2), st.floats(1.01, 2))
def test_it_rises_with_the_penalty_up_to_that_of_silence(sound, share, factor):
    x, T_d = sound
    one, other = (certify(x, T_d, each * share * largest(x, T_d)) for each in (1, factor))
    assert one.bound <= other.bound * (1 + other.gap)
    assert one.bound >= other.bound / factor  # it is concave in λ, and 0 at 0
    silence = certify(x, T_d, 1.001 * largest(x, T_d))
    assert silence.bound == pytest.approx(0.5 * x @ x)
    assert not silence.weights.any()
    assert one.bound <= silence.bound * (1 + 1e-12)


@given(sounds(), shares, seeds, st.sampled_from([1e-3, 7.0]))
def test_only_the_sizes_of_the_samples_count(sound, share, seed, gain):
    x, T_d = sound
    penalty = share * largest(x, T_d)
    turned = x * np.random.default_rng(seed).choice([-1.0, 1.0], x.size)
    bound = certify(x, T_d, penalty).bound
    assert certify(turned, T_d, penalty).bound == pytest.approx(bound, rel=1e-12)
    assert certify(x[::-1].copy(), T_d, penalty).bound == pytest.approx(bound, rel=2e-3)
    assert certify(gain * x, T_d, gain * penalty).bound == pytest.approx(gain**2 * bound, rel=2e-3)


@given(sounds(), shares, st.integers(1, 20))
def test_silence_around_the_signal_does_not_change_it(sound, share, padding):
    x, T_d = sound
    penalty = share * largest(x, T_d)
    alone = certify(x, T_d, penalty, accuracy=1e-6)
    padded = certify(np.pad(x, padding), T_d, penalty, accuracy=1e-6)
    assert padded.bound == pytest.approx(alone.bound, rel=3e-6)
    assert np.all(padded.theta[:padding] == 0)


# ---- a penalty on atoms, in place of events: the chapter's last relation -----------------------


@given(sounds(longest=20, wildest=1), st.sampled_from([0.2, 0.5]), st.integers(1, 4), seeds)
def test_a_penalty_on_rows_of_activations_is_the_nuclear_norms(sound, share, K, seed):
    (x, T_d), rng = sound, np.random.default_rng(seed)
    penalty = share * np.linalg.norm(np.lib.stride_tricks.sliding_window_view(x, T_d), 2)
    A, value, bound = reference.nuclear_pieces(x, T_d, penalty)

    def cost(d, z):
        r = x - reference.convolve(d, z)
        sizes = np.linalg.norm(d, axis=1) @ np.linalg.norm(z, axis=1)
        return 0.5 * r @ r + penalty * sizes

    left, s, right = np.linalg.svd(A, full_matrices=False)
    assert cost(left.T, s[:, None] * right) == pytest.approx(value, rel=1e-9)
    assert bound <= value * (1 + 1e-12)
    for gain in (1e-3, 0.1, 1.0):
        d, z = rng.standard_normal((K, T_d)), gain * rng.standard_normal((K, A.shape[1]))
        assert cost(d, z) >= bound
        assert cost(left.T + 0.1 * gain, s[:, None] * right) >= bound
    events = certify(x, T_d, penalty, accuracy=1e-6)
    assert bound <= events.bound * (
        1 + events.gap
    )  # no sum of pieces' norms is below their matrix'


# ---- its parts -------------------------------------------------------------------------------


@st.composite
def lines(draw):
    """Segments in order, of any lengths, on a line."""
    size, N = draw(st.integers(1, 20)), draw(st.integers(1, 12))
    rng = np.random.default_rng(draw(seeds))
    begin = np.sort(rng.integers(0, size, N))
    end = np.maximum.accumulate(begin + 1 + rng.integers(0, size, N))
    return Segments(begin, np.minimum(end, size), size)


def indicator(segments):
    t = np.arange(segments.size)
    return ((t >= segments.begin[:, None]) & (t < segments.end[:, None])).astype(float)


@given(lines(), seeds)
def test_segments_sum_and_spread_as_their_matrix_does(segments, seed):
    S, values = indicator(segments), normal(seed, segments.size) ** 2
    weights = normal(seed, segments.begin.size) ** 2
    np.testing.assert_allclose(segments.sums(values), S @ values, atol=1e-12)
    np.testing.assert_allclose(segments.spread(weights), S.T @ weights, atol=1e-12)
    whole, bands = S @ np.diag(values) @ S.T, segments.bands(values)
    for k in range(len(S)):
        row = bands[k, : len(S) - k] if k < len(bands) else np.zeros(len(S) - k)
        np.testing.assert_allclose(row, np.diag(whole, -k), atol=1e-12)


@given(lines(), seeds)
def test_what_is_between_their_edges_is_one_stretch(segments, seed):
    chosen = np.flatnonzero(normal(seed, segments.begin.size) > 0)
    if not chosen.size:
        return
    edges, few = segments.among(chosen)
    values, weights = normal(seed, segments.size) ** 2, normal(seed, chosen.size) ** 2
    between = np.add.reduceat(values, edges[:-1])
    np.testing.assert_allclose(few.sums(between), segments.sums(values)[chosen], atol=1e-12)
    whole = np.zeros(segments.begin.size)
    whole[chosen] = weights
    spread = np.repeat(few.spread(weights), np.diff(edges))
    np.testing.assert_allclose(spread, segments.spread(whole), atol=1e-12)


@given(lines(), seeds, st.sampled_from([0.1, 0.5, 2.0]))
def test_newtons_weights_meet_the_conditions_of_a_minimum(segments, seed, penalty):
    S, energy = indicator(segments), normal(seed, segments.size) ** 2
    weights = newton(energy, segments, penalty, np.ones(segments.begin.size), 1e-9)
    slope = 0.5 * (penalty**2 - S @ (energy / (1 + S.T @ weights) ** 2))
    scale = penalty**2 + np.sum(energy)
    assert weights.min() >= 0
    assert slope.min() >= -1e-6 * scale
    assert weights @ slope <= 1e-6 * scale


@given(sounds(), shares)
def test_lowered_signals_are_feasible_and_quiet_stretches_stay(sound, share):
    x, T_d = sound
    penalty, N = share * largest(x, T_d), x.size - T_d + 1
    segments = Segments(np.arange(N), np.arange(N) + T_d, x.size)
    theta = lowered(x, segments, penalty)
    loud = norms(x, range(N), T_d) > penalty * (1 - 1e-9)
    assert norms(theta, range(N), T_d).max() <= penalty
    untouched = indicator(segments)[loud].sum(axis=0) == 0
    np.testing.assert_array_equal(theta[untouched], x[untouched])


# ---- of a decomposition --------------------------------------------------------------------------


def a_sound(T=3000):
    t = np.arange(T)
    return np.sin(0.3 * t) * (t % 500 < 200) + 0.01 * normal(0, T)


@given(dtypes, seeds, st.sampled_from([0.05, 0.3]))
def test_a_result_is_certified_in_double_precision(dtype, seed, share):
    x = a_sound(800).astype(dtype)
    found = CDL(atom_length=64, share=share, padding=20, iterations=6).decompose(x, 2, rng=seed)
    proof = found.certificate()
    assert (proof.theta.dtype, proof.theta.shape) == (np.float64, x.shape)
    assert norms(proof.theta, range(737), 64).max() <= proof.penalty
    double = certify(x.astype(float), 64, found.parameters["penalty"])
    assert proof.bound == pytest.approx(double.bound, rel=1e-3 + 1e-5)
    assert proof.ratio == proof.objective / proof.bound >= 1 - 1e-6
    assert proof.objective <= found.objective * (1 + 1e-5)


def test_the_objective_is_that_of_the_run():
    x = a_sound()
    found = CDL(atom_length=200, iterations=5).decompose(x, 2)
    assert found.certificate().objective == pytest.approx(found.objective, rel=1e-12)
    stepped = Algorithm1(frame=hann(256, 16), share=0.1, iterations=5).decompose(x, 2)
    size = np.linalg.norm(stepped.atoms, axis=1) @ stepped.activations.sum(axis=1)
    misfit = 0.5 * stepped.residual @ stepped.residual
    objective = stepped.certificate().objective
    assert objective == pytest.approx(misfit + stepped.parameters["penalty"] * size, rel=1e-12)
    assert objective <= stepped.objective * (1 + 1e-12)


def test_atoms_of_any_norm_are_judged_at_norm_1():
    d, z = 10 * normal(1, 2, 6), normal(2, 2, 55) ** 2
    x = reference.convolve(d, z)
    found = sparse_coding.decompose(x, d, penalty=0.5, start=z, iterations=10)
    units, scaled = np.linalg.norm(d, axis=1, keepdims=True), found.activations
    wanted = cdl_objective(x, d / units, units * scaled, 0.5)
    assert found.certificate().objective == pytest.approx(wanted)
    assert found.objective < found.certificate().bound < wanted


@pytest.mark.parametrize("hop", [1, 8, 32])
def test_algorithm_1_is_certified_over_all_positions_and_on_its_grid(hop):
    x = a_sound()
    method = Algorithm1(frame=hann(256, hop), share=0.1, iterations=10, start="segments")
    found = replace(method, step_rule="backtracking").decompose(x, 2)
    everywhere, grid = (found.certificate(positions=each) for each in certificate.POSITIONS)
    assert 1 <= grid.ratio <= everywhere.ratio * (1 + 1e-3)
    assert (everywhere.hop, grid.hop) == (1, hop)
    assert grid.weights.size == found.activations.shape[1]
    begins = found.first_sample + hop * np.arange(grid.weights.size)
    assert norms(grid.theta, begins, 256).max() <= grid.penalty
    assert hop == 1 or grid.bound > everywhere.bound
    if hop == 1:
        assert grid.bound == pytest.approx(everywhere.bound, rel=1e-3)


def test_more_atoms_come_nearer():
    x = a_sound()
    penalty = 0.3 * largest(x, 200)
    method = CDL(atom_length=200, penalty=penalty, iterations=20)
    ratios = [method.decompose(x, K).certificate().ratio for K in (1, 2, 6)]
    assert ratios[0] > ratios[-1] >= 1


def test_it_says_itself_in_words():
    proof = certify(a_sound(), 200, 1.0)
    for ratio, percent in ((1.0816, "8.2"), (3.91, "290"), (1 + 1.26e-7, "0.000013")):
        told = str(replace(proof, objective=ratio * proof.bound))
        assert told == f"within {percent} % of any dictionary"
    with pytest.raises(ValueError, match="objective must be known, got None"):
        _ = proof.ratio
    with pytest.raises(FrozenInstanceError):
        proof.bound = 0.0
    assert isinstance(proof, Certificate)


def test_long_signals_take_some_hundred_unknowns(monkeypatch):
    """At the size of the paper's chirps the gap is reached with few positions."""
    sizes = []

    def counted(energy, segments, *others):
        sizes.append(segments.begin.size)
        return newton(energy, segments, *others)

    monkeypatch.setattr(certificate, "newton", counted)
    t = np.arange(330_750)
    x = np.sin(0.1 * t) * (t % 90_000 < 44_100) + 1e-3 * normal(0, t.size)
    assert certify(x, 55_125, 0.05 * largest(x, 55_125)).gap <= 1e-3
    assert max(sizes) < 400


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((np.ones(9) + 0j, 2, 1.0), {}, "x must be real"),
        ((np.ones(9), 0, 1.0), {}, "atom_length must be a whole number of at least 1, got 0"),
        ((np.ones(9), 2, 0.0), {}, "penalty must be positive, got 0.0"),
        ((np.ones(9), 2, -1.0), {}, "penalty must be a finite number of at least 0, got -1.0"),
        ((np.ones(9), 2, 1.0), {"accuracy": 0}, "accuracy must be positive, got 0"),
        ((np.ones(9), 2, 1.0), {"hop": 0}, "hop must be a whole number of at least 1, got 0"),
        ((np.ones(9), 2, 1.0), {"n_positions": 0}, "n_positions must be a whole number"),
    ],
)
def test_bad_input_is_named(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        certify(*arguments, **options)


def test_what_cannot_be_certified_says_why():
    x = a_sound()
    for method in (Algorithm1(frame=hann(256, 64), iterations=1), SemiNMF(frame=hann(256, 64))):
        with pytest.raises(ValueError, match=r"penalty must be positive, got 0\.0"):
            method.decompose(x, 1).certificate()
    spectra = NMF(frame=hann(256, 64), iterations=1).decompose(x, 1)
    with pytest.raises(
        ValueError, match="atoms must be there to be certified, got spectra, by nmf"
    ):
        spectra.certificate()
    by_hand = Decomposition("by hand", np.eye(1, 2), np.ones((1, 3)), 1, -1, np.zeros(3))
    with pytest.raises(ValueError, match=r"penalty must be positive, got 0\.0"):
        by_hand.certificate()
    with pytest.raises(ValueError, match="positions must be one of all, grid, got 'some'"):
        replace(by_hand, parameters={"penalty": 1.0}).certificate(positions="some")


def test_a_signal_shorter_than_an_atom_is_one_segment():
    x = normal(0, 5)
    proof = certify(x, 9, 0.5 * np.linalg.norm(x))
    assert proof.bound == pytest.approx(0.375 * x @ x, rel=1e-3)
    assert certify(np.zeros(5), 2, 1.0).gap == 0
