"""Whatever bytes a file holds: records, rejects with a reason, or one clear error; never a traceback."""

from __future__ import annotations

import os
import random
import time
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from streamrnn.connectors.file import FileSource
from streamrnn.connectors.options import RecordOptions
from streamrnn.connectors.rejects import Rejects
from streamrnn.errors import DataError, SettingsError

# How long the soak run reads; ten minutes are some hundred thousand tables.
SOAK_S = float(os.environ.get("STREAMRNN_FUZZ_S", "600"))
PIECES = [
    *(
        ",",
        ";",
        "\t",
        "|",
        " ",
        "\n",
        "\r\n",
        "\r",
        '"',
        "'",
        "\0",
        "\ufeff",
        "#",
        "sep=;\n",
        "\x85",
        "\u2028",
    ),
    *("time", "v", "label", "key", "index", "2024-01-01", "2024-01-01T10:00:00+01:00", "01/02/2024", "10:00"),
    *(
        "1700000000",
        "0",
        "-1",
        "1.5",
        "1,5",
        "1e308",
        "-inf",
        "nan",
        "1_000",
        "20 °C",
        "12%",
        "1.234,5",
        "é",
        "日",
    ),
    *(
        "",
        "NULL",
        "true",
        "normal",
        "=cmd()",
        "</script>",
        "\x1b[31m",
        "[red]",
        "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"),
    ),
]
ENCODINGS = ["utf-8", "utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le", "utf-32", "shift_jis", "utf-7"]
OPTIONS = [
    {},
    {},
    {"time": ("none",)},
    {"sort": True},
    {"delimiter": ","},
    {"delimiter": " "},
    {"decimal": ","},
    {"encoding": "utf-8"},
    {"encoding": "utf-16"},
    {"encoding": "shift_jis"},
    {"encoding": "utf-7"},
    {"missing": ("1.5", "x")},
    {"key": ("none",)},
    {"tz": "Europe/Berlin"},
    {"time_format": "%d/%m/%Y %H:%M"},
    {"time_format": "s"},
    {"values": ("v0",)},
    {"label": ("label",)},
    {"key": ("k",)},
]


def stamps(chance, n):
    """Times in one of the ways in which people write them, mostly in order."""
    kind = chance.randrange(8)
    step = chance.choice([1, 60, 3600, 86_400])
    first = chance.randrange(0, 2_000_000_000)
    seconds = [first + step * i for i in range(n)]
    if chance.random() < 0.2:
        seconds.reverse()
    if kind < 3:
        return [str(s * 10 ** (3 * kind)) for s in seconds]
    form = ["%Y-%m-%d %H:%M:%S", "%d.%m.%Y %H:%M", "%m/%d/%Y %I:%M %p", "%d-%b-%y", "%Y%m%dT%H%M%SZ"][
        kind - 3
    ]
    return [time.strftime(form, time.gmtime(s)) for s in seconds]


def column(chance, n, decimal):
    kind = chance.randrange(7)
    if kind == 0:
        return [str(i) for i in range(n)]
    if kind == 1:
        return [chance.choice(["a", "b", "normal", "", '"x, y"', "on"]) for _ in range(n)]
    if kind == 2:
        return ["5"] * n
    if kind == 3:
        return [chance.choice(["0", "1"]) for _ in range(n)]
    cells = [f"{chance.gauss(20, 5):.{chance.randrange(4)}f}" for _ in range(n)]
    return [cell.replace(".", decimal) for cell in cells]


def near_table(chance):
    """A table as programs write them, then damaged as programs and people damage them."""
    n = chance.choice([1, 2, 3, 10, 40])
    delimiter = chance.choice([",", ",", ";", "\t", "|", " "])
    decimal = chance.choice([".", ".", ","])
    names = [f"v{i}" for i in range(chance.randrange(1, 4))]
    columns = [column(chance, n, decimal) for _ in names]
    for name, made in (
        ("time", stamps(chance, n)),
        ("label", column(chance, n, decimal)),
        ("k", column(chance, n, ".")),
    ):
        if chance.random() < 0.6:
            place = chance.randrange(len(names) + 1)
            names.insert(place, name)
            columns.insert(place, made)
    rows = [list(row) for row in zip(*columns, strict=True)]
    if chance.random() < 0.8:
        rows.insert(0, names)
    for _ in range(chance.choice([0, 0, 1, 3])):
        row = chance.choice(rows)
        if row:
            row[chance.randrange(len(row))] = chance.choice(PIECES)
        if chance.random() < 0.3:
            rows.insert(
                chance.randrange(len(rows) + 1), chance.choice([[], row[:-1], [*row, "x"], list(names)])
            )
    ending = chance.choice(["\n", "\n", "\r\n", "\r"])
    text = ending.join(delimiter.join(row) for row in rows) + chance.choice(["", ending, ending * 3])
    data = text.encode(chance.choice(ENCODINGS), "ignore")
    return damaged(chance, data)


