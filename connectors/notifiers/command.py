"""A command that is given each notification: for whatever no other channel reaches."""

from __future__ import annotations

import os
import selectors
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from streamrnn.connectors.notifications import Notification
from streamrnn.connectors.notifiers.body import encoded, webhook_body
from streamrnn.connectors.notifiers.http import SECRET
from streamrnn.connectors.notifiers.signatures import message_id
from streamrnn.connectors.notifiers.texts import line
from streamrnn.errors import DeliveryError, SettingsError

__all__ = ["REFUSED", "CommandNotifier", "CommandOptions"]

REFUSED = 65
"""The exit code (sysexits' EX_DATAERR) by which a command says that it will never take this."""

# What a command finds of our environment: its other variables often hold secrets.
_INHERITED = ("PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR")
_KEPT_OUTPUT = 4096  # bytes; the rest is read, so that no command is stuck, and forgotten
_LONGEST_QUOTE = 200
_LOOK_S = 0.05  # how often to look for the end of a command whose output another process holds open


@dataclass(frozen=True, kw_only=True)
class CommandOptions:
    """What to start.

    Attributes
    ----------
    command : tuple of str
        A program and its arguments; no shell reads them.
    environment : mapping of str to str
        Variables beside PATH, HOME, USER, LANG, LC_ALL, TZ and TMPDIR; secrets.
    timeout_s : float
        Then the command is killed, with all that it started.

    Raises
    ------
    SettingsError

    Examples
    --------
    >>> CommandOptions(command=("cat",), environment={"TOKEN": "secret"})
    CommandOptions(command=('cat',), timeout_s=30.0)
    """

    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict, repr=False, metadata=SECRET)
    timeout_s: float = 30.0

    def __post_init__(self) -> None:
        if not self.command or shutil.which(self.command[0]) is None:
            raise SettingsError(f"command is {list(self.command)!r}; its first part is no program")
        if any("\0" in part for part in self.command):
            raise SettingsError("command holds a zero character, which no argument may")
        if any("\0" in name + value or "=" in name or not name for name, value in self.environment.items()):
            raise SettingsError("environment holds a name or a value that no variable may have")
        if not 0 < self.timeout_s < 3600:
            raise SettingsError(f"timeout_s is {self.timeout_s!r}; give seconds from 0 to 3600")


class CommandNotifier:
    """A channel that starts a command for each notification.

    On standard input it finds the body that a webhook would have, and in the
    environment ``STREAMRNN_NOTIFICATION_ID``, which repetitions share. Exit code
    0 is delivered, 65 refused for good, any other tried again.

    Examples
    --------
    >>> notifier = CommandNotifier(CommandOptions(command=("cat",)))
    >>> notifier.close()
    """

    def __init__(self, options: CommandOptions) -> None:
        self._options = options

    def send(self, notification: Notification) -> None:
        """Run the command to its end; see ``Notifier``."""
        place = f"{line(notification.receiver)}: {line(Path(self._options.command[0]).name)}"
        deadline = time.monotonic() + self._options.timeout_s
        with tempfile.TemporaryFile() as given:  # a pipe could fill while nobody reads it
            given.write(encoded(webhook_body(notification)))
            given.seek(0)
            try:
                process = self._start(given, notification)
            except OSError as error:
                raise DeliveryError(f"{place} cannot be started: {error.strerror}", retriable=True) from None
        with process:
            output = _watched(process, deadline)
        if process.returncode != 0:
            raise self._failure(place, process.returncode, output, late=time.monotonic() >= deadline)

    def close(self) -> None:
        """Nothing stays open between messages."""

    def _start(self, given: IO[bytes], notification: Notification) -> subprocess.Popen[bytes]:
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        own = {"STREAMRNN_NOTIFICATION_ID": message_id(notification.id)}
        return subprocess.Popen(
            self._options.command,
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**inherited, **self._options.environment, **own},
            start_new_session=True,  # a group of its own, to be killed as one
        )

    def _failure(self, place: str, code: int, output: bytes, *, late: bool) -> DeliveryError:
        if late and code == -signal.SIGKILL:
            why = f"did not end within {self._options.timeout_s:g} s"
        elif code < 0:
            why = f"was ended by signal {-code}"
        else:
            why = f"ended with exit code {code}"
        said = output.decode("utf-8", "replace").strip().rpartition("\n")[2]
        for secret in self._options.environment.values():
            said = said.replace(secret, "********") if secret else said
        quote = f": {line(said, _LONGEST_QUOTE)}" if said else ""
        return DeliveryError(f"{place} {why}{quote}", retriable=code != REFUSED)


def _watched(process: subprocess.Popen[bytes], deadline: float) -> bytes:
    """The end of what a process says until it ends, or is killed because its time is over."""
    tail = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)  # type: ignore[arg-type]
        while time.monotonic() < deadline:
            if selector.select(min(_LOOK_S, deadline - time.monotonic())):
                said = os.read(process.stdout.fileno(), 65_536)  # type: ignore[union-attr]
                tail = (tail + said)[-_KEPT_OUTPUT:]
                if not said:
                    break
            elif process.poll() is not None:
                break
    try:
        process.wait(max(deadline - time.monotonic(), 0.0))
    except subprocess.TimeoutExpired:
        _kill(process)
        process.wait()
    return tail


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a process and all of its group."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
