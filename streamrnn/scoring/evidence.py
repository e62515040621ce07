"""All evidence of one record: assessed against what is known, then learned.

The order matters: a record is assessed, a score and a decision are made of it, and only
then do the models learn it, with the weights that the decision and the gate allow.
"""

from __future__ import annotations

from math import sqrt as square_root

from streamrnn.kernels import plan
from streamrnn.kernels.compiling import inlined, kernel, woven
from streamrnn.kernels.scalar import log, log1p
from streamrnn.kernels.scaler import scale_of, usable
from streamrnn.kernels.vector import float64_at, int64_at, load, shift, store
from streamrnn.scoring import (
    alert,
    anchor,
    autoregression,
    flatline,
    fusion,
    hotelling,
    novelty,
    tail,
    unrest,
)

FIRST = hotelling.FIRST  # records with values before there is a score
_LEAST_NOVELTY = 1e-3
_LOG2 = 0.6931471805599453  # the evidence of an error as large as usual
_LEAST_PART = 1e-6  # of a channel with a value: where nothing is odd, shares are alike
_MOST = 30.0  # of a kind of evidence: a constant channel that moves is infinitely odd
_LEAST_WEIGHT = 0.001  # with which the learning copy of T2 learns what is odd


@inlined
def _at(model, row, index):
    return float64_at(row + load(int64_at(model), index))


@inlined
def _copy(model, row, which, d):
    """Autoregression of copy ``which``, channel ``d``."""
    channels = load(int64_at(model), plan.MODEL_CHANNELS)
    return shift(_at(model, row, plan.MODEL_AUTOREGRESSION), (which * channels + d) * autoregression.COPY)


@inlined
def _levels(model, row, which):
    """T2 of copy ``which``."""
    return shift(_at(model, row, plan.MODEL_LEVELS), which * load(int64_at(model), plan.MODEL_LEVELS_SIZE))


@inlined
def _room(model, scratch, which, d):
    channels = load(int64_at(model), plan.MODEL_CHANNELS)
    place = (which * channels + d) * autoregression.SCRATCH
    return shift(_at(model, scratch, plan.MODEL_AUTOREGRESSION_ROOM), place)


@inlined
def _level_room(model, scratch, which, part):
    """Deviations (part 0) or contributions to T2 (1)."""
    stride = load(int64_at(model), plan.MODEL_LEVELS_STRIDE)
    return shift(_at(model, scratch, plan.MODEL_LEVELS_ROOM), (2 * which + part) * stride)


@inlined
def records_assessed(model, row):
    """Records with values that evidence has learned."""
    return load(_levels(model, row, 0), 0)


@woven
def clean(model, row, scratch, values):
    """Values that evidence may see: within reach, and the last one where one is missing."""
    channels = load(int64_at(model), plan.MODEL_CHANNELS)
    mean, variance = _at(model, row, plan.MODEL_MEAN), _at(model, row, plan.MODEL_VARIANCE)
    magnitude, reach = _at(model, row, plan.MODEL_MAGNITUDE), _at(model, row, plan.MODEL_REACH)
    cleaned = _at(model, scratch, plan.MODEL_CLEAN)
    magnitudes = _at(model, scratch, plan.MODEL_CLEAN_MAGNITUDES)
    past = _at(model, row, plan.MODEL_PAST)
    for d in range(channels):
        value = load(values, d)
        if not usable(value):
            value = load(past, d * autoregression.STRIDE)
        centre, scale = load(mean, d), scale_of(load(variance, d), load(magnitude, d))
        if scale > 0.0:  # not so while the scale is not known
            bound = load(reach, d) * scale
            if load(variance, d) == 0.0:
                bound = max(bound, load(magnitude, d))
            value = min(max(value, centre - bound), centre + bound)
        store(cleaned, d, value)
        store(magnitudes, d, max(load(magnitude, d), abs(value)))


