from __future__ import annotations

import pytest

from streamrnn.connectors.schema import find_schema
from streamrnn.connectors.text import BadCellError
from streamrnn.errors import DataError, SettingsError


def schema_of(table, **options):
    names, *rows = [line.split(",") for line in table.splitlines()]
    return find_schema(names, rows, "table.csv", **options)


@pytest.mark.parametrize(
    "name", ["time", "Time", "TIMESTAMP", "date", "DateTime", "date_time", "ts", "Time Stamp"]
)
def test_a_column_named_like_a_time_is_the_time(name):
    found = schema_of(f"started,{name},v\n2021-01-01,2022-01-01,1")
    assert found.names[found.time] == name
    assert found.channels == ("v",)
    assert found.left_out == ("started",)


def test_otherwise_the_first_column_of_times_is_the_time():
    found = schema_of("v,note,when,until\n1,x,2022-01-01T00:00:00,2023-01-01")
    assert found.names[found.time] == "when"


def test_without_times_there_is_no_time():
    found = schema_of("a,b\n1,2")
    assert found.time is None
    assert found.channels == ("a", "b")


def test_a_time_column_may_start_with_missing_times():
    assert schema_of("time,v\n,1\n,2\n2022-01-01,3").time == 0


def test_columns_can_be_named():
    found = schema_of("start,end,a,b\n2022-01-01,2022-01-02,1,2", time="end", values=["b", "a"])
    assert found.names[found.time] == "end"
    assert found.channels == ("b", "a")


def test_the_time_can_be_refused():
    found = schema_of("time,v\n5,1", time="none")
    assert found.time is None
    assert found.channels == ("time", "v")


def test_text_and_unnamed_columns_are_left_out():
    found = schema_of(",time,v,note,empty\n0,2022-01-01,1.5,ok,\n1,2022-01-02,,2,")
    assert found.channels == ("v", "note") or found.channels == ("v",)
    assert "" in found.left_out
    assert "empty" in found.left_out


def test_a_column_of_numbers_with_some_text_stays_one_so_that_the_text_is_reported():
    assert schema_of("v\n1\n2\nERR\n3").channels == ("v",)


@pytest.mark.parametrize("option", [{"time": "tme"}, {"values": ["vlow"]}])
def test_a_column_that_does_not_exist_is_refused_with_the_nearest_one(option):
    with pytest.raises(SettingsError, match=r"has no column .*did you mean .*its columns are 'time', 'flow'"):
        schema_of("time,flow\n2022-01-01,1", **option)


def test_a_column_has_one_role():
    with pytest.raises(SettingsError, match="both time and value"):
        schema_of("time,v\n2022-01-01,1", values=["time", "v"])
    with pytest.raises(SettingsError, match="twice"):
        schema_of("time,v\n2022-01-01,1", values=["v", "v"])


@pytest.mark.parametrize("time", [None, "ts"])
def test_times_that_are_numbers_are_refused_with_a_way_out(time):
    with pytest.raises(BadCellError, match="'1647770400' is a number; write times as .* none") as caught:
        schema_of("ts,v\n,1\n1647770400,1", time=time)
    assert caught.value.index == 1


def test_times_of_another_form_are_refused():
    with pytest.raises(BadCellError, match="'24/03/2022' is not a date or time of ISO 8601"):
        schema_of("date,v\n24/03/2022,1")


def test_a_table_without_numbers_is_refused():
    with pytest.raises(DataError, match="no column holds numbers .*'a', 'b'"):
        schema_of("a,b\nx,y")
    with pytest.raises(DataError, match="has no name"):
        schema_of(",b\n1,y")
