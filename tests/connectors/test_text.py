from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamrnn.connectors.text import BadCellError, numbers, printable, shown, times


@given(st.lists(st.floats(allow_nan=False)))
def test_numbers_that_were_written_as_text_come_back_to_the_bit(values):
    assert numbers([repr(value) for value in values]).tolist() == values


@pytest.mark.parametrize("cell", ["", " ", "NA", "nan", "NaN", "null", "None", "n/a", "#N/A"])
def test_what_stands_for_no_value_is_nan(cell):
    assert np.isnan(numbers(["1", cell])).tolist() == [False, True]


def test_a_cell_that_is_no_number_is_named_with_its_place():
    with pytest.raises(BadCellError, match="'12,5' is not a number") as caught:
        numbers(["1", "", "12,5", "x"])
    assert caught.value.index == 2


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("1970-01-01T00:00:01Z", 10**9),
        ("1970-01-01T01:00:01+01:00", 10**9),
        ("1970-01-01 00:00:01", 10**9),
        ("1970-01-01T00:00:00.000000001Z", 1),
        ("1969-12-31T23:59:59.5Z", -500_000_000),
        ("1970-01-02", 86_400 * 10**9),
        (" 1970-01-01", 0),
    ],
)
def test_times_of_iso_8601_are_nanoseconds_utc(cell, expected):
    assert times([cell]).tolist() == [expected]


def test_offsets_may_change_within_a_column():
    assert np.diff(times(["2022-03-27T01:00:00+01:00", "2022-03-27T03:00:00+02:00"])).tolist() == [
        3600 * 10**9
    ]


def test_nanoseconds_survive_whatever_stands_beside_them():
    mixed = times(["2022-01-01", "2022-01-01T00:00:00.000000001Z", "", "2022-01-01T00:00:00.5Z"])
    assert (mixed - mixed[0]).tolist()[:2] == [0, 1]
    assert mixed[2] == np.iinfo(np.int64).min
    assert mixed[3] - mixed[0] == 500_000_000


@pytest.mark.parametrize("cell", ["now", "today", "10:30", "03/24/2022", "2022-13-01", "x", "5"])
def test_what_is_no_time_is_named_with_its_place(cell):
    with pytest.raises(BadCellError, match="not a date or time of ISO 8601") as caught:
        times(["2022-01-01", "", cell])
    assert caught.value.index == 2


@pytest.mark.parametrize("cell", ["1500-01-01", "2500-01-01T00:00:00Z"])
def test_years_that_nanoseconds_cannot_hold_are_refused(cell):
    with pytest.raises(BadCellError, match="outside of the years"):
        times([cell])


def test_no_cells_are_no_times():
    assert len(times([])) == len(numbers([])) == 0


@given(st.text())
def test_printable_text_is_printable_and_clean_text_stays(text):
    assert printable(text).isprintable()
    if text.isprintable():
        assert printable(text) == text


def test_long_cells_are_cut_and_control_characters_escaped():
    assert len(shown("x" * 10_000)) < 100
    assert "\x1b" not in shown("\x1b[31m")
