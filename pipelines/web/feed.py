"""What a live page shows, collected in the thread that scores: columns are copied, nothing is written out."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamrnn.connectors.base import Read
from streamrnn.pipelines.coding import Coding
from streamrnn.pipelines.feedback import Said
from streamrnn.pipelines.kept import KeptRows, SeriesRows
from streamrnn.pipelines.kernel_columns import KernelColumns
from streamrnn.pipelines.observers import Observer
from streamrnn.pipelines.web.came import Came
from streamrnn.pipelines.web.newest import NewestRows
from streamrnn.records import Int64Array, Results

__all__ = ["PageFeed"]


class PageFeed(Observer):
    """Looks on while a daemon runs. Other threads read what they need under ``lock``.

    Parameters
    ----------
    coding : Coding
    said : mapping of str to int
        What was said of events before, by their ids.

    Attributes
    ----------
    coding : Coding
    lock : threading.Lock
        Held while records are taken in, and by who reads kept rows.
    kept : KeptRows
        Of the whole run of this process, thinned where it is long.
    newest : NewestRows
    came : Came
        Alarms of each series beside what was allowed.
    said : dict of str to int
        Marks by the ids of events.
    version : int
        Another one whenever events came, or something was said of one.
    said_version : int
        Another one whenever something was said: who said it waits for the page to show it.
    """

    def __init__(self, coding: Coding, said: Mapping[str, int]) -> None:
        channels = coding.fleet.settings.channels
        self.coding, self.lock = coding, threading.Lock()
        self.kept, self.newest, self.came = KeptRows(channels), NewestRows(channels), Came()
        self.newest.make_room(len(coding.fleet.keys))  # those that are known from before a restart
        self.said = dict(said)
        self.version = self.said_version = 0

    def records(self, batch: Read, found: Results, fresh: NDArray[np.bool_]) -> None:
        """Take in a batch, read again or not: what was read again is shown, too."""
        with self.lock:
            columns = KernelColumns(batch, found)
            self.kept.add(batch, found, columns)
            self.newest.add(batch, found, columns)
            self.came.add(batch, found)

    def events(self, count: int) -> None:
        """Events were stored."""
        self.version += count > 0

    def told(self, said: Said) -> None:
        """A user's word on an event holds from here on."""
        self.said[f"{self.coding.partition_names[said.partition]}-{said.offset}"] = said.mark
        self.news_of_users()

    def news_of_users(self) -> None:
        """Have pages show at once what was said."""
        self.version += 1
        self.said_version += 1

    def changed(self, settings: Mapping[str, Any]) -> None:
        """Other settings, another count of what came."""
        with self.lock:
            self.came = Came()

    @property
    def n_kept(self) -> int:
        """Of so many series, the first, rows of the whole run are kept."""
        return self.kept.n_kept

    def series(self, code: int) -> SeriesRows:
        """A copy of a series' rows of the whole run."""
        with self.lock:
            rows = self.kept.series(code)
            return SeriesRows(rows.stride, rows.whole.copy(), rows.numbers.copy())

    def latest(self, code: int, since: int = 0) -> tuple[SeriesRows, int]:
        """A copy of a series' rows behind its first so many records, if kept; how many records there were."""
        with self.lock:
            seen = self.newest.seen(code)
            return self.newest.series(code, max(seen - since, 0)), seen

    def n_series(self) -> int:
        """Of so many series, the first, records are kept."""
        return self.newest.n_kept

    def alarms(self) -> Int64Array:
        """(4, series) calibrated records, detections and alerts among them, newest status."""
        with self.lock:
            return self.came.counts()
