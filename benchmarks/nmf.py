"""The factorisations of a spectrogram: NMF beside its peers, and those that have none.

``python benchmarks/nmf.py`` prints, for each size, divergence and precision, what an iteration
takes and by how much memory grew; README.md says how.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from measure import (
    MEGABYTE,
    in_own_process,
    in_turns,
    kept,
    main,
    missing,
    peak_from_here,
    peak_memory,
    table,
)

HOPS = (512, 8)
CHANNELS, K = 2048, 8
PRECISIONS = ("float64", "float32")
BETAS = {"itakura-saito": 0, "kullback-leibler": 1, "euclidean": 2}
ITERATIONS = {512: 20, 8: 4}
ROUNDS = {512: 3, 8: 2}
REPEATS = 5
AGREEMENT = {"float64": 1e-4, "float32": 2e-3}
METHODS: dict[str, dict[str, Any]] = {
    "semi-nmf": {},
    "complex-nmf": {},
    "complex-nmf, phases free": {"phases": "random"},
    "complex-isnmf": {"start": "random"},
    "lrtfs, marginal": {"estimation": "marginal"},
    "lrtfs, joint": {"estimation": "joint"},
    "convolutive-nmf": {},
}


def prepare(folder: str, signal: str, hop: str) -> dict[str, Any]:
    """Write the signal and its power spectrogram to ``folder``, its median 1, and a start."""
    import numpy as np

    from cdlnmf_lit.experiments import signals
    from cdlnmf_lit.recordings.reading import read

    x = signals.piano(rng=0).signal if signal == "piano" else read(signal)[0].astype(float)
    V = framed(hop).spectrogram(x, 2.0)
    floor = max(float(V.min()), 1e-16 * float(V.max()))
    np.maximum(V, floor, out=V)
    V /= np.median(V)
    rng = np.random.default_rng(0)
    W, Z = (0.1 + rng.random((K, n)) for n in V.shape[::-1])
    for name, values in {"x": x, "V": V, "W": W, "Z": Z}.items():
        np.save(Path(folder, f"{name}.npy"), values)
    return {"frames": V.shape[0], "channels": V.shape[1]}


def framed(hop: str) -> Any:
    from cdlnmf_lit.theory.gabor import hann

    return hann(CHANNELS, int(hop))


def load(folder: str, name: str, precision: str) -> Any:
    import numpy as np

    return np.load(Path(folder, f"{name}.npy")).astype(precision, copy=False)


# ---- NMF: each maker returns what runs some iterations from the start ---------------------------

Run = Callable[[int], tuple[Any, Any]]


def ours(V: Any, W: Any, Z: Any, divergence: str) -> Run:
    from cdlnmf_lit.methods.nmf import NMF

    def run(iterations: int) -> tuple[Any, Any]:
        states = NMF(divergence=divergence).factorize(V, K, start=(W, Z))
        found = next(itertools.islice(states, iterations, None))
        return found.patterns, found.activations

    return run


def sklearn(V: Any, W: Any, Z: Any, divergence: str) -> Run:
    import numpy as np
    from sklearn.decomposition import non_negative_factorization

    def run(iterations: int) -> tuple[Any, Any]:
        left, right, _ = non_negative_factorization(
            V,
            np.ascontiguousarray(Z.T),
            W.copy(),
            n_components=K,
            init="custom",
            solver="mu",
            beta_loss=float(BETAS[divergence]),
            tol=0,
            max_iter=iterations,
        )
        return right, left.T

    return run


def torchnmf(V: Any, W: Any, Z: Any, divergence: str) -> Run:
    """It updates the factor it calls W first, so it is given the transpose."""
    import numpy as np
    import torch
    from torchnmf.nmf import NMF

    data = torch.from_numpy(np.ascontiguousarray(V.T))
    torch.set_default_dtype(data.dtype)

    def run(iterations: int) -> tuple[Any, Any]:
        model = NMF(W=torch.from_numpy(Z.T.copy()), H=torch.from_numpy(W.T.copy()))
        model.fit(data, beta=BETAS[divergence], tol=0, max_iter=iterations)
        return model.H.detach().numpy().T, model.W.detach().numpy().T

    return run


MAKERS = {"ours": ours, "sklearn": sklearn, "torchnmf": torchnmf}


def nmf(name: str, folder: str, hop: str, precision: str, divergence: str) -> dict[str, Any]:
    """Seconds an iteration: those of several and one, less those of one, which also starts."""
    import numpy as np

    V, W, Z = (load(folder, part, precision) for part in ("V", "W", "Z"))
    if divergence != "itakura-saito":
        V = np.sqrt(V)
    scale = np.sqrt(V.mean() / (W.sum(1) @ Z.sum(1)) * V.size).astype(precision)
    W, Z = scale * W, scale * Z
    MAKERS[name](V[:20], W, Z[:, :20].copy(), divergence)(2)  # imports what it needs
    run = MAKERS[name](V, W, Z, divergence)
    if name == "torchnmf":  # it keeps its own transpose
        V = None
    before, iterations = peak_from_here(), ITERATIONS[int(hop)]
    run(1)
    grown, seconds = peak_memory() - before, []
    for _ in range(REPEATS if iterations > 4 else 2):
        marks = [time.perf_counter()]
        for count in (1, 1 + iterations):
            found = run(count)
            marks.append(time.perf_counter())
        first, second = marks[1] - marks[0], marks[2] - marks[1]
        seconds.append((second - first) / iterations)
    if V is None:
        V = load(folder, "V", precision)
        V = V if divergence == "itakura-saito" else np.sqrt(V)
    value = divergence_of(V, *found, BETAS[divergence])
    return {"seconds": seconds, "peak": grown, "result": [value, V.nbytes]}


def divergence_of(V: Any, W: Any, Z: Any, beta: int) -> float:
    """The objective of anyone's factors, in double precision, a few frames at a time."""
    import numpy as np

    W, Z, total = W.astype(float), Z.astype(float), 0.0
    for n in range(0, len(V), 256):
        v, m = V[n : n + 256].astype(float), Z[:, n : n + 256].T @ W
        r = v / m
        terms = (r - np.log(r) - 1, v * np.log(r) - v + m, (v - m) ** 2 / 2)
        total += float(terms[beta].sum())
    return total


