from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
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
        assert (i in bad) == (np.isnan(found[i]) and not is_missing(cell.strip().lstrip("+-")))


@given(st.text())
def test_printable_text_is_printable_and_clean_text_stays(text):
    assert printable(text).isprintable()
    if text.isprintable():
        assert printable(text) == text


def test_long_cells_are_cut_and_control_characters_escaped():
    assert len(shown("x" * 10_000)) < 100
    assert "\x1b" not in shown("\x1b[31m")
