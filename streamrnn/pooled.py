"""Which numbers of a row a prior holds: those that have no unit, and are neither counts nor indices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamrnn.errors import SettingsError, StateError
from streamrnn.groups import FAST_FORGETTING, seasonal_terms
from streamrnn.layout import ModelLayout
from streamrnn.prior import Prior
from streamrnn.scoring import autoregression, fusion, tail
from streamrnn.settings import Settings
from streamrnn.tables import FORGETTING, NetworkShape

RESIDUALS = 16  # errors that their pooled size counts as
REGRESSION = autoregression.INVERSE + autoregression.TERMS * autoregression.STRIDE  # weights, inverse
Row = NDArray[np.uint8]
_READOUT = ("shared", "cross", "own", "shared_weights", "own_weights")


class Readout(NamedTuple):
    """One readout of a row: its name there, its forgetting and sizes."""

    name: str
    forget: float
    hidden: int
    extra: int
    channels: int
    lags: int


class Part(NamedTuple):
    """Some numbers of a segment, and where in it they stand."""

    segment: str
    starts: tuple[int, ...]
    size: int
    dtype: type[np.generic]


def networks(layout: ModelLayout) -> Iterator[tuple[str, NetworkShape]]:
    """Every network of a row by its name: the detector's, then those of each channel's groups."""
    for i, shape in enumerate(layout.networks):
        yield f"network{i}", shape
    for d in range(len(layout.settings.channels)):
        for i, group in enumerate(layout.groups):
            yield f"channel{d}.group{i}", group.network


def readouts(layout: ModelLayout) -> Iterator[Readout]:
    """The readouts of a row that are pooled: of each network; of a group the head that remembers longest.

    The other heads follow what was lately, and begin better from nothing: pooled, the default preset's
    errors in the first 500 records are .998 of those without a prior, so .990.
    """
    settings = layout.settings
    channels = len(settings.channels)
    forget = FORGETTING if channels == 1 else FAST_FORGETTING[1]
    for i, shape in enumerate(layout.networks):
        yield Readout(f"readout{i}", forget, shape.hidden, 0, channels, settings.lags)
    extra = seasonal_terms(settings)
    for d in range(channels):
        for i, group in enumerate(layout.groups):
            e = FAST_FORGETTING.index(max(FAST_FORGETTING))
            name, hidden = f"channel{d}.group{i}.head{e}", group.network.hidden
            yield Readout(name, FAST_FORGETTING[e], hidden, extra, 1, group.regressors)


def fitting(settings: Settings) -> Settings:
    """The settings that a prior is fitted with: those that it is for, but with shared networks that learn."""
    networks = tuple(name.removesuffix(":shared") for name in settings.networks)
    return replace(settings, networks=networks, prior=None)


def parts(layout: ModelLayout) -> Iterator[Part]:
    """All that a prior holds, in the order of its numbers; it follows from the settings alone.

    For a layout of ``fitting`` settings.
    """

    def whole(segment: str, dtype: type[np.generic] = np.float64) -> Part:
        return Part(segment, (0,), layout.row.segments[segment][1], dtype)

    for name, shape in networks(layout):
        yield whole(f"{name}.weights", shape.dtype)
    for readout in readouts(layout):
        yield from (whole(f"{readout.name}.{segment}") for segment in _READOUT)
    channels = len(layout.settings.channels)
    for d in range(channels):
        copies = (d * autoregression.COPY, (channels + d) * autoregression.COPY)
        yield Part("autoregression", copies, REGRESSION, np.float64)
        if layout.groups:
            yield whole(f"channel{d}.shares")
    yield Part("fusion", (0,), fusion.STATE, np.float64)
    yield Part("tail", (0,), tail.STATE, np.float64)
    yield whole("spread")
    yield whole("quantile")


def read(layout: ModelLayout, row: Row) -> bytes:
    """The numbers of a row that a prior holds."""
    found = []
    for part in parts(layout):
        segment = layout.segment(row, part.segment, part.dtype)
        found.append(segment[part.starts[0] :][: part.size].tobytes())
    return b"".join(found)


def write(layout: ModelLayout, row: Row, prior: Prior) -> None:
    """Have a row begin from a prior.

    Raises
    ------
    SettingsError
        Where the prior was fitted with other settings.
    StateError
        Where its numbers are not as many as these settings ask for, or not finite.
    """
    for part, values in _numbers(layout.settings, prior):
        if part.segment in layout.row.segments:
            for start in part.starts:
                layout.segment(row, part.segment, part.dtype)[start : start + part.size] = values
    layout.segment(row, "residuals", np.int64)[:] = RESIDUALS


def write_shared(layout: ModelLayout, scratch: Row) -> None:
    """Put the weights of the settings' prior to where all series share them.

    Raises
    ------
    SettingsError, StateError
        As ``write``, or where there is no prior.
    """
    prior = layout.settings.prior
    if prior is None:
        raise SettingsError(
            f"networks {', '.join(layout.settings.networks)} share the weights of a prior; "
            "give one that streamrnn prior fit wrote with the same settings"
        )
    for part, values in _numbers(layout.settings, prior):
        if part.segment in layout.scratch.segments:
            layout.scratch.view(scratch, part.segment, part.dtype)[:] = values


def _numbers(settings: Settings, prior: Prior) -> Iterator[tuple[Part, NDArray[Any]]]:
    """A prior's parts and their numbers."""
    prior.check_fits(settings.structural(), len(settings.channels))
    layout = ModelLayout(fitting(settings))
    numbers, needed = prior.numbers, sum(p.size * np.dtype(p.dtype).itemsize for p in parts(layout))
    if len(numbers) != needed:
        raise StateError(
            f"the prior has {len(numbers):,} bytes of numbers, its settings need {needed:,}; "
            "it comes from another version: fit it anew"
        )
    at = 0
    for part in parts(layout):
        values: NDArray[Any] = np.frombuffer(numbers, part.dtype, part.size, at)
        at += values.nbytes
        if not np.isfinite(values).all():
            raise StateError(f"the prior's {part.segment} has numbers that are not finite; fit it anew")
        yield part, values
