"""Which columns make a clock, how they are read, and whether rows follow it; made-up files of each kind."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import EPOCH, ISO, Case, N, V, check, stamps, table, wave

from streamrnn.connectors.tables.clock import Clock
from streamrnn.connectors.times.formats import Reading
from streamrnn.connectors.times.reader import TimeReader

DAYS = [f"2024-01-{day:02}" for day in (13, 14, 15) for _ in range(24)]
HOURS = [str(hour) for _ in range(3) for hour in range(24)]
W = wave(n=72)
TIMES = [
    Case(
        "epoch seconds",
        "timestamp,v\n" + table([str(EPOCH + 600 * i) for i in range(N)], V),
        time="timestamp",
        reading="epoch seconds",
    ),
    Case(
        "epoch seconds with fractions",
        "timestamp,v\n" + table([f"{EPOCH + 600 * i}.250" for i in range(N)], V),
        time="timestamp",
        reading="epoch seconds",
        at="2024-01-29T22:00:00.250",
    ),
    Case(
        "epoch milliseconds as floats",
        "ts,v\n" + table([f"{EPOCH + 600 * i}000.0" for i in range(N)], V),
        time="ts",
        reading="epoch milliseconds",
    ),
    Case(
        "epoch seconds in powers of ten",
        "time,v\n" + table([f"{EPOCH + 600 * i:.9E}" for i in range(N)], V),
        reading="epoch seconds",
    ),
    Case(
        "epoch nanoseconds",
        "time,v\n" + table([f"{EPOCH + 600 * i}000000000" for i in range(N)], V),
        reading="epoch nanoseconds",
    ),
    Case(
        "halves of the day",
        "Date,v\n" + table(stamps("%m/%d/%Y %I:%M:%S %p"), V),
        time="Date",
        reading="%m/%d/%Y %I:%M:%S %p (month first)",
    ),
    Case(
        "midnight as 24:00",
        "date;clock;v\n" + table(DAYS, [f"{int(hour) + 1:02}:00" for hour in HOURS], W, sep=";"),
        time="date, clock",
        reading="%Y-%m-%d %H:%M",
        at="2024-01-13T01:00",
        n=72,
        format="UTF-8, semicolons, header in line 1",
    ),
    Case(
        "a date and the hour that ends",
        "date,HE,v\n" + table(DAYS, [str(int(hour) + 1) for hour in HOURS], W),
        time="date, HE",
        reading="ISO 8601, hour",
        at="2024-01-13T01:00",
        n=72,
    ),
    Case(
        "a date and an hour without names",
        table(DAYS, HOURS, W),
        time="column_1, column_2",
        reading="ISO 8601, hour",
        values="column_3",
        at="2024-01-13",
        n=72,
        format="UTF-8, commas, no header",
    ),
    Case(
        "year, month, day and hour",
        "No,year,month,day,hour,v\n"
        + table(map(str, range(1, 73)), ["2024"] * 72, ["1"] * 72, [day[-2:] for day in DAYS], HOURS, W),
        time="year, month, day, hour",
        reading="year, month, day, hour",
        at="2024-01-13",
        n=72,
        left_out={"No": "counts rows"},
    ),
    Case(
        "the day of the year",
        "year,doy,hour,v\n" + table(["2024"] * 72, [day[-2:] for day in DAYS], HOURS, W),
        time="year, doy, hour",
        reading="year, yearday, hour",
        at="2024-01-13",
        n=72,
    ),
    Case(
        "the day of the year and hours with minutes",
        "Year,Day,HHMM,v\n"
        + table(["2024"] * 72, [day[-2:] for day in DAYS], [f"{hour}30" for hour in HOURS], W),
        time="Year, Day, HHMM",
        reading="year, yearday, hhmm",
        at="2024-01-13T00:30",
        n=72,
    ),
    Case(
        "a date and hours with minutes",
        "date,time,v\n" + table(stamps("%Y%m%d"), [str(int(x)) for x in stamps("%H%M")], V),
        time="date, time",
        reading="%Y%m%d, hhmm",
    ),
    Case(
        "what repeats the time",
        "time,v,hour,weekday\n" + table(ISO, V, stamps("%H"), stamps("%w")),
        left_out={"hour": "a part of the time", "weekday": "a part of the time"},
    ),
    Case(
        "two times",
        "created_at,updated_at,v\n" + table(stamps("%Y-%m-%dT%H:%M:%SZ"), ["2024-02-11T10:00:00Z"] * N, V),
        time="created_at",
        left_out={"updated_at": "a time"},
    ),
    Case(
        "the end before the start",
        "end_time,start_time,v\n" + table(ISO[1:], ISO[:-1], V[1:]),
        time="start_time",
        first=(20.1,),
        n=N - 1,
        left_out={"end_time": "a time"},
    ),
    Case(
        "offsets that change",
        "time,v\n"
        + table(
            [
                x.replace(" ", "T") + ("+01:00" if i < 20 else "+02:00")
                for i, x in enumerate(stamps(step_s=7200))
            ],
            V,
        ),
        at="2024-01-29T21:00",
    ),
    Case(
        "months",
        "Month,v\n" + table([f"{1949 + i // 12}-{i % 12 + 1:02}" for i in range(N)], V),
        time="Month",
        at="1949-01-01",
    ),
    Case(
        "no clock, rows counted",
        "timestamp,value,is_anomaly\n" + table(map(str, range(1, 41)), V, ["0"] * 38 + ["1", "0"]),
        time=None,
        at=None,
        values="value",
        label="is_anomaly",
        labels=1,
        left_out={"timestamp": "counts rows, no clock"},
    ),
    Case(
        "seconds since the start",
        "Time (s),v\n" + table([f"{i * 0.002:.3f}" for i in range(N)], V),
        time=None,
        at=None,
        left_out={"Time (s)": "counts up, no date; to read it as s: --time 'Time (s)' --time-format s"},
    ),
    Case(
        "Excel's days",
        "date,v\n" + table([f"{45000 + i * i / 24:.6f}" for i in range(N)], V),
        time=None,
        at=None,
        left_out={"date": "no date; if it is Excel's number of a day: --time 'date' --time-format excel"},
    ),
    Case(
        "times of day alone",
        "time,v\n" + table(stamps("%H:%M:%S", step_s=5), V),
        time=None,
        at=None,
        left_out={"time": "a time of day without a date"},
    ),
    Case(
        "an even ramp without a name",
        table([f"{i * 0.05:.2f}" for i in range(N)], V),
        time=None,
        at=None,
        values="column_2",
        format="UTF-8, commas, no header",
        left_out={"column_1": "goes up by 0.05 from row to row"},
    ),
    Case(
        "a day in a row",
        "Date,"
        + ",".join(f"{h:02}:00" for h in range(12))
        + "\n"
        + table(stamps("%Y-%m-%d", step_s=86_400), *[V] * 12),
        time="Date",
        values=", ".join(f"{h:02}:00" for h in range(12)),
        first=(20.0,) * 12,
        at="2024-01-29",
        notes=("write a row for each time first",),
    ),
]

ORDER = [
    Case(
        "some rows late",
        "time,v\n" + table([ISO[i ^ 1] if i % 8 < 2 else ISO[i] for i in range(N)], V),
        at="2024-01-29T22:10",
        notes=("times go back in 13% of the steps, such rows are late; --sort",),
    ),
    Case(
        "series behind each other without a key",
        "time,v\n" + table(ISO, V) + table(ISO, V),
        n=80,
        notes=("times start again further down",),
    ),
    Case(
        "a time for two rows",
        "time,v\n" + table([ISO[i // 2] for i in range(N)], V),
        notes=("times repeat in 51% of the steps, such rows are duplicates",),
    ),
]


@pytest.mark.parametrize("case", [*TIMES, *ORDER], ids=lambda case: case.name.replace(" ", "_"))
def test_which_columns_make_a_clock_is_found_out(case, tmp_path):
    check(case, tmp_path / "table.csv")


READINGS = [
    (Reading(("iso",)), 1),
    (Reading(("s",)), 1),
    (Reading(("ms",)), 1000),
    (Reading(("us",)), 1),
    (Reading(("ns",)), 1),
    (Reading(("excel",)), 1_000_000_000),
    (Reading(("%d.%m.%Y %H:%M:%S",)), 1_000_000_000),
    (Reading(("%m/%d/%Y %I:%M:%S %p",)), 1_000_000_000),
    (Reading(("%Y/%m/%d %H:%M:%S.%f %z",)), 1000),
    (Reading(("%d/%m/%Y %H.%M.%S",), ("date", "clock")), 1_000_000_000),
    (Reading(("iso",), ("date", "hour")), 3_600_000_000_000),
    (Reading(("iso",), ("date", "hhmm")), 60_000_000_000),
    (Reading((), ("year", "month", "day", "hour", "minute", "second")), 1_000_000_000),
    (Reading((), ("year", "yearday", "hhmm")), 60_000_000_000),
]


@pytest.mark.parametrize(
    ("reading", "unit"), READINGS, ids=lambda x: str(getattr(x, "describe", lambda: x)())
)
@pytest.mark.parametrize("tz", [None, "Asia/Kolkata"])
@given(times=st.lists(st.integers(0, 4_000_000_000_000_000_000), min_size=1, max_size=5))
@settings(max_examples=15)
def test_times_that_are_written_as_a_table_does_are_read_as_the_same(reading, unit, tz, times):
    half_hour = 1_800_000_000_000 if unit > 1_800_000_000_000 and tz else 0  # Kolkata is half an hour off
    instants = np.array(times, np.int64) // unit * unit + half_hour
    cells = Clock(tuple(range(len(reading.parts) or 1)), reading).write(instants, tz)
    read, bad = TimeReader(reading, tz).read(cells, np.zeros(len(times), np.int32))
    assert bad == {}
    assert read.tolist() == instants.tolist()
