"""An endpoint to a server of a test, and how its deliveries fail."""

from __future__ import annotations

import ssl

import pytest

from streamrnn.connectors.notifiers.endpoint import Endpoint
from streamrnn.connectors.notifiers.http import HttpOptions
from streamrnn.errors import DeliveryError

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


def tls(authority, name):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context
