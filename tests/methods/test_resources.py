"""What a run takes is said in words, and what there is not enough memory for is refused."""

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
def test_memory_is_unlimited_where_the_system_does_not_tell(monkeypatch, error):
    def sysconf(name):
        raise error

    monkeypatch.setattr(resources.os, "sysconf", sysconf)
    assert available_memory() == float("inf")
    require_memory(1e30, "anything")


def test_memory_that_the_system_only_borrows_counts_as_free(monkeypatch):
    monkeypatch.setattr(resources.os, "sysconf", lambda name: 1024)
    text = "MemTotal: 999999 kB\nMemAvailable:    5000 kB\nCached: 888888 kB\n"
    monkeypatch.setattr(resources.Path, "read_text", lambda path: text)
    assert available_memory() == 5000 * 1024
    monkeypatch.setattr(resources.Path, "read_text", lambda path: "MemTotal: 999999 kB\n")
    assert available_memory() == 1024 * 1024


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
