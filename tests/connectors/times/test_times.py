from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from times_support import SECOND, found, nanoseconds, ns, read

from streamrnn.connectors.times.finding import find_clock, find_epoch, find_readings
from streamrnn.connectors.times.formats import Reading, joined, parse_format
from streamrnn.errors import SettingsError
from streamrnn.kernels.plan import NO_TIME


@pytest.mark.parametrize(
    ("cell", "formats", "expected"),
    [
        ("2010-01-02T03:04:05Z", "iso", "2010-01-02T03:04:05"),
        ("2010-01-02 03:04:05", "iso", "2010-01-02T03:04:05"),
        ("2010-01-02 03:04", "iso", "2010-01-02T03:04"),
        ("2010-01-02 03", "iso", "2010-01-02T03:00"),
        ("2010-01-02t03:04:05.5z", "iso", "2010-01-02T03:04:05.5"),
        ("2010-01-02 03:04:05,123456789", "iso", "2010-01-02T03:04:05.123456789"),
        ("2010-01-02 03:04:05.1234567899", "iso", "2010-01-02T03:04:05.123456789"),
        ("2010-01-02T03:04:05+01:00", "iso", "2010-01-02T02:04:05"),
        ("2010-01-02T03:04:05+0100", "iso", "2010-01-02T02:04:05"),
        ("2010-01-02T03:04:05 -03", "iso", "2010-01-02T06:04:05"),
        ("2010-01-02 03:04:05 UTC", "iso", "2010-01-02T03:04:05"),
        ("2010-01-02 03:04:05 UTC+01:00", "iso", "2010-01-02T02:04:05"),
        ("2010-01-02", "iso", "2010-01-02"),
        ("2010-1-2 3:04", "iso", "2010-01-02T03:04"),
        ("2010-02", "iso", "2010-02-01"),
        ("20100102T030405Z", "iso", "2010-01-02T03:04:05"),
        ("20100102T0304", "iso", "2010-01-02T03:04"),
        (" 2010-01-02 ", "iso", "2010-01-02"),
        ("2010/01/02 03:04", "%Y/%m/%d %H:%M", "2010-01-02T03:04"),
        ("2010.01.02", "%Y.%m.%d", "2010-01-02"),
        ("2010-01-02 03:04:05 PM", "%Y-%m-%d %I:%M:%S %p", "2010-01-02T15:04:05"),
        ("20100102", "%Y%m%d", "2010-01-02"),
        ("201001020304", "%Y%m%d%H%M", "2010-01-02T03:04"),
        ("20100102030405", "%Y%m%d%H%M%S", "2010-01-02T03:04:05"),
        ("10.03.2004 18.00.00", "%d.%m.%Y %H.%M.%S", "2004-03-10T18:00"),
        ("10.03.2004, 18:00", "%d.%m.%Y, %H:%M", "2004-03-10T18:00"),
        ("10.03.04", "%d.%m.%y", "2004-03-10"),
        ("13/03/2004 18:00:00.250", "%d/%m/%Y %H:%M:%S.%f", "2004-03-13T18:00:00.250"),
        ("13/3/2004 6:00pm", "%d/%m/%Y %I:%M%p", "2004-03-13T18:00"),
        ("3/13/2004 12:00:00 a.m.", "%m/%d/%Y %I:%M:%S %p", "2004-03-13"),
        ("3/13/2004, 6:00:00\u202fPM", "%m/%d/%Y, %I:%M:%S %p", "2004-03-13T18:00"),
        ("13-03-2004 18:00 +01:00", "%d-%m-%Y %H:%M %z", "2004-03-13T17:00"),
        ("18:00 10.03.2004", "%H:%M %d.%m.%Y", "2004-03-10T18:00"),
        ("10-Mar-2004", "%d-%b-%Y", "2004-03-10"),
        ("10-MAR-04 18:00", "%d-%b-%y %H:%M", "2004-03-10T18:00"),
        ("10 march 2004", "%d %b %Y", "2004-03-10"),
        ("10MAR2004:18:00:00", "%d%b%Y:%H:%M:%S", "2004-03-10T18:00"),
        ("Mar 10, 2004 6:00 PM", "%b %d, %Y %I:%M %p", "2004-03-10T18:00"),
        ("Sept. 10, 2004", "%b. %d, %Y", "2004-09-10"),
        ("2004-Mar-10", "%Y-%b-%d", "2004-03-10"),
        ("Wed, 10 Mar 2004 18:00:00 GMT", "%a, %d %b %Y %H:%M:%S %z", "2004-03-10T18:00"),
        ("Wednesday 10 March 2004 18:00 CET", "%a %d %b %Y %H:%M %z", "2004-03-10T17:00"),
        ("Wed Mar 10 18:00:00 2004", "%a %b %d %H:%M:%S %Y", "2004-03-10T18:00"),
        ("Wed Mar  3 18:00:00 UTC 2004", "%a %b %d %H:%M:%S %z %Y", "2004-03-03T18:00"),
        ("10/Oct/2000:13:55:36 -0700", "%d/%b/%Y:%H:%M:%S %z", "2000-10-10T20:55:36"),
        ("2004-03-10_18-00-00", "%Y-%m-%d_%H-%M-%S", "2004-03-10T18:00"),
        ("20040310_180000", "%Y%m%d_%H%M%S", "2004-03-10T18:00"),
        ("20040310 1800", "iso", "2004-03-10T18:00"),
        ("20040310180000.5Z", "%Y%m%d%H%M%S.%f%z", "2004-03-10T18:00:00.5"),
        ("March 10th, 2004", "%b %d, %Y", "2004-03-10"),
        ("2004-03-10T18:00+01:00[Europe/Berlin]", "iso", "2004-03-10T17:00"),
        ("2004-03-10 18:00:00.000000000 +0100 CET", "iso", "2004-03-10T17:00"),
        (
            "Wed Mar 10 2004 18:00:00 GMT+0100 (Central European Standard Time)",
            "%a %b %d %Y %H:%M:%S %z",
            "2004-03-10T17:00",
        ),
        ("2010-01-01 24:00", "iso", "2010-01-02"),
        ("31/12/2010 24:00:00", "%d/%m/%Y %H:%M:%S", "2011-01-01"),
    ],
)
def test_a_cell_is_found_and_read(cell, formats, expected):
    assert found(cell) == [(formats,)]
    times, reasons = read([cell], find_readings([cell])[0])
    assert (times.tolist(), reasons) == ([ns(expected)], {})


