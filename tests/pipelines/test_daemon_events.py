"""The events of a daemon: series that fall silent, and what the models find."""

from __future__ import annotations

import pandas as pd
import pytest
from daemons import HEAD, PIPELINE, events_of, metrics_of, port_of, stop, write_table


def test_a_series_that_says_nothing_is_an_event_and_counted(runner):
    text = PIPELINE.format(follow="true") + '\n[serve]\nlisten = "127.0.0.1:0"\n[detect]\nsilence = "10x"\n'
    live = runner(text)
    rows = write_table(live.folder / "all.csv", 300, silent=7)
    (live.folder / "in.csv").write_text("\n".join([HEAD, *rows[:2500]]) + "\n")
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
