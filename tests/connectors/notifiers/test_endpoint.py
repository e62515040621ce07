"""Servers that fail in every way that servers do, and what is made of it."""

from __future__ import annotations

import logging
import socket
import threading
import time
from contextlib import suppress

import pytest
from endpoints import PATH, SHORT_S, endpoint, failure, post
from receivers import Receiver, answer, drop, endless, hang

from streamrnn.connectors.notifiers.http import HttpOptions
from streamrnn.errors import DeliveryError, SettingsError


def failure_of(behaviour, **options):
    with Receiver([behaviour]) as receiver:
        error = failure(endpoint(receiver.port, **options))
        assert len(receiver.requests) == 1
        return error


def test_what_is_posted_arrives_as_it_was():
    with Receiver() as receiver:
        post(endpoint(receiver.port), "é".encode(), {"webhook-id": "m1"})
    (request,) = receiver.requests
    assert request.line == f"POST {PATH} HTTP/1.1"
    assert request.body == "é".encode()
    assert request.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["webhook-id"] == "m1"
    assert request.headers["user-agent"].startswith("streamrnn/")
    assert "authorization" not in request.headers


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"token": "SECRET"}, "Bearer SECRET"),
        ({"username": "ops", "password": "pä:ss"}, "Basic b3BzOnDDpDpzcw=="),
    ],
)
def test_a_server_learns_who_we_are(given, sent):
    with Receiver() as receiver:
        post(endpoint(receiver.port, **given))
    assert receiver.requests[0].headers["authorization"] == sent


@pytest.mark.parametrize("status", ["200 OK", "201 Created", "202 Accepted", "204 No Content", "299 Odd"])
def test_every_success_is_one(status):
    with Receiver([answer(status)]) as receiver:
        post(endpoint(receiver.port))


RETRIABLE = [500, 502, 503, 504, 599, 408, 425, 429, 302, 303, 307, 300, 103]
FINAL = [400, 401, 403, 404, 405, 410, 413, 422, 499, 301, 308]


@pytest.mark.parametrize("status", RETRIABLE + FINAL)
def test_every_other_status_is_a_failure_that_says_whether_to_try_again(status):
    error = failure_of(answer(f"{status} T0P-SECRET"))
    assert f"answered {status} (" in str(error)
    assert error.retriable == (status in RETRIABLE)
    assert error.gone == (status == 410)
    assert error.retry_after_s is None


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status):
    with Receiver() as other:
        error = failure_of(answer(f"{status} Moved", f"Location: http://127.0.0.1:{other.port}/"))
        assert other.requests == []
    assert "redirects are not followed" in str(error)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        (["Retry-After: 120"], 120.0),
        (["Retry-After: 0"], 0.0),
        (["Retry-After: 999999999"], 3600.0),
        (["Retry-After: " + "9" * 5000], 3600.0),
        (["Retry-After: Thu, 01 Jan 1970 00:02:00 GMT"], 20.0),  # by our clock, at 100 s
        (["Retry-After: Thu, 01 Jan 2026 00:00:45 GMT", "Date: Thu, 01 Jan 2026 00:00:15 GMT"], 30.0),
        (["Retry-After: Thu, 01 Jan 1970 00:00:00 GMT"], 0.0),
        (["Retry-After: Fri, 31 Dec 9999 23:59:59 GMT"], 3600.0),
        (["Retry-After: Fri, 31 Dec 9999 23:59:59 -2359", "Date: nonsense"], 3600.0),
        (["Retry-After: -5"], None),
        (["Retry-After: soon"], None),
        (["Retry-After: ²"], None),
        (["Retry-After:"], None),
    ],
)
def test_a_server_may_say_when_to_come_again(status, headers, wait_s):
    with Receiver([answer(f"{status} Later", *headers)]) as receiver:
        error = failure(endpoint(receiver.port), now_ns=100_000_000_000)
    assert (error.retriable, error.retry_after_s) == (True, wait_s)


def test_a_final_refusal_has_no_time_to_come_again():
    assert failure_of(answer("400 Bad Request", "Retry-After: 5")).retry_after_s is None


def test_a_server_that_drops_what_it_took_is_tried_again():
    error = failure_of(drop)
    assert error.retriable
    assert "broke off" in str(error)


@pytest.mark.parametrize(
    "head",
    [b"SSH-2.0-OpenSSH T0P-SECRET\r\n", b"HTTP/1.1 abc T0P-SECRET\r\n\r\n", b"\0" * 100, b"A" * 70_000],
)
def test_a_server_that_speaks_no_http_is_tried_again(head):
    assert failure_of(lambda connection, over: connection.sendall(head)).retriable


def test_nobody_there_is_tried_again():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    error = failure(endpoint(port))
    assert error.retriable
    assert str(error) == "night shift: 127.0.0.1 cannot be reached: Connection refused"


IN_TIME = {
    "a silent server": (hang, {"read_timeout_s": SHORT_S}),
    "a silent server, by the deadline": (hang, {"deadline_s": SHORT_S}),
    "a status byte by byte": (endless(b"1", b"HTTP/1.1 ", 0.02), {"deadline_s": SHORT_S}),
    "a header byte by byte": (endless(b"x", b"HTTP/1.1 200 OK\r\nA: ", 0.02), {"deadline_s": SHORT_S}),
    "endless patience": (endless(b"HTTP/1.1 100 Continue\r\n\r\n", b""), {"deadline_s": SHORT_S}),
}


