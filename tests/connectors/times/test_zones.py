from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from times_support import SECOND, nanoseconds, ns, quiet, read

from streamrnn.connectors.times.finding import find_clock, find_readings
from streamrnn.connectors.times.formats import Reading, parse_format
from streamrnn.connectors.times.reader import TimeReader
from streamrnn.errors import SettingsError
from streamrnn.kernels.plan import NO_TIME

FOLD = [f"2024-10-27 {clock}" for clock in ("01:30", "02:00", "02:30", "02:00", "02:30", "03:00")]


def test_a_fold_is_read_forward_and_its_second_pass_is_the_second_time():
    times, reasons = read(FOLD, Reading(("iso",)), tz="Europe/Berlin")
    assert np.diff(times).tolist() == [1800 * SECOND] * 5 and not reasons
    assert times[0] == ns("2024-10-26T23:30")


def test_an_hour_that_is_written_twice_is_two_hours():
    clocks = ["01:00", "02:00", "02:00", "03:00"]
    times, _ = read([f"27.10.2024 {c}" for c in clocks], parse_format("%d.%m.%Y %H:%M"), "Europe/Berlin")
    assert np.diff(times).tolist() == [3600 * SECOND] * 3


def test_a_late_row_does_not_turn_a_fold_back():
    cells = ["2024-10-27 02:30", "2024-10-27 02:00", "2024-10-27 01:00", "2024-10-27 02:10"]
    times, _ = read(cells, Reading(("iso",)), "Europe/Berlin")
    assert times[3] - times[1] == 600 * SECOND


def test_folds_are_settled_for_each_series_alone():
    cells = [cell for cell in FOLD for _ in range(2)]
    times, _ = read(cells, Reading(("iso",)), tz="Europe/Berlin", series=[4, 1] * len(FOLD))
    assert np.diff(times[::2]).tolist() == np.diff(times[1::2]).tolist() == [1800 * SECOND] * 5


@quiet
@given(st.lists(st.tuples(st.sampled_from([*FOLD, "", "x"]), st.integers(0, 2)), max_size=20), st.data())
def test_how_rows_are_cut_into_calls_changes_nothing(rows, data):
    cells, series = [cell for cell, _ in rows], np.array([code for _, code in rows], np.int32)
    cuts = [0, *sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=5))), len(rows)]
    reader = TimeReader(Reading(("iso",)), "Europe/Berlin")
    parts = [reader.read([cells[a:b]], series[a:b])[0] for a, b in pairwise(cuts)]
    whole = TimeReader(Reading(("iso",)), "Europe/Berlin").read([cells], series)[0]
    assert np.concatenate(parts).tolist() == whole.tolist()


def test_a_time_that_clocks_skip_is_refused_with_the_zone_to_use():
    times, reasons = read(["2024-03-31 02:30"], Reading(("iso",)), tz="Europe/Berlin")
    assert times[0] == NO_TIME and "never was in Europe/Berlin" in reasons[0]
    assert "--tz +01:00" in reasons[0]
    times, reasons = read(["2024-03-31 02:30"], Reading(("iso",)), tz="+01:00")
    assert times[0] == ns("2024-03-31T01:30") and not reasons
    assert "--tz -03:30" in read(["2024-03-10 02:30"], Reading(("iso",)), tz="America/St_Johns")[1][0]


def test_offsets_in_cells_win_over_the_zone_and_may_change():
    cells = ["2024-10-27T02:30+02:00", "2024-10-27T02:30+01:00", "2024-10-27 03:30"]
    times, _ = read(cells, Reading(("iso",)), tz="Europe/Berlin")
    assert np.diff(times).tolist() == [3600 * SECOND] * 2


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("Europe/Berln", "Europe/Berlin"),
        ("europe/berlin", "Europe/Berlin"),
        ("Berlin", "Europe/Berlin"),
        ("new york", "America/New_York"),
        ("../etc/passwd", "give one such as"),
        ("+25:00", "give one such as"),
        ("\x00", "give one such as"),
        ("Europe", "Europe"),
    ],
)
def test_an_unknown_zone_is_refused_with_the_nearest(name, hint):
    with pytest.raises(SettingsError, match="is not a time zone") as caught:
        TimeReader(Reading(("iso",)), name)
    assert hint in str(caught.value)


def test_a_machine_without_zones_says_so(monkeypatch):
    monkeypatch.setattr("zoneinfo.available_timezones", set)
    with pytest.raises(SettingsError, match="install the package tzdata"):
        TimeReader(Reading(("iso",)), "Mars/Phobos")


@pytest.mark.parametrize("tz", [None, "UTC", "Z", "+00:00", "Etc/UTC"])
def test_the_zone_of_the_machine_changes_nothing(monkeypatch, tz):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert read(["10 may 2004"], parse_format("%d %B %Y"), tz)[0].tolist() == [ns("2004-05-10")]
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("tz", ["Europe/Berlin", "Pacific/Apia", "-12:00"])
def test_the_ends_of_the_range_do_not_wrap_in_any_zone(tz):
    times, reasons = read(["1678-01-01", "2261-12-31 24:00"], Reading(("iso",)), tz)
    assert abs(times - [ns("1678-01-01"), ns("2262-01-01")]).max() < 86_400 * SECOND and not reasons


