"""A run that is stopped anywhere and goes on from its checkpoint ends with the same bytes."""

import threading
from dataclasses import fields, replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdlnmf_lit import CDL, METHODS, NMF
from cdlnmf_lit.methods import checkpoints
from cdlnmf_lit.methods.checkpoints import identity, load, save, saving
from cdlnmf_lit.methods.watchers import all_of, reporting, until
from cdlnmf_lit.theory.gabor import hann
from tests.methods.test_method import a_sound, small
from tests.strategies import seeds

T = 900
KINDS = {
    "algorithm-1": {
        "step_rule": ["unit", "backtracking", "accelerated"],
        "activation_update": ["multiplicative", "coordinate"],
        "recentre_every": [0, 2],
        "share": [0.0, 0.1],
    },
    "algorithm-1-complex": {"phases": ["common", "free"]},
    "algorithm-1-delays": {
        "step_rule": ["unit", "backtracking", "accelerated"],
        "recentre_every": [0, 2],
        "share": [0.0, 0.1],
        "hop": [16],
    },
    "cdl": {"solver": ["greedy", "fista", "admm"], "recentre_every": [0, 2]},
    "hits": {"taps": [1, 7]},
    "complex-isnmf": {"concentration": [0.0, 1.0]},
    "complex-nmf": {"phases": ["mixture", "random"]},
    "convolutive-nmf": {"divergence": ["euclidean", "kullback-leibler"], "penalty": [0.0, 0.1]},
    "lrtfs": {"estimation": ["marginal", "joint"]},
    "nmf": {
        "divergence": ["euclidean", "kullback-leibler", "itakura-saito"],
        "acceleration": ["none", "extrapolation"],
    },
    "semi-nmf": {"activation_update": ["multiplicative", "coordinate"], "share": [0.0, 0.1]},
}
"""Of each method, the options that change what an iterate has to remember."""


class Killed(BaseException):
    """Ends a run as a kill does: nothing of it is left but its file."""


def killed_after(states):
    """A watcher that kills the run at so many states."""

    def report(method, state):
        nonlocal states
        states -= 1
        if states < 0:
            raise Killed

    return reporting(report)


def counted(run):
    """How many states a run hands to its watchers, and what it finds."""
    seen = []
    found = run(watch=reporting(lambda method, state: seen.append(state.iteration)))
    return len(seen), found


def assert_same(found, wanted):
    assert (found.status, found.parameters) == (wanted.status, wanted.parameters)
    for each in fields(found):
        one, other = getattr(found, each.name), getattr(wanted, each.name)
        if isinstance(one, np.ndarray):
            assert (one.dtype, one.tobytes()) == (other.dtype, other.tobytes()), each.name
    assert found.history.keys() == wanted.history.keys()
    for name, values in found.history.items():
        assert values.tobytes() == wanted.history[name].tobytes(), name


def killed_and_gone_on(method, x, path, *kills, **options):
    """What is found by a run that is killed so often; it goes on each time from its file."""
    for kill in (*kills, None):
        kept = load(path, {}) if path.exists() else {}
        watch = saving(path, 0, kept, {})
        if kill is None:
            return method.decompose(x, 2, kept=kept, watch=watch, **options)
        with pytest.raises(Killed):
            method.decompose(x, 2, kept=kept, watch=all_of(killed_after(kill), watch), **options)
    return None


EVERY_KIND = [
    (name, dict(zip(options, values, strict=True)))
    for name, options in KINDS.items()
    for values in product(*options.values())
]


def test_every_method_is_tried():
    assert KINDS.keys() == METHODS.keys()


@pytest.mark.parametrize(("name", "options"), EVERY_KIND, ids=str)
def test_every_method_goes_on_to_the_bit(name, options, tmp_path):
    x, method = a_sound(n_samples=T), small(name, iterations=7, **options)
    wanted = method.decompose(x, 2)
    for kill in (0, 1, 4):
        path = tmp_path / f"{kill}.npz"
        assert_same(killed_and_gone_on(method, x, path, kill, 2), wanted)


def paused_and_gone_on(method, x, states, **options):
    """What is found by a run that is interrupted so often, and goes on from what is in memory."""
    kept = {}
    while True:
        try:
            return method.decompose(x, 2, kept=kept, watch=killed_after(states), **options)
        except Killed:
            continue


@pytest.mark.parametrize(("name", "options"), EVERY_KIND, ids=str)
def test_every_method_goes_on_in_memory_to_the_bit(name, options):
    x, method = a_sound(n_samples=T), small(name, iterations=5, **options)
    assert_same(paused_and_gone_on(method, x, 0), method.decompose(x, 2))


@pytest.mark.parametrize("states", [0, 2])
@pytest.mark.parametrize("halve_every", [0, 1])
@pytest.mark.parametrize("name", ["cdl", "complex-nmf"])  # whose starts share a problem, or not
def test_a_chain_with_several_starts_goes_on_in_memory_to_the_bit(name, halve_every, states):
    several = small(name, iterations=4, starts=3, halve_every=halve_every)
    chain = small("nmf", iterations=3) >> several >> small("cdl", iterations=2)
    x = a_sound(n_samples=T)
    assert_same(paused_and_gone_on(chain, x, states, rng=1), chain.decompose(x, 2, rng=1))


