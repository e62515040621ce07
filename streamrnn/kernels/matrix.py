"""Matrix products over raw memory, for float32 and float64.

Matrices are stored by rows whose length is a multiple of the vector's lanes.
The order of every sum is fixed, so results have the same bits everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from numba.core import types
from numba.extending import intrinsic

from streamrnn.kernels.emit import CountedLoop, Emitter, index

# Rows of a block are summed as several independent chains where few vectors are
# in flight, since one chain would wait for each multiply-add to finish (4 cycles).
_COLUMN_BLOCKS = ((16, 1), (8, 2), (6, 2), (4, 4), (3, 4), (1, 4))  # (vectors, chains)
# A GRU's rows are threes of vectors. 24 sums, 4 errors and a factor fit 32 registers.
_GRADIENT_ROWS = {3: (8, 4, 1), 4: (6, 4, 1), 1: (4, 1)}
# Rows of a cell without gates are short: as many sums as with gates need blocks of more rows.
_NARROW_GRADIENT_ROWS = {4: (6, 4, 1), 2: (8, 2, 1), 1: (16, 4, 1)}
_TRIANGLE_ROWS = {1: (4, 1), 2: (3, 1), 3: (2, 1)}  # by vectors that are multiplied


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
        emitter = Emitter(builder, matrix.dtype)
        first = builder.mul(backwards_, builder.sub(rows_, index(1)))
        direction = builder.sub(index(1), builder.mul(index(2), backwards_))
        column: Any = index(0)
        for vectors, chains in _COLUMN_BLOCKS:
            width = emitter.lanes * vectors
            stop = builder.sub(columns_, index(width - 1))
            with CountedLoop(builder, column, stop, width, []) as loop:
                _column_block(
                    emitter,
                    (matrix_, stride_, v_, rows_, out_),
                    loop.i,
                    (vectors, chains),
                    (first, direction),
                )
            column = loop.i
        return context.get_dummy_value()

    i = types.int64
    return types.void(matrix, i, v, i, out, i, i), emit


def _column_block(
    emitter: Emitter, operands: Sequence[Any], column: Any, shape: tuple[int, int], walk: tuple[Any, Any]
) -> None:
    """out[column : column + vectors * lanes], held in vectors * chains registers."""
    matrix, stride, v, rows, out = operands
    vectors, chains = shape
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
    sums += [emitter.zero] * (vectors * (chains - 1))
    start = builder.add(builder.mul(first, stride), column)
    with CountedLoop(builder, index(0), whole, chains, [*sums, start, first]) as loop:
        *sums, at, row = loop.carried
        for chain in range(chains):
            part = slice(chain * vectors, (chain + 1) * vectors)
            sums[part] = add_row(sums[part], at, row)
            at, row = builder.add(at, step), builder.add(row, direction)
        loop.carry([*sums, at, row])
    sums = loop.carried[:-2]
    for n in range(vectors):
        total = sums[n]
        for chain in range(1, chains):
            total = builder.fadd(total, sums[chain * vectors + n])
        emitter.store(total, out, builder.add(column, index(emitter.lanes * n)))


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
        with CountedLoop(builder, index(0), rows_, lanes, []) as blocks:
            row = builder.add(first, builder.mul(direction, blocks.i))
            starts = [builder.mul(builder.add(row, index(n)), stride_) for n in range(lanes)]
            with CountedLoop(builder, index(0), columns_, lanes, [emitter.zero] * lanes) as loop:
                vector = emitter.load(d_, loop.i)
                loop.carry(
                    [
                        emitter.fma(vector, emitter.load(matrix_, builder.add(start, loop.i)), total)
                        for start, total in zip(starts, loop.carried, strict=True)
                    ]
                )
            emitter.store(emitter.sums(loop.carried), out_, row)
        return context.get_dummy_value()

    i = types.int64
    return types.void(matrix, i, d, i, out, i, i), emit


def _weight_gradient(rows_of: Mapping[int, Sequence[int]]) -> Any:
    """The product of a whole window in blocks of ``rows_of[vectors]`` rows, the widest first."""

    @intrinsic
    def product(
        _t: Any, v: Any, v_stride: Any, d: Any, d_stride: Any, steps: Any, out: Any, rows: Any, columns: Any
    ) -> Any:
        """out[k, j] = sum_t v[t, k] d[t, j], k < rows, j < columns; returns the sum of squares.

        The whole window's gradient as one product, t in the order of memory.
        ``columns`` is a multiple of the lanes and the row length of ``out``.
        """

        def emit(_context: Any, builder: Any, _sig: Any, args: Any) -> Any:
            *operands, out_, rows_, columns_ = args
            emitter = Emitter(builder, v.dtype)
            column: Any = index(0)
            squares: Any = emitter.zero
            for vectors, heights in rows_of.items():
                width = emitter.lanes * vectors
                stop = builder.sub(columns_, index(width - 1))
                if vectors == 3:  # only where fours would leave single vectors over
                    fours = builder.srem(columns_, index(4 * emitter.lanes))
                    stop = builder.select(builder.icmp_signed("==", fours, index(0)), index(0), stop)
                with CountedLoop(builder, column, stop, width, [squares]) as loop:
                    to = (out_, rows_, columns_, loop.i)
                    loop.carry([_gradient_columns(emitter, operands, to, vectors, heights, loop.carried[0])])
                column, squares = loop.i, loop.carried[0]
            return emitter.sum(squares)

        i = types.int64
        return v.dtype(v, i, d, i, i, out, i, i), emit

    return product


def _gradient_columns(
    emitter: Emitter,
    operands: Sequence[Any],
    to: Sequence[Any],
    vectors: int,
    heights: Sequence[int],
    squares: Any,
) -> Any:
    """All rows of some columns of the gradient; the sum of squares so far."""
    out, rows, columns, column = to
    builder, row = emitter.builder, index(0)
    for height in heights:
        bound = builder.sub(rows, index(height - 1))
        with CountedLoop(builder, row, bound, height, [squares]) as loop:
            corner = (loop.i, column)
            block = _gradient_block(emitter, operands, corner, (height, vectors))
            loop.carry([_store_block(emitter, block, out, columns, corner, loop.carried[0])])
        row, squares = loop.i, loop.carried[0]
    return squares


weight_gradient = _weight_gradient(_GRADIENT_ROWS)
narrow_weight_gradient = _weight_gradient(_NARROW_GRADIENT_ROWS)


def _gradient_block(
    emitter: Emitter, operands: Sequence[Any], corner: tuple[Any, Any], shape: tuple[int, int]
) -> list[list[Any]]:
    """The block of the gradient at ``corner``: ``height`` rows of ``vectors`` vectors each."""
    v, v_stride, d, d_stride, steps = operands
    row, column = corner
    height, vectors = shape
    builder = emitter.builder
    with CountedLoop(builder, index(0), steps, 1, [emitter.zero] * (height * vectors)) as loop:
        d_at = builder.add(builder.mul(loop.i, d_stride), column)
        v_at = builder.add(builder.mul(loop.i, v_stride), row)
        errors = [emitter.load(d, builder.add(d_at, index(emitter.lanes * n))) for n in range(vectors)]
        sums = list(loop.carried)
        for m in range(height):
            factor = emitter.load_splat(v, builder.add(v_at, index(m)))
            for n in range(vectors):
                sums[m * vectors + n] = emitter.fma(factor, errors[n], sums[m * vectors + n])
        loop.carry(sums)
    return [loop.carried[m * vectors : (m + 1) * vectors] for m in range(height)]


def _store_block(
    emitter: Emitter, block: list[list[Any]], out: Any, stride: Any, corner: tuple[Any, Any], squares: Any
) -> Any:
    row, column = corner
    builder = emitter.builder
    for m, sums in enumerate(block):
        at = builder.add(builder.mul(builder.add(row, index(m)), stride), column)
        for n, total in enumerate(sums):
            emitter.store(total, out, builder.add(at, index(emitter.lanes * n)))
            squares = emitter.fma(total, total, squares)
    return squares


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
        f = [builder.fmul(emitter.load(each, index(0)), emitter.constant(-1.0)) for each in factor]
        bounds = [
            emitter.splat(context.cast(builder, x, kind, matrix.dtype))
            for x, kind in zip(args[7:], sig.args[7:], strict=True)
        ]
        size_, stride_ = args[5:7]
        row: Any = index(0)
        for height in _TRIANGLE_ROWS[count]:
            stop = builder.sub(size_, index(height - 1))
            with CountedLoop(builder, row, stop, height, []) as rows:
                _triangle_rows(emitter, (args[0], b, f, v, out, stride_), (rows.i, height), bounds)
            row = rows.i
        return context.get_dummy_value()

    i = types.int64
    return types.void(matrix, befores, factors, vs, outs, i, i, raise_by, cap), emit


def _triangle_rows(  # noqa: C901 - two loops of one tile
    emitter: Emitter, operands: Sequence[Any], tile: tuple[Any, int], bounds: Sequence[Any]
) -> None:
    """Rows ``tile[0]`` to ``tile[0] + tile[1]`` of ``downdate_and_multiply``."""
    matrix, befores, factors, vs, outs, stride = operands
    first, height = tile
    builder, count = emitter.builder, range(len(befores))
    indices = [builder.add(first, index(n)) for n in range(height)]
    starts = [
        builder.mul(builder.sdiv(builder.mul(i, builder.add(i, index(1))), index(2)), index(emitter.lanes))
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
        at, column = builder.mul(loop.i, stride), builder.mul(loop.i, index(emitter.lanes))
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
    corner = builder.mul(first, index(emitter.lanes))
    for n in range(height):
        for m in range(n + 1):
            place, p = lowered(builder.add(corner, index(m * emitter.lanes)), n, of_b[m])
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
