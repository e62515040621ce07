"""The adding problem: who remembers two of many inputs (Hochreiter and Schmidhuber 1997, section 5.4).

A sequence has as many steps as the lag, each a number from U(0, 1) and a mark. Two
steps are marked, one in each half; the only target is the sum of their numbers, at the
last step. Who says 1 always has a mean square error of 1/6. All networks learn alike
(``SequenceModel``, whole sequences, Adam), from sequences that never come twice, until the
error on others is below ``SOLVED`` or the sequences are used up.

    python benchmarks/long_memory.py --json long_memory.json --plot long_memory.png
"""

from __future__ import annotations

import sys
import time
from argparse import Namespace
from pathlib import Path

import numpy as np
from common import Report, Requirement, arguments
from numpy.typing import NDArray

from streamrnn.diagnostics import plot_gradient_norms
from streamrnn.sequences import SequenceModel

CELLS = ("lstm", "gru", "rnn")
LAGS = (100, 200)
UNITS, RATE, BETA_2, BATCH = 16, 3e-3, 0.999, 10
ROUND = 5_000  # sequences between two looks at the error
TESTED = 500
SOLVED = 0.002

REQUIRED = tuple(
    Requirement(f"{cell}/{lag}/error", "<=" if cell != "rnn" else ">=", 0.01 if cell != "rnn" else 0.05)
    for lag in LAGS
    for cell in CELLS
)

Array = NDArray[np.float64]


def adding(rng: np.random.Generator, n: int, lag: int) -> tuple[Array, Array]:
    """(inputs (n, lag, 2), targets (n, lag, 1)) of n sequences."""
    x, y = np.zeros((n, lag, 2)), np.full((n, lag, 1), np.nan)
    x[:, :, 0] = rng.uniform(size=(n, lag))
    for first, last in ((0, lag // 2), (lag // 2, lag)):
        x[np.arange(n), rng.integers(first, last, n), 1] = 1.0
    y[:, -1, 0] = (x[:, :, 0] * x[:, :, 1]).sum(axis=1)
    return x, y


def error(model: SequenceModel, x: Array, y: Array) -> float:
    """Mean square error."""
    return 2.0 * float(np.mean([model.evaluate(*pair) for pair in zip(x, y, strict=True)]))


def learned(cell: str, lag: int, most: int) -> tuple[dict[str, float], Array]:
    """Figures of a network that learned from at most so many sequences, and its gradients' norms at first."""
    rng = np.random.default_rng(0)
    model = SequenceModel(cell, units=UNITS, inputs=2, rate=RATE, beta_2=BETA_2)
    x, y = adding(rng, TESTED, lag)
    norms = np.mean([model.gradient_norms(*pair) for pair in zip(x[:20], y[:20], strict=True)], axis=0)
    left, seen, used = error(model, x, y), 0, 0.0
    while seen < most and left > SOLVED:
        sequences = adding(rng, min(ROUND, most - seen), lag)
        start = time.process_time()
        model.fit(*sequences, batch=BATCH)
        used += time.process_time() - start
        seen += len(sequences[0])
        left = error(model, x, y)
    reach = float(norms[-1] / norms[0])
    return {"error": left, "sequences": seen, "s": used, "reach": reach}, norms


def main(options: Namespace) -> int:
    """Learn, print, write."""
    figures, norms = {}, {}
    for lag in LAGS:
        for cell in CELLS:
            found, norms[f"{cell}, {lag} steps"] = learned(cell, lag, 100 if options.quick else options.most)
            figures |= {f"{cell}/{lag}/{name}": value for name, value in found.items()}
    report = Report(figures)
    rows = [f"{cell}/{lag}" for lag in LAGS for cell in CELLS]
    print("\nreach: an untrained network's gradient at the first step to that at the last")
    title = "adding problem: mean square error (1/6: nothing learned), sequences, CPU s"
    report.table(title, rows, ["error", "sequences", "s", "reach"])
    report.write(options.json)
    if options.plot:
        plot_gradient_norms(norms).savefig(options.plot)
    return 1 if options.check and not report.check(REQUIRED) else 0


if __name__ == "__main__":
    parser = arguments(__doc__)
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw gradient norms back in time")
    parser.add_argument("--most", type=int, default=300_000, help="sequences that a network may learn from")
    sys.exit(main(parser.parse_args()))
