"""Sounds come back as they were written, and a broken file is told apart from a sound."""

import base64
import errno
import io
import re

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

from cdlnmf_lit.presentation import audio

RATE = 22050
TONE = 0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)
SUFFIXES = [".wav", ".flac", ".mp3", ".ogg"]

levels = st.floats(-1, 1, width=32)
sounds = st_numpy.arrays(np.float32, st.integers(1, 3000), elements=levels, fill=levels)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("sounds")


def decoded(player, index=0):
    found = re.findall(r"data:audio/(mpeg|wav);base64,([^\"]*)", player.data)[index]
    return soundfile.read(io.BytesIO(base64.b64decode(found[1])))


# ---- files ---------------------------------------------------------------------------------


@given(x=sounds, scale=st.sampled_from([1.0, 100.0]))
def test_wav_holds_every_level_exactly(folder, x, scale):
    audio.write(folder / "x.wav", np.float32(scale) * x, RATE)
    found, rate = audio.read(folder / "x.wav")
    assert rate == RATE
    assert_array_equal(found, np.float32(scale) * x)


@given(x=sounds)
def test_flac_holds_24_bits(folder, x):
    audio.write(folder / "x.flac", x, RATE)
    found, _ = audio.read(folder / "x.flac")
    assert_allclose(found, x, rtol=0, atol=2**-23)


@pytest.mark.parametrize("suffix", [".mp3", ".ogg"])
def test_a_lossy_file_keeps_length_place_and_level(folder, suffix):
    audio.write(folder / f"tone{suffix}", TONE, RATE)
    found, rate = audio.read(folder / f"tone{suffix}")
    assert (len(found), rate) == (len(TONE), RATE)
    assert np.linalg.norm(found - TONE) < 0.05 * np.linalg.norm(TONE)


def test_wav_has_the_same_bytes_each_time(folder):
    contents = []
    for name in ("first.wav", "second.wav"):
        audio.write(folder / name, TONE, RATE)
        contents.append((folder / name).read_bytes())
    assert contents[0] == contents[1]


