from __future__ import annotations

import gzip
import io
import itertools
import json
import math
import subprocess
import sys

import pandas as pd
import pytest

from streamrnn import __version__
from streamrnn.connectors.file import FileSource
from streamrnn.pipelines.cli import main
from streamrnn.pipelines.progress import Progress


@pytest.fixture
def run(capsys):
    """Run the command line in this process: (exit code, stdout, stderr)."""

    def runner(*arguments):
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as end:  # argparse
            code = end.code
        return code, *capsys.readouterr()

    return runner


def run_apart(*arguments, stdin=None):
    """The same in a process of its own."""
    command = [sys.executable, "-m", "streamrnn", *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, check=False)


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["replay", "--help"], ["evaluate", "--help"], ["simulate", "--help"], ["--version"], []],
)
def test_help_loads_nothing_heavy(arguments):
    code = (
        "import sys\n"
        "from streamrnn.pipelines.cli import main\n"
        "try:\n"
        f"    main({arguments!r})\n"
        "except SystemExit as end:\n"
        "    assert not end.code\n"
        "heavy = {'numba', 'numpy', 'pandas', 'river', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


def test_the_version_is_that_of_the_package(run):
    assert run("--version") == (0, f"streamrnn {__version__}\n", "")


def test_without_a_command_help_comes_and_the_exit_code_of_wrong_usage(run):
    code, out, err = run()
    assert (code, out) == (2, "")
    assert "usage: streamrnn" in err


def test_the_help_names_every_setting_that_a_user_may_want(run):
    _, out, _ = run("replay", "--help")
    options = ["time", "values", "output", "plot", "json", "false-alarms", "horizons", "networks", "hidden"]
    for option in [*options, "seed", "coverage"]:
        assert f"--{option}" in out
    assert "--no-learn-anomalies" in out


def test_a_replay_prints_a_summary_and_writes_what_it_names(run, table, tmp_path):
    code, out, err = run("replay", table, "-o", tmp_path / "out.csv", "--plot", tmp_path / "out.png")
    assert (code, err) == (0, "")
    assert out.startswith("sensors.csv\n  format    UTF-8, commas, header in line 1\n")
    assert "\n\nsummary\n  records" in out
    for words in ("576, 2024-03-30 23:00 to 2024-04-01 22:55 UTC", "a, b", "left out", "site", "5 min"):
        assert words in out
    assert f"scored rows: {tmp_path}/out.csv" in out
    assert len(pd.read_csv(tmp_path / "out.csv")) == 576
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")


def test_json_says_the_same_to_machines(run, table):
    code, out, err = run("replay", table, "--json", "--false-alarms", "0.05")
    assert (code, err) == (0, "")

    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    found = json.loads(out, parse_constant=refuse)
    assert found["streamrnn"] == __version__
    assert found["records"] == sum(found["statuses"].values()) == 576
    assert [channel["channel"] for channel in found["channels"]] == ["a", "b"]
    assert found["settings"]["false_alarms"] == "0.05"
    assert found["first"] == {"record": 0, "time": "2024-03-30T23:00:00Z"}
    assert found["typical_step_s"] == pytest.approx(300, rel=0.02)
    assert len(found["events"]) == found["n_events"]
    assert found["false_alarms"]["counts"] == "records"


def test_settings_reach_the_detector(run, table):
    options = "--horizons 1,6 --networks lstm,gru --hidden 8 --seed 3 --coverage 0.9 --no-learn-anomalies"
    _, out, _ = run("replay", table, "--json", "--values", "b", *options.split())
    settings = json.loads(out)["settings"]
    given = {"horizons": [1, 6], "networks": ["lstm", "gru"], "hidden": 8, "seed": 3, "coverage": 0.9}
    assert given.items() <= settings.items()
    assert settings["learn_anomalies"] is False
    assert settings["channels"] == ["b"]


def test_names_of_columns_may_hold_commas(run, tmp_path):
    (tmp_path / "t.csv").write_text('time,"a, b",c\n2022-01-01,1,2\n')
    _, out, _ = run("replay", tmp_path / "t.csv", "--json", "--values", '"a, b",c')
    assert json.loads(out)["settings"]["channels"] == ["a, b", "c"]


def test_fail_on_anomaly_is_the_only_way_to_exit_with_1(run, table):
    anomalous = ("replay", table, "--false-alarms", "0.3")
    assert run(*anomalous)[0] == 0
    assert run(*anomalous, "--fail-on-anomaly")[0] == 1
    assert run("replay", table, "--fail-on-anomaly", "--values", "b", "--false-alarms", "1e-9")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["replay"], "no file was given"),
        (["replay", "TABLE", "-"], "- (stdin) is read alone"),
        (["replay", "TABLE", "--forecast", "0"], "--forecast is 0; give a number of records from 1 to 1000"),
        (["replay", "TABLE", "-o", "scored.xlsx"], "cannot tell the format of 'scored.xlsx'"),
        (["replay", "TABLE", "--rejects", "x.csv", "-o", "x.csv"], "-o and --rejects are both 'x.csv'"),
        (["replay", "TABLE", "--settings", "none.toml"], "cannot read none.toml: No such file"),
        (["replay", "TABLE", "--load-state", "none"], "cannot read none: No such file"),
        (["replay", "TABLE", "--load-state", "TABLE"], "is no state of a run"),
        (["replay", "TABLE", "--delimiter", "ab"], "delimiter is 'ab'; give one character"),
        (["replay", "TABLE", "--encoding", "utf-9"], "encoding 'utf-9' is not known"),
        (["replay", "TABLE", "--tz", "Europe/Roma"], "Europe/Rome"),
        (["replay", "TABLE", "--time-format", "%H:%M"], "does not say the year"),
        (["replay", "--demo", "a.csv"], "--demo brings its own series"),
        (["replay", "TABLE", "-o", "-", "--json"], "-o - and --json both want stdout"),
        (["replay", "TABLE", "-o", "TABLE"], "a file that is read"),
        (["replay", "TABLE", "-o", "none/out.csv"], "in a folder that does not exist"),
        (["replay", "TABLE", "--plot", "picture.bmp"], "give a name that ends in .png"),
        (["replay", "TABLE", "--rejects", "x.png", "--plot", "x.png"], "give two names"),
        (["replay", "TABLE", "--hidden", "513"], "hidden is 513; give a whole number from 0 to 512"),
        (["replay", "TABLE", "--false-alarms", "often"], "false_alarms is 'often'; give a budget"),
        (["replay", "TABLE", "--networks", "transformer"], "networks has 'transformer'"),
        (["replay", "TABLE", "--horizons", "1,x"], "'1,x' is no list of whole numbers"),
        (["replay", "TABLE", "--values", ","], "no list of names"),
        (["replay", "TABLE", "--values", "aa"], "no column 'aa'"),
        (["replay", "TABLE", "--time", "when"], "no column 'when'"),
        (["replay", "TABLE", "--epochs", "3"], "unrecognized arguments: --epochs"),
        (["train"], "invalid choice: 'train'"),
    ],
)
def test_wrong_usage_exits_with_2_and_says_what_to_do(run, table, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    code, out, err = run(*(table if argument == "TABLE" else argument for argument in arguments))
    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot read "),
        ("a,b\nx,y\n", "data.csv: no column holds numbers"),
        ("", "data.csv is empty"),
        ("time,v\n", "data.csv has a header but no records"),
        ("time,v\n2022-01-01,\n", "data.csv: no column holds numbers to watch ('v': empty)"),
    ],
)
def test_bad_data_exits_with_3_and_says_where_it_is(run, tmp_path, text, message):
    path = tmp_path / "data.csv"
    if text is not None:
        path.write_text(text)
    code, out, err = run("replay", path)
    assert (code, out) == (3, "")
    assert err.startswith(f"streamrnn: error: {message}")
    assert err.count("\n") == 1


