"""The command line, run for real on short sounds."""

import errno
import json
import os
import re
import shutil
import subprocess
import sys
import warnings
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from numpy.testing import assert_allclose
from PIL import Image
from soundfile import read
from threadpoolctl import threadpool_info, threadpool_limits

from cdlnmf_lit.__main__ import main
from cdlnmf_lit.commands import decompose as command
from cdlnmf_lit.commands.speaking import error_in_words
from cdlnmf_lit.methods import METHODS, algorithm_1, resources
from cdlnmf_lit.methods.algorithm_1 import Algorithm1
from cdlnmf_lit.methods.decomposition import Decomposition
from cdlnmf_lit.methods.method import Method
from cdlnmf_lit.methods.nmf import NMF
from cdlnmf_lit.methods.options import option, positive
from cdlnmf_lit.methods.recipes import RECIPES
from cdlnmf_lit.methods.sparse_coding import lambda_max
from cdlnmf_lit.presentation import plotting
from cdlnmf_lit.recordings import writing
from cdlnmf_lit.theory.gabor import GaborFrame, hann

RATE = 8000
SMALL = [
    "--method",
    "algorithm-1",
    "--window-length",
    "256",
    "--hop",
    "32",
    "--iterations",
    "3",
    "-K",
    "2",
]


def sound(seconds=0.5):
    t = np.arange(int(seconds * RATE)) / RATE
    return 0.4 * np.sin(2 * np.pi * 440 * t) * (t < 0.3) + 0.2 * np.sin(2 * np.pi * 660 * t)


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    path = tmp_path_factory.mktemp("recording") / "sound.wav"
    writing.write(path, sound(), RATE)
    return path


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def decompose(recording, *options):
    return main(["decompose", str(recording), *SMALL, *map(str, options)])


# ---- what it writes --------------------------------------------------------------------------


def test_it_writes_each_component_the_residual_a_figure_and_the_result(recording, place, capsys):
    assert decompose(recording, "-o", "out/") == 0
    assert {entry.name for entry in (place / "out").iterdir()} == {
        "component_01.wav",
        "component_02.wav",
        "residual.wav",
        "atoms",
        "components.png",
        "decomposition.npz",
        "events.csv",
        "summary.json",
    }
    assert [entry.name for entry in place.iterdir()] == ["out"]
    printed, progress = capsys.readouterr()
    last = printed.splitlines()[-1]
    says = r"out: 2 components, residual \([\d.]+% of the energy\), figure, summary; "
    assert re.fullmatch(says + r"listen first to out/component_0\d\.wav, the loudest", last)
    assert "3/3" in progress
    assert "objective" in progress
    assert "relative residual" in progress


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            ["--method", "cdl", "--atom-length", "300"],
            r"within [\d.]+ % of any dictionary of .*long",
        ),
        (
            [*SMALL, "--share", "0.1"],
            r"within .* long; within .* dictionary on its grid of 32 samples",
        ),
    ],
)
def test_it_says_how_far_any_other_dictionary_could_go(recording, place, capsys, options, says):
    argv = ["decompose", str(recording), *options, "-K", "2", "--iterations", "9", "--quiet"]
    assert main(argv) == 0
    *_, certified, _ = capsys.readouterr().out.splitlines()
    assert re.fullmatch(says, certified)
    proof = Decomposition.load(place / "out" / "decomposition.npz").certificate()
    assert certified.startswith(f"{proof} of atoms as long")


@pytest.mark.parametrize("options", [SMALL, ["--method", "semi-nmf", "-K", "2", "--share", "0.1"]])
def test_it_does_not_say_so_where_nothing_is_bounded(recording, place, capsys, options):
    small = ["--window-length", "256", "--hop", "32", "--iterations", "3", "--quiet"]
    assert main(["decompose", str(recording), *options, *small]) == 0
    assert "any dictionary" not in capsys.readouterr().out


def test_the_sounds_sum_to_the_input_at_its_rate(recording, place):
    decompose(recording)
    parts = [soundfile.read(path) for path in (place / "out").glob("*.wav")]
    assert {rate for _, rate in parts} == {RATE}
    assert_allclose(sum(x for x, _ in parts), read(recording)[0], atol=1e-6)


def test_the_result_says_what_was_asked_and_can_be_read_back(recording, place):
    decompose(recording, "--seed", 7, "--penalty", 0.01, "--window", "kaiser:8.6")
    found = Decomposition.load(place / "out" / "decomposition.npz")
    assert (found.method, found.status) == ("algorithm-1", "ran all 3 iterations")
    assert found.sample_rate == RATE
    assert (found.parameters["seed"], found.parameters["penalty"]) == (7, 0.01)
    frame = GaborFrame(("kaiser", 8.6), 32, 256).tight()
    assert GaborFrame.from_parameters(found.parameters["frame"]) == frame
    assert json.loads(json.dumps(found.parameters)) == found.parameters
    for k in range(2):
        written, _ = soundfile.read(place / "out" / f"component_{k + 1:02}.wav")
        assert_allclose(written, found.component(k), atol=1e-7)


