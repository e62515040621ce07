"""What users say of events to a daemon, while it runs and while it does not: the same bits."""

from __future__ import annotations

import random
import signal
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from daemons import PIPELINE, Runner, stop

from streamrnn import Settings
from streamrnn.feedback import Signature, alike
from streamrnn.pipelines.applied import ask_rate
from streamrnn.pipelines.cli import main
from streamrnn.pipelines.grouping import fingerprint
from streamrnn.pipelines.store import Store

MINUTES, HALF, DEVICES = 2600, 1900, 2
HEAD = "ts,device,temp"
FAULTS = {1500: 40.0, 1700: 46.0, 2100: 53.0, 2400: 120.0}  # at a minute, so much on top for four


def rows_of():
    """Minutes of two devices, which have the same faults."""
    rng = np.random.default_rng(11)
    values = 20 + 3 * np.sin(np.arange(MINUTES)[:, None] / 20) + rng.normal(size=(MINUTES, DEVICES))
    for start, size in FAULTS.items():
        values[start : start + 4] += size
    return [
        f"{1_700_000_000 + 60 * t},dev{i:02d},{values[t, i]:.3f}"
        for t in range(MINUTES)
        for i in range(DEVICES)
    ]


class Told(Runner):
    """A daemon to which somebody speaks."""

    def __init__(self, folder, follow):
        folder.mkdir()
        super().__init__(folder, PIPELINE.format(follow=follow) + "[detect]\nfalse_alarms = 1e-2\n")
        # For commands: where the state is, wherever they run.
        (folder / "q.toml").write_text(f'[checkpoint]\npath = "{folder / "state.db"}"\n')
        self.rows = rows_of()
        (folder / "in.csv").write_text(HEAD + "\n")

    def give(self, start, stop):
        with (self.folder / "in.csv").open("a") as file:
            file.write("\n".join(self.rows[DEVICES * start : DEVICES * stop]) + "\n")

    def say(self, *words):
        assert main(["alerts", *words, "--file", str(self.folder / "q.toml")]) == 0

    def apply(self, rate):
        with Store(self.folder / "state.db", beside=True) as store:
            ask_rate(store, Settings(), rate)

    def written(self):
        """How many rows are safe."""
        if not (self.folder / "out.csv").exists():
            return 0
        return self.stored(lambda store: sum(store.committed()[0].values()))

    def stored(self, read):
        with Store(self.folder / "state.db", readonly=True) as store:
            return read(store)

    def minutes(self, device):
        """When incidents of a device began."""
        rows = self.stored(lambda store: store.incidents())
        times = [row.time for row in rows if row.body["labels"]["series"] == f"dev{device:02d}"]
        return [(time // 10**9 - 1_700_000_000) // 60 for time in times]

    def event(self, minute, device):
        """Id of the event that begins there."""
        return f"in.csv-{DEVICES * minute + device}"

    def scored(self):
        return pd.read_csv(self.folder / "out.csv")


@pytest.fixture
def make(tmp_path):
    return lambda name="run", follow="false": Told(tmp_path / name, follow)


def event_at(live, minute, device=0):
    """Its id, as incidents have it."""
    rows = live.stored(lambda store: store.incidents())
    offsets = {row.id: int(row.id.rpartition("-")[2]) for row in rows}
    near = [id for id, offset in offsets.items() if offset % DEVICES == device]
    return min(near, key=lambda id: abs(offsets[id] - DEVICES * minute))


def test_what_is_said_beside_a_daemon_that_runs_holds_from_its_next_beat_on(make, capsys):
    live = make(follow="true")
    live.give(0, HALF)
    process = live.start()
    live.wait_for(process, lambda: live.lines("out.csv") == DEVICES * HALF + 1)
    over = lambda store: len(store.events(kind="event-over"))  # noqa: E731
    live.wait_for(process, lambda: live.stored(over) >= 4)
    said_of = event_at(live, 1700)
    live.say("not-an-anomaly", fingerprint(said_of))
    answer = capsys.readouterr().out
    assert f"event {said_of} of dev00: what looks like it will raise no alert" in answer
    assert event_at(live, 1500) in answer and "other alert" in answer
    assert f"take it back: streamrnn alerts forget {fingerprint(said_of)}" in answer
    live.wait_for(process, lambda: live.stored(lambda store: len(store.journal())) == 1)
    live.give(HALF, MINUTES)
    live.wait_for(process, lambda: live.lines("out.csv") == DEVICES * MINUTES + 1)
    live.say("forget", said_of)
    live.wait_for(process, lambda: live.stored(lambda store: len(store.journal())) == 2)
    assert stop(process)[0] == 0
    late = [[minute for minute in live.minutes(device) if minute >= HALF] for device in range(DEVICES)]
    assert late == [[2400], [2100, 2400]]  # the larger one is told all the same
    assert not live.stored(lambda store: store.requests())
    assert main(["explain", fingerprint(event_at(live, 2400)), "--file", str(live.folder / "q.toml")]) == 0
    assert "the same numbers to the bit" in capsys.readouterr().out


def test_what_is_said_while_no_daemon_runs_holds_from_what_was_written_on(make, capsys):
    told, untold = make("told"), make("untold")
    for live in (told, untold):
        live.give(0, HALF)
        live.finish()
    told.say("not-an-anomaly", event_at(told, 1700))
    told.say("confirm", event_at(told, 1500, 1))
    for live in (told, untold):
        live.give(HALF, MINUTES)
        live.finish()
    one, other = told.scored(), untold.scored()
    same = [name for name in one.columns if name not in ("alert_strength", "event_id")]
    pd.testing.assert_frame_equal(one[same], other[same])
    quiet = slice(DEVICES * HALF)
    pd.testing.assert_frame_equal(one[quiet], other[quiet])
    at = one["device"].eq("dev00") & one["ts"].between(1_700_000_000 + 2100 * 60, 1_700_000_000 + 2110 * 60)
    assert one["alert_strength"][at].max() == 0.0
    assert other["alert_strength"][at].max() >= 0.5
    entries = told.stored(lambda store: store.journal())
    assert [entry.kind for entry in entries] == ["feedback"] * 2
    assert {*entries[0].positions.values()} == {DEVICES * HALF}


def test_kill_9_changes_no_byte_of_what_is_written_after_something_was_said(make):
    whole, killed = make("whole", "true"), make("killed", "true")
    for live in (whole, killed):
        live.give(0, HALF)
        process = live.start()
        live.wait_for(process, lambda one=live: one.lines("out.csv") == DEVICES * HALF + 1)
        assert stop(process)[0] == 0
        live.say("not-an-anomaly", event_at(live, 1700))
    rng, pieces = random.Random(5), np.linspace(HALF, MINUTES, 6).astype(int).tolist()
    for start, end in pairwise(pieces):
        process = killed.start()
        killed.give(start, end)
        wanted = DEVICES * rng.randrange(start, end)
        killed.wait_for(process, lambda n=wanted: killed.lines("out.csv") > n)
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    whole.give(HALF, MINUTES)
    for live in (whole, killed):
        process = live.start()
        assert any(b"reading in.csv" in line for line in iter(process.stderr.readline, b""))
        live.wait_for(process, lambda one=live: one.lines("out.csv") == DEVICES * MINUTES + 1)
        assert stop(process)[0] == 0
    assert killed.read("out.csv") == whole.read("out.csv")
    events = [live.stored(lambda store: repr(store.events())) for live in (whole, killed)]
    assert events[0] == events[1]
    assert [minute for minute in killed.minutes(0) if minute >= HALF] == [2400]


def test_an_applied_rate_holds_to_the_next_start_and_kill_9_changes_no_byte_of_what_it_was_used_for(make):
    whole, killed, middle = make("whole", "true"), make("killed", "true"), 2200
    for live, leave in ((whole, signal.SIGTERM), (killed, signal.SIGKILL)):
        file = live.folder / "p.toml"  # no snapshot knows of the rate when the kill comes
        file.write_text(file.read_text().replace('every = "200ms"', 'every = "1h"'))
        live.give(0, HALF)
        process = live.start()
        live.wait_for(process, lambda one=live: one.written() == DEVICES * HALF)
        live.apply(0.2)
        live.wait_for(process, lambda one=live: one.stored(lambda store: len(store.journal())) == 1)
        live.give(HALF, middle)
        live.wait_for(process, lambda one=live: one.written() == DEVICES * middle)
        assert stop(process, leave)[0] == (-leave if live is killed else 0)
        live.give(middle, MINUTES)
        process = live.start()
        assert any(b"reading in.csv" in line for line in iter(process.stderr.readline, b""))
        live.wait_for(process, lambda one=live: one.written() == DEVICES * MINUTES)
        assert stop(process)[0] == 0
    assert killed.read("out.csv") == whole.read("out.csv")
    events = [live.stored(lambda store: repr(store.events())) for live in (whole, killed)]
    assert events[0] == events[1]
    # The file holds again from what was written on, not from what the snapshot knew.
    entries = killed.stored(lambda store: store.journal())
    assert [entry.payload for entry in entries] == [{"false_alarms": 0.2}, {"false_alarms": 0.01}]
    assert [sum(entry.positions.values()) for entry in entries] == [DEVICES * HALF, DEVICES * middle]
    scored = killed.scored()
    minutes = (scored["ts"].to_numpy() - 1_700_000_000) // 60
    normal = ~np.any([(minutes >= start) & (minutes < start + 30) for start in FAULTS], axis=0)
    stretches = pairwise([1000, HALF, middle, MINUTES])
    parts = [normal & (minutes >= start) & (minutes < end) for start, end in stretches]
    shares = [scored["is_anomaly"].to_numpy()[part].mean() for part in parts]
    assert shares[1] > 0.1 and max(shares[0], shares[2]) < 0.05


def test_who_speaks_of_what_is_not_there_is_told_so(make, capsys):
    live = make()
    assert main(["alerts", "confirm", "x-3", "--file", str(live.folder / "q.toml")]) == 2
    assert "`streamrnn run` makes it" in capsys.readouterr().err
    live.give(0, 100)
    live.finish()
    assert main(["alerts", "confirm", "x-3", "--file", str(live.folder / "q.toml")]) == 2
    assert "there is no event 'x-3'" in capsys.readouterr().err


def test_stored_events_look_as_the_series_remembers_them(make):
    live = make()
    live.give(0, HALF)
    live.finish()

    def remembered(store):
        from streamrnn import Fleet, Position

        snapshot = store.load()
        fleet = Fleet.from_bytes(snapshot.fleet)
        for row in store.events(kind="event-over"):
            event = Position(0, int(row.payload["event"].rpartition("-")[2]))
            known = fleet.remembered(row.payload["series"], event)
            stored = Signature(**row.payload["signature"])
            if known is not None:
                yield known == stored and alike(known, [stored])[0]

    same = live.stored(lambda store: list(remembered(store)))
    assert len(same) >= 4 and all(same)
