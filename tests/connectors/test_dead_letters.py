"""Dead letters in a file; those in a topic are tested with the broker."""

import json

import pytest

from streamrnn.connectors.dead_letters import FileDeadLetters
from streamrnn.connectors.messages import DeadLetter
from streamrnn.errors import SettingsError

HOSTILE = DeadLetter("flow-0", 7, "not\nJSON \x1b[2J", b"\xff\x00", "ключ\u202e".encode())


def lines(path):
    return [json.loads(line) for line in path.read_text("ascii").splitlines()]


def test_every_dead_letter_is_a_line_that_gives_its_bytes_back(tmp_path):
    letters = FileDeadLetters(tmp_path / "dead.jsonl")
    letters.write([HOSTILE, DeadLetter("flow-1", 8, "empty", b"", None)])
    letters.flush(1.0)
    first, second = lines(tmp_path / "dead.jsonl")
    place = {"schema": 1, "partition": "flow-0", "offset": 7, "error": "not\nJSON \x1b[2J"}
    assert first == {**place, "value_base64": "/wA=", "key": "ключ\u202e"}
    assert second["value"] == "" and second["key"] is None
    letters.close()
    letters.close()


@pytest.mark.parametrize("rest", ["", '{"schema": 1, "par', "x" * 200_000])
def test_a_line_that_a_crash_cut_short_is_cut_off(tmp_path, rest):
    path = tmp_path / "dead.jsonl"
    first = FileDeadLetters(path)
    first.write([HOSTILE])
    first.close()
    whole = path.read_bytes()
    path.write_bytes(whole + rest.encode())
    second = FileDeadLetters(path)
    second.write([HOSTILE])
    second.close()
    assert path.read_bytes() == whole * 2


def test_a_file_that_cannot_be_written_is_said(tmp_path):
    with pytest.raises(SettingsError, match="cannot write"):
        FileDeadLetters(tmp_path / "no" / "dead.jsonl")
