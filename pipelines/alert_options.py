"""The options of ``streamrnn alerts`` and ``streamrnn explain``."""

from __future__ import annotations

import argparse
from typing import Any

__all__ = ["add_alerts"]


def add_alerts(commands: Any) -> None:
    """Add both commands to the command line's."""
    alerts = commands.add_parser(
        "alerts",
        help="see incidents and messages, deliver again, try channels, silence, say what an event was",
        description="Look after the alerts of a pipeline, while it runs or not.",
        allow_abbrev=False,
    )
    verbs = alerts.add_subparsers(dest="verb", metavar="VERB", required=True)
    listed = _verb(verbs, "list", "incidents, messages that did not arrive, silences, disabled channels")
    listed.add_argument("--all", action="store_true", help="incidents that are over, too")
    listed.add_argument("--json", action="store_true", help="print one JSON object")
    shown = _verb(verbs, "show", "all that is known of an incident")
    shown.add_argument("id", metavar="ID", help="of an incident, as alerts and `list` show it")
    again = _verb(verbs, "redeliver", "try messages again that were given up")
    again.add_argument(
        "ids", metavar="MESSAGE", nargs="*", help="messages; without any, all that were given up"
    )
    again.add_argument(
        "--waiting", action="store_true", help="do not wait for the next try of those that wait"
    )
    tried = _verb(
        verbs, "test", "send a message and its end to a channel, now; one that was disabled is used again"
    )
    tried.add_argument("channels", metavar="CHANNEL", nargs="*", help="names; without any, all channels")
    silence = _verb(verbs, "silence", "hold back messages of incidents whose labels match")
    silence.add_argument(
        "matchers", metavar="MATCHER", nargs="*", help="such as series=pump-1; all must match"
    )
    silence.add_argument("--for", dest="duration", metavar="2h", help="how long: 90s, 30m, 2h, 3d")
    silence.add_argument("--comment", default="", metavar="TEXT", help="why")
    silence.add_argument("--end", metavar="ID", help="end a silence that `list` shows")
    for name, help in (
        ("not-an-anomaly", "have what looks like an event raise no alert from here on"),
        ("confirm", "have what looks like an event never be quiet"),
        ("forget", "take back what was said of an event"),
    ):
        said = _verb(verbs, name, help)
        said.add_argument("id", metavar="ID", help="of an incident, as `list` shows it, or of an event")
    explain = commands.add_parser(
        "explain",
        help="replay the records of a past alert and show the same numbers",
        description="Replay a series from a capture that the alert kept, up to the record with the largest "
        "surprise, and show what was expected, what came, and whether every bit is the same.",
        allow_abbrev=False,
    )
    explain.add_argument(
        "id", metavar="ALERT_ID", help="of an alert, as messages and `streamrnn alerts list` show it"
    )
    explain.add_argument("--json", action="store_true", help="print one JSON object")
    _add_file(explain)


def _verb(verbs: Any, name: str, help: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=help, description=help, allow_abbrev=False)
    _add_file(parser)
    return parser


def _add_file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--file",
        default="pipeline.toml",
        metavar="PIPELINE.toml",
        help="the pipeline file (default: %(default)s)",
    )
