"""Equations (3)-(6), the frame bounds, the dual and tight windows, and the boundary rule."""

import json

import numpy as np
import pytest
import scipy.fft
import scipy.signal
from hypothesis import assume, given
from hypothesis import strategies as st

from cdlnmf_lit.theory import gabor
from cdlnmf_lit.theory.convolution import Convolution
from cdlnmf_lit.theory.gabor import GaborFrame, hann
from tests import reference
from tests.strategies import dot_test, dtypes, frames, lengths, normal, seeds

TALL = 1e-10


def coefficients(frame, T, seed):
    shape = frame.n_frames(T), frame.channels
    return normal(seed, *shape) + 1j * normal(seed + 1, *shape)


@given(frames(), lengths, seeds)
def test_analysis_and_synthesis_are_the_literal_sums(frame, T, seed):
    x, alpha = normal(seed, T) + 1j * normal(seed + 1, T), coefficients(frame, T, seed)
    assert frame.n_frames(T) == len(reference.positions(frame, T))
    assert frame.first_frame == reference.positions(frame, T)[0]
    np.testing.assert_allclose(frame.analysis(x), reference.analysis(frame, x), atol=TALL)
    np.testing.assert_allclose(
        frame.synthesis(alpha, T), reference.synthesis(frame, alpha, T), atol=TALL
    )


