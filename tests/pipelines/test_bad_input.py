"""Bad input through the command line: a clear message or a stated policy, and the fitting exit code."""

from __future__ import annotations

import gzip
import json
import os
import socket
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from made_up import ISO, N, V, stamps, table, wave

from streamrnn.connectors.file import FileSource
from streamrnn.connectors.tables.rows import Lines
from streamrnn.pipelines.cli import main

HEAD = "time,v\n"
GOOD = HEAD + table(ISO, V)
HOSTILE = ["</script><script>alert(1)</script>", "=cmd()", "[red]", "\x1b[31m", "a\x9bb", "\u202egnp"]


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Run the command line in this process, in an empty folder: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def runner(*arguments):
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as end:  # argparse
            code = end.code
        return code, *capsys.readouterr()

    return runner


@pytest.fixture
def replay(run, tmp_path):
    """Replay a text as a file, with its summary as an object: (exit code, summary or None, stderr)."""

    def runner(text, *arguments):
        (tmp_path / "data.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
        code, out, err = run("replay", "data.csv", "--json", *arguments)
        assert "Traceback" not in err
        return code, json.loads(out) if out else None, err

    return runner


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "data.csv is empty; it should hold a table such as time,value"),
        ("\n \n", "data.csv is empty"),
        (b"\xef\xbb\xbf", "data.csv is empty"),
        (HEAD, "data.csv has a header but no records"),
        (HEAD + "\n\n", "data.csv has a header but no records"),
        (HEAD + table(ISO, ["nan"] * N), "no column holds numbers to watch ('v': empty)"),
        (HEAD + table(ISO, ["inf"] * N), "no column holds numbers to watch ('v': no finite number)"),
        (HEAD + table(ISO, ["on", "off"] * 20), "no column holds numbers to watch ('v': text)"),
        ("time\n" + table(ISO), "no column holds numbers to watch (none but the time)"),
        ("a,b\nx,y\nz,w\n", "no column holds numbers to watch ('a': text, 'b': text)"),
        (b"\0" * 500, "data.csv is not text"),
        (bytes(range(256)) * 9, "data.csv is not text"),
        (b"\x1f\x8b\x08garbage", "data.csv is packed with gzip and damaged"),
        (gzip.compress(GOOD.encode(), mtime=0)[:-4], "data.csv is packed with gzip and damaged"),
        (b"PAR1garbage", "data.csv cannot be read as Parquet"),
        (b"PK\x03\x04", "a zip archive or a spreadsheet"),
        ('{"v": 1}\n', "data.csv is JSON"),
        (HEAD + table(ISO, V).replace("2024", "year"), "column 'time': 'year-01-29 22:00:00' is no time"),
    ],
)
def test_a_file_without_a_table_of_numbers_exits_with_3_and_one_line(replay, text, message):
    code, found, err = replay(text)
    assert (code, found) == (3, None)
    assert err.startswith("streamrnn: error: ") and message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "arguments", "message"),
    [
        (GOOD, ["--values", "w"], "values: data.csv has no column 'w'; its columns are 'time', 'v'"),
        (GOOD, ["--time", "tine"], "no column 'tine' (did you mean 'time'?)"),
        (GOOD, ["--key", "w"], "key: data.csv has no column 'w'"),
        (GOOD, ["--label", "w"], "label: data.csv has no column 'w'"),
        (GOOD, ["--time-format", "%d/%m/%Y"], "reads no column of data.csv"),
        (GOOD, ["--tz", "Mars/Base"], "tz 'Mars/Base' is not a time zone"),
        (HEAD + table(ISO[::-1], V), [], "its times run backwards, the newest row is first; --sort"),
        (HEAD + table([f"0{1 + i % 9}/02/2024" for i in range(N)], V), [], "say which: --time-format"),
    ],
)
def test_what_does_not_fit_the_file_exits_with_2_and_names_the_option(replay, text, arguments, message):
    code, found, err = replay(text, *arguments)
    assert (code, found) == (2, None)
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("none.csv", "cannot read none.csv: No such file or directory"),
        ("folder", "folder is a folder without tables"),
        ("file/below.csv", "cannot read file/below.csv: Not a directory"),
        ("x" * 5000, "File name too long"),
        ("socket", "cannot read socket: No such device or address"),
    ],
)
def test_what_cannot_be_opened_exits_with_3(run, tmp_path, path, message):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text(GOOD)
    server = socket.socket(socket.AF_UNIX)
    server.bind("socket")
    code, out, err = run("replay", path)
    server.close()
    assert (code, out) == (3, "")
    assert message in err and err.count("\n") == 1


