"""Alerts as their users meet them: a daemon, a channel, and the command line beside it."""

from __future__ import annotations

import json
import random
import re
import signal
import time
import urllib.request

import numpy as np
import pytest
from daemons import Runner, stop, write_faults

from streamrnn.pipelines.cli import main
from streamrnn.pipelines.store import Store

PIPELINE = """
[source]
kind = "file"
path = "in.csv"
follow = {follow}

[[sink]]
kind = "file"
path = "out.csv"

[checkpoint]
path = "state.db"
every = "200ms"
commit = "50ms"

[alerts]
group_wait = "{wait}"
group_interval = "0s"
group_by = ["series"]
cooldown = "0s"
resolve_after = {quiet}
labels = {{site = "north"}}

[[alerts.channel]]
name = "ops"
kind = "command"
command = ["sh", "hear.sh"]
"""
# Takes what it is given on one line, and so many times in ten says that it did not.
HEAR = """
(tr '\\n' ' '; echo) >> heard.jsonl
[ $(($(od -An -N1 -tu1 /dev/urandom) % 10)) -ge {fails} ]
"""


def rows_with(stops, minutes=1400, devices=4):
    """(minute, row) of some devices in good order, one of which says nothing between some minutes."""
    rng = np.random.default_rng(12)
    values = 20 + 3 * np.sin(np.arange(minutes)[:, None] / 20) + rng.normal(size=(minutes, devices)) / 50
    return [
        (t, f"{1_700_000_000 + 60 * t},dev{i:02d},{values[t, i]:.3f}")
        for t in range(minutes)
        for i in range(devices)
        if i != 2 or not any(start <= t < end for start, end in stops)
    ]


@pytest.fixture
def runner(tmp_path):
    def make(name="run", *, follow="false", wait="0s", fails=0, quiet=60, more=""):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "hear.sh").write_text(HEAR.format(fails=fails))
        text = PIPELINE.format(follow=follow, wait=wait, quiet=quiet)
        return Runner(folder, text + more)

    return make


def heard(folder):
    """(fingerprint, status) and the id of every message that came."""
    path = folder / "heard.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    found = []
    for line in lines:
        message = json.loads(line)
        found += [((a["fingerprint"], a["status"]), message["groupKey"]) for a in message["alerts"]]
    return found


def statuses(folder):
    return [status for (_, status), _ in heard(folder)]


def firing(folder):
    return statuses(folder).count("firing")


def is_told(folder, records):
    """Whether so many records are done with, and all that was found in them has been told."""
    with Store(folder / "state.db", readonly=True) as store:
        if sum(store.committed()[0].values()) != records:
            return False
        waits = any(group.state == "gathering" for group in store.groups_due(2**63 - 1))
        return not waits and not store.incidents(news=True) and set(store.outbox_counts()) == {"delivered"}


def finish(live):
    """Run to the end of the table, again where there was no time to tell everything."""
    (live.folder / "q.toml").write_text(f'[checkpoint]\npath = "{live.folder / "state.db"}"\n')
    for _ in range(10):
        live.finish()
        with Store(live.folder / "state.db", readonly=True) as store:
            if set(store.outbox_counts()) == {"delivered"}:
                return
        assert main(["alerts", "redeliver", "--waiting", "--file", str(live.folder / "q.toml")]) == 0
    raise AssertionError("it is never told")


