"""The daemon as its users run it: a process, a file that grows, a reload."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pandas as pd
import pytest
from daemons import HEAD, PIPELINE, get, metrics_of, port_of, stop, write_table
from plants import SCORES

from streamrnn.pipelines.cli import main
from streamrnn.pipelines.silence import Silence
from streamrnn.pipelines.store import Store


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
    pd.testing.assert_frame_equal(followed[SCORES], replayed[SCORES])


def test_what_is_kept_of_files_does_not_grow_with_their_rotations(runner):
    live = runner(PIPELINE.format(follow="true"))
    rows = write_table(live.folder / "all.csv", 6, broken=0.0)
    source = live.folder / "in.csv"
    for start in (0, 60):
        source.write_text("\n".join([HEAD, *rows[start : start + 3]]) + "\n")
        process = live.start()
        for row in range(start, start + 60, 3):
            if row > start:
                source.rename(live.folder / f"in.csv.{row}")
                source.write_text("\n".join([HEAD, *rows[row : row + 3]]) + "\n")
            live.wait_for(process, lambda row=row: live.lines("out.csv") == row + 4)
        assert stop(process)[0] == 0
        source.rename(live.folder / f"in.csv.{start + 60}")
    store = Store(live.folder / "state.db")
    kept = [store.committed()[0], store.load().positions]
    store.close()
    assert [len(positions) for positions in kept] == [16, 16]


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
