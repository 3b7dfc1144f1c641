"""Kept numbers are those of the sweep: of this code, of these points, and as computed again."""

import json
import math
import re
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import joblib
import numpy as np
import pytest

from cdlnmf_lit.experiments import kept as module
from cdlnmf_lit.experiments.fingerprints import source_digest
from cdlnmf_lit.experiments.kept import TOLERANCES, drawn, kept
from cdlnmf_lit.experiments.signals import Mixture
from cdlnmf_lit.experiments.sweeps import sweep
from cdlnmf_lit.experiments.trials import peak_of_trial, trial
from cdlnmf_lit.methods.nmf import NMF
from cdlnmf_lit.theory.gabor import hann
from tests.experiments.test_sweeps import copy_of_the_package

BOOK = Path(__file__).parents[2] / "book"
T = np.arange(4000) / 8000
STEMS = np.stack([np.sin(2 * np.pi * f * T) for f in (440, 990)])
MIXTURE = Mixture(STEMS, 8000, ("low", "high"))
METHOD = NMF(frame=hann(256, 128), iterations=3)


def points(method=METHOD, mixture=MIXTURE, seeds=range(10)):
    return [
        {"method": method, "mixture": mixture, "n_components": 2, "seed": seed} for seed in seeds
    ]


@pytest.fixture
def page(tmp_path, monkeypatch):
    """A folder of kept numbers, and what the functions were called with."""
    monkeypatch.setenv("CDLNMF_SWEEPS", str(tmp_path / "sweeps"))
    monkeypatch.delenv("CDLNMF_KEPT", raising=False)
    monkeypatch.setattr(module, "drawn", lambda: 7)
    monkeypatch.setattr(joblib, "cpu_count", lambda: 1)
    (tmp_path / "kept").mkdir()
    return tmp_path / "kept" / "page.json"


@pytest.fixture
def swept(monkeypatch):
    seeds = []

    def counted(function, points):
        points = list(points)
        seeds.append([point["seed"] for point in points])
        return sweep(function, points)

    monkeypatch.setattr(module, "sweep", counted)
    return seeds


def renew(monkeypatch, *arguments):
    with monkeypatch.context() as patch:
        patch.setenv("CDLNMF_KEPT", "renew")
        return kept(*arguments)


def test_what_is_kept_is_what_the_sweep_finds(page, monkeypatch, capsys):
    asked = {"three": points(), ("four", 4): points(replace(METHOD, iterations=4))}
    made = renew(monkeypatch, page, trial, asked)
    found = kept(page, trial, asked)
    assert repr(found) == repr(made)
    assert found.keys() == asked.keys()
    for label, each in asked.items():
        for one, other in zip(found[label], sweep(trial, each), strict=True):
            assert type(one) is type(other)
            assert one.scores.names == other.scores.names
            np.testing.assert_allclose(one.scores.si_sdr, other.scores.si_sdr, rtol=1e-4)
            np.testing.assert_allclose(one.objective, other.objective, rtol=1e-4)
            assert math.isnan(one.scores.onset_f[0])
    assert "page.json: 20 results kept, 2 of them computed again" in capsys.readouterr().out


def test_a_plain_number_is_kept_too(page, monkeypatch):
    (found,) = renew(monkeypatch, page, peak_of_trial, {"memory": points(seeds=[0])})["memory"]
    assert isinstance(found, int)
    assert kept(page, peak_of_trial, {"memory": points(seeds=[0])}) == {"memory": [found]}


def test_one_seed_in_ten_is_computed_again_and_all_if_asked(page, swept, monkeypatch):
    asked = {"row": points(seeds=range(25))}
    renew(monkeypatch, page, trial, asked)
    swept.clear()
    kept(page, trial, asked)
    assert swept == [[], [7, 17]]
    swept.clear()
    monkeypatch.setenv("CDLNMF_KEPT", "check")
    kept(page, trial, asked)
    assert swept == [[], list(range(25))]


