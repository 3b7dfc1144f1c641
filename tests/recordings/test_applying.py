"""Block by block or whole: the same, for every length of block."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdlnmf_lit.methods import METHODS
from cdlnmf_lit.methods.algorithm_1 import Algorithm1
from cdlnmf_lit.methods.algorithm_1_complex import Algorithm1Complex
from cdlnmf_lit.methods.algorithm_1_delays import Algorithm1Delays
from cdlnmf_lit.methods.cdl import CDL
from cdlnmf_lit.methods.complex_isnmf import ComplexISNMF
from cdlnmf_lit.methods.complex_nmf import ComplexNMF
from cdlnmf_lit.methods.convolutive_nmf import ConvolutiveNMF
from cdlnmf_lit.methods.decomposition import Decomposition
from cdlnmf_lit.methods.held import application
from cdlnmf_lit.methods.lrtfs import LRTFS
from cdlnmf_lit.methods.nmf import NMF
from cdlnmf_lit.methods.semi_nmf import SemiNMF
from cdlnmf_lit.recordings.applying import (
    MEMORY,
    after,
    before,
    block_size,
    pieces_of,
    with_penalty,
)
from cdlnmf_lit.recordings.stretches import from_sample
from cdlnmf_lit.theory.gabor import GaborFrame, hann
from tests.strategies import seeds

FRAME = hann(16, 4)
FRAMEWISE = [
    NMF(frame=FRAME, iterations=10),
    NMF(frame=FRAME, divergence="euclidean", iterations=10),
    NMF(frame=FRAME, divergence="itakura-saito", iterations=10),
    SemiNMF(frame=FRAME, share=0.05, iterations=10),
]
NEARLY = {
    ConvolutiveNMF(frame=FRAME, pattern_length=3, iterations=10): 0.01,
    ConvolutiveNMF(frame=FRAME, pattern_length=3, divergence="euclidean", iterations=10): 0.01,
    Algorithm1Complex(frame=FRAME, iterations=10): 0.02,
    Algorithm1Delays(atom_length=16, hop=8, iterations=10): 0.02,
    ComplexNMF(frame=FRAME, iterations=10): 0.01,
    ComplexISNMF(frame=FRAME, iterations=10): 0.01,
    LRTFS(frame=GaborFrame("hann", 4, 16).tight(), iterations=10): 0.01,
}
"""How far the joined components may be from the whole's, as a share of the norm of the signal."""


def planted(seed, density, K=2, T_d=16, T=400, noise=0.01):
    """Random atoms at random places, as dense as asked."""
    rng = np.random.default_rng(seed)
    d = rng.standard_normal((K, T_d)) * np.hanning(T_d + 2)[1:-1]
    d /= np.linalg.norm(d, axis=1, keepdims=True)
    shape = K, T - T_d + 1
    z = rng.exponential(size=shape) * (rng.random(shape) < density)
    return sum(map(np.convolve, d, z)) + noise * rng.standard_normal(T), d


def of_atoms(d, penalty, **options):
    method = CDL(atom_length=d.shape[1], penalty=penalty, **options)
    found = Decomposition("cdl", d, np.ones((len(d), 1)), 1, 0, np.zeros(1), sample_rate=8000)
    return replace(found, parameters=method.parameters)


def joined(applied, x, size, seed=0):
    blocks = np.split(x, np.sort(np.random.default_rng(seed).integers(0, x.size, 3)))
    pieces, states = zip(*pieces_of(applied, blocks, size=size), strict=True)
    components = np.concatenate([piece.components for piece in pieces], axis=1)
    residual = np.concatenate([piece.residual for piece in pieces])
    np.testing.assert_allclose(components.sum(axis=0) + residual, x, atol=1e-12)
    assert [piece.begin for piece in pieces] == list(range(0, x.size, pieces[0].residual.size))
    return components, pieces, states[-1]


def off(found, wanted, x):
    return float(np.linalg.norm(found - wanted, axis=1).max() / np.linalg.norm(x))


sizes = st.sampled_from([16, 17, 23, 50, 113, 399, 400, 1000])


@pytest.mark.long
@given(seeds, sizes, st.sampled_from([0.005, 0.1, 1.0]), st.sampled_from([0.5, 0.1]), st.booleans())
def test_blocks_of_atoms_join_to_the_optimum_of_the_whole(seed, size, density, penalty, signed):
    x, d = planted(seed, density)
    activations = "real" if signed else "nonnegative"
    applied = application(of_atoms(d, penalty, padding=5, activations=activations))
    components, pieces, state = joined(applied, x, size, seed)
    whole = replace(applied, gap=1e-8)(x)
    value = state.sums["energy"] / 2 + penalty * state.sums["size"]
    assert value <= whole.objective * (1 + 1e-5)
    assert value >= whole.objective * (1 - 2e-8)
    assert off(components, whole.components(), x) <= 1e-3
    bound = value * (1 - pieces[-1].gap)
    assert bound <= whole.objective * (1 + 1e-9)
    assert pieces[-1].gap <= 0.01


