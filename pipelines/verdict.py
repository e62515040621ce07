"""Whether the networks earn their keep: what simple forecasts say and raise, beside the detector."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from streamrnn.kernels import race as kernel
from streamrnn.kernels import tally as tally_kernel
from streamrnn.pipelines.baselines import NAMES, ChannelSummary
from streamrnn.pipelines.tally import Tally
from streamrnn.pipelines.words import count

__all__ = ["BASELINE_WORDS", "RACER_WORDS", "Racer", "Verdict", "racers", "verdict"]

FEWEST_FORECASTS = 300  # values of one channel of which a verdict is said
FEWEST_WINDOWS = 3  # labelled ones, or alerts where there are no labels
BASELINE_WORDS = {
    "last_value": "last value",
    "seasonal": "seasonal naive",
    "ewma": "EWMA",
    "linear": "linear AR",
}
RACER_WORDS = {**BASELINE_WORDS, "linear": "no networks"}


@dataclass(frozen=True)
class Racer:
    """What the detector or a simple forecast raised, at the same ``false_alarms``, on the same records.

    Attributes
    ----------
    name : str
        ``"detector"``; ``"last_value"``, ``"seasonal"``, ``"ewma"``: errors of these forecasts in
        the place of all evidence; ``"linear"``: the detector without its networks.
    alerts : int
        Events that reached the alert level.
    shared : int
        Alerts of the detector that it raised too.
    own : int
        Its alerts that the detector did not raise.
    windows : int
        Labelled windows that could be found; 0 without labels.
    found : int
        Those of them that hold a detection of an alert.
    recall : float
        Their share; NaN: there are none.
    false_alerts : int
        Alerts that overlap no window; without labels, of which nothing is known, all.
    """

    name: str
    alerts: int
    shared: int
    own: int
    windows: int
    found: int
    recall: float
    false_alerts: int


@dataclass(frozen=True)
class Verdict:
    """Whether the networks earn their keep on this stream.

    Attributes
    ----------
    forecast_earns_keep : bool or None
        Whether the networks' forecast is better than the best simple one, on most channels
        of most series; None: too little to tell.
    forecast_text : str
        The same in words.
    detection_earns_keep : bool or None
        With labels, whether no simple racer finds as many windows with no more false alerts;
        without, False where one raises the same alerts and no others. None: not to be told.
    detection_rival : str or None
        The best of those that do as well.
    detection_text : str
        The same in words.
    """

    forecast_earns_keep: bool | None
    forecast_text: str
    detection_earns_keep: bool | None
    detection_rival: str | None
    detection_text: str

    def to_dict(self) -> dict[str, Any]:
        """Everything by name."""
        return asdict(self)


def racers(tally: Tally) -> list[Racer]:
    """The detector, then every simple racer that had forecasts to race with."""
    counters, agreement = tally.race.counters(), tally.race.agreement()
    alerts = counters[:, tally_kernel.ALERTS].tolist()
    true = counters[:, tally_kernel.TRUE_ALERTS].tolist()
    windows = counters[:, tally_kernel.WINDOWS_SCORED].tolist()
    found = counters[:, tally_kernel.WINDOWS_ALERTED].tolist()
    both = [alerts[0], *agreement[:, kernel.BOTH].tolist()]
    shared = [alerts[0], *agreement[:, kernel.SHARED].tolist()]
    return [
        Racer(
            name=name,
            alerts=alerts[k],
            shared=both[k],
            own=alerts[k] - shared[k],
            windows=windows[k],
            found=found[k],
            recall=found[k] / windows[k] if windows[k] else math.nan,
            false_alerts=alerts[k] - true[k],
        )
        for k, name in enumerate(("detector", *NAMES))
        if tally.season or name != "seasonal"
    ]


def verdict(channels: Sequence[ChannelSummary], race: Sequence[Racer], *, labelled: bool) -> Verdict:
    """What all of it says, as far as the data can tell."""
    earns, text = _of_forecast(channels)
    detects, rival, said = _with_labels(race) if labelled else _without_labels(race)
    return Verdict(earns, text, detects, rival, said)


def _of_forecast(channels: Sequence[ChannelSummary]) -> tuple[bool | None, str]:
    known = [channel for channel in channels if channel.compared >= FEWEST_FORECASTS]
    wins = sum(channel.wins for channel in known)
    races = wins + sum(channel.ties + channel.loses for channel in known)
    if not races:
        return None, "too few forecasts to tell whether the networks earn their keep"
    earns = 2 * wins > races
    if races == 1:
        channel = known[0]
        name = BASELINE_WORDS[channel.hardest or NAMES[0]]
        if earns:
            return earns, f"the networks earn their keep: better than the best simple one, {name}"
        does = "is as good" if channel.ties else "is better"
        return earns, f"the networks do not earn their keep: {name} {does}"
    share = f"better than every simple one in {wins:,} of {races:,} races of a channel"
    return earns, f"the networks {'earn' if earns else 'do not earn'} their keep: {share}"


def _with_labels(race: Sequence[Racer]) -> tuple[bool | None, str | None, str]:
    detector, *simple = race
    if detector.windows < FEWEST_WINDOWS:
        held = count(detector.windows, "labelled window")
        return None, None, f"{held}: too little to tell whether the networks earn their keep"
    as_good = [
        one for one in simple if one.found >= detector.found and one.false_alerts <= detector.false_alerts
    ]
    own = f"{detector.found:,} found with {count(detector.false_alerts, 'false alert')}"
    if not as_good:
        return True, None, f"the networks earn their keep: no simple racer does as well ({own})"
    best = max(as_good, key=lambda one: (one.found, -one.false_alerts))
    other = f"{RACER_WORDS[best.name]}: {best.found:,} found with {count(best.false_alerts, 'false alert')}"
    return False, best.name, f"the networks do not earn their keep ({own}; {other})"


def _without_labels(race: Sequence[Racer]) -> tuple[bool | None, str | None, str]:
    detector, *simple = race
    if detector.alerts < FEWEST_WINDOWS:
        raised = count(detector.alerts, "alert")
        return None, None, f"{raised}: too little to tell whether the networks earn their keep"
    same = [one for one in simple if one.shared == detector.alerts and one.own == 0]
    if not same:
        return None, None, "no simple racer raises the same alerts; who is right, only labels can tell"
    best = same[-1]
    words = f"the networks do not earn their keep: {RACER_WORDS[best.name]} raises the same alerts"
    return False, best.name, words