def test_the_result_is_that_of_the_library(recording, place):
    decompose(recording, "--seed", 3, "--step-rule", "accelerated", "--fft-length", 300)
    found = Decomposition.load(place / "out" / "decomposition.npz")
    frame = GaborFrame("hann", 32, 300, length=256).tight()
    x, _ = read(recording)
    asked = Algorithm1(frame=frame, iterations=3, step_rule="accelerated")
    wanted = asked.decompose(x, 2, rng=3)
    assert_allclose(found.atoms, wanted.atoms, rtol=1e-9, atol=1e-12)
    assert_allclose(found.activations, wanted.activations, rtol=1e-9, atol=1e-12)


def test_the_figure_is_a_picture(recording, place):
    decompose(recording)
    with Image.open(place / "out" / "components.png") as picture:
        assert picture.format == "PNG"
        assert picture.width > 1000


@pytest.mark.long
def test_the_same_seed_gives_the_same_bytes(recording, place):
    contents = []
    for seed, out in ((1, "a"), (1, "b"), (2, "c")):
        assert decompose(recording, "-o", out, "--seed", seed, "--quiet") == 0
        files = sorted(path for path in (place / out).rglob("*.*") if path.suffix != ".json")
        contents.append({path.name: path.read_bytes() for path in files})
    assert contents[0] == contents[1]
    assert contents[0]["decomposition.npz"] != contents[2]["decomposition.npz"]


@pytest.mark.parametrize("example", ["piano", "chirps"])
def test_the_examples_need_no_file(place, example, monkeypatch):
    from cdlnmf_lit.experiments import signals

    short = SimpleNamespace(signal=sound(), sample_rate=RATE)
    monkeypatch.setattr(signals, example, lambda: short)
    assert decompose(f"example:{example}", "--quiet") == 0
    assert soundfile.read(place / "out" / "residual.wav")[1] == RATE


@pytest.mark.parametrize("channel", ["0", "1", "mean"])
def test_a_channel_of_a_stereo_file_is_chosen(place, channel):
    stereo = np.stack([sound(), sound()[::-1]], 1)
    soundfile.write("stereo.wav", stereo, RATE, "FLOAT")
    assert decompose("stereo.wav", "--channel", channel, "--quiet") == 0
    wanted = stereo.mean(axis=1) if channel == "mean" else stereo[:, int(channel)]
    parts = [soundfile.read(path)[0] for path in (place / "out").glob("*.wav")]
    assert_allclose(sum(parts), wanted, atol=1e-6)


@pytest.mark.parametrize("suffix", [".flac", ".mp3", ".ogg"])
def test_it_reads_every_format(place, suffix):
    writing.write(f"sound{suffix}", sound(), RATE)
    assert decompose(f"sound{suffix}", "--quiet") == 0


def said_but_advice(capsys):
    lines = capsys.readouterr().err.splitlines(keepends=True)
    return "".join(line for line in lines if "advice: " not in line)


def test_quiet_shows_no_bar(recording, place, capsys):
    assert decompose(recording, "--quiet", "-K", 1) == 0
    assert said_but_advice(capsys) == ""


def test_a_warning_is_one_line(recording, place, capsys, monkeypatch):
    def warning(self, state, record=algorithm_1.Problem.record):
        if state.iteration == 1:
            warnings.simplefilter("always")
            warnings.warn("a thing\nto know", UserWarning, stacklevel=1)
        return record(self, state)

    monkeypatch.setattr(algorithm_1.Problem, "record", warning)
    assert decompose(recording, "--quiet", "-K", 1) == 0
    assert said_but_advice(capsys) == "cdlnmf-lit: warning: a thing to know\n"


# ---- what it can be asked --------------------------------------------------------------------


