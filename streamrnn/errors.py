"""The exceptions that streamrnn raises.

::

    StreamrnnError
    ├── SettingsError            (ValueError)    a setting is wrong or does not fit the state
    ├── DataError                (ValueError)    a record or a file cannot be read
    ├── StateError               (ValueError)    saved state is damaged, foreign or mismatched
    └── UnsupportedMachineError  (RuntimeError)  the processor lacks what the kernels need
"""

from __future__ import annotations

__all__ = [
    "DataError",
    "SettingsError",
    "StateError",
    "StreamrnnError",
    "UnsupportedMachineError",
]


class StreamrnnError(Exception):
    """Base of every exception that streamrnn raises on purpose."""


class SettingsError(StreamrnnError, ValueError):
    """A setting is out of range, unknown, or does not fit the state it meets."""


class DataError(StreamrnnError, ValueError):
    """A record or a file cannot be read; the message says where and what to do."""


class StateError(StreamrnnError, ValueError):
    """Saved state is damaged, foreign, of another version or of other settings."""


class UnsupportedMachineError(StreamrnnError, RuntimeError):
    """The processor lacks instructions that the kernels need."""
