"""What a replay costs from CSV to CSV, beside the kernel alone and pandas alone.

pandas reads the same file, times included, and writes the same columns as the
replay: those of the file and those found. The three take turns; figures are
medians of CPU time, to be compared within a run only. ``--memory-gb 1`` also
replays a file of that size in a process of its own, and compares its memory
after a tenth of the file with that at the end.

    python benchmarks/replay.py --json replay.json
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from itertools import chain, islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from common import Contender, Report, Requirement, arguments, in_turn, stream

from streamrnn import Batch, Fleet, Settings
from streamrnn.pipelines.cli import main as streamrnn

CHANNELS = (1, 8)
BATCH_ROWS = 16_384
BLOCK_ROWS = 200_000  # of which a large file is made
START, STEP = np.datetime64("2024-01-01T00:00:00"), np.timedelta64(1, "s")

REQUIRED = (
    *(Requirement(f"{channels}/ratio", "<=", 1.2) for channels in CHANNELS),
    Requirement("memory/ratio", "<=", 1.1),
)


def lines(channels: int, rows: int) -> Iterator[str]:
    """A CSV file without end: the header, then records a second apart, the same values over and over."""
    names = [f"sensor{d}" for d in range(channels)]
    yield ",".join(["time", *names]) + "\n"
    values = [",".join(f"{value:.4f}" for value in row) for row in stream(rows, channels).tolist()]
    start = START
    while True:
        times = np.datetime_as_string(start + STEP * np.arange(rows)).tolist()
        yield from (f"{at}Z,{row}\n" for at, row in zip(times, values, strict=True))
        start += STEP * rows


def make_file(path: Path, channels: int, rows: int) -> Path:
    """A file of so many rows."""
    with path.open("w") as file:
        file.writelines(islice(lines(channels, rows), rows + 1))
    return path


def make_large_file(path: Path, channels: int, size: int) -> Path:
    """A file of at least so many bytes; never more than a block of it in memory."""
    endless = lines(channels, BLOCK_ROWS)
    with path.open("w") as file:
        while file.tell() < size:
            file.writelines(islice(endless, BLOCK_ROWS))
    return path


def replay(table: Path, scored: Path) -> None:
    """What a user runs, without what it prints."""
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()) as errors:
        code = streamrnn(["replay", str(table), "-o", str(scored)])
    if code != 0:
        raise SystemExit(errors.getvalue())


def contenders(folder: Path, channels: int, rows: int) -> list[Contender]:
    """Replay, kernel and pandas over one file."""
    table, scored = (
        make_file(folder / f"table{channels}.csv", channels, rows),
        folder / f"scored{channels}.csv",
    )
    replay(table, scored)
    frame = pd.read_csv(table, parse_dates=["time"])
    found = pd.read_csv(scored).iloc[:, frame.shape[1] :]
    values = np.ascontiguousarray(frame.iloc[:, 1:], np.float64)
    stamps = frame["time"].to_numpy("datetime64[ns]").astype(np.int64)

    def kernel() -> None:
        fleet = Fleet(Settings(channels=list(frame.columns[1:])))
        for at in range(0, rows, BATCH_ROWS):
            part = slice(at, at + BATCH_ROWS)
            fleet.process(Batch.of_one_series(values[part], stamps[part], at))

    def pandas() -> None:
        read = pd.read_csv(table)
        pd.to_datetime(read["time"], format="ISO8601", utc=True)
        # The times leave as the text that they were, as in a replay; written from timestamps they cost more.
        pd.concat([read, found], axis=1).to_csv(folder / "pandas.csv", index=False)

    works = {"replay": lambda: replay(table, scored), "kernel": kernel, "pandas": pandas}
    return [Contender(f"{channels}/{name}", run, rows, time.process_time_ns) for name, run in works.items()]


def figures(times_ns: dict[str, float]) -> dict[str, float]:
    """Microseconds and rows a second of each, and replay to the sum of the others."""
    found = {f"{name}/us": ns * 1e-3 for name, ns in times_ns.items()}
    for channels in CHANNELS:
        ours, kernel, pandas = (times_ns[f"{channels}/{name}"] for name in ("replay", "kernel", "pandas"))
        found[f"{channels}/replay/rows_per_s"] = 1e9 / ours
        found[f"{channels}/ratio"] = ours / (kernel + pandas)
    return found


def memory(folder: Path, size: int) -> dict[str, float]:
    """Memory after a tenth of a file of ``size`` bytes and at its end, eight channels."""
    table = make_large_file(folder / "large.csv", 8, size)
    command = [sys.executable, str(Path(__file__).with_name("replaying.py")), str(table)]
    held = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    table.unlink()
    ratio = held["late_mb"] / held["early_mb"]
    return {f"memory/{name}": figure for name, figure in {**held, "ratio": ratio}.items()}


def main(options: Namespace) -> int:
    """Measure, print, write."""
    report = Report()
    with TemporaryDirectory() as name:
        folder = Path(name)
        if options.memory_gb:
            report.figures |= memory(folder, int(options.memory_gb * 1e9))
        works = chain.from_iterable(contenders(folder, channels, options.rows) for channels in CHANNELS)
        report.figures |= figures(in_turn(list(works), rounds=1 if options.quick else 5))
    names = ("replay", "kernel", "pandas")
    report.table(
        f"CSV to CSV, {options.rows:,} rows, us a row",
        [f"{channels}/{name}" for channels in CHANNELS for name in names],
        ["us", "rows_per_s"],
    )
    report.table("replay to kernel and pandas together", map(str, CHANNELS), ["ratio"])
    report.table("memory of a replay, MB", ["memory"], ["early_mb", "late_mb", "ratio"])
    report.write(options.json)
    passed = report.check(REQUIRED)
    return 1 if options.check and not passed else 0


if __name__ == "__main__":
    parser = arguments(__doc__)
    parser.add_argument("--rows", type=int, default=200_000, help="rows of each file")
    parser.add_argument(
        "--memory-gb", type=float, metavar="GB", help="replay a file of this size, for its memory"
    )
    sys.exit(main(parser.parse_args()))
