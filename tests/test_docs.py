"""What the documents show is what happens."""

from __future__ import annotations

import doctest
import importlib
import io
import re
import runpy
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from river import evaluate, metrics

from streamrnn import Fleet, Settings
from streamrnn.layout import ModelLayout
from streamrnn.pipelines.options import make_parser
from streamrnn.space import round_up

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
    assert run_snippets("docs/library.md") == 13


def test_the_snippets_of_the_networks_print_what_stands_below_them():
    assert run_snippets("docs/networks.md") == 4


def test_the_snippets_of_the_concepts_print_what_stands_below_them():
    assert run_snippets("docs/concepts.md") == 3


@pytest.fixture(scope="module")
def generate():
    return runpy.run_path(str(ROOT / "docs" / "generate.py"), run_name="generate")


STALE = "{} is stale; run: python docs/generate.py"


@pytest.mark.parametrize("name", ["settings", "json"])
def test_pages_made_from_the_code_are_those_that_the_code_makes_now(generate, name):
    page = ROOT / "docs" / f"{name}.md"
    assert page.read_text() == generate[f"{name}_page"](), STALE.format(page.name)


@pytest.mark.parametrize("name", ["README.md", "docs/command-line.md"])
def test_what_pages_show_is_what_their_commands_print_now(generate, name):
    text = (ROOT / name).read_text()
    assert text.count("```sh\nstreamrnn replay") >= 1
    assert text == generate["with_outputs"](text), STALE.format(name)


def test_every_page_with_outputs_is_renewed_by_the_script(generate):
    shows = {str(p.relative_to(ROOT)) for p in PAGES if generate["_BLOCK"].search(p.read_text())}
    assert shows == set(generate["PAGES"])


def test_a_setting_without_words_of_its_own_is_refused_by_name(generate):
    with pytest.raises(KeyError, match=r"nothing says what labels\.luck is"):
        generate["meaning"]("labels.luck")


def test_the_page_of_the_command_line_names_every_option():
    commands = make_parser().parse_args(["replay"])
    page = (ROOT / "docs" / "command-line.md").read_text()
    options = {
        "output": "--output",
        "arrange": "--files",
        "command": "streamrnn replay",
        "files": "`FILE ...`",
    }
    for name in vars(commands):
        assert options.get(name, f"--{name.replace('_', '-')}") in page


def test_the_example_finds_both_faults_and_goes_on_over_a_restart(tmp_path):
    table = tmp_path / "pumps.csv"
    command = [sys.executable, ROOT / "examples" / "pumps.py", table]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "2025-10-24T12:00 UTC, pump-2: Pressure" in printed
    assert "2025-10-30T02:00 UTC, pump-1: Pressure" in printed
    assert printed.count(" in an hour: flow") == 2
    assert table.read_bytes().count(b"\n") == 4 + 2 * 6054


def forecaster_bytes(group_specs, n_channels, horizons, ring):
    """Memory as ``docs/how-it-works.md`` states it; of each group (units, lags, trained, blocks)."""
    others, k, longest = min(n_channels - 1, 8), len(horizons), horizons[-1]
    seasonal, inputs = k if ring else 0, 7 + others
    weights = 4 * (inputs + 2)
    total = 8 * k * (1 + longest) * round_up(3 * len(group_specs) + 1, 8) + 4 * ring
    for units, own_lags, trained, blocks in group_specs:
        padded, lags = round_up(units, 16), round_up(own_lags + 4 * others, 8)
        terms, stride = units + 1 + seasonal, round_up(units + 1 + seasonal, 8)
        total += 4 * padded * weights + 8 * (padded + inputs + 2) + 48 * padded
        if trained:
            covariance = weights * (weights / blocks + 1) / 2
            kept = 3 * weights + longest * (weights + blocks) + blocks + k
            total += 4 * padded * (covariance + kept)
        heads = terms * stride + terms * lags + lags**2 + k * (stride + lags + 3)
        total += 24 * (heads + longest * (2 * stride + 2 * lags + 1))
    return total


ONE, WHOLE = (12, 8, True, 4), (12, 8, True, 1)


@pytest.mark.parametrize(
    ("settings", "groups", "ring"),
    [
        ({}, [ONE], 2048),
        ({"horizons": (1, 4, 24), "season": "off"}, [ONE], 0),
        ({"season": 1000}, [ONE], 2048),
        (
            {"preset": "forecast", "horizons": (1, 24)},
            [WHOLE, WHOLE, (48, 8, False, 1), (0, 24, False, 1)],
            2048,
        ),
        ({"channels": list("abcdefghijkl"), "networks": "diagonal_lstm:50"}, [(50, 8, True, 4)], 2048),
        ({"networks": "diagonal_lstm:32:kalman_units", "lags": 16}, [(32, 16, True, 1)], 2048),
    ],
)
def test_the_memory_formula_of_forecasters_is_what_they_take(settings, groups, ring):
    asked = Settings.from_dict(settings)
    slow = tuple(name for name, spec in zip(asked.networks, asked.specs, strict=True) if not spec.forecasts)
    without = Settings.from_dict({**settings, "networks": slow or "none"})
    segments = len(ModelLayout(asked).row.segments) - len(ModelLayout(without).row.segments)
    taken = Fleet.bytes_per_series(asked) - Fleet.bytes_per_series(without)
    formula = len(asked.channels) * forecaster_bytes(groups, len(asked.channels), asked.horizons, ring)
    assert 0 <= taken - formula <= 64 * segments


def test_the_table_of_what_presets_cost_is_what_the_formulas_and_the_layout_give(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    flops, readouts, forecasters = map(importlib.import_module, ("flops", "readouts", "forecaster_cost"))
    page = (ROOT / "docs" / "how-it-works.md").read_text()
    rows = re.findall(
        r"^\| `(\w+)` \| ([\d, ]+) \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \|$", page, re.M
    )
    assert len(rows) == 6
    for preset, horizons, *stated in rows:
        settings = Settings(preset=preset, horizons=tuple(map(int, horizons.split(", "))))
        layout = ModelLayout(settings)
        networks = sum(
            flops.forward_flop(net.cell, net.hidden, net.inputs) / 2
            + (not net.shared) * flops.update_flop(net.cell, net.hidden, net.k1, net.k2, net.inputs) / 2
            for net in layout.networks
        )
        slow = sum(
            readouts.multiply_adds(1, net.hidden, horizons=len(settings.horizons)) for net in layout.networks
        )
        fast = sum(forecasters.multiply_adds(group, settings) for group in layout.groups)
        figures = [round(networks), slow, fast, Fleet.bytes_per_series(settings)]
        assert [int(text.replace(",", "")) for text in stated] == figures


PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def anchors(page):
    """The names that a page's headings have in links."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_and_headings_that_exist(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if link.startswith("https://"):
            continue
        path, _, heading = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name} links to {link}"
        assert not heading or heading in anchors(target), f"{page.name} links to {link}"
