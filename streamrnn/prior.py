"""A prior: what new series begin from instead of nothing, pooled from others and frozen, as bytes.

Format 1, little-endian: magic (8 bytes), format (uint32), length of the header (uint32),
header (JSON: the settings that it was fitted with, how many series and records), the
numbers of ``pooled.py`` in the order that the settings give them, CRC-32 of all that comes before
it (uint32). Nothing that the bytes say of themselves is a size: their number must be the
one that the layout of the settings asks for, and they hold no number that a kernel counts or
indexes with.
"""

from __future__ import annotations

import hashlib
import json
import re
import struct
import zlib
from collections.abc import Mapping
from typing import Any

from streamrnn.errors import SettingsError, StateError

__all__ = ["Prior"]

MAGIC = b"strmpri\n"
FORMAT = 1
FITS = ("preset", "networks", "hidden", "k1", "k2", "recompute", "horizons", "lags", "season")
_PREFIX = struct.Struct("<8sII")
_CRC = struct.Struct("<I")
_DIGEST = re.compile(r"[0-9a-f]{64}")


class Prior:
    """A prior, or by its digest alone the name of one.

    Made by ``pooling.fit_prior`` or ``streamrnn prior fit``; a setting: ``Settings(prior=…)``.
    Two are equal where their bytes are.

    Parameters
    ----------
    digest : str
        SHA-256 of the bytes, in hexadecimal digits.
    data : bytes
        Empty where only the name is known.

    Raises
    ------
    SettingsError
        Where the digest is none.

    Examples
    --------
    >>> import numpy as np
    >>> from streamrnn import Batch, Prior, Settings
    >>> from streamrnn.pooling import fit_prior
    >>> values = np.random.default_rng(0).normal(size=(400, 1))
    >>> prior = fit_prior([Batch.of_one_series(values)], Settings(hidden=0, season="off"))
    >>> prior.series, prior.records
    (1, 400)
    >>> Prior.from_bytes(prior.data) == prior
    True
    """

    __slots__ = ("data", "digest")

    def __init__(self, digest: str, data: bytes = b"") -> None:
        if not _DIGEST.fullmatch(digest):
            raise SettingsError(
                f"prior is {digest!r}; give Prior.from_bytes(Path(…).read_bytes()), "
                "or on the command line the file that streamrnn prior fit wrote"
            )
        self.digest, self.data = digest, data

    @classmethod
    def of(cls, settings: Mapping[str, Any], series: int, records: int, numbers: bytes) -> Prior:
        """A prior from its parts; the same parts give the same bytes."""
        header = {"settings": settings, "series": series, "records": records}
        text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
        body = b"".join((_PREFIX.pack(MAGIC, FORMAT, len(text)), text, numbers))
        return cls._known(body + _CRC.pack(zlib.crc32(body)))

    @classmethod
    def from_bytes(cls, data: bytes) -> Prior:
        """The prior that bytes hold.

        Raises
        ------
        StateError
            Where they are not a prior, of a newer format, cut short or changed.
        """
        if len(data) < _PREFIX.size + _CRC.size or not data.startswith(MAGIC):
            raise StateError("this is no prior of streamrnn (it does not start with its mark)")
        _, version, _ = _PREFIX.unpack_from(data)
        if version != FORMAT:
            raise StateError(
                f"the prior has format {version}, this streamrnn reads format {FORMAT}; "
                "fit it anew, or use the version of streamrnn that wrote it"
            )
        if zlib.crc32(memoryview(data)[: -_CRC.size]) != _CRC.unpack(data[-_CRC.size :])[0]:
            raise StateError(
                f"the prior is damaged: its checksum does not match its {len(data)} bytes; fit it anew"
            )
        prior = cls._known(bytes(data))
        try:
            header = prior._header()
            ok = isinstance(header["settings"], dict) and set(header["settings"]) == {"channels", *FITS}
            ok = ok and isinstance(header["series"], int) and isinstance(header["records"], int)
        except (ValueError, KeyError, TypeError) as error:
            raise StateError(f"the prior's header cannot be read: {error!r}") from None
        if not ok:
            raise StateError("the prior's header is not one of this format")
        return prior

    @property
    def settings(self) -> dict[str, Any]:
        """What it was fitted with: the settings of ``FITS``, and how many channels."""
        found: dict[str, Any] = self._header()["settings"]
        return found

    @property
    def series(self) -> int:
        """How many series it was pooled from."""
        return int(self._header()["series"])

    @property
    def records(self) -> int:
        """How many records they had."""
        return int(self._header()["records"])

    @property
    def numbers(self) -> memoryview:
        """What ``pooled.py`` knows how to read."""
        return memoryview(self.data)[self._start() : -_CRC.size]

    def check_fits(self, settings: Mapping[str, Any], channels: int) -> None:
        """Refuse settings that it was not fitted with.

        Raises
        ------
        SettingsError
            Where they are others, or only the name of the prior is known.
        """
        if not self.data:
            raise SettingsError(
                f"the state began from the prior {self.digest[:12]}…, which is not at hand: give it as prior"
            )
        known = self.settings
        if known["channels"] != channels:
            raise SettingsError(
                f"the prior was fitted on records of {known['channels']} values, here each has {channels}; "
                "fit one on such series"
            )
        for name in FITS:
            asked = settings[name]
            if (list(asked) if isinstance(asked, tuple) else asked) != known[name]:
                raise SettingsError(
                    f"the prior was fitted with {name} {_shown(known[name])}, here it is {_shown(asked)}; "
                    "fit one with these settings, or use those that it was fitted with"
                )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Prior) and other.digest == self.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"Prior({self.digest[:12]}…)"

    @classmethod
    def _known(cls, data: bytes) -> Prior:
        return cls(hashlib.sha256(data).hexdigest(), data)

    def _start(self) -> int:
        return _PREFIX.size + int(_PREFIX.unpack_from(self.data)[2])

    def _header(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.data[_PREFIX.size : self._start()])
        return found


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else f"{value}"
