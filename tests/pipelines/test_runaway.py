"""A key that is an id of each message: a million series, one record each, in the memory of ten thousand."""

from __future__ import annotations

import logging
import re
import time
from pathlib import Path

import numpy as np
import pytest

from streamrnn import Batch, Fleet, Settings
from streamrnn.pipelines.capacity import NAME_BYTES
from streamrnn.pipelines.keeping import Runaway
from streamrnn.pipelines.spill import SqliteSpill
from streamrnn.spill import Keeping

KEYS, EACH = 1_000_000, 10_000
SETTINGS = Settings(preset="light")
ROOM = 100_000_000  # of what is no state: a batch of records, SQLite's pages, memory that was freed


def memory_bytes(name):
    """A line of what Linux says of this process's memory."""
    found = re.search(rf"^{name}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    return 1024 * int(found[1])


def batch_of(fleet, start):
    codes = fleet.series(f"message-{start + i}" for i in range(EACH))
    at = np.arange(start, start + EACH)
    return Batch(codes, at * 10**6, np.sin(at)[:, None], np.zeros(EACH, np.int32), at)


@pytest.mark.soak  # some minutes, 1 to 2 GB of disk
def test_a_million_keys_stay_within_the_budget_and_are_warned_of(tmp_path, caplog, record_property):
    caplog.set_level(logging.WARNING)
    budget = 10_000 * Fleet.bytes_per_series(SETTINGS)
    spill = SqliteSpill(tmp_path / "spill.db")
    fleet = Fleet(SETTINGS, Keeping(budget, spill))
    runaway = Runaway(fleet, f"{budget // 10**6}MB")
    batch = batch_of(fleet, 0)
    fleet.process(batch)  # compiles
    base = memory_bytes("VmRSS") - fleet.held_bytes
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    began = time.monotonic()
    for start in range(EACH, KEYS, EACH):
        batch = batch_of(fleet, start)
        assert len(fleet.process(batch)) == EACH
        runaway.scored(batch)
        assert fleet.held_bytes <= budget
    seconds, peak = time.monotonic() - began, memory_bytes("VmHWM")
    census = fleet.census
    disk = sum(file.stat().st_size for file in tmp_path.iterdir())
    for name, value in (
        ("seconds", seconds),
        ("base", base),
        ("peak", peak),
        ("budget", budget),
        ("disk", disk),
    ):
        record_property(name, round(value))
    assert census.known == KEYS and census.in_memory + census.in_store == KEYS
    assert census.in_memory <= 10_000 and census.spilled == census.in_store == len(spill)
    assert peak - base <= budget + KEYS * NAME_BYTES + ROOM
    warned = [int(record.getMessage().split()[0].replace(",", "")) for record in caplog.records]
    assert warned == [20_000, 50_000, 110_000, 230_000, 470_000, 950_000]  # whenever they have doubled
    assert "does the key name a series?" in runaway.warning
    again = fleet.series(["message-17"])
    before = fleet.census.restored
    found = fleet.process(
        Batch(again, np.array([10**13]), np.ones((1, 1)), np.zeros(1, np.int32), np.zeros(1, np.int64))
    )
    assert len(found) == 1 and fleet.census.restored == before + 1  # it goes on where it was
    spill.close()
