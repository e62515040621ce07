"""JSON messages as records: what the fast path over a whole batch must not change."""

import json

import msgspec
import numpy as np
import pytest

from streamrnn.connectors.json import JsonDecoder
from streamrnn.connectors.json_fields import JsonFields
from streamrnn.connectors.messages import Messages
from streamrnn.connectors.options import RecordOptions

GOOD = b'{"ts": 1700000000, "id": "pump", "temp": 20.5}'


def decoded(*values):
    decoder = JsonDecoder(RecordOptions(values=("temp",), time=("ts",), key=("id",)))
    n = len(values)
    zeros = np.zeros(n, np.int64)
    messages = Messages(list(values), [None] * n, zeros, np.zeros(n, np.int32), np.arange(n), ["plant-0"])
    return decoder, decoder.decode(messages)


@pytest.mark.parametrize(
    "bad",
    [
        b'{"ts": 1700000000, "id": "\xff", "temp": 20.5}',  # no UTF-8, and yet JSON but for that
        b"[1]",
        b"5",
        None,
        b'{"ts": 1700000000, "id": "", "temp": 20.5}',
        b'{"ts": 1700000000, "id": "' + b"x" * 1001 + b'", "temp": 20.5}',
        b'{"ts": 1700000000, "temp": 20.5}',
        b'{"ts": true, "id": "pump", "temp": 20.5}',
        b'{"ts": 99999999999999999999, "id": "pump", "temp": 20.5}',
        b'{"ts": -9223372036854775808, "id": "pump", "temp": 20.5}',
    ],
)
def test_a_message_that_is_no_record_is_a_dead_letter_and_costs_no_other(bad):
    decoder, found = decoded(GOOD, bad, GOOD)
    assert found.read.offsets.tolist() == [0, 2]
    assert [letter.offset for letter in found.dead] == [1]
    assert decoder.keys == ["pump"]


def test_series_are_numbered_in_the_order_in_which_they_come():
    names = ["b", "a", "b", "c"]
    decoder, found = decoded(*(GOOD.replace(b"pump", name.encode()) for name in names))
    assert decoder.keys == ["b", "a", "c"]
    assert found.read.series.tolist() == [0, 1, 0, 2]


def test_a_number_as_key_has_its_text_as_name():
    decoder, _ = decoded(GOOD, GOOD.replace(b'"pump"', b"7"))
    assert decoder.keys == ["pump", "7"]


def test_fields_that_nobody_asked_for_must_be_text_of_utf8_but_their_numbers_may_be_of_any_size():
    huge, broken = (GOOD.replace(b"}", b', "note": %b}' % note) for note in (b"1e999", b'"\xff"'))
    _, found = decoded(GOOD, huge, broken)
    assert found.read.offsets.tolist() == [0, 1]
    assert "no JSON" in found.dead[0].reason and found.dead[0].offset == 2


@pytest.mark.parametrize("name", ['a"b', "a\\b", "\x01", "", "Zähler", "x.y", '"."'])
def test_a_field_may_have_any_name_and_the_last_of_a_name_counts(name):
    decoder = JsonFields([name, f"{name}.in"])
    text = json.dumps(name)
    objects = decoder.decode_many([f'{{{text}: 1, {text}: {{"in": 2}}}}'.encode(), b"{}"])
    assert decoder.column(objects, name) == [{"in": 2}, None]
    inner = None if "." in name else 2  # a point goes into objects, but for a field of the whole name
    assert decoder.column(objects, f"{name}.in") == [inner, None]
    with pytest.raises(msgspec.ValidationError):
        decoder.decode(b"[1]")
