"""From p-values and strength to detections, events and alerts.

A record is a detection where p is at or under the level. Its strength is u = s / (1 +
.07 r), s what its evidence asks for (1: an alert) and r a leaky count of recent alerts:
where much is alarming, less is alarming, by the same measure as novelty (``novelty.py``).
``alert_strength`` is u / (1 + u) where s is the largest of the last min(max(50, .04 t), 200)
records and no alert was among the last ``PAUSE``, and 0 elsewhere: what goes on says so once,
and again only where it worsens. That is a matter of s: u also rises while a discount fades.

An event opens at a detection or at ``alert_strength`` >= .5 and ends after ``QUIET``
records without either in which nothing of it lasts: no flat line, no unrest, no level
off the anchored one (``evidence.lasts``). What lasts for ``LASTING`` records is the new
normal and holds no event open. It is an alert once ``alert_strength`` reaches the alert level:
.5, or more while a budget is overrun or the series is young.

With a budget of events, two levels are steered so that in the long run there are as
many as were asked for (Robbins and Monro 1951). The p-level is the budget's share of a
record times exp(steer): an event that opens at a detection lowers ``steer`` by ``STEP``,
and every record raises it by the same step times the events that the budget allows for
one record. The alert level's u is exp(raise): up by ``STEP`` with every alert, down in
the same way, and never under 1. For the first ``YOUTH`` scored records it is up to
1 + ``_YOUNG`` times as much: memories that hold little call much new.
"""

from __future__ import annotations

from streamrnn.kernels.compiling import inlined, kernel
from streamrnn.kernels.scalar import exp
from streamrnn.kernels.vector import load, shift, store
from streamrnn.scoring import novelty

(RECENT, STEER, RAISED, NORMAL, WITHHELD) = range(5)  # float64
_PEAKS = 8  # a queue of demands that nothing later exceeds: they, then when they were
LONGEST = 200  # records, where nothing else is said
(OPEN, PARTITION, OFFSET, CALM, REACHED, SINCE, RECORDS, HEAD, HELD) = range(9)  # int64
# of the open event: its records, how many with which evidence, and what it looks like (``kinds.py``)
(AGE, FLAT_FOR, RESTLESS_FOR, KIND) = range(9, 13)
ROOM = 13  # records that the queue of demands goes back
EVENT_STATE = 14

QUIET = 20  # records without a detection that end an event
LASTING = 500
PAUSE = 20  # records after an alert in which there is no other
SHORTEST = 50
_GROWTH = 0.04
_FAINT = 0.25  # u under which nothing is said
CLEARLY = 0.5
SURPRISE = 3.0  # -log10 p that asks for an alert where no network is heard
MOST_WITHHELD = 50.0
STEP = 0.3
_STEER_BOUNDS = (-3.4, 0.7)  # a thirtieth to twice the first guess
_MOST_RAISED = 12.0
YOUTH = 350.0
_YOUNG = 30.0
_FORGET = 0.9990004998333750  # exp(-1 / 1000): of the count of records withheld
LARGEST_LEVEL = 0.05  # that a budget may stand for
CALIBRATED_AFTER = 3.0  # normal records, in units of 1 / level


def state_size(longest: int = LONGEST) -> int:
    """Float64 of the state whose queue of demands goes back so many records."""
    return _PEAKS + 2 * (longest + 1)


def initial_event(longest: int = LONGEST) -> list[int]:
    """No event, and no alert before that would silence the first."""
    state = [0] * EVENT_STATE
    state[SINCE], state[ROOM] = PAUSE, longest
    return state


@inlined
def level_now(state, fixed, allowed):
    """The p-value at which a record is a detection; ``allowed`` events a record, or 0."""
    if allowed > 0.0:
        return min(allowed * exp(load(state, STEER)), LARGEST_LEVEL)
    return fixed


@inlined
def alert_level_now(state, event):
    """The alert_strength at which an event is an alert: higher for a young series, to which all is new."""
    young = max(1.0 - load(event, RECORDS) / YOUTH, 0.0)
    u = exp(load(state, RAISED)) * (1.0 + _YOUNG * young)
    return u / (1.0 + u)


