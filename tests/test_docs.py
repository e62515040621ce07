"""What the documents show is what happens."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import streamrnn


def modules():
    return [info.name for info in pkgutil.walk_packages(streamrnn.__path__, "streamrnn.")]


@pytest.mark.parametrize("name", [name for name in modules() if not name.endswith("__main__")])
def test_examples_in_docstrings_run(name):
    failed, _ = doctest.testmod(importlib.import_module(name))
    assert failed == 0