# ---- the methods without a peer ----------------------------------------------------------------


def method(name: str, folder: str, hop: str, precision: str) -> dict[str, Any]:
    """An iteration of a method from the signal on, with what it records of each."""
    from cdlnmf_lit.methods import METHODS as KINDS

    x, frame = load(folder, "x", precision), framed(hop)
    kind, options = KINDS[name.partition(",")[0]], METHODS[name]
    short = kind(frame=framed("512"), **options)
    next(short.iterate(x[: 64 * CHANNELS], 2))  # imports, compiles
    before, repeats = peak_from_here(), REPEATS if int(hop) > 8 else 2
    states = kind(frame=frame, **options).iterate(x, K)
    seconds = []
    for _ in range(1 + repeats):
        begin = time.perf_counter()
        next(states).record  # noqa: B018 (what keeping a history takes)
        seconds.append(time.perf_counter() - begin)
    return {
        "seconds": [statistics.median(seconds[1:]), min(seconds[1:])],
        "start": seconds[0],
        "peak": peak_memory() - before,
        "spectrogram": frame.n_frames(x.size) * (CHANNELS // 2 + 1) * 2 * x.itemsize,
    }


# ---- the report --------------------------------------------------------------------------------


def print_nmf(hop: int, divergence: str, precision: str, found: dict[str, Any]) -> None:
    mine, others = found["ours"], [each for name, each in found.items() if name != "ours"]
    rows = [
        {
            f"{divergence}, {precision}": name,
            "an iteration": f"{each['seconds']:.4f} s",
            "ours / its": f"{mine['seconds'] / each['seconds']:.2f}",
            "best": f"{each['best']:.4f} s",
            "peak": f"{each['peak'] / MEGABYTE:.0f} MB",
            "spectrograms": f"{each['peak'] / each['result'][1]:.2f}",
            f"after {1 + ITERATIONS[hop]}": f"{each['result'][0]:.8g}",
        }
        for name, each in found.items()
    ]
    print(table(rows))
    if others:
        fastest = min(each["seconds"] for each in others)
        print(f"ours takes {mine['seconds'] / fastest:.2f} of the time of the fastest other")
    for name, each in found.items():
        if abs(each["result"][0] / mine["result"][0] - 1) > AGREEMENT[precision]:
            print(f"{name} computes something else: no comparison")
    print(flush=True)


def method_row(name: str, precision: str, found: dict[str, Any]) -> dict[str, str]:
    iteration, best = found["seconds"]
    return {
        "method": name,
        "precision": precision,
        "an iteration": f"{iteration:.3f} s",
        "best": f"{best:.3f} s",
        "start": f"{found['start']:.2f} s",
        "peak": f"{found['peak'] / MEGABYTE:.0f} MB",
        "complex spectrograms": f"{found['peak'] / found['spectrogram']:.2f}",
    }


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("signal", nargs="?", default="piano", help="or the path of a sound file")
    parser.add_argument("--hops", type=int, nargs="+", default=list(HOPS), choices=HOPS)
    parser.add_argument("--precisions", nargs="+", default=list(PRECISIONS), choices=PRECISIONS)
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=PARTS)
    parser.add_argument("--divergences", nargs="+", default=list(BETAS), choices=list(BETAS))
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--peers", nargs="*", default=["sklearn", "torchnmf"])
    parser.add_argument("--rounds", type=int, help="processes a case")
    parser.add_argument("--resume", action="store_true", help="keep results that are there")
    return parser.parse_args()


