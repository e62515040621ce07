from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from streamrnn.errors import DataError
from streamrnn.pipelines import demo
from streamrnn.pipelines.cli import main
from streamrnn.pipelines.events import Event, Part
from streamrnn.pipelines.kept import KeptRows
from streamrnn.pipelines.tally import PROVISIONAL, WARMING

HOUR = 3_600_000_000_000


@pytest.fixture
def rows(batch_of, results_of):
    """Ten warming hours, then ten scored ones."""
    kept = KeptRows(("a",))
    status = np.repeat([WARMING, PROVISIONAL], 10).astype(np.int8)
    surprise = np.where(status == WARMING, np.nan, 1.5)
    kept.add(batch_of(np.zeros(20)), results_of(20, status=status, surprise=surprise))
    return kept.series(0)


EVENT = Event(
    series=0,
    partition=0,
    first=12,
    last=14,
    start=12 * HOUR,
    end=14 * HOUR,
    records=3,
    strength=0.6,
    alert=True,
    calibrated=False,
    kind="spike",
    surprise=4.0,
    peak=13,
    parts=(Part(0, 1.0, actual=1.0, yhat=0.0, yhat_lower=-1.0, yhat_upper=1.0),),
)


def verdict_on(start, end, events, rows, monkeypatch):
    monkeypatch.setattr(demo, "EPISODES", (demo.Episode("low flow", start * HOUR, end * HOUR),))
    (verdict,) = demo.verdicts(events, rows)
    return verdict


@pytest.mark.parametrize(
    ("start", "end", "text"),
    [
        (12, 18, "found at its first reading"),
        (10, 12, "found 2 h after it began"),
        (14, 15, "found in an event since 1970-01-01 12:00"),
    ],
)
def test_an_episode_is_found_by_an_event_that_overlaps_it(rows, monkeypatch, start, end, text):
    verdict = verdict_on(start, end, [EVENT], rows, monkeypatch)
    assert verdict.event is EVENT
    assert verdict.text.startswith(text)


@pytest.mark.parametrize(
    ("start", "end", "text"),
    [
        (3, 5, "still warming up, the detector had seen 3 of the 10 records it needs"),
        (15, 18, "its largest surprise was 1.5, a detection needed 2 then"),
        (30, 31, "the run ended before it"),
    ],
)
def test_of_an_episode_that_was_not_found_the_data_say_why(rows, monkeypatch, start, end, text):
    verdict = verdict_on(start, end, [EVENT], rows, monkeypatch)
    assert verdict.event is None
    assert verdict.text == f"not found: {text}"


def test_the_strongest_of_several_events_counts(rows, monkeypatch):
    weaker = replace(EVENT, first=13, strength=0.2)
    assert verdict_on(12, 14, [EVENT, weaker], rows, monkeypatch).event is EVENT


def test_the_known_episodes_stand_where_the_flow_is_odd():
    frame = pd.read_csv(demo.demo_file())
    times = pd.DatetimeIndex(pd.to_datetime(frame["Time"], utc=True)).as_unit("ns").asi8
    flow = frame["Water flow [l/s]"].to_numpy()
    spans = [np.flatnonzero((times >= e.start) & (times <= e.end)) for e in demo.EPISODES]
    assert [(span[0], span[-1]) for span in spans] == [(93, 110), (211, 224), (328, 330), (872, 886)]
    odd = np.concatenate(spans)
    assert flow[np.setdiff1d(np.arange(len(flow)), odd)].min() > 92
    assert flow.argmax() in spans[2]


def test_without_river_the_demonstration_says_what_to_install(monkeypatch):
    monkeypatch.setattr(demo, "find_spec", lambda name: None)
    with pytest.raises(DataError, match="pip install river"):
        demo.demo_file()


def test_the_demonstration_writes_every_record_and_a_picture(tmp_path, capsys):
    out, plot = tmp_path / "scored.csv", tmp_path / "demo.png"
    assert main(["replay", "--demo", "-o", str(out), "--plot", str(plot)]) == 0
    text = capsys.readouterr().out
    scored = pd.read_csv(out)
    assert len(scored) == 1268
    assert list(scored.columns[:3]) == ["Time", "Water flow [l/s]", "yhat"]
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert "records       1,268, 2022-03-20 10:00 to 2022-05-16 20:00 UTC" in text
    assert "Known episodes:" in text
    assert text.count("low flow") == 3
    assert text.count("small peak") == 1


def test_the_demonstration_in_json_has_a_verdict_on_each_episode(capsys):
    assert main(["replay", "--demo", "--json"]) == 0
    episodes = json.loads(capsys.readouterr().out)["episodes"]
    assert [episode["what"] for episode in episodes] == ["low flow", "low flow", "small peak", "low flow"]
    for episode in episodes:
        assert episode["found"] == (episode["event_id"] is not None)
        assert ("not found: " in episode["text"]) != episode["found"]
