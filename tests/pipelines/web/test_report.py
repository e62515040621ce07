"""What stands in a report, read as text."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import tomllib
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest

from streamrnn.pipelines.cli import main

SCRIPT = "<script>alert(1)</script>"


class Outline(HTMLParser):
    """Collects headings, the ids of what is named, and what refers to them."""

    def __init__(self, text):
        super().__init__()
        self.headings, self.ids, self.wanted, self.tables, self.open = [], set(), set(), [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.ids |= {given["id"]} if "id" in given else set()
        for name in ("aria-labelledby", "aria-describedby"):
            self.wanted |= set(given.get(name, "").split())
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag == "table":
            self.tables.append(set())
        elif self.tables and tag in ("caption", "th"):
            self.tables[-1].add((tag, given.get("scope")))


def inert(text, name):
    """The JSON that lies in the page under a name."""
    return json.loads(re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', text)[1])


def test_the_report_of_the_demo_is_small_and_holds_what_the_terminal_says(demo_report, capsys):
    text = demo_report.read_text()
    assert demo_report.stat().st_size < 5_000_000
    assert main(["replay", "--demo", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert f"{found['records']:,} records" in text
    assert found["verdict"]["forecast_text"] in text and found["verdict"]["detection_text"] in text
    listed = re.findall(r'data-event="(\d+)"', text)
    assert len(listed) == len(found["events"])
    assert "Known episodes: 3 of 4 found" in text
    drawn = inert(text, "page")["events"]
    assert [event["start"] for event in drawn][:4] == [
        1000 * time for time in (1648533600, 1648382400, 1648958400, 1651064400)
    ]


def test_nothing_in_the_page_is_loaded_from_anywhere(demo_report):
    text = demo_report.read_text()
    assert "default-src 'none'" in unescape(text)
    assert not re.search(
        r"<(?:script|img|iframe)[^>]* src=|<link|@import|url\((?!\"?data:|#)", text.split("<body>")[0]
    )
    assert not re.search(
        r"<(?:script|img|iframe|link)[^>]+(?:src|href)=", text.split("<body>")[1].split("<script")[0]
    )


def test_headings_go_down_step_by_step_tables_are_tables_and_names_lead_somewhere(demo_report):
    outline = Outline(demo_report.read_text())
    assert outline.headings[0] == 1 and outline.headings.count(1) == 1
    assert all(
        below <= above + 1 for above, below in zip(outline.headings, outline.headings[1:], strict=False)
    )
    assert outline.wanted <= outline.ids
    assert len(outline.tables) >= 5
    for table in outline.tables:
        assert ("caption", None) in table and ("th", "col") in table


def test_the_same_command_makes_the_same_page_to_the_byte(tmp_path, table):
    command = [sys.executable, "-m", "streamrnn", "replay", str(table), "--report", "r.html"]
    pages = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        subprocess.run(command, cwd=tmp_path / name, check=True, capture_output=True)
        pages.append((tmp_path / name / "r.html").read_bytes())
    assert pages[0] == pages[1]


def test_names_from_files_are_text_and_never_markup(report, tmp_path, frame):
    hostile = frame.rename(columns={"a": f"a{SCRIPT}", "b": "b\"'><img src=x onerror=alert(2)>"})
    hostile["site"] = [f"{SCRIPT}&amp;\x1b[31m", "$$\\frac{1}{0}$$ </td>"] * 288
    file = tmp_path / "<svg onload=alert(3)>.csv"
    hostile.to_csv(file, index=False)
    text = report(file, "--key", "site").read_text()
    for raw in ("<script>alert", "<img src=x", "<svg onload", "</td> ", "\x1b"):
        assert (raw in text) is False  # its text is too long to print
    assert "&lt;svg onload=alert(3)&gt;.csv" in text
    assert inert(text, "page")["names"]["0"] == f"{SCRIPT}&amp;\\x1b[31m"


def test_the_command_in_a_report_names_files_without_their_folders(tmp_path, table, monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "swordfish")
    secret = tmp_path / "my private folder"
    secret.mkdir()
    path = secret / "out file.html"
    assert (
        main(["replay", str(table), f"--report={path}", "-o", str(secret / "rows.csv"), "--season", "288"])
        == 0
    )
    text = path.read_text()
    command = "streamrnn replay sensors.csv &#39;--report=out file.html&#39; -o rows.csv --season 288"
    assert f"<pre><code>{command}</code></pre>" in text
    assert "private folder" not in text and "swordfish" not in text


def test_without_bokeh_the_error_names_the_command_that_installs_it(tmp_path, table, monkeypatch, capsys):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "streamrnn.pipelines.web.extra.find_spec", lambda name: None if name == "bokeh" else find(name)
    )
    monkeypatch.setattr("streamrnn.pipelines.job._fleet", None)  # before any kernel is compiled
    path = tmp_path / "r.html"
    assert main(["replay", str(table), "--report", str(path)]) == 2
    assert "--report needs Bokeh; run: pip install 'streamrnn[web]'" in capsys.readouterr().err
    assert not path.exists()


@pytest.mark.parametrize(
    ("name", "said"),
    [("r.png", "give a name that ends in .html"), ("none/r.html", "a folder that does not exist")],
)
def test_a_report_that_cannot_be_written_is_refused_before_the_first_record(
    tmp_path, table, name, said, capsys
):
    assert main(["replay", str(table), "--report", str(tmp_path / name)]) == 2
    assert said in capsys.readouterr().err


def test_bokeh_is_loaded_by_reports_alone():
    code = "import sys; from streamrnn.pipelines.cli import main; main(['replay', '--demo']); "
    code += "print('bokeh' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "False"


@pytest.mark.parametrize("rows", [1, 30])
def test_a_run_too_short_for_anything_still_has_a_report(report, tmp_path, frame, rows):
    file = tmp_path / "short.csv"
    frame.head(rows).to_csv(file, index=False)
    text = report(file).read_text()
    assert "No record is calibrated yet" in text
    assert "Too early" in text


def test_records_without_times_are_drawn_over_their_numbers(report, tmp_path, frame):
    file = tmp_path / "bare.csv"
    frame[["a", "b"]].to_csv(file, index=False)
    page = report(file, "--time", "none").read_text()
    block = inert(page, "series-0")
    assert (block["timed"], block["step"]) == (False, 1.0)


def test_everything_that_a_page_is_made_of_is_in_the_wheel():
    root = Path(__file__).resolve().parents[3]
    listed = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    folder = root / "pipelines" / "web"
    wanted = {path.name for path in folder.iterdir() if path.is_file() and path.suffix not in (".py", ".pyc")}
    there = {path.name for glob in listed["streamrnn.pipelines.web"] for path in folder.glob(glob)}
    assert wanted == there and "page.html" in wanted
