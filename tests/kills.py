"""Daemons killed with SIGKILL again and again, in every phase of their lives, while their input grows."""

from __future__ import annotations

import itertools
import logging
import os
import random
import re
import signal
import time

_LOG = logging.getLogger("kills")
_LONGEST_S = 90.0  # that a life waits for its moment
PHASES = ("start", "catch-up", "snapshot", "steady", "steady")
EVERY = ("20ms", "200ms", "1h")  # between snapshots: always one under way, some, none since long ago


def a_seed(fixed=None):
    """A seed, said so that the run can be done again: STREAMRNN_SOAK_SEED sets it."""
    seed = int(os.environ.get("STREAMRNN_SOAK_SEED") or fixed or random.SystemRandom().randrange(2**32))
    print(f"STREAMRNN_SOAK_SEED={seed}", flush=True)  # noqa: T201
    return seed


def soak_kills(otherwise=200):
    """How often a soak run kills: STREAMRNN_SOAK_KILLS sets it."""
    return int(os.environ.get("STREAMRNN_SOAK_KILLS") or otherwise)


class FileFeed:
    """A file that grows by pieces that may end anywhere; its path may be given to a new one now and then.

    Parameters
    ----------
    path : Path
    head : str
        The line that each file starts with.
    rows : list of str
    rng : random.Random
        Where pieces end.
    rotations : set of int
        Rows before which a new file begins.
    """

    def __init__(self, path, head, rows, rng, rotations=()):
        self._path, self._rng = path, rng
        self._pieces = []  # the text of each file
        starts = [0, *sorted(rotations), len(rows)]
        for start, end in itertools.pairwise(starts):
            self._pieces.append("\n".join([head, *rows[start:end]]) + "\n")
        self._size = sum(map(len, self._pieces))
        self._given = self._file = self._at = 0

    def more(self, share):
        """Write a piece, where less than a share of all is there; False where it is."""
        if self._given >= share * self._size:
            return False
        text = self._pieces[self._file]
        if self._at == len(text):
            self._path.rename(self._path.with_name(f"{self._path.name}.{self._file}"))
            self._file, self._at = self._file + 1, 0
            text = self._pieces[self._file]
        piece = text[self._at : self._at + self._rng.randrange(1, 20_000)]
        with self._path.open("a") as file:
            file.write(piece)
        self._at += len(piece)
        self._given += len(piece)
        return True


class Killer:
    """Starts a daemon and kills it at moments that a seed decides.

    Parameters
    ----------
    runner : Runner
    output : str
        A file of the runner's folder that tells how far it is.
    begun : bytes
        What it logs when it begins to read.
    feed : FileFeed or alike
    rng : random.Random
    """

    def __init__(self, runner, output, begun, feed, rng):
        self._runner, self._output, self._begun, self._feed, self._rng = runner, output, begun, feed, rng
        self._log = runner.folder / "stderr.txt"
        self._pipeline = runner.folder / "p.toml"
        self.hits = dict.fromkeys(PHASES, 0)

    def kill(self, times):
        """Kill it so many times while the input comes to its end."""
        for turn in range(times):
            self._live_once((turn + 1) / times)
        while self._feed.more(1.0):
            pass
        _LOG.warning("killed %s", ", ".join(f"{n} in {phase}" for phase, n in self.hits.items()))

    def _live_once(self, share):
        rng = self._rng
        every = f'every = "{rng.choice(EVERY)}"'
        self._pipeline.write_text(re.sub(r'every = ".*"', every, self._pipeline.read_text()))
        with self._log.open("wb") as log:
            process = self._runner.start(stderr=log)
        phase = rng.choice(PHASES)
        try:
            self._wait_for(phase, process, share)
        finally:
            process.kill()
            process.wait()
        assert process.returncode == -signal.SIGKILL, f"{phase}: {self._log.read_text()}"
        self.hits[phase] += 1

    def _wait_for(self, phase, process, share):
        """Wait for a moment of a phase."""
        rng, output = self._rng, self._runner.folder / self._output
        if phase == "start":
            end = time.monotonic() + rng.uniform(0, 2.5)
            self._until(lambda: time.monotonic() > end, process, share)
            return
        self._until(lambda: self._begun in self._log.read_bytes(), process, share)
        if phase == "snapshot":
            before = self._stored()
            self._until(lambda: self._stored() != before, process, share, 3.0)
            time.sleep(rng.uniform(0, 0.005))
        elif phase == "steady":
            target = _size(output) + rng.uniform(0, 200_000)
            self._until(lambda: _size(output) >= target, process, share, 3.0)
            time.sleep(rng.uniform(0, 0.03))
        else:
            time.sleep(rng.uniform(0, 0.1))

    def _until(self, holds, process, share, longest_s=_LONGEST_S):
        """Feed it until something holds."""
        end = time.monotonic() + longest_s
        while not holds() and time.monotonic() < end and process.poll() is None:
            self._feed.more(share)
            time.sleep(0.001)

    def _stored(self):
        """What changes when the state is written."""
        names = ("state.db", "state.db-wal")
        return [_size(self._runner.folder / name) for name in names]


def _size(path):
    return path.stat().st_size if path.exists() else 0
