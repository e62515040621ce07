"""Invariant 5: the same bits on any x86-64 processor with AVX2 and FMA."""

from __future__ import annotations

import json
import platform

import golden_stream
import pytest

pytestmark = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"), reason="haswell is an x86-64 processor"
)


@pytest.fixture(scope="module")
def elsewhere(haswell):
    """What the golden streams gave when compiled for the processor of 2013."""
    output, errors = haswell.communicate(timeout=600)
    assert haswell.returncode == 0, errors
    return json.loads(output)


def test_the_other_build_is_that_of_an_older_processor(elsewhere):
    """Registers of 32 bytes: otherwise the comparison would compare nothing."""
    assert elsewhere["registers"] == "ymm"


@pytest.mark.parametrize("part", ["fleet", "race", "networks", "scalars"])
def test_outputs_and_state_have_the_same_bits_as_on_haswell(elsewhere, part):
    assert elsewhere[part] == getattr(golden_stream, f"{part}_hash")()


def test_the_same_records_give_the_same_bits_twice():
    assert golden_stream.hashes() == golden_stream.hashes()
