"""The daemon as its users run it: a process, a file that grows, kill -9."""

from __future__ import annotations

import json
import random
import signal
import time
import urllib.request
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from daemons import Runner, stop, write_table

from streamrnn.pipelines.cli import main
from streamrnn.pipelines.daemon import Daemon
from streamrnn.pipelines.silence import Silence
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
KILLS = 10


@pytest.fixture
def runner(tmp_path):
    def make(text=ONCE, name="run"):
        folder = tmp_path / name
        folder.mkdir()
        return Runner(folder, text)

    return make


def killed_at_random(runner, rng, kills, size):
    """Start it again and again and kill it: some time after it has written some more, or early on."""
    path, done = runner.folder / "out.csv", 0
    while done < kills:
        process = runner.start()
        written = path.stat().st_size if path.exists() else 0
        target = written + rng.uniform(0, 1.2 * size / kills)
        end = time.monotonic() + (rng.uniform(0, 2) if rng.random() < 0.2 else 60)
        while time.monotonic() < end and process.poll() is None:
            if path.exists() and path.stat().st_size >= target:
                break
            time.sleep(0.001)
        time.sleep(rng.uniform(0, 0.03))
        process.kill()
        _, err = process.communicate()
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL, err.decode()
        done += 1
    runner.finish()
    return done


def events_of(runner):
    with Store(runner.folder / "state.db", readonly=True) as store:
        return store.events()


def check_kills(runner, tmp_path, seed, kills, minutes, text=ONCE, shuffled_s=0):
    write_table(tmp_path / "in.csv", minutes, silent=5)
    if shuffled_s:
        shuffle(tmp_path / "in.csv", shuffled_s)
    whole, killed = runner(text, name="whole"), runner(text, name="killed")
    for one in (whole, killed):
        (one.folder / "in.csv").symlink_to(tmp_path / "in.csv")
    whole.finish()
    done = killed_at_random(killed, random.Random(seed), kills, len(whole.read("out.csv")))
    assert killed.read("out.csv") == whole.read("out.csv"), f"seed {seed}"
    assert killed.read("dead.jsonl") == whole.read("dead.jsonl"), f"seed {seed}"
    assert repr(events_of(killed)) == repr(events_of(whole)), f"seed {seed}"  # NaN differs from NaN
    kinds = [event.kind for event in events_of(whole)]
    assert kinds.count("gap") == kinds.count("gap-over") == 1 <= kinds.count("event-over")
    return done


def test_kill_9_at_any_moment_changes_no_byte(runner, tmp_path):
    assert check_kills(runner, tmp_path, seed=20261121, kills=KILLS, minutes=6000) > KILLS // 2


def shuffle(path, window_s, late=0.002):
    """Have rows come late, most within a window and a few beyond it."""
    rng = np.random.default_rng(11)
    head, *rows = path.read_text().splitlines()
    delay = rng.uniform(0, window_s, len(rows)) + np.where(rng.random(len(rows)) < late, 3 * window_s, 0)
    come = np.arange(len(rows)) * 3 + delay  # a row each 3 seconds
    path.write_text("\n".join([head, *(rows[i] for i in np.argsort(come, kind="stable"))]) + "\n")


WINDOW_S = 300
REORDER = f"""
[record]
time = "ts"
time_format = "s"
key = "device"
reorder = "{WINDOW_S}s"
late = "{{late}}"
"""


@pytest.mark.parametrize("late", ["keep", "dead-letter"])
def test_kill_9_changes_no_byte_where_records_wait_for_earlier_ones(runner, tmp_path, late):
    text = ONCE + REORDER.format(late=late)
    done = check_kills(runner, tmp_path, 20261122, KILLS, 2500, text, WINDOW_S)
    assert done > KILLS // 2


def numbers_by_record(live):
    """What was scored, by series and time."""
    scored = pd.read_csv(live.folder / "out.csv").sort_values(["device", "ts"], ignore_index=True)
    return scored[["device", "ts", "temp", "yhat", "p_value", "status", "alert_strength"]]


