"""Several files as one source, rows in the order of their times, and Parquet beside CSV."""

from __future__ import annotations

import gzip
import resource
from datetime import date
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_up import ISO, START, N, V, stamps, table, wave

from streamrnn.connectors.file import FileSource
from streamrnn.connectors.files import SortedSource, listed
from streamrnn.connectors.options import RecordOptions
from streamrnn.connectors.rejects import Rejects
from streamrnn.errors import DataError, SettingsError
from streamrnn.pipelines.input import Input

DAY_S = 86_400


@pytest.fixture
def opened():
    """An Input that the test need not close."""
    inputs = []

    def opener(*paths, arrange="auto", rejects=None, **options):
        record = RecordOptions(**options)
        inputs.append(Input([str(path) for path in paths], record, rejects or Rejects(), arrange=arrange))
        return inputs[-1]

    yield opener
    for one in inputs:
        one.close()


def day(folder, number, text=None, suffix=".csv", **columns):
    """A file of hourly readings of one day."""
    start = START + pd.Timedelta(days=number)
    made = {"time": stamps(n=24, step_s=3600, start=start), "v": wave(20 + number, n=24), **columns}
    path = folder / f"day{number}{suffix}"
    path.write_text(text or ",".join(made) + "\n" + table(*made.values()))
    return path


def read_all(source):
    return list(iter(lambda: source.poll(0.0), None))


def joined(batches, name):
    return np.concatenate([getattr(batch, name) for batch in batches])


def test_files_whose_times_follow_each_other_are_read_in_that_order_as_one_stream(tmp_path, opened):
    paths = [day(tmp_path, number) for number in (2, 0, 1)]
    one = opened(*paths)
    batches = read_all(one.source)
    assert list(one.source.keys) == [""]
    assert (np.diff(joined(batches, "times")) > 0).all()
    assert [name.split("-")[0] for name in one.source.partition_names] == ["day0.csv", "day1.csv", "day2.csv"]
    assert joined(batches, "partitions").tolist() == [0] * 24 + [1] * 24 + [2] * 24
    assert joined(batches, "offsets").tolist() == [*range(24)] * 3


def test_files_whose_times_overlap_are_a_series_each(tmp_path, opened):
    one = opened(day(tmp_path, 0), *(day(tmp_path / "b", 0) for _ in [(tmp_path / "b").mkdir()]))
    batches = read_all(one.source)
    assert one.source.keys == ["day0.csv", "day0.csv (2)"]
    assert joined(batches, "series").tolist() == [0] * 24 + [1] * 24


def test_files_without_times_are_a_series_each_unless_they_are_said_to_be_one(tmp_path, opened):
    for name in "ab":
        (tmp_path / f"{name}.csv").write_text("v\n" + table(V))
    paths = [tmp_path / "a.csv", tmp_path / "b.csv"]
    assert len(opened(*paths).source.keys) == 0
    each, one = opened(*paths), opened(*paths, arrange="one")
    assert [len(read_all(some.source)) for some in (each, one)] == [2, 2]
    assert (list(each.source.keys), list(one.source.keys)) == (["a.csv", "b.csv"], [""])


def test_files_with_keys_share_their_series(tmp_path, opened):
    day(tmp_path, 0, sensor=["a", "b"] * 12)
    day(tmp_path, 1, sensor=["b", "c"] * 12)
    one = opened(tmp_path)
    batches = read_all(one.source)
    assert one.source.keys == ["a", "b", "c"]
    assert joined(batches, "series").tolist() == [0, 1] * 12 + [1, 2] * 12


def test_columns_in_another_order_are_the_same_columns(tmp_path, opened):
    first = day(tmp_path, 0, w=wave(5, n=24))
    start = START + pd.Timedelta(days=1)
    other = tmp_path / "other.csv"
    other.write_text("w,v,time\n" + table(wave(5, n=24), wave(n=24), stamps(n=24, step_s=3600, start=start)))
    batches = read_all(opened(first, other).source)
    assert joined(batches, "values")[[0, 24]].tolist() == [[20.0, 5.0], [20.0, 5.0]]
    assert [list(batch.columns) for batch in batches] == [["time", "v", "w"]] * 2


def test_files_with_other_columns_are_refused_with_what_differs(tmp_path, opened):
    first, other = day(tmp_path, 0), day(tmp_path, 1, flow=wave(n=24))
    with pytest.raises(
        DataError, match=r"day1\.csv has other columns than day0\.csv \(more: 'flow'; less: none\)"
    ):
        opened(first, other)


@pytest.mark.parametrize("resting", [0, 1])
def test_a_sensor_that_rests_in_one_file_is_watched_in_all(resting, tmp_path, opened):
    for number in (0, 1):
        day(tmp_path, number, w=["5"] * 24 if number == resting else wave(n=24), z=["7"] * 24)
    one = opened(tmp_path)
    assert one.channels == ("v", "w")
    assert joined(read_all(one.source), "values").shape == (48, 2)


