"""A sweep is the plain loop, computes each point once, and loses nothing to any end it may meet."""

import functools
import importlib
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import joblib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cdlnmf_lit
from cdlnmf_lit.experiments import fingerprints, sweeps
from cdlnmf_lit.experiments.sweeps import finished, grid, library_fingerprint, sweep
from cdlnmf_lit.theory.gabor import GaborFrame

PACKAGE = Path(cdlnmf_lit.__file__).parent

STUDY = '''
import os, signal, time
from pathlib import Path

import numpy as np


def trial(log, n):
    """Append n to the log, and draw three numbers."""
    with open(log, "a") as lines:
        lines.write(f"{n}\\n")
    return {"n": n, "drawn": np.random.default_rng(n).random(3)}


def held(log, n, gate, last):
    """The same, but the last waits for a gate to open, and says that it waits."""
    result = trial(log, n)
    if n == last:
        Path(f"{gate}.waiting").touch()
        while not Path(gate).exists():
            time.sleep(0.01)
    return result


def doomed(log, n, gate):
    """The same, but the third kills its process unless the gate is open."""
    if n == 2 and not Path(gate).exists():
        os.kill(os.getpid(), signal.SIGKILL)
    return trial(log, n)


def picky(log, n):
    if n == 3:
        raise ZeroDivisionError("three is not my number")
    return trial(log, n)


def unwritable(n):
    return (each for each in range(n))


class Holder:
    def method(self, n):
        return n

    @staticmethod
    def static(n):
        return n
'''


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A module of functions that log their calls, as one would write for a study of one's own."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "study.py").write_text(STUDY)
    monkeypatch.syspath_prepend(tmp_path / "modules")
    sys.modules.pop("study", None)
    yield importlib.import_module("study")
    sys.modules.pop("study", None)


def logged(log):
    return [int(n) for n in Path(log).read_text().split()] if Path(log).exists() else []


def same(found, wanted):
    assert [each["n"] for each in found] == [each["n"] for each in wanted]
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one["drawn"], other["drawn"])


# ---- a sweep is a loop that remembers ------------------------------------------------------------


def noted(log, n):
    with Path(log).open("a") as lines:
        lines.write(f"{n}\n")
    return n, np.random.default_rng(n).random(3).tolist()


numbers = st.lists(st.integers(0, 5), max_size=8)


@given(numbers, numbers)
@pytest.mark.long
def test_results_are_those_of_the_loop_and_no_point_is_computed_twice(one, two):
    with tempfile.TemporaryDirectory() as folder:
        log = f"{folder}/log"
        for asked in (one, two):
            found = sweep(noted, grid(log=[log], n=asked), folder=folder)
            assert found == [noted(os.devnull, n) for n in asked]
        assert sorted(logged(log)) == sorted({*one, *two})
        there = finished(noted, grid(log=[log], n=range(7)), folder=folder)
        assert there == [n in {*one, *two} for n in range(7)]


def test_two_processes_find_what_one_finds_in_order(study, tmp_path):
    points = grid(log=[str(tmp_path / "log")], n=[4, 0, 3, 1, 2])
    with joblib.parallel_config(n_jobs=2):
        found = sweep(study.trial, points, folder=tmp_path / "results")
        again = sweep(study.trial, points, folder=tmp_path / "results")
    assert sorted(logged(tmp_path / "log")) == [0, 1, 2, 3, 4]
    same(found, sweep(study.trial, points, folder=tmp_path / "others"))
    same(again, found)


@pytest.mark.long
def test_a_dask_cluster_finds_the_same_and_leaves_it_on_disk(study, tmp_path):
    distributed = pytest.importorskip("distributed")
    log, folder = str(tmp_path / "log"), tmp_path / "results"
    points = grid(log=[log], n=range(6))
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=":0", local_directory=tmp_path
    )
    with cluster, distributed.Client(cluster), joblib.parallel_config(backend="dask"):
        found = sweep(study.trial, points, folder=folder)
        with pytest.raises(ZeroDivisionError) as caught:
            sweep(study.picky, points, folder=folder)
    assert "'n': 3" in caught.value.__notes__[-1]
    assert sorted(set(logged(log))) == list(range(6))
    assert all(finished(study.trial, points, folder=folder))
    same(found, sweep(study.trial, points, folder=tmp_path / "others"))


def test_the_grid_is_the_product_of_its_axes():
    assert grid(a=[1, 2], b="xy") == [
        {"a": 1, "b": "x"},
        {"a": 1, "b": "y"},
        {"a": 2, "b": "x"},
        {"a": 2, "b": "y"},
    ]
    assert grid() == [{}]
    assert grid(a=[1], b=[]) == []


# ---- what a result counts by ---------------------------------------------------------------------