@given(
    st.sampled_from(EVERY_KIND),
    st.sampled_from(["nmf", "cdl", "complex-nmf"]),
    st.sampled_from([None, "float32"]),
    st.integers(1, 4),
    st.integers(0, 3),
    seeds,
)
@pytest.mark.long
def test_every_chain_goes_on_from_any_stage_and_start(
    tmp_path_factory, kind, before, precision, starts, halve_every, seed
):
    name, options = kind
    chain = (
        small(before, iterations=3)
        >> small(name, iterations=5, starts=starts, halve_every=halve_every, **options)
        >> small("cdl", iterations=2, precision=precision)
    )
    x, rng = a_sound(n_samples=T), np.random.default_rng(seed)
    states, wanted = counted(lambda **asked: chain.decompose(x, 2, rng=seed, **asked))
    path = tmp_path_factory.mktemp("killed") / "reached.npz"
    kills = rng.integers(0, max(1, states // 3), size=2).tolist()
    assert_same(killed_and_gone_on(chain, x, path, *kills, rng=seed), wanted)


@pytest.mark.parametrize("held", ["patterns", "activations"])
@pytest.mark.parametrize("solver", ["greedy", "fista", "admm"])
def test_a_held_factor_stays_and_the_other_goes_on(held, solver, tmp_path):
    x, method = a_sound(n_samples=T), small("cdl", iterations=25, solver=solver)
    rng = np.random.default_rng(0)
    start = tuple(rng.random(shape) for shape in method.shapes(T, 2).values())
    wanted = method.decompose(x, 2, start=start, held=held)
    path = tmp_path / "reached.npz"
    assert_same(killed_and_gone_on(method, x, path, 3, 9, start=start, held=held), wanted)


def test_what_is_done_is_not_done_again(tmp_path):
    chain = small("nmf", iterations=4) >> small("cdl", iterations=4, starts=4, halve_every=1)
    x, path, kept, seen = a_sound(n_samples=T), tmp_path / "reached.npz", {}, []
    states, _ = counted(lambda **asked: chain.decompose(x, 2, **asked))
    watch = all_of(killed_after(states - 3), saving(path, 0, kept, {}))
    with pytest.raises(Killed):
        chain.decompose(x, 2, kept=kept, watch=watch)
    report = reporting(lambda method, state: seen.append((method.name, state.iteration)))
    chain.decompose(x, 2, kept=load(path, {}), watch=report)
    assert len(seen) <= 5  # four that were not reached, and the round's last, which was not kept
    assert {name for name, _ in seen} == {"cdl"}


def test_a_run_that_is_asked_to_end_leaves_the_way_it_was_on(tmp_path):
    chain = small("nmf", iterations=6) >> small("cdl", iterations=3)
    x, path, kept, stop = a_sound(n_samples=T), tmp_path / "reached.npz", {}, threading.Event()

    def report(method, state):
        if state.iteration == 2:
            stop.set()

    watch = all_of(reporting(report), until(stop), saving(path, 1e9, kept, {}, stop))
    assert chain.decompose(x, 2, kept=kept, watch=watch).is_stopped
    found = chain.decompose(x, 2, kept=load(path, {}))
    assert_same(found, chain.decompose(x, 2))


def test_runs_that_are_given_up_keep_their_objectives_alone(tmp_path):
    method, kept = CDL(atom_length=50, iterations=6, starts=4, halve_every=2), {}
    method.decompose(a_sound(n_samples=T), 2, kept=kept)
    assert len(kept) == 4
    assert sum(run.state is not None for run in kept.values()) == 1
    save(tmp_path / "reached.npz", kept, {})
    assert load(tmp_path / "reached.npz", {}).keys() == kept.keys()


def test_a_run_is_its_sound_its_method_its_components_and_what_else_is_told():
    x, method = a_sound(n_samples=T), NMF(iterations=3)
    one = identity(x, method, 2, seed=1)
    assert one == identity(x.copy(), NMF(iterations=3), 2, seed=1)
    others = {
        "sound": identity(-x, method, 2, seed=1),
        "method": identity(x, replace(method, iterations=4), 2, seed=1),
        "K": identity(x, method, 3, seed=1),
        "seed": identity(x, method, 2, seed=2),
    }
    for name, other in others.items():
        assert [each for each in one if one[each] != other[each]] == [name]
    assert identity(x.astype(np.float32), method, 2, seed=1) != one


def test_a_checkpoint_of_another_run_or_a_damaged_one_is_refused(tmp_path):
    path, frame = tmp_path / "reached.npz", hann(128, 32)
    save(path, {}, {"seed": 1, "K": 2})
    assert load(path, {"seed": 1, "K": 2}) == {}
    with pytest.raises(ValueError, match="it is of a run with another seed, another K"):
        load(path, {"seed": 2, "K": 3})
    NMF(frame=frame, iterations=1).decompose(a_sound(n_samples=T), 1).save(path)
    for content in (path.read_bytes(), b"", b"PK", b"damaged"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="it is damaged"):
            load(path, {})
    with pytest.raises(OSError, match="No such file"):
        load(tmp_path / "none.npz", {})


def test_a_checkpoint_that_cannot_be_written_does_not_end_the_run(tmp_path, monkeypatch):
    method, x, kept = small("nmf"), a_sound(n_samples=T), {}
    (tmp_path / "file").write_text("no folder")
    watch = saving(tmp_path / "file" / "reached.npz", 0, kept, {})
    assert_same(method.decompose(x, 2, kept=kept, watch=watch), method.decompose(x, 2))


def test_what_is_reached_is_saved_when_its_time_has_come(tmp_path, monkeypatch):
    clock = iter([0.0, 5.0, 10.0, 10.0, 15.0, 19.0, 20.0, 20.0])
    monkeypatch.setattr(checkpoints.time, "monotonic", lambda: next(clock))
    saved, kept = [], {}
    monkeypatch.setattr(
        checkpoints, "save", lambda path, kept, about: saved.append(len(kept[0,].records) - 1)
    )
    small("nmf", iterations=5).decompose(
        a_sound(n_samples=T), 2, kept=kept, watch=saving(tmp_path / "reached.npz", 10, kept, {})
    )
    assert saved == [1, 4]
