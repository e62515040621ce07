"""What a live page is told, without a browser."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from streamrnn import Fleet, Settings
from streamrnn.connectors.base import Read
from streamrnn.kernels import tally as kernel
from streamrnn.pipelines.coding import Coding
from streamrnn.pipelines.serve import HealthServer
from streamrnn.pipelines.store import Store
from streamrnn.pipelines.tally import CALIBRATED, Tally
from streamrnn.pipelines.web.access import Access
from streamrnn.pipelines.web.came import ALERTS, DETECTIONS, Came
from streamrnn.pipelines.web.came import CALIBRATED as SURE
from streamrnn.pipelines.web.feed import PageFeed
from streamrnn.pipelines.web.header import Header, came_of
from streamrnn.pipelines.web.live import LiveData, Place
from streamrnn.pipelines.web.routes import LiveRoutes

HOUR = 3_600_000_000_000
TOKEN = "correct horse battery"


def batches(n, series=2, size=37, seed=1):
    """Hours of some series with a burst now and then and a gap, as a source gives them."""
    rng = np.random.default_rng(seed)
    values = np.sin(np.arange(n) / 9) + 0.1 * rng.normal(size=n)
    values[rng.random(n) < 0.004] += 5.0
    times = (np.arange(n) // series) * HOUR + HOUR
    times[3 * n // 4 :] += 50 * HOUR
    for start in range(0, n, size):
        rows = slice(start, start + size)
        yield Read(
            series=(np.arange(n)[rows] % series).astype(np.int32),
            times=times[rows],
            values=values[rows, None],
            partitions=np.zeros(len(times[rows]), np.int32),
            offsets=np.arange(n)[rows],
            columns={},
        )


@pytest.fixture
def world(tmp_path):
    """A feed and its data, whose clock the test moves."""
    now = [0.0]
    fleet = Fleet(Settings(channels=["level"], false_alarms=0.02))
    fleet.series(["a", "b"])
    Store(tmp_path / "state.db").close()
    feed = PageFeed(Coding(fleet, ["plant"]), {})
    header = Header(CollectorRegistry(), feed, lambda: "", lambda: now[0])
    data = LiveData(feed, header, tmp_path / "state.db", "plant", lambda: now[0])
    return fleet, feed, data, now


def unpacked(payload):
    """Columns of a payload as a page has them."""
    named = {**payload["rows"], **payload["channels"][0]}
    return {
        name: np.frombuffer(base64.b64decode(one["data"]), one["type"]).astype(float) + one["base"]
        for name, one in named.items()
    }


def test_news_put_together_are_what_the_whole_series_is(world):
    fleet, feed, data, now = world
    place, held = Place(0), None
    for batch in batches(9000):
        feed.records(batch, fleet.process(batch), np.ones(len(batch), np.bool_))
        now[0] += 1.0
        rows = json.loads(data.news(place)).get("rows")
        if rows is None:
            continue
        new = unpacked(rows)
        held = new if rows["all"] else {name: np.append(held[name], new[name]) for name in held}
    whole = unpacked(json.loads(data.series(0, whole=False)))
    assert len(whole["x"]) == 2048 + 1  # where the gap is, lines stop
    assert len(held["x"]) == 4500 + 1
    for name, column in whole.items():
        tail = held[name][-len(column) :]
        np.testing.assert_allclose(tail, column, rtol=1e-4, atol=1e-4, err_msg=name)


def test_three_browsers_cost_one_writing_out(world, monkeypatch):
    fleet, feed, data, now = world
    places, made = [Place(1) for _ in range(3)], []
    monkeypatch.setattr(
        data, "_columns", lambda *rows, columns=data._columns: made.append(1) or columns(*rows)
    )
    for count, batch in enumerate(batches(370), start=1):
        feed.records(batch, fleet.process(batch), np.ones(len(batch), np.bool_))
        now[0] += 1.0
        assert len({data.news(place) for place in places}) == 1
        assert len(made) == count


def test_a_browser_that_missed_more_than_is_kept_gets_all_that_is_kept(world):
    fleet, feed, data, _ = world
    place = Place(0, 10)
    for batch in batches(6000, size=600):
        feed.records(batch, fleet.process(batch), np.ones(len(batch), np.bool_))
    rows = json.loads(data.news(place))["rows"]
    assert rows["all"] and rows["seen"] == 3000 and len(unpacked(rows)["x"]) in (2048, 2049)
    assert "rows" not in json.loads(data.news(place))


@pytest.mark.parametrize("asked", [0.02, "1/week"])
def test_what_came_beside_what_was_asked_is_what_a_replay_counts(asked):
    fleet = Fleet(Settings(channels=["level"], false_alarms=asked))
    fleet.series(["a", "b"])
    came, tally = Came(), Tally(fleet.settings)
    for batch in batches(9000, size=500):
        found = fleet.process(batch)
        came.add(batch, found)
        tally.add(batch, found)
    counts = came.counts()
    for code in range(2):
        theirs = tally.series(code)
        assert counts[SURE, code] == theirs.statuses[CALIBRATED]
        assert counts[DETECTIONS, code] == theirs.alarms[CALIBRATED] > 0
        assert counts[ALERTS, code] == theirs.counters[kernel.SURE_ALERTS]
    steps = np.array([fleet.typical_step_ns(code) for code in range(2)])
    alarms = came_of(counts, fleet.settings, steps)
    assert alarms.counts == ("events" if asked == "1/week" else "records")
    per_record = 1 / (7 * 24) if asked == "1/week" else 0.02
    assert alarms.expected == pytest.approx(per_record * alarms.calibrated)


def test_a_threshold_is_tried_out_on_all_that_is_kept(world):
    fleet, feed, data, _ = world
    for batch in batches(4000, size=500):
        feed.records(batch, fleet.process(batch), np.ones(len(batch), np.bool_))
    told = json.loads(data.threshold(0))
    one, every = np.array(told["one"]), np.array(told["all"])
    assert told["timed"] and told["n"] == 2 and (np.diff(one) <= 1e-12).all()
    assert (every >= one).all() and one[0] > one[20] > 0.0
    assert json.loads(data.line(3.0, None)) == {"line": "false_alarms = 1e-3", "false_alarms": 1e-3}


def posted(port, body, **headers):
    """What a page gets for an application: the code and the text."""
    url, here = f"http://127.0.0.1:{port}/apply", f"http://127.0.0.1:{port}"
    named = {"Content-Type": "application/json", "Origin": here, **headers}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, named), timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_a_rate_is_applied_by_who_may_speak_and_what_is_none_is_refused_with_words(world, tmp_path):
    _, feed, data, _ = world
    routes = LiveRoutes(data, Access("127.0.0.1", TOKEN))
    server = HealthServer("127.0.0.1:0", CollectorRegistry(), lambda: "", lambda: "", routes)
    known = {"Authorization": f"Bearer {TOKEN}"}
    try:
        other = {"Origin": "http://evil.example", **known}
        assert posted(server.port, b'{"false_alarms": "2/day"}')[0] == 401
        assert posted(server.port, b'{"false_alarms": "2/day"}', **other)[0] == 403
        code, said = posted(server.port, b'{"false_alarms": "often"}', **known)
        assert code == 409 and "give a budget such as '1/week'" in said
        for body in (b'{"false_alarms": null}', b'{"false_alarms": [1]}', b'{"rate": 1}', b"false_alarms"):
            assert posted(server.port, body, **known)[0] == 400
        assert posted(server.port, b"{}", **known)[0] == 409
        assert posted(server.port, b'{"false_alarms": "2/day"}', **known) == (200, '{"asked":"2/day"}')
        assert posted(server.port, b'{"false_alarms": 1e-4}', **known) == (200, '{"asked":"0.0001"}')
    finally:
        server.close()
    with Store(tmp_path / "state.db", readonly=True) as store:
        assert [one.body for one in store.requests()] == [{"false_alarms": "2/day"}, {"false_alarms": 1e-4}]
    assert json.loads(data.news(Place()))["asked"] == "0.02"
    feed.coding.fleet.retune(false_alarms="2/day")
    assert json.loads(data.news(Place()))["asked"] == "2/day"
