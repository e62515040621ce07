"""The slow compilation of ``test_haswell.py`` runs beside the other kernel tests."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
X86_64 = ("x86_64", "AMD64")


@pytest.fixture(scope="session", autouse=True)
def haswell(request, tmp_path_factory):
    """A process that runs the golden stream compiled for a processor of 2013; None if no test asks.

    The name alone is not enough: without ``NUMBA_CPU_FEATURES`` Numba adds the
    features of the machine at hand to it. An empty list leaves those of the name.
    """
    asked = any(item.path.name == "test_haswell.py" for item in request.session.items)
    if not asked or platform.machine() not in X86_64:
        yield None
        return
    environment = {
        **os.environ,
        "NUMBA_CPU_NAME": "haswell",
        "NUMBA_CPU_FEATURES": "",
        "STREAMRNN_CACHE_DIR": str(tmp_path_factory.mktemp("haswell")),
        "PYTHONPATH": os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")]),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "golden_stream"],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    yield process
    if process.poll() is None:
        process.kill()
    process.communicate()
