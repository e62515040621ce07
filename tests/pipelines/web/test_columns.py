"""What the figures draw, before a browser sees it."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest

from streamrnn.connectors.base import Read
from streamrnn.pipelines.alarms import poisson_interval
from streamrnn.pipelines.kept import KeptRows
from streamrnn.pipelines.web.calibration import Calibration
from streamrnn.pipelines.web.columns import BREAK, columns_of
from streamrnn.pipelines.web.heat import heat_of
from streamrnn.pipelines.web.payload import for_script, packed, series_payload

HOUR_MS = 3_600_000.0


@pytest.fixture
def columns(batch_of, results_of):
    """Columns of values (n, channels) with whatever results."""

    def maker(values, *, gap_at=None, learns_anomalies=True, **found):
        values = np.asarray(values, float).reshape(len(values), -1)
        batch = batch_of(values)
        if gap_at is not None:
            batch.times[gap_at:] += int(50 * HOUR_MS * 1e6)
        kept = KeptRows(tuple("abc"[: values.shape[1]]))
        kept.add(batch, results_of(*values.shape, **found))
        return columns_of(kept.series(0), values.shape[1], learns_anomalies=learns_anomalies)

    return maker


def unpacked(packed_column):
    """A column as the page's script reads it."""
    data = np.frombuffer(base64.b64decode(packed_column["data"]), packed_column["type"])
    return data if packed_column["type"] == "u1" else data.astype(float) + packed_column["base"]


def test_lines_stop_at_a_gap_and_nowhere_else(columns):
    made = columns(np.arange(10.0), gap_at=6)
    assert np.flatnonzero(made.rows["status"] == BREAK).tolist() == [6]
    assert np.flatnonzero(np.isnan(made.channels[0]["low"])).tolist() == [6]
    assert np.diff(made.rows["x"]).max() == 51 * HOUR_MS
    assert made.step == HOUR_MS


def test_what_was_not_learned_from_is_told_apart(columns):
    hits = np.arange(6) == 2
    status = np.array([0, 1, 1, 2, 3, 2], np.int8)
    for learns, expected in ((True, [1, 1, 1, 1, 0, 1]), (False, [1, 1, 0, 1, 0, 1])):
        made = columns(np.arange(6.0), is_anomaly=hits, status=status, learns_anomalies=learns)
        assert made.rows["learned"].tolist() == expected


def test_shares_of_channels_are_those_of_the_most_surprising_record_of_a_row(columns):
    n = 16_384
    share = np.tile([0.5, 0.5], (n, 1))
    surprise = np.where(np.arange(n) % 2 == 1, 3.0, 0.1)
    share[1::2] = [0.9, 0.1]
    made = columns(np.zeros((n, 2)), share=share, surprise=surprise)
    assert made.stride == 2
    assert set(made.channels[0]["share"]) == {0.9} and set(made.channels[1]["share"]) == {0.1}


def test_every_extreme_of_a_million_records_is_in_the_page(columns):
    values = np.sin(np.arange(1_000_000) / 5000.0)
    values[[123_456, 654_321]] = [2.0, -2.0]
    payload = series_payload(columns(values))
    low, high = (unpacked(payload["channels"][0][name]) for name in ("low", "high"))
    assert len(low) <= 8192
    assert (low.min(), high.max()) == pytest.approx((-2.0, 2.0))
    assert len(json.dumps(payload)) < 800_000


@pytest.mark.parametrize(
    ("values", "tolerance"),
    [([1e9, 1e9 + 0.25, np.nan], 0.0), ([1e99, -1e99, 3.0], 0.0), ([0.1, 0.2, 0.3], 1e-8), ([], 0.0)],
)
def test_numbers_come_through_as_exactly_as_a_picture_needs(values, tolerance):
    column = np.array(values)
    assert np.allclose(unpacked(packed(column)), column, rtol=0.0, atol=tolerance, equal_nan=True)


def test_times_keep_every_digit():
    x = 1.7e12 + np.arange(5) * 0.001
    assert (unpacked(packed(x, exact=True)) == x).all()


@pytest.mark.parametrize("text", ["</script>", "<!--", "]]>", "\u2028", "a&b"])
def test_no_string_ends_the_script_that_holds_it(text):
    written = for_script({"text": text, "nothing": float("nan")})
    assert not {"<", ">", "&"} & set(written)
    assert json.loads(written) == {"text": text, "nothing": None}


def test_a_strip_has_the_largest_surprise_of_each_series_in_each_stretch(batch_of, results_of):
    kept = KeptRows(("a",))
    for code in (0, 1):
        batch = batch_of(np.zeros(480))
        batch.series[:] = code
        surprise = np.zeros(480)
        surprise[100 + code] = 5.0 + code
        surprise[:10] = np.nan
        kept.add(batch, results_of(480, surprise=surprise))
    heat = heat_of(kept, [1, 0])
    assert heat.codes == (1, 0) and heat.timed
    assert heat.cells.shape == (2, 240)
    assert np.flatnonzero(heat.cells[0] == 6.0).tolist() == [50]
    assert np.isnan(heat.cells[:, :5]).all() and not np.isnan(heat.cells[:, 5:]).any()
    assert (heat.start, heat.end) == (0.0, 480 * HOUR_MS)


def test_calibration_counts_normal_calibrated_records_alone(batch_of, results_of):
    p = np.array([1.0, 0.5, 0.1, 0.01, 0.001, 1e-9, 0.01, 0.01])
    status = np.array([2, 2, 2, 2, 2, 2, 1, 2], np.int8)
    labels = np.arange(8) == 7
    calibration = Calibration()
    batch = batch_of(np.zeros(8))
    calibration.add(
        Read(**vars(batch), columns={}, labels=labels), results_of(8, surprise=-np.log10(p), status=status)
    )
    levels = {round(level.level, 9): level for level in calibration.levels()}
    assert calibration.records == 6 and calibration.labelled
    assert [levels[at].realised for at in (1.0, 0.1, 0.01, 0.001, 0.0001)] == [6, 4, 3, 2, 1]
    assert levels[0.1].expected == pytest.approx(0.6)
    assert levels[0.1].ratio_high == pytest.approx(poisson_interval(4)[1] / 0.6)