def test_bad_data_tells_what_was_scored_before_it(run, tmp_path):
    rows = "v\n" + "".join(f"{math.sin(i)}\n" for i in range(100_000))
    (tmp_path / "data.csv.gz").write_bytes(gzip.compress(rows.encode())[:-5000])
    code, _, err = run("replay", tmp_path / "data.csv.gz", "-o", tmp_path / "out.csv")
    assert code == 3
    assert err.startswith(f"streamrnn: error: {tmp_path}/data.csv.gz is packed with gzip and damaged")
    scored = len(pd.read_csv(tmp_path / "out.csv"))
    assert scored > 50_000
    assert f"({scored:,} records before it: scored, in {tmp_path}/out.csv)" in err


def test_hostile_names_reach_the_terminal_only_escaped(run, tmp_path):
    path = tmp_path / "a\x1b[31m$x$.csv"
    path.write_text('time,"v\x1b]0;title\x07","w\nw",\x1b[2J\n2022-01-01,1,2,x\n2022-01-02,1,2,x\n')
    code, out, err = run("replay", path, "--plot", tmp_path / "p.png")
    assert code == 0
    assert all(line.isprintable() for line in (out + err).splitlines())
    _, out, err = run("replay", path, "--time", "\x1b[2J")
    assert all(line.isprintable() for line in (out + err).splitlines())
    assert "a\\x1b[31m" in err