def test_the_version_is_printed(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out.startswith("cdlnmf-lit 0.")


def test_the_methods_are_listed(capsys):
    assert main(["methods"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]
    assert [line.split()[0] for line in lines] == [*RECIPES, *sorted(METHODS)]
    described = dict(line.split(maxsplit=1) for line in lines)
    assert described["nmf"] == "Spectra and activations of the spectrogram."
    assert "`" not in "".join(lines)


@pytest.mark.parametrize("argv", [["--list-methods"], ["decompose", "--list-methods"]])
def test_the_methods_are_listed_by_an_option_too(capsys, argv):
    main(["methods"])
    listed = capsys.readouterr().out
    with pytest.raises(SystemExit, match="0"):
        main(argv)
    assert capsys.readouterr().out == listed


@pytest.mark.parametrize("name", METHODS)
def test_help_lists_every_option_of_the_method(capsys, monkeypatch, name):
    monkeypatch.setenv("COLUMNS", "1000")
    assert main(["decompose", "--help", "--method", name]) == 0
    text = " ".join(capsys.readouterr().out.split())
    method = METHODS[name]()
    for each in fields(method):
        if each.name != "frame":
            assert f"--{each.name.replace('_', '-')} " in text
            default = getattr(method, each.name)
            assert f"(default: {'left out' if default is None else default})" in text
    assert "None" not in text
    names = {each.name for each in fields(method)}
    assert ("--hop VALUE" in text) == bool(names & {"frame", "hop"})
    assert "`" not in text


def test_help_tells_the_values_of_an_option_and_what_a_recipe_starts_from(capsys):
    assert main(["decompose", "-h", "--method", "algorithm-1"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    for words in (
        "--start random|segments|FILE.npz",
        "--step-rule unit|backtracking|accelerated",
        "--window-length VALUE samples (default: 2048)",
        "--seed",
    ):
        assert words in text
    assert main(["decompose", "-h", "--recipe", "chirps"]) == 0
    assert "(default: what nmf (hop 27562, window 55125," in " ".join(
        capsys.readouterr().out.split()
    )


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_what_an_encoding_lacks_is_shown_by_a_question_mark(encoding):
    argv = [sys.executable, "-m", "cdlnmf_lit", "decompose", "--method", "algorithm-1", "--help"]
    here = {"PYTHONPATH": str(Path(__file__).parents[1]), "PYTHONIOENCODING": encoding}
    ended = subprocess.run(argv, capture_output=True, env=os.environ | here)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert b"--penalty VALUE" in ended.stdout
    assert b"--penalty VALUE ?, " in b" ".join(ended.stdout.split())


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.long
def test_a_recipe_does_what_it_does_in_the_library(place, name):
    writing.write("long.wav", np.tile(sound(), 8), RATE)
    argv = ["--recipe", name, "-K", "2", "--iterations", "2"]
    assert main(["decompose", "long.wav", *argv]) == 0
    x, rate = read("long.wav")
    wanted = replace(RECIPES[name](rate), iterations=2).decompose(x, 2, rng=0)
    found = Decomposition.load("out/decomposition.npz")
    np.testing.assert_array_equal(found.components(), wanted.components())


@pytest.mark.long
def test_a_penalty_that_is_named_takes_the_place_of_the_recipes(place):
    writing.write("long.wav", np.tile(sound(), 8), RATE)
    argv = ["decompose", "long.wav", "--recipe", "chirps", "-K", "1", "--iterations", "1"]
    x, rate = read("long.wav")
    for options, penalty in (
        ([], 0.01 * lambda_max(np.float32(x), round(2.5 * rate))),
        (["--atom-length", "400", "--padding", "200"], 0.01 * lambda_max(np.float32(x), 400)),
        (["--penalty", "0.125"], 0.125),
    ):
        assert main([*argv, *options, "--force"]) == 0
        found = Decomposition.load("out/decomposition.npz")
        assert_allclose(found.parameters["penalty"], penalty, rtol=1e-6)


@pytest.mark.long
def test_what_is_not_asked_is_chosen_from_the_sound_and_said(place, capsys):
    """And it is what asking for it gives, to the bit."""
    burst = np.exp(-np.arange(160) / 40) * np.random.default_rng(0).standard_normal(160)
    x = 1e-3 * np.random.default_rng(1).standard_normal(4 * RATE)
    jitter = np.random.default_rng(2).integers(0, 700, 20)
    for begin in (300 + np.arange(20) * 1500 + jitter).tolist():
        x[begin : begin + 160] += burst
    writing.write("long.wav", x, RATE)
    few = ["--iterations", "1", "--starts", "1", "--quiet"]
    for options in ([], ["-K", "auto", "--recipe", "auto", "--force"]):
        assert main(["decompose", "long.wav", *few, *options]) == 0
        told = capsys.readouterr().out
        assert re.match(r"recipe clicks: .*\nnext to try: --recipe \w+\nK = 1 \(1 to \d+\)", told)
    out = place / "out"
    summary = json.loads((out / "summary.json").read_text("utf8"))
    assert set(summary["asked"]["chosen"]) == {"recipe", "n_components"}
    assert summary["asked"]["recipe"] == "clicks"
    assert main(["apply", "out/decomposition.npz", "long.wav", "-o", "again", "--quiet"]) == 0
    assert (place / "again" / "component_01.wav").exists()
    capsys.readouterr()
    argv = ["--recipe", "clicks", "-K", "1", *few, "-o", "named"]
    assert main(["decompose", "long.wav", *argv]) == 0
    assert "recipe clicks: " not in capsys.readouterr().out
    for name in ("component_01.wav", "residual.wav"):
        assert (place / "named" / name).read_bytes() == (out / name).read_bytes()
    named = json.loads((place / "named" / "summary.json").read_text("utf8"))
    assert named["asked"]["chosen"] == {}


def test_a_folder_that_was_chosen_for_is_done_only_where_it_is_asked_so_again(recording, place):
    few = ["--method", "nmf", "--iterations", "1", "--quiet"]
    (place / "folder").mkdir()
    shutil.copy(recording, place / "folder" / "a.wav")
    for options, again in (([], False), (["-K", "auto"], False), (["-K", "1"], True)):
        result = place / "out" / "a.wav" / "decomposition.npz"
        before = result.stat().st_mtime_ns if result.exists() else None
        assert main(["decompose", "folder", *few, *options]) == 0
        if before is not None:
            assert (result.stat().st_mtime_ns != before) == again


def test_what_is_wrong_is_said_before_the_start_takes_its_time(recording, place, capsys):
    argv = ["-K", "2", "--pattern-length", "20000"]
    assert main(["decompose", str(recording), *argv]) == 2
    told = capsys.readouterr().err
    assert "--pattern-length must be a whole number" in told
    assert "iterations/s" not in told


def test_a_sound_too_short_for_a_recipe_is_told_with_the_recipe(recording, place, capsys):
    assert main(["decompose", str(recording), "-K", "2"]) == 2
    told = capsys.readouterr().err
    assert "recipe notes, 0.5 s of sound: --pattern-length must be a whole number from 1" in told


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        (["--method", "nmf", "--divergence", "tape"], "--divergence must be one of euclidean"),
        (["--method", "nmf", "--atom-length", "9"], "--atom-length is no option of nmf"),
        (["--recipe", "soup"], "--recipe must be one of auto"),
        (["-K", "0"], "-K must be a whole number of at least 1"),
    ],
)
def test_what_no_sound_makes_right_is_said_once_before_any_is_read(
    folder, capsys, monkeypatch, options, rule
):
    monkeypatch.setattr(command, "heard", None)
    assert main(["decompose", str(folder), *options]) == 2
    told = capsys.readouterr()
    assert told.err.count("\n") == 1
    assert rule in told.err
    assert told.out == ""


def test_a_start_that_is_named_takes_the_place_of_the_recipes(recording, place, capsys):
    argv = ["-K", "2", "--iterations", "1", "--start", "random", "--pattern-length", "4"]
    assert main(["decompose", str(recording), *argv]) == 0
    assert "/17" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (
            ["--recipe", "soup"],
            "--recipe must be one of auto, notes, chirps, clicks, hits, got 'soup'",
        ),
        (["--recipe", "notes", "--method", "nmf"], "not allowed with argument"),
        (["--method", "magic"], "--method must be one of"),
    ],
)
def test_recipes_and_methods_that_are_none_are_refused(recording, place, capsys, argv, message):
    assert main(["decompose", str(recording), "-K", "2", *argv]) == 2
    assert message in capsys.readouterr().err
    assert not list(place.iterdir())


