"""Bounds and small magnitudes of vectors, which only cells with rectifiers ask for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba.extending import intrinsic

from streamrnn.kernels.emit import Emitter
from streamrnn.kernels.vector import Vector, as_vector


def _bounded(emit_one: Callable[[Emitter, Any, Any], Any]) -> Any:
    """A function of a vector and a bound, which is a number."""

    @intrinsic
    def function(_typing: Any, vector: Any, bound: Any) -> Any:
        if not isinstance(vector, Vector):
            return None

        def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            emitter = Emitter(builder, vector.element)
            return emit_one(emitter, args[0], as_vector(emitter, context, sig.args[1], args[1]))

        return vector(vector, bound), emit

    return function


@_bounded
def rectify(emitter: Emitter, x: Any, cap: Any) -> Any:
    """A vector held within 0 and ``cap``; ``cap`` where it is NaN."""
    builder = emitter.builder
    below = builder.select(builder.fcmp_ordered("<", x, cap), x, cap)
    return builder.select(builder.fcmp_ordered(">", below, emitter.zero), below, emitter.zero)


@_bounded
def inside(emitter: Emitter, x: Any, cap: Any) -> Any:
    """1 in every lane that lies between 0 and ``cap``, and 0 in the others."""
    builder = emitter.builder
    low, high = builder.fcmp_ordered(">", x, emitter.zero), builder.fcmp_ordered("<", x, cap)
    return builder.select(builder.and_(low, high), emitter.constant(1.0), emitter.zero)


@_bounded
def unless_nearer(emitter: Emitter, x: Any, least: Any) -> Any:
    """A vector with 0 in the lanes that are nearer to 0 than ``least``; a NaN stays."""
    near = emitter.builder.fcmp_ordered("<", emitter.call("fabs", x), least)
    return emitter.builder.select(near, emitter.zero, x)
