"""Every method has its settings, and what is chosen is chosen without the signal that judges."""

import json
from dataclasses import asdict

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cdlnmf_lit.experiments.scan import (
    COMPONENTS,
    FEW,
    OTHER_FRAMES,
    SEEDS,
    SETTINGS,
    Row,
    at_its_choice,
    by_objective,
    chosen,
    everywhere,
    method_of,
    plan,
    progress,
    rows_of,
)
from cdlnmf_lit.methods import METHODS


def row(seed, si_sdr, *, setting="", K=4, start=None, objective=1.0, method="NMF", signal="piano"):
    start = seed if start is None else start
    return Row(signal, method, setting, K, seed, start, 4.0, si_sdr, objective, 0.0, 1.0, 9)


def test_every_method_that_the_paper_compares_is_scanned():
    names = {"CDL", "Algorithm 1", "semi-NMF", "IS-NMF", "KL-NMF", "LRTFS", "complex NMF"}
    for signal, methods in SETTINGS.items():
        assert names | {"convolutive NMF"} == set(methods), signal
        assert COMPONENTS[signal]
        for settings in methods.values():
            assert settings
            assert all(method.name in METHODS for method in settings.values())


@given(qualities=st.lists(st.lists(st.floats(-30, 30), min_size=4, max_size=4), min_size=2))
def test_the_choice_for_a_signal_does_not_look_at_it(qualities):
    """Whatever the judging signal's own rows say, the others choose."""
    rows = [row(seed, dB, K=K) for K, each in enumerate(qualities) for seed, dB in enumerate(each)]
    for judge in range(4):
        other = [each if each.seed != judge else row(judge, 0.0, K=each.K) for each in rows]
        assert chosen(rows, "piano", without=judge) == chosen(other, "piano", without=judge)
        medians = [np.median([dB for n, dB in enumerate(each) if n != judge]) for each in qualities]
        assert chosen(rows, "piano", without=judge)["NMF"] == ("", int(np.argmax(medians)))


def test_further_starts_and_other_signals_do_not_choose():
    rows = [row(seed, float(K), K=K) for seed in SEEDS for K in (4, 8)]
    more = [row(0, 99.0, K=4, start=101), row(3, 99.0, K=4, signal="piano at hop 256")]
    assert chosen(rows + more, "piano") == {"NMF": ("", 8)}


def test_a_setting_that_was_hardly_run_is_not_chosen():
    rows = [row(seed, 1.0, K=4) for seed in range(6)] + [row(seed, 9.0, K=8) for seed in range(2)]
    assert chosen(rows, "piano") == {"NMF": ("", 4)}
    assert chosen([*rows, row(2, 9.0, K=8)], "piano") == {"NMF": ("", 8)}


def test_one_run_a_signal_judges():
    rows = [row(seed, 1.0, K=4) for seed in range(3)] + [row(seed, 2.0, K=8) for seed in range(3)]
    again = [row(1, 5.0, K=8, start=201, objective=0.5), row(2, 5.0, K=8, start=301, objective=2.0)]
    judged = at_its_choice(rows + again, "piano", "NMF")
    assert [(each.seed, each.K, each.start) for each in judged] == [
        (0, 8, 0),
        (1, 8, 201),
        (2, 8, 2),
    ]
    assert at_its_choice(rows, "chirps", "NMF") == []


@given(objectives=st.lists(st.floats(-10, 10), min_size=1, max_size=8, unique=True))
def test_of_several_starts_the_lowest_objective_counts(objectives):
    rows = [row(3, float(-o), start=n, objective=o) for n, o in enumerate(objectives)]
    (best,) = by_objective(rows)
    assert best.start == int(np.argmin(objectives))


def test_the_plan_asks_for_each_run_once_and_all_can_be_run():
    rows = [
        Row(*key, 1.0, float(key[3]), 1.0, 0.0, 1.0, 9)
        for signal in SETTINGS
        for key in everywhere(signal)
    ]
    parts = plan(rows)
    keys = [key for part in parts.values() for key in part]
    assert len(set(keys)) == len(keys)
    assert all(parts.values())
    assert all(method_of(key).name in METHODS for key in keys)
    assert {key[0] for key in parts["frames"]} == set(OTHER_FRAMES)
    for name, (method, frame) in OTHER_FRAMES.items():
        key = next(key for key in parts["frames"] if key[0] == name)
        assert key[1] == method
        assert method_of(key).frame == frame
    assert len(parts["starts"]) == (FEW - 1) * len(SEEDS) * sum(map(len, SETTINGS.values()))


def test_progress_counts_what_was_run():
    keys = list(everywhere("chirps"))
    rows = [Row(*key, 1.0, 1.0, 1.0, 0.0, 1.0, 9) for key in keys[:7]]
    assert progress(rows)["chirps"] == (7, len(keys))
    assert progress(rows)["pianos"][0] == 0


def test_rows_are_read_as_they_were_written(tmp_path):
    rows = [row(3, 1.5), row(4, 2.5, setting="λ/λmax 0.02")]
    lines = [json.dumps(asdict(each), ensure_ascii=False) for each in rows]
    (tmp_path / "scan.jsonl").write_text("\n".join(lines) + "\n", "utf8")
    assert rows_of(tmp_path / "scan.jsonl") == rows
