"""Sounds: read from a file, written to a file, and played in a page."""

from __future__ import annotations

import base64
import html
import io
import os
import re
from collections.abc import Mapping, Sequence
from functools import reduce
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.io import wavfile

from cdlnmf_lit.methods.decomposition import written_aside
from cdlnmf_lit.theory import arguments

if TYPE_CHECKING:
    from IPython.display import HTML

SUBTYPES = {".flac": "PCM_24", ".mp3": "MPEG_LAYER_III", ".ogg": "VORBIS"}
SUFFIXES = (".wav", *SUBTYPES)
MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
SMALL_MP3 = {"bitrate_mode": "VARIABLE", "compression_level": 0.8}
PLAYED_PEAK = 0.9
PICTURE_SIZE = (320, 64)
PICTURE_WINDOW = 512
PICTURE_DEPTH = 60.0
PICTURE_QUALITY = 60
CAPTION = "margin: 0; color: inherit; font-weight: normal; text-align: left"
UNKNOWN_SIZE = 0xFFFFFFFF


def read(
    path: str | os.PathLike[str], channel: int | str | None = None
) -> tuple[NDArray[np.float64], int]:
    """Read a WAV, FLAC, MP3 or OGG file as one channel of real numbers.

    Parameters
    ----------
    path
        The sound file.
    channel
        Which channel of a file with several: 0, 1, ... or ``"mean"``, their average.

    Returns
    -------
    x : (T,) float64
        The samples; full scale is 1.
    sample_rate : int
        In Hz.

    Raises
    ------
    OSError
        If the file is missing, is no sound, or ends before the length that it states.
    ValueError
        If it holds no sample or one that is not finite, or if ``channel`` does not choose one
        of its channels.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     write(f"{folder}/tone.wav", np.array([0.0, 0.5, -0.5]), 22050)
    ...     read(f"{folder}/tone.wav")
    (array([ 0. ,  0.5, -0.5]), 22050)
    """
    import soundfile

    path = Path(path)
    encoded = path.read_bytes()
    if not encoded:
        raise ValueError(f"path={path} must hold sound, but the file is empty")
    truncated = OSError(f"path={path} must be a whole sound file, but it is truncated")
    if _is_cut(encoded):
        raise truncated
    try:
        with soundfile.SoundFile(io.BytesIO(encoded)) as file:
            samples, sample_rate = file.read(always_2d=True), int(file.samplerate)
            promised = file.frames
    except soundfile.SoundFileError as error:
        raise OSError(
            f"path={path} must be a WAV, FLAC, MP3 or OGG file that is whole, but: {error}"
        ) from error
    if len(samples) < promised:
        raise truncated
    if len(samples) == 0:
        raise ValueError(f"path={path} must hold sound, but it has no samples")
    x = _one_channel(samples, channel, path)
    return arguments.signal(x, f"path={path}"), sample_rate


def write(path: str | os.PathLike[str], x: ArrayLike, sample_rate: int) -> None:
    """Write a sound in the format that the suffix names, whole or not at all.

    The samples are never scaled. ``.wav`` holds 32-bit floats and so any level, the same bytes
    for the same sound. ``.flac`` (24 bits), ``.mp3`` and ``.ogg`` hold levels up to 1.

    Parameters
    ----------
    path
        The file to write; one that is there is replaced at the end.
    x : (T,) float
        The samples.
    sample_rate
        In Hz.

    Raises
    ------
    ValueError
        If ``x`` is no signal, exceeds full scale where the format cannot hold it, or the suffix
        or the rate is none that can be written.
    OSError
        If the folder cannot be written to.

    Examples
    --------
    >>> write("loud.mp3", np.array([0.0, 1.5]), 22050)
    Traceback (most recent call last):
        ...
    ValueError: x must lie within [-1, 1] for .mp3, got a peak of 1.5: scale it or write .wav
    """
    path = Path(path)
    suffix = arguments.choice(path.suffix.lower(), "the suffix of path", SUFFIXES)
    x = arguments.signal(x)
    sample_rate = arguments.integer(sample_rate, "sample_rate")
    if suffix != ".wav" and (peak := np.max(np.abs(x))) > 1:
        raise ValueError(
            f"x must lie within [-1, 1] for {suffix}, got a peak of {peak:.3g}: "
            "scale it or write .wav"
        )
    encoded = _encoded(x, sample_rate, suffix)
    with written_aside(path) as aside:
        aside.write_bytes(encoded)


def player(x: ArrayLike, sample_rate: int, label: str) -> HTML:
    """Return a labelled player that carries the sound, scaled to a common listening level.

    Parameters
    ----------
    x : (T,) float
        The samples.
    sample_rate
        In Hz.
    label
        Its caption, and its name for those who listen to the page.

    Raises
    ------
    ValueError
        If ``x`` is no signal, the rate is not positive or the label is empty.

    Examples
    --------
    >>> tone = np.sin(2 * np.pi * 440 * np.arange(2205) / 22050)
    >>> player(tone, 22050, "A, 440 Hz").data[:50]
    '<div class="sounds"><figure style="margin: 0.5em 0'
    """
    return players({label: x}, sample_rate)


