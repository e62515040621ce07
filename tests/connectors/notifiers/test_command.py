"""The channel that starts a command."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest
from alert_schemas import WEBHOOK, check
from notices import notification

from streamrnn.connectors.notifiers.command import CommandNotifier, CommandOptions
from streamrnn.errors import DeliveryError, SettingsError


def run(code, *arguments, message=None, **options):
    """Send a notification to a Python program."""
    command = (sys.executable, "-c", code, *arguments)
    CommandNotifier(CommandOptions(command=command, **options)).send(message or notification())


def failure(code, **options):
    with pytest.raises(DeliveryError) as caught:
        run(code, **options)
    return caught.value


def test_a_command_reads_the_notification_and_finds_its_id(tmp_path):
    path = tmp_path / "seen"
    said = "os.environ['STREAMRNN_NOTIFICATION_ID'] + sys.stdin.read()"
    run(f"import os, sys; open(sys.argv[1], 'w').write({said})", str(path))
    seen = path.read_text()
    assert seen.startswith("n1{")
    check(json.loads(seen[2:]), WEBHOOK)


def test_no_shell_reads_the_arguments(tmp_path):
    path = tmp_path / "seen"
    run("import sys; open(sys.argv[1], 'w').write(sys.argv[2])", str(path), "$(id); `id` > x && y")
    assert path.read_text() == "$(id); `id` > x && y"


def test_a_command_sees_the_variables_that_it_is_given_and_none_of_our_secrets(tmp_path, monkeypatch):
    monkeypatch.setenv("STREAMRNN__SOURCE__SECURITY__PASSWORD", "swordfish")
    path = tmp_path / "seen"
    code = "import json, os, sys; json.dump(dict(os.environ), open(sys.argv[1], 'w'))"
    run(code, str(path), environment={"CHAT": "ops"})
    seen = json.loads(path.read_text())
    assert "swordfish" not in seen.values()
    assert (seen["CHAT"], seen["PATH"]) == ("ops", os.environ["PATH"])


@pytest.mark.parametrize(
    ("code", "retriable"), [(1, True), (75, True), (127, True), (255, True), (65, False)]
)
def test_every_exit_code_but_the_refusal_is_tried_again(code, retriable):
    error = failure(f"print('first'); print('no route to chat'); raise SystemExit({code})")
    assert error.retriable == retriable
    name = Path(sys.executable).name
    assert str(error) == f"night shift: {name} ended with exit code {code}: no route to chat"


def test_a_command_that_a_signal_ended_is_tried_again():
    error = failure("import os; os.kill(os.getpid(), 15)")
    assert error.retriable
    assert str(error).endswith("was ended by signal 15")


def test_a_command_that_does_not_end_is_killed_with_all_that_it_started(tmp_path):
    path = tmp_path / "alive"
    os.mkfifo(path)
    command = ("sh", "-c", "(echo up; exec sleep 600) >$FIFO & wait")
    options = CommandOptions(command=command, environment={"FIFO": str(path)}, timeout_s=1.0)
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0) as held:
        with pytest.raises(DeliveryError, match="sh did not end within 1 s") as caught:
            CommandNotifier(options).send(notification())
        assert held.read() == b"up\n"
        os.set_blocking(held.fileno(), True)
        assert held.read() == b""  # nobody is left to write: it would wait for 600 s
    assert caught.value.retriable


def test_output_without_end_neither_fills_memory_nor_blocks():
    error = failure("import sys\nwhile True: sys.stdout.write('x' * 65536)", timeout_s=0.5)
    assert len(str(error)) < 500


def test_a_long_output_is_read_to_its_end():
    error = failure("print('x' * 10**7); print('the end'); raise SystemExit(1)")
    assert str(error).endswith(": the end")


def test_a_command_that_closes_its_output_is_waited_for():
    run("import os, time; os.close(1); os.close(2); time.sleep(0.2)")
    assert failure("import os, time; os.close(1); os.close(2); time.sleep(600)", timeout_s=0.5).retriable


def test_a_process_that_a_command_leaves_behind_does_not_hold_us():
    began = time.monotonic()
    run("import os, time\nif os.fork() == 0: time.sleep(20)", timeout_s=60.0)
    assert time.monotonic() - began < 15


def test_a_command_may_leave_its_input_unread():
    run("pass")


def test_secrets_that_a_command_says_are_masked_and_control_characters_spelled():
    error = failure(
        r"import os; print('\x1b[31m' + os.environ['TOKEN']); raise SystemExit(1)",
        environment={"TOKEN": "swordfish", "EMPTY": ""},
    )
    assert str(error).endswith(r": \x1b[31m********")


def test_a_command_that_went_away_is_tried_again(tmp_path):
    path = tmp_path / "tell"
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    notifier = CommandNotifier(CommandOptions(command=(str(path),)))
    path.unlink()
    with pytest.raises(DeliveryError, match="tell cannot be started: No such file") as caught:
        notifier.send(notification())
    assert caught.value.retriable


def test_signals_that_we_ignore_are_not_ignored_by_the_command():
    before = signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    try:
        run("import signal; assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL")
    finally:
        signal.signal(signal.SIGPIPE, before)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"command": ()}, "first part is no program"),
        ({"command": ("/no/such/program",)}, "first part is no program"),
        ({"command": ("cat", "a\0b")}, "zero character"),
        ({"command": ("cat",), "environment": {"A=B": "c"}}, "environment holds"),
        ({"command": ("cat",), "environment": {"": "c"}}, "environment holds"),
        ({"command": ("cat",), "timeout_s": 0}, "timeout_s is 0"),
    ],
)
def test_options_that_cannot_be_are_refused(options, words):
    with pytest.raises(SettingsError, match=words):
        CommandOptions(**options)
