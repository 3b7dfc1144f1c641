"""What an iteration of NMF is made of, and the share of each piece.

``python benchmarks/nmf_shares.py`` times the pieces on one block of frames, in the cache of one
core, and the reading of all of ``V`` from memory. ``benchmarks/nmf.py`` times whole iterations.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from measure import in_own_process, main

HOP, K, ROWS = 8, 8, 56
PRECISIONS = ("float64", "float32")
SHARES = {
    "euclidean": {"W Qᵀ": 1, "Z Q": 1},
    "kullback-leibler": {"model": 2, "quotient": 2, "W Qᵀ": 1, "Z Q": 1},
    "itakura-saito": {"model": 2, "quotient": 2, "product of entries": 4, "W Qᵀ": 2, "Z Q": 2},
}
"""How often each piece occurs in an iteration."""


def pieces(dtype: str) -> dict[str, Any]:
    """Nanoseconds an entry of each piece. Only "read V" reads the whole of ``V``."""
    import numpy as np

    from cdlnmf_lit.experiments.signals import piano
    from cdlnmf_lit.theory.gabor import GaborFrame

    x, rng = piano(rng=0).signal.astype(dtype), np.random.default_rng(0)
    V = GaborFrame("hann", HOP, 2048).tight().spectrogram(x, 1)
    block = V[:ROWS] + V.mean()
    W, z = ((0.5 + rng.random((K + 1, size))).astype(dtype) for size in (V.shape[1], ROWS))
    M, Q = z.T @ W, np.empty_like(block)
    work: dict[str, Callable[[], Any]] = {
        "read V": lambda: np.max(V),
        "model": lambda: np.matmul(z.T, W, out=Q),
        "quotient": lambda: np.divide(block, M, out=Q),
        "product of entries": lambda: np.multiply(block, M, out=Q),
        "W Qᵀ": lambda: W[:K] @ block.T,
        "Z Q": lambda: z[:K] @ block,
        "logarithm": lambda: np.log(M, out=Q),
    }
    found = {}
    for name, function in work.items():
        best, whole = np.inf, name == "read V"
        for _ in range(5 if whole else 500):
            begin = time.perf_counter()
            function()
            best = min(best, time.perf_counter() - begin)
        found[name] = 1e9 * best / (V.size if whole else block.size)
    return found


def report() -> None:
    for dtype in PRECISIONS:
        cost = in_own_process("pieces", dtype, variables={"OPENBLAS_NUM_THREADS": "1"})
        told = ", ".join(f"{name} {value:.2f}" for name, value in cost.items())
        print(f"{dtype}, ns an entry: {told}")
        for name, times in SHARES.items():
            whole = sum(cost[piece] * n for piece, n in times.items())
            parts = [f"{piece} {100 * cost[piece] * n / whole:.0f} %" for piece, n in times.items()]
            beside = f"{100 * cost['read V'] / whole:.0f} %"
            print(f"  {name}: {whole:.2f}, of which {', '.join(parts)}; beside it read V {beside}")


if __name__ == "__main__":
    main({"pieces": pieces}, report)
