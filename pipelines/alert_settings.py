"""The tables of a pipeline file that say who hears of what: ``[alerts]`` and those within it."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from streamrnn.connectors.text import printable, shown
from streamrnn.errors import SettingsError
from streamrnn.pipelines.durations import Duration, seconds
from streamrnn.pipelines.hours import hours
from streamrnn.pipelines.matchers import matchers
from streamrnn.pipelines.rules import Rules, Span
from streamrnn.pipelines.secrets import Secret

__all__ = ["AlertTables", "Channel", "InhibitTable", "RouteTable", "SeverityTable", "check_alerts"]

_Lasts = Annotated[int, Meta(ge=1)] | Duration
_Share = Annotated[float, Meta(gt=0, le=1)]
_NS = 1_000_000_000


class _Table(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A table of the file."""


class Channel:  # no dataclass: msgspec would take it apart by itself
    """``[[alerts.channel]]``: where notifications go.

    Attributes
    ----------
    name : str
        By which routes and people call it.
    kind : str
        Such as ``"webhook"``.
    options : object
        Those of the kind; secrets are not shown.
    """

    def __init__(self, name: str, kind: str, options: Any) -> None:
        self.name, self.kind, self.options = name, kind, options

    def __repr__(self) -> str:
        return f"Channel({self.name!r}, {self.kind!r}, {self.options!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Channel) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((self.name, self.kind))

    @classmethod
    def decode(cls, given: Any) -> Channel:
        """What the file says; secrets are fetched from where they are.

        Raises
        ------
        SettingsError
            Where it does not fit its kind.
        """
        from streamrnn.connectors.notifiers.registry import NOTIFIERS

        if not isinstance(given, dict) or not isinstance(given.get("name"), str) or not given["name"]:
            raise SettingsError("a channel is a table with a name and a kind")
        name, kind = given["name"], given.get("kind")
        if kind not in NOTIFIERS:
            near = _nearest(str(kind), list(NOTIFIERS))
            raise SettingsError(f"channel {shown(name)} has kind {shown(str(kind))}; {near}")
        owner = NOTIFIERS[kind].options
        known = {field.name: field for field in fields(owner)}
        options = {key: value for key, value in given.items() if key not in {"name", "kind"}}
        for key, value in options.items():
            if key not in known:
                near = _nearest(key, list(known))
                raise SettingsError(f"channel {shown(name)}: {shown(key)} is no option of a {kind}; {near}")
            if known[key].metadata.get("secret"):
                options[key] = _revealed(value, several="Mapping" in str(known[key].type))
        missing = [key for key, f in known.items() if _is_needed(f) and key not in options]
        if missing:
            raise SettingsError(f"channel {shown(name)} lacks {', '.join(missing)}")
        try:
            return cls(name, kind, msgspec.convert(options, owner))
        except (msgspec.ValidationError, SettingsError) as error:
            raise SettingsError(f"channel {shown(name)}: {error}") from None

    @classmethod
    def schema(cls) -> dict[str, Any]:
        """What a channel may be, as JSON Schema."""
        from streamrnn.connectors.notifiers.registry import NOTIFIERS

        return {"anyOf": [_schema_of(kind, found.options) for kind, found in NOTIFIERS.items()]}


class SeverityTable(_Table, frozen=True):
    """``[alerts.severity]``: what makes an incident more than info: its worst p-value, or its length."""

    warning_p: Annotated[_Share, Meta(description="a p-value at or under it is a warning")] = 1e-4
    critical_p: Annotated[_Share, Meta(description="a p-value at or under it is critical")] = 1e-6
    warning_after: Annotated[
        _Lasts, Meta(description="from first to last detection; records, or a duration")
    ] = 20
    critical_after: Annotated[_Lasts, Meta(description="the same, for critical")] = 120


class RouteTable(_Table, frozen=True):
    """``[[alerts.route]]``: tried in order; the first that fits says who hears of an incident."""

    channels: Annotated[list[str], Meta(description="names of channels; none: nobody hears of it")]
    match: Annotated[
        list[str], Meta(description="all must hold: site=north, kind!=gap, series=~pump-.*")
    ] = []
    min_severity: Annotated[str, Meta(pattern="^(info|warning|critical)$", description="or worse")] = "info"
    hours: Annotated[
        str | None, Meta(description="such as Mon-Fri 08:00-18:00, Sat 09:00-12:00; else always")
    ] = None
    tz: Annotated[str, Meta(description="whose clocks the hours are of")] = "UTC"
    go_on: Annotated[bool, Meta(description="whether later routes are tried, too")] = False


