"""Runs that are killed, stopped, cut off from their disk: nothing computed or written is lost."""

import errno
import json
import multiprocessing
import os
import re
import resource
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest
from hypothesis import settings

from cdlnmf_lit.__main__ import main
from cdlnmf_lit.commands import decompose as command
from cdlnmf_lit.commands.running import clear_stale, ended_by_signals, stopped_gently
from cdlnmf_lit.methods import algorithm_1, checkpoints, nmf
from cdlnmf_lit.methods.decomposition import Decomposition
from cdlnmf_lit.presentation import plotting
from cdlnmf_lit.recordings import writing

RATE = 8000
SMALL = ["--method", "algorithm-1", "--window-length", "256", "--hop", "32", "-K", "2"]
NOTES = ["--recipe", "notes", "-K", "2", "--iterations", "5"]
KILLS = 50 if settings.default.max_examples >= 250 else 5
"""So many in the nightly profile."""


def sound(seconds=0.5):
    t = np.arange(int(seconds * RATE)) / RATE
    return 0.4 * np.sin(2 * np.pi * 440 * t) * (t < 0.3) + 0.2 * np.sin(2 * np.pi * 660 * t)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a short sound and a longer one, to work in; figures are left empty."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plotting, "components", no_figure)
    writing.write("short.wav", sound(), RATE)
    writing.write("long.wav", sound(1.5), RATE)
    return tmp_path


def no_figure(*_):
    return SimpleNamespace(savefig=lambda path: Path(path).write_bytes(b"picture"))


def run(*argv, of="short.wav"):
    return main(["decompose", of, *map(str, argv), "--quiet"])


def files(folder):
    """What a result's folder holds, but for its times and versions."""
    found = {}
    for path in sorted(Path(folder).rglob("*")):
        if path.is_file():
            found[path.relative_to(folder).as_posix()] = path.read_bytes()
    for name, content in found.items():
        if name.endswith("summary.json"):
            found[name] = json.loads(content)
            del found[name]["times"], found[name]["versions"]
    return found


def left_over(place):
    return {path.name for path in place.iterdir()} - {"short.wav", "long.wav"}


@contextmanager
def at_an_iteration(monkeypatch, problem, at, action):
    """Do something once, while the state of an iteration is recorded."""
    todo = [action]

    def record(self, state, record=problem.record):
        if state.iteration == at and todo:
            todo.pop()()
        return record(self, state)

    with monkeypatch.context() as patched:
        patched.setattr(problem, "record", record)
        yield


class Killed(BaseException):
    """Ends a run in the test's own process as a kill does."""


def kill():
    raise Killed


def killed(monkeypatch, problem, at, *argv, **of):
    with at_an_iteration(monkeypatch, problem, at, kill), pytest.raises(Killed):
        run(*argv, "--checkpoint-every", 0, **of)


# ---- killed --------------------------------------------------------------------------------------