def test_a_file_that_may_not_be_read_exits_with_3(run, tmp_path, monkeypatch):
    (tmp_path / "data.csv").write_text(GOOD)
    (tmp_path / "data.csv").chmod(0)
    if os.geteuid() == 0:  # root may read all: let the system say what it says to others
        refuse_path(monkeypatch)
    code, out, err = run("replay", "data.csv")
    assert (code, out, err) == (3, "", "streamrnn: error: cannot read data.csv: Permission denied\n")


def refuse_path(monkeypatch):
    from pathlib import Path

    def refuse(self, *args, **kwargs):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", refuse)


@pytest.mark.parametrize(
    ("text", "n", "rows", "cells"),
    [
        (HEAD + "2024-01-01,5\n", 1, 0, 0),
        (GOOD.replace("20.4", "oops"), N, 0, V.count("20.4")),
        (GOOD.replace("20.4", "2\x000.4"), N, 0, V.count("20.4")),
        (GOOD.replace("20.4", "20.4,7"), N - V.count("20.4"), V.count("20.4"), 0),
        (GOOD.replace("2024-01-29 23:00", "2024-01-29 25:00"), N - 1, 1, 0),
        (GOOD + "2024-02-30,1\n", N, 1, 0),
        (GOOD + '2024-02-03,"1\n', N, 1, 0),
        (HEAD + table(ISO, ["5"] * N), N, 0, 0),
        (GOOD.encode() + "2024-02-03,20,é\n".encode("latin-1"), N, 1, 0),
    ],
)
def test_rows_and_cells_that_cannot_be_read_are_counted_and_the_others_scored(replay, text, n, rows, cells):
    code, found, _ = replay(text, "-o", "out.csv", "--rejects", "rejects.csv")
    assert code == 0
    assert found["records"] == n == len(pd.read_csv("out.csv"))
    assert (found["rejects"]["rows"], sum(found["rejects"]["cells"].values())) == (rows, cells)
    if rows + cells:
        rejects = pd.read_csv("rejects.csv")
        assert len(rejects) == rows + cells
        assert rejects["line"].is_monotonic_increasing and rejects["reason"].notna().all()
    else:
        assert not os.path.exists("rejects.csv")  # noqa: PTH110 (relative to the folder of the test)


def test_infinities_and_the_largest_numbers_poison_nothing(replay):
    values = [*wave(n=200), "inf", "-inf", "1e308", "-1e308", "1e400", *wave(n=200)]
    code, _, _ = replay(HEAD + table(stamps(n=len(values)), values), "-o", "out.csv")
    scored = pd.read_csv("out.csv")
    assert code == 0
    assert (scored["status"] == "missing").sum() == 5
    assert np.isfinite(scored["yhat"].iloc[-100:]).all()


def test_late_and_repeated_rows_keep_their_row_with_a_status(replay):
    rows = table(stamps(n=200), wave(n=200)).splitlines(keepends=True)
    text = HEAD + "".join([*rows[:150], rows[149], rows[20], *rows[150:]])
    code, found, _ = replay(text, "-o", "out.csv")
    status = pd.read_csv("out.csv")["status"]
    assert code == 0
    assert (len(status), found["statuses"]["late"], found["statuses"]["duplicate"]) == (202, 1, 1)
    assert status[150:152].tolist() == ["duplicate", "late"]


