"""The figure of events: a box for each that is in sight, told apart by colour and by line."""

import numpy as np
import pytest

from cdlnmf_lit.methods.events import Events
from cdlnmf_lit.presentation.events import marked

FS = 8000
TABLE = Events(
    [0.2, 0.5, 9.0],
    [0.4, 0.9, 9.5],
    [0, 1, 0],
    [-6, -6, -6],
    [400, 900, 400],
    [900, 2000, 900],
    [1, 1, 1],
)


def test_boxes_stand_where_the_events_are():
    axes = marked(np.sin(0.3 * np.arange(FS)), FS, TABLE).axes[0]
    first, second = axes.patches
    np.testing.assert_allclose(first.get_bbox().extents, [0.2, 0.4, 0.4, 0.9])
    np.testing.assert_allclose(second.get_bbox().extents, [0.5, 0.9, 0.9, 2.0])
    assert first.get_edgecolor() != second.get_edgecolor()
    assert first.get_linestyle() != second.get_linestyle()


def test_a_stretch_shows_its_own_events():
    axes = marked(np.sin(0.3 * np.arange(FS)), FS, TABLE, ["low", "high"], start=8.9).axes[0]
    (box,) = axes.patches
    assert box.get_x() == pytest.approx(0.1)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["low"]


def test_a_recording_must_be_a_signal():
    with pytest.raises(ValueError, match="x must"):
        marked(np.zeros((2, 2)), FS, TABLE)
