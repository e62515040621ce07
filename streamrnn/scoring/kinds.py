"""What an event looks like: spike, dip, level shift, drift, variance change, flat line, pattern.

Each channel is watched in the anchored copy's terms: y, its value in deviations from
the normal that was, averaged over some 8 records (level) and some 64 (slow level); and
the jump, its largest recent error in units of the usual one. While an event is open,
the channel with most evidence in it says what it is, from the strongest sign to the
weakest:

- flat line: a flat line was evidence (``flatline.py``) for ``_FOR_A_WHILE`` records;
- level shift: the level was at least half of the largest deviation away from where it had
  been for ``_AWAY`` records, most of that way was behind it after ``_SOON`` records, and it
  is a long way: a jump of ``_CLEAR`` or a slow level ``_FAR`` deviations off;
- drift: the slow level was ``_FAR`` deviations off, and took its time;
- variance change: unrest was evidence (``unrest.py``) for ``_FOR_A_WHILE`` records, and no
  jump was ``_HUGE``: that shakes a regression too;
- spike or dip: it began with a jump of at least ``_ABRUPT``, upwards or downwards;
- pattern: what is unusual in another way.

What an event looks like may change while it is open; at its end it is known.
"""

from __future__ import annotations

from math import sqrt as square_root

from streamrnn.kernels import plan
from streamrnn.kernels.compiling import inlined, kernel
from streamrnn.kernels.scaler import usable
from streamrnn.kernels.vector import float64_at, int64_at, load, shift, store
from streamrnn.scoring import alert, autoregression, fusion

# float64 of a channel; those from BEFORE on are of the open event
(LEVEL, SLOW_LEVEL, JUMP, BEFORE, PEAK, ABRUPT, AWAY, SOON, WAY, FAR, EVIDENCE) = range(11)
STATE = 11
NO_KIND, SPIKE, DIP, LEVEL_SHIFT, DRIFT, VARIANCE_CHANGE, FLAT_LINE, PATTERN = range(8)

_GAIN, _SLOW_GAIN = 0.125, 0.015625
_JUMP_KEEP = 0.8
_JUST_BEGUN = 3  # records in which a jump may show
_FARTHEST = 1000.0
_FAR_ENOUGH = 6.0  # a spike alone makes no slow level
_ABRUPT, _CLEAR, _HUGE, _FAR = 4.0, 8.0, 24.0, 2.0
_AWAY, _FOR_A_WHILE, _SOON = 10.0, 3, 20
_MOST_OF_THE_WAY = 0.4


@inlined
def _begin(mine):
    """The event begins: all that was before is where the channel comes from."""
    store(mine, BEFORE, load(mine, LEVEL))
    for j in range(PEAK, STATE):
        store(mine, j, 0.0)


@kernel
def _follow_channel(mine, y, jump, evidence, event):
    """A channel's part in the open event."""
    if load(event, alert.AGE) == 0:
        _begin(mine)
    before = load(mine, BEFORE)
    if abs(y - before) > abs(load(mine, PEAK)):
        store(mine, PEAK, y - before)
    if load(event, alert.AGE) <= _JUST_BEGUN:
        store(mine, ABRUPT, max(load(mine, ABRUPT), jump))
    peak = load(mine, PEAK)
    if (load(mine, LEVEL) - before) * peak >= 0.5 * peak * peak:
        store(mine, AWAY, load(mine, AWAY) + 1.0)
    way = abs(load(mine, LEVEL) - before)
    if load(event, alert.AGE) <= _SOON:
        store(mine, SOON, way)
    store(mine, WAY, max(load(mine, WAY), way))
    store(mine, FAR, max(load(mine, FAR), abs(load(mine, SLOW_LEVEL))))
    store(mine, EVIDENCE, load(mine, EVIDENCE) + evidence)


@inlined
def _leading(model, row):
    """The channel with most evidence in the open event."""
    table = int64_at(model)
    all_channels = float64_at(row + load(table, plan.MODEL_KINDS))
    leading, most = all_channels, load(all_channels, EVIDENCE)
    for d in range(1, load(table, plan.MODEL_CHANNELS)):
        mine = shift(all_channels, d * STATE)
        if load(mine, EVIDENCE) > most:
            leading, most = mine, load(mine, EVIDENCE)
    return leading


@kernel
def _kind(model, row, scratch):
    """What the open event looks like so far; counts the records in which runs and unrest were evidence."""
    table = int64_at(model)
    event = int64_at(row + load(table, plan.MODEL_EVENT))
    found = float64_at(scratch + load(table, plan.MODEL_FOUND))
    if load(event, alert.AGE) == 0:
        store(event, alert.FLAT_FOR, 0)
        store(event, alert.RESTLESS_FOR, 0)
    if load(found, fusion.FLAT) > 0.0:
        store(event, alert.FLAT_FOR, load(event, alert.FLAT_FOR) + 1)
    if load(found, fusion.UNREST) > 0.0:
        store(event, alert.RESTLESS_FOR, load(event, alert.RESTLESS_FOR) + 1)
    mine = _leading(model, row)
    far, jump = load(mine, FAR) >= _FAR, load(mine, ABRUPT)
    soon = load(mine, SOON) >= _MOST_OF_THE_WAY * load(mine, WAY)
    if load(event, alert.FLAT_FOR) >= _FOR_A_WHILE:
        return FLAT_LINE
    if load(mine, AWAY) >= _AWAY and soon and (far or jump >= _CLEAR):
        return LEVEL_SHIFT
    if far and not soon:
        return DRIFT
    if jump < _HUGE and load(event, alert.RESTLESS_FOR) >= _FOR_A_WHILE:
        return VARIANCE_CHANGE
    if jump >= _ABRUPT:
        return SPIKE if load(mine, PEAK) > 0.0 else DIP
    return DRIFT if far else PATTERN


@kernel
def observe(model, row, scratch, values):
    """Take in a record that was judged, before it is learned; say what the open event looks like."""
    table = int64_at(model)
    channels = load(table, plan.MODEL_CHANNELS)
    event = int64_at(row + load(table, plan.MODEL_EVENT))
    copies = float64_at(row + load(table, plan.MODEL_AUTOREGRESSION))
    rooms = float64_at(scratch + load(table, plan.MODEL_AUTOREGRESSION_ROOM))
    parts = float64_at(scratch + load(table, plan.MODEL_SURPRISES))
    for d in range(channels):
        if not usable(load(values, d)):
            continue
        mine = shift(float64_at(row + load(table, plan.MODEL_KINDS)), d * STATE)
        room = shift(rooms, (channels + d) * autoregression.SCRATCH)  # of the anchored copy
        usual = load(shift(copies, (channels + d) * autoregression.COPY), autoregression.ERROR)
        y = min(max(load(room, autoregression.SCRATCH_Y), -_FARTHEST), _FARTHEST)
        error = abs(load(room, autoregression.SCRATCH_ERROR))
        jump = max(error / square_root(usual + autoregression.SMALLEST_ERROR), _JUMP_KEEP * load(mine, JUMP))
        store(mine, JUMP, jump)
        if load(event, alert.OPEN):
            _follow_channel(mine, y, jump, load(parts, d), event)
        store(mine, LEVEL, load(mine, LEVEL) + _GAIN * (y - load(mine, LEVEL)))
        y = min(max(y, -_FAR_ENOUGH), _FAR_ENOUGH)
        store(mine, SLOW_LEVEL, load(mine, SLOW_LEVEL) + _SLOW_GAIN * (y - load(mine, SLOW_LEVEL)))
    if load(event, alert.OPEN):
        store(event, alert.KIND, _kind(model, row, scratch))
