"""A sound is read whole, or what there is of it with a word; a broken file is told apart."""

import os
import re
import subprocess
import sys
import threading
import warnings
from contextlib import ExitStack
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from cdlnmf_lit.recordings.reading import opened, read
from cdlnmf_lit.recordings.writing import write

RATE = 22050
TONE = 0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)
NOISE = np.random.default_rng(0).standard_normal((6, RATE)) / 20
NOISE -= NOISE.mean(axis=1, keepdims=True)
SUFFIXES = [".wav", ".flac", ".mp3", ".ogg"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("sounds")


def said(*call, **asked):
    """What is read, and the warnings."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        x, rate = read(*call, **asked)
    return x, rate, [str(each.message) for each in told]


# ---- channels ------------------------------------------------------------------------------


def of_channels(folder, *channels):
    soundfile.write(folder / "many.wav", np.stack(channels, 1), RATE, "DOUBLE")
    return folder / "many.wav"


@pytest.mark.parametrize(("channel", "level"), [(0, 1), (1, -0.5), ("mean", 0.25)])
def test_a_channel_is_chosen_without_a_word(folder, channel, level):
    assert_allclose(read(of_channels(folder, TONE, -0.5 * TONE), channel)[0], level * TONE)


@pytest.mark.parametrize("channel", [2, -1, "left", True])
def test_a_channel_that_is_not_there_is_refused(folder, channel):
    with pytest.raises(ValueError, match=r"channel must be one of 0, 1, mean for path=.*, got"):
        read(of_channels(folder, TONE, TONE), channel)


def test_the_mean_of_one_channel_is_that_channel(folder):
    write(folder / "mono.wav", TONE, RATE)
    assert_array_equal(read(folder / "mono.wav", "mean")[0], np.float32(TONE))


SIX = np.array([[1, 1, 1, 1, 1, 1.01]]).T * NOISE


@pytest.mark.parametrize(
    ("channels", "expected", "words"),
    [
        ([TONE, TONE], TONE, "2 channels: their mean is taken, which loses 0 %"),
        ([TONE, -TONE], TONE, "channel 0, the loudest, is taken, as their mean would lose 100 %"),
        ([-0.5 * TONE, TONE], TONE, "channel 1, the loudest, is taken, as .* lose 90 %"),
        (NOISE[:2], NOISE[:2].mean(0), "2 channels: their mean is taken, which loses 51 %"),
        ([0 * TONE, TONE], TONE, "2 channels, 1 of them silent: channel 1, the loudest, is taken$"),
        ([0 * TONE, TONE, TONE], TONE, "3 channels, 1 of them silent: their mean .* loses 0 %"),
        ([0 * TONE, 0 * TONE], 0 * TONE, "2 channels, 2 of them silent: channel 0"),
        ([TONE] * 6, TONE, "6 channels: their mean is taken, which loses 0 %"),
        (SIX, SIX[5], "6 channels: channel 5, the loudest, .* mean would lose 83 %"),
    ],
    ids=["same", "antiphase", "opposed", "noise", "silent", "one", "all", "six", "six-noise"],
)
def test_of_several_channels_it_takes_the_mean_or_the_loudest(folder, channels, expected, words):
    x, _, (told,) = said(of_channels(folder, *channels))
    assert_allclose(x, expected, atol=1e-12)
    assert re.search(words, told), told


def test_the_share_that_a_mean_loses_is_the_stated_one(folder):
    x = np.array([[1.0, 0.3], [0.2, 1.0]]) @ NOISE[:2]
    lost = 1 - 2 * np.sum(x.mean(0) ** 2) / np.sum(x**2)
    *_, (told,) = said(of_channels(folder, *x))
    assert f"which loses {100 * lost:.0f} % of their energy" in told


# ---- an offset -------------------------------------------------------------------------------


@pytest.mark.parametrize(("decibel", "is_taken"), [(-49, True), (-51, False)])
def test_an_offset_above_50_decibel_below_the_sound_is_taken_off(folder, decibel, is_taken):
    x = TONE - 10 ** (decibel / 20) * np.sqrt(np.mean(TONE**2))
    found, _, told = said(of_channels(folder, x))
    assert_allclose(found, TONE if is_taken else x, atol=1e-12)
    assert [("an offset of -0.00125" in each) for each in told] == [True] * is_taken


def test_a_source_tells_its_offset_and_gives_blocks_without_it(folder):
    path = of_channels(folder, 0.3 + TONE)
    with ExitStack() as stack:
        with pytest.warns(UserWarning, match=r"offset of 0\.3"):
            source = stack.enter_context(opened(path))
        assert source.offset == pytest.approx(0.3)
        blocks = list(source.blocks(1000))
    assert [each.size for each in blocks] == [1000] * 22 + [50]
    assert_allclose(np.concatenate(blocks), TONE, atol=1e-12)


# ---- stretches, blocks, rates, precision -----------------------------------------------------


@pytest.mark.parametrize("suffix", SUFFIXES)
@given(times=st.tuples(st.floats(0, 0.9), st.floats(0.01, 1.2)), size=st.integers(1, 9000))
def test_a_stretch_is_that_part_of_the_whole(folder, suffix, times, size):
    path = folder / f"stretch{suffix}"
    if not path.exists():
        write(path, NOISE[0], RATE)
    whole, _ = read(path)
    start, stop = times[0], times[0] + times[1]
    expected = whole[round(start * RATE) : round(stop * RATE)]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "path=.* has an offset|path=.* ends at 1.00 s, before")
        with opened(path, start=start, stop=stop) as source:
            blocks = list(source.blocks(size))
    assert source.n_samples == expected.size
    assert_allclose(np.concatenate(blocks) + source.offset, expected, atol=1e-9)
    assert {each.size for each in blocks[:-1]} <= {size}


@pytest.mark.parametrize("asked", [{"start": -1.0}, {"stop": 0.0}, {"start": 0.5, "stop": 0.5}])
def test_a_stretch_that_is_none_is_refused(folder, asked):
    write(folder / "x.wav", TONE, RATE)
    with pytest.raises(ValueError, match=r"^st(art|op) must"):
        read(folder / "x.wav", **asked)


def test_a_stretch_behind_the_end_is_refused_and_one_across_it_is_told(folder):
    write(folder / "x.wav", TONE, RATE)
    with pytest.raises(ValueError, match=r"x\.wav must hold sound, but .* from start=2 s on"):
        read(folder / "x.wav", start=2.0)
    *_, told = said(folder / "x.wav", start=0.5, stop=2.0)
    assert told == [f"path={folder / 'x.wav'} ends at 1.00 s, before stop=2"]


@pytest.mark.parametrize("rate", [4000, 8000, 11025, 48000, 96000, 192000])
def test_every_rate_is_kept(folder, rate):
    soundfile.write(folder / "x.wav", TONE[:4410], rate)
    assert read(folder / "x.wav")[1] == rate


def test_float32_is_read_as_float32_and_float64_loses_nothing(folder):
    path = of_channels(folder, TONE)
    assert_array_equal(read(path)[0], TONE)
    x, _ = read(path, precision="float32")
    assert x.dtype == np.float32
    assert_array_equal(x, np.float32(TONE))
    with opened(path, precision="float32") as source:
        assert next(source.blocks(5)).dtype == np.float32
    with pytest.raises(ValueError, match="precision must be one of float64, float32"):
        read(path, precision="float16")


MEASURE = """
import re, sys
from pathlib import Path
import numpy as np, soundfile
from cdlnmf_lit.recordings import decoders
from cdlnmf_lit.recordings.reading import read
def peak():
    status = Path("/proc/self/status").read_text().expandtabs()
    return 1024 * int(re.search("VmHWM: *(\\d+)", status)[1])
tiny, path, asked = sys.argv[1], sys.argv[2], eval(sys.argv[3])
read(tiny, channel=0)
before = peak()
x, _ = read(path, **asked)
print(peak() - before - 1.3 * x.nbytes)
"""


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="the peak is told by Linux")
@pytest.mark.parametrize("suffix", [".wav", ".flac", ".mp3"])
@pytest.mark.parametrize(
    "asked",
    [
        {"channel": "mean"},
        {"channel": 1, "precision": "float32"},
        {"channel": 1, "start": 200.0, "stop": 210.0},
    ],
    ids=["mean", "float32", "stretch"],
)
def test_reading_takes_the_memory_of_what_was_asked(folder, suffix, asked):
    path = folder / f"long{suffix}"
    if not path.exists():
        x = np.tile(NOISE[:2].T, (300, 1))
        soundfile.write(path, x.astype("float32"), RATE)
    write(folder / f"tiny{suffix}", TONE, RATE)
    argv = [sys.executable, "-c", MEASURE, folder / f"tiny{suffix}", path, repr(asked)]
    beyond = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    assert float(beyond) < 100e6


# ---- where it comes from ---------------------------------------------------------------------


def test_standard_input_and_pipes_are_read(folder, monkeypatch):
    write(folder / "x.wav", TONE, RATE)
    with (folder / "x.wav").open("rb") as file:
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=file))
        assert_allclose(read("-")[0], TONE, atol=1e-6)
    os.mkfifo(folder / "pipe")
    content = (folder / "x.wav").read_bytes()
    writer = threading.Thread(target=(folder / "pipe").write_bytes, args=(content,))
    writer.start()
    assert_allclose(read(folder / "pipe")[0], TONE, atol=1e-6)
    writer.join()


@pytest.mark.parametrize(
    "name", ["-x.wav", "a b.flac", "звук 音 🎹.mp3", "x.raw", "none", b"\xff.ogg"]
)
def test_any_name_is_read(folder, name):
    path = folder / os.fsdecode(name)
    suffix = path.suffix if path.suffix in SUFFIXES else ".wav"
    write(folder / f"plain{suffix}", TONE, RATE)
    path.write_bytes((folder / f"plain{suffix}").read_bytes())
    assert len(read(path)[0]) == RATE


def test_a_link_is_followed(folder):
    write(folder / "x.wav", TONE, RATE)
    (folder / "link").symlink_to(folder / "x.wav")
    assert len(read(folder / "link")[0]) == RATE


# ---- files that are no sound, or not all of it ---------------------------------------------


@pytest.mark.parametrize("suffix", SUFFIXES)
@given(kept=st.floats(0.001, 0.999))
def test_a_file_cut_anywhere_is_read_as_far_as_it_goes_with_a_word(folder, suffix, kept):
    whole, cut = folder / f"whole{suffix}", folder / f"cut{suffix}"
    if not whole.exists():
        write(whole, np.tile(NOISE[0], 4), RATE)
    cut.write_bytes(whole.read_bytes()[: int(kept * whole.stat().st_size)])
    try:
        x, rate, told = said(cut)
    except (OSError, ValueError) as error:
        refused = str(error)
    else:
        refused = ""
    if refused:
        assert f"path={cut} " in refused
        assert kept < 0.6  # the headers of an Ogg file are as long
        return
    assert rate == RATE
    y, _ = read(whole)
    offset = np.mean((y[: x.size] - x)[: -min(2304, x.size - 1)])
    assert_allclose(x[:-2304] + offset, y[: x.size][:-2304], atol=1e-6)
    cuts = [each for each in told if f"{cut} holds {x.size / rate:.2f} s" in each]
    if suffix == ".ogg":
        assert "its last page is" in cuts[0]
    elif x.size < 4 * RATE - (1152 if suffix == ".mp3" else 0):
        assert f"{x.size / rate:.2f} s of the 4.00 s that it states" in cuts[0]
    if cuts:
        with pytest.raises(OSError, match="holds"):
            read(cut, strict=True)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_no_decoder_prints(tmp_path, capfd, suffix):
    write(tmp_path / f"x{suffix}", np.tile(NOISE[0], 4), RATE)
    encoded = (tmp_path / f"x{suffix}").read_bytes()
    (tmp_path / f"x{suffix}").write_bytes(encoded[: len(encoded) // 2])
    with pytest.warns(UserWarning, match="holds [12]"):
        read(tmp_path / f"x{suffix}")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("content", "error", "rule"),
    [
        (b"", ValueError, "must hold sound, but the file is empty"),
        (b"no sound at all" * 100, OSError, "is no sound that can be read"),
        (b"RIFF\x00\x00\x00\x00WAVE", OSError, "is no sound that can be read"),
    ],
)
def test_a_file_that_is_no_sound_is_refused(tmp_path, content, error, rule):
    (tmp_path / "x.wav").write_bytes(content)
    with pytest.raises(error, match=rule):
        read(tmp_path / "x.wav")


def test_a_file_without_samples_is_refused(tmp_path):
    soundfile.write(tmp_path / "x.wav", np.zeros(0), RATE)
    with pytest.raises(ValueError, match="must hold sound, but it has no samples"):
        read(tmp_path / "x.wav")


def test_a_header_without_samples_states_what_is_missing(tmp_path):
    soundfile.write(tmp_path / "x.wav", TONE, RATE)
    (tmp_path / "x.wav").write_bytes((tmp_path / "x.wav").read_bytes()[:44])
    with (
        pytest.warns(UserWarning, match="holds 0.00 s of the 1.00 s that it states"),
        pytest.raises(ValueError, match="must hold sound, but it has no samples"),
    ):
        read(tmp_path / "x.wav")


def test_a_file_with_nan_is_refused(tmp_path):
    soundfile.write(tmp_path / "x.wav", np.array([0.0, np.nan]), RATE, "FLOAT")
    with pytest.raises(ValueError, match=r"x\.wav must be finite, got nan at index 1"):
        read(tmp_path / "x.wav")


def test_a_missing_file_and_a_folder_are_os_errors(tmp_path):
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "nowhere.wav")
    with pytest.raises(IsADirectoryError):
        read(tmp_path)


def test_what_is_nearly_nothing_has_no_offset(tmp_path):
    path = tmp_path / "residual.wav"
    soundfile.write(path, np.full(1000, 1e-18, np.float32), RATE, subtype="FLOAT")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        x, _ = read(path)
    assert np.array_equal(x, np.full(1000, np.float32(1e-18)))


# ---- holes ---------------------------------------------------------------------------------


def with_holes(folder, *channels):
    soundfile.write(folder / "holes.wav", np.stack(channels, 1), RATE, "DOUBLE")
    return folder / "holes.wav"


def test_holes_are_read_where_they_are_asked_for(tmp_path):
    x = np.where(np.arange(RATE) // 100 == 3, np.nan, TONE)
    path = with_holes(tmp_path, x)
    found, _, told = said(path, holes=True)
    assert_array_equal(found, x)
    assert not told
    with pytest.raises(ValueError, match=r"got nan at index 300: .* for a hole with --holes"):
        read(path)


def test_an_offset_is_that_of_what_is_known(tmp_path):
    path = with_holes(tmp_path, np.where(np.arange(RATE) < 11_025, np.nan, TONE + 0.25))
    found, _, told = said(path, holes=True)
    assert_allclose(found[11_025:], (TONE + 0.25)[11_025:] - np.mean((TONE + 0.25)[11_025:]))
    assert any("an offset of 0.25" in each for each in told)


def test_what_one_channel_lacks_the_mean_lacks(tmp_path):
    x = np.where(np.arange(RATE) == 7, np.nan, TONE)
    found, _, _ = said(with_holes(tmp_path, x, NOISE[0]), holes=True)
    assert_array_equal(np.flatnonzero(np.isnan(found)), [7])
    assert_allclose(np.delete(found, 7), np.delete((TONE + NOISE[0]) / 2, 7))


@pytest.mark.parametrize(
    ("value", "words"), [(np.inf, "must be finite, got inf at index 0$"), (np.nan, "all .* NaN")]
)
def test_what_is_no_hole_is_refused(tmp_path, value, words):
    with warnings.catch_warnings(), pytest.raises(ValueError, match=words):
        warnings.simplefilter("ignore")
        read(with_holes(tmp_path, np.full(5, value)), holes=True)


def test_a_warning_is_of_the_line_that_asked_for_the_sound(tmp_path):
    path = tmp_path / "sound.wav"
    soundfile.write(path, np.full((100, 2), 0.5), RATE, "PCM_16")
    path.write_bytes(path.read_bytes()[:-8])
    for ask in (read, lambda path: opened(path).__enter__()):
        with pytest.warns(UserWarning, match="sound.wav") as told:
            ask(path)
        assert len(told) == 3  # that it is cut, its channels, its offset
        assert {each.filename for each in told} == {__file__}