def test_a_folder_is_all_tables_in_it_and_below_but_hidden_ones(tmp_path, monkeypatch):
    home = tmp_path / ".hidden" / "data"
    (home / "sub").mkdir(parents=True)
    for name in ("b.csv", "a.csv.gz", "sub/c.parquet", ".d.csv", "notes.md", "e.TSV"):
        (home / name).write_text("")
    (home / ".git").mkdir()
    (home / ".git" / "x.csv").write_text("")
    names = [path.removeprefix(f"{home}/") for path in listed([str(home)])]
    assert names == ["a.csv.gz", "b.csv", "e.TSV", "sub/c.parquet"]
    monkeypatch.chdir(home / "sub")
    assert len(listed([".."])) == 4


@pytest.mark.parametrize(
    ("paths", "error", "message"),
    [
        (["EMPTY"], DataError, "is a folder without tables"),
        (["a.csv", "./a.csv"], SettingsError, r"\./a\.csv is given twice"),
        (["-", "a.csv"], SettingsError, "read alone"),
        (["x" * 5000], DataError, "cannot read x.*: File name too long"),
    ],
)
def test_names_that_cannot_be_files_together_are_refused(paths, error, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "EMPTY").mkdir()
    (tmp_path / "a.csv").write_text("v\n1\n2\n")
    with pytest.raises(error, match=message):
        listed(paths)


def test_more_files_than_may_be_open_are_read(tmp_path, opened):
    # Other tests and their libraries hold some open.
    numbers = [int(entry.name) for entry in Path("/dev/fd").iterdir()]
    allowed = max(numbers) + 31
    files = allowed - len(numbers) + 30
    for number in range(files):
        day(tmp_path, number)
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, limit[1]))
    try:
        one = opened(tmp_path)
        batches = read_all(one.source)
        names = one.source.partition_names
        one.source.seek({name: 24 if number < files - 10 else 0 for number, name in enumerate(names)})
        rest = read_all(one.source)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limit)
    assert len(batches) == files
    assert joined(rest, "values").tolist() == joined(batches, "values")[(files - 10) * 24 :].tolist()