def test_rows_shuffled_within_the_window_get_the_scores_of_sorted_ones(runner):
    ordered, shuffled = (runner(ONCE + REORDER.format(late="keep"), name) for name in ("ordered", "shuffled"))
    for live in (ordered, shuffled):
        write_table(live.folder / "in.csv", 500, broken=0.0)
    shuffle(shuffled.folder / "in.csv", WINDOW_S, late=0.0)
    assert shuffled.read("in.csv") != ordered.read("in.csv")
    for live in (ordered, shuffled):
        live.finish()
    pd.testing.assert_frame_equal(numbers_by_record(ordered), numbers_by_record(shuffled))
    assert not numbers_by_record(shuffled)["status"].isin(["late", "duplicate"]).any()


@pytest.mark.parametrize("late", ["keep", "drop", "dead-letter"])
def test_every_row_is_scored_dead_or_dropped_whatever_becomes_of_late_ones(runner, late):
    live = runner(ONCE + REORDER.format(late=late))
    rows = write_table(live.folder / "in.csv", 500, broken=0.01)
    shuffle(live.folder / "in.csv", WINDOW_S, late=0.02)
    log = live.finish()
    scored = pd.read_csv(live.folder / "out.csv")
    letters = [json.loads(line) for line in live.read("dead.jsonl").splitlines()]
    too_late = [letter for letter in letters if "later than its series' window" in letter["error"]]
    kept = int((scored["status"] == "late").sum())
    dropped = len(rows) - len(scored) - len(letters)
    assert [
        late for late, n in {"keep": kept, "drop": dropped, "dead-letter": len(too_late)}.items() if n
    ] == [late]
    assert f"{len(scored) + dropped:,} records" in log and f"{len(letters):,} dead letters" in log
    offsets = [letter["offset"] for letter in letters]
    assert offsets == sorted(offsets)


def test_a_stop_keeps_what_waits_and_the_end_of_the_file_lets_it_go(runner):
    text = PIPELINE.format(follow="true") + REORDER.format(late="keep")
    live = runner(text)
    rows = write_table(live.folder / "all.csv", 100, broken=0.0)
    (live.folder / "in.csv").write_text("\n".join(["ts,device,temp", *rows[:1000]]) + "\n")
    process = live.start()
    waiting = 20 * WINDOW_S // 60
    live.wait_for(process, lambda: live.lines("out.csv") == 1001 - waiting)
    assert stop(process)[0] == 0
    assert live.lines("out.csv") == 1001 - waiting
    with (live.folder / "in.csv").open("a") as file:
        file.write("\n".join(rows[1000:]) + "\n")
    (live.folder / "p.toml").write_text(text.replace("follow = true", "follow = false"))
    live.finish()
    assert live.lines("out.csv") == 2001
    other = runner(ONCE + REORDER.format(late="keep"), "whole")
    (other.folder / "in.csv").write_bytes(live.read("in.csv"))
    other.finish()
    assert live.read("out.csv") == other.read("out.csv")


class _PowerCutError(Exception):
    """The machine went away."""


def test_what_the_end_let_go_is_not_let_go_again_where_a_crash_comes_before_the_snapshot(runner, monkeypatch):
    """The end of a file is written down: where it goes on after all, rows leave at the same place again."""

    def cut(store, snapshot):
        raise _PowerCutError

    text = (ONCE + REORDER.format(late="keep")).replace("200ms", "1h")
    runs = {name: runner(text, name) for name in ("whole", "cut")}
    rows = write_table(runs["whole"].folder / "all.csv", 100, broken=0.0)
    for name, live in runs.items():
        (live.folder / "in.csv").write_text("\n".join(["ts,device,temp", *rows[:1000]]) + "\n")
        with monkeypatch.context() as patch:
            patch.chdir(live.folder)
            if name == "cut":
                patch.setattr(Store, "save", cut)
                with pytest.raises(_PowerCutError):
                    Daemon("p.toml").run()
            else:
                Daemon("p.toml").run()
        assert live.lines("out.csv") == 1001
        with (live.folder / "in.csv").open("a") as file:
            file.write("\n".join([*rows[1000:], rows[950]]) + "\n")
        live.finish()
        assert live.lines("out.csv") == 2002
    assert runs["cut"].read("out.csv") == runs["whole"].read("out.csv")