@pytest.mark.parametrize("method", METHODS)
def test_every_method_takes_a_sound_apart(recording, place, method):
    argv = ["decompose", str(recording), "--method", method, "-K", "2", "--quiet"]
    small = {
        "frame": ["--window-length", "256", "--hop", "64"],
        "atom_length": ["--atom-length", "300"],
        "pattern_length": ["--pattern-length", "4"],
    }
    for name, options in small.items():
        argv += options if name in {each.name for each in fields(METHODS[method])} else []
    assert main([*argv, "--iterations", "2"]) == 0
    parts = [soundfile.read(path)[0] for path in (place / "out").glob("*.wav")]
    assert_allclose(sum(parts), read(recording)[0], atol=1e-6)
    assert len(parts) == 3
    assert (place / "out" / "components.png").stat().st_size > 10_000

    continued = [*argv, "--iterations", "0", "--start", "out/decomposition.npz", "-o", "again"]
    assert main(continued) == 0
    assert Decomposition.load("again/decomposition.npz").method == method


def test_a_new_method_appears_without_being_told(recording, place, monkeypatch, capsys):
    kept = dict(METHODS)

    @dataclass(frozen=True, kw_only=True, repr=False)
    class Still(NMF, name="still"):
        """Standing still."""

        sharpness: float = option(2.5, "How sharp.", positive)

    try:
        assert main(["methods"]) == 0
        assert re.search("^  still +Standing still.$", capsys.readouterr().out, re.MULTILINE)
        options = ["--sharpness", "1.5", "--iterations", "2", "--seed", "9"]
        argv = ["decompose", str(recording), "--method", "still", "-K", "2", "--quiet", *options]
        assert main(argv) == 0
        found = Decomposition.load("out/decomposition.npz")
        assert Method.from_parameters(found.parameters) == Still(
            sharpness=1.5, iterations=2, power=1.0
        )
        assert main([*argv, "--atom-length", "8", "--force"]) == 2
        told = "error: --atom-length is no option of still, but of algorithm-1-delays, cdl, hits\n"
        assert told in capsys.readouterr().err
        assert main([*argv, "--sharpness", "0", "--force"]) == 2
        assert "sharpness must be positive, got 0" in capsys.readouterr().err
    finally:
        METHODS.clear()
        METHODS.update(kept)


