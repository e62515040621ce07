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


def rotate(path, counting_up):
    """Give the file another name: the next number, or 1 with all others moved on."""
    others = sorted(path.parent.glob("in.jsonl.*"), key=lambda file: int(file.suffix[1:]), reverse=True)
    if not counting_up:
        for file in others:
            file.rename(path.with_name(f"in.jsonl.{int(file.suffix[1:]) + 1}"))
    path.rename(path.with_name(f"in.jsonl.{len(others) + 1 if counting_up else 1}"))


@pytest.mark.parametrize("counting_up", [True, False])
@pytest.mark.parametrize("running", [True, False])
def test_several_rotations_between_two_looks_lose_nothing(follow, path, counting_up, running):
    for turn in range(12):  # those that are read before any is left out
        append(path, lines(3 * turn, 3 * turn + 3))
        found = values(follow, 3)
        assert found == list(range(3 * turn, 3 * turn + 3))
        rotate(path, counting_up)
    append(path, lines(36, 39))
    assert values(follow, 2) == [36, 37, 38]
    append(path, lines(39, 40))
    for turn in range(13, 17):
        rotate(path, counting_up)
        append(path, lines(4 * turn, 4 * turn + 4) if turn != 15 else lines(60, 61))
    path.with_name("in.jsonl.scored").write_text(lines(500, 510))
    path.with_name("in.jsonl.99.gz").write_bytes(b"")
    if not running:
        follow.seek(follow.snapshot())
    expected = [39, *range(52, 61), *range(64, 68)]
    assert values(follow, len(expected)) == expected
    assert values(follow, 1) == []


def test_a_file_that_is_written_anew_with_the_same_head_and_fewer_rows_is_another_one(follow, path, caplog):
    append(path, lines(0, 9))
    assert values(follow, 9) == list(range(9))
    path.write_text(lines(0, 4))
    assert values(follow, 4) == list(range(4))
    positions = follow.snapshot()
    first, second = positions
    assert (second, positions[second]) == (f"{first}.2", 4)
    follow.seek(positions)  # a restart
    append(path, lines(4, 6))
    assert values(follow, 2) == [4, 5]
    follow.seek(positions)
    path.write_text(lines(0, 2))  # again while nothing runs
    assert values(follow, 2) == [0, 1]
    assert list(follow.snapshot()) == [first, second, f"{first}.3"]
    assert f"{second}: it was cut off or written anew, and is read as another file" in caplog.text


def test_files_whose_first_lines_are_the_same_are_told_apart(follow, path):
    names = []
    for turn in range(4):
        append(path, lines(0, 2) + lines(10 * turn, 10 * turn + 5))
        found = values(follow, 7)
        assert found == [0, 1, *range(10 * turn, 10 * turn + 5)]
        names.append(next(reversed(follow.snapshot())))
        rotate(path, counting_up=False)
    assert names == [names[0], *(f"{names[0]}.{n}" for n in (2, 3, 4))]


def test_positions_of_files_long_finished_are_forgotten(follow, path):
    for turn in range(50):
        append(path, lines(3 * turn, 3 * turn + 3))
        assert len(values(follow, 3)) == 3
        path.unlink()
    positions = follow.snapshot()
    assert len(positions) == 16 and set(positions.values()) == {3}
    append(path, lines(200, 203))
    follow.seek(positions)
    assert values(follow, 3) == [200, 201, 202]


def test_300_rotations_in_a_row_lose_nothing(follow, path, tmp_path):
    found = []
    for turn in range(300):
        append(path, lines(3 * turn, 3 * turn + 3))
        found += values(follow, 3)
        path.rename(tmp_path / f"in.jsonl.{turn}")
    assert found == list(range(900))