@kernel
def _assess_autoregression(model, row, scratch, values, which, inflation):
    """(mean evidence of one copy over the channels that have a value, largest unrest of the learning one).

    Adds each channel's to its part: its unrest, and of its errors' what is more than usual.
    """
    channels = load(int64_at(model), plan.MODEL_CHANNELS)
    cleaned = _at(model, scratch, plan.MODEL_CLEAN)
    magnitudes = _at(model, scratch, plan.MODEL_CLEAN_MAGNITUDES)
    past = _at(model, row, plan.MODEL_PAST)
    parts = _at(model, scratch, plan.MODEL_SURPRISES)
    total, present, unsettled = 0.0, 0, 0.0
    for d in range(channels):
        if not usable(load(values, d)):
            continue
        relative = autoregression.assess(
            _copy(model, row, which, d),
            _room(model, scratch, which, d),
            shift(past, d * autoregression.STRIDE),
            load(cleaned, d),
            load(magnitudes, d),
        )
        part = min(log1p(relative / inflation), _MOST)
        if which == 0:
            error = load(_room(model, scratch, 0, d), autoregression.SCRATCH_ERROR)
            deviation = autoregression.deviation_of(_copy(model, row, 0, d), load(magnitudes, d))
            kept = shift(_at(model, row, plan.MODEL_UNREST), d * unrest.STATE)
            error *= deviation / square_root(inflation)
            found = unrest.observe(kept, error, deviation, channels)
            unsettled = max(unsettled, found)
            store(parts, d, load(parts, d) + found)
        store(parts, d, load(parts, d) + max(part - _LOG2, 0.0))
        total += part
        present += 1
    return total / present, unsettled


@kernel
def _split(parts, values, evidence, contributions, channels):
    """Add evidence to the parts of the channels that have a value, as they contribute to it."""
    total = 0.0
    for d in range(channels):
        if usable(load(values, d)):
            total += load(contributions, d)
    if total == 0.0:
        return
    for d in range(channels):
        if usable(load(values, d)):
            store(parts, d, load(parts, d) + evidence * (load(contributions, d) / total))


@kernel
def _assess_levels(model, row, scratch, values, which):
    """T2 of one copy, and its evidence; adds to the channels' parts what that has over T2's mean's."""
    channels = load(int64_at(model), plan.MODEL_CHANNELS)
    contributions = _level_room(model, scratch, which, 1)
    t_squared = hotelling.assess(
        _levels(model, row, which),
        _at(model, scratch, plan.MODEL_CLEAN),
        _at(model, scratch, plan.MODEL_CLEAN_MAGNITUDES),
        _level_room(model, scratch, which, 0),
        contributions,
        channels,
    )
    found = min(log1p(t_squared), _MOST)
    more = max(found - log1p(float(channels)), 0.0)
    _split(_at(model, scratch, plan.MODEL_SURPRISES), values, more, contributions, channels)
    return t_squared, found


@woven
def _assess_novelty(model, row, scratch, values, counts):
    """Largest novelty of a value over the channels, discounted; the memories learn."""
    channels = load(int64_at(model), plan.MODEL_CHANNELS)
    cleaned = _at(model, scratch, plan.MODEL_CLEAN)
    magnitudes = _at(model, scratch, plan.MODEL_CLEAN_MAGNITUDES)
    largest, first = 0.0, 0.0
    for d in range(channels):
        if not usable(load(values, d)):
            continue
        memory = shift(_at(model, row, plan.MODEL_NOVELTY), d * novelty.VALUES)
        distance = novelty.observe_value(memory, load(cleaned, d), load(magnitudes, d))
        recent = load(memory, novelty.RECENT)
        largest = max(largest, novelty.discounted(distance, recent))
        store(memory, novelty.RECENT, novelty.counted(distance, recent, novelty.KEEP))
        if counts:
            late = load(memory, novelty.RECENT_LATE)
            if d == 0:
                first = novelty.discounted(distance, late)
            store(memory, novelty.RECENT_LATE, novelty.counted(distance, late, novelty.KEEP))
    return largest, first


@woven
def _assess_runs(model, row, scratch, values):
    """Largest evidence of a flat line over the channels; adds each one's to its part."""
    cleaned, past = _at(model, scratch, plan.MODEL_CLEAN), _at(model, row, plan.MODEL_PAST)
    parts = _at(model, scratch, plan.MODEL_SURPRISES)
    largest = 0.0
    for d in range(load(int64_at(model), plan.MODEL_CHANNELS)):
        if usable(load(values, d)):
            kept = shift(_at(model, row, plan.MODEL_FLAT), d * flatline.STATE)
            last = load(past, d * autoregression.STRIDE)
            found = flatline.observe(kept, load(cleaned, d), last)
            store(parts, d, load(parts, d) + found)
            largest = max(largest, found)
    return largest


