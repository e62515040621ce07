from __future__ import annotations

import signal

import numpy as np
import pandas as pd
import pytest

from streamrnn import Detector, Fleet, Settings
from streamrnn.connectors.csv_sink import CsvSink
from streamrnn.pipelines.cli import main
from streamrnn.pipelines.coding import Coding
from streamrnn.pipelines.replay import replay
from streamrnn.pipelines.summary import summarise
from streamrnn.pipelines.tally import Tally
from streamrnn.pipelines.writer import Writer


def replayed(source, path, watchers=(), **options):
    """Replay a source into a file; whether it came to its end, and the fleet."""
    settings = Settings(channels=source.schema.channels, **options)
    fleet, writer = (
        Fleet(settings),
        Writer(CsvSink(path), settings, settings, source.partition_names, long=False),
    )
    try:
        return replay(source, Coding(fleet), [*watchers, writer.add], lambda records: None), fleet
    finally:
        writer.close()


def summary_of(source, path):
    tally = Tally(Settings(channels=source.schema.channels))
    _, fleet = replayed(source, path, [tally.add])
    return summarise(
        tally,
        fleet.settings,
        title=source.title,
        keys=source.keys,
        partition_names=source.partition_names,
        typical_steps=np.array([fleet.typical_step_ns(0)]),
        time="time",
    )


def test_every_row_is_written_once_in_order_behind_its_input(frame, table, tmp_path, opened):
    finished, _ = replayed(opened(table), tmp_path / "out.csv", horizons=(1, 3))
    assert finished
    scored = pd.read_csv(tmp_path / "out.csv", dtype={"time": object, "site": object})
    assert list(scored.columns[:4]) == list(frame.columns)
    pd.testing.assert_frame_equal(scored[list(frame.columns)], frame, check_dtype=False)
    assert list(scored.columns[4:11]) == [
        "a.yhat",
        "a.yhat_lower",
        "a.yhat_upper",
        "a.yhat_h3",
        "a.yhat_h3_lower",
        "a.yhat_h3_upper",
        "a.share",
    ]
    assert scored["record_id"].str.fullmatch(r"sensors\.csv-[0-9a-f]{8}-\d+").all()
    assert scored["record_id"].str.rsplit("-", n=1).str[1].astype(int).tolist() == list(range(len(frame)))


def test_the_input_is_repeated_as_text(table, tmp_path, opened):
    replayed(opened(table), tmp_path / "out.csv")
    before, after = table.read_text().splitlines(), (tmp_path / "out.csv").read_text().splitlines()
    assert all(row.startswith(f"{text},") for text, row in zip(before, after, strict=True))


def test_a_scored_file_can_be_replayed_again(table, tmp_path, opened):
    replayed(opened(table), tmp_path / "once.csv")
    source = opened(tmp_path / "once.csv", values=["a", "p_value"])
    replayed(source, tmp_path / "twice.csv")
    columns = list(pd.read_csv(tmp_path / "twice.csv", nrows=1).columns)
    assert len(set(columns)) == len(columns)
    assert columns.index("input.p_value") < columns.index("p_value")


