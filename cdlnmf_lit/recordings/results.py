"""What was found is written into a folder, or packed into one file.

Chapter: ``book/experiments/your_own_sound.md``.
"""

from __future__ import annotations

import io
import json
import os
import platform
import re
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from cdlnmf_lit.methods.decomposition import Decomposition
from cdlnmf_lit.recordings import events, writing
from cdlnmf_lit.recordings.advice import advice, traits_of
from cdlnmf_lit.recordings.decomposing import recipe_of
from cdlnmf_lit.theory import arguments
from cdlnmf_lit.theory.arguments import Array

OWN_FILES = re.compile(
    r"(component_\d+|residual)\.wav|atoms(/atom_\d+\.wav)?|components\.png|events\.(csv|mid)"
    r"|labels\.txt|selections\.txt"
    r"|decomposition\.npz|summary\.json|applied\.json"
)
"""What the folder of a result may hold, as paths inside it."""
PACKAGES = ("cdlnmf-lit", "numpy", "scipy")
ASKED = ("method", "n_components", "recipe", "seed", "sample_rate", "chosen")
"""What a summary tells beside the options."""


def write(
    found: Decomposition,
    folder: str | os.PathLike[str],
    sample_rate: int | None = None,
    *,
    labels: Sequence[str] = (),
    sound: str | None = None,
    seconds: float | None = None,
    warnings: Sequence[str] = (),
) -> None:
    """Write a result into a folder, whole or not at all: its sounds, its numbers and what it is.

    ``component_01.wav``, ... and ``residual.wav`` have the rate and the length of the input, and
    sum to it. ``atoms/atom_01.wav``, ... are there where the method finds atoms.
    ``events.csv`` tells what sounds when; with ``labels`` so do ``labels.txt``, for Audacity,
    ``selections.txt``, for Raven, and ``events.mid``. ``decomposition.npz`` is what
    :meth:`Decomposition.load <cdlnmf_lit.methods.decomposition.Decomposition.load>` reads.
    ``summary.json`` says in words and numbers what was asked, found, how it fits, and with what.

    Parameters
    ----------
    found
        Of any method.
    folder
        Made if it is not there; an earlier result in it is replaced.
    sample_rate
        In Hz; by default that of ``found``.
    labels
        Of ``"audacity"``, ``"raven"`` and ``"midi"``.
    sound, seconds, warnings
        For the summary: the name of the input, what the run took, what it warned of.

    Raises
    ------
    ValueError
        If the rate is not positive, or neither given nor known.
    OSError
        If the folder cannot be written to, or holds anything else.

    Examples
    --------
    >>> from cdlnmf_lit.methods.nmf import NMF
    >>> from tempfile import TemporaryDirectory
    >>> found = NMF(iterations=2).decompose(np.sin(0.3 * np.arange(8000.0)), 2)
    >>> with TemporaryDirectory() as folder:
    ...     write(found, f"{folder}/out", 8000)
    ...     print(*sorted(path.name for path in Path(folder, "out").iterdir()))
    component_01.wav component_02.wav decomposition.npz events.csv residual.wav summary.json
    """
    found = _at_a_rate(found, sample_rate)
    require_own(folder)
    with writing.folder_aside(folder) as aside:
        fill(found, aside, labels=labels, sound=sound, seconds=seconds, warnings=warnings)


def fill(
    found: Decomposition,
    folder: Path,
    *,
    labels: Sequence[str] = (),
    sound: str | None = None,
    seconds: float | None = None,
    warnings: Sequence[str] = (),
) -> dict[str, Any]:
    """Write the files of a result that knows its rate into an empty folder; return the summary.

    Parameters
    ----------
    found, folder, labels, sound, seconds, warnings
        See :func:`write`.
    """
    rate = arguments.integer(found.sample_rate, "sample_rate")
    digits = max(2, len(str(found.n_components)))
    numbers = [f"{k + 1:0{digits}}" for k in range(found.n_components)]
    whole, parts, traits = found.residual.astype(np.float64), [], []
    for k, number in enumerate(numbers):
        x = found.component(k)
        whole += x
        traits.append(traits_of(x, rate))
        parts.append(_written(x, folder, f"component_{number}.wav", rate))
    residual = _written(found.residual, folder, "residual.wav", rate)
    if found.atoms is not None:
        (folder / "atoms").mkdir()
        for part, atom, number in zip(parts, found.atoms, numbers, strict=True):
            part["atom"] = _written(atom, folder, f"atoms/atom_{number}.wav", rate)["file"]
    found.save(folder / "decomposition.npz")
    if found.atoms is not None or "frame" in found.parameters:
        events.write(found, folder, labels)

    energy = float(whole @ whole)
    atom_seconds = None if found.atoms is None else found.atoms.shape[1] / rate
    for part in (*parts, residual):
        part["energy_share"] = part.pop("energy") / energy if energy else 0.0
    residual["is_zero_by_construction"] = is_shared_out(found)
    asked = {name: found.parameters.get(name) for name in ASKED} | {"method": found.method}
    asked["recipe"], asked["chosen"] = recipe_of(found)
    options = {name: value for name, value in found.parameters.items() if name not in ASKED}
    summary = {
        "asked": {"sound": sound, **asked, "n_components": len(parts), "options": options},
        "found": {
            "sample_rate": rate,
            "n_samples": whole.size,
            "seconds": whole.size / rate,
            "components": parts,
            "residual": residual,
        },
        "fit": _fit(found),
        "advice": advice(traits, energy, atom_seconds),
        "times": {"seconds": seconds, "written": datetime.now(UTC).isoformat(timespec="seconds")},
        "versions": {"python": platform.python_version()}
        | {package: version(package) for package in PACKAGES},
        "warnings": list(warnings),
    }
    text = json.dumps(summary, indent=2, ensure_ascii=False)
    (folder / "summary.json").write_text(f"{text}\n", "utf8", errors="replace")
    return summary


