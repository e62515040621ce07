"""What several steps at once need beside ``vector.py``: four sums in one go, numbers newest first."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from streamrnn.kernels.emit import CountedLoop, Emitter, index


@intrinsic
def fma_of_numbers(_typing: Any, a: Any, b: Any, c: Any) -> Any:
    """A * b + c with one rounding, of three float32 or three float64."""
    if not isinstance(a, types.Float) or not a == b == c:
        return None

    def emit(_context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        emitter = Emitter(builder, a)
        kind = emitter.scalar_type
        name = f"llvm.fma.{emitter.short_name}"
        function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, [kind] * 3), name)
        return builder.call(function, args)

    return a(a, b, c), emit


@intrinsic
def store_four_sums(_typing: Any, out: Any, offset: Any, vectors: Any, more: Any) -> Any:
    """Put the sums over the lanes of four vectors, as ``vector_sum``, and of each ``more`` at ``offset``."""
    if not isinstance(vectors, types.UniTuple) or vectors.count != 4:
        return None

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        emitter = Emitter(builder, out.dtype)
        width, parts = emitter.lanes, cgutils.unpack_tuple(builder, args[2])
        while width > 4:  # halves onto halves, each for itself
            width //= 2
            lower, upper = range(width), range(width, 2 * width)
            parts = [builder.fadd(emitter.shuffle(x, x, lower), emitter.shuffle(x, x, upper)) for x in parts]
        low, high = [0, 1, 4, 5], [2, 3, 6, 7]
        first, second = (
            builder.fadd(emitter.shuffle(x, y, low), emitter.shuffle(x, y, high))
            for x, y in (parts[:2], parts[2:])
        )
        even, odd = [0, 2, 4, 6], [1, 3, 5, 7]
        sums = builder.fadd(emitter.shuffle(first, second, even), emitter.shuffle(first, second, odd))
        added = Emitter(builder, out.dtype, 4 * emitter.item_bytes).splat(
            context.cast(builder, args[3], sig.args[3], out.dtype)
        )
        emitter.store(builder.fadd(sums, added), args[0], args[1])
        return context.get_dummy_value()

    return types.void(out, types.int64, vectors, more), emit


@intrinsic
def copy_backwards(_typing: Any, out: Any, source: Any, count: Any) -> Any:
    """Put ``source`` and the elements before it, ``count`` in all, at ``out`` and behind it."""
    if out != source:
        return None

    def emit(context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        emitter, (to, of, n) = Emitter(builder, out.dtype), args

        def put(at: Any, width: int) -> None:
            oldest = builder.sub(index(1 - width), at)
            vector = emitter.load_some(of, oldest, width)
            emitter.store(emitter.shuffle(vector, vector, range(width - 1, -1, -1)), to, at)

        with builder.if_else(builder.icmp_signed(">=", n, index(4))) as (many, few):
            with many:
                last = builder.sub(n, index(4))
                with CountedLoop(builder, index(0), last, 4, []) as loop:
                    put(loop.i, 4)
                put(last, 4)
            with few, CountedLoop(builder, index(0), n, 1, []) as loop:
                put(loop.i, 1)
        return context.get_dummy_value()

    return types.void(out, source, types.int64), emit
