"""Blocks in threads: the same results, in order, without more in memory than needed."""

import os
import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdlnmf_lit.theory import blocks
from cdlnmf_lit.theory.blocks import (
    frames,
    gram,
    in_threads,
    n_threads,
    overlap_add,
    placed,
    product_in_tiles,
    segment_energies,
    sliding_maximum,
    stretches,
    summed,
)
from tests.strategies import normal, seeds


@given(st.lists(st.integers()))
def test_results_come_in_the_order_of_the_items(items):
    assert list(in_threads(lambda item: 2 * item, items)) == [2 * item for item in items]


def test_an_error_in_a_thread_reaches_the_caller():
    with pytest.raises(ZeroDivisionError):
        list(in_threads(lambda item: 1 // item, [1, 0, 1]))


def test_few_results_wait_to_be_taken(monkeypatch):
    monkeypatch.setattr(blocks, "n_threads", lambda: 2)
    started, lock = [], threading.Lock()

    def work(item):
        with lock:
            started.append(item)
        return item

    results = in_threads(work, range(100))
    next(results)
    time.sleep(0.05)
    assert len(started) <= 5
    assert list(results) == list(range(1, 100))


def test_the_threads_are_kept_and_work_within_them_needs_no_others(monkeypatch):
    monkeypatch.setattr(blocks, "n_threads", lambda: 2)

    def outer(item):
        return {threading.get_ident(), *in_threads(lambda _: threading.get_ident(), range(4))}

    first, second = (set.union(*in_threads(outer, range(8))) for _ in range(2))
    assert len(first | second) <= 2
    assert all(len(threads) == 1 for threads in in_threads(outer, range(8)))


def test_no_work_goes_on_once_the_results_are_no_longer_wanted(monkeypatch):
    monkeypatch.setattr(blocks, "n_threads", lambda: 2)
    begun, ended = [], []

    def work(item):
        begun.append(item)
        time.sleep(0.01)
        ended.append(item)

    results = in_threads(work, range(100))
    next(results)
    results.close()
    assert sorted(begun) == sorted(ended)
    assert len(ended) < 10


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_process_has_threads_of_its_own(monkeypatch):
    monkeypatch.setattr(blocks, "n_threads", lambda: 2)
    assert list(in_threads(abs, [-1, -2, -3])) == [1, 2, 3]
    child = os.fork()
    if not child:
        done = list(in_threads(abs, [-1, -2, -3])) == [1, 2, 3]
        os._exit(0 if done else 1)
    deadline = time.monotonic() + 20
    while (state := os.waitpid(child, os.WNOHANG)) == (0, 0) and time.monotonic() < deadline:
        time.sleep(0.01)
    if state == (0, 0):
        os.kill(child, 9)
        state = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(state[1]) == 0


def test_a_browser_has_one_thread(monkeypatch):
    monkeypatch.setattr(blocks.sys, "platform", "emscripten")
    assert n_threads() == 1
    assert list(in_threads(abs, [-1, -2])) == [1, 2]


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 12), seeds)
def test_overlap_add_is_the_literal_sum(n_frames, width, hop, seed):
    frames = normal(seed, n_frames, width)
    literal = np.zeros(hop * (n_frames - 1) + width)
    for n, frame in enumerate(frames):
        literal[hop * n : hop * n + width] += frame
    np.testing.assert_allclose(overlap_add(frames, hop), literal, atol=1e-12)


@given(st.integers(0, 9), st.integers(-20, 20), st.integers(0, 9), seeds)
def test_what_is_placed_outside_is_cut(size, start, length, seed):
    piece = normal(seed, size)
    whole = placed(piece, start, length)
    expected = [piece[t - start] if 0 <= t - start < size else 0.0 for t in range(length)]
    np.testing.assert_array_equal(whole, expected)


@given(st.integers(1, 5), st.integers(1, 5), st.sampled_from([1, 7, 40_000]), seeds)
def test_products_of_long_rows_are_products(K, L, n, seed):
    left, right = normal(seed, K, n), normal(seed + 1, L, n)
    np.testing.assert_allclose(gram(left, right), left @ right.T, atol=1e-9)


@pytest.mark.parametrize("platform", ["linux", "emscripten"])
@given(sides=st.tuples(*3 * [st.integers(1, 300)]), dtype=st.sampled_from(["f4", "f8"]), seed=seeds)
def test_products_in_tiles_are_products_here_and_in_a_browser(platform, sides, dtype, seed):
    m, n, inner = sides
    rng = np.random.default_rng(seed)
    left, right = rng.random((m, inner), dtype), rng.random((inner, n), dtype)
    for one, other in (left, right), (np.asfortranarray(left), right), (left, right.T.copy().T):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(blocks.sys, "platform", platform)
            product = product_in_tiles(one, other)
        assert product.dtype == dtype
        assert product.flags.c_contiguous
        np.testing.assert_allclose(product, left @ right, rtol=inner * np.finfo(dtype).eps)


