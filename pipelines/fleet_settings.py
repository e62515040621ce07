"""``[fleet]`` of a pipeline file."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from streamrnn.pipelines.durations import Bytes, Duration

__all__ = ["FleetTable"]


class FleetTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """``[fleet]``: how many series are kept, and where; but for ``ttl`` it changes no bit of any score."""

    budget: Annotated[
        Bytes | None,
        Meta(
            description="memory for the states of series, at least that of one; the least recently used ones "
            "are spilled to disk and come back as they were; without it, all stay in memory"
        ),
    ] = None
    ttl: Annotated[
        Duration | None,
        Meta(
            description="a series that says nothing for so long, in event time, while others go on is "
            "forgotten: it begins anew should it speak again; without it, none is"
        ),
    ] = None
    threads: Annotated[
        int, Meta(ge=1, le=256, description="that score at the same time, each some series")
    ] = 1
