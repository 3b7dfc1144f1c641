"""Convolutive NMF beside libnmfd, the NMF toolbox's Python port, from the same starts.

``python benchmarks/convolutive_nmf.py`` prints what an iteration takes and how long each takes to
come close to the best objective that anyone reached; README.md says how. Processor time.
"""

from __future__ import annotations

import argparse
import math
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from measure import environment, in_own_process, kept, main, table

PEER = "libnmfd==1.0.0"
CASES = {
    "kullback-leibler": {"hop": 1024, "window": 2048, "length": 8},
    "euclidean": {"hop": 1024, "window": 4096, "length": 20},
}
K, ITERATIONS, STARTS, ROUNDS = 4, 100, 3, 5
CLOSE = (0.01, 0.001)
Run = Callable[[int], tuple[Any, Any]]


def prepare(path: str, divergence: str, seed: str) -> dict[str, Any]:
    """Write the seeded piano's spectrogram and a start, in which nothing begins before frame 0."""
    import numpy as np

    from cdlnmf_lit.experiments import signals
    from cdlnmf_lit.theory.gabor import hann

    case, rng = CASES[divergence], np.random.default_rng(int(seed))
    V = hann(case["window"], case["hop"]).spectrogram(signals.piano(rng=0).signal, 1.0)
    np.maximum(V, 1e-10 * V.mean(), out=V)
    L = case["length"]
    W, Z = 0.1 + rng.random((K, L, V.shape[1])), 0.1 + rng.random((K, len(V) + L - 1))
    W /= W.sum(axis=(1, 2), keepdims=True)
    Z[:, : L - 1] = 0
    Z *= V.sum() / Z.sum()
    np.savez(path, V=V, W=W, Z=Z)
    return {"shape": V.shape}


def objective(V: Any, W: Any, Z: Any, divergence: str) -> float:
    """The divergence in double precision, the model as loud as is best for it."""
    import numpy as np

    W, Z = np.asarray(W, float), np.asarray(Z, float)
    L = W.shape[1]
    M = sum(Z[:, L - 1 - d : Z.shape[1] - d].T @ W[:, d] for d in range(L)) + 1e-100
    if divergence == "euclidean":
        return float(np.sum((V - M * (np.vdot(V, M) / np.vdot(M, M))) ** 2) / 2)
    M *= V.sum() / M.sum()
    return float(np.sum(V * np.log(V / M)))


# ---- one solver in its own process ---------------------------------------------------------------


def ours(V: Any, W: Any, Z: Any, divergence: str, dtype: str) -> Run:
    from cdlnmf_lit.methods.convolutive_nmf import ConvolutiveNMF

    V, W, Z = (each.astype(dtype) for each in (V, W, Z))
    method = ConvolutiveNMF(pattern_length=W.shape[1], divergence=divergence)

    def run(iterations: int) -> tuple[Any, Any]:
        for state in islice(method.factorize(V, K, start=(W, Z)), iterations + 1):
            state.objective  # noqa: B018 (theirs computes its own too)
        return state.patterns, state.activations

    return run


def libnmfd(V: Any, W: Any, Z: Any, divergence: str, function: str) -> Run:
    import numpy as np
    from libnmfd.core import nmfconv

    nmfconv.tnrange = lambda n, **_: range(n)  # no progress bar
    L = W.shape[1]
    asked = {"beta": {"euclidean": 1, "kullback-leibler": 0}[divergence]}
    asked = asked if function == "nmf_conv" else {}

    def run(iterations: int) -> tuple[Any, Any]:
        found = getattr(nmfconv, function)(
            V.T,
            num_comp=K,
            num_iter=iterations,
            num_template_frames=L,
            init_W=[pattern.T for pattern in W],
            init_H=Z[:, L - 1 :] / V.sum(),
            **asked,
        )
        patterns = np.stack([pattern.T for pattern in found[0]])
        return patterns, np.pad(found[1], ((0, 0), (L - 1, 0)))

    return run