@pytest.mark.parametrize("order", ["%d/%m/%Y", "%m/%d/%Y", "%m-%d-%Y %H:%M", "%d-%m-%y"])
def test_day_and_month_are_told_apart_by_a_day_over_twelve(order):
    days = [datetime(2031, 3, 1, tzinfo=UTC) + timedelta(days=i) for i in range(40)]
    cells = [day.strftime(order) for day in days]
    assert found(*cells) == [(order,)]
    assert read(cells, parse_format(order))[0].tolist() == [nanoseconds(day) for day in days]


@pytest.mark.parametrize(
    ("cells", "orders"),
    [
        (["01/02/2011", "12/12/2011"], "dm"),
        (["1-2-2011 10:00", "1-2-2011 11:00"], "dm"),
        (["01/02/03"], "dmy"),
        (["13/02/03"], "dy"),
        (["99/02/03"], "y"),
    ],
)
def test_what_a_sample_leaves_open_is_not_guessed(cells, orders):
    words = {"d": "(day first)", "m": "(month first)", "y": "(year first)"}
    said = [reading.describe() for reading in find_readings(cells)]
    assert [text[text.index("(") :] for text in said] == [words[order] for order in orders]


def test_a_typing_error_does_not_open_an_order_that_the_sample_decides():
    cells = [f"{1 + i % 28:02}/02/2011" for i in range(200)]
    assert found(*cells, "02/13/2011") == [("%d/%m/%Y",)]


