"""What a pipeline file may not ask of a daemon that shares its group."""

from __future__ import annotations

import pytest

from streamrnn.errors import SettingsError
from streamrnn.pipelines.cli import main
from streamrnn.pipelines.daemon import Daemon

FILE = """
[source]
kind = "kafka"
brokers = "127.0.0.1:1"
topics = "flow"
group = "flow"
client = "{client}"

[record]
format = "json"
values = "temp"

[checkpoint]
path = "state.db"
topic = "snapshots"
"""
FILE_SOURCE = '[source]\nkind = "file"\npath = "in.csv"\n[checkpoint]\ntopic = "snapshots"\n'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (FILE.format(client="kafka-python"), 'source.client = "confluent"'),
        (FILE_SOURCE, 'is for \\[source\\] kind = "kafka"'),
        ('[[sink]]\nkind = "file"\npath = "out.csv"\n', "a file stays behind"),
        ('[[sink]]\nkind = "file"\npath = "-"\n', "a file stays behind"),
        ('[dead_letter]\npath = "dead.jsonl"\n', "a file stays behind"),
        ('[fleet]\nbudget = "1GB"\n', "no fleet.budget"),
        ("[serve]\npage = true\n", "no serve.page yet"),
    ],
)
def test_what_could_not_go_with_a_partition_is_refused_at_the_start(tmp_path, monkeypatch, text, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.csv").write_text("ts,temp\n1,2\n2,3\n")
    whole = text if "[source]" in text else FILE.format(client="confluent") + text
    (tmp_path / "p.toml").write_text(whole)
    with pytest.raises(SettingsError, match=words):
        Daemon("p.toml").run()
    assert not (tmp_path / "state.db").exists()


def test_a_dry_run_is_refused_since_it_would_take_partitions(tmp_path):
    (tmp_path / "p.toml").write_text(FILE.format(client="confluent"))
    with pytest.raises(SettingsError, match="a dry run would take partitions"):
        Daemon(str(tmp_path / "p.toml"), dry=True).run()


def test_check_looks_beside_the_group_and_at_the_snapshot_topic(broker, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    text = FILE.format(client="confluent").replace("127.0.0.1:1", broker.address)
    text = text.replace('"flow"', f'"{broker.new_topic()}"')
    topic = broker.new_topic(3, compacted=True)
    (tmp_path / "p.toml").write_text(text.replace('"snapshots"', f'"{topic}"\nmode = "exactly-once"'))
    assert main(["check", "p.toml"]) == 0
    said = capsys.readouterr().out
    assert f"topic {topic}, 3 partitions" in said
    assert "exactly once: in one transaction with the offsets" in said