@given(
    n_components=st.integers(1, 3),
    hop=st.integers(8, 64),
    penalty=st.sampled_from([0.0, 0.001]),
    start=st.sampled_from(["random", "segments"]),
    step_rule=st.sampled_from(["unit", "backtracking", "accelerated"]),
    inner_iterations=st.integers(1, 2),
    iterations=st.integers(0, 2),
)
def test_every_choice_of_options_runs(recording, tmp_path_factory, **options):
    folder = tmp_path_factory.mktemp("options")
    argv = ["decompose", str(recording), "-o", str(folder / "out"), "--quiet"]
    argv += ["--method", "algorithm-1", "--window-length", "128"]
    for name, value in options.items():
        argv += [f"--{name.replace('_', '-')}", str(value)]
    with mock.patch.object(plotting, "components", return_value=Figure()):
        assert main(argv) == 0
    found = Decomposition.load(folder / "out" / "decomposition.npz")
    assert len(found.history["objective"]) == options["iterations"] + 1
    assert found.parameters["frame"]["hop"] == options.pop("hop")
    assert options.items() <= found.parameters.items()


def test_an_estimate_is_printed_and_nothing_done(recording, place, capsys):
    assert decompose(recording, "--estimate") == 0
    printed, progress = capsys.readouterr()
    assert printed.startswith("estimate: ")
    assert len(printed.splitlines()) == 1
    assert progress == ""
    assert list(place.iterdir()) == []


# ---- where it writes -------------------------------------------------------------------------


def test_an_empty_folder_is_taken(recording, place):
    (place / "out").mkdir()
    assert decompose(recording, "--quiet") == 0
    assert (place / "out" / "residual.wav").exists()


def test_folders_above_the_result_are_made(recording, place):
    assert decompose(recording, "-o", "no/such/place", "--checkpoint-every", 0, "--quiet") == 0
    assert (place / "no" / "such" / "place" / "residual.wav").exists()
    assert [entry.name for entry in (place / "no" / "such").iterdir()] == ["place"]


def test_an_earlier_result_is_kept_unless_forced(recording, place, capsys):
    assert decompose(recording, "--quiet") == 0
    before = (place / "out" / "residual.wav").read_bytes()
    capsys.readouterr()
    assert decompose(recording, "--seed", 5) == 2
    assert capsys.readouterr().err == (
        "cdlnmf-lit: error: --out must be a new or empty folder, got 'out', which holds an earlier "
        "result: pass --force to replace it\n"
    )
    assert (place / "out" / "residual.wav").read_bytes() == before
    assert decompose(recording, "--seed", 5, "--force", "--quiet", "-K", 1) == 0
    assert (place / "out" / "residual.wav").read_bytes() != before
    assert not (place / "out" / "component_02.wav").exists()
    assert [entry.name for entry in place.iterdir()] == ["out"]


def test_a_folder_with_anything_else_is_never_replaced(recording, place, capsys):
    (place / "out").mkdir()
    (place / "out" / "thesis.txt").write_text("years of work")
    assert decompose(recording, "--force") == 2
    assert "which holds thesis.txt" in capsys.readouterr().err
    assert (place / "out" / "thesis.txt").read_text() == "years of work"


# ---- bad input -------------------------------------------------------------------------------


@pytest.fixture
def sounds(place):
    """Files that are good, and files that are each bad in its own way."""
    soundfile.write("good.wav", sound(), RATE, "FLOAT")
    soundfile.write("stereo.wav", np.stack([sound(), sound()], 1), RATE)
    soundfile.write("short.wav", sound()[:200], RATE)
    soundfile.write("constant.wav", np.full(4000, 0.5), RATE)
    soundfile.write("silent.wav", np.zeros(4000), RATE)
    soundfile.write("empty.wav", np.zeros(0), RATE)
    soundfile.write("nan.wav", np.where(np.arange(4000) == 7, np.nan, sound()), RATE, "FLOAT")
    soundfile.write("inf.wav", np.where(np.arange(4000) == 7, np.inf, sound()), RATE, "FLOAT")
    (place / "nothing.wav").write_bytes(b"")
    (place / "text.wav").write_text("this is no sound\n" * 100)
    (place / "truncated.wav").write_bytes((place / "good.wav").read_bytes()[:5000])
    (place / "folder.wav").mkdir()
    (place / "full").mkdir()
    (place / "full" / "other.txt").write_text("")
    (place / "text.npz").write_text("this is no result\n")
    np.savez("other.npz", values=np.zeros(3))
    Algorithm1(frame=hann(256, 32), iterations=0).decompose(sound(), 3).save("three.npz")
    return place