def test_a_run_tells_of_each_fault_once_and_the_command_line_shows_why(runner, monkeypatch, capsys):
    live = runner(wait="30s")
    write_faults(live.folder / "in.csv")
    finish(live)
    said = heard(live.folder)
    assert len(said) == len(set(said)) and len(said) >= 16
    monkeypatch.chdir(live.folder)
    assert main(["alerts", "list", "--all", "--json", "--file", "p.toml"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert {i["fingerprint"] for i in listed["incidents"]} == {name for (name, _), _ in said}
    assert listed["messages"] == {"delivered": len({(group, status) for (_, status), group in said})}
    for incident in listed["incidents"]:
        assert main(["explain", incident["fingerprint"], "--file", "p.toml"]) == 0
        assert "the same numbers to the bit" in capsys.readouterr().out
    (worst,) = [i["fingerprint"] for i in listed["incidents"] if i["severity"] == "critical"][:1]
    assert main(["alerts", "show", worst, "--file", "p.toml"]) == 0
    shown = capsys.readouterr().out
    assert "would be normal at temp" in shown and "delivered, tries 1" in shown


def test_kills_of_the_daemon_tell_everything_and_give_nothing_a_second_id(runner):
    whole, killed = runner("whole"), runner("killed", fails=2)
    for one in (whole, killed):
        write_faults(one.folder / "in.csv")
    finish(whole)
    rng, done = random.Random(3), 0
    while done < 6:
        process = killed.start()
        before = len(heard(killed.folder))
        end = time.monotonic() + 30
        while time.monotonic() < end and process.poll() is None:
            if len(heard(killed.folder)) >= before + 2 or killed.lines("out.csv") > rng.uniform(0, 20_000):
                break
            time.sleep(0.005)
        process.kill()
        process.communicate()
        if process.returncode != -signal.SIGKILL:
            break
        done += 1
    finish(killed)
    assert {what for what, _ in heard(killed.folder)} == {what for what, _ in heard(whole.folder)}
    ids = {}
    for what, id in heard(killed.folder):
        ids.setdefault(what, set()).add(id)
    assert all(len(each) == 1 for each in ids.values())
    assert done > 2


def test_a_daemon_that_runs_is_silenced_measured_and_stopped(runner, monkeypatch, capsys):
    live = runner(follow="true", more='[serve]\nlisten = "127.0.0.1:0"\n[log]\nformat = "json"\n')
    rows = write_faults(live.folder / "in.csv")
    half, path = 4 * 2000, live.folder / "in.csv"
    path.write_text("\n".join(["ts,device,temp", *rows[:half]]) + "\n")
    process = live.start()
    live.wait_for(process, lambda: live.lines("out.csv") == half + 1)
    live.wait_for(process, lambda: is_told(live.folder, half))
    monkeypatch.chdir(live.folder)
    assert main(["alerts", "silence", "site=north", "--for", "1h", "--file", "p.toml"]) == 0
    before = firing(live.folder)
    with path.open("a") as file:
        file.write("\n".join(rows[half:]) + "\n")
    live.wait_for(process, lambda: live.lines("out.csv") == len(rows) + 1)
    port = next(
        int(json.loads(line)["message"].rpartition(" ")[2])
        for line in process.stderr
        if b"health and metrics" in line
    )
    figures = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10).read().decode()
    code, _ = stop(process)
    assert code == 0 and firing(live.folder) == before >= 4
    assert float(re.search(r"^streamrnn_alerts_sent_total (.*)$", figures, re.MULTILINE)[1]) >= 8
    for name in ("streamrnn_alerts_pending", "streamrnn_alerts_failed_total", "streamrnn_incidents_open"):
        assert f"\n{name} " in figures
    capsys.readouterr()
    assert main(["alerts", "list", "--all", "--file", "p.toml"]) == 0
    assert "site=north" in capsys.readouterr().out


def test_two_stops_of_a_sensor_are_one_silence_that_is_told_once_and_resolved_once(runner):
    live = runner(follow="true", quiet=40)
    rows = rows_with([(1000, 1100), (1120, 1200)])
    path, written = live.folder / "in.csv", 0
    path.write_text("ts,device,temp\n")
    process = live.start()
    for minute, told in (
        (1090, ["firing"]),
        (1110, ["firing"]),
        (1190, ["firing"]),
        (1400, ["firing", "resolved"]),
    ):
        come = [row for time, row in rows if time < minute]
        with path.open("a") as file:
            file.write("\n".join(come[written:]) + "\n")
        written = len(come)
        live.wait_for(process, lambda n=written: live.lines("out.csv") == n + 1)
        live.wait_for(process, lambda n=written: is_told(live.folder, n))
        assert statuses(live.folder) == told
    assert stop(process)[0] == 0
    assert statuses(live.folder) == ["firing", "resolved"]
    with Store(live.folder / "state.db", readonly=True) as store:
        (incident,) = store.incidents()
        gaps = [event.id for event in store.events(kind="gap")]
    assert (incident.id, incident.open) == (gaps[0], False) and len(gaps) == 2
    assert incident.body["labels"]["alertname"] == "SensorSilent"


def test_the_command_line_tries_channels_and_delivers_again(runner, monkeypatch, capsys):
    live = runner(fails=10)  # whatever it is given, it refuses
    write_faults(live.folder / "in.csv", minutes=1700)
    live.finish()
    monkeypatch.chdir(live.folder)
    assert main(["alerts", "test", "--file", "p.toml"]) == 2
    assert "ops:" in capsys.readouterr().out
    (live.folder / "hear.sh").write_text(HEAR.format(fails=0))
    assert main(["alerts", "test", "ops", "--file", "p.toml"]) == 0
    assert "ops: delivered" in capsys.readouterr().out
    assert main(["alerts", "list", "--json", "--file", "p.toml"]) == 0
    waiting = json.loads(capsys.readouterr().out)["messages"]["waiting"]
    assert waiting >= 4
    assert main(["alerts", "redeliver", "nothing", "--file", "p.toml"]) == 2
    assert main(["alerts", "redeliver", "--waiting", "--file", "p.toml"]) == 0
    live.finish()
    assert main(["alerts", "list", "--json", "--file", "p.toml"]) == 0
    capsys_out = capsys.readouterr().out
    assert json.loads(capsys_out[capsys_out.index("{") :])["messages"] == {"delivered": waiting}
