"""A source's own numbers of series and partitions to those that the state of a fleet uses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from streamrnn.connectors.base import Read, Source
from streamrnn.fleet import Fleet

__all__ = ["Coding"]


class Coding:
    """Places batches: by names, so that it does not matter when a source met them.

    Parameters
    ----------
    fleet : Fleet
    partition_names : sequence of str
        Those that the fleet's state knows from before, by their codes.

    Attributes
    ----------
    partition_names : list of str
        By the codes of placed batches; grows.
    """

    def __init__(self, fleet: Fleet, partition_names: Sequence[str] = ()) -> None:
        self.fleet = fleet
        self.partition_names = list(partition_names)
        self._codes = {name: code for code, name in enumerate(partition_names)}
        self._series = self._partitions = np.empty(0, np.int32)

    def placed(self, batch: Read, source: Source) -> Read:
        """A batch whose series and partitions are numbered as in the fleet."""
        keys, names = source.keys, source.partition_names
        if len(keys) > len(self._series):
            self._series = np.append(self._series, self.fleet.series(keys[len(self._series) :]))
        if len(names) > len(self._partitions):
            codes = [self._code(name) for name in names[len(self._partitions) :]]
            self._partitions = np.append(self._partitions, np.array(codes, np.int32))
        return replace(
            batch, series=self._series[batch.series], partitions=self._partitions[batch.partitions]
        )

    def _code(self, name: str) -> int:
        if name not in self._codes:
            self._codes[name] = len(self._codes)
            self.partition_names.append(name)
        return self._codes[name]
