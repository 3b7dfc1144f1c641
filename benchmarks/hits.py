"""The recipe for hits on seeded kits and on anyone's strokes: the separation of each source.

``python benchmarks/hits.py`` prints tables of the kits of ``experiments/kits.py``;
``python benchmarks/hits.py --strokes KICK SNARE HAT [TOM]`` plays the same pattern on sound files
of 22,050 Hz, one stroke each. ``--compare`` adds the recipes for notes and clicks.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from measure import in_own_process, main, table

LEVELS = (0.8, 0.6, 0.4, 0.5)
"""Peaks of the strokes that are given."""


def apart(kit: str, seed: str, alike: str, recipe: str, *strokes: str) -> dict[str, Any]:
    """What a recipe makes of a pattern: dB of each source, processor seconds, what is left."""
    import numpy as np

    from cdlnmf_lit.experiments.evaluation import grouped, grouping, si_sdr
    from cdlnmf_lit.experiments.kits import KIT, UNSEEN, drums, played
    from cdlnmf_lit.methods.recipes import RECIPES

    options = {"are_alike": alike == "alike"}
    if strokes:
        import soundfile

        sounds = [soundfile.read(path)[0] for path in strokes]
        names = [Path(path).stem for path in strokes]
        mixture = played(sounds, LEVELS, names, int(seed), **options)
    else:
        drummed = {"three": KIT[:3], "four": KIT}.get(kit) or UNSEEN[int(kit)]
        mixture = drums(int(seed), drummed, **options)
    x, K = mixture.signal, len(mixture.sources)
    begin = time.process_time()
    found = RECIPES[recipe](mixture.sample_rate).decompose(x, K)
    seconds = time.process_time() - begin
    components = found.components()
    owners = grouping(components, mixture.sources)
    ratios = np.maximum(si_sdr(grouped(components, owners, K), mixture.sources), -40)
    left = float(np.sum(found.residual**2, dtype=float) / np.sum(x**2))
    return {"names": mixture.names[:-1], "dB": ratios.tolist(), "seconds": seconds, "left": left}


def row(kit: str, seed: int, alike: str, recipe: str, strokes: list[str]) -> dict[str, str]:
    """A row of the table."""
    found = in_own_process("apart", kit, str(seed), alike, recipe, *strokes)
    told = ", ".join(f"{n} {r:.0f}" for n, r in zip(found["names"], found["dB"], strict=True))
    return {
        "kit": kit,
        "hits": alike,
        "seed": str(seed),
        "recipe": recipe,
        "worst": f"{min(found['dB']):.1f}",
        "dB": told,
        "left": f"{found['left']:.2%}",
        "s": f"{found['seconds']:.1f}",
    }


def report() -> None:
    from statistics import median

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--strokes", nargs="*", default=[], help="sound files, one a drum")
    parser.add_argument("--seeds", type=int, default=10, help="of each kit that was seen")
    parser.add_argument("--unseen", type=int, default=10, help="how many of the others")
    parser.add_argument("--compare", action="store_true", help="with other recipes")
    given = parser.parse_args()
    recipes = ("hits", "notes", "clicks") if given.compare else ("hits",)
    kits = [Path(given.strokes[0]).parent.name] if given.strokes else ["three", "four"]
    cases = [(kit, seed) for kit in kits for seed in range(given.seeds)]
    if not given.strokes:
        cases += [(str(number), 0) for number in range(given.unseen)]
    rows = []
    for recipe in recipes:
        for alike in ("alike", "unlike"):
            for kit, seed in cases:
                rows.append(row(kit, seed, alike, recipe, given.strokes))
                print(*rows[-1].values(), flush=True)
    print(f"\n{table(rows)}\n")
    for recipe in recipes:
        for alike in ("alike", "unlike"):
            for kinds in (*([kit] for kit in kits), [str(n) for n in range(given.unseen)]):
                own = [r for r in rows if r["recipe"] == recipe and r["hits"] == alike]
                worst = [float(r["worst"]) for r in own if r["kit"] in kinds]
                if worst:
                    told = kinds[0] if len(kinds) == 1 else "unseen"
                    print(f"{recipe}, {told}, {alike}: worst source {median(worst):.1f} dB")


CASES = {"apart": apart}

if __name__ == "__main__":
    main(CASES, report)
