from __future__ import annotations

import sys

import numpy as np
import pytest

from streamrnn.errors import SettingsError
from streamrnn.kernels.plan import NO_TIME
from streamrnn.pipelines import kept as kept_module
from streamrnn.pipelines.kept import KeptRows
from streamrnn.pipelines.plot import Mark, draw, save
from streamrnn.pipelines.tally import Tally
from streamrnn.pipelines.view import interrupted, limits, view_of
from streamrnn.settings import Settings

HOUR = 3_600_000_000_000
HOSTILE = "$\\frac{1}{0}$ _$x^2$ <b>\x1b[31m\n"


@pytest.fixture
def picture(tmp_path, batch_of, results_of):
    """Draws and saves values (n, channels) with whatever results; returns the figure."""

    def maker(
        values,
        *,
        names=None,
        times=None,
        series=0,
        title="t.csv",
        marks=(),
        keys=("",),
        suffix="png",
        **columns,
    ):
        values = np.asarray(values, float)
        n, channels = values.shape
        batch = batch_of(values)
        batch.series[:] = series
        if times is not None:
            batch.times[:] = times
        names = names or tuple(f"c{d}" for d in range(channels))
        kept, tally = KeptRows(names), Tally(Settings(channels=names))
        results = results_of(n, channels, **columns)
        for watcher in (kept, tally):
            watcher.add(batch, results)
        tally.events.finish()
        events = tally.events.strongest()
        figure = draw(kept, events, title=title, n_events=len(events), coverage=0.95, marks=marks, keys=keys)
        save(figure, tmp_path / f"p.{suffix}")
        return figure

    return maker


def texts(figure):
    from matplotlib.text import Text

    return [text.get_text() for text in figure.findobj(Text)]


