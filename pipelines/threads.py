"""Threads that score at the same time: kernels run without Python's lock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait

__all__ = ["Threads"]


class Threads:
    """``Workers`` of a fleet; the caller's thread is one of them.

    Parameters
    ----------
    count : int

    Examples
    --------
    >>> done = []
    >>> threads = Threads(2)
    >>> threads.run([lambda: done.append(1), lambda: done.append(2)])
    >>> sorted(done)
    [1, 2]
    >>> threads.close()
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._pool = ThreadPoolExecutor(count - 1, "streamrnn") if count > 1 else None

    def run(self, tasks: Sequence[Callable[[], None]]) -> None:
        """Run all tasks and return when all are done."""
        others = [] if self._pool is None else [self._pool.submit(task) for task in tasks[1:]]
        try:
            for task in tasks[: 1 if self._pool else None]:
                task()
        finally:
            wait(others)  # nobody may still write to memory that the caller gives back
        for other in others:
            other.result()

    def close(self) -> None:
        """Have the threads end."""
        if self._pool is not None:
            self._pool.shutdown()
