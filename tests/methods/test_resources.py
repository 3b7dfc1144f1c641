"""What a run takes is said in words, and what there is not enough memory for is refused."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from cdlnmf_lit.methods import resources
from cdlnmf_lit.methods.resources import Estimate, available_memory, require_memory, seconds_of


def test_an_estimate_reads_as_a_sentence():
    estimate = Estimate(2_340_000_000, 0.0123, 1.23)
    assert str(estimate) == "2.3 GB of memory, about 0.012 s an iteration, 1.2 s in all"


def test_free_memory_is_a_number_of_bytes():
    assert 2**20 < available_memory() < 2**60


@pytest.mark.parametrize("error", [AttributeError, OSError, ValueError])
def test_memory_is_unlimited_where_the_system_does_not_tell(monkeypatch, error, tmp_path):
    def sysconf(name):
        raise error

    monkeypatch.setattr(resources.os, "sysconf", sysconf)
    assert available_memory(tmp_path) == float("inf")
    monkeypatch.setattr(resources, "available_memory", lambda: float("inf"))
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
    monkeypatch.setattr(resources, "available_memory", lambda: 2e9)
    require_memory(2e9, "a walk")
    with pytest.raises(MemoryError) as refused:
        require_memory(2.1e9, "a walk")
    assert str(refused.value) == (
        "a walk needs about 2.1 GB of memory, and 2 GB are free: use float32, a shorter piece or, "
        "with frames, a larger hop"
    )


def test_the_best_of_a_few_calls_is_timed(monkeypatch):
    clock = iter([0.0, 5.0, 7.0, 8.0, 10.0, 13.0])
    monkeypatch.setattr(resources, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    assert seconds_of(lambda: None) == 1
    assert next(clock, None) is None
    monkeypatch.undo()
    calls = []
    seconds_of(lambda: calls.append(1), repeats=5)
    assert len(calls) == 5


def test_a_python_of_32_bits_addresses_no_more(monkeypatch):
    monkeypatch.setattr(resources, "available_memory", lambda: float("inf"))
    require_memory(3e9, "a long sound")
    monkeypatch.setattr(resources, "ADDRESSED", 2.0**31)
    require_memory(2e9, "a sound")
    with pytest.raises(MemoryError, match=r"needs about 3 GB of memory, and 2\.1 GB are free"):
        require_memory(3e9, "a long sound")
