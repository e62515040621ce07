"""What the columns of a table mean: what is found, and what is refused with the option to use."""

from __future__ import annotations

import pytest
from made_up import DE, ISO, REST, Case, N, V, check, stamps, table, wave

from streamrnn.connectors.file import FileSource
from streamrnn.connectors.options import RecordOptions
from streamrnn.errors import DataError, SettingsError

COUNTS = {"index": "counts rows"}


def long(*keys, rows=20, form="{k},{t},{v}\n", times=ISO):
    return "".join(
        form.format(k=key, t=times[i], v=f"{20 + j + i * i % 13 / 10:.1f}")
        for i in range(rows)
        for j, key in enumerate(keys)
    )


KEYS = [
    Case(
        "a historian's long form",
        "Tag,Timestamp,Value,Quality\n" + long("TT101", "PT102", form="{k},{t},{v},Good\n"),
        time="Timestamp",
        values="Value",
        key="Tag",
        keys=("TT101", "PT102"),
        left_out={"Quality": "text"},
    ),
    Case(
        "two columns of keys",
        "metric,host,time,v\n" + long("cpu,a", "cpu,b", "mem,a", "mem,b"),
        key="metric, host",
        keys=("cpu/a", "cpu/b", "mem/a", "mem/b"),
        n=80,
    ),
    Case(
        "series behind each other", "machine,time,v\n" + long("a") + long("b"), key="machine", keys=("a", "b")
    ),
    Case("a key of numbers", "store,time,v\n" + long("1", "2", "7"), key="store", keys=("1", "2", "7"), n=60),
    Case(
        "a status is no key",
        "time,v,machine_status\n" + table(ISO, V, ["ok"] * 30 + ["stopped"] * 10),
        left_out={"machine_status": "text"},
    ),
    Case(
        "engines and their cycles",
        "unit,cycle,v\n" + "".join(f"{u},{i},{x}\n" for u in (1, 2) for i, x in enumerate(V, 1)),
        time=None,
        at=None,
        key="unit",
        keys=("1", "2"),
        left_out={"cycle": "counts rows"},
        n=80,
    ),
    Case(
        "a machine's state is no key",
        "time,v,pump\n" + table(ISO, V, ["ON", "OFF"] * 20),
        left_out={"pump": "text"},
    ),
    Case(
        "the station of a rejected row",
        "id,time,v\n" + long("a", "b") + "c,never,1\n",
        key="id",
        keys=("a", "b"),
        rejected=1,
    ),
    Case(
        "InfluxDB's annotations",
        "#group,false,true\n#default,x,\n,result,_start,_time,_value,_field\n"
        + long("use", "idle", form=",,2024-01-01T00:00:00Z,{t},{v},{k}\n"),
        time="_time",
        values="_value",
        key="_field",
        keys=("use", "idle"),
        format="UTF-8, commas, header in line 3",
        left_out={"column_1": "empty", "result": "empty", "_start": "a time"},
    ),
]

LABELS = [
    Case(
        "SKAB",
        "datetime;v;anomaly;changepoint\n" + table(ISO, V, ["0.0"] * 30 + ["1.0"] * 10, ["0.0"] * N, sep=";"),
        time="datetime",
        label="anomaly, changepoint",
        labels=10,
        format="UTF-8, semicolons, header in line 1",
    ),
    Case(
        "SWaT",
        " Timestamp,v,MV101,Normal/Attack\n"
        + table(
            stamps(" %d/%m/%Y %I:%M:%S %p"),
            V,
            ["2"] * 20 + ["1"] * 20,
            ["Normal"] * 30 + ["Attack"] * 5 + ["A ttack"] * 5,
        ),
        time="Timestamp",
        reading="%d/%m/%Y %I:%M:%S %p (day first)",
        values="v, MV101",
        first=(20.0, 2.0),
        label="Normal/Attack",
        labels=10,
    ),
    Case(
        "kinds of anomalies",
        "time,v,label\n" + table(ISO, V, ["normal"] * 30 + ["leak"] * 5 + ["spike"] * 5),
        label="label",
        labels=10,
    ),
    Case(
        "Kaggle's pump",
        "Unnamed: 0,timestamp,v,machine_status\n"
        + table(map(str, range(N)), ISO, V, ["NORMAL"] * 30 + ["BROKEN"] + ["RECOVERING"] * 9),
        time="timestamp",
        left_out={"Unnamed: 0": "counts rows", "machine_status": "text"},
        notes=(
            "if 'machine_status' marks what is wrong ('broken', 'recovering'), add --label 'machine_status'",
        ),
    ),
    Case(
        "scikit-learn's signs",
        "time,v,label\n" + table(ISO, V, ["1"] * 36 + ["-1"] * 4),
        label="label",
        labels=4,
    ),
    Case("classes", "time,v,class\n" + table(ISO, V, ["0"] * 30 + ["101"] * 10), label="class", labels=10),
    Case(
        "another detector's score",
        "time,v,anomaly_score\n" + table(ISO, V, wave(0)),
        left_out={"anomaly_score": "named like a label; name it with --label, or with --values"},
    ),
]

