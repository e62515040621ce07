"""Real parts that tests start: skipped where they cannot be had, failed where they must be.

``STREAMRNN_REQUIRE=kafka,browser`` names the parts that must be there.
"""

import os
from typing import NoReturn

import pytest


def skip_without(part: str, how: str) -> NoReturn:
    """Skip the test, or whatever wants this fixture, saying how to run it."""
    pytest.skip(f"needs {part}: {how}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """A skip for want of a required part is a failure."""
    report = yield
    if report.skipped and call.excinfo is not None and call.excinfo.errisinstance(pytest.skip.Exception):
        reason = str(call.excinfo.value)
        required = [part.strip() for part in os.environ.get("STREAMRNN_REQUIRE", "").split(",")]
        if any(part and reason.startswith(f"needs {part}:") for part in required):
            report.outcome = "failed"
            report.longrepr = f"STREAMRNN_REQUIRE: {reason}"
    return report