BAD_INPUT = [
    # the sound
    ("missing.wav", [], "missing.wav"),
    ("folder.wav", [], "folder.wav"),
    ("nothing.wav", [], "nothing.wav must hold sound, but the file is empty"),
    ("text.wav", [], "text.wav is no sound that can be read"),
    ("truncated.wav", ["--strict"], "truncated.wav"),
    ("empty.wav", [], "empty.wav must hold sound, but it has no samples"),
    ("nan.wav", [], "nan.wav must be finite, got nan at index 7"),
    ("inf.wav", [], "inf.wav must be finite, got inf at index 7"),
    ("constant.wav", [], "the sound must not be constant"),
    ("silent.wav", [], "the sound must not be constant, got 0.0"),
    ("short.wav", [], "the sound must be at least as long as an atom, 256 samples, got 200"),
    ("stereo.wav", ["--channel", "2"], "--channel must be one of 0, 1, mean for stereo.wav, got 2"),
    ("stereo.wav", ["--channel", "-1"], "--channel must be one of 0, 1, mean"),
    ("stereo.wav", ["--channel", "left"], "got 'left'"),
    ("example:violin", [], "example must be one of piano, chirps, got 'violin'"),
    # the model
    ("good.wav", ["--method", "magic"], "got 'magic'"),
    ("good.wav", ["-K", "0"], "-K must be a whole number of at least 1, got 0"),
    ("good.wav", ["-K", "-3"], "got -3"),
    ("good.wav", ["-K", "100000"], "-K must be a whole number from 1 to 132, got 100000"),
    (
        "good.wav",
        ["-K", "two"],
        "argument -K/--n-components: must be a whole number or auto, got 'two'",
    ),
    ("good.wav", ["--window", "bathtub"], "bathtub"),
    ("good.wav", ["--window", "kaiser:wide"], "--window must be a name and numbers"),
    ("good.wav", ["--window", "kaiser"], "window"),
    ("good.wav", ["--window-length", "0"], "--window-length must be"),
    ("good.wav", ["--hop", "0"], "--hop must be a whole number from 1 to 256, got 0"),
    ("good.wav", ["--hop", "257"], "--hop must be a whole number from 1 to 256, got 257"),
    ("good.wav", ["--fft-length", "0"], "--fft-length must be a whole number of at least 1, got 0"),
    ("good.wav", ["--channels", "256"], "unrecognized arguments: --channels 256"),
    ("good.wav", ["--seed", "x"], "argument --seed: must be a whole number, got 'x'"),
    ("good.wav", ["--checkpoint-every", "x"], "must be a number, got 'x'"),
    (
        "good.wav",
        ["--atom-length", "99"],
        "--atom-length is no option of algorithm-1, but of algorithm-1-delays, cdl",
    ),
    ("good.wav", ["--penalty", "-1"], "--penalty must be a finite number of at least 0, got -1"),
    ("good.wav", ["--penalty", "nan"], "--penalty must be a finite number"),
    (
        "good.wav",
        ["--penalty", "much"],
        "--penalty must be a finite number of at least 0, got 'much'",
    ),
    ("good.wav", ["--step-rule", "giant"], "--step-rule must be one of unit,"),
    (
        "good.wav",
        ["--start", "anywhere"],
        "--start must be random, segments or the .npz of a result",
    ),
    ("good.wav", ["--start", "missing.npz"], "missing.npz"),
    ("good.wav", ["--start", "text.npz"], "text.npz"),
    (
        "good.wav",
        ["--start", "other.npz"],
        "the file must be a saved decomposition, got 'other.npz'",
    ),
    ("good.wav", ["--start", "three.npz"], "--start must have 2 components"),
    ("good.wav", ["--inner-iterations", "0"], "--inner-iterations must be a whole number"),
    ("good.wav", ["--iterations", "-1"], "--iterations must be a whole number of at least 0"),
    ("good.wav", ["--tolerance", "-1"], "--tolerance must be a finite number of at least 0"),
    ("good.wav", ["--seed", "-1"], "--seed must be a whole number of at least 0, got -1"),
    ("good.wav", ["--checkpoint-every", "-1"], "--checkpoint-every must be a finite number"),
    ("good.wav", ["--speed", "9"], "unrecognized arguments: --speed 9"),
    # the place
    ("good.wav", ["-o", "good.wav"], "--out must be a folder, got the file 'good.wav'"),
    ("good.wav", ["-o", "good.wav/out"], "good.wav"),
    ("constant.wav", ["-o", "nowhere/deep/out"], "the sound must not be constant"),
    ("good.wav", ["-o", "full"], "--out must be a new or empty folder"),
    ("good.wav", ["-o", "full", "--force"], "which holds other.txt"),
    ("good.wav", ["-o", "."], "--out must name a folder of its own, got '.'"),
    ("good.wav", ["-o", "/"], "--out must name a folder of its own, got '/'"),
]


@pytest.mark.parametrize(("name", "options", "rule"), BAD_INPUT)
def test_bad_input_is_one_line_and_leaves_nothing(sounds, capsys, name, options, rule):
    before = sorted(sounds.rglob("*"))
    assert decompose(name, *options) == 2
    told = capsys.readouterr().err.splitlines()
    (message,) = [line for line in told if not line.startswith("cdlnmf-lit: warning: ")]
    assert message.startswith("cdlnmf-lit: error: ")
    assert rule in message
    assert sorted(sounds.rglob("*")) == before


@pytest.mark.parametrize(
    ("argv", "rule"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["compose"], "invalid choice: 'compose'"),
        (["decompose"], "the following arguments are required: SOUND"),
    ],
)
def test_a_command_that_is_none_is_one_line(place, capsys, argv, rule):
    assert main(argv) == 2
    message = capsys.readouterr().err
    assert message.startswith("cdlnmf-lit: error: ")
    assert message.count("\n") == 1
    assert rule in message


