"""Sounds and pictures of a page: what is in files, and what takes its place beforehand."""

import base64
import re

import media

SOUND = b"a short sound"
PLAYER = (
    '<audio controls preload="metadata" style="width: 100%" aria-label="one" '
    f'src="data:audio/mpeg;base64,{base64.b64encode(SOUND).decode()}"></audio>'
)


def test_a_sound_is_one_file_wherever_it_is_heard(tmp_path):
    page = media.apart(f"<p>{PLAYER} and {PLAYER}</p>", tmp_path, "../_static/media")
    (file,) = tmp_path.iterdir()
    assert file.read_bytes() == SOUND
    assert re.findall(r'src="([^"]+)"', page) == 2 * [f"../_static/media/{file.name}"]
    assert page.count('preload="none"') == 2
    assert "base64" not in page
    assert 'aria-label="one"' in page


def test_what_the_players_of_the_package_carry_is_found(tmp_path):
    """The pattern is that of the players that chapters make."""
    import numpy as np

    from cdlnmf_lit.presentation import audio

    made = audio.board({"a": np.ones((2, 800))}, ["left", "right"], 8000).data
    page = media.apart(made, tmp_path, "sounds")
    assert page.count('preload="none"') == made.count("<audio") == 2
    assert "data:audio" not in page


def test_a_picture_that_is_large_is_a_file_too(tmp_path):
    data = base64.b64encode(bytes(900)).decode()
    large = f'<img alt="x" style="width: 100%" src="data:image/webp;base64,{data}">'
    small = '<img alt="x" src="data:image/webp;base64,AAAA">'
    page = media.apart(large + small, tmp_path, "media")
    (file,) = tmp_path.iterdir()
    assert file.read_bytes() == bytes(900)
    assert page.startswith(
        f'<img loading="lazy" alt="x" style="width: 100%" src="media/{file.name}"'
    )
    assert page.endswith(small)


def test_pictures_without_a_size_get_theirs_and_wait_and_no_others():
    sizes = {"../a.png": (640, 480)}
    assert media.sized('<img alt="x" src="../a.png">', sizes).startswith(
        '<img loading="lazy" width="640" height="480"'
    )
    for other in (
        '<img height="3" src="../a.png">',
        '<img src="b.png">',
        '<img src="data:image/a">',
    ):
        assert media.sized(other, sizes) == other
