"""A bar counts all iterations of all stages and starts, and names the one that it is at."""

import pytest

from cdlnmf_lit.methods.decomposition import Run
from cdlnmf_lit.methods.nmf import NMF
from cdlnmf_lit.methods.progress import iterations_before, iterations_of, where
from cdlnmf_lit.methods.recipes import notes

RATE = 22_050


def test_the_bar_counts_all_stages_and_starts():
    method = notes(RATE)
    # 20 of NMF before each of the eight starts, then 8, 4, 2 and 1 of them, then the last stage
    assert iterations_of(method) == 8 * 20 + 8 * 5 + 4 * 5 + 2 * 5 + 15 + 20
    assert iterations_before(method, (0,)) == 160 + 85
    assert iterations_before(method, (0, 3)) == 20
    assert iterations_before(method, (0, 3, 0)) == 0


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ((0, 3, 0), "1/3 nmf, start 4/8"),
        ((0, 7), "2/3 convolutive-nmf, start 8/8"),
        ((0,), "3/3 convolutive-nmf"),
    ],
)
def test_the_bar_names_the_stage_and_the_start(place, words):
    assert where(notes(RATE), {(9, 9): Run(iter(())), place: Run(iter(()))}) == words
    assert where(NMF(), {(0,): Run(iter(()))}) == "nmf"