def players(sounds: Mapping[str, ArrayLike], sample_rate: int) -> HTML:
    """Return one player for each labelled sound, all scaled by the same gain.

    The gain takes the largest peak of the set to 0.9, so the levels compare.

    Parameters
    ----------
    sounds
        Label to samples ``(T,)``.
    sample_rate
        In Hz.

    Raises
    ------
    ValueError
        If there is no sound, one is no signal, the rate is not positive or a label is empty.
    """
    if not sounds:
        raise ValueError("sounds must hold at least one sound, got none")
    if not all(label.strip() for label in sounds):
        raise ValueError(f"sounds must have labels to be told apart by, got {list(sounds)}")
    sample_rate = arguments.integer(sample_rate, "sample_rate")
    signals = {label: arguments.signal(x, label) for label, x in sounds.items()}
    played = zip(signals, _at_one_gain(list(signals.values())), strict=True)
    return _shown("".join(_figure(x, sample_rate, label) for label, x in played))


def board(
    rows: Mapping[str, ArrayLike],
    columns: Sequence[str],
    sample_rate: int,
    *,
    highest_frequency: float = 4000.0,
) -> HTML:
    """Return players under spectrograms, a row for each method, a column for each source.

    All are scaled by the same gain, which takes the largest peak of the table to 0.9, and all
    spectrograms share their colours: 60 dB, down from the loudest of all. In the built page one
    sound plays at a time, another goes on where that one was, and a click in a spectrogram plays
    from there.

    Parameters
    ----------
    rows
        Name of a row to its sounds (S, T), one a column.
    columns
        Names of the sources.
    sample_rate
        In Hz.
    highest_frequency
        Where the spectrograms end, in Hz, or at half the sampling rate.

    Raises
    ------
    ValueError
        If there is no row, or one has not a sound for each column.

    Examples
    --------
    >>> table = board({"truth": np.ones((2, 2205))}, ["low", "high"], 22050)
    >>> table.data.count("<audio"), table.data.count("<img"), "low: truth" in table.data
    (2, 2, True)

    References
    ----------
    Chapter: ``book/experiments/piano.md``.
    """
    if not rows:
        raise ValueError("rows must hold at least one row, got none")
    sample_rate = arguments.integer(sample_rate, "sample_rate")
    sounds = {name: arguments.array(row, name, 2) for name, row in rows.items()}
    from cdlnmf_lit.presentation.levels import levels_of

    for name, row in sounds.items():
        if len(row) != len(columns):
            raise ValueError(f"{name} must have {len(columns)} sounds, got {len(row)}")
    played = dict(zip(sounds, _at_one_gain(list(sounds.values())), strict=True))
    levels = {name: [levels_of(x, PICTURE_WINDOW) for x in row] for name, row in played.items()}
    top = float(max(np.max(each) for row in levels.values() for each in row))
    highest = highest_frequency / sample_rate

    def cell(name: str, column: str, n: int) -> str:
        label = f"{column}: {name}"
        picture = _picture(levels[name][n], top, highest, label)
        return f"<td>{picture}{_audio(played[name][n], sample_rate, label)}</td>"

    head = "".join(f'<th scope="col">{html.escape(column)}</th>' for column in columns)
    lines = (
        f'<tr><th scope="row">{html.escape(name)}</th>'
        + "".join(cell(name, column, n) for n, column in enumerate(columns))
        + "</tr>"
        for name in sounds
    )
    return _shown(
        f"<table><thead><tr><td></td>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
    )


