"""One case a process: the median time of several runs, and by how much memory grew at its peak.

A script runs itself once a case, so that no case sees the memory, the caches or the threads of
another. This module stays light: on Linux a new process inherits the peak of the one it comes
from.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import redirect_stdout, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

MEGABYTE = 10**6
ROUNDS = 3
ROOT = Path(__file__).parents[1]
PEERS, RESULTS = ROOT / ".peers", ROOT / "_build" / "benchmarks"
Case = Callable[..., dict[str, Any]]


def peak_memory() -> int:
    """The largest memory this process has held so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def peak_from_here() -> int:
    """The memory held now: where the system lets us (Linux), what was held before is forgotten."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return peak_memory()


def timed(
    function: Callable[[], Any], repeats: int, describe: Callable[[Any], Any] = lambda _: None
) -> dict[str, Any]:
    """Seconds of ``repeats`` calls, after one more that sets the peak and is described."""
    before = peak_memory()
    first = function()
    grown, described = peak_memory() - before, describe(first)
    del first
    seconds = []
    for _ in range(repeats):
        begin = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - begin)
    return {"seconds": seconds, "peak": grown, "result": described}


def in_own_process(
    case: str,
    *arguments: str,
    python: str | Path = sys.executable,
    variables: Mapping[str, str] | None = None,
    limit: float | None = None,
) -> dict[str, Any]:
    """What ``case`` of the running script measures in a fresh process.

    The process may run in the environment of another ``python``, with more environment
    ``variables``, and for ``limit`` seconds at the most. ``SystemExit`` says why one failed.
    """
    command = [str(python), sys.argv[0], case, *arguments]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | dict(variables or {}),
            timeout=limit,
        )
    except subprocess.TimeoutExpired:
        raise SystemExit(f"{case} {' '.join(arguments)} took over {limit:.0f} s") from None
    if done.returncode:
        raise SystemExit(f"{case} {' '.join(arguments)} failed:\n{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def in_turns(
    names: Iterable[str], case: str, *arguments: str, rounds: int = ROUNDS
) -> dict[str, dict[str, Any]]:
    """Medians (and the best time) of some processes for each name, which take turns.

    So whatever else the machine does in the meantime falls on all of them.
    """
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for _ in range(rounds):
        for name, measured in runs.items():
            measured.append(in_own_process(case, name, *arguments))
    times = {
        name: [second for run in measured for second in run["seconds"]]
        for name, measured in runs.items()
    }
    return {
        name: {
            "seconds": statistics.median(times[name]),
            "best": min(times[name]),
            "peak": statistics.median(run["peak"] for run in measured),
            "result": measured[0]["result"],
        }
        for name, measured in runs.items()
    }


def main(cases: Mapping[str, Case], report: Callable[[], None]) -> None:
    """Run the case that the command line names, or print the report.

    What a case prints goes to its errors: its last line of output is what it measured.
    """
    if sys.argv[1:2] and sys.argv[1] in cases:
        with redirect_stdout(sys.stderr):
            found = cases[sys.argv[1]](*sys.argv[2:])
        print(f"\n{json.dumps(found)}")
    else:
        load, threads = os.getloadavg()[0], os.cpu_count()
        print(f"{threads} processors, load {load:.2f} before the start\n", flush=True)
        report()


def kept(name: str, resume: bool, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What ``measure()`` finds, written to ``_build/benchmarks/NAME.json`` as soon as it is there.

    With ``resume`` a file that an earlier run left is read instead.
    """
    path = RESULTS / f"{name}.json"
    if resume and path.exists():
        found: dict[str, Any] = json.loads(path.read_text())
        return found
    found = measure()
    RESULTS.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found))
    return found


def environment(name: str, *requirements: str) -> Path:
    """The Python of an environment of its own, ``.peers/NAME``, made where it is not there yet."""
    folder = PEERS / name
    python, ready = folder / "bin" / "python", folder / ".ready"
    if not (ready.exists() and ready.read_text() == " ".join(requirements)):
        print(f"making {folder.relative_to(ROOT)}: {', '.join(requirements)}", flush=True)
        for command in (
            [sys.executable, "-m", "venv", "--clear", str(folder)],
            [str(python), "-m", "pip", "install", "--quiet", *requirements],
        ):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}")
        ready.write_text(" ".join(requirements))
    return python


def missing(*modules: str) -> list[str]:
    """Which of these modules are not installed."""
    return [name for name in modules if find_spec(name) is None]


def table(rows: list[dict[str, str]]) -> str:
    """Rows of text as a Markdown table; the keys of the first are its head."""
    head = list(rows[0])
    widths = [max(len(name), *(len(row[name]) for row in rows)) for name in head]
    lines = [dict(zip(head, head, strict=True)), *rows]
    text = [
        "| " + " | ".join(line[n].ljust(w) for n, w in zip(head, widths, strict=True)) + " |"
        for line in lines
    ]
    rule = "| " + " | ".join("-" * w for w in widths) + " |"
    return "\n".join([text[0], rule, *text[1:]])