def test_an_option_of_a_frame_is_answered_with_the_methods_that_have_one(recording, place, capsys):
    argv = ["decompose", str(recording), "-K", "2"]
    assert main([*argv, "--method", "cdl", "--fft-length", "64"]) == 2
    told = capsys.readouterr().err
    assert "--fft-length is no option of cdl, but of " in told
    assert "semi-nmf" in told
    assert main([*argv, "--recipe", "clicks", "--hop", "64"]) == 2
    told = capsys.readouterr().err
    assert "recipe clicks, 0.5 s of sound: --hop is no option of cdl, but of " in told
    assert "algorithm-1-delays" in told


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "a.wav"), "a.wav: the disk is full: "),
        (OSError(errno.ENOTDIR, "Not a directory", "a/b.wav"), "a/b.wav: a part of its name is"),
        (OSError(errno.ENOTEMPTY, "Directory not empty", "out"), "out: another run has written"),
        (PermissionError(errno.EACCES, "Permission denied", "a.wav"), "a.wav: this user may not"),
        (OSError(errno.ELOOP, "Too many levels", "a.wav"), "a.wav: too many levels"),
        (OSError("path=a.wav must be sound"), "a.wav must be sound"),
        (ValueError("stop must lie after start=2, got 1"), "--to must lie after --from 2, got 1"),
        (ValueError("share must be None for nmf, got 2"), "--share must be left out for nmf, got"),
        (MemoryError(), "out of memory: --estimate tells"),
        (MemoryError("Unable to allocate 9 GiB for an array with shape"), "out of memory: --est"),
        (MemoryError("nmf needs 9 GB"), "nmf needs 9 GB"),
        (ModuleNotFoundError("No module named 'tqdm'", name="tqdm"), "the package tqdm is not"),
    ],
)
def test_an_error_says_what_happened_to_which_file_without_python(error, says):
    told = error_in_words(error)
    assert told.startswith(says)
    assert not re.search(r"Errno|module|array|object at", told)


def test_the_summary_tells_of_the_run(recording, place, monkeypatch):
    def warning(self, state, record=algorithm_1.Problem.record):
        if state.iteration == 1:
            warnings.simplefilter("always")
            warnings.warn("a thing to know", UserWarning, stacklevel=1)
        return record(self, state)

    monkeypatch.setattr(algorithm_1.Problem, "record", warning)
    assert decompose(recording, "--quiet", "--seed", 4) == 0
    summary = json.loads((place / "out" / "summary.json").read_text("utf8"))
    asked = summary["asked"]
    assert asked["sound"] == str(recording)
    assert (asked["method"], asked["recipe"], asked["seed"]) == ("algorithm-1", "algorithm-1", 4)
    assert summary["warnings"] == ["a thing to know"]
    assert 0 < summary["times"]["seconds"] < 60


def test_the_residual_of_masks_is_said_to_be_zero_by_construction(recording, place, capsys):
    argv = ["decompose", str(recording), "--method", "nmf", "-K", "1", "--iterations", "2"]
    assert main([*argv, "--quiet"]) == 0
    says = "out: 1 component, residual (zero by construction: nmf shares the whole sound out), "
    assert capsys.readouterr().out.splitlines()[-1].startswith(says)


def test_a_run_that_cannot_fit_says_so_before_it_starts(sounds, capsys, monkeypatch):
    monkeypatch.setattr(resources, "_free", lambda root: 1000.0)
    assert decompose("good.wav") == 2
    message = capsys.readouterr().err
    assert message.startswith("cdlnmf-lit: error: algorithm-1 of 4000 samples into 2 components")
    assert message.count("\n") == 1


