"""What every sink must do, and what each writes."""

from __future__ import annotations

import csv
import errno
import gzip
import io
import json
import os
import subprocess
import sys
import threading
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamrnn.connectors.csv_sink import CsvSink
from streamrnn.connectors.sinks import SINKS, open_sink, sink_class
from streamrnn.errors import SettingsError

SPECIAL = ["</script>", "[red]", "\x1b[31m", "a,b", 'say "c"', "d\ne", "d\re", "ünï ✓", "", "1e5", "null"]
FORMULAS = ["=cmd()", "+cmd()", "-cmd()", "@cmd", "\tcmd", "\rcmd", "-1+cmd()", "+1\x1f=x", "--1", "-", "-e5"]


@pytest.fixture(params=sorted(SINKS))
def path(request, tmp_path):
    """A file of each format."""
    return tmp_path / f"scored{request.param}"


def text_of(path):
    """The text of a file, bytes that are not UTF-8 as surrogates."""
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8", "surrogateescape")


def read_back(path):
    """Columns of a file as lists: numbers and truth values where it says so, None where there is nothing."""
    if path.suffix in (".parquet", ".pq"):
        from pyarrow import parquet

        with path.open("rb") as file:
            return parquet.read_table(file).to_pydict()
    text = text_of(path)
    if ".csv" in path.suffixes:
        header, *rows = csv.reader(io.StringIO(text, newline=""))
        columns = [[None if cell == "" else cell for cell in column] for column in zip(*rows, strict=True)]
        return dict(zip(header, columns, strict=True))
    rows = [json.loads(line) for line in text.splitlines()]
    return {name: [row[name] for row in rows] for name in rows[0]}


def written(path, *blocks):
    sink = open_sink(path)
    for block in blocks:
        sink.write(block)
    sink.close()
    return read_back(path)


def is_csv(path):
    return ".csv" in path.suffixes


def is_parquet(path):
    return path.suffix in (".parquet", ".pq")


def numbers(seed=3, n=500):
    rng = np.random.default_rng(seed)
    odd = [np.nan, 5e-324, -0.0, 1e16, 1e-5, 1e22, 2**53 + 1.0, 1.7976931348623157e308, 1 / 3, 100.0]
    return np.append(rng.normal(size=n) * 10.0 ** rng.integers(-300, 300, n), odd)


def bits(values):
    return np.array([np.nan if value is None else float(value) for value in values]).view(np.int64).tolist()


def test_numbers_read_back_to_the_bit(path):
    x = numbers()
    found = written(path, {"x": x, "y": x[::-1], "id": ["r"] * len(x), "z": x * 0.5})
    for name, values in (("x", x), ("y", x[::-1]), ("z", x * 0.5)):
        assert bits(found[name]) == values.view(np.int64).tolist(), name


