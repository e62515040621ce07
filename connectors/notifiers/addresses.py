"""Which addresses may be connected to: public ones, and those that are listed.

A name is resolved once for an attempt, what it stands for is checked, and the
connection goes to that very address: a name cannot change its mind in between.
"""

from __future__ import annotations

import ipaddress
import queue
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress

from streamrnn.errors import SettingsError

__all__ = ["Address", "Network", "is_allowed", "literal", "networks", "resolve"]

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address
# Of IANA's registries of special addresses, what some versions of Python take for global.
_SPECIAL = [
    ipaddress.ip_network(text) for text in ("192.0.0.0/24", "192.88.99.0/24", "3fff::/20", "5f00::/16")
]


def networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Listed networks, such as ``10.0.0.0/8``, or single addresses.

    Raises
    ------
    SettingsError
        Where one is neither.

    Examples
    --------
    >>> networks(["10.0.0.0/8", "::1"])
    (IPv4Network('10.0.0.0/8'), IPv6Network('::1/128'))
    """
    found = []
    for text in texts:
        try:
            found.append(ipaddress.ip_network(text))
        except ValueError:
            raise SettingsError(
                f"allow_addresses has {text!r}; give networks such as 10.0.0.0/8, or addresses"
            ) from None
    return tuple(found)


def literal(host: str) -> Address | None:
    """The address that a host is written as; None where it is a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def is_allowed(address: Address, listed: Sequence[Network]) -> bool:
    """Whether an address is public or listed.

    Addresses of IPv6 that carry one of IPv4 are what that is, too.

    Examples
    --------
    >>> internal = ipaddress.ip_address("::ffff:10.0.0.7")
    >>> is_allowed(internal, []), is_allowed(internal, networks(["10.0.0.0/8"]))
    (False, True)
    """
    if any(address in network for network in listed):
        return True
    carried = list(_carried(address))
    if carried:
        return all(is_allowed(inner, listed) for inner in carried)
    return address.is_global and not (
        address.is_multicast
        or address.is_reserved
        or address.is_loopback
        or address.is_link_local
        or address.is_unspecified
        or (address.version == 6 and address.is_site_local)
        or any(address in network for network in _SPECIAL)
    )


def resolve(host: str, port: int, timeout_s: float) -> list[Address]:
    """What a name stands for, in the system's order of preference.

    Raises
    ------
    TimeoutError
        Where the system does not say in time.
    OSError
        Where there is no such name, or nobody to ask.
    """
    if (address := literal(host)) is not None:
        return [address]
    answers: queue.SimpleQueue[list[Address] | OSError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (
            OSError,
            UnicodeError,
        ) as error:  # UnicodeError: no name at all, such as one with a part too long
            answers.put(OSError(getattr(error, "strerror", None) or "it is no name"))
        else:
            answers.put([ipaddress.ip_address(place[0]) for *_, place in found])

    # getaddrinfo takes no time-out: where it hangs, it ends alone by the resolver's own.
    threading.Thread(target=ask, name="resolve", daemon=True).start()
    with suppress(queue.Empty):
        answer = answers.get(timeout=max(timeout_s, 0.0))
        if isinstance(answer, OSError):
            raise answer
        return answer
    raise TimeoutError


def _carried(address: Address) -> Iterator[ipaddress.IPv4Address]:
    """The IPv4 addresses within one of IPv6: mapped, 6to4, Teredo, NAT64."""
    if address.version == 4:
        return
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    if address in _NAT64:
        yield ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