def test_a_sample_in_which_both_orders_occur_is_open():
    assert len(found(*["13/02/2011", "02/14/2011", "01/01/2011"] * 10)) == 2


def test_compatible_formats_of_one_column_are_one_reading():
    assert found("2024-01-01 00:00:00", "2024-01-01 00:00:00.5", "2024-01-01") == [("iso",)]
    cells = ["1/31/2011", "1/31/2011 0:15", "1/31/2011 0:30"]
    assert found(*cells) == [("%m/%d/%Y %H:%M", "%m/%d/%Y")]
    times, _ = read(cells, find_readings(cells)[0])
    assert np.diff(times).tolist() == [900 * SECOND] * 2


@pytest.mark.parametrize(
    "cells",
    [
        [],
        ["", "NA"],
        ["now"],
        ["today"],
        ["NaT"],
        ["1", "2", "3"],
        ["1469376000"],
        ["20101345"],
        ["20100101", "12345678"],
        ["18:00"],
        ["1.5", "2.25"],
        ["10.0.0.1"],
        ["1.2.10"],
        ["1-2-10"],
        ["120/80"],
        ["31/31/2011"],
        ["may"],
        ["pump 7", "2010-01-01", "pump 8"],
        ["1500-01-01"],
        ["2010-060"],
        ["\u0662\u0660\u0661\u0660-\u0660\u0661-\u0660\u0661"],
    ],
)
def test_what_is_no_date_is_not_taken_for_one(cells):
    assert find_readings(cells) == []


def test_half_of_the_cells_decide_that_a_column_holds_times_and_missing_ones_do_not_count():
    assert found("2010-01-01", "offline", "", "NA", "null") == [("iso",)]


@pytest.mark.parametrize(
    ("cells", "formats"),
    [
        (["18:00", "9:00"], ("%H:%M",)),
        (["18.00.00"], ("%H.%M.%S",)),
        (["6:00 PM", "6 PM"], ("%I:%M %p", "%I %p")),
        (["18:00:00.250", "18:00:00"], ("%H:%M:%S.%f", "%H:%M:%S")),
        (["24:00", "", "23:45"], ("%H:%M",)),
        (["0030", "1800"], ("%H%M",)),
        (["003000", "180000"], ("%H%M%S",)),
        (["09.30", "18.00"], ("%H.%M",)),
    ],
)
def test_a_column_of_times_of_day_is_found(cells, formats):
    assert find_clock(cells) == Reading(formats, ("clock",))


@pytest.mark.parametrize(
    "cells",
    [
        [],
        ["1800"],
        ["18.00", "19.25"],
        ["0030", "0099"],
        ["25:00"],
        ["2010-01-01"],
        ["x"],
        ["18"],
        ["10-11-12"],
        ["10.11.12"],
    ],
)
def test_what_might_be_a_number_is_no_time_of_day(cells):
    assert find_clock(cells) is None


def test_dates_beside_times_of_day_are_read_as_one():
    dates, clocks = ["13/03/2004", "13/03/2004", "", "13/03/2004"], ["18.00.00", "24.00.00", "18.00.00", "x"]
    date = find_readings(dates)[0]
    assert date.dates_only and not find_readings(["2010-01-01 00:00"])[0].dates_only
    times, reasons = read([dates, clocks], joined(date, find_clock(clocks)))
    assert times.tolist() == [ns("2004-03-13T18:00"), ns("2004-03-14"), NO_TIME, NO_TIME]
    assert list(reasons) == [3] and reasons[3].startswith("'13/03/2004 x' is not a time written as")


