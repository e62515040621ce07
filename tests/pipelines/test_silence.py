"""Silence by event time: what a plain record-by-record twin says, however batches are cut."""

from __future__ import annotations

from statistics import median_low

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamrnn.connectors.base import Read
from streamrnn.kernels.plan import NO_TIME
from streamrnn.pipelines.silence import Gap, Silence
from streamrnn.pipelines.typical import BLOCK, TypicalSteps

SECOND = 10**9


class Plain:
    """One record at a time, as the module's first page says it."""

    def __init__(self, limit_of, one_stream=False, looks_back=False):
        self.limit_of, self.one_stream, self.looks_back = limit_of, one_stream, looks_back
        self.clocks, self.series = {}, {}

    def add(self, code, time, partition, offset):
        if time == NO_TIME:
            return []
        clock = 0 if self.one_stream else partition
        gaps = []
        known = self.series.get(code)
        steps, before = (known["steps"], known["time"]) if known else ([], None)
        limit = self.limit_of(steps)
        if known and known["silent"]:
            gaps.append(Gap(code, known["partition"], known["offset"], before, time, True))
        elif known and self.looks_back and 0 < limit < time - before:
            last = (code, known["partition"], known["offset"], before)
            gaps += [Gap(*last, time, False), Gap(*last, time, True)]
        moves = known is not None and limit > 0 and time - before <= limit
        if known and time > before:
            steps.append(time - before)
        if moves:
            self.clocks[clock] = max(time, self.clocks.get(clock, NO_TIME))
        heard = max(time, self.clocks[clock]) if clock in self.clocks else 2**80
        self.series[code] = {
            "steps": steps,
            "time": time,
            "partition": partition,
            "offset": offset,
            "clock": clock,
            "heard": heard,
            "silent": False,
        }
        return gaps + self.fallen()

    def fallen(self):
        gaps = []
        for code, known in self.series.items():
            limit, clock = self.limit_of(known["steps"]), self.clocks.get(known["clock"], NO_TIME)
            if limit > 0 and not known["silent"] and clock > known["heard"] + limit:
                known["silent"] = True
                gaps.append(Gap(code, known["partition"], known["offset"], known["time"], clock, False))
        return gaps


def by_steps(times):
    def limit(steps):
        whole = len(steps) // BLOCK * BLOCK
        return max(10 * SECOND, round(times * median_low(steps[whole - BLOCK : whole]))) if whole else 0

    return limit


def read_of(records):
    series, times, partitions = (list(column) for column in zip(*records, strict=True))
    n = len(records)
    return Read(
        series=np.array(series, np.int32),
        times=np.array(times, np.int64),
        values=np.zeros((n, 1)),
        partitions=np.array(partitions, np.int32),
        offsets=np.arange(n),
        columns={},
    )


@st.composite
def streams(draw):
    """A few series that speak at their own pace, fall silent, jump, lag, and change partition."""
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    records, now, lag = [], 0, rng.integers(0, 40, 4) * SECOND
    paces, dead = rng.integers(1, 6, 4), np.zeros(4)
    for _ in range(draw(st.integers(50, 500))):
        now += int(rng.integers(0, 2 * SECOND))
        for code in range(4):
            dead[code] = rng.integers(20, 200) if rng.random() < 0.004 else dead[code] - 1
            if dead[code] > 0 or rng.random() > 1 / paces[code]:
                continue
            time = now - lag[code] + (10**17 if rng.random() < 0.005 else 0)
            time = NO_TIME if rng.random() < 0.01 else int(time)
            records.append((code, time, int(code > 1) ^ int(rng.random() < 0.01)))
        now += int(rng.integers(500, 1000) * SECOND) if rng.random() < 0.01 else 0
    return records or [(0, 0, 0)]


LIMITS = {"3x": by_steps(3), "2.5x": by_steps(2.5), "20s": lambda steps: 20 * SECOND, "off": lambda steps: 0}


