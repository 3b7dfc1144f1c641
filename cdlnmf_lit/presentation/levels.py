"""Levels of a spectrogram, and the picture of them."""

from __future__ import annotations

from math import ceil

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from numpy.typing import NDArray
from scipy.signal import get_window

from cdlnmf_lit.theory.blocks import frames

MOST_COLUMNS = 1000
SILENCE = 1e-20


def levels_of(x: NDArray[np.floating], window_length: int) -> NDArray[np.floating]:
    """The levels of a spectrogram, in dB re a full-scale sine.

    Parameters
    ----------
    x : (T,) float
        The signal.
    window_length
        In samples.

    Returns
    -------
    array (window_length // 2 + 1, columns)
        Of frames centred on samples.

    Examples
    --------
    >>> tone = np.sin(2 * np.pi * np.arange(4096) / 4)
    >>> levels = levels_of(tone, 64)
    >>> levels.shape, int(levels[:, 99].argmax()), int(levels[16, 99].round())
    ((33, 257), 16, 0)
    """
    g = get_window("hann", window_length)
    hop = hop_of(window_length)
    n_frames = 1 + len(x) // hop
    padded = np.pad(x, (window_length // 2, window_length))
    rows = frames(padded, window_length, hop)[:n_frames]
    pool = ceil(n_frames / MOST_COLUMNS)
    power = [
        np.mean(np.abs(np.fft.rfft(g * rows[n : n + pool])) ** 2, axis=0)
        for n in range(0, n_frames, pool)
    ]
    return 10 * np.log10(np.maximum(4 / np.sum(g) ** 2 * np.stack(power, 1), SILENCE))


def hop_of(window_length: int) -> int:
    """Samples from one column to the next."""
    return max(1, window_length // 4)


def draw_levels(
    ax: Axes,
    levels: NDArray[np.floating],
    n_samples: int,
    sample_rate: int,
    top: float,
    depth: float,
) -> AxesImage:
    """Show ``levels``, each cell around the second and the frequency that it stands for."""
    bins, columns = levels.shape
    window_length = 2 * (bins - 1)
    hop = hop_of(window_length)
    pool = ceil((1 + n_samples // hop) / MOST_COLUMNS)
    left, right = -hop / 2, (columns * pool - 0.5) * hop
    low, high = -0.5 / window_length, 0.5 + 0.5 / window_length
    image = ax.imshow(
        levels,
        aspect="auto",
        origin="lower",
        vmin=top - depth,
        vmax=top,
        extent=(
            left / sample_rate,
            right / sample_rate,
            low * sample_rate / 1000,
            high * sample_rate / 1000,
        ),
    )
    ax.set_xlim(0, n_samples / sample_rate)
    return image
