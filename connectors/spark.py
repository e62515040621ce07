"""Spark's structured streaming as the source and the sink of a fleet.

The keys of a stream are dealt out to buckets, and a bucket is one fleet: Spark keeps its
bytes as one blob of state, under its own checkpoint, and a micro-batch is one kernel call
for each bucket that has records in it. That is several times as fast as a state for each
key, since what a call from Spark into Python costs is paid for a bucket and not for a key.

- **Buckets.** ``crc32(UTF-8 of the key) mod buckets``: the same in every process, on every
  machine and in every version of Spark and Python. Their number belongs to the checkpoint.
- **Order.** The records of a micro-batch go through the kernel by event time; of equal times
  (also where there are none, which come first) the smaller partition goes first, then the
  smaller offset. A series' results depend on nothing but its own records in that order, so
  that they are those of a replay of these records, to the bit, however the stream is cut
  into micro-batches at places that keep the order. A record that comes in a later micro-batch
  than newer ones of its series is ``late``, as in a replay.
- **Identity.** A record is its partition and its offset, two columns of the stream: of a Kafka
  source Spark has them, and a micro-batch that is tried again has them again. Nothing that
  Spark makes up itself (``monotonically_increasing_id``, a row's place in a micro-batch) is
  the same twice. Events are named after the record that opened them: ``partition-offset``,
  and with ``source`` ``source-partition-offset``. With the topic's name as the source these
  are the ids that ``streamrnn run`` gives to the same messages.

Of the libraries ``pyspark`` and ``pyarrow`` nothing is imported before ``score_stream`` is called.
``applyInPandasWithState`` carries the state, not ``transformWithStateInPandas``: the latter needs
protobuf and RocksDB, and has nothing that one value for each bucket would gain by.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from streamrnn.call import Call
from streamrnn.columns import output_columns
from streamrnn.connectors.base import joined
from streamrnn.errors import DataError, SettingsError
from streamrnn.fleet import Fleet
from streamrnn.kernels.plan import NO_TIME
from streamrnn.records import Batch
from streamrnn.settings import Settings

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Columns", "bucket_of", "score_bucket", "score_stream"]

_LONGEST_US = np.iinfo(np.int64).max // 1000  # from 1970, that nanoseconds can count
_MOST_PARTITIONS = 2**31
_STATE = "buckets INT, fleet BINARY"
_TYPES = {"f": "double", "b": "boolean", "O": "string"}  # of found columns, by their kind in NumPy


@dataclass(frozen=True)
class Columns:
    """Names of the columns that say what a record is; its values are the settings' ``channels``.

    Attributes
    ----------
    key : str
        Which series; cast to text, null is ``""``.
    time : str or None
        When (a Spark timestamp); None where the stream has no times. Null, and whatever
        nanoseconds since 1970 cannot count (before 1677, after 2262), is no time.
    partition : str or None
        Whole number from 0, cast to int; None: all records are of partition 0.
    offset : str
        Whole number from 0, cast to bigint, that tells the records of a partition apart
        and does not go back within a series.

    Examples
    --------
    >>> Columns(key="sensor", time="measured_at").names
    ('sensor', 'measured_at', 'partition', 'offset')
    """

    key: str = "key"
    time: str | None = "time"
    partition: str | None = "partition"
    offset: str = "offset"

    @property
    def names(self) -> tuple[str, ...]:
        """Those that there are, in their order in a frame."""
        names = (self.key, self.time, self.partition, self.offset)
        return tuple(name for name in names if name is not None)


def bucket_of(key: str, buckets: int) -> int:
    """The bucket of a key, 0 to ``buckets`` - 1; depends on nothing else.

    Examples
    --------
    >>> [bucket_of(key, 64) for key in ("pump-1", "pump-2", "")]
    [6, 60, 0]
    """
    return zlib.crc32(key.encode()) % buckets


def score_bucket(
    frame: pd.DataFrame,
    state: bytes | None,
    settings: Settings,
    columns: Columns | None = None,
    source: str = "",
) -> tuple[pd.DataFrame, bytes]:
    """Score and learn the records of one bucket in one micro-batch: one kernel call.

    Parameters
    ----------
    frame : DataFrame, n rows in any order
        The columns of ``columns``: key (str), time (int64, microseconds since 1970 UTC; the
        smallest int64 is no time), partition and offset (integers); then one of float64
        for each channel of the settings, sensor units, NaN = missing.
    state : bytes or None
        The bucket's fleet before; None where it begins.
    settings : Settings
        Tunable ones may be others than those of the state, and hold from here on.
    columns : Columns, optional
    source : str
        What ids start with.

    Returns
    -------
    scored : DataFrame, n rows
        In the order in which they were scored. The columns of ``frame``, then those of a
        replay: forecasts, ``anomaly_score``, ``p_value``, ``surprise`` and ``alert_strength``
        (float64), ``is_anomaly`` (bool), ``status``, ``event_id`` (None where there is no
        event) and ``record_id`` (str). A column of the frame that has the name of one of
        them is called ``input.`` and its name.
    state : bytes
        The bucket's fleet now.

    Raises
    ------
    DataError
        Where a partition or an offset is missing, negative or not whole.
    SettingsError
        Where a structural setting is another than in the state.
    StateError
        Where the state is damaged, foreign or of another version.

    Examples
    --------
    >>> import pandas as pd
    >>> settings = Settings(channels=["flow"], hidden=0, season="off")
    >>> first = pd.DataFrame({"key": ["pump-1", "pump-2"], "time": [60_000_000, 0], "partition": [0, 3],
    ...                       "offset": [17, 4], "flow": [5.5, 6.25]})
    >>> scored, state = score_bucket(first, None, settings)
    >>> scored[["key", "flow", "status", "record_id"]].to_numpy().tolist()
    [['pump-2', 6.25, 'warming', '3-4'], ['pump-1', 5.5, 'warming', '0-17']]
    >>> second = first.assign(time=first["time"] + 60_000_000, offset=[18, 5])
    >>> score_bucket(second, state, settings, source="readings")[0]["record_id"].tolist()
    ['readings-3-5', 'readings-0-18']
    """
    import pandas as pd

    columns = columns or Columns()
    fleet = Fleet(settings) if state is None else Fleet.from_bytes(state, **settings.saved())
    order, batch = _ordered(frame, fleet, columns)
    found = output_columns(fleet.process(batch), batch, settings, _Names(source))
    rows = joined({str(name): frame[name].to_numpy()[order] for name in frame.columns}, found)
    # Text stays objects: None would become NaN in pandas' own type for text.
    kept = {name: pd.Series(column, dtype=np.asarray(column).dtype) for name, column in rows.items()}
    return pd.DataFrame(kept), fleet.to_bytes()


def score_stream(
    stream: Any,
    settings: Settings,
    columns: Columns | None = None,
    *,
    buckets: int = 64,
    source: str = "",
) -> Any:
    """A stream with what was found in every record: start it as any other of Spark's.

    The workers need streamrnn too. A query's checkpoint holds all state; it goes on from
    there with the same bits, also with tunable settings changed.

    Parameters
    ----------
    stream : pyspark.sql.DataFrame
        That streams, with the columns of ``columns`` and one for each channel, cast to
        double; null and NaN are missing.
    settings : Settings
    columns : Columns, optional
    buckets : int
        Several for each core that Spark has. More make a micro-batch's calls smaller; fewer
        make a bucket's state larger (its series times ``Fleet.bytes_per_series``, which must
        stay well below the 2 GB of Spark's values).
    source : str
        What ids start with: the topic's name.

    Returns
    -------
    scored : pyspark.sql.DataFrame
        One row for each record, in no order across buckets, in output mode ``append``: the
        columns that were named (key, time, partition, offset, channels), then those of a
        replay, as in ``score_bucket``. Other columns of the stream are not carried along.

    Raises
    ------
    SettingsError
        Where pyspark is not installed, a column is missing or has two parts, or ``buckets``
        is below 1. While the query runs, as the cause of its end: where a structural
        setting or ``buckets`` is another than in the checkpoint.
    DataError
        While the query runs: where a partition or an offset is missing or negative.
    StateError
        While the query runs: where the state is damaged or of another version.
    """
    columns = columns or Columns()
    named = (*columns.names, *settings.channels)
    _check(stream, named, buckets)
    numbered = _numbered(stream, columns, settings.channels, buckets)
    found = _found_types(settings)
    # Spark cannot group columns with a dot in their names: they get theirs behind the scoring.
    types = ["string", *["bigint"] * (columns.time is not None), *["int"] * (columns.partition is not None)]
    types += ["bigint", *["double"] * len(settings.channels)]
    rows = joined(dict(zip(named, types, strict=True)), found)
    scored = numbered.groupBy("bucket").applyInPandasWithState(
        _scoring(settings, columns, buckets, source),
        ", ".join(f"c{i} {kind}" for i, kind in enumerate(rows.values())),
        _STATE,
        "append",
        "NoTimeout",
    )
    return _renamed(scored, list(rows), named.index(columns.time) if columns.time is not None else None)


def _ordered(frame: pd.DataFrame, fleet: Fleet, columns: Columns) -> tuple[NDArray[np.intp], Batch]:
    """The places of a frame's rows in the order in which they are scored, and the batch so."""
    n = len(frame)
    partitions = _positions(frame, columns.partition, _MOST_PARTITIONS)
    offsets = _positions(frame, columns.offset, 2**63)
    times = np.full(n, NO_TIME)
    if columns.time is not None:
        stamps = frame[columns.time].to_numpy(np.int64)
        known = (stamps >= -_LONGEST_US) & (stamps <= _LONGEST_US)
        times[known] = 1000 * stamps[known]
    order = np.lexsort((offsets, partitions, times))
    values = frame[list(fleet.settings.channels)].to_numpy(np.float64)
    batch = Batch(
        series=fleet.series(frame[columns.key].to_numpy()[order].tolist()),
        times=times[order],
        values=np.ascontiguousarray(values[order]),
        partitions=partitions[order].astype(np.int32),
        offsets=offsets[order],
    )
    return order, batch


