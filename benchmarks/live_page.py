"""What a live page that is open in three places costs ``streamrnn run``.

Two daemons read the same rows of 40 series from a file that grows at a steady pace, one
with ``[serve] page = true`` and three clients that read its stream as browsers do, one
without a page; both at once, so that whatever slows the machine slows both. Compared is their
CPU time (all threads) over the same rows, behind a beginning that is not counted: start-up,
and the first look of each client. Figures are medians of rounds, to be compared within a run only.

    python benchmarks/live_page.py --json live_page.json
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from threading import Event, Thread

from common import Report, Requirement, arguments, stream

SERIES, CLIENTS = 40, 3
BEGINNING_S = 12.0  # not counted
PACE = 8000  # rows a second of each daemon
TICK_S = 0.25
START_S, STEP_S = 1_700_000_000, 60
PIPELINE = """
[source]
kind = "file"
path = "in.csv"
[record]
time = "ts"
time_format = "s"
key = "pump"
[[sink]]
kind = "file"
path = "out.csv"
[checkpoint]
path = "state.db"
[serve]
listen = "127.0.0.1:0"
page = {page}
"""

REQUIRED = (Requirement("page/ratio", "<=", 1.1),)


@dataclass
class Daemon:
    """One that runs."""

    folder: Path
    process: subprocess.Popen[str]
    port: int

    def cpu_s(self) -> float:
        """CPU seconds of all its threads so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def records(self) -> float:
        """How many it has scored."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=30) as answer:
            text = answer.read().decode()
        return sum(float(value) for value in re.findall(r"^streamrnn_records_total\{.*\} (\S+)$", text, re.M))


@contextmanager
def daemon(folder: Path, *, page: bool) -> Iterator[Daemon]:
    """A daemon over an empty table."""
    folder.mkdir()
    (folder / "p.toml").write_text(PIPELINE.format(page=str(page).lower()))
    (folder / "in.csv").write_text("ts,pump,temp\n" + "".join(rows(0, 2)))
    command = [sys.executable, "-m", "streamrnn", "run", "p.toml"]
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        port = next(int(line.split()[-1]) for line in process.stderr if "at port" in line)
        Thread(target=lambda: [None for _ in process.stderr or ()], daemon=True).start()
        try:
            yield Daemon(folder, process, port)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


VALUES = stream(10_000, SERIES)


def rows(start: int, n: int) -> Iterator[str]:
    """Rows of all series at so many moments."""
    for t in range(start, start + n):
        at, values = START_S + STEP_S * t, VALUES[t % len(VALUES)]
        yield from (f"{at},pump-{code:02d},{value:.4f}\n" for code, value in enumerate(values))


def look_on(port: int, over: Event) -> int:
    """Read the page, its strip and its stream, as a browser that was just opened does; bytes that came."""
    site, came = f"http://127.0.0.1:{port}", 0
    with urllib.request.urlopen(f"{site}/page", timeout=60) as answer:
        series = json.load(answer)["first"]
    for path in ("/", "/heat", "/heat-figure", f"/series?series={series}"):
        with urllib.request.urlopen(site + path, timeout=60) as answer:
            came += len(answer.read())
    with urllib.request.urlopen(f"{site}/stream?series={series}", timeout=60) as answer:
        for number, line in enumerate(answer):
            came += len(line)
            if over.is_set():
                return came
            if number % 30 == 29:  # ten messages of three lines: the strip is asked for every 10 s
                with urllib.request.urlopen(f"{site}/heat", timeout=60) as strip:
                    came += len(strip.read())
    return came


def measured(folder: Path, seconds: float) -> tuple[float, float]:
    """CPU microseconds a record without a page, and with one that is open in three places."""
    with daemon(folder / "without", page=False) as without, daemon(folder / "with", page=True) as page:
        both, over, at = (without, page), Event(), 2
        look = (page.port, over)
        clients = [Thread(target=look_on, args=look, daemon=True) for _ in range(CLIENTS)]
        began = time.monotonic()
        before: list[tuple[float, float]] = []
        while (now := time.monotonic() - began) < BEGINNING_S + seconds:
            step = round(PACE * TICK_S / SERIES)
            text = "".join(rows(at, step))
            for one in both:
                with (one.folder / "in.csv").open("a") as file:
                    file.write(text)
            at += step
            if now > BEGINNING_S / 4 and not clients[0].ident:
                for client in clients:
                    client.start()
            if now > BEGINNING_S and not before:
                before = [(one.cpu_s(), one.records()) for one in both]
            time.sleep(TICK_S)
        after = [(one.cpu_s(), one.records()) for one in both]
        over.set()
        for client in clients:
            client.join(10)
        costs = [
            1e6 * (cpu - cpu_before) / (records - records_before)
            for (cpu, records), (cpu_before, records_before) in zip(after, before, strict=True)
        ]
        return costs[0], costs[1]


def main(options: Namespace) -> int:
    """Measure, print, write."""
    report, rounds = Report(), []
    for number in range(1 if options.quick else 5):
        with TemporaryDirectory() as folder:
            rounds.append(measured(Path(folder), 6.0 if options.quick else 20.0))
            print(json.dumps({"round": number, "us": rounds[-1]}), file=sys.stderr)
    report.figures["none/us"] = median(one[0] for one in rounds)
    report.figures["page/us"] = median(one[1] for one in rounds)
    report.figures["page/ratio"] = median(one[1] / one[0] for one in rounds)
    report.table(f"CPU us a record, {CLIENTS} clients", ["none", "page"], ["us", "ratio"])
    report.write(options.json)
    passed = report.check(REQUIRED)
    return 1 if options.check and not passed else 0


if __name__ == "__main__":
    sys.exit(main(arguments(__doc__).parse_args()))
