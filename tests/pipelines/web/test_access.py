"""Who may see a live page, and what it gives away."""

from __future__ import annotations

import pytest

from streamrnn.errors import SettingsError
from streamrnn.pipelines.web.access import Access

TOKEN = "correct horse battery"


@pytest.mark.parametrize("host", ["", "0.0.0.0", "::", "192.168.1.7", "plant.example"])
def test_without_a_token_only_this_machine_can_be_listened_to(host):
    with pytest.raises(SettingsError, match="open to whoever reaches it"):
        Access(host, None)
    Access(host, TOKEN)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "[::1]", "localhost"])
def test_on_loopback_no_token_is_needed(host):
    assert Access(host, None).knows({})


def test_a_short_token_is_refused():
    with pytest.raises(SettingsError, match="shorter than 8"):
        Access("127.0.0.1", "secret")


@pytest.mark.parametrize(
    ("headers", "fine"),
    [
        ({"Host": "127.0.0.1:9464"}, True),
        ({"Host": "[::1]:9464"}, True),
        ({"Host": "LOCALHOST:80"}, True),
        ({"Host": "10.1.2.3:9464"}, True),
        ({"Host": "page.plant.example"}, True),
        ({"Host": "evil.example:9464"}, False),  # a name that its owner points at this machine
        ({"Host": "127.0.0.1.evil.example"}, False),
        ({"Host": ""}, False),
        ({}, False),
        ({"Host": "localhost:9464", "Origin": "http://localhost:9464"}, True),
        ({"Host": "localhost:9464", "Origin": "https://localhost:9464"}, True),
        ({"Host": "localhost:9464", "Origin": "http://localhost:8000"}, False),
        ({"Host": "localhost:9464", "Origin": "https://evil.example"}, False),
        ({"Host": "localhost:9464", "Origin": "null"}, False),
    ],
)
def test_requests_of_other_sites_and_under_foreign_names_are_refused(headers, fine):
    access = Access("127.0.0.1", TOKEN, ["page.plant.example"])
    assert (access.refuses(headers) == "") is fine


def test_the_cookie_stands_for_the_token_and_does_not_hold_it():
    access = Access("0.0.0.0", TOKEN)
    cookie = access.cookie()
    assert TOKEN not in cookie and "HttpOnly" in cookie and "SameSite" in cookie
    assert access.knows({"Cookie": cookie.partition(";")[0]})
    assert not Access("0.0.0.0", f"{TOKEN}!").knows({"Cookie": cookie.partition(";")[0]})


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer correct"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": "Bearer \N{SNOWMAN}"},
        {"Cookie": "streamrnn="},
        {"Cookie": "streamrnn=\N{SNOWMAN}"},
        {"Cookie": "a b;;=="},
    ],
)
def test_whoever_has_no_token_is_not_known(headers):
    assert not Access("127.0.0.1", TOKEN).knows(headers)
