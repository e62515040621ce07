"""What is in the way of a connection, asked of the brokers themselves: the same words for either client.

Clients log why a connection fails and tell their callers little of it.
"""

from __future__ import annotations

import socket
import ssl
from contextlib import closing

from streamrnn.connectors.kafka_clients.options import KafkaOptions, KafkaSecurity
from streamrnn.errors import FatalConnectorError

__all__ = ["ANSWERS", "check_certificates", "state_of", "unreachable"]

ANSWERS = "answers"
_API_VERSIONS_REQUEST = bytes.fromhex("0000000a 0012 0000 00000001 ffff")
_TLS_ALERT = 0x15
_EXPIRED, _OTHER_NAMES = 10, {62, 64}  # X509_V_ERR_CERT_HAS_EXPIRED, _HOSTNAME_MISMATCH, _IP_ADDRESS_MISMATCH


def check_certificates(options: KafkaOptions) -> None:
    """Whether a first connection to each broker can be encrypted as it should be.

    Brokers that do not answer now are passed by.

    Raises
    ------
    FatalConnectorError
        Where a file is wrong, or a broker's certificate is not trusted, out of date or of another name.
    """
    if not options.security.tls:
        return
    context = _context(options.security)
    for broker in options.brokers:
        try:
            with closing(_connected(broker, options)) as plain:
                context.wrap_socket(plain, server_hostname=_host(broker)).close()
        except ssl.SSLCertVerificationError as error:
            raise FatalConnectorError(f"{broker} {_distrust(error, options.security)}") from None
        except (OSError, ValueError):
            continue


def unreachable(options: KafkaOptions) -> str:
    """What each broker does, in words, where a client could not connect."""
    states = [(broker, state_of(broker, options)) for broker in options.brokers]
    hint = "answers, but did not let us in; if it asks for a login, check the security protocol"
    return ", ".join(f"{broker} {hint if state == ANSWERS else state}" for broker, state in states)


def state_of(broker: str, options: KafkaOptions) -> str:
    """Whether a broker answers what may be asked before any login; nothing secret is sent."""
    try:
        with closing(_connected(broker, options)) as plain:
            connection = _unchecked(plain) if options.security.tls else plain
            with closing(connection):
                connection.sendall(_API_VERSIONS_REQUEST)
                answer = connection.recv(4)
    except socket.gaierror:
        return "is a name that nobody knows"
    except TimeoutError:
        return "does not answer"
    except OSError as error:
        return _said_of(error)
    if answer[:1] == bytes([_TLS_ALERT]):
        return "speaks TLS there; check the port and the security protocol"
    return ANSWERS if answer else "hangs up; check the security protocol"


def _said_of(error: OSError) -> str:
    """What an error says of a broker."""
    if not isinstance(error, ssl.SSLError):
        return f"cannot be reached ({error.strerror or error})"
    if "CERTIFICATE_REQUIRED" in str(error) or "HANDSHAKE_FAILURE" in str(error):
        return "wants a certificate of ours; give cert_file and key_file"
    return "does not speak TLS there; check the port and the security protocol"


def _host(broker: str) -> str:
    return broker.rpartition(":")[0].strip("[]")


def _connected(broker: str, options: KafkaOptions) -> socket.socket:
    timeout_s = min(2.0, options.connect_timeout_s)
    return socket.create_connection((_host(broker), int(broker.rpartition(":")[2])), timeout_s)


def _unchecked(plain: socket.socket) -> ssl.SSLSocket:
    """The connection, encrypted, whoever is at its end."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(plain)


def _context(security: KafkaSecurity) -> ssl.SSLContext:
    """How connections are encrypted; FatalConnectorError where a file is not what it should be."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = security.check_hostname
    name, what = "ca_file", "a PEM file with the certificate of who signed those of the brokers"
    try:
        if security.ca_file is None:
            context.load_default_certs()
        else:
            context.load_verify_locations(security.ca_file)
        if security.cert_file is not None:
            name, what = "cert_file", "PEM files with a certificate of ours and its key, and key_password"
            password = security.key_password or ""
            # A function, since OpenSSL would ask at the terminal where there is none.
            context.load_cert_chain(security.cert_file, security.key_file, lambda: password)
    except OSError as error:  # of OpenSSL too
        path = getattr(security, name)
        reason = (
            "it is none, or key and password do not fit"
            if isinstance(error, ssl.SSLError)
            else error.strerror
        )
        raise FatalConnectorError(
            f"security: {name} {path!r} cannot be used ({reason}); give {what}"
        ) from None
    return context


def _distrust(error: ssl.SSLCertVerificationError, security: KafkaSecurity) -> str:
    """Why a broker's certificate is not accepted, and what to do."""
    reason = error.verify_message.rstrip(".")
    if error.verify_code in _OTHER_NAMES:
        return (
            f"shows a certificate of another name ({reason}); name the broker as its certificate does, "
            "or say check_hostname = false where that is meant to be so"
        )
    if error.verify_code == _EXPIRED:
        return "shows a certificate that has expired; have it renewed"
    given = "the system's own are used" if security.ca_file is None else f"it is {security.ca_file!r}"
    return (
        f"shows a certificate that is not trusted ({reason}); ca_file must hold the certificate of who "
        f"signed it, and {given}"
    )