@given(frames(), lengths, seeds)
def test_the_half_spectrum_is_all_of_a_real_signal(frame, T, seed):
    x = normal(seed, T)
    X, half = frame.analysis(x), frame.half_analysis(x)
    np.testing.assert_allclose(half, X[:, : frame.channels // 2 + 1], atol=TALL)
    np.testing.assert_allclose(frame.half_synthesis(half, T), frame.synthesis(X, T).real, atol=TALL)


@given(frames(), lengths, seeds, dtypes, st.sampled_from([1, 1.5, 2]))
def test_the_spectrogram_is_the_magnitude_to_a_power(frame, T, seed, dtype, power):
    x = normal(seed, T, dtype=dtype)
    V = frame.spectrogram(x, power)
    assert V.dtype == dtype
    expected = np.abs(reference.analysis(frame, x)[:, : frame.channels // 2 + 1]) ** power
    tolerance = (1e-5 if dtype == np.float32 else TALL) * max(1.0, expected.max())
    np.testing.assert_allclose(V, expected, atol=tolerance)


@given(frames(), lengths, seeds, dtypes)
def test_rows_computed_when_asked_for_are_those_of_the_array(frame, T, seed, dtype):
    x = normal(seed, T, dtype=dtype)
    X, rows_of = frame.half_analysis(x), frame.lazy_half_analysis(x)
    found = np.concatenate([rows_of(rows) for rows in frame.blocks(T)])
    assert found.dtype == X.dtype
    np.testing.assert_array_equal(found, X)
    one = len(X) // 2
    np.testing.assert_allclose(rows_of(slice(one, one + 1)), X[one : one + 1], atol=1e-5)


@given(frames(), lengths, st.integers(1, 3), seeds, dtypes)
def test_block_by_block_synthesis_is_that_of_each_array(frame, T, n_signals, seed, dtype):
    X = frame.half_analysis(normal(seed, T, dtype=dtype))
    gains = normal(seed + 1, n_signals, *X.shape, dtype=dtype)
    found = frame.half_syntheses(lambda rows: gains[:, rows] * X[rows], n_signals, T, X.dtype)
    assert found.dtype == dtype
    assert found.shape == (n_signals, T)
    for signal_k, gain in zip(found, gains, strict=True):
        np.testing.assert_array_equal(signal_k, frame.half_synthesis(gain * X, T))


@given(frames(), lengths)
def test_blocks_are_the_rows_in_order(frame, T):
    rows = [n for each in frame.blocks(T) for n in range(each.start, each.stop)]
    assert rows == list(range(frame.n_frames(T)))


def test_several_blocks_join_without_a_seam(monkeypatch):
    frame, x = GaborFrame("hann", 2, 16).tight(), normal(0, 100)
    whole, V = frame.half_analysis(x), frame.spectrogram(x)
    monkeypatch.setattr(gabor, "BLOCK", 16 * 7)
    assert len(frame.blocks(100)) > 5
    rows_of = frame.lazy_half_analysis(x)
    np.testing.assert_allclose(frame.spectrogram(x), V, atol=1e-12)
    again = frame.half_syntheses(lambda rows: rows_of(rows)[None], 1, 100, float)
    np.testing.assert_allclose(again[0], x, atol=1e-12)
    np.testing.assert_allclose(np.concatenate(list(map(rows_of, frame.blocks(100)))), whole)


@given(frames(), lengths, seeds)
def test_the_operator_passes_the_dot_test(frame, T, seed):
    dot_test(frame.synthesis_operator(T), seed)


@given(frames(), lengths)
def test_bounds_are_the_extreme_eigenvalues(frame, T):
    np.testing.assert_allclose(frame.bounds(T), reference.frame_bounds(frame, T), atol=TALL * 100)


@given(frames(), lengths, seeds)
def test_the_dual_frame_gives_back_any_signal_its_ends_included(frame, T, seed):
    A, B = frame.bounds(300)
    assume(A > 0.05 * B)
    x, dual = normal(seed, T), frame.dual()
    np.testing.assert_allclose(dual.synthesis(frame.analysis(x), T), x, atol=1e-9)
    np.testing.assert_allclose(frame.synthesis(dual.analysis(x), T), x, atol=1e-9)


@given(frames(painless=True), lengths)
def test_the_dual_window_is_the_canonical_one(frame, T):
    assume(frame.bounds(300)[0] > 1e-3)
    Phi = reference.dictionary(frame, T).reshape(T, -1)
    canonical = np.linalg.solve(Phi @ Phi.conj().T, Phi)
    dual = reference.dictionary(frame.dual(), T).reshape(T, -1)
    np.testing.assert_allclose(dual, canonical, atol=1e-9)


@given(frames(), lengths, seeds)
def test_the_tight_frame_is_a_parseval_frame(frame, T, seed):
    A, B = frame.bounds(300)
    assume(A > 0.05 * B)
    x, tight = normal(seed, T), frame.tight()
    X = tight.analysis(x)
    np.testing.assert_allclose(tight.synthesis(X, T), x, atol=1e-9)
    np.testing.assert_allclose(np.sum(np.abs(X) ** 2), np.sum(x**2))
    np.testing.assert_allclose(tight.bounds(T), 1, atol=1e-9)


@given(frames(painless=True))
def test_the_tight_window_of_a_painless_frame_keeps_its_support(frame):
    assume(frame.bounds(300)[0] > 1e-3)
    assert frame.tight().window.size == frame.dual().window.size == frame.window.size


def test_few_channels_make_the_dual_window_longer():
    frame = GaborFrame("hann", 3, 5, length=8)
    assert frame.dual().window.size > 8
    assert frame.dual().n_frames(100) == frame.n_frames(100)


@given(frames(phases=["time-invariant"]), lengths, seeds)
def test_the_two_phase_conventions_differ_by_a_turn(frame, T, seed):
    x, M = normal(seed, T), frame.channels
    other = GaborFrame(frame.window, frame.hop, M, phase="frequency-invariant", origin=frame.origin)
    tau = np.array(reference.positions(frame, T))
    turn = np.exp(-2j * np.pi * np.outer(frame.hop * tau, np.arange(M)) / M)
    np.testing.assert_allclose(other.analysis(x), turn * frame.analysis(x), atol=TALL)


@given(frames(), st.integers(0, 20), seeds)
def test_moving_the_signal_by_hops_moves_the_time_invariant_coefficients(frame, hops, seed):
    assume(frame.phase == "time-invariant")
    x = normal(seed, 40)
    later = np.concatenate([np.zeros(hops * frame.hop), x])
    np.testing.assert_allclose(frame.analysis(later)[hops:], frame.analysis(x), atol=TALL)


@given(frames(), lengths, dtypes, seeds)
def test_precision_is_kept(frame, T, dtype, seed):
    x = normal(seed, T, dtype=dtype)
    wide = np.result_type(dtype, np.complex64)
    X = frame.analysis(x)
    assert X.dtype == frame.half_analysis(x).dtype == wide
    assert frame.synthesis(X, T).dtype == wide
    assert frame.half_synthesis(frame.half_analysis(x), T).dtype == dtype
    np.testing.assert_allclose(X, frame.analysis(x.astype(float)), atol=1e-3)
    narrow = GaborFrame(frame.window.astype(np.float32), frame.hop, max(frame.channels, 16))
    if narrow.bounds(300)[0] > 0:
        assert narrow.dual().window.dtype == narrow.tight().window.dtype == np.float32


def test_blocks_do_not_show(monkeypatch):
    frame, x = GaborFrame("hann", 3, 16), normal(0, 500)
    X = frame.analysis(x)
    y = frame.synthesis(X, 500)
    monkeypatch.setattr(gabor, "BLOCK", 100)
    np.testing.assert_array_equal(frame.analysis(x), X)
    np.testing.assert_allclose(frame.synthesis(X, 500), y, atol=1e-12)


def test_a_block_of_very_many_channels_is_one_frame():
    frame = GaborFrame(np.ones(4), 2, gabor.BLOCK + 1)
    assert frame.blocks(20)[0] == slice(0, 1)


@pytest.mark.parametrize(("hop", "channels"), [(1, 64), (7, 64), (32, 100), (63, 64)])
def test_agreement_with_scipy(hop, channels):
    x, T_g = normal(0, 1000), 64
    window = scipy.signal.get_window("hann", T_g) + 0.1
    frame = GaborFrame(window, hop, channels, origin=T_g // 2)
    theirs = scipy.signal.ShortTimeFFT(window, hop, fs=1.0, fft_mode="twosided", mfft=channels)
    p = np.arange(max(theirs.p_min, frame.first_frame), theirs.p_max(1000) - 1)
    np.testing.assert_allclose(
        theirs.stft(x).T[p - theirs.p_min], frame.analysis(x)[p - frame.first_frame], atol=TALL
    )
    np.testing.assert_allclose(theirs.dual_win, channels * frame.dual().window, atol=TALL)


def test_a_window_by_name_is_scipys_periodic_one():
    expected = scipy.signal.get_window(("kaiser", 8.0), 12)
    np.testing.assert_array_equal(GaborFrame(("kaiser", 8.0), 3, length=12).window, expected)
    assert GaborFrame("hann", 3, 32, length=12).window.size == 12


@pytest.mark.parametrize("length", [1, 2, 3, 16, 255, 2048, 55_125])
def test_a_hann_window_is_scipys_bit_for_bit(length):
    expected = scipy.signal.get_window("hann", length)
    np.testing.assert_array_equal(GaborFrame("hann", 1, length).window, expected)
    tight = GaborFrame(expected, max(1, length // 4)).tight()
    np.testing.assert_array_equal(hann(length, max(1, length // 4)).window, tight.window)


names = st.sampled_from(["hann", "boxcar", ("kaiser", 8.6), ("gaussian", 3)])
named = st.builds(GaborFrame, names, st.integers(1, 4), st.integers(6, 12), length=st.just(8))


@pytest.mark.parametrize("steps", [[], ["tight"], ["dual"], ["dual", "tight"]])
@given(st.one_of(frames(), named))
def test_a_frame_can_be_made_anew_from_its_parameters_and_its_repr(steps, frame):
    A, B = frame.bounds(300)
    assume(A > 0.05 * B)
    made = frame
    for step in steps:
        made = getattr(made, step)()
    parameters = json.loads(json.dumps(made.parameters))
    for again in (GaborFrame.from_parameters(parameters), eval(repr(made))):
        assert again == made
        assert hash(again) == hash(made)
        assert (again.parameters, repr(again)) == (made.parameters, repr(made))
        assert again.n_frames(50) == made.n_frames(50)


@given(frames(painless=True), st.sampled_from([[], ["tight"], ["dual", "tight"]]))
def test_a_window_of_single_precision_stays_one(frame, steps):
    made = GaborFrame(frame.window.astype(np.float32), frame.hop, frame.channels)
    assume(made.bounds(300)[0] > 0.05 * made.bounds(300)[1])
    for step in steps:
        made = getattr(made, step)()
    parameters = json.loads(json.dumps(made.parameters))
    for again in (GaborFrame.from_parameters(parameters), eval(repr(made))):
        assert again == made
        assert again.window.dtype == made.window.dtype == np.float32
        assert (again.parameters, repr(again)) == (made.parameters, repr(made))


def test_a_frame_keeps_its_window_whatever_becomes_of_the_array_it_was_given():
    g = np.ones(4)
    frame, same = GaborFrame(g, 2), GaborFrame(np.ones(4), 2)
    assert frame.bounds(10) == same.bounds(10)
    g[0] = 7
    assert frame == same
    with pytest.raises(ValueError, match="read-only"):
        frame.window[0] = 7


@given(frames(painless=True), st.sampled_from(["window", "hop", "channels", "phase", "origin"]))
def test_frames_that_differ_in_anything_are_not_equal(frame, what):
    assume(frame.window.size > 1)
    parameters = frame.parameters
    others = [phase for phase in gabor.PHASES if phase != frame.phase]
    parameters |= {
        "window": [*parameters["window"][:-1], 7.0],
        "hop": frame.hop % frame.window.size + 1,
        "channels": frame.channels + 1,
        "phase": others[0],
        "origin": (frame.origin + 1) % frame.window.size,
    }
    changed = frame.parameters | {what: parameters[what]}
    assert GaborFrame.from_parameters(changed) != frame
    assert frame != "a frame"


def test_parameters_that_miss_something_or_make_no_frame_are_named():
    for name in hann(8, 2).parameters:
        parameters = hann(8, 2).parameters
        del parameters[name]
        with pytest.raises(ValueError, match=f"parameters must tell a frame's {name}, which is no"):
            GaborFrame.from_parameters(parameters)
    with pytest.raises(ValueError, match="made must be one of tight, dual, got 'synthesis'"):
        GaborFrame.from_parameters(hann(8, 2).parameters | {"made": ["synthesis"]})


@pytest.mark.parametrize("window", ["hann", "blackman"])
def test_a_gap_is_no_frame_even_where_rounding_fills_it(window):
    frame = GaborFrame(window, 8, 8)
    assert frame.bounds(100)[0] < 1e-20
    with pytest.raises(ValueError, match="must make a well-conditioned frame"):
        frame.dual()


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("make", [GaborFrame.dual, GaborFrame.tight])
def test_too_few_channels_are_no_frame(make, channels):
    with pytest.raises(ValueError, match="must make a well-conditioned frame"):
        make(GaborFrame("hann", 4, channels, length=16))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: GaborFrame(np.zeros(4), 1), "window must not be zero everywhere"),
        (lambda: GaborFrame([], 1), "window must not be empty"),
        (lambda: GaborFrame((), 1), "window must not be empty"),
        (lambda: GaborFrame(np.ones((2, 2)), 1), "window must be one-dimensional"),
        (lambda: GaborFrame(np.ones(4) + 1j, 1), "window must be real"),
        (lambda: GaborFrame([1.0, np.nan], 1), "window must be finite"),
        (lambda: GaborFrame("tukish", 1, 8), "window must be .* name SciPy knows, got 'tukish'"),
        (lambda: GaborFrame("kaiser", 1, 8), "name SciPy knows, got 'kaiser'"),
        (lambda: GaborFrame("hann", 1), "length or channels must be given"),
        (lambda: GaborFrame("hann", 1, length=0), "length must be a whole number"),
        (lambda: GaborFrame(np.ones(4), 1, length=5), "length must be that of the window, 4"),
        (lambda: GaborFrame("hann", 9, 8), "hop must be a whole number from 1 to 8, got 9"),
        (lambda: GaborFrame("hann", 0, 8), "hop must be a whole number from 1 to 8, got 0"),
        (lambda: GaborFrame("hann", 1, 0), "channels must be a whole number"),
        (lambda: GaborFrame("hann", 1, 8, origin=8), "origin must be a whole number from 0 to 7"),
        (lambda: GaborFrame("hann", 1, 8, phase="mine"), "phase must be one of"),
        (lambda: GaborFrame("hann", 1, 8).analysis([]), "x must not be empty"),
        (lambda: GaborFrame("hann", 1, 8).analysis([1, 2]), "floating-point"),
        (lambda: GaborFrame("hann", 1, 8).analysis([np.inf]), "x must be finite"),
        (lambda: GaborFrame("hann", 1, 8).half_analysis([1j]), "x must be real"),
        (lambda: GaborFrame("hann", 1, 8).synthesis(np.ones((2, 8)), 5), r"shape \(12, 8\)"),
        (lambda: GaborFrame("hann", 1, 8).n_frames(0), "n_samples must be a whole number"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_at_the_papers_sizes_a_hop_of_one_is_framed_as_literally(virtual_bytes):
    x, frame = normal(0, 330_750), hann(55_125, 1)
    rows = slice(200_000, 200_002)
    found = frame.lazy_half_analysis(x)(rows)
    start = rows.start + frame.first_sample
    for n, spectrum in enumerate(found, start):
        np.testing.assert_array_equal(spectrum, scipy.fft.rfft(x[n : n + 55_125] * frame.window))
    plan = Convolution(55_125, frame.n_frames(x.size))
    plan.signal_spectra(normal(0, plan.length))
    assert 0 < max(virtual_bytes) < 2**31
