"""How good an estimate is: memory and processor time that runs take, over what was foretold.

    python benchmarks/estimate.py [--seconds 2 5 12] [NAME …]

A row a method or recipe and length: the estimate of memory over the peak of all arrays (at least 1:
it is an upper bound), and of time over the processor's (from a half to two).
"""

from __future__ import annotations

import argparse
import time
import tracemalloc
from dataclasses import replace

import numpy as np

from cdlnmf_lit.methods import METHODS
from cdlnmf_lit.methods.method import Method
from cdlnmf_lit.methods.recipes import RECIPES, SAMPLE_RATE

K = 4


def sound(seconds: float) -> np.ndarray:
    """Tones that come and go, and a little noise."""
    t = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    x = 0.01 * np.random.default_rng(0).standard_normal(t.size)
    for n, pitch in enumerate((220.0, 330.0, 440.0, 660.0)):
        x += np.sin(2 * np.pi * pitch * t) * ((t * (n + 3)) % 2 < 1)
    return x


def asked_for(name: str) -> Method:
    """A recipe as it is, or a method with few iterations."""
    if name in RECIPES:
        return RECIPES[name](SAMPLE_RATE)
    return replace(METHODS[name](), iterations=10)


def measured(method: Method, x: np.ndarray) -> tuple[float, float]:
    """The estimate of memory over the peak, and of time over the processor's."""
    estimate = method.estimate(x.size, K, x.dtype)
    begin = time.process_time()
    method.decompose(x, K)
    taken = time.process_time() - begin
    tracemalloc.start()
    method.decompose(x, K)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return estimate.memory_bytes / peak, estimate.seconds / taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", default=[*METHODS, *RECIPES])
    parser.add_argument("--seconds", nargs="+", type=float, default=[2, 5, 12])
    options = parser.parse_args()
    print(f"{'':20} {'seconds':>8} {'memory':>8} {'time':>8}")
    for name in options.names or [*METHODS, *RECIPES]:
        for seconds in options.seconds:
            try:
                memory, taken = measured(asked_for(name), sound(seconds))
            except ValueError as error:
                print(f"{name:20} {seconds:8g} {error}")
                continue
            print(f"{name:20} {seconds:8g} {memory:8.2f} {taken:8.2f}", flush=True)


if __name__ == "__main__":
    main()
