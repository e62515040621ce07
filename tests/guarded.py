"""Memory between canaries: what a kernel may touch, and nothing else."""

from __future__ import annotations

from contextlib import contextmanager
from unittest import mock

import numpy as np

from streamrnn.call import Call
from streamrnn.initial import initial_row, initial_scratch
from streamrnn.kernels import plan
from streamrnn.layout import ModelLayout
from streamrnn.records import Batch, Results
from streamrnn.settings import Settings
from streamrnn.space import ALIGNMENT, Space, address, aligned_bytes

CANARY = 0xFF  # not a number, as float32 and as float64; -1 as an integer
EIGHT_BYTES = (".counters", ".powers", ".mask", ".error_power", ".variance")  # segments of a network
_MARGIN = 4 * ALIGNMENT


class Arena:
    """Aligned bytes with canaries before and behind."""

    def __init__(self, size: int) -> None:
        self._all = aligned_bytes(size + 2 * _MARGIN)
        self._all[:] = CANARY
        self.bytes = self._all[_MARGIN : _MARGIN + size]
        self.bytes[:] = 0

    @classmethod
    def of(cls, array: np.ndarray) -> Arena:
        """An arena that holds a copy of an array."""
        arena = cls(array.nbytes)
        arena.bytes[:] = np.ascontiguousarray(array).view(np.uint8).ravel()
        return arena

    @property
    def address(self) -> int:
        return address(self.bytes)

    def intact(self) -> bool:
        outside = np.concatenate([self._all[:_MARGIN], self._all[_MARGIN + self.bytes.size :]])
        return bool(np.all(outside == CANARY))


@contextmanager
def red_zones():
    """While a layout is made: room for canaries on both sides of every segment.

    Yields the list of (space, start, end) of these zones. Kernels take every
    offset from the layout's tables, so they must work as before.
    """
    zones: list[tuple[Space, int, int]] = []
    plain = Space.take

    def take(space: Space, name: str, count: int, item_bytes: int = 8) -> int:
        before = space.end
        space.end += ALIGNMENT
        offset = plain(space, name, count, item_bytes)
        used = offset + count * item_bytes
        zones.extend([(space, before, offset), (space, used, space.end)])
        return offset

    with mock.patch.object(Space, "take", take):
        yield zones


class GuardedModel:
    """Several series of one model, with canaries wherever no kernel may write.

    Around the slab, the scratch and every column of a call; with ``zones``, also
    between all segments of every row and of the scratch.
    """

    def __init__(self, settings: Settings, n_series: int = 1, zones: bool = True) -> None:
        self.zones: list[tuple[Space, int, int]] = []
        if zones:
            with red_zones() as self.zones:
                self.layout = ModelLayout(settings)
        else:
            self.layout = ModelLayout(settings)
        self.n_series = n_series
        self.slab = Arena.of(np.tile(initial_row(self.layout), n_series))
        self.scratch = Arena.of(initial_scratch(self.layout))
        self.table = Arena.of(self.layout.table)
        for zone in self._zones():
            zone[:] = CANARY

    def row(self, code: int) -> np.ndarray:
        size = self.layout.row_bytes
        return self.slab.bytes[code * size : (code + 1) * size]

    def _zones(self):
        for space, start, end in self.zones:
            if space is self.layout.scratch:
                yield self.scratch.bytes[start:end]
            elif space is self.layout.row:
                yield from (self.row(code)[start:end] for code in range(self.n_series))

    def state(self, code: int) -> dict[str, bytes]:
        """Every segment of a row, by name."""
        state = {}
        for name, (offset, count) in self.layout.row.segments.items():
            of_network = name.startswith("network") or (".group" in name and ".head" not in name)
            whole = not of_network or name.endswith(EIGHT_BYTES)
            state[name] = self.row(code)[offset : offset + (8 if whole else 4) * count].tobytes()
        return state

    def process(self, batch: Batch, kernel) -> Results:
        """Run a batch; its columns lie between canaries of their own."""
        settings = self.layout.settings
        call = Call(len(batch), len(settings.channels), len(settings.horizons) - 1)
        call.fill(batch)
        arenas = {}
        for i, column in call.columns.items():
            arenas[i] = Arena.of(column)
            call.columns[i] = arenas[i].bytes.view(column.dtype).reshape(column.shape)
            call.table[i] = arenas[i].address
        rows = Arena.of(self.slab.address + self.layout.row_bytes * np.arange(self.n_series))
        call.table[plan.CALL_ROWS], call.table[plan.CALL_SCRATCH] = rows.address, self.scratch.address
        whole = Arena.of(call.table)
        kernel(self.layout.tags, self.table.address, whole.address)
        self.check([*arenas.values(), rows, whole])
        assert np.array_equal(whole.bytes.view(np.int64), call.table)
        inputs = (plan.CALL_SERIES, plan.CALL_TIMES, plan.CALL_PARTITIONS, plan.CALL_OFFSETS)
        for i, given in zip(
            (*inputs, plan.CALL_VALUES),
            (batch.series, batch.times, batch.partitions, batch.offsets, batch.values),
            strict=True,
        ):
            assert np.array_equal(call.columns[i], given, equal_nan=i == plan.CALL_VALUES)
        return call.results()

    def check(self, arenas=()) -> None:
        """Every canary is as it was."""
        assert all(arena.intact() for arena in (self.slab, self.scratch, self.table, *arenas))
        assert np.array_equal(self.table.bytes.view(np.int64), self.layout.table)
        assert all(np.all(zone == CANARY) for zone in self._zones())
