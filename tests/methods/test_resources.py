"""What a run takes is said in words, and what there is not enough memory for is refused."""

import subprocess
import sys
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cdlnmf_lit.methods import resources
from cdlnmf_lit.methods.resources import Estimate, available_memory, rehearsed, require_memory
from cdlnmf_lit.methods.starts import rounds


def test_an_estimate_reads_as_a_sentence():
    estimate = Estimate(2_340_000_000, lambda: (0.0123, 1.23))
    assert str(estimate) == (
        "2.3 GB of memory, about 0.012 s of the processor an iteration, 1.2 s in all"
    )


def test_the_time_is_measured_once_and_only_where_it_is_asked_for():
    measured = []
    estimate = Estimate(10**9, lambda: measured.append(1) or (1.0, 2.0))
    assert (estimate.memory_bytes, measured) == (10**9, [])
    assert (estimate.seconds, estimate.seconds_per_iteration, len(measured)) == (2.0, 1.0, 1)


def test_free_memory_is_a_number_of_bytes():
    assert 2**20 < available_memory() < 2**60


@pytest.mark.parametrize("error", [AttributeError, OSError, ValueError])
def test_memory_is_unlimited_where_the_system_does_not_tell(monkeypatch, error, tmp_path):
    def sysconf(name):
        raise error

    monkeypatch.setattr(resources.os, "sysconf", sysconf)
    assert available_memory(tmp_path) == float("inf")
    monkeypatch.setattr(resources, "_bounds", lambda root: iter([(float("inf"), "are free")]))
    require_memory(1e30, "anything")


GROUP = {
    "v2": (
        "0::/user/job",
        "sys/fs/cgroup",
        ("memory.max", "memory.current", "inactive_file"),
    ),
    "v1": (
        "5:cpu,cpuacct:/\n4:memory:/user/job",
        "sys/fs/cgroup/memory",
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ),
}