@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=50))
def test_every_number_reads_back_from_csv_the_same_whatever_stands_beside_it(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("numbers") / "x.csv"
    x = np.array(values)
    found = written(path, {"x": x, "y": np.roll(x, 1)})
    assert bits(found["x"]) == x.view(np.int64).tolist()
    alone = [written(path, {"x": x[i : i + 1], "y": x[i : i + 1]})["x"] for i in range(len(x))]
    assert [cell for cells in alone for cell in cells] == found["x"]


def test_truth_values_whole_numbers_and_missing_text_read_back(path):
    id_ = np.array([None, "a", None], object)
    columns = {
        "hit": np.array([True, False, True]),
        "n": np.array([1, -2, 2**62]),
        "id": id_,
        "note": ["x"] * 3,
    }
    found = written(path, columns)
    assert list(found) == list(columns)
    assert found["id"] == [None, "a", None]
    if is_csv(path):
        assert (found["hit"], found["n"]) == (["True", "False", "True"], ["1", "-2", str(2**62)])
    else:
        assert (found["hit"], found["n"]) == ([True, False, True], [1, -2, 2**62])


def test_missing_numbers_are_empty_or_null_and_infinities_have_a_policy(path):
    found = written(path, {"x": np.array([np.nan, np.inf, -np.inf, 1.5]), "y": np.arange(4.0)})
    if is_csv(path):
        assert found == {"x": [None, "inf", "-inf", "1.5"], "y": ["0.0", "1.0", "2.0", "3.0"]}
    elif is_parquet(path):
        assert found["x"][1:] == [np.inf, -np.inf, 1.5] and np.isnan(found["x"][0])
    else:
        assert found["x"] == [None, None, None, 1.5]


@pytest.mark.parametrize("text", SPECIAL)
def test_text_comes_back_as_it_went(path, text):
    found = written(path, {f"{text} name": ["before", text, "after"], "x": np.arange(3.0)})
    want = None if is_csv(path) and text == "" else text
    assert found[f"{text} name"] == ["before", want, "after"]


@pytest.mark.parametrize("text", FORMULAS)
def test_only_csv_marks_what_a_spreadsheet_would_execute(path, text):
    found = written(path, {text: ["before", text, "after"], "x": np.arange(3.0)})
    mark = "'" if is_csv(path) else ""
    assert found[f"{mark}{text}"] == ["before", f"{mark}{text}", "after"]


@pytest.mark.parametrize("text", ["-1", "+2.5", "-.5", "-1e5", "+1E-5", "-inf", "-NaN", "-1,5", "-1.000,5"])
def test_a_number_with_a_sign_is_no_formula(path, text):
    assert written(path, {"v": ["1", text, text], "x": np.arange(3.0)})["v"] == ["1", text, text]


def test_text_that_has_no_utf_8_leaves_csv_as_the_same_bytes_and_others_with_a_mark(path):
    foreign = b"Z\xe4hler".decode(errors="surrogateescape")
    found = written(path, {foreign: [foreign, "b", "lone \ud800"], "x": np.arange(3.0)})
    shown = foreign if is_csv(path) else "Z\ufffdhler"
    assert found[shown] == [shown, "b", "lone \ufffd"]


def test_several_writes_are_one_write(path):
    x = numbers()
    n = len(x)
    columns = {
        "time": tuple(f"t{i}" for i in range(n)),
        "x": x,
        "hit": x > 0,
        "id": np.array([None] * 400 + ["r"] * (n - 400), object),
    }
    parts = [{name: c[a : a + 50] for name, c in columns.items()} for a in range(0, n, 50)]
    whole = str(written(path, columns))  # as text: NaN is not itself
    data = path.read_bytes()
    assert str(written(path, *parts)) == whole
    assert is_parquet(path) or path.suffix == ".gz" or path.read_bytes() == data


def test_rows_of_no_length_add_nothing(path):
    nothing = {"x": np.empty(0), "y": np.empty(0), "id": [], "hit": np.empty(0, bool)}
    some = {"x": np.ones(1), "y": np.ones(1), "id": ["a"], "hit": np.ones(1, bool)}
    assert written(path, nothing, some, nothing) == written(path, some)


def test_columns_keep_the_order_of_the_first_write(path):
    found = written(path, {"a": ["1"], "b": ["2"]}, {"b": ["4"], "a": ["3"]})
    assert found == {"a": ["1", "3"], "b": ["2", "4"]}


def test_lists_may_hold_more_than_text(path):
    found = written(path, {"v": [None, 1.5, float("nan"), "x"], "x": np.arange(4.0)})
    assert [None if cell is None else str(cell) for cell in found["v"]] == [None, "1.5", None, "x"]


def test_columns_of_unequal_length_are_refused(path):
    sink = open_sink(path)
    with pytest.raises(ValueError):  # noqa: PT011 (pyarrow and zip word it differently)
        sink.write({"a": ["1", "2"], "x": np.ones(3)})
    sink.close()


def test_a_run_without_rows_leaves_a_file_that_can_be_read(path):
    open_sink(path).close()
    if is_parquet(path):
        assert read_back(path) == {}
    else:
        assert text_of(path) == ""


def test_a_sink_can_be_closed_twice_and_flushed_at_any_time(path):
    sink = open_sink(path)
    sink.flush(0.0)
    sink.write({"a": ["1"]})
    sink.flush(0.0)
    sink.write({"a": ["2"]})
    sink.close()
    sink.close()
    assert read_back(path) == {"a": ["1", "2"]}


@pytest.mark.parametrize("name", ["scored.csv", "scored.jsonl"])
def test_flushed_lines_can_be_read_while_the_run_goes_on(tmp_path, name):
    path = tmp_path / name
    sink = open_sink(path)
    sink.write({"a": ["1"]})
    sink.flush(0.0)
    assert read_back(path) == {"a": ["1"]}
    sink.close()


def test_a_file_that_cannot_be_opened_is_said_with_its_name(path):
    path.mkdir()
    with pytest.raises(SettingsError, match=rf"cannot write .*{path.name}: Is a directory"):
        open_sink(path)


@pytest.mark.parametrize("rows", [1, 200_000])
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")  # noqa: PTH110
def test_a_full_disk_is_said_with_the_name_of_the_file_and_never_lost(path, rows):
    path.symlink_to("/dev/full")
    sink, errors = open_sink(path), []
    block = {"x": np.random.default_rng(0).normal(size=rows)}
    for step in (lambda: sink.write(block), lambda: sink.flush(0.0), sink.close, sink.close, sink.close):
        try:
            step()
        except OSError as error:
            errors.append((error.errno, error.filename))
    assert set(errors) == {(errno.ENOSPC, str(path))}


def test_the_reader_of_a_pipe_may_go(tmp_path):
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: pipe.open("rb").close())
    reader.start()
    sink = open_sink(pipe)
    reader.join()
    with pytest.raises(BrokenPipeError):
        sink.write({"x": np.zeros(100_000)})
    with suppress(BrokenPipeError):  # where something was held back
        sink.close()
    sink.close()


