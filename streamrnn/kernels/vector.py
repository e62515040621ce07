"""Vectors for Numba: 64 bytes that live in registers, and typed memory.

A kernel sees a model as one address. ``float32_at(address)`` gives a pointer
whose element type the rest follows: ``load_vector`` reads 16 float32 lanes or 8
float64 lanes, arithmetic between vectors and numbers stays in that type, and so
one source serves the product (float32), the readout (float64) and the float64
build of the networks that the gradient checks use.

Nothing here checks a bound: callers take every offset from ``layout.py``.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

from streamrnn.kernels.emit import INT64, CountedLoop, Emitter, index


class Vector(types.Type):
    """Numba's type of a 64-byte vector of float32 or float64."""

    def __init__(self, element: types.Float) -> None:
        self.element = element
        super().__init__(name=f"Vector({element})")


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, vector: Vector) -> None:
        super().__init__(manager, vector, Emitter(None, vector.element).type)


# ---------------------------------------------------------------- memory


def _pointer_maker(element: types.Type) -> Any:
    @intrinsic
    def pointer(_typing: Any, address: Any) -> Any:
        def emit(_context: Any, builder: Any, sig: Any, args: Any) -> Any:
            target = {types.float32: ir.FloatType(), types.float64: ir.DoubleType()}
            return builder.inttoptr(args[0], target.get(element, INT64).as_pointer())

        return types.CPointer(element)(types.int64), emit

    return pointer


float32_at = _pointer_maker(types.float32)
float64_at = _pointer_maker(types.float64)
int64_at = _pointer_maker(types.int64)


@intrinsic
def pointer_like(_typing: Any, address: Any, like: Any) -> Any:
    """A pointer to elements of the type of ``like``, a float32 or a float64."""

    def emit(_context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], Emitter(builder, like).scalar_type.as_pointer())

    return types.CPointer(like)(types.int64, like), emit


