"""What decoders make of messages, however these are cut into batches."""

from __future__ import annotations

import numpy as np

from streamrnn.connectors.messages import Messages


def part_of(messages, start, end):
    """Some of the messages."""
    at = slice(start, end)
    return Messages(
        messages.values[at],
        messages.keys[at],
        messages.times[at],
        messages.partitions[at],
        messages.offsets[at],
        messages.partition_names,
    )


def decoded(decoder, messages, cuts):
    """All that a decoder makes of messages in batches: records by offset, dead letters by offset, keys."""
    records, dead = {}, {}
    for start, end in zip([0, *cuts], [*cuts, len(messages)], strict=True):
        found = decoder.decode(part_of(messages, start, end))
        read, names = found.read, decoder.keys
        for i, offset in enumerate(read.offsets.tolist()):
            columns = {name: repr(np.asarray(cells[i]).tolist()) for name, cells in read.columns.items()}
            name = names[read.series[i]]
            record = (name, int(read.times[i]), read.values[i].tobytes(), int(read.partitions[i]), columns)
            assert offset not in records
            records[offset] = record
        for letter in found.dead:
            assert letter.offset not in dead and letter.value == messages.values[letter.offset]
            dead[letter.offset] = letter
        assert sorted([*records, *dead]) == list(range(end))
        assert read.offsets.tolist() == sorted(read.offsets.tolist())
    return records, dead, list(decoder.keys)