@given(st.integers(1, 600), st.integers(1, 100_000))
def test_stretches_follow_each_other(n_rows, n_columns):
    found = stretches(n_rows, n_columns)
    assert (found[0].start, found[-1].stop) == (0, n_columns)
    assert [s.start for s in found[1:]] == [s.stop for s in found[:-1]]


@pytest.mark.parametrize(
    ("n_rows", "size"), [(1, 2**15), (2, 2**14), (8, 4096), (64, 64), (600, 1)]
)
def test_stretches_are_as_long_as_cache_and_blas_allow(n_rows, size):
    assert stretches(n_rows, 100_000)[0] == slice(0, size)


@given(st.integers(1, 9), st.sampled_from([1, 3]), seeds)
def test_sums_are_added_in_order_and_change_nothing_else(n_items, n_threads, seed):
    parts = [(k, normal(seed + k, 3)) for k in range(n_items)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "n_threads", lambda: n_threads)
        count, total = summed(lambda k: (parts[k][0], parts[k][1].copy()), range(n_items))
    literal = parts[0][1]
    for _, part in parts[1:]:
        literal = literal + part
    assert count == n_items * (n_items - 1) // 2
    np.testing.assert_array_equal(total, literal)
    assert summed(lambda item: (item,), []) == []


@given(st.integers(1, 20), st.integers(1, 20), st.sampled_from([np.float32, float]), seeds)
def test_the_energies_of_segments_are_the_literal_sums(T, length, dtype, seed):
    x = normal(seed, T, dtype=dtype)
    found = segment_energies(x, length)
    wanted = [np.sum(np.square(x[n : n + length], dtype=float)) for n in range(T - length + 1)]
    assert found.dtype == float
    np.testing.assert_allclose(found, wanted, atol=1e-12)
    assert segment_energies(np.r_[1e9, np.zeros(9)], 3).min() >= 0


@given(st.integers(1, 20), st.integers(1, 9), st.integers(0, 30), st.booleans(), seeds)
def test_frames_are_the_windows_that_slide_by_a_hop(length, hop, more, stacked, seed):
    x = normal(seed, 3, length + more)[:, ::-1] if stacked else normal(seed, length + more)
    windows = np.lib.stride_tricks.sliding_window_view(x, length, axis=-1)
    found = frames(x, length, hop)
    np.testing.assert_array_equal(found, windows[..., ::hop, :])
    assert np.shares_memory(found, x)
    assert not found.flags.writeable


@given(seeds, st.integers(1, 60), st.data())
def test_sliding_maxima_are_those_of_the_windows(seed, length, data):
    values, width = normal(seed, length), data.draw(st.integers(1, length))
    windows = np.lib.stride_tricks.sliding_window_view(values, width)
    np.testing.assert_array_equal(sliding_maximum(values, width), windows.max(axis=1))


# ---- how many threads ----------------------------------------------------------------------------


@pytest.fixture
def processors(monkeypatch):
    """A process that may use eight of them, in a container that does not tell."""
    monkeypatch.delenv("CDLNMF_THREADS", raising=False)
    monkeypatch.setattr(blocks.os, "sched_getaffinity", lambda _: range(8), raising=False)
    monkeypatch.setattr(blocks, "processor_quota", lambda: float("inf"))
    return monkeypatch


def test_threads_are_what_is_asked_for_or_may_be_used(processors):
    assert n_threads() == 8
    processors.setattr(blocks, "processor_quota", lambda: 1.5)
    assert n_threads() == 2
    processors.setenv("CDLNMF_THREADS", "3")
    assert n_threads() == 3


@pytest.mark.parametrize("asked", ["0", "-1", "two", "1.5"])
def test_a_number_of_threads_that_is_none_is_refused(processors, asked):
    processors.setenv("CDLNMF_THREADS", asked)
    with pytest.raises(ValueError, match=f"CDLNMF_THREADS must be .*, got '{asked}'"):
        n_threads()


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"cpu.max": "150000 100000"}, 1.5),
        ({"cpu.max": "max 100000"}, np.inf),
        ({"cpu/cpu.cfs_quota_us": "300000", "cpu/cpu.cfs_period_us": "100000"}, 3.0),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, np.inf),
        ({}, np.inf),
    ],
)
def test_the_quota_of_a_container_is_known(tmp_path, files, quota):
    for name, text in files.items():
        path = tmp_path / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert blocks.processor_quota(str(tmp_path)) == quota
