"""The fast heads of a forecasting group: robust readouts of one state, one for each forgetting factor.

A head is a readout (``readout.py``) whose clip follows its own errors and that forgets
within 100, 500 or 5000 records. What a group's heads say is mixed with what others say
(``mixture.py``); through the shares and the heads' weights their error tells the network
how its units should have moved.
"""

from __future__ import annotations

from math import isnan

from streamrnn.kernels import plan
from streamrnn.kernels.compiling import inlined, kernel
from streamrnn.kernels.matrix import matvec_transposed
from streamrnn.kernels.readout import find_errors, update_gains, update_weights
from streamrnn.kernels.vector import (
    float64_at,
    fma,
    int64_at,
    lanes,
    load,
    load_vector,
    never_inline,
    shift,
    splat,
    store,
    store_vector,
)

_LEAST_SHARE = 1e-12  # of a group, so that shares that vanish divide nothing by 0


@inlined
def head_table(group, e):
    """Address of the readout's table of a group's head ``e``."""
    return group + load(int64_at(group), plan.GROUP_READS) + 8 * e * plan.READ_SIZE


@kernel
def find_all_errors(group, row, scratch, newest, horizons, changes):
    """Gains from the newest regressors and the errors of every horizon, of each head.

    ``changes`` (horizons, of ``GROUP_STRIDE`` apart): what came true, NaN where nothing did.
    """
    never_inline()
    table = int64_at(group)
    stride = load(table, plan.GROUP_STRIDE)
    for e in range(load(table, plan.GROUP_HEADS)):
        read = head_table(group, e)
        if not isnan(load(changes, 0)):
            update_gains(read, row, scratch, newest, changes)
        find_errors(read, row, scratch, newest, horizons, (changes, stride))


@kernel
def update_all_weights(group, row, scratch, newest, horizons):
    """Move the weights of every head by the errors that were found."""
    never_inline()
    for e in range(load(int64_at(group), plan.GROUP_HEADS)):
        update_weights(head_table(group, e), row, scratch, newest, horizons)


@inlined
def mixed_error(group, scratch, shares, k):
    """The heads' errors of horizon ``k`` weighted by their shares, NaN where unknown; the shares' sum."""
    total, error = _LEAST_SHARE, 0.0
    for e in range(load(int64_at(group), plan.GROUP_HEADS)):
        read = int64_at(head_table(group, e))
        errors = float64_at(scratch + load(read, plan.READ_ERRORS))
        share = load(shares, e)
        total += share
        error += share * load(errors, k)
    return error / total, total


@kernel
def mixed_weights(group, row, scratch, shares, k, total, out):
    """How much the heads' mixture of horizon ``k`` moves with each h, to ``out`` (padded).

    Head e's forecast is a x + b (l - G x), so by h it is a - G b; the sum over the heads is
    taken before that over the lags, so that each unit needs one sum across lanes.
    """
    never_inline()
    table = int64_at(group)
    hidden, padded = load(table, plan.GROUP_HIDDEN), load(table, plan.GROUP_PADDED)
    room, ones = (
        float64_at(scratch + load(table, plan.GROUP_ROOM)),
        float64_at(scratch + load(table, plan.GROUP_ONES)),
    )
    unit = lanes(room)
    for j in range(0, hidden * unit, unit):
        store_vector(room, j, splat(room, 0.0))
    for j in range(0, padded, unit):
        store_vector(out, j, splat(out, 0.0))
    for e in range(load(table, plan.GROUP_HEADS)):
        read = int64_at(head_table(group, e))
        share, width, stride = (
            load(shares, e) / total,
            load(read, plan.READ_WIDTH),
            load(read, plan.READ_STRIDE),
        )
        a = shift(float64_at(row + load(read, plan.READ_SHARED_WEIGHTS)), k * stride)
        b = shift(float64_at(row + load(read, plan.READ_OWN_WEIGHTS)), k * width)
        cross = float64_at(row + load(read, plan.READ_CROSS))
        for j in range(0, padded, unit):  # beyond the last unit: the constant's weight, and zeros
            store_vector(out, j, fma(load_vector(a, j), splat(out, share), load_vector(out, j)))
        for n in range(0, width, unit):
            part = load_vector(b, n) * share
            for j in range(hidden):
                before = load_vector(room, j * unit)
                store_vector(room, j * unit, fma(load_vector(cross, j * width + n), part, before))
    store_vector(ones, 0, splat(ones, 1.0))
    through = shift(room, padded * unit)
    matvec_transposed(room, unit, ones, unit, through, padded, 0)
    for j in range(0, padded, unit):
        store_vector(out, j, load_vector(out, j) - load_vector(through, j))
    for j in range(hidden, padded):
        store(out, j, 0.0)


@inlined
def leverage(group, row, slot):
    """Z' P z of the head that forgets least, for the regressors of a slot."""
    table = int64_at(group)
    read = int64_at(head_table(group, load(table, plan.GROUP_HEADS) - 1))
    return load(float64_at(row + load(read, plan.READ_LEVERAGE)), slot)
