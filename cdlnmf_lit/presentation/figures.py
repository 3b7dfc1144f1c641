"""A figure as a page has it: on a light page, on a dark one, as lines, and as numbers."""

from __future__ import annotations

import base64
import colorsys
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import Collection, QuadMesh
from matplotlib.colors import to_rgba_array
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

STATIC = "CDLNMF_STATIC"
"""The environment variable that is set where pages are made that have no kernel."""
FORMS = "figure_forms"
"""Where an output of a cell has what stands beside its picture: see :func:`forms`."""
INKS = ("color", "facecolor", "edgecolor", "markerfacecolor", "markeredgecolor")
GREY = 0.1
"""The saturation up to which a colour is a grey."""


def on_dark(colours: ArrayLike) -> NDArray[Any]:
    """Return colours for a dark page: greys turned over, and what is darker than its complement.

    Parameters
    ----------
    colours
        One or more, as Matplotlib takes them.

    Returns
    -------
    array (N, 4)
        Red, green, blue and how opaque, from 0 to 1.

    Examples
    --------
    >>> on_dark(["black", "#d8d8d8", "none"])[:, 0].round(2).tolist()
    [1.0, 0.15, 1.0]
    >>> mpl.colors.to_hex(on_dark("#0072B2")[0])  # as blue, and lighter
    '#4dbfff'
    """

    def turned(red: float, green: float, blue: float, opaque: float) -> tuple[float, ...]:
        hue, lightness, saturation = colorsys.rgb_to_hls(red, green, blue)
        over = 1 - lightness if saturation < GREY else max(lightness, 1 - lightness)
        return *colorsys.hls_to_rgb(hue, over, saturation), opaque

    found = to_rgba_array(colours)
    return np.array([turned(*colour) for colour in found.tolist()]).reshape(-1, 4)


@contextmanager
def dark(figure: Figure) -> Iterator[None]:
    """Turn the ink of a figure, but over its pictures, for a dark page; then turn it back.

    Examples
    --------
    >>> figure = Figure()
    >>> title = figure.suptitle("It", color="black")
    >>> with dark(figure):
    ...     print(mpl.colors.to_hex(title.get_color()))
    #ffffff
    >>> title.get_color()
    'black'
    """
    kept = []
    for artist in inked(figure):
        for name in INKS:
            if hasattr(artist, f"set_{name}") and hasattr(artist, f"get_{name}"):
                kept.append((getattr(artist, f"set_{name}"), getattr(artist, f"get_{name}")()))
    try:
        for put, colour in kept:
            turned = on_dark(colour)
            put(tuple(turned[0]) if len(turned) == 1 else turned)
        yield
    finally:
        for put, colour in kept:
            put(colour)


def inked(figure: Figure) -> list[Artist]:
    """Return what of a figure has a colour of its own, but what stands over a picture."""
    over = {id(each) for ax in figure.axes if pictured(ax) for each in drawn_in(ax)}

    def mapped(artist: Artist) -> bool:
        return isinstance(artist, Collection) and artist.get_array() is not None

    return [each for each in figure.findobj() if id(each) not in over and not mapped(each)]


def pictured(ax: Axes) -> bool:
    """Return whether a panel shows a picture."""
    return bool(ax.images) or any(isinstance(each, QuadMesh) for each in ax.collections)


def drawn_in(ax: Axes) -> Iterator[Artist]:
    """Return what stands inside a panel."""
    legend = [found] if (found := ax.get_legend()) else []
    for each in (*ax.lines, *ax.collections, *ax.patches, *ax.texts, *legend):
        yield from each.findobj()


def numbers(figure: Figure) -> dict[str, NDArray[Any]]:
    """Return what a figure is drawn of: its lines, points and images, by their panels.

    Examples
    --------
    >>> figure = Figure()
    >>> _ = figure.subplots().plot([3, 4, 5])
    >>> {name: values.tolist() for name, values in numbers(figure).items()}
    {'panel_1.line_1': [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]}
    """
    found: dict[str, NDArray[Any]] = {}
    for at, ax in enumerate(figure.axes, 1):
        drawn: dict[str, list[Any]] = {
            "line": [line.get_data() for line in ax.lines],
            "points": [np.transpose(each.get_offsets()) for each in ax.collections],
            "image": [image.get_array() for image in ax.images],
        }
        for kind, all_of_it in drawn.items():
            for n, values in enumerate(all_of_it, 1):
                found[f"panel_{at}.{kind}_{n}"] = np.ma.getdata(np.ma.asarray(values))
    return found


def saved(figure: Figure, form: str, **options: Any) -> bytes:
    """Return a figure as a file of a form, the same bytes each time."""
    buffer = io.BytesIO()
    if form == "svg":
        options["metadata"] = {"Date": None}
    with mpl.rc_context({"svg.hashsalt": "figure"}):
        figure.savefig(buffer, format=form, **options)
    return buffer.getvalue()


def archived(arrays: dict[str, NDArray[Any]]) -> bytes:
    """Return arrays as ``.npz``, what is floating at single precision."""
    single = {
        name: values.astype(np.float32) if values.dtype.kind == "f" else values
        for name, values in arrays.items()
    }
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **single)  # type: ignore[arg-type]
    return buffer.getvalue()


def forms(figure: Figure) -> dict[str, str]:
    """Return what a page has of a figure beside its picture, in base64 by the endings of files.

    ``dark.png`` is transparent and for a dark page, ``npz`` holds the numbers; ``svg`` is there for
    a figure that shows no picture.

    Examples
    --------
    >>> figure = Figure()
    >>> _ = figure.subplots().plot([3, 4, 5])
    >>> list(forms(figure))
    ['npz', 'dark.png', 'svg']
    """
    found = {"npz": archived(numbers(figure))}
    with dark(figure):
        found["dark.png"] = saved(figure, "png", transparent=True)
    if not any(map(pictured, figure.axes)):
        found["svg"] = saved(figure, "svg")
    return {ending: base64.b64encode(content).decode() for ending, content in found.items()}
