"""What the benchmarks share: contenders measured in turn, and a report of flat figures."""

from __future__ import annotations

import json
import operator
import os
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Contender:
    """One thing to be timed.

    Attributes
    ----------
    name : str
        The figure's name, without its unit.
    run : callable
        Does the work once; goes on from where it stopped.
    samples : int
        Records (or whatever is counted) of one run.
    clock : callable
        CPU time in nanoseconds: this thread's, or the process's for a library
        that may work in threads of its own.
    """

    name: str
    run: Callable[[], object]
    samples: int
    clock: Callable[[], int] = time.thread_time_ns


def times_in_turn(contenders: Sequence[Contender], rounds: int) -> dict[str, list[float]]:
    """CPU nanoseconds a sample of each contender in every round, by name.

    Every round runs each contender once, so that whatever slows the machine
    for a while slows all alike. Contenders of one name are pooled.
    """
    times: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    for contender in contenders:
        contender.run()  # compiles, fills caches and windows
    for _ in range(rounds):
        for contender in contenders:
            start = contender.clock()
            contender.run()
            times[contender.name].append((contender.clock() - start) / contender.samples)
    return times


def in_turn(contenders: Sequence[Contender], rounds: int) -> dict[str, float]:
    """The medians of ``times_in_turn``."""
    return {name: median(values) for name, values in times_in_turn(contenders, rounds).items()}


_RELATIONS = {"<=": operator.le, ">=": operator.ge, "<": operator.lt}


@dataclass(frozen=True)
class Requirement:
    """A bound on a figure; ``relation`` is ``<=``, ``>=`` or ``<``."""

    figure: str
    relation: str
    bound: float

    def verdict(self, figures: dict[str, float]) -> str:
        """PASS, FAIL, or ``not measured``."""
        if self.figure not in figures:
            return "not measured"
        return "PASS" if _RELATIONS[self.relation](figures[self.figure], self.bound) else "FAIL"


@dataclass
class Report:
    """Figures by name, printed as tables and written as one flat JSON object."""

    figures: dict[str, float] = field(default_factory=dict)

    def table(self, title: str, rows: Iterable[str], columns: Sequence[str]) -> None:
        """Print figures ``row/column`` as a table, without rows that have none."""
        names = [row for row in rows if any(f"{row}/{column}" in self.figures for column in columns)]
        if not names:
            return
        width = max(map(len, names))
        print(f"\n{title}")
        print(" " * width + "".join(f"  {column:>18}" for column in columns))
        for row in names:
            cells = (self._cell(f"{row}/{column}") for column in columns)
            print(f"{row:{width}}" + "".join(f"  {cell:>18}" for cell in cells))

    def _cell(self, name: str) -> str:
        return f"{self.figures[name]:.3g}" if name in self.figures else ""

    def check(self, requirements: Iterable[Requirement]) -> bool:
        """Print every requirement with its figure; whether none failed."""
        print("\nrequired")
        verdicts = []
        for requirement in requirements:
            verdicts.append(requirement.verdict(self.figures))
            figure = self._cell(requirement.figure)
            print(
                f"{requirement.figure:32}{figure:>10}  {requirement.relation} {requirement.bound:<6g}"
                f"{verdicts[-1]}"
            )
        return "FAIL" not in verdicts

    def write(self, path: Path | None) -> None:
        """Write the figures as JSON, names sorted; nothing without a path."""
        if path is not None:
            path.write_text(json.dumps(self.figures, indent=1, sort_keys=True) + "\n")


def arguments(docstring: str | None) -> ArgumentParser:
    """A parser of the options that every benchmark has; the module's first line describes it."""
    parser = ArgumentParser(description=(docstring or "").partition("\n")[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures, name to number")
    parser.add_argument("--quick", action="store_true", help="few repetitions: no more than a smoke test")
    parser.add_argument("--check", action="store_true", help="exit with 1 where a requirement fails")
    return parser


def stream(n: int, channels: int = 1, seed: int = 1) -> NDArray[np.float64]:
    """(n, channels) float64: two periods and noise, each channel shifted in time."""
    rng = np.random.default_rng(seed)
    t = np.arange(n)[:, None] + 17.0 * np.arange(channels)
    return np.sin(t * 0.1) + 0.3 * np.sin(t * 0.037) + 0.05 * rng.normal(size=(n, channels))


def memory_mb() -> float:
    """What this process holds now, on Linux."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
