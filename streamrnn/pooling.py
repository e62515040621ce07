"""Fits a prior: weights and scale-free statistics of many series, as a start for others.

Weights of networks that learned apart from each other cannot be averaged: their units
mean different things. Here all series begin each round from the same weights, learn a
window of ``_WINDOW`` records as new series would, and the round ends with the mean of what
they came to (McMahan et al. 2017, federated averaging). With windows so short that is Reptile
(Nichol et al. 2018): it moves to where a few hundred records of any of the series teach the most.
No series comes before another, so their order changes nothing but last bits.

A last pass over longer stretches of the series, with these weights held still, gives the rest. A
regression by recursive least squares has P^-1 = sum of z z' and weights w; P^-1 w is then
the sum of z y. Their means a record, over the variance of the series' errors as generalised least
squares has it, are averaged over all series and join, times ``_WORTH``, what a regression starts
from with nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from streamrnn.errors import DataError
from streamrnn.fleet import Fleet
from streamrnn.initial import initial_row
from streamrnn.layout import ModelLayout
from streamrnn.pooled import Readout, fitting, networks, read, readouts
from streamrnn.prior import FITS, Prior
from streamrnn.records import Batch
from streamrnn.scoring import autoregression, fusion, tail
from streamrnn.settings import Settings
from streamrnn.space import LANES, round_up
from streamrnn.tables import PRIOR

__all__ = ["blank_prior", "fit_prior"]

_ROUNDS, _WINDOW = 24, 1000
_LONGEST = 5000  # records of each series in the last pass
_YOUNG = 1000  # records after which the shape of scores is taken: it is for young series
_FEWEST = 200  # of a series that has anything to say
# Of 1 the errors of 58 series' first 100 records are .933 of those without a prior, 500: .949; 2,000: .969;
# of .3 and of 3: .951, .929; .964, .942; .977, .965. More helps more, but fewer series. Means without the
# variances' inverse: 1.00, .99, .99 at best.
_WORTH = 1.0
_LEAST_VARIANCE = 1e-3  # scaled units: of a series without errors
_MEASURE = tail.LEVELS // 2  # numbers of each of the tail's two measures

Float64Array = NDArray[np.float64]
Rows = list[NDArray[np.uint8]]


def fit_prior(batches: Sequence[Batch], settings: Settings) -> Prior:
    """Pool what series have in common.

    Parameters
    ----------
    batches : sequence of Batch
        Records of the series, each in order; their codes are those of one numbering.
    settings : Settings
        Those of the fleets and detectors that will begin from it, but for ``seed``, ``prior``
        and tunable ones, which do not matter, and the names of the channels.

    Raises
    ------
    DataError
        Where no series has 200 records.
    """
    learning = replace(fitting(settings), learn_anomalies=True)
    series = [one for one in _apart(batches) if len(one) >= _FEWEST]
    if not series:
        raise DataError(f"no series has {_FEWEST} records; a prior is pooled from series that have")
    layout = ModelLayout(learning)
    weights = [layout.segment(initial_row(layout), f"{name}.weights", shape.dtype).astype(np.float64)
               for name, shape in networks(layout)]  # fmt: skip
    for n in range(_ROUNDS):
        windows = [_window(one, n) for one in series]
        rows = _learned(learning, windows, weights)[1]
        weights = _mean_weights(layout, rows, [len(window) for window in windows])
    still = replace(learning, learning_rate=0.0)
    young, old = _learned(still, [_some(one, 0, _LONGEST) for one in series], weights)
    start = initial_row(layout)
    _set_weights(layout, start, weights)
    for readout in readouts(layout):
        _pool_readout(layout, readout, old, start)
    _pool_regressions(layout, old, start)
    _pool_scores(layout, young, start)
    return _prior_of(settings, series, read(layout, start))


def blank_prior(settings: Settings) -> Prior:
    """A prior of nothing: what a series begins from without one, and weights as they are drawn.

    It lets the cost of networks that series share be measured before there is a fitted one.
    """
    layout = ModelLayout(fitting(settings))
    return _prior_of(settings, [], read(layout, initial_row(layout)))


def _prior_of(settings: Settings, series: Sequence[Batch], numbers: bytes) -> Prior:
    fitted = {**{name: settings.to_dict()[name] for name in FITS}, "channels": len(settings.channels)}
    return Prior.of(fitted, len(series), sum(map(len, series)), numbers)


# ---------------------------------------------------------------- series


def _apart(batches: Sequence[Batch]) -> Iterator[Batch]:
    """Each series' records."""
    columns = {
        name: np.concatenate([getattr(batch, name) for batch in batches])
        for name in ("series", "times", "values", "partitions", "offsets")
    }
    order = np.argsort(columns["series"], kind="stable")
    borders = np.flatnonzero(np.diff(columns["series"][order])) + 1
    for rows in np.split(order, borders):
        yield Batch(**{name: column[rows] for name, column in columns.items()})


