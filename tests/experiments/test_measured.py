"""The rows of the scan and of the pages are read as they are, and judged together."""

import json

import pytest

from cdlnmf_lit.experiments.measured import FILES, Measured, measured
from cdlnmf_lit.experiments.scan import Row


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


def test_runs_of_a_signal_are_found_and_those_that_judge_it():
    rows = [scanned(seed, dB, K) for K, dB in ((2, 1.0), (4, 9.0)) for seed in (0, 1, 10)]
    m = Measured(rows)
    assert m.all_of("chirps", "LRTFS") == rows
    assert m.all_of("piano", "LRTFS") == m.judged("piano", "LRTFS") == []
    assert [(row.seed, row.K) for row in m.judged("chirps", "LRTFS")] == [(0, 4), (1, 4)]


def test_a_folder_is_read_seed_by_seed(tmp_path):
    for file in FILES:
        rows = [{"row": name, "result": outcome(n)} for n, name in enumerate(["CDL", "KL-NMF"])]
        (tmp_path / f"{file}.json").write_text(json.dumps({"results": rows}), "utf8")
    with pytest.raises(FileNotFoundError, match="scan"):
        measured(tmp_path)
    (tmp_path / "scan.jsonl").write_text("", "utf8")
    assert measured(tmp_path).sweep("piano", "KL-NMF", "min_si_sdr") == [1]