@pytest.mark.parametrize("suffix", [".flac", ".mp3", ".ogg"])
def test_a_peak_above_full_scale_is_never_clipped_in_silence(tmp_path, suffix):
    with pytest.raises(ValueError, match=r"peak of 1\.5: scale it or write \.wav"):
        audio.write(tmp_path / f"loud{suffix}", 3 * TONE, RATE)
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_fails_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "x.wav"
    path.write_bytes(b"before")
    monkeypatch.setattr(type(path), "write_bytes", half_written)
    with pytest.raises(OSError, match="No space left"):
        audio.write(path, TONE, RATE)
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def half_written(path, encoded):
    with path.open("wb") as file:
        file.write(encoded[: len(encoded) // 2])
    raise OSError(errno.ENOSPC, "No space left on device", str(path))


@pytest.mark.parametrize(
    ("name", "x", "rate", "rule"),
    [
        ("x.aiff", TONE, RATE, "the suffix of path must be one of .wav, .flac, .mp3, .ogg"),
        ("x", TONE, RATE, "the suffix of path"),
        ("x.wav", TONE, 0, "sample_rate must be a whole number of at least 1, got 0"),
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
        audio.write(tmp_path / name, x, rate)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        audio.write(tmp_path / "nowhere" / "x.wav", TONE, RATE)


# ---- channels ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stereo(folder):
    soundfile.write(folder / "stereo.wav", np.stack([TONE, -0.5 * TONE], 1), RATE, "FLOAT")
    return folder / "stereo.wav"


@pytest.mark.parametrize(("channel", "level"), [(0, 1), (1, -0.5), ("mean", 0.25)])
def test_a_channel_is_chosen(stereo, channel, level):
    assert_allclose(audio.read(stereo, channel)[0], level * TONE, atol=1e-6)


@pytest.mark.parametrize("channel", [None, 2, -1, "left", True])
def test_stereo_needs_a_channel_and_says_how(stereo, channel):
    rule = r"channel must choose one of the 2 channel.*pass channel=0, channel=1, channel='mean'"
    with pytest.raises(ValueError, match=rule):
        audio.read(stereo, channel)


def test_the_mean_of_one_channel_is_that_channel(folder):
    audio.write(folder / "mono.wav", TONE, RATE)
    assert_array_equal(audio.read(folder / "mono.wav", "mean")[0], np.float32(TONE))


# ---- files that are no sound, or not all of it ---------------------------------------------


@pytest.mark.parametrize("suffix", SUFFIXES)
@given(kept=st.floats(0.001, 0.999))
def test_a_file_cut_anywhere_is_refused(folder, suffix, kept):
    whole, cut = folder / f"whole{suffix}", folder / f"cut{suffix}"
    if not whole.exists():
        audio.write(whole, TONE, RATE)
    cut.write_bytes(whole.read_bytes()[: int(kept * whole.stat().st_size)])
    with pytest.raises((OSError, ValueError), match=re.escape(str(cut))):
        audio.read(cut)


@pytest.mark.parametrize("suffix", [".wav", ".mp3", ".ogg"])
def test_a_cut_file_is_called_truncated_and_no_decoder_prints(tmp_path, capfd, suffix):
    audio.write(tmp_path / f"x{suffix}", TONE, RATE)
    encoded = (tmp_path / f"x{suffix}").read_bytes()
    (tmp_path / f"x{suffix}").write_bytes(encoded[: len(encoded) // 2])
    with pytest.raises(OSError, match="must be a whole sound file, but it is truncated"):
        audio.read(tmp_path / f"x{suffix}")
    assert capfd.readouterr() == ("", "")


def test_a_wav_file_of_unstated_size_is_read_to_its_end(tmp_path):
    audio.write(tmp_path / "x.wav", TONE, RATE)
    encoded = bytearray((tmp_path / "x.wav").read_bytes())
    at = encoded.find(b"data") + 4
    encoded[at : at + 4] = b"\xff\xff\xff\xff"
    (tmp_path / "x.wav").write_bytes(encoded)
    assert len(audio.read(tmp_path / "x.wav")[0]) == len(TONE)


def test_an_mp3_file_with_a_leading_tag_is_read_and_checked(tmp_path):
    audio.write(tmp_path / "x.mp3", TONE, RATE)
    tag = b"ID3\x04\x00\x00" + bytes([0, 0, 4, 0]) + bytes(512)
    encoded = tag + (tmp_path / "x.mp3").read_bytes()
    (tmp_path / "x.mp3").write_bytes(encoded)
    assert len(audio.read(tmp_path / "x.mp3")[0]) == len(TONE)
    (tmp_path / "x.mp3").write_bytes(encoded[:-300])
    with pytest.raises(OSError, match="truncated"):
        audio.read(tmp_path / "x.mp3")


def test_an_mp3_file_with_fewer_samples_than_frames_stated_is_truncated(tmp_path):
    audio.write(tmp_path / "x.mp3", TONE, RATE)
    encoded = bytearray((tmp_path / "x.mp3").read_bytes())
    size_at = encoded.find(b"Xing") + 12
    encoded[size_at : size_at + 4] = bytes([0, 0, 0, 1])
    (tmp_path / "x.mp3").write_bytes(encoded[:-300])
    with pytest.raises(OSError, match="truncated"):
        audio.read(tmp_path / "x.mp3")


@pytest.mark.parametrize(
    ("content", "error", "rule"),
    [
        (b"", ValueError, "must hold sound, but the file is empty"),
        (b"no sound at all" * 100, OSError, "must be a WAV, FLAC, MP3 or OGG file"),
        (b"RIFF\x00\x00\x00\x00WAVE", OSError, "truncated"),
    ],
)
def test_a_file_that_is_no_sound_is_refused(tmp_path, content, error, rule):
    (tmp_path / "x.wav").write_bytes(content)
    with pytest.raises(error, match=rule):
        audio.read(tmp_path / "x.wav")


def test_a_file_without_samples_is_refused(tmp_path):
    soundfile.write(tmp_path / "x.wav", np.zeros(0), RATE)
    with pytest.raises(ValueError, match="must hold sound, but it has no samples"):
        audio.read(tmp_path / "x.wav")


def test_a_file_with_nan_is_refused(tmp_path):
    soundfile.write(tmp_path / "x.wav", np.array([0.0, np.nan]), RATE, "FLOAT")
    with pytest.raises(ValueError, match=r"x\.wav must be finite, got nan at index 1"):
        audio.read(tmp_path / "x.wav")


def test_a_missing_file_and_a_folder_are_os_errors(tmp_path):
    with pytest.raises(FileNotFoundError):
        audio.read(tmp_path / "nowhere.wav")
    with pytest.raises(IsADirectoryError):
        audio.read(tmp_path)


# ---- players -------------------------------------------------------------------------------


@given(
    x=st_numpy.arrays(float, st.integers(1, 3000), elements=st.floats(-1, 1)),
    rate=st.sampled_from([8000, 10000, 16000, 22050, 44100, 96000]),
)
def test_a_player_plays_the_whole_sound_and_no_more(x, rate):
    played, found_rate = decoded(audio.player(x, rate, "sound"))
    assert (len(played), found_rate) == (len(x), rate)


@pytest.mark.parametrize("rate", [10000, RATE])
def test_a_set_of_players_keeps_the_relative_levels(rate):
    t = np.arange(rate) / rate
    tone = 3 * np.sin(2 * np.pi * 440 * t)
    players = audio.players({"loud": tone, "soft": tone / 10, "silent": 0 * tone}, rate)
    loud, soft, silent = (np.sqrt(np.mean(decoded(players, i)[0] ** 2)) for i in range(3))
    assert_allclose(loud, 0.9 / np.sqrt(2), rtol=0.02)
    assert_allclose(loud / soft, 10, rtol=0.02)
    assert silent < 1e-4


def test_a_player_is_light():
    assert len(audio.player(TONE, RATE, "one second").data) < 8000


def test_a_label_is_text_and_names_the_player():
    page = audio.player(TONE, RATE, 'F4 & "A<b>"').data
    assert ">F4 &amp; &quot;A&lt;b&gt;&quot;</figcaption>" in page
    assert 'aria-label="F4 &amp; &quot;A&lt;b&gt;&quot;"' in page


@pytest.mark.parametrize(
    ("sounds", "rate", "rule"),
    [
        ({}, RATE, "sounds must hold at least one sound"),
        ({" ": TONE}, RATE, "sounds must have labels"),
        ({"x": []}, RATE, "x must not be empty"),
        ({"note": [np.nan]}, RATE, "note must be finite"),
        ({"x": TONE}, -1, "sample_rate must be a whole number of at least 1, got -1"),
    ],
)
def test_what_cannot_be_played_is_refused(sounds, rate, rule):
    with pytest.raises(ValueError, match=rule):
        audio.players(sounds, rate)


# ---- a board of players ------------------------------------------------------------------------


def test_a_board_of_players_names_each_by_its_row_and_column():
    rows = {"truth": np.stack([TONE, 0.5 * TONE]), "A & B": np.stack([0 * TONE, TONE / 10])}
    table = audio.board(rows, ["low", "high"], RATE)
    names = re.findall('aria-label="(.*?)"', table.data)
    assert names == ["low: truth", "high: truth", "low: A &amp; B", "high: A &amp; B"]
    assert re.findall("<th scope.*?>(.*?)</th>", table.data) == [
        "low",
        "high",
        "truth",
        "A &amp; B",
    ]
    full, half, silent, tenth = (np.std(decoded(table, i)[0]) for i in range(4))
    assert_allclose([full / half, full / tenth], [2, 10], rtol=0.03)
    assert silent < 1e-4


def test_the_spectrograms_of_a_board_share_their_colours_and_say_what_they_are():
    t = np.arange(RATE) / RATE
    loud = np.sin(2 * np.pi * 1000 * t) * (t < 0.5)
    rows = {"truth": np.stack([loud, 0.1 * loud]), "A & B": np.stack([0 * loud, loud])}
    table = audio.board(rows, ["low", "high"], RATE, highest_frequency=2000)
    words = re.findall('<img alt="(.*?)"', table.data)
    assert words[:2] == ["Spectrogram of low: truth", "Spectrogram of high: truth"]
    pictures = [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("L"), float)
        for data in re.findall(r"data:image/webp;base64,([^\"]*)", table.data)
    ]
    first, faint, silent, again = pictures
    assert first.shape == (64, 320)
    assert np.array_equal(first, again)
    assert first.max() > faint.max() + 20
    assert silent.max() < 5
    assert abs(np.argmax(first.mean(axis=1)) - 32) <= 2  # 1 kHz of 2 kHz, upwards
    assert first[:, :140].max() > first[:, 200:].max() + 100


def test_a_board_goes_up_to_half_the_rate_at_most():
    tone = np.stack([TONE])
    whole = audio.board({"x": tone}, ["a"], RATE, highest_frequency=10 * RATE)
    assert whole.data == audio.board({"x": tone}, ["a"], RATE, highest_frequency=RATE / 2).data


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({}, "rows must hold at least one row"),
        ({"x": np.ones((1, 9))}, "x must have 2 sounds, got 1"),
        ({"x": np.ones(9)}, "x must"),
    ],
)
def test_boards_that_do_not_fit_are_refused(rows, message):
    with pytest.raises(ValueError, match=message):
        audio.board(rows, ["low", "high"], RATE)
