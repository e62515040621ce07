"""Servers that fail in every way that servers do, and what is made of it."""

from __future__ import annotations

import ipaddress
import logging
import socket
import ssl
import threading
import time
from contextlib import suppress

import pytest
import trustme
from receivers import Receiver, answer, drop, endless, hang

from streamrnn.connectors.notifiers.addresses import is_allowed, networks
from streamrnn.connectors.notifiers.endpoint import Endpoint
from streamrnn.connectors.notifiers.http import HttpOptions
from streamrnn.errors import DeliveryError, SettingsError

SHORT_S = 0.3
PATH = "/hooks/T0P-SECRET?key=0THER-SECRET"


def endpoint(port, host="127.0.0.1", scheme="http", **options):
    defaults = {"allow_http": scheme == "http", "allow_addresses": ("127.0.0.0/8",), "deadline_s": 10.0}
    return Endpoint(HttpOptions(url=f"{scheme}://{host}:{port}{PATH}", **{**defaults, **options}))


def post(to, body=b"{}", headers=None, now_ns=0):
    to.post(body, headers or {}, receiver="night shift", now_ns=now_ns)


def failure(to, **given):
    """The error of a delivery that fails; nothing secret is in it."""
    with pytest.raises(DeliveryError) as caught:
        post(to, **given)
    assert str(caught.value).startswith("night shift: ")
    assert "SECRET" not in str(caught.value)
    assert caught.value.__cause__ is None
    return caught.value


def failure_of(behaviour, **options):
    with Receiver([behaviour]) as receiver:
        error = failure(endpoint(receiver.port, **options))
        assert len(receiver.requests) == 1
        return error


