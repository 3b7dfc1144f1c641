"""One outer iteration of Algorithm 1: against the dense form, and against its bare FFTs.

``python benchmarks/algorithm_1.py`` prints the median time of an iteration and by how much memory
grew at its peak, for three sizes; README.md says what the dense form is.
"""

from __future__ import annotations

import cProfile
import pstats
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measure import MEGABYTE, in_own_process, in_turns, main, table, timed


@dataclass(frozen=True)
class Size:
    """What one row of the table is about."""

    about: str
    signal: str
    window_length: int
    hop: int
    n_components: int
    repeats: int = 9


SIZES = {
    "piano-8": Size("piano, M = 2048, a = 8, K = 8", "piano", 2048, 8, 8),
    "piano-1": Size("piano, M = 2048, a = 1, K = 8", "piano", 2048, 1, 8),
    "chirps-1": Size("chirps, M = 55,125, a = 1, K = 2", "chirps", 55_125, 1, 2),
}
FORMS = ("ours", "ours, float32", "dense, M/2 + 1 channels", "dense, M channels")


def signals(folder: str) -> dict[str, Any]:
    """Write the signals to ``folder``, so that making them costs no measured process memory."""
    import numpy as np

    from cdlnmf_lit.experiments.signals import chirps, piano

    for make in (piano, chirps):
        np.save(Path(folder, f"{make.__name__}.npy"), make(rng=0).signal)
    return {}


