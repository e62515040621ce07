from __future__ import annotations

import gzip
import io
import os
import sys
import threading

import numpy as np
import pytest

from streamrnn.connectors.base import joined
from streamrnn.connectors.csv_sink import CsvSink
from streamrnn.connectors.file import FileSource
from streamrnn.connectors.options import RecordOptions
from streamrnn.connectors.rejects import Rejects
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
    return list(iter(lambda: source.poll(0.0), None))


def values_of(source):
    return [value for batch in read_all(source) for value in batch.values[:, 0].tolist()]


@pytest.fixture
def opened():
    """A FileSource that the test need not close."""
    sources = []

    def opener(path, rejects=None, batch_rows=16_384, **options):
        sources.append(FileSource(path, RecordOptions(**options), rejects, batch_rows=batch_rows))
        return sources[-1]

    yield opener
    for source in sources:
        source.close()


@pytest.fixture
def source_of(tmp_path, opened):
    def opener(text, **options):
        path = tmp_path / "table.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return opened(path, **options)

    return opener


def numbered(n):
    """A column that is no row number."""
    return "v\n" + "".join(f"{i * i % 977}\n" for i in range(n)), [float(i * i % 977) for i in range(n)]


def test_records_have_times_values_and_the_rows_as_read(table, opened):
    (batch,) = read_all(opened(table))
    np.testing.assert_array_equal(batch.values, [[100.59, 1], [np.nan, 2000], [0.1, -7]])
    assert np.diff(batch.times).tolist() == [3600 * 10**9] * 2
    assert batch.offsets.tolist() == [0, 1, 2]
    assert set(batch.series) == set(batch.partitions) == {0}
    assert batch.columns["Time"][1] == "2022-03-27T03:00:00+02:00"
    assert list(batch.columns["note"]) == ["a", "b, with\ntwo lines", 'say "c"']
    assert list(batch.columns["level"]) == ["1", "2e3", "-7"]


@pytest.mark.parametrize("rows", [1, 2, 3, 1000, 1001])
def test_batches_of_any_size_hold_the_same_records(rows, source_of):
    text, values = numbered(2500)
    lines = text.splitlines(keepends=True)
    spread = "".join(line if i % 7 else f"\n{line}" for i, line in enumerate(lines))
    batches = read_all(source_of(spread, batch_rows=rows))
    assert max(map(len, batches)) <= rows
    assert np.concatenate([batch.values[:, 0] for batch in batches]).tolist() == values
    assert np.concatenate([batch.offsets for batch in batches]).tolist() == list(range(2500))


@pytest.mark.parametrize("rows", [1, 2, 5, 100])
def test_cells_over_several_lines_and_open_quotes_do_not_depend_on_the_batch(rows, source_of):
    text = 'v,note\n1,"a\nb"\n5,"never closed\n2,c\n' + "3,d\n" * 200 + '4,"e\n\nf"\n'
    rejects = Rejects()
    batches = read_all(source_of(text, batch_rows=rows, rejects=rejects))
    values = np.concatenate([batch.values[:, 0] for batch in batches]).tolist()
    notes = [note for batch in batches for note in batch.columns["note"]]
    offsets = [offset for batch in batches for offset in batch.offsets.tolist()]
    assert values == [1.0, 2.0, *[3.0] * 200, 4.0]
    assert (notes[0], notes[-1]) == ("a\nb", "e\n\nf")
    assert offsets == [0, *range(2, 204)]
    assert rejects.rows == 1
    assert str(rejects.first[0]).startswith("table.csv, line 4: a quote is opened and not closed")


def test_ids_start_with_the_base_name_and_a_fingerprint_and_never_a_path(table, tmp_path, opened):
    (name,) = opened(table).partition_names
    assert name.startswith("flow.csv-")
    assert str(tmp_path) not in name
    assert opened(table).partition_names == (name,)
    table.write_text(TABLE.replace("100.59", "100.6"))
    assert opened(table).partition_names != (name,)


@pytest.mark.parametrize("target", [0, 1, 1500, 3000])
def test_a_source_goes_on_from_a_snapshot(target, source_of):
    text, values = numbered(3000)
    source = source_of(text, batch_rows=700)
    while source.snapshot()[source.name] < 2000:
        assert source.poll(0.0) is not None
    source.seek({source.name: target})
    assert source.snapshot() == {source.name: target}
    assert values_of(source) == values[target:]


