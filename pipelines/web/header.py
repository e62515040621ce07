"""The header of a live page: how the daemon is, from what it tells Prometheus."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from prometheus_client import CollectorRegistry

from streamrnn.pipelines.alarms import FEWEST_EXPECTED, FalseAlarms, poisson_interval
from streamrnn.pipelines.web.came import ALERTS, CALIBRATED, DETECTIONS, STATUS
from streamrnn.pipelines.web.feed import PageFeed
from streamrnn.pipelines.web.sections import Tile, alarms_tile
from streamrnn.pipelines.web.threshold import asked_of
from streamrnn.pipelines.words import count, duration
from streamrnn.records import STATUSES, Float64Array, Int64Array
from streamrnn.settings import Settings

__all__ = ["Header", "came_of"]

_OVER_S = 5.0  # rates are means over so long
_STEPS_S = 60.0  # between two looks at the series' typical steps
_WARMING = STATUSES.index("warming")


@dataclass(frozen=True)
class _Look:
    """Figures at a moment: seconds, records so far, seconds of scoring so far."""

    at: float
    records: float
    scoring_s: float


class Header:
    """Tiles that say how the daemon is; asked once a second at most.

    Parameters
    ----------
    registry : CollectorRegistry
    feed : PageFeed
    wrong : callable
        What is wrong with the daemon; empty where nothing is.
    clock : callable
        Seconds, never falling.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        feed: PageFeed,
        wrong: Callable[[], str],
        clock: Callable[[], float],
    ) -> None:
        self._registry, self._feed, self._wrong, self._clock = registry, feed, wrong, clock
        self._began = clock()
        self._looks: deque[_Look] = deque()
        self._steps, self._steps_at = np.zeros(0), -_STEPS_S

    def tiles(self) -> list[Tile]:
        """The figures now."""
        sums = _sums(self._registry)
        now = _Look(self._clock(), sums.get("records_total", 0.0), sums.get("process_s", 0.0))
        while self._looks and now.at - self._looks[0].at > 2 * _OVER_S:
            self._looks.popleft()
        before = next((look for look in self._looks if now.at - look.at <= _OVER_S), None)
        self._looks.append(now)
        counts = self._feed.alarms()
        settings = self._feed.coding.fleet.settings
        return [
            self._status(now.at),
            _pace(now, before),
            _lag(sums),
            _series(sums, counts),
            alarms_tile(came_of(counts, settings, self._typical_steps(counts.shape[1], now.at))),
            Tile("Incidents", f"{sums.get('incidents_open', 0):,.0f} open", _waiting(sums)),
            Tile("Snapshot", duration(1e9 * round(sums.get("checkpoint_age_seconds", 0.0))), "ago"),
        ]

    def _status(self, now: float) -> Tile:
        wrong = self._wrong()
        since = f"for {duration(1e9 * round(now - self._began))}"
        return Tile("Status", "Trouble", wrong, "bad") if wrong else Tile("Status", "Running", since, "good")

    def _typical_steps(self, n: int, now: float) -> Float64Array:
        """(series,) ns; looked up now and then, for steps hardly change."""
        if n != len(self._steps) or now - self._steps_at >= _STEPS_S:
            fleet = self._feed.coding.fleet
            self._steps = np.array([fleet.typical_step_ns(code) for code in range(n)])
            self._steps_at = now
        return self._steps


def came_of(counts: Int64Array, settings: Settings, steps: Float64Array) -> FalseAlarms:
    """Asked and realised of all series together.

    Parameters
    ----------
    counts : (4, series) int64
        As ``Came`` has them.
    settings : Settings
    steps : (series,) float64
        Typical steps, ns; 0: not known.
    """
    rate, budget = settings.alarm_rate()
    timed = (steps > 0.0) & (budget > 0.0)
    by_events = bool(timed.any())
    counted = timed if by_events else np.ones(len(steps), np.bool_)
    levels = np.where(timed, budget * steps, rate)[counted]
    calibrated = counts[CALIBRATED, counted]
    realised = int(counts[ALERTS if by_events else DETECTIONS, counted].sum())
    expected, total = float(levels @ calibrated), int(calibrated.sum())
    low, high = poisson_interval(realised)
    return FalseAlarms(
        asked=asked_of(settings) if by_events else f"{rate:g}",
        counts="events" if by_events else "records",
        level=expected / total if total else float("nan"),
        calibrated=total,
        expected=expected,
        realised=realised,
        realised_low=low,
        realised_high=high,
        provisional=0,
        enough=expected >= FEWEST_EXPECTED,
        normal_needed=0,
        normal_left=0,
    )


def _sums(registry: CollectorRegistry) -> dict[str, float]:
    """Every figure by its name, over all its labels; of the loop's stages the scoring."""
    sums: dict[str, float] = {}
    for metric in registry.collect():
        for sample in metric.samples:
            name = sample.name.removeprefix("streamrnn_")
            if name == "stage_seconds_sum" and sample.labels["stage"] == "process":
                name = "process_s"
            sums[name] = sums.get(name, 0.0) + sample.value
    return sums


def _pace(now: _Look, before: _Look | None) -> Tile:
    total = count(int(now.records), "record")
    if before is None or now.at <= before.at:
        return Tile("Records", "\N{EN DASH}", total)
    new = now.records - before.records
    cost = f", {1e6 * (now.scoring_s - before.scoring_s) / new:.0f} \N{MICRO SIGN}s each" if new else ""
    return Tile("Records", f"{new / (now.at - before.at):,.0f} a second", total + cost)


def _lag(sums: dict[str, float]) -> Tile:
    delay = sums.get("event_time_delay_seconds", 0.0)
    newest = f"the newest is {duration(1e9 * round(delay))} old" if delay > 0 else "no times yet"
    lag = sums.get("consumer_lag_records")
    return Tile("Lag", "\N{EN DASH}" if lag is None else count(int(lag), "record"), newest)


def _series(sums: dict[str, float], counts: Int64Array) -> Tile:
    live, silent = int(sums.get("keys_active", 0)), int(sums.get("silent_series", 0))
    warming = int((counts[STATUS] == _WARMING).sum())
    texts = [f"{warming:,} warming" if warming else "none warming", f"{silent:,} silent" if silent else ""]
    return Tile("Series", f"{live - silent:,} live", ", ".join(filter(None, texts)))


def _waiting(sums: dict[str, float]) -> str:
    waiting = int(sums.get("alerts_pending", 0))
    return count(waiting, "message") + " waiting" if waiting else "no message waits"
