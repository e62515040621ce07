"""Invariant 5: the same bits on any x86-64 processor with AVX2 and FMA."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import golden_stream
import pytest

TESTS = Path(__file__).parents[1]

pytestmark = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"), reason="haswell is an x86-64 processor"
)


def started(folder, *cells):
    """A process that runs the golden streams compiled for the processor of 2013.

    The name alone is not enough: without ``NUMBA_CPU_FEATURES`` Numba adds the
    features of the machine at hand to it. An empty list leaves those of the name.
    """
    environment = {
        **os.environ,
        "NUMBA_CPU_NAME": "haswell",
        "NUMBA_CPU_FEATURES": "",
        "STREAMRNN_CACHE_DIR": str(folder),
        "PYTHONPATH": os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")]),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "golden_stream", *cells],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def said_by(process):
    output, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    return json.loads(output)


@pytest.fixture(scope="module", autouse=True)
def haswell(tmp_path_factory):
    """Such a process, beside the first test."""
    process = started(tmp_path_factory.mktemp("haswell"))
    yield process
    if process.poll() is None:
        process.kill()
    process.communicate()


@pytest.fixture(scope="module")
def elsewhere(haswell):
    """What the golden streams gave there."""
    return said_by(haswell)


def test_the_same_records_give_the_same_bits_twice():
    assert golden_stream.hashes() == golden_stream.hashes()


def test_the_other_build_is_that_of_an_older_processor(elsewhere):
    """Registers of 32 bytes: otherwise the comparison would compare nothing."""
    assert elsewhere["registers"] == "ymm"


@pytest.mark.parametrize("part", ["fleet", "race", "networks", "scalars"])
def test_outputs_and_state_have_the_same_bits_as_on_haswell(elsewhere, part):
    assert elsewhere[part] == getattr(golden_stream, f"{part}_hash")()


@pytest.mark.soak
def test_networks_of_other_activations_have_the_same_bits_as_on_haswell(tmp_path):
    found = said_by(started(tmp_path, *golden_stream.BESIDE_TANH))
    assert found["registers"] == "ymm"
    assert found["networks"] == golden_stream.networks_hash(golden_stream.BESIDE_TANH)