@pytest.mark.soak
def test_200_times_kill_9_changes_no_byte(runner, tmp_path):
    seed, done = random.SystemRandom().randrange(2**32), 0
    while done < 200:
        folder = tmp_path / str(done)
        folder.mkdir()
        done += check_kills(
            lambda name, at=folder: runner(name=f"{at.name}-{name}"),
            folder,
            seed + done,
            200 - done,
            10_000,
        )


def test_a_daemon_gives_the_bits_of_a_replay(runner, tmp_path, capsys):
    live = runner()
    write_table(live.folder / "in.csv", 500)
    live.finish()
    assert main(["replay", str(live.folder / "in.csv"), "-o", str(tmp_path / "replayed.csv")]) == 0
    assert (tmp_path / "replayed.csv").read_bytes() == live.read("out.csv")


def test_every_row_is_scored_or_a_dead_letter(runner):
    live = runner()
    rows = write_table(live.folder / "in.csv", 500, broken=0.01)
    live.finish()
    scored = pd.read_csv(live.folder / "out.csv")
    letters = [json.loads(line) for line in live.read("dead.jsonl").splitlines()]
    assert len(scored) + len(letters) == len(rows)
    offsets = sorted(
        [*scored["record_id"].str.rsplit("-", n=1).str[1].astype(int), *(x["offset"] for x in letters)]
    )
    assert offsets == list(range(len(rows)))
    assert all("the row has 2 of 3 cells" in letter["error"] for letter in letters)


def test_a_file_is_followed_as_it_grows_through_rotation_and_stops(runner):
    live = runner(PIPELINE.format(follow="true"))
    source = live.folder / "in.csv"
    rows = write_table(live.folder / "all.csv", 300, broken=0.0)
    head = "ts,device,temp\n"
    process = live.start()
    time.sleep(0.3)  # it waits for the file to come
    with source.open("w") as file:
        file.write(head + "\n".join(rows[:2000]) + "\n" + rows[2000][:7])
        file.flush()
        live.wait_for(process, lambda: live.lines("out.csv") == 2001)
        file.write(rows[2000][7:] + "\n")
    live.wait_for(process, lambda: live.lines("out.csv") == 2002)
    code, err = stop(process)
    assert (code, "left in good order" in err) == (0, True)

    source.rename(live.folder / "in.csv.1")  # rotated while nothing runs, with rows that were never read
    with (live.folder / "in.csv.1").open("a") as file:
        file.write("\n".join(rows[2001:4000]) + "\n")
    source.write_text(head + "\n".join(rows[4000:5000]) + "\n")
    process = live.start()
    live.wait_for(process, lambda: live.lines("out.csv") == 5001)
    source.rename(live.folder / "in.csv.2")  # rotated while it runs
    source.write_text(head + "\n".join(rows[5000:]) + "\n")
    live.wait_for(process, lambda: live.lines("out.csv") == 6001)
    assert stop(process)[0] == 0

    assert (
        main(["replay", str(live.folder / "all.csv"), "-o", str(live.folder / "replayed.csv"), "--json"]) == 0
    )
    followed, replayed = (pd.read_csv(live.folder / name) for name in ("out.csv", "replayed.csv"))
    scores = [
        "ts",
        "device",
        "temp",
        "yhat",
        "anomaly_score",
        "p_value",
        "is_anomaly",
        "alert_strength",
        "status",
    ]
    pd.testing.assert_frame_equal(followed[scores], replayed[scores])


