"""Files as bytes: the head, samples from further in, and what is no table."""

from __future__ import annotations

import gzip
import os
import threading

import pytest
from made_up import stamps, wave

from streamrnn.connectors.csv import CsvTable
from streamrnn.connectors.file import FileSource
from streamrnn.connectors.options import RecordOptions
from streamrnn.connectors.tables.opening import Opened
from streamrnn.errors import DataError

KIB = 1024


@pytest.fixture
def opened(tmp_path):
    """Opens bytes as a file that the test need not close."""
    files = []

    def opener(data, name="t.csv"):
        (tmp_path / name).write_bytes(data)
        files.append(Opened(str(tmp_path / name)))
        return files[-1]

    yield opener
    for file in files:
        file.close()


def lines(length, count):
    return b"".join(b"%0*d\n" % (length - 1, i) for i in range(count))


@pytest.mark.parametrize(
    ("data", "head", "goes_on"),
    [
        (b"", 0, False),
        (lines(10, 100), 1000, False),
        (lines(1000, 500), 256 * KIB, True),
        (lines(100_000, 30), 2048 * KIB, True),  # twenty lines are wanted
        (lines(100_000, 12), 1_200_000, False),
        (b"x" * 5000 * KIB, 4096 * KIB, True),  # and no more than this
    ],
)
def test_the_head_is_long_enough_for_some_whole_lines(data, head, goes_on, opened):
    for packed in (data, gzip.compress(data)) if data else (data,):
        file = opened(packed)
        assert (len(file.head), file.goes_on) == (head, goes_on)
        assert file.stream.read() == data


def test_samples_are_parts_from_further_in_up_to_the_very_end(opened):
    data = lines(100, 20_000)
    file = opened(data)
    places = [data.index(part) for part in file.samples]
    assert len(places) == 4 and places == sorted(places)
    assert places[0] > len(file.head) and data.endswith(file.samples[-1])
    assert opened(data[: 300 * KIB]).samples == [data[256 * KIB : 300 * KIB]]
    assert opened(data[: 200 * KIB]).samples == opened(gzip.compress(data[: 200 * KIB])).samples == []
    assert opened(gzip.compress(data)).samples[-1] == data[-32 * KIB :]
    assert len(opened(gzip.compress(data)[:-3000]).samples) == 4


def test_a_pipe_holds_what_a_file_does(tmp_path, opened):
    data = lines(100, 10_000)
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(data,))
    writer.start()
    pipe = Opened(str(tmp_path / "pipe"))
    assert (pipe.head, pipe.repeatable, pipe.share_read) == (opened(data).head, False, None)
    assert pipe.fingerprint == opened(data).fingerprint
    assert pipe.stream.read() == data
    writer.join()
    pipe.close()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\xd0\xcf\x11\xe0", "an old Excel workbook"),
        (b"%PDF-1.4", "a PDF file"),
        (b"\x28\xb5\x2f\xfd", "compressed with zstd; unpack it first"),
        (b"BZh9", "compressed with bzip2"),
        (b"\x89HDF", "an HDF5 file"),
        (gzip.compress(b"PK\x03\x04", mtime=0), "a zip archive or a spreadsheet"),
    ],
)
def test_what_is_no_table_is_refused_by_its_first_bytes(data, message, opened):
    with pytest.raises(DataError, match=message):
        opened(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (gzip.compress(b'[\n {"a": 1}]', mtime=0), "JSON"),
        (b" \n<?xml version='1.0'?>", "XML or a web page"),
        (b"@relation cpu\n", "an ARFF file"),
    ],
)
def test_text_that_is_another_format_is_refused_as_a_table(data, message, opened):
    with pytest.raises(DataError, match=message):
        CsvTable(opened(data), "data", RecordOptions())


def test_a_table_may_begin_with_a_bracket(opened):
    table = CsvTable(opened(b"[time];[v]\n1;2\n"), "data", RecordOptions())
    assert table.dialect.names == ("[time]", "[v]")


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_sensor_that_wakes_late_is_watched_since_the_file_is_looked_at_further_in(pack, tmp_path):
    n = 40_000
    resting = ["0"] * (n - 3000) + wave(n=3000)
    text = "time,v,w\n" + "".join(
        f"{t},{v},{w}\n" for t, v, w in zip(stamps(n=n), wave(n=n), resting, strict=True)
    )
    (tmp_path / "t.csv").write_bytes(pack(text.encode()))
    source = FileSource(tmp_path / "t.csv")
    assert source.schema.channels == ("v", "w")
    source.close()
