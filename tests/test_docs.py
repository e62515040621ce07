"""What the documents show is what happens."""

from __future__ import annotations

import doctest
import importlib
import io
import re
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from river import evaluate, metrics

ROOT = Path(__file__).resolve().parents[1]
HOMES = {"streamrnn": "streamrnn", "connectors": "streamrnn.connectors", "pipelines": "streamrnn.pipelines"}


def modules():
    for folder, name in HOMES.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            yield ".".join([name, *(part for part in parts if part != "__init__")])


@pytest.mark.parametrize("name", [name for name in modules() if not name.endswith("__main__")])
def test_examples_in_docstrings_run(name):
    failed, _ = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert failed == 0


# A snippet, and right below it, where it prints, what it prints.
SNIPPET = re.compile(r"^```python\n(.*?)^```\n(?:```text\n(.*?)^```\n)?", re.DOTALL | re.MULTILINE)


def run_snippets(page, **names):
    """Run a page's snippets in their order, in one namespace; their number."""
    text = (ROOT / page).read_text()
    snippets = list(SNIPPET.finditer(text))
    for snippet in snippets:
        code, expected = snippet.groups(default="")
        place = f"{page}, line {text.count(chr(10), 0, snippet.start()) + 2}"
        with redirect_stdout(io.StringIO()) as printed:
            exec(compile(code, place, "exec"), names)
        assert printed.getvalue() == expected, place
    return len(snippets)


def test_the_snippets_of_the_readme_run():
    index = pd.date_range("2026-01-01", periods=200, freq="1min")
    frame = pd.DataFrame({"value": np.sin(np.arange(200) / 5)}, index)
    labelled = [({"value": value}, False) for value in frame["value"]]
    stand_ins = {"readings": zip(index, frame["value"], strict=True), "frame": frame.shift(freq="200min")}
    stand_ins |= {"labelled": labelled, "history": frame[:150], "X": frame[150:]}
    assert run_snippets("README.md", **stand_ins, evaluate=evaluate, metrics=metrics) == 2


def test_the_snippets_of_the_library_guide_print_what_stands_below_them():
    assert run_snippets("docs/library.md") == 8
