"""Sounds, played in a page."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.io import wavfile

from cdlnmf_lit.recordings.writing import encoded
from cdlnmf_lit.theory import arguments

if TYPE_CHECKING:
    from IPython.display import HTML

MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
SMALL_MP3 = {"bitrate_mode": "VARIABLE", "compression_level": 0.8}
PLAYED_PEAK = 0.9
PICTURE_SIZE = (320, 64)
PICTURE_WINDOW = 512
PICTURE_DEPTH = 60.0
PICTURE_QUALITY = 60
CAPTION = "margin: 0; color: inherit; font-weight: normal; text-align: left"


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
    words: Mapping[str, Sequence[str]] | None = None,
) -> HTML:
    """Return players under spectrograms, a row for each method, a column for each source.

    All are scaled by the same gain, which takes the largest peak of the table to 0.9, and all
    spectrograms share their colours: 60 dB, down from the loudest of all. What is softer than that
    has no player. In the built page one sound plays at a time, another goes on where that one was,
    and a click in a spectrogram plays from there.

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
    words
        Name of a row to what is said of each of its sounds, as how well it is found.

    Raises
    ------
    ValueError
        If there is no row, or one has not a sound, or a word, for each column.

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
    said = dict.fromkeys(sounds, [""] * len(columns)) | dict(words or {})
    for name, each in said.items():
        if name not in sounds or len(each) != len(columns):
            raise ValueError(f"words must be {len(columns)} for a row, got {name}: {list(each)}")
    played = dict(zip(sounds, _at_one_gain(list(sounds.values())), strict=True))
    levels = {name: [levels_of(x, PICTURE_WINDOW) for x in row] for name, row in played.items()}
    top = float(max(np.max(each) for row in levels.values() for each in row))
    highest = highest_frequency / sample_rate

    def cell(name: str, column: str, n: int) -> str:
        label, word = f"{column}: {name}", html.escape(said[name][n])
        if levels[name][n].max() < top - PICTURE_DEPTH:
            return f"<td>{word} <i>silent</i></td>"
        picture = _picture(levels[name][n], top, highest, label, word)
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


def _picture(levels: NDArray[Any], top: float, highest: float, label: str, word: str) -> str:
    """Return a small spectrogram, up to the share ``highest`` of the sampling rate, and a word."""
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
    above = f"<small>{word}</small>" if word else ""
    return (
        f'<div class="scope">{above}<img alt="Spectrogram of {html.escape(label)}" '
        f'style="width: 100%; height: 4em" src="data:image/webp;base64,{data}"></div>'
    )


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
        kind, content = "mpeg", encoded(x, sample_rate, ".mp3", **SMALL_MP3)
    else:
        buffer = io.BytesIO()
        wavfile.write(buffer, sample_rate, np.round(x * 32767).astype(np.int16))
        kind, content = "wav", buffer.getvalue()
    data = base64.b64encode(content).decode("ascii")
    return (
        f'<audio controls preload="metadata" style="width: 100%; max-width: 30em" '
        f'aria-label="{html.escape(label)}" src="data:audio/{kind};base64,{data}"></audio>'
    )