@pytest.mark.parametrize("case", IN_TIME)
def test_no_server_holds_us_longer_than_our_time(case):
    behaviour, options = IN_TIME[case]
    began = time.monotonic()
    error = failure_of(behaviour, **options)
    assert time.monotonic() - began < 5  # the deadline where none is set is 10 s
    assert error.retriable
    assert "did not answer in time" in str(error)


def test_a_connection_that_comes_after_our_time_is_not_used(monkeypatch):
    real = socket.create_connection

    def late(*arguments):
        threading.Event().wait(SHORT_S * 1.5)
        return real(*arguments)

    monkeypatch.setattr(socket, "create_connection", late)
    with Receiver() as receiver:
        error = failure(endpoint(receiver.port, deadline_s=SHORT_S))
        assert receiver.requests == []
    assert "did not answer in time" in str(error)


def test_a_server_is_reached_by_ipv6_too():
    try:
        receiver = Receiver(address="::1")
    except OSError:
        pytest.skip("this machine has no IPv6 on loopback")
    with receiver:
        post(endpoint(receiver.port, "[::1]", allow_addresses=("::1",)))
    assert receiver.requests[0].headers["host"] == f"[::1]:{receiver.port}"


@pytest.mark.parametrize("piece", [b"x: y\r\n", b"x" * 1000])
def test_endless_headers_are_cut(piece):
    assert failure_of(endless(piece, b"HTTP/1.1 200 OK\r\n")).retriable


@pytest.mark.parametrize("behaviour", [endless(b"x" * 65_536), endless(b"x", pause_s=0.02)])
def test_an_endless_or_slow_body_after_a_success_is_not_waited_for(behaviour):
    with Receiver([behaviour]) as receiver:
        post(endpoint(receiver.port, deadline_s=600.0, read_timeout_s=600.0))


def test_no_thread_stays_behind_a_delivery():
    before = threading.active_count()
    with Receiver() as receiver:
        post(endpoint(receiver.port, deadline_s=600.0))
    assert threading.active_count() == before


# The surroundings


def test_proxies_that_the_environment_names_are_ignored(monkeypatch):
    with Receiver() as proxy, Receiver() as receiver:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        post(endpoint(receiver.port))
    assert len(receiver.requests) == 1
    assert proxy.requests == []


@pytest.mark.parametrize(
    "behaviour",
    [answer(), answer("500 No"), drop, answer("200 OK", "no header at all"), answer("200 OK", "a: b", " c")],
)
def test_no_log_holds_a_secret_however_much_is_logged(behaviour, caplog, monkeypatch):
    caplog.set_level(logging.DEBUG, logger="urllib3")
    monkeypatch.setattr(logging.getLogger("urllib3"), "propagate", True)
    with Receiver([behaviour]) as receiver:
        with suppress(DeliveryError):
            post(endpoint(receiver.port, token="T0KEN-SECRET"))
        assert receiver.requests[0].line.startswith("POST /hooks/T0P-SECRET")
    assert "SECRET" not in caplog.text


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"url": "http://ops.example/T0P-SECRET"}, "url does not begin with https://"),
        ({"url": "ftp://ops.example/T0P-SECRET", "allow_http": True}, "url does not begin with https://"),
        ({"url": "https://ops.example:99999/T0P-SECRET"}, "url is none"),
        ({"url": "https://[::1/T0P-SECRET"}, "url is none"),
        ({"url": "https:///T0P-SECRET"}, "url is none"),
        ({"url": "T0P-SECRET"}, "url is none"),
        ({"url": "https://ops.example/T0P SECRET"}, "url is none"),
        ({"url": "https://ops.example/T0P-SECRET\r\nHost: x"}, "url is none"),
        ({"url": "https://öps.example/T0P-SECRET"}, "url is none"),
        ({"url": "https://T0P-SECRET@ops.example/"}, "url holds a user"),
        ({"url": "https://ops.example/#T0P-SECRET"}, "url holds a user or a fragment"),
        ({"token": "T0P-SECRET\r\nX: y"}, "token is empty, or holds"),
        ({"token": ""}, "token is empty, or holds"),
        ({"username": "ops"}, "go together"),
        ({"password": "T0P-SECRET"}, "go together"),
        ({"username": "a", "password": "T0P-SECRET", "token": "T0P-SECRET"}, "not both"),
        ({"allow_addresses": ("10.0.0.0/33",)}, "allow_addresses has '10.0.0.0/33'"),
        ({"allow_addresses": ("10.0.0.1/8",)}, "allow_addresses has '10.0.0.1/8'"),
        ({"deadline_s": 0}, "deadline_s is 0"),
        ({"read_timeout_s": float("nan")}, "read_timeout_s is nan"),
        ({"connect_timeout_s": -1}, "connect_timeout_s is -1"),
    ],
)
def test_options_that_cannot_be_are_refused_without_showing_a_secret(options, words):
    with pytest.raises(SettingsError, match=words) as caught:
        HttpOptions(**{"url": "https://ops.example/", **options})
    assert "SECRET" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(("content", "words"), [(None, "No such file"), ("no pem", "holds no certificate")])
def test_a_ca_file_that_is_none_is_refused_at_the_start(content, words, tmp_path):
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SettingsError, match=words):
        endpoint(443, "ops.example", "https", ca_file=str(path))
