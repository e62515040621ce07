"""A replay in a process of its own for ``replay.py``: it prints the memory that it held as JSON."""

from __future__ import annotations

import json
import os
import sys

from common import memory_mb

from streamrnn.pipelines.job import Job, carry_out
from streamrnn.pipelines.progress import Progress

EARLY = 0.1  # of the file


class MemoryWatch(Progress):
    """Notes the memory held when a tenth of the file is read, and after each batch."""

    early_mb = late_mb = 0.0

    def show(self, records: int, share: float | None = None) -> None:
        """A batch is done."""
        self.late_mb = memory_mb()
        if not self.early_mb and (share or 0.0) >= EARLY:
            self.early_mb = self.late_mb


if __name__ == "__main__":
    watch = MemoryWatch(sys.stderr)
    carry_out(Job(paths=(sys.argv[1],), options={}, output=os.devnull), watch, lambda found: None)
    print(json.dumps({"early_mb": watch.early_mb, "late_mb": watch.late_mb}))