@dataclass(frozen=True)
class Setting:
    name: str
    values: Any

    @functools.cached_property
    def size(self):
        return np.size(self.values)


@dataclass(frozen=True)
class Twin:
    name: str
    values: Any


def echo(value):
    return 0


def counts_as(tmp_path, value, other):
    """Whether a result for one value is found for the other."""
    folder = tmp_path / joblib.hash(time.perf_counter_ns())
    sweep(echo, [{"value": value}], folder=folder)
    return finished(echo, [{"value": other}], folder=folder) == [True]


x = np.arange(3.0)
SETTING = Setting("a", x)


@pytest.mark.parametrize(
    ("value", "other"),
    [
        (SETTING, Setting("a", x.copy())),
        ({"a": 1, "b": [x, "c"]}, {"b": [x.copy(), "c"], "a": 1}),
        (MappingProxyType({"a": SETTING}), {"a": SETTING}),
        ((1, (2.5, None)), (1, (2.5, None))),
        (GaborFrame("hann", 4, 16), GaborFrame("hann", 4, 16)),
    ],
)
def test_equal_points_are_one(tmp_path, value, other):
    assert counts_as(tmp_path, value, other)


@pytest.mark.parametrize(
    ("value", "other"),
    [
        (SETTING, replace(SETTING, name="b")),
        (SETTING, replace(SETTING, values=x + 1e-16 + 1e-9)),
        (SETTING, replace(SETTING, values=x.astype("float32"))),
        (SETTING, Twin("a", x)),
        ([SETTING], [SETTING, SETTING]),
        ({"a": 1}, {"a": 2}),
        (x, x[:2]),
        (1, "1"),
        (GaborFrame("hann", 4, 16), GaborFrame("hann", 8, 16)),
        (GaborFrame("hann", 4, 16), GaborFrame("hann", 4, 16).tight()),
    ],
)
def test_different_points_are_two(tmp_path, value, other):
    assert not counts_as(tmp_path, value, other)


def test_what_an_object_computed_for_itself_changes_nothing(tmp_path):
    used, frame = Setting("a", x), GaborFrame("hann", 4, 16)
    assert used.size == 3
    before = joblib.hash(frame)
    frame.bounds(64)
    assert joblib.hash(frame) != before  # joblib alone would take them for two
    assert counts_as(tmp_path, used, Setting("a", x))
    assert counts_as(tmp_path, frame, GaborFrame("hann", 4, 16))


def test_a_study_that_was_edited_is_computed_again(study, tmp_path):
    log, folder = str(tmp_path / "log"), tmp_path / "results"
    points = grid(log=[log], n=[1])
    sweep(study.trial, points, folder=folder)
    Path(study.__file__).write_text(STUDY.replace("random(3)", "random(4)"))
    with pytest.raises(ValueError, match=r"got trial: import study\.py anew"):
        sweep(study.trial, points, folder=folder)
    os.utime(study.__file__, (0, 0))  # so that no compiled file is taken for it
    (found,) = sweep(importlib.reload(study).trial, points, folder=folder)
    assert found["drawn"].shape == (4,)
    assert logged(log) == [1, 1]


def copy_of_the_package(tmp_path):
    ignore = shutil.ignore_patterns("__pycache__")
    return shutil.copytree(PACKAGE, tmp_path / "copy" / "cdlnmf_lit", ignore=ignore)


@pytest.mark.parametrize("room", ["theory", "methods", "experiments"])
@pytest.mark.long
def test_the_fingerprint_follows_the_code_that_computes(tmp_path, room):
    copy = copy_of_the_package(tmp_path)
    before = library_fingerprint(copy)
    assert before == library_fingerprint(PACKAGE)
    module = next((copy / room).glob("[a-z]*.py"))
    text = module.read_text("utf8")
    module.write_text(text + "\nMORE = 1\n", "utf8")
    assert library_fingerprint(copy) != before
    module.write_text("# a comment\n" + text, "utf8")
    assert library_fingerprint(copy) == before
    module.rename(module.with_name("renamed.py"))
    assert library_fingerprint(copy) != before


def test_the_fingerprint_reaches_into_packages(tmp_path):
    copy = copy_of_the_package(tmp_path)
    ratios = copy / "experiments" / "evaluation" / "ratios.py"
    before = library_fingerprint(copy)
    ratios.write_text(ratios.read_text("utf8") + "\nMORE = 1\n", "utf8")
    assert library_fingerprint(copy) != before


def test_the_fingerprint_follows_versions_and_not_what_only_draws(tmp_path, monkeypatch):
    copy = copy_of_the_package(tmp_path)
    before = library_fingerprint(copy)
    plotting = copy / "presentation" / "plotting.py"
    plotting.write_text(plotting.read_text("utf8") + "\nMORE = 1\n", "utf8")
    assert library_fingerprint(copy) == before
    monkeypatch.setattr(fingerprints, "version", lambda name: "0.0")
    assert library_fingerprint(copy) != before


