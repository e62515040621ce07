"""A process that writes to a store until it is killed, and says what is stored: ``store_writer.py PATH``."""

from __future__ import annotations

import random
import sys

from streamrnn.pipelines.store import EventRow, Snapshot, Store


def snapshot_of(position: int) -> Snapshot:
    """What a run would have learned by then; its number aside."""
    fleet = random.Random(position).randbytes(300_000 + position % 7 * 400_000)
    return Snapshot(0, fleet, ("plant",), {"plant": position}, {"position": position})


def main(path: str) -> None:
    """Go on from what is there, for ever."""
    with Store(path) as store:
        found = store.load()
        position = max(found.positions["plant"] if found else 0, store.committed()[0].get("plant", 0))
        while True:
            position += 1
            store.events_add([EventRow(f"event-{position}", "level", position, {})])
            store.commit({"plant": position}, {"scored.csv": position * 100})
            print("committed", position, flush=True)  # noqa: T201
            if position % 5 == 0:
                store.save(snapshot_of(position))
                print("saved", position, flush=True)  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1])
