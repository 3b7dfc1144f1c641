"""Your own sound: take it apart with a few clicks.

Chapter: ``book/experiments/your_own_sound.md``.
"""

from __future__ import annotations

import base64
import html
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from cdlnmf_lit.methods import METHODS
from cdlnmf_lit.methods.decomposition import Decomposition
from cdlnmf_lit.methods.method import Method, State
from cdlnmf_lit.methods.recipes import RECIPES
from cdlnmf_lit.methods.watchers import all_of, reporting, until
from cdlnmf_lit.presentation import audio, page
from cdlnmf_lit.recordings.decomposing import method_named
from cdlnmf_lit.recordings.results import archive
from cdlnmf_lit.recordings.writing import SUFFIXES
from cdlnmf_lit.theory import arguments
from cdlnmf_lit.theory.arguments import Array

if TYPE_CHECKING:
    import ipywidgets


def studio(x: ArrayLike | None = None, sample_rate: int = 22_050) -> ipywidgets.VBox:
    """Return a panel that takes a sound apart: upload, choose, run, stop, hear, download.

    It needs a kernel. The sound is taken apart in a thread, so that *Stop* is heard, in any stage
    of a recipe; what was reached by then is kept. In a browser's Python there are no threads, and
    it runs to its end.

    Parameters
    ----------
    x : (T,) float, optional
        A sound to begin with; else one is uploaded.
    sample_rate
        Its rate, in Hz.

    Examples
    --------
    >>> import numpy as np
    >>> panel = studio(np.sin(0.3 * np.arange(8000.0)), 8000)
    >>> [type(child).__name__ for child in panel.children][:2]
    ['FileUpload', 'Dropdown']

    References
    ----------
    Chapter: ``book/experiments/your_own_sound.md``.
    """
    import ipywidgets

    wide = {"description_width": "8em"}
    upload = ipywidgets.FileUpload(accept=",".join(SUFFIXES), description="Sound")
    name = ipywidgets.Dropdown(options=[*RECIPES, *METHODS], description="Recipe", style=wide)
    count = ipywidgets.BoundedIntText(4, min=1, max=64, description="Components K", style=wide)
    costs = ipywidgets.HTML()
    begin = ipywidgets.Button(description="Take apart")
    stop = ipywidgets.Button(description="Stop", disabled=True)
    progress = ipywidgets.IntProgress(0, min=0, max=1, layout={"width": "20em"})
    told, heard = ipywidgets.HTML(), ipywidgets.HTML()
    asked_to_stop = threading.Event()
    at_hand: dict[str, Any] = {"rate": sample_rate}
    if x is not None:
        at_hand["x"] = arguments.signal(x)

    def chosen() -> Method:
        return method_named(name.value, at_hand["rate"])

    def look(_: object = None) -> None:
        if "x" not in at_hand:
            costs.value = "Upload a sound, of one channel or several."
            return
        length, rate = len(at_hand["x"]), at_hand["rate"]
        needed = chosen().estimate(length, count.value, at_hand["x"].dtype, at_hand["x"])
        try:
            takes = (
                f"It will take about {needed.seconds:.0f} s "
                f"and {needed.memory_bytes / 1e9:.1g} GB of memory."
            )
        except ValueError as error:
            takes = _error(error)
        costs.value = f"{length / rate:.1f} s at {rate} Hz. {takes}"

    def take_in(_: object) -> None:
        (file, *_others) = upload.value
        try:
            at_hand["x"], at_hand["rate"], noted = _read_bytes(bytes(file["content"]), file["name"])
            told.value = "<br>".join(map(html.escape, noted))
        except (ValueError, OSError) as error:
            told.value = _error(error)
        look()

    def show(stage: Method, state: State) -> None:
        progress.max, progress.value = max(stage.iterations, 1), state.iteration
        told.value = stage.name

    def work(method: Method, signal: Array, rate: int, n_components: int) -> None:
        try:
            watch = all_of(reporting(show), until(asked_to_stop))
            found = method.decompose(signal, n_components, watch=watch)
            heard.value = _results(found, rate)
            ended = "stopped" if found.is_stopped else "done"
            told.value = f"{ended} after {len(found.history['objective']) - 1} iterations"
        except (ValueError, MemoryError, OSError) as error:
            told.value = _error(error)
        finally:
            begin.disabled, stop.disabled = False, True

    def start(_: object) -> None:
        if "x" not in at_hand:
            return look()
        begin.disabled, stop.disabled = True, False
        asked_to_stop.clear()
        heard.value = ""
        asked = chosen(), at_hand["x"], at_hand["rate"], count.value
        if sys.platform == "emscripten":
            work(*asked)
        else:
            threading.Thread(target=work, args=asked, daemon=True).start()

    upload.observe(take_in, "value")
    for each in (name, count):
        each.observe(look, "value")
    begin.on_click(start)
    stop.on_click(lambda _: asked_to_stop.set())
    look()
    buttons = ipywidgets.HBox([begin, stop, progress])
    return ipywidgets.VBox([upload, name, count, costs, buttons, told, heard])


def _error(error: Exception) -> str:
    return f"<b>{html.escape(str(error) or 'out of memory')}</b>"


def _read_bytes(content: bytes, name: str) -> tuple[Array, int, list[str]]:
    """Read an uploaded file: one channel, its rate, and what is remarkable."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / Path(name).name
        path.write_bytes(content)
        return page.heard(path)


def _results(found: Decomposition, sample_rate: int) -> str:
    """Return players of the components and the residual, and a link to all files."""
    sounds = {f"component {k + 1}": found.component(k) for k in range(found.n_components)}
    data = base64.b64encode(archive(found, sample_rate)).decode("ascii")
    link = f'<a download="components.zip" href="data:application/zip;base64,{data}">'
    players = audio.players({**sounds, "residual": found.residual}, sample_rate).data
    return f"{players}<p>{link}Download them all, and the result</a></p>"