@pytest.mark.parametrize("done", range(4))
def test_files_go_on_from_a_snapshot(done, tmp_path, opened):
    day(tmp_path, 0, sensor=["a", "b"] * 12)
    day(tmp_path, 1, sensor=["b", "c"] * 12)
    path = day(tmp_path, 2, sensor=["c", "a"] * 12)
    path.with_suffix(".csv.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    whole, part, resumed = (opened(tmp_path).source for _ in range(3))
    expected = read_all(whole)
    for _ in range(done):
        part.poll(0.0)
    resumed.seek(part.snapshot())
    rest = read_all(resumed)
    assert resumed.snapshot() == whole.snapshot()
    assert [batch.values.tolist() for batch in rest] == [batch.values.tolist() for batch in expected[done:]]
    names = [[resumed.keys[code] for code in batch.series] for batch in rest]
    assert names == [[whole.keys[code] for code in batch.series] for batch in expected[done:]]


def test_sorting_puts_all_rows_in_the_order_of_their_times_and_those_without_last(tmp_path, opened):
    path = tmp_path / "t.csv"
    path.write_text("time,v,label\n" + table([*ISO[38:0:-1], "", ISO[0]], V, ["0"] * 39 + ["1"]))
    source = opened(path, sort=True).source
    (batch,) = read_all(source)
    assert list(batch.columns["time"]) == [*ISO[:39], ""]
    assert batch.labels.tolist() == [True] + [False] * 39
    assert batch.offsets.tolist() == [39, *range(37, -1, -1), 38]


def test_sorted_rows_can_be_sought_and_come_in_batches(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("time,v\n" + table(ISO[::-1], V))
    source = SortedSource(FileSource(path, RecordOptions(sort=True)), batch_rows=7)
    values = joined(read_all(source), "values")[:, 0].tolist()
    assert values == [float(x) for x in reversed(V)]
    source.seek({"sorted": 10})
    assert joined(read_all(source), "values")[:, 0].tolist() == values[10:]
    source.close()


FRAME = pd.DataFrame(
    {
        "time": pd.date_range(START, periods=N, freq="10min"),
        "v": [float(x) if i % 7 else np.nan for i, x in enumerate(V)],
        "n": pd.array([i * i % 7 if i % 5 else None for i in range(N)], "Int64"),
        "sensor": pd.Categorical(["a", "b"] * 20),
        "note": ["x", None] * 20,
        "anomaly": [False] * 38 + [True] * 2,
    }
)


def outcome(path, **options):
    source = FileSource(path, RecordOptions(**options), batch_rows=7)
    batches = read_all(source)
    source.close()
    keys = [source.keys[code] for code in joined(batches, "series")]
    times, values = joined(batches, "times").tolist(), joined(batches, "values")
    return source.schema.channels, keys, times, values.tobytes(), joined(batches, "labels").tolist()


@pytest.mark.parametrize("options", [{}, {"tz": "Europe/Berlin"}, {"key": ("none",)}])
@pytest.mark.parametrize("form", ["ns", "us", "ms", "s", "aware", "date", "text"])
def test_a_parquet_file_holds_the_same_records_as_the_same_table_in_csv(form, options, tmp_path):
    frame = FRAME.copy()
    if form == "date":
        frame["time"] = [date(2020 + i // 20, 1, 1 + i % 20) for i in range(N)]
    elif form == "text":
        frame["time"] = frame["time"].dt.strftime("%Y-%m-%dT%H:%M:%S")
    elif form == "aware":
        frame["time"] = frame["time"].dt.tz_localize("Asia/Kolkata")
    else:
        frame["time"] = frame["time"].astype(f"M8[{form}]")
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_parquet(tmp_path / "t.parquet", row_group_size=11)
    assert outcome(tmp_path / "t.parquet", **options) == outcome(tmp_path / "t.csv", **options)


def test_whole_numbers_of_parquet_are_exact_as_times_and_keys(tmp_path):
    times = pd.date_range(START, periods=N, freq="10min").astype("M8[ns]").astype(np.int64) + 123
    frame = pd.DataFrame(
        {"timestamp": times, "sensor": np.arange(N) % 2 + 2_000_001, "v": [float(x) for x in V]}
    )
    frame.to_parquet(tmp_path / "t.parquet")
    source = FileSource(tmp_path / "t.parquet", RecordOptions(key=("sensor",)))
    (batch,) = read_all(source)
    source.close()
    assert batch.times.tolist() == times.tolist()
    assert source.keys == ["2000001", "2000002"]
    seconds = frame.assign(timestamp=times // 10**9)
    seconds.to_parquet(tmp_path / "s.parquet")
    source = FileSource(tmp_path / "s.parquet", RecordOptions(key=("none",)))
    (batch,) = read_all(source)
    source.close()
    assert batch.times.tolist() == (times // 10**9 * 10**9).tolist()


def test_other_types_of_parquet_are_read_or_left_out(tmp_path):
    frame = FRAME[["time"]].assign(
        price=[Decimal(x) for x in V],
        small=np.array(V, float).astype(np.float16),
        nested=[[1, 2]] * N,
        raw=[b"\x00\xff"] * N,
        empty=[None] * N,
    )
    frame.to_parquet(tmp_path / "t.parquet")
    source = FileSource(tmp_path / "t.parquet")
    (batch,) = read_all(source)
    source.close()
    assert source.schema.channels == ("price", "small")
    assert batch.values[:, 0].tolist() == [float(x) for x in V]
    assert source.schema.left_out["empty"] == "empty"


@pytest.mark.parametrize("target", [0, 5, 16_384, 16_390, 39_999])
def test_parquet_goes_on_from_a_row(target, tmp_path):
    n = 40_000
    pd.DataFrame({"v": np.sin(np.arange(n))}).to_parquet(tmp_path / "t.parquet", row_group_size=7000)
    source = FileSource(tmp_path / "t.parquet", batch_rows=1000)
    source.poll(0.0)
    source.seek({source.name: target})
    assert joined(read_all(source), "values")[:, 0].tolist() == np.sin(np.arange(target, n)).tolist()
    source.close()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"PAR1 and nothing more", "t.parquet cannot be read as Parquet"),
        (b"PAR1", "t.parquet cannot be read as Parquet"),
        ("none", "t.parquet has columns but no records"),
        ("late", "t.parquet cannot be read as Parquet"),
    ],
)
def test_a_damaged_or_empty_parquet_file_is_refused(data, message, tmp_path):
    path = tmp_path / "t.parquet"
    if isinstance(data, bytes):
        path.write_bytes(data)
    else:
        FRAME[: 0 if data == "none" else N].to_parquet(path)
        if data == "late":
            whole = path.read_bytes()
            path.write_bytes(whole[:4] + bytes(200) + whole[204:])
    with pytest.raises(DataError, match=message):
        FileSource(path).poll(0.0)


def test_a_time_beyond_what_can_be_said_is_no_time(tmp_path):
    frame = pd.DataFrame({"time": FRAME["time"].astype("M8[ms]"), "v": [float(x) for x in V]})
    frame.loc[3, "time"] = pd.Timestamp("9999-12-31").as_unit("ms")
    frame.to_parquet(tmp_path / "t.parquet")
    source = FileSource(tmp_path / "t.parquet")
    (batch,) = read_all(source)
    source.close()
    assert np.isnat(batch.times.view("M8[ns]")).tolist() == [i == 3 for i in range(N)]
