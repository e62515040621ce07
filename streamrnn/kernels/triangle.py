"""The product of symmetric matrices, kept as triangles, of many units at once: the Kalman filter's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numba.core import types
from numba.extending import intrinsic

from streamrnn.kernels.emit import VECTOR_BYTES, CountedLoop, Emitter, has_wide_registers, index

# (rows of a tile, in how many parts its lanes are done), by vectors that are multiplied.
_TILES = {1: ((4, 1), (1, 1)), 2: ((3, 1), (1, 1)), 3: ((2, 1), (1, 1))}
# Of registers of 32 bytes a tile holds as many as it would of 64 bytes if its lanes are halved.
_FEW_TILES = {1: ((4, 2), (1, 1)), 2: ((2, 2), (1, 1)), 3: ((1, 2),)}


@intrinsic
def downdate_and_multiply(
    _t: Any,
    matrix: Any,
    befores: Any,
    factors: Any,
    vs: Any,
    outs: Any,
    size: Any,
    stride: Any,
    raise_by: Any,
    cap: Any,
) -> Any:
    """P <- P - sum_c f_c b_c b_c' + raise I, then out_c = P v_c, for a symmetric P in every lane.

    ``matrix`` has the lower triangle by rows, element (i, k) a vector of lanes at
    ``i (i + 1) / 2 + k``; ``befores`` (b), ``vs`` and ``outs`` are tuples of pointers, whose
    element i is the vector at ``i * stride``; of ``factors`` (f) each is one vector. Diagonal
    elements are held at ``cap``. Each element of P is read and written once.
    """
    count = len(befores)
    if not len(factors) == len(vs) == len(outs) == count:
        return None

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        emitter = Emitter(builder, matrix.dtype)
        b, factor, v, out = ([builder.extract_value(each, c) for c in range(count)] for each in args[1:5])
        f = _negated(emitter, factor)
        raised = [
            context.cast(builder, x, kind, matrix.dtype)
            for x, kind in zip(args[7:], sig.args[7:], strict=True)
        ]
        bounds = [emitter.splat(x) for x in raised]
        size_, stride_ = args[5:7]
        row: Any = index(0)
        for height, parts in (_TILES if has_wide_registers(context) else _FEW_TILES)[count]:
            stop = builder.sub(size_, index(height - 1))
            with CountedLoop(builder, row, stop, height, []) as rows:
                tile = (rows.i, height)
                if parts == 1:
                    _triangle_rows(emitter, (args[0], b, f, v, out, stride_), tile, bounds)
                else:
                    operands = ([args[0]], b, factor, v, out)
                    _triangle_parts(builder, matrix.dtype, parts, (operands, stride_), tile, raised)
            row = rows.i
        return context.get_dummy_value()

    i = types.int64
    return types.void(matrix, befores, factors, vs, outs, i, i, raise_by, cap), emit


def _negated(emitter: Emitter, factors: Sequence[Any]) -> list[Any]:
    return [emitter.builder.fmul(emitter.load(each, index(0)), emitter.constant(-1.0)) for each in factors]


def _triangle_parts(
    builder: Any,
    element: Any,
    parts: int,
    operands: tuple[Sequence[Sequence[Any]], Any],
    tile: tuple[Any, int],
    raised: Sequence[Any],
) -> None:
    """``_triangle_rows`` of one part of the lanes after the other."""
    emitter = Emitter(builder, element, VECTOR_BYTES // parts)
    pointers, stride = operands
    with CountedLoop(builder, index(0), index(parts * emitter.lanes), emitter.lanes, []) as part:
        (matrix,), b, factor, v, out = ([builder.gep(each, [part.i]) for each in some] for some in pointers)
        f, bounds = _negated(emitter, factor), [emitter.splat(x) for x in raised]
        _triangle_rows(emitter, (matrix, b, f, v, out, stride), tile, bounds)


def _triangle_rows(  # noqa: C901 - two loops of one tile
    emitter: Emitter, operands: Sequence[Any], tile: tuple[Any, int], bounds: Sequence[Any]
) -> None:
    """Rows ``tile[0]`` to ``tile[0] + tile[1]`` of ``downdate_and_multiply``."""
    matrix, befores, factors, vs, outs, stride = operands
    first, height = tile
    builder, count, unit = emitter.builder, range(len(befores)), VECTOR_BYTES // emitter.item_bytes
    indices = [builder.add(first, index(n)) for n in range(height)]
    starts = [
        builder.mul(builder.sdiv(builder.mul(i, builder.add(i, index(1))), index(2)), index(unit))
        for i in indices
    ]
    at_rows = [builder.mul(i, stride) for i in indices]
    of_v = [[emitter.load(vs[c], at) for c in count] for at in at_rows]
    of_b = [[emitter.load(befores[c], at) for c in count] for at in at_rows]
    taken = [[builder.fmul(b[c], factors[c]) for c in count] for b in of_b]

    def lowered(at: Any, row: int, b: Sequence[Any]) -> tuple[Any, Any]:
        place = builder.add(starts[row], at)
        p = emitter.load(matrix, place)
        for c in count:
            p = emitter.fma(taken[row][c], b[c], p)
        return place, p

    def added(p: Any, to: Sequence[Any], v: Sequence[Any]) -> list[Any]:
        return [emitter.fma(p, v[c], to[c]) for c in count]

    with CountedLoop(builder, index(0), first, 1, [emitter.zero] * (height * len(befores))) as loop:
        at, column = builder.mul(loop.i, stride), builder.mul(loop.i, index(unit))
        v, b, totals = ([emitter.load(each[c], at) for c in count] for each in (vs, befores, outs))
        sums = [list(loop.carried[n * len(befores) : (n + 1) * len(befores)]) for n in range(height)]
        for n in range(height):
            place, p = lowered(column, n, b)
            emitter.store(p, matrix, place)
            sums[n], totals = added(p, sums[n], v), added(p, totals, of_v[n])
        for c in count:
            emitter.store(totals[c], outs[c], at)
        loop.carry([total for row in sums for total in row])
    sums = [list(loop.carried[n * len(befores) : (n + 1) * len(befores)]) for n in range(height)]
    corner = builder.mul(first, index(unit))
    for n in range(height):
        for m in range(n + 1):
            place, p = lowered(builder.add(corner, index(m * unit)), n, of_b[m])
            if m == n:
                p = builder.fadd(p, bounds[0])
                p = builder.select(builder.fcmp_ordered("<", p, bounds[1]), p, bounds[1])
            else:
                sums[m] = added(p, sums[m], of_v[n])
            emitter.store(p, matrix, place)
            sums[n] = added(p, sums[n], of_v[m])
    for at, totals in zip(at_rows, sums, strict=True):
        for c in count:
            emitter.store(totals[c], outs[c], at)
