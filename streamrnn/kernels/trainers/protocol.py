"""What a trainer must offer. One file a trainer; the driver never asks which it has.

A trainer is an empty NamedTuple type; Numba compiles the driver once for each, as it does
for cells. Both functions read what the group's heads found (``heads.py``) through ``group``,
the address of the group's table, and move nothing but the network that it names.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any

from numba.core import types
from numba.extending import overload

from streamrnn.kernels.compiling import WITHIN


def trainer_learn(trainer: Any, cell: Any, group: int, row: int, scratch: int, places: Any) -> None:
    """Learn from the errors that the heads found, before the heads do.

    ``places`` = (ring slot of the newest forecast, the horizons, the shares of the group's
    experts (horizons, of a mixture's width), that width).
    """


def trainer_follow(trainer: Any, cell: Any, group: int, row: int, places: Any) -> None:
    """Keep what learning will need of the step just made; ``places`` = (ring slot, masked)."""


def implements(stub: Callable[..., Any], tag: type) -> Callable[[Callable[..., Any]], Any]:
    """Register the decorated function as ``stub`` for the trainer ``tag``."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        def choose(trainer: Any, *rest: Any) -> Any:
            matches = isinstance(trainer, types.BaseNamedTuple) and trainer.instance_class is tag
            return function if matches else None

        choose.__signature__ = signature(stub)
        overload(stub, jit_options=WITHIN, strict=False)(choose)
        return function

    return register