def test_columns_of_parts_are_read_and_each_wrong_row_says_why():
    columns = {
        "year": ["2010", "2010.0", "2010", "2010", "NA", "2010", "201"],
        "month": ["1", "02", "12", "13", "1", "x", "1"],
        "day": ["1", "28", "31", "1", "1", "1", "1"],
        "hour": ["0", "5", "24", "0", "0", "0", "0"],
        "second": ["0", "1.25", "0", "0", "0", "0", "0"],
    }
    times, reasons = read(list(columns.values()), Reading((), tuple(columns)))
    expected = [ns("2010-01-01"), ns("2010-02-28T05:00:01.25"), ns("2011-01-01")]
    assert times.tolist() == [*expected, *[NO_TIME] * 4]
    assert {i: text[text.index("time: ") + 6 : text.index(";")] for i, text in reasons.items()} == {
        3: "its month is 13",
        5: "'x' is no month",
        6: "its year is 201 (from 1678 to 2261 can be read)",
    }


def test_hours_as_numbers_beside_a_date_and_days_of_a_year():
    assert read([["2011-01-01"], ["23"]], Reading(("iso",), ("date", "hour")))[0][0] == ns("2011-01-01T23")
    reading = Reading(("%H%M",), ("year", "yearday", "clock"))
    assert read([["2012"], ["366"], ["0130"]], reading)[0][0] == ns("2012-12-31T01:30")
    assert read([["2011"], ["366"], ["0130"]], reading)[1]


@pytest.mark.parametrize(
    ("cell", "unit", "expected"),
    [
        ("1469376000", "s", 1469376000 * SECOND),
        ("1469376000.123456789", "s", 1469376000123456789),
        ("1469376000,5", "s", 1469376000500000000),
        ("1.469376e9", "s", 1469376000 * SECOND),
        ("1469376000123", "ms", 1469376000123000000),
        ("1469376000123.4567", "ms", 1469376000123456700),
        ("1469376000123456", "us", 1469376000123456000),
        ("1469376000123456789", "ns", 1469376000123456789),
        ("0", "s", 0),
    ],
)
def test_epoch_counts_are_exact(cell, unit, expected):
    times, reasons = read([cell, ""], Reading((unit,)), tz="Europe/Rome")
    assert (times.tolist(), reasons) == ([expected, NO_TIME], {})


@pytest.mark.parametrize(
    "cell", ["-1", "1e30", "-1e-9", "99999999999", "1e999999999", "inf", "9" * 5000, "x"]
)
def test_negative_and_absurd_epoch_counts_are_refused(cell):
    times, reasons = read(["1469376000", cell], Reading(("s",)))
    assert times.tolist() == [1469376000 * SECOND, NO_TIME]
    assert list(reasons) == [1] and "epoch seconds" in reasons[1]


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("40179.0416666667", "2010-01-01T01:00"),
        ("40179.041666667", "2010-01-01T01:00"),
        ("40179", "2010-01-01"),
        ("25569.000011574", "1970-01-01T00:00:01"),
        ("132219.5", "2261-12-31T12:00"),
        ("132220", None),
        ("60", None),
        ("1e9", None),
    ],
)
def test_serial_days_of_excel_are_rounded_to_the_millisecond(cell, expected):
    times, reasons = read([cell], Reading(("excel",)))
    if expected is None:
        assert times[0] == NO_TIME and "Excel" in reasons[0]
    else:
        assert times[0] == ns(expected)


@pytest.mark.parametrize(("unit", "scale"), [("s", 1), ("ms", 1e3), ("us", 1e6), ("ns", 1e9)])
def test_the_unit_of_an_epoch_is_found(unit, scale):
    values = (1.469376e9 + 300 * np.arange(50)) * scale
    values[7] = np.nan
    assert find_epoch(values) == find_epoch(values[::-1]) == Reading((unit,))


@pytest.mark.parametrize(
    "values",
    [
        [],
        [np.nan],
        np.arange(100),
        [1e6, 2e6],
        [-1.5e9],
        [np.inf, np.inf],
        1e9 + 5e8 * np.sin(np.arange(99.0)),
    ],
)
def test_counters_and_measured_values_are_no_epoch(values):
    assert find_epoch(np.asarray(values, float)) is None


