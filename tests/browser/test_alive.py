"""One's own sound, taken apart in the page: Chromium, and the Pyodide that readers get."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from playwright.sync_api import Browser, Page, expect

from cdlnmf_lit.presentation.page import proposed
from tests.browser.browsers_python import processor_seconds, slowness
from tests.browser.site_server import HTML, PREFIX, REPORTS
from tests.browser.test_pages import AXE, NARROW, PHONE, WIDE, Seen, violations

PAGE = "_static/own_sound/index.html"
CHAPTER = "book/experiments/your_own_sound.html"
RATE, SECONDS = 22_050, 10
MARKUP = "<img src=x onerror=\"document.title='ran'\">.wav"
HEARD, STOPPED = 20, 4
"""Seconds of the processor to the first sounds, and to what a stop leaves, at the most."""
LASTS = "2/3 cdl"
"""The stage of *chirps* that takes seconds: a look every second does not miss it."""
MICROPHONE = """window.opened = 0;
navigator.mediaDevices.getUserMedia = async () => {
  window.opened += 1;
  await new Promise((resolve) => setTimeout(resolve, 500));
  const context = new AudioContext(), tone = context.createOscillator();
  const out = context.createMediaStreamDestination();
  tone.connect(out);
  tone.start();
  return out.stream;
};"""


def notes() -> np.ndarray:
    """Three tones that are struck again and again."""
    t = np.arange(SECONDS * RATE) / RATE
    struck = ((t + 0.3 * k) % (1.1 + 0.3 * k) for k in range(3))
    tones = [np.exp(-6 * u) * np.sin(2 * np.pi * (440 + 230 * k) * u) for k, u in enumerate(struck)]
    return 0.2 * np.sum(tones, axis=0)


def file_of(content: bytes, name: str) -> dict:
    return {"name": name, "mimeType": "audio/x", "buffer": content}


def encoded(x: np.ndarray, form: str, rate: int = RATE) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, x, rate, format=form)
    return buffer.getvalue()


def opened(browser: Browser, alike: str, **options) -> Seen:
    """The page, at whose origin Pyodide's files are, too."""
    context = browser.new_context(viewport=WIDE, **options)
    context.set_default_timeout(300_000)
    context.add_init_script(path=AXE)
    seen = Seen(context.new_page(), alike.removesuffix(PREFIX))
    seen.watch()
    seen.page.goto(alike + PAGE)
    expect(seen.page.locator("#status")).to_have_text("")
    seen.page.uncheck("#at-once")
    return seen


def told(page: Page, words: str | re.Pattern[str]) -> None:
    expect(page.locator("#status")).to_contain_text(words, timeout=300_000)


def choose(page: Page, content: bytes, name: str) -> None:
    page.set_input_files("#file", file_of(content, name))


def choose_by_hand(page: Page) -> None:
    with page.expect_file_chooser() as chooser:
        page.click("#file")
    chooser.value.set_files(file_of(encoded(notes(), "WAV"), "notes.wav"))


@pytest.fixture
def fresh(browser: Browser, alike: str) -> Iterator[Seen]:
    seen = opened(browser, alike)
    yield seen
    seen.page.context.close()


@pytest.fixture(scope="module")
def studio(browser: Browser, alike: str) -> Iterator[Seen]:
    """The page with Python at hand, and a sound."""
    seen = opened(browser, alike)
    choose(seen.page, encoded(notes(), "WAV"), "notes.wav")
    seen.page.locator("#start:enabled").wait_for()
    yield seen
    assert not seen.external
    assert not seen.complaints
    seen.page.context.close()


SHOWN = """async (wav) => {
  const { showSounds } = await import("./own_sound_found.js");
  const sound = (name) => ({
    name, share: 0.5, columns: 2, wav: new Uint8Array(wav), picture: new Uint8Array(2 * 128),
  });
  const sounds = ["component 1", "component 2"].map(sound);
  const list = document.getElementById("sounds");
  document.getElementById("found").hidden = false;
  window.stageEnds = () => showSounds(list, { rows: 128, highest: 4000, sounds });
  stageEnds();
}"""


