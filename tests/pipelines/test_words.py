from __future__ import annotations

import pytest

from streamrnn.kernels.plan import NO_TIME
from streamrnn.pipelines.words import count, duration, iso, moment, number, percent, table


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0 s"),
        (1, "1 ns"),
        (1_500, "1 us 500 ns"),
        (3_599_999_999_999, "1 h"),
        (59_999_999_999, "1 min"),
        (5_400_000_000_000, "1 h 30 min"),
        (86_400_000_000_000 * 400, "400 d"),
        (-5, "0 s"),
    ],
)
def test_durations_are_said_in_their_two_largest_units(ns, text):
    assert duration(ns) == text


def test_times_are_said_as_short_as_they_are_exact():
    assert moment(0) == "1970-01-01 00:00"
    assert moment(1_000_000_000) == "1970-01-01 00:00:01"
    assert moment(500_000_000) == "1970-01-01 00:00:00.5"
    assert moment(NO_TIME) == ""
    assert iso(-1) == "1969-12-31T23:59:59.999999999Z"


def test_numbers_have_five_digits_and_none_is_a_dash():
    assert number(1234567.0) == "1.2346e+06"
    assert number(float("nan")) == percent(float("nan")) == "-"
    assert percent(0.95) == "95%"
    assert count(1, "event") == "1 event"
    assert count(2000, "event") == "2,000 events"


def test_tables_are_aligned():
    lines = table([["name", "n"], ["a", "1"], ["longer", "100"]], numeric=frozenset({"n"}))
    assert lines == ["  name      n", "  a         1", "  longer  100"]
