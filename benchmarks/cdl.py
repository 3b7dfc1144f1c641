"""Convolutional dictionary learning beside its peers: objective against time, from the same start.

``python benchmarks/cdl.py piano -K 4 8`` and ``python benchmarks/cdl.py chirps``; README.md says
how the peers are set up and how all are judged.
"""

from __future__ import annotations

import argparse
import math
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import permutations
from pathlib import Path
from typing import Any

from measure import (
    MEGABYTE,
    environment,
    in_own_process,
    kept,
    main,
    missing,
    peak_from_here,
    peak_memory,
    table,
)

APART = ("alphacsc", "dicodile")
"""alphacsc fails beside NumPy 2.4; dicodile calls what SciPy 1.12 no longer has."""
OLDER = (
    "numpy==1.26.4",
    "scipy==1.11.4",
    "alphacsc==0.4.1",
    "dicodile==0.3",
    "mpi4py==4.1.2",
    "mpich==5.0.2",
)
TIMES = (1, 2, 5, 10, 20, 50, 100, 200, 300)
CLOSE = (0.03, 0.01)
SETTLED = 1e-3


@dataclass(frozen=True)
class Workload:
    """A signal, the length of its atoms, and the penalty as a share of the largest segment norm.

    ``rho`` is sporco's penalty on what its activations differ by from their sparse copy, the best
    of a few tried.
    """

    signal: str
    atom_length: int
    share: float
    n_components: tuple[int, ...]
    seconds: float
    starts: int
    rho: float


WORKLOADS = {
    "piano": Workload("piano", 2048, 0.02, (4, 8), 300, 1, rho=6.0),
    "chirps": Workload("chirps", 55_125, 0.05, (2,), 40, 8, rho=2.0),
    "planted": Workload("planted", 64, 0.05, (2,), 5, 2, rho=6.0),
}


@dataclass(frozen=True)
class Problem:
    """``½‖x - Σ d_k ∗ z_k‖² + λ Σ‖z_k‖₁``, ``z ≥ 0``, ``‖d_k‖ ≤ 1``, and where to start from."""

    x: Any
    atoms: Any
    penalty: float
    rho: float

    def short(self) -> Problem:
        """A problem of a moment, on which to compile and import all that solving needs."""
        begin = min(int(abs(self.x).argmax()), self.x.size - 1024)
        x, atoms = abs(self.x[begin : begin + 1024]), self.atoms[:, :32].copy()
        atoms[:, 0] += 1.0
        return Problem(x, atoms / _norms(atoms), 0.1 * float(x.max()), self.rho)


