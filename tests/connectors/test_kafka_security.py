"""TLS and SASL before a real broker, with either client: who gets in, and what the others are told."""

from __future__ import annotations

import logging

import pytest
from broker import PASSWORD, USER, certificate
from kafka_support import Polled, options, produce, source_of

from streamrnn.connectors.kafka import KafkaSecurity
from streamrnn.connectors.kafka_sink import KafkaSink
from streamrnn.errors import FatalConnectorError
from streamrnn.pipelines.cli import main

PIPELINE = """
[source]
kind = "kafka"
brokers = "{broker}"
topics = "{topic}"
group = "{topic}"
client = "{client}"

[source.security]
{security}

[record]
format = "csv"
columns = ["value"]
"""


@pytest.fixture
def topic(broker):
    name = broker.new_topic()
    produce(broker, name, range(5))
    return name


def login(mechanism, password=PASSWORD):
    return KafkaSecurity(protocol="SASL_PLAINTEXT", mechanism=mechanism, username=USER, password=password)


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256"])
def test_a_login_reads_and_writes(broker, topic, client, mechanism):
    security = login(mechanism)
    sink = KafkaSink(options(broker.sasl_address, client=client, security=security), topic)
    sink.write_messages([b"5"], [None])
    sink.close()
    source = source_of(broker.sasl_address, topic, client=client, security=security)
    assert Polled(source).until(6).values == list(range(6))
    source.close()


@pytest.mark.parametrize("checked", [True, False])
def test_an_encrypted_connection_reads(broker, topic, client, checked):
    address = broker.tls_address if checked else broker.tls_address.replace("localhost", "127.0.0.1")
    security = KafkaSecurity(protocol="SSL", ca_file=broker.ca_file, check_hostname=checked)
    source = source_of(address, topic, client=client, security=security)
    assert Polled(source).until(5).values == list(range(5))
    source.close()


def refused(address, topic, client, security):
    """Why a source cannot begin."""
    source = source_of(address, topic, client=client, security=security)
    try:
        with pytest.raises(FatalConnectorError) as raised:
            Polled(source).until(1, 20.0)
    finally:
        source.close()
    return str(raised.value)


def test_a_certificate_that_is_not_trusted_or_of_another_name_is_refused_with_what_to_do(
    broker, topic, client, tmp_path
):
    other = str(certificate(tmp_path / "other.pem"))
    reason = refused(broker.tls_address, topic, client, KafkaSecurity(protocol="SSL", ca_file=other))
    assert f"{broker.tls_address} shows a certificate that is not trusted" in reason
    assert "ca_file must hold the certificate of who signed it" in reason and other in reason
    reason = refused(broker.tls_address, topic, client, KafkaSecurity(protocol="SSL"))
    assert "not trusted" in reason and "the system's own are used" in reason
    elsewhere = broker.tls_address.replace("localhost", "127.0.0.1")
    reason = refused(elsewhere, topic, client, KafkaSecurity(protocol="SSL", ca_file=broker.ca_file))
    assert f"{elsewhere} shows a certificate of another name" in reason and "check_hostname" in reason


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"ca_file": "none.pem"}, r"security: ca_file 'none.pem' cannot be used \(No such file"),
        ({"ca_file": __file__}, "give a PEM file with the certificate of who signed those of the brokers"),
        ({"cert_file": "none.pem"}, r"security: cert_file 'none.pem' cannot be used"),
    ],
)
def test_files_that_are_no_certificates_are_refused_before_anything_is_sent(client, given, message):
    source = source_of("localhost:1", "flow", client=client, security=KafkaSecurity(protocol="SSL", **given))
    with pytest.raises(FatalConnectorError, match=message):
        Polled(source).until(1, 20.0)
    source.close()


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_a_wrong_password_or_mechanism_is_told_and_never_shown(broker, topic, client, caplog, mechanism):
    caplog.set_level(logging.DEBUG)
    password = PASSWORD if mechanism == "SCRAM-SHA-512" else "wrong-horse"
    reason = refused(broker.sasl_address, topic, client, login(mechanism, password))
    assert f"{broker.sasl_address} refuses the login of 'sensor' ({mechanism}, SASL_PLAINTEXT)" in reason
    wrong = options(broker.sasl_address, security=login(mechanism, password))
    assert "horse" not in reason + caplog.text + repr(wrong) + str(wrong.security)


@pytest.mark.parametrize(
    ("listener", "protocol", "said"),
    [
        ("tls_address", "PLAINTEXT", "speaks TLS there"),
        ("address", "SSL", "does not speak TLS there"),
        ("sasl_address", "PLAINTEXT", "if it asks for a login, check the security protocol"),
    ],
)
def test_another_protocol_than_the_brokers_is_told(broker, topic, client, listener, protocol, said):
    address = getattr(broker, listener)
    source = source_of(address, topic, client=client, security=KafkaSecurity(protocol=protocol))
    Polled(source).poll_while(lambda: source.trouble is None)
    assert source.trouble.startswith(f"cannot connect to Kafka: {address} ") and said in source.trouble
    source.close()


def test_check_says_who_is_let_in_and_why_not(broker, topic, client, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("THE_PASSWORD", PASSWORD)
    lines = f'protocol = "SASL_PLAINTEXT"\nusername = "{USER}"\npassword = '
    cases = {
        (broker.sasl_address, lines + '{env = "THE_PASSWORD"}'): (0, "5 records"),
        (broker.sasl_address, lines + '"wrong-horse"'): (2, "refuses the login of 'sensor'"),
        (broker.tls_address, 'protocol = "SSL"'): (2, "shows a certificate that is not trusted"),
        (broker.tls_address, 'protocol = "PLAINTEXT"'): (2, "speaks TLS there"),
    }
    for (address, security), (code, said) in cases.items():
        text = PIPELINE.format(broker=address, topic=topic, client=client, security=security)
        (tmp_path / "p.toml").write_text(text)
        assert main(["check", "p.toml"]) == code
        shown = "".join(capsys.readouterr())
        assert said in shown and "horse" not in shown