def _some(batch: Batch, start: int, stop: int) -> Batch:
    return Batch(*(getattr(batch, name)[start:stop] for name in vars(batch)))


def _window(batch: Batch, n: int) -> Batch:
    """The window of round n; over all rounds they lie evenly in the series."""
    start = max(len(batch) - _WINDOW, 0) * n // (_ROUNDS - 1)
    return _some(batch, start, start + _WINDOW)


def _learned(settings: Settings, series: list[Batch], weights: list[Float64Array]) -> tuple[Rows, Rows]:
    """The rows of series that began with these weights, when they were young and at their ends."""
    young, old = [], []
    for records in series:  # one after the other: memory is that of one
        fleet = Fleet(settings)
        fleet.series([""])
        _set_weights(fleet.layout, fleet.row(0), weights)
        one = replace(records, series=np.zeros(len(records), np.int32))
        fleet.process(_some(one, 0, _YOUNG))
        young.append(fleet.row(0).copy())
        fleet.process(_some(one, _YOUNG, len(one)))
        old.append(fleet.row(0))
    return young, old


# ---------------------------------------------------------------- weights


def _set_weights(layout: ModelLayout, row: NDArray[np.uint8], weights: list[Float64Array]) -> None:
    for (name, shape), mine in zip(networks(layout), weights, strict=True):
        layout.segment(row, f"{name}.weights", shape.dtype)[:] = mine


def _mean_weights(layout: ModelLayout, rows: Rows, counts: list[int]) -> list[Float64Array]:
    """Each network's weights, averaged over rows that count as the records they have seen."""
    return [
        np.average(
            [layout.segment(row, f"{name}.weights", shape.dtype).astype(np.float64) for row in rows],
            axis=0,
            weights=counts,
        )
        for name, shape in networks(layout)
    ]


# ---------------------------------------------------------------- regressions


def _pool_readout(layout: ModelLayout, readout: Readout, rows: Rows, start: NDArray[np.uint8]) -> None:
    """One readout, as a regression on [h, 1] and a channel's lags, put into a row that begins."""
    pooled = [_sums(layout, readout, row) for row in rows]
    moments = _WORTH * np.mean([m for m, _ in pooled], axis=0)
    products = _WORTH * np.mean([p for _, p in pooled], axis=0)
    shared, cross, own, of_x, of_l = _segments(layout, readout, start)
    terms, lags = readout.hidden + 1, readout.lags
    for d in range(readout.channels):
        at = slice(d * lags, (d + 1) * lags)
        full = moments[d] + np.eye(terms + lags) / PRIOR
        weights = np.linalg.solve(full, products[d].T).T  # (horizons, terms + lags)
        inverse = _symmetric(np.linalg.inv(full[:terms, :terms]))
        regression = inverse @ full[:terms, terms:]
        shared[:terms, :terms], cross[:terms, at] = inverse, regression
        own[d] = _symmetric(np.linalg.inv(full[terms:, terms:] - full[terms:, :terms] @ regression))
        of_l[:, d] = weights[:, terms:]
        of_x[:, d, :terms] = weights[:, :terms] + weights[:, terms:] @ regression.T


def _sums(layout: ModelLayout, readout: Readout, row: NDArray[np.uint8]) -> tuple[Float64Array, Float64Array]:
    """What a row adds to the pool: z z' (channels, z, z) and z y (channels, horizons, z), z = [h, 1, lags].

    From the two stages of the readout, P^-1 of x = [h, 1, extra] and that of what x leaves of the
    lags; what belongs to the extra regressors is left out, as is what they explain.
    """
    shared, cross, own, of_x, of_l = _segments(layout, readout, row)
    terms, lags = readout.hidden + 1, readout.lags
    on = np.flatnonzero(np.diag(shared[:, : len(shared)]) > 0.0)  # extra ones that rest have no variance
    kept = np.append(np.arange(terms), len(on) + np.arange(lags))
    share = _remembered(layout, row, readout.forget) * _noise(layout, row)
    of_all = np.linalg.inv(shared[np.ix_(on, on)])
    moments, products = [], []
    for d in range(readout.channels):
        regression = cross[on, d * lags : (d + 1) * lags]
        both = of_all @ regression
        full = np.block([[of_all, both], [both.T, np.linalg.inv(own[d]) + regression.T @ both]])
        weights = np.hstack([of_x[:, d, on] - of_l[:, d] @ regression.T, of_l[:, d]])
        moments.append(full[np.ix_(kept, kept)] / share)
        products.append((weights @ full)[:, kept] / share)
    return np.array(moments), np.array(products)


def _noise(layout: ModelLayout, row: NDArray[np.uint8]) -> float:
    """Variance of a series' errors, scaled units; one for all channels, which share a matrix."""
    channels = len(layout.settings.channels)
    spread = layout.segment(row, "spread", np.float64)[:channels]  # those of the first horizon
    return float(np.median(spread)) + _LEAST_VARIANCE


