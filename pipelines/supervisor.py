"""What the operating system says to a daemon and wants to hear of it: signals and systemd."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

__all__ = ["Signals", "notify", "watchdog_s"]

_INTERRUPTED = 130


class Signals:
    """SIGTERM and SIGINT ask to leave, once; a second one leaves at once. SIGHUP asks to reload.

    Attributes
    ----------
    stop : bool
        Whether it is time to leave.
    """

    def __init__(self) -> None:
        self.stop = False
        self._reload = False

    def take_reload(self) -> bool:
        """Whether a reload was asked for since this was last asked."""
        asked, self._reload = self._reload, False
        return asked

    @contextmanager
    def handled(self) -> Iterator[Signals]:
        """Listen to the signals while this lasts; only in the main thread."""
        handlers = {signal.SIGTERM: self._leave, signal.SIGINT: self._leave, signal.SIGHUP: self._again}
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _leave(self, number: int, frame: FrameType | None) -> None:
        if self.stop:
            os._exit(_INTERRUPTED)  # what is not safe by now is read again at the next start
        self.stop = True

    def _again(self, number: int, frame: FrameType | None) -> None:
        self._reload = True


def notify(state: str) -> None:
    """Tell systemd how things are (``READY=1``, ``WATCHDOG=1``, ``STOPPING=1``); nothing elsewhere.

    The protocol of sd_notify(3): a datagram to the socket that the environment names.
    """
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as speaker:
        speaker.connect("\0" + address[1:] if address.startswith("@") else address)
        speaker.sendall(state.encode())


def watchdog_s() -> float:
    """How often systemd wants to hear ``WATCHDOG=1``, seconds; 0 where it does not."""
    return int(os.environ.get("WATCHDOG_USEC") or 0) / 2e6
