"""What the columns of a table mean: time, key, label, values; and why the rest is left out."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from streamrnn.connectors.options import NO_TIME_COLUMN, RecordOptions
from streamrnn.connectors.tables.clock import Clock, find_clock_columns
from streamrnn.connectors.tables.column import Column
from streamrnn.connectors.tables.keys import codes_of, find_key
from streamrnn.connectors.tables.order import order_notes
from streamrnn.connectors.text import shown
from streamrnn.errors import DataError, SettingsError
from streamrnn.records import Int64Array

__all__ = ["Sample", "Schema", "find_schema"]

_LABELS = ("label", "anomaly", "anomalies", "anomalous", "outlier", "attack", "groundtruth", "changepoint")
_LABELS_ALONE = frozenset(
    {"label", "labels", "anomaly", "outlier", "groundtruth"}
)  # words that mean nothing else
_CLASSES = frozenset({"class", "fault", "failure", "isfault", "isfailure"})
# Words of columns that repeat what the time says.
_OF_TIME = frozenset(
    {"hour", "weekday", "dayofweek", "dow", "month", "dayofmonth", "dayofyear", "weekofyear"}
)
_COUNTS, _CLIMBS, _RESTS = "counts rows", "goes up by", "always"
_FEWEST_COUNTED = 10  # rows that tell a row number from a short ramp
_FEWEST_HOURS = 12  # columns named by times of day that make a row a day
_ALMOST = re.compile(r"\s*[^\w\s]{0,2}\s*\d")  # how "(20.5)", "<0.1", "$3" and "1 kB" start
_OF_A_DAY = re.compile(r"h?\d{1,2}(:\d{2}){1,2}|h\d{1,2}", re.IGNORECASE)
_COUNTERS = frozenset({"index", "idx", "no", "nr", "row", "rowid", "id", "recordid", "unnamed0", "x", "n"})


@dataclass(frozen=True)
class Sample:
    """Rows of a table that stand for all of it.

    Attributes
    ----------
    title : str
        What messages call the table.
    columns : list of Column
    consecutive : int
        How many rows, from the first, follow each other in the table.
    made_up : frozenset of str
        Names that the table does not have.
    """

    title: str
    columns: list[Column]
    consecutive: int
    made_up: frozenset[str] = frozenset()

    def place(self, wanted: str, option: str) -> int:
        """Place of a column that was asked for; SettingsError where there is none of this name."""
        names = [column.name for column in self.columns]
        if wanted in names:
            return names.index(wanted)
        near = difflib.get_close_matches(wanted, names, 1, 0.5)
        hint = f" (did you mean {shown(near[0])}?)" if near else ""
        columns = _listed([shown(name) for name in names], 20)
        raise SettingsError(
            f"{option}: {self.title} has no column {shown(wanted)}{hint}; its columns are {columns}"
        )


@dataclass(frozen=True)
class Schema:
    """Places of a table's columns by their roles.

    Attributes
    ----------
    names : tuple of str
        Of all columns, in order.
    clock : Clock or None
        Which columns make a time, and how they are read.
    values, key, label : tuple of int
        Places; values in the order of the channels.
    left_out : dict of str to str
        Every other column and why it is none of these.
    meanings : dict of str to bool
        What the words of the label say; empty where it holds numbers.
    normal : float
        The number of a label that says normal.
    units : dict of int to str
        By place, what is taken away behind the numbers of a value column.
    notes : list of str
        What the user should know, with the option to use.
    """

    names: tuple[str, ...]
    clock: Clock | None
    values: tuple[int, ...]
    key: tuple[int, ...] = ()
    label: tuple[int, ...] = ()
    left_out: dict[str, str] = field(default_factory=dict)
    meanings: dict[str, bool] = field(default_factory=dict)
    normal: float = 0.0
    units: dict[int, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def named(self, places: Sequence[int]) -> tuple[str, ...]:
        """Names of the columns at some places."""
        return tuple(self.names[place] for place in places)

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the value columns."""
        return self.named(self.values)