def odd_columns(n):
    """Results with two events, and each status."""
    i = np.arange(n)
    opened = np.isin(i, [n // 4, n // 2])
    return {
        "surprise": np.where(i == n // 2, 5.0, np.linspace(0, 1, n)),
        "is_anomaly": i == n // 2,
        "alert_strength": np.where(opened, 0.61, 0.0),
        "event_offset": np.where(opened, i, -1),
        "event_partition": np.where(opened, 0, -1).astype(np.int32),
        "status": (i * 6 // n).astype(np.int8),
    }


@pytest.mark.parametrize("channels", [1, 2, 8, 11])
def test_there_is_a_panel_for_each_channel_up_to_eight_and_the_rest_is_named(picture, channels):
    rng = np.random.default_rng(0)
    figure = picture(rng.normal(size=(60, channels)), **odd_columns(60))
    assert len(figure.axes) == min(channels, 8) + 2
    assert any("not shown: 3 channels (c8, c9, c10)" in text for text in texts(figure)) == (channels == 11)
    assert not any("series" in text for text in texts(figure))
    assert "0.61" in texts(figure)


@pytest.mark.parametrize(
    "values",
    [[1.0], [np.nan], [np.nan] * 30, [5.0] * 30, [1e99, -1e99] * 20, [1e300] * 5, [0.0] * 40 + [1e-300]],
    ids=["one", "missing", "all missing", "constant", "huge", "unusable", "tiny"],
)
def test_any_series_can_be_drawn(picture, values):
    picture(np.reshape(values, (-1, 1)))


def test_results_that_are_all_missing_can_be_drawn(picture):
    nothing = np.full(20, np.nan)
    wide = nothing[:, None]
    picture(
        np.ones((20, 1)),
        surprise=nothing,
        level=nothing,
        yhat=wide,
        yhat_lower=wide,
        yhat_upper=wide,
        status=np.zeros(20, np.int8),
    )


def test_series_without_times_are_drawn_over_their_records(picture):
    figure = picture(np.ones((30, 1)), times=NO_TIME, **odd_columns(30))
    assert figure.axes[-1].get_xlabel() == "record"
    assert figure.axes[-1].get_xlim() == (-0.5, 19.5)  # late records and duplicates are not drawn


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_text_from_files_is_never_a_formula_and_never_raw(picture, suffix):
    figure = picture(
        np.ones((30, 2)),
        names=(HOSTILE, "b"),
        title=HOSTILE,
        marks=[Mark(HOSTILE, 0, HOUR)],
        keys=[HOSTILE],
        suffix=suffix,
    )
    hostile = [text for text in texts(figure) if "frac" in text]
    assert len(hostile) == 3
    assert all("\x1b" not in text for text in hostile)


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_letters_that_the_font_lacks_are_no_error(picture, suffix):
    picture(np.ones((30, 1)), names=("流量",), title="水流量.csv", keys=["ポンプ"], suffix=suffix)


def test_a_picture_that_cannot_be_written_is_refused(picture, tmp_path):
    figure = picture(np.ones((3, 1)))
    with pytest.raises(SettingsError, match="cannot write"):
        save(figure, tmp_path / "none" / "p.png")


def test_lines_stop_where_records_are_missing(batch_of, results_of):
    kept = KeptRows(("a",))
    batch = batch_of(np.arange(10.0))
    batch.times[5:] += 20 * HOUR
    kept.add(batch, results_of(10))
    view = view_of(kept.series(0))
    _, values = interrupted(view, kept.series(0).channel(0)[0])
    assert np.flatnonzero(np.isnan(values)).tolist() == [5]
    assert len(values) == 11


def test_one_wild_value_does_not_squash_the_others():
    values = np.append(np.linspace(0, 1, 1000), 1e6)
    low, high = limits(values)
    assert -3 < low < 0
    assert 1 < high < 4
    low, high = limits(np.append(np.linspace(0, 1, 1000), 20.0))
    assert high > 20


def test_of_many_channels_those_with_the_largest_shares_in_events_are_drawn(picture):
    share = np.full((60, 38), 0.01)
    share[:, [5, 20, 37]] = [0.2, 0.3, 0.4]
    figure = picture(np.ones((60, 38)), share=share, **odd_columns(60))
    drawn = [ax.get_ylabel() for ax in figure.axes[:8]]
    assert drawn == ["c0", "c1", "c2", "c3", "c4", "c5", "c20", "c37"]


def test_of_many_series_the_one_with_the_strongest_event_is_drawn(picture):
    n = 90
    series = np.arange(n) % 3
    columns = odd_columns(n)
    columns["alert_strength"] = np.where(np.arange(n) == n // 2 + 1, 0.9, 0.0)  # of series 1
    columns["event_offset"] = np.where(columns["alert_strength"] > 0, n // 2 + 1, -1)
    columns["event_partition"] = np.where(columns["alert_strength"] > 0, 0, -1).astype(np.int32)
    columns["status"] = np.full(n, 2, np.int8)
    values = np.column_stack([series * 100.0 + np.arange(n) / n])
    figure = picture(values, series=series, keys=["left", "mid\x1b", "right"], **columns)
    assert any("series mid\\x1b, that of the strongest event of 3" in text for text in texts(figure))
    line = figure.axes[0].lines[1].get_ydata()
    assert 100 <= np.nanmin(line) <= np.nanmax(line) <= 101
    assert "0.90" in texts(figure)


def test_a_thinned_picture_shows_every_extreme_and_says_so(picture):
    n = 40_000
    values = np.sin(np.arange(n) / 50.0)
    values[[12_345, 30_000]] = [3.0, -3.0]
    surprise = np.where(np.arange(n) % 8 == 1, 1.0, 0.0)  # the extremes are not what surprises
    figure = picture(values[:, None], surprise=surprise)
    line = figure.axes[0].lines[1].get_ydata()
    assert len(line) < 20_000
    assert (line.max(), line.min()) == (3.0, -3.0)
    # every row holds its records' range: nothing is an average
    assert set(line) <= set(values)
    note = "of every 8 records the range of values and the most surprising one"
    assert any(note in text for text in texts(figure))


def test_the_rows_of_many_series_stay_within_their_memory(batch_of, results_of):
    kept = KeptRows(("a",))
    for code in range(400):
        batch = batch_of(np.arange(3000.0))
        batch.series[:] = code
        kept.add(batch, results_of(3000))
    assert kept.n_series == 400
    assert 250 < kept.n_kept < 400
    assert kept._bins.whole.nbytes + kept._bins.numbers.nbytes < 33 * 2**20
    rows = kept.series(0)
    assert (rows.stride, len(rows)) == (4, 750)
    lowest, highest = rows.channel(0)[:2]
    assert (lowest.tolist(), highest.tolist()) == (list(range(0, 3000, 4)), list(range(3, 3000, 4)))


def test_a_picture_says_of_how_many_series_it_could_choose(picture, monkeypatch):
    monkeypatch.setattr(kept_module, "MOST_BINS", 8)
    monkeypatch.setattr(kept_module, "FEWEST_BINS", 8)
    monkeypatch.setattr(kept_module, "_ROOM", 2 * 8 * 13)
    place = np.arange(30)
    columns = {
        "alert_strength": np.where(place == 10, 0.9, 0.0),
        "event_offset": np.where(place == 10, 10, -1),
    }
    series = {"series": place % 3, "keys": ["a", "b", "c"]}
    figure = picture(np.ones((30, 1)), **series, **columns)
    note = "series b, that of the strongest event of the first 2 of 3"
    assert any(note in text for text in texts(figure))
    figure = picture(np.ones((30, 1)), **series)
    assert any("series a, the first of 3: there are no events" in text for text in texts(figure))


def test_no_display_is_needed(picture, monkeypatch):
    monkeypatch.delitem(sys.modules, "matplotlib.pyplot", raising=False)
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.setenv("MPLBACKEND", "tkagg")
    picture(np.ones((30, 1)))
    assert "matplotlib.pyplot" not in sys.modules
