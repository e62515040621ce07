"""The daemon where the machine lets it down: full disks, damaged state."""

from __future__ import annotations

import os
import random
import resource
import sqlite3
import subprocess
import threading
from contextlib import closing

import pytest
from daemons import Runner, write_table

PIPELINE = """
[source]
kind = "file"
path = "in.csv"
follow = false

[[sink]]
kind = "file"
path = "{out}/out.csv"
what = "{what}"

[dead_letter]
path = "{out}/dead.jsonl"

[checkpoint]
path = "{state}/state.db"
every = "200ms"
commit = "50ms"
"""
UNLIMITED = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)


@pytest.fixture
def pair(tmp_path):
    """A run that nothing disturbs, and one of the same table that is about to be."""

    def make(minutes=1500, broken=0.001, out=".", state=".", what="all"):
        write_table(tmp_path / "in.csv", minutes, broken=broken)
        runners = []
        for name in ("whole", "other"):
            folder = tmp_path / name
            folder.mkdir()
            (folder / "in.csv").symlink_to(tmp_path / "in.csv")
            places = {"out": out, "state": state} if name == "other" else {"out": ".", "state": "."}
            runners.append(Runner(folder, PIPELINE.format(**places, what=what)))
        return runners

    return make


def wait_for_words(process, *words):
    """Read the log until one of the words comes; the lines up to there."""
    seen = []
    guard = threading.Timer(15.0, process.kill)
    guard.start()
    for line in iter(process.stderr.readline, b""):
        seen.append(line.decode())
        if any(word in seen[-1] for word in words):
            guard.cancel()
            return "".join(seen)
    raise AssertionError("".join(seen))


def check_same(whole, other, folder="."):
    for name in ("out.csv", "dead.jsonl"):
        assert other.read(f"{folder}/{name}") == whole.read(name)


@pytest.mark.parametrize(
    ("limit", "broken", "what", "full"),
    [(1_000_000, 0.001, "all", "out.csv"), (400_000, 0.3, "every:100", "dead.jsonl")],
)
def test_a_file_that_may_not_grow_is_waited_for_and_costs_nothing(pair, limit, broken, what, full):
    whole, other = pair(broken=broken, what=what)
    whole.finish()
    process = other.start()
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    wait_for_words(process, f"reading waits for an output: no room to write {full}")
    assert process.poll() is None
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, UNLIMITED)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0 and "left in good order" in err.decode(), err.decode()
    assert "Traceback" not in err.decode()
    check_same(whole, other)


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=32m", "none", str(folder)]
    if os.geteuid() or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a disk of its own needs root; run as root to test it")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("on_disk", ["out", "state", "out state"])
def test_a_full_disk_is_waited_for_and_costs_nothing(pair, small_disk, on_disk):
    whole, other = pair(**{name: str(small_disk) for name in on_disk.split()})
    whole.finish()
    filler, room = small_disk / "filler", os.statvfs(small_disk)
    filler.write_bytes(bytes(room.f_bavail * room.f_frsize - 1_000_000))
    process = other.start()
    assert "no room" in wait_for_words(process, "reading waits", "nothing is ")
    assert process.poll() is None
    filler.unlink()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0 and "no longer so" in err.decode(), err.decode()
    check_same(whole, other, small_disk if "out" in on_disk else ".")


def damaged(runner, rng, files):
    """Change some bytes of what lies there as state, or cut it; where, and whether it should survive that.

    What has two whole snapshots survives a change; one that is half a second old has one.
    """
    with closing(sqlite3.connect(f"file:{runner.folder / 'state.db'}?mode=ro", uri=True)) as database:
        snapshots = database.execute("SELECT count(*) FROM snapshots").fetchone()[0]
    path = runner.folder / rng.choice([name for name in files if (runner.folder / name).exists()])
    data = bytearray(path.read_bytes())
    if not data:
        return "", True
    at = rng.randrange(len(data))
    if cut := rng.random() < 0.2:
        del data[at:]
    else:
        data[at : at + 16] = rng.randbytes(len(data[at : at + 16]))
    path.write_bytes(data)
    return f"{path.name} at {at} of {len(data)}", snapshots > 1 and not cut


def check_damage(pair, seed, times):
    """Kill, damage, start: the bytes of a run that nothing disturbed, or a refusal with words."""
    rng, (whole, other), refused = random.Random(seed), pair(), 0
    whole.finish()
    for _ in range(times):
        for name in ("out.csv", "dead.jsonl", *[p.name for p in other.folder.glob("state.db*")]):
            (other.folder / name).unlink(missing_ok=True)
        process = other.start()
        target = rng.randrange(1, 28_000)
        while process.poll() is None and other.lines("out.csv") < target:
            pass
        process.kill()
        process.communicate()
        where, survives = damaged(other, rng, ["state.db"] * 3 + ["state.db-wal"])
        process = other.start()
        _, err = process.communicate(timeout=60)
        said = f"seed {seed}, {where}: {err.decode()}"
        assert "Traceback" not in err.decode(), said
        if process.returncode == 0:
            assert other.read("out.csv") == whole.read("out.csv"), said
            assert other.read("dead.jsonl") == whole.read("dead.jsonl"), said
        else:
            assert process.returncode == 2 and b"state.db" in err and not survives, said
            refused += 1
    return refused


def test_a_state_damaged_between_runs_gives_the_same_bytes_or_is_refused(pair):
    assert check_damage(pair, seed=20261121, times=5) < 5


@pytest.mark.soak
def test_a_state_damaged_a_hundred_times_never_gives_another_score(pair):
    seed = random.SystemRandom().randrange(2**32)
    assert check_damage(pair, seed, times=100) < 100, f"seed {seed}"
