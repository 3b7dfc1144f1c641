"""Verdicts follow the rows, pages follow the verdicts."""

import json
import re
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdlnmf_lit.experiments.measured import FILES, Measured, measured
from cdlnmf_lit.experiments.scan import RANKED, Row
from cdlnmf_lit.experiments.verdicts import (
    CORRECTED,
    MARKED,
    SENTENCES,
    SYMBOLS,
    best_of,
    class_of,
    pages,
    rewritten,
    verdicts,
    write,
)

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "book" / "experiments" / "kept"
PAGES = pages(ROOT)


@pytest.fixture(scope="module")
def here():
    return measured(KEPT)


@pytest.fixture(scope="module")
def found(here):
    return verdicts(here)


def row(signal, method, seed, quality, *, found=None, K=4, setting="", start=None, rest=0.1):
    start = seed if start is None else start
    found = quality if found is None else found
    return Row(signal, method, setting, K, seed, start, found, quality, 1.0, rest, 1.0, 9)


@given(happened=st.lists(st.booleans(), max_size=20), besides=st.lists(st.booleans(), max_size=20))
def test_the_three_classes(happened, besides):
    word = class_of(happened, besides)
    if not happened:
        assert word == "not judged"
    elif 5 * sum(happened) >= 4 * len(happened):
        assert word == "typical"
    else:
        assert word == ("reached" if any(happened + besides) else "not reached")


def chosen_too(rows):
    """With the same on signals that choose, of which there may be no others."""
    seeds = ({"seed": each.seed + 10, "start": each.start + 10} for each in rows)
    return [*rows, *(replace(each, **those) for each, those in zip(rows, seeds, strict=True))]


def judged(name, rows):
    (judge,) = [each[-1] for each in SENTENCES if each[0] == name]
    return judge(Measured(rows))


@pytest.mark.parametrize(
    ("recorded", "pianos", "word"),
    [
        ([3, 3, 3, 3, 4], [1, 1], "typical"),
        ([3, 2, 2], [1, 1], "reached"),
        ([2, 2, 2], [1, 3], "reached"),
        ([2, 2, 2], [1, 1], "not reached"),
        ([], [3, 3, 3, 3, 1], "typical"),
        ([], [], "not judged"),
    ],
)
def test_a_figure_of_the_recording_is_judged_on_the_recording(recorded, pianos, word):
    rows = [row("recording", "CDL", 0, 0.0, found=n, start=i) for i, n in enumerate(recorded)]
    rows += chosen_too([row("piano", "CDL", i, 0.0, found=n) for i, n in enumerate(pianos)])
    number, got = judged("piano-cdl", rows)
    assert got == word
    assert f"{sum(n >= 3 for n in pianos)} of {len(pianos)} pianos" in number


def test_what_the_paper_ranks_is_ranked_by_signals():
    rows = [
        row("piano", name, seed, float(dB + 9 * (name == "CDL" and seed == 4)))
        for dB, name in enumerate(RANKED)
        for seed in range(5)
    ]
    assert best_of(Measured(chosen_too(rows)), "piano") == ["LRTFS"] * 4 + ["CDL"]
    assert judged("best-piano", chosen_too(rows))[1] == "typical"
    assert judged("best-piano", chosen_too(rows[:-5]))[1] == "not judged"  # without LRTFS


def test_a_rank_that_only_the_truth_could_pick_is_reached_and_no_more():
    """On ten signals CDL is best; on one of those that choose, at another K, LRTFS."""
    rows = [
        row("chirps", name, seed, float(20 * (name == "CDL")), K=2)
        for name in RANKED
        for seed in range(20)
    ]
    number, word = judged("best-chirps", rows)
    assert word == "not reached"
    assert "on 0 of 10 signals (CDL on 10); by the best of all runs on 0 of 20" in number
    number, word = judged("best-chirps", [*rows, row("chirps", "LRTFS", 13, 30.0, K=4)])
    assert word == "reached"
    assert "on 0 of 10 signals (CDL on 10); by the best of all runs on 1 of 20" in number


@pytest.mark.parametrize(("rest", "word"), [(0.15, "not reached"), (0.35, "typical")])
def test_less_overlap_is_compared_from_the_same_start(rest, word):
    usual = [row("piano", "Algorithm 1", seed, 0.0, rest=0.2) for seed in range(3)]
    coarse = [replace(each, signal="piano at hop 1024", relative_residual=rest) for each in usual]
    assert judged("piano-overlap", usual)[1] == "not judged"
    assert judged("piano-overlap", usual + coarse)[1] == word


def test_without_the_scan_its_sentences_are_not_judged(here):
    """The kept sweeps have one setting a method."""
    alone = verdicts(Measured((), here.kept))
    unknown = {name for name, each in alone.items() if each.word == "not judged"}
    assert {"chirps-nmf", "chirps-is", "chirps-lrtfs", "best-chirps", "piano-cdl"} <= unknown
    assert not {"chirps-small", "ours-notes", "ours-chirps", "chirps-cost"} & unknown


