"""Bounds and small magnitudes of vectors, which only cells with rectifiers ask for."""

from __future__ import annotations

from typing import Any

from numba.extending import intrinsic

from streamrnn.kernels.emit import Emitter
from streamrnn.kernels.vector import Vector, as_vector


@intrinsic
def rectify(_typing: Any, vector: Any, cap: Any) -> Any:
    """A vector held within 0 and ``cap``, a constant; ``cap`` where it is NaN."""
    if not isinstance(vector, Vector):
        return None

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        emitter = Emitter(builder, vector.element)
        bound = as_vector(emitter, context, sig.args[1], args[1])
        below = builder.select(builder.fcmp_ordered("<", args[0], bound), args[0], bound)
        return builder.select(builder.fcmp_ordered(">", below, emitter.zero), below, emitter.zero)

    return vector(vector, cap), emit


@intrinsic
def inside(_typing: Any, vector: Any, cap: Any) -> Any:
    """1 in every lane that lies between 0 and ``cap``, and 0 in the others."""
    if not isinstance(vector, Vector):
        return None

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        emitter = Emitter(builder, vector.element)
        bound = as_vector(emitter, context, sig.args[1], args[1])
        low = builder.fcmp_ordered(">", args[0], emitter.zero)
        high = builder.fcmp_ordered("<", args[0], bound)
        return builder.select(builder.and_(low, high), emitter.constant(1.0), emitter.zero)

    return vector(vector, cap), emit


@intrinsic
def unless_nearer(_typing: Any, vector: Any, least: Any) -> Any:
    """A vector with 0 in the lanes that are nearer to 0 than ``least``, a constant; a NaN stays."""
    if not isinstance(vector, Vector):
        return None

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        emitter = Emitter(builder, vector.element)
        bound = as_vector(emitter, context, sig.args[1], args[1])
        near = builder.fcmp_ordered("<", emitter.call("fabs", args[0]), bound)
        return builder.select(near, emitter.zero, args[0])

    return vector(vector, least), emit
