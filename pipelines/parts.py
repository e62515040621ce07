"""Parts of a pipeline, made from its settings and what a snapshot holds of each."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import msgspec

from streamrnn.connectors.base import Positions
from streamrnn.errors import SettingsError, StateError
from streamrnn.fleet import Fleet
from streamrnn.pipelines.alerting import Alerting
from streamrnn.pipelines.coding import Coding
from streamrnn.pipelines.endpoints import Live
from streamrnn.pipelines.event_rows import EventRows
from streamrnn.pipelines.following import Follower
from streamrnn.pipelines.gap_events import GapEvents
from streamrnn.pipelines.keeping import Lifetime
from streamrnn.pipelines.settings import FileSourceTable, PipelineSettings
from streamrnn.pipelines.silence import Silence
from streamrnn.pipelines.store import Snapshot, Store
from streamrnn.settings import Settings
from streamrnn.spill import Keeping

__all__ = [
    "LIFETIME",
    "check_record",
    "committed_of",
    "extra_of",
    "fleet_of",
    "followers_of",
    "part_of",
    "silent_of",
    "tunable_of",
]

_LOG = logging.getLogger("streamrnn.daemon")
_SILENCE, _EVENTS, LIFETIME = "silence", "events", "ttl"  # what a snapshot calls what is known of each


def extra_of(live: Live, settings: PipelineSettings, alerts: Alerting) -> dict[str, Any]:
    """What a snapshot holds beside the state."""
    record = msgspec.to_builtins(settings.record)
    return {"source": live.found(), "record": record, "alerts": alerts.state()}


def committed_of(store: Store, saved: Snapshot | None) -> tuple[Positions, Mapping[str, Any]]:
    """How far the outputs got; where that is damaged, how far they were at the snapshot."""
    try:
        return store.committed()
    except StateError as error:
        if saved is None:
            raise
        _LOG.warning("outputs begin again at the snapshot: %s", error)
        return saved.extra["committed"], saved.extra["marks"]


def fleet_of(
    settings: PipelineSettings, saved: Snapshot | None, channels: tuple[str, ...], keeping: Keeping
) -> Fleet:
    """The models: those of the snapshot, in its memory where that can be, or new ones.

    Raises
    ------
    SettingsError
        Where a structural setting is not what the state was made with.
    """
    if saved is None:
        return Fleet(Settings.from_dict({**settings.settings(), "channels": channels}), keeping)
    fleet = Fleet.from_bytes(saved.fleet, keeping, adopt=True)
    asked = Settings.from_dict({**settings.settings(), "channels": channels}).structural()
    changed = [name for name, value in fleet.settings.structural().items() if asked[name] != value]
    if changed:
        raise SettingsError(
            f"the state in {settings.checkpoint.path} has another {', '.join(changed)}; change the pipeline "
            "file back, or begin with another checkpoint.path"
        )
    return fleet


def part_of(saved: Snapshot | None, name: str) -> bytes:
    """What a snapshot holds under a name; nothing where there is none, or one from before there was such."""
    return b"" if saved is None else saved.others.get(name, b"")


def followers_of(
    settings: PipelineSettings, saved: Snapshot | None, coding: Coding, alerts: Alerting
) -> dict[str, Follower]:
    """Who goes along with the stream, by the names under which a snapshot holds what they know."""
    one_stream = isinstance(settings.source, FileSourceTable)  # files one after the other
    silence = Silence(settings.detect.silence, one_stream=one_stream, state=part_of(saved, _SILENCE))
    gaps = GapEvents(silence, coding, alerts.silent)
    ttl = settings.fleet.ttl if saved is None else part_of(saved, LIFETIME).decode()
    lifetime = Lifetime(coding.fleet, ttl)
    return {_SILENCE: gaps, _EVENTS: EventRows(coding, part_of(saved, _EVENTS)), LIFETIME: lifetime}


def silent_of(followers: Mapping[str, Follower]) -> int:
    """How many series are silent, of those who know."""
    return sum(follower.silent for follower in followers.values() if isinstance(follower, GapEvents))


def tunable_of(settings: PipelineSettings) -> dict[str, Any]:
    """All tunable settings, those not given too."""
    whole = Settings.from_dict(settings.settings())
    tunable = {name: value for name, value in whole.to_dict().items() if name not in whole.structural()}
    return {**tunable, "silence": settings.detect.silence, "ttl": settings.fleet.ttl or ""}


def check_record(settings: PipelineSettings, saved: Snapshot | None) -> None:
    """Refuse to go on with records that mean something else."""
    if saved is None:
        return
    before, now = saved.extra["record"], msgspec.to_builtins(settings.record)
    keys = {*before, *now} - {"late"}  # a policy: the state is the same
    changed = sorted(key for key in keys if before.get(key) != now.get(key))
    if changed:
        raise SettingsError(
            f"[record] has changed ({', '.join(changed)}), and the state in "
            f"{settings.checkpoint.path} was learned from the old one; change it back, or begin "
            "with another checkpoint.path"
        )