SOLVERS: dict[str, dict[str, Callable[..., Run]]] = {
    divergence: {
        "ours": partial(ours, dtype="float64"),
        "ours-f32": partial(ours, dtype="float32"),
        **{f"libnmfd {name}": partial(libnmfd, function=name) for name in peers},
    }
    for divergence, peers in {
        "kullback-leibler": ("nmfd", "nmf_conv"),
        "euclidean": ("nmf_conv",),
    }.items()
}


def trace(solver: str, divergence: str, path: str, most: str) -> dict[str, Any]:
    """Seconds of an iteration, and the objective after some numbers of iterations.

    The seconds are those of eleven less those of one, over ten: what a run does once is not in
    them.
    """
    import numpy as np

    with np.load(path) as stored:
        data = stored["V"], stored["W"], stored["Z"]
    run = SOLVERS[divergence][solver](*data, divergence)
    run(1)
    seconds = []
    for _ in range(ROUNDS):
        marks = [time.process_time()]
        for iterations in (1, 11):
            run(iterations)
            marks.append(time.process_time())
        seconds.append((marks[2] - 2 * marks[1] + marks[0]) / 10)
    steps = sorted({round(1.3**n) for n in range(40) if 1.3**n <= int(most)} | {int(most)})
    reached = {n: objective(data[0], *run(n), divergence) for n in steps}
    return {"seconds": statistics.median(seconds), "objectives": list(reached.items())}


# ---- the report ----------------------------------------------------------------------------------


def seconds_to(found: dict[str, Any], goal: float) -> float:
    """Processor seconds until the objective was as low, infinite if it never was."""
    steps = (n for n, value in found["objectives"] if value <= goal)
    return found["seconds"] * next(steps, math.inf)


def report() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--starts", type=int, default=STARTS, help="how many")
    parser.add_argument("--iterations", type=int, default=ITERATIONS, help="of each solver")
    parser.add_argument("--resume", action="store_true", help="keep results that are there")
    given = parser.parse_args()
    peer = environment("libnmfd", PEER)
    for divergence in CASES:
        runs: dict[str, list[dict[str, Any]]] = {name: [] for name in SOLVERS[divergence]}
        best = []
        for seed in range(given.starts):
            with tempfile.TemporaryDirectory() as folder:
                path = str(Path(folder, "problem.npz"))
                shape = in_own_process("prepare", path, divergence, str(seed))["shape"]
                for solver, found in runs.items():
                    own = {"python": peer} if solver.startswith("libnmfd") else {}
                    name = f"cnmf-{divergence}-{solver.replace(' ', '-')}-{seed}"
                    asked = (solver, divergence, path, str(given.iterations))
                    measure = partial(in_own_process, "trace", *asked, **own)
                    found.append(kept(name, given.resume, measure))
            best.append(min(v for found in runs.values() for _, v in found[-1]["objectives"]))
        print(f"{divergence}, {shape[0]} x {shape[1]}, K = {K}, {CASES[divergence]}")
        print(f"{table([row(name, found, best) for name, found in runs.items()])}\n", flush=True)


def row(solver: str, runs: list[dict[str, Any]], best: list[float]) -> dict[str, str]:
    pairs = list(zip(runs, best, strict=True))
    times = {
        close: statistics.median(seconds_to(found, (1 + close) * low) for found, low in pairs)
        for close in CLOSE
    }
    above = statistics.median(
        min(value for _, value in found["objectives"]) / low - 1 for found, low in pairs
    )
    return {
        "solver": solver,
        "ms an iteration": f"{1e3 * statistics.median(found['seconds'] for found in runs):.2f}",
        **{
            f"to {100 * close:g} %": f"{t:.3f} s" if math.isfinite(t) else "never"
            for close, t in times.items()
        },
        "in the end above the best": f"{100 * above:.2f} %",
    }


if __name__ == "__main__":
    main({"prepare": prepare, "trace": trace}, report)
