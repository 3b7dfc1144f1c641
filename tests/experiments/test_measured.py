"""The rows of the scan and of the pages are read as they are, and judged together."""

import json

import pytest

from cdlnmf_lit.experiments.measured import FILES, PAGES, Measured, measured
from cdlnmf_lit.experiments.scan import SEEDS, Row


def outcome(dB, seconds=1.0):
    scores = {"min_si_sdr": dB, "mean_si_sdr": dB + 1, "relative_residual": 0.1}
    return {"scores": scores, "objective": -dB, "iterations": 7, "seconds": seconds}


def scanned(seed, dB, K=4):
    return Row("chirps", "LRTFS", "", K, seed, seed, dB, dB, 1.0, 0.1, 1.0, 9)


def test_a_column_is_of_the_outcome_or_of_its_scores():
    m = Measured((), {"chirps": {"CDL": [outcome(3.0, 0.5), outcome(4.0, 0.6)]}})
    assert m.sweep("chirps", "CDL", "min_si_sdr") == [3.0, 4.0]
    assert m.sweep("chirps", "CDL", "seconds") == [0.5, 0.6]
    assert m.sweep("chirps", "KL-NMF", "seconds") == m.sweep("piano", "CDL", "seconds") == []


def test_the_page_is_one_setting_of_the_choice():
    page = {"chirps": {"LRTFS": [outcome(5.0) for _ in SEEDS]}}
    for dB, K in ((9.0, 4), (1.0, 2)):
        m = Measured([scanned(seed, dB) for seed in SEEDS], page)
        assert [row.K for row in m.judged("chirps", "LRTFS")] == [K] * len(SEEDS)
    (row, *_) = Measured((), page).all_of("chirps", "LRTFS")
    assert (row.found, row.si_sdr, row.objective, row.iterations) == (5.0, 6.0, -5.0, 7)


@pytest.mark.parametrize(("signals", "enough"), [(4, False), (5, True)])
def test_two_settings_on_half_of_the_signals_are_a_scan(signals, enough):
    m = Measured([scanned(s, 1.0, K) for s in range(signals) for K in (2, 4)], {})
    assert m.scanned("LRTFS") == enough
    assert not Measured([scanned(seed, 1.0) for seed in SEEDS], {}).scanned("LRTFS")


def test_a_folder_is_read_seed_by_seed(tmp_path):
    for file in FILES:
        rows = [{"row": name, "result": outcome(n)} for n, name in enumerate(PAGES)]
        (tmp_path / f"{file}.json").write_text(json.dumps({"results": rows}), "utf8")
    with pytest.raises(FileNotFoundError, match="scan"):
        measured(tmp_path)
    (tmp_path / "scan.jsonl").write_text("", "utf8")
    assert measured(tmp_path).sweep("piano", "KL-NMF", "min_si_sdr") == [3]
