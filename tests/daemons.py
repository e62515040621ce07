"""Daemons as processes of their own, and tables for them to read."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np

from streamrnn.pipelines.store import Store

PIPELINE = """
[source]
kind = "file"
path = "in.csv"
follow = {follow}

[[sink]]
kind = "file"
path = "out.csv"

[dead_letter]
path = "dead.jsonl"

[checkpoint]
path = "state.db"
every = "200ms"
commit = "50ms"
"""
ONCE = PIPELINE.format(follow="false")
HEAD = "ts,device,temp"
WINDOW_S = 300
REORDER = f"""
[record]
time = "ts"
time_format = "s"
key = "device"
reorder = "{WINDOW_S}s"
late = "{{late}}"
"""


def write_table(path, n, series=20, broken=0.001, silent=None):
    """Minutes of some devices, interleaved, with a few rows that are none; ``silent`` rests for a while."""
    rng = np.random.default_rng(7)
    values = 20 + 3 * np.sin(np.arange(n)[:, None] / 20) + rng.normal(size=(n, series))
    values[n // 2, 3] += 20
    bad = rng.random((n, series)) < broken
    rows = [
        "broken,row" if bad[t, i] else f"{1_700_000_000 + 60 * t},dev{i:02d},{values[t, i]:.3f}"
        for t in range(n)
        for i in range(series)
        if i != silent or not n // 3 < t < n // 2
    ]
    path.write_text("\n".join([HEAD, *rows]) + "\n")
    return rows


def write_faults(path, minutes=2500, devices=4):
    """Minutes of some devices, each with two faults that no one can miss; how many."""
    rng = np.random.default_rng(11)
    values = 20 + 3 * np.sin(np.arange(minutes)[:, None] / 20) + rng.normal(size=(minutes, devices))
    for device in range(devices):
        for start, size in ((1500 + 17 * device, 40), (2100 + 29 * device, 80)):
            values[start : start + 4, device] += size
    rows = [
        f"{1_700_000_000 + 60 * t},dev{i:02d},{values[t, i]:.3f}"
        for t in range(minutes)
        for i in range(devices)
    ]
    path.write_text("\n".join(["ts,device,temp", *rows]) + "\n")
    return rows


def shuffle(path, window_s, late=0.002):
    """Have rows come late, most within a window and a few beyond it."""
    rng = np.random.default_rng(11)
    head, *rows = path.read_text().splitlines()
    delay = rng.uniform(0, window_s, len(rows)) + np.where(rng.random(len(rows)) < late, 3 * window_s, 0)
    come = np.arange(len(rows)) * 3 + delay  # a row each 3 seconds
    path.write_text("\n".join([head, *(rows[i] for i in np.argsort(come, kind="stable"))]) + "\n")


class Runner:
    """Runs a pipeline in a folder, as a process of its own."""

    def __init__(self, folder, text):
        self.folder = Path(folder)
        (self.folder / "p.toml").write_text(text)

    def start(self, stderr=subprocess.PIPE):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("STREAMRNN__")}
        return subprocess.Popen(
            [sys.executable, "-m", "streamrnn", "run", "p.toml"],
            cwd=self.folder,
            stderr=stderr,
            env=environment,
        )

    def finish(self, timeout_s=120):
        """Run to the end; what it logged."""
        process = self.start()
        _, err = process.communicate(timeout=timeout_s)
        assert process.returncode == 0, err.decode()
        return err.decode()

    def read(self, name):
        return (self.folder / name).read_bytes()

    def wait_for(self, process, condition, timeout_s=60.0):
        """Wait until something holds; the process must live on."""
        end = time.monotonic() + timeout_s
        while not condition():
            assert process.poll() is None, process.stderr.read().decode()
            assert time.monotonic() < end, "it never came"
            time.sleep(0.02)

    def lines(self, name):
        path = self.folder / name
        return path.read_bytes().count(b"\n") if path.exists() else 0


def stop(process, number=signal.SIGTERM):
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    return process.returncode, err.decode()


def events_of(runner):
    """The events that a daemon's state holds."""
    with Store(runner.folder / "state.db", readonly=True) as store:
        return store.events()


def port_of(process):
    """Where a daemon serves, as it says."""
    return next(int(line.split()[-1]) for line in iter(process.stderr.readline, b"") if b"at port" in line)


def get(port, path):
    """What a daemon serves there."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        return answer.read().decode()


def metrics_of(port):
    """What a daemon tells Prometheus, by name and labels."""
    return dict(
        line.rsplit(" ", 1) for line in get(port, "/metrics").splitlines() if not line.startswith("#")
    )