def test_hostile_text_reaches_the_terminal_only_escaped_and_the_output_as_it_was(run, tmp_path):
    rows = [(key, stamp, str(20 + i % 7)) for i, stamp in enumerate(ISO) for key in HOSTILE]
    names = ["sensor", "time", HOSTILE[3]]
    pd.DataFrame(rows, columns=names).to_csv(tmp_path / "data.csv", index=False)
    code, out, err = run("replay", "data.csv", "-o", "out.csv", "--plot", "out.svg", "--forecast", "2")
    assert (code, err) == (0, "")
    assert all(line.isprintable() for line in out.splitlines())
    assert "\\x1b[31m" in out
    scored = pd.read_csv("out.csv")
    assert set(scored["sensor"]) >= set(HOSTILE[2:])
    picture = (tmp_path / "out.svg").read_text()
    assert "<script>" not in picture and "\x1b" not in picture


@pytest.mark.parametrize("option", ["-o", "--rejects", "--plot"])
def test_a_full_disk_exits_with_2_and_says_which_file(run, tmp_path, option):
    (tmp_path / "data.csv").write_text(GOOD.replace("20.4", "oops"))
    name = "full.svg" if option == "--plot" else "full.csv"
    (tmp_path / name).symlink_to("/dev/full")
    code, _, err = run("replay", "data.csv", option, name)
    assert code == 2
    assert "No space left on device" in err and name in err
    assert "Traceback" not in err


def test_a_file_that_grows_while_it_is_read_is_read_to_the_end_that_is_reached(run, tmp_path, monkeypatch):
    (tmp_path / "data.csv").write_text(GOOD)
    poll, grown = FileSource.poll, table(stamps(n=80)[40:], V)

    def grow(self, timeout_s):
        if not self.snapshot()[self.name]:
            with (tmp_path / "data.csv").open("a") as file:
                file.write(grown + "2024-01-")
        return poll(self, timeout_s)

    monkeypatch.setattr(FileSource, "poll", grow)
    code, out, err = run("replay", "data.csv", "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert found["records"] == 80
    assert found["rejects"]["rows"] == 1  # the row that was being written


def test_a_file_that_cannot_be_read_further_says_what_was_scored(run, tmp_path, monkeypatch):
    (tmp_path / "data.csv").write_text(HEAD + table(stamps(n=60_000), wave(n=60_000)))
    fill, calls = Lines._fill, []

    def fail(self):
        calls.append(1)
        if len(calls) > 1:
            raise OSError(5, "Input/output error")
        fill(self)

    monkeypatch.setattr(Lines, "_fill", fail)
    code, _, err = run("replay", "data.csv", "-o", "out.csv")
    assert code == 3
    assert "cannot read data.csv: Input/output error" in err and "records before it: scored" in err
    assert len(pd.read_csv("out.csv")) > 10_000


def test_a_closed_pipe_ends_quietly(tmp_path):
    (tmp_path / "data.csv").write_text(HEAD + table(stamps(n=3000), wave(n=3000)))
    command = f"{sys.executable} -m streamrnn replay data.csv -o - | head -n 1"
    ran = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.stdout.startswith("time,v,")
    assert "Traceback" not in ran.stderr and "error:" not in ran.stderr


@pytest.mark.parametrize("end", [b"", b"\n", b"2024-01"])
def test_stdin_that_ends_anywhere_is_read_to_its_end(end):
    command = [sys.executable, "-m", "streamrnn", "replay", "-", "--json"]
    ran = subprocess.run(command, input=GOOD.encode() + end, capture_output=True, check=False)
    found = json.loads(ran.stdout)
    assert (ran.returncode, found["records"], found["rejects"]["rows"]) == (0, N, len(end) > 1)
