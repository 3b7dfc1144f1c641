"""How soon NMF is as good as anyone gets from the same start: ours, scikit-learn's, torchnmf's.

``python benchmarks/nmf_objective.py`` prints, for each matrix, divergence, precision and K, the
processor seconds of each solver to within 0.1 % of the best objective that any of them reaches
from that start, medians of ten starts, and the ratio to the fastest other; README.md says how.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from measure import in_own_process, kept, main, missing, table

MATRICES = ("piano-512", "piano-8", "chirps-512", "chirps-8", "planted")
BETAS = {"kullback-leibler": 1.0, "itakura-saito": 0.0, "euclidean": 2.0}
PRECISIONS, COMPONENTS = ("float32", "float64"), (4, 8)
WITHIN, SETTLED, ENOUGH = 1e-3, 3e-4, 20
SECONDS_A_NUMBER = {"float32": 3e-6, "float64": 4e-6}
"""The budget of a run, for each number of the matrix."""
OURS = {"ours": "extrapolation", "ours, plain": "none"}
SOLVERS = (*OURS, "sklearn mu", "sklearn cd", "torchnmf")
USUAL = tuple(name for name in SOLVERS if name != "ours, plain")

Factors = tuple[Any, Any]


def matrix(name: str, beta: float, precision: str) -> Any:
    """A spectrogram, of powers for Itakura-Saito, or a noisy product; its median is 1."""
    import numpy as np

    from cdlnmf_lit.experiments import signals
    from cdlnmf_lit.theory.gabor import hann

    kind, _, hop = name.partition("-")
    if kind == "planted":
        rng = np.random.default_rng(7)
        V = rng.gamma(0.5, size=(500, 6)) @ rng.gamma(0.3, size=(6, 300))
        V = (V + 1e-3) * rng.gamma(4, 0.25, size=V.shape)
    else:
        make = {"piano": signals.piano, "chirps": signals.chirps}[kind]
        x = make(rng=0).signal
        channels, x = (1024, x[: 512 * 160]) if hop == "512" else (128, x[: 8 * 1280])
        V = hann(channels, int(hop)).spectrogram(x, 2.0 if beta == 0 else 1.0)
    V = np.maximum(V, 1e-10 * V.mean())
    return (V / np.median(V)).astype(precision)


def drawn(V: Any, K: int, seed: int) -> Factors:
    import numpy as np

    rng = np.random.default_rng(seed)
    W, Z = (0.1 + rng.random((K, n)) for n in V.shape[::-1])
    scale = np.sqrt(V.mean() / (W.sum(1) @ Z.sum(1)) * V.size)
    return (scale * W).astype(V.dtype), (scale * Z).astype(V.dtype)


# ---- the solvers: from a matrix, a divergence and factors to more iterations -------------------


def sklearn(solver: str, V: Any, beta: float, start: Factors, iterations: int) -> Factors:
    import numpy as np
    from sklearn import config_context
    from sklearn.decomposition import non_negative_factorization

    with config_context(assume_finite=True, skip_parameter_validation=True):
        left, right, _ = non_negative_factorization(
            V,
            np.ascontiguousarray(start[1].T),
            start[0].copy(),
            n_components=len(start[0]),
            init="custom",
            solver=solver,
            beta_loss=beta,
            tol=0,
            max_iter=iterations,
        )
    return right, left.T


def torchnmf(V: Any, beta: float, start: Factors, iterations: int) -> Factors:
    """It updates the factor it calls W first, so it is given the transpose, as it lies best."""
    import numpy as np
    import torch
    from torchnmf.nmf import NMF

    torch.set_default_dtype(torch.from_numpy(V[:1]).dtype)
    data = torch.from_numpy(np.asfortranarray(V).T)
    model = NMF(W=torch.from_numpy(start[1].T.copy()), H=torch.from_numpy(start[0].T.copy()))
    model.fit(data, beta=int(beta), tol=0, max_iter=iterations)
    return model.H.detach().numpy().T, model.W.detach().numpy().T


def ours(acceleration: str, V: Any, beta: float, start: Factors) -> Iterator[Factors]:
    from cdlnmf_lit.methods.nmf import NMF

    method = NMF(divergence=beta, acceleration=acceleration, update="full")
    for state in method.factorize(V, len(start[0]), start=start):
        yield state.patterns, state.activations


PEERS: dict[str, Callable[..., Factors]] = {
    "sklearn mu": partial(sklearn, "mu"),
    "sklearn cd": partial(sklearn, "cd"),
    "torchnmf": torchnmf,
}


# ---- a run: seconds and objectives at some iterations ------------------------------------------


def checkpoints() -> Iterator[int]:
    """Iterations that grow by a twentieth, one by one at first."""
    n = 0
    while True:
        n = max(n + 1, int(1.05 * n))
        yield n


def is_settled(trace: list[tuple[int, float, float]]) -> bool:
    """Whether the second half of the iterations lowered the objective by next to nothing."""
    n, _, last = trace[-1]
    half = next(value for m, _, value in trace if 2 * m >= n)
    return n >= ENOUGH and half - last <= SETTLED * last


def our_trace(name: str, V: Any, beta: float, start: Factors, judged: Any, limit: float) -> Any:
    """The clock runs while the solver iterates; its checks of the start are free, as theirs."""
    trace, seconds, done = [(0, 0.0, judged(*start))], 0.0, 0
    states = ours(OURS[name], V, beta, start)
    next(states)
    for n in checkpoints():
        begin = time.process_time()
        found = next(itertools.islice(states, n - done - 1, None))
        seconds, done = seconds + time.process_time() - begin, n
        trace.append((n, seconds, judged(*found)))
        if seconds > limit or is_settled(trace):
            return trace


def their_trace(
    solver: Any, V: Any, beta: float, start: Factors, judged: Any, limit: float, iteration: float
) -> Any:
    """The seconds of an iteration times their number."""
    trace, done, found = [(0, 0.0, judged(*start))], 0, start
    for n in checkpoints():
        found, done = solver(V, beta, found, n - done), n
        trace.append((n, n * iteration, judged(*found)))
        if n * iteration > limit or is_settled(trace):
            return trace


def an_iteration(solver: Any, V: Any, beta: float, start: Factors, many: int = 30) -> float:
    """Seconds an iteration of many, as a median: their checks of the input hardly count."""
    solver(V, beta, start, 1)
    seconds = []
    for _ in range(5):
        begin = time.process_time()
        solver(V, beta, start, many)
        seconds.append((time.process_time() - begin) / many)
    return statistics.median(seconds)


def race(name: str, of: str, precision: str, starts: str) -> dict[str, Any]:
    """The traces of a solver from all starts, for each divergence and K."""
    import warnings

    import numpy as np

    from cdlnmf_lit.methods.nmf import Problem

    warnings.simplefilter("ignore")  # that a solver has not converged
    found = {}
    for divergence, beta in BETAS.items():
        if name == "sklearn cd" and divergence != "euclidean":
            continue
        V = matrix(of, beta, precision)
        judge, limit = Problem(V, beta, 1.0), budget(V.size, precision)

        def judged(W: Any, Z: Any, judge: Any = judge) -> float:
            return float(judge.objective(np.ascontiguousarray(W), Z))

        for K in COMPONENTS:
            traces: list[Any] = []
            for seed in range(int(starts)):
                start = drawn(V, K, seed)
                args = (V, beta, start, judged, limit)
                if name in OURS:
                    if not traces:
                        next(itertools.islice(ours(OURS[name], V, beta, start), 3, None))
                    traces.append(our_trace(name, *args))
                else:
                    if not traces:
                        iteration = an_iteration(PEERS[name], V, beta, start)
                    traces.append(their_trace(PEERS[name], *args, iteration))
            found[f"{divergence} {K}"] = {"budget": limit, "traces": traces}
    return found


def budget(size: int, precision: str) -> float:
    return SECONDS_A_NUMBER[precision] * size


# ---- the report --------------------------------------------------------------------------------


def reached(trace: list[list[float]], goal: float, limit: float) -> float:
    """The seconds after which a run was within the goal; the budget if it never was."""
    return next((min(at, limit) for _, at, value in trace if value <= goal), limit)


def middle(values: list[float]) -> tuple[float, float, float]:
    """The median, and the order statistics that hold it at 95 % (the 2nd and 9th of ten)."""
    ordered, n = sorted(values), len(values)
    at = max(0, int((n - 1.96 * n**0.5) / 2))
    return statistics.median(ordered), ordered[at], ordered[n - 1 - at]


def seconds_of(cells: dict[str, dict[str, Any]]) -> dict[str, list[float]]:
    """Of each solver, from each start, to within 0.1 % of the best that any of them reaches."""
    first = next(iter(cells.values()))
    seconds: dict[str, list[float]] = {name: [] for name in cells}
    for n in range(len(first["traces"])):
        best = min(value for cell in cells.values() for _, _, value in cell["traces"][n])
        for name, cell in cells.items():
            there = reached(cell["traces"][n], (1 + WITHIN) * best, cell["budget"])
            seconds[name].append(max(there, 1e-9))
    return seconds


def row(of: str, precision: str, case: str, cells: dict[str, dict[str, Any]]) -> dict[str, str]:
    seconds, limit = seconds_of(cells), next(iter(cells.values()))["budget"]
    told = {"matrix": of, "precision": precision, "divergence, K": case}
    for name in SOLVERS:
        there = seconds.get(name, [])
        value = f"{statistics.median(there):.3f} s" if there else "–"
        missed = sum(second >= limit for second in there)
        told[name] = value + (f" ({missed} never)" if missed else "")
    others = [seconds[name] for name in seconds if name not in OURS]
    if others and "ours" in seconds:
        ratios = [a / min(b) for a, *b in zip(seconds["ours"], *others, strict=True)]
        median, low, high = middle(ratios)
        told |= {"ours / fastest other": f"{median:.2f} ({low:.2f}–{high:.2f})"}
    return told


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--matrices", nargs="+", default=list(MATRICES), choices=MATRICES)
    parser.add_argument("--precisions", nargs="+", default=list(PRECISIONS), choices=PRECISIONS)
    parser.add_argument("--solvers", nargs="+", default=list(USUAL), choices=SOLVERS)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="of BLAS")
    parser.add_argument("--starts", type=int, default=10)
    parser.add_argument("--resume", action="store_true", help="keep results that are there")
    return parser.parse_args()


def report() -> None:
    given = arguments()
    if absent := missing("sklearn", "torchnmf"):
        print(f"not installed, so not measured: {', '.join(absent)}\n")
    solvers = [name for name in given.solvers if name.partition(" ")[0] not in absent]
    for threads in given.threads:
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        variables = dict.fromkeys(names, str(threads))
        rows = []
        for of, precision in itertools.product(given.matrices, given.precisions):
            found = {}
            for name in solvers:
                asked = (name, of, precision, str(given.starts))
                label = f"nmf-objective-{threads}-{'-'.join(asked)}"
                run = partial(in_own_process, "race", *asked, variables=variables)
                found[name] = kept(label.replace(", ", "-").replace(" ", "-"), given.resume, run)
            for case in next(iter(found.values())):
                cells = {name: each[case] for name, each in found.items() if case in each}
                rows.append(row(of, precision, case, cells))
                print(*rows[-1].values(), sep=" | ", flush=True)
        print(f"\nBLAS in {threads} threads\n\n{table(rows)}\n", flush=True)


CASES = {"race": race}

if __name__ == "__main__":
    main(CASES, report)
