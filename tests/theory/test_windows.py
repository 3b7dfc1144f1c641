"""Windows by their names are SciPy's."""

import numpy as np
import pytest
import scipy.signal

from cdlnmf_lit.theory.windows import named_window


@pytest.mark.parametrize("length", [1, 2, 3, 16, 255, 2048, 55_125])
@pytest.mark.parametrize("name", ["hann", "hamming", ("kaiser", 8.6)])
def test_a_named_window_is_scipys_bit_for_bit(name, length):
    expected = scipy.signal.get_window(name, length)
    np.testing.assert_array_equal(named_window(name, length, None), expected)
    np.testing.assert_array_equal(named_window(name, None, length), expected)


def test_what_is_no_window_is_named():
    with pytest.raises(ValueError, match="window must be an array or a name SciPy knows, got 'sl"):
        named_window("slope", 4, None)
    with pytest.raises(ValueError, match="length or channels must be given with the named window"):
        named_window("hann", None, None)
