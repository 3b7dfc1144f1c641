"""How good an estimate is: memory and processor time that runs take, over what was foretold.

    CDLNMF_THREADS=1 OMP_NUM_THREADS=1 python benchmarks/estimate.py [--seconds 2 5 12] [NAME …]

Linear algebra is kept to one thread: with two, one waits for the other on the processor, and a run
of *clicks* or *chirps* takes up to 1.7 times as many of its seconds for the same work.

A row a method or recipe and sound: the estimate of memory over the peak of all arrays (at least 1:
it is an upper bound), and of time over the processor's (from a half to two), told from the sound,
and from its length alone. In the end the seconds that the run took, and the estimate itself.
"""

from __future__ import annotations

import argparse
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from cdlnmf_lit.experiments.kits import drums
from cdlnmf_lit.experiments.scenes import field, machine
from cdlnmf_lit.experiments.signals import chirps, piano
from cdlnmf_lit.methods import METHODS
from cdlnmf_lit.methods.method import Method
from cdlnmf_lit.methods.recipes import RECIPES, SAMPLE_RATE

SOUNDS = {"piano": (piano, 4), "chirps": (chirps, 2), "birds": (field, 2), "machine": (machine, 2)}
SOUNDS["drums"] = drums, 3


def sounds(seconds: list[float]) -> Iterator[tuple[str, np.ndarray, int]]:
    """The sounds of the book, and its piano at several lengths; each with its ``K``."""
    for name, (mixture, K) in SOUNDS.items():
        yield name, mixture(rng=0).signal, K
    for each in seconds:
        yield f"piano {each:g} s", np.resize(piano(rng=0).signal, round(each * SAMPLE_RATE)), 4


def asked_for(name: str) -> Method:
    """A recipe as it is, or a method with few iterations."""
    if name in RECIPES:
        return RECIPES[name](SAMPLE_RATE)
    return replace(METHODS[name](), iterations=10)


def measured(method: Method, x: np.ndarray, K: int) -> tuple[float, ...]:
    """What each column tells."""
    method.decompose(x, K)  # compiles, starts threads
    taken = processor_seconds(lambda: method.decompose(x, K))
    estimate = method.estimate(x.size, K, x.dtype, x)
    spent = processor_seconds(lambda: estimate.seconds)
    blind = method.estimate(x.size, K, x.dtype).seconds
    tracemalloc.start()
    method.decompose(x, K)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return estimate.memory_bytes / peak, estimate.seconds / taken, blind / taken, taken, spent


def processor_seconds(work: Callable[[], object]) -> float:
    """What a piece of work takes."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def main() -> None:
    names = list(dict.fromkeys([*RECIPES, *METHODS]))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", default=names)
    parser.add_argument("--seconds", nargs="+", type=float, default=[2, 5, 60])
    options = parser.parse_args()
    print(f"{'':20} {'':12} {'memory':>7} {'time':>7} {'noise':>7} {'run':>8} {'estimate':>8}")
    for name in options.names:
        for sound, x, K in sounds(options.seconds):
            try:
                row = measured(asked_for(name), x, K)
            except ValueError as error:
                print(f"{name:20} {sound:12} {error}")
                continue
            memory, told, blind, taken, spent = row
            times = f"{told:7.2f} {blind:7.2f} {taken:6.2f} s {spent:6.2f} s"
            print(f"{name:20} {sound:12} {memory:7.2f} {times}", flush=True)


if __name__ == "__main__":
    main()