@settings(quiet, max_examples=300)
@given(*(st.integers(0, most) for most in (2300, 13, 32, 25, 61, 61)))
def test_exactly_the_dates_and_times_that_there_are_can_be_read(year, month, day, hour, minute, second):
    year += 1600 if year < 700 else 0
    cell = f"{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}"
    times, reasons = read([cell], Reading(("iso",)))
    try:
        instant = datetime(year, month, day, hour % 24, minute, second, tzinfo=UTC)
        right = 1678 <= year <= 2261 and (hour < 24 or (hour == 24 and minute == second == 0))
    except ValueError:
        right = False
    if right:
        assert times[0] == nanoseconds(instant + timedelta(days=hour // 24)) and not reasons
    else:
        assert times[0] == NO_TIME and reasons


ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia"]
FAMILIES = [
    "%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%dT%H:%M:%S.%f", "%Y%m%dT%H%M%S,%f", "%Y/%m/%d %H:%M:%S.%f",
    "%d/%m/%Y %H.%M.%S.%f", "%m/%d/%Y %I:%M:%S.%f %p", "%d.%m.%Y %H:%M:%S.%f", "%d-%b-%Y %H:%M:%S.%f",
    "%B %d, %Y %I:%M:%S.%f %p", "%a, %d %b %Y %H:%M:%S.%f", "%H:%M:%S.%f %d.%m.%Y",
]  # fmt: skip
instants = st.datetimes(datetime(1678, 1, 3), datetime(2261, 12, 29)).map(lambda t: t.replace(tzinfo=UTC))


def spelled(instant, text):
    """As strftime writes it, with years of four digits."""
    return instant.strftime(text.replace("%Y", f"{instant.year:04}"))


@quiet
@given(instants, st.sampled_from(FAMILIES), st.sampled_from(ZONES))
def test_any_instant_survives_any_format_in_any_zone(instant, text, zone):
    local = instant.astimezone(ZoneInfo(zone))
    cell = spelled(local, text)
    expected = nanoseconds(local.replace(fold=0).astimezone(UTC))  # alone, a fold is its first time
    readings = find_readings([cell])
    assert expected in [int(read([cell], reading, tz=zone)[0][0]) for reading in readings]
    assert read([cell], parse_format(text if "%Y%m%dT" not in text else "iso"), zone)[0][0] == expected


@quiet
@given(instants, st.sampled_from(FAMILIES), st.integers(-14 * 60, 14 * 60))
def test_any_instant_survives_any_offset(instant, text, minutes):
    local = instant.astimezone(timezone(timedelta(minutes=minutes)))
    cell = spelled(local, f"{text} %z")
    readings = find_readings([cell])
    assert nanoseconds(instant) in [int(read([cell], reading, tz="Asia/Tokyo")[0][0]) for reading in readings]


@quiet
@given(st.integers(0, ns("2261-12-31")), st.sampled_from([("s", 9), ("ms", 6), ("us", 3), ("ns", 0)]))
def test_any_epoch_survives_as_decimal_text(instant, unit):
    name, digits = unit
    whole, rest = divmod(instant, 10**digits)
    cell = f"{whole}.{rest:0{digits}}" if digits else str(whole)
    assert read([cell], Reading((name,)))[0].tolist() == [instant]


@quiet
@given(instants, st.sampled_from(ZONES[1:]))
def test_hours_around_every_instant_are_read_as_the_zone_database_has_them(instant, zone):
    info = ZoneInfo(zone)
    steps = [instant.replace(second=0, microsecond=0) + timedelta(minutes=30 * i) for i in range(200)]
    cells = [step.astimezone(info).strftime("%Y-%m-%d %H:%M:%S") for step in steps]
    times, reasons = read(cells, Reading(("iso",)), tz=zone)
    assert times.tolist() == [nanoseconds(step) for step in steps] and not reasons


cells_of_all_kinds = st.one_of(
    st.text(max_size=30),
    st.text("0123456789-/.: TZ+,apmn", max_size=24),
    st.sampled_from(["2010-01-01", "1/2/10", "99999999", "NA", "\ud800", "1" * 400]),
)


@quiet
@given(
    st.lists(cells_of_all_kinds, max_size=8), st.sampled_from(["iso", "s", "ns", "excel", "%d/%m/%Y %H:%M"])
)
def test_no_text_makes_anything_fail(cells, text):
    series = np.zeros(len(cells), np.int32)
    for reading in [parse_format(text), *find_readings(cells), find_clock(cells)]:
        if reading is not None:
            times, reasons = TimeReader(reading, "Europe/Berlin").read([cells], series)
            assert (times[list(reasons)] == NO_TIME).all()
            assert all(message.isprintable() for message in reasons.values())
    parts = ("year", "month", "day", "hour", "minute", "second")
    times, _ = TimeReader(Reading((), parts)).read([cells] * 6, series)
    assert len(times) == len(cells)


@quiet
@given(st.text(max_size=20) | st.text("%YmdHMSfz- ", max_size=12))
def test_no_format_fails_but_by_a_settings_error(text):
    try:
        parse_format(text)
    except SettingsError as error:
        message = str(error)
    else:
        message = ""
    assert message.isprintable()
