"""With several channels an event names first the one that the fault is in."""

from __future__ import annotations

import numpy as np
import pytest
from made_faults import AT, DAY, STEP_NS, stream, with_fault

from streamrnn import Batch, Fleet, Settings

NAMES = ("wave", "smooth wave", "noise")


def found_in(values):
    times = 1_700_000_000 * 10**9 + STEP_NS * np.arange(len(values))
    fleet = Fleet(Settings(channels=("a", "b", "c"), networks=("none",)))
    return fleet.process(Batch.of_one_series(values, times))


def at_peak(found, last):
    """The shares of the record with the largest surprise from the fault on."""
    surprise = np.nan_to_num(found.surprise[AT:last], nan=-1.0)
    assert surprise.max() > 2.5
    return found.share[AT + int(np.argmax(surprise))]


@pytest.mark.parametrize("channel", range(3))
@pytest.mark.parametrize(
    ("fault", "last"),
    [
        ("spike", AT + 20),
        ("dip", AT + 20),
        ("stuck for a day", AT + DAY),
        ("step", AT + 100),
        ("doubled deviation", AT + 300),
    ],
)
def test_the_channel_with_the_fault_has_most_of_the_evidence(fault, last, channel):
    values = np.stack([stream(name, seed) for seed, name in enumerate(NAMES)], axis=1)
    values[:, channel] = with_fault(fault, values[:, channel], channel, NAMES[channel])
    share = at_peak(found_in(np.round(values, 2)), last)
    assert share[channel] >= 0.7
    assert share.sum() == pytest.approx(1.0)


def test_a_channel_that_breaks_from_another_is_named_though_its_values_are_usual():
    """What was always twice the other is not; each alone would pass for normal."""
    leader = stream("wave", 1)
    values = np.stack([leader, 2.0 * leader + stream("noise", 2, 0.1), stream("noise", 3)], axis=1)
    values[AT : AT + 200, 1] += 4.0
    share = at_peak(found_in(values), AT + 200)
    assert share[1] == share.max() and share[2] < 0.1


def test_a_missing_channel_has_no_share_and_channels_share_alike_where_nothing_is_odd():
    values = np.stack([stream(name, seed) for seed, name in enumerate(NAMES)], axis=1)
    values[AT:, 2] = np.nan
    share = found_in(values).share[AT:]
    assert (share[:, 2] == 0.0).all()
    np.testing.assert_allclose(share.sum(axis=1), 1.0)
    assert (share[:, 0] == 0.5).mean() > 0.1