@pytest.mark.long
def test_a_run_that_is_killed_at_any_moment_ends_with_the_same_bytes(place):
    """A process of its own, and ``kill -9``, again and again over one run."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["cdlnmf_lit.__main__", "cdlnmf_lit.presentation.plotting"])
    argv = ["decompose", str(place / "long.wav"), *NOTES, "--quiet", "--checkpoint-every", "0"]
    rng, killed, done, longest = np.random.default_rng(), 0, [], 0.3

    def ended(seconds=None):
        process = context.Process(target=main, args=([*argv, "-o", str(place / "out")],))
        process.start()
        process.join(seconds)
        process.kill()
        process.join()
        assert process.exitcode in (0, -signal.SIGKILL)
        return process.exitcode == 0

    while killed < KILLS:
        if ended(rng.uniform(0, longest)):
            done.append((place / "out").rename(place / f"done {len(done)}"))
            longest /= 2
        else:
            killed, longest = killed + 1, 1.1 * longest
    assert ended()
    assert left_over(place) == {"out", *(path.name for path in done)}
    *done, whole = *done, place / "out", place / "whole"
    assert main([*argv, "-o", str(whole)]) == 0
    for each in done:
        assert files(each) | {"components.png": b"picture"} == files(whole)


@pytest.mark.parametrize("at", [2, 87])
def test_a_killed_run_does_what_is_left_of_it_and_no_more(place, monkeypatch, capsys, at):
    argv = [*SMALL, "--iterations", "100"]
    assert run(*argv, "-o", "whole") == 0
    killed(monkeypatch, algorithm_1.Problem, at, *argv)
    assert left_over(place) == {"whole", "out.checkpoint.npz"}
    seen = []
    record = algorithm_1.Problem.record
    monkeypatch.setattr(
        algorithm_1.Problem, "record", lambda self, state: seen.append(0) or record(self, state)
    )
    capsys.readouterr()
    assert run(*argv) == 0
    assert len(seen) == 100 - (at - 1)
    first, *others = capsys.readouterr().err.splitlines()
    assert first == "cdlnmf-lit: note: goes on from out.checkpoint.npz: algorithm-1"
    assert all(line.startswith("cdlnmf-lit: advice: ") for line in others)
    assert files("out") == files("whole")
    assert left_over(place) == {"whole", "out"}


def test_a_folder_goes_on_with_the_sound_that_was_under_way(place, monkeypatch):
    argv = [*SMALL, "--iterations", "9"]
    (place / "folder").mkdir()
    for name in ("a.wav", "b.wav"):
        (place / "folder" / name).write_bytes((place / "short.wav").read_bytes())
    assert run(*argv, "-o", "whole", of="folder") == 0
    killed(monkeypatch, algorithm_1.Problem, 5, *argv, of="folder")
    assert run(*argv, of="folder") == 0
    assert files("out") == files("whole")


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (["--seed", "5"], "seed"),
        (["-K", "1"], "K"),
        (["--method", "semi-nmf", "--share", "0.1"], "method, another recipe"),
        (["--inner-iterations", "2"], "method"),
    ],
    ids=str,
)
@pytest.mark.parametrize("of", ["short.wav", "folder"])
def test_another_call_starts_anew_and_says_so(place, monkeypatch, capsys, other, told, of):
    (place / "folder").mkdir()
    (place / "folder" / "a.wav").write_bytes((place / "short.wav").read_bytes())
    argv = [*SMALL, "--iterations", "9"]
    killed(monkeypatch, algorithm_1.Problem, 5, *argv, of=of)
    capsys.readouterr()
    assert run(*argv, *other, of=of) == 0
    assert f"started anew: it is of a run with another {told}\n" in capsys.readouterr().err
    assert run(*argv, *other, "-o", "other", of=of) == 0
    assert files("out") == files("other")
    assert not list(place.rglob("*checkpoint*"))


def test_another_sound_of_the_same_name_is_started_anew(place, monkeypatch, capsys):
    argv = [*SMALL, "--iterations", "9"]
    killed(monkeypatch, algorithm_1.Problem, 5, *argv)
    writing.write("short.wav", sound()[::-1], RATE)
    assert run(*argv) == 0
    assert "another sound" in capsys.readouterr().err


def test_a_damaged_checkpoint_is_started_anew(place, capsys):
    (place / "out.checkpoint.npz").write_bytes(b"PK damaged")
    assert run(*SMALL, "--iterations", "3") == 0
    assert "started anew: it is damaged" in capsys.readouterr().err
    assert left_over(place) == {"out"}


def test_a_checkpoint_beside_an_earlier_result_does_not_let_another_run_replace_it(place, capsys):
    argv = [*SMALL, "--iterations", "3"]
    assert run(*argv) == 0
    before = files("out")
    checkpoints.save(place / "out.checkpoint.npz", {}, {"seed": 3})
    assert run(*argv, "--seed", "5") == 2
    assert "pass --force to replace it" in capsys.readouterr().err
    assert files("out") == before


def test_what_processes_that_are_no_more_have_left_is_cleared_away(place):
    process = multiprocessing.get_context("forkserver").Process(target=int)
    process.start()
    process.join()
    dead, alive = process.pid, os.getppid()
    for number in (dead, alive):
        for name in (f".out.{number}.partial", f".out.checkpoint.npz.{number}.partial"):
            (place / name).mkdir()
            (place / name / "component_01.wav").write_text("half")
        (place / f".other.{number}.partial").write_text("half")
    (place / f".out.{dead}.old").mkdir()
    (place / f".out.{dead}.old" / "residual.wav").write_text("earlier")
    clear_stale([place / "out"])
    assert left_over(place) == {
        f".out.{alive}.partial",
        f".out.checkpoint.npz.{alive}.partial",
        f".other.{alive}.partial",
        f".other.{dead}.partial",
        "out",
    }
    assert (place / "out" / "residual.wav").read_text() == "earlier"


def test_a_run_shorter_than_the_interval_saves_no_checkpoint(place, monkeypatch):
    saved, save = [], checkpoints.save
    monkeypatch.setattr(
        checkpoints, "save", lambda path, *rest: saved.append(path.name) or save(path, *rest)
    )
    assert run(*SMALL, "--iterations", "3") == 0
    assert saved == []
    assert run(*SMALL, "--iterations", "3", "-o", "again", "--checkpoint-every", "0") == 0
    assert saved == 3 * ["again.checkpoint.npz"]
    assert left_over(place) == {"out", "again"}


# ---- asked to end ----------------------------------------------------------------------------


def ask(number=signal.SIGINT):
    signal.raise_signal(number)


@pytest.fixture
def heeded():
    """No signal is ignored, as it is where the tests themselves run under nohup."""
    had = signal.getsignal(signal.SIGHUP)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, had)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_run_that_is_asked_to_end_keeps_what_it_reached_and_can_go_on(
    place, monkeypatch, capsys, heeded, number
):
    argv, before = [*SMALL, "--iterations", "50"], signal.getsignal(number)
    with at_an_iteration(monkeypatch, algorithm_1.Problem, 2, lambda: ask(number)):
        assert run(*argv) == 130
    printed, told = capsys.readouterr()
    assert re.search("stopped after 2 iterations; objective ", printed)
    assert "note: the same command goes on from out.checkpoint.npz" in told
    found = Decomposition.load("out/decomposition.npz")
    assert found.is_stopped
    assert len(found.history["objective"]) == 3
    assert signal.getsignal(number) == before
    assert run(*argv, "-o", "whole") == 0
    assert run(*argv) == 0
    assert files("out") == files("whole")
    assert left_over(place) == {"whole", "out"}


def test_a_recipe_that_is_asked_to_end_in_its_start_is_kept_and_can_go_on(place, monkeypatch):
    with at_an_iteration(monkeypatch, nmf.Problem, 7, ask):
        assert run(*NOTES, of="long.wav") == 130
    found = Decomposition.load("out/decomposition.npz")
    assert found.is_stopped
    assert (found.method, len(found.history["objective"])) == ("convolutive-nmf", 1)
    np.testing.assert_allclose(
        found.components().sum(axis=0) + found.residual, sound(1.5), atol=1e-6
    )
    assert run(*NOTES, of="long.wav") == 0
    assert run(*NOTES, "-o", "whole", of="long.wav") == 0
    assert files("out") == files("whole")


def test_a_second_signal_stops_at_once(place, monkeypatch, capsys):
    with at_an_iteration(monkeypatch, algorithm_1.Problem, 2, lambda: (ask(), ask())):
        assert run(*SMALL) == 130
    assert capsys.readouterr().err == "cdlnmf-lit: error: interrupted: no result was written\n"
    assert left_over(place) == set()
    with at_an_iteration(monkeypatch, algorithm_1.Problem, 2, lambda: (ask(), ask())):
        assert run(*SMALL, "--checkpoint-every", "0") == 130
    assert capsys.readouterr().err == (
        "cdlnmf-lit: error: interrupted: no result was written; "
        "the same command goes on from out.checkpoint.npz\n"
    )


def test_handlers_are_what_they_were():
    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    with stopped_gently() as stop:
        assert not stop.is_set()
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == before


@pytest.mark.parametrize(("number", "asks"), [(signal.SIGHUP, False), (signal.SIGINT, True)])
def test_an_ignored_signal_stays_so_but_for_ctrl_c(number, asks):
    """As nohup has it, which lets a run go on when its terminal is closed."""
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with ended_by_signals(), stopped_gently() as stop:
            os.kill(os.getpid(), number)
        assert stop.is_set() == asks
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, before)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_a_sound_is_read_leaves_no_copy_of_it(place, number):
    temporary = place / "temporary"
    temporary.mkdir()
    reading = subprocess.Popen(
        [sys.executable, "-m", "cdlnmf_lit", "decompose", "-"],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"TMPDIR": str(temporary)},
    )
    while not list(temporary.glob("*/input")) and reading.poll() is None:
        time.sleep(0.05)
    reading.send_signal(number)
    _, told = reading.communicate()
    assert told == b"cdlnmf-lit: error: interrupted: no result was written\n"
    assert reading.returncode == 130
    assert list(temporary.iterdir()) == []


# ---- a disk, a folder, a pipe that fail ------------------------------------------------------

EVENTS = ("open", "os.rename", "os.mkdir", "os.rmdir", "os.remove")
faults = {}


def _audited(event, args):
    """What is done at the so-manyth write below a folder."""
    if not faults or event not in EVENTS:
        return
    if not str(args[0]).startswith(("out", faults["folder"])):
        return
    if event == "open" and not args[2] & (os.O_WRONLY | os.O_RDWR):
        return
    faults["left"] -= 1
    if faults["left"] == 0:
        faults["action"]()


sys.addaudithook(_audited)


@contextmanager
def at_a_write(folder, number, action):
    """Do something at the so-manyth write; ``left`` says how many writes were left to come."""
    faults.update(folder=str(folder), left=number, action=action)
    try:
        yield faults
    finally:
        faults.clear()


def fail():
    raise OSError(errno.ENOSPC, "No space left on device")


ARGV = [*SMALL, "--iterations", "3", "--force"]


@pytest.fixture
def both(place):
    """An earlier result, and what is to replace it."""
    assert run(*ARGV) == 0
    earlier = files("out")
    assert run(*ARGV, "--seed", "5", "-o", "new") == 0
    return earlier, files("new")


@pytest.mark.parametrize("every", [0, 1000])
def test_a_fault_at_any_write_leaves_the_earlier_result_or_the_new_one(place, both, capsys, every):
    earlier, new = both
    argv = [*ARGV, "--seed", "5", "--checkpoint-every", str(every)]
    for number in range(1, 1000):
        capsys.readouterr()
        with at_a_write(place, number, fail) as fault:
            status = run(*argv)
            is_over = fault["left"] > 0
        printed, told = capsys.readouterr()
        assert files("out") in (earlier, new), number
        assert "Traceback" not in printed + told
        assert status == 0 or (status == 2 and told.count("\n") == 1), told
        if status == 0:
            assert files("out") == new
        assert run(*argv) == 0
        assert files("out") == new, number
        assert left_over(place) == {"out", "new"}, number
        assert run(*ARGV) == 0
        if is_over:
            break
    assert number > 10


def test_a_signal_at_any_write_ends_with_what_was_computed(place, both, capsys):
    earlier, new = both
    for number in range(1, 1000):
        with at_a_write(place, number, ask) as fault:
            status = run(*ARGV, "--seed", "5")
            is_over = fault["left"] > 0
        interrupted_before = files("out") == earlier
        assert interrupted_before or files("out") == new
        assert status == (0 if is_over else 130)
        if interrupted_before:
            assert "no result was written" in capsys.readouterr().err
            assert number <= 2  # the folder is tried before any work
        assert run(*ARGV) == 0
        assert left_over(place) == {"out", "new"}
        if is_over:
            break
    assert number > 10


def test_a_disk_that_is_full_at_any_byte_leaves_the_earlier_result(place, both, capsys):
    earlier, new = both
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for size in (0, 1, 44, 100, 1000, 10_000, 20_000, 10**9):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        try:
            status = run(*ARGV, "--seed", "5", "--checkpoint-every", "0")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert status == (0 if size == 10**9 else 2)
        assert files("out") == (new if status == 0 else earlier)
        if status:
            assert "out/" in capsys.readouterr().err
        assert {name for name in left_over(place) if "partial" in name or "old" in name} == set()


def test_a_result_that_cannot_be_written_is_not_computed_again(place, monkeypatch, capsys):
    from cdlnmf_lit.recordings import results

    with monkeypatch.context() as patched:
        patched.setattr(results, "fill", lambda *_, **__: fail())
        assert run(*SMALL, "--iterations", "20") == 2
    assert "another disk; the same command goes on from out.checkpoint.npz" in (
        capsys.readouterr().err
    )
    with at_an_iteration(monkeypatch, algorithm_1.Problem, 1, kill):
        assert run(*SMALL, "--iterations", "20") == 0
    assert run(*SMALL, "--iterations", "20", "-o", "whole") == 0
    assert files("out") == files("whole")


@pytest.mark.parametrize("out", ["short.wav/out", "/proc/out", "/dev/null/out"])
def test_a_folder_that_cannot_be_written_is_refused_before_any_work(
    place, monkeypatch, capsys, out
):
    monkeypatch.setattr(command, "heard", None)
    assert run(*SMALL, "-o", out) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert re.search(f"error: {out}: (there is no such|a part of its name is a file)", told)


def test_a_mount_which_cannot_be_replaced_is_refused_before_any_work(place, monkeypatch, capsys):
    """As a container has where it is given a folder to write to."""
    monkeypatch.setattr(command, "heard", None)
    monkeypatch.setattr(Path, "is_mount", lambda path: path.name == "mounted")
    (place / "mounted").mkdir()
    assert run(*SMALL, "-o", "mounted") == 2
    assert capsys.readouterr().err == (
        "cdlnmf-lit: error: mounted: is in use and cannot be replaced: name a folder inside of it, "
        "or another\n"
    )


def test_a_disk_that_can_only_be_read_is_told_in_words(place, monkeypatch, capsys):
    fault = OSError(errno.EROFS, os.strerror(errno.EROFS))
    monkeypatch.setattr(Path, "mkdir", mock.Mock(side_effect=fault))
    assert run(*SMALL) == 2
    assert capsys.readouterr().err == (
        "cdlnmf-lit: error: out: the disk can only be read: name a folder on another one\n"
    )


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_closed_pipe_ends_no_run(place, monkeypatch, stream):
    for at in (0, 1, 3):
        read, write = os.pipe()
        with os.fdopen(write, "w", buffering=1) as pipe, monkeypatch.context() as patched:
            patched.setattr(sys, stream, pipe)
            with at_an_iteration(patched, algorithm_1.Problem, at, partial(os.close, read)):
                argv = ["decompose", "short.wav", *SMALL, "--iterations", "3", "-o", f"out {at}"]
                assert main(argv) == 0
            assert getattr(sys, stream) is pipe
        assert Decomposition.load(f"out {at}/decomposition.npz").status == "ran all 3 iterations"


# ---- the bar -----------------------------------------------------------------------------------


def test_one_bar_is_shown_and_ends_full(place, capsys):
    assert main(["decompose", "long.wav", *NOTES]) == 0
    lines = capsys.readouterr().err.strip().split("\r")
    bar, *others = lines[-1].splitlines()
    assert "3/3 convolutive-nmf: 100%" in bar
    assert "250/250" in bar
    assert all(line.startswith("cdlnmf-lit: advice: ") for line in others)


def test_time_is_told_by_the_clock_of_the_run(place):
    begin = time.monotonic()
    assert run(*SMALL, "--iterations", "3") == 0
    seconds = json.loads(Path("out/summary.json").read_text())["times"]["seconds"]
    assert 0 < seconds <= time.monotonic() - begin
