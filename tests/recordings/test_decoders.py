"""Which library reads which sound, and that none loses or adds any of it without a word."""

import io
import re
import struct
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import settings
from numpy.testing import assert_allclose

from cdlnmf_lit.recordings import decoders
from cdlnmf_lit.recordings.reading import read

RATE = 22050
TONE = 0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)
NOISE = np.random.default_rng(0).standard_normal((6, 2 * RATE)) / 20
NOISE -= NOISE.mean(axis=1, keepdims=True)
CORRUPTIONS = 300 if settings.default.max_examples >= 250 else 30
"""Of each format; all of them in the nightly profile."""


def of(form, subtype, x=TONE, rate=RATE):
    """A sound as libsndfile encodes it."""
    buffer = io.BytesIO()
    soundfile.write(buffer, x, rate, subtype, format=form)
    return buffer.getvalue()


def by_ffmpeg(form, codec, x=TONE, layout="mono"):
    """A sound as FFmpeg encodes it, of channels (C, T) where there are several."""
    import av

    buffer = io.BytesIO()
    with av.open(buffer, "w", format=form) as container:
        stream = container.add_stream(codec, rate=RATE, layout=layout)
        encoder = stream.codec_context
        encoder.format = av.Codec(codec, "w").audio_formats[0]
        encoder.open()
        frame = av.AudioFrame.from_ndarray(np.float32(x).T.reshape(1, -1), "flt", layout)
        frame.sample_rate, frame.pts = RATE, 0
        adapted = av.AudioResampler(encoder.format, layout, RATE, encoder.frame_size)
        for each in (*adapted.resample(frame), *adapted.resample(None), None):
            container.mux(stream.encode(each))
    return buffer.getvalue()


def patched(content, after, *fields):
    """The bytes with others at some places behind a mark."""
    content, at = bytearray(content), content.index(after) + len(after)
    for offset, value in fields:
        content[at + offset : at + offset + len(value)] = value
    return bytes(content)


def without_tag(mp3):
    """An MP3 file without its first frame, which states its length: as a pipe leaves it."""
    at = next(i for i in range(100, 2000) if mp3[i : i + 2] == mp3[:2])
    return mp3[at:]


def decoded(tmp_path, content, suffix=""):
    """What is read of the bytes: the samples, the decoder, and what is said."""
    path = tmp_path / f"sound{suffix}"
    path.write_bytes(content)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        x, _ = read(path, channel=0)
    decoder = decoders.recognized(path, "sound", tmp_path).decoder
    return x, decoder, [m for each in told if "offset" not in (m := str(each.message))]


# ---- whole files -------------------------------------------------------------------------------