@pytest.mark.long
def test_an_edited_library_computes_again_and_an_edited_figure_does_not(study, tmp_path):
    copy = copy_of_the_package(tmp_path)

    def calls_after_a_sweep():
        assert in_process(tmp_path, "trial", n=[0], path=copy.parent).wait() == 0
        return len(logged(tmp_path / "log"))

    def edit(name):
        (copy / name).write_text((copy / name).read_text("utf8") + "\nMORE = 1\n", "utf8")

    assert calls_after_a_sweep() == 1
    edit("presentation/audio.py")
    assert calls_after_a_sweep() == 1
    edit("methods/cdl.py")
    assert calls_after_a_sweep() == 2
    assert calls_after_a_sweep() == 2


# ---- ends that a sweep may meet ------------------------------------------------------------------

SCRIPT = """
import joblib, study
from cdlnmf_lit.experiments.sweeps import grid, sweep
with joblib.parallel_config(n_jobs={n_jobs}):
    sweep(study.{function}, grid(**{axes!r}), folder={folder!r})
"""


def in_process(tmp_path, function, *, n_jobs=1, path=PACKAGE.parent, **axes):
    """Start a sweep of the study in a process (and process group) of its own."""
    axes = {"log": [str(tmp_path / "log")], **axes}
    folder = str(tmp_path / "results")
    script = SCRIPT.format(n_jobs=n_jobs, function=function, axes=axes, folder=folder)
    places = os.pathsep.join([str(tmp_path / "modules"), str(path)])
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", script],
        env=os.environ | {"PYTHONPATH": places},
        cwd=tmp_path,
        start_new_session=True,
        stderr=subprocess.DEVNULL,
    )


@pytest.mark.parametrize(
    ("blow", "n_jobs"), [(signal.SIGKILL, 1), (signal.SIGKILL, 2), (signal.SIGINT, 1)]
)
@pytest.mark.long
def test_a_sweep_that_was_killed_half_way_is_finished_with_nothing_lost(
    study, tmp_path, blow, n_jobs
):
    log, gate = tmp_path / "log", tmp_path / "gate"
    axes = {"n": list(range(8)), "gate": [str(gate)], "last": [4]}
    points = grid(log=[str(log)], **axes)
    run = in_process(tmp_path, "held", n_jobs=n_jobs, **axes)
    try:
        waited_for(lambda: Path(f"{gate}.waiting").exists(), run)
        if n_jobs == 2:  # the other process goes on to the end
            waited_for(lambda: sum(finished_in(tmp_path, study.held, points)) == 7, run)
    finally:
        os.killpg(run.pid, blow)
        assert run.wait(timeout=30) != 0

    before = finished_in(tmp_path, study.held, points)
    assert before == [n < 4 or (n_jobs == 2 and n > 4) for n in range(8)]
    entered = logged(log)
    gate.touch()
    found = sweep(study.held, points, folder=tmp_path / "results")
    assert logged(log)[len(entered) :] == [n for n in range(8) if not before[n]]
    same(found, sweep(study.held, points, folder=tmp_path / "in one go"))


def finished_in(tmp_path, function, points):
    return finished(function, points, folder=tmp_path / "results")


def waited_for(condition, run):
    until = time.monotonic() + 60
    while not condition():
        assert run.poll() is None, "the sweep ended early"
        assert time.monotonic() < until, "the sweep did not get there"
        time.sleep(0.02)


@pytest.mark.long
def test_a_worker_that_dies_takes_no_other_result_with_it(study, tmp_path):
    log, gate = tmp_path / "log", tmp_path / "gate"
    points = grid(log=[str(log)], n=range(6), gate=[str(gate)])
    with joblib.parallel_config(n_jobs=2):
        sweep(study.doomed, points[:2], folder=tmp_path / "results")
        with pytest.raises(joblib.externals.loky.process_executor.TerminatedWorkerError):
            sweep(study.doomed, points, folder=tmp_path / "results")
        there = finished_in(tmp_path, study.doomed, points)
        assert there[:3] == [True, True, False]
        gate.touch()
        entered = logged(log)
        found = sweep(study.doomed, points, folder=tmp_path / "results")
    assert not {0, 1} & set(logged(log)[len(entered) :])
    same(found, [study.trial(os.devnull, n) for n in range(6)])


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.long
def test_an_error_names_its_point_and_leaves_the_finished_ones(study, tmp_path, n_jobs):
    points = grid(log=[str(tmp_path / "log")], n=[0, 1, 3, 2])
    with joblib.parallel_config(n_jobs=n_jobs):
        sweep(study.picky, points[:2], folder=tmp_path / "results")
        with pytest.raises(ZeroDivisionError, match="three is not my number") as caught:
            sweep(study.picky, points, folder=tmp_path / "results")
    assert "'n': 3" in caught.value.__notes__[-1]
    assert "study.picky" in caught.value.__notes__[-1]
    assert finished_in(tmp_path, study.picky, points)[:3] == [True, True, False]


