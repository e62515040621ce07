"""Memory that will be wanted, asked for before it is."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic


@intrinsic
def prefetch(_typing: Any, address: Any) -> Any:
    """Ask for the 64 bytes at an address, soon to be read and written; nothing waits for them."""

    def emit(context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        place = builder.inttoptr(args[0], ir.IntType(8).as_pointer())
        wanted = [ir.Constant(ir.IntType(32), number) for number in (1, 2, 1)]  # write, to L2, data
        kind = ir.FunctionType(ir.VoidType(), [place.type, *(number.type for number in wanted)])
        function = builder.module.declare_intrinsic("llvm.prefetch", [place.type], kind)
        builder.call(function, [place, *wanted])
        return context.get_dummy_value()

    return types.void(types.int64), emit
