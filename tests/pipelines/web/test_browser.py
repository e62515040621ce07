"""Reports in a real browser, without a network; the fixture fails on every complaint of the console."""

from __future__ import annotations

import re
import time

import numpy as np
import pandas as pd
import pytest

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>"


def x_range(page):
    """What stretch of x the charts show."""
    return page.evaluate("[Drawing.model('x').start, Drawing.model('x').end]")


def settled(page):
    """Wait until what was asked for is drawn."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def said(page, name):
    """What stands beside a name at the cursor."""
    return page.locator(f"#cursor dt:text-is('{name}') + dd").inner_text()


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    """A hundred series of two channels as a file, one of them with a burst."""
    rng = np.random.default_rng(3)
    n, names = 300, [f"pump-{code:03d}" for code in range(100)]
    values = rng.normal(size=(n, 100, 2)) * 0.1 + np.array([20.0, 5.0])
    values[250:254, 42, 0] += 8.0
    values[:, :, 0] += np.sin(np.arange(n) / 20)[:, None]
    times = np.repeat(pd.date_range("2026-03-01", periods=n, freq="10min", tz="UTC"), 100)
    flat = values.reshape(-1, 2)
    path = tmp_path_factory.mktemp("fleet") / "fleet.csv"
    table = {"time": times, "pump": names * n, "temp": flat[:, 0], "flow": flat[:, 1]}
    pd.DataFrame(table).to_csv(path, index=False)
    return path


def test_the_demo_shows_its_events_and_a_click_on_one_goes_there(tab, demo_report):
    page = tab.open(demo_report)
    assert page.title() == "water-flow.csv: streamrnn report"
    buttons = page.locator("#events [data-event]")
    assert buttons.count() == 7
    before = x_range(page)
    buttons.nth(3).click()
    settled(page)
    start, end = x_range(page)
    assert before[0] < start < 1_651_064_400_000 < end < before[1]  # 2022-04-27 13:00 UTC
    assert said(page, "time").startswith("2022-04-2")
    assert float(said(page, "surprise").split()[0]) > 4.5
    assert page.locator("#events tr.chosen").count() == 1
    assert page.locator("#shares tbody tr").inner_text().split()[-1] == "100%"


def test_a_reader_without_a_mouse_gets_everywhere(tab, demo_report):
    page = tab.open(demo_report)
    whole = x_range(page)
    page.locator("#charts").focus()
    page.keyboard.press("Home")
    page.keyboard.press("n")
    settled(page)
    zoomed = x_range(page)
    assert zoomed[1] - zoomed[0] < 0.5 * (whole[1] - whole[0])
    heard = page.locator("#cursor-said").inner_text()
    assert re.match(r"2022-\d\d-\d\d .* UTC: actual .*, expected .*, surprise ", heard)
    page.keyboard.press("ArrowRight")
    assert page.locator("#cursor-said").inner_text() != heard
    page.keyboard.press("+")
    settled(page)
    closer = x_range(page)
    assert closer[1] - closer[0] == pytest.approx(0.5 * (zoomed[1] - zoomed[0]), rel=0.01)
    page.keyboard.press("0")
    settled(page)
    assert x_range(page) == whole


def test_dragging_over_the_chart_zooms_and_the_values_fill_it(tab, demo_report):
    page = tab.open(demo_report)
    whole, low = x_range(page), page.evaluate("Drawing.model('y_value').start")
    box = page.locator("#charts").bounding_box()
    y = box["y"] + 100
    page.mouse.move(box["x"] + 0.4 * box["width"], y)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.5 * box["width"], y, steps=5)
    page.mouse.up()
    settled(page)
    start, end = x_range(page)
    assert (end - start) / (whole[1] - whole[0]) == pytest.approx(0.11, abs=0.03)
    assert page.evaluate("Drawing.model('y_value').start") > low + 50  # only high values are in there
    page.get_by_role("button", name="Whole run").click()
    settled(page)
    assert x_range(page) == whole


def test_a_link_shows_what_its_sender_saw(tab, report, fleet):
    path = report(fleet)
    page = tab.open(path)
    page.locator("#series").select_option(label="pump-007")
    page.locator("#channel").select_option(label="flow")
    page.get_by_role("button", name="Zoom in").click()
    page.get_by_role("button", name="Dark theme").click()
    page.wait_for_url(re.compile("from=.*theme=dark"))
    other = tab.open(path, "#" + page.url.partition("#")[2])
    settled(other)
    assert x_range(other) == x_range(page)
    assert other.locator("#shown").inner_text() == "pump-007: flow"
    assert other.locator("html").get_attribute("data-theme") == "dark"


@pytest.mark.parametrize(
    "fragment", ["#series=999&channel=7&from=a&to=b", "#series=x", "#%3Cscript%3E&theme=loud"]
)
def test_an_address_that_makes_no_sense_shows_the_beginning(tab, demo_report, fragment):
    page = tab.open(demo_report, fragment)
    assert page.locator("#shown").inner_text() == "Water flow [l/s]"


def test_a_fleet_of_a_hundred_opens_at_its_worst_series_and_any_other_can_be_chosen(tab, report, fleet):
    page = tab.open(report(fleet))
    assert page.locator("#shown").inner_text() == "pump-042: temp"
    assert page.locator("#series option").count() == 100
    strip = page.locator("#heat").bounding_box()
    # The second row of the strip, which is ordered by alerts: another series.
    page.mouse.click(strip["x"] + strip["width"] / 2, strip["y"] + 12)
    second = page.locator("#series option").nth(1).inner_text()
    page.locator("#shown", has_text=second).wait_for()
    page.locator("#series").select_option(label="pump-042")
    page.locator("#events [data-event]").first.click()
    assert page.locator("#shares tbody th").first.inner_text() == "temp"
    assert page.locator("#shares tbody tr").count() == 2


def test_hostile_names_are_shown_as_they_are_and_do_nothing(tab, report, tmp_path, frame):
    hostile = frame.rename(columns={"a": f"a{HOSTILE}", "b": "$$\\frac{1}{0}$$"})
    hostile["site"] = [HOSTILE, "'\"><b onclick=alert(3)>"] * 288
    file = tmp_path / "<img src=x onerror=alert(4)>.csv"
    hostile.to_csv(file, index=False)
    page = tab.open(report(file, "--key", "site"))
    assert page.locator("h1").inner_text() == file.name
    assert HOSTILE in page.locator("#series").inner_text()
    assert page.evaluate("document.images.length") == 0
    page.locator("#charts").hover()
    assert page.locator("#shares tbody").inner_text().startswith("a<script>")


def test_both_themes_colour_page_and_figures_and_the_system_decides_at_first(tab, demo_report):
    page = tab.open(demo_report)
    colours = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.wait_for_selector(f"html[data-theme={scheme}]")
        drawn = page.evaluate(
            "[...Drawing.model('value').renderers].map((one) => one.glyph.line_color?.value).filter(Boolean)"
        )
        value = page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--value')")
        assert value in drawn
        colours.append((page.evaluate("getComputedStyle(document.body).backgroundColor"), value))
    assert all(light != dark for light, dark in zip(*colours, strict=True))


def test_on_a_phone_nothing_reaches_past_the_edge(tab, report, fleet):
    page = tab.open(report(fleet))
    page.set_viewport_size({"width": 360, "height": 740})
    settled(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_what_has_no_calibrated_record_or_but_one_record_opens_too(tab, report, tmp_path, frame):
    for rows in (1, 200):
        file = tmp_path / f"short{rows}.csv"
        frame.head(rows).to_csv(file, index=False)
        page = tab.open(report(file, name=f"{rows}.html"))
        assert page.locator("#shares tbody tr").count() == 2


def test_of_a_long_run_an_event_is_shown_record_by_record(tab, report, tmp_path):
    n = 20_000
    values = np.sin(np.arange(n) / 50) + np.random.default_rng(1).normal(size=n) * 0.05
    values[15_000:15_004] += 4.0
    file = tmp_path / "long.csv"
    times = pd.date_range("2026-01-01", periods=n, freq="1min", tz="UTC")
    pd.DataFrame({"time": times, "level": values}).to_csv(file, index=False)
    page = tab.open(report(file))
    assert page.locator("#thinned").inner_text().startswith("Each place stands for 4 records")
    row = page.locator("#events tr", has_text="2026-01-11 10:00").first
    row.get_by_role("button").click()
    page.locator("#shown", has_text="close-up of event").wait_for()
    assert said(page, "record") == "15,000"
    settled(page)
    page.wait_for_url(re.compile("close="))
    other = tab.open(tmp_path / "report.html", "#" + page.url.partition("#")[2])
    settled(other)
    assert x_range(other) == x_range(page)
    page.get_by_role("button", name="Whole run").click()
    settled(page)
    start, end = x_range(page)
    assert (end - start) / 60_000 == pytest.approx(n, rel=0.001)
    page.get_by_role("button", name="Next event").click()
    assert page.locator("#events tr.chosen").count() == 1


@pytest.mark.soak
@pytest.mark.parametrize("series", [1, 100])
def test_a_million_points_stay_fluid(tab, report, tmp_path, series):
    n = 1_000_000 // series
    rng = np.random.default_rng(0)
    columns = {"time": np.repeat(pd.date_range("2026-01-01", periods=n, freq="1min", tz="UTC"), series)}
    columns |= {"key": [f"s{code}" for code in range(series)] * n} if series > 1 else {}
    columns["value"] = np.sin(np.arange(n * series) / 5000) + rng.normal(size=n * series)
    file = tmp_path / "million.csv"
    pd.DataFrame(columns).to_csv(file, index=False)
    path = report(file)
    assert path.stat().st_size < 25_000_000
    began = time.perf_counter()
    page = tab.open(path)
    assert time.perf_counter() - began < 15.0
    page.locator("#charts").focus()
    began = time.perf_counter()
    for key in ("+", "+", "PageDown", "PageDown", "-", "PageUp", "0", "n", "p", "0"):
        page.keyboard.press(key)
        settled(page)
    assert (time.perf_counter() - began) / 10 < 0.5
    if series > 1:
        began = time.perf_counter()
        page.locator("#series").select_option(index=57)
        settled(page)
        assert time.perf_counter() - began < 2.0
