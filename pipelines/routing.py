"""Who hears of an incident: routes, silences and inhibition, by labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from streamrnn.pipelines.alert_settings import AlertTables, InhibitTable, RouteTable
from streamrnn.pipelines.durations import seconds
from streamrnn.pipelines.hours import Hours, hours
from streamrnn.pipelines.matchers import Matcher, matchers, matches
from streamrnn.pipelines.rules import SEVERITIES

__all__ = ["Inhibition", "Route", "Routing", "routing_of"]

Labels = Mapping[str, str]
_NS = 1_000_000_000


@dataclass(frozen=True)
class Route:
    """Who hears of incidents of some kind, at some hours."""

    channels: tuple[str, ...]
    match: tuple[Matcher, ...] = ()
    severity: int = 0
    hours: Hours | None = None
    go_on: bool = False

    def fits(self, labels: Labels, now: int) -> bool:
        """Whether an incident with these labels, severity among them, is of that kind, now (ns UTC)."""
        return (
            SEVERITIES.index(labels["severity"]) >= self.severity
            and (self.hours is None or self.hours.holds(now))
            and matches(self.match, labels)
        )


@dataclass(frozen=True)
class Inhibition:
    """Incidents that are not worth a message while another one is open."""

    source: tuple[Matcher, ...]
    target: tuple[Matcher, ...]
    equal: tuple[str, ...]

    def shared(self, labels: Labels) -> tuple[str, ...]:
        """The values of the labels that both must share."""
        return tuple(labels.get(name, "") for name in self.equal)


@dataclass(frozen=True)
class Routing:
    """The rules by which messages are made; durations in ns.

    Attributes
    ----------
    routes : tuple of Route
    inhibitions : tuple of Inhibition
    group_by : tuple of str
    wait_ns, interval_ns, cooldown_ns : int
    repeat_ns : int
        0: nothing is said again.
    """

    routes: tuple[Route, ...]
    inhibitions: tuple[Inhibition, ...] = ()
    group_by: tuple[str, ...] = ()
    wait_ns: int = 30 * _NS
    interval_ns: int = 300 * _NS
    cooldown_ns: int = 600 * _NS
    repeat_ns: int = 0

    @property
    def everyone(self) -> set[str]:
        """Channels of any route."""
        return {name for route in self.routes for name in route.channels}

    def channels(self, labels: Labels, now: int) -> list[str]:
        """Who hears of an incident that has these labels, by wall clock in ns UTC.

        Examples
        --------
        >>> night = Route(("duty",), severity=2)
        >>> routing = Routing((night, Route(("mail",))))
        >>> routing.channels({"severity": "critical"}, 0), routing.channels({"severity": "info"}, 0)
        (['duty'], ['mail'])
        """
        found: list[str] = []
        for route in self.routes:
            if route.fits(labels, now):
                found += [name for name in route.channels if name not in found]
                if not route.go_on:
                    break
        return found

    def group_labels(self, labels: Labels) -> dict[str, str]:
        """The labels whose incidents share a message."""
        return {name: labels.get(name, "") for name in self.group_by}

    def inhibited(self, labels: Labels, id: str, open_ones: Sequence[tuple[str, Labels]]) -> bool:
        """Whether another incident that is open makes this one not worth a message."""
        for rule in self.inhibitions:
            if matches(rule.target, labels):
                shared = rule.shared(labels)
                others = (found for other, found in open_ones if other != id)
                if any(matches(rule.source, found) and rule.shared(found) == shared for found in others):
                    return True
        return False


def routing_of(alerts: AlertTables) -> Routing:
    """The rules that the tables say; without routes, every channel hears of everything."""
    everyone = tuple(channel.name for channel in alerts.channel)
    repeat = alerts.repeat_interval
    return Routing(
        routes=tuple(map(_route, alerts.route)) or (Route(everyone),),
        inhibitions=tuple(map(_inhibition, alerts.inhibit)),
        group_by=tuple(alerts.group_by),
        wait_ns=_ns(alerts.group_wait),
        interval_ns=_ns(alerts.group_interval),
        cooldown_ns=_ns(alerts.cooldown),
        repeat_ns=0 if repeat == "off" else _ns(repeat),
    )


def _route(table: RouteTable) -> Route:
    return Route(
        channels=tuple(table.channels),
        match=matchers(table.match),
        severity=SEVERITIES.index(table.min_severity),
        hours=None if table.hours is None else hours(table.hours, table.tz),
        go_on=table.go_on,
    )


def _inhibition(table: InhibitTable) -> Inhibition:
    return Inhibition(matchers(table.source), matchers(table.target), tuple(table.equal))


def _ns(duration: str) -> int:
    return round(seconds(duration) * _NS)
