"""Every message names the argument, its value and the rule."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from cdlnmf_lit.theory.arguments import array, choice, integer, non_negative, require_range, signal


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], r"x must not be empty, got shape \(0,\)"),
        (np.ones((2, 3)), r"x must be one-dimensional, got shape \(2, 3\): pick or average"),
        (np.float64(1), r"x must be one-dimensional, got shape \(\)"),
        (np.ones(3, int), r"x must hold floating-point numbers, got int64: .*x.astype\(float\)"),
        (np.ones(3, bool), "got bool"),
        (np.ones(3, np.float16), "got float16"),
        (np.array(["a"]), "x must hold floating-point numbers"),
        (np.ones(3, complex), "x must be real, got complex128"),
        ([0.0, np.nan], "x must be finite, got nan at index 1"),
        ([0.0, -np.inf], "x must be finite, got -inf at index 1"),
        (np.ma.array([0.0, 1.0], mask=[0, 1]), "x must have no masked entries: fill or leave"),
        (csr_array([[0.0, 1.0]]), r"x must be a dense array, got a sparse one: pass x\.toarray"),
        ([[0.0], [1.0, 2.0]], "x must be one array, got a list of parts that differ in shape"),
    ],
)
def test_signals(value, message):
    with pytest.raises(ValueError, match=message):
        signal(value)


def test_arrays():
    with pytest.raises(ValueError, match=r"W must be finite, got nan at index \(1, 0\)"):
        array([[1.0], [np.nan]], "W", 2)
    with pytest.raises(ValueError, match="W must be 3-dimensional"):
        array([[1.0]], "W", 3)
    assert array(np.ones(2, np.complex64), "x", 1, allow_complex=True).dtype == np.complex64


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_other_byte_orders_and_unmasked_arrays_are_taken(dtype):
    x = np.arange(3, dtype=dtype)
    for value in (x, x.astype(x.dtype.newbyteorder()), np.ma.array(x)):
        found = signal(value)
        assert (type(found), found.dtype) == (np.ndarray, x.dtype)
        assert found.tobytes() == x.tobytes()
    assert signal(x) is x


@pytest.mark.parametrize("value", [0, 9, 1.0, True, "3", None, np.float64(2)])
def test_integers(value):
    with pytest.raises(ValueError, match=r"hop must be a whole number from 1 to 8, got"):
        integer(value, "hop", at_most=8)
    assert integer(np.int32(8), "hop", at_most=8) == 8
    assert (integer(1, "hop"), integer(0, "padding", at_least=0)) == (1, 0)


@pytest.mark.parametrize("value", [-1e-9, np.nan, np.inf, "1", None, 1j, True, np.True_])
def test_non_negative_numbers(value):
    with pytest.raises(ValueError, match="penalty must be a finite number of at least 0, got"):
        non_negative(value, "penalty")
    assert non_negative(np.float32(2), "penalty") == 2.0


@pytest.mark.parametrize(("peak", "dtype"), [(1e-9, "float32"), (1e70, "float64"), (0, "float32")])
def test_ranges(peak, dtype):
    require_range(np.array([0.0, -peak]), dtype)
    for beyond in (1e-20, 1e20):
        with pytest.raises(
            ValueError, match=r"x must be at its largest from 3.* to 4.* in float32"
        ):
            require_range(np.array([0.0, -beyond]), "float32")


def test_choices():
    with pytest.raises(ValueError, match="start must be one of a, b, got 'c'"):
        choice("c", "start", ["a", "b"])
    assert type(choice(np.str_("a"), "start", ["a", "b"])) is str


@pytest.mark.parametrize("value", [["a"], np.ones((2, 3)), [np.ones(2)], {"a": 1}])
def test_what_is_no_name_is_called_by_its_type(value):
    with pytest.raises(ValueError, match=f"must be one of a, b, got {type(value).__name__}$"):
        choice(value, "start", ["a", "b"])


@pytest.mark.parametrize("value", [None, 2.0, np.inf])
def test_numbers_are_shown_where_a_name_is_meant(value):
    with pytest.raises(ValueError, match=f"must be one of a, b, got {value!r}$"):
        choice(value, "start", ["a", "b"])
