"""Whether a broker is there, asked without any client."""

from __future__ import annotations

import socket
import ssl

from streamrnn.connectors.kafka_clients.options import KafkaOptions

__all__ = ["ANSWERS", "state_of"]

ANSWERS = "answers"
_API_VERSIONS_REQUEST = bytes.fromhex("0000000a 0012 0000 00000001 ffff")


def state_of(broker: str, options: KafkaOptions) -> str:
    """Whether a broker answers what may be asked before any login."""
    host, _, port = broker.rpartition(":")
    timeout_s = min(2.0, options.connect_timeout_s)
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout_s) as plain:
            plain.settimeout(timeout_s)
            with _wrapped(plain, options) as connection:
                connection.sendall(_API_VERSIONS_REQUEST)
                return ANSWERS if connection.recv(4) else "hangs up; check the security protocol"
    except socket.gaierror:
        return "is a name that nobody knows"
    except TimeoutError:
        return "does not answer"
    except OSError as error:
        return f"cannot be reached ({error.strerror or error})"


def _wrapped(plain: socket.socket, options: KafkaOptions) -> socket.socket:
    """The connection, encrypted where the brokers want that; nothing secret goes over it."""
    if not options.security.tls:
        return plain
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(plain)
