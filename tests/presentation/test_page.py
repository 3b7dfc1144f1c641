"""What a page is told of a sound is what the library finds, slice by slice, to the bit."""

import io
import zipfile

import numpy as np
import pytest
import soundfile

from cdlnmf_lit.methods import decomposition
from cdlnmf_lit.methods.decomposition import Decomposition
from cdlnmf_lit.methods.recipes import RECIPES
from cdlnmf_lit.presentation import page
from cdlnmf_lit.recordings.decomposing import decompose
from cdlnmf_lit.recordings.results import archive

RATE, K = 2000, 2
T = np.arange(3 * RATE)
SOUND = (np.sin(0.3 * T) * (T % RATE < 500) + np.sin(0.8 * T) * (T % 1500 < 220)).astype("f")
SOUND += np.random.default_rng(0).normal(scale=1e-3, size=T.size).astype("f")
RATES = dict.fromkeys(RECIPES, RATE) | {"chirps": 400}  # whose atoms last 2.5 s


def in_slices(recipe, seconds=0.0):
    return page.steps(SOUND[: 3 * RATES[recipe]], RATES[recipe], recipe, K, seconds)


@pytest.fixture(scope="module", params=RECIPES)
def run(request):
    """The name of a recipe, and all its steps, each of one iteration."""
    return request.param, [*in_slices(request.param)]


def test_slices_end_where_the_library_does(run):
    recipe, steps = run
    rate = RATES[recipe]
    wanted = decompose(SOUND[: 3 * rate], K, sample_rate=rate, recipe=recipe)
    found = steps[-1].found
    assert (found.status, found.parameters) == (wanted.status, wanted.parameters)
    assert found.activations.tobytes() == wanted.activations.tobytes()
    assert found.components().tobytes() == wanted.components().tobytes()


def test_a_slice_is_an_iteration_and_the_share_grows(run):
    recipe, steps = run
    assert [step.is_last for step in steps] == [False] * (len(steps) - 1) + [True]
    shares = [step.share for step in steps]
    assert shares == sorted(shares)
    assert 0 == shares[0] < shares[-2] < shares[-1] == 1
    assert np.diff(shares[:-1]).max() <= 1 / 10


def test_every_stage_is_heard_once_and_named(run):
    recipe, steps = run
    heard = [step for step in steps if step.found]
    rate = RATES[recipe]
    stages = RECIPES[recipe](rate).stages
    assert [step.found.method for step in heard] == [stage.name for stage in stages]
    names = [f"stage {n} of {len(stages)}, {s.name}, is done" for n, s in enumerate(stages, 1)]
    assert [step.words for step in heard[:-1]] == names[:-1]
    for step in heard:
        assert step.found.sample_rate == rate
        whole = step.found.components().sum(axis=0) + step.found.residual
        np.testing.assert_allclose(whole, SOUND[: 3 * rate], atol=1e-4)


def test_a_long_slice_is_the_whole_run():
    (step,) = in_slices("clicks", 1000.0)
    assert step.is_last


@pytest.mark.parametrize("slices", [1, 4, 25])
def test_a_stop_keeps_the_best_of_what_was_reached(slices):
    run = in_slices("clicks")
    for _ in range(slices):
        step = next(run)
    last = run.send(True)
    assert last.is_last
    assert last.words.startswith(f"stopped at {step.words}, after ")
    assert last.found.is_stopped
    assert last.found.components().shape == (K, SOUND.size)
    with pytest.raises(StopIteration):
        next(run)


def test_of_several_starts_a_stop_keeps_the_best():
    run = in_slices("clicks")
    for _ in range(8):  # three of four starts have two iterations, the last one has one
        next(run)
    last, objectives = run.send(True).found, []
    seeds = np.random.default_rng(0).integers(2**32, size=4).tolist()
    for seed, iterations in zip(seeds, (2, 2, 2, 1), strict=True):
        states = RECIPES["clicks"](RATE).stages[0].iterate(SOUND, K, rng=seed)
        objectives.append(decomposition.run(states, iterations).objective)
    assert last.objective == min(objectives)


def test_two_runs_do_not_meet():
    one, other = in_slices("clicks"), in_slices("clicks")
    for _ in zip(one, range(5), strict=False):
        pass
    assert next(other).share < 0.1


# ---- before --------------------------------------------------------------------------------------


def test_a_file_is_read_at_its_own_rate_in_single_precision(tmp_path):
    path = tmp_path / "x.wav"
    soundfile.write(path, np.stack([SOUND / 2, SOUND / 4], 1), 11_025, "FLOAT")
    x, rate, noted = page.heard(str(path))
    assert (rate, x.dtype) == (11_025, np.float32)
    np.testing.assert_allclose(x, 3 / 8 * SOUND, atol=1e-4)
    assert noted[0].startswith("x.wav has 2 channels")


