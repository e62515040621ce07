"""Lines and rows against a twin that knows the whole text at once."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from streamrnn.connectors.tables import rows as module
from streamrnn.connectors.tables.rows import GivenLines, Lines, rows_of

quiet = settings(max_examples=300)
texts = st.text(
    st.sampled_from('ab1,; "\n\r\t\x0cé\ud83d\ude00'.encode("utf-16", "surrogatepass").decode("utf-16")),
    max_size=80,
)


class Dripping(io.BytesIO):
    """Hands over a few bytes at a time, as a pipe may."""

    def __init__(self, data, size):
        super().__init__(data)
        self._size = size

    def read(self, size=-1):
        return super().read(self._size)


def naive_lines(text):
    lines = text.replace("\r\n", "\n").split("\n")
    return lines[:-1] if not lines[-1] else lines


def taken(lines, count):
    return [line for part in iter(lambda: lines.take(count), []) for line in part]


@given(
    text=texts, size=st.integers(1, 7), count=st.integers(1, 5), encoding=st.sampled_from(["utf-8", "utf-16"])
)
@example(text="a\r\nb\r", size=1, count=1, encoding="utf-8")
@quiet
def test_lines_do_not_depend_on_how_bytes_arrive(text, size, count, encoding):
    assert taken(Lines(Dripping(text.encode(encoding), size), encoding), count) == naive_lines(text)


@given(text=texts, size=st.integers(1, 7))
@quiet
def test_carriage_returns_alone_end_lines_where_they_are_said_to(text, size):
    text = text.replace("\n", "")
    lines = text.split("\r")
    stream = Dripping(text.encode(), size)
    assert taken(Lines(stream, "utf-8", "\r"), 3) == (lines[:-1] if not lines[-1] else lines)


@given(data=st.binary(max_size=60), size=st.integers(1, 7))
@quiet
def test_bytes_that_are_no_text_come_through(data, size):
    lines = taken(Lines(Dripping(data, size), "utf-8"), 3)
    assert "\n".join(lines).encode("utf-8", "surrogateescape") == data.replace(b"\r\n", b"\n").removesuffix(
        b"\n"
    ) or not data.strip(b"\n")


@given(text=texts, cut=st.integers(0, 5), count=st.integers(1, 4))
@quiet
def test_lines_that_are_put_back_are_taken_again(text, cut, count):
    lines = Lines(Dripping(text.encode(), 3), "utf-8")
    first = lines.take(count)
    lines.put_back(first[cut:])
    assert lines.number == 1 + len(first[:cut])
    assert first[:cut] + taken(lines, count) == naive_lines(text)


def naive_rows(text, delimiter, most):
    """(line, cells), or (line, None) of a row that is none; every row by itself, from the whole text."""
    lines, rows, i = naive_lines(text), [], 0
    while i < len(lines):
        if not lines[i].strip(None if delimiter == " " else f"{delimiter} \t"):
            i += 1
            continue
        cells, used = None, 1
        if '"' not in lines[i]:
            cells = lines[i].split() if delimiter == " " else lines[i].split(delimiter)
        else:
            spaced = delimiter == " " or f'{delimiter} "' in lines[i]
            for count in range(1, min(most, len(lines) - i - 1) + 2):
                part = [f"{line}\n" for line in lines[i : i + count]]
                reader = csv.reader(part, delimiter=delimiter, strict=True, skipinitialspace=spaced)
                try:
                    cells, used = next(reader), count
                except csv.Error as error:
                    if "unexpected end" in str(error):
                        continue
                break
            if cells and len(cells) > 1 and delimiter == " " and not cells[-1]:
                cells = cells[:-1]
        rows.append((i + 1, cells))
        i += used if cells is not None else 1
    return rows


def all_rows(lines, delimiter, count):
    found = []
    while (rows := rows_of(lines, delimiter, count)) is not None:
        assert len(rows.cells) + len(rows.bad) <= count
        found += zip(rows.lines, rows.cells, strict=True)
        found += [(bad.line, None) for bad in rows.bad]
    return sorted(found, key=lambda row: row[0])


@given(
    text=texts,
    delimiter=st.sampled_from([",", ";", "\t", " "]),
    count=st.integers(1, 9),
    size=st.integers(1, 50),
)
@example(text='a,"b\n\nc"\nd\n"', delimiter=",", count=1, size=3)
@quiet
def test_rows_and_their_lines_are_those_of_the_whole_text(text, delimiter, count, size):
    expected = naive_rows(text, delimiter, 100)
    assert all_rows(Lines(Dripping(text.encode(), size), "utf-8"), delimiter, count) == expected
    assert all_rows(GivenLines(naive_lines(text)), delimiter, count) == expected


@given(text=texts, count=st.integers(1, 9))
@quiet
def test_an_open_quote_takes_only_so_many_lines(text, count):
    monkeypatch = pytest.MonkeyPatch()
    with monkeypatch.context() as patch:
        patch.setattr(module, "_MOST_LINES", 2)
        assert all_rows(Lines(Dripping(text.encode(), 9), "utf-8"), ",", count) == naive_rows(text, ",", 2)


@given(
    lengths=st.lists(st.integers(0, 30), min_size=1, max_size=8),
    size=st.integers(1, 40),
    count=st.integers(1, 4),
    quote=st.booleans(),
)
@quiet
def test_a_line_that_is_too_long_is_bad_and_no_other_and_none_is_miscounted(lengths, size, count, quote):
    text = "".join(("x" * n + ('"' * 2 if quote and n else "")) + "\n" for n in lengths)
    with pytest.MonkeyPatch().context() as patch:
        patch.setattr(module, "_LONGEST_LINE", 10)
        lines = Lines(Dripping(text.encode(), size), "utf-8")
        rows = all_rows(lines, ",", count)
    wide = 2 * quote
    expected = [(i, n + wide > 10) for i, n in enumerate(lengths, 1) if n]
    if not quote:
        assert [(line, cells is None) for line, cells in rows] == expected
    assert [line for line, _ in rows] == [line for line, _ in expected]
    assert all(cells is None for (_, cells), (_, long) in zip(rows, expected, strict=True) if long)


def test_rows_with_quotes_that_never_close_cost_no_more_than_their_lines():
    text = 'a,"b""\n' * 20_000  # each opens a quote and closes none
    rows = rows_of(GivenLines(text.splitlines()), ",", 20_000)
    assert len(rows.bad) == 20_000
