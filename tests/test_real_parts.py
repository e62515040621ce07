"""A skip for want of a required real part is a failure."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TEST = """
import pytest
from real_parts import skip_without

@pytest.fixture
def part():
    skip_without("kafka", "install Java")

def test_with_the_part(part):
    pass

def test_of_another_kind():
    pytest.skip("not on Mondays")
"""


@pytest.mark.parametrize(
    ("required", "said"),
    [("", "2 skipped"), ("browser", "2 skipped"), ("browser, kafka", "1 skipped, 1 error")],
)
def test_a_required_part_that_is_missing_fails_the_run_and_says_why(tmp_path, required, said):
    (tmp_path / "test_part.py").write_text(TEST)
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "real_parts", "-p", "no:cacheprovider", "-rs", "test_part.py"],
        cwd=tmp_path,
        env={**os.environ, "STREAMRNN_REQUIRE": required, "PYTHONPATH": str(Path(__file__).parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert said in run.stdout and "install Java" in run.stdout
    assert run.returncode == (1 if "error" in said else 0)
