"""Shared networks: how much of a record their forward pass is, which batching it over series could save.

Beside a fleet of 10,000 series with shared weights (random order, learning on; as ``fleet.py`` has it) the
same network alone takes the same number of steps, weights and state in the cache. Its share of the record
is more than any other order of the same arithmetic can save, since some of it would remain, and each row
would be fetched twice. ``rnn:7`` is what the preset has.

    python benchmarks/shared.py --json shared.json
"""

from __future__ import annotations

import sys
from argparse import Namespace
from dataclasses import replace
from functools import partial

import fleet
import networks
import numpy as np
from common import Contender, Report, Requirement, arguments, in_turn, stream

from streamrnn import Settings
from streamrnn.layout import ModelLayout

NETWORKS = ("rnn:7", "rnn:16", "rnn:32", "gru:7", "gru:16", "gru:32")
SERIES, QUICK_SERIES = 10_000, 100
STEPS, ROUNDS = 100_000, 9

REQUIRED = (Requirement("rnn:7/share", "<=", 0.05),)


def alone(name: str, settings: Settings) -> Contender:
    """The network of a model by itself, forward only."""
    shape = replace(ModelLayout(settings).networks[0], shared=False)
    inputs = np.ascontiguousarray(stream(STEPS, shape.inputs), np.float32)
    outputs = np.empty((STEPS, shape.outputs), np.float32)
    network = networks.Alone(shape)
    return Contender(f"{name}/forward", partial(network.take_columns, inputs, outputs, outputs, False), STEPS)


def contenders(series: int) -> list[Contender]:
    """Of each network: it alone, and a fleet of it."""
    found = []
    for name in NETWORKS:
        settings = fleet.with_prior(Settings(preset="shared", networks=(f"{name}:shared",)))
        run = fleet.work(fleet.warmed(settings, series), series, fleet.BATCH)
        found += [alone(name, settings), Contender(f"{name}/record", run, fleet.BATCH)]
    return found


def main(options: Namespace) -> int:
    """Measure, print, write."""
    series, rounds = (QUICK_SERIES, 1) if options.quick else (SERIES, ROUNDS)
    report = Report({f"{name}_ns": ns for name, ns in in_turn(contenders(series), rounds).items()})
    for name in NETWORKS:
        share = report.figures[f"{name}/forward_ns"] / report.figures[f"{name}/record_ns"]
        report.figures[f"{name}/share"] = share
    report.table(f"shared networks, {series} series", NETWORKS, ("forward_ns", "record_ns", "share"))
    passed = report.check(REQUIRED)
    report.write(options.json)
    return 1 if options.check and not passed else 0


if __name__ == "__main__":
    sys.exit(main(arguments(__doc__).parse_args()))