def test_two_methods_are_apart_only_if_no_pair_of_settings_is_alike():
    both = [("LRTFS", 30.0, 20.0), ("CDL", 40.0, 35.0)]
    rows = [
        row("chirps", name, seed, dB, K=K)
        for name, *each in both
        for K, dB in zip((2, 4), each, strict=True)
        for seed in range(5)
    ]
    found = judged("chirps-lrtfs", chosen_too(rows))
    assert found[1] == "reached"  # 30 and 35 dB, which nobody chose
    apart = [replace(each, found=each.found + 9) if each.method == "CDL" else each for each in rows]
    assert judged("chirps-lrtfs", chosen_too(apart))[1] == "not reached"


def test_each_sentence_has_a_name_a_place_and_a_page_that_is_there(found):
    targets = {
        target
        for page in (ROOT / "book").rglob("*.md")
        for target in re.findall(r"^\(([\w-]+)\)=$", page.read_text("utf8"), re.MULTILINE)
    }
    assert len(found) == len(SENTENCES)
    for each in found.values():
        assert each.word in SYMBOLS
        assert each.says
        assert each.where
        assert set(re.findall(r"\.md#([\w-]+)\)", each.page)) <= targets, each.page
        assert re.search(r"\d", each.number) or each.word == "not judged", each


def test_each_sentence_of_the_paper_is_a_whole_one_of_which_a_part_is_judged(found):
    for each in found.values():
        if each.where != "this book":
            assert re.match(r"(\*\*)?[A-Z]", each.says), each.says
            assert each.says.rstrip("*").endswith(".")
            assert each.says.count("**") in (2, 4, 6)
            assert re.search(r"p\. \d{4}$", each.where)


def test_sentences_of_several_statements_are_counted_once(found):
    papers = [each for each in found.values() if each.where != "this book"]
    assert (len(papers), len({each.sentence for each in papers})) == (18, 13)
    assert not any("[piano]" in each.sentence for each in papers)
    assert "[22], [23]" in found["chirps-convolutive"].sentence


def test_what_is_reached_shows_a_hit(found):
    reached = [each for each in found.values() if each.word == "reached"]
    assert reached
    for each in reached:
        assert re.search(r"\b[1-9]\d* of \d", each.shown), each


def test_what_is_corrected_is_named_by_its_sentence(found):
    assert CORRECTED.keys() <= found.keys()
    assert {name for name, each in found.items() if each.corrected} == CORRECTED.keys()


def test_pages_say_what_is_computed(found):
    for page in PAGES:
        text = page.read_text("utf8")
        assert rewritten(text, found) == text, f"{page.name} is stale: run `make verdicts`"


def test_the_pages_that_judge_take_their_words_from_here():
    marked = {page.relative_to(ROOT).as_posix() for page in PAGES}
    assert marked >= {
        "README.md",
        "book/intro.md",
        "book/reference/paper_notes.md",
        *(
            f"book/experiments/{name}.md"
            for name in ("chirps", "initialisation", "overlap", "piano")
        ),
        *(f"book/methods/{name}.md" for name in ("lrtfs", "nmf")),
    }


def test_each_name_on_a_page_is_a_verdict_and_most_are_on_one(found):
    named = {m["name"] for page in PAGES for m in MARKED.finditer(page.read_text("utf8"))}
    assert named <= found.keys()
    assert {each for each in found if not each.startswith("ours")} - named <= {"lost-phase"}


def test_no_line_begins_with_a_mark():
    """Markdown would take it for HTML to its end."""
    for page in PAGES:
        assert not re.search(r"^\s*<!-- verdict", page.read_text("utf8"), re.MULTILINE), page


def test_one_number_changes_every_page(tmp_path, found):
    """In a copy of the rows LRTFS fails on the piano: all that repeat a verdict on it follow."""
    for page in PAGES:
        (tmp_path / page.relative_to(ROOT)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(page, tmp_path / page.relative_to(ROOT))
    kept = tmp_path / "book" / "experiments" / "kept"
    kept.mkdir(parents=True)
    for file in FILES:
        shutil.copy(KEPT / f"{file}.json", kept)
    rows = measured(KEPT).scan
    worse = [replace(each, si_sdr=-30.0) if each.method == "LRTFS" else each for each in rows]
    lines = [json.dumps(asdict(each)) for each in worse]
    (kept / "scan.jsonl").write_text("\n".join(lines), "utf8")

    changed = verdicts(measured(kept))
    assert changed["best-piano"] != found["best-piano"]
    asking = [
        page
        for page in PAGES
        if "best-piano" in {m["name"] for m in MARKED.finditer(page.read_text("utf8"))}
    ]
    assert len(asking) >= 3
    written = write(tmp_path)
    for page in asking:
        copy = tmp_path / page.relative_to(ROOT)
        assert copy in written
        assert changed["best-piano"].told in copy.read_text("utf8")
    assert write(tmp_path) == []


def test_a_page_that_asks_for_what_is_not_there_is_refused(found):
    with pytest.raises(KeyError, match="never"):
        rewritten("<!-- verdict never -->x<!-- end -->", found)
