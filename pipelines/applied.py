"""A rate of false alarms that somebody applies to a daemon that runs, until that reads its file again."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from streamrnn.connectors.base import Positions
from streamrnn.connectors.text import shown
from streamrnn.pipelines.journal import Journal
from streamrnn.pipelines.store import Store
from streamrnn.settings import Settings

__all__ = ["ask_rate", "drop_rates", "hear_rate", "is_rate"]

_LOG = logging.getLogger("streamrnn.applied")
_RATE = "false_alarms"


def ask_rate(store: Store, settings: Settings, rate: str | float) -> Settings:
    """Ask a daemon to go on with another rate of false alarms.

    Parameters
    ----------
    store : Store
        Opened beside the daemon.
    settings : Settings
        As they are.
    rate : str or float
        As ``Settings.false_alarms``.

    Returns
    -------
    Settings
        As they will be.

    Raises
    ------
    SettingsError
        Where the rate is out of range.
    StoreError
        Where it cannot be written.
    """
    wanted = replace(settings, false_alarms=rate)
    store.request_put({_RATE: rate})
    return wanted


def is_rate(body: Mapping[str, Any]) -> bool:
    """Whether a request is about a rate of false alarms."""
    return _RATE in body


def hear_rate(journal: Journal, body: Mapping[str, Any], settings: Settings, positions: Positions) -> None:
    """Journal a rate that was asked for, unless it holds already or is none.

    Raises
    ------
    StoreError
        Where it cannot be written.
    """
    rate = body[_RATE]
    try:
        replace(settings, false_alarms=rate)
    except (TypeError, ValueError) as error:  # journalled, it would stop every start
        _LOG.warning("not applied: %s", error)
        return
    if journal.newest(settings.to_dict())[_RATE] != rate:
        journal.reload({_RATE: rate}, positions)


def drop_rates(store: Store) -> None:
    """Have no rate wait that was asked of a daemon before: at a start the pipeline file says.

    Raises
    ------
    StoreError
        Where it cannot be read or written.
    """
    for request in store.requests():
        if is_rate(request.body):
            _LOG.warning(
                "false_alarms = %s was asked for before this start; the pipeline file holds",
                shown(str(request.body[_RATE])),
            )
            store.request_drop(request.id)