@pytest.mark.parametrize("left", [0, 0.5])
def test_a_broken_entry_is_computed_again(study, tmp_path, caplog, left):
    log = tmp_path / "log"
    points = grid(log=[str(log)], n=range(3))
    wanted = sweep(study.trial, points, folder=tmp_path / "results")
    broken = sorted((tmp_path / "results").rglob("output.pkl"))[1]
    broken.write_bytes(broken.read_bytes()[: int(left * broken.stat().st_size)])
    with caplog.at_level(logging.WARNING):
        same(sweep(study.trial, points, folder=tmp_path / "results"), wanted)
    assert "Exception while loading results" in caplog.text
    assert len(logged(log)) == 4
    same(sweep(study.trial, points, folder=tmp_path / "results"), wanted)
    assert len(logged(log)) == 4


def test_half_written_files_that_were_left_are_no_results(study, tmp_path):
    log = tmp_path / "log"
    points = grid(log=[str(log)], n=[0])
    sweep(study.trial, points, folder=tmp_path / "results")
    (entry,) = (tmp_path / "results").rglob("output.pkl")
    entry.rename(entry.with_name("output.pkl.5a0e-1-2"))
    assert finished_in(tmp_path, study.trial, points) == [False]
    sweep(study.trial, points, folder=tmp_path / "results")
    assert logged(log) == [0, 0]


def test_a_result_that_cannot_be_written_is_an_error(study, tmp_path):
    with warnings.catch_warnings(), pytest.raises(OSError, match=r"study\.unwritable .*'n': 3"):
        warnings.simplefilter("ignore")  # joblib says why
        sweep(study.unwritable, grid(n=[3]), folder=tmp_path)


@pytest.mark.long
def test_a_worker_with_another_library_refuses(study, tmp_path, monkeypatch):
    monkeypatch.setattr(sweeps, "LIBRARY", "0" * 16)
    with joblib.parallel_config(n_jobs=2), pytest.raises(RuntimeError, match="start both again"):
        sweep(study.trial, grid(log=[str(tmp_path / "log")], n=range(4)), folder=tmp_path)
    assert not logged(tmp_path / "log")


# ---- what is refused, and what the environment says ----------------------------------------------


def test_only_functions_of_a_module_are_swept(study, tmp_path, monkeypatch):
    def nested(n):
        return n

    def of_a_notebook(n):
        return n

    of_a_notebook.__module__, of_a_notebook.__qualname__ = "__main__", "of_a_notebook"
    monkeypatch.setattr(sys.modules["__main__"], "of_a_notebook", of_a_notebook, raising=False)
    partial = functools.partial(study.trial, "log")
    for function in (nested, of_a_notebook, partial, lambda n: n, len, study.Holder, np.sin, 3):
        with pytest.raises(ValueError, match="function must be one that a module defines"):
            sweep(function, [{"n": 1}], folder=tmp_path)
    for function in (study.Holder.static, study.Holder().method):
        with pytest.raises(ValueError, match=r"got Holder\.(static|method)"):
            finished(function, [{"n": 1}], folder=tmp_path)
    assert not list(tmp_path.rglob("*.pkl"))


def test_points_must_fit_the_function(study, tmp_path):
    with pytest.raises(TypeError, match="unexpected keyword argument 'm'"):
        sweep(study.trial, [{"log": os.devnull, "m": 1}], folder=tmp_path)


def test_the_environment_says_where_results_are_kept(study, tmp_path, monkeypatch):
    points: list[Mapping[str, Any]] = [{"log": os.devnull, "n": 0}]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("CDLNMF_SWEEPS", raising=False)
    sweep(study.trial, points)
    assert len(list((tmp_path / "cache" / "cdlnmf_lit" / "sweeps").rglob("output.pkl"))) == 1
    monkeypatch.setenv("CDLNMF_SWEEPS", str(tmp_path / "there"))
    assert finished(study.trial, points) == [False]
    sweep(study.trial, points)
    assert len(list((tmp_path / "there" / sweeps.LIBRARY).rglob("output.pkl"))) == 1
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.delenv("CDLNMF_SWEEPS")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    sweep(study.trial, points)
    assert len(list((tmp_path / "home" / ".cache" / "cdlnmf_lit").rglob("output.pkl"))) == 1
