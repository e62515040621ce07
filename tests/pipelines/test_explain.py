"""A past alert once more: the same numbers to the bit, or a word on why not."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from alert_world import NOON

from streamrnn import Batch, Fleet, Position, Settings
from streamrnn.feedback import DISMISSED
from streamrnn.pipelines.captures import Recorder, opened
from streamrnn.pipelines.cli import main
from streamrnn.pipelines.events import parts_of
from streamrnn.pipelines.explain_command import _is_same, _replayed
from streamrnn.pipelines.feedback import Said
from streamrnn.pipelines.grouping import fingerprint
from streamrnn.pipelines.incident import Peak
from streamrnn.pipelines.spill import SqliteSpill, save_beside
from streamrnn.pipelines.store import IncidentRow, Snapshot, Store
from streamrnn.spill import Keeping

KEYS = [f"pump-{i}" for i in range(60)]  # more than a chunk of a snapshot


def batch_of(minutes, series=60, seed=3):
    """(minutes * series) records of two channels, interleaved."""
    rng = np.random.default_rng(seed)
    n = len(minutes) * series
    return Batch(
        series=np.tile(np.arange(series, dtype=np.int32), len(minutes)),
        times=NOON + 60_000_000_000 * np.repeat(minutes, series),
        values=rng.normal(size=(n, 2)),
        partitions=np.zeros(n, np.int32),
        offsets=np.arange(minutes[0] * series, minutes[0] * series + n),
    )


def peak_of(batch, found, row):
    odd = (found.surprise, found.p_value, found.anomaly_score, found.alert_strength)
    place = (int(batch.partitions[row]), int(batch.offsets[row]), int(batch.times[row]))
    return Peak(*place, *(float(column[row]) for column in odd), parts_of(batch, found, row))


@pytest.fixture
def run(tmp_path):
    """A fleet, a store and a recorder that follow each other."""

    class Run:
        def __init__(self, most=5000, rows=0, ttl_ns=0):
            self.store = Store(tmp_path / "streamrnn.db")
            settings = Settings(channels=["flow", "level"])
            self.spill = SqliteSpill(tmp_path / "streamrnn.db.spill")
            self.keeping = Keeping(rows * Fleet.bytes_per_series(settings), self.spill, ttl_ns)
            self.fleet = Fleet(settings, self.keeping)
            self.fleet.series(KEYS)
            self.recorder = Recorder(self.store, self.fleet, most, spill=self.spill)

        def process(self, batch):
            found = self.fleet.process(batch)
            self.recorder.records(batch)
            return found

        def save(self):
            state = self.fleet.to_bytes(whole=False)
            save_beside(self.spill, self.store, Snapshot(0, state, ("p",), {}, {}))
            self.recorder.rebase(self.fleet)

        def retune(self, **changes):
            self.fleet.retune(**changes)
            self.recorder.changed(changes)

    made = []
    yield lambda **options: made.append(Run(**options)) or made[-1]
    for one in made:
        one.store.close()
        one.spill.close()


@pytest.mark.parametrize("rows", [0, 7])
@pytest.mark.parametrize("code", [0, 27, 59])
def test_a_capture_replays_to_the_bit_over_snapshots_batches_and_changed_settings(run, code, rows):
    live = run(rows=rows)
    live.process(batch_of(np.arange(100)))
    live.save()
    live.process(batch_of(np.arange(100, 150)))
    live.retune(false_alarms="1/day", learn_anomalies=False)
    batch = batch_of(np.arange(150, 200))
    found = live.process(batch)
    row = 30 * 60 + code
    capture = opened(live.recorder.take(code, live.fleet, peak_of(batch, found, row)))
    replayed = _replayed(capture)
    assert len(replayed.batch) == 81 and _is_same(capture, replayed)
    for name in ("yhat", "yhat_lower", "yhat_upper", "share"):
        np.testing.assert_array_equal(getattr(replayed.found, name)[-1], getattr(found, name)[row])


def test_a_capture_replays_what_was_said_of_events_of_its_series_alone(run):
    live = run()
    calm = batch_of(np.arange(300), series=2)
    calm.values[[400, 401]] += 9.0
    found = live.process(calm)
    assert found.event_offset[400] >= 0
    live.save()
    event = Position(0, int(found.event_offset[400]))
    for key in KEYS[:2]:
        seen = live.fleet.remembered(KEYS[0], event)
        said = Said(key, *event, DISMISSED, seen)
        said.apply(live.fleet)
        live.recorder.told(said)
    batch = batch_of(np.arange(300, 360), series=2)
    batch.values[[60, 61]] += 9.2
    found = live.process(batch)
    assert found.alert_strength[60] == 0.0
    capture = opened(live.recorder.take(0, live.fleet, peak_of(batch, found, 60)))
    assert [part.key for part in capture.parts if isinstance(part, Said)] == [KEYS[0]]
    replayed = _replayed(capture)
    assert len(replayed.batch) == 31 and _is_same(capture, replayed)
    heard = replace(capture, parts=[part for part in capture.parts if not isinstance(part, Said)])
    assert not _is_same(heard, _replayed(heard))


def test_before_the_first_snapshot_a_series_is_replayed_from_its_first_record(run):
    live = run()
    batch = batch_of(np.arange(220))
    found = live.process(batch)
    capture = opened(live.recorder.take(5, live.fleet, peak_of(batch, found, 200 * 60 + 5)))
    assert len(_replayed(capture).batch) == 201 and _is_same(capture, _replayed(capture))


def test_other_numbers_are_noticed(run):
    live = run()
    batch = batch_of(np.arange(220))
    found = live.process(batch)
    peak = peak_of(batch, found, 200 * 60 + 5)
    wrong = peak._replace(score=float(np.nextafter(peak.score, 9.0)))
    capture = opened(live.recorder.take(5, live.fleet, wrong))
    assert not _is_same(capture, _replayed(capture))


def test_more_records_than_asked_are_not_captured(run):
    live = run(most=100)
    batch = batch_of(np.arange(120))
    found = live.process(batch)
    assert live.recorder.take(5, live.fleet, peak_of(batch, found, 119 * 60 + 5)) is None
    assert live.recorder.take(5, live.fleet, peak_of(batch, found, 99 * 60 + 5)) is not None


def test_explain_says_when_a_capture_is_gone(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pipeline.toml").write_text('[source]\nkind = "file"\npath = "x.csv"\n')
    body = {"labels": {}, "annotations": {}, "severity": "info", "values": {}}
    with Store("streamrnn.db") as store, store.deciding():
        store.incidents_put([IncidentRow("pumps-1", NOON, 1, True, True, body)])
    assert main(["explain", fingerprint("pumps-1")]) == 3
    assert f"the capture of {fingerprint('pumps-1')} is gone" in capsys.readouterr().err
    assert main(["explain", "nothing"]) == 2
    assert "there is no incident 'nothing'" in capsys.readouterr().err


def test_explain_shows_the_numbers_of_the_record(run, tmp_path, monkeypatch, capsys):
    live = run()
    batch = batch_of(np.arange(220))
    found = live.process(batch)
    row = 210 * 60 + 5
    data = live.recorder.take(5, live.fleet, peak_of(batch, found, row))
    said = {"summary": "pump-5 \x1b[31m", "description": "since noon", "why": ""}
    body = {"labels": {}, "annotations": said, "severity": "info", "values": {}}
    with live.store.deciding():
        live.store.incidents_put([IncidentRow("pumps-1", NOON, 1, True, True, body)])
        live.store.capture_put("pumps-1", NOON, data)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pipeline.toml").write_text('[source]\nkind = "file"\npath = "x.csv"\n')
    assert main(["explain", "pumps-1"]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out and "replayed 211 records since the snapshot before: the same numbers" in out
    assert main(["explain", "pumps-1", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["same"] and shown["surprise"] == float(found.surprise[row])
    assert shown["channels"]["level"]["yhat"] == float(found.yhat[row, 1])


def test_of_a_series_that_was_forgotten_since_the_snapshot_there_is_no_capture(run):
    live = run(ttl_ns=60 * 60_000_000_000)
    live.process(batch_of(np.arange(100), series=3))
    live.save()
    live.process(batch_of(np.arange(100, 200), series=2))  # the third one rests for longer than an hour
    batch = batch_of(np.arange(200, 220), series=3)
    found = live.process(batch)
    assert live.fleet.lives[:3].tolist() == [0, 0, 1]
    peaks = [peak_of(batch, found, row) for row in (57, 59)]
    assert live.recorder.take(0, live.fleet, peaks[0]) is not None
    assert live.recorder.take(2, live.fleet, peaks[1]) is None
    live.save()
    batch = batch_of(np.arange(220, 330), series=3)
    found = live.process(batch)
    capture = opened(live.recorder.take(2, live.fleet, peak_of(batch, found, 329)))
    assert _is_same(capture, _replayed(capture))
