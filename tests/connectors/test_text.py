from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streamrnn.connectors.text import is_missing, is_number, numbers, printable, shown


@given(st.lists(st.floats(allow_nan=False)))
def test_numbers_that_were_written_as_text_come_back_to_the_bit(values):
    found, bad = numbers([repr(value) for value in values])
    assert (found.tolist(), bad) == (values, {})


@given(st.lists(st.floats(allow_nan=False)))
def test_numbers_with_decimal_commas_come_back_to_the_bit(values):
    found, bad = numbers([repr(value).replace(".", ",") for value in values], ",")
    assert (found.tolist(), bad) == (values, {})


def bits(values):
    return np.array(values, np.float64).view(np.int64).tolist()


ODD_NUMBERS = (
    "-0 -0.0 0 007 +5 .5 5. 1e5 1E-5 1e400 -1e-400 5e-324 9007199254740993 18446744073709551616 "
    "-9223372036854775809 2.2250738585072011e-308 0.1e1 123456789012345678901234567890.5 "
    "1.7976931348623159e308 1.7976931348623158e308 --1 1-1 1e 10000000000000000000000"
)
odd_numbers = st.sampled_from([*ODD_NUMBERS.split(), "9" * 400, " 7", "7 "])
floats = st.floats(allow_nan=False)
written = st.one_of(floats.map(repr), floats.map("{:.17e}".format), st.integers().map(str), odd_numbers)


@given(st.lists(written, max_size=30), st.sampled_from([".", ","]))
@example(["-0", "1"], ".")
def test_columns_of_plain_numbers_are_read_as_python_reads_each_of_them(cells, decimal):
    expected, readable = [], []
    for cell in cells:
        try:
            expected.append(float(cell))
        except ValueError:
            continue
        readable.append(cell if decimal == "." else cell.replace(".", ","))
    found, bad = numbers(readable, decimal)
    assert bits(found) == bits(expected)
    assert bad == {}


@pytest.mark.parametrize(
    ("cells", "bad"),
    [
        (["true", "1"], [0]),
        (["[1]", "2"], [0]),
        (["1,2", "3"], [0]),
        (["1;2", "3"], [0]),
        (["1 2", "3"], [0]),
        (["{}", "1"], [0]),
        (["1", "\ud800"], [1]),
        (["0x1", "1e"], [0, 1]),
        (['"1"', "1"], [0]),
        (["\u0661", "1"], []),
    ],
)
def test_what_json_would_read_and_a_table_does_not_mean_is_no_number(cells, bad):
    assert list(numbers(cells)[1]) == bad


@pytest.mark.parametrize("cell", ["", " ", "NA", "nan", "NaN", "null", "None", "n/a", "#N/A", "-", "?"])
def test_what_stands_for_no_value_is_nan(cell):
    found, bad = numbers(["1", cell])
    assert (np.isnan(found).tolist(), bad) == ([False, True], {})


def test_a_cell_that_is_no_number_is_nan_and_named_with_its_place():
    found, bad = numbers(["1", "", "12,5", "x"])
    assert np.isnan(found).tolist() == [False, True, True, True]
    assert bad == {2: "'12,5' is not a number", 3: "'x' is not a number"}


@pytest.mark.parametrize(
    ("cell", "decimal", "value"),
    [
        ("1,234.5", ".", 1234.5),
        ("1,234,567", ".", 1234567.0),
        ("1'234.5", ".", 1234.5),
        ("1 234", ".", 1234.0),
        ("1.234,5", ",", 1234.5),
        ("1.234", ",", 1234.0),
        ("1\u202f234,5", ",", 1234.5),
        ("12.5 %", ".", 12.5),
        ("\u22123", ".", -3.0),
        (" 7 ", ".", 7.0),
    ],
)
def test_numbers_as_people_write_them(cell, decimal, value):
    assert numbers([cell, ""], decimal)[0][0] == value
    assert is_number(cell, decimal)


@pytest.mark.parametrize(
    "cell", ["1_000", "0x10", "12,34", "1,23,456", "1.5.2", "1 2", "24ae8d", "1,234'567"]
)
def test_what_only_looks_like_a_number_is_none(cell):
    assert not is_number(cell)
    assert numbers([cell])[1]


@given(st.lists(st.text()), st.sampled_from([".", ","]))
def test_any_text_is_a_number_or_missing_or_said(cells, decimal):
    found, bad = numbers(cells, decimal)
    for i, cell in enumerate(cells):
        missing = is_missing(cell) or cell.strip().lower().lstrip("+-") == "nan"
        assert (i in bad) == (np.isnan(found[i]) and not missing)


@given(st.text())
def test_printable_text_is_printable_and_clean_text_stays(text):
    assert printable(text).isprintable()
    if text.isprintable():
        assert printable(text) == text


def test_long_cells_are_cut_and_control_characters_escaped():
    assert len(shown("x" * 10_000)) < 100
    assert "\x1b" not in shown("\x1b[31m")
