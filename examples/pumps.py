"""Two pumps, six weeks: an untidy table, and the library from its first record to a forecast.

The table is made here, from a seed, and is as loggers write them: a preamble, units below
the names, semicolons, decimal commas, local times without an offset over the end of summer
time, -999 where the thermometer had nothing to say, a cell that is no number, a row whose
time is damaged, a row counter, and a column of text. There are two faults in it.

    python examples/pumps.py pumps.csv
"""

# ruff: noqa: T201 (an example prints)

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from streamrnn import Detector
from streamrnn.connectors.file import FileSource
from streamrnn.connectors.options import RecordOptions

ZONE = "Europe/Rome"
FAULTS = {
    "pump-1": ("2025-10-30 03:00", "2025-10-30 06:00"),
    "pump-2": ("2025-10-24 14:00", "2025-10-24 16:00"),
}
HEAD = """\
Logger;WaterWorks 3000
Exported;03.11.2025
No;Date;Time;Pump;Flow;Pressure;Temperature;Anomaly;Operator
;;;;l/s;bar;°C;;
"""


def readings(pump: str) -> pd.DataFrame:
    """Flow, pressure and temperature of one pump, every ten minutes, with its fault."""
    rng = np.random.default_rng(list(FAULTS).index(pump))
    times = pd.date_range("2025-09-22", "2025-11-02 23:50", freq="10min", tz=ZONE)
    n, hour = len(times), np.asarray(times.hour + times.minute / 60)
    flow = 30 + 8 * np.sin(2 * np.pi * (hour - 7) / 24) + rng.normal(scale=0.5, size=n)
    pressure = 4.2 - 0.03 * (flow - 30) + rng.normal(scale=0.03, size=n)
    temperature = 14 + 2 * np.sin(2 * np.pi * (hour - 9) / 24) + rng.normal(scale=0.2, size=n)
    temperature[rng.random(n) < 0.01] = -999
    start, end = (pd.Timestamp(text, tz=ZONE) for text in FAULTS[pump])
    fault = np.asarray((times >= start) & (times < end))
    if pump == "pump-1":  # a pipe leaks
        pressure[fault] -= 0.6
    else:  # an intake is blocked
        flow[fault] -= 10
        pressure[fault] += 0.5
    columns = {"Flow": flow, "Pressure": pressure, "Temperature": temperature, "Anomaly": fault.astype(int)}
    return pd.DataFrame(columns, times)


def rows() -> Iterator[str]:
    """The table's rows, both pumps of one moment below each other."""
    frames = {pump: readings(pump) for pump in FAULTS}
    for pump, frame in frames.items():
        cells = [f"{a:.2f};{b:.3f};{c:.1f};{d:.0f}".replace(".", ",") for a, b, c, d in frame.to_numpy()]
        frames[pump] = frame.assign(cells=cells)
    for number, time in enumerate(frames["pump-1"].index):
        for pump, frame in frames.items():
            yield f"{number};{time:%d.%m.%Y;%H:%M};{pump};{frame['cells'].iloc[number]};Rossi"


def write_table(path: Path) -> None:
    """Write the table, with two errors of transmission, in the encoding of an old program."""
    lines = list(rows())
    lines[901] = lines[901].replace(":", "?")
    lines[902] = lines[902].replace(";0;Rossi", "#;0;Rossi")
    path.write_text(HEAD + "\n".join(lines) + "\n", encoding="cp1252")


def records(path: Path) -> Iterator[tuple[str, np.datetime64, dict[str, float]]]:
    """Each record's pump, time and values; what the table is like is found out by the reader."""
    source = FileSource(path, RecordOptions(tz=ZONE, missing=("-999",)))
    while (read := source.poll(0.0)) is not None:
        for series, time, values in zip(read.series, read.times, read.values, strict=True):
            named = dict(zip(source.schema.channels, values, strict=True))
            yield source.keys[series], np.datetime64(int(time), "ns"), named
    source.close()


def main(path: Path) -> None:
    """Make the table, then watch it as if it came live."""
    write_table(path)
    print(f"{path.name} is written")

    detectors = {pump: Detector(name=pump, false_alarms="1/week", horizons=(1, 6)) for pump in FAULTS}
    for number, (pump, time, values) in enumerate(records(path)):
        if number == 5000:  # a restart in between changes no bit
            states = {name: detector.to_bytes() for name, detector in detectors.items()}
            detectors = {name: Detector.from_bytes(state) for name, state in states.items()}
        result = detectors[pump].process_one(values, time)
        if result.status == "calibrated" and result.is_anomaly and result.alert_strength >= 0.5:
            name, channel = max(result.channels.items(), key=lambda item: np.nan_to_num(item[1].share))
            print(
                f"{str(time)[:16]} UTC, {pump}: {name} {channel.actual:g}, "
                f"expected {channel.yhat:.2f}, p = {result.p_value:.1g}"
            )

    for pump, detector in detectors.items():
        flow = detector.forecast(6)["Flow"]
        print(f"{pump} in an hour: flow {flow.mean:.1f} ({flow.lower:.1f} to {flow.upper:.1f})")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