def test_json_lines_are_followed_and_bad_ones_are_dead_letters(runner):
    text = PIPELINE.format(follow="false").replace("in.csv", "in.jsonl").replace("out.csv", "out.jsonl")
    live = runner(
        text + '\n[record]\nformat = "json"\ntime = "at"\nkey = "pump.id"\nvalues = ["flow", "pump.rpm"]\n'
    )
    good = [
        {
            "at": 1_700_000_000_000 + 1000 * t,
            "flow": 20 + t % 7,
            "pump": {"id": f"p{t % 3}", "rpm": 900.5 - t % 5},
        }
        for t in range(300)
    ]
    lines = [json.dumps(record) for record in good]
    lines[100:100] = [
        "{",
        "[1]",
        '{"at": "never", "flow": 1}',
        '{"at": 1700000000000, "flow": {"x": 1}}',
        "\x00",
    ]
    (live.folder / "in.jsonl").write_text("\n".join(lines) + "\n")
    live.finish()
    rows = [json.loads(line) for line in live.read("out.jsonl").splitlines()]
    letters = [json.loads(line) for line in live.read("dead.jsonl").splitlines()]
    assert (len(rows), len(letters)) == (300, 5)
    assert [letter["offset"] for letter in letters] == list(range(100, 105))
    assert {row["pump.id"] for row in rows} == {"p0", "p1", "p2"}
    assert rows[7]["flow"] == 20.0 and rows[7]["pump.rpm"] == 898.5


def port_of(process):
    return next(int(line.split()[-1]) for line in iter(process.stderr.readline, b"") if b"at port" in line)


