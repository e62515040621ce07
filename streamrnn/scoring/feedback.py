"""What users said of events: records that look like one of them are made quiet, or never are.

Each event leaves an *entry*: the position that is its name and the signature of its peak
(largest alert_strength, then largest surprise), which is for each channel the value, the
deviation from what was forecast, the deviation with which the event began, and the share of
the evidence. While an event goes on deviations are those from the forecast for the record
that opened it, since forecasts get used to what lasts. A row remembers the newest
so many entries as the preset says, and as templates those of which users spoke.

A record looks like a template where the shares point the same way (cosine >= ``ALIKE``) and
in every leading channel (a share of at least ``LEADING`` of the largest) the deviation has
the same sign, is at least ``LEAST`` of that with which the template began (or of its peak's,
if that is less), and neither it nor the value lies farther out than the template's by more
than ``ROOM`` of the template's deviation. So what is larger still alerts, and so does what
is much smaller: it is something else. What looks like a
dismissed template, and like no confirmed one, asks for no alert, nor do the ``alert.PAUSE``
records after it, unless they ask for more than it did: memories go on ringing. What looks
like a confirmed one is not discounted for recent alerts.

While there are templates a second copy of the alert layer, the *told* one, gives
``alert_strength``, the alert level and the events. The first goes on as if nothing had been
said, and gives p-values' level and calibration: those never change, and when the last
template goes, nothing of it is left.
"""

from __future__ import annotations

from math import nan

from streamrnn.kernels import plan
from streamrnn.kernels.compiling import entry_point, inlined, kernel
from streamrnn.kernels.scaler import usable
from streamrnn.kernels.vector import float64_at, int64_at, load, shift, store
from streamrnn.scoring import alert

# Of a row: how many templates there are, how many entries were ever begun (int64), how many of the
# next records what was made quiet goes on ringing in (int64) and what it asked for (float64), then
# the forecasts for the record that opened the event (channels, float64).
(TEMPLATES, EVENTS, RINGING, HUSHED, EXPECTED) = range(5)
# an entry: int64, float64, then (VALUE, DEVIATION, ONSET, SHARE) of the channels, float64
(PARTITION, OFFSET, MARK, STRENGTH, SURPRISE, SIGNATURE) = range(6)
(VALUE, DEVIATION, ONSET, SHARE, PARTS) = range(5)
DISMISSED, CONFIRMED = 1, 2  # marks

ALIKE = 0.9
LEADING = 0.5
ROOM = 0.25
LEAST = 0.5


def entry_size(channels: int) -> int:
    """Numbers of 8 bytes in an entry."""
    return SIGNATURE + PARTS * channels


@inlined
def _entry(base, i, channels):
    """Address of entry ``i``."""
    return base + 8 * i * (SIGNATURE + PARTS * channels)


@kernel
def _same_way(shares, others, channels):
    """Whether the cosine of two vectors of shares is at least ``ALIKE``."""
    product, one, other = 0.0, 0.0, 0.0
    for d in range(channels):
        a, b = load(shares, d), load(others, d)
        product, one, other = product + a * b, one + a * a, other + b * b
    return product * product >= ALIKE * ALIKE * one * other


@kernel
def looks_like(entry, template, channels):
    """Whether what one entry describes looks like a template; both are addresses. NaN never does."""
    mine = shift(float64_at(entry), SIGNATURE)
    theirs = shift(float64_at(template), SIGNATURE)
    shares = shift(theirs, SHARE * channels)
    if not _same_way(shift(mine, SHARE * channels), shares, channels):
        return False
    largest = 0.0
    for d in range(channels):
        largest = max(largest, load(shares, d))
    for d in range(channels):
        if load(shares, d) < LEADING * largest:
            continue
        peak = load(theirs, DEVIATION * channels + d)
        sign = 1.0 if peak >= 0.0 else -1.0
        deviation = sign * load(mine, DEVIATION * channels + d)
        farther = sign * (load(mine, VALUE * channels + d) - load(theirs, VALUE * channels + d))
        peak *= sign
        least = LEAST * min(sign * load(theirs, ONSET * channels + d), peak)
        room = ROOM * peak
        if not (deviation > 0.0 and least <= deviation <= peak + room and farther <= room):
            return False
    return True


@kernel
def said_of(entry, templates, count, channels):
    """The mark of the templates that an entry looks like: ``CONFIRMED`` before ``DISMISSED``; 0: of none."""
    said = 0
    for k in range(count):
        template = _entry(templates, k, channels)
        if looks_like(entry, template, channels):
            said = max(said, load(int64_at(template), MARK))
    return said


@entry_point
def judge_entries(entries, n, templates, count, channels, out):
    """``said_of`` for ``n`` entries, one behind the other, into ``out``, int64 (n)."""
    for i in range(n):
        store(int64_at(out), i, said_of(_entry(entries, i, channels), templates, count, channels))


@inlined
def is_told(model, row):
    """Whether there are templates."""
    return load(int64_at(row + load(int64_at(model), plan.MODEL_FEEDBACK)), TEMPLATES) > 0


@inlined
def shown_event(model, row):
    """The state of the event that users see."""
    table = int64_at(model)
    place = plan.MODEL_TOLD_EVENT if is_told(model, row) else plan.MODEL_EVENT
    return int64_at(row + load(table, place))


