"""Matrix products over raw memory, for float32 and float64.

Matrices are stored by rows whose length is a multiple of the vector's lanes.
The order of every sum is fixed, so results have the same bits everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from numba.core import cgutils, types
from numba.extending import intrinsic

from streamrnn.kernels.emit import CountedLoop, Emitter, has_wide_registers, index

# Rows of a block are summed as several independent chains where few vectors are
# in flight, since one chain would wait for each multiply-add to finish (4 cycles).
_COLUMN_BLOCKS = ((16, 1), (8, 2), (6, 2), (4, 4), (3, 4), (1, 4))  # (vectors, chains)
# A GRU's rows are threes of vectors. 24 sums, 4 errors and a factor fit 32 registers.
_GRADIENT_ROWS = {3: (8, 4, 1), 4: (6, 4, 1), 1: (4, 1)}
# Rows of a cell without gates are short: as many sums as with gates need blocks of more rows.
_NARROW_GRADIENT_ROWS = {4: (6, 4, 1), 2: (8, 2, 1), 1: (16, 4, 1)}

# Where registers are 16 of 32 bytes they hold some 6 sums beside what is multiplied. Blocks then are
# walked in pieces that divide them, (vectors, chains at a time), those of the gradient in (rows, vectors).
_PIECES = {(16, 1): (4, 1), (8, 2): (4, 1), (6, 2): (6, 1), (4, 4): (4, 1), (3, 4): (3, 2), (1, 4): (1, 4)}
_TILES = ((6, 1), (4, 1), (1, 4))
_NARROW_TILES = ((6, 1), (4, 1), (2, 2), (1, 4))


@intrinsic
def matvec(
    _t: Any, matrix: Any, stride: Any, v: Any, rows: Any, out: Any, columns: Any, backwards: Any
) -> Any:
    """out[j] = sum_k v[k] matrix[k, j], k < rows, j < columns.

    ``stride`` is the length of a row, ``columns`` a multiple of the lanes.
    ``backwards`` = 1 walks from the last row to the first: a caller that
    alternates finds the rows it read last still in cache, which halves the time
    of a matrix that does not fit.
    """

    def emit(context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        matrix_, stride_, v_, rows_, out_, columns_, backwards_ = args
        emitter, wide = Emitter(builder, matrix.dtype), has_wide_registers(context)
        first = builder.mul(backwards_, builder.sub(rows_, index(1)))
        direction = builder.sub(index(1), builder.mul(index(2), backwards_))
        column: Any = index(0)
        for vectors, chains in _COLUMN_BLOCKS:
            width = emitter.lanes * vectors
            stop = builder.sub(columns_, index(width - 1))
            piece, at_once = (vectors, chains) if wide else _PIECES[vectors, chains]
            with CountedLoop(builder, column, stop, width, []) as loop, ExitStack() as inner:
                at = loop.i
                if piece < vectors:
                    end, apart = builder.add(at, index(width)), emitter.lanes * piece
                    at = inner.enter_context(CountedLoop(builder, at, end, apart, [])).i
                operands = (matrix_, stride_, v_, rows_, out_)
                _column_block(emitter, operands, at, (piece, chains, at_once), (first, direction))
            column = loop.i
        return context.get_dummy_value()

    i = types.int64
    return types.void(matrix, i, v, i, out, i, i), emit


def _column_block(
    emitter: Emitter,
    operands: Sequence[Any],
    column: Any,
    shape: tuple[int, int, int],
    walk: tuple[Any, Any],
) -> None:
    """out[column : column + vectors * lanes], held in vectors * at_once registers.

    So many chains of sums are walked along at once, then as many others; the results are added in order.
    """
    matrix, stride, v, rows, out = operands
    vectors, chains, at_once = shape
    first, direction = walk
    builder = emitter.builder
    step = builder.mul(direction, stride)
    rest = builder.srem(rows, index(chains))

    def add_row(sums: list[Any], at: Any, row: Any) -> list[Any]:
        weight = emitter.load_splat(v, row)
        return [
            emitter.fma(weight, emitter.load(matrix, builder.add(at, index(emitter.lanes * n))), total)
            for n, total in enumerate(sums)
        ]

    whole, sums = builder.sub(rows, rest), [emitter.zero] * vectors
    if chains > 1:
        # The rows that fill no round come first. Forwards they are the last ones, inputs and
        # bias, which are known before h is: nothing waits for them.
        forwards = builder.icmp_signed("==", direction, index(1))
        last = builder.select(forwards, whole, first)
        at = builder.add(builder.mul(last, stride), column)
        with CountedLoop(builder, index(0), rest, 1, [*sums, at, last]) as head:
            *sums, at, row = head.carried
            head.carry([*add_row(sums, at, row), builder.add(at, step), builder.add(row, direction)])
        *sums, at, row = head.carried
        first = builder.select(forwards, index(0), row)
    start = builder.add(builder.mul(first, stride), column)
    found: list[list[Any]] = [[] for _ in range(vectors)]
    for skipped in range(0, chains, at_once):
        sums += [emitter.zero] * (vectors * at_once - len(sums))
        with CountedLoop(builder, index(0), whole, chains, [*sums, start, first]) as loop:
            *sums, at, row = loop.carried
            for chain in range(at_once):
                part = slice(chain * vectors, (chain + 1) * vectors)
                sums[part] = add_row(sums[part], at, row)
                at, row = builder.add(at, step), builder.add(row, direction)
            if at_once < chains:
                others = index(chains - at_once)
                at = builder.add(at, builder.mul(others, step))
                row = builder.add(row, builder.mul(others, direction))
            loop.carry([*sums, at, row])
        for n in range(vectors):
            total, *more = [*found[n], *loop.carried[n:-2:vectors]]
            for each in more:
                total = builder.fadd(total, each)
            found[n] = [total]
            if skipped + at_once == chains:
                emitter.store(total, out, builder.add(column, index(emitter.lanes * n)))
        sums = []
        if at_once < chains:
            start = builder.add(start, builder.mul(index(at_once), step))
            first = builder.add(first, builder.mul(index(at_once), direction))


@intrinsic
def matvec_transposed(
    _t: Any, matrix: Any, stride: Any, d: Any, columns: Any, out: Any, rows: Any, backwards: Any
) -> Any:
    """out[k] = sum_j matrix[k, j] d[j], k < rows, j < columns; both multiples of the lanes."""

    def emit(context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        matrix_, stride_, d_, columns_, out_, rows_, backwards_ = args
        emitter = Emitter(builder, matrix.dtype)
        lanes = emitter.lanes
        first = builder.mul(backwards_, builder.sub(rows_, index(lanes)))
        direction = builder.sub(index(1), builder.mul(index(2), backwards_))
        wide = has_wide_registers(context)
        with CountedLoop(builder, index(0), rows_, lanes, []) as blocks:
            row = builder.add(first, builder.mul(direction, blocks.i))
            if wide:
                starts = [builder.mul(builder.add(row, index(n)), stride_) for n in range(lanes)]
                result = emitter.sums(_row_sums(emitter, matrix_, starts, d_, columns_))
            else:
                start = builder.mul(row, stride_)
                result = _sums_by_fours(emitter, (matrix_, start, stride_), d_, columns_)
            emitter.store(result, out_, row)
        return context.get_dummy_value()

    i = types.int64
    return types.void(matrix, i, d, i, out, i, i), emit


def _row_sums(emitter: Emitter, matrix: Any, starts: Sequence[Any], d: Any, columns: Any) -> list[Any]:
    """Of each row that begins at one of ``starts``, its products with d, one sum a lane."""
    with CountedLoop(emitter.builder, index(0), columns, emitter.lanes, [emitter.zero] * len(starts)) as loop:
        vector = emitter.load(d, loop.i)
        loop.carry(
            [
                emitter.fma(vector, emitter.load(matrix, emitter.builder.add(start, loop.i)), total)
                for start, total in zip(starts, loop.carried, strict=True)
            ]
        )
    return loop.carried


def _sums_by_fours(emitter: Emitter, rows: tuple[Any, Any, Any], d: Any, columns: Any) -> Any:
    """``Emitter.sums`` of as many rows as a vector has lanes, four at a time.

    Four rows, a quarter of the lanes apart, become one vector in the first two levels of its tree.
    """
    matrix, start, stride = rows
    builder, lanes, groups = emitter.builder, emitter.lanes, emitter.lanes // 4
    kept = cgutils.alloca_once(builder, emitter.scalar_type, size=groups * lanes)
    apart = builder.mul(stride, index(groups))
    with CountedLoop(builder, index(0), index(groups), 1, [start]) as loop:
        starts = [loop.carried[0]]
        for _ in range(3):
            starts.append(builder.add(starts[-1], apart))
        totals = _row_sums(emitter, matrix, starts, d, columns)
        emitter.store(emitter.folded(totals, lanes), kept, builder.mul(loop.i, index(lanes)))
        loop.carry([builder.add(starts[0], stride)])
    return emitter.folded([emitter.load(kept, index(lanes * n)) for n in range(groups)], lanes // 4)


@intrinsic
def weight_gradient(
    _t: Any, v: Any, v_stride: Any, d: Any, d_stride: Any, steps: Any, out: Any, rows: Any, columns: Any
) -> Any:
    """out[k, j] = sum_t v[t, k] d[t, j], k < rows, j < columns; returns the sum of squares.

    The whole window's gradient as one product, t in the order of memory.
    ``columns`` is a multiple of the lanes and the row length of ``out``.
    """

    def emit(context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        emitter, wide = Emitter(builder, v.dtype), has_wide_registers(context)
        tiles = None if wide else _TILES
        return emitter.sum(_product(emitter, args[:5], args[5:], _GRADIENT_ROWS, tiles, [emitter.zero])[0])

    i = types.int64
    return v.dtype(v, i, d, i, i, out, i, i), emit


@intrinsic
def narrow_weight_gradient(
    _t: Any, v: Any, v_stride: Any, d: Any, d_stride: Any, steps: Any, out: Any, rows: Any, columns: Any,
    first: Any, slots: Any,
) -> Any:  # fmt: skip
    """The same with short rows, of a ring of ``slots``: t from ``first`` on, and from 0 behind the last.

    The squares are added at the end, in several chains: one would take as long as the products of few rows.
    """

    def emit(context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        emitter, wide = Emitter(builder, v.dtype), has_wide_registers(context)
        tiles = None if wide else _NARROW_TILES
        _product(emitter, [*args[:5], *args[8:]], args[5:8], _NARROW_GRADIENT_ROWS, tiles, [])
        return emitter.sum(_all_squares(emitter, args[5], builder.mul(args[6], args[7])))

    i = types.int64
    return v.dtype(v, i, d, i, i, out, i, i, i, i), emit


def _product(
    emitter: Emitter,
    operands: Sequence[Any],
    to: Sequence[Any],
    rows_of: Mapping[int, Sequence[int]],
    tiles: Sequence[tuple[int, int]] | None,
    squares: list[Any],
) -> list[Any]:
    """The product of a whole window in blocks of ``rows_of[vectors]`` rows, the widest first, or in tiles.

    ``squares`` is the sum of squares so far; none where they are not asked for.
    """
    builder, (out, rows, columns) = emitter.builder, to
    column: Any = index(0)
    for vectors, heights in rows_of.items():
        width = emitter.lanes * vectors
        stop = builder.sub(columns, index(width - 1))
        if vectors == 3:  # only where fours would leave single vectors over
            fours = builder.srem(columns, index(4 * emitter.lanes))
            stop = builder.select(builder.icmp_signed("==", fours, index(0)), index(0), stop)
        with CountedLoop(builder, column, stop, width, squares) as loop:
            place, before = (out, rows, columns, loop.i), loop.carried
            pieces = tiles or [(height, vectors) for height in heights]
            loop.carry(_gradient_columns(emitter, operands, place, vectors, pieces, before))
        column, squares = loop.i, loop.carried
    return squares


def _gradient_columns(
    emitter: Emitter,
    operands: Sequence[Any],
    to: Sequence[Any],
    vectors: int,
    tiles: Sequence[tuple[int, int]],
    squares: list[Any],
) -> list[Any]:
    """All rows of some columns of the gradient, in blocks of (rows, vectors); the sum of squares so far.

    Squares are added row after row, each row's ``vectors`` from left to right.
    """
    out, rows, columns, column = to
    builder, row = emitter.builder, index(0)
    for height, width in tiles:
        bound = builder.sub(rows, index(height - 1))
        with CountedLoop(builder, row, bound, height, squares) as loop:
            total = loop.carried
            if width >= vectors:
                corner = (loop.i, column)
                block = _gradient_block(emitter, operands, corner, (height, vectors))
                total = _store_block(emitter, block, out, columns, corner, total)
            else:
                stop = builder.add(column, index(emitter.lanes * vectors))
                with CountedLoop(builder, column, stop, emitter.lanes * width, []) as along:
                    corner = (loop.i, along.i)
                    block = _gradient_block(emitter, operands, corner, (height, width))
                    _store_block(emitter, block, out, columns, corner, [])
                if total:
                    total = _squares_of(emitter, out, columns, (loop.i, column), (height, vectors), total)
            loop.carry(total)
        row, squares = loop.i, loop.carried
    return squares


def _gradient_block(
    emitter: Emitter, operands: Sequence[Any], corner: tuple[Any, Any], shape: tuple[int, int]
) -> list[list[Any]]:
    """The block of the gradient at ``corner``: ``height`` rows of ``vectors`` vectors each."""
    v, v_stride, d, d_stride, steps, *ring = operands
    row, column = corner
    height, vectors = shape
    builder = emitter.builder
    with CountedLoop(builder, index(0), steps, 1, [emitter.zero] * (height * vectors)) as loop:
        t = loop.i
        if ring:
            first, slots = ring
            ahead = builder.add(first, t)
            t = builder.select(builder.icmp_signed("<", ahead, slots), ahead, builder.sub(ahead, slots))
        d_at = builder.add(builder.mul(t, d_stride), column)
        v_at = builder.add(builder.mul(t, v_stride), row)
        errors = [emitter.load(d, builder.add(d_at, index(emitter.lanes * n))) for n in range(vectors)]
        sums = list(loop.carried)
        for m in range(height):
            factor = emitter.load_splat(v, builder.add(v_at, index(m)))
            for n in range(vectors):
                sums[m * vectors + n] = emitter.fma(factor, errors[n], sums[m * vectors + n])
        loop.carry(sums)
    return [loop.carried[m * vectors : (m + 1) * vectors] for m in range(height)]


def _store_block(
    emitter: Emitter,
    block: list[list[Any]],
    out: Any,
    stride: Any,
    corner: tuple[Any, Any],
    squares: list[Any],
) -> list[Any]:
    """Write a block of the gradient; the sum of squares with its own, where there is one."""
    row, column = corner
    builder = emitter.builder
    for m, sums in enumerate(block):
        at = builder.add(builder.mul(builder.add(row, index(m)), stride), column)
        for n, total in enumerate(sums):
            emitter.store(total, out, builder.add(at, index(emitter.lanes * n)))
            squares = [emitter.fma(total, total, so_far) for so_far in squares]
    return squares


def _squares_of(
    emitter: Emitter,
    out: Any,
    stride: Any,
    corner: tuple[Any, Any],
    shape: tuple[int, int],
    squares: list[Any],
) -> list[Any]:
    """The sum of squares so far and of a block that was stored."""
    row, column = corner
    height, vectors = shape
    builder = emitter.builder
    start = builder.add(builder.mul(row, stride), column)
    with CountedLoop(builder, index(0), index(height), 1, [*squares, start]) as loop:
        total, at = loop.carried
        for n in range(vectors):
            each = emitter.load(out, builder.add(at, index(emitter.lanes * n)))
            total = emitter.fma(each, each, total)
        loop.carry([total, builder.add(at, stride)])
    return loop.carried[:1]


def _all_squares(emitter: Emitter, out: Any, count: Any) -> Any:
    """The sum of squares of ``count`` elements, every fourth vector in one chain, what is left over first."""
    builder, lanes, chains = emitter.builder, emitter.lanes, 4
    rest = builder.srem(count, index(lanes * chains))

    def add(total: Any, at: Any) -> Any:
        each = emitter.load(out, at)
        return emitter.fma(each, each, total)

    with CountedLoop(builder, index(0), rest, lanes, [emitter.zero]) as few:
        few.carry([add(few.carried[0], few.i)])
    sums = [*few.carried, *[emitter.zero] * (chains - 1)]
    with CountedLoop(builder, rest, count, lanes * chains, sums) as loop:
        loop.carry(
            [add(total, builder.add(loop.i, index(lanes * n))) for n, total in enumerate(loop.carried)]
        )
    a, b, c, d = loop.carried
    return builder.fadd(builder.fadd(a, b), builder.fadd(c, d))