def _segments(layout: ModelLayout, readout: Readout, row: NDArray[np.uint8]) -> tuple[Float64Array, ...]:
    """Views: P of x (terms, stride), G (terms, width), P of the lags, both kinds of weights."""
    horizons, channels, lags = len(layout.settings.horizons), readout.channels, readout.lags
    terms = readout.hidden + 1 + readout.extra
    stride = round_up(terms, LANES)

    def view(name: str, *shape: int) -> Float64Array:
        return layout.segment(row, f"{readout.name}.{name}", np.float64).reshape(shape)

    return (
        view("shared", terms, stride),
        view("cross", terms, channels * lags),
        view("own", channels, lags, lags),
        view("shared_weights", horizons, channels, stride),
        view("own_weights", horizons, channels, lags),
    )


def _remembered(layout: ModelLayout, row: NDArray[np.uint8], forget: float) -> float:
    """Records that a sum with forgetting holds."""
    records = int(layout.segment(row, "seen", np.int64).max())
    return float((1.0 - forget**records) / (1.0 - forget))


def _pool_regressions(layout: ModelLayout, rows: Rows, start: NDArray[np.uint8]) -> None:
    """The autoregressions of the evidence, each channel's learning copy for both of its copies."""
    terms, stride, channels = autoregression.TERMS, autoregression.STRIDE, len(layout.settings.channels)

    def views(row: NDArray[np.uint8], copy: int) -> tuple[Float64Array, Float64Array]:
        mine = layout.segment(row, "autoregression", np.float64)[copy * autoregression.COPY :]
        inverse = mine[autoregression.INVERSE :][: terms * stride].reshape(terms, stride)
        return mine[autoregression.WEIGHTS :][:terms], inverse[:, :terms]

    for d in range(channels):
        weights, inverse = views(start, d)
        moments = np.eye(terms) / autoregression.PRIOR
        products = moments @ weights
        for row in rows:
            theirs, of_theirs = views(row, d)
            records = _remembered(layout, row, autoregression.FORGETTING)
            sums = np.linalg.inv(of_theirs) * (_WORTH / (records * len(rows)))
            moments, products = moments + sums, products + sums @ theirs
        inverse[:] = _symmetric(np.linalg.inv(moments).astype(np.float64))
        weights[:] = np.linalg.solve(moments, products)
        for mine, pooled in zip(views(start, channels + d), (weights, inverse), strict=True):
            mine[:] = pooled


def _symmetric(matrix: Float64Array) -> Float64Array:
    """To the bit, as the recursion keeps it."""
    return 0.5 * (matrix + matrix.T)


# ---------------------------------------------------------------- scores and errors


def _pool_scores(layout: ModelLayout, rows: Rows, start: NDArray[np.uint8]) -> None:
    """The shape of scores, their usual evidence, the usual size of errors, shares of experts.

    Medians over the series: one with a long fault says little of the others.
    """

    def all_of(name: str) -> tuple[Float64Array, Float64Array]:
        return layout.segment(start, name, np.float64), np.array(
            [layout.segment(row, name, np.float64) for row in rows]
        )

    _pool_tail(*all_of("tail"))
    _pool_evidence(*all_of("fusion"))
    for name in ("spread", "quantile"):
        mine, theirs = all_of(name)
        mine[:] = np.median(theirs, axis=0)
    for d in range(len(layout.settings.channels) if layout.groups else 0):
        mine, theirs = all_of(f"channel{d}.shares")
        mine[:] = theirs.mean(axis=0)


def _pool_tail(start: Float64Array, states: Float64Array) -> None:
    """Mean and variance of both measures, and the histogram's shape; all count as much as before."""
    for measure in range(2):
        at = slice(measure * _MEASURE, (measure + 1) * _MEASURE)
        mine, theirs = start[at], states[:, at]
        means, variances = theirs[:, tail.MEAN], theirs[:, tail.VARIANCE]
        mine[tail.MEAN] = np.median(means)
        mine[tail.VARIANCE] = np.median(variances) + _spread(means) ** 2
        counts = theirs[:, tail.HISTOGRAM :]
        shape = (counts / counts.sum(axis=1, keepdims=True)).mean(axis=0)
        mine[tail.HISTOGRAM :] = mine[tail.TOTAL] * shape


def _pool_evidence(start: Float64Array, states: Float64Array) -> None:
    """Usual averages of each kind of evidence, known as well as after the records before a first score."""
    start[fusion.COUNT] = tail.FIRST + 1.0
    for c in range(len(fusion.SPANS)):
        first = fusion.AVERAGES + 3 * c * fusion.KINDS
        averages, means, variances = (
            slice(first + i * fusion.KINDS, first + (i + 1) * fusion.KINDS) for i in range(3)
        )
        start[averages] = start[means] = np.median(states[:, means], axis=0)
        between = np.array([_spread(column) for column in states[:, means].T])
        start[variances] = np.median(states[:, variances], axis=0) + between**2


def _spread(values: Float64Array) -> float:
    """Deviation by the median of absolute deviations."""
    return 1.4826 * float(np.median(np.abs(values - np.median(values))))