def dense_iterations(x: Any, K: int, frame: Any, *, half: bool) -> Iterator[Any]:
    """Algorithm 1 as printed, with ``α`` in memory; yields the residual that a step began with.

    Complex arrays are viewed as twice as many reals: so all products are real ones, by BLAS, and
    ``Re(αᴴ W)`` needs no conjugate. ``α`` is updated in place.
    """
    import numpy as np

    from cdlnmf_lit.methods.algorithm_1 import Algorithm1

    analysis = frame.half_analysis if half else frame.analysis
    synthesis = frame.half_synthesis if half else frame.synthesis
    start = next(Algorithm1(frame=frame).iterate(x, K))
    M, Z = frame.channels, start.activations.T.copy()
    W = (np.fft.rfft if half else np.fft.fft)(start.patterns, axis=1) / M
    twice = np.ones(W.shape[1]) if not half else np.r_[1.0, np.full(M // 2, 2.0)]
    if half and M % 2 == 0:
        twice[-1] = 1.0
    twice = np.repeat(twice, 2)
    alpha = np.empty((len(Z), W.shape[1]), complex)
    real = alpha.view(float)
    np.matmul(Z, W.view(float), out=real)
    while True:
        residual = x - synthesis(alpha, x.size).real
        yield residual
        alpha += analysis(residual)
        W = (np.linalg.pinv(Z.T @ Z, rcond=1e-14, hermitian=True) @ (Z.T @ real)).view(complex)
        weighted = W.view(float) * twice
        V, G = real @ weighted.T, W.view(float) @ weighted.T
        up = np.maximum(V, 0) + Z @ np.maximum(-G, 0)
        down = np.maximum(-V, 0) + Z @ np.maximum(G, 0)
        Z *= np.sqrt(np.divide(up, down, out=np.ones_like(up), where=down > 0))
        np.matmul(Z, W.view(float), out=real)


def our_iterations(x: Any, K: int, frame: Any) -> Iterator[Any]:
    from cdlnmf_lit.methods.algorithm_1 import Algorithm1

    for state in Algorithm1(frame=frame).iterate(x, K):
        yield state.residual


def loaded(size: Size, folder: str, dtype: str) -> tuple[Any, Any]:
    import numpy as np

    from cdlnmf_lit.theory.gabor import hann

    frame = hann(size.window_length, size.hop)
    return np.load(Path(folder, f"{size.signal}.npy")).astype(dtype), frame


def iteration(form: str, name: str, folder: str) -> dict[str, Any]:
    """One outer iteration: the first call of what is timed also makes the start."""
    import numpy as np

    size = SIZES[name]
    x, frame = loaded(size, folder, "float32" if "float32" in form else "float64")
    if form.startswith("ours"):
        states = our_iterations(x, size.n_components, frame)
    else:
        states = dense_iterations(x, size.n_components, frame, half="/" in form)

    def outer() -> Any:
        if not started:
            started.append(next(states))
        return next(states)

    started: list[Any] = []
    repeats = size.repeats if form.startswith("ours") else 3
    return timed(outer, repeats, lambda residual: float(np.linalg.norm(residual)))


def bare_transforms(plan: Any, K: int) -> Any:
    """The Fourier transforms of one outer iteration with one inner one, and nothing else.

    Forward: the residual, the activations, the atoms. Back: the synthesised signal, the
    correlations with the atoms and with the activations. As long, as many, grouped and
    threaded as in :class:`Convolution`.
    """
    import numpy as np
    import scipy.fft

    from cdlnmf_lit.theory.blocks import in_threads, n_threads

    F, rng = plan.fft_length, np.random.default_rng(0)
    workers = n_threads() if len(plan.groups) == 1 else 1
    sizes = [group.stop - group.start for group in plan.groups]
    grouped = [[rng.random((B, rows, F)) for B in sizes] for rows in (plan.hop, K)]
    atoms = rng.random((K, plan.hop, F))

    def forward(rows: Any) -> Any:
        return scipy.fft.rfft(rows, workers=workers)

    def back(spectra: Any) -> Any:
        return scipy.fft.irfft(spectra, F, workers=workers)

    spectra = [list(map(forward, blocks)) for blocks in grouped]
    atom_spectra = forward(atoms)

    def transform() -> None:
        for blocks in grouped:
            for _ in in_threads(forward, blocks):
                pass
        for blocks in spectra:
            for _ in in_threads(back, blocks):
                pass
        forward(atoms)
        back(atom_spectra)

    return transform


def against_bare(name: str, folder: str) -> dict[str, Any]:
    """Iterations and their bare transforms in turns, and where the time of an iteration goes.

    Processor seconds: waiting for a core that others use does not count.
    """
    from cdlnmf_lit.methods.algorithm_1 import Algorithm1

    size = SIZES[name]
    x, frame = loaded(size, folder, "float64")
    asked = Algorithm1(frame=frame)
    states = asked.iterate(x, size.n_components)
    plan = next(states).problem.plan
    transform = bare_transforms(plan, size.n_components)
    seconds: dict[str, list[float]] = {"iteration": [], "bare": []}
    for _ in range(size.repeats + 1):
        for what, function in (("iteration", lambda: next(states)), ("bare", transform)):
            begin = time.process_time()
            function()
            seconds[what].append(time.process_time() - begin)
    with cProfile.Profile() as profile:
        begin = time.perf_counter()
        for _ in range(size.repeats):
            next(states)
        whole = time.perf_counter() - begin
    where = {
        function: row[3] / whole
        for (_, _, function), row in pstats.Stats(profile).stats.items()
        if function in STAGES
    }
    return {
        "iteration": statistics.median(seconds["iteration"][1:]),
        "bare": statistics.median(seconds["bare"][1:]),
        "where": where,
        "estimated": {
            dtype: asked.estimate(x.size, size.n_components, dtype).memory_bytes
            for dtype in ("float64", "float32")
        },
        "alpha": 16 * frame.n_frames(x.size) * frame.channels,
    }


STAGES = (
    "signal_spectra",
    "correlation_with_activations",
    "weights_step",
    "atom_spectra",
    "activations_step",
    "synthesis",
)


def report() -> None:
    with tempfile.TemporaryDirectory() as folder:
        in_own_process("signals", folder)
        for name, size in SIZES.items():
            forms = FORMS if name == "piano-8" else FORMS[:2]
            measured = in_turns(forms, "iteration", name, folder)
            bare = in_own_process("against_bare", name, folder)
            print(size.about)
            print_forms(measured, bare)
            print_stages(bare)


def print_forms(measured: dict[str, Any], bare: dict[str, Any]) -> None:
    ours = measured["ours"]
    estimated = dict(zip(FORMS, bare["estimated"].values(), strict=False))
    rows = [
        {
            "one outer iteration": form,
            "time": f"{found['seconds']:.3f} s",
            "time / ours": f"{found['seconds'] / ours['seconds']:.2f}",
            "best": f"{found['best']:.3f} s",
            "peak": f"{found['peak'] / MEGABYTE:.0f} MB",
            "peak / ours": f"{found['peak'] / ours['peak']:.2f}",
            "estimate / peak": f"{estimated[form] / found['peak']:.2f}"
            if form in estimated
            else "",
            "residual": f"{found['result']:.6f}",
        }
        for form, found in measured.items()
    ]
    print(table(rows))
    if len(measured) < len(FORMS):
        print(f"dense, M channels: not run, its α alone would take {bare['alpha'] / 1e9:.1f} GB")


def print_stages(bare: dict[str, Any]) -> None:
    ratio = bare["iteration"] / bare["bare"]
    where = bare["where"] | {"the rest": 1 - sum(bare["where"].values())}
    shares = [f"{stage} {100 * share:.0f} %" for stage, share in where.items()]
    print(
        f"an iteration takes {ratio:.2f} times its bare FFTs "
        f"({1e3 * bare['iteration']:.1f} ms against {1e3 * bare['bare']:.1f} ms of the processor); "
        "it spends"
    )
    print(", ".join(shares), end="\n\n")


CASES = {"signals": signals, "iteration": iteration, "against_bare": against_bare}

if __name__ == "__main__":
    main(CASES, report)