def test_a_missing_package_is_named_with_its_remedy(sounds, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    assert decompose("good.wav") == 2
    assert 'pip install "cdlnmf-lit[audio,plot]"' in capsys.readouterr().err


def test_linear_algebra_has_one_thread_in_a_run_and_as_many_as_before_after_it(monkeypatch):
    def threads(*_):
        return {each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"}

    within = []
    with threadpool_limits(3, "blas"):
        monkeypatch.setattr(command, "_decompose_one", lambda *_: within.append(threads()) or 0)
        decompose("good.wav")
        assert (within, threads()) == ([{1}], {3})


@pytest.mark.long
def test_a_process_ends_with_code_2_and_no_traceback(place):
    argv = [sys.executable, "-m", "cdlnmf_lit", "decompose", "missing.wav", *SMALL]
    here = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    with subprocess.Popen(argv, stderr=subprocess.PIPE, env=here) as process:
        message = process.communicate()[1].decode()
    assert process.returncode == 2
    assert message.startswith("cdlnmf-lit: error: ")
    assert message.count("\n") == 1


# ---- many sounds -----------------------------------------------------------------------------


@pytest.fixture
def folder(place, monkeypatch):
    """Sounds of which two have one stem, and one file that is none; figures are left empty."""
    monkeypatch.setattr(plotting, "components", lambda *_: Figure())
    sounds = place / "sounds"
    for name in ("a.wav", "a.flac", "deep/a.wav"):
        (sounds / name).parent.mkdir(parents=True, exist_ok=True)
        writing.write(sounds / name, sound(), RATE)
    (sounds / "notes.txt").write_text("no sound")
    return sounds


def results(place):
    return {path.parent.relative_to(place).as_posix() for path in place.rglob("decomposition.npz")}


def test_a_folder_gives_a_folder_for_each_of_its_sounds(folder, place, capsys):
    assert decompose(folder, "-o", "out", "--quiet") == 0
    assert results(place) == {"out/a.wav", "out/a.flac", "out/deep/a.wav"}
    lines = capsys.readouterr().out.splitlines()
    assert lines[::2] == ["1/3 sounds/a.flac", "2/3 sounds/a.wav", "3/3 sounds/deep/a.wav"]
    assert all("2 components, residual (" in line for line in lines[1::2])
    assert not list(place.rglob("*.checkpoint.npz"))


def test_several_files_may_have_one_name(folder, place):
    sounds = [str(folder / name) for name in ("a.wav", "deep/a.wav", "a.wav")]
    assert main(["decompose", *sounds, "example:chirps", *SMALL[:-1], "1", "--quiet"]) == 0
    assert results(place) == {"out/a.wav", "out/deep/a.wav", "out/example_chirps"}


def test_a_sound_that_fails_is_named_and_the_rest_goes_on(folder, place, capsys):
    (folder / "broken.wav").write_bytes(b"RIFF....")
    writing.write(folder / "silent.wav", np.zeros(RATE), RATE)
    assert decompose(folder, "--quiet") == 2
    printed, told = capsys.readouterr()
    assert results(place) == {"out/a.wav", "out/a.flac", "out/deep/a.wav"}
    assert "error: sounds/broken.wav is no sound" in told
    assert "error: sounds/silent.wav: the sound must not be constant" in told
    assert told.splitlines()[-1].endswith("2 of 5 sounds failed")


def test_a_rerun_does_what_is_left(folder, place, capsys):
    decompose(folder, "--quiet")
    kept = place / "out" / "a.wav" / "decomposition.npz"
    written = kept.stat().st_mtime_ns
    shutil.rmtree(place / "out" / "a.flac")
    capsys.readouterr()
    assert decompose(folder, "--quiet") == 0
    assert capsys.readouterr().out.count("is done, skipped") == 2
    assert kept.stat().st_mtime_ns == written
    assert results(place) == {"out/a.wav", "out/a.flac", "out/deep/a.wav"}
    assert decompose(folder, "--quiet", "--force") == 0
    assert kept.stat().st_mtime_ns != written


def test_a_rerun_leaves_out_what_was_written_inside_the_folder(folder, place, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / "none.wav").mkdir()
    for out in ("out", "deep/out"):
        assert decompose(".", "--quiet", "-o", out) == 0
        before = results(folder)
        assert f"{out}/a.wav" in before
        capsys.readouterr()
        assert decompose(".", "--quiet", "-o", out) == 0
        assert capsys.readouterr().out.count("is done, skipped") == len(before) == 3
        assert results(folder) == before
        shutil.rmtree(out)


@pytest.mark.parametrize(
    "options", [["-K", "1"], ["--seed", "5"], ["--method", "nmf", "-K", "2"]], ids=" ".join
)
def test_a_rerun_that_asks_for_something_else_does_it(folder, place, capsys, options):
    decompose(folder, "--quiet")
    argv = ["decompose", str(folder), *SMALL, "--quiet", *options]
    for skipped in (0, 3):
        capsys.readouterr()
        assert main(argv) == 0
        assert capsys.readouterr().out.count("is done, skipped") == skipped
    found = Decomposition.load(place / "out" / "a.wav" / "decomposition.npz")
    kept = {"-K": found.n_components, "--method": found.method}
    kept["--seed"] = found.parameters["seed"]
    assert str(kept[options[0]]) == options[1]


def test_a_result_that_cannot_be_read_is_named_and_the_rest_goes_on(folder, place, capsys):
    damaged = place / "out" / "a.flac" / "decomposition.npz"
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(b"damaged")
    assert decompose(folder, "--quiet") == 2
    assert "a.flac: the file must be a saved decomposition, got " in capsys.readouterr().err
    assert {"out/a.wav", "out/deep/a.wav"} < results(place)
    assert decompose(folder, "--quiet", "--force") == 0
    assert Decomposition.load(damaged).n_components == 2


def test_an_interrupted_sound_is_done_again(folder, place):
    decompose(folder, "--quiet")
    result = place / "out" / "a.wav" / "decomposition.npz"
    replace(Decomposition.load(result), status="stopped after 1 iterations").save(result)
    decompose(folder, "--quiet")
    assert Decomposition.load(result).status == "ran all 3 iterations"


def test_many_sounds_can_be_estimated_without_a_trace(folder, place, capsys):
    assert decompose(folder, "--estimate") == 0
    assert capsys.readouterr().out.count("MB of memory") == 3
    assert not (place / "out").exists()


def test_a_folder_without_sounds_is_an_error(place, capsys):
    (place / "empty").mkdir()
    assert decompose("empty") == 2
    assert "SOUND must be a folder that holds sounds outside of out" in capsys.readouterr().err
