"""Which mark stands before decimals, where three digits stand behind each."""

from __future__ import annotations

import pytest
from made_up import DE, ISO, Case, V, check, stamps, table

from streamrnn.connectors.file import FileSource
from streamrnn.connectors.tables.marks import decimal_of
from streamrnn.errors import DataError

THREE = [f"5,{100 + i * i % 13}" for i in range(40)]
QUOTED = [f'"{cell}"' for cell in THREE]
SPLIT = {"time": "Datum, Uhrzeit", "reading": "%d.%m.%Y %H.%M (day first)"}
SETTLED = [
    Case(
        "semicolons leave the comma to decimals",
        "Zeit;v\n" + table(DE, THREE, sep=";"),
        time="Zeit",
        reading="%d.%m.%Y %H:%M (day first)",
        first=(5.1,),
        format="UTF-8, semicolons, decimal comma, header in line 1",
    ),
    Case(
        "points in times of day are none of decimals",
        "Datum;Uhrzeit;v\n" + table(stamps("%d.%m.%Y"), stamps("%H.%M"), THREE, sep=";"),
        **SPLIT,
        first=(5.1,),
        format="UTF-8, semicolons, decimal comma, header in line 1",
    ),
    Case(
        "a zero",
        "time,v\n" + table(ISO, ['"0,500"', *QUOTED[1:]]),
        first=(0.5,),
        format="UTF-8, commas, decimal comma, header in line 1",
    ),
    Case("a number below a thousand", "time,v\n" + table(ISO, ["987", *QUOTED[1:]]), first=(987.0,)),
    Case("two groups", "time,v\n" + table(ISO, ['"1,234,567"', *QUOTED[1:]]), first=(1234567.0,)),
    Case(
        "points elsewhere",
        "time,v,w\n" + table(ISO, QUOTED, V),
        values="v, w",
        first=(5100.0, 20.0),
    ),
]


@pytest.mark.parametrize("case", SETTLED, ids=lambda case: case.name.replace(" ", "_"))
def test_a_table_that_settles_it_is_read_so(case, tmp_path):
    check(case, tmp_path / "table.csv")


@pytest.mark.parametrize(("sep", "cells"), [(",", QUOTED), ("\t", THREE), ("|", THREE)])
def test_what_may_be_read_both_ways_is_refused_with_the_option(sep, cells, tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(sep.join(["time", "v"]) + "\n" + table(ISO, cells, sep=sep))
    with pytest.raises(DataError, match=r"'5,100' may be 5\.100 or 5100.*--decimal ,"):
        FileSource(path).open()


def test_marks_of_times_and_of_points_alone_prove_nothing():
    assert decimal_of([["5.123", "6.123"]], ",", ".", "t") == "."
    assert decimal_of([["07.30", "12.45"], ["5,123"]], ";", ".", "t") == ","
    assert decimal_of([["0.30", "1.45"], ["5,123"]], ";", ",", "t") == "."
    assert decimal_of([["1,5"], ["1.5"]], ";", ",", "t") == ","  # both: as is likely
