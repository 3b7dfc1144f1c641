"""Learning from files gives the same bytes whoever works, and loses none to a worker that dies."""

import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import joblib
import numpy as np
import pytest

from cdlnmf_lit import CDL, NMF, ConvolutiveNMF
from cdlnmf_lit.methods.pieces import learnt
from cdlnmf_lit.methods.recipes import clicks, notes
from cdlnmf_lit.recordings import learning
from cdlnmf_lit.recordings.learning import InFolder, Stretch, drawn, gathered, learn
from cdlnmf_lit.recordings.reading import read
from cdlnmf_lit.recordings.writing import write
from cdlnmf_lit.theory.gabor import hann

RATE = 2000
CALLS = np.stack([np.hanning(48) * np.sin(omega * np.arange(48)) for omega in (0.4, 1.1)])
METHODS = [
    NMF(frame=hann(64, 32), iterations=8),
    ConvolutiveNMF(frame=hann(64, 32), iterations=8, pattern_length=3),
    CDL(atom_length=48, padding=24, share=0.1, iterations=8),
]


def a_sound(n_samples, seed, loudness=1.0):
    rng = np.random.default_rng(seed)
    z = np.zeros((2, n_samples))
    for row in z:
        row[rng.integers(0, n_samples - 48, 6)] = rng.uniform(0.5, 1, 6)
    x = sum(np.convolve(row, call)[:n_samples] for row, call in zip(z, CALLS, strict=True))
    return loudness * (x + 0.003 * rng.standard_normal(n_samples))


@pytest.fixture
def sounds(tmp_path):
    """Three recordings in a folder."""
    paths = [tmp_path / f"{n}.wav" for n in range(3)]
    for n, path in enumerate(paths):
        write(path, a_sound(1500 + 300 * n, n), RATE)
    return [str(path) for path in paths]


@pytest.fixture
def place(tmp_path):
    (tmp_path / "place").mkdir()
    return tmp_path / "place"


def saved(found, path):
    found.save(path)
    return path.read_bytes()


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_from_files_it_is_what_arrays_give(method, sounds, place):
    found = learn(method, sounds, 2, rng=1, folder=place)
    alone = learnt(method, [read(path)[0] for path in sounds], 2, rng=1).alone()
    assert saved(found, place / "a.npz") == saved(replace(alone, sample_rate=RATE), place / "b.npz")
    assert not [each for each in place.iterdir() if each.suffix != ".npz"]


