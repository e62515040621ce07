"""The exceptions that streamrnn raises.

::

    StreamrnnError
    ├── SettingsError            (ValueError)    a setting is wrong or does not fit the state
    ├── DataError                (ValueError)    a record or a file cannot be read
    ├── StateError               (ValueError)    saved state is damaged, foreign or mismatched
    ├── RetriableError           (OSError)       a connector failed for now; try again
    ├── FatalConnectorError      (RuntimeError)  a connector failed; trying again does not help
    │   └── FencedError                          another one writes under our name now
    ├── DeliveryError            (OSError)       a notification did not arrive; says whether to try again
    ├── StoreError               (OSError)       what a run keeps cannot be written, or is in use
    └── UnsupportedMachineError  (RuntimeError)  the processor lacks what the kernels need
"""

from __future__ import annotations

__all__ = [
    "DataError",
    "DeliveryError",
    "FatalConnectorError",
    "FencedError",
    "RetriableError",
    "SettingsError",
    "StateError",
    "StoreError",
    "StreamrnnError",
    "UnsupportedMachineError",
]


class StreamrnnError(Exception):
    """Base of every exception that streamrnn raises on purpose.

    Examples
    --------
    >>> from streamrnn import Detector, StreamrnnError
    >>> try:
    ...     Detector(hidden=-1)
    ... except StreamrnnError as error:
    ...     print(error)
    hidden is -1; give a whole number from 0 to 512
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


class RetriableError(StreamrnnError, OSError):
    """A connector could not do it now: a server is away or slow; the same call may succeed later.

    Examples
    --------
    >>> from streamrnn.errors import RetriableError
    >>> try:
    ...     raise RetriableError("localhost:9092 does not answer")
    ... except OSError as error:
    ...     print("later:", error)
    later: localhost:9092 does not answer
    """


class FatalConnectorError(StreamrnnError, RuntimeError):
    """A connector can't do it, and trying again does not help: a wrong password, an unknown topic.

    Examples
    --------
    >>> from streamrnn.errors import FatalConnectorError
    >>> raise FatalConnectorError("topic 'flow' is unknown; create it")
    Traceback (most recent call last):
    ...
    streamrnn.errors.FatalConnectorError: topic 'flow' is unknown; create it
    """


class FencedError(FatalConnectorError):
    """Another one has begun to write under our name, and what we had not committed is undone.

    Examples
    --------
    >>> from streamrnn.errors import FatalConnectorError, FencedError
    >>> try:
    ...     raise FencedError("localhost:9092 takes no more from 'streamrnn-flow'")
    ... except FatalConnectorError as error:
    ...     print(error)
    localhost:9092 takes no more from 'streamrnn-flow'
    """


class DeliveryError(StreamrnnError, OSError):
    """A notification did not arrive, or nobody knows whether it did.

    Attributes
    ----------
    retriable : bool
        Whether the same notification may arrive later.
    retry_after_s : float or None
        How long the receiver asks us to wait, in seconds.
    gone : bool
        Whether the receiver wants nothing any more (HTTP 410): disable the endpoint.

    Examples
    --------
    >>> from streamrnn.errors import DeliveryError
    >>> error = DeliveryError("night shift: ops.example answered 429", retriable=True, retry_after_s=30.0)
    >>> error.retriable, error.retry_after_s, error.gone
    (True, 30.0, False)
    """

    def __init__(
        self, message: str, *, retriable: bool, retry_after_s: float | None = None, gone: bool = False
    ) -> None:
        super().__init__(message)
        self.retriable = retriable
        self.retry_after_s = retry_after_s
        self.gone = gone


class StoreError(StreamrnnError, OSError):
    """The file where a run keeps its state cannot be written or read, or another process writes to it.

    What was stored before stays; where the disk was full, the same call works when there is room.

    Examples
    --------
    >>> from streamrnn.pipelines.store import Store
    >>> Store("/no/such/folder/state.db")
    Traceback (most recent call last):
    ...
    streamrnn.errors.StoreError: cannot open /no/such/folder/state.db: No such file or directory
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