PARTS = ("nmf", "methods")


def report() -> None:
    given = arguments()
    if absent := missing(*given.peers):
        print(f"not installed, so not measured: {', '.join(absent)}\n")
    forms = ["ours", *(peer for peer in given.peers if peer not in absent)]
    with tempfile.TemporaryDirectory() as folder:
        for hop in given.hops:
            size = in_own_process("prepare", folder, given.signal, str(hop))
            print(f"{size['channels']} × {size['frames']} (hop {hop}), K = {K}\n", flush=True)
            stem, rows = f"{Path(given.signal).stem}-{hop}", []
            for precision in given.precisions:
                common = (folder, str(hop), precision)

                def save(
                    name: str,
                    measure: Callable[[], dict[str, Any]],
                    about: str = f"{stem}-{precision}",
                ) -> dict[str, Any]:
                    label = f"nmf-{name}-{about}".replace(", ", "-").replace(" ", "-")
                    return kept(label, given.resume, measure)

                for divergence in given.divergences if "nmf" in given.parts else ():
                    rounds = given.rounds or ROUNDS[hop]
                    turns = partial(in_turns, forms, "nmf", *common, divergence, rounds=rounds)
                    print_nmf(hop, divergence, precision, save(divergence, turns))
                for name in given.methods if "methods" in given.parts else ():
                    try:
                        found = save(name, partial(in_own_process, "method", name, *common))
                    except SystemExit as failure:
                        print(f"{name}: {str(failure).strip().splitlines()[-1]}", flush=True)
                        continue
                    rows.append(method_row(name, precision, found))
                    print(" ".join(rows[-1].values()), flush=True)
            if rows:
                print(f"\n{table(rows)}\n", flush=True)


CASES = {"prepare": prepare, "nmf": nmf, "method": method}

if __name__ == "__main__":
    main(CASES, report)