@pytest.mark.long
@pytest.mark.parametrize("method", [*METHODS, notes(RATE // 4), clicks(RATE)], ids=str)
def test_two_processes_give_the_same_bytes(method, sounds, place):
    one = learn(method, sounds, 2, folder=place)
    with learning.workers(jobs=2):
        two = learn(method, sounds, 2, folder=place)
    assert saved(one, place / "a.npz") == saved(two, place / "b.npz")


@pytest.mark.long
@pytest.mark.parametrize("method", METHODS[1:], ids=lambda method: method.name)
def test_a_worker_of_a_cluster_may_be_killed_half_way(method, sounds, place, tmp_path):
    """Two workers of Dask, one of which is killed at an iteration: the same bytes as alone."""
    distributed = pytest.importorskip("distributed")
    alone = saved(learn(method, sounds, 2, folder=place), place / "alone.npz")
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=":0", local_directory=tmp_path
    )
    killed, seen = [], []
    with cluster, distributed.Client(cluster) as client:
        client.wait_for_workers(2)

        def watch(stage, states):
            for state in states:
                seen.append(state.iteration)
                if state.iteration == 4:
                    killed.extend(sorted(client.run(os.getpid).values())[:1])
                    # while the next iteration is at work
                    threading.Timer(0.02, os.kill, (killed[0], signal.SIGKILL)).start()
                yield state

        with learning.workers(scheduler=cluster.scheduler_address):
            found = learn(method, sounds, 2, folder=place, watch=watch)
        for _ in range(100):
            pids = client.run(os.getpid).values()
            if killed[0] not in pids:
                break
            time.sleep(0.1)
        assert killed[0] not in pids
    assert seen[-1] == 8
    assert saved(found, place / "killed.npz") == alone
    assert not [each for each in place.iterdir() if each.suffix != ".npz"]


def dies_once(flag, x):
    """Keep twice the array, and kill the first process that tries."""
    try:
        flag.touch(exist_ok=False)
    except FileExistsError:
        return 2 * x, x.sum().item()
    os.kill(os.getpid(), signal.SIGKILL)
    return None


def dies(x):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.long
def test_work_that_a_worker_died_of_is_done_by_another(place, tmp_path):
    distributed, dask = pytest.importorskip("distributed"), pytest.importorskip("dask")
    with dask.config.set({"distributed.scheduler.allowed-failures": 1}):
        cluster = distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0", local_directory=tmp_path
        )
    with cluster, distributed.Client(cluster) as client, joblib.parallel_config(backend="dask"):
        client.wait_for_workers(2)
        spread, flags = InFolder(place), [tmp_path / "dead", tmp_path / "dead"]
        kept, told = zip(*spread(dies_once, flags, [np.ones(2), np.ones(3)]), strict=True)
        with (
            pytest.raises(OSError, match="workers died at their work"),
            learning._deaths_told(),
        ):
            list(spread(dies, [1.0]))
    assert told == (2.0, 3.0)
    assert [each.load().tolist() for each in kept] == [[2.0] * 2, [2.0] * 3]


@pytest.mark.long
def test_processes_that_always_die_are_told_in_a_line(place):
    with (
        learning.workers(jobs=2),
        pytest.raises(OSError, match="workers died at their work"),
        learning._deaths_told(),
    ):
        list(InFolder(place)(dies, [1.0, 2.0]))


def test_no_scheduler_is_told_in_a_line():
    pytest.importorskip("distributed")
    with (
        pytest.raises(OSError, match="scheduler must be the address of one that runs"),
        learning.workers(scheduler="nowhere"),
    ):
        pass


# ---- pieces --------------------------------------------------------------------------------------


def test_long_recordings_are_cut_and_their_silence_left_out(tmp_path):
    x = a_sound(4000, 0)
    x[1000:2000] = 0
    write(tmp_path / "long.wav", x, RATE)
    write(tmp_path / "short.wav", a_sound(700, 1), RATE)
    paths = [str(tmp_path / name) for name in ("long.wav", "short.wav")]
    stretches, rate = gathered(InFolder(tmp_path), paths, None, 0.5)
    assert rate == RATE
    assert [(each.begin, each.end) for each in stretches] == [
        (0, 1000),
        (2000, 3000),
        (3000, 4000),
        (0, 700),
    ]
    assert stretches[0].name == f"{paths[0]} from 0 to 0.5 s"
    assert stretches[3].name == paths[1]
    np.testing.assert_array_equal(stretches[1].load(), read(paths[0])[0][2000:3000])


def test_excerpts_are_drawn_by_energy(tmp_path):
    stretches = [Stretch("a", None, n, n + 1, 100, 1.0 + 99 * (n < 20), 1) for n in range(100)]
    counts = np.zeros(100)
    for seed in range(200):
        for each in drawn(stretches, 10, np.random.default_rng(seed)):
            counts[each.begin : each.end] += 1
    assert counts.sum() == 2000
    assert 0.9 < counts[:20].sum() / 2000 < 1
    assert [*drawn(stretches, 1e9, np.random.default_rng(0))] == [
        replace(stretches[0], end=100, energy=2080.0)
    ]


def test_excerpts_are_enough_for_what_sounds_everywhere(tmp_path, place, monkeypatch):
    monkeypatch.setattr(learning, "EXCERPT", 0.5)
    paths = [str(tmp_path / f"{n}.wav") for n in range(4)]
    for n, path in enumerate(paths):
        write(path, a_sound(4000, n), RATE)
    found = learn(METHODS[2], paths, 2, excerpts=2.0, folder=place)
    again = learn(METHODS[2], paths, 2, excerpts=2.0, folder=place)
    assert found.atoms.tobytes() == again.atoms.tobytes()
    calls = CALLS / np.linalg.norm(CALLS, axis=1, keepdims=True)
    alike = [[np.abs(np.correlate(d, call, "full")).max() for d in found.atoms] for call in calls]
    assert np.max(alike, axis=1).min() > 0.9


def test_stereo_is_read_by_its_channel(tmp_path, place):
    import soundfile

    x = np.stack([a_sound(1500, 0), a_sound(1500, 1)], axis=1)
    soundfile.write(tmp_path / "stereo.wav", x, RATE, "FLOAT")
    paths = [str(tmp_path / "stereo.wav")]
    one, other = (learn(METHODS[0], paths, 2, channel=n, folder=place) for n in (0, 1))
    assert not np.array_equal(one.spectra, other.spectra)
    with pytest.raises(ValueError, match="channel must be one of 0, 1, mean for"):
        learn(METHODS[0], paths, 2, channel=2, folder=place)


# ---- what is refused -----------------------------------------------------------------------------


def test_bad_recordings_are_refused_by_their_name_and_nothing_is_left(sounds, tmp_path, place):
    write(tmp_path / "silent.wav", np.zeros(1000), RATE)
    write(tmp_path / "short.wav", np.tile([0.5, -0.5], 20), RATE)
    write(tmp_path / "other.wav", a_sound(1000, 0), 2 * RATE)
    for paths, told in (
        ([], "sounds must hold at least one recording, got none"),
        ([*sounds, tmp_path / "silent.wav"], r"silent\.wav: x must not be silent"),
        ([*sounds, tmp_path / "short.wav"], r"short\.wav: x must be at least as long as an atom"),
        ([*sounds, tmp_path / "other.wav"], "one sample rate, got 2000 Hz in .*, 4000 Hz in .*oth"),
    ):
        with pytest.raises(ValueError, match=told):
            learn(METHODS[2], paths, 2, folder=place)
    with pytest.raises(OSError, match=r"missing\.wav"):
        learn(METHODS[2], [*sounds, str(tmp_path / "missing.wav")], 2, folder=place)
    with pytest.raises(ValueError, match="longest must be a positive number"):
        learn(METHODS[2], sounds, 2, longest=0.0, folder=place)
    assert not [*place.iterdir()]


def test_a_disk_without_room_is_refused_before_the_work(sounds, place, monkeypatch):
    usage = learning.shutil.disk_usage(place)._replace(free=1000)
    monkeypatch.setattr(learning.shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(
        OSError, match=r"the pieces need about .* [MG]B in .*, which has .*: make room"
    ):
        learn(METHODS[0], sounds, 2, folder=place)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_the_folder_never_holds_more_than_is_said(method, sounds, place, monkeypatch):
    """The estimate, of the room that pieces need, is not below what they take by much."""
    most = 0

    def watch(stage, states):
        nonlocal most
        for state in states:
            files = [each for each in Path(place).rglob("*") if each.is_file()]
            most = max(most, sum(each.stat().st_size for each in files))
            yield state

    learn(method, sounds, 2, folder=place, watch=watch)
    sizes = [read(path)[0].size for path in sounds]
    said = 8 * sum(learning._bytes_kept(method, T, 2) for T in sizes)
    assert 0.3 * said < most < said + 4096 * 3 * len(sizes)


def test_what_is_kept_goes_when_nobody_needs_it(place):
    spread = InFolder(place)
    (kept,) = [each for each, _ in spread(lambda x: (x, None), [np.ones(3)])]
    assert len([*place.iterdir()]) == 1
    with joblib.parallel_config(n_jobs=2):
        told = [each for _, each in spread(_sum, [kept, kept])]
    assert told == [3.0, 3.0]
    assert len([*place.iterdir()]) == 1
    del kept
    assert not [*place.iterdir()]


def _sum(x):
    return None, float(x.sum())
