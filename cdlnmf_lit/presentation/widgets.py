"""Sliders over figures: drawn anew by a kernel, or beforehand for a page with none behind it."""

from __future__ import annotations

import base64
import html
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any

import ipywidgets
import numpy as np
from matplotlib.figure import Figure

from cdlnmf_lit.presentation.figures import STATIC, dark, saved

WEBP_QUALITY = 80
FRAME_DPI = 120


def explorer(
    f: Callable[..., Figure | str],
    *,
    alt: str,
    opens_at: Mapping[str, Any] | None = None,
    live: Mapping[str, Sequence[Any]] | None = None,
    **grids: Sequence[Any],
) -> ipywidgets.VBox:
    """Return sliders over the values of a grid, and what ``f`` makes of those they are at.

    Where the values are words there are buttons in place of a slider.

    In a notebook ``f`` is called as a slider moves. Where a page is made that has no kernel
    behind it (``make book`` sets the environment variable ``CDLNMF_STATIC``), ``f`` is called
    now, at each point of the grid, and sliders choose among these frames in the browser. Frames
    that come out equal are kept once.

    Parameters
    ----------
    f
        From one value of each parameter, by keyword, to a figure or to HTML.
    alt
        What a figure shows, in words, for those who cannot see it; each ``{name}`` stands for
        the value of that parameter.
    opens_at
        Where sliders stand at first: a parameter to one of its values. By default at the first.
    live
        What a slider offers where a kernel is there to draw it, its grid and more: a parameter to
        its values.
    **grids
        One to three parameters: name to the values that its slider offers.

    Raises
    ------
    ValueError
        If there is no parameter or there are more than three, a grid has fewer than two
        values, ``alt`` is empty or names something else, ``opens_at`` names what no slider has,
        ``live`` lacks a value of its grid, or ``f`` returns something else.

    Examples
    --------
    >>> widget = explorer(lambda hop: f"<p>hop {hop}</p>", alt="hop {hop}", hop=[1, 2, 4])
    >>> slider, shown = widget.children
    >>> slider.description, slider.options
    ('hop', (('1', 0), ('2', 1), ('4', 2)))
    >>> slider.index = 2
    >>> shown.value
    '<p>hop 4</p>'
    """
    if not 1 <= len(grids) <= 3:
        raise ValueError(f"grids must be one to three parameters, got {len(grids)}: {list(grids)}")
    for name, values in grids.items():
        if len(values) < 2:
            raise ValueError(f"{name} must offer at least two values, got {list(values)}")
    if not alt.strip():
        raise ValueError("alt must say what the figures show, got an empty text")
    try:
        alt.format(**dict.fromkeys(grids, ""))
    except (KeyError, IndexError) as error:
        raise ValueError(f"alt must name only {list(grids)} in braces, got {alt!r}") from error
    opening = dict(opens_at or {})
    for name, value in opening.items():
        if name not in grids or value not in list(grids[name]):
            raise ValueError(f"opens_at must name values that sliders have, got {name}={value!r}")

    finer = dict(live or {})
    for name, values in finer.items():
        if not {*grids.get(name, [None])} <= {*values}:
            raise ValueError(f"live must have all values of a grid, got {name}={list(values)}")
    is_static = bool(os.environ.get(STATIC))
    offered = grids if is_static else {**grids, **finer}

    def draw(*values: Any) -> str:
        point = dict(zip(offered, values, strict=True))
        return _frame(f(**point), alt.format(**point))

    sliders = [
        _slider(name, values, list(values).index(opening.get(name, grids[name][0])))
        for name, values in offered.items()
    ]
    show = _drawn_beforehand if is_static else _drawn_anew
    return ipywidgets.VBox([*sliders, show(draw, sliders, list(offered.values()))])


def _drawn_anew(
    draw: Callable[..., str],
    sliders: Sequence[ipywidgets.Widget],
    values: Sequence[Sequence[Any]],
) -> ipywidgets.HTML:
    """Return what is drawn again each time that a slider moves."""
    shown = ipywidgets.HTML()

    def redraw(_: object = None) -> None:
        at = zip(sliders, values, strict=True)
        shown.value = draw(*(offered[slider.index] for slider, offered in at))

    for slider in sliders:
        slider.observe(redraw, "index")
    redraw()
    return shown


def _drawn_beforehand(
    draw: Callable[..., str],
    sliders: Sequence[ipywidgets.Widget],
    values: Sequence[Sequence[Any]],
) -> ipywidgets.Widget:
    """Return one frame for each point of the grid, and links that choose among them."""
    texts = [draw(*point) for point in product(*values)]
    kept = {text: ipywidgets.HTML(text) for text in dict.fromkeys(texts)}
    stacks: list[ipywidgets.Widget] = [kept[text] for text in texts]
    for slider, offered in zip(reversed(sliders), reversed(values), strict=True):
        n = len(offered)
        stacks = [_stack(stacks[i : i + n], slider) for i in range(0, len(stacks), n)]
    (whole,) = stacks
    return whole


def _slider(name: str, values: Sequence[Any], index: int) -> ipywidgets.Widget:
    """Return a slider, or buttons where the values are words."""
    label = name.replace("_", " ")
    offered = [(_label(value), number) for number, value in enumerate(values)]
    if all(isinstance(value, str) and not value[:1].isdigit() for value in values):
        style = {"description_width": "initial", "button_width": "initial"}
        return ipywidgets.ToggleButtons(
            options=offered, index=index, description=label, style=style
        )
    return ipywidgets.SelectionSlider(
        options=offered,
        index=index,
        description=label,
        tooltip=label,
        style={"description_width": "initial"},
        layout={"width": "100%", "max_width": "30em"},
    )


def _label(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _stack(children: Sequence[ipywidgets.Widget], slider: ipywidgets.Widget) -> ipywidgets.Stack:
    """Return a stack that shows the child whose number the slider has, without a kernel."""
    stack = ipywidgets.Stack(children, selected_index=slider.index)
    ipywidgets.jsdlink((slider, "index"), (stack, "selected_index"))
    return stack


def _frame(drawn: Figure | str, alt: str) -> str:
    """Return one frame as HTML; a figure as an image that carries its pixels and its words."""
    if isinstance(drawn, str):
        return drawn
    if not isinstance(drawn, Figure):
        raise ValueError(f"f must return a figure or HTML, got {type(drawn).__name__}")
    pictures = {"": _picture(drawn)}
    if os.environ.get(STATIC):
        with dark(drawn):
            on_dark = _picture(drawn, transparent=True)
        # hidden where no page tells light from dark, as in a notebook that is passed on
        pictures = {'class="on-light" ': pictures[""], 'class="on-dark" hidden ': on_dark}
    if pyplot := sys.modules.get("matplotlib.pyplot"):
        pyplot.close(drawn)
    width, height = np.round(FRAME_DPI * drawn.get_size_inches()).astype(int)
    return "".join(
        f'<img {shown}alt="{html.escape(alt)}" width="{width}" height="{height}" '
        f'style="max-width: 100%; height: auto" src="data:image/webp;base64,{data}">'
        for shown, data in pictures.items()
    )


def _picture(figure: Figure, **options: Any) -> str:
    small = {"quality": WEBP_QUALITY, "method": 6}
    content = saved(figure, "webp", dpi=FRAME_DPI, pil_kwargs=small, **options)
    return base64.b64encode(content).decode("ascii")
