"""Saved state: what is not exactly what was saved is refused with words."""

from __future__ import annotations

import json
import zlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamrnn import Batch, Detector, Fleet, Settings, SettingsError, StateError
from streamrnn.kernels import plan
from streamrnn.scoring import alert, feedback, novelty
from streamrnn.state import _PREFIX, SavedState, _indices, decode, encode

# A network of the detector, and forecasters of two channels.
FORECASTERS = {
    "networks": ("gru", "diagonal_lstm:5", "ar:8"), "channels": ("a", "b"), "horizons": (1, 3),
}  # fmt: skip


def fleet_of(n_records=80, **changes):
    fleet = Fleet(Settings(hidden=4, **changes))
    fleet.series(["pump"])
    rng = np.random.default_rng(0)
    fleet.process(Batch.of_one_series(rng.normal(size=(n_records, len(fleet.settings.channels)))))
    return fleet


@pytest.fixture(scope="module")
def saved():
    return fleet_of().to_bytes()


def sealed(body):
    return body + zlib.crc32(body).to_bytes(4, "little")


@settings(max_examples=300)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_any_flipped_bit_is_noticed(saved, place, bit):
    damaged = bytearray(saved)
    damaged[int(place * len(saved))] ^= 1 << bit
    with pytest.raises(StateError):
        Fleet.from_bytes(bytes(damaged))


@settings(max_examples=100)
@given(place=st.floats(0, 1, exclude_max=True))
def test_any_cut_is_noticed(saved, place):
    with pytest.raises(StateError):
        Fleet.from_bytes(saved[: int(place * len(saved))])


@settings(max_examples=100)
@given(data=st.binary(max_size=200))
def test_foreign_bytes_are_refused(data):
    with pytest.raises(StateError, match="not a saved streamrnn state"):
        Fleet.from_bytes(data)


def test_a_newer_format_is_refused_with_what_to_do(saved):
    newer = bytearray(saved[:-4])
    newer[8] = 9
    with pytest.raises(StateError, match="format 9, this streamrnn reads formats up to 2"):
        Fleet.from_bytes(sealed(bytes(newer)))


@pytest.mark.parametrize("header", [b"[]", b"{}", b"{", b'{"settings":1,"keys":[],"row_bytes":0}', b"\xff"])
def test_a_header_that_makes_no_sense_is_refused_though_its_checksum_fits(header):
    with pytest.raises(StateError, match="header"):
        decode(sealed(_PREFIX.pack(b"strmrnn\n", 1, len(header)) + header))


@pytest.mark.parametrize(
    ("segment", "index", "value"),
    [
        ("network0.counters", plan.COUNT_SLOT, 17),
        ("network0.counters", plan.COUNT_SLOT, -1),
        ("network0.counters", plan.COUNT_FILLED, 2**40),
        ("network0.counters", plan.COUNT_SINCE, 99),
        ("network0.mask", 3, 2),
        ("counters", plan.STEP_SLOT, 1),
        ("seen", 0, -5),
        ("residuals", 0, -(2**63)),
        ("event", alert.HEAD, alert.LONGEST + 1),
        ("event", alert.HELD, -1),
        ("told_event", alert.HEAD, -1),
        ("told_event", alert.HELD, alert.LONGEST + 2),
        ("feedback", feedback.TEMPLATES, 9),
        ("feedback", feedback.EVENTS, -1),
        ("novelty", novelty.COUNT, 0x7FF8_0000_0000_0000),  # NaN
        ("pairs", novelty.PAIR_COUNT, 0x4090_0400_0000_0000),  # 1025.0
        ("context", novelty.COUNT, 0x7FF0_0000_0000_0000),  # infinity
    ],
)
def test_an_index_out_of_its_range_never_reaches_a_kernel(segment, index, value):
    fleet = fleet_of()
    fleet.layout.segment(fleet.row(0), segment, np.int64)[index] = value
    with pytest.raises(StateError, match="not from 0 to"):
        Fleet.from_bytes(fleet.to_bytes())


