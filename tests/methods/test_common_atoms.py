"""Correlations of several signals add up; tests/methods/test_pieces.py has what comes of them."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cdlnmf_lit import CDL
from cdlnmf_lit.methods.cdl import Quadratic
from cdlnmf_lit.methods.common_atoms import Atoms, Summed
from cdlnmf_lit.methods.pieces import Recordings
from cdlnmf_lit.methods.starts import segments


@given(st.lists(st.integers(8, 60), min_size=1, max_size=3), st.integers(1, 8))
def test_atoms_are_fitted_to_sums_as_to_all_signals_in_a_row(lengths, T_d):
    rng = np.random.default_rng(0)
    each = [
        (rng.standard_normal(T), rng.random((2, T - T_d + 1)) * (rng.random(T - T_d + 1) < 0.4))
        for T in lengths
    ]
    row = np.concatenate([np.pad(x, (0, T_d - 1)) for x, _ in each])[: 1 - T_d or None]
    z = np.concatenate([np.pad(z, ((0, 0), (0, 2 * T_d - 2))) for _, z in each], axis=1)
    z = z[:, : row.size - T_d + 1]
    whole = Quadratic(row, z, T_d)
    told = (Quadratic(x, z, T_d) for x, z in each)
    summed = Summed.of([(one.A, one.b) for one in told])
    np.testing.assert_allclose(summed.A, whole.A, atol=1e-9)
    np.testing.assert_allclose(summed.b, whole.b, atol=1e-9)
    d = rng.standard_normal((2, T_d))
    np.testing.assert_allclose(summed.fitted(d), whole.fitted(d), atol=1e-6)


def test_segments_are_drawn_from_all_by_energy():
    """The odds are those of the energies; of one signal the draw is the same."""
    loud, soft = np.zeros(400), np.zeros(400)
    loud[100:110], soft[200:210] = 3.0, 1.0
    method = CDL(atom_length=10, share=0.1)
    together = Atoms.of(method, Recordings.of([soft, loud]), {})
    counts = [0, 0]
    for seed in range(200):
        d, _ = together.drawn(1, "segments", np.random.default_rng(seed))
        counts[int(np.abs(d).max() > 2)] += 1
    assert 165 <= counts[1] <= 195  # 9 of 10
    alone = Atoms.of(method, Recordings.of([loud]), {})
    for seed in range(5):
        d, _ = alone.drawn(2, "segments", np.random.default_rng(seed))
        wanted = segments(loud, 2, 10, np.random.default_rng(seed))
        np.testing.assert_array_equal(d, wanted)