WAV, MP3, FLAC = of("WAV", "PCM_16"), of("MP3", "MPEG_LAYER_III"), of("FLAC", "PCM_16")
WHOLE = {
    "8 bit WAV": (of("WAV", "PCM_U8"), "libsndfile", RATE, 1e-2),
    "16 bit WAV": (WAV, "libsndfile", RATE, 1e-4),
    "24 bit WAV": (of("WAV", "PCM_24"), "libsndfile", RATE, 1e-6),
    "float WAV": (of("WAV", "FLOAT"), "libsndfile", RATE, 1e-6),
    "double WAV": (of("WAV", "DOUBLE"), "libsndfile", RATE, 1e-12),
    "µ-law WAV": (of("WAV", "ULAW"), "libsndfile", RATE, 0.05),
    "GSM WAV": (of("WAV", "GSM610", TONE[:8000], 8000), "libsndfile", 8000, 0.5),
    "six channels WAV": (of("WAV", "PCM_24", NOISE.T), "libsndfile", 2 * RATE, None),
    "six channels FLAC": (of("FLAC", "PCM_24", NOISE.T), "miniaudio", 2 * RATE, None),
    "RF64": (of("RF64", "PCM_16"), "libsndfile", RATE, 1e-4),
    "W64": (of("W64", "PCM_24"), "libsndfile", RATE, 1e-6),
    "AIFF": (of("AIFF", "PCM_16"), "libsndfile", RATE, 1e-4),
    "CAF": (of("CAF", "PCM_24"), "libsndfile", RATE, 1e-6),
    "ALAC in CAF": (of("CAF", "ALAC_16"), "libsndfile", RATE, 1e-4),
    "AU": (of("AU", "FLOAT"), "libsndfile", RATE, 1e-6),
    "16 bit FLAC": (FLAC, "miniaudio", RATE, 1e-4),
    "24 bit FLAC": (of("FLAC", "PCM_24"), "miniaudio", RATE, 1e-6),
    "Vorbis": (of("OGG", "VORBIS"), "libsndfile", RATE, 0.05),
    "Opus": (of("OGG", "OPUS", TONE, 24000), "libsndfile", RATE, 0.5),
    "gapless MP3": (MP3, "miniaudio", RATE, 0.05),
    "FLAC of unstated length": (
        patched(FLAC, b"fLaC", (17, bytes([FLAC[21] & 0xF0, 0, 0, 0, 0]))),
        *("miniaudio", RATE, 1e-4),
    ),
    "WAV piped by sox": (
        patched(WAV, b"data", (0, struct.pack("<I", 0x7FFFF000))),
        *("libsndfile", RATE, 1e-4),
    ),
    "WAV piped by FFmpeg": (patched(WAV, b"data", (0, b"\xff" * 4)), "libsndfile", RATE, 1e-4),
    "WAV of size 0": (patched(WAV, b"data", (0, bytes(4))), "libsndfile", RATE, 1e-4),
    "RF64 of size 0": (
        patched(of("RF64", "PCM_16"), b"ds64", (4, bytes(24))),
        *("libsndfile", RATE, 1e-4),
    ),
    "AAC": (by_ffmpeg("mp4", "aac"), "FFmpeg", RATE, 0.5),
    "ALAC": (by_ffmpeg("ipod", "alac"), "FFmpeg", RATE, 1e-4),
    "eight channels ALAC": (
        by_ffmpeg("ipod", "alac", np.tile(NOISE[0], (8, 1)), "7.1(wide)"),
        *("FFmpeg", 2 * RATE, None),
    ),
    "FLAC in Matroska": (by_ffmpeg("matroska", "flac"), "FFmpeg", RATE, 1e-4),
    "FLAC in Ogg": (by_ffmpeg("ogg", "flac"), "FFmpeg", RATE, 1e-4),
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_sound_is_read_whole_and_without_a_word(tmp_path, name, capfd):
    content, library, length, error = WHOLE[name]
    x, decoder, told = decoded(tmp_path, content)
    assert (decoder, told) == (library, [])
    if length is not None:
        assert 0 <= x.size - length <= (320 if "GSM" in name else 0)
    if error is None:
        assert_allclose(x, NOISE[0], atol=1e-6)
    else:
        n = min(x.size, TONE.size)
        assert np.sqrt(np.mean((x[:n] - TONE[:n]) ** 2)) < error
    assert capfd.readouterr() == ("", "")


def test_an_mp3_without_a_tag_is_read_to_its_end(tmp_path):
    """Its first frames are nothing; there is no telling where the sound begins."""
    content = without_tag(MP3)
    n_frames = len(re.findall(re.escape(MP3[:2]), content))
    x, decoder, told = decoded(tmp_path, content)
    assert (decoder, told) == ("miniaudio", [])
    assert TONE.size <= x.size <= 576 * (n_frames + 1)
    assert x.size % 576 == 0


def test_an_mp3_that_states_less_than_there_is_is_read_to_its_end(tmp_path):
    small = patched(MP3, b"Info" if b"Info" in MP3 else b"Xing", (4, struct.pack(">I", 5)))
    for content, least in ((small, TONE.size), (MP3 + MP3, 2 * TONE.size)):
        x, _, told = decoded(tmp_path, content)
        assert told == []
        assert least <= x.size < least + 6 * 1152


def test_letters_in_a_title_are_no_tag(tmp_path):
    title = b"ID3\x03\x00\x00\x00\x00\x00\x20TIT2\x00\x00\x00\x10\x00\x00\x00Xing Info Xing "
    title += bytes(42 - len(title))
    for content, suffix in (
        (title + MP3, ".mp3"),
        (title + without_tag(MP3), ".mp3"),
        (title + FLAC, ".flac"),
    ):
        x, _, told = decoded(tmp_path, content, suffix)
        assert told == []
        assert x.size >= TONE.size


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_ogg_files_that_were_put_into_one_are_read_to_their_end(tmp_path, monkeypatch, subtype):
    """libsndfile reads the first of them."""
    content = 2 * of("OGG", subtype, NOISE[0], 24000)
    x, decoder, told = decoded(tmp_path, content)
    rate = 48000 if subtype == "OPUS" else 24000  # FFmpeg's
    assert (decoder, told) == ("FFmpeg", [])
    assert 0 <= x.size - 2 * NOISE[0].size * rate / 24000 < BLOCK
    monkeypatch.setitem(sys.modules, "av", None)
    x, decoder, (message,) = decoded(tmp_path, content)
    assert (decoder, x.size) == ("libsndfile", NOISE[0].size)
    assert 'more sound follows; M4A, WMA, WebM and others need PyAV: pip install "cdlnmf' in message


# ---- what other programs write, where they are there -------------------------------------------

BY_FFMPEG = "ffmpeg -v error -i tone.wav"
MADE = {
    "vbr.mp3": (f"{BY_FFMPEG} -q:a 2 -f mp3 - | cat > vbr.mp3", 89_856),
    "cbr.mp3": ("sox tone.wav cbr.mp3", 89_856),
    "gapless.mp3": (f"{BY_FFMPEG} gapless.mp3", 88_200),
    "info.flac": (f"{BY_FFMPEG} -metadata title='Info session 3' info.flac", 88_200),
    "xing.flac": (f"{BY_FFMPEG} -metadata title='Xingu Antbird' xing.flac", 88_200),
    "unstated.flac": (f"{BY_FFMPEG} -f flac - | cat > unstated.flac", 88_200),
    "sox.wav": ("sox tone.wav -t wav - trim 0 2 2> /dev/null | cat > sox.wav", 44_100),
    "ffmpeg.wav": (f"{BY_FFMPEG} -f wav - | cat > ffmpeg.wav", 88_200),
    "gsm.wav": ("sox tone.wav -r 8000 -e gsm-full-rate gsm.wav", 32_000),
    "rf64.wav": (f"{BY_FFMPEG} -rf64 always rf64.wav", 88_200),
    "tone.m4a": (f"{BY_FFMPEG} tone.m4a", 88_200),
    "tone.opus": (f"{BY_FFMPEG} tone.opus", 96_000),
}
"""How each is made of four seconds, and the samples that it holds; Opus has 24 kHz."""


@pytest.mark.long
@pytest.mark.parametrize("name", MADE)
def test_what_sox_and_ffmpeg_write_is_read_whole_and_without_a_word(tmp_path, name):
    command, length = MADE[name]
    (tmp_path / "tone.wav").write_bytes(of("WAV", "PCM_16", np.tile(TONE, 4)))
    made = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True)
    if made.returncode or not (tmp_path / name).stat().st_size:
        pytest.skip(f"it cannot be made here: {made.stderr.strip()}")
    x, _, told = decoded(tmp_path, (tmp_path / name).read_bytes(), Path(name).suffix)
    assert (x.size, told) == (length, [])


