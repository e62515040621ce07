"""Live pages of real daemons in a real browser; the fixture fails on every complaint of the console."""

from __future__ import annotations

import json
import re
import signal
import socket
import time
import urllib.error
import urllib.request

import numpy as np
import pytest
from daemons import Runner

from streamrnn.pipelines import demo
from streamrnn.pipelines.journal import FEEDBACK, RELOAD
from streamrnn.pipelines.store import Store

PageError = pytest.importorskip("playwright.sync_api").Error

PIPELINE = """
[source]
kind = "file"
path = "in.csv"
[checkpoint]
path = "state.db"
every = "200ms"
commit = "50ms"
[serve]
listen = "127.0.0.1:{port}"
page = true
"""
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>"
TOKEN = "correct horse battery"


# Where the chart of surprise is on the screen, without its axes.
FRAME = """() => {
  for (const root of Bokeh.index.roots) for (const one of root.child_views ?? []) {
    if (one.model.name !== "score") continue;
    const place = one.el.getBoundingClientRect(), { x, y, width, height } = one.frame.bbox;
    return { x: place.x + x, y: place.y + y, width, height };
  }
}"""


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


class Served(Runner):
    """A daemon with a live page, over a table that grows."""

    def __init__(self, folder, table, more=""):
        self.port = free_port()
        super().__init__(folder, PIPELINE.format(port=self.port) + more)
        (self.folder / "in.csv").write_text(table)
        self.process = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/"

    def up(self):
        """Start, and wait until all that there is has been read."""
        with (self.folder / "log").open("ab") as log:
            self.process = self.start(stderr=log)
        wanted = self.lines("in.csv") - 1
        self.wait_for(self.process, lambda: self.committed() >= wanted)
        return self

    def wait_for(self, process, condition, timeout_s=120.0):
        super().wait_for(process, condition, timeout_s)

    def committed(self):
        try:
            with Store(self.folder / "state.db", readonly=True) as store:
                return sum(store.committed()[0].values())
        except Exception:  # it is being made
            return 0

    def add(self, rows):
        with (self.folder / "in.csv").open("a") as file:
            file.write("".join(rows))

    def down(self, number=signal.SIGTERM):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(timeout=60)


@pytest.fixture
def served(tmp_path):
    """Starts daemons; stops what still runs."""
    made = []

    def start(table, more=""):
        folder = tmp_path / f"served{len(made)}"
        folder.mkdir()
        made.append(Served(folder, table, more))
        return made[-1].up()

    yield start
    for one in made:
        one.down()


def fleet_rows(start, n, series, seed=5):
    """Minutes of some pumps, of which the third has the same fault now and then."""
    rng = np.random.default_rng(seed)
    values = 20 + 0.3 * np.sin(np.arange(start, start + n) / 20)[:, None] + 0.1 * rng.normal(size=(n, series))
    for fault, size in ((450, 4.0), (520, 4.6), (590, 5.3)):  # they look the same
        if start <= fault < start + n:
            values[fault - start : fault - start + 4, 2] += size
    return [
        f"{1_700_000_000 + 60 * (start + t)},pump-{code:03d},{values[t, code]:.4f}\n"
        for t in range(n)
        for code in range(series)
    ]


FLEET = "ts,pump,temp\n"
RECORD = '[record]\ntime = "ts"\ntime_format = "s"\nkey = "pump"\n[detect]\nfalse_alarms = 1e-3\n'


def until(page, expression, argument=None, timeout_s=30.0):
    """Wait until something holds in a page, whose policy lets no test evaluate text in it later."""
    end = time.monotonic() + timeout_s
    while True:
        try:
            if page.evaluate(f"(argument) => {expression}", argument):
                return
        except PageError as error:  # it was between two pages
            if time.monotonic() > end:
                raise error
        assert time.monotonic() < end, f"it never came: {expression}"
        time.sleep(0.05)


def events_listed(page, n):
    """Wait until so many events are listed."""
    until(page, f"document.querySelectorAll('#events tbody tr').length >= {n}")