@pytest.mark.long
@given(seeds, sizes, st.sampled_from([0.2, 0.05]), st.sampled_from([0, 3]))
def test_blocks_of_algorithm_1_join_to_the_optimum_of_the_whole(seed, size, share, origin):
    x, _ = planted(seed, 0.1)
    frame = GaborFrame("hann", 4, 16, origin=origin).tight()
    learnt = Algorithm1(frame=frame, share=share, iterations=10).decompose(x[:200], 2)
    applied = application(learnt)
    components, pieces, state = joined(applied, x, size, seed)
    whole = replace(applied, gap=1e-8)(x)
    penalty = learnt.parameters["penalty"]
    value = state.sums["energy"] / 2 + penalty * state.sums["size"]
    assert abs(value / whole.objective - 1) <= 1e-5
    assert off(components, whole.components(), x) <= 1e-3
    assert value * (1 - pieces[-1].gap) <= whole.objective * (1 + 1e-9)


@pytest.mark.parametrize("method", FRAMEWISE, ids=str)
@given(seed=seeds, size=sizes)
def test_blocks_of_frames_are_those_of_the_whole(method, seed, size):
    x, _ = planted(seed, 0.1)
    learnt = method.decompose(planted(seed + 1, 0.1)[0], 2)
    components, _, _ = joined(application(learnt), x, size, seed)
    assert off(components, learnt.apply(x).components(), x) <= 1e-6


@pytest.mark.parametrize("method", NEARLY, ids=str)
@pytest.mark.parametrize("size", [30, 64, 200])
def test_blocks_of_other_methods_are_nearly_those_of_the_whole(method, size):
    x, _ = planted(3, 0.1)
    learnt = method.decompose(planted(4, 0.1)[0], 2)
    if size < 48 and method.name == "convolutive-nmf":
        size = 32
    components, _, _ = joined(application(learnt), x, size)
    assert off(components, learnt.apply(x).components(), x) <= NEARLY[method]


def test_every_method_is_tried_in_blocks():
    tried = {method.name for method in (*FRAMEWISE, *NEARLY)} | {"cdl", "algorithm-1"}
    assert tried | {"hits"} == set(METHODS)


def test_hits_are_not_looked_for_in_blocks():
    x, _ = planted(3, 0.05)
    learnt = METHODS["hits"](atom_length=16, iterations=1).decompose(x, 1)
    with pytest.raises(ValueError, match=r"patterns must be of a method .*, got those of hits"):
        next(pieces_of(application(learnt), [x]))


@pytest.mark.parametrize("method", ["cdl", *FRAMEWISE[:1]], ids=str)
def test_a_run_goes_on_where_it_was_left(method):
    x, d = planted(5, 0.05)
    learnt = of_atoms(d, 0.1, padding=5) if method == "cdl" else method.decompose(x, 2)
    applied = application(learnt)
    whole = list(pieces_of(applied, [x], size=60))
    _, state = whole[2]
    start = max(0, state.begin - before(applied.method))
    rest = pieces_of(applied, from_sample([x], start), size=60, state=state, start=start)
    for (one, _), (other, _) in zip(whole[3:], rest, strict=True):
        assert (one.begin, one.start, one.gap) == (other.begin, other.start, other.gap)
        np.testing.assert_array_equal(one.components, other.components)
        np.testing.assert_array_equal(one.samples, other.samples)
        np.testing.assert_array_equal(one.activations, other.activations)


@given(seeds, st.sampled_from([64, 100, 333, 2000]))
def test_events_of_blocks_are_those_of_the_whole(seed, size):
    x, d = planted(seed, 0.002, T=2000, noise=1e-3)
    applied = application(of_atoms(d, 0.1, padding=8))
    least = np.array([-60.0, -60.0])
    found = [piece.events(applied, least) for piece, _ in pieces_of(applied, [x], size=size)]
    (whole, _), *more = pieces_of(applied, [x], size=3000)
    assert not more
    wanted = whole.events(applied, least)
    onsets = np.concatenate([each.onset for each in found])
    assert sorted(onsets.round(4)) == sorted(wanted.onset.round(4))


def test_silence_before_and_between_is_passed_over():
    x, d = planted(6, 0.05)
    y = np.concatenate([np.zeros(500), x, np.zeros(700), x])
    for learnt in (of_atoms(d, 0.1), FRAMEWISE[0].decompose(x, 2)):
        components, _, _ = joined(application(learnt), y, 100)
        assert not components[:, :400].any()
        assert components[:, 500:].any()
        assert np.isfinite(components).all()


def test_a_share_is_that_of_the_whole_recording():
    x, d = planted(7, 0.05, T=40_000)
    applied = application(of_atoms(d, 1.0), share=0.2)
    blocks = np.split(x, range(1000, x.size, 1000))
    found = with_penalty(applied, blocks).method.penalty
    assert found == pytest.approx(0.2 * applied.method.lambda_max(x), rel=1e-9)


def test_blocks_shorter_than_a_pattern_are_refused():
    _, d = planted(0, 0.1)
    applied = application(of_atoms(d, 0.1))
    with pytest.raises(ValueError, match="size must be at least a pattern's 16 samples, got 15"):
        next(pieces_of(applied, [np.zeros(50)], size=15))
    with pytest.raises(ValueError, match="block must be finite"):
        next(pieces_of(applied, [np.full(50, np.nan)], size=20))


@pytest.mark.parametrize("K", [1, 4, 16])
def test_a_block_takes_the_memory_that_is_meant_for_it(K):
    for method in (CDL(atom_length=662), NMF(), ConvolutiveNMF(), SemiNMF(), Algorithm1()):
        size = block_size(method, K)
        around = before(method) + after(method)
        assert size >= around
        needed = method.bytes_needed(size + around, K, np.dtype(float))
        assert needed <= 2 * MEMORY or size == max(2**14, 2 * around)