@pytest.fixture
def names(monkeypatch):
    """What names stand for, one answer after the other, the last for good; and what was asked."""
    real, asked, table = socket.getaddrinfo, [], {}

    def fake(host, port, *arguments, **options):
        if host not in table:
            return real(host, port, *arguments, **options)
        asked.append(host)
        answers = table[host]
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        return [place for address in found for place in real(address, port, *arguments, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", fake)
    return table, asked


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


def tls(authority, name):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


@pytest.fixture
def ca_file(authority, tmp_path):
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


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


# TLS


def test_a_server_with_a_certificate_of_ours_is_trusted_by_the_ca_file_alone(authority, ca_file):
    with Receiver(context=tls(authority, "127.0.0.1")) as receiver:
        post(endpoint(receiver.port, scheme="https", ca_file=ca_file))
        error = failure(endpoint(receiver.port, scheme="https"))
    assert error.retriable
    assert "has a certificate that is not accepted: unable to get local issuer" in str(error)


def test_a_certificate_of_another_name_is_refused(authority, ca_file, names):
    names[0]["ops.example"] = [["127.0.0.1"]]
    with Receiver(context=tls(authority, "other.example")) as receiver:
        error = failure(endpoint(receiver.port, "ops.example", "https", ca_file=ca_file))
        assert receiver.requests == []
    assert error.retriable
    assert "not accepted: Hostname mismatch" in str(error)


def test_a_server_that_speaks_no_tls_gets_nothing(ca_file):
    with Receiver([hang]) as receiver:
        error = failure(endpoint(receiver.port, scheme="https", ca_file=ca_file, deadline_s=SHORT_S))
        assert receiver.requests == []
    assert error.retriable


def test_a_handshake_that_never_comes_ends_in_time(authority, ca_file):
    began = time.monotonic()
    with Receiver(context=tls(authority, "127.0.0.1"), handshake=False) as receiver:
        error = failure(endpoint(receiver.port, scheme="https", ca_file=ca_file, deadline_s=SHORT_S))
    assert time.monotonic() - began < 5
    assert "did not answer in time" in str(error)


def test_a_slow_answer_within_tls_ends_in_time(authority, ca_file):
    slow = endless(b"x", b"HTTP/1.1 200 OK\r\nA: ", 0.02)
    with Receiver([slow], context=tls(authority, "127.0.0.1")) as receiver:
        error = failure(endpoint(receiver.port, scheme="https", ca_file=ca_file, deadline_s=SHORT_S))
    assert "did not answer in time" in str(error)


# Addresses


def test_a_name_is_resolved_once_and_what_it_stood_for_is_connected_to(authority, ca_file, names):
    table, asked = names
    table["ops.example"] = [["127.0.0.1"], ["127.0.0.66"]]  # it changes its mind after the first answer
    with Receiver(context=tls(authority, "ops.example")) as receiver:
        post(endpoint(receiver.port, "ops.example", "https", ca_file=ca_file, allow_addresses=("127.0.0.1",)))
    assert asked == ["ops.example"]
    assert receiver.names == ["ops.example"]
    assert receiver.requests[0].headers["host"] == f"ops.example:{receiver.port}"
    assert receiver.requests[0].address == "127.0.0.1"


def test_a_name_that_stands_for_an_address_within_is_not_connected_to(names):
    names[0]["ops.example"] = [["127.0.0.1"]]
    with Receiver() as receiver:
        error = failure(endpoint(receiver.port, "ops.example", allow_addresses=()))
        assert receiver.requests == []
    assert error.retriable  # a name may stand for another tomorrow
    assert "127.0.0.1, which is not public; list it in allow_addresses" in str(error)


def test_of_several_addresses_the_first_that_may_and_answers_is_taken(names):
    names[0]["ops.example"] = [["127.0.0.5", "127.0.0.2", "127.0.0.1"]]
    with Receiver() as receiver:
        post(endpoint(receiver.port, "ops.example", allow_addresses=("127.0.0.1", "127.0.0.2")))
    assert receiver.requests[0].address == "127.0.0.1"  # at .2 nobody listens, .5 may not


def test_a_name_that_nobody_knows_is_tried_again(monkeypatch):
    def unknown(*arguments, **options):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    error = failure(endpoint(443, "ops.example"))
    assert error.retriable
    assert str(error) == "night shift: ops.example cannot be resolved (Name or service not known)"


def test_a_name_too_long_to_be_one_is_an_error_of_delivery():
    assert "cannot be resolved" in str(failure(endpoint(443, "a" * 64 + ".example")))


def test_a_resolver_that_hangs_ends_in_time(monkeypatch):
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: over.wait(30) and [])
    error = failure(endpoint(443, "ops.example", deadline_s=SHORT_S))
    over.set()
    assert error.retriable
    assert str(error) == "night shift: ops.example cannot be resolved in time"


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f.0.0.1", "localhost"])
def test_other_spellings_of_loopback_are_loopback(host):
    with Receiver() as receiver:
        error = failure(endpoint(receiver.port, host, allow_addresses=()))
        assert receiver.requests == []
    assert "not public" in str(error)


INTERNAL = [
    *("127.0.0.1", "127.255.255.254", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.0.1"),
    *("169.254.169.254", "100.64.0.1", "0.0.0.0", "0.1.2.3", "224.0.0.1", "239.1.1.1", "240.0.0.1"),
    *("255.255.255.255", "192.0.2.1", "198.51.100.1", "203.0.113.1", "198.18.0.1", "192.0.0.8"),
    *("::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1"),
    *("2001:db8::1", "100::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254"),
    *("::127.0.0.1", "2002:7f00:1::", "2002:a00:1::", "64:ff9b::7f00:1", "64:ff9b::10.0.0.1"),
    *("64:ff9b:1::1", "2001:0:7f00:1::", "2001:0:808:808:0:0:f5ff:fffe"),
]
PUBLIC = ["8.8.8.8", "1.1.1.1", "172.32.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"]


@pytest.mark.parametrize("address", INTERNAL)
def test_addresses_that_are_not_public_may_not_be_connected_to_unless_listed(address):
    parsed = ipaddress.ip_address(address)
    assert not is_allowed(parsed, [])
    assert is_allowed(parsed, networks(["0.0.0.0/0", "::/0"]))
    with pytest.raises(SettingsError, match="which is not public; list it in allow_addresses"):
        HttpOptions(url=f"https://[{address}]/" if ":" in address else f"https://{address}/")


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_may_be_connected_to(address):
    assert is_allowed(ipaddress.ip_address(address), [])


def test_listing_a_network_opens_that_one_alone():
    listed = networks(["10.1.0.0/16"])
    allowed = {
        text
        for text in [*INTERNAL, "10.1.2.3", "::ffff:10.1.2.3"]
        if is_allowed(ipaddress.ip_address(text), listed)
    }
    assert allowed == {"10.1.2.3", "::ffff:10.1.2.3"}


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
