"""Fleets: what they hold in memory, what they spill and forget, and that none of it changes a bit."""

from __future__ import annotations

import numpy as np
import pytest
from fleets import SECOND, SETTINGS, DictSpill, assert_same, records, run, some
from hypothesis import given, settings
from hypothesis import strategies as st

from streamrnn import Batch, DataError, Fleet, SettingsError, StateError
from streamrnn.kernels.plan import CALL_SERIES
from streamrnn.slab import Slab
from streamrnn.space import aligned_bytes
from streamrnn.spill import Keeping

ROW = Fleet.bytes_per_series(SETTINGS)
HOUR = 3600 * SECOND


def fleet_of(n_series, keeping=None):
    fleet = Fleet(SETTINGS, keeping)
    fleet.series(f"s{code}" for code in range(n_series))
    return fleet


def within(n_rows, **options):
    return Keeping(n_rows * ROW, DictSpill(), **options)


# ---------------------------------------------------------------- memory


def test_a_slab_grows_without_moving_a_row_and_uses_freed_rows_again():
    slab = Slab(64)
    places = [slab.take() for _ in range(100)]
    rows = [slab.row(place) for place in places]
    for i, row in enumerate(rows):
        row[:] = i
    more = [slab.take() for _ in range(1000)]
    assert len({*places, *more}) == 1100 and slab.used == 1100 <= slab.held < 1700
    for i, place in enumerate(places):
        assert np.shares_memory(slab.row(place), rows[i]) and (slab.row(place) == i).all()
    for place in places[::3]:
        slab.free(place)
    assert sorted(slab.take() for _ in places[::3]) == sorted(places[::3])


def test_a_slab_gives_memory_back_when_its_pages_are_empty():
    slab = Slab(64)
    places = [slab.take() for _ in range(500)]
    for place in places[3:]:
        slab.free(place)
    slab.trim()
    assert slab.used == 3 <= slab.held <= 6
    assert len({slab.take() for _ in range(500)} | set(places[:3])) == 503


def test_a_slab_never_holds_more_rows_than_it_may():
    slab = Slab(64, most=7)
    for _ in range(7):
        slab.take()
    assert slab.held == 7
    with pytest.raises(MemoryError):
        slab.take()


def test_a_slab_takes_rows_where_they_lie_and_lets_go_of_them_again():
    slab, rows = Slab(64), np.arange(3 * 64, dtype=np.uint8).reshape(3, 64)
    before = slab.take()
    places = slab.adopt(rows)
    assert (slab.used, slab.held) == (4, 4) and before not in places
    assert all(np.shares_memory(slab.row(place), row) for place, row in zip(places, rows, strict=True))
    for place in places:
        slab.free(place)
    slab.trim()
    assert (slab.used, slab.held) == (1, 1)
    assert slab.take() != before


@pytest.mark.parametrize(("start", "stays"), [(0, True), (8, False)])
def test_series_stay_where_they_were_read_if_kernels_can_work_on_them_there(start, stays):
    fleet, later = fleet_of(20), records(500, 20, 1)
    run(fleet, records(300, 20))
    saved = fleet.to_bytes()
    memory = aligned_bytes(len(saved) + start)[start:]
    memory[:] = np.frombuffer(saved, np.uint8)
    adopting = Fleet.from_bytes(memory.data, adopt=True)
    assert np.shares_memory(adopting.row(7), memory) == stays
    assert adopting.to_bytes() == saved
    adopting.series(f"new{code}" for code in range(3))
    assert_same(run(adopting, later), run(Fleet.from_bytes(saved), later))
    assert (memory.tobytes() == saved) != stays
    assert Fleet.from_bytes(saved, adopt=True).to_bytes() == saved  # what cannot be written to is copied


def test_adding_a_series_moves_no_other():
    fleet = fleet_of(1)
    before = fleet.row(0)
    fleet.process(records(500, 1))
    fleet.series(f"s{code}" for code in range(300))
    fleet.process(records(2000, 300))
    assert np.shares_memory(fleet.row(0), before)


@given(seed=st.integers(0, 99), most=st.integers(1, 12), n_series=st.integers(1, 40), data=st.data())
@settings(max_examples=40)
def test_spilling_changes_no_bit_and_the_budget_is_never_exceeded(seed, most, n_series, data):
    batch = records(400, n_series, seed)
    cuts = data.draw(st.lists(st.integers(0, 400), max_size=12))
    whole, tight = fleet_of(n_series), fleet_of(n_series, within(most))
    expected = run(whole, batch)
    assert_same(expected, run(tight, batch, cuts))
    census = tight.census
    assert tight.held_bytes <= most * ROW
    assert census.in_memory + census.in_store == len(np.unique(batch.series)) and census.forgotten == 0
    assert census.spilled - census.restored == census.in_store
    for code in range(n_series):
        np.testing.assert_array_equal(whole.row(code), tight.row(code))
        assert tight.held_bytes <= most * ROW


