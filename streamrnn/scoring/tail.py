"""From a score to a p-value: how often this stream would look at least this odd.

Two measures of a record have a tail each: the score, which averages over many records
and hears what lasts, and the sum of the record's own evidence, which hears what comes
and goes. A measure in units of its own running mean and deviation falls into one of 80
bins whose counts decay with memory 2000. Below their .97 quantile the tail probability
is read off the histogram, above it a Lomax (Pareto II) distribution continues it: the
predictive distribution of exponential excesses with K of them seen. The smaller of the
two probabilities counts as that of two tries, p (2 - p). Three trackers of the levels
.1, .01 and .001 then map what this gives onto what the stream realises (stochastic
quantile estimation: Robbins and Monro 1951). They stand still for the first ``alert.YOUTH`` records
learned: one burst while the models know little would otherwise be paid for by thousands of
records without a detection. Memory is fixed; a record is judged before it is learned.
"""

from __future__ import annotations

from math import sqrt as square_root

from streamrnn.kernels.compiling import inlined, kernel
from streamrnn.kernels.scalar import exp, log
from streamrnn.kernels.vector import load, never_inline, shift, store
from streamrnn.scoring import alert

BINS = 80
MEMORY = 2000.0
FIRST = 50.0  # scores that it learns before it judges
# float64 of one measure's tail: these, then the bins
(MEAN, VARIANCE, COUNT, TOTAL) = range(4)
HISTOGRAM = 4
_MEASURE = HISTOGRAM + BINS
LEVELS = 2 * _MEASURE
STATE = LEVELS + 3

_LOW, _WIDTH = -4.0, 0.15
_PRIOR_SCORE, _PRIOR_VARIANCE, _PRIOR_COUNT = 1.25, 0.6, 20.0  # of the score where errors are normal
_PRIOR = 50.0  # counts of a normal distribution that the histogram starts from
_TAIL = 0.03
_PRIOR_EXCESSES, _PRIOR_MEAN = 3.0, 0.35
_WINSOR = 6.0  # deviations: beyond, a score moves mean and deviation no further
_FLOOR = 0.05  # a stream without any evidence has a deviation of 0
_LOG10 = 2.302585092994046
_SMALLEST = 1e-300
_RATES = (0.01, 0.05, 0.2)  # of the trackers: rarer levels see fewer hits and need longer steps
_PROBABILITIES = (0.1, 0.01, 0.001)


def initial_state() -> list[float]:
    """The state before any score: a normal distribution and exact levels."""
    middles = [_LOW + (i + 0.5) * _WIDTH for i in range(BINS)]
    # 0.3989422804014327 = 1 / sqrt(2 pi)
    # Rounded, since libm's last bit differs between systems.
    counts = [
        round(_PRIOR * _WIDTH * 0.3989422804014327 * 2.718281828459045 ** (-0.5 * z * z), 9) for z in middles
    ]
    measure = [_PRIOR_SCORE, _PRIOR_VARIANCE, _PRIOR_COUNT, sum(counts), *counts]
    return [*measure, *measure, 1.0, 2.0, 3.0]


@inlined
def _bin(z):
    """Bin of a standardised score, within the histogram even where z is NaN."""
    if not z > _LOW:
        return 0
    return int(min((z - _LOW) / _WIDTH, BINS - 1.0))


@kernel
def _raw_surprise(state, z):
    """-log10 of a measure's tail probability before the trackers."""
    never_inline()
    counts = shift(state, HISTOGRAM)
    total = load(state, TOTAL)
    tail = _TAIL * total
    # Walk down from the top until the tail's share is reached: its start is u.
    above, moment, j = 0.0, 0.0, BINS - 1
    while j > 0 and above + load(counts, j) < tail:
        above += load(counts, j)
        moment += load(counts, j) * (_LOW + (j + 0.5) * _WIDTH)
        j -= 1
    top = _LOW + (j + 1) * _WIDTH
    part = tail - above
    u = top - part / max(load(counts, j), 1e-9) * _WIDTH
    if z > u:
        moment += part * 0.5 * (u + top)
        excesses = above + part + _PRIOR_EXCESSES
        mean = (moment - (above + part) * u + _PRIOR_EXCESSES * _PRIOR_MEAN) / excesses
        return (excesses * log(1.0 + (z - u) / (excesses * mean)) - log(_TAIL)) / _LOG10
    b = _bin(z)
    inside = min(max((z - _LOW) / _WIDTH - b, 0.0), 1.0)
    probability = (1.0 - inside) * load(counts, b) + 0.5
    for i in range(b + 1, BINS):
        probability += load(counts, i)
    return -log(max(probability / (total + 1.0), _SMALLEST)) / _LOG10