VALUES = [
    Case(
        "constant and empty columns",
        "time,v,w,x\n" + table(ISO, V, ["5"] * N, [""] * N),
        left_out={"w": REST(5), "x": "empty"},
    ),
    Case("nothing but a constant column", "time,w\n" + table(ISO, ["5"] * N), values="w", first=(5.0,)),
    Case("a row counter", "index,time,v\n" + table(map(str, range(N)), ISO, V), left_out=COUNTS),
    Case(
        "a counter without a name",
        ",time,v\n" + table(map(str, range(N)), ISO, V),
        left_out={"column_1": "counts rows"},
    ),
    Case(
        "stand-ins of several columns",
        "date,a,b,c\n"
        + table(
            stamps("%Y-%m-%d", step_s=86_400),
            *(
                ["9999.9", *V[1:20], stand, *V[21:30], stand, *V[31:39], stand]
                for stand in ("9999.9", "-200", "-99.9")
            ),
        ),
        time="date",
        at="2024-01-29",
        values="a, b, c",
        first=(9999.9, 9999.9, 9999.9),
        notes=("9999.9 may",),
    ),
    Case(
        "a level that comes again is no stand-in",
        "time,v\n" + table(ISO, ["0.1", "0.2", "0.15", "1", "0.12"] * 8),
        first=(0.1,),
    ),
    Case("infinities and the largest numbers", "time,v\n" + table(ISO, [*V[:37], "inf", "1e308", "-1e400"])),
]


@pytest.mark.parametrize("case", [*KEYS, *LABELS, *VALUES], ids=lambda case: case.name.replace(" ", "_"))
def test_what_columns_mean_is_found_out(case, tmp_path):
    check(case, tmp_path / "table.csv")


AMBIGUOUS = "time,v\n" + table([f"0{1 + i % 9}/0{1 + i // 9}/2024 10:00" for i in range(N)], V)
BACKWARDS = "time,v\n" + table(ISO[::-1], V)
EST = "time,v\n" + table([f"{x} EST" for x in ISO], V)


@pytest.mark.parametrize(
    ("text", "error", "message", "options"),
    [
        (AMBIGUOUS, SettingsError, "can be read in several ways", {"time_format": "%d/%m/%Y %H:%M"}),
        (BACKWARDS, SettingsError, "the newest row is first; --sort puts all rows", {"sort": True}),
        (
            "sensor,time,v\n" + long("a", "b", times=ISO[::-1]),
            SettingsError,
            "newest row is first",
            {"sort": True},
        ),
        (EST, DataError, "'2024-01-29 22:00:00 EST' is no time that is known", {"time": ("none",)}),
        (EST, DataError, "say how to read it with --time-format", {"time_format": "%Y-%m-%d %H:%M:%S EST"}),
        (
            "t;1. Mär 2024\nDatum;v\n1. Mär 2024;1\n2. Mär 2024;3\n",
            DataError,
            "column 'Datum'",
            {"time": ("none",)},
        ),
    ],
)
def test_what_is_refused_goes_with_the_option_that_the_message_names(text, error, message, options, tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(text)
    with pytest.raises(error, match=message) as caught:
        FileSource(path)
    assert "table.csv" in str(caught.value)
    (option, *_) = options
    assert f"--{option.replace('_', '-')}" in str(caught.value)
    source = FileSource(path, RecordOptions(**options))
    assert source.poll(0.0) is not None
    source.close()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "time,pump\n" + table(ISO, ["ON", "OFF"] * 20),
            r"no column holds numbers to watch \('pump': text\)",
        ),
        ("time,v\n" + table(ISO, ["nan"] * N), r"\('v': empty\)"),
        ("time,v\n" + table(ISO, ["inf"] * N), r"\('v': no finite number\)"),
        ("time,price\n" + table(ISO, [f"${x}" for x in V]), r"text such as '\$20.0'"),
        ('{"time": 1, "v": 2}\n', "is JSON; save it as CSV"),
        ("<!DOCTYPE html>\n<html>", "XML or a web page"),
        ("@RELATION x\n", "an ARFF file"),
        ("time,v\n" + table(ISO, wave(decimal=",")), r"\(line 1\) names 2 of 3 columns"),
        ("v\n" + table(wave(decimal=",")), "names 1 of 2 columns"),
        ("x" * 5_000_000, "line 1 has no end within 4,194,304 characters"),
    ],
)
def test_what_holds_nothing_to_watch_is_refused_with_the_reason(text, message, tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        FileSource(path)


def test_a_label_that_was_asked_for_may_hold_kinds_of_anomalies(tmp_path):
    states = ["NORMAL"] * 30 + ["BROKEN"] + [""] * 4 + ["RECOVERING"] * 5
    text = "time,v,machine_status\n" + table(ISO, V, states)
    case = Case("", text, label="machine_status", labels=6)
    check(case, tmp_path / "table.csv", label=("machine_status",))


def test_a_kind_of_anomaly_that_comes_late_counts_too(tmp_path):
    n = 40_000
    words = ["normal"] * (n - 20_000) + ["leak"] * 2 + ["normal"] * 19_998
    text = "time,v,label\n" + table(stamps(n=n, step_s=60), wave(n=n), words)
    check(Case("", text, label="label", labels=2, n=n), tmp_path / "table.csv")


def test_sorted_rows_of_a_table_with_the_newest_first_are_in_order(tmp_path):
    case = Case("", BACKWARDS, first=(float(V[-1]),))
    path = tmp_path / "table.csv"
    path.write_text(case.text)
    source = FileSource(path, RecordOptions(sort=True))
    assert source.typical_step_ns == 600e9
    source.close()


@pytest.mark.parametrize("missing", [("-99.9",), ("-99,9",), ("off", "-99.90")])
def test_what_is_said_to_mean_no_value_does_whatever_its_decimal_mark(missing, tmp_path):
    text = "time;v\n" + table(ISO, ["-99,9", *wave(decimal=",")[1:-1], "-99,9"], sep=";")
    case = Case("", text, first=(None,), format="UTF-8, semicolons, decimal comma, header in line 1")
    check(case, tmp_path / "table.csv", missing=missing)


def test_a_date_is_read_in_the_order_that_is_given(tmp_path):
    text = "when,v\n" + table(DE, V)
    check(Case("", text, time="when", reading="%d.%m.%Y %H:%M (day first)"), tmp_path / "table.csv")
