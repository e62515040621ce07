"""How tables are written: what is found, of made-up files with each trait."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest
from made_up import COMMA, DE, ISO, REST, Case, N, V, check, quoted, stamps, table, wave

from streamrnn.connectors.file import FileSource
from streamrnn.errors import DataError

LOGGERS = [
    Case(
        "a Campbell logger's four lines of header",
        '"TOA5","Station1","CR1000","1234","CR1000.Std","CPU:prog.CR1","4567","Table1"\n'
        '"TIMESTAMP","RECORD","BattV","AirTC"\n"TS","RN","Volts","Deg C"\n"","","Min","Avg"\n'
        + table(quoted(ISO), map(str, range(100, 140)), wave(12), V),
        time="TIMESTAMP",
        values="BattV, AirTC",
        first=(12.0, 20.0),
        format="UTF-8, commas, header in line 2",
        left_out={"RECORD": "counts rows"},
    ),
    Case(
        "a preamble of other widths and a footer with totals",
        "Serial:;12345\nModel:;XY-9;rev 2\nLocation;Plant A\n\nDate Time;Temp [°C];RH [%]\n"
        + table(DE, COMMA, wave(50, decimal=","), sep=";")
        + "Min;20,0;50,0\nMax;21,2;51,2\n",
        time="Date Time",
        reading="%d.%m.%Y %H:%M (day first)",
        values="Temp [°C], RH [%]",
        first=(20.0, 50.0),
        format="UTF-8, semicolons, decimal comma, header in line 5",
        rejected=2,
    ),
    Case(
        "comments above and below",
        "# logger v1\n# site, north\ntime,v\n" + table(ISO, V) + "# end of file\n",
        format="UTF-8, commas, header in line 3",
    ),
    Case(
        "names in a comment",
        "# time v\n" + table(stamps("%Y-%m-%dT%H:%M:%S"), V, sep=" "),
        format="UTF-8, spaces, header in line 1",
    ),
    Case(
        "names in a comment of MATLAB",
        "% time v\n" + table(stamps("%Y-%m-%dT%H:%M:%S"), V, sep=" "),
        format="UTF-8, spaces, header in line 1",
    ),
    Case(
        "several rows of names",
        "site,A,A,B\nvar,temp,rh,temp\ntime,,,\n" + table(ISO, V, wave(3), wave(5)),
        values="temp, rh, temp.2",
        first=(20.0, 3.0, 5.0),
        format="UTF-8, commas, header in line 3",
    ),
    Case(
        "a row of units",
        "time,v,p\n,°C,hPa\n" + table(ISO, V, wave(1013)),
        values="v, p",
        first=(20.0, 1013.0),
    ),
    Case(
        "a row of units in brackets",
        "time,v,p\n(s),(rpm),(kW)\n" + table(ISO, V, wave(3)),
        values="v, p",
        first=(20.0, 3.0),
    ),
    Case(
        "units in the names",
        "time [s],v [°C],p [Pa]\n" + table(ISO, V, wave(3)),
        time="time [s]",
        values="v [°C], p [Pa]",
        first=(20.0, 3.0),
    ),
    Case(
        "units in the cells",
        "time,v,p\n" + table(ISO, [f"{x} °C" for x in V], [f"{x}bar" for x in V]),
        values="v, p",
        first=(20.0, 20.0),
        notes=("'°C' behind the numbers of v, 'bar' behind",),
    ),
    Case(
        "units that differ",
        "time,v,disk\n" + table(ISO, V, ["1 kB", "2 MB"] * 20),
        left_out={"disk": "text such as '1 kB'"},
    ),
    Case(
        "a header once more",
        "time,v\n" + table(ISO[:20], V[:20]) + "time,v\n" + table(ISO[20:], V[20:]),
        rejected=1,
    ),
    Case("a header with more delimiters", "time,v,\n" + table(ISO, V)),
    Case(
        "records with more delimiters",
        "time,v\n" + table(ISO, V, [""] * N, [""] * N),
        left_out={"column_3": "empty", "column_4": "empty"},
    ),
    Case(
        "a table of R with names of rows",
        "time,v\n" + table(quoted(map(str, range(1, 41))), ISO, V),
        left_out={"column_1": "counts rows"},
    ),
    Case("a line break in a name", '"time","flow\n(l/s)"\n' + table(ISO, V), values="flow (l/s)"),
    Case("names twice", "time,v,v\n" + table(ISO, V, wave(3)), values="v, v.2", first=(20.0, 3.0)),
    Case("names that are numbers", "time,1,2\n" + table(ISO, V, wave(3)), values="1, 2", first=(20.0, 3.0)),
    Case(
        "no header",
        table(V, wave(3), ["0.0"] * N),
        time=None,
        at=None,
        values="column_1, column_2",
        first=(20.0, 3.0),
        format="UTF-8, commas, no header",
        left_out={"column_3": REST(0)},
    ),
    Case("one row", "time,v\n2024-01-29 22:00,20\n", n=1),
    Case(
        "a long first line",
        "x" * 600_000 + ",time,v\n" + table(["a"] * N, ISO, V),
        left_out={"x" * 600_000: "text"},
    ),
]

WRITING = [
    Case(
        "UTF-16 with tabs",
        ("\ufefftime\tv °C\r\n" + table(ISO, V, sep="\t", end="\r\n")).encode("utf-16-le"),
        values="v °C",
        format="utf-16, tabs, header in line 1",
    ),
    Case(
        "UTF-16 without a mark",
        ("time\tv\r\n" + table(ISO, V, sep="\t")).encode("utf-16-be"),
        format="utf-16-be, tabs, header in line 1",
    ),
    Case(
        "Latin-1",
        ("Zeit;Temp °C\n" + table(DE, COMMA, sep=";")).encode("latin-1"),
        time="Zeit",
        values="Temp °C",
        reading="%d.%m.%Y %H:%M (day first)",
        format="cp1252, semicolons, decimal comma, header in line 1",
    ),
    Case(
        "two encodings",
        ("time,v,n\n" + table(ISO, V, ["é"] * N)).encode() + "2024-02-11,20,é\n".encode("latin-1"),
        n=41,
        format="cp1252, commas, header in line 1",
        left_out={"n": "text"},
    ),
    Case("carriage returns alone", "time,v\r" + table(ISO, V, end="\r")),
    Case("no end of the last line", ("time,v\n" + table(ISO, V))[:-1]),
    Case("blank lines between rows", "time,v\n\n" + table(ISO, V, end="\n\n")),
    Case("a space behind each comma", '"time", "v"\n' + table(quoted(ISO), quoted(V), sep=", ")),
    Case(
        "bars",
        "time|v|note\n" + table(ISO, V, ["a, b"] * N, sep="|"),
        format="UTF-8, bars, header in line 1",
        left_out={"note": "text"},
    ),
    Case(
        "a table of psql",
        " time | v \n------+---\n" + table(ISO, V, sep=" | ") + "(40 rows)\n",
        format="UTF-8, bars, header in line 1",
        rejected=1,
    ),
    Case(
        "a table of Markdown",
        "| time | v |\n|---|---|\n" + table([""] * N, ISO, V, [""] * N, sep=" | "),
        format="UTF-8, bars, header in line 1",
        left_out={"column_1": "empty", "column_4": "empty"},
    ),
    Case(
        "spaces",
        "date time v\n" + table(stamps("%Y-%m-%d"), stamps("%H:%M"), V, sep="   "),
        time="date, time",
        reading="%Y-%m-%d %H:%M",
        format="UTF-8, spaces, header in line 1",
    ),
    Case(
        "Excel's sep and empty columns",
        "sep=;\nZeit;v;;\n" + table(DE, COMMA, [""] * N, [""] * N, sep=";"),
        time="Zeit",
        reading="%d.%m.%Y %H:%M (day first)",
        format="UTF-8, semicolons, decimal comma, header in line 2",
        left_out={"column_3": "empty", "column_4": "empty"},
    ),
    Case(
        "decimal commas in quotes between commas",
        "time,v\n" + table(ISO, quoted(COMMA)),
        format="UTF-8, commas, decimal comma, header in line 1",
    ),
    Case(
        "thousands",
        "time,v\n" + table(ISO, [f'"{1 + i * i % 7},{100 + i}.50"' for i in range(N)]),
        first=(1100.5,),
    ),
    Case(
        "thousands and decimal comma",
        "time;v\n" + table(ISO, [f"{1 + i * i % 7}.{100 + i},5" for i in range(N)], sep=";"),
        first=(1100.5,),
        format="UTF-8, semicolons, decimal comma, header in line 1",
    ),
    Case("per cent", "time,v\n" + table(ISO, [f"{x} %" for x in V])),
    Case(
        "notes of several lines",
        "time,note,v\n" + table(ISO, ['"one\ntwo, and\nthree"'] * N, V),
        left_out={"note": "text"},
    ),
    Case(
        "JSON in cells", "time,note,v\n" + table(ISO, ['"{""a"": [1, 2]}"'] * N, V), left_out={"note": "text"}
    ),
    Case(
        "states beside numbers",
        "time,v,running,door\n" + table(ISO, V, ["True", "False"] * 20, ["open", "shut"] * 20),
        left_out={"running": "text", "door": "text"},
    ),
    Case(
        "what a historian writes for no value",
        "time,v,w\n" + table(ISO, ["Bad", *V[1:]], ["No Data", *V[1:]]),
        values="v, w",
        first=(None, None),
        cells=1,
    ),
    Case(
        "a name of an output column",
        "time,status,v\n" + table(ISO, wave(3), V),
        values="status, v",
        first=(3.0, 20.0),
    ),
    Case("NUL bytes", "time,v\n" + table(ISO, V).replace("20.4", "2\x000.4"), cells=V.count("20.4")),
]


@pytest.mark.parametrize("case", [*LOGGERS, *WRITING], ids=lambda case: case.name.replace(" ", "_"))
def test_how_a_table_is_written_is_found_out(case, tmp_path):
    check(case, tmp_path / "table.csv")


@pytest.mark.parametrize(
    "cell",
    [
        "10:00 " + "a" * 3000 + "!",
        "2024-01-01 10:00 " + "ab " * 1000 + "!",
        "1" * 3000 + " " * 3000 + "!",
        "1,111" * 1000 + "x",
        "Mon, 1 Jan" + " -" * 2000,
        "1" + " °" * 2000,
        '"' + "x" * 3000,
    ],
)
def test_no_cell_takes_long_however_it_is_made(cell, tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("time,v,w\n" + table(ISO, V, [cell] * N))
    started = time.process_time()
    with suppress(DataError):
        source = FileSource(path)
        while source.poll(0.0) is not None:
            pass
        source.close()
    assert time.process_time() - started < 2.0  # some hundredths; a pattern that backtracks takes forever
