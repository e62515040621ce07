"""One piece of blocking work in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["Background"]

T = TypeVar("T")


class Background(Generic[T]):
    """Work that may take long, and whose result is fetched when it is there.

    The thread doesn't keep the process alive: work against a frozen server may
    never end.

    Parameters
    ----------
    work : callable
    discard : callable, optional
        Gets the result where nobody wants it any more.

    Examples
    --------
    >>> work = Background(lambda: 6 * 7)
    >>> work.wait(5.0), work.result()
    (True, 42)
    """

    def __init__(self, work: Callable[[], T], discard: Callable[[T], None] = lambda result: None) -> None:
        self._work = work
        self._discard = discard
        self._lock = threading.Lock()
        self._abandoned = False
        self._results: list[T] = []
        self._error: Exception | None = None
        self._done = threading.Event()
        threading.Thread(target=self._run, daemon=True).start()

    def wait(self, timeout_s: float) -> bool:
        """Whether it is done."""
        return self._done.wait(timeout_s)

    def result(self) -> T:
        """What the work returned; raises what it raised."""
        self._done.wait()
        if self._error is not None:
            raise self._error
        return self._results[0]

    def abandon(self) -> None:
        """Want the result no more; it is discarded, now or when it comes."""
        with self._lock:
            self._abandoned = True
            results = list(self._results)
        for result in results:
            self._discard(result)

    def _run(self) -> None:
        try:
            result = self._work()
        except Exception as error:  # raised again where the result is asked for
            self._error = error
        else:
            with self._lock:
                self._results.append(result)
                abandoned = self._abandoned
            if abandoned:
                self._discard(result)
        finally:
            self._done.set()
