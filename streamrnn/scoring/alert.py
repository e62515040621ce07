"""From p-values to detections, events and alert strength.

A record is a detection where p is at or under the level. Its strength u is
surprise / 3 (p = .001 gives 1), divided by 1 + .1 r, r a leaky count of recent
alerts: where much is alarming, less is alarming. An event opens at a detection
or at u >= 1 and ends after ``QUIET`` records without either. It reaches the alert
level at its first detection with u >= 1. ``alert_strength`` is u / (1 + u) where
an event opens, reaches the alert level, or clearly worsens, and 0 elsewhere; the
level never rescales it.

With a budget of events, the level is the budget's share of a record times
exp(steer): every event that reaches the alert level lowers ``steer`` by ``STEP``
and every record raises it by the same step times the events that the budget
allows for one record, so that in the long run there are as many as were asked
for (Robbins and Monro 1951).
"""

from __future__ import annotations

from streamrnn.kernels.compiling import inlined, kernel
from streamrnn.kernels.scalar import exp
from streamrnn.kernels.vector import load, store

(RECENT, PEAK, STEER, NORMAL, WITHHELD) = range(5)  # float64
STATE = 5
(OPEN, PARTITION, OFFSET, CALM, SINCE, REACHED) = range(6)  # int64
EVENT_STATE = 6

QUIET = 20  # records without a detection that end an event
PAUSE = 20  # records between two alerts of one event
WORSE = 1.25
CLEARLY = 0.5
MOST_WITHHELD = 50.0
STEP = 0.3
_STEER_BOUNDS = (-3.4, 0.7)  # a thirtieth to twice the first guess
_FORGET = 0.9990004998333750  # exp(-1 / 1000)
LARGEST_LEVEL = 0.05  # that a budget may stand for
CALIBRATED_AFTER = 3.0  # normal records, in units of 1 / level


@inlined
def level_now(state, fixed, allowed):
    """The p-value at which a record is a detection; ``allowed`` events a record, or 0."""
    if allowed > 0.0:
        return min(allowed * exp(load(state, STEER)), LARGEST_LEVEL)
    return fixed


@kernel
def judge_event(state, event, surprise, level_surprise, allowed, position):
    """(detection, alert_strength) of a scored record; opens and ends the series' event.

    ``position`` is (partition, offset) of the record: it becomes the event's name.
    """
    store(state, RECENT, load(state, RECENT) * _FORGET)
    if allowed > 0.0:
        store(state, STEER, min(load(state, STEER) + STEP * allowed, _STEER_BOUNDS[1]))
    detection = surprise >= level_surprise
    u = surprise / 3.0 / (1.0 + 0.1 * load(state, RECENT))
    loud = detection or u >= 1.0
    store(event, SINCE, load(event, SINCE) + 1)
    opens = loud and not load(event, OPEN)
    if opens:
        store(event, OPEN, 1)
        store(event, PARTITION, position[0])
        store(event, OFFSET, position[1])
        store(event, REACHED, 0)
    reaches = u >= 1.0 and detection and not load(event, REACHED)
    worsens = u > WORSE * load(state, PEAK) and load(event, SINCE) >= PAUSE
    strength = 0.0
    if opens or reaches or (loud and worsens):
        strength = u / (1.0 + u)
        store(state, PEAK, u)
        store(event, SINCE, 0)
    if reaches:
        store(event, REACHED, 1)
        store(state, RECENT, load(state, RECENT) + 1.0)
        if allowed > 0.0:
            store(state, STEER, max(load(state, STEER) - STEP, _STEER_BOUNDS[0]))
    store(event, CALM, 0 if loud else load(event, CALM) + 1)
    if not detection:
        store(state, NORMAL, load(state, NORMAL) + 1.0)
    return detection, strength


@inlined
def is_normal(state, surprise, level_surprise):
    """Whether the tail may take a record for a normal one.

    p-values speak of a normal stream, so what is clearly not normal stays out:
    a long fault would otherwise teach the tail that faults are common. But not
    more than ``MOST_WITHHELD`` records in some 1000: where all is odd, odd is
    the new normal. The margin keeps the tail of a normal stream in.
    """
    withheld = load(state, WITHHELD) * _FORGET
    clear = surprise >= max(level_surprise, 3.0) + CLEARLY
    if clear and withheld < MOST_WITHHELD:
        store(state, WITHHELD, withheld + 1.0)
        return False
    store(state, WITHHELD, withheld)
    return True


@inlined
def end_if_calm(event):
    """End the open event after enough quiet; called before a record is judged."""
    if load(event, OPEN) and load(event, CALM) >= QUIET:
        store(event, OPEN, 0)
