from __future__ import annotations

import io
import os
import sys
import threading

import numpy as np
import pandas as pd
import pytest

from streamrnn.connectors.base import joined
from streamrnn.connectors.csv import CsvSink, CsvSource
from streamrnn.errors import DataError, SettingsError

TABLE = '''\
Time,flow,note,level
2022-03-27T01:00:00+01:00,100.59,a,1
2022-03-27T03:00:00+02:00,,"b, with
two lines",2e3

2022-03-27T04:00:00+02:00,0.1,"say ""c""",-7
'''


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "flow.csv"
    path.write_text(TABLE)
    return path


def read_all(source):
    batches = []
    while (batch := source.poll(0.0)) is not None:
        batches.append(batch)
    return batches


@pytest.fixture
def opened():
    """A CsvSource that the test need not close."""
    sources = []

    def opener(path, **options):
        sources.append(CsvSource(path, **options))
        return sources[-1]

    yield opener
    for source in sources:
        source.close()


@pytest.fixture
def source_of(tmp_path, opened):
    def opener(text, **options):
        path = tmp_path / "table.csv"
        path.write_text(text)
        return opened(path, **options)

    return opener


def test_records_have_times_values_and_the_rows_as_read(table, opened):
    (batch,) = read_all(opened(table))
    np.testing.assert_array_equal(batch.values, [[100.59, 1], [np.nan, 2000], [0.1, -7]])
    assert np.diff(batch.times).tolist() == [3600 * 10**9] * 2
    assert batch.offsets.tolist() == [0, 1, 2]
    assert set(batch.series) == set(batch.partitions) == {0}
    assert batch.columns["Time"][1] == "2022-03-27T03:00:00+02:00"
    assert batch.columns["note"] == ("a", "b, with\ntwo lines", 'say "c"')
    assert batch.columns["level"] == ("1", "2e3", "-7")


@pytest.mark.parametrize("rows", [1, 2, 3, 1000, 1001])
def test_batches_of_any_size_hold_the_same_records(rows, source_of):
    text = "v\n" + "".join(f"{i}\n" if i % 7 else f"\n{i}\n" for i in range(2500))
    batches = read_all(source_of(text, batch_rows=rows))
    assert max(map(len, batches)) <= rows
    assert np.concatenate([batch.values[:, 0] for batch in batches]).tolist() == list(range(2500))
    assert np.concatenate([batch.offsets for batch in batches]).tolist() == list(range(2500))


def test_ids_start_with_the_base_name_and_a_fingerprint_and_never_a_path(table, tmp_path, opened):
    name = opened(table).name
    assert name.startswith("flow.csv-")
    assert str(tmp_path) not in name
    assert opened(table).name == name
    table.write_text(TABLE.replace("0.1", "0.2"))
    assert opened(table).name != name


@pytest.mark.parametrize("target", [0, 1, 1500, 3000])
def test_a_source_goes_on_from_a_snapshot(target, source_of):
    source = source_of("v\n" + "".join(f"{i}\n" for i in range(3000)), batch_rows=700)
    while source.snapshot()[0] < 2000:
        assert source.poll(0.0) is not None
    source.seek({0: target})
    assert source.snapshot() == {0: target}
    rest = [value for batch in read_all(source) for value in batch.values[:, 0]]
    assert rest == list(range(target, 3000))


def test_a_row_beyond_the_end_cannot_be_sought(table, opened):
    source = opened(table)
    with pytest.raises(DataError, match="has 3 rows; there is no row 9"):
        source.seek({0: 9})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("time,v\n2022-01-01,1\n2022-01-02,1;5\n", r"line 3, column 'v': '1;5' is not a number; correct it"),
        (
            'time,note,v\n2022-01-01,"a\nb",1\n\n2022-01-40,c,2\n',
            r"line 5, column 'time': '2022-01-40' is",
        ),
        ("time,v\n2022-01-01,1\n2022-01-02,1,5\n", r"line 3: the row has 3 of 2 cells; quote cells"),
        ("time,v\n2022-01-01,1\n2022-01-02\n", r"line 3: the row has 1 of 2 cells; give missing cells"),
        ('time,v\n2022-01-01,1\n2022-01-02,"1"5\n', r"line 3: .* expected after"),
        ('time,v\n2022-01-01,1\n2022-01-02,"15\n2022-01-03,2', r"line \d+: unexpected end of data"),
    ],
)
@pytest.mark.parametrize("rows", [1, 2, 1000])
def test_a_bad_row_is_refused_by_line_and_column_after_all_before_it(text, message, rows, source_of):
    source = source_of(text, batch_rows=rows)
    assert source.poll(0.0).values.tolist() == [[1.0]]
    for _ in range(2):
        with pytest.raises(DataError, match=rf"^table\.csv, {message}"):
            source.poll(0.0)
    assert source.snapshot() == {0: 1}