def test_in_a_browser_a_file_is_read_and_nothing_is_computed(page, swept, monkeypatch):
    rows = {"KL-NMF": points()}
    monkeypatch.setenv("CDLNMF_KEPT", "renew")
    made = kept(page, trial, rows)
    monkeypatch.delenv("CDLNMF_KEPT")
    monkeypatch.setattr(module, "BROWSER", True)
    monkeypatch.setattr(module, "source_digest", lambda modules: pytest.fail("code is compared"))
    swept.clear()
    found = kept(page, trial, rows)
    assert [o.scores.si_sdr for o in found["KL-NMF"]] == [o.scores.si_sdr for o in made["KL-NMF"]]
    assert not any(swept)
    with pytest.raises(ValueError, match="10 of 10 are missing"):
        kept(page, trial, {"KL-NMF": points(replace(METHOD, iterations=4))})


def test_each_tree_draws_a_seed_and_so_does_a_copy_without_history(tmp_path, monkeypatch):
    def drawn_here():
        drawn.cache_clear()
        return drawn()

    monkeypatch.chdir(tmp_path)
    assert drawn_here() == int(module.LIBRARY, 16) % 10
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c"]
    seen = []
    subprocess.run([*git, "init", "-q"], check=True)
    for text in "abc":
        Path("file").write_text(text)
        subprocess.run([*git, "add", "file"], check=True)
        subprocess.run([*git, "commit", "-qm", text], check=True)
        seen.append(drawn_here())
    assert len(set(seen)) > 1  # of these three trees
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "same tree"], check=True)
    assert drawn_here() == seen[-1]
    drawn.cache_clear()


@pytest.mark.parametrize(
    ("column", "change"),
    [("si_sdr", 0.6), ("objective", 1e9), ("iterations", 2), ("owners", 1), ("names", "x")],
)
def test_a_number_that_comes_out_otherwise_is_refused(page, monkeypatch, column, change):
    asked = {"row": points()}
    renew(monkeypatch, page, trial, asked)
    text = json.loads(page.read_text())
    for n, seen in ((6, False), (7, True)):
        result = text["results"][n]["result"]
        home = result if column in result else result["scores"]
        several = isinstance(home[column], list)
        home[column] = [v + change for v in home[column]] if several else home[column] + change
        page.write_text(json.dumps(text))
        if seen:
            with pytest.raises(ValueError, match=f"page.json, row, seed 7: {column} must be"):
                kept(page, trial, asked)
        else:
            kept(page, trial, asked)


def test_what_is_within_its_tolerance_passes(page, monkeypatch):
    asked = {"row": points()}
    renew(monkeypatch, page, trial, asked)
    text = json.loads(page.read_text())
    result = text["results"][7]["result"]
    result["seconds"] += 1000
    result["objective"] *= 1 + 0.9 * TOLERANCES["objective"][1]
    result["scores"]["mean_si_sdr"] += 0.9 * TOLERANCES["mean_si_sdr"][0]
    page.write_text(json.dumps(text))
    kept(page, trial, asked)


@dataclass(frozen=True)
class Numbers:
    undefined: float
    word: str | None
    pair: tuple[float, ...]


def numbers(seed: int) -> Numbers:
    return Numbers(math.nan, None, (1.0, 2 / 3))


def test_any_dataclass_of_numbers_can_be_kept(page, monkeypatch):
    (found,) = renew(monkeypatch, page, numbers, {"n": [{"seed": 7}]})["n"]
    assert math.isnan(found.undefined)
    assert (found.word, found.pair) == (None, (1.0, 0.66667))


# ---- stale ---------------------------------------------------------------------------------------


def test_missing_and_stale_results_fail_until_they_are_made_anew(page, swept, monkeypatch):
    with pytest.raises(ValueError, match=r"10 of 10 are missing or stale: `make sweeps`"):
        kept(page, trial, {"row": points()})
    renew(monkeypatch, page, trial, {"row": points()})
    longer = {"row": points(seeds=range(12))}
    with pytest.raises(ValueError, match="2 of 12 are missing"):
        kept(page, trial, longer)
    swept.clear()
    renew(monkeypatch, page, trial, longer)
    assert swept[0] == [10, 11]  # what is there stays
    for other in (
        {"row": points(replace(METHOD, iterations=5))},
        {"row": points(mixture=Mixture(STEMS * 1.01, 8000, ("low", "high")))},
        {"another": points()},
    ):
        with pytest.raises(ValueError, match="10 of 10 are missing"):
            kept(page, trial, other)
    monkeypatch.setattr(module, "source_digest", lambda modules: "changed")
    with pytest.raises(ValueError, match="10 of 10 are missing"):
        kept(page, trial, {"row": points()})


