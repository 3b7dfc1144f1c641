"""Time and memory of calls whose time and memory are known."""

import threading
import time
import tracemalloc

import numpy as np
import pytest

from cdlnmf_lit.experiments.evaluation.costs import peak_bytes, timed


def test_a_timed_call_gives_its_result_and_its_seconds():
    result, seconds = timed(lambda: time.sleep(0.05))
    assert result is None
    assert 0.05 <= seconds < 5
    assert timed(lambda: "done")[0] == "done"


def work():
    return np.ones(1_000_000).sum() + np.ones(500_000).sum()


def test_the_peak_is_that_of_the_largest_moment_and_of_this_call():
    before = np.ones(1_000_000)
    assert 8e6 <= peak_bytes(work) < 9e6
    assert peak_bytes(lambda: None) < 1e5  # what was held before does not count
    assert before.all()


def test_the_peak_counts_pythons_objects_and_other_threads():
    assert peak_bytes(lambda: [str(n) for n in range(100_000)]) > 5e6

    def elsewhere():
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()

    assert 8e6 <= peak_bytes(elsewhere) < 9e6


def test_one_measurement_at_a_time_and_an_error_leaves_nothing_traced():
    with pytest.raises(RuntimeError, match="memory is being traced already"):
        peak_bytes(lambda: peak_bytes(work))
    with pytest.raises(ZeroDivisionError):
        peak_bytes(lambda: 1 / 0)
    assert not tracemalloc.is_tracing()
