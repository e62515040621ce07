"""Aligned memory: segments by name, and the arrays that hold them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

ALIGNMENT = 64
UNIT = 16  # hidden sizes are rounded up to this, a vector of float32
LANES = 8  # and float64 rows to this

Int64Array = NDArray[np.int64]


def round_up(n: int, unit: int) -> int:
    """The smallest multiple of ``unit`` that is at least ``n``."""
    return -(-n // unit) * unit


@dataclass
class Space:
    """Hands out segments of a row or of the scratch, by name; what fills a vector begins at one."""

    segments: dict[str, tuple[int, int]] = field(default_factory=dict)
    end: int = 0

    @property
    def size(self) -> int:
        """Bytes taken, a multiple of 64."""
        return round_up(self.end, ALIGNMENT)

    def take(self, name: str, count: int, item_bytes: int = 8) -> int:
        """Reserve ``count`` items and return their byte offset, a multiple of 8 or, of 64 bytes, of 64."""
        wanted = round_up(max(count, 1) * item_bytes, 8)
        offset = self.size if wanted >= ALIGNMENT else self.end
        self.segments[name] = (offset, count)
        self.end = offset + (round_up(wanted, ALIGNMENT) if wanted >= ALIGNMENT else wanted)
        return offset

    def view(self, memory: NDArray[np.uint8], name: str, dtype: type[np.generic]) -> NDArray[Any]:
        """A segment of such memory, or of each row of such, as an array that shares it."""
        offset, count = self.segments[name]
        return memory[..., offset : offset + count * np.dtype(dtype).itemsize].view(dtype)

    def close_vector(self) -> None:
        """Have the next segment begin at a vector, however small it is."""
        self.end = self.size


def address(array: NDArray[Any]) -> int:
    """Where an array's memory starts; keep the array alive while a kernel uses it."""
    return int(array.__array_interface__["data"][0])


def is_aligned(array: NDArray[Any]) -> bool:
    """Whether an array's memory starts at a multiple of 64."""
    return address(array) % ALIGNMENT == 0


def aligned_bytes(size: int) -> NDArray[np.uint8]:
    """Zeroed bytes that start at a multiple of 64; slices keep the memory alive."""
    memory = np.zeros(size + ALIGNMENT, np.uint8)
    start = -address(memory) % ALIGNMENT
    return memory[start : start + size]
