"""Messages in CSV: whatever they hold and however they are cut, each is a record or a dead letter."""

from __future__ import annotations

import numpy as np
import pytest
from decoding import decoded
from hypothesis import example, given
from hypothesis import strategies as st

from streamrnn.connectors.csv_messages import CsvDecoder
from streamrnn.connectors.messages import Messages
from streamrnn.connectors.options import RecordOptions
from streamrnn.errors import SettingsError
from streamrnn.kernels.plan import NO_TIME

COLUMNS = ("ts", "device", "temp")
PLAIN = RecordOptions(columns=COLUMNS, time=("ts",), key=("device",))
OTHERS = [
    PLAIN,
    RecordOptions(columns=COLUMNS, time=("ts",), key=("device", "@message"), tz="Europe/Rome"),
    RecordOptions(columns=COLUMNS, time=("ts",), time_format="ms", missing=("off", "-999"), values=("temp",)),
    RecordOptions(columns=COLUMNS, time=("ts",), key=("device",), delimiter="tab", decimal=","),
    RecordOptions(columns=("day", "clock", "temp"), time=("day", "clock"), decimal=",", encoding="utf-16"),
    RecordOptions(columns=COLUMNS, time=("none",), delimiter="space", encoding="cp1252"),
    RecordOptions(columns=COLUMNS),
]
CELLS = ["1700000000", "1700000600.5", "2023-10-29T02:30:00", "2023-10-29", "29/10/2023 02:30", "02:30", "p7"]
CELLS += ["", " ", "20.5", "20,5", "-999", "off", "n/a", "1e999", "1_0", "1;2", "=cmd()", "nan", "9" * 400]
CELLS += [
    "ts",
    "device",
    "temp",
    '"a',
    '"a,b"',
    '"a\nb"',
    '"a""b"',
    'a"b',
    "\x00",
    "\ud800",
    "\u0661",
    "a\rb",
]


def messages_of(values, keys=None, times=None):
    n = len(values)
    return Messages(
        values=list(values),
        keys=list(keys or [None] * n),
        times=np.array(times or [NO_TIME] * n, np.int64),
        partitions=np.zeros(n, np.int32),
        offsets=np.arange(n, dtype=np.int64),
        partition_names=["flow-0", "flow-1"],
    )


def read_of(options, *values, **others):
    decoder = CsvDecoder(options)
    found = decoder.decode(messages_of(values, **others))
    return decoder, found.read, [letter.reason for letter in found.dead]


def test_a_message_is_a_row_with_a_line_end_or_without():
    values = [b"1700000000,p7,20.5", b"1700000060,p8,\r\n", b"\n1700000120,p7,21\n\n"]
    decoder, read, dead = read_of(PLAIN, *values)
    assert (dead, decoder.channels, decoder.keys) == ([], ("temp",), ["p7", "p8"])
    assert read.values[:, 0].tolist()[::2] == [20.5, 21.0] and np.isnan(read.values[1, 0])
    assert np.diff(read.times).tolist() == [60 * 10**9] * 2
    assert list(read.columns) == list(COLUMNS) and read.columns["temp"] == ["20.5", "", "21"]


def test_quoted_cells_may_hold_delimiters_and_line_breaks():
    decoder, _, dead = read_of(PLAIN, b'1700000000,"p,7",20.5', b'1700000060,"p\n""8""",21')
    assert (dead, decoder.keys) == ([], ["p,7", 'p\n"8"'])


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "the message is empty"),
        (b" \r\n", "the message is empty"),
        (b"1700000000,p7", "the row has 2 of 3 cells; it may have been cut off"),
        (b"1700000000,p7,20,5", "the row has 4 of 3 cells"),
        (b"1700000000,p7,20.5\n1700000060,p7,21", "the message holds 2 rows"),
        (b'1700000000,"p7,20.5', "a quote is opened and not closed"),
        (b"1700000000,,20.5", "the key is empty"),
        (b"1700000000," + b"p" * 1001 + b",20.5", "the key has 1,001 characters, more than 1,000"),
        (b"1700000000,p7,warm", "'warm' is not a number"),
        (b"yesterday,p7,20.5", "the time 'yesterday' is not understood"),
        (b"ts,device,temp", "the message is a header"),
    ],
)
def test_what_is_no_row_is_a_dead_letter_that_says_why(value, reason):
    _, read, dead = read_of(PLAIN, value)
    assert len(read) == 0 and len(dead) == 1 and reason in dead[0]


