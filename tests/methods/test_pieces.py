"""Learning from several recordings is the method itself, on one after the other."""

from dataclasses import replace
from itertools import islice, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdlnmf_lit import CDL, METHODS, NMF, ConvolutiveNMF, GaborFrame
from cdlnmf_lit.methods.common_atoms import Atoms
from cdlnmf_lit.methods.common_spectra import Spectra
from cdlnmf_lit.methods.pieces import Recordings, learnt, totals
from cdlnmf_lit.methods.recipes import chirps, clicks, notes
from cdlnmf_lit.methods.sparse_coding import SEGMENT
from cdlnmf_lit.theory.gabor import hann

DIVERGENCES = ("euclidean", "kullback-leibler", "itakura-saito")
FRAME = hann(64, 32)


def a_sound(n_samples=2000, seed=0, n_events=8, margin=0):
    """Two decaying tones at random places, and some noise where they may be."""
    rng, t = np.random.default_rng(seed), np.arange(64)
    inside = n_samples - 2 * margin
    x = 0.003 * rng.standard_normal(inside)
    for n in rng.integers(0, inside - 64, n_events):
        omega = rng.choice([0.4, 1.1])
        x[n : n + 64] += rng.uniform(0.5, 1) * np.sin(omega * t) * np.exp(-t / 20)
    return np.pad(x, margin)


def sounds(*lengths, margin=0):
    return [a_sound(T, seed, margin=margin) for seed, T in enumerate(lengths)]


def patterns(found):
    return found.atoms if found.spectra is None else found.spectra


METHODS_THAT_CAN = [
    *(NMF(frame=FRAME, divergence=each, iterations=5) for each in DIVERGENCES),
    *(
        ConvolutiveNMF(
            frame=FRAME, divergence=each, iterations=5, pattern_length=4, penalty=penalty
        )
        for each in DIVERGENCES
        for penalty in (0.0, 0.1)
    ),
    CDL(atom_length=48, padding=24, share=0.1, iterations=8),
    CDL(atom_length=48, share=0.1, activations="real", start="random", iterations=8),
]
RECIPES = [notes(500), chirps(50), clicks(2000)]


# ---- one recording is a signal -------------------------------------------------------------------


