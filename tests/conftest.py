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


# The files that take minutes, begun first, so that nothing waits for one of them at the end. While the
# first compiles what many need, the others compile what is theirs alone or wait for brokers; only then come
# those that find its kernels on disk, such as all that start daemons.
LONG = (
    "test_combinations",
    "test_cells",
    "test_kafka_trouble",
    "test_kafka_security",
    "test_kafka",
    "test_kafka_transaction",
    "test_grid",
    "test_bidirectional",
    "test_encoder_decoder",
    "test_sequences",
    "test_daemon_kafka_trouble",
    "test_daemon_kafka_kills",
    "test_members",
    "test_exactly_once",
    "test_haswell",
    "test_docs",
    "test_daemon_kills",
    "test_invariants",
    "test_canaries",
    "test_river",
    "test_daemon_kafka",
    "test_daemon_trouble",
    "test_feedback_daemon",
    "test_daemon",
    "test_live",
    "test_detector",
    "test_forecaster",
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