def test_delimiter_decimal_missing_and_zone_are_those_of_tables():
    options = RecordOptions(
        columns=("day", "clock", "temp", "note"),
        values=("temp",),
        time=("day", "clock"),
        time_format="%d/%m/%Y %H:%M",
        tz="Europe/Rome",
        decimal=",",
        missing=("-999", "off"),
    )
    rows = [b"10/03/2024;18:00;20,5;x", b"10/03/2024;18:10;-999;", b"10/03/2024;18:20;off;y;;"]
    _, read, dead = read_of(options, *rows)
    assert dead == [] and read.values[0, 0] == 20.5 and np.isnan(read.values[1:, 0]).all()
    assert str(read.times[:1].view("M8[ns]")[0])[:16] == "2024-03-10T17:00"


def test_without_a_time_column_the_messages_own_time_counts_and_its_key_may_name_the_series():
    options = RecordOptions(columns=("temp", "rpm"), key=("@message",))
    decoder, read, dead = read_of(options, b"20.5,900", b"21,901", keys=[b"p7", None], times=[5, 6])
    assert (read.times.tolist(), decoder.keys, decoder.channels) == ([5], ["p7"], ("temp", "rpm"))
    assert dead == ["the message has no key"]
    assert list(read.columns) == ["key", "time", "temp", "rpm"]
    untimed = RecordOptions(columns=("temp",), time=("none",))
    assert read_of(untimed, b"20.5", times=[5])[1].times.tolist() == [NO_TIME]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "record.columns: name the cells"),
        ({"columns": ("a", "b", "a")}, "record.columns names 'a' twice"),
        ({"columns": ("ts", "temp"), "values": ("tmp",)}, "record.values: .* no 'tmp'; did you mean 'temp'"),
        ({"columns": ("ts",), "time": ("ts",)}, "none a value"),
        ({"columns": ("ts", "temp"), "key": ("xyz",)}, "there are 'ts', 'temp'"),
    ],
)
def test_columns_that_do_not_fit_are_refused_with_words(given, message):
    with pytest.raises(SettingsError, match=message):
        CsvDecoder(RecordOptions(**given))


ROWS = st.lists(st.sampled_from(CELLS), min_size=1, max_size=4)
TEXTS = st.builds(
    lambda rows, mark, end: end.join(mark.join(row) for row in rows),
    st.lists(ROWS, max_size=2),
    st.sampled_from([",", ";", "\t", " "]),
    st.sampled_from(["\n", "\r\n"]),
)
GOOD = st.builds(
    "{},{},{}".format, st.integers(1_700_000_000, 1_700_100_000), st.text("ab", max_size=2), st.floats()
)
VALUES = st.one_of(
    st.none(),
    st.binary(max_size=20),
    GOOD.map(str.encode),
    st.tuples(TEXTS, st.sampled_from(["utf-8", "utf-16"])).map(lambda t: t[0].encode(t[1], "surrogatepass")),
)


@given(
    st.sampled_from(OTHERS),
    st.lists(st.tuples(VALUES, st.sampled_from([None, b"", b"pump", b"\xff"])), max_size=12),
    st.sets(st.integers(1, 11)),
)
@example(PLAIN, [(b"1,a,1", None), (b'"', None), (b"2,b,x", None)], {1})
def test_any_messages_in_any_batches_are_records_or_dead_letters_as_one_by_one(options, pairs, cuts):
    n = len(pairs)
    messages = messages_of([value for value, _ in pairs], [key for _, key in pairs])
    cuts = sorted(cut for cut in cuts if cut < n)
    in_batches = decoded(CsvDecoder(options), messages, cuts)
    one_by_one = decoded(CsvDecoder(options), messages, list(range(1, n)))
    assert in_batches == one_by_one
    records, dead, _ = in_batches
    assert len(records) + len(dead) == n
