"""Files as bytes: what kind they are, their first part, and samples from further in."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import re
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from streamrnn.connectors.base import STANDARD
from streamrnn.connectors.growing import GrowingFile
from streamrnn.connectors.text import printable
from streamrnn.errors import DataError

__all__ = ["Opened", "fingerprint_of", "reading"]

_FINGERPRINT_BYTES = 65_536
_HEAD_BYTES = 262_144  # what is looked at before anything is read
_LONGEST_HEAD = 4_194_304
_FEWEST_LINES = 20
_UNPACKED_BYTES = 16_777_216  # of a packed file that are looked at: a tenth of a second
_SAMPLE_BYTES = 32_768
_SAMPLES = 4  # parts of a long file that are looked at beside its head
_GZIP = b"\x1f\x8b"
_FOREIGN = {
    b"PK\x03\x04": "a zip archive or a spreadsheet; unpack it, or save the sheet as CSV",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook; save the sheet as CSV",
    b"%PDF": "a PDF file",
    b"\x89PNG": "a picture",
    b"\x28\xb5\x2f\xfd": "compressed with zstd; unpack it first",
    b"BZh": "compressed with bzip2; unpack it first",
    b"\xfd7zXZ": "compressed with xz; unpack it first",
    b"\x89HDF": "an HDF5 file; export the table as CSV or Parquet",
}


class Opened:
    """An open file, unpacked where it is gzip.

    Attributes
    ----------
    title : str
        Base name of the file, safe to show; never a path.
    fingerprint : str
        Eight hexadecimal digits that depend on the first two lines that hold
        something: a file that grows keeps it.
    head : bytes
        The first 256 KiB; more where lines are long, so that some are whole.
    goes_on : bool
        Whether there is more behind the head.
    samples : list of bytes
        Parts from further in and from the very end; each starts and ends
        anywhere. None of a pipe; of a packed file only as far as is cheap to unpack.
    stream : BinaryIO or GrowingFile
        Everything, from the first byte on; of a growing file its whole lines.

    Raises
    ------
    DataError
        Where it cannot be opened, or is of a kind that is no table.
    """

    def __init__(self, path: str, *, growing: bool = False) -> None:
        self._path = path
        self.title = "stdin" if path == STANDARD else printable(Path(path).name)
        self._growing: GrowingFile | None = None
        self.stream: BinaryIO | GrowingFile
        self.head = b""
        self.samples: list[bytes] = []
        with reading(path):
            self._raw = cast(BinaryIO, sys.stdin.buffer if path == STANDARD else Path(path).open("rb"))  # noqa: SIM115 (kept open)
            try:
                self._look(self._raw)
                if growing and not self.head.startswith(_GZIP):
                    self.stream = self._growing = GrowingFile(self._raw)
                    self.head, self.samples = self.head[: self.head.rfind(b"\n") + 1], []
            except BaseException:
                self.close()
                raise

    @property
    def whole_lines(self) -> int:
        """How many lines of the head hold something and have their end."""
        return sum(1 for line in self.head.split(b"\n")[:-1] if line.strip())

    def is_replaced(self, path: str) -> bool:
        """Whether a path names another file than this growing one by now, or it was cut off."""
        return self._growing is not None and self._growing.is_replaced(path)

    @property
    def identity(self) -> tuple[int, int]:
        """Device and inode."""
        stat = os.fstat(self._raw.fileno())
        return stat.st_dev, stat.st_ino

    @property
    def written_ns(self) -> int:
        """When it was last written to, ns."""
        return os.fstat(self._raw.fileno()).st_mtime_ns

    @property
    def cut_off(self) -> bool:
        """Whether this growing file was cut off in place."""
        return self._growing is not None and self._growing.cut_off

    def finish(self) -> None:
        """Have a growing file end where it ends now, with a last line that has no end."""
        if self._growing is not None:
            self._growing.finish()

    @property
    def repeatable(self) -> bool:
        """Whether the file can be opened again and holds the same."""
        return self._raw.seekable() if not self._raw.closed else self._path != STANDARD

    @property
    def share_read(self) -> float | None:
        """How much of the file is read, 0 to 1; None of a pipe."""
        return min(self._raw.tell() / self._size, 1.0) if self._size and not self._raw.closed else None

    def close(self) -> None:
        """Close the file; stdin stays open."""
        if self._path != STANDARD:
            self._raw.close()

    def _look(self, raw: BinaryIO) -> None:
        head, more = _head(raw)
        packed = head.startswith(_GZIP)
        self._size = os.fstat(raw.fileno()).st_size if raw.seekable() else 0
        self.samples = list(self._taken(raw, len(head))) if raw.seekable() and not packed else []
        self.stream = stream = _rewound(raw, head)
        if packed:
            unpacked = cast(BinaryIO, gzip.GzipFile(fileobj=stream))
            head, more = _head(unpacked)
            self.stream = _behind(head, unpacked)
            if raw.seekable():
                self.samples = _samples(unpacked)
                raw.seek(0)
                self.stream = cast(BinaryIO, gzip.GzipFile(fileobj=raw))
        kind = next((what for magic, what in _FOREIGN.items() if head.startswith(magic)), None)
        if kind is not None:
            raise DataError(f"{self.title} is {kind}")
        self.head, self.goes_on = head, more
        self.fingerprint = fingerprint_of(head)

    def _taken(self, raw: BinaryIO, head_bytes: int) -> Iterator[bytes]:
        size = raw.seek(0, os.SEEK_END)
        if size <= head_bytes + _SAMPLES * _SAMPLE_BYTES:
            if size > head_bytes:
                raw.seek(head_bytes)
                yield raw.read(_SAMPLES * _SAMPLE_BYTES)
            return
        rest = size - head_bytes - _SAMPLE_BYTES
        for i in range(_SAMPLES):
            raw.seek(head_bytes + rest * (i + 1) // _SAMPLES)
            yield raw.read(_SAMPLE_BYTES)


def fingerprint_of(head: bytes) -> str:
    """Eight hexadecimal digits that tell a file by its first two lines that hold something."""
    lines = (line for line in head[:_FINGERPRINT_BYTES].splitlines(keepends=True) if line.strip())
    return hashlib.sha256(b"".join(islice(lines, 2))).hexdigest()[:8]


def _samples(unpacked: BinaryIO) -> list[bytes]:
    """Parts of what is behind the head of a packed file, as far as is cheap to unpack."""
    data = b""
    with suppress(zlib.error, EOFError, gzip.BadGzipFile):  # whoever reads so far will say so
        while len(data) < _UNPACKED_BYTES and (part := unpacked.read(1 << 20)):
            data += part
    rest = max(len(data) - _SAMPLE_BYTES, 0)
    starts = sorted({rest * (i + 1) // _SAMPLES for i in range(_SAMPLES)})
    return [data[start : start + _SAMPLE_BYTES] for start in starts] if data else []


@contextmanager
def reading(path: str) -> Iterator[None]:
    """Errors of the operating system and of unpacking as errors of the data, with the file's name."""
    shown = "stdin" if path == STANDARD else printable(path)
    try:
        yield
    except (zlib.error, EOFError, gzip.BadGzipFile) as error:
        raise DataError(f"{shown} is packed with gzip and damaged: {error}") from None
    except UnicodeError as error:
        raise DataError(f"{shown} is not written in its encoding: {error}; see --encoding") from None
    except OSError as error:
        raise DataError(f"cannot read {shown}: {error.strerror or error}") from None