@pytest.mark.parametrize("group", [0, 1])
@pytest.mark.parametrize("d", [0, 1])
@pytest.mark.parametrize(
    ("part", "index", "value"),
    [
        ("counters", plan.COUNT_SLOT, 2),
        ("counters", plan.COUNT_SLOT, -1),
        ("counters", plan.COUNT_FILLED, 2**40),
        ("counters", plan.COUNT_SINCE, -(2**63)),
        ("mask", 1, 2),
    ],
)
def test_an_index_out_of_its_range_in_a_forecaster_never_reaches_a_kernel(d, group, part, index, value):
    fleet = fleet_of(**FORECASTERS)
    name = f"channel{d}.group{group}.{part}"
    fleet.layout.segment(fleet.row(0), name, np.int64)[index] = value
    with pytest.raises(StateError, match=f"series 0 has {name} = .*not from 0 to 1"):
        Fleet.from_bytes(fleet.to_bytes())


@pytest.mark.parametrize("changes", [{}, FORECASTERS], ids=["default", "forecasters"])
def test_random_rows_within_the_indices_are_processed_without_harm(changes):
    """Numbers may be anything at all, NaN and infinities included: results are wrong, memory is not."""
    fleet = fleet_of(**changes)
    rng = np.random.default_rng(2)
    for name, (offset, count) in fleet.layout.row.segments.items():
        if "counters" in name or "mask" in name or name in ("seen", "residuals", "event", "told_event"):
            continue
        fleet.row(0)[offset : offset + 4 * count] = rng.integers(0, 256, 4 * count)
    for name, index, _, dtype in _indices(fleet.layout):
        if name in ("novelty", "pairs", "context"):  # the last two of one channel only
            fleet.layout.segment(fleet.row(0), name, dtype)[index] = 7
    fleet.layout.segment(fleet.row(0), "feedback", np.int64)[[feedback.TEMPLATES, feedback.EVENTS]] = 5, 99
    loaded = Fleet.from_bytes(fleet.to_bytes())
    values = rng.normal(size=(50, len(fleet.settings.channels)))
    assert len(loaded.process(Batch.of_one_series(values))) == 50


def test_rows_of_another_size_are_refused(saved):
    state = decode(saved)
    smaller = {**state.settings, "hidden": 2}
    larger_rows = np.concatenate([state.rows, state.rows], axis=1)
    with pytest.raises(StateError, match="its settings need"):
        Fleet.from_bytes(encode(SavedState(state.settings, state.keys, larger_rows, state.places)))
    with pytest.raises(StateError, match="its settings need"):
        Fleet.from_bytes(encode(SavedState(smaller, state.keys, state.rows, state.places)))


def test_an_unknown_setting_in_a_state_is_refused(saved):
    state = decode(saved)
    with pytest.raises(SettingsError, match="no setting 'hiden'; did you mean 'hidden'"):
        Fleet.from_bytes(encode(replace(state, settings={**state.settings, "hiden": 3})))


@pytest.mark.parametrize(
    ("name", "value"), [("hidden", 8), ("k2", 8), ("networks", ("gru",)), ("channels", ("x",))]
)
def test_a_structural_change_is_refused_with_both_values(saved, name, value):
    with pytest.raises(SettingsError, match=f"{name} is .*the saved state has"):
        Fleet.from_bytes(saved, **{name: value})


def test_a_tunable_change_keeps_the_state(saved):
    fleet = Fleet.from_bytes(saved, false_alarms="3/day", learning_rate=1e-4, coverage=0.8)
    assert fleet.settings.false_alarms == "3/day"
    np.testing.assert_array_equal(fleet.row(0), decode(saved).rows[0])


def test_the_same_state_gives_the_same_bytes_and_keeps_its_keys():
    fleet = fleet_of()
    fleet.series(["a", "ü", "</script>"])
    again = Fleet.from_bytes(fleet.to_bytes())
    assert again.to_bytes() == fleet.to_bytes()
    assert again.keys == ["pump", "a", "ü", "</script>"]
    assert json.loads(json.dumps(again.settings.to_dict())) == again.settings.to_dict()


def test_a_detector_that_saw_nothing_can_be_saved():
    detector = Detector(name="tank", false_alarms=1e-4)
    again = Detector.from_bytes(detector.to_bytes())
    assert again.name == "tank"
    assert again.settings == detector.settings
    assert again.process_one({"level": 3.0}).channels.keys() == {"level"}
