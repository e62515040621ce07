"""LLVM IR in the vocabulary of our kernels: 64-byte vectors and counted loops.

Only ``vector.py``, ``sums.py``, ``rectifier.py``, ``matrix.py``, ``narrow.py``, ``triangle.py`` import this.
A vector is 64 bytes: 16 float32 or 8 float64 lanes. LLVM splits it in two on machines with 32-byte
registers, which changes no bit, since no lane ever meets another except in the
fixed trees below.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types

VECTOR_BYTES = 64
INT64 = ir.IntType(64)
INT32 = ir.IntType(32)
_ELEMENTS = {types.float32: (ir.FloatType(), "f32", 4), types.float64: (ir.DoubleType(), "f64", 8)}


def index(n: int) -> ir.Constant:
    """A constant of the type that counts elements."""
    return ir.Constant(INT64, n)


def has_wide_registers(context: Any) -> bool:
    """Whether registers of the processor that is compiled for are 32 of 64 bytes (AVX-512).

    Otherwise they are 16 of 32 bytes, room for 8 vectors, and what does not fit is moved to memory and back
    at every turn of a loop. By it kernels choose how many sums they hold at a time, never in which order
    they add. A processor that ``NUMBA_CPU_NAME`` names counts as one of the latter where
    ``NUMBA_CPU_FEATURES`` is empty.
    """
    _triple, _name, features = context.codegen().magic_tuple()
    return "+avx512f" in features.split(",")


class Emitter:
    """Writes vector instructions for one element type at the builder's position."""

    def __init__(self, builder: Any, element: types.Type, vector_bytes: int = VECTOR_BYTES) -> None:
        self.builder = builder
        self.scalar_type, self.short_name, self.item_bytes = _ELEMENTS[element]
        self.lanes = vector_bytes // self.item_bytes
        self.type = ir.VectorType(self.scalar_type, self.lanes)
        self.int_type = ir.VectorType(ir.IntType(8 * self.item_bytes), self.lanes)

    def constant(self, x: float) -> ir.Constant:
        return ir.Constant(self.type, [x] * self.lanes)

    def integers(self, n: int) -> ir.Constant:
        return ir.Constant(self.int_type, [n] * self.lanes)

    @property
    def zero(self) -> ir.Constant:
        return self.constant(0.0)

    def splat(self, scalar: Any) -> Any:
        undefined = ir.Constant(self.type, ir.Undefined)
        first = self.builder.insert_element(undefined, scalar, ir.Constant(INT32, 0))
        mask = ir.Constant(ir.VectorType(INT32, self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(first, undefined, mask)

    def load(self, pointer: Any, offset: Any) -> Any:
        return self.load_some(pointer, offset, self.lanes)

    def load_some(self, pointer: Any, offset: Any, count: int) -> Any:
        """A vector of ``count`` elements."""
        kind = ir.VectorType(self.scalar_type, count)
        address = self.builder.gep(pointer, [offset])
        value = self.builder.load(self.builder.bitcast(address, kind.as_pointer()))
        value.align = self.item_bytes
        return value

    def store(self, value: Any, pointer: Any, offset: Any) -> None:
        address = self.builder.gep(pointer, [offset])
        stored = self.builder.store(value, self.builder.bitcast(address, value.type.as_pointer()))
        stored.align = self.item_bytes

    def load_splat(self, pointer: Any, offset: Any) -> Any:
        return self.splat(self.builder.load(self.builder.gep(pointer, [offset])))

    def call(self, name: str, *arguments: Any) -> Any:
        """Call LLVM's elementwise intrinsic of that name."""
        signature = ir.FunctionType(self.type, [self.type] * len(arguments))
        full_name = f"llvm.{name}.v{self.lanes}{self.short_name}"
        function = cgutils.get_or_insert_function(self.builder.module, signature, full_name)
        return self.builder.call(function, arguments)

    def fma(self, a: Any, b: Any, c: Any) -> Any:
        """A * b + c with one rounding (llvm.fma; llvm.fmuladd may round twice)."""
        return self.call("fma", a, b, c)

    def polynomial(self, x: Any, coefficients: Sequence[float]) -> Any:
        """Polynomial in x, highest power first, by Estrin's scheme.

        Pairs first, then pairs of pairs in x^2: its depth is the logarithm of
        the degree, where Horner's rule waits for one multiply-add after another.
        """
        terms: list[Any] = [self.constant(c) for c in reversed(coefficients)]
        while len(terms) > 1:
            pairs = [self.fma(terms[i + 1], x, terms[i]) for i in range(0, len(terms) - 1, 2)]
            terms = pairs + terms[2 * len(pairs) :]
            x = self.builder.fmul(x, x)
        return terms[0]

    def clamp(self, x: Any, low: float, high: float) -> Any:
        """X within [low, high]; a NaN becomes ``high``."""
        low_vector, high_vector = self.constant(low), self.constant(high)
        below = self.builder.fcmp_ordered("<", x, high_vector)
        x = self.builder.select(below, x, high_vector)
        above = self.builder.fcmp_ordered(">", x, low_vector)
        return self.builder.select(above, x, low_vector)

    def lane_by_lane(self, name: str, x: Any) -> Any:
        """Libm's function of a float64 vector; for gradient checks, not for the record path."""
        signature = ir.FunctionType(self.scalar_type, [self.scalar_type])
        function = cgutils.get_or_insert_function(self.builder.module, signature, name)
        result = self.zero
        for lane in range(self.lanes):
            position = ir.Constant(INT32, lane)
            value = self.builder.call(function, [self.builder.extract_element(x, position)])
            result = self.builder.insert_element(result, value, position)
        return result

    def shuffle(self, a: Any, b: Any, lanes: Sequence[int]) -> Any:
        return self.builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(INT32, len(lanes)), list(lanes)))

    def sum(self, x: Any) -> Any:
        """Sum over the lanes as a fixed tree: upper half onto lower half, and again."""
        width = self.lanes
        while width > 1:
            width //= 2
            low = self.shuffle(x, x, range(width))
            high = self.shuffle(x, x, range(width, 2 * width))
            x = self.builder.fadd(low, high)
        return self.builder.extract_element(x, ir.Constant(INT32, 0))

    def sums(self, vectors: Sequence[Any]) -> Any:
        """One vector whose lane i is the sum over the lanes of ``vectors[i]``.

        ``lanes`` vectors, halved together, so that the whole takes lanes - 1
        additions. ``order`` follows which vector each lane ends up holding.
        """
        order = _tree_order(self.lanes)
        return self.folded([vectors[order.index(i)] for i in range(self.lanes)], self.lanes)

    def folded(self, vectors: Sequence[Any], width: int) -> Any:
        """The levels of that tree at which so many vectors become one; ``width`` lanes belong together."""
        placed = list(vectors)
        while len(placed) > 1:
            low, high = _pair_lanes(self.lanes, width)
            half = len(placed) // 2
            placed = [
                self.builder.fadd(self.shuffle(a, b, low), self.shuffle(a, b, high))
                for a, b in zip(placed[:half], placed[half:], strict=True)
            ]
            width //= 2
        return placed[0]

    def transposed(self, vectors: Sequence[Any]) -> list[Any]:
        """Vectors whose lane i of vector j is lane j of ``vectors[i]``.

        Halves of lanes change places with those of other vectors, then halves of halves.
        """
        turned, width = list(vectors), self.lanes
        while width > 1:
            width //= 2
            low = [lane if not lane & width else self.lanes + lane - width for lane in range(self.lanes)]
            high = [lane + width if not lane & width else self.lanes + lane for lane in range(self.lanes)]
            for i in (i for i in range(self.lanes) if not i & width):
                a, b = turned[i], turned[i + width]
                turned[i], turned[i + width] = self.shuffle(a, b, low), self.shuffle(a, b, high)
        return turned


