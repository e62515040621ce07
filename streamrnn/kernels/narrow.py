"""Matrix products of cells without gates, whose rows are short: fixed orders of sums, as in ``matrix.py``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numba.core import types
from numba.extending import intrinsic

from streamrnn.kernels.emit import CountedLoop, Emitter, has_wide_registers, index

# (vectors of columns, chains): 8 independent sums, since each multiply-add waits 4 cycles for the one before.
_NARROW_BLOCKS = ((8, 1), (4, 2), (2, 4), (1, 8))
# Chains that are walked along at a time where registers are 16 of 32 bytes, by vectors: measured, of others
# all at once are as fast, or faster where the matrix is read from beyond the nearest cache.
_AT_ONCE = {4: 1}


@intrinsic
def narrow_matvec(
    _t: Any, matrix: Any, columns: Any, v: Any, whole: Any, rows: Any, out: Any, backwards: Any
) -> Any:
    """``matvec`` with few columns, which are the length of a row, and a v whose first part is just made.

    The first ``whole`` elements of v, a multiple of the lanes, are read as vectors, as they were written:
    a number of a vector that is still on its way to memory would have to wait for it. They are the
    last to be read; ``backwards`` is the direction in which to walk their rows.
    """

    def emit(context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        matrix_, columns_, v_, whole_, rows_, out_, backwards_ = args
        emitter = Emitter(builder, matrix.dtype)
        first = builder.mul(backwards_, builder.sub(whole_, index(emitter.lanes)))
        direction = builder.sub(index(1), builder.mul(index(2), backwards_))
        column: Any = index(0)
        for vectors, chains in _NARROW_BLOCKS:
            width = emitter.lanes * vectors
            at_once = chains if has_wide_registers(context) else _AT_ONCE.get(vectors, chains)
            with CountedLoop(builder, column, builder.sub(columns_, index(width - 1)), width, []) as loop:
                operands = (matrix_, columns_, v_, whole_, rows_, out_)
                _narrow_block(emitter, operands, loop.i, (vectors, chains, at_once), (first, direction))
            column = loop.i
        return context.get_dummy_value()

    i = types.int64
    return types.void(matrix, i, v, i, i, out, i), emit


def _narrow_block(
    emitter: Emitter,
    operands: Sequence[Any],
    column: Any,
    shape: tuple[int, int, int],
    walk: tuple[Any, Any],
) -> None:
    """out[column : column + vectors * lanes]: rows behind the whole ones, then those.

    So many chains of sums are walked along at once, then as many others.
    """
    matrix, stride, v, whole, rows, out = operands
    vectors, chains, at_once = shape
    builder, lanes = emitter.builder, emitter.lanes

    def add_row(sums: list[Any], weight: Any, row: Any) -> list[Any]:
        at = builder.add(builder.mul(row, stride), column)
        places = [builder.add(at, index(lanes * n)) for n in range(vectors)]
        return [
            emitter.fma(weight, emitter.load(matrix, place), total)
            for place, total in zip(places, sums, strict=True)
        ]

    with CountedLoop(builder, whole, rows, 1, [emitter.zero] * vectors) as rest:
        rest.carry(add_row(rest.carried, emitter.load_splat(v, rest.i), rest.i))
    first, direction = walk
    found: list[list[Any]] = [[] for _ in range(vectors)]
    for skipped in range(0, chains, at_once):
        sums = [[emitter.zero] * vectors for _ in range(at_once)]
        if skipped == 0:
            sums[0] = rest.carried
        with CountedLoop(
            builder, index(0), whole, lanes, [total for chain in sums for total in chain]
        ) as loop:
            start = builder.add(first, builder.mul(direction, loop.i))
            vector, flat = emitter.load(v, start), loop.carried
            sums = [flat[chain * vectors : (chain + 1) * vectors] for chain in range(at_once)]
            for lane in range(lanes):
                chain = lane % chains - skipped
                if 0 <= chain < at_once:
                    weight = emitter.shuffle(vector, vector, [lane] * lanes)
                    sums[chain] = add_row(sums[chain], weight, builder.add(start, index(lane)))
            loop.carry([total for chain in sums for total in chain])
        for n in range(vectors):
            found[n].append(_in_pairs(builder, loop.carried[n::vectors]))
    for n in range(vectors):
        emitter.store(_in_pairs(builder, found[n]), out, builder.add(column, index(lanes * n)))


def _in_pairs(builder: Any, totals: list[Any]) -> Any:
    """The sum of neighbours, and of theirs."""
    while len(totals) > 1:
        totals = [builder.fadd(a, b) for a, b in zip(totals[::2], totals[1::2], strict=True)]
    return totals[0]


@intrinsic
def transpose(_t: Any, matrix: Any, stride: Any, rows: Any, columns: Any, out: Any) -> Any:
    """out[j, k] = matrix[k, j], k < rows, j < columns; both multiples of the lanes.

    ``stride`` is the length of a row of ``matrix``; one of ``out`` has ``rows`` elements.
    """

    def emit(context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        matrix_, stride_, rows_, columns_, out_ = args
        emitter = Emitter(builder, matrix.dtype)
        lanes = emitter.lanes

        def places(start: Any, apart: Any, at: Any) -> list[Any]:
            return [builder.add(builder.mul(builder.add(start, index(n)), apart), at) for n in range(lanes)]

        with (
            CountedLoop(builder, index(0), rows_, lanes, []) as down,
            CountedLoop(builder, index(0), columns_, lanes, []) as along,
        ):
            vectors = [emitter.load(matrix_, at) for at in places(down.i, stride_, along.i)]
            turned = emitter.transposed(vectors)
            for vector, at in zip(turned, places(along.i, rows_, down.i), strict=True):
                emitter.store(vector, out_, at)
        return context.get_dummy_value()

    i = types.int64
    return types.void(matrix, i, i, i, out), emit