@kernel
def _describe(model, row, scratch, call, i, verdict, position):
    """Write the record's entry into the scratch; its address."""
    table, columns = int64_at(model), int64_at(call)
    channels = load(table, plan.MODEL_CHANNELS)
    entry = scratch + load(table, plan.MODEL_ENTRY)
    store(int64_at(entry), PARTITION, position[0])
    store(int64_at(entry), OFFSET, position[1])
    store(int64_at(entry), MARK, 0)
    store(float64_at(entry), STRENGTH, verdict[0])
    store(float64_at(entry), SURPRISE, verdict[1])
    signature = shift(float64_at(entry), SIGNATURE)
    expected = shift(float64_at(row + load(table, plan.MODEL_FEEDBACK)), EXPECTED)
    event = int64_at(row + load(table, plan.MODEL_EVENT))
    opened = load(event, alert.PARTITION) == position[0] and load(event, alert.OFFSET) == position[1]
    for d in range(channels):
        at = i * channels + d
        value = load(float64_at(load(columns, plan.CALL_VALUES)), at)
        forecast = load(float64_at(load(columns, plan.CALL_YHAT)), at)
        if opened:
            store(expected, d, forecast)
        elif load(event, alert.OPEN):
            forecast = load(expected, d)
        value = value if usable(value) else nan
        store(signature, VALUE * channels + d, value)
        store(signature, DEVIATION * channels + d, value - forecast)
        store(signature, ONSET * channels + d, value - forecast)
        store(signature, SHARE * channels + d, load(float64_at(load(columns, plan.CALL_SHARE)), at))
    return entry


@kernel
def _remember(model, row, entry):
    """Keep the entry of the event that is open, where the record is its peak so far."""
    table = int64_at(model)
    channels = load(table, plan.MODEL_CHANNELS)
    event = shown_event(model, row)
    head = int64_at(row + load(table, plan.MODEL_FEEDBACK))
    entries = row + load(table, plan.MODEL_KNOWN_EVENTS)
    known, most = load(head, EVENTS), load(table, plan.MODEL_MOST_EVENTS)
    kept = _entry(entries, (known - 1) % most, channels) if known else entries
    place = int64_at(kept)
    goes_on = known > 0 and load(place, OFFSET) == load(event, alert.OFFSET)
    goes_on = goes_on and load(place, PARTITION) == load(event, alert.PARTITION)
    strength, surprise = load(float64_at(entry), STRENGTH), load(float64_at(entry), SURPRISE)
    if goes_on:
        before = load(float64_at(kept), STRENGTH)
        weaker = strength == before and surprise <= load(float64_at(kept), SURPRISE)
        if strength < before or weaker:
            return
    else:
        store(head, EVENTS, known + 1)
        kept = _entry(entries, known % most, channels)
    onset = SIGNATURE + ONSET * channels
    for j in range(STRENGTH, SIGNATURE + PARTS * channels):
        if not goes_on or not onset <= j < onset + channels:
            store(float64_at(kept), j, load(float64_at(entry), j))
    store(int64_at(kept), PARTITION, load(event, alert.PARTITION))
    store(int64_at(kept), OFFSET, load(event, alert.OFFSET))
    store(int64_at(kept), MARK, 0)


@kernel
def _is_quiet(head, dismissed, asked):
    """Whether a record asks for nothing: it was dismissed, or is what a dismissed one leaves behind."""
    ringing = load(int64_at(head), RINGING)
    loudest = load(float64_at(head), HUSHED) if ringing > 0 else 0.0
    if dismissed:
        store(int64_at(head), RINGING, alert.PAUSE)
        store(float64_at(head), HUSHED, max(asked, loudest))
        return True
    if ringing > 0:
        store(int64_at(head), RINGING, ringing - 1)
    return asked <= loudest


@kernel
def _judge_told(model, row, entry, call, i, demand, position):
    """alert_strength of a record as the told copy has it; ``demand`` as ``weigh`` has it."""
    table = int64_at(model)
    detection, asked, allowed, lasts = demand
    state = float64_at(row + load(table, plan.MODEL_TOLD))
    event = int64_at(row + load(table, plan.MODEL_TOLD_EVENT))
    alert.end_if_calm(event)
    count = load(int64_at(row + load(table, plan.MODEL_FEEDBACK)), TEMPLATES)
    templates = row + load(table, plan.MODEL_TEMPLATES)
    said = said_of(entry, templates, count, load(table, plan.MODEL_CHANNELS)) if asked > 0.0 else 0
    head = row + load(table, plan.MODEL_FEEDBACK)
    if said == CONFIRMED:
        asked = alert.undiscounted(state, asked)
    elif _is_quiet(head, said == DISMISSED, asked):
        asked = 0.0
    level = alert.alert_level_now(state, event)
    store(float64_at(load(int64_at(call), plan.CALL_ALERT_LEVEL)), i, level)
    return alert.judge_event(state, event, detection, asked, allowed, position, lasts)


@kernel
def _weigh(model, row, scratch, call, i, verdict, demand, position):
    entry = _describe(model, row, scratch, call, i, verdict, position)
    strength = verdict[0]
    if is_told(model, row):
        strength = _judge_told(model, row, entry, call, i, demand, position)
        store(float64_at(entry), STRENGTH, strength)
    if load(shown_event(model, row), alert.OPEN):
        _remember(model, row, entry)
    return strength


@inlined
def weigh(model, row, scratch, call, i, verdict, demand, position):
    """alert_strength of a scored record after what users said; remembers what its event looks like.

    Parameters
    ----------
    verdict : (strength, surprise)
        Of the first copy of the alert layer.
    demand : (detection, asked, allowed, lasts)
        As ``alert.judge_event`` has them.
    position : (partition, offset)
    """
    if is_told(model, row) or load(shown_event(model, row), alert.OPEN):
        return _weigh(model, row, scratch, call, i, verdict, demand, position)
    return verdict[0]