def test_what_is_heard_goes_on_when_a_stage_ends(fresh: Seen) -> None:
    page = fresh.page
    page.evaluate(SHOWN, list(encoded(notes(), "WAV")))
    heard = page.locator("#sounds audio").nth(1)
    heard.evaluate("async (audio) => { audio.currentTime = 2; await audio.play(); }")
    page.evaluate("stageEnds()")
    page.wait_for_timeout(500)
    place, is_paused = heard.evaluate("audio => [audio.currentTime, audio.paused]")
    assert place > 2
    assert not is_paused


def ask(page: Page, recipe: str, count: int) -> None:
    page.select_option("#recipe", recipe)
    page.fill("#count", str(count))
    page.locator("#count").press("Tab")
    page.locator("#start:enabled").wait_for()


def downloaded(page: Page, link: str) -> bytes:
    with page.expect_download() as download:
        page.click(link)
    return Path(download.value.path()).read_bytes()


def test_ten_seconds_are_taken_apart_and_sum_to_the_sound(studio: Seen, browser: Browser) -> None:
    page = studio.page
    x = soundfile.read(io.BytesIO(encoded(notes(), "WAV")))[0]
    choose(page, encoded(notes(), "WAV"), "notes.wav")
    page.locator("#start:enabled").wait_for()
    expect(page.locator("#about")).to_have_text("notes.wav: 10.0 s at 22050 Hz")
    ask(page, "notes", 3)
    expect(page.locator("#estimate")).to_contain_text(re.compile("It will take about (?!0 s)"))
    begun = processor_seconds(browser)
    page.dblclick("#start")  # the second click begins nothing
    page.locator("#sounds audio").first.wait_for()
    first = processor_seconds(browser) - begun
    told(page, "stage 1 of 3, nmf, is done")
    told(page, "ran all 20 iterations")
    print(f"{first:.1f} s of the processor to the first sounds")
    assert first < HEARD * slowness(browser)
    expect(page.locator("#stop")).to_be_disabled()
    assert page.locator("#sounds audio").count() == page.locator("#sounds canvas").count() == 3
    parts = [
        soundfile.read(io.BytesIO(downloaded(page, f"#sounds li:nth-child({n}) a")))
        for n in (1, 2, 3)
    ]
    assert [rate for _, rate in parts] == 3 * [RATE]
    np.testing.assert_allclose(sum(part for part, _ in parts), x, atol=1e-4)
    events = downloaded(page, "text=Events as CSV").decode().splitlines()
    assert len(events) - 1 == page.locator("#events tr").count() >= 15
    names = zipfile.ZipFile(io.BytesIO(downloaded(page, "text=All as a zip"))).namelist()
    assert {"component_01.wav", "events.csv", "decomposition.npz", "summary.json"} <= {*names}
    assert downloaded(page, "text=The result for Python")[:2] == b"PK"


def test_recipe_and_number_are_chosen_as_they_are_elsewhere(studio: Seen) -> None:
    page, x = studio.page, soundfile.read(io.BytesIO(encoded(notes(), "WAV")), dtype="float32")[0]
    choose(page, encoded(notes(), "WAV"), "notes.wav")
    page.locator("#propose:enabled").wait_for()
    page.click("#propose")
    told(page, "K =")
    wanted = proposed(x, RATE)
    assert page.input_value("#recipe") == wanted["recipe"]
    assert page.input_value("#count") == str(wanted["count"])
    page.locator("#start:enabled").wait_for()


def test_a_sound_is_taken_apart_at_once_as_is_chosen_for_it(fresh: Seen) -> None:
    """Three clicks: to the page, on the file, and to hear."""
    page = fresh.page
    page.check("#at-once")
    choose_by_hand(page)
    page.locator("#sounds audio").first.wait_for()
    wanted = proposed(soundfile.read(io.BytesIO(encoded(notes(), "WAV")), dtype="float32")[0], RATE)
    asked = page.input_value("#recipe"), int(page.input_value("#count"))
    assert asked == (wanted["recipe"], wanted["count"])
    page.click("#stop")
    told(page, "sounds to hear")
    page.locator("#start:enabled").wait_for()
    assert page.locator("#sounds audio").count() == wanted["count"]


