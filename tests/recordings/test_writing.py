"""Sounds come back as they were written."""

import re

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from numpy.testing import assert_allclose, assert_array_equal
from scipy.io import wavfile

from cdlnmf_lit.recordings import writing
from cdlnmf_lit.recordings.writing import streamed, write

RATE = 22050
TONE = 0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)
SUFFIXES = [".wav", ".flac", ".mp3", ".ogg"]

levels = st.floats(-1, 1, width=32)
sounds = st_numpy.arrays(np.float32, st.integers(1, 3000), elements=levels, fill=levels)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("sounds")


@given(x=sounds, scale=st.sampled_from([1.0, 100.0]))
def test_wav_holds_every_level_exactly(folder, x, scale):
    write(folder / "x.wav", np.float32(scale) * x, RATE)
    found, rate = soundfile.read(folder / "x.wav")
    assert rate == RATE
    assert_array_equal(found, np.float32(scale) * x)


@given(x=sounds)
def test_flac_holds_24_bits(folder, x):
    write(folder / "x.flac", x, RATE)
    found, _ = soundfile.read(folder / "x.flac")
    assert_allclose(found, x, rtol=0, atol=2**-23)


@pytest.mark.parametrize("suffix", [".mp3", ".ogg"])
def test_a_lossy_file_keeps_length_place_and_level(folder, suffix):
    write(folder / f"tone{suffix}", TONE, RATE)
    found, rate = soundfile.read(folder / f"tone{suffix}")
    assert (len(found), rate) == (len(TONE), RATE)
    assert np.linalg.norm(found - TONE) < 0.05 * np.linalg.norm(TONE)


def test_wav_has_the_same_bytes_each_time(folder):
    contents = []
    for name in ("first.wav", "second.wav"):
        write(folder / name, TONE, RATE)
        contents.append((folder / name).read_bytes())
    assert contents[0] == contents[1]


