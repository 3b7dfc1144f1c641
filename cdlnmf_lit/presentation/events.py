"""Figures of events: the recording, with what was found in it marked.

Chapter: ``book/experiments/learn_once.md``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike

from cdlnmf_lit.presentation.figures import on_dark
from cdlnmf_lit.presentation.plotting import COLOURS, WIDTH, Card, spectrogram, style
from cdlnmf_lit.theory import arguments

if TYPE_CHECKING:
    from cdlnmf_lit.methods.events import Events

EDGES = ("-", "--", "-.", ":")
INK = on_dark(COLOURS)
"""The book's colours, to stand out from a spectrogram."""


def marked(
    x: ArrayLike,
    sample_rate: int,
    events: Events,
    names: Sequence[str] = (),
    ax: Axes | None = None,
    *,
    start: float = 0.0,
    title: str = "",
    highest_frequency: float | None = None,
) -> Figure:
    """Draw the spectrogram of a recording with a box for each event, one colour a component.

    A box has the time and the band of its event. Its colour and its line tell the component,
    whatever the reader's colour vision.

    Parameters
    ----------
    x : (T,) float
        The recording, or a stretch of it.
    sample_rate
        In Hz.
    events
        What was found in it.
    names
        Of the components. By default their numbers, from 1.
    ax
        The axes to draw in. By default a new figure.
    start
        Seconds of the recording at which the stretch begins.
    title, highest_frequency
        See :func:`~cdlnmf_lit.presentation.plotting.spectrogram`.

    Raises
    ------
    ValueError
        If ``x`` is no signal, or an argument is not a positive number.

    Examples
    --------
    >>> import numpy as np
    >>> from cdlnmf_lit.methods.events import Events
    >>> table = Events([0.2], [0.5], [0], [-6], [400], [900], [0.97])
    >>> figure = marked(np.sin(0.3 * np.arange(8000)), 8000, table)
    >>> len(figure.axes[0].patches)
    1
    """
    x = arguments.signal(x)
    with style():
        axes = Card(figsize=(WIDTH, 2.8)).add_subplot() if ax is None else ax
        spectrogram(
            x, sample_rate, axes, title=title, highest_frequency=highest_frequency, depth=50
        )
        seen = set()
        for onset, end, k, _, low, high, _ in events.rows:
            if end < start or onset > start + x.size / sample_rate:
                continue
            name = names[k] if len(names) else f"component {k + 1}"
            axes.add_patch(
                Rectangle(
                    (onset - start, low / 1000),
                    end - onset,
                    (high - low) / 1000,
                    fill=False,
                    linewidth=1.6,
                    edgecolor=INK[k % len(INK)],
                    linestyle=EDGES[k % len(EDGES)],
                    label=None if k in seen else name,
                )
            )
            seen.add(k)
        if seen:
            axes.legend(
                loc="upper right", frameon=True, fontsize=8, facecolor="black", labelcolor="white"
            )
        axes.set_xlabel("time (s)" if not start else f"time (s), from {start:g} s on")
    return cast(Figure, axes.figure)
