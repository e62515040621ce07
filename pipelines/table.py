"""What every table of a pipeline file is."""

from __future__ import annotations

from msgspec import Struct

__all__ = ["Table"]


class Table(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A table of the file."""