class InhibitTable(_Table, frozen=True):
    """``[[alerts.inhibit]]``: while one incident is open, others are not worth a message."""

    source: Annotated[list[str], Meta(description="matchers of the incident that is open")]
    target: Annotated[list[str], Meta(description="matchers of those that stay unsaid meanwhile")]
    equal: Annotated[list[str], Meta(description="labels that both must share")] = []


class AlertTables(_Table, frozen=True):
    """``[alerts]``: when incidents are over, how they are grouped, and what stands on every alert."""

    group_by: Annotated[
        list[str], Meta(description="labels whose incidents share a message; none: all do")
    ] = []
    group_wait: Annotated[Duration, Meta(description="before a first message, for others to join")] = "30s"
    group_interval: Annotated[
        Duration, Meta(description="between first messages of groups of the same labels")
    ] = "5m"
    repeat_interval: Annotated[
        str, Meta(pattern=r"^(off|\d+(\.\d+)?(s|m|h|d))$", description="after which what fires is said again")
    ] = "off"
    resolve_after: Annotated[
        _Lasts, Meta(description="of quiet, after which an incident is over; records, or a duration")
    ] = 60
    cooldown: Annotated[
        Duration, Meta(description="after a message, in which a series is not said again, unless it is worse")
    ] = "10m"
    labels: Annotated[dict[str, str], Meta(description="on every alert, such as {site = 'north'}")] = {}
    capture: Annotated[
        int, Meta(ge=0, description="records of a series kept for explain, at most; 0: no captures")
    ] = 5000
    severity: Annotated[SeverityTable, Meta(description="a table, below")] = SeverityTable()
    channel: Annotated[
        list[Channel], Meta(description="tables of name, kind and the kind's own options: see alerts.md")
    ] = []
    route: Annotated[list[RouteTable], Meta(description="tables, below")] = []
    inhibit: Annotated[list[InhibitTable], Meta(description="tables, below")] = []

    def rules(self) -> Rules:
        """When an incident is over and how bad it is."""
        from math import log10

        severe = self.severity
        return Rules(
            quiet=_span(self.resolve_after),
            surprise=(-log10(severe.warning_p), -log10(severe.critical_p)),
            lasts=(_span(severe.warning_after), _span(severe.critical_after)),
        )


def check_alerts(alerts: AlertTables) -> None:
    """Refuse what cannot be meant.

    Raises
    ------
    SettingsError
        Where a matcher, hours or a zone is none, or a route names a channel that there is not.
    """
    names = [channel.name for channel in alerts.channel]
    for name in names:
        if names.count(name) > 1:
            raise SettingsError(f"alerts.channel: two are called {shown(name)}; give each a name of its own")
    for route in alerts.route:
        matchers(route.match)
        if route.hours is not None:
            hours(route.hours, route.tz)
        for name in route.channels:
            if name not in names:
                raise SettingsError(
                    f"alerts.route: there is no channel {shown(name)}; {_nearest(name, names)}"
                )
    for rule in alerts.inhibit:
        matchers([*rule.source, *rule.target])


def _span(given: int | str) -> Span:
    return Span(records=given) if isinstance(given, int) else Span(ns=round(seconds(given) * _NS))


def _nearest(wrong: str, known: list[str]) -> str:
    near = difflib.get_close_matches(wrong, known, 1)
    return f"did you mean {near[0]!r}?" if near else f"there are {printable(', '.join(known)) or 'none'}"


def _is_needed(field: Any) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _revealed(given: Any, *, several: bool = False) -> Any:
    """A secret, or several, fetched from where the file points."""
    if isinstance(given, list):
        return [_revealed(one) for one in given]
    if several and isinstance(given, dict):
        return {name: _revealed(one) for name, one in given.items()}
    return Secret.decode(Secret, given).reveal()


def _schema_of(kind: str, options: type[Any]) -> dict[str, Any]:
    shape = msgspec.json.schema(options)
    properties: dict[str, Any] = dict(shape["$defs"][options.__name__]["properties"])
    for field in fields(options):
        if field.metadata.get("secret"):
            one = Secret.schema(Secret)
            shapes = {
                "array": {"type": "array", "items": one},
                "object": {"type": "object", "additionalProperties": one},
            }
            properties[field.name] = shapes.get(properties[field.name].get("type"), one)
    named: Mapping[str, Any] = {"name": {"type": "string", "minLength": 1}, "kind": {"const": kind}}
    return {
        "type": "object",
        "title": kind,
        "properties": {**named, **properties},
        "required": [*named, *(field.name for field in fields(options) if _is_needed(field))],
        "additionalProperties": False,
    }
