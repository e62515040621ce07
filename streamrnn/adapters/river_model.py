"""What the models in river's shape share; import them from ``streamrnn.adapters.river``."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from typing import Any

from streamrnn.adapters.growing import GrowingDetector
from streamrnn.detector import Detector
from streamrnn.errors import SettingsError
from streamrnn.values import values_of

__all__ = ["GATHER", "TARGET", "RiverModel", "target"]

GATHER = 32  # first records that may bring new features, unless told otherwise
TARGET = "y"  # the target's channel; features beside it are called x.name


class RiverModel:
    """One growing detector under river's rules: each argument is kept under its name."""

    gather: int
    time: str | None
    seed: int | None
    settings: dict[str, Any]
    _stream: GrowingDetector

    def __getstate__(self) -> tuple[str, GrowingDetector]:
        # Equal models give equal bytes, as in GrowingDetector.
        return json.dumps({k: v for k, v in vars(self).items() if k != "_stream"}), self._stream

    def __setstate__(self, state: tuple[str, GrowingDetector]) -> None:
        vars(self).update(json.loads(state[0]), _stream=state[1])

    @property
    def detector(self) -> Detector | None:
        """The detector inside; None before the first feature. It is the model's own: ask, don't feed."""
        return self._stream.detector

    @property
    def n_ignored(self) -> int:
        """How many values of features that came too late were ignored."""
        return self._stream.n_ignored

    @property
    def _raw_memory_usage(self) -> int:
        """Bytes of the model's state; river's own count would walk into the compiled kernels."""
        return len(pickle.dumps(self))

    def _start(self, settings: dict[str, Any], leading: tuple[str, ...] = (), **own: Any) -> None:
        """Set up the detector from what ``__init__`` was given; ``own`` are settings that it decides."""
        for name in ("channels", *own):
            if name in settings:
                raise SettingsError(f"{name} cannot be set here; the records and other arguments decide it")
        self.settings = settings
        self._stream = GrowingDetector(self.gather, leading, seed=self.seed or 0, **own, **settings)

    def _time_of(self, x: Mapping[Any, Any]) -> Any:
        return None if self.time is None else x.get(self.time)

    def _features(self, x: Mapping[Any, Any], prefix: str = "") -> dict[str, Any]:
        """The features beside the time; prefixed, so that none has the target's name."""
        return {f"{prefix}{name}": value for name, value in x.items() if name != self.time}


def target(y: Any) -> float:
    """A target as a number; NaN where it is missing, DataError where it is neither."""
    return float(values_of({TARGET: y}, (TARGET,))[0])