def _at_one_gain(sounds: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
    """Scale sounds so that the largest peak of all is that of what is played."""
    peak = max(float(np.max(np.abs(x))) for x in sounds) or 1.0
    return [PLAYED_PEAK * (x / peak) for x in sounds]


def _shown(text: str) -> HTML:
    from IPython.display import HTML

    return HTML(f'<div class="sounds">{text}</div>')  # type: ignore[no-untyped-call]


def _picture(levels: NDArray[Any], top: float, highest: float, label: str) -> str:
    """Return a small spectrogram, up to the share ``highest`` of the sampling rate."""
    from matplotlib import colormaps
    from PIL import Image

    from cdlnmf_lit.presentation.plotting import STYLE

    bins = max(2, round(highest * 2 * (len(levels) - 1)))
    shades = np.clip(1 + (levels[bins::-1] - top) / PICTURE_DEPTH, 0, 1)
    pixels = colormaps[STYLE["image.cmap"]](shades, bytes=True)[..., :3]
    buffer = io.BytesIO()
    image = Image.fromarray(pixels).resize(PICTURE_SIZE, Image.Resampling.BOX)
    image.save(buffer, "webp", quality=PICTURE_QUALITY, method=6)
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    return (
        f'<div class="scope"><img alt="Spectrogram of {html.escape(label)}" '
        f'style="width: 100%; height: 4em" src="data:image/webp;base64,{data}"></div>'
    )


def _one_channel(
    samples: NDArray[np.float64], channel: int | str | None, path: Path
) -> NDArray[np.float64]:
    """Return the chosen column of ``samples`` (T, channels)."""
    count = samples.shape[1]
    choices = [*range(count), "mean"]
    if channel is None and count == 1:
        return samples[:, 0]
    if channel is None or isinstance(channel, bool) or channel not in choices:
        names = ", ".join(f"channel={choice!r}" for choice in choices)
        raise ValueError(
            f"channel must choose one of the {count} channel(s) of path={path}, got {channel!r}: "
            f"pass {names}"
        )
    return samples.mean(axis=1) if channel == "mean" else samples[:, int(channel)]


def _is_cut(encoded: bytes) -> bool:
    """Tell whether a file ends before its own header, or its last page, says that it does.

    libsndfile reads what there is of a WAV, MP3 or OGG file and says nothing.
    """
    if encoded.startswith(b"RIFF"):
        return _is_cut_wav(encoded)
    if encoded.startswith(b"OggS"):
        return _is_cut_ogg(encoded)
    return _is_cut_mp3(encoded)


def _is_cut_wav(encoded: bytes) -> bool:
    """Compare the size that the data chunk states with the bytes that follow."""
    position = 12
    while position + 8 <= len(encoded):
        name, size = encoded[position : position + 4], _integer(encoded, position + 4, "little")
        position += 8
        if name == b"data":
            return size != UNKNOWN_SIZE and position + size > len(encoded)
        position += size + size % 2
    return True


def _is_cut_ogg(encoded: bytes) -> bool:
    """Look for a last page that is whole and marked as the end of the stream."""
    page = encoded.rfind(b"OggS")
    header = encoded[page : page + 27]
    if len(header) < 27:
        return True
    segments = encoded[page + 27 : page + 27 + header[26]]
    end = page + 27 + header[26] + sum(segments)
    return not header[5] & 4 or end > len(encoded)


def _is_cut_mp3(encoded: bytes) -> bool:
    """Compare the size in the Xing tag of the first frame, if it has one, with the file's."""
    start = 0
    if encoded.startswith(b"ID3"):
        start = 10 + reduce(lambda total, byte: 128 * total + byte, encoded[6:10], 0)
    tag = re.search(b"Xing|Info", encoded[start : start + 200])
    if tag is None:
        return False
    flags = _integer(encoded, start + tag.end(), "big")
    stated = _integer(encoded, start + tag.end() + (8 if flags & 1 else 4), "big")
    return bool(flags & 2) and start + stated > len(encoded)


def _integer(encoded: bytes, position: int, order: Literal["little", "big"]) -> int:
    return int.from_bytes(encoded[position : position + 4], order)


def _encoded(x: NDArray[Any], sample_rate: int, suffix: str, **options: Any) -> bytes:
    """Return ``x`` as a sound file: SciPy writes WAV, without the date that libsndfile adds."""
    buffer = io.BytesIO()
    if suffix == ".wav":
        wavfile.write(buffer, sample_rate, x.astype(np.float32))
        return buffer.getvalue()
    import soundfile

    try:
        format_ = suffix.removeprefix(".").upper()
        soundfile.write(buffer, x, sample_rate, SUBTYPES[suffix], format=format_, **options)
    except soundfile.SoundFileError as error:
        raise ValueError(
            f"sample_rate must be one that {suffix} can hold, got {sample_rate}: write .wav"
        ) from error
    return buffer.getvalue()


def _figure(x: NDArray[Any], sample_rate: int, label: str) -> str:
    """Return a player as HTML, with its caption."""
    return (
        f'<figure style="margin: 0.5em 0"><figcaption style="{CAPTION}">{html.escape(label)}'
        f"</figcaption>{_audio(x, sample_rate, label)}</figure>"
    )


def _audio(x: NDArray[Any], sample_rate: int, label: str) -> str:
    """Return the player alone, with the sound as MP3, or as WAV.

    WAV it is at a rate that MP3 has not, and without soundfile, as in a browser's Python.
    """
    if sample_rate in MP3_RATES and find_spec("soundfile"):
        kind, encoded = "mpeg", _encoded(x, sample_rate, ".mp3", **SMALL_MP3)
    else:
        buffer = io.BytesIO()
        wavfile.write(buffer, sample_rate, np.round(x * 32767).astype(np.int16))
        kind, encoded = "wav", buffer.getvalue()
    data = base64.b64encode(encoded).decode("ascii")
    return (
        f'<audio controls preload="metadata" style="width: 100%; max-width: 30em" '
        f'aria-label="{html.escape(label)}" src="data:audio/{kind};base64,{data}"></audio>'
    )
