"""Figures on dark pages: their ink turns, their pictures stay, and they are given back."""

import base64
import io

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from cdlnmf_lit.presentation.figures import FORMS, STATIC, dark, forms, numbers, on_dark, saved
from cdlnmf_lit.presentation.plotting import Card, style


def drawn():
    with style():
        figure = Card(figsize=(4, 2))
        lines, picture = figure.subplots(1, 2)
        lines.plot([0, 2, 1], "o-", label="a line")
        lines.bar([0, 1], [1, 2], color="0.8")
        lines.scatter([0, 1], [1, 1], c=[0.0, 1.0])
        lines.set(xlabel="time (s)", title="It")
        lines.legend()
        picture.imshow(np.zeros((2, 2)))
        picture.text(0, 0, "over it", color="white")
        return figure


def luminance(colours):
    channels = np.asarray(colours)[..., :3] ** 2.2
    return channels @ [0.2126, 0.7152, 0.0722]


@pytest.mark.parametrize("colour", ["black", "#404040", "C0", "#0072B2", "#D55E00", "#009E73"])
def test_ink_stands_out_from_a_dark_page(colour):
    (page,), (ink,) = luminance([[0.08, 0.1, 0.12]]), luminance(on_dark(colour))
    assert (ink + 0.05) / (page + 0.05) > 4.5


def test_a_figure_is_given_back_as_it_was():
    figure = drawn()
    saved(figure, "png")
    figure.set_layout_engine("none")  # which moves panels a little whenever a figure is drawn
    before = saved(figure, "png")
    with dark(figure):
        assert saved(figure, "png") != before
    assert saved(figure, "png") == before


def test_what_stands_over_a_picture_keeps_its_ink():
    figure = drawn()
    lines, picture = figure.axes
    with dark(figure):
        assert picture.texts[0].get_color() == "white"
        assert luminance([picture.xaxis.label.get_color()]) == luminance([(1, 1, 1)])
        assert luminance([lines.title.get_color()]) == luminance([(1, 1, 1)])


def test_a_dark_picture_lets_the_page_through_and_has_light_ink():
    content = base64.b64decode(forms(drawn())["dark.png"])
    with Image.open(io.BytesIO(content)) as picture:
        pixels = np.asarray(picture.convert("RGBA")) / 255
    assert pixels[0, 0, 3] == 0
    opaque = pixels[pixels[..., 3] > 0.9]
    assert (luminance(opaque) > 0.8).any()


def test_lines_are_there_where_no_picture_is():
    assert "svg" not in forms(drawn())
    figure = Figure()
    figure.subplots().plot([1, 2])
    first, again = forms(figure), forms(figure)
    assert b"<svg" in base64.b64decode(first["svg"])
    assert first == again


def test_a_cell_tells_them_where_no_kernel_is(monkeypatch):
    told, beside = Card()._repr_mimebundle_()
    assert [*told] == ["image/png"]
    assert not beside
    monkeypatch.setenv(STATIC, "1")
    _, told = drawn()._repr_mimebundle_()
    with np.load(io.BytesIO(base64.b64decode(told[FORMS]["npz"]))) as found:
        np.testing.assert_array_equal(found["panel_1.line_1"], [[0, 1, 2], [0, 2, 1]])


def test_numbers_are_those_that_were_drawn():
    figure = Figure()
    left, right = figure.subplots(1, 2)
    left.plot([1, 2], [3, 4])
    left.scatter([5], [6])
    right.imshow(np.ma.masked_equal([[1.0, 2.0]], 2.0))
    found = {name: values.tolist() for name, values in numbers(figure).items()}
    assert found == {
        "panel_1.line_1": [[1, 2], [3, 4]],
        "panel_1.points_1": [[5], [6]],
        "panel_2.image_1": [[1, 2]],
    }