@woven
def assess(model, row, scratch, values, inflation):
    """(records before, novelty of the first channel's value); evidence and shares go to the scratch.

    The memories of novelty learn the record here, since they are asked and told in
    one search.
    """
    channels = load(int64_at(model), plan.MODEL_CHANNELS)
    clean(model, row, scratch, values)
    parts = _at(model, scratch, plan.MODEL_SURPRISES)
    for d in range(channels):
        store(parts, d, _LEAST_PART if usable(load(values, d)) else 0.0)
    found = _at(model, scratch, plan.MODEL_FOUND)
    t_squared = _at(model, scratch, plan.MODEL_T_SQUARED)
    for which in range(2):
        residual, unsettled = _assess_autoregression(model, row, scratch, values, which, inflation)
        store(found, 2 * which, residual)
        if which == 0:
            store(found, fusion.UNREST, unsettled)
        t2, level = _assess_levels(model, row, scratch, values, which)
        store(t_squared, which, t2)
        store(found, 2 * which + 1, level)
    before = records_assessed(model, row)
    largest, first = _assess_novelty(model, row, scratch, values, before >= FIRST)
    store(found, fusion.NOVELTY, log(largest + _LEAST_NOVELTY))
    store(found, fusion.FLAT, _assess_runs(model, row, scratch, values))
    return before, first


@inlined
def lasts(model, row, scratch):
    """Whether the record goes on with what began: a flat line, unrest, or a level off the anchored one."""
    found, gate = _at(model, scratch, plan.MODEL_FOUND), _at(model, row, plan.MODEL_ANCHOR)
    goes_on = anchor.is_off(gate, alert.LASTING) or load(found, fusion.FLAT) > 0.0
    for d in range(load(int64_at(model), plan.MODEL_CHANNELS)):
        goes_on = goes_on or unrest.is_raised(shift(_at(model, row, plan.MODEL_UNREST), d * unrest.STATE))
    return goes_on


@kernel
def adopt(model, row):
    """What lasts is normal: for p-values at once, for the anchored copies when their time comes."""
    tail.doubt(_at(model, row, plan.MODEL_TAIL))
    store(_at(model, row, plan.MODEL_ALERT), alert.WITHHELD, alert.MOST_WITHHELD)
    for d in range(load(int64_at(model), plan.MODEL_CHANNELS)):
        unrest.adopt(shift(_at(model, row, plan.MODEL_UNREST), d * unrest.STATE))
        flatline.accept(shift(_at(model, row, plan.MODEL_FLAT), d * flatline.STATE))


@kernel
def _learn_copy(model, row, scratch, values, which, weight):
    """Both models of one copy learn the record that was assessed."""
    channels = load(int64_at(model), plan.MODEL_CHANNELS)
    cleaned = _at(model, scratch, plan.MODEL_CLEAN)
    for d in range(channels):
        if usable(load(values, d)):
            autoregression.learn(
                _copy(model, row, which, d),
                _room(model, scratch, which, d),
                load(cleaned, d),
                weight,
                which == 1,
            )
    hotelling.learn(
        _levels(model, row, which),
        _level_room(model, scratch, which, 0),
        load(_at(model, scratch, plan.MODEL_T_SQUARED), which),
        weight,
        _LEAST_WEIGHT if which == 0 else 0.0,
        channels,
    )


@kernel
def _anchor_anew(model, row):
    """The anchored copies become what the learning copies are."""
    table = int64_at(model)
    size = load(table, plan.MODEL_CHANNELS) * autoregression.COPY
    copies = _at(model, row, plan.MODEL_AUTOREGRESSION)
    for j in range(size):
        store(copies, size + j, load(copies, j))
    size = load(table, plan.MODEL_LEVELS_SIZE)
    levels = _at(model, row, plan.MODEL_LEVELS)
    for j in range(size):
        store(levels, size + j, load(levels, j))


@woven
def learn(model, row, scratch, values, scored, may_learn):
    """Both copies learn, the gate moves, the record joins the past.

    ``scored``: whether fusion has averages; ``may_learn``: whether the learning copies
    may learn the record too.
    """
    gate = _at(model, row, plan.MODEL_ANCHOR)
    _learn_copy(model, row, scratch, values, 0, 1.0 if may_learn else 0.0)
    _learn_copy(model, row, scratch, values, 1, load(gate, anchor.WEIGHT))
    if scored:
        averages = shift(_at(model, row, plan.MODEL_FUSION), fusion.AVERAGES)
        anchored = load(averages, fusion.ANCHORED_RESIDUAL) + load(averages, fusion.ANCHORED_LEVEL)
        learning = load(averages, fusion.RESIDUAL) + load(averages, fusion.LEVEL)
        if anchor.move(gate, anchored, learning):
            _anchor_anew(model, row)
    past = _at(model, row, plan.MODEL_PAST)
    cleaned = _at(model, scratch, plan.MODEL_CLEAN)
    for d in range(load(int64_at(model), plan.MODEL_CHANNELS)):
        mine = shift(past, d * autoregression.STRIDE)
        for j in range(autoregression.ORDER - 1, 0, -1):
            store(mine, j, load(mine, j - 1))
        store(mine, 0, load(cleaned, d))