@pytest.mark.parametrize("content", [b"", b"no sound", b"RIFF\x00\x00\x00\x00WAVE"])
def test_what_is_no_sound_is_said_without_its_folder(tmp_path, content):
    path = tmp_path / "<b>x.wav"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"^<b>x\.wav ") as refused:
        page.heard(path)
    assert str(tmp_path) not in str(refused.value)


@pytest.mark.parametrize("level", [0.0, 0.25])
def test_a_silent_file_is_refused_by_its_name(tmp_path, level):
    soundfile.write(tmp_path / "still.wav", np.full(RATE, level), RATE, "FLOAT")
    with pytest.raises(ValueError, match=r"^still\.wav is silent"):
        page.heard(tmp_path / "still.wav")


def test_what_is_too_short_for_a_recipe_is_said_in_seconds():
    with pytest.raises(ValueError, match=r"^0\.2 s .* recipe notes: pattern_length .*longer piece"):
        page.estimated(SOUND[: RATE // 5], RATE, "notes", K)


def test_an_estimate_is_a_sentence_and_a_refusal():
    said = page.estimated(SOUND, RATE, "clicks", K)
    assert said.startswith("It will take about ")
    assert said.endswith("MB of memory.")
    with pytest.raises(ValueError, match="x must not be constant"):
        page.estimated(np.zeros(RATE, "f"), RATE, "clicks", K)
    hour = np.broadcast_to(np.float32(1), 3600 * 44_100)
    with pytest.raises(MemoryError, match=r"this would need .* GB of memory, and a page may"):
        page.estimated(hour, 44_100, "chirps", 64)


# ---- after ---------------------------------------------------------------------------------------

HAND = Decomposition(
    "hand", np.ones((1, 80)), np.eye(1, 2), 4000, 0, np.full(8000, 0.01), sample_rate=8000
)


def test_what_is_shown_sums_to_the_sound():
    shown = page.shown(HAND)
    sounds = [soundfile.read(io.BytesIO(each["wav"])) for each in shown["sounds"]]
    assert [rate for _, rate in sounds] == [8000, 8000]
    whole = HAND.components().sum(axis=0) + HAND.residual
    np.testing.assert_allclose(sum(x for x, _ in sounds), whole, atol=1e-6)
    assert [each["name"] for each in shown["sounds"]] == ["component 1", "residual"]


def test_a_picture_has_its_tone_in_its_row():
    t = np.arange(16_000) / 8000
    tone = np.sin(2 * np.pi * 1000 * t) * (t > 1)
    found = Decomposition("hand", tone[None], np.ones((1, 1)), 1, 0, 0 * tone, sample_rate=8000)
    shown = page.shown(found)
    first = shown["sounds"][0]
    picture = np.frombuffer(first["picture"], np.uint8).reshape(shown["rows"], first["columns"])
    assert shown["highest"] == 2000  # half of what there is: no sound is above
    assert picture.max() == 255
    assert abs(picture.mean(axis=1).argmax() - 64) <= 1  # 0 Hz is below row 127, 2 kHz above row 0
    assert picture[:, : first["columns"] // 2 - 1].max() < picture[64].max() / 2
    silent = page.shown(
        Decomposition("hand", tone[None] * 0, np.ones((1, 1)), 1, 0, 0 * tone, sample_rate=8000)
    )
    assert silent["sounds"][0]["share"] == 0


def test_a_long_sound_has_a_picture_that_fits():
    x = np.zeros(200 * RATE)
    x[100 * RATE + 300] = 1.0  # a click between two columns is seen
    found = Decomposition("hand", x[None], np.ones((1, 1)), 1, 0, 0 * x, sample_rate=RATE)
    (first, _) = page.shown(found)["sounds"]
    assert first["columns"] == page.COLUMNS
    assert max(first["picture"]) == 255


def test_downloads_are_the_librarys_files(tmp_path):
    packed = zipfile.ZipFile(io.BytesIO(page.download(HAND, "components.zip")))
    assert packed.namelist() == zipfile.ZipFile(io.BytesIO(archive(HAND))).namelist()
    assert page.download(HAND, "events.csv") == packed.read("events.csv")
    (tmp_path / "x.npz").write_bytes(page.download(HAND, "decomposition.npz"))
    assert Decomposition.load(tmp_path / "x.npz").sample_rate == 8000
    assert len(page.events_of(HAND)) == 1
