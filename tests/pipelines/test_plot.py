from __future__ import annotations

import numpy as np
import pytest

from streamrnn.errors import SettingsError
from streamrnn.kernels.plan import NO_TIME
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

    def maker(values, *, names=None, times=None, title="t.csv", marks=(), keys=("",), **columns):
        values = np.asarray(values, float)
        n, channels = values.shape
        batch = batch_of(values)
        if times is not None:
            batch.times[:] = times
        names = names or tuple(f"c{d}" for d in range(channels))
        kept, tally = KeptRows(names), Tally(Settings(channels=names))
        found = results_of(n, channels, **columns)
        for watcher in (kept, tally):
            watcher.add(batch, found)
        tally.events.finish()
        events = tally.events.strongest()
        figure = draw(kept, events, title=title, n_events=len(events), coverage=0.95, marks=marks, keys=keys)
        save(figure, tmp_path / "p.png")
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


def test_text_from_files_is_never_a_formula_and_never_raw(picture):
    figure = picture(np.ones((30, 2)), names=(HOSTILE, "b"), title=HOSTILE, marks=[Mark(HOSTILE, 0, HOUR)])
    hostile = [text for text in texts(figure) if "frac" in text]
    assert len(hostile) == 3
    assert all("\x1b" not in text for text in hostile)


def test_letters_that_the_font_lacks_are_no_error(picture):
    picture(np.ones((30, 1)), names=("流量",), title="水流量.csv")


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