def _head(stream: BinaryIO) -> tuple[bytes, bool]:
    """The first part of a stream, with some whole lines in it, and whether there is more."""
    head, asked = _read(stream, _HEAD_BYTES), _HEAD_BYTES
    while len(head) == asked < _LONGEST_HEAD and len(re.findall(b"[\r\n]", head)) < _FEWEST_LINES:
        head += _read(stream, asked)
        asked *= 2
    return head, len(head) == asked


def _read(stream: BinaryIO, size: int) -> bytes:
    """Up to ``size`` bytes; less only at the end, though a pipe hands over a little at a time."""
    parts = []
    while size > 0 and (part := stream.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _rewound(raw: BinaryIO, head: bytes) -> BinaryIO:
    if raw.seekable():
        raw.seek(0)
        return raw
    return _behind(head, raw)


def _behind(head: bytes, rest: IO[bytes]) -> BinaryIO:
    return cast(BinaryIO, io.BufferedReader(cast(Any, _Joined(head, rest)), 1 << 20))


class _Joined(io.RawIOBase):
    """Bytes that were read from a stream, then the rest of it."""

    def __init__(self, head: bytes, rest: IO[bytes]) -> None:
        self._head, self._rest = memoryview(head), rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._head[: len(buffer)] if self._head else self._rest.read(len(buffer))
        self._head = self._head[len(data) :]
        buffer[: len(data)] = data
        return len(data)
