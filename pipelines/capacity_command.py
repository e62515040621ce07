"""``streamrnn capacity``: what so many series will need, and whether this machine has it."""

from __future__ import annotations

import argparse
import json

from streamrnn.errors import SettingsError
from streamrnn.pipelines.arguments import said_of
from streamrnn.pipelines.durations import bytes_of
from streamrnn.pipelines.options import SETTINGS
from streamrnn.pipelines.priors import with_prior
from streamrnn.settings import Settings

__all__ = ["run"]

_FINE = 0


def run(arguments: argparse.Namespace) -> int:
    """Compute, measure and say it.

    Raises
    ------
    SettingsError
        Where an argument is wrong.
    """
    for name in ("series", "channels"):
        if getattr(arguments, name) < 1:
            raise SettingsError(f"--{name} is {getattr(arguments, name)}; give at least 1")
    options = with_prior(said_of(arguments, SETTINGS))
    channels = [f"channel-{d}" for d in range(arguments.channels)]
    settings = Settings.from_dict({**options, "channels": channels})
    from streamrnn.fleet import Fleet
    from streamrnn.pipelines.capacity import Capacity, capacity_text, measured, rate_of

    found = Capacity(
        series=arguments.series,
        channels=arguments.channels,
        records_per_s=arguments.series * rate_of(arguments.rate),
        bytes_per_series=Fleet.bytes_per_series(settings),
        budget_bytes=_budget(arguments.budget),
        measured=measured(settings, arguments.series),
    )
    print(json.dumps(found.to_dict(), indent=2) if arguments.json else capacity_text(found))
    return _FINE


def _budget(text: str | None) -> int:
    from streamrnn.pipelines.settings import convert

    table = convert({"fleet": {} if text is None else {"budget": text}}, "the command line").fleet
    return 0 if table.budget is None else bytes_of(table.budget)