def is_shared_out(found: Decomposition) -> bool:
    """Whether the components share the whole sound out, so that nothing is left by construction.

    Methods that mask do, as NMF: whatever their model leaves unexplained is in the components.
    They are those that tell no relative residual.

    Examples
    --------
    >>> from cdlnmf_lit.methods.nmf import NMF
    >>> is_shared_out(NMF(iterations=2).decompose(np.sin(0.3 * np.arange(8000.0)), 2))
    True
    """
    return found.atoms is None and "relative_residual" not in found.history


def archive(found: Decomposition, sample_rate: int | None = None) -> bytes:
    """Return what :func:`write` writes as one zip file, for a link to download.

    Examples
    --------
    >>> from cdlnmf_lit.methods.nmf import NMF
    >>> found = NMF(iterations=2).decompose(np.sin(0.3 * np.arange(8000.0)), 1)
    >>> zipfile.ZipFile(io.BytesIO(archive(found, 8000))).namelist()
    ['component_01.wav', 'decomposition.npz', 'events.csv', 'residual.wav', 'summary.json']
    """
    found, buffer = _at_a_rate(found, sample_rate), io.BytesIO()
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(buffer, "w") as packed:
        fill(found, Path(folder))
        for path in sorted(path for path in Path(folder).rglob("*") if path.is_file()):
            name = zipfile.ZipInfo(path.relative_to(folder).as_posix())
            packed.writestr(name, path.read_bytes(), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def require_own(folder: str | os.PathLike[str]) -> bool:
    """Refuse a folder that holds anything but a result; return whether it holds one.

    Raises
    ------
    OSError
        If it is a file, has no name of its own, or holds something else.

    Examples
    --------
    >>> require_own("a/folder/that/is/not/there")
    False
    """
    folder = Path(folder)
    if not folder.name:
        raise FileExistsError(f"folder must be one of its own, got {str(folder)!r}")
    if not folder.exists():
        return False
    if not folder.is_dir():
        raise NotADirectoryError(f"folder must be no file, got {str(folder)!r}")
    there = [path.relative_to(folder).as_posix() for path in folder.rglob("*")]
    for name in there:
        if not OWN_FILES.fullmatch(name):
            raise FileExistsError(
                "folder must be new or empty, or an earlier result, "
                f"got {str(folder)!r}, which holds {name}"
            )
    return bool(there)


def _at_a_rate(found: Decomposition, sample_rate: int | None) -> Decomposition:
    """The result that knows its rate."""
    if not isinstance(found, Decomposition):
        raise ValueError(f"found must be a Decomposition, got {type(found).__name__}")
    if sample_rate is None and found.sample_rate is None:
        raise ValueError("sample_rate must be given, in Hz: the result does not know it")
    rate = found.sample_rate if sample_rate is None else sample_rate
    return replace(found, sample_rate=arguments.integer(rate, "sample_rate"))


def _written(x: Array, folder: Path, name: str, rate: int) -> dict[str, Any]:
    """Write a sound, and return what a summary says of it."""
    writing.write(folder / name, x, rate)
    energy = float(np.sum(np.square(x, dtype=np.float64)))
    return {"file": name, "peak": float(np.abs(x).max()), "energy": energy}


def _fit(found: Decomposition) -> dict[str, Any]:
    """What the method says of its end; no number where it has none."""
    last = {name: float(values[-1]) for name, values in found.history.items()}
    told = {name: value if np.isfinite(value) else None for name, value in last.items()}
    iterations = max((len(values) - 1 for values in found.history.values()), default=0)
    return {"status": found.status, "iterations": iterations, **told}
