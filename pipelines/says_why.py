"""Why an incident is one, in words: what was expected and seen, since when, how unusual that is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from streamrnn.kernels.plan import NO_TIME
from streamrnn.pipelines.events import Part
from streamrnn.pipelines.incident import GAP, Incident
from streamrnn.pipelines.words import count, duration, moment, number, percent

__all__ = ["Why", "once_in", "why"]

_RARE = 2.0  # -log10 p: what is less odd than one record in a hundred alerts by the memories alone
_YEAR_NS = 365.25 * 86_400e9
_UNITS = (
    ("year", _YEAR_NS),
    ("week", 7 * 86_400e9),
    ("day", 86_400e9),
    ("hour", 3600e9),
    ("minute", 60e9),
    ("second", 1e9),
)


@dataclass(frozen=True)
class Why:
    """The texts of an incident, as templates name them.

    Attributes
    ----------
    summary : str
        One line.
    description : str
        What became of it.
    expected, actual : str
        At its peak, the channels with the largest shares.
    why : str
        How unusual, and what would be normal.
    """

    summary: str
    description: str
    expected: str
    actual: str
    why: str


def why(incident: Incident, key: str, channels: Sequence[str], step_ns: float) -> Why:
    """What to say of an incident.

    Parameters
    ----------
    incident : Incident
    key : str
        Of its series; empty where there is only one.
    channels : sequence of str
    step_ns : float
        Typical step of the series; 0: not known.
    """
    name = key or "the series"
    if incident.kind == GAP:
        since = moment(incident.start) or "its last record"
        said = f"{name} is silent since {since}" if incident.open else f"{name} speaks again"
        return Why(said, _history(incident), "records", "none", "")
    parts = [part for part in incident.peak.parts if not math.isnan(part.actual)]
    named = [(channels[part.channel], part) for part in parts]
    expected = "; ".join(
        f"{channel} {number(part.yhat)} ({number(part.yhat_lower)} to {number(part.yhat_upper)})"
        for channel, part in named
    )
    actual = "; ".join(f"{channel} {number(part.actual)}" for channel, part in named)
    is_was = "is" if incident.open else "was"
    top = f"{named[0][0]} {is_was} {number(named[0][1].actual)}" if named else "no value"
    usual = f", expected {number(named[0][1].yhat)}" if named and named[0][1].yhat == named[0][1].yhat else ""
    looks = f" ({incident.looks})" if incident.looks else ""
    over = "" if incident.open else "over: "
    return Why(
        summary=f"{over}{name}: {top}{usual}{looks}",
        description=_history(incident),
        expected=expected,
        actual=actual,
        why="; ".join(_reasons(incident, named, step_ns)),
    )


def once_in(p_value: float, step_ns: float) -> str:
    """How often a normal stream would look at least this odd.

    Examples
    --------
    >>> once_in(1 / 30_000, 60e9), once_in(1e-12, 60e9), once_in(1e-4, 0.0)
    ('about once in 3 weeks', 'less than once in 100 years', 'about once in 10,000 records')
    """
    if not p_value > 0.0 or math.isnan(p_value):
        return ""
    if step_ns <= 0.0:
        return f"about once in {count(round(1 / p_value), 'record')}"
    wait_ns = step_ns / p_value
    if wait_ns > 100 * _YEAR_NS:
        return "less than once in 100 years"
    unit, size = next((unit for unit in _UNITS if wait_ns >= unit[1]), _UNITS[-1])
    n = max(round(wait_ns / size), 1)
    return f"about once in {count(n, unit)}" if n > 1 else f"about once a {unit}"


def normal_if(channel: str, part: Part) -> str:
    """Within which bound a value would have been normal; empty where it was, or nobody knows.

    Examples
    --------
    >>> normal_if("temp", Part(0, 1.0, actual=82.0, yhat=67.0, yhat_lower=66.0, yhat_upper=68.0))
    'temp <= 68'
    """
    if part.actual > part.yhat_upper:
        return f"{channel} <= {number(part.yhat_upper)}"
    return f"{channel} >= {number(part.yhat_lower)}" if part.actual < part.yhat_lower else ""


def _reasons(incident: Incident, named: Sequence[tuple[str, Part]], step_ns: float) -> list[str]:
    reasons = []
    if incident.peak.surprise < _RARE:
        reasons.append("it looks like nothing that came before, beside what was expected")
    elif once := once_in(incident.peak.p_value, step_ns):
        reasons.append(f"normal records look so odd {once}")
    if len(named) > 1:
        shares = ", ".join(f"{channel} {percent(part.share)}" for channel, part in named)
        reasons.append(f"shares of the evidence: {shares}")
    bounds = [bound for channel, part in named if (bound := normal_if(channel, part))]
    return [*reasons, f"would be normal at {' and '.join(bounds)}"] if bounds else reasons


def _history(incident: Incident) -> str:
    """What became of it so far."""
    began = f"since {moment(incident.start)} UTC" if incident.start != NO_TIME else "times are not known"
    lasted = f" over {duration(incident.lasted_ns)}" if incident.lasted_ns else ""
    found = f"{count(incident.detections, 'detection')} in {count(incident.events, 'event')}{lasted}"
    ended = "" if incident.open or incident.end == NO_TIME else f"; over since {moment(incident.end)} UTC"
    return f"{began}{ended}; {found}; {incident.severity}"


def values(incident: Incident) -> dict[str, Any]:
    """Numbers of an incident's peak; what is not known is left out."""
    peak = incident.peak
    known = {
        "p_value": peak.p_value,
        "surprise": peak.surprise,
        "score": peak.score,
        "strength": peak.strength,
    }
    return {name: value for name, value in known.items() if math.isfinite(value)}
