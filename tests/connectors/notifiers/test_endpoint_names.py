"""Whom a name stands for, whether it may be asked, and whether it is who it says."""

from __future__ import annotations

import ipaddress
import socket
import threading
import time

import pytest
import trustme
from endpoints import SHORT_S, endpoint, failure, post, tls
from receivers import Receiver, endless, hang

from streamrnn.connectors.notifiers.addresses import is_allowed, networks
from streamrnn.connectors.notifiers.http import HttpOptions
from streamrnn.errors import SettingsError


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


@pytest.fixture
def ca_file(authority, tmp_path):
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


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
