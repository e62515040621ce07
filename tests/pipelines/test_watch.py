"""``streamrnn watch``: where the page is, and the same in a terminal."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys

import numpy as np
import pytest
from daemons import PIPELINE, Runner, write_table

from streamrnn.pipelines.cli import main
from streamrnn.pipelines.plain import Plain, sparkline
from streamrnn.pipelines.web.payload import packed

PAGE = {"title": "plant", "series": [0], "names": ["one series"], "channels": ["te\x1b[31mp"], "first": 0}
TILES = [
    {"name": name, "value": f"<{name}>", "text": "", "tone": ""} for name in ("Status", "Records", "Series")
]


def rows_of(values, *, anew):
    values = np.asarray(values, np.float64)
    columns = {"low": packed(values), "yhat": packed(values + 1.0)}
    scores = {"surprise": packed(values / 10), "threshold": packed(values * 0 + 3.0)}
    return {"rows": scores, "channels": [columns], "all": anew}


def test_new_values_go_on_where_the_line_ended_and_names_cannot_act_on_the_terminal():
    plain = Plain(PAGE, 0, in_place=False)
    text = plain.take({"tiles": TILES, "rows": rows_of([1, 2, 3], anew=True)})
    assert "\x1b" not in text and "3, expected 4" in text
    assert "te\\x1b[31mp" in text and "<Records>" in text
    text = plain.take({"tiles": TILES, "rows": rows_of([8.0], anew=False)})
    assert "▁▂▃█" in text and "8, expected 9" in text and "0.8, threshold 3" in text


def test_in_a_pipe_only_what_has_changed_is_printed_and_a_terminal_is_drawn_anew():
    event = {"began": "now", "key": "\x07bell", "looks": "dip", "open": True, "lasted": "", "surprise": 5.0}
    event |= {"actual": "1", "expected": "2", "said": "", "alert": True}
    plain = Plain(PAGE, 0, in_place=False)
    assert "! now  \\x07bell: dip (open, surprise 5.0)" in plain.take({"tiles": TILES, "events": [event]})
    assert plain.take({"tiles": TILES}) == ""
    assert plain.take({"trouble": "the store \x1b is busy"}) == "the store \\x1b is busy"
    shown = Plain(PAGE, 0, in_place=True)
    assert shown.take({"tiles": TILES}) and shown.take({"tiles": TILES}).startswith("\x1b[H")


@pytest.mark.parametrize("values", [[], [np.nan], [1.0], [2.0, 2.0], [np.nan, 1e100, -1e100]])
def test_a_sparkline_of_anything_is_as_long_as_there_is_room_at_most(values):
    assert len(sparkline(values, 2)) <= 2


@pytest.fixture
def live(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    serve = f'[serve]\nlisten = "127.0.0.1:{port}"\npage = true\ntoken = "correct horse"\n'
    runner = Runner(tmp_path, PIPELINE.format(follow="true") + serve)
    write_table(tmp_path / "in.csv", 200, series=4)
    with (tmp_path / "log").open("wb") as log:
        process = runner.start(stderr=log)
    runner.wait_for(process, lambda: runner.lines("out.csv") > 790)
    yield runner, process, port
    process.kill()
    process.wait()


def test_it_says_where_the_page_is_and_prints_it_until_either_ends(live, capsys, monkeypatch):
    runner, process, port = live
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    file = str(runner.folder / "p.toml")
    assert main(["watch", file]) == 0
    assert capsys.readouterr().out == f"http://127.0.0.1:{port}/\n"
    assert main(["watch", file, "--plain", "--series", "nobody"]) == 2
    assert "there are dev00, dev01, dev02, dev03" in capsys.readouterr().err

    command = [sys.executable, "-m", "streamrnn", "watch", file, "--plain", "--series", "dev01"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as first, subprocess.Popen(command, **pipes) as second:
        for one in (first, second):
            printed = [one.stdout.readline() for _ in range(3)]
            assert printed[0].startswith("p: Running") and printed[1] == "dev01\n"
            assert printed[2].startswith("temp ") and ", expected " in printed[2]
        first.send_signal(signal.SIGINT)
        assert first.wait(20) == 130 and first.stderr.read() == ""
        process.send_signal(signal.SIGTERM)
        assert second.wait(30) == 0 and second.stderr.read() == "the daemon has ended\n"
    process.wait(30)
    assert main(["watch", file]) == 2
    assert "nothing answers at" in capsys.readouterr().err


def test_without_a_page_it_says_what_to_write(tmp_path, capsys):
    (tmp_path / "p.toml").write_text('[serve]\nlisten = "127.0.0.1:9"\n')
    assert main(["watch", str(tmp_path / "p.toml")]) == 2
    assert "write page = true under [serve]" in capsys.readouterr().err
