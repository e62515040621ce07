"""What the answer of an HTTP server means for a delivery."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from streamrnn.errors import DeliveryError

__all__ = ["failure", "retry_after_s"]

LONGEST_WAIT_S = 3600.0  # a receiver may ask for a pause, not for silence
_FOR_NOW = frozenset({408, 425, 429})  # the only refusals that a later attempt may escape
_FOR_GOOD = frozenset({301, 308})  # redirects that stay
_LONGEST_HEADER = 64


def failure(place: str, status: int, headers: Mapping[str, str], now_ns: int) -> DeliveryError | None:
    """Why an answer is none that counts as delivery; None where it does (2xx).

    Redirects are failures: they are never followed. What the server sends beside
    its status is not repeated, since it may quote what is secret.

    Examples
    --------
    >>> error = failure("night shift: ops.example", 429, {"Retry-After": "30"}, 0)
    >>> print(error, error.retriable, error.retry_after_s)
    night shift: ops.example answered 429 (Too Many Requests) True 30.0
    """
    if 200 <= status < 300:
        return None
    phrase = HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "unknown"
    retriable = status in _FOR_NOW if 400 <= status < 500 else status not in _FOR_GOOD
    advice = "; redirects are not followed: set url to where it leads" if 300 <= status < 400 else ""
    return DeliveryError(
        f"{place} answered {status} ({phrase}){advice}",
        retriable=retriable,
        retry_after_s=retry_after_s(headers, now_ns) if retriable else None,
        gone=status == HTTPStatus.GONE,
    )


def retry_after_s(headers: Mapping[str, str], now_ns: int) -> float | None:
    """How long a server asks to be left alone, in seconds, an hour at most; None where it does not say.

    A date counts from the server's own, where it sends one: its clock may be wrong.

    Parameters
    ----------
    headers : mapping of str to str
        Retry-After as seconds or as a date; Date.
    now_ns : int
        Wall clock, nanoseconds UTC.

    Examples
    --------
    >>> date = "Thu, 01 Jan 2026 00:00:"
    >>> retry_after_s({"Retry-After": f"{date}45 GMT", "Date": f"{date}15 GMT"}, 0)
    30.0
    """
    asked = headers.get("Retry-After", "").strip()[:_LONGEST_HEADER]
    if asked.isascii() and asked.isdigit():
        return min(float(asked), LONGEST_WAIT_S)
    until = _date(asked)
    if until is None:
        return None
    now = _date(headers.get("Date", "")[:_LONGEST_HEADER]) or datetime.fromtimestamp(now_ns / 1e9, UTC)
    return min(max((until - now).total_seconds(), 0.0), LONGEST_WAIT_S)


def _date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)
