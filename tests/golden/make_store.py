"""A store of the format that this streamrnn writes, as a golden file: python make_store.py -> store-N.sqlite.

Made once for each format that is released, and never again: what was written must be read for ever.
"""

from pathlib import Path

from streamrnn.pipelines.store import EventRow, Snapshot, Store, creation, formats

HERE = Path(__file__).parent
path = HERE / f"store-{formats.FORMAT}.sqlite"
creation.PAGE_BYTES = 4096  # a small file; the page size is no part of the format
with Store(path) as store:
    store.events_add([EventRow("plant.csv-17", "level", 1_700_000_000_000_000_000, {"peak": 8.25})])
    store.journal_add("reload", {"false_alarms": "1/day"}, {"plant.csv": 250})
    for name in ("alert-1", "alert-2"):
        store.outbox_add(name, "webhook", {"title": "plant é"}, due=1)
    store.outbox_mark("alert-1", "waiting", 1, 9, "HTTP 500")
    store.outbox_mark("alert-2", "delivered", 1, 0)
    for position in (200, 400):
        fleet = bytes(range(256)) * (position // 10)
        names = ("plant.csv", "b\udcff")
        store.save(Snapshot(0, fleet, names, {"plant.csv": position}, {"settings": "5eed"}))
    store.commit({"plant.csv": 500, "b\udcff": 3}, {"scored.csv": 81_920})
Path(f"{path}.lock").unlink()
