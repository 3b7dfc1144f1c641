"""Learning from several recordings: how it grows with pieces and workers, and what travels.

``python benchmarks/learning.py`` has the recipes' methods on pieces of a minute of random calls at
22,050 Hz. Times of one process are the processor's; those of workers are the clock's.
"""

from __future__ import annotations

import pickle
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from measure import in_own_process, main, table

RATE, MINUTE = 22_050, 60
ITERATIONS = 4
METHODS = ("nmf", "convolutive-nmf", "cdl")
PIECES = (1, 2, 4)


def method_of(name: str) -> Any:
    """The stage of a recipe that takes its time."""
    from cdlnmf_lit.methods.recipes import clicks, notes

    stages = {"nmf": notes().stages[0], "convolutive-nmf": notes().stages[1], "cdl": clicks()}
    plain: dict[str, Any] = {"starts": 1, "halve_every": 0, "iterations": ITERATIONS}
    start = "segments" if name == "cdl" else "random"
    return replace(stages[name], start=start, **plain)


def recording(seed: int, n_samples: int) -> Any:
    """Two calls of 30 ms, one of them a second on average, and noise 20 dB below."""
    import numpy as np

    rng, t = np.random.default_rng(seed), np.arange(660)
    x = 0.01 * rng.standard_normal(n_samples)
    for n in rng.integers(0, n_samples - t.size, n_samples // RATE):
        call = np.sin(rng.choice([0.3, 0.8]) * t) * np.exp(-t / 150)
        x[n : n + t.size] += rng.uniform(0.5, 1) * call
    return x


class Counting:
    """``map``, and the bytes that would travel."""

    def __init__(self) -> None:
        self.there = self.back = 0

    def __call__(self, work: Any, *columns: Any) -> Any:
        for row in zip(*columns, strict=True):
            self.there += len(pickle.dumps(work))
            kept, told = work(*row)
            self.back += len(pickle.dumps(told))
            yield kept, told


def grown(name: str, n_pieces: str) -> dict[str, float]:
    """Processor seconds an iteration, and bytes that travel there and back, of one process."""
    from cdlnmf_lit.methods.pieces import Recordings, learnt

    counting = Counting()
    given = [recording(n, MINUTE * RATE) for n in range(int(n_pieces))]
    recordings = replace(Recordings.of(given), map=counting)
    seen: list[tuple[float, int, int]] = []

    def watch(stage: Any, states: Any) -> Any:
        for state in states:
            _ = state.record
            seen.append((time.process_time(), counting.there, counting.back))
            yield state

    learnt(method_of(name), recordings, 4, watch=watch)
    (began, there, back), (ended, there_then, back_then) = seen[1], seen[-1]
    count = len(seen) - 2
    return {
        "seconds": (ended - began) / count,
        "there": (there_then - there) / count / int(n_pieces),
        "back": (back_then - back) / count / int(n_pieces),
    }


def worked(name: str, jobs: str) -> dict[str, float]:
    """Seconds by the clock of an iteration of four pieces in files, by several workers."""
    from cdlnmf_lit.recordings.learning import learn, workers
    from cdlnmf_lit.recordings.writing import write

    seen: list[float] = []

    def watch(stage: Any, states: Any) -> Any:
        for state in states:
            _ = state.record
            seen.append(time.perf_counter())
            yield state

    with tempfile.TemporaryDirectory() as folder:
        paths = [str(Path(folder, f"{n}.wav")) for n in range(4)]
        for n, path in enumerate(paths):
            write(path, recording(n, MINUTE * RATE), RATE)
        with workers(jobs=int(jobs)):
            learn(method_of(name), paths, 4, watch=watch)
    return {"seconds": (seen[-1] - seen[1]) / (len(seen) - 2)}


def excerpted(share: str) -> dict[str, float]:
    """How alike what is learnt is to two planted calls, one of them soft and rare; and seconds.

    Eight recordings of a minute at 4 kHz; the loud call sounds every second, the other, 20 dB
    softer, every ten. Learnt from so large a share of them, by the recipe for clicks.
    """
    import numpy as np

    from cdlnmf_lit.methods.recipes import clicks
    from cdlnmf_lit.recordings.learning import learn
    from cdlnmf_lit.recordings.writing import write

    rate, t = 4000, np.arange(120)
    calls = [np.sin(omega * t) * np.exp(-t / 30) for omega in (0.5, 1.2)]
    with tempfile.TemporaryDirectory() as folder:
        paths = [str(Path(folder, f"{n}.wav")) for n in range(8)]
        for seed, path in enumerate(paths):
            rng = np.random.default_rng(seed)
            x = 0.003 * rng.standard_normal(MINUTE * rate)
            for call, loudness, count in zip(calls, (1.0, 0.1), (60, 6), strict=True):
                for n in rng.integers(0, x.size - t.size, count):
                    x[n : n + t.size] += loudness * call
            write(path, x - x.mean(), rate)
        asked = replace(clicks(rate), share=0.02)
        excerpts = None if share == "1" else float(share) * 8 * MINUTE
        began = time.process_time()
        found = learn(asked, paths, 4, excerpts=excerpts)
        seconds = time.process_time() - began
    alike = [
        max(np.abs(np.correlate(d, c / np.linalg.norm(c), "full")).max() for d in found.atoms)
        for c in calls
    ]
    return {"seconds": seconds, "loud": float(alike[0]), "soft": float(alike[1])}


def report() -> None:
    rows = []
    for name in METHODS:
        for n in PIECES:
            found = in_own_process("grown", name, str(n))
            rows.append(
                {
                    "method": name,
                    "pieces of a minute": str(n),
                    "s an iteration": f"{found['seconds']:.2f}",
                    "kB to a piece": f"{found['there'] / 1e3:.0f}",
                    "kB from a piece": f"{found['back'] / 1e3:.0f}",
                }
            )
    print(table(rows), end="\n\n")
    rows = []
    for name in METHODS:
        took = [in_own_process("worked", name, str(jobs))["seconds"] for jobs in (1, 2)]
        rows.append(
            {
                "method": name,
                "one process": f"{took[0]:.2f} s",
                "two": f"{took[1]:.2f} s",
                "faster": f"{took[0] / took[1]:.2f} ×",
            }
        )
    print(table(rows), end="\n\n")
    rows = []
    for share in ("1", "0.25", "0.0625"):
        found = in_own_process("excerpted", share)
        rows.append(
            {
                "share learnt from": share,
                "s": f"{found['seconds']:.1f}",
                "likeness of the loud call": f"{found['loud']:.3f}",
                "of the soft and rare one": f"{found['soft']:.3f}",
            }
        )
    print(table(rows))


if __name__ == "__main__":
    main({"grown": grown, "worked": worked, "excerpted": excerpted}, report)