def test_the_demo_shows_its_events_and_lets_its_threshold_be_dragged(served, live_tab):
    one = served(demo.demo_file().read_text(), "[model]\nseed = 0\n")
    page = live_tab.visit(one.url)
    events_listed(page, 4)
    assert page.locator("#events tr.alert").count() == 1
    assert page.locator("#tiles li").count() == 7
    assert "1,268 records" in page.locator("#tiles").inner_text()
    page.locator("#events tr.alert [data-event]").click()
    page.wait_for_url(re.compile("from="))
    start, end = page.evaluate("[Drawing.model('x').start, Drawing.model('x').end]")
    assert start < 1_651_064_400_000 < end and end - start < 15 * 86_400_000  # 2022-04-27 13:00 UTC
    frame = page.evaluate(FRAME)
    low, high = page.evaluate("[Drawing.model('y_score').start, Drawing.model('y_score').end]")
    before = page.evaluate("Drawing.model('preview').location")
    x, y = frame["x"] + frame["width"] / 3, frame["y"] + frame["height"] * (high - before) / (high - low)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x, y - 40, steps=5)
    page.mouse.up()
    page.locator("#preview-said", has_text="events a day").wait_for()
    page.locator("#preview-line").wait_for()
    assert page.evaluate("Drawing.model('preview').location") > before + 0.5
    assert re.fullmatch(r'false_alarms = "[\d.]+/week"', page.locator("#preview-toml").inner_text())
    page.locator("#threshold").focus()
    heard = page.locator("#preview-said").inner_text()
    page.keyboard.press("ArrowRight")
    until(page, "document.querySelector('#preview-said').textContent !== argument", heard)
    # What is shown is applied with the keyboard, and holds from the next record on.
    until(page, "!document.querySelector('#apply').disabled")
    rate = page.locator("#preview-toml").inner_text().split('"')[1]
    before = page.evaluate("Store.rows({ series: 0, whole: null }).rows.threshold.at(-1)")
    page.locator("#apply").press("Enter")
    page.locator("#apply-said", has_text=f"false_alarms = {rate} is asked for").wait_for()
    one.wait_for(one.process, lambda: journal_kinds(one) == [RELOAD])
    assert "1/week asked" in page.locator("#tiles").inner_text()
    one.add([f"2022-05-17T{hour:02d}:00:00+02:00,104.{hour}\n" for hour in range(4)])
    page.locator("#apply-said", has_text=f"false_alarms = {rate} holds now").wait_for()
    assert page.locator("#asked").inner_text() == rate
    page.locator("#tiles", has_text=f"{rate} asked").wait_for()
    until(page, "Store.rows({ series: 0, whole: null }).rows.threshold.at(-1) !== argument", before)
    page.get_by_role("button", name="Hide the line").click()
    assert not page.evaluate("Drawing.model('preview').visible")


def test_a_fleet_of_a_hundred_is_followed_told_and_found_again_after_a_restart(served, live_tab):
    one = served(FLEET + "".join(fleet_rows(0, 650, 100)), RECORD)
    page = live_tab.visit(one.url)
    assert page.locator("#series option").count() == 100
    page.locator("#heat canvas").first.wait_for()
    page.locator("#series").select_option(label="pump-002")
    page.locator("#shown", has_text="pump-002: temp").wait_for()
    # What is new comes by itself.
    last = page.evaluate("Store.rows({ series: 2, whole: null }).rows.x.at(-1)")
    one.add(fleet_rows(650, 10, 100))
    until(page, "Store.rows({ series: 2, whole: null }).rows.x.at(-1) === argument + 600000", last)
    # A word on an event: what it would have hidden is said first, and the list shows it.
    faults = page.locator("#events tbody tr", has_text="pump-002").filter(has_text="2023-11-15 0")
    faults.first.locator("[data-say=not-an-anomaly]").click()
    page.locator("#ask[open]").wait_for()
    assert re.search(r"would have hidden [12] other alert", page.locator("#ask-text").inner_text())
    page.get_by_role("button", name="Yes").click()
    page.locator("#events tr.hushed", has_text="looks like one that is no anomaly").first.wait_for()
    assert page.locator("#events b", has_text="not an anomaly").count() == 1
    one.add(fleet_rows(660, 10, 100))
    one.wait_for(one.process, lambda: FEEDBACK in journal_kinds(one))
    # The daemon goes and comes back: the page finds it by itself, with series, words and the new rows.
    live_tab.forgiven = ("ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_CONNECTION_RESET")
    run = page.evaluate("Store.page.run")
    one.down(signal.SIGKILL)
    page.locator("#link", has_text="is away").wait_for()
    one.add(fleet_rows(670, 30, 100))
    one.up()
    until(page, "Store.page.run !== argument && document.documentElement.dataset.ready === 'yes'", run)
    page.locator("#link", has_text="Live").wait_for()
    assert page.locator("#shown").inner_text() == "pump-002: temp"
    until(page, "Store.rows({ series: 2, whole: null }).rows.x.length >= 30")
    page.locator("#events b", has_text="not an anomaly").wait_for()