def find_schema(sample: Sample, options: RecordOptions) -> Schema:
    """Tell the columns of a table apart by their names and a sample of its rows.

    Raises
    ------
    SettingsError
        Where a column that was asked for does not exist or has two roles, or
        times can be read in several ways or run backwards.
    DataError
        Where no column holds numbers, or a column that is named like a time
        holds none that is known.
    """
    columns = sample.columns
    taken = _asked(sample, options)
    label = _places(taken, "label") if options.label else _label(columns, taken)
    taken |= dict.fromkeys(label, "label")
    left_out: dict[int, str] = {}
    clock = find_clock_columns(sample, options, taken, left_out)
    if clock is not None:
        clock = replace(clock, example=next(iter(columns[clock.places[0]].present), ""))
        for place in clock.places:
            _take(taken, place, "time", columns)
    key = _places(taken, "key") if options.key else find_key(sample, clock, taken)
    taken |= dict.fromkeys(key, "key")
    notes = [] if options.sort else order_notes(sample, clock, key)
    if options.values is None:
        values = _values(sample, taken, left_out)
    else:
        values = tuple(sample.place(name, "values") for name in options.values)
    notes += _value_notes([columns[place] for place in values], options)
    notes += [_label_hint(columns[place]) for place in left_out if _may_label(columns[place])]
    known = {*taken, *values, *left_out}
    others = [place for place in range(len(columns)) if place not in known]
    left_out |= dict.fromkeys(others, "not asked for")
    return Schema(
        names=tuple(column.name for column in columns),
        clock=clock,
        values=values,
        key=key,
        label=label,
        left_out={columns[place].name: left_out[place] for place in sorted(left_out)},
        meanings=_meanings(columns[label[0]]) if label else {},
        normal=columns[label[0]].normal if label else 0.0,
        units={place: columns[place].unit for place in values if columns[place].unit},
        notes=notes,
    )


def _asked(sample: Sample, options: RecordOptions) -> dict[int, str]:
    """The roles that options give to columns, by their places."""
    taken: dict[int, str] = {}
    for option, wanted in (("values", options.values), ("key", options.key), ("label", options.label)):
        for name in wanted or ():
            if option == "values" or name != NO_TIME_COLUMN:
                _take(taken, sample.place(name, option), option, sample.columns)
    return taken


def _take(taken: dict[int, str], place: int, role: str, columns: Sequence[Column]) -> None:
    name = shown(columns[place].name)
    if taken.get(place) == role:
        raise SettingsError(f"{role} names column {name} twice")
    if place in taken:
        raise SettingsError(f"column {name} is both {taken[place]} and {role}; take it out of one of them")
    taken[place] = role


def _places(taken: dict[int, str], role: str) -> tuple[int, ...]:
    return tuple(place for place, its in taken.items() if its == role)


def _label(columns: Sequence[Column], taken: dict[int, str]) -> tuple[int, ...]:
    """Columns named like labels that hold what labels hold; the most telling first."""
    named = [
        (rank, place)
        for place, column in enumerate(columns)
        for rank, word in enumerate(_LABELS)
        if word in column.word and place not in taken and not column.is_empty and column.label is not None
    ]
    if not named:
        named = [(0, p) for p, column in enumerate(columns) if p not in taken and _is_class(column)]
    return tuple(dict.fromkeys(place for _, place in sorted(named)))


def _is_class(column: Column) -> bool:
    """Whether a column with a name that may mean more holds what only labels do."""
    return column.word in _CLASSES and column.label == {} and 0.0 in column.known and not column.is_constant


def _meanings(column: Column) -> dict[str, bool]:
    if column.label is None:
        cells = ", ".join(map(shown, sorted(set(column.present))[:5]))
        raise DataError(
            f"label: column {shown(column.name)} holds {cells}; it should hold 0 and 1, or normal and anomaly"
        )
    return column.label


def _values(sample: Sample, taken: dict[int, str], left_out: dict[int, str]) -> tuple[int, ...]:
    """All columns of numbers that say something; the others go to ``left_out`` with the reason."""
    key = _places(taken, "key")
    codes = codes_of(sample.columns, key, sample.consecutive) if key else None
    reasons = {
        place: _why_not(column, sample, taken) or _counting(column, sample, codes)
        for place, column in enumerate(sample.columns)
        if place not in taken and place not in left_out
    }
    found = [place for place, why in reasons.items() if why is None]
    if not found:
        # Where there is no other, a sensor that rests or counts is watched.
        resting = [place for place, why in reasons.items() if why is not None and why.startswith(_RESTS)]
        ramps = [p for p, why in reasons.items() if why is not None and why.startswith((_COUNTS, _CLIMBS))]
        counting = [place for place in ramps if not _numbers_rows(sample, place)]
        found = resting or counting
    left_out |= {place: why for place, why in reasons.items() if place not in found and why is not None}
    if not found:
        _refuse_no_numbers(sample, left_out)
    return tuple(found)


