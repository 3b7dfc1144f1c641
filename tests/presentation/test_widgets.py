"""An explorer draws what its sliders are at: anew, or beforehand, one frame a point of its grid."""

import base64
import io
import re

import ipywidgets
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ipywidgets.embed import dependency_state
from matplotlib import pyplot
from matplotlib.figure import Figure
from PIL import Image

from cdlnmf_lit.presentation.widgets import STATIC, explorer

grids = st.dictionaries(
    st.sampled_from(["hop", "window", "step_rule", "tone"]),
    st.lists(st.integers(0, 99), min_size=2, max_size=4, unique=True),
    min_size=1,
    max_size=3,
)


@pytest.fixture(autouse=True)
def no_widget_is_kept():
    yield
    ipywidgets.Widget.close_all()


class StaticPage:
    """The models that a built page carries, and what its links do with no kernel behind it."""

    def __init__(self, widget):
        models = dependency_state(widget, drop_defaults=False)
        self.models = {name: model["state"] for name, model in models.items()}

    def model(self, reference):
        return self.models[reference.removeprefix("IPY_MODEL_")]

    def move(self, slider, index):
        self.models[slider.model_id]["index"] = index
        for link in self.models.values():
            if link["_model_name"] == "DirectionalLinkModel":
                source, trait = link["source"]
                target, attribute = link["target"]
                self.model(target)[attribute] = self.model(source)[trait]

    def texts(self):
        return [model["value"] for model in self.models.values() if model.get("value")]

    def visible(self, reference):
        shown = self.model(reference)
        while shown["_model_name"] == "StackModel":
            shown = self.model(shown["children"][shown["selected_index"]])
        return shown["value"]


@pytest.fixture
def page_with_no_kernel(monkeypatch):
    monkeypatch.setenv(STATIC, "1")


@given(grids=grids, data=st.data())
def test_in_a_kernel_what_is_shown_is_drawn_as_the_sliders_move(grids, data):
    calls = []

    def drawn(**point):
        calls.append(point)
        return str(sorted(point.items()))

    *sliders, shown = explorer(drawn, alt="numbers", **grids).children
    point = {name: values[0] for name, values in grids.items()}
    assert calls == [point]
    for slider, (name, values) in zip(sliders, grids.items(), strict=True):
        point[name] = data.draw(st.sampled_from(values))
        slider.index = values.index(point[name])
        assert shown.value == str(sorted(point.items()))
    assert len(calls) <= 1 + len(grids)
    ipywidgets.Widget.close_all()


def test_in_a_kernel_the_words_follow_the_figure():
    def drawn(hop):
        figure = Figure(figsize=(1, 1))
        figure.add_subplot().plot([0, hop])
        return figure

    slider, shown = explorer(drawn, alt="a line to {hop}", hop=[1, 2]).children
    before = shown.value
    slider.index = 1
    assert 'alt="a line to 1"' in before
    assert 'alt="a line to 2"' in shown.value


def squares(hop):
    return f"<p>{hop * hop}</p>"


def test_in_a_kernel_a_slider_can_offer_more_than_its_grid():
    slider, shown = explorer(
        squares, alt="a square", opens_at={"hop": 4}, live={"hop": range(5)}, hop=[2, 4]
    ).children
    assert [label for label, _ in slider.options] == ["0", "1", "2", "3", "4"]
    assert shown.value == "<p>16</p>"
    slider.index = 3
    assert shown.value == "<p>9</p>"
    slider, shown = explorer(squares, alt="a square", live={"hop": range(5)}, hop=[2, 4]).children
    assert shown.value == "<p>4</p>"


@pytest.mark.usefixtures("page_with_no_kernel")
def test_with_no_kernel_it_offers_its_grid():
    slider, frames = explorer(squares, alt="a square", live={"hop": range(5)}, hop=[2, 4]).children
    assert [label for label, _ in slider.options] == ["2", "4"]
    assert [child.value for child in frames.children] == ["<p>4</p>", "<p>16</p>"]


@pytest.mark.parametrize("live", [{"hop": [1, 2, 3]}, {"window": [2, 4]}])
def test_what_a_kernel_offers_has_the_whole_grid(live):
    with pytest.raises(ValueError, match="live must have all values of a grid, got"):
        explorer(squares, alt="a square", live=live, hop=[2, 4])


@pytest.mark.usefixtures("page_with_no_kernel")
def test_with_no_kernel_a_figure_is_there_for_light_and_for_dark_pages():
    def drawn(hop):
        figure = Figure(figsize=(1, 1))
        figure.add_subplot().plot([0, hop])
        return figure

    page = StaticPage(explorer(drawn, alt="a line to {hop}", hop=[1, 2]))
    (frame,) = {each for each in page.texts() if 'alt="a line to 2"' in each}
    light, dark = re.findall(r"<img ([^>]*)>", frame)
    assert 'class="on-light"' in light
    assert "hidden" not in light
    assert 'class="on-dark" hidden' in dark  # where no style sheet shows it


