"""Records as users hold them, to numbers: names of channels, values, times."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from streamrnn.errors import DataError
from streamrnn.records import Float64Array, Int64Array

if TYPE_CHECKING:
    import pandas as pd

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ARROW = ("__arrow_c_stream__", "__arrow_c_array__")
_NUMBERS = ("empty", "boolean", "integer", "floating", "mixed-integer-float", "decimal")


def _named(x: Any) -> bool:
    """Whether a record names its values: a mapping or a pandas row."""
    return isinstance(x, Mapping) or (hasattr(x, "keys") and hasattr(x, "__getitem__"))


def channels_of(x: Any) -> tuple[str, ...]:
    """Names of a record's channels: its keys, or ``value``, or places in an array."""
    if _named(x):
        return tuple(str(key) for key in list(x.keys()))
    if np.ndim(x) == 0:
        return ("value",)
    return tuple(str(i) for i in range(len(x)))


def _number(value: Any, channel: str) -> float:
    if value is None:
        return float("nan")
    try:
        if isinstance(value, (str, bytes)):
            raise TypeError
        return float(value)
    except (TypeError, ValueError):
        # pandas' NA is neither a float nor None.
        if type(value).__name__ in ("NAType", "NaTType"):
            return float("nan")
        raise DataError(
            f"channel {channel!r} is {value!r}; give a number, or None where it is missing"
        ) from None


def values_of(x: Any, channels: tuple[str, ...]) -> Float64Array:
    """A record's values in the order of the channels; channels it doesn't have are NaN.

    Returns
    -------
    values : (channels,) float64
    """
    if _named(x):
        given = {str(key): x[key] for key in list(x.keys())}
        unknown = [key for key in given if key not in channels]
        if unknown:
            raise DataError(
                f"the record has a channel {unknown[0]!r}; this detector has {', '.join(channels)}"
            )
        return np.array([_number(given.get(channel), channel) for channel in channels])
    if x is None or np.ndim(x) == 0:
        x = [x]
    if len(x) != len(channels):
        raise DataError(f"the record has {len(x)} values; this detector has channels {', '.join(channels)}")
    return np.array([_number(value, channel) for value, channel in zip(x, channels, strict=True)])


def nanoseconds(time: Any) -> int:
    """A time as int64 nanoseconds since 1970 UTC; without an offset it is UTC.

    Raises
    ------
    DataError
        Where it is not a datetime, numpy.datetime64 or pandas.Timestamp, or is NaT.
    """
    if isinstance(time, datetime) and not hasattr(time, "value"):
        aware = time if time.tzinfo else time.replace(tzinfo=UTC)
        delta = aware - _EPOCH  # timedelta holds microseconds; floats would lose them
        return (delta.days * 86_400 + delta.seconds) * 1_000_000_000 + delta.microseconds * 1000
    stamp = getattr(time, "asm8", time)  # a pandas.Timestamp's own datetime64, in UTC
    if isinstance(stamp, np.datetime64) and not np.isnat(stamp):
        return int(stamp.astype("datetime64[ns]").astype(np.int64))
    raise DataError(
        f"time is {time!r}; give a datetime, numpy.datetime64 or pandas.Timestamp "
        "(datetime.fromtimestamp(seconds, UTC) makes one of epoch seconds)"
    )


def frame_of(data: Any) -> pd.DataFrame:
    """Many records as a DataFrame; one that is given comes back itself.

    Raises
    ------
    ImportError
        Where Arrow data is given and pyarrow is not there.
    """
    import pandas as pd

    if isinstance(data, pd.DataFrame):
        return data
    if isinstance(data, pd.Series) or not any(hasattr(data, name) for name in _ARROW):
        return pd.DataFrame(data)
    return _frame_of_arrow(data)


def _frame_of_arrow(data: Any) -> pd.DataFrame:
    from pandas import DataFrame, Series

    table, column = cast("Any", DataFrame), cast("Any", Series)  # the stubs lack from_arrow
    try:
        frame: DataFrame = table.from_arrow(data)
    except ImportError as error:
        raise ImportError("reading Arrow data needs pyarrow: pip install 'streamrnn[parquet]'") from error
    except ValueError:  # an Arrow array is no table
        frame = column.from_arrow(data).to_frame(0)
    return frame


def frame_columns(frame: Any, time: Any) -> tuple[list[str], Float64Array, Int64Array | None]:
    """(channels, values (n, channels), times (n,) or None) of a DataFrame."""
    import pandas as pd

    times = None
    if isinstance(time, str):
        if time not in frame.columns:
            raise DataError(f"there is no column {time!r}; columns are {', '.join(map(str, frame.columns))}")
        times, frame = frame[time], frame.drop(columns=time)
    elif time is not None:
        times = time
    elif isinstance(frame.index, pd.DatetimeIndex):
        times = frame.index
    # One array needs no names; two columns may not share one.
    names = (
        [str(column) for column in frame.columns]
        if frame.shape[1] != 1 or frame.columns[0] != 0
        else ["value"]
    )
    if len(set(names)) != len(names):
        raise DataError(f"two columns have the same name: {names}")
    for column in frame.columns:
        if not _holds_numbers(frame[column]):
            raise DataError(
                f"column {column!r} holds {frame[column].dtype}, not numbers; drop it, or pass it as time="
            )
    values = np.ascontiguousarray(frame.to_numpy(np.float64, na_value=np.nan))
    return names, values, None if times is None else _stamps(times)


def _holds_numbers(column: pd.Series) -> bool:
    """Whether a column is of numbers, booleans or nothing; Arrow's may come as objects."""
    import pandas as pd

    if column.dtype == object:
        return pd.api.types.infer_dtype(column, skipna=True) in _NUMBERS
    return bool(pd.api.types.is_numeric_dtype(column.dtype))


def _stamps(times: Any) -> Int64Array:
    """Any column of times as int64 nanoseconds UTC, NaT where missing."""
    import pandas as pd

    column = pd.Series(times)
    text = not pd.api.types.is_datetime64_any_dtype(column.dtype)
    if pd.api.types.is_numeric_dtype(column.dtype):
        raise DataError(
            "the times are numbers; pandas.to_datetime(times, unit='s') makes times of epoch seconds"
        )
    try:
        index = pd.DatetimeIndex(pd.to_datetime(column, utc=True, format="ISO8601" if text else None))
    except (ValueError, TypeError) as error:
        raise DataError(f"the times cannot be read: {error}") from None
    return np.ascontiguousarray(index.as_unit("ns").asi8, np.int64)
