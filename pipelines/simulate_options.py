"""The options of ``streamrnn simulate``."""

from __future__ import annotations

from typing import Any

__all__ = ["add_simulate"]

_EXAMPLE = (
    "example: streamrnn simulate --records 5000 --label -o plant.csv && streamrnn evaluate plant.csv; "
    "exit codes: 0 fine; 2 wrong usage or settings, or somewhere that cannot be written to; 130 interrupted"
)


def add_simulate(commands: Any) -> None:
    """Add the command to the command line's."""
    simulate = commands.add_parser(
        "simulate",
        help="make up readings of a plant with planted faults: to a table, standard output or Kafka",
        description="Make up readings of sensors with a day, noise and slow wander, and plant faults in "
        "them: spikes, dips, level shifts, drifts, changes of variance, flat lines, gaps and odd patterns, "
        "in turn. The same options give the same bytes on every machine.",
        epilog=_EXAMPLE,
        allow_abbrev=False,
    )
    _add_where(simulate.add_argument_group("where readings go"))
    _add_plant(simulate.add_argument_group("the plant"))


def _add_where(group: Any) -> None:
    add = group.add_argument
    add("-o", "--output", metavar="FILE", help="a table: .csv, .jsonl, .parquet; - is stdout, as CSV")
    add("--brokers", metavar="A,B", help="Kafka's brokers, host:port; readings go to --topic as JSON")
    add("--topic", metavar="NAME", help="a topic that exists; the sensor's name is a message's key")
    add(
        "--client",
        choices=("kafka-python", "confluent"),
        default="kafka-python",
        help="the library that writes (default: %(default)s)",
    )
    add("--labels", metavar="FILE", help="write the planted faults, a row each, as they begin")
    add("--label", action="store_true", help="add a column label: 1 in records of a planted fault, else 0")
    add("--rate", default="max", metavar="N", help="readings a second of all sensors, or max (the default)")


def _add_plant(group: Any) -> None:
    add = group.add_argument
    add("--sensors", type=int, default=10, metavar="N", help="how many (default: %(default)s)")
    add("--channels", type=int, default=1, metavar="N", help="values of a reading (default: %(default)s)")
    add(
        "--name",
        default="sensor",
        metavar="TEXT",
        help="what sensors' names begin with (default: %(default)s)",
    )
    add("--records", type=int, metavar="N", help="of each sensor, gaps included (default: without end)")
    add("--step", default="1m", metavar="1m", help="from one reading to the next (default: %(default)s)")
    add(
        "--start",
        default="2026-01-01T00:00:00Z",
        metavar="TIME",
        help="time of the first reading, as ISO 8601 has it, or now (default: %(default)s)",
    )
    add(
        "--faults",
        type=float,
        metavar="N",
        help="a day, in the plant's own time, of all sensors together; 0: none "
        "(default: one in 2000 records of each sensor)",
    )
    add(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help="another seed is another plant (default: %(default)s)",
    )
