"""Results as columns, wide and long."""

from __future__ import annotations

import numpy as np
import pytest

from streamrnn import Batch, Fleet, Settings
from streamrnn.columns import long_columns, output_columns, record_ids, repeated

CHANNELS = ("flow", "level", "temp")


@pytest.fixture(scope="module")
def scored():
    """A stream of three channels with an event, scored: results, batch, settings."""
    settings = Settings(channels=CHANNELS, horizons=(1, 6), false_alarms=0.01)
    values = np.random.default_rng(4).normal(size=(600, 3))
    values[500:505] += 40.0
    values[7, 1] = np.nan
    batch = Batch.of_one_series(values)
    return Fleet(settings).process(batch), batch, settings


def test_long_rows_say_what_the_wide_ones_say_in_record_then_channel_order(scored):
    wide, long = output_columns(*scored, ["s"]), long_columns(*scored, ["s"])
    for d, channel in enumerate(CHANNELS):
        assert set(long["channel"][d::3]) == {channel}
        np.testing.assert_array_equal(long["value"][d::3], scored[1].values[:, d])
        for name in ("yhat", "yhat_lower", "yhat_upper", "yhat_h6", "yhat_h6_upper", "share"):
            np.testing.assert_array_equal(long[name][d::3], wide[f"{channel}.{name}"])
        for name in ("anomaly_score", "p_value", "is_anomaly", "status", "event_id", "record_id"):
            assert long[name][d::3].tolist() == pytest.approx(wide[name].tolist(), nan_ok=True), name


def test_long_columns_come_in_a_fixed_order_whatever_the_number_of_channels(scored):
    of_record = list(output_columns(*scored, ["s"]))[-8:]
    ahead = ["yhat_h6", "yhat_h6_lower", "yhat_h6_upper"]
    forecasts = ["yhat", "yhat_lower", "yhat_upper", *ahead]
    assert list(long_columns(*scored, ["s"])) == ["channel", "value", *forecasts, "share", *of_record]
    settings, batch = Settings(), Batch.of_one_series(np.zeros((3, 1)))
    one = list(long_columns(Fleet(settings).process(batch), batch, settings, ["s"]))
    assert one == ["channel", "value", *forecasts[:3], "share", *of_record]


def test_an_event_id_is_the_id_of_the_record_that_opened_it_and_none_outside(scored):
    columns = output_columns(*scored, ["s"])
    inside = [i is not None for i in columns["event_id"]]
    assert any(inside) and not all(inside)
    assert set(columns["event_id"][inside]) <= set(columns["record_id"])


def test_ids_tell_partitions_apart():
    batch = Batch(
        series=np.zeros(3, np.int32),
        times=np.zeros(3, np.int64),
        values=np.zeros((3, 1)),
        partitions=np.array([2, 0, 2], np.int32),
        offsets=np.array([7, 7, 8]),
    )
    assert record_ids(["topic-0", "topic-1", "topic-2"], batch).tolist() == [
        "topic-2-7",
        "topic-0-7",
        "topic-2-8",
    ]


def test_columns_of_any_kind_can_be_repeated():
    columns = repeated({"text": ("a", None), "x": np.array([1.5, np.nan]), "none": []}, 2)
    assert columns["text"].tolist() == ["a", "a", None, None]
    np.testing.assert_array_equal(columns["x"], [1.5, 1.5, np.nan, np.nan])
    assert columns["none"].tolist() == []
