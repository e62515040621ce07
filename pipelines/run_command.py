"""``streamrnn run``: a pipeline file to a daemon, and its log."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from datetime import UTC, datetime

from streamrnn.connectors.text import printable
from streamrnn.pipelines.daemon import Daemon
from streamrnn.pipelines.settings import load_settings

__all__ = ["run"]

_FINE = 0


class _JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        level, message = record.levelname.lower(), record.getMessage()
        said = {"time": at, "level": level, "logger": record.name, "message": message}
        if record.exc_info:
            said["traceback"] = self.formatException(record.exc_info)
        return json.dumps(said)


class _Text(logging.Formatter):
    """A line for people; names from outside escaped."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


def run(arguments: argparse.Namespace) -> int:
    """Run a pipeline until its source ends or a signal comes; the exit code.

    Raises
    ------
    StreamrnnError
        Where it cannot start, or going on makes no sense.
    """
    log = load_settings(arguments.file).log
    handler = logging.StreamHandler(sys.stderr)
    plain = _Text("%(asctime)s %(levelname)s %(message)s")
    handler.setFormatter(_JsonLines() if log.format == "json" else plain)
    root = logging.getLogger("streamrnn")
    root.addHandler(handler)
    root.setLevel(log.level.upper())
    try:
        Daemon(arguments.file, dry=arguments.dry_run).run()
    finally:
        root.removeHandler(handler)
    return _FINE
