"""``[checkpoint] mode = "exactly-once"``: what it asks of a pipeline file, and its transactions."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial

from streamrnn.connectors.base import Positions
from streamrnn.connectors.kafka import KafkaSource
from streamrnn.connectors.kafka_clients.background import Background
from streamrnn.connectors.kafka_transaction import KafkaTransaction
from streamrnn.errors import SettingsError, StreamrnnError
from streamrnn.pipelines.endpoints import LiveSource, kafka_options
from streamrnn.pipelines.settings import FileSinkTable, KafkaSourceTable, PipelineSettings

__all__ = ["check_mode", "leave", "open_transaction", "open_transactions", "topics_of", "written_of"]

_LOG = logging.getLogger("streamrnn.daemon")
_MODE = 'checkpoint.mode = "exactly-once"'
_LANE_BYTES = 8 * 2**20  # that a partition's transaction holds, for there may be many


def check_mode(settings: PipelineSettings) -> KafkaSourceTable | None:
    """The source of a daemon that writes exactly once; None for the other mode.

    Raises
    ------
    SettingsError
        Where something cannot be part of one transaction.
    """
    table = settings.source
    if settings.checkpoint.mode != "exactly-once":
        return None
    if not isinstance(table, KafkaSourceTable):
        raise SettingsError(f'{_MODE} is for [source] kind = "kafka"; from file to file every row comes once')
    if table.client != "confluent":
        raise SettingsError(
            f"with {_MODE} give source.client = \"confluent\" (pip install 'streamrnn[confluent]'): "
            "its transactions are the ones that are tested here"
        )
    files = [one for one in settings.sink if isinstance(one, FileSinkTable)]
    if files or settings.dead_letter.path is not None:
        raise SettingsError(
            f"with {_MODE} every sink and dead_letter is a topic: a file cannot be part of a transaction"
        )
    return table


def topics_of(settings: PipelineSettings) -> list[str]:
    """To which a pipeline writes."""
    sinks = [one.topic for one in settings.sink if not isinstance(one, FileSinkTable)]
    return [*sinks, *(topic for topic in (settings.dead_letter.topic,) if topic is not None)]


def open_transaction(
    settings: PipelineSettings, source: LiveSource, opened: ExitStack
) -> KafkaTransaction | None:
    """What commits outputs and offsets together; None in the other mode. Closed with ``opened``.

    From here on no earlier daemon of the group commits anything.

    Raises
    ------
    SettingsError
        As ``check_mode``.
    RetriableError, FatalConnectorError
        Where the brokers don't let it begin.
    """
    table = check_mode(settings)
    if table is None or not isinstance(source, KafkaSource):
        return None
    options = kafka_options(table)
    name = f"streamrnn-{table.group}"
    transaction = KafkaTransaction(options, name, topics_of(settings), source.membership)
    opened.callback(transaction.close)
    _LOG.info("exactly once: transactions of %r", name)
    return transaction


def open_transactions(
    settings: PipelineSettings, source: KafkaSource, homes: Iterable[str]
) -> dict[str, KafkaTransaction]:
    """One for each of these partitions, opened side by side; none in the other mode.

    From here on no earlier owner commits anything of them, and their offsets are final.
    Each has a name of its own that goes with the partition from owner to owner, so that
    who begins ends what the one before left open, and no two can write at a time.

    Raises
    ------
    SettingsError
        As ``check_mode``.
    FencedError
        Where another owner begins at the same moment.
    RetriableError, FatalConnectorError
        Where the brokers don't let them begin.
    """
    table = check_mode(settings)
    if table is None:
        return {}
    options = replace(kafka_options(table), buffer_bytes=_LANE_BYTES)
    open_one = partial(KafkaTransaction, options, topics=topics_of(settings), membership=source.membership)
    names = {home: f"streamrnn-{table.group}/{home}" for home in homes}
    opening = {home: Background(partial(open_one, name)) for home, name in names.items()}
    found, failed = dict[str, KafkaTransaction](), list[StreamrnnError]()
    for home, one in opening.items():  # all of them: one that opened late would fence a next try
        try:
            found[home] = one.result()
        except StreamrnnError as error:
            failed.append(error)
    if failed:
        for transaction in found.values():
            leave(transaction)
        raise failed[0]
    _LOG.info("exactly once: transactions of %s", ", ".join(map(repr, names.values())))
    return found


def leave(transaction: KafkaTransaction) -> None:
    """Have a transaction closed beside us: the next owner ends what was open, too, so nobody need wait."""
    Background(transaction.close)


def written_of(transaction: KafkaTransaction | None, known: Iterable[str], written: Positions) -> Positions:
    """How far outputs are: with a transaction what the group says, where it has not forgotten."""
    return written if transaction is None else {**written, **transaction.committed(known)}