def test_a_format_that_is_not_known_is_refused_with_those_that_are(tmp_path):
    for name in ("scored.xlsx", "scored", "scored.parquet.gz", "scored.csv.bak"):
        with pytest.raises(SettingsError, match=r"\.csv, \.csv\.gz, \.jsonl, .*\.parquet, \.pq"):
            open_sink(tmp_path / name)
        assert not (tmp_path / name).exists()


def test_devices_and_stdout_are_csv_and_capitals_do_not_matter():
    for name in ("-", "/dev/null", "SCORED.CSV"):
        assert sink_class(name) is CsvSink


def test_without_pyarrow_the_message_says_how_to_install_it(tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "pyarrow"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(SettingsError, match=r"pip install 'streamrnn\[parquet\]'"):
        open_sink(tmp_path / "scored.parquet")
    assert list(tmp_path.iterdir()) == []


def test_choosing_a_sink_loads_no_library():
    code = (
        "import sys; from streamrnn.connectors.sinks import sink_class\n"
        "for name in ('a.csv', 'a.jsonl', 'a.parquet'): sink_class(name)\n"
        "assert not {'pyarrow', 'pandas', 'orjson', 'numba'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


class Stdout(io.TextIOWrapper):
    """A standard output whose bytes are kept."""

    def __init__(self, terminal):
        super().__init__(io.BytesIO())
        self.buffer.isatty = lambda: terminal


@pytest.mark.parametrize(("terminal", "shown"), [(True, "\\x1b[31m"), (False, "\x1b[31m")])
def test_only_a_terminal_sees_control_characters_escaped_and_stdout_stays_open(monkeypatch, terminal, shown):
    stdout = Stdout(terminal)
    monkeypatch.setattr(sys, "stdout", stdout)
    sink = open_sink("-")
    sink.write({"key": ["\x1b[31m", "a\nb"], "x": np.ones(2)})
    sink.close()
    sink.close()
    assert stdout.buffer.getvalue().decode() == f'key,x\n{shown},1.0\n"a\nb",1.0\n'


def test_a_csv_of_one_column_has_no_blank_lines(tmp_path):
    path = tmp_path / "one.csv"
    written(path, {"x": np.array([1.0, np.nan])})
    assert path.read_text() == 'x\n1.0\n""\n'


def test_compressed_files_are_the_same_bytes_each_time(tmp_path):
    first, second = tmp_path / "a" / "x.csv.gz", tmp_path / "b" / "x.csv.gz"
    for path in (first, second):
        path.parent.mkdir()
        written(path, {"x": np.arange(9.0)})
    assert first.read_bytes() == second.read_bytes()


def test_a_long_parquet_file_has_groups_of_a_sensible_size(tmp_path):
    from pyarrow import parquet

    path = tmp_path / "long.parquet"
    block = {"x": np.arange(16_384.0), "event_id": np.full(16_384, None, object)}
    late = {**block, "event_id": np.full(16_384, "r", object)}
    found = written(path, *[block] * 9, late)
    assert found["event_id"] == [None] * (9 * 16_384) + ["r"] * 16_384
    with parquet.ParquetFile(path) as file:
        assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [
            65_536,
            65_536,
            32_768,
        ]
        assert file.metadata.row_group(0).column(0).compression == "ZSTD"
