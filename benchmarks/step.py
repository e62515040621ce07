"""What one record costs: the network alone, the whole detector, and peers, in CPU time.

All contenders of a run take turns, so that a figure may be compared with any
other of the same run, and only with those. Figures are medians over the rounds;
so is the peak, which takes its turn between the others. ``flops.py`` says what
counts as arithmetic, ``bounds.py`` what time a record would take at best.

    python benchmarks/step.py --json step.json
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from itertools import chain

import detectors
import networks
import peak
import readouts
from bounds import Machine
from common import Contender, Report, Requirement, arguments, in_turn
from peers import jax_lstm, river_models, torch_lstm

LARGEST_PEER = 64  # beyond it the peers only take longer

REQUIRED = (
    Requirement("lstm/16/chunk/learn/fma_share", ">=", 0.35),
    Requirement("lstm/32/chunk/learn/fma_share", ">=", 0.60),
    Requirement("lstm/64/chunk/learn/fma_share", ">=", 0.50),
    Requirement("lstm/16/one/ratio", "<=", 12),
    Requirement("gru/16/one/ratio", "<=", 12),
    Requirement("jax/16/forward/ratio", ">=", 5),
    Requirement("jax/32/forward/ratio", ">=", 5),
    Requirement("jax/16/learn/ratio", ">=", 12),
    Requirement("jax/32/learn/ratio", ">=", 12),
    *(
        Requirement(f"{cell}/{hidden}/chunk/learn/to_lstm", ">=", 0.75)
        for cell in networks.ALL_CELLS
        for hidden in (32, 64)
    ),
)


def main(options: Namespace) -> int:
    """Measure, print, write."""
    sizes, cells = options.hidden, options.cell
    groups = [networks.contenders(cell, hidden) for cell in cells for hidden in sizes]
    groups += [
        networks.shipped_contenders(cells),
        readouts.contenders(),
        detectors.contenders(),
        *_peers(sizes),
    ]
    machine = [peak.contender(), *peak.bounds()]
    contenders = list(chain.from_iterable([*machine, *group] for group in groups))
    times = in_turn(contenders, rounds=3 if options.quick else 25)
    report = Report(_figures(times, sizes, cells))
    _print(report, sizes, cells)
    report.write(options.json)
    passed = report.check(REQUIRED)
    return 1 if options.check and not passed else 0


def _peers(sizes: Sequence[int]) -> list[list[Contender]]:
    small = [hidden for hidden in sizes if hidden <= LARGEST_PEER]
    makers: dict[str, Callable[[], list[Contender]]] = {
        "jax": lambda: jax_lstm.contenders(small),
        "torch": lambda: torch_lstm.contenders(small),
        "river": river_models.contenders,
    }
    groups = []
    for name, make in makers.items():
        try:
            groups.append(make())
        except ImportError:
            print(f"{name}: not installed")
    return groups


def _figures(times_ns: dict[str, float], sizes: Sequence[int], cells: Sequence[str]) -> dict[str, float]:
    """Every figure of the report from the times of a sample."""
    machine = Machine(*(times_ns.pop(name) for name in (peak.NAME, "division", "root", "feedback")))
    figures = {"peak/gflops": 1.0 / machine.peak}
    for hidden in sizes:
        for cell in cells:
            figures |= networks.derived(times_ns, cell, hidden, machine)
        figures |= _against_lstm(figures, hidden, cells)
        figures |= _against_jax(times_ns, hidden)
    figures |= readouts.derived(times_ns)
    return figures | {f"{name}/us": time * 1e-3 for name, time in times_ns.items()}


def _against_lstm(figures: dict[str, float], hidden: int, cells: Sequence[str]) -> dict[str, float]:
    """Each cell's share of the peak while learning, to the LSTM's."""
    shares = {cell: figures[f"{cell}/{hidden}/chunk/learn/fma_share"] for cell in cells}
    if "lstm" not in shares:
        return {}
    return {f"{cell}/{hidden}/chunk/learn/to_lstm": share / shares["lstm"] for cell, share in shares.items()}


def _against_jax(times_ns: dict[str, float], hidden: int) -> dict[str, float]:
    """JAX's time to ours; its learning against our recomputed windows (the same work) and our default."""
    figures, jax, ours = {}, f"jax/{hidden}", f"lstm/{hidden}/chunk"
    for name, theirs, our_kind in (
        ("forward/ratio", "forward", "forward"),
        ("learn/ratio", "learn", "recompute"),
        ("learn/tuned_ratio", "learn/tuned", "recompute"),
        ("learn/stored_ratio", "learn", "learn"),
    ):
        if {f"{jax}/{theirs}", f"{ours}/{our_kind}"} <= times_ns.keys():
            figures[f"{jax}/{name}"] = times_ns[f"{jax}/{theirs}"] / times_ns[f"{ours}/{our_kind}"]
    return figures


def _print(report: Report, sizes: Sequence[int], cells: Sequence[str]) -> None:
    print(f"\npeak of float32 multiply-adds: {report.figures['peak/gflops']:.0f} GFLOP/s")
    rows = [f"{cell}/{hidden}" for cell in cells for hidden in sizes]
    k = f"k1 = {networks.K1}, k2 = {networks.K2}"
    report.table(
        f"network alone, {k}, us a record",
        rows,
        ["chunk/forward/us", "chunk/learn/us", "chunk/recompute/us", "one/forward/us"],
    )
    report.table(
        "share of the peak, learning's to the LSTM's, and one call a record to one call a stream",
        rows,
        ["chunk/forward/fma_share", "chunk/learn/fma_share", "chunk/learn/to_lstm", "one/ratio"],
    )
    report.table(
        "learning at best on this machine, us a record, and how much of the time it is that takes",
        rows,
        ["chunk/learn/bound/us", "chunk/learn/bound_share"],
    )
    report.table(
        f"network alone, k1 = {networks.SHIPPED_K1}, k2 = {networks.SHIPPED_K2}, us a record",
        [f"{cell}/{hidden}" for cell in cells for hidden in networks.SHIPPED_HIDDEN],
        ["shipped/learn/us"],
    )
    report.table(
        "readout alone: us a record, and multiply-adds of its formula a ns",
        [f"readout/{channels}" for channels in readouts.CHANNELS],
        ["us", "multiply_adds_per_ns"],
    )
    report.table(
        "whole detector, us a record",
        [f"detector/{channels}" for channels in detectors.CHANNELS],
        ["full/us", "one/us", "many/us"],
    )
    report.table(
        f"peers, {k}, us a record",
        [f"{peer}/{hidden}" for peer in ("jax", "torch") for hidden in sizes],
        ["forward/us", "learn/us", "learn/tuned/us"],
    )
    report.table(
        "JAX to ours; learning with our windows recomputed, as JAX does, and stored",
        [f"jax/{hidden}" for hidden in sizes],
        ["forward/ratio", "learn/ratio", "learn/tuned_ratio", "learn/stored_ratio"],
    )
    river = [name.removesuffix("/us") for name in report.figures if name.startswith("river/")]
    report.table("River, other work, us a record", river, ["us"])


def _cells(text: str) -> tuple[str, ...]:
    return networks.ALL_CELLS if text == "all" else tuple(text.split(","))


def _sizes(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


if __name__ == "__main__":
    parser = arguments(__doc__)
    parser.add_argument("--hidden", type=_sizes, default=[16, 32, 64, 128], help="hidden sizes, 16,32")
    parser.add_argument("--cell", type=_cells, default=networks.CELLS, help="cells, lstm,rnn or all")
    sys.exit(main(parser.parse_args()))
