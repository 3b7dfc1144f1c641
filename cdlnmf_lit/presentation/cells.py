"""A chapter's cells, run in a page as a notebook runs them: what they give is told as it comes.

The page's part is in ``book/_static/live_cells``; its worker calls what is here.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import re
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from io import TextIOBase
from typing import Any

from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import InteractiveShell

Tell = Callable[[str, str], object]
"""Takes the kind and the text of each output."""

COLOURS = re.compile(r"\x1b\[[\d;]*m")
INLINE = "module://matplotlib_inline.backend_inline"
EXPLORER = "application/x-explorer+json"
KINDS = {
    EXPLORER: "explorer",
    "text/html": "html",
    "image/svg+xml": "html",
    "image/png": "png",
    "text/markdown": "markdown",
    "text/latex": "markdown",
    "text/plain": "text",
}
"""The forms of an output that a page shows, the richest first."""


class _Printed(TextIOBase):
    def __init__(self, tell: Tell) -> None:
        self._tell = tell

    def write(self, text: str) -> int:
        if text:
            self._tell("text", text)
        return len(text)


class _Result(DisplayHook):
    """What the last line of a cell is worth."""

    shell: Any

    def write_output_prompt(self) -> None:
        pass

    def write_format_data(self, format_dict: Mapping[str, Any], md_dict: Any = None) -> None:
        self.shell.told(format_dict)


class _Displayed(DisplayPublisher):
    shell: Any

    def publish(self, data: Mapping[str, Any], *_: object, **__: object) -> None:
        self.shell.told(data)

    def clear_output(self, wait: bool = False) -> None:
        self.shell.tell("clear", "")


class Shell(InteractiveShell):
    """A notebook's Python, whose outputs go to the page."""

    tell: Tell
    display_formatter: Any

    def told(self, data: Mapping[str, Any]) -> None:
        """Tell the richest form of an output that a page can show."""
        if form := next((form for form in KINDS if form in data), None):
            kind, given = KINDS[form], data[form]
            text = base64.b64encode(given).decode("ascii") if isinstance(given, bytes) else given
            self.tell(kind, text + "\n" * (kind == "text"))

    def _showtraceback(self, etype: type, evalue: BaseException, stb: list[str]) -> None:
        self.tell("error", COLOURS.sub("", "\n".join(stb)).lstrip("-\n"))


def shell(tell: Tell) -> Shell:
    """Return the Python of a page: there is one, as there is one of a notebook.

    Parameters
    ----------
    tell
        Is called with the kind and the text of each output: ``text``, ``error``, ``html``,
        ``markdown``, ``png`` (in base64), ``explorer`` (JSON), and ``clear`` when a cell clears
        its outputs.
    """
    os.environ["MPLBACKEND"] = INLINE
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)  # not that it lists fonts
    found = Shell.instance(display_pub_class=_Displayed, displayhook_class=_Result)
    found.tell = tell
    bundles = found.display_formatter.mimebundle_formatter
    bundles.for_type_by_name("ipywidgets.widgets.widget_box", "VBox", _explorer)
    return found


def run(shell: Shell, source: str) -> str:
    """Run a cell, and return its error in a line; nothing if there is none.

    Parameters
    ----------
    shell
        Where cells before it have run, see :func:`shell`.
    source
        The cell's code.
    """
    printed = _Printed(shell.tell)
    with redirect_stdout(printed), redirect_stderr(printed):
        done = shell.run_cell(source, store_history=True)  # type: ignore[no-untyped-call]
    error = done.error_before_exec or done.error_in_exec
    return "" if error is None else f"{type(error).__name__}: {error}".splitlines()[0]


def moved(explorer: str, slider: int, index: int) -> str:
    """Move a slider of an explorer, and return what it shows then, as HTML.

    Parameters
    ----------
    explorer
        The explorer, by the name it was told with.
    slider, index
        Which of its sliders, and to which of its values.
    """
    *sliders, shown = _explorers[explorer].children
    sliders[slider].index = index
    return str(shown.value)


_explorers: dict[str, Any] = {}


def _explorer(box: Any) -> Any:
    """Sliders over what they show, as JSON; any other widget as it is."""
    *sliders, shown = box.children or [None]
    if not sliders or not all(hasattr(each, "_options_labels") for each in sliders):
        return box._repr_mimebundle_()
    name = str(len(_explorers))
    _explorers[name] = box
    offered = [
        {"name": each.description, "labels": list(each._options_labels), "at": each.index}
        for each in sliders
    ]
    return {EXPLORER: json.dumps({"name": name, "sliders": offered, "shown": shown.value})}
