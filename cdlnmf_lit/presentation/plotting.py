"""Figures: spectrograms, the components of a decomposition, its convergence.

Each function returns a figure that shows itself at the end of a cell. None touches
``matplotlib.pyplot`` or its state.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from math import ceil
from typing import TYPE_CHECKING, Any, cast

import matplotlib as mpl
import numpy as np
import scipy.fft
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, NullLocator
from numpy.typing import ArrayLike, NDArray

from cdlnmf_lit.presentation.figures import FORMS, STATIC, forms, saved
from cdlnmf_lit.presentation.levels import SILENCE, draw_levels, levels_of
from cdlnmf_lit.theory import arguments

if TYPE_CHECKING:
    from cdlnmf_lit.methods.decomposition import Decomposition

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#E69F00")
"""Okabe and Ito's colours that stand out from white, whatever the reader's colour vision."""

STYLE: dict[Any, Any] = {
    "axes.prop_cycle": cycler(color=COLOURS, linestyle=["-", "--", "-.", ":", "-", "--"]),
    "axes.edgecolor": "#404040",
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 10,
    "figure.constrained_layout.use": True,
    "figure.dpi": 144,
    "figure.facecolor": "white",
    "font.size": 9,
    "grid.color": "#d8d8d8",
    "image.cmap": "magma",
    "legend.frameon": False,
    "lines.linewidth": 1.3,
    "savefig.facecolor": "white",
}
"""Dark ink on an opaque white card, which reads the same on a light page and on a dark one."""

MARKERS = ("o", "s", "^", "D", "v", "P")
WIDTH = 7.2
LARGEST_BOARD = 24
BOARD_WINDOW = 2048
AUDIBLE = 60
MOST_POINTS = 600
LEVEL = "level (dB re full-scale sine)"


class Card(Figure):
    """A figure that shows itself in a cell, with no need of ``matplotlib.pyplot``.

    Examples
    --------
    >>> Card()._repr_png_()[1:4]
    b'PNG'
    """

    def _repr_png_(self) -> bytes:
        return saved(self, "png")

    def _repr_mimebundle_(self, **_: object) -> tuple[dict[str, bytes], dict[str, Any]]:
        picture = {"image/png": self._repr_png_()}
        return picture, {FORMS: forms(self)} if os.environ.get(STATIC) else {}


def style() -> AbstractContextManager[None]:
    """Return a context in which figures take the book's style.

    Examples
    --------
    >>> with style():
    ...     mpl.rcParams["image.cmap"]
    'magma'
    """
    return mpl.rc_context(STYLE)


def spectrogram(
    x: ArrayLike,
    sample_rate: int,
    ax: Axes | None = None,
    *,
    title: str = "",
    window_length: int = 2048,
    highest_frequency: float | None = None,
    highest_level: float | None = None,
    depth: float = 80,
) -> Figure:
    r"""Draw the spectrogram of a signal, in dB over seconds and kHz.

    .. math:: 10 \log_{10} \frac{4 |X[τ, ν]|^2}{(\sum_t g[t])^2}

    with a Hann window ``g`` and frames a quarter of it apart, so that a sine of amplitude 1 stands
    at 0 dB. Of more frames than a page can show, the powers of neighbours are averaged.

    Parameters
    ----------
    x : (T,) float
        The signal.
    sample_rate
        In Hz.
    ax
        The axes to draw in. By default a new figure, with a colour bar.
    title
        Over the picture.
    window_length
        ``T_g`` in samples.
    highest_frequency
        Where the picture ends, in Hz. By default half the sampling rate.
    highest_level
        The brightest level, in dB. By default the largest one there is.
    depth
        From the brightest level down to the darkest, in dB.

    Raises
    ------
    ValueError
        If ``x`` is no signal, or an argument is not a positive number.

    Examples
    --------
    >>> tone = np.sin(2 * np.pi * 440 * np.arange(22050) / 22050)
    >>> figure = spectrogram(tone, 22050, highest_frequency=1000)
    >>> figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()
    ('time (s)', 'frequency (kHz)')

    References
    ----------
    Equation (3) of the paper. Chapter: ``book/experiments/piano.md``.
    """
    x = arguments.signal(x)
    sample_rate = arguments.integer(sample_rate, "sample_rate")
    window_length = arguments.integer(window_length, "window_length", at_least=2)
    highest = _highest(highest_frequency, sample_rate)
    depth = _positive(depth, "depth")
    with style():
        axes = Card(figsize=(WIDTH, 2.8)).add_subplot() if ax is None else ax
        levels = levels_of(x, window_length)
        top = float(levels.max()) if highest_level is None else highest_level
        image = draw_levels(axes, levels, len(x), sample_rate, top, depth)
        axes.set(title=title, xlabel="time (s)", ylabel="frequency (kHz)")
        axes.set_ylim(0, highest)
        if ax is None:
            axes.figure.colorbar(image, ax=axes, label=LEVEL, pad=0.01)
    return cast(Figure, axes.figure)


def components(
    decomposition: Decomposition,
    sample_rate: int,
    *,
    highest_frequency: float | None = None,
    depth: float = 80,
) -> Figure:
    """Draw a board with one row a component: its spectrum, its activations, its spectrogram.

    All rows share their axes and their colours, so they compare: an atom's spectrum stands below
    its own largest level, its activations are multiplied by its norm. Of more than 24 components
    the 24 with most energy are drawn.

    Parameters
    ----------
    decomposition
        What a method returned.
    sample_rate
        In Hz.
    highest_frequency
        Where the pictures end, in Hz. By default above the last level that is within 60 dB of
        the largest one.
    depth
        From the brightest level down to the darkest, in dB.

    Raises
    ------
    ValueError
        If an argument is not a positive number.

    References
    ----------
    Figures 3 and 4 of the paper. Chapter: ``book/experiments/piano.md``.
    """
    sample_rate = arguments.integer(sample_rate, "sample_rate")
    if highest_frequency is not None:
        _positive(highest_frequency, "highest_frequency")
    depth = _positive(depth, "depth")
    count, n_samples = decomposition.n_components, len(decomposition.residual)
    sounds = (decomposition.component(k) for k in range(count))
    energies, spectrograms = zip(
        *((float(sound @ sound), levels_of(sound, BOARD_WINDOW)) for sound in sounds), strict=True
    )
    drawn = np.sort(np.argsort(-np.array(energies), kind="stable")[:LARGEST_BOARD])
    peaks = np.max([levels.max(axis=1) for levels in spectrograms], axis=0)
    top = float(peaks.max())
    last = int(np.flatnonzero(peaks >= top - AUDIBLE)[-1]) + 1
    highest = _highest(highest_frequency or sample_rate * last / BOARD_WINDOW, sample_rate)
    start, spacing = decomposition.first_sample / sample_rate, decomposition.hop / sample_rate
    visible = slice(max(0, -(decomposition.first_sample // decomposition.hop)), None)
    seen: list[NDArray[np.floating]] = []
    with style():
        figure = Card(figsize=(WIDTH, 1.2 + 0.9 * len(drawn)))
        board = figure.subplots(
            len(drawn), 3, sharex="col", sharey="col", squeeze=False, width_ratios=[2, 3, 3]
        )
        for k, (left, middle, right) in zip(drawn, board, strict=True):
            left.set_ylabel(f"component {k + 1}")
            power, strength = _power(decomposition, k)
            _draw_spectrum(left, power, sample_rate, depth)
            activation = strength * decomposition.activations[k]
            _draw_envelope(middle, activation, start, spacing)
            seen.append(activation[visible])
            image = draw_levels(right, spectrograms[k], n_samples, sample_rate, top, depth)
        first = "spectrum (dB)" if decomposition.atoms is None else "atom (dB)"
        titles = (first, "activations", "spectrogram (kHz)")
        for column, title in zip(board.T, titles, strict=True):
            column[0].set_title(title)
            column[-1].set_xlabel("time (s)")
        board[-1, 0].set_xlabel("frequency (kHz)")
        board[0, 0].set(xlim=(0, highest), ylim=(-depth, 5))
        board[0, 1].set_xlim(0, n_samples / sample_rate)
        # What is drawn before the signal begins is not seen, and sets no scale.
        reach = 1.05 * float(np.max(np.abs(seen), initial=0))
        if reach:
            board[0, 1].set_ylim(-reach if np.min(seen) < 0 else -0.05 * reach, reach)
        board[0, 2].set_ylim(0, highest)
        figure.colorbar(image, ax=board, label=LEVEL, pad=0.01, aspect=15 * len(drawn))
    return figure


def history(
    curves: Mapping[str, ArrayLike], label: str, ax: Axes | None = None, *, title: str = ""
) -> Figure:
    """Draw named curves against the iteration; on a logarithmic scale if they span a decade.

    Parameters
    ----------
    curves
        Name to values (I,), one an iteration.
    label
        What the values are, with their unit.
    ax
        The axes to draw in. By default a new figure.
    title
        Over the picture.

    Raises
    ------
    ValueError
        If there is no curve, or one is no row of finite numbers.

    Examples
    --------
    >>> figure = history({"unit": [1.0, 0.5], "accelerated": [1.0, 0.05]}, "objective")
    >>> figure.axes[0].get_yscale()
    'log'

    References
    ----------
    Chapter: ``book/methods/algorithm_1.md``.
    """
    if not curves:
        raise ValueError("curves must hold at least one curve, got none")
    values = {name: arguments.signal(curve, name) for name, curve in curves.items()}
    with style():
        axes = Card(figsize=(WIDTH, 2.8)).add_subplot() if ax is None else ax
        for name, curve in values.items():
            axes.plot(curve, label=name)
        lowest, highest = (end(list(map(end, values.values()))) for end in (np.min, np.max))
        if 0 < 10 * lowest < highest:
            axes.set_yscale("log")
            few_decades = highest < 1000 * lowest
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if few_decades else (1,)))
            axes.yaxis.set_major_formatter("{x:g}")
            axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set(title=title, xlabel="iteration", ylabel=label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
        axes.grid(linewidth=0.5)
        if len(values) > 1:
            axes.legend()
    return cast(Figure, axes.figure)


def convergence(decomposition: Decomposition) -> Figure:
    """Draw what a method recorded at each iteration, one panel a quantity.

    Parameters
    ----------
    decomposition
        What a method returned.

    Raises
    ------
    ValueError
        If its history is empty.

    References
    ----------
    Chapter: ``book/methods/algorithm_1.md``.
    """
    if not decomposition.history:
        raise ValueError("decomposition.history must hold at least one record, got none")
    with style():
        figure = Card(figsize=(WIDTH, 2.6))
        panels = figure.subplots(1, len(decomposition.history), squeeze=False)[0]
        for ax, (name, curve) in zip(panels, decomposition.history.items(), strict=True):
            history({name: curve}, name.replace("_", " "), ax)
    return figure


def board(
    rows: Mapping[str, ArrayLike],
    columns: Sequence[str],
    sample_rate: int,
    *,
    highest_frequency: float | None = None,
    depth: float = 60,
) -> Figure:
    """Draw spectrograms on a board: a row for each method, a column for each source.

    All share their axes and their colours. What is silent, or was not found, stays dark.

    Parameters
    ----------
    rows
        Name of a row to its sounds (S, T), one a column.
    columns
        Names of the sources.
    sample_rate
        In Hz.
    highest_frequency
        Where the pictures end, in Hz. By default half the sampling rate.
    depth
        From the brightest level down to the darkest, in dB.

    Raises
    ------
    ValueError
        If there is no row, or one has not a sound for each column.

    Examples
    --------
    >>> figure = board({"truth": np.ones((2, 4000))}, ["low", "high"], 8000)
    >>> [ax.get_title() for ax in figure.axes[:2]], figure.axes[0].get_ylabel()
    (['low', 'high'], 'truth')

    References
    ----------
    Figures 3 and 4 of the paper. Chapter: ``book/experiments/piano.md``.
    """
    sounds = _table(rows, columns)
    sample_rate = arguments.integer(sample_rate, "sample_rate")
    highest = _highest(highest_frequency, sample_rate)
    depth = _positive(depth, "depth")
    with style():
        figure = Card(figsize=(WIDTH, 0.7 + 0.95 * len(sounds)))
        panels = figure.subplots(len(sounds), len(columns), sharex=True, sharey=True, squeeze=False)
        levels = {name: [levels_of(x, BOARD_WINDOW) for x in row] for name, row in sounds.items()}
        top = float(max(np.max(each) for row in levels.values() for each in row))
        for line, (name, row) in zip(panels, levels.items(), strict=True):
            line[0].set_ylabel(name)
            for ax, each in zip(line, row, strict=True):
                n_samples = np.shape(sounds[name])[1]
                image = draw_levels(ax, each, n_samples, sample_rate, top, depth)
                ax.spines[:].set_visible(True)  # what is silent is black, on a dark page too
        for ax, name in zip(panels[0], columns, strict=True):
            ax.set_title(name)
        panels[0, 0].set_ylim(0, highest)
        figure.supxlabel("time (s)", fontsize=9)
        figure.supylabel("frequency (kHz)", fontsize=9)
        figure.colorbar(image, ax=panels, label=LEVEL, pad=0.01, aspect=12 * len(sounds))
    return figure


def shares(
    rows: Mapping[str, ArrayLike],
    columns: Sequence[str],
    label: str,
    *,
    top: float = 1.0,
    form: str = "{:.2f}",
    ax: Axes | None = None,
) -> Figure:
    """Draw a table of numbers as tiles, the lighter the larger, each with its number.

    Parameters
    ----------
    rows
        Name of a row to its values (S,), from 0 to ``top``.
    columns
        Names of the values.
    label
        What the values are.
    top
        The lightest value.
    form
        How a number is written.
    ax
        The axes to draw in. By default a new figure.

    Raises
    ------
    ValueError
        If there is no row, or one has not a value for each column.

    Examples
    --------
    >>> figure = shares({"NMF": [1.0, 0.2]}, ["low", "high"], "share of seeds")
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['1.00', '0.20']

    References
    ----------
    Chapter: ``book/experiments/piano.md``.
    """
    values = _table(rows, columns)
    with style():
        height = 0.8 + 0.3 * len(values)
        axes = Card(figsize=(WIDTH, height)).add_subplot() if ax is None else ax
        table = np.array(list(values.values()))
        axes.imshow(table, cmap="cividis", vmin=0, vmax=_positive(top, "top"), aspect="auto")
        for (row, column), value in np.ndenumerate(table):
            colour = "white" if value < 0.6 * top else "black"
            axes.text(column, row, form.format(value), ha="center", va="center", color=colour)
        axes.set_xticks(range(len(columns)), columns)
        axes.set_yticks(range(len(values)), list(values))
        axes.set_title(label)
        axes.tick_params(length=0)
    return cast(Figure, axes.figure)


def spread(
    rows: Mapping[str, ArrayLike],
    columns: Sequence[str],
    label: str,
    *,
    lowest: float | None = None,
) -> Figure:
    """Draw every value of a table over seeds: a line for each row, a dot for each seed and source.

    Parameters
    ----------
    rows
        Name of a row to its values (R, S): a row a seed, a column a source.
    columns
        Names of the sources.
    label
        What the values are, with their unit.
    lowest
        Values below are drawn there, as arrows to the left.

    Raises
    ------
    ValueError
        If there is no row, or one has not a value for each source.

    Examples
    --------
    >>> figure = spread({"NMF": [[1.0, 2.0], [3.0, 4.0]]}, ["low", "high"], "SI-SDR (dB)")
    >>> [line.get_xdata().tolist() for line in figure.axes[0].lines[:2]]
    [[1.0, 3.0], [2.0, 4.0]]

    References
    ----------
    Chapter: ``book/experiments/piano.md``.
    """
    values = _table({name: np.transpose(each) for name, each in rows.items()}, columns)
    with style():
        axes = Card(figsize=(WIDTH, 0.9 + 0.34 * len(values))).add_subplot()
        for row, table in enumerate(values.values()):
            for column, each in enumerate(table):
                floor = -np.inf if lowest is None else lowest
                low = each < floor
                place = row + 0.6 * ((column + 0.5) / len(columns) - 0.5)
                colour, marker = COLOURS[column % len(COLOURS)], MARKERS[column % len(MARKERS)]
                dots: dict[str, Any] = {
                    "color": colour,
                    "linestyle": "none",
                    "markersize": 4.5,
                    "alpha": 0.8,
                }
                axes.plot(
                    each[~low],
                    np.full(np.sum(~low), place),
                    marker=marker,
                    label=columns[column] if row == 0 else None,
                    **dots,
                )
                if np.any(low):
                    axes.plot(np.full(np.sum(low), lowest), [place] * np.sum(low), "<", **dots)
        axes.set_yticks(range(len(values)), list(values))
        axes.set_ylim(len(values) - 0.5, -0.5)
        for row in range(1, len(values)):
            axes.axhline(row - 0.5, color="#d8d8d8", linewidth=0.5, linestyle="-")
        axes.set_xlabel(label)
        axes.grid(axis="x", linewidth=0.5)
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=len(columns))
    return cast(Figure, axes.figure)


def trend(
    x: ArrayLike,
    curves: Mapping[str, ArrayLike],
    xlabel: str,
    label: str,
    ax: Axes | None = None,
    *,
    title: str = "",
) -> Figure:
    """Draw curves over a logarithmic axis: the mean over seeds, and from the least to the most.

    Parameters
    ----------
    x
        (P,) positive positions.
    curves
        Name to values (P, R), a column a seed; not-a-number where there is none.
    xlabel, label
        What ``x`` and the values are, with their units.
    ax
        The axes to draw in. By default a new figure.
    title
        Over the picture.

    Raises
    ------
    ValueError
        If a position is not positive, there is no curve, or one has not a row for each position.

    Examples
    --------
    >>> figure = trend([1, 8], {"NMF": [[1.0, 3.0], [2.0, 2.0]]}, "hop (samples)", "SI-SDR (dB)")
    >>> figure.axes[0].lines[0].get_ydata().tolist()
    [2.0, 2.0]

    References
    ----------
    Chapter: ``book/experiments/overlap.md``.
    """
    positions = arguments.signal(np.asarray(x, dtype=float), "x")
    if positions.min() <= 0:
        raise ValueError(f"x must be positive, got {positions.min()}")
    values = _table(curves, positions.tolist(), finite=False)
    with style():
        axes = Card(figsize=(WIDTH, 3.0)).add_subplot() if ax is None else ax
        for number, (name, table) in enumerate(values.items()):
            there = np.all(np.isfinite(table), axis=1)
            marker = MARKERS[number % len(MARKERS)]
            middle = table[there].mean(axis=1)
            (line,) = axes.plot(positions[there], middle, marker=marker, markersize=4, label=name)
            low, high = table[there].min(axis=1), table[there].max(axis=1)
            axes.fill_between(positions[there], low, high, color=line.get_color(), alpha=0.15)
        axes.set_xscale("log", base=2)
        axes.set_xticks(positions, [f"{p:g}" for p in positions], rotation=45)
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set(title=title, xlabel=xlabel, ylabel=label)
        axes.grid(linewidth=0.5)
        if len(values) > 1:
            axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return cast(Figure, axes.figure)


def _positive(value: float, name: str) -> float:
    if arguments.non_negative(value, name) == 0:
        raise ValueError(f"{name} must be positive, got {value!r}")
    return float(value)


def _table(
    rows: Mapping[str, ArrayLike], columns: Sequence[Any], *, finite: bool = True
) -> dict[str, NDArray[np.floating]]:
    """Return the rows as arrays, whose first axis has one entry a column."""
    if not rows:
        raise ValueError("rows must hold at least one row, got none")
    table = {}
    for name, row in rows.items():
        values = np.asarray(row, dtype=float)
        if values.ndim == 0 or len(values) != len(columns):
            shape = values.shape
            raise ValueError(f"{name} must have {len(columns)} entries, got the shape {shape}")
        if finite and not np.all(np.isfinite(values)):
            raise ValueError(f"{name} must be finite")
        table[name] = values
    return table


def _highest(frequency: float | None, sample_rate: int) -> float:
    """Return where a picture ends, in kHz."""
    highest = sample_rate / 2 if frequency is None else _positive(frequency, "highest_frequency")
    return min(highest, sample_rate / 2) / 1000


def _power(decomposition: Decomposition, k: int) -> tuple[NDArray[np.floating], float]:
    """Return the power spectrum of a component, up to a factor, and how strong its pattern is."""
    if decomposition.spectra is not None:
        w = np.atleast_2d(decomposition.spectra[k])
        exponent = 2 / decomposition.parameters.get("power", 1)
        return np.mean(w**exponent, axis=0), float(np.linalg.norm(w))
    atom = np.asarray(decomposition.atoms)[k]
    length = scipy.fft.next_fast_len(max(2 * len(atom), BOARD_WINDOW), real=True)
    return np.abs(scipy.fft.rfft(atom, length)) ** 2, float(np.linalg.norm(atom))


def _draw_spectrum(ax: Axes, power: NDArray[np.floating], sample_rate: int, depth: float) -> None:
    """Draw the levels of a spectrum from 0 Hz to the highest, below its own largest one."""
    levels = 10 * np.log10(np.maximum(power / (power.max() or 1), SILENCE))
    spacing = sample_rate / 2 / max(1, len(power) - 1) / 1000
    _draw_envelope(ax, np.maximum(levels, -2 * depth), 0, spacing)


def _draw_envelope(ax: Axes, y: NDArray[np.floating], start: float, spacing: float) -> None:
    """Draw a curve of any length: beyond a few hundred points, its range in each short stretch."""
    stretch = ceil(len(y) / MOST_POINTS)
    edges = np.arange(0, len(y), stretch)
    if stretch == 1:
        ax.plot(start + spacing * edges, y)
    else:
        low, high = np.minimum.reduceat(y, edges), np.maximum.reduceat(y, edges)
        ax.fill_between(
            start + spacing * edges, low, high, step="post", linewidth=0.7, edgecolor="face"
        )
