"""What a cell must offer. One file a cell; the driver never asks which cell it has.

A cell is a NamedTuple type with one field, ``one``: the number 1 in the element
type of the network (float32; float64 for gradient checks). Numba compiles the
driver once for each such type, and the functions below are chosen by it.

All take ``net``, the address of the network's table (``plan.py``), and ``row``,
that of the model's row. Each reads and writes only the slot it is given and the
scratch.

A step may also read the previous step's head outputs (``NET_Y`` of the slot
before): that is what a Jordan cell feeds back. Its way back then goes through the head,
to dL/dh of the slot before (``NET_TOP_DH``) and to the head's gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from inspect import signature
from typing import Any

from numba.core import types
from numba.extending import overload

from streamrnn.kernels import plan
from streamrnn.kernels.compiling import WITHIN
from streamrnn.kernels.vector import int64_at, load


@dataclass(frozen=True)
class CellSpec:
    """Sizes of a cell in units of the padded hidden size.

    Attributes
    ----------
    name : str
        How settings name it.
    tag : type
        The NamedTuple that selects its kernels.
    gates : tuple of str
        Column blocks of the weights, in PyTorch's order.
    saved : int
        Vectors that a slot keeps for the way back.
    errors : int
        Vectors of gradients of pre-activations that a slot needs.
    state : tuple of int
        Which saved vectors are recurrent state besides h.
    bias : dict
        Initial value of a gate's input bias, where it is not 0.
    context : str
        What of the past a unit sees. ``"hidden"``: h of all units, with a bias of their own;
        ``"own"``: its own h, one row of weights without a bias (such a cell is diagonal, and
        offers ``cell_sensitivities``); ``"outputs"``: the head's outputs of the step before;
        ``"inputs"``: earlier inputs. The last two lie in ``v`` behind the inputs.
    bound : float or None
        Initial weights are uniform within it; None is 1/sqrt(units), or where the context is
        earlier inputs 1/sqrt(all inputs seen).
    turned_to : int
        Most padded units with which its way back reads a transposed copy of W_hh (``NET_TURNED``).
    slopes : bool
        Whether v ends in 1 - h^2 of the h that it begins with, for the way back.
    """

    name: str
    tag: Any
    gates: tuple[str, ...]
    saved: int
    errors: int
    state: tuple[int, ...]
    bias: dict[str, float]
    context: str = "hidden"
    bound: float | None = None
    turned_to: int = 0
    slopes: bool = False

    @property
    def diagonal(self) -> bool:
        """Whether a unit sees no other unit."""
        return self.context == "own"


def cell_forward(cell: Any, net: int, row: int, slot: int) -> None:
    """One step: from ``v`` of the slot to h, written to ``v`` of the next slot."""


def cell_whole_step(cell: Any, net: int, row: int, slot: int) -> Any:
    """One step and the output that it leads to, where the cell makes both in one go; whether it did."""


def cell_whole_steps(cell: Any, net: int, row: int, columns: Any, t: int, until: int) -> Any:
    """Such steps of a sequence (``run_sequence``) from ``t`` on, at most to ``until``; where it stopped.

    It stops at a step without inputs, and where it makes none so.
    """


def cell_hold(cell: Any, net: int, row: int, slot: int) -> None:
    """A masked step: the recurrent state passes through the slot unchanged."""


def cell_reach(cell: Any, net: int, row: int) -> Any:
    """How many steps, from the newest on, the errors of the newest k1 outputs go back through."""


def cell_prepare(cell: Any, net: int, row: int, scratch: int) -> None:
    """Before the first step of a way back: what all its steps need, while the weights stand still."""


def cell_backward(cell: Any, net: int, row: int, scratch: int, slot: int, last: bool) -> None:
    """One step back: from dL/dh of the slot to its errors and to dL/dh of the slot before.

    With ``last`` the window ends here and nothing flows further back.
    """


def cell_at_once(cell: Any, net: int) -> Any:
    """Whether the cell goes back through a window at once, and not step by step."""


def cell_whole_way(cell: Any, net: int, row: int, scratch: int) -> Any:
    """Such a cell's way back: from the targets to the errors of all slots and the head's gradient.

    Returns the number of losses. ``cell_gradient`` follows, and may count on what was done here.
    """


def cell_gradient(cell: Any, net: int, row: int, scratch: int, first: int, steps: int) -> Any:
    """Gradient of the cell's weights over ``steps`` slots from ``first`` on; sum of squares.

    Of a cell that goes back at once those slots are the window's, around the ring.
    """


def cell_sensitivities(cell: Any, net: int, row: int, slot: int, of_c: Any, of_h: Any) -> None:
    """Of a diagonal cell: derivatives of its state by its weights, one step further.

    ``of_c`` and ``of_h`` (rows, gates, padded), as the weights lie, are read and written.
    """


def cell_input_gradient(cell: Any, net: int, row: int, scratch: int, slot: int, out: Any) -> None:
    """dL/dx of the slot, for a layer below; ``out`` holds the inputs rounded up to 16."""


def cell_moment(cell: Any, moment: Any) -> Any:
    """What the optimiser keeps of a vector of new moments."""


_IMPLEMENTED: set[tuple[Callable[..., Any], type]] = set()


def implements(stub: Callable[..., Any], tag: type) -> Callable[[Callable[..., Any]], Any]:
    """Register the decorated function as ``stub`` for the cell ``tag``."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        _IMPLEMENTED.add((stub, tag))
        _choose(stub, function, lambda of_cell: of_cell is tag)
        return function

    return register


def otherwise(stub: Callable[..., Any]) -> Callable[[Callable[..., Any]], Any]:
    """Register the decorated function as ``stub`` for all cells that have none of their own."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        _choose(stub, function, lambda of_cell: (stub, of_cell) not in _IMPLEMENTED)
        return function

    return register


def _choose(stub: Callable[..., Any], function: Callable[..., Any], fits: Callable[[type], bool]) -> None:
    def choose(cell: Any, *rest: Any) -> Any:
        matches = isinstance(cell, types.BaseNamedTuple) and fits(cell.instance_class)
        return function if matches else None

    choose.__signature__ = signature(stub)
    overload(stub, jit_options=WITHIN | {"forceinline": True}, strict=False)(choose)


@otherwise(cell_whole_step)
def _in_two(cell, net, row, slot):
    return False


@otherwise(cell_whole_steps)
def _one_by_one(cell, net, row, columns, t, until):
    return t


@otherwise(cell_reach)
def _to_the_end(cell, net, row):
    counters = int64_at(row + load(int64_at(net), plan.NET_COUNTERS))
    return load(counters, plan.COUNT_FILLED)


@otherwise(cell_prepare)
def _as_it_is(cell, net, row, scratch):
    pass


@otherwise(cell_at_once)
def _step_by_step(cell, net):
    return False


@otherwise(cell_whole_way)
def _nowhere(cell, net, row, scratch):
    return 0


@otherwise(cell_moment)
def _all_of_it(cell, moment):
    return moment