def _why_not(column: Column, sample: Sample, taken: dict[int, str]) -> str | None:
    """Why a column holds no values to watch; None where it does."""
    if column.is_empty:
        return "empty"
    if not column.is_numeric:
        return "a time" if column.readings or column.times is not None else _text(column)
    if not len(column.known):
        return "no finite number"
    return _other_role(column, taken)


def _other_role(column: Column, taken: dict[int, str]) -> str | None:
    if set(column.words) & _LABELS_ALONE:
        return "named like a label; name it with --label, or with --values"
    if "time" in taken.values() and column.word in _OF_TIME and column.is_whole:
        return "a part of the time"
    return None


def _resting(column: Column) -> str | None:
    return f"{_RESTS} {column.known[0]:g} in the rows looked at" if column.is_constant else None


def _counting(column: Column, sample: Sample, codes: Int64Array | None) -> str | None:
    """How a column of numbers counts the rows, of a series or all, or rests, and so says nothing."""
    n = sample.consecutive
    if codes is not None and column.counts_rows(n, codes):
        return _COUNTS
    steps = column.steps(n)
    numbered = column.word in _COUNTERS and column.is_whole and len(steps) > 1
    if numbered and ((steps == 0.0) | (steps == 1.0)).all():
        return _COUNTS
    if column.counts_rows(n) and (n >= _FEWEST_COUNTED or column.name in sample.made_up):
        return _COUNTS
    step = column.counts_evenly(n)
    return _resting(column) if step is None else f"{_CLIMBS} {step:.6g} from row to row"


def _text(column: Column) -> str:
    """The reason for a column of text, with an example where it looks like numbers."""
    odd = next((cell for cell in column.present if _ALMOST.match(cell)), None)
    return "text" if odd is None else f"text such as {shown(odd)}"


def _numbers_rows(sample: Sample, place: int) -> bool:
    column = sample.columns[place]
    return column.word in _COUNTERS or column.name in sample.made_up


def _may_label(column: Column) -> bool:
    return not column.is_numeric and len(column.label or ()) > 1 and "normal" in (column.label or ())


def _label_hint(column: Column) -> str:
    kinds = ", ".join(shown(word) for word, odd in sorted((column.label or {}).items()) if odd)
    return f"if {shown(column.name)} marks what is wrong ({kinds}), add --label {shown(column.name)}"


def _value_notes(columns: Sequence[Column], options: RecordOptions) -> list[str]:
    """What to know of the value columns: units, stand-ins for "no value", a row that is a day."""
    notes = _stand_ins(columns, options)
    units = [f"{shown(column.unit)} behind the numbers of {column.name}" for column in columns if column.unit]
    notes += [f"left away: {_listed(units)}"] if units else []
    hours = [column.name for column in columns if _OF_A_DAY.fullmatch(column.name)]
    if len(hours) >= _FEWEST_HOURS:
        notes.append(
            f"{shown(hours[0])} to {shown(hours[-1])} look like times of one day; each column is a "
            "channel here; to watch one series, write a row for each time first (date, time, value)"
        )
    return notes


def _stand_ins(columns: Sequence[Column], options: RecordOptions) -> list[str]:
    """What seems to mean "no value", with the option that says so."""
    given = {float(text) for text in options.missing if _is_float(text)}
    found = {value for column in columns for value in column.stand_ins} - given
    notes = []
    for value in sorted(found):
        shares = [(column.name, column.share_at_end(value)) for column in columns]
        names = [f"{name} ({100 * share:.2g}%)" for name, share in shares if share > 0.0]
        notes.append(f'{value:g} may mean "no value" in {_listed(names)}; if so, add --missing {value:g}')
    return notes


def _is_float(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _listed(names: Sequence[str], most: int = 4) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _refuse_no_numbers(sample: Sample, left_out: dict[int, str]) -> None:
    said = [f"{shown(sample.columns[place].name)}: {why}" for place, why in sorted(left_out.items())]
    columns = _listed(said, 12) or "none but the time"
    raise DataError(
        f"{sample.title}: no column holds numbers to watch ({columns}); "
        "check --delimiter and --decimal, or name columns with --values"
    )
