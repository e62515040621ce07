"""What the benchmarks of detection share: the detector with changes, two processes, mean and spread."""

from __future__ import annotations

import multiprocessing
from argparse import ArgumentParser
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from streamrnn import Detector

Task = TypeVar("Task")
Found = TypeVar("Found")

SHIPPED = "default"
CONTROLS: dict[str, dict[str, Any]] = {
    SHIPPED: {},
    "no-forecaster": {"networks": ("none",)},  # alerts hear no pair and no slow error
    "linear": {"networks": ("lstm",), "hidden": 0},  # the readout on the lags in the networks' place
    "frozen": {"learning_rate": 0.0},  # networks as they were drawn; readouts learn
    "one-lstm": {"networks": ("lstm",)},
    "one-gru": {"networks": ("gru",)},
}
"""Detectors to set beside each other: what each changes of the shipped settings."""

PROCESSES = 2
_NOT_VALUES = ("timestamp", "label", "changepoint")


def detection_arguments(parser: ArgumentParser, layout: str) -> ArgumentParser:
    """The options of benchmarks that score recorded files."""
    add = parser.add_argument
    add("--results", type=Path, metavar="DIR", help=f"write the first seed's scores: {layout}")
    add("--seeds", type=int, default=4, metavar="N", help="runs with seeds 0 to N - 1 (default: 4)")
    add(
        "--control",
        nargs="+",
        default=[],
        choices=CONTROLS,
        metavar="NAME",
        help=f"set beside the shipped detector: {', '.join(name for name in CONTROLS if name != SHIPPED)}",
    )
    return parser


def detected(frame: pd.DataFrame, control: str, seed: int) -> pd.DataFrame:
    """What a detector says of each row of a table, in one pass; its times serve where they are dates."""
    values = frame.drop(columns=[name for name in _NOT_VALUES if name in frame])
    numbered = pd.api.types.is_numeric_dtype(frame["timestamp"])
    time = None if numbered else pd.to_datetime(frame["timestamp"])
    return Detector(seed=seed, **CONTROLS[control]).process_many(values.astype(np.float64), time)


def in_processes(work: Callable[[Task], Found], tasks: Iterable[Task]) -> Iterator[Found]:
    """The work on each task, in their order, in a few processes."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(PROCESSES, mp_context=context) as pool:
        yield from pool.map(work, tasks)


def spread(name: str, values: Iterable[float]) -> dict[str, float]:
    """Mean, and standard deviation where there are several, as figures of a report."""
    numbers = np.array(list(values), np.float64)
    found = {name: float(numbers.mean())}
    return found | ({f"{name}_sd": float(numbers.std(ddof=1))} if len(numbers) > 1 else {})
