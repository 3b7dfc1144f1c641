"""An iteration of semi-NMF beside the two matrix products that it cannot do without.

``python benchmarks/semi_nmf.py`` prints both times, their ratio, what the rest of an iteration is
spent on, and by how much memory grew, for two sizes and both precisions. All take turns in one
process; the products are NumPy's on the whole matrix, of reals: complex ones are slower.
"""

from __future__ import annotations

import time
from itertools import cycle, islice
from typing import Any

from measure import MEGABYTE, in_own_process, main, peak_memory

SHAPES = {"hop 512": (693, 1025), "hop 8": (44_400, 1025)}
PRECISIONS = ("complex128", "complex64")
K = 8


def compare(size: str, dtype: str) -> dict[str, Any]:
    """Best and median processor seconds of an iteration, of the products, and of parts of it."""
    import numpy as np

    from cdlnmf_lit.methods import semi_nmf

    (N, F), rng = SHAPES[size], np.random.default_rng(0)
    A = rng.standard_normal((N, 2 * F), np.dtype(dtype).type(0).real.dtype)
    before = peak_memory()
    states = semi_nmf.SemiNMF().factorize(A.view(dtype), K)
    found = next(islice(states, 2, None))
    grown = peak_memory() - before
    W, Z, problem = found.real_spectra, found.activations, found.problem
    G, V = W @ W.T, (A @ W.T).T
    work = {
        "products": lambda: (A @ W.T, Z @ A),
        "complex": lambda: (
            A.view(dtype) @ found.patterns.conj().T,
            Z.astype(dtype) @ A.view(dtype),
        ),
        "ours": lambda: next(states).objective,
        "activations": lambda: semi_nmf.multiplicative_update(Z, V, G, 0.0),
        "spectra": lambda: semi_nmf._least_squares(W, *found.products),
        "objective": lambda: problem.record(found),
        "reading": lambda: A.max(),
    }
    taken: dict[str, list[float]] = {name: [] for name in work}
    for name in islice(cycle(work), len(work) * (200 if N < 1000 else 7)):
        begin = time.process_time()
        work[name]()
        taken[name].append(time.process_time() - begin)
    best = {name: min(times) for name, times in taken.items()}
    medians = {name: float(np.median(times)) for name, times in taken.items()}
    return {"best": best, "median": medians, "peak": grown, "data": A.nbytes}


def report() -> None:
    """Print one line a size and precision."""
    for size, shape in SHAPES.items():
        for dtype in PRECISIONS:
            found = in_own_process("compare", size, dtype)
            print(f"{size}, {shape[0]} x {shape[1]} {dtype}, K = {K}")
            for kind in ("best", "median"):
                t = {name: 1e3 * seconds for name, seconds in found[kind].items()}
                print(
                    f"  {kind:6}: an iteration {t['ours']:.2f} ms, two products "
                    f"{t['products']:.2f} ms, ratio {t['ours'] / t['products']:.2f}; "
                    f"complex products {t['complex']:.2f} ms, reading {t['reading']:.2f} ms"
                )
            shares = {
                name: 100 * found["best"][name] / found["best"]["ours"]
                for name in ("activations", "spectra", "objective")
            }
            print("  of it:", ", ".join(f"{name} {share:.0f} %" for name, share in shares.items()))
            print(
                f"  memory: {found['peak'] / MEGABYTE:.0f} MB beside the data's "
                f"{found['data'] / MEGABYTE:.0f} MB\n",
                flush=True,
            )


if __name__ == "__main__":
    main({"compare": compare}, report)
