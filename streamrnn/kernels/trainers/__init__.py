"""How a forecasting group's network learns, by the name that settings give it."""

from __future__ import annotations

from streamrnn.kernels.trainers.descent import Descent
from streamrnn.kernels.trainers.frozen import Frozen
from streamrnn.kernels.trainers.kalman import RealTime
from streamrnn.kernels.trainers.window import Window

__all__ = ["Descent", "Frozen", "RealTime", "Window"]
