"""streamrnn finds anomalies in live sensor streams with recurrent networks that learn online.

Start with ``Detector``. Importing the package costs nothing: the compiled core
loads when a name is first used.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streamrnn.detector import Detector
    from streamrnn.errors import (
        DataError,
        FatalConnectorError,
        RetriableError,
        SettingsError,
        StateError,
        StoreError,
        StreamrnnError,
        UnsupportedMachineError,
    )
    from streamrnn.feedback import Feedback, Position
    from streamrnn.fleet import Fleet
    from streamrnn.prior import Prior
    from streamrnn.records import Batch, Results
    from streamrnn.result import Expectation, Forecast, Result, Season
    from streamrnn.settings import Settings

__version__ = "0.1.0"

_HOMES = {
    "Batch": "records",
    "DataError": "errors",
    "Detector": "detector",
    "Expectation": "result",
    "Feedback": "feedback",
    "Fleet": "fleet",
    "Forecast": "result",
    "Position": "feedback",
    "Prior": "prior",
    "Result": "result",
    "Results": "records",
    "Season": "result",
    "Settings": "settings",
    "SettingsError": "errors",
    "StateError": "errors",
    "StreamrnnError": "errors",
    "FatalConnectorError": "errors",
    "RetriableError": "errors",
    "StoreError": "errors",
    "UnsupportedMachineError": "errors",
}

__all__ = [
    "Batch",
    "DataError",
    "Detector",
    "Expectation",
    "FatalConnectorError",
    "Feedback",
    "Fleet",
    "Forecast",
    "Position",
    "Prior",
    "Result",
    "Results",
    "RetriableError",
    "Season",
    "Settings",
    "SettingsError",
    "StateError",
    "StoreError",
    "StreamrnnError",
    "UnsupportedMachineError",
    "__version__",
]

# In a source checkout connectors/ and pipelines/ live beside this folder.
_here = Path(__file__).resolve().parent
if not (_here / "connectors").is_dir():
    __path__.append(str(_here.parent))


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
