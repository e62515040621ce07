"""``--budget``, ``--ttl`` and ``--threads`` of a replay, and ``[fleet]`` of a settings file."""

from __future__ import annotations

import json

import pytest
from daemons import write_table

from streamrnn import Fleet, Settings
from streamrnn.pipelines.cli import main

SERIES_BYTES = Fleet.bytes_per_series(Settings())


@pytest.fixture
def replay(tmp_path, capsys):
    """Replay a table of twenty series: (scored rows, the summary's figures of the fleet, exit code)."""
    table = tmp_path / "in.csv"
    write_table(table, 60, broken=0.0)

    def run(*options):
        code = main(["replay", str(table), "-o", str(tmp_path / "out.csv"), "--json", *options])
        said = capsys.readouterr()
        rows = (tmp_path / "out.csv").read_bytes() if code == 0 else b""
        return rows, json.loads(said.out)["fleet"] if code == 0 else said.err, code

    return run


def test_neither_budget_nor_threads_change_a_byte_of_a_replay_and_the_summary_says_where_series_are(replay):
    rows, fleet, _ = replay()
    assert (fleet["known"], fleet["in_memory"], fleet["in_store"], fleet["warning"]) == (20, 20, 0, None)
    assert fleet["state_bytes"] == 20 * SERIES_BYTES
    for options in (["--budget", "1MB"], ["--threads", "2"], ["--budget", "0.2MB", "--threads", "3"]):
        again, fleet, _ = replay(*options)
        assert again == rows
        assert fleet["known"] == 20 and fleet["forgotten"] == 0
        assert (fleet["in_store"] > 0) == ("--budget" in options) == (fleet["warning"] is not None)
    assert fleet["in_memory"] == 1 and "'dev19': does the key name a series?" in fleet["warning"]


def test_a_state_saved_under_a_budget_is_whole_and_goes_on_under_none(replay, tmp_path):
    states = [str(tmp_path / name) for name in ("plain.bin", "tight.bin")]
    replay("--save-state", states[0])
    replay("--save-state", states[1], "--budget", "1MB")
    rows = [replay("--load-state", state)[0] for state in states]
    assert rows[0] == rows[1] and rows[0]


def test_a_settings_file_says_the_same_and_options_win_over_it(replay, tmp_path):
    (tmp_path / "s.toml").write_text('[fleet]\nbudget = "1MB"\nttl = "30d"\n')
    rows, fleet, _ = replay("--settings", str(tmp_path / "s.toml"))
    assert fleet["in_memory"] == 1_000_000 // SERIES_BYTES
    again, fleet, _ = replay("--settings", str(tmp_path / "s.toml"), "--budget", "2MB")
    assert fleet["in_memory"] == 2_000_000 // SERIES_BYTES and again == rows


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--budget", "100kB"], f"one series needs {SERIES_BYTES:,}; give more"),
        (["--budget", "2"], "fleet.budget"),
        (["--ttl", "soon"], "fleet.ttl"),
        (["--threads", "0"], "fleet.threads"),
    ],
)
def test_what_makes_no_sense_is_refused_with_words(replay, options, words):
    _, said, code = replay(*options)
    assert code == 2 and words in said
