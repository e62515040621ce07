"""Processes share what they compile."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from numba.core.codegen import JITCPUCodegen

from streamrnn.kernels.compiling import entry_point, kernel

MODULE = """
import sys
import time
from numba.extending import overload
from streamrnn.kernels.compiling import entry_point

def slow(x):
    pass

@overload(slow)
def compile_slowly(x):
    time.sleep(1.0)
    return lambda x: x + x

@entry_point
def double(x):
    return slow(x)

print("ready", flush=True)
for line in sys.stdin:
    double(eval(line))
print(sum(double.stats.cache_hits.values()), sum(double.stats.cache_misses.values()))
"""


@pytest.fixture
def process(tmp_path):
    """Starts a process that doubles numbers, once it is told to; its end is awaited."""
    (tmp_path / "doubling.py").write_text(MODULE)
    environment = os.environ | {"STREAMRNN_CACHE_DIR": str(tmp_path / "cache")}
    started = []

    def start():
        one = subprocess.Popen(
            [sys.executable, tmp_path / "doubling.py"],
            env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        started.append(one)
        return one

    yield start
    for one in started:
        with one:  # closes its pipes
            one.kill()


def loaded_and_compiled(process, *numbers):
    """Have processes double a number each, all at once; how often each found a kernel, and found none."""
    for one in process:
        assert one.stdout.readline() == "ready\n"
    for one, number in zip(process, numbers, strict=True):
        one.stdin.write(number)
        one.stdin.close()
    return [tuple(map(int, one.stdout.readline().split())) for one in process]


def test_of_processes_that_want_the_same_kernel_one_compiles_it(process):
    found = loaded_and_compiled([process() for _ in range(3)], "1.0\n", "1.0\n", "1.0\n")
    assert sorted(found) == [(0, 1), (1, 0), (1, 0)]


def test_kernels_for_other_types_that_are_compiled_at_once_are_all_there(process):
    numbers = ("1.0\n", "1\n", "1j\n")
    assert loaded_and_compiled([process() for _ in range(3)], *numbers) == [(0, 1)] * 3
    assert loaded_and_compiled([process()], "".join(numbers)) == [(3, 0)]


def test_machine_code_is_made_of_an_entry_point_alone(monkeypatch):
    made, keep = [], JITCPUCodegen._add_module
    monkeypatch.setattr(
        JITCPUCodegen, "_add_module", lambda one, code: made.append(code.name) or keep(one, code)
    )

    @kernel
    def half(x):
        if x < 0:
            raise ValueError("negative")
        return x / 2

    @entry_point
    def quarter(x):
        return half(half(x))

    @entry_point
    def eighth(x):
        return half(quarter(x))

    assert eighth(2.0) == 0.25
    assert quarter(2.0) == 0.5
    with pytest.raises(ValueError, match="negative"):
        eighth(-1.0)
    assert [name.rpartition(".")[2] for name in made] == ["quarter", "eighth"]