def test_rows_that_are_passed_over_are_not_rejected_again(source_of):
    rejects = Rejects()
    source = source_of("time,v\n2022-01-01,1\nnever,2\n2022-01-03,x\n", rejects=rejects)
    read_all(source)
    source.seek({source.name: 3})
    assert source.poll(0.0) is None
    assert (rejects.rows, dict(rejects.cells)) == (1, {"v": 1})


def test_a_row_beyond_the_end_cannot_be_sought(table, opened):
    source = opened(table)
    with pytest.raises(DataError, match="has 3 rows; there is no row 9"):
        source.seek({source.name: 9})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("time,v\n2022-01-01,1\n2022-01-40,2\n", r"line 3: column 'time': '2022-01-40' is no time"),
        ('time,note,v\n2022-01-01,"a\nb",1\n\nyesterday,c,2\n', r"line 5: column 'time': 'yesterday' is"),
        ("time,v\n2022-01-01,1\n2022-01-02,1,5\n", r"line 3: the row has 3 of 2 cells; quote cells"),
        ("time,v\n2022-01-01,1\n2022-01-02\n", r"line 3: the row has 1 of 2 cells; it may have been cut"),
        ('time,v\n2022-01-01,1\n2022-01-02,"1"5\n', r"line 3: .* expected after"),
        ('time,v\n2022-01-01,1\n2022-01-02,"15\n', r"line 3: a quote is opened and not closed"),
        ("time,v\n2022-01-01,1\n\0\0\0\0\n", r"line 3: the row has 1 of 2 cells"),
    ],
)
@pytest.mark.parametrize("rows", [1, 2, 1000])
def test_a_row_that_cannot_be_read_is_left_out_and_said_with_its_line(text, message, rows, source_of):
    rejects = Rejects()
    last = "2022-01-03,c,3" if "note" in text else "2022-01-03,3"
    source = source_of(f"{text}{last}\n", batch_rows=rows, rejects=rejects, delimiter=",")
    assert values_of(source) == [1.0, 3.0]
    assert rejects.rows == 1
    (reject,) = rejects.first
    assert __import__("re").match(rf"table\.csv, {message}", str(reject))


def test_a_value_that_cannot_be_read_is_missing_and_said_with_its_column(source_of):
    rejects = Rejects()
    source = source_of("time,v,w\n2022-01-01,1,5\n2022-01-02,oops,6\n2022-01-03,2,7\n", rejects=rejects)
    (batch,) = read_all(source)
    np.testing.assert_array_equal(batch.values, [[1, 5], [np.nan, 6], [2, 7]])
    assert (rejects.rows, dict(rejects.cells)) == (0, {"v": 1})
    assert str(rejects.first[0]) == (
        "table.csv, line 3, column 'v': 'oops' is not a number; it counts as missing"
    )


def test_rejects_are_written_with_line_and_reason(tmp_path, source_of):
    path = tmp_path / "rejects.csv"
    rejects = Rejects(path)
    read_all(source_of("time,v\n2022-01-01,1\nnever,2\n2022-01-03,x\n2022-01-04,2\n", rejects=rejects))
    rejects.close()
    header, never, x = path.read_text().splitlines()
    assert header == "file,line,column,reason,text"
    assert never.startswith("table.csv,3,,") and never.endswith(",never")
    assert x == "table.csv,4,v,'x' is not a number; it counts as missing,x"


def test_the_line_is_right_deep_in_a_file(source_of):
    rejects = Rejects()
    text, _ = numbered(5000)
    read_all(source_of(f"{text}oops\n", batch_rows=64, rejects=rejects))
    assert str(rejects.first[0]).startswith("table.csv, line 5002, column 'v': 'oops'")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        (" \n\n", "is empty"),
        ("time,v\n", "header but no records"),
        ("time,v\n\n\n", "header but no records"),
        ("# only\n# comments\n", "comments but no records"),
        ("a,b\nx,y\n", "no column holds numbers"),
        ("time,v\n2022-01-01,\n2022-01-02,\n", r"no column holds numbers to watch \('v': empty\)"),
        ("\0\1\2\3" * 50, "is not text"),
        (b"PK\x03\x04rest", "a zip archive or a spreadsheet"),
        (b"\x89PNG\r\n", "a picture"),
        (gzip.compress(b"v\n1\n2\n", mtime=0)[:-9], "packed with gzip and damaged"),
    ],
)
def test_a_file_that_is_no_table_of_numbers_is_refused(tmp_path, text, message, source_of):
    with pytest.raises(DataError, match=message) as caught:
        source_of(text)
    assert "table.csv" in str(caught.value)