# ---- decoders that are missing -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("library", "content", "remedy"),
    [
        ("av", WHOLE["AAC"][0], "[formats]"),
        ("soundfile", of("OGG", "VORBIS"), "[formats]"),
    ],
)
def test_it_says_what_to_install(tmp_path, monkeypatch, library, content, remedy):
    monkeypatch.setitem(sys.modules, "av", None)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(OSError, match=re.escape(f'pip install "cdlnmf-lit{remedy}"')):
        decoded(tmp_path, content)


@pytest.mark.parametrize("content", [MP3, FLAC])
def test_without_miniaudio_libsndfile_reads_what_it_can_with_a_word(tmp_path, monkeypatch, content):
    for name in ("av", "miniaudio"):
        monkeypatch.setitem(sys.modules, name, None)
    x, decoder, (told,) = decoded(tmp_path, content)
    assert (x.size, decoder) == (TONE.size, "libsndfile")
    assert 'MP3 and FLAC need miniaudio: pip install "cdlnmf-lit[audio]"' in told


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.filterwarnings("ignore:.*has an offset")
def test_without_libsndfile_scipy_reads_a_wav_to_the_bit(tmp_path, monkeypatch, subtype, dtype):
    path = tmp_path / "x.wav"
    path.write_bytes(of("WAV", subtype, np.stack([TONE, NOISE[0, : TONE.size]], 1)))
    wanted = [read(path, c, precision=dtype, start=0.1)[0] for c in (0, 1)]
    for name in ("soundfile", "av"):
        monkeypatch.setitem(sys.modules, name, None)
    for c, samples in enumerate(wanted):
        x, rate = read(path, c, precision=dtype, start=0.1)
        assert (rate, x.dtype) == (RATE, samples.dtype)
        np.testing.assert_array_equal(x, samples)


