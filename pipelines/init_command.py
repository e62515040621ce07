"""``streamrnn init``: a pipeline file to begin with, and its JSON Schema for editors."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from streamrnn.connectors.text import printable
from streamrnn.errors import SettingsError
from streamrnn.pipelines.settings import schema

__all__ = ["run"]

_SCHEMA = "streamrnn.schema.json"
_FILE_SOURCE = """\
[source]
kind = "file"
path = "readings.csv"        # followed as it grows, through rotation
# follow = false             # end at the end of the file

[record]
# format = "json"            # lines of JSON instead of a table
# What is left out of a table is found out; for JSON name the fields:
# time = "at"                # event time
# values = ["temp", "rpm"]   # one channel each
# key = "device"             # names a record's series
# missing = [-200]           # what else means "no value"
# reorder = "5s"             # wait so long, in event time, for records that come late
"""
_KAFKA_SOURCE = """\
[source]
kind = "kafka"
brokers = ["localhost:9092"]
topics = ["readings"]
group = "streamrnn"
# client = "confluent"       # faster; pip install 'streamrnn[confluent]'
# start = "latest"           # where to begin what was never read (default: earliest)

# [source.security]
# protocol = "SASL_SSL"
# mechanism = "SCRAM-SHA-512"
# username = "streamrnn"
# password = {env = "KAFKA_PASSWORD"}

[record]
format = "json"
values = ["temp"]            # fields, or paths such as data.temp; one channel each
# time = "at"                # event time (default: the message's own)
# key = "@message"           # names a record's series: a field, or the message's key
# reorder = "5s"             # wait so long, in event time, for records that come late
"""
_REST = """\

[model]
# hidden = 12                # structural: a change needs a new state

[detect]
false_alarms = "1/week"      # SIGHUP reads this table again

[[sink]]
kind = "file"
path = "scored.csv"
# what = "anomalies"         # or "every:10"; default: all

[dead_letter]
path = "dead-letters.jsonl"  # what could not be read, with position and reason

[checkpoint]
path = "streamrnn.db"        # all state; keep it on a disk that survives
every = "5m"                 # snapshots; what lies between two is read again after a crash
commit = "1s"

# [alerts]                   # incidents, and who hears of them
# labels = {site = "north"}  # on every alert
# group_by = ["site"]        # one message for all that starts together at a site

# [[alerts.channel]]
# name = "ops"
# kind = "webhook"           # or alertmanager, pagerduty, command, apprise
# url = {env = "OPS_WEBHOOK"}

# [[alerts.route]]           # tried in order; without any, every channel hears of everything
# channels = ["ops"]
# match = ["series=~pump-.*"]
# min_severity = "warning"
# hours = "Mon-Fri 08:00-18:00"
# tz = "Europe/Rome"

[serve]
listen = "127.0.0.1:9464"    # /livez, /readyz, /metrics
# page = true                # a live page; streamrnn watch opens it (pip install 'streamrnn[web]')
# token = {env = "STREAMRNN_TOKEN"}  # what the page asks for; a must where others reach the address

[log]
# format = "json"
"""


def run(arguments: argparse.Namespace) -> int:
    """Write the files, never over others.

    Raises
    ------
    SettingsError
        Where the pipeline file is there already, or cannot be written.
    """
    path = Path(arguments.file)
    begin = f"#:schema ./{_SCHEMA}\n# streamrnn run {path.name}; streamrnn check {path.name}\n\n"
    source = _KAFKA_SOURCE if arguments.kafka else _FILE_SOURCE
    beside = path.with_name(_SCHEMA)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(begin + source + _REST)
        beside.write_text(json.dumps(schema(), indent=1) + "\n", encoding="utf-8")
    except FileExistsError:
        raise SettingsError(f"{printable(str(path))} is there already; give another name") from None
    except OSError as error:
        raise SettingsError(f"cannot write {printable(str(path))}: {error.strerror}") from None
    name = printable(str(path))
    print(f"wrote {name} and {printable(str(beside))}; next: streamrnn check {name}")
    return 0
