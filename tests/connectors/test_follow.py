"""Files followed through whatever becomes of them."""

from __future__ import annotations

import json
import shutil

import pytest

from streamrnn.connectors.follow import FollowSource
from streamrnn.connectors.json import JsonDecoder
from streamrnn.connectors.lines import LineSource
from streamrnn.connectors.options import RecordOptions


@pytest.fixture
def path(tmp_path):
    return tmp_path / "in.jsonl"


@pytest.fixture
def follow(path):
    decoder = JsonDecoder(RecordOptions(values=("v",)))
    source = FollowSource(str(path), ("v",), lambda opened: LineSource(str(path), decoder, opened))
    yield source
    source.close()


def lines(start, end):
    return "".join(json.dumps({"v": n, "pad": "x" * 20}) + "\n" for n in range(start, end))


def values(source, count):
    """What comes until there are so many, or nothing for a while."""
    found, quiet = [], 0
    while len(found) < count and quiet < 5:
        read = source.poll(0.001)
        quiet = 0 if len(read) else quiet + 1
        found += read.values[:, 0].tolist()
    return found


def append(path, text):
    with path.open("a") as file:
        file.write(text)


def test_a_file_that_is_written_anew_in_place_is_read_from_its_beginning(follow, path):
    append(path, lines(0, 5))
    assert values(follow, 5) == list(range(5))
    path.write_text(lines(100, 300))  # longer than what was read of the old one
    assert values(follow, 200) == list(range(100, 300))


def test_what_was_not_read_before_a_cut_comes_from_the_copy(follow, path, tmp_path):
    append(path, lines(0, 5))
    assert values(follow, 5) == list(range(5))
    append(path, lines(5, 9))
    shutil.copyfile(path, tmp_path / "in.jsonl.1")
    path.write_text(lines(9, 20))
    assert values(follow, 15) == list(range(5, 20))


def test_a_partial_last_line_is_read_when_the_file_is_replaced(follow, path, tmp_path):
    append(path, lines(0, 5) + lines(5, 6).rstrip())
    assert values(follow, 6) == list(range(5))
    path.rename(tmp_path / "in.jsonl.1")
    append(path, "")
    append(path, lines(6, 9))
    assert values(follow, 4) == list(range(5, 9))


def test_a_file_that_is_deleted_and_made_again_goes_on(follow, path):
    append(path, lines(0, 5))
    assert values(follow, 5) == list(range(5))
    path.unlink()
    assert values(follow, 1) == []
    append(path, lines(5, 9))
    assert values(follow, 4) == list(range(5, 9))


def test_300_rotations_in_a_row_lose_nothing(follow, path, tmp_path):
    found = []
    for turn in range(300):
        append(path, lines(3 * turn, 3 * turn + 3))
        found += values(follow, 3)
        path.rename(tmp_path / f"in.jsonl.{turn}")
    assert found == list(range(900))
