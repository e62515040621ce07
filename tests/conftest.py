"""Fixtures that tests of several folders share."""

import pytest
from broker import Broker, running_broker
from real_parts import pytest_runtest_makereport

__all__ = ["broker", "pytest_runtest_makereport"]


@pytest.fixture(scope="session")
def session_broker(tmp_path_factory):
    with running_broker(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


@pytest.fixture
def broker(session_broker: Broker) -> Broker:
    """A real Kafka broker that is up, whatever the test before did to it."""
    session_broker.ensure_up()
    return session_broker
