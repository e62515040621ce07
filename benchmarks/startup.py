"""How long a user waits: import, --help, the first scored record, the first demo.

Each is a fresh process, several take turns, and figures are medians: ``/s`` is
wall time, ``/cpu_s`` the process's CPU time, which other load disturbs less.
Warm means that compiled kernels are on disk; cold that the cache is empty.
Python's own bytecode is on disk in either case, as after an installation.

With ``--cells`` also what it takes to compile a detector of one network of each cell, and one
without a network (``none``); ``compile/lstm/over_none_s`` is what the cell adds.

    python benchmarks/startup.py --cells --json startup.json
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from common import Report, Requirement, arguments

from streamrnn.kernels.cells import CELLS

FIRST_ROW = "from streamrnn import Detector; Detector(channels=['value']).process_one(1.0)"
WARM = {
    "python": ["-c", "pass"],
    "numba_import": ["-c", "import numba"],
    "numba_first_call": ["-c", "import numba; numba.njit('int64(int64)')(lambda x: x)"],
    "help": ["-m", "streamrnn", "--help"],
    "first_row_warm": ["-c", FIRST_ROW],
}
COLD = {"first_row_cold": ["-c", FIRST_ROW], "demo_cold": ["-m", "streamrnn", "replay", "--demo"]}
ONE_NETWORK = "from streamrnn import Detector; Detector(channels=['value'], networks='{}').process_one(1.0)"
BUSY = "demo_cold"  # measured while every core has something else to do

REQUIRED = (
    Requirement("first_row_warm/ratio", "<=", 3),
    Requirement("demo_cold/s", "<", 60),
)


@dataclass(frozen=True)
class Run:
    """One process from start to end, in seconds."""

    wall_s: float
    cpu_s: float


def run(command: Sequence[str], kernels: str) -> Run | None:
    """Run Python in a folder of its own with ``kernels`` as cache; None where it fails, saying why."""
    variables = {**os.environ, "STREAMRNN_CACHE_DIR": kernels}
    variables.pop("PYTHONDONTWRITEBYTECODE", None)
    with TemporaryDirectory() as folder, (Path(folder) / "errors").open("w+") as errors:
        start = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *command], env=variables, cwd=folder, stdout=subprocess.DEVNULL, stderr=errors
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode == 0:
            return Run(wall_s, usage.ru_utime + usage.ru_stime)
        errors.seek(0)
        last_words = errors.read().strip().splitlines()[-1:]
        print(f"python {' '.join(command)} failed: {''.join(last_words)}")
        return None


@contextmanager
def busy_cores() -> Iterator[None]:
    """One busy process for every core."""
    hogs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()


def warm_runs(repetitions: int) -> dict[str, list[Run]]:
    """The warm commands in turn, after each has run once."""
    runs: dict[str, list[Run]] = {name: [] for name in WARM}
    with TemporaryDirectory() as kernels:
        working = {name: command for name, command in WARM.items() if run(command, kernels)}
        for _ in range(repetitions):
            for name, command in working.items():
                done = run(command, kernels)
                if done:
                    runs[name].append(done)
    return runs


def cold_runs(repetitions: int) -> dict[str, list[Run]]:
    """The cold commands, each time with an empty cache; the demo beside busy cores."""
    runs: dict[str, list[Run]] = {name: [] for name in COLD}
    for name, command in COLD.items():
        for _ in range(repetitions):
            with TemporaryDirectory() as kernels, busy_cores() if name == BUSY else nullcontext():
                done = run(command, kernels)
            if done is None:
                break
            runs[name].append(done)
    return runs


def compile_figures() -> dict[str, float]:
    """CPU seconds of a first record with an empty cache, by the detector's network, and of all together."""
    figures: dict[str, float] = {}
    for cell in ("none", *CELLS):
        with TemporaryDirectory() as kernels:
            done = run(["-c", ONE_NETWORK.format(cell)], kernels)
        if done is not None:
            figures[f"compile/{cell}/cpu_s"] = done.cpu_s
            figures[f"compile/{cell}/over_none_s"] = done.cpu_s - figures["compile/none/cpu_s"]
    return figures | {"compile/all/over_none_s": sum(figures[name] for name in figures if "over" in name)}


def main(options: Namespace) -> int:
    """Measure, print, write."""
    runs = warm_runs(2 if options.quick else 11) | cold_runs(1 if options.quick else 2)
    report = Report()
    for name, done in runs.items():
        if done:
            report.figures[f"{name}/s"] = median(one.wall_s for one in done)
            report.figures[f"{name}/cpu_s"] = median(one.cpu_s for one in done)
    base = report.figures["numba_import/cpu_s"]
    for name in ("numba_first_call", "help", "first_row_warm"):
        if runs[name]:
            report.figures[f"{name}/ratio"] = report.figures[f"{name}/cpu_s"] / base
    report.table("seconds; CPU time to that of importing Numba", runs, ["s", "cpu_s", "ratio"])
    if options.cells:
        report.figures |= compile_figures()
        rows = [f"compile/{cell}" for cell in ("none", *CELLS, "all")]
        report.table("a first record, kernels compiled anew", rows, ["cpu_s", "over_none_s"])
    report.write(options.json)
    passed = report.check(REQUIRED)
    return 1 if options.check and not passed else 0


if __name__ == "__main__":
    parser = arguments(__doc__)
    parser.add_argument("--cells", action="store_true", help="compile each cell, too")
    sys.exit(main(parser.parse_args()))
