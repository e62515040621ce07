"""Daemons as processes of their own, and tables for them to read."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np


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
    path.write_text("\n".join(["ts,device,temp", *rows]) + "\n")
    return rows


class Runner:
    """Runs a pipeline in a folder, as a process of its own."""

    def __init__(self, folder, text):
        self.folder = Path(folder)
        (self.folder / "p.toml").write_text(text)

    def start(self):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("STREAMRNN__")}
        return subprocess.Popen(
            [sys.executable, "-m", "streamrnn", "run", "p.toml"],
            cwd=self.folder,
            stderr=subprocess.PIPE,
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
