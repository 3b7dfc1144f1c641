"""The recipes against those of another checkout: time, memory, and what they find.

``python benchmarks/recipes.py PATH`` prints processor seconds and peak memory of each recipe,
then how both take twenty seeded pianos apart; README.md says what is measured.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from measure import MEGABYTE, ROOT, in_own_process, main, peak_from_here, peak_memory, table

RATE = 22_050
MINUTES = 10
SOUNDS = {
    "piano": ("notes", 4),
    "long piano": ("notes", 4),
    "chirps": ("chirps", 2),
    "clicks": ("clicks", 2),
}
"""The recipe of each sound, and K."""


def prepare(folder: str) -> dict[str, Any]:
    """Write the sounds to ``folder``, so that making them costs no measured process memory."""
    import numpy as np

    from cdlnmf_lit.experiments.signals import chirps, piano

    x = piano(rng=0).signal
    made = {"piano": x, "long piano": long_piano(), "chirps": chirps(rng=0).signal}
    for name, sound in (made | {"clicks": clicks()}).items():
        np.save(Path(folder, f"{name}.npy"), sound)
    return {}


def long_piano() -> Any:
    """The score again and again: other strikes and noises each time."""
    from dataclasses import replace

    from cdlnmf_lit.experiments.signals import PIANO_MEASURES, piano

    seconds = 60 * MINUTES
    begins = [begin * 15.7 for begin in range(seconds // 16 + 2)]
    measures = [replace(m, onset=m.onset + begin) for begin in begins for m in PIANO_MEASURES]
    inside = [m for m in measures if m.onset < seconds]
    return piano(rng=0, measures=inside, duration=seconds).signal


def clicks(seconds: int = 10) -> Any:
    """Clicks of two kinds over a hum and noise."""
    import numpy as np

    random = np.random.default_rng(0)
    t, u = np.arange(seconds * RATE) / RATE, np.arange(440) / RATE
    x = np.sin(2 * np.pi * 50 * t) + 0.5 * random.standard_normal(t.size)
    for pitch in (1500, 3300):
        click = 20 * np.exp(-u * 300) * np.sin(2 * np.pi * pitch * u)
        for place in 1000 * random.choice(t.size // 1000 - 1, 24, replace=False):
            x[place : place + u.size] += random.uniform(0.6, 1) * click
    return x / np.abs(x).max()


def cost(folder: str, sound: str) -> dict[str, Any]:
    """Processor seconds of a recipe, how far memory grew, and what was estimated."""
    import numpy as np

    from cdlnmf_lit.methods.recipes import RECIPES

    recipe, K = SOUNDS[sound]
    method, x = RECIPES[recipe](RATE), np.load(Path(folder, f"{sound}.npy"))
    warm = np.sin(0.3 * np.arange(8000.0)) * (np.arange(8000) % 3000 < 1000)
    RECIPES[recipe](1000).decompose(warm, 2)  # imports, compiles, starts threads
    before, begin = peak_from_here(), time.process_time()
    method.decompose(x, K, rng=0)
    seconds = time.process_time() - begin
    told = method.estimate(x.size, K, x.dtype).memory_bytes
    return {"seconds": seconds, "peak": peak_memory() - before, "estimate": told}


def components(folder: str, seed: str) -> dict[str, Any]:
    """Take one seeded piano apart, and keep what was found."""
    import numpy as np

    from cdlnmf_lit.experiments.signals import piano
    from cdlnmf_lit.methods.recipes import RECIPES

    x, begin = piano(rng=int(seed)).signal, time.process_time()
    found = RECIPES["notes"](RATE).decompose(x, 4, rng=int(seed))
    seconds = time.process_time() - begin
    np.save(Path(folder, "found.npy"), found.components())
    return {"seconds": seconds}


def judged(folder: str, seed: str) -> dict[str, Any]:
    """Hold what was kept to the true notes, whoever found it, as the book judges."""
    import numpy as np

    from cdlnmf_lit.experiments.evaluation import judge
    from cdlnmf_lit.experiments.signals import PIANO_MEASURES, PIANO_NOTES, piano
    from cdlnmf_lit.methods.decomposition import Decomposition

    mixture, sounds = piano(rng=int(seed)), np.load(Path(folder, "found.npy"))
    none, residual = np.ones((4, 1)), mixture.signal - sounds.sum(axis=0)
    found = Decomposition("kept", None, none, 1, 0, residual, spectra=none, sounds=sounds)
    scores = judge(found, mixture, notes=PIANO_NOTES, measures=PIANO_MEASURES, filter_length=1)
    assert scores.notes is not None
    return {"si_sdr": scores.mean_si_sdr, "notes": scores.notes}


# ---- the report --------------------------------------------------------------------------------


def of_checkout(path: Path, case: str, *arguments: str) -> dict[str, Any]:
    """What a case measures with the package of a checkout."""
    return in_own_process(case, *arguments, variables={"PYTHONPATH": str(path.resolve())})


def costs(folder: str, sound: str, checkouts: dict[str, Path], rounds: int) -> dict[str, str]:
    """A row: medians of processes that take turns."""
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in checkouts}
    for _ in range(rounds):
        for name, path in checkouts.items():
            runs[name].append(of_checkout(path, "cost", folder, sound))
    (ours, theirs) = (
        {each: statistics.median(run[each] for run in runs[name]) for each in runs[name][0]}
        for name in checkouts
    )
    return {
        "sound": sound,
        "recipe": SOUNDS[sound][0],
        "ours": f"{ours['seconds']:.2f} s",
        "theirs": f"{theirs['seconds']:.2f} s",
        "ours / theirs": f"{ours['seconds'] / theirs['seconds']:.2f}",
        "peak": f"{ours['peak'] / MEGABYTE:.0f} MB",
        "their peak": f"{theirs['peak'] / MEGABYTE:.0f} MB",
        "peak / their peak": f"{ours['peak'] / theirs['peak']:.2f}",
        "estimate": f"{ours['estimate'] / MEGABYTE:.0f} MB",
    }


def pianos(folder: str, checkouts: dict[str, Path], n_pianos: int) -> list[dict[str, Any]]:
    """What both find in each piano, and the processor seconds."""
    rows = []
    for seed in map(str, range(n_pianos)):
        row: dict[str, Any] = {"seed": seed}
        for name, path in checkouts.items():
            took = of_checkout(path, "components", folder, seed)
            row[name] = in_own_process("judged", folder, seed) | took
        rows.append(row)
        print(*(str(value) for value in told(row).values()), flush=True)
    return rows


def told(row: dict[str, Any]) -> dict[str, str]:
    cells = {"seed": row["seed"]}
    for name in ("ours", "theirs"):
        cells[name] = f"{row[name]['si_sdr']:.2f} dB"
        cells[f"{name}: notes"] = " ".join(row[name]["notes"])
    lost = set(row["theirs"]["notes"]) - set(row["ours"]["notes"])
    return cells | {"lost": " ".join(sorted(lost)) or "none"}


def report() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkout", type=Path, help="another checkout of this repository")
    parser.add_argument("--sounds", nargs="*", default=list(SOUNDS), choices=SOUNDS)
    parser.add_argument("--rounds", type=int, default=5, help="processes a sound")
    parser.add_argument("--pianos", type=int, default=20)
    given = parser.parse_args()
    checkouts = {"ours": ROOT, "theirs": given.checkout}
    with tempfile.TemporaryDirectory() as folder:
        in_own_process("prepare", folder)
        rows = []
        for sound in given.sounds:
            rows.append(costs(folder, sound, checkouts, given.rounds))
            print(" ".join(rows[-1].values()), flush=True)
        if rows:
            print(f"\n{table(rows)}\n", flush=True)
        if found := pianos(folder, checkouts, given.pianos):
            print(f"\n{table(list(map(told, found)))}")
            ours, theirs = (
                statistics.mean(row[name]["si_sdr"] for row in found) for name in checkouts
            )
            print(f"mean separation: ours {ours:.2f} dB, theirs {theirs:.2f} dB")


CASES = {"prepare": prepare, "cost": cost, "components": components, "judged": judged}

if __name__ == "__main__":
    main(CASES, report)