def test_the_last_digits_of_a_sound_make_nothing_stale(page, monkeypatch):
    renew(monkeypatch, page, trial, {"row": points()})
    elsewhere = Mixture(STEMS * (1 + 1e-15), 8000, ("low", "high"))
    kept(page, trial, {"row": points(mixture=elsewhere)})


def test_a_file_holds_what_its_page_asks_for_in_that_order(page, monkeypatch):
    one, two = {"b": points(), "a": points(seeds=[0])}, {"a": points(seeds=[0])}
    renew(monkeypatch, page, trial, one)
    before = page.read_bytes()
    renew(monkeypatch, page, trial, one)
    assert page.read_bytes() == before
    assert [row["row"] for row in json.loads(before)["results"]] == ["b"] * 10 + ["a"]
    renew(monkeypatch, page, trial, two)
    assert [row["row"] for row in json.loads(page.read_text())["results"]] == ["a"]
    assert not list(page.parent.glob("*.part"))


def test_a_page_without_a_folder_computes_all(tmp_path, swept, monkeypatch, capsys):
    monkeypatch.setenv("CDLNMF_SWEEPS", str(tmp_path / "sweeps"))
    found = kept(tmp_path / "kept" / "page.json", trial, {"row": points()})
    assert swept == [list(range(10))]
    assert repr(found["row"]) == repr(sweep(trial, points()))
    assert capsys.readouterr().out == "page.json: 10 results, computed now\n"
    assert not (tmp_path / "kept").exists()
    renew(monkeypatch, tmp_path / "kept" / "page.json", trial, {"row": points()})
    assert (tmp_path / "kept" / "page.json").exists()


def test_an_unknown_wish_is_refused(page, monkeypatch):
    monkeypatch.setenv("CDLNMF_KEPT", "1")
    with pytest.raises(ValueError, match="CDLNMF_KEPT must be one of , check, renew, got '1'"):
        kept(page, trial, {})


# ---- what a result counts by, and the book's own -------------------------------------------------


def test_a_source_counts_by_what_it_reaches_and_not_by_prose(tmp_path):
    root = copy_of_the_package(tmp_path).parent
    modules = ["cdlnmf_lit.experiments.trials", "cdlnmf_lit.methods.nmf"]
    before = source_digest(modules, root)
    assert before == source_digest(modules)

    def after(name, change):
        path = root / "cdlnmf_lit" / name
        text = path.read_text("utf8")
        path.write_text(change(text), "utf8")
        found = source_digest(modules, root)
        path.write_text(text, "utf8")
        return found

    for name in ("methods/nmf.py", "theory/gabor.py", "experiments/evaluation/ratios.py"):
        assert after(name, lambda text: text + "\nMORE = 1\n") != before
        assert after(name, lambda text: "# a comment\n" + text) == before
        assert after(name, lambda text: text.replace("Examples\n", "Instances\n")) == before
    for name in ("methods/lrtfs.py", "methods/complex_nmf.py", "experiments/sweeps.py"):
        assert after(name, lambda text: text + "\nMORE = 1\n") == before


KEPT = sorted(BOOK.rglob("kept/*.json"))


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.name)
def test_the_books_numbers_are_of_the_code_as_it_is(path):
    for digest, modules in json.loads(path.read_text("utf8"))["sources"].items():
        assert source_digest(modules.split()) == digest, f"{path.name} is stale: run `make sweeps`"


def test_each_file_is_a_pages_and_all_are_small():
    asked = {
        page.parent / name
        for page in BOOK.rglob("*.md")
        for name in re.findall(r'"(kept/\w+\.json)"', page.read_text("utf8"))
    }
    assert asked == set(KEPT), "run `make sweeps`, and remove what no page asks for"
    assert sum(path.stat().st_size for path in KEPT) < 1_000_000
