"""The cells, by the name that settings give them."""

from __future__ import annotations

from streamrnn.kernels.cells import diagonal_lstm, gru, lstm
from streamrnn.kernels.cells.protocol import CellSpec

CELLS: dict[str, CellSpec] = {spec.name: spec for spec in (lstm.SPEC, gru.SPEC, diagonal_lstm.SPEC)}
