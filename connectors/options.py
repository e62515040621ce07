"""How records are to be read: what a user may say of a file, whatever its format."""

from __future__ import annotations

from dataclasses import dataclass

from streamrnn.errors import SettingsError

__all__ = ["NO_TIME_COLUMN", "RecordOptions"]

NO_TIME_COLUMN = "none"  # what --time takes where there is to be no clock
_DELIMITERS = {"tab": "\t", "\\t": "\t", "space": " ", "comma": ",", "semicolon": ";", "pipe": "|"}


@dataclass(frozen=True, kw_only=True)
class RecordOptions:
    r"""What is said of a table's records; whatever is None is found out.

    Attributes
    ----------
    time : tuple of str or None
        The time column, or the columns that make a time together (date and
        clock; year, month, day, hour); ``("none",)`` reads without a clock.
    time_format : str or None
        ``iso``, ``s``, ``ms``, ``us``, ``ns``, ``excel`` or a strptime format.
    tz : str or None
        IANA zone of times without an offset; None is UTC.
    values : tuple of str or None
        The value columns, one channel each.
    key : tuple of str or None
        The columns that name a record's series; ``("none",)`` reads one series.
    columns : tuple of str or None
        Messages of delimited text only, which have no header: names of the cells
        of each, from left to right.
    label : tuple of str or None
        Columns that say which records are known anomalies; the first counts,
        none of them reaches a model.
    missing : tuple of str
        Cells that mean "no value", beside the usual ones.
    delimiter : str or None
        What separates cells: one character, or "tab", "space", "comma", "semicolon", "pipe".
    decimal : str or None
        The decimal mark, a point or a comma.
    encoding : str or None
        Such as utf-8, cp1252 or utf-16.
    sort : bool
        Put rows in the order of their times first; all are held in memory.

    Raises
    ------
    SettingsError
        Where one of them cannot be.

    Examples
    --------
    >>> RecordOptions(delimiter="tab").delimiter
    '\t'
    """

    time: tuple[str, ...] | None = None
    time_format: str | None = None
    tz: str | None = None
    values: tuple[str, ...] | None = None
    key: tuple[str, ...] | None = None
    columns: tuple[str, ...] | None = None
    label: tuple[str, ...] | None = None
    missing: tuple[str, ...] = ()
    delimiter: str | None = None
    decimal: str | None = None
    encoding: str | None = None
    sort: bool = False

    def __post_init__(self) -> None:
        if self.delimiter is not None:
            mark = _DELIMITERS.get(self.delimiter, self.delimiter)
            if len(mark) != 1 or mark in '\r\n"':
                names = ", ".join(name for name in _DELIMITERS if name.isalpha())
                raise SettingsError(f"delimiter is {self.delimiter!r}; give one character, or one of {names}")
            object.__setattr__(self, "delimiter", mark)
        if self.decimal not in {None, ".", ","}:
            raise SettingsError(f"decimal is {self.decimal!r}; give a point or a comma")
        if self.decimal is not None and self.decimal == self.delimiter:
            raise SettingsError(f"delimiter and decimal are both {self.decimal!r}; give two marks")
        if self.encoding is not None:
            _check_encoding(self.encoding)


def _check_encoding(name: str) -> None:
    try:
        "".encode(name)
    except (LookupError, ValueError):
        raise SettingsError(f"encoding {name!r} is not known; try utf-8, cp1252 or utf-16") from None