@intrinsic
def address_of(_typing: Any, pointer: Any) -> Any:
    """The pointer as a plain number."""

    def emit(_context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        return builder.ptrtoint(args[0], INT64)

    return types.int64(pointer), emit


@intrinsic
def shift(_typing: Any, pointer: Any, offset: Any) -> Any:
    """The pointer, ``offset`` elements further."""

    def emit(_context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        return builder.gep(args[0], [args[1]])

    return pointer(pointer, types.int64), emit


@intrinsic
def load(_typing: Any, pointer: Any, offset: Any) -> Any:
    """Element ``offset`` of the pointer."""

    def emit(_context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        return builder.load(builder.gep(args[0], [args[1]]))

    return pointer.dtype(pointer, types.int64), emit


@intrinsic
def store(_typing: Any, pointer: Any, offset: Any, value: Any) -> Any:
    """Put a number, rounded to the pointer's type, at element ``offset``."""
    if not isinstance(value, (types.Number, types.Boolean)):
        return None

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        element = context.cast(builder, args[2], sig.args[2], pointer.dtype)
        builder.store(element, builder.gep(args[0], [args[1]]))
        return context.get_dummy_value()

    return types.void(pointer, types.int64, value), emit


@intrinsic
def load_vector(_typing: Any, pointer: Any, offset: Any) -> Any:
    """A vector of the elements from ``offset`` on."""

    def emit(_context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        return Emitter(builder, pointer.dtype).load(args[0], args[1])

    return Vector(pointer.dtype)(pointer, types.int64), emit


@intrinsic
def store_vector(_typing: Any, pointer: Any, offset: Any, vector: Any) -> Any:
    """Put a vector at the elements from ``offset`` on."""

    def emit(context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        Emitter(builder, pointer.dtype).store(args[2], args[0], args[1])
        return context.get_dummy_value()

    return types.void(pointer, types.int64, vector), emit


@intrinsic
def copy_eight(_typing: Any, out: Any, offset: Any, source: Any, start: Any) -> Any:
    """Put 8 elements of ``source`` at element ``offset`` of ``out``, rounded to its type."""

    def emit(context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        to, of = Emitter(builder, out.dtype), Emitter(builder, source.dtype)
        vector = of.load_some(args[2], args[3], 8)
        convert = {(4, 8): builder.fpext, (8, 4): builder.fptrunc}.get((of.item_bytes, to.item_bytes))
        vector = convert(vector, ir.VectorType(to.scalar_type, 8)) if convert else vector
        to.store(vector, args[0], args[1])
        return context.get_dummy_value()

    return types.void(out, types.int64, source, types.int64), emit


@intrinsic
def copy(_typing: Any, out: Any, source: Any, count: Any) -> Any:
    """Put ``count`` elements of ``source`` at ``out``, which lies apart from them.

    Where they are more than 4 or 8, in vectors of so many, of which the last overlaps: a loop over
    elements would first ask how it could be cut into vectors, at every call.
    """
    if out != source:
        return None

    def emit(context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        emitter, (to, of, n) = Emitter(builder, out.dtype), args

        def put(at: Any, width: int) -> None:
            emitter.store(emitter.load_some(of, at, width), to, at)

        def put_all(width: int) -> None:
            last = builder.sub(n, index(width))
            with CountedLoop(builder, index(0), last, width, []) as loop:
                put(loop.i, width)
            put(last, width)

        with builder.if_else(builder.icmp_signed(">=", n, index(8))) as (many, few):
            with many:
                put_all(8)
            with few, builder.if_else(builder.icmp_signed(">=", n, index(4))) as (some, hardly_any):
                with some:
                    put_all(4)
                with hardly_any, CountedLoop(builder, index(0), n, 1, []) as loop:
                    put(loop.i, 1)
        return context.get_dummy_value()

    return types.void(out, source, types.int64), emit


@intrinsic
def lanes(_typing: Any, pointer: Any) -> Any:
    """How many elements of the pointer's type make one vector: 16 or 8."""

    def emit(_context: Any, builder: Any, _sig: Any, _args: Any) -> Any:
        return ir.Constant(INT64, Emitter(builder, pointer.dtype).lanes)

    return types.int64(pointer), emit


@intrinsic
def splat(_typing: Any, pointer: Any, value: Any) -> Any:
    """A vector of the pointer's type with ``value`` in every lane."""

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        element = context.cast(builder, args[1], sig.args[1], pointer.dtype)
        return Emitter(builder, pointer.dtype).splat(element)

    return Vector(pointer.dtype)(pointer, value), emit


@intrinsic
def never_inline(_typing: Any) -> Any:
    """Keep the function that calls this out of its callers.

    A cold and large function inside the hot loop would cost it registers, and
    compile time once per caller.
    """

    def emit(context: Any, builder: Any, _sig: Any, _args: Any) -> Any:
        builder.function.attributes.add("noinline")
        return context.get_dummy_value()

    return types.void(), emit


# ---------------------------------------------------------------- arithmetic


def as_vector(emitter: Emitter, context: Any, kind: types.Type, value: Any) -> Any:
    """A vector as it is, and of a number one with it in every lane; for kernels that are emitted."""
    if isinstance(kind, Vector):
        return value
    element = types.float32 if emitter.item_bytes == 4 else types.float64
    return emitter.splat(context.cast(emitter.builder, value, kind, element))


def _define_operator(symbol: Callable[..., Any], instruction: str) -> None:
    """Vector with vector, or with a number, which is rounded to the vector's type first."""

    @infer_global(symbol)
    class _Typing(AbstractTemplate):
        def generic(self, args: Any, _kwargs: Any) -> Any:
            vectors = [kind for kind in args if isinstance(kind, Vector)]
            if not vectors or any(kind != vectors[0] and not isinstance(kind, types.Number) for kind in args):
                return None
            return signature(vectors[0], *args)

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        emitter = Emitter(builder, sig.return_type.element)
        operands = [
            as_vector(emitter, context, kind, value) for kind, value in zip(sig.args, args, strict=True)
        ]
        return getattr(builder, instruction)(*operands)

    for kinds in ((Vector, Vector), (Vector, types.Number), (types.Number, Vector)):
        lower_builtin(symbol, *kinds)(emit)


_define_operator(operator.add, "fadd")
_define_operator(operator.sub, "fsub")
_define_operator(operator.mul, "fmul")
_define_operator(operator.truediv, "fdiv")


@intrinsic
def fma(_typing: Any, a: Any, b: Any, c: Any) -> Any:
    """A * b + c with one rounding; any of the three may be a number."""
    vectors = [kind for kind in (a, b, c) if isinstance(kind, Vector)]
    if not vectors:
        return None

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        emitter = Emitter(builder, vectors[0].element)
        return emitter.fma(*(as_vector(emitter, context, k, x) for k, x in zip(sig.args, args, strict=True)))

    return vectors[0](a, b, c), emit


@intrinsic
def smaller(_typing: Any, a: Any, b: Any) -> Any:
    """The smaller of two vectors, lane by lane; that of ``b`` where one of ``a`` is NaN."""
    if not isinstance(a, Vector) or a != b:
        return None

    def emit(_context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        return builder.select(builder.fcmp_ordered("<", *args), *args)

    return a(a, b), emit


@intrinsic
def vector_sum(_typing: Any, vector: Any) -> Any:
    """Sum over the lanes, as a fixed tree."""

    def emit(_context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        return Emitter(builder, vector.element).sum(args[0])

    return vector.element(vector), emit


def _elementwise(emit_one: Callable[[Emitter, Any], Any]) -> Any:
    @intrinsic
    def function(_typing: Any, vector: Any) -> Any:
        if not isinstance(vector, Vector):
            return None

        def emit(_context: Any, builder: Any, _sig: Any, args: Any) -> Any:
            return emit_one(Emitter(builder, vector.element), args[0])

        return vector(vector), emit

    return function


# Eigen's rational approximation of tanh for float32: odd numerator, even
# denominator, within 5e-7 of the truth (the tests measure it); flat beyond the bound.
_TANH_BOUND = 7.90531110763549805
_TANH_ODD = (
    -2.76076847742355e-16, 2.00018790482477e-13, -8.60467152213735e-11, 5.12229709037114e-08,
    1.48572235717979e-05, 6.37261928875436e-04, 4.89352455891786e-03,
)  # fmt: skip
_TANH_EVEN = (1.19825839466702e-06, 1.18534705686654e-04, 2.26843463243900e-03, 4.89352518554385e-03)


def _emit_tanh(emitter: Emitter, x: Any, scale: float = 1.0) -> Any:
    """tanh(scale x) scale, for a scale that is a power of two: folded into the constants."""
    if emitter.item_bytes == 8:
        half = emitter.constant(scale)
        inner = emitter.lane_by_lane("tanh", emitter.builder.fmul(x, half))
        return emitter.builder.fmul(inner, half)
    x = emitter.clamp(x, -_TANH_BOUND / scale, _TANH_BOUND / scale)
    square = emitter.builder.fmul(x, x)
    odd = [c * scale ** (2 * k + 2) for k, c in zip(range(6, -1, -1), _TANH_ODD, strict=True)]
    even = [c * scale ** (2 * k) for k, c in zip(range(3, -1, -1), _TANH_EVEN, strict=True)]
    numerator = emitter.builder.fmul(x, emitter.polynomial(square, odd))
    return emitter.builder.fdiv(numerator, emitter.polynomial(square, even))


def _emit_sigmoid(emitter: Emitter, x: Any) -> Any:
    """1 / (1 + exp(-x)) as tanh(x / 2) / 2 + 1 / 2: no overflow, one polynomial to trust."""
    return emitter.builder.fadd(_emit_tanh(emitter, x, 0.5), emitter.constant(0.5))


# Cephes' expf: x = n ln 2 + r with |r| <= ln 2 / 2, exp(r) = 1 + r + r^2 P(r).
_EXP_BOUNDS = (-87.33654, 88.37626)
_EXP_POLYNOMIAL = (
    1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3,
    4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1,
)  # fmt: skip
_LN2_HIGH, _LN2_LOW = 0.693359375, -2.12194440e-4


def _emit_exp(emitter: Emitter, x: Any) -> Any:
    if emitter.item_bytes == 8:
        return emitter.lane_by_lane("exp", x)
    builder = emitter.builder
    x = emitter.clamp(x, *_EXP_BOUNDS)
    n = emitter.fma(x, emitter.constant(1.44269504088896341), emitter.constant(0.5))
    n = emitter.call("floor", n)
    r = emitter.fma(n, emitter.constant(-_LN2_HIGH), x)
    r = emitter.fma(n, emitter.constant(-_LN2_LOW), r)
    square = builder.fmul(r, r)
    result = emitter.fma(emitter.polynomial(r, _EXP_POLYNOMIAL), square, r)
    result = builder.fadd(result, emitter.constant(1.0))
    exponent = builder.shl(builder.fptosi(n, emitter.int_type), emitter.integers(23))
    bits = builder.add(builder.bitcast(result, emitter.int_type), exponent)
    return builder.bitcast(bits, emitter.type)


# Cephes' logf: x = m 2^e with m in [1/sqrt 2, sqrt 2), log(m) by a polynomial in m - 1.
_SMALLEST_NORMAL, _LARGEST = 1.1754943508222875e-38, 3.4028234663852886e38
_LOG_POLYNOMIAL = (
    7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1,
    -1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1,
)  # fmt: skip


def _emit_log(emitter: Emitter, x: Any) -> Any:
    if emitter.item_bytes == 8:
        return emitter.lane_by_lane("log", x)
    builder = emitter.builder
    bits = builder.bitcast(emitter.clamp(x, _SMALLEST_NORMAL, _LARGEST), emitter.int_type)
    # Adding the distance from 1/sqrt 2 to 1 carries into the exponent where m must be halved.
    bits = builder.add(bits, emitter.integers(0x3F800000 - 0x3F3504F3))
    exponent = builder.sub(builder.lshr(bits, emitter.integers(23)), emitter.integers(127))
    mantissa = builder.add(builder.and_(bits, emitter.integers(0x007FFFFF)), emitter.integers(0x3F3504F3))
    m = builder.fsub(builder.bitcast(mantissa, emitter.type), emitter.constant(1.0))
    e = builder.sitofp(exponent, emitter.type)
    square = builder.fmul(m, m)
    result = builder.fmul(builder.fmul(square, m), emitter.polynomial(m, _LOG_POLYNOMIAL))
    result = emitter.fma(e, emitter.constant(_LN2_LOW), result)
    result = emitter.fma(square, emitter.constant(-0.5), result)
    return emitter.fma(e, emitter.constant(_LN2_HIGH), builder.fadd(m, result))


tanh = _elementwise(_emit_tanh)
sigmoid = _elementwise(_emit_sigmoid)
exp = _elementwise(_emit_exp)
log = _elementwise(_emit_log)
sqrt = _elementwise(lambda emitter, x: emitter.call("sqrt", x))