def test_what_is_shown_can_be_used_by_all(studio: Seen, alike: str) -> None:
    page, found = studio.page, []
    for theme in ("light", "dark"):
        page.evaluate("theme => { document.documentElement.dataset.theme = theme }", theme)
        found += violations(page)
        page.screenshot(path=REPORTS / f"own-sound-{theme}.png", full_page=True)
    page.set_viewport_size(PHONE)
    found += violations(page)
    page.screenshot(path=REPORTS / "own-sound-phone.png", full_page=True)
    page.set_viewport_size(NARROW)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= NARROW["width"]
    page.set_viewport_size(WIDE)
    assert not found, "\n".join(found)


def test_a_stop_is_heard_and_keeps_what_was_reached(studio: Seen, browser: Browser) -> None:
    page = studio.page
    ask(page, "chirps", 2)
    page.locator("#count").press("Enter")  # keys are enough
    expect(page.locator("#where")).to_contain_text(LASTS, timeout=300_000)
    begun = processor_seconds(browser)
    page.click("#stop")
    told(page, "stopped at ")
    assert processor_seconds(browser) - begun < STOPPED * slowness(browser)
    expect(page.locator("#start")).to_be_enabled()
    assert page.locator("#sounds audio").count() >= 2


def test_a_minute_is_begun_and_stopped(studio: Seen) -> None:
    page = studio.page
    choose(page, encoded(np.tile(notes(), 6), "WAV"), "minute.wav")
    expect(page.locator("#about")).to_have_text("minute.wav: 60.0 s at 22050 Hz", timeout=300_000)
    ask(page, "notes", 3)
    page.click("#start")
    told(page, "stage 1 of 3, nmf, is done")
    assert page.locator("#sounds audio").count() == 3
    page.click("#stop")
    told(page, "stopped at ")
    expect(page.locator("#start")).to_be_enabled()


def test_a_tab_closed_in_the_middle_leaves_nothing_behind(browser: Browser, alike: str) -> None:
    seen = opened(browser, alike)
    choose(seen.page, encoded(notes(), "WAV"), "notes.wav")
    ask(seen.page, "chirps", 2)
    seen.page.click("#start")
    expect(seen.page.locator("#where")).to_contain_text(LASTS, timeout=300_000)
    seen.page.close()
    again = seen.page.context.new_page()
    again.goto(alike + PAGE)
    expect(again.locator("#status")).to_have_text("")
    begun = processor_seconds(browser)
    again.wait_for_timeout(3000)
    assert processor_seconds(browser) - begun < 1
    again.context.close()


def test_a_name_that_holds_markup_runs_nothing(studio: Seen) -> None:
    page = studio.page
    choose(page, encoded(notes(), "WAV"), MARKUP)
    page.locator("#start:enabled").wait_for()
    expect(page.locator("#about")).to_contain_text(f"{MARKUP}: 10.0 s")
    choose(page, b"RIFF    WAVE no sound", MARKUP)
    told(page, f"{MARKUP} is no sound that this browser can play")
    assert page.locator("img").count() == 0
    assert page.title() == "Take your own sound apart"
    expect(page.locator("#start")).to_be_disabled()


def test_other_formats_are_decoded_at_a_rate_that_is_said(studio: Seen) -> None:
    for form, rate, wanted in (("FLAC", 16_000, 16_000), ("OGG", RATE, 44_100)):
        choose(studio.page, encoded(notes(), form, rate), f"x.{form}")
        about = re.compile(rf"x.{form}: [\d.]+ s at {wanted} Hz; decoded by the browser")
        expect(studio.page.locator("#about")).to_have_text(about, timeout=300_000)
        studio.page.locator("#start:enabled").wait_for()


def test_a_new_sound_puts_away_what_was_found_in_the_last_one(studio: Seen) -> None:
    page = studio.page
    choose(page, encoded(notes(), "WAV"), "notes.wav")
    ask(page, "clicks", 1)
    page.click("#start")
    expect(page.locator("#found")).to_be_visible(timeout=300_000)
    page.locator("#file:enabled").wait_for()
    choose(page, b"no sound", "other.wav")
    told(page, "other.wav is no sound")
    expect(page.locator("#found")).to_be_hidden()
    expect(page.locator("#own")).to_be_hidden()
    expect(page.locator("#progress")).to_have_js_property("value", 0)


