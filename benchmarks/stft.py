"""The short-time Fourier transform of 355,000 samples, ``M = 2048``, ``a = 8``, against its peers.

``python benchmarks/stft.py`` prints, for each precision, the median time and by how much memory
grew at the peak. librosa and torch are optional: ``pip install -e ".[peers]"``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from measure import MEGABYTE, in_own_process, in_turns, main, missing, table, timed

N_SAMPLES, CHANNELS, HOP = 355_000, 2048, 8
REPEATS = 3
PRECISIONS = ("float64", "float32")


def ours(x: Any) -> Callable[[], Any]:
    from cdlnmf_lit import GaborFrame

    frame = GaborFrame("hann", HOP, CHANNELS)
    return lambda: frame.half_analysis(x)


def with_scipy(x: Any) -> Callable[[], Any]:
    from scipy.signal import ShortTimeFFT, get_window

    window = get_window("hann", CHANNELS).astype(x.dtype)
    transform = ShortTimeFFT(window, HOP, fs=1, phase_shift=None)
    return lambda: transform.stft(x)


def with_librosa(x: Any) -> Callable[[], Any]:
    import librosa
    import numpy as np

    dtype = np.result_type(x.dtype, np.complex64)
    return lambda: librosa.stft(x, n_fft=CHANNELS, hop_length=HOP, dtype=dtype)


def with_torch(x: Any) -> Callable[[], Any]:
    import torch
    from scipy.signal import get_window

    signal = torch.from_numpy(x)
    window = torch.from_numpy(get_window("hann", CHANNELS).astype(x.dtype))
    return lambda: torch.stft(signal, CHANNELS, HOP, window=window, return_complex=True)


MAKERS = {"ours": ours, "scipy": with_scipy, "librosa": with_librosa, "torch": with_torch}


def measure(name: str, precision: str) -> dict[str, Any]:
    import numpy as np

    x = np.random.default_rng(0).standard_normal(N_SAMPLES).astype(precision)
    MAKERS[name](x[: 4 * CHANNELS])()  # imports and compiles, before memory is counted
    return timed(
        MAKERS[name](x),
        REPEATS,
        lambda X: {"frames": max(X.shape), "dtype": str(X.dtype), "bytes": X.nbytes},
    )


def agreement(name: str) -> dict[str, Any]:
    """Largest relative difference from ours, over the windows that lie inside the signal.

    All count the phase from the start of the window, as we do; theirs are named after its middle.
    SciPy begins with windows before the signal, the others with the one in the middle of sample 0.
    """
    import numpy as np

    from cdlnmf_lit import GaborFrame

    x = np.random.default_rng(0).standard_normal(10 * CHANNELS)
    frame = GaborFrame("hann", HOP, CHANNELS)
    X, theirs = frame.half_analysis(x), np.asarray(MAKERS[name](x)()).T
    middle = CHANNELS // 2 // HOP
    before = 1 - middle if name == "scipy" else 0
    position = np.arange(middle, (x.size - CHANNELS // 2) // HOP)
    ours = X[position - middle - frame.first_frame]
    return {"difference": float(np.abs(theirs[position - before] - ours).max() / abs(X).max())}


def report() -> None:
    here = [name for name in MAKERS if name == "ours" or not missing(name)]
    for precision in PRECISIONS:
        measured = in_turns(here, "measure", precision)
        ours = measured["ours"]
        rows = [
            {
                precision: name,
                "frames": str(found["result"]["frames"]),
                "result": found["result"]["dtype"].removeprefix("torch."),
                "time": f"{found['seconds']:.3f} s",
                "time / ours": f"{found['seconds'] / ours['seconds']:.2f}",
                "best": f"{found['best']:.3f} s",
                "peak": f"{found['peak'] / MEGABYTE:.0f} MB",
                "peak / result": f"{found['peak'] / found['result']['bytes']:.2f}",
            }
            for name, found in measured.items()
        ]
        others = [found["seconds"] for name, found in measured.items() if name != "ours"]
        print(table(rows))
        print(f"the fastest other takes {min(others) / ours['seconds']:.2f} times our time\n")
    for name in here[1:]:
        difference = in_own_process("agreement", name)["difference"]
        print(f"{name} agrees with ours to {difference:.0e}")
        if difference > 1e-12:
            raise SystemExit(f"{name} computes something else: no comparison")
    if absent := [name for name in MAKERS if name not in here]:
        print(f"not installed, so not measured: {', '.join(absent)}")


if __name__ == "__main__":
    main({"measure": measure, "agreement": agreement}, report)
