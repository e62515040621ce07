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
    """Base of every exception that streamrnn raises on purpose.

    Examples
    --------
    >>> from streamrnn import Detector, StreamrnnError
    >>> try:
    ...     Detector(hidden=0)
    ... except StreamrnnError as error:
    ...     print(error)
    hidden is 0; give a whole number from 1 to 512
    """


class SettingsError(StreamrnnError, ValueError):
    """A setting is out of range, unknown, or does not fit the state it meets.

    Examples
    --------
    >>> from streamrnn import Settings
    >>> Settings(false_alarms="1/fortnight")
    Traceback (most recent call last):
    ...
    streamrnn.errors.SettingsError: false_alarms is '1/fortnight'; give a budget such as ...
    """


class DataError(StreamrnnError, ValueError):
    """A record or a file cannot be read; the message says where and what to do.

    Examples
    --------
    >>> from streamrnn import Detector
    >>> Detector().process_one({"level": "high"})
    Traceback (most recent call last):
    ...
    streamrnn.errors.DataError: channel 'level' is 'high'; give a number, or None where it is missing
    """


class StateError(StreamrnnError, ValueError):
    """Saved state is damaged, foreign, of another version or of other settings.

    Examples
    --------
    >>> from streamrnn import Detector
    >>> Detector.from_bytes(b"something else")
    Traceback (most recent call last):
    ...
    streamrnn.errors.StateError: this is not a saved streamrnn state (it does not start with its mark)
    """


class UnsupportedMachineError(StreamrnnError, RuntimeError):
    """The processor lacks instructions that the kernels need.

    Raised when the kernels are first loaded, so a program can say so and go on without.

    Examples
    --------
    >>> from streamrnn import UnsupportedMachineError
    >>> try:
    ...     from streamrnn import Detector
    ... except UnsupportedMachineError as error:
    ...     print("no anomaly detection on this machine:", error)
    """