@given(seed=st.integers(0, 99), most=st.sampled_from([0, 1, 5, 100]), cut=st.integers(0, 300))
@settings(max_examples=20)
def test_a_saved_fleet_goes_on_to_the_bit_under_any_budget(seed, most, cut):
    batch = records(300, 20, seed)
    expected = run(fleet_of(20), batch)
    tight = fleet_of(20, within(3))
    run(tight, some(batch, slice(cut)))
    loaded = Fleet.from_bytes(tight.to_bytes(), within(most) if most else None)
    rest = run(loaded, some(batch, slice(cut, None)))
    assert_same({name: column[cut:] for name, column in expected.items()}, rest)


def test_a_saved_fleet_that_is_not_whole_needs_its_store():
    keeping = within(3)
    fleet = fleet_of(20, keeping)
    run(fleet, records(300, 20))
    saved = fleet.to_bytes(whole=False)
    assert len(saved) < 4 * ROW < 20 * ROW < len(fleet.to_bytes())
    again = Fleet.from_bytes(saved, Keeping(3 * ROW, keeping.spill))
    for code in range(20):
        np.testing.assert_array_equal(again._rows.peek(code), fleet._rows.peek(code))
    lost = Fleet.from_bytes(saved, within(3))
    with pytest.raises(StateError, match="is not in the store"):
        run(lost, records(300, 20))


def test_what_comes_back_from_a_store_is_checked_before_a_kernel_sees_it():
    keeping = within(1)
    fleet = fleet_of(2, keeping)
    run(fleet, records(50, 2))
    for key, state in keeping.spill.states.items():
        keeping.spill.states[key] = state[:-64]
    with pytest.raises(StateError, match="its settings need"):
        run(fleet, records(50, 2))


@pytest.mark.parametrize("keeping", [None, "within"])
def test_running_a_call_brings_states_that_are_not_in_memory(keeping):
    batch = records(300, 20)
    fleet = fleet_of(20, within(5) if keeping else None)
    expected = run(fleet_of(20), batch)
    for start in range(0, 300, 5):  # at most five series at once
        call = fleet.new_call(5).fill(some(batch, slice(start, start + 5)))
        fleet.run(call)
        np.testing.assert_array_equal(call.results().p_value, expected["p_value"][start : start + 5])


def test_a_call_of_series_that_do_not_exist_or_do_not_fit_is_refused():
    fleet = fleet_of(20, within(5))
    for code in (-1, 20):
        call = fleet.new_call(20).fill(records(20, 20))
        call.columns[CALL_SERIES][7] = code
        with pytest.raises(DataError, match="the fleet has 20 series"):
            fleet.run(call)
    call.columns[CALL_SERIES][:] = np.arange(20)
    with pytest.raises(DataError, match="memory has room for 5"):
        fleet.run(call)
    assert fleet.census.in_memory == 0


def test_looking_at_a_series_moves_nothing():
    fleet = fleet_of(10, within(2))
    run(fleet, records(300, 10))
    before = fleet.census
    assert all(fleet.typical_step_ns(code) > 0 for code in range(10))
    assert len([fleet.forecast(code) for code in range(10)]) == len([fleet.seasons(c) for c in range(10)])
    assert fleet.census == before


def test_a_budget_that_holds_no_series_or_has_no_store_is_refused():
    with pytest.raises(SettingsError, match="one series needs"):
        Fleet(SETTINGS, Keeping(ROW - 1, DictSpill()))
    with pytest.raises(SettingsError, match="give spill"):
        Keeping(10 * ROW)


def test_a_hundred_thousand_keys_that_come_once_stay_within_the_budget():
    fleet = Fleet(SETTINGS, within(50))
    for start in range(0, 100_000, 20_000):
        fleet.series(f"runaway-{code}" for code in range(start, start + 20_000))
    batch = records(2000, 100_000)
    fleet.process(batch)
    assert fleet.census.known == 100_000 and fleet.held_bytes <= 50 * ROW
    assert fleet.census.in_memory + fleet.census.in_store == len(np.unique(batch.series))


def test_a_wrong_number_of_channels_is_refused_and_nothing_is_learned():
    fleet = fleet_of(2)
    run(fleet, records(100, 2))
    before = fleet.to_bytes()
    with pytest.raises(DataError, match="expected"):
        fleet.process(Batch.of_one_series(np.zeros((5, 2))))
    assert fleet.to_bytes() == before


def test_tunable_settings_change_in_place_as_they_do_through_bytes():
    batch = records(400, 5)
    fleet = fleet_of(5, within(2))
    run(fleet, some(batch, slice(200)))
    other = Fleet.from_bytes(fleet.to_bytes(), false_alarms=0.01, coverage=0.8)
    fleet.retune(false_alarms=0.01, coverage=0.8)
    assert_same(run(other, some(batch, slice(200, None))), run(fleet, some(batch, slice(200, None))))
    with pytest.raises(SettingsError, match="shapes the state"):
        fleet.retune(hidden=3)


