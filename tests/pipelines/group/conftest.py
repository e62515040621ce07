"""Groups of daemons for tests."""

from __future__ import annotations

import pytest
from groups import Group


@pytest.fixture
def grouped(broker, tmp_path):
    """Makes groups whose daemons end with the test."""
    groups = []

    def make(write, kind=Group, **settings):
        groups.append(kind(broker, tmp_path, write, **settings))
        return groups[-1]

    yield make
    for group in groups:
        group.end()