@pytest.mark.usefixtures("page_with_no_kernel")
@given(grids=grids, data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_with_no_kernel_the_sliders_choose_the_frame_of_their_values(grids, data):
    calls = []

    def drawn(**point):
        calls.append(point)
        return str(sorted(point.items()))

    widget = explorer(drawn, alt="numbers", **grids)
    *sliders, frames = widget.children
    n_points = 1
    for values in grids.values():
        n_points *= len(values)
    assert len(calls) == n_points
    assert [slider.description for slider in sliders] == [name.replace("_", " ") for name in grids]

    point = {name: data.draw(st.sampled_from(values)) for name, values in grids.items()}
    page = StaticPage(widget)
    for slider, name in zip(sliders, grids, strict=True):
        page.move(slider, grids[name].index(point[name]))
    assert page.visible(frames.model_id) == str(sorted(point.items()))
    assert len(calls) == n_points
    ipywidgets.Widget.close_all()


@pytest.mark.usefixtures("page_with_no_kernel")
def test_frames_that_are_equal_are_kept_once():
    *_, frames = explorer(
        lambda hop, unused: f"hop {hop}", alt="hop", hop=[1, 2], unused=[1, 2, 3]
    ).children
    kept = {id(child) for row in frames.children for child in row.children}
    assert len(kept) == 2


@pytest.mark.usefixtures("page_with_no_kernel")
def test_a_figure_becomes_a_light_picture_with_words():
    def drawn(hop):
        figure = Figure(figsize=(5, 2))
        figure.add_subplot().plot([0, hop])
        return figure

    frames = explorer(drawn, alt='A "line" to {hop}', hop=[1, 2]).children[-1]
    for child, hop in zip(frames.children, (1, 2), strict=True):
        assert f'alt="A &quot;line&quot; to {hop}"' in child.value
        assert 'width="600" height="240"' in child.value
        data = re.search(r"data:image/webp;base64,([^\"]*)", child.value)[1]
        image = Image.open(io.BytesIO(base64.b64decode(data)))
        assert (image.format, image.size) == ("WEBP", (600, 240))
        assert len(child.value) < 20_000


@pytest.mark.usefixtures("page_with_no_kernel")
def test_figures_made_with_pyplot_are_closed():
    def drawn(hop):
        figure, axes = pyplot.subplots()
        axes.plot([hop, hop])
        return figure

    explorer(drawn, alt="a line", hop=[1, 2])
    assert pyplot.get_fignums() == []


def test_sliders_show_readable_values():
    slider, _ = explorer(
        lambda penalty: str(penalty), alt="x", penalty=[0.1 + 0.2, 1e-7, 3]
    ).children
    assert [label for label, _ in slider.options] == ["0.3", "1e-07", "3"]
    assert slider.tooltip == "penalty"


def test_words_are_offered_as_buttons():
    steps, hop, length = explorer(
        "{steps} {hop} {length}".format,
        alt="x",
        opens_at={"steps": "unit"},
        steps=["printed", "unit"],
        hop=[1, 2],
        length=["1 s", "2 s"],
    ).children[:3]
    assert isinstance(steps, ipywidgets.ToggleButtons)
    assert (steps.description, steps.index, steps.label) == ("steps", 1, "unit")
    assert isinstance(hop, ipywidgets.SelectionSlider)
    assert isinstance(length, ipywidgets.SelectionSlider)


@pytest.mark.parametrize(
    ("f", "alt", "grids", "rule"),
    [
        (str, "x", {}, "grids must be one to three parameters, got 0"),
        (str, "x", {name: [1, 2] for name in "abcd"}, "grids must be one to three .*, got 4"),
        (str, "x", {"a": [1]}, r"a must offer at least two values, got \[1\]"),
        (str, " ", {"a": [1, 2]}, "alt must say what the figures show"),
        (str, "{b}", {"a": [1, 2]}, r"alt must name only \['a'\] in braces, got '{b}'"),
        (str, "{}", {"a": [1, 2]}, "alt must name only"),
        (lambda a: a, "x", {"a": [1, 2]}, "f must return a figure or HTML, got int"),
    ],
)
def test_what_cannot_be_explored_is_refused(f, alt, grids, rule):
    with pytest.raises(ValueError, match=rule):
        explorer(f, alt=alt, **grids)


@pytest.mark.parametrize("static", [True, False])
def test_sliders_open_where_they_are_asked_to(monkeypatch, static):
    if static:
        monkeypatch.setenv(STATIC, "1")
    drawn = explorer(
        "{hop} of {window}".format, alt="{hop}", opens_at={"window": 9}, hop=[1, 2], window=[8, 9]
    )
    assert [slider.index for slider in drawn.children[:2]] == [0, 1]
    if static:
        page = StaticPage(drawn)
        assert page.visible(drawn.children[2].model_id) == "1 of 9"
    else:
        assert drawn.children[2].value == "1 of 9"


@pytest.mark.parametrize("opens_at", [{"hop": 3}, {"window": 1}])
def test_sliders_open_only_at_values_that_they_have(opens_at):
    with pytest.raises(ValueError, match="opens_at must name values that sliders have, got"):
        explorer(lambda hop: str(hop), alt="{hop}", opens_at=opens_at, hop=[1, 2])