def damaged(chance, data):
    for _ in range(chance.choice([0, 0, 1, 2, 5])):
        place = chance.randrange(len(data) + 1)
        what = chance.randrange(4)
        if what == 0:
            data = data[:place] + bytes([chance.randrange(256)]) + data[place:]
        elif what == 1:
            data = data[:place] + chance.choice(PIECES).encode("utf-8", "replace") + data[place:]
        elif what == 2:
            data = data[:place] + data[place + chance.randrange(1, 20) :]
        else:
            data = data[:place] + data[: chance.randrange(200)] + data[place:]
    return data


near_tables = st.integers(0, 2**64 - 1).map(lambda seed: near_table(random.Random(seed)))
pieces = st.lists(st.sampled_from(PIECES), max_size=60).map(lambda parts: "".join(parts).encode())
some_options = st.sampled_from(OPTIONS).map(lambda options: RecordOptions(**options))


def outcome(path, options, batch_rows):
    """All that reading a file comes to, as one value that can be compared."""
    rejects = Rejects()
    told = []
    rejects.add = lambda reject, add=rejects.add: (told.append(reject), add(reject))
    batches, source = [], None
    try:
        source = FileSource(path, options, rejects, batch_rows=batch_rows)
        while (batch := source.poll(0.0)) is not None:
            assert 0 < len(batch) <= batch_rows
            batches.append(batch)
    except (DataError, SettingsError) as error:
        if source is None:
            return str(error)
        told.append(str(error))
    source.close()
    offsets = [offset for batch in batches for offset in batch.offsets.tolist()]
    assert len(offsets) + rejects.rows == source.snapshot()[source.name]
    assert all(a < b for a, b in pairwise(offsets))
    values = np.concatenate([batch.values for batch in batches]) if batches else np.empty((0, 1))
    assert values.dtype == np.float64 and values.flags.c_contiguous
    times = [t for batch in batches for t in batch.times.tolist()]
    keys = [source.keys[code] for batch in batches for code in batch.series.tolist()]
    assert sorted(set(keys)) == sorted(source.keys) or not batches
    labels = [x for batch in batches if batch.labels is not None for x in batch.labels.tolist()]
    rows = [row for batch in batches for row in zip(*batch.columns.values(), strict=True)]
    return offsets, times, values.tobytes(), keys, labels, rows, sorted(map(str, told)), source.schema


def check(path, data, options):
    path.write_bytes(data)
    whole = outcome(path, options, 16_384)
    assert repr(outcome(path, options, 3)) == repr(whole)
    return whole


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz") / "table.csv"


quiet = settings(max_examples=400)


@given(data=near_tables, options=some_options)
@quiet
def test_a_damaged_table_is_read_the_same_in_any_batches_or_refused_with_a_message(path, data, options):
    check(path, data, options)


@given(data=st.one_of(st.binary(max_size=300), pieces), options=some_options)
@example(b"\r\n\r", RecordOptions())
@example(b'"', RecordOptions())
@example(b"1,2\n3,4\n", RecordOptions(decimal=","))
@example(
    b"time,v\n\r1917385018,1\n1917385019,2\nx,1\n 1_000,2\n1917385020,4\n", RecordOptions(time_format="s")
)
@quiet
def test_any_bytes_are_read_the_same_in_any_batches_or_refused_with_a_message(path, data, options):
    check(path, data, options)


@pytest.mark.soak
def test_tables_of_ten_minutes_are_read_or_refused(path):
    """Prints how many cases there were, and how many of them were read; run with -s."""
    end, seed, read = time.monotonic() + SOAK_S, 0, 0
    while time.monotonic() < end:
        seed += 1
        chance = random.Random(seed)
        options = RecordOptions(**chance.choice(OPTIONS))
        try:
            read += not isinstance(check(path, near_table(chance), options), str)
        except Exception as error:
            raise AssertionError(f"seed {seed}, {options}, {path.read_bytes()!r}") from error
    print(f"{seed} tables, {read} read, the others refused")  # noqa: T201
    assert read > 0.2 * seed
