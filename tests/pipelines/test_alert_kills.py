"""The sender is killed at any moment, and the receiver fails: no alert is lost, none gets a second id."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from kills import a_seed, soak_kills

from streamrnn.pipelines.store import IncidentRow, Store

SENDER = Path(__file__).resolve().parents[1] / "alert_sender.py"


class Receiver(ThreadingHTTPServer):
    """Answers 500 to 30 % of messages; takes 10 % and drops the line instead of an answer."""

    daemon_threads = True

    def __init__(self, seed):
        self.rng, self.got = random.Random(seed), []
        super().__init__(("127.0.0.1", 0), _Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, client_address):
        pass  # a sender that was killed


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        luck = self.server.rng.random()
        if luck < 0.3:
            self.send_error(500)
            return
        self.server.got.append(json.loads(body))
        if luck < 0.4:
            self.connection.close()
            return
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


def incident(number, *, is_open):
    body = {"labels": {"series": f"pump-{number}"}, "severity": "warning", "annotations": {}, "values": {}}
    body |= {"starts_at": number, "ends_at": number + 1}
    return IncidentRow(f"pumps-{number}", number, 1 if is_open else 2, is_open, True, body)


def check_kills(path, kills, seed):
    rng, receiver, number = random.Random(seed), Receiver(seed), 0
    with Store(path) as store:
        for turn in range(kills + 1):
            command = [sys.executable, SENDER, path, str(receiver.server_address[1])]
            with subprocess.Popen(command) as process:
                try:
                    for _ in range(rng.randrange(3, 9)):
                        for is_open in (True, False):
                            with store.deciding():
                                store.incidents_put([incident(number, is_open=is_open)])
                            time.sleep(rng.uniform(0, 0.03))
                        number += 1
                    wanted = len(receiver.got) + rng.randrange(1, 8)
                    end = time.monotonic() + 60
                    while time.monotonic() < end and len(receiver.got) < wanted and not is_done(store):
                        time.sleep(rng.uniform(0, 0.01))
                    if turn == kills:
                        wait_until_done(store)
                finally:
                    process.kill()
        states = store.outbox_counts()
    receiver.shutdown()
    receiver.server_close()
    said = {}
    for message in receiver.got:
        for alert in message["alerts"]:
            said.setdefault(alert["labels"]["series"], []).append((message["status"], message["id"]))
    assert states == {"delivered": 2 * number}, f"seed {seed}"
    assert set(said) == {f"pump-{i}" for i in range(number)}, f"seed {seed}"
    for heard in said.values():
        assert len(set(heard)) == 2, f"seed {seed}: one id for each"
        assert [status for status, _ in dict.fromkeys(heard)] == ["firing", "resolved"], f"seed {seed}"
    return len(receiver.got) - 2 * number


def wait_until_done(store):
    """Wait as long as more and more is delivered."""
    delivered, end = -1, 0.0
    while not is_done(store):
        if (now := store.outbox_counts().get("delivered", 0)) > delivered:
            delivered, end = now, time.monotonic() + 60
        assert time.monotonic() < end, store.outbox_counts()
        time.sleep(0.01)


def is_done(store):
    return (
        set(store.outbox_counts()) <= {"delivered"} and not store.incidents(news=True) and not _waits(store)
    )


def _waits(store):
    return any(group.state != "over" for group in store.groups_due(2**63 - 1))


def test_ten_kills_of_the_sender_lose_no_alert_and_give_none_a_second_id(tmp_path):
    assert check_kills(tmp_path / "state.db", kills=10, seed=20261121) > 0  # some came twice


@pytest.mark.soak
def test_hundreds_of_kills_of_the_sender_lose_no_alert_and_give_none_a_second_id(tmp_path):
    check_kills(tmp_path / "state.db", kills=soak_kills(), seed=a_seed())