def get(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        return answer.read().decode()


def metrics_of(port):
    return dict(
        line.rsplit(" ", 1) for line in get(port, "/metrics").splitlines() if not line.startswith("#")
    )


def test_health_and_metrics_are_served(runner):
    text = PIPELINE.format(follow="true") + '\n[serve]\nlisten = "127.0.0.1:0"\n'
    live = runner(text)
    write_table(live.folder / "in.csv", 100)
    process = live.start()
    port = port_of(process)
    live.wait_for(process, lambda: live.lines("out.csv") > 1900)
    assert get(port, "/livez") == get(port, "/readyz") == "ok\n"
    metrics = metrics_of(port)
    counted = sum(float(n) for name, n in metrics.items() if name.startswith("streamrnn_records_total"))
    assert counted + float(metrics["streamrnn_dead_letter_total"]) == 2000
    assert float(metrics["streamrnn_keys_active"]) == 20
    assert stop(process)[0] == 0


def test_a_reload_takes_effect_at_a_position_that_a_kill_does_not_move(runner):
    live = runner(PIPELINE.format(follow="true"))
    rows = write_table(live.folder / "all.csv", 400, broken=0.0)
    source, pipeline = live.folder / "in.csv", live.folder / "p.toml"
    source.write_text("ts,device,temp\n" + "\n".join(rows[:4000]) + "\n")
    process = live.start()
    live.wait_for(process, lambda: live.lines("out.csv") == 4001)
    pipeline.write_text(pipeline.read_text() + '\n[detect]\nfalse_alarms = 0.2\nsilence = "5m"\n')
    process.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    with source.open("a") as file:
        file.write("\n".join(rows[4000:]) + "\n")
    live.wait_for(process, lambda: live.lines("out.csv") == 8001)
    process.kill()
    process.communicate()
    process = live.start()
    assert any(b"going on from snapshot" in line for line in iter(process.stderr.readline, b""))
    assert any(b"reading in.csv" in line for line in iter(process.stderr.readline, b""))
    assert stop(process)[0] == 0
    scored = pd.read_csv(live.folder / "out.csv")
    assert len(scored) == 8000
    share = scored["is_anomaly"].to_numpy()
    assert share[:4000].mean() < 0.02
    assert share[4000:].mean() > 0.1
    with Store(live.folder / "state.db", readonly=True) as store:
        assert Silence("20x", state=store.load().others["silence"]).limit == "5m"
        assert len(store.journal()) == 1


def test_a_series_that_says_nothing_is_an_event_and_counted(runner):
    text = PIPELINE.format(follow="true") + '\n[serve]\nlisten = "127.0.0.1:0"\n[detect]\nsilence = "10x"\n'
    live = runner(text)
    rows = write_table(live.folder / "all.csv", 300, silent=7)
    (live.folder / "in.csv").write_text("\n".join(["ts,device,temp", *rows[:2500]]) + "\n")
    process = live.start()
    port = port_of(process)
    live.wait_for(process, lambda: metrics_of(port).get("streamrnn_silent_series") == "1.0")
    live.wait_for(process, lambda: float(metrics_of(port)["streamrnn_events_total"]) >= 1.0)
    with (live.folder / "in.csv").open("a") as file:
        file.write("\n".join(rows[2500:]) + "\n")
    live.wait_for(process, lambda: metrics_of(port).get("streamrnn_silent_series") == "0.0")
    assert stop(process)[0] == 0
    start, end = ((1_700_000_000 + 60 * t) * 10**9 for t in (100, 150))
    gap, over = (event for event in events_of(live) if "gap" in event.kind)
    assert (gap.kind, gap.time, gap.payload["series"]) == ("gap", start, "dev07")
    assert gap.payload["noticed"] - start == 11 * 60 * 10**9
    assert (over.kind, over.time, over.payload["event"]) == ("gap-over", end, gap.id)


def test_events_are_stored_when_they_open_and_when_they_are_over(runner):
    live = runner()
    write_table(live.folder / "in.csv", 1000)
    live.finish()
    scored = pd.read_csv(live.folder / "out.csv").set_index("record_id")
    events = {event.id: event for event in events_of(live)}
    opened = {name: event for name, event in events.items() if event.kind == "event"}
    assert set(opened) == set(scored["event_id"].dropna())
    for name, event in opened.items():
        first, rows = scored.loc[name], scored[scored["event_id"] == name]
        assert event.time == event.payload["start"] == first["ts"] * 10**9
        assert event.payload["series"] == first["device"]
        assert event.payload["strength"] == first["alert_strength"]
        assert event.payload["p_value"] == pytest.approx(first["p_value"], rel=1e-6)
        over = events.get(f"{name}:over")
        last = scored[scored["device"] == first["device"]].iloc[-1]
        assert (over is None) == (last["event_id"] == name)
        if over is not None:
            assert over.payload["strength"] == rows["alert_strength"].max()
            assert over.payload["peak"] == int(rows["surprise"].idxmax().rsplit("-", 1)[1])
            assert over.payload["parts"][0]["channel"] == "temp"
    assert sum(event.kind == "event-over" for event in events.values()) > 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "there is no [source]"),
        ('[source]\nkind = "file"\n', "the table lacks the required field `path`"),
        (
            '[source]\nkind = "file"\npath = "in.csv"\nfolow = true\n',
            "'folow' is no key of [source]; did you mean",
        ),
        ('[source]\nkind = "kafak"\n', "Invalid value 'kafak'"),
        ('[[sink]]\nkind = "file"\nptah = "x"\n', "'ptah' is no key of [sink]; did you mean 'path'?"),
        ('[checkpoint]\nevery = "often"\n', "checkpoint.every"),
        ('[serve]\nlisten = "here"\n', "serve.listen"),
        ('[detect]\nsilence = "long"\n', "detect.silence"),
        ('[record]\nlate = "kep"\n', "record.late"),
    ],
)
def test_a_pipeline_file_that_is_wrong_is_refused_with_what_to_do(
    tmp_path, monkeypatch, capsys, text, message
):
    monkeypatch.chdir(tmp_path)
    Path("p.toml").write_text(text)
    assert main(["run", "p.toml"]) == 2
    assert message in capsys.readouterr().err


def test_a_second_daemon_on_the_same_state_is_refused(runner):
    live = runner(PIPELINE.format(follow="true"))
    write_table(live.folder / "in.csv", 50)
    process = live.start()
    live.wait_for(process, lambda: live.lines("out.csv") > 900)
    second = live.start()
    _, err = second.communicate(timeout=60)
    assert second.returncode == 2
    assert b"state.db" in err and b"Traceback" not in err
    assert stop(process)[0] == 0


def test_structural_changes_are_refused_with_words(runner):
    live = runner()
    write_table(live.folder / "in.csv", 50)
    live.finish()
    pipeline = live.folder / "p.toml"
    text = pipeline.read_text()
    for change, message in (
        ("[model]\nhidden = 4\n", b"another hidden"),
        ('[record]\ntz = "Europe/Rome"\n', b"(tz)"),
    ):
        pipeline.write_text(f"{text}\n{change}")
        process = live.start()
        _, err = process.communicate(timeout=60)
        assert process.returncode == 2
        assert message in err and b"Traceback" not in err