def test_without_libsndfile_a_cut_wav_is_told_and_another_file_refused(tmp_path, monkeypatch):
    for name in ("soundfile", "av"):
        monkeypatch.setitem(sys.modules, name, None)
    x, decoder, (told,) = decoded(tmp_path, of("WAV", "PCM_16")[:-2000])
    assert (x.size, decoder) == (TONE.size - 1000, "SciPy")
    assert "it is cut" in told
    with pytest.raises(OSError, match="need"):
        decoded(tmp_path, b"RIFF\x00\x00\x00\x00WAVEfmt no sound")


# ---- files that are cut or damaged -------------------------------------------------------------

DAMAGED = {
    "WAV": of("WAV", "PCM_16", NOISE[0]),
    "AIFF": of("AIFF", "PCM_16", NOISE[0]),
    "CAF": of("CAF", "PCM_16", NOISE[0]),
    "W64": of("W64", "PCM_16", NOISE[0]),
    "RF64": of("RF64", "PCM_16", NOISE[0]),
    "FLAC": of("FLAC", "PCM_16", NOISE[0]),
    "MP3": of("MP3", "MPEG_LAYER_III", NOISE[0]),
    "Vorbis": of("OGG", "VORBIS", NOISE[0]),
    "Opus": of("OGG", "OPUS", NOISE[0], 24000),
    "AAC": by_ffmpeg("mp4", "aac", NOISE[0]),
}
BLOCK = 4608
"""Samples of the longest block of a codec: FLAC's."""


