"""Where messages go that are no records: a topic, or a file."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Sequence
from pathlib import Path

from streamrnn.connectors.appending import AppendingFile
from streamrnn.connectors.kafka_clients.base import Headers
from streamrnn.connectors.kafka_sink import Topic
from streamrnn.connectors.messages import DeadLetter
from streamrnn.connectors.text import printable
from streamrnn.errors import SettingsError

__all__ = ["SCHEMA_VERSION", "FileDeadLetters", "KafkaDeadLetters"]

SCHEMA_VERSION = 1
"""Version of the headers and of the fields; it counts up where one changes its meaning."""

_MAX_VALUE_BYTES = 900_000  # a message as large as a topic allows has no room left for headers
_MAX_REASON = 500


class KafkaDeadLetters:
    """Sends dead letters to a topic, value and key as they came, the rest in headers.

    Headers are ``streamrnn.schema``, ``streamrnn.partition``, ``streamrnn.offset``
    and ``streamrnn.error``; ``streamrnn.cut`` holds the full size of a value that
    was too large to be sent whole.

    Parameters
    ----------
    sink : KafkaSink or another Topic
        Of the topic that takes them.

    Examples
    --------
    >>> from streamrnn.connectors.kafka import KafkaOptions
    >>> from streamrnn.connectors.kafka_sink import KafkaSink
    >>> letters = KafkaDeadLetters(KafkaSink(KafkaOptions(brokers=("localhost:9092",)), "dead"))
    >>> letters.write([])
    >>> letters.close()
    """

    def __init__(self, sink: Topic) -> None:
        self._sink = sink

    def write(self, dead: Sequence[DeadLetter]) -> None:
        """Take dead letters, all or none; raises as ``KafkaSink.write_messages``."""
        values = [(letter.value or b"")[:_MAX_VALUE_BYTES] for letter in dead]
        self._sink.write_messages(values, [letter.key for letter in dead], [_headers(d) for d in dead])

    def flush(self, timeout_s: float) -> None:
        """Wait until all are acknowledged; raises as ``KafkaSink.flush``."""
        self._sink.flush(timeout_s)

    def close(self) -> None:
        """Flush and disconnect; raises as ``KafkaSink.close``."""
        self._sink.close()


class FileDeadLetters:
    r"""Appends dead letters to a file of JSON lines, in plain ASCII.

    A line has ``schema``, ``partition``, ``offset``, ``error``, and ``value`` and
    ``key`` as text; bytes that are no UTF-8 stand in ``value_base64`` and
    ``key_base64`` instead. A last line that a crash cut short is cut off.

    Parameters
    ----------
    path : str or Path
    keep : int, optional
        Go on behind so many bytes and cut off the rest; without it, behind the
        last whole line.

    Raises
    ------
    SettingsError
        Where the file cannot be opened for writing.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "dead.jsonl"
    >>> letters = FileDeadLetters(file)
    >>> letters.write([DeadLetter("flow-3", 41, "cut", b"\x1b[31m{", None)])
    >>> letters.close()
    >>> print(file.read_text(), end="")
    {"schema": 1, "partition": "flow-3", "offset": 41, "error": "cut", "value": "\u001b[31m{", "key": null}
    """

    def __init__(self, path: str | Path, *, keep: int | None = None) -> None:
        try:
            self._file = AppendingFile(Path(path), _whole_lines(Path(path)) if keep is None else keep)
        except OSError as error:
            raise SettingsError(f"cannot write {printable(str(path))}: {error.strerror}") from None

    def write(self, dead: Sequence[DeadLetter]) -> None:
        """Take dead letters, all or none.

        Raises
        ------
        RetriableError
            Where there is no room for them now.
        OSError
            Where the disk fails otherwise.
        """
        self._file.write("".join(_line(letter) for letter in dead).encode("ascii"))

    def flush(self, timeout_s: float) -> None:
        """Have all on the disk; raises as ``sync``."""
        self.sync()

    def sync(self) -> int:
        """Have all on the disk; the length of the file. OSError where the disk fails."""
        return self._file.sync()

    def close(self) -> None:
        """Flush and close; may be called twice."""
        if not self._file.closed:
            self.flush(0.0)
            self._file.close()


def _headers(letter: DeadLetter) -> Headers:
    headers = [
        ("streamrnn.schema", str(SCHEMA_VERSION).encode()),
        ("streamrnn.partition", letter.partition.encode(errors="replace")),
        ("streamrnn.offset", str(letter.offset).encode()),
        ("streamrnn.error", letter.reason[:_MAX_REASON].encode(errors="replace")),
    ]
    size = len(letter.value or b"")
    return [*headers, ("streamrnn.cut", str(size).encode())] if size > _MAX_VALUE_BYTES else headers


def _line(letter: DeadLetter) -> str:
    fields: dict[str, object] = {
        "schema": SCHEMA_VERSION,
        "partition": letter.partition,
        "offset": letter.offset,
        "error": letter.reason,
    }
    for name, data in (("value", letter.value), ("key", letter.key)):
        try:
            fields[name] = None if data is None else data.decode("utf-8")
        except UnicodeDecodeError:
            fields[f"{name}_base64"] = base64.b64encode(data or b"").decode("ascii")
    return json.dumps(fields) + "\n"


def _whole_lines(path: Path) -> int:
    """How many bytes of a file there are up to the last line's end."""
    if not path.exists():
        return 0
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        while end:
            start = max(0, end - 65_536)
            file.seek(start)
            found = file.read(end - start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            end = start
    return 0