def _positions(frame: pd.DataFrame, name: str | None, end: int) -> NDArray[np.int64]:
    """(n,) int64: a column of partitions or offsets, each from 0 and below ``end``."""
    if name is None:
        return np.zeros(len(frame), np.int64)
    column = frame[name].to_numpy()
    if column.dtype.kind != "i":  # Spark makes floats of whole numbers among which there is a null
        raise DataError(f"{name} is missing in some records, or no whole number; each needs its position")
    if len(column) and not 0 <= column.min() <= column.max() < end:
        raise DataError(f"{name} goes from {column.min()} to {column.max()}; allowed are 0 to {end - 1}")
    return column.astype(np.int64)


class _Names(Sequence[str]):
    """The names of all partitions that there may be, as a topic's are in ids."""

    def __init__(self, source: str) -> None:
        self._head = f"{source}-" if source else ""

    def __getitem__(self, partition: Any) -> Any:
        return f"{self._head}{partition}"

    def __len__(self) -> int:
        return _MOST_PARTITIONS


def _check(stream: Any, named: Sequence[str], buckets: int) -> None:
    try:
        import pyspark  # noqa: F401 (only whether it is there)
    except ImportError:
        raise SettingsError("Spark needs pyspark; run: pip install 'streamrnn[spark]'") from None
    if buckets < 1:
        raise SettingsError(f"buckets is {buckets}; give a whole number from 1")
    if twice := [name for name, count in Counter(named).items() if count > 1]:
        raise SettingsError(f"the column {twice[0]!r} is named twice; each has one part")
    if missing := [name for name in named if name not in stream.columns]:
        raise SettingsError(f"there is no column {missing[0]!r}; columns are {', '.join(stream.columns)}")