@pytest.mark.parametrize(
    "name", ["WAV", "AIFF", "CAF", "W64", "RF64", "FLAC", "MP3", "Vorbis", "Opus"]
)
def test_what_there_is_of_a_cut_file_is_read(tmp_path, name):
    content = DAMAGED[name]
    x, _, (told,) = decoded(tmp_path, content[: 2 * len(content) // 3])
    assert 0.3 * NOISE[0].size < x.size < 0.7 * NOISE[0].size
    rate = 24000 if name == "Opus" else RATE
    assert f"holds {x.size / rate:.2f} s" in told


def test_an_mp3_whose_first_frame_is_damaged_is_read_to_its_end(tmp_path):
    """Nothing that begins so is known by its first bytes; libsndfile reads the half of it."""
    x, decoder, (told,) = decoded(tmp_path, patched(DAMAGED["MP3"], b"\xff", (0, b"\xfd")))
    assert decoder == "miniaudio"
    assert x.size >= NOISE[0].size
    assert "its tag is not at its start" in told


def test_a_frame_that_states_more_than_memory_holds_is_told(tmp_path):
    """As a damaged index may: FFmpeg has not the memory, and must not end the program."""
    x, _, (told,) = decoded(tmp_path, patched(DAMAGED["AAC"], b"stsz", (152, b"\x20")))
    assert 0.5 * NOISE[0].size < x.size < NOISE[0].size
    assert "it is damaged, frames that cannot be decoded: 1" in told


@pytest.mark.parametrize(
    "damage", [(b"mvhd", (13, b"\xac")), (b"elst", (8, b"\0\0\0\xff"))], ids=lambda each: each[0]
)
def test_an_edit_list_that_leaves_sound_out_is_told(tmp_path, damage):
    """As one does whose unit of time is damaged, and one that somebody trimmed."""
    x, _, (told,) = decoded(tmp_path, patched(DAMAGED["AAC"], *damage))
    assert x.size < NOISE[0].size / 4
    assert re.search(r"holds 0\.\d\d s: its edit list leaves out [12]\.\d\d s", told)


def test_an_index_of_more_than_a_damaged_header_lets_be_read_is_told(tmp_path):
    x, _, (told,) = decoded(tmp_path, DAMAGED["AAC"].replace(b"mdhd", b"mdh\x0c"))
    assert x.size < NOISE[0].size / 4
    assert "its header contradicts itself" in told


@pytest.mark.parametrize("form", ["WAV", "WAVEX", "RF64"])
def test_a_header_of_channels_that_are_not_there_is_told(tmp_path, form):
    content = patched(of(form, "PCM_16"), b"fmt ", (6, b"\x05"))
    x, _, (told, *_) = decoded(tmp_path, content)
    assert x.size == TONE.size // 5
    assert "its header contradicts itself" in told


def test_what_libsndfile_refuses_of_its_own_kind_is_told(tmp_path, monkeypatch):
    """FFmpeg reads samples of any width, of 62 bits too; without libsndfile it is asked first."""
    _, decoder, (told,) = decoded(tmp_path, patched(WAV, b"fmt ", (18, b"\x3e")))
    assert (decoder, "its header may be damaged" in told) == ("FFmpeg", True)
    monkeypatch.setitem(sys.modules, "soundfile", None)
    for content in (WAV, of("OGG", "VORBIS")):
        x, decoder, told = decoded(tmp_path, content)
        assert (decoder, told) == ("FFmpeg", [])
        assert TONE.size <= x.size < TONE.size + BLOCK


def corrupted(content, random):
    """Cut, or with bytes that are others, or with parts that have changed places."""
    kind, most = random.integers(4), len(content)
    if kind == 0:
        return content[: random.integers(1, most)]
    if kind < 3:
        changed = bytearray(content)
        for at in random.integers(0, most if kind == 1 else 200, random.integers(1, 9)):
            changed[at] = random.integers(256)
        return bytes(changed)
    a, b, c, d = sorted(random.integers(0, most, 4))
    return content[:a] + content[c:d] + content[b:c] + content[a:b] + content[d:]


@pytest.mark.long
@pytest.mark.parametrize("name", DAMAGED)
def test_no_corruption_loses_sound_without_a_word(tmp_path, name, capfd):
    path, outcomes = tmp_path / "sound", set()
    for seed in range(CORRUPTIONS):
        path.write_bytes(corrupted(DAMAGED[name], np.random.default_rng([seed, len(name)])))
        begin = time.process_time()
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            try:
                x, rate = read(path, channel=0)
                refused = ""
            except (OSError, ValueError) as error:
                refused = str(error)
        assert time.process_time() - begin < 10, seed
        if refused:
            outcomes.add("refused")
            assert re.fullmatch(rf"(channel must .*)?path={path} [^\n<>]+", refused), seed
        elif any("holds" in str(each.message) for each in told):
            outcomes.add("told")
        else:
            outcomes.add("right")
            assert x.size >= NOISE[0].size - BLOCK, seed
    assert "told" in outcomes
    assert len(outcomes) > 1
    assert "Traceback" not in capfd.readouterr().err