def test_ctrl_c_before_the_first_record_exits_with_130(run, monkeypatch):
    class Keyboard(io.BytesIO):
        def read(self, size=-1):
            raise KeyboardInterrupt

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(Keyboard()))
    assert run("replay", "-") == (130, "", "streamrnn: interrupted before the first record\n")


def test_ctrl_c_later_says_what_is_done(run, table, tmp_path, monkeypatch):
    poll = FileSource.poll

    def poll_once(self, timeout_s):
        if self.snapshot()[self.name]:
            raise KeyboardInterrupt
        return poll(self, timeout_s)

    monkeypatch.setattr(FileSource, "poll", poll_once)
    code, out, err = run("replay", table, "-o", tmp_path / "out.csv", "--plot", tmp_path / "out.png")
    assert code == 130
    assert "summary" not in out
    assert err == f"streamrnn: interrupted after 576 records; they are scored and in {tmp_path}/out.csv\n"
    assert len(pd.read_csv(tmp_path / "out.csv")) == 576
    assert not (tmp_path / "out.png").exists()


def test_rows_go_from_stdin_to_stdout_and_the_summary_to_stderr(table):
    run = run_apart("replay", "-", "-o", "-", stdin=table.read_bytes())
    assert run.returncode == 0, run.stderr
    scored = pd.read_csv(io.BytesIO(run.stdout))
    assert len(scored) == 576
    assert scored["record_id"].str.startswith("stdin-").all()
    assert run.stderr.startswith(b"stdin\n  format")


def test_a_reader_that_has_enough_is_no_error(table):
    process = subprocess.Popen(
        [sys.executable, "-m", "streamrnn", "replay", str(table), "-o", "-"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.close()
    error = process.stderr.read()
    process.stderr.close()
    assert process.wait() == 0
    assert b"Traceback" not in error and b"rror" not in error


def test_a_full_disk_is_said_without_a_traceback(run, table):
    code, _, err = run("replay", table, "-o", "/dev/full")
    assert code == 2
    assert err == "streamrnn: error: cannot write /dev/full: No space left on device\n"


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()], ids=["file", "terminal"])
def test_progress_shows_only_on_a_terminal_and_leaves_nothing_behind(stream):
    clock = itertools.count()
    progress = Progress(stream, lambda: next(clock))
    progress.say("loading")
    for records in (1000, 3000, 5000):
        progress.show(records)
    progress.clear()
    shown = stream.getvalue()
    assert ("5,000 records, 2,000 a second" in shown) == stream.isatty()
    assert shown.endswith("\r\x1b[K" if stream.isatty() else "")