# ---------------------------------------------------------------- time to live


def naive_lives(batch, ttl_ns):
    """Of each record how often its series began anew, by the rule as the page has it, record by record."""
    clocks, heard, lives, found = {}, {}, {}, []
    for s, t, p in zip(batch.series.tolist(), batch.times.tolist(), batch.partitions.tolist(), strict=True):
        clock = clocks.setdefault(p, {"now": None, "began": None, "last": None, "other": None})
        since = heard.get(s)
        if since and since[1] == p and clock["now"] is not None:
            at = clock["began"] if since[0] is None else since[0]
            if clock["now"] - at > ttl_ns:
                lives[s] = lives.get(s, 0) + 1
        found.append(lives.get(s, 0))
        if t != np.iinfo(np.int64).min:
            if clock["last"] and clock["last"][0] != s:
                clock["other"] = clock["last"][1]
            clock["last"] = (s, t)
            if clock["other"] is not None:
                reached = min(t, clock["other"])
                clock["now"] = reached if clock["now"] is None else max(clock["now"], reached)
                clock["began"] = clock["now"] if clock["began"] is None else clock["began"]
        heard[s] = (clock["now"], p)
    return np.array(found)


def restless(seed, n=300, n_series=6):
    """Series that rest for hours now and then, with odd clocks, in two partitions."""
    rng = np.random.default_rng(seed)
    plain = records(n, n_series, seed, step_s=1200.0)
    times = plain.times.copy()
    times[rng.random(n) < 0.01] += 400 * 24 * HOUR  # a clock that is a year ahead
    partitions = (plain.series % 2).astype(np.int32)
    partitions[rng.random(n) < 0.02] = 0
    rest = (plain.series == 1) & (np.arange(n) > n // 4) & (np.arange(n) < n // 2)
    rest |= (plain.series == 4) & (np.arange(n) > n // 3) & (np.arange(n) < n - 20)
    batch = Batch(plain.series, times, plain.values, partitions, plain.offsets)
    return some(batch, ~rest)


@given(
    seed=st.integers(0, 999), hours=st.sampled_from([0.1, 0.5, 2.0]), most=st.sampled_from([0, 2, 50]),
    cuts=st.lists(st.integers(0, 200), max_size=10),
)  # fmt: skip
@settings(max_examples=60)
def test_a_series_that_is_silent_too_long_begins_anew_however_batches_are_cut(seed, hours, most, cuts):
    batch, ttl = restless(seed), int(hours * HOUR)
    cuts = [min(cut, len(batch)) for cut in cuts]
    keeping = within(most, ttl_ns=ttl) if most else Keeping(ttl_ns=ttl)
    found = run(fleet_of(6, keeping), batch, cuts)
    lives = naive_lives(batch, ttl)
    # Each life is a series of its own in a fleet that forgets nothing.
    names, codes = np.unique(batch.series * 1000 + lives, return_inverse=True)
    apart = Batch(codes.astype(np.int32), batch.times, batch.values, batch.partitions, batch.offsets)
    assert_same(run(fleet_of(len(names)), apart), found)


def test_what_is_forgotten_leaves_memory_and_store_and_is_counted():
    keeping = within(4, ttl_ns=HOUR)
    fleet = fleet_of(20, keeping)
    run(fleet, records(500, 20))
    assert fleet.census.in_memory + fleet.census.in_store == 20
    later = records(500, 2, step_s=60.0)
    fleet.process(Batch(later.series, later.times + 10 * HOUR, *list(vars(later).values())[2:]))
    census = fleet.census
    assert census.known == 20 and census.forgotten >= 18
    assert census.in_memory + census.in_store == 2 == len(keeping.spill.states) + census.in_memory
    assert fleet.held_bytes <= 4 * ROW


def test_one_odd_clock_makes_nobody_forgotten():
    fleet = fleet_of(3, Keeping(ttl_ns=HOUR))
    batch = records(600, 3)
    times = batch.times.copy()
    times[200], times[300] = times[200] + 10**18, times[300] + 10**18
    fleet.process(Batch(batch.series, times, batch.values, batch.partitions, batch.offsets))
    assert fleet.census.forgotten == 0


@given(cut=st.integers(1, 250), seed=st.integers(0, 99))
@settings(max_examples=20)
def test_what_is_forgotten_does_not_depend_on_a_restart(cut, seed):
    batch, keeping = restless(seed), Keeping(ttl_ns=HOUR // 2)
    cut = min(cut, len(batch))
    expected = run(fleet_of(6, keeping), batch)
    fleet = fleet_of(6, keeping)
    run(fleet, some(batch, slice(cut)))
    rest = run(Fleet.from_bytes(fleet.to_bytes(), keeping), some(batch, slice(cut, None)))
    assert_same({name: column[cut:] for name, column in expected.items()}, rest)
