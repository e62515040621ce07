"""Partitions that the group gave us, until what is known of them has been read: beside the loop."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable

from streamrnn.errors import FencedError, RetriableError, StateError
from streamrnn.pipelines.group.archive import Archive
from streamrnn.pipelines.group.shelf import Shelf

__all__ = ["Arrivals"]

_LOG = logging.getLogger("streamrnn.group")
_PATIENCE_S = 300.0
_LOOK_S = 0.05  # a standby looks so often whether shelves are wanted
_AGAIN_S = 0.5
_END_S = 10.0


class Arrivals:
    """Reads shelves in a thread of its own; what others write too, as a standby.

    Parameters
    ----------
    archive : Archive
        Read by that thread alone from here on.
    begin : callable
        Called by that thread of partitions before it reads of them; may raise as ``Archive.shelves``,
        and FencedError, which is tried again: the group has yet to tell one of two owners.

    Attributes
    ----------
    expected : dict of str to float
        Partitions that were given and not yet taken up, and since when, in monotonic seconds.
    ready : threading.Event
        Set once a standby has read what others wrote before.
    """

    def __init__(self, archive: Archive, begin: Callable[[Iterable[str]], None] = lambda names: None) -> None:
        self._archive, self._begin, self.expected = archive, begin, dict[str, float]()
        self._shelves: dict[str, Shelf] = {}
        self._error: Exception | None = None
        self._why, self._ended = "", False
        self._news, self.ready = threading.Condition(), threading.Event()
        if not archive.standby:
            self.ready.set()
        self._thread = threading.Thread(target=self._run, name="arrivals", daemon=True)
        self._thread.start()

    def expect(self, names: Iterable[str]) -> None:
        """These were given: read of them."""
        with self._news:
            self.expected |= dict.fromkeys(names, time.monotonic())
            self._news.notify()

    def leave(self, names: Iterable[str]) -> None:
        """These are taken up, or left us before they were: should they come again, they are read again."""
        with self._news:
            for name in names:
                self.expected.pop(name, None)
                self._shelves.pop(name, None)

    def shelves(self) -> dict[str, Shelf]:
        """Those of what is expected that have been read by now; never waits.

        Raises
        ------
        StateError
            Where something cannot be read for minutes.
        FatalConnectorError
            Where trying again does not help.
        """
        with self._news:
            if self._error is not None:
                raise self._error
            if self.expected and time.monotonic() - min(self.expected.values()) > _PATIENCE_S:
                raise StateError(
                    f"what is known of {', '.join(self.expected)} cannot be read for {_PATIENCE_S:.0f} s: "
                    f"{self._why or 'the group does not answer'}"
                )
            return dict(self._shelves)

    def close(self) -> None:
        """End the thread; the archive is nobody's then."""
        with self._news:
            self._ended = True
            self._news.notify()
        self._thread.join(_END_S)

    def _run(self) -> None:
        while not self._ended:
            try:
                self._step()
            except (RetriableError, FencedError) as error:
                if str(error) != self._why:
                    _LOG.info("the snapshot topic is not read now: %s", error)
                self._why = str(error)
                time.sleep(_AGAIN_S)
            except Exception as error:  # raised again in the thread that asks
                self._error = error
                return

    def _step(self) -> None:
        """Read shelves that are wanted; where none are, what others write."""
        with self._news:
            if not self._missing() and not self._archive.standby:
                self._news.wait(_LOOK_S)
            wanted = self._missing()
        if not wanted:
            self._follow()
            return
        self._begin(wanted)
        found = self._archive.shelves(wanted)
        self._why = ""
        with self._news:
            for name, shelf in found.items():
                if self.expected.get(name) == wanted[name]:  # else it left and came again meanwhile
                    self._shelves[name] = shelf

    def _follow(self) -> None:
        """As a standby, read what others write."""
        if not self.ready.is_set():
            if self._archive.catch_up():
                self.ready.set()
        elif self._archive.standby:
            self._archive.keep_up(_LOOK_S)

    def _missing(self) -> dict[str, float]:
        return {name: since for name, since in self.expected.items() if name not in self._shelves}
