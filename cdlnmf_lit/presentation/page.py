"""A sound is taken apart in a page: a slice of work at a time, from plain values to plain values.

The page itself is in ``book/_static/own_sound``; its worker calls what is here.

Chapter: ``book/experiments/your_own_sound.md``.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from cdlnmf_lit.methods.checkpoints import Kept
from cdlnmf_lit.methods.decomposition import Decomposition, Run
from cdlnmf_lit.methods.method import Method, State
from cdlnmf_lit.methods.progress import iterations_of, where
from cdlnmf_lit.methods.resources import bytes_in_words, seconds_in_words
from cdlnmf_lit.recordings import events
from cdlnmf_lit.recordings.decomposing import chosen, method_named
from cdlnmf_lit.recordings.reading import read
from cdlnmf_lit.recordings.results import archive, is_shared_out
from cdlnmf_lit.recordings.writing import encoded
from cdlnmf_lit.theory.arguments import Array
from cdlnmf_lit.theory.gabor import hann

SLICE = 0.4
"""Seconds of work, after which the page may say that it is enough."""
MOST_BYTES = 1.5e9
"""Of memory, that a page may take."""
SEED = 0
BANDS, COLUMNS, DEPTH = 128, 480, 70.0
"""Of a picture: its rows, its columns at the most, and the dB from black to white."""
WIDTHS, SEEN, SILENCE = (1, 2, 4), 0.999, 1e-30
"""How many channels a row may stand for, the share of the power that must be seen, and no power."""


# ---- before ------------------------------------------------------------------------------------


def heard(path: str | Path) -> tuple[Array, int, list[str]]:
    """Read a file as one channel: its samples, its rate, and what is remarkable.

    Parameters
    ----------
    path
        The file, in a folder that nobody need know: what is said calls it by its name.

    Raises
    ------
    ValueError
        If it is no sound, holds none, is silent, or cannot be read.

    Examples
    --------
    >>> from cdlnmf_lit.recordings.writing import write
    >>> with TemporaryDirectory() as folder:
    ...     write(f"{folder}/tone.wav", np.array([0.0, 0.5, -0.5]), 22050)
    ...     heard(Path(folder, "tone.wav"))
    (array([ 0. ,  0.5, -0.5], dtype=float32), 22050, [])
    """

    def said(words: object) -> str:
        return str(words).replace(f"path={path}", Path(path).name)

    with warnings.catch_warnings(record=True) as noted:
        warnings.simplefilter("always")
        try:
            x, rate = read(path, precision="float32")
        except (ValueError, OSError) as error:
            raise ValueError(said(error)) from error
    if not x.any():
        raise ValueError(f"{Path(path).name} is silent: all its samples are the same")
    return x, rate, [said(each.message) for each in noted]


def proposed(x: Array, sample_rate: int) -> dict[str, Any]:
    """The recipe and the number of components that a sound asks for, and why, in ``words``.

    Examples
    --------
    >>> found = proposed(np.random.default_rng(0).standard_normal(30_000), 8000)
    >>> found["recipe"], 1 <= found["count"] <= 12
    ('notes', True)
    """
    recipe, count, because = chosen(x, sample_rate)
    words = "; ".join("; ".join(because.values()).splitlines())
    return {"recipe": recipe, "count": count, "words": words.replace("--recipe", "recipe")}


def estimated(x: Array, sample_rate: int, recipe: str, n_components: int) -> str:
    """Say what a recipe would take of a sound, here and now.

    Raises
    ------
    ValueError
        If it cannot take the sound.
    MemoryError
        If it needs more than a page may take.

    Examples
    --------
    >>> estimated(np.sin(0.3 * np.arange(16000.0)), 8000, "clicks", 2)
    'It will take about ... s and ... MB of memory.'
    """
    method = method_named(recipe, sample_rate)
    try:
        needed = method.estimate(len(x), n_components, x.dtype, x)
        memory = bytes_in_words(needed.memory_bytes)
        if needed.memory_bytes > MOST_BYTES:
            raise MemoryError(
                f"this would need {memory} of memory, and a page may take "
                f"{bytes_in_words(MOST_BYTES)}: choose a shorter piece, or install the command"
            )
        method.checked(x, n_components)
    except ValueError as error:
        raise ValueError(
            f"{len(x) / sample_rate:.2g} s of sound are nothing for the recipe {recipe}: {error}. "
            "Choose another recipe, or a longer piece."
        ) from error
    return f"It will take about {seconds_in_words(needed.seconds)} and {memory} of memory."


# ---- while it runs -----------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Step:
    """How far a run is after a slice of work.

    Parameters
    ----------
    share : float
        Of all iterations, from 0 to 1.
    words : str
        Where it is, or what was found.
    found : Decomposition, or None
        What there is to hear anew: of a stage that is finished, or in the end.
    is_last : bool
        Whether this is the end.

    Examples
    --------
    >>> Step(0.5, "2/2 cdl").found
    """

    share: float
    words: str
    found: Decomposition | None = None
    is_last: bool = False


class _Paused(Exception):
    """A slice of work is over."""


def steps(
    x: Array, sample_rate: int, recipe: str, n_components: int, seconds: float = SLICE
) -> Generator[Step, bool | None, None]:
    """Take a sound apart, slice by slice; ``send(True)`` ends it with what was reached.

    The last step has the result of :func:`~cdlnmf_lit.recordings.decomposing.decompose`, to the
    bit, however long a slice is.

    Parameters
    ----------
    x, sample_rate, recipe, n_components
        See :func:`~cdlnmf_lit.recordings.decomposing.decompose`.
    seconds : float
        Of a slice, which is at least one iteration.

    Raises
    ------
    ValueError, MemoryError
        If the sound does not fit, or needs more memory than there is.

    Examples
    --------
    >>> x = np.sin(0.3 * np.arange(16000.0)) * (np.arange(16000) % 4000 < 400)
    >>> run = steps(x, 8000, "clicks", 1, seconds=0)
    >>> first, second, stopped = next(run), next(run), run.send(True)
    >>> second.words, stopped.words
    ('1/2 cdl, start 1/4', 'stopped at 1/2 cdl, start 1/4, after 1 iterations')
    """
    method = method_named(recipe, sample_rate)
    asked = {"recipe": recipe, "sample_rate": sample_rate, "seed": SEED}
    kept: Kept = {}
    total, done, heard_of, begun = iterations_of(method), 0, 0, 0.0
    news: Step | None = None

    def of_recipe(found: Decomposition) -> Decomposition:
        parameters = found.parameters | asked
        return replace(found, sample_rate=sample_rate, parameters=parameters)

    def watch(stage: Method, states: Iterator[State]) -> Iterator[State]:
        nonlocal done, heard_of, news
        for place, found in kept.items():
            number = len(method.stages) - len(place)
            if isinstance(found, Decomposition) and number > heard_of:
                heard_of = number
                words = f"stage {number} of {len(method.stages)}, {found.method}, is done"
                news = Step(0, words, of_recipe(found))
        for state in states:
            done += state.iteration > 0
            yield state
            if time.monotonic() - begun >= seconds:
                raise _Paused

    while True:
        begun = time.monotonic()
        try:
            found = method.decompose(x, n_components, rng=SEED, watch=watch, kept=kept)
        except _Paused:
            share = min(done / total, 1)
            step = Step(share, where(method, kept)) if news is None else replace(news, share=share)
            news = None
            if (yield step):
                found = _reached(kept)
                words = f"stopped at {where(method, kept)}, {found.status.partition(' ')[2]}"
                yield Step(share, words, of_recipe(found), is_last=True)
                return
        else:
            yield Step(1, f"done: {found.status}", of_recipe(found), is_last=True)
            return


def _reached(kept: Kept) -> Decomposition:
    """The best of what the stage has that was under way."""
    depth = len(next(reversed(kept)))
    runs = [
        run
        for place, run in kept.items()
        if len(place) == depth and isinstance(run, Run) and run.state is not None
    ]
    best = min(runs, key=lambda run: run.objective)
    status = f"stopped after {len(best.records) - 1} iterations"
    return replace(best, status=status).decomposition()


# ---- after -------------------------------------------------------------------------------------


def shown(found: Decomposition) -> dict[str, Any]:
    """What a page shows of a result that knows its rate: its sounds, and their pictures.

    Returns
    -------
    dict
        ``sounds``, each with its ``name``, its ``share`` of the energy, a ``wav`` file and a
        ``picture`` of so many ``columns``: a byte a cell, from the ``highest`` frequency, in Hz,
        in ``rows`` down to 0.

    Examples
    --------
    >>> found = Decomposition(
    ...     "hand", np.eye(1, 80), np.ones((1, 1)), 1, 0, np.zeros(80), sample_rate=8000
    ... )
    >>> [(each["name"], each["share"], each["wav"][:4]) for each in shown(found)["sounds"]]
    [('component 1', 1.0, b'RIFF'), ('residual', 0.0, b'RIFF')]
    """
    sounds = {f"component {k + 1}": found.component(k) for k in range(found.n_components)}
    whole = sum(sounds.values(), start=found.residual)
    if not is_shared_out(found):
        sounds["residual"] = found.residual
    rate: Any = found.sample_rate
    energy, power = float(whole @ whole) or 1.0, _power(whole)
    top = 10 * np.log10(power.max() + SILENCE)
    width = next(n for n in WIDTHS if power[:, : n * BANDS].sum() >= SEEN * power.sum())

    def told(name: str, x: Array) -> dict[str, Any]:
        levels = _levels(x, width)
        return {
            "name": name,
            "share": float(x @ x) / energy,
            "wav": encoded(x, rate, ".wav"),
            "picture": np.clip(255 * (1 + (levels - top) / DEPTH), 0, 255).astype("u1").tobytes(),
            "columns": levels.shape[1],
        }

    return {
        "sounds": [told(name, x) for name, x in sounds.items()],
        "rows": BANDS,
        "highest": rate / 2 * width / WIDTHS[-1],
    }


def events_of(found: Decomposition) -> list[list[float]]:
    """The events of a result as the rows of a table; see :mod:`cdlnmf_lit.recordings.events`.

    Examples
    --------
    >>> found = Decomposition(
    ...     "hand", np.ones((1, 80)), np.ones((1, 1)), 1, 0, np.zeros(80), sample_rate=8000
    ... )
    >>> [[round(each, 2) for each in row[:3]] for row in events_of(found)]
    [[0.0, 0.01, 0]]
    """
    return [list(row) for row in found.events().rows]


def _power(x: Array) -> Array:
    """A spectrogram, of frames that overlap by half."""
    n = WIDTHS[-1] * BANDS
    return hann(2 * n, n).spectrogram(x)[:, :n]


def _levels(x: Array, width: int) -> Array:
    """Levels in dB of bands so wide, the highest first; the largest of each cell of the picture."""
    power = _power(x)[:, : width * BANDS]
    bands = power.reshape(len(power), BANDS, width).max(axis=2)
    columns = np.linspace(0, len(bands), min(COLUMNS, len(bands)), endpoint=False, dtype=int)
    return 10 * np.log10(np.maximum.reduceat(bands, columns, axis=0).T[::-1] + SILENCE)


def download(found: Decomposition, name: str) -> bytes:
    """A file of a result: all of them in a zip, or its events, or its numbers.

    Examples
    --------
    >>> found = Decomposition(
    ...     "hand", np.eye(1, 80), np.ones((1, 1)), 1, 0, np.zeros(80), sample_rate=8000
    ... )
    >>> download(found, "components.zip")[:2], download(found, "events.csv")[:7]
    (b'PK', b'onset_s')
    """
    if name == "components.zip":
        return archive(found)
    if name == "events.csv":
        return events.table(found.events()).encode()
    with TemporaryDirectory() as folder:
        found.save(Path(folder, "decomposition.npz"))
        return Path(folder, "decomposition.npz").read_bytes()
