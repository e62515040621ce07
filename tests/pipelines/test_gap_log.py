"""Silences of a recording: what a replay lists as events of kind gap."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from streamrnn.connectors.base import Read
from streamrnn.kernels.plan import NO_TIME
from streamrnn.pipelines.cli import main
from streamrnn.pipelines.gap_log import GapLog

MINUTE = 60 * 10**9


def read_of(series, minutes, first=0):
    n = len(minutes)
    return Read(
        series=np.asarray(series, np.int32),
        times=np.asarray(minutes, np.int64) * MINUTE,
        values=np.zeros((n, 1)),
        partitions=np.zeros(n, np.int32),
        offsets=np.arange(first, first + n),
        columns={},
    )


def spans(log):
    return [(gap.series, gap.offset, gap.start // MINUTE, gap.end // MINUTE) for gap in log.longest()]


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_gap_runs_from_the_last_record_before_it_to_the_one_that_ends_it_however_cut(size):
    minutes = np.concatenate([np.arange(100), np.arange(140, 200), np.arange(1640, 1700)])
    batch, log = read_of(np.zeros(220), minutes), GapLog()
    for start in range(0, 220, size):
        log.add(batch.some(slice(start, start + size)))
    assert spans(log) == [(0, 159, 199, 1640), (0, 99, 99, 140)]
    assert log.n_gaps == 2


@pytest.mark.parametrize(("missing", "gaps"), [(19, 0), (20, 1)])
def test_a_silence_of_twenty_steps_is_no_gap_yet(missing, gaps):
    log = GapLog()
    log.add(read_of(np.zeros(100), np.append(np.arange(50), np.arange(50, 100) + missing)))
    assert log.n_gaps == gaps


def test_a_series_that_others_outlive_is_silent_to_the_end():
    minutes = np.append(np.repeat(np.arange(60), 2), np.arange(60, 160))
    log = GapLog()
    log.add(read_of(np.append(np.arange(120) % 2, np.zeros(100)), minutes))
    (gap,) = log.longest()
    assert (gap.series, gap.offset, gap.start, gap.end) == (1, 119, 59 * MINUTE, NO_TIME)


def test_a_silence_that_others_noticed_is_one_gap_when_it_is_over():
    minutes = [(0, t) for t in range(300)] + [(1, t) for t in range(300) if not 100 <= t < 200]
    minutes.sort(key=lambda record: record[1])
    log = GapLog()
    log.add(read_of(*zip(*minutes, strict=True)))
    assert [span[0] for span in spans(log)] == [1]
    assert spans(log)[0][2:] == (99, 200)


def test_only_the_longest_are_kept_but_all_are_counted():
    steps = np.ones(6000, np.int64)
    steps[40::40] = 30 + np.arange(149)
    log = GapLog()
    log.add(read_of(np.zeros(6000), np.cumsum(steps)))
    gaps = log.longest()
    assert (len(gaps), log.n_gaps) == (100, 149)
    lengths = [(gap.end - gap.start) // MINUTE for gap in gaps]
    assert lengths == sorted(range(79, 179), reverse=True)


def test_a_missing_day_in_a_minute_series_is_exactly_one_event_of_kind_gap(tmp_path, capsys):
    rng = np.random.default_rng(0)
    times = pd.date_range("2024-01-01", periods=4320, freq="1min")
    frame = pd.DataFrame({"time": times, "level": 20 + rng.normal(size=4320).round(3)})
    there = (times < "2024-01-02") | (times >= "2024-01-03")
    path = tmp_path / "level.csv"
    frame[there].to_csv(path, index=False)
    assert main(["replay", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    (gap,) = [event for event in found["events"] if event.get("kind") == "gap"]
    assert (gap["start"], gap["end"]) == ("2024-01-01T23:59:00Z", "2024-01-03T00:00:00Z")
    assert (gap["duration_s"], gap["records"], gap["channels"]) == (86_460, 0, [])
    assert gap["event_id"].startswith("gap:level.csv-")
    assert gap["event_id"].endswith("-1439")
    assert found["n_silences"] == 1
    assert main(["replay", str(path)]) == 0
    text = capsys.readouterr().out
    assert "; 1 gap of more than 20 steps" in text
    assert "  2024-01-01 23:59  2024-01-03 00:00  1 d " in text.splitlines()[-1]
