"""A sound goes in by a click, and all that was found comes out."""

import base64
import io
import re
import threading
import time
import zipfile
from datetime import UTC, datetime

import ipywidgets
import numpy as np
import pytest
import soundfile

from cdlnmf_lit.methods.nmf import NMF
from cdlnmf_lit.presentation import your_own_sound
from cdlnmf_lit.presentation.your_own_sound import studio
from cdlnmf_lit.recordings.writing import write

RATE = 8000
NOW = datetime(2026, 1, 1, tzinfo=UTC)
SOUND = np.sin(0.3 * np.arange(2 * RATE)) * (np.arange(2 * RATE) % RATE < RATE / 2)


@pytest.fixture(autouse=True)
def no_widget_is_kept():
    yield
    ipywidgets.Widget.close_all()


@pytest.fixture(scope="module")
def found():
    return NMF(iterations=3).decompose(SOUND, 2)


class Panel:
    """The parts of the studio by their names, and clicks."""

    def __init__(self, *arguments):
        self.upload, self.name, self.count, self.costs, buttons, self.told, self.heard = studio(
            *arguments
        ).children
        self.begin, self.stop, self.progress = buttons.children

    def choose(self, name, n_components):
        self.name.value, self.count.value = name, n_components

    def wait(self):
        for _ in range(600):
            if not self.begin.disabled:
                return
            time.sleep(0.05)
        raise TimeoutError(self.told.value)


def test_a_click_takes_a_sound_apart():
    panel = Panel(SOUND, RATE)
    panel.choose("nmf", 2)
    assert re.match(r"2.0 s at 8000 Hz. It will take about \d+ s and .* GB", panel.costs.value)
    panel.begin.click()
    panel.wait()
    assert panel.told.value == "done after 200 iterations"
    assert panel.progress.value == panel.progress.max == 200
    assert panel.heard.value.count("<audio") == 3
    data = re.search('href="data:application/zip;base64,(.*?)"', panel.heard.value)[1]
    assert len(zipfile.ZipFile(io.BytesIO(base64.b64decode(data))).namelist()) == 6


def test_stop_keeps_what_was_reached():
    panel = Panel(np.tile(SOUND, 10), RATE)
    panel.choose("algorithm-1", 2)
    panel.begin.click()
    assert panel.begin.disabled
    for _ in range(600):
        if panel.progress.value >= 2:
            break
        time.sleep(0.02)
    panel.stop.click()
    panel.wait()
    reached = int(re.fullmatch(r"stopped after (\d+) iterations", panel.told.value)[1])
    assert 2 <= reached < panel.progress.max
    assert panel.heard.value.count("<audio") == 3


def test_stop_is_heard_in_the_start_of_a_recipe():
    panel = Panel(np.tile(SOUND, 4), RATE)
    panel.choose("notes", 2)
    panel.begin.click()
    for _ in range(600):
        if panel.told.value == "nmf" and panel.progress.value >= 2:
            break
        time.sleep(0.01)
    panel.stop.click()
    panel.wait()
    assert panel.told.value == "stopped after 0 iterations"
    assert panel.heard.value.count("<audio") == 3


def test_a_file_is_uploaded_and_channels_are_averaged(tmp_path):
    soundfile.write(tmp_path / "x.flac", np.stack([SOUND, np.zeros_like(SOUND)], 1), 16000)
    panel = Panel()
    assert panel.costs.value.startswith("Upload a sound")
    panel.begin.click()
    assert not panel.begin.disabled
    file = {"name": "x.flac", "content": memoryview((tmp_path / "x.flac").read_bytes())}
    panel.upload.value = ({**file, "type": "audio/flac", "size": 1, "last_modified": NOW},)
    assert panel.costs.value.startswith("1.0 s at 16000 Hz")
    assert panel.told.value.startswith("x.flac ")


def test_a_file_that_is_uploaded_meanwhile_changes_nothing_of_what_runs(monkeypatch, tmp_path):
    uploaded = threading.Event()

    def held(self, x, K, *given, problem=NMF.problem, **options):
        if threading.current_thread() is not threading.main_thread():  # which tells what it costs
            uploaded.wait(30)
        return problem(self, x, K, *given, **options)

    monkeypatch.setattr(NMF, "problem", held)
    panel = Panel(SOUND, RATE)
    panel.choose("nmf", 1)
    panel.begin.click()
    write(tmp_path / "x.wav", SOUND[:RATE], 2 * RATE)
    file = {"name": "x.wav", "content": memoryview((tmp_path / "x.wav").read_bytes())}
    panel.upload.value = ({**file, "type": "audio/wav", "size": 1, "last_modified": NOW},)
    assert panel.costs.value.startswith("0.5 s at 16000 Hz")
    uploaded.set()
    panel.wait()
    data = re.search('href="data:application/zip;base64,(.*?)"', panel.heard.value)[1]
    zipfile.ZipFile(io.BytesIO(base64.b64decode(data))).extractall(tmp_path / "all")
    residual, rate = soundfile.read(tmp_path / "all" / "residual.wav")
    assert (residual.size, rate) == (SOUND.size, RATE)


def test_what_is_no_sound_or_cannot_be_done_is_told():
    panel = Panel()
    file = {"name": "x.wav", "content": memoryview(b"no sound"), "type": "", "size": 8}
    panel.upload.value = ({**file, "last_modified": NOW},)
    assert panel.told.value.startswith("<b>x.wav is no sound")
    assert panel.costs.value.startswith("Upload a sound")
    silent = Panel(np.zeros(RATE), RATE)
    silent.choose("algorithm-1", 2)
    silent.begin.click()
    silent.wait()
    assert "x must not be constant" in silent.told.value


def test_where_there_are_no_threads_it_runs_to_its_end(monkeypatch):
    monkeypatch.setattr(your_own_sound.sys, "platform", "emscripten")
    panel = Panel(SOUND, RATE)
    panel.choose("nmf", 1)
    panel.begin.click()
    assert panel.told.value == "done after 200 iterations"