def told(root, name, text):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(str(text))


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A system that tells of much memory, and of no limit."""
    monkeypatch.setattr(resources.os, "sysconf", lambda name: 1024)
    told(tmp_path, "proc/meminfo", "MemTotal: 9 kB\nMemAvailable:  64000000 kB\nCached: 8 kB\n")
    told(tmp_path, "proc/self/statm", "1000 500 100 1 0 200 0")
    return tmp_path


def test_memory_that_the_system_only_borrows_counts_as_free(root):
    assert available_memory(root) == 64e6 * 1024
    told(root, "proc/meminfo", "MemTotal: 999999 kB\n")
    assert available_memory(root) == 1024 * 1024


@pytest.mark.parametrize("version", GROUP)
@pytest.mark.parametrize("level", ["user/job", "user", "."])
def test_a_container_leaves_what_it_has_not_used(root, version, level):
    groups, mount, (most, used, cache) = GROUP[version]
    told(root, "proc/self/cgroup", groups)
    told(root, f"{mount}/{level}/{most}", 2 * 10**9)
    told(root, f"{mount}/{level}/{used}", 15 * 10**8)
    told(root, f"{mount}/{level}/memory.stat", f"anon 5\n{cache} {3 * 10**8}\n")
    assert available_memory(root) == 8e8
    told(root, f"{mount}/{level}/{most}", "max" if version == "v2" else 2**63 - 4096)
    assert available_memory(root) == 64e6 * 1024
    told(root, f"{mount}/{level}/{most}", 10**9)
    assert available_memory(root) == 0


def test_a_limit_of_addresses_leaves_what_is_not_taken(root, monkeypatch):
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(resource, "getrlimit", lambda which: (25 * 10**8, -1))
    assert available_memory(root) == 25e8 - 1000 * resource.getpagesize()
    monkeypatch.setattr(resource, "getrlimit", lambda which: (resource.RLIM_INFINITY, -1))
    assert available_memory(root) == 64e6 * 1024


def test_a_limit_of_this_process_is_known():
    """In a process of its own, under ``ulimit -v``."""
    resource = pytest.importorskip("resource")
    code = "from cdlnmf_lit.methods.resources import available_memory as f; print(f())"
    limit = 4 * 10**9
    found = subprocess.run(
        [sys.executable, "-c", code],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
        capture_output=True,
        check=True,
    )
    assert 0 < float(found.stdout) < limit - 10**7


def test_what_does_not_fit_is_refused_and_what_just_fits_is_not(monkeypatch):
    monkeypatch.setattr(resources, "_free", lambda root: 2e9)
    require_memory(2e9, "a walk")
    with pytest.raises(MemoryError) as refused:
        require_memory(2.1e9, "a walk")
    assert str(refused.value) == (
        "a walk needs about 2.1 GB of memory, and 2 GB are free: use float32, a shorter piece or, "
        "with frames, a larger hop"
    )


def test_a_refusal_names_what_limits_the_memory(monkeypatch):
    bounds = [(5e9, "are free"), (1e9, "are left in this container"), (float("inf"), "never said")]
    monkeypatch.setattr(resources, "_bounds", lambda root: iter(bounds))
    with pytest.raises(MemoryError, match="of memory, and 1 GB are left in this container: use"):
        require_memory(2e9, "a walk")


@dataclass
class Timed:
    """A stage that takes as long as it says, by a clock of its own."""

    clock: list[float]
    around: tuple[float, float] = (3.0, 0.0)
    running: tuple[float, float] = (0.0, 1e-6)
    least: int = 1
    iterations: int = 100
    starts: int = 1
    halve_every: int = 0
    before: Any = None

    @property
    def stages(self):
        return (*self.before.stages, self) if self.before else (self,)

    @property
    def rounds(self):
        return rounds(self.starts, self.iterations, self.halve_every)

    def take(self, line, n):
        self.clock[0] += line[0] + line[1] * n

    def iterate(self, piece, K, start):
        assert (start is None) == (self.before is None)
        if len(piece) < self.least:
            raise ValueError("too short")
        self.take(self.around, len(piece))
        while True:
            yield SimpleNamespace(decomposition=lambda: "found")
            self.take(self.running, len(piece))


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(resources, "processor_time", lambda: now[0])
    return now


@pytest.mark.parametrize("T", [1, 511, 512, 10_000, 10**6, 10**9])
@pytest.mark.parametrize("least", [1, 5000])
def test_what_grows_as_a_line_is_foretold_whatever_the_length(clock, T, least):
    method = Timed(clock, around=(0.03, 2e-5), running=(0.004, 1e-6), least=min(least, T))
    an_iteration, seconds = rehearsed(method, T, 2)
    assert an_iteration == pytest.approx(0.004 + 1e-6 * T)
    assert seconds == pytest.approx(0.03 + 2e-5 * T + 100 * an_iteration)


def test_what_does_not_grow_in_short_pieces_is_taken_to_grow_in_longer_ones(clock):
    method = Timed(clock, around=(0.0, 0.0), running=(1.0, 0.0))
    assert rehearsed(method, 64 * 1024, 2)[0] == pytest.approx(64**0.4)


def test_stages_and_starts_add_up(clock):
    first = Timed(clock, around=(1.0, 0.0), running=(0.5, 0.0), iterations=4)
    second = Timed(clock, (2.0, 0.0), (0.25, 0.0), iterations=20, starts=8, before=first)
    assert rehearsed(second, 500, 2) == pytest.approx((0.25, 8 * (1 + 4 * 0.5 + 2 + 20 * 0.25)))
    halved = replace(second, halve_every=5)  # 8 × 5, 4 × 5, 2 × 5 and 1 × 5 iterations
    assert rehearsed(halved, 500, 2)[1] == pytest.approx(8 * (1 + 4 * 0.5 + 2) + 75 * 0.25)


def test_no_more_is_run_than_can_be_timed(clock):
    method = Timed(clock, around=(0.0, 0.0), running=(0.0, 1.0))
    rehearsed(method, 10**7, 2)
    assert clock[0] < 10**4


def test_of_what_takes_long_one_iteration_is_run_and_followed_in_proportion(clock):
    method = Timed(clock, around=(7.0, 0.0), running=(100.0, 0.0), least=5000)
    assert rehearsed(method, 64 * 5000, 2) == pytest.approx((6400, 64 * 7 + 100 * 6400))
    assert clock[0] == 107


def test_a_clock_that_a_browser_has_not_is_that_on_the_wall(monkeypatch):
    monkeypatch.setattr(resources.time, "process_time", lambda: 0.0)
    assert resources.processor_time() == 0
    monkeypatch.setattr(resources.sys, "platform", "emscripten")
    assert resources.processor_time() > 0


def test_a_sound_that_no_piece_of_can_be_taken_is_refused(clock):
    with pytest.raises(ValueError, match="too short"):
        rehearsed(Timed(clock, least=10**6), 9000, 2)


def test_the_pieces_are_of_the_sound_that_is_given(clock):
    seen = []

    class Seeing(Timed):
        def iterate(self, piece, K, start):
            seen.append(piece)
            return super().iterate(piece, K, start)

    sound = np.arange(3000.0)
    rehearsed(Seeing(clock), 10**6, 2, like=sound)
    assert [*map(len, seen)] == [750, 1500, 3000]
    assert all(np.array_equal(piece, sound[: len(piece)]) for piece in seen)


def test_a_python_of_32_bits_addresses_no_more(monkeypatch):
    monkeypatch.setattr(resources, "_free", lambda root: 1e15)
    monkeypatch.setattr(resources, "ADDRESSED", 2.0**31)
    require_memory(2e9, "a sound")
    with pytest.raises(MemoryError, match=r"2\.1 GB are all that Python can address here: use"):
        require_memory(3e9, "a long sound")