@inlined
def undiscounted(state, asked):
    """What a record must ask for so that ``judge_event`` takes nothing off for recent alerts."""
    return asked / novelty.discounted(1.0, load(state, RECENT) * novelty.KEEP)


@kernel
def is_peak(state, event, asked):
    """Whether a demand beats those of the last min(max(50, .04 t), 200) records; joins them.

    The queue holds what nothing later has reached, largest first (Lemire 2006), in a
    ring, so that a record costs a few operations.
    """
    records = load(event, RECORDS) + 1
    store(event, RECORDS, records)
    longest = load(event, ROOM)
    values, times = shift(state, _PEAKS), shift(state, _PEAKS + longest + 1)
    head, held = load(event, HEAD), load(event, HELD)
    window = int(min(max(float(SHORTEST), _GROWTH * records), float(longest)))
    while held > 0 and load(times, head) < records - window:
        head = head + 1 if head < longest else 0
        held -= 1
    peak = held == 0 or asked > load(values, head)
    while held > 0:
        last = (head + held - 1) % (longest + 1)
        if load(values, last) > asked:
            break
        held -= 1
    last = (head + held) % (longest + 1)
    store(values, last, asked)
    store(times, last, float(records))
    store(event, HEAD, head)
    store(event, HELD, held + 1)
    return peak


@kernel
def judge_event(state, event, detection, asked, allowed, position, lasts):
    """alert_strength of a scored record; opens the series' event, or keeps it open.

    ``asked`` is what its evidence asks for; ``position`` = (partition, offset) of the
    record becomes the event's name; ``lasts``: whether what began goes on.
    """
    store(event, AGE, load(event, AGE) + 1)
    alert_level = alert_level_now(state, event)
    store(state, RECENT, load(state, RECENT) * novelty.KEEP)
    if allowed > 0.0:
        store(state, STEER, min(load(state, STEER) + STEP * allowed, _STEER_BOUNDS[1]))
        store(state, RAISED, max(load(state, RAISED) - STEP * allowed, 0.0))
    u = novelty.discounted(asked, load(state, RECENT))
    peak = is_peak(state, event, asked)
    store(event, SINCE, load(event, SINCE) + 1)
    strength = u / (1.0 + u) if peak and load(event, SINCE) > PAUSE and u >= _FAINT else 0.0
    if strength >= 0.5:
        store(event, SINCE, 0)
        store(state, RECENT, load(state, RECENT) + 1.0)
    if (detection or strength >= 0.5) and not load(event, OPEN):
        store(event, OPEN, 1)
        store(event, PARTITION, position[0])
        store(event, OFFSET, position[1])
        store(event, REACHED, 0)
        store(event, AGE, 0)
        if detection and allowed > 0.0:
            store(state, STEER, max(load(state, STEER) - STEP, _STEER_BOUNDS[0]))
    if strength >= alert_level and not load(event, REACHED):
        store(event, REACHED, 1)
        if allowed > 0.0:
            store(state, RAISED, min(load(state, RAISED) + STEP, _MOST_RAISED))
    held = detection or strength >= 0.5 or (lasts and load(event, AGE) < LASTING)
    store(event, CALM, 0 if held else load(event, CALM) + 1)
    if not detection:
        store(state, NORMAL, load(state, NORMAL) + 1.0)
    return strength


@inlined
def is_normal(state, surprise, level_surprise, odd):
    """Whether the tail may take a record for a normal one.

    p-values speak of a normal stream, so what is clearly not normal stays out:
    a long fault would otherwise teach the tail that faults are common. But not
    more than ``MOST_WITHHELD`` records in some 1000: where all is odd, odd is
    the new normal. The margin keeps the tail of a normal stream in. ``odd``: it has
    evidence that normal records of most streams never have.
    """
    withheld = load(state, WITHHELD) * _FORGET
    clear = odd or surprise >= max(level_surprise, 3.0) + CLEARLY
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