def test_the_line_is_right_deep_in_a_file(source_of):
    text = "v\n" + "".join(f"{i}\n" for i in range(5000)) + "oops\n"
    with pytest.raises(DataError, match="line 5002, column 'v': 'oops'"):
        read_all(source_of(text, batch_rows=64))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("time,v\n", "header but no records"),
        ("time,v\n\n\n", "header but no records"),
        ("2022-01-01,1.5\n2022-01-02,2\n", "'2022-01-01' is data, not a name"),
        ("v,v\n1,2\n", "two columns are called 'v'"),
        ("time;v\n2022-01-01;1\n", "separate columns with commas"),
        ("ts,v\n1647770400,1\n", "line 2, column 'ts': '1647770400' is a number"),
        ("a,b\n1\n", "line 2: the row has 1 of 2 cells"),
        ("a,b\nx,y\n", "no column holds numbers"),
        ("a\0b,c\n", "not text"),
    ],
)
def test_a_file_that_is_no_table_of_numbers_is_refused(tmp_path, text, message, source_of):
    with pytest.raises(DataError, match=message) as caught:
        source_of(text)
    assert "table.csv" in str(caught.value)
    assert str(tmp_path) not in str(caught.value)


def test_a_file_that_cannot_be_opened_is_refused(tmp_path, opened):
    with pytest.raises(DataError, match=r"cannot read .*none\.csv: No such file"):
        opened(tmp_path / "none.csv")
    with pytest.raises(DataError, match="Is a directory"):
        opened(tmp_path)


def test_names_of_files_and_cells_are_escaped(tmp_path, opened):
    path = tmp_path / "a\x1b[31m.csv"
    path.write_text("v\n1\n\x1b[2J\n2\n")
    source = opened(path)
    assert source.name.isprintable()
    source.poll(0.0)
    with pytest.raises(DataError) as caught:
        source.poll(0.0)
    assert str(caught.value).isprintable()


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path, opened):
    path = tmp_path / "bom.csv"
    path.write_bytes(b"\xef\xbb\xbftime,v\r\n2022-01-01,1\r\n")
    assert opened(path).schema.names == ("time", "v")


def test_text_that_is_not_utf_8_comes_through_unchanged(tmp_path, opened):
    path, copy = tmp_path / "latin.csv", tmp_path / "copy.csv"
    path.write_bytes("v,Gerät\n1,Zähler\n".encode("latin-1"))
    sink = CsvSink(copy)
    for batch in read_all(opened(path)):
        sink.write(batch.columns)
    sink.close()
    assert copy.read_bytes() == path.read_bytes()


def test_a_pipe_can_be_read_but_not_twice(tmp_path, opened):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    text = "v\n" + "".join(f"{i}\n" for i in range(50_000))
    writer = threading.Thread(target=path.write_text, args=(text,))
    writer.start()
    source = opened(path)
    values = [value for batch in iter(lambda: source.poll(0.0), None) for value in batch.values[:, 0]]
    writer.join()
    assert values == list(range(50_000))
    source.close()


def test_stdin_stays_open_and_cannot_be_read_twice(monkeypatch, opened):
    class Pipe(io.BytesIO):
        def seekable(self):
            return False

    stdin = io.TextIOWrapper(Pipe(b"v\n1\n2\n"))
    monkeypatch.setattr(sys, "stdin", stdin)
    source = opened("-")
    assert source.name.startswith("stdin-")
    assert source.poll(0.0).values[:, 0].tolist() == [1, 2]
    with pytest.raises(DataError, match="stdin cannot be read twice"):
        source.seek({0: 0})
    source.close()
    assert not stdin.closed


def test_what_a_sink_writes_reads_back_to_the_bit(tmp_path):
    rng = np.random.default_rng(3)
    numbers = np.append(rng.normal(size=500) * 10.0 ** rng.integers(-300, 300, 500), [np.nan, np.inf, 5e-324])
    n = len(numbers)
    columns = {
        "time": [f"t{i}" for i in range(n)],
        "x": numbers,
        "hit": np.arange(n) % 2 == 0,
        "id": np.array([None, "a,b", 'c"', "d\ne"] * n, object)[:n],
    }
    path = tmp_path / "out.csv"
    sink = CsvSink(path)
    for part in (slice(0, 100), slice(100, n)):
        sink.write({name: column[part] for name, column in columns.items()})
    sink.flush(0.0)
    back = pd.read_csv(path, dtype={"x": object})
    np.testing.assert_array_equal(back["x"].astype(float), numbers)  # pandas itself may read a bit wrong
    assert back["hit"].dtype == bool
    assert back["hit"].tolist() == columns["hit"].tolist()
    assert back["time"].tolist() == columns["time"]
    assert back["id"].isna().tolist() == [i is None for i in columns["id"]]
    assert back["id"].dropna().tolist() == [i for i in columns["id"] if i is not None]
    sink.close()
    sink.close()


def test_a_sink_says_what_it_cannot_write(tmp_path):
    with pytest.raises(SettingsError, match=r"cannot write .*: Is a directory"):
        CsvSink(tmp_path)


def test_input_columns_that_are_named_like_output_move_aside_and_none_is_lost():
    read = {"status": [1], "input.status": [2], "v": [3]}
    assert joined(read, {"status": [4]}) == {
        "input.input.status": [1],
        "input.status": [2],
        "v": [3],
        "status": [4],
    }
