"""JSON messages: whatever they hold and however they are cut, each is a record or a dead letter."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import numpy as np
import pytest
from decoding import decoded, part_of

from streamrnn.connectors.json import JsonDecoder
from streamrnn.connectors.messages import Messages
from streamrnn.connectors.options import RecordOptions
from streamrnn.kernels.plan import NO_TIME

OPTIONS = [
    RecordOptions(values=("v", "d.x"), time=("t",), key=("k",)),
    RecordOptions(values=("v",), time=("t",), key=("k", "@message"), tz="Europe/Rome"),
    RecordOptions(values=("v",), time=("t",), key=("k",), time_format="ms", missing=("-999", "off")),
    RecordOptions(values=("v",), time=("d.t",), time_format="%d/%m/%Y %H:%M", tz="Europe/Rome"),
    RecordOptions(values=("v",), time=("@message",), key=("@message",)),
    RecordOptions(values=("v",), time=("t",), time_format="excel"),
]
NUMBERS = ["0", "-0", "1", "-3.5", "20.25", "1e5", "1e-320", "1e308", "1e999", "-999", "9" * 19, "9" * 400]
NUMBERS += ["true", "null", "NaN", "Infinity", "-Infinity", "+1", "01", "1.", "9" * 4000, "9" * 5000, "0x10"]
TEXTS = ["", " ", "20.5", " 7 ", "1_000", "1,000", "5%", "nan", "NaN", "inf", "off", "n/a", "-999", "null"]
TEXTS += ["=cmd()", "\x1b[31m", "\x00", "\ud800", "\U0001f600", "\u0661", "a\nb", "x" * 5000, "1.2.3", "."]
OTHERS = ["{}", "[]", "[1]", "[1,2]", '{"x":1}', "[[]]", '{"v":{"v":{}}}']
SECOND = 1_700_000_000
TIMES = [str(SECOND), str(SECOND * 1000), str(SECOND * 10**6), str(SECOND * 10**9), f"{SECOND}.25", "1.7e9"]
TIMES += ['"2023-11-14T22:13:20"', '"2023-11-14T22:13:20+05:30"', '"2023-11-14"', '"14/11/2023 10:00"']
TIMES += ['"2023-10-29T02:30:00"', '"29/10/2023 02:30"', '"2023-03-26T02:30:00"', '"26/03/2023 02:30"']
TIMES += ['"never"', '"45000.5"', "45000.5", f'"{SECOND}"', '"13/13/2023 01:00"', '"1..7"', '"24:00"', "-5"]
BYTES = [b"", b" ", b"{", b"}", b"null", b"[1]", b'"text"', b"\xff\xfe", b'{"v":"\xff"}', b'{"\xff":1}']
BYTES += [
    b"\x00",
    b"[" * 100_000,
    b'{"v":' * 3000 + b"1" + b"}" * 3000,
    b"\xef\xbb\xbf{}",
    b"{}",
    b'{"v":1}{}',
]


def some_json(rng):
    """The text of any field."""
    kind = rng.random()
    if kind < 0.5:
        return rng.choice(NUMBERS[:5]) if kind < 0.35 else rng.choice(NUMBERS)
    return json.dumps(rng.choice(TEXTS)) if kind < 0.9 else rng.choice(OTHERS)


def some_message(rng, clean):
    """A message; with ``clean`` most of them are records."""
    if rng.random() < 0.05 * (1 - clean):
        return rng.choice([None, *BYTES])
    plain = rng.random() < clean
    second = SECOND + rng.randrange(10**6)
    time = str(second) if plain else rng.choice(TIMES) if rng.random() < 0.8 else some_json(rng)
    value = f"{rng.gauss(20, 3):.3f}" if plain else some_json(rng)
    key = f'"dev{rng.randrange(5)}"' if plain or rng.random() < 0.6 else some_json(rng)
    fields = [f'"t":{time}', f'"v":{value}', f'"k":{key}', f'"d":{{"x":{some_json(rng)},"t":{time}}}']
    if not plain:
        rng.shuffle(fields)
        fields = [field for field in fields for _ in range(rng.choice([0, 1, 1, 1, 1, 1, 2]))]
    data = ("{" + ",".join(fields) + "}").encode()
    if not plain and rng.random() < 0.05:
        data = data[: rng.randrange(len(data))]
    if not plain and rng.random() < 0.05:
        at = rng.randrange(len(data) + 1)
        data = data[:at] + rng.randbytes(2) + data[at + 1 :]
    return data


def some_messages(rng, n, clean):
    keys = [rng.choice([None, b"", b"pump", b"\xff", b"a\x00b", b"pump-2"]) for _ in range(n)]
    return Messages(
        values=[some_message(rng, clean) for _ in range(n)],
        keys=keys,
        times=np.array([rng.choice([NO_TIME, -5, SECOND * 10**9]) for _ in range(n)], np.int64),
        partitions=np.array([rng.randrange(2) for _ in range(n)], np.int32),
        offsets=np.arange(n, dtype=np.int64),
        partition_names=["flow-0", "flow-1"],
    )


def check(seed, n):
    """Some messages in batches are what they are one by one."""
    rng = random.Random(seed)
    options, clean = rng.choice(OPTIONS), rng.choice([0.0, 0.5, 0.95, 0.999])
    messages = some_messages(rng, n, clean)
    one_by_one = decoded(JsonDecoder(options), messages, list(range(1, n)))
    cuts = sorted(rng.sample(range(1, n), rng.randrange(min(n - 1, 8))))
    in_batches = decoded(JsonDecoder(options), messages, cuts)
    for ours, twin in zip(in_batches, one_by_one, strict=True):
        assert ours == twin, f"seed {seed}"


@pytest.mark.parametrize("seed", range(150))
def test_any_messages_in_any_batches_are_what_they_are_one_by_one(seed):
    check(seed, 40)


@pytest.mark.parametrize("first", [str(SECOND), f"{SECOND}.5", '"2023-11-14T22:13:20"'])
def test_another_decoder_goes_on_reading_times_alike(first):
    options, one = OPTIONS[0], np.zeros(1, np.int64)

    def message(time):
        return Messages([f'{{"t":{time}}}'.encode()], [None], one, one.astype(np.int32), one, ["flow-0"])

    options = replace(options, key=None)
    decoder = JsonDecoder(options)
    assert decoder.pinned() == {}
    assert len(decoder.decode(message(first)).read) == 1
    resumed = JsonDecoder(options, decoder.pinned())
    assert resumed.pinned() == decoder.pinned()
    for time in (SECOND * 1000, SECOND, '"2023-11-14"', '"14.11.2023"'):
        a, b = decoder.decode(message(time)), resumed.decode(message(time))
        assert (a.read.times.tolist(), a.dead) == (b.read.times.tolist(), b.dead)


@pytest.mark.parametrize("time_format", [None, "%d/%m/%Y %H:%M"])
def test_another_decoder_goes_on_within_the_hour_that_comes_twice(time_format):
    options = RecordOptions(values=("v",), time=("t",), key=("k",), time_format=time_format, tz="Europe/Rome")
    clocks = ["01:30", "02:10", "02:40", "02:10", "02:40", "03:10"]  # back from 3:00 to 2:00 in this night
    date = "29/10/2023"
    values = [f'{{"t":"{date} {clock}","k":"{key}","v":1}}'.encode() for clock in clocks for key in "ab"]
    n = len(values)
    messages = Messages(
        values, [None] * n, np.zeros(n, np.int64), np.zeros(n, np.int32), np.arange(n), ["flow-0"]
    )
    whole = JsonDecoder(options).decode(messages).read
    assert np.diff(whole.times[::2]).min() > 0
    for cut in range(1, n):
        before = JsonDecoder(options)
        before.decode(part_of(messages, 0, cut))
        after = JsonDecoder(options, json.loads(json.dumps(before.pinned())))
        assert after.pinned() == before.pinned()
        times = after.decode(part_of(messages, cut, n)).read.times
        assert times.tolist() == whole.times[cut:].tolist()


@pytest.mark.parametrize("others", [[b'{"v":2}'], ['{"v":2,"note":"é"}'.encode()]])
def test_an_empty_message_among_any_others_is_a_dead_letter(others):
    n, values = len(others) + 1, [*others, None]
    zeros = np.zeros(n, np.int64)
    messages = Messages(values, [None] * n, zeros, zeros.astype(np.int32), np.arange(n), ["flow-0"])
    found = JsonDecoder(RecordOptions(values=("v",))).decode(messages)
    assert len(found.read) == n - 1
    assert [letter.reason for letter in found.dead] == ["the message is empty"]


@pytest.mark.soak
def test_a_million_fuzzed_messages_are_records_or_dead_letters():
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")  # noqa: T201 (to run it again)
    for turn in range(5000):
        check(seed + turn, 200)
