"""Fixtures that tests of several folders share."""

import signal

import pytest
from broker import Broker, running_broker
from hypothesis import settings
from real_parts import pytest_runtest_makereport

__all__ = ["broker", "pytest_collection_modifyitems", "pytest_runtest_makereport"]

# A shell has what it starts in the background ignore Ctrl-C, and so would all daemons of the tests.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples on every machine, however slow it is: Hypothesis alone does so only where CI is set.
settings.register_profile("streamrnn", derandomize=True, deadline=None, database=None)
settings.load_profile("streamrnn")


# The files that take minutes, begun first, so that nothing waits for one of them at the end: those that
# compile most, then those that wait most, for which the kernels of daemons are compiled by then.
LONG = (
    "test_docs",
    "test_cells",
    "test_river",
    "test_forecaster",
    "test_invariants",
    "test_detector",
    "test_haswell",
    "test_daemon_kafka",
    "test_members",
    "test_daemon_kills",
    "test_exactly_once",
    "test_kafka_trouble",
    "test_daemon_trouble",
    "test_kafka_security",
    "test_feedback_daemon",
    "test_daemon",
    "test_live",
)


def pytest_collection_modifyitems(items):
    """Put the long files first."""
    items.sort(key=lambda item: LONG.index(item.path.stem) if item.path.stem in LONG else len(LONG))


@pytest.fixture(scope="session")
def session_broker(tmp_path_factory):
    with running_broker(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


@pytest.fixture
def broker(session_broker: Broker) -> Broker:
    """A real Kafka broker that is up, whatever the test before did to it."""
    session_broker.ensure_up()
    return session_broker
