"""The network alone as contenders: cell, linear head, clipping and Adam, no detector around it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from bounds import Machine, learn_ns
from common import Contender, stream
from flops import CELL_WORK, forward_flop, learn_flop
from numpy.typing import NDArray

from streamrnn.initial import fill_network
from streamrnn.kernels.compiling import bind
from streamrnn.kernels.run import LEARN, SAY, run_one, run_sequence
from streamrnn.space import Space, aligned_bytes
from streamrnn.tables import NetworkShape, Training, network_table

CELLS = ("lstm", "gru")  # where nothing else is asked for
ALL_CELLS = tuple(CELL_WORK)
K1, K2 = 8, 32  # what the peers run too
SHIPPED_K1, SHIPPED_K2 = 1, 16  # the detector's default
SHIPPED_HIDDEN = (12, 16, 32)  # 12 is the default

# Records of a run, times hidden^2: about ten milliseconds.
_FORWARD, _LEARN = 50_000_000, 10_000_000
_ONE_BY_ONE = 10_000


class Alone:
    """One network, its memory, and the addresses that its kernels take."""

    def __init__(self, shape: NetworkShape) -> None:
        row, scratch = Space(), Space()
        self._table = network_table(shape, Training(), row, scratch, "net")
        self._row, self._scratch = aligned_bytes(row.size), aligned_bytes(scratch.size)
        segments: dict[str, NDArray[np.generic]] = {}
        for name in ("weights", "v", "target", "powers"):
            dtype = np.dtype(np.float64 if name == "powers" else shape.dtype)
            offset, count = row.segments[f"net.{name}"]
            segments[name] = self._row[offset : offset + count * dtype.itemsize].view(dtype)
        fill_network(shape, segments, seed=0)
        self.addresses = (shape.tag, self._table.ctypes.data, self._row.ctypes.data)

    def take(self, values: NDArray[np.float32], outputs: NDArray[np.float32], learning: bool) -> None:
        """The whole stream in one compiled call; each value is the target of the step before it."""
        self.take_columns(values[:-1, None], values[1:, None], outputs, learning)

    def take_columns(
        self,
        inputs: NDArray[np.float32],
        targets: NDArray[np.float32],
        outputs: NDArray[np.float32],
        learning: bool = True,
    ) -> None:
        """The same with (n, inputs), and (n, outputs) of targets and for what is said."""
        columns = (inputs.ctypes.data, targets.ctypes.data, outputs.ctypes.data)
        purpose = LEARN if learning else SAY
        run_sequence(*self.addresses, self._scratch.ctypes.data, columns, len(inputs), purpose)

    def take_one_by_one(self, step: Callable[..., float], values: Sequence[float]) -> None:
        """One compiled call from Python for each record, forward only."""
        tag, table, row = self.addresses
        for value in values:
            step(tag, table, row, value)


def _univariate(cell: str, hidden: int, k1: int, k2: int, recompute: bool = False) -> Alone:
    return Alone(NetworkShape(cell, hidden, 1, 1, k1, k2, recompute))


def _whole_stream(name: str, alone: Alone, n: int, learning: bool) -> Contender:
    values = stream(n + 1)[:, 0].astype(np.float32)
    run = partial(alone.take, values, np.empty(n, np.float32), learning)
    return Contender(name, run, n)


def contenders(cell: str, hidden: int) -> list[Contender]:
    """Forward, learn, learn with recomputed windows, and one call a record."""
    size = f"{cell}/{hidden}"
    short, long = (8 * max(32, work // hidden**2 // 8) for work in (_LEARN, _FORWARD))
    one = _univariate(cell, hidden, K1, K2)
    values = stream(_ONE_BY_ONE)[:, 0].tolist()
    step = bind(run_one, *one.addresses, values[0])
    return [
        _whole_stream(f"{size}/chunk/forward", _univariate(cell, hidden, K1, K2), long, learning=False),
        _whole_stream(f"{size}/chunk/learn", _univariate(cell, hidden, K1, K2), short, learning=True),
        _whole_stream(
            f"{size}/chunk/recompute", _univariate(cell, hidden, K1, K2, True), short, learning=True
        ),
        Contender(f"{size}/one/forward", partial(one.take_one_by_one, step, values), len(values)),
    ]


def shipped_contenders(cells: Sequence[str] = CELLS) -> list[Contender]:
    """Learning as the detector does by default: at every record, a short way back."""
    return [
        _whole_stream(
            f"{cell}/{hidden}/shipped/learn",
            _univariate(cell, hidden, SHIPPED_K1, SHIPPED_K2),
            8 * (_LEARN // hidden**2 // 32),
            learning=True,
        )
        for cell in cells
        for hidden in SHIPPED_HIDDEN
    ]


def derived(times_ns: dict[str, float], cell: str, hidden: int, machine: Machine) -> dict[str, float]:
    """Shares of the peak and of the least time, and what a call from Python costs, from measured times."""
    size = f"{cell}/{hidden}"
    forward, learn = times_ns[f"{size}/chunk/forward"], times_ns[f"{size}/chunk/learn"]
    bound = learn_ns(machine, cell, hidden, K1, K2)
    return {
        f"{size}/chunk/forward/fma_share": forward_flop(cell, hidden) * machine.peak / forward,
        f"{size}/chunk/learn/fma_share": learn_flop(cell, hidden, K1, K2) * machine.peak / learn,
        f"{size}/chunk/learn/bound/us": bound * 1e-3,
        f"{size}/chunk/learn/bound_share": bound / learn,
        f"{size}/one/ratio": times_ns[f"{size}/one/forward"] / forward,
    }