@pytest.mark.parametrize("suffix", [".flac", ".mp3", ".ogg"])
def test_a_peak_above_full_scale_is_never_clipped_in_silence(tmp_path, suffix):
    with pytest.raises(ValueError, match=r"peak of 1\.5: scale it or write \.wav"):
        write(tmp_path / f"loud{suffix}", 3 * TONE, RATE)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def small_files():
    """No file may grow above 20 kB: the operating system refuses."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_a_write_that_fails_leaves_what_was_there_and_names_the_file(tmp_path, small_files, suffix):
    path = tmp_path / f"x{suffix}"
    path.write_bytes(b"before")
    noise = np.random.default_rng(0).uniform(-1, 1, RATE)
    with pytest.raises(OSError, match="File too large") as caught:
        write(path, noise, RATE)
    assert caught.value.filename == str(path)
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


# ---- block by block --------------------------------------------------------------------------


def test_a_stream_has_the_bytes_of_the_whole_however_it_is_cut(tmp_path):
    write(tmp_path / "whole.wav", TONE, RATE)
    for cuts in ([], [1], [5000, 5001, 20000], range(1000, RATE, 1000)):
        with streamed(tmp_path / "cut.wav", RATE) as append:
            for block in np.split(TONE, cuts):
                append(block)
        assert (tmp_path / "cut.wav").read_bytes() == (tmp_path / "whole.wav").read_bytes()


def test_every_reader_reads_what_is_streamed(tmp_path):
    write(tmp_path / "x.wav", TONE, RATE)
    found, rate = soundfile.read(tmp_path / "x.wav", dtype="float32")
    assert rate == RATE
    assert_array_equal(found, np.float32(TONE))
    rate, found = wavfile.read(tmp_path / "x.wav")
    assert (rate, found.dtype) == (RATE, np.float32)
    assert_array_equal(found, np.float32(TONE))


@pytest.mark.parametrize(("n_samples", "form"), [(1000, "WAV"), (1001, "RF64")])
def test_a_file_too_long_for_a_wav_header_is_rf64(tmp_path, monkeypatch, n_samples, form):
    monkeypatch.setattr(writing, "LARGEST_RIFF", len(writing._header(0, RATE)) - 8 + 4 * 1000)
    write(tmp_path / "x.wav", TONE[:n_samples], RATE)
    with soundfile.SoundFile(tmp_path / "x.wav") as file:
        assert (file.format, file.subtype, file.frames) == (form, "FLOAT", n_samples)
        assert_array_equal(file.read(dtype="float32"), np.float32(TONE[:n_samples]))
    _, found = wavfile.read(tmp_path / "x.wav")
    assert_array_equal(found, np.float32(TONE[:n_samples]))


def test_a_header_states_more_than_four_gib():
    """Six hours at 96 kHz: the sizes stand where EBU Tech 3306 places them."""
    n_samples = 6 * 3600 * 96000
    header = writing._header(n_samples, 96000)
    assert header[:8] + header[12:20] == b"RF64" + 4 * b"\xff" + b"ds64\x1c\0\0\0"
    sizes = np.frombuffer(header[20:44], "<u8")
    assert_array_equal(sizes, [len(header) - 8 + 4 * n_samples, 4 * n_samples, n_samples])
    assert header.endswith(b"data" + 4 * b"\xff")


@pytest.mark.parametrize("fault", [KeyboardInterrupt, OSError, ValueError])
def test_a_stream_that_is_broken_off_leaves_what_was_there(tmp_path, fault):
    path = tmp_path / "x.wav"
    path.write_bytes(b"before")

    def broken_off():
        with streamed(path, RATE) as append:
            append(TONE)
            raise fault("elsewhere")

    with pytest.raises(fault, match="elsewhere"):
        broken_off()
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("name", "rate", "block", "rule"),
    [
        ("x.flac", RATE, TONE, "the suffix of path must be one of .wav, got '.flac'"),
        ("x.wav", -1, TONE, "sample_rate must be a whole number from 1 to 1073741823, got -1"),
        ("x.wav", 2**30, TONE, "sample_rate must be a whole number"),
        ("x.wav", RATE, [np.nan], "block must be finite, got nan at index 0"),
        ("x.wav", RATE, [0.0, -1e39], "x must be at most 3.4e+38, got a peak of 1e+39"),
        ("x.wav", RATE, None, "x.wav must be given a block at least, got none"),
    ],
)
def test_what_cannot_be_streamed_is_refused(tmp_path, name, rate, block, rule):
    def streaming():
        with streamed(tmp_path / name, rate) as append:
            if block is not None:
                append(block)

    with pytest.raises(ValueError, match=re.escape(rule)):
        streaming()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "x", "rate", "rule"),
    [
        ("x.aiff", TONE, RATE, "the suffix of path must be one of .wav, .flac, .mp3, .ogg"),
        ("x", TONE, RATE, "the suffix of path"),
        ("x.wav", TONE, 0, "sample_rate must be a whole number from 1 to 1073741823, got 0"),
        ("x.wav", TONE, 22050.0, "sample_rate must be a whole number"),
        ("x.mp3", TONE, 10000, "sample_rate must be one that .mp3 can hold, got 10000"),
        ("x.wav", [], RATE, "x must not be empty"),
        ("x.wav", np.zeros((2, 9)), RATE, "x must be one-dimensional, got shape (2, 9)"),
        ("x.wav", np.zeros(9, int), RATE, "x must hold floating-point numbers, got int64"),
        ("x.wav", np.zeros(9, complex), RATE, "x must be real"),
        ("x.wav", [np.nan], RATE, "x must be finite, got nan at index 0"),
        ("x.wav", [0.0, np.inf], RATE, "x must be finite, got inf at index 1"),
    ],
)
def test_what_cannot_be_written_is_refused(tmp_path, name, x, rate, rule):
    with pytest.raises(ValueError, match=re.escape(rule)):
        write(tmp_path / name, x, rate)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        write(tmp_path / "nowhere" / "x.wav", TONE, RATE)
