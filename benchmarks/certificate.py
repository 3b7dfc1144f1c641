"""How long a certificate takes, as a share of the run that it certifies.

``python benchmarks/certificate.py`` has dictionary learning and Algorithm 1 at the sizes of the
paper's piano and chirps. Both times are the processor's.
"""

from __future__ import annotations

import time
from dataclasses import replace

from measure import in_own_process, main, table

RUNS = {
    "piano, cdl, K = 4": ("cdl", "piano", 4, 2048, {"iterations": 20}),
    "piano, cdl, K = 8": ("cdl", "piano", 8, 2048, {"iterations": 20}),
    "piano, algorithm-1, K = 4, hop 8": ("algorithm-1", "piano", 4, 2048, {}),
    "chirps, cdl, K = 2": ("cdl", "chirps", 2, 55_125, {"iterations": 20}),
    "chirps, recipe": ("recipe", "chirps", 2, 55_125, {}),
}
SHARE = 0.05


def measured(name: str, dtype: str) -> dict[str, float]:
    """Seconds of the run and of its certificate; its accuracy, and the objective over the bound."""
    from cdlnmf_lit.experiments import signals
    from cdlnmf_lit.methods.algorithm_1 import Algorithm1
    from cdlnmf_lit.methods.cdl import CDL
    from cdlnmf_lit.methods.recipes import chirps
    from cdlnmf_lit.theory.gabor import hann

    kind, signal, K, length, options = RUNS[name]
    x = getattr(signals, signal)(rng=0).signal
    method = {
        "cdl": CDL(atom_length=length, share=SHARE),
        "algorithm-1": Algorithm1(frame=hann(length, 8), share=SHARE, start="segments"),
        "recipe": chirps(),
    }[kind]
    method = replace(method, precision=dtype, **options)
    replace(method, iterations=1).decompose(x[: 2 * length], K)  # compiles, starts threads
    begun = time.process_time()
    found = method.decompose(x, K)
    ended = time.process_time()
    proof = found.certificate()
    took = time.process_time() - ended
    return {"run": ended - begun, "took": took, "gap": proof.gap, "ratio": proof.ratio}


def report() -> None:
    rows = []
    for name in RUNS:
        for dtype in ("float64", "float32"):
            found = in_own_process("measured", name, dtype)
            rows.append(
                {
                    "run": f"{name}, {dtype}",
                    "seconds": f"{found['run']:.2f}",
                    "certificate": f"{found['took']:.3f}",
                    "share": f"{100 * found['took'] / found['run']:.1f} %",
                    "accuracy": f"{found['gap']:.0e}",
                    "objective / bound": f"{found['ratio']:.3f}",
                }
            )
    print(table(rows))


if __name__ == "__main__":
    main({"measured": measured}, report)