@pytest.mark.parametrize(
    "text", ["iso", "s", "ns", "excel", "%d/%m/%Y", "%m/%d/%y %I:%M %p|%m/%d/%y", "%Y%j"]
)
def test_a_format_that_is_given_is_the_reading_it_names(text):
    assert parse_format(text).option == text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is not known"),
        ("ISO8601", "is not known"),
        ("%Y-%m-%d %Q", "is not known"),
        ("%Y-%m-%d %", "is not known"),
        ("%c", "is not known"),
        ("%Y %Y", "one thing twice"),
        ("%Y-%d", "not the month"),
        ("%H:%M", "does not say the year"),
        ("%Y-%m-%d %I:%M", "%I and %p"),
        ("%Y-%m-%dT00:00", "a digit"),
        ("s|iso", "mixes"),
        ("\x1b[31m", r"'\\x1b\[31m' is not known"),
    ],
)
def test_a_format_that_cannot_be_read_is_refused_with_the_valid_ones(text, why):
    with pytest.raises(SettingsError, match=why) as caught:
        parse_format(text)
    assert "give iso, s, ms, us or ns" in str(caught.value) and "%Y" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "cell", "expected"),
    [
        ("%Y-%m-%dT%H:%M:%SZ", "2024-07-01T12:00:00Z", "2024-07-01T12:00"),  # a literal Z is UTC
        ("%F %T", "2024-07-01 12:00:00", "2024-07-01T10:00"),
        ("%e.%m.%y %k.%M", "1.7.24 12.00", "2024-07-01T10:00"),
        ("%Y年%m月%d日", "2024年7月2日", "2024-07-01T22:00"),
        ("100%% %Y", "", None),
        ("[%d/%b/%Y:%H:%M:%S %z]", "[01/Jul/2024:12:00:00 +0100]", "2024-07-01T11:00"),
    ],
)
def test_a_given_format_is_read_in_the_given_zone(text, cell, expected):
    if expected is None:
        with pytest.raises(SettingsError, match="a digit"):
            parse_format(text)
    else:
        times, reasons = read([cell], parse_format(text), tz="Europe/Berlin")
        assert (times.tolist(), reasons) == ([ns(expected)], {})


def test_years_of_two_digits_turn_at_69():
    times, _ = read(["01.01.69", "01.01.99", "01.01.00", "01.01.68"], parse_format("%d.%m.%y"))
    assert times.astype("M8[ns]").astype("M8[Y]").astype(str).tolist() == ["1969", "1999", "2000", "2068"]


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        ("2010-13-01", "'2010-13-01' is no time: its month is 13; correct it"),
        ("2011-02-29", "its day is 29"),
        ("2010-01-01 24:01", "its hour is 24"),
        ("2010-01-01 12:60", "its minute is 60"),
        ("2010-01-01 12:00:60", "its second is 60"),
        ("2010-01-01 12:00+99:00", "its offset"),
        ("1500-01-01", "its year is 1500 (from 1678 to 2261"),
        ("9999-12-31", "its year is 9999"),
        ("now", "'now' is not a time written as ISO 8601; correct it"),
        ("\x1b[31m", r"'\x1b[31m' is not a time"),
    ],
)
def test_a_cell_that_cannot_be_read_says_why_beside_others_that_can(cell, why):
    times, reasons = read(["2010-01-01", cell, " na "], Reading(("iso",)))
    assert times.tolist() == [ns("2010-01-01"), NO_TIME, NO_TIME]
    assert list(reasons) == [1] and why in reasons[1]


@pytest.mark.parametrize("cell", ["1678-01-01", "2261-12-31T23:59:59.999999999", "2261-12-31T24:00"])
def test_the_first_and_the_last_year_are_whole(cell):
    text = cell.replace("2261-12-31T24:00", "2262-01-01")
    assert read([cell], Reading(("iso",)))[0].tolist() == [ns(text)]
