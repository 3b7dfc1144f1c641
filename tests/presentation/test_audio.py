"""Sounds come back as they were written, and a broken file is told apart from a sound."""

import base64
import io
import re

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from numpy.testing import assert_allclose
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
    rows = {"truth": np.stack([TONE, 0.5 * TONE]), "A & B": np.stack([TONE / 5, TONE / 10])}
    table = audio.board(rows, ["low", "high"], RATE)
    names = re.findall('aria-label="(.*?)"', table.data)
    assert names == ["low: truth", "high: truth", "low: A &amp; B", "high: A &amp; B"]
    assert re.findall("<th scope.*?>(.*?)</th>", table.data) == [
        "low",
        "high",
        "truth",
        "A &amp; B",
    ]
    full, half, fifth, tenth = (np.std(decoded(table, i)[0]) for i in range(4))
    assert_allclose([full / half, full / fifth, full / tenth], [2, 5, 10], rtol=0.03)


def test_what_is_silent_has_no_player():
    rows = {"truth": np.stack([TONE, TONE]), "it": np.stack([TONE, 1e-5 * TONE])}
    table = audio.board(rows, ["low", "high"], RATE, words={"it": ["✓ 20 dB", "✗ <lost>"]})
    assert "<td>✗ &lt;lost&gt; <i>silent</i></td>" in table.data
    assert re.findall('aria-label="(.*?)"', table.data) == ["low: truth", "high: truth", "low: it"]
    assert re.findall('<div class="scope"><small>(.*?)</small><img', table.data) == ["✓ 20 dB"]


def test_the_spectrograms_of_a_board_share_their_colours_and_say_what_they_are():
    t = np.arange(RATE) / RATE
    loud = np.sin(2 * np.pi * 1000 * t) * (t < 0.5)
    rows = {"truth": np.stack([loud, 0.1 * loud]), "A & B": np.stack([0.01 * loud, loud])}
    table = audio.board(rows, ["low", "high"], RATE, highest_frequency=2000)
    words = re.findall('<img alt="(.*?)"', table.data)
    assert words[:2] == ["Spectrogram of low: truth", "Spectrogram of high: truth"]
    pictures = [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("L"), float)
        for data in re.findall(r"data:image/webp;base64,([^\"]*)", table.data)
    ]
    first, faint, fainter, again = pictures
    assert first.shape == (64, 320)
    assert np.array_equal(first, again)
    assert first.max() > faint.max() + 20 > fainter.max() + 40
    assert abs(np.argmax(first.mean(axis=1)) - 32) <= 2  # 1 kHz of 2 kHz, upwards
    assert first[:, :140].max() > first[:, 200:].max() + 100


def test_a_board_goes_up_to_half_the_rate_at_most():
    tone = np.stack([TONE])
    whole = audio.board({"x": tone}, ["a"], RATE, highest_frequency=10 * RATE)
    assert whole.data == audio.board({"x": tone}, ["a"], RATE, highest_frequency=RATE / 2).data


def test_words_of_no_sound_are_refused():
    rows = {"x": np.ones((2, 9))}
    for words in ({"x": ["a"]}, {"y": ["a", "b"]}):
        with pytest.raises(ValueError, match="words must be 2 for a row, got "):
            audio.board(rows, ["low", "high"], RATE, words=words)


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