@pytest.mark.parametrize("rows", [1, 7, 100])
def test_the_scored_file_and_the_summary_do_not_depend_on_the_size_of_batches(table, tmp_path, opened, rows):
    whole = summary_of(opened(table), tmp_path / "whole.csv")
    parts = summary_of(opened(table, batch_rows=rows), tmp_path / "parts.csv")
    assert (tmp_path / "parts.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert parts.to_dict() == whole.to_dict()


@pytest.mark.parametrize(
    "options", [{}, {"networks": ("lstm", "gru"), "horizons": (1, 6), "false_alarms": 0.01}]
)
def test_replay_says_to_the_bit_what_the_library_says(frame, table, tmp_path, opened, options):
    source = opened(table)
    replayed(source, tmp_path / "out.csv", **options)
    scored = pd.read_csv(tmp_path / "out.csv", dtype=object, keep_default_na=False)
    library = Detector(name=source.name, **options).process_many(frame[["time", "a", "b"]], time="time")
    found = list(library.columns[3:])
    assert list(scored.columns[4:]) == found
    for name in found:
        cells, want = scored[name].tolist(), library[name].tolist()
        if library[name].dtype == float:
            # read by Python: pandas may read a number wrong in its last bit
            cells, want = [float(cell or "nan").hex() for cell in cells], [cell.hex() for cell in want]
        assert cells == ["" if pd.isna(cell) else str(cell) for cell in want], name


class Interrupting:
    """A watcher that presses Ctrl-C."""

    def __init__(self, after):
        self.after = after
        self.seen = 0

    def __call__(self, batch, found):
        self.seen += len(batch)
        if self.seen >= self.after:
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("zone", ["UTC", None])
@pytest.mark.parametrize("output", ["scored.parquet", "scored.csv"])
def test_a_parquet_file_with_times_is_replayed_and_its_forecasts_are_written(zone, output, tmp_path):
    pytest.importorskip("pyarrow")
    times = pd.date_range("2026-01-01", periods=200, freq="1min", tz=zone)
    value = np.sin(np.arange(200.0))
    frame = pd.DataFrame({"time": times, "value": value, "count": np.arange(200)})
    frame.to_parquet(tmp_path / "data.parquet")
    out = tmp_path / output
    arguments = ["replay", str(tmp_path / "data.parquet"), "--hidden", "0", "--values", "value"]
    assert main([*arguments, "--forecast", "2", "-o", str(out)]) == 0
    scored = pd.read_parquet(out) if output.endswith("parquet") else pd.read_csv(out)
    assert len(scored) == 202 and (scored["value"][:200] == value).all()
    assert pd.isna(scored["value"][200:]).all() and scored["yhat"][200:].notna().all()


def test_ctrl_c_ends_between_batches_with_everything_written(table, tmp_path, opened):
    watcher, tally = Interrupting(150), Tally(Settings(channels=("a", "b")))
    source = opened(table, batch_rows=50)
    finished, _ = replayed(source, tmp_path / "part.csv", [watcher, tally.add])
    replayed(opened(table), tmp_path / "whole.csv")
    assert not finished
    assert tally.records == 150
    assert source.snapshot() == {source.name: 150}
    part, whole = (tmp_path / "part.csv").read_text(), (tmp_path / "whole.csv").read_text()
    assert whole.startswith(part)
    assert part.count("\n") == 151


def test_ctrl_c_while_waiting_for_records_ends_the_run(table, tmp_path, opened):
    source = opened(table, batch_rows=50)
    polls = iter([source.poll(0.0), KeyboardInterrupt])

    def poll(timeout_s):
        batch = next(polls)
        if batch is KeyboardInterrupt:
            raise batch
        return batch

    source.poll = poll
    finished, _ = replayed(source, tmp_path / "part.csv")
    assert not finished
    assert (tmp_path / "part.csv").read_text().count("\n") == 51


def test_a_row_that_cannot_be_read_is_left_out_and_all_others_are_scored(table, tmp_path, opened):
    lines = table.read_text().splitlines()
    whole = tmp_path / "whole.csv"
    whole.write_text("\n".join(lines[:300] + lines[301:]) + "\n")
    lines[300] = "x" + lines[300]
    table.write_text("\n".join(lines) + "\n")
    replayed(opened(table), tmp_path / "a.csv")
    replayed(opened(whole), tmp_path / "b.csv")
    columns = ["a", "p_value", "anomaly_score", "status"]
    a, b = (pd.read_csv(tmp_path / name)[columns] for name in ("a.csv", "b.csv"))
    pd.testing.assert_frame_equal(a, b)


def test_the_typical_step_is_that_of_the_file(table, tmp_path, opened):
    _, fleet = replayed(opened(table), tmp_path / "out.csv")
    assert fleet.typical_step_ns(0) == pytest.approx(300e9, rel=0.02)
