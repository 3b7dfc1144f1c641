"""Sliders over figures drawn beforehand, which move in a page with no kernel behind it."""

from __future__ import annotations

import base64
import html
import io
import sys
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import ipywidgets
import numpy as np
from matplotlib.figure import Figure

WEBP_QUALITY = 80
FRAME_DPI = 120


def explorer(
    f: Callable[..., Figure | str], *, alt: str, **grids: Sequence[Any]
) -> ipywidgets.VBox:
    """Draw ``f`` at every point of a grid and return sliders that choose among the frames.

    ``f`` is called once a point, now; moving a slider computes nothing. Frames that come out
    equal are kept once. Sliders and frames are linked in the browser, so the widget works in a
    notebook and in the built page alike.

    Parameters
    ----------
    f
        From one value of each parameter, by keyword, to a figure or to HTML.
    alt
        What a figure shows, in words, for those who cannot see it; each ``{name}`` stands for
        the value of that parameter.
    **grids
        One or two parameters: name to the values that its slider offers.

    Raises
    ------
    ValueError
        If there is no parameter or there are more than two, a grid has fewer than two
        values, ``alt`` is empty or names something else, or ``f`` returns something else.

    Examples
    --------
    >>> widget = explorer(lambda hop: f"<p>hop {hop}</p>", alt="hop {hop}", hop=[1, 2, 4])
    >>> slider, frames = widget.children
    >>> slider.description, slider.options, len(frames.children)
    ('hop', (('1', 0), ('2', 1), ('4', 2)), 3)
    """
    if not 1 <= len(grids) <= 2:
        raise ValueError(f"grids must be one or two parameters, got {len(grids)}: {list(grids)}")
    for name, values in grids.items():
        if len(values) < 2:
            raise ValueError(f"{name} must offer at least two values, got {list(values)}")
    if not alt.strip():
        raise ValueError("alt must say what the figures show, got an empty text")
    points = [dict(zip(grids, point, strict=True)) for point in product(*grids.values())]
    try:
        alts = [alt.format(**point) for point in points]
    except (KeyError, IndexError) as error:
        raise ValueError(f"alt must name only {list(grids)} in braces, got {alt!r}") from error
    texts = [_frame(f(**point), words) for point, words in zip(points, alts, strict=True)]
    shown = {text: ipywidgets.HTML(text) for text in dict.fromkeys(texts)}
    sliders = [_slider(name, values) for name, values in grids.items()]
    stacks: list[ipywidgets.Widget] = [shown[text] for text in texts]
    for slider in reversed(sliders):
        n = len(slider.options)
        stacks = [_stack(stacks[i : i + n], slider) for i in range(0, len(stacks), n)]
    return ipywidgets.VBox([*sliders, *stacks])


def _slider(name: str, values: Sequence[Any]) -> ipywidgets.SelectionSlider:
    return ipywidgets.SelectionSlider(
        options=[(_label(value), index) for index, value in enumerate(values)],
        index=0,
        description=name.replace("_", " "),
        tooltip=name.replace("_", " "),
        style={"description_width": "initial"},
        layout={"width": "100%", "max_width": "30em"},
    )


def _label(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _stack(
    children: Sequence[ipywidgets.Widget], slider: ipywidgets.SelectionSlider
) -> ipywidgets.Stack:
    """Return a stack that shows the child whose number the slider has, without a kernel."""
    stack = ipywidgets.Stack(children, selected_index=0)
    ipywidgets.jsdlink((slider, "index"), (stack, "selected_index"))
    return stack


def _frame(drawn: Figure | str, alt: str) -> str:
    """Return one frame as HTML; a figure as an image that carries its pixels and its words."""
    if isinstance(drawn, str):
        return drawn
    if not isinstance(drawn, Figure):
        raise ValueError(f"f must return a figure or HTML, got {type(drawn).__name__}")
    buffer = io.BytesIO()
    drawn.savefig(
        buffer, format="webp", dpi=FRAME_DPI, pil_kwargs={"quality": WEBP_QUALITY, "method": 6}
    )
    if pyplot := sys.modules.get("matplotlib.pyplot"):
        pyplot.close(drawn)
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    width, height = np.round(FRAME_DPI * drawn.get_size_inches()).astype(int)
    return (
        f'<img alt="{html.escape(alt)}" width="{width}" height="{height}" '
        f'style="max-width: 100%; height: auto" src="data:image/webp;base64,{data}">'
    )