@pytest.mark.parametrize("method", [*METHODS_THAT_CAN, *RECIPES], ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_of_one_recording_it_is_what_a_signal_gives_to_the_bit(method, dtype):
    x = a_sound().astype(dtype)
    alone = method.decompose(x, 2, rng=3)
    (found,) = method.decompose([x], 2, rng=3)
    assert found.status == alone.status
    for one, other in (
        (patterns(found), patterns(alone)),
        (found.activations, alone.activations),
        (found.residual, alone.residual),
        (found.history["objective"], alone.history["objective"]),
    ):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


# ---- several are one after the other, with silence between ---------------------------------------


def in_a_row(recordings, frame):
    """Each begins with the first frame that the one before does not reach."""
    padded = [np.pad(x, (0, frame.hop * frame.n_frames(x.size) - x.size)) for x in recordings[:-1]]
    row = np.concatenate([*padded, recordings[-1]])
    assert frame.n_frames(row.size) == sum(frame.n_frames(x.size) for x in recordings)
    return row


windows = st.tuples(st.integers(2, 24), st.integers(1, 12)).filter(lambda each: each[1] < each[0])


@given(
    st.lists(st.integers(70, 300), min_size=2, max_size=4),
    windows,
    st.sampled_from([*DIVERGENCES, 0.5, 3.0]),
)
def test_nmf_of_several_is_that_of_all_in_a_row(lengths, window, divergence):
    frame = GaborFrame("hamming", window[1], length=window[0]).tight()
    method = NMF(frame=frame, divergence=divergence, iterations=6)
    recordings = sounds(*lengths)
    whole = method.decompose(in_a_row(recordings, frame), 2, rng=1)
    found = method.decompose(recordings, 2, rng=1)
    np.testing.assert_allclose(found[0].spectra, whole.spectra, rtol=1e-6, atol=1e-9)
    together = np.concatenate([each.activations for each in found], axis=1)
    np.testing.assert_allclose(together, whole.activations, rtol=1e-6, atol=1e-9)
    objective = found[0].history["objective"]
    np.testing.assert_allclose(objective, whole.history["objective"], rtol=1e-8)


@given(st.lists(st.integers(150, 300), min_size=2, max_size=3), st.integers(1, 5))
@pytest.mark.parametrize("penalty", [0.0, 0.1])
@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_convolutive_nmf_of_several_is_that_of_all_in_a_row(divergence, penalty, lengths, L):
    """The recordings begin and end with silence; in that alone nothing sounds."""
    frame, margin = hann(16, 8), 8 * (L + 1)
    asked = {"divergence": divergence, "penalty": penalty}
    method = ConvolutiveNMF(frame=frame, pattern_length=L, **asked).resolved(np.zeros(1))
    recordings = sounds(*(T + 2 * margin for T in lengths), margin=margin)
    row = in_a_row(recordings, frame)
    rng, ends = np.random.default_rng(0), np.cumsum([frame.n_frames(x.size) for x in recordings])
    W, Z = 0.1 + rng.random((2, L, 9)), 0.1 + rng.random((2, ends[-1] + L - 1))
    for end in ends[:-1]:
        Z[:, end : end + L - 1] = 0
    parts = [slice(i, j + L - 1) for i, j in pairwise([0, *ends])]
    problem = Spectra.of(method, Recordings.of(recordings), {})
    first = problem.first(W, tuple(Z[:, part].copy() for part in parts))
    found = list(islice(problem.states(first), 7))[-1]
    whole = list(islice(method.iterate(row, 2, start=(W, Z)), 7))[-1]
    np.testing.assert_allclose(found.patterns, whole.patterns, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(found.objective, whole.objective, rtol=1e-8)
    for part, each in zip(parts, found.activations, strict=True):
        np.testing.assert_allclose(each, whole.activations[:, part], rtol=1e-6, atol=1e-9)


@given(
    st.lists(st.integers(600, 3 * SEGMENT), min_size=2, max_size=3),
    st.sampled_from([0, 10, 31]),
    st.sampled_from(["real", "nonnegative"]),
)
@pytest.mark.long
def test_dictionary_learning_of_several_is_that_of_all_in_a_row(lengths, padding, signs):
    """In the row each begins where passes over segments begin alike, with silence before."""
    method = CDL(atom_length=32, padding=padding, share=0.2, iterations=6, activations=signs)
    recordings = sounds(*lengths, margin=100)
    step = 2 * SEGMENT
    row = np.concatenate(
        [
            np.pad(x, (0, step * -(-(x.size + 2 * padding + 31) // step) - x.size))
            for x in recordings
        ]
    )
    atoms = np.random.default_rng(0).standard_normal((2, 32))
    whole = method.decompose(row, 2, start=(atoms, None))
    found = method.decompose(recordings, 2, start=(atoms, None))
    np.testing.assert_allclose(found[0].parameters["penalty"], whole.parameters["penalty"])
    np.testing.assert_allclose(found[0].atoms, whole.atoms, atol=1e-8)
    objective = found[0].history["objective"]
    np.testing.assert_allclose(objective, whole.history["objective"], rtol=1e-9)
    begins = np.cumsum([0] + [step * -(-(x.size + 2 * padding + 31) // step) for x in recordings])
    for begin, each in zip(begins, found, strict=False):
        N = each.activations.shape[1]
        z = whole.activations[:, begin : begin + N]
        np.testing.assert_allclose(each.activations, z, atol=1e-8)


# ---- what it gives -------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [*METHODS_THAT_CAN, *RECIPES], ids=str)
def test_the_results_share_their_patterns_and_sum_to_their_recordings(method):
    recordings = sounds(2000, 1500, 1200)
    found = method.decompose(tuple(recordings), 2, rng=1)
    again = method.decompose(tuple(recordings), 2, rng=1)
    for x, each, same in zip(recordings, found, again, strict=True):
        assert patterns(each) is patterns(found[0])
        assert each.activations.tobytes() == same.activations.tobytes()
        assert each.parameters["n_recordings"] == 3
        whole = each.components().sum(axis=0) + each.residual
        np.testing.assert_allclose(whole, x, atol=1e-6)
    assert patterns(found[0]).tobytes() == patterns(again[0]).tobytes()


@pytest.mark.parametrize("method", [*METHODS_THAT_CAN, *RECIPES], ids=str)
def test_the_objective_falls_in_every_stage(method):
    recordings, seen = sounds(2000, 1500), []

    def watch(stage, states):
        reached = []
        seen.append(reached)
        for state in states:
            reached.append(state.objective)
            yield state

    method.decompose(recordings, 2, watch=watch)
    assert len(seen) == method.runs
    for objectives in seen:
        for before, after in pairwise(objectives):
            assert after <= before * (1 + 1e-5)


def test_patterns_are_found_that_no_recording_has_all_of(tmp_path):
    """Each recording has one of the two planted calls; together they teach both."""
    rng, t = np.random.default_rng(0), np.arange(32)
    calls = np.stack([np.hanning(32) * np.sin(omega * t) for omega in (0.5, 1.3)])
    calls /= np.linalg.norm(calls, axis=1, keepdims=True)
    recordings = []
    for call in calls:
        z = np.zeros(1500)
        z[rng.integers(0, 1400, 15)] = rng.uniform(0.5, 1, 15)
        recordings.append(np.convolve(z, call))
    method = CDL(atom_length=32, padding=16, share=0.1, iterations=20, starts=3)
    found = method.decompose(recordings, 2)[0].atoms
    alike = [[np.abs(np.correlate(d, call, "full")).max() for d in found] for call in calls]
    assert np.max(alike, axis=1).min() > 0.98
    assert {*np.argmax(alike, axis=1)} == {0, 1}


def test_patterns_alone_are_saved_and_applied(tmp_path):
    recordings = sounds(2000, 1500)
    for method in METHODS_THAT_CAN:
        found = learnt(method, recordings, 2)
        found.save(tmp_path / "patterns.npz")
        alone = type(found.alone()).load(tmp_path / "patterns.npz")
        assert alone.residual.size == 0
        assert alone.activations.shape == (2, 0)
        applied = alone.apply(a_sound(seed=9))
        np.testing.assert_array_equal(patterns(applied), found.patterns)


def test_a_start_may_be_recordingsby_its_patterns():
    recordings, method = sounds(2000, 1500), METHODS_THAT_CAN[-2]
    begun = learnt(method, recordings, 2)
    found = method.decompose(recordings, 2, start=(begun.patterns, None))
    assert found[0].history["objective"][-1] < found[0].history["objective"][0]
    nmf = METHODS_THAT_CAN[1]
    spectra = learnt(nmf, recordings, 2).patterns
    found = nmf.decompose(recordings, 2, start=(spectra, None))
    assert found[0].history["objective"][-1] < found[0].history["objective"][0]


def test_a_generator_of_any_kind_may_draw():
    recordings, method = sounds(2000, 1500), METHODS_THAT_CAN[1]
    for kind in (np.random.MT19937, np.random.Philox, np.random.PCG64DXSM):
        one, other = (
            method.decompose(recordings, 2, rng=np.random.Generator(kind(1))) for _ in range(2)
        )
        assert one[1].activations.tobytes() == other[1].activations.tobytes()


def test_totals_are_in_order():
    assert totals([(1, [1]), (2, [2])]) == [3, [1, 2]]


# ---- what is refused -----------------------------------------------------------------------------


def test_a_list_of_numbers_is_a_signal_and_a_matrix_is_none():
    x = a_sound()
    method = METHODS_THAT_CAN[0]
    one, other = method.decompose(list(x), 2), method.decompose(x, 2)
    assert one.activations.tobytes() == other.activations.tobytes()
    for wrong in (np.stack([x, x]), [list(x), list(x)]):
        with pytest.raises(ValueError, match="x must be one-dimensional"):
            method.decompose(wrong, 2)


@pytest.mark.parametrize(
    ("recordings", "told"),
    [
        ([], "x must not be empty"),
        ((), "x must not be empty"),
        ([a_sound(), np.zeros(500)], "recording 2 of 2: x must not be"),
        ([a_sound(), np.zeros((2, 500))], "recording 2 of 2 must be one-dimensional"),
        ([a_sound(), 3.0], "recording 2 of 2 must be one-dimensional"),
        ([a_sound(), np.full(500, np.nan)], "recording 2 of 2 must be finite"),
        ([a_sound(), np.ones(500, int)], "recording 2 of 2 must hold floating-point numbers"),
        ([a_sound(), np.zeros(0)], "recording 2 of 2 must not be empty"),
    ],
)
@pytest.mark.parametrize("method", METHODS_THAT_CAN[::5], ids=str)
def test_bad_recordings_are_refused_by_their_number(method, recordings, told):
    with pytest.raises(ValueError, match=told):
        method.decompose(recordings, 2)


def test_what_is_shorter_than_a_pattern_is_refused():
    short = a_sound(100, n_events=1)
    with pytest.raises(ValueError, match="recording 2 of 2: x must be at least as long as an atom"):
        CDL(atom_length=101).decompose([a_sound(), short], 2)
    with pytest.raises(ValueError, match="recording 2 of 2: pattern_length must be"):
        ConvolutiveNMF(frame=FRAME, pattern_length=9).decompose([a_sound(), short], 2)


def test_methods_and_options_that_cannot_are_refused():
    recordings = sounds(2000, 1500)
    able = {"nmf", "convolutive-nmf", "cdl"}
    for name in {*METHODS} - able:
        with pytest.raises(ValueError, match=f"by cdl, convolutive-nmf, nmf, got 2 for {name}"):
            METHODS[name]().decompose(recordings, 2)
    nmf, cdl = METHODS_THAT_CAN[1], METHODS_THAT_CAN[-2]
    for method, told in (
        (replace(nmf, acceleration="extrapolation"), "acceleration must be none"),
        (replace(cdl, solver="fista"), "solver must be greedy"),
        (cdl >> nmf, "start of nmf must be random"),
        (METHODS["lrtfs"]() >> cdl, "got 2 for lrtfs"),
    ):
        with pytest.raises(ValueError, match=told):
            method.decompose(recordings, 2)
    with pytest.raises(ValueError, match="held must be None for several recordings"):
        cdl.decompose(recordings, 2, held="patterns")
    for start in (cdl.decompose(recordings[0], 2), "noise", (np.ones((2, 48)), np.ones((2, 9)))):
        with pytest.raises(ValueError, match="start must be"):
            cdl.decompose(recordings, 2, start=start)
    for K in (0, 2.5, 10_000):
        with pytest.raises(ValueError, match="n_components must be a whole number"):
            nmf.decompose(recordings, K)


def test_each_kind_knows_its_problem():
    recordings = sounds(2000, 1500)
    assert isinstance(learnt(METHODS_THAT_CAN[0], recordings, 1).problem, Spectra)
    assert isinstance(learnt(METHODS_THAT_CAN[-2], recordings, 1).problem, Atoms)
