"""``streamrnn alerts``: incidents, messages, channels and silences of a pipeline."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

from streamrnn.connectors.notifications import Alert, Notification, Notifier, Status
from streamrnn.connectors.text import printable, shown
from streamrnn.errors import DeliveryError, SettingsError, StoreError
from streamrnn.pipelines.channels import open_channels
from streamrnn.pipelines.durations import seconds
from streamrnn.pipelines.grouping import fingerprint
from streamrnn.pipelines.matchers import matchers
from streamrnn.pipelines.outbox import DEAD, WAITING
from streamrnn.pipelines.settings import checkpoint_of, load_settings
from streamrnn.pipelines.store import IncidentRow, SilenceRow, Store
from streamrnn.pipelines.words import count, iso, moment, table

__all__ = ["found", "run", "store_of"]

_FINE, _USAGE = 0, 2
_NS = 1_000_000_000


def run(arguments: argparse.Namespace) -> int:
    """Do what was asked; the exit code.

    Raises
    ------
    StreamrnnError
        Where it cannot be done.
    """
    verbs: dict[str, Callable[[argparse.Namespace], int]] = {
        "list": _list,
        "show": _show,
        "redeliver": _redeliver,
        "test": _test,
        "silence": _silence,
        "not-an-anomaly": _say,
        "confirm": _say,
        "forget": _say,
    }
    return verbs[arguments.verb](arguments)


def store_of(file: str, *, readonly: bool) -> Store:
    """What a pipeline keeps, beside the daemon that may run.

    Raises
    ------
    SettingsError, StateError, StoreError
        Where there is nothing, or it cannot be used.
    """
    path = checkpoint_of(file).path
    try:
        return Store(path, readonly=readonly, beside=not readonly)
    except StoreError as error:
        raise StoreError(f"{error}; `streamrnn run` makes it") from None


def found(store: Store, id: str) -> IncidentRow:
    """The incident of an id, or of an alert's fingerprint.

    Raises
    ------
    SettingsError
        Where there is none.
    """
    incident = store.incident(id)
    if incident is None:
        incident = next((row for row in store.incidents() if fingerprint(row.id) == id), None)
    if incident is None:
        raise SettingsError(f"there is no incident {shown(id)}; `streamrnn alerts list --all` shows all")
    return incident


def _list(arguments: argparse.Namespace) -> int:
    with store_of(arguments.file, readonly=True) as store:
        incidents = store.incidents(open=None if arguments.all else True)
        dead, silences = store.outbox_list(DEAD), store.silences(time.time_ns())
        counts, disabled = store.outbox_counts(), store.channels_disabled()
    if arguments.json:
        said = {
            "incidents": [_incident(row) for row in incidents],
            "messages": counts,
            "given_up": [{"id": e.id, "channel": e.kind, "tries": e.attempt, "error": e.error} for e in dead],
            "silences": [{"id": row.id, "until": iso(row.until), **row.body} for row in silences],
            "disabled": disabled,
        }
        print(json.dumps(said, indent=1))
        return _FINE
    rows = [["id", "severity", "state", "series", "since", "what"]]
    for row in incidents:
        since, series = moment(row.time), row.body["labels"].get("series", "")
        state, severity = "open" if row.open else "over", row.body["severity"]
        rows.append([fingerprint(row.id), severity, state, series, since, row.body["annotations"]["summary"]])
    lines = table([[printable(cell) for cell in row] for row in rows], indent="") if incidents else []
    lines.append(f"{count(len(incidents), 'incident')}; messages: " + _counted(counts))
    lines += [
        f"given up  {e.id} to {e.kind} after {count(e.attempt, 'try', 'tries')}: {e.error}" for e in dead
    ]
    lines += [f"silence   {row.id} until {moment(row.until)}: {_said(row)}" for row in silences]
    lines += [f"disabled  {name}: {reason}" for name, reason in disabled.items()]
    print("\n".join(map(printable, lines)))
    return _FINE


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{n:,} {state}" for state, n in counts.items()) or "none"


def _said(row: SilenceRow) -> str:
    comment = f" ({row.body['comment']})" if row.body["comment"] else ""
    return " ".join(row.body["matchers"]) + comment


def _incident(row: IncidentRow) -> dict[str, Any]:
    times = {name: iso(int(row.body[name])) for name in ("starts_at", "ends_at")}
    return {"id": row.id, "fingerprint": fingerprint(row.id), "open": row.open, **row.body, **times}


def _show(arguments: argparse.Namespace) -> int:
    with store_of(arguments.file, readonly=True) as store:
        row = found(store, arguments.id)
        parties = [store.group(member.party) for member in store.memberships(row.id)]
        messages = [
            entry for entry in store.outbox_list() for p in parties if p and entry.id.startswith(p.id)
        ]
        captured = store.capture(row.id) is not None
    facts = [
        ("id", f"{fingerprint(row.id)} ({row.id})"),
        ("state", "open" if row.open else "over"),
        ("severity", row.body["severity"]),
        *row.body["labels"].items(),
        *row.body["annotations"].items(),
        *((name, f"{value:.6g}") for name, value in row.body["values"].items()),
        ("capture", "yes" if captured else "none"),
        *(("told", f"{party.body['channel']}, {party.state}") for party in parties if party),
        *(
            ("message", f"{e.id}: {e.state}, tries {e.attempt}" + (f"; {e.error}" if e.error else ""))
            for e in messages
        ),
    ]
    width = max(len(name) for name, _ in facts)
    for name, said in facts:
        print(printable(f"{name.ljust(width)}  {said}"))
    return _FINE


def _redeliver(arguments: argparse.Namespace) -> int:
    now = time.time_ns()
    with store_of(arguments.file, readonly=False) as store:
        state = WAITING if arguments.waiting else DEAD
        ids = arguments.ids or [entry.id for entry in store.outbox_list(state)]
        for id in ids:
            if not store.outbox_revive(id, now):
                raise SettingsError(
                    f"there is no message {shown(id)}; `streamrnn alerts list` shows those given up"
                )
    print(f"{count(len(ids), 'message')} will be tried again by `streamrnn run`")
    return _FINE


def _test(arguments: argparse.Namespace) -> int:
    settings = load_settings(arguments.file)
    channels = open_channels(settings.alerts)
    for name in arguments.channels:
        if name not in channels:
            raise SettingsError(
                f"there is no channel {shown(name)}; there are {', '.join(channels) or 'none'}"
            )
    failed = False
    for name in arguments.channels or channels:
        error = _tried(name, channels[name])
        failed = failed or bool(error)
        print(printable(f"{name}: {error or 'delivered'}"))
        if not error:
            _enable(arguments.file, name)
    return _USAGE if failed else _FINE


def _tried(name: str, channel: Notifier) -> str:
    """Send a test and its end; what went wrong."""
    now = time.time_ns()
    try:
        for status in ("firing", "resolved"):
            channel.send(_example(name, status, now))
    except DeliveryError as error:
        return str(error)
    finally:
        channel.close()
    return ""


def _example(name: str, status: Status, now: int) -> Notification:
    text = f"a test of the channel {name}"
    annotations = {"summary": text, "description": "sent by `streamrnn alerts test`; nothing is wrong"}
    labels = {"alertname": "Test", "severity": "info"}
    ends_at = now if status == "resolved" else None
    alert = Alert(f"test-{now}", status, labels, annotations, now, ends_at, {})
    id = f"test-{now}-{status}"
    return Notification(id, f"test-{now}", status, name, (alert,), 0, {}, sent_at=now)


def _enable(file: str, name: str) -> None:
    """Use a channel again that was disabled."""
    try:
        with store_of(file, readonly=False) as store, store.deciding():
            again = store.channel_enable(name)
    except StoreError:
        return  # nothing is kept yet, so nothing is disabled
    if again:
        print(printable(f"{name}: it is used again"))


def _say(arguments: argparse.Namespace) -> int:
    from streamrnn.pipelines.feedback_command import say  # compares by compiled code, which is slow to load

    with store_of(arguments.file, readonly=False) as store:
        lines = say(store, arguments.verb, arguments.id, arguments.file)
    print("\n".join(map(printable, lines)))
    return _FINE


def _silence(arguments: argparse.Namespace) -> int:
    now = time.time_ns()
    if arguments.end:
        with store_of(arguments.file, readonly=False) as store:
            row = next((row for row in store.silences(now) if row.id == arguments.end), None)
            if row is None:
                raise SettingsError(
                    f"there is no silence {shown(arguments.end)}; `streamrnn alerts list` shows them"
                )
            with store.deciding():
                store.silence_put(SilenceRow(row.id, now, row.body))
        print(f"silence {printable(row.id)} is over")
        return _FINE
    if not arguments.matchers or not arguments.duration:
        raise SettingsError(
            "give matchers and how long, such as: streamrnn alerts silence series=pump-1 --for 2h"
        )
    matchers(arguments.matchers)
    until = (now // _NS + round(_seconds(arguments.duration))) * _NS
    row = SilenceRow(f"{now:x}", until, {"matchers": arguments.matchers, "comment": arguments.comment})
    with store_of(arguments.file, readonly=False) as store, store.deciding():
        store.silence_put(row)
    print(printable(f"silence {row.id} until {moment(until)} UTC: {_said(row)}"))
    return _FINE


def _seconds(text: str) -> float:
    try:
        return seconds(text)
    except (AttributeError, KeyError, ValueError):
        raise SettingsError(f"--for is {shown(text)}; give a duration such as 30m or 2h") from None
