"""Every method has its settings, and what is chosen is chosen without the signal that judges."""

import json
from dataclasses import asdict

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cdlnmf_lit.experiments.scan import (
    CHOOSE,
    COMPONENTS,
    EACH,
    FEW,
    JUDGE,
    OTHER_FRAMES,
    PICTURED,
    SETTINGS,
    STARTS,
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
def test_signals_that_judge_do_not_choose(qualities):
    """Whatever their own rows say."""
    scores = {(K, n): dB for K, each in enumerate(qualities) for n, dB in enumerate(each)}
    rows = [row(CHOOSE[n], dB, K=K) for (K, n), dB in scores.items()]
    judging = [row(seed, 99.0 * (K == 0), K=K) for K in range(len(qualities)) for seed in JUDGE]
    best = ("", int(np.argmax(np.median(qualities, axis=1))))
    assert chosen(rows + judging, "piano") == chosen(rows, "piano") == {"NMF": best}
    judged = at_its_choice(rows + judging, "piano", "NMF")
    assert [(each.seed, each.K) for each in judged] == [(seed, best[1]) for seed in JUDGE]


def test_other_signals_and_methods_do_not_choose():
    rows = [row(seed, float(K), K=K) for seed in CHOOSE for K in (4, 8)]
    more = [row(13, 99.0, K=4, signal="piano at hop 256"), row(13, 99.0, K=4, method="CDL")]
    assert chosen(rows + more, "piano") == {"NMF": ("", 8), "CDL": ("", 4)}


def test_a_setting_that_was_hardly_run_is_not_chosen():
    rows = [row(seed, 1.0, K=4) for seed in CHOOSE[:6]]
    few = [row(seed, 9.0, K=8) for seed in CHOOSE[:3]]
    assert chosen(rows + few[:2], "piano") == {"NMF": ("", 4)}
    assert chosen(rows + few, "piano") == {"NMF": ("", 8)}


def test_one_run_a_signal_judges():
    rows = [row(seed, float(K), K=K) for seed in (0, 1, 2, 10, 11) for K in (4, 8)]
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
    assert len(parts["starts"]) == (EACH - 1) * len(JUDGE) * sum(map(len, SETTINGS.values()))
    assert len(parts["recording"]) == STARTS * len(PICTURED)
    assert len(parts["frames"]) == FEW * len(OTHER_FRAMES)
    assert not set(JUDGE).intersection(CHOOSE)


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