@inlined
def _track(state, raw):
    """Map -log10 p onto what is realised, piecewise linearly, and move the trackers."""
    levels = shift(state, LEVELS)
    first, second, third = load(levels, 0), load(levels, 1), load(levels, 2)
    if raw < first:
        surprise = raw / first
    elif raw < second:
        surprise = 1.0 + (raw - first) / (second - first)
    else:
        surprise = 2.0 + (raw - second) / (third - second)
    if load(state, TOTAL) < _PRIOR + alert.YOUTH:
        return surprise
    for i in range(3):
        hit = 1.0 if raw > load(levels, i) else 0.0
        moved = load(levels, i) + _RATES[i] * (hit - _PROBABILITIES[i])
        store(levels, i, min(max(moved, 0.5 * (i + 1)), 3.0 * (i + 1)))
    store(levels, 1, max(load(levels, 1), load(levels, 0) + 0.3))
    store(levels, 2, max(load(levels, 2), load(levels, 1) + 0.3))
    return surprise


@inlined
def _standardise(state, score):
    return (score - load(state, MEAN)) / (square_root(load(state, VARIANCE)) + _FLOOR)


@kernel
def judge(state, score, evidence):
    """-log10 p of a record by its score and its own evidence, at least 0; moves the trackers."""
    momentary = shift(state, _MEASURE)
    raw = max(
        _raw_surprise(state, _standardise(state, score)),
        _raw_surprise(momentary, _standardise(momentary, evidence)),
    )
    raw -= log(2.0 - exp(-raw * _LOG10)) / _LOG10
    return max(_track(state, raw), 0.0)


@kernel
def _learn(state, value):
    """Take a measure for a normal one: histogram, mean and deviation."""
    never_inline()
    counts = shift(state, HISTOGRAM)
    if load(state, TOTAL) > MEMORY:
        keep = 1.0 - 1.0 / MEMORY
        for i in range(BINS):
            store(counts, i, load(counts, i) * keep)
        store(state, TOTAL, load(state, TOTAL) * keep)
    b = _bin(_standardise(state, value))
    store(counts, b, load(counts, b) + 1.0)
    store(state, TOTAL, load(state, TOTAL) + 1.0)
    mean, variance, count = load(state, MEAN), load(state, VARIANCE), load(state, COUNT) + 1.0
    distance = min(value - mean, _WINSOR * (square_root(variance) + _FLOOR))
    gain = 1.0 / min(count, MEMORY)
    store(state, COUNT, count)
    store(state, MEAN, mean + gain * distance)
    store(state, VARIANCE, (1.0 - gain) * (variance + gain * distance * distance))


@kernel
def learn(state, score, evidence):
    """Take a record for a normal one."""
    _learn(state, score)
    _learn(shift(state, _MEASURE), evidence)


@inlined
def is_usual(state, evidence):
    """Whether a record's own evidence is within a deviation of the mean, or under it."""
    return _standardise(shift(state, _MEASURE), evidence) < 1.0


@inlined
def doubt(state):
    """Forget how sure mean and deviation are of themselves: the next records move them fast."""
    for measure in range(2):
        count = measure * _MEASURE + COUNT
        store(state, count, min(load(state, count), _PRIOR_COUNT))


@inlined
def p_value(surprise):
    """10^-surprise."""
    return exp(-surprise * _LOG10)
