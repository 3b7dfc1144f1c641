"""Patterns found in a long recording: times real time, and memory, with two processors.

``python benchmarks/applying.py --minutes 10`` goes through a recording that is computed as it is
read: one event a second, noise of -10 dB, at 22,050 Hz. Its own time is told apart.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from cdlnmf_lit.methods import recipes
from cdlnmf_lit.methods.cdl import CDL
from cdlnmf_lit.methods.decomposition import Decomposition
from cdlnmf_lit.methods.method import Method
from cdlnmf_lit.methods.nmf import NMF
from cdlnmf_lit.recordings import applied
from cdlnmf_lit.theory.arguments import Array

RATE, LENGTH = 22_050, 662


@dataclass(frozen=True)
class Recording:
    """One event a second, in noise."""

    seconds: int
    waveforms: Array
    sample_rate: int = RATE

    @property
    def n_samples(self) -> int:
        return self.seconds * self.sample_rate

    def blocks(self, size: int) -> Iterator[Array]:
        """A second at a time."""
        deviation = np.float32(np.sqrt(0.1 / self.sample_rate))
        for second in range(self.seconds):
            rng = np.random.default_rng(second)
            x = deviation * rng.standard_normal(self.sample_rate, np.float32)
            begin = rng.integers(self.sample_rate - LENGTH)
            x[begin : begin + LENGTH] += self.waveforms[rng.integers(len(self.waveforms))]
            yield x


def waveforms(K: int) -> Array:
    """Short tones of norm 1, 30 ms long."""
    t = np.arange(LENGTH)
    tones = np.stack([np.sin(2 * np.pi * f * t / RATE) for f in 1000 * 1.7 ** np.arange(K)])
    tones *= np.hanning(LENGTH)
    found: Array = (tones / np.linalg.norm(tones, axis=1, keepdims=True)).astype(np.float32)
    return found


def of_atoms() -> tuple[Decomposition, Array]:
    """Two atoms, to be found with a share of 0.1."""
    d = waveforms(2)
    method = CDL(atom_length=LENGTH, padding=LENGTH // 2, penalty=0.1, precision="float32")
    found = Decomposition("cdl", d, np.ones((2, 1), np.float32), 1, 0, np.zeros(1, np.float32))
    return replace(found, parameters=method.parameters, sample_rate=RATE), d


def learnt(method: Method) -> tuple[Decomposition, Array]:
    """Four patterns that a method learnt on twenty seconds."""
    d = waveforms(4)
    x = np.concatenate(list(Recording(20, d).blocks(0)))
    return replace(method.decompose(x, 4), sample_rate=RATE), d


KINDS: dict[str, Callable[[], tuple[Decomposition, Array]]] = {
    "two atoms": of_atoms,
    "four spectra": partial(learnt, NMF(iterations=50)),
    "four patterns of notes": partial(learnt, recipes.notes(RATE)),
}
"""Spectra by the Kullback-Leibler divergence, patterns by least squares."""


def measure() -> None:
    """Print a line for each kind of patterns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=int, default=10)
    parser.add_argument("--write", choices=applied.WRITES, default="events")
    asked = parser.parse_args()
    for name, made in KINDS.items():
        found, d = made()
        recording = Recording(60 * asked.minutes, d)
        begin = time.process_time()
        for _ in recording.blocks(0):
            pass
        own = time.process_time() - begin
        with tempfile.TemporaryDirectory() as place:
            applied.apply(found, Recording(20, d), Path(place, "warm"), write=asked.write)
            wall, processor = time.perf_counter(), time.process_time()
            done = applied.apply(found, recording, Path(place, "out"), write=asked.write)
            wall, processor = time.perf_counter() - wall, time.process_time() - processor - own
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"{name}: {done}; {recording.seconds / wall:.0f} × real time, "
            f"{recording.seconds / processor:.0f} × a processor's time, {memory:.0f} MB"
        )


if __name__ == "__main__":
    measure()