def _found_types(settings: Settings) -> dict[str, str]:
    """Names of the found columns, in their order, and Spark's types of them."""
    nothing = Call(0, len(settings.channels), len(settings.horizons) - 1).results()
    empty = Batch.of_one_series(np.empty((0, len(settings.channels))))
    found = output_columns(nothing, empty, settings, _Names(""))
    return {name: _TYPES[column.dtype.kind] for name, column in found.items()}


def _numbered(stream: Any, columns: Columns, channels: Sequence[str], buckets: int) -> Any:
    """The stream's own columns as c0, c1, ..., and before them the bucket."""
    from pyspark.sql import functions as F  # noqa: N812 (as all of Spark's users have it)

    parts = [F.coalesce(_column(columns.key).cast("string"), F.lit(""))]
    if columns.time is not None:
        # As a number: a timestamp would pass through local time, where an hour a year is there twice.
        stamp = F.unix_micros(_column(columns.time).cast("timestamp"))
        parts.append(F.coalesce(stamp, F.lit(NO_TIME).cast("bigint")))
    if columns.partition is not None:
        parts.append(_column(columns.partition).cast("int"))
    parts.append(_column(columns.offset).cast("bigint"))
    parts += [_column(channel).cast("double") for channel in channels]
    numbered = stream.select(*(part.alias(f"c{i}") for i, part in enumerate(parts)))
    return numbered.select((F.crc32(F.col("c0").cast("binary")) % buckets).cast("int").alias("bucket"), "*")


def _scoring(
    settings: Settings, columns: Columns, buckets: int, source: str
) -> Callable[[Any, Iterator[pd.DataFrame], Any], Iterator[pd.DataFrame]]:
    """What Spark calls for each bucket of a micro-batch."""

    def scoring(_: Any, frames: Iterator[pd.DataFrame], state: Any) -> Iterator[pd.DataFrame]:
        import pandas as pd

        before = None
        if state.exists:
            saved, fleet = state.get
            if saved != buckets:
                raise SettingsError(
                    f"buckets is {buckets}, the checkpoint has {saved}; leave it, or take a new checkpoint"
                )
            before = bytes(fleet)
        frame = pd.concat(list(frames), ignore_index=True).drop(columns="bucket")
        frame.columns = pd.Index([*columns.names, *settings.channels])
        scored, after = score_bucket(frame, before, settings, columns, source)
        state.update((buckets, after))
        scored.columns = pd.Index([f"c{i}" for i in range(scored.shape[1])])
        yield scored

    return scoring


def _renamed(scored: Any, names: Sequence[str], time: int | None) -> Any:
    """The scored stream with the columns' own names, and times as timestamps again."""
    from pyspark.sql import functions as F  # noqa: N812

    parts = [F.col(f"c{i}") for i in range(len(names))]
    if time is not None:
        parts[time] = F.when(parts[time] != F.lit(NO_TIME).cast("bigint"), F.timestamp_micros(parts[time]))
    return scored.select(*(part.alias(name) for part, name in zip(parts, names, strict=True)))


def _column(name: str) -> Any:
    """A column by its whole name, dots and all."""
    from pyspark.sql import functions as F  # noqa: N812

    escaped = name.replace("`", "``")
    return F.col(f"`{escaped}`")
