"""Channels as a pipeline file names them."""

from __future__ import annotations

from streamrnn.connectors.notifications import Notifier
from streamrnn.pipelines.alert_settings import AlertTables

__all__ = ["open_channels"]


def open_channels(tables: AlertTables) -> dict[str, Notifier]:
    """Every channel by its name.

    Raises
    ------
    SettingsError
        Where one cannot be opened.
    """
    if not tables.channel:
        return {}
    from streamrnn.connectors.notifiers.registry import open_notifier

    return {channel.name: open_notifier(channel.kind, channel.options) for channel in tables.channel}