@given(
    streams(),
    st.sampled_from(list(LIMITS)),
    st.booleans(),
    st.booleans(),
    st.lists(st.tuples(st.integers(0, 500), st.booleans()), max_size=8),
)
def test_silence_is_what_the_plain_twin_says_whatever_the_cuts_and_restarts(records, limit, one, back, cuts):
    plain, how = Plain(LIMITS[limit], one, back), {"one_stream": one, "looks_back": back}
    expected = [gap for i, record in enumerate(records) for gap in plain.add(*record, i)]
    batch, silence, found, start = read_of(records), Silence(limit, **how), [], 0
    for cut, restarts in [*sorted(cuts), (len(records), False)]:
        found += silence.add(batch.some(slice(start, cut)))
        start = max(start, cut)
        silence = Silence("7x", **how, state=silence.to_bytes()) if restarts else silence
    assert sorted(found) == sorted(expected)
    assert silence.silent == sum(known["silent"] for known in plain.series.values())


def test_the_made_up_streams_fall_silent_now_and_then():
    rng = np.random.default_rng(3)
    steps = [(int(code), 5 * SECOND * t, 0) for t in range(2000) for code in range(3)]
    some = [
        record for record in steps if not (record[0] == 1 and 400 < record[1] // (5 * SECOND) % 1000 < 450)
    ]
    cut = int(rng.integers(100, 3000))
    silence, batch = Silence("20x"), read_of(some)
    gaps = [*silence.add(batch.some(slice(0, cut))), *silence.add(batch.some(slice(cut, None)))]
    assert [(gap.series, gap.start // SECOND, gap.at // SECOND, gap.over) for gap in gaps] == [
        (1, 2000, 2105, False),
        (1, 2000, 2250, True),
        (1, 7000, 7105, False),
        (1, 7000, 7250, True),
    ]


def regular(series, minutes, partition=0):
    return [(code, 60 * SECOND * t, partition) for t in minutes for code in series]


def test_one_odd_clock_silences_nobody():
    odd = [*regular(range(3), range(100)), (0, 10**18, 0), *regular(range(3), range(100, 200))]
    assert Silence("20x").add(read_of(odd)) == []


def test_a_night_without_records_is_no_silence_of_those_that_begin_a_little_later():
    night = [*regular(range(3), range(100)), *regular(range(3), range(900, 1000))]
    assert Silence("20x").add(read_of(night)) == []


def test_a_series_whose_clock_lags_is_not_silent():
    lagging = [(code, time - 10**13 * code, 0) for code, time, _ in regular(range(2), range(200))]
    assert Silence("20x").add(read_of(lagging)) == []


def test_series_of_one_partition_do_not_silence_those_of_another():
    records = [*regular([0, 1], range(50)), *regular([2], range(500), partition=1)]
    assert Silence("20x").add(read_of(records)) == []
    assert [gap.series for gap in Silence("20x", one_stream=True).add(read_of(records))] == [0, 1]


def test_another_limit_holds_from_the_next_record_on():
    silence = Silence("20x")
    records = [*regular([0, 1], range(50)), *regular([0], range(50, 60))]
    assert silence.add(read_of(records)) == []
    silence.retune("5x")
    assert [gap[0] for gap in silence.add(read_of([(0, 60 * 60 * SECOND, 0)]))] == [1]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(-2, 9)), max_size=150), st.integers(0, 150))
def test_the_typical_step_is_the_median_of_the_last_whole_block(steps, cut):
    taken, expected = {}, {}
    for i, (code, step) in enumerate(steps):
        seen = taken.setdefault(code, [])
        whole = len(seen) // BLOCK * BLOCK
        expected[i] = median_low(seen[whole - BLOCK : whole]) if whole else 0
        if step > 0:
            seen.append(step)
    typical, found = TypicalSteps(), {}
    typical.make_room(3)
    for part in (range(min(cut, len(steps))), range(cut, len(steps))):
        rows = sorted(part, key=lambda i: steps[i][0])
        if rows:
            codes, heads = np.unique([steps[i][0] for i in rows], return_index=True)
            known, which = typical.add(codes, heads, np.array([steps[i][1] for i in rows]))
            found |= dict(zip(rows, known[which].tolist(), strict=True))
    assert found == expected


@pytest.mark.parametrize("times", [[-(2**62) - 5, 2**62 + 5], [2**63 - 1, -(2**63) + 1], [0, 2**63 - 1]])
def test_times_at_the_ends_of_the_world_are_survived(times):
    records = [*regular(range(2), range(40)), *((code, time, 0) for time in times for code in range(2))]
    silence = Silence("20x")
    silence.add(read_of(records))
    silence.add(read_of(records))
