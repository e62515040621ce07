"""The cells, by the name that settings give them."""

from __future__ import annotations

from streamrnn.kernels.cells import diagonal_lstm, grid_lstm, gru, jordan, lstm, rnn, tdnn
from streamrnn.kernels.cells.protocol import CellSpec

_SPECS = (
    lstm.SPEC,
    gru.SPEC,
    diagonal_lstm.SPEC,
    *rnn.SPECS,
    jordan.SPEC,
    tdnn.SPEC,
)
CELLS: dict[str, CellSpec] = {spec.name: spec for spec in _SPECS}
GRID_CELLS: dict[str, CellSpec] = {grid_lstm.SPEC.name: grid_lstm.SPEC}  # those with neighbours of their own