def make_problem(
    path: str, signal: str, length: str, share: str, rho: str, K: str, seed: str
) -> dict[str, Any]:
    """Write a problem to ``path``: segments drawn by energy, apart from each other, start it."""
    import numpy as np

    x, stems = SIGNALS.get(signal, partial(recorded, signal))()
    L, rng = int(length), np.random.default_rng(int(seed))
    energy = np.concatenate([[0.0], np.cumsum(x**2)])
    chances = np.maximum(energy[L:] - energy[:-L], 0)
    penalty = float(share) * np.sqrt(chances.max())
    atoms = np.empty((int(K), L))
    for atom in atoms:
        begin = int(rng.choice(chances.size, p=chances / chances.sum()))
        atom[:] = x[begin : begin + L]
        chances[max(0, begin - L // 2) : begin + L // 2 + 1] = 0
    atoms /= _norms(atoms)
    np.savez(path, x=x, atoms=atoms, penalty=penalty, rho=float(rho), stems=stems)
    return {"samples": x.size, "penalty": penalty}


def piano() -> tuple[Any, Any]:
    from cdlnmf_lit.experiments import signals

    return signals.piano(rng=0).signal, ()


def chirps() -> tuple[Any, Any]:
    """The seeded chirps between silences of half an atom, as two of them sound near the ends."""
    import numpy as np

    from cdlnmf_lit.experiments import signals

    mixture, half = signals.chirps(rng=0), WORKLOADS["chirps"].atom_length // 2
    return np.pad(mixture.signal, half), np.pad(mixture.sources, ((0, 0), (half, half)))


def planted() -> tuple[Any, Any]:
    """Two atoms, each at 40 places: small enough to see that every solver finds them."""
    import numpy as np

    rng = np.random.default_rng(0)
    atoms, activations = rng.standard_normal((2, 64)), np.zeros((2, 4000 - 63))
    for row in activations:
        row[rng.choice(row.size, 40, replace=False)] = rng.uniform(1, 3, 40)
    stems = np.stack([np.convolve(*pair) for pair in zip(atoms, activations, strict=True)])
    return stems.sum(axis=0) + 0.1 * rng.standard_normal(4000), stems


def recorded(path: str) -> tuple[Any, Any]:
    from cdlnmf_lit.recordings.reading import read

    return read(path)[0].astype(float), ()


SIGNALS = {"piano": piano, "chirps": chirps, "planted": planted}


def _norms(atoms: Any) -> Any:
    return (atoms**2).sum(axis=1, keepdims=True) ** 0.5


# ---- the solvers: each yields, step by step, what returns its atoms (K, L) and activations ------

Steps = Iterator[Callable[[], tuple[Any, Any]]]


def ours(problem: Problem, dtype: str) -> Steps:
    from cdlnmf_lit.methods.cdl import CDL

    x, atoms = problem.x.astype(dtype), problem.atoms.astype(dtype)
    method = CDL(atom_length=atoms.shape[1], penalty=problem.penalty)
    for state in method.iterate(x, len(atoms), start=(atoms, None)):
        state.objective  # noqa: B018 (what a loop that watches its convergence pays for)

        def found(state: Any = state) -> tuple[Any, Any]:
            decomposition = state.decomposition()
            return decomposition.atoms, decomposition.activations

        yield found


def with_sporco(problem: Problem, dtype: str, update: str) -> Steps:
    """ADMM for the activations, ADMM or projected gradient for the atoms, a step of each in turn.

    sporco's model is circular. The signal is padded to a length of quick transforms, and a weight
    without bounds keeps all activations zero whose atoms would not lie within the signal: so it
    solves the same problem as the others.
    """
    import numpy as np
    import scipy.fft
    import sporco.fft
    from sporco.dictlrn.cbpdndl import ConvBPDNDictLearn
    from sporco.pgm.backtrack import BacktrackStandard

    sporco.fft.pyfftw_planner_effort = "FFTW_ESTIMATE"
    K, L = problem.atoms.shape
    T = problem.x.size
    F = scipy.fft.next_fast_len(T, real=True)
    x = np.zeros(F, dtype)
    x[:T] = problem.x
    weight = np.full((F, 1, 1, 1), 1e6, dtype)
    weight[: T - L + 1] = 1
    coding = {
        "NonNegCoef": True,
        "L1Weight": weight,
        "rho": problem.rho,
        "AutoRho": {"Enabled": False},
    }
    learning = {
        "pgm": {"L": 200.0, "Backtrack": BacktrackStandard(gamma_u=1.2, maxiter=50)},
        "cns": {"rho": 100.0, "AutoRho": {"Enabled": True}},
    }[update]
    options = ConvBPDNDictLearn.Options(
        {"Verbose": False, "MaxMainIter": 1, "CBPDN": coding, "CCMOD": learning},
        xmethod="admm",
        dmethod=update,
    )
    atoms = np.ascontiguousarray(problem.atoms.T.astype(dtype))
    learner = ConvBPDNDictLearn(
        atoms, x, problem.penalty, options, xmethod="admm", dmethod=update, dimK=0, dimN=1
    )
    while True:
        learner.solve()
        yield lambda: (
            learner.getdict().reshape(L, K).T,
            learner.getcoef().reshape(F, K).T[:, : T - L + 1],
        )


def alphacsc(problem: Problem) -> Steps:
    """Locally greedy coordinate descent, and projected gradient on exact statistics."""
    from alphacsc._d_solver import get_solver_d
    from alphacsc._z_encoder import get_z_encoder_for

    K, L = problem.atoms.shape
    scale = problem.x.std()
    x = (problem.x / scale)[None, None]
    update = get_solver_d(
        1, K, L, solver_d="fista", rank1=False, D_init=problem.atoms[:, None].copy()
    )
    update.init_dictionary(x)
    encoder = get_z_encoder_for(
        x, update.D_hat, K, L, 1, "lgcd", {"tol": 1e-3}, problem.penalty / scale
    )

    def found() -> tuple[Any, Any]:
        return update.D_hat[:, 0], scale * encoder.get_z_hat()[0]

    while True:
        encoder.compute_z()
        yield found
        update.update_D(encoder)
        yield found


def dicodile(problem: Problem) -> Steps:
    """Locally greedy coordinate descent in one process a processor, which share the signal."""
    import numpy as np
    from dicodile._dicodile import DEFAULT_DICOD_KWARGS
    from dicodile.update_d.update_d import update_d
    from dicodile.update_z.distributed_sparse_encoder import DistributedSparseEncoder
    from dicodile.utils.dictionary import get_lambda_max

    x, atoms = problem.x[None], problem.atoms[:, None].copy()
    largest = float(get_lambda_max(x, atoms).max())
    encoder = DistributedSparseEncoder(os.cpu_count() or 1)
    encoder.init_workers(
        x,
        atoms,
        problem.penalty,
        DEFAULT_DICOD_KWARGS
        | {
            "z_positive": True,
            "tol": 1e-3 * (largest - problem.penalty),
            "random_state": None,
            "reg": problem.penalty,
            "timing": False,
            "return_ztz": False,
            "freeze_support": False,
            "warm_start": True,
        },
    )
    step, constants = 1.0, {"n_channels": 1, "XtX": float(np.vdot(x, x))}

    def found() -> tuple[Any, Any]:
        return atoms[:, 0], encoder.get_z_hat()

    try:
        while True:
            encoder.process_z_hat()
            yield found
            constants["ztz"], constants["ztX"] = encoder.get_sufficient_statistics()
            atoms, step = update_d(
                x, None, atoms, constants=constants, step_size=100 * step, max_iter=100, eps=1e-5
            )
            encoder.set_worker_D(atoms)
            yield found
    finally:
        encoder.release_workers()
        encoder.shutdown_workers()


SOLVERS: dict[str, Callable[[Problem], Steps]] = {
    "ours": partial(ours, dtype="float64"),
    "ours-f32": partial(ours, dtype="float32"),
    "sporco-pgm": partial(with_sporco, dtype="float64", update="pgm"),
    "sporco-pgm-f32": partial(with_sporco, dtype="float32", update="pgm"),
    "sporco-admm": partial(with_sporco, dtype="float64", update="cns"),
    "sporco-admm-f32": partial(with_sporco, dtype="float32", update="cns"),
    "alphacsc": alphacsc,
    "dicodile": dicodile,
}


# ---- one solver in its own process -------------------------------------------------------------


def judged(problem: Problem, atoms: Any, activations: Any) -> tuple[float, Any]:
    """The objective, and the components (K, T), of anyone's atoms once their norms are 1.

    An atom's norm goes to its activations, so that nothing but the penalty changes.
    """
    import numpy as np
    import scipy.fft

    d, z = np.asarray(atoms, float), np.asarray(activations, float)
    if z.shape != (len(d), problem.x.size - d.shape[1] + 1) or z.min() < 0:
        raise SystemExit(f"not the same problem: activations {z.shape}, least {z.min()}")
    F = scipy.fft.next_fast_len(problem.x.size, real=True)
    parts = np.empty((len(d), problem.x.size))
    for part, atom, row in zip(parts, d, z, strict=True):
        product = scipy.fft.rfft(atom, F) * scipy.fft.rfft(row, F)
        part[:] = scipy.fft.irfft(product, F)[: part.size]
    misfit = 0.5 * float(np.sum((problem.x - parts.sum(axis=0)) ** 2))
    return misfit + problem.penalty * float(np.sum(_norms(d)[:, 0] * z.sum(axis=1))), parts


def ratios(stems: Any, parts: Any) -> list[float]:
    """Scale-invariant signal-to-distortion ratios, dB, of the stems, matched as is best."""
    import numpy as np

    def ratio(stem: Any, part: Any) -> float:
        energy = float(np.vdot(part, part) * np.vdot(stem, stem))
        share = float(np.vdot(part, stem) ** 2) / energy if energy else 0.0
        return 10 * math.log10(max(share, 1e-12) / max(1 - share, 1e-12))

    orders = permutations(parts, len(stems))
    return max(([ratio(*pair) for pair in zip(stems, o, strict=True)] for o in orders), key=min)


def trace(solver: str, path: str, seconds: str) -> dict[str, Any]:
    """Objective and time after the steps of a solver, its clock stopped while it is judged."""
    import numpy as np

    with np.load(path) as stored:
        problem = Problem(
            stored["x"], stored["atoms"], float(stored["penalty"]), float(stored["rho"])
        )
        stems = stored["stems"]
    solve = SOLVERS[solver]
    # sporco plans its transforms for the length of the signal, and remembers the plans.
    warm_up = solve(problem if solver.startswith("sporco") else problem.short())
    next(warm_up)
    warm_up.close()  # type: ignore[attr-defined]
    K, L = problem.atoms.shape
    judged(problem, problem.atoms, np.zeros((K, problem.x.size - L + 1)))
    before, clock, shown, steps, points, best = peak_from_here(), 0.0, 0.0, 0, [], math.inf
    begin = time.perf_counter()
    for found in solve(problem):
        clock += time.perf_counter() - begin
        steps += 1
        if clock >= 1.03 * shown or clock > float(seconds):
            shown = clock
            objective, parts = judged(problem, *found())
            points.append((clock, objective))
            if objective < best:
                best, reached = objective, ratios(stems, parts) if len(stems) else []
        if clock > float(seconds):
            break
        begin = time.perf_counter()
    return {
        "trace": points,
        "steps": steps,
        "peak": peak_memory() - before + workers_memory(),
        "ratios": reached,
    }


def workers_memory() -> int:
    """The largest memory that dicodile's workers, which are no children of this process, held."""
    total = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_text()
            if "dicodile" in command and "main_worker" in command:
                status = (process / "status").read_text().splitlines()
                total += 1024 * sum(int(s.split()[1]) for s in status if s.startswith("VmHWM"))
        except OSError:
            continue
    return total


# ---- the report --------------------------------------------------------------------------------


def best_of(found: dict[str, Any]) -> float:
    return min(value for _, value in found["trace"])


def after(found: dict[str, Any], objective: float) -> float:
    """Seconds until the objective was as low, infinite if it never was."""
    return next((t for t, value in found["trace"] if value <= objective), math.inf)


def seconds(value: float) -> str:
    return f"{value:.1f} s" if math.isfinite(value) else "never"


def decibels(ratios: list[float]) -> str:
    return " ".join(f"{ratio:.1f}" for ratio in ratios)


def row(solver: str, found: dict[str, Any], best: float, budget: float) -> dict[str, str]:
    times = [t for t in TIMES if t <= budget]
    lows = {t: [value for at, value in found["trace"] if at <= t] for t in times}
    return {
        "solver": solver,
        "best": f"{best_of(found):.4f}",
        "above": f"{100 * (best_of(found) / best - 1):.2f} %",
        **{f"to {100 * c:.0f} %": seconds(after(found, (1 + c) * best)) for c in CLOSE},
        **{f"{t} s": f"{min(low):.2f}" if low else "" for t, low in lows.items()},
        "settled": seconds(after(found, (1 + SETTLED) * best_of(found))),
        **({"SI-SDR, dB": decibels(found["ratios"])} if found["ratios"] else {}),
        "steps": str(found["steps"]),
        "peak": f"{found['peak'] / MEGABYTE:.0f} MB",
    }


def print_comparison(traces: dict[str, dict[str, Any]], best: float) -> None:
    """Our time against the peers', to where the best of them came and close to the best of all."""
    mine = {name: found for name, found in traces.items() if name.startswith("ours")}
    peers = {name: found for name, found in traces.items() if name not in mine}
    if not mine or not peers:
        return
    winner = min(peers, key=lambda name: best_of(peers[name]))
    goals = {f"{winner}'s best": best_of(peers[winner])}
    goals |= {f"{100 * c:.0f} % above the best of all": (1 + c) * best for c in CLOSE}
    rows = []
    for goal, objective in goals.items():
        theirs = {name: after(found, objective) for name, found in peers.items()}
        fastest = min(theirs, key=lambda name: theirs[name])
        reached = {"to": goal, "objective": f"{objective:.4f}"}
        never = math.isinf(theirs[fastest])
        reached["fastest peer"] = "none" if never else f"{fastest}, {seconds(theirs[fastest])}"
        for name, found in mine.items():
            time_of_ours = after(found, objective)
            reached[name] = seconds(time_of_ours)
            both = math.isfinite(time_of_ours) and math.isfinite(theirs[fastest])
            reached[f"{name} / peer"] = f"{time_of_ours / theirs[fastest]:.2f}" if both else ""
        rows.append(reached)
    print(f"\n{table(rows)}", flush=True)


def print_starts(starts: dict[int, dict[str, dict[str, Any]]]) -> None:
    """Over all starts: who came within 1 % of the best that anyone reached from any, and when."""
    best = min(best_of(found) for traces in starts.values() for found in traces.values())
    rows = []
    for solver in dict.fromkeys(name for traces in starts.values() for name in traces):
        runs = [traces[solver] for traces in starts.values() if solver in traces]
        times = [after(found, 1.01 * best) for found in runs]
        reached = [t for t in times if math.isfinite(t)]
        lowest = [min(found["ratios"], default=math.nan) for found in runs]
        rows.append(
            {
                "solver": solver,
                "starts": str(len(runs)),
                "within 1 %": str(len(reached)),
                "seconds to it": f"{min(reached):.1f} to {max(reached):.1f}" if reached else "",
                "objectives": " ".join(f"{best_of(found):.4g}" for found in runs),
                "lesser SI-SDR, dB": decibels(lowest),
                "peak": f"{max(found['peak'] for found in runs) / MEGABYTE:.0f} MB",
            }
        )
    print(f"\nall starts, best {best:.4f}\n{table(rows)}", flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("signal", help="piano, chirps, planted, or the path of a sound file")
    parser.add_argument("-K", type=int, nargs="+", help="numbers of atoms")
    parser.add_argument("--seconds", type=float, help="time of each solver from each start")
    parser.add_argument("--starts", type=int, nargs="+", help="seeds of the starts")
    parser.add_argument("--solvers", nargs="+", default=list(SOLVERS), choices=list(SOLVERS))
    parser.add_argument("--resume", action="store_true", help="keep results that are there")
    return parser.parse_args()


def run_solver(solver: str, name: str, path: Path, budget: float, resume: bool) -> dict[str, Any]:
    """A solver's trace; ``SystemExit`` where it is not installed or fails."""
    own: dict[str, Any] = {}
    if solver in APART:
        python = environment("older", *OLDER)
        # MPI finds its helpers by PATH, and dicodile has a process for each processor already.
        variables = {"PATH": f"{python.parent}{os.pathsep}{os.environ.get('PATH', '')}"}
        if solver == "dicodile":
            variables["OMP_NUM_THREADS"] = "1"
        own = {"python": python, "variables": variables}
    elif absent := missing(*({solver.split("-")[0]} - {"ours"})):
        raise SystemExit(f"{', '.join(absent)} is not installed")
    limit = 5 * budget + 600
    return kept(
        f"cdl-{name}-{solver}",
        resume,
        lambda: in_own_process("trace", solver, str(path), str(budget), limit=limit, **own),
    )


def report() -> None:
    given = arguments()
    work = WORKLOADS.get(given.signal, replace(WORKLOADS["piano"], signal=given.signal))
    budget = given.seconds or work.seconds
    with tempfile.TemporaryDirectory() as folder:
        for K in given.K or work.n_components:
            starts: dict[int, dict[str, dict[str, Any]]] = {}
            for seed in given.starts or range(work.starts):
                path = Path(folder, "problem.npz")
                about = (work.signal, work.atom_length, work.share, work.rho, K, seed)
                made = in_own_process("problem", str(path), *map(str, about))
                print(
                    f"{work.signal}, {made['samples']} samples, {K} atoms of {work.atom_length}, "
                    f"λ = {made['penalty']:.4f}, start {seed}, {budget:g} s each",
                    flush=True,
                )
                traces = starts[seed] = {}
                name = f"{Path(work.signal).stem}-{K}-{seed}-{budget:g}s"
                for solver in given.solvers:
                    try:
                        found = run_solver(solver, name, path, budget, given.resume)
                    except SystemExit as failure:
                        print(f"{solver}: {str(failure).strip().splitlines()[-1]}", flush=True)
                        continue
                    traces[solver] = found
                    print(f"{solver}: {best_of(found):.4f}", flush=True)
                if traces:
                    best = min(map(best_of, traces.values()))
                    print(f"\n{table([row(s, f, best, budget) for s, f in traces.items()])}")
                    print_comparison(traces, best)
                    print(flush=True)
            if len(starts) > 1 and any(starts.values()):
                print_starts(starts)


if __name__ == "__main__":
    main({"problem": make_problem, "trace": trace}, report)
