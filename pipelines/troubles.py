"""What is in the way for a while: said once when it comes, and once when it is over."""

from __future__ import annotations

import logging

__all__ = ["Troubles"]


class Troubles:
    """Remembers what was said of.

    Parameters
    ----------
    log : Logger

    Examples
    --------
    >>> troubles = Troubles(logging.getLogger("streamrnn.example"))
    >>> troubles.hindered("nothing is saved", OSError("no room")), troubles.any
    (False, True)
    >>> troubles.over("nothing is saved"), troubles.any
    (True, False)
    """

    def __init__(self, log: logging.Logger) -> None:
        self._log, self._known = log, set[str]()

    @property
    def any(self) -> bool:
        """Whether anything is in the way now."""
        return bool(self._known)

    def hindered(self, what: str, error: Exception) -> bool:
        """Something is in the way; False."""
        if what not in self._known:
            self._log.warning("%s: %s", what, error)
        self._known.add(what)
        return False

    def over(self, what: str) -> bool:
        """It is not, now; True."""
        if what in self._known:
            self._log.info("no longer so: %s", what)
        self._known.discard(what)
        return True