def test_a_file_of_which_not_one_row_can_be_read_is_refused_after_the_last(source_of):
    source = source_of("time,v\n" + "2022-01-01T00,1\n" * 3, time_format="%d/%m/%Y", time=("time",))
    with pytest.raises(DataError, match=r"not one row could be read; the first: table\.csv, line 2"):
        read_all(source)


def test_a_file_that_cannot_be_opened_is_refused(tmp_path, opened):
    with pytest.raises(DataError, match=r"cannot read .*none\.csv: No such file"):
        opened(tmp_path / "none.csv")
    with pytest.raises(DataError, match="Is a directory"):
        opened(tmp_path)


def test_names_of_files_and_cells_are_escaped(tmp_path, opened):
    path = tmp_path / "a\x1b[31m.csv"
    path.write_text("v\n1\n\x1b[2J\n2\n")
    rejects = Rejects()
    source = opened(path, rejects)
    assert source.name.isprintable()
    read_all(source)
    assert str(rejects.first[0]).isprintable()


def test_a_byte_order_mark_is_no_part_of_a_name(source_of):
    assert source_of(b"\xef\xbb\xbftime,v\r\n2022-01-01,1\r\n").schema.names == ("time", "v")


def test_text_that_is_not_utf_8_comes_through_unchanged(tmp_path, source_of):
    text, copy = "v,Gerät\n1,Zähler\n", tmp_path / "copy.csv"
    mixed = text.encode() + "5,Zähler\n".encode("latin-1")
    sink = CsvSink(copy)
    for batch in read_all(source_of(mixed, encoding="utf-8")):
        sink.write(batch.columns)
    sink.close()
    assert copy.read_bytes() == mixed


def test_a_pipe_can_be_read_but_not_twice(tmp_path, opened):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    text, values = numbered(50_000)
    writer = threading.Thread(target=path.write_text, args=(text,))
    writer.start()
    source = opened(path)
    assert values_of(source) == values
    writer.join()
    with pytest.raises(DataError, match="cannot be read twice"):
        source.seek({source.name: 0})
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
        source.seek({source.name: 0})
    source.close()
    assert not stdin.closed


def test_a_column_has_one_role(source_of):
    with pytest.raises(SettingsError, match="column 'v' is both values and key"):
        source_of("time,v\n2022-01-01,1\n", values=("v",), key=("v",))


def test_input_columns_that_are_named_like_output_move_aside_and_none_is_lost():
    read = {"status": [1], "input.status": [2], "v": [3]}
    assert joined(read, {"status": [4]}) == {
        "input.input.status": [1],
        "input.status": [2],
        "v": [3],
        "status": [4],
    }


def test_rows_without_a_key_or_with_one_that_is_too_long_are_rejected_with_words(tmp_path):
    names = ["a", "b", "", "a", "x" * 1001, "b"]
    rows = [f"2024-05-01 0{i}:00,{name},{i}.5" for i, name in enumerate(names)]
    rows.append("whenever,,7.5")  # one row is rejected once
    (tmp_path / "t.csv").write_text("\n".join(["time,device,v", *rows]) + "\n")
    rejects = Rejects()
    source = FileSource(tmp_path / "t.csv", RecordOptions(key=("device",)), rejects)
    read = source.poll(1.0)
    assert read.values[:, 0].tolist() == [0.5, 1.5, 3.5, 5.5] and source.keys == ["a", "b"]
    assert read.offsets.tolist() == [0, 1, 3, 5] and rejects.rows == 3
    assert [reject.reason for reject in rejects.first[:2]] == [
        "the key is empty", "the key has 1,001 characters, more than 1,000",
    ]  # fmt: skip
    assert len(rejects.first[1].text) < 100
    source.close()