def journal_kinds(one):
    with Store(one.folder / "state.db", readonly=True) as store:
        return [entry.kind for entry in store.journal()]


def asks(url, path, *, data=None, **headers):
    """What a request gets: the code and the answer's headers."""
    body = None if data is None else json.dumps(data).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        with urllib.request.urlopen(urllib.request.Request(url + path, body, named), timeout=20) as answer:
            return answer.status, dict(answer.headers)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code, dict(error.headers)


def test_hostile_names_do_nothing_and_a_token_keeps_strangers_out(served, live_tab):
    rows = "".join(f"{1_700_000_000 + 60 * t},{HOSTILE},{t % 7}\n" for t in range(300))
    one = served(f"ts,pump,a{HOSTILE}\n{rows}", f'token = "{TOKEN}"\n{RECORD}')
    for path in ("page", "series?series=0", "stream", "heat", "threshold?series=0"):
        assert asks(one.url, path)[0] == 401
        assert asks(one.url, path, Host="evil.example", Authorization=f"Bearer {TOKEN}")[0] == 403
        assert asks(one.url, path, Origin="http://evil.example", Authorization=f"Bearer {TOKEN}")[0] == 403
    assert asks(one.url, "page", Authorization=f"Bearer {TOKEN}")[0] == 200
    said, origin = {"verb": "confirm", "event": "x"}, one.url.rstrip("/")
    known = {"Authorization": f"Bearer {TOKEN}", "Content_Type": "application/json"}
    assert asks(one.url, "say", data=said, **known)[0] == 403  # no Origin
    assert asks(one.url, "say", data=said, Origin="http://evil.example", **known)[0] == 403
    plain = {**known, "Content_Type": "text/plain"}  # what a form of another site could send
    assert asks(one.url, "say", data=said, Origin=origin, **plain)[0] == 403
    assert asks(one.url, "say", data=said, Origin=origin, Content_Type="application/json")[0] == 401
    assert asks(one.url, "say", data=said, Origin=origin, **known)[0] == 409  # there is no such event
    code, headers = asks(one.url, "")
    assert code == 401 and "'unsafe-inline'" not in headers["Content-Security-Policy"].split("style-src")[0]
    assert headers["X-Frame-Options"] == "DENY" and headers["Cache-Control"] == "no-store"

    live_tab.forgiven = ("401",)
    page = live_tab.visit(one.url, "#token")
    page.locator("#token").fill("not the token")
    page.keyboard.press("Enter")
    page.locator("#said", has_text="not the token").wait_for()
    page.locator("#token").fill(TOKEN)
    page.keyboard.press("Enter")
    page.wait_for_selector("html[data-ready=yes]")
    assert page.locator("#shown").inner_text().startswith(f"a{HOSTILE[:30]}")
    assert HOSTILE in page.locator("#series").inner_text()
    assert page.evaluate("document.images.length") == 0
    assert TOKEN not in page.content() and TOKEN not in page.url
    page.set_viewport_size({"width": 360, "height": 740})
    until(page, "document.documentElement.scrollWidth <= 360")


def test_a_page_without_a_token_is_not_served_to_the_network(tmp_path):
    one = Served(tmp_path, FLEET)
    (one.folder / "p.toml").write_text(PIPELINE.format(port=0).replace("127.0.0.1", "0.0.0.0"))
    one.process = one.start()
    try:
        _, err = one.process.communicate(timeout=60)
    finally:
        one.down(signal.SIGKILL)
    assert one.process.returncode == 2 and b"would be open to whoever reaches it" in err


@pytest.mark.soak
def test_a_million_records_stay_fluid(served, live_tab):
    n = 10_000
    rows = fleet_rows(0, n, 100)
    one = served(FLEET + "".join(rows), RECORD)
    page = live_tab.visit(one.url)
    page.locator("#span").select_option("1")
    series = int(page.locator("#series").input_value())
    until(page, "Store.rows({ series: argument, whole: 1 })?.stride > 1", series)
    one.add(fleet_rows(n, 100, 100))
    total = f"{(n + 100) * 100:,} records"
    until(page, "document.querySelector('#tiles').textContent.includes(argument)", total)