def _pair_lanes(lanes: int, width: int) -> tuple[list[int], list[int]]:
    """Lanes of the lower and upper halves of every group of ``width``, of two vectors in turn."""
    low: list[int] = []
    high: list[int] = []
    for group in range(0, lanes, width):
        for start in (group, lanes + group):
            low += range(start, start + width // 2)
            high += range(start + width // 2, start + width)
    return low, high


def _tree_order(lanes: int) -> list[int]:
    """Which position of ``Emitter.sums``' input ends in which lane."""
    held = [[i] * lanes for i in range(lanes)]
    width = lanes
    while len(held) > 1:
        low, _ = _pair_lanes(lanes, width)
        half = len(held) // 2
        held = [[(a + b)[lane] for lane in low] for a, b in zip(held[:half], held[half:], strict=True)]
        width //= 2
    return held[0]


class CountedLoop:
    """``for i in range(start, stop, step)`` with values carried from turn to turn.

    Inside the ``with`` block, ``i`` and ``carried`` hold this turn's values and
    ``carry(values)`` gives the next turn's; after it, ``carried`` holds the last
    and ``i`` the first index that was not run.
    """

    def __init__(self, builder: Any, start: Any, stop: Any, step: int, carried: Sequence[Any]) -> None:
        self.builder, self.start, self.stop, self.step = builder, start, stop, step
        self.initial = list(carried)
        self.next_values: list[Any] = []

    def __enter__(self) -> CountedLoop:
        builder = self.builder
        before = builder.block
        head, body = builder.append_basic_block("head"), builder.append_basic_block("body")
        self.head, self.after = head, builder.append_basic_block("after")
        builder.branch(head)
        builder.position_at_end(head)
        self.i = builder.phi(INT64)
        self.i.add_incoming(self.start, before)
        self.carried = [builder.phi(value.type) for value in self.initial]
        for phi, value in zip(self.carried, self.initial, strict=True):
            phi.add_incoming(value, before)
        builder.cbranch(builder.icmp_signed("<", self.i, self.stop), body, self.after)
        builder.position_at_end(body)
        return self

    def carry(self, values: Sequence[Any]) -> None:
        self.next_values = list(values)

    def __exit__(self, *_: object) -> None:
        builder = self.builder
        self.i.add_incoming(builder.add(self.i, index(self.step)), builder.block)
        for phi, value in zip(self.carried, self.next_values, strict=True):
            phi.add_incoming(value, builder.block)
        builder.branch(self.head)
        builder.position_at_end(self.after)
