"""The tree shows the architecture, and these tests hold it to that."""

from __future__ import annotations

import ast
import doctest
import importlib
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import streamrnn

ROOT = Path(__file__).resolve().parents[1]
LAYERS = ["streamrnn", "streamrnn.adapters", "streamrnn.connectors", "streamrnn.pipelines"]
FOLDERS = {"streamrnn": "streamrnn", "connectors": "streamrnn.connectors", "pipelines": "streamrnn.pipelines"}


def sources():
    return [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]


def layer_of(module):
    return max((layer for layer in LAYERS if f"{module}.".startswith(f"{layer}.")), key=len)


def module_of(path):
    top, *rest = path.relative_to(ROOT).with_suffix("").parts
    return ".".join([FOLDERS[top], *rest])


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import; import by full name"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", sources(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_imports_go_only_from_outer_layers_to_inner_ones(path):
    if path.name == "__main__.py":
        return  # it calls the command line: the one exception
    own = LAYERS.index(layer_of(module_of(path)))
    for name in imported(path):
        assert name.split(".")[0] not in ("connectors", "pipelines"), f"{path} must import by full name"
        if name.split(".")[0] == "streamrnn":
            assert LAYERS.index(layer_of(name)) <= own, f"{path} imports {name}"


@pytest.mark.parametrize("path", sources(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_only_the_adapters_know_the_libraries_that_they_adapt_to(path):
    foreign = {name.split(".")[0] for name in imported(path)} & {"river", "sklearn"}
    assert not foreign or layer_of(module_of(path)) == "streamrnn.adapters", f"{path} imports {foreign}"


def test_every_folder_with_code_is_in_the_wheel():
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    found = set()
    for path in sources():
        parts = path.relative_to(ROOT).parent.parts
        found.add(".".join([FOLDERS[parts[0]], *parts[1:]]))
    assert listed == found


def test_the_core_has_no_clock_no_threads_and_no_files():
    forbidden = {"time", "threading", "concurrent.futures", "socket", "asyncio", "multiprocessing", "random"}
    for path in sorted((ROOT / "streamrnn").rglob("*.py")):
        assert not forbidden & set(imported(path)), path


@pytest.mark.parametrize("folder", ["connectors", "pipelines"])
def test_the_folders_beside_the_package_cannot_be_imported_by_their_short_name(folder):
    run = subprocess.run(
        [sys.executable, "-c", f"import {folder}"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert f"import streamrnn.{folder}, not {folder}" in run.stderr


def test_importing_the_package_loads_nothing_heavy():
    code = "import streamrnn, sys; print({'numba', 'numpy', 'pandas', 'river'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


def test_all_names_the_public_names_and_each_can_be_had():
    assert sorted(streamrnn.__all__) == streamrnn.__all__
    assert set(streamrnn.__all__) - {"__version__"} == set(streamrnn._HOMES)
    for name in streamrnn.__all__:
        assert getattr(streamrnn, name) is not None
    with pytest.raises(AttributeError):
        _ = streamrnn.detectors


@pytest.mark.parametrize("name", [n for n in streamrnn.__all__ if n != "__version__"])
def test_every_public_name_is_documented(name):
    thing = getattr(streamrnn, name)
    assert thing.__doc__ and not thing.__doc__.startswith(f"{name}("), f"{name} has no docstring of its own"
    members = [m for m in vars(thing) if not m.startswith("_") and callable(getattr(thing, m))]
    for member in members:
        assert getattr(thing, member).__doc__, f"{name}.{member} has no docstring"


@pytest.mark.parametrize("name", [n for n in streamrnn.__all__ if n != "__version__"])
def test_every_public_name_carries_an_example_which_the_doctests_run(name):
    thing = getattr(streamrnn, name)
    module = importlib.import_module(thing.__module__)
    examples = [test for test in doctest.DocTestFinder().find(thing, name, module) if test.examples]
    assert examples


def test_no_file_or_function_grows_past_its_bound():
    for path in sources():
        text = path.read_text()
        assert text.count("\n") <= 400, path
        kernels = "kernels" in path.parts or "scoring" in path.parts
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                first = body[0].lineno if body else node.lineno
                length = (node.end_lineno or first) - first + 1
                assert length <= (80 if kernels else 60), f"{path}: {node.name} has {length} lines"