def test_what_is_wrong_is_said_until_it_is_mended(studio: Seen) -> None:
    page = studio.page
    choose(page, encoded(notes()[: RATE // 5], "WAV"), "short.wav")
    ask(page, "clicks", 2)
    page.select_option("#recipe", "chirps")
    told(page, re.compile(r"0\.2 s of sound are nothing for the recipe chirps"))
    expect(page.locator("#start")).to_be_disabled()
    ask(page, "clicks", 2)
    expect(page.locator("#status")).to_have_text("")
    for wrong in ("", "0", "65", "2.5"):
        page.fill("#count", wrong)
        page.locator("#count").press("Tab")
        expect(page.locator("#start")).to_be_disabled()
        expect(page.locator("#status")).to_have_text("")
        assert page.locator("#asked").evaluate("form => !form.checkValidity()")
    ask(page, "clicks", 2)


def test_what_needs_too_much_memory_is_refused(studio: Seen) -> None:
    page = studio.page
    choose(page, encoded(notes(), "WAV"), "notes.wav")
    ask(page, "clicks", 2)
    page.select_option("#recipe", "chirps")
    page.fill("#count", "64")
    page.locator("#count").press("Tab")
    told(page, re.compile("this would need .* GB of memory, and a page may take 1.5 GB"))
    expect(page.locator("#start")).to_be_disabled()
    ask(page, "clicks", 2)


def test_a_file_of_301_megabytes_is_refused(fresh: Seen, tmp_path: Path) -> None:
    with (tmp_path / "long.wav").open("wb") as file:
        file.truncate(301_000_000)
    fresh.page.set_input_files("#file", tmp_path / "long.wav")
    told(fresh.page, "long.wav has 301 MB: a page takes 300 at the most.")


def test_a_refused_microphone_is_told(fresh: Seen) -> None:
    fresh.page.click("#record")
    told(fresh.page, re.compile("microphone.*choose a file"))


def test_a_recording_is_taken(browser: Browser, alike: str) -> None:
    seen = opened(browser, alike)
    seen.page.add_init_script(MICROPHONE)
    seen.page.reload()
    seen.page.dblclick("#record")  # the second click begins nothing
    told(seen.page, "The microphone is heard")
    expect(seen.page.locator("#file")).to_be_disabled()  # until it has been heard
    seen.page.wait_for_timeout(2000)
    seen.page.dblclick("text=Stop recording")
    about = re.compile(r"the recording: \d+\.\d s at 22050 Hz; decoded by the browser")
    expect(seen.page.locator("#about")).to_have_text(about, timeout=300_000)
    assert seen.page.evaluate("opened") == 1
    assert not seen.external
    assert not seen.complaints
    seen.page.context.close()


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ("**/pyodide-lock.json", "This copy of the book has no Python for the browser."),
        ("**/numpy-*.whl", "NumPy and SciPy could not be fetched from 127.0.0.1"),
    ],
)
def test_what_cannot_be_fetched_is_told(fresh: Seen, missing: str, words: str) -> None:
    fresh.page.context.route(missing, lambda route: route.abort())
    choose_by_hand(fresh.page)
    told(fresh.page, words)
    told(fresh.page, "install the package")
    fresh.page.context.unroute(missing)
    choose_by_hand(fresh.page)
    expect(fresh.page.locator("#about")).to_contain_text("notes.wav: 10.0 s", timeout=300_000)


def test_who_comes_back_chooses_again(fresh: Seen, alike: str) -> None:
    choose_by_hand(fresh.page)
    fresh.page.goto(alike + CHAPTER, wait_until="commit")
    fresh.page.go_back()
    assert fresh.page.input_value("#file") == ""


def test_the_chapter_has_it_in_a_frame_that_fits(browser: Browser, site: str) -> None:
    assert (HTML / CHAPTER).exists()
    page = browser.new_context(viewport=WIDE, color_scheme="dark").new_page()
    page.goto(site + CHAPTER)
    frame = page.frame_locator("iframe[title='Take your own sound apart']")
    expect(frame.locator("#start")).to_be_visible()
    expect(frame.locator("html")).to_have_attribute("data-theme", "dark")
    height = frame.locator("body").evaluate("body => body.offsetHeight")
    expect(page.locator("iframe[title='Take your own sound apart']")).to_have_css(
        "height", f"{height}px"
    )
    page.context.close()
